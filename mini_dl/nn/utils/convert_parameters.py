"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from mini_dl.ops.joining import cat
from mini_dl.tensor import Tensor, typename


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """``cat([p.flatten() for p in parameters])``: all parameters in one vector.

    Shapes: tensors of any shapes -> (the number of their elements).
    Raises: ValueError for no parameters; AttributeError for anything but a tensor.

    >>> torch.nn.utils.parameters_to_vector([torch.ones(2), torch.zeros(1, 2)])
    tensor([1., 1., 0., 0.])
    """
    return cat([param.reshape(-1) for param in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """``parameters[i] = vec[a : b].reshape(shape)``: each parameter becomes a piece of `vec`, whose memory it shares.

    Shapes: `vec` (the number of elements of the parameters).
    Raises: TypeError if `vec` is not a tensor; RuntimeError if it is too short.

    >>> w = torch.nn.Parameter(torch.zeros(2))
    >>> torch.nn.utils.vector_to_parameters(torch.tensor([1.0, 2.0]), [w])
    >>> w.detach()
    tensor([1., 2.])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {typename(vec)}")
    start = 0
    for param in parameters:
        size = param.numel()
        param.data = vec[start : start + size].view_as(param).data
        start += size
