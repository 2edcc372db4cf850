"""Tensors for the cases: whole numbers, so that the order of additions does not matter."""

from __future__ import annotations

from typing import Any

FLOATS = "float32 float64 float16 bfloat16".split()
INTEGERS = "int8 uint8 int32 int64".split()
"""The integer types that gloo supports."""
COMPLEX = "complex64 complex128".split()
TYPES = [*FLOATS, *INTEGERS, *COMPLEX, "bool"]


def numbers(torch: Any, rank: int, shape: tuple[int, ...] = (5,), dtype: str = "float32") -> Any:
    """Small numbers that differ on every rank."""
    count = 1
    for n in shape:
        count *= n
    values = (torch.arange(count) * (rank + 2) + rank) % 7 + 1
    if dtype == "bool":
        return (values % 2 == 0).reshape(shape)
    found = values.to(getattr(torch, dtype)).reshape(shape)
    return found * (1 + 2j) if dtype in COMPLEX else found


def attempt(do: Any) -> Any:
    """The result, or the exception."""
    try:
        return do()
    except Exception as error:
        return type(error).__name__, str(error)


def in_place(torch: Any, collective: Any, view: Any) -> None:
    """A collective on strided memory. There gloo writes to other elements, so torch uses a copy."""
    if torch.__name__ != "torch" or view.is_contiguous():
        collective(view)
    else:
        copy = view.contiguous()
        collective(copy)
        view.copy_(copy)


def to_read(torch: Any, view: Any) -> Any:
    """A tensor to be sent: since gloo reads other elements of strided memory, torch uses a copy."""
    return view.contiguous() if torch.__name__ == "torch" else view


def raises(do: Any) -> str:
    """The names of the exception that it raises and, as gloo's own errors have names that ours lack, of its base."""
    try:
        do()
    except RuntimeError:
        return "RuntimeError"
    except Exception as error:
        return type(error).__name__
    return "nothing"
