"""Batch, group and instance norm in parts that stay in the cache, and convolutions of one tap, against plain formulas."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.kernels import convolution, normalization
from mini_dl.nn import functional as F

SHAPES = {
    "one value each": (4000, 40, 1),
    "short": (6000, 3, 9),
    "rows": (30, 50, 10, 10),
    "long": (3, 5, 97, 101),
    "runs": (2, 8, 128, 128),
    "one image": (1, 300, 30, 30),
    "one channel": (9, 1, 130, 130),
    "few": (2, 3, 4),
}
KINDS = ("batch", "group", "instance")
ALONE = {("instance", "one value each")}
"""Where a value has no others to be compared with."""


@pytest.fixture(autouse=True)
def shorter_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LONGEST", "LONGEST_RUN"):
        monkeypatch.setattr(normalization, name, 2 * normalization.BLOCK)


def expected(x: Any, w: Any, b: Any, g: Any, groups: int, eps: float) -> list[Any]:
    """The result and the gradients of input, weight and bias, in float64."""
    n, c = x.shape[:2]
    shape, dims = ((n, groups, -1), 2) if groups else ((n, c, -1), (0, 2))
    x64, g64 = (a.astype(np.float64) for a in (x, g))
    rows = x64.reshape(shape)
    away = rows - rows.mean(dims, keepdims=True)
    scale = 1 / np.sqrt((away * away).mean(dims, keepdims=True) + eps)
    unit = (away * scale).reshape(n, c, -1)
    given = g64.reshape(n, c, -1)
    slope = (given * w[:, None]).reshape(shape)
    each = unit.reshape(shape)
    back = scale * (slope - slope.mean(dims, keepdims=True) - each * (slope * each).mean(dims, keepdims=True))
    out = unit * w[:, None] + b[:, None]
    return [out.reshape(x.shape), back.reshape(x.shape), (given * unit).sum((0, 2)), given.sum((0, 2))]


@pytest.mark.parametrize("far", [0, 3])
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in SHAPES if (kind, name) not in ALONE])
def test_parts_give_the_norm_of_the_whole(kind: str, name: str, far: int) -> None:
    shape = SHAPES[name]
    rng, c = np.random.default_rng(len(name)), shape[1]
    x, g = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    if far:  # some channels are far from zero: squares lose their digits
        x[:, ::3] += 300
    w, b = (rng.standard_normal(c).astype(np.float32) for _ in range(2))
    groups = {"batch": 0, "group": 1 if c % 2 else 2, "instance": c}[kind]
    leaves = [torch.from_numpy(a.copy()).requires_grad_() for a in (x, w, b)]
    if kind == "batch":
        out = F.batch_norm(leaves[0], None, None, leaves[1], leaves[2], training=True)
    elif kind == "group":
        out = F.group_norm(leaves[0], groups, leaves[1], leaves[2])
    else:
        out = F.instance_norm(leaves[0], weight=leaves[1], bias=leaves[2])
    out.backward(torch.from_numpy(g))
    for found, right in zip([out, *[leaf.grad for leaf in leaves]], expected(x, w, b, g, groups, 1e-5)):
        assert found is not None
        atol = 4e-5 * max(1.0, float(np.abs(right).max())) if far else 4e-6 * max(1.0, float(np.abs(right).max()))
        np.testing.assert_allclose(found.detach().numpy(), right, rtol=0, atol=atol)


def test_a_far_channel_is_as_exact_as_others() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 20, 40, 40)).astype(np.float32)
    x[:, 7] = x[:, 7] / 100 + 5000
    out = F.batch_norm(torch.from_numpy(x), None, None, training=True)
    ones, zeros = np.ones(20), np.zeros(20)
    np.testing.assert_allclose(out.numpy(), expected(x, ones, zeros, x, 0, 1e-5)[0], rtol=0, atol=1e-5)


NORMS: dict[str, Any] = {
    "batch": lambda x, w: F.batch_norm(x, None, None, w, None, True),
    "group": lambda x, w: F.group_norm(x, 2, w),
    "instance": lambda x, w: F.instance_norm(x, weight=w),
    "layer": lambda x, w: F.layer_norm(x.mT, (8,), w),
    "rms": lambda x, w: F.rms_norm(x.mT, (8,), w),
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gradients_of_half_precision_with_a_graph_are_those_without(name: str, dtype: Any) -> None:
    torch.manual_seed(0)
    x = (torch.randn(4, 8, 5) * 1000).to(dtype).requires_grad_()  # whose squares are beyond float16
    w = torch.randn(8, dtype=dtype, requires_grad=True)
    out = NORMS[name](x, w)
    g = torch.randn(out.shape).to(dtype)
    for composed, plain in zip(
        torch.autograd.grad(out, (x, w), g, create_graph=True), torch.autograd.grad(NORMS[name](x, w), (x, w), g)
    ):
        assert composed.dtype is dtype
        atol = float(plain.abs().max()) * torch.finfo(dtype).eps
        torch.testing.assert_close(composed.detach().double(), plain.double(), rtol=0, atol=atol)


@pytest.mark.parametrize("name", [name for name in NORMS if name != "rms"])
def test_gradients_with_a_graph_are_exact_far_from_zero(name: str) -> None:
    torch.manual_seed(0)
    x, w = torch.randn(16, 8, 5) + 1e5, torch.randn(8)
    g = torch.randn(NORMS[name](x, w).shape)

    def gradients(dtype: Any, graph: bool) -> Any:
        leaves = [t.to(dtype).requires_grad_() for t in (x, w)]
        return torch.autograd.grad(NORMS[name](*leaves), leaves, g.to(dtype), create_graph=graph)

    for found, right in zip(gradients(torch.float32, True), gradients(torch.float64, False)):
        torch.testing.assert_close(found.detach().double(), right, rtol=0, atol=1e-5 * float(right.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_running_statistics_are_the_mean_over_many_images(dtype: Any) -> None:
    mean, variance = torch.zeros(2, dtype=dtype), torch.zeros(2, dtype=dtype)
    x = torch.tensor([2.7, 4.7]).repeat(5000, 2, 1).to(dtype)
    F.instance_norm(x, mean, variance, momentum=1.0)
    torch.testing.assert_close(mean, x[0].mean(1), rtol=1e-6, atol=0)
    torch.testing.assert_close(variance, x[0].float().var(1).to(dtype), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 7), (4, 6, 20, 30), (2, 16, 128, 128), (2, 512, 9, 9)])
def test_evaluation_is_the_same_whether_it_is_recorded_or_not(shape: tuple[int, ...], dtype: Any) -> None:
    torch.manual_seed(0)
    x, c = torch.randn(shape).to(dtype), shape[1]
    mean, variance, weight, bias = torch.randn(c), torch.rand(c) + 0.1, torch.randn(c), torch.randn(c)
    for w, b in ((weight, bias), (None, bias), (weight, None), (None, None)):
        given = [None if p is None else p.to(dtype) for p in (mean, variance, w, b)]
        plain = F.batch_norm(x, *given)
        recorded = F.batch_norm(x.clone().requires_grad_(), *given)
        assert plain.dtype is dtype and plain.grad_fn is None and recorded.grad_fn is not None
        assert torch.equal(plain, recorded.detach())


@pytest.mark.parametrize("name", ["conv", "conv_input", "conv_weight"])
@pytest.mark.parametrize("stride", [(2, 2), (1, 3), (4, 2)])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_kernel_of_one_tap_sees_every_other_position(name: str, stride: tuple[int, int], groups: int) -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((3, 4, 9, 12)), rng.standard_normal((6, 4 // groups, 1, 1))
    space = tuple([-(-n // s) for n, s in zip(x.shape[2:], stride)])
    g = convolution.Geometry(stride, (0, 0), (1, 1), groups, space)
    out = rng.standard_normal((3, 6, *space))
    seen = x[:, :, :: stride[0], :: stride[1]].reshape(3, groups, 4 // groups, *space)
    each = w.reshape(groups, 6 // groups, 4 // groups)
    given = out.reshape(3, groups, 6 // groups, *space)
    if name == "conv":
        right = np.einsum("goc,ngchw->ngohw", each, seen).reshape(out.shape)
        found = convolution.conv(x, w, None, g)
    elif name == "conv_weight":
        right = np.einsum("ngohw,ngchw->goc", given, seen).reshape(w.shape)
        found = convolution.conv_weight(x, out, w.shape, g)
    else:
        right = np.zeros(x.shape)
        right[:, :, :: stride[0], :: stride[1]] = np.einsum("goc,ngohw->ngchw", each, given).reshape(3, 4, *space)
        found = convolution.conv_input(out, w, x.shape, g)
    np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 4])
def test_small_images_are_multiplied_together(groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    x, w, b = rng.standard_normal((5, 64, 2, 3)), rng.standard_normal((96, 64 // groups, 1, 1)), rng.standard_normal(96)
    g = convolution.Geometry((1, 1), (0, 0), (1, 1), groups, (2, 3))
    results = []
    for limit in (1, 1 << 40):
        monkeypatch.setattr(convolution, "LONG_WEIGHT", limit)
        out = convolution.conv(x, w, b, g)
        results.append((out, convolution.conv_input(out, w, x.shape, g)))
    for together, apart in zip(*results):
        np.testing.assert_allclose(together, apart, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0, 3.0, -0.5])
@pytest.mark.parametrize("size", [5, 200_000])
def test_a_leaky_gradient_is_the_gradient_or_its_part(slope: float, size: int) -> None:
    rng = np.random.default_rng(3)
    x, g = (rng.standard_normal(size).astype(np.float32) for _ in range(2))
    x[:4], g[2:5] = (np.nan, np.inf, 1, -1), (np.inf, np.nan, -np.inf)
    leaf = torch.from_numpy(x).requires_grad_()
    F.leaky_relu(leaf, slope).backward(torch.from_numpy(g))
    assert leaf.grad is not None
    with np.errstate(invalid="ignore"):
        right = np.where(x > 0, g, g * np.float32(slope))
    np.testing.assert_array_equal(leaf.grad.numpy(), right)


def test_the_parts_are_several() -> None:
    """Otherwise the tests above see one part only."""
    parts: list[Any] = []
    normalization._in_parts(parts.append, np.zeros((2, 8, 128 * 128), np.float32), False)
    assert len(parts) > 1


@pytest.mark.parametrize("length", [40, 900, 3000])
def test_sums_of_some_channels_copy_nothing(length: int) -> None:
    """Channels of several images are not contiguous: as rows of a matrix they would be copied."""
    x = np.ones((8, 40, length), np.float32)[:, 3:33]
    normalization._sums(x, x, False)
    tracemalloc.start()
    try:
        sums, products = normalization._sums(x, x, False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (sums == 8 * length).all() and (products == 8 * length).all()
    assert peak < x.nbytes / 4


def test_sums_of_many_runs_are_in_double() -> None:
    x = np.full((50_000, 2, 40), 0.1, np.float32)
    sums, products = normalization._sums(x, x, False)
    np.testing.assert_allclose(sums, 2_000_000 * float(np.float32(0.1)), rtol=1e-6)
    np.testing.assert_allclose(products, 2_000_000 * float(np.float32(0.1)) ** 2, rtol=1e-6)
