"""A machine of in-place and view operations: after any sequence both libraries hold the same values, versions and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from parity_tests import bridge, compare

VIEWS = {
    "row": lambda t: t[0] if t.ndim and len(t) else t,
    "tail": lambda t: t[1:] if t.ndim else t,
    "step": lambda t: t[..., ::2] if t.ndim else t,
    "transpose": lambda t: t.transpose(0, -1) if t.ndim else t,
    "flatten": lambda t: t.reshape(-1),
    "unsqueeze": lambda t: t.unsqueeze(0),
    "diagonal": lambda t: t.diagonal() if t.ndim == 2 else t,
    "narrow": lambda t: t.narrow(0, 0, 1) if t.ndim and len(t) else t,
    "squeeze": lambda t: t.squeeze(),
}
WRITES = {
    "add": lambda t, v: t.add_(1.5),
    "mul": lambda t, v: t.mul_(v),
    "sin": lambda t, v: t.sin_(),
    "fill": lambda t, v: t.fill_(0.5),
    "zero": lambda t, v: t.zero_(),
    "copy": lambda t, v: t.copy_(v),
    "set first": lambda t, v: t.__setitem__(0, v) if t.ndim and len(t) else t.add_(v),
    "masked": lambda t, v: t.masked_fill_(t.detach() > 0, 2.0),
    "neg": lambda t, v: t.neg_(),
    "sub row": lambda t, v: t.sub_(v * 2),
}


class Both:
    """The same tensors under both libraries."""

    def __init__(self) -> None:
        array = np.random.default_rng(0).standard_normal((3, 4))
        self.leaf = (
            torch.from_numpy(array.copy()).requires_grad_(),
            bridge.to_mini(torch.from_numpy(array.copy())).requires_grad_(),
        )
        weight = torch.tensor(0.7, dtype=torch.float64)
        self.weight = weight.clone().requires_grad_(), bridge.to_mini(weight).requires_grad_()
        self.pool: list[tuple[Any, Any]] = [(self.leaf[0] * 1, self.leaf[1] * 1)]


def attempt(action: Any) -> tuple[Any, str]:
    try:
        return action(), ""
    except Exception as error:
        return None, type(error).__name__


class Machine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.both = Both()

    def pick(self, number: int) -> tuple[Any, Any]:
        return self.both.pool[number % len(self.both.pool)]

    @rule(number=st.integers(0, 7), name=st.sampled_from(sorted(VIEWS)))
    def view(self, number: int, name: str) -> None:
        theirs, ours = self.pick(number)
        (a, why), (b, mine) = attempt(lambda: VIEWS[name](theirs)), attempt(lambda: VIEWS[name](ours))
        assert why == mine, f"{mine} instead of {why}"
        if not why and len(self.both.pool) < 8:
            self.both.pool.append((a, b))

    @rule(number=st.integers(0, 7), name=st.sampled_from(sorted(WRITES)))
    def write(self, number: int, name: str) -> None:
        theirs, ours = self.pick(number)
        _, why = attempt(lambda: WRITES[name](theirs, self.both.weight[0]))
        _, mine = attempt(lambda: WRITES[name](ours, self.both.weight[1]))
        assert why == mine, f"{mine} instead of {why}"

    @rule(number=st.integers(0, 7))
    def compute(self, number: int) -> None:
        theirs, ours = self.pick(number)
        if len(self.both.pool) < 8:
            self.both.pool.append((theirs.cos(), ours.cos()))

    @rule(number=st.integers(0, 7))
    def write_without_recording(self, number: int) -> None:
        theirs, ours = self.pick(number)
        with torch.no_grad(), bridge.mini_dl.no_grad():
            _, why = attempt(lambda: theirs.mul_(0.9))
            _, mine = attempt(lambda: ours.mul_(0.9))
        assert why == mine

    @invariant()
    def same_values(self) -> None:
        for theirs, ours in self.both.pool if hasattr(self, "both") else ():
            assert (why := compare.same(ours, theirs)) is None, why
            assert ours._version == theirs._version

    def teardown(self) -> None:
        """The gradient through everything that happened."""
        if not hasattr(self, "both"):
            return

        def gradients(side: int) -> Any:
            library = (torch, bridge.mini_dl)[side]
            total = sum((pair[side] * (i + 1) * pair[side].detach().cos()).sum() for i, pair in enumerate(self.both.pool))
            return library.autograd.grad(total, (self.both.leaf[side], self.both.weight[side]), allow_unused=True)

        (theirs, why), (ours, mine) = attempt(lambda: gradients(0)), attempt(lambda: gradients(1))
        assert why == mine, f"backward: {mine or 'no error'} instead of {why or 'no error'}"
        if not why:
            for a, b in zip(ours, theirs):
                if a is None or b is None:
                    assert np.all(bridge.array(b if a is None else a) == 0) if (a is None) != (b is None) else True
                else:
                    assert (found := compare.same(a, b)) is None, found


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=120, stateful_step_count=14, derandomize=True, deadline=None, database=None)
