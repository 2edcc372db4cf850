"""Gradients of convolutions as functions: the adjoints, given the shape that the output does not determine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mini_dl._families import with_family
from mini_dl._surface import named
from mini_dl.autograd.backwards import grad
from mini_dl.autograd.mode import enable_grad, is_grad_enabled
from mini_dl.nn import functional as F
from mini_dl.nn._types import Ints
from mini_dl.tensor import Tensor

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def _gradient(
    n: int, made: Callable[[Tensor], tuple[Tensor, Tensor]], size: Sequence[int], grad_output: Tensor, *options: object
) -> Tensor:
    """The gradient of a convolution for the argument of this size: `made` combines it with the other."""
    recorded = is_grad_enabled()
    with enable_grad():
        wanted = grad_output.new_zeros(1).expand(tuple(size)).requires_grad_()
        output = getattr(F, f"conv{n}d")(*made(wanted), None, *options)
        return grad(output, wanted, grad_output, create_graph=recorded)[0]


def _of_input(n: int) -> Callable[..., Tensor]:
    def of_input(
        input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Ints = 1, padding: Ints = 0, dilation: Ints = 1,
        groups: int = 1,
    ) -> Tensor:  # fmt: skip
        return _gradient(n, lambda input: (input, weight), input_size, grad_output, stride, padding, dilation, groups)

    doc = f"""``out[n, c, j] = sum(weight[o, c, k] * grad_output[n, o, i], (o, k))``,
    ``j = i * stride - padding + k * dilation``: the gradient of ``conv{n}d`` with respect to its input.

    Family: gradient of a convolution {n}d

    >>> nn.grad.conv{n}d_input((1, 1{", 3" * n}), torch.ones(1, 1{", 2" * n}), torch.ones(1, 1{", 2" * n})).flatten()[:3]
    tensor([1., 2., 1.])
    """
    return named(of_input, f"conv{n}d_input", with_family(doc))


def _of_weight(n: int) -> Callable[..., Tensor]:
    def of_weight(
        input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Ints = 1, padding: Ints = 0, dilation: Ints = 1,
        groups: int = 1,
    ) -> Tensor:  # fmt: skip
        return _gradient(n, lambda weight: (input, weight), weight_size, grad_output, stride, padding, dilation, groups)

    doc = f"""``out[o, c, k] = sum(input[n, c, i * stride - padding + k * dilation] * grad_output[n, o, i], (n, i))``

    The gradient of ``conv{n}d`` with respect to its weight.

    Family: gradient of a convolution {n}d

    >>> nn.grad.conv{n}d_weight(torch.ones(1, 1{", 3" * n}), (1, 1{", 2" * n}), torch.ones(1, 1{", 2" * n})).flatten()[:2]
    tensor([{2.0**n:.0f}., {2.0**n:.0f}.])
    """
    return named(of_weight, f"conv{n}d_weight", with_family(doc))


conv1d_input, conv2d_input, conv3d_input = _of_input(1), _of_input(2), _of_input(3)
conv1d_weight, conv2d_weight, conv3d_weight = _of_weight(1), _of_weight(2), _of_weight(3)
