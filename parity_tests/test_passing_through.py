"""Pass-through names behave as in torch on a CPU: the tables of names, row by row, and programs that use them."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch as real

import mini_dl
from mini_dl.standins import tables


def sample(x: Any) -> Any: ...


one = real.ones(1)
GIVEN: dict[str, Any] = {
    **dict.fromkeys("input tensor A output output_tensor input_tensor".split(), one),
    **{name: [one] for name in "tensors inputs tensor_list input_list output_tensor_list input_tensor_list".split()},
    "output_tensor_lists": [[one]],
    "new_state": real.zeros(16, dtype=real.uint8),
    "devices": [0],
    "device": 0,
    "seed": 1,
    "new_states": [],
    "stream": None,
    "fraction": 0.5,
    "peer_device": 0,
    "peer": 0,
    "enabled": False,
    "msg": "m",
    "path": "p",
    "value": True,
    "fn": sample,
    "func": sample,
    "obj": real.nn.Linear,
    "fn_or_name": sample,
    "major": 13,
    "minor": 0,
    "mode": True,
}
"""Arguments for parameters without a default, by name; None for the others."""

LIBRARIES = "a library that torch is built with, and that is not here"
APART = {
    **dict.fromkeys(
        "backends.mkl.is_available backends.mkldnn.is_available backends.openmp.is_available backends.nnpack.is_available "
        "backends.quantized.engine backends.quantized.supported_engines backends.cpu.get_cpu_capability "
        "distributed.rpc.is_available torch.has_mkl torch.has_openmp torch.has_mkldnn "
        "jit.onednn_fusion_enabled backends.flags_frozen torch.USE_GLOBAL_DEPS backends.xnnpack.enabled "
        "profiler.itt.is_available backends.nnpack.set_flags".split(),
        LIBRARIES,
    ),
    **dict.fromkeys("torch.eig torch.lstsq torch.matrix_rank torch.solve torch.symeig".split(), "our words; torch's are longer"),
    **dict.fromkeys(
        "mps.load_metallib accelerator.set_stream backends.mps.is_macos_or_newer "
        "cuda.ExternalStream cuda.streams.ExternalStream mps.Event mps.event.Event jit.run_frozen_optimizations "
        "jit._freeze.run_frozen_optimizations jit.set_module jit._unwrap_optional".split(),
        "torch looks at the arguments first, or makes an object before it fails",
    ),
    **dict.fromkeys(
        "jit.script_method jit._script.script_method jit.interface jit._script.interface "
        "distributed.elastic.multiprocessing.errors.record jit._overload jit._overload_method".split(),
        "torch returns what stands for the function in TorchScript, or a function around it",
    ),
    "torch.is_distributed": "torch converts its argument",
    "torch.prepare_multiprocessing_environment": "a path of torch's own",
    "backends.mkldnn.allow_tf32": "None before its first use",
}
"""Rows that differ, and why."""
TYPES = ("backends", "compiler", "cuda", "mps", "mtia", "xpu", "accelerator", "cpu", "jit", "distributed", "torch", "profiler")


def rows() -> Iterator[tuple[str, tables.Row]]:
    for place in tables.places():
        if place.partition(".")[0] not in TYPES:
            continue
        for row in tables.file_of(place.partition(".")[0])[place].rows.values():
            if row.kind in ("=", "!", ":", "class", "exception", "same") and f"{place}.{row.name}" not in APART:
                yield place, row


ROWS = {f"{place}.{row.name}": (place, row) for place, row in rows()}


def at(library: Any, place: str, name: str) -> Any:
    module = importlib.import_module(library.__name__ if place == "torch" else f"{library.__name__}.{place}")
    return getattr(module, name)


def arguments(ours: Any) -> tuple[list[Any], dict[str, Any]]:
    parameters = inspect.signature(ours).parameters.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    by_place = [GIVEN.get(p.name) for p in needed if p.kind is not p.KEYWORD_ONLY]
    return by_place, {p.name: GIVEN.get(p.name) for p in needed if p.kind is p.KEYWORD_ONLY}


def answer(function: Any, by_place: list[Any], by_name: dict[str, Any]) -> Any:
    try:
        return function(*by_place, **by_name)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_answers_as_torch_does(name: str) -> None:
    place, row = ROWS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = at(mini_dl, place, row.name), at(real, place, row.name)
        if row.kind == ":":
            assert ours == theirs and type(ours) is type(theirs)
            return
        if row.kind == "exception":
            assert [one.__name__ for one in ours.mro()] == [one.__name__ for one in theirs.mro()]
            return
        by_place, by_name = ([], {}) if row.kind == "class" and row.signature == "(*args, **kwargs)" else arguments(ours)
        if row.kind == "class":
            parameters = tables.Row(row.name, "=", row.signature, "None")
            by_place, by_name = arguments(importlib.import_module("mini_dl.standins.kinds").function(parameters, place))
        mine, its = answer(ours, by_place, by_name), answer(theirs, by_place, by_name)
    assert mine == its
    assert type(mine) is type(its)


def test_most_of_the_rows_that_pass_through_are_compared() -> None:
    assert len(ROWS) > 450
    assert len(APART) < 60


def test_rows_that_answer_otherwise_are_in_the_tables() -> None:
    known = {f"{place}.{name}" for place in tables.places() for name in tables.file_of(place.partition(".")[0])[place].rows}
    assert sorted(set(APART) - known) == []
