"""The record of one run of a program: which primitive computed which array from which.

Forwards see arrays, so the recorder wraps the forwards of all primitives, and the kernels that run outside them
(``mode.run``, and ufuncs by ``mode.enter``), which do the in-place writes. An array is identified by its memory: arrays with the
same address, shape and strides are the same value. An array that a primitive uses but nothing computed is a constant.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, Function
from mini_dl.autograd import forwards
from mini_dl.autograd.mode import mode, no_grad
from mini_dl.kernels.blocks import spread
from mini_dl.kernels.context import run_by
from mini_dl.nn import Module
from mini_dl.nn.modules.batchnorm import _BatchNorm
from mini_dl.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from mini_dl.onnx.errors import OnnxExporterError

Place = tuple[Any, ...]
UFUNCS = {"add": "_add", "subtract": "_sub", "multiply": "mul", "divide": "_div", "negative": "neg", "absolute": "abs"}
"""The primitives of the ufuncs that write in place; the others have the same name."""
SPOKEN = {"drawn": "rand", "order": "sort", "place": "diag_embed", "replaced": "slice_scatter", "largest": "adaptive_max_pool"}
"""The names of operations in errors, if the name of the primitive is unclear."""
NOT_RECORDED = "was written to in a way that is not recorded (by fill_ or zero_, at random, or through NumPy)"


@dataclass(eq=False)
class Value:
    """An array of the program: an input, a constant (a parameter has a `name`), or result `output` of a `call`."""

    number: int
    array: Array
    kind: str
    name: str = ""
    call: Call | None = None
    output: int = 0
    check: int = 0
    shape: tuple[Any, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype


@dataclass(eq=False)
class Call:
    """A call of a primitive, or of a kernel outside one."""

    name: str
    home: str
    args: dict[str, Any]
    scope: str
    outputs: list[Value] = field(default_factory=list)

    @property
    def spoken(self) -> str:
        """The name of the operation in errors."""
        return f"aten::{SPOKEN.get(self.name, self.name.lstrip('_'))}"

    @property
    def where(self) -> str:
        return f"module '{self.scope}'" if self.scope else "the model itself"


def place_of(array: Array) -> Place:
    """The memory layout of an array: equal for two arrays that are the same elements in the same order."""
    start = array.__array_interface__["data"][0]
    steps = tuple([0 if n == 1 else step for n, step in zip(array.shape, array.strides)])
    return start, array.shape, steps, array.dtype.str


def checksum(array: Array) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data) if array.size else 0


class Recorder:
    """The calls of this thread while it records."""

    def __init__(self, model: Module) -> None:
        self.calls: list[Call] = []
        self.values: dict[Place, Value] = {}
        self.origins: dict[Place, tuple[Place, Call]] = {}  # for a view: its base, and the call that made it
        self.stale: set[Place] = set()
        self.arrays: dict[Place, Array] = {}  # they are kept alive, so their memory is not reused
        self.made: list[Value] = []  # all values, by number
        self.depth = 0
        self.thread = threading.get_ident()
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.scopes: list[str] = []
        self.names: dict[Place, str] = {}
        for name, tensor in model.state_dict(keep_vars=True).items():
            if hasattr(tensor, "_array") and tensor._array.size:
                self.names.setdefault(place_of(tensor._array), name)

    # ------------------------------------------------------------------------------------------------ values

    def new(self, array: Array, kind: str, **more: Any) -> Value:
        self.made.append(Value(len(self.made), array, kind, check=checksum(array), shape=array.shape, **more))
        return self.made[-1]

    def value(self, array: Array, kind: str, **more: object) -> Value:
        """A new value, which from now on is the value of `array`."""
        place = place_of(array)
        made = self.new(array.copy() if kind == "constant" and not more.get("name") else array, kind, **more)
        self.values[place] = made
        self.stale.discard(place)
        self.arrays[place] = array
        return made

    def find(self, array: Array) -> Value:
        """The value of `array`; a constant if it is unknown."""
        place = place_of(array)
        found = self.at(place) if place in self.values else None
        if found is None:
            return self.value(array, "constant", name=self.names.get(place, ""))
        if found.check != checksum(array):
            raise OnnxExporterError(f"A tensor of shape {list(array.shape)} {NOT_RECORDED}")
        return found

    def walk(self, argument: Any) -> Any:
        """An argument with values in place of arrays."""
        if isinstance(argument, np.ndarray):
            return self.find(argument)
        if type(argument) in (list, tuple):
            return type(argument)([self.walk(one) for one in argument])
        return argument

    # ------------------------------------------------------------------------------------------------ calls

    def call(self, name: str, home: str, args: dict[str, Any], results: list[Array]) -> Call:
        made = Call(name, home, args, self.scopes[-1] if self.scopes else "")
        self.calls.append(made)
        made.outputs = [self.value(array, "result", call=made, output=i) for i, array in enumerate(results)]
        return made

    def around(self, primitive: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
        """`forward`, recorded unless another one calls it."""
        home = getattr(inspect.unwrap(forward), "__module__", "numpy").rpartition(".")[2]  # ufuncs of NumPy 2.0 have none

        @functools.wraps(forward)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            if self.depth or threading.get_ident() != self.thread:
                return forward(*args, **kwargs)
            if kwargs:
                args = primitive.bind(args, kwargs)
            given = [self.walk(one) for one in args]
            with self.inside():
                result = forward(*args)
            results = [np.asarray(one) for one in (result if isinstance(result, tuple) else (result,))]
            before = [place_of(one) for one in args if isinstance(one, np.ndarray)]
            if primitive.looks and isinstance(result, tuple):  # several parts: each is a view
                for one, index in zip(results, args[1]):
                    look = self.call("slice", home, {"input": given[0], "index": index}, [one])
                    if place_of(one) != before[0]:
                        self.origins[place_of(one)] = before[0], look
                return tuple(results)
            call = self.call(primitive.name, home, dict(zip(primitive.params, given)), results)
            place = place_of(results[0])
            if primitive.looks and before and place != before[0]:
                self.origins[place] = before[0], call
            elif not primitive.looks and place in before:  # the kernel wrote into its argument
                self.reaches(place)
            return tuple(results) if isinstance(result, tuple) else results[0]

        return recorded

    def run(self, before: Callable[..., Any], kernel: Any, *args: Any, **kwargs: Any) -> Any:
        """A kernel that runs outside the primitives: an in-place write, or a non-differentiable operation."""
        if self.depth:
            return before(kernel, *args, **kwargs)
        given = [self.walk(one) for one in args]
        with self.inside():
            result = before(kernel, *args, **kwargs)
        ufunc, operands = (args[0], given[1:]) if kernel is spread else (kernel, given)
        name = getattr(ufunc, "__name__", "")
        if kernel is np.copyto:
            self.write(args[0], "_copied", "filling", {"input": given[0], "src": given[1]})
        elif isinstance(ufunc, np.ufunc) and (kwargs.get("out") is not None or len(operands) > ufunc.nin):
            names = ("input", "other")[: ufunc.nin]
            self.write(kwargs.get("out", args[-1]), UFUNCS.get(name, name), "", dict(zip(names, operands)))
        elif name == "put_into":
            names = ("input", "indices", "values", "accumulate")
            self.write(args[0], "_index_put", "indexing", dict(zip(names, given)))
        elif isinstance(result, np.ndarray) and any([isinstance(one, Value) for one in given]):
            self.call(name.lstrip("_"), "kernels", {str(i): one for i, one in enumerate(given)}, [result])
        return result

    def overwrite(self, before: Function, kernel: Function, *args: object, **kwargs: object) -> object:
        """A kernel that is not run through ``mode.run``: a ufunc that writes into a tensor, or the forward of a primitive."""
        if isinstance(kernel, np.ufunc) and "out" in kwargs:
            return self.run(before, kernel, *args, **kwargs)
        return before(kernel, *args, **kwargs)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Everything that runs inside is part of a call."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    # ------------------------------------------------------------------------------------------------ writes

    def write(self, target: Array, name: str, home: str, args: dict[str, Any]) -> None:
        """`target` was written to: its value is now the result of a call."""
        self.call(name, home, args, [target])
        self.reaches(place_of(target))

    def reaches(self, place: Place) -> None:
        """The base of `place` has changed with it, and so have the other views of that base."""
        root, chain = place, {place}
        while root in self.origins:
            parent, look = self.origins[root]
            args = {"input": self.at(parent), "src": self.values[root], "look": look}
            made = Call("written_into", "onnx", args, look.scope)
            self.calls.append(made)
            made.outputs = [self.new(self.arrays[parent], "result", call=made)]
            self.values[parent] = made.outputs[0]
            root = parent
            chain.add(root)
        for view in self.origins:
            if view not in chain and self.root_of(view) == root:
                self.stale.add(view)

    def root_of(self, place: Place) -> Place:
        while place in self.origins:
            place = self.origins[place][0]
        return place

    def at(self, place: Place) -> Value:
        """The value at a known place; for a view of a modified base, it is recomputed."""
        if place in self.stale:
            parent, look = self.origins[place]
            first = next(iter(look.args))
            made = Call(look.name, look.home, {**look.args, first: self.at(parent)}, look.scope)
            self.calls.append(made)
            made.outputs = [self.new(self.arrays[place], "result", call=made)]
            self.values[place] = made.outputs[0]
            self.stale.discard(place)
        return self.values[place]

    # ------------------------------------------------------------------------------------------------ modules

    def enter(self, module: Module, args: tuple[Any, ...]) -> None:
        """Before the forward of a module. Batch normalization in evaluation mode is one operation."""
        self.scopes.append(self.paths.get(id(module), self.scopes[-1] if self.scopes else ""))
        if self.depth == 0 and is_whole(module) and threading.get_ident() == self.thread:
            self.find(args[0]._array)
            self.depth += 1

    def leave(self, module: Module, args: tuple[Any, ...], output: Any) -> None:
        if self.depth == 1 and is_whole(module) and threading.get_ident() == self.thread:
            self.depth = 0
            given = {"input": self.find(args[0]._array), "eps": module.eps}
            for name in ("weight", "bias", "running_mean", "running_var"):
                tensor = getattr(module, name)
                given[name] = None if tensor is None else self.find(tensor._array)
            self.call("batch_norm", "modules", given, [output._array])
        self.scopes.pop()


def is_whole(module: Module) -> bool:
    """Whether the exporter knows an operator for the module as a whole."""
    return isinstance(module, _BatchNorm) and not module.training and module.running_mean is not None


@contextlib.contextmanager
def recording(model: Module) -> Iterator[Recorder]:
    """Record the computations of this thread, without gradients."""
    recorder = Recorder(model)
    before, enter = mode.run, mode.enter
    forwards.wrap_all(forwards.RECORDING, recorder.around)
    mode.run = functools.partial(recorder.run, before)
    mode.enter = functools.partial(recorder.overwrite, functools.partial(run_by, enter))
    handles = register_module_forward_pre_hook(recorder.enter), register_module_forward_hook(recorder.leave)
    try:
        with no_grad(), promotions(recorder):
            yield recorder
    finally:
        for handle in handles:
            handle.remove()
        mode.run, mode.enter = before, enter
        forwards.unwrap_all(forwards.RECORDING)


@contextlib.contextmanager
def promotions(recorder: Recorder) -> Iterator[None]:
    """Record the casts of operands of different types, which are made before the forward is called."""
    changed = []

    def around(promote: Callable[..., Any]) -> Callable[..., Any]:
        def promoted(*operands: object) -> Any:
            made = promote(*operands)
            if not recorder.depth and threading.get_ident() == recorder.thread:
                for old, new in zip(operands, made):
                    if isinstance(old, np.ndarray) and isinstance(new, np.ndarray) and old.dtype != new.dtype:
                        recorder.call("_cast", "conversion", {"input": recorder.find(old), "target": new.dtype}, [new])
            return made

        return promoted

    for primitive in forwards.known():
        if hasattr(primitive, "promote"):
            changed.append((primitive, primitive.promote))
            primitive.promote = around(primitive.promote)
    try:
        yield
    finally:
        for primitive, promote in changed:
            primitive.promote = promote
