"""Reading pickles that can build only plain values, tensors and anything a caller allows.

The instructions are those of torch's weights-only loader; `Globals` decides what each may be applied to. A name in a
file never causes an import. Work and memory are proportional to the length of the pickle.
"""

from __future__ import annotations

import pickle
import struct
import warnings
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

from mini_dl.files.pt.errors import BROKEN, Budget, EndError, FileError, RefusedError, file_error

BLOCKED = ("sys", "os", "posix", "nt")
"""Modules from which nothing may be named, whatever the caller allows."""
KEY_PARTS = 1000
"""The most tuples and values that a dictionary key or set member may consist of."""
COPIES = 8
"""The most elements, per byte of the pickle, that containers built from others may have."""
ITEMS_AT = (dict, OrderedDict, Counter)


class Globals:
    """What a pickle may name, call and make; `known` maps names to values."""

    def __init__(
        self,
        known: dict[str, object],
        calls: dict[int, Callable[..., object]],
        builds: dict[type, Callable[..., Any]],
        growing: Iterable[Callable[..., object]] = (),
    ) -> None:
        self.known, self.calls, self.builds = known, calls, builds
        self.growing = frozenset(map(id, growing))  # functions that allocate memory, from a `budget`
        self.allowed: dict[str, Any] = {}  # by the caller

    def named(self, module: str, name: str) -> Any:
        """The value of a global name."""
        path = f"{module}.{name}"
        if module in BLOCKED:
            raise RefusedError(f"Trying to load unsupported GLOBAL {path} whose module {module} is blocked.")
        if path in self.known:
            value = self.known[path]
            return value.refuse() if isinstance(value, Missing) else value
        if path in self.allowed:
            return self.allowed[path]
        path = path.removeprefix("builtins.")
        raise RefusedError(
            f"Unsupported global: GLOBAL {path} was not an allowed global by default. Please use "
            f"`torch.serialization.add_safe_globals([{path}])` or the `torch.serialization.safe_globals([{path}])` context "
            "manager to allowlist this global if you trust this class/function, or weights_only=False if you trust whoever wrote "
            "the file: it then can run any code. A file of `model.state_dict()` needs neither."
        )

    def is_allowed(self, value: object) -> bool:
        """Whether the caller allowed this object."""
        return any([value is other for other in self.allowed.values()])


class Missing:
    """A name that torch's files may contain and that has no meaning here."""

    def __init__(self, name: str, why: str) -> None:
        self.name, self.why = name, why

    def refuse(self) -> Any:
        raise RefusedError(f"{self.name} cannot be read: {self.why}")


class Unpickler:
    """Reads one pickle from `file`, which needs ``read`` and ``readline``; `persistent` makes a storage from its description."""

    def __init__(self, file: Any, names: Globals, persistent: Callable[[Any], Any], length: int, encoding: str = "utf-8") -> None:
        self.file, self.names, self.persistent, self.encoding = file, names, persistent, encoding
        self.copies_left, self.budget = 1000 + COPIES * length, Budget()
        self.position = 0
        self.memo: dict[int, Any] = {}
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks below each mark

    def load(self) -> Any:
        """The object that the pickle describes. FileError if it asks for something that is not allowed."""
        one, steps = self.file.read, STEPS
        try:
            while True:
                opcode = one(1)
                self.position += 1
                step = steps.get(opcode)
                if step is None:
                    if opcode == pickle.STOP:
                        return self.stack.pop()
                    if not opcode:
                        raise EndError("the pickle has no end")
                    raise FileError(f"Unsupported operand {opcode[0]}")
                step(self)
        except BROKEN as error:
            cause = error.__cause__ if isinstance(error, FileError) else error
            raise file_error(error, f"byte {self.position} of the pickle") from cause

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        content = self.file.read(count)
        self.position += len(content)
        if len(content) < count:
            raise EndError(f"the pickle ends {count - len(content)} bytes early")
        return content

    def line(self) -> str:
        content = self.file.readline()
        self.position += len(content)
        return content[:-1].decode("utf-8")

    def since_mark(self) -> list[Any]:
        """Remove and return what was pushed since the last mark."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    # ---------------------------------------------------------------------------------------- instructions with a risk

    def name(self) -> None:
        module, name = self.line(), self.line()
        if (module, name) in NAME_MAPPING:
            module, name = NAME_MAPPING[module, name]
        else:
            module = IMPORT_MAPPING.get(module, module)
        self.stack.append(self.names.named(module, name))

    def call(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if self.names.is_allowed(function):
            self.stack[-1] = function(*arguments)
            return
        call = self.names.calls.get(id(function))
        if call is None:
            raise FileError(f"Trying to call reduce for unrecognized function {_kind(function)}")
        if type(arguments) is not tuple:
            raise FileError(f"arguments are a tuple, not {_kind(arguments)}")
        self.count_copied(arguments)
        budget = {"budget": self.budget} if id(function) in self.names.growing else {}
        self.stack[-1] = call(*arguments, **budget)

    def count_copied(self, values: tuple[object, ...], depth: int = 3) -> None:
        """FileError if too much was copied, counting the elements of `values` and of tuples in them, since states may nest."""
        for value in values:
            if isinstance(value, (list, tuple, dict, set, str, bytes, bytearray)):
                self.copies_left -= len(value)
                if self.copies_left < 0:
                    raise FileError("the pickle copies its contents repeatedly; it would exhaust the memory")
                if type(value) is tuple and depth:
                    self.count_copied(value, depth - 1)

    def make(self) -> None:
        arguments, cls = self.stack.pop(), self.stack.pop()
        if self.names.is_allowed(cls):
            self.stack.append(cls.__new__(cls, *arguments))
        elif id(cls) in self.names.calls and not isinstance(cls, FunctionType):
            self.stack += [cls, arguments]
            self.call()
        else:
            raise FileError(
                "Can only create new object for nn.Parameter or classes allowlisted via `add_safe_globals` but got " + _kind(cls)
            )

    def build(self) -> None:
        state = self.stack.pop()
        value = self.stack[-1]
        builder = self.names.builds.get(type(value))
        if builder is not None:
            self.count_copied((state,))
            builder(value, state)
        elif self.names.is_allowed(type(value)):
            _set_state(value, state)
        else:
            raise FileError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via `add_safe_globals`, but got "
                + _kind(type(value))
            )

    def stored(self) -> None:
        described = self.stack.pop()
        if type(described) is not tuple and type(described) is not int:
            raise FileError(f"persistent_load id must be tuple or int, but got {type(described)}")
        self.stack.append(self.persistent(described))

    # ---------------------------------------------------------------------------------------- containers

    def append(self) -> None:
        item = self.stack.pop()
        self._list("append to").append(item)

    def extend(self) -> None:
        items = self.since_mark()
        self._list("extend").extend(items)

    def _list(self, what: str) -> list[Any]:
        if type(self.stack[-1]) is not list:
            raise FileError(f"Can only {what} lists, but got {type(self.stack[-1])}")
        return self.stack[-1]

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set("SETITEM", [key, value])

    def set_items(self) -> None:
        self._set("SETITEMS", self.since_mark())

    def _set(self, instruction: str, items: list[object]) -> None:
        target = self.stack[-1]
        if type(target) not in ITEMS_AT:
            raise FileError(
                f"Can only {instruction} for dict, collections.OrderedDict, collections.Counter, but got {type(target)}"
            )
        if len(items) % 2:
            raise FileError(f"{instruction} needs a value for each key")
        check_keys(items[::2])
        target.update(zip(items[::2], items[1::2])) if type(target) is dict else set_pairs(target, items)

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def tuple_since_mark(self) -> None:
        items = tuple(self.since_mark())
        self.stack.append(items)

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    # ---------------------------------------------------------------------------------------- values

    def text(self) -> None:
        self.stack.append(str(self.take(self.number("<I", 4)), "utf-8", "surrogatepass"))

    def short_bytes(self) -> None:
        content: Any = self.take(self.take(1)[0])
        self.stack.append(content if self.encoding == "bytes" else content.decode(self.encoding, "strict"))

    def long(self) -> None:
        self.stack.append(pickle.decode_long(self.take(self.take(1)[0])))

    def number(self, layout: str, size: int) -> Any:
        return struct.unpack(layout, self.take(size))[0]

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise FileError(f"nothing was kept under the number {index}")
        self.stack.append(self.memo[index])

    def protocol(self) -> None:
        number = self.take(1)[0]
        if number != 2:
            warnings.warn(
                f"Detected pickle protocol {number} in the checkpoint, which was not the default pickle protocol used by "
                "`torch.load` (2). The weights_only Unpickler might not support all instructions implemented by this protocol.",
                stacklevel=2,
            )


def _pushed(made: Callable[[Unpickler], object]) -> Callable[[Unpickler], None]:
    return lambda self: self.stack.append(made(self))


STEPS: dict[bytes, Callable[[Unpickler], None]] = {
    pickle.GLOBAL: Unpickler.name,
    pickle.REDUCE: Unpickler.call,
    pickle.NEWOBJ: Unpickler.make,
    pickle.BUILD: Unpickler.build,
    pickle.BINPERSID: Unpickler.stored,
    pickle.APPEND: Unpickler.append,
    pickle.APPENDS: Unpickler.extend,
    pickle.SETITEM: Unpickler.set_item,
    pickle.SETITEMS: Unpickler.set_items,
    pickle.MARK: Unpickler.mark,
    pickle.TUPLE: Unpickler.tuple_since_mark,
    pickle.TUPLE1: lambda self: self.tuple_of(1),
    pickle.TUPLE2: lambda self: self.tuple_of(2),
    pickle.TUPLE3: lambda self: self.tuple_of(3),
    pickle.NONE: _pushed(lambda self: None),
    pickle.NEWTRUE: _pushed(lambda self: True),
    pickle.NEWFALSE: _pushed(lambda self: False),
    pickle.EMPTY_TUPLE: _pushed(lambda self: ()),
    pickle.EMPTY_LIST: _pushed(lambda self: []),
    pickle.EMPTY_DICT: _pushed(lambda self: {}),
    pickle.EMPTY_SET: _pushed(lambda self: set()),
    pickle.BININT: _pushed(lambda self: self.number("<i", 4)),
    pickle.BININT1: _pushed(lambda self: self.take(1)[0]),
    pickle.BININT2: _pushed(lambda self: self.number("<H", 2)),
    pickle.BINFLOAT: _pushed(lambda self: self.number(">d", 8)),
    pickle.LONG1: Unpickler.long,
    pickle.BINUNICODE: Unpickler.text,
    pickle.SHORT_BINSTRING: Unpickler.short_bytes,
    pickle.BINPUT: lambda self: self.put(self.take(1)[0]),
    pickle.LONG_BINPUT: lambda self: self.put(self.number("<I", 4)),
    pickle.BINGET: lambda self: self.get(self.take(1)[0]),
    pickle.LONG_BINGET: lambda self: self.get(self.number("<I", 4)),
    pickle.PROTO: Unpickler.protocol,
}


def check_keys(keys: Iterable[object]) -> None:
    """FileError for a key with so many nested tuples that hashing it would take forever, or overflow the stack."""
    for key in keys:
        if isinstance(key, tuple):
            waiting, parts = [key], 0
            while waiting:
                inner = waiting.pop()
                parts += len(inner)
                if parts > KEY_PARTS:
                    raise FileError(f"a key is made of more than {KEY_PARTS} values")
                waiting += [part for part in inner if isinstance(part, tuple)]


def set_pairs(target: Any, items: list[object]) -> None:
    """Set each of items[0::2] to its successor. (`update` of a Counter adds.)"""
    for key, value in zip(items[::2], items[1::2]):
        target[key] = value


def _set_state(value: object, state: Any) -> None:
    """Apply BUILD to an object of a class that the caller allowed."""
    if hasattr(value, "__setstate__"):
        value.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    if state:
        value.__dict__.update(state)
    for name, content in (slots or {}).items():
        setattr(value, name, content)


def _kind(value: object) -> str:
    """The name in messages of a value that may be too large, or too strange, to print."""
    return f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else f"an object of {type(value).__name__}"


def globals_named(content: Any) -> set[str]:
    """The names in a pickle, found without executing any of it."""
    file, names = content, set()
    names_only = Unpickler(file, Globals({}, {}, {}), lambda described: None, 0)
    while True:
        opcode = file.read(1)
        if opcode == pickle.GLOBAL:
            module, name = names_only.line(), names_only.line()
            if (module, name) in NAME_MAPPING:
                module, name = NAME_MAPPING[module, name]
            names.add(f"{IMPORT_MAPPING.get(module, module)}.{name}")
        elif opcode in SIZES:
            names_only.take(SIZES[opcode])
        elif opcode == pickle.BINUNICODE:
            names_only.take(names_only.number("<I", 4))
        elif opcode in (pickle.SHORT_BINSTRING, pickle.LONG1):
            names_only.take(names_only.take(1)[0])
        elif opcode == pickle.STOP:
            return names
        elif opcode not in STEPS:
            raise EndError("the pickle has no end") if not opcode else FileError(f"Unsupported operand {opcode[0]}")


SIZES = {
    pickle.BININT: 4, pickle.BININT1: 1, pickle.BININT2: 2, pickle.BINFLOAT: 8, pickle.BINGET: 1, pickle.LONG_BINGET: 4,
    pickle.BINPUT: 1, pickle.LONG_BINPUT: 4, pickle.PROTO: 1,
}  # fmt: skip
"""The number of bytes after an instruction, if fixed."""
