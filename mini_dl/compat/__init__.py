"""Run programs written for PyTorch unchanged: once enabled, ``import torch`` gives mini_dl.

On a command line, ``python -m mini_dl train.py``; in a notebook or a test::

    from mini_dl.compat import torch_proxy

    with torch_proxy():
        import torch
        from torch import nn

Nothing happens unless it is enabled.
"""

from mini_dl.compat.proxy import (
    TorchProxy as TorchProxy,
    disable_torch_proxy as disable_torch_proxy,
    enable_torch_proxy as enable_torch_proxy,
    is_torch_proxy_enabled as is_torch_proxy_enabled,
    torch_proxy as torch_proxy,
)

__all__ = ["TorchProxy", "disable_torch_proxy", "enable_torch_proxy", "is_torch_proxy_enabled", "torch_proxy"]
