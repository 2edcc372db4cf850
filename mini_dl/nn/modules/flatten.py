"""Merging several dimensions into one, and splitting one into several."""

from __future__ import annotations

from collections.abc import Sequence

from mini_dl.nn.modules.configured import Configured
from mini_dl.tensor import Tensor


class Flatten(Configured):
    """``out[n, i * W + j] = input[n, i, j]``: the dimensions from `start_dim` to `end_dim` merged.

    Shapes: (*, *in, *) -> (*, prod(in), *).
    Raises: IndexError for a dimension that `input` lacks.

    >>> torch.nn.Flatten()(torch.ones(2, 3, 4)).shape
    torch.Size([2, 12])
    """

    start_dim: int = 1
    end_dim: int = -1

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)


class Unflatten(Configured):
    """``out[n, i, j] = input[n, i * W + j]``: the dimension `dim` split into the sizes `unflattened_size`.

    Shapes: (*, K, *) -> (*, *unflattened_size, *).
    Raises: TypeError unless the sizes are a tuple of ints; RuntimeError unless their product is the size of `dim`.

    >>> torch.nn.Unflatten(1, (3, 4))(torch.ones(2, 12)).shape
    torch.Size([2, 3, 4])
    """

    dim: int
    unflattened_size: Sequence[int]

    def _check_fields(self) -> None:
        if not isinstance(self.unflattened_size, (tuple, list)):
            kind = type(self.unflattened_size).__name__
            raise TypeError(f"unflattened_size must be a tuple of ints, but found type {kind}")
        for i, size in enumerate(self.unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    f"unflattened_size must be tuple of ints, but found element of type {type(size).__name__} at pos {i}"
                )

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)
