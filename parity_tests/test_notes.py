"""The notes' claim: with `import torch` in the third line, each cell prints the same as with mini_dl."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import notebooks  # noqa: E402

SHOW = re.compile(r"^show\(", re.MULTILINE)  # compared in test_book.py
PAGES = [page for page in notebooks.pages(ROOT / "docs") if page.parent.name in ("notes", "docs") and page.stem != "parting"]
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?%?")


def agree(ours: str, theirs: str) -> bool:
    """The same words, and numbers that differ by at most one unit of their last printed digit."""
    if NUMBER.sub("#", ours) != NUMBER.sub("#", theirs):
        return False
    return all(
        abs(float(a.rstrip("%")) - float(b.rstrip("%"))) <= 1.01 * unit(a) for a, b in zip(*map(NUMBER.findall, (ours, theirs)))
    )


def unit(number: str) -> float:
    """The unit of the last digit: 0.01 for 2.35, 0.1 for 1.2e+00."""
    digits, _, power = number.rstrip("%").partition("e")
    return float(10.0 ** (int(power or 0) - len(digits.partition(".")[2])))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_a_page_prints_under_torch_what_it_prints_under_mini_dl(page):
    ours = dict(notebooks.run(page, skip=SHOW))
    theirs = notebooks.run(page, "torch", skip=SHOW)
    assert len(theirs) >= 3
    for code, printed in theirs:
        assert agree(ours[code], printed), f"{code}\n\nmini_dl:\n{ours[code]}\ntorch:\n{printed}"


def test_numbers_are_compared_to_their_last_digit_and_words_exactly():
    assert agree("loss 0.12, 95%", "loss 0.13, 94%")
    assert not agree("loss 0.12", "loss 0.14") and not agree("loss 0.12", "Loss 0.12") and not agree("1.2e-05", "1.4e-05")
