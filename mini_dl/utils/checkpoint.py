"""Checkpoints: keep only the inputs of a part of a network, and recompute what its backward needs.

There are two variants, as in torch. The reentrant one is a `Function` whose backward runs the part again and calls ``backward``
on it. The other replaces each tensor that the graph saves with a `_Holder`, and fills in its value when backward needs it:
so it works with ``autograd.grad``, with keyword arguments, and nested.
"""

from __future__ import annotations

import contextlib
import enum
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from mini_dl._leaving import Block, block
from mini_dl.autograd import graph
from mini_dl.autograd.backwards import backward as run_backward
from mini_dl.autograd.function import Function
from mini_dl.autograd.mode import enable_grad, is_grad_enabled, mode, no_grad
from mini_dl.nn.modules.container import Sequential
from mini_dl.ops.random import fork_rng, get_rng_state, set_rng_state
from mini_dl.tensor import Tensor, version_of

__all__ = [
    "CheckpointError",
    "CheckpointFunction",
    "CheckpointPolicy",
    "DefaultDeviceType",
    "check_backward_validity",
    "checkpoint",
    "checkpoint_sequential",
    "detach_variable",
    "get_device_states",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
    "set_device_states",
]

Contexts = tuple[AbstractContextManager[Any], AbstractContextManager[Any]]


class CheckpointError(RuntimeError):
    """The second run of a part saved other tensors than the first."""


class CheckpointPolicy(enum.Enum):
    """What a selective checkpoint does with the result of an operation: keep or recompute it. There is one device,
    so offloaded results are kept."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


class DefaultDeviceType:
    """The device type whose random state is kept if no argument determines it: there is only the CPU."""

    _kind = "cuda"

    @staticmethod
    def set_device_type(device: str = "cuda") -> None:
        """Remember the type."""
        DefaultDeviceType._kind = device

    @staticmethod
    def get_device_type() -> str:
        """What `set_device_type` set; "cuda" before."""
        return DefaultDeviceType._kind


class _Setting(threading.local):
    early_stop: bool | None = None  # for all checkpoints; None: set by each
    hooks: tuple[Any, ...] = ()  # of the active checkpoints, the innermost last


setting = _Setting()


def noop_context_fn() -> Contexts:
    """Two contexts that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


class set_checkpoint_early_stop(Block):
    """Set whether the second run of checkpoints stops within it once everything needed has been computed."""

    def __init__(self, enable: bool) -> None:
        self.enable = enable

    def _state(self) -> bool | None:
        return setting.early_stop

    def _change(self, before: object) -> None:
        setting.early_stop = self.enable

    def _put_back(self, before: bool | None) -> None:
        setting.early_stop = before


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Accepted: the messages of `CheckpointError` are the same."""
    yield


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same values, with tensors as leaves that require grad where they did."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}")
    return tuple([_leaf(one) if isinstance(one, Tensor) else one for one in inputs])


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.requires_grad)


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn if none of the tensors requires grad."""
    if not any([one.requires_grad for one in inputs if isinstance(one, Tensor)]):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


def get_device_states(*args: object) -> tuple[list[int], list[Tensor]]:
    """The random states of other devices: none."""
    return [], []


def set_device_states(devices: object, states: object, *, device_type: str | None = None) -> None:
    """Set the random states of other devices: none."""


# ------------------------------------------------------------------------------------------------ recomputation


def _current_state(preserve_rng_state: bool) -> Callable[[], AbstractContextManager[Any]]:
    """A function that returns a context with the present random state and autocast settings."""
    state = get_rng_state() if preserve_rng_state else None
    casts = _current_autocast()

    @block
    def again() -> Iterator[None]:
        with fork_rng(devices=[], enabled=preserve_rng_state), enable_grad(), casts():
            if state is not None:
                set_rng_state(state)
            yield

    return again


def _current_autocast() -> Callable[[], AbstractContextManager[Any]]:
    torch = sys.modules["mini_dl"]
    options = {"enabled": torch.is_autocast_enabled("cpu"), "dtype": torch.get_autocast_dtype("cpu")}
    options["cache_enabled"] = torch.is_autocast_cache_enabled()
    return lambda: torch.autocast("cpu", **options)


class CheckpointFunction(Function):
    """The reentrant variant: ``apply(function, preserve_rng_state, *args)``."""

    @staticmethod
    def forward(ctx: Any, run_function: Any, preserve_rng_state: bool, *args: Any) -> Any:
        check_backward_validity(args)
        ctx.run_function, ctx.again = run_function, _current_state(preserve_rng_state)
        ctx.others = [None if isinstance(one, Tensor) else one for one in args]
        ctx.at = [i for i, one in enumerate(args) if isinstance(one, Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.at])
        with no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        run = getattr(mode, "run_under_way", None)
        if run is not None and not run.everything:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` "
                "parameter to "
                ".backward(). To resolve this error, you can either set use_reentrant=False, or call .backward() without passing "
                "the `inputs` argument."
            )
        inputs = list(ctx.others)
        for i, tensor in zip(ctx.at, ctx.saved_tensors):
            inputs[i] = tensor
        with ctx.again():
            detached = detach_variable(tuple(inputs))
            outputs = ctx.run_function(*detached)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        pairs = [(out, grad) for out, grad in zip(outputs, grads) if isinstance(out, Tensor) and out.requires_grad]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        run_backward([out for out, _ in pairs], [grad for _, grad in pairs])
        return None, None, *[one.grad if isinstance(one, Tensor) else None for one in detached]


# ------------------------------------------------------------------------------------------------ filling in


class _Stop(Exception):
    """Everything needed has been computed."""


class _Holder:
    """A placeholder for the saved tensor with this number."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, number: int) -> None:
        self.number = number


class _Frame:
    """One checkpointed call: what it saved, and how to recompute it."""

    def __init__(self, early_stop: bool, check: bool) -> None:
        self.early_stop, self.check = early_stop, check
        self.run_again: Callable[..., Any] = lambda *args: None
        self.args: list[Callable[[], Any]] = []  # each returns an input
        self.holders: list[weakref.ref[_Holder]] = []
        self.about: list[dict[str, Any]] = []
        self.values: dict[int, Tensor] = {}
        self.computed_for: Any = None  # by backward run, weakly referenced
        self.complete = False

    def keep_inputs(self, args: tuple[Any, ...]) -> None:
        """The input tensors are saved by the enclosing checkpoint, if there is one."""
        self.args = [_kept(one) for one in args]

    def pack(self, tensor: Tensor) -> _Holder:
        holder = _Holder(len(self.holders))
        self.holders.append(weakref.ref(holder))
        if self.check:
            self.about.append(_about(tensor))
        return holder

    def unpack(self, holder: _Holder) -> Tensor:
        run = getattr(mode, "run_under_way", None)
        known = self.computed_for() if self.computed_for is not None else None
        if run is None or known is not run or holder.number not in self.values:
            self.compute()
            self.computed_for = weakref.ref(run) if run is not None else None
        return self.values.pop(holder.number)

    def compute(self) -> None:
        """Run the part again, and keep the tensors it saves that are still needed."""
        self.values.clear()
        seen = [0]

        def pack(tensor: Tensor) -> Tensor:
            number, seen[0] = seen[0], seen[0] + 1
            value = tensor.detach() if tensor.requires_grad else tensor
            if number >= len(self.holders):
                if self.complete:
                    raise CheckpointError(
                        "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original "
                        "forward pass."
                    )
                return value
            if self.holders[number]() is not None:
                self.values[number] = value
            if self.early_stop and seen[0] == len(self.holders):
                raise _Stop
            return value

        inputs = [input() for input in self.args]
        with contextlib.suppress(_Stop), _saving(pack, lambda value: value):
            self.run_again(*inputs)
        if self.complete:
            self.compare(seen[0])

    def compare(self, count: int) -> None:
        """CheckpointError if the second run saved other tensors than the first."""
        if count != len(self.holders):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and recomputation.\n"
                f"Number of tensors saved during forward: {len(self.holders)}\n"
                f"Number of tensors saved during recomputation: {count}."
            )
        if not self.check:
            return
        differ = [(i, self.about[i], _about(value)) for i, value in self.values.items() if _about(value) != self.about[i]]
        if differ:
            lines = [f"tensor at position {i}:\nsaved metadata: {a}\nrecomputed metadata: {b}\n" for i, a, b in differ]
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than during the "
                f"forward pass.\n{''.join(lines)}."
            )


def _kept(value: object) -> Callable[[], Any]:
    """A function that returns an input of a checkpoint. RuntimeError if its memory was modified since."""
    if not isinstance(value, Tensor):
        return lambda: value
    if not setting.hooks:
        expected = version_of(value)[0]

        def unmodified() -> Tensor:
            if (now := version_of(value)[0]) != expected:
                graph.raise_stale(value, now, expected)
            return value

        return unmodified
    pack, unpack = setting.hooks[-1]
    packed, requires_grad = pack(value), value.requires_grad
    return lambda: unpack(packed).detach().requires_grad_(requires_grad)


def _about(tensor: Tensor) -> dict[str, Any]:
    return {"shape": tensor.shape, "dtype": tensor.dtype, "device": tensor.device}


class _Hooks(Block):
    """The active checkpoints, with one more."""

    def __init__(self, pack: Callable[[Tensor], object], unpack: Callable[..., Tensor]) -> None:
        self.pair = pack, unpack

    def _state(self) -> tuple[object, ...]:
        return setting.hooks

    def _change(self, before: tuple[object, ...]) -> None:
        setting.hooks = (*before, self.pair)

    def _put_back(self, before: tuple[object, ...]) -> None:
        setting.hooks = before


@block
def _saving(pack: Callable[[Tensor], object], unpack: Callable[..., Tensor]) -> Iterator[None]:
    """Within it, the graph saves ``pack(tensor)``."""
    with _Hooks(pack, unpack), vars(graph)["saved_tensors_hooks"](pack, unpack):
        yield


def _filled_in(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], preserve_rng_state: bool,
    contexts: Callable[[], Contexts], early_stop: bool, check: bool,
) -> Any:  # fmt: skip
    first, second = contexts()
    if not is_grad_enabled():
        return function(*args, **kwargs)
    frame = _Frame(early_stop if setting.early_stop is None else setting.early_stop, check)
    again = _current_state(preserve_rng_state)

    def run_again(*inputs: object) -> None:
        with again(), second:
            function(*inputs, **kwargs)

    frame.run_again = run_again
    frame.keep_inputs(args)
    with _saving(frame.pack, frame.unpack), first:
        result = function(*args, **kwargs)
    frame.complete = True
    return result


# ------------------------------------------------------------------------------------------------ public functions

_UNSAID = (
    "the use_reentrant parameter should be passed explicitly. use_reentrant=False is recommended, but if you need to "
    "preserve the "
    "current default behavior, you can pass use_reentrant=True. Refer to docs for more details on the differences between "
    "the two "
    "variants."
)


def _unexpected(kwargs: dict[str, Any]) -> NoReturn:
    raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None,
    context_fn: Callable[[], Contexts] = noop_context_fn, determinism_check: str = "default", debug: bool = False,
    early_stop: bool = True, **kwargs: Any,
) -> Any:  # fmt: skip
    """``function(*args, **kwargs)``, keeping only the inputs: backward runs it again.

    Random numbers are the same in both runs unless ``preserve_rng_state=False``. With ``use_reentrant=True`` gradients reach
    the tensors in `args` and others that `function` uses, only by ``backward()``; without, ``autograd.grad`` works too.

    >>> import mini_dl as torch
    >>> from mini_dl.utils.checkpoint import checkpoint
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda x: (x * x).sum(), x, use_reentrant=True).backward()
    >>> x.grad
    tensor([2., 4.])
    """
    if use_reentrant is None:
        warnings.warn(f"torch.utils.checkpoint: {_UNSAID}", stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            _unexpected(kwargs)
        if context_fn is not noop_context_fn or debug is not False:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        return CheckpointFunction.apply(function, preserve, *args)
    if debug and context_fn is not noop_context_fn:
        raise ValueError("debug=True is incompatible with non-default context_fn")
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ['default', 'none'], but got {determinism_check}")
    return _filled_in(function, args, kwargs, preserve, context_fn, early_stop, determinism_check == "default")


def checkpoint_sequential(
    functions: Any, segments: int, input: object, use_reentrant: bool | None = None, **kwargs: object
) -> Any:
    """The functions in sequence, in that many segments, each but the last a `checkpoint`."""
    if use_reentrant is None:
        warnings.warn(f"torch.utils.checkpoint.checkpoint_sequential: {_UNSAID}", stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        _unexpected(kwargs)
    steps = list(functions.children()) if isinstance(functions, Sequential) else list(functions)
    size = len(steps) // segments
    end = 0
    for start in range(0, size * (segments - 1), size):
        end = start + size
        part = _in_turn(steps[start:end])
        input = checkpoint(part, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return _in_turn(steps[end:])(input)


def _in_turn(steps: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def forward(input: object) -> Any:
        for step in steps:
            input = step(input)
        return input

    return forward
