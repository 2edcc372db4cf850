"""Weight normalization: a weight as a length times a direction (Salimans and Kingma 2016)."""

from __future__ import annotations

import warnings
from typing import TypeVar

from mini_dl.nn.modules.module import Module
from mini_dl.nn.parameter import Parameter, is_lazy
from mini_dl.ops.norms import norm_except_dim
from mini_dl.tensor import Tensor

_M = TypeVar("_M", bound=Module)


class WeightNorm:
    """The hook that computes ``weight = g * v / |v|`` before each forward; the norm is over all dimensions but `dim`."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, -1 if dim is None else dim

    def norm(self, weight: Tensor) -> Tensor:
        """Over all dimensions if `dim` is -1."""
        return norm_except_dim(weight, 2, self.dim)

    def compute_weight(self, module: Module) -> Tensor:
        length, direction = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return direction * (length / self.norm(direction))

    def __call__(self, module: Module, inputs: object) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: _M, name: str = "weight", dim: int | None = 0) -> _M:
    """``weight = weight_g * weight_v / norm(weight_v)``, computed before each forward from two parameters. Returns `module`.

    Shapes: a parameter of any shape; the norm is over all dimensions but `dim`, or over all for None.
    Raises: RuntimeError if it is already normalized; AttributeError for an unknown parameter; ValueError if it has no shape yet.
    Source: Salimans and Kingma, Weight normalization, 2016, section 2.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     layer = nn.utils.weight_norm(nn.Linear(3, 2))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight_g', 'weight_v']
    """
    warnings.warn(
        "`torch.nn.utils.weight_norm` is deprecated in favor of `torch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    if any([isinstance(hook, WeightNorm) and hook.name == name for hook in module._forward_pre_hooks.values()]):
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    weight, hook = getattr(module, name), WeightNorm(name, dim)
    if is_lazy(weight):
        raise ValueError(
            "The module passed to `WeightNorm` can't have uninitialized parameters. Make sure to run the dummy forward before "
            "applying weight normalization"
        )
    del module._parameters[name]
    module.register_parameter(name + "_g", Parameter(hook.norm(weight).data))
    module.register_parameter(name + "_v", Parameter(weight.data))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: _M, name: str = "weight") -> _M:
    """``weight = weight_g * weight_v / norm(weight_v)`` as a parameter again. Returns `module`.

    Shapes: no change.
    Raises: ValueError if the parameter is not normalized.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     layer = nn.utils.remove_weight_norm(nn.utils.weight_norm(nn.Linear(3, 2)))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight']
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            weight = hook.compute_weight(module)
            delattr(module, name)
            del module._parameters[name + "_g"], module._parameters[name + "_v"]
            setattr(module, name, Parameter(weight.data))
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
