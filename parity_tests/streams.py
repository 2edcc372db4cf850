"""One program that draws, under both libraries: the same numbers, and the same state of the stream afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mini_dl


def array(tensor):
    return tensor.detach().numpy() if isinstance(tensor, torch.Tensor) else tensor._array


def same(program, seed=0, exact=True):
    """Run ``program(library)`` under both; results and the states of the default streams must agree."""
    answers = []
    for library in (torch, mini_dl):
        library.manual_seed(seed)
        result = program(library)
        results = [array(r) for r in (result if isinstance(result, (list, tuple)) else [result])]
        answers.append((results, array(library.get_rng_state())))
    (theirs, their_state), (ours, our_state) = answers
    for a, b in zip(theirs, ours, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        if exact:
            np.testing.assert_array_equal(b, a)
        else:  # torch's vectorized float32 logarithm, sine and cosine differ from NumPy's in the last place
            tolerance = {"1": 0, "2": 1e-3, "4": 2.4e-7, "8": 1e-15}[str(a.real.dtype.itemsize)]
            np.testing.assert_allclose(b, a, rtol=2 * tolerance, atol=tolerance * max(1.0, float(np.abs(a).max(initial=0))))
    np.testing.assert_array_equal(our_state[:5024], their_state[:5024])
    np.testing.assert_array_equal(our_state[5032:], their_state[5032:])
    np.testing.assert_allclose(our_state[5024:5032].view("f8"), their_state[5024:5032].view("f8"), rtol=1e-14)


def fails_alike(program):
    errors = []
    for library in (torch, mini_dl):
        with pytest.raises(Exception) as caught:
            program(library)
        errors.append(caught)
    assert errors[1].type is errors[0].type, errors[1].value
    return str(errors[0].value).splitlines()[0], str(errors[1].value).splitlines()[0]
