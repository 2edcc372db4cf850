"""Reductions over runs of elements: each run has its own length."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mini_dl._checks import wrap_dim
from mini_dl._surface import function
from mini_dl.autograd.elements import by_element
from mini_dl.ops.creation import full
from mini_dl.tensor import Tensor, wrap

STARTS = {"sum": 0.0, "mean": 0.0, "max": -math.inf, "min": math.inf, "prod": 1.0}
"""The result for an empty run, except that its mean is NaN."""
REDUCED_BY = {"sum": "sum", "mean": "sum", "max": "amax", "min": "amin", "prod": "prod"}


@function()
@by_element
def segment_reduce(
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    indices: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: object = None,
) -> Tensor:
    """Each run along `axis`, of the given `lengths` or between `offsets`, reduced to one:
    ``out[s] = reduce(data[offsets[s]:offsets[s + 1]])``

    `reduce` is "sum", "mean", "max", "min" or "prod"; `initial` is where each run starts.

    Shapes: `data` (*batch, n, *in), `lengths` (*batch, s), `offsets` (*batch, s + 1) -> (*batch, s, *in), with * of `axis`
    dimensions.
    Raises: RuntimeError unless the lengths add up to n, and for an unknown `reduce`.

    >>> torch.segment_reduce(torch.tensor([1.0, 2.0, 3.0]), "sum", lengths=torch.tensor([1, 2]))
    tensor([1., 5.])
    """
    if reduce not in STARTS:
        raise RuntimeError(f"Expected reduce to be one of {', '.join(STARTS)}, but got {reduce}")
    axis = wrap_dim(axis, data.ndim)
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    counts = np.diff(offsets._array, axis=-1) if lengths is None else lengths._array  # type: ignore[union-attr]
    _check(data, counts, axis, unsafe)
    rows = [np.repeat(np.arange(row.size), row) for row in counts.reshape(-1, counts.shape[-1])]
    used = max([row.size for row in rows], default=0)
    if any([row.size != used for row in rows]):
        raise RuntimeError("segment_reduce(): Expected all rows of lengths along axis to have the same sum")
    to = np.array(rows, np.int64).reshape(*counts.shape[:-1], used, *[1] * (data.ndim - axis - 1))
    source = data.narrow(axis, 0, used)
    index = wrap(np.ascontiguousarray(np.broadcast_to(to, source._array.shape)))
    start = STARTS[reduce] if initial is None else initial
    shape = (*data.shape[:axis], counts.shape[-1], *data.shape[axis + 1 :])
    found = full(shape, start, dtype=data.dtype).scatter_reduce(axis, index, source, REDUCED_BY[reduce], include_self=True)
    if reduce != "mean":
        return found
    sizes = counts.reshape(*counts.shape, *[1] * (data.ndim - axis - 1)).astype(data._array.dtype)
    if initial is not None:
        sizes[sizes == 0] = 1
    return found / wrap(sizes)


def _check(data: Tensor, counts: Any, axis: int, unsafe: bool) -> None:
    if data.ndim < 1:
        raise RuntimeError("segment_reduce(): Expected data.dim() >= 1.")
    if counts.ndim != axis + 1:
        raise RuntimeError(f"segment_reduce(): Expected axis to be the last dimension of lengths but got {axis}.")
    if not unsafe and (counts < 0).any():
        raise RuntimeError("lengths contains negative value!")
    if not unsafe and (counts.sum(-1) != data.shape[axis]).any():
        raise RuntimeError(
            "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when !unsafe."
        )
