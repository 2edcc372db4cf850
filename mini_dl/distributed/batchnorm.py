"""Batch normalization over the samples of all processes: `nn.SyncBatchNorm` with several processes."""

from __future__ import annotations

from typing import Any

from mini_dl.autograd.mode import no_grad
from mini_dl.distributed.groups import group as World
from mini_dl.distributed.nn.functional import all_reduce
from mini_dl.nn.modules import batchnorm
from mini_dl.ops.from_data import tensor
from mini_dl.tensor import Tensor


def sync_batch_norm(module: Any, input: Tensor) -> Tensor | None:
    """`input` with mean 0 and variance 1 of each channel over all samples of all processes, scaled and shifted; None if this
    process is alone.

    Two sums over the processes, of values and of squared distances from the mean, and two in backward; gradients of scale and
    shift are those of this process. Processes may have different numbers of samples. ValueError for a single value.
    """
    group = module.process_group or World.WORLD
    if group is None or group.size() == 1:
        return None
    dims = [dim for dim in range(input.ndim) if dim != 1]
    shape = [1, -1] + [1] * (input.ndim - 2)
    single = input.float() if input.dtype.itemsize < 4 else input
    n = all_reduce(tensor(float(input.numel() // input.shape[1])), group=group).item()
    if n <= 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {tuple(input.shape)}")
    mean = all_reduce(single.sum(dims), group=group) / n
    centered = single - mean.view(shape)
    variance = all_reduce((centered * centered).sum(dims), group=group) / n
    momentum = module._momentum_of_step()
    with no_grad():
        if module.running_mean is not None:
            module.running_mean.lerp_(mean.to(module.running_mean.dtype), momentum)
            module.running_var.lerp_((variance * (n / (n - 1))).to(module.running_var.dtype), momentum)
    output = centered * (variance + module.eps).rsqrt().view(shape)
    if module.weight is not None:
        output = output * module.weight.view(shape)
    if module.bias is not None:
        output = output + module.bias.view(shape)
    return output.to(input.dtype)


batchnorm.over_processes = sync_batch_norm
