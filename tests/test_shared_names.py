"""Shared memory with a name stays as long as a process or a message needs it."""

import gc
import os
from pathlib import Path

import pytest

from mini_dl.kernels import shared


@pytest.mark.skipif(shared.FILE not in shared.STRATEGIES, reason="no shared memory by names here")
def test_a_name_goes_with_the_last_that_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared.Strategy, "current", shared.FILE)
    memory = shared.new_shared(8)
    path = memory.path
    assert path is not None
    count = Path(path + ".count")
    for n in range(2, 13):  # from one digit to two
        shared.hold(memory)
        assert count.read_text() == str(n)
    del memory
    gc.collect()
    assert count.read_text() == "11"
    for n in range(10, 0, -1):
        shared.taken(path)
        assert count.read_text() == str(n)
    again = shared.attach_path(path, 8)
    assert bytes(again) == bytes(8)
    assert count.read_text() == "2"
    shared.taken(path)
    del again
    gc.collect()
    assert not os.path.exists(path)
    assert not count.exists()
