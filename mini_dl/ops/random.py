"""Random tensors, and random numbers written into tensors: torch's, value by value, for the same seed."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import broadcast_shapes, index_of, nonnegative, sizes, type_name
from mini_dl._device import DeviceLike, Layout, MemoryFormat, is_meta
from mini_dl._dtypes import FLOATING, HALVES, Array, NumpyType, TypeLike
from mini_dl._leaving import Block
from mini_dl._meta import hollow, is_hollow
from mini_dl._surface import function, method, named, namespace, public, tensor_method, with_out
from mini_dl._unseen import is_unseen
from mini_dl.autograd.draws import any_batches, drawn_from, drawn_into, for_batches, leading
from mini_dl.autograd.inplace import check_memory, check_writable, is_recorded, overwrite
from mini_dl.autograd.mode import at_work, mode
from mini_dl.autograd.primitive import not_a_tensor, op
from mini_dl.kernels import counts, distributions, gamma, mersenne
from mini_dl.kernels.distributions import Draw, not_implemented
from mini_dl.kernels.mersenne import Generator, default_generator, here
from mini_dl.ops.factories import factory, finished, numpy_of, valued_like
from mini_dl.ops.special import no_derivative
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ the generator


@public("torch", "random")
def manual_seed(seed: int) -> Generator:
    """Start the default stream of random numbers from `seed`; return the generator.

    >>> import mini_dl as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.rand(3)
    tensor([0.4963, 0.7682, 0.0885])
    """
    return here.generator.manual_seed(int(seed))


@public("torch", "random")
def seed() -> int:
    """Start the default stream from an unpredictable seed; return the seed."""
    return here.generator.seed()


@public("torch", "random")
def initial_seed() -> int:
    """The seed the default stream started from."""
    return here.generator.initial_seed()


@public("torch", "random")
def get_rng_state() -> Tensor:
    """The state of the default stream: 5056 bytes, in torch's layout."""
    return wrap(here.generator.dump())


@public("torch", "random")
def set_rng_state(new_state: Tensor) -> None:
    """Continue the default stream from a state of this library or of torch. TypeError or RuntimeError for anything else."""
    _set_state(here.generator, new_state)


@public("random")
def fork_rng(
    devices: object = None, enabled: bool = True, _caller: str = "fork_rng", _devices_kw: str = "devices",
    device_type: object = None,
) -> AbstractContextManager[None]:  # fmt: skip
    """Draw freely within the block: afterwards the default stream continues as if nothing had been drawn."""
    return _Forked() if enabled else contextlib.nullcontext()


class _Forked(Block, contextlib.ContextDecorator):
    def _state(self) -> tuple[Generator, Array]:
        return here.generator, here.generator.dump()

    def _change(self, before: object) -> None:
        pass

    def _put_back(self, before: tuple[Generator, Array]) -> None:
        generator, state = before
        generator.load(state)


def _get_state(self: Generator) -> Tensor:
    """The state as a tensor of 5056 bytes, in torch's layout."""
    return wrap(self.dump())


def _set_state(self: Generator, new_state: Tensor) -> Generator:
    """Continue from a state of this library or of torch. TypeError or RuntimeError for anything else."""
    if not isinstance(new_state, Tensor):
        raise TypeError(f"expected a torch.ByteTensor, but got {type_name(new_state)}")
    if new_state._array.dtype != np.uint8:
        raise TypeError("RNG state must be a torch.ByteTensor")
    self.load(new_state._array)
    return self


setattr(Generator, "get_state", _get_state)  # noqa: B010
setattr(Generator, "set_state", _set_state)  # noqa: B010
for _place in ("torch", "random"):
    namespace(_place)["default_generator"] = default_generator
namespace("torch")["Generator"] = Generator


def source(generator: Generator | None) -> Generator:
    """The generator meant by the argument `generator`: None is the default one (of a worker thread: its own)."""
    if generator is None:
        return here.generator
    if not isinstance(generator, Generator):
        raise TypeError(f"argument 'generator' must be torch.Generator, not {type_name(generator)}")
    return generator


# ------------------------------------------------------------------------------------------------ drawing


def drawn(like: Array, generator: Generator, draw: Draw) -> Array:
    """An array of the shape and layout of `like`, filled in the order of its memory, as torch does."""
    flat = draw(generator, like.size)
    if in_order(like):
        return flat.reshape(like.shape)
    axes = memory_order(like)
    return flat.reshape([like.shape[axis] for axis in axes]).transpose(np.argsort(axes))


def in_order(array: Array) -> bool:
    return array.ndim < 2 or array.flags.c_contiguous


def memory_order(array: Array) -> list[int]:
    """The axes of `array`, from the largest step in memory to the smallest; those without one, as after `expand`, stay."""
    order = list(range(array.ndim))
    for start in range(array.ndim - 2, -1, -1):
        here = start
        for behind in range(start + 1, array.ndim):
            step, other = array.strides[order[here]], array.strides[order[behind]]
            if step and other and step < other:
                order[here], order[behind] = order[behind], order[here]
                here = behind
            elif step > other and other:
                break
    return order


def _zero(grad: Tensor) -> Tensor:
    return wrap(np.zeros_like(grad._array))


@op(input=_zero, other=_zero)
def _replaced(by: object, input: object, other: object = None) -> Any:
    """Random numbers that replaced `input`, or were drawn from it: the gradient is zero."""
    return by


def put(target: Tensor, generator: Generator | None, distribution: Distribution) -> Tensor:
    """Write random numbers into `target`. RuntimeError if it is a leaf that requires grad."""
    if any_batches():
        drawn_into(target, lambda one: _put(one, generator, distribution(one._array)))
        return target
    return _put(target, generator, distribution(target._array))


def _put(target: Tensor, generator: Generator | None, draw: Draw) -> Tensor:
    recorded = is_recorded(target)
    if recorded and mode.enabled:
        check_writable(target)
    if not at_work.anywhere:  # whose tensors show read-only arrays
        check_memory(target._array)
    if target._array.size:
        array = target._array if is_hollow(target._array) else mode.run(drawn, target._array, source(generator), draw)
        overwrite(target, _replaced(array, target) if recorded else wrap(array))
    return target


# ------------------------------------------------------------------------------------------------ in place


@tensor_method()
def uniform_(self: Tensor, from_: float = 0, to: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers uniform on [from, to). RuntimeError unless from <= to."""
    return put(self, generator, lambda like: distributions.uniform(like.dtype, from_, to))


@tensor_method()
def normal_(self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers of that mean and standard deviation. RuntimeError if `std` is negative."""
    return put(self, generator, lambda like: distributions.normal(like.dtype, mean, std, like.flags.c_contiguous))


_UNSAID: Any = object()


@tensor_method()
def random_(self: Tensor, from_: object = _UNSAID, to: object = _UNSAID, *, generator: Generator | None = None) -> Tensor:
    """Fill with integers: ``random_(from, to)`` of [from, to), ``random_(to)`` of [0, to), ``random_()`` all from 0 on.

    ``random_(from, None)`` has no limit but that of the type; for a float, ``random_()`` gives integers it represents exactly.
    RuntimeError if the range is empty or the type cannot hold it.
    """
    dtype = self._array.dtype
    if from_ is _UNSAID and to is _UNSAID:
        return put(self, generator, lambda like: distributions.all_integers(dtype))
    if from_ is _UNSAID or to is _UNSAID:
        from_, to = 0, from_ if to is _UNSAID else to
    low, high = _index("random_", "from", from_), None if to is None else _index("random_", "to", to)
    return put(self, generator, lambda like: distributions.integers(dtype, low, high))


@tensor_method()
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with ones of probability `p`, a number or a tensor that expands to this shape, and zeros.

    RuntimeError unless 0 <= p <= 1.
    """
    if not isinstance(p, Tensor):
        return put(self, generator, lambda like: distributions.bernoulli(like.dtype, p))
    if is_unseen(p):
        return self.copy_(
            drawn_from(lambda like, chances: bernoulli_(like.new_empty(like.shape), chances, generator=generator), (self, p))
        )
    return put(self, generator, lambda like: _coins(like, p.expand(like.shape)._array))


def _coins(like: Array, p: Array) -> Draw:
    return distributions.coins(like.dtype, p if in_order(like) else p.transpose(memory_order(like)))


@tensor_method()
def exponential_(self: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of density ``lambd exp(-lambd x)``. RuntimeError unless lambd > 0."""
    return put(self, generator, lambda like: distributions.exponential(like.dtype, lambd))


@tensor_method()
def cauchy_(self: Tensor, median: float = 0, sigma: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of density ``sigma / (pi ((x - median)^2 + sigma^2))``. RuntimeError unless sigma > 0."""
    return put(self, generator, lambda like: distributions.cauchy(like.dtype, median, sigma))


@tensor_method()
def log_normal_(self: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None) -> Tensor:
    """Fill with exp of normal numbers of that mean and deviation. RuntimeError unless std > 0."""
    return put(self, generator, lambda like: distributions.log_normal(like.dtype, mean, std))


@tensor_method()
def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of trials up to the first success: ``P(X = k) = (1 - p)^(k-1) p``. RuntimeError unless 0 < p < 1."""
    return put(self, generator, lambda like: distributions.geometric(like.dtype, p))


def _index(name: str, argument: str, value: object) -> int:
    return index_of(value, f"{name}(): argument '{argument}' must be int")


def _sized(name: str, size: tuple[object, ...]) -> None:
    if not size:
        raise TypeError(f'{name}() missing 1 required positional arguments: "size"')


NOT_GIVEN: Any = object()
"""Stands for a bound that was left out; it must not be None."""


# ------------------------------------------------------------------------------------------------ new tensors


@factory(draws=True)
def rand(*size: object, generator: Generator | None = None, names: None = None, dtype: NumpyType | None) -> Array:
    """A tensor of that size, uniform on [0, 1)."""
    _sized("rand", size)
    return _filled(size, dtype, generator, _standard_uniform)


@factory(draws=True)
def randn(*size: object, generator: Generator | None = None, names: None = None, dtype: NumpyType | None) -> Array:
    """A tensor of that size, normal with mean 0 and variance 1 (of a complex number: of both its parts together)."""
    _sized("randn", size)
    return _filled(size, dtype, generator, _standard_normal)


@factory(draws=True)
def randint(
    low: Any = 0,
    high: Any = NOT_GIVEN,
    size: Sequence[int] | None = None,
    *,
    generator: Generator | None = None,
    dtype: NumpyType | None,
) -> Array:
    """Integers in [low, high): ``randint(high, size)`` or ``randint(low, high, size)``. RuntimeError if the range is empty."""
    if size is None:
        low, high, size = 0, low, high
    elif high is NOT_GIVEN:
        low, high = 0, low
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint(): argument 'size' must be tuple of ints, not {type_name(size)}")
    return _filled(size, np.dtype(np.int64) if dtype is None else dtype, generator, _between("randint", low, high))


@factory(draws=True)
def randperm(n: int, *, generator: Generator | None = None, dtype: NumpyType | None) -> Array:
    """The integers from 0 to n - 1 in random order. RuntimeError if `n` is negative or too large for the type."""
    n = _index("randperm", "n", n)
    target = np.dtype(np.int64) if dtype is None else dtype
    nonnegative((n,))
    if target.kind in "bc" or target.char in distributions.BAREBONES:
        raise not_implemented("randperm", target)
    if target.kind in FLOATING:
        most = 2 ** distributions.digits(target) + 1
        if n > most:
            raise RuntimeError(f"n cannot be greater than {most} for {_dtypes.scalar_name(target)} type.")
    elif n > int(np.iinfo(target).max):
        raise RuntimeError(f"value cannot be converted to type {target.name}_t without overflow")
    if not at_work.anywhere:
        return mersenne.permutation(source(generator), n).astype(target)
    lead = leading()
    each = [mersenne.permutation(source(generator), n) for _ in range(math.prod(lead))]
    return np.array(each, target).reshape(*lead, n)


Distribution = Callable[[Array], Draw]
"""The function that draws for an array like this one."""


def _standard_uniform(like: Array) -> Draw:
    return distributions.uniform(like.dtype, 0, 1)


def _standard_normal(like: Array) -> Draw:
    return distributions.normal(like.dtype, 0, 1, like.flags.c_contiguous)


def _between(name: str, low: object, high: object) -> Distribution:
    low, high = _index(name, "low", low), _index(name, "high", high)
    return lambda like: distributions.integers(like.dtype, low, high)


def _filled(size: Any, dtype: Any, generator: Generator | None, distribution: Distribution) -> Array:
    like = np.empty((*leading(), *nonnegative(sizes(size))), _dtypes.default_numpy() if dtype is None else dtype)
    return drawn(like, source(generator), distribution(like))


# Like another tensor -----------------------------------------------------------------------------------------


def _like(name: str, distribution: Distribution, doc: str) -> Callable[..., Tensor]:
    """``torch.f_like``, published"""

    def like(
        input: Tensor, *, generator: Generator | None = None, dtype: TypeLike = None, layout: Layout = None,
        device: DeviceLike = None, pin_memory: bool = False, requires_grad: bool = False, memory_format: MemoryFormat = None,
    ) -> Tensor:  # fmt: skip
        return _filled_like(input, dtype, device, memory_format, generator, requires_grad, distribution)

    return function()(named(like, name, doc))


rand_like = _like("rand_like", _standard_uniform, "A tensor of the shape and type of `input`, uniform on [0, 1).")
randn_like = _like(
    "randn_like", _standard_normal, "A tensor of the shape and type of `input`, normal with mean 0 and variance 1."
)


@function()
def randint_like(
    input: Tensor, low: Any = NOT_GIVEN, high: Any = NOT_GIVEN, *, generator: Generator | None = None, dtype: TypeLike = None,
    layout: Layout = None, device: DeviceLike = None, pin_memory: bool = False, requires_grad: bool = False,
    memory_format: MemoryFormat = None,
) -> Tensor:  # fmt: skip
    """A tensor with the shape and type of `input`, integers in [low, high) or, with one bound, in [0, low)."""
    if high is NOT_GIVEN:
        low, high = 0, int(low.item()) if isinstance(low, Tensor) else low  # torch takes a tensor only here
    return _filled_like(input, dtype, device, memory_format, generator, requires_grad, _between("randint_like", low, high))


def _filled_like(
    input: Tensor,
    dtype: object,
    device: DeviceLike,
    memory_format: MemoryFormat,
    generator: Generator | None,
    requires_grad: bool,
    distribution: Distribution,
) -> Tensor:
    if not isinstance(input, Tensor):
        raise TypeError(f"argument 'input' must be Tensor, not {type_name(input)}")
    if any_batches():
        rest = dtype, device, memory_format, generator, False, distribution
        found = drawn_from(lambda one: _physically_like(one, *rest), (input,), like=True)
        return found.requires_grad_() if requires_grad else found
    return _physically_like(input, dtype, device, memory_format, generator, requires_grad, distribution)


def _physically_like(
    input: Tensor,
    dtype: object,
    device: DeviceLike,
    memory_format: MemoryFormat,
    generator: Generator | None,
    requires_grad: bool,
    distribution: Distribution,
) -> Tensor:
    if is_meta(device) or (is_hollow(input._array) and device is None):
        return finished(hollow(input._array.shape, numpy_of(dtype, input._array.dtype)), requires_grad)
    contiguous = memory_format is not None and "contiguous" in str(memory_format)
    base = valued_like(input._array, device)
    shape = base.shape
    axes = list(range(len(shape))) if contiguous else memory_order(base)
    like = np.empty([shape[axis] for axis in axes], numpy_of(dtype, input._array.dtype)).transpose(np.argsort(axes))
    return finished(mode.run(drawn, like, source(generator), distribution(like)), requires_grad)


# ------------------------------------------------------------------------------------------------ with parameters of their own


@function()
def normal(
    mean: Tensor | float, std: Tensor | float = 1.0, size: Sequence[int] | None = None, *, generator: Generator | None = None,
    out: Tensor | None = None, dtype: TypeLike = None, layout: Layout = None, device: DeviceLike = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normal numbers: with `size`, identically distributed; else each with its own mean and deviation, one or both tensors.

    RuntimeError if a deviation is negative.
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
    if out is None and is_meta(device):
        return finished(hollow(nonnegative(sizes((size,))), _dtypes.default_numpy() if target is None else target), requires_grad)
    return for_batches(finished(mode.run(_filled, (size,), target, generator, distribution), requires_grad, out))


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
    return _replaced(array, mean, std)


@method(out=True)
def bernoulli(input: Tensor, p: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Ones and zeros: the elements of `input` are the probabilities of a one, unless `p` is given.

    RuntimeError unless 0 <= p <= 1.
    """
    if any_batches():
        given = (input, p) if isinstance(p, Tensor) else (input,)
        return drawn_from(lambda one, chances=p: _bernoulli(one, chances, generator), given)
    return _bernoulli(input, p, generator)


def _bernoulli(input: Tensor, p: Any, generator: Generator | None) -> Tensor:
    array = input._array
    like = np.empty_like(array, order="C")
    if p is None:
        draw = _coins(like, array)
    elif isinstance(p, Tensor):
        draw = _coins(like, np.broadcast_to(p._array, array.shape))
    else:
        draw = distributions.bernoulli(array.dtype, p)
    return _replaced(mode.run(drawn, like, source(generator), draw), input)


@function()
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Numbers of events whose averages are the elements of `input`. RuntimeError if one is negative."""
    if any_batches():
        return drawn_from(lambda one: poisson(one, generator), (input,))
    array = input._array
    draw = counts.poisson(array)
    return _replaced(mode.run(drawn, np.empty_like(array, order="C"), source(generator), draw), input)


@function(out=True)
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """How many of `count` trials succeed, each with probability `prob`. Not differentiable.

    ValueError unless `count` is floating point, RuntimeError if the types differ.
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
    """How numbers `output` of gamma distributions change with the shapes `self`."""
    return gamma.gamma_slope(self, output)


@op(input=lambda grad, input, result: grad * _slope_of_gamma(input, result))
def _gamma_numbers(input: Array, generator: Generator) -> Array:
    return drawn(np.empty_like(input, order="C"), generator, gamma.standard_gamma(input))


@function()
def _standard_gamma(self: Tensor, generator: Generator | None = None) -> Tensor:
    """Numbers of the gamma distributions of rate 1 whose shapes are the elements of `self`; see `distributions.Gamma`.

    The gradient is that of the number whose quantile stays the same.
    """
    if any_batches():
        return drawn_from(lambda one: _gamma_numbers(one, source(generator)), (self,))
    return _gamma_numbers(self, source(generator))


@op(input=lambda grad: _underivable("_sample_dirichlet"))
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
    x=lambda grad: _underivable("_dirichlet_grad"),
    alpha=lambda grad: _underivable("_dirichlet_grad"),
    total=lambda grad: _underivable("_dirichlet_grad"),
)
def _dirichlet_grad(x: Array, alpha: Array, total: Array) -> Array:
    """How the coordinates `x` of points of Dirichlet distributions change with their concentrations `alpha`, of sum `total`."""
    return gamma.dirichlet_slope(x, alpha, total)


def _underivable(name: str) -> Any:
    raise RuntimeError(f"derivative for aten::{name} is not implemented")


@method()
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """`num_samples` indices for each row of weights, with probabilities by weight; without `replacement`, no index twice.

    RuntimeError if the weights are not floats, or are negative, infinite or NaN, or sum to zero.
    """
    if any_batches():
        return drawn_from(lambda one: _multinomial_rows(one, num_samples, replacement, generator), (input,))
    _check_weights(input, num_samples, replacement)
    if out is not None and out._array.dtype != np.int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {_dtypes.scalar_name(out._array.dtype)}")
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


def _check_weights(input: Tensor, num_samples: int, replacement: bool) -> None:
    if not isinstance(input, Tensor):
        raise not_a_tensor("multinomial", "input", 1, input)
    weights = input._array
    if weights.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if weights.dtype.kind not in FLOATING:
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {_dtypes.scalar_name(weights.dtype)}"
        )
    if not _index("multinomial", "num_samples", num_samples) > 0:
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
    """Where a uniform number falls among the cumulative weights."""
    steps = np.cumsum(weights.astype(np.float32) if weights.dtype.char in HALVES else weights, axis=-1)
    steps /= steps[..., -1:].copy()
    steps[..., -1] = 1
    u = mersenne.unit_double(generator, n * (steps.size // steps.shape[-1])).reshape(*steps.shape[:-1], n)
    if steps.ndim == 1:
        return np.searchsorted(steps.astype(np.float64), u)
    return np.stack([np.searchsorted(row, chosen) for row, chosen in zip(steps.astype(np.float64), u)])


def _without_replacement(weights: Array, n: int, generator: Generator) -> Array:
    """The greatest of weight / exponential number, which is Gumbel's trick. torch uses it for a single sample, too."""
    races = weights / drawn(weights, generator, distributions.exponential(weights.dtype, 1.0))
    if n == 1:
        return np.argmax(races, -1, keepdims=True)
    return np.argsort(-races, -1, kind="stable")[..., :n]
