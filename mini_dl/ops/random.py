"""Random tensors, and random numbers written into tensors: torch's, value by value, for the same seed."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._abstract import is_abstract
from mini_dl._checks import index_of, nonnegative, sizes, type_name
from mini_dl._device import DeviceLike, Layout, MemoryFormat, check_memory_format, is_meta
from mini_dl._dtypes import FLOATING, Array, NumpyType, TypeLike
from mini_dl._layout import memory_order
from mini_dl._leaving import Block
from mini_dl._meta import is_meta_array, meta_array
from mini_dl._surface import function, named, namespace, public, tensor_method
from mini_dl.autograd.draws import any_batches, drawn_from, drawn_into, leading
from mini_dl.autograd.inplace import check_memory, check_writable, is_recorded, overwrite
from mini_dl.autograd.mode import at_work, mode
from mini_dl.autograd.primitive import op
from mini_dl.kernels import distributions, mersenne
from mini_dl.kernels.distributions import Draw, not_implemented
from mini_dl.kernels.mersenne import Generator, default_generator, here
from mini_dl.ops.factories import empty_of_format, factory, finished, numpy_of, valued_like
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ the generator


@public("torch", "random")
def manual_seed(seed: int) -> Generator:
    """Start the default random stream from `seed`; return the generator.

    Raises: RuntimeError for a number of more than 64 bits; TypeError for anything but a number.

    >>> _ = torch.manual_seed(7); a = torch.rand(2)
    >>> _ = torch.manual_seed(7); torch.equal(a, torch.rand(2))
    True
    """
    return here.generator.manual_seed(int(seed))


@public("torch", "random")
def seed() -> int:
    """Start the default stream from an unpredictable seed; return the seed.

    Raises: TypeError for an argument.

    >>> torch.seed() == torch.initial_seed()
    True
    """
    return here.generator.seed()


@public("torch", "random")
def initial_seed() -> int:
    """The seed that the default stream started from.

    Raises: TypeError for an argument.

    >>> _ = torch.manual_seed(7)
    >>> torch.initial_seed()
    7
    """
    return here.generator.initial_seed()


@public("torch", "random")
def get_rng_state() -> Tensor:
    """The state of the default stream: 5056 bytes, in torch's layout.

    Raises: TypeError for an argument.

    >>> state = torch.get_rng_state(); a = torch.rand(2)
    >>> torch.set_rng_state(state)
    >>> torch.equal(a, torch.rand(2)), state.shape
    (True, torch.Size([5056]))
    """
    return wrap(here.generator.dump())


@public("torch", "random")
def set_rng_state(new_state: Tensor) -> None:
    """Continue the default stream from a state of this library or of torch.

    Raises: TypeError unless it is a tensor of uint8; RuntimeError for bytes that are not a state.

    >>> torch.set_rng_state(torch.zeros(3))
    Traceback (most recent call last):
        ...
    TypeError: RNG state must be a torch.ByteTensor
    """
    _set_state(here.generator, new_state)


@public("random")
def fork_rng(
    devices: object = None, enabled: bool = True, _caller: str = "fork_rng", _devices_kw: str = "devices",
    device_type: object = None,
) -> AbstractContextManager[None]:  # fmt: skip
    """Draw freely within the block: afterwards the default stream continues as if nothing had been drawn.

    Raises: ValueError for a device other than the CPU.

    >>> _ = torch.manual_seed(7)
    >>> with torch.random.fork_rng():
    ...     a = torch.rand(2)
    >>> torch.equal(a, torch.rand(2))
    True
    """
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


def _zero(grad: Tensor) -> Tensor:
    return wrap(np.zeros_like(grad._array))


@op(input=_zero, other=_zero)
def replaced_by(by: object, input: object, other: object = None) -> Any:
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
        array = target._array if is_meta_array(target._array) else mode.run(drawn, target._array, source(generator), draw)
        overwrite(target, replaced_by(array, target) if recorded else wrap(array))
    return target


# ------------------------------------------------------------------------------------------------ in place


@tensor_method()
def uniform_(self: Tensor, from_: float = 0, to: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with uniform numbers: ``self[i] ~ U(from_, to)``

    Family: fill
    Raises: RuntimeError unless ``from_ <= to``, and for integers.

    >>> x = torch.zeros(1000).uniform_(2, 4)
    >>> x.mean().round(), x.min() >= 2, x.max() < 4
    (tensor(3.), tensor(True), tensor(True))
    """
    return put(self, generator, lambda like: distributions.uniform(like.dtype, from_, to))


@tensor_method()
def normal_(self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers: ``self[i] ~ N(mean, std ** 2)``

    Family: fill
    Raises: RuntimeError if `std` is negative, and for integers.

    >>> torch.zeros(10000).normal_(5, 2).std().round()
    tensor(2.)
    """
    return put(self, generator, lambda like: distributions.normal(like.dtype, mean, std, like.flags.c_contiguous))


_UNSAID: Any = object()


@tensor_method()
def random_(self: Tensor, from_: object = _UNSAID, to: object = _UNSAID, *, generator: Generator | None = None) -> Tensor:
    """Fill with integers: ``random_(from, to)`` in [from, to), ``random_(to)`` in [0, to), ``random_()`` all from 0 on.

    ``random_(from, None)`` has no limit except the dtype's; for a float, ``random_()`` gives integers it represents
    exactly.

    Family: fill
    Raises: RuntimeError if the range is empty or the dtype cannot hold it.

    >>> torch.zeros(1000, dtype=torch.int64).random_(1, 7).unique()
    tensor([1, 2, 3, 4, 5, 6])
    """
    dtype = self._array.dtype
    if from_ is _UNSAID and to is _UNSAID:
        return put(self, generator, lambda like: distributions.all_integers(dtype))
    if from_ is _UNSAID or to is _UNSAID:
        from_, to = 0, from_ if to is _UNSAID else to
    low, high = whole_number("random_", "from", from_), None if to is None else whole_number("random_", "to", to)
    return put(self, generator, lambda like: distributions.integers(dtype, low, high))


@tensor_method()
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with ones and zeros: ``P(self[i] == 1) = p``, where `p` is a number or a tensor that expands to this shape.

    Family: fill
    Raises: RuntimeError unless ``0 <= p <= 1``.

    >>> torch.zeros(3).bernoulli_(torch.tensor([0.0, 1.0, 1.0]))
    tensor([0., 1., 1.])
    """
    if not isinstance(p, Tensor):
        return put(self, generator, lambda like: distributions.bernoulli(like.dtype, p))
    if is_abstract(p):
        return self.copy_(
            drawn_from(lambda like, chances: bernoulli_(like.new_empty(like.shape), chances, generator=generator), (self, p))
        )
    return put(self, generator, lambda like: coins(like, p.expand(like.shape)._array))


def coins(like: Array, p: Array) -> Draw:
    return distributions.coins(like.dtype, p if in_order(like) else p.transpose(memory_order(like)))


@tensor_method()
def exponential_(self: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with exponentially distributed numbers with density ``lambd * exp(-lambd * x)``.

    Family: fill
    Raises: RuntimeError unless ``lambd > 0``, and for integers.

    >>> torch.zeros(10000).exponential_(0.5).mean().round()
    tensor(2.)
    """
    return put(self, generator, lambda like: distributions.exponential(like.dtype, lambd))


@tensor_method()
def cauchy_(self: Tensor, median: float = 0, sigma: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with Cauchy distributed numbers with density ``sigma / (pi * ((x - median) ** 2 + sigma ** 2))``.

    Family: fill
    Raises: RuntimeError unless ``sigma > 0``, and for integers.

    >>> torch.zeros(10000).cauchy_(3).median().round()
    tensor(3.)
    """
    return put(self, generator, lambda like: distributions.cauchy(like.dtype, median, sigma))


@tensor_method()
def log_normal_(self: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None) -> Tensor:
    """Fill with exponentials of normal numbers: ``log(self[i]) ~ N(mean, std ** 2)``

    Family: fill
    Raises: RuntimeError unless ``std > 0``, and for integers.

    >>> torch.zeros(10000).log_normal_(2, 0.1).log().mean().round()
    tensor(2.)
    """
    return put(self, generator, lambda like: distributions.log_normal(like.dtype, mean, std))


@tensor_method()
def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of trials up to the first success: ``P(self[i] == k) = (1 - p) ** (k - 1) * p``

    Family: fill
    Raises: RuntimeError unless ``0 < p < 1``.

    >>> torch.zeros(10000).geometric_(0.25).mean().round()
    tensor(4.)
    """
    return put(self, generator, lambda like: distributions.geometric(like.dtype, p))


def whole_number(name: str, argument: str, value: object) -> int:
    return index_of(value, f"{name}(): argument '{argument}' must be int")


def _sized(name: str, size: tuple[object, ...]) -> None:
    if not size:
        raise TypeError(f'{name}() missing 1 required positional arguments: "size"')


NOT_GIVEN: Any = object()
"""A marker for an omitted bound; it must not be None."""


# ------------------------------------------------------------------------------------------------ new tensors


@factory(draws=True)
def rand(*size: object, generator: Generator | None = None, names: None = None, dtype: NumpyType | None) -> Array:
    """Uniform numbers: ``out[i] ~ U(0, 1)``

    Family: factory

    >>> _ = torch.manual_seed(0)
    >>> torch.rand(2, 3)
    tensor([[0.4963, 0.7682, 0.0885],
            [0.1320, 0.3074, 0.6341]])
    """
    _sized("rand", size)
    return filled(size, dtype, generator, _standard_uniform)


@factory(draws=True)
def randn(*size: object, generator: Generator | None = None, names: None = None, dtype: NumpyType | None) -> Array:
    """Normal numbers: ``out[i] ~ N(0, 1)``; for complex numbers the variance is that of both parts together.

    Family: factory

    >>> _ = torch.manual_seed(0)
    >>> torch.randn(3)
    tensor([ 1.5410, -0.2934, -2.1788])
    """
    _sized("randn", size)
    return filled(size, dtype, generator, _standard_normal)


@factory(draws=True)
def randint(
    low: Any = 0, high: Any = NOT_GIVEN, size: Sequence[int] | None = None, *, generator: Generator | None = None,
    dtype: NumpyType | None,
) -> Array:  # fmt: skip
    """Uniformly distributed integers, ``low <= out[i] < high``: ``randint(high, size)`` or ``randint(low, high, size)``.

    Family: factory
    Raises: RuntimeError if the range is empty, or the dtype cannot hold it.

    >>> _ = torch.manual_seed(0)
    >>> torch.randint(1, 7, (5,))
    tensor([3, 4, 6, 1, 2])
    """
    if size is None:
        low, high, size = 0, low, high
    elif high is NOT_GIVEN:
        low, high = 0, low
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint(): argument 'size' must be tuple of ints, not {type_name(size)}")
    return filled(size, np.dtype(np.int64) if dtype is None else dtype, generator, _between("randint", low, high))


@factory(draws=True)
def randperm(n: int, *, generator: Generator | None = None, dtype: NumpyType | None) -> Array:
    """The integers from 0 to n - 1 in random order: ``sort(out)[i] = i``

    Shapes: -> (n,).
    Raises: RuntimeError if `n` is negative or too large for the dtype.

    >>> _ = torch.manual_seed(0)
    >>> torch.randperm(5)
    tensor([4, 0, 1, 3, 2])
    """
    n = whole_number("randperm", "n", n)
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
    low, high = whole_number(name, "low", low), whole_number(name, "high", high)
    return lambda like: distributions.integers(like.dtype, low, high)


def filled(size: Any, dtype: Any, generator: Generator | None, distribution: Distribution) -> Array:
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


def _doc_of(name: str, what: str) -> str:
    return f"""A tensor of the shape and dtype of `input`, {what}

Family: like

>>> torch.{name}(torch.zeros(2, 3)).shape
torch.Size([2, 3])"""


rand_like = _like("rand_like", _standard_uniform, _doc_of("rand_like", "uniform on [0, 1): ``out[i] ~ U(0, 1)``"))
randn_like = _like("randn_like", _standard_normal, _doc_of("randn_like", "normal: ``out[i] ~ N(0, 1)``"))


@function()
def randint_like(
    input: Tensor, low: object = NOT_GIVEN, high: object = NOT_GIVEN, *, generator: Generator | None = None,
    dtype: TypeLike = None, layout: Layout = None, device: DeviceLike = None, pin_memory: bool = False,
    requires_grad: bool = False, memory_format: MemoryFormat = None,
) -> Tensor:  # fmt: skip
    """Integers in the shape and dtype of `input`: ``low <= out[i] < high``, or with one bound ``0 <= out[i] < low``

    Family: like
    Raises: RuntimeError if the range is empty, or the dtype cannot hold it.

    >>> torch.randint_like(torch.zeros(3), 5, 6)
    tensor([5., 5., 5.])
    """
    if high is NOT_GIVEN:
        low, high = 0, int(low.item()) if isinstance(low, Tensor) else low  # torch accepts a tensor only here
    return _filled_like(input, dtype, device, memory_format, generator, requires_grad, _between("randint_like", low, high))


def _filled_like(
    input: Tensor, dtype: object, device: DeviceLike, memory_format: MemoryFormat, generator: Generator | None,
    requires_grad: bool, distribution: Distribution,
) -> Tensor:  # fmt: skip
    if not isinstance(input, Tensor):
        raise TypeError(f"argument 'input' must be Tensor, not {type_name(input)}")
    check_memory_format("rand_like", memory_format)
    if any_batches():
        rest = dtype, device, memory_format, generator, False, distribution
        found = drawn_from(lambda one: _physically_like(one, *rest), (input,), like=True)
        return found.requires_grad_() if requires_grad else found
    return _physically_like(input, dtype, device, memory_format, generator, requires_grad, distribution)


def _physically_like(
    input: Tensor, dtype: object, device: DeviceLike, memory_format: MemoryFormat, generator: Generator | None,
    requires_grad: bool, distribution: Distribution,
) -> Tensor:  # fmt: skip
    if is_meta(device) or (is_meta_array(input._array) and device is None):
        return finished(meta_array(input._array.shape, numpy_of(dtype, input._array.dtype)), requires_grad)
    base, kind = valued_like(input._array, device), numpy_of(dtype, input._array.dtype)
    like = empty_of_format(base, kind, memory_format)
    return finished(mode.run(drawn, like, source(generator), distribution(like)), requires_grad)
