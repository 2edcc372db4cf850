"""Tensors of which each process holds some rows, as FSDP and sharded checkpoints need them.

Rows are distributed as by ``torch.chunk``: the first ranks get ``ceil(rows / n)`` each, the last ones the rest, possibly none.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple, NoReturn, SupportsIndex

from mini_dl.distributed.collectives import all_gather, all_gather_into_tensor, reduce_scatter_tensor
from mini_dl.distributed.groups import ProcessGroup, get_rank, get_world_size
from mini_dl.nn.parameter import Parameter
from mini_dl.ops.creation import empty, zeros, zeros_like
from mini_dl.ops.joining import stack
from mini_dl.ops.vector_norms import vector_norm
from mini_dl.tensor import Size, Tensor


class Shard(NamedTuple):
    """The placement of a tensor sharded over the processes along `dim`."""

    dim: int = 0

    def __repr__(self) -> str:
        return f"Shard(dim={self.dim})"


class Rows(NamedTuple):
    """The rows ``start:stop`` of a tensor of shape `size`, which this process of `group` holds."""

    size: tuple[int, ...]
    start: int
    stop: int
    group: ProcessGroup

    @property
    def local_size(self) -> tuple[int, ...]:
        return (self.stop - self.start, *self.size[1:])

    @property
    def offsets(self) -> tuple[int, ...]:
        return (self.start, *[0] * (len(self.size) - 1))


def rows_of(size: Sequence[int], group: ProcessGroup, rank: int | None = None) -> Rows:
    """The rows that a process (this one, unless `rank` is given) holds of a tensor of shape `size`."""
    each = -(-size[0] // get_world_size(group))
    start = min((get_rank(group) if rank is None else rank) * each, size[0])
    return Rows(tuple(size), start, min(start + each, size[0]), group)


class DTensor(Parameter):
    """This process's rows of a larger tensor. Its shape is that of the rows; `rows` describes the whole.

    Operations see only the rows, which suffices for elementwise optimizers.
    """

    rows: Rows
    placements: tuple[Shard, ...] = (Shard(0),)

    @staticmethod
    def of(local: Tensor, rows: Rows, requires_grad: bool = False) -> DTensor:
        """The rows `local` of the tensor that `rows` describes."""
        made = DTensor(local, requires_grad)
        made.rows = rows
        return made

    def to_local(self) -> Tensor:
        """The rows of this process, sharing memory."""
        return Tensor.detach(self).as_subclass(Tensor)

    def detach(self) -> DTensor:
        """The same rows without a history."""
        return DTensor.of(self.to_local(), self.rows)

    def full_tensor(self) -> Tensor:
        """The whole tensor, gathered from all processes: all of them must call this."""
        return gathered([self.to_local()], [self.rows])[0]

    def described(self, state: dict[str, object]) -> dict[str, object]:
        """An optimizer's state for these rows; elementwise state as rows."""
        return {
            key: DTensor.of(value, self.rows) if isinstance(value, Tensor) and value.ndim and value.shape == self.shape else value
            for key, value in state.items()
        }

    def full_norm(self, ord: float) -> Tensor:
        """The `ord`-norm of the whole tensor as one vector."""
        local = self.to_local()
        own = vector_norm(local, ord) if local.numel() else zeros((), dtype=local.dtype)
        norms = [zeros_like(own) for _ in range(get_world_size(self.rows.group))]
        all_gather(norms, own, group=self.rows.group)
        return vector_norm(stack(norms), ord)

    @property
    def full_size(self) -> Size:
        """The shape of the whole."""
        return Size(self.rows.size)

    def __deepcopy__(self, memo: dict[int, Any]) -> DTensor:
        if id(self) not in memo:
            memo[id(self)] = DTensor.of(self.to_local().clone(), self.rows, self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise RuntimeError("a DTensor holds the rows of one process: save full_tensor(), or use mini_dl.distributed.checkpoint")

    def __repr__(self, **kwargs: object) -> str:
        return f"DTensor(local_tensor={self.to_local()!r}, size={tuple(self.rows.size)}, placements={self.placements})"


def shard_of(tensor: Tensor, group: ProcessGroup) -> DTensor:
    """The rows that this process keeps of `tensor`, which is the same in all processes. ValueError for a number."""
    if tensor.ndim == 0:
        raise ValueError("a tensor without dimensions has no rows to distribute")
    rows = rows_of(tensor.shape, group)
    return DTensor.of(tensor.detach()[rows.start : rows.stop].clone(), rows, tensor.requires_grad)


def gathered(locals_: Sequence[Tensor], rows: Sequence[Rows]) -> list[Tensor]:
    """The whole tensors, of one type, from the rows of all processes: one all-gather for all of them."""
    group, kind = rows[0].group, locals_[0].dtype
    n = get_world_size(group)
    each = [_largest(one, n) for one in rows]
    sent = empty(sum(each), dtype=kind)
    for part, local in zip(sent.split(each), locals_):
        part[: local.numel()].copy_(local.reshape(-1))
    received = empty(n, sum(each), dtype=kind)
    all_gather_into_tensor(received, sent, group=group)
    return [part.reshape(-1)[: prod(one.size)].view(one.size) for part, one in zip(received.split(each, 1), rows)]


def reduced_to_rows(wholes: Sequence[Tensor], rows: Sequence[Rows]) -> list[Tensor]:
    """The mean over processes of whole tensors, of which each process gets its rows: one reduce-scatter for all of them."""
    group, kind = rows[0].group, wholes[0].dtype
    n = get_world_size(group)
    each = [_largest(one, n) for one in rows]
    sent = empty(n, sum(each), dtype=kind)
    for whole, size, part in zip(wholes, each, sent.split(each, 1)):
        flat = whole.reshape(-1)
        full = flat.numel() // size if size else 0
        part[:full].copy_(flat[: full * size].view(full, size))
        if full < n and size:
            part[full, : flat.numel() - full * size].copy_(flat[full * size :])
    sent.div_(n)
    received = empty(sum(each), dtype=kind)
    reduce_scatter_tensor(received, sent, group=group)
    parts = zip(received.split(each), [one.local_size for one in rows])
    return [part[: prod(size)].view(size).clone() for part, size in parts]


def _largest(rows: Rows, processes: int) -> int:
    """The number of elements of the largest share."""
    return -(-rows.size[0] // processes) * prod(rows.size[1:])
