"""Attributes of a tensor: shape, strides, device, storage."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from mini_dl._abstract import NO_STORAGE, is_abstract
from mini_dl._checks import level_of_user, wrap_dim
from mini_dl._device import CPU, creation, device, strided
from mini_dl._dtypes import Array
from mini_dl._meta import is_meta_array
from mini_dl._surface import function, method, namespace, tensor_method
from mini_dl.autograd.places import memory_of, offset_of
from mini_dl.kernels.shared import shared_root
from mini_dl.ops.memory import strides_of
from mini_dl.tensor import Tensor, size_of_ints

# ------------------------------------------------------------------------------------------------ properties


@tensor_method()
def size(self: Tensor, dim: int | None = None) -> Any:
    """The shape, ``out = self.shape``, or its entry `dim`.

    Family: attribute
    Raises: IndexError for a dimension that this tensor lacks.

    >>> torch.ones(2, 3).size(), torch.ones(2, 3).size(1)
    (torch.Size([2, 3]), 3)
    """
    if dim is None:
        return size_of_ints(self._array.shape)
    if not self._array.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return self._array.shape[wrap_dim(dim, self._array.ndim)]


@method()
def numel(input: Tensor) -> int:
    """The number of elements: ``out = prod(input.shape[d], d)``

    Family: attribute

    >>> torch.numel(torch.ones(2, 3))
    6
    """
    return input._array.size


@tensor_method()
def dim(self: Tensor) -> int:
    """The number of dimensions: ``out = len(self.shape)``

    Family: attribute

    >>> torch.ones(2, 3).dim()
    2
    """
    return self._array.ndim


for _name, _function in {"nelement": numel, "ndimension": dim}.items():
    setattr(Tensor, _name, _function)


@tensor_method()
def stride(self: Tensor, dim: int | None = None) -> Any:
    """The distance of neighbors in memory, in elements: ``place[i, j] = i * out[0] + j * out[1]``

    Family: attribute
    Raises: IndexError for a dimension that this tensor lacks.

    >>> torch.ones(2, 3).stride(), torch.ones(2, 3).t().stride()
    ((3, 1), (1, 3))
    """
    strides = strides_of(self._array)
    if dim is None:
        return strides
    if not strides:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return strides[wrap_dim(dim, len(strides))]


@tensor_method()
def storage_offset(self: Tensor) -> int:
    """The number of elements in memory before the first one of this tensor: ``place[i] = out + i * stride``

    Family: attribute

    >>> torch.arange(5)[2:].storage_offset()
    2
    """
    return offset_of(self._array)


@tensor_method()
def data_ptr(self: Tensor) -> int:
    """The address of the first element: ``out + self.element_size() * i`` is that of the i-th after it.

    Family: attribute

    >>> x = torch.arange(5)
    >>> x[2:].data_ptr() - x.data_ptr()
    16
    """
    if is_abstract(self):
        raise RuntimeError(NO_STORAGE)
    return self._array.__array_interface__["data"][0] if self._array.size and not is_meta_array(self._array) else 0


def _is_meta(self: Tensor) -> bool:
    """Whether it has no data.

    >>> torch.ones(2, device="meta").is_meta
    True
    """
    return is_meta_array(self._array)


def _is_cpu(self: Tensor) -> bool:
    """Whether its data are on the CPU.

    >>> torch.ones(2).is_cpu
    True
    """
    return not is_meta_array(self._array)


setattr(Tensor, "is_meta", property(_is_meta))  # noqa: B010
setattr(Tensor, "is_cpu", property(_is_cpu))  # noqa: B010
setattr(Tensor, "_cdata", property(id))  # noqa: B010  # what programs compare to know whether tensors are one


def _volatile(self: Tensor) -> bool:
    """False: nothing is volatile since ``torch.no_grad``.

    >>> import warnings; warnings.simplefilter("ignore")
    >>> torch.ones(2).volatile
    False
    """
    warnings.warn("volatile was removed (Variable.volatile is always False)", stacklevel=level_of_user())
    return False


def _set_volatile(self: Tensor, value: object) -> None:
    warnings.warn("volatile was removed and now has no effect. Use `with torch.no_grad():` instead.", stacklevel=level_of_user())


setattr(Tensor, "volatile", property(_volatile, _set_volatile))  # noqa: B010


@tensor_method()
def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both have the same memory, shape and strides: ``place[i] = other_place[i]``

    Shapes: any two.
    Raises: TypeError unless both are tensors.

    >>> x = torch.ones(2)
    >>> x.is_set_to(x.view(2)), x.is_set_to(x.clone())
    (True, False)
    """
    a, b = self._array, tensor._array
    return bool(a.__array_interface__["data"] == b.__array_interface__["data"] and a.shape == b.shape and a.strides == b.strides)


@method()
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape: ``out = input.shape == other.shape``

    Shapes: any two.
    Raises: TypeError unless both are tensors.

    >>> torch.is_same_size(torch.ones(2), torch.ones(1, 2))
    False
    """
    return input._array.shape == other._array.shape


@method()
def get_device(input: Tensor) -> int:
    """The number of the device, ``out = -1`` for the CPU.

    Family: attribute

    >>> torch.get_device(torch.ones(2))
    -1
    """
    return -1


for _name in ("detach", "detach_", "is_inference"):
    namespace("torch")[_name] = getattr(Tensor, _name)


@function()
def get_default_device() -> device:
    """Where tensors are created unless a function specifies otherwise.

    Raises: TypeError for an argument.

    >>> torch.get_default_device()
    device(type='cpu')
    """
    return creation.here()


_FACTS = {
    "layout": strided, "is_cuda": False, "is_mps": False, "is_xpu": False, "is_vulkan": False,
    "is_sparse": False, "is_sparse_csr": False, "is_quantized": False, "is_mkldnn": False, "is_nested": False,
}  # fmt: skip
for _name, _fact in _FACTS.items():
    if not hasattr(Tensor, _name):
        setattr(Tensor, _name, _fact)


def new_memory(values: object) -> Array:
    """That many bytes, or these bytes."""
    return np.zeros(values, np.uint8) if isinstance(values, int) else np.array(values, np.uint8)


class UntypedStorage:
    """The memory of a tensor as bytes; views of one tensor share it. ``UntypedStorage(n)`` is new memory of n bytes.

    >>> torch.tensor([1, 2], dtype=torch.uint8).untyped_storage().tolist()
    [1, 2]
    """

    is_cuda = is_hpu = is_sparse = False

    def __init__(self, memory: object = 0) -> None:
        self._bytes: Array = memory if isinstance(memory, np.ndarray) else new_memory(memory)

    @classmethod
    def from_file(cls, filename: Any, shared: bool = False, nbytes: int = 0) -> UntypedStorage:
        """The first `nbytes` of a file, which are read on access; if `shared`, writes reach the file."""
        if not nbytes:
            return UntypedStorage(0)
        return UntypedStorage(np.memmap(os.fspath(filename), np.uint8, "r+" if shared else "c", shape=(nbytes,)).view(np.ndarray))

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return self._bytes.__array_interface__["data"][0] if self._bytes.size else 0

    _cdata = property(data_ptr)

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._bytes.nbytes

    def is_shared(self) -> bool:
        """Whether other processes see this memory."""
        return shared_root(self._bytes) is not None

    size = __len__ = nbytes

    def untyped(self) -> UntypedStorage:
        """This storage."""
        return self

    def cpu(self) -> UntypedStorage:
        """This storage."""
        return self

    def clone(self) -> UntypedStorage:
        """A copy."""
        return UntypedStorage(self._bytes.copy())

    def copy_(self, source: UntypedStorage, non_blocking: bool = False) -> UntypedStorage:
        """Set the bytes to those of another storage of the same length."""
        self._bytes[...] = source._bytes
        return self

    def fill_(self, value: int) -> UntypedStorage:
        """Set all bytes."""
        self._bytes[...] = value
        return self

    def element_size(self) -> int:
        """1"""
        return 1

    def tolist(self) -> list[int]:
        """The bytes as ints."""
        return self._bytes.tolist()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __getitem__(self, index: int | slice) -> Any:
        return UntypedStorage(self._bytes[index]) if isinstance(index, slice) else int(self._bytes[index])

    def __setitem__(self, index: Any, value: int) -> None:
        self._bytes[index] = value

    def __repr__(self) -> str:
        listed = "\n ".join(map(str, self._bytes.tolist()))
        return f" {listed}\n[torch.storage.UntypedStorage(device=cpu) of size {self.nbytes()}]"

    def resize_(self, size: int) -> UntypedStorage:
        """This storage, if it has that many bytes. RuntimeError otherwise: tensors share an array of fixed size."""
        if size != self.nbytes():
            raise RuntimeError(f"a storage of {self.nbytes()} bytes cannot be resized to {size}: tensors share its array")
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and (self.data_ptr(), self.nbytes()) == (other.data_ptr(), other.nbytes())

    def __hash__(self) -> int:
        return hash((self.data_ptr(), self.nbytes()))

    @property
    def device(self) -> device:
        return CPU


namespace("torch")["UntypedStorage"] = UntypedStorage


@tensor_method()
def untyped_storage(self: Tensor) -> UntypedStorage:
    """The memory of this tensor as bytes: ``out.nbytes() = n * self.element_size()`` for n elements in memory.

    Family: attribute

    >>> torch.ones(3).untyped_storage().nbytes()
    12
    """
    return UntypedStorage(memory_of(self._array))
