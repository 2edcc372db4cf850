"""Leaves whose shape or type changes: existing graphs keep the old one. Those that become another tensor leave their graphs."""

from __future__ import annotations

from typing import Any

from mini_dl._dtypes import Array
from mini_dl.autograd.graph import Node, next_seq
from mini_dl.tensor import LEAF, LEAF_VIEW, Tensor


def given_array(tensor: Tensor, array: Array) -> None:
    """Point `tensor` at `array` from now on. Graphs made from a leaf keep the shape and type it had."""
    old = tensor._array
    known = tensor._edge is LEAF or tensor._edge is LEAF_VIEW or tensor._former is not None
    if known and (old.shape != array.shape or old.dtype != array.dtype):
        tensor._former = [*(tensor._former or ())[-7:], (next_seq(), old.shape, old.dtype)]
    tensor._array = array


def poison(tensor: Tensor) -> None:
    """Let graphs made from `tensor` until now fail: it has become another."""
    tensor._former = [(next_seq(), None, None)]


def known_as(leaf: Tensor, node: Node | None) -> tuple[tuple[int, ...], Any]:
    """The shape and type that `leaf` had when `node` was made from it. RuntimeError if it was another tensor."""
    for seq, shape, dtype in leaf._former or ():
        if node is not None and node.seq_ > seq:
            if shape is None:
                raise RuntimeError(
                    "Trying to execute AccumulateGrad node that was poisoned by swap_tensors: the graph was made before the swap"
                )
            return shape, dtype
    return leaf._array.shape, leaf._array.dtype
