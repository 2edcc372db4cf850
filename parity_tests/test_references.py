"""A slice of torch's reference inputs, which go beyond its samples: broadcasts, strides, extreme values.

All of them: ``python -m parity_tests.sweep --reference --json report/references.json``; the report says when that ran last.
"""

from __future__ import annotations

from typing import Any

import pytest

from parity_tests import adapter
from parity_tests.ops import run_references
from parity_tests.settling import settle
from parity_tests.tables import entries

INPUTS = {"float32": 4, "float64": 2, "int64": 2, "complex64": 2}
"""How many inputs of each entry, by type."""


def chosen() -> list[tuple[adapter.Entry, str]]:
    """The entries that have reference inputs, in each of these types."""
    return [(entry, dtype) for entry in entries() if entry.has_references for dtype in INPUTS if dtype in entry.dtypes]


@pytest.mark.parametrize(("entry", "dtype"), [pytest.param(entry, dtype, id=f"{entry!r}-{dtype}") for entry, dtype in chosen()])
def test_results_and_gradients_of_reference_inputs(entry: adapter.Entry, dtype: str, counted: Any) -> None:
    settle(counted, "ops", repr(entry), dtype, list(run_references(entry, dtype, INPUTS[dtype])))


def test_the_inputs_that_are_chosen_are_spread_and_are_not_the_samples() -> None:
    (entry,) = [entry for entry in entries() if repr(entry) == "add"]
    two, four = (entry.reference_samples("float32", False, number) for number in (2, 4))
    everything = entry.reference_samples("float32", False)
    assert (len(two), len(four)) == (2, 4) and len(everything) > 100
    shapes = [[tuple(t.shape) for t in (sample.input, *sample.args) if hasattr(t, "shape")] for sample in four]
    assert len({str(shape) for shape in shapes}) > 1
