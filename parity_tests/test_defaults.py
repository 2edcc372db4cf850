"""The defaults of functions and classes: the same as torch's, if torch's can be inspected."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import mini_dl
from parity_tests import bridge

PLACES = (
    "optim", "optim.lr_scheduler", "optim.swa_utils", "nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn",
    "nn.utils.prune", "nn.utils.parametrizations", "utils.data", "utils.checkpoint", "autograd", "autograd.functional",
    "autograd.gradcheck", "func", "distributions", "special", "fft", "linalg", "sparse", "amp", "signal.windows", "",
    "nn.grad", "nn.attention", "nn.utils.stateless", "autograd.forward_ad", "autograd.graph", "utils.hooks", "testing",
    "nn.parallel", "backends.mkldnn", "backends.cuda", "backends.cudnn", "utils.dlpack", "random", "serialization", "futures",
)  # fmt: skip
WITH_METHODS = ("optim", "optim.lr_scheduler", "optim.swa_utils", "nn", "utils.data")
"""The namespaces in which methods of classes are compared too."""


def at(library: Any, path: str) -> Any:
    """The module at a path below a library."""
    return importlib.import_module(f"{library.__name__}.{path}") if path else library


def defaults(callable_: Any) -> dict[str, Any] | None:
    """The default of each parameter that has one; None if there is no signature."""
    try:
        parameters = inspect.signature(callable_).parameters.values()
    except (TypeError, ValueError):
        return None
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def comparable(value: Any) -> Any:
    """A default as it can be compared between the libraries."""
    if isinstance(value, (torch.dtype, bridge.mini_dl.dtype)):
        return bridge.name_of(value)
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, (tuple, list)):
        return [comparable(item) for item in value]
    if isinstance(value, (torch.Tensor, mini_dl.Tensor)):
        return np.asarray(value.detach().numpy()).tolist()
    return value if isinstance(value, (bool, int, float, str, type(None))) else type(value).__name__


def pairs() -> Iterator[tuple[str, str, Any, Any]]:
    """(name, parameter, ours, torch's) of every default that both show."""
    for place in PLACES:
        for name in dir(at(torch, place)):
            theirs, ours = (getattr(at(library, place), name, None) for library in (torch, mini_dl))
            if name.startswith("_") or not callable(theirs) or not callable(ours) or theirs is ours:
                continue
            yield from of_callables(f"{place}.{name}".strip("."), ours, theirs)
            if place in WITH_METHODS and isinstance(theirs, type):
                for method in [key for key in vars(theirs) if not key.startswith("_") and callable(getattr(ours, key, None))]:
                    yield from of_callables(f"{place}.{name}.{method}", getattr(ours, method), getattr(theirs, method))


def of_callables(name: str, ours: Any, theirs: Any) -> Iterator[tuple[str, str, Any, Any]]:
    mine, expected = defaults(ours) or {}, defaults(theirs) or {}
    for parameter in mine.keys() & expected.keys():
        yield name, parameter, mine[parameter], expected[parameter]


def test_defaults_are_those_of_torch() -> None:
    found = {(name, parameter): (comparable(a), comparable(b)) for name, parameter, a, b in pairs()}
    different = {place: pair for place, pair in found.items() if pair[0] != pair[1] or type(pair[0]) is not type(pair[1])}
    assert not different, "\n".join(f"{name}({parameter}): {a!r}, torch {b!r}" for (name, parameter), (a, b) in different.items())
    assert len(found) > 1500


@pytest.mark.parametrize(("one", "other", "same"), [(1, 1.0, False), (True, 1, False), ((1, 2), [1, 2], True), (None, 0, False)])
def test_what_counts_as_the_same_default(one: Any, other: Any, same: bool) -> None:
    a, b = comparable(one), comparable(other)
    assert (a == b and type(a) is type(b)) == same
