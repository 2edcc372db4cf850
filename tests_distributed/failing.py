"""``python -m mini_dl -m tests_distributed.failing HOW``: a program whose last rank fails while the others wait for it."""

from __future__ import annotations

import os
import signal
import sys
import time

import torch.distributed as dist  # mini_dl, under ``python -m mini_dl``


def main(how: str) -> None:
    last = os.environ["RANK"] == str(int(os.environ["WORLD_SIZE"]) - 1)
    print(f"rank {os.environ['RANK']} of {os.environ['WORLD_SIZE']}", flush=True)
    if how == "before" and last:
        raise LookupError("before the start")
    if how == "before":
        time.sleep(60)
    dist.init_process_group("gloo")
    if last and how == "raises":
        raise LookupError("after the start")
    if last and how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if last and how == "exits":
        sys.exit(3)
    if how != "nothing":
        dist.barrier()
    print(f"done {' '.join(sys.argv[1:])}")


if __name__ == "__main__":
    main(sys.argv[1])
