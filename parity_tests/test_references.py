"""A slice of torch's reference inputs, which go beyond its samples: broadcasts, strides, extreme values.

All of them: ``python -m parity_tests.sweep --reference --json report/references.json``; the report shows when that last ran.
"""

from __future__ import annotations

from typing import Any

import pytest

from parity_tests import adapter, ledger
from parity_tests.ops import REFERENCE_CHECKS, run_references
from parity_tests.settling import settle
from parity_tests.tables import entries

INPUTS = 2


def chosen() -> list[adapter.Entry]:
    """Every fourth entry that has reference inputs, and those with known gaps."""
    found = [entry for entry in entries() if entry.has_references and "float32" in entry.dtypes]
    known = {gap.op for gap in ledger.gaps().values() if gap.check in REFERENCE_CHECKS}
    return [entry for i, entry in enumerate(found) if i % 4 == 0 or repr(entry) in known]


@pytest.mark.parametrize("entry", [pytest.param(entry, id=repr(entry)) for entry in chosen()])
def test_results_and_gradients_of_reference_inputs(entry: adapter.Entry, counted: Any) -> None:
    settle(counted, "ops", repr(entry), "float32", list(run_references(entry, "float32", INPUTS)))


def test_the_inputs_that_are_chosen_are_spread_and_are_not_the_samples() -> None:
    (entry,) = [entry for entry in entries() if repr(entry) == "add"]
    two, four = (entry.reference_samples("float32", False, number) for number in (2, 4))
    everything = entry.reference_samples("float32", False)
    assert (len(two), len(four)) == (2, 4) and len(everything) > 100
    shapes = [[tuple(t.shape) for t in (sample.input, *sample.args) if hasattr(t, "shape")] for sample in four]
    assert len({str(shape) for shape in shapes}) > 1
