"""The random stream: seeded and used alike, both libraries must give the same numbers and end in the same state."""

# ruff: noqa: B023  (each lambda is called before its loop goes on)

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import mini_dl
from parity_tests.streams import array, fails_alike, same

SEEDS = (0, 1, 42, 2**32 + 5, 2**63, -7)
SIZES = (0, 1, 2, 15, 16, 17, 31, 32, 33, 700, 1025)
FLOATS = ("float16", "float32", "float64")
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")


def line(m, start, stop, n):
    return m.tensor(np.linspace(start, stop, n, dtype=np.float32))


def layouts(m, n, dtype):
    """Targets that are not contiguous: transposed, permuted, with gaps."""
    kind = getattr(m, dtype)
    yield m.zeros(n, 3, dtype=kind).t()
    yield m.zeros(2, n, 3, dtype=kind).permute(1, 2, 0)
    yield m.zeros(n, 6, dtype=kind)[:, ::2]
    yield m.zeros(1, n, 4, dtype=kind).transpose(1, 2)


# ------------------------------------------------------------------------------------------------ reals


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform_numbers_are_equal_bit_for_bit(seed, dtype):
    for n in SIZES:
        for low, high in ((0, 1), (-0.3, 0.7), (5.1, 9.7), (0, 0.01), (1, 1 + 2**-20), (2, 2)):
            same(lambda m: m.empty(n, dtype=getattr(m, dtype)).uniform_(low, high), seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_normal_numbers_are_equal_at_every_size(seed, dtype):
    for n in SIZES:
        for mean, std in ((0, 1), (-0.3, 0.7), (5.1, 9.7), (3, 0)):
            same(lambda m: m.empty(n, dtype=getattr(m, dtype)).normal_(mean, std), seed, exact=False)


@pytest.mark.parametrize("dtype", ("complex64", "complex128"))
def test_complex_numbers_are_drawn_part_by_part(dtype):
    for n in SIZES:
        same(lambda m: [m.rand(n, dtype=getattr(m, dtype)), m.randn(n, dtype=getattr(m, dtype))], 3, exact=False)


@pytest.mark.parametrize("dtype", FLOATS)
def test_targets_that_are_not_contiguous_are_filled_in_the_order_of_memory(dtype):
    def program(m):
        filled = []
        for target in layouts(m, 9, dtype):
            filled += [target.uniform_().clone(), target.normal_().clone(), target.exponential_().clone()]
            filled += [target.bernoulli_(0.4).clone(), target.random_().clone(), target.geometric_(0.3).clone()]
        return filled

    same(program, exact=False)


def test_interleaved_draws_keep_the_streams_in_step():
    def program(m):
        rng = np.random.default_rng(0)
        drawn = []
        for _ in range(200):
            n = int(rng.choice(SIZES[:-1]))
            choice = rng.integers(8)
            kind = getattr(m, str(rng.choice(FLOATS)))
            drawn.append(
                [
                    lambda: m.rand(n, dtype=kind),
                    lambda: m.randn(n, dtype=kind),
                    lambda: m.randint(7, (n,)),
                    lambda: m.randperm(n),
                    lambda: m.zeros(n, dtype=kind).log_normal_(),
                    lambda: m.zeros(n, dtype=kind).cauchy_(),
                    lambda: m.nn.functional.dropout(m.ones(n, dtype=kind)) if m is torch else _dropout(m.ones(n, dtype=kind)),
                    lambda: m.poisson(m.full((n,), 11.0)),
                ][choice]()
            )
        return [d for d in drawn if d.dtype != m.float16]

    same(program, exact=False)


def _dropout(x):
    return mini_dl._surface.namespace("nn.functional")["dropout"](x)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name, arguments", [
    ("exponential_", ()), ("exponential_", (2.5,)), ("exponential_", (0.1,)),
    ("cauchy_", ()), ("cauchy_", (-3.0, 0.5)),
    ("log_normal_", ()), ("log_normal_", (0.3, 0.2)),
    ("geometric_", (0.01,)), ("geometric_", (0.5,)), ("geometric_", (0.99,)),
])  # fmt: skip
def test_the_other_continuous_distributions_are_equal(dtype, name, arguments):
    for seed in SEEDS:
        for n in (0, 1, 2, 16, 17, 1000):
            same(lambda m: getattr(m.zeros(n, dtype=getattr(m, dtype)), name)(*arguments), seed, exact=False)


def test_the_like_functions_keep_the_layout_and_so_the_order():
    def program(m):
        x = m.ones(5, 4).t()
        y = m.ones(2, 3, 20).permute(2, 0, 1)
        made = [m.rand_like(x), m.randn_like(y), m.randint_like(x, 9), m.randint_like(y, -3, 9, dtype=m.int32)]
        return [*made, m.rand_like(x, dtype=m.float64), m.randn_like(m.ones(3, 6)[:, ::2])]

    same(program, exact=False)


# ------------------------------------------------------------------------------------------------ integers


@pytest.mark.parametrize("dtype", (*INTEGERS, *FLOATS, "bool"))
def test_random_integers_of_the_whole_type_are_equal(dtype):
    for seed in SEEDS[:4]:
        same(lambda m: m.zeros(500, dtype=getattr(m, dtype)).random_(), seed)


@pytest.mark.parametrize("dtype", (*INTEGERS, *FLOATS, "bool", "uint16", "uint32", "uint64"))
@pytest.mark.filterwarnings("ignore:.*out of bounds.*")
def test_random_integers_of_a_range_are_equal(dtype):
    bounds = [(0, 1), (0, 2), (5, 100), (-5, 5), (0, 2**20), (-(2**31), 2**31), (0, 2**32), (0, 2**32 - 1), (-7, 2**40)]
    bounds += [(-(2**62), 2**62), (0, 60000), (3, 2049), (2**53, 2**53 + 5), (-(2**63), 2**63 - 1), (1, None), (-100, None)]
    bounds += [(0, None), (-(2**63), None)]
    for low, high in bounds:
        outcomes = []
        for m in (torch, mini_dl):
            m.manual_seed(1)
            try:
                outcomes.append(array(m.zeros(300, dtype=getattr(m, dtype)).random_(low, high)))
            except (RuntimeError, NotImplementedError) as error:
                outcomes.append(error)
        theirs, ours = outcomes
        if isinstance(theirs, Exception):
            assert type(ours) is type(theirs), (low, high, ours, theirs)
            assert str(ours).split(" is ")[0].split(",")[0] == str(theirs).split(" is ")[0].split(",")[0]
        else:
            assert not isinstance(ours, Exception), (low, high, ours)
            np.testing.assert_array_equal(ours, theirs, err_msg=str((low, high)))
            np.testing.assert_array_equal(array(mini_dl.get_rng_state()), array(torch.get_rng_state()))


def test_randint_takes_its_bounds_and_size_in_every_form():
    same(lambda m: [
        m.randint(10, (3, 4)), m.randint(3, 10, (3,)), m.randint(low=-4, high=9, size=(5,)), m.randint(high=7, size=[2, 2]),
        m.randint(5, size=(4,)), m.randint(2**40, (9,)), m.randint(0, 255, (9,), dtype=m.uint8),
        m.randint(9, (3,), dtype=m.float32),
    ])  # fmt: skip


@pytest.mark.parametrize("n", (0, 1, 2, 3, 100, 3000))
def test_permutations_are_equal(n):
    for seed in SEEDS:
        same(lambda m: [m.randperm(n), m.randperm(n, dtype=m.float64), m.randperm(n, dtype=m.int32)], seed)


# ------------------------------------------------------------------------------------------------ with parameters per element


@pytest.mark.parametrize("dtype", FLOATS)
def test_bernoulli_follows_the_precision_of_its_probabilities(dtype):
    def program(m):
        kind = getattr(m, dtype)
        p = line(m, 0, 1, 60).to(kind).reshape(5, 12)
        made = [m.bernoulli(p), m.bernoulli(p.t()), m.bernoulli(p, 0.2), p.bernoulli(), p.bernoulli(0.7)]
        made += [m.zeros(4, 5, 12, dtype=kind).bernoulli_(p), m.zeros(5, 12, dtype=m.int64).bernoulli_(p)]
        made += [m.zeros(12, 5, dtype=m.bool).t().bernoulli_(p), m.zeros(5, 12, dtype=m.uint8).bernoulli_(0.25)]
        return made

    same(program)


@pytest.mark.parametrize("dtype", FLOATS)
def test_poisson_numbers_are_equal_and_take_as_many_draws(dtype):
    def program(m):
        rates = m.tensor([0.0, 0.1, 3.0, 9.9, 10.0, 10.1, 35.0, 400.0, 2000.0], dtype=getattr(m, dtype))
        rates = rates.expand(30, 9).reshape(-1)
        return [m.poisson(rates), m.poisson(rates.reshape(30, 9).t()), m.rand(3)]

    for seed in SEEDS:
        same(program, seed)


def test_normal_numbers_with_means_and_deviations_of_their_own_are_equal():
    def program(m):
        mean, std = m.arange(20.0), line(m, 0, 3, 20)
        made = [m.normal(mean), m.normal(mean, 0.5), m.normal(2.0, std), m.normal(mean, std), m.normal(1.0, 3.0, (4, 5))]
        made += [m.normal(mean[:3], std[:3]), m.normal(mean.reshape(4, 5), std[:5]), m.normal(mean, std.double())]
        made += [m.normal(mean=0.0, std=2.0, size=(3,), dtype=m.float64), m.normal(mean.reshape(4, 5).t(), 1.0)]
        return made

    same(program, exact=False)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("replacement", (False, True))
def test_multinomial_choices_are_equal(dtype, replacement):
    def program(m):
        weights = m.rand(6, 40, dtype=m.float64).to(getattr(m, dtype))
        weights[2, 5:9] = 0
        made = [m.multinomial(weights, 1, replacement), m.multinomial(weights[0], 1, replacement)]
        if dtype == "float16" and not replacement:
            return made  # the order of equal quotients, frequent in float16, is that of torch's unstable sort
        made += [m.multinomial(weights, n, replacement) for n in (2, 30)]
        made += [m.multinomial(weights[0], 4, replacement), weights.multinomial(3, replacement=replacement)]
        return [*made, m.multinomial(weights.t()[:30], 2, replacement)]

    for seed in SEEDS:
        same(program, seed)


# ------------------------------------------------------------------------------------------------ generators and states


def test_states_move_between_the_libraries():
    for drawn in (0, 1, 5, 623, 624, 625, 2000):
        torch.manual_seed(8)
        torch.rand(drawn)
        torch.randn(3)
        mini_dl.set_rng_state(mini_dl.tensor(torch.get_rng_state().numpy()))
        np.testing.assert_allclose(array(mini_dl.randn(5)), torch.randn(5).numpy(), rtol=1e-6)
        state = array(mini_dl.get_rng_state())
        torch.set_rng_state(torch.tensor(state))
        np.testing.assert_array_equal(array(mini_dl.rand(700)), torch.rand(700).numpy())


def test_a_generator_of_ones_own_leaves_the_default_stream_alone():
    def program(m):
        g = m.Generator().manual_seed(5)
        other = g.clone_state()
        made = [
            m.rand(3, generator=g), m.randn(20, generator=g), m.randint(9, (4,), generator=g), m.randperm(9, generator=g),
            m.zeros(4).uniform_(generator=g), m.zeros(4).exponential_(generator=g), m.bernoulli(m.full((9,), 0.5), generator=g),
            m.multinomial(m.ones(5), 2, generator=g), m.normal(m.zeros(3), 1.0, generator=g), m.poisson(m.ones(4), generator=g),
            m.zeros(4).random_(9, generator=g), m.zeros(4).geometric_(0.5, generator=g), m.rand(3, generator=other),
        ]  # fmt: skip
        return [*made, g.get_state()[:5024], m.tensor(g.initial_seed())]

    same(program, exact=False)


def test_fork_rng_puts_the_stream_back():
    def program(m):
        made = [m.randn(3)]
        with m.random.fork_rng():
            m.manual_seed(99)
            made.append(m.rand(2))
        with m.random.fork_rng(enabled=False):
            made.append(m.rand(2))
        return [*made, m.randn(3)]

    same(program, exact=False)


def test_the_initial_seed_is_remembered():
    for seed in SEEDS:
        assert mini_dl.manual_seed(seed).initial_seed() == torch.manual_seed(seed).initial_seed() == mini_dl.initial_seed()
    assert mini_dl.Generator().initial_seed() == torch.Generator().initial_seed()


# ------------------------------------------------------------------------------------------------ dropout


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ("dropout", "alpha_dropout", "feature_alpha_dropout", "dropout1d", "dropout2d", "dropout3d"))
@pytest.mark.filterwarnings("ignore:dropout")
def test_dropout_zeroes_the_same_elements_and_its_gradient_the_same(name, dtype):
    def program(m):
        functional = getattr(m.nn.functional, name) if m is torch else mini_dl._surface.namespace("nn.functional")[name]
        made = []
        for shape in {"1": ((6, 5), (3, 6, 5)), "2": ((3, 6, 5), (2, 6, 3, 4)), "3": ((4, 3, 2, 3), (2, 4, 3, 2, 3))}.get(
            name.removeprefix("dropout")[:1], ((6, 5), (4, 3, 5))
        ):
            for p in (0, 0.3, 0.9, 1):
                for training in (True, False):
                    x = m.arange(math.prod(shape), dtype=getattr(m, dtype)).reshape(shape)
                    x.requires_grad_()
                    y = functional(x, p, training)
                    weight = m.arange(math.prod(shape), dtype=getattr(m, dtype)).reshape(shape) * 0.1
                    (y * weight).sum().backward()
                    z = (x * 2).detach()
                    made += [y, x.grad, functional(z, p, training, True), z]
        x = m.arange(60.0).reshape(5, 4, 3).to(getattr(m, dtype)).transpose(0, 2)
        return [*made, functional(x if name[-2:] != "3d" else x[None], 0.5, True)]

    for seed in SEEDS[:3]:
        same(program, seed, exact=False)


def test_the_dropouts_of_torch_itself_are_equal():
    def program(m):
        x = line(m, -1, 1, 60).reshape(5, 4, 3)
        made = []
        for name in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"):
            y = x.clone()
            made += [getattr(m, name)(x, 0.4, True), getattr(m, name + "_")(y, 0.4, True), y, getattr(m, name)(x, 0.4, False)]
        return made

    same(program, exact=False)


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_rrelu_draws_a_slope_for_each_element_that_is_not_positive(dtype):
    def program(m):
        functional = m.nn.functional.rrelu if m is torch else mini_dl._surface.namespace("nn.functional")["rrelu"]
        x = line(m, -1, 1, 63).to(getattr(m, dtype)).reshape(7, 9).requires_grad_()
        y = functional(x, 0.1, 0.4, True)
        (y * line(m, 1, 2, 63).to(getattr(m, dtype)).reshape(7, 9)).sum().backward()
        z = x.detach().clone().t()
        return [
            y,
            x.grad,
            functional(x, 0.1, 0.4, False),
            functional(z, training=True),
            functional(z, training=True, inplace=True),
            z,
        ]

    same(program, exact=False)


# ------------------------------------------------------------------------------------------------ autograd and errors


def test_a_tensor_overwritten_by_random_numbers_sends_back_no_gradient():
    def program(m):
        made = []
        for fill in ("uniform_", "normal_", "exponential_", "cauchy_", "log_normal_", "bernoulli_", "random_"):
            x = m.ones(6, requires_grad=True)
            y = x * 2
            getattr(y, fill)()
            assert y.requires_grad
            (y * 3).sum().backward()
            made += [y, x.grad]
        p = m.full((5,), 0.5, requires_grad=True)
        for draw in (m.bernoulli(p), m.poisson(p), m.normal(p, 1.0), m.normal(p, p), m.normal(0.0, p)):
            p.grad = None
            draw.sum().backward()
            made.append(p.grad)
        return made

    same(program, exact=False)


NAN = float("nan")


@pytest.mark.parametrize("program", [
    lambda m: m.rand(3, dtype=m.int64), lambda m: m.randn(3, dtype=m.int64), lambda m: m.rand(-1),
    lambda m: m.zeros(3).uniform_(2, 1), lambda m: m.zeros(3).uniform_(0, 1e39), lambda m: m.zeros(3).uniform_(-3e38, 3e38),
    lambda m: m.zeros(3).uniform_(NAN, 1), lambda m: m.zeros(3).normal_(0, -1), lambda m: m.zeros(3).normal_(0, NAN),
    lambda m: m.zeros(3).bernoulli_(2.0), lambda m: m.zeros(3).bernoulli_(NAN), lambda m: m.zeros(3).bernoulli_(m.ones(2)),
    lambda m: m.zeros(3).bernoulli_(m.tensor([0.1, 2.0, 0.0])), lambda m: m.bernoulli(m.tensor([1, 0])),
    lambda m: m.bernoulli(m.tensor([NAN])), lambda m: m.zeros(3, dtype=m.complex64).bernoulli_(0.5),
    lambda m: m.zeros(3).random_(5, 5), lambda m: m.zeros(3).random_(0), lambda m: m.zeros(3).random_(2.0),
    lambda m: m.zeros(3, dtype=m.uint8).random_(0, 300), lambda m: m.zeros(3, dtype=m.uint8).random_(-1, 3),
    lambda m: m.zeros(3, dtype=m.bool).random_(0, 3), lambda m: m.zeros(3, dtype=m.complex64).random_(),
    lambda m: m.zeros(3, dtype=m.complex64).random_(0, 3),
    lambda m: m.zeros(3).exponential_(0), lambda m: m.zeros(3).exponential_(-1),
    lambda m: m.zeros(3, dtype=m.int64).exponential_(),
    lambda m: m.zeros(3).cauchy_(0, 0), lambda m: m.zeros(3, dtype=m.int32).cauchy_(), lambda m: m.zeros(3).log_normal_(0, 0),
    lambda m: m.zeros(3, dtype=m.int32).log_normal_(), lambda m: m.zeros(3).geometric_(0), lambda m: m.zeros(3).geometric_(1),
    lambda m: m.zeros(3, dtype=m.bool).geometric_(0.5), lambda m: m.zeros(3, dtype=m.complex64).geometric_(0.5),
    lambda m: m.randint(5, 5, (2,)), lambda m: m.randint(0, (2,)), lambda m: m.randint(300, (2,), dtype=m.uint8),
    lambda m: m.randint(3, (2,), dtype=m.complex64), lambda m: m.randint(3.0, (2,)), lambda m: m.randint(3),
    lambda m: m.randperm(-1), lambda m: m.randperm(300, dtype=m.uint8), lambda m: m.randperm(3000, dtype=m.float16),
    lambda m: m.randperm(3, dtype=m.bool), lambda m: m.randperm(2.0), lambda m: m.randperm(3, dtype=m.complex64),
    lambda m: m.normal(m.zeros(2), -1.0), lambda m: m.normal(m.zeros(2), m.tensor([1.0, -1.0])),
    lambda m: m.normal(m.zeros(2, dtype=m.int64), 1.0), lambda m: m.normal(m.zeros(2), m.ones(3)), lambda m: m.normal(0.0, 1.0),
    lambda m: m.normal(m.zeros(2), m.ones(2, dtype=m.complex64)), lambda m: m.normal(std=m.ones(2)),
    lambda m: m.multinomial(m.ones(2, 2, 2), 1), lambda m: m.multinomial(m.ones(2), 3), lambda m: m.multinomial(m.ones(2), 0),
    lambda m: m.multinomial(m.tensor([1, 2]), 1), lambda m: m.multinomial(m.tensor([-1.0, 2.0]), 1),
    lambda m: m.multinomial(m.zeros(2), 1), lambda m: m.multinomial(m.zeros(2), 1, True),
    lambda m: m.multinomial(m.tensor(1.0), 1),
    lambda m: m.multinomial(m.tensor([NAN, 2.0]), 1, True), lambda m: m.multinomial(m.tensor([float("inf"), 2.0]), 1),
    lambda m: m.multinomial(m.ones(0), 1),
    lambda m: m.poisson(m.tensor([-1.0])), lambda m: m.poisson(m.tensor([1])), lambda m: m.poisson(m.tensor([NAN])),
    lambda m: m.dropout(m.ones(3), 2.0, True), lambda m: m.feature_dropout(m.ones(3), 0.2, True),
    lambda m: m.dropout(m.ones(3, dtype=m.int64), 0.5, True), lambda m: m.dropout(m.ones(3, dtype=m.complex64), 0.5, True),
    lambda m: m.rrelu(m.ones(3), 0.5, 0.1, True), lambda m: m.rrelu(m.ones(3, dtype=m.int64), training=True),
    lambda m: m.rand(3, generator=5), lambda m: m.manual_seed("a"),
    lambda m: m.manual_seed(2**64), lambda m: m.manual_seed(-(2**63) - 1),
    lambda m: m.Generator().manual_seed(1.5), lambda m: m.set_rng_state(m.ones(3)), lambda m: m.set_rng_state(5),
    lambda m: m.set_rng_state(m.ones(3, dtype=m.uint8)), lambda m: m.set_rng_state(m.zeros(5056, dtype=m.uint8)),
    lambda m: m.ones(3, requires_grad=True).uniform_(), lambda m: m.ones(1).expand(3).uniform_(),
    lambda m: m.rand_like(m.ones(3, dtype=m.int64)), lambda m: m.rand(3, dtype=m.float64, out=m.zeros(3)),
])  # fmt: skip
def test_bad_arguments_fail_as_in_torch(program):
    theirs, ours = fails_alike(program)
    if "invalid combination" not in theirs and "missing" not in theirs and "aminmax" not in theirs:
        head = theirs.split(" (position")[0].split(".  (Could")[0][:60]
        assert ours.startswith(head), (theirs, ours)
