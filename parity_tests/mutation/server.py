"""A server of processes: everything but this project is imported once, and each trial is a fork that imports the project anew.

A trial reports in lines of JSON. Its time is measured in seconds of CPU time, so that a busy machine makes no difference: `limit`
sets an alarm, and the signal ends the process. A trial that reports nothing for `SILENCE` seconds and sleeps is terminated.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import importlib.machinery
import json
import os
import resource
import selectors
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".mutation"
SILENCE, LOOK = 200.0, 5.0
MEMORY = 12 << 30
OWN = ("mini_dl", "parity_tests", "tests", "scripts", "programs", "docs")
IMPORTED = (
    "torch.testing._internal.common_methods_invocations", "torch.testing._internal.common_modules",
    "torch.testing._internal.common_optimizers", "torch.nn.attention", "torch.func", "torch.onnx", "torch.utils.data",
    "scipy.stats", "scipy.special", "scipy.linalg", "scipy.signal", "hypothesis.strategies", "hypothesis.extra.numpy", "pytest",
    "expecttest", "jinja2", "ml_dtypes", "onnx", "mpmath", "multiprocessing.pool", "concurrent.futures", "unittest.mock",
)  # fmt: skip

Say = Callable[..., None]


def preload() -> None:
    """Import what the tests need, and nothing of this project."""
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(CACHE / "bytecode")
    os.environ["PARITY_REPORT"] = str(CACHE / "unused" / "parity.json")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in IMPORTED:
            with contextlib.suppress(ImportError):  # tests that need it are skipped, or fail before any mutant
                importlib.import_module(name)
    sys.modules["torch"].set_num_threads(1)
    own = {name for name in sys.modules if name.split(".")[0] in OWN and not name.startswith("parity_tests.mutation")}
    assert own <= {"parity_tests"}, f"imported already: {sorted(own)}"


# ------------------------------------------------------------------------------------------------ the changed module


planted: list[str] = []
"""The modules that were loaded with other code in this process."""


def plant(file: str, code: CodeType) -> None:
    """Replace the code of the module of this file from now on, whichever finder finds it, even if it is loaded late."""
    path, original = str(ROOT / file), importlib.machinery.SourceFileLoader.get_code

    def get_code(self: importlib.machinery.SourceFileLoader, fullname: str) -> CodeType | None:
        if self.path != path:
            return original(self, fullname)
        planted.append(fullname)
        return code

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[assignment, method-assign]


# ------------------------------------------------------------------------------------------------ trials


def limit(seconds: float) -> None:
    """End this process after this many more seconds of CPU time."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


@dataclass
class Trial:
    """A running process: its job, its messages so far, and how it ended."""

    job: Any
    process: int = 0
    pipe: int = -1
    rest: bytes = b""
    said: list[dict[str, Any]] = field(default_factory=list)
    heard: float = 0.0
    ending: str = ""


def trials(jobs: Iterable[Any], work: Callable[[Any, Say], None], workers: int) -> Iterator[Trial]:
    """`work(job, say)` for each job in a process of its own; yields the trials as they end: "done", "timeout" or "died".

    `jobs` may be a deque to which the receiver adds more in the meantime.
    """
    waiting = jobs if isinstance(jobs, deque) else deque(jobs)
    running: dict[int, Trial] = {}
    with selectors.DefaultSelector() as selector:
        while waiting or running:
            while waiting and len(running) < workers:
                trial = _begun(waiting.popleft(), work)
                running[trial.pipe] = trial
                selector.register(trial.pipe, selectors.EVENT_READ)
            for key, _ in selector.select(timeout=LOOK):
                trial = running[key.fd]
                if not _read(trial):
                    selector.unregister(key.fd)
                    yield _reaped(running.pop(key.fd))
            for trial in list(running.values()):
                if time.monotonic() - trial.heard > SILENCE and sleeps(trial.process):
                    trial.ending = "timeout"
                    os.killpg(trial.process, signal.SIGKILL)  # the end of its pipe will be read next
                    trial.heard = time.monotonic()


def sleeps(process: int) -> bool:
    """Whether a process waits for something other than its turn on a busy machine."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "S"
    except OSError:  # this system has no such file
        return True


def _begun(job: Any, work: Callable[[Any, Say], None]) -> Trial:
    sys.stdout.flush()
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        _work(job, work, writer)
    os.close(writer)
    return Trial(job, process, reader, heard=time.monotonic())


def _work(job: Any, work: Callable[[Any, Say], None], writer: int) -> None:
    """The whole life of a process."""
    faulthandler.disable()
    os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)

    def say(**message: Any) -> None:
        os.write(writer, json.dumps(message).encode() + b"\n")

    try:
        work(job, say)
        say(done=True)
    except BaseException as error:
        say(error=f"{type(error).__name__}: {error}"[:500])
    finally:
        os._exit(0)


def _read(trial: Trial) -> bool:
    """Read its messages; return False at the end."""
    content = os.read(trial.pipe, 1 << 20)
    *lines, trial.rest = (trial.rest + content).split(b"\n")
    trial.said += [json.loads(line) for line in lines]
    trial.heard = time.monotonic()
    return bool(content)


def _reaped(trial: Trial) -> Trial:
    os.close(trial.pipe)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(trial.process, signal.SIGKILL)  # it, and any processes it started
    _, status = os.waitpid(trial.process, 0)
    said_all = any("done" in message for message in trial.said)
    if not trial.ending:
        by_clock = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGXCPU)
        trial.ending = "done" if said_all else "timeout" if by_clock else "died"
    return trial
