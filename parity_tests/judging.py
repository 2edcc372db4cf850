"""Running one sample under both libraries and deciding: outcomes, derivatives, exceptions."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from parity_tests import bridge, compare
from parity_tests.bridge import Missing, NotApplicable

PASS, FAIL, SKIP = "pass", "fail", "n/a"


@dataclass
class Outcome:
    """The outcome of one check of one sample."""

    entry: str
    dtype: str
    check: str
    number: int
    status: str = PASS
    why: str = ""
    script: str = ""
    evaluation: bool = False  # a module in evaluation mode

    @property
    def place(self) -> str:
        """The number of the sample; a module has separate samples in evaluation mode."""
        return f"{self.number} in evaluation" if self.evaluation else str(self.number)


def judged(outcome: Outcome, run: Callable[[], str | None], script: Callable[[], str]) -> Outcome:
    """`outcome` after the check `run`, which returns why it fails or None; `script` shows a failure again."""
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
        outcome.status, outcome.why, outcome.script = FAIL, why, script()
        if why.startswith("message: "):
            outcome.check = "error message"
    return outcome


# ------------------------------------------------------------------------------------------------ calls and exceptions


class TorchRaised(Exception):
    """torch itself rejects this sample."""


def call(function: Any, *args: Any, **kwargs: Any) -> Any:
    bridge.seed(1234)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def theirs_or_raised(function: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return call(function, *args, **kwargs)
    except Exception as error:
        raise TorchRaised(f"torch raised {type(error).__name__}: {error}") from error


def same_exception(error: BaseException, expected: type[BaseException]) -> bool:
    """torch lets a NotImplementedError be a RuntimeError and a LinAlgError too, as Python does."""
    return isinstance(error, expected) or (
        type(error).__name__.lstrip("_") == expected.__name__.lstrip("_")
        and isinstance(error, tuple(b for b in expected.__bases__ if b is not object))
    )


def check_error(expected: type[BaseException], pattern: str, theirs: Callable[[], Any], ours: Callable[[], Any]) -> str | None:
    """Whether both raise the exception of torch's table; the pattern of the message is counted apart."""
    try:
        theirs()
    except Exception as error:
        if not isinstance(error, expected):
            raise NotApplicable("torch raised something else") from None
        if str(error).startswith("descriptor '") or isinstance(error, AttributeError):
            raise NotApplicable("Python refuses before torch does") from None
        raised = f"{type(error).__name__}: {error}"
    else:
        raise NotApplicable("torch did not raise")
    try:
        ours()
    except Exception as error:
        if not same_exception(error, expected):
            return f"{type(error).__name__}: {error} -- instead of {raised}"
        return None if re.search(pattern, str(error)) else f"message: {error} -- instead of: {raised}"
    return f"no error -- instead of {raised}"


# ------------------------------------------------------------------------------------------------ derivatives


def draw(rng: np.random.Generator, like: torch.Tensor) -> torch.Tensor:
    """A random direction of the shape and type of a torch tensor."""
    shape = tuple(like.shape)
    values = rng.standard_normal(shape) + 0.1
    if like.is_complex():
        values = values + 1j * rng.standard_normal(shape)
    return torch.from_numpy(np.asarray(values)).to(like.dtype)


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

    def adopt(self, cotangents: list[Any]) -> list[Any]:
        convert = bridge.copy if self.library is torch else bridge.to_mini
        return [bridge.copy(c, double=True, absolute=self.absolute) if self.wide else convert(c) for c in cotangents]

    def first(self, graph: bool) -> Any:
        if self.model is None:
            self.cotangents = [draw(self.rng, out).requires_grad_(graph) for out in self.outputs]
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
            self.seconds = [draw(self.rng, self.grads[i]) for i in chosen]
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

    def of_order(self, number: int, graph: bool) -> Any:
        """The first derivatives, with a graph if requested, or the second."""
        if number == 1:
            return self.first(graph)
        self.first(True)
        return self.second()


def same_derivatives(
    theirs: Derivatives, ours: Derivatives, second: bool, exact: Callable[[int], compare.Exact | None]
) -> str | None:
    """Why the gradients differ, and the second order if `second`; `exact(order)` gives those of the call in float64."""
    if not theirs.outputs or not theirs.inputs:
        raise NotApplicable("nothing to differentiate")
    found, wanted = ((len(side.outputs), len(side.inputs)) for side in (ours, theirs))
    if found != wanted:
        return f"{found} differentiable (outputs, inputs) instead of {wanted}"
    exact = functools.cache(exact)  # a second run would find the graph freed

    def expected(word: str, derive: Callable[[], Any]) -> Any:
        try:
            return derive()
        except Exception as error:
            raise TorchRaised(f"{word}: {type(error).__name__}: {error}") from None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gradients = expected("backward", lambda: theirs.first(second))
        why = same_gradients(ours.first(second), gradients, lambda: exact(1))
        if why or not second:
            return why
        gradients = expected("second backward", theirs.second)
        if gradients is None:
            raise NotApplicable("the gradient does not depend on the inputs")
        return same_gradients(ours.second(), gradients, lambda: exact(2), "second order ")


def same_gradients(ours: Any, theirs: Any, reference: Any, word: str = "") -> str | None:
    """None is not zeros: an optimizer skips a parameter without gradient, but may change one whose gradient is zero."""
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


# ------------------------------------------------------------------------------------------------ checks
