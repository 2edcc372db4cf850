"""Printing of tensors: exactly as in torch, so that examples and logs can be compared as text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._abstract import is_abstract
from mini_dl._dtypes import FLOATING, Array
from mini_dl._leaving import Block
from mini_dl._meta import is_meta_array
from mini_dl._surface import function
from mini_dl.autograd.mode import mode
from mini_dl.tensor import Tensor

PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


class Options:
    """What ``set_printoptions`` sets."""

    precision: int
    edgeitems: int
    linewidth: int
    threshold: float
    sci_mode: bool | None

    def __init__(self) -> None:
        vars(self).update(PROFILES["default"], sci_mode=None)


options = Options()


@function()
def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set the digits after the decimal point; the number of elements above which only `edgeitems` at each end are shown; the line
    width; scientific notation; or a `profile`.

    The profiles are "default", "short" and "full".

    Raises: ValueError for an unknown `profile`.

    >>> torch.set_printoptions(precision=2)
    >>> torch.tensor([torch.pi])
    tensor([3.14])
    >>> torch.set_printoptions(profile="default")
    """
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    chosen = {**PROFILES.get(profile or "", {}), **{name: value for name, value in given.items() if value is not None}}
    for name, value in chosen.items():
        setattr(options, name, value)
    options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The options as ``set_printoptions`` takes them."""
    return vars(options).copy()


class printoptions(Block, ContextDecorator):
    """``set_printoptions`` for a block."""

    def __init__(self, **kwargs: object) -> None:
        self._wanted = kwargs

    def _state(self) -> dict[str, Any]:
        return get_printoptions()

    def _change(self, before: object) -> None:
        set_printoptions(**self._wanted)

    def _put_back(self, before: dict[str, object]) -> None:
        set_printoptions(**before)


# ------------------------------------------------------------------------------------------------ one number

Show = Callable[[Any], str]


def formatter(shown: Array) -> tuple[int, Show]:
    """The width of the longest of these numbers, and how to show one. NaN and infinities do not count."""
    if shown.dtype.kind not in FLOATING:
        width = max([len(str(value)) for value in shown.reshape(-1).tolist()], default=1)
        return width, lambda value: str(value).rjust(width)
    values = shown[np.isfinite(shown) & (shown != 0)].astype(np.float64)
    precision = options.precision
    whole, scientific, longest = True, False, 1
    if values.size:
        sizes = np.abs(values)
        low, high = sizes.min(), sizes.max()
        whole = bool((values == np.ceil(values)).all())
        scientific = bool(high / low > 1000 or high > 1e8 or low < 1e-4) if options.sci_mode is None else options.sci_mode
        code = f".{precision}e" if scientific else ".0f" if whole else f".{precision}f"
        longest = max([len(format(value, code)) for value in values.tolist()]) + (whole and not scientific)

    def show(value: float) -> str:
        if scientific:
            return format(value, f"{longest}.{precision}e")
        text = format(value, ".0f" if whole else f".{precision}f")
        return (text + "." if whole and math.isfinite(value) else text).rjust(longest)

    return longest, show


def complex_formatter(shown: Array) -> tuple[int, Show]:
    """The same for complex numbers: the parts have their own widths."""
    real_width, real = formatter(shown.real)
    imag_width, imag = formatter(shown.imag)

    def show(value: complex) -> str:
        below = imag(value.imag).lstrip() + "j"
        return real(value.real) + (below if below[0] in "+-" else "+" + below)

    return real_width + imag_width + 1, show


# ------------------------------------------------------------------------------------------------ rows of numbers


def edges(array: Array) -> Array:
    """The visible part of an array too large to be shown completely."""
    edge = options.edgeitems
    for dim, n in enumerate(array.shape):
        if n > 2 * edge:
            array = np.take(array, [*range(edge), *range(n - edge, n)], dim)
    return array


def _rows(part: Array, indent: int, show: Any, width: int, cut: bool) -> str:
    edge = options.edgeitems
    if not part.ndim:
        return show(part.item())
    shorten = cut and len(part) > 2 * edge
    ends = [*range(edge), *range(len(part) - edge, len(part))] if shorten else range(len(part))
    if part.ndim > 1:
        texts = [_rows(part[i], indent + 1, show, width, cut) for i in ends]
        if shorten:
            texts.insert(edge, "...")
        return "[" + ("," + "\n" * (part.ndim - 1) + " " * (indent + 1)).join(texts) + "]"
    texts = [show(part[i].item()) for i in ends]
    if shorten:
        texts.insert(edge, " ..." if edge else "...")
    per_line = max(1, (options.linewidth - indent) // (width + 2))
    lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def body(array: Array, indent: int) -> str:
    """The numbers in brackets; lines after the first are indented."""
    if not array.size:
        return "[]"
    cut = array.size > options.threshold
    shown = edges(array) if cut else array
    width, show = (complex_formatter if array.dtype.kind == "c" else formatter)(shown)
    return _rows(array, indent, show, width, cut)


# ------------------------------------------------------------------------------------------------ a tensor


def suffixes(self: Tensor) -> Iterator[str]:
    """The suffix after the numbers: size and type if they are not obvious, and the history."""
    array, default = self._array, _dtypes.get_default_dtype()
    if is_meta_array(array):
        yield "device='meta'"
        yield f"size={tuple(array.shape)}"
        if self.dtype is not default:
            yield f"dtype={self.dtype}"
    elif not array.size:
        if array.ndim != 1:
            yield f"size={tuple(array.shape)}"
        if self.dtype is not default:
            yield f"dtype={self.dtype}"
    else:
        if not options.edgeitems:
            yield f"size={tuple(array.shape)}"
        if self.dtype not in (default, default.to_complex(), _dtypes.int64, _dtypes.bool):
            yield f"dtype={self.dtype}"
    try:
        node = self.grad_fn
        if node is not None:
            yield f"grad_fn=<{node.name().rpartition('::')[2]}>"
        elif self.requires_grad:
            yield "requires_grad=True"
    except RuntimeError:  # a view that must not be read because its base was modified
        yield "grad_fn=<Invalid>"
    if self._tangent is not None and mode.forward:
        yield f"tangent={self._tangent}"


def _of_level(tensor: Tensor) -> str:
    """A tensor within a function transform: its underlying tensor and its level."""
    head = f"lvl={tensor._level.at + 1}"
    name, head = (
        ("BatchedTensor", head + ", bdim=0")
        if is_abstract(tensor) and tensor._batch_dim is not None
        else ("GradTrackingTensor", head)
    )
    return f"{name}({head}, value=\n{textwrap.indent(repr(tensor._value), '    ')}\n)"


def _repr(self: Tensor, *, tensor_contents: str | None = None) -> str:
    """The numbers, rounded for display, with type and history if they are not the defaults."""
    if self._level is not None and tensor_contents is None:
        return _of_level(self)
    kind = type(self).__name__
    prefix = "tensor(" if kind in ("Tensor", "Parameter") else kind + "("
    if is_meta_array(self._array) and tensor_contents is None:
        tensor_contents = "..."
    text = prefix + (mode.run(body, self._array, len(prefix)) if tensor_contents is None else tensor_contents)
    used = len(text) - text.rfind("\n") + 1
    for suffix in suffixes(self):
        if used + len(suffix) + 2 > options.linewidth:
            text += ",\n" + " " * len(prefix) + suffix
            used = len(prefix) + len(suffix)
        else:
            text += ", " + suffix
            used += len(suffix) + 2
    return text + ")"


def _format(self: Tensor, spec: str) -> str:
    """A 0-d tensor is formatted as its number."""
    if not self._array.ndim and type(self) is Tensor and not is_meta_array(self._array):
        return format(self._array.item(), spec)
    return object.__format__(self, spec)


for _name, _function in {"__repr__": _repr, "__format__": _format}.items():
    setattr(Tensor, _name, _function)


# ------------------------------------------------------------------------------------------------ names of torch's file

PRINT_OPTS = options


def _tensor_str(self: Tensor, indent: int) -> str:
    return body(self._array, indent)


def _str(self: Tensor, *, tensor_contents: str | None = None) -> str:
    return _repr(self, tensor_contents=tensor_contents)
