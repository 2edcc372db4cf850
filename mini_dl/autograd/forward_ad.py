"""Forward mode: tensors carry a tangent, from which the tangents of all results are computed.

>>> import mini_dl as torch
>>> from mini_dl.autograd import forward_ad
>>> with forward_ad.dual_level():
...     x = forward_ad.make_dual(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0]))
...     forward_ad.unpack_dual(x * x).tangent
tensor([2., 0.])

`autograd.tangents` describes how tangents are computed from the gradient formulas.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mini_dl._dtypes import INEXACT
from mini_dl._leaving import Block
from mini_dl.autograd.graph import edge_of
from mini_dl.autograd.mode import _SetAtOnce, mode
from mini_dl.autograd.places import reopened
from mini_dl.autograd.primitive import recorded_as, view
from mini_dl.autograd.recording import look_into
from mini_dl.autograd.tangents import forget_tangents, tangent_of, with_tangent
from mini_dl.autograd.transforms import close_level, open_level
from mini_dl.tensor import Tensor, alias, version_of

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]

DUAL = "forward mode"
_current_level = -1


class UnpackedDualTensor(NamedTuple):
    """The result of `unpack_dual`: the tensor without its tangent, and the tangent, None if there is none.

    >>> from mini_dl.autograd import forward_ad
    >>> forward_ad.unpack_dual(torch.tensor(3.0)).tangent is None
    True
    """

    primal: Tensor
    tangent: Tensor | None


def enter_dual_level() -> int:
    """Start forward mode; returns the number of the level, 0.

    Raises: RuntimeError if it has already started: levels do not nest.

    >>> from mini_dl.autograd import forward_ad
    >>> forward_ad.enter_dual_level()
    0
    >>> forward_ad.exit_dual_level()
    """
    global _current_level
    if _current_level >= 0:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _current_level = 0
    open_level(DUAL)
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End forward mode: all tensors lose their tangents.

    Raises: RuntimeError if it has not started, or for another `level`.

    >>> from mini_dl.autograd import forward_ad
    >>> forward_ad.exit_dual_level()
    Traceback (most recent call last):
        ...
    RuntimeError: Dual level must be a positive number.
    """
    global _current_level
    if level is not None and level != _current_level:
        raise RuntimeError("Trying to exit a forward AD level that was not the last one that was created. This is not supported.")
    if _current_level < 0:
        raise RuntimeError("Dual level must be a positive number.")
    forget_tangents()
    close_level(DUAL)
    _current_level = -1


class dual_level(Block):
    """Forward mode within a block, for `make_dual` and `unpack_dual`.

    Raises: RuntimeError if it is nested.

    >>> from mini_dl.autograd import forward_ad
    >>> with forward_ad.dual_level():
    ...     y = forward_ad.make_dual(torch.tensor(3.0), torch.tensor(1.0)).square()
    ...     print(y)
    tensor(9., tangent=6.0)
    >>> y
    tensor(9.)
    """

    def _state(self) -> bool:
        return _current_level < 0

    def _change(self, before: bool) -> int:
        return enter_dual_level()

    def _put_back(self, before: bool) -> None:
        if before and _current_level >= 0:
            exit_dual_level()


@recorded_as("ViewBackward0")
@view(input=lambda grad: grad)
def _view(input: Any) -> Any:
    return input[...]


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A view of a tensor that carries a tangent, a direction of change: ``out = tensor + eps * tangent``

    The tangent is the given tensor itself, if the layouts match.

    Shapes: `tensor` (*in), `tangent` (*in) -> (*in).
    Raises: RuntimeError outside of a level, or if it has a tangent already; ValueError unless both are floating point or
    complex.

    >>> from mini_dl.autograd import forward_ad
    >>> with forward_ad.dual_level():
    ...     x = forward_ad.make_dual(torch.tensor(3.0), torch.tensor(1.0))
    ...     print(forward_ad.unpack_dual(x**2).tangent)
    tensor(6.)
    """
    if (_current_level if level is None else level) < 0:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    for what, one in (("primal", tensor), ("tangent", tangent)):
        if one.dtype.numpy.kind not in INEXACT:
            raise ValueError(f"Expected {what} to be floating point or complex, but got: {one.dtype}")
    if tangent_of(tensor) is not None:
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level 0 is not supported."
        )
    return with_tangent(_view(tensor), tangent)


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The tensor without its tangent, as a view, and the tangent: ``tensor = primal + eps * tangent``

    Outside of a level, the tensor itself and None.

    Shapes: (*in) -> (*in), (*in).
    Raises: TypeError unless it is a tensor.

    >>> from mini_dl.autograd import forward_ad
    >>> with forward_ad.dual_level():
    ...     print(forward_ad.unpack_dual(forward_ad.make_dual(torch.tensor(3.0), torch.tensor(1.0))))
    UnpackedDualTensor(primal=tensor(3.), tangent=tensor(1.))
    """
    if (_current_level if level is None else level) < 0:
        return UnpackedDualTensor(tensor, None)
    if not mode.forward:
        return UnpackedDualTensor(primal_of(tensor), None)
    return UnpackedDualTensor(primal_of(tensor), tangent_of(tensor))


def primal_of(tensor: Tensor) -> Tensor:
    """A view of a tensor, with its history, without its tangent."""
    out = alias(tensor)
    look_into(tensor, out)
    out._edge, out._stamp = edge_of(tensor), version_of(tensor)[0]
    out._base = None  # a view of its base would have the tangent of the base
    if tensor._tangent is not None:
        out._array = reopened(out._array)
    return out


class _set_fwd_grad_enabled(_SetAtOnce):
    """Turn forward mode on or off: immediately when called, and until the block ends when used as a context manager."""

    def _now(self) -> bool:
        return mode.forward

    def _change(self, before: object) -> None:
        mode.forward = self.flag

    def _put_back(self, before: Any) -> None:
        mode.forward = before


def _is_fwd_grad_enabled() -> bool:
    return mode.forward
