"""Signs, absolute values and rounding."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence

import numpy as np

from mini_dl._dtypes import FLOATING, Array, floating
from mini_dl._layout import copied
from mini_dl._surface import NamedTensors, method, public, return_type
from mini_dl.autograd.inplace import inplace as in_place, written_by
from mini_dl.autograd.primitive import binary, op, symmetric_in, unary
from mini_dl.autograd.single import as_it_is
from mini_dl.kernels.blocks import choose, elementwise, in_single, spread
from mini_dl.ops.arithmetic import underivable
from mini_dl.ops.choice import where
from mini_dl.ops.operands import accept, both_floating, masked, own_copy, promote_floating, zero_of
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ sign and rounding


@method(alias="absolute", out=True)
@written_by(np.absolute)
@unary(input=lambda grad, input: grad * input.sgn())
def abs(input: Array) -> Array:
    """The absolute value: ``out = sqrt(real(input) ** 2 + imag(input) ** 2)``; its gradient at 0 is 0.

    >>> torch.abs(torch.tensor([-1.5, 2.0]))
    tensor([1.5000, 2.0000])
    >>> torch.abs(torch.tensor(3 + 4j))
    tensor(5.)
    """
    accept("abs_cpu", "iufc", input)
    return np.absolute(input)


@public("torch:abs_", "Tensor:abs_", "Tensor:absolute_")
def _abs_(self: Tensor) -> Tensor:
    """`abs`, in place: ``self = abs(self)``

    Family: elementwise
    Raises: RuntimeError for complex numbers, whose absolute values are real.

    >>> torch.tensor([-1.5, 2.0]).abs_()
    tensor([1.5000, 2.0000])
    """
    if self._array.dtype.kind == "c":
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return _real_abs_(self)


_real_abs_ = in_place(abs, "abs_")


@method(inplace=True, out=True)
@unary(input=lambda grad: zero_of(grad))
def sign(input: Array) -> Array:
    """``out = 1 if input > 0 else -1 if input < 0 else 0``

    Raises: RuntimeError for complex numbers, which have `sgn`.

    >>> torch.sign(torch.tensor([-3.0, 0.0, 0.1]))
    tensor([-1.,  0.,  1.])
    """
    if input.dtype.kind == "c":
        raise NotImplementedError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
        )
    return _sign_of(input)


def _sign_of(input: Array) -> Array:
    if input.dtype.kind == "b":
        return copied(input)
    if input.dtype.kind in FLOATING and input.size > 4096:  # NumPy's function takes longer
        return spread(_signs, input)
    sign = np.sign(input)
    return np.where(sign == sign, sign, sign.dtype.type(0)) if np.isnan(sign).any() else sign  # torch: 0 for NaN


def _signs(x: Array, out: Array | None = None) -> Array:
    signs = np.greater(x, 0).view(np.int8)
    signs = np.subtract(signs, np.less(x, 0).view(np.int8), signs)
    if out is None:
        return signs.astype(x.dtype)
    np.copyto(out, signs)
    return out


@op(input=lambda grad, input, result: _sgn_gradient(grad, input, result))
def _sgn(input: Array) -> Array:
    if input.dtype.kind != "c":
        return _sign_of(input)
    size, out = np.where(input == 0, input.real.dtype.type(1), np.abs(input)), np.empty_like(input)
    out.real, out.imag = input.real / size, input.imag / size
    return out


def _sgn_gradient(grad: Tensor, input: Tensor, result: Tensor) -> Tensor:
    """For complex z: ``(grad - (conj(grad) z / |z|) z / |z|) / (2 |z|)`` as a real-linear map."""
    if input._array.dtype.kind != "c":
        return zero_of(grad)
    size = abs(input)
    return where(size == 0, 0.0, grad / size - (grad / input).real * result)


@method(inplace=True, out=True)
def sgn(input: Tensor) -> Tensor:
    """The sign, also of complex numbers: ``out = input / abs(input)``, 0 at 0.

    Family: elementwise

    >>> torch.sgn(torch.tensor([3 + 4j, 0j]))
    tensor([0.6000+0.8000j, 0.0000+0.0000j])
    """
    return _sgn(input)


@method(out=True)
@unary(input=lambda grad, input: _angle_gradient(grad, input))
def angle(input: Array) -> Array:
    """The angle of a complex number in the plane: ``input = abs(input) * exp(i * out)``; of a real one 0 or pi.

    >>> torch.angle(torch.tensor([1 + 1j, -2j]))
    tensor([ 0.7854, -1.5708])
    >>> torch.angle(torch.tensor([1.0, -1.0]))
    tensor([0.0000, 3.1416])
    """
    if input.dtype.kind == "c":
        return np.arctan2(input.imag, input.real)
    return _angle_of_real(floating(input))


@elementwise
def _angle_of_real(x: Array) -> Array:
    angle = np.less(x, 0).astype(x.dtype)
    angle = np.multiply(angle, x.dtype.type(math.pi), own_copy(angle))
    unknown = np.isnan(x)
    return choose(unknown, x, angle) if unknown.any() else angle


def _angle_gradient(grad: Tensor, input: Tensor) -> Tensor:
    if input._array.dtype.kind != "c":
        return zero_of(grad)
    square_of_size = input.real * input.real + input.imag * input.imag
    return where(square_of_size == 0, 0.0, grad / square_of_size) * (input * 1j)


@method(out=True)
@unary()
def signbit(input: Array) -> Array:
    """Whether the sign bit is set, as for negative numbers and -0.0: ``out = input < 0 or 1 / input < 0``

    >>> torch.signbit(torch.tensor([-1.0, -0.0, 0.0]))
    tensor([ True,  True, False])
    """
    if input.dtype.kind == "c":
        raise NotImplementedError("signbit is not implemented for complex tensors.")
    return np.signbit(input) if input.dtype.kind in FLOATING else np.less(input, 0)


@method(inplace=True, out=True)
@binary(
    input=lambda grad, input, result: grad * _sign_ratio(input, result),
    other=lambda grad: zero_of(grad),
    numbers="other",
    promote=promote_floating,
)
def copysign(input: Array, other: Array) -> Array:
    """The size of `input` with the sign of `other`: ``out = abs(input) * sign(other)``, where the sign of -0.0 is -1.

    >>> torch.copysign(torch.tensor([1.0, -2.0]), torch.tensor([-0.0, 5.0]))
    tensor([-1.,  2.])
    """
    accept("copysign_cpu", "biuf", input, other)
    input, other = both_floating(input, other)
    return spread(np.copysign, input, other)


def _sign_ratio(input: Tensor, result: Tensor) -> Tensor:
    return where(input == 0, 0.0, result / input)


@method(inplace=True, out=True)
@binary(input=lambda grad, input, other: masked(grad, input != other), other=lambda grad: zero_of(grad), numbers="")
@as_it_is
def nextafter(input: Array, other: Array) -> Array:
    """The next floating point number after `input` toward `other`: ``out = input + ulp(input) * sign(other - input)``

    >>> torch.nextafter(torch.tensor(1.0), torch.tensor(2.0)) - 1
    tensor(1.1921e-07)
    """
    accept("nextafter_cpu", "f", input, other)
    return spread(np.nextafter, input, other)


def _type_of_step(result: Tensor, out: Tensor, args: Sequence[object]) -> None:
    """RuntimeError unless ``out=`` has the type of the operands."""
    if result._array.dtype != out._array.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


@method(inplace=True, out=_type_of_step)
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """The step function: ``out = 0 if input < 0 else values if input == 0 else 1``

    Family: binary
    Raises: RuntimeError for complex numbers, for two dtypes, and if the shapes do not broadcast.

    >>> torch.heaviside(torch.tensor([-1.5, 0.0, 2.0]), torch.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    if not (isinstance(input, Tensor) and isinstance(values, Tensor)):
        return _heaviside(input, values)
    for tensor in (input, values):
        if tensor._array.dtype.kind == "c":
            raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if input._array.dtype != values._array.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    return _heaviside(input, values)


@binary(input=lambda grad: underivable("heaviside"), other=lambda grad: underivable("heaviside"), numbers="")
def _heaviside(input: Array, other: Array) -> Array:
    return np.where(input == 0, other, (input > 0).astype(input.dtype))


frexp_result = return_type("frexp", "mantissa exponent")


@method(out=True)
def frexp(input: Tensor) -> NamedTensors:
    """Mantissa and exponent of the binary floating point number: ``input = mantissa * 2 ** exponent``, the mantissa in [1/2, 1).

    Family: elementwise
    Raises: RuntimeError for integers.

    >>> torch.frexp(torch.tensor([8.0, -0.3]))
    torch.return_types.frexp(
    mantissa=tensor([ 0.5000, -0.6000]),
    exponent=tensor([ 4, -1], dtype=torch.int32))
    """
    if input._array.dtype.kind not in FLOATING:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return frexp_result(*_frexp(input))


@op(input=lambda grads, result: grads[0] / result[1].detach().to(grads[0].dtype).exp2())
def _frexp(input: Array) -> tuple[Array, Array]:
    mantissa, exponent = np.frexp(input)
    return mantissa, np.asarray(exponent, np.int32)


def _rounding(ufunc: np.ufunc, input: Array) -> Array:
    """`ufunc` on floating point numbers; integers are returned unchanged."""
    accept(f"{ufunc.__name__}_cpu" if ufunc is not np.rint else "round_cpu", "iuf", input)
    return ufunc(input) if input.dtype.kind in FLOATING else copied(input)


@method(inplace=True, out=True)
@written_by(np.floor)
@unary(input=lambda grad: zero_of(grad))
def floor(input: Array) -> Array:
    """The largest integer not greater than `input`: ``out <= input < out + 1``

    >>> torch.floor(torch.tensor([1.7, -1.2]))
    tensor([ 1., -2.])
    """
    return _rounding(np.floor, input)


@method(inplace=True, out=True)
@written_by(np.ceil)
@unary(input=lambda grad: zero_of(grad))
def ceil(input: Array) -> Array:
    """The smallest integer not less than `input`: ``out - 1 < input <= out``

    >>> torch.ceil(torch.tensor([1.2, -1.7]))
    tensor([ 2., -1.])
    """
    return _rounding(np.ceil, input)


@method(alias="fix", inplace=True, out=True)
@unary(input=lambda grad: zero_of(grad))
def trunc(input: Array) -> Array:
    """The integer part: ``out = sign(input) * floor(abs(input))``

    >>> torch.trunc(torch.tensor([1.7, -1.7]))
    tensor([ 1., -1.])
    """
    return _rounding(np.trunc, input)


@method(inplace=True, out=True)
@unary(input=lambda grad: grad)
def frac(input: Array) -> Array:
    """The fractional part, with the sign of `input`: ``out = input - trunc(input)``

    >>> torch.frac(torch.tensor([1.75, -1.25]))
    tensor([ 0.7500, -0.2500])
    """
    accept("frac_cpu", "f", input)
    return spread(_fraction, input)


def _fraction(x: Array, out: Array | None = None) -> Array:
    whole = np.trunc(x, out)
    return np.subtract(x, whole, own_copy(whole))


@method("special", inplace=True, out=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest integer, halves to even: ``abs(out - input) <= 1 / 2``; with `decimals`, the nearest multiple of
    ``10 ** -decimals``.

    Family: elementwise

    >>> torch.round(torch.tensor([0.5, 1.5, -2.7]))
    tensor([ 0.,  2., -3.])
    >>> torch.round(torch.tensor([1234.5678]), decimals=-2)
    tensor([1200.])
    """
    return _round(input, decimals)


@symmetric_in("input")
@op(input=lambda grad: zero_of(grad))
def _round(input: Array, decimals: int) -> Array:
    if decimals == 0:
        return _rounding(np.rint, input)
    accept("round_cpu", "f", input)
    scale = float(np.power(10.0, builtins.abs(decimals)))
    return _at_decimals(input, decimals, scale)


@in_single
def _at_decimals(input: Array, decimals: int, scale: float) -> Array:
    return np.rint(input * scale) / scale if decimals > 0 else np.rint(input / scale) * scale
