"""Messages from one rank to another."""

from __future__ import annotations

from typing import Any

from tests_distributed.cases.making import TYPES, attempt, numbers


def case_a_ring(torch: Any, dist: Any, rank: int, size: int) -> Any:
    if size == 1:
        return None
    found = {}
    for dtype in TYPES:
        got = torch.zeros(2, 3, dtype=getattr(torch, dtype))
        work = dist.isend(numbers(torch, rank, (2, 3), dtype), (rank + 1) % size)
        source = dist.recv(got, (rank - 1) % size)
        work.wait()
        found[dtype] = got, source
    return found


def case_from_any_rank(torch: Any, dist: Any, rank: int, size: int) -> Any:
    if rank:
        dist.send(torch.full((3,), float(rank)), 0)
        return None
    found = []
    for _ in range(size - 1):
        got = torch.zeros(3)
        source = dist.recv(got)
        found.append((source, got))
    return sorted(found, key=lambda pair: pair[0])


def case_tags(torch: Any, dist: Any, rank: int, size: int) -> Any:
    if size == 1:
        return None
    if rank == 0:
        works = [dist.isend(torch.full((2,), float(tag)), 1, tag=tag) for tag in (3, 5)]
        works.append(dist.isend(numbers(torch, 3, (4, 4))[:, 1].contiguous(), 1, tag=7))
        return [work.wait() for work in works]
    if rank == 1:
        first, second, column = torch.zeros(2), torch.zeros(2), torch.zeros(4)
        dist.recv(second, 0, tag=5)
        dist.recv(first, 0, tag=3)
        dist.irecv(column, 0, tag=7).wait()
        return first, second, column
    return None


def case_batches_of_messages(torch: Any, dist: Any, rank: int, size: int) -> Any:
    if size == 1:
        return None
    got = torch.zeros(4)
    ops = [
        dist.P2POp(dist.isend, numbers(torch, rank, (4,)), (rank + 1) % size),
        dist.P2POp(dist.irecv, got, (rank - 1) % size),
    ]
    for work in dist.batch_isend_irecv(ops):
        work.wait()
    return got, [(op.peer, op.group_peer, op.tag) for op in ops]


def case_lists_of_objects(torch: Any, dist: Any, rank: int, size: int) -> Any:
    if size == 1:
        return None
    if rank == 0:
        dist.send_object_list([{"a": numbers(torch, 1)}, "text", 3], dst=1)
        return None
    if rank == 1:
        objects: list[Any] = [None] * 3
        return dist.recv_object_list(objects, src=0), objects
    return None


def case_messages_to_oneself(torch: Any, dist: Any, rank: int, size: int) -> Any:
    return attempt(lambda: dist.send(torch.ones(1), rank)), attempt(lambda: dist.P2POp(dist.send, torch.ones(1), rank))
