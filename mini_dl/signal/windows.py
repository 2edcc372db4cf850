"""Windows of `M` points, with 1 as their maximum: ``torch.signal.windows``.

With ``sym=True`` the window is symmetric, with ``sym=False`` it is one period of a repeating window. ValueError for a
negative `M` and for types other than float32 and float64.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

from mini_dl._device import strided
from mini_dl._dtypes import float32, float64, get_default_dtype
from mini_dl._families import complete_docstrings
from mini_dl.ops.creation import empty, ones
from mini_dl.ops.from_data import tensor
from mini_dl.ops.ranges import arange, linspace
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

SHARED = {"dtype": None, "layout": strided, "device": None, "requires_grad": False}


def window(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Add the checked keywords shared by all windows to a function of `M`, `sym` and its own parameters."""
    name = make.__name__

    @functools.wraps(make)
    def call(
        M: int, *, dtype: object = None, layout: object = strided, device: object = None, requires_grad: bool = False,
        **own: object,
    ) -> Tensor:  # fmt: skip
        dtype = get_default_dtype() if dtype is None else dtype
        if M < 0:
            raise ValueError(f"{name} requires non-negative window length, got M={M}")
        if layout is not strided:
            raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
        if dtype not in (float32, float64):
            raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
        return make(M, dtype=dtype, device=device, requires_grad=requires_grad, **own)

    own = [p for p in inspect.signature(make).parameters.values() if p.kind is not p.VAR_KEYWORD]
    shared = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=value) for key, value in SHARED.items()]
    call.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    return call


@window
def exponential(M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, **options: object) -> Tensor:
    """A decay to both sides: ``out[n] = exp(-abs(n - center) / tau)``; only a periodic window may have its own `center`.

    Family: window
    Raises: ValueError unless `tau` is positive, and as for all windows.

    >>> torch.signal.windows.exponential(5, tau=2.0)
    tensor([0.3679, 0.6065, 1.0000, 0.6065, 0.3679])
    """
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    if M == 0:
        return empty(0, **options)
    if center is None:
        center = (M if not sym and M > 1 else M - 1) / 2.0
    return (-linspace(-center / tau, (M - 1 - center) / tau, M, **options).abs()).exp()


@window
def cosine(M: int, *, sym: bool = True, **options: object) -> Tensor:
    """Half a wave: ``out[n] = sin(pi * (n + 1 / 2) / M)``

    Family: signal window

    >>> torch.signal.windows.cosine(5)
    tensor([0.3090, 0.8090, 1.0000, 0.8090, 0.3090])
    """
    if M == 0:
        return empty(0, **options)
    step = math.pi / (M + 1 if not sym and M > 1 else M)
    return linspace(0.5 * step, (M - 0.5) * step, M, **options).sin()


@window
def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **options: object) -> Tensor:
    """A bell: ``out[n] = exp(-(n - (M - 1) / 2) ** 2 / (2 * std ** 2))``

    Family: window
    Raises: ValueError unless `std` is positive, and as for all windows.

    >>> torch.signal.windows.gaussian(5)
    tensor([0.1353, 0.6065, 1.0000, 0.6065, 0.1353])
    """
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    if M == 0:
        return empty(0, **options)
    start, scale = -(M if not sym and M > 1 else M - 1) / 2.0, 1 / (std * math.sqrt(2))
    points = linspace(start * scale, (start + M - 1) * scale, M, **options)
    return (-(points**2)).exp()


@window
def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **options: object) -> Tensor:
    """The window that concentrates its spectrum, nearly optimal: ``out[n] = i0(beta * sqrt(1 - x ** 2)) / i0(beta)``, x from -1
    to 1.

    Family: window
    Raises: ValueError for a negative `beta`, and as for all windows.
    Source: Kaiser and Schafer, On the use of the I0-sinh window for spectrum analysis, 1980.

    >>> torch.signal.windows.kaiser(5, beta=4.0)
    tensor([0.0885, 0.6334, 1.0000, 0.6334, 0.0885])
    """
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if M < 2:
        return (ones if M else empty)(M, **options)
    number = tensor(beta, dtype=options["dtype"])
    rounded = number.item()
    end = -number + (M - 1) * (2.0 * number / (M - 1 if sym else M))
    points = linspace(-rounded, min(rounded, end.item()), M, **options)
    return (number * number - points**2).sqrt().i0() / number.i0()


@window
def general_cosine(M: int, *, a: Iterable[Any], sym: bool = True, **options: object) -> Tensor:
    """A sum of cosines: ``out[n] = sum((-1) ** i * a[i] * cos(2 * pi * i * n / N), i)`` with ``N = M - 1``, or M for a periodic
    window.

    Family: window
    Raises: TypeError unless `a` is a sequence; ValueError if it is empty, and as for all windows.

    >>> torch.signal.windows.general_cosine(5, a=[0.5, 0.5])
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
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


@window
def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: object) -> Tensor:
    """A raised cosine: ``out[n] = alpha - (1 - alpha) * cos(2 * pi * n / N)``

    Family: signal window

    >>> torch.signal.windows.general_hamming(5, alpha=0.6)
    tensor([0.2000, 0.6000, 1.0000, 0.6000, 0.2000])
    """
    return general_cosine(M, a=[alpha, 1.0 - alpha], sym=sym, **options)


@window
def hamming(M: int, *, sym: bool = True, **options: object) -> Tensor:
    """A raised cosine that does not reach 0: ``out[n] = 0.54 - 0.46 * cos(2 * pi * n / N)``

    Family: signal window

    >>> torch.signal.windows.hamming(5)
    tensor([0.0800, 0.5400, 1.0000, 0.5400, 0.0800])
    """
    return general_cosine(M, a=[0.54, 1.0 - 0.54], sym=sym, **options)


@window
def hann(M: int, *, sym: bool = True, **options: object) -> Tensor:
    """A raised cosine: ``out[n] = (1 - cos(2 * pi * n / N)) / 2``

    Family: signal window

    >>> torch.signal.windows.hann(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return general_cosine(M, a=[0.5, 0.5], sym=sym, **options)


@window
def blackman(M: int, *, sym: bool = True, **options: object) -> Tensor:
    """Two cosines: ``out[n] = 0.42 - 0.5 * cos(2 * pi * n / N) + 0.08 * cos(4 * pi * n / N)``

    Family: signal window

    >>> torch.signal.windows.blackman(5).abs()
    tensor([1.4901e-08, 3.4000e-01, 1.0000e+00, 3.4000e-01, 1.4901e-08])
    """
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, **options)


@window
def bartlett(M: int, *, sym: bool = True, **options: object) -> Tensor:
    """A triangle: ``out[n] = 1 - abs(2 * n / N - 1)``

    Family: signal window

    >>> torch.signal.windows.bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    if M < 2:
        return (ones if M else empty)(M, **options)
    return 1 - linspace(-1, -1 + (M - 1) * (2 / (M - 1 if sym else M)), M, **options).abs()


@window
def nuttall(M: int, *, sym: bool = True, **options: object) -> Tensor:
    """The four-term window with the lowest sidelobes: ``out[n] = sum((-1) ** i * a[i] * cos(2 * pi * i * n / N), i)``

    Its a are 0.3635819, 0.4891775, 0.1365995 and 0.0106411.

    Family: signal window
    Source: Nuttall, Some windows with very good sidelobe behavior, 1981.

    >>> torch.signal.windows.nuttall(5)
    tensor([3.6280e-04, 2.2698e-01, 1.0000e+00, 2.2698e-01, 3.6280e-04])
    """
    return general_cosine(M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, **options)


complete_docstrings(globals())
