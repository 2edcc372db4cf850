"""bfloat16 is computed in float32: each primitive widens its arguments, and rounds its results.

NumPy lacks the type, and its functions treat the one that ml_dtypes adds as foreign, so no kernel may see it: once the
type is used, the forward of every primitive is wrapped to check for it (`widening`). Views, primitives that
only move elements, and matrix products (`as_it_is`) see the type itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._dtypes import INEXACT, NARROW, dtype, result_numpy
from mini_dl._layout import converted
from mini_dl.autograd.forwards import ROUNDING, wrap_all

SINGLE = np.dtype(np.float32)


def as_it_is(forward: Any) -> Any:
    """Mark a forward that sees bfloat16 itself: it only moves elements, or widens them if necessary."""
    forward.as_it_is = True
    return forward


def _widened(primitive: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
    return forward if primitive.looks or getattr(forward, "as_it_is", False) else widening(forward)


_dtypes.when_bfloat16.append(lambda: wrap_all(ROUNDING, _widened))


def widening(forward: Callable[..., Any]) -> Callable[..., Any]:
    """`forward`, which sees float32 instead of bfloat16; its results are rounded if they should be bfloat16."""

    @functools.wraps(forward)
    def run(*args: Any, **kwargs: object) -> Any:
        for value in args:
            if value.__class__ is np.ndarray and value.dtype.char in NARROW:
                break
        else:
            return forward(*args, **kwargs)
        try:
            result = forward(*[widened(value) for value in args], **kwargs)
        except NotImplementedError as error:  # which names the type that the kernel saw
            raise NotImplementedError(str(error).replace("'Float'", "'BFloat16'")) from None
        return rounded(result) if _rounds(args) else result

    return run


def _is_narrow(value: object) -> bool:
    return value.__class__ is np.ndarray and value.dtype.char in NARROW


def widened(value: object) -> Any:
    """An argument as a kernel sees it: arrays of bfloat16, also in lists, and the type itself as float32."""
    if isinstance(value, np.ndarray):
        return converted(value, SINGLE) if value.dtype.char in NARROW else value
    if isinstance(value, (list, tuple)) and any([_is_narrow(one) for one in value]):
        return [widened(one) for one in value]
    return SINGLE if isinstance(value, np.dtype) and value.char in NARROW else value


def _rounds(args: tuple[object, ...]) -> bool:
    """Whether results are bfloat16: the requested type, or else that of the first floating point argument."""
    first = None
    for value in args:
        if isinstance(value, (np.dtype, dtype)):
            return value == _dtypes.bfloat16.numpy
        if first is None:
            arrays = value if isinstance(value, (list, tuple)) else (value,)
            found = [one for one in arrays if isinstance(one, np.ndarray) and one.dtype.kind in INEXACT]
            first = result_numpy(*found) if found else None
    return first is not None and first.char in NARROW


def rounded(result: object) -> Any:
    """The float32 results of a kernel as bfloat16; other types are unchanged."""
    if isinstance(result, (tuple, list)):
        return tuple([rounded(one) for one in result])
    if isinstance(result, (np.ndarray, np.generic)) and result.dtype == SINGLE:
        return result.astype(_dtypes.bfloat16.numpy)
    return result
