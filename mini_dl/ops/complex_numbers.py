"""Complex numbers: parts, conjugates, angles."""

from __future__ import annotations

import numpy as np

from mini_dl._checks import broadcast_shapes
from mini_dl._dtypes import Array, scalar_name
from mini_dl._surface import function, method
from mini_dl.autograd.primitive import linear_in, op, unary, view
from mini_dl.ops.trigonometry import cos, sin
from mini_dl.tensor import Operand, Tensor

# ------------------------------------------------------------------------------------------------ complex numbers


@method()
def conj(input: Tensor) -> Tensor:
    """The complex conjugate: ``out = real(input) - i * imag(input)``; a real tensor is returned itself.

    Family: elementwise

    >>> torch.conj(torch.tensor([1 + 2j, 3j]))
    tensor([1.-2.j, 0.-3.j])
    """
    return _conjugate(input) if input._array.dtype.kind == "c" else input


@method(inplace=True, out=True)
def conj_physical(input: Tensor) -> Tensor:
    """The complex conjugate, in its own memory: ``out = real(input) - i * imag(input)``

    Family: elementwise

    >>> torch.conj_physical(torch.tensor([1 + 2j, 3j]))
    tensor([1.-2.j, 0.-3.j])
    """
    return _conjugate(input) if input._array.dtype.kind == "c" else input


@linear_in("input")
@unary(input=lambda grad: conj(grad))
def _conjugate(input: Array) -> Array:
    return np.conjugate(input)


@view(input=lambda grad: grad)  # the engine makes it complex
def _real(input: Array) -> Array:
    return input.real


@view(input=lambda grad: grad * 1j)
def _imag(input: Array) -> Array:
    return input.imag


@function()
def real(input: Tensor) -> Tensor:
    """The real part, a view: ``input = out + i * imag(input)``; a real tensor is returned itself.

    Family: elementwise

    >>> torch.real(torch.tensor([1 + 2j, 3j]))
    tensor([1., 0.])
    """
    return _real(input) if input._array.dtype.kind == "c" else input


@function()
def imag(input: Tensor) -> Tensor:
    """The imaginary part, a view: ``input = real(input) + i * out``

    Family: elementwise
    Raises: RuntimeError for a real tensor.

    >>> torch.imag(torch.tensor([1 + 2j, 3j]))
    tensor([2., 3.])
    """
    if input._array.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return _imag(input)


def _set_real(self: Tensor, value: Operand) -> None:
    real(self).copy_(value)


def _set_imag(self: Tensor, value: Operand) -> None:
    imag(self).copy_(value)


for _name, _property in {"real": property(real, _set_real), "imag": property(imag, _set_imag)}.items():
    setattr(Tensor, _name, _property)


@view(input=lambda grad: _joined(grad))
def _view_as_real(input: Array) -> Array:
    part = input.real
    return np.lib.stride_tricks.as_strided(part, (*part.shape, 2), (*part.strides, part.itemsize))


def _joined(grad: Tensor) -> Tensor:
    return view_as_complex(grad.contiguous())


@function()
def view_as_real(input: Tensor) -> Tensor:
    """Real and imaginary part side by side, a view: ``input = out[..., 0] + i * out[..., 1]``

    Shapes: (*in) complex -> (*in, 2) real.
    Raises: RuntimeError for a real tensor.

    >>> torch.view_as_real(torch.tensor([1 + 2j, 3j]))
    tensor([[1., 2.],
            [0., 3.]])
    """
    if input._array.dtype.kind != "c":
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return _view_as_real(input)


@view(input=lambda grad: view_as_real(grad))
def _view_as_complex(input: Array) -> Array:
    target = np.dtype("complex128" if input.dtype.char == "d" else "complex64")
    return np.lib.stride_tricks.as_strided(input[..., :2].view(target), input.shape[:-1], input.strides[:-1])


@function()
def view_as_complex(input: Tensor) -> Tensor:
    """Pairs of adjacent numbers as complex numbers, a view: ``out = input[..., 0] + i * input[..., 1]``

    Shapes: (*in, 2) real -> (*in) complex.
    Raises: RuntimeError unless the last dimension holds two adjacent numbers.

    >>> torch.view_as_complex(torch.tensor([[1.0, 2.0], [0.0, 3.0]]))
    tensor([1.+2.j, 0.+3.j])
    """
    array = input._array
    if array.dtype.char not in "fd":
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, "
            f"but got a tensor of scalar type: {scalar_name(array.dtype)}"
        )
    if not array.ndim:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if array.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if array.size and array.strides[-1] != array.itemsize:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any([n > 1 and stride % (2 * array.itemsize) for n, stride in zip(array.shape[:-1], array.strides)]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    return _view_as_complex(input)


@linear_in("real imag")
@op(
    real=lambda grad: grad.real,
    imag=lambda grad: grad.imag,
)
def _complex(real: Array, imag: Array) -> Array:
    out = np.empty(np.broadcast_shapes(real.shape, imag.shape), "complex128" if real.dtype.char == "d" else "complex64")
    out.real, out.imag = real, imag
    return out


def _same_type(result: Tensor, out: Tensor, operands: object) -> None:
    if out._array.dtype != result._array.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {scalar_name(result._array.dtype)} but got scalar type "
            f"{scalar_name(out._array.dtype)} for argument 'out'"
        )


@function(out=_same_type)
def complex(real: Tensor, imag: Tensor) -> Tensor:
    """A complex tensor from its parts: ``out = real + i * imag``

    Shapes: `real` and `imag` are broadcast, and the result has their common shape.
    Raises: RuntimeError unless both have the same floating point type.

    >>> torch.complex(torch.tensor([1.0, 2.0]), torch.tensor([0.0, -3.0]))
    tensor([1.+0.j, 2.-3.j])
    """
    _two_floats(real, imag)
    return _complex(real, imag)


@function(out=True)
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """A complex tensor from absolute value and angle: ``out = abs * (cos(angle) + i * sin(angle))``

    Shapes: `abs` and `angle` are broadcast, and the result has their common shape.
    Raises: RuntimeError unless both have the same floating point type.

    >>> torch.polar(torch.tensor([1.0, 2.0]), torch.tensor([torch.pi, torch.pi / 2]))
    tensor([-1.0000e+00-8.7423e-08j, -8.7423e-08+2.0000e+00j])
    """
    _two_floats(abs, angle)
    return _complex(abs * cos(angle), abs * sin(angle))


def _two_floats(a: Tensor, b: Tensor) -> None:
    types = a._array.dtype, b._array.dtype
    names = [scalar_name(t) for t in types]
    if types[0].kind != "f" or types[1].kind != "f":
        raise RuntimeError(f"Expected both inputs to be Half, Float or Double tensors but got {names[0]} and {names[1]}")
    if types[0] != types[1]:
        raise RuntimeError(f"Expected object of scalar type {names[0]} but got scalar type {names[1]} for second argument")
    broadcast_shapes(a._array.shape, b._array.shape)
