"""Convolutions of random geometry, with enough channels that each method is used: torch's own samples are small."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

import mini_dl
from mini_dl.kernels import bands, convolution, lines, winograd
from parity_tests.searching import PHASES

WANTED = [(True, True), (True, True), (True, False), (False, True)]


@st.composite
def geometries(draw: Any) -> dict[str, Any]:
    """Geometries of 1 to 3 dimensions; half of those of two suit Winograd's method."""
    n = draw(st.sampled_from([1, 2, 2, 2, 3]))
    if winograd := n == 2 and draw(st.booleans()):
        k, s = draw(st.sampled_from([(3, 1), (3, 1), (2, 1), (4, 2), (5, 2), (6, 2)]))
        kernel, stride, dilation, groups = (k, k), (s, s), (1, 1), 1
        channels = st.sampled_from([32, 50, 64])
        size = st.integers(18 * s, 27 * s)
    else:
        kernel = tuple(draw(st.lists(st.integers(1, 4 if n > 1 else 9), min_size=n, max_size=n)))
        stride = tuple(draw(st.lists(st.sampled_from([1, 1, 2, 3]), min_size=n, max_size=n)))
        dilation = tuple(draw(st.lists(st.integers(1, 2), min_size=n, max_size=n)))
        groups = draw(st.sampled_from([1, 1, 1, 2, 2, 6]))
        channels = st.sampled_from([1, 2, 6, 24, 64] if n < 3 else [1, 4, 20])
        size = st.integers(*{1: (18, 40), 2: (8, 20), 3: (8, 10)}[n])
    padding = draw(st.tuples(*[st.integers(0, 2)] * n))
    per_group, outputs = draw(channels), draw(channels)
    if groups == 6:
        per_group, outputs = 1, 1  # depthwise
    if not winograd and draw(st.integers(0, 4)) == 0:
        kernel, stride, padding = (1,) * n, (1,) * n, (0,) * n
    input = (draw(st.sampled_from([2, 5])), groups * per_group, *[draw(size) for _ in range(n)])
    return {
        "input": input,
        "weight": (groups * outputs, per_group, *kernel),
        "options": {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
        "wanted": draw(st.sampled_from(WANTED)),
        "dtype": draw(st.sampled_from(["float64", "float64", "float32"])),
        "seed": draw(st.integers(0, 99)),
    }


def run(library: Any, case: dict[str, Any]) -> dict[str, Any]:
    numbers = np.random.default_rng(case["seed"])
    x, w = (library.from_numpy(numbers.standard_normal(case[name]).astype(case["dtype"])) for name in ("input", "weight"))
    for tensor, wanted in zip((x, w), case["wanted"]):
        tensor.requires_grad_(wanted)
    convolve = getattr(library.nn.functional, f"conv{len(case['weight']) - 2}d")
    out = convolve(x, w, **case["options"])
    cotangent = numbers.standard_normal(tuple(out.shape)).astype(case["dtype"])
    out.backward(library.from_numpy(cotangent))
    return {
        name: None if tensor is None else tensor.detach().numpy()
        for name, tensor in (("out", out), ("input", x.grad), ("weight", w.grad))
    }


USED: Counter[str] = Counter()


@pytest.fixture(autouse=True, scope="module")
def count_methods() -> Any:
    """Counts the calls of each method, and at the end checks that all were used."""
    patch = pytest.MonkeyPatch()
    places = [
        *[(winograd, name) for name in ("conv", "conv_input", "conv_weight")],
        *[(bands, name) for name in ("conv", "conv_input", "conv_weight")],
        *[(lines, name) for name in ("conv", "conv_input", "conv_weight", "Fold")],
        (convolution, "_spread_back"),
        *[(convolution.Columns, name) for name in ("of", "_add_runs", "add")],
    ]
    for owner, name in places:
        inner, key = getattr(owner, name), f"{owner.__name__}.{name}"
        USED[key] = 0

        def counted(*args: Any, inner: Any = inner, key: str = key) -> Any:
            USED[key] += 1
            return inner(*args)

        patch.setattr(owner, name, counted)
    yield
    patch.undo()
    assert not [name for name, calls in USED.items() if calls == 0]


@settings(max_examples=150, derandomize=True, deadline=None, database=None, phases=PHASES)
@given(geometries())
def test_a_convolution_and_its_gradients(case: dict[str, Any]) -> None:
    """Sums of at most a few thousand products of normal numbers: rounding errors grow with the root of their number."""
    theirs, ours = run(torch, case), run(mini_dl, case)
    for name, expected in theirs.items():
        if expected is None:
            assert ours[name] is None, name
            continue
        assert ours[name].dtype == expected.dtype
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        tolerance = 1e-12 if case["dtype"] == "float64" else 2e-5
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=tolerance * scale, err_msg=name)
