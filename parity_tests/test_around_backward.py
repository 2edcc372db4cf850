"""Around a backward pass, for each operation of the table, without torch: what was given or made is written before it; it runs
twice, or makes a graph; or nothing is recorded at all. The numbers are the same, or a write was noticed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mini_dl
from parity_tests import adapter, bridge, tables

SAMPLES = 2


class Call:
    """One call of an operation, from the same seed: its tensors, and a sum of its results that can be differentiated."""

    def __init__(self, entry: adapter.Entry, sample: adapter.Sample) -> None:
        bridge.seed(0)
        args, kwargs = bridge.to_mini((sample.all_args, sample.kwargs))
        result = entry.ours(*args, **kwargs)
        self.given, self.made = bridge.tensors((args, kwargs)), bridge.tensors(result)
        sums = [(out.abs() if out.is_complex() else out).sum() * 1.5 for out in self.made if out.requires_grad]
        self.loss = sum(sums[1:], sums[0]) if sums else None

    def gradients(self, **options: bool) -> list[Any]:
        wanted = [tensor for tensor in self.given if tensor.requires_grad]
        found = mini_dl.autograd.grad(self.loss, wanted, allow_unused=True, **options)
        return [None if grad is None else bridge.array(grad.detach()).copy() for grad in found]

    def results(self) -> list[Any]:
        return [bridge.array(tensor.detach()).copy() for tensor in self.made]


def differentiable() -> list[adapter.Entry]:
    return [entry for entry in tables.entries() if not entry.out_of_scope and _type_of(entry)]


def _type_of(entry: adapter.Entry) -> str | None:
    return next((dtype for dtype in ("float64", "complex128") if dtype in entry.gradient_dtypes), None)


def calls(entry: adapter.Entry) -> Iterator[tuple[str, Any]]:
    """Functions that make a call that can be differentiated, the same each time."""
    for number, sample in enumerate(itertools.islice(entry.samples(_type_of(entry), requires_grad=True), SAMPLES)):
        try:
            loss = Call(entry, sample).loss
        except (bridge.NotApplicable, RuntimeError):  # sparse, or refused by both libraries
            continue
        if loss is not None:
            yield f"sample {number}", lambda sample=sample: Call(entry, sample)


def assert_same(found: list[Any], expected: list[Any], where: str, closely: bool = False) -> None:
    for number, (a, b) in enumerate(zip(found, expected, strict=True)):
        if closely and a is not None and b is not None:
            np.testing.assert_allclose(a, b, 1e-9, 1e-9, err_msg=f"{where}, number {number}")
        else:
            np.testing.assert_array_equal(a, b, f"{where}, number {number}")


def _change(tensor: Any) -> None:
    with mini_dl.no_grad():
        if tensor.dtype == mini_dl.bool:
            tensor.logical_not_()
        elif tensor.is_floating_point() or tensor.is_complex():
            tensor.mul_(3).add_(1)
        else:
            tensor.zero_()


@pytest.mark.parametrize("entry", differentiable(), ids=repr)
def test_numbers_around_a_backward_pass(entry):
    for where, make in calls(entry):
        call = make()
        results, gradients = call.results(), call.gradients(retain_graph=True)
        assert_same(call.gradients(retain_graph=True), gradients, f"{where}, again")
        assert_same(call.results(), results, f"{where}, results afterward")
        assert_same(call.gradients(create_graph=True), gradients, f"{where}, with a graph", closely=True)
        for number in range(len(call.given) + len(call.made)):
            assert_noticed_or_harmless(make(), number, gradients, f"{where}, tensor {number}")
        with mini_dl.no_grad():
            assert_same(make().results(), results, f"{where}, without recording", closely=True)
        with mini_dl.inference_mode():
            assert_same(make().results(), results, f"{where}, in inference mode", closely=True)


def assert_noticed_or_harmless(call: Call, number: int, gradients: list[Any], where: str) -> None:
    """Write to one of all arguments and results; the gradients are then as before, or refused."""
    try:
        _change((call.given + call.made)[number])
    except RuntimeError:  # memory that overlaps
        return
    try:
        found = call.gradients()
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error), f"{where}: {error}"
    else:
        assert_same(found, gradients, where)
