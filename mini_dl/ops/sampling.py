"""Random numbers, each with its own parameters: torch's, value by value, for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import broadcast_shapes, nonnegative, sizes, type_name
from mini_dl._device import DeviceLike, Layout, is_meta
from mini_dl._dtypes import FLOATING, HALVES, Array, TypeLike
from mini_dl._meta import meta_array
from mini_dl._surface import function, method, public, with_out
from mini_dl.autograd.draws import any_batches, drawn_from, for_batches
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import op
from mini_dl.kernels import counts, distributions, gamma, mersenne
from mini_dl.kernels.distributions import Draw
from mini_dl.kernels.mersenne import Generator
from mini_dl.ops.arithmetic import underivable
from mini_dl.ops.factories import check_factory_out, finished, numpy_of
from mini_dl.ops.random import coins, drawn, filled, replaced_by, source, whole_number
from mini_dl.ops.special import no_derivative
from mini_dl.tensor import Tensor, wrap


@function()
def normal(
    mean: Tensor | float, std: Tensor | float = 1.0, size: Sequence[int] | None = None, *, generator: Generator | None = None,
    out: Tensor | None = None, dtype: TypeLike = None, layout: Layout = None, device: DeviceLike = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normal numbers, each with its own mean and standard deviation, or `size` of them: ``out[i] ~ N(mean[i], std[i] ** 2)``

    Shapes: `mean` and `std` with equally many elements, or one a number -> the shape of `mean`; two numbers -> `size`.
    Raises: RuntimeError if a deviation is negative.

    >>> torch.normal(torch.tensor([0.0, 100.0]), torch.tensor([0.0, 0.0]))
    tensor([  0., 100.])
    """
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        if size is not None:
            raise TypeError("normal() received an invalid combination of arguments: a tensor and a size")
        if any_batches():
            return drawn_from(lambda center, spread: _normal_around(center, spread, source(generator)), (mean, std))
        return _normal_around(mean, std, source(generator), out=out)
    if size is None:
        raise TypeError("normal() received an invalid combination of arguments - got (float, float) without a size")

    def distribution(like: Array) -> Draw:
        return distributions.normal(like.dtype, mean, std, blocks=True)

    if not isinstance(size, (tuple, list)):
        raise TypeError(f"normal() received an invalid combination of arguments - got (float, float, {type_name(size)})")
    target = numpy_of(dtype, None if out is None else out._array.dtype)
    if out is not None:
        check_factory_out("normal", out, target)
    elif is_meta(device):
        return finished(
            meta_array(nonnegative(sizes((size,))), _dtypes.default_numpy() if target is None else target), requires_grad
        )
    return for_batches(finished(mode.run(filled, (size,), target, generator, distribution), requires_grad, out))


@with_out
def _normal_around(mean: Tensor | float, std: Tensor | float, generator: Generator) -> Tensor:
    center = mean._array if isinstance(mean, Tensor) else float(mean)
    spread = std._array if isinstance(std, Tensor) else float(std)
    if isinstance(spread, float):
        draw_std, factor = spread, None
    else:
        draw_std, factor = 1.0, spread
        if spread.dtype.kind == "c":
            raise RuntimeError("normal expects standard deviation to be non-complex")
        if not np.all(spread >= 0):
            raise RuntimeError("normal expects all elements of std >= 0.0")
    shape = broadcast_shapes(np.shape(center), np.shape(spread))
    like = np.empty(shape, spread.dtype if isinstance(center, float) else center.dtype)  # type: ignore[union-attr]
    array = mode.run(drawn, like, generator, distributions.normal(like.dtype, 0, draw_std, blocks=True))
    if factor is not None:
        mode.run(np.multiply, array, factor, array, casting="same_kind")
    mode.run(np.add, array, center, array, casting="same_kind")
    return replaced_by(array, mean, std)


@method(out=True)
def bernoulli(input: Tensor, p: object = None, *, generator: Generator | None = None) -> Tensor:
    """Ones and zeros: ``P(out[i] == 1) = input[i]``, unless `p` is given.

    Shapes: (*in) -> (*in).
    Raises: RuntimeError unless ``0 <= p <= 1``.

    >>> torch.bernoulli(torch.tensor([0.0, 1.0, 1.0]))
    tensor([0., 1., 1.])
    """
    if any_batches():
        given = (input, p) if isinstance(p, Tensor) else (input,)
        return drawn_from(lambda one, chances=p: _bernoulli(one, chances, generator), given)
    return _bernoulli(input, p, generator)


def _bernoulli(input: Tensor, p: Any, generator: Generator | None) -> Tensor:
    array = input._array
    like = np.empty_like(array, order="C")
    if p is None:
        draw = coins(like, array)
    elif isinstance(p, Tensor):
        draw = coins(like, np.broadcast_to(p._array, array.shape))
    else:
        draw = distributions.bernoulli(array.dtype, p)
    return replaced_by(mode.run(drawn, like, source(generator), draw), input)


@function()
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Numbers of events with the given averages: ``P(out[i] == k) = input[i] ** k * exp(-input[i]) / factorial(k)``

    Shapes: (*in) -> (*in).
    Raises: RuntimeError if an average is negative, and for integers.

    >>> torch.poisson(torch.full((10000,), 4.0)).mean().round()
    tensor(4.)
    """
    if any_batches():
        return drawn_from(lambda one: poisson(one, generator), (input,))
    array = input._array
    draw = counts.poisson(array)
    return replaced_by(mode.run(drawn, np.empty_like(array, order="C"), source(generator), draw), input)


@function()
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """The number of successes in `count` trials:
    ``P(out[i] == k) = binomial(count[i], k) * prob[i] ** k * (1 - prob[i]) ** (count[i] - k)``

    Shapes: `count` and `prob` are broadcast, and the result has their common shape.
    Raises: ValueError unless `count` is floating point; RuntimeError if the dtypes differ.

    >>> torch.binomial(torch.full((10000,), 10.0), torch.full((10000,), 0.3)).mean().round()
    tensor(3.)
    """
    if any_batches():
        return drawn_from(lambda one, other: binomial(one, other, generator), (count, prob))
    tries, chances = count._array, prob._array
    if tries.dtype.kind not in FLOATING:
        raise ValueError(f"binomial only supports floating-point dtypes for count, got: {_dtypes.scalar_name(tries.dtype)}")
    if tries.dtype != chances.dtype:
        raise RuntimeError(f"Found dtype {_dtypes.scalar_name(chances.dtype)} but expected {_dtypes.scalar_name(tries.dtype)}")
    shape = broadcast_shapes(tries.shape, chances.shape)
    tries, chances, like = np.broadcast_to(tries, shape), np.broadcast_to(chances, shape), np.empty(shape, tries.dtype)
    return wrap(mode.run(drawn, like, source(generator), counts.binomial(tries, chances)))


@public("torch:_standard_gamma_grad")
@op(self=lambda grad: no_derivative("_standard_gamma_grad"))
def _slope_of_gamma(self: Array, output: Array) -> Array:
    """The derivative of gamma numbers `output` with respect to the shapes `self`."""
    return gamma.gamma_slope(self, output)


@op(input=lambda grad, input, result: grad * _slope_of_gamma(input, result))
def _gamma_numbers(input: Array, generator: Generator) -> Array:
    return drawn(np.empty_like(input, order="C"), generator, gamma.standard_gamma(input))


@function()
def _standard_gamma(self: Tensor, generator: Generator | None = None) -> Tensor:
    """Gamma numbers with rate 1 whose shapes are the elements of `self`; see `distributions.Gamma`.

    The gradient is that of the number with a fixed quantile.
    """
    if any_batches():
        return drawn_from(lambda one: _gamma_numbers(one, source(generator)), (self,))
    return _gamma_numbers(self, source(generator))


@op(input=lambda grad: underivable("_sample_dirichlet"))
def _dirichlet_points(input: Array, generator: Generator) -> Array:
    return drawn(np.empty_like(input, order="C"), generator, gamma.dirichlet(input))


@function()
def _sample_dirichlet(self: Tensor, generator: Generator | None = None) -> Tensor:
    """Points of the Dirichlet distributions whose concentrations are `self`, over its last dimension. Not differentiable."""
    if any_batches():
        return drawn_from(lambda one: _dirichlet_points(one, source(generator)), (self,))
    return _dirichlet_points(self, source(generator))


@function()
@op(
    x=lambda grad: underivable("_dirichlet_grad"),
    alpha=lambda grad: underivable("_dirichlet_grad"),
    total=lambda grad: underivable("_dirichlet_grad"),
)
def _dirichlet_grad(x: Array, alpha: Array, total: Array) -> Array:
    """The derivative of the coordinates `x` of Dirichlet points with respect to their concentrations `alpha`, with sum
    `total`.
    """
    return gamma.dirichlet_slope(x, alpha, total)


@method()
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Indices drawn by their weights: ``P(out[j] == i) = input[i] / sum(input[k], k)``; without `replacement`, no index twice.

    Shapes: (m, n) -> (m, num_samples), (n) -> (num_samples).
    Raises: RuntimeError if the weights are not floats, or are negative, infinite or NaN, or sum to zero.

    >>> torch.multinomial(torch.tensor([0.0, 1.0, 0.0]), 3, replacement=True)
    tensor([1, 1, 1])
    """
    if any_batches():
        return drawn_from(lambda one: _multinomial_rows(one, num_samples, replacement, generator), (input,))
    _check_weights(input, num_samples, replacement, out)
    weights = input._array
    if not weights.size:
        return finished(np.empty((*weights.shape[:-1], num_samples), np.int64), out=out)
    choose = _with_replacement if replacement and num_samples > 1 else _without_replacement
    return finished(mode.run(choose, weights, num_samples, source(generator)), out=out)


def _multinomial_rows(input: Tensor, num_samples: int, replacement: bool, generator: Generator | None) -> Tensor:
    """`multinomial` with any number of leading dimensions."""
    shape = input._array.shape
    rows = input if len(shape) < 3 else input.reshape(-1, shape[-1])
    found: Tensor = multinomial(rows, num_samples, replacement, generator=generator)
    return found.reshape(*shape[:-1], num_samples)


def _check_weights(input: Tensor, num_samples: int, replacement: bool, out: Tensor | None) -> None:
    weights = input._array
    if weights.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if weights.dtype.kind not in FLOATING:
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {_dtypes.scalar_name(weights.dtype)}"
        )
    if out is not None and out._array.dtype != np.int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {_dtypes.scalar_name(out._array.dtype)}")
    if not whole_number("multinomial", "num_samples", num_samples) > 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > weights.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if weights.shape[-1] > 2**24:
        raise RuntimeError("number of categories cannot exceed 2^24")
    if weights.shape[0] == 0 and weights.ndim == 2:
        return
    if replacement and num_samples > 1:
        if np.any(weights < 0) or np.any(np.isnan(weights)):
            raise RuntimeError("invalid multinomial distribution (encountering probability entry < 0)")
        if np.any(np.isinf(weights)):
            raise RuntimeError("invalid multinomial distribution (encountering probability entry = infinity or NaN)")
    if not (np.all(weights >= 0) and np.all(weights < np.inf)):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if np.any(weights.sum(-1, dtype=np.float64) == 0):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")


def _with_replacement(weights: Array, n: int, generator: Generator) -> Array:
    """The position of a uniform number among the cumulative weights."""
    steps = np.cumsum(weights.astype(np.float32) if weights.dtype.char in HALVES else weights, axis=-1)
    steps /= steps[..., -1:].copy()
    steps[..., -1] = 1
    u = mersenne.unit_double(generator, n * (steps.size // steps.shape[-1])).reshape(*steps.shape[:-1], n)
    if steps.ndim == 1:
        return np.searchsorted(steps.astype(np.float64), u)
    return np.stack([np.searchsorted(row, chosen) for row, chosen in zip(steps.astype(np.float64), u)])


def _without_replacement(weights: Array, n: int, generator: Generator) -> Array:
    """The largest weight / exponential number: the Gumbel trick. torch uses it for a single sample, too."""
    races = weights / drawn(weights, generator, distributions.exponential(weights.dtype, 1.0))
    if n == 1:
        return np.argmax(races, -1, keepdims=True)
    return np.argsort(-races, -1, kind="stable")[..., :n]
