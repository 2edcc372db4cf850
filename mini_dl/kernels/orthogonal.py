"""Orthogonalizing a matrix using only matrix products (Newton and Schulz), rounded to bfloat16 as torch does."""

from __future__ import annotations

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.kernels.steps import BLOCK


def orthogonalized(matrix: Array, coefficients: tuple[float, float, float], steps: int, eps: float) -> Array:
    """`matrix` with its singular values s near 1, by `steps` times ``s = a * s + b * s**3 + c * s**5``; (m, n) as float32.

    Every intermediate result is rounded to bfloat16. ValueError for 100 or more steps, or other than three coefficients.
    """
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    x = bfloat16(matrix)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    norm = bfloat16(np.sqrt(np.square(x).sum(keepdims=True)))
    x = bfloat16(x / np.maximum(norm, bfloat16(np.array(eps))))
    for _ in range(steps):
        gram = bfloat16(x @ x.T)
        x = _sum(a, x, 1, _sum(b, gram, c, gram @ gram) @ x)
    return x.T if tall else x


def _sum(a: float, x: Array, c: float, y: Array) -> Array:
    """``a * x + c * y`` rounded once: in float64 nothing is lost before. A few rows at a time, to stay in the cache."""
    first, second = np.float64(np.float32(a)), np.float64(np.float32(c))
    out = np.empty(x.shape, np.float32)
    rows = max(1, BLOCK // 2 // max(1, x.shape[1]))
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        out[part] = bfloat16(first * x[part] + second * y[part])
    return out


def bfloat16(values: Array) -> Array:
    """The nearest numbers with eight significant bits (ties to even), as float32."""
    bits = np.array(values, np.float32, order="C").view(np.uint32)
    up = bits >> 16
    up &= 1
    up += 0x7FFF
    bits += up
    bits &= 0xFFFF0000
    return bits.view(np.float32)
