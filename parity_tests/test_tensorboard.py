"""Logging a training run to TensorBoard: the records in the event files are torch's."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as real

import mini_dl
from parity_tests.twin import Draws


def written(library: Any, folder: Path) -> dict[str, list[tuple[str, int, bytes]]]:
    """The output of a program under a library: tag, step and content of each record, by folder."""
    SummaryWriter = importlib.import_module(f"{library.__name__}.utils.tensorboard").SummaryWriter
    rng = Draws(library)
    with SummaryWriter(log_dir=str(folder)) as writer:
        for step in range(3):
            writer.add_scalar("loss", rng(1).sum(), step)
            writer.add_scalar("number", 0.5 * step, global_step=step)
            writer.add_histogram("weights", rng(50), step)
        writer.add_histogram("few", rng(50), 1, bins=[-1, 0, 1, 2], max_bins=2)
        writer.add_scalars("both/of", {"a": 1.0, "b": 2.0}, 1)
        writer.add_image("color", rng(3, 5, 4).abs(), 1)
        writer.add_image("gray", rng(5, 4).abs(), 1, dataformats="HW")
        writer.add_image("bytes", np.arange(60, dtype=np.uint8).reshape(5, 4, 3), 1, dataformats="HWC")
        writer.add_images("grid", rng(10, 1, 3, 2).abs(), 1)
        writer.add_text("text", "*hello*", 1)
        writer.add_hparams({"lr": 0.1, "name": "sgd", "on": True, "none": None}, {"accuracy": 1.0}, run_name="run")
    event = importlib.import_module("tensorboard.compat.proto.event_pb2").Event
    loader = importlib.import_module("tensorboard.backend.event_processing.event_file_loader").RawEventFileLoader
    found: dict[str, list[tuple[str, int, bytes]]] = {}
    for path in sorted(folder.rglob("events*")):
        records = found.setdefault(path.parent.relative_to(folder).as_posix(), [])
        for raw in loader(str(path)).Load():
            one = event.FromString(raw)
            records += [(value.tag, one.step, value.SerializeToString()) for value in one.summary.value]
    return found


def test_the_records_are_torchs(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    ours, theirs = written(mini_dl, tmp_path / "ours"), written(real, tmp_path / "theirs")
    assert list(ours) == list(theirs)
    for folder in theirs:
        assert [record[:2] for record in ours[folder]] == [record[:2] for record in theirs[folder]]
        assert [record[0] for record, other in zip(ours[folder], theirs[folder]) if record != other] == []


def test_wrong_calls_of_the_writer(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    for library in (mini_dl, real):
        SummaryWriter = importlib.import_module(f"{library.__name__}.utils.tensorboard").SummaryWriter
        with SummaryWriter(log_dir=str(tmp_path / library.__name__)) as writer:
            with pytest.raises(ValueError, match="The input has no element"):
                writer.add_histogram("empty", np.zeros(0))
            with pytest.raises(TypeError, match="should be dictionary"):
                writer.add_hparams([], {})
            with pytest.raises(AssertionError):
                writer.add_image("image", np.zeros((2, 2)), dataformats="CHW")
    with pytest.raises(NotImplementedError, match=r"mini_dl has no torch\.utils\.tensorboard\.SummaryWriter\.add_graph"):
        mini_dl.utils.tensorboard.SummaryWriter(log_dir=str(tmp_path)).add_graph(None)
