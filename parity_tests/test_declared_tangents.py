"""Each declaration that simplifies a tangent (`linear_in`, `symmetric_in`, `forwards_by`, and the views) against the
general rule, the transpose of the transpose, on torch's samples."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

import mini_dl
from mini_dl.autograd import transforms
from mini_dl.autograd.forwards import known
from mini_dl.autograd.tangents import has_tangent, transposed_twice
from parity_tests import adapter, bridge
from parity_tests.forwards import Forwards, within_domain

shortened, checked = transforms.tangents_of, set[str]()


def both_ways(new_level: Any, primitive: Any, args: Any, given: Any, outs: Any) -> Any:
    """The tangents by the declared rule, which must equal those of the general one."""
    found = shortened(new_level, primitive, args, given, outs)
    used = [one for one in primitive.formulas if has_tangent(given[one[0]])]
    short = primitive.linear or primitive.symmetric or primitive.forwards or primitive.looks
    if not (used and short) or primitive.name == "_copied":
        return found
    expected = transposed_twice(new_level, primitive, args, given, outs, used)
    for a, b in zip(found, expected):
        if a is not None and a._level is None and not isinstance(a._array, np.memmap):
            assert np.allclose(a._array, b._array, rtol=1e-9, atol=1e-9, equal_nan=True), f"{primitive!r}: {a} for {b}"
            checked.add(primitive.name)
    return found


FREE = {"max_unpool", "as_strided", "index_put", "put"}
"""Functions whose result is unspecified if elements collide."""


@pytest.mark.filterwarnings("ignore")
def test_declared_tangents_are_those_of_the_general_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, "tangents_of", both_ways)
    for entry in adapter.entries():
        usable = entry.resolves() and entry.info.supports_forward_ad and "float64" in entry.gradient_dtypes
        if not usable or any([name in entry.name for name in FREE]):
            continue
        ours = within_domain(entry, entry.ours, bridge.transplant)
        sample = next(iter(entry.samples("float64", requires_grad=True)), None)
        for second in (False, True)[: 1 + entry.info.supports_fwgrad_bwgrad] if sample is not None else ():
            with contextlib.suppress(bridge.NotApplicable, NotImplementedError):
                Forwards(mini_dl, ours, sample).tangents(second)
    declared = {p.name for p in known() if p.formulas and (p.linear or p.symmetric or p.forwards or p.looks)}
    assert len(declared - checked) < len(declared) / 4, sorted(declared - checked)
