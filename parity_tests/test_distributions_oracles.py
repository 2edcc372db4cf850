"""Distributions without torch: SciPy's densities and moments, and moments of samples."""

from __future__ import annotations

import numpy as np
import pytest

import mini_dl
from parity_tests.distribution_cases import KINDS, OTHER_PARAMETERS, made
from parity_tests.twin import Draws

stats = pytest.importorskip("scipy.stats")
D = mini_dl.distributions

SAME = {
    "Bernoulli": (lambda: D.Bernoulli(0.3), lambda: stats.bernoulli(0.3)),
    "Beta": (lambda: D.Beta(2.0, 0.7), lambda: stats.beta(2.0, 0.7)),
    "Binomial": (lambda: D.Binomial(9, 0.3), lambda: stats.binom(9, 0.3)),
    "Cauchy": (lambda: D.Cauchy(1.0, 2.0), lambda: stats.cauchy(1.0, 2.0)),
    "Chi2": (lambda: D.Chi2(3.0), lambda: stats.chi2(3.0)),
    "Exponential": (lambda: D.Exponential(2.0), lambda: stats.expon(scale=0.5)),
    "FisherSnedecor": (lambda: D.FisherSnedecor(5.0, 9.0), lambda: stats.f(5.0, 9.0)),
    "Gamma": (lambda: D.Gamma(2.5, 3.0), lambda: stats.gamma(2.5, scale=1 / 3.0)),
    "GeneralizedPareto": (lambda: D.GeneralizedPareto(1.0, 2.0, 0.2), lambda: stats.genpareto(0.2, 1.0, 2.0)),
    "Geometric": (lambda: D.Geometric(0.3), lambda: stats.geom(0.3, loc=-1)),
    "Gumbel": (lambda: D.Gumbel(1.0, 2.0), lambda: stats.gumbel_r(1.0, 2.0)),
    "HalfCauchy": (lambda: D.HalfCauchy(2.0), lambda: stats.halfcauchy(scale=2.0)),
    "HalfNormal": (lambda: D.HalfNormal(2.0), lambda: stats.halfnorm(scale=2.0)),
    "InverseGamma": (lambda: D.InverseGamma(3.5, 2.0), lambda: stats.invgamma(3.5, scale=2.0)),
    "Laplace": (lambda: D.Laplace(1.0, 2.0), lambda: stats.laplace(1.0, 2.0)),
    "LogNormal": (lambda: D.LogNormal(0.3, 0.5), lambda: stats.lognorm(0.5, scale=np.exp(0.3))),
    "NegativeBinomial": (lambda: D.NegativeBinomial(4.0, 0.3), lambda: stats.nbinom(4.0, 0.7)),
    "Normal": (lambda: D.Normal(1.0, 2.0), lambda: stats.norm(1.0, 2.0)),
    "Pareto": (lambda: D.Pareto(2.0, 3.5), lambda: stats.pareto(3.5, scale=2.0)),
    "Poisson": (lambda: D.Poisson(3.0), lambda: stats.poisson(3.0)),
    "StudentT": (lambda: D.StudentT(5.0, 1.0, 2.0), lambda: stats.t(5.0, 1.0, 2.0)),
    "Uniform": (lambda: D.Uniform(-1.0, 3.0), lambda: stats.uniform(-1.0, 4.0)),
    "VonMises": (lambda: D.VonMises(0.5, 2.0), lambda: stats.vonmises(2.0, loc=0.5)),
    "Weibull": (lambda: D.Weibull(2.0, 1.5), lambda: stats.weibull_min(1.5, scale=2.0)),
}
SAME_VECTORS = {
    "Dirichlet": (lambda: D.Dirichlet(mini_dl.tensor([1.0, 2.0, 3.5])), lambda: stats.dirichlet([1.0, 2.0, 3.5])),
    "MultivariateNormal": (
        lambda: D.MultivariateNormal(mini_dl.tensor([1.0, 2.0]), mini_dl.tensor([[2.0, 0.5], [0.5, 1.0]])),
        lambda: stats.multivariate_normal([1.0, 2.0], [[2.0, 0.5], [0.5, 1.0]]),
    ),
    "LowRankMultivariateNormal": (
        lambda: D.LowRankMultivariateNormal(mini_dl.zeros(2), mini_dl.tensor([[1.0], [2.0]]), mini_dl.tensor([0.5, 1.0])),
        lambda: stats.multivariate_normal([0.0, 0.0], [[1.5, 2.0], [2.0, 5.0]]),
    ),
    "Multinomial": (lambda: D.Multinomial(7, mini_dl.tensor([0.2, 0.3, 0.5])), lambda: stats.multinomial(7, [0.2, 0.3, 0.5])),
    "Wishart": (
        lambda: D.Wishart(5.0, mini_dl.tensor([[2.0, 0.5], [0.5, 1.0]])),
        lambda: stats.wishart(5.0, [[2.0, 0.5], [0.5, 1.0]]),
    ),
}


@pytest.fixture(autouse=True)
def in_double():
    mini_dl.set_default_dtype(mini_dl.float64)
    mini_dl.manual_seed(0)
    yield
    mini_dl.set_default_dtype(mini_dl.float32)


def array(tensor):
    return tensor._array


@pytest.mark.parametrize("name", list(SAME))
def test_scipy_has_the_same_density_distribution_function_and_moments(name):
    ours, theirs = (make() for make in SAME[name])
    x = array(ours.sample((200,)))
    log_density = theirs.logpmf if hasattr(theirs.dist, "logpmf") else theirs.logpdf
    np.testing.assert_allclose(array(ours.log_prob(mini_dl.tensor(x))), log_density(x), rtol=1e-6, atol=1e-6)
    for what, value in (("mean", theirs.mean()), ("variance", theirs.var()), ("stddev", theirs.std())):
        if np.isfinite(value) and name != "VonMises":  # whose moments here are those of the circle
            np.testing.assert_allclose(array(getattr(ours, what)), value, rtol=1e-6, err_msg=what)
    for what, value in (("cdf", theirs.cdf), ("icdf", theirs.ppf)):
        points = x if what == "cdf" else np.linspace(0.01, 0.99, 21)
        try:
            found = getattr(ours, what)(mini_dl.tensor(points))
        except NotImplementedError:
            continue
        np.testing.assert_allclose(array(found), value(points), rtol=1e-6, atol=1e-9, err_msg=what)
    try:
        entropy = ours.entropy()
    except NotImplementedError:
        return
    np.testing.assert_allclose(array(entropy), theirs.entropy(), rtol=1e-6)


@pytest.mark.parametrize("name", list(SAME_VECTORS))
def test_scipy_has_the_same_density_of_vectors(name):
    ours, theirs = (make() for make in SAME_VECTORS[name])
    for _ in range(20):
        x = ours.sample()
        density = theirs.logpmf if hasattr(theirs, "logpmf") else theirs.logpdf
        np.testing.assert_allclose(array(ours.log_prob(x)), density(array(x)), rtol=1e-7)
    np.testing.assert_allclose(array(ours.entropy()), theirs.entropy(), rtol=1e-7)


EVERY = [(name, None) for name in KINDS] + list(OTHER_PARAMETERS.items())
NO_MOMENTS = {
    "Cauchy",
    "Categorical",
    "HalfCauchy",
    "VonMises",
    "LogisticNormal",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "LKJCholesky",
}
HEAVY = {"GeneralizedPareto", "InverseGamma", "Pareto", "StudentT", "FisherSnedecor"}  # may have no fourth moment


@pytest.mark.parametrize("name, kinds", [(name, kinds) for name, kinds in EVERY if name not in NO_MOMENTS])
@pytest.mark.filterwarnings("ignore:Singular sample")
def test_samples_have_the_moments_they_say(name, kinds):
    """Within five standard errors, of 20,000 samples."""
    d = made(mini_dl, Draws(mini_dl, 1), name, (2,), "float64", kinds)[0]
    x = array(d.sample((20_000,)))
    mean, variance = array(d.mean), array(d.variance)
    known = np.isfinite(mean) & np.isfinite(variance)
    error = np.sqrt(variance / len(x))
    assert np.all(np.abs(x.mean(0) - mean)[known] <= 5 * error[known] + 1e-12)
    if name not in HEAVY:
        squares = (x - mean) ** 2
        assert np.all(np.abs(squares.mean(0) - variance)[known] <= 6 * squares.std(0)[known] / len(x) ** 0.5 + 1e-12)


@pytest.mark.parametrize("name, kinds", EVERY)
@pytest.mark.filterwarnings("ignore:Singular sample")
def test_the_entropy_is_the_mean_of_minus_the_log_density(name, kinds):
    d = made(mini_dl, Draws(mini_dl, 1), name, (), "float64", kinds)[0]
    try:
        entropy = float(array(d.entropy()))
    except NotImplementedError:
        return
    d._validate_args = False
    terms = -array(d.log_prob(d.sample((20_000,))))
    assert abs(terms.mean() - entropy) <= 5 * terms.std() / len(terms) ** 0.5 + 1e-9


@pytest.mark.parametrize("name, kinds", EVERY)
def test_the_distribution_function_is_the_share_of_samples_below(name, kinds):
    d = made(mini_dl, Draws(mini_dl, 1), name, (), "float64", kinds)[0]
    x = np.sort(array(d.sample((5_000,))), axis=0)
    try:
        cdf = array(d.cdf(mini_dl.tensor(x)))
    except NotImplementedError:
        return
    assert np.max(np.abs(cdf - np.arange(1, len(x) + 1) / len(x))) <= 1.95 / len(x) ** 0.5  # Kolmogorov's test at 0.1 percent
