"""Private parts of torch's ``multi_head_attention_forward``; variants of attention are built from them."""

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
    """`mask` as numbers to add to scores: -inf where a mask of bools is True."""
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
    """Each of `q`, `k` and `v` through its own linear map."""
    linear = torch.nn.functional.linear
    return linear(q, w_q, b_q), linear(k, w_k, b_k), linear(v, w_v, b_v)


def _in_projection_packed(q: Tensor, k: Tensor, v: Tensor, w: Tensor, b: Tensor | None = None) -> Three:
    """Likewise, by the three maps stacked in `w` and `b`."""
    return _in_projection(q, k, v, *w.chunk(3), *((None,) * 3 if b is None else b.chunk(3)))
