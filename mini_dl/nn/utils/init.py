"""Constructing modules without initializing their parameters."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from mini_dl.nn.modules.module import Module

_M = TypeVar("_M", bound=Module)


def skip_init(module_cls: type[_M], *args: Any, **kwargs: Any) -> _M:
    """``module_cls(*args, **kwargs)`` with uninitialized parameters, without drawing a random number.

    Shapes: no tensors.
    Raises: RuntimeError if `module_cls` is not a subclass of Module, or does not accept ``device``.

    >>> torch.nn.utils.skip_init(torch.nn.Linear, 3, 2)
    Linear(in_features=3, out_features=2, bias=True)
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    device = kwargs.pop("device", "cpu")
    return module_cls(*args, device="meta", **kwargs).to_empty(device=device)
