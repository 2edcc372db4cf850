"""``ZeroRedundancyOptimizer``: the state of an optimizer sharded over the processes.

Rajbhandari et al. 2020, ZeRO: Memory Optimizations Toward Training Trillion Parameter Models (SC20), section 5.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mini_dl.autograd.mode import no_grad
from mini_dl.distributed.algorithms.join import Join, Joinable, JoinHook
from mini_dl.distributed.collectives import broadcast
from mini_dl.distributed.groups import ProcessGroup, chosen_group, get_rank, get_world_size
from mini_dl.distributed.objects import gather_object
from mini_dl.optim.optimizer import Optimizer
from mini_dl.tensor import Tensor

__all__ = ["ZeroRedundancyOptimizer"]


class ZeroRedundancyOptimizer(Optimizer, Joinable):
    """Each process keeps the state of, and steps, about 1/n of the parameters, and sends them to the others.

    Whole parameters are distributed, largest first, each to the process with the fewest elements so far. The steps are
    those of `optimizer_class` with `defaults`. ``state_dict()`` raises RuntimeError without a prior `consolidate_state_dict`.
    NotImplementedError for `overlap_with_ddp`.
    """

    def __init__(
        self,
        params: Any,
        optimizer_class: type[Optimizer],
        process_group: ProcessGroup | None = None,
        parameters_as_bucket_view: bool = False,
        overlap_with_ddp: bool = False,
        **defaults: Any,
    ) -> None:
        if overlap_with_ddp:
            raise NotImplementedError("mini_dl's ZeroRedundancyOptimizer has no overlap_with_ddp")
        params = _checked(params)
        self.initialized = False
        Optimizer.__init__(self, params, defaults)
        Joinable.__init__(self)
        self.process_group = chosen_group(process_group)
        self.world_size, self.rank = get_world_size(self.process_group), get_rank(self.process_group)
        self._sizes = [0] * self.world_size
        self._owner: dict[Tensor, int] = {}
        for group in self.param_groups:
            self._assign_owners(group)
        self.optim: Any = optimizer_class(self._own_groups(self.param_groups), **defaults)
        self._take_options(self.optim.param_groups, self.param_groups)
        self._states: list[Any] = []
        self.initialized = True

    # -------------------------------------------------------------------------------------------- partition

    def _assign_owners(self, group: dict[str, Any]) -> None:
        for parameter in sorted(group["params"], key=lambda p: p.numel(), reverse=True):
            owner = self._sizes.index(min(self._sizes))
            self._owner[parameter] = owner
            self._sizes[owner] += parameter.numel() if parameter.requires_grad else 0

    def _own_groups(self, groups: list[dict[str, Any]], rank: int | None = None) -> list[dict[str, Any]]:
        """The groups with the parameters of one process."""
        rank = self.rank if rank is None else rank
        return [{**group, "params": [p for p in group["params"] if self._owner[p] == rank]} for group in groups]

    def _take_options(self, source: list[dict[str, Any]], target: list[dict[str, Any]]) -> None:
        """Copy all options of groups except the parameters."""
        for given, taken in zip(source, target):
            taken.update({key: value for key, value in given.items() if key != "params"})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Step these parameters too, distributed like the first ones."""
        super().add_param_group(param_group)
        if self.initialized:
            self._assign_owners(self.param_groups[-1])
            self.optim.add_param_group(self._own_groups(self.param_groups[-1:])[0])

    # -------------------------------------------------------------------------------------------- steps

    def step(self, closure: Callable[[], float] | None = None, **kwargs: object) -> Any:
        """Step this process's parameters and send them; receive those of the others."""
        work = Join.notify_join_context(self)
        if work is not None:
            work.wait()
        self._take_options(self.param_groups, self.optim.param_groups)
        loss = self.optim.step(closure=closure, **kwargs) if closure is not None else self.optim.step(**kwargs)
        self._take_options(self.optim.param_groups, self.param_groups)
        self._send_parameters()
        return loss

    @no_grad()
    def _send_parameters(self) -> None:
        works = [
            broadcast(p.detach(), group_src=owner, group=self.process_group, async_op=True) for p, owner in self._owner.items()
        ]
        for work in works:
            if work is not None:
                work.wait()

    # -------------------------------------------------------------------------------------------- state

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Gather the state of all processes on rank `to`; all of them must call this."""
        self._take_options(self.param_groups, self.optim.param_groups)
        states: list[Any] | None = [None] * self.world_size if self.rank == to else None
        gather_object(self.optim.state_dict(), states, group_dst=to, group=self.process_group)
        self._states = states or []

    def state_dict(self) -> dict[str, Any]:
        """The state as `optimizer_class` over all parameters would have it, after `consolidate_state_dict`."""
        if not self._states:
            raise RuntimeError(
                "Optimizer state has not been consolidated on this rank. Please call "
                f"`consolidate_state_dict(to={self.rank})` on all ranks beforehand if you meant to save the global state."
            )
        whole = super().state_dict()
        number = {p: i for i, p in enumerate(self._owner_order())}
        for rank, part in enumerate(self._states):
            for group, packed in zip(self._own_groups(self.param_groups, rank), part["param_groups"]):
                for parameter, local in zip(group["params"], packed["params"]):
                    if local in part["state"]:
                        whole["state"][number[parameter]] = part["state"][local]
        whole["state"] = dict(sorted(whole["state"].items()))
        return whole

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load this process's part of the state that `optimizer_class` would have over all parameters."""
        number = {p: i for i, p in enumerate(self._owner_order())}
        groups, state = [], {}
        place = 0
        for own, group in zip(self._own_groups(self.param_groups), state_dict["param_groups"]):
            numbers = list(range(place, place + len(own["params"])))
            place += len(numbers)
            groups.append({**group, "params": numbers})
            for local, parameter in zip(numbers, own["params"]):
                if number[parameter] in state_dict["state"]:
                    state[local] = state_dict["state"][number[parameter]]
        self.optim.load_state_dict({"state": state, "param_groups": groups})
        self._take_options(self.optim.param_groups, self.param_groups)

    def _owner_order(self) -> list[Tensor]:
        """All parameters in the order of their numbers in a state."""
        return [p for group in self.param_groups for p in group["params"]]

    # -------------------------------------------------------------------------------------------- uneven inputs

    def join_hook(self, **kwargs: object) -> JoinHook:
        return _Steps(self)

    @property
    def join_device(self) -> Any:
        return self._owner_order()[0].device

    @property
    def join_process_group(self) -> Any:
        return self.process_group


class _Steps(JoinHook):
    """Steps with the others' gradients once this process has no more inputs."""

    def __init__(self, optimizer: ZeroRedundancyOptimizer) -> None:
        self.optimizer = optimizer

    def main_hook(self) -> None:
        self.optimizer.step()


def _checked(params: Any) -> list[Any]:
    """The parameters or groups in a list. TypeError for a tensor, ValueError for none."""
    if isinstance(params, Tensor):
        raise TypeError(f"`params` argument should be an iterable of Tensors, but got {type(params).__name__}")
    try:
        listed = list(params)
    except TypeError as error:
        raise TypeError(
            f"`params` argument should be an iterable of Tensors or dicts, but got {type(params).__name__}"
        ) from error
    if not listed:
        raise ValueError("ZeroRedundancyOptimizer got an empty parameter list")
    if len({isinstance(one, dict) for one in listed}) > 1 or not all([isinstance(one, (Tensor, dict)) for one in listed]):
        raise TypeError("`params` argument should be an iterable of Tensors or dicts, not of both or others")
    return listed
