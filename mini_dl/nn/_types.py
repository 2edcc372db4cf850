"""Names for the types that many signatures of networks and optimizers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

from mini_dl._device import device
from mini_dl._dtypes import dtype
from mini_dl.tensor import Tensor

Device: TypeAlias = device | str | int | None
DType: TypeAlias = dtype | None
Ints: TypeAlias = int | Sequence[int]
"""One number for each dimension, or one for all of them."""
Floats: TypeAlias = float | Sequence[float]
Shape: TypeAlias = tuple[int, ...]
Tensors: TypeAlias = Tensor | Iterable[Tensor]

Args: TypeAlias = tuple[Any, ...]
Kwargs: TypeAlias = dict[str, Any]
Function: TypeAlias = Callable[..., Any]
Hook: TypeAlias = Function
"""See where a hook is registered for its arguments and result."""
StateDict: TypeAlias = dict[str, Any]
"""Tensors, numbers and nested dictionaries by name: what is saved."""

# ------------------------------------------------------------------------------------------------ of modules

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class WithForward(Protocol[P, R]):
    """The type of a module's call for type checkers: that of its ``forward``."""

    def forward(self, *args: P.args, **kwargs: P.kwargs) -> R: ...


# ------------------------------------------------------------------------------------------------ of optimizers

Number: TypeAlias = float | Tensor
"""An option that may also be a tensor of one element: torch allows it for learning rates and betas."""
Betas: TypeAlias = tuple[Number, Number]
Group: TypeAlias = dict[str, Any]
"""Parameters and their options by name."""
Params: TypeAlias = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[Group]
Options: TypeAlias = SimpleNamespace
"""The options of a group as attributes, for an update."""
