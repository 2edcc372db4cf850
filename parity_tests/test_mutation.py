"""The mutation command: what it changes, which tests it asks, and how it tells what became of a mutant."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from parity_tests.mutation import __main__ as command, accepted, mapping, mutants, names, running, server, units
from parity_tests.mutation.mutants import Mutant

SOURCE = '''"""Text."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    LIMIT = 1

@op(input=lambda grad, input: grad * 2)
def scaled(input: int, factor: float = 0.5) -> int:
    """Text."""
    if input is None:
        raise ValueError("no input" + 1)
    out = input + -factor
    out += call(input, keep=True)
    self.kept = out
    return out if out < 3 and not input else "a" + "b"
'''


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "source.py").write_text(SOURCE)
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    mutants.mutants_of.cache_clear()
    return "source.py"


def test_every_kind_of_change_is_made_and_texts_are_left_alone(source: str) -> None:
    found = [(m.line, m.kind, m.before, m.after) for m in mutants.mutants_of(source)]
    assert set(found) >= {
        (7, "operator", "grad * 2", "grad / 2"),
        (7, "constant", "2", "3"),
        (7, "sign", "lambda grad, input: grad * 2", "lambda grad, input: -(grad * 2)"),
        (7, "keyword", "op(input=lambda grad, input: grad * 2)", "op()"),
        (8, "constant", "0.5", "0.55"),
        (10, "comparison", "input is None", "input is not None"),
        (11, "statement", "raise ValueError('no input' + 1)", "pass"),
        (12, "operator", "input + -factor", "input - -factor"),
        (12, "sign", "-factor", "factor"),
        (13, "operator", "out += call(input, keep=True)", "out -= call(input, keep=True)"),
        (13, "statement", "out += call(input, keep=True)", "pass"),
        (13, "keyword", "call(input, keep=True)", "call(input)"),
        (13, "constant", "True", "False"),
        (14, "statement", "self.kept = out", "pass"),
        (15, "comparison", "out < 3", "out <= 3"),
        (15, "comparison", "out < 3", "out >= 3"),
        (15, "condition", "out < 3 and (not input)", "out < 3 or not input"),
        (15, "condition", "not input", "input"),
        (15, "constant", "3", "4"),
    }
    assert {line for line, *_ in found} == {7, 8, 10, 11, 12, 13, 14, 15}
    assert len([1 for line, *_ in found if line == 11]) == 1  # not within what is raised
    assert not any("'a'" in before and kind == "operator" for _, kind, before, _ in found if before.startswith("'"))


def test_a_mutant_compiles_and_differs_in_its_own_place(source: str) -> None:
    original = mutants.parsed(source)
    unchanged = compile(mutants.parsed(source), str(mutants.ROOT / source), "exec", dont_inherit=True)
    for mutant in mutants.mutants_of(source):
        assert mutants.code_of(mutant) != unchanged
    assert mutants.ast.dump(original) == mutants.ast.dump(mutants.parsed(source))


def test_what_runs_at_import_is_told_from_what_is_called(source: str) -> None:
    by_before = {(m.before, m.after): m.at_import for m in mutants.mutants_of(source)}
    assert by_before["op(input=lambda grad, input: grad * 2)", "op()"] and by_before["0.5", "0.55"]
    assert not by_before["grad * 2", "grad / 2"] and not by_before["input + -factor", "input - -factor"]


# ------------------------------------------------------------------------------------------------ selection


def mutant(line: int, at_import: bool = False, function: str = "f") -> Mutant:
    return Mutant("a.py", 0, (line, line), (line, line), at_import, "sign", "-x", "x", function)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> mapping.Map:
    made = mapping.Map()
    made.add({"units": [("op|a|float64", None, 0.3), ("op|b|float64", "fails", 0.1)], "lines": {"a.py": {3: 0b11, 4: 0b10}}})
    made.add({"units": [("t.py::x", None, 0.1), ("t.py::y", None, 0.2)], "lines": {"a.py": {3: 0b01, 9: 0b10}}})
    monkeypatch.setattr(mapping, "spans", lambda file: {"f": (1, 5), "g": (6, 20)})
    return made


def test_units_that_fail_without_a_mutant_are_not_asked(found: mapping.Map) -> None:
    assert found.failing == {"op|b|float64": "fails"}
    assert found.touching("a.py", [3]) == [2, 0] and found.touching("a.py", [4]) == []


def test_the_units_of_a_line_come_first_then_those_of_its_function_and_file(found: mapping.Map) -> None:
    assert mapping.selected(found, mutant(3)) == [2, 0, 3]
    assert mapping.selected(found, mutant(9, function="g")) == [3, 2]
    assert mapping.selected(found, mutant(4)) == [0, 2, 3]  # no unit runs it, but some run its function
    assert mapping.selected(found, mutant(30, function="h")) == []
    assert mapping.selected(found, mutant(30, at_import=True, function="")) == [2, 3, 0]


def test_batches_take_turns_between_rows_and_tests_and_limit_each(found: mapping.Map) -> None:
    selection = mapping.ByCoverage(found)
    assert selection.batches(mutant(3), set()) == [["op|a|float64"], ["t.py::x", "t.py::y"]]
    assert selection.batches(mutant(3), {"t.py::x"}) == [["op|a|float64"], ["t.py::y"]]
    assert selection.limit("op|a|float64") == pytest.approx(36)
    assert units.group("op|a|float64") == "op" and units.group("t.py::x") == "t.py"


def test_rows_of_the_function_and_of_main_types_come_first() -> None:
    names = ["op|a|float64", "op|a|float32", "op|f|float64", "op|f|float32", "module|B|float64", "op|b|float64"]
    made = mapping.Map()
    made.add({"units": [(name, None, 0.1) for name in names], "lines": {}})
    assert mapping.rows_in_order(made, Mutant("x/ops/a.py", 0, (1, 1), (1, 1), False, "", "", "", "_f"), [0, 1, 2, 3, 4, 5]) == [
        2, 3, 0, 5, 4, 1,
    ]  # fmt: skip
    assert mapping.rows_in_order(made, Mutant("x/nn/a.py", 0, (1, 1), (1, 1), False, "", "", "", "_g"), [0, 1, 4]) == [4, 0, 1]


def test_files_of_which_most_is_asked_come_first_and_a_few_tests_of_each() -> None:
    made = mapping.Map()
    made.add({"units": [(f"a.py::{i}", None, 0.1) for i in range(40)] + [("b.py::0", None, 0.1)], "lines": {}})
    first, *_, last = mapping.tests_in_order(made, [*range(12), 40])
    assert first == [*range(8), 40] and last == [8, 9, 10, 11]


def test_lines_added_since_a_reference() -> None:
    diff = "+++ b/mini_dl/a.py\n@@ -3 +3,2 @@ def f\n+x\n+y\n@@ -9,2 +10,0 @@\n-z\n+++ /dev/null\n@@ -1,5 +0,0 @@\n"
    assert command.lines_of(diff) == {"mini_dl/a.py": {3, 4}}


def test_changes_that_read_the_same_are_told_apart_and_found_again_when_lines_move(source: str) -> None:
    file = mutants.ROOT / source
    file.write_text("def f(a):\n    return -a - -a\n")
    mutants.mutants_of.cache_clear()
    signs = [m for m in mutants.mutants_of(source) if m.kind == "sign"]
    assert [(m.before, m.nth) for m in signs] == [("-a", 0), ("-a", 1)]
    rows = [command.row_of(running.Result(m, "survived")) for m in signs]
    file.write_text("\n\n" + file.read_text())
    mutants.mutants_of.cache_clear()
    moved = [m for m in mutants.mutants_of(source) if m.kind == "sign"]
    assert [command.identity(row) for row in rows] == [(*m.key, m.nth) for m in moved] and moved[0].line == rows[0]["line"] + 2


# ------------------------------------------------------------------------------------------------ selection by names


@pytest.fixture(scope="module")
def by_names() -> names.ByNames:
    return names.ByNames()


@pytest.mark.parametrize(
    ("file", "function", "unit"),
    [
        ("mini_dl/kernels/gelu.py", "gelu_tanh_backward", "op|nn.functional.gelu|float64"),  # over a primitive of ops
        ("mini_dl/kernels/special_tables.py", "", "op|special.modified_bessel_k0|float64"),  # a table of coefficients
        ("mini_dl/optim/lbfgs.py", "LBFGS._direction", "optimizer|optim.LBFGS|float64"),  # by the name of its class
        ("mini_dl/ops/batching_layers.py", "_cross_entropy_on_batch", "op|nn.functional.cross_entropy|float64"),  # a rule for it
        ("mini_dl/ops/linalg.py", "_linalg_diagonal", "op|linalg.diagonal|float64"),  # published under another name
        ("mini_dl/utils/data/dataset.py", "collated_rows", "tests/test_data"),
        ("mini_dl/ops/joining.py", "repeat_interleave", "examples|mini_dl.ops.joining"),
        ("mini_dl/autograd/several.py", "register_multi_grad_hook.first", "tests/test_multi_grad_hooks.py::"),
    ],
)
def test_a_mutant_is_tried_early_with_what_can_notice_it(by_names: names.ByNames, file: str, function: str, unit: str) -> None:
    some = [m for m in mutants.mutants_of(file) if m.function == function and (function or "K0" in by_names.sources.around(m)[1])]
    early = [name for part in by_names.batches(some[0], set())[:-1] for name in part]
    assert any(name.startswith(unit) for name in early), early


def test_examples_are_units(monkeypatch: pytest.MonkeyPatch) -> None:
    assert units.complaint_about_examples("mini_dl.ops.joining") is None
    assert units.is_row(f"{units.EXAMPLES}|mini_dl.ops.joining")
    monkeypatch.setitem(sys.modules, "wrong", ModuleType("wrong", ">>> 1 + 1\n3"))
    assert units.complaint_about_examples("wrong") == "the example of wrong"


def test_a_test_that_does_not_count_is_left_out_with_all_its_parameters(by_names: names.ByNames) -> None:
    (one, *_) = [m for m in mutants.mutants_of("mini_dl/optim/lbfgs.py") if m.function == "LBFGS._direction"]
    asked = [name for part in by_names.batches(one, set()) for name in part]
    test = next(name for name in asked if "::" in name)
    rest = [name for part in by_names.batches(one, {f"{test}[x-1]"}) for name in part]
    assert test not in rest and len(set(asked)) == len(asked)


# ------------------------------------------------------------------------------------------------ planting


def load_with(change: str, say: Any) -> None:
    """Plant a change in a module that is loaded later, by a finder of the package, and say what is there."""
    for name in [name for name in sys.modules if name.split(".")[0] == "mini_dl"]:
        del sys.modules[name]
    (mutant,) = [m for m in mutants.mutants_of("mini_dl/optim/sgd.py") if m.before == "0.001" and m.function == "SGD.__init__"]
    if change:
        server.plant(mutant.file, mutants.code_of(mutant))
    optim = importlib.import_module("mini_dl").optim
    say(rate=inspect.signature(optim.SGD.__init__).parameters["lr"].default, planted=server.planted)


def test_a_module_that_is_loaded_late_has_the_mutant_too() -> None:
    for change, rate, planted in (("changed", 0.001 * 1.1, ["mini_dl.optim.sgd"]), ("", 0.001, [])):
        (trial,) = server.trials([change], load_with, 1)
        assert trial.said[0] == {"rate": pytest.approx(rate), "planted": planted}, trial.said


# ------------------------------------------------------------------------------------------------ what became of it


def act(job: str, say: Any) -> None:
    say(begins="unit")
    if job == "kills":
        say(killed="unit", why="differs", ran=1)
    elif job == "passes":
        say(survived=True, ran=1)
    elif job == "spends":
        say(over=True, ran=1)
    elif job == "hangs":
        server.limit(0.2)
        while True:
            pass
    elif job == "computes":
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
    elif job == "sleeps":
        time.sleep(600)
    elif job == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif job == "leaves a process":
        if os.fork() == 0:
            time.sleep(600)
    else:
        raise ValueError("the harness is broken")


@pytest.mark.parametrize(
    ("job", "status"),
    [
        ("kills", "killed"),
        ("passes", "survived"),
        ("spends", "undecided"),
        ("hangs", "timeout"),
        ("crashes", "killed"),
        ("breaks", "error"),
    ],
)
def test_endings_are_told_apart(job: str, status: str) -> None:
    (trial,) = server.trials([job], act, 1)
    trial.job = running.Job(mutant(3), [], 1.0)
    assert running.result_of(trial).status == status


def test_only_what_sleeps_is_ended_for_its_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SILENCE", 0.0)
    monkeypatch.setattr(server, "LOOK", 0.05)
    trials = {trial.job: trial.ending for trial in server.trials(["computes", "sleeps"], act, 2)}
    assert trials == {"computes": "done", "sleeps": "timeout"}


def test_jobs_may_be_added_while_others_run_and_nothing_is_left_behind() -> None:
    jobs = deque(["passes"])
    seen = []
    for trial in server.trials(jobs, act, 2):
        seen.append(trial.job)
        if len(seen) < 3:
            jobs.append("passes")
    assert seen == ["passes"] * 3


# ------------------------------------------------------------------------------------------------ the score and its ledger


def test_the_score_counts_neither_equivalents_nor_what_was_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = ["killed", "killed", "timeout", "survived", "no test selected"]
    rows = [
        {"file": "a.py", "function": f"f{i}", "kind": "sign", "before": "-x", "after": "x", "nth": 0, "line": i, "status": status}
        for i, status in enumerate(statuses)
    ]
    monkeypatch.setattr(accepted, "accepted", lambda: {("a.py", "f3", "sign", "-x", "x"): "x is zero there"})
    report = command.report_of(rows, command.asked(command.parser().parse_args([])))
    assert report["score"] == 0.75 and report["counts"]["equivalent"] == 1
    assert report["counts"]["no test selected"] == 1 and report["counts"]["survived"] == 0
    assert command.summary(report).endswith("score 75.0% of those that are not equivalent")


def test_a_run_is_kept_with_what_it_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"file": "a.py", "function": "f", "kind": "sign", "before": name, "after": "x", "nth": 0, "line": 1, "status": status}
        for name, status in (("-x", "survived"), ("-y", "killed"))
    ]
    monkeypatch.setattr(command, "LAST", tmp_path / "last.json")
    question = {"paths": [], "sample": 2, "seed": 3, "since": "main"}
    command.write({**command.report_of(rows, question), "when": "then"}, tmp_path / "run.json")
    assert command.main(["--keep", "--json", str(tmp_path / "run.json")]) == 0
    kept = json.loads((tmp_path / "last.json").read_text())
    assert kept["when"] == "then" and kept["asked"] == question and kept["score"] == 0.5
    assert [row["before"] for row in kept["mutants"]] == ["-x"]


def test_the_ledger_of_equivalents_is_strict() -> None:
    row = '[[equivalent]]\nfile = "{file}"\nfunction = "f"\nkind = "sign"\nbefore = "-x"\nafter = "x"\nreason = "{reason}"\n'
    good = row.format(file="mini_dl/tensor.py", reason="x is always zero there")
    assert len(accepted.parse(good)) == 1
    assert accepted.outdated(accepted.parse(good)) == ["mini_dl/tensor.py | f | sign | -x | x"]
    for wrong in (good * 2, row.format(file="a.py", reason="because"), good + "more = 1\n", "[other]\n"):
        with pytest.raises(accepted.AcceptedError):
            accepted.parse(wrong)


def test_the_ledger_speaks_of_mutants_that_exist() -> None:
    assert accepted.outdated(accepted.accepted()) == []


def test_a_mutant_is_also_planted_in_the_processes_that_a_test_starts() -> None:
    (changed,) = [m for m in mutants.mutants_of("mini_dl/kernels/sums.py") if m.before == "16384" and not m.function]
    path = os.pathsep.join([str(running.CHILDREN), str(server.ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "MUTANT": f"{changed.file}:{changed.number}"}
    program = "from mini_dl.kernels import sums; print(sums.IN_DOUBLE)"
    assert subprocess.check_output([sys.executable, "-c", program], env=environment, text=True) == "16385\n"


def test_tests_that_are_named_first_are_asked_early_and_those_without_a_known_name_as_files() -> None:
    selection = names.ByNames(("tests/test_fork.py", "tests/test_winograd_error.py"))
    (one, *_) = [m for m in mutants.mutants_of("mini_dl/kernels/winograd.py") if m.function == "Form.kernel"]
    parts = selection.batches(one, set())
    assert parts[0][0].startswith("tests/test_winograd_error.py::") and "tests/test_fork.py" in [
        test for part in parts[:4] for test in part
    ]
