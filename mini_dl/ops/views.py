"""Views: other shapes of the same memory. Writes to either side affect the other, and so do gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._checks import (
    index_of,
    infer_size,
    int_list,
    spread_out,
    type_name,
    warn_once,
    wrap_dim,
    wrap_dims,
)
from mini_dl._dtypes import Array, Ints, NumpyType, buffer_of, dtype as DType, scalar_name
from mini_dl._surface import method, tensor_method
from mini_dl.autograd.node_names import rename
from mini_dl.autograd.primitive import linear_in, may_alias_argument, op, view
from mini_dl.autograd.single import as_it_is
from mini_dl.kernels.copying import reshaped
from mini_dl.tensor import Tensor, version_of, wrap

# ------------------------------------------------------------------------------------------------ omitted elements


@linear_in("input")
@op(input=lambda grad, look, args: look(grad, *args))
@as_it_is
def place(input: Array, look: Callable[..., Any], args: tuple[Any, ...], shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with `input` at the positions of the view ``look(_, *args)``: the adjoint of views that omit elements."""
    out = np.zeros(shape, input.dtype)
    look.op.forward(out, *args)[...] = input  # type: ignore[attr-defined]
    return out


# ------------------------------------------------------------------------------------------------ another shape


@view(input=lambda grad, input_shape: grad if input_shape else grad.sum())  # to other shapes the engine sums
def _expand(input: Array, shape: tuple[int, ...]) -> Array:
    # like np.broadcast_to, but writable: parts of the result without repeated elements may be written to
    if not input.flags.writeable:
        return np.broadcast_to(input, shape)
    if input.flags.c_contiguous and input.size:
        new = len(shape) - input.ndim
        steps = [step if n > 1 else 0 for n, step in zip(input.shape, input.strides)]
        return np.ndarray(shape, input.dtype, buffer_of(input), 0, (*(0,) * new, *steps))
    flags = ["multi_index", "refs_ok", "zerosize_ok", "reduce_ok"]
    return np.nditer((input,), flags, ["readwrite"], itershape=shape, order="C").itviews[0]  # type: ignore[call-overload]


@tensor_method()
@spread_out
def expand(self: Tensor, size: tuple[int, ...], *, implicit: bool = False) -> Tensor:
    """The elements repeated along dimensions of size 1, without copying: ``out[i, j] = self[0, j]``

    Shapes: (*in) -> `size`, in which -1 keeps a size; a view.
    Raises: RuntimeError if a size other than 1 would change.

    >>> torch.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    return expand_to(self, size)


def expand_to(self: Tensor, size: tuple[int, ...]) -> Tensor:
    shape = self._array.shape
    new = len(size) - len(shape)
    if new < 0:
        raise RuntimeError(
            f"expand(torch.{scalar_name(self._array.dtype)}Tensor{{{list(shape)}}}, size={list(size)}): the number of sizes "
            f"provided ({len(size)}) must be greater or "
            f"equal to the number of dimensions in the tensor ({len(shape)})"
        )
    target = []
    for i, n in enumerate(size):
        if n == -1 and i < new:
            raise RuntimeError(f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {i}")
        if n < -1:
            raise RuntimeError(f"expand: size {n} is negative; sizes: {list(size)}")
        old = 1 if i < new else shape[i - new]
        if n == -1:
            n = old
        elif old not in (1, n):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({old}) at non-singleton dimension {i}.  "
                f"Target sizes: {list(size)}.  Tensor sizes: {list(shape)}"
            )
        target.append(n)
    return _expand(self, tuple(target))


@tensor_method()
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """``out = self.expand(other.shape)``

    Shapes: (*in), `other` (*out) -> (*out); a view.
    Raises: RuntimeError if a size other than 1 would change.

    >>> torch.tensor([[1], [2]]).expand_as(torch.zeros(2, 3))
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    return expand_to(self, other._array.shape)


@method()
@spread_out
def broadcast_to(input: Tensor, size: tuple[int, ...]) -> Tensor:
    """``out = input.expand(size)``

    Shapes: (*in) -> `size`; a view.
    Raises: RuntimeError if a size other than 1 would change.

    >>> torch.broadcast_to(torch.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand_to(input, size)


@view(input=lambda grad, input_shape: _reshaped(grad, input_shape))
def _view(input: Array, shape: tuple[int, ...]) -> Array:
    return reshaped(input, shape)


@linear_in("input")
@may_alias_argument
@op(input=lambda grad, input_shape: _reshaped(grad, input_shape))
def unsafe_view(input: Array, shape: tuple[int, ...]) -> Array:
    """Another shape of an intermediate result that nothing else sees; not recorded as a view."""
    return reshaped(input, shape)


@method()
@spread_out
def reshape(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The elements in the same order in another shape: ``out.flatten() = input.flatten()``; a view where the memory allows it.

    Shapes: (*in) -> `shape`, of which one size may be -1.
    Raises: RuntimeError if the number of elements differs.

    >>> torch.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return _reshaped(input, infer_size(shape, input._array.size))


def _reshaped(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    out = _view(input, shape)
    if out._base is None and out._edge is not None and out is not input:
        rename(out, "UnsafeViewBackward0")  # of a copy
    return out


@tensor_method()
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """``out = self.reshape(other.shape)``

    Shapes: (*in), `other` (*out) -> (*out).
    Raises: RuntimeError if the number of elements differs.

    >>> torch.arange(4).reshape_as(torch.zeros(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return reshape(self, other._array.shape)


@method()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions `start_dim` to `end_dim` merged into one: ``out[i * n + j] = input[i, j]``

    Shapes: (*a, *b, *c) -> (*a, product of b, *c).
    Raises: RuntimeError if `start_dim` comes after `end_dim`; IndexError for a dimension that `input` lacks.

    >>> torch.flatten(torch.zeros(2, 3, 4), 1).shape
    torch.Size([2, 12])
    """
    shape = input._array.shape
    start, end = wrap_dim(start_dim, len(shape)), wrap_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return _view(input, (1,))
    if start == end:
        return input
    size = 1
    for n in shape[start : end + 1]:
        size *= n
    return _reshaped(input, (*shape[:start], size, *shape[end + 1 :]))


@method()
def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension, next to each other in memory: ``out[i * n + j] = input[i, j]``

    Shapes: (*in) -> (product of in,).
    Raises: TypeError unless `input` is a tensor.

    >>> torch.ravel(torch.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    return reshape(input.contiguous(), -1)


@method()
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension split into these sizes, one of which may be -1: ``out[i, j] = input[i * sizes[1] + j]``

    Shapes: (*a, n, *b) -> (*a, *sizes, *b).
    Raises: RuntimeError if the product of the sizes is not n; IndexError for a dimension that `input` lacks.

    >>> torch.unflatten(torch.arange(6), 0, (2, 3))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    shape = input._array.shape
    if not shape:
        raise RuntimeError("unflatten: a tensor without dimensions has none to split")
    dim = wrap_dim(dim, len(shape))
    sizes = int_list(sizes, "unflatten(): argument 'sizes' (position 3)") if sizes is not None else ()
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        inner = infer_size(sizes, shape[dim])
    except RuntimeError as error:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[dim]}) in the input "
            "tensor"
            if "is invalid for input" in str(error)
            else str(error)
        ) from None
    return view_(input, (*shape[:dim], *inner, *shape[dim + 1 :]))


def view_(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`input` in another shape, sharing memory. RuntimeError if that needs a copy."""
    out = _view(input, shape)
    if out._base is None and input._array.size and not (input._inference and np.may_share_memory(out._array, input._array)):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return out


@tensor_method()
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """``out = self.view(other.shape)``

    Shapes: (*in), `other` (*out) -> (*out), sharing memory.
    Raises: RuntimeError if the number of elements differs or the memory does not allow it.

    >>> torch.arange(4).view_as(torch.zeros(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return view_(self, infer_size(other._array.shape, self._array.size))


@may_alias_argument
@op()
@as_it_is
def _view_type(input: Array, target: NumpyType) -> Array:
    return input.view(target)


def _with_memory_of(input: Tensor, out: Tensor) -> Tensor:
    """`out`, which shows the memory of `input` and its version, but has no history: it is not a view for autograd."""
    if not input._inference and not out._inference:
        out._counter = version_of(input)
    return out


def _view_as_type(input: Tensor, target: DType) -> Tensor:
    """The same bytes interpreted as another type; the last dimension shrinks or grows with the size of the elements."""
    array, wanted = input._array, target.numpy
    if array.itemsize == wanted.itemsize:
        return _with_memory_of(input, _view_type(input, wanted))
    names = f"to view {scalar_name(array.dtype)} as {scalar_name(wanted)} (different element sizes)"
    if not array.ndim:
        raise RuntimeError(f"self.dim() cannot be 0 {names}")
    if array.itemsize < wanted.itemsize and array.shape[-1] * array.itemsize % wanted.itemsize:
        ratio = wanted.itemsize // array.itemsize
        raise RuntimeError(f"self.size(-1) must be divisible by {ratio} {names}, but got {array.shape[-1]}")
    if not array.size and not array.strides[-1]:  # NumPy has no steps for nothing
        return _with_memory_of(input, _view_type(wrap(np.zeros(array.shape, array.dtype)), wanted))
    if array.strides[-1] != array.itemsize and array.shape[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 {names}, but got {array.strides[-1] // array.itemsize}")
    return _with_memory_of(input, _view_type(input, wanted))


def tensor_view(self: Tensor, *shape: Any, size: Any = (), dtype: DType | None = None) -> Tensor:
    """The same elements in another shape, ``out.flatten() = self.flatten()``, or the same bytes as another dtype, sharing
    memory.

    Shapes: (*in) -> `shape`, of which one size may be -1.
    Raises: RuntimeError if the number of elements differs or the memory does not allow it; then use `reshape`.

    >>> x = torch.arange(4)
    >>> x.view(2, 2)[0, 0] = 9
    >>> x
    tensor([9, 1, 2, 3])
    """
    if dtype is not None or (len(shape) == 1 and isinstance(shape[0], DType)):
        return _view_as_type(self, dtype or shape[0])
    return _view_as_shape(self, *(shape or size))


@spread_out
def _view_as_shape(self: Tensor, size: tuple[int, ...]) -> Tensor:
    return view_(self, infer_size(size, self._array.size))


tensor_view.__name__ = "view"
tensor_method()(tensor_view)

# ------------------------------------------------------------------------------------------------ dimensions in another order


@view(input=lambda grad, dims: _permute(grad, tuple(np.argsort(dims).tolist())))
def _permute(input: Array, dims: tuple[int, ...]) -> Array:
    return input.transpose(dims)


@method()
@spread_out
def permute(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The dimensions in another order: ``out[j, i] = input[i, j]`` for `dims` (1, 0)

    Shapes: (*in) -> the sizes in the order `dims`; a view.
    Raises: RuntimeError unless `dims` names each dimension once.

    >>> torch.permute(torch.zeros(2, 3, 4), (2, 0, 1)).shape
    torch.Size([4, 2, 3])
    """
    ndim = input._array.ndim
    if len(dims) != ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of "
            f"dimensions i.e. input.dim() = {ndim} is not equal to len(dims) = {len(dims)}"
        )
    order = tuple([wrap_dim(d, ndim) for d in dims])
    if len(set(order)) != ndim:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _permute(input, order)


@view(input=lambda grad, dim0, dim1: _transpose(grad, dim0, dim1))
def _transpose(input: Array, dim0: int, dim1: int) -> Array:
    return input.swapaxes(dim0, dim1) if input.ndim else input.view()


@method(alias="swapdims")
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged: ``out[j, i] = input[i, j]``

    Shapes: (..., m, ..., n, ...) -> (..., n, ..., m, ...); a view.
    Raises: IndexError for a dimension that `input` lacks.

    >>> torch.transpose(torch.tensor([[1, 2, 3], [4, 5, 6]]), 0, 1)
    tensor([[1, 4],
            [2, 5],
            [3, 6]])
    """
    ndim = input._array.ndim
    dim0, dim1 = wrap_dim(dim0, ndim), wrap_dim(dim1, ndim)
    return _transpose(input, dim0, dim1)


@method()
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """``out = input.transpose(axis0, axis1)``

    Family: torch.transpose

    >>> torch.swapaxes(torch.zeros(2, 3, 4), 0, 2).shape
    torch.Size([4, 3, 2])
    """
    return transpose(input, axis0, axis1)


@method(alias="moveaxis")
def movedim(input: Tensor, source: Ints, destination: Ints) -> Tensor:
    """Dimensions moved to other positions, with the others in order around them: ``out[j, k, i] = input[i, j, k]`` for 0 to 2

    Shapes: (*in) -> the sizes with those at `source` at `destination`; a view.
    Raises: RuntimeError unless both name as many dimensions, each once; IndexError for one that `input` lacks.

    >>> torch.movedim(torch.zeros(2, 3, 4), 0, 2).shape
    torch.Size([3, 4, 2])
    """
    ndim = input._array.ndim
    if isinstance(source, (tuple, list)) != isinstance(destination, (tuple, list)):
        raise TypeError(f"movedim(): two ints or two tuples of ints, not {type_name(source)} and {type_name(destination)}")
    sources, targets = [list(d) if isinstance(d, (tuple, list)) else [d] for d in (source, destination)]
    for position, (name, dims) in enumerate((("source", sources), ("destination", targets)), 2):
        for d in dims:
            index_of(d, f"movedim(): argument '{name}' (position {position}) must be tuple of ints")
    if len(sources) != len(targets):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({sources} dims) should contain the same number of dims as "
            f"destination ({targets} dims)"
        )
    source_dims, target_dims = [wrap_dim(d, ndim) for d in sources], [wrap_dim(d, ndim) for d in targets]
    for name, given, dims in (("source", sources, source_dims), ("destination", targets, target_dims)):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({given})")
    if not ndim:
        return _alias(input)
    order = [d for d in range(ndim) if d not in source_dims]
    for target, d in sorted(zip(target_dims, source_dims)):
        order.insert(target, d)
    return _permute(input, tuple(order))


@view(input=lambda grad: grad)
def _alias(input: Array) -> Array:
    return input.view()


def alias(input: Tensor) -> Tensor:
    """Another tensor sharing memory and history: ``out = input``

    Family: like
    Shapes: (*in) -> (*in).

    >>> torch.alias_copy(torch.tensor([1, 2]))
    tensor([1, 2])
    """
    return _alias(input)


@view(input=lambda grad: _t(grad))
def _t(input: Array) -> Array:
    return input.T


@method()
def t(input: Tensor) -> Tensor:
    """A matrix transposed: ``out[j, i] = input[i, j]``; a vector or number unchanged.

    Shapes: (m, n) -> (n, m); a view.
    Raises: RuntimeError for more than two dimensions.

    >>> torch.t(torch.tensor([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    if input._array.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._array.ndim}D")
    return _t(input)


def _reversed_dims(self: Tensor) -> Tensor:
    """All dimensions in reverse order.

    >>> torch.tensor([[1, 2], [3, 4]]).T
    tensor([[1, 3],
            [2, 4]])
    """
    ndim = self._array.ndim
    if ndim == 2:
        return _permute(self, (1, 0))
    if not ndim:
        _warn_of_scalar("Tensor.T", _IDENTITY)
    else:
        warn_once(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw an "
            "error in a future release. Consider `x.mT` to transpose batches of matrices or "
            "`x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor.",
        )
    return _permute(self, tuple(range(ndim))[::-1])


_IDENTITY = "This function is the identity in these cases."


def _warn_of_scalar(name: str, advice: str) -> None:
    warn_once(f"{name} is deprecated on 0-D tensors. {advice}")


def _refuse_vector(input: Tensor, name: str) -> None:
    if input._array.ndim == 1:
        raise RuntimeError(f"tensor.{name} is only supported on matrices or batches of matrices. Got 1-D tensor.")


def _conjugate_transpose(input: Tensor, name: str) -> Tensor:
    """The matrices of `input` transposed and conjugated; a scalar only conjugated, with a warning that mentions `name`."""
    if input._array.ndim:
        return transpose(input, -2, -1).conj()
    _warn_of_scalar(name, "Consider using x.conj().")
    return input.conj() if input._array.dtype.kind == "c" else input


def _mT(self: Tensor) -> Tensor:
    """Each matrix of a batch transposed.

    >>> torch.ones(5, 2, 3).mT.shape
    torch.Size([5, 3, 2])
    """
    _refuse_vector(self, "mT")
    if self._array.ndim:
        return transpose(self, -2, -1)
    _warn_of_scalar("Tensor.mT", _IDENTITY)
    return self


def _mH(self: Tensor) -> Tensor:
    """Each matrix of a batch transposed and conjugated.

    >>> torch.tensor([[1j, 2.0]]).mH
    tensor([[0.-1.j],
            [2.-0.j]])
    """
    _refuse_vector(self, "mH")
    return _conjugate_transpose(self, "Tensor.mH")


def _H(self: Tensor) -> Tensor:
    """A matrix transposed and conjugated.

    >>> torch.tensor([[1j, 2.0]]).H
    tensor([[0.-1.j],
            [2.-0.j]])
    """
    ndim = self._array.ndim
    if ndim not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {ndim}-D tensor."
            + (" For batches of matrices, consider using tensor.mH" if ndim > 2 else "")
        )
    return _conjugate_transpose(self, "Tensor.H")


@method()
def adjoint(input: Tensor) -> Tensor:
    """Matrices transposed and conjugated: ``out[j, i] = conj(input[i, j])``

    Shapes: (*, m, n) -> (*, n, m); a view.
    Raises: RuntimeError for a vector.

    >>> torch.adjoint(torch.tensor([[1j, 2.0]]))
    tensor([[0.-1.j],
            [2.-0.j]])
    """
    _refuse_vector(input, "adjoint()")
    return _conjugate_transpose(input, "adjoint()")


for _name, _property in {"T": _reversed_dims, "mT": _mT, "mH": _mH, "H": _H}.items():
    setattr(Tensor, _name, property(_property))

# ------------------------------------------------------------------------------------------------ dimensions of size 1


def _unsqueezed(grad: Tensor, input_shape: tuple[int, ...]) -> Tensor:
    return grad if grad._array.shape == input_shape else grad.reshape(input_shape)


@view(input=_unsqueezed)
def _squeeze(input: Array, dims: tuple[int, ...]) -> Array:
    return input.squeeze(dims)


@view(input=_unsqueezed)
def _squeeze1(input: Array, dims: tuple[int, ...]) -> Array:
    return input.squeeze(dims)


@view(input=_unsqueezed)
def _squeeze2(input: Array, dims: tuple[int, ...]) -> Array:
    return input.squeeze(dims)


@method()
def squeeze(input: Tensor, dim: Ints | None = None) -> Tensor:
    """Without the dimensions of size 1, all or those in `dim`: ``out[j] = input[0, j]``

    Shapes: (..., 1, ...) -> (..., ...); a view.
    Raises: IndexError for a dimension that `input` lacks.

    >>> torch.squeeze(torch.zeros(1, 3, 1)).shape, torch.squeeze(torch.zeros(1, 3, 1), 0).shape
    (torch.Size([3]), torch.Size([3, 1]))
    """
    shape = input._array.shape
    dims = () if isinstance(dim, (tuple, list)) and not dim else wrap_dims(dim, len(shape))
    look = _squeeze if dim is None else _squeeze2 if isinstance(dim, (tuple, list)) else _squeeze1  # as in torch's node names
    return look(input, tuple([d for d in dims if shape[d] == 1]))


@view(input=lambda grad, dim: _squeeze(grad, (dim,)))
def _unsqueeze(input: Array, dim: int) -> Array:
    return input.reshape(*input.shape[:dim], 1, *input.shape[dim:])


@method()
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a dimension of size 1 inserted before `dim`: ``out[0, j] = input[j]``

    Shapes: (..., ...) -> (..., 1, ...); a view.
    Raises: IndexError for a `dim` beyond the number of dimensions.

    >>> torch.unsqueeze(torch.tensor([1, 2]), 1)
    tensor([[1],
            [2]])
    """
    return _unsqueeze(input, wrap_dim(dim, input._array.ndim + 1))
