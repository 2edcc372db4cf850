"""Parts of ``multi_head_attention_forward`` that torch keeps to itself; variants of attention are built from them."""

from __future__ import annotations

import warnings
from typing import Any

import mini_dl as torch
from mini_dl.tensor import Tensor

Three = tuple[Tensor, Tensor, Tensor]


def _none_or_dtype(input: Tensor | None) -> Any:
    """The type of `input`; None for None."""
    if input is None or isinstance(input, Tensor):
        return None if input is None else input.dtype
    raise RuntimeError("input to _none_or_dtype() must be None or torch.Tensor")


def _canonical_mask(
    mask: Tensor | None, mask_name: str, other_type: object, other_name: str, target_type: Any, check_other: bool = True
) -> Tensor | None:
    """`mask` as numbers that are added to scores: -inf where a mask of bools is True."""
    if mask is None:
        return None
    floating = mask.dtype.is_floating_point
    if mask.dtype != torch.bool and not floating:
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    if check_other and other_type is not None and mask.dtype != other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for both instead.", stacklevel=2
        )
    if floating:
        return mask
    return torch.zeros_like(mask, dtype=target_type).masked_fill_(mask, -torch.inf)


def _in_projection(
    q: Tensor, k: Tensor, v: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor, b_q: Tensor | None = None,
    b_k: Tensor | None = None, b_v: Tensor | None = None,
) -> Three:  # fmt: skip
    """Each of `q`, `k` and `v` through a linear map of its own."""
    linear = torch.nn.functional.linear
    return linear(q, w_q, b_q), linear(k, w_k, b_k), linear(v, w_v, b_v)


def _in_projection_packed(q: Tensor, k: Tensor, v: Tensor, w: Tensor, b: Tensor | None = None) -> Three:
    """Likewise, by the three maps that lie one below the other in `w` and `b`."""
    return _in_projection(q, k, v, *w.chunk(3), *((None,) * 3 if b is None else b.chunk(3)))


def _mha_shape_check(
    query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None, attn_mask: Tensor | None, num_heads: int
) -> bool:
    """Whether there is a batch. AssertionError where the number of dimensions, or the shape of a mask, does not fit."""
    if query.ndim not in (2, 3):
        kind = f"received {query.ndim}-D query tensor"
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but {kind}")
    batched = query.ndim == 3
    what = "batched (3-D)" if batched else "unbatched (2-D)"
    if key.ndim != query.ndim or value.ndim != query.ndim:
        raise AssertionError(
            f"For {what} `query`, expected `key` and `value` to be {query.ndim}-D but found {key.ndim}-D and {value.ndim}-D "
            "tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.ndim != query.ndim - 1:
        raise AssertionError(
            f"For {what} `query`, expected `key_padding_mask` to be `None` or {query.ndim - 1}-D but found "
            f"{key_padding_mask.ndim}-D tensor instead"
        )
    if attn_mask is not None and attn_mask.ndim not in (2, 3):
        raise AssertionError(
            f"For {what} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.ndim}-D tensor instead"
        )
    if attn_mask is not None and attn_mask.ndim == 3 and not batched:
        expected = (num_heads, query.shape[0], key.shape[0])
        if attn_mask.shape != expected:
            raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}")
    return batched
