"""What is infinite or NaN reaches the outputs that see it, by whichever method they are computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.kernels import bands, lines, planes, strips, winograd

CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "depthwise": ((2, 6, 9, 70), (6, 1, 3, 3), {"padding": 1, "groups": 6}),
    "depthwise planes": ((2, 6, 9, 60), (6, 1, 3, 3), {"padding": 1, "groups": 6}),
    "depthwise small": ((2, 6, 9, 10), (6, 1, 3, 3), {"padding": 1, "groups": 6}),
    "depthwise tiny": ((2, 6, 5, 6), (6, 1, 3, 3), {"padding": 1, "groups": 6}),
    "depthwise strided": ((2, 6, 9, 40), (12, 1, 3, 3), {"padding": 1, "stride": 2, "groups": 6}),
    "depthwise line": ((2, 6, 40), (6, 1, 9), {"padding": 1, "groups": 6}),
    "groups": ((2, 6, 12, 13), (6, 2, 3, 3), {"padding": 1, "groups": 3}),
    "wide groups": ((2, 8, 12, 13), (8, 4, 3, 3), {"padding": 1, "groups": 2}),
    "dilated groups": ((2, 8, 12, 13), (8, 4, 3, 3), {"padding": 2, "dilation": 2, "groups": 2}),
    "strips": ((2, 8, 12, 50), (8, 8, 3, 3), {"padding": 1}),
    "strips of groups": ((2, 12, 12, 30), (12, 6, 3, 3), {"padding": (0, 2), "groups": 2}),
    "winograd": ((2, 32, 12, 13), (40, 32, 3, 3), {"padding": 1}),
    "winograd strided": ((2, 32, 24, 26), (32, 32, 5, 5), {"padding": 1, "stride": 2}),
}


@pytest.mark.parametrize("place", [(-1, 7), (5, -1)])
@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("name", CASES)
def test_infinities_do_not_spread(name: str, bad: float, place: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    input, weight, options = CASES[name]
    numbers = np.random.default_rng(0)
    x, w = (numbers.standard_normal(shape).astype(np.float32) for shape in (input, weight))
    x[(1, 3, *[i % n for i, n in zip(place[4 - x.ndim :], x.shape[2:])])] = bad

    def gradients() -> list[Any]:
        tensors = [torch.from_numpy(a).requires_grad_() for a in (x, w)]
        out = getattr(torch.nn.functional, f"conv{len(weight) - 2}d")(*tensors, **options)
        cotangent = np.ones(out.shape, np.float32)
        cotangent[(0, 1, 1, 4) if x.ndim == 4 else (0, 1, 4)] = bad
        out.backward(torch.from_numpy(cotangent))
        return [out.detach().numpy(), *[tensor.grad.numpy() for tensor in tensors]]

    monkeypatch.setattr(lines, "ENOUGH", 1)
    found = gradients()
    for method in (bands, lines, planes, strips, winograd):
        monkeypatch.setattr(method, "suits", lambda *args, **options: False)
    monkeypatch.setattr(strips, "suits_weight", lambda *args: False)
    for one, other in zip(found, gradients()):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
