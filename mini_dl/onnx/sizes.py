"""Merging the runs of one program on inputs of several sizes: differences are expressed by the sizes."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.onnx.errors import OnnxExporterError
from mini_dl.onnx.recording import Call, Value

Assignment = Mapping[str, int]
"""The sizes of a run, by the names of the dynamic dimensions."""


@dataclass(frozen=True)
class Size:
    """A sum of products of dynamic sizes: ``(("batch",), 4), ((), 1)`` is ``4 * batch + 1``."""

    terms: tuple[tuple[tuple[str, ...], int], ...]

    def __str__(self) -> str:
        return " + ".join(["*".join([*([str(n)] if n != 1 or not names else []), *names]) for names, n in self.terms])


@dataclass(frozen=True)
class Varying:
    """A constant whose shape depends on dynamic sizes: "full" of one value, "range" from a start by a step, or "triangle": one
    value up to the diagonal, another above."""

    kind: str
    values: tuple[Any, ...]


class Unequal(Exception):
    """A difference between runs that sizes do not explain."""


def size_of(values: Sequence[int], runs: Sequence[Assignment]) -> int | Size:
    """The size that has these `values` in these `runs`. Unequal if no sum of products of the dynamic sizes does."""
    if len(set(values)) == 1:
        return values[0]
    names = sorted(runs[0])
    products = [some for n in range(len(names) + 1) for some in itertools.combinations(names, n)]
    table = np.array([[math.prod([run[name] for name in some]) for some in products] for run in runs], np.float64)
    factors = np.rint(np.linalg.lstsq(table, np.array(values, np.float64), rcond=None)[0]).astype(np.int64)
    if (table @ factors != values).any():
        raise Unequal(f"a size is {', '.join(map(str, values))}")
    return Size(tuple([(some, int(n)) for some, n in zip(products, factors) if n][::-1]))


def merged(parts: Sequence[Any], runs: Sequence[Assignment]) -> Any:
    """The common form of all `parts`, one of each run, with a `Size` for differing numbers. Unequal if they differ otherwise."""
    first = parts[0]
    if any([type(part) is not type(first) for part in parts]):
        raise Unequal(
            f"an argument is a {type(first).__name__} or a {next(type(p) for p in parts if type(p) is not type(first))}"
        )
    if isinstance(first, Value):
        if len({part.number for part in parts}) > 1:
            raise Unequal("an operation takes its argument from elsewhere")
        return first
    if type(first) is int:
        return size_of(parts, runs)
    if isinstance(first, (list, tuple)):
        if len({len(part) for part in parts}) > 1:
            raise Unequal(f"there are {len(first)} of something, or {max(map(len, parts))}")
        made = [merged(some, runs) for some in zip(*parts)]
        return type(first)(*made) if hasattr(first, "_fields") else type(first)(made)
    if isinstance(first, slice):
        return slice(*[merged(some, runs) for some in zip(*[(part.start, part.stop, part.step) for part in parts])])
    if isinstance(first, Call):
        return first
    if isinstance(first, np.ndarray):
        if not all([np.array_equal(part, first) for part in parts]):
            raise Unequal("an array differs")
        return first
    if hasattr(first, "__dict__") and not callable(first):
        for some in zip(*[vars(part).values() for part in parts]):
            merged(some, runs)
        return first
    if callable(first):  # created by each call
        return first
    if not all([part == first or part != part for part in parts]):
        raise Unequal(f"an argument is {first} or {next(p for p in parts if p != first)}")
    return first


def constant(parts: Sequence[Array], runs: Sequence[Assignment]) -> Any:
    """The common constant of all `parts`: an array, an array of sizes (as nested lists), or a `Varying`."""
    first = parts[0]
    alike = [part for part, run in zip(parts, runs) if run == runs[0]]
    if not all([np.array_equal(part, first, equal_nan=first.dtype.kind in "fc") for part in alike]):
        raise Unequal(f"a constant of shape {list(first.shape)} that is not the same for other values of the inputs")
    if all([part.shape == first.shape for part in parts]):
        if all([np.array_equal(part, first, equal_nan=first.dtype.kind in "fc") for part in parts]):
            return first
        if first.dtype.kind in "iuf" and first.size <= 16 and all([(part == np.rint(part)).all() for part in parts]):
            return [size_of([int(n) for n in some], runs) for some in zip(*[part.reshape(-1) for part in parts])]
    return varying(parts)


def varying(parts: Sequence[Array]) -> Varying:
    largest = max(parts, key=lambda part: part.size)
    for found in candidates(largest):
        if all([part.size and np.array_equal(made(found, part), part) for part in parts]):
            return found
    raise Unequal(
        f"a constant of shape {list(largest.shape)} that depends on the sizes of the inputs in a way that is not understood"
    )


def candidates(array: Array) -> list[Varying]:
    flat = array.reshape(-1)
    found = [Varying("full", (flat[0],))]
    if array.ndim == 1 and array.size > 1 and array.dtype.kind in "iuf":
        found.append(Varying("range", (flat[0], flat[1] - flat[0])))
    if array.ndim >= 2 and array.shape[-1] > 1:
        found.append(Varying("triangle", (flat[0], flat[1])))
    return found


def made(recipe: Varying, like: Array) -> Array:
    """The constant of that recipe, of the shape and type of `like`."""
    if recipe.kind == "full":
        return np.full_like(like, recipe.values[0])
    if recipe.kind == "range":
        return (recipe.values[0] + np.arange(like.size) * recipe.values[1]).astype(like.dtype)
    rows, columns = like.shape[-2:]
    return np.broadcast_to(np.where(np.tri(rows, columns, dtype=bool), *recipe.values), like.shape).astype(like.dtype)


@dataclass
class Trace:
    """One run: its calls in order, all its values by number, and its inputs and outputs."""

    calls: list[Call]
    values: list[Value]
    inputs: list[Value]
    outputs: list[Value]


def values_in(argument: object) -> list[Value]:
    if isinstance(argument, Value):
        return [argument]
    if isinstance(argument, (list, tuple)):
        return [value for part in argument for value in values_in(part)]
    return []


def bring_together(traces: Sequence[Trace], runs: Sequence[Assignment]) -> None:
    """Put sizes in place of the numbers of the first trace that differ between runs. OnnxExporterError if the runs do not
    match.
    """
    read = {value.number for call in traces[0].calls for value in values_in(list(call.args.values()))}
    read |= {value.number for value in traces[0].outputs}
    for calls in itertools.zip_longest(*[trace.calls for trace in traces]):
        names = sorted({call.name if call is not None else "nothing" for call in calls})
        first = next(call for call in calls if call is not None)
        if len(names) > 1:
            raise OnnxExporterError(
                f"What {first.where} computes depends on the values or sizes of the inputs: in one run it calls {names[0]}, in "
                f"another {names[1]}"
            )
        try:
            first.args = {name: merged([call.args[name] for call in calls], runs) for name in first.args}
            for outputs in zip(*[call.outputs for call in calls]):
                if outputs[0].number in read:
                    outputs[0].shape = merged([one.shape for one in outputs], runs)
        except Unequal as reason:
            raise OnnxExporterError(f"{first.spoken}, called by {first.where}, differs between runs: {reason}") from None
    for values in zip(*[trace.values for trace in traces]):
        if values[0].kind != "result":
            with contextlib.suppress(Unequal):  # a constant whose shape is not understood is refused where it is used
                values[0].shape = merged([one.shape for one in values], runs)
    try:
        merged([trace.outputs for trace in traces], runs)
    except Unequal as reason:
        raise OnnxExporterError(f"The result differs between runs: {reason}") from None


def settled(values: Sequence[Value], runs: Sequence[Assignment], who: str) -> Any:
    """The constant of a value in all runs. OnnxExporterError if it depends on the values of inputs."""
    try:
        return constant([value.array for value in values], runs)
    except Unequal as reason:
        raise OnnxExporterError(
            f"{who} uses {reason}: it comes from outside the recorded operations (NumPy, item(), tolist()) or is random"
        ) from None
