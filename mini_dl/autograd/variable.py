"""``Variable``: what recorded its history before tensors did."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np

from mini_dl._checks import type_name
from mini_dl._dtypes import default_numpy
from mini_dl.autograd.engine import queue_callback
from mini_dl.tensor import Tensor, wrap

__all__ = ["Variable", "VariableMeta"]


class VariableMeta(type):
    """Makes every tensor an instance of `Variable`."""

    def __instancecheck__(cls, other: object) -> bool:
        return isinstance(other, Tensor)


class Variable(metaclass=VariableMeta):
    """A tensor that shares the memory of another, without its history: ``out = data``

    `volatile` warns that it does nothing.

    Shapes: (*in) -> (*in).
    Raises: TypeError unless `data` is a tensor or None.

    >>> from mini_dl.autograd import Variable
    >>> Variable(torch.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    >>> isinstance(torch.ones(2), Variable)
    True
    """

    _execution_engine = SimpleNamespace(queue_callback=queue_callback)

    def __new__(  # type: ignore[misc]
        cls, data: object = None, requires_grad: bool = False, volatile: bool = False, _grad_fn: object = None,
        name: object = None,
    ) -> Tensor:  # fmt: skip
        if volatile:
            warnings.warn(
                "volatile was removed and now has no effect. Use `with torch.no_grad():` instead.", UserWarning, stacklevel=2
            )
            if requires_grad:
                raise ValueError("Variable can't be volatile and require_grad at the same time!")
        if data is None:
            made = wrap(np.empty(0, default_numpy()))
        elif isinstance(data, Tensor):
            made = data.detach()
        else:
            raise TypeError(f"Variable data has to be a tensor, but got {type_name(data)}")
        return made.requires_grad_() if requires_grad else made
