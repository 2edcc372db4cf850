"""The objects that rows of the tables become: a function, a value, a name whose use raises."""

from __future__ import annotations

import ast
import builtins
import importlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from mini_dl._dtypes import dtype, float16
from mini_dl.standins.tables import Row

PAGE = "docs/coverage.md"


def not_here(name: str, reason: str) -> str:
    """The error message for using a name of torch that is absent."""
    return f"mini_dl has no {name} ({reason}; see {PAGE})"


class NotHere(NotImplementedError, AttributeError):
    """An attribute of something absent: `hasattr` is False, and reading it raises an error that says why."""


# ------------------------------------------------------------------------------------------------ not here


class Absent(type):
    """The metaclass of names that can be imported but not used."""

    _name: str
    _reason: str

    def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any], **options: object) -> Any:
        for base in bases:
            if isinstance(base, Absent):
                raise NotImplementedError(base._why())
        return super().__new__(cls, name, bases, members)

    def _why(cls) -> str:
        return not_here(cls._name, cls._reason)

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(cls._why())

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(f"{cls._name} has no attribute {name!r}")
        raise NotHere(cls._why())

    def __getitem__(cls, item: Any) -> Any:
        """The name itself: subscripts occur in annotations."""
        return cls

    def __repr__(cls) -> str:
        return f"<{cls._name}, which is not here>"


def absent(name: str, place: str, reason: str) -> Any:
    """The stand-in for an absent name of torch."""
    members = {"_name": dotted(place, name), "_reason": reason, "__module__": dotted(place), "__doc__": f"Not here: {reason}."}
    return Absent(name, (), members)


def dotted(place: str, name: str = "") -> str:
    return ".".join(part for part in ("torch", place if place != "torch" else "", name) if part)


LIMITS = {
    "float8_e4m3fn": (2.0**-3, 448.0, -448.0, 2.0**-6),
    "float8_e4m3fnuz": (2.0**-3, 240.0, -240.0, 2.0**-7),
    "float8_e5m2": (2.0**-2, 57344.0, -57344.0, 2.0**-14),
    "float8_e5m2fnuz": (2.0**-3, 57344.0, -57344.0, 2.0**-15),
    "float8_e8m0fnu": (1.0, 2.0**127, 2.0**-127, 2.0**-127),
}
"""Epsilon, the largest, the smallest, and the smallest normal number of 8-bit types."""


class NamedType(dtype):
    """An element type that is only a name: it can be compared and printed, but no tensor can have it."""

    __slots__ = ("about", "why")
    about: tuple[int, str]
    why: str

    def __init__(self, name: str, size: int, kind: str, why: str) -> None:
        self.name, self.about, self.why = name, (size, kind), why

    def __reduce__(self) -> Any:
        return of_torch, (self.name,)

    @property
    def numpy(self) -> np.dtype[Any]:  # type: ignore[override]
        raise NotImplementedError(f"torch.{self.name} is a name only: {self.why}. See {PAGE}.")

    @property
    def limits(self) -> dict[str, Any] | None:
        """The attributes of ``torch.finfo``, if known."""
        if self.name not in LIMITS:
            return None
        eps, largest, smallest, normal = LIMITS[self.name]
        found = {"eps": eps, "max": largest, "min": smallest, "tiny": normal, "smallest_normal": normal}
        return {"dtype": self.name, "bits": 8, "resolution": 1.0, **found}

    def to_real(self) -> dtype:
        """The type of the real part: float16 for complex32."""
        return float16 if self.name == "complex32" else self

    @property
    def is_floating_point(self) -> bool:
        return self.about[1].endswith("float")

    @property
    def is_complex(self) -> bool:
        return self.about[1] == "complex"

    @property
    def is_signed(self) -> bool:
        return not self.about[1].startswith("unsigned")

    @property
    def itemsize(self) -> int:
        return self.about[0]


def of_torch(name: str) -> Any:
    """What ``torch.name`` is."""
    return getattr(importlib.import_module(__name__.partition(".")[0]), name)


def named_type(name: str, text: str) -> NamedType:
    size, kind, why = text.split(" ", 2)
    return NamedType(name, int(size), kind, why)


# ------------------------------------------------------------------------------------------------ passing through


class Tag:
    """A named value that equals only itself."""

    def __init__(self, name: str, place: str) -> None:
        self.name = dotted(place, name)

    def __repr__(self) -> str:
        return self.name

    def __copy__(self) -> Tag:
        return self

    def __deepcopy__(self, memo: object) -> Tag:
        return self


class Nothing:
    """A context manager, and a decorator, that does nothing."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        pass

    def __call__(self, function: Any) -> Any:
        return function


def decoration(*args: object, **kwargs: object) -> Any:
    """A decorator that returns its argument unchanged."""
    return lambda function: function


def decorated(*args: object, **kwargs: object) -> Any:
    """The decorated function or class, or a decorator that returns it unchanged."""
    if len(args) == 1 and callable(args[0]):
        return args[0]
    return lambda function: function


class Refused(type):
    """The metaclass of classes whose construction raises torch's error."""

    _error: tuple[type[Exception], str]

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        error, message = cls._error
        raise error(message)


def refused(row: Row, place: str) -> Any:
    """A class that can be subclassed and inspected, but that a build without the device does not construct."""
    error, message = error_of(row)
    return Refused(row.name, (), {"_error": (error, message), "__module__": dotted(place), "__doc__": f"{message}"})


def base(row: Row, place: str) -> Any:
    """A class that can be subclassed, as packages do on import, but not constructed."""
    why = not_here(dotted(place, row.name), row.value)
    members = {"_error": (NotImplementedError, why), "__module__": dotted(place), "__doc__": f"Not here: {row.value}."}
    return Refused(row.name, (), members)


def values(row: Row, place: str) -> Any:
    """A class whose attributes are named values."""
    names = {name: Tag(name, dotted(place, row.name)[6:]) for name in row.value.split()}
    return Absent(row.name, (), {**names, "_name": dotted(place, row.name), "_reason": row.reason})


def error_of(row: Row) -> tuple[type[Exception], str]:
    """The exception that a row names, and its message."""
    name, _, message = row.value.partition(": ")
    error = getattr(builtins, name)
    if not issubclass(error, Exception):
        raise ValueError(f"{name} is not an exception")
    return error, message.replace("\\n", "\n")


BODIES = {
    "=": "return {value}",
    "!": "raise {error}({message!r})",
    "same": "return {first}",
    "context": "return Nothing()",
}
EMPTY = ("OrderedDict()",)


def function(row: Row, place: str) -> Callable[..., Any]:
    """The function that a row describes, generated from the signature and one line."""
    made_: Any
    if row.kind in ("decorator", "decoration"):
        leave = decorated if row.kind == "decorator" else decoration
        made_ = lambda *args, **kwargs: leave(*args, **kwargs)
    else:
        if row.kind == "=" and row.value not in EMPTY:
            ast.literal_eval(row.value)
        error, message = error_of(row) if row.kind == "!" else (Exception, "")
        first = row.signature[1:].partition(",")[0].partition("=")[0].rstrip(") ").lstrip("*")
        body = BODIES[row.kind].format(value=row.value, error=error.__name__, message=message, first=first)
        scope: dict[str, Any] = {"Nothing": Nothing, "OrderedDict": OrderedDict}
        exec(f"def {row.name}{row.signature}:\n    {body}", scope)
        made_ = scope[row.name]
    made_.__name__ = made_.__qualname__ = row.name
    made_.__module__ = dotted(place)
    made_.__doc__ = "As torch answers on a CPU."
    return made_


def made(row: Row, place: str, root: str) -> Any:
    """The object that a row of the module `place` describes; `root` is the package that rows pointing elsewhere refer to."""
    if row.kind == "?":
        return absent(row.name, place, row.value)
    if row.kind == "dtype":
        return named_type(row.name, row.value)
    if row.kind == "tag":
        return Tag(row.name, place)
    if row.kind == "base":
        return base(row, place)
    if row.kind == "names":
        return values(row, place)
    if row.kind == "class":
        return refused(row, place)
    if row.kind == "exception":
        doc = f"A {row.value} under the name that torch gives it."
        return type(row.name, (getattr(builtins, row.value),), {"__module__": dotted(place), "__doc__": doc})
    if row.kind == ":":
        return ast.literal_eval(row.value)
    if row.kind in ("->", "~>"):
        path, _, name = row.value.partition(":")
        if path.startswith("^"):
            module = importlib.import_module(path[1:])
        else:
            module = importlib.import_module(root if path == "torch" else f"{root}.{path}")
        return getattr(module, name) if name else module
    return function(row, place)
