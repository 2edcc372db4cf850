"""Edges of distributions: parameters that broadcast, empty batches, certain events, values of other types."""

from __future__ import annotations

import pytest

from parity_tests.distribution_cases import KINDS, asked, made
from parity_tests.twin import message, outcome, twin


@twin
def test_parameters_and_values_that_broadcast(torch, rng):
    D = torch.distributions
    seen = []
    for loc, scale, value in (((3, 1), (2,), (4, 3, 2)), ((), (2, 3), (3,)), ((2, 1, 1), (3, 1), (4,)), ((1,), (), (5, 1))):
        for cls in (D.Normal, D.Laplace, D.Gumbel, D.StudentT):
            parameters = (rng(*loc), rng(*scale).exp())
            d = cls(parameters[1], *parameters) if cls is D.StudentT else cls(*parameters)
            x = rng(*value)
            seen += [d.batch_shape, d.sample((2,)), outcome(lambda d=d, x=x: d.log_prob(x)), outcome(lambda d=d, x=x: d.cdf(x))]
    return seen


@pytest.mark.parametrize("name", list(KINDS))
@twin
def test_empty_batches_and_empty_samples(torch, rng, name):
    empty = outcome(lambda: made(torch, rng, name, (0,), "float32")[0])
    d = made(torch, rng, name, (2,), "float32")[0]
    if isinstance(empty, str):
        return empty, outcome(lambda: d.sample((0,)).shape)
    return (
        repr(empty),
        outcome(lambda: empty.sample().shape),
        outcome(lambda: empty.sample((3,)).shape),
        asked(empty, "mean", "variance", "entropy"),
        outcome(lambda: d.sample((0,)).shape),
    )


@pytest.mark.parametrize("name", list(KINDS))
@twin
def test_sample_shapes_of_all_spellings(torch, rng, name):
    d = made(torch, rng, name, (2,), "float64")[0]
    shapes = [(), (3,), [2, 1], torch.Size([2])]
    return [outcome(lambda s=s: d.sample(s)) for s in shapes], [outcome(lambda s=s: d.rsample(s)) for s in shapes]


@twin
def test_certain_and_impossible_events(torch, rng):
    D = torch.distributions
    bits = torch.tensor([0.0, 1.0])
    coin = D.Bernoulli(torch.tensor([0.0, 1.0]))
    classes = D.Categorical(torch.tensor([0.0, 0.25, 0.75]))
    never = D.Categorical(logits=torch.tensor([-float("inf"), 0.0, 1.0]))
    one_hot = D.OneHotCategorical(torch.tensor([0.0, 1.0]))
    counts = torch.tensor([[0.0, 2.0, 3.0], [1.0, 2.0, 2.0]])
    many = D.Multinomial(5, torch.tensor([0.0, 0.5, 0.5]))
    unlikely = D.Multinomial(5, logits=torch.tensor([-float("inf"), 0.0, 0.0]))
    three = torch.arange(3.0)
    return {
        "Bernoulli": (coin.log_prob(bits), coin.sample((3,)), coin.entropy(), coin.mode, D.Bernoulli(0.5).mode),
        "Binomial": [
            (d.log_prob(three.clamp(max=float(d.total_count))), d.sample((3,)), d.mode, d.entropy())
            for d in (D.Binomial(0, 0.3), D.Binomial(3, 0.0), D.Binomial(3, 1.0), D.Binomial(2, logits=torch.tensor(0.0)))
        ],
        "Categorical": (classes.log_prob(torch.arange(3)), classes.entropy(), never.log_prob(torch.arange(3)), never.entropy()),
        "OneHot": (one_hot.log_prob(torch.eye(2)), one_hot.sample((2,)), one_hot.mode),
        "Multinomial": (
            many.log_prob(counts),
            unlikely.log_prob(counts),
            many.sample((2,)),
            outcome(lambda: D.Multinomial(0, torch.ones(2)).sample()),
        ),
        "Geometric": (D.Geometric(1.0).log_prob(three), D.Geometric(1.0).sample((3,)), D.Geometric(1.0).entropy()),
        "Poisson": (D.Poisson(0.0).log_prob(three), D.Poisson(0.0).sample((3,)), D.Poisson(2.5).mode),
        "NegativeBinomial": (
            D.NegativeBinomial(0.0, 0.3).log_prob(three),
            D.NegativeBinomial(2.0, 0.0).log_prob(three),
            D.NegativeBinomial(0.5, 0.3).mode,
        ),
    }


@twin
def test_moments_at_their_limits(torch, rng):
    D = torch.distributions
    df, a = torch.tensor([0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0]), torch.tensor([0.5, 1.0, 1.5, 2.0, 2.5, 4.0, 9.0])
    return {
        "StudentT": asked(D.StudentT(df), "mean", "variance", "mode", "stddev"),
        "FisherSnedecor": asked(D.FisherSnedecor(df, a), "mean", "variance", "mode"),
        "InverseGamma": asked(D.InverseGamma(a, df), "mean", "variance", "mode"),
        "Pareto": asked(D.Pareto(1.0, a), "mean", "variance", "mode"),
        "Kumaraswamy": asked(D.Kumaraswamy(a, df), "mode"),
        "Weibull": asked(D.Weibull(a, df), "mode", "mean"),
        "Gamma": asked(D.Gamma(a, df), "mode"),
        "Beta": asked(D.Beta(torch.tensor([0.5, 1.0, 3.0, 0.7]), torch.tensor([0.5, 1.0, 2.0, 3.0])), "mode"),
        "Dirichlet": asked(D.Dirichlet(torch.tensor([[0.5, 0.2, 0.9], [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])), "mode"),
        "GeneralizedPareto": asked(
            D.GeneralizedPareto(0.0, 1.0, torch.tensor([-1.0, 0.0, 0.4, 0.6, 1.0])), "mean", "variance", "entropy"
        ),
        "ContinuousBernoulli": asked(
            D.ContinuousBernoulli(torch.tensor([0.0, 0.4989, 0.4995, 0.5, 0.5005, 0.502, 1.0])), "mean", "variance", "entropy"
        ),
    }


@twin
def test_values_of_other_types(torch, rng):
    D = torch.distributions
    whole, double = torch.tensor([0, 1, 2]), torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    truth = torch.tensor([True, False, True])
    return [
        outcome(call)
        for call in (
            lambda: D.Normal(0.0, 1.0).log_prob(whole),
            lambda: D.Normal(0.0, 1.0).log_prob(double),
            lambda: D.Normal(0, 1).sample((2,)),
            lambda: D.Normal(torch.tensor(0.0, dtype=torch.float64), torch.tensor(1.0)).sample((2,)),
            lambda: D.Poisson(2.0).log_prob(whole),
            lambda: D.Bernoulli(0.3).log_prob(truth.float()),
            lambda: D.Bernoulli(0.3).log_prob(truth),
            lambda: D.Bernoulli(0.3).log_prob(whole[:2]),
            lambda: D.Categorical(torch.ones(3)).log_prob(whole.float()),
            lambda: D.Categorical(torch.tensor([1, 2, 3])).sample((2,)),
            lambda: D.Binomial(torch.tensor([3, 4]), torch.tensor([0.2, 0.3])).sample(),
            lambda: D.Binomial(3, 0.5).log_prob(whole),
            lambda: D.Gamma(2.0, 1.0).log_prob(2.0),
            lambda: D.Gamma(2.0, 1.0).log_prob(double),
            lambda: D.HalfCauchy(1.0).log_prob(double),
            lambda: D.Uniform(0.0, 3.0).log_prob(double),
            lambda: D.Exponential(torch.tensor([1, 2])).sample(),
            lambda: D.Dirichlet(torch.ones(3, dtype=torch.float64)).sample(),
            lambda: D.Geometric(0.5).log_prob(whole),
            lambda: D.VonMises(0.0, torch.tensor(1.0, dtype=torch.float64)).sample((2,)),
            lambda: D.Multinomial(3, torch.ones(3)).log_prob(whole),
        )
    ]


@twin
def test_values_outside_the_support_without_checks(torch, rng):
    D = torch.distributions
    x = torch.tensor([-2.0, -0.5, 0.0, 0.3, 1.0, 1.5, float("nan"), float("inf")])
    every = [
        D.Uniform(0.0, 1.0, validate_args=False),
        D.Exponential(1.0, validate_args=False),
        D.HalfNormal(1.0, validate_args=False),
        D.HalfCauchy(1.0, validate_args=False),
        D.Gamma(2.0, 1.0, validate_args=False),
        D.Beta(2.0, 3.0, validate_args=False),
        D.ContinuousBernoulli(0.3, validate_args=False),
        D.Poisson(2.0, validate_args=False),
        D.Normal(0.0, 1.0, validate_args=False),
        D.Laplace(0.0, 1.0, validate_args=False),
        D.Geometric(0.3, validate_args=False),
    ]
    return [(type(d).__name__, outcome(lambda d=d: d.log_prob(x)), outcome(lambda d=d: d.cdf(x))) for d in every]


@twin
def test_samples_require_grad_where_parameters_do(torch, rng):
    D = torch.distributions
    p = torch.tensor([0.5, 0.7], requires_grad=True)
    every = [
        D.Normal(p, 1.0),
        D.Gamma(p, 1.0),
        D.Beta(p, 1.0),
        D.Bernoulli(p),
        D.LogNormal(p, 1.0),
        D.Uniform(0.0, p),
        D.Poisson(p),
    ]
    every += [D.StudentT(p), D.Dirichlet(p), D.RelaxedBernoulli(torch.tensor(1.0), p), D.OneHotCategoricalStraightThrough(p)]
    every += [D.MultivariateNormal(p, torch.eye(2)), D.Gumbel(p, 1.0), D.Weibull(p, 1.0), D.Kumaraswamy(p, 1.0), D.Cauchy(p, 1.0)]
    with torch.no_grad():
        quiet = [outcome(lambda d=d: d.rsample().requires_grad) for d in every]
    return [(type(d).__name__, d.sample(), outcome(lambda d=d: d.rsample())) for d in every], quiet


@twin
def test_lazy_parameters_keep_gradients_even_if_first_asked_for_without(torch, rng):
    p = torch.tensor([0.5, 0.7], requires_grad=True)
    d = torch.distributions.Bernoulli(p)
    with torch.no_grad():
        first = d.logits.requires_grad
    return first, torch.autograd.grad(d.logits.sum(), p)


@twin
def test_changes_of_the_batch(torch, rng):
    D = torch.distributions
    d = D.MultivariateNormal(rng(3), covariance_matrix=torch.eye(3)).expand((2, 4))
    low = D.LowRankMultivariateNormal(rng(3), rng(3, 1), rng(3).exp()).expand((2,))
    mix = D.MixtureSameFamily(D.Categorical(torch.ones(2)), D.Normal(rng(2), 1.0)).expand((3,))
    wishart = D.Wishart(torch.tensor(5.0), torch.eye(2)).expand((2,))
    return (
        [repr(one) for one in (d, low, mix, wishart)],
        [one.sample() for one in (d, low, mix, wishart)],
        d.precision_matrix.shape,
        low.scale_tril,
        wishart.mean,
        message(lambda: D.Normal(torch.zeros(2), 1.0).expand((3,))),
        D.Normal(torch.zeros(2, 1), 1.0).expand((2, 3)).batch_shape,
        D.Independent(D.Normal(torch.zeros(2), 1.0), 1).expand((4,)).sample(),
    )
