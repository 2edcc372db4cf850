"""Reductions: every kind of every type, on memory of every kind."""

from __future__ import annotations

from typing import Any

from tests_distributed.cases.making import COMPLEX, FLOATS, INTEGERS, TYPES, attempt, in_place, numbers, to_read


def _ops(dist: Any, dtype: str) -> dict[str, Any]:
    names = ["SUM", "AVG"] if dtype in COMPLEX else ["SUM", "PRODUCT", "MIN", "MAX"]
    names += ["AVG"] if dtype in FLOATS else []
    names += ["BAND", "BOR", "BXOR"] if dtype in INTEGERS else []
    return {name: getattr(dist.ReduceOp, name) for name in names}


def case_all_reduce_of_every_type(torch: Any, dist: Any, rank: int, size: int) -> Any:
    found = {}
    for dtype in TYPES:
        for name, op in _ops(dist, dtype).items():
            tensor = numbers(torch, rank, (2, 3), dtype)
            dist.all_reduce(tensor, op)
            found[dtype, name] = tensor
    return found


def case_reduce_to_each_rank(torch: Any, dist: Any, rank: int, size: int) -> Any:
    found = {}
    for dtype in [*FLOATS, *INTEGERS, "bool"]:
        for dst in range(size):
            tensor = numbers(torch, rank, (7,), dtype)
            dist.reduce(tensor, dst, dist.ReduceOp.MAX)
            found[dtype, dst] = tensor if rank == dst else None
    tensor = numbers(torch, rank)
    dist.reduce(tensor, dst=size - 1)
    return found, tensor if rank == size - 1 else None


def case_reductions_of_memory_of_every_kind(torch: Any, dist: Any, rank: int, size: int) -> Any:
    table = numbers(torch, rank, (4, 6))
    cube = numbers(torch, rank, (2, 3, 4))
    for each in (table[:, ::2], table.t(), cube.permute(2, 0, 1), cube[0, 1:, 2], numbers(torch, rank, ()), torch.zeros(0, 3)):
        in_place(torch, dist.all_reduce, each)
        in_place(torch, lambda tensor: dist.broadcast(tensor, size - 1), each)
    in_place(torch, lambda tensor: dist.reduce_scatter_tensor(tensor, numbers(torch, rank, (2 * size,))), table[1:3, 4])
    in_place(
        torch, lambda tensor: dist.scatter(tensor, [to_read(torch, cube[0, :, 1])] * size if rank == 0 else None), table[1:, 2]
    )
    outputs = list(torch.zeros(4, size).t())
    dist.all_gather(outputs, to_read(torch, table[:, 3]))
    return table, cube, outputs


def case_all_reduce_later(torch: Any, dist: Any, rank: int, size: int) -> Any:
    tensors = [numbers(torch, rank + i, (i * 100,)) for i in range(5)]
    works = [dist.all_reduce(each, async_op=True) for each in tensors]
    waited = [work.wait() for work in works]
    done = [work.is_completed() for work in works]
    again = dist.all_reduce(tensors[1], async_op=True)
    result = again.get_future().then(lambda future: future.value()[0] * 2).wait()
    return tensors, waited, done, result


def case_all_reduce_coalesced(torch: Any, dist: Any, rank: int, size: int) -> Any:
    tensors = [numbers(torch, rank + i, (i + 1, 2)) for i in range(3)]
    dist.all_reduce_coalesced(tensors)
    later = dist.all_reduce_coalesced(tensors, dist.ReduceOp.MAX, async_op=True)
    later.wait()
    return tensors


def case_reduce_scatter(torch: Any, dist: Any, rank: int, size: int) -> Any:
    found = {}
    for dtype in [*FLOATS, *INTEGERS]:
        output = torch.zeros(3, 2, dtype=getattr(torch, dtype))
        dist.reduce_scatter(output, [numbers(torch, rank * size + i, (3, 2), dtype) for i in range(size)])
        into = torch.zeros(4, dtype=getattr(torch, dtype))
        dist.reduce_scatter_tensor(into, numbers(torch, rank, (4 * size,), dtype))
        found[dtype] = output, into
    for name in ("AVG", "MAX"):
        into = torch.zeros(2, 3)
        dist.reduce_scatter_tensor(into, numbers(torch, rank, (2 * size, 3)), getattr(dist.ReduceOp, name))
        found[name] = into
    work = dist.reduce_scatter_tensor(into, numbers(torch, rank, (2 * size, 3)), async_op=True)
    work.wait()
    return found, into


def case_reductions_that_a_type_does_not_have(torch: Any, dist: Any, rank: int, size: int) -> Any:
    ops, found = dist.ReduceOp, {}
    for dtype, op in [
        ("float32", ops.BAND),
        ("bfloat16", ops.BXOR),
        ("complex64", ops.MAX),
        ("int32", ops.AVG),
        ("bool", ops.AVG),
    ]:
        found[dtype] = attempt(lambda dtype=dtype, op=op: dist.all_reduce(torch.ones(2, dtype=getattr(torch, dtype)), op))
    return found


def case_names_of_reductions(torch: Any, dist: Any, rank: int, size: int) -> Any:
    op = dist.ReduceOp.SUM
    return str(op), repr(op), op == dist.ReduceOp.SUM, op != dist.ReduceOp.MAX, dist.ReduceOp(op) == op
