"""Selective checkpoints: results of selected operations are saved in the first run, and reused in the second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np

from mini_dl._aten import operator_named
from mini_dl._operators import Overload, Packet, overload
from mini_dl.autograd.mode import mode
from mini_dl.kernels.context import run_by
from mini_dl.tensor import wrap
from mini_dl.utils.checkpoint import CheckpointPolicy

Run = Callable[[], Any]

MISMATCH = (
    "This can happen if the operations in the checkpointed region are nondeterministic or depend on global state that changed "
    "between forward and backward."
)


KEPT = (CheckpointPolicy.MUST_SAVE, CheckpointPolicy.PREFER_SAVE, CheckpointPolicy.MUST_CPU_OFFLOAD,
        CheckpointPolicy.PREFER_CPU_OFFLOAD)  # fmt: skip


class SelectiveCheckpointContext:
    """The context of a policy, besides the operator and its arguments."""

    def __init__(self, *, is_recompute: bool, op_output: object = None) -> None:
        self.is_recompute, self.op_output = is_recompute, op_output


class _Used:
    """The placeholder for a result that has been consumed."""


class _Watching:
    """A context in which the kernels of this thread run through `kernel`."""

    def __init__(self, kept: dict[object, dict[int, object]]) -> None:
        self.kept = kept
        self.counts: dict[Any, int] = defaultdict(int)

    def __enter__(self) -> _Watching:
        self.counts.clear()
        self.before = mode.enter
        mode.enter = self.enter
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        mode.enter = self.before

    def enter(self, forward: Any, *args: object, **kwargs: object) -> Any:
        def run() -> Any:
            return run_by(self.before, forward, *args, **kwargs)

        operator = overload_of(forward)
        if operator in SAC_IGNORED_OPS:
            return run()
        number = self.counts[operator]
        self.counts[operator] += 1
        return self.result(operator, number, run, args, kwargs)

    def result(self, operator: object, number: int, run: Run, args: object, kwargs: object) -> Any:
        raise NotImplementedError


class Keeping(_Watching):
    """The first run: the policy decides whether each result is saved."""

    def __init__(self, policy: Callable[..., object], kept: dict[object, dict[int, object]]) -> None:
        super().__init__(kept)
        self.policy = policy

    def result(self, operator: object, number: int, run: Run, args: Any, kwargs: Any) -> Any:
        found = run()
        mode.enter = self.before  # computations of the policy are not recorded
        try:
            context = SelectiveCheckpointContext(is_recompute=False, op_output=_shown(found))
            said = self.policy(context, operator, *[_shown(value) for value in as_of(operator, args)], **kwargs)
        finally:
            mode.enter = self.enter
        keep = said if isinstance(said, bool) else said in KEPT
        self.kept[operator][number] = _copied(found) if keep else None
        return found


class Taking(_Watching):
    """The second run: saved results are consumed, once, and all others are computed."""

    def result(self, operator: object, number: int, run: Run, args: object, kwargs: object) -> Any:
        if operator not in self.kept:
            raise RuntimeError(f"{operator} encountered during backward but not found in storage. {MISMATCH}")
        if number not in self.kept[operator]:
            raise RuntimeError(
                f"{operator} invocation index {number} encountered during backward but not found in storage. {MISMATCH}"
            )
        found = self.kept[operator][number]
        if found is _Used:
            raise RuntimeError(
                "Trying to backward an extra time. You are only allowed to backward once on any region computed under selective "
                "activation checkpoint."
            )
        if found is None:
            return run()
        self.kept[operator][number] = _Used
        return found


def overload_of(forward: object) -> Any:
    """``torch.ops.aten.name.overload`` of the primitive with this forward."""
    return overload("aten", *operator_named(getattr(forward, "__name__", "kernel")))


ARGUMENTS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "aten.mm.default": lambda a, b, flip=False: (a, b.T if flip else b),
    "aten.bmm.default": lambda a, b, flip, flop: (a.swapaxes(-1, -2) if flip else a, b.swapaxes(-1, -2) if flop else b),
    "aten.addmm.default": lambda a, b, bias, *more: (a, b) if more else (bias, a, b.T),
}
"""Operators whose arguments differ from those of our kernels; `_weighted_sum` takes the product, not its factors."""


def as_of(operator: object, args: tuple[object, ...]) -> tuple[Any, ...]:
    """The arguments of torch's operator for those of the kernel."""
    change = ARGUMENTS.get(str(operator))
    return args if change is None else change(*args)


def _shown(value: Any) -> Any:
    """An argument or result of a kernel as the policy sees it."""
    if isinstance(value, np.ndarray):
        return wrap(value)
    return type(value)([_shown(one) for one in value]) if type(value) in (list, tuple) else value


def _copied(found: object) -> Any:
    """A read-only result."""
    if isinstance(found, tuple):
        return tuple([_copied(one) for one in found])
    return found.copy() if isinstance(found, np.ndarray) else found


def create_selective_checkpoint_contexts(
    policy_fn_or_list: object, allow_cache_entry_mutation: bool = False
) -> tuple[_Watching, _Watching]:
    """The two contexts for `checkpoint`: results selected by a policy, or by a list of operators, are saved and not recomputed.

    A policy is called as ``policy(context, operator, *args)`` for each kernel and returns a `CheckpointPolicy`, or a bool. Copies
    are saved, so tensors may be modified meanwhile. TypeError if it is neither a function nor a list, ValueError if
    something in the list is not an operator with its overload.
    """
    if isinstance(policy_fn_or_list, list):
        for one in policy_fn_or_list:
            if not isinstance(one, Overload):
                more = ""
                if isinstance(one, Packet):
                    more = (
                        "Please update the OpOverloadPacket to a specific OpOverload.For example, if you have "
                        "`torch.ops.aten.mm`, change it to `torch.ops.aten.mm.default`."
                    )
                raise ValueError(f"Expected op in `op_list` to be an OpOverload but got: {one} of type {type(one)}. {more}")
        policy: Callable[..., Any] = lambda context, operator, *args, **kwargs: operator in policy_fn_or_list
    elif callable(policy_fn_or_list):
        policy = policy_fn_or_list
    else:
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    kept: dict[Any, dict[int, Any]] = defaultdict(dict)
    return Keeping(policy, kept), Taking(kept)


SAC_IGNORED_OPS = {overload("aten", "detach", "default")}
"""Operators excluded from policies: views have no kernel here."""
