"""What pickles does not depend on what ran before, and what has a state of this process refuses to be copied."""

from __future__ import annotations

import copy
import pickle

import pytest

import mini_dl as torch
from mini_dl import overrides


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_methods_pickle_after_subclasses_were_declared(protocol: int) -> None:
    overrides.watch()
    for method in (torch.Tensor.add, torch.Tensor.__add__, torch.Tensor.relu_, torch.Tensor.max):
        assert pickle.loads(pickle.dumps(method, protocol)) is method
    bound = pickle.loads(pickle.dumps(torch.ones(2).add, protocol))
    assert bound(1).tolist() == [2, 2]


def loader() -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.arange(3)))


REFUSED = {
    "a node of the graph": (
        lambda: (2 * torch.ones(1, requires_grad=True)).grad_fn,
        TypeError,
        "cannot pickle 'MulBackward0' object",
    ),
    "an epoch": (lambda: iter(loader()), NotImplementedError, "cannot be pickled"),
    "a future": (torch.futures.Future, RuntimeError, r"Can not pickle torch\.futures\.Future"),
}


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("name", REFUSED)
def test_what_belongs_to_this_process_is_not_copied(name: str, way: object) -> None:
    make, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        way(make())  # type: ignore[operator]
