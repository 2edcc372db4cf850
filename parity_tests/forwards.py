"""Forward-mode derivatives of torch's samples under both libraries: tangents of functions and in-place writes, and
tangents of gradients (forward mode over reverse mode)."""

from __future__ import annotations

import functools
from functools import partial
from typing import Any

import numpy as np
import torch

from parity_tests import bridge, compare
from parity_tests.adapter import Entry, Sample
from parity_tests.bridge import NotApplicable
from parity_tests.judging import TorchRaised, call, draw, theirs_or_raised

TRIED = (0, 1, 2, 7, 19)
"""The numbers of the tested samples: the first, and others spread over the rest."""


def is_tried(number: int, dtype: str) -> bool:
    return dtype in ("float32", "float64") and number in TRIED


class Forwards:
    """One call under one library, with a random tangent for each tensor of the sample that requires grad.

    With `narrow`, the same call of torch after its `tangents`, torch runs in float64, in the directions drawn there.
    """

    def __init__(self, library: Any, function: Any, sample: Sample, narrow: Forwards | None = None) -> None:
        self.library, self.function, self.sample, self.narrow = library, function, sample, narrow
        convert = partial(bridge.copy, double=narrow is not None) if library is torch else bridge.to_mini
        self.arguments = convert((sample.all_args, sample.kwargs))
        self.convert = convert
        self.finish = sample.finish if library is torch or sample.finish is None else bridge.translate(sample.finish)

    def duals(self) -> tuple[Any, list[Any]]:
        """The arguments with tangents, and those that have them."""
        rng = np.random.default_rng(11)
        memo: dict[int, Any] = {}
        forward_ad = self.library.autograd.forward_ad
        theirs = iter([t for t in bridge.tensors((self.sample.all_args, self.sample.kwargs)) if t.requires_grad])

        def dual(item: Any) -> Any:
            if not isinstance(item, (torch.Tensor, bridge.Tensor)) or not item.requires_grad:
                return item
            like = next(theirs)
            if id(item) not in memo:
                memo[id(item)] = forward_ad.make_dual(item, self.convert(draw(rng, like)))
            return memo[id(item)]

        return bridge.walk(self.arguments, dual), list(memo.values())

    def tangents(self, second: bool = False) -> list[Any]:
        """The results with their tangents; with `second`, the gradients with theirs."""
        forward_ad = self.library.autograd.forward_ad
        with forward_ad.dual_level():
            (args, kwargs), inputs = self.duals()
            if second:
                outs = self.results(call(self.function, *args, **kwargs))
                outs = [out for out in outs if out.requires_grad]
                self.cotangents = self.drawn(outs) if self.narrow is None else self.narrow.cotangents
                own = [self.convert(cotangent) for cotangent in self.cotangents]
                found = list(self.library.autograd.grad(outs, inputs, own, allow_unused=True, create_graph=True))
            else:
                with self.library.no_grad():
                    found = self.results(call(self.function, *args, **kwargs))
            pairs = [None if one is None else forward_ad.unpack_dual(one) for one in found]
            return [None if pair is None else pair.tangent for pair in pairs]

    def drawn(self, outs: list[Any]) -> list[torch.Tensor]:
        """A random cotangent of torch's for each result of either library."""
        rng = np.random.default_rng(13)
        likes = [torch.empty(tuple(out.shape), dtype=getattr(torch, bridge.name_of(out.dtype))) for out in outs]
        return [draw(rng, like) for like in likes]

    def results(self, result: Any) -> list[Any]:
        return list(bridge.tensors(result if self.finish is None else self.finish(result)))


def same_tangents(theirs: Any, ours: Any, sample: Sample, second: bool = False) -> str | None:
    """Why the tangents of a function of torch and of ours differ."""
    if not any(t.requires_grad for t in bridge.tensors((sample.all_args, sample.kwargs))):
        raise NotApplicable("nothing to differentiate")
    narrow = theirs_or_raised(Forwards, torch, theirs, sample)
    wanted = theirs_or_raised(narrow.tangents, second)
    if not wanted:
        raise NotApplicable("no tensors come back")
    found = Forwards(bridge.mini_dl, ours, sample).tangents(second)
    if len(found) != len(wanted):
        return f"{len(found)} results instead of {len(wanted)}"

    @functools.cache
    def wide() -> list[Any]:
        try:
            return Forwards(torch, theirs, sample, narrow).tangents(second)
        except Exception:
            return []

    def exact(i: int) -> compare.Exact | None:
        return compare.Exact(wide()[i]) if i < len(wide()) else None

    for i, (a, b) in enumerate(zip(found, wanted)):
        if a is None and b is None:
            continue
        if second and (a is None or b is None):  # a derivative that is zero, which torch sometimes computes
            present = a if b is None else b
            if not bool((present != 0).any()):
                continue
        if a is None or b is None:
            return f"tangent {i} is {'None' if a is None else 'not None'}, torch's is {'not ' if a is None else ''}None"
        if why := compare.same(a, b, partial(exact, i), None, f"tangent {i}", grads=False):
            return why
    return None


def on_copy(function: Any) -> Any:
    """`function`, which writes into its input, on a copy of it."""
    return lambda input, *args, **kwargs: function(input.clone(), *args, **kwargs)


def within_domain(entry: Entry, function: Any, convert: Any) -> Any:
    """`function` of a symmetric, or triangular, matrix made from its input, if torch's table says that it takes only such."""
    wrapper = entry.info.gradcheck_wrapper
    if entry.name.startswith("masked.") or wrapper.__name__ == "wrapper_set_seed":  # `call` seeds
        return function
    return partial(convert(wrapper), function)


def same_in_domain(entry: Entry, sample: Sample, second: bool) -> str | None:
    theirs = within_domain(entry, entry.theirs, lambda wrapper: wrapper)
    ours = within_domain(entry, entry.ours, bridge.transplant)
    return same_tangents(theirs, ours, sample, second)


def check_forward_ad(entry: Entry, sample: Sample) -> str | None:
    """The tangents of the results, and those after the in-place variants."""
    if not entry.info.supports_forward_ad:
        raise NotApplicable("no forward mode in torch")
    if why := same_in_domain(entry, sample, second=False):
        return why
    for name, theirs, ours in entry.inplace():
        if ours is None or not isinstance(sample.input, torch.Tensor) or not entry.info.supports_inplace_autograd:
            continue
        try:
            why = same_tangents(on_copy(theirs), on_copy(ours), Sample(sample.input, sample.args, sample.kwargs))
        except (NotApplicable, TorchRaised):
            continue
        if why:
            return f"{name}: {why}"
    return None


def check_fwgrad_bwgrad(entry: Entry, sample: Sample) -> str | None:
    """The tangents of the gradients."""
    if not entry.info.supports_fwgrad_bwgrad:
        raise NotApplicable("no forward mode over reverse mode in torch")
    return same_in_domain(entry, sample, second=True)
