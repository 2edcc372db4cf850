"""The minimal time of a workload on this machine, unless operations are fused: each of torch's operators reads
its arguments and writes its results once, at the measured bandwidth, or multiplies at the measured peak, whichever takes longer.

Convolutions are counted as direct ones: Winograd's algorithm needs fewer multiplications, and may be faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from _speed_cases import FLOORS, Work, tensor

COPIED = 1 << 17, 1 << 20, 1 << 23
"""Array sizes whose copying shows the bandwidth of a cache, of the next one, and of memory."""


def best(work: Work, seconds: float = 1.0) -> float:
    """The shortest time of one call."""
    end, shortest = time.perf_counter() + seconds, float("inf")
    while time.perf_counter() < end:
        began = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - began)
    return shortest


class Machine:
    """The machine's speed, by the faster of the libraries: floating point operations, and bytes, per second."""

    def __init__(self, libraries: tuple[ModuleType, ModuleType]) -> None:
        self.peak = max(2 * 1024**3 / best(self.product(torch)) for torch in libraries)
        self.bandwidths = {8 * n: max(8 * n / best(self.copying(torch, n)) for torch in libraries) for n in COPIED}

    def product(self, torch: Any) -> Work:
        a, b = tensor(torch, 1024, 1024), tensor(torch, 1024, 1024)
        return lambda: a @ b

    def copying(self, torch: Any, numbers: int) -> Work:
        source, target = tensor(torch, numbers), tensor(torch, numbers)
        return lambda: target.copy_(source)

    def __str__(self) -> str:
        shown = ", ".join(f"{speed / 1e9:.0f} GB/s up to {size >> 10} KB" for size, speed in self.bandwidths.items())
        return f"peak {self.peak / 1e9:.0f} GFLOP/s; bandwidth {shown}"

    def seconds(self, operations: int, moved: int) -> float:
        """The time of an operator; its data come from the nearest memory they fit into."""
        size = next((size for size in self.bandwidths if moved <= size), max(self.bandwidths))
        return max(operations / self.peak, moved / self.bandwidths[size])

    def floor(self, torch: Any, name: str, make: Callable[[Any], Work]) -> float:
        """The minimal seconds that the operators of the workload take."""
        from torch.utils._python_dispatch import TorchDispatchMode  # type: ignore[import-not-found, unused-ignore]

        machine, total = self, [0.0]

        class Count(TorchDispatchMode):  # type: ignore[misc, unused-ignore]
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                result = func(*args, **(kwargs or {}))
                read, written = tensors((args, kwargs)), tensors(result)
                places = {place(t) for t in read}
                new = [t for t in written if place(t) not in places]
                if new or func._schema.is_mutable:  # not a view
                    moved = sum([t.numel() * t.element_size() for t in [*read, *(new or written)]])
                    total[0] += machine.seconds(operations(func, args, kwargs or {}, result), moved)
                return result

        work = FLOORS.get(name, make)(torch)
        work()
        with Count():
            work()
        return total[0]


def place(t: Any) -> int:
    """Where the memory of a tensor begins; that of a transform may have none."""
    try:
        return int(t.untyped_storage().data_ptr())
    except RuntimeError:
        return id(t)


def tensors(found: Any) -> list[Any]:
    """The tensors within arguments or results."""
    if isinstance(found, (list, tuple)):
        return [t for each in found for t in tensors(each)]
    if isinstance(found, dict):
        return tensors(list(found.values()))
    return [found] if hasattr(found, "untyped_storage") else []


def operations(func: Any, args: Any, kwargs: Any, result: Any) -> int:
    """Multiplications and additions of torch's operator, for matrix products."""
    from torch.utils.flop_counter import flop_registry  # type: ignore[import-not-found, unused-ignore]

    packet, name = func.overloadpacket, func.overloadpacket.__name__
    backward = name.endswith("_backward")
    if name.startswith("mkldnn_rnn_layer"):  # input, two weights
        return (4 if backward else 2) * args[0].shape[0] * args[0].shape[1] * (args[1].numel() + args[2].numel())
    if name.startswith("_scaled_dot_product_flash_attention_for_cpu"):
        q, k, causal = (*args[1:3], args[7]) if backward else (*args[:2], args[4] if len(args) > 4 else kwargs.get("is_causal"))
        return int((5 if backward else 2) * 2 * q.numel() * k.shape[2] * (0.5 if causal else 1))
    return int(flop_registry[packet](*args, **kwargs, out_val=result)) if packet in flop_registry else 0
