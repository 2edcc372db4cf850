"""What a message says besides what is wrong: the name that was probably meant, and the arguments that there are.

Names are compared when a message is read, not when it is raised: `hasattr`, and `getattr` with a default, stay quick.
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from mini_dl._signatures import show, shown_signature

F = TypeVar("F", bound=Callable[..., Any])
UNEXPECTED = "got an unexpected keyword argument"
ELSEWHERE = {
    "axis": "dim", "axes": "dim", "keepdims": "keepdim", "gaussian": "Normal", "mean": "loc", "mu": "loc", "std": "scale",
    "sigma": "scale", "sd": "std", "he_normal_": "kaiming_normal_", "he_uniform_": "kaiming_uniform_",
    "glorot_normal_": "xavier_normal_", "glorot_uniform_": "xavier_uniform_",
}  # fmt: skip
"""What other libraries and the books call it."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that is probably meant by `name`: alike in its letters, its beginning, or the initials of its words."""
    import difflib  # a millisecond, which no program without a mistake has to spend

    known = sorted([other for other in names if other != name], key=lambda other: other[:1] == name[:1])
    by_case = {other.lower(): other for other in known}  # the last counts: one that begins with the same letter
    letters = {"".join(sorted(other)): other for other in by_case}  # of those in another order
    for low in (name.lower(), ELSEWHERE.get(name.lower(), "").lower(), letters.get("".join(sorted(name.lower())))):
        if low in by_case:
            return by_case[low]
    cutoff = 0.7 if len(name) > 3 else 0.66  # of three letters two
    near = difflib.get_close_matches(name, [other for other in known if abs(len(other) - len(name)) < 4], 5, cutoff)
    if near:
        alike = [difflib.SequenceMatcher(None, other, name).ratio() for other in near]
        return min(other for other, ratio in zip(near, alike) if ratio == alike[0])  # of equals not the last: BatchNorm1d
    if "_" in name and (initials := "".join(part[:1] for part in name.split("_"))) in known:
        return initials
    begun = [other for other in known if min(len(other), len(name)) > 2 and (name.startswith(other) or other.startswith(name))]
    return min(begun, key=lambda other: abs(len(other) - len(name)), default=None)


class Suggesting(str):
    """A message that ends with a suggestion, which is looked for when the message is read."""

    name: str
    names: Callable[[], Iterable[str]]

    def __str__(self) -> str:
        plain = str.__str__(self)
        meant = nearest(self.name, (other for other in self.names() if other.startswith("_") == self.name.startswith("_")))
        return plain if meant is None else f"{plain}. Did you mean: {meant!r}?"

    def __repr__(self) -> str:
        return repr(str(self))

    def __reduce__(self) -> Any:
        return str, (str(self),)


def missing(text: str, name: str, names: Callable[[], Iterable[str]]) -> AttributeError:
    """The error for an attribute that is not there; `names` gives those that are."""
    said = Suggesting(text)
    said.name, said.names = name, names
    return AttributeError(said, name=name)


def mistyped(error: TypeError, function: Any, given: Iterable[str], called: str = "") -> None:
    """Let an error about a keyword that `function` does not know end with the name that is near and with the signature."""
    text = str(error).partition("\n")[0].partition(". Did you mean")[0]  # a function within may have said its own
    if UNEXPECTED not in text:
        return
    try:
        signature = shown_signature(function)
    except (TypeError, ValueError):
        return
    known = [p.name for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    wrong = next((name for name in given if f"'{name}'" in text and name not in known), None)
    if wrong is None or not known:
        return
    meant = nearest(wrong, [name for name in known if not name.startswith("_") and name != "self"])
    guess = "" if meant is None else f". Did you mean: {meant!r}?"
    named = called or function.__name__
    text = re.sub(r"^_\w+\(\)", f"{named}()", text)
    text = re.sub(r"^\w+\.__init__\(\)", f"{named}.__init__()", text)  # a base class may have refused it
    error.args = (f"{text}{guess}\n  {named}{signature}",)


def naming_keywords(function: F) -> F:
    """A function that is not called often; its error about an unknown keyword lists those that it knows."""

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            mistyped(error, function, kwargs)
            raise

    return call  # type: ignore[return-value]


def telling(init: F, name: str) -> F:
    """The constructor `init` that a class of this name declares; its error about an unknown keyword lists those that it knows."""

    @functools.wraps(init)
    def call(self: object, *args: object, **kwargs: object) -> None:
        try:
            init(self, *args, **kwargs)
        except TypeError as error:
            if kwargs:
                own = type(self).__init__ is call
                mistyped(error, types.MethodType(call, self), kwargs, type(self).__name__ if own else name)
            raise

    show(call, method=True)
    return call  # type: ignore[return-value]


def tell_constructor(cls: type) -> None:
    """Let the constructor that a class of this package declares tell its arguments to who mistypes one."""
    init = cls.__dict__.get("__init__")
    if init is not None and cls.__module__.startswith(__name__.partition(".")[0] + "."):
        setattr(cls, "__init__", telling(init, cls.__name__))  # noqa: B010
