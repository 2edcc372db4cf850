"""External memory: NumPy arrays, buffers, DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._device import DeviceLike, require_cpu
from mini_dl._dtypes import NARROW, Array
from mini_dl._surface import function, public, tensor_method
from mini_dl.autograd.graph import needs_grad
from mini_dl.autograd.history import requires_grad_
from mini_dl.ops.factories import numpy_of
from mini_dl.ops.from_data import over_array
from mini_dl.tensor import Tensor, wrap


@function()
def from_numpy(ndarray: Array) -> Tensor:
    """A tensor sharing the memory of a NumPy array: ``out[i] = ndarray[i]``; writes to either affect the other.

    Shapes: an array (*in) -> (*in).
    Raises: TypeError for a type that torch does not have; ValueError for negative strides or non-native byte order.

    >>> import numpy as np
    >>> a = np.array([1.0, 2.0])
    >>> x = torch.from_numpy(a); x[0] = 9
    >>> a
    array([9., 2.])
    """
    return over_array(ndarray)


@function()
def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    r"""A vector sharing the memory of a buffer, from byte `offset` on: ``out[i] = buffer[offset + i * itemsize]``

    Shapes: bytes -> (count,), or all remaining.
    Raises: ValueError if there are fewer, for an empty buffer, and for an `offset` beyond it.

    >>> torch.frombuffer(b"\x01\x00\x02\x00", dtype=torch.int16)
    tensor([1, 2], dtype=torch.int16)
    """
    kind = np.dtype(numpy_of(dtype))
    try:
        memory = memoryview(buffer)
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    size = memory.nbytes
    if size == 0 or count == 0:
        raise ValueError(f"both buffer length ({size}) and count ({count}) must not be 0")
    if not 0 <= offset < size:
        raise ValueError(f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({size} bytes) minus 1")
    if count > 0 and offset + count * kind.itemsize > size:
        raise ValueError(
            f"requested buffer length ({count} * {kind.itemsize} bytes) after offset ({offset} bytes) must not be greater than "
            f"actual buffer length ({size} bytes)"
        )
    if count < 0 and (size - offset) % kind.itemsize:
        raise ValueError(
            f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must be a multiple of element size "
            f"({kind.itemsize})"
        )
    plain = np.dtype(np.uint16) if kind.char in NARROW else kind  # what NumPy knows
    made = over_array(np.frombuffer(buffer, plain, count, offset))
    made._array = made._array.view(kind)
    return requires_grad_(made) if requires_grad else made


@tensor_method()
def __array_wrap__(self: Tensor, array: Array, context: object = None, return_scalar: bool = False) -> Tensor:
    """The result of a NumPy function for tensors, as a tensor; bool becomes uint8."""
    return over_array(array.astype(np.uint8) if array.dtype.kind == "b" else array)


# ------------------------------------------------------------------------------------------------ DLPack


@tensor_method()
def __dlpack__(
    self: Tensor, *, stream: object = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
) -> Any:
    """A capsule through which another library can access this memory. BufferError if it requires grad."""
    if needs_grad(self):
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if stream is not None and stream != -1:
        raise BufferError("stream should be None on cpu.")
    array = self._array.copy() if copy else self._array
    if max_version is None:
        return array.__dlpack__()
    return array.__dlpack__(max_version=max_version, dl_device=dl_device)


@tensor_method()
def __dlpack_device__(self: Tensor) -> tuple[int, int]:
    """The device in DLPack's terms: (1, 0), the CPU."""
    return self._array.__dlpack_device__()


class _Capsule:
    """An adapter for NumPy to accept a bare capsule."""

    def __init__(self, capsule: object) -> None:
        self.capsule = capsule

    def __dlpack__(self, **kwargs: object) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


class _Writable:
    """Memory that NumPy assumes to be read-only, because an old capsule cannot indicate it."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


@public("torch", "utils.dlpack")
def from_dlpack(ext_tensor: object, *, device: DeviceLike = None, copy: bool | None = None) -> Tensor:
    """A tensor sharing another library's memory, from an object with ``__dlpack__``, or from a capsule, which is consumed:
    ``out[i] = ext_tensor[i]``

    Shapes: an array (*in) -> (*in).
    Raises: BufferError or RuntimeError for memory on another device, and for a consumed capsule.

    >>> import numpy as np
    >>> torch.from_dlpack(np.array([1, 2]))
    tensor([1, 2])
    """
    require_cpu(device)
    if isinstance(ext_tensor, Tensor):
        if needs_grad(ext_tensor):
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return wrap(ext_tensor._array.copy() if copy else ext_tensor._array)
    if isinstance(ext_tensor, np.ndarray):
        return wrap(ext_tensor.copy() if copy else ext_tensor)
    if not hasattr(ext_tensor, "__dlpack__"):
        if type(ext_tensor).__name__ != "PyCapsule" or '"dltensor' not in repr(ext_tensor):
            raise RuntimeError(
                "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you "
                "might have already constructed a tensor from it once."
            )
        array = np.asarray(_Writable(np.from_dlpack(_Capsule(ext_tensor))))
    else:
        array = np.from_dlpack(ext_tensor)
    return wrap(array.copy() if copy else array)


@public("torch", "utils.dlpack")
def to_dlpack(tensor: Tensor) -> Any:
    """A capsule of the memory of a tensor, which another library can consume once: ``from_dlpack(out)[i] = tensor[i]``

    Family: attribute
    Raises: RuntimeError for a tensor that requires grad; BufferError for bfloat16.

    >>> torch.from_dlpack(torch.to_dlpack(torch.tensor([1, 2])))
    tensor([1, 2])
    """
    return tensor.__dlpack__()
