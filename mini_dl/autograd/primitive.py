"""Declaring primitives: a NumPy forward and, above it, one formula per differentiable argument.

>>> import numpy as np
>>> from mini_dl.autograd.primitive import unary
>>> @unary(input=lambda grad, result: grad * result)
... def exp(input):
...     return np.exp(input)

Forward bodies see arrays; formulas see Tensors, so derivatives of any order follow. A formula asks by parameter name for what it
needs: `grad` first (`grads`, a list with None for outputs without gradient, where there are several outputs), then any of the
arguments, `<argument>_shape`, or `result`. What no formula of a wanted gradient asks for is not kept.

Where one kernel gives the gradients of several arguments, `op_together` takes one formula of all of them.

The engine sums each gradient to the shape of the argument and casts it to its type: formulas never undo a broadcast or a
promotion.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from mini_dl._checks import broadcast_shapes, type_name
from mini_dl._dtypes import Array, is_number, number_as, promote, wide
from mini_dl.autograd.formal import formal, primitive_of
from mini_dl.autograd.graph import FREED, INFERENCE, NO_GRAD, Node, SeveralNode, edge_of, restore, save, save_result, show_saved
from mini_dl.autograd.mode import mode
from mini_dl.kernels.room import is_refusal, run_beside
from mini_dl.overrides import ask_operator, overrides
from mini_dl.tensor import LEAF, Tensor, inference, new, version_of, wrap

ndarray = np.ndarray
Formula = Callable[..., Any]


class Op:
    """A primitive: `forward` maps arrays to arrays; `formulas` give the gradient of each argument, in Tensor terms."""

    call: Any
    runs_without = False
    """Whether `backward` is called where no gradient came: some operations see zeros then."""
    asked: frozenset[str] = frozenset()
    """What the formulas ask for."""
    formal: frozenset[str] = frozenset()
    """The arguments whose gradient depends on them in form only (see `piecewise`)."""
    operators: tuple[Any, Any]  # of a binary one, as special methods of the first operand and of the second

    def __init__(self, forward: Callable[..., Any], formulas: dict[str, Formula], together: bool = False) -> None:
        refuse_order(forward)
        self.forward, self.name, self.together = forward, forward.__name__, together
        self.grad_name = "".join([part.capitalize() for part in self.name.split("_")]) + "Backward0"
        code = inspect.unwrap(forward).__code__
        self.params = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        self.arity = len(self.params)
        self.index = {name: i for i, name in enumerate(self.params)}
        if taken := _TAKEN & set(self.params):
            raise TypeError(f"{self.name}: an argument may not be called {sorted(taken)}")
        known = {"result", *self.params, *(name + "_shape" for name in self.params)}
        self.formulas: list[tuple[int, Formula, tuple[str, ...]]] = []
        for argument, formula in formulas.items():
            code = formula.__code__
            asks = code.co_varnames[: code.co_argcount]
            if argument not in self.index:
                raise TypeError(f"{self.name}() has no argument {argument!r} to differentiate")
            if asks[:1] not in (("grad",), ("grads",)) or (together and asks[1:2] != ("wanted",)):
                first = "`grad` (or `grads`) and `wanted`" if together else "`grad` (or `grads`)"
                raise TypeError(f"{self.name}: the formula of {argument!r} must take {first} first")
            asks = asks[2 if together else 1 :]
            if unknown := set(asks) - known:
                raise TypeError(f"{self.name}: the formula of {argument!r} asks for unknown {sorted(unknown)}")
            if formula.__name__ == "<lambda>":
                formula.__code__ = code.replace(co_name=f"<gradient of {self.name}: {argument}>")
            self.formulas.append((self.index[argument], formula, asks))
        self.asked = frozenset([name for _, _, asks in self.formulas for name in asks])
        for name in self.asked:
            show_saved(name)
        self.wants_input = bool(self.params) and any(self.params[0] in asks for _, _, asks in self.formulas)

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.forward)

    def __repr__(self) -> str:
        return f"<primitive {self.name}{self.signature}>"

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position, defaults filled in. TypeError where the signature does not fit."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}() {error}") from None
        bound.apply_defaults()
        return tuple(bound.arguments.values())

    def first(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The first call, which gives `call` the code that is written out for this primitive."""
        names: dict[str, Any] = {}
        exec(compile(text_of(self), f"<call of {self.name}>", "exec"), globals(), names)
        parameters = self.signature.parameters.values()
        defaults = [(p.name, p.default, p.kind is p.KEYWORD_ONLY) for p in parameters if p.default is not p.empty]
        self.call.__defaults__ = tuple([value for _, value, keyword in defaults if not keyword])
        self.call.__kwdefaults__ = {name: value for name, value, keyword in defaults if keyword}
        self.call.__code__ = names["make"](self).__code__
        return self.call(*args, **kwargs)

    def several(self, args: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Tensor, ...]:
        """The outputs of a call that gave several."""
        outs = tuple([wrap(array_from(self, r)) for r in arrays])
        if mode.enabled:
            self.record(args, outs)
        return outs

    def record(self, args: tuple[Any, ...], outs: tuple[Tensor, ...]) -> None:
        """Make the node of this call, if any differentiable argument needs a gradient."""
        edges: list[Any] = []
        wanted = []
        for i, _, asks in self.formulas:
            value = args[i]
            if isinstance(value, Tensor):
                edge = value._edge
                if edge is LEAF:
                    edge = value
                elif value._base is not None:
                    edge = edge_of(value)
                if edge is not None:
                    wanted.append(asks)
            else:
                edge = edges_of(value)
                if edge is not None:
                    wanted.append(asks)
            edges.append(edge)
        if not wanted:
            return
        saved: dict[str, Any] = {}
        for asks in wanted[:1] if self.together else wanted:
            for name in asks:
                if name in saved:
                    continue
                if name == "result":
                    saved[name] = save_result(outs[0]) if len(outs) == 1 else [save_result(o, i) for i, o in enumerate(outs)]
                elif name in self.index:
                    saved[name] = save(args[self.index[name]])
                else:
                    saved[name] = (shape_of(args[self.index[name[:-6]]]),)
        if len(outs) == 1:
            outs[0]._edge = Node(self, edges, saved, outs[0]._array)
        else:
            node = SeveralNode(self, edges, saved, outs[0]._array)
            node.shape = [o._array.shape for o in outs]
            node.dtype = [o._array.dtype for o in outs]
            for number, out in enumerate(outs):
                if out._array.dtype.kind in "fc":
                    out._edge = (node, number)

    def backward(self, node: Node, grad: Any) -> tuple[Any, ...]:
        """The gradient of each differentiable argument, None where it is not wanted. Made at the first call."""
        setattr(self, "backward", backward_of(self))  # noqa: B010
        return self.backward(node, grad)


def backward_of(primitive: Op) -> Callable[[Node, Any], tuple[Any, ...]]:
    """A function of a node and its gradient: the gradient of each differentiable argument, None where it is not wanted.

    Its text is written out for the primitive, one line per formula, since the loops would cost as much as a small kernel::

        def backward(node, grad):
            saved, edges = node.saved, node.edges
            if saved is None: raise RuntimeError(FREED)
            return (
                None if edges[0] is None else formula0(grad, restore(saved['other'], node)),
                None if edges[1] is None else formula1(grad, restore(saved['input'], node)),
            )
    """
    lines = ["def backward(node, grad):", "  saved, edges = node.saved, node.edges"]
    lines += ["  if saved is None: raise RuntimeError(FREED)", "  return ("]
    names: dict[str, Any] = {"FREED": FREED, "formal": formal, "restore": restore}
    for i, (_, formula, asks) in enumerate(primitive.formulas):
        names[f"formula{i}"] = formula
        arguments = ", ".join([f"restore(saved[{name!r}], node)" for name in asks])
        if primitive.together:
            lines.append(f"    *formula{i}(grad, [edge is not None for edge in edges], {arguments}),")
            break
        gradient = f"formula{i}(grad, {arguments})"
        if primitive.params[primitive.formulas[i][0]] in primitive.formal:
            gradient = f"formal({gradient}, edges[{i}])"
        lines.append(f"    None if edges[{i}] is None else {gradient},")
    exec(compile("\n".join([*lines, "  )"]), f"<backward of {primitive.name}>", "exec"), names)
    return names["backward"]


def text_of(primitive: Op) -> str:
    """The text of a call of the primitive, without loops over its arguments, which would cost as much as a kernel::

    def call(input, weight, flip):
        try: computed = current.enter(primitive.forward, input._array if isinstance(input, Tensor) else array_of(input), ...)
        except RuntimeError as error:  # another kernel of this thread is under way: `room.run`, unrolled
            ...
        if computed.__class__ is not ndarray: ...
        wrapped = new(Tensor)
        wrapped._array = computed
        ...
        if current.enabled:
            edge0 = input._edge ...
            edge1 = weight._edge ...
            if edge0 is not None or edge1 is not None:
                saved = {}
                if edge0 is not None: saved['weight'] = save(weight)
                ...
                wrapped._edge = Node(primitive, (edge0, edge1), saved, computed)
        return wrapped
    """
    params = primitive.params
    listed, starred = [], False
    for name, parameter in primitive.signature.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            listed.append("*")
            starred = True
        listed.append(name if parameter.default is parameter.empty else f"{name}=None")
    arrays = [f"{a}._array if isinstance({a}, Tensor) else {a} if {a}.__class__ in SIMPLE else array_of({a})" for a in params]
    lines = [
        f"def make(primitive):\n def call({', '.join(listed)}):",
        f"  try: computed = current.enter(primitive.forward, {', '.join(arrays)})",
        "  except RuntimeError as error:",
        "   if not is_refusal(error): raise",
        f"   computed = run_beside(primitive.forward, {', '.join(arrays)})",
        "  if computed.__class__ is not ndarray:",
        f"   if isinstance(computed, tuple): return primitive.several(({''.join([name + ', ' for name in params])}), computed)",
        "   computed = array_from(primitive, computed)",
        "  wrapped = new(Tensor)\n  wrapped._array = computed\n  wrapped._edge = wrapped._base = None",
        "  if inference.anywhere and inference.here: wrapped._inference = True",
    ]
    edges = [f"edge{i}" for i in range(len(primitive.formulas))]
    kept: dict[str, list[str]] = {}
    if edges:
        lines.append("  if current.enabled:")
    for edge, (i, _, asks) in zip(edges, primitive.formulas):
        name = params[i]
        lines.append(f"   if isinstance({name}, Tensor):\n    {edge} = {name}._edge")
        lines.append(f"    if {edge} is LEAF: {edge} = {name}\n    elif {name}._base is not None: {edge} = edge_of({name})")
        lines.append(f"   else: {edge} = None if {name} is None else edges_of({name})")
        for ask in asks:
            kept.setdefault(ask, []).append(f"{edge} is not None")
    if edges:
        lines.append(f"   if {' or '.join([edge + ' is not None' for edge in edges])}:\n    saved = {{}}")
        for name, conditions in kept.items():
            item = f"save({name})" if name in primitive.index else f"(shape_of({name[:-6]}),)"
            item = "save_result(wrapped)" if name == "result" else item
            lines.append(f"    if {' or '.join(conditions)}: saved[{name!r}] = {item}")
        lines.append(f"    wrapped._edge = Node(primitive, ({', '.join(edges)},), saved, computed)")
    return "\n".join([*lines, "  return wrapped", " return call"])


SIMPLE = {int, bool, float, str, type(None)}
current = mode  # an argument may be called mode, none has a name that the text uses
_TAKEN = {"Node", "RuntimeError", "SIMPLE", "Tensor", "array_from", "array_of", "computed", "current", "edge_of", "edges_of",
          "error", "inference", "is_refusal", "isinstance", "ndarray", "new", "primitive", "run_beside", "save", "save_result",
          "saved", "shape_of", "wrapped"}  # fmt: skip


def edges_of(value: Any) -> list[Any] | None:
    """The edges of an argument that is no tensor: of the tensors in a list, None if no gradient is wanted."""
    if type(value) not in (list, tuple):
        return None
    edges = [edge_of(v) if isinstance(v, Tensor) else None for v in value]
    return edges if any([e is not None for e in edges]) else None


def array_of(argument: Any) -> Any:
    """What a forward body sees of an argument that is no tensor: of a list, the arrays of the tensors in it."""
    if argument.__class__ is list or argument.__class__ is tuple:
        for one in argument:
            if isinstance(one, Tensor):
                return [a._array if isinstance(a, Tensor) else a for a in argument]
    return argument


def array_from(primitive: Op, computed: Any) -> Array:
    """The array that a forward gave. TypeError unless it is one, or a NumPy scalar."""
    if isinstance(computed, (ndarray, np.generic)):
        return np.asarray(computed)
    kind = type(computed).__name__
    if isinstance(computed, (list, tuple)):
        kind += f" of {', '.join([type(one).__name__ for one in computed[:3]])}"
    raise TypeError(f"{primitive.name}: its forward must return an array, or a tuple of arrays (`op` only), not {kind}")


def shape_of(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return argument._array.shape
    if type(argument) in (list, tuple):
        return [shape_of(a) for a in argument]
    return ()


# ------------------------------------------------------------------------------------------------ decorators


def op(**formulas: Formula) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A primitive of any signature. Keywords name the differentiable arguments."""
    return _primitive(formulas, False)


def op_together(formula: Formula, *arguments: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A primitive of any signature, of which `formula` gives the gradients of all differentiable `arguments`, in this order. It
    takes `wanted`, a list that says which of them are, after `grad`; what is not wanted is ignored."""
    return _primitive(dict.fromkeys(arguments, formula), True)


def _primitive(formulas: dict[str, Formula], together: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(forward: Callable[..., Any]) -> Callable[..., Any]:
        primitive = Op(forward, formulas, together)

        @functools.wraps(forward)
        def call(*args: Any, **kwargs: Any) -> Any:
            return primitive.first(args, kwargs)  # which replaces this code

        primitive.call = call
        return declared(call, primitive)

    return decorate


def declared(call: Any, primitive: Op) -> Callable[..., Any]:
    call.op = primitive
    return call  # type: ignore[no-any-return]


def refuse_order(forward: Any) -> None:
    """TypeError where a decorator of primitives stands above one that must stand above it."""
    name = forward.__name__
    if getattr(forward, "published", False):
        raise TypeError(
            f"{name}: it was published before it became a primitive, so that calls would compute without gradient; the decorator "
            "that publishes (`method`, `public`, ...) must stand above the one that makes the primitive (`op`, `unary`, ...)"
        )
    if hasattr(forward, "op"):
        raise TypeError(f"{name}: it is a primitive already; only one decorator (`op`, `unary`, `binary`, `view`) makes it one")


def recorded_as(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give the nodes of a primitive another name than its own: torch's."""

    def decorate(call: Any) -> Any:
        primitive_of(call, "recorded_as").grad_name = name
        return call

    return decorate


def unary(input: Formula | None = None) -> Callable[[Callable[..., Any]], Callable[..., Tensor]]:
    """An elementwise primitive of one argument. `Op.__call__` and `Op.record` unrolled: small tensors live here."""

    def decorate(forward: Callable[..., Any]) -> Callable[..., Tensor]:
        primitive = Op(forward, {} if input is None else {"input": input})
        asks = primitive.formulas[0][2] if input is not None else ()
        wants_input, wants_result, wants_shape = "input" in asks, "result" in asks, "input_shape" in asks
        differentiable = input is not None

        def call(input: Any) -> Tensor:
            if not isinstance(input, Tensor):
                raise not_a_tensor(primitive, "input", 1, input)
            try:
                array = mode.enter(forward, input._array)
            except RuntimeError as error:
                if not is_refusal(error):
                    raise
                array = run_beside(forward, input._array)
            if array.__class__ is not ndarray:
                array = array_from(primitive, array)
            out: Tensor = new(Tensor)
            out._array = array
            out._edge = out._base = None
            if inference.anywhere and inference.here:
                out._inference = True
            edge = input._edge
            if (edge is not None or input._base is not None) and mode.enabled and differentiable:
                if edge is LEAF:
                    edge = input
                elif input._base is not None:
                    edge = edge_of(input)
                if edge is not None:
                    saved: dict[str, Any] = {}
                    if wants_input:
                        saved["input"] = save(input)
                    if wants_result:
                        saved["result"] = save_result(out)
                    if wants_shape:
                        saved["input_shape"] = (input._array.shape,)
                    out._edge = Node(primitive, (edge,), saved, array)
            return out

        functools.update_wrapper(call, forward)
        return declared(call, primitive)

    return decorate


NEUTRAL = {int, float}
"""Python numbers of these types leave a floating point array as it is."""


CONSTANTS: dict[str, dict[Any, Array]] = {"e": {}, "f": {}, "d": {}}
"""Python numbers as 0-d arrays, by type: NumPy takes twice as long with a number, which it converts at each call."""


def constant(number: Any, dtype: np.dtype[Any]) -> Any:
    """`number` as an array of a floating point type, kept for the next time; the number itself where it is out of range."""
    if number.__class__ is int and not -(2**63) <= number < 2**63:
        wide(number)
    if number == 0 or number != number or abs(number) > 1e4:  # 0 is equal to -0, NaN to nothing
        return number
    array = np.asarray(number, dtype)
    array.flags.writeable = False
    known = CONSTANTS[dtype.char]
    if len(known) < 1000:
        known[number] = array
    return array


class Binary(Protocol):
    """What `binary` makes of a forward."""

    operator: Callable[..., Tensor]
    reflected: Callable[..., Tensor]
    __name__: str

    def __call__(self, input: Any, other: Any) -> Tensor: ...


def binary(
    input: Formula | None = None,
    other: Formula | None = None,
    *,
    numbers: str = "input other",
    promote: Callable[[Any, Any], tuple[Any, Any]] = promote,
) -> Callable[[Callable[..., Any]], Binary]:
    """An elementwise primitive of two arguments, with broadcasting and promotion. `numbers` says which of them (not both at
    once) may be a Python number; `promote` gives both operands the type of the computation where their types differ.

    Its attributes `operator` and `reflected` are the same for use as special methods: the other operand may be a number, and
    they return NotImplemented for anything else.
    """

    def decorate(forward: Callable[..., Any]) -> Binary:
        given = {"input": input, "other": other}
        primitive = Op(forward, {name: formula for name, formula in given.items() if formula is not None})
        by_name = {primitive.params[i]: asks for i, _, asks in primitive.formulas}
        asks_input, asks_other = by_name.get("input"), by_name.get("other")
        in0, other0 = (
            (asks_input is not None and "input" in asks_input),
            (asks_input is not None and "other" in asks_input),
        )
        in1, other1 = (
            (asks_other is not None and "input" in asks_other),
            (asks_other is not None and "other" in asks_other),
        )
        plain = asks_input is not None and asks_other is not None and "result" not in (*asks_input, *asks_other)

        def build(refuse: Callable[..., Any], number_first: bool, number_last: bool) -> Callable[..., Tensor]:
            def call(input: Any, other: Any) -> Tensor:
                to_input = to_other = None
                a: Any
                b: Any
                if isinstance(input, Tensor):
                    a = input._array
                    to_input = input._edge
                    if to_input is LEAF:
                        to_input = input
                    elif input._base is not None:
                        to_input = edge_of(input)
                elif number_first and isinstance(other, Tensor) and is_number(input):
                    a = input
                else:
                    return refuse(primitive, "input", 1, input, call, input, other)
                if isinstance(other, Tensor):
                    b = other._array
                    to_other = other._edge
                    if to_other is LEAF:
                        to_other = other
                    elif other._base is not None:
                        to_other = edge_of(other)
                    if a.__class__ is ndarray:
                        if a.dtype is not b.dtype:
                            a, b = promote(a, b)
                    elif a.__class__ not in NEUTRAL or b.dtype.kind != "f":
                        a, b = promote(a, b)
                    elif a not in CONSTANTS["f"]:
                        a = constant(a, b.dtype)
                elif number_last and other.__class__ in NEUTRAL and a.__class__ is ndarray and a.dtype.kind == "f":
                    b = CONSTANTS[a.dtype.char].get(other)
                    if b is None:
                        b = constant(other, a.dtype)
                elif number_last and is_number(other):
                    a, b = promote(a, other)
                else:
                    return refuse(primitive, "other", 2, other, call, input, other)
                try:
                    array = mode.enter(forward, a, b)
                except RuntimeError as error:
                    if not is_refusal(error):
                        raise
                    array = run_beside(forward, a, b)
                except ValueError:
                    broadcast_shapes(np.shape(a), np.shape(b))
                    raise
                if array.__class__ is not ndarray:
                    array = array_from(primitive, array)
                out: Tensor = new(Tensor)
                out._array = array
                out._edge = out._base = None
                if inference.anywhere and inference.here:
                    out._inference = True
                if (to_input is not None or to_other is not None) and mode.enabled:
                    if not plain:
                        primitive.record((input, other), (out,))
                        return out
                    saved = {}
                    if (in0 and to_input is not None) or (in1 and to_other is not None):
                        saved["input"] = save(input)
                    if (other0 and to_input is not None) or (other1 and to_other is not None):
                        saved["other"] = save(other)
                    out._edge = Node(primitive, (to_input, to_other), saved, array)
                return out

            functools.update_wrapper(call, forward)
            return declared(call, primitive)

        function: Any = build(raise_not_a_tensor, "input" in numbers, "other" in numbers)
        function.operator, function.reflected = build(defer, False, True), swapped(build(defer, True, False))
        primitive.operators = function.operator, function.reflected
        return function

    return decorate


def raise_not_a_tensor(primitive: Op, argument: str, position: int, value: Any, *_: Any) -> Any:
    raise not_a_tensor(primitive, argument, position, value)


def defer(primitive: Op, argument: str, position: int, value: Any, call: Any, input: Any, other: Any) -> Any:
    """What an operator does with a foreign operand: it is left to Python, and so arrays are to NumPy, but for equality, which
    Python would decide by identity."""
    if overrides(value):
        special = primitive.operators[argument == "input"]
        found = [name for name, member in vars(Tensor).items() if member is special and name.startswith("__")]
        name = found[0] if found else primitive.name.lstrip("_")
        return ask_operator(name, input, other) if argument == "other" else ask_operator(name, other, input)
    if isinstance(value, ndarray) and primitive.name in ("eq", "ne") and value.dtype.kind in "biufc":
        return call(input, wrap(value))
    if isinstance(input if argument == "other" else other, Tensor) and not is_number(value):
        return NotImplemented
    raise TypeError(f"descriptor of {primitive.name!r} doesn't apply to a {type_name(value)!r} object")


def swapped(call: Callable[..., Any]) -> Callable[..., Any]:
    def reflected(self: Tensor, other: Any) -> Any:
        return call(other, self)

    return reflected


def view(**formulas: Formula) -> Callable[[Callable[..., Any]], Callable[..., Tensor]]:
    """A primitive whose result looks into its input's memory: one version for both, and writes to either reach the other.

    Where the forward had to copy, the result is an ordinary tensor. `Op.__call__` and `Op.record` unrolled.
    """

    def decorate(forward: Callable[..., Any]) -> Callable[..., Tensor]:
        primitive = Op(forward, formulas)
        asks = primitive.formulas[0][2] if formulas else ()
        kept = [(name, primitive.index[name] - 1) for name in asks if name in primitive.index]
        wants_shape, differentiable, arity = "input_shape" in asks, bool(formulas), primitive.arity - 1

        @functools.wraps(forward)
        def call(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if kwargs or len(args) != arity:
                args = primitive.bind((input, *args), kwargs)[1:]
            if not isinstance(input, Tensor):
                raise not_a_tensor(primitive, "input", 1, input)
            source = input._array
            array = forward(source, *args)
            if array.__class__ is not ndarray:
                array = array_from(primitive, array)
            out: Tensor = new(Tensor)
            out._array = array
            out._edge = out._base = None
            if inference.anywhere and inference.here:
                out._inference = True
            if mode.enabled and differentiable:
                edge = input._edge
                if edge is LEAF:
                    edge = input
                elif input._base is not None:
                    edge = edge_of(input)
                if edge is not None:
                    saved: dict[str, Any] = {name: (args[i],) for name, i in kept}
                    if wants_shape:
                        saved["input_shape"] = (source.shape,)
                    out._edge = Node(primitive, (edge,), saved, array)
            base = array.base
            if (
                base is source
                or (base is not None and base is source.base)
                or not array.size
                or np.may_share_memory(source, array)
            ):
                look_into(input, out)
            return out

        return declared(call, primitive)

    return decorate


def look_into(input: Tensor, out: Tensor) -> None:
    """Mark `out` as a view of the memory of `input`."""
    if input._inference:  # which has no versions: a view of it is another such tensor
        out._inference = True
        return
    if inference.anywhere:
        out._inference = False
    out._base = input if input._base is None else input._base
    out._counter = version = version_of(input)
    out._stamp = version[0]
    if not mode.enabled:
        out._restricted = INFERENCE if inference.anywhere and inference.here else NO_GRAD
    elif input._restricted is not None:
        out._restricted = input._restricted


def number_of(name: str, argument: str, value: Any) -> Any:
    """`value`, or the number in a 0-d tensor. TypeError for anything else."""
    if isinstance(value, Tensor) and not value._array.ndim:
        return value._array.item()
    if not is_number(value):
        raise TypeError(f"{name}(): argument '{argument}' must be Number, not {type_name(value)}")
    return value


def real_number_of(name: str, argument: str, value: Any) -> Any:
    """As `number_of`, of an argument that is a float: TypeError for a complex number, RuntimeError for one in a tensor unless
    its imaginary part is 0."""
    if isinstance(value, complex):
        raise TypeError(f"{name}(): argument '{argument}' must be float, not complex: {value}")
    number = number_of(name, argument, value)
    return number_as(number, np.dtype(np.float64)).item() if isinstance(number, complex) else number


def not_a_tensor(primitive: Any, argument: str, position: int, value: Any) -> TypeError:
    """The error for a `value` that is no tensor; `primitive` is anything that has the function's `name`."""
    name = primitive if isinstance(primitive, str) else primitive.name
    return TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type_name(value)}")
