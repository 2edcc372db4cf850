"""The call of a module that has hooks."""

from __future__ import annotations

import functools
import warnings
import weakref
from typing import TYPE_CHECKING, Any

from mini_dl.nn._types import Args, Hook, Kwargs
from mini_dl.nn.modules.global_hooks import (
    _global_backward_pre_hooks,
    _global_forward_hooks,
    _global_forward_hooks_always_called,
    _global_forward_hooks_with_kwargs,
    _global_forward_pre_hooks,
)
from mini_dl.nn.modules.hooks import BackwardHook
from mini_dl.tensor import Tensor

if TYPE_CHECKING:
    from mini_dl.nn.modules.module import Module


class HookedCall:
    """One call of a module that has hooks."""

    def __init__(self, module: Module, args: Args, kwargs: Kwargs) -> None:
        self.module, self.args, self.kwargs, self.result = module, args, kwargs, None
        self.called: set[int] = set()

    def run(self) -> Any:
        module = self.module
        full, regular = module._backward_hooks_of_kind(True), module._backward_hooks_of_kind(False)
        before_backward = [*_global_backward_pre_hooks.values(), *module._backward_pre_hooks.values()]
        self.run_before()
        backward = None
        if full or before_backward:
            backward = BackwardHook(module, full, before_backward)
            self.args = backward.setup_input_hook(self.args)
        self.result = module.forward(*self.args, **self.kwargs)
        for id, hook in (*_global_forward_hooks.items(), *module._forward_hooks.items()):
            self.called.add(id)
            self.run_after(id, hook)
        if backward is not None:
            if not isinstance(self.result, (Tensor, tuple)):
                warnings.warn(
                    "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received "
                    f"{type(self.result)}",
                    stacklevel=4,
                )
            self.result = backward.setup_output_hook(self.result)
        if regular:
            self.hook_last_node(regular)
        return self.result

    def run_before(self) -> None:
        module = self.module
        for id, hook in (*_global_forward_pre_hooks.items(), *module._forward_pre_hooks.items()):
            if id in module._forward_pre_hooks_with_kwargs:
                changed = hook(module, self.args, self.kwargs)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(
                            f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                        )
                    self.args, self.kwargs = changed
            else:
                changed = hook(module, self.args)
                if changed is not None:
                    self.args = changed if isinstance(changed, tuple) else (changed,)

    def run_after(self, id: int, hook: Hook) -> None:
        module = self.module
        if id in module._forward_hooks_with_kwargs or id in _global_forward_hooks_with_kwargs:
            changed = hook(module, self.args, self.kwargs, self.result)
        else:
            changed = hook(module, self.args, self.result)
        if changed is not None:
            self.result = changed

    def run_those_always_called(self) -> None:
        """After an error: run the hooks with ``always_call`` that have not run; their own errors become warnings."""
        module = self.module
        kinds: tuple[tuple[str, dict[int, Hook], dict[int, bool]], ...] = (
            ("global module", _global_forward_hooks, _global_forward_hooks_always_called),
            ("module", module._forward_hooks, module._forward_hooks_always_called),
        )
        for kind, hooks, always in kinds:
            for id, hook in hooks.items():
                if id in always and id not in self.called:
                    try:
                        self.run_after(id, hook)
                    except Exception as error:
                        warnings.warn(
                            f"{kind} forward hook with ``always_call=True`` raised an exception that was silenced as another "
                            f"error was raised in forward: {error}",
                            stacklevel=4,
                        )

    def hook_last_node(self, hooks: list[Hook]) -> None:
        value: Any = self.result
        while not isinstance(value, Tensor):
            value = next(v for v in value.values() if isinstance(v, Tensor)) if isinstance(value, dict) else value[0]
        node = value.grad_fn
        if node is not None:
            for hook in hooks:
                node.register_hook(WithModule(hook, self.module))
            if missing := self.unseen_by_regular(node):
                warnings.warn(f"{missing} Please use register_full_backward_hook.", FutureWarning, stacklevel=5)

    def unseen_by_regular(self, node: Any) -> str:
        """What the hooks of `node` are not given of the gradients of the module; "" if they are given all."""
        results: tuple[Any, ...] = self.result if isinstance(self.result, tuple) else (self.result,)
        if not all([isinstance(one, Tensor) for one in results]):
            return "A non-full backward hook is not given all gradients of results that are not a tensor or a tuple of tensors."
        if not all([isinstance(one, Tensor) for one in self.args]):
            return "A non-full backward hook is not given all gradients of arguments that are not tensors."
        made_by = {one.grad_fn for one in results} - {None}
        if made_by != {node}:
            return "A non-full backward hook is not given the gradients of results of several nodes."
        if {one.grad_fn for one in self.args} - {None} != {following for following, _ in node.next_functions}:
            return "A non-full backward hook is not given the gradients of the inputs of a forward with several nodes."
        return ""


class WithModule:
    """``hook(module, ...)`` without holding the module; copied and pickled with it. Without a module: ``hook(...)``."""

    def __init__(self, hook: Hook, module: Module) -> None:
        self.hook, self.module, self.with_module = hook, weakref.ref(module), True
        functools.update_wrapper(self, hook)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.with_module:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:  # as in torch
        state = {"hook": self.hook, "with_module": self.with_module}
        return {**state, "module": self.module()} if self.with_module else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.hook, self.with_module = state["hook"], state["with_module"]
        if self.with_module:
            if state["module"] is None:
                raise RuntimeError("You are trying to revive the hook of a dead Module!")
            self.module = weakref.ref(state["module"])
