"""Every distribution of torch, with parameters of several shapes and sizes, and its properties and methods."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from parity_tests.twin import outcome


def table(text: str) -> dict[str, dict[str, str]]:
    """The kinds of the parameters of each distribution."""
    rows = [line.strip().partition(": ") for line in text.strip().splitlines()]
    return {name: dict(one.split() for one in kinds.split(", ")) for name, _, kinds in rows}


KINDS = table(
    """
    Bernoulli: probs unit
    Beta: concentration1 positive, concentration0 positive
    Binomial: total_count count, probs unit
    Categorical: probs simplex
    Cauchy: loc real, scale positive
    Chi2: df positive
    ContinuousBernoulli: probs unit
    Dirichlet: concentration positives
    Exponential: rate positive
    FisherSnedecor: df1 positive, df2 positive
    Gamma: concentration positive, rate positive
    GeneralizedPareto: loc real, scale positive, concentration real
    Geometric: probs unit
    Gumbel: loc real, scale positive
    HalfCauchy: scale positive
    HalfNormal: scale positive
    InverseGamma: concentration positive, rate positive
    Kumaraswamy: concentration1 positive, concentration0 positive
    LKJCholesky: concentration positive
    Laplace: loc real, scale positive
    LogNormal: loc real, scale positive
    LogisticNormal: loc reals, scale positives
    LowRankMultivariateNormal: loc reals, cov_factor columns, cov_diag positives
    Multinomial: probs simplex
    MultivariateNormal: loc reals, covariance_matrix definite
    NegativeBinomial: total_count positive, probs below_one
    Normal: loc real, scale positive
    OneHotCategorical: probs simplex
    OneHotCategoricalStraightThrough: probs simplex
    Pareto: scale positive, alpha positive
    Poisson: rate positive
    RelaxedBernoulli: temperature temperature, probs unit
    RelaxedOneHotCategorical: temperature temperature, probs simplex
    StudentT: df positive, loc real, scale positive
    Uniform: low low, high positive
    VonMises: loc real, concentration positive
    Weibull: scale positive, concentration positive
    Wishart: df degrees, covariance_matrix definite
    """
)
"""The kinds of the parameters of each distribution that is not composed of others."""

OTHER_PARAMETERS = table(
    """
    Bernoulli: logits real
    Binomial: total_count count, logits real
    Categorical: logits reals
    ContinuousBernoulli: logits real
    Geometric: logits real
    LowRankMultivariateNormal: loc reals, cov_factor one_factor, cov_diag one_diagonal
    Multinomial: logits reals
    MultivariateNormal: loc reals, precision_matrix definite
    NegativeBinomial: total_count positive, logits logit
    OneHotCategorical: logits reals
    RelaxedBernoulli: temperature temperature, logits real
    RelaxedOneHotCategorical: temperature temperature, logits reals
    Wishart: df degrees, scale_tril factor
    """
)
"""The same distributions with other parameters, or with parameters whose batches differ."""

MORE = {"LKJCholesky": {"dim": 3}, "Multinomial": {"total_count": 5}}
SHAPES = ((), (3,), (2, 3))
SCALES = {"plain": 1.0, "tiny": 1e-5, "small": 0.05, "large": 300.0}
N = 3


def parameter(rng: Any, kind: str, shape: tuple[int, ...], dtype: str, scale: float = 1.0, grad: bool = False) -> Any:
    """A tensor of that kind. `scale` is the size of positive numbers, and the spread of others."""
    normal = rng.numbers.standard_normal
    spread = min(scale, 30.0)

    def definite(size: tuple[int, ...]) -> Any:
        m = normal((*size, N, N))
        return (m @ m.swapaxes(-1, -2) + np.eye(N)) * scale

    def softmax(x: Any) -> Any:
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    makers = {
        "real": lambda: normal(shape) * spread,
        "reals": lambda: normal((*shape, N)) * spread,
        "positive": lambda: np.exp(normal(shape)) * scale,
        "positives": lambda: np.exp(normal((*shape, N))) * scale,
        "one_diagonal": lambda: np.exp(normal(N)) * scale,
        "unit": lambda: 1 / (1 + np.exp(-normal(shape) * spread)),
        "below_one": lambda: np.minimum(1 / (1 + np.exp(-normal(shape) * spread)), 0.999),
        "logit": lambda: normal(shape) * min(scale, 3.0),
        "simplex": lambda: softmax(normal((*shape, N)) * spread),
        "count": lambda: np.full(shape, 12.0),
        "low": lambda: -np.exp(normal(shape)) * scale,
        "temperature": lambda: np.array(0.7),
        "degrees": lambda: N + np.exp(normal(shape)) * scale,
        "columns": lambda: normal((*shape, N, 2)) * spread * 0.5,
        "one_factor": lambda: normal((N, 2)) * spread,
        "definite": lambda: definite(shape),
        "factor": lambda: np.linalg.cholesky(definite(shape)),
    }
    return rng.tensor(makers[kind](), dtype, grad and kind != "count")


def made(
    torch: Any, rng: Any, name: str, shape: Any, dtype: str, kinds: Any = None, scale: float = 1.0, grad: bool = False
) -> Any:
    """The distribution and its tensors."""
    kinds = KINDS[name] if kinds is None else kinds
    given = {key: parameter(rng, kind, shape, dtype, scale, grad) for key, kind in kinds.items()}
    return getattr(torch.distributions, name)(**MORE.get(name, {}), **given), list(given.values())


def with_its_default(body: Callable[..., Any]) -> Callable[..., Any]:
    """`body(torch, rng, name, ...)`, where numbers become `dtype`, or float64, if the distribution is GeneralizedPareto: torch's
    compares with a number that does not follow its parameters.
    """

    @functools.wraps(body)
    def run(torch: Any, rng: Any, **arguments: Any) -> Any:
        own = arguments["name"] == "GeneralizedPareto"
        torch.set_default_dtype(getattr(torch, arguments.get("dtype", "float64") if own else "float32"))
        try:
            return body(torch, rng, **arguments)
        finally:
            torch.set_default_dtype(torch.float32)

    return run


def asked(d: Any, *names: str) -> Any:
    """The value of each property or method of the distribution, or the error."""

    def answer(name: str) -> Any:
        value = getattr(d, name)
        return value() if callable(value) else value

    return [outcome(lambda name=name: answer(name)) for name in names]


def gradients(torch, rng, output, leaves):
    """The first and second gradients of a random combination of the outputs with respect to the leaves."""
    total = (output * rng(*output.shape, dtype="float64")).sum()
    first = torch.autograd.grad(total, leaves, create_graph=True, allow_unused=True)
    total = sum((g * g).sum() for g in first if g is not None)
    if not getattr(total, "requires_grad", False):
        return first, None
    return first, outcome(lambda: torch.autograd.grad(total, leaves, allow_unused=True, retain_graph=True))
