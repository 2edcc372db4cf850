"""Differentiable collectives: each is a linear map of the tensors of all ranks, and its derivative the transposed map.

``broadcast`` and ``reduce`` are each other's transpose, as are ``gather`` and ``scatter``; that of ``all_gather`` sums the
gradients of all ranks. All ranks must call ``backward``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from mini_dl.autograd.function import Function
from mini_dl.distributed import collectives
from mini_dl.distributed.groups import Group, get_rank, get_world_size
from mini_dl.distributed.reducing import RedOpType, ReduceOp
from mini_dl.tensor import Tensor, wrap

Context: TypeAlias = Any


def _like(tensor: Tensor) -> Tensor:
    return wrap(np.zeros_like(tensor._array, order="C"))


def broadcast(tensor: Tensor, src: int, group: Group = None) -> Tensor:
    """The tensor of rank `src`."""
    return _Broadcast.apply(src, group, tensor)


class _Broadcast(Function):
    @staticmethod
    def forward(ctx: Context, src: int, group: Group, tensor: Tensor) -> Tensor:
        ctx.src, ctx.group = src, group
        out = tensor.clone()
        collectives.broadcast(out, src, group)
        return out

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[object, ...]:
        back = _Reduce.apply(ctx.src, ReduceOp.SUM, ctx.group, grad)
        return None, None, back if get_rank() == ctx.src else back * 0


def reduce(tensor: Tensor, dst: int, op: RedOpType = ReduceOp.SUM, group: Group = None) -> Tensor:
    """The reduction over all ranks on rank `dst`; elsewhere the tensor itself."""
    return _Reduce.apply(dst, op, group, tensor)


class _Reduce(Function):
    @staticmethod
    def forward(ctx: Context, dst: int, op: RedOpType, group: Group, tensor: Tensor) -> Tensor:
        ctx.dst, ctx.group = dst, group
        out = tensor.clone()
        collectives.reduce(out, dst, op, group)
        return out

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[object, ...]:
        return None, None, None, _Broadcast.apply(ctx.dst, ctx.group, grad)


def gather(tensor: Tensor, dst: int = 0, group: Group = None) -> tuple[Tensor, ...]:
    """The tensors of all ranks on rank `dst`; elsewhere zeros."""
    return _Gather.apply(dst, group, tensor)


class _Gather(Function):
    @staticmethod
    def forward(ctx: Context, dst: int, group: Group, tensor: Tensor) -> tuple[Tensor, ...]:
        ctx.dst, ctx.group = dst, group
        out = [_like(tensor) for _ in range(get_world_size(group))]
        collectives.gather(tensor, out if get_rank() == dst else None, dst, group)
        return tuple(out)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> tuple[object, ...]:
        return None, None, _Scatter.apply(ctx.dst, ctx.group, *grads)


def scatter(tensors: Sequence[Tensor], src: int = 0, group: Group = None) -> Tensor:
    """Tensor i of rank `src`'s list, on rank i. The others pass tensors of the same shape."""
    return _Scatter.apply(src, group, *tensors)


class _Scatter(Function):
    @staticmethod
    def forward(ctx: Context, src: int, group: Group, *tensors: Tensor) -> Tensor:
        ctx.src, ctx.group = src, group
        out = _like(tensors[0])
        collectives.scatter(out, list(tensors) if get_rank() == src else None, src, group)
        return out

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[object, ...]:
        return None, None, *_Gather.apply(ctx.src, ctx.group, grad)


def reduce_scatter(output: Tensor, input_list: Sequence[Tensor], op: RedOpType = ReduceOp.SUM, group: Group = None) -> Tensor:
    """The reduction over all ranks of tensor i, on rank i; written to `output`."""
    return _ReduceScatter.apply(op, group, output, *input_list)


class _ReduceScatter(Function):
    @staticmethod
    def forward(ctx: Context, op: RedOpType, group: Group, output: Tensor, *tensors: Tensor) -> Tensor:
        ctx.group = group
        collectives.reduce_scatter(output, list(tensors), op, group)
        return output

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[object, ...]:
        return None, None, None, *_AllGather.apply(ctx.group, grad)


def all_gather(tensor: Tensor, group: Group = None) -> tuple[Tensor, ...]:
    """The tensors of all ranks."""
    return _AllGather.apply(group, tensor)


class _AllGather(Function):
    @staticmethod
    def forward(ctx: Context, group: Group, tensor: Tensor) -> tuple[Tensor, ...]:
        ctx.group = group
        out = [_like(tensor) for _ in range(get_world_size(group))]
        collectives.all_gather(out, tensor, group)
        return tuple(out)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> tuple[object, ...]:
        return None, _ReduceScatter.apply(ReduceOp.SUM, ctx.group, _like(grads[0]), *grads)


def _all_gather_base(output_tensor: Tensor, input_tensor: Tensor, group: Group = None) -> Tensor:
    """The tensors of all ranks in one; written to `output_tensor`."""
    return _AllGatherBase.apply(output_tensor, input_tensor, group)


class _AllGatherBase(Function):
    @staticmethod
    def forward(ctx: Context, output: Tensor, tensor: Tensor, group: Group) -> Tensor:
        ctx.group, ctx.given = group, tensor.shape
        collectives.all_gather_into_tensor(output, tensor, group)
        return output

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[object, ...]:
        back = wrap(np.zeros(ctx.given, grad._array.dtype))
        collectives.reduce_scatter_tensor(back, grad, ReduceOp.SUM, ctx.group)
        return None, back, None


def all_to_all(
    output_tensor_list: Sequence[Tensor], input_tensor_list: Sequence[Tensor], group: Group = None
) -> tuple[Tensor, ...]:
    """What rank i sends to this one, for all i; written to the tensors of the first list."""
    return _AllToAll.apply(group, list(output_tensor_list), *input_tensor_list)


class _AllToAll(Function):
    @staticmethod
    def forward(ctx: Context, group: Group, out: list[Tensor], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.group, ctx.sizes = group, [each.shape for each in tensors]
        collectives.all_to_all(out, list(tensors), group)
        return tuple(out)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> tuple[object, ...]:
        back = [wrap(np.zeros(shape, grads[0]._array.dtype)) for shape in ctx.sizes]
        return None, None, *_AllToAll.apply(ctx.group, back, *grads)


def all_to_all_single(
    output: Tensor, input: Tensor, output_split_sizes: Sequence[int] | None = None,
    input_split_sizes: Sequence[int] | None = None, group: Group = None,
) -> Tensor:  # fmt: skip
    """What rank i sends of its rows to this one, for all i, in one tensor; written to `output`."""
    return _AllToAllSingle.apply(group, output, output_split_sizes, input_split_sizes, input)


class _AllToAllSingle(Function):
    @staticmethod
    def forward(
        ctx: Context, group: Group, output: Tensor, receiving: Sequence[int] | None, sending: Sequence[int] | None, input: Tensor
    ) -> Tensor:
        ctx.group, ctx.given, ctx.receiving, ctx.sending = group, input.shape, receiving, sending
        collectives.all_to_all_single(output, input, receiving, sending, group)
        return output

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[object, ...]:
        back = wrap(np.zeros(ctx.given, grad._array.dtype))
        return None, None, None, None, _AllToAllSingle.apply(ctx.group, back, ctx.sending, ctx.receiving, grad)


def all_reduce(tensor: Tensor, op: RedOpType = ReduceOp.SUM, group: Group = None) -> Tensor:
    """The reduction over all ranks, on all of them."""
    return _AllReduce.apply(op, group, tensor)


class _AllReduce(Function):
    @staticmethod
    def forward(ctx: Context, op: RedOpType, group: Group, tensor: Tensor) -> Tensor:
        ctx.how, ctx.group = op, group
        out = wrap(tensor._array.copy())
        collectives.all_reduce(out, op, group)
        return out

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[object, ...]:
        return None, None, _AllReduce.apply(ctx.how, ctx.group, grad)
