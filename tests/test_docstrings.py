"""Every public function and class says what it computes, in a formula, what it takes and raises, and shows an example."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from public_values import PLACES, public_values

FORMULA = re.compile(r"``[^`]*[-=+*/^<>()\[\]|&@~,][^`]*``")
PARTS = {
    "formula": FORMULA,
    "shapes": re.compile(r"^Shapes: \S", re.MULTILINE),
    "errors": re.compile(r"^Raises: \S", re.MULTILINE),
    "example": re.compile(r"^>>> ", re.MULTILINE),
}


def kind_of_value(place: str, name: str, value: Any) -> str:
    if inspect.isdatadescriptor(value):
        return "attribute"
    for kind, (_, names) in KINDS.items():
        if name in names.get(place, "").split():
            return kind
    return "function"


NEEDS = {
    "function": "formula shapes errors example",
    "attribute": "example",
    "setting": "errors example",
    "type": "",
    "older": "",
}
"""By kind, the parts of a docstring next to its first sentence."""

KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "setting": ("works on no tensors", {}),
    "type": ("a type, of which no program makes one by calling it", {}),
}
"""What is not a function of tensors: the reason, and the names by place."""

UNWRITTEN: dict[str, str] = {}
"""By place, what still lacks a part: it only gets shorter."""


def missing(place: str) -> dict[str, list[str]]:
    """The parts that docstrings of a place lack, by name."""
    found = {}
    for name, value in public_values(place):
        doc = inspect.cleandoc(value.__doc__ or "")
        lacks = [part for part in NEEDS[kind_of_value(place, name, value)].split() if not PARTS[part].search(doc)]
        if lacks or not doc:
            found[name] = lacks or ["sentence"]
    return found


@pytest.mark.parametrize("place", PLACES)
def test_the_docstrings_of_a_place_have_all_their_parts(place: str) -> None:
    allowed = UNWRITTEN.get(place, "").split()
    lacking = missing(place)
    assert {name: parts for name, parts in lacking.items() if name not in allowed} == {}
    assert [name for name in allowed if name not in lacking] == [], "these are written: take them from the list"
