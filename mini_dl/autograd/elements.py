"""Functions that read values, within `vmap`: called for the elements of the batch one by one.

`taken` extracts an element from a batch, and `gathered` builds a batch from elements; each is the gradient of the other.
Both pass through the levels of other transforms above, which record them, so calls in a loop are differentiated.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import level_of_user
from mini_dl._dtypes import Function
from mini_dl._importing import wraps
from mini_dl.autograd.batching import Batched
from mini_dl.autograd.mode import at_work, mode
from mini_dl.autograd.primitive import Op
from mini_dl.autograd.transforms import seen_in, wrap_at
from mini_dl.tensor import Tensor, wrap


class _Setting:
    """Functions set by the ops, `stack` and `cat`, and whether a loop warns that it is slow."""

    stack: Callable[[Sequence[Tensor]], Tensor]
    cat: Callable[[Sequence[Tensor]], Tensor]
    warns = True


setting = _Setting()


def warn_of_loop(name: str) -> None:
    """Warn, in torch's words, that an op has no batching rule."""
    if setting.warns:
        warnings.warn(
            f"There is a performance drop because we have not yet implemented the batching rule for aten::{name.strip('_')}. "
            "Please "
            "file us an issue on GitHub so that we can prioritize its implementation.",
            UserWarning,
            stacklevel=level_of_user(),
        )


# ------------------------------------------------------------------------------------------------ out of a batch, and back


def taken(input: Any, level: Batched, number: int) -> Any:
    """Element `number` of the batch of `level` that a tensor represents; the tensor itself if it is the same for all."""
    above = _above(level, (input,))
    if above is not None:
        return above.run(TAKEN, (input, level, number))
    if input._level is not level:
        return input
    with level.beneath():
        return input._value.select(0, number)


def gathered(tensors: list[Tensor], level: Batched) -> Any:
    """The tensor that represents these elements of the batch of `level`."""
    above = _above(level, tensors)
    if above is not None:
        return above.run(GATHERED, (tensors, level))
    with level.beneath():
        value = setting.stack(tensors)
    return wrap_at(level, value, 0)


def _above(level: Batched, tensors: Sequence[Any]) -> Any:
    """The innermost level of the tensors, if it is above `level`."""
    found = seen_in(tensors, mode.stack)[0]
    return found if found is not None and found.at > level.at else None


def _placed(grad: Tensor, level: Batched, number: int) -> Any:
    """Zeros for all elements but one."""
    zeros = wrap(np.zeros(grad._array.shape, grad._array.dtype))
    return gathered([grad if i == number else zeros for i in range(level.size)], level)


TAKEN = Op(taken, {"input": lambda grad, level, number: _placed(grad, level, number)})
GATHERED = Op(gathered, {"tensors": lambda grad, level: [taken(grad, level, i) for i in range(level.size)]})
TAKEN.call, GATHERED.call = taken, gathered
TAKEN.linear, GATHERED.linear = (("input",),), (("tensors",),)

# ------------------------------------------------------------------------------------------------ one after the other


def by_element(function: Function) -> Function:
    """Mark a function that reads values: for a batch, it is called element by element."""

    @wraps(function)
    def call(*args: object, **kwargs: object) -> Any:
        if at_work.anywhere and any([is_abstract(value) for value in _leaves((args, kwargs))]):
            return one_by_one(function, args, kwargs)
        return function(*args, **kwargs)

    return call


def _leaves(value: object) -> Any:
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, dict):
        yield from _leaves(list(value.values()))
    else:
        yield value


def batch_of(values: Any) -> Batched:
    """The innermost batch among tensors."""
    found: Batched | None = None
    for value in values:
        while isinstance(value, Tensor) and value._level is not None:
            if isinstance(value._level, Batched) and (found is None or value._level.at > found.at):
                found = value._level
            value = value._value
    assert found is not None
    return found


def one_by_one(function: Function, args: object, kwargs: dict[str, object]) -> Any:
    """The results of `function` for each element of the innermost batch, as a batch."""
    level = batch_of(_leaves((args, kwargs)))
    if not function.__name__.startswith("_"):  # a public function
        warn_of_loop(function.__name__)
    if not level.size:
        raise RuntimeError(f"vmap: {function.__name__} is called for each element of a batch, and this one has none")
    again = by_element(function)
    results = [again(*_element(args, level, i), **_element(kwargs, level, i)) for i in range(level.size)]
    return _together(results, level)


def _element(value: object, level: Batched, number: int) -> Any:
    if isinstance(value, Tensor):
        return taken(value, level, number)
    if isinstance(value, (list, tuple)):
        parts = [_element(one, level, number) for one in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {name: _element(one, level, number) for name, one in value.items()}
    return value


def _together(results: list[Any], level: Batched) -> Any:
    first = results[0]
    if isinstance(first, Tensor):
        return gathered(results, level)
    if isinstance(first, (list, tuple)):
        parts = [_together(list(each), level) for each in zip(*results)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return first
