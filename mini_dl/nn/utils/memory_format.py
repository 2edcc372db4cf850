"""The order of the dimensions of convolution weights in memory."""

from __future__ import annotations

from typing import TypeVar

from mini_dl.nn.modules.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d
from mini_dl.nn.modules.module import Module

_M = TypeVar("_M", bound=Module)


def convert_conv2d_weight_memory_format(module: _M, memory_format: object) -> _M:
    """``weight = weight.clone(memory_format=memory_format)`` for all two-dimensional convolutions below `module`, which is
    returned.

    Shapes: weights (O, C, K1, K2), unchanged: only the memory layout changes.
    Raises: AttributeError unless `module` is a Module.

    >>> conv = torch.nn.Conv2d(3, 4, 2)
    >>> torch.nn.utils.convert_conv2d_weight_memory_format(conv, torch.channels_last).weight.stride()
    (12, 1, 6, 3)
    """
    return _convert(module, memory_format, (Conv2d, ConvTranspose2d))


def convert_conv3d_weight_memory_format(module: _M, memory_format: object) -> _M:
    """``weight = weight.clone(memory_format=memory_format)`` for all three-dimensional convolutions below `module`, which is
    returned.

    Shapes: weights (O, C, K1, K2, K3), unchanged: only the memory layout changes.
    Raises: AttributeError unless `module` is a Module.

    >>> conv = torch.nn.Conv3d(3, 4, 2)
    >>> torch.nn.utils.convert_conv3d_weight_memory_format(conv, torch.channels_last_3d).weight.stride()
    (24, 1, 12, 6, 3)
    """
    return _convert(module, memory_format, (Conv3d, ConvTranspose3d))


def _convert(module: _M, memory_format: object, kinds: tuple[type[Module], ...]) -> _M:
    for part in module.modules():
        if isinstance(part, kinds):
            part.weight.data = part.weight.detach().clone(memory_format=memory_format)
    return module
