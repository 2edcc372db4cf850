"""What ``help`` and `inspect.signature` show of public functions: public names, and the types callers pass."""

from __future__ import annotations

import importlib
import inspect
import io
import pickle
import pydoc
import re
import types
from collections.abc import Iterator
from typing import Any

import pytest

import mini_dl as torch
import mini_dl.nn.functional as F
from mini_dl._surface import NAMESPACES

PRIVATE = r"\b(Array|Operand|Ints|TypeLike|DType|DeviceLike|Layout|MemoryFormat|State|NamedTensors|layout_of|Handle)\b"


def public_functions() -> Iterator[tuple[str, Any]]:
    for place in sorted(NAMESPACES.keys() - {"return_types"}):
        module = torch if place == "torch" else importlib.import_module(f"mini_dl.{place}")
        for name in NAMESPACES[place]:
            yield f"{place}.{name}", getattr(module, name)
    for name, value in vars(torch.Tensor).items():
        yield f"Tensor.{name}", value


def test_no_public_function_shows_a_private_annotation() -> None:
    shown = {name: str(inspect.signature(value)) for name, value in public_functions() if isinstance(value, types.FunctionType)}
    assert len(shown) > 1500
    assert [f"{name}{text}" for name, text in shown.items() if re.search(PRIVATE, text)] == []


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (torch.exp, "(input: Tensor, *, out: Tensor | None = None) -> Tensor"),
        (torch.mul, "(input: Tensor, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor"),
        (torch.Tensor.exp, "(self) -> Tensor"),
        (torch.Tensor.exp_, "(self) -> Tensor"),
        (torch.Tensor.mul_, "(self, other: Tensor | Number) -> Tensor"),
        (torch.Tensor.__add__, "(self, other: Tensor | Number) -> Tensor"),
        (torch.Tensor.numpy, "(self, *, force: bool = False) -> numpy.ndarray"),
        (torch.from_numpy, "(ndarray: numpy.ndarray) -> Tensor"),
        (torch.reshape, "(input: Tensor, *shape: int | Sequence[int]) -> Tensor"),
        (F.relu, "(input: Tensor, inplace: bool = False) -> Tensor"),
        (torch.special.expit, "(input: Tensor, *, out: Tensor | None = None) -> Tensor"),
    ],
)
def test_a_signature_says_what_a_caller_passes(function: Any, expected: str) -> None:
    assert str(inspect.signature(function)) == expected


def test_named_results_are_named_in_signatures() -> None:
    assert inspect.signature(torch.sort).return_annotation == "return_types.sort"
    assert inspect.signature(torch.linalg.svd).return_annotation == "return_types.linalg_svd"
    assert inspect.signature(torch.Tensor.cummax).return_annotation == "return_types.cummax"


def test_help_shows_the_public_signature() -> None:
    text = io.StringIO()
    pydoc.Helper(output=text)(torch.exp)
    assert "exp(input: Tensor, *, out: Tensor | None = None) -> Tensor" in text.getvalue()


def test_the_signature_of_a_bound_method_starts_after_self() -> None:
    assert str(inspect.signature(torch.ones(2).mul)) == "(other: Tensor | Number) -> Tensor"


def test_constructors_show_public_names() -> None:
    first = next(iter(inspect.signature(torch.nn.Linear.__init__).parameters.values()))
    assert str(first) == "self"
    shown = str(inspect.signature(torch.distributions.Normal))
    assert shown == "(loc: Tensor | float, scale: Tensor | float, validate_args: bool | None = None) -> None"


def test_a_signature_can_be_bound_replaced_compared_and_pickled() -> None:
    signature = inspect.signature(torch.exp)
    assert signature.bind(1, out=2).arguments == {"input": 1, "out": 2}
    assert signature.replace(return_annotation=None).return_annotation is None
    assert signature == inspect.signature(torch.exp) and signature == pickle.loads(pickle.dumps(signature))


def test_showing_a_signature_does_not_change_what_is_checked() -> None:
    before = inspect.signature(torch.Tensor.exp)
    assert list(before.parameters) == ["self"]
    with pytest.raises(TypeError, match="must be Tensor, not float"):
        torch.exp(2.0)
    assert torch.exp(input=torch.zeros(1)).item() == 1.0


def test_a_signature_stays_as_it_is_once_autocast_has_been_on() -> None:
    before = str(inspect.signature(torch.Tensor.matmul)), str(inspect.signature(torch.matmul))
    with torch.autocast("cpu"):
        torch.ones(2, 2) @ torch.ones(2, 2)
    assert (str(inspect.signature(torch.Tensor.matmul)), str(inspect.signature(torch.matmul))) == before


def test_the_signature_of_a_layer_whose_base_takes_more_is_its_own() -> None:
    assert list(inspect.signature(torch.nn.ZeroPad2d).parameters) == ["padding"]
