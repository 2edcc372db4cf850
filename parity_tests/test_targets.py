"""Other libraries under torch's table, and golden packs: what is wrong is found, what is right passes."""

from __future__ import annotations

import json
import math
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mini_dl
from parity_tests import __main__ as command, golden, packing, targets


def toy(fault: bool) -> dict[str, Any]:
    """A table of functions of arrays, as one writes them for a first kernel; with a planted fault if wanted."""

    def gelu(x: Any, *, approximate: str = "none") -> Any:
        if approximate == "tanh" or fault:
            inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
            return (0.5 * x * (1 + np.tanh(inner))).astype(x.dtype)
        return np.asarray(0.5 * x * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))).astype(x.dtype)

    def softmax(x: Any, dim: int, dtype: Any = None) -> Any:
        x = x if dtype is None else x.astype(dtype)
        e = np.exp(x - x.max(dim, keepdims=True, initial=-math.inf)) if x.ndim else np.ones_like(x)
        return e / e.sum(dim, keepdims=True) if x.ndim else e

    return {"nn.functional.gelu": gelu, "softmax": softmax}


@pytest.mark.parametrize("fault", [False, True])
def test_a_table_of_functions_is_checked_and_a_planted_fault_is_found(fault: bool, capsys: pytest.CaptureFixture[str]) -> None:
    counts = command.compared(targets.Functions(toy(fault)), ["nn.functional.gelu", "softmax", "exp"], ["float64"], None)
    assert set(counts) == {"nn.functional.gelu", "softmax", "softmax:with_dtype"}
    failed = {op: sum(cell["fail"] for checks in dtypes.values() for cell in checks.values()) for op, dtypes in counts.items()}
    assert failed["softmax"] == 0
    assert bool(failed["nn.functional.gelu"]) == fault == ("FAIL  nn.functional.gelu" in capsys.readouterr().out)


def test_the_command_tells_a_newcomer_what_it_did_not_compare(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = {**toy(True), "gelu": np.tanh, "sine": np.sin}
    monkeypatch.setitem(sys.modules, "newcomers", types.SimpleNamespace(table=table, sin=np.sin))
    assert command.main(["--target", "newcomers:table", "nn.functional.gelu", "--dtype", "float64"]) == 1
    printed = capsys.readouterr().out
    assert "not in torch's table, and not compared: gelu; perhaps nn.functional.gelu?" in printed
    assert "sine; perhaps" in printed and "; no gradients" in printed
    assert printed.count("FAIL  nn.functional.gelu") == command.SHOWN + 1 and " more\n" in printed
    for pattern, words in (
        ("softmaxx", "torch's table has no 'softmaxx'; perhaps"),
        ("linalg.svd", "has no function of linalg.svd"),
    ):
        with pytest.raises(SystemExit):
            command.main(["--target", "newcomers:table", pattern])
        assert words in capsys.readouterr().err


def test_entries_that_a_target_lacks_are_not_computed() -> None:
    asked: list[str] = []
    arrays: dict[str, Any] = {}
    assert not list(packing.recorded(["exp", "softmax"], ["float64"], 1, arrays, lambda name: asked.append(name) is not None))
    assert asked == ["exp", "softmax", "softmax"] and not arrays


class Toy:
    """A target of one's own: an autograd of one function."""

    name = "toy"

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def function(self, name: str) -> Any:
        if name != "sin":
            raise LookupError(name)
        return lambda x: (np.sin(x[0]), x)

    def tensor(self, array: Any, requires_grad: bool) -> Any:
        return array, None

    def array(self, tensor: Any) -> Any:
        return np.asarray(tensor[0])

    def gradients(self, outputs: list[Any], directions: list[Any], inputs: list[Any]) -> list[Any]:
        return [(directions[0][0] * self.slope * np.cos(inputs[0][0]), None)]


@pytest.mark.parametrize("slope, failing", [(1.0, False), (-1.0, True)])
def test_a_target_with_gradients_of_its_own(slope: float, failing: bool) -> None:
    target = Toy(slope)
    arrays: dict[str, Any] = {}
    for case in packing.recorded(["sin"], ["float64"], None, arrays):
        verdicts = golden.check(case, arrays, Wrapped(target))
        assert verdicts["forward"] is None and ("grad" in verdicts) == (case.gradients is not None)
        assert (verdicts.get("grad") is not None) == (
            failing and case.gradients is not None and arrays[case.args[0]["tensor"]].size > 0
        )


class Wrapped:
    """`Toy` with tensors that are no tuples, which results of several parts are."""

    name = "toy"

    def __init__(self, toy: Toy) -> None:
        self.toy = toy

    def function(self, name: str) -> Any:
        called = self.toy.function(name)
        return lambda x: types.SimpleNamespace(pair=called(x.pair), requires_grad=True)

    def tensor(self, array: Any, requires_grad: bool) -> Any:
        return types.SimpleNamespace(pair=self.toy.tensor(array, requires_grad))

    def array(self, tensor: Any) -> Any:
        return self.toy.array(tensor.pair)

    def gradients(self, *lists: list[Any]) -> list[Any]:
        return [types.SimpleNamespace(pair=pair) for pair in self.toy.gradients(*[[t.pair for t in given] for given in lists])]


def test_targets_are_found_by_name() -> None:
    assert isinstance(targets.found("mini_dl"), targets.TorchLike)
    assert isinstance(targets.found("numpy"), targets.Functions)
    module = types.ModuleType("a_module_for_this_test")
    module.table = {"exp": np.exp}  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    try:
        assert targets.found("a_module_for_this_test:table").function("exp") is np.exp
        with pytest.raises(AttributeError):
            targets.found("a_module_for_this_test:none")
        module.wrong = 3  # type: ignore[attr-defined]
        with pytest.raises(TypeError, match="not a module"):
            targets.found("a_module_for_this_test:wrong")
    finally:
        del sys.modules[module.__name__]
    with pytest.raises(ImportError):
        targets.found("no_such_module_anywhere")


def test_numpy_itself_can_be_checked() -> None:
    counts = command.compared(targets.found("numpy"), ["exp", "sin", "cumsum"], ["float64"], 3)
    assert all(cell["fail"] == 0 for cell in counts["exp"]["float64"].values())


@pytest.mark.parametrize("name, checks", [("numpy", {"forward"}), ("mini_dl", {"forward", "grad"})])
def test_a_library_without_gradients_has_no_cell_for_them(name: str, checks: set[str]) -> None:
    counts = command.compared(targets.found(name), ["exp", "sin"], ["float64"], 3)
    assert {op: set(dtypes["float64"]) for op, dtypes in counts.items()} == {"exp": checks, "sin": checks}


def test_the_page_of_another_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert command.main(["exp", "softmax", "--target", "mini_dl", "--limit", "2", "--html", str(page)]) == 0
    assert "mini_dl and PyTorch" in page.read_text() and "0 fail" in capsys.readouterr().out
    assert command.main(["exp", "--target", "numpy", "--dtype", "float64", "--limit", "2", "--html", str(page)]) == 0
    assert "numpy and PyTorch" in page.read_text() and "parity_tests --target numpy" in page.read_text()
    with pytest.raises(SystemExit):
        command.main(["exp", "--target", "no_such_module_anywhere"])


# ------------------------------------------------------------------------------------------------ packs


def test_a_pack_holds_what_torch_computed_and_torch_passes_it(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    names = ["softmax", "exp", "index_select", "where", "svd_lowrank", "bernoulli", "nn.functional.dropout", "frexp"]
    assert golden.main(["write", str(pack), *names, "--dtype", "float32", "complex128", "int64", "--limit", "3"]) == 0
    cases, _, version = golden.read(pack)
    assert version == torch.__version__ and {case.dtype for case in cases} == {"float32", "complex128", "int64"}
    assert any(case.gradients for case in cases) and {"bernoulli", "frexp"} <= {case.op for case in cases}
    for name in ("torch", "mini_dl"):
        assert golden.main(["check", str(pack), "--target", name]) == 0


@pytest.mark.parametrize("what, check", [("outputs", "forward"), ("gradients", "grad")])
def test_a_number_changed_in_a_pack_is_found(what: str, check: str) -> None:
    arrays: dict[str, Any] = {}
    case = next(case for case in packing.recorded(["exp"], ["float64"], None, arrays) if case.gradients)
    target = targets.TorchLike(mini_dl)
    assert golden.check(case, arrays, target) == {"forward": None, "grad": None}
    (changed,) = getattr(case, what)
    arrays[changed["tensor"]].reshape(-1)[0] += 1e-3
    assert "differ" in str(golden.check(case, arrays, target)[check])


def test_none_and_zeros_are_two_answers() -> None:
    arrays: dict[str, Any] = {}
    case = next(case for case in packing.recorded(["exp"], ["float64"], None, arrays) if case.gradients)
    case.gradients = [None]
    assert "where torch's is None" in str(golden.check(case, arrays, targets.TorchLike(mini_dl))["grad"])


def test_a_broken_pack_is_refused_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        golden.main(["check", str(tmp_path / "none")])
    (tmp_path / "bad.json").write_text(json.dumps({"torch": "2", "complex": [], "cases": []}))
    (tmp_path / "bad.safetensors").write_bytes(b"12")
    with pytest.raises(SystemExit):
        golden.main(["check", str(tmp_path / "bad")])
    assert "bad.safetensors" in capsys.readouterr().err
