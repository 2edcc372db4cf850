"""Operations over lists of tensors, one tensor after another: ``torch._foreach_add(tensors, other)`` and its relatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mini_dl as torch
from mini_dl.tensor import Tensor

SPECIAL: dict[str, Callable[..., Any]] = {
    "norm": lambda x, ord=2, dtype=None: vars(torch.linalg)["vector_norm"](x, ord, dtype=dtype),
    "max": lambda x: x.max(),
    "powsum": lambda x, ord=2, dtype=None: x.abs().pow(ord).sum(dtype=dtype),
    "maximum": lambda x, other: vars(torch)["maximum" if isinstance(other, Tensor) else "clamp_min"](x, other),
    "minimum": lambda x, other: vars(torch)["minimum" if isinstance(other, Tensor) else "clamp_max"](x, other),
    "addcdiv": lambda x, a, b, value=1: vars(torch)["addcdiv"](x, a, b, value=value),
    "addcmul": lambda x, a, b, value=1: vars(torch)["addcmul"](x, a, b, value=value),
}


def _one(name: str) -> Callable[..., Any]:
    """The operation for one tensor; in place if the name ends with an underscore."""
    plain = name.removesuffix("_")
    function = SPECIAL.get(plain)
    if name == plain:
        return function or vars(torch)[plain]  # type: ignore[no-any-return]
    if plain in ("addcdiv", "addcmul"):
        return lambda x, a, b, value=1: getattr(x, name)(a, b, value=value)
    if function is not None:
        return lambda x, *args: x.copy_(function(x, *args))
    return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


def _over_lists(name: str) -> Callable[..., Any]:
    one = _one(name)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        lists = [value for value in (self, *args, *kwargs.values()) if isinstance(value, (list, tuple))]
        count = len(lists[0])
        if any([len(other) != count for other in lists]):
            raise RuntimeError(f"Tensor lists must have the same number of tensors, got {count} and {max(map(len, lists))}")

        def at(value: Any, i: int) -> Any:
            return value[i] if isinstance(value, (list, tuple)) else value

        results = [
            one(at(self, i), *[at(value, i) for value in args], **{key: at(value, i) for key, value in kwargs.items()})
            for i in range(count)
        ]
        return self if name.endswith("_") else tuple(results)

    call.__name__ = call.__qualname__ = f"_foreach_{name}"
    call.__doc__ = f"``{name}`` of each tensor of a list; other arguments are lists too, or the same for all."
    return call


def __getattr__(name: str) -> Any:
    if not name.startswith("_foreach_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = _over_lists(name.removeprefix("_foreach_"))
    return value
