"""Convolution in one, two and three dimensions, transposed or not: three primitives, each the transpose of the others.

``conv(input, weight)`` is linear in both; with `output` of its shape, <output, conv(input, weight)> is a form linear in three
arguments. Its derivatives with respect to `input` and `weight` are `conv_input` and `conv_weight`; theirs are conv and each other
again.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mini_dl._checks import int_list
from mini_dl._dtypes import HALVES, Array, Ints, Shape, c_name, scalar_name, tensor_name
from mini_dl._spaces import INDICES
from mini_dl._surface import function, named, public
from mini_dl.autograd.mode import differentiates
from mini_dl.autograd.primitive import linear_in, op, op_together, recorded_as
from mini_dl.kernels import convolution as kernels
from mini_dl.kernels.convolution import Geometry
from mini_dl.ops.matmul import conj
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ primitives


def _gradients(
    grad: Tensor, wanted: list[bool], input: Tensor, weight: Tensor, geometry: Geometry
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of input, weight and bias."""
    to_bias = channel_sums(grad) if wanted[2] else None
    if differentiates() and not input._array.size and (wanted[0] or wanted[1]):
        return (
            _gradient_of_empty(grad, weight, input._array.shape) if wanted[0] else None,
            _gradient_of_empty(grad, input, weight._array.shape) if wanted[1] else None,
            to_bias,
        )
    return (
        conv_input(grad, conj(weight), input._array.shape, geometry) if wanted[0] else None,
        conv_weight(conj(input), grad, weight._array.shape, geometry) if wanted[1] else None,
        to_bias,
    )


@recorded_as("ConvolutionBackward0")
@linear_in("input bias", "weight", added="bias")
@op_together(_gradients, "input", "weight", "bias")
def conv(input: Array, weight: Array, bias: Array | None, geometry: Geometry) -> Array:
    """(N, C, *in), (O, C/groups, *kernel), (O) -> (N, O, *out)"""
    return kernels.conv(input, weight, bias, geometry)


def _transposed_input(grad: Tensor, weight: Tensor, output_shape: Shape, geometry: Geometry) -> Tensor:
    if differentiates() and 0 in output_shape:
        return _gradient_of_empty(grad, weight, output_shape)
    return conv(grad, conj(weight), None, geometry)


def _transposed_weight(grad: Tensor, output: Tensor, weight_shape: Shape, geometry: Geometry) -> Tensor:
    if differentiates() and not output._array.size:
        return _gradient_of_empty(grad, output, weight_shape)
    return conv_weight(grad, conj(output), weight_shape, geometry)


@linear_in("output", "weight")
@op(output=_transposed_input, weight=_transposed_weight)
def conv_input(output: Array, weight: Array, shape: Shape, geometry: Geometry) -> Array:
    """(N, O, *out), (O, C/groups, *kernel) -> `shape`, (N, C, *in): the transpose of conv with respect to its input."""
    return kernels.conv_input(output, weight, shape, geometry)


@linear_in("input", "output")
@op(
    input=lambda grad, output, input_shape, geometry: conv_input(conj(output), grad, input_shape, geometry),
    output=lambda grad, input, geometry: conv(conj(input), grad, None, geometry),
)
def conv_weight(input: Array, output: Array, shape: Shape, geometry: Geometry) -> Array:
    """(N, C, *in), (N, O, *out) -> `shape`, (O, C/groups, *kernel): the transpose of conv with respect to its weight."""
    return kernels.conv_weight(input, output, shape, geometry)


@linear_in("input")
@op(input=lambda grad, input_shape: grad.reshape(1, len(grad), *[1] * (len(input_shape) - 2)).expand(input_shape))
def channel_sums(input: Array) -> Array:
    """(N, C, *) -> (C)"""
    n, c = input.shape[:2]
    flat = input.reshape(n, c, math.prod(input.shape[2:]))
    return np.matmul(flat, np.ones(flat.shape[2], flat.dtype)).sum(0)


@op(first=lambda grad: None, second=lambda grad: None)
def _gradient_of_empty(first: Array, second: Array, shape: Shape) -> Array:
    """The gradient of an empty input, or of its weight. It is None, not zeros, when differentiated again, as in torch."""
    return np.zeros(shape, first.dtype)


# ------------------------------------------------------------------------------------------------ arguments


def _tuple_of(name: str, value: Any, n: int) -> Shape:
    """`value` for each of `n` dimensions: an int, or a sequence of one or `n` ints."""
    if not isinstance(value, (tuple, list)):
        return (operator.index(value),) * n
    if len(value) == 1:
        return (operator.index(value[0]),) * n
    if len(value) != n:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {n} values to match the convolution dimensions, "
            f"but got {name}={list(value)}"
        )
    return tuple([operator.index(v) for v in value])


class Arrays(NamedTuple):
    """The properties of the tensors that the checks need."""

    input: Shape
    weight: Shape
    bias: Shape | None
    types: tuple[Any, ...]


class Setting(NamedTuple):
    """The arguments of a call that determine the geometry, with lists as tuples."""

    stride: Ints
    padding: Ints
    dilation: Ints
    groups: int
    output_padding: Ints | None = None  # of a transposed convolution


def _checked(name: str, n: int, arrays: Arrays, setting: Setting) -> tuple[Shape, Any, Shape]:
    """Stride, padding and dilation of each dimension. RuntimeError if the arguments do not match."""
    x, w, bias, types = arrays
    if len(x) not in (n + 1, n + 2):
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input of size: {list(x)}"
        )
    if types[0].kind == "b" and (n == 3 or setting.output_padding is not None):
        kernel = "slow_conv3d_cpu" if setting.output_padding is None else f"slow_conv_transpose{max(n, 2)}d_out_cpu"
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool'")
    if bias is not None and types[2] != types[0]:
        names = c_name(types[0]), c_name(types[2])
        raise RuntimeError(f"Input type ({names[0]}) and bias type ({names[1]}) should be the same")
    if types[0] != types[1]:
        if types[0].char in HALVES:
            names = tensor_name(types[0]), tensor_name(types[1])
            raise RuntimeError(
                f"Input type ({names[0]}) and weight type ({names[1]}) should be the same or input should be a MKLDNN tensor and "
                "weight is a dense tensor"
            )
        raise RuntimeError(f"expected scalar type {scalar_name(types[0])} but found {scalar_name(types[1])}")
    if len(w) < 3:
        raise RuntimeError("weight should have at least three dimensions")
    steps, pads, spread = _checked_setting(n, setting)
    _check_weight(n, arrays, setting)
    if types[0].char in "?HILQ" or (setting.output_padding is not None and types[0].char in "bhiB"):
        kernel = "slow_conv2d_cpu" if setting.output_padding is None else "slow_conv_transpose2d_out_cpu"
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(types[0])}'")
    return steps, pads, spread


def _checked_setting(n: int, setting: Setting) -> tuple[Shape, Any, Shape]:
    """Stride, padding and dilation of each dimension."""
    steps = _tuple_of("stride", setting.stride, n)
    pads = setting.padding if isinstance(setting.padding, str) else _tuple_of("padding", setting.padding, n)
    spread = _tuple_of("dilation", setting.dilation, n)
    if isinstance(pads, str):
        if pads not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{pads}'")
        if pads == "same" and max(steps) != 1:
            raise RuntimeError("padding='same' is not supported for strided convolutions")
    elif min(pads) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(steps) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(spread) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got {list(spread)}")
    if setting.groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    return steps, pads, spread


def _check_weight(n: int, arrays: Arrays, setting: Setting) -> None:
    """RuntimeError unless the weight matches the groups, and input and bias the weight."""
    x, w, bias, _ = arrays
    transposed, groups = setting.output_padding is not None, setting.groups
    if len(w) != n + 2:
        raise RuntimeError(
            f"Expected {len(w)}-dimensional input for {len(w)}-dimensional weight{list(w)}, "
            f"but got {n + 2}-dimensional input of size {list(x)} instead"
        )
    if w[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, "
            f"but got weight of size {list(w)} instead"
        )
    if w[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{list(w)}] instead"
        )
    if 0 in w[2:]:
        raise RuntimeError(f"kernel size should be greater than zero, but got {list(w[2:])}")
    channels = w[0] if transposed else w[1] * groups
    if x[-n - 1] != channels:
        shown = (1,) * (n + 2 - len(x)) + x
        given = "transposed=1" if transposed else f"groups={groups}"
        raise RuntimeError(
            f"Given {given}, weight of size {list(w)}, expected input{list(shown)} to have {channels} channels, "
            f"but got {x[-n - 1]} channels instead"
        )
    outputs = w[1] * groups if transposed else w[0]
    if bias is not None and bias != (outputs,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {list(w)}, expected bias to be 1-dimensional "
            f"with {outputs} elements, but got bias of size {list(bias)} instead"
        )


@functools.lru_cache(4096)
def _geometry(name: str, n: int, arrays: Arrays, setting: Setting) -> Geometry:
    """The geometry of a convolution."""
    stride, padding, dilation = _checked(name, n, arrays, setting)
    kernel, space = arrays.weight[2:], arrays.input[-n:]
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    if padding == "same":
        before, total = tuple([r // 2 for r in reach]), reach
    else:
        before = (0,) * n if padding == "valid" else padding
        total = [2 * p for p in before]
    padded = [i + t for i, t in zip(space, total)]
    if any([p < r + 1 for p, r in zip(padded, reach)]):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({_by(padded)}). Kernel size: ({_by([r + 1 for r in reach])}). "
            "Kernel size can't be greater than actual input size"
        )
    out = tuple([(p - r - 1) // s + 1 for p, r, s in zip(padded, reach, stride)])
    return Geometry(stride, before, dilation, setting.groups, out)


@functools.lru_cache(4096)
def _transposed_geometry(name: str, n: int, arrays: Arrays, setting: Setting) -> tuple[Geometry, Shape]:
    """The geometry of a transposed convolution, and the spatial shape of its result."""
    stride, padding, dilation = _checked(name, n, arrays, setting)
    extra = _tuple_of("output_padding", setting.output_padding, n)
    if min(extra) < 0:
        raise RuntimeError("negative output_padding is not supported")
    if any([e >= max(s, d) for e, s, d in zip(extra, stride, dilation)]):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got output_padding: "
            f"{list(extra)}, stride: {list(stride)}, dilation: {list(dilation)}"
        )
    space = arrays.input[-n:]
    sizes = zip(space, stride, padding, dilation, arrays.weight[2:], extra)
    out = tuple([(i - 1) * s - 2 * p + d * (k - 1) + 1 + e for i, s, p, d, k, e in sizes])
    if min(out) < 1:
        raise RuntimeError(
            f"Given input size per channel: ({_by(space)}). Calculated output size per channel: ({_by(out)}). "
            "Output size is too small"
        )
    return Geometry(stride, padding, dilation, setting.groups, space), out


def _by(sizes: Any) -> str:
    return " x ".join([str(s) for s in sizes])


def _arrays(input: Tensor, weight: Tensor, bias: Tensor | None) -> Arrays:
    x, w = input._array, weight._array
    if bias is None:
        return Arrays(x.shape, w.shape, None, (x.dtype, w.dtype))
    return Arrays(x.shape, w.shape, bias._array.shape, (x.dtype, w.dtype, bias._array.dtype))


def _plain(name: str, what: str, value: object) -> Any:
    """`value`, with only ints in a sequence: 1.0 and True would otherwise find what is cached for 1."""
    if type(value) is tuple and all([n.__class__ is int for n in value]):
        return value
    return int_list(value, f"{name}(): argument '{what}'") if isinstance(value, (tuple, list)) else value


def _forward(
    name: str,
    n: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
) -> Tensor:
    steps, pads, spread = _plain(name, "stride", stride), _plain(name, "padding", padding), _plain(name, "dilation", dilation)
    setting = Setting(steps, pads, spread, groups)
    geometry = _geometry(name, n, _arrays(input, weight, bias), setting)
    if input._array.ndim == n + 2:
        return conv(input, weight, bias, geometry)
    result: Tensor = conv(input.unsqueeze(0), weight, bias, geometry)
    return result.squeeze(0)


def _transposed(
    name: str, n: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Ints, padding: Ints, output_padding: Ints,
    groups: int, dilation: Ints,
) -> Tensor:  # fmt: skip
    steps, pads, spread = _plain(name, "stride", stride), _plain(name, "padding", padding), _plain(name, "dilation", dilation)
    setting = Setting(steps, pads, spread, groups, _plain(name, "output_padding", output_padding))
    geometry, out = _transposed_geometry(name, n, _arrays(input, weight, bias), setting)
    batched = input if input._array.ndim == n + 2 else input.unsqueeze(0)
    shape = (len(batched._array), weight._array.shape[1] * groups, *out)
    result: Tensor = conv_input(batched, weight, shape, geometry)
    if bias is not None:
        result = result + bias.reshape(len(bias), *[1] * n)
    return result if batched is input else result.squeeze(0)


# ------------------------------------------------------------------------------------------------ public


def _cross_correlation(n: int, example: str) -> Callable[..., Tensor]:
    """``conv{n}d``, published"""
    name = f"conv{n}d"

    def conv(
        input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: Ints = 0, dilation: Ints = 1,
        groups: int = 1,
    ) -> Tensor:  # fmt: skip
        return _forward(name, n, input, weight, bias, stride, padding, dilation, groups)

    doc = f"""``out[n, o, i] = bias[o] + sum(weight[o, c, k] * input[n, c, i * stride - padding + k * dilation], (c, k))``

    Positions `i` and kernel offsets `k` are {INDICES[n]}. With `groups`, outputs see only the channels of their group.
    `padding`, with zeros, may be "valid" (none) or "same" (as many outputs as inputs).

    Family: convolution {n}d

    {example}
    """
    return public("nn.functional", "torch")(named(conv, name, doc))


conv1d = _cross_correlation(
    1,
    """>>> F.conv1d(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[[1.0, -1.0]]]))
    tensor([[-1., -2.]])""",
)
conv2d = _cross_correlation(
    2,
    """>>> F.conv2d(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2), padding="same")
    tensor([[[4., 4., 2.],
             [4., 4., 2.],
             [2., 2., 1.]]])""",
)
conv3d = _cross_correlation(
    3,
    """>>> F.conv3d(torch.ones(1, 4, 5, 6), torch.ones(2, 1, 3, 3, 3)).shape
    torch.Size([2, 2, 3, 4])""",
)


def _transposed_of(n: int, example: str) -> Callable[..., Tensor]:
    """``conv_transpose{n}d``, published"""
    name = f"conv_transpose{n}d"

    def conv_transpose(
        input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: Ints = 0, output_padding: Ints = 0,
        groups: int = 1, dilation: Ints = 1,
    ) -> Tensor:  # fmt: skip
        return _transposed(name, n, input, weight, bias, stride, padding, output_padding, groups, dilation)

    doc = f"""``out[n, o, j] = bias[o] + sum(weight[c, o, k] * input[n, c, i], (c, k))`` over the kernel offsets `k` that reach
    `j`, ``j = i * stride - padding + k * dilation``.

    The transpose of ``conv{n}d`` with respect to its input: each input adds a multiple of the kernel to the output. `i`, `j` and
    `k` are {INDICES[n]}. `output_padding` extends the result at the end.

    Family: transposed convolution {n}d

    {example}
    """
    return public("nn.functional", "torch")(named(conv_transpose, name, doc))


conv_transpose1d = _transposed_of(
    1,
    """>>> F.conv_transpose1d(torch.tensor([[1.0, 2.0]]), torch.tensor([[[1.0, 1.0]]]), stride=2)
    tensor([[1., 1., 2., 2.]])""",
)
conv_transpose2d = _transposed_of(
    2,
    """>>> F.conv_transpose2d(torch.ones(1, 2, 2), torch.ones(1, 1, 2, 2))
    tensor([[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]])""",
)
conv_transpose3d = _transposed_of(
    3,
    """>>> F.conv_transpose3d(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 3, 3), stride=2).shape
    torch.Size([2, 5, 7, 9])""",
)


@function()
def convolution(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Ints, padding: Ints, dilation: Ints, transposed: bool,
    output_padding: Ints, groups: int,
) -> Tensor:  # fmt: skip
    """``out[n, o, i] = bias[o] + sum(weight[o, c, k] * input[n, c, i * stride - padding + k * dilation], (c, k))``, or its
    transpose if `transposed`, in as many dimensions as the weight has.

    Shapes: `input` (N, C, *in), `weight` (O, C / groups, *kernel), `bias` (O) -> (N, O, *out); (C, O / groups, *kernel) if
    `transposed`.
    Raises: RuntimeError for channels, groups or sizes that do not match.

    >>> torch.convolution(torch.ones(1, 1, 3), torch.ones(1, 1, 2), None, [1], [0], [1], False, [0], 1)
    tensor([[[2., 2.]]])
    """
    n = weight.ndim - 2
    if transposed:
        return _transposed(f"conv_transpose{n}d", n, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return _forward(f"conv{n}d", n, input, weight, bias, stride, padding, dilation, groups)


@public("torch", "nn.functional")
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """``out[t, n, o] = bias[o] + sum(weight[k, c, o] * input[t + k - pad, n, c], (c, k))``: `conv1d` of sequences (time,
    batch, channels).

    Shapes: `input` (T, N, C), `weight` (K, C, O), `bias` (O) -> (T + 2 * pad - K + 1, N, O).
    Raises: RuntimeError for channels or numbers of dimensions that do not match.

    >>> F.conv_tbc(torch.tensor([[[1.0]], [[2.0]], [[4.0]]]), torch.tensor([[[1.0]], [[-1.0]]]), torch.zeros(1)).flatten()
    tensor([-1., -2.])
    """
    if input.ndim != 3:
        raise RuntimeError("Input must have 3 dims: time, batch, in_channel")
    if input.shape[2] != weight.shape[1]:
        raise RuntimeError("Input dim 2 (input channels) is not == dim 1 in the weight tensor")
    if bias.shape != (weight.shape[2],):
        raise RuntimeError("Bias size must equal dim 2 in the weight tensor (output channels).")
    return conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)
