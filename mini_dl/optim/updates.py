"""The building blocks of the algorithms: options, the state of a parameter, its arrays in pieces, and running means.

An update of one parameter looks like this, over arrays or over their recorded stand-ins (`mini_dl.optim._recorded`)::

    def update(self, param, grad, state, group):
        state.begin(param, "square")                          # counts the step; at the first one makes zeros
        for p, g, square, t in state.blocks(1, param, grad, state["square"]):
            square_towards(square, g, group.alpha, t)         # written in place
            np.sqrt(square, out=t)                            # t is a buffer: its old values do not matter
            np.divide(g, t, out=t)
            add_scaled(p, t, -group.lr, t)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from mini_dl import _dtypes
from mini_dl._dtypes import FLOATING, NARROW, Array
from mini_dl.kernels.blocks import as_single
from mini_dl.kernels.steps import MOST_BUFFERS, SHAPES, SMALL, in_pieces
from mini_dl.nn._types import Betas, Group, Number
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ options


def refuse(wrong: object, text: str, error: type[Exception] = ValueError) -> None:
    """`error` with this text if `wrong` is true."""
    if wrong:
        raise error(text)


def chosen(arguments: Group, checks: str = "", last: str = "") -> Group:
    """The options among the ``locals()`` of a constructor: all its parameters but `self` and `params`, in torch's order, which is
    that of the signature with the names in `last` at the end.

    ValueError for an invalid option among `checks`: `lr` and `betas` have their own checks, others must not be negative.
    """
    options = {name: value for name, value in arguments.items() if name not in _NO_OPTIONS}
    for name in checks.split():
        _CHECKS.get(name, _check_at_least_zero)(name, options[name])
    for name in last.split():
        options[name] = options.pop(name)
    return options


def check_one_element(lr: Number) -> None:
    """ValueError for a learning rate that is a tensor of several elements."""
    refuse(isinstance(lr, Tensor) and lr.numel() != 1, "Tensor lr must be 1-element")


def refuse_bools(lr: Number) -> None:
    """RuntimeError for a learning rate that is a tensor of bools."""
    wrong = isinstance(lr, Tensor) and lr._array.dtype.kind == "b"
    refuse(wrong, "a learning rate must be a number, but it is a bool tensor", RuntimeError)


def _check_learning_rate(name: str, lr: Number) -> None:
    check_one_element(lr)
    refuse(not lr >= 0.0, f"Invalid learning rate: {lr}")


def _check_betas(name: str, betas: Betas) -> None:
    for i, beta in enumerate((betas[0], betas[1])):
        refuse(not 0.0 <= beta < 1.0, f"Invalid beta parameter at index {i}: {beta}")


def _check_at_least_zero(name: str, value: Number) -> None:
    refuse(not value >= 0.0, f"Invalid {'epsilon' if name == 'eps' else name} value: {value}")


_NO_OPTIONS = {"self", "params", "__class__", "checks", "last"}
_CHECKS: dict[str, Callable[[str, Any], None]] = {"lr": _check_learning_rate, "betas": _check_betas}


def with_tensors(value: object, of_tensor: Callable[[Tensor], object]) -> object:
    """An option, in which a tensor, also inside a tuple, is replaced by ``of_tensor(tensor)``."""
    if isinstance(value, Tensor):
        return of_tensor(value)
    return tuple([with_tensors(one, of_tensor) for one in value]) if type(value) is tuple else value


def parts_of_decay(weight_decay: float, lr: float, decoupled: bool) -> tuple[float, float | None]:
    """The factor of the penalty in the gradient, 0 if the decay is `decoupled` from it; and the fraction of the parameter that a
    step keeps, ``1 - lr * weight_decay``, or None if it keeps all of it."""
    if not decoupled:
        return weight_decay, None
    return 0, None if weight_decay == 0 else 1 - lr * weight_decay


# ------------------------------------------------------------------------------------------------ state

Buffers: TypeAlias = dict[tuple[tuple[int, ...], str], list[Array]]
Pieces: TypeAlias = Iterable[tuple[Any, ...]]
"""Pieces of arrays of one shape, None where an array was, and scratch arrays of their shape."""


class State:
    """The state of a parameter between updates: ``state["exp_avg"]`` is an array. `tensors` is what is saved; `spare` holds
    buffers for small arrays by shape and type, reused by successive updates."""

    __slots__ = ("spare", "tensors")

    def __init__(self, tensors: Group, spare: Buffers | None = None) -> None:
        self.tensors, self.spare = tensors, {} if spare is None else spare

    def __bool__(self) -> bool:
        return bool(self.tensors)

    def __contains__(self, name: str) -> bool:
        return self.tensors.get(name) is not None

    def __getitem__(self, name: str) -> Any:
        return self.tensors[name]._array

    def begin(self, like: Array, *names: str, **numbers: float) -> float:
        """Count one more step, and return the count; before the first one, create a step count, the `numbers`, and zeros like
        `like` under each of the `names`."""
        if not self.tensors:
            self.tensors["step"] = new_step()
            for name, value in numbers.items():
                self.tensors[name] = new_step()
                self.put(name, value)
            for name in names:
                self.tensors[name] = zeros_like(like)
        return self.advance()

    def advance(self) -> float:
        """Count one more step; return the count."""
        count = self.tensors["step"]._array
        count[...] = count.item() + 1  # in a third of the time of count += 1
        return float(count)

    def number(self, name: str) -> Any:
        """A 0-d array as a Python float, without gradient; recorded state gives a recorded scalar instead."""
        return float(self[name])

    def put(self, name: str, value: object) -> None:
        """Write a number into a 0-d array, rounded to the default type even if loaded state has a wider one."""
        self[name][...] = _step_dtype()(value)  # type: ignore[arg-type]

    def detached(self, array: Array) -> Array:
        """The array, without history if steps are recorded."""
        return array

    def blocks(self, buffers: int, param: Array, *others: Array | None) -> Pieces:
        """Arrays of one shape in pieces that stay in the cache, with `buffers` scratch arrays per piece.

        The update loops over them and writes in place. Complex arrays come as their real and imaginary parts.
        """
        if buffers > MOST_BUFFERS:
            raise TypeError(f"an update may have {MOST_BUFFERS} buffers, not {buffers}: let what was read be written again")
        if param.size > SMALL or not param.ndim or param.dtype.kind not in FLOATING:
            return in_pieces(buffers, param, *others)
        key = (param.shape, param.dtype.char)
        own = self.spare.get(key)
        if own is None:
            if len(self.spare) >= SHAPES:
                self.spare.clear()
            own = self.spare[key] = [np.empty(param.shape, param.dtype) for _ in range(MOST_BUFFERS)]
        return ((param, *others, *own[:buffers]),)


def update_in_single(update: Callable[..., None], param: Array, grad: Array, state: State, group: object) -> None:
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


def _step_dtype() -> type[np.floating[Any]]:
    return np.float64 if _dtypes.default_numpy() == np.float64 else np.float32


def stored(grad: Any, maximize: bool) -> tuple[tuple[Array, ...], Array]:
    """The places of a sparse gradient as an index, without duplicates, and the values there; with `maximize` their negatives."""
    merged = grad.detach().coalesce()
    values = merged._values()._array
    return tuple(merged.places()), -values if maximize else values
