"""Declaring primitives: a NumPy forward and, above it, one formula per differentiable argument.

>>> import numpy as np
>>> from mini_dl.autograd.primitive import unary
>>> @unary(input=lambda grad, result: grad * result)
... def exp(input):
...     return np.exp(input)

Forward bodies see arrays; formulas see Tensors, so derivatives of any order follow. A formula names the values it needs as
parameters: `grad` first (`grads`, a list with None for outputs without gradient, if there are several outputs), then any of the
arguments, `<argument>_shape`, or `result`. Values that no formula of a requested gradient names are not saved.

If one kernel computes the gradients of several arguments, `op_together` takes one formula for all of them.

The engine sums each gradient to the shape of the argument and casts it to its type: formulas never undo a broadcast or a
promotion.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType
from typing import Any, Protocol

import numpy as np

from mini_dl._checks import type_name
from mini_dl._dtypes import INEXACT, Array, Function, exactly, is_number, number_as, promote
from mini_dl._importing import innermost
from mini_dl.autograd.formal import formal, primitive_of
from mini_dl.autograd.forwards import computes
from mini_dl.autograd.graph import FREED, Node, Packed, SeveralNode, edge_of, needs_grad, restore, save, save_result, show_saved
from mini_dl.autograd.mode import mode
from mini_dl.autograd.node_names import ORDER, REFLECTED, name_of_primitive
from mini_dl.autograd.recording import (
    USED,
    array_from,
    call_of,
    edges_of,
    look_into as look_into,
    not_a_tensor as not_a_tensor,
    shape_of,
    text_of_any,
    text_of_binary,
    text_of_unary,
    text_of_view,
)
from mini_dl.tensor import LEAF, Edge, Grads, Operand, Tensor, wrap

Formula = Function
Gradients = tuple[Tensor | None, ...]
Promotion = Callable[..., tuple[Any, Any]]
Decorator = Callable[[Function], Function]
VARIADIC = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


class Op:
    """A primitive: `forward` maps arrays to arrays; `formulas` give the gradient of each argument, in Tensor terms."""

    call: Function
    ufunc: np.ufunc | None = None
    """The equivalent of the forward on floating point arrays of one type, if it is a single ufunc (see `written_by`)."""
    kernel: Function
    """The forward without wrappers (see `forwards`)."""
    shared: Function
    """The forward for large arrays, if it is a single ufunc: threads share it."""
    unary = False
    """Whether it was declared by `unary`: its call checks its one argument itself."""
    looks = False
    """Whether it was declared by `view`: its forward returns views."""
    apart = True
    """Whether its results have memory of their own."""
    runs_without = False
    """Whether `backward` is called if no gradient arrived: some operations then get zeros."""
    asked: frozenset[str] = frozenset()
    """The values that the formulas need."""
    linear: tuple[tuple[str, ...], ...] = ()
    """The groups of arguments in which it is linear together (see `linear_in`)."""
    added: tuple[str, ...] = ()
    """The arguments that are added to the result, and may be None."""
    symmetric: frozenset[str] = frozenset()
    """The arguments in which its Jacobian is its own transpose, as that of an elementwise one is (see `symmetric_in`)."""
    forwards: Any = None
    """A faster rule for its tangents, if measured to be worth it (see `forwards_by`)."""
    formal: frozenset[str] = frozenset()
    """The arguments whose gradient depends on them only formally (see `piecewise`)."""
    promote: Promotion  # for a binary one: promotes operands of different types
    exact_first = exact_last = False
    """Whether a binary one does not round a number, as its first or last operand, to float16 or bfloat16."""
    operators: tuple[Function, Function]  # for a binary one, as special methods of the first operand and of the second

    def __init__(self, forward: Function, formulas: dict[str, Formula], together: bool = False) -> None:
        refuse_order(forward)
        self.forward, self.name, self.together = forward, forward.__name__, together
        self.grad_name, self.order = name_of_primitive(self.name), ORDER.get(self.name)
        code = innermost(forward).__code__
        if code.co_flags & VARIADIC:
            raise TypeError(f"{self.name}: a forward must name its arguments; several tensors come as one, a list")
        self.params = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        self.arity = len(self.params)
        self.index = {name: i for i, name in enumerate(self.params)}
        if not USED.isdisjoint(self.params):
            raise TypeError(f"{self.name}: an argument may not be called {sorted(USED & set(self.params))}")
        self.formulas: list[tuple[int, Formula, tuple[str, ...]]] = []
        for argument, formula in formulas.items():
            if not isinstance(formula, FunctionType):
                raise TypeError(f"{self.name}: the formula of {argument!r} must be a function, not {type(formula).__name__}")
            code = formula.__code__
            asks = code.co_varnames[: code.co_argcount]
            if code.co_flags & VARIADIC or code.co_kwonlyargcount or formula.__defaults__:
                raise TypeError(f"{self.name}: the formula of {argument!r} must name what it takes, without *, ** and defaults")
            if argument not in self.index:
                raise TypeError(f"{self.name}() has no argument {argument!r} to differentiate")
            if asks[:1] not in (("grad",), ("grads",)) or (together and asks[1:2] != ("wanted",)):
                first = "`grad` (or `grads`) and `wanted`" if together else "`grad` (or `grads`)"
                raise TypeError(f"{self.name}: the formula of {argument!r} must take {first} first")
            asks = asks[2 if together else 1 :]
            unknown = [name for name in asks if not self.knows(name)]
            if unknown:
                raise TypeError(f"{self.name}: the formula of {argument!r} asks for unknown {unknown}")
            self.formulas.append((self.index[argument], formula, asks))
        self.asked = frozenset([name for _, _, asks in self.formulas for name in asks])
        for name in self.asked:
            show_saved(name)
        self.wants_input = bool(self.params) and self.params[0] in self.asked

    def knows(self, name: str) -> bool:
        """Whether a formula may ask for it."""
        return name in self.index or name == "result" or name.removesuffix("_shape") in self.index

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.forward)

    def __repr__(self) -> str:
        return f"<primitive {self.name}{self.signature}>"

    def bind(self, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[Any, ...]:
        """All arguments by position, with defaults. TypeError if they do not match the signature."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}() {error}") from None
        bound.apply_defaults()
        return tuple(bound.arguments.values())

    def several(self, args: tuple[object, ...], arrays: tuple[Array, ...]) -> tuple[Tensor, ...]:
        """The outputs of a call with several."""
        outs = tuple([wrap(r if r.__class__ is np.ndarray else array_from(self, r)) for r in arrays])
        if mode.enabled:
            self.record(args, outs)
        return outs

    def record(self, args: tuple[object, ...], outs: tuple[Tensor, ...]) -> None:
        """Create the node of this call, if any differentiable argument needs a gradient."""
        edges: list[Edge | None] = []
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
            node.shape_ = [o._array.shape for o in outs]
            node.dtype_ = [o._array.dtype for o in outs]
            for number, out in enumerate(outs):
                if out._array.dtype.kind in INEXACT:
                    out._edge = (node, number)

    def backward(self, node: Node, grad: Tensor | Grads) -> Gradients:
        """The gradient of each differentiable argument, None if it is not needed.

        Once all needed formulas have returned tensors without accessing arrays, generated code replaces this method.
        """
        backward, mode.formula = backward_of(self), self.name
        try:
            gradients = backward(node, grad)
        finally:
            mode.formula = ""
        self.check_gradients(node.edges_, gradients)
        setattr(self, "backward", backward)  # noqa: B010
        return gradients

    def check_gradients(self, edges: Sequence[object], gradients: Gradients) -> None:
        """TypeError unless each formula returned a tensor, a list of them for an argument that is a list, or None."""
        names = [self.params[number] for number, _, _ in self.formulas]
        if len(gradients) != len(names):
            raise TypeError(f"{self.name}: its formula must return a list of {len(names)}, for {names}, not of {len(gradients)}")
        for name, edge, gradient in zip(names, edges, gradients):
            if edge is None or gradient is None:
                continue
            if type(edge) is list:
                if not (isinstance(gradient, (list, tuple)) and len(gradient) == len(edge)):
                    text = f"the formula of {name!r} must return a list of {len(edge)}, one for each tensor"
                    raise TypeError(f"{self.name}: {text}")
            elif not isinstance(gradient, Tensor):
                raise TypeError(
                    f"{self.name}: the formula of {name!r} must return a tensor, or None for no gradient, not "
                    f"{type(gradient).__name__}; formulas compute with tensors, only forwards with arrays"
                )


def backward_of(primitive: Op) -> Callable[[Node, Tensor | Grads], Gradients]:
    """A function of a node and its gradient: the gradient of each differentiable argument, None if it is not needed.

    Its source is generated for the primitive, one line per formula, since loops would cost as much as a small kernel::

        def backward(node, grad):
            saved, edges = node.saved_, node.edges_
            if saved is None: raise RuntimeError(FREED)
            if saved.__class__ is Packed: saved = saved.unpacked_once(node)  # only where two formulas ask for one tensor
            return (
                None if edges[0] is None else formula0(grad, restore(saved['other'], node)),
                None if edges[1] is None else formula1(grad, saved['other_shape'][0]),
            )
    """
    lines = ["def backward(node, grad):", "  saved, edges = node.saved_, node.edges_"]
    names: dict[str, Any] = {"FREED": FREED, "Packed": Packed, "formal": formal, "restore": restore}
    kept_as_tensors = {"result", *primitive.index}  # perhaps; the others are shapes
    lines.append("  if saved is None: raise RuntimeError(FREED)")
    asked = Counter([name for _, _, asks in primitive.formulas for name in asks if name in kept_as_tensors])
    if not primitive.together and max(asked.values(), default=0) > 1:
        lines.append("  if saved.__class__ is Packed: saved = saved.unpacked_once(node)")
    lines.append("  return (")
    for i, (_, formula, asks) in enumerate(primitive.formulas):
        names[f"formula{i}"] = formula
        arguments = ", ".join(
            [f"restore(saved[{name!r}], node)" if name in kept_as_tensors else f"saved[{name!r}][0]" for name in asks]
        )
        if primitive.together:
            lines.append(f"    *formula{i}(grad, [edge is not None for edge in edges], {arguments}),")
            break
        gradient = f"formula{i}(grad, {arguments})"
        if primitive.params[primitive.formulas[i][0]] in primitive.formal:
            gradient = f"formal({gradient}, edges[{i}])"
        lines.append(f"    None if edges[{i}] is None else {gradient},")
    exec(compile("\n".join([*lines, "  )"]), f"<backward of {primitive.name}>", "exec"), names)
    return names["backward"]


# ------------------------------------------------------------------------------------------------ decorators


def op(*bare: object, **formulas: Formula) -> Decorator:
    """A primitive of any signature. Keywords name the differentiable arguments."""
    refuse_bare("op", bare)
    return _primitive(formulas, False)


def op_together(formula: Formula, *arguments: str) -> Decorator:
    """A primitive of any signature, whose `formula` returns the gradients of all differentiable `arguments`, in this order.
    After `grad`, it takes `wanted`, a list of which of them are needed; the others are ignored."""
    return _primitive(dict.fromkeys(arguments, formula), True)


def _primitive(formulas: dict[str, Formula], together: bool) -> Decorator:
    def decorate(forward: Function) -> Function:
        primitive = Op(forward, formulas, together)
        computes(primitive)
        return call_of(primitive, text_of_any)

    return decorate


def refuse_order(forward: Function) -> None:
    """TypeError if a decorator of primitives is above one that must be above it."""
    name = forward.__name__
    if getattr(forward, "published", False):
        raise TypeError(
            f"{name}: it was published before it became a primitive, so that calls would compute without gradient; the decorator "
            "that publishes (`method`, `public`, ...) must stand above the one that makes the primitive (`op`, `unary`, ...)"
        )
    if hasattr(forward, "op"):
        raise TypeError(f"{name}: it is a primitive already; only one decorator (`op`, `unary`, `binary`, `view`) makes it one")


def refuse_bare(decorator: str, given: Iterable[object]) -> None:
    """TypeError if a decorator was applied without being called."""
    if wrong := [one for one in given if not isinstance(one, str)]:
        name = getattr(wrong[0], "__name__", repr(wrong[0]))
        raise TypeError(
            f"{name}: a decorator is called before it decorates, `@{decorator}()`, and formulas are given by name, "
            f"`@{decorator}(input=...)`"
        )


def recorded_as(name: str) -> Decorator:
    """Set the name of the nodes of a primitive to torch's."""

    def decorate(call: Function) -> Function:
        primitive_of(call, "recorded_as").grad_name = name
        return call

    return decorate


def linear_in(*groups: str, added: str = "") -> Decorator:
    """Declare in which arguments a primitive is linear while the others are fixed: it then applies itself to their tangents.

    Each group is a list of names in which it is linear together: ``linear_in("input", "weight")`` for a product of two,
    ``linear_in("input other")`` for a sum. `added` are arguments that are added to the result, and are omitted (None) if the
    group does not name them.
    """

    def decorate(call: Function) -> Function:
        primitive = primitive_of(call, "linear_in")
        primitive.linear, primitive.added = tuple([tuple(group.split()) for group in groups]), tuple(added.split())
        if unknown := {*added.split(), *[name for group in primitive.linear for name in group]} - set(primitive.params):
            raise TypeError(f"{primitive.name}() has no argument {sorted(unknown)}")
        return call

    return decorate


def may_alias_argument(call: Function) -> Function:
    """Mark a primitive whose result may lie in the memory of its argument, where nothing else can see either of them."""
    primitive_of(call, "may_alias_argument").apart = False
    return call


def symmetric_in(*arguments: str) -> Decorator:
    """Declare in which arguments the Jacobian of a primitive is symmetric if all are real, as for an elementwise function:
    the formulas then apply to the tangents unchanged."""

    def decorate(call: Function) -> Function:
        primitive_of(call, "symmetric_in").symmetric = frozenset(arguments)
        return call

    return decorate


def forwards_by(rule: Function) -> Decorator:
    """Give a primitive of one differentiable argument, its first, a rule for its tangent: ``rule(tangent, result, *args)``.

    Only if measured to be worth it.
    """

    def decorate(call: Function) -> Function:
        primitive_of(call, "forwards_by").forwards = rule
        return call

    return decorate


def unary(*bare: object, input: Formula | None = None) -> Callable[[Function], Callable[..., Tensor]]:
    """An elementwise primitive of one argument."""
    refuse_bare("unary", bare)

    def decorate(forward: Function) -> Callable[..., Tensor]:
        primitive = Op(forward, {} if input is None else {"input": input})
        primitive.unary, primitive.symmetric = True, frozenset(["input"])
        computes(primitive)
        return call_of(primitive, text_of_unary)

    return decorate


class Binary(Protocol):
    """The result of `binary` for a forward."""

    operator: Callable[..., Tensor]
    reflected: Callable[..., Tensor]
    __name__: str

    def __call__(self, input: Operand, other: Operand) -> Tensor: ...


def binary(
    *bare: object,
    input: Formula | None = None,
    other: Formula | None = None,
    numbers: str = "input other",
    promote: Promotion = promote,
    exact: Any = "",
) -> Callable[[Function], Binary]:
    """An elementwise primitive of two arguments, with broadcasting and promotion. `numbers` names those that may be a Python
    number (together only with the word "both"); `promote` converts operands of different types to the type of the computation;
    `exact` names those that, as numbers, are not rounded to float16 or bfloat16 before the computation.

    Its attributes `operator` and `reflected` are the same for use as special methods: the other operand may be a number, and
    they return NotImplemented for anything else.
    """
    refuse_bare("binary", bare)

    def decorate(forward: Function) -> Binary:
        formulas = {name: formula for name, formula in (("input", input), ("other", other)) if formula is not None}

        def build(primitive: Op, refuse: str, number_first: bool, number_last: bool) -> Any:
            return call_of(primitive, lambda primitive: text_of_binary(primitive, refuse, number_first, number_last))

        def declared() -> Op:
            primitive = Op(forward, formulas)
            primitive.exact_first, primitive.exact_last = "input" in exact, "other" in exact
            primitive.promote = exactly(promote, primitive.exact_first) if exact else promote
            primitive.symmetric = frozenset(("input", "other"))
            computes(primitive)
            return primitive

        primitive = declared()
        last = declared() if len(formulas) == 2 else primitive
        if last is not primitive:
            name = REFLECTED.get(last.name)
            last.grad_name, last.order = name or last.grad_name, (1,) if name else (1, 0)
        refuse = "of_numbers" if "both" in numbers else "raise_not_a_tensor"
        function = build(primitive, refuse, "input" in numbers, "other" in numbers)
        function.operator = build(primitive, "defer", False, True)
        function.reflected = swapped(build(last, "defer", True, False))
        primitive.operators = last.operators = function.operator, function.reflected
        primitive.call = function
        return function

    return decorate


def swapped(call: Function) -> Callable[..., Tensor]:
    def reflected(self: Tensor, other: object) -> Tensor:
        return call(other, self)

    return reflected


def view(*bare: object, **formulas: Formula) -> Callable[[Function], Callable[..., Tensor]]:
    """A primitive whose result shares its input's memory: one version for both, and writes to either reach the other.

    If the forward had to copy, the result is an ordinary tensor.
    """
    refuse_bare("view", bare)

    def decorate(forward: Function) -> Callable[..., Tensor]:
        primitive = Op(forward, formulas)
        primitive.looks, primitive.apart = True, False
        computes(primitive)
        return call_of(primitive, text_of_view)

    return decorate


def number_of(name: str, argument: str, value: object) -> Any:
    """`value`, or the number in a 0-d tensor that requires no grad. TypeError for anything else."""
    if isinstance(value, Tensor) and not value._array.ndim and not needs_grad(value):
        return value._array.item()
    if not is_number(value):
        raise TypeError(f"{name}(): argument '{argument}' must be Number, not {type_name(value)}")
    return value


def real_number_of(name: str, argument: str, value: object) -> Any:
    """As `number_of`, for an argument that is a float: TypeError for a complex number, RuntimeError for one in a tensor unless
    its imaginary part is 0."""
    if isinstance(value, complex):
        raise TypeError(f"{name}(): argument '{argument}' must be float, not complex: {value}")
    number = number_of(name, argument, value)
    return number_as(number, np.dtype(np.float64)).item() if isinstance(number, complex) else number
