"""The exports of a package for ``from package import *``: its names are listed once, in its imports."""

from __future__ import annotations

import types


def list_names(where: dict[str, object], *modules: str) -> None:
    """Set ``__all__`` among the ``globals()`` of a package: its public names, except modules that are not named.

    >>> package = {"A": 1, "_b": 2, "types": types, "math": types}
    >>> list_names(package, "math")
    >>> package["__all__"]
    ['A', 'math']
    """
    names = [n for n, v in where.items() if n[0] != "_" and n != "list_names" and not isinstance(v, types.ModuleType)]
    where["__all__"] = sorted([*names, *modules])
