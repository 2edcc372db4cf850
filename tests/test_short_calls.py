"""Calls without keywords take a shorter way to a primitive: they do the same on it."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import mini_dl as torch
from mini_dl._arguments import QUICK, kind_of
from mini_dl._surface import NAMESPACES


def short_ways() -> list[tuple[str, object]]:
    found = []
    for where, names in NAMESPACES.items():
        for name, function in names.items():
            short = getattr(function, "positional", None)
            if short is not None and hasattr(short, "op"):
                found.append((f"{where}.{name}", short))
    return found


def test_only_what_the_parser_never_looks_at_goes_past_it():
    ways = short_ways()
    assert len(ways) > 50
    for name, short in ways:
        looked_at = [p.name for p in inspect.signature(short).parameters.values() if kind_of(p) in QUICK]
        assert not looked_at or hasattr(short, "__wrapped__"), f"{name}: {looked_at}"


@pytest.mark.parametrize("name", ["eq", "atan2", "logical_and"])
def test_a_number_first_is_refused_as_by_the_long_way(name):
    with pytest.raises(TypeError, match=r"argument 'input' \(position 1\) must be Tensor, not int"):
        getattr(torch, name)(2, torch.ones(2))


@pytest.mark.parametrize(("name", "expected"), [("add", 6.0), ("sub", -2.0), ("mul", 8.0), ("div", 0.5), ("floor_divide", 0.0)])
def test_a_number_may_come_first_where_torch_takes_it(name, expected):
    x, out = torch.full((2,), 4.0), torch.zeros(2)
    assert getattr(torch, name)(2, x).tolist() == [expected] * 2
    assert getattr(torch, name)(2, x, out=out).tolist() == [expected] * 2


METHODS = """
import inspect
import mini_dl as torch

for name in ("sin", "exp", "neg", "sqrt", "tanh"):
    method = vars(torch.Tensor)[name]
    method(torch.ones(1))  # which writes its text
    code = method.__code__
    print(hasattr(method, "op"), code.co_argcount, bool(code.co_flags & inspect.CO_VARKEYWORDS))
"""


def test_methods_of_one_tensor_are_the_primitives_themselves():
    """In a process of its own: once a subclass of Tensor is declared, methods ask their arguments."""
    said = subprocess.run([sys.executable, "-c", METHODS], capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[:-1] == ["True 1 False"] * 5


def test_other_names_of_arguments_still_reach_the_parser():
    x = torch.ones(2)
    assert torch.equal(torch.sin(x=x), torch.sin(x))
    assert torch.equal(torch.atan2(x, x2=x), torch.atan2(x, x))
    with pytest.raises(TypeError):
        torch.sin(x, foo=1)
    with pytest.raises(TypeError):
        x.sin(foo=1)


def test_objects_that_answer_for_functions_are_asked_on_the_short_way_too():
    class Foreign:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func.__name__, len(args)

    assert torch.sin(Foreign()) == ("sin", 1)
    assert torch.add(Foreign(), 1) == ("add", 2)
