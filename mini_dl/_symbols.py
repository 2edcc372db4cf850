"""Conditions and numbers as written in programs for torch's compiler: ``_assert``, ``_check``, ``sym_max``, ``cond``.

Nothing is traced here, so sizes are Python numbers and every condition is known.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from mini_dl.tensor import Tensor

MESSAGE = (
    "Expected cond to be True, but got False. (Could this error message be improved? If so, please report an enhancement request "
    "to PyTorch.)"
)


def _assert(condition: object, message: object) -> None:
    """AssertionError with this message unless the condition holds.

    >>> import mini_dl as torch
    >>> torch._assert(torch.ones(2).shape == (2,), "two elements")
    """
    if not condition:
        raise AssertionError(message)


def _fail(error: type[BaseException], message: Callable[[], object] | None) -> NoReturn:
    if message is None:
        raise error(MESSAGE)
    if not callable(message):
        raise TypeError("message must be a callable")
    raise error(str(message()))


def _check_with(error_type: type[BaseException], cond: object, message: Callable[[], object] | None) -> None:
    """Raise `error_type` with the message that `message` returns unless `cond` is True. TypeError unless it is a bool."""
    if not isinstance(cond, bool):
        raise TypeError(f"cond must be a bool, but got {type(cond)}")
    if not cond:
        _fail(error_type, message)


def _check(cond: object, message: Callable[[], object] | None = None) -> None:
    """RuntimeError unless `cond` is True."""
    _check_with(RuntimeError, cond, message)


def _check_index(cond: object, message: Callable[[], object] | None = None) -> None:
    """IndexError unless `cond` is True."""
    _check_with(IndexError, cond, message)


def _check_value(cond: object, message: Callable[[], object] | None = None) -> None:
    """ValueError unless `cond` is True."""
    _check_with(ValueError, cond, message)


def _check_type(cond: object, message: Callable[[], object] | None = None) -> None:
    """TypeError unless `cond` is True."""
    _check_with(TypeError, cond, message)


def _check_not_implemented(cond: object, message: Callable[[], object] | None = None) -> None:
    """NotImplementedError unless `cond` is True."""
    _check_with(NotImplementedError, cond, message)


def _check_is_size(i: int, message: Callable[[], object] | None = None, *, max: int | None = None) -> None:
    """RuntimeError unless `i` may be a size: 0 or more, and at most `max`. Deprecated: FutureWarning."""
    warnings.warn(
        "_check_is_size will be removed in a future PyTorch release along with guard_size_oblivious. Use _check(i >= 0) instead.",
        FutureWarning,
        stacklevel=2,
    )
    _check(i >= 0, message)
    if max is not None:
        _check(i <= max, message)


def _check_tensor_all_with(error_type: type[BaseException], cond: object, message: Callable[[], object] | None) -> None:
    """Raise `error_type` unless all elements of the tensor `cond` are True."""
    if not isinstance(cond, Tensor):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    if cond._array.dtype != bool:
        raise TypeError(f"cond tensor must have dtype torch.bool, but got {cond.dtype}")
    _check_with(error_type, bool(cond._array.all()), message)


def _check_tensor_all(cond: object, message: Callable[[], object] | None = None) -> None:
    """RuntimeError unless all elements of the tensor `cond` are True."""
    _check_tensor_all_with(RuntimeError, cond, message)


# ------------------------------------------------------------------------------------------------ numbers


def sym_int(a: Any) -> int:
    """`a` as an int.

    Raises: TypeError or ValueError for anything but a number.

    >>> torch.sym_int(2.7)
    2
    """
    return int(a)


def sym_float(a: Any) -> float:
    """`a` as a float.

    Raises: TypeError or ValueError for anything but a number.

    >>> torch.sym_float(2)
    2.0
    """
    return float(a)


def sym_not(a: object) -> bool:
    """The negation of the truth value of `a`.

    Raises: TypeError unless there is one argument.

    >>> torch.sym_not(True)
    False
    """
    return not a


def sym_max(a: Any, b: Any) -> Any:
    """The larger number; a float if one of them is.

    Raises: TypeError for anything that cannot be compared.

    >>> torch.sym_max(2, 1.5)
    2.0
    """
    return max(float(a), float(b)) if isinstance(a, float) or isinstance(b, float) else max(a, b)


def sym_min(a: Any, b: Any) -> Any:
    """The smaller number; a float if one of them is.

    Raises: TypeError for anything that cannot be compared.

    >>> torch.sym_min(2, 1.5)
    1.5
    """
    return min(float(a), float(b)) if isinstance(a, float) or isinstance(b, float) else min(a, b)


def sym_ite(b: object, t: object, f: object) -> Any:
    """`t` if `b` holds, else `f`.

    Raises: TypeError unless there are three arguments.

    >>> torch.sym_ite(2 > 1, "yes", "no")
    'yes'
    """
    return t if b else f


def sym_sqrt(a: Any) -> float:
    """The square root of a number, as a float.

    Raises: ValueError for a negative number.

    >>> torch.sym_sqrt(9)
    3.0
    """
    return math.sqrt(a)


def sym_sum(args: Any) -> Any:
    """The sum of numbers.

    Raises: TypeError for anything that cannot be added.

    >>> torch.sym_sum([1, 2, 3])
    6
    """
    return sum(args)


def sym_fresh_size(expr: object) -> Any:
    """`expr` itself: sizes are numbers here.

    Raises: TypeError unless there is one argument.

    >>> torch.sym_fresh_size(3)
    3
    """
    return expr


def sym_constrain_range(size: int, *, min: int | None = None, max: int | None = None) -> None:
    """A number, which must be in the range.

    Raises: RuntimeError if it does not.

    >>> torch.sym_constrain_range(5, min=0, max=3)
    Traceback (most recent call last):
        ...
    RuntimeError: Invalid value range for 5 between [0, 3].
    """
    low, high = -(2**63) if min is None else min, 2**63 - 1 if max is None else max
    if not low <= size <= high:
        raise RuntimeError(f"Invalid value range for {size} between [{low}, {high}].")


def sym_constrain_range_for_size(size: int, *, min: int | None = None, max: int | None = None) -> None:
    """A number, which must be in the range, which starts at 0.

    Raises: RuntimeError if it does not.

    >>> torch.sym_constrain_range_for_size(2, max=3)
    """
    sym_constrain_range(size, min=0 if min is None else min, max=max)


# ------------------------------------------------------------------------------------------------ branches


def cond(pred: object, true_fn: Callable[..., object], false_fn: Callable[..., object], operands: Any = ()) -> Any:
    """One of two functions, depending on `pred`: ``out = true_fn(*operands) if pred else false_fn(*operands)``

    Shapes: those of the functions; `pred` is a bool or a tensor of one element.
    Raises: RuntimeError for another `pred`, and unless both are functions.

    >>> torch.cond(torch.tensor(True), lambda x: x + 1, lambda x: x - 1, (torch.ones(1),))
    tensor([2.])
    """
    if not isinstance(pred, (bool, Tensor)):
        raise RuntimeError(f"Expected pred to be bool or tensor, but got {pred}.")
    if isinstance(pred, Tensor) and pred.numel() != 1:
        raise RuntimeError(f"Expected pred to be bool or single-element tensor, but got {pred}.")
    if not callable(true_fn) or not callable(false_fn):
        raise RuntimeError("Expect both branches to be callable.")
    return true_fn(*operands) if pred else false_fn(*operands)


def while_loop(
    cond_fn: Callable[..., object], body_fn: Callable[..., object], carried_inputs: tuple[object, ...], *, hints: object = None
) -> tuple[Any, ...]:
    """A function applied while a condition holds: ``x[t + 1] = body_fn(*x[t])`` while ``cond_fn(*x[t])``

    Shapes: those of `carried_inputs`, a tuple -> the same.
    Raises: TypeError unless both are functions.

    >>> torch.while_loop(lambda x: x < 100, lambda x: (2 * x,), (torch.tensor(3),))
    (tensor(192),)
    """
    carried = tuple(carried_inputs)
    while cond_fn(*carried):
        result = body_fn(*carried)
        carried = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    return carried


# ------------------------------------------------------------------------------------------------ classes


class classproperty:
    """A property of a class: ``C.name`` is the result of the function called with C.

    Raises: TypeError unless there is one argument.

    >>> class Model:
    ...     title = torch.classproperty(lambda cls: cls.__name__.lower())
    >>> Model.title
    'model'
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __get__(self, instance: object, owner: object = None) -> Any:
        return self.function(type(instance) if owner is None else owner)
