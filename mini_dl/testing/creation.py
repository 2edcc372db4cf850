"""``torch.testing.make_tensor``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import mini_dl as torch
from mini_dl._dtypes import dtype as Type
from mini_dl.tensor import Tensor


def _bounds(
    dtype: Type, low: float | None, high: float | None, lowest: float, highest: float, default: tuple[float, float]
) -> tuple[float, float]:
    """The range to draw from: as given, else the default, clipped to the range of the dtype. ValueError if it is empty."""
    low, high = default[0] if low is None else low, default[1] if high is None else high
    whole = not (dtype.is_floating_point or dtype.is_complex)
    if any([isinstance(value, float) and math.isnan(value) for value in (low, high)]):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low == high and not whole:
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is deprecated since 2.1 and "
            "will be "
            "removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=4,
        )
    elif low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    elif high < lowest or low >= highest:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {dtype} only supports [{lowest}, "
            f"{highest})"
        )
    low, high = min(max(low, lowest), highest), min(max(high, lowest), highest)
    return (math.ceil(low), math.ceil(high)) if whole else (low, high)


def _drawn(shape: tuple[int, ...], dtype: Type, device: object, low: float | None, high: float | None) -> Tensor:
    made = vars(torch)
    if dtype is made["bool"]:
        low, high = _bounds(dtype, low, high, 0, 2, (0, 2))
        return made["randint"](low, high, shape, device=device, dtype=dtype)
    if not (dtype.is_floating_point or dtype.is_complex):
        about = made["iinfo"](dtype)
        top = about.max + (1 if dtype is not made["int64"] else 0)
        low, high = _bounds(dtype, low, high, about.min, top, (-9, 10))
        return made["randint"](low, high, shape, device=device, dtype=dtype)
    about = made["finfo"](dtype)
    low, high = _bounds(dtype, low, high, about.min, about.max, (-9, 9))
    result = made["empty"](shape, device=device, dtype=dtype)
    into = made["view_as_real"](result) if dtype.is_complex else result
    if high - low >= made["finfo"](into.dtype).max:
        into.uniform_(low / 2, high / 2).mul_(2)
    else:
        into.uniform_(low, high)
    return result


def make_tensor(
    *shape: Any, dtype: Type, device: Any, low: float | None = None, high: float | None = None, requires_grad: bool = False,
    noncontiguous: bool = False, exclude_zero: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor of uniform numbers in ``[low, high)``: by default -9 to 9 (integers to 10, bools both values).

    `exclude_zero` puts the smallest normal number (1 for integers) in place of zeros. ValueError for a range that is empty
    or outside the dtype.

    >>> import mini_dl as torch
    >>> torch.testing.make_tensor(2, 3, dtype=torch.int64, device="cpu").shape
    torch.Size([2, 3])
    """
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else tuple(shape)
    if noncontiguous and memory_format is not None:
        raise ValueError(
            f"The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got {noncontiguous=} and "
            f"{memory_format=}"
        )
    inexact = dtype.is_floating_point or dtype.is_complex
    if requires_grad and not inexact:
        raise ValueError(f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {dtype=}")
    spread = noncontiguous and math.prod(sizes) > 1
    if spread:
        sizes = (*sizes[:-1], 2 * sizes[-1])
    result = _drawn(sizes, dtype, device, low, high)
    if spread:
        result = result[..., 1::2]
    elif memory_format is not None:
        result = result.clone(memory_format=memory_format)
    if exclude_zero:
        result[result == 0] = torch.finfo(dtype).tiny if inexact else 1
    return result.requires_grad_(requires_grad) if inexact else result
