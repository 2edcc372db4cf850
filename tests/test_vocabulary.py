"""Consistent vocabulary: constructs that the source expresses in only one way, and where it may do so."""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import mini_dl
from mini_dl.kernels.blocks import LINE, SMALLEST_SCRATCH, Scratch
from mini_dl.kernels.context import run_nested

ROOT = Path(mini_dl.__file__).parent


def sources() -> Iterator[tuple[str, str]]:
    """(path below the package, text) of every file."""
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_no_function_is_looked_up_by_its_public_name_where_an_import_can_stand():
    found = []
    for path, text in sources():
        for node in ast.walk(ast.parse(text)):
            called = node.value if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) else None
            named = isinstance(called, ast.Call) and getattr(called.func, "id", "") == "namespace"
            if named and isinstance(node.slice, (ast.Constant, ast.JoinedStr)):
                found.append(f"{path}:{node.lineno}")
    assert not found


def test_the_refusal_of_what_is_not_a_tensor_is_written_once():
    """Except in the parser, which is a lower layer, and ``f_like``, whose message names a list without its elements."""
    written = {path for path, text in sources() if re.search(r"\(\): argument .*\) must be Tensor, not \{", text)}
    assert written == {"_arguments.py", "autograd/recording.py", "ops/creation.py"}


def test_no_type_is_known_by_a_letter_that_names_another_on_windows():
    """There ``l`` is int32, like ``i``, and elsewhere int64, like ``q``: only the three together mean the same everywhere."""
    found = []
    for path, text in sources():
        for node in ast.walk(ast.parse(text)):
            if not (isinstance(node, ast.Compare) and any([getattr(part, "attr", "") == "char" for part in ast.walk(node.left)])):
                continue
            letters = [set(c.value) for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str)]
            if any([some & set(kind[1:]) and not some >= set(kind) for some in letters for kind in ("ilq", "ILQ")]):
                found.append(f"{path}:{node.lineno}")
    assert not found


def test_writes_are_counted_by_one_function():
    """Except in the engine, which accumulates gradients whose counters it knows."""
    counting = {path for path, text in sources() if re.search(r"(version_of\(\w+\)|_counter)\[0\] \+= 1", text)}
    assert counting == {"tensor.py", "autograd/engine.py"}


def test_memory_to_work_in_belongs_to_an_object_and_not_to_a_name():
    """Two kernels that chose the same name would overwrite each other's numbers."""
    first, second, many = Scratch(), Scratch(), (SMALLEST_SCRATCH, 2)
    a, b = first.of(many, np.dtype(np.float32)), second.of(many, np.dtype(np.float32))
    assert not np.shares_memory(a, b) and a.ctypes.data % LINE == 0
    assert np.shares_memory(a, first.of((SMALLEST_SCRATCH // 4,), np.dtype(np.float64)))
    seen: list[np.ndarray] = []
    run_nested(lambda: seen.append(first.of(many, np.dtype(np.float32))))
    thread = threading.Thread(target=lambda: seen.append(first.of(many, np.dtype(np.float32))))
    thread.start()
    thread.join()
    assert not any([np.shares_memory(a, other) for other in seen]) and len(seen) == 2
