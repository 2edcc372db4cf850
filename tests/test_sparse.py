"""Sparse tensors: parts, errors, derivatives of any order, and that programs without them do not load the package."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys

import pytest

import mini_dl as torch


def matrix(**options: object) -> torch.Tensor:
    return torch.sparse_coo_tensor([[0, 1, 1], [2, 0, 0]], [3.0, 4.0, 5.0], (2, 3), **options)


def test_values_of_one_place_are_summed() -> None:
    dense = [[0.0, 0.0, 3.0], [9.0, 0.0, 0.0]]
    merged = matrix().coalesce()
    assert matrix().to_dense().tolist() == merged.to_dense().tolist() == merged.to_sparse_csr().to_dense().tolist() == dense
    assert merged.values().tolist() == [3, 9] and not matrix().is_coalesced() and merged.is_coalesced()
    with pytest.raises(RuntimeError, match=r"please call \.coalesce"):
        matrix().values()


LOADING = """
import sys, mini_dl
mini_dl.nn.Embedding(3, 2)(mini_dl.tensor([1])).sum().backward()
assert not {'mini_dl.sparse', 'multiprocessing', 'mini_dl.multiprocessing'} & set(sys.modules)
mini_dl.eye(2).to_sparse()
assert 'mini_dl.sparse' in sys.modules and mini_dl.ones(2).share_memory_().is_shared()
assert 'mini_dl.multiprocessing' in sys.modules
"""


def test_the_package_is_loaded_by_the_first_sparse_tensor() -> None:
    subprocess.run([sys.executable, "-c", LOADING], check=True)


def test_second_derivatives_go_through_values_and_dense_operands() -> None:
    values, x = torch.tensor([1.0, 2.0], requires_grad=True), torch.ones(2, 2, requires_grad=True)
    product = torch.sparse.mm(torch.sparse_coo_tensor([[0, 1], [1, 0]], values, (2, 2)), x)
    (first,) = torch.autograd.grad((product**2).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), values)
    assert first.tolist() == [[8, 8], [2, 2]] and second.tolist() == [8, 16]


def test_a_gradient_through_another_operation_is_dense() -> None:
    weight = torch.ones(4, 2, requires_grad=True)
    torch.nn.functional.embedding(torch.tensor([1, 1]), weight * 2, sparse=True).sum().backward()
    assert not weight.grad.is_sparse and weight.grad.tolist() == [[0, 0], [4, 4], [0, 0], [0, 0]]


def test_hooks_see_the_sparse_gradient() -> None:
    table, seen = torch.nn.Embedding(4, 2, sparse=True), []
    table.weight.register_hook(lambda grad: seen.append(grad.is_sparse))
    table.weight.register_post_accumulate_grad_hook(lambda weight: seen.append(weight.grad._nnz()))
    table(torch.tensor([1, 2, 1])).sum().backward()
    assert seen == [True, 3]


def test_a_sparse_gradient_has_memory_of_its_own() -> None:
    table, given = torch.nn.Embedding(4, 2, sparse=True), torch.ones(2, 2)
    table(torch.tensor([1, 2])).backward(given)
    table.weight.grad._values().mul_(5)
    assert given.tolist() == [[1, 1], [1, 1]] and table.weight.grad._values().tolist() == [[5, 5], [5, 5]]


def test_what_is_not_known_is_refused_and_the_memory_is_never_seen() -> None:
    for call in (torch.exp, torch.nn.functional.gelu, torch.cumsum, lambda s: s.view(3, 2), lambda s: s[:1], lambda s: s > 0):
        with pytest.raises(NotImplementedError):
            call(matrix())


def test_copies_and_files_keep_layout_and_flags() -> None:
    for made in (matrix(), matrix().coalesce(), matrix().to_sparse_csr(), matrix().to_sparse_csc(), matrix(requires_grad=True)):
        file = io.BytesIO()
        torch.save(made.detach(), file)
        file.seek(0)
        for back in (copy.deepcopy(made), copy.copy(made), pickle.loads(pickle.dumps(made)), torch.load(file)):
            assert back.layout is made.layout and back._nnz() == made._nnz()
            assert back.to_dense().tolist() == made.to_dense().tolist()
            assert back.layout is not torch.sparse_coo or back.is_coalesced() == made.is_coalesced()


def test_a_large_matrix_takes_the_memory_of_its_elements() -> None:
    large = torch.sparse_coo_tensor([[0, 10**6 - 1], [10**6 - 1, 5]], [1.0, 2.0], (10**6, 10**6))
    assert (large @ torch.ones(10**6, 1))[10**6 - 1].item() == 2 and torch.sparse.sum(large).item() == 3
    assert (large @ large)._nnz() == 1 and (large * 2).t().coalesce().values().tolist() == [4, 2]
