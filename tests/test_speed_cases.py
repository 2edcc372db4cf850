"""The workloads of `scripts/compare_speed.py` are complete, and each can be run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parent.parent / "scripts"


def run(code: str) -> str:
    """What the code prints, in a process that can import the scripts."""
    start = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import mini_dl\nfrom compare_speed import *\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_table_has_89_cases_and_every_goal_a_group() -> None:
    code = (
        "groups = [group_of(name) for name in chosen([], False)]\n"
        "print(sum(group in TABLE for group in groups), set(GOALS) <= {group_of(name) for name in CASES})"
    )
    assert run(code) == "89 True"


def test_small_cases_and_a_whole_program_can_be_done() -> None:
    small = ("dispatch", "elementwise, small", "inference: MLP", "programs: LSTM")
    code = f"for name in CASES:\n    if name.startswith({small!r}):\n        CASES[name](mini_dl)()\n        print(name)"
    assert len(run(code).splitlines()) == 7 + 12 + 1 + 1
