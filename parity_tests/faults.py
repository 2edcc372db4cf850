"""Faults that can be planted in mini_dl temporarily, each with the test that must detect it."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from mini_dl import no_grad
from mini_dl.autograd import node_names
from mini_dl.autograd.batching import ELEMENTWISE, RULES
from mini_dl.autograd.graph import restore
from mini_dl.ops.batching import MOVED
from mini_dl.tensor import Tensor, wrap

Plant = contextlib.AbstractContextManager[Any]


@dataclass(frozen=True)
class Fault:
    """`plant()` is a context in which the fault is present; `caught_by` is (kind, name, ...) of the test that must fail in it:
    ("op", entry, checks), ("module", entry), ("module", entry, checks), ("optimizer", entry), ("twin", module, test, arguments).
    """

    what: str
    family: str
    plant: Callable[[], Plant]
    caught_by: tuple[Any, ...]


# ------------------------------------------------------------------------------------------------ planting


def found(path: str) -> Any:
    """The object at a dotted path below mini_dl: ``ops.activation._softmax``."""
    parts = path.split(".")
    for cut in range(len(parts) - 1, -1, -1):
        try:
            here = importlib.import_module(".".join(["mini_dl", *parts[:cut]]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            here = getattr(here, part)
        return here
    raise AttributeError(path)


@contextlib.contextmanager
def gradient(path: str, change: Callable[[Any, Any, Any], Any]) -> Iterator[None]:
    """Change the gradients that the primitive at `path` sends: ``change(gradients, node, grad)``."""
    primitive = found(path).op
    before = dict(node_names._named)
    node_names._named.clear()  # copies that give nodes another name, made from the current primitive
    primitive.__dict__.pop("backward", None)

    def backward(node: Any, grad: Any) -> Any:
        values = types.MethodType(type(primitive).backward, primitive)(node, grad)
        setattr(primitive, "backward", backward)  # noqa: B010 - the call above stored the true one
        return tuple(change(list(values), node, grad))

    setattr(primitive, "backward", backward)  # noqa: B010
    try:
        yield
    finally:
        primitive.__dict__.pop("backward", None)
        node_names._named.clear()
        node_names._named.update(before)


@contextlib.contextmanager
def function(path: str, fault: Callable[..., Any]) -> Iterator[None]:
    """Replace the public function at `path` by `fault(original, *args, **kwargs)` wherever it is published."""
    original = found(path)

    def wrong(*args: Any, **kwargs: Any) -> Any:
        return fault(original, *args, **kwargs)

    wrong.__name__ = original.__name__
    plain = getattr(original, "__wrapped__", original)
    bare = inspect.unwrap(original)

    def is_spelling(name: str, value: Any) -> bool:
        """Whether it is the function, below its argument parser, or the method, which parses arguments in its own way."""
        if value is original or value is plain:
            return True
        return isinstance(value, types.FunctionType) and name == bare.__name__ and inspect.unwrap(value) is bare

    with contextlib.ExitStack() as stack:
        for place in [*modules(), Tensor]:
            for name, value in list(vars(place).items()):
                if is_spelling(name, value):
                    stack.enter_context(mock.patch.object(place, name, wrong))
        yield


def modules() -> list[Any]:
    import sys

    return [module for name, module in sys.modules.items() if name.split(".")[0] == "mini_dl" and module is not None]


def attribute(path: str, fault: Callable[..., Any]) -> Plant:
    """Replace one attribute (a helper, a method of a class) by `fault(original, *args, **kwargs)`."""
    owner, _, name = path.rpartition(".")
    original = found(path)

    def wrong(*args: Any, **kwargs: Any) -> Any:
        return fault(original, *args, **kwargs)

    return mock.patch.object(found(owner), name, wrong)


def each(change: Callable[[Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """A change of every gradient that is sent."""

    def changed(values: list[Any], node: Any, grad: Any) -> list[Any]:
        return [
            value
            if value is None
            else [g if g is None else change(g) for g in value]
            if isinstance(value, list)
            else change(value)
            for value in values
        ]

    return changed


def zero(g: Any) -> Any:
    return g * 0


def negative(g: Any) -> Any:
    return -g


def reversed_values(g: Any) -> Any:
    return g.flatten().flip(0).reshape(g.shape)


def transposed(g: Any) -> Any:
    return g.transpose(-1, -2).reshape(g.shape)


# ------------------------------------------------------------------------------------------------ faults


def biased(original: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    kwargs["correction"] = 0
    kwargs.pop("unbiased", None)
    return original(input, *[a for a in args if not isinstance(a, bool)], **kwargs)


def eps_outside(original: Any, input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    dims = tuple(range(-len(normalized_shape), 0))
    centered = input - input.mean(dims, keepdim=True)
    out = centered / ((centered * centered).mean(dims, keepdim=True).sqrt() + eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def first_row(original: Any, grad: Any, shape: Any, dtype: Any) -> Any:
    while grad.ndim > len(shape):
        grad = grad[0]
    for dim, size in enumerate(shape):
        if size == 1 and grad.shape[dim] > 1:
            grad = grad.narrow(dim, 0, 1)
    return original(grad, shape, dtype)


def no_accumulation(values: list[Any], node: Any, grad: Any) -> list[Any]:
    index, dim = restore(node.saved_["index"], node), restore(node.saved_["dim"], node)
    return [wrap(np.zeros_like(values[0]._array)).scatter(dim, index, grad)]


def pad_one_more(original: Any, input: Any, pad: Any, *args: Any, **kwargs: Any) -> Any:
    pad = list(pad)
    return original(input, [pad[0] + 1, pad[1] - 1, *pad[2:]], *args, **kwargs)


def without_rescale(original: Any, input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    out = original(input, p, training, inplace)
    return out * (1 - p) if training else out


def next_label(original: Any, input: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
    if not target.dtype.is_floating_point:
        target = (target + 1) % input.shape[min(1, input.ndim - 1)]
    return original(input, target, *args, **kwargs)


def flipped_ties(original: Any, input: Any, dim: int = -1, descending: bool = False, **kwargs: Any) -> Any:
    if not descending:
        return original(input, dim, descending, **kwargs)
    values, indices = original(input, dim, False, **kwargs)
    return type(original(input, dim))(values.flip(dim), indices.flip(dim))


def exclusive(original: Any, input: Any, dim: int, *args: Any, **kwargs: Any) -> Any:
    return original(input, dim, *args, **kwargs) - input


def uncorrected(original: Any, self: Any, param: Any, grad: Any, state: Any, group: Any) -> None:
    """Adam whose first step is not divided by 1 - beta."""
    before = param.copy()
    original(self, param, grad, state, group)
    param -= (param - before) * group.betas[0] ** float(state["step"])


def dampened_start(original: Any, self: Any, param: Any, grad: Any, state: Any, group: Any) -> None:
    """SGD whose first momentum is dampened too."""
    first = not state
    original(self, param, grad, state, group)
    if first and group.momentum:
        state["momentum_buffer"][...] *= 1 - group.dampening or 0.5


def unrounded(original: Any, values: Any) -> Any:
    return np.array(values, np.float32)


def swapped_decay(original: Any, decay: float = 0.999) -> Any:
    return original(1 - decay)


def without_history(original: Any, self: Any, value: Any) -> Any:
    return original(self, value.detach() if isinstance(value, Tensor) else value)


def unpenalized(original: Any, grad: Any, param: Any, weight_decay: float, *rest: Any) -> Any:
    return original(grad, param, 0.5 * weight_decay, *rest)


def numpys_promotion(original: Any, *operands: Any) -> Any:
    return np.result_type(*operands)


def one_draw_late(original: Any, self: Any, seed: Any) -> Any:
    out = original(self, seed)
    self.next_word()
    return out


def swapped_momentum(original: Any, running: Any, value: Any, momentum: float) -> None:
    original(running, value, 1 - momentum)


def stale(original: Any, view: Any, place: Any) -> Any:
    return view._edge


def batch_mean(original: Any, input: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
    if kwargs.get("reduction", "mean") == "mean" and input.ndim:
        return original(input, target, *args, **{**kwargs, "reduction": "sum"}) / len(input)
    return original(input, target, *args, **kwargs)


def one_dimensional(original: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    out = original(input, *args, **kwargs)
    return out.reshape(1) if out.ndim == 0 else out


def with_keywords(**changed: Any) -> Callable[..., Any]:
    def call(original: Any, *args: Any, **kwargs: Any) -> Any:
        return original(*args, **{**kwargs, **{k: f(kwargs[k]) for k, f in changed.items() if k in kwargs}})

    return call


def scaled(factor: float) -> Callable[..., Any]:
    return lambda original, *args, **kwargs: original(*args, **kwargs) * factor


def louder_queries(original: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
    return original(query * query.shape[-1] ** 0.5, *args, **kwargs)


def ignoring(*names: str) -> Callable[..., Any]:
    return lambda original, *args, **kwargs: original(*args, **{k: v for k, v in kwargs.items() if k not in names})


def detached(original: Any, *args: Any, **kwargs: Any) -> Any:
    return original(*args, **kwargs).detach()


def writes_its_input(original: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    out = original(input, *args, **kwargs)
    if input._array.flags.writeable:
        np.negative(input._array, out=input._array)
    return out


def shares_memory(original: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    return input * 1 if not isinstance(input, Tensor) else input.view(input.shape)


def uniform_everywhere(original: Any, tensor: Any, *args: Any, **kwargs: Any) -> Any:
    out = original(tensor, *args, **kwargs)
    with no_grad():
        return out.mul_(1.01)


def gates_swapped(original: Any, *args: Any, **kwargs: Any) -> Any:
    out, state = original(*args, **kwargs)
    return -out, state


def without_second_order_of_tanh() -> Plant:
    return gradient("ops.powers._tanh_backward", each(zero))


def op(what: str, family: str, plant: Callable[[], Plant], entry: str, *checks: str) -> Fault:
    return Fault(what, family, plant, ("op", entry, checks or ("forward", "grad")))


FAULTS = [
    op("zero softmax backward", "activation", lambda: gradient("ops.activation._softmax", each(zero)), "softmax", "grad"),
    op("biased variance", "reduction", lambda: function("var", biased), "var", "forward"),
    op(
        "eps in the wrong place",
        "normalization",
        lambda: function("nn.functional.layer_norm", eps_outside),
        "nn.functional.layer_norm",
    ),
    op("missing sum over a broadcast", "engine", lambda: attribute("autograd.engine.fitted", first_row), "add", "grad"),
    op("off-by-one padding", "padding", lambda: function("nn.functional.pad", pad_one_more), "nn.functional.pad:constant"),
    op("wrong sign in the slope of sin", "pointwise", lambda: gradient("ops.trigonometry.sin", each(negative)), "sin", "grad"),
    op("second order of tanh lost", "pointwise", without_second_order_of_tanh, "tanh", "gradgrad"),
    op(
        "max-pool gradient to the wrong element",
        "pooling",
        lambda: gradient("ops.pooling._maxima", each(reversed_values)),
        "nn.functional.max_pool2d",
        "grad",
    ),
    op(
        "average pooling by one more element",
        "pooling",
        lambda: function("nn.functional.avg_pool2d", scaled(0.99)),
        "nn.functional.avg_pool2d",
        "forward",
    ),
    op("transposed matmul gradient", "matmul", lambda: gradient("ops.matmul._rows", each(transposed)), "mm", "grad"),
    op("dropout without rescale", "dropout", lambda: function("nn.functional.dropout", without_rescale), "nn.functional.dropout"),
    op("cat split at the wrong place", "joining", lambda: gradient("ops.joining._cat", each(reversed_values)), "cat", "grad"),
    Fault(
        "gather adjoint without accumulation",
        "indexing",
        lambda: gradient("ops.gathering._gather", no_accumulation),
        ("twin", "indexing", "test_scatter_and_gather_with_repeats", {}),
    ),
    op(
        "wrong momentum in batch norm",
        "normalization",
        lambda: attribute("ops.normalization._update", swapped_momentum),
        "nn.functional.batch_norm",
        "forward",
    ),
    op("off-by-one label", "loss", lambda: function("nn.functional.cross_entropy", next_label), "nn.functional.cross_entropy"),
    op("mean over the batch alone", "loss", lambda: function("nn.functional.mse_loss", batch_mean), "nn.functional.mse_loss"),
    Fault(
        "ties of a sort in the other order",
        "sorting",
        lambda: function("sort", flipped_ties),
        ("twin", "indexing", "test_ties", {}),
    ),
    op("exclusive cumsum", "scans", lambda: function("cumsum", exclusive), "cumsum", "forward"),
    op("(1,) for ()", "reduction", lambda: function("sum", one_dimensional), "sum", "forward"),
    op("a result cut off from its history", "engine", lambda: function("exp", detached), "exp", "forward"),
    op("an input that was written", "pointwise", lambda: function("cos", writes_its_input), "cos", "forward"),
    op("a copy that shares memory", "views", lambda: function("clone", shares_memory), "clone", "forward"),
    op(
        "a diagonal beside the diagonal",
        "views",
        lambda: function("diagonal", with_keywords(offset=lambda k: k + 1)),
        "diagonal",
        "forward",
    ),
    op(
        "convolution gradient with a flipped kernel",
        "convolution",
        lambda: gradient("ops.convolution.conv", each(reversed_values)),
        "nn.functional.conv2d",
        "grad",
    ),
    op(
        "convolution that forgets dilation",
        "convolution",
        lambda: function("nn.functional.conv2d", ignoring("dilation")),
        "nn.functional.conv2d",
        "forward",
    ),
    Fault(
        "columns of Winograd's outputs mirrored on the way back",
        "convolution",
        lambda: attribute("kernels.winograd.Form.spread", lambda original, form, out, *at: original(form, out[..., ::-1], *at)),
        ("twin", "modules", "test_a_wide_convolution_and_its_gradients", {}),
    ),
    op(
        "determinant gradient transposed",
        "linalg",
        lambda: gradient("ops.determinants._det", each(transposed)),
        "linalg.det",
        "grad",
    ),
    op(
        "embedding gradient to other rows",
        "embedding",
        lambda: gradient("ops.embedding._embedding", each(reversed_values)),
        "nn.functional.embedding",
        "grad",
    ),
    op("transform normalized twice", "fft", lambda: function("fft.fft", ignoring("norm")), "fft.fft", "forward"),
    op(
        "corners aligned by mistake",
        "resampling",
        lambda: function("nn.functional.interpolate", ignoring("align_corners")),
        "nn.functional.interpolate:bilinear",
        "forward",
    ),
    op(
        "attention without its scale",
        "attention",
        lambda: function("nn.functional.scaled_dot_product_attention", louder_queries),
        "nn.functional.scaled_dot_product_attention",
        "forward",
    ),
    op(
        "distance of another norm",
        "distance",
        lambda: function("nn.functional.pairwise_distance", ignoring("p")),
        "nn.functional.pairwise_distance",
        "forward",
    ),
    op("special function off in the sixth digit", "special", lambda: function("special.erf", scaled(1 + 1e-6)), "erf", "forward"),
    op(
        "random numbers off by one draw",
        "random",
        lambda: attribute("kernels.mersenne.Generator.manual_seed", one_draw_late),
        "bernoulli",
        "forward",
    ),
    op(
        "filled with a little more",
        "creation",
        lambda: function("full_like", lambda original, input, fill, **k: original(input, fill + 1, **k)),
        "full_like",
        "forward",
    ),
    Fault(
        "NumPy's promotion",
        "types",
        lambda: attribute("_dtypes.result_numpy", numpys_promotion),
        ("twin", "dtypes", "test_an_operator_promotes", {"name": "add"}),
    ),
    Fault(
        "a view left stale after a write",
        "in-place",
        lambda: attribute("autograd.graph.refreshed", stale),
        ("twin", "views", "test_gradient_through_a_write_to_the_base_after_the_view", {"view": "select"}),
    ),
    Fault(
        "Adam without bias correction",
        "optimizers",
        lambda: attribute("optim.Adam.update", uncorrected),
        ("optimizer", "optim.Adam"),
    ),
    Fault(
        "first momentum dampened", "optimizers", lambda: attribute("optim.SGD.update", dampened_start), ("optimizer", "optim.SGD")
    ),
    Fault(
        "Muon in single precision",
        "optimizers",
        lambda: attribute("kernels.orthogonal.bfloat16", unrounded),
        ("optimizer", "optim.Muon"),
    ),
    Fault(
        "half of the weight decay",
        "optimizers",
        lambda: attribute("optim.adagrad.with_penalty", unpenalized),
        ("optimizer", "optim.RMSprop"),
    ),
    Fault(
        "an average that forgets at the wrong end",
        "optimizers",
        lambda: attribute("optim.swa_utils.get_ema_avg_fn", swapped_decay),
        (
            "twin",
            "swa",
            "test_averages_of_a_run",
            {"how": "exponential, one by one", "dtype": "float64", "use_buffers": False},
        ),
    ),
    Fault(
        "a recorded step that forgets what was written before",
        "optimizers",
        lambda: attribute("optim._recorded.Recorded._set", without_history),
        ("twin", "differentiable", "test_tensor_options_of_one_element_and_float32", {}),
    ),
    Fault(
        "gamma numbers that change with their shape in the wrong direction",
        "distributions",
        lambda: attribute("kernels.gamma.gamma_slope", lambda original, a, x: -original(a, x)),
        ("twin", "distributions", "test_bayesian_regression_by_variational_inference", {}),
    ),
    Fault(
        "initial weights a little wider",
        "modules",
        lambda: attribute("nn.init.kaiming_uniform_", uniform_everywhere),
        ("module", "nn.Linear"),
    ),
    Fault(
        "evaluation by the statistics of the batch",
        "modules",
        lambda: attribute("nn.BatchNorm1d.forward", lambda original, self, input: original(self.train(), input)),
        ("module", "nn.BatchNorm1d"),
    ),
    Fault(
        "recurrent output of the wrong sign",
        "modules",
        lambda: attribute("nn.LSTM.forward", gates_swapped),
        ("module", "nn.LSTM"),
    ),
]


# ------------------------------------------------------------------------------------------------ forward-mode derivatives


def property_of(path: str, **changed: Any) -> Plant:
    """Change a declaration of the primitive at `path`."""
    return mock.patch.multiple(found(path).op, **changed)


FAULTS += [
    op(
        "wrong sign in a transpose",
        "forwards",
        lambda: gradient("ops.activation.log_softmax_backward", each(negative)),
        "log_softmax",
        "forward_ad",
    ),
    op(
        "a view that drops its tangent",
        "forwards",
        lambda: property_of("ops.views._transpose", formulas=[]),
        "transpose",
        "forward_ad",
    ),
    op(
        "a product taken for linear in both factors together",
        "forwards",
        lambda: property_of("ops.arithmetic.mul", linear=(("input", "other"),)),
        "mul",
        "forward_ad",
    ),
    op(
        "softmax taken for linear",
        "forwards",
        lambda: property_of("ops.activation._softmax", linear=(("input",),)),
        "softmax",
        "forward_ad",
    ),
    op(
        "a tangent that a write in place leaves as it was",
        "forwards",
        lambda: attribute("autograd.transforms.renew", lambda original, target, tangent: None),
        "exp",
        "forward_ad",
    ),
    op(
        "a saved result that loses its tangent",
        "forwards",
        lambda: attribute("autograd.graph.shadow_of", lambda original, tensor: wrap(tensor._array)),
        "exp",
        "fwgrad_bwgrad",
    ),
    op(
        "max pooling that takes the tangent of its neighbor",
        "forwards",
        lambda: property_of("ops.pooling._maxima", forwards=lambda tangent, result, *rest: result),
        "nn.functional.max_pool2d",
        "forward_ad",
    ),
]


# ------------------------------------------------------------------------------------------------ batches


def batch_misplaced(path: str) -> Plant:
    """Let the rule of the primitive at `path` put the batch last, as if its dimensions were those of an element."""
    primitive = found(path).op
    rule = RULES.get(primitive, RULES[ELEMENTWISE])

    def misplaced(result: Any) -> Any:
        if isinstance(result, tuple):
            return tuple([misplaced(one) for one in result])
        if not isinstance(result, Tensor):
            return result
        return result.movedim(0, -1).reshape(result.shape) if result.ndim > 1 else result.roll(1)

    return mock.patch.dict(RULES, {primitive: lambda call: misplaced(rule(call))})


MAPPED = {
    "elementwise": ("ops.powers.exp", "exp"),
    "binary": ("ops.arithmetic.mul", "mul"),
    "a choice": ("ops.choice._where", "where"),
    "a view": ("ops.views._permute", "permute"),
    "a part": ("ops.parts._slice", "narrow"),
    "joined": ("ops.joining._cat", "cat"),
    "a sum": ("ops.reduction._sum", "sum"),
    "an extreme": ("ops.reduction._amax", "amax"),
    "a scan": ("ops.scans._cumsum", "cumsum"),
    "sorted": ("ops.sorting._top", "topk"),
    "a norm": ("ops.vector_norms._vector_norm", "linalg.vector_norm"),
    "softmax": ("ops.activation._softmax", "softmax"),
    "one matrix": ("ops.matmul._rows", "mm"),
    "stacks of matrices": ("ops.matmul._batched", "bmm"),
    "a linear layer": ("ops.matmul._affine", "nn.functional.linear"),
    "convolution": ("ops.convolution.conv", "nn.functional.conv2d"),
    "transposed convolution": ("ops.convolution.conv_input", "nn.functional.conv_transpose2d"),
    "rows normalized": ("ops.normalization._row_norm", "nn.functional.layer_norm"),
    "channels normalized": ("ops.normalization._channel_norm", "nn.functional.group_norm"),
    "pooling": ("ops.pooling._maxima", "nn.functional.max_pool2d"),
    "padding": ("ops.padding._pad_constant", "constant_pad_nd"),
    "windows": ("ops.parts._unfold", "unfold"),
    "resampling": ("ops.resampling._resample", "nn.functional.upsample_bilinear"),
    "indices": ("ops.indexing._index_put", "index_put"),
    "gathering": ("ops.gathering._gather", "gather"),
    "rows of a table": ("ops.embedding._embedding", "nn.functional.embedding"),
    "filling": ("ops.masks._masked_fill", "masked_fill"),
    "decomposed": ("ops.determinants._det", "linalg.det"),
    "solved": ("ops.solving._solve", "linalg.solve"),
    "transformed": ("ops.fft.complex_to_complex", "fft.fft"),
    "attention": ("ops.attention._attention", "nn.functional.scaled_dot_product_attention"),
    "a loss": ("ops.classification._cross_entropy", "nn.functional.cross_entropy"),
}
"""By family, a primitive and an op that calls it."""

FAULTS += [
    op(f"a batch misplaced: {family}", "batches", functools.partial(batch_misplaced, path), name, "vmap")
    for family, (path, name) in MAPPED.items()
]
FAULTS += [
    op(
        "the gradient of a weight that adds up the batch",
        "batches",
        lambda: batch_misplaced("ops.convolution.conv_weight"),
        "nn.functional.conv2d",
        "vmap_grad",
    ),
    op(
        "sizes of 1 that are put before the batch",
        "batches",
        lambda: attribute("ops.batching.ranked", lambda original, tensor, batched, rank: tensor),
        "add",
        "vmap",
    ),
    op(
        "dimensions that are not moved behind the batch",
        "batches",
        lambda: mock.patch.dict(MOVED, {"dims": lambda call, dims: dims}),
        "logsumexp",
        "vmap",
    ),
]
