"""The signatures that ``help`` and `inspect.signature` show for public functions: tensors instead of arrays, and no private
names.

The annotations of a function also determine the checks of its arguments (`_arguments`), so they are unchanged; the displayed
signature is computed on demand.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections.abc import Callable
from typing import Any

Parameter = inspect.Parameter

NUMBER = "Number"
PUBLIC = {
    "Operand": f"Tensor | {NUMBER}",
    "Ints": "int | Sequence[int]",
    "DType": "dtype",
    "Value": "Tensor | float",
    "ByEpoch": "Callable[[int], Any]",
    "Activation": "Callable[[Tensor], Tensor]",
    "Named": "Mapping[str, Any] | Iterable[tuple[str, Any]]",
    "Group": "dict[str, Any]",
    "TypeLike": "dtype | None",
    "layout_of": "layout",
    "Layout": "layout | None",
    "MemoryFormat": "memory_format | None",
    "DeviceLike": "device | str | int | None",
    "Device": "device | str | int | None",
    "Floats": "float | Sequence[float]",
    "Shape": "Sequence[int]",
    "Betas": "tuple[float, float]",
    "Params": "Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]",
    "Closure": "Callable[[], Any]",
    "Function": "Callable[..., Any]",
    "Hook": "Callable[..., Any]",
    "StateDict": "dict[str, Any]",
    "File": "str | PathLike[str] | IO[bytes]",
    "State": "tuple[Tensor, ...]",
    "Handle": "RemovableHandle",
    "builtins.bool": "bool",
}
"""The public spelling of the names in annotations."""

OF_NUMPY = frozenset("from_numpy _numpy __array__ __array_wrap__".split())
"""Functions that do take or return arrays; elsewhere, an array in the body of a primitive is a tensor in the call."""

named_results: dict[str, Any] = {}
"""The classes of named results (``torch.return_types``) by name."""

SAID_BY_NAME = {
    "reduction": "str",
    "start": NUMBER,
    "end": f"{NUMBER} | None",
    "step": NUMBER,
    "low": "int",
    "high": "int | None",
    "sections": "int | Sequence[int] | Tensor",
    "split_size_or_sections": "int | Sequence[int]",
    "split_size": "int | Sequence[int]",
    "src": f"Tensor | {NUMBER}",
    "alpha": NUMBER,
    "other": f"Tensor | {NUMBER}",
    "ord": "int | float | str | None",
    "driver": "str | None",
    "tensors": "Tensor | Sequence[Tensor]",
    "shapes": "Sequence[int]",
    "shape": "int | Sequence[int]",
    "size": "int | Sequence[int]",
    "dtype": "dtype | None",
    "device": "device | str | int | None",
    "memory_format": "memory_format | None",
    "obj": "object",
}
"""The displayed types of parameters that take several kinds of values, and so are Any to the checks of arguments."""

SPREAD = "int | Sequence[int]"
"""Sizes that follow a function's tensor as separate arguments or as a sequence."""


class Text(str):
    """An annotation that is shown verbatim, without quotes."""

    def __repr__(self) -> str:
        return str(self)


def public_annotation(parameter: Parameter, position: int, function: object) -> Text:
    """The displayed annotation of a parameter."""
    given = parameter.annotation
    if parameter.name == "out":
        return Text("tuple[Tensor, ...] | None" if returns_several(function) else "Tensor | None")
    if given is Parameter.empty and position == 0 and parameter.name in ("self", "input"):
        return Text("Tensor")
    if given is Parameter.empty or str(given) in ("Any", "object", "typing.Any"):
        return Text(SAID_BY_NAME.get(parameter.name, "Any"))
    if str(given) == "Array" and position == 1 and hasattr(primitive_behind(function), "operators"):
        return Text(f"Tensor | {NUMBER}")
    return public_text(given, function)


@functools.lru_cache(512)
def public_text(annotation: object, function: Any) -> Text:
    """An annotation in public names."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    array = "numpy.ndarray" if function.__name__ in OF_NUMPY else "Tensor"

    def renamed(match: re.Match[str]) -> str:
        name = match[0]
        if name == "NamedTensors":
            known = [one for one in (f"linalg_{base_name(function)}", base_name(function)) if one in named_results]
            own = [one for one in known if one.startswith("linalg_") == (".linalg" in str(function.__module__))] or known
            return f"return_types.{own[0]}" if own else "tuple[Tensor, ...]"
        return array if name == "Array" else PUBLIC.get(name, name)

    found = re.sub(r"[A-Za-z_][\w.]*", renamed, text)
    if "[" not in found.replace("Sequence[int]", "") and " | " in found:
        found = " | ".join(sorted(dict.fromkeys(found.split(" | ")), key=lambda part: part == "None"))
    return Text(found)


def base_name(function: Any) -> str:
    name: str = function.__name__
    return name.removeprefix("linalg_")


def primitive_behind(function: object) -> Any:
    """The primitive that `function` calls, or None."""
    while not hasattr(function, "op"):
        if not hasattr(function, "__wrapped__"):
            return None
        function = function.__wrapped__
    return function.op


def returns_several(function: object) -> bool:
    return re.match("tuple|NamedTensors", str(function.__annotations__.get("return"))) is not None


class LateSignature(inspect.Signature):
    """A signature that is computed on first access: hardly any of those made at import ever is."""

    __slots__ = ("_found", "_work_out")

    def __init__(self, work_out: Callable[[], inspect.Signature]) -> None:
        self._work_out = work_out
        self._found: inspect.Signature | None = None

    def found(self) -> inspect.Signature:
        if self._found is None:
            self._found = self._work_out()
        return self._found

    @property
    def _parameters(self) -> Any:
        return self.found().parameters

    @property
    def _return_annotation(self) -> Any:
        return self.found().return_annotation

    def replace(self, **changes: Any) -> inspect.Signature:  # type: ignore[override]
        """A plain signature like this one, with changes."""
        return self.found().replace(**changes)

    def __reduce__(self) -> Any:
        return self.found().__reduce__()


class PublicSignature(LateSignature):
    """The signature of a public function; `method` if its first argument is ``self``."""

    __slots__ = ("behind", "function", "method")
    behind: inspect.Signature | None
    """The signature that the function already had."""

    def __init__(self, function: Any, method: bool = False) -> None:
        self._found, self.function, self.method = None, function, method
        given = function.__dict__.get("__signature__")
        self.behind = given.behind if given.__class__ is PublicSignature else given

    def found(self) -> inspect.Signature:
        if self._found is None:
            self._found = public(self.private(), self.function, self.method)
        return self._found

    def private(self) -> inspect.Signature:
        """The signature with the annotations of the source."""
        if self.behind is not None:
            return self.behind
        wrapped = getattr(self.function, "__wrapped__", None)
        if wrapped is not None:
            return signature_behind(wrapped)
        made = self.function
        bare = types.FunctionType(made.__code__, made.__globals__, made.__name__, made.__defaults__, made.__closure__)
        bare.__kwdefaults__, bare.__annotations__ = made.__kwdefaults__, made.__annotations__
        return inspect.signature(bare)

    def settle(self) -> None:
        """Keep the signature of the source before the code of the function is replaced."""
        self.behind = self.private()


def public(private: inspect.Signature, function: object, method: bool) -> inspect.Signature:
    """The displayed signature."""
    parameters = []
    listed = list(private.parameters.values())
    positional = [p for p in listed if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
    spread = getattr(function, "spread", False)
    for position, parameter in enumerate(listed):
        default = Text("...") if type(parameter.default) is object else parameter.default  # a private mark of "not given"
        shown = parameter.replace(annotation=public_annotation(parameter, position, function), default=default)
        if method and position == 0 and parameter.kind is not Parameter.VAR_POSITIONAL:
            shown = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
        elif spread and parameter is positional[-1]:
            shown = Parameter(parameter.name, Parameter.VAR_POSITIONAL, annotation=Text(SPREAD))
        parameters.append(shown)
    returned = private.return_annotation
    return inspect.Signature(
        parameters, return_annotation=returned if returned is inspect.Signature.empty else public_text(returned, function)
    )


def signature_behind(function: Any) -> inspect.Signature:
    """The signature of a function in its source, even if a public one is shown."""
    shown = getattr(function, "__signature__", None)
    return shown.private() if isinstance(shown, PublicSignature) else inspect.signature(function)


def shown_signature(function: Any) -> inspect.Signature:
    """The signature of any function of this package in public names."""
    found = inspect.signature(function)
    return found if isinstance(found, PublicSignature) else public(found, function, False)


def show(function: Any, method: bool = False) -> None:
    """Let `function`, whose name is public, show its public signature."""
    function.__signature__ = PublicSignature(function, method)
