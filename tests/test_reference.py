"""The pages of the reference as passed to the site: an entry for every public name, with formulas, parity and source."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import public_values as shared
import pytest
from public_values import PLACES, public_values

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def reference() -> Any:
    return shared.reference


@pytest.fixture(scope="module")
def pages(reference: Any) -> dict[str, str]:
    return dict(reference.pages())


@pytest.fixture(scope="module")
def entries(pages: dict[str, str]) -> dict[str, str]:
    """The text of each entry by its dotted name."""
    found = {}
    for text in pages.values():
        for part in re.split(r"^\.\. py:\w+:: ", text, flags=re.MULTILINE)[1:]:
            found[re.split(r"[(\n]", part)[0]] = part
    return found


def test_every_public_name_has_an_entry(entries: dict[str, str]) -> None:
    for place in PLACES:
        dotted = "mini_dl." if place == "torch" else f"mini_dl.{place}."
        assert [name for name, _ in public_values(place) if dotted + name not in entries] == [], place


@pytest.mark.parametrize(
    "name", ["nn.functional.grid_sample", "nn.functional.ctc_loss", "Tensor.bfloat16", "vmap", "nn.Conv2d", "linalg.svd"]
)
def test_an_entry_has_all_its_parts(entries: dict[str, str], pages: dict[str, str], name: str) -> None:
    text = entries[f"mini_dl.{name}"]
    for part in (":Shapes: ", ":Raises: ", ">>> ", ":Source code: "):
        assert part in text, part
    if name not in ("vmap", "Tensor.bfloat16"):
        assert ":math:`" in text
    if name != "vmap":
        assert re.search(r":Parity: \d+ samples? in .*: \d+ comparisons with torch agree", text)
    file, line, page = re.search(r"`([\w/.]+):(\d+) <source/([\w-]+)\.html#line-\2>`__", text).groups()  # type: ignore[union-attr]
    source = (DOCS.parent / file).read_text(encoding="utf-8").splitlines()
    assert re.match(r"\s*(@|def |class )", source[int(line) - 1]) and page == file.replace("/", "-").removesuffix(".py")


def test_the_index_leads_to_every_page(pages: dict[str, str]) -> None:
    listed = re.findall(r":doc:`[^<]+ <([\w-]+)>`", pages["index"])
    assert sorted(listed) == sorted(name for name in pages if name != "index")
    assert [name for name in listed if ".. py:" not in pages[name]] == []


def test_no_page_shows_an_address_or_the_name_of_a_family(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        assert not re.search(r"object at 0x|^\s*Family: ", text, re.MULTILINE), name


def test_the_formulas_of_docstrings_are_mathematics(reference: Any) -> None:
    """All numeric ones; those that call methods remain code."""
    formulas = {text for place in PLACES for _, value in public_values(place) for text in formulas_of(value)}
    rendered = [text for text in formulas if reference.formula(text).startswith(":math:")]
    assert len(rendered) > 700


def formulas_of(value: Any) -> list[str]:
    paragraphs = inspect.cleandoc(value.__doc__ or "").split("\n\n")
    return [text for paragraph in paragraphs if not paragraph.startswith(">>>") for text in re.findall(r"``([^`]+)``", paragraph)]


@pytest.mark.parametrize(
    "text, tex",
    [
        ("out = e ** input", r"\mathrm{out} = e^{\mathrm{input}}"),
        ("out[i, j] = sum(a[i, k] * b[k, j], k)", r"\mathrm{out}_{i, j} = \sum_{k} a_{i, k} \cdot b_{k, j}"),
        ("(x - mean) / sqrt(var + eps)", r"\frac{x - \mathrm{mean}}{\sqrt{\mathrm{var} + \varepsilon}}"),
        ("max(input, 0)", r"\max\left(\mathrm{input}, 0\right)"),
        ("max(x[i], i)", r"\max_{i} x_{i}"),
        ("x - (y - z)", r"x - \left(y - z\right)"),
        ("-x if x < 0 else x", r"\begin{cases}-x & \text{if } x < 0 \\ x & \text{otherwise}\end{cases}"),
        ("integral(exp(-t ** 2), t, 0, inf)", r"\int_{0}^{\infty} e^{-t^{2}} \, dt"),
        ("n! / (n - k)!", r"\frac{n!}{\left(n - k\right)!}"),
    ],
)
def test_a_formula_is_written_as_it_is_meant(reference: Any, text: str, tex: str) -> None:
    assert reference.formula(text) == f":math:`{tex}`"


@pytest.mark.parametrize("text", ["torch.split", "x.flatten()[0]", 'side="right"', "dim=-1", "input"])
def test_code_stays_code(reference: Any, text: str) -> None:
    assert reference.formula(text) == f"``{text}``"
