"""Which modules of a model gather their own parameters: the policies of `FullyShardedDataParallel`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mini_dl.nn.modules.attention import MultiheadAttention
from mini_dl.nn.modules.container import ModuleDict, ModuleList
from mini_dl.nn.modules.module import Module

__all__ = [
    "CustomPolicy", "ModuleWrapPolicy", "always_wrap_policy", "lambda_auto_wrap_policy", "size_based_auto_wrap_policy",
    "transformer_auto_wrap_policy",
]  # fmt: skip


def always_wrap_policy(*args: object, **kwargs: object) -> bool:
    """Every module."""
    return True


class ModuleWrapPolicy:
    """The modules of the given classes."""

    def __init__(self, module_classes: Iterable[type[Module]]) -> None:
        self._module_classes = tuple(module_classes)

    def __call__(self, module: Module, recurse: bool = False, *args: object, **kwargs: object) -> bool:
        return recurse or isinstance(module, self._module_classes)

    def __repr__(self) -> str:
        return f"ModuleWrapPolicy({set(self._module_classes)})"


class CustomPolicy:
    """The modules for which ``lambda_fn(module)`` is true, or a dict of arguments."""

    def __init__(self, lambda_fn: Callable[[Module], Any]) -> None:
        self._lambda_fn = lambda_fn

    def __call__(self, module: Module, recurse: bool = False, *args: object, **kwargs: object) -> bool:
        return recurse or self._lambda_fn(module) not in (False, None)


def lambda_auto_wrap_policy(module: Module, recurse: bool, nonwrapped_numel: int, lambda_fn: Callable[[Module], bool]) -> bool:
    """The modules for which ``lambda_fn(module)`` is true."""
    return recurse or lambda_fn(module)


def transformer_auto_wrap_policy(
    module: Module, recurse: bool, nonwrapped_numel: int, transformer_layer_cls: set[type[Module]]
) -> bool:
    """The modules of the given transformer layer classes."""
    return recurse or isinstance(module, tuple(transformer_layer_cls))


def size_based_auto_wrap_policy(
    module: Module,
    recurse: bool,
    nonwrapped_numel: int,
    min_num_params: int = int(1e8),
    force_leaf_modules: set[type[Module]] | None = None,
    exclude_wrap_modules: set[type[Module]] | None = None,
) -> bool:
    """The modules with at least `min_num_params` elements in parameters not yet wrapped; never
    those of `exclude_wrap_modules`, nor those inside `force_leaf_modules`."""
    large = nonwrapped_numel >= min_num_params
    if recurse:
        leaves = (MultiheadAttention,) if force_leaf_modules is None else tuple(force_leaf_modules)
        return large and not isinstance(module, leaves)
    excluded = (ModuleList, ModuleDict) if exclude_wrap_modules is None else tuple(exclude_wrap_modules)
    return large and not isinstance(module, excluded)
