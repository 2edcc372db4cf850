"""Collectives that only move elements between all ranks; and differentiable collectives."""

from __future__ import annotations

import warnings
from typing import Any

from tests_distributed.cases.making import TYPES, numbers


def case_broadcast_from_each_rank(torch: Any, dist: Any, rank: int, size: int) -> Any:
    found = {}
    for dtype in TYPES:
        for src in range(size):
            tensor = numbers(torch, rank, (2, 2), dtype)
            dist.broadcast(tensor, src)
            found[dtype, src] = tensor
    dist.broadcast(torch.zeros(0), 0)
    one = numbers(torch, rank, ())
    dist.broadcast(one, src=size - 1, async_op=True).wait()
    by_group = numbers(torch, rank)
    dist.broadcast(by_group, group_src=0)
    return found, one, by_group


def case_all_gather(torch: Any, dist: Any, rank: int, size: int) -> Any:
    found = {}
    for dtype in TYPES:
        given = numbers(torch, rank, (2, 3), dtype)
        lists = [torch.zeros_like(given) for _ in range(size)]
        dist.all_gather(lists, given)
        into = torch.zeros(2 * size, 3, dtype=given.dtype)
        dist.all_gather_into_tensor(into, given)
        found[dtype] = lists, into
    outputs = list(torch.zeros(size, 4).unbind())
    dist.all_gather(outputs, numbers(torch, rank, (4, 4))[:, 1].contiguous(), async_op=True).wait()
    empty = [torch.ones(0, 2) for _ in range(size)]
    dist.all_gather(empty, torch.ones(0, 2))
    joined = torch.zeros(size * 3)
    dist.all_gather_into_tensor(joined, numbers(torch, rank, (3,)))
    return found, outputs, empty, joined


def case_all_gather_coalesced(torch: Any, dist: Any, rank: int, size: int) -> Any:
    outputs = [[torch.zeros(2), torch.zeros(3, 1)] for _ in range(size)]
    dist.all_gather_coalesced(outputs, [numbers(torch, rank, (2,)), numbers(torch, rank, (3, 1))])
    return outputs


def case_gather_to_each_rank(torch: Any, dist: Any, rank: int, size: int) -> Any:
    found = {}
    for dtype in ("float32", "bfloat16", "int64", "bool"):
        given = numbers(torch, rank, (3,), dtype)
        for dst in range(size):
            outputs = [torch.zeros_like(given) for _ in range(size)] if rank == dst else None
            dist.gather(given, outputs, dst=dst)
            found[dtype, dst] = outputs
    outputs = [torch.zeros(2) for _ in range(size)] if rank == 0 else None
    dist.gather(numbers(torch, rank, (2,)), outputs, async_op=True).wait()
    return found, outputs


def case_scatter_from_each_rank(torch: Any, dist: Any, rank: int, size: int) -> Any:
    found = {}
    for dtype in TYPES:
        for src in range(size):
            inputs = [numbers(torch, 10 * src + i, (2, 2), dtype) for i in range(size)] if rank == src else None
            output = torch.zeros(2, 2, dtype=getattr(torch, dtype))
            dist.scatter(output, inputs, src=src)
            found[dtype, src] = output
    return found


def case_all_to_all(torch: Any, dist: Any, rank: int, size: int) -> Any:
    inputs = [numbers(torch, 10 * rank + i, (2, 2)) for i in range(size)]
    outputs = [torch.zeros(2, 2) for _ in range(size)]
    dist.all_to_all(outputs, inputs)
    return outputs


def case_all_to_all_single(torch: Any, dist: Any, rank: int, size: int) -> Any:
    found = {}
    for dtype in ("float32", "int64", "complex64"):
        output = torch.zeros(2 * size, 3, dtype=getattr(torch, dtype))
        dist.all_to_all_single(output, numbers(torch, rank, (2 * size, 3), dtype))
        found[dtype] = output
    sending = [(rank + i) % 3 for i in range(size)]
    receiving = [(rank + i) % 3 for i in range(size)]
    output = torch.zeros(sum(receiving), 2)
    dist.all_to_all_single(output, numbers(torch, rank, (sum(sending), 2)), receiving, sending)
    work = dist.all_to_all_single(found["float32"], numbers(torch, rank + 1, (2 * size, 3)), async_op=True)
    work.wait()
    return found, output


def case_barriers(torch: Any, dist: Any, rank: int, size: int) -> Any:
    dist.barrier()
    work = dist.barrier(async_op=True)
    waited = work.wait()
    dist.monitored_barrier()
    return waited


def case_objects(torch: Any, dist: Any, rank: int, size: int) -> Any:
    mine = {"rank": rank, "tensor": numbers(torch, rank), "text": "x" * (rank * 1000)}
    everywhere: list[Any] = [None] * size
    dist.all_gather_object(everywhere, mine)
    gathered = [None] * size if rank == size - 1 else None
    dist.gather_object(mine, gathered, dst=size - 1)
    sent = [mine, (rank, None)] if rank == 0 else [None, None]
    dist.broadcast_object_list(sent, src=0)
    scattered = [None]
    dist.scatter_object_list(scattered, [{"for": i} for i in range(size)] if rank == 0 else None, src=0)
    return everywhere, gathered, sent, scattered


# ------------------------------------------------------------------------------------------------ gradients


def case_gradients_through_collectives(torch: Any, dist: Any, rank: int, size: int) -> Any:
    from importlib import import_module

    functional = import_module(f"{torch.__name__}.distributed.nn.functional")
    warnings.simplefilter("ignore", FutureWarning)
    calls = {
        "broadcast": lambda x: functional.broadcast(x, 0),
        "all_reduce": lambda x: functional.all_reduce(x),
        "all_gather": lambda x: torch.stack(functional.all_gather(x)),
        "gather": lambda x: torch.stack(functional.gather(x, 0)) * (rank == 0),
        "scatter": lambda x: functional.scatter([x * (i + 1) for i in range(size)], 0),
        "reduce_scatter": lambda x: functional.reduce_scatter(torch.zeros(3), [x * (i + 1) for i in range(size)]),
        "all_to_all": lambda x: torch.stack(
            functional.all_to_all([torch.zeros(3) for _ in range(size)], [x * (i + 1) for i in range(size)])
        ),
        "all_to_all_single": lambda x: functional.all_to_all_single(torch.zeros(size), x.sum() * torch.ones(size)),
    }
    found = {}
    for name, call in calls.items():
        x = numbers(torch, rank, (3,)).requires_grad_()
        out = call(x)
        (out * numbers(torch, rank + 5, tuple(out.shape))).sum().backward()
        found[name] = out, x.grad
    x = numbers(torch, rank, (3,)).requires_grad_()
    out = functional.reduce(x * 1, 0)
    ((out if rank == 0 else out * 0) * 3).sum().backward()
    found["reduce"] = out if rank == 0 else None, x.grad
    return found
