"""``FullyShardedDataParallel``: `fully_shard` as a module around another."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mini_dl.autograd.mode import no_grad
from mini_dl.distributed.collectives import broadcast
from mini_dl.distributed.fsdp.fully_shard import FSDPModule, Layer
from mini_dl.distributed.groups import ProcessGroup, chosen_group, get_rank
from mini_dl.distributed.sharding import DTensor
from mini_dl.nn.modules.module import Module
from mini_dl.nn.utils.clip_grad import clip_grad_norm_
from mini_dl.tensor import Tensor

__all__ = ["FullyShardedDataParallel"]

INSIDE = "_fsdp_wrapped_module"


class ShardingStrategy(enum.Enum):
    """What is sharded: parameters, gradients and state (FULL_SHARD), or with whole parameters kept from forward to backward."""

    FULL_SHARD = enum.auto()
    SHARD_GRAD_OP = enum.auto()
    NO_SHARD = enum.auto()
    HYBRID_SHARD = enum.auto()
    _HYBRID_SHARD_ZERO2 = enum.auto()


class StateDictType(enum.Enum):
    """Whether ``state_dict`` holds whole tensors or the rows of this process."""

    FULL_STATE_DICT = enum.auto()
    LOCAL_STATE_DICT = enum.auto()
    SHARDED_STATE_DICT = enum.auto()


@dataclass
class FullStateDictConfig:
    """`rank0_only`: other processes get an empty dict."""

    offload_to_cpu: bool = False
    rank0_only: bool = False


@dataclass
class ShardedStateDictConfig:
    offload_to_cpu: bool = False


class FullyShardedDataParallel(Module, FSDPModule):
    """Calls `module`, whose parameters are sharded over the processes by rows and gathered while layers run.

    `auto_wrap_policy` names the inner layers that gather their own (`mini_dl.distributed.fsdp.wrap`); the rest belongs to this
    one. `sync_module_states`: start with the parameters and buffers of rank 0. ``state_dict()`` holds whole tensors under
    the names of the unwrapped `module`, unless `state_dict_type` says otherwise. NotImplementedError for mixed precision,
    offloading and the strategies that copy parameters.
    """

    def __init__(
        self, module: Module, process_group: ProcessGroup | None = None, sharding_strategy: ShardingStrategy | None = None,
        cpu_offload: object = None, auto_wrap_policy: Callable[..., bool] | None = None, backward_prefetch: object = None,
        mixed_precision: object = None, ignored_modules: object = None, param_init_fn: Callable[[Module], None] | None = None,
        device_id: object = None, sync_module_states: bool = False, forward_prefetch: bool = False,
        limit_all_gathers: bool = True, use_orig_params: bool = False, ignored_states: object = None, device_mesh: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        strategy = sharding_strategy or ShardingStrategy.FULL_SHARD
        if strategy not in (ShardingStrategy.FULL_SHARD, ShardingStrategy.SHARD_GRAD_OP):
            raise NotImplementedError(f"mini_dl has no {strategy}; DistributedDataParallel keeps whole parameters")
        refused = {
            "cpu_offload": cpu_offload,
            "mixed_precision": mixed_precision,
            "ignored_modules": ignored_modules,
            "ignored_states": ignored_states,
        }
        for name, given in refused.items():
            if given is not None:
                raise NotImplementedError(f"mini_dl's FullyShardedDataParallel has no {name}")
        if device_mesh is not None:
            process_group = device_mesh.get_group()
        self.process_group = chosen_group(process_group)
        if param_init_fn is not None:
            param_init_fn(module)
        if sync_module_states:
            for tensor in [*module.parameters(), *module.buffers()]:
                if not isinstance(tensor, DTensor):
                    broadcast(tensor.detach(), group_src=0, group=self.process_group)
        options = {"process_group": self.process_group, "sharding_strategy": strategy}
        if auto_wrap_policy is not None:
            _wrap_inside(module, auto_wrap_policy, options)
        self._layer = Layer(module, self.process_group, strategy is ShardingStrategy.FULL_SHARD)
        self._kind, self._config = StateDictType.FULL_STATE_DICT, FullStateDictConfig()
        self.add_module(INSIDE, module)

    @property
    def module(self) -> Module:
        """The module inside."""
        return self._modules[INSIDE]  # type: ignore[return-value]

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            inside = self.__dict__.get("_modules", {}).get(INSIDE)
            if inside is None:
                raise
            return getattr(inside, name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self._layer.before(self, args)
        try:
            return self.module(*args, **kwargs)
        finally:
            self._layer.after(self, args, None)

    @staticmethod
    def fsdp_modules(module: Module, root_only: bool = False) -> list[FullyShardedDataParallel]:
        """The FSDP modules in `module`, including itself."""
        found = [one for one in module.modules() if isinstance(one, FullyShardedDataParallel)]
        inside = {id(inner) for outer in found for inner in outer.module.modules()}
        return [one for one in found if id(one) not in inside] if root_only else found

    @staticmethod
    @contextmanager
    def summon_full_params(
        module: Module, recurse: bool = True, writeback: bool = True, rank0_only: bool = False, offload_to_cpu: bool = False,
        with_grads: bool = False,
    ) -> Iterator[None]:  # fmt: skip
        """Whole parameters within this block; writes to them are kept if `writeback`."""
        layers = [one._layer for one in FullyShardedDataParallel.fsdp_modules(module)]
        layers = layers if recurse else layers[:1]
        with no_grad():
            for layer in layers:
                layer.unshard()
        try:
            yield
        finally:
            with no_grad():
                for layer in layers:
                    for shard, whole in zip(layer.shards, layer.whole or ()):
                        if writeback:
                            shard.copy_(whole.detach()[shard.rows.start : shard.rows.stop])
                    layer.reshard()

    def clip_grad_norm_(self, max_norm: float, norm_type: float = 2.0) -> Tensor:
        """Scale the gradients so that the norm of all of them, over all processes, is at most `max_norm`; returns the norm."""
        return clip_grad_norm_(self.parameters(), max_norm, norm_type)

    # -------------------------------------------------------------------------------------------- names and state

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
        """Parameters under the names of the unwrapped module."""
        for name, parameter in super().named_parameters(*args, **kwargs):
            yield name.replace(INSIDE + ".", ""), parameter

    def named_buffers(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
        """Buffers under the names of the unwrapped module."""
        for name, buffer in super().named_buffers(*args, **kwargs):
            yield name.replace(INSIDE + ".", ""), buffer

    @staticmethod
    @contextmanager
    def state_dict_type(
        module: Module, state_dict_type: StateDictType, state_dict_config: Any = None, optim_state_dict_config: object = None
    ) -> Iterator[None]:
        """The kind of ``state_dict`` and ``load_state_dict`` within this block."""
        found = FullyShardedDataParallel.fsdp_modules(module)
        before = [(one._kind, one._config) for one in found]
        try:
            for one in found:
                one._kind, one._config = state_dict_type, state_dict_config or FullStateDictConfig()
            yield
        finally:
            for one, (kind, config) in zip(found, before):
                one._kind, one._config = kind, config

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Whole tensors on all processes, or the rows of this one; all processes must call this."""
        state = super().state_dict(*args, **kwargs)
        full = self._kind is StateDictType.FULL_STATE_DICT
        for key in list(state):
            value = state.pop(key)
            state[key.replace(INSIDE + ".", "")] = value.full_tensor() if full and isinstance(value, DTensor) else value
        if full and getattr(self._config, "rank0_only", False) and get_rank(self.process_group) != 0:
            state.clear()
        return state

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """Load whole tensors, of which each process takes its rows, or the rows themselves."""
        rows = {name: p.rows for name, p in self.named_parameters() if isinstance(p, DTensor)}
        own = {}
        for key, value in state_dict.items():
            if key in rows and not isinstance(value, DTensor):
                value = value[rows[key].start : rows[key].stop]
            own[key] = value
        inner_names = {name.replace(INSIDE + ".", ""): name for name, _ in _everything(self)}
        return super().load_state_dict({inner_names.get(key, key): value for key, value in own.items()}, strict, assign)


def _everything(module: Module) -> list[tuple[str, Any]]:
    """Parameters and buffers under this module's own names."""
    return [*Module.named_parameters(module, remove_duplicate=False), *Module.named_buffers(module, remove_duplicate=False)]


def _wrap_inside(module: Module, policy: Callable[..., bool], options: dict[str, Any]) -> int:
    """Wrap the children that a policy selects, innermost first. Return the number of elements they hold."""
    own = sum([p.numel() for p in module.parameters()])
    if not policy(module=module, recurse=True, nonwrapped_numel=own):
        return 0
    taken = 0
    for name, child in list(module.named_children()):
        if isinstance(child, FullyShardedDataParallel):
            continue
        elements = sum([p.numel() for p in child.parameters()])
        inside = _wrap_inside(child, policy, options)
        if policy(module=child, recurse=False, nonwrapped_numel=elements - inside):
            setattr(module, name, FullyShardedDataParallel(child, **options))
            inside = elements
        taken += inside
    return taken
