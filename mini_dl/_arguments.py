"""What torch's parser of arguments does before a function runs: other names, types, and numbers given as tensors.

The annotations of a function say what it takes. At its first call a prologue is written out for it that looks at the classes of
what was given, and nothing else; only what does not fit goes the long way, through `Parser.resolve`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._checks import type_name
from mini_dl._dtypes import dtype, of_numpy
from mini_dl._generator import Generator
from mini_dl.tensor import Tensor

Function = Callable[..., Any]

OTHER_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}
"""NumPy's names, which torch's parser takes too."""

PYTHON_TYPES = {float: of_numpy(np.dtype("d")), int: of_numpy(np.dtype("l")), bool: of_numpy(np.dtype("?")),
                complex: of_numpy(np.dtype("D"))}  # fmt: skip


class Absent:
    """Stands for a required argument that was not given."""


ABSENT = Absent()


class Parser:
    """Calls `function` with its arguments as torch's parser would hand them over. TypeError where they do not fit."""

    call: Any

    def __init__(self, function: Function) -> None:
        self.function = function

    def first(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The first call, which gives `call` the code that is written out for this function."""
        self.parameters = parameters = list(inspect.signature(self.function).parameters.values())
        self.names = {parameter.name for parameter in parameters}
        names: dict[str, Any] = {}
        exec(compile(text_of(parameters), f"<arguments of {self.function.__name__}>", "exec"), globals(), names)
        defaults = [(p.name, ABSENT if p.default is p.empty else p.default, p.kind is p.KEYWORD_ONLY) for p in parameters]
        self.call.__defaults__ = tuple([value for _, value, keyword in defaults if not keyword])
        self.call.__kwdefaults__ = {name: value for name, value, keyword in defaults if keyword}
        self.call.__code__ = names["make"](self.function, self).__code__
        return self.call(*args, **kwargs)

    def resolve(self, values: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The call with names and values put right."""
        given = {p.name: value for p, value in zip(self.parameters, values) if value is not ABSENT}
        if any([hasattr(type(value), "__torch_function__") and not isinstance(value, Tensor) for value in given.values()]):
            return self.function(**given, **named)
        for other in [name for name in named if name in OTHER_NAMES]:
            meant = OTHER_NAMES[other]
            default = next((p.default for p in self.parameters if p.name == meant), None)
            if meant in self.names and given.get(meant, default) is default:
                given[meant] = named.pop(other)
        for position, parameter in enumerate(self.parameters, 1):
            name = parameter.name
            if name in given and given[name] is not parameter.default:
                given[name] = self.fitted(given[name], kind_of(parameter), parameter, position)
        positional = [p.name for p in self.parameters if p.kind is not p.KEYWORD_ONLY]
        first = [name for name in positional if name in given]
        if first != positional[: len(first)]:
            return self.function(**given, **named)
        return self.function(*[given.pop(name) for name in first], **given, **named)

    def fitted(self, value: Any, kind: str, parameter: inspect.Parameter, position: int) -> Any:
        """`value` as an argument of this kind."""
        if kind not in FIT or (value is None and optional(parameter)):
            return value
        fits, called = FIT[kind]
        found = fits(value)
        if found is NotImplemented:
            at = "" if parameter.kind is parameter.KEYWORD_ONLY else f" (position {position})"
            named = f"{self.function.__name__}(): argument '{parameter.name}'{at}"
            raise TypeError(f"{named} must be {called}, not {type_name(value)}")
        return found


def parsed(function: Function) -> Function:
    """`function` with torch's names and checks of arguments. One that takes its arguments as they come is left alone."""
    if getattr(function, "spread", False):
        return function
    parser = Parser(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        function  # noqa: B018 - the code that replaces this one has the same free variables
        return parser.first(args, kwargs)

    parser.call = call
    return call


def text_of(parameters: list[inspect.Parameter]) -> str:
    """The text of a call::

    def call(input, dim, keepdim, *, dtype, **named_otherwise):
        if named_otherwise or not isinstance(input, Tensor) or dim.__class__ is not int or ...:
            return parser.resolve((input, dim, keepdim, dtype), named_otherwise)
        return function(input, dim, keepdim, dtype=dtype)
    """
    listed, handed, starred = [], [], False
    for parameter in parameters:
        keyword = parameter.kind is parameter.KEYWORD_ONLY
        if keyword and not starred:
            listed.append("*")
            starred = True
        listed.append(f"{parameter.name}=None")
        handed.append(f"{parameter.name}={parameter.name}" if keyword else parameter.name)
    doubts = ["named_otherwise", *[doubt for p in parameters if (doubt := doubt_about(p))]]
    values = "".join([f"{p.name}, " for p in parameters])
    return (
        f"def make(function, parser):\n def call({', '.join([*listed, '**named_otherwise'])}):\n"
        f"  if {' or '.join(doubts)}: return parser.resolve(({values}), named_otherwise)\n"
        f"  return function({', '.join(handed)})\n return call"
    )


QUICK = {
    "Tensor": "not isinstance({0}, Tensor)",
    "Tensor | Number": "{0}.__class__ is not float and {0}.__class__ is not int and not isinstance({0}, Tensor)",
    "bool": "{0} is not True and {0} is not False",
    "int": "{0}.__class__ is not int",
    "float": "{0}.__class__ is not float and {0}.__class__ is not int",
    "Number": "{0}.__class__ is not float and {0}.__class__ is not int",
    "str": "{0}.__class__ is not str",
    "dtype": "{0}.__class__ is not dtype",
    "Generator": "{0}.__class__ is not Generator",
}
"""What makes the value of a parameter worth a closer look, by its annotation."""


def doubt_about(parameter: inspect.Parameter) -> str | None:
    """The condition under which the value of `parameter` takes the long way. None if it never does."""
    name, kind = parameter.name, kind_of(parameter)
    if kind not in QUICK:
        return f"{name} is ABSENT" if parameter.default is parameter.empty else None
    condition = QUICK[kind].format(name)
    return f"({name} is not None and {condition})" if optional(parameter) else f"({condition})"


def kind_of(parameter: inspect.Parameter) -> str:
    """The annotation without what says that it is optional, and without modules."""
    return str(parameter.annotation).replace(" | None", "").replace("builtins.", "").replace("DType", "dtype")


def optional(parameter: inspect.Parameter) -> bool:
    return "None" in str(parameter.annotation) or parameter.default is None


# ------------------------------------------------------------------------------------------------ what fits


def single(value: Any, kinds: str) -> Any:
    """The number in a 0-d tensor that needs no gradient and whose type is of the `kinds`; NotImplemented for anything else."""
    if isinstance(value, Tensor) and not value._array.ndim and value._array.dtype.kind in kinds and not value.requires_grad:
        return value._array[()].item()
    return NotImplemented


def as_tensor(value: Any) -> Any:
    return value if isinstance(value, Tensor) else NotImplemented


def as_operand(value: Any) -> Any:
    return value if isinstance(value, (Tensor, bool, int, float, complex, np.number, np.bool_)) else NotImplemented


def as_bool(value: Any) -> Any:
    return bool(value) if isinstance(value, (bool, np.bool_)) else NotImplemented


def as_int(value: Any) -> Any:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    return single(value, "iu")


def as_float(value: Any) -> Any:
    return value if isinstance(value, (int, float, np.floating, np.integer)) else single(value, "biuf")


def as_number(value: Any) -> Any:
    return value if isinstance(value, (int, float, complex, np.number, np.bool_)) else single(value, "biufc")


def as_str(value: Any) -> Any:
    return value if isinstance(value, str) else NotImplemented


def as_dtype(value: Any) -> Any:
    if isinstance(value, dtype):
        return value
    return PYTHON_TYPES.get(value, NotImplemented) if isinstance(value, type) else NotImplemented


def as_generator(value: Any) -> Any:
    return value if isinstance(value, Generator) else NotImplemented


FIT: dict[str, tuple[Callable[[Any], Any], str]] = {
    "Tensor": (as_tensor, "Tensor"),
    "Tensor | Number": (as_operand, "Tensor"),
    "bool": (as_bool, "bool"),
    "int": (as_int, "int"),
    "float": (as_float, "float"),
    "Number": (as_number, "Number"),
    "str": (as_str, "str"),
    "dtype": (as_dtype, "torch.dtype"),
    "Generator": (as_generator, "torch.Generator"),
}
"""For each annotation what an argument becomes, NotImplemented where it does not fit, and how messages call the type."""
