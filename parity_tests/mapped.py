"""Ops of torch's table under `vmap`, the call and its gradient: equal to torch's vmap, or to a loop if torch has no rule."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as trees

from parity_tests import bridge, compare
from parity_tests.adapter import Entry, Sample
from parity_tests.bridge import NotApplicable
from parity_tests.judging import TorchRaised, call, theirs_or_raised

CHECKS = ("vmap", "vmap_grad")
SAMPLES = 3
"""The number of tested samples of an entry."""
SLOW = ("grid_sampler_3d", "nn.functional.grid_sample")
"""torch's vmap of these is a loop of thousands of calls: one sample."""
SIZE = 3
ORDERING = ("kthvalue", "topk", "sort", "argsort", "msort")
"""The order of equal elements is unspecified, and few integers differ."""
WRONG = ("as_strided_scatter",)
"""torch gives the gradient of the elements that are replaced, not of the others."""
APPROXIMATE = ("special.airy_ai", "special.bessel_j0", "special.bessel_y0", "special.bessel_j1", "special.bessel_y1")
"""torch's own values have an error of this size between its tabulated points."""
LOOSE = (1e-3, 1e-5)


class Parts:
    """The arguments of a sample as a list of tensors, and a function that puts tensors back in their positions."""

    def __init__(self, sample: Sample) -> None:
        self.leaves, self.spec = trees.tree_flatten((sample.all_args, sample.kwargs))
        self.places = [i for i, leaf in enumerate(self.leaves) if isinstance(leaf, torch.Tensor)]
        self.tensors = [self.leaves[i].detach() for i in self.places]

    def called(self, function: Any, finish: Any, convert: Callable[[Any], Any]) -> Callable[..., tuple[Any, ...]]:
        """A function of only the tensors, which returns all tensors of the result."""
        leaves = [None if isinstance(leaf, torch.Tensor) else convert(leaf) for leaf in self.leaves]

        def run(*tensors: Any) -> tuple[Any, ...]:
            filled = list(leaves)
            for place, tensor in zip(self.places, tensors):
                filled[place] = tensor
            args, kwargs = trees.tree_unflatten(filled, self.spec)
            result = function(*args, **kwargs)
            return tuple(bridge.tensors(result if finish is None else finish(result)))

        return run


def elements(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Different tensors that an op accepts in place of this one: scaled, or in another order."""
    if tensor.is_floating_point() or tensor.is_complex():
        return [tensor, *[tensor * factor for factor in (0.875, 0.75)]]
    if not tensor.numel():
        return [tensor.clone() for _ in range(SIZE)]
    return [tensor, *[tensor.reshape(-1).roll(step).reshape(tensor.shape) for step in (1, 2)]]


def batches(tensors: Sequence[torch.Tensor]) -> Iterator[tuple[int | None, ...]]:
    """Which of the tensors have a batch, and along which dimension."""
    n = len(tensors)
    chosen = [(0,) * n]
    if n > 1:
        chosen += [tuple([0 if i == j else None for i in range(n)]) for j in range(min(n, 4))]
    chosen.append(tuple([-1 if i == 0 or n > 1 else 0 for i in range(n)]))
    yield from dict.fromkeys(chosen)


def stacked(tensor: torch.Tensor, dim: int | None) -> torch.Tensor:
    return tensor.clone() if dim is None else torch.stack(elements(tensor), dim)


def looped(run: Callable[..., tuple[Any, ...]], tensors: Sequence[torch.Tensor], dims: Sequence[int | None]) -> tuple[Any, ...]:
    """The results of a loop over the batch, stacked."""
    parts = [run(*[t if dim is None else t.select(dim, i).clone() for t, dim in zip(tensors, dims)]) for i in range(SIZE)]
    return tuple([torch.stack(list(outs)) for outs in zip(*parts)])


@dataclass
class Mapped:
    """A function of tensors under both libraries, whose calls on batches are compared."""

    theirs: Any
    ours: Any
    tensors: Sequence[torch.Tensor]
    entry: Entry

    def on_every_batch(self) -> str | None:
        """Why the results of a batch differ: for all tensors, and for each alone. NotApplicable if torch can map none."""
        ran, reason = False, ""
        for dims in batches(self.tensors):
            try:
                why = self.on(dims)
            except (TorchRaised, NotApplicable) as refused:
                reason = str(refused)
                continue
            ran = True
            if why:
                return f"in_dims={dims}: {why}"
        if not ran:
            raise NotApplicable(reason)
        return None

    def on(self, dims: Sequence[int | None]) -> str | None:
        """The same for one batch: torch's result is that of its vmap, or of a loop if its rule is missing or wrong."""
        full = [stacked(tensor, dim) for tensor, dim in zip(self.tensors, dims)]
        copies = bridge.to_mini(full)
        mapped = bridge.mini_dl.vmap(self.ours, tuple(dims))
        try:
            expected = theirs_or_raised(torch.vmap(self.theirs, tuple(dims)), *full)
        except TorchRaised:
            try:
                answer = call(mapped, *copies)
            except Exception:
                raise NotApplicable("both refuse") from None
            expected = theirs_or_raised(looped, self.theirs, full, dims)
        else:
            answer = call(mapped, *copies)
        reference = functools.cache(lambda: self.exact(full, dims))
        why = compare.same(tuple(answer), tuple(expected), reference)
        if why:
            expected = theirs_or_raised(looped, self.theirs, full, dims)
            why = compare.same(tuple(answer), tuple(expected), reference, LOOSE if self.entry.name in APPROXIMATE else None)
        return why

    def exact(self, full: Sequence[torch.Tensor], dims: Sequence[int | None]) -> compare.Exact | None:
        """The results in float64; for a sum of products, also with all numbers made positive."""
        try:
            kinds = (False, True)[: 1 + self.entry.is_sum_of_products]
            found = [call(looped, self.theirs, bridge.copy(list(full), double=True, absolute=kind), dims) for kind in kinds]
        except Exception:
            return None
        return compare.Exact(*found)


def check_vmap(entry: Entry, sample: Sample) -> str | None:
    """The call on a batch: for all its tensors, and for each alone."""
    parts = Parts(sample)
    if not parts.tensors:
        raise NotApplicable("no tensors")
    finish = sample.finish if entry.has_free_signs else None
    theirs = parts.called(entry.theirs, finish, lambda leaf: leaf)
    ours = parts.called(entry.ours, bridge.translate(finish) if finish else None, bridge.to_mini)
    return Mapped(theirs, ours, parts.tensors, entry).on_every_batch()


def check_vmap_of_gradient(entry: Entry, sample: Sample) -> str | None:
    """The gradient on a batch: of inputs and cotangents together."""
    parts = Parts(sample)
    leaves = [parts.leaves[i] for i in parts.places]
    wanted = [i for i, leaf in enumerate(leaves) if leaf.requires_grad]
    if not wanted or entry.name in WRONG:
        raise NotApplicable("not differentiable")
    finish = sample.finish
    theirs = parts.called(entry.theirs, finish, lambda leaf: leaf)
    ours = parts.called(entry.ours, bridge.translate(finish) if finish else None, bridge.to_mini)
    outs = theirs_or_raised(theirs, *parts.tensors)
    kept = [i for i, out in enumerate(outs) if out.is_floating_point() or out.is_complex()]
    if not kept:
        raise NotApplicable("nothing to differentiate")
    generator = torch.Generator().manual_seed(3)
    cotangents = [torch.randn(outs[i].shape, generator=generator, dtype=outs[i].dtype) for i in kept]

    def pulled(library: Any, function: Any) -> Any:
        def run(*given: Any) -> tuple[Any, ...]:
            tensors, grads = list(given[: len(leaves)]), given[len(leaves) :]

            def of(*chosen: Any) -> tuple[Any, ...]:
                filled = list(tensors)
                for i, tensor in zip(wanted, chosen):
                    filled[i] = tensor
                found = function(*filled)
                return tuple([found[i] for i in kept])

            _, pull = library.func.vjp(of, *[tensors[i] for i in wanted])
            return tuple(pull(tuple(grads)))

        return run

    tensors = [*parts.tensors, *cotangents]
    return Mapped(pulled(torch, theirs), pulled(bridge.mini_dl, ours), tensors, entry).on_every_batch()


def checks_of(entry: Entry, sample: Sample, number: int) -> dict[str, Callable[[], str | None]]:
    """The tested checks of a sample by name."""
    if number >= (1 if entry.name in SLOW else SAMPLES) or entry.undetermined:
        return {}
    if entry.name in ORDERING and not (sample.input.is_floating_point() or sample.input.is_complex()):
        return {}
    return {"vmap": lambda: check_vmap(entry, sample), "vmap_grad": lambda: check_vmap_of_gradient(entry, sample)}
