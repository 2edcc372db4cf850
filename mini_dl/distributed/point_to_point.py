"""Point-to-point messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mini_dl.distributed.collectives import check_single
from mini_dl.distributed.groups import Group, ProcessGroup, chosen_group, get_global_rank, get_rank, member, rank_in
from mini_dl.distributed.mpi import as_bytes, memory_for, memory_of, mpi
from mini_dl.distributed.work import Work
from mini_dl.tensor import Tensor


def isend(tensor: Tensor, dst: int | None = None, group: Group = None, tag: int = 0, group_dst: int | None = None) -> Work | None:
    """Start sending a tensor to rank `dst`; it may not be modified before the `Work` is complete."""
    if (ranks := member(group, "isend")) is None:
        return None
    to = rank_in(ranks, dst, group_dst)
    check_single(tensor, "tensor")
    return Work(ranks, "send", ranks.comm.Isend(as_bytes(memory_of(tensor)), to, tag), None, [tensor])


def irecv(tensor: Tensor, src: int | None = None, group: Group = None, tag: int = 0, group_src: int | None = None) -> Work | None:
    """Start receiving a tensor from rank `src`, or from any."""
    check_single(tensor, "tensor")
    if (ranks := member(group, "irecv")) is None:
        return None
    anyone = src is None and group_src is None
    source = mpi().ANY_SOURCE if anyone else rank_in(ranks, src, group_src)
    row, back = memory_for(tensor, filled=False)
    return _Receipt(ranks, "recv", ranks.comm.Irecv(as_bytes(row), source, tag), back, [tensor])


class _Receipt(Work):
    """A message in transit to this rank, which must be as large as its tensor."""

    def _arrived(self) -> bool:
        if not super()._arrived():
            return False
        got, expected = self._status.Get_count(mpi().BYTE), self._result[0].nbytes
        if got != expected:
            raise RuntimeError(f"recv: a message of {got} bytes for a tensor of {expected}")
        return True


def send(tensor: Tensor, dst: int | None = None, group: Group = None, tag: int = 0, group_dst: int | None = None) -> None:
    """Send a tensor to rank `dst`. ValueError if that is this one."""
    if (ranks := member(group, "send")) is None:
        return
    to = rank_in(ranks, dst, group_dst)
    check_other(ranks, to, "destination")
    isend(tensor, group=ranks, tag=tag, group_dst=to).wait()  # type: ignore[union-attr]


def recv(tensor: Tensor, src: int | None = None, group: Group = None, tag: int = 0, group_src: int | None = None) -> int:
    """Receive a tensor from rank `src`, or from any; returns the sender's global rank, -1 outside the group.

    RuntimeError for a message of another size.
    """
    work = irecv(tensor, src, group, tag, group_src)
    if work is None:
        return -1
    work.wait()
    if src is not None:
        return src
    return get_global_rank(chosen_group(group), work.source_rank() if group_src is None else group_src)


def check_other(group: ProcessGroup, rank: int, kind: str) -> None:
    """ValueError if the other end of a message is this process."""
    if group.rank() == rank:
        raise ValueError(f"Invalid {kind} rank: {kind} rank should not be the same as the rank of the current process.")


class P2POp:
    """A message for `batch_isend_irecv`: `isend` or `irecv`, the tensor, the other rank."""

    def __init__(
        self, op: Callable[..., Any], tensor: Tensor, peer: int | None = None, group: Group = None, tag: int = 0,
        group_peer: int | None = None,
    ) -> None:  # fmt: skip
        if op not in (isend, irecv):
            raise ValueError(
                "Invalid ``op``. Expected ``op`` to be of type ``torch.distributed.isend`` or ``torch.distributed.irecv``."
            )
        check_single(tensor, "tensor")
        self.op, self.tensor, self.tag, self.group = op, tensor, tag, chosen_group(group)
        self.group_peer = rank_in(self.group, peer, group_peer)
        self.peer = get_global_rank(self.group, self.group_peer)

    def __repr__(self) -> str:
        ends = (get_rank(self.group), self.group_peer) if self.op is isend else (self.group_peer, get_rank(self.group))
        return (
            f"P2POp({self.op.__name__} pg={self.group.group_name}, group_src={ends[0]}, group_dst={ends[1]},  "
            f"{self.tensor.shape}, {self.tensor.dtype})"
        )


def batch_isend_irecv(p2p_op_list: list[P2POp]) -> list[Work]:
    """Start all these messages, in any order; return a `Work` for each. ValueError unless all belong to one group."""
    if not isinstance(p2p_op_list, list) or not all([isinstance(each, P2POp) for each in p2p_op_list]):
        raise ValueError("Invalid ``p2p_op_list``. Each op is expected to to be of type ``torch.distributed.P2POp``.")
    if any([each.group is not p2p_op_list[0].group for each in p2p_op_list]):
        raise ValueError("All ops need to use the same group.")
    found = []
    for each in p2p_op_list:
        peer = {"group_dst" if each.op is isend else "group_src": each.group_peer}
        found.append(each.op(each.tensor, group=each.group, tag=each.tag, **peer))
    return found
