"""Gradients that depend on their input only formally.

The gradient of a piecewise linear function is constant between the kinks: its own derivative is zero, not absent. Parameters
behind it then get a second-order gradient of zeros, which an optimizer with momentum or weight decay distinguishes from None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import Function, NumpyType, Shape
from mini_dl.autograd.graph import Node, edge_of
from mini_dl.autograd.mode import at_work, mode
from mini_dl.tensor import Edge, Tensor, alias, wrap


def aim_of(edge: Edge) -> tuple[Shape, NumpyType]:
    """The shape and the type of the gradient at `edge`."""
    if isinstance(edge, Tensor):
        return edge._array.shape, edge._array.dtype
    if type(edge) is tuple:
        node, number = edge
        return node.shape_[number], node.dtype_[number]
    return edge.shape_, edge.dtype_


class _Formal:
    name, grad_name, runs_without = "formal", "FormalBackward0", False
    asked: frozenset[str] = frozenset()

    def backward(self, node: Node, grad: Tensor) -> tuple[Tensor | None, Tensor]:
        edge = node.edges_[1]
        shape, dtype = aim_of(edge)
        return formal(grad, edge), wrap(np.zeros(shape, dtype))


_FORMAL = _Formal()


def formal(grad: Tensor, edge: Edge) -> Tensor:
    """`grad`, with a derivative of zeros with respect to the target of `edge`, if gradients of gradients are recorded."""
    if not mode.enabled:
        return grad
    out = alias(grad)
    out._edge = Node(_FORMAL, (edge_of(grad), edge), {}, grad._array)
    if at_work.anywhere:
        at_work.passed_on(grad, out)
    return out


def piecewise(*arguments: str) -> Callable[[Function], Function]:
    """Mark a primitive whose gradients for `arguments` depend on these only formally."""

    def decorate(call: Function) -> Function:
        primitive_of(call, "piecewise").formal = frozenset(arguments)
        return call

    return decorate


def primitive_of(call: Any, decorator: str) -> Any:
    """The primitive behind `call`. TypeError if `decorator` was applied to something else."""
    if not hasattr(call, "op"):
        raise TypeError(
            f"{call.__name__}: it is not a primitive; `{decorator}` must stand above the decorator that makes it one (`op`, ...)"
        )
    return call.op


class _Kinked:
    name, grad_name, runs_without = "kinked", "KinkedBackward0", False
    asked: frozenset[str] = frozenset()

    def backward(self, node: Node, grad: Tensor) -> tuple[Tensor]:
        return (formal(grad, node.edges_[0]),)


_KINKED = _Kinked()


def kinked(input: Tensor) -> Tensor:
    """`input`, whose gradient depends on it only formally: for piecewise linear functions composed of linear ones."""
    edge = edge_of(input) if mode.enabled else None
    if edge is None:
        return input
    out = alias(input)
    out._edge = Node(_KINKED, (edge,), {}, input._array)
    if at_work.anywhere:
        at_work.passed_on(input, out)
    return out
