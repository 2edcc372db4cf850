"""Multi-head attention."""

from __future__ import annotations

from typing import Any

from mini_dl.autograd.primitive import not_a_tensor
from mini_dl.nn import functional as F, init
from mini_dl.nn._types import Device, DType
from mini_dl.nn.modules.linear import NonDynamicallyQuantizableLinear
from mini_dl.nn.modules.module import Module
from mini_dl.nn.parameter import Parameter, empty
from mini_dl.tensor import Tensor


class MultiheadAttention(Module):
    """``out = concat(heads) @ W.T + b`` of `num_heads` heads ``softmax(q @ k.T / sqrt(E / num_heads)) @ v``, where `q`, `k` and
    `v` are each head's slice of linear maps of query, key and value, E is `embed_dim`, and W and b belong to `out_proj`.

    Masks are bool (True: not attended to) or added to the scores. The weights are averaged over the heads if
    `average_attn_weights`.

    Shapes: `query` (L, N, embed_dim), `key` (S, N, kdim), `value` (S, N, vdim) -> (L, N, embed_dim), weights (N, L, S) or None;
    `batch_first` puts N first; also without N.
    Raises: ValueError for sizes that are not positive; AssertionError unless the heads divide `embed_dim`, and for masks of
    other sizes.
    Source: Vaswani et al., Attention is all you need, 2017, section 3.2.2.

    >>> attention = torch.nn.MultiheadAttention(8, num_heads=2, batch_first=True)
    >>> query, memory = torch.ones(3, 4, 8), torch.ones(3, 5, 8)
    >>> output, weights = attention(query, memory, memory)
    >>> output.shape, weights.shape
    (torch.Size([3, 4, 8]), torch.Size([3, 4, 5]))
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Device = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")

        def parameter(*shape: int) -> Parameter:
            return Parameter(empty(*shape, device=device, dtype=dtype))

        if self._qkv_same_embed_dim:
            self.in_proj_weight = parameter(3 * embed_dim, embed_dim)
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            self.q_proj_weight = parameter(embed_dim, embed_dim)
            self.k_proj_weight = parameter(embed_dim, self.kdim)
            self.v_proj_weight = parameter(embed_dim, self.vdim)
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", parameter(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.bias_k = self.bias_v = None
        if add_bias_kv:
            self.bias_k, self.bias_v = parameter(1, 1, embed_dim), parameter(1, 1, embed_dim)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None, need_weights: bool = True,
        attn_mask: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
    ) -> tuple[Tensor, Any]:  # fmt: skip
        for mask in (key_padding_mask, attn_mask):
            if mask is not None and not isinstance(mask, Tensor):
                raise not_a_tensor("is_floating_point", "input", 1, mask)
        turn = self.batch_first and query.ndim == 3
        if turn:
            turned = {id(x): x.transpose(0, 1) for x in (query, key, value)}  # keep one tensor given three times a single tensor
            query, key, value = turned[id(query)], turned[id(key)], turned[id(value)]
        masks: dict[str, Any] = {"key_padding_mask": key_padding_mask, "attn_mask": attn_mask, "is_causal": is_causal}
        weights = {f"{letter}_proj_weight": getattr(self, f"{letter}_proj_weight") for letter in "qkv"}
        output, attended = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k, self.bias_v,
            self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, training=self.training,
            need_weights=need_weights, use_separate_proj_weight=not self._qkv_same_embed_dim,
            average_attn_weights=average_attn_weights, **masks, **weights,
        )  # fmt: skip
        return (output.transpose(0, 1) if turn else output), attended
