"""A sparse tensor that is a parameter stays one in files, pickles and copies."""

import copy
import io
import pickle

import pytest

import mini_dl as torch


def saved_and_loaded(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file)


@pytest.mark.parametrize("made", [saved_and_loaded, copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
@pytest.mark.parametrize("wanted", [True, False])
def test_a_sparse_parameter_stays_a_parameter_and_keeps_requires_grad(made, layout, wanted):
    parameter = torch.nn.Parameter(getattr(torch.eye(2), layout)(), requires_grad=wanted)
    again = made(parameter)
    assert isinstance(again, torch.nn.Parameter)
    assert again.requires_grad is wanted
    assert again.is_sparse is parameter.is_sparse
    assert again.to_dense().tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("made", [saved_and_loaded, copy.deepcopy])
def test_a_sparse_tensor_that_is_not_a_parameter_does_not_become_one(made):
    assert not isinstance(made(torch.eye(2).to_sparse()), torch.nn.Parameter)
