"""Every public name of torch is handled, even if nothing is computed here: by data (`tables/*.txt`).

A name that a module does not define itself is looked up in the tables on first access (`lookup`), and a module that
only the tables know is created on first import (`Finder`). The format of rows is in `tables`, their meaning in
`kinds`.
"""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
import sys
import types
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from mini_dl._guidance import missing
from mini_dl.standins.kinds import NotHere as NotHere, made
from mini_dl.standins.tables import HERE, NOT_HERE, PASSES, Row, borrowed as borrowed, section

__all__ = ["NotHere", "attach", "kind_of"]

ROOT = __name__.partition(".")[0]

_made: dict[str, Any] = {}
"""The objects created from rows so far, by dotted name."""
_made_ids: set[int] = set()
"""A module may have the stand-ins of another one, depending on which was imported first."""


def place_of(module: str) -> str:
    """The name of a module as the tables spell it: "torch" for the package itself, "cuda.amp" for ``mini_dl.cuda.amp``."""
    return module.partition(".")[2] or "torch"


def find(module: str, name: str) -> Any:
    """The stand-in for `name` in the module of this name. AttributeError if the tables do not have it either."""
    place = place_of(module)
    if place == "torch" and name == "__all__":
        return sorted(public_names()["*"])
    if place == name == "torch":  # torch has itself as an attribute; as a section it would be a separate module
        return sys.modules[ROOT]
    found = section(place)
    row = found.rows.get(name) if found is not None else None
    below = name if place == "torch" else f"{place}.{name}"
    if row is not None and (row.kind != "?" or section(below) is None):
        return _made_of(row, place)
    if section(below) is not None or (not name.startswith("__") and is_file(module, name)):
        return importlib.import_module(f"{module}.{name}")
    row = None if name.startswith("_") else borrowed().get(place, {}).get(name)
    if row is not None:
        return _made_of(row, place)
    raise missing(f"module {module!r} has no attribute {name!r}", name, functools.partial(names_of, module))


def _made_of(row: Row, place: str) -> Any:
    """The object of a row; the same one on every access."""
    key = f"{place}.{row.name}"
    if key not in _made:
        _made[key] = made(row, place, ROOT)
        _made_ids.add(id(_made[key]))
    return _made[key]


def names_of(module: str) -> set[str]:
    """The names that a module has itself or in the tables."""
    found = section(place_of(module))
    return {*vars(sys.modules.get(module, types)), *(() if found is None else found.rows)}


def operators_over(package: types.ModuleType) -> types.ModuleType:
    """``torch.ops``: the namespaces of operators that programs define, over our own package of that name, which imports
    still find. A namespace takes precedence over a file."""
    shown = types.ModuleType("torch.ops", "Operators that programs define: ``torch.ops.namespace.name``.")

    def __getattr__(name: str) -> Any:
        defining = sys.modules.get(f"{ROOT}._operators")
        if name in vars(package) and (defining is None or name not in defining.NAMESPACES):
            return vars(package)[name]
        found = section("ops")
        if name.startswith("__") or (found is not None and name in found.rows):
            return find(f"{ROOT}.ops", name)
        return importlib.import_module(f"{ROOT}._operators").namespace(name)

    vars(shown).update(__getattr__=__getattr__, __path__=package.__path__)
    return shown


def is_file(package: str, name: str) -> bool:
    """Whether a package has a file of this name that has not been imported yet."""
    path = getattr(sys.modules.get(package), "__path__", None)
    return path is not None and PathFinder.find_spec(f"{package}.{name}", path) is not None


def lookup(module: str) -> Callable[[str], Any]:
    """The function ``__getattr__`` of a module: looks up the tables, and caches the result in the module."""

    def __getattr__(name: str) -> Any:
        value = find(module, name)
        if name != "__all__":  # which grows
            setattr(sys.modules[module], name, value)
        return value

    return __getattr__


def attach() -> None:
    """Make every module of the package look up missing names in the tables: those already imported, and later ones."""
    for name, module in list(sys.modules.items()):
        if name == ROOT or name.startswith(ROOT + "."):
            attach_to(module)
    setattr(sys.modules[ROOT], "ops", operators_over(sys.modules[f"{ROOT}.ops"]))  # noqa: B010
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)


def attach_to(module: types.ModuleType) -> None:
    """Make one module look up the tables. The package itself always does; others may have their own ``__getattr__``."""
    if "__getattr__" not in vars(module) or module.__name__ == ROOT:
        vars(module)["__getattr__"] = lookup(module.__name__)
    vars(module).setdefault("__path__", [])  # the tables may have modules below a plain file
    vars(module).setdefault("__dir__", functools.partial(shown_names, module))


# ------------------------------------------------------------------------------------------------ dir()


PUBLIC = os.path.join(os.path.dirname(__file__), "public.txt")
"""Written by ``scripts/write_public_names.py``."""

OURS = {
    "torch": "compat datasets models textbook",
    "nn.init": "lsuv_ random_walk_",
    "optim.lr_scheduler": "LambdaOption",
    "serialization": "load_npz load_safetensors save_npz save_safetensors",
    "utils": "viz",
}
"""Names that are only ours, documented in ``docs``."""

OWN_PACKAGES = ("compat", "datasets", "models", "textbook", "utils.viz")


@functools.cache
def public_names() -> dict[str, frozenset[str]]:
    """The names of torch by module, "*" those of its ``__all__``."""
    with open(PUBLIC, encoding="utf-8") as file:
        rows = [line.partition(":") for line in file.read().splitlines() if not line.startswith("#")]
    return {place: frozenset([*names.split(), *OURS.get(place, "").split()]) for place, _, names in rows}


def shown_names(module: types.ModuleType) -> list[str]:
    """What `dir` shows of a module: the names of torch and those that are documented as ours, or, for a module that torch does
    not have, what it defines; not what its file imports."""
    place, names = place_of(module.__name__), vars(module)
    known = public_names().get(place)
    found = section(place)
    rows = set(found.rows) if found is not None else set()
    if known is None or place.startswith(OWN_PACKAGES):
        known = frozenset(names.get("__all__") or [name for name, value in names.items() if is_defined_in(module, value)])
    return sorted([name for name in {*names, *rows, *known} if name in known or name in rows or name[:2] == "__"])


def is_defined_in(module: types.ModuleType, value: object) -> bool:
    home = value.__name__.rpartition(".")[0] if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return home == module.__name__


def modules_with_files() -> list[str]:
    """The places of all public modules that are files of this package, "torch" for the package itself."""
    root = sys.modules[ROOT]
    found = [one.name.partition(".")[2] for one in pkgutil.walk_packages(root.__path__, f"{ROOT}.")]
    return ["torch", *sorted(place for place in found if not any(part.startswith("_") for part in place.split(".")))]


def kind_of(place: str, name: str) -> str:
    """ "here", "passes through", or "not here": the status of a name of torch. AttributeError if it has none."""
    module = importlib.import_module(ROOT if place == "torch" else f"{ROOT}.{place}")
    value = getattr(module, name)
    found = section(place)
    if found is not None and name in found.rows and id(value) in _made_ids:
        return found.rows[name].answer
    below = section(name if place == "torch" else f"{place}.{name}")
    if isinstance(value, types.ModuleType) and below is not None and getattr(value.__spec__, "loader", None) is Finder:
        answers = {row.answer for row in below.rows.values()}
        return PASSES if answers - {NOT_HERE} else NOT_HERE
    return HERE


class Finder:
    """Creates the modules that only the tables know, and makes those that are files look up the tables."""

    @staticmethod
    def find_spec(fullname: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """The spec of a module of this package: for its file, else for its section in the tables; or None."""
        if not fullname.startswith(ROOT + "."):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            if spec.loader is not None:
                spec.loader.exec_module = functools.partial(execute, spec.loader.exec_module)  # type: ignore[method-assign]
            return spec
        if section(place_of(fullname)) is None:
            return None
        return ModuleSpec(fullname, Finder, is_package=True)  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> types.ModuleType:
        """A module that looks up its names on access."""
        module = types.ModuleType(spec.name, f"Names of ``torch.{place_of(spec.name)}``: see docs/coverage.md.")
        found = section(place_of(spec.name))
        assert found is not None
        module.__getattr__ = lookup(spec.name)  # type: ignore[method-assign]
        vars(module)["__all__"] = [name for name in found.rows if not name.startswith("_")]
        vars(module)["__dir__"] = lambda: sorted({*vars(module), *found.rows})
        return module

    @staticmethod
    def exec_module(module: types.ModuleType) -> None:
        """Nothing to do."""


def execute(exec_module: Callable[[types.ModuleType], None], module: types.ModuleType) -> None:
    """Execute a module's file, and make it look up the tables."""
    exec_module(module)
    attach_to(module)
