"""Tensors of other classes sharing memory."""

from __future__ import annotations

from typing import Any

from mini_dl._surface import tensor_method
from mini_dl.autograd.history import requires_grad_
from mini_dl.ops.views import alias
from mini_dl.tensor import Tensor, in_class


@tensor_method()
def as_subclass(self: Tensor, cls: type[Tensor]) -> Any:
    """A view of this tensor, with its history, that is an instance of another class: ``out = self``

    Shapes: (*in) -> (*in).
    Raises: TypeError if `cls` is not a subclass of Tensor.

    >>> class Named(torch.Tensor): pass
    >>> type(torch.ones(2).as_subclass(Named)).__name__
    'Named'
    """
    _checked("as_subclass", cls)
    return in_class(cls, alias(self))


def _make_subclass(cls: type[Tensor], data: Tensor, require_grad: bool = False) -> Any:
    """A leaf that shares the memory of `data` and is an instance of `cls`."""
    _checked("_make_subclass", cls)
    return requires_grad_(in_class(cls, data.detach()), require_grad)


def _checked(name: str, kind: object) -> None:
    if not isinstance(kind, type):
        raise TypeError(f"{name}(): argument 'cls' must be type, not {type(kind).__name__}")
    if not issubclass(kind, Tensor):
        raise TypeError(f"{name}(): {kind.__name__} is not a subclass of Tensor")


setattr(Tensor, "_make_subclass", staticmethod(_make_subclass))  # noqa: B010
