"""An operation may start while another is running on the same thread: both give the same results as alone."""

from __future__ import annotations

import contextvars
import gc
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.kernels import blocks, parallel

F = torch.nn.functional
Programs = dict[str, Callable[[], Any]]


def programs() -> Programs:
    """Every family of kernels, above all those with buffers: each returns new, bitwise equal results in each call."""
    torch.manual_seed(0)
    x4, deep, rows = torch.randn(2, 4, 7, 6), torch.randn(1, 48, 9, 8), torch.randn(19, 24)
    w, wide, thin = torch.randn(6, 4, 3, 3), torch.randn(48, 48, 3, 3), torch.randn(4, 1, 3, 3)
    heads, steps, table = torch.randn(2, 3, 5, 4), torch.randn(5, 3, 8), torch.arange(24.0).reshape(6, 4)
    start = table.clone()
    places, square = torch.tensor([4, 1, 4]), torch.randn(6, 6)
    lstm, gru = torch.nn.LSTM(8, 8), torch.nn.GRU(8, 8)

    def both_ways(function: Callable[..., Any], *inputs: Any) -> Callable[[], Any]:
        def run() -> Any:
            leaves = [x.detach().clone().requires_grad_() for x in inputs]
            with torch.enable_grad():  # during backward nothing is recorded, even by code that interrupts it
                out = function(*leaves)
                return [out.detach(), *torch.autograd.grad(out, leaves, torch.ones(out.shape))]

        return run

    def step(make: Callable[..., Any]) -> Callable[[], Any]:
        def run() -> Any:
            parameters = [torch.nn.Parameter(torch.linspace(-1, 1, n)) for n in (5, 20000)]
            optimizer = make(parameters)
            for _ in range(2):
                for p in parameters:
                    p.grad = p.detach() * 3
                optimizer.step()
            return [p.detach() for p in parameters]

        return run

    def drawn() -> Any:
        generator = torch.Generator().manual_seed(3)
        return [torch.randn(40, generator=generator), torch.randperm(9, generator=generator)]

    return {
        "add": lambda: rows + rows,
        "exp": both_ways(torch.exp, rows),
        "in place": lambda: rows.clone().mul_(3).add_(rows).exp_(),
        "gelu": both_ways(F.gelu, rows),
        "softmax": both_ways(lambda x: F.softmax(x, 1), rows),
        "cross entropy": both_ways(lambda x: F.cross_entropy(x, torch.arange(19)), rows),
        "conv": both_ways(lambda x, w: F.conv2d(x, w, stride=2, padding=1), x4, w),
        "conv winograd": both_ways(lambda x, w: F.conv2d(x, w, padding=1), deep, wide),
        "conv depthwise": both_ways(lambda x, w: F.conv2d(x, w, padding=1, groups=4), x4, thin),
        "conv transposed": both_ways(lambda x, w: F.conv_transpose2d(x, w, stride=2), x4, w.transpose(0, 1)),
        "layer norm": both_ways(lambda x: F.layer_norm(x, (24,), rows[0], rows[1]), rows),
        "batch norm": both_ways(lambda x: F.batch_norm(x, None, None, training=True), x4),
        "max pool": both_ways(lambda x: F.max_pool2d(x, 2), x4),
        "adaptive pool": both_ways(lambda x: F.adaptive_avg_pool2d(x, 3), x4),
        "interpolate": both_ways(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), x4),
        "matmul": both_ways(torch.matmul, rows, rows.t()),
        "attention": both_ways(lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), heads),
        "lstm": both_ways(lambda x: lstm(x)[0], steps),
        "gru": both_ways(lambda x: gru(x)[0], steps),
        "sums": both_ways(lambda x: x.sum(0) + x.std() + x.cumsum(1)[0, 3], rows),
        "sort": lambda: [*torch.sort(rows, 1), *rows.topk(3, 0)],
        "index": both_ways(lambda x: x[places].sum(1), rows),
        "index_fill": lambda: table.index_fill(0, places, 7.0),
        "index_fill_ and back": lambda: [table.index_fill_(0, places, 9.0).clone(), table.copy_(start)][:1],
        "scatter": lambda: table.scatter(0, places[None], -1.0),
        "linalg": both_ways(lambda x: torch.linalg.inv(x) + torch.linalg.det(x), square),
        "fft": lambda: torch.fft.fft(rows).abs(),
        "random": drawn,
        "print": lambda: str(rows),
        "Adam": step(lambda p: torch.optim.Adam(p, 0.1)),
        "SGD": step(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
        "creation": lambda: [torch.linspace(0, 1, 9), torch.tensor([[1.5], [2]]), torch.full((3,), 2)],
    }  # fmt: skip


def flat(result: Any) -> list[Any]:
    if isinstance(result, (list, tuple)):
        return [part for one in result for part in flat(one)]
    return [result.detach().numpy().tobytes() if isinstance(result, torch.Tensor) else result]


INNER = [name for name in programs() if name != "index_fill_ and back"]


@pytest.fixture(params=(1, 3))
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    if request.param > 1:
        monkeypatch.setattr(parallel, "ENOUGH", 64)
        monkeypatch.setattr(blocks, "BLOCK", 64)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("outer", programs())
def test_operations_run_in_the_midst_of_operations(outer: str, threads: int) -> None:
    """At each line of the library in turn, like a debugger that prints."""
    known, alone = programs(), {name: flat(run()) for name, run in programs().items()}
    wrong: set[str] = set()
    lines = runs = 0

    def traced(frame: Any, event: str, argument: Any) -> Any:
        nonlocal lines, runs
        if "mini_dl" not in frame.f_code.co_filename and "<" not in frame.f_code.co_filename:
            return None
        lines += 1
        if lines % 3 == 0 and runs < 150:
            inner = INNER[runs % len(INNER)]
            runs += 1
            if inner in ("index_fill", "scatter") and outer == "index_fill_ and back":
                known[inner]()  # of the tensor being written, which it does not modify
            elif flat(known[inner]()) != alone[inner]:
                wrong.add(inner)
        return traced

    for _ in range(3):
        sys.settrace(traced)
        try:
            result = known[outer]()
        finally:
            sys.settrace(None)
        assert flat(result) == alone[outer]
    assert runs > 5 and not wrong


def test_operations_run_in_finalizers_while_kernels_do() -> None:
    known, alone = programs(), {name: flat(run()) for name, run in programs().items()}
    wrong: set[str] = set()
    count = 0

    def collected(phase: str, info: dict[str, int]) -> None:
        nonlocal count
        count += 1
        inner = INNER[count % len(INNER)]
        gc.disable()
        try:
            if flat(known[inner]()) != alone[inner]:
                wrong.add(inner)
        finally:
            gc.enable()

    before = gc.get_threshold()
    gc.set_threshold(20)
    gc.callbacks.append(collected)
    try:
        for name, run in known.items():
            if name in INNER and flat(run()) != alone[name]:
                wrong.add(name)
    finally:
        gc.callbacks.remove(collected)
        gc.set_threshold(*before)
    assert count > 20 and not wrong


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_operations_run_in_signal_handlers_while_kernels_do() -> None:
    known, alone = programs(), {name: flat(run()) for name, run in programs().items()}
    wrong: set[str] = set()
    count = 0

    def handler(*_: Any) -> None:
        nonlocal count
        count += 1
        inner = INNER[count % len(INNER)]
        if flat(known[inner]()) != alone[inner]:
            wrong.add(inner)
        signal.setitimer(signal.ITIMER_REAL, 0.0005)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005)
    try:
        for _ in range(20):
            for name in INNER:
                if flat(known[name]()) != alone[name]:
                    wrong.add(name)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert count and not wrong


def test_an_index_that_computes() -> None:
    class Computed:
        def __index__(self) -> int:
            return int((torch.ones(2) + 1).sum().item()) - 3

    x = torch.arange(6.0).reshape(2, 3)
    assert x[Computed()].tolist() == [3, 4, 5]
    assert x[:, Computed()].tolist() == [1, 4]


def test_a_nested_kernel_is_as_quiet_as_the_outer_one() -> None:
    """Also if the handler enabled more NumPy warnings."""
    seen = []

    def traced(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_name == "exp" and not seen:
            with np.errstate(all="raise"):
                seen.append(torch.full((3,), 1e4).exp().tolist())
        return traced

    sys.settrace(traced)
    try:
        torch.ones(3).exp()
    finally:
        sys.settrace(None)
    assert seen == [[float("inf")] * 3]


def test_an_error_of_a_kernel_that_speaks_of_contexts_is_the_kernels() -> None:
    context = contextvars.copy_context()

    class Shape:
        def __index__(self) -> int:
            return context.run(context.run, int)  # type: ignore[arg-type]

    with pytest.raises((RuntimeError, TypeError)):
        torch.zeros(Shape())
    assert torch.ones(2).sum().item() == 2
