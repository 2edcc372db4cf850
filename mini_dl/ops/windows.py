"""Window functions ``torch.*_window``. The periodic window of `window_length` is the symmetric one with one more point,
truncated.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._arguments import as_int
from mini_dl._checks import check_bool, type_name
from mini_dl._dtypes import HALVES, INEXACT, Array, NumpyType, scalar_name
from mini_dl.ops.factories import factory
from mini_dl.ops.special import i0


def _points(name: str, length: Any, periodic: bool, dtype: Any) -> tuple[Array, int]:
    """``0, 1, ..., n - 1`` in the type of the window, and n - 1, for a symmetric window of n points."""
    if as_int(length) is NotImplemented:
        raise TypeError(f"{name}(): argument 'window_length' (position 1) must be int, not {type_name(length)}")
    check_bool(periodic, f"{name}(): argument 'periodic' (position 2)")
    target = _dtypes.default_numpy() if dtype is None else dtype
    if target.kind not in INEXACT:
        raise RuntimeError(f"{name} expects floating point dtypes, got: dtype={_dtypes.of_numpy(target)!r}")
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    if target.kind == "c" and length > 1:
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{scalar_name(target)}'")
    n = length + 1 if periodic and length > 1 else length
    return np.arange(n).astype(target), n - 1


def _cut(window: Array, length: int) -> Array:
    return window if len(window) == length else window[:length].copy()


@factory(out=False)
def bartlett_window(window_length: int, periodic: bool = True, *, dtype: NumpyType | None) -> Array:
    """A triangle from 0 to 1 and back: ``out[n] = 1 - abs(2 * n / (N - 1) - 1)``

    Family: window

    >>> torch.bartlett_window(5, periodic=False)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    points, last = _points("bartlett_window", window_length, periodic, dtype)
    if last < 1:
        return np.ones_like(points)
    rise = np.multiply(points, points.dtype.type(2 / last))
    rise[last // 2 + 1 :] = 2 - rise[last // 2 + 1 :]
    return _cut(rise, window_length)


@factory(out=False)
def hann_window(window_length: int, periodic: bool = True, *, dtype: NumpyType | None) -> Array:
    """A raised cosine: ``out[n] = (1 - cos(2 * pi * n / (N - 1))) / 2``

    Family: window

    >>> torch.hann_window(5, periodic=False)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _raised_cosine("hann_window", window_length, periodic, 0.5, 0.5, dtype)


@factory(out=False)
def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *, dtype: NumpyType | None
) -> Array:
    """A raised cosine that does not reach 0: ``out[n] = alpha - beta * cos(2 * pi * n / (N - 1))``

    Family: window

    >>> torch.hamming_window(5, periodic=False)
    tensor([0.0800, 0.5400, 1.0000, 0.5400, 0.0800])
    """
    return _raised_cosine("hamming_window", window_length, periodic, alpha, beta, dtype)


def _raised_cosine(name: str, length: int, periodic: bool, alpha: float, beta: float, dtype: NumpyType | None) -> Array:
    points, last = _points(name, length, periodic, dtype)
    if last < 1:
        return np.ones_like(points)
    number = points.dtype.type
    return _cut(np.cos(points * number(2 * math.pi / last)) * number(-beta) + number(alpha), length)


@factory(out=False)
def blackman_window(window_length: int, periodic: bool = True, *, dtype: NumpyType | None) -> Array:
    """Two cosines: ``out[n] = 0.42 - 0.5 * cos(2 * pi * n / (N - 1)) + 0.08 * cos(4 * pi * n / (N - 1))``

    Family: window

    >>> torch.blackman_window(5, periodic=False).abs()
    tensor([2.9802e-08, 3.4000e-01, 1.0000e+00, 3.4000e-01, 2.9802e-08])
    """
    points, last = _points("blackman_window", window_length, periodic, dtype)
    if last < 1:
        return np.ones_like(points)
    number = points.dtype.type
    angles = points * number(math.pi / last)
    window = np.cos(angles * number(4)) * number(0.08) - np.cos(angles * number(2)) * number(0.5) + number(0.42)
    return _cut(window, window_length)


@factory(out=False)
def kaiser_window(window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: NumpyType | None) -> Array:
    """The window that concentrates its spectrum, nearly optimal: ``out[n] = i0(beta * sqrt(1 - x ** 2)) / i0(beta)``, x from -1
    to 1.

    Family: window
    Source: Kaiser and Schafer, On the use of the I0-sinh window for spectrum analysis, 1980.

    >>> torch.kaiser_window(5, periodic=False, beta=4.0)
    tensor([0.0885, 0.6334, 1.0000, 0.6334, 0.0885])
    """
    points, last = _points("kaiser_window", window_length, periodic, dtype)
    if last < 1:
        return np.ones_like(points)
    wide = np.dtype("float32") if points.dtype.char in HALVES else points.dtype
    bessel = i0.op.forward
    x = points.astype(wide) * wide.type(2.0 / last) - 1
    root = np.sqrt(np.maximum(1 - x * x, 0)) * wide.type(beta)
    window = bessel(root) * (1 / bessel(np.asarray(beta, wide)))
    return _cut(window.astype(points.dtype), window_length)
