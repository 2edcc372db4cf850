"""Collective operations on tensors.

Each function defines what must agree between the ranks (a `Heading`), how MPI starts the transfer, and what to do once it is
complete. It returns at that point or, with ``async_op=True``, immediately, with a `Work` to wait for.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import numpy as np

from mini_dl._dtypes import Array, buffer_of
from mini_dl.distributed.groups import Group, ProcessGroup, member, rank_in
from mini_dl.distributed.mpi import Comm, Request, Together, as_bytes, memory_for, memory_of, mpi, pieces_of, reduction
from mini_dl.distributed.reducing import RedOpType, ReduceOp, supports_complex
from mini_dl.distributed.work import Collective, Heading, Work, WorkFuture
from mini_dl.tensor import Tensor, written

Start = Callable[[Comm], Request]


def _run(
    group: ProcessGroup, heading: Heading, start: Start | None, finish: Callable[[], None] | None, result: list[Tensor],
    async_op: bool,
) -> Work | None:  # fmt: skip
    work = Collective(group, heading, start, finish, result)
    if async_op:
        return work
    work.wait()
    return None


def check_single(tensor: object, name: str) -> None:
    """TypeError unless this argument is a tensor."""
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor\n"
            f"             but got {type(tensor)} instead."
        )


def check_list(tensors: object, name: str) -> None:
    """TypeError unless this argument is a list of tensors."""
    wrong = (
        f"Invalid function argument. Expected parameter `{name}` of type List[torch.Tensor]\n             but got {type(tensors)}"
    )
    if not isinstance(tensors, list):
        raise TypeError(f"{wrong} instead.")
    if not all([isinstance(each, Tensor) for each in tensors]):
        raise TypeError(f"{wrong} with elements of type {[type(each) for each in tensors]}.")


def check_one_dtype(*tensors: Tensor) -> None:
    """ValueError unless all have one type; a complex type and its real type count as the same."""
    kinds = [each.dtype.to_real() for each in tensors]
    for kind, tensor in zip(kinds, tensors):
        if kind != kinds[0]:
            raise ValueError(f"Invalid usage of tensors with different dtypesFound {kinds[0]} and  {tensor.dtype}")


def _check_sizes(name: str, tensors: Sequence[Tensor], like: Tensor, group: ProcessGroup, kind: str) -> None:
    """RuntimeError unless there is a tensor for each rank, all of one shape."""
    if len(tensors) != group.size():
        raise RuntimeError(
            f"ProcessGroupMPI::{name}: invalid {kind} tensor list at index 0 (expected length {group.size()}, got {len(tensors)})"
        )
    for i, each in enumerate(tensors):
        if each.shape != like.shape:
            raise RuntimeError(
                f"ProcessGroupMPI::{name}: invalid tensor size at index {i} (expected {_shown(like)}, got {_shown(each)})"
            )


def _shown(tensor: Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))})"


def _heading(name: str, tensor: Tensor, root: int = -1, op: RedOpType | None = None) -> Heading:
    return Heading(name, tensor._array.dtype, tensor._array.size, root, -1 if op is None else op.value)


def _row_of(tensors: Sequence[Tensor], kind: Tensor) -> Array:
    """The elements of all these tensors, concatenated."""
    return np.concatenate([memory_of(each) for each in tensors]) if tensors else memory_of(kind)[:0]


def _write_back(tensors: Sequence[Tensor], row: Array) -> None:
    """Write a flat array to these tensors, in order."""
    at = 0
    for each in tensors:
        array = buffer_of(each._array)
        array[...] = row[at : at + array.size].reshape(array.shape)
        at += array.size
        written(each)


# ------------------------------------------------------------------------------------------------ reductions


def all_reduce(tensor: Tensor, op: RedOpType = ReduceOp.SUM, group: Group = None, async_op: bool = False) -> Work | None:
    """Reduce a tensor over all ranks, in place: all get the result.

    RuntimeError, on all ranks, if their tensors differ in type or number of elements, and for a reduction not defined for the
    type.
    """
    check_single(tensor, "tensor")
    if (ranks := member(group, "all_reduce")) is None:
        return None
    _check_complex(op, tensor)
    row, back = memory_for(tensor)
    messages, how = reduction(op, tensor, *pieces_of(row))

    def start(comm: Comm) -> Request:
        return Together([comm.Iallreduce(mpi().IN_PLACE, message, how) for message in messages])

    finish = _averaged(op, row, tensor, ranks, back)
    return _run(ranks, _heading("all_reduce", tensor, -1, op), start, finish, [tensor], async_op)


def _check_complex(op: RedOpType, tensor: Tensor) -> None:
    if tensor.dtype.is_complex and not supports_complex(op):
        raise ValueError(f"all_reduce does not support {op} on complex tensors")


def _averaged(op: RedOpType, row: Array, tensor: Tensor, group: ProcessGroup, back: Callable[[], None]) -> Callable[[], None]:
    """`back`, preceded by dividing the sum by the number of ranks for a mean."""
    if op is not RedOpType.AVG:
        return back

    def divide() -> None:
        kind = tensor._array.dtype
        values = row.view(f"f{kind.itemsize // 2}" if kind.kind == "c" else kind)
        np.divide(values, values.dtype.type(group.size()), out=values)
        back()

    return divide


def reduce(
    tensor: Tensor, dst: int | None = None, op: RedOpType = ReduceOp.SUM, group: Group = None, async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:  # fmt: skip
    """Reduce a tensor over all ranks, in place: rank `dst` gets the result."""
    if (ranks := member(group, "reduce")) is None:
        return None
    root = rank_in(ranks, dst, group_dst)
    check_single(tensor, "tensor")
    _check_complex(op, tensor)
    here = ranks.rank() == root
    row, back = memory_for(tensor) if here else (memory_of(tensor), lambda: None)
    (message,), how = reduction(op, tensor, row)

    def start(comm: Comm) -> Request:
        return comm.Ireduce(mpi().IN_PLACE if here else message, message if here else None, how, root)

    finish = _averaged(op, row, tensor, ranks, back) if here else None
    return _run(ranks, _heading("reduce", tensor, root, op), start, finish, [tensor], async_op)


def reduce_scatter(
    output: Tensor, input_list: list[Tensor], op: RedOpType = ReduceOp.SUM, group: Group = None, async_op: bool = False
) -> Work | None:
    """Reduce the tensors of a list over all ranks: rank i gets the result of number i."""
    check_single(output, "output")
    check_list(input_list, "input_list")
    check_one_dtype(output, *input_list)
    if (ranks := member(group, "reduce_scatter")) is None:
        return None
    _check_sizes("reduce_scatter", input_list, output, ranks, "input")
    return _reduce_scatter(output, _row_of(input_list, output), op, ranks, async_op)


def reduce_scatter_tensor(
    output: Tensor, input: Tensor, op: RedOpType = ReduceOp.SUM, group: Group = None, async_op: bool = False
) -> Work | None:
    """Reduce a tensor over all ranks: each gets its part of the result; parts have equal size, in rank order."""
    check_single(output, "output")
    check_single(input, "input")
    if (ranks := member(group, "reduce_scatter_tensor")) is None:
        return None
    check_one_dtype(output, input)
    if output._array.size * ranks.size() != input._array.size:
        raise RuntimeError(
            f"reduce_scatter_tensor: the input of {input._array.size} elements is not {ranks.size()} times the output of "
            f"{output._array.size}"
        )
    return _reduce_scatter(output, memory_of(input), op, ranks, async_op)


reduce_scatter_single = _reduce_scatter_base = reduce_scatter_tensor


def _reduce_scatter(output: Tensor, given: Array, op: RedOpType, group: ProcessGroup, async_op: bool) -> Work | None:
    _check_complex(op, output)
    row, back = memory_for(output, filled=False)
    (sent, kept), how = reduction(op, output, given, row)

    def start(comm: Comm) -> Request:
        return comm.Ireduce_scatter_block(sent, kept, how)

    finish = _averaged(op, row, output, group, back)
    return _run(group, _heading("reduce_scatter", output, -1, op), start, finish, [output], async_op)


# ------------------------------------------------------------------------------------------------ broadcast, gather, scatter


def broadcast(
    tensor: Tensor, src: int | None = None, group: Group = None, async_op: bool = False, group_src: int | None = None
) -> Work | None:
    """Write the tensor of rank `src` to those of all other ranks."""
    if (ranks := member(group, "broadcast")) is None:
        return None
    root = rank_in(ranks, src, group_src)
    check_single(tensor, "tensor")
    row, back = (memory_of(tensor), None) if ranks.rank() == root else memory_for(tensor, filled=False)

    def start(comm: Comm) -> Request:
        return comm.Ibcast(as_bytes(row), root)

    return _run(ranks, _heading("broadcast", tensor, root), start, back, [tensor], async_op)


def gather(
    tensor: Tensor, gather_list: list[Tensor] | None = None, dst: int | None = None, group: Group = None, async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:  # fmt: skip
    """Write the tensors of all ranks to the list of rank `dst` (0 if not given)."""
    outputs = gather_list or []
    if (found := _root_of_lists("gather", tensor, ("destination", "output"), outputs, group, dst, group_dst)) is None:
        return None
    ranks, root, here = found
    row = memory_of(tensor)
    kept = np.empty(row.size * ranks.size() if here else 0, row.dtype)

    def start(comm: Comm) -> Request:
        return comm.Igather(as_bytes(row), as_bytes(kept) if here else None, root)

    return _run(ranks, _heading("gather", tensor, root), start, lambda: _write_back(outputs, kept), outputs, async_op)


def _root_of_lists(
    name: str, tensor: Tensor, kinds: tuple[str, str], tensors: list[Tensor], group: Group, rank: int | None, in_group: int | None
) -> tuple[ProcessGroup, int, bool] | None:
    """The group, its rank that has a list of tensors, and whether this is that rank; None outside the group.

    `kinds` are torch's words for that rank and for a tensor of the list.
    """
    check_single(tensor, "tensor")
    check_list(tensors, f"{name}_list")
    check_one_dtype(tensor, *tensors)
    if (ranks := member(group, name)) is None:
        return None
    root = rank_in(ranks, rank, in_group, 0)
    here = check_list_for_rank(f"{name}_list", kinds[0], ranks.rank() == root, tensors)
    if here:
        _check_sizes(name, tensors, tensor, ranks, kinds[1])
    return ranks, root, here


def check_list_for_rank(name: str, kind: str, here: bool, tensors: Sequence[object]) -> bool:
    """`here`; ValueError unless the list is given on exactly that rank."""
    if here and not tensors:
        raise ValueError(f"Argument ``{name}`` must be specified on {kind} rank.")
    if tensors and not here:
        raise ValueError(f"Argument ``{name}`` must NOT be specified on non-{kind} ranks.")
    return here


def scatter(
    tensor: Tensor, scatter_list: list[Tensor] | None = None, src: int | None = None, group: Group = None, async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:  # fmt: skip
    """Write the tensors of the list of rank `src` (0 if not given) to those of the ranks."""
    inputs = scatter_list or []
    if (found := _root_of_lists("scatter", tensor, ("source", "input"), inputs, group, src, group_src)) is None:
        return None
    ranks, root, here = found
    sent = _row_of(inputs, tensor)
    row, back = memory_for(tensor, filled=False)

    def start(comm: Comm) -> Request:
        return comm.Iscatter(as_bytes(sent) if here else None, as_bytes(row), root)

    return _run(ranks, _heading("scatter", tensor, root), start, back, [tensor], async_op)


# ------------------------------------------------------------------------------------------------ all-gather, all-to-all


def all_gather(tensor_list: list[Tensor], tensor: Tensor, group: Group = None, async_op: bool = False) -> Work | None:
    """Write the tensors of all ranks to the list of each."""
    check_list(tensor_list, "tensor_list")
    check_single(tensor, "tensor")
    check_one_dtype(*tensor_list, tensor)
    if (ranks := member(group, "all_gather")) is None:
        return None
    _check_sizes("allgather", tensor_list, tensor, ranks, "output")
    row = memory_of(tensor)
    kept = np.empty(row.size * ranks.size(), row.dtype)

    def start(comm: Comm) -> Request:
        return comm.Iallgather(as_bytes(row), as_bytes(kept))

    return _run(ranks, _heading("all_gather", tensor), start, lambda: _write_back(tensor_list, kept), tensor_list, async_op)


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: Group = None, async_op: bool = False
) -> Work | None:
    """Write the tensors of all ranks to one tensor of each, in rank order."""
    check_single(input_tensor, "input_tensor")
    check_single(output_tensor, "output_tensor")
    if (ranks := member(group, "all_gather_into_tensor")) is None:
        return None
    check_one_dtype(output_tensor, input_tensor)
    sent = memory_of(input_tensor)
    if output_tensor._array.size != sent.size * ranks.size():
        raise RuntimeError(
            f"all_gather_into_tensor: the output of {output_tensor._array.size} elements is not {ranks.size()} times the input "
            f"of {sent.size}"
        )
    row, back = memory_for(output_tensor, filled=False)
    if np.may_share_memory(sent, row):  # a part of the output, as when shards are gathered: MPI requires separate buffers
        sent = sent.copy()

    def start(comm: Comm) -> Request:
        return comm.Iallgather(as_bytes(sent), as_bytes(row))

    return _run(ranks, _heading("all_gather", input_tensor), start, back, [output_tensor], async_op)


all_gather_single = _all_gather_base = all_gather_into_tensor


def all_to_all(
    output_tensor_list: list[Tensor], input_tensor_list: list[Tensor], group: Group = None, async_op: bool = False
) -> Work | None:
    """Send tensor i of the list to rank i, and write what rank i sends to tensor i of the other list."""
    if (ranks := member(group, "all_to_all")) is None:
        return None
    check_list(output_tensor_list, "output_tensor_list")
    check_list(input_tensor_list, "input_tensor_list")
    check_one_dtype(*output_tensor_list, *input_tensor_list)
    for name, tensors in (("input", input_tensor_list), ("output", output_tensor_list)):
        if len(tensors) != ranks.size():
            raise RuntimeError(f"all_to_all: expected {ranks.size()} {name} tensors, one for each rank, got {len(tensors)}")
    sent = _row_of(input_tensor_list, input_tensor_list[0])
    kept = np.empty(sum([each._array.size for each in output_tensor_list]), sent.dtype)
    sizes = [[each._array.size for each in tensors] for tensors in (input_tensor_list, output_tensor_list)]
    finish = partial(_write_back, output_tensor_list, kept)
    return _exchange(ranks, "all_to_all", sent, kept, sizes, finish, output_tensor_list, async_op)


def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: Sequence[int] | None = None,
    input_split_sizes: Sequence[int] | None = None,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """Send part i of the rows of `input` to rank i, and write what rank i sends to part i of `output`. Without sizes, all parts
    have equal size."""
    if (ranks := member(group, "all_to_all_single")) is None:
        return None
    check_single(output, "output")
    check_single(input, "input")
    check_one_dtype(output, input)
    sizes = [_parts(input, input_split_sizes, ranks.size()), _parts(output, output_split_sizes, ranks.size())]
    row, back = memory_for(output, filled=False)
    return _exchange(ranks, "all_to_all_single", memory_of(input), row, sizes, back, [output], async_op)


def _parts(tensor: Tensor, splits: Sequence[int] | None, size: int) -> list[int]:
    """The number of elements of `tensor` per rank. RuntimeError if they cannot be split like that."""
    rows = tensor.shape[0] if tensor.ndim else 1
    if not splits:
        if rows % size:
            raise RuntimeError("Tensor's dim 0 does not divide equally across group size")
        splits = [rows // size] * size
    if len(splits) != size:
        raise RuntimeError("Number of tensor splits not equal to group size")
    if sum(splits) != rows:
        raise RuntimeError("Split sizes doesn't match total dim 0 size")
    width = tensor._array.size // rows if rows else 0
    return [n * width for n in splits]


def _exchange(
    group: ProcessGroup, name: str, sent: Array, kept: Array, sizes: list[list[int]], finish: Callable[[], None],
    result: list[Tensor], async_op: bool,
) -> Work | None:  # fmt: skip
    """Send parts of a flat array with the first list of sizes, and receive parts with the second."""
    sending, receiving = ([n * sent.itemsize for n in each] for each in sizes)
    me = group.rank()
    balance = sum([_mark(me, i) * n for i, n in enumerate(sizes[0])]) - sum([_mark(i, me) * n for i, n in enumerate(sizes[1])])

    def start(comm: Comm) -> Request:
        (out, kind), (into, _) = as_bytes(sent), as_bytes(kept)
        return comm.Ialltoallv([out, sending, kind], [into, receiving, kind])

    return _run(group, Heading(name, result[0]._array.dtype, balance=balance), start, finish, result, async_op)


def _mark(source: int, target: int) -> int:
    """A number for this pair of ranks. The sum of sizes times numbers, added by the sender and subtracted by the receiver,
    is 0 if all sizes agree and, except with probability about 2 ** -60, only then."""
    return pow(0x9E3779B97F4A7C15, 2 * (source << 20 | target) + 3, 2**64)


# ------------------------------------------------------------------------------------------------ barriers


def barrier(
    group: Group = None, async_op: bool = False, device_ids: object = None, timeout: timedelta | None = None
) -> Work | None:
    """Wait until all ranks have arrived."""
    if (ranks := member(group, "barrier")) is None:
        return None
    work = Collective(ranks, Heading("barrier"), None)
    if async_op:
        return work
    work.wait(timeout)
    return None


def monitored_barrier(group: Group = None, timeout: timedelta | float | None = None, wait_all_ranks: bool = False) -> None:
    """Wait until all ranks have arrived. RuntimeError after `timeout`, which on rank 0 names the first missing rank, or all of
    them with `wait_all_ranks`."""
    if (ranks := member(group, "monitored_barrier")) is None:
        return
    if isinstance(timeout, float):
        said = f"Please specify timeout arg as a timedelta. Converting current value of {timeout} assuming it represents seconds"
        warnings.warn(said, stacklevel=2)
        timeout = timedelta(seconds=timeout)
    limit = ranks.timeout if timeout is None else timeout
    signal, (comm, rank) = np.zeros(1, np.uint8), (ranks.control, ranks.rank())
    others = [comm.Irecv(signal, i) for i in range(1, ranks.size())] if rank == 0 else [comm.Irecv(signal, 0)]
    if rank:
        comm.Isend(signal, 0)
    missing = _missing([Work(ranks, "monitored_barrier", each) for each in others], limit, wait_all_ranks)
    if missing and rank == 0:
        names = ", ".join([str(i + 1) for i in missing])
        few = f"Rank{'s' if len(missing) > 1 else ''} {names}"
        raise RuntimeError(f"[Rank 0]: {few} failed to pass monitoredBarrier in {round(limit.total_seconds() * 1000)} ms")
    if missing:
        raise RuntimeError(
            f"Rank {rank} successfully reached monitoredBarrier, but received errors while waiting for send/recv from rank 0. "
            "Please check rank 0 logs for faulty rank."
        )
    if rank == 0:
        for i in range(1, ranks.size()):
            comm.Isend(signal, i)


def _missing(works: list[Work], limit: timedelta, all_of_them: bool) -> list[int]:
    """The indices of those that do not finish in time: the first one, or all."""
    end, found = time.monotonic() + limit.total_seconds(), list[int]()
    for i, work in enumerate(works):
        if not work.ends_within(max(0.0, end - time.monotonic())):
            found.append(i)
            if not all_of_them:
                break
    return found


# ------------------------------------------------------------------------------------------------ several tensors


def all_reduce_coalesced(
    tensors: list[Tensor] | Tensor, op: RedOpType = ReduceOp.SUM, group: Group = None, async_op: bool = False
) -> WorkFuture | None:
    """`all_reduce` of each of these tensors."""
    tensors = [tensors] if isinstance(tensors, Tensor) else tensors
    check_list(tensors, "tensor")
    check_one_dtype(*tensors)
    if (ranks := member(group, "all_reduce_coalesced")) is None or not tensors:
        return None
    works = [all_reduce(each, op, ranks, True) for each in tensors]
    return _last_of(works, tensors, async_op)


def all_gather_coalesced(
    output_tensor_lists: list[list[Tensor]], input_tensor_list: list[Tensor], group: Group = None, async_op: bool = False
) -> WorkFuture | None:
    """`all_gather` of each of these tensors: list i of the outputs is from rank i."""
    if (ranks := member(group, "all_gather_coalesced")) is None:
        return None
    check_list(input_tensor_list, "input_tensor_list")
    if not isinstance(output_tensor_lists, list):
        raise TypeError("Invalid function argument: output_tensor_lists should be a list")
    for each in output_tensor_lists:
        check_list(each, "output_tensor_lists")
    works = [
        all_gather([outputs[i] for outputs in output_tensor_lists], tensor, ranks, True)
        for i, tensor in enumerate(input_tensor_list)
    ]
    return _last_of(works, [each for outputs in output_tensor_lists for each in outputs], async_op)


def _last_of(works: Sequence[Work | None], result: list[Tensor], async_op: bool) -> WorkFuture | None:
    """The future of works of one group, which finish in order."""
    if async_op:
        works[-1]._result = result  # type: ignore[union-attr]
        return works[-1].get_future()  # type: ignore[union-attr]
    for each in works:
        each.wait()  # type: ignore[union-attr]
    return None
