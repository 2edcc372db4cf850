"""A batch norm in evaluation is linear, so it can be merged into the weights of the preceding layer."""

from __future__ import annotations

import copy
from typing import TypeVar

from mini_dl.nn.modules.module import Module
from mini_dl.nn.parameter import Parameter
from mini_dl.tensor import Tensor

_M = TypeVar("_M", bound=Module)


def fuse_conv_bn_eval(conv: _M, bn: Module, transpose: bool = False) -> _M:
    """``fused(x) = bn(conv(x))``: one convolution, with scaled weights.

    Shapes: those of `conv`.
    Raises: AssertionError unless both are in evaluation mode.

    >>> conv, norm = torch.nn.Conv1d(2, 3, 2).eval(), torch.nn.BatchNorm1d(3).eval()
    >>> x = torch.ones(1, 2, 4)
    >>> bool(torch.nn.utils.fuse_conv_bn_eval(conv, norm)(x).allclose(norm(conv(x)), atol=1e-6))
    True
    """
    _check_fusible(conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """``weight = conv_w * s`` and ``bias = (conv_b - bn_rm) * s + bn_b``, for each output channel, with
    ``s = bn_w / sqrt(bn_rv + bn_eps)``.

    Shapes: `conv_w` (O, C, *kernel), the others (O); (C, O, *kernel) if `transpose` -> the shapes of weight and bias.
    Raises: RuntimeError if the sizes do not match.

    >>> statistics = torch.tensor([1.0]), torch.tensor([4.0])
    >>> weight, bias = torch.nn.utils.fuse_conv_bn_weights(torch.ones(1, 1, 1), None, *statistics, 0.0, None, None)
    >>> weight.item(), bias.item()
    (0.5, -0.5)
    """
    if conv_b is None:
        conv_b = _constant(bn_rm, 0, conv_w)
    if bn_w is None:
        bn_w = _constant(bn_rm, 1)
    if bn_b is None:
        bn_b = _constant(bn_rm, 0)
    shrink = (bn_rv + bn_eps).rsqrt()
    shape = [1] * conv_w.ndim
    shape[1 if transpose else 0] = -1
    weight = (conv_w * (bn_w * shrink).reshape(shape)).to(conv_w.dtype)
    bias = ((conv_b - bn_rm) * shrink * bn_w + bn_b).to(conv_b.dtype)
    return Parameter(weight, conv_w.requires_grad), Parameter(bias, conv_b.requires_grad)


def fuse_linear_bn_eval(linear: _M, bn: Module) -> _M:
    """``fused(x) = bn(linear(x))``: one linear layer, with scaled weights.

    Shapes: those of `linear`.
    Raises: AssertionError unless both are in evaluation mode, with equal numbers of features.

    >>> linear, norm = torch.nn.Linear(2, 3).eval(), torch.nn.BatchNorm1d(3).eval()
    >>> x = torch.ones(4, 2)
    >>> bool(torch.nn.utils.fuse_linear_bn_eval(linear, norm)(x).allclose(norm(linear(x)), atol=1e-6))
    True
    """
    _check_fusible(linear, bn)
    if bn.num_features not in (linear.out_features, 1):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, "
            f"got linear.out_features={linear.out_features} and bn.num_features={bn.num_features}"
        )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor, bn_b: Tensor
) -> tuple[Parameter, Parameter]:
    """``weight = linear_w * s`` and ``bias = (linear_b - bn_rm) * s + bn_b``, for each output, with
    ``s = bn_w / sqrt(bn_rv + bn_eps)``.

    Shapes: `linear_w` (O, I), the others (O) -> (O, I), (O).
    Raises: RuntimeError if the sizes do not match.

    >>> one = torch.ones(1)
    >>> weight, bias = torch.nn.utils.fuse_linear_bn_weights(torch.ones(1, 1), None, one, 4 * one, 0.0, one, one)
    >>> weight.item(), bias.item()
    (0.5, 0.5)
    """
    if linear_b is None:
        linear_b = _constant(bn_rm, 0, linear_w)
    scale = bn_w * (bn_rv + bn_eps).rsqrt()
    weight = linear_w * scale.unsqueeze(-1).to(linear_w.dtype)
    bias = ((linear_b - bn_rm) * scale + bn_b).to(linear_b.dtype)
    return Parameter(weight, linear_w.requires_grad), Parameter(bias, linear_b.requires_grad)


def _check_fusible(layer: Module, bn: Module) -> None:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")


def _constant(like: Tensor, value: float, dtype_of: Tensor | None = None) -> Tensor:
    return like.new_full(like.shape, value, dtype=(like if dtype_of is None else dtype_of).dtype)
