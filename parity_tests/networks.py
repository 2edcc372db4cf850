"""mini_dl's networks under another library: the same code, with torch in place of mini_dl."""

from __future__ import annotations

import builtins
import functools
import importlib
import importlib.util
from types import ModuleType
from typing import Any

MODELS = "mini_dl.models"


@functools.cache
def models_of(torch: ModuleType) -> ModuleType:
    """`mini_dl.models` as a program over `torch`: its files run again, with `torch` in place of every import of mini_dl.

    The files import only the package, ``mini_dl.nn`` and each other, so they are a program for both libraries.
    """
    if torch.__name__ == "mini_dl":
        return importlib.import_module(MODELS)
    run: dict[str, ModuleType] = {}

    def module(name: str) -> ModuleType:
        if not name.startswith(MODELS):
            return importlib.import_module(name.replace("mini_dl", torch.__name__, 1))
        if name not in run:
            spec = importlib.util.find_spec(name)
            assert spec is not None and spec.origin is not None
            made = run[name] = ModuleType(name)
            made.__dict__["__builtins__"] = {**vars(builtins), "__import__": answered}
            with open(spec.origin, encoding="utf-8") as file:
                exec(compile(file.read(), spec.origin, "exec"), made.__dict__)
        return run[name]

    def answered(name: str, *rest: Any) -> ModuleType:
        return module(name) if name.partition(".")[0] == "mini_dl" else builtins.__import__(name, *rest)

    return module(MODELS)
