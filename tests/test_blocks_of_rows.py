"""Kernels that change their method with the number of rows give what a few rows, or float64, give."""

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.kernels import products
from mini_dl.nn import functional as F


@pytest.mark.parametrize("shape", [(2, 512, 700), (16, 300, 90), (24, 192, 51), (90, 300, 16), (3, 128, 401), (1201, 128, 2)])
@pytest.mark.parametrize("added", [True, False])
def test_a_product_of_a_few_rows_is_that_of_each_row(shape, added):
    m, k, n = shape
    drawn = np.random.default_rng(0)
    x, w, b = (drawn.standard_normal(size).astype("f4") for size in ((m, k), (n, k), (n,)))
    assert products._in_steps(x, w.T) is not None
    out = products.gemm(x, w.T, b if added else None)
    wanted = x.astype("f8") @ w.T.astype("f8") + (b if added else 0)
    assert out.shape == (m, n) and out.dtype == np.float32 and out.flags.c_contiguous
    np.testing.assert_allclose(out, wanted, rtol=0, atol=1e-6 * k)


def test_products_that_gain_nothing_are_not_divided():
    x, w = np.ones((8, 256), "f4"), np.ones((512, 256), "f4")
    for a, b in [
        (x[:1], w.T), (x, w.T.copy()), (x.astype("f8"), w.T.astype("f8")), (x[:, ::2], w[:, ::2].T), (np.asfortranarray(x), w.T),
        (x, w[:100].T), (x[:, :64].copy(), w[:, :64].T), (np.ones((64, 256), "f4"), w.T), (x[None], w.T),
    ]:  # fmt: skip
        assert products._in_steps(a, b) is None


@pytest.mark.parametrize("far", [0.0, 1000.0])
@pytest.mark.parametrize(
    "norm, weight, bias",
    [("layer_norm", True, True), ("layer_norm", True, False), ("layer_norm", False, False), ("rms_norm", True, False)],
)
def test_many_short_rows_are_normalized_like_a_few(norm, weight, bias, far):
    def run(rows: slice):
        torch.manual_seed(0)
        x = (torch.randn(300, 20, dtype=torch.float64) + far).float()[rows].requires_grad_()
        parameters = [torch.randn(20, requires_grad=True) if there else None for there in (weight, bias)]
        grad = torch.randn(300, 20)[rows]
        out = getattr(F, norm)(x, (20,), *parameters[: 2 if norm == "layer_norm" else 1])
        out.backward(grad)
        return out.detach(), x.grad, *[p.grad for p in parameters if p is not None]

    whole, parts = run(slice(0, 300)), [run(slice(i, i + 100)) for i in (0, 100, 200)]
    for number, found in enumerate(whole):
        several = [part[number] for part in parts]
        wanted = torch.cat(several) if number < 2 else sum(several[1:], several[0])
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=2e-5 if not far else 2e-3)


def test_the_gradient_of_relu_is_not_copied_into_its_leaf():
    x = torch.randn(64, 128, requires_grad=True)
    F.relu(x).backward(torch.ones(64, 128))
    assert x.grad._array.base is None
