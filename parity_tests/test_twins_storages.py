"""Storages of each type, and the old spelling of conversions to sparse tensors."""

import warnings

import pytest

from parity_tests.twin import outcome, twin

NAMES = """BoolStorage ByteStorage CharStorage ComplexDoubleStorage ComplexFloatStorage DoubleStorage FloatStorage HalfStorage
IntStorage LongStorage ShortStorage""".split()


@pytest.mark.parametrize("name", NAMES)
@twin
def test_a_storage_of_each_type(torch, rng, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = getattr(torch, name)([1, 0, 2])
        return len(made), made.tolist(), made.element_size(), str(made.dtype), made[1], outcome(lambda: made[5])


@twin
def test_a_typed_storage_of_a_tensor(torch, rng):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = rng(2, 3)
        storage = x[1].storage()
        return isinstance(storage, torch.TypedStorage), storage.size(), storage.tolist(), outcome(lambda: storage[1:4])


@twin
def test_a_part_of_a_storage(torch, rng):
    bytes_ = torch.arange(6, dtype=torch.uint8).untyped_storage()
    part = bytes_[2:5]
    return len(part), part.tolist(), bytes_[3], outcome(lambda: torch.asarray(part, dtype=torch.uint8))


@twin
def test_to_sparse_of_no_dimension(torch, rng):
    x = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    made = x.to_sparse(), x.to_sparse(1), x.to_sparse(sparse_dim=2)
    return [one.to_dense() for one in made], [str(one.layout) for one in made], outcome(lambda: x.to_sparse(None))


@twin
def test_to_sparse_coo(torch, rng):
    return torch.tensor([[0.0, 1.0], [2.0, 0.0]]).to_sparse_coo().indices()
