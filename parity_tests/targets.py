"""Libraries to check other than mini_dl: anything with functions under torch's names.

A *target* defines how to create a tensor of the library from an array, how to get the array back, how to find a function, and how
to differentiate. `TorchLike` does this for a module that looks like torch; `Functions` for a plain table of functions of arrays,
or a module of them such as NumPy, without gradients. Any other library needs an object with the same four methods, some twenty
lines (``dtype`` and ``manual_seed`` only where calls need them)::

    class Target:
        name = "mine"

        def function(self, name): ...                      # LookupError if there is none
        def tensor(self, array, requires_grad): ...
        def array(self, tensor): ...                       # TypeError for non-tensors
        def gradients(self, outputs, directions, inputs): ...   # a list; None for zero; NotImplementedError

Needs neither torch nor mini_dl, only the library itself.
"""

from __future__ import annotations

import functools
import importlib
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class TorchLike:
    """A module with torch's names: ``softmax``, ``nn.functional.gelu``, ``from_numpy``, ``autograd.grad``."""

    def __init__(self, module: Any) -> None:
        self.module, self.name = module, module.__name__

    def function(self, name: str) -> Any:
        try:
            return functools.reduce(getattr, name.split("."), self.module)
        except AttributeError:
            raise LookupError(f"{self.name} has no {name}") from None

    def dtype(self, name: str) -> Any:
        return getattr(self.module, name)

    def manual_seed(self, seed: int) -> None:
        if hasattr(self.module, "manual_seed"):
            self.module.manual_seed(seed)

    def tensor(self, array: Any, requires_grad: bool) -> Any:
        return self.module.from_numpy(np.array(array)).requires_grad_(requires_grad)

    def array(self, tensor: Any) -> Any:
        if not hasattr(tensor, "detach"):
            raise TypeError(f"not a tensor: {type(tensor).__name__}")
        return np.asarray(tensor.detach().resolve_conj().resolve_neg().numpy())

    def gradients(self, outputs: list[Any], directions: list[Any], inputs: list[Any]) -> list[Any]:
        return list(self.module.autograd.grad(outputs, inputs, directions, allow_unused=True))


class Functions:
    """A table of functions of NumPy arrays by torch's names: ``{"nn.functional.gelu": my_gelu}``, or a module that has functions
    of these names. They have no gradients."""

    def __init__(self, table: Mapping[str, Callable[..., Any]] | types.ModuleType, name: str = "functions") -> None:
        self.table, self.name = table, name

    def function(self, name: str) -> Any:
        try:
            if isinstance(self.table, types.ModuleType):
                return functools.reduce(getattr, name.split("."), self.table)
            return self.table[name]
        except (AttributeError, KeyError):
            raise LookupError(f"{self.name} has no {name}") from None

    def dtype(self, name: str) -> Any:
        return np.dtype(name)

    def tensor(self, array: Any, requires_grad: bool) -> Any:
        return array

    def array(self, tensor: Any) -> Any:
        if not isinstance(tensor, (np.ndarray, np.generic)):
            raise TypeError(f"not an array: {type(tensor).__name__}")
        return np.asarray(tensor)

    def gradients(self, outputs: list[Any], directions: list[Any], inputs: list[Any]) -> list[Any]:
        raise NotImplementedError(f"{self.name} has no gradients")


def found(text: str) -> Any:
    """The target that ``package.module`` or ``package.module:attribute`` names: a module like torch or of functions of arrays, a
    table of them, or a target.

    ImportError or AttributeError if there is none; TypeError if it is something else.
    """
    path, _, attribute = text.partition(":")
    value = importlib.import_module(path)
    if attribute:
        value = functools.reduce(getattr, attribute.split("."), value)
    if isinstance(value, Mapping):
        return Functions(value, text)
    if isinstance(value, types.ModuleType):
        return TorchLike(value) if hasattr(value, "from_numpy") else Functions(value, text)
    if not all([hasattr(value, method) for method in ("function", "tensor", "array", "gradients")]):
        raise TypeError(f"{text} is a {type(value).__name__}: not a module, not a table of functions, and not a target")
    return value
