"""Moments of values whose mean is far from zero, few and many, in every layout: the error is at most twice torch's.

`python -m parity_tests.test_moments` measures a larger grid and lists larger errors.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch as real

from parity_tests import bridge

DRAWS = 4
"""Data sets per case: the error of a single result may be small by luck."""
MEANS = (0.0, 0.7, 3.0, 30.0, 1e4)
SHAPES = {
    "batch_norm": [(2, 3), (8, 5), (500, 7), (2, 1, 2, 2), (16, 6, 9, 9), (32, 16, 28, 28), (4, 3, 5, 40), (2, 2, 300, 300)],
    "instance_norm": [(2, 3, 4), (4, 5, 6, 6), (8, 16, 40, 40), (2, 2, 300, 300)],
    "group_norm": [(2, 4, 3), (4, 6, 7, 7), (8, 16, 40, 40), (2, 4, 300, 300)],
    "layer_norm": [(3, 4), (8, 33), (100, 128), (64, 1024), (3, 20000)],
    "rms_norm": [(3, 4), (8, 33), (64, 1024), (3, 20000)],
    "reduction": [(5,), (7, 300), (40, 40, 40), (300, 7), (2, 70000), (70000, 2), (200000,)],
    "matrix": [(2, 5), (6, 100), (4, 5000)],
}
Case = Callable[[Any, Any], list[Any]]


def _normed(function: Callable[[Any, Any, Any, Any], Any]) -> Case:
    """The result of a norm, its gradients, and the running statistics if it keeps any."""

    def case(torch: Any, x: Any) -> list[Any]:
        x = x.detach().requires_grad_()
        channels = x.shape[1] if x.ndim > 1 else 1
        kept = [torch.zeros(channels, dtype=x.dtype), torch.ones(channels, dtype=x.dtype)]
        y = function(torch.nn.functional, x, *kept)
        slope = torch.arange(y.numel()).to(x.dtype).sin().reshape(y.shape)
        (y * slope).sum().backward()
        return [y.detach(), x.grad, *kept]

    return case


def _affine(x: Any, size: tuple[int, ...]) -> dict[str, Any]:
    weight = 1 + x.detach().flatten()[: int(np.prod(size))].reshape(size) * 0
    return {"weight": weight, "bias": weight * 0.5}


NORMS: dict[str, Case] = {
    "batch_norm": _normed(lambda F, x, mean, var: F.batch_norm(x, mean, var, training=True)),
    "batch_norm affine": _normed(lambda F, x, mean, var: F.batch_norm(x, mean, var, training=True, **_affine(x, (x.shape[1],)))),
    "instance_norm": _normed(lambda F, x, mean, var: F.instance_norm(x, mean, var)),
    "group_norm": _normed(lambda F, x, mean, var: F.group_norm(x, 2)),
    "layer_norm": _normed(lambda F, x, mean, var: F.layer_norm(x, x.shape[1:])),
    "layer_norm affine": _normed(lambda F, x, mean, var: F.layer_norm(x, x.shape[1:], **_affine(x, tuple(x.shape[1:])))),
    "rms_norm": _normed(lambda F, x, mean, var: F.rms_norm(x, x.shape[1:])),
}


def _reductions(name: str) -> Case:
    def case(torch: Any, x: Any) -> list[Any]:
        x = x.detach().requires_grad_()
        results = []
        for dim in (None, *range(x.ndim)):
            found = getattr(torch, name)(x, dim)
            found = found[1:] if isinstance(found, tuple) else (found,)  # var and std are separate cases
            results.append(found[0].detach())
            if name in ("var", "std"):
                results.append(torch.autograd.grad(found[0].sum(), x)[0])
        return results

    return case


REDUCTIONS = {name: _reductions(name) for name in ("mean", "var", "std", "var_mean", "std_mean")}
MATRICES: dict[str, Case] = {
    "cov": lambda torch, x: [torch.cov(x), torch.cov(x, correction=0)],
    "corrcoef": lambda torch, x: [torch.corrcoef(x)],
}
CASES = {**NORMS, **REDUCTIONS, **MATRICES}


def layouts(array: Any) -> Iterator[tuple[str, Any]]:
    """The same values in several memory orders, as strides over a larger array."""
    yield "contiguous", array
    if array.ndim > 1:
        yield "transposed", np.ascontiguousarray(array.swapaxes(0, -1)).swapaxes(0, -1)
    if array.ndim > 2:
        yield "channels last", np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    yield "every second", np.repeat(array, 2, -1)[..., ::2]


def errors(ours: list[Any], theirs: list[Any], exact: list[Any], least: float) -> list[tuple[float, float, float]]:
    """For each result, the largest error of ours and of torch's, and the largest exact value, at least `least`."""
    found = []
    for a, b, c in zip(ours, theirs, exact):
        a, b, c = (np.asarray(bridge.array(v), np.float64) for v in (a, b, c))
        found.append((np.abs(a - c).max(), np.abs(b - c).max(), max(np.abs(c).max(), least)))
    return found


def measured(name: str, shape: tuple[int, ...], mean: float, scale: float, draws: int = DRAWS) -> Iterator[tuple[str, list[str]]]:
    """(layout, the worse results) for one case."""
    case, totals = CASES[name], {}  # type: ignore[var-annotated]
    for draw in range(draws):
        data = np.random.default_rng(draw).standard_normal(shape) * scale + mean
        for layout, array in layouts(data.astype(np.float32)):
            theirs = case(real, real.from_numpy(array.copy(order="K") if layout != "every second" else array))
            ours = case(bridge.mini_dl, bridge.wrap(array))
            exact = case(real, real.from_numpy(array.astype(np.float64)))
            summands = float(np.abs(data).mean()) if "mean" in name else 0.0  # a mean near 0 is as exact as they are
            here = np.array(errors(ours, theirs, exact, summands))
            totals[layout] = here if layout not in totals else np.maximum(totals[layout], here)
    for layout, found in totals.items():
        eps = np.finfo(np.float32).eps
        yield (
            layout,
            [
                f"result {i}: {mine:.3g} from the float64 result, torch {torchs:.3g}, greatest value {size:.3g}"
                for i, (mine, torchs, size) in enumerate(found)
                if not mine <= 2 * torchs + 4 * eps * size
            ],
        )


def kind_of(name: str) -> str:
    return name.split()[0] if name in NORMS else "reduction" if name in REDUCTIONS else "matrix"


def grid(largest: int) -> list[Any]:
    return [
        (name, shape, mean) for name in CASES for shape in SHAPES[kind_of(name)] for mean in MEANS if np.prod(shape) <= largest
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_moments_of_values_far_from_zero_are_as_exact_as_torch(name):
    worse = [
        f"{shape} mean {mean} {layout}: {why}"
        for which, shape, mean in grid(30_000)
        if which == name
        for layout, why in measured(name, shape, mean, 1.0 if mean < 1e4 else 0.01, 3)
        if why
    ]
    assert not worse, "\n".join(worse)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    cases = total = 0
    for which, size, offset in grid(10**9):
        for layout, why in measured(which, size, offset, 1.0 if offset < 1e4 else 0.01):
            cases += 1
            total += bool(why)
            for line in why:
                print(f"{which} {size} mean {offset} {layout}: {line}")
    print(f"{cases} cases, {total} worse")
