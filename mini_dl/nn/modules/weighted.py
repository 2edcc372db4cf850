"""The base of modules with a weight and a bias."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mini_dl.nn import init
from mini_dl.nn._types import Device, DType
from mini_dl.nn.modules.module import Module
from mini_dl.nn.parameter import Parameter, empty
from mini_dl.tensor import Tensor


class Weighted(Module):
    """A weight (out, in, *) and a bias, both drawn from U(-k, k), k = 1 / sqrt(inputs of each output)."""

    _finds_as_usual = True
    """Whether no class defines `weight` or `bias`, or another way to find attributes."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        usual = cls.__getattr__ is Module.__getattr__ and cls.__getattribute__ is object.__getattribute__
        cls._finds_as_usual = usual and not hasattr(cls, "weight") and not hasattr(cls, "bias")

    def _make_weight_and_bias(
        self, weight: Sequence[int] | None, bias: Sequence[int] | None, device: Device, dtype: DType
    ) -> None:
        """Create both with the given shapes, None for an absent one, and draw their values."""
        for name, shape in (("weight", weight), ("bias", bias)):
            param = None if shape is None else Parameter(empty(*shape, device=device, dtype=dtype))
            self.register_parameter(name, param)
        self.reset_parameters()

    def _weight_and_bias(self) -> tuple[Tensor, Tensor | None]:
        """The weight and the bias, from where they are registered: as attributes, each is found only after a search that fails,
        in the time of a small product."""
        own, registered = self.__dict__, self._parameters
        if "weight" in registered and "bias" in registered and self._finds_as_usual and not ("weight" in own or "bias" in own):
            return registered["weight"], registered["bias"]  # type: ignore[return-value]  # a weight may be None in some
        return self.weight, self.bias  # computed from other parameters, for example

    def reset_parameters(self) -> None:
        """Redraw weight and bias."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)


class Scaled(Weighted):
    """A weight that scales and a bias that shifts the normalized values."""

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)
