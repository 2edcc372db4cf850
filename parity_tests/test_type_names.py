"""The names of types in messages: torch's own spellings, which differ between its kernels."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

import mini_dl

NAMES = "uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 float64 complex64 complex128 bool".split()


def stale(lib: Any, other: Any) -> None:
    x = lib.ones(3, requires_grad=True)
    y = x * other
    other.copy_(lib.zeros(3))
    y.sum().abs().backward()


CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "lerp": lambda lib, kind: lib.ones(3).lerp(lib.ones(3, dtype=kind), 0.5),
    "max into out": lambda lib, kind: lib.max(lib.ones(3), 0, out=(lib.ones(3, dtype=kind), lib.ones(3, dtype=lib.int64))),
    "gather into out": lambda lib, kind: lib.gather(lib.ones(3), 0, lib.zeros(3, dtype=lib.int64), out=lib.ones(3, dtype=kind)),
    "mm": lambda lib, kind: lib.mm(lib.ones(3, 3), lib.ones(3, 3, dtype=kind)),
    "conv1d": lambda lib, kind: lib.nn.functional.conv1d(lib.ones(1, 1, 3), lib.ones(1, 1, 3), lib.ones(1, dtype=kind)),
    "attention": lambda lib, kind: lib.nn.functional.scaled_dot_product_attention(
        lib.ones(2, 3, 4), lib.ones(2, 3, 4, dtype=kind), lib.ones(2, 3, 4)
    ),
}


def message(lib: Any, call: Callable[[Any, Any], Any], name: str) -> str:
    with pytest.raises(RuntimeError) as caught:
        call(lib, getattr(lib, name))
    return str(caught.value).splitlines()[0]


@pytest.mark.parametrize("called", CALLS)
def test_messages_spell_types_as_the_compiler_does(called: str) -> None:
    for name in NAMES:
        assert message(mini_dl, CALLS[called], name) == message(torch, CALLS[called], name)


def test_messages_about_numbers_spell_types_as_the_source_does() -> None:
    def fill(lib: Any, kind: Any) -> None:
        lib.ones(3, dtype=kind).fill_(1e300)

    for name in set(NAMES) - {"bool", "float64", "complex128"}:
        assert message(mini_dl, fill, name).startswith(message(torch, fill, name))


def test_messages_about_stale_tensors_call_them_by_their_old_names() -> None:
    for name in (n for n in NAMES if not re.match("uint(16|32|64)", n)):
        ours, theirs = [
            re.search(r"\[(\S+) \[3\]\]", message(lib, lambda lib, kind: stale(lib, lib.ones(3, dtype=kind)), name))
            for lib in (mini_dl, torch)
        ]
        assert ours is not None and theirs is not None and ours[1] == theirs[1]
