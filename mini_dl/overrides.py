"""``__torch_function__``: how subclasses of Tensor, and classes that merely look like tensors, take part in operations.

A public function checks whether one of its arguments overrides it. While there are only plain tensors, this costs nothing:
functions check their arguments only after a failure, and methods are replaced by checking ones (`watch`) once a
subclass of Tensor is declared or an overriding object is found.
"""

from __future__ import annotations

import functools
import threading
import types
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from mini_dl._dtypes import Function
from mini_dl._importing import wraps
from mini_dl.tensor import Tensor, disabled_torch_function, is_function_of_torch, is_of_torch, when_subclassed

__all__ = [
    "BaseTorchFunctionMode",
    "DisableTorchFunctionSubclass",
    "TorchFunctionMode",
    "get_default_nowrap_functions",
    "handle_torch_function",
    "has_torch_function",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "wrap_torch_function",
]

FACTORIES = frozenset(
    "arange as_tensor asarray bartlett_window blackman_window broadcast_shapes empty empty_permuted empty_strided eye fftfreq "
    "fork_rng from_dlpack from_numpy frombuffer full get_default_device get_rng_state hamming_window hann_window initial_seed "
    "is_tensor kaiser_window linspace load logspace manual_seed normal ones rand randint randn randperm range rfftfreq save "
    "scalar_tensor seed set_printoptions set_rng_state tensor to_dlpack tril_indices triu_indices vander zeros".split()
)
"""Public functions that no argument can override."""

UNCHECKED_METHODS = frozenset(
    "__deepcopy__ __delitem__ __dlpack__ __dlpack_device__ __hash__ __init__ __init_subclass__ __iter__ __new__ "
    "__reduce_ex__ __reversed__ __setstate__ _is_view _make_subclass as_subclass is_inference".split()
)
"""Methods that do not check their arguments."""

AS = {
    "__add__": "add", "__radd__": "add", "__iadd__": "add_", "__sub__": "sub", "__isub__": "sub_", "__mul__": "mul",
    "__rmul__": "mul", "__imul__": "mul_", "__truediv__": "div", "__rtruediv__": "__rdiv__", "__itruediv__": "div_",
    "__div__": "div", "__idiv__": "div_", "__ifloordiv__": "floor_divide_", "__mod__": "remainder", "__imod__": "remainder_",
    "__pow__": "pow", "__ipow__": "pow_", "__matmul__": "matmul", "__ne__": "ne", "__lt__": "lt", "__le__": "le", "__gt__": "gt",
    "__ge__": "ge", "__neg__": "neg", "__pos__": "positive", "__abs__": "abs",
}  # fmt: skip
"""The names of methods under which operators are overridden."""

OPERATORS = frozenset(
    [*AS, "__rsub__", "__rdiv__", "__floordiv__", "__rfloordiv__", "__rmod__", "__rpow__", "__rmatmul__", "__eq__"]
    + [f"__{kind}{name}__" for name in ("and", "or", "xor", "lshift", "rshift") for kind in ("", "r", "i")]
) - {"__neg__", "__pos__", "__abs__"}
"""Methods whose TypeError makes Python try the other operand."""


class _State(threading.local):
    off = False  # no argument is checked in this thread
    modes: tuple[Any, ...] = ()  # which are checked before any argument, the last one first


state = _State()


class DisableTorchFunctionSubclass:
    """A context without overrides: subclasses count as plain tensors.

    Raises: TypeError for arguments.

    >>> class Named(torch.Tensor): pass
    >>> with torch._C.DisableTorchFunctionSubclass():
    ...     print(type(torch.ones(1).as_subclass(Named) + 1).__name__)
    Tensor
    """

    def __enter__(self) -> None:
        self.before, state.off = state.off, True

    def __exit__(self, *exception: object) -> None:
        state.off = self.before


# ------------------------------------------------------------------------------------------------ overriding arguments

_PLAIN = {Tensor, int, float, bool, complex, str, type(None), types.FunctionType, type}


def overrides(value: object) -> bool:
    """Whether the class of `value` overrides functions."""
    kind = type(value)
    if kind in _PLAIN or getattr(kind, "__torch_function__", disabled_torch_function) is disabled_torch_function:
        return False
    return not is_of_torch(kind)


def overriding(values: Iterable[Any]) -> list[Any]:
    """The `values`, or elements of lists among them, that override functions: one of each class, subclasses first."""
    found: list[Any] = []
    for value in values:
        kind = type(value)
        if kind in _PLAIN:
            continue
        if kind is list or kind is tuple:
            for one in value:
                if overrides(one):
                    _insert(found, one)
        elif overrides(value):
            _insert(found, value)
    return found


def _insert(found: list[Any], value: object) -> None:
    kind = type(value)
    if any([type(other) is kind for other in found]):
        return
    at = next((i for i, other in enumerate(found) if issubclass(kind, type(other))), len(found))
    found.insert(at, value)


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether any of the arguments, or a mode, overrides functions."""
    return bool(state.modes) or (not state.off and bool(overriding(relevant_args)))


def handle_torch_function(public_api: Function, relevant_args: Iterable[Any], *args: object, **kwargs: object) -> Any:
    """The result of the first argument whose class overrides a function:
    ``out = type(x).__torch_function__(public_api, types, args, kwargs)``

    Shapes: those of the arguments.
    Raises: TypeError if all of them decline.

    >>> class Logged(torch.Tensor): pass
    >>> x = torch.ones(2).as_subclass(Logged)
    >>> type(torch.overrides.handle_torch_function(torch.neg, (x,), x)).__name__
    'Logged'
    """
    found: list[Any] = []
    for value in relevant_args:  # plain tensors among them are listed, and decline
        if type(value) is Tensor or overrides(value):
            _insert(found, value)
    return in_mode(public_api, found, args, kwargs) if state.modes else answer(public_api, found, args, kwargs)


def in_mode(public_api: Function, found: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of the innermost mode, with the enclosing modes active; if it declines, the result of `found`."""
    modes = state.modes
    state.modes = modes[:-1]
    try:
        result = modes[-1].__torch_function__(public_api, tuple([type(value) for value in found]), args, kwargs)
        return answer(public_api, found, args, kwargs) if result is NotImplemented else result
    finally:
        state.modes = modes


def answer(public_api: Function, found: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    kinds = tuple([type(value) for value in found])
    for value in found:
        result = value.__torch_function__(public_api, kinds, args, kwargs)
        if result is not NotImplemented:
            return result
    name = f"{getattr(public_api, '__module__', None)}.{getattr(public_api, '__name__', public_api)}"
    raise TypeError(f"no implementation found for '{name}' on types that implement __torch_function__: {list(kinds)}")


def wrap_torch_function(dispatcher: Function) -> Callable[[Function], Function]:
    """Let the arguments that ``dispatcher(*args, **kwargs)`` returns override a function."""

    def inner(function: Function) -> Function:
        @functools.wraps(function)
        def wrapped(*args: object, **kwargs: object) -> Any:
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return wrapped

    return inner


def is_tensor_like(inp: object) -> bool:
    """Whether an object is a tensor, or overrides functions: ``out = hasattr(type(inp), "__torch_function__")``

    Shapes: any object -> a bool.
    Raises: TypeError unless there is one argument.

    >>> torch.overrides.is_tensor_like(torch.ones(1)), torch.overrides.is_tensor_like([1.0])
    (True, False)
    """
    return isinstance(inp, Tensor) or hasattr(inp, "__torch_function__")


def get_default_nowrap_functions() -> set[Any]:
    """The functions whose results the default `__torch_function__` does not convert."""
    return {vars(Tensor)["grad"].__get__}


def is_tensor_method_or_property(func: Function) -> bool:
    """Whether `func` is a method of Tensor, or the getter of one of its properties."""
    return getattr(func, "__name__", "") == "__get__" or any([func is member for member in vars(Tensor).values()])


# ------------------------------------------------------------------------------------------------ where overrides are checked

watching = False
"""Whether methods check for overrides, and functions check before they run."""

when_watching: list[Callable[[], None]] = []
"""Called when watching begins."""


def asking_function(function: Function) -> Any:
    """`function`, which checks its arguments after a failure or, when `watching`, before the call."""

    @wraps(function)
    def call(*args: object, **kwargs: object) -> Any:
        if not watching:
            try:
                return function(*args, **kwargs) if kwargs else function(*args)
            except Exception:
                if not overriding((*args, *kwargs.values())):
                    raise
            watch()
        return asked(call, function, args, kwargs)

    return call


def asked(public_api: Function, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of a mode or an argument for a call of `public_api`, or that of `function`, which computes it."""
    found = [] if state.off else overriding((*args, *kwargs.values()))
    if state.modes:
        return in_mode(public_api, found, args, kwargs)
    return answer(public_api, found, args, kwargs) if found else function(*args, **kwargs)


def ask_operator(name: str, self: Tensor, other: object) -> Any:
    """The result of ``self.name(other)`` if `other` is the first overriding object found."""
    watch()
    return getattr(Tensor, name)(self, other)


def watch() -> None:
    """Make the methods of Tensor check their arguments from now on."""
    global watching
    if watching:
        return
    watching = True
    members = dict(vars(Tensor))
    methods = {
        name: _asking_method(member, name)
        for name, member in members.items()
        if type(member) is types.FunctionType and name not in UNCHECKED_METHODS
    }
    for name, asking_method in methods.items():
        setattr(Tensor, name, asking_method)
    for name, member in members.items():
        if isinstance(member, property) and member.fget is not None:
            setattr(Tensor, name, _asking_property(member))
    for call in when_watching:
        call()


def _asking_method(method: Function, name: str) -> Function:
    @functools.wraps(method)
    def call(*args: object, **kwargs: object) -> Any:
        found = [] if state.off else overriding((*args, *kwargs.values()) if kwargs else args)
        if not found and not state.modes:
            return method(*args, **kwargs)
        asked = vars(Tensor)["eq" if name == "__eq__" and type(args[0]) in _PLAIN and not state.modes else AS.get(name, name)]
        if state.modes:
            return in_mode(asked, found, args, kwargs)
        if name not in OPERATORS:
            return answer(asked, found, args, kwargs)
        try:
            return answer(asked, found, args, {})
        except TypeError:
            return NotImplemented

    call.__name__ = AS.get(name, name)
    call.__module__, call.__qualname__ = Tensor.__module__, f"Tensor.{name}"  # by which pickle finds it
    return call


def _asking_property(member: property) -> property:
    read: Any = member.fget

    def get(self: Tensor) -> Any:
        found = [] if state.off or not overrides(self) else [self]
        if state.modes:
            return in_mode(asked.__get__, found, (self,), {})
        return answer(asked.__get__, found, (self,), {}) if found else read(self)

    asked = property(get, member.fset, member.fdel, member.__doc__)
    return asked


when_subclassed.append(watch)


# ------------------------------------------------------------------------------------------------ modes

when_in_a_mode: list[Callable[[], None]] = []
"""Called when the first mode starts: functions that no argument can override check modes from then on."""

had_modes = False
"""Whether one has started: the functions of a module that is imported later check modes at once."""


class TorchFunctionMode:
    """Overrides every public function within a block, regardless of the arguments: implement ``__torch_function__``.

    >>> import mini_dl as torch
    >>> class Told(torch.overrides.TorchFunctionMode):
    ...     def __torch_function__(self, func, types, args=(), kwargs=None):
    ...         print(func.__name__)
    ...         return func(*args, **(kwargs or {}))
    >>> with Told():
    ...     y = torch.ones(2) + 1
    ones
    add

    Its own calls are handled by the enclosing modes. NotImplementedError without ``__torch_function__``.
    """

    inner: TorchFunctionMode

    def __torch_function__(
        self, func: Function, types: Iterable[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        raise NotImplementedError

    def __enter__(self) -> TorchFunctionMode:
        global had_modes
        watch()
        had_modes = True
        while when_in_a_mode:
            when_in_a_mode.pop()()
        _push_mode(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _pop_mode()

    @classmethod
    def push(cls, *args: object, **kwargs: object) -> TorchFunctionMode:
        """An instance. It warns: ``with Mode():`` does the same."""
        warnings.warn("`Mode.push()` is no longer necessary and can be replaced with just `with Mode()`", stacklevel=2)
        return cls(*args, **kwargs)


def asking_modes(function: Function, module: str, name: str) -> Any:
    """`function`, which modes override, but no argument."""

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> Any:
        return in_mode(call, [], args, kwargs) if state.modes else function(*args, **kwargs)

    call.__module__, call.__qualname__ = module, name
    return call


class BaseTorchFunctionMode(TorchFunctionMode):
    """A mode that calls the function."""

    def __torch_function__(
        self, func: Function, types: Iterable[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


def _push_mode(mode: TorchFunctionMode) -> None:
    state.modes = (*state.modes, mode)


def _pop_mode() -> Any:
    last = state.modes[-1]
    state.modes = state.modes[:-1]
    return last


def _get_current_function_mode() -> Any:
    return state.modes[-1] if state.modes else None


def _get_current_function_mode_stack() -> list[Any]:
    return list(state.modes)


# ------------------------------------------------------------------------------------------------ default of subclasses


def converted(result: object, kind: type[Tensor]) -> Any:
    """A result with its tensors converted to class `kind`."""
    if kind is Tensor:
        return result
    if isinstance(result, Tensor) and not isinstance(result, kind):
        return result.as_subclass(kind)
    if isinstance(result, (tuple, list)):
        parts = [converted(one, kind) for one in result]
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    return result


def _torch_function(
    cls: Any, func: Function, types: Iterable[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
) -> Any:
    """The result of `func` for plain tensors, as tensors of this class; NotImplemented if one of `types` is not a base of it, and
    for functions of an installed torch."""
    if is_function_of_torch(func):
        return NotImplemented
    listed = [one for value in args for one in (value if isinstance(value, (list, tuple)) else (value,))]
    if not all([issubclass(cls, kind) for kind in types]) or any([is_of_torch(type(one)) for one in listed]):
        return NotImplemented
    with DisableTorchFunctionSubclass():
        result = func(*args, **(kwargs or {}))
        return result if func in get_default_nowrap_functions() else converted(result, cls)


setattr(Tensor, "__torch_function__", classmethod(_torch_function))  # noqa: B010
