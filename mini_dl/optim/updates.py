"""The building blocks of the algorithms: options, the state of a parameter, its arrays in pieces, and running means.

An update of one parameter looks like this, over arrays or over their recorded stand-ins (`mini_dl.optim._recorded`)::

    def update(self, param, grad, state, group):
        state.begin(param, "square")                          # a count of steps, and zeros; at the first step only
        state.advance()
        for p, g, square, t in state.blocks(1, param, grad, state["square"]):
            square_towards(square, g, group.alpha, t)         # written in place
            np.sqrt(square, out=t)                            # t is a buffer: its old values do not matter
            np.divide(g, t, out=t)
            add_scaled(p, t, -group.lr, t)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._dtypes import FLOATING, NARROW, Array
from mini_dl.kernels import blas
from mini_dl.kernels.blocks import Scratch, as_single
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ options


def chosen(arguments: dict[str, Any], checks: str = "", last: str = "") -> dict[str, Any]:
    """The options among the ``locals()`` of a constructor: all its parameters but `self` and `params`, in torch's order, which is
    that of the signature with the names in `last` at the end.

    ValueError for a bad option among `checks`: `lr` and `betas` have checks of their own, others must not be negative.
    """
    options = {name: value for name, value in arguments.items() if name not in _NO_OPTIONS}
    for name in checks.split():
        _CHECKS.get(name, check_at_least_zero)(name, options[name])
    for name in last.split():
        options[name] = options.pop(name)
    return options


def check_learning_rate(name: str, lr: Any) -> None:
    """ValueError if `lr` is negative or a tensor of more than one element."""
    check_one_element(lr)
    if not lr >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")


def check_one_element(lr: Any) -> None:
    """ValueError for a learning rate that is a tensor of several elements."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")


def check_betas(name: str, betas: Any) -> None:
    """ValueError for a decay outside [0, 1)."""
    for i, beta in enumerate((betas[0], betas[1])):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def check_at_least_zero(name: str, value: Any) -> None:
    """ValueError for an option below 0 (or NaN)."""
    if not value >= 0.0:
        raise ValueError(f"Invalid {'epsilon' if name == 'eps' else name} value: {value}")


_NO_OPTIONS = {"self", "params", "__class__", "checks", "last"}
_CHECKS: dict[str, Callable[[str, Any], None]] = {"lr": check_learning_rate, "betas": check_betas}


def parts_of_decay(weight_decay: Any, lr: Any, decoupled: bool) -> tuple[Any, Any]:
    """The factor of the penalty in the gradient, 0 if the decay is `decoupled` from it; and the fraction of the parameter that a
    step then keeps, ``1 - lr * weight_decay``, or None for all of it."""
    if not decoupled:
        return weight_decay, None
    return 0, None if weight_decay == 0 else 1 - lr * weight_decay


# ------------------------------------------------------------------------------------------------ state

Buffers = dict[tuple[Any, ...], list[Array]]


class State:
    """What earlier updates of a parameter kept: ``state["exp_avg"]`` is an array. `tensors` is what is saved; `spare` has buffers
    for small arrays by shape and type, reused by successive updates."""

    __slots__ = ("spare", "tensors")

    def __init__(self, tensors: dict[str, Any], spare: Buffers | None = None) -> None:
        self.tensors, self.spare = tensors, {} if spare is None else spare

    def __bool__(self) -> bool:
        return bool(self.tensors)

    def __contains__(self, name: str) -> bool:
        return self.tensors.get(name) is not None

    def __getitem__(self, name: str) -> Any:
        return self.tensors[name]._array

    def begin(self, like: Array, *names: str, **numbers: Any) -> None:
        """At the first step, create a step count, the `numbers`, and zeros like `like` under each of the `names`."""
        if self.tensors:
            return
        self.tensors["step"] = new_step()
        for name, value in numbers.items():
            self.tensors[name] = new_step()
            self.put(name, value)
        for name in names:
            self.tensors[name] = zeros_like(like)

    def advance(self) -> float:
        """Count one more step; return the count."""
        count = self["step"]
        count += 1
        return float(count)

    def number(self, name: str) -> Any:
        """A 0-d array as a Python float, without gradient; recorded state gives a recorded scalar instead."""
        return float(self[name])

    def put(self, name: str, value: Any) -> None:
        """Write a number into a 0-d array, rounded to the default type even if loaded state has a wider one."""
        self[name][...] = _step_dtype()(value)

    def detached(self, array: Array) -> Array:
        """The array, without history if steps are recorded."""
        return array

    def blocks(self, buffers: int, param: Array, *others: Array | None) -> Iterable[tuple[Any, ...]]:
        """Arrays of one shape in pieces that stay in the cache, with `buffers` scratch arrays per piece.

        The update loops over them and writes in place. Complex arrays come as their real and imaginary parts.
        """
        if param.size > SMALL or not param.ndim or param.dtype.kind not in FLOATING:
            return _pieces(buffers, param, *others)
        key = (param.shape, param.dtype.char)
        own = self.spare.get(key)
        if own is None:
            if len(self.spare) >= SHAPES:
                self.spare.clear()
            own = self.spare[key] = [np.empty(param.shape, param.dtype) for _ in range(MOST_BUFFERS)]
        return ((param, *others, *own[:buffers]),)


def update_in_single(update: Callable[..., None], param: Array, grad: Array, state: State, group: Any) -> None:
    """`update` of a bfloat16 parameter: computed in float32, and rounded once, at its end."""
    before = {name: t._array for name, t in state.tensors.items() if isinstance(t, Tensor)}
    for name, array in before.items():
        state.tensors[name]._array = as_single(array)
    wide = as_single(param)
    try:
        update(wide, as_single(grad), state, group)
        param[...] = wide
    finally:
        for name, t in state.tensors.items():
            known = before.get(name)
            if known is not None and known.dtype.char in NARROW:
                known[...] = t._array
                t._array = known
            elif known is None and isinstance(t, Tensor) and name not in NUMBERS and t._array.dtype == np.float32:
                t._array = t._array.astype(param.dtype)


NUMBERS = ("step", "eta", "mu", "mu_product")
"""State that is a number, whatever the type of the parameter."""


def new_step() -> Tensor:
    """A step count: a 0-d floating point tensor, as in torch."""
    return wrap(np.zeros((), _step_dtype()))


def zeros_like(param: Array) -> Tensor:
    return wrap(np.zeros_like(param))


def _step_dtype() -> Any:
    return np.float64 if _dtypes.default_numpy() == np.float64 else np.float32


# ------------------------------------------------------------------------------------------------ arithmetic in place


def with_penalty(grad: Array, param: Array, weight_decay: float, maximize: bool, buffer: Any, out: Any) -> Array:
    """The gradient to descend: `grad`, or its negative, plus that of ``weight_decay / 2 * param ** 2``."""
    if maximize:
        grad = np.negative(grad, out=out)
    if weight_decay != 0:
        grad = np.add(grad, np.multiply(param, weight_decay, out=buffer), out=out)
    return grad


def add_scaled(target: Any, value: Any, weight: Any, buffer: Any, keep: float | None = None) -> None:
    """``target += weight * value``, or ``target = keep * target + weight * value``"""
    if type(target) is not np.ndarray:  # recorded
        target.add_scaled(value, weight, keep)
        return
    if target.size > SMALL and blas.add_scaled(weight, value, 1 if keep is None else keep, target):
        return
    if keep is not None:
        target *= keep
    target += value if weight == 1 else np.multiply(value, weight, out=buffer)


def mean_towards(mean: Array, value: Array, weight: float, buffer: Any) -> None:
    """``mean += weight * (value - mean)``"""
    difference = np.subtract(value, mean, out=buffer)
    add_scaled(mean, difference, weight, difference)


def square_towards(square: Array, value: Array, decay: float, buffer: Any) -> None:
    """``square = decay * square + (1 - decay) * value ** 2``"""
    squared = np.multiply(value, value, out=buffer)
    add_scaled(square, squared, 1 - decay, squared, decay)


# ------------------------------------------------------------------------------------------------ pieces

BLOCK = 3 << 16
"""Elements in one pass: few enough for a buffer to stay in the cache, and enough for two threads to run side by side."""
SMALL = 1 << 14
"""Elements up to which the buffers of a shape are kept for the next array of that shape."""
SHAPES = 64
"""Shapes whose buffers are kept."""
MOST_BUFFERS = 3
"""Buffers that an update may ask for."""
BUFFERS = [Scratch() for _ in range(MOST_BUFFERS)]


def _pieces(buffers: int, param: Array, *others: Array | None) -> Iterator[tuple[Any, ...]]:
    arrays = (param, *others)
    if not param.ndim:  # as a vector: operations on 0-d arrays give scalars, which cannot be written to
        vectors: Any = [None if a is None else a.reshape(1) for a in arrays]
        yield from _pieces(buffers, *vectors)
    elif param.dtype.kind == "c":
        for part in (np.real, np.imag):
            parts: Any = [None if a is None else part(a) for a in arrays]
            yield from _pieces(buffers, *parts)
    elif param.size <= SMALL or not all([a is None or a.flags.c_contiguous for a in (param, *others[1:])]):
        yield (*arrays, *[np.empty(param.shape, param.dtype) for _ in range(buffers)])  # what is written: all but grad
    elif param.size <= BLOCK:
        yield (*arrays, *[memory.of(param.shape, param.dtype) for memory in BUFFERS[:buffers]])
    else:
        flat = [None if a is None else a.reshape(-1) for a in arrays]
        size = -(-param.size // -(-param.size // BLOCK))
        whole = param.size - param.size % size
        spare = [memory.of((size,), param.dtype) for memory in BUFFERS[:buffers]]
        rows = [repeat(None) if a is None else a[:whole].reshape(-1, size) for a in flat]
        yield from zip(*rows, *[repeat(b) for b in spare])  # faster than slices, for which the other thread would wait
        if whole < param.size:
            yield (*[None if a is None else a[whole:] for a in flat], *[b[: param.size - whole] for b in spare])
