"""What was given to an operation, or came of it, may be written before the backward pass: an error, or the same gradients."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import mini_dl
from parity_tests import adapter, bridge, tables

SAMPLES = 2


def differentiable() -> list[adapter.Entry]:
    return [entry for entry in tables.entries() if not entry.out_of_scope and _type_of(entry)]


def _type_of(entry: adapter.Entry) -> str | None:
    return next((dtype for dtype in ("float64", "complex128") if dtype in entry.gradient_dtypes), None)


def _change(tensor: Any) -> None:
    with mini_dl.no_grad():
        if tensor.dtype == mini_dl.bool:
            tensor.logical_not_()
        elif tensor.is_floating_point() or tensor.is_complex():
            tensor.mul_(3).add_(1)
        else:
            tensor.zero_()


def gradients(entry: adapter.Entry, sample: adapter.Sample, written: int | None) -> list[Any] | None:
    """Those of the arguments after a write to one of all arguments and results; None if there are none, or it cannot be written.

    Raises: IndexError if there are fewer tensors.
    """
    bridge.seed(0)
    args, kwargs = bridge.to_mini((sample.all_args, sample.kwargs))
    result = entry.ours(*args, **kwargs)
    given, made = bridge.tensors((args, kwargs)), bridge.tensors(result)
    losses = [(out.abs() if out.is_complex() else out).sum() * 1.5 for out in made if out.requires_grad]
    if not losses:
        return None
    if written is not None:
        try:
            _change((given + made)[written])
        except RuntimeError:  # memory that overlaps
            return None
    sum(losses[1:], losses[0]).backward()
    return [None if tensor.grad is None else bridge.array(tensor.grad) for tensor in given]


@pytest.mark.parametrize("entry", differentiable(), ids=repr)
def test_a_write_before_backward_is_noticed_or_changes_nothing(entry):
    for number, sample in enumerate(itertools.islice(entry.samples(_type_of(entry), requires_grad=True), SAMPLES)):
        try:
            expected = gradients(entry, sample, None)
        except (bridge.NotApplicable, RuntimeError):
            continue
        if expected is None:
            continue
        written = 0
        while True:
            try:
                found = gradients(entry, sample, written)
            except IndexError:
                break
            except RuntimeError as error:
                assert "modified by an inplace operation" in str(error), f"sample {number}, tensor {written}: {error}"
                found = None
            if found is not None:
                for argument, (a, b) in enumerate(zip(found, expected, strict=True)):
                    np.testing.assert_array_equal(a, b, f"sample {number}, tensor {written}, the gradient of argument {argument}")
            written += 1
