"""Very small and very large parameters: no worse than torch, whose own rounding errors are measured in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real

from parity_tests import bridge, compare
from parity_tests.distribution_cases import KINDS, MORE, OTHER_PARAMETERS, SCALES, asked, parameter
from parity_tests.twin import Draws, outcome

ASKED = "mean mode variance stddev entropy".split()
EVERY = [(name, None) for name in KINDS] + list(OTHER_PARAMETERS.items())
IDS = [name if kinds is None else f"{name}-{'-'.join(kinds)}" for name, kinds in EVERY]


def distribution(library, name, kinds, dtype, scale, computed_in):
    """With parameters rounded to `dtype`, and everything computed from them in `computed_in`."""
    rng = Draws(library)
    kinds = KINDS[name] if kinds is None else kinds
    given = {key: parameter(rng, kind, (40,), dtype, scale).to(getattr(library, computed_in)) for key, kind in kinds.items()}
    return getattr(library.distributions, name)(**MORE.get(name, {}), **given, validate_args=False)


def array(value):
    if isinstance(value, real.Tensor):
        return value.detach().numpy()
    return bridge.array(value) if isinstance(value, bridge.Tensor) else value


def answers(library, name, kinds, dtype, scale, computed_in, sample):
    library.set_default_dtype(getattr(library, computed_in if name == "GeneralizedPareto" else "float32"))
    try:
        d = distribution(library, name, kinds, dtype, scale, computed_in)
        value = Draws(library).tensor(np.array(sample)).to(getattr(library, computed_in))
        found = [*asked(d, *ASKED), d.log_prob(value), outcome(lambda: d.cdf(value))]
        return dict(zip([*ASKED, "log_prob", "cdf"], [array(one) for one in found]))
    finally:
        library.set_default_dtype(library.float32)


def sampled(library, *arguments):
    d = distribution(library, *arguments)
    library.manual_seed(3)
    return array(d.sample()), array(library.rand(2))


ILL_CONDITIONED = {  # what is computed from the samples' last digits
    ("LKJCholesky", "sample"): 3e-3,  # a root of a small remainder of 1
    ("Kumaraswamy", "variance"): 1e-5,  # the difference of two moments
    ("Kumaraswamy", "stddev"): 1e-5,
}


@pytest.mark.parametrize("scale", list(SCALES))
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("name, kinds", EVERY, ids=IDS)
def test_extreme_parameters(name, kinds, dtype, scale):
    arguments = name, kinds, dtype, SCALES[scale]
    (theirs, their_next), (ours, our_next) = (sampled(library, *arguments, dtype) for library in (real, bridge.mini_dl))
    np.testing.assert_array_equal(our_next, their_next)  # as many draws were taken
    wide = np.abs(theirs) < 2**62  # beyond, torch's counts wrap around
    loose = 2e-4 if dtype == "float32" else 1e-8
    least = ILL_CONDITIONED.get((name, "sample"), loose * np.finfo(dtype).eps ** 0.5)
    np.testing.assert_allclose(ours[wide], theirs[wide], rtol=loose, atol=least)
    own, other = (answers(library, *arguments, dtype, theirs) for library in (bridge.mini_dl, real))
    exact = answers(real, *arguments, "float64", theirs)
    for what, value in other.items():
        if isinstance(value, str):
            assert own[what] == value, what
            continue
        assert own[what].dtype == value.dtype and own[what].shape == value.shape, what
        judge(f"{what} of {name}", own[what], value, exact[what], ILL_CONDITIONED.get((name, what), 0))


def judge(what, ours, theirs, exact, loose):
    """Each element is close to torch's, or at most four times as far from the float64 result as the worst of torch's."""
    with np.errstate(all="ignore"):
        good = compare.close(ours, theirs) | (np.abs(ours - theirs) <= loose)
        relative = np.abs(exact) + 1e-30
        error, allowed = np.abs(ours - exact) / relative, np.abs(theirs - exact) / relative
        finite = allowed[np.isfinite(allowed)]
        good |= error <= 4 * np.max(finite, initial=0.0) + 1e-6
    assert np.all(good), f"{what}: {ours[~good][:3]} for {theirs[~good][:3]}, in float64 {exact[~good][:3]}"
