"""The functions that tests run in several processes: one definition for both libraries, identified by a string so it can be
sent.
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import sys

import numpy as np
import torch
import torch.utils.data

import mini_dl


def library(name):
    return importlib.import_module(name)


def worker_info(m):
    return m.utils.data.get_worker_info()


def numbers(m):
    return [random.random(), float(np.random.rand()), *m.rand(2).tolist()]


class Table:
    """Rows that record their reader and its draws; some do not return."""

    def __init__(self, name, count=12, failing=None, how="error"):
        self.name, self.count, self.failing, self.how = name, count, failing, how
        self.data = library(name).arange(float(count)).reshape(count, 1)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        m = library(self.name)
        if index == self.failing:
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "left":
                os._exit(3)
            if self.how == "exit":
                sys.exit(1)
            raise {"error": ValueError, "key": KeyError, "own": Own}[self.how](f"row {index}")
        info = worker_info(m)
        return {
            "row": self.data[index] * 2,
            "worker": -1 if info is None else info.id,
            "seed": -1 if info is None else info.seed % 1000,
            "drawn": numbers(m),
            "method": "none" if info is None else info.worker_method,
            "process": os.getpid(),
        }


class Own(Exception):
    pass


class Stream:
    """An iterable dataset of one library, whose workers take turns."""

    def __init_subclass__(cls, name):
        cls.name = name

    def __iter__(self):
        info = worker_info(library(self.name))
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        for number in range(first, 11, step):
            yield number, random.random()


class TorchStream(Stream, torch.utils.data.IterableDataset, name="torch"):
    pass


class MiniStream(Stream, mini_dl.utils.data.IterableDataset, name="mini_dl"):
    pass


STREAMS = {"torch": TorchStream, "mini_dl": MiniStream}


def prepare(worker):
    random.seed(100 + worker)
    np.random.seed(200 + worker)


def fails_to_prepare(worker):
    raise RuntimeError(f"no worker {worker}")


# ------------------------------------------------------------------------------------------------ user processes


def adds(number, name, shared, others, queue, done):
    m = library(name)
    shared[number] += 10 * (number + 1)
    others["weight"].data.mul_(2) if number == 0 else None
    queue.put((number, shared, m.full((2,), float(number)), others["weight"].requires_grad, type(others["weight"]).__name__))
    done.wait(60)


def raises(number, name, what):
    if number == what:
        raise ValueError(f"{name} of {number}")


def leaves(number, code):
    if number == 1:
        sys.exit(code) if code >= 0 else os.kill(os.getpid(), -code)


def net_of(m):
    m.manual_seed(0)
    return m.nn.Sequential(m.nn.Linear(4, 8), m.nn.Tanh(), m.nn.Linear(8, 2))


def trains(rank, name, model, turns, steps):
    """Hogwild in an order that the test decides: `turns` lets one process step after the other."""
    m = library(name)
    m.set_num_threads(1)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step in range(steps):
        turns[rank].acquire()
        x = (m.arange(12.0).reshape(3, 4) + rank - step) / 10
        optimizer.zero_grad()
        m.nn.functional.cross_entropy(model(x), m.tensor([0, 1, rank])).backward()
        optimizer.step()
        turns[(rank + 1) % len(turns)].release()


def trains_its_rows(rank, name, table, state):
    """Each process owns rows of a shared table, and shares the state of its optimizer."""
    m = library(name)
    m.set_num_threads(1)
    rows = table[rank::2].requires_grad_()
    optimizer = m.optim.Adam([rows], lr=0.05)
    for step in range(5):
        optimizer.zero_grad()
        ((rows - step) ** 2).sum().backward()
        optimizer.step()
    state[rank] = float(rows.detach().sum())


def doubled(tensor):
    return tensor * 2, tensor.is_shared()
