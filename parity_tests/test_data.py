"""Loading data: the same programs under both libraries, with equal seeds, must read the same samples in the same order."""

from __future__ import annotations

import collections
import importlib
import warnings

import numpy as np
import pytest
import torch

import mini_dl
from mini_dl.datasets import Digits

Point = collections.namedtuple("Point", "x y")


def data_of(m):
    return importlib.import_module(m.__name__ + ".utils.data")


def plain(value):
    """`value` with tensors as (type, nested lists)."""
    if isinstance(value, (torch.Tensor, mini_dl.Tensor)):
        return str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return type(value).__name__, {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(part) for part in value]
    return value


def same(program, seeds=(0, 7)):
    for seed in seeds:
        answers = []
        for m in (torch, mini_dl):
            m.manual_seed(seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answers.append((plain(program(m, data_of(m))), plain(m.rand(2))))
        assert answers[1] == answers[0]


def fails_alike(program):
    errors = []
    for m in (torch, mini_dl):
        with pytest.raises(Exception) as caught:
            program(m, data_of(m))
        errors.append(caught)
    assert errors[1].type is errors[0].type, errors[1].value
    assert str(errors[1].value)[:45] == str(errors[0].value)[:45]


def squares(d, n):
    class Squares(d.Dataset):
        def __getitem__(self, index):
            return index * index, float(index)

        def __len__(self):
            return n

    return Squares()


def stream(d, n):
    class Stream(d.IterableDataset):
        start, stop = 0, n

        def __iter__(self):
            return iter(range(self.start, self.stop))

        def __len__(self):
            return n

    return Stream()


# ------------------------------------------------------------------------------------------------ order


@pytest.mark.parametrize("n, batch_size", ((1, 1), (10, 3), (10, 5), (64, 10), (10, 20)))
@pytest.mark.parametrize("shuffle", (False, True))
@pytest.mark.parametrize("drop_last", (False, True))
def test_batches_come_in_the_order_of_torch_over_several_epochs(n, batch_size, shuffle, drop_last):
    def program(m, d):
        dataset = d.TensorDataset(m.arange(2.0 * n).reshape(n, 2), m.arange(n))
        loader = d.DataLoader(dataset, batch_size, shuffle, drop_last=drop_last)
        return [len(loader), [list(loader), m.rand(2), list(loader)], list(d.DataLoader(squares(d, n), batch_size, shuffle))]

    same(program)


def test_a_generator_of_ones_own_gives_seed_and_order():
    def program(m, d):
        generator = m.Generator().manual_seed(3)
        loader = d.DataLoader(d.TensorDataset(m.arange(20)), 4, True, generator=generator)
        return [list(loader), list(loader), list(d.DataLoader(range(5), generator=generator)), m.rand(1, generator=generator)]

    same(program)


@pytest.mark.parametrize("make", [
    lambda d, g: d.RandomSampler(range(7), generator=g), lambda d, g: d.RandomSampler(range(7), num_samples=20, generator=g),
    lambda d, g: d.RandomSampler(range(7), True, generator=g), lambda d, g: d.RandomSampler(range(7), True, 100, g),
    lambda d, g: d.RandomSampler(range(7), num_samples=3, generator=g), lambda d, g: d.SequentialSampler(range(4)),
    lambda d, g: d.SubsetRandomSampler([5, 1, 9, 4], g),
    lambda d, g: d.WeightedRandomSampler([0.1, 0.9, 3.0, 0.2], 9, generator=g),
    lambda d, g: d.WeightedRandomSampler([0.1, 0.9, 3.0, 0.2], 3, False, g),
    lambda d, g: d.BatchSampler(d.RandomSampler(range(11), generator=g), 3, False),
    lambda d, g: d.BatchSampler(range(11), 3, True),
    lambda d, g: d.BatchSampler(range(9), 3, False), lambda d, g: d.BatchSampler([], 3, False),
])  # fmt: skip
def test_samplers_give_the_same_indices(make):
    def program(m, d):
        generator = m.Generator().manual_seed(1)
        return [[list(make(d, g)), len(make(d, g)), list(make(d, g))] for g in (None, generator)]

    same(program)


def test_samplers_can_be_given_to_the_loader():
    def program(m, d):
        dataset = squares(d, 12)
        weighted = d.WeightedRandomSampler(list(range(1, 13)), 9)
        return [
            list(d.DataLoader(dataset, 4, sampler=weighted)),
            list(d.DataLoader(dataset, batch_sampler=d.BatchSampler(d.SubsetRandomSampler(range(6)), 4, False))),
            list(d.DataLoader(dataset, batch_sampler=[[1, 2], [5]])),
            list(d.DataLoader(dataset, batch_size=None, shuffle=True)),
            list(d.DataLoader(dataset, 3, sampler=[4, 3, 2, 1])),
        ]

    same(program)


@pytest.mark.parametrize(
    "lengths", ([3, 7], [10], [0.3, 0.7], [0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3], [0.05, 0.95], [1.0], [0, 10])
)
def test_random_split_gives_the_same_subsets(lengths):
    def program(m, d):
        generator = m.Generator().manual_seed(42)
        made = [[list(part), len(part)] for part in d.random_split(list(range(100, 110)), lengths, generator)]
        return made, [part.indices for part in d.random_split(range(10), lengths)]

    same(program)


# ------------------------------------------------------------------------------------------------ datasets


def test_datasets_are_combined_alike():
    def program(m, d):
        a, b = squares(d, 4), d.TensorDataset(m.arange(6.0).reshape(3, 2), m.tensor([7, 8, 9]))
        joined, chained = a + squares(d, 3) + squares(d, 2), stream(d, 3) + stream(d, 2)
        subset = d.Subset(b, [2, 0])
        stacked, named = d.StackDataset(a, range(4)), d.StackDataset(x=subset, y=[5, 6])
        return [
            [joined[i] for i in range(-9, 9)], len(joined), joined.cumulative_sizes, list(chained), len(chained),
            b[1], b[-1], b[1:], len(b), subset[0], subset[[0, 1]], subset.__getitems__([1, 0]), len(subset),
            stacked[2], len(stacked), named[1],
            stacked.__getitems__([3, 1]), named.__getitems__([1]),
            [list(d.DataLoader(x, 2)) for x in (joined, chained, b, subset, stacked, named, d.Subset(subset, [1, 0, 1]))],
        ]  # fmt: skip

    same(program)


@pytest.mark.parametrize("batch_size, drop_last", ((1, False), (3, False), (3, True), (None, False), (20, True)))
def test_iterable_datasets_are_read_alike(batch_size, drop_last):
    def program(m, d):
        loader = d.DataLoader(stream(d, 10), batch_size, drop_last=drop_last)
        return [list(loader), len(loader), list(loader)]

    same(program)


def test_rows_with_gradients_keep_them():
    def program(m, d):
        x = m.arange(6.0).requires_grad_()
        (batch,) = next(iter(d.DataLoader(d.TensorDataset(x), 3)))
        (batch * batch).sum().backward()
        return batch, x.grad

    same(program)


def test_a_subclass_of_tensordataset_is_asked_for_its_samples():
    def program(m, d):
        class Doubled(d.TensorDataset):
            def __getitem__(self, index):
                return super().__getitem__(index)[0] * 2

        return list(d.DataLoader(Doubled(m.arange(5)), 2)), list(d.DataLoader(d.Subset(Doubled(m.arange(5)), [3, 1]), 2))

    same(program)


# ------------------------------------------------------------------------------------------------ collation


@pytest.mark.parametrize("batch", [
    lambda m: [1, 2, 3], lambda m: [1.5, 2.5], lambda m: [True, False], lambda m: ["a", "b"], lambda m: [b"a", b"b"],
    lambda m: [m.tensor([1, 2]), m.tensor([3, 4])], lambda m: [m.tensor(1.0), m.tensor(2.0)],
    lambda m: [(1, "a"), (2, "b")], lambda m: [[1, 2.0], [3, 4.0]], lambda m: [{"a": 1, "b": (2, 3)}, {"a": 4, "b": (5, 6)}],
    lambda m: [Point(1, 2.0), Point(3, 4.0)], lambda m: [np.arange(3), np.arange(3)], lambda m: [np.float32(2), np.float32(3)],
    lambda m: [np.int64(2), np.int64(3)], lambda m: [np.bool_(True), np.bool_(False)], lambda m: [np.array(2.0), np.array(3.0)],
    lambda m: [collections.OrderedDict(b=1, a=2)] * 2, lambda m: [[(1, [2, 3])], [(4, [5, 6])]], lambda m: [range(3), range(3)],
    lambda m: [collections.defaultdict(list, a=1)] * 2, lambda m: [(), ()],
])  # fmt: skip
def test_default_collate_and_default_convert_are_equal(batch):
    same(lambda m, d: d.default_collate(batch(m)))
    same(lambda m, d: d.default_convert(batch(m)))


def test_the_collate_function_is_the_users_choice():
    def program(m, d):
        keep = list(d.DataLoader(squares(d, 5), 2, collate_fn=lambda batch: batch))
        return keep, list(d.DataLoader(range(5), batch_size=None, collate_fn=lambda sample: sample + 1))

    same(program)


# ------------------------------------------------------------------------------------------------ workers


@pytest.mark.parametrize("workers, prefetch", ((1, None), (2, None), (2, 1), (3, 4)))
def test_workers_give_the_batches_of_torchs_worker_processes(workers, prefetch):
    def program(m, d):
        class Noisy(d.Dataset):
            def __getitem__(self, index):
                info = d.get_worker_info()
                return index, info.id, info.num_workers, info.seed, m.initial_seed(), m.rand(2), m.randperm(5)

            def __len__(self):
                return 11

        loader = d.DataLoader(Noisy(), 2, True, num_workers=workers, prefetch_factor=prefetch)
        return list(loader), list(loader)

    same(program, seeds=(0,))


def test_workers_share_out_an_iterable_dataset():
    def program(m, d):
        class Shards(d.IterableDataset):
            def __iter__(self):
                info = d.get_worker_info()
                return iter(range(info.id, (7, 3)[info.id], info.num_workers))

        return sorted(plain(list(d.DataLoader(Shards(), 2, num_workers=2)))[1], key=str)

    same(program, seeds=(0,))


def test_worker_init_fn_sees_a_dataset_of_its_own():
    def program(m, d):
        def split(worker):
            dataset = d.get_worker_info().dataset
            dataset.start, dataset.stop = (0, 6) if worker == 0 else (6, 10)

        dataset = stream(d, 10)
        loader = d.DataLoader(dataset, 2, num_workers=2, worker_init_fn=split)
        return sorted(plain(list(loader))[1], key=str), dataset.start, dataset.stop

    same(program, seeds=(0,))


def test_persistent_workers_read_several_epochs():
    def program(m, d):
        loader = d.DataLoader(squares(d, 9), 2, True, num_workers=2, persistent_workers=True)
        first = list(loader)
        return first, list(loader), [len(list(loader)) for _ in range(2)]

    same(program, seeds=(0,))


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize("program", [
    lambda m, d: d.DataLoader([1], num_workers=-1), lambda m, d: d.DataLoader([1], timeout=-1),
    lambda m, d: d.DataLoader([1], prefetch_factor=2), lambda m, d: d.DataLoader([1], num_workers=1, prefetch_factor=-1),
    lambda m, d: d.DataLoader([1], persistent_workers=True), lambda m, d: d.DataLoader(stream(d, 2), shuffle=True),
    lambda m, d: d.DataLoader(stream(d, 2), sampler=[1]), lambda m, d: d.DataLoader(stream(d, 2), batch_sampler=[[1]]),
    lambda m, d: d.DataLoader([1], shuffle=True, sampler=[0]), lambda m, d: d.DataLoader([1], 2, batch_sampler=[[0]]),
    lambda m, d: d.DataLoader([1], batch_size=None, drop_last=True), lambda m, d: d.DataLoader([1], batch_size=0),
    lambda m, d: d.DataLoader([1], batch_size=1.5), lambda m, d: d.DataLoader([1], multiprocessing_context="fork"),
    lambda m, d: d.DataLoader([1], num_workers=1, multiprocessing_context="thread"), lambda m, d: d.DataLoader([], shuffle=True),
    lambda m, d: setattr(d.DataLoader([1]), "batch_size", 3),
    lambda m, d: list(d.DataLoader([object()])), lambda m, d: list(d.DataLoader([[1], [1, 2]], 2)),
    lambda m, d: list(d.DataLoader([m.ones(2), m.ones(3)], 2)), lambda m, d: len(d.DataLoader(iter([1]))),
    lambda m, d: d.Dataset()[0], lambda m, d: d.TensorDataset(m.ones(2), m.ones(3)), lambda m, d: d.ConcatDataset([]),
    lambda m, d: d.ConcatDataset([stream(d, 1)]), lambda m, d: d.ConcatDataset([[1]])[-2],
    lambda m, d: list(d.ChainDataset([[1]])),
    lambda m, d: d.StackDataset(), lambda m, d: d.StackDataset([1], a=[1]), lambda m, d: d.StackDataset([1], [1, 2]),
    lambda m, d: d.random_split([1, 2], [1, 2]), lambda m, d: d.random_split([1, 2], [1.5, -0.5]),
    lambda m, d: type("Mine", (d.Subset,), {"__getitem__": lambda self, i: i})([1], [0]),
    lambda m, d: d.RandomSampler([1], 1), lambda m, d: d.RandomSampler([1], num_samples=0), lambda m, d: d.RandomSampler([]),
    lambda m, d: d.WeightedRandomSampler([1.0], 0), lambda m, d: d.WeightedRandomSampler([1.0], True),
    lambda m, d: d.WeightedRandomSampler([1.0], 1, 1), lambda m, d: d.WeightedRandomSampler([[1.0]], 1),
    lambda m, d: d.BatchSampler([1], 0, False), lambda m, d: d.BatchSampler([1], True, False),
    lambda m, d: d.BatchSampler([1], 1, 0),
    lambda m, d: next(iter(d.Sampler())), lambda m, d: d.default_collate([np.array("a")]),
])  # fmt: skip
def test_bad_arguments_fail_as_in_torch(program):
    fails_alike(program)


def test_a_timeout_needs_workers():
    for m in (torch, mini_dl):
        with pytest.raises(AssertionError, match="requires timeout == 0"):
            iter(data_of(m).DataLoader([1], timeout=3))


def test_a_training_run_with_shuffling_and_dropout_is_the_same_step_by_step():
    images, labels = (part.numpy() for part in Digits().tensors())
    losses = []
    for m in (torch, mini_dl):
        m.manual_seed(0)
        loader = data_of(m).DataLoader(data_of(m).TensorDataset(m.tensor(images), m.tensor(labels)), 64, shuffle=True)
        network = m.nn.Sequential(m.nn.Flatten(), m.nn.Linear(64, 32), m.nn.ReLU(), m.nn.Dropout(0.2), m.nn.Linear(32, 10))
        optimizer = m.optim.SGD(network.parameters(), 0.1, momentum=0.9)
        losses.append([])
        for _ in range(3):
            for x, y in loader:
                optimizer.zero_grad()
                loss = m.nn.functional.cross_entropy(network(x), y)
                loss.backward()
                optimizer.step()
                losses[-1].append(loss.item())
    assert losses[0][-1] < 0.5
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
    np.testing.assert_allclose(losses[1][:10], losses[0][:10], rtol=2e-6)
