"""Random draws within `vmap`, and tensors created like a batched one.

With randomness "different", a draw is made for the whole batch, with the batch in front; with "same" it is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mini_dl.autograd.batching import Batched
from mini_dl.autograd.mode import at_work, mode
from mini_dl.autograd.transforms import wrap_at
from mini_dl.tensor import Tensor

NO_DRAWS = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' randomness flags "
    "on vmap or perform the randomness operation out of vmap"
)
SAME_OF_BATCH = "Vmap does not currently support same randomness with a batched tensor input. Please file an issue with functorch"
DIFFERENT_IN_ONE = (
    "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will appear like same randomness. If this "
    "is necessary for your usage, please file an issue with functorch."
)


def any_batches() -> bool:
    """Whether a `vmap` is active here."""
    return bool(at_work.anywhere) and any([isinstance(level, Batched) for level in mode.stack])


def batches() -> list[Batched]:
    """The active levels of `vmap`, the outermost first. RuntimeError if one of them forbids random draws."""
    levels = [level for level in mode.stack if isinstance(level, Batched)]
    if any([level.randomness == "error" for level in levels]):
        raise RuntimeError(NO_DRAWS)
    return levels


def leading() -> tuple[int, ...]:
    """The sizes of the batches for which a draw is to differ: leading dimensions of its shape."""
    return tuple([level.size for level in batches() if level.randomness == "different"]) if at_work.anywhere else ()


def for_batches(drawn: Tensor) -> Tensor:
    """A tensor with the dimensions of `leading` in front, as the elements of these batches."""
    return wrapped(drawn, [level for level in batches() if level.randomness == "different"]) if at_work.anywhere else drawn


def wrapped(tensor: Tensor, levels: Sequence[Batched]) -> Tensor:
    """A physical tensor as a tensor of the innermost of `levels`."""
    for level in levels:
        tensor = wrap_at(level, tensor, 0)
    return tensor


def drawn_from(draw: Callable[..., Tensor], tensors: Sequence[Any], like: bool = False) -> Tensor:
    """``draw(*tensors)`` of the physical tensors. RuntimeError for the same draw from different parameters, unless it is
    only `like` a tensor."""
    levels: list[Batched] = []
    given = list(tensors)
    refused = {level: level.randomness == "error" for level in mode.stack if isinstance(level, Batched)}
    for level in reversed(mode.stack):
        has = [isinstance(t, Tensor) and t._level is level for t in given]
        if isinstance(level, Batched):
            if refused[level]:
                raise RuntimeError(NO_DRAWS)
            if level.randomness == "same" and any(has) and not like:
                raise RuntimeError(SAME_OF_BATCH)
            given = _in_front(given, has, level)
            if level.randomness == "different":
                levels.append(level)
        else:
            given = [t._value if own else t for t, own in zip(given, has)]
    with mode.stack[0].beneath():
        found = draw(*given)
    return wrapped(found, levels[::-1])


def _in_front(tensors: list[Any], has: list[bool], level: Batched) -> list[Any]:
    """The physical tensors, with the batch in front and matching ranks; for a shared draw, those of one element."""
    if level.randomness == "same":
        return [t._value.select(0, 0) if own else t for t, own in zip(tensors, has)]
    rank = max([t._array.ndim for t in tensors if isinstance(t, Tensor)])
    found, several = [], any(has)
    for t, own in zip(tensors, has):
        if own:
            missing = rank - t._array.ndim
            value = t._value
            t = value.reshape(level.size, *(1,) * missing, *t._array.shape) if missing else value
        elif isinstance(t, Tensor) and not several:
            t, several = t.expand(level.size, *t._array.shape), True
        found.append(t)
    return found


def drawn_into(target: Tensor, draw: Callable[[Tensor], object]) -> None:
    """``draw(tensor)`` into the physical memory of `target`; a draw that is the same for a batch is made once, and copied."""
    if not mode.stack:
        draw(target)
        return
    level = mode.stack[-1]
    own = target._level is level
    value: Any = target._value if own else target
    with level.beneath():
        if not isinstance(level, Batched):
            drawn_into(value, draw)
        elif level.randomness == "error":
            raise RuntimeError(NO_DRAWS)
        elif level.randomness == "different":
            if not own:
                raise RuntimeError(DIFFERENT_IN_ONE)
            drawn_into(value, draw)
        elif own:
            one = value.new_empty(target._array.shape)
            drawn_into(one, draw)
            value.copy_(one)
        else:
            drawn_into(value, draw)


def in_batches(input: Tensor, make: Callable[[Tensor, tuple[int, ...]], Tensor], lead: tuple[int, ...] = ()) -> Tensor:
    """``make(physical, lead)`` of the physical tensor and the sizes of its batches, as a tensor of the level of `input`."""
    level, value = input._level, input._value
    if level is None or value is None:
        return make(input, lead)
    if isinstance(level, Batched):
        with level.beneath():
            physical = in_batches(value, make, (level.size, *lead))
        out = wrap_at(level, physical, 0)
        out._born = mode.stack[-1]
        return out
    return in_batches(value, make, lead)


def resized_in_batch(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A tensor of the level of a batch after each element was resized."""
    level, value = tensor._level, tensor._value
    if not isinstance(level, Batched) or value is None:
        raise RuntimeError("cannot resize variables that require grad")
    with level.beneath():
        tensor._value = value = value.contiguous().resize_(level.size, *shape)
    tensor._array = level.shown(value, 0)
    return tensor
