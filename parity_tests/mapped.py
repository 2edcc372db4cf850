"""Ops of torch's table under `vmap`, the call and its gradient: equal to torch's vmap, or to a loop where torch's cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils import _pytree as trees

from parity_tests import bridge, compare
from parity_tests.adapter import Entry, Sample
from parity_tests.bridge import NotApplicable
from parity_tests.judging import TorchRaised, call, theirs_or_raised

SIZE = 3
APPROXIMATE = ("special.airy_ai", "special.bessel_j0", "special.bessel_y0", "special.bessel_j1", "special.bessel_y1")
"""torch's own values have an error of this size between its tabulated points."""
LOOSE = (1e-3, 1e-5)


class Parts:
    """The arguments of a sample as a list of tensors, and what puts a list of tensors in their places."""

    def __init__(self, sample: Sample) -> None:
        self.leaves, self.spec = trees.tree_flatten((sample.all_args, sample.kwargs))
        self.places = [i for i, leaf in enumerate(self.leaves) if isinstance(leaf, torch.Tensor)]
        self.tensors = [self.leaves[i].detach() for i in self.places]

    def called(self, function: Any, finish: Any, convert: Callable[[Any], Any]) -> Callable[..., tuple[Any, ...]]:
        """A function of the tensors alone, which gives all tensors of the result."""
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
    """Tensors like this one that differ, and that an op takes where it takes this one: scaled, or in another order."""
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


def judged_batch(
    theirs: Any, ours: Any, tensors: Sequence[torch.Tensor], dims: tuple[int | None, ...], tolerance: Any
) -> str | None:
    """Why the results of a batch differ from torch's, or from a loop's where torch has no rule but we have."""
    full = [stacked(tensor, dim) for tensor, dim in zip(tensors, dims)]
    copies = bridge.to_mini(full)
    try:
        expected = theirs_or_raised(torch.vmap(theirs, dims), *full)
    except TorchRaised:
        try:
            answer = call(bridge.mini_dl.vmap(ours, dims), *copies)
        except Exception:
            raise NotApplicable("both refuse") from None
        expected = theirs_or_raised(looped, theirs, full, dims)
    else:
        answer = call(bridge.mini_dl.vmap(ours, dims), *copies)
    why = compare.same(tuple(answer), tuple(expected), None)
    if why:  # some of torch's rules differ from its loop
        expected = theirs_or_raised(looped, theirs, full, dims)
        why = why and compare.same(tuple(answer), tuple(expected), None, tolerance)
    return why


def check_vmap(entry: Entry, sample: Sample) -> str | None:
    """The call on a batch: of all its tensors, and of each alone."""
    parts = Parts(sample)
    if not parts.tensors:
        raise NotApplicable("no tensors")
    finish = sample.finish if entry.has_free_signs else None
    theirs = parts.called(entry.theirs, finish, lambda leaf: leaf)
    ours = parts.called(entry.ours, bridge.translate(finish) if finish else None, bridge.to_mini)
    return every_batch(theirs, ours, parts.tensors, LOOSE if entry.name in APPROXIMATE else None)


def every_batch(theirs: Any, ours: Any, tensors: Sequence[torch.Tensor], tolerance: Any = None) -> str | None:
    ran, reason = False, ""
    for dims in batches(tensors):
        try:
            why = judged_batch(theirs, ours, tensors, dims, tolerance)
        except (TorchRaised, NotApplicable) as refused:
            reason = str(refused)
            continue
        ran = True
        if why:
            return f"in_dims={dims}: {why}"
    if not ran:
        raise NotApplicable(reason)
    return None


def check_vmap_of_gradient(entry: Entry, sample: Sample) -> str | None:
    """The gradient on a batch: of inputs and cotangents together."""
    parts = Parts(sample)
    leaves = [parts.leaves[i] for i in parts.places]
    wanted = [i for i, leaf in enumerate(leaves) if leaf.requires_grad]
    if not wanted:
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
    return every_batch(pulled(torch, theirs), pulled(bridge.mini_dl, ours), tensors)


def mapped_checks(entry: Entry, sample: Sample) -> dict[str, Callable[[], str | None]]:
    """The checks by name."""
    return {"vmap": lambda: check_vmap(entry, sample), "vmap grad": lambda: check_vmap_of_gradient(entry, sample)}


MAPPED = ("vmap", "vmap grad")

__all__ = ["MAPPED", "mapped_checks"]
