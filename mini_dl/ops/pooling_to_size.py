"""Pooling to a given size, adaptive and fractional; and max_unpool, which puts maxima back at their positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._checks import index_of
from mini_dl._dtypes import Array, Ints, Shape, int64, scalar_name
from mini_dl._spaces import INDICES
from mini_dl._surface import named, public
from mini_dl.autograd.formal import kinked
from mini_dl.autograd.inplace import memo_of
from mini_dl.autograd.primitive import linear_in, op
from mini_dl.kernels import pooling as kernels
from mini_dl.kernels.pooling import Windows
from mini_dl.ops.pooling import (
    _largest,
    _maxima,
    _means,
    _places,
    _values_at,
    ints_of,
    publish_pool,
    require_type,
    sizes_of_windows,
)
from mini_dl.ops.random import rand
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ adaptive


def _adaptive_out(name: str, n: int, input: Tensor, output_size: Ints, average: bool) -> Shape:
    """The checked output size; None in it means the size of the input."""
    shape = input._array.shape
    given: Any = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
    for o in given:
        if o is not None:
            index_of(o, f"{name}(): argument 'output_size' (position 2) must be tuple of ints")
    if n == 1:
        if len(shape) not in (2, 3):
            raise RuntimeError(
                f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 'self' "
                f"(while checking arguments for {name})"
            )
        if len(given) != 1:
            raise RuntimeError(f"{name}() argument 'output_size' should contain one int (got {len(given)})")
    elif isinstance(output_size, (tuple, list)) and len(shape) <= len(given):
        raise ValueError(f"Input dimension should be at least {len(given) + 1}")
    if len(given) != n:
        if average:
            raise RuntimeError(f"{name}: output_size must be {n}")
        raise RuntimeError(f"{name}(): internal error: output_size.size() must be {n}")
    if n > 1 and len(shape) not in (n + 1, n + 2):
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got{'' if average else ':'} {list(shape)}")
    out = tuple([size if o is None else int(o) for o, size in zip(given, shape[-n:])])
    if min(out) < 0:
        if average:
            listed = ", ".join([str(o) for o in ((1,) + out if n == 1 else out)])
            word = f"adaptive_avg_pool{max(n, 2)}d"
            raise RuntimeError(f"{word}: elements of output_size must be greater than or equal to 0 but received {{{listed}}}")
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(out)}: {[*shape[:-n], *out]}")
    for dim in range(len(shape) - n, len(shape)):
        if shape[dim] == 0:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes {list(shape)} "
                f"with dimension {dim} being empty"
            )
    return out


def _adaptive_avg_pool(n: int, input: Tensor, output_size: Ints) -> Tensor:
    out = _adaptive_out(f"adaptive_avg_pool{n}d", n, input, output_size, True)
    if set(out) == {1}:
        return input.mean(tuple(range(-n, 0)), keepdim=True)
    if 0 not in out and (input._array.size or n == 3):
        require_type(input._array.dtype, "f", f"adaptive_avg_pool{max(n, 2)}d")
    regions = tuple([kernels.adaptive_regions(size, o) for size, o in zip(input._array.shape[-n:], out)])
    windows = Windows(out, out, (0,) * n, (1,) * n, out)
    divisor = 1 if 0 in out else sizes_of_windows(regions, windows, input._array.shape[-n:], False)
    return _means(input, regions, divisor)


def _adaptive_means(n: int, example: str) -> Callable[..., Tensor]:
    """``adaptive_avg_pool{n}d``, published"""

    def adaptive_avg_pool(input: Tensor, output_size: Ints) -> Tensor:
        return _adaptive_avg_pool(n, input, output_size)

    doc = f"""``out[n, c, i] = mean(input[n, c, a : b])`` with ``a = floor(i * L / M)`` and ``b = ceil((i + 1) * L / M)``.

    L is the input size and M the output size, in each dimension; `a`, `b` and `i` are {INDICES[n]}.

    Family: adaptive pooling {n}d

    {example}
    """
    places = ("nn.functional", "torch") if n == 1 else ("nn.functional",)
    return public(*places)(named(adaptive_avg_pool, f"adaptive_avg_pool{n}d", doc))


adaptive_avg_pool1d = _adaptive_means(
    1,
    """>>> F.adaptive_avg_pool1d(torch.tensor([[1.0, 3.0, 5.0]]), 2)
    tensor([[2., 4.]])""",
)
adaptive_avg_pool2d = _adaptive_means(
    2,
    """>>> F.adaptive_avg_pool2d(torch.arange(6.0).reshape(1, 2, 3), (1, 3))
    tensor([[[1.5000, 2.5000, 3.5000]]])""",
)
adaptive_avg_pool3d = _adaptive_means(
    3,
    """>>> F.adaptive_avg_pool3d(torch.arange(8.0).reshape(1, 2, 2, 2), 1)
    tensor([[[[3.5000]]]])""",
)


def _adaptive_max_pool(n: int, input: Tensor, output_size: Ints, indices: bool) -> tuple[Tensor, Tensor | None]:
    out = _adaptive_out(f"adaptive_max_pool{n}d", n, input, output_size, False)
    require_type(input._array.dtype, "f", f"adaptive_max_pool{max(n, 2)}d")
    space = input._array.shape[-n:]
    if 0 not in out and all([size % o == 0 for size, o in zip(space, out)]):
        kernel = tuple([size // o for size, o in zip(space, out)])
        windows = Windows(kernel, kernel, (0,) * n, (1,) * n, out)
        values = _maxima(input, windows, memo_of(input))
        return values, _places(input, windows) if indices else None
    axes = []
    for size, o in zip(space, out):
        i = np.arange(o)
        starts, ends = i * size // max(o, 1), -(-(i + 1) * size // max(o, 1))
        taps = np.arange(int((ends - starts).max(initial=1)))
        axes.append(np.minimum(starts[:, None] + taps, ends[:, None] - 1))  # (out, K), with the last repeated if there are fewer
    places = _largest(input, axes)
    return _values_at(kinked(input), places, n), places


def _adaptive_max_family(n: int, example: str, places: str) -> None:
    """Publish ``adaptive_max_pool{n}d`` and ``adaptive_max_pool{n}d_with_indices``: `places` is for the second."""

    def with_indices(input: Tensor, output_size: Ints, return_indices: bool = False) -> Any:
        return _adaptive_max_pool(n, input, output_size, True)

    def adaptive_max_pool(input: Tensor, output_size: Ints, return_indices: bool = False) -> Any:
        found = _adaptive_max_pool(n, input, output_size, return_indices)
        return found if return_indices else found[0]

    name, (call, maxima) = f"adaptive_max_pool{n}d", example.split("\n")
    text = f"""``out[n, c, i] = max(input[n, c, a : b])`` with ``a = floor(i * L / M)`` and ``b = ceil((i + 1) * L / M)``{{}}.

    L is the input size and M the output size, in each dimension; `a`, `b` and `i` are {INDICES[n]}.

    Family: adaptive pooling {n}d

    >>> F.{name}{{}}{call}
    {{}}
    """
    publish_pool(adaptive_max_pool, name, text.format("", "", maxima), ("nn.functional",))
    doc = text.format(", and their indices", "_with_indices", f"({maxima}, {places})")
    publish_pool(with_indices, name + "_with_indices", doc, ("nn.functional",))
    if n == 1:
        public("torch:adaptive_max_pool1d")(with_indices)


_adaptive_max_family(1, "(torch.tensor([[1.0, 5.0, 3.0]]), 2)\ntensor([[5., 5.]])", "tensor([[1, 1]])")
_adaptive_max_family(2, "(torch.arange(6.0).reshape(1, 2, 3), (1, 3))\ntensor([[[3., 4., 5.]]])", "tensor([[[3, 4, 5]]])")
_adaptive_max_family(3, "(torch.arange(8.0).reshape(1, 2, 2, 2), 1)\ntensor([[[[7.]]]])", "tensor([[[[7]]]])")

# ------------------------------------------------------------------------------------------------ max_unpool


@linear_in("input")
@op(input=lambda grad, places, n: _values_at(grad, places, n))
def _unpool(input: Array, places: Array, out: Shape, n: int) -> Array:
    """(*, *in) -> (*, *out): zeros except for the inputs at their positions; the last of several for one position."""
    lead, count = input.shape[:-n], math.prod(input.shape[-n:])
    flat = np.zeros((math.prod(lead), math.prod(out)), input.dtype)
    np.put_along_axis(flat, places.reshape(len(flat), count), input.reshape(len(flat), count), 1)
    return flat.reshape(*lead, *out)


def _max_unpool(
    n: int, input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, output_size: Any
) -> Tensor:
    name = f"max_unpool{n}d"
    kernel = ints_of(name, "kernel_size", kernel_size, n, alone=False)
    pads = ints_of(name, "padding", padding, n, alone=False)
    steps = kernel if stride is None else ints_of(name, "stride", stride, n, alone=False)
    space = input._array.shape[-n:]
    default = [(i - 1) * s + k - 2 * p for i, s, k, p in zip(space, steps, kernel, pads)]
    out = default
    if output_size is not None:
        out = list(output_size)[2:] if len(output_size) == n + 2 else list(output_size)
        if len(out) != n:
            raise ValueError(
                f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of '{len(out)}'"
            )
        for d, (o, usual, s) in enumerate(zip(out, default, steps)):
            if not usual - s < o < usual + s:
                raise ValueError(f'invalid output_size "{output_size}" (dim {d} must be between {usual - s} and {usual + s})')
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"Input to max_unpooling{n}d should be a {n + 1}d or {n + 2}d Tensor, but got a tensor with {input.ndim} dimensions."
        )
    if indices._array.dtype != int64.numpy:
        raise RuntimeError(f"elements in indices should be type int64 but got: {scalar_name(indices._array.dtype)}")
    if indices._array.shape != input._array.shape:
        tail = [1] if n == 1 else []
        raise RuntimeError(
            "Expected shape of indices to be same as that of the input tensor "
            f"({[*input._array.shape, *tail]}) but got indices tensor with shape: {[*indices._array.shape, *tail]}"
        )
    if min(out) < 0:
        raise RuntimeError(f"max_unpooling: output_size must be non-negative, but got {out}")
    require_type(input._array.dtype, "f", f"max_unpool{max(n, 2)}d")
    places = indices._array
    if places.size and not is_abstract(places) and not (places.min() >= 0 and places.max() < math.prod(out)):
        bad = places.max() if places.max() >= math.prod(out) else places.min()
        volume = "x".join([str(o) for o in ([*out, 1] if n == 1 else out)])
        raise RuntimeError(f"Found an invalid max index: {bad} (output volumes are of size {volume}")
    return _unpool(input, indices, tuple(out), n)


def _max_unpool_family(n: int, example: str) -> None:
    """Publish ``max_unpool{n}d``."""

    def max_unpool(
        input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
        output_size: Ints | None = None,
    ) -> Tensor:  # fmt: skip
        return _max_unpool(n, input, indices, kernel_size, stride, padding, output_size)

    doc = f"""``out[n, c, indices[n, c, i]] = input[n, c, i]``, else 0: the maxima of ``max_pool{n}d`` at their
    positions.

    Indices refer to the flattened image; of several for one position, the last is used.

    Family: unpooling {n}d

    {example}
    """
    publish_pool(max_unpool, f"max_unpool{n}d", doc, ("nn.functional",))


_max_unpool_family(
    1,
    """>>> F.max_unpool1d(torch.tensor([[3.0, 4.0]]), torch.tensor([[1, 2]]), 2)
    tensor([[0., 3., 4., 0.]])""",
)
_max_unpool_family(
    2,
    """>>> F.max_unpool2d(torch.tensor([[[5.0]]]), torch.tensor([[[3]]]), 2)
    tensor([[[0., 0.],
             [0., 5.]]])""",
)
_max_unpool_family(
    3,
    """>>> F.max_unpool3d(torch.tensor([[[[5.0]]]]), torch.tensor([[[[6]]]]), 2).flatten()
    tensor([0., 0., 0., 0., 0., 0., 5., 0.])""",
)


# ------------------------------------------------------------------------------------------------ fractional


def _fractional_max_pool(
    n: int,
    input: Tensor,
    kernel_size: Ints,
    output_size: Ints | None,
    output_ratio: Any,
    samples: Tensor | None,
) -> tuple[Tensor, Tensor]:
    name = f"fractional_max_pool{n}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is None:
        if len(output_ratio) > n:
            raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")
        ratios = tuple(output_ratio) * (n if len(output_ratio) == 1 else 1)
        output_size = [int(input.shape[d - n] * ratios[d]) for d in range(n)]
    x = input._array
    if x.ndim <= n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-x.ndim}, {x.ndim - 1}], but got {-n - 1})")
    if x.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got: {list(x.shape)}")
    out, kernel = (
        ints_of(name, what, size, n, alone=False) for what, size in (("output_size", output_size), ("kernel_size", kernel_size))
    )
    if min(out) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(out)}: {[*x.shape[:-n], *out]}")
    if min(kernel) <= 0:
        raise ValueError(f"{name}: kernel_size must be greater than 0, but got {list(kernel)}")
    batch = 1 if x.ndim == n + 1 else x.shape[0]
    if samples is None:
        samples = rand(batch, x.shape[-n - 1], n, dtype=input.dtype)
    if samples._array.dtype != x.dtype:
        raise RuntimeError("Expect _random_samples to have the same dtype as input")
    for dim, (expected, what) in enumerate(((batch, "input batch size"), (x.shape[-n - 1], "input channel size"), (n, str(n)))):
        found = samples.shape[dim]
        if (found < expected) if dim == 0 else (found != expected):
            got = f"; got {found}" if dim == 2 else ""
            raise RuntimeError(f"Expect _random_samples.size({dim}) equals to {what}{got}.")
    words = {2: ("height", "width"), 3: ("time", "height", "width")}[n]
    for word, size, k, o in zip(words, x.shape[-n:], kernel, out):
        if o + k - 1 > size - (n == 3):  # torch requires one to spare in three dimensions
            raise RuntimeError(f"{name}(): pool {word} {k} too large relative to input {word} {size}")
    require_type(x.dtype, "f", f"{name}_out_frame")
    drawn = samples._array[:batch].reshape(*x.shape[:-n], n)
    order = range(n) if n == 3 else (1, 0)  # in two dimensions the first sample is for the width
    axes = [
        kernels.intervals(drawn[..., s], x.shape[d - n], out[d], kernel[d])[..., None] + np.arange(kernel[d])
        for d, s in enumerate(order)
    ]
    places = _largest(input, axes)
    return _values_at(kinked(input), places, n), places


def _fractional_family(n: int, example: str, with_places: str) -> None:
    """Publish ``fractional_max_pool{n}d`` and ``fractional_max_pool{n}d_with_indices``."""

    def with_indices(
        input: Tensor,
        kernel_size: Ints,
        output_size: Ints | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        return _fractional_max_pool(n, input, kernel_size, output_size, output_ratio, _random_samples)

    def fractional_max_pool(
        input: Tensor, kernel_size: Ints, output_size: Ints | None = None, output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False, _random_samples: Tensor | None = None,
    ) -> Any:  # fmt: skip
        found = _fractional_max_pool(n, input, kernel_size, output_size, output_ratio, _random_samples)
        return found if return_indices else found[0]

    formula = "``out[n, c, i] = max(input[n, c, a[i] + k], k)`` over windows at random positions `a`"
    doc = f"""{formula}, which increase by the ratio of the sizes.

    Each channel of each sample has its own positions; `i` and `k` are {INDICES[n]}.

    Family: fractional pooling {n}d

    {example}
    """
    publish_pool(fractional_max_pool, f"fractional_max_pool{n}d", doc, ("nn.functional",))
    doc = f"""{formula}, and the indices of the maxima in the flattened image.

    Family: fractional pooling {n}d

    {with_places}
    """
    publish_pool(with_indices, f"fractional_max_pool{n}d_with_indices", doc, ("nn.functional",))


_fractional_family(
    2,
    """>>> F.fractional_max_pool2d(torch.arange(16.0).reshape(1, 4, 4), 2, output_size=3).shape
    torch.Size([1, 3, 3])""",
    """>>> F.fractional_max_pool2d_with_indices(torch.arange(4.0).reshape(1, 2, 2), 2, output_size=1)
    (tensor([[[3.]]]), tensor([[[3]]]))""",
)
_fractional_family(
    3,
    """>>> F.fractional_max_pool3d(torch.ones(1, 8, 8, 8), 2, output_ratio=(0.5, 0.5, 0.25)).shape
    torch.Size([1, 4, 4, 2])""",
    """>>> F.fractional_max_pool3d_with_indices(torch.arange(27.0).reshape(1, 3, 3, 3), 2, output_size=1)[1].shape
    torch.Size([1, 1, 1, 1])""",
)
