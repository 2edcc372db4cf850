"""Several devices: here there is one, so `DataParallel` calls its module, as torch does without GPUs."""

from __future__ import annotations

from typing import Any, NoReturn

from mini_dl._device import compiled_without
from mini_dl.nn.modules.module import Module

__all__ = ["DataParallel", "data_parallel", "gather", "parallel_apply", "replicate", "scatter"]


class DataParallel(Module):
    """``out = module(input)``: the keys of its state begin with ``module.``. Without GPUs, `device_ids` and the other options
    have no effect.

    Shapes: what `module` takes -> what it returns.
    Raises: what `module` raises.

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
    """``module(inputs)`` on several GPUs: there are none.

    Raises: RuntimeError, always.

    >>> nn.parallel.data_parallel(nn.ReLU(), torch.ones(1))
    Traceback (most recent call last):
        ...
    RuntimeError: device type could not be determined
    """
    raise RuntimeError("device type could not be determined")


def replicate(network: Module, devices: object, detach: bool = False) -> NoReturn:
    """Copies of `network` on several GPUs: there are none.

    Raises: AssertionError, always.

    >>> nn.parallel.replicate(nn.ReLU(), [0])
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled
    """
    compiled_without("CUDA")


def parallel_apply(modules: object, inputs: object, kwargs_tup: object = None, devices: object = None) -> NoReturn:
    """Calls of `modules` at once on several GPUs: there are none.

    Raises: AssertionError, always.

    >>> nn.parallel.parallel_apply([nn.ReLU()], [torch.ones(1)])
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled
    """
    compiled_without("CUDA")


def scatter(inputs: object, target_gpus: object, dim: int = 0) -> NoReturn:
    """Slices of `inputs` along `dim` on several GPUs: there are none.

    Raises: AssertionError, always.

    >>> nn.parallel.scatter(torch.ones(1), [0])
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled
    """
    compiled_without("CUDA")


def gather(outputs: object, target_device: object, dim: int = 0) -> NoReturn:
    """`outputs` of several GPUs, joined along `dim`: there are none.

    Raises: AssertionError, always.

    >>> nn.parallel.gather([torch.ones(1)], 0)
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled
    """
    compiled_without("CUDA")
