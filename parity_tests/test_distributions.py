"""Every distribution under both libraries: its properties, its samples by value, its densities, its gradients."""

from __future__ import annotations

import copy
import pickle

import pytest

from parity_tests import bridge
from parity_tests.distribution_cases import (
    KINDS,
    MORE,
    OTHER_PARAMETERS,
    SHAPES,
    asked,
    gradients,
    made,
    parameter,
    with_its_default,
)
from parity_tests.twin import message, outcome, twin

MOMENTS = "mean mode variance stddev entropy perplexity".split()
SAID = "batch_shape event_shape has_rsample has_enumerate_support __repr__".split()
FLOATS = ("float32", "float64")
EVERY = [(name, None) for name in KINDS] + [(name, kinds) for name, kinds in OTHER_PARAMETERS.items()]
IDS = [name if kinds is None else f"{name}-{'-'.join(kinds)}" for name, kinds in EVERY]


def test_the_table_has_every_distribution_of_torch():
    import torch

    made_of_others = {"Distribution", "ExponentialFamily", "Independent", "MixtureSameFamily", "TransformedDistribution"}
    theirs = {
        name
        for name in torch.distributions.__all__
        if isinstance(value := getattr(torch.distributions, name), type) and issubclass(value, torch.distributions.Distribution)
    }
    assert theirs == set(KINDS) | made_of_others
    assert set(torch.distributions.__all__) == set(bridge.mini_dl.distributions.__all__)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name, kinds", EVERY, ids=IDS)
@twin
@with_its_default
def test_moments_samples_and_densities(torch, rng, name, kinds, shape, dtype):
    d, _ = made(torch, rng, name, shape, dtype, kinds)
    said = asked(d, *SAID)
    sample = d.sample((2, 4))
    u = torch.linspace(0.01, 0.99, 7, dtype=getattr(torch, dtype)).reshape(7, *[1] * len(shape))
    return {
        "said": said,
        "support": repr(d.support),
        "constraints": sorted(d.arg_constraints),
        "moments": asked(d, *MOMENTS),
        "sample": sample,
        "one": d.sample(),
        "rsample": outcome(lambda: d.rsample((3,))),
        "log_prob": d.log_prob(sample),
        "of one": d.log_prob(sample[0, 0]),
        "cdf": outcome(lambda: d.cdf(sample)),
        "icdf": outcome(lambda: d.icdf(u)),
        "values": [outcome(lambda e=e: d.enumerate_support(expand=e)) for e in (True, False)],
        "after": torch.rand(2),
    }


@pytest.mark.parametrize("shape", [(), (2, 3)])
@pytest.mark.parametrize("name, kinds", EVERY, ids=IDS)
@twin
@with_its_default
def test_gradients_of_densities_to_second_order(torch, rng, name, kinds, shape):
    d, leaves = made(torch, rng, name, shape, "float64", kinds, grad=True)
    value = d.sample((2,)).detach()
    leaves = [leaf for leaf in leaves if leaf.requires_grad]
    if value.is_floating_point() and not d.support.is_discrete:
        leaves.append(value.requires_grad_())
        d._validate_args = False
    return gradients(torch, rng, d.log_prob(value), leaves)


@pytest.mark.parametrize("shape", [(), (2, 3)])
@pytest.mark.parametrize("name, kinds", EVERY, ids=IDS)
@twin
def test_gradients_of_reparameterized_samples_to_second_order(torch, rng, name, kinds, shape):
    d, leaves = made(torch, rng, name, shape, "float64", kinds, grad=True)
    if not d.has_rsample or name == "Wishart":  # whose graph torch itself has written over
        return d.has_rsample
    return gradients(torch, rng, d.rsample((4,)), [leaf for leaf in leaves if leaf.requires_grad])


@pytest.mark.parametrize("name", list(KINDS))
@twin
@with_its_default
def test_gradients_of_moments(torch, rng, name):
    d, leaves = made(torch, rng, name, (3,), "float64", grad=True)
    leaves = [leaf for leaf in leaves if leaf.requires_grad]
    found = []
    for what in ("mean", "variance", "entropy"):
        value = asked(d, what)[0]
        if not isinstance(value, str) and value.requires_grad:
            found.append((what, gradients(torch, rng, value, leaves)))
    return found


@pytest.mark.parametrize("name", list(KINDS))
@twin
@with_its_default
def test_a_larger_batch(torch, rng, name):
    d, _ = made(torch, rng, name, (3,), "float64")
    repr(d.support), asked(d, "logits", "probs", "variance", "scale_tril", "precision_matrix")  # computed before, expanded after
    wide = d.expand((2, 3))
    sample = wide.sample((2,))
    scalar = made(torch, rng, name, (), "float32")[0].expand([4])
    moments = MOMENTS[:4] if name == "Multinomial" else MOMENTS  # torch's forgets what its entropy needs
    return (
        asked(wide, *SAID),
        asked(wide, *moments),
        sample,
        wide.log_prob(sample),
        type(wide) is type(d),
        scalar.sample(),
        repr(d),
    )


@pytest.mark.parametrize("name", [name for name in KINDS if name != "Gumbel"])  # torch's cannot be copied
@twin
def test_copies_and_pickles_are_the_same_distribution(torch, rng, name):
    d, _ = made(torch, rng, name, (3,), "float64")
    others = copy.deepcopy(d), pickle.loads(pickle.dumps(d))
    torch.manual_seed(1)
    return [(repr(other), type(other) is type(d), other.sample(), asked(other, *MOMENTS)) for other in others]


@pytest.mark.parametrize("name", list(KINDS))
@twin
def test_values_outside_the_support_and_of_wrong_shape_are_refused_in_the_same_words(torch, rng, name):
    d, _ = made(torch, rng, name, (3,), "float32")
    good = d.sample()
    values = [good - 1e3, good + 1e3, good * float("nan"), good + 0.5, good[..., :2], torch.ones(5), 0.5]
    return [message(lambda v=v: d.log_prob(v)) for v in values] + [message(lambda v=v: d.cdf(v)) for v in values[:4]]


BAD = {
    "real": ["nan"],
    "reals": ["nan"],
    "columns": ["nan"],
    "positive": ["nan", 0.0, -1.0],
    "positives": ["nan", 0.0, -1.0],
    "unit": ["nan", -0.1, 1.1],
    "below_one": ["nan", -0.1, 1.0],
    "simplex": ["nan", -1.0],
    "count": ["nan", -1.0, 1.5],
    "low": ["nan", 1e6],
    "degrees": ["nan", 1.0],
    "definite": ["nan", -1.0],
    "temperature": [],
}


@pytest.mark.parametrize("name", list(KINDS))
@twin
def test_invalid_parameters_are_refused_in_the_same_words(torch, rng, name):
    said = []
    for key, kind in KINDS[name].items():
        for bad in BAD[kind]:
            given = {k: parameter(rng, other, (2,), "float32") for k, other in KINDS[name].items()}
            given[key].view(-1)[0] = float(bad)
            cls = getattr(torch.distributions, name)
            said.append(message(lambda cls=cls, given=given: cls(**MORE.get(name, {}), **given)))
            unchecked = outcome(lambda cls=cls, given=given: cls(**MORE.get(name, {}), **given, validate_args=False))
            said.append(unchecked if isinstance(unchecked, str) else repr(unchecked))
    return said


def canonical(said):
    """The same text for both names of the library."""
    return said if isinstance(said, str) else (said[0], said[1].replace("mini_dl.", "torch."))


@twin
def test_wrong_constructions_are_refused_in_the_same_words(torch, rng):
    D = torch.distributions
    x, eye = torch.ones(3), torch.eye(3)
    third = x / 3
    calls = [
        lambda: D.Normal("a", 1.0),
        lambda: D.Normal(x, torch.ones(2)),
        lambda: D.Bernoulli(),
        lambda: D.Bernoulli(0.1, 0.1),
        lambda: D.Categorical(torch.tensor(0.3)),
        lambda: D.Categorical(logits=torch.tensor(0.3)),
        lambda: D.Categorical(),
        lambda: D.Dirichlet(torch.tensor(1.0)),
        lambda: D.LKJCholesky(1),
        lambda: D.Multinomial(x, third),
        lambda: D.MultivariateNormal(torch.tensor(0.0), eye),
        lambda: D.MultivariateNormal(x),
        lambda: D.MultivariateNormal(x, eye, eye),
        lambda: D.MultivariateNormal(x, x),
        lambda: D.MultivariateNormal(x, scale_tril=x),
        lambda: D.MultivariateNormal(x, precision_matrix=x),
        lambda: D.LowRankMultivariateNormal(torch.tensor(0.0), eye, x),
        lambda: D.LowRankMultivariateNormal(x, x, x),
        lambda: D.LowRankMultivariateNormal(x, torch.ones(2, 1), x),
        lambda: D.LowRankMultivariateNormal(x, eye, torch.ones(2)),
        lambda: D.LowRankMultivariateNormal(torch.ones(2, 3), torch.ones(4, 3, 1), x),
        lambda: D.Wishart(3.0, x),
        lambda: D.Wishart(1.0, eye),
        lambda: D.Wishart(5.0),
        lambda: D.Wishart(5.0, eye, eye),
        lambda: D.Independent(D.Normal(x, x), 2),
        lambda: D.TransformedDistribution(D.Normal(0, 1), 3),
        lambda: D.TransformedDistribution(D.Normal(0, 1), [3]),
        lambda: D.TransformedDistribution(D.Normal(0, 1), D.StickBreakingTransform()),
        lambda: D.MixtureSameFamily(D.Normal(x, x), D.Normal(x, x)),
        lambda: D.MixtureSameFamily(D.Categorical(x), x),
        lambda: D.MixtureSameFamily(D.Categorical(x), D.Normal(torch.ones(2), 1.0)),
        lambda: D.MixtureSameFamily(D.Categorical(torch.ones(2, 3)), D.Normal(torch.ones(4, 3), 1.0)),
        lambda: D.Binomial(torch.tensor([1.0, 2.0]), torch.tensor([0.1, 0.2])).entropy(),
        lambda: D.Binomial(torch.tensor([1.0, 2.0]), torch.tensor([0.1, 0.2])).enumerate_support(),
        lambda: D.ContinuousBernoulli(torch.tensor(2.0), validate_args=True),
        lambda: D.Geometric(torch.tensor([0.0, 0.5])),
        lambda: D.Independent(D.Bernoulli(x), 1).enumerate_support(),
        lambda: D.Distribution().mean,
        lambda: D.Distribution(validate_args=False).expand((2,)),
        lambda: D.Poisson(1.0).rsample(),
        lambda: D.Normal(0, 1).mode,
        lambda: D.Gamma(1.0, 1.0).icdf(torch.tensor(0.5)),
        lambda: D.StudentT(2.0).cdf(torch.tensor(0.5)),
        lambda: D.LogisticNormal(0.0, 1.0).mode,
        lambda: D.Distribution.set_default_validate_args(3),
        lambda: D.Gamma(1.0, 1.0).enumerate_support(),
        lambda: D.Poisson(2.0).entropy(),
    ]
    return [canonical(message(lambda call=call: (call(), "fine")[1])) for call in calls]


@twin
def test_a_subclass_with_a_constructor_of_its_own_must_say_how_it_expands(torch, rng):
    class Standard(torch.distributions.Normal):
        def __init__(self):
            super().__init__(0.0, 1.0)

    class Told(Standard):
        def expand(self, batch_shape, _instance=None):
            new = self._get_checked_instance(Told, _instance)
            new.note = "expanded"
            return super().expand(batch_shape, _instance=new)

    class Plain(torch.distributions.Normal):
        pass

    told, plain = Told().expand((2,)), Plain(0.0, 1.0).expand((2,))
    return message(lambda: Standard().expand((2,))), told.note, told.loc, type(plain).__name__, plain.sample()


@twin
def test_distributions_of_others_making(torch, rng):
    D, constraints = torch.distributions, torch.distributions.constraints

    width_is_positive = {"width": constraints.positive}

    class Triangle(D.Distribution):
        arg_constraints = width_is_positive
        support = constraints.unit_interval
        has_rsample = True

        def __init__(self, width, validate_args=None):
            self.width = width
            super().__init__(width.shape, validate_args=validate_args)

        def rsample(self, sample_shape=()):
            return self.width * torch.rand(self._extended_shape(sample_shape)).sqrt()

        def log_prob(self, value):
            self._validate_sample(value)
            return (2 * value / self.width**2).log()

    class Silent(D.Distribution):
        def log_prob(self, value):
            self._validate_sample(value)
            return value

    d = Triangle(torch.ones(2))
    silent = Silent()
    return (
        repr(d),
        d.sample((3,)),
        d.log_prob(torch.tensor([0.5, 0.2])),
        message(lambda: d.log_prob(torch.tensor(2.0))),
        message(lambda: Triangle(-torch.ones(2))),
        silent.log_prob(torch.tensor(1.0)),
        message(lambda: d.mean),
        message(lambda: d.expand((3, 2))),
    )


@twin
def test_checks_are_on_unless_told_otherwise(torch, rng):
    D = torch.distributions
    seen = [message(lambda: D.Normal(0.0, -1.0))]
    D.Distribution.set_default_validate_args(False)
    try:
        seen += [repr(D.Normal(0.0, -1.0)), message(lambda: D.Normal(0.0, -1.0, validate_args=True))]
    finally:
        D.Distribution.set_default_validate_args(True)
    return seen, D.Normal(0.0, 1.0, validate_args=False).log_prob(0.5)


@twin
def test_old_spellings(torch, rng):
    d = torch.distributions.Normal(torch.zeros(2), 1.0)
    return (
        d.sample_n(3),
        torch.distributions.Bernoulli(0.5)._new(2).shape,
        torch.distributions.Categorical(torch.ones(3)).param_shape,
    )


@twin
def test_torchs_files_can_be_imported(torch, rng):
    import importlib

    files = (
        "normal gamma beta kl utils constraints transforms studentT relaxed_categorical one_hot_categorical exp_family".split()
    )
    files += "distribution independent constraint_registry multivariate_normal".split()
    modules = [importlib.import_module(f"{torch.distributions.__name__}.{file}") for file in files]
    return [sorted(getattr(module, "__all__", [])) for module in modules], torch.distributions.Normal.__module__.rpartition(".")[
        2
    ]
