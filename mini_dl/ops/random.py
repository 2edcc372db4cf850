"""Random tensors, and random numbers written into tensors: torch's, value by value, for the same seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl import _dtypes, _generator
from mini_dl._checks import nonnegative, sizes, type_name
from mini_dl._device import require_cpu
from mini_dl._dtypes import Array
from mini_dl._generator import Generator, default_generator
from mini_dl._surface import function, namespace, store, tensor_method
from mini_dl.autograd.graph import edge_of
from mini_dl.autograd.inplace import check_writable, overwrite
from mini_dl.autograd.mode import mode
from mini_dl.autograd.primitive import op
from mini_dl.tensor import Tensor, wrap

Draw = Callable[[Generator, int], Array]
"""What makes `n` numbers from a generator."""

# ------------------------------------------------------------------------------------------------ the generator


@function()
def manual_seed(seed: int) -> Generator:
    """Start the default stream of random numbers from `seed`; returns the generator.

    >>> import mini_dl as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.rand(3)
    tensor([0.4963, 0.7682, 0.0885])
    """
    return default_generator.manual_seed(seed)


@function()
def seed() -> int:
    """Start a default stream that nobody can foretell; returns its seed."""
    return default_generator.seed()


@function()
def initial_seed() -> int:
    """The seed the default stream started from."""
    return default_generator.initial_seed()


@function()
def get_rng_state() -> Tensor:
    """The state of the default stream: 5056 bytes, in torch's layout."""
    return wrap(default_generator.dump())


@function()
def set_rng_state(new_state: Tensor) -> None:
    """Continue the default stream from a state of this library or of torch. RuntimeError if it is none."""
    default_generator.set_state(new_state)  # type: ignore[attr-defined]


def _get_state(self: Generator) -> Tensor:
    """The state as a tensor of 5056 bytes, in torch's layout."""
    return wrap(self.dump())


def _set_state(self: Generator, new_state: Tensor) -> None:
    """Continue from a state of this library or of torch. TypeError or RuntimeError if it is none."""
    if not isinstance(new_state, Tensor):
        raise TypeError(f"expected a torch.ByteTensor, but got {type_name(new_state)}")
    if new_state._array.dtype != np.uint8:
        raise TypeError("expected a torch.ByteTensor, but got a tensor of " + repr(new_state.dtype))
    self.load(new_state._array)


setattr(Generator, "get_state", _get_state)  # noqa: B010
setattr(Generator, "set_state", _set_state)  # noqa: B010
namespace("torch")["Generator"] = Generator
namespace("torch")["default_generator"] = default_generator


def source(generator: Any) -> Generator:
    """The generator meant by the argument `generator`: None is the default one."""
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise TypeError(f"argument 'generator' must be torch.Generator, not {type_name(generator)}")
    return generator


# ------------------------------------------------------------------------------------------------ drawing into arrays


def drawn(like: Array, generator: Generator, draw: Draw) -> Array:
    """An array of the shape and layout of `like`, filled in the order of its memory, as torch does."""
    if like.ndim < 2 or like.flags.c_contiguous:
        return draw(generator, like.size).reshape(like.shape)
    axes = sorted(range(like.ndim), key=lambda axis: -like.strides[axis])
    flat = draw(generator, like.size)
    return flat.reshape([like.shape[axis] for axis in axes]).transpose(np.argsort(axes))


@op(input=lambda grad: wrap(np.zeros_like(grad._array)))
def replaced(input: Any, by: Any) -> Any:
    """Random numbers in place of `input`, on whose values they do not depend: the gradient is zero."""
    return by


def put(target: Tensor, generator: Any, draw: Draw) -> Tensor:
    """Write random numbers into `target`. RuntimeError if it is a leaf that requires grad."""
    recorded = mode.enabled and edge_of(target) is not None
    if recorded:
        check_writable(target)
    chosen = source(generator)
    if target._array.size:
        array = mode.run(drawn, target._array, chosen, draw)
        overwrite(target, replaced(target, array) if recorded else wrap(array))
    return target


def uniform_draw(dtype: np.dtype[Any], low: float, high: float) -> Draw:
    """Checks the bounds and returns what draws between them."""
    if dtype.kind == "c":
        return _in_pairs(uniform_draw(_real(dtype), low, high))
    if dtype.kind != "f":
        raise NotImplementedError(f"\"check_uniform_bounds\" not implemented for '{_dtypes.scalar_name(dtype)}'")
    low, high = float(low), float(high)
    limit = float(np.finfo(dtype).max)
    for name, bound in (("from", low), ("to", high)):
        if not -limit <= bound <= limit:
            raise RuntimeError(f"{name} is out of bounds for {_dtypes.of_numpy(dtype)!r}")
    if not low <= high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
    if high - low > limit:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{_dtypes.scalar_name(dtype)}>::max(), but found to={high:g} "
            f"and from={low:g} which result in to-from to exceed the limit"
        )
    return lambda generator, n: _generator.uniform(generator, n, dtype, low, high)


def normal_draw(like: Array, mean: float, std: float) -> Draw:
    """Checks the deviation and returns what draws for `like`: its size and whether its memory is in order decide how."""
    std = float(std)
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    dtype, blocks = like.dtype, like.flags.c_contiguous
    if dtype.kind == "c":
        real = _real(dtype)
        return _in_pairs(lambda generator, n: _generator.normal(generator, n, real, mean, std / math.sqrt(2), blocks))
    if dtype.kind != "f":
        raise NotImplementedError(f"\"normal_kernel_cpu\" not implemented for '{_dtypes.scalar_name(dtype)}'")
    return lambda generator, n: _generator.normal(generator, n, dtype, float(mean), std, blocks)


def _in_pairs(draw: Draw) -> Draw:
    """Complex numbers from a draw of their parts."""

    def pairs(generator: Generator, n: int) -> Array:
        parts = draw(generator, 2 * n)
        return parts.view(np.result_type(parts.dtype, np.complex64))

    return pairs


def _real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return _dtypes.of_numpy(dtype).to_real().numpy


# ------------------------------------------------------------------------------------------------ new tensors


def blank(shape: Any, dtype: Any, out: Any, device: Any, default: Any = None) -> Array:
    """Memory for a new tensor of that type (the default float, if nothing is said), or of the type of `out`."""
    require_cpu(device)
    if out is not None:
        if dtype is not None and dtype.numpy != out._array.dtype:
            raise RuntimeError(f"dtype {dtype} does not match dtype of out parameter ({out.dtype})")
        if out._array.shape == tuple(shape):
            return np.empty_like(out._array)
        return np.empty(shape, out._array.dtype)
    return np.empty(
        nonnegative(shape), _dtypes.default_numpy() if dtype is None and default is None else (dtype or default).numpy
    )


def finish(array: Array, out: Any, requires_grad: bool) -> Tensor:
    """The new tensor, or `out` after the array was written into it."""
    result = wrap(array) if out is None else store(wrap(array), out)
    return result.requires_grad_() if requires_grad else result  # type: ignore[no-any-return]


def _new(memory: Array, generator: Any, draw: Draw, out: Any, requires_grad: bool) -> Tensor:
    return finish(mode.run(drawn, memory, source(generator), draw), out, requires_grad)


@function()
def rand(
    *size: Any,
    generator: Generator | None = None,
    names: None = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of that size, uniform on [0, 1)."""
    memory = blank(sizes(size), dtype, out, device)
    return _new(memory, generator, uniform_draw(memory.dtype, 0, 1), out, requires_grad)


@function()
def randn(
    *size: Any,
    generator: Generator | None = None,
    names: None = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of that size, normal with mean 0 and variance 1 (of a complex number: of both its parts together)."""
    memory = blank(sizes(size), dtype, out, device)
    return _new(memory, generator, normal_draw(memory, 0.0, 1.0), out, requires_grad)


# ------------------------------------------------------------------------------------------------ in place


@tensor_method()
def uniform_(self: Tensor, from_: float = 0, to: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers uniform on [from, to). RuntimeError unless from <= to."""
    return put(self, generator, uniform_draw(self._array.dtype, from_, to))


@tensor_method()
def normal_(self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers of that mean and standard deviation. RuntimeError if `std` is negative."""
    return put(self, generator, normal_draw(self._array, mean, std))


@tensor_method()
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with ones of probability `p`, a number or a tensor, and zeros. RuntimeError unless 0 <= p <= 1."""
    return put(self, generator, bernoulli_draw(self._array.dtype, p))


def bernoulli_draw(dtype: np.dtype[Any], p: float) -> Draw:
    p = float(p)
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
    return lambda generator, n: (_generator.unit_double(generator, n) < p).astype(dtype)
