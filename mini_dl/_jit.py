"""``torch.jit`` without TorchScript: functions and modules run as plain Python."""

from __future__ import annotations

import inspect
import types
import typing
import warnings
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from mini_dl.futures import Future
from mini_dl.nn.modules.module import Module
from mini_dl.tensor import Tensor

Attribute = namedtuple("Attribute", ["value", "type"])

WHY = "TorchScript programs; mini_dl runs Python functions as they are; see docs/coverage.md"


class Error(Exception):
    """The exception of a TorchScript program. Here, Python's own exceptions are raised."""


class ScriptWarning(Warning):
    """A warning about a TorchScript program."""


class TracerWarning(Warning):
    """A warning about things that a trace does not record."""


class ScriptModule(Module):
    """The class of the results of `script` and `trace` for modules."""


class RecursiveScriptModule(ScriptModule):
    """A module passed to `script` or `trace`: it has the same parameters, buffers, modules and attributes."""

    def __init__(self, original: Module) -> None:
        super().__init__()
        vars(self).update({name: value for name, value in vars(original).items() if name.startswith("_")}, _original=original)
        vars(self).pop("training", None)

    @property
    def original_name(self) -> str:
        """The name of the class of the module."""
        return type(vars(self)["_original"]).__name__

    @property
    def training(self) -> bool:
        return bool(vars(self)["_original"].training) if "_original" in vars(self) else True

    @training.setter
    def training(self, value: bool) -> None:
        if "_original" in vars(self):
            vars(self)["_original"].training = value

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return vars(self)["_original"].forward(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in ("code", "graph", "inlined_graph", "code_with_constants", "save", "save_to_buffer", "_c"):
            raise NotImplementedError(f"mini_dl has no torch.jit.ScriptModule.{name} ({WHY})")
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("__") or "_original" not in vars(self):
                raise
        try:
            return getattr(vars(self)["_original"], name)
        except AttributeError:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'") from None

    def __setattr__(self, name: str, value: object) -> None:
        if "_original" in vars(self) and name != "training":
            setattr(vars(self)["_original"], name, value)
        else:
            super().__setattr__(name, value)

    def __len__(self) -> int:
        return len(vars(self)["_original"])

    def __iter__(self) -> Iterator[Any]:
        return iter(vars(self)["_original"])

    def __getitem__(self, at: Any) -> Any:
        return vars(self)["_original"][at]

    def __bool__(self) -> bool:
        return True

    def extra_repr(self) -> str:
        return f"original_name={self.original_name}"


class ScriptFunction:
    """A function passed to `trace`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__wrapped__ = function
        self.__name__ = getattr(function, "__name__", "")
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError(f"mini_dl has no torch.jit.ScriptFunction.{name} ({WHY})")


def _deprecated(name: str, instead: str = "Please switch to `torch.compile` or `torch.export`.") -> None:
    warnings.warn(f"`torch.jit.{name}` is deprecated. {instead}", DeprecationWarning, stacklevel=3)


def script(obj: object, optimize: None = None, _frames_up: int = 0, _rcb: object = None, example_inputs: object = None) -> Any:
    """A function or class itself; for a module, a `ScriptModule` that computes the same. Python's semantics apply.

    >>> import mini_dl as torch
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", DeprecationWarning)
    ...     torch.jit.script(torch.nn.Linear(1, 1))
    RecursiveScriptModule(original_name=Linear)
    """
    _deprecated("script")
    if isinstance(obj, (ScriptModule, ScriptFunction)):
        return obj
    if isinstance(obj, Module):
        return RecursiveScriptModule(obj)
    if inspect.isclass(obj):
        if issubclass(obj, Module):
            raise RuntimeError(f"Type '{obj}' cannot be compiled since it inherits from nn.Module, pass an instance instead")
        return obj
    if callable(obj) or isinstance(obj, (list, dict)):
        return obj
    raise TypeError(f"{type(obj)} is a built-in class")


def trace(
    func: Any, example_inputs: Any = None, optimize: object = None, check_trace: bool = True, check_inputs: object = None,
    check_tolerance: float = 1e-5, strict: bool = True, _force_outplace: bool = False, _module_class: object = None,
    _compilation_unit: object = None, example_kwarg_inputs: dict[str, Any] | None = None, _store_inputs: bool = True,
) -> Any:  # fmt: skip
    """Call `func` once with the example inputs, as a trace does, and return it in the form of a traced function.

    Branches and loops are not frozen: each call follows its own inputs.
    """
    _deprecated("trace")
    if isinstance(func, (ScriptModule, ScriptFunction)):
        return func
    if not callable(func):
        raise RuntimeError("Could not get name of python class object")
    if example_inputs is None and not isinstance(example_kwarg_inputs, dict):
        raise RuntimeError("example_kwarg_inputs should be a dict")
    owner = func if isinstance(func, Module) else getattr(func, "__self__", None)
    if isinstance(owner, Module) and owner is not func and func.__name__ != "forward":
        raise AttributeError("trace doesn't support compiling individual module's functions.\nPlease use trace_module")
    if example_inputs is None:
        func(**example_kwarg_inputs)  # type: ignore[arg-type]
    else:
        func(*((example_inputs,) if isinstance(example_inputs, (Tensor, dict)) else tuple(example_inputs)))
    return RecursiveScriptModule(owner) if isinstance(owner, Module) else ScriptFunction(func)


def trace_module(mod: Module, inputs: dict[str, Any], *args: object, **kwargs: object) -> Any:
    """Call the methods that `inputs` names with their example inputs, and return the module as `trace` does."""
    _deprecated("trace_module")
    for name, example in inputs.items():
        getattr(mod, name)(*(example if isinstance(example, tuple) else (example,)))
    return mod if isinstance(mod, ScriptModule) else RecursiveScriptModule(mod)


def freeze(mod: object, preserved_attrs: list[str] | None = None, optimize_numerics: bool = True) -> Any:
    """The module itself. RuntimeError unless `script` or `trace` made it and it is in evaluation mode."""
    _deprecated("freeze", "Please use `torch.compile` instead.")
    if not isinstance(mod, ScriptModule):
        raise RuntimeError(
            "Freezing expects a ScriptModule as input. Please use torch.jit.script or torch.jit.trace to script your 'nn.Module'."
        )
    if mod.training:
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. Please call .eval() on your module before freezing."
        )
    return mod


def optimize_for_inference(mod: object, other_methods: list[str] | None = None) -> Any:
    """The module itself, as `freeze`."""
    _deprecated("optimize_for_inference", "Please use `torch.compile` instead.")
    if not isinstance(mod, ScriptModule):
        raise RuntimeError(
            "optimize_for_inference expects a ScriptModule as input. Please use torch.jit.script or torch.jit.trace to script "
            "your 'nn.Module'."
        )
    return mod


def ignore(drop: object = False, **kwargs: object) -> Any:
    """A decorator that changes nothing, with or without arguments."""
    if callable(drop):
        return drop
    if not isinstance(drop, bool):
        raise RuntimeError(f"Argument to @torch.jit.ignore must be a bool or a function but got {drop}")
    if drop:
        warnings.warn(
            "ignore(True) has been deprecated. TorchScript will now drop the function call on compilation. Use torch.jit.unused "
            "now. {}",
            FutureWarning,
            stacklevel=2,
        )
    return lambda function: function


def script_if_tracing(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn` itself: nothing is traced."""
    return fn


def annotate(the_type: object, the_value: object) -> Any:
    """`the_value` itself."""
    return the_value


def isinstance_(obj: Any, target_type: Any) -> bool:
    """Whether `obj` is of the type, elements of lists, tuples and dictionaries included.

    >>> import mini_dl as torch
    >>> torch.jit.isinstance([1, 2], list[int]), torch.jit.isinstance([1, "a"], list[int])
    (True, False)
    """
    if target_type in (list, dict, tuple, typing.List, typing.Dict, typing.Tuple, typing.Optional):  # noqa: UP006
        name = getattr(target_type, "__name__", str(target_type)).lower()
        example = {"list": "list[int]", "dict": "dict[int, int]", "tuple": "tuple[int]"}.get(name, "Optional[int]")
        raise RuntimeError(f"Attempted to use {name} without a contained type. Please add a contained type, e.g. {example}")
    origin, inner = typing.get_origin(target_type), typing.get_args(target_type)
    if origin in (typing.Union, types.UnionType):
        return any([isinstance_(obj, one) for one in inner])
    if origin is list:
        return isinstance(obj, list) and all([isinstance_(one, inner[0]) for one in obj])
    if origin is dict:
        return isinstance(obj, dict) and all([isinstance_(k, inner[0]) and isinstance_(v, inner[1]) for k, v in obj.items()])
    if origin is tuple:
        return isinstance(obj, tuple) and len(obj) == len(inner) and all([isinstance_(a, b) for a, b in zip(obj, inner)])
    if isinstance(target_type, tuple):
        return any([isinstance_(obj, one) for one in target_type])
    return target_type is Any or obj is target_type or isinstance(obj, target_type)


def fork(func: Callable[..., Any], *args: object, **kwargs: object) -> Future[Any]:
    """A future of ``func(*args, **kwargs)``, which is called immediately, as by torch in Python."""
    _deprecated("fork", "Please use `torch.compile` instead.")
    future: Future[Any] = Future()
    future.set_result(func(*args, **kwargs))
    return future


def wait(future: Future[Any]) -> Any:
    """The result of a future."""
    _deprecated("wait", "Please use `torch.compile` instead.")
    if not isinstance(future, Future):
        raise TypeError(f"wait() takes a Future, not {type(future).__name__}")
    return future.wait()


@contextmanager
def strict_fusion() -> Iterator[None]:
    """A context that does nothing outside TorchScript."""
    warnings.warn("Only works in script mode", stacklevel=3)
    yield


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Set a strategy of the compiler, and return the previous one."""
    _deprecated("set_fusion_strategy", "Please use `torch.compile` instead.")
    before, _strategy[:] = list(_strategy), strategy
    return before


_strategy: list[tuple[str, int]] = [("STATIC", 2), ("DYNAMIC", 10)]


def boolean_dispatch(
    arg_name: str, arg_index: int, default: bool, if_true: Callable[..., Any], if_false: Callable[..., Any], module_name: str,
    func_name: str,
) -> Callable[..., Any]:  # fmt: skip
    """A function that calls `if_true` or `if_false`, depending on its argument `arg_name`."""

    def call(*args: Any, **kwargs: Any) -> Any:
        flag = default
        if arg_name in kwargs:
            flag = kwargs[arg_name]
        elif arg_index < len(args):
            flag = args[arg_index]
        return (if_true if flag else if_false)(*args, **kwargs)

    if if_true.__doc__ is not None or if_false.__doc__ is not None:
        call.__doc__ = if_true.__doc__ or if_false.__doc__
    call.__name__ = func_name or call.__name__
    call.__module__ = module_name or call.__module__
    return call
