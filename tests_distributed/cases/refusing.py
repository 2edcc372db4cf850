"""Invalid arguments: refused before anything is sent."""

from __future__ import annotations

from typing import Any

from tests_distributed.cases.making import attempt, raises


def case_arguments_that_are_not_tensors(torch: Any, dist: Any, rank: int, size: int) -> Any:
    one = torch.ones(2)
    return [
        attempt(lambda: dist.all_reduce([1])), attempt(lambda: dist.all_gather(3, one)),
        attempt(lambda: dist.all_gather([3], one)),
        attempt(lambda: dist.broadcast("x", 0)), attempt(lambda: dist.reduce_scatter(one, one)),
        attempt(lambda: dist.all_to_all([one], one)), attempt(lambda: dist.irecv(3, 0)),
        attempt(lambda: dist.all_reduce_coalesced(3)), attempt(lambda: dist.batch_isend_irecv([3])),
    ]  # fmt: skip


def case_lists_that_do_not_fit(torch: Any, dist: Any, rank: int, size: int) -> Any:
    one = torch.ones(2)
    return [
        attempt(lambda: dist.all_gather([one.int()] * size, one)), raises(lambda: dist.all_gather([one] * (size + 1), one)),
        raises(lambda: dist.all_gather([torch.ones(3)] * size, one)),
        attempt(lambda: dist.gather(one, None if rank == 0 else [one])),
        attempt(lambda: dist.scatter(one, [one] if rank else None)),
        attempt(lambda: dist.broadcast(one)), attempt(lambda: dist.broadcast(one, 0, group_src=0)),
        attempt(lambda: dist.all_to_all_single(one, one, [1] * size, [7] * size)),
        attempt(lambda: dist.scatter_object_list([], None)), raises(lambda: dist.gather_object(1, None if rank == 0 else [1])),
    ]  # fmt: skip


def case_backends(torch: Any, dist: Any, rank: int, size: int) -> Any:
    names = "gloo nccl ucc xccl".split()
    return (
        [dist.is_backend_available(name) for name in names], dist.Backend("GLOO"), dist.Backend.NCCL,
        attempt(lambda: dist.Backend(3)),
        dist.is_nccl_available(), dist.is_gloo_available(), dist.is_available(),
    )  # fmt: skip
