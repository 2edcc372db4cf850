"""Attention whose scores a user function modifies or masks: ``flex_attention``, without compilation.

The functions are written for one score and its batch, head, query and key indices. They are called once, with tensors that
broadcast over all of them; functions that are not elementwise are refused (`_spot_check`).
"""

from __future__ import annotations

import inspect
import itertools
import math
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple, TypedDict

from mini_dl import _dtypes
from mini_dl._surface import namespace
from mini_dl.autograd.mode import no_grad
from mini_dl.nn import functional
from mini_dl.tensor import Tensor

__all__ = [
    "AuxOutput",
    "AuxRequest",
    "BlockMask",
    "FlexKernelOptions",
    "and_masks",
    "create_block_mask",
    "create_mask",
    "flex_attention",
    "noop_mask",
    "or_masks",
]

torch: Any = SimpleNamespace(**namespace("torch"), **{kind.name: kind for kind in _dtypes.ALL})
"""The functions and types of torch."""

Mod = Callable[..., Any]
_DEFAULT_SPARSE_BLOCK_SIZE = 128
_LARGE_SPARSE_BLOCK_SIZE = 1 << 30


class FlexKernelOptions(TypedDict, total=False):
    """Options of torch's kernels: accepted, without effect."""

    BACKEND: str
    PRESCALE_QK: bool
    ROWS_GUARANTEED_SAFE: bool
    BLOCKS_ARE_CONTIGUOUS: bool
    BLOCK_M: int
    BLOCK_N: int


class AuxRequest(NamedTuple):
    """What to return besides the output."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What `AuxRequest` asked for: (B, H, L)."""

    lse: Tensor | None = None
    max_scores: Tensor | None = None


# ------------------------------------------------------------------------------------------------ functions of positions


def _identity(score: object, batch: object, head: object, token_q: object, token_kv: object) -> Any:
    return score


def noop_mask(batch: Any, head: object, token_q: object, token_kv: object) -> Any:
    """``mask = True`` everywhere.

    Shapes: four numbers -> ().
    Raises: AttributeError for anything but a tensor.

    >>> from mini_dl.nn.attention.flex_attention import noop_mask
    >>> noop_mask(torch.tensor(0), 0, 0, 0)
    tensor(True)
    """
    return batch.new_ones(size=(), dtype=torch.bool)


def _sliced_mask_mod_error(batch: object, head: object, token_q: object, token_kv: object) -> Any:
    raise RuntimeError("Cannot use mask_mod from a sliced BlockMask")


def _joined(mods: tuple[Mod, ...], join: Callable[[Any, Any], Any], start: bool) -> Mod:
    if not all([callable(mod) for mod in mods]):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mods}")

    def mask(b: Any, h: object, q_idx: object, kv_idx: object) -> Any:
        result = b.new_full((), start, dtype=torch.bool)
        for mod in mods:
            result = join(result, mod(b, h, q_idx, kv_idx))
        return result

    return mask


def or_masks(*mask_mods: Mod) -> Mod:
    """``mask = a | b``: the mask that is True where one of these is.

    Shapes: functions of four numbers -> a function of four numbers.
    Raises: RuntimeError for a non-callable.

    >>> from mini_dl.nn.attention.flex_attention import create_mask, or_masks
    >>> first = or_masks(lambda b, h, q, kv: kv == 0, lambda b, h, q, kv: q == kv)
    >>> create_mask(first, None, None, 3, 3)[0, 0].int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [1, 0, 1]], dtype=torch.int32)
    """
    return _joined(mask_mods, lambda a, b: a | b, False)


def and_masks(*mask_mods: Mod) -> Mod:
    """``mask = a & b``: the mask that is True where all of these are.

    Shapes: functions of four numbers -> a function of four numbers.
    Raises: RuntimeError for a non-callable.

    >>> from mini_dl.nn.attention.flex_attention import and_masks, create_mask
    >>> near = and_masks(lambda b, h, q, kv: kv <= q, lambda b, h, q, kv: q - kv < 2)
    >>> create_mask(near, None, None, 3, 3)[0, 0].int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [0, 1, 1]], dtype=torch.int32)
    """
    return _joined(mask_mods, lambda a, b: a & b, True)


def _takes_scores(mod: Mod) -> bool:
    """Whether it is a function of a score and four indices, not of the four indices alone."""
    parameters = inspect.signature(mod).parameters.values()
    count = sum([p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters])
    if count not in (4, 5):
        raise AssertionError(f"expected a score_mod with 5 arguments or a mask_mod with 4, got {mod}")
    return count == 5


def _numbers(shape: tuple[int, ...]) -> list[Tensor]:
    """The indices of batch, head, query and key, each along its own dimension."""
    return [torch.arange(n, dtype=torch.int32).reshape([-1 if i == k else 1 for i in range(4)]) for k, n in enumerate(shape)]


def _everywhere(mod: Mod, shape: tuple[int, ...], scores: Tensor | None = None) -> Tensor:
    """``mod`` at all positions: (B, H, L, S). NotImplementedError if they differ from its values at single positions."""
    first = () if scores is None else (scores,)
    result = mod(*first, *_numbers(shape))
    result = result if isinstance(result, Tensor) else torch.tensor(result)
    try:
        whole = result.expand(shape)
    except RuntimeError:
        raise _not_elementwise(mod) from None
    _spot_check(mod, whole, scores)
    return whole


@no_grad()
def _spot_check(mod: Mod, whole: Tensor, scores: Tensor | None) -> None:
    """Compare a few values with those that `mod` gives for single positions."""
    if whole.numel() == 0:
        return
    ends = [sorted({0, n // 2, n - 1}) for n in whole.shape]
    places = list(itertools.product(*ends))
    for place in places[:: max(1, len(places) // 8)]:
        first = () if scores is None else (scores[place],)
        alone = mod(*first, *[torch.tensor(i, dtype=torch.int32) for i in place])
        alone = alone if isinstance(alone, Tensor) else torch.tensor(alone)
        if alone.dim() != 0 or not torch.isclose(alone.double(), whole[place].double(), rtol=1e-4, atol=1e-6, equal_nan=True):
            raise _not_elementwise(mod)


def _not_elementwise(mod: Mod) -> NotImplementedError:
    name = getattr(mod, "__name__", mod)
    return NotImplementedError(
        f"flex_attention: {name} is not elementwise (it sums over, or depends on the shape of, its "
        "arguments), which "
        "needs torch.vmap. See docs/coverage.md."
    )


def create_mask(mod_fn: Mod, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: object = None) -> Tensor:
    """``mask[b, h, q, kv] = mod_fn(b, h, q, kv)``: where a mask, or a function of scores, lets a query see a key.

    Shapes: None for `B` or `H` is 1 -> (B, H, Q_LEN, KV_LEN) of bool.
    Raises: AssertionError for a function with another number of arguments.

    >>> from mini_dl.nn.attention.flex_attention import create_mask
    >>> create_mask(lambda b, h, q, kv: kv <= q, None, None, 2, 3)
    tensor([[[[ True, False, False],
              [ True,  True, False]]]])
    """
    shape = (B or 1, H or 1, Q_LEN, KV_LEN)
    if _takes_scores(mod_fn):
        return ~torch.isneginf(_everywhere(mod_fn, shape, torch.zeros(shape)))
    return _everywhere(mod_fn, shape).contiguous()


# ------------------------------------------------------------------------------------------------ blocks


def _ordered(dense: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of blocks, their number, and the indices of their columns first."""
    whole = dense.to(torch.int32)
    order = torch.argsort(whole, dim=-1, descending=True, stable=True)
    return whole.sum(-1).to(torch.int32), order.to(torch.int32)


def _dense(counts: Tensor, indices: Tensor) -> Tensor:
    """1 where there is a block: the inverse of `_ordered`."""
    there = torch.arange(indices.shape[-1]) < counts.unsqueeze(-1)
    result = torch.zeros(indices.shape, dtype=torch.int32)
    return result.scatter_(-1, indices.to(torch.int64), there.to(torch.int32))


def _transposed(counts: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    return _ordered(_dense(counts, indices).transpose(-2, -1))


def _blocks(mask: Tensor, rows: int, columns: int) -> Tensor:
    """How many elements of each block are True: (B, H, L / rows, S / columns)"""
    b, h, q, kv = mask.shape
    padded = functional.pad(mask.to(torch.int64), (0, -kv % columns, 0, -q % rows))
    q, kv = padded.shape[-2:]
    return padded.reshape(b, h, q // rows, rows, kv // columns, columns).sum((-3, -1))


class BlockMask:
    """A mask, and which blocks of the scores it omits: ``kv_indices`` (B, H, rows, columns) of which the first
    ``kv_num_blocks`` of each row are used, ``full_kv_...`` for blocks without a False, ``q_...`` the same by columns."""

    def __init__(
        self, seq_lengths: tuple[int, int], kv_num_blocks: Tensor, kv_indices: Tensor, full_kv_num_blocks: Tensor | None,
        full_kv_indices: Tensor | None, q_num_blocks: Tensor | None, q_indices: Tensor | None, full_q_num_blocks: Tensor | None,
        full_q_indices: Tensor | None, BLOCK_SIZE: tuple[int, int] = (_DEFAULT_SPARSE_BLOCK_SIZE, _DEFAULT_SPARSE_BLOCK_SIZE),
        mask_mod: Mod = noop_mask,
    ) -> None:  # fmt: skip
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        for first, second, name in ((full_kv_num_blocks, full_kv_indices, "kv"), (full_q_num_blocks, full_q_indices, "q")):
            if (first is None) != (second is None):
                raise AssertionError(f"full_{name}_num_blocks and full_{name}_indices must be both provided or omitted")
        self.seq_lengths, self.BLOCK_SIZE, self.mask_mod = seq_lengths, BLOCK_SIZE, mask_mod
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices

    @classmethod
    def from_kv_blocks(
        cls, kv_num_blocks: Tensor, kv_indices: Tensor, full_kv_num_blocks: Tensor | None = None,
        full_kv_indices: Tensor | None = None, BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
        mask_mod: Mod | None = None, seq_lengths: tuple[int, int] | None = None, compute_q_blocks: bool = True,
    ) -> BlockMask:  # fmt: skip
        """From the blocks of each row, from which those of each column are derived."""
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        q: tuple[Any, Any] = (None, None)
        full_q: tuple[Any, Any] = (None, None)
        if compute_q_blocks:
            q = _transposed(kv_num_blocks, kv_indices)
            if full_kv_num_blocks is not None and full_kv_indices is not None:
                full_q = _transposed(full_kv_num_blocks, full_kv_indices)
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        if seq_lengths is None:
            seq_lengths = (kv_indices.shape[-2] * size[0], kv_indices.shape[-1] * size[1])
        return cls(
            seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, *q, *full_q, size, mask_mod or noop_mask
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, H, L, S)"""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """The number of elements of the mask."""
        return math.prod(self.shape)

    def sparsity(self) -> float:
        """The percentage of the scores in omitted blocks."""
        blocks = int(self.kv_num_blocks.sum())
        if self.full_kv_num_blocks is not None:
            blocks += int(self.full_kv_num_blocks.sum())
        return 100 * (1 - blocks * self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1] / self.numel())

    def to_dense(self) -> Tensor:
        """1 where there is a block."""
        dense = _dense(self.kv_num_blocks, self.kv_indices)
        if self.full_kv_num_blocks is not None and self.full_kv_indices is not None:
            dense = dense | _dense(self.full_kv_num_blocks, self.full_kv_indices)
        return dense

    def to(self, device: Any) -> BlockMask:
        """The mask on a device, which must be the CPU."""
        self.kv_num_blocks.to(device)
        return self

    def as_tuple(self, flatten: bool = True) -> tuple[Any, ...]:
        """All attributes."""
        lengths, size = (self.seq_lengths, self.BLOCK_SIZE) if flatten else ((self.seq_lengths,), (self.BLOCK_SIZE,))
        rows = self.kv_num_blocks, self.kv_indices, self.full_kv_num_blocks, self.full_kv_indices
        columns = self.q_num_blocks, self.q_indices, self.full_q_num_blocks, self.full_q_indices
        return (*lengths, *rows, *columns, None, None, None, None, *size, self.mask_mod)

    def _with(self, change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], mod: Mod, lengths: tuple[int, int]) -> BlockMask:
        full: tuple[Any, Any] = (None, None)
        if self.full_kv_num_blocks is not None and self.full_kv_indices is not None:
            full = change(self.full_kv_num_blocks, self.full_kv_indices)
        counts, indices = change(self.kv_num_blocks, self.kv_indices)
        return BlockMask.from_kv_blocks(counts, indices, *full, self.BLOCK_SIZE, mod, lengths, self.q_indices is not None)

    def __getitem__(self, index: Any) -> BlockMask:
        """The mask of some batches, heads and rows of blocks; dimensions are kept. Its ``mask_mod`` can no longer be called."""
        given = index if isinstance(index, tuple) else (index,)
        padded = (*given, slice(None), slice(None), slice(None))[:3]
        at = tuple([_slice(i, n) if isinstance(i, int) else i for i, n in zip(padded, self.kv_num_blocks.shape)])
        return self._with(lambda counts, indices: (counts[at], indices[at]), _sliced_mask_mod_error, self.seq_lengths)

    def _adjust(self, new_q_len: int, new_kv_len: int) -> BlockMask:
        rows, columns = -(-new_q_len // self.BLOCK_SIZE[0]), -(-new_kv_len // self.BLOCK_SIZE[1])

        def cut(counts: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
            dense = _dense(counts, indices)[:, :, :rows, :columns]
            return _ordered(dense)

        return self._with(cut, self.mask_mod, (new_q_len, new_kv_len))

    def __repr__(self) -> str:
        names = (
            "kv_num_blocks kv_indices full_kv_num_blocks full_kv_indices q_num_blocks q_indices full_q_num_blocks full_q_indices"
        )
        lines = [
            f"    {name}={None if value is None else value.shape},\n" for name in names.split() for value in [getattr(self, name)]
        ]
        mod = getattr(self.mask_mod, "__name__", self.mask_mod)
        return (
            f"BlockMask(\n{''.join(lines)}    BLOCK_SIZE={self.BLOCK_SIZE},\n    shape={self.shape},\n"
            f"    sparsity={self.sparsity():.2f}%,\n    mask_mod={mod}\n)"
        )


def _slice(i: int, n: int) -> slice:
    return slice(i + n, i + n + 1) if -n <= i < 0 else slice(i, i + 1)


def create_block_mask(
    mask_mod: Mod, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: object = None,
    BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE, _compile: bool = False, separate_full_blocks: bool = True,
    compute_dq_write_order: bool = False, dq_kv_order: bool = False,
) -> BlockMask:  # fmt: skip
    """``mask[b, h, q, kv] = mask_mod(b, h, q, kv)``, and which of its blocks of `BLOCK_SIZE` are empty, full or neither.

    Shapes: `B` or `H` of None: the same for all -> BlockMask of (B, H, Q_LEN, KV_LEN).
    Raises: AssertionError for a function of scores.

    >>> from mini_dl.nn.attention.flex_attention import create_block_mask
    >>> create_block_mask(lambda b, h, q, kv: kv <= q, None, None, 256, 256).sparsity()
    25.0
    """
    if _takes_scores(mask_mod):
        raise AssertionError(f"create-block_mask requires a mask_mod function! Got {mask_mod}")
    rows, columns = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    sums = _blocks(create_mask(mask_mod, B, H, Q_LEN, KV_LEN), rows, columns)
    full: tuple[Any, Any] = (None, None)
    part = sums > 0
    if separate_full_blocks:
        full = _ordered(sums == rows * columns)
        part = part & (sums < rows * columns)
    return BlockMask.from_kv_blocks(*_ordered(part), *full, (rows, columns), mask_mod, (Q_LEN, KV_LEN))


# ------------------------------------------------------------------------------------------------ attention


def _check(query: Tensor, key: Tensor, value: Tensor, block_mask: BlockMask | None, enable_gqa: bool) -> None:
    if query.size(-1) != key.size(-1):
        raise ValueError(
            f"Expect query and key/value to have the same embedding dimension but got E={query.size(-1)} and E={key.size(-1)}."
        )
    if query.dim() != 4 or key.dim() != 4 or value.dim() != 4:
        raise NotImplementedError("NYI: query, key, and value must be 4D tensors")
    heads, others = query.size(1), key.size(1)
    if not enable_gqa and heads != others:
        raise ValueError(
            f"Expect query and key/value to have the same number of heads but got Hq={heads} and Hkv={others}. Try setting "
            "enable_gqa=True for GQA."
        )
    if enable_gqa and heads % others != 0:
        raise ValueError(
            f"Expect number of query heads to be a multiple of kv heads for GQA but got Hq={heads} and Hkv={others}."
        )
    if query.size(0) != key.size(0) and block_mask is None:
        raise ValueError(
            "Expect query and key/value to have the same batch size, or non-none block_mask, but got block_mask=None, "
            f"Bq={query.size(0)}, and Bkv={key.size(0)}."
        )
    if block_mask is None:
        return
    if block_mask.mask_mod is _sliced_mask_mod_error:
        raise RuntimeError("Cannot use mask_mod from a sliced BlockMask")
    (q, kv), (expected_q, expected_kv) = (query.size(-2), key.size(-2)), block_mask.shape[-2:]
    if (q, kv) != (expected_q, expected_kv):
        smaller = q > expected_q or kv > expected_kv
        raise ValueError(
            f"block_mask was created for block_mask.shape={block_mask.shape} but got q_len={q} and kv_len={kv}. As the "
            "block mask was "
            f"created for a {'smaller' if smaller else 'larger'} length than you're using it for, you "
            + (
                "likely need to create a new block mask."
                if smaller
                else "can create a new one, or call block_mask._adjust(q_len, kv_len)."
            )
        )


def flex_attention(
    query: Tensor, key: Tensor, value: Tensor, score_mod: Mod | None = None, block_mask: BlockMask | None = None,
    scale: float | None = None, enable_gqa: bool = False, return_lse: bool = False, kernel_options: object = None, *,
    return_aux: AuxRequest | None = None,
) -> Any:  # fmt: skip
    """``out = softmax(score_mod(scale * query @ key.T, b, h, q, kv)) @ value`` where `block_mask` is True.

    `scale` defaults to ``1 / sqrt(E)``. `return_aux` also returns logarithms of the sums of exponentials and the maximal scores,
    `return_lse` only the former. Gradients flow, also to tensors that `score_mod` uses; torch has none on the CPU.

    Shapes: `query` (B, H, L, E), `key` (B, H, S, E), `value` (B, H, S, V) -> (B, H, L, V).
    Raises: ValueError for sizes or types that do not match; NotImplementedError unless there are four dimensions.
    Source: Dong et al., Flex attention: a programming model for generating optimized attention kernels, 2024.

    >>> from mini_dl.nn.attention.flex_attention import flex_attention
    >>> x = torch.eye(2).reshape(1, 1, 2, 2)
    >>> flex_attention(x, x, x, score_mod=lambda score, b, h, q, kv: score - 100 * (q - kv).abs())
    tensor([[[[1.0000e+00, 1.8217e-44],
              [1.8217e-44, 1.0000e+00]]]])
    """
    _check(query, key, value, block_mask, enable_gqa)
    if return_lse and return_aux is not None:
        raise ValueError(
            "Cannot specify both return_lse and return_aux. return_lse is deprecated, please use return_aux=AuxRequest(lse=True) "
            "instead."
        )
    if return_lse:
        warnings.warn(
            "return_lse is deprecated and will be removed in v2.10. Please use return_aux=AuxRequest(lse=True) instead.",
            FutureWarning,
            stacklevel=2,
        )
    working = torch.float64 if query.dtype is torch.float64 else torch.float32
    groups = query.size(1) // key.size(1)
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = query.to(working) @ key.to(working).transpose(-2, -1)
    scores = scores * (1.0 / math.sqrt(query.size(-1)) if scale is None else scale)
    if score_mod is not None:
        scores = _everywhere(score_mod, tuple(scores.shape), scores)
    if block_mask is not None:
        scores = torch.where(_everywhere(block_mask.mask_mod, tuple(scores.shape)), scores, -math.inf)
    hidden = (scores == -math.inf).all(-1, keepdim=True)
    weights = torch.where(hidden, 0.0, torch.softmax(torch.where(hidden, 0.0, scores), -1))
    output = weights.to(query.dtype) @ value
    if not return_lse and return_aux is None:
        return output
    lse = (
        torch.where(hidden.squeeze(-1), -math.inf, scores.logsumexp(-1))
        if return_lse or (return_aux and return_aux.lse)
        else None
    )
    if return_lse:
        return output, lse
    return output, AuxOutput(lse, scores.amax(-1) if return_aux is not None and return_aux.max_scores else None)
