"""DataLoader workers that are processes: only if the loader has a `multiprocessing_context`."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.context
import os
import pickle
import queue
import random
import signal
import sys
import threading
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from mini_dl import multiprocessing as _sending  # tensors are sent in shared memory
from mini_dl.kernels.mersenne import here
from mini_dl.kernels.parallel import set_num_threads
from mini_dl.utils.data.reading import WorkersReader
from mini_dl.utils.data.worker import AGAIN, ENDED, STOP, Failure, Key, Results, WorkerInfo, serve, streams_of

CHECK = 5.0
"""Seconds after which an idle worker checks whether its parent is alive."""
GRACE = 1.0
"""Seconds that a process gets to exit after the stop request has timed out."""

assert _sending


class ProcessesReader(WorkersReader):
    """Reads ahead in processes. Each sends its batches through a pipe, from which a thread of this process receives them.

    So neither an interrupt here nor a killed worker can corrupt another's data, and its end is noticed immediately.
    """

    def start(self, loader: Any) -> None:
        context = loader.multiprocessing_context
        self.context = multiprocessing.get_context(context) if isinstance(context, str) else context
        super().start(loader)

    def new_worker(self, number: int, count: int) -> Any:
        return ProcessWorker(self.context, (number, count, self.base_seed, self.dataset, self.how, self.prepare), self.results)

    def revive(self) -> None:
        raise RuntimeError("the workers of this loader are children of the process that was forked: create a new iterator")


class ProcessWorker:
    """A process that reads, and the thread here that receives its batches."""

    def __init__(self, context: Any, what: tuple[Any, ...], results: Results) -> None:
        self.active, self.exits, self.owner, self.results = True, False, os.getpid(), results
        self.silent = threading.Event()  # everything it sent was received, and it has exited
        self.receiver, self.sender = context.Pipe(duplex=False)
        self.queue, self.closed = context.Queue(), context.Event()
        self.queue.cancel_join_thread()
        self.process = context.Process(
            target=_work, args=(self.queue, self.sender, self.closed, *what), daemon=True, name=f"DataLoader worker {what[0]}"
        )
        self.thread = threading.Thread(
            target=_receive,
            args=(self.receiver, results, what[0], self.silent, self.queue),
            daemon=True,
            name=f"DataLoader receiver {what[0]}",
        )

    @property
    def tasks(self) -> ProcessWorker:
        return self

    def put(self, task: object) -> None:
        """Send a task."""
        self.queue.put(_MARKS.get(id(task), task))

    def start(self) -> None:
        self.process.start()
        self.sender.close()  # before the next process starts, which would keep it open: the end of this one must be noticed
        self.thread.start()

    def is_alive(self) -> bool:
        return self.owner == os.getpid() and not self.silent.is_set()

    def end(self) -> str:
        """How it ended."""
        self.process.join(GRACE)
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"DataLoader worker (pid {self.process.pid}) is killed by signal: {signal.strsignal(-code)}. "
        return f"DataLoader worker (pid(s) {self.process.pid}) exited unexpectedly"

    def stop(self) -> None:
        """Ask it to exit after the batch it is reading."""
        if self.owner == os.getpid() and self.process.pid is not None:
            self.closed.set()
            self.put(STOP)

    def join(self, seconds: float) -> None:
        """Wait for it to exit; then terminate it."""
        if self.owner != os.getpid() or self.process.pid is None:
            return
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(GRACE)
        self.queue.close()
        if self.thread is not threading.current_thread():
            self.thread.join(GRACE)


_MARKS = {id(STOP): "stop", id(AGAIN): "again"}
_MARKED = {"stop": STOP, "again": AGAIN}


def _receive(receiver: Any, results: Results, worker: int, silent: threading.Event, tasks: Any) -> None:
    """Receive what a worker sends, until it closes the pipe; then it may exit, as nothing is left in its memory."""
    try:
        while True:
            key, ended = pickle.loads(receiver.recv_bytes())
            content = receiver.recv_bytes()
            try:
                outcome = ENDED if ended else pickle.loads(content)
            except Exception as error:
                outcome = Failure(error, f"process {worker}")
            del content
            results.found[key] = outcome
            results.news.put(None)
            del outcome
    except (EOFError, OSError):
        pass
    finally:
        receiver.close()
        silent.set()
        results.news.put(None)
        with contextlib.suppress(ValueError):  # the queue is closed: the worker has exited already
            tasks.put(_MARKS[id(STOP)])


def _work(
    tasks: Any, sender: Any, closed: Any, number: int, count: int, base_seed: int, dataset: object, how: Any, prepare: Any
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all processes; the parent decides which exit
    set_num_threads(1)
    streams = streams_of(base_seed, number)
    random.seed(base_seed + number)
    here.generator.manual_seed(base_seed + number)
    np.random.set_state(streams.numpy_generator.get_state())
    info = WorkerInfo(number, count, base_seed + number, dataset, streams, "multiprocessing")

    def next_task() -> Any:
        while True:
            try:
                task = tasks.get(timeout=CHECK)
            except queue.Empty:
                parent = multiprocessing.parent_process()
                if parent is not None and not parent.is_alive():
                    return STOP
                continue
            return _MARKED[task] if isinstance(task, str) else task

    def deliver(key: Key, outcome: object) -> None:
        is_end = outcome is ENDED
        content = b"" if is_end else _pickled(outcome, number)
        sender.send_bytes(pickle.dumps((key, is_end)))
        sender.send_bytes(content)
        if isinstance(outcome, Failure) and outcome.fatal:
            sender.close()
            while next_task() is not STOP:  # earlier batches are in the memory of this process until they are received
                pass
            sys.exit(0)

    try:
        serve(info, next_task, deliver, closed.is_set, how, prepare)
    except BrokenPipeError:  # no reader is left
        pass
    finally:
        tasks.cancel_join_thread()


def _pickled(outcome: object, worker: int) -> memoryview:
    try:
        return ForkingPickler.dumps(outcome)
    except Exception as error:
        failure = outcome if isinstance(outcome, Failure) else Failure(error, f"process {worker}")
        try:
            return ForkingPickler.dumps(failure)
        except Exception:  # a class that the other process cannot find
            failure.kind = RuntimeError
            return ForkingPickler.dumps(failure)
