"""Modules of torch's table under both libraries: parameters, output, gradients, buffers, repr, bad input."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from parity_tests import bridge, compare
from parity_tests.adapter import ModuleEntry, ModuleError, ModuleSample
from parity_tests.bridge import NotApplicable
from parity_tests.judging import (
    Derivatives,
    Outcome,
    call,
    check_error,
    judged,
    same_derivatives,
    theirs_or_raised,
)

CHECKS = ("construct", "forward", "grad", "gradgrad", "buffers", "error")


class Pair:
    """One module made under both libraries from one seed, then called with one input."""

    def __init__(self, entry: ModuleEntry, sample: ModuleSample, dtype: str, training: bool) -> None:
        self.entry, self.sample = entry, sample
        self.theirs = theirs_or_raised(entry.theirs, *sample.args, **sample.kwargs)
        self.ours = call(entry.ours, *bridge.to_mini(sample.args), **bridge.to_mini(sample.kwargs))
        self.ran = False
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
        self.ran = True

    @functools.cached_property
    def exact(self) -> compare.Exact | None:
        try:
            self.given_wide = bridge.copy((self.sample.inputs, self.sample.keywords), double=True)
            return compare.Exact(call(self.wide, *self.given_wide[0], **self.given_wide[1]))
        except Exception:
            return None

    def reference(self) -> compare.Exact | None:
        """The same call in float64, for the three-way comparison; None if it does not run."""
        return self.exact

    def forward(self) -> str | None:
        self.run()
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
        ours = Derivatives(bridge.mini_dl, self.answer, (self.given_ours, list(self.ours.parameters())), theirs)

        def exact(order: int) -> compare.Exact | None:
            wide = self.reference()
            if wide is None:
                return None
            made = Derivatives(torch, wide.result, (self.given_wide, list(self.wide.parameters())), theirs, wide=True)
            return compare.Exact(made.of_order(order, second))

        return same_derivatives(theirs, ours, second, exact)


def run_module(entry: ModuleEntry, dtype: str, checks: Any = CHECKS) -> Iterator[Outcome]:
    """Every check of every input of one module, in training and in evaluation."""
    if dtype in entry.dtypes:
        for training in (True, False):
            for number, sample in enumerate(entry.samples(dtype, training)):
                yield from run_sample(entry, dtype, training, number, sample, checks)
    if "error" in checks and dtype == "float32":
        for number, error in enumerate(entry.error_samples()):
            yield judged_module(entry, dtype, "error", number, partial(check_refusal, entry, error))


def run_sample(
    entry: ModuleEntry, dtype: str, training: bool, number: int, sample: ModuleSample, checks: Any
) -> Iterator[Outcome]:
    pair: Pair | None = None

    def judge(check: str, run: Callable[[], str | None]) -> Outcome:
        return judged_module(entry, dtype, check, number, run, evaluation=not training)

    def construct() -> str | None:
        nonlocal pair
        pair = Pair(entry, sample, dtype, training)
        return pair.constructed

    def gradgrad() -> str | None:
        if not entry.info.supports_gradgrad:
            raise NotApplicable("no second order in torch")
        other = Pair(entry, sample, dtype, training)
        other.run()
        return other.gradients(True)

    yield judge("construct", construct)
    if pair is None:
        return
    outcome = judge("forward", pair.forward)
    if "forward" in checks:
        yield outcome
    if not pair.ran:
        return
    if "grad" in checks:
        yield judge("grad", lambda: pair.gradients(False))
    if "buffers" in checks:
        yield judge("buffers", pair.buffers)
    if "gradgrad" in checks:
        yield judge("gradgrad", gradgrad)


def judged_module(
    entry: ModuleEntry, dtype: str, check: str, number: int, run: Callable[[], str | None], evaluation: bool = False
) -> Outcome:
    def again() -> str:
        return f"# python -m parity_tests.sweep --modules '{entry!r}' --dtype {dtype}   (input {outcome.place})"

    outcome = Outcome(repr(entry), dtype, check, number, evaluation=evaluation)
    return judged(outcome, run, again)


def check_refusal(entry: ModuleEntry, error: ModuleError) -> str | None:
    def build_and_call(cls: Any, convert: Any) -> None:
        sample = error.sample
        module = call(cls, *convert(sample.args), **convert(sample.kwargs))
        if not error.in_constructor:
            call(module, *convert(sample.inputs), **convert(sample.keywords))

    theirs, ours = partial(build_and_call, entry.theirs, bridge.copy), partial(build_and_call, entry.ours, bridge.to_mini)
    return check_error(error.exception, error.pattern, theirs, ours)
