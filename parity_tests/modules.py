"""Modules of torch's table under both libraries: parameters, output, gradients, buffers, repr, bad input."""

from __future__ import annotations

import copy
import functools
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from parity_tests import bridge, compare
from parity_tests.adapter import ModuleEntry, ModuleSample
from parity_tests.bridge import Missing, NotApplicable
from parity_tests.sweep import (
    FAIL,
    PASS,
    SKIP,
    Derivatives,
    Outcome,
    TorchRaised,
    call,
    same_exception,
    same_gradients,
    theirs_or_raised,
)

CHECKS = ("construct", "forward", "grad", "gradgrad", "buffers", "error")


class Pair:
    """One module made under both libraries from one seed, then called with one input."""

    def __init__(self, entry: ModuleEntry, sample: ModuleSample, dtype: str, training: bool) -> None:
        self.entry, self.sample = entry, sample
        self.theirs = theirs_or_raised(entry.theirs, *sample.args, **sample.kwargs)
        self.ours = call(entry.ours, *bridge.to_mini(sample.args), **bridge.to_mini(sample.kwargs))
        self.constructed = None if entry.lazy else self.state()
        if dtype != "float32":
            self.theirs.to(getattr(torch, dtype))
            self.ours.to(getattr(bridge.mini_dl, dtype))
        self.theirs.train(training)
        self.ours.train(training)
        if not entry.lazy:  # random initial values agree to 2.4e-7; from here on they are identical
            self.ours.load_state_dict(bridge.to_mini(dict(self.theirs.state_dict())))

    def state(self) -> str | None:
        """Parameters and buffers: names, order, values, requires_grad; the repr."""
        if repr(self.ours) != repr(self.theirs):
            return f"repr {self.ours!r} instead of {self.theirs!r}"
        if list(self.ours.state_dict()) != list(self.theirs.state_dict()):
            return f"state_dict {list(self.ours.state_dict())} instead of {list(self.theirs.state_dict())}"
        for kind in ("named_parameters", "named_buffers", "named_modules"):
            ours, theirs = dict(getattr(self.ours, kind)()), dict(getattr(self.theirs, kind)())
            if list(ours) != list(theirs):
                return f"{kind} {list(ours)} instead of {list(theirs)}"
            for name in theirs:
                if kind == "named_modules":
                    if type(ours[name]).__name__ != type(theirs[name]).__name__:
                        return f"{name}: {type(ours[name]).__name__} instead of {type(theirs[name]).__name__}"
                elif why := compare.same(ours[name], theirs[name], where=name):
                    return why
        return None

    def run(self) -> None:
        self.wide = None if self.entry.lazy else copy.deepcopy(self.theirs).double()
        self.given = bridge.copy((self.sample.inputs, self.sample.keywords))
        self.given_ours = bridge.to_mini((self.sample.inputs, self.sample.keywords))
        self.result = theirs_or_raised(self.theirs, *self.given[0], **self.given[1])
        self.answer = call(self.ours, *self.given_ours[0], **self.given_ours[1])
        if self.entry.lazy:  # now it has its parameters
            self.wide = copy.deepcopy(self.theirs).double()

    def reference(self) -> compare.Exact | None:
        """The same call in float64, for the three-way judgment."""
        if self.wide is None:
            return None
        if not hasattr(self, "_reference"):
            try:
                self.given_wide = bridge.copy((self.sample.inputs, self.sample.keywords), double=True)
                self._reference = compare.Exact(call(self.wide, *self.given_wide[0], **self.given_wide[1]))
            except Exception:
                self._reference = None
        return self._reference

    def forward(self) -> str | None:
        return compare.same(self.answer, self.result, self.reference)

    def buffers(self) -> str | None:
        ours, theirs = dict(self.ours.named_buffers()), dict(self.theirs.named_buffers())
        if self.entry.lazy and (why := self.state()):
            return why
        if not theirs and not self.entry.lazy:
            raise NotApplicable("no buffers")
        return compare.same(ours, theirs)

    def gradients(self, second: bool) -> str | None:
        theirs = Derivatives(torch, self.result, (self.given, list(self.theirs.parameters())))
        if not theirs.outputs or not theirs.inputs:
            raise NotApplicable("nothing to differentiate")
        ours = Derivatives(bridge.mini_dl, self.answer, (self.given_ours, list(self.ours.parameters())), theirs)
        if len(ours.outputs) != len(theirs.outputs) or len(ours.inputs) != len(theirs.inputs):
            found, wanted = ((len(side.outputs), len(side.inputs)) for side in (ours, theirs))
            return f"{found} differentiable (outputs, inputs) instead of {wanted}"

        @functools.cache  # a second run would find a freed graph
        def exact(order: int) -> Any:
            wide = self.reference()
            if wide is None:
                return None
            made = Derivatives(torch, wide.result, (self.given_wide, list(self.wide.parameters())), theirs, wide=True)
            return compare.Exact(made.first(second) if order == 1 else (made.first(True), made.second())[1])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                expected = theirs.first(second)
            except Exception as error:
                raise TorchRaised(f"backward: {error}") from None
            if why := same_gradients(ours.first(second), expected, lambda: exact(1)):
                return why
            if not second:
                return None
            try:
                expected = theirs.second()
            except Exception as error:
                raise TorchRaised(f"second backward: {error}") from None
            if expected is None:
                raise NotApplicable("the gradient does not depend on the inputs")
            return same_gradients(ours.second(), expected, lambda: exact(2), "second order ")


def run_module(entry: ModuleEntry, dtype: str, checks: Any = CHECKS) -> Iterator[Outcome]:
    """Every check of every input of one module, in training and in evaluation."""
    if dtype in entry.dtypes:
        for training in (True, False):
            for number, sample in enumerate(entry.samples(dtype, training)):
                yield from run_sample(entry, dtype, training, number + (0 if training else 1000), sample, checks)
    if "error" in checks and dtype == "float32":
        for number, error in enumerate(entry.error_samples()):
            yield judged(entry, dtype, "error", number, lambda error=error: check_error(entry, error))


def run_sample(
    entry: ModuleEntry, dtype: str, training: bool, number: int, sample: ModuleSample, checks: Any
) -> Iterator[Outcome]:
    def fresh() -> Pair:
        pair = Pair(entry, sample, dtype, training)
        pair.run()
        return pair

    made: list[Pair] = []

    def construct() -> str | None:
        made.append(Pair(entry, sample, dtype, training))
        return made[0].constructed

    def forward() -> str | None:
        made[0].run()
        made.append(made[0])
        return made[0].forward()

    def second() -> str | None:
        if not entry.info.supports_gradgrad:
            raise NotApplicable("no second order in torch")
        return fresh().gradients(True)

    yield judged(entry, dtype, "construct", number, construct)
    if not made:
        return
    outcome = judged(entry, dtype, "forward", number, forward)
    if "forward" in checks:
        yield outcome
    if len(made) < 2:
        return
    if "grad" in checks:
        yield judged(entry, dtype, "grad", number, lambda: made[0].gradients(False))
    if "buffers" in checks:
        yield judged(entry, dtype, "buffers", number, made[0].buffers)
    if "gradgrad" in checks:
        yield judged(entry, dtype, "gradgrad", number, second)


def check_error(entry: ModuleEntry, error: Any) -> str | None:
    def build_and_call(cls: Any, convert: Any) -> None:
        sample = error.sample
        module = call(cls, *convert(sample.args), **convert(sample.kwargs))
        if not error.in_constructor:
            call(module, *convert(sample.inputs), **convert(sample.keywords))

    try:
        build_and_call(entry.theirs, bridge.copy)
    except Exception as theirs:
        if not isinstance(theirs, error.exception):
            raise NotApplicable("torch raised something else") from None
        raised = theirs
    else:
        raise NotApplicable("torch did not raise")
    try:
        build_and_call(entry.ours, bridge.to_mini)
    except Exception as ours:
        if not same_exception(ours, error.exception):
            return f"{type(ours).__name__}: {ours} -- instead of {type(raised).__name__}: {raised}"
        return None if re.search(error.pattern, str(ours)) else f"message: {ours} -- instead of: {raised}"
    return f"no error -- instead of {type(raised).__name__}: {raised}"


def judged(entry: Any, dtype: str, check: str, number: int, run: Any) -> Outcome:
    outcome = Outcome(repr(entry), dtype, check, number, PASS)
    try:
        why = run()
    except (NotApplicable, TorchRaised) as reason:
        outcome.status, outcome.why = SKIP, str(reason)[:300]
        return outcome
    except Missing as reason:
        why = f"missing {reason}"
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    if why:
        if why.startswith("message: "):
            outcome.check = "error message"
        outcome.status, outcome.why = FAIL, why
        flag = "--optimizers" if repr(entry).startswith("optim.") else "--modules"
        outcome.script = f"# python -m parity_tests.sweep {flag} '{entry!r}' --dtype {dtype}   (input {number})"
    return outcome
