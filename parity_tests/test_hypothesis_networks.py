"""Random stacks of layers with random options, built under both libraries from one seed: one training step is compared.

Calls that torch rejects must be rejected here too. The examples are derandomized: the same on every run.
"""

from __future__ import annotations

import copy
import functools
import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import Phase, given, settings, strategies as st

from parity_tests import bridge, compare
from parity_tests.judging import same_exception

mini_dl = bridge.mini_dl
PHASES = (Phase.explicit, Phase.generate)


def examples(n: int) -> Any:
    return settings(max_examples=n, derandomize=True, deadline=None, database=None, phases=PHASES)


Spec = tuple[str, tuple[Any, ...], dict[str, Any]]  # the class of a layer, its arguments
flags, seeds, small = st.booleans(), st.integers(0, 2**16), st.integers(1, 3)


def build(library: Any, spec: Spec) -> Any:
    name, args, kwargs = spec
    return getattr(library.nn, name)(*args, **kwargs)


def on_zeros(library: Any, spec: Spec, shape: tuple[int, ...]) -> Any:
    return build(library, spec)(library.zeros(shape))


def quiet(call: Callable[[], Any]) -> Any:
    """The result of `call`, or the exception it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call()
        except Exception as error:
            return error


def step(library: Any, model: Any, call: Callable[..., Any], inputs: Any, weights: Any) -> Any:
    """One training step in float64, then one evaluation: outputs, gradients, parameters and buffers."""
    convert = bridge.to_mini if library is mini_dl else bridge.copy
    inputs = convert(inputs)
    library.manual_seed(5)
    outputs = [t for t in bridge.tensors(call(model, inputs)) if t.is_floating_point()]
    loss = sum([(out * convert(weights(i, out))).sum() for i, out in enumerate(outputs)])
    optimizer = library.optim.SGD(model.parameters(), lr=0.01) if list(model.parameters()) else None
    if loss.requires_grad:
        loss.backward()
    grads = [t.grad for t in (*bridge.tensors(inputs), *model.parameters())]
    if optimizer is not None:
        optimizer.step()
    with library.no_grad():
        evaluated = call(model.eval(), inputs)
    return outputs, grads, dict(model.state_dict()), evaluated


def cotangents(i: int, out: Any) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(i).standard_normal(tuple(out.shape)))


def compare_step(make: Callable[[Any], Any], call: Callable[..., Any], inputs: Any, about: Any) -> None:
    """Fail unless `make(library)` gives the same initial parameters and `call(model, inputs)` the same training step."""
    models = []
    for library in (torch, mini_dl):
        library.manual_seed(3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models.append(make(library))
    theirs, ours = models
    why = None if repr(ours) == repr(theirs) else f"repr {ours!r} instead of {theirs!r}"
    why = why or compare.same(dict(ours.state_dict()), dict(theirs.state_dict()), where="initial ")
    assert not why, f"{why}\n{about}"
    ours.double()
    theirs.double()
    ours.load_state_dict(bridge.to_mini(dict(theirs.state_dict())))  # normal draws agree to 2.4e-7 only
    expected = quiet(lambda: step(torch, copy.deepcopy(theirs), call, inputs, cotangents))
    answer = quiet(lambda: step(mini_dl, ours, call, inputs, cotangents))
    if "modified by an inplace operation" in str(expected) and not isinstance(answer, Exception):
        return  # torch saved the overwritten value, which mini_dl did not need
    if isinstance(expected, Exception) or isinstance(answer, Exception):
        agree = isinstance(expected, Exception) and isinstance(answer, Exception) and same_exception(answer, type(expected))
        assert agree, f"{answer!r}\ninstead of\n{expected!r}\n{about}"
        return
    why = compare.same(answer, expected, where="(outputs, gradients, state, evaluation)")
    assert not why, f"{why}\n{about}"


# ------------------------------------------------------------------------------------------------ images


def convolution(draw: Any, n: int, channels: int) -> Spec:
    groups = draw(st.sampled_from([g for g in (1, 1, 2, 3, 4) if channels % g == 0]))
    kernel = draw(st.one_of(small, st.tuples(*[small] * n)))
    options = {
        "stride": draw(st.integers(1, 2)),
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
        "bias": draw(flags),
    }
    if draw(st.integers(0, 3)) == 0:
        options["padding"] = draw(st.integers(0, 1))
        options["output_padding"] = draw(st.integers(0, 1))
        return f"ConvTranspose{n}d", (channels, groups * draw(st.integers(1, 2)), kernel), options
    options["padding"] = draw(st.sampled_from([0, 1, 2, "same", "valid"]))
    options["padding_mode"] = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    return f"Conv{n}d", (channels, groups * draw(st.integers(1, 2)), kernel), options


def pooling(draw: Any, n: int, shape: tuple[int, ...]) -> Spec:
    kind = draw(st.sampled_from(["MaxPool", "AvgPool", "LPPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "FractionalMaxPool"]))
    if kind.startswith("Adaptive"):
        return f"{kind}{n}d", (draw(small),), {}
    if kind == "FractionalMaxPool":
        return f"{kind}{max(n, 2)}d", (2,), {"output_size": draw(st.integers(1, 2))}
    kernel, stride = draw(small), draw(st.sampled_from([None, 1, 2]))
    if kind == "LPPool":
        return f"{kind}{n}d", (2.0, kernel, stride), {"ceil_mode": draw(flags)}
    options = {"padding": draw(st.integers(0, 1)), "ceil_mode": draw(flags)}
    if kind == "MaxPool":
        return f"{kind}{n}d", (kernel, stride), {**options, "dilation": draw(st.integers(1, 2))}
    if n > 1:
        options["divisor_override"] = draw(st.sampled_from([None, 3]))
    return f"{kind}{n}d", (kernel, stride), {**options, "count_include_pad": draw(flags)}


def normalization(draw: Any, n: int, shape: tuple[int, ...]) -> Spec:
    channels = shape[1]
    kind = draw(st.sampled_from(["BatchNorm", "InstanceNorm", "GroupNorm", "LayerNorm", "RMSNorm", "LocalResponseNorm"]))
    if kind in ("BatchNorm", "InstanceNorm"):
        options = {"affine": draw(flags), "track_running_stats": draw(flags), "eps": draw(st.sampled_from([1e-5, 0.1]))}
        return f"{kind}{n}d", (channels,), {**options, "momentum": draw(st.sampled_from([0.1, 0.5] + [None] * (kind[0] == "B")))}
    if kind == "GroupNorm":
        size = channels * math.prod(shape[2:])  # one value is its own mean: what is left of it is 0 but for rounding, and a kink
        fitting = [g for g in (1, 2, 3) if channels % g == 0 and size > g]  # that follows would turn on the last bit
        if not fitting:
            return "Identity", (), {}
        groups = draw(st.sampled_from(fitting))
        return kind, (groups, channels), {"affine": draw(flags)}
    if kind == "LocalResponseNorm":
        return kind, (draw(st.integers(1, 4)),), {"alpha": 0.5, "beta": draw(st.sampled_from([0.75, 0.5])), "k": 1.5}
    normalized = list(shape[draw(st.integers(1, len(shape) - 1)) :])
    options = {"elementwise_affine": draw(flags)}
    return kind, (normalized,), options if kind == "RMSNorm" else {**options, "bias": draw(flags)}


ACTIVATIONS: list[Spec] = [
    *[
        (name, (), {})
        for name in "ReLU6 Hardswish Hardsigmoid Sigmoid Tanh LogSigmoid SiLU Mish Softsign Tanhshrink SELU".split()
    ],
    *[(name, (), {}) for name in "Softplus GELU Hardshrink Softshrink Hardtanh CELU ELU LeakyReLU PReLU RReLU Softmin".split()],
    ("ReLU", (), {"inplace": True}),
    ("GELU", ("tanh",), {}),
    ("ELU", (0.5,), {"inplace": True}),
    ("CELU", (2.0,), {}),
    ("LeakyReLU", (0.2,), {"inplace": True}),
    ("Softplus", (2.0, 3.0), {}),
    ("Threshold", (0.1, 0.3), {}),
    ("RReLU", (0.1, 0.4), {}),
    ("Softmax", (1,), {}),
    ("LogSoftmax", (-1,), {}),
    ("GLU", (1,), {}),
    ("Identity", (), {}),
    ("Dropout", (0.3,), {}),
    ("AlphaDropout", (0.3,), {}),
    ("FeatureAlphaDropout", (0.3,), {}),
]


def other(draw: Any, n: int, shape: tuple[int, ...]) -> Spec:
    pads = draw(st.one_of(st.integers(0, 2), st.tuples(*[st.integers(-1, 2)] * (2 * n))))
    mode = draw(st.sampled_from(["nearest", "nearest-exact", ["linear", "bilinear", "trilinear"][n - 1], "bicubic"]))
    corners = draw(st.sampled_from([None, True, False])) if "linear" in mode or mode == "bicubic" else None
    padding = draw(st.sampled_from(["ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"]))
    crops = padding == "CircularPad" and isinstance(pads, tuple)  # torch's is wrong there: docs/faults_in_torch.md
    around = tuple([max(0, pad) for pad in pads]) if crops else pads
    choices: list[Spec] = [
        ("Linear", (shape[-1], draw(small)), {"bias": draw(flags)}),
        (f"{padding}{n}d", (around,), {}),
        (f"ConstantPad{n}d", (pads, 0.5), {}),
        ("Upsample", (), {"scale_factor": draw(st.sampled_from([2, 1.5, 0.7])), "mode": mode, "align_corners": corners}),
        (f"Dropout{n}d", (0.4,), {}),
        ("PReLU", (shape[1],), {"init": 0.1}),
        ("PixelShuffle", (2,), {}),
        ("PixelUnshuffle", (2,), {}),
        ("ChannelShuffle", (2,), {}),
        ("Unfold", (2,), {"padding": 1}),
        ("Softmax2d", (), {}),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def stacks(draw: Any) -> tuple[list[Spec], torch.Tensor]:
    """Layers that fit together, and an input. Layers that torch rejects for the given shape must be rejected here too, and are
    dropped, as are pools with windows of nothing but padding: there torch writes beyond its memory (docs/faults_in_torch.md).
    """
    n = draw(st.integers(1, 3))
    spatial = draw(st.tuples(*[st.integers(3, [9, 7, 5][n - 1])] * n))
    shape = (draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 4])), *spatial)
    start = torch.from_numpy(np.random.default_rng(draw(seeds)).standard_normal(shape))
    layers: list[Spec] = []
    for _ in range(draw(st.integers(2, 6))):
        if len(shape) != n + 2:
            break
        kind = draw(
            st.sampled_from(["convolution", "convolution", "pooling", "normalization", "activation", "activation", "other"])
        )
        if kind == "convolution":
            spec = convolution(draw, n, shape[1])
        elif kind == "pooling":
            spec = pooling(draw, n, shape)
        elif kind == "normalization":
            spec = normalization(draw, n, shape)
        elif kind == "activation":
            spec = draw(st.sampled_from(ACTIVATIONS))
        else:
            spec = other(draw, n, shape)
        theirs = quiet(functools.partial(on_zeros, torch, spec, shape))
        if isinstance(theirs, Exception):
            ours = quiet(functools.partial(on_zeros, mini_dl, spec, shape))
            assert same_exception(ours, type(theirs)), f"{ours!r}\ninstead of\n{theirs!r}\n{spec} of {shape}"
        elif 0 < theirs.numel() < 3000 and theirs.isfinite().all():
            layers.append(spec)
            shape = tuple(theirs.shape)
    return layers, start.requires_grad_()


@examples(800)
@given(stacks())
def a_stack_of_layers(stack: Any) -> None:
    layers, start = stack
    compare_step(
        lambda library: library.nn.Sequential(*[build(library, spec) for spec in layers]),
        lambda model, x: model(x * 1),
        start,
        f"{layers} of {tuple(start.shape)}",
    )


def test_a_stack_of_layers() -> None:
    """In a fresh process: the faults of torch that its backward has met here abort it."""
    program = "from parity_tests import test_hypothesis_networks as tests; tests.a_stack_of_layers()"
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr[-5000:]


# ------------------------------------------------------------------------------------------------ sequences


@st.composite
def recurrent(draw: Any) -> tuple[Spec, list[int] | None, torch.Tensor, tuple[int, ...], bool]:
    """A layer, the lengths if packed, an input, the shape of the first state, whether one is given."""
    kind = draw(st.sampled_from(["RNN", "LSTM", "GRU"]))
    size, hidden, layers, both = draw(small), draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(flags)
    options: dict[str, Any] = {
        "num_layers": layers,
        "bias": draw(flags),
        "batch_first": draw(flags),
        "bidirectional": both,
        "dropout": draw(st.sampled_from([0.0, 0.3])) if layers > 1 else 0.0,
    }
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    projected = hidden
    if kind == "LSTM" and draw(flags):
        options["proj_size"] = draw(st.integers(0, hidden - 1))
        projected = options["proj_size"] or hidden
    steps, batch = draw(st.integers(1, 5)), draw(st.sampled_from([None, 1, 3]))
    shape = (steps, size) if batch is None else (batch, steps, size) if options["batch_first"] else (steps, batch, size)
    x = torch.from_numpy(np.random.default_rng(draw(seeds)).standard_normal(shape)).requires_grad_()
    packed = batch is not None and draw(st.integers(0, 2)) == 0
    lengths = draw(st.lists(st.integers(1, steps), min_size=batch, max_size=batch)) if packed else None
    depth, middle = layers * (1 + both), () if batch is None else (batch,)
    return (kind, (size, hidden), options), lengths, x, (depth, *middle, projected), draw(flags)


@examples(300)
@given(recurrent())
def test_a_recurrent_layer(drawn: Any) -> None:
    spec, lengths, x, state, with_state = drawn
    kind, (_, hidden), options = spec
    rng = np.random.default_rng(1)
    first = torch.from_numpy(rng.standard_normal(state)).requires_grad_()
    cell = torch.from_numpy(rng.standard_normal((*state[:-1], hidden))).requires_grad_()
    inputs = {"x": x, "h": (first, cell) if kind == "LSTM" else first} if with_state else {"x": x}

    def call(model: Any, given: Any) -> Any:
        rnn = (torch if isinstance(model, torch.nn.Module) else mini_dl).nn.utils.rnn
        x, state = given["x"] * 1, given.get("h")
        if lengths is None:
            return model(x, state)
        packed = rnn.pack_padded_sequence(x, lengths, options["batch_first"], enforce_sorted=False)
        out, final = model(packed, state)
        return rnn.pad_packed_sequence(out, options["batch_first"])[0], final

    compare_step(
        lambda library: build(library, spec), call, inputs, f"{spec} of {tuple(x.shape)}, lengths {lengths}, {with_state}"
    )


# ------------------------------------------------------------------------------------------------ attention


def masks(draw: Any, rng: Any, shape: tuple[int, ...], boolean: Any = flags) -> torch.Tensor | None:
    """None, a bool mask that keeps something in each row, or numbers to add."""
    if draw(flags):
        return None
    if draw(boolean):
        mask = rng.random(shape) < 0.3
        mask[..., 0] = False
        return torch.from_numpy(mask)
    return torch.from_numpy(rng.standard_normal(shape))


@st.composite
def transformers(draw: Any) -> tuple[str, Spec, dict[str, Any], dict[str, Any]]:
    """The kind, the class and its arguments, the inputs and the options of the call."""
    kind = draw(st.sampled_from(["MultiheadAttention", "TransformerEncoderLayer", "TransformerDecoderLayer", "Transformer"]))
    heads = draw(st.integers(1, 2))
    width, first = heads * draw(st.integers(1, 3)), draw(flags)
    rng = np.random.default_rng(draw(seeds))
    batch, source, target = draw(st.sampled_from([None, 1, 2])), draw(st.integers(1, 4)), draw(st.integers(1, 4))

    def sequence(steps: int, features: int = width) -> torch.Tensor:
        shape = (steps, features) if batch is None else (batch, steps, features) if first else (steps, batch, features)
        return torch.from_numpy(rng.standard_normal(shape)).requires_grad_()

    def padding(steps: int) -> torch.Tensor | None:
        return masks(draw, rng, (steps,) if batch is None else (batch, steps), st.just(True))

    options: dict[str, Any] = {"batch_first": first, "bias": draw(flags), "dropout": draw(st.sampled_from([0.0, 0.2]))}
    if kind == "MultiheadAttention":
        keys, values = draw(st.sampled_from([width, 3])), draw(st.sampled_from([width, 2]))
        options |= {"kdim": keys, "vdim": values, "add_bias_kv": draw(flags), "add_zero_attn": draw(flags)}
        given_ = {"query": sequence(target), "key": sequence(source, keys), "value": sequence(source, values)}
        mask = masks(draw, rng, (target, source))
        call = {"attn_mask": mask, "key_padding_mask": padding(source), "need_weights": draw(flags)}
        return kind, (kind, (width, heads), options), given_, {**call, "average_attn_weights": draw(flags)}
    options |= {"norm_first": draw(flags), "activation": draw(st.sampled_from(["relu", "gelu"])), "dim_feedforward": 4}
    if kind == "TransformerEncoderLayer":
        call = {"src_mask": masks(draw, rng, (source, source)), "src_key_padding_mask": padding(source)}
        return kind, (kind, (width, heads), options), {"src": sequence(source)}, call
    call = {"tgt_mask": masks(draw, rng, (target, target)), "memory_mask": masks(draw, rng, (target, source))}
    call |= {"tgt_key_padding_mask": padding(target), "memory_key_padding_mask": padding(source)}
    if kind == "TransformerDecoderLayer":
        return kind, (kind, (width, heads), options), {"tgt": sequence(target), "memory": sequence(source)}, call
    options |= {"num_encoder_layers": draw(st.integers(1, 2)), "num_decoder_layers": 1}
    call |= {"src_mask": masks(draw, rng, (source, source)), "src_key_padding_mask": padding(source)}
    return kind, (kind, (width, heads), options), {"src": sequence(source), "tgt": sequence(target)}, call


@examples(300)
@given(transformers())
def test_a_transformer(drawn: Any) -> None:
    _, spec, inputs, options = drawn

    def call(model: Any, given: Any) -> Any:
        ours = not isinstance(model, torch.nn.Module)
        return model(**{name: t * 1 for name, t in given.items()}, **(bridge.to_mini(options) if ours else options))

    shapes = {name: tuple(t.shape) for name, t in inputs.items()}
    compare_step(lambda library: build(library, spec), call, inputs, f"{spec} of {shapes} with {options}")
