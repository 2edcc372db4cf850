"""Under the name torch, too, every module has the names that only the tables know."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "mini_dl", "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_modules_that_are_loaded_under_the_proxy_ask_the_tables() -> None:
    modules = "hub profiler library futures testing serialization utils.checkpoint utils.benchmark nn.init distributions.utils"
    code = f"""
import importlib
print([name for name in {modules.split()} if not hasattr(importlib.import_module("torch." + name), "__getattr__")])
"""
    assert run(code) == "[]\n"


def test_a_name_that_is_not_here_can_be_imported_from_a_file_under_the_proxy() -> None:
    code = """
from torch.utils.checkpoint import GraphExecGroup
from torch.hub import DEFAULT_CACHE_DIR
try:
    GraphExecGroup()
except NotImplementedError as error:
    print(error)
print(DEFAULT_CACHE_DIR)
"""
    why = "(it needs torch's dispatcher; see docs/coverage.md)"
    assert run(code) == f"mini_dl has no torch.utils.checkpoint.GraphExecGroup {why}\n~/.cache\n"
