"""Optimizer: parameter groups, state, closures and hooks. An algorithm is one `update` of one parameter, on NumPy arrays."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any, ClassVar, TypeAlias

import numpy as np

from mini_dl import _dtypes
from mini_dl._checks import check_bool
from mini_dl._dtypes import FLOATING, NARROW, Array
from mini_dl._guidance import tell_constructor
from mini_dl._meta import MetaArray
from mini_dl.autograd.graph import Handle
from mini_dl.autograd.mode import enable_grad, mode
from mini_dl.kernels.parallel import get_num_threads, share, worth_sharing
from mini_dl.nn._types import Args, Function, Group, Hook, Options, Params, StateDict
from mini_dl.nn.parameter import zero_grad_of
from mini_dl.ops.foreach import _group_tensors_by_device_and_dtype
from mini_dl.optim._recorded import RecordedState, recorded, recorded_scalar
from mini_dl.optim.updates import Buffers, State, new_step, refuse, update_in_single, with_tensors
from mini_dl.tensor import Tensor, typename, wrap, written

ParamsT: TypeAlias = Params
Closure: TypeAlias = Callable[[], Any]
"""Recomputes the loss and its gradients."""

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


def _with_hooks(step: Function) -> Function:
    """`step`, wrapped in the hooks registered for it."""

    @functools.wraps(step)
    def call(self: Optimizer, *args: object, **kwargs: object) -> Any:
        before, after = self.__dict__.get("_optimizer_step_pre_hooks"), self.__dict__.get("_optimizer_step_post_hooks")
        if before is None or after is None or not (before or after or _global_step_pre_hooks or _global_step_post_hooks):
            return step(self, *args, **kwargs)  # None: its class does not call `Optimizer.__init__`
        all_args: Args = (self, *args)
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

    A subclass gives its options to ``super().__init__(params, chosen(locals()))`` and defines `update`. TypeError or ValueError
    for parameters that are not leaf tensors, appear twice, or lack a name that others have.

    With ``differentiable=True`` autograd records the steps, also under ``no_grad``; the parameters are then not leaves
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

    _newer_options: ClassVar[Group] = {}
    """Options that state saved by old versions may lack, with the values to use: flags with their defaults, and these."""
    _tensors_of_step: ClassVar[str] = "params and state_steps"
    """torch's name for the tensors that a step takes."""
    _foreach_is_recorded: ClassVar[bool] = False
    """Whether torch allows `foreach` together with `differentiable`."""

    def __init__(self, params: Params, defaults: Group) -> None:
        self.defaults = defaults
        self._make_hooks()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got " + typename(params)
            )
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[Group] = []
        groups: list[Any] = list(params)
        refuse(len(groups) == 0, "optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)
        if defaults.get("fused"):  # which, like `foreach`, selects the only implementation there is
            refuse(defaults.get("differentiable"), "`fused` does not support `differentiable`", RuntimeError)
            refuse(defaults.get("foreach"), "`fused` and `foreach` cannot be `True` together.", RuntimeError)

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        tell_constructor(cls)
        if "__init__" in cls.__dict__:
            parameters = inspect.signature(cls.__init__).parameters.values()
            flags = {p.name: p.default for p in parameters if p.default is None or isinstance(p.default, bool)}
            cls._newer_options = {**flags, **cls.__dict__.get("_newer_options", {})}
        if "step" in cls.__dict__ and not hasattr(cls.__dict__["step"], "hooked"):
            setattr(cls, "step", _with_hooks(cls.__dict__["step"]))  # noqa: B010

    def _make_hooks(self) -> None:
        for name in ("step_pre", "step_post", "state_dict_pre", "state_dict_post", "load_state_dict_pre", "load_state_dict_post"):
            self.__dict__.setdefault(f"_optimizer_{name}_hooks", OrderedDict())
        self._zero_grad_profile_name = f"Optimizer.zero_grad#{type(self).__name__}.zero_grad"
        self._warned_capturable_if_run_uncaptured = True

    def _optimizer_hooks(self, when: str) -> dict[int, Hook]:
        hooks: dict[int, Hook] = getattr(self, f"_optimizer_{when}_hooks")
        return hooks

    @staticmethod
    def profile_hook_step(func: Function) -> Function:
        """`func`, a step, wrapped in the hooks registered for it."""
        return func if hasattr(func, "hooked") else _with_hooks(func)

    def _cuda_graph_capture_health_check(self) -> None:
        """Does nothing without a GPU; user-defined steps call it."""

    _accelerator_graph_capture_health_check = _cuda_graph_capture_health_check

    # -------------------------------------------------------------------------------------------- the step

    @_with_hooks
    def step(self, closure: Closure | None = None) -> Any:
        """Update every parameter that has a gradient. `closure` recomputes the loss, which is returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        differentiable = self.defaults.get("differentiable", False)
        check_bool(differentiable, "argument 'differentiable'")
        for group in self.param_groups:
            self._check_before_step(group)
            if differentiable:
                with enable_grad():
                    self._record_group(group)
            else:
                mode.run(self._update_group, group)
        return loss

    def _check_before_step(self, group: Group) -> None:
        if group.get("capturable"):
            raise AssertionError(
                f"If capturable=True, {self._tensors_of_step} must be on supported devices: "
                "['cuda', 'xpu', 'hpu', 'privateuseone', 'xla']."
            )
        if group.get("differentiable") and group.get("foreach") and not self._foreach_is_recorded:
            raise AssertionError("_foreach ops don't support autograd")
        if group.get("fused"):
            for param in group["params"]:
                if param._grad is not None and param._array.dtype.kind not in FLOATING:
                    raise RuntimeError(
                        "`fused=True` requires all the params to be floating point Tensors of supported devices: ['mps', 'cuda', "
                        f"'xpu', 'hpu', 'cpu', 'mtia', 'privateuseone'] but {param.dtype} and cpu"
                    )

    def _update_group(self, group: Group) -> None:
        """Over NumPy arrays."""
        found: Found = []
        sparse: Found = []
        begun: dict[int, StateDict] = {}  # one for a parameter that is listed twice
        for param in group["params"]:
            if param._grad is not None:
                tensors = self.state.get(param) or begun.setdefault(id(param), {})
                (sparse if param._grad._sparse else found).append((param, tensors))
        options = Options()
        options.__dict__.update([(n, v if v.__class__ in _PLAIN else with_tensors(v, _scalar)) for n, v in group.items()])
        for param, tensors in sparse:
            self.update_sparse(param._array, param._grad, tensors, options)  # type: ignore[arg-type]
            if tensors:
                self.state[param] = tensors
            written(param)
        new = [(param, tensors) for param, tensors in found if not tensors]

        def update(bundle: Found) -> None:
            spare = _spare.pop() if _spare else {}  # taken out: a step within this one, or in another thread, has its own
            state = State({}, spare)
            for param, state.tensors in bundle:
                array, grad = param._array, param._grad._array  # type: ignore[union-attr]
                if array.__class__ is MetaArray:
                    raise NotImplementedError("a step of an optimizer needs values, which a meta tensor does not have")
                if array.dtype.char in NARROW:
                    update_in_single(self.update, array, grad, state, options)
                elif self.update(array, grad, state, options) is not None:  # type: ignore[func-returns-value]
                    raise TypeError(f"{type(self).__name__}.update must write into `param`; what it returns is lost")
            _spare.append(spare)

        try:
            size = sum([param._array.size for param, _ in found])
            if worth_sharing(size // 4) and not _share_memory(found):  # a step makes only a few passes over memory
                share(update, _bundles(found, size // (4 * get_num_threads())), size // 4)
            else:
                update(found)
        finally:
            for param, tensors in new:
                if tensors:
                    self.state[param] = tensors
            for param, _ in found:
                written(param)

    def update_sparse(self, param: Array, grad: Tensor, tensors: StateDict, group: Options) -> None:
        """As `update`, with a sparse gradient. RuntimeError where the algorithm changes all elements."""
        raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")

    def _record_group(self, group: Group) -> None:
        """The same updates, recorded."""
        options = Options(**{name: with_tensors(value, recorded_scalar) for name, value in group.items()})
        for param in group["params"]:
            if param._grad is None:
                continue
            array, state = recorded(param), RecordedState(self.state.get(param) or {})
            self.update(array, recorded(param._grad), state, options)  # type: ignore[arg-type]
            if state:
                self.state[param] = state.tensors
            for each in (*state.given.values(), array):
                each.write()

    def update(self, param: Array, grad: Array, state: State, group: Options) -> None:
        """Change the array `param` in place. `group` has the options as attributes; `state` is what earlier updates kept."""
        raise NotImplementedError(f"{type(self).__name__} has no `update`, the algorithm for one parameter")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients of all parameters to None, or to zero."""
        for group in self.param_groups:
            for param in group["params"]:
                zero_grad_of(param, set_to_none)

    # -------------------------------------------------------------------------------------------- groups

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters with their own options: ``{"params": ..., "lr": 0.1}``."""
        refuse(not isinstance(param_group, dict), f"param_group must be a dict, but got {type(param_group)}", TypeError)
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
        recorded_steps = self.defaults.get("differentiable")
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError("optimizer can only optimize Tensors, but one of the params is " + typename(param))
            refuse(not (recorded_steps or param.is_leaf or param.retains_grad), "can't optimize a non-leaf Tensor")
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
        return Handle(self._optimizer_hooks("step_pre"), hook)

    def register_step_post_hook(self, hook: Hook) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return Handle(self._optimizer_hooks("step_post"), hook)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call ``hook(optimizer)`` before ``state_dict``."""
        return Handle(self._optimizer_hooks("state_dict_pre"), hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call ``hook(optimizer, state_dict)`` after it; what it returns replaces the state."""
        return Handle(self._optimizer_hooks("state_dict_post"), hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call ``hook(optimizer, state_dict)`` before ``load_state_dict``; what it returns is loaded instead."""
        return Handle(self._optimizer_hooks("load_state_dict_pre"), hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call ``hook(optimizer)`` after ``load_state_dict``."""
        return Handle(self._optimizer_hooks("load_state_dict_post"), hook, prepend)

    # -------------------------------------------------------------------------------------------- state

    def state_dict(self) -> StateDict:
        """``{"state": {number of the parameter: its state}, "param_groups": options and numbers of the parameters}``"""
        for hook in self._optimizer_hooks("state_dict_pre").values():
            hook(self)
        numbers: dict[int, int] = {}
        groups, count = [], 0
        for group in self.param_groups:
            numbers.update({id(param): n for n, param in enumerate(group["params"], count) if id(param) not in numbers})
            count += len(group["params"])
            packed = {name: value for name, value in group.items() if name != "params"}
            packed["params"] = [numbers[id(param)] for param in group["params"]]
            groups.append(packed)
        state = {numbers[id(k)] if isinstance(k, Tensor) else k: _described(k, value) for k, value in self.state.items()}
        state_dict: StateDict = {"state": state, "param_groups": groups}
        for hook in self._optimizer_hooks("state_dict_post").values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        return state_dict

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Restore what `state_dict` of an optimizer with equal groups returned. ValueError if the groups differ in size."""
        state_dict = state_dict.copy()
        for hook in self._optimizer_hooks("load_state_dict_pre").values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        groups, saved = self.param_groups, deepcopy(state_dict["param_groups"])
        refuse(len(groups) != len(saved), "loaded state dict has a different number of parameter groups")
        if any([len(ours["params"]) != len(theirs["params"]) for ours, theirs in zip(groups, saved)]):
            raise ValueError("loaded state dict contains a parameter group that doesn't match the size of optimizer's group")
        owners = {n: (p, theirs) for ours, theirs in zip(groups, saved) for n, p in zip(theirs["params"], ours["params"])}
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
        for hook in self._optimizer_hooks("load_state_dict_post").values():
            hook(self)

    def __getstate__(self) -> StateDict:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: StateDict) -> None:
        self.__dict__.update(state)
        self._make_hooks()
        self.defaults.setdefault("differentiable", False)
        for group in self.param_groups:
            for name, value in self._newer_options.items():
                group.setdefault(name, value)
            for param in group["params"]:
                own = self.state.get(param)
                if own and "step" in own and not isinstance(own["step"], Tensor):
                    own["step"] = new_step().fill_(float(own["step"]))

    _group_tensors_by_device_and_dtype = staticmethod(_group_tensors_by_device_and_dtype)

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            text += "".join([f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params"])
        return text + ")"


def _cast(param: Tensor, value: object, key: object, float_step: bool) -> Any:
    """Saved state as state of `param`: floating point tensors in its type, the step count unchanged."""
    if isinstance(value, Tensor):
        if key == "step":
            return value.to(_dtypes.float32) if float_step else value
        return value.to(param.dtype) if param.dtype.is_floating_point else value
    if isinstance(value, dict):
        return {name: _cast(param, item, name, float_step) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return type(value)([_cast(param, item, None, float_step) for item in value])  # type: ignore[call-arg]
    return value


Found: TypeAlias = list[tuple[Tensor, StateDict]]
"""Parameters with a gradient, and the state of each."""

_spare: list[Buffers] = []
"""The buffers of finished steps, kept for the next ones."""


def _share_memory(found: Found) -> bool:
    """Whether one update may write what another reads."""
    arrays = [param._array for param, _ in found]
    own = all([array.base is None for array in arrays])  # then there is no need for their addresses, which take longer
    return len({id(array) if own else array.ctypes.data for array in arrays}) < len(arrays)


def _bundles(found: Found, size: int) -> list[Found]:
    """The largest first, in bundles of at least `size` elements: threads that make short calls for small parameters side by side
    would wait for each other."""
    bundles: list[Found] = []
    left = 0
    for param, state in sorted(found, key=lambda param_state: -param_state[0]._array.size):
        if left <= 0:
            bundles.append([])
            left = size
        bundles[-1].append((param, state))
        left -= param._array.size
    return bundles


_PLAIN = frozenset([float, int, bool, type(None)])
"""Types of options that are passed to updates unchanged."""


def _described(param: object, state: object) -> object:
    """The state of a parameter; a parameter whose rows are spread over processes describes which parts of it are rows."""
    described = getattr(param, "described", None)
    return state if described is None else described(state)


def _scalar(option: Tensor) -> object:
    """The number in an option that is a tensor."""
    if option._array.size != 1:
        raise RuntimeError(f"an option must be a number or a tensor of one element, but got one of shape {list(option.shape)}")
    scalar = option._array.reshape(())[()]
    return scalar if scalar.dtype.itemsize < 8 else scalar.item()  # of its type, which what is computed from it keeps


def descent(kind: Callable[..., Optimizer], steps: int = 2, **options: object) -> list[list[float]]:
    """The parameters after each of the first steps of an optimizer from (1, 2) down the loss ``(w * w).sum()``: for examples."""
    w, path = wrap(np.array([1.0, 2.0], np.float32)).requires_grad_(), []
    optimizer = kind([w], **options)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = (w * w).sum()
        value.backward()
        return value

    for _ in range(steps):
        optimizer.step(loss)
        path.append([round(number, 4) for number in w.tolist()])
    return path
