"""Kernels that change their method with the number of rows give what a few rows, or float64, give."""

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.kernels import blas, products
from mini_dl.nn import functional as F


@pytest.mark.parametrize(
    "shape", [(2, 512, 700), (16, 300, 90), (24, 192, 51), (90, 300, 16), (3, 128, 401), (1201, 128, 2), (64, 784, 50)]
)
@pytest.mark.parametrize("added", [True, False])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_product_of_a_few_rows_is_that_of_each_row(shape, added, in_place, monkeypatch):
    monkeypatch.setattr(blas, "reads_in_place", lambda: in_place)
    m, k, n = shape
    drawn = np.random.default_rng(0)
    x, w, b = (drawn.standard_normal(size).astype("f4") for size in ((m, k), (n, k), (n,)))
    assert (products._in_steps(x, w.T) is not None) == in_place
    out = products.gemm(x, w.T, b if added else None)
    wanted = x.astype("f8") @ w.T.astype("f8") + (b if added else 0)
    assert out.shape == (m, n) and out.dtype == np.float32 and out.flags.c_contiguous
    np.testing.assert_allclose(out, wanted, rtol=0, atol=1e-6 * k)


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("shape", [(128, 64, 160), (36, 30, 1999), (5, 700, 60, 32), (3, 300, 64, 128), (20001, 50, 16)])
def test_a_product_in_runs_is_the_product(shape, in_place, monkeypatch):
    monkeypatch.setattr(blas, "reads_in_place", lambda: in_place)
    drawn = np.random.default_rng(0)
    a, b = (drawn.standard_normal(size).astype("f4") for size in (shape[:-1], (*shape[:-3], *shape[-2:])))
    wanted = a.astype("f8") @ b.astype("f8")
    np.testing.assert_allclose(products.product(a, b), wanted, rtol=0, atol=1e-6 * shape[-2])


def test_products_that_gain_nothing_are_not_divided(monkeypatch):
    monkeypatch.setattr(blas, "reads_in_place", lambda: True)
    x, w = np.ones((8, 256), "f4"), np.ones((512, 256), "f4")
    for a, b in [
        (x[:1], w.T), (x, w.T.copy()), (x.astype("f8"), w.T.astype("f8")), (x[:, ::2], w[:, ::2].T), (np.asfortranarray(x), w.T),
        (x, w[:100].T), (x[:, :64].copy(), w[:, :64].T), (np.ones((64, 256), "f4"), w.T), (x[None], w.T),
        (np.ones((64, 1024), "f4"), np.ones((50, 1024), "f4").T), (np.ones((64, 784), "f4"), np.ones((51, 784), "f4").T),
    ]:  # fmt: skip
        assert products._in_steps(a, b) is None


@pytest.mark.parametrize("far", [0.0, 1000.0])
@pytest.mark.parametrize("rows", [3, 300])
@pytest.mark.parametrize(
    "norm, weight, bias",
    [("layer_norm", True, True), ("layer_norm", True, False), ("layer_norm", False, False), ("rms_norm", True, False)],
)
def test_rows_are_normalized_as_the_formula_says(norm, weight, bias, rows, far):
    torch.manual_seed(0)
    x, grad = (torch.randn(rows, 20, dtype=torch.float64) + far).float(), torch.randn(rows, 20)
    w, b = (torch.randn(20) if there else None for there in (weight, bias))

    def gradients(function, dtype):
        inputs = [x.to(dtype).requires_grad_(), *[p.to(dtype).requires_grad_() for p in (w, b) if p is not None]]
        out = function(*inputs)
        return out.detach(), *torch.autograd.grad(out, inputs, grad.to(dtype))

    def formula(x, w=None, b=None):
        centered = x - x.mean(1, keepdim=True) if norm == "layer_norm" else x
        out = centered / ((centered * centered).mean(1, keepdim=True) + 1e-5).sqrt()
        out = out if w is None else out * w
        return out if b is None else out + b

    found = gradients(lambda x, *parameters: getattr(F, norm)(x, (20,), *parameters, eps=1e-5), torch.float32)
    wanted = gradients(formula, torch.float64)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4)


def test_the_gradient_of_relu_is_not_copied_into_its_leaf():
    x = torch.randn(64, 128, requires_grad=True)
    F.relu(x).backward(torch.ones(64, 128))
    assert x.grad._array.base is None
