"""Nested dicts and lists as one dict with names such as ``model.layer.weight``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mini_dl.tensor import Tensor

Path = tuple[Any, ...]


def flattened(state_dict: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Path]]:
    """The values in a nested dict by name, and the path to each. ValueError for a duplicate name."""
    values: dict[str, Any] = {}
    paths: dict[str, Path] = {}

    def visit(path: Path, value: object) -> None:
        if isinstance(value, Mapping):
            for key, one in value.items():
                visit((*path, str(key)), one)
        elif isinstance(value, list) and _holds_tensors_or_dicts(value):
            for number, one in enumerate(value):
                visit((*path, number), one)
        else:
            name = ".".join(map(str, path))
            if name in values:
                raise ValueError(f"duplicated flatten key {name}")
            values[name], paths[name] = value, path

    visit((), state_dict)
    return values, paths


def _holds_tensors_or_dicts(values: list[Any]) -> bool:
    """Whether a list holds tensors or dicts."""
    return any([isinstance(one, (Mapping, Tensor)) or (isinstance(one, list) and _holds_tensors_or_dicts(one)) for one in values])


def put(state_dict: Any, path: Path, value: Any) -> None:
    """Put `value` at `path` in a nested dict. Keys other than strings are found by their string form."""
    at = state_dict
    for key in path[:-1]:
        at = at[_own_key(at, key)]
    at[_own_key(at, path[-1])] = value


def _own_key(container: Any, key: Any) -> Any:
    if isinstance(container, Mapping) and key not in container:
        return next((own for own in container if str(own) == key), key)
    return key
