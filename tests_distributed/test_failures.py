"""A rank that fails ends the whole job promptly with a nonzero status; and how jobs are started."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests_distributed.world import ROOT, environment, start


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("before", 1, "[rank1]: LookupError: before the start"),
        ("raises", 1, "[rank1]: LookupError: after the start"),
        ("killed", 9, ""),
        ("exits", 3, ""),
    ],
)
def test_a_rank_that_fails_ends_the_job(how: str, status: int, words: str) -> None:
    begin = time.monotonic()
    done = start(["-m", "tests_distributed.failing", how], 2)
    assert time.monotonic() - begin < 50, "the other rank waits for minutes"
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr if not words else done.stderr.count("Traceback") == 1
    assert "done" not in done.stdout


def test_the_command_line_of_torchrun_starts_the_ranks() -> None:
    options = "--standalone --nnodes=1 --nproc_per_node 2 --max-restarts=0 --rdzv-backend c10d --rdzv-id 7 -m".split()
    command = [sys.executable, "-m", "mini_dl.distributed.run", *options, "tests_distributed.failing", "nothing", "--lr", "0.1"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [done.stdout.count(words) for words in ("done nothing --lr 0.1", "rank 0 of 2", "rank 1 of 2")] == [2, 1, 1]


def test_a_failure_is_the_status_of_the_command_and_it_starts_anew_as_often_as_told() -> None:
    options = "--nproc-per-node 1 --max-restarts 1 --no-python".split()
    program = "import os, sys; print('attempt', os.environ['TORCHELASTIC_RESTART_COUNT']); sys.exit(5)"
    command = [sys.executable, "-m", "mini_dl.distributed.run", *options, sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 5
    assert done.stdout.split("\n")[:2] == ["attempt 0", "attempt 1"]


def test_one_process_needs_no_launcher() -> None:
    program = (
        "import torch, torch.distributed as dist\n"
        "dist.init_process_group('gloo', init_method='tcp://127.0.0.1:1', rank=0, world_size=1)\n"
        "x = torch.ones(2); dist.all_reduce(x); print(dist.get_world_size(), x.tolist())\n"
    )
    command = [sys.executable, "-m", "mini_dl", "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout == "1 [1.0, 1.0]\n", done.stderr


def test_more_processes_than_there_are_is_an_error_that_says_how_to_start_them() -> None:
    program = "import torch.distributed as dist; dist.init_process_group('gloo', rank=0, world_size=2)"
    command = [sys.executable, "-m", "mini_dl", "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "world_size is 2, and MPI has started 1 processes: start the program with mpiexec -n 2" in done.stderr


WITH_CHILDREN = """
import os, subprocess, sys
import torch, torch.distributed as dist
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

dist.init_process_group("gloo")
data = TensorDataset(torch.arange(20.0))
part = DistributedSampler(data, dist.get_world_size(), dist.get_rank())
total = sum(x.sum() for (x,) in DataLoader(data, batch_size=2, sampler=part, num_workers=1))
dist.all_reduce(total)
child = os.fork()
if child == 0:
    sys.exit(4)
print(f"{total.item()} {os.waitpid(child, 0)[1] >> 8}", flush=True)
subprocess.run([sys.executable, "-m", "mini_dl", "-c", "import torch; print(torch.ones(3).sum())"], check=True)
dist.barrier()
"""


def test_processes_that_a_rank_starts_are_not_the_job(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(WITH_CHILDREN, encoding="utf-8")
    done = start([str(tmp_path / "train.py")], 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("190.0 4") == done.stdout.count("tensor(3.)") == 2
