"""Scans: cumulative sums, products and extremes; and the product, whose derivative consists of them."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import broadcast_shapes, listed, type_name, wrap_dim
from mini_dl._dtypes import INEXACT, Array, Ints, dtype, dtype as DType, given_type, is_number, scalar_name, uint8
from mini_dl._surface import NamedTensors, function, method, named, public, return_type
from mini_dl.autograd.mode import differentiates
from mini_dl.autograd.primitive import linear_in, op
from mini_dl.kernels.sorting import places_of_extremes
from mini_dl.kernels.sums import Dims, accumulate, log_cumulative_sum, product
from mini_dl.ops.joining import cat
from mini_dl.ops.reduction import checked, of_type, ordered, spread
from mini_dl.tensor import Operand, Tensor, wrap


@linear_in("input")
@op(input=lambda grad, dim, reverse: grad if _is_short(grad, dim) else _cumsum(grad, dim, not reverse))
def _cumsum(input: Array, dim: int, reverse: bool) -> Array:
    return accumulate(np.add, input, dim, reverse)


def _is_short(input: Tensor, dim: int) -> bool:
    """Whether there is one element at most along `dim`, so that running results are the elements."""
    return input._array.size < 2 or input._array.shape[dim] == 1


def _countable(name: str, input: Tensor, dtype: dtype | None) -> Tensor:
    """`input` in the type of the computation. NotImplementedError if bool is requested."""
    if dtype is not None and given_type(dtype, f"{name}(): argument 'dtype'").numpy.kind == "b":
        raise NotImplementedError(f"\"{name}_out_cpu\" not implemented for 'Bool'")
    return of_type(checked(name, input), dtype)


@method(inplace=True, out=True)
def cumsum(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """The running sum along `dim`, in `dtype`, int64 for integers and bools: ``out[k] = sum(input[j], j)`` over ``j <= k``

    Family: scan

    >>> torch.cumsum(torch.tensor([[1, 2, 3], [4, 5, 6]]), 1)
    tensor([[ 1,  3,  6],
            [ 4,  9, 15]])
    """
    x = _countable("cumsum", input, dtype)
    return of_type(_cumsum(x, wrap_dim(dim, x._array.ndim), False), dtype)


# ------------------------------------------------------------------------------------------------ products


@op(input=lambda grad, dim, by: shift(grad, dim, -by))
def shift(input: Array, dim: int, by: int, fill: float = 0) -> Array:
    """`input` shifted by one position along `dim`, forward (`by` = 1) or back (-1), with `fill` at the free end."""
    out = np.full(input.shape, fill, input.dtype)
    if not input.ndim:
        return out
    to, source = np.moveaxis(out, dim, 0), np.moveaxis(input, dim, 0)
    if by > 0:
        to[1:] = source[:-1]
    else:
        to[:-1] = source[1:]
    return out


@linear_in("terms")
@op(
    factors=lambda grad, factors, result, dim, reverse: (
        recurrence(shift(conj(factors), dim, 1 if reverse else -1), grad, dim, not reverse)
        * shift(conj(result), dim, -1 if reverse else 1)
    ),
    terms=lambda grad, factors, dim, reverse: recurrence(shift(conj(factors), dim, 1 if reverse else -1), grad, dim, not reverse),
)
def recurrence(factors: Array, terms: Array, dim: int, reverse: bool) -> Array:
    """``y[k] = factors[k] * y[k - 1] + terms[k]``, from either end: the gradient of every scan has this form, even its own."""
    y = np.array(terms)
    if y.ndim:
        along, factors = np.moveaxis(y, dim, 0), np.moveaxis(factors, dim, 0)
        steps = range(len(along))[::-1] if reverse else range(len(along))
        for before, k in itertools.pairwise(steps):
            along[k] += factors[k] * along[before]
    return y


def conj(x: Tensor) -> Tensor:
    return x.conj() if x._array.dtype.kind == "c" else x


@op(input=lambda grad, input, result, dim, reverse: _cumprod_gradient(grad, input, result, dim, reverse))
def _cumprod(input: Array, dim: int, reverse: bool) -> Array:
    return accumulate(np.multiply, input, dim, reverse)


def _cumprod_gradient(grad: Tensor, input: Tensor, result: Tensor, dim: int, reverse: bool) -> Tensor:
    """``sum over j >= k of grad[j] * result[j] / input[k]``, without division where an element is 0."""
    if _is_short(input, dim):
        return grad
    if not is_abstract(input) and input._array.all():
        return _cumsum(grad * conj(result), dim, not reverse) / conj(input)
    after, before = (1, -1) if reverse else (-1, 1)
    return recurrence(shift(conj(input), dim, after), grad, dim, not reverse) * shift(conj(result), dim, before, 1)


@method(inplace=True, out=True)
def cumprod(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """The running product along `dim`, in `dtype`, int64 for integers and bools: ``out[k] = prod(input[j], j)`` over ``j <= k``

    Family: scan

    >>> torch.cumprod(torch.tensor([1, 2, 3, 4]), 0)
    tensor([ 1,  2,  6, 24])
    """
    x = _countable("cumprod", input, dtype)
    return of_type(_cumprod(x, wrap_dim(dim, x._array.ndim), False), dtype)


def _in_own_type(name: str) -> None:
    """Make the in-place version reject what it could not write: bools, and a type other than the tensor's."""
    writing = getattr(Tensor, name + "_")

    @functools.wraps(writing)
    def call(self: Tensor, *args: object, **kwargs: object) -> Tensor:
        have, wanted = self._array.dtype, kwargs.get("dtype")
        if have.kind == "b":
            raise NotImplementedError(f"\"{name}_out_cpu\" not implemented for 'Bool'")
        if isinstance(wanted, DType) and wanted.numpy != have:
            raise RuntimeError(f"Bad in-place call: input dtype {have} and output dtype {wanted.numpy} should match")
        return writing(self, *args, **kwargs)

    setattr(Tensor, name + "_", call)


for _name in ("cumsum", "cumprod"):
    _in_own_type(_name)


def _prod_gradient(grad: Tensor, input: Tensor, result: Tensor, dims: Dims, keepdim: bool, whole: bool) -> Tensor:
    """``grad * (product of the others)``: by division or, where an element is 0, from the products on both sides."""
    shape = input._array.shape
    if not shape:
        return grad
    if not is_abstract(input) and input._array.all():
        return spread(grad * conj(result), shape, dims, keepdim) / conj(input)
    if (
        whole and not differentiates() and not is_abstract(input) and input._array.size - np.count_nonzero(input._array) > 1
    ):  # regardless of the others
        return wrap(np.zeros(shape, grad._array.dtype))
    if len(dims) != 1:
        return _prod_gradient(grad.reshape(1), input.reshape(-1), result, (0,), True, whole).reshape(shape)
    x = conj(input)
    others = shift(_cumprod(x, dims[0], False), dims[0], 1, 1) * shift(_cumprod(x, dims[0], True), dims[0], -1, 1)
    return spread(grad, shape, dims, keepdim) * others


@op(input=lambda grad, input, result, dims, keepdim, whole: _prod_gradient(grad, input, result, dims, keepdim, whole))
def _prod(input: Array, dims: Dims, keepdim: bool, whole: bool) -> Array:
    return product(input, dims, keepdim)


@method(out=True)
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """The product over `dim` (all by default), computed in `dtype`, int64 for integers and bools: ``out = prod(input[i], i)``

    Family: reduction

    >>> torch.prod(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([ 2., 12.])
    """
    x = of_type(checked("prod", input, keepdim), dtype)
    ndim = x._array.ndim
    dims = tuple(range(ndim)) if dim is None else (wrap_dim(dim, ndim),) if ndim else (wrap_dim(dim, ndim),)[:0]
    return of_type(_prod(x, dims, keepdim, dim is None), dtype)


# ------------------------------------------------------------------------------------------------ extremes


@op()
def _running(input: Array, dim: int, largest: bool) -> Array:
    """The index of the extreme so far along `dim`: the last of equals; NaN is both largest and smallest."""
    return places_of_extremes(input, dim, largest)


def _running_extreme(name: str, largest: bool, *example: str) -> Callable[..., NamedTensors]:
    """``torch.cummax`` or ``torch.cummin``, published; the input, the values and the indices of the example"""
    result = return_type(name, "values indices")

    def extreme(input: Tensor, dim: int) -> NamedTensors:
        dim = wrap_dim(dim, checked(name, input)._array.ndim)
        ordered(name + "_cpu", input)
        indices = _running(input, dim, largest)
        return result(input.gather(dim, indices), indices)

    doc = f"""The {"largest" if largest else "smallest"} element so far along `dim`, and its index:
    ``values[k] = {"max" if largest else "min"}(input[j], j)`` over ``j <= k``

    Family: scan

    >>> torch.{name}(torch.tensor([{example[0]}]), 0)
    torch.return_types.{name}(
    values=tensor([{example[1]}]),
    indices=tensor([{example[2]}]))
    """
    return method(out=True)(named(extreme, name, doc))


cummax = _running_extreme("cummax", True, "1, 3, 2, 4", "1, 3, 3, 4", "0, 1, 1, 3")
cummin = _running_extreme("cummin", False, "3, 1, 2, 0", "3, 1, 1, 0", "0, 1, 1, 3")


# ------------------------------------------------------------------------------------------------ logcumsumexp


def _logcumsumexp_gradient(grad: Tensor, input: Tensor, result: Tensor, dim: int) -> Tensor:
    """``exp(input[k]) * sum over j >= k of grad[j] / exp(result[j])``, as a recurrence whose factors are at most 1."""
    if not input._array.ndim or not input._array.size:
        return grad
    before = shift(result, dim, 1, -math.inf)
    decay, weight = conj((before - result).exp()), conj((input - result).exp())
    decay = decay.masked_fill((before == result) & result.isinf(), 1)  # where inf - inf would be NaN
    return weight * recurrence(shift(decay, dim, -1), grad, dim, True)


@op(input=lambda grad, input, result, dim: _logcumsumexp_gradient(grad, input, result, dim))
def _logcumsumexp(input: Array, dim: int) -> Array:
    return log_cumulative_sum(input, dim)


@method(out=True)
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """The running sum of exponentials along `dim`, as a logarithm, without overflow: ``out[k] = log(sum(exp(input[j]), j))``
    over ``j <= k``

    Family: scan

    >>> torch.logcumsumexp(torch.tensor([1000.0, 1000.0]), 0)
    tensor([1000.0000, 1000.6932])
    """
    dim = wrap_dim(dim, checked("logcumsumexp", input)._array.ndim)
    if input._array.dtype.kind not in INEXACT:
        raise NotImplementedError(f"\"logcumsumexp_out_cpu\" not implemented for '{scalar_name(input._array.dtype)}'")
    return _logcumsumexp(input, dim)


# ------------------------------------------------------------------------------------------------ differences, trapezoids


@method(out=True)
def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
    """Differences of neighbors along `dim`, `n` times, of `input` between `prepend` and `append`:
    ``out[k] = input[k + 1] - input[k]``

    Shapes: (*in) -> (*in), n smaller at `dim`, plus what is prepended and appended.
    Raises: RuntimeError for a 0-d `input` and for a negative `n`; IndexError for a dimension that `input` lacks.

    >>> torch.diff(torch.tensor([1, 4, 9, 16]))
    tensor([3, 5, 7])
    >>> torch.diff(torch.tensor([1, 4, 9, 16]), n=2)
    tensor([2, 2])
    """
    x = checked("diff", input)
    if not x._array.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    dim = wrap_dim(dim, x._array.ndim)
    ends = [prepend, append]
    for end in ends:
        if end is not None and end._array.ndim != x._array.ndim:
            raise RuntimeError("diff expects prepend or append to be the same dimension as input")
        if end is not None and any([a != b for i, (a, b) in enumerate(zip(end._array.shape, x._array.shape)) if i != dim]):
            raise RuntimeError(
                "diff expects the shape of tensor to prepend or append to match that of input except along the differencing "
                "dimension"
            )
    if n == 0:
        return x.clone()
    if prepend is not None or append is not None:
        x = cat([part for part in (prepend, x, append) if part is not None], dim)
    for _ in range(n):
        size = x._array.shape[dim]
        if size <= 1:
            return x.narrow(dim, 0, 0).clone()
        after, before = x.narrow(dim, 1, size - 1), x.narrow(dim, 0, size - 1)
        x = after.logical_xor(before) if x._array.dtype.kind == "b" else after - before
    return x


def _points(name: str, x: Tensor, n: int, dim: int, ndim: int) -> Tensor:
    """The points of `n` values along `dim`, one of `ndim` dimensions: one vector for all, or of the values' rank."""
    shape = x._array.shape
    if len(shape) < 2 and shape != (n,):
        raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
    return x.reshape([-1 if i == dim else 1 for i in range(ndim)] if len(shape) == 1 else (1,) * (ndim - len(shape)) + shape)


def _step(name: str, dx: Operand | None) -> Operand:
    """The distance of points: a number, also as a tensor without dimensions. RuntimeError unless it is real."""
    step = 1 if dx is None else dx.item() if isinstance(dx, Tensor) and not dx._array.ndim else dx
    if isinstance(step, (bool, complex)):
        raise RuntimeError(f"{name}: dx must be a real number, got {step}")
    if not is_number(step):
        raise TypeError(f"{name}() received an invalid combination of arguments: dx must be Number")
    return step


def _areas(name: str, y: Tensor, x: Tensor | None, dx: Operand | None, dim: int) -> tuple[Tensor, int]:
    """Twice the areas between neighbors along `dim`."""
    ndim = checked(name, y)._array.ndim
    if not ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = wrap_dim(dim, ndim)
    for label, given in (("y", y), ("x", x)):
        if given is not None and given._array.dtype.kind == "b":
            raise RuntimeError(f"{name}: received a bool input for `{label}`, but bool is not supported")
    n = y._array.shape[dim]
    if x is None:
        width: Any = _step(name, dx)
    else:
        if dx is not None:
            raise TypeError(f"{name}() received an invalid combination of arguments: give x or dx, not both")
        if n or name != "trapezoid":
            width = diff(_points(name, x, n, dim, ndim), dim=dim)
    if n == 0:
        broadcast_shapes(y._array.shape, width._array.shape if x is not None and name != "trapezoid" else ())
        return y.sum(dim, keepdim=True) * 0 if name == "trapezoid" else y, dim
    return (y.narrow(dim, 1, n - 1) + y.narrow(dim, 0, n - 1)) * width, dim


@public("torch", "torch:trapz")
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Operand | None = None, dim: int = -1) -> Tensor:
    """The integral along `dim` by the trapezoid rule, over points `x` or steps `dx`:
    ``out = sum((x[k + 1] - x[k]) * (y[k] + y[k + 1]) / 2, k)``

    Shapes: `y` (*in), `x` (n,) or broadcast with `y` -> (*in) without `dim`.
    Raises: RuntimeError if both `x` and `dx` are given, or if `x` does not match; IndexError for a dimension that `y` lacks.

    >>> torch.trapezoid(torch.tensor([0.0, 1.0, 4.0]), torch.tensor([0.0, 1.0, 2.0]))
    tensor(3.)
    """
    areas, dim = _areas("trapezoid", y, x, dx, dim)
    if x is None and (n := y._array.shape[dim]):  # the sum without half of both ends
        ends = (y.narrow(dim, 0, 1) + y.narrow(dim, n - 1, 1)).squeeze(dim) / 2
        return (y.sum(dim) - ends) * _step("trapezoid", dx)
    return areas.sum(dim) / 2


@function()
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Operand | None = None, dim: int = -1) -> Tensor:
    """The integral up to each point by the trapezoid rule: ``out[k] = sum((x[j + 1] - x[j]) * (y[j] + y[j + 1]) / 2, j)`` over
    ``j <= k``

    Shapes: `y` (*in), `x` (n,) or broadcast with `y` -> (*in), one smaller at `dim`.
    Raises: RuntimeError if both `x` and `dx` are given, or if `x` does not match; IndexError for a dimension that `y` lacks.

    >>> torch.cumulative_trapezoid(torch.tensor([0.0, 1.0, 4.0]), dx=1.0)
    tensor([0.5000, 3.0000])
    """
    areas, dim = _areas("cumulative_trapezoid", y, x, dx, dim)
    return areas.cumsum(dim) / 2


def _slope(f: Tensor, dim: int, steps: Any, edge_order: int) -> Tensor:
    """The derivative along `dim` by second-order differences (`edge_order` at the ends); `steps` is a number or distances."""
    n = f._array.shape[dim]

    def at(i: int, size: int = 1) -> Tensor:
        return f.narrow(dim, i if i >= 0 else n + i, size)

    def step(i: int, size: int = 1) -> Any:
        if not isinstance(steps, Tensor):
            return steps
        shape = [size if d == dim else 1 for d in range(f._array.ndim)]
        return steps.narrow(0, i if i >= 0 else n - 1 + i, size).reshape(shape)

    if isinstance(steps, Tensor):
        before, after = step(0, n - 2), step(1, n - 2)
        middle = (
            at(0, n - 2) * (-after / (before * (before + after)))
            + at(1, n - 2) * ((after - before) / (before * after))
            + at(2, n - 2) * (before / (after * (before + after)))
        )
    else:
        middle = (at(2, n - 2) - at(0, n - 2)) / (2 * steps)
    if edge_order == 1:
        return cat([(at(1) - at(0)) / step(0), middle, (at(-1) - at(-2)) / step(-1)], dim)
    a, b = step(0), step(1)
    first = at(0) * (-(2 * a + b) / (a * (a + b))) + at(1) * ((a + b) / (a * b)) + at(2) * (-a / (b * (a + b)))
    a, b = step(-2), step(-1)
    last = at(-3) * (b / (a * (a + b))) + at(-2) * (-(a + b) / (a * b)) + at(-1) * ((2 * b + a) / (b * (a + b)))
    return cat([first, middle, last], dim)


@function()
def gradient(input: Tensor, *, spacing: Any = None, dim: Ints | None = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """The derivatives of samples along each `dim`, by differences of neighbors:
    ``out[k] = (input[k + 1] - input[k - 1]) / (2 * spacing)``

    At the borders one-sided, of order `edge_order`. `spacing` is the distance of the samples, one distance for each `dim`, or
    a tensor of coordinates for each.

    Shapes: (*in) -> one (*in) for each `dim`.
    Raises: RuntimeError unless each `dim` has ``edge_order + 1`` samples, and if `spacing` does not match.

    >>> torch.gradient(torch.tensor([0.0, 1.0, 4.0, 9.0]))
    (tensor([1., 2., 4., 5.]),)
    """
    x = checked("gradient", input)
    ndim = x._array.ndim
    dims = list(range(ndim)) if dim is None else listed(dim)
    wrapped = [wrap_dim(d, ndim) for d in dims]
    if len(set(wrapped)) < len(wrapped):
        repeated = next(d for i, d in enumerate(wrapped) if d in wrapped[:i])
        raise RuntimeError(f"dim {repeated} appears multiple times in the list of dims")
    if isinstance(spacing, (Tensor, np.ndarray)):
        raise TypeError(f"gradient(): argument 'spacing' must be a number or a list, not {type_name(spacing)}")
    if spacing is None or is_number(spacing):
        each: list[Any] = [1 if spacing is None else spacing] * len(dims)
    else:
        each = list(spacing)
        if len(each) != len(dims):
            raise RuntimeError(
                f"torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to 'self.dim() = "
                f"{ndim}', since dim argument was not given, but got a list of length {len(each)}"
                if dim is None
                else "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have the "
                f"same length, but got a spacing argument of length {len(each)} and a dim argument of length {len(dims)}."
            )
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if x._array.dtype == uint8.numpy:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    for d, space in zip(wrapped, each):
        if not ndim or x._array.shape[d] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
        if isinstance(space, Tensor):
            if space._array.ndim != 1:
                raise RuntimeError(
                    "torch.gradient expected each element of spacing to have one dimension, but got an element with "
                    f"{space._array.ndim} dimensions!"
                )
            if space._array.shape[0] != x._array.shape[d]:
                raise RuntimeError(
                    "torch.gradient expected each element of spacing to have the same length as the dimension it is for"
                )
    return tuple(
        [_slope(x, d, diff(space) if isinstance(space, Tensor) else space, edge_order) for d, space in zip(wrapped, each)]
    )
