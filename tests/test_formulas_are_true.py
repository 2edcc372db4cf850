"""The formula of a docstring gives, element by element, what is computed."""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import distributions, nn

MATHEMATICS: dict[str, Any] = {
    **{name: getattr(math, name) for name in "exp log sqrt tanh erf pi gamma factorial cos".split()},
    "max": max, "min": min, "abs": abs, "binomial": math.comb, "I_0": lambda x: float(np.i0(x)),
    "sign": lambda x: math.copysign(1.0, x) if x else 0.0,
}  # fmt: skip


def formulas_of(value: Any) -> list[str]:
    """Those that stand before the shapes."""
    before = re.split(r"^(?:Shapes|Family): ", inspect.cleandoc(value.__doc__), maxsplit=1, flags=re.MULTILINE)[0]
    return [" ".join(text.split()) for text in re.findall(r"``([^`]+)``", before)]


def evaluated(formulas: list[str], **numbers: Any) -> float:
    """The first formula, with the definitions of later ones: ``d = abs(input - target)``,
    ``Phi(x) = (1 + erf(x / sqrt(2))) / 2``.
    """
    names = {**MATHEMATICS, **numbers}
    main = formulas[0].partition(" = ")[2] or formulas[0]
    for later in reversed([text for text in formulas[1:] if " = " in text]):
        left, _, right = later.partition(" = ")
        if re.fullmatch(r"\w+", left) and left not in numbers:
            _define(names, left, right)
        elif match := re.fullmatch(r"(\w+)\((\w)\)", left):
            names[match[1]] = eval(f"lambda {match[2]}: {right}", dict(names))
    return float(eval(main, names))


def _define(names: dict[str, Any], name: str, expression: str) -> None:
    try:
        known = {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)} <= set(names)
    except SyntaxError:
        return
    if known:
        names[name] = eval(expression, names)


PLAIN = "relu relu6 hardtanh softshrink hardsigmoid hardswish logsigmoid tanhshrink softsign silu mish gelu sigmoid".split()
ACTIVATIONS: dict[str, dict[str, float]] = {
    **{name: {} for name in PLAIN},
    "leaky_relu": {"negative_slope": 0.3}, "hardshrink": {"lambd": 0.7}, "elu": {"alpha": 0.6}, "celu": {"alpha": 1.7},
    "softplus": {"beta": 1.3}, "threshold": {"threshold": 0.4, "value": 9.0},
}  # fmt: skip
LAYERS = """ReLU ReLU6 Hardtanh LeakyReLU Hardshrink Softshrink Hardsigmoid Hardswish ELU CELU Softplus LogSigmoid Tanhshrink
    Softsign SiLU Mish GELU Sigmoid Tanh""".split()
POINTS = [-7.5, -3.2, -1.0, -0.4, 0.0, 0.3, 0.9, 2.5, 6.5]


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if isinstance(p.default, (int, float))}


@pytest.mark.parametrize("name", [*ACTIVATIONS, *LAYERS])
def test_an_activation_is_its_formula(name: str) -> None:
    function = getattr(nn.functional, name, None)
    options = {**defaults_of(function or getattr(nn, name)), **ACTIVATIONS.get(name, {})}
    given = ACTIVATIONS.get(name, {})
    compute = (lambda x: function(x, **given)) if function else getattr(nn, name)()
    found = compute(torch.tensor(POINTS, dtype=torch.float64)).tolist()
    formulas = formulas_of(function or getattr(nn, name))
    assert [evaluated(formulas, input=x, **options) for x in POINTS] == pytest.approx(found, rel=1e-9, abs=1e-12)


LOSSES: dict[str, dict[str, Any]] = {
    "mse_loss": {}, "l1_loss": {}, "smooth_l1_loss": {"beta": 0.8}, "huber_loss": {"delta": 0.8}, "poisson_nll_loss": {},
    "gaussian_nll_loss": {"var": 0.7}, "kl_div": {}, "binary_cross_entropy": {}, "soft_margin_loss": {},
    "hinge_embedding_loss": {"margin": 1.3}, "binary_cross_entropy_with_logits": {"pos_weight": 1.7},
}  # fmt: skip
PAIRS = {
    "probabilities": [(0.2, 0.9), (0.7, 0.4), (0.9, 0.1)],
    "signs": [(0.2, 1.0), (-1.5, -1.0), (2.5, -1.0), (0.4, -1.0)],
    "numbers": [(0.2, 0.9), (-1.5, 0.4), (2.5, 2.1), (0.3, 1.4)],
}
KINDS = dict.fromkeys(["binary_cross_entropy", "kl_div"], "probabilities")
KINDS |= dict.fromkeys(["soft_margin_loss", "hinge_embedding_loss"], "signs")


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_its_formula(name: str) -> None:
    function = getattr(nn.functional, name)
    given, pairs = LOSSES[name], PAIRS[KINDS.get(name, "numbers")]
    input, target = torch.tensor(pairs, dtype=torch.float64).unbind(1)
    tensors = {key: torch.tensor(value, dtype=torch.float64) for key, value in given.items() if key in ("var", "pos_weight")}
    options = {**given, **{key: value.expand(len(pairs)) for key, value in tensors.items()}}
    found = function(input, target, reduction="none", **options).tolist()
    numbers = {"margin": 1.0, "eps": 1e-6, **given}
    formulas = formulas_of(function)
    assert [evaluated(formulas, input=x, target=y, **numbers) for x, y in pairs] == pytest.approx(found, rel=1e-9)


DISTRIBUTIONS: dict[str, tuple[dict[str, float], list[float]]] = {
    "Normal": ({"loc": 0.3, "scale": 1.4}, [-1.0, 0.3, 2.0]),
    "Laplace": ({"loc": 0.3, "scale": 1.4}, [-1.0, 0.3, 2.0]),
    "Cauchy": ({"loc": 0.3, "scale": 1.4}, [-1.0, 0.3, 2.0]),
    "StudentT": ({"df": 3.0, "loc": 0.3, "scale": 1.4}, [-1.0, 0.3, 2.0]),
    "Uniform": ({"low": -0.5, "high": 2.0}, [0.0, 1.0]),
    "GeneralizedPareto": ({"loc": 0.3, "scale": 1.4, "concentration": 0.6}, [0.5, 2.0]),
    "VonMises": ({"loc": 0.3, "concentration": 1.4}, [-1.0, 0.3, 2.0]),
    "Exponential": ({"rate": 1.7}, [0.2, 2.0]),
    "Gamma": ({"concentration": 2.5, "rate": 1.7}, [0.2, 2.0]),
    "Chi2": ({"df": 3.5}, [0.2, 2.0]),
    "Beta": ({"concentration1": 2.5, "concentration0": 1.7}, [0.2, 0.6, 0.9]),
    "ContinuousBernoulli": ({"probs": 0.3}, [0.2, 0.6, 0.9]),
    "Bernoulli": ({"probs": 0.3}, [0.0, 1.0]),
    "Geometric": ({"probs": 0.3}, [0.0, 3.0]),
    "Binomial": ({"total_count": 5, "probs": 0.3}, [0.0, 3.0, 5.0]),
    "NegativeBinomial": ({"total_count": 2.5, "probs": 0.3}, [0.0, 3.0]),
    "Poisson": ({"rate": 1.7}, [0.0, 3.0]),
    "LogNormal": ({"loc": 0.3, "scale": 1.4}, [0.2, 2.0]),
    "HalfNormal": ({"scale": 1.4}, [0.2, 2.0]),
    "HalfCauchy": ({"scale": 1.4}, [0.2, 2.0]),
    "Gumbel": ({"loc": 0.3, "scale": 1.4}, [-1.0, 0.3, 2.0]),
    "Kumaraswamy": ({"concentration1": 2.5, "concentration0": 1.7}, [0.2, 0.6, 0.9]),
    "Pareto": ({"scale": 0.7, "alpha": 2.5}, [1.0, 2.0]),
    "Weibull": ({"scale": 0.7, "concentration": 2.5}, [0.2, 2.0]),
    "InverseGamma": ({"concentration": 2.5, "rate": 1.7}, [0.2, 2.0]),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_density_or_distribution_function_is_its_formula(name: str) -> None:
    parameters, points = DISTRIBUTIONS[name]
    kind = getattr(distributions, name)
    tensors = {key: torch.tensor(value, dtype=torch.float64) for key, value in parameters.items()}
    distribution, values = kind(**tensors), torch.tensor(points, dtype=torch.float64)
    said = " ".join(inspect.cleandoc(kind.__doc__).split())
    of_function = "istribution function" in said.partition("``")[0]
    found = np.array((distribution.cdf(values) if of_function else distribution.log_prob(values).exp()).tolist())
    letters = dict.fromkeys("ac", parameters.get("concentration")) | dict.fromkeys("nr", parameters.get("total_count"))
    formulas = formulas_of(kind)
    stated = np.array([evaluated(formulas, x=x, k=int(x), **letters, **parameters) for x in points])
    if "proportional" in said.partition("``")[0]:
        found, stated = found / found[0], stated / stated[0]
    assert stated == pytest.approx(found, rel=1e-8)


SIZES = [{"stride": 1, "padding": 0, "dilation": 1}, {"stride": 2, "padding": 1, "dilation": 2}, {"stride": 3, "padding": 1}]
WINDOWS: dict[str, Callable[..., Any]] = {
    "conv": lambda f, x, n, **o: f(x, torch.zeros(1, 1, *[3] * n), **o),
    "conv_transpose": lambda f, x, n, **o: f(x, torch.zeros(1, 1, *[3] * n), **o),
    "max_pool": lambda f, x, n, **o: f(x, 3, **o),
    "avg_pool": lambda f, x, n, **o: f(x, 3, **o),
    "lp_pool": lambda f, x, n, **o: f(x, 2, 3, **o),
    "max_unpool": lambda f, x, n, **o: f(x, torch.arange(x.numel()).reshape(x.shape), 3, **o),
}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("name", WINDOWS)
def test_the_sizes_of_windows_are_their_formula(name: str, n: int) -> None:
    function = getattr(nn.functional, f"{name}{n}d")
    said = " ".join(inspect.cleandoc(function.__doc__).split())
    (letter, formula), *_ = re.findall(r"([LHD])' = (.*?)(?: \([HW]'|, rounded|, or the sizes|\. )", said)
    for given in SIZES:
        options = {key: value for key, value in given.items() if key in inspect.signature(function).parameters}
        numbers = {"stride": 1, "padding": 0, "dilation": 1, "output_padding": 0, "kernel_size": 3, "K": 3, "K1": 3, **options}
        found = WINDOWS[name](function, torch.zeros(1, 1, *[9] * n), n, **options).shape[2]
        assert eval(formula, {**numbers, letter: 9}) == found, (formula, options)
