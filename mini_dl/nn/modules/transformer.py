"""The transformer (Vaswani et al. 2017): attention and a feed-forward network per position, with residuals and norms."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import ClassVar, TypeAlias

import numpy as np

from mini_dl import _dtypes
from mini_dl._device import require_cpu
from mini_dl.autograd.graph import edge_of
from mini_dl.autograd.mode import mode
from mini_dl.nn import functional as F, init
from mini_dl.nn._types import Device, DType, Kwargs
from mini_dl.nn.modules.activation import GELU, ReLU
from mini_dl.nn.modules.attention import MultiheadAttention
from mini_dl.nn.modules.container import ModuleList
from mini_dl.nn.modules.dropout import Dropout
from mini_dl.nn.modules.linear import Linear
from mini_dl.nn.modules.module import Module
from mini_dl.nn.modules.normalization import LayerNorm
from mini_dl.tensor import Tensor, wrap

Activation: TypeAlias = Callable[[Tensor], Tensor]
Mask: TypeAlias = Tensor | None
"""Which positions are masked: True or minus infinity."""


def _activation(activation: str | Activation) -> Activation:
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    function: Activation = getattr(F, activation)
    return function


def _relu_or_gelu(activation: Activation) -> int:
    """1 for relu, 2 for gelu, 0 for any other activation."""
    if activation is F.relu or isinstance(activation, ReLU):
        return 1
    return 2 if activation is F.gelu or isinstance(activation, GELU) else 0


def _tensor_or_none(mask: Mask) -> None:
    if mask is not None and not isinstance(mask, Tensor):
        raise RuntimeError(f"a mask must be None or a tensor, not {type(mask).__name__}")


def _is_causal(mask: Mask, hint: bool | None, x: Tensor, batch_first: bool) -> bool:
    """The hint if given, else whether `mask` masks exactly the later positions."""
    if hint is not None or mask is None:
        return hint is True
    n = x.shape[0] if x.ndim == 2 else x.shape[1 if batch_first else 0]
    if mask.shape != (n, n):
        return False
    later = np.triu(np.ones((n, n), bool), 1)
    expected = later if mask._array.dtype == bool else np.where(later, -np.inf, 0.0)
    return bool(np.array_equal(mask._array, expected))


class _Layer(Module):
    """The common part of encoder and decoder layers: self-attention, the feed-forward network, norms."""

    _decodes: ClassVar[bool]
    """Whether it also attends to the encoder's output."""

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: str | Activation = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False,
        bias: bool = True, device: Device = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        place: Kwargs = {"device": device, "dtype": dtype}
        for name in ("self_attn", "multihead_attn")[: 1 + self._decodes]:
            attention = MultiheadAttention(d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **place)
            setattr(self, name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **place)
        self.norm_first = norm_first
        parts = range(1, 3 + self._decodes)
        for i in parts:
            setattr(self, f"norm{i}", LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place))
        for i in parts:
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = _activation(activation)
        if not self._decodes:
            self.activation_relu_or_gelu = _relu_or_gelu(self.activation)

    def _residual_block(self, x: Tensor, norm: Module, block: Callable[[Tensor], Tensor]) -> Tensor:
        return x + block(norm(x)) if self.norm_first else norm(x + block(x))

    def _sa_block(self, x: Tensor, attn_mask: Mask, key_padding_mask: Mask, is_causal: bool = False) -> Tensor:
        masks = {"attn_mask": attn_mask, "key_padding_mask": key_padding_mask, "is_causal": is_causal}
        return self.dropout1(self.self_attn(x, x, x, need_weights=False, **masks)[0])

    def _ff_block(self, x: Tensor) -> Tensor:
        x = self.linear2(self.dropout(self.activation(self.linear1(x))))
        return self.dropout3(x) if self._decodes else self.dropout2(x)


class TransformerEncoderLayer(_Layer):
    """``x = norm1(x + attention(x, x, x))``, then ``out = norm2(x + linear2(activation(linear1(x))))``; dropout on both summands.

    `norm_first`: ``x = x + attention(norm1(x))`` and ``out = x + network(norm2(x))`` (Xiong et al. 2020).

    Shapes: `src` (S, N, d_model) -> the same; `batch_first` puts N first; also without N. `src_mask` (S, S),
    `src_key_padding_mask` (N, S).
    Raises: AssertionError unless `nhead` divides `d_model`, and for other sizes; RuntimeError for an unknown `activation`.
    Source: Vaswani et al., Attention is all you need, 2017, section 3.1.

    >>> torch.nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16)(torch.ones(5, 3, 8)).shape
    torch.Size([5, 3, 8])
    """

    _decodes = False

    def forward(self, src: Tensor, src_mask: Mask = None, src_key_padding_mask: Mask = None, is_causal: bool = False) -> Tensor:
        _tensor_or_none(src_mask)
        x = self._residual_block(src, self.norm1, lambda x: self._sa_block(x, src_mask, src_key_padding_mask, is_causal))
        return self._residual_block(x, self.norm2, self._ff_block)


class TransformerDecoderLayer(_Layer):
    """``x = norm1(x + attention(x, x, x))``, ``x = norm2(x + attention(x, memory, memory))``,
    ``out = norm3(x + linear2(activation(linear1(x))))``.

    Dropout is on each summand; with `norm_first` each norm is on the input of its block.

    Shapes: `tgt` (T, N, d_model), `memory` (S, N, d_model) -> (T, N, d_model); `batch_first` puts N first; also without N.
    Raises: AssertionError unless `nhead` divides `d_model`, and for other sizes; RuntimeError for an unknown `activation`.
    Source: Vaswani et al., Attention is all you need, 2017, section 3.1.

    >>> layer = torch.nn.TransformerDecoderLayer(8, nhead=2, dim_feedforward=16)
    >>> layer(torch.ones(4, 3, 8), torch.ones(5, 3, 8)).shape
    torch.Size([4, 3, 8])
    """

    _decodes = True

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Mask = None, memory_mask: Mask = None, tgt_key_padding_mask: Mask = None,
        memory_key_padding_mask: Mask = None, tgt_is_causal: bool = False, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        x = self._residual_block(tgt, self.norm1, lambda x: self._sa_block(x, tgt_mask, tgt_key_padding_mask, tgt_is_causal))
        to_memory = (memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        x = self._residual_block(x, self.norm2, lambda x: self._mha_block(x, *to_memory))
        return self._residual_block(x, self.norm3, self._ff_block)

    def _mha_block(self, x: Tensor, memory: Tensor, attn_mask: Mask, key_padding_mask: Mask, is_causal: bool = False) -> Tensor:
        masks = {"attn_mask": attn_mask, "key_padding_mask": key_padding_mask, "is_causal": is_causal}
        return self.dropout2(self.multihead_attn(x, memory, memory, need_weights=False, **masks)[0])


def _copies(layer: Module, n: int) -> ModuleList:
    return ModuleList([copy.deepcopy(layer) for _ in range(n)])


class TransformerEncoder(Module):
    """``out = norm(layer[n - 1](... layer[0](src)))``: `num_layers` copies of an encoder layer in sequence, and a norm
    at the end.

    As in torch, in evaluation without gradients the outputs at padded positions are zero before that norm if the layers allow
    torch's fast path (`enable_nested_tensor`).

    Shapes: `src` (S, N, d_model) -> the same, or as the layer defines.
    Raises: AssertionError for an input with another number of features.
    Source: Vaswani et al., Attention is all you need, 2017, section 3.1.

    >>> layer = torch.nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True)
    >>> torch.nn.TransformerEncoder(layer, num_layers=2)(torch.ones(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None, enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layers, self.num_layers, self.norm = _copies(encoder_layer, num_layers), num_layers, norm
        self.enable_nested_tensor = self.use_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check
        why_not = self._reason_against_nesting(encoder_layer)
        if enable_nested_tensor and why_not:
            warnings.warn(f"enable_nested_tensor is True, but self.use_nested_tensor is False because {why_not}", stacklevel=2)
            self.use_nested_tensor = False

    @staticmethod
    def _reason_against_nesting(layer: Module) -> str:
        name = "encoder_layer"
        if not isinstance(layer, TransformerEncoderLayer):
            return f"{name} was not TransformerEncoderLayer"
        attention = layer.self_attn
        reasons = (
            (layer.norm_first, f"{name}.norm_first was True"),
            (
                not attention.batch_first,
                f"{name}.self_attn.batch_first was not True(use batch_first for better inference performance)",
            ),
            (not attention._qkv_same_embed_dim, f"{name}.self_attn._qkv_same_embed_dim was not True"),
            (attention.in_proj_bias is None, f"{name}.self_attn was passed bias=False"),
            (not layer.activation_relu_or_gelu, f"{name}.activation_relu_or_gelu was not True"),
            (layer.norm1.eps != layer.norm2.eps, f"{name}.norm1.eps was not equal to {name}.norm2.eps"),
            (attention.num_heads % 2 == 1, f"{name}.self_attn.num_heads is odd"),
        )
        return next((text for holds, text in reasons if holds), "")

    def forward(self, src: Tensor, mask: Mask = None, src_key_padding_mask: Mask = None, is_causal: bool | None = None) -> Tensor:
        _tensor_or_none(mask)
        first, output = self.layers[0], src
        causal = _is_causal(mask, is_causal, src, first.self_attn.batch_first)
        for layer in self.layers:
            output = layer(output, src_mask=mask, is_causal=causal, src_key_padding_mask=src_key_padding_mask)
        if mask is None and src_key_padding_mask is not None and self._zeroes_padding(src, src_key_padding_mask):
            output = output.masked_fill(_hidden(src_key_padding_mask).unsqueeze(-1), 0.0)
        return output if self.norm is None else self.norm(output)

    def _zeroes_padding(self, src: Tensor, padding: Tensor) -> bool:
        first = self.layers[0]
        if not self.use_nested_tensor or first.training or src.ndim != 3:
            return False
        needs = [src, *[p for name, p in first.named_parameters() if not name.startswith("multihead")]]
        if mode.enabled and any([edge_of(t) is not None for t in needs]):
            return False
        hidden = _hidden(padding)._array
        return not self.mask_check or bool((hidden[:, 1:] >= hidden[:, :-1]).all())  # padding only at the end


def _hidden(padding: Tensor) -> Tensor:
    """A padding mask as bools."""
    return padding if padding._array.dtype == bool else wrap(padding._array != 0)


def _masks(
    tgt: Mask, memory: Mask, tgt_padding: Mask, memory_padding: Mask, tgt_causal: bool | None, memory_causal: bool
) -> dict[str, Mask | bool]:
    """The mask arguments of a decoder, or of one of its layers."""
    padding = {"tgt_key_padding_mask": tgt_padding, "memory_key_padding_mask": memory_padding}
    causal = {"tgt_is_causal": tgt_causal, "memory_is_causal": memory_causal}
    return {"tgt_mask": tgt, "memory_mask": memory, **padding, **causal}


class TransformerDecoder(Module):
    """``out = norm(layer[n - 1](... layer[0](tgt, memory), memory))``: `num_layers` copies of a decoder layer, and a norm at the
    end.

    Shapes: `tgt` (T, N, d_model), `memory` (S, N, d_model) -> (T, N, d_model), or as the layer defines.
    Raises: AssertionError for an input with another number of features.
    Source: Vaswani et al., Attention is all you need, 2017, section 3.1.

    >>> layer = torch.nn.TransformerDecoderLayer(8, nhead=2, dim_feedforward=16)
    >>> torch.nn.TransformerDecoder(layer, 2)(torch.ones(4, 3, 8), memory=torch.ones(5, 3, 8)).shape
    torch.Size([4, 3, 8])
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers, self.num_layers, self.norm = _copies(decoder_layer, num_layers), num_layers, norm

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Mask = None, memory_mask: Mask = None, tgt_key_padding_mask: Mask = None,
        memory_key_padding_mask: Mask = None, tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        causal = _is_causal(tgt_mask, tgt_is_causal, tgt, self.layers[0].self_attn.batch_first)
        masks = _masks(tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, causal, memory_is_causal)
        output = tgt
        for layer in self.layers:
            output = layer(output, memory, **masks)
        return output if self.norm is None else self.norm(output)


class Transformer(Module):
    """``out = decoder(tgt, encoder(src))``: encoder and decoder layers, each stack with a norm at the end.

    Shapes: `src` (S, N, d_model), `tgt` (T, N, d_model) -> (T, N, d_model); `batch_first` puts N first; also without N.
    Raises: RuntimeError for batches of unequal sizes or another number of features; AssertionError unless `nhead` divides
    `d_model`.
    Source: Vaswani et al., Attention is all you need, 2017, section 3.

    >>> model = torch.nn.Transformer(8, 2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=16, batch_first=True)
    >>> model(torch.ones(3, 5, 8), torch.ones(3, 4, 8)).shape
    torch.Size([3, 4, 8])
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
        dim_feedforward: int = 2048, dropout: float = 0.1, activation: str | Activation = F.relu,
        custom_encoder: Module | None = None, custom_decoder: Module | None = None, layer_norm_eps: float = 1e-5,
        batch_first: bool = False, norm_first: bool = False, bias: bool = True, device: Device = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        sizes = (d_model, nhead, dim_feedforward, dropout, activation)
        options = (*sizes, layer_norm_eps, batch_first, norm_first, bias, device, dtype)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias, device=device, dtype=dtype)

        if custom_encoder is None:
            layer = TransformerEncoderLayer(*options)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        self.encoder = custom_encoder
        if custom_decoder is None:
            custom_decoder = TransformerDecoder(TransformerDecoderLayer(*options), num_decoder_layers, norm())
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def _reset_parameters(self) -> None:
        for param in self.parameters():
            if param.ndim > 1:
                init.xavier_uniform_(param)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Device = None, dtype: DType = None) -> Tensor:
        """(sz, sz): -inf where the column comes after the row, else 0."""
        require_cpu(device)
        kind = _dtypes.default_numpy() if dtype is None else dtype.numpy
        return wrap(np.triu(np.full((sz, sz), -np.inf), 1).astype(kind))

    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Mask = None, tgt_mask: Mask = None, memory_mask: Mask = None,
        src_key_padding_mask: Mask = None, tgt_key_padding_mask: Mask = None, memory_key_padding_mask: Mask = None,
        src_is_causal: bool | None = None, tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        at = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[at] != tgt.shape[at]:
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal, memory_is_causal)
        return self.decoder(tgt, memory, **_masks(*masks))


# what programs import from torch's file


def _get_clones(module: Module, N: int) -> ModuleList:
    return ModuleList([copy.deepcopy(module) for _ in range(N)])


def _get_activation_fn(activation: str) -> Callable[[Tensor], Tensor]:
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return getattr(F, activation)


def _generate_square_subsequent_mask(sz: int, device: Device = None, dtype: DType | None = None) -> Tensor:
    return Transformer.generate_square_subsequent_mask(sz, device, dtype)
