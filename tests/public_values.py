"""The public functions, classes and attributes by public path."""

from __future__ import annotations

import functools
import importlib
import inspect
import types
from collections.abc import Iterator
from typing import Any

from mini_dl.standins import kind_of
from mini_dl.standins.kinds import Absent
from mini_dl.tensor import Tensor

PLACES = (
    "torch Tensor nn nn.functional nn.init nn.utils nn.utils.rnn nn.utils.parametrize nn.utils.parametrizations nn.utils.prune "
    "optim optim.lr_scheduler optim.swa_utils linalg fft special distributions utils.data autograd autograd.functional "
    "autograd.forward_ad func sparse signal.windows masked random"
).split()


@functools.cache
def module_at(place: str) -> types.ModuleType:
    return importlib.import_module("mini_dl" if place == "torch" else f"mini_dl.{place}")


def public_values(place: str) -> Iterator[tuple[str, Any]]:
    """Name and value of everything implemented here: functions, classes, and for Tensor also properties."""
    if place == "Tensor":
        for name in dir(Tensor):
            value = inspect.getattr_static(Tensor, name)
            if not name.startswith("_") and (callable(value) or inspect.isdatadescriptor(value) or type(value) in METHODS):
                yield name, value
        return
    module = module_at(place)
    for name in dir(module):
        if not name.startswith("_") and kind_of(place, name) == "here":
            value = getattr(module, name)
            if callable(value) and not isinstance(value, types.ModuleType) and is_ours(value):
                if place != "torch" and isinstance(value, type) and vars(module_at("torch")).get(name) is value:
                    continue  # the class Tensor, which many modules show
                yield name, value


METHODS = (classmethod, staticmethod)


def is_ours(value: Any) -> bool:
    """Whether a function or class is defined here, rather than imported from the standard library."""
    if isinstance(value, Absent):  # torch's own private names, which report that they are absent
        return False
    home = getattr(value, "__module__", None)
    return home is None or home.partition(".")[0] in ("mini_dl", "torch")
