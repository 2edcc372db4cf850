"""A case: a model that is trained for three steps, or a function whose results are compared.

Cases are written as any user of the package would write them. The worker runs it with the seed set; numbers are float64 unless it
says otherwise, so that differences are not rounding errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CASES: dict[str, Case] = {}
"""The cases of the package whose module was imported, by name."""


@dataclass
class Case:
    """`run()` returns named results in the order of computation: the first difference says most."""

    run: Callable[[], dict[str, Any]]
    dtype: str = "float64"
    slow: bool = False
    single: bool = False
    """The package computes part of it in float32 whatever the type of its input."""


def function(call: Callable[[], Any]) -> Callable[[], Any]:
    """The decorated function is a case: its results, nested lists, tuples and dicts, are compared."""
    CASES[call.__name__] = Case(lambda: {"result": call()})
    return call


def model(
    name: str, build: Callable[[], Any], *inputs: Callable[[], Any], slow: bool = False, single: bool = False, **options: Any
) -> None:
    """A model is a case: its output, loss and gradients, then its parameters, buffers and losses after three steps."""
    CASES[name] = Case(lambda: trained(build, inputs, **options), slow=slow, single=single)


def images(size: int = 64, channels: int = 3, batch: int = 2) -> Callable[[], Any]:
    """Draws images."""
    import torch

    return lambda: torch.randn(batch, channels, size, size)


def tokens(high: int, *shape: int) -> Callable[[], Any]:
    """Draws token numbers below `high`."""
    import torch

    return lambda: torch.randint(high, shape)


def numbers(*shape: int) -> Callable[[], Any]:
    """Draws normal numbers."""
    import torch

    return lambda: torch.randn(*shape)


def trained(build: Callable[[], Any], inputs: tuple[Callable[[], Any], ...], steps: int = 3, **keywords: Any) -> dict[str, Any]:
    """The results of a few steps of SGD with momentum on the mean square of everything the model returns."""
    import torch

    net = build()
    args = [draw() for draw in inputs]
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    found: dict[str, Any] = {"parameters": [p.detach().clone() for p in net.parameters()]}
    for step in range(steps):
        optimizer.zero_grad()
        output = net(*args, **keywords)
        loss = sum((t * t).mean() for t in floating(output))
        loss.backward()
        if step == 0:
            found |= {"output": [t.detach().clone() for t in floating(output)], "loss": loss.item()}
            found["gradients"] = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
        optimizer.step()
    return found | {"loss after": loss.item(), "state after": {name: t for name, t in net.state_dict().items()}}


def floating(value: Any) -> list[Any]:
    """The tensors with gradients in a model's output."""
    import torch

    if isinstance(value, torch.Tensor):
        return [value] if value.requires_grad else []
    parts = value.values() if hasattr(value, "values") else value if isinstance(value, (list, tuple)) else ()
    return [tensor for part in parts for tensor in floating(part)]
