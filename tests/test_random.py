"""Random numbers: a few values that torch 2.13 printed, and properties of any generator."""

from __future__ import annotations

import functools
import hashlib
import operator
import pickle
import threading
from collections.abc import Callable

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.kernels import counts
from mini_dl.nn import functional as F


def close(tensor: torch.Tensor, expected: object, exact: bool = True) -> None:
    np.testing.assert_allclose(tensor.detach().numpy(), expected, rtol=0 if exact else 1e-6)


def seeded() -> None:
    torch.manual_seed(0)


# ------------------------------------------------------------------------------------------------ values torch printed


def test_uniform_numbers_are_those_of_torch() -> None:
    seeded()
    close(torch.rand(4), [0.49625658988952637, 0.7682217955589294, 0.08847743272781372, 0.13203048706054688])
    seeded()
    close(torch.rand(3, dtype=torch.float64), [0.9700530018065531, 0.707819864399788, 0.45938294312745087])


def test_normal_numbers_are_those_of_torch_below_and_above_sixteen() -> None:
    seeded()
    close(torch.randn(4), [1.5409960746765137, -0.293428897857666, -2.1787893772125244, 0.5684312582015991], exact=False)
    seeded()
    x = torch.randn(18)
    expected = [-1.1258398294448853, 1.85300612449646, 0.46809640526771545, 1.2590092420578003]
    close(torch.tensor([x[0], x[7], x[8], x[17]]), expected, exact=False)
    seeded()
    y = torch.randn(16, dtype=torch.float64)
    close(torch.tensor([y[0], y[15]], dtype=torch.float64), [-2.310411800234176, 0.3380174030507378], exact=False)


def test_integers_and_permutations_are_those_of_torch() -> None:
    seeded()
    assert torch.randint(0, 100, (6,)).tolist() == [44, 39, 33, 60, 63, 79]
    assert torch.randint(2**40, (2,)).tolist() == [841157541223, 41332891347]
    assert torch.randperm(8).tolist() == [5, 1, 2, 7, 6, 3, 4, 0]


def test_choices_by_probability_are_those_of_torch() -> None:
    seeded()
    assert torch.bernoulli(torch.full((8,), 0.5)).tolist() == [1, 0, 1, 1, 1, 0, 1, 0]
    assert torch.empty(8).bernoulli_(0.5).tolist() == [0, 0, 1, 1, 0, 1, 1, 1]
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert torch.multinomial(weights, 3).tolist() == [3, 2, 0]
    assert torch.multinomial(weights, 5, True).tolist() == [2, 1, 3, 3, 1]
    assert torch.poisson(torch.tensor([2.0, 20.0, 200.0])).tolist() == [1, 20, 202]


def test_the_other_distributions_are_those_of_torch() -> None:
    seeded()
    close(torch.empty(2).exponential_(), [3.508326292037964, 1.2303847074508667], exact=False)
    close(torch.empty(2).cauchy_(), [-0.12829934060573578, 3.9330732822418213], exact=False)
    close(torch.empty(2).log_normal_(), [0.3106635808944702, 0.16576389968395233], exact=False)
    assert torch.empty(2).geometric_(0.2).tolist() == [8, 5]
    assert torch.empty(2, dtype=torch.int64).random_().tolist() == [8553068346248842636, 7073247613084517057]


def test_a_transposed_target_is_filled_in_the_order_of_its_memory() -> None:
    seeded()
    close(
        torch.empty(2, 3).t().uniform_(),
        [
            [0.49625658988952637, 0.13203048706054688],
            [0.7682217955589294, 0.30742281675338745],
            [0.08847743272781372, 0.6340786814689636],
        ],
    )


def test_dropouts_zero_what_torch_zeroes() -> None:
    seeded()
    close(F.alpha_dropout(torch.ones(3), 0.5, True), [-0.7791939377784729, -0.7791939377784729, 1.6655988693237305], exact=False)
    close(F.rrelu(-torch.ones(2), training=True), [-0.31682243943214417, -0.259380042552948], exact=False)
    assert F.dropout1d(torch.ones(1, 4, 2), 0.5).tolist() == [[[0, 0], [2, 2], [2, 2], [0, 0]]]


def test_the_state_is_laid_out_as_in_torch() -> None:
    seeded()
    torch.randn(3)
    assert hashlib.md5(torch.get_rng_state().numpy().tobytes()).hexdigest() == "e788cbfc19b42becc74951baa0848688"
    torch.manual_seed(123)
    torch.rand(1000)
    assert hashlib.md5(torch.get_rng_state().numpy().tobytes()).hexdigest() == "d45fc7e5824510104776f7f038f22266"


# ------------------------------------------------------------------------------------------------ generators


def test_a_state_put_back_gives_the_same_numbers_again() -> None:
    for drawn in (0, 1, 623, 624, 1300):
        torch.manual_seed(4)
        torch.rand(drawn)
        torch.randn(1)  # leaves a second normal number cached
        state = torch.get_rng_state()
        first = torch.randn(5).tolist(), torch.rand(2000).tolist()
        torch.set_rng_state(state)
        assert (torch.randn(5).tolist(), torch.rand(2000).tolist()) == first


def test_generators_are_independent_can_be_cloned_and_pickled() -> None:
    generator = torch.Generator().manual_seed(1)
    seeded()
    torch.rand(3, generator=generator)
    twin, copy = generator.clone_state(), pickle.loads(pickle.dumps(generator))
    expected = torch.rand(9, generator=generator).tolist()
    assert torch.rand(9, generator=twin).tolist() == torch.rand(9, generator=copy).tolist() == expected
    assert generator.initial_seed() == twin.initial_seed() == 1
    close(torch.rand(1), [0.49625658988952637])


def test_numbers_drawn_in_two_halves_are_those_drawn_at_once() -> None:
    for n in (3, 499, 501, 1200):
        seeded()
        at_once = torch.rand(2 * n).tolist()
        seeded()
        assert torch.rand(n).tolist() + torch.rand(n).tolist() == at_once


def test_seed_starts_a_stream_that_its_seed_can_repeat() -> None:
    seed = torch.seed()
    first = torch.rand(5).tolist()
    assert torch.initial_seed() == seed
    torch.manual_seed(seed)
    assert torch.rand(5).tolist() == first


@pytest.mark.parametrize("seed", [torch.seed, torch.Generator().seed])
def test_seeds_that_nobody_chose_use_53_bits(seed: Callable[[], int]) -> None:
    before = torch.initial_seed()
    seeds = [seed() for _ in range(100)]
    torch.manual_seed(before)
    assert functools.reduce(operator.or_, seeds) == 2**53 - 1
    assert functools.reduce(operator.and_, seeds) == 0


def test_fork_rng_leaves_no_trace_even_after_an_error() -> None:
    seeded()
    with pytest.raises(KeyError), torch.random.fork_rng():
        torch.rand(100)
        raise KeyError
    close(torch.rand(1), [0.49625658988952637])


def test_numpys_global_stream_is_never_touched() -> None:
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()
    torch.randn(100), torch.randperm(10), F.dropout(torch.ones(9))
    assert np.random.get_state()[1].tolist() == before


def test_other_threads_draw_from_the_default_stream_too() -> None:
    torch.manual_seed(0)
    drawn: list[float] = []
    thread = threading.Thread(target=lambda: drawn.extend(torch.rand(2).tolist()))
    thread.start()
    thread.join()
    close(torch.tensor(drawn + torch.rand(1).tolist()), [0.49625658988952637, 0.7682217955589294, 0.08847743272781372])


# ------------------------------------------------------------------------------------------------ moments


def test_the_moments_are_those_of_the_distributions() -> None:
    seeded()
    n = 200_000
    for sample, mean, variance in (
        (torch.rand(n), 1 / 2, 1 / 12),
        (torch.randn(n), 0, 1),
        (torch.empty(n).normal_(3, 2), 3, 4),
        (torch.empty(n).exponential_(0.5), 2, 4),
        (torch.empty(n).geometric_(0.25), 4, 12),
        (torch.empty(n).bernoulli_(0.3), 0.3, 0.21),
        (torch.poisson(torch.full((n // 4,), 4.0)), 4, 4),
        (torch.poisson(torch.full((n // 4,), 40.0)), 40, 40),
        (F.dropout(torch.ones(n), 0.2), 1, 0.25),
    ):
        values = sample.numpy().astype(np.float64)
        assert abs(values.mean() - mean) < 6 * (variance / len(values)) ** 0.5
        assert abs(values.var() / variance - 1) < 0.05


# ------------------------------------------------------------------------------------------------ refusals


def test_a_leaf_that_requires_grad_is_not_overwritten() -> None:
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        x.normal_()
    assert x.tolist() == [1, 1, 1]


def test_bad_states_and_seeds_are_refused() -> None:
    with pytest.raises(TypeError, match="ByteTensor"):
        torch.set_rng_state(torch.ones(5056))
    with pytest.raises(RuntimeError, match="size 5056 but found the input RNG state size to be 3"):
        torch.set_rng_state(torch.ones(3, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        torch.set_rng_state(torch.zeros(5056, dtype=torch.uint8))
    with pytest.raises(ValueError, match="Overflow"):
        torch.manual_seed(2**64)
    with pytest.raises(TypeError, match="generator"):
        torch.rand(2, generator=3)


def test_bad_parameters_are_refused_before_anything_is_drawn() -> None:
    x = torch.ones(3)
    seeded()
    for call in (
        lambda: x.uniform_(1, 0),
        lambda: x.normal_(0, -1),
        lambda: x.bernoulli_(1.5),
        lambda: x.exponential_(0),
        lambda: x.random_(4, 4),
        lambda: torch.randint(3, 3, (2,)),
        lambda: torch.multinomial(torch.tensor([-1.0, 2.0]), 1),
        lambda: torch.dropout(x, 1.5, True),
    ):
        with pytest.raises(RuntimeError):
            call()
    with pytest.raises(ValueError, match="between 0 and 1"):
        F.dropout(x, -0.1)
    assert x.tolist() == [1, 1, 1]
    close(torch.rand(1), [0.49625658988952637])


def test_a_number_of_successes_may_come_from_a_uniform_number_of_zero() -> None:
    given = {"count": 100.0, "chance": 0.3, "mean": 30.0, "deviation": 4.6, "odds": 3 / 7, "mode": 30.0}
    assert counts._successes(iter([0.0, 0.5, 0.5, 0.3]), **given) == 30  # the first pair is drawn again
