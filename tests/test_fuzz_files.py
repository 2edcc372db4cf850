"""Damaged files, the same on every run: see fuzz_files.py, which creates more of them on demand."""

from __future__ import annotations

import fuzz_files
import pytest


@pytest.mark.parametrize("ending", fuzz_files.FORMATS)
def test_a_damaged_file_loads_as_tensors_or_is_refused_in_the_documented_way(ending: str) -> None:
    found = fuzz_files.outcomes(ending, files=500, seed=0)
    assert found.keys() <= {"loaded", "refused"} and min(found["loaded"], found["refused"]) > 0
