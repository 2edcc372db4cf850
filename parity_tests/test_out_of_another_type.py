"""``out=`` of another type than the result: written by both libraries with the same values, or refused by both."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from parity_tests import adapter, bridge

INPUTS = ("float32", "int64")
OUTS = ("float64", "int64", "complex64")
SAMPLES = 1
ELSEWHERE = {
    "complex results": "abs",
    "random numbers": "normal bernoulli",
    "by the kernel that the shapes lead to": "inner linalg.matrix_power",
    "by the type that the transform is computed in": "fft.hfft fft.hfft2 fft.hfftn fft.irfft fft.irfft2 fft.irfftn",
    "an exception of another type": "nanmean nansum std var",
}
"""Functions for which `docs/decisions.md` says that the types of ``out`` are their own, by the reason."""
LEFT_OUT = {name for names in ELSEWHERE.values() for name in names.split()}
ENTRIES = [
    one
    for one in adapter.entries()
    if one.supports_out and not one.undetermined and not one.out_of_scope and one.name not in LEFT_OUT
]


def written(function: Any, out: Any, values: Any, args: Any, kwargs: Any) -> Any:
    """What `function` wrote into `out`, or the class of the exception that it raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(*args, out=out, **kwargs)
        except Exception as error:
            return type(error).__name__
    return values(out)


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
@pytest.mark.parametrize("dtype", INPUTS)
def test_an_out_of_another_type_is_written_or_refused_as_by_torch(entry: adapter.Entry, dtype: str) -> None:
    if dtype not in entry.dtypes:
        return
    for sample, _ in zip(entry.samples(dtype), range(SAMPLES)):
        try:
            plain = entry.theirs(*sample.all_args, **sample.kwargs)
        except Exception:
            continue  # what the sample itself raises is compared by the table
        for name in OUTS if isinstance(plain, torch.Tensor) else ():
            args, kwargs = bridge.copy((sample.all_args, sample.kwargs))
            ours_args, ours_kwargs = bridge.to_mini((sample.all_args, sample.kwargs))
            made = torch.zeros(0, dtype=getattr(torch, name))
            theirs = written(entry.theirs, made, lambda out: out.numpy(), args, kwargs)
            made = bridge.mini_dl.zeros(0, dtype=getattr(bridge.mini_dl, name))
            ours = written(entry.ours, made, lambda out: out._array, ours_args, ours_kwargs)
            assert isinstance(theirs, str) == isinstance(ours, str), f"{name}: {ours!r} instead of {theirs!r}"
            assert not isinstance(ours, str) or ours == theirs, f"{name}: {ours} instead of {theirs}"
            if not isinstance(ours, str):
                np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
