"""Ctrl-C between any two instructions of a block restores all modes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mini_dl as torch
from mini_dl.amp import casting
from mini_dl.autograd import saving
from mini_dl.autograd.mode import at_work, mode
from mini_dl.autograd.transforms import Lifted
from mini_dl.nn.utils import parametrize
from mini_dl.nn.utils.stateless import _Replaced
from mini_dl.utils import checkpoint
from mini_dl.utils.checkpoint import set_checkpoint_early_stop

LAYER, WEIGHT = torch.nn.Linear(2, 2), torch.ones(2, 2)
MODES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "no_grad": (torch.no_grad, torch.is_grad_enabled),
    "no_grad as ExitStack enters it": (lambda: stacked(torch.no_grad()), torch.is_grad_enabled),
    "enable_grad": (torch.enable_grad, torch.is_grad_enabled),
    "inference_mode": (torch.inference_mode, lambda: (torch.is_grad_enabled(), torch.is_inference_mode_enabled())),
    "detect_anomaly": (torch.autograd.detect_anomaly, torch.autograd.is_anomaly_enabled),
    "fork_rng": (torch.random.fork_rng, lambda: torch.get_rng_state().tolist()),
    "printoptions": (lambda: torch._printing.printoptions(precision=1), torch._printing.get_printoptions),
    "cached": (parametrize.cached, lambda: set(parametrize._caching)),
    "autocast": (
        lambda: torch.autocast("cpu", dtype=torch.float16),
        lambda: (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), casting.state.nesting),
    ),
    "device": (lambda: torch.device("meta"), lambda: torch.empty(1).device),
    "a level of a transform": (Lifted, lambda: (mode.stack, torch.is_grad_enabled(), len(at_work.anywhere))),
    "a call with other tensors": (
        lambda: _Replaced(LAYER, {"weight": WEIGHT, "bias": WEIGHT[0]}, {}),
        lambda: (id(LAYER.weight), id(LAYER.bias)),
    ),
    "early stop": (lambda: set_checkpoint_early_stop(False), lambda: checkpoint.setting.early_stop),
    "what a checkpoint saves": (
        lambda: checkpoint._saving(lambda value: value, lambda value: value),
        lambda: (checkpoint.setting.hooks, saving.here.pairs),
    ),
}


@contextlib.contextmanager
def stacked(manager: Any) -> Any:
    with contextlib.ExitStack() as stack:
        stack.enter_context(manager)
        yield


def interrupted_at(number: int, block: Callable[[], None]) -> bool:
    """Run `block` and raise KeyboardInterrupt before its `number`-th instruction, those of the library included."""
    count = 0

    def traced(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        if frame.f_code is not block.__code__ and "mini_dl" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        count += 1
        if count == number:
            raise KeyboardInterrupt
        return traced

    sys.settrace(traced)
    try:
        block()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("name", [name for name in MODES if "ExitStack" not in name])
def test_an_interrupt_at_any_instruction_of_a_block_puts_the_mode_back(name: str) -> None:
    make, state = MODES[name]
    torch.manual_seed(0)
    before, number = state(), 1

    def block() -> None:
        with make():
            if name == "fork_rng":
                torch.rand(2)

    while True:
        try:
            interrupted = interrupted_at(number, block)
        except BaseException as error:
            pytest.fail(f"{error!r} at instruction {number}")
        assert state() == before, f"instruction {number}"
        if not interrupted:
            break
        number += 1
    assert number > 50


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("name", MODES)
def test_a_block_puts_the_mode_back_as_before(name: str) -> None:
    make, state = MODES[name]
    before = state()
    with make(), make():
        pass
    with pytest.raises(ZeroDivisionError), make():
        raise ZeroDivisionError
    assert state() == before


def test_switches_may_be_entered_by_hand_and_nested_in_themselves() -> None:
    switch = torch.no_grad()
    switch.__enter__()
    assert not torch.is_grad_enabled()
    switch.__exit__(None, None, None)
    assert torch.is_grad_enabled()
    with switch:
        with switch:
            assert not torch.is_grad_enabled()
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()
    leave = switch.__exit__
    type(switch).__enter__(switch)
    leave(None, None, None)
    assert torch.is_grad_enabled()


SIGNALS = """
import random, signal, sys
import mini_dl as torch

random.seed(int(sys.argv[1]))
x = torch.ones(30)
left = 0
for _ in range(400):
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 1e-3))
        while True:
            with torch.no_grad():
                x + x
            with torch.inference_mode():
                pass
            with torch.random.fork_rng():
                pass
    except KeyboardInterrupt:
        left += (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) != (True, False)
        torch.set_grad_enabled(True)
print(left)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no interval timers here")
def test_signals_at_random_times_leave_no_mode_behind() -> None:
    program = "import signal\nsignal.signal(signal.SIGALRM, signal.default_int_handler)\n" + SIGNALS
    ran = subprocess.run(
        [sys.executable, "-c", program, "1"], capture_output=True, text=True, timeout=120, cwd=Path(__file__).parent.parent
    )
    assert ran.stdout.strip() == "0", ran.stderr


FIRST_TRANSFORM = """
import sys
import mini_dl as torch

x, lines = torch.randn(3, 2), 0
(x.cos().sin() * 2 - 1).reshape(6).exp().sum()  # these calls are written before there is a transform

def traced(frame, event, argument):
    global lines
    lines += event == "line" and frame.f_code.co_name == "look_for_transforms"
    if lines == 6:
        raise KeyboardInterrupt
    return traced

sys.settrace(traced)
try:
    torch.vmap(torch.sin)(x)
except KeyboardInterrupt:
    sys.settrace(None)
    print(torch.equal(torch.vmap(lambda row: (row.cos().sin() * 2 - 1).reshape(2).exp())(x), (x.cos().sin() * 2 - 1).exp()))
"""


def test_an_interrupt_of_the_first_transform_leaves_the_next_one_whole() -> None:
    run = subprocess.run([sys.executable, "-c", FIRST_TRANSFORM], capture_output=True, text=True, timeout=60)
    assert run.stdout == "True\n", run.stderr


FIRST_USE = """
import os, sys
import mini_dl as torch

later = ["fft", "linalg", "special", "masked"]
assert not {f"mini_dl.{name}" for name in later} & sys.modules.keys()

def interrupted_after(lines):
    def traced(frame, event, argument):
        nonlocal lines
        lines -= event == "line" and "mini_dl" in frame.f_code.co_filename
        if lines == 0:
            raise KeyboardInterrupt
        return traced

    sys.settrace(traced)
    try:
        for name in later:
            getattr(torch, name)
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)

for lines in [1, 2, 5, *range(10, 100, 20), *range(100, 9_000, 350)]:
    child = os.fork()
    if not child:
        interrupted_after(lines)
        torch.nn.LSTM(2, 3), torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(2, 2))
        lost = [name for part in later for name in dir(getattr(torch, part)) if not hasattr(getattr(torch, part), name)]
        os._exit(bool(lost))
    assert os.waitpid(child, 0)[1] == 0, lines
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork here")
def test_an_interrupt_of_the_first_use_of_a_part_leaves_it_whole_for_the_next() -> None:
    run = subprocess.run([sys.executable, "-c", FIRST_USE], capture_output=True, text=True, timeout=120)
    assert run.stdout == "done\n", run.stderr
