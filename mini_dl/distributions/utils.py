"""Shared helpers: broadcast parameters, probabilities and logits, triangles of matrices, lazy properties."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from mini_dl import _dtypes
from mini_dl._dtypes import finfo, get_default_dtype
from mini_dl.autograd.mode import enable_grad, no_grad
from mini_dl.ops.activation import softmax
from mini_dl.ops.copies import broadcast_tensors
from mini_dl.ops.creation import empty
from mini_dl.ops.from_data import tensor
from mini_dl.ops.ranges import arange
from mini_dl.overrides import is_tensor_like
from mini_dl.tensor import Size, Tensor

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

Value: TypeAlias = Tensor | float
"""A parameter: a tensor, or a number for all of its elements."""

euler_constant = 0.57721566490153286060
NUMBERS = (int, float, bool)


def broadcast_all(*values: object) -> Any:
    """Tensors of one shape from tensors and numbers. A number takes the type of the first tensor, or the default type.

    ValueError for anything else.

    >>> import mini_dl as torch
    >>> torch.distributions.utils.broadcast_all(torch.zeros(2), 1.0)
    (tensor([0., 0.]), tensor([1., 1.]))
    """
    tensors = [value for value in values if is_tensor_like(value)]
    if len(tensors) == len(values):
        return broadcast_tensors(*values)
    if not all([is_tensor_like(value) or isinstance(value, NUMBERS) for value in values]):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    dtype = next((value.dtype for value in tensors if isinstance(value, Tensor)), get_default_dtype())
    return broadcast_tensors(*[value if is_tensor_like(value) else tensor(value, dtype=dtype) for value in values])


def standard_normal(shape: Sequence[int], like: Tensor) -> Tensor:
    """Standard normal numbers of the type of `like`."""
    return empty(shape, dtype=like.dtype).normal_()


def consecutive(value: Tensor, dim: int, lengths: Sequence[int]) -> Iterator[Tensor]:
    """The consecutive parts of these lengths along `dim`."""
    start = 0
    for length in lengths:
        yield value.narrow(dim, start, length)
        start += length


def sum_rightmost(value: Tensor, dim: int) -> Any:
    """The sum over the last `dim` dimensions."""
    return value if dim == 0 else value.reshape(value.shape[:-dim] + (-1,)).sum(-1)


# ------------------------------------------------------------------------------------------------ probabilities


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """The sigmoid of the logits, or their softmax over the last dimension."""
    return logits.sigmoid() if is_binary else softmax(logits, -1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities at least an epsilon away from 0 and 1."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """``log(p / (1 - p))``, or ``log(p)`` of several classes; finite also at 0 and 1."""
    clamped = clamp_probs(probs)
    return clamped.log() - (-clamped).log1p() if is_binary else clamped.log()


# ------------------------------------------------------------------------------------------------ properties


class lazy_property:
    """A property that is computed on first access, with gradients, and then stored as an attribute."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)  # type: ignore[arg-type]

    def __get__(self, instance: object, owner: object = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def given_by(formula: Callable[[Any], Any]) -> Any:
    """A property that is a formula of the parameters."""
    return property(formula)


if TYPE_CHECKING:

    class TensorGiven:
        """A property that is a tensor."""

        def __init__(self, formula: Callable[[Any], Tensor]) -> None: ...
        def __get__(self, instance: object, owner: type | None = None) -> Tensor: ...

else:
    TensorGiven = property


def tensor_given_by(formula: Callable[[Any], Tensor]) -> TensorGiven:
    """The same, for a tensor."""
    return TensorGiven(formula)


def sampled_by(draw: Callable[..., Tensor], *parameters: str) -> Callable[..., Tensor]:
    """The method `sample`: ``draw`` of these parameters, expanded to the shape of the samples, without gradients."""

    @no_grad()
    def sample(self: Any, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return draw(*[getattr(self, name).expand(shape) for name in parameters])

    return sample


# ------------------------------------------------------------------------------------------------ triangles


def _below(n: int, diag: int) -> Tensor:
    """Where an n x n matrix is on or below that diagonal."""
    numbers = arange(n)
    return numbers < numbers.view(-1, 1) + (diag + 1)


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements on and below a diagonal, row by row. ValueError if there is no such diagonal."""
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    return mat[..., _below(n, diag)]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """The matrix of which `tril_matrix_to_vec` gives `vec`, with zeros above. ValueError if no matrix has its length."""
    length = vec.shape[-1]
    n = (-(1 + 2 * diag) + ((1 + 2 * diag) ** 2 + 8 * length + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    if round(n) - n > finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {length} which cannot be expressed as the lower triangular part of a square D x D "
            "matrix."
        )
    matrix = vec.new_zeros(vec.shape[:-1] + Size((round(n), round(n))))
    matrix[..., _below(round(n), diag)] = vec
    return matrix


# ------------------------------------------------------------------------------------------------ names that programs use

_sum_rightmost = sum_rightmost


def _standard_normal(shape: Sequence[int], dtype: _dtypes.dtype, device: object) -> Tensor:
    return empty(shape, dtype=dtype, device=device).normal_()
