"""Transforms, constraints, the registries between them, and composed distributions."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch as real

from parity_tests.distribution_cases import gradients
from parity_tests.twin import message, outcome, twin

TRANSFORMS = {
    "abs": lambda torch, D: D.AbsTransform(),
    "affine": lambda torch, D: D.AffineTransform(1.5, -2.0),
    "affine of tensors": lambda torch, D: D.AffineTransform(torch.tensor([0.5, 1.0, 2.0]), torch.tensor([-1.0, 2.0, 3.0])),
    "affine of vectors": lambda torch, D: D.AffineTransform(torch.zeros(3), torch.tensor([1.0, 2.0, 3.0]), event_dim=1),
    "affine of matrices": lambda torch, D: D.AffineTransform(0.0, 3.0, event_dim=2),
    "cat": lambda torch, D: D.CatTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0)], -1, [1, 2]),
    "cat of the first dimension": lambda torch, D: D.CatTransform([D.ExpTransform(), D.TanhTransform()], 0, [1, 3]),
    "compose": lambda torch, D: D.ComposeTransform([D.AffineTransform(0.1, 0.5), D.SigmoidTransform(), D.SigmoidTransform().inv]),
    "compose with vectors": lambda torch, D: D.ComposeTransform([D.AffineTransform(0.0, 2.0), D.StickBreakingTransform()]),
    "corr_cholesky": lambda torch, D: D.CorrCholeskyTransform(),
    "cumulative": lambda torch, D: D.CumulativeDistributionTransform(D.Normal(0.5, 2.0)),
    "exp": lambda torch, D: D.ExpTransform(),
    "exp inverse": lambda torch, D: D.ExpTransform().inv,
    "identity": lambda torch, D: D.identity_transform,
    "independent": lambda torch, D: D.IndependentTransform(D.ExpTransform(), 1),
    "lower_cholesky": lambda torch, D: D.LowerCholeskyTransform(),
    "positive_definite": lambda torch, D: D.PositiveDefiniteTransform(),
    "power": lambda torch, D: D.PowerTransform(2.0),
    "power of tensors": lambda torch, D: D.PowerTransform(torch.tensor([1.0, -2.0, 0.5])),
    "reshape": lambda torch, D: D.ReshapeTransform((4, 3), (2, 6)),
    "sigmoid": lambda torch, D: D.SigmoidTransform(),
    "softmax": lambda torch, D: D.SoftmaxTransform(),
    "softplus": lambda torch, D: D.SoftplusTransform(),
    "stack": lambda torch, D: D.StackTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0), D.TanhTransform()], -1),
    "stick": lambda torch, D: D.StickBreakingTransform(),
    "tanh": lambda torch, D: D.TanhTransform(),
}
POSITIVE, SQUARE = {"exp inverse", "power", "power of tensors"}, {"lower_cholesky", "positive_definite"}


def test_every_transform_of_torch_is_in_the_table():
    made = {type(make(real, real.distributions)).__name__ for make in TRANSFORMS.values()}
    assert set(real.distributions.transforms.__all__) - {"Transform", "identity_transform"} == made - {"_InverseTransform"}


def argument(torch, rng, name, dtype="float64"):
    shape = (2, 3, 3) if name in SQUARE else (2, 4, 3)
    if name.startswith("cat of"):
        shape = (4, 3)
    x = rng(*shape, dtype=dtype)
    return x.abs() + 0.1 if name in POSITIVE else x


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(TRANSFORMS))
@twin
def test_forward_inverse_and_jacobian(torch, rng, name, dtype):
    t = TRANSFORMS[name](torch, torch.distributions)
    x = argument(torch, rng, name, dtype)
    y = t(x)
    back = outcome(lambda: t.inv(y))
    return (
        y,
        back,
        outcome(lambda: t.log_abs_det_jacobian(x, y)),
        outcome(lambda: t.inv.log_abs_det_jacobian(y, x)),
        outcome(lambda: t.forward_shape(x.shape)),
        outcome(lambda: t.inverse_shape(y.shape)),
        repr(t.domain),
        repr(t.codomain),
        repr(t.inv.domain),
        t.bijective,
        outcome(lambda: t.sign),
        outcome(lambda: t.event_dim),
        repr(t),
        repr(t.inv),
        t.inv.inv is t,
    )


@pytest.mark.parametrize("name", list(TRANSFORMS))
@twin
def test_gradients_to_second_order(torch, rng, name):
    t = TRANSFORMS[name](torch, torch.distributions)
    x = argument(torch, rng, name).requires_grad_()
    y = t(x)
    found = [gradients(torch, rng, y, [x])]
    jacobian = outcome(lambda: t.log_abs_det_jacobian(x, t(x)))
    if not isinstance(jacobian, str) and jacobian.requires_grad:
        found.append(gradients(torch, rng, jacobian, [x]))
    z = y.detach().requires_grad_()
    back = outcome(lambda: t.inv(z))
    return found, back if isinstance(back, str) else gradients(torch, rng, back, [z])


@pytest.mark.parametrize("name", list(TRANSFORMS))
@twin
def test_the_cache_returns_the_very_tensors(torch, rng, name):
    t = TRANSFORMS[name](torch, torch.distributions)
    cached = outcome(lambda: t.with_cache(1))
    x = argument(torch, rng, name)
    y = cached(x)
    seen = [cached(x) is y, cached.inv(y) is x, cached(x.clone()) is y, t.with_cache(0) is t, cached.with_cache(1) is cached]
    return seen, cached(x), cached._cache_size, message(lambda: type(t)(cache_size=2))[0], repr(cached)


@pytest.mark.parametrize("name", list(TRANSFORMS))
@twin
def test_equality_and_copies(torch, rng, name):
    t, other = (TRANSFORMS[name](torch, torch.distributions) for _ in range(2))
    x = argument(torch, rng, name)
    copies = copy.deepcopy(t), pickle.loads(pickle.dumps(t)) if "cumulative" not in name else t
    equal = outcome(lambda: t == other), t != other, t == t, outcome(lambda: t.inv == other.inv), t == 3
    return equal, [outcome(lambda c=c: c(x)) for c in copies] if name not in (
        "exp inverse",
        "compose",
    ) else None  # torch loses what an inverse is of


@twin
def test_transforms_that_differ(torch, rng):
    D = torch.distributions
    every = [make(torch, D) for make in TRANSFORMS.values()]
    table = [[a == b if a.__class__ is not b.__class__ else None for b in every] for a in every]
    affine = [D.AffineTransform(0.0, 1.0), D.AffineTransform(0.0, 2.0), D.AffineTransform(torch.tensor(0.0), 1.0)]
    return table, [[a == b for b in affine] for a in affine], D.PowerTransform(2.0) == D.PowerTransform(3.0)


@twin
def test_mistakes(torch, rng):
    D = torch.distributions
    x = rng(3)
    calls = [
        lambda: D.ExpTransform(cache_size=3),
        lambda: D.ReshapeTransform((2,), (3,)),
        lambda: D.ReshapeTransform((2,), (1, 2)).forward_shape((3,)),
        lambda: D.ReshapeTransform((2, 1), (2,)).forward_shape((3,)),
        lambda: D.ReshapeTransform((2,), (1, 2)).inverse_shape((2,)),
        lambda: D.IndependentTransform(D.ExpTransform(), 2)(x),
        lambda: D.IndependentTransform(D.ExpTransform(), 2).inv(x),
        lambda: D.StickBreakingTransform().event_dim,
        lambda: D.CorrCholeskyTransform().event_dim,
        lambda: D.AbsTransform().sign,
        lambda: D.AbsTransform().log_abs_det_jacobian(x, x),
        lambda: D.SoftmaxTransform().log_abs_det_jacobian(x, x),
        lambda: D.CorrCholeskyTransform().forward_shape((4,)),
        lambda: D.CorrCholeskyTransform().forward_shape(()),
        lambda: D.CorrCholeskyTransform().inverse_shape((2, 3)),
        lambda: D.CorrCholeskyTransform().inverse_shape((2,)),
        lambda: D.StickBreakingTransform().forward_shape(()),
        lambda: D.SoftmaxTransform().inverse_shape(()),
        lambda: D.CatTransform([D.ExpTransform(), 3]),
        lambda: D.CatTransform([D.ExpTransform()], lengths=[1, 2]),
        lambda: D.CatTransform([D.ExpTransform()])(x),
        lambda: D.CatTransform([D.ExpTransform()], 1, [3])(x),
        lambda: D.CatTransform([D.ExpTransform()]).inv(x),
        lambda: D.CatTransform([D.ExpTransform()]).log_abs_det_jacobian(x, x),
        lambda: D.StackTransform([D.ExpTransform(), 3]),
        lambda: D.StackTransform([D.ExpTransform()])(x),
        lambda: D.StackTransform([D.ExpTransform()]).inv(x),
        lambda: D.StackTransform([D.ExpTransform()]).log_abs_det_jacobian(x, x),
        lambda: D.Transform()(x),
        lambda: D.Transform().inv(x),
        lambda: hash(D.ExpTransform()),
        lambda: D.utils.vec_to_tril_matrix(rng(4)),
        lambda: D.utils.tril_matrix_to_vec(rng(3, 3), 5),
    ]
    return [message(lambda call=call: (call(), "fine")[1]) for call in calls]


@twin
def test_a_transform_of_others_making(torch, rng):
    D, constraints = torch.distributions, torch.distributions.constraints

    class Cube(D.Transform):
        domain = codomain = constraints.real
        bijective = True
        sign = +1

        def _call(self, x):
            return x**3

        def _inverse(self, y):
            return y.sign() * y.abs() ** (1 / 3)

        def log_abs_det_jacobian(self, x, y):
            return (3 * x**2).log()

    class Named(Cube):
        def __init__(self, name, cache_size=0):
            super().__init__(cache_size)
            self.name = name

    x = rng(3).abs() + 0.5
    d = D.TransformedDistribution(D.Normal(0.0, 1.0), [Cube(), D.AffineTransform(1.0, 2.0)])
    said = message(lambda: Named("x").with_cache())
    return d.log_prob(x), d.cdf(x), d.icdf(x / 3), Cube().with_cache()(x), said[0], d.sample((3,))


# ------------------------------------------------------------------------------------------------ constraints

CONSTRAINTS = {
    "boolean": lambda c: c.boolean,
    "cat": lambda c: c.cat([c.positive, c.unit_interval], -1, [1, 2]),
    "corr_cholesky": lambda c: c.corr_cholesky,
    "greater_than": lambda c: c.greater_than(0.5),
    "greater_than_eq": lambda c: c.greater_than_eq(1.0),
    "half_open_interval": lambda c: c.half_open_interval(0.0, 1.0),
    "independent": lambda c: c.independent(c.positive, 1),
    "integer_interval": lambda c: c.integer_interval(0, 2),
    "interval": lambda c: c.interval(-1.0, 1.0),
    "less_than": lambda c: c.less_than(0.0),
    "lower_cholesky": lambda c: c.lower_cholesky,
    "lower_triangular": lambda c: c.lower_triangular,
    "mixture": lambda c: c.MixtureSameFamilyConstraint(c.positive),
    "multinomial": lambda c: c.multinomial(3),
    "nonnegative": lambda c: c.nonnegative,
    "nonnegative_integer": lambda c: c.nonnegative_integer,
    "one_hot": lambda c: c.one_hot,
    "positive": lambda c: c.positive,
    "positive_definite": lambda c: c.positive_definite,
    "positive_integer": lambda c: c.positive_integer,
    "positive_semidefinite": lambda c: c.positive_semidefinite,
    "real": lambda c: c.real,
    "real_vector": lambda c: c.real_vector,
    "simplex": lambda c: c.simplex,
    "square": lambda c: c.square,
    "stack": lambda c: c.stack([c.positive, c.unit_interval, c.real], -1),
    "symmetric": lambda c: c.symmetric,
    "unit_interval": lambda c: c.unit_interval,
}


def test_every_constraint_of_torch_is_in_the_table():
    bases = {"Constraint", "MixtureSameFamilyConstraint", "dependent", "dependent_property", "is_dependent"}
    assert set(real.distributions.constraints.__all__) - bases | {"mixture"} == set(CONSTRAINTS)


@pytest.mark.parametrize("name", list(CONSTRAINTS))
@twin
def test_what_a_constraint_accepts(torch, rng, name):
    c = CONSTRAINTS[name](torch.distributions.constraints)
    eye = torch.eye(3)
    values = [
        eye,
        -eye,
        eye * float("nan"),
        rng(4, 3, 3),
        rng(4, 3, 3).tril(),
        rng(4, 3, 3).sigmoid(),
        (rng(4, 3, 3) * 2).round(),
        torch.softmax(rng(4, 3, 3), -1),
        rng(2, 3, 2),
        eye.expand(2, 3, 3) + eye,
        torch.ones(3, 3),
        rng(3),
        torch.tensor(0.5),
        torch.nn.functional.normalize(rng(4, 3, 3).tril().abs() + 0.1 * eye, dim=-1).tril(),
        torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]),
    ]
    return [outcome(lambda v=v: c.check(v)) for v in values], repr(c), c.is_discrete, c.event_dim


@twin
def test_dependent_constraints(torch, rng):
    c = torch.distributions.constraints
    d = c.dependent(is_discrete=False, event_dim=1)
    return (
        message(lambda: c.dependent.is_discrete),
        message(lambda: c.dependent.event_dim),
        d.is_discrete,
        d.event_dim,
        message(lambda: d.check(rng(2))),
        c.is_dependent(d),
        c.is_dependent(c.real),
        c.is_dependent(torch.distributions.Uniform.support),
        torch.distributions.Uniform.support.event_dim,
        torch.distributions.Binomial.support.is_discrete,
        message(lambda: c.independent(3, 1)),
        message(lambda: c.independent(c.real, -1)),
        message(lambda: c.independent(c.real, 1.0)),
        message(lambda: c.real_vector.check(torch.tensor(1.0))),
        message(lambda: c.cat([3])),
        message(lambda: c.stack([3])),
        message(lambda: c.cat([c.real], lengths=[1, 2])),
        message(lambda: c.cat([c.real], 3).check(rng(2))),
        message(lambda: c.stack([c.real], 3).check(rng(2))),
        message(lambda: c.MixtureSameFamilyConstraint(3)),
    )


@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
@pytest.mark.parametrize("name", list(CONSTRAINTS))
@twin
def test_the_transform_to_a_constraint(torch, rng, name, registry):
    c = CONSTRAINTS[name](torch.distributions.constraints)
    made = message(lambda: getattr(torch.distributions, registry)(c))
    if made != "nothing":
        return made
    t = getattr(torch.distributions, registry)(c)
    x = rng(2, 3) if c.event_dim < 2 or name == "corr_cholesky" else rng(2, 3, 3)
    y = t(x)
    return repr(t), y, c.check(y).all(), outcome(lambda: t.inv(y)), outcome(lambda: t.log_abs_det_jacobian(x, y))


@twin
def test_a_transform_can_be_registered(torch, rng):
    D = torch.distributions

    class Odd(D.constraints.Constraint):
        pass

    registry = D.constraint_registry.ConstraintRegistry()
    registry.register(Odd, lambda c: D.ExpTransform())

    @registry.register(D.constraints.real)
    def identity(c):
        return D.identity_transform

    return (
        repr(registry(Odd())),
        repr(registry(D.constraints.real)),
        message(lambda: registry.register(3, identity)),
        message(lambda: registry(D.constraints.positive)),
    )


@pytest.mark.parametrize("diag", [-2, -1, 0, 1])
@twin
def test_triangles_as_vectors(torch, rng, diag):
    utils = torch.distributions.utils
    vec = utils.tril_matrix_to_vec(rng(2, 4, 4), diag)
    return vec, utils.vec_to_tril_matrix(vec, diag) if diag <= 0 else None


@twin
def test_probabilities_and_logits(torch, rng):
    utils = torch.distributions.utils
    x = rng(3, 4)
    p = torch.tensor([0.0, 0.3, 1.0])
    return (
        utils.logits_to_probs(x),
        utils.logits_to_probs(x, True),
        utils.probs_to_logits(p),
        utils.probs_to_logits(p, True),
        utils.clamp_probs(p),
        utils.clamp_probs(p.double()),
        utils.broadcast_all(1, 2.0, rng(2, dtype="float64")),
        utils.broadcast_all(1, True),
        message(lambda: utils.broadcast_all("a")),
    )


# ------------------------------------------------------------------------------------------------ composed


@twin
def test_independent_dimensions(torch, rng):
    D = torch.distributions
    d = D.Independent(D.Normal(rng(2, 3), rng(2, 3).exp()), 1)
    x = d.sample((2,))
    discrete = D.Independent(D.Bernoulli(torch.tensor([0.3, 0.4])), 0)
    return (
        repr(d),
        d.batch_shape,
        d.event_shape,
        x,
        d.log_prob(x),
        d.entropy(),
        d.mean,
        d.variance,
        d.mode,
        d.stddev,
        repr(d.support),
        d.expand((4, 2)).log_prob(x[0]),
        d.rsample(),
        d.has_rsample,
        d.has_enumerate_support,
        discrete.enumerate_support(),
        D.Independent(D.Normal(rng(2, 3), 1.0), 2).log_prob(x),
        message(lambda: d.cdf(x)),
    )


FLOWS = {
    "exp": lambda torch, D: (D.Normal(0.5, 1.5), [D.ExpTransform()]),
    "decreasing": lambda torch, D: (D.Normal(torch.zeros(3), 1.0), [D.ExpTransform(), D.AffineTransform(1.0, -2.0)]),
    "several signs": lambda torch, D: (D.Normal(torch.zeros(3), 1.0), [D.AffineTransform(0.0, torch.tensor([-1.0, 2.0, 3.0]))]),
    "vectors": lambda torch, D: (D.Normal(torch.zeros(2, 3), 1.0), [D.StickBreakingTransform()]),
    "matrices": lambda torch, D: (D.Normal(torch.zeros(2, 6), 1.0), [D.CorrCholeskyTransform()]),
    "reshaped": lambda torch, D: (D.Normal(torch.zeros(2, 6), 1.0), [D.ReshapeTransform((6,), (2, 3)), D.TanhTransform()]),
    "broadcast": lambda torch, D: (D.Normal(0.0, 1.0), [D.AffineTransform(torch.zeros(2, 3), torch.ones(3))]),
    "of vectors": lambda torch, D: (D.MultivariateNormal(torch.zeros(3), torch.eye(3)), [D.AffineTransform(1.0, 2.0)]),
    "none": lambda torch, D: (D.Normal(0.0, 1.0), []),
    "logistic": lambda torch, D: (D.Uniform(0.0, 1.0), [D.SigmoidTransform().inv, D.AffineTransform(1.0, 2.0)]),
    "cumulative": lambda torch, D: (D.Normal(0.0, 1.0), D.CumulativeDistributionTransform(D.Normal(0.0, 2.0))),
}


@pytest.mark.parametrize("name", list(FLOWS))
@twin
def test_transformed_distributions(torch, rng, name):
    D = torch.distributions
    d = D.TransformedDistribution(*FLOWS[name](torch, D))
    x = d.sample((2,))
    wide = outcome(lambda: d.expand((5,) + tuple(d.batch_shape)))
    u = torch.rand(4, *d.batch_shape) * 0.8 + 0.1
    return (
        d.batch_shape,
        d.event_shape,
        x,
        d.log_prob(x),
        outcome(lambda: d.cdf(x)),
        outcome(lambda: d.icdf(u)),
        repr(d.support),
        d.rsample(),
        wide.batch_shape,
        wide.sample(),
        d.has_rsample,
        outcome(lambda: d.entropy()),
        repr(d),
    )


@pytest.mark.parametrize("batch", [(), (2,)])
@pytest.mark.parametrize("kind", ["Normal", "Independent", "Categorical", "MultivariateNormal"])
@twin
def test_mixtures(torch, rng, kind, batch):
    D = torch.distributions
    mixture = D.Categorical(logits=rng(*batch, 3))
    components = {
        "Normal": lambda: D.Normal(rng(*batch, 3), rng(*batch, 3).exp()),
        "Independent": lambda: D.Independent(D.Normal(rng(*batch, 3, 2), rng(*batch, 3, 2).exp()), 1),
        "Categorical": lambda: D.Categorical(logits=rng(*batch, 3, 4)),
        "MultivariateNormal": lambda: D.MultivariateNormal(rng(*batch, 3, 2), torch.eye(2)),
    }[kind]()
    d = D.MixtureSameFamily(mixture, components)
    x = d.sample((4,))
    wide = d.expand((3, *batch))
    return (
        repr(d),
        d.batch_shape,
        d.event_shape,
        x,
        d.log_prob(x),
        d.mean,
        d.variance,
        outcome(lambda: d.cdf(x)),
        repr(d.support),
        wide.sample(),
        wide.log_prob(x[0]),
        d.has_rsample,
        message(lambda: d.rsample())[0],
        repr(d.mixture_distribution),
    )


@twin
def test_a_mixture_whose_weights_broadcast(torch, rng):
    D = torch.distributions
    d = D.MixtureSameFamily(D.Categorical(torch.tensor([0.2, 0.8])), D.Normal(rng(3, 2), 1.0))
    x = rng(3)
    return d.mean, d.variance, d.log_prob(x), d.cdf(x), message(lambda: d.log_prob(rng(2)))
