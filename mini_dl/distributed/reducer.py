"""Gradients averaged over processes while backward runs: the engine of `DistributedDataParallel` (Li et al. 2020, PyTorch
Distributed, VLDB 13(12), section 3.2).

Parameters are put into buckets in about the order in which their gradients arrive. Once all gradients of a bucket have been
written, each divided by the number of processes, the bucket is summed over them; buckets are processed in order, so that all
processes sum the same one. At the end of backward, the sums are awaited and copied to ``.grad``.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from mini_dl._dtypes import dtype as DType
from mini_dl.autograd.engine import nodes_behind, queue_callback
from mini_dl.autograd.graph import edge_of
from mini_dl.autograd.mode import no_grad
from mini_dl.distributed.collectives import all_reduce, broadcast
from mini_dl.distributed.groups import ProcessGroup, get_rank
from mini_dl.futures import Future
from mini_dl.ops.creation import zeros
from mini_dl.ops.from_data import tensor
from mini_dl.tensor import Tensor, written

MB = 1 << 20
FIRST_BUCKET_BYTES = MB
"""The first bucket is small, so that the first sum starts soon."""

Hook = Callable[[Any, "GradBucket"], Future[Tensor]]


class GradBucket:
    """The argument of a communication hook: one flat tensor, `buffer`, of which the gradients of `parameters` are views."""

    def __init__(self, number: int, total: int, buffer: Tensor, parameters: Sequence[Tensor]) -> None:
        self._number, self._total, self._buffer, self._parameters = number, total, buffer, list(parameters)

    def index(self) -> int:
        """The index of this bucket."""
        return self._number

    def is_last(self) -> bool:
        """Whether this is the last bucket."""
        return self._number == self._total - 1

    def buffer(self) -> Tensor:
        """All gradients, concatenated."""
        return self._buffer

    def set_buffer(self, buffer: Tensor) -> None:
        """Replace the buffer."""
        self._buffer = buffer

    def parameters(self) -> list[Tensor]:
        """The parameters whose gradients these are."""
        return self._parameters

    def gradients(self) -> list[Tensor]:
        """The gradients, as views of the buffer."""
        return views_of(self._buffer, self._parameters)


class Bucket:
    """Some parameters, their gradients in one flat `buffer`, and the number still pending."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self.buffer = zeros(sum([p.numel() for p in self.parameters]), dtype=self.parameters[0].dtype)
        self.views = views_of(self.buffer, self.parameters)
        self.missing: set[int] = set()
        self.sum: Future[Any] | None = None


class Reducer:
    """Averages the gradients of `parameters` over the processes of a group.

    `limits` are the sizes of the buckets in bytes, the last for all that follow; `rebuilt_limits` those after the first
    backward, which shows the order in which gradients arrive.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        group: ProcessGroup,
        limits: Sequence[int],
        rebuilt_limits: Sequence[int],
        find_unused: bool,
        static_graph: bool,
        as_views: bool,
        names: Sequence[str],
    ) -> None:
        self.parameters, self.group, self.names = list(parameters), group, list(names)
        self.rebuilt_limits, self.as_views = rebuilt_limits, as_views
        self.find_unused, self.static_graph = find_unused, static_graph
        self.number = {id(p): i for i, p in enumerate(self.parameters)}
        self.hook: tuple[Any, Hook] | None = None
        self.divisor = float(group.size())
        self.expecting = self.under_way = False  # whether a backward is expected; whether it has begun
        self.order: list[int] | None = []  # in which gradients arrived, until the buckets are rebuilt in it
        self.fires: dict[int, int] | None = None  # for a static graph: how often each parameter's gradient is written
        self.pending_fires: dict[int, int] = {}
        self.buckets: list[Bucket] = []
        self.build(reversed(in_buckets(self.parameters, limits)))
        own = weakref.ref(self)  # the hooks must not keep the reducer alive, which keeps the parameters alive
        self.handles = [p.register_post_accumulate_grad_hook(_GradientHook(own)) for p in self.parameters]

    def build(self, groups: Iterable[Sequence[Tensor]]) -> None:
        self.buckets = [Bucket(group) for group in groups]
        self.bucket_of = {id(p): (bucket, i) for bucket in self.buckets for i, p in enumerate(bucket.parameters)}

    def rebuild(self) -> bool:
        """Rebuild the buckets, once, in the order in which the gradients arrived. Whether that was done."""
        if self.order is None or (self.find_unused and not self.static_graph) or len(self.order) != len(self.parameters):
            return False
        order = tensor(self.order)
        broadcast(order, group_src=0, group=self.group)  # the same on all processes
        self.order = None
        self.build(in_buckets([self.parameters[int(i)] for i in order.tolist()], self.rebuilt_limits))
        return True

    # -------------------------------------------------------------------------------------------- one backward

    def prepare(self, outputs: Sequence[Tensor] = ()) -> None:
        """Expect one backward, from `outputs` if unused parameters must be found."""
        self.expecting, self.under_way = True, False
        for bucket in self.buckets:
            bucket.missing, bucket.sum = set(range(len(bucket.parameters))), None
        self.next, self.used = 0, [False] * len(self.parameters)
        if self.order is not None:
            self.order = []
        self.pending_fires = dict(self.fires) if self.fires is not None else {}
        self.unused = self.not_reached_from(outputs) if self.find_unused and not self.static_graph and outputs else []

    def not_reached_from(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """The parameters that no gradient can reach from `outputs`."""
        leaves = nodes_behind([edge for edge in map(edge_of, outputs) if edge is not None])[1]
        return [p for p in self.parameters if id(p) not in leaves]

    def gradient_is_ready(self, parameter: Tensor) -> None:
        """The gradient of `parameter` was written."""
        if not self.expecting:
            return
        if not self.under_way:
            self.begin()
        number = self.number[id(parameter)]
        if self.static_graph:
            if self.fires is None:  # the first backward shows how often each arrives
                self.pending_fires[number] = self.pending_fires.get(number, 0) + 1
                self.used[number] = parameter.grad is not None
                return
            self.pending_fires[number] -= 1
            if self.pending_fires[number]:
                return
        self.used[number] = parameter.grad is not None
        self.mark_ready(parameter)

    def begin(self) -> None:
        """The first gradient of this backward has arrived: mark unused parameters as ready."""
        self.under_way = True
        queue_callback(self.finish)
        fires = self.fires
        unused = self.unused if fires is None else [p for i, p in enumerate(self.parameters) if not fires.get(i)]
        for parameter in unused:
            self.mark_ready(parameter)

    @no_grad()
    def mark_ready(self, parameter: Tensor) -> None:
        """Put the gradient into its bucket, and sum full buckets."""
        bucket, place = self.bucket_of[id(parameter)]
        number = self.number[id(parameter)]
        if place not in bucket.missing:
            raise RuntimeError(
                f"Expected to mark a variable ready only once. The parameter {self.names[number]} at index {number} was marked "
                "ready twice: it is used outside of forward, or in several checkpoints with reentrant backward. If the graph is "
                "the same in each step, static_graph=True allows it."
            )
        bucket.missing.discard(place)
        view, grad = bucket.views[place], parameter.grad
        if self.order is not None:
            self.order.append(number)
        share = 1.0 if self.hook is not None else 1.0 / self.divisor
        if grad is None:
            view.zero_()
        elif same_memory(view, grad):
            view.mul_(share)
        else:
            np.multiply(grad._array, view._array.dtype.type(share), out=view._array)  # in one pass
            written(view)
            if self.as_views:
                parameter.grad = view
        while self.next < len(self.buckets) and not self.buckets[self.next].missing:
            self.start(self.next)
            self.next += 1

    def start(self, number: int) -> None:
        """Start summing a bucket over the processes."""
        bucket = self.buckets[number]
        shown = GradBucket(number, len(self.buckets), bucket.buffer, bucket.parameters)
        bucket.sum = self.summed(shown)

    def summed(self, bucket: GradBucket) -> Future[Any]:
        """A future of the hook's result for a bucket, or of the plain sum."""
        if self.hook is not None:
            state, hook = self.hook
            return hook(state, bucket)
        work: Any = all_reduce(bucket.buffer(), group=self.group, async_op=True)
        return work.get_future()

    @no_grad()
    def finish(self) -> None:
        """At the end of backward: wait for the sums and write the gradients. No effect while gradients are missing."""
        if self.static_graph and self.fires is None:
            self.fires = self.pending_fires
            for parameter in self.parameters:
                self.mark_ready(parameter)
        if self.next < len(self.buckets):
            return
        used = self.used
        if self.find_unused and not self.static_graph:
            everywhere = tensor([int(u) for u in self.used])
            all_reduce(everywhere, group=self.group)
            used = [bool(n) for n in everywhere.tolist()]
        for bucket in self.buckets:
            self.hand_out(bucket, used)
        self.expecting = self.under_way = False

    def hand_out(self, bucket: Bucket, used: Sequence[bool]) -> None:
        """Copy the result to the gradients of a bucket; those of parameters that no process used are unchanged."""
        assert bucket.sum is not None
        result = bucket.sum.wait()
        result = result[0] if isinstance(result, (list, tuple)) else result
        if not same_memory(result, bucket.buffer):
            bucket.buffer.copy_(result)
        for parameter, view in zip(bucket.parameters, bucket.views):
            if not used[self.number[id(parameter)]]:
                continue
            if self.as_views:
                if parameter.grad is None or not same_memory(parameter.grad, view):
                    parameter.grad = view
            elif parameter.grad is None:
                parameter.grad = view.clone()
            else:
                parameter.grad.copy_(view)

    def check_finished(self) -> None:
        """RuntimeError if gradients of the last backward are still missing."""
        if not (self.expecting and self.under_way):
            return
        left = [self.number[id(b.parameters[i])] for b in self.buckets for i in sorted(b.missing)]
        raise RuntimeError(
            "Expected to have finished reduction in the prior iteration before starting a new one. This error indicates that "
            "your module has parameters that were not used in producing loss. You can enable unused parameter detection by "
            "passing the keyword argument `find_unused_parameters=True` to `torch.nn.parallel.DistributedDataParallel`, and by "
            "making sure all `forward` function outputs participate in calculating loss.\n"
            f"Parameters which did not receive grad for rank {get_rank(self.group)}: {', '.join([self.names[i] for i in left])}\n"
            f"Parameter indices which did not receive grad for rank {get_rank(self.group)}: {' '.join(map(str, left))}"
        )

    # -------------------------------------------------------------------------------------------- in a process that has joined

    def shadow(self) -> None:
        """Take part in one backward of the others with gradients of zero."""
        futures = [
            self.summed(GradBucket(i, len(self.buckets), bucket.buffer.zero_(), bucket.parameters))
            for i, bucket in enumerate(self.buckets)
        ]
        for future in futures:
            future.wait()

    def shadow_used(self) -> None:
        """Take part in the others' search for unused parameters."""
        if self.find_unused and not self.static_graph:
            all_reduce(tensor([0] * len(self.parameters)), group=self.group)


class _GradientHook:
    """The hook of a parameter, which notifies the reducer as long as it exists."""

    def __init__(self, reducer: weakref.ref[Reducer]) -> None:
        self.reducer = reducer

    def __call__(self, parameter: Tensor) -> None:
        reducer = self.reducer()
        if reducer is not None:
            reducer.gradient_is_ready(parameter)


def in_buckets(parameters: Sequence[Tensor], limits: Sequence[int]) -> list[list[Tensor]]:
    """The parameters in groups of one type, each closed once it has reached its limit in bytes; ordered by first parameter."""
    done: list[list[Tensor]] = []  # in the order in which they were started
    filling: dict[DType, tuple[list[Tensor], int, list[int]]] = {}  # a group, its bytes, the limits for it and those after it
    for parameter in parameters:
        group, size, left = filling.get(parameter.dtype) or ([], 0, list(limits))
        if not group:
            done.append(group)
        group.append(parameter)
        size += parameter.numel() * parameter.element_size()
        filling[parameter.dtype] = (group, size, left) if size < left[0] else ([], 0, left[1:] or left)
    return done


def views_of(buffer: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """The parts of a flat tensor in the shapes of `parameters`."""
    parts = buffer.split([p.numel() for p in parameters])
    return [part.view(p.shape) for part, p in zip(parts, parameters)]


def same_memory(a: Tensor, b: Tensor) -> bool:
    return a.data_ptr() == b.data_ptr() and a.shape == b.shape and a.stride() == b.stride()
