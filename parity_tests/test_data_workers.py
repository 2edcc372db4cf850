"""Workers of a DataLoader compared with torch's processes: their draws, their exceptions, and the batches after those."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from .test_data import plain, same, squares


def noisy(m, d, n):
    """Samples that draw from the streams that torch seeds in a worker: the default one, Python's and NumPy's."""

    class Noisy(d.Dataset):
        def __getitem__(self, index):
            rng = getattr(d.get_worker_info(), "rng", None)
            if rng is None:
                return index, m.rand(2), random.random(), np.random.rand()
            return index, m.rand(2), rng.random_generator.random(), rng.numpy_generator.rand()

        def __len__(self):
            return n

    return Noisy()


@pytest.mark.parametrize("workers", (1, 3))
@pytest.mark.parametrize("options", ({}, {"shuffle": True}, {"persistent_workers": True, "prefetch_factor": 1}), ids=str)
def test_each_worker_draws_from_streams_seeded_as_torchs(workers, options):
    def program(m, d):
        loader = d.DataLoader(noisy(m, d, 10), 2, num_workers=workers, **options)
        return list(loader), list(loader)

    same(program)


@pytest.mark.parametrize("workers, prefetch, read", ((1, 2, 1), (2, 2, 0), (2, 1, 3), (3, 4, 2)))
def test_the_epoch_after_one_that_was_left_early(workers, prefetch, read):
    """Tasks handed out are still completed, so that the workers' streams are further along."""

    def program(m, d):
        loader = d.DataLoader(
            noisy(m, d, 17), 2, True, num_workers=workers, prefetch_factor=prefetch, persistent_workers=True,
            generator=m.Generator().manual_seed(3),
        )  # fmt: skip
        first = list(itertools.islice(loader, read))
        return first, list(loader), list(itertools.islice(loader, read)), list(loader)

    same(program, seeds=(0,))


@pytest.mark.parametrize("lengths", ((1, 6, 3), (0, 0, 5), (4, 4, 4)))
@pytest.mark.parametrize("drop_last", (False, True))
def test_streams_that_end_at_different_times(lengths, drop_last):
    def program(m, d):
        class Shards(d.IterableDataset):
            def __iter__(self):
                number = d.get_worker_info().id
                return iter(range(100 * number, 100 * number + lengths[number]))

        loader = d.DataLoader(Shards(), 2, num_workers=3, drop_last=drop_last, persistent_workers=True)
        return list(loader), list(itertools.islice(loader, 1)), list(loader)

    same(program, seeds=(0,))


class Two(Exception):
    def __init__(self, first, second):
        super().__init__(first, second)


class Speaking(Exception):
    def __init__(self, message):
        super().__init__(7)
        self.message = message


ERRORS = (
    ValueError("bad"),
    KeyError("bad"),
    IndexError(3),
    Two(1, 2),
    StopIteration("no"),
    OSError(2, "no file"),
    UnicodeError("x"),
)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("where", ("dataset", "collate", "prepare", "iter"))
def test_errors_of_workers_and_the_batches_around_them(error, where):
    def program(m, d):
        class Broken(d.Dataset):
            def __getitem__(self, index):
                if where == "dataset" and index == 3:
                    raise error
                return index

            def __len__(self):
                return 10

        class Stream(d.IterableDataset):
            def __iter__(self):
                raise error

        def collate(samples):
            if where == "collate" and 3 in samples:
                raise error
            return samples

        def prepare(worker):
            if where == "prepare":
                raise error

        dataset = Stream() if where == "iter" else Broken()
        batches = iter(d.DataLoader(dataset, 2, num_workers=2, collate_fn=collate, worker_init_fn=prepare))
        seen = []
        for _ in range(2 if where in ("prepare", "iter") else 6):
            try:
                seen.append(next(batches))
            except Exception as caught:  # noqa: PERF203
                first, *rest = str(caught).replace("process", "thread").split("\n")
                seen.append((type(caught).__name__, first, rest[-2:]))
                if where in ("prepare", "iter"):  # torch's worker then fails on an internal name
                    break
        return seen

    same(program, seeds=(0,))


@pytest.mark.parametrize("error", (SystemExit(1), KeyboardInterrupt(), GeneratorExit()), ids=repr)
def test_a_worker_that_ends_is_a_runtime_error(error):
    """In torch, the number of batches before it depends on timing."""

    def program(m, d):
        def collate(samples):
            if 4 in samples:
                raise error
            return samples

        seen = []
        try:
            seen.extend(d.DataLoader(range(8), 2, num_workers=2, collate_fn=collate))
        except Exception as caught:
            return type(caught).__name__, "exited unexpectedly" in str(caught), seen == [[0, 1], [2, 3]][: len(seen)]
        return seen

    same(program, seeds=(0,))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of torch's half-made iterator
@pytest.mark.parametrize("options", ({"num_workers": 2, "prefetch_factor": 0}, {"timeout": 1}), ids=str)
def test_loaders_that_cannot_be_read_are_refused_when_iteration_begins(options):
    def program(m, d):
        loader = d.DataLoader(range(6), 2, **options)
        with pytest.raises(AssertionError):
            iter(loader)

    same(program)


@pytest.mark.parametrize("replacement, count", ((True, 10**6 + 5), (True, 64), (False, 10**9), (False, 23)))
def test_samplers_of_many_indices_draw_in_torchs_portions(replacement, count):
    def program(m, d):
        generator = m.Generator().manual_seed(2)
        start = list(itertools.islice(d.RandomSampler(range(7), replacement, count, generator), 100))
        return start, m.rand(3, generator=generator), len(d.RandomSampler(range(7), replacement, count))

    same(program)


def test_batches_out_of_order_are_the_same_batches():
    def program(m, d):
        loader = d.DataLoader(squares(d, 21), 4, num_workers=2, in_order=False)
        return sorted([plain(batch) for batch in loader], key=str)

    same(program, seeds=(0,))
