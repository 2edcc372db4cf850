"""Loading a state: what ``Module.load_state_dict`` does, and how it is undone on errors."""

from __future__ import annotations

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mini_dl._checks import level_of_user
from mini_dl.autograd.mode import no_grad
from mini_dl.nn._types import StateDict
from mini_dl.nn.parameter import Parameter, is_lazy
from mini_dl.tensor import Tensor, written

if TYPE_CHECKING:
    from mini_dl.nn.modules.module import Module

EXTRA_STATE = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if self.missing_keys or self.unexpected_keys else "<All keys matched successfully>"

    __str__ = __repr__


def load(module: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> _IncompatibleKeys:
    """Load `module` and all below it, or raise and leave everything unchanged."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    metadata = getattr(state_dict, "_metadata", None)
    state: Any = OrderedDict(state_dict)
    if metadata is not None:
        state._metadata = metadata

    before = _Snapshot(module, copies=not assign)
    try:
        _load_tree(module, state, "", metadata or {}, assign, missing, unexpected, errors)
    except BaseException:
        before.restore()
        raise
    if strict:
        for keys, kind in ((unexpected, "Unexpected"), (missing, "Missing")):
            if keys:
                listed = ", ".join([f'"{key}"' for key in keys])
                errors.insert(0, f"{kind} key(s) in state_dict: {listed}. ")
    if errors:
        before.restore()
        raise RuntimeError("Error(s) in loading state_dict for {}:\n\t{}".format(type(module).__name__, "\n\t".join(errors)))
    return _IncompatibleKeys(missing, unexpected)


def _load_tree(
    module: Module, state: StateDict, prefix: str, metadata: StateDict, assign: bool, missing: list[str],
    unexpected: list[str], errors: list[str],
) -> None:  # fmt: skip
    """Load `module` and all below it; mismatches are added to the lists."""
    local_metadata = dict(metadata.get(prefix[:-1], {}))
    if assign:
        local_metadata["assign_to_params_buffers"] = assign
    module._load_from_state_dict(state, prefix, local_metadata, True, missing, unexpected, errors)
    for name, child in module._modules.items():
        if child is not None:
            below = f"{prefix}{name}."
            part = {key: value for key, value in state.items() if key.startswith(below)}
            _load_tree(child, part, below, metadata, assign, missing, unexpected, errors)
    keys = _IncompatibleKeys(missing, unexpected)
    for hook in module._load_state_dict_post_hooks.values():
        if hook(module, keys) is not None:
            raise AssertionError(
                "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values, if "
                "incompatible_keys need to be modified, it should be done inplace."
            )


def load_own(
    module: Module, state_dict: StateDict, prefix: str, local_metadata: StateDict, strict: bool, missing_keys: list[str],
    unexpected_keys: list[str], error_msgs: list[str],
) -> None:  # fmt: skip
    """Load the part of `state_dict` under `prefix` that belongs to `module` alone; record mismatches."""
    for hook in module._load_state_dict_pre_hooks.values():
        hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
    assign = local_metadata.get("assign_to_params_buffers", False)
    local_state = dict(module._persistent_tensors())
    for name, target in local_state.items():
        key = prefix + name
        if key in state_dict:
            _load_tensor(module, name, target, key, state_dict[key], assign, error_msgs)
        elif strict:
            missing_keys.append(key)
    extra = prefix + EXTRA_STATE
    if module._overrides("set_extra_state"):
        if extra in state_dict:
            module.set_extra_state(state_dict[extra])
        elif strict:
            missing_keys.append(extra)
    elif strict and extra in state_dict:
        unexpected_keys.append(extra)
    if strict:
        for key in state_dict:
            if key.startswith(prefix) and key != extra:
                name, dot, _ = key[len(prefix) :].partition(".")
                if name not in (module._modules if dot else local_state):
                    unexpected_keys.append(key)


def _load_tensor(
    module: Module, name: str, target: Tensor, key: str, source: object, assign: bool, error_msgs: list[str]
) -> None:
    if not isinstance(source, Tensor):
        error_msgs.append(
            f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from checkpoint but '
            f"received {type(source)}"
        )
        return
    if not is_lazy(target):
        if target.ndim == 0 and source.ndim == 1 and len(source) == 1:  # a scalar saved by very old versions
            source = source[0]
        if source.shape != target.shape:
            error_msgs.append(
                f"size mismatch for {key}: copying a param with shape {source.shape} from checkpoint, the shape in current "
                f"model is {target.shape}."
            )
            return
    if target.is_meta and not source.is_meta and not assign:
        warnings.warn(
            f"for {key}: copying from a non-meta parameter in the checkpoint to a meta parameter in the current model, which is "
            "a no-op. (Did you mean to pass `assign=True` to assign items in the state dictionary to their corresponding key in "
            "the module instead of copying them in place?)",
            stacklevel=level_of_user(),
        )
    try:
        with no_grad():
            if not assign:
                target.copy_(source)
                return
            if isinstance(target, Parameter):
                if isinstance(source, Parameter):
                    source.requires_grad_(target.requires_grad)
                else:
                    source = Parameter(source, target.requires_grad)
            setattr(module, name, source)
    except Exception as error:
        error_msgs.append(
            f'While copying the parameter named "{key}", whose dimensions in the model are {target.shape} and whose '
            f"dimensions in the checkpoint are {source.shape}, an exception occurred : {error.args}."
        )


class _Snapshot:
    """The tensors of the modules below `module`, to be restored if loading fails."""

    def __init__(self, module: Module, copies: bool) -> None:
        self.members = [(m, dict(m._parameters), dict(m._buffers)) for m in module.modules()]
        members = [t for _, parameters, buffers in self.members for t in (*parameters.values(), *buffers.values())]
        held = {id(t): t for t in members if t is not None}
        self.lazy = [(t, type(t)) for t in held.values() if is_lazy(t)]
        dense = [t for t in held.values() if not is_lazy(t) and not t._sparse]
        self.values = [(t, t._array, t._array.copy()) for t in dense] if copies else []
        self.sparse = [(t, t.clone()) for t in held.values() if t._sparse] if copies else []

    def restore(self) -> None:
        for module, parameters, buffers in self.members:
            module.__dict__["_parameters"], module.__dict__["_buffers"] = parameters, buffers
        for tensor, kind in self.lazy:
            tensor.__dict__.pop("_array", None)
            tensor.__class__ = kind
        for tensor, copied in self.sparse:
            tensor.copy_(copied)
        for tensor, array, values in self.values:
            np.copyto(array, values)
            tensor._array = array
            written(tensor)
