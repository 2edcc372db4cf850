"""Choosing the attention kernel, named masks, and attention whose scores a function modifies."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mini_dl._settings import KERNELS, kernels_allowed

__all__ = ["WARN_FOR_UNFUSED_KERNELS", "SDPBackend", "sdpa_kernel"]

WARN_FOR_UNFUSED_KERNELS = False


class SDPBackend(enum.IntEnum):
    """The kernels that torch has for ``scaled_dot_product_attention``. Here there is only one, which computes the same as all of
    them.
    """

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


_NAMES = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "mem_efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}


def _cur_sdpa_kernel_backends(with_priority: bool = False) -> list[SDPBackend]:
    return [kernel for name, kernel in _NAMES.items() if KERNELS[name]]


@contextmanager
def sdpa_kernel(backends: object, set_priority: bool = False) -> Iterator[dict[str, Any]]:
    """Within it, attention may use these kernels of torch's. All of them give the same numbers.

    Raises: AssertionError unless `backends` is an SDPBackend or a list of them.

    >>> from mini_dl.nn.attention import SDPBackend, sdpa_kernel
    >>> with sdpa_kernel([SDPBackend.MATH]):
    ...     torch.backends.cuda.flash_sdp_enabled()
    False
    """
    if not isinstance(backends, (list, SDPBackend)):
        raise AssertionError(
            f"Backend must be an instance of SDPBackend or a list of SDPBackend instances, got {type(backends).__name__}"
        )
    chosen = [backends] if isinstance(backends, SDPBackend) else backends
    before = kernels_allowed(**{name: kernel in chosen for name, kernel in _NAMES.items()})
    try:
        yield {}
    finally:
        kernels_allowed(**before)
