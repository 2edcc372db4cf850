"""The shared parts of a family's docstrings: shapes and errors, written once and shown by every member.

A docstring names its family in a line ``Family: reduction``; a function declared by `unary`, `binary` or `view` has one
implicitly. A module shares the lines of the function that it computes: ``Family: F.elu``. At publication, that line is replaced
by the family's lines, except those that the docstring has itself.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from typing import TypeAlias

from mini_dl._spaces import of_spaces

REDUCED = "(*in) -> (*in) without the dimensions `dim`, which stay with size 1 if `keepdim`; () if `dim` is left out."
NOT_A_TENSOR = "TypeError unless `input` is a tensor"

FAMILIES: dict[str, dict[str, str]] = {
    "elementwise": {
        "Shapes": "(*in) -> (*in), element by element.",
        "Raises": f"{NOT_A_TENSOR}; RuntimeError for a dtype for which this is not defined.",
    },
    "binary": {
        "Shapes": "`input` and `other` are broadcast, and the result has their common shape.",
        "Raises": "RuntimeError if the shapes do not broadcast; TypeError unless both are tensors, or one is a number.",
    },
    "comparison": {
        "Shapes": "`input` and `other` are broadcast, and the result, of bools, has their common shape.",
        "Raises": "RuntimeError if the shapes do not broadcast; TypeError unless `input` is a tensor, `other` one or a number.",
    },
    "reduction": {
        "Shapes": REDUCED,
        "Raises": "IndexError for a dimension that `input` lacks; RuntimeError for one that is named twice.",
    },
    "statistic": {
        "Shapes": REDUCED,
        "Raises": "RuntimeError for integers and bools; IndexError for a dimension that `input` lacks.",
    },
    "extreme": {
        "Shapes": REDUCED,
        "Raises": "IndexError over an empty dimension, and for one that `input` lacks.",
    },
    "scan": {
        "Shapes": "(*in) -> (*in), along `dim`.",
        "Raises": f"IndexError for a dimension that `input` lacks; {NOT_A_TENSOR}.",
    },
    "view": {
        "Shapes": "see the formula; the result is a view: it shares the memory of `input`.",
        "Raises": "RuntimeError for a shape that does not fit; IndexError for a dimension that `input` lacks.",
    },
    "factory": {
        "Shapes": "`size`, as ints or as one sequence, is the shape of the result.",
        "Raises": "RuntimeError for a negative size or an unavailable device; TypeError for a size that is not an int.",
    },
    "like": {
        "Shapes": "(*in) -> (*in); dtype and device are those of `input` unless given.",
        "Raises": f"{NOT_A_TENSOR}.",
    },
    "attribute": {
        "Shapes": "a tensor of any shape.",
        "Raises": f"{NOT_A_TENSOR}.",
    },
    "fill": {
        "Shapes": "a tensor of any shape, which is overwritten and returned.",
        "Raises": "RuntimeError for a leaf that requires grad, a parameter out of range, or a dtype without such numbers.",
    },
    "matrix": {
        "Shapes": "(*, m, n), where * are batch dimensions.",
        "Raises": "RuntimeError for fewer than two dimensions, integers, and float16.",
    },
    "square": {
        "Shapes": "(*, n, n), where * are batch dimensions.",
        "Raises": "RuntimeError for matrices that are not square, for integers, and for float16.",
    },
    "factors": {
        "Shapes": "the factors (*, n, n), `pivots` (*, n), `B` (*, n, k) -> (*, n, k).",
        "Raises": "RuntimeError unless the shapes match and the dtypes are equal.",
    },
    "masked": {
        "Shapes": "`mask` broadcasts to (*in) -> (*in) without the dimensions `dim`, which stay with size 1 if `keepdim`.",
        "Raises": "IndexError for a dimension that `input` lacks; RuntimeError if `mask` does not broadcast.",
    },
    "signal window": {
        "Shapes": "a number N of elements -> (N,); if it is `periodic`, the first N of N + 1.",
        "Raises": "ValueError for a negative `M`, or a dtype other than float32 and float64.",
    },
    "initialization": {
        "Shapes": "(*) -> the same tensor.",
        "Raises": "AttributeError for an argument that is not a tensor.",
    },
    "transform": {
        "Shapes": "(*) -> (*), element by element; the Jacobian too.",
        "Raises": "ValueError for a `cache_size` other than 0 and 1.",
    },
    "window": {
        "Shapes": "a number N of elements -> (N,); if it is `periodic`, the first N of N + 1.",
        "Raises": "RuntimeError for a negative length and for a dtype that is not floating point.",
    },
    "cell": {
        "Shapes": "`input` (N, C), `hx` (N, H), `w_ih` (H, C), `w_hh` (H, H), both biases (H) -> (N, H).",
        "Raises": "RuntimeError for sizes that do not fit.",
    },
    "functional": {
        "Raises": "RuntimeError if an output does not require grad or, with `strict`, does not depend on an input.",
    },
    "optimizer": {
        "Shapes": "parameters of any shapes, each with its own gradient.",
        "Raises": "ValueError for options out of range, or without parameters; TypeError for a parameter that is not a tensor.",
    },
    "schedule": {
        "Shapes": "one learning rate for each group of the optimizer.",
        "Raises": "TypeError for an `optimizer` that is not one; KeyError for a group without the initial rate that is needed.",
    },
    "average": {
        "Shapes": "parameters of any shapes; an average has the shape of its parameter.",
        "Raises": "ValueError for a decay outside [0, 1]; RuntimeError for shapes that differ.",
    },
    "loss": {
        "Shapes": "`input` and `target` (*in) -> (), or (*in) if `reduction` is 'none'.",
        "Raises": "ValueError for an unknown `reduction`; RuntimeError if the shapes do not broadcast.",
    },
}
"""By name: the texts after ``Shapes:`` and ``Raises:``; under "" a paragraph before them."""

FAMILIES |= of_spaces()

INDENT = re.compile(r"\n([ \t]*)\S")
PARTS = "Shapes", "Raises", "Source"
Functions: TypeAlias = Mapping[str, Mapping[str, object]]
"""The published functions by place."""


def with_family(doc: str | None, family: str = "", functions: Functions = types.MappingProxyType({})) -> str | None:
    """A docstring with the lines of the family that it names, or else of `family`."""
    if doc is None:
        return None
    at = doc.find("Family: ")
    if at >= 0:
        start, end = doc.rfind("\n", 0, at) + 1, doc.find("\n", at)
        end = len(doc) if end < 0 else end
        family, indent = doc[at + 8 : end].strip(), doc[start:at]
        before, after = doc[:start].rstrip(" "), doc[end:]
    elif family:
        at = doc.find(">>> ")
        start = doc.rfind("\n", 0, max(at, 0)) + 1 if at >= 0 else len(doc)
        before, after = doc[:start].rstrip(), "\n\n" * (at >= 0) + doc[start:]
        indent = doc[start:at] if at >= 0 else doc.rpartition("\n")[2] if "\n" in doc else ""
        indent = indent if not indent.strip() else ""
        before += "\n" if any([part + ": " in before for part in PARTS]) else "\n\n"
    else:
        return doc
    parts = _parts_of(family, functions)
    missing = [f"{part}: {text}" for part, text in parts.items() if part and f"{part}: " not in doc]
    if "" in parts:
        before += indent + parts[""] + "\n\n"
    if not missing and at < 0:
        return doc
    return before + "\n".join([indent + text.replace("\n", "\n" + indent) for text in missing]) + after


def _parts_of(family: str, functions: Functions) -> dict[str, str]:
    """The shared texts of a family: a family is a name, or a function whose docstring has the parts."""
    if family in FAMILIES:
        return FAMILIES[family]
    place, _, name = family.rpartition(".")
    function = functions.get("nn.functional" if place == "F" else place, {}).get(name)
    if function is None:
        raise TypeError(
            f"a docstring names the family {family!r}, which is neither one of mini_dl/_families.py nor a function that is "
            "published already, such as 'F.elu'"
        )
    parts: dict[str, str] = {}
    part = ""
    for line in map(str.strip, str(function.__doc__).splitlines()):
        start, _, text = line.partition(": ")
        if start in PARTS:
            part = start
            parts[part] = text
        elif not line:
            part = ""
        elif part:
            parts[part] += "\n" + line
    return parts


def with_preface(sentence: str, doc: str | None) -> str:
    """A docstring that describes a variant, and continues with the docstring of the original."""
    if not doc:
        return sentence
    later = INDENT.search(doc)
    indent = later[1] if later else ""
    return sentence.replace("\n", f"\n{indent}") + f"\n\n{indent}{doc}"


def complete_docstrings(names: Mapping[str, object], family: str = "", functions: Functions = types.MappingProxyType({})) -> None:
    """Add the lines of their family to the classes and functions of a module; with `family`, those lines to its whole package."""
    package = str(names.get("__package__"))
    for value in names.values():
        if not isinstance(value, (type, types.FunctionType)) or not value.__doc__:
            continue
        if "Family: " in value.__doc__ or (family and value.__module__.startswith(package)):
            value.__doc__ = with_family(value.__doc__, family, functions)
