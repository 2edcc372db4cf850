"""``torch.compile`` without a compiler: the same numbers, computed eagerly."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mini_dl.nn.modules.module import Module
from mini_dl.ops.interop import from_numpy
from mini_dl.tensor import Tensor
from mini_dl.utils._pytree import tree_map_only

MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")
BACKENDS = (
    "aot_eager aot_eager_decomp_partition aot_eager_default_partitioner aot_ts cudagraphs eager eager_debug eager_noexcept "
    "inductor openxla pre_dispatch_eager tvm invoke_subgraph onnxrt"
).split()


class InvalidBackend(RuntimeError):
    """A backend that does not exist in torch either."""


class OptimizedModule(Module):
    """The result of ``torch.compile(module)``: it calls the module, which is in its state dict under ``_orig_mod``.

    Attribute accesses are forwarded to the module.
    """

    _orig_mod: Module

    def __init__(self, mod: Module, dynamo_ctx: object = None) -> None:
        super().__init__()
        Module.__setattr__(self, "_orig_mod", mod)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._orig_mod(*args, **kwargs)

    @property
    def training(self) -> bool:
        return bool(self._modules["_orig_mod"].training) if self._modules else True  # type: ignore[union-attr]

    @training.setter
    def training(self, value: bool) -> None:
        if self._modules:
            self._modules["_orig_mod"].training = value  # type: ignore[union-attr]

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":
            return self._modules["_orig_mod"]
        return getattr(self._orig_mod, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "_orig_mod" or not vars(self).get("_modules") or hasattr(type(self), name) or name in vars(self):
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)

    def __delattr__(self, name: str) -> None:
        if name in vars(self):
            super().__delattr__(name)
        else:
            delattr(self._orig_mod, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *[name for name in dir(self._orig_mod) if name not in vars(type(self))]]


def compile(
    model: Callable[..., Any] | None = None, *, fullgraph: bool = False, dynamic: bool | None = None,
    backend: str | Callable[..., Any] | None = None, mode: str | None = None, options: dict[str, Any] | None = None,
    name: str | None = None, disable: bool = False, recompile_limit: int | None = None, isolate_recompiles: bool = False,
    shapes_spec: object = None,
) -> Any:  # fmt: skip
    """A function or module that computes what `model` does, or a decorator if there is no `model`.

    Nothing is compiled: the options are checked as by torch, and have no effect.

    >>> import mini_dl as torch
    >>> list(torch.compile(torch.nn.Linear(1, 1)).state_dict())
    ['_orig_mod.weight', '_orig_mod.bias']
    """
    if model is None:
        return functools.partial(compile, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode, options=options)
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    if mode is not None and mode not in MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(MODES)}")
    if isinstance(backend, str) and backend not in BACKENDS:
        raise InvalidBackend(f"Invalid backend: {backend!r}, see `torch._dynamo.list_backends()` for available backends.")
    return _kept(model)


def _kept(model: object) -> Any:
    """`model` in the form that torch returns it."""
    if isinstance(model, OptimizedModule):
        return model
    if isinstance(model, Module):
        return OptimizedModule(model)
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    if inspect.isclass(model):
        return model

    @functools.wraps(model)
    def call(*args: object, **kwargs: object) -> Any:
        return model(*args, **kwargs)

    vars(call)["_torchdynamo_orig_callable"] = model
    return call


def optimize(*args: object, **kwargs: object) -> Callable[..., Any]:
    """A decorator: `compile` without checks, as ``torch._dynamo.optimize(backend)``."""
    return _kept


def disable(fn: object = None, recursive: bool = True, *, reason: str | None = None, wrapping: bool = True) -> Any:
    """`fn` itself, or a decorator that returns its argument; a module is returned as by `compile`."""
    if fn is None:
        return _disabled
    return _disabled(fn)


def _disabled(fn: object) -> Any:
    if isinstance(fn, Module):
        return _kept(fn)
    if not callable(fn):
        raise AssertionError(f"A callable function is expected, but {type(fn)} is provided.")
    return fn


def wrap_numpy(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors from a function of arrays: tensors among the arguments become arrays, arrays returned become tensors.

    >>> import numpy as np
    >>> import mini_dl as torch
    >>> torch.compiler.wrap_numpy(np.negative)(torch.ones(2))
    tensor([-1., -1.])
    """

    @functools.wraps(fn)
    def call(*args: object, **kwargs: object) -> Any:
        args, kwargs = tree_map_only(Tensor, lambda tensor: tensor.numpy(), (args, kwargs))
        return tree_map_only(np.ndarray, from_numpy, fn(*args, **kwargs))

    return call


@contextlib.contextmanager
def patched(arg1: Any = None, arg2: Any = None, **kwargs: Any) -> Iterator[None]:
    """A context in which the settings of ``torch._dynamo.config`` have these values: by name, as a dictionary, or one name and
    value.
    """
    config = importlib.import_module("mini_dl._dynamo.config")
    changes = dict(arg1 or {}) if isinstance(arg1, dict) or arg1 is None else {arg1: arg2}
    changes.update(kwargs)
    before = {name: getattr(config, name) for name in changes if hasattr(config, name)}
    vars(config).update(changes)
    try:
        yield
    finally:
        vars(config).update(before)
