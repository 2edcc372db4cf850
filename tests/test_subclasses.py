"""Subclasses of Tensor and classes with ``__torch_function__``, in separate processes, since earlier state would affect them."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


STRANGER = """
import mini_dl as torch

class Stranger:
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func.__name__, func is torch.add

s, one = Stranger(), torch.ones(1)
"""


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("torch.add(s, 1)", "add"),
        ("torch.add(one, other=s)", "add"),
        ("torch.nn.ReLU()(s)", "relu"),
        ("torch.linalg.norm(s)", "linalg_norm"),
        ("one + s", "add"),
        ("s + one", "add"),
        ("s - one", "__rsub__"),
        ("one @ s", "matmul"),
        ("one < s", "lt"),
        ("torch.stack((one, s))", "stack"),
    ],
)
def test_the_first_stranger_of_a_process_is_asked(call: str, name: str) -> None:
    assert run(f"{STRANGER}print({call})") == str((name, call.startswith("torch.add")))


def test_nobody_is_asked_before_a_subclass_is_declared() -> None:
    program = """
import mini_dl as torch
from mini_dl import overrides
before = vars(torch.Tensor)["__add__"]
class Parameter(torch.nn.Parameter): pass
torch.nn.Linear(2, 2)(torch.ones(1, 2)).sum().backward()
print(overrides.watching, vars(torch.Tensor)["__add__"] is before)
class Image(torch.Tensor): pass
print(overrides.watching, vars(torch.Tensor)["__add__"] is before, type(torch.ones(1) + 1) is torch.Tensor)
"""
    assert run(program) == "False True\nTrue False True"


def test_the_error_of_a_function_that_nobody_answers_for_is_its_own() -> None:
    program = """
import mini_dl as torch
try: torch.add("a", 1)
except TypeError as error: print(error)
"""
    assert "must be Tensor, not str" in run(program)


def test_functions_that_were_imported_by_name_keep_subclasses() -> None:
    program = """
from mini_dl import Tensor, stack
from mini_dl.nn.functional import relu
class Image(Tensor): pass
print(type(stack([Image([1.0])])).__name__, type(relu(Image([1.0]))).__name__)
"""
    assert run(program) == "Image Image"


MODE_BEFORE_FIRST_USE = """
import mini_dl as torch

class Told(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        print(func.__name__)
        return func(*args, **(kwargs or {}))

with Told():
    torch.fft.fftfreq(4)
    torch.nn.functional.relu(torch.ones(1))
"""


def test_a_mode_overrides_the_functions_of_a_part_that_is_first_used_within_it() -> None:
    assert run(MODE_BEFORE_FIRST_USE).split() == ["fftfreq", "ones", "relu"]
