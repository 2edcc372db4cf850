"""Ops of torch's table under both libraries: every check of every sample."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from parity_tests import adapter, bridge, compare, forwards, mapped, variations, wrong_calls
from parity_tests.adapter import Entry, Sample
from parity_tests.bridge import NotApplicable
from parity_tests.judging import (
    Derivatives,
    Outcome,
    TorchRaised,
    call,
    check_error,
    judged,
    same_derivatives,
    same_exception,
    theirs_or_raised,
)
from parity_tests.reproducing import VARIED, command, script

CHECKS = (
    "forward",
    "grad",
    "gradgrad",
    "inplace",
    "out",
    "method",
    "noncontiguous",
    "forward_ad",
    "fwgrad_bwgrad",
    *mapped.CHECKS,
    "error",
)

REFERENCE_CHECKS = ("reference forward", "reference grad")
"""The checks of torch's reference inputs."""

# ------------------------------------------------------------------------------------------------ one sample


class InFloat64:
    """One sample under torch in float64, for the three-way comparison; its results when called, or None if it does not run."""

    def __init__(self, function: Any, sample: Sample, sums: bool) -> None:
        self.function, self.sample, self.sums = function, sample, sums

    def __call__(self) -> compare.Exact | None:
        return self.result

    @functools.cached_property
    def result(self) -> compare.Exact | None:
        return self.found(lambda absolute, result, arguments: result)

    def found(self, take: Any) -> compare.Exact | None:
        """The result of `take` for the call, and for a sum of products also for the call with all numbers made positive."""
        found = []
        try:
            for absolute in (False, True)[: 1 + self.sums]:
                arguments = bridge.copy((self.sample.all_args, self.sample.kwargs), double=True, absolute=absolute)
                result = call(self.function, *arguments[0], **arguments[1])
                found.append(take(absolute, result, arguments))
        except Exception:
            return None
        return compare.Exact(*found)


class Trial:
    """One sample run under both libraries: the results, and their gradients on request."""

    def __init__(self, theirs: Any, ours: Any, sample: Sample, sums: bool = False, reference: InFloat64 | None = None) -> None:
        self.sample = sample
        arguments = sample.all_args, sample.kwargs
        self.their_args, self.their_kwargs = bridge.copy(arguments)
        self.our_args, self.our_kwargs = bridge.to_mini(arguments)
        self.result = theirs_or_raised(theirs, *self.their_args, **self.their_kwargs)
        self.answer = call(ours, *self.our_args, **self.our_kwargs)
        self.reference = InFloat64(theirs, sample, sums) if reference is None else reference

    def forward(self, undetermined: bool = False, free_signs: bool = False) -> str | None:
        if undetermined:  # torch.empty: only the kind of the result is specified
            for tensor in bridge.tensors(self.answer) + bridge.tensors(self.result):
                with torch.no_grad(), bridge.mini_dl.no_grad():
                    tensor.zero_()
        answer, result, reference = self.answer, self.result, self.reference
        if free_signs and self.sample.finish is not None:
            kinds = [[(tuple(t.shape), bridge.name_of(t.dtype)) for t in bridge.tensors(side)] for side in (answer, result)]
            if kinds[0] != kinds[1]:
                return f"{kinds[0]} instead of {kinds[1]}"
            finish = self.sample.finish
            answer, result = bridge.translate(finish)(answer), finish(result)
            reference = lambda: (exact := self.reference()) and compare.Exact(finish(exact.result))
        if why := compare.same(answer, result, reference):
            return why
        theirs, ours = bridge.tensors((self.their_args, self.their_kwargs)), bridge.tensors((self.our_args, self.our_kwargs))
        for i, (a, b) in enumerate(zip(ours, theirs)):
            if why := compare.tensor(a, b, None):
                return f"argument {i} after the call: {why}"
        return self.views(ours, theirs)

    def views(self, ours: list[Any], theirs: list[Any]) -> str | None:
        """Whether results share the memory of the inputs exactly if torch's do."""
        for a, b in zip(bridge.tensors(self.answer), bridge.tensors(self.result)):
            if not b.numel() or b.layout is not torch.strided:
                continue
            shared_b = any(b.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() for x in theirs)
            shared_a = any(
                np.may_share_memory(bridge.array(a), bridge.array(x)) or a.untyped_storage() == x.untyped_storage() for x in ours
            )
            if shared_a != shared_b:
                return f"the result {'shares' if shared_a else 'does not share'} memory with an input"
        return None

    def gradients(self, second: bool) -> str | None:
        finish = self.sample.finish
        result, answer = self.result, self.answer
        if finish is not None:
            result, answer = finish(result), bridge.translate(finish)(answer)
        theirs = Derivatives(torch, result, (self.their_args, self.their_kwargs))
        ours = Derivatives(bridge.mini_dl, answer, (self.our_args, self.our_kwargs), theirs)

        def exact(order: int) -> compare.Exact | None:
            def take(absolute: bool, result: Any, arguments: Any) -> Any:
                result = result if finish is None else finish(result)
                return Derivatives(torch, result, arguments, theirs, wide=True, absolute=absolute).of_order(order, second)

            return self.reference.found(take)

        return same_derivatives(theirs, ours, second, exact)


# ------------------------------------------------------------------------------------------------ checks


def on_copy(function: Any) -> Any:
    """`function` on a copy of its input; with its result, whether that is the copy."""

    def run(input: Any, *args: Any, **kwargs: Any) -> Any:
        copy = input.clone()
        out = function(copy, *args, **kwargs)
        return out, out is copy

    return run


def same_refusal(theirs: BaseException, run: Any) -> str | None:
    """Why `run` does not raise what torch raised."""
    try:
        run()
    except Exception as ours:
        if same_exception(ours, type(theirs)):
            return None
        return f"{type(ours).__name__} instead of {type(theirs).__name__}: {ours}"
    return f"no error where torch raises {type(theirs).__name__}: {theirs}"


def check_inplace(entry: Entry, sample: Sample) -> str | None:
    """``x.f_(...)`` on a copy of the input: the same tensor is returned, with torch's values and gradients."""
    ran = False
    for name, theirs, ours in entry.inplace():
        if ours is None:
            return f"missing {name}"
        if not isinstance(sample.input, torch.Tensor):
            continue
        ours = on_copy(ours)
        try:
            trial = Trial(on_copy(theirs), ours, sample, entry.is_sum_of_products)
        except TorchRaised as refused:
            args, kwargs = bridge.to_mini((sample.all_args, sample.kwargs))
            if why := same_refusal(refused.__cause__, partial(call, ours, *args, **kwargs)):
                return f"{name}: {why}"
            continue
        ran = True
        if why := trial.forward():
            return f"{name}: {why}"
        if sample_has_gradient(sample):
            try:
                trial.sample = Sample(sample.input, sample.args, sample.kwargs)
                if why := trial.gradients(False):
                    return f"{name}: {why}"
            except (NotApplicable, TorchRaised):
                pass
    if not ran:
        raise NotApplicable("no in-place variant for this sample")
    return None


def check_out(entry: Entry, sample: Sample, reference: InFloat64) -> str | None:
    """``f(..., out=tensor)``: `out` is returned with the result, regardless of its previous contents, even if it must be
    resized.
    """
    if not entry.supports_out:
        raise NotApplicable("no out=")
    if entry.undetermined:
        raise NotApplicable("uninitialized memory")
    with torch.no_grad(), bridge.mini_dl.no_grad():
        args, kwargs = bridge.copy((sample.all_args, sample.kwargs))
        expected = theirs_or_raised(entry.theirs, *args, **kwargs)
        outs = tuple(expected) if isinstance(expected, (tuple, list)) else expected
        if not bridge.tensors(outs) or len(bridge.tensors(outs)) != (1 if isinstance(outs, torch.Tensor) else len(outs)):
            raise NotApplicable("no tensors come back")
        for fill in (1, 77):

            def made(like: torch.Tensor, fill: int = fill) -> torch.Tensor:
                shape = like.shape if fill == 1 else (0,)
                return torch.full(shape, fill, dtype=like.dtype)

            def all_made() -> Any:
                return made(outs) if isinstance(outs, torch.Tensor) else tuple(made(t) for t in outs)

            their_out, our_out = all_made(), bridge.to_mini(all_made())  # of its own: torch cannot resize what NumPy looks at
            args, kwargs = bridge.copy((sample.all_args, sample.kwargs))
            theirs = theirs_or_raised(entry.theirs, *args, **kwargs, out=their_out)
            our_args, our_kwargs = bridge.to_mini((sample.all_args, sample.kwargs))
            ours = call(entry.ours, *our_args, **our_kwargs, out=our_out)
            if isinstance(theirs, torch.Tensor) and ours is not our_out:
                return "what comes back is not `out`"
            exact: InFloat64 | None = reference
            if entry.has_free_signs and sample.finish is not None:
                finish = bridge.translate(sample.finish)
                ours, our_out, theirs, their_out = finish(ours), finish(our_out), sample.finish(theirs), sample.finish(their_out)
                exact = None
            if why := compare.same(ours, theirs, exact):
                return why
            if why := compare.same(our_out, their_out, exact):
                return f"out: {why}"
    return None


def check_method(entry: Entry, sample: Sample) -> str | None:
    """Every other spelling: methods, operators, aliases."""
    ran = False
    for name, theirs, ours in entry.aliases():
        if ours is None:
            return f"missing {name}"
        try:
            trial = Trial(theirs, ours, sample, entry.is_sum_of_products)
        except TorchRaised:
            continue
        ran = True
        if why := trial.forward(entry.undetermined, entry.has_free_signs):
            return f"{name}: {why}"
    if not ran:
        raise NotApplicable("no other spelling")
    return None


def check_noncontiguous(entry: Entry, sample: Sample, differentiable: bool) -> str | None:
    """The same call over tensors that are not contiguous."""
    if entry.name.startswith("as_strided"):
        raise NotApplicable("reads the memory behind its input")
    trial = Trial(entry.theirs, entry.ours, adapter.noncontiguous(sample), entry.is_sum_of_products)
    why = trial.forward(entry.undetermined, entry.has_free_signs)
    if why is None and differentiable:
        try:
            return trial.gradients(False)
        except (NotApplicable, TorchRaised):
            return None
    return why


def check_refusal(entry: Entry, error: adapter.ErrorSample) -> str | None:
    arguments = error.sample.all_args, error.sample.kwargs
    args, kwargs = bridge.copy(arguments)
    our_args, our_kwargs = bridge.to_mini(arguments)
    theirs, ours = partial(call, entry.theirs, *args, **kwargs), partial(call, entry.ours, *our_args, **our_kwargs)
    return check_error(error.exception, error.pattern, theirs, ours)


def sample_has_gradient(sample: Sample) -> bool:
    return any(t.requires_grad for t in bridge.tensors((sample.all_args, sample.kwargs)))


def run_entry(
    entry: Entry, dtype: str, checks: Any = CHECKS, only: int | None = None, limit: int | None = None
) -> Iterator[Outcome]:
    """Every check of every sample of one entry."""
    if dtype in entry.dtypes:
        differentiable = dtype in entry.gradient_dtypes
        for number, sample in enumerate(entry.samples(dtype, requires_grad=differentiable)):
            if (only is not None and number != only) or (limit is not None and number >= limit):
                continue
            tried = checks_of(entry, sample, differentiable, forwards.is_tried(number, dtype))
            for check, run in {**tried, **mapped.checks_of(entry, sample, number)}.items():
                if check in checks:
                    yield judged_sample(entry, dtype, check, number, sample, run)
    if dtype == wrong_calls.typical_dtype(entry):
        if "error" in checks:
            for number, error in enumerate(entry.error_samples()):
                if only is None or number == only:
                    yield judged_sample(entry, dtype, "error", number, error.sample, partial(check_refusal, entry, error))
        if variations.takes_part(entry):
            yield from run_variations(entry, dtype, checks, only)


def run_variations(entry: Entry, dtype: str, checks: Any, only: int | None) -> Iterator[Outcome]:
    """The results of calls with fewer arguments, and what is said to wrong ones."""
    if "forward" in checks:
        for number, sample in enumerate(variations.shorter_samples(entry, dtype), VARIED):
            if only is None or number == only:
                forward = checks_of(entry, sample, False, False)["forward"]
                yield judged_sample(entry, dtype, "forward", number, sample, forward)
    if "error" in checks:
        for number, call in enumerate(variations.misuses(entry, dtype), VARIED):
            if only is None or number == only:
                outcome = Outcome(repr(entry), dtype, "error", number)
                yield judged(outcome, partial(variations.check_misuse, call), partial(command, entry, dtype, "error", number))


def run_references(entry: Entry, dtype: str, number: int | None = None) -> Iterator[Outcome]:
    """Results and gradients of `number` of torch's reference inputs, or of all."""
    differentiable = dtype in entry.gradient_dtypes
    for i, sample in enumerate(entry.reference_samples(dtype, differentiable, number)):
        tried = checks_of(entry, sample, differentiable, False)
        for check in REFERENCE_CHECKS:
            yield judged_sample(entry, dtype, check, i, sample, tried[check.removeprefix("reference ")])


def judged_sample(entry: Entry, dtype: str, check: str, number: int, sample: Sample, run: Any) -> Outcome:
    return judged(Outcome(repr(entry), dtype, check, number), run, partial(script, entry, dtype, check, number, sample))


def checks_of(entry: Entry, sample: Sample, differentiable: bool, forwards_too: bool) -> dict[str, Callable[[], str | None]]:
    """Every check of one sample by its name. Result and first gradient are those of one call; the second order needs another."""
    reference = InFloat64(entry.theirs, sample, entry.is_sum_of_products)

    def tried() -> Trial:
        return Trial(entry.theirs, entry.ours, sample, reference=reference)

    first = functools.cache(tried)

    def grad() -> str | None:
        if not differentiable:
            raise NotApplicable("not differentiable")
        return first().gradients(False)

    def gradgrad() -> str | None:
        if not differentiable:
            raise NotApplicable("not differentiable")
        if not entry.supports_gradgrad:
            raise NotApplicable("no second order in torch")
        return tried().gradients(True)

    def forward_ad(check: Callable[[Entry, Sample], str | None]) -> str | None:
        if not (differentiable and forwards_too):
            raise NotApplicable("not differentiable, or a sample that is not tried")
        return check(entry, sample)

    return {
        "forward_ad": lambda: forward_ad(forwards.check_forward_ad),
        "fwgrad_bwgrad": lambda: forward_ad(forwards.check_fwgrad_bwgrad),
        "forward": lambda: first().forward(entry.undetermined, entry.has_free_signs),
        "grad": grad,
        "gradgrad": gradgrad,
        "inplace": lambda: check_inplace(entry, sample),
        "out": lambda: check_out(entry, sample, reference),
        "method": lambda: check_method(entry, sample),
        "noncontiguous": lambda: check_noncontiguous(entry, sample, differentiable),
    }
