"""Module: a tree of parameters, buffers and modules with a `forward`; hooks around it; saving and loading its state."""

from __future__ import annotations

import inspect
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from mini_dl import _dtypes
from mini_dl._device import compiled_without, is_meta
from mini_dl._guidance import missing, tell_constructor
from mini_dl.autograd.graph import Handle
from mini_dl.autograd.mode import no_grad
from mini_dl.nn._types import Args, Device, Function, Hook, Kwargs, P, R, StateDict, WithForward
from mini_dl.nn.modules.conversion import conversion, uninitialized_like
from mini_dl.nn.modules.global_hooks import (
    ONE_KIND_OF_BACKWARD_HOOK,
    _global_backward_hooks,
    _global_backward_pre_hooks,
    _global_buffer_registration_hooks,
    _global_forward_hooks,
    _global_forward_pre_hooks,
    _global_module_registration_hooks,
    _global_parameter_registration_hooks,
    global_backward_hooks,
    register_module_backward_hook as register_module_backward_hook,
    register_module_buffer_registration_hook as register_module_buffer_registration_hook,
    register_module_forward_hook as register_module_forward_hook,
    register_module_forward_pre_hook as register_module_forward_pre_hook,
    register_module_full_backward_hook as register_module_full_backward_hook,
    register_module_full_backward_pre_hook as register_module_full_backward_pre_hook,
    register_module_module_registration_hook as register_module_module_registration_hook,
    register_module_parameter_registration_hook as register_module_parameter_registration_hook,
)
from mini_dl.nn.modules.hooked_call import HookedCall, WithModule
from mini_dl.nn.modules.loading import EXTRA_STATE, _IncompatibleKeys as _IncompatibleKeys, load, load_own
from mini_dl.nn.modules.locating import locate
from mini_dl.nn.parameter import Buffer, Parameter, is_lazy, zero_grad_of
from mini_dl.ops.conversion import arguments_of_module_to
from mini_dl.tensor import Tensor, typename

Self = TypeVar("Self", bound="Module")
T = TypeVar("T")


def _forward_unimplemented(self: Module, *input: object) -> None:
    """Compute the output; every subclass defines its own."""
    raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')


# ------------------------------------------------------------------------------------------------ Module


class Module:
    """A part of a network: ``out = module(input)`` calls ``forward``, which subclasses define.

    Parameters, buffers and modules assigned as attributes are registered.

    Shapes: what ``forward`` takes -> what it returns.
    Raises: NotImplementedError if it is called without a ``forward``; AttributeError for an unknown attribute.

    >>> class Net(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.inner = torch.nn.Linear(3, 2)
    ...     def forward(self, input):
    ...         return self.inner(input)
    >>> Net()
    Net(
      (inner): Linear(in_features=3, out_features=2, bias=True)
    )
    """

    dump_patches: bool = False
    _version: int = 1
    call_super_init: bool = False
    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]
    _is_full_backward_hook: bool | None
    forward: Function = _forward_unimplemented
    _NAMES_OF_HOOKS = (
        "_backward_pre_hooks _backward_hooks _forward_hooks _forward_hooks_with_kwargs _forward_hooks_always_called "
        "_forward_pre_hooks _forward_pre_hooks_with_kwargs _state_dict_hooks _state_dict_pre_hooks "
        "_load_state_dict_pre_hooks _load_state_dict_post_hooks"
    ).split()

    def __init__(self, *args: object, **kwargs: object) -> None:
        if not self.call_super_init and kwargs:
            raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'")
        if not self.call_super_init and args:
            raise TypeError(f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given")
        own = self.__dict__  # stored directly: Module.__setattr__ would look for parameters, modules and buffers
        own["training"] = True
        own["_parameters"], own["_buffers"], own["_modules"] = {}, {}, {}
        own["_non_persistent_buffers_set"] = set()
        own["_is_full_backward_hook"] = None
        for name in self._NAMES_OF_HOOKS:
            own[name] = {}
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        tell_constructor(cls)

    # -------------------------------------------------------------------------------------------- registration

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make `param` the parameter `name`. KeyError for a bad or taken name, TypeError if it is not a Parameter."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self.__check_name("parameter", name, self._parameters)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{typename(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)"
                )
            if param.grad_fn:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. "
                    f"To express '{name}' as a function of another Tensor, compute the value in the forward() method."
                )
            param = self.__run_registration_hooks(_global_parameter_registration_hooks, name, param)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Make `tensor` the buffer `name`, saved in ``state_dict`` if `persistent`."""
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self.__check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)")
        self._buffers[name] = self.__run_registration_hooks(_global_buffer_registration_hooks, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Make `module` the child `name`."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{typename(module)} is not a Module subclass")
        self.__check_name("module", name, self._modules)
        self._modules[name] = self.__run_registration_hooks(_global_module_registration_hooks, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """Another name of `add_module`."""
        self.add_module(name, module)

    def __check_name(self, kind: str, name: str, members: Mapping[str, object]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."' + (f", got: {name}" if kind == "module" else ""))
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if name not in members and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    def __run_registration_hooks(self, hooks: dict[int, Hook], name: str, value: T) -> T:
        for hook in hooks.values():
            replacement = hook(self, name, value)
            if replacement is not None:
                value = replacement
        return value

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for members in ("_parameters", "_buffers", "_modules"):
            if members in own and name in own[members]:
                return own[members][name]
        raise missing(f"'{type(self).__name__}' object has no attribute '{name}'", name, lambda: dir(self))

    def __setattr__(self, name: str, value: object) -> None:
        own = self.__dict__
        parameters, modules, buffers = own.get("_parameters"), own.get("_modules"), own.get("_buffers")
        if isinstance(value, Parameter):
            if parameters is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self.__forget(name, own, self._buffers, self._modules)
            self.register_parameter(name, value)
        elif parameters is not None and name in parameters:
            if value is not None:
                raise TypeError(f"cannot assign '{typename(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self.__forget(name, own, self._parameters, self._buffers)
            modules[name] = self.__run_registration_hooks(_global_module_registration_hooks, name, value)
        elif modules is not None and name in modules:
            if value is not None:
                raise TypeError(f"cannot assign '{typename(value)}' as child module '{name}' (torch.nn.Module or None expected)")
            modules[name] = self.__run_registration_hooks(_global_module_registration_hooks, name, value)
        elif isinstance(value, Buffer) or (buffers is not None and name in buffers):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{typename(value)}' as buffer '{name}' (torch.nn.Buffer, torch.Tensor or None expected)"
                )
            self.__assign_buffer(name, value)
        else:
            object.__setattr__(self, name, value)

    def __assign_buffer(self, name: str, value: Tensor | None) -> None:
        persistent = value.persistent if isinstance(value, Buffer) else name not in self._non_persistent_buffers_set
        if "persistent" in inspect.signature(self.register_buffer).parameters:
            self.register_buffer(name, value, persistent)
        elif persistent:
            self.register_buffer(name, value)
        else:
            raise RuntimeError(
                "Registering a non-persistent buffer on a Module subclass that implements register_buffer() without the "
                "persistent argument is not allowed."
            )

    def __forget(self, name: str, *members: StateDict) -> None:
        for member in members:
            member.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __delattr__(self, name: str) -> None:
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = [*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers]
        return sorted([name for name in names if not name[0].isdigit()])

    # -------------------------------------------------------------------------------------------- by dotted name

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; AttributeError if there is none."""
        module = self
        for name in target.split(".") if target else ():
            module = module.__member(name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` at a dotted path; with `strict` only if there is one already."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if (strict or hasattr(parent, name)) and not isinstance(parent.__member(name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path."""
        path, _, name = target.rpartition(".")
        param = self.get_submodule(path).__member(name)
        if not isinstance(param, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return param

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        buffer = module.__member(name)
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return buffer

    def __member(self, name: str) -> Any:
        if not hasattr(self, name):
            raise AttributeError(f"{self._get_name()} has no attribute `{name}`")
        return getattr(self, name)

    # -------------------------------------------------------------------------------------------- iteration

    def _named_members(
        self, get_members_fn: Callable[[Module], Iterable[tuple[str, T | None]]], prefix: str = "", recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, T]]:  # fmt: skip
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, member in get_members_fn(module):
                if member is None or member in seen:
                    continue
                if remove_duplicate:
                    seen.add(member)
                yield (f"{path}.{name}" if path else name), member

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once; with `recurse` those of all modules below."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter)"""
        yield from self._named_members(lambda module: module._parameters.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, buffer)"""
        yield from self._named_members(lambda module: module._buffers.items(), prefix, recurse, remove_duplicate)

    def children(self) -> Iterator[Module]:
        """The modules directly below, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module directly below)"""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below, each once."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """(dotted name, module) of this module ("") and all below."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    # -------------------------------------------------------------------------------------------- changing all of it

    def apply(self: Self, fn: Callable[[Module], None]) -> Self:
        """Call `fn` on every module below, then on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self: Self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace every parameter, its gradient, and every buffer by the result of `fn`."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with no_grad():
            for param in self._parameters.values():
                if param is None:
                    continue
                applied = fn(param)
                if not is_lazy(param):
                    param.data = applied
                    if param._grad is not None:
                        param._grad.data = fn(param._grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self: Self, *args: object, **kwargs: object) -> Self:
        """``to(dtype)``, ``to(device, dtype)`` or ``to(tensor)``: convert floating point and complex tensors.
        ``to(memory_format=...)``: reorder the memory of tensors of four and five dimensions.

        TypeError for any other type.
        """
        where, dtype, _, order = arguments_of_module_to(*args, **kwargs)
        return self._apply(conversion(where, dtype, order))

    def type(self: Self, dst_type: Any) -> Self:
        """Cast all parameters and buffers."""
        return self._apply(lambda t: t.type(dst_type))

    def __to_floating(self: Self, dtype: _dtypes.dtype) -> Self:
        return self._apply(lambda t: t.to(dtype) if t.dtype.is_floating_point else t)

    def float(self: Self) -> Self:
        """Cast floating point tensors to float32."""
        return self.__to_floating(_dtypes.float32)

    def double(self: Self) -> Self:
        """Cast floating point tensors to float64."""
        return self.__to_floating(_dtypes.float64)

    def half(self: Self) -> Self:
        """Cast floating point tensors to float16."""
        return self.__to_floating(_dtypes.float16)

    def bfloat16(self: Self) -> Self:
        """Cast floating point tensors to bfloat16."""
        return self.__to_floating(_dtypes.bfloat16)

    def cpu(self: Self) -> Self:
        """Does nothing: everything is on the CPU already."""
        return self

    def cuda(self: Self, device: Device = None) -> Self:
        """AssertionError: there is no GPU here."""
        compiled_without("CUDA")

    def xpu(self: Self, device: Device = None) -> Self:
        """AssertionError: there is no GPU here."""
        compiled_without("XPU")

    def to_empty(self: Self, *, device: Device, recurse: bool = True) -> Self:
        """Give every parameter and buffer fresh, uninitialized memory."""
        meta = is_meta(device)
        return self._apply(lambda t: uninitialized_like(t, meta), recurse)

    def share_memory(self: Self) -> Self:
        """Move parameters, their gradients and buffers to shared memory: see `Tensor.share_memory_`."""
        return self._apply(lambda t: t.share_memory_())

    def train(self: Self, mode: bool = True) -> Self:
        """Set ``training`` here and below: dropout and batch norm depend on it."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """``train(False)``"""
        return self.train(False)

    def compile(self, *args: object, **kwargs: object) -> None:
        """Accepted: the module still runs eagerly. ``torch.compile(module)`` returns another module."""

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Request gradients for all parameters, or stop doing so."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters, or set them to zero."""
        for param in self.parameters():
            zero_grad_of(param, set_to_none)

    # -------------------------------------------------------------------------------------------- hooks

    def register_forward_pre_hook(self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False) -> Handle:
        """Call ``hook(module, args)`` before ``forward``; its result replaces the arguments.

        `with_kwargs`: ``hook(module, args, kwargs)``, which returns both or None. `prepend`: before the other hooks.
        """
        flags = ((self._forward_pre_hooks_with_kwargs, with_kwargs),)
        return Handle(self._forward_pre_hooks, hook, prepend, flags)

    def register_forward_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> Handle:
        """Call ``hook(module, args, output)`` after ``forward``; its result replaces the output.

        `with_kwargs`: ``hook(module, args, kwargs, output)``. `always_call`: also when ``forward`` raised.
        """
        flags = ((self._forward_hooks_with_kwargs, with_kwargs), (self._forward_hooks_always_called, always_call))
        return Handle(self._forward_hooks, hook, prepend, flags)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call ``hook(module, grad_output)`` when the gradients of the outputs are known; its result replaces them."""
        return Handle(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the inputs are known; its result replaces
        those of the inputs."""
        return self.__register_backward(hook, prepend, full=True)

    def register_backward_hook(self, hook: Hook) -> Handle:
        """The deprecated kind, which sees only the last node of the module: use `register_full_backward_hook`."""
        return self.__register_backward(hook, False, full=False)

    def __register_backward(self, hook: Hook, prepend: bool, full: bool) -> Handle:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(ONE_KIND_OF_BACKWARD_HOOK.format("on a single Module"))
        self._is_full_backward_hook = full
        return Handle(self._backward_hooks, hook, prepend)

    def _backward_hooks_of_kind(self, full: bool) -> list[Hook]:
        hooks = global_backward_hooks(full)
        return [*hooks, *self._backward_hooks.values()] if self._is_full_backward_hook is full else hooks

    def _call_impl(self, *args: object, **kwargs: object) -> Any:
        try:
            if (
                self._forward_hooks
                or self._forward_pre_hooks
                or self._backward_hooks
                or self._backward_pre_hooks
                or _global_forward_hooks
                or _global_forward_pre_hooks
                or _global_backward_hooks
                or _global_backward_pre_hooks
            ):
                return self.__call_with_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            locate(error, self, args)
            raise

    if TYPE_CHECKING:

        def __call__(self: WithForward[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...
        def __iter__(self) -> object: ...  # containers define it; `__getattr__` must not make the others iterable

    else:
        __call__ = _call_impl

    def __call_with_hooks(self, args: Args, kwargs: Kwargs) -> Any:
        call = HookedCall(self, args, kwargs)
        try:
            return call.run()
        except Exception:
            call.run_those_always_called()
            raise

    # -------------------------------------------------------------------------------------------- state_dict

    def get_extra_state(self) -> Any:
        """What ``state_dict`` contains besides parameters and buffers; for subclasses."""
        raise RuntimeError("Reached a code path in Module.get_extra_state() that should never be called.")

    def set_extra_state(self, state: object) -> None:
        """Restore what `get_extra_state` returned; for subclasses."""
        raise RuntimeError("Reached a code path in Module.set_extra_state() that should never be called.")

    def register_state_dict_pre_hook(self, hook: Hook) -> Handle:
        """Call ``hook(module, prefix, keep_vars)`` before the state of this module is collected."""
        return Handle(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Hook) -> Handle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after it; the hook changes ``state_dict`` in place."""
        hook._from_public_api = True  # type: ignore[attr-defined]
        return Handle(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook: Hook) -> Handle:
        """Like `register_state_dict_post_hook`, but the hook's result replaces the state."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was previously registered via "
                "register_state_dict_post_hook"
            )
        return Handle(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Hook) -> Handle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`` before
        this module loads its part of the state."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(self, hook: Hook, with_module: bool = False) -> Handle:
        return Handle(self._load_state_dict_pre_hooks, WithModule(hook, self) if with_module else hook)

    def register_load_state_dict_post_hook(self, hook: Hook) -> Handle:
        """Call ``hook(module, incompatible_keys)`` after this module loaded its part; the hook may change the lists in place."""
        return Handle(self._load_state_dict_post_hooks, hook)

    def _persistent_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of the parameters and persistent buffers of this module alone."""
        for name, param in self._parameters.items():
            if param is not None:
                yield name, param
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                yield name, buffer

    def _overrides(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(Module, method)

    def _save_to_state_dict(self, destination: StateDict, prefix: str, keep_vars: bool) -> None:
        for name, tensor in self._persistent_tensors():
            destination[prefix + name] = tensor if keep_vars or is_lazy(tensor) else tensor.detach()
        if self._overrides("get_extra_state"):
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> dict[str, Any]:
        """All parameters and persistent buffers by dotted name, in memory shared with the module.

        `destination` is filled and returned if given; `keep_vars` keeps the tensors' history. The attribute
        ``_metadata`` holds the version of each module's layout.
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead. Refer to "
                "https://pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.state_dict for details.",
                FutureWarning,
                stacklevel=2,
            )
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            changed = hook(self, destination, prefix, local_metadata)
            if changed is None:
                continue
            if getattr(hook, "_from_public_api", False):
                raise RuntimeError("state_dict post-hook must return None")
            destination = changed
        return destination

    def _load_from_state_dict(
        self, state_dict: StateDict, prefix: str, local_metadata: StateDict, strict: bool, missing_keys: list[str],
        unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """Load the part of `state_dict` under `prefix` that belongs to this module alone; record mismatches."""
        load_own(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> _IncompatibleKeys:
        """Copy (with `assign`: adopt) the tensors of `state_dict`; return the missing and the unexpected keys.

        RuntimeError that lists all mismatches: shapes and, with `strict`, missing and unexpected keys.
        Every parameter and buffer is then unchanged.
        """
        return load(self, state_dict, strict, assign)

    # -------------------------------------------------------------------------------------------- copies, printing

    def __getstate__(self) -> StateDict:
        return self.__dict__.copy()

    def __setstate__(self, state: StateDict) -> None:
        self.__dict__.update(state)

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What the repr says about this module itself; for subclasses."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {indented(repr(module))}" for name, module in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        lines += children
        inside = "\n  " + "\n  ".join(lines) + "\n" if lines else ""
        return f"{self._get_name()}({inside})"


# ------------------------------------------------------------------------------------------------ helpers


def indented(text: str) -> str:
    """`text` with all lines but the first indented by two spaces."""
    first, *rest = text.split("\n")
    return "\n".join([first, *["  " + line if line.strip() else "" for line in rest]])


def _addindent(s_: str, numSpaces: int) -> str:
    """`s_` with all lines but the first indented by that many spaces: torch's name, which programs use in their own reprs."""
    return s_.replace("\n", "\n" + numSpaces * " ")
