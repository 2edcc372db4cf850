from __future__ import annotations

from typing import Any

import numpy as np

from mini_dl._checks import infer_size, sizes
from mini_dl._dtypes import Array
from mini_dl._surface import method, tensor_method
from mini_dl.autograd.primitive import view
from mini_dl.tensor import Tensor


@view(input=lambda grad: grad)  # the engine sums back to the input's shape
def _expand(input: Array, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(input, shape)


@tensor_method()
def expand(self: Tensor, *size: Any) -> Tensor:
    return _expand(self, sizes(size))


@view(input=lambda grad, input_shape: grad.reshape(input_shape))
def _reshape(input: Array, shape: tuple[int, ...]) -> Array:
    return input.reshape(shape)


@method()
def reshape(input: Tensor, *shape: Any) -> Tensor:
    return _reshape(input, infer_size(sizes(shape), input._array.size))
