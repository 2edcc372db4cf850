"""`Variable`, the old name of a tensor that can require grad."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from mini_dl._checks import type_name
from mini_dl._dtypes import default_numpy
from mini_dl.tensor import Tensor, wrap


class VariableMeta(type):
    """Lets every tensor be an instance of `Variable`."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=VariableMeta):
    """``Variable(tensor, requires_grad)``: another tensor over the same memory, without its history.

    >>> import mini_dl as torch
    >>> torch.autograd.Variable(torch.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = False, volatile: bool = False) -> Any:
        if volatile:
            if requires_grad:
                raise ValueError("Variable can't be volatile and require_grad at the same time!")
            warnings.warn("volatile was removed and now has no effect. Use `with torch.no_grad():` instead.", stacklevel=2)
        if data is None:
            return wrap(np.empty(0, default_numpy()))
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type_name(data)}")
        return data.detach().requires_grad_(bool(requires_grad))
