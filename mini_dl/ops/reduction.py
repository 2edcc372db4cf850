"""Reductions: sums, means, extremes, truth values and norms over some or all dimensions."""

from __future__ import annotations

import builtins
import functools
import math
import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import check_bool, index_of, level_of_user, wrap_dim, wrap_dims
from mini_dl._dtypes import FLOATING, INEXACT, Array, Ints, dtype, given_type, scalar_name, uint8
from mini_dl._surface import NamedTensors, check_types, function, method, public, return_type
from mini_dl.autograd.node_names import rename
from mini_dl.autograd.overlaps import check_operands
from mini_dl.autograd.primitive import linear_in, op, recorded_as
from mini_dl.kernels import sums
from mini_dl.kernels.blocks import in_single
from mini_dl.kernels.softmax import log_sum_exp
from mini_dl.kernels.sums import Dims, add_up, count, extremes, near_mean, reduce, reduced, squares, std_array, trailing
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ arguments


def checked(name: str, input: Tensor, keepdim: object = False) -> Tensor:
    """`input`. TypeError unless `keepdim` is a bool."""
    if not isinstance(keepdim, builtins.bool):
        check_bool(keepdim, f"{name}(): argument 'keepdim'")
    return input


def same_types_along(result: object, out: object, args: Sequence[object]) -> None:
    """RuntimeError unless ``out=`` has the types of results along a dimension. Those over all, and of two tensors, are cast."""
    if isinstance(result, tuple):
        check_types(result, out)


def no_overlap(result: object, out: object, args: Sequence[object]) -> None:
    """RuntimeError if ``out=`` shares memory with the input."""
    for target in out if isinstance(out, tuple) else (out,):
        check_operands(target, args, entirely=True)


def type_of_input(result: Tensor, out: Tensor, args: Sequence[object]) -> None:
    want, given = result._array.dtype, out._array.dtype
    if want != given:
        raise RuntimeError(
            f"Expected the dtype for input and out to match, but got {scalar_name(want)} for input's dtype and "
            f"{scalar_name(given)} for out's dtype."
        )


def of_type(input: Tensor, target: dtype | None) -> Tensor:
    """`input`, or the result computed from it, in the requested type."""
    return input if target is None else input.to(target)


def spread(grad: Tensor, shape: Dims, dims: Dims, keepdim: bool) -> Tensor:
    """The gradient of a reduction over `dims`, with these dimensions restored and expanded to the original `shape`."""
    if not keepdim and len(dims) < len(shape):
        grad = grad.reshape(reduced(shape, dims, True))
    return grad.expand(shape)


def not_empty(name: str, shape: Dims, dims: Dims, given: bool) -> None:
    """Check that the dimensions are not empty, for operations without an identity."""
    if given:
        for d in dims:
            if shape[d] == 0:
                raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")
    elif 0 in shape:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )


# ------------------------------------------------------------------------------------------------ sums


@linear_in("input")
@op(input=lambda grad, input_shape, dims, keepdim: spread(grad, input_shape, dims, keepdim))
def _sum(input: Array, dims: Dims, keepdim: bool) -> Array:
    return add_up(input, dims, keepdim)


@method(out=True)
def sum(input: Tensor, dim: Ints | None = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """The sum over `dim` (all by default), computed in `dtype`, int64 for integers and bools: ``out = sum(input[i], i)``

    Family: reduction

    >>> torch.tensor([[1, 2], [3, 4]]).sum(0)
    tensor([4, 6])
    """
    x = checked("sum", input, keepdim)
    if dtype is not None:
        x = x.to(dtype)
    out = _sum(x, wrap_dims(dim, x._array.ndim), keepdim)
    if dim is not None and not out._array.ndim and out._edge is not None:
        rename(out, "SumBackward1")
    return out if dtype is None else of_type(out, dtype)


@op(input=lambda grad, input, dims, keepdim: spread(grad, input._array.shape, dims, keepdim) * input.isnan().logical_not())
def _nansum(input: Array, dims: Dims, keepdim: bool) -> Array:
    return add_up(np.where(np.isnan(input), input.dtype.type(0), input), dims, keepdim)


@method(out=True)
def nansum(input: Tensor, dim: Ints | None = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """The sum in which NaN counts as 0: ``out = sum(input[i], i)`` over the others.

    Family: reduction
    Raises: RuntimeError for complex numbers; IndexError for a dimension that `input` lacks.

    >>> torch.nansum(torch.tensor([1.0, torch.nan, 3.0]))
    tensor(4.)
    """
    x = checked("nansum", input, keepdim)
    if x.is_complex():
        raise RuntimeError("nansum on CPU does not support complex inputs")
    if not x.is_floating_point():
        return sum(x, dim, keepdim, dtype=dtype)
    x = of_type(x, dtype)
    return of_type(_nansum(x, wrap_dims(dim, x._array.ndim), keepdim), dtype)


@linear_in("input")
@op(input=lambda grad: grad)  # the engine sums back to the input's shape
def _repeated(input: Array, shape: Dims) -> Array:
    """`input` expanded, in its own memory."""
    out = np.empty(shape, input.dtype)
    out[...] = input
    return out


def _mean_gradient(grad: Tensor, shape: tuple[int, ...], dims: Dims, keepdim: bool) -> Tensor:
    grad = grad / count(shape, dims)
    return _repeated(grad if keepdim or len(dims) == len(shape) else grad.reshape(reduced(shape, dims, True)), shape)


@linear_in("input")
@op(input=lambda grad, input_shape, dims, keepdim: _mean_gradient(grad, input_shape, dims, keepdim))
@in_single
def _mean(input: Array, dims: Dims, keepdim: bool) -> Array:
    return add_up(input, dims, keepdim) / input.dtype.type(count(input.shape, dims))


@method(out=True)
def mean(input: Tensor, dim: Ints | None = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """The mean over `dim` (all by default), of n elements: ``out = sum(input[i], i) / n``

    Family: statistic

    >>> torch.tensor([[1.0, 2.0], [3.0, 4.0]]).mean(1)
    tensor([1.5000, 3.5000])
    """
    x = of_type(checked("mean", input, keepdim), dtype)
    if x._array.dtype.kind not in INEXACT:
        what, kind = ("Input", x._array.dtype) if dtype is None else ("Optional", x._array.dtype)
        raise RuntimeError(
            f"mean(): could not infer output dtype. {what} dtype must be either a floating point or complex dtype. "
            f"Got: {scalar_name(kind)}"
        )
    return _mean(x, wrap_dims(dim, x._array.ndim), keepdim)


@method(out=True)
def nanmean(input: Tensor, dim: Ints | None = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """The mean of the n elements that are not NaN: ``out = sum(input[i], i) / n``

    Family: statistic

    >>> torch.nanmean(torch.tensor([1.0, torch.nan, 3.0]))
    tensor(2.)
    """
    x = checked("nanmean", input, keepdim)
    if x._array.dtype.kind not in INEXACT:
        raise RuntimeError(
            f"nanmean(): expected input to have floating point or complex dtype but got {scalar_name(x._array.dtype)}"
        )
    if dtype is not None and given_type(dtype, "nanmean(): argument 'dtype'").numpy.kind not in INEXACT:
        raise RuntimeError(
            "nanmean(): could not infer output dtype. Optional dtype must be either a floating point or complex dtype. Got: "
            f"{scalar_name(dtype.numpy)}"
        )
    return nansum(x, dim, keepdim, dtype=dtype) / x.detach().isnan().logical_not_().sum(dim, keepdim)


# ------------------------------------------------------------------------------------------------ variance


def deviations(
    name: str, input: Tensor, dim: Ints | None, unbiased: bool | None, keepdim: bool, correction: int | float | None
) -> tuple[Tensor, Dims, float]:
    """The arguments of var, std and similar functions, whose overloads share positions: (input, dims, divisor)."""
    x = checked(name, input, keepdim)
    if isinstance(dim, builtins.bool):  # f(input, unbiased)
        if unbiased is not None or correction is not None:
            raise TypeError(f"{name}() received an invalid combination of arguments: dim must be tuple of ints, not bool")
        dim, unbiased = None, dim
    if unbiased is not None:
        if correction is not None:
            raise TypeError(f"{name}() received an invalid combination of arguments: give correction or unbiased, not both")
        correction = int(unbiased)
    if x._array.dtype.kind not in INEXACT:
        raise RuntimeError(
            f"{name.replace('_', ' and ') if '_' in name else 'std and var'} only support floating point and complex dtypes"
        )
    dims = wrap_dims(dim, x._array.ndim)
    n, correction = count(x._array.shape, dims), 1 if correction is None else correction
    if n <= correction and x._array.size:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor "
            "(input numel divided by output numel).",
            UserWarning,
            stacklevel=level_of_user(),
        )
    return x, dims, builtins.max(0.0, float(n - correction))


def _var_gradient(grad: Tensor, input: Tensor, dims: Dims, keepdim: bool, divisor: float) -> Tensor:
    shape = input._array.shape
    return spread(grad * (2 / divisor if divisor else math.inf), shape, dims, keepdim) * (input - _near_mean(input, dims, True))


@linear_in("input")
@op(input=lambda grad, input_shape, dims, keepdim: _mean_gradient(grad, input_shape, dims, keepdim))
def _near_mean(input: Array, dims: Dims, keepdim: bool) -> Array:
    return near_mean(input, dims, keepdim)


@op(input=lambda grad, input, dims, keepdim, divisor: _var_gradient(grad, input, dims, keepdim, divisor))
def _var(input: Array, dims: Dims, keepdim: bool, divisor: float) -> Array:
    return squares(input, dims, keepdim, divisor)


def _std_gradient(grad: Tensor, input: Tensor, result: Tensor, dims: Dims, keepdim: bool, divisor: float) -> Tensor:
    return _var_gradient((grad / (result * 2)).masked_fill(result == 0, 0), input, dims, keepdim, divisor)


@op(input=lambda grad, input, result, dims, keepdim, divisor: _std_gradient(grad, input, result, dims, keepdim, divisor))
def _std(input: Array, dims: Dims, keepdim: bool, divisor: float) -> Array:
    return std_array(input, dims, keepdim, divisor)


def total_of(grads: Sequence[Tensor | None]) -> Any:
    """The sum of the gradients that are not None."""
    there = [g for g in grads if g is not None]
    return functools.reduce(operator.add, there) if there else None


@op(
    input=lambda grads, input, dims, keepdim, divisor: total_of(
        (
            grads[0] if grads[0] is None else _var_gradient(grads[0], input, dims, keepdim, divisor),
            grads[1] if grads[1] is None else _mean_gradient(grads[1], input._array.shape, dims, keepdim),
        )
    )
)
def _var_mean(input: Array, dims: Dims, keepdim: bool, divisor: float) -> tuple[Array, Array]:
    return squares(input, dims, keepdim, divisor), near_mean(input, dims, keepdim)


@op(
    input=lambda grads, input, result, dims, keepdim, divisor: total_of(
        (
            grads[0] if grads[0] is None else _std_gradient(grads[0], input, result[0], dims, keepdim, divisor),
            grads[1] if grads[1] is None else _mean_gradient(grads[1], input._array.shape, dims, keepdim),
        )
    )
)
def _std_mean(input: Array, dims: Dims, keepdim: bool, divisor: float) -> tuple[Array, Array]:
    return std_array(input, dims, keepdim, divisor), near_mean(input, dims, keepdim)


@method(out=True)
def var(
    input: Tensor, dim: Ints | None = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: int | float | None = None,
) -> Tensor:  # fmt: skip
    """The variance over `dim` (all by default): ``out = sum((input[i] - mean) ** 2, i) / max(0, n - correction)``

    `correction` is 1 unless given; ``unbiased=False`` makes it 0.

    Family: statistic

    >>> torch.tensor([1.0, 2.0, 3.0]).var(), torch.tensor([1.0, 2.0, 3.0]).var(correction=0)
    (tensor(1.), tensor(0.6667))
    """
    x, dims, divisor = deviations("var", input, dim, unbiased, keepdim, correction)
    return _var(x, dims, keepdim, divisor)


@method(out=True)
def std(
    input: Tensor, dim: Ints | None = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: int | float | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation: ``out = sqrt(sum((input[i] - mean) ** 2, i) / max(0, n - correction))``; its gradient is 0 where
    it is 0.

    Family: statistic

    >>> torch.std(torch.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    x, dims, divisor = deviations("std", input, dim, unbiased, keepdim, correction)
    return _std(x, dims, keepdim, divisor)


@function()
def var_mean(
    input: Tensor, dim: Ints | None = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: int | float | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Both: ``out = (var(input), mean(input))``

    Family: statistic

    >>> torch.var_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    x, dims, divisor = deviations("var_mean", input, dim, unbiased, keepdim, correction)
    return _var_mean(x, dims, keepdim, divisor)


@function()
def std_mean(
    input: Tensor, dim: Ints | None = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: int | float | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Both: ``out = (std(input), mean(input))``

    Family: statistic

    >>> torch.std_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    x, dims, divisor = deviations("std_mean", input, dim, unbiased, keepdim, correction)
    return _std_mean(x, dims, keepdim, divisor)


# ------------------------------------------------------------------------------------------------ extremes


def ordered(name: str, input: Tensor) -> None:
    """NotImplementedError for types that torch cannot order."""
    kind = input._array.dtype
    if kind.kind == "c" or kind.char in _dtypes._BAREBONES:
        raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_name(kind)}'")


@op()
def shares(input: Array, result: Array, dims: Dims, keepdim: bool, all_nan: bool = False) -> Array:
    """The share of an extreme's gradient that each element gets: those equal to it share evenly; for NaN, those that are NaN
    or, if `all_nan`, all elements get NaN."""
    extreme = result if keepdim or not dims else np.expand_dims(result, dims)
    ties = input == extreme
    if not all_nan:
        ties |= (input != input) & (extreme != extreme)
    out = ties.astype(input.dtype)
    n = np.add.reduce(ties, dims, np.int64, keepdims=True)
    if n.size and (n.max() > 1 or n.min() < 1):
        out /= n
    return out


def _extreme_gradient(grad: Tensor, input: Tensor, result: Tensor, dims: Dims, keepdim: bool, all_nan: bool) -> Tensor:
    return spread(grad, input._array.shape, dims, keepdim) * shares(input, result, dims, keepdim, all_nan)


@op(input=lambda grad, input, result, dims, keepdim, all_nan: _extreme_gradient(grad, input, result, dims, keepdim, all_nan))
def _amax(input: Array, dims: Dims, keepdim: bool, all_nan: bool = True) -> Array:
    return extremes(True, input, dims, keepdim)


@op(input=lambda grad, input, result, dims, keepdim, all_nan: _extreme_gradient(grad, input, result, dims, keepdim, all_nan))
def _amin(input: Array, dims: Dims, keepdim: bool, all_nan: bool = True) -> Array:
    return extremes(False, input, dims, keepdim)


def _extreme(name: str, kernel: str, reduce: Any, input: Tensor, dim: Ints, keepdim: bool) -> Tensor:
    x = checked(name, input, keepdim)
    ordered(kernel, x)
    dims = wrap_dims(dim, x._array.ndim)
    not_empty(name, x._array.shape, dims, isinstance(dim, int) or bool(dim))
    return reduce(x, dims, keepdim)


@method(out=type_of_input)
def amax(input: Tensor, dim: Ints = (), keepdim: bool = False) -> Tensor:
    """The largest element over `dim`: ``out = max(input[i], i)``; ties share the gradient evenly.

    Family: extreme

    >>> torch.amax(torch.tensor([[1, 5], [7, 2]]), 1)
    tensor([5, 7])
    """
    return _extreme("amax", "max_values_cpu", _amax, input, dim, keepdim)


@method(out=type_of_input)
def amin(input: Tensor, dim: Ints = (), keepdim: bool = False) -> Tensor:
    """The smallest element over `dim`: ``out = min(input[i], i)``; ties share the gradient evenly.

    Family: extreme

    >>> torch.amin(torch.tensor([[1, 5], [7, 2]]), 1)
    tensor([1, 2])
    """
    return _extreme("amin", "min_values_cpu", _amin, input, dim, keepdim)


@recorded_as("AminmaxBackward0")
@op(
    input=lambda grads, input, result, dims, keepdim: total_of(
        [g if g is None else _extreme_gradient(g, input, r, dims, keepdim, True) for g, r in zip(grads, result)]
    )
)
def _amin_and_amax(input: Array, dims: Dims, keepdim: bool) -> tuple[Array, Array]:
    return extremes(False, input, dims, keepdim), extremes(True, input, dims, keepdim)


_both_extremes = return_type("aminmax", "min max")


@method(out=True)
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> NamedTensors:
    """Both: ``out = (amin(input), amax(input))``

    Family: extreme

    >>> torch.aminmax(torch.tensor([3, 1, 2])).max
    tensor(3)
    """
    x = checked("aminmax", input, keepdim)
    ordered("aminmax", x)
    dims = wrap_dims(dim, x._array.ndim)
    if dim is None and not x._array.size:
        raise RuntimeError("aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.")
    not_empty("aminmax", x._array.shape, dims, dim is not None)
    return _both_extremes(*_amin_and_amax(x, dims, keepdim))


@op()
def _argmax(input: Array, dim: int | None, keepdim: bool) -> Array:
    return sums.places_of_extremes(True, input, dim, keepdim)


@op()
def _argmin(input: Array, dim: int | None, keepdim: bool) -> Array:
    return sums.places_of_extremes(False, input, dim, keepdim)


def _arg_extreme(name: str, search: Any, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    x = checked(name, input, keepdim)
    if x._array.dtype.kind in "bc":
        raise RuntimeError(f"{name}(): does not support {'bool' if x._array.dtype.kind == 'b' else 'complex'} input")
    ordered(f"{name}_cpu", x)
    if dim is not None:
        dim = wrap_dim(dim, x._array.ndim)
        not_empty(name, x._array.shape, (dim,) if x._array.ndim else (), True)
    elif not x._array.size:
        raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
    return search(x, dim if x._array.ndim else None, keepdim)


@method(out=True)
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element (the first of equals; NaN is largest): ``input[out] = max(input[i], i)``

    Family: extreme

    >>> torch.argmax(torch.tensor([[1, 5], [7, 2]])), torch.argmax(torch.tensor([[1, 5], [7, 2]]), 1)
    (tensor(2), tensor([1, 0]))
    """
    return _arg_extreme("argmax", _argmax, input, dim, keepdim)


@method(out=True)
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element (the first of equals; NaN is smallest): ``input[out] = min(input[i], i)``

    Family: extreme

    >>> torch.argmin(torch.tensor([[1, 5], [7, 2]])), torch.argmin(torch.tensor([[1, 5], [7, 2]]), 1)
    (tensor(0), tensor([0, 1]))
    """
    return _arg_extreme("argmin", _argmin, input, dim, keepdim)


_max, _min = return_type("max", "values indices"), return_type("min", "values indices")


def pick(input: Tensor, dim: int, indices: Tensor, keepdim: bool) -> tuple[Tensor, Tensor]:
    """The elements at `indices`, which have size 1 along `dim`: (values, indices)."""
    values = input.gather(dim, indices)
    return (values, indices) if keepdim or not input._array.ndim else (values.squeeze(dim), indices.squeeze(dim))


def _choose(
    name: str, reduce: Any, search: Any, result: Any, input: Tensor, dim: Ints | None, keepdim: bool, other: object
) -> Any:
    """The three overloads of max and min."""
    x = checked(name, input, keepdim)
    if isinstance(dim, Tensor) and keepdim:
        dim = index_of(dim, f"{name}() received an invalid combination of arguments: dim must be int")
    if isinstance(dim, Tensor) or other is not None:
        return getattr(x, f"{name}imum")(dim if other is None else other)
    if dim is None:
        ordered(f"{name}_all", x)
        dims = tuple(range(x._array.ndim))
        not_empty(name, x._array.shape, dims, False)
        return reduce(x, dims, False, False)
    dim = wrap_dim(dim, x._array.ndim)
    if x._array.dtype.kind == "c":
        raise RuntimeError(f"{name}(): does not support complex input")
    ordered(name, x)
    not_empty(name, x._array.shape, (dim,) if x._array.ndim else (), True)
    return result(*pick(x, dim, search(x, dim if x._array.ndim else None, True), keepdim))


@method(out=same_types_along)
def max(input: Tensor, dim: Ints | None = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The largest element, ``out = max(input[i], i)``; with `dim`, also its index; with a tensor,
    ``out = maximum(input, other)``. Over all, equal elements share the gradient evenly; over `dim`, the chosen one gets it.

    Family: extreme

    >>> torch.tensor([1.0, 5.0, 2.0]).max(), torch.tensor([[1.0, 5.0], [7.0, 2.0]]).max(1).indices
    (tensor(5.), tensor([1, 0]))
    """
    return _choose("max", _amax, _argmax, _max, input, dim, keepdim, other)


@method(out=same_types_along)
def min(input: Tensor, dim: Ints | None = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The smallest element, ``out = min(input[i], i)``; with `dim`, also its index; with a tensor,
    ``out = minimum(input, other)``.

    Family: extreme

    >>> torch.min(torch.tensor([[1.0, 5.0], [7.0, 2.0]]), 1).values
    tensor([1., 2.])
    """
    return _choose("min", _amin, _argmin, _min, input, dim, keepdim, other)


# ------------------------------------------------------------------------------------------------ truth


@op()
def _all(input: Array, dims: Dims | None, keepdim: bool) -> Array:
    return _truth(np.logical_and, input, dims, keepdim)


@op()
def _any(input: Array, dims: Dims | None, keepdim: bool) -> Array:
    return _truth(np.logical_or, input, dims, keepdim)


def _truth(ufunc: np.ufunc, x: Array, dims: Dims | None, keepdim: bool) -> Array:
    out = x != 0 if dims is None else reduce(ufunc, x, dims, keepdim)
    return np.asarray(out, np.uint8 if x.dtype == uint8.numpy else np.bool_)


def _truth_out(result: Tensor, out: Tensor, args: Sequence[object]) -> None:
    if out._array.dtype.char not in "?B":
        raise RuntimeError(f"all only supports bool tensor for result, got: {scalar_name(out._array.dtype)}")


def _truth_dims(input: Tensor, dim: Ints | None) -> Dims | None:
    """() means no dimensions here; for sums it means all of them."""
    return None if isinstance(dim, (tuple, list)) and not dim else wrap_dims(dim, input._array.ndim)


@method(out=_truth_out)
def all(input: Tensor, dim: Ints | None = None, keepdim: bool = False) -> Tensor:
    """Whether no element over `dim` is 0: ``out = min(input[i] != 0, i)``; uint8 for uint8.

    Family: reduction

    >>> torch.all(torch.tensor([[True, False], [True, True]]), 1)
    tensor([False,  True])
    """
    x = checked("all", input, keepdim)
    return _all(x, _truth_dims(x, dim), keepdim)


@method(out=_truth_out)
def any(input: Tensor, dim: Ints | None = None, keepdim: bool = False) -> Tensor:
    """Whether an element over `dim` is not 0: ``out = max(input[i] != 0, i)``; uint8 for uint8.

    Family: reduction

    >>> torch.any(torch.tensor([[True, False], [False, False]]), 1)
    tensor([ True, False])
    """
    x = checked("any", input, keepdim)
    return _any(x, _truth_dims(x, dim), keepdim)


@op()
def _count_nonzero(input: Array, dims: Dims) -> Array:
    return np.array(np.count_nonzero(input, dims), np.int64, order="C")


@method()
def count_nonzero(input: Tensor, dim: Ints | None = None) -> Tensor:
    """The number of nonzero elements over `dim`: ``out = sum(input[i] != 0, i)``

    Family: reduction
    Shapes: (*in) -> (*in) without the dimensions `dim`; () if it is omitted.

    >>> torch.count_nonzero(torch.tensor([[0, 5], [7, 2]]), 0)
    tensor([1, 2])
    """
    x = checked("count_nonzero", input)
    return _count_nonzero(x, wrap_dims(dim, x._array.ndim))


# ------------------------------------------------------------------------------------------------ logsumexp


def _softmax_of(grad: Tensor, input: Tensor, result: Tensor, dims: Dims, keepdim: bool) -> Tensor:
    shape = input._array.shape
    weights = (input - spread(result, shape, dims, keepdim)).exp()
    return spread(grad, shape, dims, keepdim) * (weights.conj() if input._array.dtype.kind == "c" else weights)


@op(input=lambda grad, input, result, dims, keepdim: _softmax_of(grad, input, result, dims, keepdim))
def _logsumexp(input: Array, dims: Dims, keepdim: bool) -> Array:
    if not input.size:
        return np.log(add_up(input, dims, keepdim))
    if input.dtype.char in "fd" and (len(dims) == 1 or trailing(input, dims)):
        dim = builtins.min(dims)
        x = input if len(dims) == 1 else input.reshape(*input.shape[:dim], -1)
        return log_sum_exp(x, dim).reshape(reduced(input.shape, dims, keepdim))
    largest = np.maximum.reduce(input.real, dims, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    out = np.log(add_up(np.exp(input - largest), dims, True)) + largest
    return out.reshape(reduced(input.shape, dims, keepdim))


@method(out=True)
@public("special")
def logsumexp(input: Tensor, dim: Ints, keepdim: bool = False) -> Tensor:
    """``out = log(sum(exp(input[i]), i))`` over `dim`, without overflow: the largest element is factored out first.

    Family: reduction

    >>> torch.logsumexp(torch.tensor([1000.0, 1000.0]), 0)
    tensor(1000.6932)
    """
    x = checked("logsumexp", input, keepdim)
    if x._array.dtype.kind not in INEXACT:
        x = x.to(_dtypes.get_default_dtype())
    return _logsumexp(x, wrap_dims(dim, x._array.ndim), keepdim)


@op()
def _hash(input: Array, dims: Dims, keepdim: bool) -> Array:
    wide = input.astype(np.float64 if input.dtype.kind in FLOATING else np.uint64 if input.dtype.kind in "bu" else np.int64)
    return reduce(np.bitwise_xor, wide.view(np.uint64), dims, keepdim)


@method(out=True)
def hash_tensor(input: Tensor, dim: Ints = (), *, keepdim: bool = False, mode: int = 0) -> Tensor:
    """The exclusive or of all elements over `dim`, each as a 64-bit integer or float, in uint64:
    ``out = input[0] ^ input[1] ^ ...``

    Family: reduction

    >>> torch.hash_tensor(torch.tensor([1, 2, 4]))
    tensor(7, dtype=torch.uint64)
    """
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    checked("hash_tensor", input, keepdim)
    dims = wrap_dims(dim, input.ndim)
    not_empty("hash_tensor", input._array.shape, dims, dim is not None and dim != () and dim != [])
    if input._array.dtype.kind == "c":
        raise NotImplementedError(f"\"xor_sum_cpu\" not implemented for '{scalar_name(input._array.dtype)}'")
    return _hash(input, dims, keepdim)
