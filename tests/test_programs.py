"""How the results of public packages come from the two workers: case by case, and whole up to where a worker ends."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile

from programs.comparing import read, results

WRITES = """
import os, pickle, sys
for case in CASES:
    pickle.dump(case, sys.stdout.buffer)
sys.stdout.flush()
END
"""


def written(cases: list[tuple[str, dict[str, object]]], end: str) -> list[tuple[str, dict[str, object]]]:
    """What is read from a worker that writes `cases` and ends with `end`."""
    call = [sys.executable, "-c", WRITES.replace("CASES", repr(cases)).replace("END", end)]
    with tempfile.TemporaryFile() as errors, subprocess.Popen(call, stdout=subprocess.PIPE, stderr=errors) as worker:
        return list(read(worker, errors))


def test_cases_are_read_to_the_end() -> None:
    cases: list[tuple[str, dict[str, object]]] = [("a", {"results": {}}), ("b", {"stopped": "KeyError: 0"})]
    assert written(cases, "") == cases


def test_a_worker_that_dies_is_not_taken_for_one_that_ended() -> None:
    half = pickle.dumps(("b", {"results": list(range(100))}))[:50]
    case, died = written([("a", {"results": {}})], f"sys.stdout.buffer.write({half!r}); sys.stdout.flush(); 1 / 0")
    assert case == ("a", {"results": {}})
    assert died[0] == "died" and "ZeroDivisionError" in str(died[1]["stopped"])


def test_a_package_that_cannot_be_imported_is_said() -> None:
    with results("no_such_package", "mini_dl", []) as found:
        (name, end), *more = found
    assert name == "import" and "no_such_package" in end["stopped"] and not more
