"""A single generated function, which checks the arguments, wraps each public function."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mini_dl as torch
from mini_dl._arguments import PublicParser, parser_of, placeholder
from mini_dl._surface import NAMESPACES

DEPTH = """
import sys, traceback
import mini_dl as torch
x, F = torch.ones(2), torch.nn.functional
calls = [
    lambda: torch.add(x, torch.ones(3)),
    lambda: torch.atan2(x, torch.ones(3)),
    lambda: torch.mm(torch.ones(2, 3), torch.ones(2, 3)),
    lambda: F.relu(torch.ones(2, dtype=torch.bool)),
    lambda: torch.linalg.det(torch.ones(2, 3)),
]
for call in calls:
    for _ in range(2):  # the first call writes the text
        try:
            call()
        except RuntimeError as error:
            files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    texts = [file for file in files if file.startswith("<arguments of")]
    print(len(texts), [file for file in files if file.endswith(("overrides.py", "_surface.py", "_arguments.py"))])
"""


def test_one_text_stands_around_a_function():
    """The parser, the check for ``__torch_function__`` and ``out=``; in its own process, where no argument is consulted."""
    said = subprocess.run([sys.executable, "-c", DEPTH], capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[:-1] == ["1 []"] * 5


def test_the_text_of_every_public_function_can_be_written():
    written = 0
    for names in NAMESPACES.values():
        for whole in names.values():
            behind = parser_of(whole)
            if behind is not None:
                parser = PublicParser(whole, behind)
                parser.call = placeholder(parser.function, parser)
                parser.write()
                written += 1
    assert written > 500


def test_arguments_that_answer_come_as_they_were_given():
    """In its own process, where none was seen before."""
    program = """
import mini_dl as torch
class Foreign:
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return len(args), sorted(kwargs or {})
x, foreign = torch.ones(2), Foreign()
F = torch.nn.functional
torch.cumsum(x, 0), F.relu(x)
print(torch.cumsum(foreign, 0), torch.cumsum(foreign, dim=0), torch.cumsum(input=foreign, dim=0), F.relu(foreign))
print(torch.sum(foreign, 0), torch.sum(foreign, dim=0), torch.sum(foreign, 0, keepdim=True, out=x))
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split("\n")
    assert said[0] == "(2, []) (1, ['dim']) (0, ['dim', 'input']) (1, [])"
    assert said[1] == "(2, []) (1, ['dim']) (2, ['keepdim', 'out'])"


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
    """In its own process: once a subclass of Tensor is declared, methods consult their arguments."""
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
