"""Triangular systems and LU by LAPACK: as accurate as row by row, and the same where numbers are not finite or pivots vanish."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.kernels import blas, context, linalg

TYPES = [np.float32, np.float64, np.complex64, np.complex128]


def random(dtype: Any, *shape: int) -> Any:
    real, imaginary = np.random.default_rng(0).standard_normal((2, *shape))
    return (real + 1j * imaginary if np.dtype(dtype).kind == "c" else real).astype(dtype)


def same(a: Any, b: Any) -> bool:
    return bool(((a == b) | ((a != a) & (b != b))).all())


@pytest.fixture(params=["LAPACK", "without"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        monkeypatch.setattr(blas, "functions", lambda: None)
    elif blas.functions() is None:
        pytest.skip("NumPy here has no OpenBLAS that can be reached")


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_a_triangular_system_is_solved_in_every_layout(dtype: Any, upper: bool, unit: bool) -> None:
    n = 40
    A = random(dtype, 2, n, n) / 12 + 2 * np.eye(n, dtype=dtype)
    T = (np.triu(A, unit) if upper else np.tril(A, -unit)) + unit * np.eye(n)
    for columns in (1, 3):
        B = random(dtype, 2, n, columns)
        layouts = [(M, np.swapaxes(np.swapaxes(M, -2, -1).copy(), -2, -1), np.repeat(M, 2, -1)[..., ::2]) for M in (A, B)]
        for a in layouts[0]:
            for b in layouts[1]:
                for at in (slice(None), 0):
                    X = np.array(b[at])
                    context.run(linalg.substitute, a[at], X, upper, unit)
                    assert np.abs(T[at] @ X - B[at]).max() < 100 * np.finfo(dtype).eps


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(30, 30), (40, 20), (20, 40), (2, 30, 30), (3, 2, 2)])
def test_lu_is_a_product_of_its_factors(dtype: Any, shape: tuple[int, ...]) -> None:
    A = random(dtype, *shape)
    P, L, U = (out.numpy() for out in torch.linalg.lu(torch.tensor(A)))
    assert np.abs(P @ L @ U - A).max() < 200 * np.finfo(dtype).eps
    assert np.abs(L).max() < 1.5 and same(L, np.tril(L)) and same(U, np.triu(U))


@pytest.mark.parametrize("dtype", TYPES)
def test_what_is_not_finite_is_as_row_by_row(dtype: Any) -> None:
    n = 30
    for upper in (False, True):
        for place, value in (((4, 4), 0), ((9, 3), np.nan), ((3, 9), np.inf), ((7, 7), np.inf)):
            A, B = random(dtype, n, n) / 12 + 2 * np.eye(n, dtype=dtype), random(dtype, n, 3)
            A[place], B[:, 1] = value, 0
            X, expected = B.copy(), B.copy()
            context.run(linalg.substitute, A, X, upper, False)
            context.run(linalg._by_halves, A, expected, upper, False, n)
            assert same(np.isfinite(X), np.isfinite(expected)) and same(np.isnan(X), np.isnan(expected))


@pytest.mark.parametrize("dtype", TYPES)
def test_whether_a_pivot_is_zero_does_not_depend_on_the_library(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.random.default_rng(0)
    for _ in range(50):
        A = numbers.integers(-4, 5, (5, 5)).astype(dtype)
        A[3] = 2 * A[0] - A[1]
        with_lapack = context.run(linalg.factor, A)
        with monkeypatch.context() as patch:
            patch.setattr(blas, "functions", lambda: None)
            without = context.run(linalg.factor, A)
        assert all(same(a, b) for a, b in zip(with_lapack, without, strict=True))


def test_qr_with_a_gradient_factors_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, qr = [], np.linalg.qr
    monkeypatch.setattr(np.linalg, "qr", lambda *args: calls.append(args) or qr(*args))
    for shape in ((4, 4), (5, 3), (3, 5)):
        calls.clear()
        torch.linalg.qr(torch.tensor(random(np.float32, *shape), requires_grad=True))
        assert len(calls) == 1
