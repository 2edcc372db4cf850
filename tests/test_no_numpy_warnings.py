"""NumPy's warnings never reach the user: numbers that a type cannot hold become infinite, or wrap around, silently."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mini_dl as torch

LARGE = torch.tensor([1e30, -1e300, float("nan"), float("inf")], dtype=torch.float64)
TYPES = [torch.float16, torch.float32, torch.uint8, torch.int32, torch.int64, torch.bool, torch.complex64]


def operands(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ones(4).to(dtype), LARGE


CALLS: dict[str, Callable[[torch.Tensor, torch.Tensor], Any]] = {
    "number": lambda x, large: x == 1e300,
    "number on the left": lambda x, large: 1e300 - x,
    "remainder": lambda x, large: torch.fmod(x, 1e300),
    "sign": lambda x, large: torch.copysign(x, -1e300),
    "0-d": lambda x, large: x * large[1],
    "0-d and single": lambda x, large: x.float() - large[1],
    "to": lambda x, large: large.to(x.dtype),
    "to, expanded": lambda x, large: large[:1].expand(3).to(x.dtype),
    "copy_": lambda x, large: x.copy_(large),
    "by index": lambda x, large: x.__setitem__(0, large[1]),
    "by slice": lambda x, large: x.__setitem__(slice(0, 4), large),
    "out": lambda x, large: torch.kron(large.float(), torch.ones(1), out=torch.empty(4, dtype=torch.float16)),
    "out, promoted": lambda x, large: torch.add(large, 1, out=torch.empty(4)),
    "tensor": lambda x, large: torch.tensor(np.array([1e300, np.nan]), dtype=x.dtype),
    "as_tensor": lambda x, large: torch.as_tensor(np.array([1e300, np.nan]), dtype=x.dtype),
    "cat": lambda x, large: torch.cat([x, large]),
    "where": lambda x, large: torch.where(x.bool(), x, large[1]),
    "sum": lambda x, large: large.sum(dtype=x.dtype),
    "grid_sample": lambda x, large: torch.nn.functional.grid_sample(
        torch.ones(1, 1, 2, 2).half(), torch.zeros(1, 2, 2, 2).half(), align_corners=False
    ),
}


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("name", CALLS)
def test_no_warning_of_numpy_is_seen(name: str, dtype: torch.dtype) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for _ in range(2):  # the first call of a primitive is checked, and takes another way
            with contextlib.suppress(RuntimeError, NotImplementedError, ValueError):  # some types are refused
                CALLS[name](*operands(dtype))


def test_gradients_are_cast_without_a_warning() -> None:
    x = torch.ones(2, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        (x.double() * 1e300).sum().backward()
    assert x.grad is not None and x.grad.isinf().all()


def test_values_outside_kernels_are_computed_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        torch.nn.Embedding(5, 3, max_norm=2, norm_type=1e300)(torch.tensor([0, 1]))
        torch.histc(torch.tensor([-3e38, 3e38]), 4)
        with pytest.raises(RuntimeError, match="p_in"):
            torch.bernoulli(torch.tensor([float("nan"), 2.0], dtype=torch.float16))
