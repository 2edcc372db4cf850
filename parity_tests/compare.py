"""Comparison of results with torch's: structure, shape, dtype, values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mini_dl._dtypes import HALVES, limits_of
from parity_tests import bridge, golden

TOLERANCES = {"bfloat16": (1.6e-2, 1e-5), **golden.TOLERANCES}
"""Relative and absolute, by type: the defaults of ``torch.testing.assert_close``."""


def close(ours: Any, theirs: Any, tolerance: tuple[float, float] | None = None) -> Any:
    """Which elements agree: |ours - theirs| <= absolute + relative |theirs|; NaN with NaN, inf by sign."""
    if tolerance is None:
        tolerance = TOLERANCES.get(theirs.dtype.name)
    with np.errstate(all="ignore"):
        if tolerance is None:
            return ours == theirs
        if theirs.dtype.char in HALVES:
            ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
        equal = ours == theirs
        near = np.abs(ours - theirs) <= tolerance[1] + tolerance[0] * np.abs(theirs)
        near &= np.isfinite(theirs)
        if theirs.dtype.kind == "c":
            return equal | near | _complex_infinities(ours, theirs, tolerance)
        return equal | near | (np.isnan(ours) & np.isnan(theirs))


def _complex_infinities(ours: Any, theirs: Any, tolerance: tuple[float, float]) -> Any:
    parts = [
        (a == b) | (np.isnan(a) & np.isnan(b)) | (np.isfinite(b) & (np.abs(a - b) <= tolerance[1] + tolerance[0] * np.abs(b)))
        for a, b in ((ours.real, theirs.real), (ours.imag, theirs.imag))
    ]
    return ~np.isfinite(theirs) & parts[0] & parts[1]


@dataclass
class Exact:
    """The float64 result and, if the op is a sum of products, the sum of their absolute values."""

    result: Any
    magnitude: Any = None

    def __getitem__(self, index: Any) -> Any:
        return Exact(self.result[index], None if self.magnitude is None else self.magnitude[index])


def values(ours: Any, theirs: Any, reference: Any = None, tolerance: tuple[float, float] | None = None) -> str | None:
    """Why two arrays of equal shape and dtype differ, or None.

    If float32 exceeds the tolerance, `reference()` gives the float64 result: ours passes if its error is at most twice
    torch's own.
    """
    if ours.tobytes() == theirs.tobytes():
        return None
    good = close(ours, theirs, tolerance)
    if np.all(good):
        return None
    if reference is not None and theirs.dtype.name in ("bfloat16", "float16", "float32", "complex64"):
        exact = reference()
        if exact is not None and exact.result.shape == theirs.shape and no_worse(ours, theirs, exact.result, exact.magnitude):
            return None
    bad = np.argwhere(~np.atleast_1d(good))
    at = tuple(bad[0]) if np.ndim(good) else ()
    with np.errstate(all="ignore"):
        if theirs.dtype.kind == "b":
            worst = ""
        else:
            difference = np.abs(np.asarray(ours, complex) - np.asarray(theirs, complex))
            worst = f", greatest difference {np.nanmax(difference) if np.any(~np.isnan(difference)) else np.nan:.3g}"
    place = f" at {[int(i) for i in at]}" if at else ""
    return f"{len(bad)} of {theirs.size} values differ: {ours[at]!r} for {theirs[at]!r}{place}{worst}"


def no_worse(ours: Any, theirs: Any, exact: Any, magnitude: Any = None) -> bool:
    """Three-way comparison: our error against float64 is at most twice torch's own, both in the maximum norm; or, for sums of
    products, at most four roundings of the sum of their absolute values.
    """
    with np.errstate(all="ignore"):
        finite = np.isfinite(exact) & np.isfinite(theirs)
        if not np.array_equal(np.isfinite(ours), np.isfinite(theirs)) or not np.all(close(ours, theirs) | finite):
            return False
        if not np.any(finite):
            return False
        if magnitude is not None:
            bound = 4 * limits_of(theirs.dtype).eps * np.abs(magnitude[finite])
            if np.all(np.abs(np.asarray(ours, np.complex128)[finite] - exact[finite]) <= bound):
                return True
        ours, theirs, exact = (np.asarray(a, np.complex128)[finite] for a in (ours, theirs, exact))
        return bool(np.max(np.abs(ours - exact)) <= 2 * np.max(np.abs(theirs - exact)))


def tensor(ours: Any, theirs: Any, reference: Any = None, tolerance: tuple[float, float] | None = None) -> str | None:
    """Why a mini_dl tensor differs from the torch one."""
    if not isinstance(ours, bridge.Tensor):
        return f"{type(ours).__name__} instead of a tensor"
    if tuple(ours.shape) != tuple(theirs.shape):
        return f"shape {tuple(ours.shape)} instead of {tuple(theirs.shape)}"
    if bridge.name_of(ours.dtype) != bridge.name_of(theirs.dtype):
        return f"dtype {bridge.name_of(ours.dtype)} instead of {bridge.name_of(theirs.dtype)}"
    return values(bridge.array(ours), bridge.array(theirs), reference, tolerance)


def same(ours: Any, theirs: Any, reference: Any = None, tolerance: Any = None, where: str = "", grads: bool = True) -> str | None:
    """Why two results differ, looking into tuples, lists and dicts. `reference` gives the float64 result or None."""
    if isinstance(theirs, torch.Tensor):
        inner = None
        if reference is not None:

            def inner() -> Any:
                found = reference()
                if found is None or not isinstance(found.result, torch.Tensor):
                    return None
                magnitude = found.magnitude
                return Exact(bridge.array(found.result), bridge.array(magnitude) if isinstance(magnitude, torch.Tensor) else None)

        why = tensor(ours, theirs, inner, tolerance)
        if why is None and grads and ours.requires_grad != theirs.requires_grad:
            why = f"requires_grad is {ours.requires_grad} instead of {theirs.requires_grad}"
        return why and f"{where}{': ' if where else ''}{why}"
    if isinstance(theirs, (tuple, list)):
        if isinstance(theirs, torch.Size) and not isinstance(ours, tuple):
            return f"{where} {type(ours).__name__} instead of Size"
        if not isinstance(ours, (tuple, list)) or isinstance(ours, tuple) != isinstance(theirs, tuple):
            return f"{where} {type(ours).__name__} instead of {type(theirs).__name__}"
        if len(ours) != len(theirs):
            return f"{where} {len(ours)} results instead of {len(theirs)}"
        for i, (a, b) in enumerate(zip(ours, theirs)):

            def item(i: int = i) -> Any:
                found = reference()
                return found[i] if found and isinstance(found.result, (tuple, list)) and i < len(found.result) else None

            if why := same(a, b, reference and item, tolerance, f"{where}[{i}]", grads):
                return why
        return None
    if isinstance(theirs, dict):
        if not isinstance(ours, dict) or list(ours) != list(theirs):
            return f"{where} keys {list(ours) if isinstance(ours, dict) else type(ours)} instead of {list(theirs)}"
        return next(
            (why for key in theirs if (why := same(ours[key], theirs[key], None, tolerance, f"{where}[{key!r}]", grads))), None
        )
    if isinstance(theirs, torch.dtype):
        return None if bridge.name_of(ours) == bridge.name_of(theirs) else f"{where} {ours} instead of {theirs}"
    if isinstance(theirs, (float, complex)) and isinstance(ours, (int, float, complex)):
        if type(ours) is not type(theirs):
            return f"{where} {type(ours).__name__} instead of {type(theirs).__name__}"
        return values(np.asarray(ours), np.asarray(theirs), None, tolerance or (1e-7, 1e-12))
    if isinstance(theirs, (bool, int, str, type(None), bytes)):
        return None if type(ours) is type(theirs) and ours == theirs else f"{where} {ours!r} instead of {theirs!r}"
    return None if str(ours) == str(theirs) else f"{where} {ours!r} instead of {theirs!r}"
