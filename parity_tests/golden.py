"""Golden packs: inputs, results and gradients of torch, kept in a file, to be checked where torch cannot be installed.

    python -m parity_tests.golden write pack 'softmax' 'nn.functional.*' --dtype float32 float64 --limit 3   # needs torch
    python -m parity_tests.golden check pack                                                                  # needs numpy
    python -m parity_tests.golden check pack --target package.module

A pack is ``pack.safetensors`` with the numbers and ``pack.json``, the manifest, which describes them. Its keys: ``torch``,
the version that computed it; ``complex``, the names of tensors kept as pairs of real numbers; ``cases``, a list of ``op``,
``dtype`` and ``number`` in torch's table, ``function``, ``args`` and ``kwargs`` of the call, ``outputs``, and, for differentiable
ones, ``directions`` and ``gradients``. ``{"tensor": 7}`` is the tensor of that name, with ``"grad": true`` if it requires
a gradient; ``{"tuple": [...]}``, ``{"slice": [...]}``, ``{"dtype": "float32"}`` and ``{"float": "nan"}`` are values that JSON
lacks; a gradient that is null is None in torch.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import mini_dl
from mini_dl.files.replacing import rewrite
from mini_dl.serialization import load_safetensors, save_safetensors
from parity_tests import targets

SEED = 0
"""The seed of torch's generator before each call."""
TOLERANCES = {"float16": (1e-3, 1e-5), "float32": (1.3e-6, 1e-5), "complex64": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7),
              "complex128": (1e-7, 1e-7)}  # fmt: skip
"""Relative and absolute, by type: those of ``torch.testing.assert_close``. The absolute one is meant for numbers about 1, and
grows with the largest. Other types must be equal."""


@dataclass
class Case:
    """One call, encoded."""

    op: str
    dtype: str
    number: int
    function: str
    args: list[Any]
    kwargs: dict[str, Any]
    outputs: list[Any]
    directions: list[Any] | None
    gradients: list[Any] | None

    def __str__(self) -> str:
        return f"{self.op}, {self.dtype}, sample {self.number}"


def flat(value: Any, kind: type) -> list[Any]:
    """The leaves of nested results."""
    if isinstance(value, (list, tuple)) and not isinstance(value, kind):
        return [leaf for item in value for leaf in flat(item, kind)]
    return [value]


def write(path: Path, cases: Iterable[Case], arrays: dict[str, Any], version: str) -> None:
    """Write both files, each atomically."""
    pairs = [name for name, array in arrays.items() if array.dtype.kind == "c"]
    stored = {name: np.stack([a.real, a.imag], -1) if name in pairs else a for name, a in arrays.items()}
    save_safetensors({name: mini_dl.from_numpy(np.array(a)) for name, a in stored.items()}, with_suffix(path, "safetensors"))
    manifest = {"torch": version, "complex": pairs, "cases": [asdict(case) for case in cases]}
    rewrite(with_suffix(path, "json"), json.dumps(manifest, separators=(",", ":")) + "\n")


def with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}.{suffix}")


# ------------------------------------------------------------------------------------------------ checking: needs numpy


def read(path: Path) -> tuple[list[Case], dict[str, Any], str]:
    """The cases of a pack, the arrays by name, and the version of torch that computed them."""
    manifest = json.loads(with_suffix(path, "json").read_text(encoding="utf-8"))
    arrays = {name: tensor.numpy() for name, tensor in load_safetensors(with_suffix(path, "safetensors")).items()}
    for name in manifest["complex"]:
        arrays[name] = np.ascontiguousarray(arrays[name]).view(f"c{2 * arrays[name].itemsize}")[..., 0]
    return [Case(**case) for case in manifest["cases"]], arrays, manifest["torch"]


def check(case: Case, arrays: dict[str, Any], target: Any) -> dict[str, str | None]:
    """What is wrong with the results of a target, "forward", and with its gradients, "grad"; None if nothing is.

    There is no "grad" where none was computed: the results are wrong, torch does not differentiate, or the target has no
    gradients. LookupError if the target has no such function.
    """
    function = target.function(case.function)
    decode = Decoder(arrays, target)
    if hasattr(target, "manual_seed"):
        target.manual_seed(SEED)
    try:
        result = function(*[decode(a) for a in case.args], **{key: decode(value) for key, value in case.kwargs.items()})
    except Exception as error:
        return {"forward": f"{type(error).__name__}: {error}"}
    outputs = flat(result, type(decode.any_tensor)) if decode.any_tensor is not None else flat(result, np.ndarray)
    why = wrong_results(case, outputs, arrays, target)
    if why or case.gradients is None:
        return {"forward": why}
    ends = [output for output, expected in zip(outputs, case.outputs) if is_inexact(expected, arrays)]
    if len(ends) != len(case.directions or []):
        ends = [output for output in outputs if getattr(output, "requires_grad", True)]
    try:
        found = target.gradients(ends, [decode(d) for d in case.directions or []], list(decode.leaves.values()))
    except NotImplementedError:
        return {"forward": None}
    except Exception as error:
        return {"forward": None, "grad": f"gradient: {type(error).__name__}: {error}"}
    return {"forward": None, "grad": wrong_gradients(case, dict(zip(decode.leaves, found)), arrays, target)}


def wrong_results(case: Case, outputs: list[Any], arrays: dict[str, Any], target: Any) -> str | None:
    """How results differ from torch's, or None."""
    if len(outputs) != len(case.outputs):
        return f"{len(outputs)} results instead of {len(case.outputs)}"
    for i, (output, expected) in enumerate(zip(outputs, case.outputs)):
        if why := differs(output, expected, arrays, target):
            return f"result {i}: {why}"
    return None


def wrong_gradients(case: Case, found: dict[str, Any], arrays: dict[str, Any], target: Any) -> str | None:
    """How gradients, by the names of their tensors, differ from torch's, or None."""
    for (name, gradient), expected in zip(found.items(), case.gradients or []):
        if (gradient is None) != (expected is None):
            ours, theirs = ("None" if g is None else "a tensor" for g in (gradient, expected))
            return f"gradient of {name}: {ours} where torch's is {theirs}"
        if gradient is not None and (why := differs(gradient, expected, arrays, target)):
            return f"gradient of {name}: {why}"
    return None


class Decoder:
    """Values of the target's library from what a manifest says; a tensor named twice is one tensor."""

    def __init__(self, arrays: dict[str, Any], target: Any) -> None:
        self.arrays, self.target = arrays, target
        self.tensors: dict[str, Any] = {}
        self.leaves: dict[str, Any] = {}

    @property
    def any_tensor(self) -> Any:
        return next(iter(self.tensors.values()), None)

    def __call__(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "tensor" in value:
            name = value["tensor"]
            if name not in self.tensors:
                self.tensors[name] = self.target.tensor(self.arrays[name].copy(), value.get("grad", False))
                if value.get("grad"):
                    self.leaves[name] = self.tensors[name]
            return self.tensors[name]
        ((kind, inner),) = value.items()
        if kind == "tuple":
            return tuple([self(item) for item in inner])
        if kind == "slice":
            return slice(*[self(item) for item in inner])
        return float(inner) if kind == "float" else self.target.dtype(inner)


def is_inexact(expected: Any, arrays: dict[str, Any]) -> bool:
    return isinstance(expected, dict) and "tensor" in expected and arrays[expected["tensor"]].dtype.kind in "fc"


def differs(output: Any, expected: Any, arrays: dict[str, Any], target: Any) -> str | None:
    """How a result differs from torch's: in kind, shape, type or value."""
    if not (isinstance(expected, dict) and "tensor" in expected):
        value = Decoder(arrays, target)(expected)
        return None if output == value or output != output else f"{output!r} instead of {value!r}"
    wanted = arrays[expected["tensor"]]
    try:
        array = target.array(output)
    except Exception as error:
        return str(error)
    if array.shape != wanted.shape:
        return f"shape {array.shape} instead of {wanted.shape}"
    if array.dtype != wanted.dtype:
        return f"type {array.dtype} instead of {wanted.dtype}"
    if wanted.dtype.name not in TOLERANCES:
        return None if np.array_equal(array, wanted) else f"{np.count_nonzero(array != wanted)} of {wanted.size} values differ"
    relative, absolute = TOLERANCES[wanted.dtype.name]
    with np.errstate(all="ignore"):
        finite = np.abs(wanted[np.isfinite(wanted)])
        close = np.isclose(array, wanted, relative, absolute * finite.max(initial=1), equal_nan=True)
        if close.all():
            return None
        worst = np.nanmax(np.abs(array - wanted)[~close], initial=0)
    return f"{np.count_nonzero(~close)} of {wanted.size} values differ, by up to {worst:.3g}"


def judged(cases: Iterable[Case], arrays: dict[str, Any], target: Any, say: Any = print) -> Counter[str]:
    """Check all cases, say what differs, and count what passes, fails and is missing."""
    counts, missing = Counter[str](), set[str]()
    for case in cases:
        try:
            why = next(filter(None, check(case, arrays, target).values()), None)
        except LookupError as error:
            counts["missing"] += 1
            if case.function not in missing:
                missing.add(case.function)
                say(f"missing  {error}")
            continue
        counts["fail" if why else "pass"] += 1
        if why:
            say(f"FAIL  {case}: {why}")
    return counts


# ------------------------------------------------------------------------------------------------ the command


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m parity_tests.golden", description=str(__doc__).split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write", help="run torch, which must be installed, and keep what it computes")
    writing.add_argument("pack", type=Path, help="the files to write, without .safetensors and .json")
    writing.add_argument("patterns", nargs="+", help="entries of torch's table, such as softmax or 'nn.functional.*'")
    writing.add_argument("--dtype", nargs="+", default=["float32", "float64"], help="types of the samples")
    writing.add_argument("--limit", type=int, help="so many samples of each entry and type")
    checking = commands.add_parser("check", help="compare a library with a pack")
    checking.add_argument("pack", type=Path, help="the pack, without .safetensors and .json")
    checking.add_argument("--target", default="mini_dl", help="package.module, or package.module:attribute")
    options = parser.parse_args(arguments)
    if options.command == "write":
        packing, torch = map(importlib.import_module, ("parity_tests.packing", "torch"))
        arrays: dict[str, Any] = {}
        cases = list(packing.recorded(options.patterns, options.dtype, options.limit, arrays))
        if not cases:
            parser.error(f"no entry of torch's table matches {options.patterns}")
        write(options.pack, cases, arrays, torch.__version__)
        print(f"{len(cases)} cases of {len({case.op for case in cases})} ops in {options.pack}.safetensors and .json")
        return 0
    try:
        cases, arrays, version = read(options.pack)
        target = targets.found(options.target)
    except (OSError, ValueError, ImportError, AttributeError, TypeError) as error:
        parser.error(str(error))
    counts = judged(cases, arrays, target)
    print(f"{target.name} against torch {version}: {counts['pass']} pass, {counts['fail']} fail, {counts['missing']} missing")
    return 1 if counts["fail"] or not counts["pass"] else 0


if __name__ == "__main__":
    sys.exit(main())
