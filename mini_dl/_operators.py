"""Operators that programs define: their names, implementations and derivatives, and their namespace ``torch.ops``.

An operator runs the function registered for the CPU. Its derivative is the registered one; without one, a backward pass
through it raises.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import mini_dl as torch
from mini_dl._aten import NAMES
from mini_dl.autograd.function import Function
from mini_dl.autograd.mode import no_grad
from mini_dl.tensor import Tensor

Kernel = Callable[..., Any]

COMPOSITE = ("CompositeImplicitAutograd", "Autograd", "AutogradCPU")
ON_CPU = ("CPU", "cpu", "CompositeExplicitAutograd", "default", "")

OPERATORS: dict[str, Operator] = {}
"""By qualified name, ``namespace::name`` or ``namespace::name.overload``."""


# ------------------------------------------------------------------------------------------------ schemas

SCHEMA = re.compile(r"(?:(?P<name>[\w:.]+)\s*)?\((?P<arguments>.*)\)\s*->\s*(?P<returned>.*)", re.DOTALL)
ARGUMENT = re.compile(r"(?P<type>.+?)\s+(?P<name>\w+)(?:\s*=\s*(?P<default>.+))?", re.DOTALL)


@dataclass(frozen=True)
class Schema:
    """The arguments of an operator: name, type and default of each, and which are mutated."""

    text: str
    signature: inspect.Signature
    types: dict[str, str]
    written: tuple[str, ...]


def split_arguments(text: str) -> list[str]:
    """The arguments of a schema, which are separated by commas outside brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def parsed_schema(text: str) -> tuple[str, Schema]:
    """The name in a schema such as ``f(Tensor x, int n=1) -> Tensor``, and its arguments."""
    found = SCHEMA.fullmatch(text.strip())
    if found is None:
        raise RuntimeError(f"cannot read the schema of an operator: {text!r}")
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters, types, written = [], {}, []
    for part in split_arguments(found["arguments"]):
        if part == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
            continue
        argument = ARGUMENT.fullmatch(part)
        if argument is None:
            raise RuntimeError(f"cannot read the argument {part!r} of the schema {text!r}")
        name = argument["name"]
        types[name] = re.sub(r"\(\w+!?\)", "", argument["type"])
        if "!" in argument["type"]:
            written.append(name)
        given = argument["default"]
        default = inspect.Parameter.empty if given is None else _default(given.strip())
        parameters.append(inspect.Parameter(name, kind, default=default))
    return found["name"] or "", Schema(text, inspect.Signature(parameters), types, tuple(written))


def _default(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text.strip('"')


# ------------------------------------------------------------------------------------------------ operators


@dataclass
class Operator:
    """One operator, or one overload of it."""

    name: str
    schema: Schema
    kernel: Kernel | None = None
    composite: Kernel | None = None
    fake: Kernel | None = None
    backward: Kernel | None = None
    setup_context: Kernel | None = None
    apart: bool = False  # its results may not be its arguments
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self.bound(args, kwargs)
        if self.composite is not None and self.backward is None:
            return self.composite(*bound.args, **bound.kwargs)
        values = (*bound.args, *bound.kwargs.values())
        if torch.is_grad_enabled() and any([_requires_grad(value) for value in values]):
            return _recorded(self, bound)
        with no_grad():
            return self.run(*bound.args, **bound.kwargs)

    def bound(self, args: tuple[object, ...], kwargs: dict[str, object]) -> inspect.BoundArguments:
        """The arguments by name, with defaults. RuntimeError if they do not match the schema."""
        try:
            bound = self.schema.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise RuntimeError(
                f"{self.name}() got arguments that do not fit: {error}. Declaration: {self.name}{self.declared()}"
            ) from None
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            if self.schema.types.get(name) == "Tensor" and not isinstance(value, Tensor):
                raise RuntimeError(
                    f"{self.name}() Expected a value of type 'Tensor' for argument '{name}' but instead found type "
                    f"'{type(value).__name__}'."
                )
        return bound

    def declared(self) -> str:
        text = self.schema.text
        return text[text.index("(") :]

    def run(self, *args: object, **kwargs: object) -> Any:
        """The result of the function for the CPU."""
        kernel = self.kernel or self.composite
        if kernel is None:
            raise NotImplementedError(
                f"Could not run '{self.name}' with arguments from the 'CPU' backend: no function was registered for it."
            )
        result = kernel(*args, **kwargs)
        if self.apart:
            outs = result if isinstance(result, (tuple, list)) else (result,)
            given = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
            if any([out is value for out in outs for value in given]):
                raise RuntimeError(
                    f"{self.name}: The output of this custom operator must not also be an input to this custom operator. "
                    "Return a "
                    "clone of it instead."
                )
        return result


def _requires_grad(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return any([_requires_grad(one) for one in value])
    return isinstance(value, Tensor) and value.requires_grad


class _Call(Function):
    """One call of an operator through which gradients flow: ``apply(operator, bound, *values)``."""

    @staticmethod
    def forward(ctx: Any, operator: Operator, bound: Any, *values: Any) -> Any:
        for name, value in zip(bound.arguments, values):
            bound.arguments[name] = value
        result = operator.run(*bound.args, **bound.kwargs)
        ctx._operator_called = operator, len(values)  # a name that the program's functions do not use
        if operator.setup_context is not None:
            keywords = {"keyword_only_inputs": bound.kwargs} if bound.kwargs else {}
            operator.setup_context(ctx=ctx, inputs=tuple(bound.args), output=result, **keywords)
        return result

    @staticmethod
    def backward(ctx: Any, *grads: object) -> Any:
        operator, count = ctx._operator_called
        if operator.backward is None:
            raise RuntimeError(
                f"Trying to backward through {operator.name.replace('::', '.')}.default but no autograd formula was registered. "
                "Please use register_autograd to add one."
            )
        found = operator.backward(ctx, *grads)
        found = found if isinstance(found, tuple) else (found,)
        return None, None, *found, *([None] * (count - len(found)))


def _recorded(operator: Operator, bound: inspect.BoundArguments) -> Any:
    if any([isinstance(value, (list, tuple)) and _requires_grad(value) for value in bound.arguments.values()]):
        return _recorded_lists(operator, bound)
    return shown_as(operator, _Call.apply(operator, bound, *bound.arguments.values()))


def shown_as(operator: Operator, result: object) -> Any:
    """`result`, whose node has the name of the operator."""
    first = next((one for one in (result if isinstance(result, (tuple, list)) else [result]) if isinstance(one, Tensor)), None)
    node = None if first is None else first.grad_fn
    kind: Any = type(node)
    if node is not None and kind._forward_cls is not None:
        node.__class__ = node_class(kind, operator.name)
    return result


@functools.cache
def node_class(before: Any, name: str) -> type:
    """The class of the nodes of an operator."""
    return type(f"GeneratedBackwardFor_{name.replace('::', '_').replace('.', '_')}_defaultBackward", (before,), {})


def _recorded_lists(operator: Operator, bound: inspect.BoundArguments) -> Any:
    """The same if a list of tensors is among the arguments: its gradient is a list."""
    flat, form = [], []
    for value in bound.arguments.values():
        several = isinstance(value, (list, tuple))
        form.append((type(value), len(value)) if several else None)
        flat += list(value) if several else [value]

    def gathered(values: Any) -> list[Any]:
        left = list(values)
        return [left.pop(0) if one is None else [left.pop(0) for _ in range(one[1])] for one in form]

    class Lists(Function):
        @staticmethod
        def forward(ctx: Any, *values: Any) -> Any:
            for name, value in zip(bound.arguments, gathered(values)):
                bound.arguments[name] = value
            result = operator.run(*bound.args, **bound.kwargs)
            ctx._operator_called = operator, len(form)
            if operator.setup_context is not None:
                operator.setup_context(ctx=ctx, inputs=tuple(bound.args), output=result)
            return result

        @staticmethod
        def backward(ctx: object, *grads: object) -> Any:
            found = _Call.backward(ctx, *grads)[2:]
            spread: list[Any] = []
            for grad, one in zip(found, form):
                spread += [grad] if one is None else list(grad) if grad is not None else [None] * one[1]
            return tuple(spread)

    return shown_as(operator, Lists.apply(*flat))


def defined(name: str, schema: str) -> Operator:
    """A new operator. RuntimeError if there is one of this name."""
    if name in OPERATORS:
        raise RuntimeError(
            f"Tried to register an operator ({name}{schema[schema.index('(') :]}) with the same name and overload name "
            "multiple times. Each overload's "
            "schema should only be registered with a single call to def()."
        )
    OPERATORS[name] = Operator(name, parsed_schema(schema)[1])
    return OPERATORS[name]


def operator_of(name: object) -> Operator:
    """The operator of a qualified name, or the one of an object. RuntimeError if there is none."""
    found = getattr(name, "_operator", None)
    if found is not None:
        return found
    text = (
        str(name).removesuffix(".default").replace(".", "::", 1) if "::" not in str(name) else str(name).removesuffix(".default")
    )
    if text not in OPERATORS:
        raise RuntimeError(f"operator {text} does not exist")
    return OPERATORS[text]


# ------------------------------------------------------------------------------------------------ torch.ops


class Overload:
    """``torch.ops.namespace.name.overload``"""

    def __init__(self, text: str, function: Kernel, operator: Operator | None = None) -> None:
        self._text, self._function, self._operator = text, function, operator
        self.__name__ = text.partition(".")[2]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        op, _, overload = self._text.rpartition(".")
        return f"<OpOverload(op='{op}', overload='{overload}')>"

    def name(self) -> str:
        """``namespace::name``, with the overload unless it is the default one."""
        return self._text.replace(".", "::", 1).removesuffix(".default")


class Packet:
    """``torch.ops.namespace.name``: all overloads of an operator."""

    def __init__(self, text: str, function: Kernel, overloads: dict[str, Any]) -> None:
        self._text, self._function, self._overloads = text, function, overloads
        self.__name__ = text.partition(".")[2]
        self._operator = overloads.get("default")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self._overloads:
            raise AttributeError(f"The underlying op of '{self._text}' has no overload name '{name}'")
        found = self._overloads[name]
        operator = found if isinstance(found, Operator) else None
        overload = Overload(f"{self._text}.{name}", found, operator)
        vars(self)[name] = overload
        return overload

    def overloads(self) -> list[str]:
        """The names of the overloads."""
        return list(self._overloads)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self._text}')>"


OVERLOADS = (
    "default Tensor Scalar int dim dim_IntList self dtype out start start_step Tensor_Scalar Tensor_Tensor Tensor_mode "
    "Scalar_mode stable "
    "input size mode sizes list names float other memory_format using_ints Dimname correction indices"
).split()
"""Overloads of torch's own operators; here the arguments determine them."""


class Namespace:
    """``torch.ops.namespace``: operators that programs defined, and for ``aten`` the functions of torch of the same name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> Any:
        key = f"{self.name}::{name}"
        overloads: dict[str, Any] = {
            other.rpartition(".")[2]: one for other, one in OPERATORS.items() if other.startswith(key + ".")
        }
        if key in OPERATORS:
            overloads["default"] = OPERATORS[key]
        if overloads:
            packet = Packet(f"{self.name}.{name}", overloads.get("default", next(iter(overloads.values()))), overloads)
        else:
            packet = self._known(name)
        vars(self)[name] = packet
        return packet

    def _known(self, name: str) -> Any:
        function = aten(name) if self.name == "aten" and not name.startswith("__") else None
        if function is None and self.name == "aten" and name in NAMES_ONLY | OPERATORS_BEHIND:
            function = functools.partial(refuse, name)
        if function is not None:
            return Packet(f"aten.{name}", function, dict.fromkeys(OVERLOADS, function))
        raise AttributeError(f"'_OpNamespace' '{self.name}' object has no attribute '{name}'")

    def __repr__(self) -> str:
        return f"<module 'torch.ops.{self.name}'>"


NAMES_ONLY = frozenset(
    "_assert_async _assert_scalar _assert_tensor_metadata _conj _embedding_bag _fft_c2c _fft_c2r _fft_r2c _grouped_mm "
    "_is_all_true "
    "_local_scalar_dense _log_softmax _native_batch_norm_legit _pin_memory _reshape_alias _softmax _sparse_addmm "
    "_sparse_mm_reduce_impl _to_copy _unsafe_view alias convolution_backward index lift_fresh slice sym_constrain_range_for_size "
    "sym_size".split()
)
"""Operators of torch without a function of the same name, which packages use as keys of tables."""


OPERATORS_BEHIND = frozenset(name.partition(".")[0] for name in NAMES.values()) | frozenset(
    "_scaled_dot_product_flash_attention _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention "
    "_scaled_dot_product_attention_math _flash_attention_forward _efficient_attention_forward".split()
)
"""Operators that are mentioned by functions that depend on the operator."""


def overload(space: str, name: str, which: str) -> Overload:
    """``torch.ops.space.name.which``, including operators that only have a name."""
    found = namespace(space)
    packet = getattr(found, name, None)
    if packet is None:
        packet = Packet(f"{space}.{name}", functools.partial(refuse, name), {})
        vars(found)[name] = packet
    if which not in packet._overloads:
        packet._overloads[which] = packet._function
    return getattr(packet, which)


def refuse(name: str, *args: object, **kwargs: object) -> NoReturn:
    """The call of an operator that only has a name here: NotImplementedError."""
    raise NotImplementedError(f"mini_dl has no torch.ops.aten.{name} (use the functions of torch; see docs/coverage.md)")


def aten(name: str) -> Kernel | None:
    """The function of torch equivalent to the operator of this name, if there is one."""
    if name.startswith("_"):
        return None
    for place in (torch, torch.nn.functional, torch.special):
        found = vars(place).get(name)
        if callable(found) and not inspect.isclass(found):
            return found
    for prefix, place in (("linalg_", torch.linalg), ("special_", torch.special), ("fft_", torch.fft)):
        if name.startswith(prefix) and callable(getattr(place, name[len(prefix) :], None)):
            return getattr(place, name[len(prefix) :])
    method = getattr(Tensor, name, None)
    return method if inspect.isroutine(method) else None


NAMESPACES: dict[str, Namespace] = {}


def namespace(name: str) -> Namespace:
    """``torch.ops.name``"""
    if name not in NAMESPACES:
        NAMESPACES[name] = Namespace(name)
    return NAMESPACES[name]


def load_library(path: str) -> NoReturn:
    """OSError: operators in compiled libraries are not supported."""
    raise OSError(f"{path}: torch.ops.load_library is not here: mini_dl has no operators in compiled libraries")


loaded_libraries: set[str] = set()
