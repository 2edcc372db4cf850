"""The calls of torch's table under torch, encoded for a golden pack."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from parity_tests import adapter, bridge, targets
from parity_tests.golden import SEED, Case, check, flat


class Unwritable(Exception):
    """A case with something that a pack cannot hold."""


def recorded(
    patterns: list[str], dtypes: list[str], limit: int | None, arrays: dict[str, Any], wanted: Callable[[str], bool] | None = None
) -> Iterator[Case]:
    """The cases of the entries of torch's table that the patterns name, of `wanted` functions; numbers go into `arrays`."""
    for entry in adapter.chosen(adapter.entries(), patterns):
        name = entry.name
        if entry.out_of_scope or entry.undetermined or entry.has_free_signs or name.startswith("__"):
            continue
        function = known_as(name)
        if function is None or not (wanted is None or wanted(function)):
            continue
        for dtype in sorted({*dtypes} & {*entry.dtypes}):
            grad = dtype in entry.gradient_dtypes
            for number, sample in itertools.islice(enumerate(entry.samples(dtype, grad)), limit):
                try:
                    case, more = case_of(repr(entry), dtype, number, function, sample, len(arrays))
                except Unwritable:
                    continue
                if not any(check(case, more, targets.TorchLike(torch)).values()):  # else a pack lacks what the call depends on
                    arrays.update(more)
                    yield case


def known_as(name: str) -> str | None:
    """How mini_dl spells an entry of torch's table: as a function, or as a method of Tensor; None if it has neither."""
    for spelling in (name, f"Tensor.{name}"):
        with contextlib.suppress(bridge.Missing):
            bridge.lookup(spelling)
            return spelling
    return None


def case_of(op: str, dtype: str, number: int, function: str, sample: Any, first: int) -> tuple[Case, dict[str, Any]]:
    """One sample under torch, encoded, and its numbers by name, from `first` on. Unwritable if that fails or torch refuses it."""
    called = targets.TorchLike(torch).function(function)
    arrays: dict[str, Any] = {}
    encode = Encoder(arrays, first)
    args, kwargs = [encode(a) for a in sample.all_args], {key: encode(value) for key, value in sample.kwargs.items()}
    leaves = [tensor for tensor in encode.known.values() if tensor.requires_grad]
    torch.manual_seed(SEED)
    try:
        result = called(*sample.all_args, **sample.kwargs)
    except Exception as error:
        raise Unwritable(str(error)) from None
    outputs = flat(result, torch.Tensor)
    encoded = [encode(output) for output in outputs]
    ends = [o for o in outputs if isinstance(o, torch.Tensor) and o.requires_grad]
    directions = gradients = None
    if leaves and ends and sample.finish is None:
        given = [torch.randn(end.shape, dtype=end.dtype) for end in ends]
        try:
            found = torch.autograd.grad(ends, leaves, given, allow_unused=True)
        except RuntimeError as error:
            raise Unwritable(str(error)) from None
        directions, gradients = [encode(d) for d in given], [encode(g) for g in found]
    return Case(op, dtype, number, function, args, kwargs, encoded, directions, gradients), arrays


class Encoder:
    """What a manifest says of a value of torch; the numbers of tensors go into `arrays`, the tensors into `known`."""

    def __init__(self, arrays: dict[str, Any], first: int) -> None:
        self.arrays, self.first = arrays, first
        self.known: dict[int, Any] = {}
        self.names: dict[int, str] = {}

    def __call__(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, list):
            return [self(item) for item in value]
        if isinstance(value, tuple):
            return {"tuple": [self(item) for item in value]}
        if isinstance(value, slice):
            return {"slice": [self(value.start), self(value.stop), self(value.step)]}
        if isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        raise Unwritable(f"{type(value)}")

    def tensor(self, tensor: Any) -> Any:
        if id(tensor) not in self.names:
            try:
                array = bridge.array(tensor)
            except Exception as error:
                raise Unwritable(str(error)) from None
            if array.dtype.kind not in "biufc" or array.dtype.itemsize > 16:
                raise Unwritable(str(array.dtype))
            self.names[id(tensor)] = name = str(self.first + len(self.arrays))
            self.arrays[name], self.known[id(tensor)] = np.array(array), tensor  # the call may write to it
        return {"tensor": self.names[id(tensor)], **({"grad": True} if tensor.requires_grad and tensor.is_leaf else {})}
