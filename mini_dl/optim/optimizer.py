"""Optimizer: parameter groups, state, closures and hooks; an algorithm is one `update` of one parameter, over NumPy arrays."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from itertools import chain, repeat
from typing import Any, ClassVar

import numpy as np

from mini_dl import _blas, _dtypes
from mini_dl._checks import type_name
from mini_dl._dtypes import Array
from mini_dl._kernels import scratch
from mini_dl._parallel import get_num_threads, share, worth_sharing
from mini_dl.autograd.graph import Handle
from mini_dl.autograd.mode import enable_grad, mode
from mini_dl.nn.parameter import zero_grad_of
from mini_dl.optim._recorded import Recorded, RecordedState, recorded_blocks, recorded_option
from mini_dl.tensor import Tensor, typename, version_of, wrap

Hook = Callable[..., Any]
State = dict[str, Any]

_global_step_pre_hooks: dict[int, Hook] = {}
_global_step_post_hooks: dict[int, Hook] = {}


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required: Any = _Required()


def register_optimizer_step_pre_hook(hook: Hook) -> Handle:
    """Call ``hook(optimizer, args, kwargs)`` before the step of every optimizer; (args, kwargs) it returns replace them."""
    return Handle(_global_step_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Hook) -> Handle:
    """Call ``hook(optimizer, args, kwargs)`` after the step of every optimizer."""
    return Handle(_global_step_post_hooks, hook)


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` between the hooks that were registered for it."""

    @functools.wraps(step)
    def call(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        before = self.__dict__.get("_optimizer_step_pre_hooks")
        if before is None:  # its class does not call `Optimizer.__init__`
            return step(self, *args, **kwargs)
        after = self._optimizer_step_post_hooks
        if not (before or after or _global_step_pre_hooks or _global_step_post_hooks):
            return step(self, *args, **kwargs)
        all_args: tuple[Any, ...] = (self, *args)
        for hook in chain(_global_step_pre_hooks.values(), before.values()):
            changed = hook(self, all_args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(f"{step} must return None or a tuple of (new_args, new_kwargs), but got {changed}.")
                all_args, kwargs = changed
        out = step(*all_args, **kwargs)
        for hook in chain(after.values(), _global_step_post_hooks.values()):
            hook(self, all_args, kwargs)
        return out

    call.hooked = True  # type: ignore[attr-defined]
    return call


class Optimizer:
    """Base of the optimizers: `params` are tensors, (name, tensor) pairs, or dicts ``{"params": ..., option: value}``.

    A subclass gives its options to ``super().__init__(params, defaults)`` and defines `update`. TypeError or ValueError for
    parameters that are no leaf tensors, appear twice, or lack a name that others have.

    With ``differentiable=True`` autograd records the steps, also under ``no_grad``; the parameters are then no leaves
    (RuntimeError for one that requires grad). Here a gradient flows back to the learning rate:

    >>> import mini_dl as torch
    >>> start, rate = torch.tensor([1.0, 2.0]), torch.tensor(0.25, requires_grad=True)
    >>> w = start.clone()
    >>> optimizer = torch.optim.SGD([w], lr=rate, differentiable=True)
    >>> w.grad = 2 * start  # of (w * w).sum()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.5000, 1.0000])
    >>> (w * w).sum().backward()
    >>> rate.grad
    tensor(-10.)
    """

    newer_options: ClassVar[dict[str, Any]] = {}
    """Options that state saved by old versions may lack, with their values then."""
    tensors_of_step: ClassVar[str] = "params and state_steps"
    """What torch calls the tensors that a step takes."""
    foreach_is_recorded: ClassVar[bool] = False
    """Whether torch lets `foreach` and `differentiable` go together."""

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._make_hooks()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got " + typename(params)
            )
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if len(groups) == 0:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__ and not hasattr(cls.__dict__["step"], "hooked"):
            setattr(cls, "step", _with_hooks(cls.__dict__["step"]))  # noqa: B010

    _optimizer_step_pre_hooks: dict[int, Hook]
    _optimizer_step_post_hooks: dict[int, Hook]
    _optimizer_state_dict_pre_hooks: dict[int, Hook]
    _optimizer_state_dict_post_hooks: dict[int, Hook]
    _optimizer_load_state_dict_pre_hooks: dict[int, Hook]
    _optimizer_load_state_dict_post_hooks: dict[int, Hook]

    def _make_hooks(self) -> None:
        for name in ("step_pre", "step_post", "state_dict_pre", "state_dict_post", "load_state_dict_pre", "load_state_dict_post"):
            self.__dict__.setdefault(f"_optimizer_{name}_hooks", OrderedDict())
        self._zero_grad_profile_name = f"Optimizer.zero_grad#{type(self).__name__}.zero_grad"
        self._warned_capturable_if_run_uncaptured = True

    @staticmethod
    def profile_hook_step(func: Callable[..., Any]) -> Callable[..., Any]:
        """`func`, a step, between the hooks that are registered for it."""
        return func if hasattr(func, "hooked") else _with_hooks(func)

    def _cuda_graph_capture_health_check(self) -> None:
        """Nothing to check without a GPU; steps of programs call it."""

    _accelerator_graph_capture_health_check = _cuda_graph_capture_health_check

    # -------------------------------------------------------------------------------------------- the step

    @_with_hooks
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient. `closure` computes the loss anew, which is returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        differentiable = self.defaults.get("differentiable", False)
        if not isinstance(differentiable, bool):
            raise TypeError(f"argument 'differentiable' must be bool, not {type_name(differentiable)}")
        for group in self.param_groups:
            self._check_before_step(group)
            if differentiable:
                with enable_grad():
                    self._record_group(group)
            else:
                mode.run(self._update_group, group)
        return loss

    def _check_before_step(self, group: dict[str, Any]) -> None:
        if group.get("capturable"):
            raise AssertionError(
                f"If capturable=True, {self.tensors_of_step} must be on supported devices: "
                "['cuda', 'xpu', 'hpu', 'privateuseone', 'xla']."
            )
        if group.get("differentiable") and group.get("foreach") and not self.foreach_is_recorded:
            raise AssertionError("_foreach ops don't support autograd")
        if group.get("fused"):
            for param in group["params"]:
                if param._grad is not None and param._array.dtype.kind != "f":
                    raise RuntimeError(
                        "`fused=True` requires all the params to be floating point Tensors of supported devices: ['mps', 'cuda', "
                        f"'xpu', 'hpu', 'cpu', 'mtia', 'privateuseone'] but {param.dtype} and cpu"
                    )

    def _update_group(self, group: dict[str, Any]) -> None:
        """NumPy only, in the quiet room."""
        options = {name: v if type(v) in _PLAIN else _number(v) for name, v in group.items() if name != "params"}
        found = [(param, self.state.get(param) or {}) for param in group["params"] if param._grad is not None]
        new = [(param, state) for param, state in found if not state]

        def update(bundle: list[tuple[Tensor, State]]) -> None:
            for param, state in bundle:
                self.update(param._array, param._grad._array, state, **options)  # type: ignore[union-attr]

        try:
            size = sum([param._array.size for param, _ in found])
            if worth_sharing(size // 4) and not _share_memory(found):  # a step passes over its numbers few times
                share(update, _bundles(found, size // (4 * get_num_threads())), size // 4)
            else:
                update(found)
        finally:
            for param, state in new:
                if state:
                    self.state[param] = state
            for param, _ in found:
                version_of(param)[0] += 1

    def _record_group(self, group: dict[str, Any]) -> None:
        """The same updates, recorded."""
        options = {name: recorded_option(value) for name, value in group.items() if name != "params"}
        for param in group["params"]:
            if param._grad is None:
                continue
            own = self.state.get(param) or {}
            array, state = Recorded(param), RecordedState(own)
            self.update(array, Recorded(param._grad), state, **options)
            own.update(state.items())
            if own:
                self.state[param] = own
            for written in (*state.given.values(), array):
                written.write()

    def update(self, *param_grad_state: Any, **options: Any) -> None:
        """``update(param, grad, state, **options)``: change the array `param` in place; `state` is what earlier updates left."""
        raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        for group in self.param_groups:
            for param in group["params"]:
                zero_grad_of(param, set_to_none)

    # -------------------------------------------------------------------------------------------- groups

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own: ``{"params": ..., "lr": 0.1}``."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets will "
                "change between runs. Please use a list instead."
            )
        given = [params] if isinstance(params, Tensor) else list(params)
        names = [item[0] for item in given if isinstance(item, tuple)]
        params = param_group["params"] = [item[1] if isinstance(item, tuple) else item for item in given]
        if names:
            if len(names) != len(params):
                raise ValueError("all optimizer params should be with/without names. Some param names are missing")
            param_group["param_names"] = names
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError("optimizer can only optimize Tensors, but one of the params is " + typename(param))
            if not self.defaults.get("differentiable") and not (param.is_leaf or param.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        if len(params) != len(set(params)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; see "
                "github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        named = "param_names" in param_group
        if any([("param_names" in group) != named for group in self.param_groups]):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if named else 'without'} names to the optimizer"
            )
        if not {p for group in self.param_groups for p in group["params"]}.isdisjoint(params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    # -------------------------------------------------------------------------------------------- hooks

    def register_step_pre_hook(self, hook: Hook) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; (args, kwargs) it returns replace them."""
        return Handle(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Hook) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return Handle(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call ``hook(optimizer)`` before ``state_dict``."""
        return Handle(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call ``hook(optimizer, state_dict)`` after it; what it returns replaces the state."""
        return Handle(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call ``hook(optimizer, state_dict)`` before ``load_state_dict``; what it returns is loaded instead."""
        return Handle(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call ``hook(optimizer)`` after ``load_state_dict``."""
        return Handle(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    # -------------------------------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """``{"state": {number of the parameter: its state}, "param_groups": options and numbers of the parameters}``"""
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        for param in chain.from_iterable([group["params"] for group in self.param_groups]):
            numbers.setdefault(id(param), len(numbers))
        groups = []
        for group in self.param_groups:
            packed = {name: value for name, value in group.items() if name != "params"}
            packed["params"] = [numbers[id(param)] for param in group["params"]]
            groups.append(packed)
        state = {numbers[id(key)] if isinstance(key, Tensor) else key: value for key, value in self.state.items()}
        state_dict: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        return state_dict

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` of an optimizer with equal groups gave. ValueError if the groups differ in size."""
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        groups, saved = self.param_groups, deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any([len(ours["params"]) != len(theirs["params"]) for ours, theirs in zip(groups, saved)]):
            raise ValueError("loaded state dict contains a parameter group that doesn't match the size of optimizer's group")
        owners = {
            number: (param, theirs)
            for ours, theirs in zip(groups, saved)
            for number, param in zip(theirs["params"], ours["params"])
        }
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in owners:
                param, theirs = owners[key]
                state[param] = _cast(param, value, None, bool(theirs.get("capturable") or theirs.get("fused")))
            else:
                state[key] = value
        for ours, theirs in zip(groups, saved):
            theirs["params"] = ours["params"]
            if "param_names" in ours:
                theirs.setdefault("param_names", ours["param_names"])
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_hooks()
        self.defaults.setdefault("differentiable", False)
        for group in self.param_groups:
            for name, value in self.newer_options.items():
                group.setdefault(name, value)
            for param in group["params"]:
                own = self.state.get(param)
                if own and "step" in own and not isinstance(own["step"], Tensor):
                    own["step"] = wrap(np.array(float(own["step"]), _step_dtype()))

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            text += "".join([f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params"])
        return text + ")"


def _cast(param: Tensor, value: Any, key: Any, float_step: bool) -> Any:
    """Saved state as state of `param`: floating point tensors in its type, the count of steps as it is."""
    if isinstance(value, Tensor):
        if key == "step":
            return value.to(_dtypes.float32) if float_step else value
        return value.to(param.dtype) if param.dtype.is_floating_point else value
    if isinstance(value, dict):
        return {name: _cast(param, item, name, float_step) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return type(value)([_cast(param, item, None, float_step) for item in value])  # type: ignore[call-arg]
    return value


# ------------------------------------------------------------------------------------------------ for the algorithms


def check_learning_rate(lr: Any) -> None:
    """ValueError if `lr` is negative or a tensor of more than one element."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not lr >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")


def check_flags(foreach: bool | None, differentiable: bool, fused: bool | None) -> None:
    """RuntimeError for flags that exclude each other. All of them ask for the one implementation there is."""
    if fused:
        if differentiable:
            raise RuntimeError("`fused` does not support `differentiable`")
        if foreach:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def check_at_least_zero(**options: Any) -> None:
    """ValueError for an option below 0 (or NaN)."""
    for name, value in options.items():
        if not value >= 0.0:
            raise ValueError(f"Invalid {'epsilon' if name == 'eps' else name} value: {value}")


def check_betas(betas: tuple[Any, Any]) -> None:
    """ValueError for a decay outside of [0, 1)."""
    for i, beta in enumerate((betas[0], betas[1])):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


COMMON_OPTIONS = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}


def with_penalty(grad: Array, param: Array, weight_decay: float, maximize: bool, scratch: Any, out: Any) -> Array:
    """The gradient to descend: `grad`, or its negative, plus that of ``weight_decay / 2 * param ** 2``."""
    if maximize:
        grad = np.negative(grad, out=out)
    if weight_decay != 0:
        grad = np.add(grad, np.multiply(param, weight_decay, out=scratch), out=out)
    return grad


def add_scaled(target: Array, value: Array, weight: Any, scratch: Any, keep: float | None = None) -> None:
    """``target += weight * value``, or ``target = keep * target + weight * value``"""
    if (
        type(target) is np.ndarray
        and target.size > SMALL
        and _blas.add_scaled(weight, value, 1 if keep is None else keep, target)
    ):
        return
    if keep is not None:
        target *= keep
    target += value if weight == 1 and type(weight) is not Recorded else np.multiply(value, weight, out=scratch)


def mean_towards(mean: Array, value: Array, weight: float, scratch: Any) -> None:
    """``mean += weight * (value - mean)``"""
    difference = np.subtract(value, mean, out=scratch)
    add_scaled(mean, difference, weight, difference)


def square_towards(square: Array, value: Array, decay: float, scratch: Any) -> None:
    """``square = decay * square + (1 - decay) * value ** 2``"""
    squared = np.multiply(value, value, out=scratch)
    add_scaled(square, squared, 1 - decay, squared, decay)


def _share_memory(found: list[tuple[Tensor, State]]) -> bool:
    """Whether one update may write what another reads."""
    arrays = [param._array for param, _ in found]
    if all([array.base is None for array in arrays]):  # quicker than their addresses, where each owns its memory
        return len({id(array) for array in arrays}) < len(arrays)
    return len({array.ctypes.data for array in arrays}) < len(arrays)


def _bundles(found: list[tuple[Tensor, State]], size: int) -> list[list[tuple[Tensor, State]]]:
    """The largest first, in bundles of at least `size` elements: the short calls of small ones, side by side, would make the
    threads wait for each other."""
    bundles: list[list[tuple[Tensor, State]]] = []
    room = 0
    for param, state in sorted(found, key=lambda param_state: -param_state[0]._array.size):
        if room <= 0:
            bundles.append([])
            room = size
        bundles[-1].append((param, state))
        room -= param._array.size
    return bundles


_PLAIN = {float, int, bool, type(None)}


def _number(value: Any) -> Any:
    """An option as the algorithms want it: tensors of one element as numbers."""
    if isinstance(value, Tensor):
        scalar = value._array.reshape(())[()]
        return scalar if scalar.dtype.itemsize < 8 else scalar.item()  # of its type: what is computed of it has that too
    if type(value) is tuple:
        return tuple([_number(v) for v in value])
    return value


def _step_dtype() -> Any:
    return np.float64 if _dtypes.default_numpy() == np.float64 else np.float32


def new_step() -> Tensor:
    """A count of steps: a 0-d floating point tensor, as torch keeps it."""
    return wrap(np.zeros((), _step_dtype()))


def zeros_like(param: Array) -> Tensor:
    return wrap(np.zeros_like(param))


def number(array: Any) -> Any:
    """The number in a 0-d array, through which no gradient flows; a recorded array stays as it is."""
    return array if type(array) is Recorded else float(array)


def detached(array: Any) -> Any:
    """The array; a recorded one without its history."""
    return array.detached() if type(array) is Recorded else array


def as_default(value: Any) -> Any:
    """A number in the type that new tensors have; a recorded array stays as it is."""
    return value if type(value) is Recorded else _step_dtype()(value)


def advance(state: State) -> float:
    """Count one step more and return the count."""
    count = state["step"]._array
    count += 1
    return float(count)


BLOCK = 3 << 16
"""Elements in one pass: few enough that a buffer of them stays in the cache, and enough for two threads to run side by side."""
SMALL = 1 << 14
"""Elements up to which new arrays cost less than buffers."""


def blocks(buffers: int, param: Array, *others: Array | None) -> Iterable[tuple[Any, ...]]:
    """Arrays of one shape in pieces that stay in the cache, with so many `buffers` for each piece.

    The update loops over them and writes in place. A small array is one piece, and its buffers are None: as ``out=`` that asks
    for a new array. Complex arrays come as their real and imaginary parts.
    """
    if type(param) is Recorded:
        return recorded_blocks(buffers, (param, *others))
    if param.size <= BLOCK and param.ndim and param.dtype.kind == "f":
        if param.size <= SMALL:
            return ((param, *others, *_NO_BUFFERS[:buffers]),)
        return ((param, *others, *[scratch(f"update {i}", param.shape, param.dtype) for i in range(buffers)]),)
    return _pieces(buffers, param, *others)


_NO_BUFFERS = (None,) * 8


def _pieces(buffers: int, param: Array, *others: Array | None) -> Iterator[tuple[Any, ...]]:
    arrays = (param, *others)
    if not param.ndim:  # as a vector: operations on 0-d arrays give scalars, which cannot be written to
        vectors: Any = [None if a is None else a.reshape(1) for a in arrays]
        yield from blocks(buffers, *vectors)
    elif param.dtype.kind == "c":
        for part in (np.real, np.imag):
            parts: Any = [None if a is None else part(a) for a in arrays]
            yield from blocks(buffers, *parts)
    elif not all([a is None or a.flags.c_contiguous for a in (param, *others[1:])]):  # what is written: all but grad
        yield (*arrays, *_NO_BUFFERS[:buffers])
    else:
        flat = [None if a is None else a.reshape(-1) for a in arrays]
        size = -(-param.size // max(1, -(-param.size // BLOCK)))
        whole = param.size - param.size % max(1, size)
        spare = [scratch(f"update {i}", (size,), param.dtype) for i in range(buffers)]
        rows = [repeat(None) if a is None else a[:whole].reshape(-1, max(1, size)) for a in flat]
        yield from zip(*rows, *[repeat(b) for b in spare])  # quicker than slices, which the other thread would wait for
        if whole < param.size:
            yield (*[None if a is None else a[whole:] for a in flat], *[b[: param.size - whole] for b in spare])
