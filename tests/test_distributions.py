"""Properties of distributions: densities that integrate to one, samplers that do not depend on how they are called."""

from __future__ import annotations

import copy
import doctest
import importlib
import math
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mini_dl as torch

D = torch.distributions
ROOT = Path(__file__).resolve().parent.parent


def array(tensor: Any) -> Any:
    return tensor.detach().numpy()


def double(value: Any) -> Any:
    return torch.tensor(value, dtype=torch.float64)


# ------------------------------------------------------------------------------------------------ the package


def test_it_is_loaded_when_it_is_first_asked_for() -> None:
    code = (
        "import sys, mini_dl\n"
        "before = 'mini_dl.distributions' in sys.modules\n"
        "print(before, mini_dl.distributions.Normal(0.0, 1.0), hasattr(mini_dl, 'no_such_package'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False Normal(loc: 0.0, scale: 1.0) False\n"


def test_a_file_of_torchs_can_be_imported_first() -> None:
    code = "from mini_dl.distributions.studentT import StudentT; import mini_dl.distributions.kl as kl; print(StudentT(1.0))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "StudentT(df: 1.0, loc: 0.0, scale: 1.0)\n"


@pytest.mark.parametrize("name", list(D.MODULES))
def test_a_module_of_torchs_name_has_its_classes_and_their_examples_hold(name: str) -> None:
    module = importlib.import_module(f"mini_dl.distributions.{name}")
    for cls in module.__all__:
        assert getattr(module, cls).__module__ == module.__name__
    outcome = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE, extraglobs={"torch": torch})
    assert outcome.failed == 0
    with pytest.raises(AttributeError):
        _ = module.no_such_name


def test_every_distribution_has_a_section_with_a_formula_and_a_drawing_in_the_docs() -> None:
    text = (ROOT / "docs" / "distributions.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE))
    classes = {name for name in D.__all__ if isinstance(value := getattr(D, name), type) and issubclass(value, D.Distribution)}
    abstract = {"Distribution", "ExponentialFamily"}
    straight = {"OneHotCategoricalStraightThrough"}  # drawn with OneHotCategorical
    assert set(sections) == classes - abstract - straight
    for body in sections.values():
        assert "$$" in body and "{code-cell}" in body


# ------------------------------------------------------------------------------------------------ densities

DENSITIES = {
    "Beta": (D.Beta(double(2.0), double(3.0)), 0.0, 1.0),
    "Cauchy": (D.Cauchy(double(0.0), 1.0), -1e5, 1e5),
    "ContinuousBernoulli": (D.ContinuousBernoulli(double(0.3)), 0.0, 1.0),
    "Exponential": (D.Exponential(double(2.0)), 0.0, 40.0),
    "FisherSnedecor": (D.FisherSnedecor(double(6.0), 8.0), 1e-9, 1e4),
    "Gamma": (D.Gamma(double(2.5), 2.0), 1e-9, 60.0),
    "GeneralizedPareto": (D.GeneralizedPareto(double(1.0), 2.0, 0.1), 1.0, 1e4),
    "Gumbel": (D.Gumbel(double(0.5), 2.0, validate_args=False), -20.0, 200.0),
    "HalfCauchy": (D.HalfCauchy(double(1.0)), 0.0, 1e5),
    "HalfNormal": (D.HalfNormal(double(2.0)), 0.0, 40.0),
    "InverseGamma": (D.InverseGamma(double(3.0), 2.0), 1e-6, 1e4),
    "Kumaraswamy": (D.Kumaraswamy(double(2.0), 3.0), 1e-9, 1 - 1e-9),
    "Laplace": (D.Laplace(double(1.0), 2.0), -80.0, 80.0),
    "LogNormal": (D.LogNormal(double(0.0), 0.5), 1e-9, 100.0),
    "Normal": (D.Normal(double(1.0), 2.0), -40.0, 40.0),
    "Pareto": (D.Pareto(double(1.0), 3.0), 1.0, 1e4),
    "RelaxedBernoulli": (D.RelaxedBernoulli(double(1.5), double(0.4)), 1e-9, 1 - 1e-9),
    "StudentT": (D.StudentT(double(4.0), 0.0, 1.0), -1e4, 1e4),
    "Uniform": (D.Uniform(double(-1.0), 2.0), -1.0, 2.0),
    "VonMises": (D.VonMises(double(0.5), 2.0), -math.pi, math.pi),
    "Weibull": (D.Weibull(double(1.0), 1.5), 1e-9, 40.0),
}


def spread(low: float, high: float, n: int = 400_001) -> Any:
    """Points from `low` to `high`, dense where densities are large: the sinh of equidistant points."""
    return np.unique(np.clip(np.sinh(np.linspace(np.arcsinh(low), np.arcsinh(high), n)), low, high))


@pytest.mark.parametrize("name", list(DENSITIES))
def test_a_density_integrates_to_one_to_its_mean_and_to_its_distribution_function(name: str) -> None:
    d, low, high = DENSITIES[name]
    d._validate_args = False
    x = spread(low, high)
    density = np.exp(array(d.log_prob(double(x))))
    weights = np.nan_to_num(density)
    pieces = (weights[1:] + weights[:-1]) / 2 * np.diff(x)
    assert abs(pieces.sum() - 1) < 2e-4
    if name not in ("Cauchy", "HalfCauchy", "VonMises", "RelaxedBernoulli"):
        middle = (x[1:] + x[:-1]) / 2
        mean, variance = float(d.mean), float(d.variance)
        assert abs((pieces * middle).sum() - mean) < 2e-3 * (1 + abs(mean))
        if name != "InverseGamma":  # whose tail is too long for this
            assert abs((pieces * (middle - mean) ** 2).sum() - variance) < 1e-2 * (1 + variance)
    try:
        cdf = array(d.cdf(double(x)))
    except NotImplementedError:
        return
    assert np.max(np.abs(cdf[1:] - cdf[0] - np.cumsum(pieces))) < 2e-4


@pytest.mark.parametrize("name", list(DENSITIES))
def test_the_inverse_of_the_distribution_function(name: str) -> None:
    d = DENSITIES[name][0]
    u = double(np.linspace(0.01, 0.99, 50))
    try:
        x, back = d.icdf(u), d.cdf(d.icdf(u))
    except NotImplementedError:
        return
    np.testing.assert_allclose(array(back), array(u), rtol=1e-9)
    assert np.all(np.diff(array(x)) > 0)


@pytest.mark.parametrize(
    "d",
    [
        D.Bernoulli(double(0.3)), D.Binomial(7, double(0.3)), D.Categorical(double([0.1, 0.2, 0.7])),
        D.OneHotCategorical(double([0.1, 0.2, 0.7])),
    ],
    ids=lambda d: type(d).__name__,
)  # fmt: skip
def test_the_probabilities_of_all_values_sum_to_one(d: Any) -> None:
    values = d.enumerate_support()
    assert abs(float(d.log_prob(values).exp().sum()) - 1) < 1e-12


@pytest.mark.parametrize("d", [D.Geometric(double(0.3)), D.Poisson(double(3.0)), D.NegativeBinomial(double(2.5), double(0.4))])
def test_the_probabilities_of_counts_sum_to_one_and_to_the_moments(d: Any) -> None:
    k = np.arange(400.0)
    chance = np.exp(array(d.log_prob(double(k))))
    mean = (chance * k).sum()
    assert abs(chance.sum() - 1) < 1e-12 and abs(mean - float(d.mean)) < 1e-9
    assert abs((chance * (k - mean) ** 2).sum() - float(d.variance)) < 1e-8


# ------------------------------------------------------------------------------------------------ samplers


@pytest.mark.parametrize("a", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gamma_numbers_are_the_same_one_by_one_and_together(a: float, dtype: Any) -> None:
    """The loop over single draws and the search for runs must find the same numbers, and leave the same stream."""
    shapes = torch.full((500,), a, dtype=dtype)
    torch.manual_seed(0)
    together, after = torch._standard_gamma(shapes), torch.randn(3, dtype=torch.float64)
    torch.manual_seed(0)
    single = [torch._standard_gamma(shapes[:1]) for _ in range(500)]
    np.testing.assert_allclose(array(together), np.concatenate([array(x) for x in single]), rtol=1e-6)
    np.testing.assert_allclose(array(after), array(torch.randn(3, dtype=torch.float64)), rtol=1e-12)


def test_elements_below_and_above_one_in_turn_take_their_draws_in_order() -> None:
    shapes = torch.tensor([0.3, 4.0, 0.0, 1.0, 0.9, 2.5] * 40, dtype=torch.float64)
    torch.manual_seed(1)
    together = array(torch._standard_gamma(shapes))
    torch.manual_seed(1)
    single = np.concatenate([array(torch._standard_gamma(shapes[i : i + 1])) for i in range(len(shapes))])
    np.testing.assert_allclose(together, single, rtol=1e-12)


@pytest.mark.parametrize("name", ["poisson", "binomial"])
def test_counts_are_the_same_one_by_one_and_together(name: str) -> None:
    rates = torch.tensor([0.0, 0.4, 30.0, 2.0, 9.99, 10.0] * 20)
    parameters = (rates,) if name == "poisson" else (rates.ceil(), torch.full((120,), 0.37))
    torch.manual_seed(2)
    together = array(getattr(torch, name)(*parameters))
    torch.manual_seed(2)
    single = [array(getattr(torch, name)(*[p[i : i + 1] for p in parameters])) for i in range(120)]
    assert np.array_equal(together, np.concatenate(single))


@pytest.mark.parametrize("rate, count, chance", [(0.5, 9.0, 0.3), (4.0, 9.0, 0.8), (30.0, 90.0, 0.4), (1e3, 1e4, 0.7)])
def test_counts_of_the_same_parameters_are_found_as_those_of_different_ones_are(rate: float, count: float, chance: float) -> None:
    n = 300
    torch.manual_seed(3)
    together = [torch.poisson(torch.full((n,), rate)), torch.binomial(torch.full((n,), count), torch.full((n,), chance))]
    torch.manual_seed(3)
    single = [torch.poisson(torch.full((1,), rate)) for _ in range(n)]
    assert np.array_equal(array(together[0]), array(torch.cat(single)))
    single = [torch.binomial(torch.full((1,), count), torch.full((1,), chance)) for _ in range(n)]
    assert np.array_equal(array(together[1]), array(torch.cat(single)))


@pytest.mark.parametrize(
    "make", [lambda a: D.Gamma(a, 1.0), lambda a: D.Beta(a, 2.0), lambda a: D.StudentT(a), lambda a: D.Chi2(a)]
)
def test_the_gradient_of_samples_is_that_of_the_mean_of_a_function_of_them(make: Any) -> None:
    """The pathwise estimator and the score function must agree in expectation."""
    a = double(3.0).requires_grad_()
    torch.manual_seed(0)
    x = make(a).rsample((40_000,))
    (pathwise,) = torch.autograd.grad(x.tanh().mean(), a)
    value = x.detach()
    weight = (value.tanh() - value.tanh().mean()) * make(a).log_prob(value)
    (score,) = torch.autograd.grad(weight.mean(), a)
    assert abs(float(pathwise) - float(score)) < 0.01


def test_a_gradient_that_cannot_be_differentiated_says_so() -> None:
    a = torch.ones(3, requires_grad=True)
    (slope,) = torch.autograd.grad(D.Dirichlet(a).rsample().square().sum(), a, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
    (slope,) = torch.autograd.grad(D.Gamma(a, 1.0).rsample().sum(), a, create_graph=True)
    with pytest.raises(NotImplementedError, match="_standard_gamma_grad"):
        slope.sum().backward()


def test_the_gradient_of_a_wishart_sample_flows_to_the_scale() -> None:
    scale = torch.eye(2).requires_grad_()
    with pytest.warns(UserWarning, match="Singular sample"):
        sample = D.Wishart(torch.tensor(5.0), scale_tril=scale).rsample((3,))
    (slope,) = torch.autograd.grad(sample.sum(), scale)
    assert np.all(np.isfinite(array(slope))) and np.abs(array(slope)).sum() > 0


# ------------------------------------------------------------------------------------------------ transforms

BIJECTIONS = {
    "affine": (D.AffineTransform(1.0, -2.0), 3), "exp": (D.ExpTransform(), 3), "sigmoid": (D.SigmoidTransform(), 3),
    "softplus": (D.SoftplusTransform(), 3), "tanh": (D.TanhTransform(), 3), "stick": (D.StickBreakingTransform(), 3),
    "corr_cholesky": (D.CorrCholeskyTransform(), 6), "cumulative": (D.CumulativeDistributionTransform(D.Normal(0.0, 1.0)), 3),
    "composed": (D.ComposeTransform([D.TanhTransform(), D.AffineTransform(0.0, 3.0), D.StickBreakingTransform()]), 3),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BIJECTIONS))
def test_the_jacobian_is_that_of_autograd(name: str) -> None:
    transform, n = BIJECTIONS[name]
    x = double(np.random.default_rng(0).standard_normal(n) * 0.7)
    y = transform(x)
    jacobian = array(torch.autograd.functional.jacobian(transform, x)).reshape(-1, n)
    if name in ("stick", "composed"):
        jacobian = jacobian[:-1]
    if name == "corr_cholesky":
        jacobian = jacobian[[4, 8, 9, 12, 13, 14]]  # below the diagonal of a 4 x 4 matrix
    expected = np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(float(transform.log_abs_det_jacobian(x, y).sum()), expected, rtol=1e-9)
    np.testing.assert_allclose(array(transform.inv(y)), array(x), rtol=1e-7)


def test_inverses_survive_copies() -> None:
    flow = D.ComposeTransform([D.ExpTransform().inv, D.AffineTransform(0.0, 2.0)])
    gumbel = D.Gumbel(torch.zeros(2), torch.ones(2))
    x = torch.tensor([0.5, 2.0])
    for other in (copy.deepcopy(flow), pickle.loads(pickle.dumps(flow))):
        assert np.array_equal(array(other(x)), array(flow(x)))
    for same in (copy.deepcopy(gumbel), pickle.loads(pickle.dumps(gumbel))):
        assert np.array_equal(array(same.cdf(x)), array(gumbel.cdf(x)))


def test_one_cache_serves_a_transform_and_its_inverse() -> None:
    calls = []

    class Counted(D.ExpTransform):
        def _call(self, x: Any) -> Any:
            calls.append("forward")
            return super()._call(x)

        def _inverse(self, y: Any) -> Any:
            calls.append("inverse")
            return super()._inverse(y)

    transform = Counted(cache_size=1)
    x = torch.tensor([1.0])
    assert transform.inv(transform(x)) is x and transform(x) is transform(x)
    assert calls == ["forward"]


# ------------------------------------------------------------------------------------------------ divergences


@pytest.mark.parametrize("pair", sorted(D.kl._KL_REGISTRY, key=str), ids=lambda pair: f"{pair[0].__name__}-{pair[1].__name__}")
def test_a_formula_is_registered_under_classes_that_exist(pair: Any) -> None:
    assert all([getattr(D, cls.__name__) is cls for cls in pair])


def test_the_divergence_from_itself_is_zero() -> None:
    for d in (
        D.Normal(1.0, 2.0), D.Gamma(2.0, 3.0), D.Beta(2.0, 3.0), D.Poisson(2.0), D.Bernoulli(0.3), D.Cauchy(1.0, 2.0),
        D.Dirichlet(torch.tensor([1.0, 2.0])), D.MultivariateNormal(torch.zeros(2), torch.eye(2)), D.Gumbel(1.0, 2.0),
        D.LowRankMultivariateNormal(torch.zeros(3), torch.ones(3, 1), torch.ones(3)),
    ):  # fmt: skip
        assert abs(float(D.kl_divergence(d, d))) < 1e-5, d


def test_a_low_rank_normal_vector_is_the_full_one_with_its_covariance() -> None:
    low = D.LowRankMultivariateNormal(torch.zeros(3), torch.tensor([[1.0], [2.0], [0.5]]), torch.tensor([0.5, 1.0, 2.0]))
    full = D.MultivariateNormal(torch.zeros(3), low.covariance_matrix)
    x = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.0, 0.5]])
    np.testing.assert_allclose(array(low.log_prob(x)), array(full.log_prob(x)), rtol=1e-5)
    np.testing.assert_allclose(array(low.precision_matrix), array(full.precision_matrix), rtol=1e-4, atol=1e-5)
    for pair in ((low, full), (full, low), (low, low), (full, full)):
        assert abs(float(D.kl_divergence(*pair))) < 1e-5


def test_cholesky_factorization_of_numbers_that_are_not_finite_is_refused() -> None:
    for value in (math.nan, math.inf):
        matrix = torch.eye(3)
        matrix[0, 0] = value
        with pytest.raises(RuntimeError, match=r"order [12]"):
            torch.linalg.cholesky(matrix)
        assert int(torch.linalg.cholesky_ex(matrix).info) in (1, 2)
