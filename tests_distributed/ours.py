"""``python -m tests_distributed.ours FOLDER``: features torch's gloo lacks, or where it hangs; one rank of a world.

Each check is a function; all ranks run it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import mini_dl as torch
import mini_dl.distributed as dist


def message_of(do: Callable[[], Any]) -> str:
    """The text of the RuntimeError that `do` must raise."""
    with pytest.raises(RuntimeError) as caught:
        do()
    return str(caught.value)


def check_types_that_gloo_lacks(rank: int, size: int) -> None:
    for dtype in (torch.int16, torch.uint16, torch.uint32, torch.uint64):
        tensor = torch.tensor([1, 2, 3], dtype=dtype)
        dist.all_reduce(tensor)
        assert tensor.dtype == dtype and tensor.tolist() == [size, 2 * size, 3 * size]
        outputs = [torch.zeros(3, dtype=dtype) for _ in range(size)]
        dist.all_gather(outputs, torch.tensor([rank] * 3, dtype=dtype))
        assert [each[0].item() for each in outputs] == list(range(size))
    table = torch.full((2, 2), 1 + 2j)
    dist.reduce(table, 0)
    assert rank or (table.numpy() == size * (1 + 2j)).all()


def check_lists_of_unequal_tensors(rank: int, size: int) -> None:
    outputs = [torch.zeros(i + 1, 2) for i in range(size)]
    dist.all_to_all(outputs, [torch.full((rank + 1, 2), float(rank)) for _ in range(size)])
    assert [each.shape[0] for each in outputs] == list(range(1, size + 1))
    assert all((each.numpy() == i).all() for i, each in enumerate(outputs))


def check_ranks_that_disagree_learn_it_all_and_go_on(rank: int, size: int) -> None:
    last = rank == size - 1
    one, odd = torch.ones(4), torch.ones(5 if last else 4)
    kinds = {
        "number of elements: 4 on some, 5 on others": lambda: dist.all_reduce(odd),
        "number of elements: 4": lambda: dist.broadcast(odd, 0),
        "type: ": lambda: dist.all_reduce(torch.ones(4, dtype=torch.float64 if last else torch.float32)),
        "root: 0 on some, 1 on others": lambda: dist.broadcast(one, int(last)),
        "reduction: ": lambda: dist.all_reduce(one, dist.ReduceOp.MAX if last else dist.ReduceOp.SUM),
        "collective: barrier": lambda: dist.barrier() if last else dist.all_reduce(one),
        "collective: all_reduce on some, all_to_all on others": lambda: (
            dist.all_to_all([torch.ones(1)] * size, [torch.ones(1)] * size) if last else dist.all_reduce(one)
        ),
        "elements: 4 ": lambda: dist.all_gather([torch.zeros_like(odd)] * size, odd),
        "elements: 4": lambda: dist.reduce_scatter_tensor(odd, torch.ones(len(odd) * size)),
        "elements:": lambda: dist.all_reduce(odd, async_op=True).wait(),
        "more or less": lambda: dist.all_to_all([torch.ones(3)] * size, [odd] + [torch.ones(3)] * (size - 1)),
        "less than": lambda: dist.all_to_all_single(
            torch.ones(2 * size), torch.ones(2 * size), None, [2 + last, *[2] * (size - 2), 2 - last]
        ),
    }
    for words, do in kinds.items():
        assert words in message_of(do), (words, message_of(do))
        tensor = torch.ones(3)
        dist.all_reduce(tensor)
        assert tensor.tolist() == [size] * 3
    works = [dist.all_reduce(torch.ones(i), async_op=True) for i in range(3)]
    wrong = dist.all_reduce(odd, async_op=True)
    works.append(dist.all_reduce(one, async_op=True))
    assert all(work.wait() for work in works) and "disagree" in message_of(wrong.wait)
    assert not wrong.is_success() and isinstance(wrong.exception(), RuntimeError)


def check_messages_of_another_size(rank: int, size: int) -> None:
    if rank == 0:
        dist.send(torch.ones(3), 1)
        dist.send(torch.ones(5), 1)
    elif rank == 1:
        assert "a message of 12 bytes for a tensor of 16" in message_of(lambda: dist.recv(torch.ones(4), 0))
        assert "truncated" in message_of(lambda: dist.recv(torch.ones(4), 0))


def check_waiting_ends(rank: int, size: int) -> None:
    begin = time.monotonic()
    if rank == 0:
        message = message_of(lambda: dist.monitored_barrier(timeout=timedelta(seconds=0.3), wait_all_ranks=True))
        assert message.startswith("[Rank 0]: Rank") and message.endswith("failed to pass monitoredBarrier in 300 ms"), message
        got = dist.irecv(torch.ones(1), 1)
        assert "Timed out waiting 200ms for recv" in message_of(lambda: got.wait(timedelta(seconds=0.2)))
        assert time.monotonic() - begin < 10
    dist.barrier()
    if rank == 1:
        dist.send(torch.ones(1), 0)
    elif rank == 0:
        got.wait()


def check_many_at_a_time_and_large_ones(rank: int, size: int) -> None:
    tensors = [torch.full((1 << 18,), float(rank + i)) for i in range(12)]
    groups = [dist.new_group() for _ in range(3)]
    works = [dist.all_reduce(each, group=groups[i % 3], async_op=True) for i, each in enumerate(tensors)]
    for work in works[::-1] if rank % 2 else works:
        work.wait()
    for i, each in enumerate(tensors):
        assert (each.numpy() == sum(range(size)) + size * i).all()
    for each in groups:
        dist.destroy_process_group(each)


def check_more_than_one_piece(rank: int, size: int) -> None:
    for dtype in (torch.float32, torch.float16, torch.complex64, torch.bool):
        tensor = (torch.arange(5_000_001) % 3 + rank == 1).to(dtype)
        expected = sum((torch.arange(5_000_001) % 3 + each == 1).to(torch.int64) for each in range(size))
        dist.all_reduce(tensor)
        assert (tensor == expected.to(dtype)).all()


def check_versions_and_gradients_see_the_write(rank: int, size: int) -> None:
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    z = (y * y).sum()
    dist.all_reduce(y.detach())
    assert "modified by an inplace operation" in message_of(z.backward)


def check_a_second_start(rank: int, size: int) -> None:
    dist.destroy_process_group()
    assert not dist.is_initialized()
    dist.init_process_group("mpi", rank=size - 1 - rank, world_size=size)
    assert dist.get_rank() == size - 1 - rank and dist.get_backend() == "mpi"
    values = torch.zeros(size)
    dist.all_gather_into_tensor(values, torch.tensor([float(rank)]))
    assert values.tolist() == [*range(size)][::-1]
    dist.destroy_process_group()
    for wrong in ("nccl", "ucc"):
        assert (
            message_of(lambda wrong=wrong: dist.init_process_group(wrong))
            == f"Distributed package doesn't have {wrong.upper()} built in"
        )
    for method in ("env://", "tcp://localhost:1", "file:///tmp/x"):
        dist.init_process_group("cpu:gloo,cuda:nccl", init_method=method)
        dist.destroy_process_group()
    dist.init_process_group()


def main(folder: str) -> None:
    dist.init_process_group("gloo", timeout=timedelta(seconds=30))
    rank, size = dist.get_rank(), dist.get_world_size()
    for name, check in list(globals().items()):
        if name.startswith("check_"):
            check(rank, size)
            dist.barrier()
            with Path(folder, f"{rank}.txt").open("a", encoding="utf-8") as done:
                done.write(name + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
