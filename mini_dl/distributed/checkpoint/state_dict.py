"""The state of a model and its optimizers under the names of parameters, as sharded checkpoints need it.

``optimizer.state_dict()`` numbers parameters; here ``{"state": {name: {...}}, "param_groups": [{"params": [names], ...}]}``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mini_dl.autograd.mode import no_grad
from mini_dl.distributed.groups import get_rank
from mini_dl.distributed.objects import broadcast_object_list
from mini_dl.distributed.sharding import DTensor
from mini_dl.nn.modules.module import Module
from mini_dl.ops.creation import zeros_like
from mini_dl.optim.optimizer import Optimizer
from mini_dl.tensor import Tensor

PREFIXES = "module.", "_fsdp_wrapped_module."


@dataclass
class StateDictOptions:
    """`full_state_dict`: whole tensors instead of rows; `strict`: missing or unexpected keys are an error;
    `broadcast_from_rank0`: only rank 0 has the state to set."""

    full_state_dict: bool = False
    cpu_offload: bool = False
    ignore_frozen_params: bool = False
    keep_submodule_prefixes: bool = True
    strict: bool = True
    broadcast_from_rank0: bool = False
    flatten_optimizer_state_dict: bool = False


Optimizers = Optimizer | Iterable[Optimizer]


def get_state_dict(
    model: Module, optimizers: Optimizers, *, submodules: object = None, options: StateDictOptions | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The state of a model, and of its optimizers; all processes must call this."""
    return get_model_state_dict(model, options=options), get_optimizer_state_dict(model, optimizers, options=options)


def get_model_state_dict(model: Module, *, submodules: object = None, options: StateDictOptions | None = None) -> dict[str, Any]:
    """The state of a model under its parameters' names without the `DistributedDataParallel` or FSDP wrapper."""
    options = options or StateDictOptions()
    frozen = {id(p) for p in model.parameters() if not p.requires_grad} if options.ignore_frozen_params else set()
    names = {_plain(name) for name, p in model.named_parameters() if id(p) in frozen}
    state = {_plain(name): value for name, value in Module.state_dict(model).items()}
    return {name: _wanted(value, options) for name, value in state.items() if name not in names}


def get_optimizer_state_dict(
    model: Module, optimizers: Optimizers, *, submodules: object = None, options: StateDictOptions | None = None
) -> dict[str, Any]:
    """The state of optimizers by parameter name; an optimizer that has not stepped gets its initial state."""
    options = options or StateDictOptions()
    names = _names(model)
    state: dict[str, Any] = {}
    groups: list[dict[str, Any]] = []
    for optimizer in _listed(optimizers):
        _begin(optimizer)
        packed = optimizer.state_dict()
        for group, packed_group in zip(optimizer.param_groups, packed["param_groups"]):
            for number, parameter in zip(packed_group["params"], group["params"]):
                own = packed["state"].get(number, {})
                state[names[id(parameter)]] = {key: _wanted(value, options) for key, value in own.items()}
            groups.append({**packed_group, "params": [names[id(p)] for p in group["params"]]})
    return {"state": state, "param_groups": groups}


def set_state_dict(
    model: Module,
    optimizers: Optimizers,
    *,
    model_state_dict: dict[str, Any],
    optim_state_dict: dict[str, Any],
    options: StateDictOptions | None = None,
) -> Any:
    """Set the result of `get_state_dict`."""
    set_optimizer_state_dict(model, optimizers, optim_state_dict, options=options)
    return set_model_state_dict(model, model_state_dict, options=options)


@no_grad()
def set_model_state_dict(model: Module, model_state_dict: dict[str, Any], *, options: StateDictOptions | None = None) -> Any:
    """Set the state of a model: rows, or whole tensors of which each process takes its rows."""
    options = options or StateDictOptions()
    given = _received(model_state_dict, options)
    inner = {_plain(name): name for name in Module.state_dict(model)}
    rows = {_plain(name): p for name, p in model.named_parameters() if isinstance(p, DTensor)}
    state = {inner.get(name, name): _own_rows(value, rows.get(name)) for name, value in given.items()}
    return Module.load_state_dict(model, state, strict=options.strict)


def set_optimizer_state_dict(
    model: Module, optimizers: Optimizers, optim_state_dict: dict[str, Any], *, options: StateDictOptions | None = None
) -> None:
    """Set the state of optimizers. KeyError for a missing parameter."""
    options = options or StateDictOptions()
    given = _received(optim_state_dict, options)
    names = _names(model)
    options_of = {name: group for group in given["param_groups"] for name in group["params"]}
    for optimizer in _listed(optimizers):
        packed = optimizer.state_dict()
        state: dict[int, Any] = {}
        for group, packed_group in zip(optimizer.param_groups, packed["param_groups"]):
            for number, parameter in zip(packed_group["params"], group["params"]):
                own = given["state"].get(names[id(parameter)], {})
                if own:
                    like = parameter if isinstance(parameter, DTensor) else None
                    state[number] = {key: _own_rows(value, like) for key, value in own.items()}
            if group["params"]:
                found = options_of[names[id(group["params"][0])]]
                packed_group.update({key: value for key, value in found.items() if key != "params"})
        optimizer.load_state_dict({"state": state, "param_groups": packed["param_groups"]})


def _plain(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix).replace("." + prefix, ".")
    return name


def _names(model: Module) -> dict[int, str]:
    return {id(p): _plain(name) for name, p in model.named_parameters()}


def _listed(optimizers: Optimizers) -> list[Optimizer]:
    return [optimizers] if isinstance(optimizers, Optimizer) else list(optimizers)


def _wanted(value: object, options: StateDictOptions) -> Any:
    return value.full_tensor() if options.full_state_dict and isinstance(value, DTensor) else value


def _own_rows(value: object, like: DTensor | None) -> Any:
    """The local rows of a whole tensor."""
    if like is None or not isinstance(value, Tensor) or isinstance(value, DTensor) or tuple(value.shape) != like.rows.size:
        return value.to_local() if isinstance(value, DTensor) else value
    return value[like.rows.start : like.rows.stop]


def _received(state: dict[str, Any], options: StateDictOptions) -> dict[str, Any]:
    if not options.broadcast_from_rank0:
        return state
    box = [state if get_rank() == 0 else None]
    broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[return-value]


def _begin(optimizer: Optimizer) -> None:
    """Make an optimizer create its state, by a step that changes no parameter."""
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    if optimizer.state or any([p.grad is not None for p in parameters]):
        return
    rates = [group["lr"] for group in optimizer.param_groups]
    for parameter in parameters:
        parameter.grad = zeros_like(parameter)
    for group in optimizer.param_groups:
        group["lr"] = zeros_like(group["lr"]) if isinstance(group["lr"], Tensor) else 0.0
    optimizer.step()
    for group, rate in zip(optimizer.param_groups, rates):
        group["lr"] = rate
    optimizer.zero_grad()
