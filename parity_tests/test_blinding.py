"""Every single check matters: if it always passes, a planted fault goes undetected."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from parity_tests import blinding, ops
from parity_tests.planting import FAULTS, check_caught
from scripts._matrix import CHECKS

SEEN_BY_COLUMN = {
    "operations: forward": "biased variance",
    "operations: grad": "zero softmax backward",
    "operations: gradgrad": "second order of tanh lost",
    "operations: inplace": "in place a little more",
    "operations: out": "another value in out than comes back",
    "operations: method": "a method that is not the function",
    "operations: noncontiguous": "gaps in memory taken for elements",
    "operations: forward_ad": "softmax taken for linear",
    "operations: fwgrad_bwgrad": "a saved result that loses its tangent",
    "operations: vmap": "a batch misplaced: softmax",
    "operations: vmap_grad": "the gradient of a weight that adds up the batch",
    "operations: error": "arguments that are not looked at",
    "modules: construct": "initial weights a little wider",
    "modules: forward": "a layer scaled",
    "modules: grad": "a layer's gradient negative",
    "modules: gradgrad": "second order of a layer lost",
    "modules: buffers": "a batch counted twice",
    "modules: error": "a cell that takes any input",
    "optimizers: trajectory": "Adam without bias correction",
    "optimizers: error": "settings that are not looked at",
}
SEEN_BY_FUNCTION = {
    "compare.values": "biased variance",
    "compare.tensor": "(1,) for ()",
    "compare.same": "a result cut off from its history",
    "judging.check_error": "a place beyond a matrix",
    "judging.same_derivatives": "zero softmax backward",
    "judging.same_gradients": "transposed matmul gradient",
    "ops.Trial.forward": "an input that was written",
    "ops.Trial.views": "a copy that shares memory",
    "ops.Trial.gradients": "second order of tanh lost",
    "ops.same_refusal": "a write in place that broadcasts its target",
    "ops.check_inplace": "a copy comes back where a tensor was written",
    "ops.check_out": "another value in out than comes back",
    "ops.check_method": "a method that is not the function",
    "ops.check_noncontiguous": "gaps in memory taken for elements",
    "ops.check_refusal": "a place beyond a matrix",
    "modules.Pair.state": "initial weights a little wider",
    "modules.Pair.forward": "a layer scaled",
    "modules.Pair.buffers": "a batch counted twice",
    "modules.Pair.gradients": "a layer's gradient negative",
    "modules.check_refusal": "a cell that takes any input",
    "optimizers.trajectory": "Adam without bias correction",
    "optimizers.same_state": "state under other names",
    "optimizers.check_refusal": "settings that are not looked at",
    "forwards.same_tangents": "a view that drops its tangent",
    "forwards.same_in_domain": "softmax taken for linear",
    "forwards.check_forward_ad": "softmax taken for linear",
    "forwards.check_fwgrad_bwgrad": "a saved result that loses its tangent",
    "mapped.Mapped.on_every_batch": "a batch misplaced: softmax",
    "mapped.Mapped.on": "a batch misplaced: softmax",
    "mapped.check_vmap": "a batch misplaced: softmax",
    "mapped.check_vmap_of_gradient": "the gradient of a weight that adds up the batch",
    "variations.check_misuse": "a keyword that does not exist",
    "twin.difference": "gather adjoint without accumulation",
}
SEEN_BY_PART: dict[str, tuple[Callable[[], Any], str]] = {
    "gradients that are None": (blinding.without_none, "zeros for a gradient that is None"),
    "arguments after the call": (blinding.without_argument_check, "an input that was written"),
}

BLIND: dict[str, tuple[Callable[[], Any], str]] = {
    **{name: (blind, SEEN_BY_COLUMN.get(name, "")) for name, blind in blinding.COLUMNS.items()},
    **{path: (lambda path=path: blinding.function(path), what) for path, what in SEEN_BY_FUNCTION.items()},  # type: ignore[misc]
    **SEEN_BY_PART,
}


@pytest.mark.parametrize("name", BLIND)
def test_a_check_that_passes_always_is_noticed(name: str) -> None:
    blind, what = BLIND[name]
    fault = next(fault for fault in FAULTS if fault.what == what)
    with blind(), pytest.raises(AssertionError, match="nothing noticed"):
        check_caught(fault)


def test_every_column_and_every_function_that_decides_is_among_them() -> None:
    assert set(SEEN_BY_COLUMN) == set(blinding.COLUMNS)
    assert set(SEEN_BY_FUNCTION) == set(blinding.deciding_functions())
    assert {name.removeprefix("operations: ") for name in blinding.COLUMNS if name.startswith("operations")} == set(ops.CHECKS)
    assert set(ops.CHECKS) <= set(CHECKS)


def test_a_sound_comparison_is_left_sound() -> None:
    """A disabled check works again afterward."""
    fault = next(fault for fault in FAULTS if fault.what == "(1,) for ()")
    for blind, _ in BLIND.values():
        with contextlib.suppress(AssertionError), blind():
            pass
    check_caught(fault)
