"""Marks for torch's compiler that programs and libraries put on functions: nothing is compiled here, so they change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final as Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class FunctionModifiers:
    """The names of the marks."""

    UNUSED = "unused (ignored and replaced with raising of an exception)"
    IGNORE = "ignore (leave as a call to Python, cannot be torch.jit.save'd)"
    EXPORT = "export (compile this function even if nothing calls it)"
    DEFAULT = "default (compile if called from a exported function / forward)"
    COPY_TO_SCRIPT_WRAPPER = "if this method is not scripted, copy the python method onto the scripted model"
    _DROP = "_drop (function is fully ignored, declaration can be unscriptable)"


def _marked(function: F, mark: str) -> F:
    function._torchscript_modifier = mark  # type: ignore[attr-defined]
    return function


def export(fn: F) -> F:
    """Mark a method that is to be compiled although ``forward`` does not call it."""
    return _marked(fn, FunctionModifiers.EXPORT)


def unused(fn: Any) -> Any:
    """Mark a function, or a property, that the compiler is to leave out."""
    if isinstance(fn, property):
        for part in (fn.fget, fn.fset):
            if part is not None:
                _marked(part, FunctionModifiers.UNUSED)
        return fn
    return _marked(fn, FunctionModifiers.UNUSED)


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Mark a function that stays Python: ``@ignore`` or ``@ignore(drop=True)``. RuntimeError if `drop` is neither."""
    if callable(drop):
        return _marked(drop, FunctionModifiers.IGNORE)
    if not isinstance(drop, bool):
        raise RuntimeError(f"Argument to @torch.jit.ignore must be a bool or a function but got {drop}")
    return lambda fn: _marked(fn, FunctionModifiers.UNUSED if drop else FunctionModifiers.IGNORE)


def _drop(fn: F) -> F:
    return _marked(fn, FunctionModifiers._DROP)


def _copy_to_script_wrapper(fn: F) -> F:
    return _marked(fn, FunctionModifiers.COPY_TO_SCRIPT_WRAPPER)


def module_has_exports(mod: Any) -> bool:
    """Whether one of the methods of `mod` is marked for export."""
    return any([get_torchscript_modifier(getattr(mod, name, None)) is FunctionModifiers.EXPORT for name in dir(type(mod))])


def get_torchscript_modifier(fn: Any) -> str | None:
    """The mark of a function; None for what is not callable."""
    if not callable(fn):
        return None
    return getattr(getattr(fn, "__func__", fn), "_torchscript_modifier", FunctionModifiers.DEFAULT)


def _overload(func: F) -> F:
    """Mark a declaration of one more way to call a function: the function that is written last is called."""
    return func


def _overload_method(func: F) -> F:
    """Mark a declaration of one more way to call a method: the method that is written last is called."""
    return func


def is_scripting() -> bool:
    """False: nothing is compiled."""
    return False


def boolean_dispatch(
    arg_name: str,
    arg_index: int,
    default: bool,
    if_true: Callable[..., Any],
    if_false: Callable[..., Any],
    module_name: str,
    func_name: str,
) -> Callable[..., Any]:
    """A function that calls `if_true` or `if_false`, by its argument `arg_name`."""

    def call(*args: Any, **kwargs: Any) -> Any:
        wanted = args[arg_index] if arg_index < len(args) else kwargs.get(arg_name, default)
        return (if_true if wanted else if_false)(*args, **kwargs)

    call.__doc__ = if_true.__doc__ or if_false.__doc__
    call.__module__, call.__name__ = module_name or call.__module__, func_name or call.__name__
    return call


class BroadcastingListCls:
    """In annotations: a number, or a list of so many."""

    def __getitem__(self, types: Any) -> None:
        return


BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = BroadcastingList4 = BroadcastingList5 = BroadcastingListCls()


def weak_module(cls: Any) -> Any:
    """`cls` itself: a mark of the past."""
    return cls


def weak_script_method(fn: F) -> F:
    """`fn` itself: a mark of the past."""
    return fn
