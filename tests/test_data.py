"""Loading data: orders that torch 2.13 printed, and properties of any dataset."""

from __future__ import annotations

import threading
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_collate_fn_map,
    default_convert,
    get_worker_info,
    random_split,
)

Point = namedtuple("Point", "x y")


class Squares(Dataset[int]):
    def __init__(self, n: int) -> None:
        self.n = n

    def __getitem__(self, index: int) -> int:
        return index * index

    def __len__(self) -> int:
        return self.n


class Count(IterableDataset[int]):
    def __init__(self, n: int) -> None:
        self.n = n

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.n))


def test_the_shuffled_order_is_that_of_torch() -> None:
    torch.manual_seed(0)
    assert [batch.tolist() for batch in DataLoader(range(7), 3, True)] == [[0, 4, 1], [5, 2, 6], [3]]
    assert [part.indices for part in random_split(range(5), [0.6, 0.4])] == [[3, 4, 0], [1, 2]]
    assert list(WeightedRandomSampler([1.0, 5.0, 2.0], 4)) == [1, 2, 1, 1]


def test_every_sample_comes_once_per_epoch_and_each_epoch_in_another_order() -> None:
    loader = DataLoader(Squares(100), 7, True)
    epochs = [[int(i) for batch in loader for i in batch] for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == [i * i for i in range(100)]


def test_tensors_read_row_by_row_and_at_once_are_the_same() -> None:
    x, y = torch.rand(20, 3), torch.arange(20)
    whole = TensorDataset(x, y)
    rows = [whole[i] for i in range(20)]
    for dataset, plain in ((whole, rows), (Subset(whole, [9, 3, 3]), [rows[i] for i in (9, 3, 3)])):
        for fast, slow in zip(DataLoader(dataset, 6), DataLoader(plain, 6), strict=True):  # type: ignore[arg-type]
            assert type(fast) is type(slow) is list
            for a, b in zip(fast, slow, strict=True):
                assert a.dtype == b.dtype and a.tolist() == b.tolist()


def test_a_batch_of_tensors_has_memory_of_its_own() -> None:
    x = torch.zeros(4)
    for (batch,) in DataLoader(TensorDataset(x), 2):
        batch += 1
    assert x.tolist() == [0, 0, 0, 0]


def test_collation_keeps_containers_and_makes_tensors_of_numbers() -> None:
    batch = default_collate([{"a": Point(1, 2.0), "b": ["x", np.float32(1)]}, {"a": Point(3, 4.0), "b": ["y", np.float32(2)]}])
    assert batch["a"].x.dtype == torch.int64 and batch["a"].y.dtype == torch.float64 and batch["a"].x.tolist() == [1, 3]
    assert batch["b"][0] == ("x", "y") and batch["b"][1].dtype == torch.float32
    with pytest.raises(TypeError, match="must contain tensors, numpy arrays, numbers, dicts or lists"):
        default_collate([object()])
    with pytest.raises(RuntimeError, match="equal size"):
        default_collate([[1], [1, 2]])


def test_conversion_shares_the_memory_of_arrays() -> None:
    array = np.zeros(3)
    converted = default_convert({"a": (array, "b")})
    array[0] = 5
    assert converted["a"][0].tolist() == [5, 0, 0] and converted["a"][1] == "b"


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", (1, 2, 3))
def test_worker_threads_give_the_batches_in_order(workers: int) -> None:
    here = threading.get_ident()

    class Where(Squares):
        def __getitem__(self, index: int) -> Any:
            info = get_worker_info()
            assert info is not None and info.num_workers == workers
            return index, float(threading.get_ident() != here)

    torch.manual_seed(0)
    batches = list(DataLoader(Where(11), 2, True, num_workers=workers))
    torch.manual_seed(0)
    plain = list(DataLoader([(i, 1.0) for i in range(11)], 2, True))  # type: ignore[arg-type]
    assert [[part.tolist() for part in b] for b in batches] == [[part.tolist() for part in b] for b in plain]
    assert get_worker_info() is None


def test_random_numbers_drawn_by_workers_depend_on_the_seed_alone() -> None:
    class Noise(Squares):
        def __getitem__(self, index: int) -> Any:
            return torch.rand(2)

    runs = []
    for _ in range(2):
        torch.manual_seed(5)
        runs.append([b.tolist() for b in DataLoader(Noise(12), 2, num_workers=2)] + torch.rand(2).tolist())
    assert runs[0] == runs[1]


def test_an_error_in_a_worker_reaches_the_reader_and_the_threads_end() -> None:
    class Broken(Squares):
        def __getitem__(self, index: int) -> int:
            if index == 3:
                raise KeyError("no sample 3")
            return index

    before = set(threading.enumerate())
    batches = iter(DataLoader(Broken(6), 2, num_workers=1))
    assert next(batches).tolist() == [0, 1]
    with pytest.raises(KeyError, match="no sample 3"):
        next(batches)
    workers = set(threading.enumerate()) - before
    del batches
    for worker in workers:
        worker.join(5)
    assert len(workers) == 1 and not any(worker.is_alive() for worker in workers)


def test_a_reader_that_stops_early_can_start_again_with_persistent_workers() -> None:
    loader = DataLoader(Squares(9), 2, num_workers=2, persistent_workers=True)
    for _ in range(3):
        assert next(iter(loader)).tolist() == [0, 1]
    assert [b.tolist() for b in loader] == [[0, 1], [4, 9], [16, 25], [36, 49], [64]]


def test_a_worker_that_takes_too_long_is_reported() -> None:
    gate = threading.Event()

    class Slow(Squares):
        def __getitem__(self, index: int) -> int:
            gate.wait(5)
            return index

    try:
        with pytest.raises(RuntimeError, match="timed out after"):
            next(iter(DataLoader(Slow(2), num_workers=1, timeout=0.05)))
    finally:
        gate.set()


def test_streams_are_batched_and_their_length_is_believed_until_it_is_wrong() -> None:
    assert [b.tolist() for b in DataLoader(Count(5), 2)] == [[0, 1], [2, 3], [4]]
    assert [b.tolist() for b in DataLoader(Count(5), 2, drop_last=True)] == [[0, 1], [2, 3]]

    class Liar(Count):
        def __len__(self) -> int:
            return 1

    loader = DataLoader(Liar(3), None)
    assert len(loader) == 1
    with pytest.warns(UserWarning, match="reported to be 1"):
        assert list(loader) == [0, 1, 2]


def test_options_that_contradict_each_other_are_refused() -> None:
    for options, message in (
        ({"shuffle": True, "sampler": [0]}, "mutually exclusive with shuffle"),
        ({"batch_size": 2, "batch_sampler": [[0]]}, "mutually exclusive with batch_size"),
        ({"batch_size": None, "drop_last": True}, "disables auto-batching"),
        ({"num_workers": -1}, "non-negative"),
        ({"persistent_workers": True}, "needs num_workers"),
        ({"prefetch_factor": 2}, "prefetch_factor"),
        ({"batch_size": 0}, "positive integer"),
    ):
        with pytest.raises(ValueError, match=message):
            DataLoader([1, 2], **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="should not be set after DataLoader is initialized"):
        DataLoader([1]).batch_size = 2  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Sum of input lengths"):
        random_split([1, 2, 3], [1, 1])


def test_datasets_know_their_edges() -> None:
    joined = ConcatDataset([Squares(2), Squares(3)])
    assert [joined[i] for i in (-5, -1, 1, 2)] == [0, 4, 1, 0]
    with pytest.raises(ValueError, match="should not exceed"):
        joined[-6]
    with pytest.raises(AssertionError, match="Size mismatch"):
        TensorDataset(torch.ones(2), torch.ones(3))
    assert len(BatchSampler(range(7), 3, False)) == 3 and len(BatchSampler(range(7), 3, True)) == 2


def test_the_table_of_collation_may_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(default_collate_fn_map, torch.Tensor, lambda batch, *, collate_fn_map=None: len(batch))
    assert list(DataLoader(TensorDataset(torch.arange(3)), 2)) == [[2], [1]]
