"""Validation of arguments: dimensions, shapes and types, with torch's errors. It knows the shapes of arrays, but not tensors."""

from __future__ import annotations

import inspect
import math
import operator
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from mini_dl._dtypes import Array, NumpyType
from mini_dl._importing import innermost, wraps
from mini_dl._signatures import LateSignature


def wrap_dim(dim: object, ndim: int) -> int:
    """`dim` counted from the front. A 0-d tensor takes 0 and -1, as if it had one dimension. IndexError otherwise."""
    if type(dim) is not int:
        dim = index_of(dim, "argument 'dim' must be int")
    n = ndim or 1
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return int(dim % n)


def index_of(number: Any, must: str) -> int:
    """The int value of `number`; TypeError for a bool and for anything that is not an int."""
    try:
        if not isinstance(number, bool):
            return operator.index(number)
    except TypeError:
        pass
    raise TypeError(f"{must}, not {type_name(number)}")


def check_bool(value: object, argument: str) -> None:
    """TypeError, naming the argument, unless `value` is a bool."""
    if not isinstance(value, bool):
        raise TypeError(f"{argument} must be bool, not {type_name(value)}")


def listed(numbers: object) -> list[Any]:
    """An int, or several ints, as a list."""
    return list(numbers) if isinstance(numbers, (tuple, list)) else [numbers]


def wrap_dims(dim: object, ndim: int) -> tuple[int, ...]:
    """An int, a sequence of ints, or None or () for all dimensions, as distinct dims counted from the front."""
    if dim is None:
        return tuple(range(ndim)) if ndim > 1 else (0,) * ndim
    if not isinstance(dim, (tuple, list)):
        return (wrap_dim(dim, ndim),) if ndim else (wrap_dim(dim, ndim),)[:0]
    if len(dim) == 0:
        return tuple(range(ndim))
    dims = tuple(wrap_dim(d, ndim) for d in dim)
    for i, d in enumerate(dims):
        if d in dims[:i]:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return dims if ndim else ()


def sizes(shape: Sequence[Any], argument: str = "a shape") -> tuple[int, ...]:
    """The shape meant by ``f(2, 3)`` or ``f((2, 3))``: ``*shape``, unpacked if it is one sequence. TypeError, naming `argument`,
    for anything that is not a shape."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    for n in shape:
        if n.__class__ is not int:
            break
    else:
        return tuple(shape)
    if shape[0].__class__ is bool:
        raise TypeError(f"{argument} must be tuple of ints, but found element of type bool at pos 0")
    try:
        return tuple([operator.index(n) for n in shape])
    except TypeError:
        at = next((i for i, n in enumerate(shape) if not isinstance(n, int)), 0)
        raise TypeError(
            f"{argument} must be tuple of ints, but found element of type {type_name(shape[at])} at pos {at}"
        ) from None


def int_list(numbers: object, argument: str) -> tuple[int, ...]:
    """Several ints, as a tuple. TypeError, naming `argument`, for one int and for anything else that is not a tuple or list."""
    if not isinstance(numbers, (tuple, list)):
        raise TypeError(f"{argument} must be tuple of ints, not {type_name(numbers)}")
    return sizes((numbers,), argument)


def spread_out(function: Callable[..., object]) -> Callable[..., Any]:
    """Accept the last positional parameter, a sequence of ints, as separate arguments: ``f(x, 2, 3)`` is ``f(x, (2, 3))``."""
    code = innermost(function).__code__
    positional = code.co_varnames[: code.co_argcount]
    before, name = len(positional) - 1, positional[-1]
    argument = f"{function.__name__}(): argument '{name}' (position {len(positional)})"

    @wraps(function)
    def call(*args: object, **kwargs: object) -> Any:
        if kwargs and name in kwargs:
            given = kwargs.pop(name)
            if not isinstance(given, (tuple, list)):
                raise TypeError(f"{argument} must be tuple of ints, not {type_name(given)}")
        else:
            here = before
            if before and kwargs:
                here -= len([1 for other in positional[:before] if other in kwargs])
            if len(args) <= here:
                raise TypeError(f'{function.__name__}() missing 1 required positional arguments: "{positional[len(args)]}"')
            given, args = args[here:], args[:here]
        if len(args) == before:
            return function(*args, sizes(given, argument), **kwargs)
        return function(*args, **{name: sizes(given, argument)}, **kwargs)

    call.__signature__ = LateSignature(lambda: inspect.signature(function))  # type: ignore[attr-defined]
    call.spread = True  # type: ignore[attr-defined]
    return call


def also_named(name: str, *others: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Accept the parameter `name` under its other names in torch's overloads."""

    def decorate(function: Callable[..., object]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: object, **kwargs: object) -> Any:
            for other in others:
                if other in kwargs:
                    kwargs[name] = kwargs.pop(other)
            return function(*args, **kwargs)

        return call

    return decorate


def deprecated(name: str, instead: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make calls of a function that torch calls `name` warn of its deprecation and name the replacement."""

    def decorate(function: Callable[..., object]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: object, **kwargs: object) -> Any:
            warn_once(f"{name} is deprecated and will be removed in a future release. Use {instead} instead.")
            return function(*args, **kwargs)

        return call

    return decorate


def nonnegative(shape: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` if no size is negative; RuntimeError otherwise."""
    for n in shape:
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(shape)}")
    return shape


def too_large(name: str, args: tuple[object, ...], error: Exception) -> Exception:
    """The error for sizes in `args` that no tensor can have; if there are none, `error`, which NumPy raised for them."""
    given = args[0] if args and isinstance(args[0], (tuple, list)) else args
    size = [n for n in given if isinstance(n, int)]
    if any([n >= 2**63 for n in size]):
        return TypeError(f"{name}(): argument 'size' has a size that does not fit into 64 bits: {size}")
    if math.prod(size) >= 2**59:
        return RuntimeError(f"Storage size calculation overflowed with sizes={size}")
    return RuntimeError(f"{name}(): {error}") if isinstance(error, MemoryError) else error


def infer_size(shape: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """`shape` with its one -1 replaced so that there are `numel` elements. RuntimeError if that is impossible."""
    if math.prod(shape) == numel and (not shape or min(shape) >= 0):
        return shape
    unknown = [i for i, n in enumerate(shape) if n == -1]
    known = 1
    for n in shape:
        if n < -1:
            raise RuntimeError(f"invalid shape dimension {n} at index {shape.index(n)} of shape {list(shape)}")
        known *= 1 if n == -1 else n
    if len(unknown) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if unknown:
        if known == 0 and numel == 0:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 "
                "can be any value and is ambiguous"
            )
        if known and numel % known == 0:
            at = unknown[0]
            return (*shape[:at], numel // known, *shape[at + 1 :])
    raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")


def broadcast_shapes(*shapes: Iterable[int]) -> tuple[int, ...]:
    """The shape that all `shapes` expand to, with torch's error if two sizes differ and neither is 1."""
    result: list[int] = []
    for shape in map(tuple, shapes):
        result = [1] * (len(shape) - len(result)) + result
        offset = len(result) - len(shape)
        for i, n in enumerate(shape, offset):
            if n != 1 and result[i] not in (1, n):
                raise RuntimeError(
                    f"The size of tensor a ({result[i]}) must match the size of tensor b ({n}) at non-singleton dimension {i}"
                )
            if n != 1:
                result[i] = n
    return tuple(result)


def fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether `shape` expands to `target`."""
    leading = len(target) - len(shape)
    return leading >= 0 and all([n in (1, m) for n, m in zip(shape, target[leading:])])


def check_fits(target: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """RuntimeError if `shape` does not expand to that of the `target` of a write."""
    if not fits(shape, target):
        raise RuntimeError(f"output with shape {list(target)} doesn't match the broadcast shape {list(shape)}")


def type_name(value: object) -> str:
    """The name of the type of `value` in error messages, at most as deep as ``list of int``."""
    if isinstance(value, (tuple, list)) and value:
        return f"{type(value).__name__} of {type(value[0]).__name__}"
    module = type(value).__module__
    return type(value).__name__ if module in ("builtins", "mini_dl.tensor") else f"{module.split('.')[0]}.{type(value).__name__}"


def without_imaginary_parts(array: Array, target: NumpyType) -> Array:
    """`array`, of which only the real parts are left, with torch's UserWarning, if `target` is neither complex nor bool."""
    if array.dtype.kind != "c" or target.kind in "cb":
        return array
    warn_once("Casting complex values to real discards the imaginary part")
    return array.real


class Told:
    """The kinds of warnings that `warn_once` has given, and whether it gives them again."""

    kinds: ClassVar[set[str]] = set()
    again = False


def warn_once(message: str, kind: str | None = None) -> None:
    """Warn at the user's line, once in a process for each `kind`, by default the message, unless ``set_warn_always(True)``."""
    if Told.again or (kind or message) not in Told.kinds:
        Told.kinds.add(kind or message)
        warnings.warn(message, stacklevel=level_of_user())


def level_of_user() -> int:
    """The ``stacklevel`` with which the caller's warning points to the first frame outside this package."""
    package, level = __name__.partition(".")[0], 1
    while sys._getframe(level).f_globals.get("__name__", "").partition(".")[0] == package and sys._getframe(level).f_back:
        level += 1
    return level
