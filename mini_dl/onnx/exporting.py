"""From a model and example inputs to an ONNX model: run it a few times, record, merge the runs, translate."""

from __future__ import annotations

import contextlib
import enum
import inspect
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mini_dl._dtypes import FLOATING, Array
from mini_dl.files.replacing import replaced
from mini_dl.nn import Module
from mini_dl.onnx.building import Builder, Term, library
from mini_dl.onnx.errors import OnnxExporterError
from mini_dl.onnx.operators import TABLE
from mini_dl.onnx.recording import Call, Value, recording
from mini_dl.onnx.sizes import Assignment, Size, Trace, bring_together, values_in
from mini_dl.ops.random import get_rng_state, set_rng_state
from mini_dl.tensor import Tensor, wrap

OLDEST, USUAL = 18, 20
"""The oldest supported opset, and the default."""
LARGEST = 2**31 - 1
"""The maximum size in bytes of a protocol buffers file."""


class TrainingMode(enum.Enum):
    """The mode in which a model is exported: evaluation, unchanged, or training."""

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


class _State(threading.local):
    exporting = False


_state = _State()


def is_in_onnx_export() -> bool:
    """Whether this thread is exporting a model."""
    return _state.exporting


# ------------------------------------------------------------------------------------------------ inputs, outputs


def flattened(what: object, path: str = "") -> list[tuple[str, Any]]:
    """The tensors in lists, tuples and dictionaries, with names made from their paths."""
    if isinstance(what, Tensor):
        return [(path, what)]
    parts: Any = ()
    if isinstance(what, Mapping):
        parts = what.items()
    elif isinstance(what, (list, tuple)):
        parts = enumerate(what)
    return [found for key, part in parts for found in flattened(part, f"{path}_{key}" if path else str(key))]


def replaced_tensors(what: object, tensors: Iterator[Tensor]) -> Any:
    """The same structure with other tensors, in the order of `flattened`."""
    if isinstance(what, Tensor):
        return next(tensors)
    if isinstance(what, Mapping):
        return type(what)({key: replaced_tensors(part, tensors) for key, part in what.items()})  # type: ignore[call-arg]
    if isinstance(what, (list, tuple)):
        made = [replaced_tensors(part, tensors) for part in what]
        return type(what)(*made) if hasattr(what, "_fields") else type(what)(made)
    return what


def by_parameter(model: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    """The arguments with the names of the forward's parameters."""
    try:
        bound = inspect.signature(model.forward).bind(*args, **kwargs)
    except TypeError as error:
        raise OnnxExporterError(f"The arguments do not fit the forward of {type(model).__name__}: {error}") from None
    named: list[tuple[str, Any]] = []
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            named += value.items()
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            named += [(f"{name}_{i}", one) for i, one in enumerate(value)]
        else:
            named.append((name, value))
    return named


def resized(array: Array, shape: Sequence[int], turn: int) -> Array:
    """`array` in another shape, its elements repeated along the dimensions that grow; rotated by `turn` positions."""
    for dim, n in enumerate(shape):
        array = array.take(np.arange(n) % max(1, array.shape[dim]), dim) if n != array.shape[dim] else array
    if not turn:
        return array.copy()
    turned = np.roll(array.reshape(-1), turn).reshape(array.shape)
    return turned * turned.dtype.type(0.9375) if turned.dtype.kind in FLOATING else turned


# ------------------------------------------------------------------------------------------------ dynamic dimensions


def dynamic_dims(
    names: Sequence[str],
    axes: Any,
    shapes: Any,
    arguments: Sequence[tuple[str, Any]],
    outputs: Sequence[str],
) -> dict[str, dict[int, str]]:
    """For each input (and output, with `axes`), the names of its dynamic dimensions."""
    found: dict[str, dict[int, str]] = {}
    for name, dims in (axes or {}).items():
        if name not in (*names, *outputs):
            raise OnnxExporterError(f"dynamic_axes names {name!r}, which is neither an input nor an output: {[*names, *outputs]}")
        listed: Any = (
            dims.items() if isinstance(dims, Mapping) else [(dim, f"{name}_dynamic_axes_{i + 1}") for i, dim in enumerate(dims)]
        )
        found[name] = {int(dim): str(label) for dim, label in listed}
    if shapes is None:
        return found
    tree = shapes if isinstance(shapes, Mapping) else dict(zip([name for name, _ in arguments], shapes))
    if unknown := set(tree) - {name for name, _ in arguments} - set(names):
        raise OnnxExporterError(f"dynamic_shapes names {sorted(unknown)}, the arguments are {[name for name, _ in arguments]}")
    original = iter(names)
    for path, argument in arguments:
        for (_, tensor), dims in zip(flattened(argument, path), leaves(tree.get(path), argument)):
            name = next(original)
            dims = dims if dims is not None else tree.get(name)
            listed = dims.items() if isinstance(dims, Mapping) else enumerate(dims or ())
            labels = {int(dim) % max(1, tensor.ndim): label_of(one, f"{name}_dim_{dim}") for dim, one in listed}
            found[name] = {dim: label for dim, label in labels.items() if label is not None}
    return found


def leaves(tree: Any, argument: object) -> Iterator[Any]:
    """The dynamic shape of each tensor of an argument."""
    if isinstance(argument, Tensor):
        yield tree
    elif isinstance(argument, Mapping):
        for key, part in argument.items():
            yield from leaves(None if tree is None else tree.get(key), part)
    elif isinstance(argument, (list, tuple)):
        for i, part in enumerate(argument):
            yield from leaves(None if tree is None else tree[i], part)


def label_of(dim: object, otherwise: str) -> str | None:
    """The name of a dynamic dimension: a string, or the name of a ``Dim``; None for a fixed size."""
    if dim is None or isinstance(dim, int) or str(dim).endswith("STATIC"):
        return None
    if isinstance(dim, str):
        return dim
    text = getattr(dim, "__name__", str(dim))
    return otherwise if text.endswith(("AUTO", "DYNAMIC")) else text


def assignments(labels: Mapping[str, int]) -> list[Assignment]:
    """The sizes of the runs: those of the example (at least 2, since 1 is special), again, all combinations with one more each,
    and one run with very different sizes, which must confirm the others."""
    first = {label: max(2, n) for label, n in labels.items()}
    runs: list[Assignment] = [first, first]
    steps = itertools.product((0, 1), repeat=len(labels))
    runs += [{label: n + step for (label, n), step in zip(first.items(), more)} for more in steps if any(more)]
    if labels:
        runs.append({label: n + 3 for label, n in first.items()})
    return runs


# ------------------------------------------------------------------------------------------------ running


@contextlib.contextmanager
def settings(model: Module, training: object) -> Iterator[None]:
    """The model in the mode of the export; the previous mode is restored afterward."""
    modes = [(module, module.training) for module in model.modules()]
    state, before = get_rng_state(), [buffer.clone() for buffer in model.buffers()]
    name = getattr(training, "name", str(training)).rpartition(".")[2]
    if name != "PRESERVE":
        model.train(name == "TRAINING")
    _state.exporting = True
    try:
        yield
    finally:
        _state.exporting = False
        for module, was in modes:
            module.training = was
        set_rng_state(state)
        for buffer, kept in zip(model.buffers(), before):
            if buffer._array.size:
                buffer._array[...] = kept._array


def run(model: Module, args: Any, kwargs: Any, arrays: Sequence[Array]) -> tuple[Trace, list[tuple[str, Any]]]:
    """One run on these arrays."""
    tensors = [wrap(array) for array in arrays]
    given = iter(tensors)
    args, kwargs = replaced_tensors(args, given), replaced_tensors(kwargs, given)
    with recording(model) as recorder:
        inputs = [recorder.value(tensor._array, "input") for tensor in tensors]
        result = model(*args, **kwargs)
        results = flattened(result)
        outputs = [recorder.find(tensor._array) for _, tensor in results]
    for value in recorder.made:
        if value.kind == "result":  # from here on, only its shape and type matter
            value.array = np.broadcast_to(np.zeros((), value.dtype), value.array.shape)
    return Trace(recorder.calls, recorder.made, inputs, outputs), results


def needed(trace: Trace) -> list[Call]:
    """The calls that the outputs depend on, in their order."""
    wanted: set[int] = set()
    waiting = [value.call for value in trace.outputs]
    while waiting:
        call = waiting.pop()
        if call is None or id(call) in wanted:
            continue
        wanted.add(id(call))
        waiting += [value.call for value in values_in(list(call.args.values()))]
    return [call for call in trace.calls if id(call) in wanted]


def translate(builder: Builder, call: Call) -> None:
    """Create the nodes of a call."""
    builder.call = call
    translation = TABLE.get(f"{call.home}.{call.name}") or TABLE.get(call.name)
    if translation is None or any([value.dtype.kind == "c" for value in (*call.outputs, *values_in(list(call.args.values())))]):
        raise builder.unsupported()
    made = translation(builder, *call.args.values())
    for value, term in zip(call.outputs, made if isinstance(made, tuple) else (made,)):
        builder.terms[value.number] = Term(term.name, value.dtype, value.shape)


# ------------------------------------------------------------------------------------------------ writing


def described(builder: Builder, name: str, value: Value, labels: Mapping[int, str]) -> Any:
    """The description of an input or output in the graph."""
    shape = [labels.get(dim, str(n) if isinstance(n, Size) else n) for dim, n in enumerate(value.shape)]
    return builder.onnx.helper.make_tensor_value_info(name, builder.type_of(value.dtype), shape)


def named_outputs(builder: Builder, trace: Trace, names: Sequence[str]) -> None:
    """Name the outputs by renaming the results of their nodes, or by an Identity."""
    builder.call = Call("", "", {}, "")
    made = {name for node in builder.nodes for name in node.output}
    renamed: dict[str, str] = {}
    for value, name in zip(trace.outputs, names):
        old = builder.term(value).name
        if old in made and old not in renamed:
            renamed[old] = name
        else:
            builder.nodes.append(builder.onnx.helper.make_node("Identity", [renamed.get(old, old)], [name], name=f"/{name}"))
    for node in builder.nodes:
        for names_ in (node.input, node.output):
            for i, name in enumerate(names_):
                names_[i] = renamed.get(name, name)


def pruned(builder: Builder, outputs: Sequence[str]) -> list[Any]:
    """The nodes that the outputs need."""
    wanted, kept = set(outputs), []
    for node in reversed(builder.nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    builder.initializers = {name: array for name, array in builder.initializers.items() if name in wanted}
    return kept[::-1]


class ONNXProgram:
    """An exported model: `model_proto` is onnx's representation.

    ``program.save(path)`` writes the file; ``program(*tensors)`` evaluates it with onnx's reference evaluator.
    """

    def __init__(self, model_proto: Any) -> None:
        self.model_proto = model_proto

    def save(self, destination: Any, **_: object) -> None:
        """Write the model to a file, which is replaced atomically."""
        with replaced(destination) as file:
            file.write(self.model_proto.SerializeToString())

    def __call__(self, *args: object) -> tuple[Tensor, ...]:
        evaluator = library_part("reference").ReferenceEvaluator(self.model_proto)
        arrays = [tensor._array for _, tensor in flattened(args)]
        names = [one.name for one in self.model_proto.graph.input]
        return tuple([wrap(np.asarray(found)) for found in evaluator.run(None, dict(zip(names, arrays)))])

    def __repr__(self) -> str:
        graph = self.model_proto.graph
        ends = " -> ".join([", ".join([one.name for one in some]) for some in (graph.input, graph.output)])
        return f"<ONNXProgram of {len(graph.node)} nodes: {ends}>"


def library_part(name: str) -> Any:
    library()
    return __import__(f"onnx.{name}", fromlist=[name])


# ------------------------------------------------------------------------------------------------ export


def opset_of(wanted: int | None) -> int:
    """The opset to write. ValueError if it is too old, or newer than onnx supports."""
    newest = int(library().defs.onnx_opset_version())
    opset = USUAL if wanted is None else wanted
    if not OLDEST <= opset <= newest:
        raise ValueError(f"Unsupported ONNX opset version: {opset}; opset_version may be {OLDEST} to {newest}")
    return opset


def exported(
    model: Module, args: tuple[Any, ...], kwargs: dict[str, Any], input_names: Sequence[str] | None,
    output_names: Sequence[str] | None, opset_version: int | None, dynamic_shapes: object, dynamic_axes: object, training: object,
    weights_as_inputs: bool, with_weights: bool, verify: bool,
) -> ONNXProgram:  # fmt: skip
    """The program of a model: see `export`."""
    opset = opset_of(opset_version)
    arguments = by_parameter(model, args, kwargs)
    found = [one for name, argument in arguments for one in flattened(argument, name)]
    names = renamed([name for name, _ in found], input_names, "input_names")
    arrays = [tensor.detach()._array for _, tensor in found]
    labels = dynamic_dims(names, dynamic_axes, dynamic_shapes, arguments, output_names or ())
    dims, sizes = places_of_labels(names, labels, arrays)
    runs = assignments(sizes)
    # `flattened` yields args and kwargs in the order of the call, which may differ from that of the parameters
    order = [next(i for i, (_, one) in enumerate(found) if one is tensor) for _, tensor in flattened((args, kwargs))]
    traces: list[Trace] = []
    results: list[tuple[str, Any]] = []
    with settings(model, training):
        for turn, sizes_ in enumerate(runs):
            shaped = [
                resized(array, [sizes_.get(labels.get(name, {}).get(dim, ""), n) for dim, n in enumerate(array.shape)], turn)
                for name, array in zip(names, arrays)
            ]
            trace, results = run(model, args, kwargs, [shaped[i] for i in order])
            trace.inputs = [trace.inputs[order.index(i)] for i in range(len(shaped))]
            traces.append(trace)
    bring_together(traces, runs)
    outputs = renamed(["output" if len(results) == 1 else f"output_{path}" for path, _ in results], output_names, "output_names")
    builder = Builder(traces, runs, opset, dims)
    proto = written(builder, names, outputs, labels, weights_as_inputs, with_weights)
    program = ONNXProgram(proto)
    if verify:
        compare(program, model, args, kwargs, training)
    return program


def renamed(names: list[str], given: Sequence[str] | None, what: str) -> list[str]:
    """`names`, with the first ones replaced by the given names."""
    given = list(given or ())
    if len(given) > len(names):
        raise ValueError(f"{what} has {len(given)} names for {len(names)}: {given}")
    return [*given, *names[len(given) :]]


def places_of_labels(
    names: Sequence[str], labels: Mapping[str, Mapping[int, str]], arrays: Sequence[Array]
) -> tuple[dict[str, tuple[str, int]], dict[str, int]]:
    """Where the size of each dynamic dimension occurs first, and its value in the example."""
    dims: dict[str, tuple[str, int]] = {}
    sizes: dict[str, int] = {}
    for name, array in zip(names, arrays):
        for dim, label in labels.get(name, {}).items():
            if not 0 <= dim < array.ndim:
                raise OnnxExporterError(f"{name} has no dimension {dim}: its shape is {list(array.shape)}")
            dims.setdefault(label, (name, dim))
            if sizes.setdefault(label, array.shape[dim]) != array.shape[dim]:
                raise OnnxExporterError(f"{label!r} is {sizes[label]} in {dims[label][0]!r} and {array.shape[dim]} in {name!r}")
    return dims, sizes


def written(
    builder: Builder, names: Sequence[str], outputs: Sequence[str], labels: Mapping[str, Mapping[int, str]],
    weights_as_inputs: bool, with_weights: bool,
) -> Any:  # fmt: skip
    """The model in onnx's representation, checked."""
    helper, trace = builder.onnx.helper, builder.traces[0]
    for name, value in zip(names, trace.inputs):
        builder.terms[value.number] = Term(name, value.dtype, value.shape)
        builder.used[name] = 1
    for name in outputs:
        builder.used[name] = 1
    for call in needed(trace):
        translate(builder, call)
    named_outputs(builder, trace, outputs)
    nodes = pruned(builder, outputs)
    inputs = [described(builder, name, value, labels.get(name, {})) for name, value in zip(names, trace.inputs)]
    numpy_helper = library_part("numpy_helper")
    tensors = [numpy_helper.from_array(array, name) for name, array in builder.initializers.items()]
    if weights_as_inputs:
        inputs += [helper.make_tensor_value_info(one.name, one.data_type, list(one.dims)) for one in tensors]
    graph = helper.make_graph(
        nodes, "main_graph", inputs,
        [described(builder, name, value, labels.get(name, {})) for name, value in zip(outputs, trace.outputs)],
        tensors if with_weights else [],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", builder.opset)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets))
    proto.producer_name = "mini_dl"
    if proto.ByteSize() > LARGEST:
        raise OnnxExporterError(
            f"The model has {proto.ByteSize()} bytes; a file can have {LARGEST}, and data beside it is not here"
        )
    builder.onnx.checker.check_model(proto, full_check=True)
    return proto


def compare(program: ONNXProgram, model: Module, args: Any, kwargs: Any, training: object) -> None:
    """OnnxExporterError if the results of the program differ from those of the model."""
    with settings(model, training):
        expected = flattened(model(*args, **kwargs))
    order = [tensor for _, argument in by_parameter(model, args, kwargs) for _, tensor in flattened(argument)]
    for (path, tensor), found in zip(expected, program(*order)):
        array = tensor.detach()._array
        close = (
            np.allclose(found._array, array, rtol=1e-3, atol=1e-4)
            if array.dtype.kind in FLOATING
            else (found._array == array).all()
        )
        if found._array.shape != array.shape or not close:
            raise OnnxExporterError(f"The output {path or 'of the model'} differs from that of the exported model")
