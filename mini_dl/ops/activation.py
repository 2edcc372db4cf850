"""Smooth activation functions of ``nn.functional``, and softmax.

They have a fused first derivative whose own derivative is composed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np

from mini_dl._checks import level_of_user, type_name, wrap_dim
from mini_dl._dtypes import Array, dtype, dtype as DType
from mini_dl._surface import method, namespace, public
from mini_dl.autograd.inplace import Memo, inplace as in_place, keep_in, memo_of, recalled
from mini_dl.autograd.primitive import linear_in, op, recorded_as, symmetric_in
from mini_dl.kernels import gelu as gelu_kernel, softmax as softmax_kernel
from mini_dl.kernels.blocks import (
    SLOW,
    as_single,
    choose,
    elementwise,
    in_slices,
    is_one_block,
    limited,
    one_and_exp_of_negative,
    real_floating,
    sigmoid_of,
    slow_elementwise,
)
from mini_dl.kernels.elementary import fastest
from mini_dl.kernels.gelu import gelu_and_slope, gelu_backward, gelu_tanh, gelu_tanh_backward
from mini_dl.kernels.halves import cast
from mini_dl.ops.operands import masked, own_copy
from mini_dl.ops.piecewise_linear import applied, in_range
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ exponential

_expm1, _log1p = fastest("expm1_of_negative"), fastest("log1p_of_fraction")


@linear_in("upstream")
@op(
    upstream=lambda grad, input, alpha, scale, input_scale: _elu_backward(grad, input, alpha, scale, input_scale),
    input=lambda grad, upstream, input, alpha, scale, input_scale: masked(
        grad * upstream * (input.clamp(max=0) * input_scale).exp() * (alpha * scale * input_scale * input_scale),
        input < 0,
    ),
)
@slow_elementwise
def _elu_backward(upstream: Array, input: Array, alpha: float, scale: float, input_scale: float) -> Array:
    y = np.fmin(input, 0)  # NaN counts as positive
    y *= input.dtype.type(input_scale)
    y = np.exp(y)
    y *= upstream
    y *= input.dtype.type(alpha * scale * input_scale)
    if alpha * input_scale == 1:
        return y
    return choose(np.asarray(input <= 0), y, upstream * input.dtype.type(scale))


@symmetric_in("input")
@op(input=lambda grad, input, alpha, scale, input_scale: _elu_backward(grad, input, alpha, scale, input_scale))
def _elu(input: Array, alpha: float, scale: float, input_scale: float) -> Array:
    return _exponential_below(real_floating(input, "elu_cpu"), input_scale, alpha * scale, scale)


@slow_elementwise
def _exponential_below(x: Array, inner: float, below: float, above: float, out: Array | None = None) -> Array:
    """``above * x if x > 0 else below * expm1(inner * x)``"""
    y = _times(limited(x, -math.inf, 0, out), inner)
    y = _times(_expm1(y, out=own_copy(y)), below)
    y += _times(limited(x, 0, math.inf), above)
    return y


def _times(y: Array, factor: float) -> Array:
    return y if factor == 1 else np.multiply(y, y.dtype.type(factor), own_copy(y))


@public("nn.functional")
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``out = input if input > 0 else alpha * (exp(input) - 1)``

    Shapes: (*) -> (*).
    Raises: NotImplementedError for integers.
    Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential linear units, 2016,
    section 3.

    >>> F.elu(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.6321,  0.0000,  2.0000])
    """
    in_range(input, alpha)
    return applied(_elu, inplace, input, alpha, 1.0, 1.0)


@public("nn.functional")
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """``out = scale * (input if input > 0 else alpha * (exp(input) - 1))`` with `scale` 1.0507 and `alpha` 1.6733.

    With these constants normal inputs of mean 0 and variance 1 give outputs of mean 0 and variance 1.

    Shapes: (*) -> (*).
    Raises: NotImplementedError for integers.
    Source: Klambauer et al., Self-normalizing neural networks, 2017.

    >>> F.selu(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.1113,  0.0000,  2.1014])
    """
    return applied(_elu, inplace, input, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0)


@public("nn.functional")
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``out = max(input, 0) + min(0, alpha * (exp(input / alpha) - 1))``: an `elu` whose slope is continuous for every `alpha`.

    Shapes: (*) -> (*).
    Raises: RuntimeError if `alpha` is 0; NotImplementedError for integers.
    Source: Barron, Continuously differentiable exponential linear units, 2017.

    >>> F.celu(torch.tensor([-1.0, 0.0, 2.0]), alpha=2.0)
    tensor([-0.7869,  0.0000,  2.0000])
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    in_range(input, alpha)
    return applied(_elu, inplace, input, alpha, 1.0, 1.0 / alpha)


@linear_in("upstream")
@op(
    upstream=lambda grad, input, beta, threshold: _softplus_backward(grad, input, beta, threshold),
    input=lambda grad, upstream, input, beta, threshold: masked(
        grad * upstream * _sigmoid_slope((input * beta).sigmoid()) * beta, ~(input * beta > threshold)
    ),
)
@slow_elementwise
def _softplus_backward(upstream: Array, input: Array, beta: float, threshold: float) -> Array:
    z = input * input.dtype.type(beta)
    return choose(np.asarray(z > threshold), upstream, upstream * sigmoid_of(z))


@symmetric_in("input")
@op(input=lambda grad, input, beta, threshold: _softplus_backward(grad, input, beta, threshold))
def _softplus(input: Array, beta: float, threshold: float) -> Array:
    return _smooth_ramp(real_floating(input, "softplus_cpu"), beta, threshold)


@slow_elementwise
def _smooth_ramp(x: Array, beta: float, threshold: float, out: Array | None = None) -> Array:
    z = x if beta == 1 else x * x.dtype.type(beta)
    soft = _log_one_and_exp_of_negative_size(z, out)
    soft += limited(z, 0, math.inf)
    if beta == 1 and threshold >= _SURE and z.dtype.char == "f":
        return soft
    soft = np.divide(soft, x.dtype.type(beta), own_copy(soft))
    return choose(np.asarray(z > threshold), x, soft)


_SURE = 20
"""From here on, ``log(1 + exp(z))`` is z in float32."""


def _log_one_and_exp_of_negative_size(x: Array, out: Array | None = None) -> Array:
    """``log(1 + exp(-abs(x)))``"""
    y = np.absolute(x, out)
    if not y.ndim:
        return _log1p(np.exp(-y))
    return _log1p(np.exp(np.negative(y, y), y), out=y)


@public("nn.functional", out=True)
def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """``out = log(1 + exp(beta * input)) / beta``; `input` itself where ``beta * input > threshold``.

    Shapes: (*) -> (*).
    Raises: NotImplementedError for integers.
    Source: Dugas et al., Incorporating second-order functional knowledge for better option pricing, 2001.

    >>> F.softplus(torch.tensor([-1.0, 0.0, 30.0]))
    tensor([ 0.3133,  0.6931, 30.0000])
    """
    in_range(input, beta, threshold)
    return _softplus(input, beta, threshold)


def _sigmoid_slope(s: Tensor) -> Tensor:
    return s * (1 - s)


@linear_in("upstream")
@op(
    upstream=lambda grad, input: _logsigmoid_backward(grad, input),
    input=lambda grad, upstream, input: -grad * upstream * _sigmoid_slope(input.sigmoid()),
)
@slow_elementwise
def _logsigmoid_backward(upstream: Array, input: Array) -> Array:
    return upstream * sigmoid_of(np.negative(input))


@public("nn.functional", out=True)
@recorded_as("LogSigmoidBackward0")
@symmetric_in("input")
@op(input=lambda grad, input: _logsigmoid_backward(grad, input))
def logsigmoid(input: Array) -> Array:
    """``out = log(1 / (1 + exp(-input)))``, without overflow.

    Shapes: (*) -> (*).
    Raises: NotImplementedError for integers.

    >>> F.logsigmoid(torch.tensor([-200.0, 0.0, 2.0]))
    tensor([-2.0000e+02, -6.9315e-01, -1.2693e-01])
    """
    return _log_of_sigmoid(real_floating(input, "log_sigmoid_cpu"))


def log_of_sigmoid(x: Array, out: Array | None = None) -> Array:
    y = _log_one_and_exp_of_negative_size(x, out)
    return np.subtract(limited(x, -math.inf, 0), y, own_copy(y))


_log_of_sigmoid = slow_elementwise(log_of_sigmoid)


@public("nn.functional")
def tanhshrink(input: Tensor) -> Tensor:
    """``out = input - tanh(input)``

    Shapes: (*) -> (*).
    Raises: RuntimeError for bool tensors.

    >>> F.tanhshrink(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2384,  0.0000,  1.0360])
    """
    return input - input.tanh()


@public("nn.functional")
def softsign(input: Tensor) -> Tensor:
    """``out = input / (1 + abs(input))``

    Shapes: (*) -> (*).
    Raises: NotImplementedError for bool tensors.
    Source: Bergstra et al., Quadratic polynomials learn better image features, 2009.

    >>> F.softsign(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.5000,  0.0000,  0.6667])
    """
    return input / (input.abs() + 1)


@linear_in("upstream")
@op(
    upstream=lambda grad, input, divisor: _silu_backward(grad, input, divisor),
    input=lambda grad, upstream, input: grad * upstream * _silu_second(input),
)
def _silu_backward(upstream: Array, input: Array, divisor: Array | None) -> Array:
    """``upstream * s * (1 + input * (1 - s))`` with ``s = 1 / divisor``, perhaps known from the forward and not differentiated"""
    return _times_silu_slope(upstream, input, one_and_exp_of_negative(as_single(input)) if divisor is None else divisor)


@elementwise
def _times_silu_slope(upstream: Array, input: Array, divisor: Array, out: Array | None = None) -> Array:
    s = np.reciprocal(divisor)
    y = np.subtract(1, s, out)
    y *= input
    y += 1
    y *= s
    y *= upstream
    return y


def _silu_second(x: Tensor) -> Tensor:
    s = x.sigmoid()
    return _sigmoid_slope(s) * (2 + x * (1 - 2 * s))


@symmetric_in("input")
@op(input=lambda grad, input, memo: _silu_backward(grad, input, *(recalled(memo) or [None])))
def _silu(input: Array, memo: Memo) -> Array:
    """``input / divisor``, which it keeps for the gradient: ``1 + exp(-input)``"""
    x = as_single(real_floating(input, "silu_cpu"))
    if is_one_block(x.size):
        divisor = one_and_exp_of_negative(x)
        keep_in(memo, divisor)
        return cast(np.divide(x, divisor), input.dtype)
    x = np.ascontiguousarray(x)
    out = np.empty(x.shape, x.dtype)
    divisor = out if memo is None else np.empty(x.shape, x.dtype)
    keep_in(memo, divisor)
    flat, flat_out, flat_divisor = x.reshape(-1), out.reshape(-1), divisor.reshape(-1)

    def divide(block: slice) -> None:
        np.divide(flat[block], one_and_exp_of_negative(flat[block], flat_divisor[block]), flat_out[block])

    in_slices(divide, x.size, 1, SLOW)
    return cast(out, input.dtype)


def _silu_of(input: Tensor) -> Tensor:
    return _silu(input, memo_of(input))


@public("nn.functional")
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``out = input / (1 + exp(-input))``, that is ``input * sigmoid(input)``; also called swish.

    Shapes: (*) -> (*).
    Raises: NotImplementedError for integers.
    Source: Elfwing, Uchibe and Doya, Sigmoid-weighted linear units for neural network function approximation in reinforcement
    learning, 2018.

    >>> F.silu(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2689,  0.0000,  1.7616])
    """
    if isinstance(input, Tensor) and input._array.dtype.kind == "c":
        return input.mul_(input.sigmoid()) if inplace else input * input.sigmoid()
    return applied(_silu_of, inplace, input)


@linear_in("upstream")
@op(
    upstream=lambda grad, input: _mish_backward(grad, input),
    input=lambda grad, upstream, input: grad * upstream * _mish_second(input),
)
@slow_elementwise
def _mish_backward(upstream: Array, input: Array) -> Array:
    t = _tanh_softplus(input)
    return upstream * (t + input * sigmoid_of(input) * (1 - t * t))


def _mish_second(x: Tensor) -> Tensor:
    s, t = x.sigmoid(), softplus(x).tanh()
    return (1 - t * t) * s * (2 + x * (1 - s) - 2 * x * t * s)


def _tanh_softplus(x: Array) -> Array:
    """``tanh(log(1 + e))`` is ``n / (n + 2)`` with ``n = e (e + 2)``, ``e = exp(x)``; 1 from 40 on."""
    e = np.exp(limited(x, -math.inf, 40))
    n = e * (e + 2)
    return n / (n + 2)


@symmetric_in("input")
@op(input=lambda grad, input: _mish_backward(grad, input))
@slow_elementwise
def _mish(input: Array) -> Array:
    return input * _tanh_softplus(real_floating(input, "mish_cpu"))


@public("nn.functional")
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``out = input * tanh(log(1 + exp(input)))``

    Shapes: (*) -> (*).
    Raises: NotImplementedError for integers.
    Source: Misra, Mish: a self regularized non-monotonic activation function, 2019.

    >>> F.mish(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3034,  0.0000,  1.9440])
    """
    return applied(_mish, inplace, input)


# ------------------------------------------------------------------------------------------------ gelu


@linear_in("upstream")
@op(
    upstream=lambda grad, input: _gelu_tanh_backward(grad, input),
    input=lambda grad, upstream, input: grad * upstream * _gelu_tanh_second(input),
)
def _gelu_tanh_backward(upstream: Array, input: Array) -> Array:
    return gelu_tanh_backward(upstream, input)


def _gelu_tanh_second(x: Tensor) -> Tensor:
    square = x * x
    t = (x * (1 + gelu_kernel.CUBIC * square) * gelu_kernel.TANH_SCALE).tanh()
    inner = (1 + 3 * gelu_kernel.CUBIC * square) * gelu_kernel.TANH_SCALE
    return (1 - t * t) * (inner + x * (3 * gelu_kernel.CUBIC * gelu_kernel.TANH_SCALE * x - t * inner * inner))


@symmetric_in("input")
@op(input=lambda grad, input: _gelu_tanh_backward(grad, input))
def _gelu_tanh(input: Array) -> Array:
    return gelu_tanh(input)


@linear_in("upstream")
@op(
    upstream=lambda grad, input, slope: _gelu_backward(grad, input, slope),
    input=lambda grad, upstream, input: (
        grad * upstream * (input * input * -0.5).exp() * (2 - input * input) * (1 / math.sqrt(2 * math.pi))
    ),
)
def _gelu_backward(upstream: Array, input: Array, slope: Array | None) -> Array:
    """``upstream * slope``; the slope at `input`, perhaps known from the forward, is not differentiated."""
    return gelu_backward(upstream, gelu_and_slope(input)[1] if slope is None else slope)


@symmetric_in("input")
@op(input=lambda grad, input, memo: _gelu_backward(grad, input, *(recalled(memo) or [None])))
def _gelu(input: Array, memo: Memo) -> Array:
    """``input * cdf`` with the normal distribution's `cdf`; it keeps the slope for the gradient."""
    if memo is None:
        return gelu_kernel.gelu(input)
    out, slope = gelu_and_slope(input)
    keep_in(memo, slope)
    return out


@public("nn.functional", out=True)
def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """``out = input * Phi(input)`` with the normal distribution function ``Phi(x) = (1 + erf(x / sqrt(2))) / 2``.

    `approximate` "tanh": ``out = input / 2 * (1 + tanh(sqrt(2 / pi) * (input + 0.044715 * input ** 3)))``.

    Shapes: (*) -> (*).
    Raises: RuntimeError if `approximate` is neither "none" nor "tanh"; NotImplementedError for integers.
    Source: Hendrycks and Gimpel, Gaussian error linear units, 2016, section 2.

    >>> F.gelu(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.1587,  0.0000,  1.9545])
    >>> F.gelu(torch.tensor([-1.0, 0.0, 2.0]), approximate="tanh")
    tensor([-0.1588,  0.0000,  1.9546])
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    if approximate == "tanh":
        return _gelu_tanh(input)
    return _gelu(input, memo_of(input))


@public("nn.functional")
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """``out = a * sigmoid(b)`` with the halves `a` and `b` of `input` along `dim`.

    Shapes: (*, 2 K, *) -> (*, K, *), along `dim`.
    Raises: RuntimeError if the size along `dim` is odd, or `input` has no dimensions.
    Source: Dauphin et al., Language modeling with gated convolutional networks, 2017, section 2.

    >>> F.glu(torch.tensor([1.0, 2.0, 0.0, 100.0]))
    tensor([0.5000, 2.0000])
    """
    if not input.ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    at = wrap_dim(dim, input.ndim)
    size = input._array.shape[at]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {at} is size {size}")
    real_floating(input._array, "glu_cpu")
    return input.narrow(at, 0, size // 2) * input.narrow(at, size // 2, size // 2).sigmoid()


# ------------------------------------------------------------------------------------------------ softmax


@linear_in("upstream")
@op(
    upstream=lambda grad, result_, dim: softmax_backward(grad, result_, dim),
    result_=lambda grad, upstream, result_, dim: (
        grad * (upstream - (upstream * result_).sum(dim, keepdim=True)) - upstream * (grad * result_).sum(dim, keepdim=True)
    ),
)
def softmax_backward(upstream: Array, result_: Array, dim: int) -> Array:
    """``(upstream - sum(upstream * softmax)) * softmax``"""
    return softmax_kernel.along(softmax_kernel.softmax_backward_rows, dim, upstream, result_)


@symmetric_in("input")
@op(input=lambda grad, result, dim: softmax_backward(grad, result, dim))
def _softmax(input: Array, dim: int) -> Array:
    last = dim == max(input.ndim - 1, 0)
    real_floating(input, "softmax_lastdim_kernel_impl" if last else "softmax_kernel_impl")
    return softmax_kernel.along(softmax_kernel.softmax_rows, dim, input, cost=softmax_kernel.COST)


@linear_in("upstream")
@op(
    upstream=lambda grad, result_, dim: grad - (grad * result_.exp()).sum(dim, keepdim=True),
    result_=lambda grad, upstream, result_, dim: -grad * result_.exp() * upstream.sum(dim, keepdim=True),
)
def log_softmax_backward(upstream: Array, result_: Array, dim: int, kept: Sequence[Array] = ()) -> Array:
    """``upstream - softmax * sum(upstream)``; `kept` are the exponentials and the sums of their rows, if they are known."""
    return softmax_kernel.along(softmax_kernel.log_softmax_backward_rows, dim, upstream, result_, beside=kept)


@op(input=lambda grad, result, dim, memo: log_softmax_backward(grad, result, dim, recalled(memo)))
def _log_softmax(input: Array, dim: int, memo: Memo) -> Array:
    last = dim == max(input.ndim - 1, 0)
    real_floating(input, "log_softmax_lastdim_kernel_impl" if last else "softmax_kernel_impl")
    room = () if memo is None else softmax_kernel.exponentials_of(input, dim)
    keep_in(memo, *room)
    return softmax_kernel.along(softmax_kernel.log_softmax_rows, dim, input, beside=room)


@method("special", out=True)
def softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """``out[i] = exp(input[i]) / sum(exp(input[j]), j)`` along `dim`, computed in `dtype` if that is given.

    Shapes: (*) -> (*).
    Raises: IndexError if there is no dimension `dim`; NotImplementedError for integers without `dtype`.
    Source: Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990.

    >>> torch.softmax(torch.tensor([[0.0, 0.0], [0.0, 1.0]]), dim=1)
    tensor([[0.5000, 0.5000],
            [0.2689, 0.7311]])
    """
    if dtype is not None:
        input = input.to(dtype)
    return _softmax(input, wrap_dim(dim, input.ndim))


@method("special", out=True)
def log_softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """``out[i] = input[i] - log(sum(exp(input[j]), j))`` along `dim`, computed in `dtype` if that is given.

    Shapes: (*) -> (*).
    Raises: IndexError if there is no dimension `dim`; NotImplementedError for integers without `dtype`.

    >>> torch.log_softmax(torch.tensor([0.0, 1000.0]), dim=0)
    tensor([-1000.,     0.])
    """
    if dtype is not None:
        input = input.to(dtype)
    return _log_softmax(input, wrap_dim(dim, input.ndim), memo_of(input))


def _implicit_dim(name: str, ndim: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=level_of_user(),
    )
    return 0 if ndim in (0, 1, 3) else 1


def _functional_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None) -> Tensor:
    """``out[i] = exp(input[i]) / sum(exp(input[j]), j)`` along `dim`.

    Without `dim` it warns, and uses dimension 0 of tensors with 0, 1 or 3 dimensions, otherwise 1.

    Shapes: (*) -> (*).
    Raises: IndexError if there is no dimension `dim`; NotImplementedError for integers.
    Source: Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990.

    >>> F.softmax(torch.tensor([[0.0, 0.0], [0.0, 1.0]]), dim=1)
    tensor([[0.5000, 0.5000],
            [0.2689, 0.7311]])
    """
    return softmax(input, _implicit_dim("softmax", input.ndim) if dim is None else dim, dtype)


def _functional_log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None) -> Tensor:
    """``out[i] = input[i] - log(sum(exp(input[j]), j))`` along `dim`.

    Without `dim` it warns, and uses dimension 0 of tensors with 0, 1 or 3 dimensions, otherwise 1.

    Shapes: (*) -> (*).
    Raises: IndexError if there is no dimension `dim`; NotImplementedError for integers.

    >>> F.log_softmax(torch.tensor([0.0, 1000.0]), dim=0)
    tensor([-1000.,     0.])
    """
    return log_softmax(input, _implicit_dim("log_softmax", input.ndim) if dim is None else dim, dtype)


public("nn.functional:softmax")(_functional_softmax)
public("nn.functional:log_softmax")(_functional_log_softmax)


@public("nn.functional")
def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None) -> Tensor:
    """``out[i] = exp(-input[i]) / sum(exp(-input[j]), j)`` along `dim`, as `softmax` of the negated input.

    Shapes: (*) -> (*).
    Raises: IndexError if there is no dimension `dim`; NotImplementedError for integers.

    >>> F.softmin(torch.tensor([0.0, 1.0, 2.0]), dim=0)
    tensor([0.6652, 0.2447, 0.0900])
    """
    if dtype is not None and not isinstance(dtype, DType):
        raise TypeError(f"softmin(): argument 'dtype' must be torch.dtype, not {type_name(dtype)}")
    return softmax(-input, _implicit_dim("softmin", input.ndim) if dim is None else dim, dtype)


@public("nn.functional")
def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """``out = softmax((logits + g) / tau)`` along `dim`, with noise ``g = -log(-log(u))`` of uniform `u`: nearly one-hot for a
    small `tau`.

    `hard`: one-hot, with the gradient of the soft draw. `eps` has no effect.

    Shapes: (*) -> (*).
    Raises: IndexError if there is no dimension `dim`; RuntimeError for integers.
    Source: Jang, Gu and Poole, Categorical reparameterization with Gumbel-softmax, 2017, section 2.

    >>> _ = torch.manual_seed(0)
    >>> F.gumbel_softmax(torch.tensor([0.0, 1.0, 2.0]), tau=0.5)
    tensor([5.4419e-04, 3.2694e-02, 9.6676e-01])
    >>> F.gumbel_softmax(torch.tensor([0.0, 1.0, 2.0]), hard=True)
    tensor([0., 0., 1.])
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=level_of_user())
    gumbels = -logits.detach().clone().exponential_().log()
    soft = softmax((logits + gumbels) / tau, dim)
    if not hard:
        return soft
    index = soft.detach().argmax(dim, keepdim=True)
    one_hot = soft.detach().new_zeros(soft.shape).scatter_(dim, index, 1.0)
    return one_hot - soft.detach() + soft


# ------------------------------------------------------------------------------------------------ in-place names


for _function in (elu, selu, celu):
    namespace("nn.functional")[_function.__name__ + "_"] = in_place(_function)
for _function in (selu, celu):
    namespace("torch")[_function.__name__] = _function
    namespace("torch")[_function.__name__ + "_"] = in_place(_function)
