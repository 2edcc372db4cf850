"""Calling a module with its parameters and buffers replaced."""

from __future__ import annotations

import warnings
from typing import Any

from mini_dl._leaving import Block
from mini_dl.nn._types import Kwargs
from mini_dl.nn.modules.module import Module
from mini_dl.tensor import Tensor

__all__ = ["functional_call"]

_MISSING: Any = object()
Tensors = dict[str, Any]


def functional_call(
    module: Module, parameters_and_buffers: Tensors, args: object = None, kwargs: Kwargs | None = None, *,
    tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """``torch.func.functional_call(module, parameters_and_buffers, args, kwargs)``, under its old name, with a warning.

    Shapes: what `module` takes -> what it returns.
    Raises: what ``torch.func.functional_call`` raises.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     nn.utils.stateless.functional_call(nn.Linear(1, 1, bias=False), {"weight": torch.ones(1, 1)}, torch.ones(1))
    tensor([1.])
    """
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be removed in a future version of "
        "PyTorch. Please use `torch.func.functional_call` instead which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return call_with(module, parameters_and_buffers, args, kwargs, tie_weights, strict)


def call_with(
    module: Module, tensors: Tensors, args: object, kwargs: Kwargs | None, tie_weights: bool = True, strict: bool = False
) -> Any:
    """``module(*args, **kwargs)`` with `tensors` by dotted name; values that the call assigns to those names are stored in
    `tensors`.
    """
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    wanted = _with_tied(module, tensors) if tie_weights else tensors
    if strict:
        _check_names(module, wanted)
    with _Replaced(module, wanted, tensors):
        return module(*args, **(kwargs or {}))


class _Replaced(Block):
    """`module` with the tensors in `wanted` within a block; what it then has instead is stored in `given`."""

    def __init__(self, module: Module, wanted: Tensors, given: Tensors) -> None:
        self.module, self.wanted, self.given = module, wanted, given

    def _state(self) -> Tensors:
        return {}

    def _change(self, before: Tensors) -> None:
        for name, tensor in self.wanted.items():
            _swap(self.module, name, tensor, before)

    def _put_back(self, before: Tensors) -> None:
        after: Tensors = {}
        for name in [*before]:
            _swap(self.module, name, before[name], after)
            if name in self.given:
                self.given[name] = after[name]
            del before[name]


def _members(module: Module) -> dict[str, Tensor]:
    """Every parameter and buffer under each of its names."""
    return {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers(remove_duplicate=False))}


def _with_tied(module: Module, tensors: Tensors) -> Tensors:
    """`tensors` under all names of the tensors they replace. ValueError if one tensor would be replaced by two."""
    names: dict[int, list[str]] = {}
    for name, tensor in _members(module).items():
        names.setdefault(id(tensor), []).append(name)
    wanted = dict(tensors)
    for tied in names.values():
        given = [name for name in tied if name in tensors]
        if len(tied) < 2 or not given:
            continue
        if len({id(tensors[name]) for name in given}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(tied)}, which are tied. Consider using tie_weights=False"
            )
        wanted.update(dict.fromkeys(tied, tensors[given[0]]))
    return wanted


def _check_names(module: Module, tensors: Tensors) -> None:
    own = set(_members(module))
    unexpected, missing = sorted(set(tensors) - own), sorted(own - set(tensors))
    wrong = [("Unexpected", unexpected), ("Missing", missing)]
    messages = [f"{kind} key(s): {', '.join(map(repr, names))}." for kind, names in wrong if names]
    if messages:
        raise RuntimeError("Error(s) in reparametrizing for {}:\n\t{}".format(module._get_name(), "\n\t".join(messages)))


def _swap(root: Module, path: str, tensor: object, kept: Tensors) -> None:
    """Put `tensor` (or, for _MISSING, nothing) at a dotted path, and what was there before into `kept`, before it is lost."""
    *parts, name = path.split(".")
    module: Any = root
    for part in parts:
        if not hasattr(module, part):
            raise AttributeError(f"{module._get_name()} has no attribute `{part}`")
        module = getattr(module, part)
        if not isinstance(module, Module):
            raise TypeError(f"submodule `{path}`: {module} is not an instance of torch.nn.Module")
    if tensor is not _MISSING and tensor is not None and not isinstance(tensor, Tensor):
        raise TypeError(f"{tensor} is not an instance of torch.Tensor")
    if name == "":
        raise KeyError('tensor name can\'t be empty string ""')
    for members in (module._parameters, module._buffers):
        if name in members:
            kept[path] = members[name]
            if tensor is _MISSING:
                del members[name]
            else:
                members[name] = tensor
            return
    before = getattr(module, name, _MISSING)
    if before is not _MISSING and before is not None and not isinstance(before, Tensor):
        raise TypeError(f"attribute `{name}`: {before} is not an instance of torch.Tensor")
    kept[path] = before
    if tensor is not _MISSING:
        setattr(module, name, tensor)
    elif hasattr(module, name):
        delattr(module, name)
