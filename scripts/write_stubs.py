"""Write the type stub of the package, whose functions are published by decorators and so are hidden from type checkers.

python scripts/write_stubs.py
python scripts/write_stubs.py --check     # ends with 1 if the files are not what would be written
"""

from __future__ import annotations

import argparse
import ast
import inspect
import keyword
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _report import brought_up_to_date

import mini_dl
from mini_dl._surface import NAMESPACES
from mini_dl.standins.tables import places, section

FOLDER = Path(mini_dl.__file__).parent
BUILTINS = "int float bool complex str bytes list tuple dict set type object slice callable range".split()
KNOWN = {
    "Any",
    "Callable",
    "Generator",
    "Iterable",
    "Iterator",
    "None",
    "Number",
    "Sequence",
    "Size",
    "Tensor",
    "device",
    "dtype",
}
KNOWN |= {"DeviceLike", "Ints", "Layout", "Literal", "MemoryFormat", "Operand", "TypeLike", "layout", "memory_format"}
HEAD = '''"""Written by scripts/write_stubs.py from the signatures. Do not edit."""

import builtins
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from mini_dl._device import device as device
from mini_dl._dtypes import Ints, Number, TypeLike, dtype as dtype
from mini_dl.kernels.mersenne import Generator as Generator
from mini_dl._device import DeviceLike, Layout, MemoryFormat, layout as layout, memory_format as memory_format
from mini_dl.tensor import Operand, Size as Size, Tensor as Tensor
'''


def annotation(value: Any) -> str:
    """The type for the stub: tensors where the forward body sees arrays, Any for private names."""
    if value is inspect.Parameter.empty:
        return "Any"
    text = value if isinstance(value, str) else getattr(value, "__name__", "Any")
    if "'" in text or '"' in text:
        return "Any"

    def rename(match: re.Match[str]) -> str:
        name = match.group(0)
        if name in ("Array", "ndarray"):
            return "Tensor"
        if name in BUILTINS:
            return f"builtins.{name}"
        return name if name in KNOWN else "Any"

    renamed = re.sub(r"[A-Za-z_][\w.]*", rename, text)
    return "Any" if "Any[" in renamed else renamed


def definition(name: str, function: Callable[..., Any]) -> str:
    """``def name(...) -> ...: ...``"""
    parts: list[str] = []
    star = False
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return f"def {name}(*args: Any, **kwargs: Any) -> Any: ..."
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            star = True
            parts.append("*")
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        star = star or prefix == "*"
        default = "" if parameter.default is parameter.empty else " = ..."
        type_ = annotation(parameter.annotation)
        if parameter.default is None and "None" not in type_ and type_ != "Any":
            type_ += " | None"
        if parameter.name == "out":
            type_ = "Any"
        parts.append(f"{prefix}{parameter.name}: {type_}{default}")
    returned = annotation(signature.return_annotation)
    return f"def {name}({', '.join(parts)}) -> {returned}: ..."


def is_name(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def package_stub() -> str:
    """``mini_dl/__init__.pyi``: what ``__init__.py`` imports, the modules that are imported when first used, the published
    functions, and the names of the tables of stand-ins."""
    source = (FOLDER / "__init__.py").read_text(encoding="utf-8")
    imported: list[str] = []
    for statement in ast.walk(ast.parse(source)):
        for found in statement.names if isinstance(statement, ast.ImportFrom) else ():
            name = found.asname or found.name
            line = f"from {statement.module} import {found.name} as {name}"
            if line not in HEAD and not name.startswith("_"):
                imported.append(line)
    modules = {path.stem for path in FOLDER.glob("[a-z]*") if path.suffix == ".py" or (path / "__init__.py").exists()}
    later = [f"from mini_dl import {name} as {name}" for name in sorted(modules - NAMESPACES["torch"].keys())]
    imported += [line for line in later if line not in imported]
    lines = [HEAD, *imported, "", "__version__: str", "newaxis: None", ""]
    taken = {line.rpartition(" ")[2] for line in [*imported, *re.findall(r"as (\w+)", HEAD)]}
    for name, function in sorted(NAMESPACES["torch"].items()):
        if is_name(name) and name not in taken:
            public = inspect.isroutine(function)
            lines.append(definition(name, function) if public else f"{name}: Any")
    named = {match.group(1) for line in lines if (match := re.match(r"(?:def )?(\w+)\b", line))} | taken
    asked = {*section("torch").rows, *[place for place in places() if "." not in place]}
    lines += [f"{name}: Any" for name in sorted(asked - named) if is_name(name) and not name.startswith("__") and name != "torch"]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(description="Write the type stub of the package.")
    made.add_argument("--check", action="store_true", help="write nothing; end with 1 if a file is out of date")
    options = made.parse_args(arguments)
    path, text = FOLDER / "__init__.pyi", package_stub()
    return brought_up_to_date(path, text, options.check, "python scripts/write_stubs.py")


if __name__ == "__main__":
    sys.exit(main())
