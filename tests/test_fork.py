"""A child forked at any time can continue: no lock of the library stays held, and no missing thread is waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

START = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
import numpy as np
import mini_dl as torch
from mini_dl.utils.data import DataLoader, IterableDataset

F = torch.nn.functional
torch.set_num_threads(2)


def in_child(work, forks):
    for number in range(forks):
        child = os.fork()
        if not child:
            signal.alarm(20)
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        assert not status, f"fork {number} ended with {status}"


def forever(work):
    def loop():
        while True:
            work()

    threading.Thread(target=loop, daemon=True).start()


"""

PROGRAMS = {
    "random numbers": """
forever(lambda: torch.rand(5))
forever(lambda: torch.randn(3000))
own = torch.Generator()
forever(lambda: torch.randn(3000, generator=own))
in_child(lambda: (torch.rand(3), torch.randn(40, generator=own), torch.manual_seed(1), torch.randperm(9)), 60)
""",
    "an interrupt during the fork": """
def interrupt(*args):
    raise KeyboardInterrupt


own = torch.Generator()
signal.signal(signal.SIGALRM, interrupt)
sys.unraisablehook = lambda error: None  # Python reports an exception in a function called around a fork, and goes on
for number in range(300):
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-4 * (1 + number % 30))
            child = os.fork()
            if not child:
                os._exit(0)
            os.waitpid(child, 0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
    drawing = threading.Thread(target=lambda: torch.rand(3, generator=own), daemon=True)
    drawing.start()
    drawing.join(20)
    assert not drawing.is_alive(), f"after fork {number} another thread waits for the engine"
""",
    "modes": """
def switch():
    with torch.no_grad():
        with torch.inference_mode():
            torch.ones(2) + 1


def check():
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    switch()
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    x = torch.ones(2, requires_grad=True)
    (x * 2).sum().backward()


forever(switch)
in_child(check, 60)
""",
    "shared kernels": """
x, a = torch.randn(1200, 500), torch.randn(500, 500)
softmax, product = F.softmax(x, 1), a @ a
forever(lambda: F.softmax(x, 1))
forever(lambda: a @ a)


def check():
    assert torch.equal(F.softmax(x, 1), softmax)
    assert torch.equal(a @ a, product)
    torch.set_num_threads(3)
    F.softmax(x, 1)


in_child(check, 30)
""",
    "a live loader": """
batches = iter(DataLoader(range(40), 2, num_workers=2))
assert next(batches).tolist() == [0, 1]


def check():
    assert [b.tolist() for b in batches] == [[i, i + 1] for i in range(2, 40, 2)]


in_child(check, 10)
check()
""",
    "a live loader whose workers are busy": """
class Slow:
    def __len__(self):
        return 20

    def __getitem__(self, index):
        time.sleep(0.005)
        return index


batches = iter(DataLoader(Slow(), 2, num_workers=2))
next(batches)


def check():
    assert [b.tolist() for b in batches] == [[i, i + 1] for i in range(2, 20, 2)]


in_child(check, 5)
check()
""",
    "a persistent loader": """
loader = DataLoader(range(9), 2, num_workers=2, persistent_workers=True)
next(iter(loader))


def check():
    for _ in range(2):
        assert [b.tolist() for b in loader] == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]


in_child(check, 10)
check()
""",
    "a live loader over a stream": """
class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(20))


loader = DataLoader(Stream(), 2, num_workers=1)
batches = iter(loader)
next(batches)


def check():
    try:
        next(batches)
    except RuntimeError as error:
        assert "create a new iterator" in str(error)
    else:
        raise AssertionError("no error")
    assert len(list(loader)) == 10


in_child(check, 5)
assert len(list(batches)) == 9
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_forked_child_goes_on(name: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", START + PROGRAMS[name]],
        capture_output=True, text=True, timeout=150, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
