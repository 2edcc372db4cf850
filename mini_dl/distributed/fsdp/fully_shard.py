"""``fully_shard``: the parameters of one layer, sharded over the processes and gathered while the layer runs.

Before forward the rows of all processes become whole tensors, which autograd sees as computed from the rows; after it they
are freed. What backward needs of them is gathered again. The transpose of gathering is the reduce-scatter that gives each
process the mean gradient of its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from mini_dl.autograd.function import Function
from mini_dl.autograd.graph import saved_tensors_hooks
from mini_dl.autograd.mode import no_grad
from mini_dl.distributed.groups import ProcessGroup, chosen_group
from mini_dl.distributed.sharding import DTensor, gathered, reduced_to_rows, shard_of
from mini_dl.nn.modules.module import Module
from mini_dl.tensor import Tensor

__all__ = ["FSDPModule", "fully_shard"]


class Layer:
    """The parameters that one module gathers together: its own and those of children that are not sharded themselves."""

    def __init__(self, module: Module, group: ProcessGroup, reshard_after_forward: bool) -> None:
        self.group, self.reshard_after_forward, self.averages = group, reshard_after_forward, True
        self.places = _places(module)
        own: dict[int, DTensor] = {}
        for owner, name in self.places:
            parameter: Any = owner._parameters[name]
            if id(parameter) not in own:  # it may be shared by several modules
                own[id(parameter)] = shard_of(parameter, group)
            owner._parameters[name] = own[id(parameter)]
        self.shards = list(own.values())
        for shard in self.shards:
            if shard.requires_grad:
                shard.register_post_accumulate_grad_hook(_mark_gradient)
        self.whole: list[Tensor] | None = None
        self.again: list[Tensor] | None = None
        """The whole parameters, gathered again while the backward of this layer runs."""
        self.hooks: AbstractContextManager[Any] | None = None

    def unshard(self) -> None:
        """Replace the rows by whole parameters computed from them."""
        if self.whole is None and self.shards:
            self.whole = list(_Gather.apply(self, *self.shards))
            by_shard = {id(shard): whole for shard, whole in zip(self.shards, self.whole)}
            for owner, name in self.places:
                owner._parameters[name] = by_shard[id(owner._parameters[name])]  # type: ignore[assignment]

    def reshard(self) -> None:
        """Put the rows back."""
        if self.whole is not None:
            by_whole = {id(whole): shard for shard, whole in zip(self.shards, self.whole)}
            for owner, name in self.places:
                owner._parameters[name] = by_whole[id(owner._parameters[name])]
            self.whole = None

    # -------------------------------------------------------------------------------------------- around forward

    def before(self, module: Module, args: object) -> None:
        self.unshard()
        if self.whole is not None and self.reshard_after_forward:
            self.hooks = saved_tensors_hooks(self.packed, self.unpacked)
            self.hooks.__enter__()

    def after(self, module: Module, args: object, output: object) -> None:
        self.leave()
        if self.reshard_after_forward:
            self.reshard()

    def leave(self) -> None:
        if self.hooks is not None:
            hooks, self.hooks = self.hooks, None
            hooks.__exit__(None, None, None)

    def packed(self, saved: Tensor) -> Any:
        """The substitute for a saved tensor: for a view of a whole parameter, its number and geometry."""
        for number, whole in enumerate(self.whole or ()):
            if saved is whole or saved._base is whole or (saved.numel() and saved.data_ptr() == whole.data_ptr()):
                return number, tuple(saved.shape), saved.stride(), saved.storage_offset() - whole.storage_offset()
        return saved

    def unpacked(self, packed: Any) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        number, size, stride, offset = packed
        if self.again is None:
            with no_grad():
                self.again = gathered([s.to_local() for s in self.shards], [s.rows for s in self.shards])
        whole = self.again[number]
        return whole.as_strided(size, stride, whole.storage_offset() + offset)


def _mark_gradient(shard: Any) -> None:
    """Tell the gradient of rows which rows they are."""
    if shard.grad is not None and not isinstance(shard.grad, DTensor):
        shard.grad = DTensor.of(shard.grad, shard.rows)


class _Gather(Function):
    """Rows of all processes to whole parameters; the transpose averages gradients, of which each process gets its rows."""

    @staticmethod
    def forward(ctx: Any, layer: Layer, *shards: DTensor) -> tuple[Tensor, ...]:
        ctx.layer = layer
        return tuple(gathered([shard.to_local() for shard in shards], [shard.rows for shard in shards]))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        layer: Layer = ctx.layer
        layer.again = None
        return (None, *reduced_to_rows(grads, [shard.rows for shard in layer.shards]))


def _places(module: Module) -> list[tuple[Module, str]]:
    """The parameters that `module` gathers, and their modules and names."""
    found = [(module, name) for name, p in module._parameters.items() if p is not None]
    for child in module.children():
        if not isinstance(child, FSDPModule):
            found += _places(child)
    return found


class FSDPModule:
    """What `fully_shard` adds to a module."""

    _layer: Layer

    def unshard(self, async_op: bool = False) -> None:
        """Gather the parameters of this layer."""
        self._layer.unshard()

    def reshard(self) -> None:
        """Free the whole parameters."""
        self._layer.reshard()

    def set_reshard_after_forward(self, reshard_after_forward: bool, recurse: bool = True) -> None:
        """Whether whole parameters are freed after forward, and gathered again for backward."""
        for layer in _layers(self, recurse):
            layer.reshard_after_forward = reshard_after_forward

    def set_requires_gradient_sync(self, requires_gradient_sync: bool, *, recurse: bool = True) -> None:
        """NotImplementedError for unreduced gradients: local rows cannot hold those of other processes."""
        if not requires_gradient_sync:
            raise NotImplementedError("mini_dl sums the gradients of sharded parameters in each backward")


def _layers(module: Any, recurse: bool) -> list[Layer]:
    modules = module.modules() if recurse else [module]
    return [one._layer for one in modules if isinstance(one, FSDPModule)]


def fully_shard(
    module: Any,
    *,
    mesh: Any = None,
    reshard_after_forward: bool | int | None = None,
    shard_placement_fn: Callable[[Any], Any] | None = None,
    mp_policy: object = None,
    offload_policy: object = None,
    ignored_params: set[Any] | None = None,
) -> Any:
    """Shard the parameters of `module` over the processes by rows; returns `module`, which becomes an `FSDPModule`.

    Applied to layers first and to the whole model last, each layer gathers its own parameters when it runs:
    memory for parameters, gradients and state of the optimizer falls to about 1/n, plus one whole layer. Parameters
    become `DTensor`s, which optimizers step like others. `reshard_after_forward`: free whole parameters between forward and
    backward (the default).

    ValueError for parameters without dimensions; NotImplementedError for other placements, mixed precision and offloading.
    """
    for name, given in (("shard_placement_fn", shard_placement_fn), ("mp_policy", mp_policy), ("offload_policy", offload_policy)):
        if given is not None and not _is_plain(given):
            raise NotImplementedError(f"mini_dl's fully_shard has no {name}: rows are sharded in their own type")
    if ignored_params:
        raise NotImplementedError("mini_dl's fully_shard has no ignored_params")
    if isinstance(module, (list, tuple)):
        for one in module:
            fully_shard(one, mesh=mesh, reshard_after_forward=reshard_after_forward)
        return module
    group = chosen_group(None if mesh is None else mesh.get_group())
    layer = Layer(module, group, True if reshard_after_forward is None else bool(reshard_after_forward))
    module.__class__ = type(f"FSDP{type(module).__name__}", (FSDPModule, type(module)), {})
    object.__setattr__(module, "_layer", layer)
    module.register_forward_pre_hook(layer.before, prepend=True)
    module.register_forward_hook(layer.after, always_call=True)
    return module


def _is_plain(policy: object) -> bool:
    """Whether a policy requests nothing."""
    return all([value in (None, True, False) for value in vars(policy).values()]) if hasattr(policy, "__dict__") else False
