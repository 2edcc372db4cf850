"""The generated code of calls: how a primitive runs its forward and records the call.

Each is generated at the first call, and becomes the code of the declared function (`call_of`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn, Protocol

import numpy as np

from mini_dl._checks import broadcast_shapes, type_name
from mini_dl._dtypes import INEXACT, Array, Function, NumpyType, dtype_of_number, exact, is_number, wide
from mini_dl._importing import wraps
from mini_dl._meta import is_meta_array
from mini_dl.autograd.graph import INFERENCE, NO_GRAD, Node, edge_of, save, save_result
from mini_dl.autograd.mode import at_work, mode
from mini_dl.kernels.blocks import VERY_SHORT, large_for
from mini_dl.kernels.context import is_refusal, run_nested
from mini_dl.kernels.halves import MANY
from mini_dl.overrides import ask_operator, overrides
from mini_dl.tensor import LEAF, Edge, Tensor, inference, new, version_of, wrap

ndarray, may_share_memory, shape = np.ndarray, np.may_share_memory, np.shape
current = mode  # an argument may be named mode, but not a name that the generated code uses
SIMPLE = {int, bool, float, str, type(None)}
NO_TENSORS = frozenset(
    ["bool", "int", "int | None", "str", "tuple[int, ...]", "Dims", "Dims | None", "Shape", "Geometry", "Windows", "Place"]
)
"""Annotations of parameters that are neither tensors nor have any: a forward gets them as they are."""
USED = frozenset(
    "NO_GRAD Node NotImplemented RuntimeError SIMPLE Tensor answer array_from array_of at_work behind computed current edge_of "
    "edges_of error inference is_refusal "
    "isinstance look_into looked_at may_share_memory ndarray new not_a_tensor primitive run_nested save save_result saved "
    "shape_of version version_of wrapped".split()
)
"""The names in the generated code, which no argument may have."""
SPOKEN_OF = (LEAF, Node, at_work, broadcast_shapes, is_refusal, new, run_nested, save, save_result)  # only in the generated code


class Primitive(Protocol):
    """The attributes of an `Op` that the generated code uses."""

    name: str
    params: tuple[str, ...]
    index: dict[str, int]
    forward: Function
    ufunc: np.ufunc | None
    formulas: list[tuple[int, Any, tuple[str, ...]]]
    operators: tuple[Function, Function]
    call: Function
    exact_first: bool
    exact_last: bool
    apart: bool
    unary: bool

    @property
    def signature(self) -> inspect.Signature: ...


def call_of(primitive: Primitive, text: Callable[[Primitive], str]) -> Any:
    """The call of a primitive: a function whose code is that of ``text(primitive)``, once it has been called."""

    def write() -> None:
        names: dict[str, Any] = {}
        exec(compile(text(primitive), f"<call of {primitive.name}>", "exec"), globals(), names)
        made = names["make"](primitive)
        if made.__defaults__ or made.__kwdefaults__:
            given = [p for p in primitive.signature.parameters.values() if p.default is not p.empty]
            call.__defaults__ = tuple([p.default for p in given if p.kind is not p.KEYWORD_ONLY])
            call.__kwdefaults__.update({p.name: p.default for p in given if p.kind is p.KEYWORD_ONLY})
        call.__code__ = made.__code__

    def first(args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        seen, asked = Seen(args, kwargs), Text.asks
        write()
        try:
            result = call(*args, **kwargs)
            seen.check(primitive, result)
        except BaseException:
            call.__code__, call.__defaults__ = unwritten, None  # the first call that succeeds is checked
            raise
        _written.append(write)
        if Text.asks is not asked:  # the first transform started meanwhile
            write()
        return result

    def placeholder(*args: object, _first: Any = first, **kwargs: object) -> Any:
        primitive  # noqa: B018  # the text speaks of it: both codes need the same free variables
        return _first(args, kwargs)

    call: Any = wraps(primitive.forward)(placeholder)
    call.op, primitive.call = primitive, call
    unwritten = call.__code__
    return call


DOUBLE = (np.dtype(np.float64), np.dtype(np.complex128))


class Seen:
    """The arrays of a first call and copies of them: its forward must not change them, and its result is checked against them.

    Later calls are not checked, nor are those within a transform.
    """

    MOST = 1 << 16
    """The number of elements of an array that are checked."""

    def __init__(self, args: Sequence[object], kwargs: dict[str, object]) -> None:
        self.args, self.kwargs = args, kwargs
        given = [*args, *kwargs.values()]
        flat = [one for value in given for one in (value if isinstance(value, (list, tuple)) else [value])]
        tensors = [one for one in flat if isinstance(one, Tensor) and one._array.size <= self.MOST and not at_work.anywhere]
        arrays = [one._array for one in tensors]
        self.arrays = [(a, a.tobytes()) for a in arrays if type(a) is ndarray and not may_share_memory(a, mode.spare)]

    def written(self, primitive: Primitive) -> bool:
        """Whether the forward changes its arguments, and not another thread or process that shares them: it is run on copies."""
        if all([array.tobytes() == before for array, before in self.arrays]):
            return False
        copies = {id(array): np.ndarray(array.shape, array.dtype, bytearray(before)) for array, before in self.arrays}

        def private(value: object) -> object:
            if isinstance(value, (list, tuple)):
                return [private(one) for one in value]
            return copies.get(id(value._array), value._array) if isinstance(value, Tensor) else value

        with suppress(Exception):
            mode.run(primitive.forward, *map(private, self.args), **{key: private(value) for key, value in self.kwargs.items()})
        return any([copies[id(array)].tobytes() != before for array, before in self.arrays])

    def elementwise(self, primitive: Primitive) -> bool:
        return bool(self.arrays) and (primitive.unary or hasattr(primitive, "operators"))

    def check_elements(self, primitive: Primitive, made: Array) -> None:
        """TypeError unless an elementwise result has the shape of the arguments, and no higher precision."""
        if primitive.unary and made.shape != self.arrays[0][0].shape:
            raise TypeError(
                f"{primitive.name}: `unary` declares what is computed element by element, but its forward made the shape "
                f"{list(made.shape)} of {list(self.arrays[0][0].shape)}; declare it by `op`"
            )
        kinds = [array.dtype for array, _ in self.arrays]
        if all([kind.kind in INEXACT and kind not in DOUBLE for kind in kinds]) and made.dtype in DOUBLE:
            raise TypeError(
                f"{primitive.name}: its forward computes in {made.dtype} from {kinds[0]}: a NumPy number such as np.float64(2) "
                "or np.sqrt(2) turns its operand into its own type; use Python's, such as math.sqrt(2)"
            )

    def check(self, primitive: Primitive, result: object) -> None:
        """TypeError if the forward wrote into an argument, returned memory of one without being a view, or no numbers."""
        if self.written(primitive):
            raise TypeError(
                f"{primitive.name}: its forward writes into the array of an argument, which belongs to the caller; "
                "write into a copy, np.array(input), or let NumPy make the result"
            )
        for one in result if type(result) is tuple else (result,):
            if one.__class__ is not Tensor:
                continue
            made = one._array
            if made.dtype.kind in "OSUMm":
                raise TypeError(f"{primitive.name}: its forward must return numbers, not an array of {made.dtype}")
            if self.elementwise(primitive):
                self.check_elements(primitive, made)
            if primitive.apart and one is result and any([may_share_memory(array, made) for array, _ in self.arrays]):
                raise TypeError(
                    f"{primitive.name}: its forward returns memory of an argument, where a write to one would change the other "
                    "unseen; return a copy, or declare it by `view`"
                )


_written: list[Callable[[], None]] = []


def look_for_transforms() -> None:
    """Make all calls, present and future, check the transforms first. After an interrupt, it goes on when it is called again."""
    Text.asks = True
    while _written:
        _written[-1]()
        _written.pop()


class Text:
    """The code of a call, generated for one primitive: without loops over its arguments, which would cost as much as a kernel.

    All calls are composed of the same parts. That of ``unary(input=lambda grad, result: grad * result)`` is::

        def make(primitive):
            def call(input):
                if not isinstance(input, Tensor): raise not_a_tensor(primitive, 'input', 1, input)
                try:
                    computed = current.enter(primitive.forward, input._array)
                except RuntimeError as error:
                    if not is_refusal(error): raise
                    computed = run_nested(primitive.forward, input._array)
                if computed.__class__ is not ndarray:
                    computed = array_from(primitive, computed)
                wrapped = new(Tensor)
                wrapped._array = computed
                wrapped._edge = wrapped._base = None
                if inference.anywhere and inference.here: wrapped._inference = True
                if (input._edge is not None or input._base is not None) and current.enabled:
                    edge0 = input._edge
                    if edge0 is LEAF: edge0 = input
                    elif input._base is not None: edge0 = edge_of(input)
                    if edge0 is not None:
                        saved = {}
                        saved['result'] = save_result(wrapped)
                        wrapped._edge = Node(primitive, (edge0, ), saved, computed)
                return wrapped
            return call
    """

    asks = False
    """Whether the generated code checks for transforms first, which a process without any does not."""

    def __init__(self, primitive: Primitive) -> None:
        self.primitive = primitive
        self.lines: list[str] = []
        self.edges: list[tuple[str, str, tuple[str, ...]]] = []
        for i, (at, formula, asks) in enumerate(primitive.formulas):
            argument = primitive.params[at]
            self.edges.append((f"edge{i}", argument, asks))
            if formula.__code__.co_name == "<lambda>":
                formula.__code__ = formula.__code__.replace(co_name=f"<gradient of {primitive.name}: {argument}>")

    def write(self, text: str, depth: int = 0) -> None:
        """Add lines, indented by `depth` levels."""
        self.lines += [" " * (4 * (depth + 2)) + line for line in text.split("\n")]

    def run_kernel(self, arguments: str, refused: str = "", large: str = "") -> None:
        """``computed``, under the NumPy settings of kernels; `refused` is further ``except`` clauses. If the condition
        `large` holds, threads may share a ufunc."""
        if large:
            self.write(f"try:\n    if {large}: computed = current.enter(primitive.shared, {arguments})")
            self.write(f"    else: computed = current.enter(primitive.forward, {arguments})\nexcept RuntimeError as error:")
        else:
            self.write(f"try:\n    computed = current.enter(primitive.forward, {arguments})\nexcept RuntimeError as error:")
        self.write(f"    if not is_refusal(error): raise\n    computed = run_nested(primitive.forward, {arguments}){refused}")

    def wrap(self, several: str = "") -> None:
        """``wrapped``, the tensor of the result; `several` returns the tensors of a tuple."""
        self.write("if computed.__class__ is not ndarray:")
        if several:
            self.write(f"    if isinstance(computed, tuple): return primitive.several({several}, computed)")
        self.write("    computed = array_from(primitive, computed)")
        self.write("wrapped = new(Tensor)\nwrapped._array = computed\nwrapped._edge = wrapped._base = None")
        self.write("if inference.anywhere and inference.here: wrapped._inference = True")
        if self.asks:
            self.write("if current.stack: wrapped._born = current.stack[-1]")

    def find_edge(self, name: str, depth: int, also: str = "") -> None:
        """The edge of an argument that is a tensor, if it is differentiable. For a view, `edge_of` is called if `also` holds."""
        for edge, argument, _ in self.edges:
            if argument == name:
                self.write(f"{edge} = {name}._edge\nif {edge} is LEAF: {edge} = {name}", depth)
                self.write(f"elif {name}._base is not None{also}: {edge} = edge_of({name})", depth)

    def record(self, depth: int, tensor: str = "", also: str = "") -> None:
        """The node of the call, if an edge leads somewhere and `also` holds. One argument is known to be a `tensor`."""
        kept: dict[str, list[str]] = {}
        for edge, _, asks in self.edges:
            for ask in asks:
                kept.setdefault(ask, []).append(f"{edge} is not None")
        some_edge = " or ".join([f"{edge} is not None" for edge, _, _ in self.edges])
        self.write(f"if ({some_edge}) and {also}:" if also else f"if {some_edge}:", depth)
        self.write("    saved = {}", depth)
        for name, conditions in kept.items():
            if name == "result":
                item = "save_result(wrapped)"
            elif name in self.primitive.index:
                item = f"save({name})"
            else:
                argument = name.removesuffix("_shape")
                item = f"({argument}._array.shape,)" if argument == tensor else f"(shape_of({argument}),)"
            condition = " or ".join(conditions)
            when = "" if condition == some_edge else f"if {condition}: "
            self.write(f"    {when}saved[{name!r}] = {item}", depth)
        edges = "".join([edge + ", " for edge, _, _ in self.edges])
        self.write(f"    wrapped._edge = Node(primitive, ({edges}), saved, computed)", depth)

    def done(self, parameters: str) -> str:
        head = [f"def make(primitive):\n    def call({parameters}):"]
        if self.asks:
            given = "".join([name + ", " for name in self.primitive.params])
            head.append(f"        if at_work.anywhere:\n            answer = at_work.take(primitive, ({given}))")
            head.append("            if answer is not NotImplemented: return answer")
        return "\n".join([*head, *self.lines, " " * 8 + "return wrapped", "    return call"])


def parameters_of(primitive: Primitive) -> str:
    """The parameters of a call as source; their defaults are set separately."""
    listed, starred = [], False
    for name, parameter in primitive.signature.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            listed.append("*")
            starred = True
        listed.append(name if parameter.default is parameter.empty else f"{name}=None")
    return ", ".join(listed)


def text_of_any(primitive: Primitive) -> str:
    """The code of a call of any signature: arguments may be tensors, lists of them, or anything else."""
    text, params = Text(primitive), primitive.params
    given = primitive.signature.parameters
    arrays = [
        a
        if given[a].annotation in NO_TENSORS
        else f"{a}._array if isinstance({a}, Tensor) else {a} if {a}.__class__ in SIMPLE else array_of({a})"
        for a in params
    ]
    text.run_kernel(", ".join(arrays))
    text.wrap(several=f"({''.join([name + ', ' for name in params])})")
    if text.edges:
        text.write("if current.enabled:")
        for edge, name, _ in text.edges:
            text.write(f"    if isinstance({name}, Tensor):")
            text.find_edge(name, 2)
            text.write(f"    else: {edge} = None if {name} is None else edges_of({name})")
        text.record(1)
    return text.done(parameters_of(primitive))


def _many(array: str, ufunc: Function | None, other: str = "") -> str:
    """The condition that an array has enough elements for threads to share a ufunc, for float16 to be computed in float32, or
    for an `other` of short rows, which are broadcast, to be written out along a longer one."""
    if ufunc is None:
        return ""
    enough = large_for(ufunc)
    if enough <= MANY:
        return f"{array}.size >= {enough}"
    short = f"{other}.__class__ is ndarray and {other}.ndim and 1 < {other}.shape[-1] <= {VERY_SHORT}"
    broadcasts = f" or ({short} and {other}.shape != {array}.shape)" if other else ""
    return f"{array}.size >= {MANY} and ({array}.size >= {enough} or {array}.dtype.char == 'e'{broadcasts})"


def text_of_unary(primitive: Primitive) -> str:
    """The code of a call of one tensor."""
    text = Text(primitive)
    text.write("if not isinstance(input, Tensor): raise not_a_tensor(primitive, 'input', 1, input)")
    text.run_kernel("input._array", large=_many("input._array", primitive.ufunc))
    text.wrap()
    if text.edges:
        text.write("if (input._edge is not None or input._base is not None) and current.enabled:")
        text.find_edge("input", 1)
        text.record(1, tensor="input")
    return text.done("input")


def text_of_view(primitive: Primitive) -> str:
    """The code of a call whose result may share the memory of its first argument."""
    text, first = Text(primitive), primitive.params[0]
    text.write(
        f"if not isinstance({first}, Tensor): raise not_a_tensor(primitive, 'input', 1, {first})\nlooked_at = {first}._array"
    )
    text.write(f"computed = primitive.forward({', '.join(['looked_at', *primitive.params[1:]])})")
    text.wrap()
    if text.edges:
        text.write("if current.enabled:")
        text.find_edge(first, 1)
        text.record(1, tensor=first)
    text.write("behind = computed.base")
    text.write("if behind is looked_at or (behind is not None and behind is looked_at.base):")
    text.write(f"    if {first}._inference or inference.anywhere: look_into({first}, wrapped)")
    text.write(f"    else:\n        wrapped._base = {first} if {first}._base is None else {first}._base")
    text.write("        if not current.enabled: wrapped._restricted = NO_GRAD")
    text.write(f"        elif {first}._restricted is not None: wrapped._restricted = {first}._restricted")
    text.write(
        f"        wrapped._counter = version = {first}._counter or version_of({first})\n        wrapped._stamp = version[0]"
    )
    text.write(f"elif not computed.size or may_share_memory(looked_at, computed): look_into({first}, wrapped)")
    return text.done(parameters_of(primitive))


def text_of_binary(primitive: Primitive, refuse: str, number_first: bool, number_last: bool) -> str:
    """The code of a call of two tensors, or of one and a number."""
    text = Text(primitive)
    if text.edges:
        text.write(" = ".join([edge for edge, _, _ in text.edges]) + " = None")
    text.write("if isinstance(input, Tensor):\n    a = input._array")
    text.find_edge("input", 1, " and current.enabled")
    if number_first:
        text.write("elif isinstance(other, Tensor) and is_number(input): a = input")
    text.write(f"else: return {refuse}(primitive, 'input', 1, input, input, other)")
    text.write("if isinstance(other, Tensor):\n    b = other._array")
    text.find_edge("other", 1, " and current.enabled")
    text.write("    if a.__class__ is ndarray:\n        if a.dtype is not b.dtype: a, b = primitive.promote(a, b)")
    if number_first:
        text.write("    elif a.__class__ not in NEUTRAL or b.dtype.kind != 'f': a, b = primitive.promote(a, b)")
        if primitive.exact_first:
            text.write("    elif b.dtype.char == 'e': a = exact_constant(a, b.dtype)")
        text.write("    elif a not in CONSTANTS['f']:\n        computed = constant(a, b.dtype)")
        text.write("        if a not in CONSTANTS['f']: a = computed")  # else a number, as from the second call on
    if number_last:
        text.write("elif other.__class__ in NEUTRAL and a.__class__ is ndarray and a.dtype.kind == 'f':")
        known, made = ("EXACT", "exact_constant") if primitive.exact_last else ("CONSTANTS", "constant")
        text.write(f"    b = {known}[a.dtype.char].get(other)\n    if b is None: b = {made}(other, a.dtype)")
        text.write("elif is_number(other): a, b = primitive.promote(a, other)")
    text.write(f"else: return {refuse}(primitive, 'other', 2, other, input, other)")
    refused = "\nexcept ValueError:\n    broadcast_shapes(shape(a), shape(b))\n    raise"
    large = _many("a", primitive.ufunc, "b")
    if large and number_first:
        large = f"a.__class__ is ndarray and {large}"
    text.run_kernel("a, b", refused, large)
    text.wrap()
    if text.edges:
        text.record(0, also="current.enabled")
    return text.done("input, other")


# ------------------------------------------------------------------------------------------------ functions of the generated code


def edges_of(value: Any) -> list[Edge | None] | None:
    """The edges of a non-tensor argument: those of the tensors in a list, or None if none of them needs a gradient."""
    if type(value) not in (list, tuple):
        return None
    edges = [edge_of(v) if isinstance(v, Tensor) else None for v in value]
    return edges if any([e is not None for e in edges]) else None


def array_of(argument: object) -> Any:
    """The argument of a forward for a non-tensor argument; tensors inside a list become arrays."""
    if argument.__class__ is list or argument.__class__ is tuple:
        for one in argument:
            if isinstance(one, Tensor):
                return [a._array if isinstance(a, Tensor) else a for a in argument]
    return argument


def array_from(primitive: Primitive, computed: object) -> Array:
    """The array that a forward returned. TypeError unless it is one, or a NumPy scalar."""
    if isinstance(computed, ndarray):
        return computed if is_meta_array(computed) else np.asarray(computed)
    if isinstance(computed, np.generic):
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


NEUTRAL = {int, float}
"""Python numbers of these types do not change the type of a floating point array."""


CONSTANTS: dict[str, dict[Any, Array]] = {"e": {}, "f": {}, "d": {}}
"""Python numbers as 0-d arrays, by type: NumPy takes twice as long with a number, which it converts at each call."""


def constant(number: Any, dtype: NumpyType) -> Any:
    """`number` as an array of a floating point type, cached; the number itself if it is out of range."""
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


EXACT: dict[str, dict[Any, Array]] = {**CONSTANTS, "e": {}}
"""The same if float16 is combined with a number that is not rounded to it."""


def exact_constant(number: object, dtype: NumpyType) -> Any:
    """As `constant`, for a primitive that does not round a number to float16."""
    if dtype.char != "e":
        return constant(number, dtype)
    array = exact(number)
    array.flags.writeable = False
    if number != 0 and number == number and len(EXACT["e"]) < 1000:
        EXACT["e"][number] = array
    return array


def raise_not_a_tensor(primitive: Primitive, argument: str, position: int, value: object, *_: object) -> NoReturn:
    raise not_a_tensor(primitive, argument, position, value)


def of_numbers(primitive: Primitive, argument: str, position: int, value: object, input: object, other: object) -> Any:
    """The result for two Python numbers, as for a 0-d tensor and a number."""
    if not is_number(input) or not is_number(other):
        raise not_a_tensor(primitive, argument, position, value)
    return primitive.call(wrap(np.asarray(input, dtype_of_number(input))), other)


def defer(primitive: Primitive, argument: str, position: int, value: object, input: Any, other: Any) -> Any:
    """The result of an operator with a foreign operand: NotImplemented, so arrays are left to NumPy, except for equality,
    which Python would decide by identity."""
    if overrides(value):
        special = primitive.operators[argument == "input"]
        found = [name for name, member in vars(Tensor).items() if member is special and name.startswith("__")]
        name = found[0] if found else primitive.name.lstrip("_")
        return ask_operator(name, input, other) if argument == "other" else ask_operator(name, other, input)
    if isinstance(value, ndarray) and primitive.name in ("eq", "ne") and value.dtype.kind in "biufVc":
        return primitive.operators[0](input, wrap(value))
    if isinstance(input if argument == "other" else other, Tensor) and not is_number(value):
        return NotImplemented
    raise TypeError(f"descriptor of {primitive.name!r} doesn't apply to a {type_name(value)!r} object")


def look_into(input: Tensor, out: Tensor) -> None:
    """Mark `out` as a view of the memory of `input`."""
    if input._inference:  # which has no version: a view of it is another such tensor
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


def not_a_tensor(primitive: Primitive | str, argument: str, position: int, value: object) -> TypeError:
    """The error for a `value` that is not a tensor; `primitive` is anything that has the function's `name`."""
    name = primitive if isinstance(primitive, str) else primitive.name
    return TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type_name(value)}")
