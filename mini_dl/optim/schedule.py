"""The base of all learning rate schedules."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Sequence
from functools import wraps
from types import FunctionType
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np

from mini_dl._guidance import tell_constructor
from mini_dl.nn._types import Group, Number, StateDict
from mini_dl.optim.optimizer import Optimizer
from mini_dl.optim.sgd import SGD
from mini_dl.optim.updates import refuse
from mini_dl.tensor import Tensor, wrap

T = TypeVar("T")
Rates: TypeAlias = list[Number]
"""The learning rate of each group."""

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed form is used "
    "instead of the new chainable form, where available. Please open an issue if you are unable to replicate your use case: "
    "https://github.com/pytorch/pytorch/issues/new/choose."
)


def _cloned(value: Any) -> Any:
    """A clone of a tensor; anything else as it is."""
    return value.clone() if isinstance(value, Tensor) else value


def options_of(optimizer: Optimizer, key: str) -> list[Any]:
    """The option `key` of each group; tensors are cloned."""
    return [_cloned(group[key]) for group in optimizer.param_groups]


def set_option(group: Group, key: str, value: object) -> None:
    """Set an option of `group`; a tensor keeps its identity."""
    if isinstance(group[key], Tensor):
        group[key].fill_(value.item() if isinstance(value, Tensor) else value)
    else:
        group[key] = value


_OTHER_LENGTH = (
    "{name} must have the same length as optimizer.param_groups. {name} has {given} values, param_groups has {groups}."
)


def per_group(name: str, optimizer: Optimizer, value: T | Sequence[T], text: str = _OTHER_LENGTH) -> list[T]:
    """One value for each group. ValueError, with this text, if a list has another length."""
    groups = len(optimizer.param_groups)
    values: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value] * groups
    refuse(len(values) != groups, text.format(name=name, given=len(values), groups=groups))
    return [_cloned(v) for v in values]


def check_optimizer(optimizer: object) -> None:
    refuse(not isinstance(optimizer, Optimizer), f"{type(optimizer).__name__} is not an Optimizer", TypeError)


def check_strategy(anneal_strategy: str) -> None:
    """ValueError if `anneal_strategy` is neither a cosine nor a line."""
    text = f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
    refuse(anneal_strategy not in ("cos", "linear"), text)


class LRScheduler:
    """Base of the schedules: a subclass defines ``get_lr()``, the learning rate of each group at ``self.last_epoch``.

    A subclass may define ``_get_closed_form_lr()`` too, for the deprecated ``step(epoch)``. TypeError if `optimizer` is not an
    Optimizer, KeyError if it has no ``initial_lr`` from which to continue after `last_epoch`.

    >>> import mini_dl as torch
    >>> class Halving(torch.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [base / 2**self.last_epoch for base in self.base_lrs]
    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.8)
    >>> schedule = Halving(optimizer)
    >>> for epoch in range(3):
    ...     optimizer.step()
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.1]
    """

    made_of: ClassVar[tuple[str, ...]] = ()
    """Attributes that hold schedules or functions, one or a list, whose own states are saved in their place."""
    _get_lr_called_within_step = False
    _is_initial = False

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        tell_constructor(cls)

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _cloned(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with last_epoch >= 0.\n"
                    "This typically happens when:\n1. You're trying to resume training from a checkpoint but haven't properly "
                    "loaded the optimizer state\n2. You're using last_epoch >= 0 for a fresh training run (not recommended)"
                )
        self.base_lrs = options_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        _watch_step(optimizer)
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self) -> StateDict:
        """All attributes but the optimizer; schedules and callable objects are saved as their states, functions as None."""
        return {k: _saved(v) if k in self.made_of else v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Restore what `state_dict` returned."""
        self.__dict__.update({key: value for key, value in state_dict.items() if key not in self.made_of})
        for key in self.made_of:
            _restore(getattr(self, key), state_dict[key])

    def get_last_lr(self) -> Rates:
        """The learning rates last set."""
        return self._last_lr

    def get_lr(self) -> Rates:
        """The learning rates of this step; from outside, use `get_last_lr`."""
        if not self._get_lr_called_within_step:
            text = "To get the last learning rate computed by the scheduler, please use `get_last_lr()`."
            warnings.warn(text, UserWarning, stacklevel=2)
        return self._rates()

    def _rates(self) -> Rates:
        """What `get_lr` returns."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Set the learning rates of the next epoch."""
        if self._step_count == 1 and (mistake := _mistaken_order(self.optimizer)):
            warnings.warn(mistake, UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed_form = None if epoch is None else getattr(self, "_get_closed_form_lr", None)
        self._write(closed_form or self.get_lr)

    def _write(self, get_lr: Callable[[], Rates]) -> None:
        """Give each group its learning rate."""
        self._get_lr_called_within_step = True
        try:
            rates = get_lr()
        finally:
            self._get_lr_called_within_step = False
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            set_option(group, "lr", lr)
        self._last_lr = options_of(self.optimizer, "lr")


_LRScheduler = LRScheduler


def _saved(part: object) -> Any:
    """The state of a schedule or of a callable object; None for a function, which has none."""
    if isinstance(part, (list, tuple)):
        return [_saved(one) for one in part]
    if isinstance(part, LRScheduler):
        return part.state_dict()
    return None if part is None or isinstance(part, FunctionType) else part.__dict__.copy()


def _restore(part: object, state: Any) -> None:
    if isinstance(part, (list, tuple)):
        for one, its_state in zip(part, state):
            _restore(one, its_state)
    elif isinstance(part, LRScheduler):
        part.load_state_dict(state)
    elif state is not None:
        part.__dict__.update(state)


def _watch_step(optimizer: Optimizer) -> None:
    """Make the optimizer remember that its step was called, to warn about a wrong order."""
    if hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        return
    function, reference = optimizer.step.__func__, weakref.ref(optimizer)  # type: ignore[attr-defined]

    @wraps(function)
    def step(*args: object, **kwargs: object) -> Any:
        owner: Any = reference()
        owner._opt_called = True
        return function(owner, *args, **kwargs)

    step._wrapped_by_lr_sched = True  # type: ignore[attr-defined]
    optimizer.step = step  # type: ignore[method-assign]


def _mistaken_order(optimizer: Optimizer) -> str:
    """The warning at the first step of a schedule if no step of the optimizer was seen before it; "" if all is well."""
    if not hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        mistake = (
            "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. Please, make sure "
            "to call `optimizer.step()` before `lr_scheduler.step()`."
        )
    elif not getattr(optimizer, "_opt_called", False):
        mistake = (
            "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call them "
            "in the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do this will result in PyTorch "
            "skipping the first value of the learning rate schedule."
        )
    else:
        return ""
    return mistake + " See more details at https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"


def course(kind: Callable[..., LRScheduler], *args: object, epochs: int = 5, lr: float = 1.0, **options: object) -> list[float]:
    """The learning rates of the first `epochs` epochs from `lr` on, under ``kind(optimizer, *args, **options)``: for examples."""
    optimizer = SGD([wrap(np.zeros(1))], lr, momentum=0.9)
    schedule, rates = kind(optimizer, *args, **options), []
    for _ in range(epochs):
        rates.append(round(float(optimizer.param_groups[0]["lr"]), 4))
        optimizer.step()
        schedule.step()
    return rates
