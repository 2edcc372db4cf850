"""Hooks of all modules: one table of each kind, which every module consults besides its own."""

from __future__ import annotations

from mini_dl.autograd.graph import Handle
from mini_dl.nn._types import Hook

_global_buffer_registration_hooks: dict[int, Hook] = {}
_global_module_registration_hooks: dict[int, Hook] = {}
_global_parameter_registration_hooks: dict[int, Hook] = {}
_global_backward_pre_hooks: dict[int, Hook] = {}
_global_backward_hooks: dict[int, Hook] = {}
_global_is_full_backward_hook: bool | None = None
_global_forward_pre_hooks: dict[int, Hook] = {}
_global_forward_hooks: dict[int, Hook] = {}
_global_forward_hooks_always_called: dict[int, bool] = {}
_global_forward_hooks_with_kwargs: dict[int, bool] = {}

ONE_KIND_OF_BACKWARD_HOOK = "Cannot use both regular backward hooks and full backward hooks {}. Please use only one of them."


def register_module_buffer_registration_hook(hook: Hook) -> Handle:
    """Call ``hook(module, name, buffer)`` whenever a buffer is registered; its result is registered instead."""
    return Handle(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook: Hook) -> Handle:
    """Call ``hook(module, name, submodule)`` whenever a module is registered; its result is registered instead."""
    return Handle(_global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook: Hook) -> Handle:
    """Call ``hook(module, name, parameter)`` whenever a parameter is registered; its result is registered instead."""
    return Handle(_global_parameter_registration_hooks, hook)


def register_module_forward_pre_hook(hook: Hook) -> Handle:
    """Call ``hook(module, args)`` before the forward of every module."""
    return Handle(_global_forward_pre_hooks, hook)


def register_module_forward_hook(hook: Hook, *, with_kwargs: bool = False, always_call: bool = False) -> Handle:
    """Call ``hook(module, args, output)`` after the forward of every module."""
    flags = ((_global_forward_hooks_with_kwargs, with_kwargs), (_global_forward_hooks_always_called, always_call))
    return Handle(_global_forward_hooks, hook, flags=flags)


def register_module_backward_hook(hook: Hook) -> Handle:
    """The deprecated kind: call ``hook(module, grad_input, grad_output)`` at the last node of every module."""
    return _register_global_backward(hook, full=False)


def register_module_full_backward_pre_hook(hook: Hook) -> Handle:
    """Call ``hook(module, grad_output)`` before the backward of every module."""
    return Handle(_global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook: Hook) -> Handle:
    """Call ``hook(module, grad_input, grad_output)`` after the backward of every module."""
    return _register_global_backward(hook, full=True)


def _register_global_backward(hook: Hook, full: bool) -> Handle:
    global _global_is_full_backward_hook
    if _global_is_full_backward_hook is (not full):
        raise RuntimeError(ONE_KIND_OF_BACKWARD_HOOK.format("as a global Module hook"))
    _global_is_full_backward_hook = full
    return Handle(_global_backward_hooks, hook)


def global_backward_hooks(full: bool) -> list[Hook]:
    """The backward hooks of all modules, if they are of the requested kind."""
    return [*_global_backward_hooks.values()] if _global_is_full_backward_hook is full else []
