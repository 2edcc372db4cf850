"""Padding: extends a dimension by a constant, its reflection, its edge or its opposite end; negative padding crops."""

from __future__ import annotations

from collections.abc import Sequence

from mini_dl._checks import int_list, type_name
from mini_dl._dtypes import FLOATING, Array, Number, dtype_of_number, number_as, scalar_name
from mini_dl._surface import function, public
from mini_dl.autograd.formal import piecewise
from mini_dl.autograd.primitive import linear_in, op, real_number_of, recorded_as
from mini_dl.kernels.padding import Pads, pad_by_position, pad_constant, unpad_by_position
from mini_dl.tensor import Tensor


@recorded_as("ConstantPadNdBackward0")
@op(input=lambda grad, pads: _pad_constant(grad, tuple([(-a, -b) for a, b in pads]), 0))
def _pad_constant(input: Array, pads: Pads, value: Number) -> Array:
    """(*, *in) -> (*, *(before + in + after))"""
    return pad_constant(input, pads, value)


@piecewise("input")
@linear_in("input")
@op(input=lambda grad, input_shape, pads, mode: _fold_back(grad, input_shape, pads, mode))
def _pad_by_position(input: Array, pads: Pads, mode: str) -> Array:
    """Like `_pad_constant`, with the border filled from the input itself, dimension by dimension."""
    return pad_by_position(input, pads, mode)


@linear_in("input")
@op(input=lambda grad, input_shape, pads: _fold_back(grad, input_shape, pads, "circular"))
def _pad_circular(input: Array, pads: Pads) -> Array:
    return _pad_by_position.op.forward(input, pads, "circular")  # type: ignore[attr-defined]


@linear_in("output")
@op(output=lambda grad, pads, mode: _pad_by_position(grad, pads, mode))
def _fold_back(output: Array, shape: tuple[int, ...], pads: Pads, mode: str) -> Array:
    """The transpose of `_pad_by_position`: each value is added to the position it was copied from."""
    return unpad_by_position(output, shape, pads, mode)


# ------------------------------------------------------------------------------------------------ public


@public("nn.functional")
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """``out[i] = input[i - before]`` along the last dimensions, and a border given by `mode`.

    `pad` is (before, after) for the last dimension, then for the one before it, and so on; a negative number crops. The border
    is `value` ("constant"), the reflection ("reflect"), the edge ("replicate"), or the opposite end ("circular").

    Shapes: (*, *in) -> (*, *out), each padded size longer by before + after; modes other than "constant" need one or
    two more dimensions than are padded.
    Raises: RuntimeError for an invalid padding; NotImplementedError for an unknown `mode`, or other dimensions.

    >>> F.pad(torch.tensor([[1, 2, 3]]), (2, 1), "reflect")
    tensor([[3, 2, 1, 2, 3, 2]])
    >>> F.pad(torch.tensor([[1, 2, 3]]), (1, -1, 1, 0), value=9)
    tensor([[9, 9, 9],
            [9, 1, 2]])
    """
    if not isinstance(mode, str):
        raise TypeError(f"pad(): argument 'mode' (position 3) must be str, not {type_name(mode)}")
    if mode == "constant":
        return constant_pad_nd(input, pad, 0.0 if value is None else float(real_number_of("pad", "value", value)))
    pads, shape = _pairs(input, pad), input._array.shape
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognized padding mode {mode}")
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    n = len(pads)
    if n not in (1, 2, 3) or len(shape) not in (n + 1, n + 2):
        raise NotImplementedError(
            f"Padding size {2 * n} is not supported for {len(shape)}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    if mode != "circular":
        if 0 in shape[-n - 1 :] if mode == "replicate" else 0 in shape[len(shape) - n - 1 :]:
            raise RuntimeError(
                f"Expected {n + 1}D or {n + 2}D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions "
                f"for input, but got: {list(shape)}"
            )
        if input._array.dtype.kind == "b":
            kernel = {"reflect": "reflection", "replicate": "replication"}[mode]
            raise NotImplementedError(f"\"{kernel}_pad{n}d\" not implemented for '{scalar_name(input._array.dtype)}'")
    for i, ((before, after), size) in enumerate(zip(pads, shape[-n:])):
        if mode == "reflect" and (before >= size or after >= size):
            raise RuntimeError(
                f"Argument #{4 + 2 * (n - 1 - i)}: Padding size should be less than the corresponding input dimension, "
                f"but got: padding ({before}, {after}) at dimension {len(shape) - n + i} of input {list(shape)}"
            )
        if mode == "circular" and (before > size or after > size):
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if size + before + after < (0 if mode == "circular" else 1):
            if mode == "circular":
                raise RuntimeError("Negative padding value is resulting in an empty dimension")
            raise RuntimeError(
                f"input ({'DHW'[i - n]}: {size}) is too small. Calculated output {'DHW'[i - n]}: {size + before + after}"
            )
    if mode == "circular":
        return _pad_circular(input, pads)
    return _pad_by_position(input, pads, mode)


@function()
def constant_pad_nd(input: Tensor, pad: Sequence[int], value: Number = 0) -> Tensor:
    """``out[i] = input[i - before] if 0 <= i - before < L else value`` along the last dimensions.

    `pad` is (before, after) for the last dimension, then for the one before it, and so on; a negative number crops.

    Shapes: (*, *in) -> (*, *out), each padded size longer by before + after.
    Raises: RuntimeError for an odd number of paddings, more dimensions than there are, or more cropped than there is.

    >>> torch.constant_pad_nd(torch.tensor([1, 2]), (1, 2), 9)
    tensor([9, 1, 2, 9, 9])
    """
    pads = _pairs(input, pad)
    if not any(map(any, pads)):
        dtype_of_number(value)
    elif input._array.dtype.kind in FLOATING:
        number_as(value, input._array.dtype)
    for (before, after), size in zip(pads, input._array.shape[input._array.ndim - len(pads) :]):
        if before + after + size < 0 or -before > size or -after > size:
            raise RuntimeError("narrow(): length must be non-negative.")
    return _pad_constant(input, pads, value)


def _pairs(input: Tensor, pad: Sequence[int]) -> Pads:
    """(before, after) of the dimensions that `pad` covers, first to last."""
    widths = int_list([*pad], "pad(): argument 'pad' (position 2)")
    if len(widths) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(widths) > 2 * input._array.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(widths)} and input of dimension {input._array.ndim}"
        )
    return tuple([(widths[i], widths[i + 1]) for i in range(len(widths) - 2, -1, -2)])
