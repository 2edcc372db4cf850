"""Tests of the tests: wrong results are rejected under every tolerance in use, and every planted fault is detected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from parity_tests import adapter, bridge, compare, faults, ledger, optimizers
from parity_tests.forwards import Forwards
from parity_tests.judging import FAIL, PASS, Outcome
from parity_tests.ops import CHECKS, run_entry
from parity_tests.planting import FAULTS, check_caught, fresh

TOLERANCES = [*compare.TOLERANCES.values(), *optimizers.TOLERANCES.values()]
DTYPES = list(compare.TOLERANCES)


def answer(dtype: str) -> Any:
    values = np.random.default_rng(0).standard_normal((4, 4)) * np.array([1.0, 10.0, 0.1, 100.0])
    return values.astype(dtype)


WRONG = {
    "zeros": lambda a: a * 0,
    "scaled": lambda a: a * a.dtype.type(1.05),
    "shifted": lambda a: np.roll(a, 1),
    "moved": lambda a: a + a.dtype.type(0.01),
    "transposed": lambda a: a.T.copy(),
    "negative": lambda a: -a,
    "one element": lambda a: np.where(np.arange(16).reshape(4, 4) == 5, a * 2, a).astype(a.dtype),
    "nan": lambda a: np.where(np.arange(16).reshape(4, 4) == 5, np.nan, a).astype(a.dtype),
    "inf": lambda a: np.where(np.arange(16).reshape(4, 4) == 5, np.inf, a).astype(a.dtype),
}


@pytest.mark.parametrize("tolerance", [None, *TOLERANCES])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wrong", list(WRONG))
def test_a_wrong_answer_is_rejected(wrong: str, dtype: str, tolerance: Any) -> None:
    right = answer(dtype)
    reference = compare.Exact(right.astype(np.complex128 if "complex" in dtype else np.float64), None)
    for exact in (None, lambda: reference):
        assert compare.values(right.copy(), right, exact, tolerance) is None
        assert compare.values(WRONG[wrong](right), right, exact, tolerance) is not None


@pytest.mark.parametrize("wrong", list(WRONG))
def test_a_wrong_sum_of_products_is_rejected(wrong: str) -> None:
    right = answer("float32")
    exact = compare.Exact(right.astype(np.float64), np.abs(right).astype(np.float64) * 100)
    assert compare.values(WRONG[wrong](right), right, lambda: exact) is not None


def test_infinity_and_nan_are_told_apart() -> None:
    specials = np.array([np.nan, np.inf, -np.inf, 1.0])
    assert compare.values(specials.copy(), specials) is None
    for i in range(3):
        for other in (np.nan, np.inf, -np.inf, 0.0):
            changed = specials.copy()
            changed[i] = other
            same = bool(np.array_equal(changed, specials, equal_nan=True))
            assert (compare.values(changed, specials) is None) == same


def test_shape_dtype_structure_and_history_are_compared() -> None:
    mine, theirs = bridge.to_mini, torch.tensor(2.0)
    assert compare.same(mine(theirs), theirs) is None
    wrong = [
        mine(theirs.reshape(1)),
        mine(theirs.double()),
        mine(theirs.clone().requires_grad_()),
        2.0,
        None,
        (mine(theirs),),
        mine(torch.tensor(2)),
    ]
    assert all(compare.same(w, theirs) for w in wrong)
    assert compare.same((mine(theirs),) * 2, (theirs,) * 2) is None
    assert compare.same([mine(theirs)] * 2, (theirs,) * 2)
    assert compare.same((mine(theirs),), (theirs,) * 2)
    assert compare.same(2, 2.0) and compare.same(True, 1) and compare.same("a", "b") and compare.same({"a": 1}, {"b": 1})
    assert compare.same(mine(torch.float32), torch.float64) and not compare.same(mine(torch.float32), torch.float32)


def test_judged_three_ways_ours_may_err_twice_as_much_as_torch_and_no_more() -> None:
    exact = np.array([1.0, 1000.0])
    theirs = np.array([1.0, 1000.004], np.float32)
    assert compare.no_worse(np.array([1.0, 1000.007], np.float32), theirs, exact)
    assert not compare.no_worse(np.array([1.0, 1000.012], np.float32), theirs, exact)
    assert not compare.no_worse(np.array([1.0, np.nan], np.float32), theirs, exact)


def test_tangents_of_gradients_in_float64_are_those_of_the_directions_drawn_in_float32() -> None:
    sample = adapter.Sample(torch.linspace(-1, 1, 100).requires_grad_(), (), {})
    narrow = Forwards(torch, lambda x: x * x, sample)
    (single,) = narrow.tangents(second=True)
    (double,) = Forwards(torch, lambda x: x * x, sample, narrow).tangents(second=True)
    assert double.dtype == torch.float64
    assert torch.equal(double.float(), single)  # 2 * tangent * cotangent, which float64 holds exactly


def test_arguments_keep_strides_sharing_and_leaves() -> None:
    x = torch.arange(12.0).reshape(3, 4)
    for tensor in (x, x.t(), x[1:, ::2], x[:1].expand(5, 4), x[0, 0], x[:0], x[:, None, 1:3]):
        for made in (bridge.to_mini(tensor), bridge.copy(tensor)):
            ours, theirs = ([s for s, n in zip(t.stride(), tensor.shape) if n > 1] for t in (made, tensor))
            assert bridge.array(made).tolist() == tensor.tolist() and (ours == theirs or not tensor.numel())
    a = torch.ones(2, requires_grad=True)
    for convert in (bridge.to_mini, bridge.copy):
        first, second, (third,) = convert((a, a, [x]))
        assert first is second and first.requires_grad and first.is_leaf and not third.requires_grad
        assert not np.shares_memory(bridge.array(first), a.detach().numpy())
    with pytest.raises(bridge.NotApplicable):
        bridge.to_mini(torch.eye(2).to_sparse())


# ------------------------------------------------------------------------------------------------ the sweep against torch itself


def resizable(array: np.ndarray) -> torch.Tensor:
    """A tensor of `array`; torch cannot resize one that NumPy looks at, as `out=` without elements must be."""
    tensor = torch.from_numpy(array)
    return tensor if array.size else torch.empty_like(tensor)


@pytest.fixture
def torch_under_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "mini_dl", torch)
    monkeypatch.setattr(bridge, "Tensor", torch.Tensor)
    monkeypatch.setattr(bridge, "wrap", resizable)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["add", "softmax", "nn.functional.conv2d", "cat", "gather", "nn.functional.batch_norm", "linalg.svd", "sort"]
)
def test_torch_passes_its_own_sweep(name: str, torch_under_test: None) -> None:
    for dtype in ("float64", "float32"):
        outcomes = list(run_entry(fresh(name), dtype, CHECKS[:-1], limit=12))
        assert sum(o.status == PASS for o in outcomes) > 4
        assert [o for o in outcomes if o.status == FAIL] == []


# ------------------------------------------------------------------------------------------------ planted faults


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.what) for fault in FAULTS])
def test_a_planted_fault_is_seen(fault: faults.Fault) -> None:
    check_caught(fault)


def test_every_family_has_a_fault() -> None:
    families = {fault.family for fault in FAULTS}
    wanted = (
        "activation attention batches convolution creation distance distributions dropout embedding engine fft forwards "
        "in-place indexing joining linalg loss matmul modules normalization optimizers padding pointwise pooling random "
        "reduction resampling scans sorting special spellings types views"
    )
    assert families == set(wanted.split()) and len(FAULTS) >= 24


# ------------------------------------------------------------------------------------------------ the ledger


ROW = '[[gap]]\nop = "add"\ndtype = "float32"\ncheck = "grad"\nnumber = {number}\nreason = "{reason}"\n'


def test_the_ledger_is_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    good = ledger.parse(ROW.format(number=2, reason="torch rounds it otherwise"))
    monkeypatch.setattr(ledger, "gaps", lambda: good)
    two = [Outcome("add", "float32", "grad", i, FAIL) for i in range(3)]
    assert ledger.judge("add", "float32", {"grad": two[:2]}, {"grad"}) == ([], {"grad": 2})
    assert ledger.judge("add", "float32", {"grad": two}, {"grad"})[0]
    assert ledger.judge("add", "float32", {"grad": two[:1]}, {"grad"})[0]
    assert ledger.judge("add", "float32", {}, {"grad"})[0]
    assert ledger.judge("add", "float64", {"grad": two[:1]}, {"grad"})[0]
    assert ledger.unknown({"add": {("float32", "forward")}}) and not ledger.unknown({"add": {("float32", "grad")}})
    for wrong in (
        ROW.format(number=2, reason="a b c") + 'torch = "2.14"\n',
        ROW.format(number=0, reason="torch rounds it otherwise"),
        ROW.format(number=1, reason="because"),
        ROW.format(number=1, reason="a b c") * 2,
        ROW.format(number=1, reason="a b c") + "more = 1\n",
        '[other]\nop = "add"\n',
    ):
        with pytest.raises(ledger.LedgerError):
            ledger.parse(wrong)


def test_gaps_of_one_reason_stand_together() -> None:
    text = (
        '[[gaps]]\nreason = "torch rounds it otherwise"\ncells = ["add | float16 | grad | 2", "add | bool | error message | 1"]\n'
    )
    together = ledger.parse(text)
    assert together["add", "float16", "grad"] == ledger.Gap("add", "float16", "grad", 2, "torch rounds it otherwise")
    assert together["add", "bool", "error message"].number == 1 and len(together) == 2
    assert not ledger.parse(text + 'torch = "<2.0"\n')
    for wrong in (text + ROW.format(number=1, reason="a b c").replace("float32", "float16"), text.replace("| 2", ""), text * 2):
        with pytest.raises(ledger.LedgerError):
            ledger.parse(wrong)


def test_the_ledger_knows_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "VERSIONS", {"torch": "2.14.1+cpu", "numpy": "2.0.2"})
    row = ROW.format(number=2, reason="torch rounds it otherwise")
    here = ('torch = ">=2.14"\n', 'torch = "==2.14"\nnumpy = "<2.1"\n', 'torch = ">2.13,<2.15"\n', 'numpy = "<=2.0"\n')
    elsewhere = ('torch = "<2.14"\n', 'torch = ">=2.14"\nnumpy = ">=2.1"\n', 'torch = ">2.9,<2.14"\n')
    assert all(len(ledger.parse(row + condition)) == 1 for condition in here)
    assert not any(ledger.parse(row + condition) for condition in elsewhere)
    assert len(ledger.parse(row + here[0] + row.replace("number = 2", "number = 3") + elsewhere[0])) == 1


def test_the_ledger_knows_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "PROCESSOR", "AVX2")
    row = ROW.format(number=2, reason="torch rounds it otherwise")
    here = ('processor = "AVX2"\n', 'processor = "not AVX512"\n')
    elsewhere = ('processor = "AVX512"\n', 'processor = "not AVX2"\n')
    assert all(len(ledger.parse(row + condition)) == 1 for condition in here)
    assert not any(ledger.parse(row + condition) for condition in elsewhere)
    assert len(ledger.parse(row + here[0] + row.replace("number = 2", "number = 3") + elsewhere[1])) == 1
    with pytest.raises(ledger.LedgerError, match="not a condition on a processor"):
        ledger.parse(row + 'processor = "no AVX2"\n')
