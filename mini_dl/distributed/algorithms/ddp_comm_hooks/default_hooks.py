"""Basic hooks of `DistributedDataParallel`: the mean of gradients, optionally compressed to half precision."""

from __future__ import annotations

from typing import Any

from mini_dl._dtypes import bfloat16, dtype as DType, float16
from mini_dl.distributed.collectives import all_reduce
from mini_dl.distributed.groups import ProcessGroup, group as World
from mini_dl.distributed.reducer import GradBucket, Hook
from mini_dl.futures import Future
from mini_dl.tensor import Tensor

__all__ = ["allreduce_hook", "bf16_compress_hook", "bf16_compress_wrapper", "fp16_compress_hook", "fp16_compress_wrapper"]


def allreduce_hook(process_group: ProcessGroup | None, bucket: GradBucket) -> Future[Tensor]:
    """The mean over `process_group` (None: of all processes), as without a hook."""
    return _mean(process_group, bucket.buffer())


def _mean(process_group: ProcessGroup | None, buffer: Tensor) -> Future[Tensor]:
    group: Any = process_group if process_group is not None else World.WORLD
    buffer.div_(group.size())
    work: Any = all_reduce(buffer, group=group, async_op=True)
    return work.get_future().then(lambda future: future.value()[0])


def _in(kind: DType, process_group: ProcessGroup | None, bucket: GradBucket) -> Future[Tensor]:
    """The mean computed in type `kind`."""
    buffer = bucket.buffer()
    return _mean(process_group, buffer.to(kind)).then(lambda future: buffer.copy_(future.value()))


def fp16_compress_hook(process_group: ProcessGroup | None, bucket: GradBucket) -> Future[Tensor]:
    """The mean over `process_group`, computed in float16: half the bytes are sent."""
    return _in(float16, process_group, bucket)


def bf16_compress_hook(process_group: ProcessGroup | None, bucket: GradBucket) -> Future[Tensor]:
    """The mean over `process_group`, computed in bfloat16."""
    return _in(bfloat16, process_group, bucket)


def _wrapped(hook: Hook, kind: DType) -> Hook:
    def in_kind(state: object, bucket: GradBucket) -> Future[Tensor]:
        buffer = bucket.buffer()
        bucket.set_buffer(buffer.to(kind))
        return hook(state, bucket).then(lambda future: buffer.copy_(future.value()))

    return in_kind


def fp16_compress_wrapper(hook: Hook) -> Hook:
    """`hook` given the bucket in float16; its result is cast back."""
    return _wrapped(hook, float16)


def bf16_compress_wrapper(hook: Hook) -> Hook:
    """`hook` given the bucket in bfloat16; its result is cast back."""
    return _wrapped(hook, bfloat16)
