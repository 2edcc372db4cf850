"""Windows of `M` points, with 1 as their maximum: ``torch.signal.windows``.

With ``sym=True`` the window is symmetric, with ``sym=False`` it is one period of a window that repeats itself. ValueError for a
negative `M` and for types other than float32 and float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mini_dl._device import strided
from mini_dl._dtypes import dtype as DType
from mini_dl._dtypes import float32, float64, get_default_dtype
from mini_dl.ops.creation import arange, empty, linspace, ones, tensor
from mini_dl.tensor import Tensor

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


def _options(name: str, M: int, dtype: DType | None, layout: Any, device: Any, requires_grad: bool) -> dict[str, Any]:
    dtype = get_default_dtype() if dtype is None else dtype
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if dtype not in (float32, float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    return {"dtype": dtype, "device": device, "requires_grad": requires_grad}


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: DType | None = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``exp(-|n - center| / tau)``; only a periodic window may have a `center` of its own."""
    options = _options("exponential", M, dtype, layout, device, requires_grad)
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    if M == 0:
        return empty(0, **options)
    if center is None:
        center = (M if not sym and M > 1 else M - 1) / 2.0
    return (-linspace(-center / tau, (M - 1 - center) / tau, M, **options).abs()).exp()


def cosine(
    M: int,
    *,
    sym: bool = True,
    dtype: DType | None = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``sin(pi * (n + 0.5) / M)``"""
    options = _options("cosine", M, dtype, layout, device, requires_grad)
    if M == 0:
        return empty(0, **options)
    step = math.pi / (M + 1 if not sym and M > 1 else M)
    return linspace(0.5 * step, (M - 0.5) * step, M, **options).sin()


def gaussian(
    M: int,
    *,
    std: float = 1.0,
    sym: bool = True,
    dtype: DType | None = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``exp(-n**2 / (2 * std**2))``, n counted from the middle."""
    options = _options("gaussian", M, dtype, layout, device, requires_grad)
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    if M == 0:
        return empty(0, **options)
    start, scale = -(M if not sym and M > 1 else M - 1) / 2.0, 1 / (std * math.sqrt(2))
    points = linspace(start * scale, (start + M - 1) * scale, M, **options)
    return (-(points**2)).exp()


def kaiser(
    M: int,
    *,
    beta: float = 12.0,
    sym: bool = True,
    dtype: DType | None = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``i0(beta * sqrt(1 - x**2)) / i0(beta)``, x from -1 to 1; `i0` is the modified Bessel function of order 0."""
    options = _options("kaiser", M, dtype, layout, device, requires_grad)
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if M < 2:
        return (ones if M else empty)(M, **options)
    number = tensor(beta, dtype=options["dtype"])
    rounded = number.item()
    end = -number + (M - 1) * (2.0 * number / (M - 1 if sym else M))
    points = linspace(-rounded, min(rounded, end.item()), M, **options)
    return (number * number - points**2).sqrt().i0() / number.i0()


def general_cosine(
    M: Any,
    *,
    a: Iterable[Any],
    sym: bool = True,
    dtype: DType | None = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``sum over i of (-1)**i * a[i] * cos(2 pi i n / N)`` with N = M - 1, or M of a periodic window."""
    options = _options("general_cosine", M, dtype, layout, device, requires_grad)
    if M < 2:
        return (ones if M else empty)(M, **options)
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    step = 2 * math.pi / (M - 1 if sym else M)
    points = linspace(0, (M - 1) * step, M, **options)
    weights = tensor([(-1) ** i * weight for i, weight in enumerate(a)], **options)
    orders = arange(len(weights), **options)
    return (weights.unsqueeze(-1) * (orders.unsqueeze(-1) * points).cos()).sum(0)


def general_hamming(
    M: Any,
    *,
    alpha: float = 0.54,
    sym: bool = True,
    dtype: DType | None = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``alpha - (1 - alpha) * cos(2 pi n / N)``"""
    return general_cosine(
        M, a=[alpha, 1.0 - alpha], sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad
    )


def hamming(
    M: int,
    *,
    sym: bool = True,
    dtype: DType | None = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``0.54 - 0.46 * cos(2 pi n / N)``"""
    return general_hamming(M, sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


def hann(
    M: int,
    *,
    sym: bool = True,
    dtype: DType | None = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``(1 - cos(2 pi n / N)) / 2``

    >>> import mini_dl as torch
    >>> torch.signal.windows.hann(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return general_hamming(M, alpha=0.5, sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


def blackman(
    M: int,
    *,
    sym: bool = True,
    dtype: DType | None = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``0.42 - 0.5 * cos(2 pi n / N) + 0.08 * cos(4 pi n / N)``"""
    _options("blackman", M, dtype, layout, device, requires_grad)
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


def bartlett(
    M: int,
    *,
    sym: bool = True,
    dtype: DType | None = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``1 - |2 n / N - 1|``"""
    options = _options("bartlett", M, dtype, layout, device, requires_grad)
    if M < 2:
        return (ones if M else empty)(M, **options)
    return 1 - linspace(-1, -1 + (M - 1) * (2 / (M - 1 if sym else M)), M, **options).abs()


def nuttall(
    M: int,
    *,
    sym: bool = True,
    dtype: DType | None = None,
    layout: Any = strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The four-term window with the lowest sidelobes (Nuttall 1981)."""
    return general_cosine(
        M,
        a=[0.3635819, 0.4891775, 0.1365995, 0.0106411],
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )
