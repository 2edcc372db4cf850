"""The exports of a package: a class is listed by the file that defines it, a name for ``from package import *`` by its import."""

from __future__ import annotations

import sys
import types

OWN = ("list_names", "list_classes")


def list_names(where: dict[str, object], *modules: str) -> None:
    """Set ``__all__`` among the ``globals()`` of a package: its public names, except modules that are not named.

    >>> package = {"A": 1, "_b": 2, "types": types, "math": types}
    >>> list_names(package, "math")
    >>> package["__all__"]
    ['A', 'math']
    """
    names = [n for n, v in where.items() if n[0] != "_" and n not in OWN and not isinstance(v, types.ModuleType)]
    where["__all__"] = sorted([*names, *modules])


def list_classes(where: dict[str, object], base: type = object, apart: str = "") -> None:
    """Put the classes of the imported files of a package among its ``globals()``, except those of the files `apart`, which are
    for use inside: the names in the ``__all__`` of a file, or else all public classes that it defines, derived from `base`.

    >>> file = types.ModuleType("mini_dl.package.file")
    >>> file.Class = type("Class", (), {"__module__": "mini_dl.package.file"})
    >>> package = {"__name__": "mini_dl.package", "file": file}
    >>> list_classes(package)
    >>> package["Class"] is file.Class
    True
    """
    skipped = apart.split()
    for name, file in list(where.items()):
        if isinstance(file, types.ModuleType) and file.__name__ == f"{where['__name__']}.{name}" and name not in skipped:
            classes = {n: v for n, v in vars(file).items() if n[0] != "_" and isinstance(v, type) and issubclass(v, base)}
            own = [n for n, value in classes.items() if _is_from(file, value)]
            where.update({n: classes[n] for n in getattr(file, "__all__", own) if n in classes})


def _is_from(file: types.ModuleType, value: type) -> bool:
    """Whether a class is defined in `file`: no other file has the name of its module, which may be torch's if mini_dl is imported
    under the name of torch."""
    package, _, inside = value.__module__.partition(".")
    return package in ("mini_dl", "torch") and bool(inside) and sys.modules.get(f"mini_dl.{inside}", file) is file
