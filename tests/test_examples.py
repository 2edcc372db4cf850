"""Everything public of networks and optimizers shows an example in its docstring; `test_docs.py` runs them."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest

import mini_dl as torch
from mini_dl import nn
from mini_dl.nn import utils

PLACES = (
    nn, nn.init, utils, utils.parametrizations, utils.parametrize, utils.prune, utils.rnn,
    torch.optim, torch.optim.lr_scheduler, torch.optim.swa_utils,
)  # fmt: skip
DEPRECATED = {
    "clip_grad_norm", "constant", "dirac", "eye", "kaiming_normal", "kaiming_uniform", "normal", "orthogonal", "sparse", "uniform",
    "weight_norm", "remove_weight_norm", "xavier_normal", "xavier_uniform",
}  # fmt: skip


def public(place: ModuleType) -> list[object]:
    """The classes and functions of a module that have their home in this part of the package."""
    named = [value for name, value in vars(place).items() if not name.startswith("_")]
    home = place.__name__.rpartition(".")[0] if place.__name__.count(".") > 1 else place.__name__
    made = [value for value in named if inspect.isclass(value) or inspect.isfunction(value)]
    helpers = {"check_optimizer", "check_strategy", "course", "options_of", "per_group", "set_option"}
    return [value for value in made if value.__module__.startswith(home) and value.__name__ not in helpers]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_public_name_shows_an_example(place: ModuleType) -> None:
    found = public(place)
    assert found
    bare = {value.__name__ for value in found if ">>>" not in (value.__doc__ or "")}
    assert not bare - DEPRECATED
