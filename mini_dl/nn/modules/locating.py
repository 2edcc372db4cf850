"""Where in a model a call failed, and what the module there expected: a note on the exception, created only on failure."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from mini_dl.tensor import Tensor

if TYPE_CHECKING:
    from mini_dl.nn.modules.module import Module

KINDS = (RuntimeError, ValueError, IndexError, AssertionError)
"""The exceptions that wrong shapes and types raise."""


def locate(error: Exception, module: Module, args: tuple[Any, ...]) -> None:
    """Note on `error`, raised in the call of `module`, the path to the module that raised it and what it expected.

    Called once by each module as the error propagates, innermost first: each adds its name for the previous one.
    """
    if isinstance(error, KINDS) and not isinstance(error, NotImplementedError):
        with contextlib.suppress(Exception):  # foreign modules and tensors may do anything when accessed
            note_place(error, module, args)


def note_place(error: Exception, module: Module, args: tuple[object, ...]) -> None:
    own = error.__dict__
    if "_raised_in" not in own:
        said = expectation(module, args)
        if said is None:
            return
        own["_raised_in"] = {"module": id(module), "path": "", "shown": shown(module), "said": said, "note": None}
    else:
        where = own["_raised_in"]
        if where["module"] == id(module):
            return
        names = [name for name, child in module.named_modules(remove_duplicate=False) if id(child) == where["module"]]
        if not names:
            return
        where["path"] = f"{names[0]}.{where['path']}" if where["path"] else names[0]
        where["module"] = id(module)
    put_note(error, own["_raised_in"], type(module).__name__)


def put_note(error: Exception, where: dict[str, Any], root: str) -> None:
    """Write the note, replacing one with a shorter path. Without notes (Python 3.10), append it to the message."""
    path = where["path"]
    place = f"{root}.{path}" if path[:1].isdigit() else path
    note = f"in {place} ({where['shown']}): {where['said']}" if path else f"in {where['shown']}: {where['said']}"
    before, where["note"] = where["note"], note
    if sys.version_info >= (3, 11):
        notes = getattr(error, "__notes__", None)
        if before is not None and notes and before in notes:
            notes[notes.index(before)] = note
        else:
            error.add_note(note)
    elif error.args and isinstance(error.args[0], str):
        text = error.args[0].removesuffix(f"\n{before}") if before is not None else error.args[0]
        error.args = (f"{text}\n{note}", *error.args[1:])


def shown(module: Module) -> str:
    """A module without its children: its class, and its settings if it has no children."""
    return type(module).__name__ if module._modules else repr(module)


def expectation(module: Module, args: tuple[Any, ...]) -> str | None:
    """What `module` expected of its input and what it got; None if they match."""
    tensors = [value for value in args if isinstance(value, Tensor)]
    if not tensors:
        return None
    wanted = expected(module, tensors[0])
    if wanted is not None:
        return wanted
    weight = module._parameters.get("weight")
    if weight is not None and tensors[0].is_floating_point() and weight.dtype != tensors[0].dtype:
        return f"expected {weight.dtype} as its weight, got {tensors[0].dtype}"
    called = ", ".join([f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}" for value in tensors])
    return f"called with {called}"


FEATURES = {
    "in_features": "features",
    "in_channels": "channels",
    "num_features": "channels",
    "num_channels": "channels",
    "input_size": "features",
    "embed_dim": "features",
    "normalized_shape": "trailing sizes",
}
"""The attribute that holds the expected input size, and what it counts."""


def expected(module: Module, input: Tensor) -> str | None:
    """ "expected 5 features, got 3", or the range that an index is outside of; None where `input` has the size that `module`
    expects.
    """
    rows = getattr(module, "num_embeddings", None)
    if isinstance(rows, int) and not input.is_floating_point() and input.numel():
        least, most = int(input.min()), int(input.max())
        if least < 0 or most >= rows:
            return f"expected indices from 0 to {rows - 1}, got {least if least < 0 else most}"
    for attribute, counted in FEATURES.items():
        size = getattr(module, attribute, None)
        if isinstance(size, int):
            return counts(module, attribute, size, counted, tuple(input.shape))
        if isinstance(size, tuple) and tuple(input.shape[-len(size) :]) != size:
            return f"expected {counted} {size}, got {tuple(input.shape[-len(size) :])}"
    return None


def counts(module: Module, attribute: str, size: int, counted: str, shape: tuple[int, ...]) -> str | None:
    """The message for an input whose `shape` does not have `size` features or channels."""
    spatial = getattr(module, "_space_dims", None)
    if counted == "features":
        at = -1
    elif attribute == "in_channels" and isinstance(spatial, int):
        at = -spatial - 1
        if len(shape) not in (spatial + 1, spatial + 2):
            return f"expected {spatial + 1} or {spatial + 2} dimensions with {size} channels, got {len(shape)}: {shape}"
    else:
        at = 1
    got = shape[at] if -len(shape) <= at < len(shape) else None
    if got == size:
        return None
    return f"expected {size} {counted}, got {'a tensor of shape ' + str(shape) if got is None else got}"
