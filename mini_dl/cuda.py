"""``torch.cuda`` of a build without CUDA: nothing is available, and functions that need a GPU say so."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NoReturn

from mini_dl._device import compiled_without
from mini_dl.amp import for_cuda


def is_available() -> bool:
    """False."""
    return False


def is_initialized() -> bool:
    """False."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False."""
    return False


def device_count() -> int:
    """0"""
    return 0


def get_arch_list() -> list[str]:
    """Nothing."""
    return []


def get_rng_state_all() -> list[Any]:
    """The states of no generators."""
    return []


def set_rng_state_all(new_states: Any) -> None:
    """Accepted for an empty list. AssertionError otherwise."""
    for _ in new_states:
        compiled_without("CUDA")


def manual_seed(seed: int) -> None:
    """Accepted: there is no generator to seed."""
    int(seed)


def manual_seed_all(seed: int) -> None:
    """Accepted: there is no generator to seed."""
    int(seed)


def seed() -> None:
    """Accepted: there is no generator to seed."""


def seed_all() -> None:
    """Accepted: there is no generator to seed."""


def empty_cache() -> None:
    """Accepted: there is no cache to empty."""


def memory_allocated(device: Any = None) -> int:
    """0"""
    return 0


def max_memory_allocated(device: Any = None) -> int:
    """0"""
    return 0


def memory_reserved(device: Any = None) -> int:
    """0"""
    return 0


def max_memory_reserved(device: Any = None) -> int:
    """0"""
    return 0


def memory_stats(device: Any = None) -> OrderedDict[str, Any]:
    """Nothing."""
    return OrderedDict()


def _needs_gpu(name: str) -> Any:
    def call(*args: Any, **kwargs: Any) -> NoReturn:
        compiled_without("CUDA")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "AssertionError: there is no GPU here."
    return call


for _name in (
    "init synchronize ipc_collect initial_seed current_device get_device_name get_device_capability get_device_properties "
    "mem_get_info get_rng_state set_rng_state current_stream default_stream can_device_access_peer"
).split():
    globals()[_name] = _needs_gpu(_name)


amp = for_cuda
