"""What MPI knows of the job, where programs look for it; and the end of the whole job when one rank fails."""

from __future__ import annotations

import os
import socket
import sys
from types import TracebackType
from typing import Any

from mini_dl.distributed.mpi import mpi

STARTED = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PALS_RANKID", "SLURM_PROCID_IN_MPI")
"""Variables that launchers of MPI set."""


def is_started_by_mpi() -> bool:
    """Whether a launcher of MPI has started this process."""
    return any(name in os.environ for name in STARTED)


def set_environment() -> None:
    """Set the variables that torchrun sets and that are not set: ranks, numbers of processes, the address of rank 0."""
    MPI = mpi()
    world = MPI.COMM_WORLD
    if os.environ.get("MINI_DL_ENVIRONMENT_SET") == str(os.getpid()):
        return
    here = world.Split_type(MPI.COMM_TYPE_SHARED)
    heads = world.Split(0 if here.rank == 0 else MPI.UNDEFINED, world.rank)
    node, nodes = here.bcast((heads.rank, heads.size) if heads != MPI.COMM_NULL else None)
    address, port = world.bcast((socket.gethostname() if world.size > here.size else "127.0.0.1", _free_port()))
    found = {
        "RANK": world.rank, "WORLD_SIZE": world.size, "LOCAL_RANK": here.rank, "LOCAL_WORLD_SIZE": here.size,
        "GROUP_RANK": node, "GROUP_WORLD_SIZE": nodes, "MINI_DL_ENVIRONMENT_SET": os.getpid(),
    }  # fmt: skip
    os.environ.update({name: str(value) for name, value in found.items()})
    os.environ.setdefault("MASTER_ADDR", address)
    os.environ.setdefault("MASTER_PORT", str(port))
    here.Free()
    if heads != MPI.COMM_NULL:
        heads.Free()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


def stop_all_on_error(rank: int) -> None:
    """From now on, an exception that nobody handles ends the whole job after its traceback, which tells the rank."""
    if isinstance(sys.excepthook, _StopsAll):
        sys.excepthook.rank = rank
    else:
        sys.excepthook = _StopsAll(sys.excepthook, rank)


class _StopsAll:
    """``sys.excepthook`` of a rank."""

    def __init__(self, shown: Any, rank: int) -> None:
        self.shown, self.rank = shown, rank

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        print(f"[rank{self.rank}]:", file=sys.stderr)
        self.shown(kind, error, trace)
        stop_all(1)


def stop_all(status: int) -> None:
    """End all processes of the job, if there are others."""
    sys.stdout.flush()
    sys.stderr.flush()
    MPI = mpi()
    if MPI.Is_initialized() and not MPI.Is_finalized() and MPI.COMM_WORLD.size > 1:
        MPI.COMM_WORLD.Abort(status)
