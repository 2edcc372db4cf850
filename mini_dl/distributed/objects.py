"""Collectives for Python objects, which are sent as pickles."""

from __future__ import annotations

import pickle
from typing import Any, TypeAlias

import numpy as np

from mini_dl.distributed.collectives import check_list_for_rank
from mini_dl.distributed.groups import Group, ProcessGroup, chosen_group, get_global_rank, member, rank_in
from mini_dl.distributed.mpi import Comm
from mini_dl.distributed.point_to_point import check_other, recv, send
from mini_dl.distributed.work import Collective, Heading
from mini_dl.tensor import wrap

Objects: TypeAlias = list[Any]


def _agree(group: ProcessGroup, name: str, root: int = -1, count: int = 0) -> Comm:
    """The communicator of a group, once all its ranks have agreed on the operation."""
    Collective(group, Heading(name, None, count, root), None).wait()
    return group.comm


def all_gather_object(object_list: Objects, obj: object, group: Group = None) -> None:
    """Write the objects of all ranks to the list of each."""
    if (ranks := member(group, "all_gather_object")) is not None:
        object_list[: ranks.size()] = _agree(ranks, "all_gather_object").allgather(obj)


def gather_object(
    obj: object,
    object_gather_list: Objects | None = None,
    dst: int | None = None,
    group: Group = None,
    group_dst: int | None = None,
) -> None:
    """Write the objects of all ranks to the list of rank `dst` (0 if not given)."""
    if (ranks := member(group, "gather_object")) is None:
        return
    root = rank_in(ranks, dst, group_dst, 0)
    here = check_list_for_rank("gather_list", "destination", ranks.rank() == root, object_gather_list or [])
    found = _agree(ranks, "gather_object", root).gather(obj, root)
    if here and object_gather_list is not None:
        object_gather_list[: ranks.size()] = found


def broadcast_object_list(
    object_list: Objects, src: int | None = None, group: Group = None, device: object = None, group_src: int | None = None
) -> None:
    """Write the objects in the list of rank `src` (0 if not given) to the lists of all others, which have the same length."""
    if (ranks := member(group, "broadcast_object_list")) is None:
        return
    root = rank_in(ranks, src, group_src, 0)
    comm = _agree(ranks, "broadcast_object_list", root, len(object_list))
    found = comm.bcast(object_list if ranks.rank() == root else None, root)
    if ranks.rank() != root:
        object_list[:] = found


def scatter_object_list(
    scatter_object_output_list: Objects, scatter_object_input_list: Objects | None = None, src: int | None = None,
    group: Group = None, group_src: int | None = None,
) -> None:  # fmt: skip
    """Write object i in the list of rank `src` (0 if not given) to the first element of the list of rank i."""
    if (ranks := member(group, "scatter_object_list")) is None:
        return
    root = rank_in(ranks, src, group_src, 0)
    if not isinstance(scatter_object_output_list, list) or len(scatter_object_output_list) < 1:
        raise ValueError("Expected argument scatter_object_output_list to be a list of size at least 1.")
    if ranks.rank() == root and scatter_object_input_list is None:
        raise ValueError("source rank must provide non-None scatter_object_input_list")
    comm = _agree(ranks, "scatter_object_list", root)
    scatter_object_output_list[0] = comm.scatter(scatter_object_input_list if ranks.rank() == root else None, root)


def send_object_list(
    object_list: Objects, dst: int | None = None, group: Group = None, device: object = None, group_dst: int | None = None,
    use_batch: bool = False,
) -> None:  # fmt: skip
    """Send the objects of a list to rank `dst`."""
    if (ranks := member(group, "send_object_list")) is None:
        return
    to = rank_in(ranks, dst, group_dst)
    check_other(ranks, to, "destination")
    pickles = [pickle.dumps(each) for each in object_list]
    send(wrap(np.array([len(each) for each in pickles], np.int64)), group=ranks, group_dst=to)
    send(wrap(np.frombuffer(b"".join(pickles), np.uint8)), group=ranks, group_dst=to)


def recv_object_list(
    object_list: Objects, src: int | None = None, group: Group = None, device: object = None, group_src: int | None = None,
    use_batch: bool = False,
) -> int:  # fmt: skip
    """Write the objects that rank `src` sends to the list; returns the sender's global rank, -1 outside the group."""
    if (ranks := member(group, "recv_object_list")) is None:
        return -1
    source = rank_in(ranks, src, group_src)
    check_other(ranks, source, "source")
    sizes = np.empty(len(object_list), np.int64)
    recv(wrap(sizes), group=ranks, group_src=source)
    data = np.empty(int(sizes.sum()), np.uint8)
    recv(wrap(data), group=ranks, group_src=source)
    ends = np.cumsum(sizes).tolist()
    object_list[:] = [pickle.loads(data[end - size : end].tobytes()) for size, end in zip(sizes.tolist(), ends)]
    return get_global_rank(chosen_group(ranks), source)
