"""The samplers behind the distributions: equal numbers, as many draws, and a stream in the same state afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mini_dl
from parity_tests.streams import array, fails_alike, same

LIBRARIES = torch, mini_dl
FLOATS = ("float32", "float64")
rng = np.random.default_rng(0)
SHAPES_OF_GAMMA = {
    "below one": np.full(3000, 0.5),
    "one": np.full(3000, 1.0),
    "above one": np.full(3000, 7.5),
    "of all sizes": np.exp(rng.uniform(-7, 7, 5000)),
    "tiny": np.full(200, 1e-4),
    "many": rng.exponential(2.0, 200_000),
    "zeros between": np.where(rng.random(500) < 0.3, 0.0, rng.exponential(1.0, 500)),
    "invalid between": np.array([np.nan, -1.0, 2.0, -0.5, np.inf, 0.3] * 40),
    "one number": np.array(2.5),
    "none": np.empty(0),
    "a matrix": rng.exponential(2.0, (30, 7)),
}


def tensor(m, values, dtype):
    return m.tensor(np.asarray(values, dtype))


def like_torch(program, seed, dtype):
    """Equal up to the last digits of NumPy's and the system's logarithms, and not at all different in float32."""
    same(program, seed, exact=False)
    if dtype == "float32":
        theirs, ours = [], []
        for m, found in ((torch, theirs), (mini_dl, ours)):
            m.manual_seed(seed)
            found.append(array(program(m)[0]))
        assert np.mean(theirs[0] != ours[0]) < 1e-3 if theirs[0].size else True


@pytest.mark.parametrize("waiting", [0, 3])  # whether the generator has a pending normal number
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", list(SHAPES_OF_GAMMA))
def test_gamma_numbers(name, dtype, waiting):
    def program(m):
        m.randn(waiting, dtype=m.float64)
        return [m._standard_gamma(tensor(m, SHAPES_OF_GAMMA[name], dtype)), m.rand(3)]

    with np.errstate(all="ignore"):
        like_torch(program, 7, dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", list(SHAPES_OF_GAMMA))
def test_points_of_the_simplex(name, dtype):
    with np.errstate(all="ignore"):
        like_torch(lambda m: [m._sample_dirichlet(tensor(m, SHAPES_OF_GAMMA[name], dtype)), m.rand(3)], 8, dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_numbers_of_events_and_of_successes(dtype):
    rates = np.where(rng.random(3000) < 0.1, 0.0, np.exp(rng.uniform(-5, 12, 3000)))
    counts, chances = rng.integers(-1, 300, 3000), rng.uniform(-0.1, 1.1, 3000)

    def program(m):
        return [
            m.poisson(tensor(m, rates, dtype)),
            m.poisson(tensor(m, rates[:9].reshape(3, 3), dtype).t()),
            m.binomial(tensor(m, counts, dtype), tensor(m, chances, dtype)),
            m.binomial(tensor(m, counts[:1], dtype), tensor(m, chances[:5], dtype)),
            m.poisson(tensor(m, [], dtype)),
            m.rand(2),
        ]

    for seed in range(5):
        same(program, seed)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rate", [1e-3, 0.7, 3.0, 9.99, 10.0, 25.0, 1e4, 1e9])
def test_many_numbers_of_events_at_one_rate(rate, dtype):
    for n, seed in ((255, 0), (256, 1), (100_000, 2)):
        same(lambda m, n=n: [m.poisson(m.full((n,), rate, dtype=getattr(m, dtype))), m.rand(2)], seed)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("count", [1.0, 12.0, 40.0, 1e5])
@pytest.mark.parametrize("chance", [1e-4, 0.05, 0.4, 0.5, 0.8, 0.9999])
def test_many_numbers_of_successes_at_one_chance(count, chance, dtype):
    def program(m, n):
        full = [m.full((n,), value, dtype=getattr(m, dtype)) for value in (count, chance)]
        return [m.binomial(*full), m.rand(2)]

    for n, seed in ((255, 0), (256, 1), (50_000, 2)):
        same(lambda m, n=n: program(m, n), seed)


def test_a_generator_of_their_own():
    def program(m):
        generator = m.Generator().manual_seed(3)
        a = m.full((5,), 0.7)
        return [
            m._standard_gamma(a, generator),
            m._sample_dirichlet(a, generator),
            m.poisson(a, generator),
            m.rand(2, generator=generator),
        ]

    same(program, exact=False)


def test_rows_that_are_one_row_expanded_are_drawn_in_order():
    def program(m):
        probs = m.tensor([0.2, 0.3, 0.5])
        return [m.multinomial(probs.expand(50, 3), 1), m.multinomial(probs.expand(50, 3), 2), m.rand_like(probs.expand(4, 3))]

    same(program)


@pytest.mark.parametrize("dtype", FLOATS)
def test_how_a_gamma_number_changes_with_its_shape(dtype):
    a = np.exp(rng.uniform(-6, 6, 100_000)).astype(dtype)
    x = torch._standard_gamma(torch.tensor(a)).numpy()
    x = np.concatenate([x, x[:1000] * 0 + np.array(0.79, dtype), a[:1000], 0 * x[:10]])
    a = np.concatenate([a, a[:1000], a[:1000], a[:10]])
    theirs, ours = (array(m._standard_gamma_grad(tensor(m, a, dtype), tensor(m, x, dtype))) for m in LIBRARIES)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6 if dtype == "float32" else 1e-11)


@pytest.mark.parametrize("dtype", FLOATS)
def test_how_a_point_of_the_simplex_changes_with_its_concentration(dtype):
    a = np.exp(rng.uniform(-4, 4, (30_000, 4))).astype(dtype)
    x = torch._sample_dirichlet(torch.tensor(a)).numpy()
    total = np.broadcast_to(a.sum(-1, keepdims=True), a.shape)
    theirs, ours = (array(m._dirichlet_grad(*[tensor(m, v, dtype) for v in (x, a, total)])) for m in LIBRARIES)
    np.testing.assert_allclose(ours, theirs, rtol=5e-4 if dtype == "float32" else 1e-8)  # torch sums its series in float32


def test_the_gradient_is_that_of_the_quantile():
    """The second oracle: dx/da = -(dF/da) / f, by differences of the distribution function of SciPy."""
    stats = pytest.importorskip("scipy.stats")
    h = 1e-5
    for a in (0.3, 1.0, 2.5, 20.0):
        x = stats.gamma.ppf(np.array([0.05, 0.4, 0.7, 0.99]), a)
        slope = -(stats.gamma.cdf(x, a + h) - stats.gamma.cdf(x, a - h)) / (2 * h) / stats.gamma.pdf(x, a)
        ours = array(mini_dl._standard_gamma_grad(mini_dl.full((4,), a, dtype=mini_dl.float64), mini_dl.tensor(x)))
        np.testing.assert_allclose(ours, slope, rtol=2e-3)
        b = 1.7
        x = stats.beta.ppf(np.array([0.05, 0.4, 0.7, 0.99]), a, b)
        slope = -(stats.beta.cdf(x, a + h, b) - stats.beta.cdf(x, a - h, b)) / (2 * h) / stats.beta.pdf(x, a, b) / (1 - x)
        full = [mini_dl.tensor(np.broadcast_to(v, (4,)).astype(float)) for v in (x, a, a + b)]
        np.testing.assert_allclose(array(mini_dl._dirichlet_grad(*full)), slope, rtol=2e-2)


def test_types_and_orders_that_have_no_kernel_are_refused():
    for program in (
        lambda m: m._standard_gamma(m.ones(3, dtype=m.float16)),
        lambda m: m._standard_gamma(m.ones(3, dtype=m.int64)),
        lambda m: m._sample_dirichlet(m.ones(3, dtype=m.float16)),
        lambda m: m._sample_dirichlet(m.ones(3, requires_grad=True)).sum().backward(),
        lambda m: m._dirichlet_grad(*[m.rand(3, requires_grad=True) for _ in range(3)]).sum().backward(),
        lambda m: m._standard_gamma_grad(m.ones(3, requires_grad=True), m.ones(3)).sum().backward(),
        lambda m: m.poisson(-m.ones(3)),
        lambda m: m.binomial(m.ones(3, dtype=m.int64), m.ones(3)),
    ):
        theirs, ours = fails_alike(program)
        assert theirs.split(" ")[:3] == ours.split(" ")[:3]
