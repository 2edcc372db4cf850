"""Several devices: here there is one, so `DataParallel` calls its module, as it does in a torch without GPUs."""

from __future__ import annotations

from typing import Any, NoReturn

from mini_dl._device import compiled_without
from mini_dl.nn.modules.module import Module

__all__ = ["DataParallel", "data_parallel", "gather", "parallel_apply", "replicate", "scatter"]


class DataParallel(Module):
    """Calls `module`; the keys of its state begin with ``module.``. Without GPUs, `device_ids` and the others have no effect.

    >>> import mini_dl as torch
    >>> model = torch.nn.DataParallel(torch.nn.Linear(2, 1), device_ids=[0, 1])
    >>> list(model.state_dict()), model.device_ids
    (['module.weight', 'module.bias'], [])
    """

    module: Module
    device_ids: list[int]

    def __init__(self, module: Module, device_ids: object = None, output_device: object = None, dim: int = 0) -> None:
        super().__init__()
        self.module, self.device_ids = module, []

    def __class_getitem__(cls, _: object) -> type[DataParallel]:  # torch's class is generic
        return cls

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Module, inputs: object, device_ids: object = None, output_device: object = None, dim: int = 0,
    module_kwargs: object = None,
) -> NoReturn:  # fmt: skip
    """RuntimeError: there is no GPU to compute on."""
    raise RuntimeError("device type could not be determined")


def replicate(network: Module, devices: object, detach: bool = False) -> NoReturn:
    """AssertionError: there are no GPUs for the replicas."""
    compiled_without("CUDA")


def parallel_apply(modules: object, inputs: object, kwargs_tup: object = None, devices: object = None) -> NoReturn:
    """AssertionError: there are no GPUs for the modules."""
    compiled_without("CUDA")


def scatter(inputs: object, target_gpus: object, dim: int = 0) -> NoReturn:
    """AssertionError: there are no GPUs to scatter to."""
    compiled_without("CUDA")


def gather(outputs: object, target_device: object, dim: int = 0) -> NoReturn:
    """AssertionError: there are no GPUs to gather from."""
    compiled_without("CUDA")
