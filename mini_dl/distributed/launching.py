"""MPI's information about the job, in the environment variables programs read; and aborting the whole job when one rank fails."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import sys
from collections.abc import Callable, Iterator
from types import TracebackType

from mini_dl.distributed.mpi import is_available, mpi


@contextlib.contextmanager
def whole_job() -> Iterator[None]:
    """Wraps a program started by an MPI launcher: sets its environment, and ends the job if it fails."""
    if is_available():
        set_environment()
        stop_all_on_error()
    try:
        yield
    except SystemExit as end:
        if end.code not in (None, 0):
            if not isinstance(end.code, int):
                print(end.code, file=sys.stderr)
            stop_all(end.code if isinstance(end.code, int) else 1)
        raise


_for_process: list[int] = []
"""The process whose environment is set, and whose errors end the job."""


def set_environment() -> None:
    """Set the variables that torchrun sets: ranks and numbers of processes and, unless they are there, the address of rank 0."""
    if os.getpid() in _for_process:
        return
    MPI = mpi()
    world = MPI.COMM_WORLD
    here = world.Split_type(MPI.COMM_TYPE_SHARED)
    heads = world.Split(0 if here.rank == 0 else MPI.UNDEFINED, world.rank)
    node, nodes = here.bcast((heads.rank, heads.size) if heads != MPI.COMM_NULL else None)
    address, port = world.bcast((socket.gethostname() if nodes > 1 else "127.0.0.1", _free_port()))
    found = {
        "RANK": world.rank, "WORLD_SIZE": world.size, "LOCAL_RANK": here.rank, "LOCAL_WORLD_SIZE": here.size,
        "GROUP_RANK": node, "GROUP_WORLD_SIZE": nodes,
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


def stop_all_on_error() -> None:
    """Make unhandled exceptions end the whole job after printing the traceback, each line prefixed with the rank."""
    if os.getpid() in _for_process:
        return
    _for_process.append(os.getpid())
    shown: Callable[..., None] = sys.excepthook
    rank = mpi().COMM_WORLD.rank

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as text:
            shown(kind, error, trace)
        print("".join([f"[rank{rank}]: {line}\n" for line in text.getvalue().splitlines()]), end="", file=sys.stderr)
        stop_all(1)

    sys.excepthook = show


def stop_all(status: int) -> None:
    """End all processes of the job, if there are others and this one is not a child of a rank."""
    if os.getpid() not in _for_process:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    MPI = mpi()
    if not MPI.Is_finalized() and MPI.COMM_WORLD.size > 1:
        MPI.COMM_WORLD.Abort(status)
        os._exit(status)
