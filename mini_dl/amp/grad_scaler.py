"""Scaling the loss, so that small gradients do not vanish in float16."""

from __future__ import annotations

import inspect
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

import numpy as np

from mini_dl._dtypes import float16
from mini_dl.autograd.mode import mode, no_grad
from mini_dl.tensor import Tensor, wrap, written

__all__ = ["GradScaler", "OptState"]

FORGOTTEN = "This may indicate your script did not use scaler.scale(loss or outputs) earlier in the iteration."


class OptState(Enum):
    """What was done for an optimizer since the last update."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _fresh() -> dict[str, Any]:
    return {"stage": OptState.READY, "found_inf_per_device": {}}


class GradScaler:
    """Multiplies losses by a factor, and divides the gradients by it before a step, which is skipped if they are not finite.

    The factor shrinks by `backoff_factor` if a step was skipped, and grows by `growth_factor` after `growth_interval`
    steps in a row. With ``"cuda"``, the default, a warning says that it stays disabled, since there is no GPU.

    Raises: AssertionError unless ``growth_factor > 1`` and ``backoff_factor < 1``, and before the first `scale`.
    Source: Micikevicius et al., Mixed precision training, 2018, section 3.2.

    >>> scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    >>> scaler.scale(torch.tensor(1.5))
    tensor(6.)
    """

    def __init__(
        self, device: str = "cuda", init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5,
        growth_interval: int = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        self._device, self._enabled = device, enabled
        if device == "cuda" and enabled:
            warnings.warn("torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2)
            self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale, self._init_growth_tracker = init_scale, 0
        self._scale: Tensor | None = None  # made by the first call of `scale`
        self._growth_tracker: Tensor | None = None
        self._growth_factor, self._backoff_factor, self._growth_interval = growth_factor, backoff_factor, growth_interval
        self._per_optimizer_states: dict[int, dict[str, Any]] = defaultdict(_fresh)

    # -------------------------------------------------------------------------------------------- one iteration

    def scale(self, outputs: object) -> Any:
        """`outputs`, a tensor or an iterable of tensors, times the factor."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._scale = wrap(np.full((), self._init_scale, np.float32))
                self._growth_tracker = wrap(np.full((), self._init_growth_tracker, np.int32))
            return outputs * self._scale
        if isinstance(outputs, Iterable):
            scaled: Iterator[Any] = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: object) -> None:
        """Divide the gradients by the factor before `step` does so, for example to clip them."""
        if not self._enabled:
            return
        scale, _ = self._started("unscale_")
        found = self._per_optimizer_states[id(optimizer)]
        if found["stage"] is OptState.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if found["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        found["found_inf_per_device"] = self._unscale_grads_(optimizer, scale.double().reciprocal().float(), allow_fp16=False)
        found["stage"] = OptState.UNSCALED

    def _unscale_grads_(self, optimizer: Any, inv_scale: Tensor, allow_fp16: bool) -> dict[Any, Tensor]:
        """Multiply the gradients by `inv_scale`; return, by device, 1 if one of them was not finite, else 0."""
        grads = []
        for group in optimizer.param_groups:
            for param in group["params"]:
                if not isinstance(param, Tensor):
                    raise AssertionError(f"expected param to be torch.Tensor, got {type(param).__name__}")
                if param.grad is not None:
                    if not allow_fp16 and param.grad.dtype is float16:
                        raise ValueError("Attempting to unscale FP16 gradients.")
                    grads.append(param.grad)
        with no_grad():
            bad = any([not bool(grad.isfinite().all()) for grad in grads])
            for grad in grads if inv_scale.item() != 1 else ():
                grad.mul_(inv_scale)
        return {grads[0].device: wrap(np.full((), float(bad), np.float32))} if grads else {}

    def step(self, optimizer: Any, *args: object, **kwargs: object) -> Any:
        """``optimizer.step(*args, **kwargs)`` with the gradients divided by the factor, or nothing if one is not finite."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._started("step")
        found = self._per_optimizer_states[id(optimizer)]
        if found["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            result = self._let_it_scale(optimizer, found, args, kwargs)
        else:
            if found["stage"] is OptState.READY:
                self.unscale_(optimizer)
            if not found["found_inf_per_device"]:
                raise AssertionError("No inf checks were recorded for this optimizer.")
            result = None
            if not sum([bad.item() for bad in found["found_inf_per_device"].values()]):
                result = optimizer.step(*args, **kwargs)
        found["stage"] = OptState.STEPPED
        return result

    def _let_it_scale(self, optimizer: Any, found: dict[str, Any], args: Any, kwargs: Any) -> Any:
        """The step of an optimizer that unscales by itself: it gets the scaler, or the factor and whether to skip the step."""
        if "grad_scaler" in inspect.signature(optimizer.step).parameters:
            warnings.warn(
                "GradScaler is going to stop passing itself as a keyword argument to the passed optimizer. In the near future "
                "GradScaler registers `grad_scale: Tensor` and `found_inf: Tensor` to the passed optimizer and let the optimizer "
                "use them directly.",
                FutureWarning,
                stacklevel=3,
            )
            return optimizer.step(*args, **kwargs, grad_scaler=self)
        if found["stage"] is OptState.READY:
            self._check_inf_per_device(optimizer)
        own = getattr(optimizer, "grad_scale", None)
        scale, _ = self._started("step")
        optimizer.grad_scale = own if found["stage"] is OptState.UNSCALED else scale * (1 if own is None else own)
        optimizer.found_inf = sum(found["found_inf_per_device"].values())
        try:
            return optimizer.step(*args, **kwargs)
        finally:
            del optimizer.grad_scale, optimizer.found_inf

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Update the factor for the next iteration from the outcome of this one, or set it to `new_scale`."""
        if not self._enabled:
            return
        scale, tracker = self._started("update")
        if new_scale is not None:
            self._set_scale(scale, new_scale)
        else:
            states = self._per_optimizer_states.values()
            found = [bad for state in states for bad in state["found_inf_per_device"].values()]
            if not found:
                raise AssertionError("No inf checks were recorded prior to update.")
            self._adapt(scale, tracker, any([bool(bad) for bad in found]))
        self._per_optimizer_states = defaultdict(_fresh)

    def _set_scale(self, scale: Tensor, new_scale: Any) -> None:
        if isinstance(new_scale, float):
            scale.fill_(new_scale)
            return
        if new_scale.device.type != self._device or new_scale.numel() != 1 or new_scale.requires_grad:
            raise AssertionError(
                "new_scale should be a float or a 1-element torch.cuda.FloatTensor or torch.FloatTensor with requires_grad=False."
            )
        scale.copy_(new_scale)

    def _adapt(self, scale: Tensor, tracker: Tensor, bad: bool) -> None:
        """Shrink the factor, or count one more good iteration and let it grow unless it becomes infinite."""
        with no_grad():
            if bad:
                mode.run(np.multiply, scale._array, np.float32(self._backoff_factor), out=scale._array)
                tracker.zero_()
            else:
                tracker += 1
                if tracker.item() == self._growth_interval:
                    grown = mode.run(np.multiply, scale._array, np.float32(self._growth_factor))
                    if np.isfinite(grown):
                        scale._array[...] = grown
                    tracker.zero_()
        written(scale)

    # -------------------------------------------------------------------------------------------- its numbers

    def _started(self, name: str) -> tuple[Tensor, Tensor]:
        if self._scale is None:
            raise AssertionError(f"Attempted {name} but _scale is None.  {FORGOTTEN}")
        if self._growth_tracker is None:
            raise AssertionError(f"Attempted {name} but _growth_tracker is None.  {FORGOTTEN}")
        return self._scale, self._growth_tracker

    def get_scale(self) -> float:
        """The factor; 1 if disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else float(self._scale.item())

    def get_growth_factor(self) -> float:
        """The multiplier by which the factor grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set the multiplier by which the factor grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """The multiplier by which the factor shrinks."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set the multiplier by which the factor shrinks."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """The number of good iterations in a row after which the factor grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set the number of good iterations in a row after which the factor grows."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else int(self._growth_tracker.item())

    def _get_scale_async(self) -> Tensor | None:
        return self._scale

    def is_enabled(self) -> bool:
        """Whether scaling is enabled."""
        return self._enabled

    def _check_inf_per_device(self, optimizer: object) -> dict[Any, Tensor]:
        """Check the gradients without changing them."""
        self._started("_check_inf_per_device")
        found = self._unscale_grads_(optimizer, wrap(np.ones((), np.float32)), allow_fp16=True)
        self._per_optimizer_states[id(optimizer)]["found_inf_per_device"] = found
        return found

    def _found_inf_per_device(self, optimizer: object) -> dict[Any, Tensor]:
        found: dict[Any, Tensor] = self._per_optimizer_states[id(optimizer)]["found_inf_per_device"]
        return found

    # -------------------------------------------------------------------------------------------- saving

    def state_dict(self) -> dict[str, Any]:
        """The numbers by name; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned. RuntimeError for the state of a disabled scaler, unless this one is disabled
        too.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale, self._init_growth_tracker = state_dict["scale"], state_dict["_growth_tracker"]
        if self._scale is not None:
            self._scale.fill_(state_dict["scale"])
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        if self._growth_tracker is not None:
            self._growth_tracker.fill_(state_dict["_growth_tracker"])

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._enabled:
            if self._per_optimizer_states:
                raise AssertionError(
                    "A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after "
                    "scaler.update()."
                )
            state["_init_scale"], state["_init_growth_tracker"] = self.get_scale(), self._get_growth_tracker()
            state["_scale"] = state["_growth_tracker"] = None
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
