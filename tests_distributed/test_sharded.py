"""Sharded parameters and checkpoints: FSDP equals DDP, and other numbers of ranks read the checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests_distributed.world import start


def held(what: str, size: int, folder: Path) -> None:
    done = start(["-m", "tests_distributed.sharded", what, str(folder)], size)
    assert done.returncode == 0 and done.stdout.count("held") == size, done.stderr[-4000:]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_rows_train_as_whole_parameters(size: int, tmp_path: Path) -> None:
    held("checks", size, tmp_path)


def test_another_number_of_ranks_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    held("save", 3, tmp_path)
    held("save", 2, tmp_path)
    assert len(list((tmp_path / "kept").iterdir())) == 3, "the files of the checkpoint before are gone"
    for size in (1, 2, 3):
        held("load", size, tmp_path)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    held("save", 2, tmp_path)
    held("full_disk", 2, tmp_path)
    held("load", 3, tmp_path)


def test_layers_in_several_processes_train_as_in_one() -> None:
    found = [start(["docs/examples/pipeline.py"], size) for size in (1, 2)]
    assert [len(done.stdout.splitlines()) for done in found] == [3, 3], found[1].stderr
