"""``torch.testing.assert_close``: what differs, where, and by how much."""

from __future__ import annotations

import cmath
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import mini_dl as torch
from mini_dl._dtypes import dtype as Type
from mini_dl.tensor import Tensor

PRECISIONS = {
    "float16": (1e-3, 1e-5), "bfloat16": (0.016, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7),
    "complex32": (1e-3, 1e-5), "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7),
}  # fmt: skip
"""The tolerances of each type, relative and absolute; others must be equal."""

NUMBERS = (int, float, complex, np.number)
Msg = str | Callable[[str], str] | None


class Difference(Exception):
    """What to raise, and the way to where it was found."""

    def __init__(self, type: type[Exception], message: str, at: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.type, self.message, self.at = type, message, at

    def as_error(self, msg: Msg) -> Exception:
        """The exception for the caller: with `msg` for its message, or what `msg` makes of it."""
        if isinstance(msg, str):
            return self.type(msg)
        found = self.message
        if self.at:
            found += f"\n\nThe failure occurred for item {''.join(str([item]) for item in self.at)}"
        return self.type(found if msg is None else msg(found))


@dataclass
class Options:
    """What counts as close, and what is compared beside the values."""

    allow_subclasses: bool
    rtol: float | None
    atol: float | None
    equal_nan: bool
    check_device: bool
    check_dtype: bool
    check_layout: bool
    check_stride: bool


@dataclass
class Pair:
    """Two values, the way to them, and the function that raises a `Difference` if they differ."""

    actual: Any
    expected: Any
    at: tuple[Any, ...]
    compare: Callable[[Pair], None]
    options: Options
    tolerances: tuple[float, float] = field(default=(0.0, 0.0))

    def fail(self, message: str) -> None:
        raise Difference(AssertionError, message, self.at)


# ------------------------------------------------------------------------------------------------ tolerances


def default_tolerances(*inputs: object, dtype_precisions: dict[Any, tuple[float, float]] | None = None) -> tuple[float, float]:
    """The loosest tolerances of the types, or tensors: (relative, absolute)."""
    found = []
    for one in inputs:
        if not isinstance(one, (Tensor, Type)):
            raise TypeError(f"Expected a torch.Tensor or a torch.dtype, but got {type(one)} instead.")
        kind = one.dtype if isinstance(one, Tensor) else one
        known = PRECISIONS.get(kind.name) if dtype_precisions is None else dtype_precisions.get(kind)
        found.append(known or (0.0, 0.0))
    return max([relative for relative, _ in found]), max([absolute for _, absolute in found])


def _tolerances(options: Options, at: tuple[Any, ...], *inputs: object) -> tuple[float, float]:
    rtol, atol = options.rtol, options.atol
    if rtol is not None and atol is not None:
        return rtol, atol
    if rtol is not None or atol is not None:
        missing = "rtol" if rtol is None else "atol"
        raise Difference(ValueError, f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}.", at)
    return default_tolerances(*inputs)


# ------------------------------------------------------------------------------------------------ messages


def _message(name: str, extra: str, absolute: tuple[Any, Any], relative: tuple[Any, Any], tolerances: tuple[float, float]) -> str:
    rtol, atol = tolerances
    exact = rtol == 0 and atol == 0
    lines = [f"{name} are not {'equal' if exact else 'close'}!\n", extra]
    for kind, (value, index), allowed in (("absolute", absolute, atol), ("relative", relative, rtol)):
        line = f"{kind.title()} difference: {value}" if index is None else f"Greatest {kind} difference: {value} at index {index}"
        lines.append(line if exact else f"{line} (up to {allowed} allowed)")
    return "\n".join(lines)


def _numbers_differ(name: str, actual: Any, expected: Any, tolerances: tuple[float, float]) -> str:
    absolute = abs(actual - expected)
    relative = float("inf") if expected == 0 else absolute / abs(expected)
    return _message(name, f"Expected {expected} but got {actual}.", (absolute, None), (relative, None), tolerances)


def _tensors_differ(actual: Tensor, expected: Tensor, matches: Tensor, tolerances: tuple[float, float]) -> str:
    count = matches.numel()
    wrong = count - int(matches.sum())
    a, b, same = actual.detach().flatten(), expected.detach().flatten(), matches.flatten()
    if not (a.dtype.is_floating_point or a.dtype.is_complex):
        a, b = a.to(torch.int64), b.to(torch.int64)
    absolute = (a - b).abs()
    absolute[same] = 0
    relative = absolute / b.abs()
    relative[same] = 0
    places = []
    for found in (absolute, relative):
        value, at = found.max(0)
        places.append((value.item(), tuple(map(int, np.unravel_index(int(at), tuple(matches.shape))))))
    extra = f"Mismatched elements: {wrong} / {count} ({wrong / count:.1%})"
    return _message("Tensor-likes", extra, places[0], places[1], tolerances)


# ------------------------------------------------------------------------------------------------ comparing


def _compare_none(pair: Pair) -> None:
    if not (pair.actual is None and pair.expected is None):
        pair.fail(f"None mismatch: {pair.actual} is not {pair.expected}")


def _compare_bools(pair: Pair) -> None:
    if pair.actual is not pair.expected:
        pair.fail(f"Booleans mismatch: {pair.actual} is not {pair.expected}")


def _compare_numbers(pair: Pair) -> None:
    actual, expected, options = pair.actual, pair.expected, pair.options
    if options.check_dtype and type(actual) is not type(expected):
        pair.fail(f"The (d)types do not match: {type(actual)} != {type(expected)}.")
    if actual == expected or (options.equal_nan and cmath.isnan(actual) and cmath.isnan(expected)):
        return
    rtol, atol = pair.tolerances
    difference = abs(actual - expected)
    if cmath.isfinite(difference) and difference <= atol + rtol * abs(expected):
        return
    pair.fail(_numbers_differ("Scalars", actual, expected, pair.tolerances))


def _compare_tensors(pair: Pair) -> None:
    actual, expected, options = pair.actual, pair.expected, pair.options

    def check(wanted: bool, name: str, one: object, other: object) -> None:
        if wanted and one != other:
            pair.fail(f"The values for attribute '{name}' do not match: {one} != {other}.")

    check(True, "shape", actual.shape, expected.shape)
    check(options.check_layout, "layout", actual.layout, expected.layout)
    strided = actual.layout is torch.strided and expected.layout is torch.strided
    check(
        options.check_stride and strided, "stride()", actual.stride() if strided else None, expected.stride() if strided else None
    )
    check(options.check_device, "device", actual.device, expected.device)
    check(options.check_dtype, "dtype", actual.dtype, expected.dtype)
    if not strided:
        actual, expected = [one if one.layout is torch.strided else one.to_dense() for one in (actual, expected)]
    if actual.dtype is not expected.dtype:
        names = [one.dtype.name for one in (actual, expected)]
        a, b = [
            torch.int64 if name in ("uint16", "uint32", "uint64") else one.dtype for name, one in zip(names, (actual, expected))
        ]
        together = torch.promote_types(a, b)
        actual, expected = actual.to(together), expected.to(together)
    rtol, atol = pair.tolerances
    matches = torch.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=options.equal_nan)
    if matches.all():
        return
    if actual.dim() == 0:
        pair.fail(_numbers_differ("Scalars", actual.item(), expected.item(), pair.tolerances))
    pair.fail(_tensors_differ(actual, expected, matches, pair.tolerances))


# ------------------------------------------------------------------------------------------------ pairs


def _bool(value: object) -> Any:
    return value.item() if isinstance(value, np.bool_) else value


def _pairs(actual: object, expected: object, options: Options, at: tuple[Any, ...]) -> list[Pair]:
    """What to compare, in order. `Difference` if the containers differ, or if nothing compares such values."""
    if (
        isinstance(actual, Sequence)
        and isinstance(expected, Sequence)
        and not isinstance(actual, str)
        and not isinstance(expected, str)
    ):
        if len(actual) != len(expected):
            raise Difference(AssertionError, f"The length of the sequences mismatch: {len(actual)} != {len(expected)}", at)
        return [one for i in range(len(actual)) for one in _pairs(actual[i], expected[i], options, (*at, i))]
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        ours, theirs = set(actual), set(expected)
        if ours != theirs:
            raise Difference(
                AssertionError,
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {sorted(theirs - ours)}\n"
                f"Additional keys in the actual mapping: {sorted(ours - theirs)}",
                at,
            )
        try:
            keys: Any = sorted(ours)
        except Exception:
            keys = ours
        return [one for key in keys for one in _pairs(actual[key], expected[key], options, (*at, key))]
    return [_pair(actual, expected, options, at)]


def _pair(actual: object, expected: object, options: Options, at: tuple[Any, ...]) -> Pair:
    both = (actual, expected)
    if any([one is None for one in both]):
        return Pair(actual, expected, at, _compare_none, options)
    if all([isinstance(one, (bool, np.bool_)) for one in both]):
        return Pair(_bool(actual), _bool(expected), at, _compare_bools, options)
    if all([isinstance(one, NUMBERS) for one in both]):
        a, b = [one.item() if isinstance(one, np.number) else one for one in both]
        kinds = [
            torch.complex128 if isinstance(one, complex) else torch.float64 if isinstance(one, float) else torch.int64
            for one in (a, b)
        ]
        return Pair(a, b, at, _compare_numbers, options, _tolerances(options, at, *kinds))
    related = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
    if related and (options.allow_subclasses or type(actual) is type(expected)):
        try:
            a, b = [one if isinstance(one, Tensor) else torch.as_tensor(one) for one in both]
        except Exception:
            pass
        else:
            return Pair(a, b, at, _compare_tensors, options, _tolerances(options, at, a, b))
    raise Difference(TypeError, f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.", at)


def assert_close(
    actual: object, expected: object, *, allow_subclasses: bool = True, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = False, check_device: bool = True, check_dtype: bool = True, check_layout: bool = True,
    check_stride: bool = False, msg: Msg = None,
) -> None:  # fmt: skip
    """AssertionError, which tells what differs, unless ``abs(actual - expected) <= atol + rtol * abs(expected)`` everywhere.

    Tensors, arrays, numbers, None, and lists and dictionaries of them. The tolerances default to those of the types
    (`PRECISIONS`). `msg` is the message, or a function of it.

    >>> import mini_dl as torch
    >>> torch.testing.assert_close(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]))
    Traceback (most recent call last):
        ...
    AssertionError: Tensor-likes are not close!
    <BLANKLINE>
    Mismatched elements: 1 / 2 (50.0%)
    Greatest absolute difference: 1.0 at index (1,) (up to 1e-05 allowed)
    Greatest relative difference: 0.3333333432674408 at index (1,) (up to 1.3e-06 allowed)
    """
    __tracebackhide__ = True
    options = Options(allow_subclasses, rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride)
    pairs: list[Pair] = []
    error = None
    try:
        pairs = _pairs(actual, expected, options, ())
    except Difference as difference:
        error = difference.as_error(None)
    try:
        for pair in pairs:
            pair.compare(pair)
    except Difference as difference:
        error = difference.as_error(msg)
    if error is not None:
        raise error


def assert_allclose(
    actual: object, expected: object, rtol: float | None = None, atol: float | None = None, equal_nan: bool = True, msg: str = ""
) -> None:
    """The older `assert_close`, which converts its arguments to tensors and compares their values alone."""
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a future release. Please use "
        "`torch.testing.assert_close()` instead. You can find detailed upgrade instructions in "
        "https://github.com/pytorch/pytorch/issues/61844.",
        FutureWarning,
        stacklevel=2,
    )
    a = actual if isinstance(actual, Tensor) else torch.tensor(actual)
    b = expected if isinstance(expected, Tensor) else torch.tensor(expected, dtype=a.dtype)
    if rtol is None and atol is None:
        rtol, atol = default_tolerances(a, b, dtype_precisions={torch.float16: (1e-3, 1e-3), torch.float32: (1e-4, 1e-5), torch.float64: (1e-5, 1e-8)})  # fmt: skip  # noqa: E501
    assert_close(
        a, b, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=True, check_dtype=False, check_stride=False, msg=msg or None
    )
