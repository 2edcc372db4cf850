"""The dropout family: a random factor for each element or each channel during training."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._checks import level_of_user
from mini_dl._dtypes import FLOATING, Array, NumpyType, bool as boolean, scalar_name
from mini_dl._meta import is_meta_array
from mini_dl._surface import function, named, namespace, public
from mini_dl.autograd.draws import any_batches, for_batches, leading
from mini_dl.autograd.formal import kinked
from mini_dl.autograd.inplace import check_cast
from mini_dl.autograd.mode import mode, no_grad
from mini_dl.autograd.single import widening
from mini_dl.kernels import distributions
from mini_dl.kernels.mersenne import Generator, uniform
from mini_dl.ops.piecewise_linear import leaky_relu
from mini_dl.ops.random import drawn, source
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ nn.functional


@public("nn.functional")
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """``out = mask * input / (1 - p)`` with a random `mask`, 0 with probability `p` and else 1, while `training`; else `input`.

    Shapes: (*) -> (*).
    Raises: ValueError unless 0 <= p <= 1.
    Source: Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, 2014, section 4.

    >>> _ = torch.manual_seed(0)
    >>> torch.nn.functional.dropout(torch.ones(6), 0.5)
    tensor([0., 0., 2., 0., 0., 0.])
    """
    return _dropped(input, _checked(p), training, inplace, _scaled)


@public("nn.functional")
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """``out = a * (mask * input + (1 - mask) * low) + b`` while `training`: `mask` is 0 with probability `p`, `low` is the limit
    of `selu` below 0, and `a` and `b` keep mean 0 and variance 1.

    Shapes: (*) -> (*).
    Raises: ValueError unless 0 <= p <= 1.
    Source: Klambauer et al., Self-normalizing neural networks, 2017.

    >>> _ = torch.manual_seed(0)
    >>> F.alpha_dropout(torch.zeros(4), p=0.5, training=True)
    tensor([-0.7792, -0.7792,  0.7792, -0.7792])
    """
    return _dropped(input, _checked(p), training, inplace, _shifted)


@public("nn.functional")
def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """``out[n, c] = a * (mask[n, c] * input[n, c] + (1 - mask[n, c]) * low) + b``: `alpha_dropout` of whole channels.

    Shapes: (N, C, *) -> (N, C, *).
    Raises: ValueError unless 0 <= p <= 1; RuntimeError for fewer than two dimensions while `training`.
    Source: Klambauer et al., Self-normalizing neural networks, 2017.

    >>> _ = torch.manual_seed(0)
    >>> F.feature_alpha_dropout(torch.zeros(1, 2, 3), p=0.5, training=True)
    tensor([[[-0.7792, -0.7792, -0.7792],
             [-0.7792, -0.7792, -0.7792]]])
    """
    return _dropped(input, _checked(p), training, inplace, _shifted, by_channel=True)


@public("nn.functional")
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """``out[n, c] = mask[n, c] * input[n, c] / (1 - p)`` in training: `dropout` of whole channels.

    Shapes: (N, C, L) -> (N, C, L), also without N.
    Raises: ValueError unless 0 <= p <= 1; RuntimeError for other numbers of dimensions.
    Source: Tompson et al., Efficient object localization using convolutional networks, 2015.

    >>> _ = torch.manual_seed(0)
    >>> F.dropout1d(torch.ones(2, 3), p=0.5)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    _checked(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that dropout1d exists to provide "
            "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch dimension "
            "(i.e. 2D or 3D inputs)."
        )
    return _channels_dropped(input, p, training, inplace, batched=input.ndim == 3)


@public("nn.functional")
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """``out[n, c] = mask[n, c] * input[n, c] / (1 - p)`` in training: `dropout` of whole channels.

    Three dimensions are interpreted as (N, C, L), with a warning.

    Shapes: (N, C, H, W) -> (N, C, H, W).
    Raises: ValueError unless 0 <= p <= 1.
    Source: Tompson et al., Efficient object localization using convolutional networks, 2015.

    >>> _ = torch.manual_seed(0)
    >>> F.dropout2d(torch.ones(1, 3, 1, 2), p=0.5)
    tensor([[[[0., 0.]],
    <BLANKLINE>
             [[0., 0.]],
    <BLANKLINE>
             [[2., 2.]]]])
    """
    _checked(p)
    _warn_of_dimensions("dropout2d", input, 3, 4, 2)
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - input "
            "is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a future release to "
            "interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise dropout "
            "behavior, please switch to using dropout1d instead.",
            stacklevel=level_of_user(),
        )
    return _channels_dropped(input, p, training, inplace, batched=True)


@public("nn.functional")
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """``out[n, c] = mask[n, c] * input[n, c] / (1 - p)`` in training: `dropout` of whole channels.

    Shapes: (N, C, D, H, W) -> (N, C, D, H, W), also without N.
    Raises: ValueError unless 0 <= p <= 1.
    Source: Tompson et al., Efficient object localization using convolutional networks, 2015.

    >>> _ = torch.manual_seed(0)
    >>> F.dropout3d(torch.ones(1, 3, 1, 1, 2), p=0.5)
    tensor([[[[[0., 0.]]],
    <BLANKLINE>
    <BLANKLINE>
             [[[0., 0.]]],
    <BLANKLINE>
    <BLANKLINE>
             [[[2., 2.]]]]])
    """
    _checked(p)
    _warn_of_dimensions("dropout3d", input, 4, 5, 3)
    return _channels_dropped(input, p, training, inplace, batched=input.ndim == 5)


def _warn_of_dimensions(name: str, input: Tensor, least: int, most: int, spatial: int) -> None:
    if input.ndim not in (least, most):
        warnings.warn(
            f"{name}: Received a {input.ndim}-D input to {name}, which is deprecated and will result in an error in a future "
            f"release. To retain the behavior and silence this warning, please use dropout instead. Note that {name} exists to "
            f"provide channel-wise dropout on inputs with {spatial} spatial dimensions, a channel dimension, and an optional "
            f"batch dimension (i.e. {least}D or {most}D inputs).",
            stacklevel=level_of_user(),
        )


def _channels_dropped(input: Tensor, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    if batched:
        return _dropped(input, p, training, inplace, _scaled, by_channel=True)
    result = _dropped(input.unsqueeze(0), p, training, inplace, _scaled, by_channel=True)
    return input if inplace else result.squeeze(0)


def _checked(p: float) -> float:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    return p


# ------------------------------------------------------------------------------------------------ helpers


def _dropped(input: Tensor, p: float, train: bool, inplace: bool, parts: Callable[..., Any], by_channel: bool = False) -> Tensor:
    """``input * factor + shift`` with the random `parts` of the method, or `input` itself when not training."""
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")
    array = input._array
    if p == 0 or not train or not array.size:
        return input
    if is_meta_array(array):
        return input.mul_(wrap(array)) if inplace else input * wrap(array)
    if p == 1:
        factor, shift = wrap(np.zeros((), array.dtype)), None
    elif any_batches():
        with no_grad():
            factor, shift = parts(_kept(_channels(array.shape) if by_channel else array.shape, array.dtype, p), p)
    else:
        like = _one_per_channel(array) if by_channel else array
        draw = distributions.bernoulli(array.dtype, 1 - p)
        check_cast(np.dtype(np.float32), array.dtype)
        made = mode.run(widening(parts), mode.run(drawn, like, source(None), draw), p)
        factor, shift = wrap(made[0]), None if made[1] is None else wrap(made[1])
    result = input.mul_(factor) if inplace else input * factor
    if shift is None:
        return result
    return result.add_(shift) if inplace else result + shift


def _kept(shape: tuple[int, ...], dtype: NumpyType, p: float) -> Tensor:
    """Ones, and zeros with probability `p`: drawn for all elements of the batch, or once."""
    like = np.empty((*leading(), *shape), dtype)
    return for_batches(wrap(mode.run(drawn, like, source(None), distributions.bernoulli(dtype, 1 - p))))


def _channels(shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return (*shape[:2], *[1] * (len(shape) - 2))


def _one_per_channel(array: Array) -> Array:
    return np.empty(_channels(array.shape), array.dtype)


def _scaled(keep: Array, p: float) -> tuple[Array, None]:
    keep /= 1 - p
    return keep, None


LIMIT = 1.7580993408473766  # the negated limit of SELU below zero


def _shifted(keep: Array, p: float) -> tuple[Array, Array]:
    scale = 1 / math.sqrt((LIMIT * LIMIT * p + 1) * (1 - p))
    shift = keep - 1
    shift *= LIMIT * scale
    shift += LIMIT * scale * p
    keep *= scale
    return keep, shift


# ------------------------------------------------------------------------------------------------ torch.dropout and similar


def _publish(name: str, parts: Callable[..., object], by_channel: bool) -> None:
    """``torch.f(input, p, train)`` and ``torch.f_``: without defaults, and with a RuntimeError for a bad `p`."""

    def call(input: Tensor, p: float, train: bool) -> Tensor:
        return _dropped(input, p, train, False, parts, by_channel)

    def in_place(input: Tensor, p: float, train: bool) -> Tensor:
        return _dropped(input, p, train, True, parts, by_channel)

    formula = "a * (input * keep + alpha * (1 - keep)) + b" if parts is _shifted else "input * keep / (1 - p)"
    for published, spelling in ((call, name), (in_place, name + "_")):
        place = ", in place" if published is in_place else ""
        doc = f"""`nn.functional.{name}` without defaults{place}: ``{"input" if place else "out"} = {formula}``

Shapes: (*in) -> (*in){", where whole channels, the slices along dimension 1, are chosen" * by_channel}.
Raises: RuntimeError unless ``0 <= p <= 1``; TypeError unless `input` is a tensor.

>>> torch.{spelling}(torch.ones(2, 2), 0.5, False)
tensor([[1., 1.],
        [1., 1.]])"""
        named(published, spelling, doc)
        namespace("torch")[spelling] = published


_publish("dropout", _scaled, False)
_publish("feature_dropout", _scaled, True)
_publish("alpha_dropout", _shifted, False)
_publish("feature_alpha_dropout", _shifted, True)


@function()
def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """``out = mask * input / (1 - p)``, and the `mask` of the elements that were kept; ``train=None`` means training.

    Shapes: (*) -> (*), (*).
    Raises: RuntimeError unless 0 <= p <= 1, and for integers.

    >>> _ = torch.manual_seed(0)
    >>> torch.native_dropout(torch.ones(4), p=0.5, train=True)
    (tensor([0., 0., 2., 0.]), tensor([False, False,  True, False]))
    """
    array = input._array
    if train is False or not array.size:
        return input.clone(), wrap(np.ones(array.shape, bool))
    check_cast(np.dtype(np.float32), array.dtype)
    if p != 1 and any_batches():
        kept = _kept(array.shape, array.dtype, p)
        return input * (kept * (1 / (1 - p))), kept.to(boolean)
    if p == 1:
        keep = np.zeros(array.shape, bool)
    else:
        keep = mode.run(drawn, array, source(None), distributions.bernoulli(array.real.dtype, 1 - p)).astype(bool)
    factor = wrap(keep).to(input.dtype)
    return input * (factor if p == 1 else factor * (1 / (1 - p))), wrap(keep)


# ------------------------------------------------------------------------------------------------ rrelu


@public("nn.functional")
def rrelu(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False) -> Tensor:
    """``out = input if input > 0 else a * input`` with `a` drawn from U(lower, upper) for each element.

    Unless `training`, `a` is ``(lower + upper) / 2``.

    Shapes: (*) -> (*).
    Raises: RuntimeError unless lower <= upper; NotImplementedError for integers.
    Source: Xu et al., Empirical evaluation of rectified activations in convolutional network, 2015, section 2.4.

    >>> F.rrelu(torch.tensor([-1.0, 2.0]))
    tensor([-0.2292,  2.0000])
    """
    return _rrelu(input, lower, upper, training, None, inplace)


@public("torch:rrelu")
def _torch_rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, generator: Generator | None = None
) -> Tensor:
    """``out = input if input > 0 else a * input`` with `a` drawn from U(lower, upper) by `generator`.

    Family: F.rrelu

    >>> torch.rrelu(torch.tensor([-1.0, 2.0]))
    tensor([-0.2292,  2.0000])
    """
    return _rrelu(input, lower, upper, training, generator, False)


@public("torch:rrelu_", "nn.functional:rrelu_")
def _rrelu_(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, generator: Generator | None = None
) -> Tensor:
    """``input = input if input > 0 else a * input`` with `a` drawn from U(lower, upper), in place.

    Family: F.rrelu

    >>> F.rrelu_(torch.tensor([-1.0, 2.0]))
    tensor([-0.2292,  2.0000])
    """
    return _rrelu(input, lower, upper, training, generator, True)


def _rrelu(input: Tensor, lower: float, upper: float, training: bool, generator: Generator | None, inplace: bool) -> Tensor:
    if not lower <= upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    if input._array.dtype.kind not in FLOATING:
        raise NotImplementedError(f"\"rrelu_with_noise_out_cpu\" not implemented for '{scalar_name(input._array.dtype)}'")
    if any_batches():
        raise RuntimeError("vmap: we do not yet support aten::rrelu. Please file an issue")
    slope = wrap(mode.run(_slopes, input._array, float(lower), float(upper), source(generator)))
    return input.mul_(slope) if inplace else kinked(input) * slope


def _slopes(array: Array, lower: float, upper: float, generator: Generator) -> Array:
    """1 for each positive element, and a random slope, in order, for each other one."""
    slopes = np.ones(array.shape, array.dtype)
    falling = array <= 0
    slopes[falling] = uniform(generator, int(falling.sum()), np.dtype(np.float64), lower, upper)
    return slopes
