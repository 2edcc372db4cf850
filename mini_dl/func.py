"""Modules as functions of their parameters. The function transforms (``grad``, ``vmap`` ...) are defined elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mini_dl.nn.modules.module import Module
from mini_dl.nn.utils.stateless import call_with
from mini_dl.ops.joining import stack
from mini_dl.tensor import Tensor

__all__ = ["functional_call", "stack_module_state"]


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: dict[str, Tensor] | Sequence[dict[str, Tensor]],
    args: object = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """``module(*args, **kwargs)`` with these tensors as its parameters and buffers.

    With `tie_weights`, a tensor that the module has under two names is replaced under both; with `strict` every parameter and
    buffer must be given, and nothing else.

    Shapes: those of the module.
    Raises: ValueError for dictionaries that share a name; RuntimeError with `strict` for a different set of names.

    >>> layer = torch.nn.Linear(2, 1)
    >>> torch.func.functional_call(layer, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, torch.tensor([3.0, 4.0]))
    tensor([7.])
    """
    given = parameter_and_buffer_dicts
    if isinstance(given, dict):
        return call_with(module, given, args, kwargs, tie_weights, strict)
    if not isinstance(given, Sequence):
        raise ValueError(f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(given)}")
    if not all([isinstance(one, dict) for one in given]):
        raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
    names = [name for one in given for name in one]
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if repeated:
        raise ValueError(f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous")
    together = {name: tensor for one in given for name, tensor in one.items()}
    return call_with(module, together, args, kwargs, tie_weights, strict)


def stack_module_state(models: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and the buffers of several modules of one architecture, stacked:
    ``out[name][k] = models[k].state_dict()[name]``

    Shapes: each (*in) -> (number of models, *in).
    Raises: RuntimeError for no models, or of different types or modes.

    >>> params, buffers = torch.func.stack_module_state([nn.Linear(2, 1), nn.Linear(2, 1)])
    >>> params["weight"].shape
    torch.Size([2, 1, 2])
    """
    if len(models) == 0:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({model.training for model in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if len({type(model) for model in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(model.named_parameters()) for model in models]
    buffers = [dict(model.named_buffers()) for model in models]
    return _stacked(parameters), _stacked(buffers)


def _stacked(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    stacked = {}
    for name in states[0]:
        tensors = [state[name] for state in states]
        if len({tensor.requires_grad for tensor in tensors}) > 1:
            raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
        whole = stack(tensors)
        stacked[name] = whole.detach().requires_grad_() if tensors[0].requires_grad else whole
    return stacked
