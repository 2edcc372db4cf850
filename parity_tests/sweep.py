"""Runs torch's own samples of each op through torch and through mini_dl, and compares.

    python -m parity_tests.sweep [PATTERN ...] [--dtype float64 float32] [--check forward grad ...] [--json FILE] [-v] [-x]

A PATTERN is a glob over names of torch's table (``add``, ``nn.functional.*loss``, ``linalg.*``).
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from mini_dl.files.replacing import rewrite
from parity_tests import adapter, bridge, compare
from parity_tests.adapter import Entry, Sample
from parity_tests.bridge import Missing, NotApplicable

CHECKS = ("forward", "grad", "gradgrad", "inplace", "out", "method", "noncontiguous", "error")
PASS, FAIL, SKIP = "pass", "fail", "n/a"


@dataclass
class Outcome:
    """The outcome of one check of one sample."""

    entry: str
    dtype: str
    check: str
    number: int
    status: str
    why: str = ""
    script: str = ""


@dataclass
class Report:
    outcomes: list[Outcome] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    out_of_scope: dict[str, str] = field(default_factory=dict)

    def count(self, status: str) -> int:
        return sum(o.status == status for o in self.outcomes)


# ------------------------------------------------------------------------------------------------ one sample


class TorchRaised(Exception):
    """torch itself refuses this sample."""


def call(function: Any, *args: Any, **kwargs: Any) -> Any:
    bridge.seed(1234)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def theirs_or_raised(function: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return call(function, *args, **kwargs)
    except Exception as error:
        raise TorchRaised(f"torch raised {type(error).__name__}: {error}") from None


class Trial:
    """One sample run under both libraries: the results, and their gradients on request."""

    def __init__(self, theirs: Any, ours: Any, sample: Sample, sums: bool = False) -> None:
        self.functions, self.sample = (theirs, ours), sample
        arguments = sample.all_args, sample.kwargs
        self.their_args, self.their_kwargs = bridge.copy(arguments)
        self.our_args, self.our_kwargs = bridge.to_mini(arguments)
        self.result = theirs_or_raised(theirs, *self.their_args, **self.their_kwargs)
        self.answer = call(ours, *self.our_args, **self.our_kwargs)
        self.sums = sums

    def reference(self) -> compare.Exact | None:
        """The same call in float64, for the three-way judgment; None if it does not run."""
        if not hasattr(self, "_reference"):
            try:
                self._reference = compare.Exact(*self.widened(lambda wide, result, arguments: result))
            except Exception:
                self._reference = None
        return self._reference

    def widened(self, take: Any) -> list[Any]:
        """What `take` finds in the float64 call and, for a sum of products, in the call with all numbers made positive."""
        found = []
        for absolute in (False, True)[: 1 + self.sums]:
            arguments = bridge.copy((self.sample.all_args, self.sample.kwargs), double=True, absolute=absolute)
            result = call(self.functions[0], *arguments[0], **arguments[1])
            found.append(take(absolute, result, arguments))
        return found

    def forward(self, undetermined: bool = False, free_signs: bool = False) -> str | None:
        if undetermined:  # torch.empty: only the kind of the result is promised
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
        """Whether results share the memory of the inputs where torch's do, and only there."""
        for a, b in zip(bridge.tensors(self.answer), bridge.tensors(self.result)):
            if not b.numel():
                continue
            shared_b = any(b.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() for x in theirs)
            shared_a = any(
                np.may_share_memory(bridge.array(a), bridge.array(x)) or a.untyped_storage() == x.untyped_storage() for x in ours
            )
            if shared_a != shared_b:
                return f"the result {'shares' if shared_a else 'does not share'} memory with an input"
        return None

    def gradients(self, second: bool) -> str | None:
        result, answer = self.result, self.answer
        if self.sample.finish is not None:
            result = self.sample.finish(result)
            answer = bridge.translate(self.sample.finish)(answer)
        theirs = Derivatives(torch, result, (self.their_args, self.their_kwargs))
        if not theirs.outputs or not theirs.inputs:
            raise NotApplicable("nothing to differentiate")
        ours = Derivatives(bridge.mini_dl, answer, (self.our_args, self.our_kwargs), theirs)
        if len(ours.outputs) != len(theirs.outputs):
            return f"{len(ours.outputs)} differentiable results instead of {len(theirs.outputs)}"

        def reference(order: int) -> Any:
            def take(absolute: bool, result: Any, arguments: Any) -> Any:
                if self.sample.finish is not None:
                    result = self.sample.finish(result)
                made = Derivatives(torch, result, arguments, theirs, wide=True, absolute=absolute)
                return made.first(second) if order == 1 else (made.first(True), made.second())[1]

            try:
                return compare.Exact(*self.widened(take))
            except Exception:
                return None

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                expected = theirs.first(second)
            except Exception as error:
                raise TorchRaised(f"backward: {type(error).__name__}: {error}") from None
            found = ours.first(second)
            if why := same_gradients(found, expected, lambda: reference(1)):
                return why
            if not second:
                return None
            try:
                expected = theirs.second()
            except Exception as error:
                raise TorchRaised(f"second backward: {type(error).__name__}: {error}") from None
            if expected is None:
                raise NotApplicable("the gradient does not depend on the inputs")
            found = ours.second()
            return same_gradients(found, expected, lambda: reference(2), "second order ")


class Derivatives:
    """The gradients of one library's results; the random cotangents come from torch's side."""

    def __init__(
        self, library: Any, result: Any, arguments: Any, model: Any = None, wide: bool = False, absolute: bool = False
    ) -> None:
        self.library, self.model, self.wide, self.absolute = library, model, wide, absolute
        self.outputs = [t for t in bridge.tensors(result) if t.requires_grad]
        unique = {id(t): t for t in bridge.tensors(arguments) if t.requires_grad and t.is_leaf}
        self.inputs = list(unique.values())
        self.rng = np.random.default_rng(7)

    def draw(self, like: Any) -> Any:
        """A random cotangent of the shape and type of a torch tensor."""
        shape = tuple(like.shape)
        values = self.rng.standard_normal(shape) + 0.1
        if like.is_complex():
            values = values + 1j * self.rng.standard_normal(shape)
        return torch.from_numpy(np.asarray(values)).to(like.dtype)

    def adopt(self, cotangents: list[Any]) -> list[Any]:
        convert = bridge.copy if self.library is torch else bridge.to_mini
        return [bridge.copy(c, double=True, absolute=self.absolute) if self.wide else convert(c) for c in cotangents]

    def first(self, graph: bool) -> Any:
        if self.model is None:
            self.cotangents = [self.draw(out).requires_grad_(graph) for out in self.outputs]
            own = self.cotangents
        else:
            own = self.adopt([c.detach().requires_grad_(graph) for c in self.model.cotangents])
        self.own = own
        self.grads = self.library.autograd.grad(
            tuple(self.outputs), tuple(self.inputs), tuple(own), create_graph=graph, allow_unused=True
        )
        return self.grads

    def second(self) -> Any:
        if self.model is None:
            chosen = [i for i, g in enumerate(self.grads) if g is not None and g.requires_grad]
            self.chosen = chosen
            if not chosen:
                return None
            self.seconds = [self.draw(self.grads[i]) for i in chosen]
            own = self.seconds
        else:
            own = self.adopt(self.model.seconds)
        pairs = []
        for i, cotangent in zip((self.model or self).chosen, own):
            if self.grads[i] is not None and self.grads[i].requires_grad:
                pairs.append((self.grads[i], cotangent))
        targets = tuple(self.inputs + self.own)
        if not pairs:
            return (None,) * len(targets)
        return self.library.autograd.grad(tuple(p[0] for p in pairs), targets, tuple(p[1] for p in pairs), allow_unused=True)


def same_gradients(ours: Any, theirs: Any, reference: Any, word: str = "") -> str | None:
    """None differs from zeros: an optimizer ignores a parameter without gradient, and moves one whose gradient is zero."""
    if len(ours) != len(theirs):
        return f"{word}{len(ours)} gradients instead of {len(theirs)}"
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if a is None and b is None:
            continue
        if a is None or b is None:
            return f"{word}gradient {i} is {'None' if a is None else 'not None'}, torch's is {'not ' if a is None else ''}None"

        def exact(i: int = i) -> Any:
            found = reference()
            return None if found is None or found.result[i] is None else found[i]

        if why := compare.same(a, b, exact, None, f"{word}gradient {i}", grads=False):
            return why
    return None


# ------------------------------------------------------------------------------------------------ the checks


def check_inplace(entry: Entry, sample: Sample) -> str | None:
    """``x.f_(...)`` on a copy of the input: the same tensor comes back, with torch's values and gradients."""
    ran = False
    for name, theirs, ours in entry.inplace():
        if ours is None:
            return f"missing {name}"
        if not isinstance(sample.input, torch.Tensor):
            continue

        def on_copy(function: Any, cloned: list[Any]) -> Any:
            def run(input: Any, *args: Any, **kwargs: Any) -> Any:
                cloned.append(input.clone())
                out = function(cloned[-1], *args, **kwargs)  # noqa: B023
                return out, out is cloned[-1]

            return run

        left: list[Any] = []
        right: list[Any] = []
        args, kwargs = bridge.copy((sample.all_args, sample.kwargs))
        try:
            call(on_copy(theirs, left), *args, **kwargs)
        except Exception as error:
            our_args, our_kwargs = bridge.to_mini((sample.all_args, sample.kwargs))
            try:
                call(on_copy(ours, right), *our_args, **our_kwargs)
            except Exception as mine:
                if not same_exception(mine, type(error)):
                    return f"{name}: {type(mine).__name__} instead of {type(error).__name__}: {mine}"
                continue
            return f"{name}: no error where torch raises {type(error).__name__}: {error}"
        trial = Trial(on_copy(theirs, left), on_copy(ours, right), sample, entry.is_sum_of_products)
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


def check_out(entry: Entry, sample: Sample) -> str | None:
    """``f(..., out=tensor)``: `out` is returned with the result, whatever it held before, even if it must be resized."""
    if not entry.supports_out:
        raise NotApplicable("no out=")
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

            their_out = made(outs) if isinstance(outs, torch.Tensor) else tuple(made(t) for t in outs)
            our_out = bridge.to_mini(their_out)
            args, kwargs = bridge.copy((sample.all_args, sample.kwargs))
            theirs = theirs_or_raised(entry.theirs, *args, **kwargs, out=their_out)
            our_args, our_kwargs = bridge.to_mini((sample.all_args, sample.kwargs))
            ours = call(entry.ours, *our_args, **our_kwargs, out=our_out)
            if isinstance(theirs, torch.Tensor) and ours is not our_out:
                return "what comes back is not `out`"

            reference = Trial(entry.theirs, entry.ours, sample, entry.is_sum_of_products).reference
            if entry.has_free_signs and sample.finish is not None:
                finish = bridge.translate(sample.finish)
                ours, our_out, theirs, their_out = finish(ours), finish(our_out), sample.finish(theirs), sample.finish(their_out)
                reference = None
            if why := compare.same(ours, theirs, reference):
                return why
            if why := compare.same(our_out, their_out, reference):
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


def same_exception(error: BaseException, expected: type[BaseException]) -> bool:
    """In torch a NotImplementedError or a LinAlgError is also a RuntimeError, as in Python."""
    return isinstance(error, expected) or (
        type(error).__name__.lstrip("_") == expected.__name__.lstrip("_")
        and isinstance(error, tuple(b for b in expected.__bases__ if b is not object))
    )


def check_error(entry: Entry, error: adapter.ErrorSample) -> str | None:
    """The same exception type; the pattern of the message is counted apart."""
    sample = error.sample
    args, kwargs = bridge.copy((sample.all_args, sample.kwargs))
    our_args, our_kwargs = bridge.to_mini((sample.all_args, sample.kwargs))
    try:
        call(entry.theirs, *args, **kwargs)
    except Exception as theirs:
        if not isinstance(theirs, error.exception):
            raise NotApplicable("torch raised something else") from None
        if str(theirs).startswith("descriptor '") or isinstance(theirs, AttributeError):
            raise NotApplicable("Python refuses before torch does") from None
        raised = theirs
    else:
        raise NotApplicable("torch did not raise")
    try:
        call(entry.ours, *our_args, **our_kwargs)
    except Exception as ours:
        if not same_exception(ours, error.exception):
            return f"{type(ours).__name__}: {ours} -- instead of {type(raised).__name__}: {raised}"
        return None if re.search(error.pattern, str(ours)) else f"message: {ours} -- instead of: {raised}"
    return f"no error -- instead of {type(raised).__name__}: {raised}"


def sample_has_gradient(sample: Sample) -> bool:
    return any(t.requires_grad for t in bridge.tensors((sample.all_args, sample.kwargs)))


def judged(entry: Entry, dtype: str, check: str, number: int, run: Any, sample: Sample) -> Outcome:
    outcome = Outcome(repr(entry), dtype, check, number, PASS)
    try:
        why = run()
    except (NotApplicable, TorchRaised) as reason:
        outcome.status, outcome.why = SKIP, str(reason)[:300]
        return outcome
    except Missing as reason:
        why = f"missing {reason}"
    except RecursionError:
        why = "RecursionError"
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    if why:
        if why.startswith("message: "):
            outcome.check = "error message"
        outcome.status, outcome.why = FAIL, why
        outcome.script = script(entry, dtype, check, number, sample)
    return outcome


def run_entry(
    entry: Entry, dtype: str, checks: Any = CHECKS, only: int | None = None, limit: int | None = None
) -> Iterator[Outcome]:
    """Every check of every sample of one entry."""
    if dtype in entry.dtypes:
        differentiable = dtype in entry.gradient_dtypes
        for number, sample in enumerate(entry.samples(dtype, requires_grad=differentiable)):
            if (only is not None and number != only) or (limit is not None and number >= limit):
                continue
            yield from run_sample(entry, dtype, number, sample, checks, differentiable)
    if "error" in checks and dtype == "float32":
        for number, error in enumerate(entry.error_samples()):
            if only is None or number == only:
                yield judged(entry, dtype, "error", number, lambda error=error: check_error(entry, error), error.sample)


def run_sample(entry: Entry, dtype: str, number: int, sample: Sample, checks: Any, differentiable: bool) -> Iterator[Outcome]:
    ours, theirs = entry.ours, entry.theirs

    def judge(check: str, run: Any) -> Outcome:
        return judged(entry, dtype, check, number, run, sample)

    def gradient(second: bool) -> str | None:
        if not differentiable:
            raise NotApplicable("not differentiable")
        if second and not entry.supports_gradgrad:
            raise NotApplicable("no second order in torch")
        return Trial(theirs, ours, sample, entry.is_sum_of_products).gradients(second)

    def noncontiguous() -> str | None:
        if entry.name.startswith("as_strided"):
            raise NotApplicable("reads the memory behind its input")
        other = adapter.noncontiguous(sample)
        trial = Trial(theirs, ours, other, entry.is_sum_of_products)
        why = trial.forward(entry.undetermined, entry.has_free_signs)
        if why is None and differentiable:
            try:
                return trial.gradients(False)
            except (NotApplicable, TorchRaised):
                return None
        return why

    if "forward" in checks:
        yield judge(
            "forward",
            lambda: Trial(theirs, ours, sample, entry.is_sum_of_products).forward(entry.undetermined, entry.has_free_signs),
        )
    if "grad" in checks:
        yield judge("grad", lambda: gradient(False))
    if "gradgrad" in checks:
        yield judge("gradgrad", lambda: gradient(True))
    if "inplace" in checks:
        yield judge("inplace", lambda: check_inplace(entry, sample))
    if "out" in checks:
        yield judge("out", lambda: check_out(entry, sample))
    if "method" in checks:
        yield judge("method", lambda: check_method(entry, sample))
    if "noncontiguous" in checks:
        yield judge("noncontiguous", noncontiguous)


# ------------------------------------------------------------------------------------------------ what it prints


def literal(value: Any) -> str:
    """Source code that recreates a torch value."""
    if isinstance(value, torch.Tensor):
        plain = value.detach()
        if plain.numel() > 8 or plain.layout is not torch.strided:
            raise ValueError
        grad = ", requires_grad=True" if value.requires_grad else ""
        data = str(plain.tolist()).replace("nan", "float('nan')").replace("inf", "float('inf')")
        text = f"torch.tensor({data}, dtype={plain.dtype}{grad})"
        if not plain.numel():
            text = f"torch.empty({tuple(plain.shape)}, dtype={plain.dtype}{grad})"
        if not plain.is_contiguous():
            text += f"  # strides {plain.stride()}"
            raise ValueError
        return text
    if type(value) in (list, tuple):
        inner = ", ".join(literal(item) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    if isinstance(value, (torch.Size,)):
        return str(tuple(value))
    if isinstance(value, torch.device):
        return repr(str(value))
    if isinstance(value, float) and not np.isfinite(value):
        return f"float('{value}')"
    if value is None or isinstance(value, (bool, int, float, complex, str, slice, torch.dtype, type(...))):
        return repr(value)
    raise ValueError


def script(entry: Entry, dtype: str, check: str, number: int, sample: Sample) -> str:
    """A few lines that show the two answers."""
    again = f"# python -m parity_tests.sweep '{entry}' --dtype {dtype} --check {check} --sample {number}"
    try:
        inputs = ", ".join([literal(v) for v in sample.all_args] + [f"{k}={literal(v)}" for k, v in sample.kwargs.items()])
        name = entry.name
        if name.startswith("__") or not hasattr(torch, name.split(".")[0]):
            name = "Tensor." + name
        variants = {"inplace": f"torch.Tensor.{name.split('.')[-1]}_", "out": f"torch.{name}"}
        function = variants.get(check, f"torch.{name}")
        return f"{again}\nimport torch as real, mini_dl\nfor torch in (real, mini_dl):\n    print({function}({inputs}))"
    except Exception:
        method = "error_samples()" if check == "error" else f"samples({dtype!r}, {dtype in entry.gradient_dtypes})"
        pick = "error.sample" if check == "error" else "sample"
        first = pick.split(".")[0]
        return (
            f"{again}\nfrom parity_tests import adapter, bridge\n"
            f"entry = next(e for e in adapter.entries() if repr(e) == {repr(entry)!r})\n"
            f"{first} = list(entry.{method})[{number}]\n"
            f"print(entry.theirs(*{pick}.all_args, **{pick}.kwargs))\n"
            f"print(entry.ours(*bridge.to_mini({pick}.all_args), **bridge.to_mini({pick}.kwargs)))"
        )


def chosen(patterns: list[str]) -> list[Entry]:
    return [
        entry
        for entry in adapter.entries()
        if not patterns or any(fnmatch.fnmatchcase(repr(entry), p) or fnmatch.fnmatchcase(entry.name, p) for p in patterns)
    ]


def sweep(args: argparse.Namespace) -> Report:
    report = Report()
    if args.modules or args.optimizers:
        return sweep_classes(args, report)
    for entry in chosen(args.patterns):
        if not entry.resolves():
            if entry.out_of_scope:
                report.out_of_scope[repr(entry)] = entry.out_of_scope
            else:
                report.missing[repr(entry)] = "missing"
            continue
        began, first = time.perf_counter(), len(report.outcomes)
        for dtype in args.dtype:
            try:
                for outcome in run_entry(entry, dtype, args.check, args.sample, args.limit):
                    report.outcomes.append(outcome)
                    if args.stop and outcome.status == FAIL:
                        break
            except Exception as error:
                report.outcomes.append(Outcome(repr(entry), dtype, "samples", -1, SKIP, f"{type(error).__name__}: {error}"))
        show(report.outcomes[first:], repr(entry), time.perf_counter() - began, args.verbose)
        if args.stop and any(o.status == FAIL for o in report.outcomes[first:]):
            break
    return report


def sweep_classes(args: argparse.Namespace, report: Report) -> Report:
    """The modules or the optimizers of torch's tables."""
    from parity_tests.modules import run_module
    from parity_tests.optimizers import run_optimizer

    for entry in adapter.module_entries() if args.modules else adapter.optimizer_entries():
        if args.patterns and not any(fnmatch.fnmatchcase(n, p) for p in args.patterns for n in (entry.name, entry.name[3:])):
            continue
        if not entry.resolves():
            report.missing[repr(entry)] = "missing"
            continue
        began, first = time.perf_counter(), len(report.outcomes)
        for dtype in args.dtype:
            report.outcomes.extend(run_module(entry, dtype) if args.modules else run_optimizer(entry, dtype))
        show(report.outcomes[first:], repr(entry), time.perf_counter() - began, args.verbose)
        if args.stop and any(o.status == FAIL for o in report.outcomes[first:]):
            break
    return report


def show(outcomes: list[Outcome], name: str, seconds: float, verbose: bool) -> None:
    counts = Counter(o.status for o in outcomes)
    mark = "FAIL" if counts[FAIL] else "ok" if counts[PASS] else "none"
    print(f"{mark:4} {name:50} {counts[PASS]:5} pass {counts[FAIL]:5} fail {counts[SKIP]:5} n/a {seconds:6.1f}s", flush=True)
    seen = set()
    for outcome in outcomes:
        if verbose and outcome.status == SKIP:
            print(f"       n/a {outcome.dtype} {outcome.check} {outcome.number}: {outcome.why}")
        key = outcome.dtype, outcome.check
        if outcome.status != FAIL or key in seen:
            continue
        seen.add(key)
        total = sum(o.status == FAIL and (o.dtype, o.check) == key for o in outcomes)
        ran = sum(o.status != SKIP and (o.dtype, o.check) == key for o in outcomes)
        print(f"     {outcome.dtype} {outcome.check}: {total} of {ran}, first {outcome.number}: {outcome.why[:400]}")
        kind = outcome.check, outcome.why[:30]
        if kind not in seen:
            seen.add(kind)
            print("\n".join("         " + line for line in outcome.script.splitlines()))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*")
    parser.add_argument("--dtype", nargs="+", default=["float64", "float32"])
    parser.add_argument("--check", nargs="+", default=list(CHECKS), choices=CHECKS)
    parser.add_argument("--sample", type=int, help="only this sample")
    parser.add_argument("--limit", type=int, help="only the first samples")
    parser.add_argument("--modules", action="store_true", help="torch's table of modules instead of ops")
    parser.add_argument("--optimizers", action="store_true", help="torch's table of optimizers instead of ops")
    parser.add_argument("--json", help="where to write all outcomes")
    parser.add_argument("-v", "--verbose", action="store_true", help="also why samples were not applicable")
    parser.add_argument("-x", "--stop", action="store_true", help="stop at the first failure")
    args = parser.parse_args(argv)
    report = sweep(args)
    if report.missing:
        print(f"missing ({len(report.missing)}): {' '.join(report.missing)}")
    if report.out_of_scope:
        print(f"out of scope ({len(report.out_of_scope)}): {' '.join(report.out_of_scope)}")
    bad = {o.entry for o in report.outcomes if o.status == FAIL}
    ran = {o.entry for o in report.outcomes}
    print(
        f"{len(ran)} entries run, {len(bad)} with failures; {report.count(PASS)} pass, {report.count(FAIL)} fail, "
        f"{report.count(SKIP)} not applicable; {len(report.missing)} entries missing, {len(report.out_of_scope)} out of scope"
    )
    if args.json:
        rewrite(args.json, json.dumps(asdict(report), indent=1))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
