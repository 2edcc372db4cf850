"""One model trained by several processes, each on its own part of the data."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from operator import attrgetter
from typing import Any

from mini_dl.autograd.function import Function
from mini_dl.autograd.mode import is_grad_enabled
from mini_dl.distributed.algorithms.join import Join, Joinable, JoinHook
from mini_dl.distributed.collectives import all_reduce, broadcast
from mini_dl.distributed.groups import ProcessGroup, chosen_group, get_rank, get_world_size, group as World
from mini_dl.distributed.objects import all_gather_object
from mini_dl.distributed.reducer import FIRST_BUCKET_BYTES, MB, GradBucket, Hook, Reducer
from mini_dl.distributed.reducing import ReduceOp
from mini_dl.nn.modules.module import Module
from mini_dl.nn.parameter import is_lazy
from mini_dl.ops.creation import ones, zeros
from mini_dl.ops.from_data import tensor
from mini_dl.tensor import Tensor
from mini_dl.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["DistributedDataParallel"]

BUCKET_MB = 25


class DistributedDataParallel(Module, Joinable):
    """Calls `module`; its gradients are averaged over the processes while backward runs (`mini_dl.distributed.reducer`).

    Each process computes the loss of its own samples, ``grad = sum(grads of all processes) / n``. All start with the parameters
    and buffers of rank 0, and before each forward the buffers of rank 0 are broadcast (`broadcast_buffers`). The keys of the
    state begin with ``module.``.

    Gradients are summed in buckets of `bucket_cap_mb` MB (25; the first one 1). `find_unused_parameters`: the graph is searched
    from the outputs for parameters without gradients, which would otherwise be awaited. `static_graph`: the first backward shows
    which are used, and how often. `gradient_as_bucket_view`: ``.grad`` is a view of a bucket, which saves a copy.

    RuntimeError if no parameter requires a gradient, if parameters differ in shape between processes, and from the second forward
    on if gradients of the previous step are missing. Li et al. 2020, PyTorch Distributed (VLDB 13(12)).
    """

    module: Module

    def __init__(
        self, module: Module, device_ids: object = None, output_device: object = None, dim: int = 0,
        broadcast_buffers: bool | None = None, init_sync: bool = True, process_group: ProcessGroup | None = None,
        bucket_cap_mb: float | None = None, find_unused_parameters: bool = False, check_reduction: bool = False,
        gradient_as_bucket_view: bool = False, static_graph: bool = False, delay_all_reduce_named_params: object = None,
        param_to_hook_all_reduce: object = None, mixed_precision: object = None, device_mesh: Any = None,
        skip_all_reduce_unused_params: bool = False, bucket_cap_mb_list: list[float] | None = None,
        batched_grad_copy: bool = False, forward_sync_buffers: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        Joinable.__init__(self)
        _refuse_unsupported(delay_all_reduce_named_params, param_to_hook_all_reduce, mixed_precision)
        if process_group is not None and device_mesh is not None:
            raise RuntimeError("Cannot specify both process_group and device_mesh arguments.")
        if device_mesh is not None:
            process_group = device_mesh.get_group(mesh_dim=0)
        self.process_group = chosen_group(process_group)
        self.parameters_to_ignore: set[str] = set(getattr(module, "_ddp_params_and_buffers_to_ignore", ()))
        named = [(name, p) for name, p in module.named_parameters() if name not in self.parameters_to_ignore]
        self._module_parameters = [p for _, p in named]
        _check_module(module, self._module_parameters, device_ids, output_device)
        self.module, self.dim, self.device = module, dim, self._module_parameters[0].device
        self.device_type, self.device_ids, self.output_device = "cpu", None, None
        if check_reduction:
            warnings.warn(
                "The `check_reduction` argument in `DistributedDataParallel` is deprecated.", FutureWarning, stacklevel=2
            )
        self.forward_sync_buffers, sync_at_once = _buffers_sent(broadcast_buffers, forward_sync_buffers)
        self.find_unused_parameters, self.static_graph = find_unused_parameters, static_graph
        self.gradient_as_bucket_view = gradient_as_bucket_view
        self.require_backward_grad_sync = self.require_forward_param_sync = True
        self._divide_by_initial_world_size = True
        self._caps = [int(mb * MB) for mb in bucket_cap_mb_list or [BUCKET_MB if bucket_cap_mb is None else bucket_cap_mb]]
        self._default_caps = bucket_cap_mb is None and not bucket_cap_mb_list
        self.bucket_bytes_cap = max(self._caps)
        if init_sync:
            _check_shapes([p for _, p in named if p.requires_grad], self.process_group)
            self._send_module(0, sync_at_once)
        self.reducer = self._new_reducer()

    def __class_getitem__(cls, _: object) -> type[DistributedDataParallel]:
        return cls

    def _new_reducer(self) -> Reducer:
        named = self.module.named_parameters()
        trained = {name: p for name, p in named if p.requires_grad and name not in self.parameters_to_ignore}
        rebuilt = [FIRST_BUCKET_BYTES, *self._caps] if self._default_caps else self._caps
        one_bucket = (self.static_graph or not self.find_unused_parameters) and len(self._caps) == 1
        return Reducer(
            list(trained.values()), self.process_group, [sys.maxsize] if one_bucket else rebuilt, rebuilt,
            self.find_unused_parameters, self.static_graph, self.gradient_as_bucket_view, list(trained),
        )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        if self.process_group is not World.WORLD:
            raise RuntimeError("DDP Pickling/Unpickling are only supported when using DDP with the default process group.")
        kept = dict(self.__dict__)
        del kept["process_group"], kept["reducer"]
        return kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.process_group = chosen_group(None)
        self.reducer = self._new_reducer()

    # -------------------------------------------------------------------------------------------- forward

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        averaged = is_grad_enabled() and self.require_backward_grad_sync
        if averaged:
            self.reducer.check_finished()
        work = Join.notify_join_context(self)
        if work is not None:
            self._count_processes(work)
        if is_grad_enabled():
            self.reducer.rebuild()
        if self.will_sync_module_buffers():
            self._send(self._buffers_kept_equal(), self._common_rank(True) if self._join_config.enable else 0)
        if self._join_config.enable:
            all_reduce(ones(1) if self.require_backward_grad_sync else zeros(1), group=self.process_group)
        output = self.module(*inputs, **kwargs)
        self.require_forward_param_sync = averaged
        if not averaged:
            return output
        searched = self.find_unused_parameters and not self.static_graph
        self.reducer.prepare(_tensors_in(output) if searched else [])
        return _together(output) if searched else output

    def _count_processes(self, work: Any) -> None:
        """Divide by the number of active processes, unless the initial number is requested."""
        work.wait()
        going_on = work.result()[0].item()
        self.reducer.divisor = float(get_world_size(self.process_group) if self._divide_by_initial_world_size else going_on)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Accumulate gradients locally: the next forward and backward after it average them."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    # -------------------------------------------------------------------------------------------- hooks

    def register_comm_hook(self, state: object, hook: Hook) -> None:
        """Use ``hook(state, bucket)``, which returns a future of a bucket's result, in place of the mean.

        The gradients in the bucket are not divided. TypeError for a non-callable, RuntimeError for a second hook.
        """
        if not callable(hook):
            raise TypeError("Communication hook must be callable.")
        annotation = inspect.signature(hook).parameters["bucket"].annotation
        if annotation not in (inspect.Parameter.empty, GradBucket) and "GradBucket" not in str(annotation):
            raise ValueError("Communication hook: bucket annotation should be GradBucket.")
        if self.reducer.hook is not None:
            raise RuntimeError("register_comm_hook or register_builtin_comm_hook can only be called once.")
        self.reducer.hook = (state, hook)

    # -------------------------------------------------------------------------------------------- synchronization

    @property
    def broadcast_buffers(self) -> bool:
        return self.forward_sync_buffers

    def will_sync_module_buffers(self) -> bool:
        """Whether the next forward broadcasts the buffers of rank 0."""
        return self.require_forward_param_sync and self.forward_sync_buffers and len(self._buffers_kept_equal()) > 0

    def _buffers_kept_equal(self) -> list[Tensor]:
        return [b for name, b in self.module.named_buffers() if name not in self.parameters_to_ignore]

    def _send_module(self, source: int, buffers: bool) -> None:
        """Broadcast the parameters and buffers of one rank."""
        self._send(self._module_parameters + (self._buffers_kept_equal() if buffers else []), source)

    def _send(self, tensors: list[Tensor], source: int) -> None:
        """Broadcast tensors of one rank."""
        for one in tensors:
            broadcast(one.detach(), group_src=source, group=self.process_group)

    # -------------------------------------------------------------------------------------------- uneven inputs

    def join(
        self, divide_by_initial_world_size: bool = True, enable: bool = True, throw_on_early_termination: bool = False
    ) -> Join:
        """``with model.join():`` around the steps, for different numbers of inputs per process.

        A finished process contributes zero gradients. `divide_by_initial_world_size`: gradients are divided by the
        initial number of processes, otherwise by the number still active. In the end all have the model of the last.
        """
        return Join([self], enable, throw_on_early_termination, divide_by_initial_world_size=divide_by_initial_world_size)

    def join_hook(self, **kwargs: Any) -> JoinHook:
        self._divide_by_initial_world_size = kwargs.get("divide_by_initial_world_size", True)
        return _Shadow(self)

    join_device = property(attrgetter("device"))
    join_process_group = property(attrgetter("process_group"))

    def _common_rank(self, candidate: bool) -> int:
        """The largest candidate rank."""
        rank = tensor([get_rank(self.process_group) if candidate else -1])
        all_reduce(rank, op=ReduceOp.MAX, group=self.process_group)
        return int(rank.item())


class _Shadow(JoinHook):
    """Shadows the communication of a model's forward and backward once this process has no more inputs."""

    def __init__(self, model: DistributedDataParallel) -> None:
        self.model = model

    def main_hook(self) -> None:
        model, reducer = self.model, self.model.reducer
        reducer.rebuild()
        if model.will_sync_module_buffers():
            model._send(model._buffers_kept_equal(), model._common_rank(False))
        averaged = zeros(1)
        all_reduce(averaged, group=model.process_group)
        model.require_forward_param_sync = bool(averaged.item())
        if averaged.item():
            reducer.shadow()
            reducer.shadow_used()

    def post_hook(self, is_last_joiner: bool) -> None:
        self.model._send_module(self.model._common_rank(is_last_joiner), self.model.forward_sync_buffers)


class _Together(Function):
    """Outputs unchanged. When a gradient reaches one, the others get zero gradients, so that parameters behind
    an output that is not part of the loss are detected as unused."""

    @staticmethod
    def forward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        return tuple([output.view_as(output) for output in outputs])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        return grads


def _together(output: object) -> Any:
    leaves, spec = tree_flatten(output)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf.grad_fn is not None]
    for i, made in zip(places, _Together.apply(*[leaves[i] for i in places]) if places else ()):
        leaves[i] = made
    return tree_unflatten(leaves, spec)


def _tensors_in(value: object) -> list[Tensor]:
    """The tensors in nested lists, tuples, dicts and dataclasses."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    elif is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    return [found for one in value for found in _tensors_in(one)] if isinstance(value, (list, tuple)) else []


def _refuse_unsupported(delayed: object, hooked: object, mixed_precision: object) -> None:
    names = ("delay_all_reduce_named_params", "param_to_hook_all_reduce", "mixed_precision")
    for name, given in zip(names, (delayed, hooked, mixed_precision)):
        if given is not None:
            raise NotImplementedError(
                f"mini_dl has no {name} of DistributedDataParallel: gradients are averaged in their own type"
            )


def _buffers_sent(broadcast_buffers: bool | None, forward_sync_buffers: bool | None) -> tuple[bool, bool]:
    """Whether buffers are broadcast before each forward, and at the start."""
    if broadcast_buffers is not None:
        ignored = " and its value is ignored when it is given" if forward_sync_buffers is not None else ""
        warnings.warn(
            f"`broadcast_buffers` is deprecated. Use `forward_sync_buffers` instead{ignored}.", FutureWarning, stacklevel=4
        )
    if forward_sync_buffers is not None:
        return forward_sync_buffers, True
    return broadcast_buffers is not False, broadcast_buffers is not False


def _check_module(module: Module, parameters: list[Any], device_ids: Any, output_device: Any) -> None:
    if not any([p.requires_grad for p in parameters]):
        raise RuntimeError(
            "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a gradient."
        )
    if device_ids is not None and len(device_ids) > 1:
        raise ValueError("device_ids can only be None or contain a single element.")
    if device_ids or output_device:
        raise ValueError(
            "DistributedDataParallel device_ids and output_device arguments only work with single-device/multiple-device GPU "
            f"modules or CPU modules, but got device_ids {device_ids}, output_device {output_device}, and module parameters "
            f"{ {p.device for p in parameters} }."
        )
    if any([is_lazy(p) for p in parameters]):
        raise RuntimeError(
            "Modules with uninitialized parameters can't be used with `DistributedDataParallel`. Run a dummy forward pass to "
            "correctly initialize the modules"
        )


def _check_shapes(parameters: list[Tensor], group: ProcessGroup) -> None:
    """RuntimeError in all processes unless all have parameters of the same number and shapes."""
    shapes: list[Any] = [None] * get_world_size(group)
    all_gather_object(shapes, [tuple(p.shape) for p in parameters], group=group)
    first = shapes[0]
    for rank, there in enumerate(shapes):
        if len(there) != len(first):
            raise RuntimeError(
                f"DDP expects same model across all ranks, but Rank {rank} has {len(there)} params, while rank 0 has "
                f"inconsistent {len(first)} params."
            )
        for i, (size, expected) in enumerate(zip(there, first)):
            if size != expected:
                raise RuntimeError(
                    f"[{rank}]: params[{i}] in this process with sizes {list(size)} appears not to match sizes of the same param "
                    f"in process 0, {list(expected)}."
                )
