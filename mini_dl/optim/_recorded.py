"""Stand-ins for arrays that record what an update does to them, so that gradients flow through an optimizer's step."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.ops.complex_numbers import view_as_complex, view_as_real
from mini_dl.optim.updates import Pieces, State
from mini_dl.tensor import Tensor, wrap

_OPERATIONS: dict[np.ufunc, Callable[..., Tensor]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.divide: operator.truediv,
    np.power: operator.pow,
    np.negative: operator.neg,
    np.absolute: abs,
    np.sqrt: lambda t: t.sqrt(),
    np.sign: lambda t: t.sign(),
    np.maximum: lambda t, other: t.maximum(other),
}
_COMPARISONS = (np.less, np.less_equal, np.equal, np.not_equal, np.greater_equal, np.greater)


class Recorded(np.lib.mixins.NDArrayOperatorsMixin):
    """A tensor in the place of an array: the NumPy calls of an update become operations of autograd.

    An in-place write creates a new value. `write` copies the last one into the original tensor, so that no step changes what
    an earlier step saved for its gradients; intermediate results have no such tensor. Comparisons give arrays, without
    gradients. TypeError for other ufuncs.
    """

    def __init__(self, value: Tensor, target: Tensor | None = None) -> None:
        self.value, self.target, self.parts = value, target, False

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return self.value._array.dtype

    def __array__(self, dtype: np.dtype[np.generic] | None = None, copy: bool | None = None) -> Array:
        return np.array(self.value._array, dtype)

    def __float__(self) -> float:
        return float(self.value._array)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: object, out: tuple[Recorded] | None = None) -> object:
        if ufunc in _COMPARISONS:
            return np.asarray(ufunc(*[np.asarray(one) for one in inputs]))
        if ufunc not in _OPERATIONS or method != "__call__":
            known = ", ".join([f"np.{one.__name__}" for one in _OPERATIONS])
            raise TypeError(
                f"np.{ufunc.__name__} in an update cannot be recorded, as differentiable=True asks; {known} can. "
                "To record it, add it to _OPERATIONS in mini_dl/optim/_recorded.py"
            )
        value = _OPERATIONS[ufunc](*[_operand(one) for one in inputs])
        return Recorded(value) if out is None else out[0]._set(value)

    def __setitem__(self, index: object, value: Any) -> None:
        self._set(_operand(value) if index is Ellipsis else self.value.masked_fill(wrap(index), value))

    def clip(self, low: object, high: object, out: Recorded) -> Recorded:
        return out._set(self.value.clamp(_operand(low), _operand(high)))

    def add_scaled(self, value: Any, weight: Any, keep: object) -> None:
        """``self = keep * self + weight * value``"""
        if keep is not None:
            self *= keep
        self += np.multiply(value, weight)

    def _set(self, value: Any) -> Recorded:
        """Adopt `value`, cast to the current dtype, as arrays do."""
        own = self.value
        self.value = value.to(own.dtype) if isinstance(value, Tensor) else own.new_full(own.shape, value)
        return self

    def as_parts(self) -> Recorded:
        """Return itself, after splitting a complex tensor into real and imaginary parts."""
        if self.dtype.kind == "c":
            self.value, self.parts = view_as_real(self.value), True
        return self

    def write(self) -> None:
        """Copy the value into the tensor. RuntimeError if that is a leaf that requires grad."""
        self.target.copy_(view_as_complex(self.value) if self.parts else self.value)  # type: ignore[union-attr]


class _Buffer(Recorded):
    """A scratch buffer, whose value is whatever was last written to it."""

    def __init__(self) -> None:
        self.parts = False

    def _set(self, value: object) -> Recorded:
        self.value = value  # type: ignore[assignment]
        return self


class RecordedState(State):
    """The state of a parameter, whose tensors are given as recorded stand-ins."""

    __slots__ = ("given",)

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__(tensors)
        self.given: dict[str, Recorded] = {}

    def __getitem__(self, name: str) -> Recorded:
        if name not in self.given:
            self.given[name] = recorded(self.tensors[name])
        return self.given[name]

    def advance(self) -> float:
        count = self["step"]
        count += 1
        return float(count)

    def number(self, name: str) -> Recorded:
        return self[name]

    def put(self, name: str, value: object) -> None:
        if isinstance(value, Recorded):
            self[name][...] = value
        else:
            super().put(name, value)

    def detached(self, array: Recorded) -> Recorded:  # type: ignore[override]
        return Recorded(array.value.detach())

    def blocks(self, buffers: int, param: Recorded, *others: Recorded | None) -> Pieces:  # type: ignore[override]
        """One piece."""
        arrays = [None if one is None else one.as_parts() for one in (param, *others)]
        return ((*arrays, *[_Buffer() for _ in range(buffers)]),)


def recorded(tensor: Tensor) -> Recorded:
    """The stand-in for `tensor` in an update."""
    return Recorded(tensor.clone(), tensor)


def recorded_scalar(tensor: Tensor) -> Recorded:
    """The stand-in for an option that is a tensor of one element."""
    return Recorded(tensor.reshape(()))


def _operand(one: object) -> Any:
    """The operand for an operation on tensors."""
    return wrap(one) if isinstance(one, np.ndarray) else getattr(one, "value", one)
