"""Markers for quantization: until a network is quantized, which is not supported, they return their input."""

from __future__ import annotations

from typing import Any

from mini_dl.nn.modules.linear import Identity
from mini_dl.nn.modules.module import Module
from mini_dl.ops.joining import cat
from mini_dl.tensor import Tensor


class QuantStub(Module):
    """The point where numbers would be quantized: returns its input."""

    def __init__(self, qconfig: object = None) -> None:
        super().__init__()
        if qconfig:
            self.qconfig = qconfig

    def forward(self, x: Tensor) -> Tensor:
        return x


class DeQuantStub(QuantStub):
    """The point where numbers would be dequantized: returns its input."""


class QuantWrapper(Module):
    """A module between the two markers."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self.add_module("quant", QuantStub(getattr(module, "qconfig", None)))
        self.add_module("dequant", DeQuantStub(getattr(module, "qconfig", None)))
        self.add_module("module", module)
        self.train(module.training)

    def forward(self, X: Tensor) -> Tensor:
        return self.dequant(self.module(self.quant(X)))


class FloatFunctional(Module):
    """Operations as methods of a module, so their results could be observed."""

    def __init__(self) -> None:
        super().__init__()
        self.activation_post_process = Identity()

    def forward(self, x: object) -> Any:
        raise RuntimeError("FloatFunctional is not intended to use the 'forward'. Please use the underlying operation")

    def _observed(self, result: Tensor) -> Tensor:
        return self.activation_post_process(result)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """``x + y``"""
        return self._observed(x + y)

    def add_scalar(self, x: Tensor, y: float) -> Tensor:
        """``x + y``"""
        return x + y

    def mul(self, x: Tensor, y: Tensor) -> Tensor:
        """``x * y``"""
        return self._observed(x * y)

    def mul_scalar(self, x: Tensor, y: float) -> Tensor:
        """``x * y``"""
        return x * y

    def cat(self, x: list[Tensor], dim: int = 0) -> Tensor:
        """``torch.cat(x, dim)``"""
        return self._observed(cat(x, dim))

    def add_relu(self, x: Tensor, y: Tensor) -> Tensor:
        """``relu(x + y)``"""
        return self._observed((x + y).relu())

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        """``x @ y``"""
        return self._observed(x @ y)
