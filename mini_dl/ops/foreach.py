"""One operation on each tensor of a list: ``torch._foreach_add_(params, grads, alpha=-lr)``, as optimizers write it.

They are loops over the ordinary operations, and are recorded as such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mini_dl._device import CPU
from mini_dl._surface import named, namespace
from mini_dl.autograd.inplace import any_needs_grad, check_writable
from mini_dl.autograd.mode import mode
from mini_dl.ops.choice import maximum, minimum
from mini_dl.ops.powers import pow as power
from mini_dl.ops.vector_norms import vector_norm
from mini_dl.tensor import Tensor

UNARY = (
    "abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg reciprocal round rsqrt "
    "sigmoid sign sin sinh sqrt tan tanh trunc"
).split()
BINARY = "add sub mul div clamp_max clamp_min maximum minimum pow".split()
TERNARY = "addcdiv addcmul lerp".split()


def _rows(name: str, tensors: object, *others: Any) -> list[tuple[Any, ...]]:
    """Each tensor with its elements from the lists in `others`, and the rest unchanged. RuntimeError unless lists have equal
    length, and if one of the tensors of a function in place may not be written: before any is.
    """
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{name}(): argument 'self' (position 1) must be tuple of Tensors, not {type(tensors).__name__}")
    if not tensors:
        raise RuntimeError("Tensor list must have at least one tensor.")
    columns: list[Sequence[Any]] = [tensors]
    for other in others:
        listed = isinstance(other, (list, tuple))
        if listed and len(other) != len(tensors):
            raise RuntimeError(f"Tensor lists must have the same number of tensors, got {len(tensors)} and {len(other)}")
        columns.append(other if listed else [other] * len(tensors))
    if name.endswith("_") and mode.enabled and any_needs_grad((tensors, *others)):
        for tensor in tensors:
            check_writable(tensor)
    return list(zip(*columns))


def _publish(name: str, function: Callable[..., Any], doc: str) -> None:
    named(function, name, doc)
    namespace("torch")[name] = function


def _of_one(name: str) -> None:
    def each(self: object) -> tuple[Tensor, ...]:
        return tuple([getattr(x, name)() for (x,) in _rows(f"_foreach_{name}", self)])

    def each_in_place(self: object) -> Any:
        for (x,) in _rows(f"_foreach_{name}_", self):
            getattr(x, f"{name}_")()
        return self

    _publish(f"_foreach_{name}", each, f"``x.{name}()`` for each tensor of a list.")
    _publish(f"_foreach_{name}_", each_in_place, f"``x.{name}_()`` for each tensor of a list.")


def _with_another(name: str, x: object, other: object) -> Any:
    if name in ("maximum", "minimum") and isinstance(other, Tensor):
        return (maximum if name == "maximum" else minimum)(x, other)
    if name == "pow":
        return power(x, other)
    return getattr(x, {"maximum": "clamp_min", "minimum": "clamp_max"}.get(name, name))(other)


def _of_two(name: str) -> None:
    def result(x: object, other: object, alpha: object) -> Any:
        return _with_another(name, x, other) if alpha is None else getattr(x, name)(other, alpha=alpha)

    def operands(self: object, other: object, named: dict[str, object]) -> Any:
        (other,) = [other] if not named else named.values()
        return other

    def each(self: object, other: Any = None, *, alpha: object = None, **named: object) -> tuple[Tensor, ...]:
        other = operands(self, other, named)
        if name == "pow" and not isinstance(self, (list, tuple)):
            return tuple([power(self, x) for x in other])
        return tuple([result(x, y, alpha) for x, y in _rows(f"_foreach_{name}", self, other)])

    def each_in_place(self: object, other: object = None, *, alpha: object = None, **named: object) -> Any:
        for x, y in _rows(f"_foreach_{name}_", self, operands(self, other, named)):
            if name in ("maximum", "minimum"):
                x.copy_(result(x, y, alpha))
            elif alpha is None:
                getattr(x, f"{name}_")(y)
            else:
                getattr(x, f"{name}_")(y, alpha=alpha)
        return self

    _publish(f"_foreach_{name}", each, f"``{name}(x, other)`` for each tensor; `other` is a number, a tensor, or a list of them.")
    _publish(f"_foreach_{name}_", each_in_place, f"``x.{name}_(other)`` for each tensor; `other` may be a list.")


def _of_three(name: str) -> None:
    def call(suffix: str, self: object, first: object, second: object, value: object, named: dict[str, object]) -> list[Any]:
        if named:  # "scalars", "tensors1", "weight"
            (value,) = named.values()
        if isinstance(value, Tensor) and value.ndim == 1 and name != "lerp":
            value = value.tolist()
        if name == "lerp":
            weight = second if second is not None else value
            return [getattr(x, f"lerp{suffix}")(a, w) for x, a, w in _rows(f"_foreach_lerp{suffix}", self, first, weight)]
        rows = _rows(f"_foreach_{name}{suffix}", self, first, second, 1 if value is None else value)
        return [getattr(x, f"{name}{suffix}")(a, b, value=v) for x, a, b, v in rows]

    def each(self: object, first: object, second: object = None, value: object = None, **named: object) -> tuple[Tensor, ...]:
        return tuple(call("", self, first, second, value, named))

    def each_in_place(self: object, first: object, second: object = None, value: object = None, **named: object) -> Any:
        call("_", self, first, second, value, named)
        return self

    _publish(f"_foreach_{name}", each, f"``x.{name}(...)`` for each tensor.")
    _publish(f"_foreach_{name}_", each_in_place, f"``x.{name}_(...)`` for each tensor.")


for _name in UNARY:
    _of_one(_name)
for _name in BINARY:
    _of_two(_name)
for _name in TERNARY:
    _of_three(_name)


def _foreach_zero_(self: object) -> Any:
    for (x,) in _rows("_foreach_zero_", self):
        x.zero_()
    return self


def _foreach_copy_(self: object, src: object, non_blocking: bool = False) -> Any:
    for x, y in _rows("_foreach_copy_", self, src):
        x.copy_(y)
    return self


def _foreach_norm(self: object, ord: object = 2, dtype: object = None) -> tuple[Tensor, ...]:
    return tuple([vector_norm(x, ord, dtype=dtype) for (x,) in _rows("_foreach_norm", self)])


def _foreach_clone(self: object, *, memory_format: object = None) -> tuple[Tensor, ...]:
    return tuple([x.clone() for (x,) in _rows("_foreach_clone", self)])


def _foreach_mm(self: object, mat2: object) -> tuple[Tensor, ...]:
    return tuple([x.mm(y) for x, y in _rows("_foreach_mm", self, mat2)])


def _foreach_max(self: object) -> tuple[Tensor, ...]:
    return tuple([x.max() for (x,) in _rows("_foreach_max", self)])


_publish("_foreach_zero_", _foreach_zero_, "Set all elements of each tensor to zero.")
_publish("_foreach_copy_", _foreach_copy_, "``x.copy_(y)`` for each pair of tensors.")
_publish("_foreach_clone", _foreach_clone, "A copy of each tensor.")
_publish("_foreach_mm", _foreach_mm, "The product of each pair of matrices.")
_publish("_foreach_norm", _foreach_norm, "The norm of each tensor.")
_publish("_foreach_max", _foreach_max, "The largest element of each tensor.")


def _group_tensors_by_device_and_dtype(tensorlistlist: Sequence[Sequence[Tensor | None]], with_indices: bool = False) -> Any:
    """``{(device, type): ([list, list, ...], [position, ...])}``: the lists, grouped by the types of the tensors in the first."""
    groups: dict[Any, tuple[list[list[Any]], list[int]]] = {}
    for position, row in enumerate(zip(*[found or [None] * len(tensorlistlist[0]) for found in tensorlistlist])):
        first = row[0]
        lists, positions = groups.setdefault((CPU, first.dtype), ([[] for _ in row], []))
        for found, one, listed in zip(lists, row, tensorlistlist):
            if listed:
                found.append(one)
        if with_indices:
            positions.append(position)
    return groups
