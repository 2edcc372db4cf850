"""Sparse matrices of blocks, batches of matrices, products with other reductions, eigenpairs of linear operators."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import pytest
import torch as real

import mini_dl
from parity_tests.twin import message, twin


def quiet(body: Any) -> Any:
    """A body without torch's warnings that sparse tensors are new, and that it does not check their indices."""

    @functools.wraps(body)
    def run(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return body(*args, **kwargs)

    return run


def parts(value: Any) -> Any:
    """The parts of a sparse tensor, by name."""
    if not hasattr(value, "layout") or "strided" in str(value.layout):
        return value
    by_rows = str(value.layout) in ("torch.sparse_csr", "torch.sparse_bsr")
    names = ("crow_indices", "col_indices") if by_rows else ("ccol_indices", "row_indices")
    names = ("indices",) if str(value.layout) == "torch.sparse_coo" else names
    value = value.coalesce() if names == ("indices",) else value
    about = str(value.layout), tuple(value.shape), str(value.dtype), value._nnz(), value.sparse_dim(), value.dense_dim()
    return about, [getattr(value, name)() for name in names], value.values(), str(value)


def matrix(torch: Any) -> Any:
    return torch.tensor([[1.0, 2, 0, 0], [3, 4, 0, 0], [0, 0, 5, 6], [0, 0, 7, 0]])


MADE: dict[str, Any] = {
    "bsr": lambda t, d: d.to_sparse_bsr((2, 2)),
    "bsc": lambda t, d: d.to_sparse_bsc((2, 2)),
    "wide blocks": lambda t, d: d.to_sparse_bsr((1, 4)),
    "by layout": lambda t, d: d.to_sparse(layout=t.sparse_bsr, blocksize=(2, 1)),
    "from rows": lambda t, d: d.to_sparse_csr().to_sparse_bsr((2, 2)),
    "from coordinates": lambda t, d: d.to_sparse().to_sparse_bsc((2, 2)),
    "from parts": lambda t, d: t.sparse_bsr_tensor([0, 1, 2], [0, 1], [[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]]),
    "from parts of columns": lambda t, d: t.sparse_bsc_tensor([0, 1, 2], [0, 1], [[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]], (4, 4)),
    "from parts of a layout": lambda t, d: t.sparse_compressed_tensor([0, 1, 2], [0, 1], d.reshape(2, 2, 4), layout=t.sparse_bsr),
    "a batch of rows": lambda t, d: t.stack([d, d.flip(0)]).to_sparse_csr(),
    "a batch of columns": lambda t, d: t.stack([d, d * 2]).to_sparse_csc(),
    "a batch of blocks": lambda t, d: t.stack([d, d * 2]).to_sparse_bsr((2, 2)),
    "no rows": lambda t, d: d[:0].to_sparse_csr(),
    "no columns": lambda t, d: d[:, :0].to_sparse_csc(),
    "no rows of blocks": lambda t, d: d[:0].to_sparse_bsr((2, 2)),
    "blocks of nothing but zeros": lambda t, d: t.zeros(4, 4).to_sparse_bsr((2, 2)),
    "a batch of zeros": lambda t, d: t.zeros(2, 4, 4).to_sparse_csr(),
    "a batch from parts": lambda t, d: t.sparse_csr_tensor([[0, 1, 2], [0, 1, 2]], [[0, 1], [1, 0]], [[1.0, 2], [3, 4]]),
    "dense dimensions": lambda t, d: d.reshape(2, 2, 4).to_sparse_csr(dense_dim=1),
    "dense blocks": lambda t, d: d.reshape(2, 2, 4).to_sparse_bsr((1, 2), dense_dim=1),
}


@pytest.mark.parametrize("name", MADE)
@twin
@quiet
def test_making_and_taking_apart(torch: Any, rng: Any, name: str) -> Any:
    made = MADE[name](torch, matrix(torch))
    return parts(made), made.to_dense(), parts(made.clone()), parts(made.detach() * 2), parts(-made), made.sum()


OPERATIONS: dict[str, Any] = {
    "product": lambda t, b, d: b @ d[:, :2],
    "vector": lambda t, b, d: b @ d[0],
    "dense first": lambda t, b, d: t.nn.functional.linear(d[:3], b),
    "addmm": lambda t, b, d: t.addmm(d[:, :2], b, d[:, 1:3]),
    "transposed": lambda t, b, d: parts(b.t()),
    "sum of two": lambda t, b, d: parts(b + b),
    "relu": lambda t, b, d: parts(b.relu()),
    "row": lambda t, b, d: parts(b[1]),
    "coordinates": lambda t, b, d: parts(b.to_sparse()),
    "double": lambda t, b, d: parts(b.double()),
}


@pytest.mark.parametrize("name", OPERATIONS)
@twin
@quiet
def test_operations_with_blocks(torch: Any, rng: Any, name: str) -> Any:
    dense = matrix(torch)
    return OPERATIONS[name](torch, dense.to_sparse_bsr((2, 2)), dense)


@twin
@quiet
def test_gradients_pass_through_blocks(torch: Any, rng: Any) -> Any:
    x, y = matrix(torch).requires_grad_(), rng(4, 4)
    (x.to_sparse_bsr((2, 2)).to_dense() * y).sum().backward()
    return x.grad


@twin
@quiet
def test_blocks_that_do_not_fit(torch: Any, rng: Any) -> Any:
    dense = matrix(torch)
    return (
        message(lambda: dense.to_sparse_bsr((3, 2))),
        message(lambda: torch.stack([dense, torch.eye(4)]).to_sparse_csr()),
        message(lambda: dense.to_sparse_bsr((2, 2)).to_sparse_csr()),
        message(lambda: torch.zeros(0, 4, 4).to_sparse_csc()),
        message(lambda: torch.zeros(2, 0, 4, 4).to_sparse_bsr((2, 2))),
    )


@pytest.mark.parametrize("reduce", ["sum", "mean", "amax", "amin"])
@twin
@quiet
def test_products_with_a_reduction(torch: Any, rng: Any, reduce: str) -> Any:
    dense = torch.tensor([[1.0, 2, 0, 0], [0, 0, 0, 0], [0, 1, 5, 6], [0, 0, 7, 0]])
    a, b = dense.to_sparse_csr().requires_grad_(), rng(4, 3, grad=True)
    out = torch.sparse.mm(a, b, reduce)
    (out * rng(4, 3)).sum().backward()
    return out, a.grad.values(), b.grad


@twin
@quiet
def test_of_equal_terms_the_first_gets_the_gradient(torch: Any, rng: Any) -> Any:
    a, b = torch.ones(2, 4).to_sparse_csr().requires_grad_(), torch.ones(4, 2, requires_grad=True)
    torch.sparse.mm(a, b, "amax").sum().backward()
    return a.grad.values(), b.grad


@twin
@quiet
def test_reductions_that_do_not_exist(torch: Any, rng: Any) -> Any:
    dense = matrix(torch)
    found = message(lambda: torch.sparse.mm(dense.to_sparse(), dense, "mean"))
    return message(lambda: torch.sparse.mm(dense.to_sparse_csr(), dense, "prod")), found[0]


@twin
@quiet
def test_batches_of_coordinates_are_multiplied(torch: Any, rng: Any) -> Any:
    a = torch.stack([matrix(torch), matrix(torch) * 2]).to_sparse()
    return torch.bmm(a, rng(2, 4, 3))


@pytest.mark.parametrize(
    ("offsets", "shape"), [([0, 1, 2], (3, 3)), ([0, -1, 1], (3, 4)), ([-2, 0, 2], (5, 3)), ([0, 0, 1], (3, 3)), ([0], (3, 3))]
)
@twin
@quiet
def test_diagonals(torch: Any, rng: Any, offsets: Any, shape: Any) -> Any:
    made = []
    said = message(lambda: made.append(torch.sparse.spdiags(rng(3, 3), torch.tensor(offsets), shape)))
    return said, [one.to_dense() for one in made]


@twin
@quiet
def test_the_switch_of_checks(torch: Any, rng: Any) -> Any:
    check = torch.sparse.check_sparse_tensor_invariants
    seen = [check.is_enabled()]
    with check():
        seen.append(check.is_enabled())
        with check(False):
            seen.append(check.is_enabled())
    return [*seen, check.is_enabled()]


# ------------------------------------------------------------------------------------------------ eigenpairs


def positive(torch: Any, rng: Any, *batch: int) -> Any:
    a = rng(*batch, 12, 12, dtype="float64")
    return a @ a.mT + torch.eye(12, dtype=torch.float64) * 2


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("kind", ["dense", "sparse", "batch", "single", "general", "start", "basic", "preconditioned"])
@twin
def test_eigenpairs(torch: Any, rng: Any, kind: str, largest: bool) -> Any:
    a = positive(torch, rng, *((2,) if kind == "batch" else ()))
    a = a.float() if kind == "single" else a
    given = a.to_sparse() if kind == "sparse" else a
    options = {
        "general": {"B": positive(torch, rng)},
        "start": {"X": rng(12, 2, dtype="float64")},
        "basic": {"method": "basic"},
        "preconditioned": {"iK": torch.linalg.inv(a)},
    }.get(kind, {})
    values, vectors = torch.lobpcg(given, 2, largest=largest, niter=500, **options)
    image = a @ vectors
    by = options["B"] @ vectors if kind == "general" else vectors
    apart = (image - by * values.unsqueeze(-2)).norm() / image.norm()
    return values, values.dtype, vectors.shape, bool(apart < 1e-3)


@twin
def test_the_steps_are_those_of_torch(torch: Any, rng: Any) -> Any:
    a, start = positive(torch, rng), rng(12, 3, dtype="float64")
    return [torch.lobpcg(a, 2, X=start, niter=steps)[0] for steps in (2, 3, 4)]


@twin
def test_gradients_of_eigenpairs(torch: Any, rng: Any) -> Any:
    a = positive(torch, rng).requires_grad_()
    values, vectors = torch.lobpcg(a, 2, tol=1e-12, niter=500)
    weights = rng(12, 2, dtype="float64")
    (values.sum() + (vectors * vectors * weights).sum()).backward()
    return a.grad


@twin
def test_matrices_that_are_too_small(torch: Any, rng: Any) -> Any:
    return message(lambda: torch.lobpcg(torch.eye(5), 2)), message(lambda: torch.lobpcg(rng(4, 5)))[0]


def test_a_general_problem_has_two_different_eigenvalues_by_the_basic_method() -> None:
    """torch finds the same one twice."""
    a = real.rand(9, 9, dtype=real.float64)
    a = a @ a.T + real.eye(9, dtype=real.float64)
    found = mini_dl.lobpcg(mini_dl.tensor(a.numpy()), 2, B=mini_dl.eye(9, dtype=mini_dl.float64) * 2, method="basic")[0]
    np.testing.assert_allclose(found.numpy(), np.linalg.eigvalsh(a.numpy())[::-1][:2] / 2, rtol=1e-8)
