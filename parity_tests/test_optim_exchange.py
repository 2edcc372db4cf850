"""A run that changes libraries half way: 10 steps under one, everything saved to a file, 10 more under the other.

It ends where 20 steps under one library end. Both ways, every optimizer in every setting of torch's table, every schedule.
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


def exponential(kinds: Any, optimizer: Any) -> Any:
    return kinds.ExponentialLR(optimizer, 0.97)


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


def sequential(kinds: Any, optimizer: Any) -> Any:
    warm, main = kinds.LinearLR(optimizer, 0.1, total_iters=4), kinds.CosineAnnealingLR(optimizer, 9)
    return kinds.SequentialLR(optimizer, [warm, main, kinds.StepLR(optimizer, 2, 0.5)], [4, 12])


SCHEDULES: dict[str, Callable[..., Any]] = {
    "LambdaLR": lambda kinds, o: kinds.LambdaLR(o, [lambda epoch: 0.9**epoch, lambda epoch: 1 / (1 + epoch)]),
    "MultiplicativeLR": lambda kinds, o: kinds.MultiplicativeLR(o, lambda epoch: 0.9 if epoch % 2 else 1.05),
    "StepLR": lambda kinds, o: kinds.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda kinds, o: kinds.MultiStepLR(o, [3, 9, 14, 14], 0.5),
    "ConstantLR": lambda kinds, o: kinds.ConstantLR(o, 0.5, 13),
    "LinearLR": lambda kinds, o: kinds.LinearLR(o, 0.25, 0.75, 15),
    "ExponentialLR": exponential,
    "PolynomialLR": lambda kinds, o: kinds.PolynomialLR(o, 17, 2.0),
    "CosineAnnealingLR": lambda kinds, o: kinds.CosineAnnealingLR(o, 7, 0.001),
    "ChainedScheduler": lambda kinds, o: kinds.ChainedScheduler([kinds.ConstantLR(o, 0.5, 12), kinds.ExponentialLR(o, 0.9)]),
    "SequentialLR": sequential,
    "ReduceLROnPlateau": lambda kinds, o: kinds.ReduceLROnPlateau(o, "min", 0.5, 1, 0.2, "abs", cooldown=1),
    "CyclicLR": lambda kinds, o: kinds.CyclicLR(o, 0.01, [0.1, 0.2], 4, 3, mode="triangular2"),
    "CyclicLR, own scale": lambda kinds, o: kinds.CyclicLR(o, 0.01, 0.1, 4, scale_fn=lambda x: 0.9**x, scale_mode="iterations"),
    "OneCycleLR": lambda kinds, o: kinds.OneCycleLR(o, 0.2, 21),
    "OneCycleLR, three phases": lambda kinds, o: kinds.OneCycleLR(o, 0.2, 21, three_phase=True, anneal_strategy="linear"),
    "CosineAnnealingWarmRestarts": lambda kinds, o: kinds.CosineAnnealingWarmRestarts(o, 4, 2, 0.001),
}


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
