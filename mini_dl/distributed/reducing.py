"""Elementwise reductions over all ranks."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from mini_dl.autograd.inplace import check_cast


class RedOpType(enum.Enum):
    """The kinds of reductions."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7
    PREMUL_SUM = 8

    @property
    def op(self) -> RedOpType:
        return self

    def __str__(self) -> str:
        return f"RedOpType.{self.name}"

    def __deepcopy__(self, memo: object) -> RedOpType:
        return self


RedOpType.__module__, RedOpType.__qualname__ = "torch.distributed", "ReduceOp.RedOpType"


class ReduceOp:
    """The reductions by name: ``ReduceOp.SUM``. Called with one of them, it returns it."""

    SUM = RedOpType.SUM
    AVG = RedOpType.AVG
    PRODUCT = RedOpType.PRODUCT
    MIN = RedOpType.MIN
    MAX = RedOpType.MAX
    BAND = RedOpType.BAND
    BOR = RedOpType.BOR
    BXOR = RedOpType.BXOR
    PREMUL_SUM = RedOpType.PREMUL_SUM

    def __new__(cls, op: object) -> Any:
        return RedOpType(op)


ReduceOp.RedOpType = RedOpType  # type: ignore[attr-defined]


def supports_complex(reduceOp: RedOpType) -> bool:
    """Whether a reduction of complex numbers applies to their parts separately."""
    return reduceOp in (RedOpType.SUM, RedOpType.AVG, RedOpType.PREMUL_SUM)


def check_reduces(op: RedOpType, kind: np.dtype[Any]) -> None:
    """RuntimeError for a reduction that gloo does not have for this type."""
    if op is RedOpType.PREMUL_SUM:
        raise RuntimeError("Cannot use ReduceOp.PREMUL_SUM with Gloo")
    if op in (RedOpType.BAND, RedOpType.BOR, RedOpType.BXOR) and kind.kind not in "biu":
        raise RuntimeError(f"Cannot use ReduceOp.{op.name} with non-integral dtype")
    if op is RedOpType.AVG:
        check_cast(np.dtype(np.float32), kind)
