"""``python -m mini_dl.distributed.run --nproc-per-node 4 train.py``: torchrun's arguments; ``mpiexec`` starts the processes.

MPI, informed by the cluster's queue, knows which machines take part: torchrun's rendezvous and start method are
accepted but not needed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ACCEPTED = (
    "rdzv-backend rdzv-endpoint rdzv-id rdzv-conf monitor-interval start-method role log-dir redirects tee local-addr "
    "local-ranks-filter node-rank logs-specs event-log-handler numa-binding log-line-prefix-template"
).split()
"""Options of torchrun that take a value and have no effect here."""
SWITCHES = "standalone rdzv-is-static virtual-local-rank signals-to-handle use-agent-store duplicate-stdout-filters".split()
SHORT = {"redirects": "-r", "tee": "-t"}


def get_args_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser("python -m mini_dl.distributed.run", description="Start a program in several processes.")
    add = parser.add_argument
    add("--nnodes", default="1", help="number of machines, or MIN:MAX")
    add("--nproc-per-node", "--nproc_per_node", default="1", help="processes on each machine: a number, auto or cpu")
    add("--max-restarts", "--max_restarts", type=int, default=0, help="how often to restart after a failure")
    add("--master-addr", "--master_addr", help="MASTER_ADDR of the processes")
    add("--master-port", "--master_port", help="MASTER_PORT of the processes")
    add("-m", "--module", action="store_true", help="the program is a module, as with python -m")
    add("--no-python", "--no_python", action="store_true", help="the program is a command, not a Python script")
    add("--run-path", "--run_path", action="store_true", help=argparse.SUPPRESS)
    for name in ACCEPTED:
        add(f"--{name}", f"--{name.replace('-', '_')}", *[SHORT[name]] if name in SHORT else [], help=argparse.SUPPRESS)
    for name in SWITCHES:
        add(f"--{name}", f"--{name.replace('-', '_')}", action="store_true", help=argparse.SUPPRESS)
    add("training_script", help="the program")
    add("training_script_args", nargs=argparse.REMAINDER, help="its arguments")
    return parser


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """The command line, parsed."""
    return get_args_parser().parse_args(args)


def determine_local_world_size(nproc_per_node: str) -> int:
    """The number of processes per machine. ValueError if not given, or given by unavailable devices."""
    if nproc_per_node in ("auto", "cpu"):
        return os.cpu_count() or 1
    if nproc_per_node in ("gpu", "xpu"):
        raise ValueError("Cuda is not available." if nproc_per_node == "gpu" else "Xpu is not available.")
    try:
        return int(nproc_per_node)
    except ValueError as error:
        raise ValueError(f"Unsupported nproc_per_node value: {nproc_per_node}") from error


def command(args: argparse.Namespace) -> list[str]:
    """The command that starts all processes."""
    here = determine_local_world_size(args.nproc_per_node)
    nodes = int(args.nnodes.rpartition(":")[2])
    start = [mpiexec(), "-n", str(nodes * here), *(["-ppn", str(here)] if nodes > 1 else [])]
    python = [] if args.no_python else [sys.executable, "-u", "-m", "mini_dl", *(["-m"] if args.module else [])]
    return [*start, *python, args.training_script, *args.training_script_args]


def mpiexec() -> str:
    """The environment's ``mpiexec``, else the system's. FileNotFoundError if there is none."""
    near = Path(sys.executable).with_name("mpiexec")
    found = str(near) if near.exists() else shutil.which("mpiexec")
    if found is None:
        raise FileNotFoundError("there is no mpiexec: install MPI, or its package: pip install 'mini_dl[mpi]' mpich")
    return found


def run(args: argparse.Namespace) -> int:
    """Start the processes, wait for them, and restart them as often as allowed; return the last exit status."""
    environment = {**os.environ, "TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_MAX_RESTARTS": str(args.max_restarts)}
    environment.update({
        name: value for name, value in (("MASTER_ADDR", args.master_addr), ("MASTER_PORT", args.master_port)) if value
    })  # fmt: skip
    if determine_local_world_size(args.nproc_per_node) > 1:
        environment.setdefault("OMP_NUM_THREADS", "1")
    root = str(Path(__file__).parents[2])
    environment["PYTHONPATH"] = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), root])
    status = 0
    for attempt in range(args.max_restarts + 1):
        environment["TORCHELASTIC_RESTART_COUNT"] = str(attempt)
        status = subprocess.run(command(args), env=environment).returncode
        if status == 0:
            break
    return status if status >= 0 else 128 - status


def main(args: list[str] | None = None) -> None:
    """Start the program that the command line names; SystemExit with its status unless that is 0."""
    status = run(parse_args(args))
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
