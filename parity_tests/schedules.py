"""A scheduler of every kind, for both libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def exponential(kinds: Any, optimizer: Any) -> Any:
    return kinds.ExponentialLR(optimizer, 0.97)


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
