"""The exports of a package: a class is listed by the file that defines it, a name for ``from package import *`` by its import."""

from __future__ import annotations

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


def list_classes(where: dict[str, object], apart: str = "") -> None:
    """Put the classes of the imported files of a package among its ``globals()``, except those of the files `apart`, which are
    for use inside: the names in the ``__all__`` of a file, or else all public classes that it defines.

    >>> file = types.ModuleType("package.file")
    >>> file.Class = type("Class", (), {"__module__": "package.file"})
    >>> package = {"__name__": "package", "file": file}
    >>> list_classes(package)
    >>> package["Class"] is file.Class
    True
    """
    skipped = apart.split()
    for name, file in list(where.items()):
        if isinstance(file, types.ModuleType) and file.__name__ == f"{where['__name__']}.{name}" and name not in skipped:
            own = [n for n, v in vars(file).items() if n[0] != "_" and getattr(v, "__module__", "") == file.__name__]
            own = [n for n in own if isinstance(vars(file)[n], type)]
            where.update({n: vars(file)[n] for n in getattr(file, "__all__", own)})
