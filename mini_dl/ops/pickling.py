"""Copying and pickling tensors: their memory, their position in it, and their Python attributes.

Neither history nor hooks are kept: a computed tensor is restored as a leaf.
"""

from __future__ import annotations

import copy
import copyreg
import warnings
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import level_of_user
from mini_dl._dtypes import INEXACT, Array
from mini_dl._meta import is_meta_array, meta_array
from mini_dl._surface import requires_grad, tensor_method
from mini_dl.autograd.graph import Hooks, grad_fn_and_number
from mini_dl.autograd.places import memory_of
from mini_dl.kernels.shared import shared_root
from mini_dl.tensor import LEAF, Tensor, attributes_of, in_class, inference, new, wrap


def located(array: Array) -> tuple[Array, int]:
    """The bytes underlying `array`, and the number before its first element."""
    shared = shared_root(array)  # which multiprocessing can send
    memory = memory_of(array) if shared is None else shared
    offset = array.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    return memory, offset if 0 <= offset <= memory.nbytes else 0  # an array without elements may point anywhere


def rebuild_tensor(memory: Array, dtype: _dtypes.dtype, offset: int, shape: Any, strides: Any, requires_grad: bool) -> Tensor:
    """A leaf that shares `memory`, as described by `Tensor.__reduce_ex__`."""
    if not memory.flags.writeable:  # unpickled from bytes
        memory = memory.copy()
    out = wrap(np.ndarray(shape, dtype.numpy, memory, offset, strides))
    out._counter = [1]
    out._edge = LEAF if requires_grad and dtype.numpy.kind in INEXACT else None
    return out


def rebuild_meta(dtype: _dtypes.dtype, shape: Any, requires_grad: bool) -> Tensor:
    """A leaf without values."""
    out = wrap(meta_array(tuple(shape), dtype.numpy))
    out._edge = LEAF if requires_grad else None
    return out


def rebuild_from_type(rebuild: Any, kind: type[Tensor], args: tuple[Any, ...], state: Any) -> Tensor:
    """The result of ``rebuild(*args)`` as a tensor of class `kind` with the Python attributes `state`."""
    return restore_state(in_class(kind, rebuild(*args)), state)


def has_default_state(kind: type[Tensor]) -> bool:
    """Whether a class uses the default state of its tensors."""
    return getattr(kind, "__getstate__", None) is getattr(object, "__getstate__", None)


def state_of(tensor: Tensor) -> Any:
    """The Python attributes of a tensor, with those in slots in a second dictionary; or what its class defines."""
    if not has_default_state(type(tensor)):
        return tensor.__getstate__()  # type: ignore[attr-defined]  # object has it from Python 3.11 on
    slots = copyreg._slotnames(type(tensor))  # type: ignore[attr-defined]
    if not slots:
        return attributes_of(tensor)
    return attributes_of(tensor), {name: getattr(tensor, name) for name in slots if hasattr(tensor, name)}


def restore_state(tensor: object, state: object) -> Any:
    """Give `tensor` the state that `state_of` returned for another."""
    if hasattr(tensor, "__setstate__"):
        tensor.__setstate__(state)
        return tensor
    attributes, slots = state if isinstance(state, tuple) else (state, {})
    for name, value in {**attributes, **slots}.items():
        setattr(tensor, name, value)
    return tensor


def _warn_of_hooks(tensor: Tensor) -> None:
    number = 0
    hooks: Hooks | None = tensor._hooks
    if not tensor.is_leaf:
        node, number = grad_fn_and_number(tensor._edge)
        hooks = node.hooks_
    for hook in hooks.tensor.get(number, {}).values() if hooks is not None else ():
        if not hasattr(hook, "__torch_unserializable__"):
            warnings.warn(
                f"backward hook {hook!r} on tensor will not be serialized.  If this is expected, you can decorate the function "
                "with @torch.utils.hooks.unserializable_hook to suppress this warning",
                stacklevel=level_of_user(),
            )


@tensor_method()
def __reduce_ex__(self: Tensor, protocol: object) -> Any:
    """How pickle and ``copy.copy`` reduce this tensor: its memory and position, and what it has beyond a plain tensor."""
    _warn_of_hooks(self)
    array = self._array
    if is_meta_array(array):
        meta_args = self.dtype, array.shape, requires_grad(self)
        return rebuild_from_type, (rebuild_meta, type(self), meta_args, state_of(self))
    memory, offset = located(array)
    args = (memory, self.dtype, offset, array.shape, array.strides, requires_grad(self))
    state = state_of(self)
    if type(self) is Tensor and not state:
        return rebuild_tensor, args
    return rebuild_from_type, (rebuild_tensor, type(self), args, state)


@tensor_method()
def __deepcopy__(self: Tensor, memo: dict[Any, Any]) -> Tensor:
    """A leaf on a copy of the memory, with a copy of its gradient; tensors that share memory, copied together, share the copy.

    RuntimeError for a tensor with a history.
    """
    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. If you were "
            "attempting to deepcopy a module, this may be because of a weight_norm or a pruning of it."
        )
    array = self._array
    if is_meta_array(array):
        copied = memo[id(self)] = in_class(type(self), rebuild_meta(self.dtype, array.shape, requires_grad(self)))
        return restore_state(copied, copy.deepcopy(state_of(self), memo))
    memory, offset = located(array)
    place = memory.__array_interface__["data"][0], memory.nbytes
    if place not in memo:
        memo[place] = np.array(memory), memory  # kept alive, so that its address is not reused
    out = memo[id(self)] = new(type(self))
    out._array = np.ndarray(array.shape, array.dtype, memo[place][0], offset, array.strides)
    out._counter, out._edge, out._base = [1], LEAF if requires_grad(self) else None, None
    if inference.anywhere and inference.here:
        out._inference = True
    out._grad = copy.deepcopy(self._grad, memo)
    return restore_state(out, copy.deepcopy(state_of(self), memo))
