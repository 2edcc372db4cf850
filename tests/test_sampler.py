"""Samplers draw lazily: the first index of very many costs no more than the first of a few."""

from __future__ import annotations

import itertools
import tracemalloc

import mini_dl as torch
from mini_dl.utils.data import RandomSampler


def test_a_random_sampler_with_replacement_draws_thirty_two_at_a_time() -> None:
    few = list(RandomSampler(range(1000), replacement=True, num_samples=70, generator=torch.Generator().manual_seed(3)))
    stream = torch.Generator().manual_seed(3)
    drawn = [torch.randint(high=1000, size=(count,), generator=stream).tolist() for count in (32, 32, 6)]
    assert few == [*itertools.chain(*drawn)]
    many = RandomSampler(range(1000), replacement=True, num_samples=10**7, generator=torch.Generator().manual_seed(3))
    tracemalloc.start()
    try:
        assert list(itertools.islice(many, 64)) == few[:64]
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
