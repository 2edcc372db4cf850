"""Every public name of networks and optimizers has an example in its docstring; `test_docs.py` runs them."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest

import mini_dl as torch
from mini_dl import nn
from mini_dl.nn import utils

PLACES = (
    nn.modules, nn.init, utils, utils.parametrizations, utils.parametrize, utils.prune, utils.rnn,
    torch.optim, torch.optim.lr_scheduler, torch.optim.swa_utils,
)  # fmt: skip
DEPRECATED = """
    clip_grad_norm constant dirac eye kaiming_normal kaiming_uniform normal orthogonal sparse uniform weight_norm
    remove_weight_norm xavier_normal xavier_uniform
"""


def public(place: ModuleType) -> list[object]:
    """The classes and functions that a module lists, or else those that it defines and the schedules that it re-exports."""
    named = {name: value for name, value in vars(place).items() if inspect.isclass(value) or inspect.isfunction(value)}
    if hasattr(place, "__all__"):
        return [named[name] for name in place.__all__ if name in named]
    schedule = torch.optim.lr_scheduler.LRScheduler
    return [
        value
        for name, value in named.items()
        if not name.startswith("_")
        and (value.__module__ == place.__name__ or (inspect.isclass(value) and issubclass(value, schedule)))
    ]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_public_name_shows_an_example(place: ModuleType) -> None:
    found = public(place)
    assert found
    assert not {value.__name__ for value in found if ">>>" not in (value.__doc__ or "")} - set(DEPRECATED.split())
