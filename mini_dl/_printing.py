"""How tensors print."""

from __future__ import annotations

from mini_dl.tensor import Tensor


def _repr(self: Tensor) -> str:
    return f"tensor({self._array.tolist()})"


setattr(Tensor, "__repr__", _repr)  # noqa: B010
