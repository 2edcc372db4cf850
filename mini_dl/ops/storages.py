"""The memory of a tensor as elements of one type: ``Tensor.storage()``, ``FloatStorage`` and similar."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import level_of_user
from mini_dl._dtypes import Array
from mini_dl._surface import namespace, tensor_method
from mini_dl.autograd.places import memory_of
from mini_dl.ops.attributes import UntypedStorage
from mini_dl.tensor import Tensor

NAMES = {
    "float64": "DoubleStorage", "float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage",
    "int32": "IntStorage", "int16": "ShortStorage", "int8": "CharStorage", "uint8": "ByteStorage", "bool": "BoolStorage",
    "complex64": "ComplexFloatStorage", "complex128": "ComplexDoubleStorage",
}  # fmt: skip
"""By element type name."""

_warned = False


def _warn() -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the only storage class. "
            "This should only matter to you if you are using storages directly.  To access UntypedStorage directly, use "
            "tensor.untyped_storage() instead of tensor.storage()",
            UserWarning,
            stacklevel=level_of_user(),
        )


class TypedStorage(UntypedStorage):
    """The memory of a tensor as elements of type `dtype`. It warns, once, that it is deprecated.

    >>> import mini_dl as torch
    >>> torch.FloatStorage([1, 2]).tolist()
    [1.0, 2.0]
    """

    def __init__(
        self, *args: Any, wrap_storage: UntypedStorage | None = None, dtype: Any = None, device: object = None,
        _internal: bool = False,
    ) -> None:  # fmt: skip
        self.dtype: _dtypes.dtype = _dtypes.of_numpy(_dtypes.default_numpy()) if dtype is None else dtype
        if wrap_storage is not None:
            super().__init__(wrap_storage._bytes)
        elif args and not isinstance(args[0], (int, np.integer)):
            values = args[0].tolist() if isinstance(args[0], UntypedStorage) else args[0]
            super().__init__(np.array(values, self.dtype.numpy).view(np.uint8))
        else:
            super().__init__(np.zeros(int(args[0]) * self.dtype.itemsize if args else 0, np.uint8))

    @property
    def _elements(self) -> Array:
        size = self.dtype.itemsize
        return self._bytes[: self._bytes.nbytes // size * size].view(np.ndarray).view(self.dtype.numpy)

    def size(self) -> int:
        """The number of elements."""
        return self._elements.size

    __len__ = size

    def element_size(self) -> int:
        """The number of bytes of one element."""
        return self.dtype.itemsize

    def tolist(self) -> list[Any]:
        """The elements as Python numbers."""
        return self._elements.tolist()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        return self._elements[index].item()

    def __setitem__(self, index: Any, value: object) -> None:
        self._elements[index] = value

    def fill_(self, value: object) -> TypedStorage:
        """Set all elements."""
        self._elements[...] = value
        return self

    def copy_(self, source: UntypedStorage, non_blocking: bool = False) -> TypedStorage:
        """Set the elements to those of another storage of the same length."""
        self._elements[...] = np.array(source.tolist())
        return self

    def clone(self) -> TypedStorage:
        """A copy."""
        return TypedStorage(wrap_storage=UntypedStorage(self._bytes.copy()), dtype=self.dtype)

    def type(self, dtype: Any = None) -> Any:
        """The name of the class, or a copy with elements of another type."""
        if dtype is None:
            return f"torch.{NAMES[self.dtype.name]}"
        target = dtype if isinstance(dtype, _dtypes.dtype) else dtype.dtype
        return TypedStorage(self.tolist(), dtype=target)

    def cpu(self) -> TypedStorage:
        """This storage."""
        return self

    def untyped(self) -> UntypedStorage:
        """The bytes of this storage."""
        return UntypedStorage(self._bytes)

    _untyped_storage = property(untyped)

    def __repr__(self) -> str:
        listed = "\n ".join(map(str, self.tolist()))
        return f" {listed}\n[torch.storage.TypedStorage(dtype={self.dtype}, device=cpu) of size {len(self)}]"


class _OfOneType(type):
    dtype: _dtypes.dtype
    __signature__ = inspect.signature(TypedStorage)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, TypedStorage) and instance.dtype is cls.dtype

    def __call__(cls, *args: Any, **kwargs: Any) -> TypedStorage:
        return TypedStorage(*args, dtype=cls.dtype, **kwargs)


STORAGES = {
    name: _OfOneType(name, (), {"__module__": "torch", "__doc__": f"A storage of {kind}.", "dtype": _dtypes.NAMES[kind]})
    for kind, name in NAMES.items()
}
"""By name: the classes that create storages of one type, and support isinstance."""
namespace("torch").update(STORAGES, TypedStorage=TypedStorage)


def is_storage(obj: object) -> bool:
    """Whether an object is the memory of a tensor: ``out = isinstance(obj, (TypedStorage, UntypedStorage))``

    Shapes: any object -> a bool.
    Raises: TypeError unless there is one argument.

    >>> torch.is_storage(torch.ones(1).untyped_storage()), torch.is_storage(torch.ones(1))
    (True, False)
    """
    return isinstance(obj, UntypedStorage)


namespace("torch")["is_storage"] = is_storage


@tensor_method()
def storage(self: Tensor) -> TypedStorage:
    """The memory of this tensor, as elements of its dtype: ``out[storage_offset + i * stride] = self[i]``

    Family: attribute

    >>> import warnings; warnings.simplefilter("ignore")
    >>> torch.tensor([1.0, 2.0])[1:].storage().tolist()
    [1.0, 2.0]
    """
    _warn()
    return TypedStorage(wrap_storage=UntypedStorage(memory_of(self._array)), dtype=self.dtype)


@tensor_method()
def _typed_storage(self: Tensor) -> TypedStorage:
    """The memory of this tensor, as elements of its type; without a warning."""
    return TypedStorage(wrap_storage=UntypedStorage(memory_of(self._array)), dtype=self.dtype)


@tensor_method()
def storage_type(self: Tensor) -> Any:
    """The class of its storage: ``out = type(self.storage())``

    Family: attribute

    >>> import warnings; warnings.simplefilter("ignore")
    >>> torch.ones(2).storage_type()
    <class 'torch.FloatStorage'>
    """
    return STORAGES[NAMES[self.dtype.name]]
