"""What `dir`, tab completion, ``import *`` and ``pydoc`` show: torch's names, and those documented as ours."""

from __future__ import annotations

import importlib
import io
import pydoc
import re
import sys
import types
from pathlib import Path

import pytest

import mini_dl as torch
from mini_dl import nn, optim
from mini_dl.standins import OURS, OWN_PACKAGES, modules_with_files, public_names, section

ROOT = Path(__file__).parent.parent
MODULES = [place for place in modules_with_files() if place in public_names()]
PAGES = "".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def module_at(place: str) -> types.ModuleType:
    return torch if place == "torch" else importlib.import_module(f"mini_dl.{place}")


def public(place: str) -> list[str]:
    return [name for name in dir(module_at(place)) if not name.startswith("_")]


def test_every_public_name_of_every_public_module_is_torchs_or_documented_as_ours() -> None:
    assert len(MODULES) > 100
    for place in [place for place in MODULES if not place.startswith(OWN_PACKAGES)]:
        rows = section(place)
        known = public_names()[place] | (set(rows.rows) if rows is not None else set())
        assert [name for name in public(place) if name not in known] == [], place


def test_what_is_ours_alone_is_there_and_has_a_page() -> None:
    for place, names in OURS.items():
        for name in names.split():
            assert hasattr(module_at(place), name), f"{place}.{name}"
            assert re.search(rf"\b{name}\b", PAGES), f"{place}.{name} is on no page"


@pytest.mark.parametrize(
    "place", ["torch", "serialization", "nn", "nn.functional", "optim", "optim.optimizer", "autograd.function"]
)
def test_no_module_shows_what_its_file_imports(place: str) -> None:
    noise = {
        "np",
        "os",
        "sys",
        "Any",
        "Callable",
        "annotations",
        "functools",
        "namespace",
        "asking",
        "list_names",
        "wraps",
    }
    assert noise.isdisjoint(public(place))


def test_own_packages_show_what_they_define() -> None:
    for place in OWN_PACKAGES:
        shown = public(place)
        assert shown and {"np", "annotations", "Any", "numpy"}.isdisjoint(shown), place


def test_every_shown_name_can_be_reached() -> None:
    for place in ("torch", "nn", "nn.functional", "optim", "utils.data", "serialization", "linalg", "special", "fft", "autograd"):
        assert [name for name in public(place) if not hasattr(module_at(place), name)] == []


def test_all_of_the_package_is_there_and_is_what_star_imports() -> None:
    assert isinstance(torch.__all__, list) and len(torch.__all__) > 850
    assert len(set(torch.__all__)) == len(torch.__all__)
    found: dict[str, object] = {}
    exec("from mini_dl import *", found)
    assert found.keys() - {"__builtins__"} == set(torch.__all__)
    assert {"Tensor", "add", "exp", "zeros", "no_grad", "float32", "manual_seed", "save", "load"} <= found.keys()
    assert {"np", "os", "kernels", "standins", "nn", "utils", "annotations"}.isdisjoint(found)


def test_pydoc_of_the_package_lists_public_things() -> None:
    text = io.StringIO()
    pydoc.Helper(output=text)(torch)
    said = text.getvalue()
    for line in ("    exp(input: Tensor, *, out: Tensor | None = None) -> Tensor", "    class Tensor("):
        assert line in said
    assert re.search(r"^    zeros\(\s*\*size: int", said, re.MULTILINE)
    assert re.search(r"\b(Array|Operand|NamedTensors)\b", said.partition("FUNCTIONS")[2].partition("DATA")[0]) is None


def test_completion_on_objects_shows_no_private_names() -> None:
    shown = [name for name in dir(torch.ones(2)) if not name.startswith("__")]
    assert "sum" in shown and [name for name in shown if name.startswith("_")] == []
    assert {"configured", "keyword_only", "shown", "operation"}.isdisjoint(dir(nn.MaxPool2d(2)))
    assert {"kernel_size", "forward", "training"} <= set(dir(nn.MaxPool2d(2)))
    optimizer = optim.SGD([torch.ones(1)], lr=0.1)
    assert {"foreach_is_recorded", "newer_options", "tensors_of_step"}.isdisjoint(dir(optimizer))


def test_no_module_that_is_ours_alone_shows_what_its_file_imports() -> None:
    """Of those that ``import mini_dl`` loads."""
    loaded = [place for place in modules_with_files() if place not in public_names() and f"mini_dl.{place}" in sys.modules]
    assert len(loaded) > 100
    shown = {place: {"np", "os", "sys", "Any", "annotations", "functools"} & set(public(place)) for place in loaded}
    assert {place: names for place, names in shown.items() if names} == {}
