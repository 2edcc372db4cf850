"""From a list of samples to a batch."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl.ops.from_data import tensor
from mini_dl.ops.joining import stack
from mini_dl.tensor import Tensor, wrap

default_collate_err_msg_format = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
np_str_obj_array_pattern = re.compile("[SaUO]")
"""Finds the types of arrays of strings and objects by their ``dtype.str``."""

CollateMap = dict[Any, Callable[..., Any]]


def default_convert(data: object) -> Any:
    """`data` with each NumPy array in it, at any depth, as a tensor sharing its memory; tuples become lists.

    Raises: nothing itself: other values are unchanged.

    >>> import numpy as np
    >>> torch.utils.data.default_convert({"x": np.array([1, 2]), "name": "a"})
    {'x': tensor([1, 2]), 'name': 'a'}
    """
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "SUO" else _as_tensor(data)
    return _inside(data, lambda parts: [default_convert(part) for part in parts], missing=lambda: data)


def default_collate(batch: object) -> Any:
    """The samples of a batch as one: tensors and arrays stacked, numbers as a tensor, containers element by element.

    Strings remain a list.

    Raises: TypeError for other types; RuntimeError if sequences differ in length.

    >>> torch.utils.data.default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def collate(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Like `default_collate`, with functions ``f(batch, collate_fn_map=...)`` by element type."""
    element = batch[0]
    functions = collate_fn_map or {}
    if type(element) in functions:
        return functions[type(element)](batch, collate_fn_map=collate_fn_map)
    for kind, function in functions.items():
        if isinstance(element, kind):
            return function(batch, collate_fn_map=collate_fn_map)

    def columns(_: object) -> list[Any]:
        if isinstance(element, Mapping):
            rows = [[sample[key] for sample in batch] for key in element]
        else:
            if not _is_named_tuple(element) and any(len(sample) != len(element) for sample in batch):
                raise RuntimeError("each element in list of batch should be of equal size")
            rows = list(zip(*batch))  # type: ignore[arg-type]
        return [collate(row, collate_fn_map=collate_fn_map) for row in rows]

    def missing() -> Any:
        raise TypeError(default_collate_err_msg_format.format(type(element)))

    return _inside(element, columns, missing, strings=True)


def _inside(data: object, convert: Callable[[Any], list[Any]], missing: Callable[[], Any], strings: bool = False) -> Any:
    """A container like `data` with its parts converted; `missing()` if `data` is not a container.

    Containers that can be copied are copied and filled, to keep other attributes; those that cannot become a dict or a list.
    """
    if isinstance(data, Mapping):
        parts = dict(zip(data, convert(data.values())))
        try:
            if isinstance(data, MutableMapping):
                twin = copy.copy(data)
                twin.update(parts)
                return twin
            return type(data)(parts)  # type: ignore[call-arg]
        except TypeError:
            return parts
    if _is_named_tuple(data):
        return type(data)(*convert(data))
    if isinstance(data, tuple):
        return convert(data)
    if isinstance(data, Sequence) and (strings or not isinstance(data, (str, bytes))):
        parts_list = convert(data)
        try:
            if isinstance(data, MutableSequence):
                copied = copy.copy(data)
                for i, part in enumerate(parts_list):
                    copied[i] = part
                return copied
            return type(data)(parts_list)  # type: ignore[call-arg]
        except TypeError:
            return parts_list
    return missing()


def _is_named_tuple(data: object) -> bool:
    return isinstance(data, tuple) and hasattr(data, "_fields")


def _as_tensor(data: Any) -> Tensor:
    """A tensor sharing the memory of an array. TypeError for a type that torch does not have."""
    _dtypes.of_numpy(data.dtype)
    return wrap(np.asarray(data))


# ------------------------------------------------------------------------------------------------ by element type


def collate_tensor_fn(batch: object, *, collate_fn_map: CollateMap | None = None) -> Tensor:
    return stack(batch, 0)


def collate_numpy_array_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    if batch[0].dtype.kind in "SUO":
        raise TypeError(default_collate_err_msg_format.format(batch[0].dtype))
    return collate([_as_tensor(array) for array in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Tensor:
    return tensor(np.stack(batch))


def collate_float_fn(batch: object, *, collate_fn_map: CollateMap | None = None) -> Tensor:
    return tensor(batch, dtype=_dtypes.float64)


def collate_int_fn(batch: object, *, collate_fn_map: CollateMap | None = None) -> Tensor:
    return tensor(batch)


def collate_str_fn(batch: object, *, collate_fn_map: CollateMap | None = None) -> Any:
    return batch


default_collate_fn_map: CollateMap = {
    Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}
