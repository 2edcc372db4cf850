"""torch.distributed without mpi4py: queries work, and functions that need it say what to install."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from argparse import Namespace
from typing import Any

import pytest

import mini_dl as torch
from mini_dl.distributed import mpi, run


@pytest.fixture
def without_mpi4py(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "mpi4py" else found(name, *rest))
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    mpi.mpi.cache_clear()


@pytest.mark.usefixtures("without_mpi4py")
def test_without_mpi4py_it_is_not_available_and_an_attempt_names_the_extra() -> None:
    dist = torch.distributed
    assert not dist.is_available() and not dist.is_initialized()
    assert not dist.is_gloo_available() and not dist.is_backend_available("gloo")
    with pytest.raises(ImportError, match=r"pip install 'mini_dl\[mpi\]' mpich"):
        dist.init_process_group("gloo")
    with pytest.raises(ValueError, match=r"call init_process_group\..*mini_dl\[mpi\]"):
        dist.all_reduce(torch.ones(1))


def test_loading_it_loads_no_mpi4py_and_every_way_of_importing_it_gives_the_same() -> None:
    code = (
        "import sys, mini_dl as torch\n"
        "assert 'mini_dl.distributed' not in sys.modules\n"
        "reduce = torch.distributed.all_reduce\n"
        "import mini_dl.distributed as dist\n"
        "from mini_dl.distributed import all_reduce\n"
        "from mini_dl.distributed.distributed_c10d import _get_default_group, all_reduce as again\n"
        "assert reduce is all_reduce is dist.all_reduce is again\n"
        "assert callable(dist.rendezvous) and not any(name.startswith('mpi4py') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("call", [lambda d: d.get_rank(), lambda d: d.barrier(), lambda d: d.new_group([0])])
def test_what_needs_a_group_asks_for_it(call: Any) -> None:
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        call(torch.distributed)


def test_backends_that_are_not_here_are_refused_as_torch_does() -> None:
    with pytest.raises(RuntimeError, match="Distributed package doesn't have NCCL built in"):
        torch.distributed.init_process_group("nccl")
    with pytest.raises(RuntimeError, match="No rendezvous handler for etcd"):
        torch.distributed.init_process_group("gloo", init_method="etcd://x")
    with pytest.raises(TypeError, match="Expected timeout argument to be of type"):
        torch.distributed.init_process_group("gloo", timeout=3)


def test_the_command_line_of_torchrun_becomes_that_of_mpiexec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "mpiexec", lambda: "mpiexec")
    parsed: Namespace = run.parse_args("--nnodes 2 --nproc-per-node=4 --node_rank 0 -r 3 train.py --lr 1 -m x".split())
    start = ["mpiexec", "-n", "8", "-ppn", "4", sys.executable, "-u", "-m", "mini_dl"]
    assert run.command(parsed) == [*start, "train.py", "--lr", "1", "-m", "x"]
    assert run.command(run.parse_args(["-m", "package.train"]))[-4:] == ["-m", "mini_dl", "-m", "package.train"]
    with pytest.raises(ValueError, match="Unsupported nproc_per_node value: many"):
        run.command(run.parse_args(["--nproc-per-node", "many", "x"]))
    assert run.determine_local_world_size("auto") >= 1
