"""Attention of ``nn.functional``."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import level_of_user
from mini_dl._dtypes import (
    FLOATING,
    INEXACT,
    NARROW,
    Array,
    NumpyType,
    bool as boolean,
    c_name,
    dtype,
    float64,
    of_numpy,
    promote_numpy,
    scalar_name,
)
from mini_dl._surface import public
from mini_dl.autograd.elements import one_by_one
from mini_dl.autograd.inplace import Memo, keep_in, memo_of
from mini_dl.autograd.mode import differentiates, mode
from mini_dl.autograd.primitive import op, op_together
from mini_dl.kernels.attention import IN_DOUBLE, attention, attention_backward, bands_of
from mini_dl.ops.activation import softmax
from mini_dl.ops.dropout import dropout
from mini_dl.ops.joining import cat
from mini_dl.ops.matmul import linear
from mini_dl.ops.operands import in_float32, masked
from mini_dl.tensor import Tensor, wrap

# ------------------------------------------------------------------------------------------------ one product, fused


def _weights(query: Tensor, key: Tensor, mask: Tensor | None, alive: Array | None, scale: float) -> Tensor:
    """``softmax(scale * query @ key.T + mask)``, zeros for queries that see no key: (*, L, S)"""
    scores = (query * scale) @ key.transpose(-2, -1)
    if mask is not None:
        scores = scores + mask
    if alive is None:
        return softmax(scores, -1)
    seen = wrap(np.ascontiguousarray(np.broadcast_to(alive, scores._array.shape)))
    return masked(softmax(masked(scores, seen), -1), seen)


def _wide(query: Tensor, scores: int) -> dtype:
    return float64 if scores <= IN_DOUBLE and query._array.dtype.kind in FLOATING else query.dtype


def _gradients(
    grad: Tensor,
    wanted: list[bool],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    result: Tensor,
    mask: Array | None,
    alive: Array | None,
    scale: float,
    causal: bool,
    memo: Memo,
) -> tuple[Tensor, Tensor, Tensor]:
    if memo and not differentiates():
        return _attention_backward(grad, query, key, value, result, *memo, scale, causal)
    return _composed(grad, query, key, value, mask, alive, scale)


def _composed(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, mask: Array | None, alive: Array | None, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    wide = _wide(query, math.prod(query._array.shape[:2]) * key._array.shape[1])
    grad, query, key, value = grad.to(wide), query.to(wide), key.to(wide), value.to(wide)
    weights = _weights(query, key, None if mask is None else wrap(mask), alive, scale)
    slope = grad @ value.transpose(-2, -1)
    slope = weights * (slope - (slope * weights).sum(-1, keepdim=True)) * scale
    return slope @ key, slope.transpose(-2, -1) @ query, weights.transpose(-2, -1) @ grad


@op_together(_gradients, "query", "key", "value")
def _attention(
    query: Array, key: Array, value: Array, mask: Array | None, alive: Array | None, scale: float, causal: bool, memo: Memo
) -> Array:
    """(B, L, E), (B, S, E), (B, S, V) -> (B, L, V); for the gradient, exponentials (B, -1) with their row sums (B, L)"""
    out, *exponentials = attention(query, key, value, mask, alive, scale, bands_of(query.shape[1], key.shape[1], causal))
    keep_in(memo, *exponentials)
    return out


@op()
def _attention_backward(
    grad: Array, query: Array, key: Array, value: Array, output: Array, weights: Array, sums: Array, scale: float, causal: bool
) -> tuple[Array, Array, Array]:
    """Weights are ``e / sums``: `grad` is divided by the sums once, and ``sum(grad_weights * weights)`` is ``grad . output``."""
    bands = bands_of(query.shape[1], key.shape[1], causal)
    return attention_backward(grad, query, key, value, output, weights, sums, scale, bands)


def _type(tensor: Tensor) -> str:
    return c_name(tensor._array.dtype)


def _check_operands(query: Tensor, key: Tensor, value: Tensor) -> None:
    if query.ndim < 2 or key.ndim < 2 or value.ndim < 2:
        raise RuntimeError(
            f"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {query.ndim} "
            f"key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    if not query._array.dtype == key._array.dtype == value._array.dtype:
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {_type(query)} key.dtype: {_type(key)} "
            f"and value.dtype: {_type(value)} instead."
        )
    if query._array.dtype.kind not in INEXACT:
        raise RuntimeError(f"expected scalar type Float but found {scalar_name(query._array.dtype)}")


def _check_mask(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, is_causal: bool, dropout_p: float) -> None:
    if attn_mask is None:
        return
    if is_causal and not _takes_both(query, key, value, attn_mask, dropout_p):
        raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    if attn_mask._array.dtype.kind != "b" and attn_mask._array.dtype not in (query._array.dtype, np.dtype(np.float32)):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{_type(attn_mask)} and  query.dtype: {_type(query)} instead."
        )


@public("nn.functional")
def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """``out = softmax(scale * query @ key.T + mask) @ value``, by default with ``scale = 1 / sqrt(E)``.

    A bool `attn_mask` selects the keys that take part; a query without any gives zeros. `is_causal`: query i sees the keys up to
    i. `enable_gqa`: groups of query heads share a head of key and value.

    Shapes: `query` (*, L, E), `key` (*, S, E), `value` (*, S, V), `attn_mask` broadcast to (*, L, S) -> (*, L, V).
    Raises: RuntimeError if the sizes do not match, for fewer than two dimensions, and for `is_causal` with a mask in three.
    Source: Vaswani et al., Attention is all you need, 2017, section 3.2.1.

    >>> query = torch.zeros(1, 3, 2)
    >>> F.scaled_dot_product_attention(query, query, torch.tensor([[[1.0], [2.0], [6.0]]]), is_causal=True)
    tensor([[[1.0000],
             [1.5000],
             [3.0000]]])
    """
    if is_abstract(attn_mask):
        given = (query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
        return one_by_one(scaled_dot_product_attention, given, {})
    _check_operands(query, key, value)
    if query.ndim == 4 and attn_mask is not None and attn_mask.ndim < 2:
        raise IndexError(f"Dimension out of range: attn_mask must have at least 2 dimensions, but it has {attn_mask.ndim}")
    if dropout_p > 1 or (query.ndim == 4 and (dropout_p < 0 or dropout_p != dropout_p)):
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    _check_mask(query, key, value, attn_mask, is_causal, dropout_p)
    if query._array.dtype.char in NARROW:
        options = (dropout_p, is_causal, scale, enable_gqa)
        return in_float32(scaled_dot_product_attention, query, key, value, attn_mask, *options)
    if enable_gqa:
        heads = query._array.shape[-3]
        key = key.repeat_interleave(heads // key._array.shape[-3], -3)
        value = value.repeat_interleave(heads // value._array.shape[-3], -3)
    length, embed = query._array.shape[-2:]
    mask, alive = _mask(attn_mask, is_causal, (length, key._array.shape[-2]), query._array.dtype)
    scale = (1 / math.sqrt(embed) if embed else math.inf) if scale is None else scale
    leading = query._array.shape[:-2]
    keys, width = key._array.shape[-2:]
    fits = key._array.shape[:-2] == value._array.shape[:-2] == leading and value._array.shape[-2] == keys and width == embed
    whole = bool(query._array.size and key._array.size and value._array.size) and query._array.dtype.kind in FLOATING
    if dropout_p > 0 or not fits or not whole or (mask is not None and mask.requires_grad):
        target, wide = query.dtype, _wide(query, math.prod(leading) * length * keys)
        weights = _weights(query.to(wide), key.to(wide), None if mask is None else mask.to(wide), alive, scale)
        if dropout_p > 0:
            weights = dropout(weights, dropout_p)
        return (weights @ value.to(wide)).to(target)
    heads = [_as_heads(x) for x in (query, key, value)]
    scores = (*leading, length, key._array.shape[-2])
    hidden = None
    if mask is not None:
        hidden = mode.run(_for_heads, mask._array if alive is None else np.where(alive, mask._array, 0), scores)
    visible = None if alive is None else _for_heads(alive, (*leading, length, 1))
    causal = is_causal and attn_mask is None
    out = _attention(*heads, hidden, visible, scale, causal, memo_of(*heads))
    return out.reshape((*leading, length, value._array.shape[-1]))


def _as_heads(x: Tensor) -> Tensor:
    shape = x._array.shape
    return x if len(shape) == 3 else x.reshape(math.prod(shape[:-2]), *shape[-2:])


def _for_heads(array: Array, shape: tuple[int, ...]) -> Array:
    """`array`, which broadcasts to (*, L, S), as (1 or B, L, S)."""
    if all([n == 1 for n in array.shape[:-2]]):
        return np.broadcast_to(array.reshape(array.shape[-2:]), shape[-2:])[None]
    return np.broadcast_to(array, shape).reshape(-1, *shape[-2:])


def _shown(mask: Array, dtype: NumpyType) -> Array:
    """The additive form of a bool mask that is true for the keys that take part."""
    return np.where(mask, 0, -np.inf).astype(dtype)


def _hidden(mask: Array, dtype: NumpyType) -> Array:
    """The additive form of a bool mask that is true for the keys that do not take part."""
    return np.where(mask, -np.inf, 0).astype(dtype)


def _takes_both(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, dropout_p: float) -> bool:
    """Whether torch's kernel combines a mask with `is_causal`, which its other implementations refuse."""
    compact = all([x._array.ndim == 4 and x._array.strides[-1] == x._array.itemsize for x in (query, key, value)])
    return compact and mask._array.ndim in (2, 4) and dropout_p == 0 and not mask.requires_grad


def _mask(
    attn_mask: Tensor | None, is_causal: bool, shape: tuple[int, int], numpy_dtype: NumpyType
) -> tuple[Tensor | None, Array | None]:
    """The additive mask, and which queries see any key, (*, L, 1), or None if all do."""
    past = np.tri(*shape, dtype=bool)
    if is_causal and attn_mask is None:
        return wrap(np.where(past, 0, -np.inf).astype(numpy_dtype)), None
    if attn_mask is None:
        return None, None
    if attn_mask._array.dtype.kind == "b":
        attn_mask = wrap(mode.run(_shown, attn_mask._array, numpy_dtype))
    if attn_mask._array.dtype != numpy_dtype:
        attn_mask = attn_mask.to(of_numpy(numpy_dtype))
    if is_causal:
        attn_mask = wrap(np.where(past, attn_mask._array, numpy_dtype.type(-np.inf)))
    hidden = np.isneginf(attn_mask._array).all(-1, keepdims=True)
    return attn_mask, np.logical_not(hidden) if hidden.any() else None


# ------------------------------------------------------------------------------------------------ several heads


def _check(condition: bool, message: str) -> None:
    """AssertionError, as in torch, unless `condition` holds."""
    if not condition:
        raise AssertionError(message)


def _check_dimensions(
    query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None, attn_mask: Tensor | None, num_heads: int
) -> bool:
    """Whether there is a batch dimension."""
    batched = query.ndim == 3
    _check(
        batched or query.ndim == 2, f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor"
    )
    kind = "batched (3-D)" if batched else "unbatched (2-D)"
    _check(
        key.ndim == value.ndim == query.ndim,
        f"For {kind} `query`, expected `key` and `value` to be {query.ndim}-D but found {key.ndim}-D and {value.ndim}-D tensors "
        "respectively",
    )
    if key_padding_mask is not None:
        _check(
            key_padding_mask.ndim == query.ndim - 1,
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {query.ndim - 1}-D but found "
            f"{key_padding_mask.ndim}-D tensor instead",
        )
    if attn_mask is not None:
        _check(
            attn_mask.ndim in (2, 3),
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.ndim}-D tensor instead",
        )
        if not batched and attn_mask.ndim == 3:
            expected = (num_heads, query._array.shape[0], key._array.shape[0])
            _check(attn_mask._array.shape == expected, f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}")
    return batched


def _with_batch(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(T, E) -> (T, 1, E); identical tensors stay identical."""
    same_key, same_value = key is query, value is key
    query = query.unsqueeze(1)
    key = query if same_key else key.unsqueeze(1)
    return query, key, key if same_value else value.unsqueeze(1)


def _additive(mask: Tensor | None, name: str, like: Tensor, other: Tensor | None = None) -> Tensor | None:
    """The additive form of a bool mask that is true for masked keys."""
    if mask is None:
        return None
    _check(mask._array.dtype.kind in "bfV", f"only bool and floating types of {name} are supported")
    if other is not None and other._array.dtype != mask._array.dtype:
        warnings.warn(
            f"Support for mismatched {name} and attn_mask is deprecated. Use same type for both instead.",
            stacklevel=level_of_user(),
        )
    if mask.dtype is not boolean:
        return mask
    return wrap(mode.run(_hidden, mask._array, like._array.dtype))


def _score_masks(
    attn_mask: Tensor | None, key_padding_mask: Tensor | None, query: Tensor, is_causal: bool, need_weights: bool
) -> tuple[Tensor | None, Tensor | None, bool]:
    """Both masks in additive form, and whether `is_causal` replaces the first."""
    key_padding_mask = _additive(key_padding_mask, "key_padding_mask", query, attn_mask)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and key_padding_mask is None and not need_weights:
        return None, None, True  # the hint describes the mask
    added = _additive(attn_mask, "attn_mask", query)
    if added is not None and added._array.dtype != query._array.dtype:
        raise RuntimeError(f"attn_mask must be bool or of the type of the query, but got {added.dtype} and {query.dtype}")
    return added, key_padding_mask, is_causal and key_padding_mask is None


def _mask_for_heads(mask: Tensor | None, heads: int, length: int, source: int) -> Tensor | None:
    """`mask` (L, S) or (heads, L, S) as (1 or heads, L, S)."""
    if mask is None:
        return None
    expected = (length, source) if mask.ndim == 2 else (heads, length, source)
    if mask._array.shape != expected:
        raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {expected}.")
    return mask.unsqueeze(0) if mask.ndim == 2 else mask


def _with_padding(mask: Tensor | None, key_padding_mask: Tensor | None, batch: int, heads: int, source: int) -> Tensor | None:
    """`mask` and `key_padding_mask` (N, S) in one: (N * heads, L or 1, S)."""
    if key_padding_mask is None:
        return mask
    rows, columns = key_padding_mask._array.shape
    _check(rows == batch, f"Expected key_padded_mask.shape[0] to be {batch}, but got {rows}")
    _check(columns == source, f"Expected key_padded_mask.shape[1] to be {source}, but got {columns}")
    padding = key_padding_mask.reshape(batch, 1, 1, source).expand(-1, heads, -1, -1)
    padding = padding.reshape(batch * heads, 1, source)
    return padding if mask is None else mask + padding


def _projected(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value through their thirds of one weight (3 E, E); one product for identical tensors."""
    _check(key._array.shape == value._array.shape, f"key shape {key.shape} does not match value shape {value.shape}")
    if weight is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    embed = query._array.shape[-1]
    biases = (None, None, None) if bias is None else bias.chunk(3)
    if key is value and query is key:
        q, k, v = linear(query, weight, bias).split(embed, -1)
        return q.contiguous(), k.contiguous(), v.contiguous()
    weights = weight.chunk(3)
    q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))
    return q, k, v


def _projected_separately(
    query: Tensor, key: Tensor, value: Tensor, weights: dict[str, Tensor | None], bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value each through its own weight and a third of one bias."""
    shapes = key.shape[:2], value.shape[:2]
    _check(shapes[0] == shapes[1], f"key's sequence and batch dims {shapes[0]} do not match value's {shapes[1]}")
    for name, weight in weights.items():
        _check(weight is not None, f"use_separate_proj_weight is True but {name} is None")
    biases = (None, None, None) if bias is None else bias.chunk(3)
    q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights.values(), biases) if w is not None)
    return q, k, v


class _Keys(NamedTuple):
    """The keys, values and masks of one attention."""

    key: Tensor
    value: Tensor
    attn_mask: Tensor | None
    key_padding_mask: Tensor | None

    def with_one_more(self, key: Tensor, value: Tensor, dim: int) -> _Keys:
        """With one more key, which is visible."""
        masks = (_widened(self.attn_mask), _widened(self.key_padding_mask))
        return _Keys(cat([self.key, key], dim), cat([self.value, value], dim), *masks)


def _widened(mask: Tensor | None) -> Tensor | None:
    """`mask` with one more key, which is visible."""
    return None if mask is None else cat([mask, wrap(np.zeros((*mask._array.shape[:-1], 1), mask._array.dtype))], -1)


def _with_bias(
    keys: _Keys, bias_k: Tensor | None, bias_v: Tensor | None, static_k: Tensor | None, static_v: Tensor | None
) -> _Keys:
    if bias_k is not None and bias_v is not None:
        _check(static_k is None, "bias cannot be added to static key.")
        _check(static_v is None, "bias cannot be added to static value.")
        for bias in (bias_k, bias_v):
            if not mode.casting and promote_numpy(bias._array.dtype, keys.key._array.dtype) != keys.key._array.dtype:
                raise RuntimeError(
                    f"expected scalar type {scalar_name(keys.key._array.dtype)} but found {scalar_name(bias._array.dtype)}"
                )
        batch = keys.key._array.shape[1]
        return keys.with_one_more(bias_k.repeat(1, batch, 1), bias_v.repeat(1, batch, 1), 0)
    _check(bias_k is None, "bias_k is set but bias_v is None")
    _check(bias_v is None, "bias_v is set but bias_k is None")
    return keys


def _split(x: Tensor, heads: int, width: int, fixed: Tensor | None = None, name: str = "") -> Tensor:
    """(T, N, E) -> (N * heads, T, width), for all `heads` of the batch; or the `fixed` value."""
    if fixed is None:
        return x.reshape(x._array.shape[0], heads, width).transpose(0, 1)
    rows, _, columns = fixed._array.shape
    _check(rows == heads, f"expecting {name}.size(0) of {heads}, but got {rows}")
    _check(columns == width, f"expecting {name}.size(2) of {width}, but got {columns}")
    return fixed


def _attended_with_weights(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float) -> tuple[Tensor, Tensor]:
    """(N * heads, L, width), (N * heads, S, width), (N * heads, S, width) -> (L, N * heads, width), (N * heads, L, S)"""
    target, wide = q.dtype, _wide(q, math.prod(q._array.shape[:2]) * k._array.shape[1])
    scale = math.sqrt(1 / q._array.shape[2])
    weights = _weights(q.to(wide), k.to(wide), None if mask is None else mask.to(wide), None, scale)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    return (weights @ v.to(wide)).to(target).transpose(0, 1), weights.to(target)


@public("nn.functional")
def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """``out = concat(heads) @ out_proj_weight.T + out_proj_bias`` of `num_heads` heads
    ``softmax(q @ k.T / sqrt(E / num_heads)) @ v``, where `q`, `k` and `v` are thirds of the projections of query, key and value.

    `key_padding_mask` (N, S) and `attn_mask` (L, S) or (N * num_heads, L, S) are added to the scores, or mask keys where
    they are true.

    Shapes: `query` (L, N, E), `key` and `value` (S, N, E), also without N -> (L, N, E), and with `need_weights` (N, L, S), or
    for each head.
    Raises: AssertionError or RuntimeError for mismatched arguments.
    Source: Vaswani et al., Attention is all you need, 2017, section 3.2.2.

    >>> x = torch.ones(3, 1, 4)
    >>> out, weights = F.multi_head_attention_forward(
    ...     x, x, x, 4, 2, torch.ones(12, 4), None, None, None, False, 0.0, torch.eye(4), None
    ... )
    >>> out.shape, weights[0, 0]
    (torch.Size([3, 1, 4]), tensor([0.3333, 0.3333, 0.3333]))
    """
    batched = _check_dimensions(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = _with_batch(query, key, value)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, batch, embed = query._array.shape
    attn_mask, key_padding_mask, is_causal = _score_masks(attn_mask, key_padding_mask, query, is_causal, need_weights)
    _check(embed == embed_dim_to_check, f"was expecting embedding dimension of {embed_dim_to_check}, but got {embed}")
    _check(embed // num_heads * num_heads == embed, f"embed_dim {embed} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight:
        weights = {"q_proj_weight": q_proj_weight, "k_proj_weight": k_proj_weight, "v_proj_weight": v_proj_weight}
        q, k, v = _projected_separately(query, key, value, weights, in_proj_bias)
    else:
        q, k, v = _projected(query, key, value, in_proj_weight, in_proj_bias)
    width, heads = embed // num_heads, batch * num_heads
    keys = _Keys(k, v, _mask_for_heads(attn_mask, heads, length, key._array.shape[0]), key_padding_mask)
    k, v, attn_mask, key_padding_mask = _with_bias(keys, bias_k, bias_v, static_k, static_v)
    q, k = _split(q, heads, width), _split(k, heads, width, static_k, "static_k")
    v = _split(v, heads, width, static_v, "static_v")
    if add_zero_attn:
        zeros = wrap(np.zeros((heads, 1, width), k._array.dtype))
        k, v, attn_mask, key_padding_mask = _Keys(k, v, attn_mask, key_padding_mask).with_one_more(zeros, zeros, 1)
    mask = _with_padding(attn_mask, key_padding_mask, batch, num_heads, k._array.shape[1])
    dropout_p = dropout_p if training else 0.0
    if not need_weights:
        mixed, shown = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal).transpose(0, 1), None
    else:
        mixed, shown = _attended_with_weights(q, k, v, mask, dropout_p)
        shown = shown.reshape(batch, num_heads, *shown._array.shape[1:])
        shown = shown.mean(1) if average_attn_weights else shown
    out = linear(mixed.reshape(length * batch, embed), out_proj_weight, out_proj_bias)
    out = out.reshape(length, batch, out._array.shape[1])
    return (out, shown) if batched else (out.squeeze(1), None if shown is None else shown.squeeze(0))
