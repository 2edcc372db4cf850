"""Probability distributions: ``torch.distributions``.

The files hold families; torch's own files are available under their names too (`MODULES`), so that ``from
mini_dl.distributions.normal import Normal`` works, and classes have these as their ``__module__``.
"""

from __future__ import annotations

import sys
import types

from mini_dl.distributions import (
    composed,
    constraint_registry,
    constraints,
    continuous,
    derived,
    discrete,
    distribution,
    exp_family,
    kl,
    multivariate,
    positive,
    simplex,
    transforms,
    utils,
)
from mini_dl.distributions.composed import *
from mini_dl.distributions.constraint_registry import biject_to, transform_to
from mini_dl.distributions.continuous import *
from mini_dl.distributions.derived import *
from mini_dl.distributions.discrete import *
from mini_dl.distributions.distribution import *
from mini_dl.distributions.exp_family import *
from mini_dl.distributions.kl import *
from mini_dl.distributions.multivariate import *
from mini_dl.distributions.positive import *
from mini_dl.distributions.simplex import *
from mini_dl.distributions.transforms import *
from mini_dl.standins import find

MODULES: dict[str, tuple[types.ModuleType, str]] = {
    "bernoulli": (discrete, "Bernoulli"),
    "beta": (simplex, "Beta"),
    "binomial": (discrete, "Binomial"),
    "categorical": (discrete, "Categorical"),
    "cauchy": (continuous, "Cauchy"),
    "chi2": (positive, "Chi2"),
    "continuous_bernoulli": (simplex, "ContinuousBernoulli"),
    "dirichlet": (simplex, "Dirichlet"),
    "exponential": (positive, "Exponential"),
    "fishersnedecor": (positive, "FisherSnedecor"),
    "gamma": (positive, "Gamma"),
    "generalized_pareto": (continuous, "GeneralizedPareto"),
    "geometric": (discrete, "Geometric"),
    "gumbel": (derived, "Gumbel"),
    "half_cauchy": (derived, "HalfCauchy"),
    "half_normal": (derived, "HalfNormal"),
    "independent": (composed, "Independent"),
    "inverse_gamma": (derived, "InverseGamma"),
    "kumaraswamy": (derived, "Kumaraswamy"),
    "laplace": (continuous, "Laplace"),
    "lkj_cholesky": (multivariate, "LKJCholesky"),
    "log_normal": (derived, "LogNormal"),
    "logistic_normal": (derived, "LogisticNormal"),
    "lowrank_multivariate_normal": (multivariate, "LowRankMultivariateNormal"),
    "mixture_same_family": (composed, "MixtureSameFamily"),
    "multinomial": (discrete, "Multinomial"),
    "multivariate_normal": (multivariate, "MultivariateNormal"),
    "negative_binomial": (discrete, "NegativeBinomial"),
    "normal": (continuous, "Normal"),
    "one_hot_categorical": (discrete, "OneHotCategorical OneHotCategoricalStraightThrough"),
    "pareto": (derived, "Pareto"),
    "poisson": (discrete, "Poisson"),
    "relaxed_bernoulli": (derived, "LogitRelaxedBernoulli RelaxedBernoulli"),
    "relaxed_categorical": (derived, "ExpRelaxedCategorical RelaxedOneHotCategorical"),
    "studentT": (continuous, "StudentT"),
    "transformed_distribution": (composed, "TransformedDistribution"),
    "uniform": (continuous, "Uniform"),
    "von_mises": (continuous, "VonMises"),
    "weibull": (derived, "Weibull"),
    "wishart": (multivariate, "Wishart"),
}
"""torch's files: where their classes are here, and their names."""


for _name in transforms.__all__:
    if isinstance(_class := getattr(transforms, _name), type):
        _class.__module__ = transforms.__name__


def _also_as(name: str, file: types.ModuleType, classes: list[str]) -> types.ModuleType:
    """A module with the classes and, on access, anything else in the file that defines them."""
    module = types.ModuleType(f"{__name__}.{name}", file.__doc__)
    vars(module).update(
        {
            **{cls: getattr(file, cls) for cls in classes},
            "__all__": classes,
            "__file__": file.__file__,
            "__getattr__": lambda wanted: getattr(file, wanted) if hasattr(file, wanted) else find(module.__name__, wanted),
        }
    )
    for cls in classes:
        getattr(file, cls).__module__ = module.__name__
    sys.modules[module.__name__] = module
    return module


for _name, (_file, _classes) in MODULES.items():
    globals()[_name] = _also_as(_name, _file, _classes.split())

_PRIVATE = {"ExpRelaxedCategorical", "LogitRelaxedBernoulli"}  # in torch only in their files
for _class in _PRIVATE:
    del globals()[_class]

__all__ = sorted(
    {cls for _, classes in MODULES.values() for cls in classes.split()} - _PRIVATE
    | {"Distribution", "ExponentialFamily", "biject_to", "kl_divergence", "register_kl", "transform_to", *transforms.__all__}
)
