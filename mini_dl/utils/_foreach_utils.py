"""Lists of tensors grouped by type, as third-party optimizers need them."""

from __future__ import annotations

from collections.abc import Sequence

from mini_dl.ops.foreach import _group_tensors_by_device_and_dtype as _group_tensors_by_device_and_dtype
from mini_dl.tensor import Tensor


def _get_foreach_kernels_supported_devices() -> list[str]:
    """None: on the CPU there are no kernels for whole lists."""
    return []


def _get_fused_kernels_supported_devices() -> list[str]:
    """None: no kernel computes a whole step."""
    return []


def _has_foreach_support(tensors: Sequence[Tensor], device: object) -> bool:
    return False


def _device_has_foreach_support(device: object) -> bool:
    return False
