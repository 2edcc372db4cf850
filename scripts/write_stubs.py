"""Write the type stubs of everything that decorators publish, which type checkers cannot see: functions, and the methods of
Tensor.

python scripts/write_stubs.py
python scripts/write_stubs.py --check     # exits with 1 if the files are out of date
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import keyword
import re
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _report import brought_up_to_date
from _stub_overloads import overloads

import mini_dl
from mini_dl._signatures import Text, named_results
from mini_dl._surface import NAMESPACES
from mini_dl.standins.tables import places, section


def is_name(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


Parameter = inspect.Parameter
FOLDER = Path(mini_dl.__file__).parent
OVERLOADS = overloads()

HEAD = '''"""Written by scripts/write_stubs.py from the signatures. Do not edit."""

# mypy: disable-error-code="misc,override,overload-overlap,overload-cannot-match,assignment"
'''
SPECIAL = [
    '_Anything = _TypeVar("_Anything")',
    "@_overload",
    "def compile(model: _Anything, **options: _Any) -> _Anything: ...",
    "@_overload",
    "def compile(model: None = None, **options: _Any) -> _Callable[[_Anything], _Anything]: ...",
    "def vmap(func: _Callable[..., _Any], *args: _Any, **kwargs: _Any) -> _Callable[..., _Any]: ...",
]
"""Names from the tables with a known result."""
SPELLED = ast.parse((FOLDER / "_spelled.pyi").read_text(encoding="utf-8"))
KNOWN = {node.asname for node in ast.walk(SPELLED) if isinstance(node, ast.alias)} | {
    node.id for node in ast.walk(SPELLED) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
}
"""The names that stubs import from there, with a leading underscore."""
PARTS = "nn.functional special linalg fft masked random".split()
"""The modules whose names come only from decorators."""


# ------------------------------------------------------------------------------------------------ one function


def spelled(text: str) -> str:
    """The annotations in `text` with the private names of the stubs, which no public name can hide. Any for those without one."""

    def renamed(match: re.Match[str]) -> str:
        name = match[0]
        if name == "None" or name.startswith("return_types."):
            return name if name == "None" else f"_{name}"
        if name in ("ndarray", "numpy.ndarray"):
            return "_ndarray[_Any, _Any]"
        if name == "device":  # the name with an underscore is a module's
            return "_Device"
        return f"_{name}" if name in KNOWN else "_Any"

    return re.sub(r"[A-Za-z_][\w.]*", renamed, text.replace("dtype | None", "DType | None")).replace(
        "_type | _Any", "_type[_Any]"
    )


def argument(text: str) -> str:
    """One argument of a written signature, spelled for a stub."""
    name, colon, rest = text.partition(": ")
    if not colon:
        return text
    annotation, equals, default = rest.partition(" = ")
    if "Literal[" in annotation:
        return f"{name}: _{annotation}{equals}{default}"
    if default == "None" and not re.search(r"None|Any|DType", annotation):
        annotation += " | None"
    return f"{name}: {spelled(annotation)}{equals}{default}"


def separate(text: str) -> list[str]:
    """The arguments in a text, split at commas outside brackets."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "[(") - (letter in "])")
        if letter == "," and not depth:
            parts.append(text[start:at].strip())
            start = at + 1
    return [part for part in [*parts, text[start:].strip()] if part]


def written(text: str, method: bool, takes_out: bool) -> str:
    """An overload, spelled for a stub: as a method, without ``out`` and with ``self`` first."""
    inside, _, returned = text.rpartition(" -> ")
    listed = separate(inside.strip()[1:-1])
    if method and listed and not listed[0].startswith(("self", "cls")):
        first = next((at for at, one in enumerate(listed) if one.startswith("input")), 0)
        listed = ["self", *[one for at, one in enumerate(listed) if at != first]]
    if not takes_out:
        listed = [one for one in listed if not one.startswith("out:")]
    if listed and listed[-1] == "*":
        listed.pop()
    return f"({', '.join(argument(one) for one in listed)}) -> {spelled(returned)}"


def default_text(parameter: Parameter) -> str:
    value = parameter.default
    simple = type(value) in (int, str, bool, type(None)) or (type(value) is float and abs(value) < 1e300 and value == value)
    return repr(value) if simple else "..."


def of_signature(
    signature: inspect.Signature, renamed: dict[str, str] | None = None, replaced: dict[str, Any] | None = None
) -> str:
    """The text of a public signature, with the annotations of some parameters `replaced`."""
    parts: list[str] = []
    star = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            star = True
            parts.append("*")
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        star = star or prefix == "*"
        if parameter.name == "self" and parameter.annotation is parameter.empty:
            parts.append("self")
            continue
        text = "Any" if parameter.annotation is parameter.empty else str(parameter.annotation)
        text = (replaced or {}).get(parameter.name, text)
        if parameter.default is not parameter.empty:
            text += f" = {default_text(parameter)}"
        parts.append(argument(f"{prefix}{parameter.name}: {text}"))
    returned = signature.return_annotation
    known = isinstance(returned, str) or returned is None
    return f"({', '.join(parts)}) -> {spelled(str(returned)) if known else '_Any'}"


def variants(place: str, name: str, function: Any) -> list[str]:
    """The signatures of a function: one, or several overloads."""
    signature = inspect.signature(function)
    method = place == "Tensor"
    takes_out = "out" in signature.parameters
    for known in (f"{place}.{name}", *([name] if place in ("torch", "Tensor") else [])):
        if known in OVERLOADS:
            return [written(text, method, takes_out) for text in OVERLOADS[known]]
    spread = next((p for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL and "int" in str(p.annotation)), None)
    if spread is not None:
        listed = [p.replace(kind=p.POSITIONAL_OR_KEYWORD) if p is spread else p for p in signature.parameters.values()]
        together = signature.replace(parameters=listed)
        whole = "Sequence[Sequence[int]]" if name == "broadcast_shapes" else "Sequence[int]"
        each = "Sequence[int]" if name == "broadcast_shapes" else "int"
        first = [] if name == "broadcast_shapes" else [of_signature(together, replaced={spread.name: whole})]
        return [*first, of_signature(signature, replaced={spread.name: each})]
    several = next((p for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL and p.name == "tensors"), None)
    if several is not None:
        return [of_signature(signature)]
    if "return_indices" in signature.parameters:
        return with_indices(signature)
    if name.endswith("_with_indices"):
        signature = signature.replace(return_annotation=Text("tuple[Tensor, Tensor]"))
    return [of_signature(signature)]


def with_indices(signature: inspect.Signature) -> list[str]:
    """The overloads of a pooling function that returns indices on request."""
    alone = of_signature(signature.replace(return_annotation=Text("Tensor")), replaced={"return_indices": "Literal[False]"})
    listed = list(signature.parameters.values())
    at = [p.name for p in listed].index("return_indices")
    asked = listed[at].replace(kind=Parameter.KEYWORD_ONLY, default=Parameter.empty)
    after = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in listed[at + 1 :]]
    both = signature.replace(parameters=[*listed[:at], asked, *after], return_annotation=Text("tuple[Tensor, Tensor]"))
    either = signature.replace(return_annotation=Text("Any"))
    return [alone, of_signature(both, replaced={"return_indices": "Literal[True]"}), of_signature(either)]


def definitions(place: str, name: str, function: Any, indent: str = "") -> list[str]:
    """``def name(...) -> ...: ...``, with its overloads."""
    try:
        found = variants(place, name, function)
    except (TypeError, ValueError):
        found = ["(*args: _Any, **kwargs: _Any) -> _Any"]
    overload = [f"{indent}@_overload"] if len(found) > 1 else []
    return [line for text in found for line in (*overload, f"{indent}def {name}{text}: ...")]


def written_out(lines: list[str]) -> str:
    """The text of a stub, with the import of the private names used in its `lines`."""
    used = sorted(KNOWN & {name for line in lines for name in re.findall(r"\b_(\w+)", line)})
    lines_of_names = textwrap.wrap(", ".join(f"{name}\xa0as\xa0_{name}" for name in used), 126)  # at no space but those
    names = "".join(f"    {line}\n" for line in lines_of_names).replace("\xa0", " ")
    return f"{HEAD}\nfrom mini_dl._spelled import (\n{names})\n" + "\n".join([*lines, ""])


# ------------------------------------------------------------------------------------------------ the files


def imported(source: str) -> list[str]:
    """The public imports of a module, as re-exported by a stub."""
    lines: list[str] = []
    for statement in ast.walk(ast.parse(source)):
        for found in statement.names if isinstance(statement, ast.ImportFrom) else ():
            name = found.asname or found.name
            if not name.startswith("_"):
                lines.append(f"from {statement.module} import {found.name} as {name}")
    return lines


def package_stub() -> str:
    """``mini_dl/__init__.pyi``: what ``__init__.py`` imports, the modules imported on first use, the published
    functions, and the names in the tables of stand-ins."""
    lines = imported((FOLDER / "__init__.py").read_text(encoding="utf-8"))
    modules = {path.stem for path in FOLDER.glob("[a-z]*") if path.suffix == ".py" or (path / "__init__.py").exists()}
    later = [f"from mini_dl import {name} as {name}" for name in sorted(modules - NAMESPACES["torch"].keys())]
    lines += [line for line in later if line not in lines]
    lines.remove("from mini_dl import ops as ops")
    lines += [
        "from mini_dl._device import layout as layout, memory_format as memory_format",
        "from mini_dl.kernels.mersenne import Generator as Generator",
        "from mini_dl.ops.attributes import UntypedStorage as UntypedStorage",
        "from mini_dl.ops.storages import TypedStorage as TypedStorage",
    ]
    taken = {name for line in lines for name in re.findall(r" as (\w+)", line)}
    body = [
        "",
        "__version__: _str",
        "__all__: _list[_str]",
        "newaxis: None",
        "ops: _Any  # also the operators that programs define",
        "",
    ]
    body += functions("torch", taken)
    named = {match.group(1) for line in body if (match := re.match(r"(?:def )?(\w+)\b", line))} | taken
    asked = {*section("torch").rows, *[place for place in places() if "." not in place]}
    body += SPECIAL
    missing = sorted(asked - named - {"compile", "vmap"})
    body += [f"{name}: _Any" for name in missing if is_name(name) and not name.startswith("__") and name != "torch"]
    return written_out([*lines, *body])


def functions(place: str, taken: set[str]) -> Iterator[str]:
    """The published functions and values of a place."""
    for name, value in sorted(NAMESPACES[place].items()):
        if not is_name(name) or name in taken:
            continue
        if inspect.isroutine(value):
            home = mini_dl if place == "torch" else importlib.import_module(f"mini_dl.{place}")
            lines = definitions(place, name, getattr(home, name))
            shared = place != "torch" and name in NAMESPACES["torch"]  # under another name an import would not be exported
            if shared and lines == definitions("torch", name, getattr(mini_dl, name)):
                yield f"from mini_dl import {name} as {name}"
            else:
                yield from lines
        else:
            kind = type(value).__name__
            yield f"{name}: {f'_{kind}' if kind in ('layout', 'memory_format', 'Generator') else '_Any'}"


def part_stub(place: str) -> str:
    """The stub of a module whose names come only from decorators."""
    source = (FOLDER / (place.replace(".", "/") + ".py")).read_text(encoding="utf-8")
    lines = [
        line for line in imported(source) if not re.search(r"_arguments|_surface|import ops\b|TYPE_CHECKING|annotations", line)
    ]
    lines = [line for line in lines if line.rpartition(" ")[2] not in NAMESPACES[place]]
    defined = list(functions(place, set()))
    lines += [line for line in defined if line.startswith("from ")]
    body = ["", "__all__: _list[_str]", *[line for line in defined if not line.startswith("from ")]]
    table = section(place)
    rows = [name for name in (table.rows if table else ()) if name not in NAMESPACES[place] and is_name(name)]
    return written_out([*lines, *body, *[f"{name}: _Any" for name in rows]])


def methods_stub() -> str:
    """``mini_dl/_methods.pyi``: what is attached to Tensor."""
    lines = ["", "class Methods:"]
    tree = ast.parse((FOLDER / "tensor.py").read_text("utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Tensor")
    own = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    for name, value in sorted(vars(mini_dl.Tensor).items()):
        if name in ("__dict__", "__weakref__", "__module__", "__annotations__", "__doc__", "__hash__", "__init_subclass__"):
            continue
        if isinstance(value, types.FunctionType) and (name not in own or (name.startswith("__") and name != "__len__")):
            lines += definitions("Tensor", name, value, "    ")
        elif isinstance(value, property) and name not in own:
            lines += property_lines(name, value)
        elif isinstance(value, bool) and name.startswith("is_"):
            lines += ["    @property", f"    def {name}(self) -> _bool: ..."]
    lines += ["    layout: _layout", "    @classmethod", "    def __torch_function__(", "        cls,"]
    lines += ["        func: _Any, types: _Any, args: _tuple[_Any, ...] = (), kwargs: _Any = None", "    ) -> _Any: ..."]
    lines += ["    @staticmethod", "    def _make_subclass(cls: _Any, data: _Tensor, require_grad: _bool = False) -> _Any: ..."]
    return written_out(lines)


def property_lines(name: str, value: property) -> list[str]:
    returned = str(getattr(value.fget, "__annotations__", {}).get("return", "Any"))
    kind = spelled(returned.replace("Array", "Tensor"))
    kind = {"_Any": "_Tensor" if name in ("T", "mT", "H", "mH", "real", "imag", "data") else "_Any"}.get(kind, kind)
    lines = ["    @property", f"    def {name}(self) -> {kind}: ..."]
    if value.fset is not None:
        lines += [f"    @{name}.setter", f"    def {name}(self, value: {kind}) -> None: ..."]
    return lines


def listing_stub(place: str) -> str:
    """The stub of a package that lists the classes of its files."""
    package = importlib.import_module(f"mini_dl.{place}")
    files: dict[str, list[str]] = {}
    for name in package.__all__:
        value = getattr(package, name)
        files.setdefault(package.__name__ if inspect.ismodule(value) else value.__module__, []).append(f"{name} as {name}")
    lines = [HEAD]
    for file in sorted(files):
        names = textwrap.wrap(", ".join(one.replace(" ", "\xa0") for one in files[file]), 126)
        lines += [f"from {file} import (", *[f"    {line}".replace("\xa0", " ") for line in names], ")"]
    return "\n".join(lines) + "\n"


def results_stub() -> str:
    """``mini_dl/return_types.pyi``: the named results."""
    lines = [HEAD, "from typing import NamedTuple as _NamedTuple", ""]
    lines += ["from mini_dl.tensor import Tensor as _Tensor", "", "__all__: list[str]", ""]
    for name, kind in sorted(named_results.items()):
        lines += [f"class {name}(_NamedTuple):"]
        lines += [
            f"    {field}: {'tuple[_Tensor, ...]' if field == 'bin_edges' and name == 'histogramdd' else '_Tensor'}"
            for field in kind._fields
        ]
    return "\n".join(lines) + "\n"


def stubs() -> dict[Path, str]:
    """The text of every stub by its file."""
    found = {FOLDER / "__init__.pyi": package_stub(), FOLDER / "_methods.pyi": methods_stub()}
    found[FOLDER / "return_types.pyi"] = results_stub()
    found |= {FOLDER / place.replace(".", "/") / "__init__.pyi": listing_stub(place) for place in ("nn.modules", "optim")}
    return found | {FOLDER / (place.replace(".", "/") + ".pyi"): part_stub(place) for place in PARTS}


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(description="Write the type stubs of the package.")
    made.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of date")
    options = made.parse_args(arguments)
    ends = [brought_up_to_date(path, text, options.check, "python scripts/write_stubs.py") for path, text in stubs().items()]
    return max(ends)


if __name__ == "__main__":
    sys.exit(main())
