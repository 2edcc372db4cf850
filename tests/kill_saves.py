"""Kills processes while they save over their checkpoint: the file, or folder, must then be the last version saved or the next,
complete.

    python tests/kill_saves.py --kills 1000

Exits with 1 if a file was lost or incomplete. Half of the processes write their new file under a name, as on systems without
unnamed files.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import mini_dl as torch
from mini_dl import serialization
from mini_dl.distributed import checkpoint
from mini_dl.files import replacing


def save_folder(tensors: dict[str, torch.Tensor], path: Path) -> None:
    checkpoint.save(tensors, checkpoint_id=path, no_dist=True)


def load_folder(path: Path) -> dict[str, torch.Tensor]:
    tensors = content(-1)
    checkpoint.load(tensors, checkpoint_id=path, no_dist=True)
    return tensors


FORMATS: dict[str, tuple[Any, Any]] = {
    "pt": (torch.save, torch.load),
    "old.pt": (partial(torch.save, _use_new_zipfile_serialization=False), torch.load),
    "folder": (save_folder, load_folder),
    "npz": (serialization.save_npz, serialization.load_npz),
    "safetensors": (serialization.save_safetensors, serialization.load_safetensors),
}


def content(version: int) -> dict[str, torch.Tensor]:
    return {f"layer{i}": torch.full((50 * i, 100), version, dtype=torch.int64) for i in range(1, 7)}


def version_of(tensors: dict[str, torch.Tensor]) -> int:
    """ValueError unless all values are of one version."""
    found = {int(value) for tensor in tensors.values() for value in (tensor.min(), tensor.max())}
    whole = {name: tensor.shape for name, tensor in tensors.items()} == {name: t.shape for name, t in content(0).items()}
    if len(found) != 1 or not whole:
        raise ValueError(f"of versions {sorted(found)}")
    return found.pop()


def killed(ending: str, path: Path, after: float, named: bool) -> str:
    """The state of the file after a process saved for `after` seconds: "old", "new" or what is wrong."""
    save, load = FORMATS[ending]
    save(content(0), path)
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        if named:
            replacing.UNNAMED = 0
        for version in itertools.count(1):
            save(content(version), path)
            os.write(sending, b".")
    os.close(sending)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(receiving, "rb") as saved:
        last = len(saved.read())
    try:
        version = version_of(load(path))
    except (Exception, checkpoint.CheckpointException) as error:
        return f"lost: {type(error).__name__}"
    return {last: "old", last + 1: "new"}.get(version, f"version {version} after {last}")


def seconds_per_save(ending: str, path: Path) -> float:
    start = time.perf_counter()
    for version in range(10):
        FORMATS[ending][0](content(version), path)
    return (time.perf_counter() - start) / 10


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--kills", type=int, default=1000)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--folder", type=Path, help="on the file system to test; default: the system's for temporary files")
    options = made.parse_args(arguments)
    moment = random.Random(options.seed)
    found: Counter[tuple[str, str]] = Counter()
    left: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        paths = {ending: Path(folder) / f"checkpoint.{ending}" for ending in FORMATS}
        longest = {ending: 4 * seconds_per_save(ending, path) for ending, path in paths.items()}
        for i, ending in zip(range(options.kills), itertools.cycle(FORMATS)):
            named = i // len(FORMATS) % 2 == 1
            found[ending, killed(ending, paths[ending], moment.uniform(0, longest[ending]), named)] += 1
            for other in set(Path(folder).iterdir()) - set(paths.values()):
                left["with a name" if named else "without a name"] += 1
                other.unlink()
    for (ending, outcome), count in sorted(found.items()):
        print(f".{ending}: {count} {outcome}")
    print(f"temporary files left behind: {dict(left)}")
    return int(any([outcome not in ("old", "new") for _, outcome in found]))


if __name__ == "__main__":
    sys.exit(main())
