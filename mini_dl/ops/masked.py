"""Reductions and normalizations over the elements that a mask keeps: ``torch.masked``.

A mask is true where an element is included. It broadcasts to the input; masked-out elements take a value that does not change the
result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._abstract import is_abstract
from mini_dl._checks import wrap_dim
from mini_dl._dtypes import FLOATING, INEXACT, Ints, Number, dtype
from mini_dl._surface import named, public
from mini_dl.ops import reduction, scans, sorting
from mini_dl.ops.activation import log_softmax, softmax, softmin
from mini_dl.ops.vector_norms import vector_norm
from mini_dl.tensor import Tensor, wrap

Dims = tuple[int, ...]


def keeping(input: Tensor, mask: Tensor | None) -> Tensor | None:
    """`mask` as bools of the shape of `input`. IndexError if it has more dimensions."""
    if mask is None:
        return None
    if mask._array.ndim > input._array.ndim:
        raise IndexError("_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)")
    if is_abstract(mask):
        return (mask != 0).expand(input._array.shape)
    return wrap(np.broadcast_to(mask._array != 0, input._array.shape))


def filled(input: Tensor, mask: Tensor | None, value: Number | Callable[[], Number]) -> Tensor:
    """`input` with `value` where masked out. A function gives the value if there is a mask, or raises."""
    kept = keeping(input, mask)
    if kept is None:
        return input
    return input.masked_fill(kept.logical_not(), value() if callable(value) else value)


def lowest(input: Tensor, name: str) -> Number:
    return _limit(input, name, -math.inf, "min")


def highest(input: Tensor, name: str) -> Number:
    return _limit(input, name, math.inf, "max")


def _limit(input: Tensor, name: str, infinite: float, field: str) -> Number:
    """The value of masked-out elements in a maximum or minimum. NotImplementedError for bools, TypeError for complex numbers."""
    kind = input._array.dtype
    if kind.kind in FLOATING:
        return infinite
    if kind.kind == "b":
        raise NotImplementedError(f"identity of {name} on torch.bool input")
    if kind.kind == "c" and name == "logsumexp":
        return infinite
    if kind.kind == "c":
        raise TypeError(f"{name} of {input.dtype}: complex numbers have no order")
    return int(getattr(np.iinfo(kind), field))


def all_dims(dim: Ints | None, ndim: int) -> Dims:
    """`dim` as distinct dims in order; None and () mean all."""
    if dim is None or dim == () or dim == []:
        return tuple(range(ndim))
    given = [dim] if isinstance(dim, int) else list(dim)
    for i, d in enumerate(given):
        if d in given[:i]:
            raise RuntimeError(f"dim={d} appears multiple times in the list of dims")
    dims = tuple(sorted([wrap_dim(d, ndim) for d in given]))
    return dims if ndim else ()


def total_type(input: Tensor, given: dtype | None) -> dtype:
    """Sums and products of integers are int64."""
    return given if given is not None else input.dtype if input._array.dtype.kind in INEXACT else _dtypes.int64


def over(reduce: Callable[..., Tensor], input: Tensor, dim: Ints | None, keepdim: bool, **kwargs: object) -> Tensor:
    """``reduce(input, dims, keepdim)``: a 0-d tensor, which has no dims, is reduced directly."""
    dims = all_dims(dim, input._array.ndim)
    return reduce(input, dims if dims else None, bool(keepdim), **kwargs)


@public("masked")
def sum(
    input: Tensor, dim: Ints | None = None, *, keepdim: bool = False, dtype: dtype | None = None, mask: Tensor | None = None
) -> Tensor:
    """The sum of the elements that `mask` keeps: ``out = sum(input[i] if mask[i] else 0, i)``

    Family: masked

    >>> torch.masked.sum(torch.tensor([[1, 2], [3, 4]]), 1, mask=torch.tensor([[True, False], [True, True]]))
    tensor([1, 7])
    """
    return over(reduction.sum, filled(input, mask, 0), dim, keepdim, dtype=total_type(input, dtype))


@public("masked")
def prod(
    input: Tensor, dim: Ints | None = None, *, keepdim: bool = False, dtype: dtype | None = None, mask: Tensor | None = None
) -> Tensor:
    """The product of the elements that `mask` keeps: ``out = prod(input[i] if mask[i] else 1, i)``

    Family: masked

    >>> torch.masked.prod(torch.tensor([2, 3, 4]), 0, mask=torch.tensor([True, False, True]))
    tensor(8)
    """
    out = filled(input, mask, 1).to(total_type(input, dtype))
    for d in reversed(all_dims(dim, input._array.ndim)):
        out = scans.prod(out, d, bool(keepdim))
    return out.clone() if out is input and dim not in (None, ()) else out


def _doc_of(name: str, what: str, shown: str) -> str:
    return f"""{what}

Family: {"scan" if "soft" in name else "masked"}

>>> torch.masked.{name}(torch.tensor([5, 9, 3]){".float()" * ("soft" in name)}, 0, mask=torch.tensor([True, False, True]))
tensor({shown})"""


def _extreme(reduce: Callable[..., Tensor], fill: Callable[[Tensor, str], Number], doc: str) -> Callable[..., Tensor]:
    """The extreme that `reduce` finds, published under its name; `fill` is the value of masked-out elements"""

    def extreme(
        input: Tensor, dim: Ints | None = None, *, keepdim: bool = False, dtype: dtype | None = None, mask: Tensor | None = None
    ) -> Tensor:
        out = reduce(filled(input, mask, lambda: fill(input, reduce.__name__)), all_dims(dim, input._array.ndim), bool(keepdim))
        return reduction.of_type(out, dtype)

    return public("masked")(named(extreme, reduce.__name__, doc))


def _place(reduce: Callable[..., Tensor], fill: Callable[[Tensor, str], Number], doc: str) -> Callable[..., Tensor]:
    """The same for its index"""

    def place(
        input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: dtype | None = None, mask: Tensor | None = None
    ) -> Tensor:
        out = reduce(filled(input, mask, lambda: fill(input, reduce.__name__)), dim, bool(keepdim))
        return out.to(input.dtype if dtype is None else dtype)

    return public("masked")(named(place, reduce.__name__, doc))


LARGEST, SMALLEST = "The largest of the elements that `mask` keeps", "The smallest of the elements that `mask` keeps"
INDEX = "The index, in the dtype of the input unless `dtype` is given, of the"
KEPT = "element that `mask` keeps"

amax = _extreme(reduction.amax, lowest, _doc_of("amax", f"{LARGEST}: ``out = max(input[i], i)``", "5"))
amin = _extreme(reduction.amin, highest, _doc_of("amin", f"{SMALLEST}: ``out = min(input[i], i)``", "3"))
argmax = _place(reduction.argmax, lowest, _doc_of("argmax", f"{INDEX} largest {KEPT}: ``input[out] = max(input[i], i)``", "0"))
argmin = _place(reduction.argmin, highest, _doc_of("argmin", f"{INDEX} smallest {KEPT}: ``input[out] = min(input[i], i)``", "2"))


def _count(input: Tensor, mask: Tensor | None, dim: Ints | None, keepdim: bool) -> Tensor:
    kept = keeping(input, mask)
    return over(reduction.sum, wrap(np.ones(input._array.shape, np.int64)) if kept is None else kept, dim, keepdim)


@public("masked")
def mean(
    input: Tensor, dim: Ints | None = None, *, keepdim: bool = False, dtype: dtype | None = None, mask: Tensor | None = None
) -> Tensor:
    """The mean of the n elements that `mask` keeps: ``out = sum(input[i], i) / n``; NaN if there are none.

    Family: masked
    Raises: ValueError for integers without `dtype`; IndexError for a dimension that `input` lacks.

    >>> torch.masked.mean(torch.tensor([1.0, 2.0, 9.0]), 0, mask=torch.tensor([True, True, False]))
    tensor(1.5000)
    """
    what, kind = ("Input", input.dtype) if dtype is None else ("Optional", dtype)
    if not (kind.is_floating_point or kind.is_complex):
        raise ValueError(
            f"mean(): Could not infer output dtype. {what} dtype must be either a floating point or complex dtype. Got: {kind}"
        )
    return sum(input, dim, keepdim=keepdim, dtype=kind, mask=mask) / _count(input, mask, dim, keepdim)


@public("masked")
def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: dtype | None = None, mask: Tensor | None = None
) -> Tensor:
    """The lower median of the n elements that `mask` keeps: ``out = sort(input)[(n - 1) // 2]``; NaN if there are none.

    Family: masked
    Raises: ValueError for integers; IndexError for a dimension that `input` lacks.

    >>> torch.masked.median(torch.tensor([1.0, 2.0, 9.0]), 0, mask=torch.tensor([True, True, False]))
    tensor(1.)
    """
    floating = input._array.dtype.kind in FLOATING
    x = filled(input if floating else input.to(_dtypes.float32), mask, math.nan)
    out: Tensor = sorting.nanmedian(x, all_dims(dim, input._array.ndim)[0] if input._array.ndim else 0, keepdim).values
    if floating:
        return out
    if np.isnan(out._array).any():
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return out.to(input.dtype if dtype is None else dtype)


@public("masked")
def logsumexp(
    input: Tensor, dim: Ints | None = None, *, keepdim: bool = False, dtype: dtype | None = None, mask: Tensor | None = None
) -> Tensor:
    """The logarithm of the sum of exponentials of the elements that `mask` keeps: ``out = log(sum(exp(input[i]), i))``

    Family: masked

    >>> torch.masked.logsumexp(torch.tensor([0.0, 0.0, 9.0]), 0, mask=torch.tensor([True, True, False]))
    tensor(0.6931)
    """
    out = reduction.logsumexp(filled(input, mask, lambda: lowest(input, "logsumexp")), all_dims(dim, input._array.ndim), keepdim)
    return out.to(input.dtype if dtype is None else dtype)


@public("masked")
def logaddexp(
    input: Tensor, other: Tensor, *, dtype: dtype | None = None, input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``out = log(exp(input) + exp(other))`` where the masks keep both, and the kept one elsewhere.

    Family: binary

    >>> torch.masked.logaddexp(torch.zeros(2), torch.zeros(2), other_mask=torch.tensor([True, False]))
    tensor([0.6931, 0.0000])
    """
    ours = filled(input, input_mask, lambda: lowest(input, "logaddexp"))
    out = ours.logaddexp(filled(other, other_mask, lambda: lowest(other, "logaddexp")))
    return out.to(input.dtype if dtype is None else dtype)


@public("masked")
def norm(
    input: Tensor, ord: object = 2.0, dim: Ints | None = None, *, keepdim: bool = False, dtype: dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The vector norm of the elements that `mask` keeps: ``out = sum(abs(input[i]) ** ord, i) ** (1 / ord)``

    Family: masked

    >>> torch.masked.norm(torch.tensor([3.0, 4.0, 9.0]), 2, 0, mask=torch.tensor([True, True, False]))
    tensor(5.)
    """
    x = filled(input, mask, lambda: math.inf if ord == -math.inf else 0)
    return vector_norm(x, ord, all_dims(dim, input._array.ndim), bool(keepdim), dtype=dtype)


def _variance(
    input: Tensor, dim: Ints | None, unbiased: bool | None, correction: int | float | None, keepdim: bool, kind: dtype | None,
    mask: Tensor | None,
) -> Tensor:  # fmt: skip
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    target = kind if kind is not None else input.dtype if input._array.dtype.kind in INEXACT else _dtypes.float32
    compute = target if target.is_floating_point or target.is_complex else _dtypes.float32
    n = _count(input, mask, dim, True)
    apart = input - sum(input, dim, keepdim=True, dtype=target, mask=mask) / n
    total = sum(apart * (apart.conj() if apart.is_complex() else apart), dim, keepdim=keepdim, dtype=compute, mask=mask)
    if not keepdim:
        n = n.reshape(total._array.shape)
    if correction != 0:
        n = (n.to(compute.to_real()) - correction).clamp(min=0)
    return (total / n).to(target)


@public("masked")
def var(
    input: Tensor, dim: Ints | None = None, unbiased: bool | None = None, *, correction: int | float | None = None,
    keepdim: bool = False, dtype: dtype | None = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The variance of the n elements that `mask` keeps: ``out = sum((input[i] - mean) ** 2, i) / max(0, n - correction)``

    Family: masked

    >>> torch.masked.var(torch.tensor([1.0, 3.0, 9.0]), 0, mask=torch.tensor([True, True, False]))
    tensor(2.)
    """
    return _variance(input, dim, unbiased, correction, keepdim, dtype, mask)


@public("masked")
def std(
    input: Tensor, dim: Ints | None = None, unbiased: bool | None = None, *, correction: int | float | None = None,
    keepdim: bool = False, dtype: dtype | None = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation of the elements that `mask` keeps:
    ``out = sqrt(sum((input[i] - mean) ** 2, i) / max(0, n - correction))``

    Family: masked

    >>> torch.masked.std(torch.tensor([1.0, 3.0, 9.0]), 0, mask=torch.tensor([True, True, False]))
    tensor(1.4142)
    """
    return _variance(input, dim, unbiased, correction, keepdim, dtype, mask).sqrt()


@public("masked")
def cumsum(input: Tensor, dim: int, *, dtype: dtype | None = None, mask: Tensor | None = None) -> Tensor:
    """The running sum in which masked-out elements count as 0: ``out[k] = sum(input[j] if mask[j] else 0, j)`` over ``j <= k``

    Family: scan

    >>> torch.masked.cumsum(torch.tensor([1, 2, 3]), 0, mask=torch.tensor([True, False, True]))
    tensor([1, 1, 4])
    """
    return _along(scans.cumsum, input, dim, dtype, filled(input, mask, 0))


@public("masked")
def cumprod(input: Tensor, dim: int, *, dtype: dtype | None = None, mask: Tensor | None = None) -> Tensor:
    """The running product in which masked-out elements count as 1: ``out[k] = prod(input[j] if mask[j] else 1, j)`` over
    ``j <= k``

    Family: scan

    >>> torch.masked.cumprod(torch.tensor([1, 2, 3]), 0, mask=torch.tensor([True, False, True]))
    tensor([1, 1, 3])
    """
    return _along(scans.cumprod, input, dim, dtype, filled(input, mask, 1))


def _along(function: Callable[..., Tensor], input: Tensor, dim: int, kind: dtype | None, x: Tensor) -> Tensor:
    """`function` of `x`, which is `input` with the hidden elements filled, along `dim`."""
    return function(x, wrap_dim(dim, input._array.ndim), dtype=input.dtype if kind is None else kind)


def _normalization(function: Callable[..., Tensor], hide: Callable[[Tensor, str], Any], doc: str) -> None:
    """`function` of the elements that are kept."""

    def normalization(input: Tensor, dim: int, *, dtype: dtype | None = None, mask: Tensor | None = None) -> Tensor:
        x = filled(input, mask, lambda: hide(input, "amax" if hide is lowest else "amin"))
        return _along(function, input, dim, dtype, x)

    named(normalization, function.__name__, doc)
    public("masked")(normalization)


SOFTMAX = "The softmax of the elements that `mask` keeps: ``out = exp(input) / sum(exp(input[j]), j)``; masked-out ones get 0."
LOG_SOFTMAX = "The logarithm of `softmax`: ``out = input - log(sum(exp(input[j]), j))``; masked-out elements get -inf."
SOFTMIN = "The softmax of the negative: ``out = exp(-input) / sum(exp(-input[j]), j)``; masked-out elements get 0."

_normalization(softmax, lowest, _doc_of("softmax", SOFTMAX, "[0.8808, 0.0000, 0.1192]"))
_normalization(log_softmax, lowest, _doc_of("log_softmax", LOG_SOFTMAX, "[-0.1269,    -inf, -2.1269]"))
_normalization(softmin, highest, _doc_of("softmin", SOFTMIN, "[0.1192, 0.0000, 0.8808]"))


@public("masked")
def normalize(
    input: Tensor, ord: object, dim: int, *, eps: float = 1e-12, dtype: dtype | None = None, mask: Tensor | None = None
) -> Tensor:
    """The kept elements divided by their norm: ``out = input / max(norm(input, ord), eps)``; masked-out ones get 0.

    Family: scan

    >>> torch.masked.normalize(torch.tensor([3.0, 4.0, 9.0]), 2, 0, mask=torch.tensor([True, True, False]))
    tensor([0.6000, 0.8000, 0.0000])
    """
    size = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return filled(input, mask, 0) / size.maximum(wrap(np.asarray(eps, size._array.dtype)))
