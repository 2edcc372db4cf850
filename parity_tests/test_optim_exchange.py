"""A run that changes libraries half way: 10 steps under one, everything saved to a file, 10 more under the other.

The result is that of 20 steps under one library. Both ways, every optimizer in every setting of torch's table, every schedule.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from parity_tests import adapter, bridge
from parity_tests.compare import same
from parity_tests.schedules import SCHEDULES, exponential

HALF = 10
LIBRARIES = {"torch": torch, "mini_dl": bridge.mini_dl}
TOLERANCES = {"float64": (1e-9, 1e-9), "float32": (2e-5, 2e-5)}
BOTH_WAYS = pytest.mark.parametrize(("first", "second"), [("torch", "mini_dl"), ("mini_dl", "torch")])

NUMBERS = np.random.default_rng(5)
IMAGES, LABELS = NUMBERS.standard_normal((20, 3)), NUMBERS.standard_normal((20, 2))


class Run:
    """The training of a small network under one library."""

    def __init__(self, library: Any, dtype: str, optimizer: str, options: dict[str, Any], schedule: Callable[..., Any]) -> None:
        nn, self.library = library.nn, library
        library.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2)).to(getattr(library, dtype))
        self.images, self.labels = (library.from_numpy(values.astype(dtype)) for values in (IMAGES, LABELS))
        weights = [p for p in self.model.parameters() if p.ndim == 2]
        others = [p for p in self.model.parameters() if p.ndim != 2]
        groups: Any = [{"params": weights}, {"params": others, "lr": 0.02}]
        if optimizer == "Muon":
            groups = [{"params": weights[:1]}, {"params": weights[1:], "lr": 0.02}]
        if optimizer == "LBFGS":
            groups = weights + others
        self.optimizer = getattr(library.optim, optimizer)(groups, **options)
        self.schedule = schedule(library.optim.lr_scheduler, self.optimizer)
        self.metric = 0.0

    def _loss(self) -> Any:
        self.optimizer.zero_grad()
        loss = ((self.model(self.images) - self.labels) ** 2).mean()
        loss.backward()
        return loss

    def steps(self, count: int) -> list[Any]:
        """Loss, learning rates and parameters after each of `count` steps."""
        path = []
        for _ in range(count):
            loss = self.optimizer.step(self._loss).item()
            plateau = type(self.schedule).__name__ == "ReduceLROnPlateau"
            self.schedule.step(*[round(loss, 2)] if plateau else [])  # coarse, so that there are plateaus
            rates = [float(group["lr"]) for group in self.optimizer.param_groups]
            path.append((loss, rates, [np.array(p.detach().numpy()) for p in self.model.parameters()]))
        return path

    def save(self) -> io.BytesIO:
        file = io.BytesIO()
        parts = {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}
        self.library.save({name: part.state_dict() for name, part in parts.items()}, file)
        file.seek(0)
        return file

    def load(self, file: io.BytesIO) -> None:
        saved = self.library.load(file)
        for name, state in saved.items():
            getattr(self, name).load_state_dict(state)


def check_exchange(first: str, second: str, *setting: Any) -> None:
    """`setting`: type, optimizer, its options, schedule."""

    def begin(name: str) -> Run:
        dtype, optimizer, options, schedule = setting
        convert = bridge.copy if name == "torch" else bridge.to_mini
        return Run(LIBRARIES[name], dtype, optimizer, convert(options), schedule)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = begin(first).steps(2 * HALF)
        one, other = begin(first), begin(second)
        one.steps(HALF)
        other.load(one.save())
        resumed = other.steps(HALF)
    assert len({rates[0] for _, rates, _ in whole}) > 1, "a schedule that does nothing"
    assert whole[-1][0] != whole[HALF - 1][0]
    for number, (found, expected) in enumerate(zip(resumed, whole[HALF:]), HALF + 1):
        for what, a, b in zip(("loss", "learning rates", "parameters"), found, expected):
            pairs = [
                (torch.as_tensor(x), torch.as_tensor(y)) for x, y in zip(*[v if isinstance(v, list) else [v] for v in (a, b)])
            ]
            for x, y in pairs:
                why = same(bridge.to_mini(x), y, None, TOLERANCES[setting[0]], f"{what} after step {number}")
                assert why is None, why


def optimizer_settings() -> list[Any]:
    """Each setting of torch's table that trains on the CPU without a record of its steps."""
    found = []
    for entry in adapter.optimizer_entries():
        options = [one for one in entry.settings() if not (one.get("capturable") or one.get("differentiable"))]
        found += [(entry.theirs.__name__, i, one) for i, one in enumerate(options) if not entry.sparse]
    return [pytest.param(name, options, id=f"{name}-{i}") for name, i, options in found]


def short(optimizer: str) -> dict[str, Any]:
    """Over 400 iterations of LBFGS the last bit of a gradient grows to 1e-7: fewer of them per step."""
    return {"max_iter": 2} if optimizer == "LBFGS" else {}


@BOTH_WAYS
@pytest.mark.parametrize(("optimizer", "options"), optimizer_settings())
def test_an_optimizer_moves_to_the_other_library(optimizer: str, options: dict[str, Any], first: str, second: str) -> None:
    check_exchange(first, second, "float64", optimizer, short(optimizer) | options, exponential)


@BOTH_WAYS
@pytest.mark.parametrize("optimizer", [repr(e).partition(".")[2] for e in adapter.optimizer_entries() if not e.sparse])
def test_an_optimizer_moves_in_single_precision(optimizer: str, first: str, second: str) -> None:
    check_exchange(first, second, "float32", optimizer, short(optimizer), exponential)


@BOTH_WAYS
@pytest.mark.parametrize(("optimizer", "options"), [("SGD", {"momentum": 0.8}), ("Adam", {"lr": 0.05})], ids=["SGD", "Adam"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_moves_to_the_other_library(
    schedule: str, optimizer: str, options: dict[str, Any], first: str, second: str
) -> None:
    check_exchange(first, second, "float64", optimizer, {"lr": 0.3, **options}, SCHEDULES[schedule])


def test_every_schedule_of_torch_is_among_them() -> None:
    names = {name.partition(",")[0] for name in SCHEDULES}
    assert names | {"LRScheduler"} == set(torch.optim.lr_scheduler.__all__)
