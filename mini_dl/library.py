"""Defining operators: ``torch.library``. They are called as ``torch.ops.namespace.name`` and run as plain Python."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

from mini_dl import _dtypes
from mini_dl._device import device as Device
from mini_dl._operators import (
    COMPOSITE,
    ON_CPU,
    OPERATORS,
    Kernel,
    Operator,
    Packet,
    defined,
    namespace,
    operator_of,
    parsed_schema,
)
from mini_dl.tensor import Tensor

__all__ = [
    "CustomOpDef", "Library", "custom_op", "define", "fallthrough_kernel", "get_ctx", "impl", "impl_abstract", "infer_schema",
    "register_autocast", "register_autograd", "register_fake", "register_kernel", "register_torch_dispatch", "register_vmap",
]  # fmt: skip


def fallthrough_kernel(*args: object, **kwargs: object) -> Any:
    """The placeholder for "no function": it cannot be called."""
    raise NotImplementedError("fallthrough_kernel() should never be called.")


def get_ctx() -> Any:
    """RuntimeError: functions for tensors without data are never called here."""
    raise RuntimeError("get_ctx() can only be called inside a function that register_fake was given, while it is traced")


# ------------------------------------------------------------------------------------------------ schemas

NAMES: dict[Any, str] = {
    Tensor: "Tensor", int: "SymInt", float: "float", bool: "bool", str: "str", _dtypes.dtype: "ScalarType", Device: "Device",
    complex: "complex",
}  # fmt: skip


def _type(annotation: object, name: str, signature: object) -> str:
    """The name of a type in a schema."""
    if annotation in NAMES:
        return NAMES[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        rest = [one for one in inner if one is not type(None)]
        if set(rest) == {int, float, bool}:
            return "Scalar" + ("?" if len(rest) < len(inner) else "")
        if len(rest) == 1 and len(rest) < len(inner):
            return _type(rest[0], name, signature) + "?"
    if origin in (list, Sequence, typing.Sequence) and len(inner) == 1:
        return _type(inner[0], name, signature) + "[]"
    raise ValueError(
        f"infer_schema(func): Parameter {name} has unsupported type {annotation}. Got func with signature {signature})"
    )


def infer_schema(prototype_function: Callable[..., Any], /, *, mutates_args: Any, op_name: str | None = None) -> str:
    """The schema of a function, from its annotations. ValueError if they are missing or have no name in a schema.

    >>> import mini_dl as torch
    >>> def f(x: torch.Tensor, n: int = 1) -> torch.Tensor: ...
    >>> torch.library.infer_schema(f, mutates_args=())
    '(Tensor x, SymInt n=1) -> Tensor'
    """
    signature = inspect.signature(prototype_function)
    hints = typing.get_type_hints(prototype_function)
    parts: list[str] = []
    changed = 0
    unknown = mutates_args == "unknown"
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        if parameter.annotation is parameter.empty:
            raise ValueError(
                f"infer_schema(func): Parameter {name} must have a type annotation. Got func with signature {signature})"
            )
        kind = _type(hints[name], name, signature)
        if (unknown and kind.startswith("Tensor")) or (not unknown and name in mutates_args):
            kind = f"Tensor(a{changed}!){kind[len('Tensor') :]}"
            changed += 1
        default = parameter.default
        if default is not parameter.empty and not isinstance(default, (int, float, bool, str, type(None), _dtypes.dtype)):
            raise ValueError(
                f"infer_schema(func): Parameter {name} has an unsupported default value type {type(default)}. Got func with "
                "signature "
                f"{signature})"
            )
        text = f'"{default}"' if isinstance(default, str) else str(default)
        parts.append(f"{kind} {name}" + ("" if default is parameter.empty else f"={text}"))
    missing = set(() if unknown else mutates_args) - set(signature.parameters)
    if missing:
        raise ValueError(
            f"infer_schema(func): {missing} in mutates_args were not found in the custom op's signature. mutates_args "
            "should contain "
            "the names of all args that the custom op mutates, or just the string 'unknown' if you don't know. Got func with "
            f"signature {signature})"
        )
    returned = hints.get("return", type(None) if signature.return_annotation is None else None)
    if returned is type(None):
        result = "()"
    elif typing.get_origin(returned) is tuple:
        result = f"({', '.join(_type(one, 'return', signature) for one in typing.get_args(returned))})"
    elif returned is None:
        raise ValueError(f"infer_schema(func): No return type annotation was provided. Got func with signature {signature})")
    else:
        result = _type(returned, "return", signature)
    return f"{op_name or ''}({', '.join(parts)}) -> {result}"


# ------------------------------------------------------------------------------------------------ custom_op


class CustomOpDef:
    """The result of `custom_op`: calling it runs the operator."""

    def __init__(self, space: str, name: str, schema: str, fn: Kernel) -> None:
        self._namespace, self._name, self._init_fn = space, name, fn
        self._qualname = f"{space}::{name}"
        OPERATORS.pop(self._qualname, None)  # a program or notebook may redefine it
        vars(namespace(space)).pop(name, None)
        self._operator = defined(self._qualname, schema)
        self._operator.apart = True
        functools.update_wrapper(self, fn, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._operator(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    @property
    def _opoverload(self) -> Any:
        return getattr(namespace(self._namespace), self._name).default

    def register_kernel(self, device_types: object, fn: Kernel | None = None, /) -> Any:
        """Run this function for tensors of a device; those for other devices than the CPU are never called."""
        return register_kernel(self, device_types, fn)

    def register_fake(self, fn: Kernel, /) -> Kernel:
        """The function for tensors without data, which is stored but not called."""
        self._operator.fake = fn
        return fn

    register_torch_dispatch = register_vmap = lambda self, *args, **kwargs: _dispatch_mode_rule(*args)

    def register_autograd(self, backward: Kernel, /, *, setup_context: Kernel | None = None) -> None:
        """The derivative: ``backward(ctx, *grads)``, after ``setup_context(ctx, inputs, output)``."""
        register_autograd(self, backward, setup_context=setup_context)

    def register_autocast(self, device_type: str, cast_inputs: object) -> Any:
        """Accepted without effect: the operator takes its arguments unchanged."""
        return lambda fn: fn


def custom_op(
    name: str, fn: Kernel | None = None, /, *, mutates_args: object, device_types: Any = None, schema: str | None = None,
    tags: object = None,
) -> Any:  # fmt: skip
    """Define an operator ``torch.ops.namespace.name`` from a function with annotations. `name` is ``namespace::name``.

    >>> import mini_dl as torch
    >>> @torch.library.custom_op("example::twice", mutates_args=())
    ... def twice(x: torch.Tensor) -> torch.Tensor:
    ...     return x * 2
    >>> torch.ops.example.twice(torch.ones(2))
    tensor([2., 2.])
    """

    def make(function: Kernel) -> CustomOpDef:
        space, short = name.split("::")
        made = CustomOpDef(space, short, schema or infer_schema(function, mutates_args=mutates_args), function)
        if device_types is None or "cpu" in ([device_types] if isinstance(device_types, str) else device_types):
            made._operator.kernel = function
        return made

    return make if fn is None else make(fn)


def _dispatch_mode_rule(*args: Any) -> Any:
    """A function for a mode of torch's dispatcher: it is never called here."""
    fn = next((one for one in args if callable(one) and not isinstance(one, type)), None)
    return fn if fn is not None else lambda function: function


# ------------------------------------------------------------------------------------------------ functions


def register_kernel(op: Any, device_types: Any, func: Kernel | None = None, /, *, lib: Any = None) -> Any:
    """Run `func` for an operator's tensors on a device ("cpu"; None: any). A decorator without it."""
    if func is None:
        return functools.partial(register_kernel, op, device_types)
    names = [device_types] if isinstance(device_types, str) else device_types
    if names is None or "cpu" in names or "default" in names:
        operator_of(op).kernel = func
    return func


def register_autograd(op: object, backward: Kernel, /, *, setup_context: Kernel | None = None, lib: object = None) -> None:
    """Set the derivative of an operator: ``backward(ctx, *grads)``, after ``setup_context(ctx, inputs, output)``."""
    operator = operator_of(op)
    operator.backward, operator.setup_context = backward, setup_context


def register_fake(
    op: object, func: Kernel | None = None, /, *, lib: object = None, _stacklevel: int = 1, allow_override: bool = False
) -> Any:
    """Store a function for tensors without data; it is not called. A decorator without `func`."""
    if func is None:
        return functools.partial(register_fake, op)
    found = OPERATORS.get(op) if isinstance(op, str) else operator_of(op)
    if found is not None:
        found.fake = func
    return func


impl_abstract = register_fake


def register_vmap(op: object, func: Kernel | None = None, /, *, lib: object = None) -> Any:
    """Store a function for ``torch.vmap``; it is not called. A decorator without `func`."""
    return func if func is not None else lambda function: function


def register_torch_dispatch(
    op: object, torch_dispatch_class: object, func: Kernel | None = None, /, *, lib: object = None
) -> Any:
    """Store a function for a mode of torch's dispatcher; it is not called. A decorator without `func`."""
    return func if func is not None else lambda function: function


def register_autocast(op: object, device_type: str, cast_inputs: object, /, *, lib: object = None) -> None:
    """Accepted without effect: the operator takes its arguments unchanged."""


def define(qualname: Any, schema: Any, *rest: Any, lib: object = None, tags: object = ()) -> Any:
    """Define an operator by its qualified name and schema: ``define("space::f", "(Tensor x) -> Tensor")``.

    In its older form, ``define(library, "f(Tensor x) -> Tensor")``, a decorator for the function of the operator.
    """
    if isinstance(qualname, Library):
        name = qualname.define(schema, *rest)

        def wrap(fn: Kernel) -> Kernel:
            qualname.impl(name, fn, "CompositeImplicitAutograd")
            return fn

        return wrap
    if "::" not in qualname:
        raise ValueError(f"define(qualname, ...): expected qualname to look like 'namespace::name', but got {qualname}")
    defined(qualname, schema)
    return None


def impl(qualname: Any, types: Any, func: Any = None, *, lib: object = None) -> Any:
    """Set the function of an operator for devices: ``impl("space::f", "cpu", f)``, or as a decorator.

    In its older form, ``impl(library, "f", key)``, a decorator.
    """
    if isinstance(qualname, Library):

        def wrap(fn: Kernel) -> Kernel:
            qualname.impl(types, fn, func or "")
            return fn

        return wrap
    return register_kernel(qualname, types, func)


class Library:
    """Operators of a namespace: "DEF" creates it, "FRAGMENT" adds to it, "IMPL" registers functions for one key."""

    _begun: typing.ClassVar[set[str]] = set()

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError(f"Unsupported kind: {kind}")
        if kind == "DEF" and ns in Library._begun:
            raise RuntimeError(f"Only a single TORCH_LIBRARY can be used to register the namespace {ns}; please put all of your definitions in a single TORCH_LIBRARY block.")  # fmt: skip  # noqa: E501
        if kind == "DEF":
            Library._begun.add(ns)
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def __repr__(self) -> str:
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})>"

    def define(self, schema: str, alias_analysis: str = "", *, tags: object = ()) -> str:
        """Define an operator, such as ``f(Tensor x) -> Tensor``, and return its name."""
        name, _ = parsed_schema(schema)
        defined(f"{self.ns}::{name}", schema)
        vars(namespace(self.ns)).pop(name.partition(".")[0], None)
        return name

    def impl(
        self, op_name: object, fn: Kernel, dispatch_key: str = "", *, with_keyset: bool = False, allow_override: bool = False
    ) -> None:
        """Set the function of an operator for a key: the CPU, all devices, or the autograd key.

        Functions for other keys ("Meta", "CUDA" ...) are never called.
        """
        key = dispatch_key or self.dispatch_key or "CompositeImplicitAutograd"
        name = op_name if isinstance(op_name, str) else operator_of(op_name).name
        operator = operator_of(name if "::" in name else f"{self.ns}::{name}")
        if key in COMPOSITE:
            operator.composite = fn
        elif key in ON_CPU:
            operator.kernel = fn

    def fallback(self, fn: Kernel, dispatch_key: str = "", *, with_keyset: bool = False) -> None:
        """Accepted without effect: there is no dispatcher."""

    def _register_fake(self, op_name: str, fn: Kernel, *args: object, **kwargs: object) -> None:
        register_fake(f"{self.ns}::{op_name}", fn)


def get_operator(name: str) -> Operator | Packet:
    """The operator of a qualified name."""
    return operator_of(name)
