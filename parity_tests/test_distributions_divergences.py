"""Every pair of distributions whose divergence torch has a formula for, and how the formula of a pair is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real

from parity_tests import bridge
from parity_tests.distribution_cases import KINDS, OTHER_PARAMETERS, gradients, made, parameter
from parity_tests.twin import Draws, message, outcome, twin

PAIRS = sorted((p.__name__, q.__name__) for p, q in real.distributions.kl._KL_REGISTRY)
MADE_OF_OTHERS = {"ExponentialFamily", "Independent", "TransformedDistribution"}
PLAIN = [pair for pair in PAIRS if not MADE_OF_OTHERS & set(pair)]


def test_the_same_pairs_are_registered():
    ours = sorted((p.__name__, q.__name__) for p, q in bridge.mini_dl.distributions.kl._KL_REGISTRY)
    assert ours == PAIRS


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p, q", PLAIN)
@twin
def test_the_divergence_of_a_pair(torch, rng, p, q, dtype, shape):
    of = torch.distributions.kl_divergence
    P, Q = made(torch, rng, p, shape, dtype)[0], made(torch, rng, q, shape, dtype)[0]
    return outcome(lambda: of(P, Q)), outcome(lambda: of(P, P)) if p == q else None


@pytest.mark.parametrize("p, q", PLAIN)
@twin
def test_the_gradient_of_a_divergence_to_second_order(torch, rng, p, q):
    (P, ps), (Q, qs) = (made(torch, rng, name, (3,), "float64", grad=True) for name in (p, q))
    value = torch.distributions.kl_divergence(P, Q)
    leaves = [leaf for leaf in ps + qs if leaf.requires_grad]
    return gradients(torch, rng, value, leaves) if value.requires_grad else value


@pytest.mark.parametrize("name", ["Bernoulli", "Binomial", "Categorical", "OneHotCategorical"])
@twin
def test_impossible_values(torch, rng, name):
    of = torch.distributions.kl_divergence
    rows = [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]
    probs = torch.tensor(rows)
    if name in ("Bernoulli", "Binomial"):
        probs = torch.tensor([0.0, 1.0, 0.5])
    more = {"total_count": 4} if name == "Binomial" else {}
    make = lambda values: getattr(torch.distributions, name)(probs=values, **more)
    return [of(make(probs), make(probs.roll(shift, 0))) for shift in range(3)]


@twin
def test_intervals_that_leave_each_other(torch, rng):
    D, of = torch.distributions, torch.distributions.kl_divergence
    low, high = torch.tensor([-1.0, 0.0, 0.2, 0.5]), torch.tensor([0.5, 1.0, 0.7, 3.0])
    uniform, other = D.Uniform(low, high), D.Uniform(torch.zeros(4), torch.ones(4))
    pairs = [(uniform, other), (other, uniform)]
    for q in (D.Beta(2.0, 3.0), D.ContinuousBernoulli(0.3), D.Exponential(1.0), D.Gamma(2.0, 1.0), D.Pareto(0.3, 2.0)):
        pairs += [(uniform, q)]
    for p in (D.Beta(2.0, 3.0), D.ContinuousBernoulli(0.3)):
        pairs += [(p, uniform)]
    pareto = D.Pareto(torch.tensor([0.5, 1.0, 2.0]), torch.tensor([0.5, 1.5, 3.0]))
    for q in (D.Exponential(1.0), D.Gamma(2.0, 1.0), D.Normal(0.0, 1.0), D.Pareto(1.0, 1.0)):
        pairs += [(pareto, q)]
    return [of(p, q) for p, q in pairs]


@twin
def test_binomials_of_different_counts(torch, rng):
    D, of = torch.distributions, torch.distributions.kl_divergence
    few, many = D.Binomial(torch.tensor([3.0, 4.0]), torch.tensor(0.3)), D.Binomial(4, torch.tensor([0.2, 0.5]))
    return of(many, few), message(lambda: of(few, many))


@twin
def test_distributions_made_of_others(torch, rng):
    D, of = torch.distributions, torch.distributions.kl_divergence
    p, q = (D.Normal(rng(2, 3), rng(2, 3).exp()) for _ in range(2))
    transforms = [D.ExpTransform()]
    lognormals = D.LogNormal(rng(3), 1.0), D.LogNormal(rng(3), 2.0)
    return (
        of(D.Independent(p, 1), D.Independent(q, 1)),
        of(D.Independent(p, 2), D.Independent(q, 2)),
        message(lambda: of(D.Independent(p, 1), D.Independent(q, 2))),
        of(*lognormals),
        of(D.TransformedDistribution(p, transforms), D.TransformedDistribution(q, transforms)),
        message(lambda: of(D.TransformedDistribution(p, transforms), D.TransformedDistribution(q, [D.TanhTransform()]))),
        of(D.Chi2(torch.tensor(3.0)), D.Gamma(2.0, 1.0)),
        of(D.Exponential(2.0), D.Chi2(torch.tensor(3.0))),
    )


@twin
def test_vectors_of_different_sizes(torch, rng):
    D, of = torch.distributions, torch.distributions.kl_divergence
    full = [D.MultivariateNormal(torch.zeros(n), torch.eye(n)) for n in (2, 3)]
    low = [D.LowRankMultivariateNormal(torch.zeros(n), torch.ones(n, 1), torch.ones(n)) for n in (2, 3)]
    pairs = [(full[0], full[1]), (low[0], low[1]), (full[0], low[1]), (low[0], full[1])]
    return [type(outcome(lambda p=p, q=q: of(p, q))).__name__ for p, q in pairs]


@pytest.mark.parametrize("q", ["MultivariateNormal", "LowRankMultivariateNormal"])
@pytest.mark.parametrize("p", ["MultivariateNormal", "LowRankMultivariateNormal"])
@twin
def test_normal_vectors_whose_batches_broadcast(torch, rng, p, q):
    def one(name, batch):
        loc = parameter(rng, "reals", batch, "float64")
        kinds = KINDS[name] if batch else {**KINDS[name], **OTHER_PARAMETERS[name]}
        if name == "MultivariateNormal":
            return torch.distributions.MultivariateNormal(loc, parameter(rng, "definite", batch[-1:], "float64"))
        factor, diagonal = (parameter(rng, kind, batch[-1:], "float64") for kind in (kinds["cov_factor"], "positives"))
        return torch.distributions.LowRankMultivariateNormal(loc, factor, diagonal)

    of = torch.distributions.kl_divergence
    return [of(one(p, a), one(q, b)) for a, b in (((), (3,)), ((3,), ()), ((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), ()))]


@pytest.mark.parametrize("name", ["Normal", "Gamma", "Exponential", "Poisson", "Bernoulli", "Beta", "Dirichlet"])
@twin
def test_the_divergence_of_bregman(torch, rng, name):
    formula = torch.distributions.kl._KL_REGISTRY[torch.distributions.ExponentialFamily, torch.distributions.ExponentialFamily]
    p, q = (made(torch, rng, name, (3,), "float64")[0] for _ in range(2))
    other = torch.distributions.Exponential(1.0) if name != "Exponential" else torch.distributions.Poisson(1.0)
    return formula(p, q), message(lambda: formula(p, other))[0]


@pytest.mark.parametrize("name", ["Normal", "Exponential", "Bernoulli", "ContinuousBernoulli", "Gamma"])
@twin
def test_the_entropy_of_an_exponential_family(torch, rng, name):
    d = made(torch, rng, name, (2, 3), "float64")[0]
    return torch.distributions.ExponentialFamily.entropy(d), d.entropy()


@twin
def test_the_formula_of_the_most_specific_classes_is_used(torch, rng):
    D = torch.distributions

    class A(D.Normal):
        pass

    class B(A):
        pass

    registry = dict(D.kl._KL_REGISTRY)
    try:
        D.register_kl(A, D.Normal)(lambda p, q: "A, Normal")
        seen = [D.kl_divergence(A(0, 1), A(0, 1)), D.kl_divergence(B(0, 1), B(0, 1)), D.kl_divergence(D.Normal(0, 1), A(0, 1))]
        D.register_kl(D.Normal, B)(lambda p, q: "Normal, B")  # A, Normal and Normal, B are ambiguous: a warning
        seen += [D.kl_divergence(B(0, 1), B(0, 1)), D.kl_divergence(B(0, 1), B(0, 1)), D.kl_divergence(D.Normal(0, 1), B(0, 1))]
        D.register_kl(B, B)(lambda p, q: "B, B")
        seen += [D.kl_divergence(B(0, 1), B(0, 1))]
    finally:
        D.kl._KL_REGISTRY.clear()
        D.kl._KL_REGISTRY.update(registry)
        D.kl._KL_MEMOIZE.clear()
    unknown = message(lambda: D.kl_divergence(D.Normal(0, 1), D.Cauchy(0, 1)))
    return seen, unknown, message(lambda: D.register_kl(3, D.Normal))[0]


def test_the_warning_of_an_ambiguous_pair_has_torchs_words():
    said = []
    for library in (real, bridge.mini_dl):
        D = library.distributions
        A = type("A", (D.Normal,), {})
        registry = dict(D.kl._KL_REGISTRY)
        try:
            D.register_kl(A, D.Normal)(lambda p, q: 1)
            D.register_kl(D.Normal, A)(lambda p, q: 2)
            with pytest.warns(RuntimeWarning) as caught:
                assert D.kl_divergence(A(0, 1), A(0, 1)) == 1
            said.append(str(caught[0].message))
        finally:
            D.kl._KL_REGISTRY.clear()
            D.kl._KL_REGISTRY.update(registry)
            D.kl._KL_MEMOIZE.clear()
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "p, q", [pair for pair in PLAIN if pair not in (("Pareto", "Normal"), ("Normal", "Gumbel"))]
)  # heavy tails
def test_the_divergence_is_the_mean_of_the_difference_of_the_densities(p, q):
    """Monte Carlo, in mini_dl alone: within five standard errors."""
    library = bridge.mini_dl
    library.set_default_dtype(library.float64)
    try:
        rng = Draws(library, 1)
        library.manual_seed(0)
        P, Q = (made(library, rng, name, (), "float64", scale=0.4)[0] for name in (p, q))
        value = bridge.array(library.distributions.kl_divergence(P, Q))
        if not np.isfinite(value):
            return
        P._validate_args = Q._validate_args = False
        x = P.sample((20000,))
        terms = bridge.array(P.log_prob(x) - Q.log_prob(x))
    finally:
        library.set_default_dtype(library.float32)
    assert abs(terms.mean() - value) <= 5 * terms.std() / len(terms) ** 0.5 + 1e-6
