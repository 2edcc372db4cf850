"""The memory of a tensor, and changes to the tensor itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import index_of, int_list, nonnegative, sizes, spread_out, type_name
from mini_dl._device import MemoryFormat, check_memory_format
from mini_dl._dtypes import Array, Ints, NumpyType, of_numpy
from mini_dl._families import with_preface
from mini_dl._meta import is_meta_array, refuse_meta
from mini_dl._surface import method, named, namespace, tensor_method
from mini_dl.autograd.draws import resized_in_batch
from mini_dl.autograd.former import given_array
from mini_dl.autograd.graph import Node, edge_of, needs_grad
from mini_dl.autograd.inplace import any_needs_grad, check_writable, count_write, rebase
from mini_dl.autograd.memory import strided_gradient
from mini_dl.autograd.mode import mode
from mini_dl.autograd.node_names import rename, title
from mini_dl.autograd.places import Layout, Place, array_in, layout_of, memory_of, offset_of, resized
from mini_dl.autograd.primitive import look_into, view
from mini_dl.ops.views import squeeze, swapaxes, t, transpose, unsqueeze
from mini_dl.tensor import Tensor, inference, version_of

# ------------------------------------------------------------------------------------------------ memory


def strides_of(array: Array) -> tuple[int, ...]:
    """The distance between neighbors in each dimension, in elements; for size 1, as in a compact tensor."""
    strides, step = [], 1
    compact = is_meta_array(array) or (array.flags.c_contiguous and array.size > 0)
    for n, stride in zip(reversed(array.shape), reversed(array.strides)):
        if not compact and (stride or (n > 1 and array.size)):
            step = stride // array.itemsize
        strides.append(step)
        step *= max(n, 1)
    return tuple(strides[::-1])


@view(input=lambda grad, place: strided_gradient(grad, place))
def _as_strided(input: Array, size: tuple[int, ...], stride: tuple[int, ...], offset: int, place: Place) -> Array:
    step = input.itemsize
    return array_in(memory_of(input), size, input.dtype, offset * step, [s * step for s in stride])


@method()
def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """The memory read with other sizes and strides: ``out[i, j] = memory[storage_offset + i * stride[0] + j * stride[1]]``

    Gradients are those of elements in memory, as in torch.

    Shapes: (*in) -> `size`; a view.
    Raises: RuntimeError if elements are outside the memory, and for negative sizes or strides.

    >>> torch.as_strided(torch.arange(6), (2, 2), (1, 2))
    tensor([[0, 2],
            [1, 3]])
    """
    array = input._array
    offset = offset_of(array)
    if storage_offset is not None:
        offset = index_of(storage_offset, "as_strided(): argument 'storage_offset' must be int")
    sizes_ = int_list(size, "as_strided(): argument 'size' (position 2)")
    strides = int_list(stride, "as_strided(): argument 'stride' (position 3)")
    if len(sizes_) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    if any([s < 0 for s in strides]):
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(strides)}")
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    if any([n < 0 for n in sizes_]):
        raise RuntimeError(f"as_strided: sizes may not be negative, got sizes: {list(sizes_)}")
    needed = (1 + offset + sum([(n - 1) * s for n, s in zip(sizes_, strides)])) * array.itemsize if 0 not in sizes_ else 0
    held = memory_of(array).nbytes
    if needed > held and not is_abstract(array):
        raise RuntimeError(
            f"setStorage: sizes {list(sizes_)}, strides {list(strides)}, storage offset {offset}, and itemsize {array.itemsize} "
            f"requiring a storage size of {needed} are out of bounds for storage of size {held}"
        )
    out = _as_strided(input, sizes_, strides, offset, strided_place(array, sizes_, strides, offset))
    if out._base is None:  # another part of the same memory
        look_into(input, out)
    return out


def strided_place(array: Array, sizes: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Place:
    view = Layout(sizes, tuple([s * array.itemsize for s in strides]), array.dtype)
    return Place(layout_of(array), view, (offset - offset_of(array)) * array.itemsize)


# ------------------------------------------------------------------------------------------------ changing a tensor itself


def _becoming(function: Callable[..., Tensor], name: str) -> None:
    """Publish ``x.f_(...)``, after which `x` has the shape and strides of ``x.f(...)``."""

    @functools.wraps(function)
    def call(self: Tensor, *args: object, **kwargs: object) -> Tensor:
        recorded = mode.enabled and needs_grad(self)
        if recorded:
            check_writable(self)
        out = function(self, *args, **kwargs)
        given_array(self, out._array)
        self._value, self._tangent = out._value, out._tangent
        count_write(self)
        if recorded:
            self._edge, self._stamp = out._edge, version_of(self)[0]
            rename(self, title("transpose" if name.startswith("swap") else name.rstrip("_"), _number_of(name, args)))
        return self

    named(call, name, with_preface(f"`{function.__name__}`, in place: the memory is kept, the shape changes.", function.__doc__))
    setattr(Tensor, name, call)


def _number_of(name: str, args: tuple[object, ...]) -> int:
    """torch numbers the nodes of these methods after those of the functions."""
    if name != "squeeze_":
        return 1
    return 3 if not args else 5 if isinstance(args[0], (tuple, list)) else 4


for _function in (squeeze, unsqueeze, t, transpose, swapaxes):
    _becoming(vars(Tensor)[_function.__name__], _function.__name__ + "_")
_becoming(vars(Tensor)["swapdims"], "swapdims_")
_becoming(as_strided, "as_strided_")
namespace("torch")["as_strided_"] = getattr(Tensor, "as_strided_")  # noqa: B009


class _NotImplemented:
    """The op of a tensor that was given other memory while it had a history."""

    grad_name, runs_without = "torch::autograd::NotImplemented", False
    asked: frozenset[str] = frozenset()

    def backward(self, node: Node, grad: object) -> Any:
        raise RuntimeError("derivative for set_ is not implemented")


@tensor_method()
def set_(self: Tensor, source: object = None, storage_offset: int = 0, size: object = None, stride: Ints | None = None) -> Tensor:
    """Switch to the memory of `source`: ``self[i, j] = memory[storage_offset + i * stride[0] + j * stride[1]]``

    Without `source`, to no memory.

    Shapes: -> `size`.
    Raises: RuntimeError for a leaf that requires grad, and if sizes and strides exceed the memory.

    >>> torch.empty(0).set_(torch.tensor([1.0, 2.0, 3.0]).untyped_storage(), 1, (2,), (1,))
    tensor([2., 3.])
    """
    if not (source is None or isinstance(source, Tensor) or hasattr(source, "_bytes")):
        raise TypeError(f"set_() received an invalid combination of arguments - got ({type_name(source)})")
    taken = [self, source] if isinstance(source, Tensor) else [self]
    recorded = mode.enabled and any_needs_grad(taken)
    if recorded:
        check_writable(self)
    edges = [edge_of(tensor) for tensor in taken] if recorded else []
    given_array(self, _memory_as(self._array.dtype, source, storage_offset, size, stride))
    count_write(self)
    if recorded:
        rebase(self, Node(_NotImplemented(), edges, None, self._array))
    return self


def _memory_as(dtype: NumpyType, source: Any, storage_offset: int, size: object, stride: Any) -> Array:
    if source is None:
        return np.empty(0, dtype)
    if isinstance(source, Tensor) and size is None:
        if source._array.dtype != dtype:
            raise RuntimeError(f"Could not set tensor of type {source.dtype} to a tensor of type {of_numpy(dtype)}")
        return source._array.view()
    memory = memory_of(source._array) if isinstance(source, Tensor) else source._bytes
    step = dtype.itemsize
    shape = (memory.nbytes // step - storage_offset,) if size is None else sizes((size,))
    strides = None if stride is None else [s * step for s in stride]
    return array_in(memory, shape, dtype, storage_offset * step, strides)


@tensor_method()
@spread_out
def resize_(self: Tensor, size: tuple[int, ...], *, memory_format: MemoryFormat = None) -> Tensor:
    """Take another shape: ``self.flatten()[i]`` is kept for the first elements in memory, new ones are uninitialized.

    Shapes: (*in) -> `size`.
    Raises: RuntimeError if it requires grad, and for a negative size.

    >>> torch.tensor([1, 2, 3, 4]).resize_(1, 2)
    tensor([[1, 2]])
    """
    check_memory_format("resize_", memory_format)
    refuse_meta("resize_", self)
    shape = nonnegative(size)
    if is_abstract(self):
        return resized_in_batch(self, shape)
    if needs_grad(self) and not inference.here and not self._inference:
        raise RuntimeError("cannot resize variables that require grad")
    if shape != self._array.shape:
        given_array(self, resized(self._array, shape))
        count_write(self)
    return self


@method()
def resize_as_(self: Tensor, the_template: Tensor, *, memory_format: MemoryFormat = None) -> Tensor:
    """Take the shape of another tensor: ``self.resize_(the_template.shape)``

    Shapes: (*in), `the_template` (*out) -> (*out).
    Raises: RuntimeError if it requires grad.

    >>> torch.resize_as_(torch.tensor([1, 2, 3, 4]), torch.zeros(2, 2))
    tensor([[1, 2],
            [3, 4]])
    """
    return resize_(self, the_template._array.shape)
