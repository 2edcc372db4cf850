"""Sharing work among threads: every piece once, errors raised, and the same numbers whichever thread was faster."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pieces import cut_into_pieces

import mini_dl as torch
from mini_dl.kernels import blas, blocks, parallel

F = torch.nn.functional


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is shared, in pieces of a few elements."""
    cut_into_pieces(monkeypatch, 16)


def test_every_piece_is_done_once_and_by_several_threads() -> None:
    done: list[tuple[int, int]] = []

    def work(piece: int) -> None:
        time.sleep(0.01)
        done.append((piece, threading.get_ident()))

    parallel.share(work, range(12), parallel.ENOUGH)
    assert sorted(piece for piece, _ in done) == list(range(12))
    assert len({thread for _, thread in done}) == 3


@pytest.mark.parametrize("ahead", [0, 1, 4, 1000])
@pytest.mark.parametrize("number", [1, 2, 3, 40])
@pytest.mark.parametrize("count", [0, 1, 7, 32, 100])
def test_the_first_part_has_more_but_leaves_enough_for_others(count: int, number: int, ahead: int) -> None:
    parts = blocks.split(count, number, ahead)
    assert [i for part in parts for i in range(count)[part]] == [*range(count)]
    first, *others = [part.stop - part.start for part in parts] or [0]
    if others:
        assert min(others) >= 1 and max(others) - min(others) <= 1
        assert abs(first - min(ahead, count // (2 * len(parts))) - max(others)) <= 1


def test_little_work_is_not_shared() -> None:
    threads: set[int] = set()
    parallel.share(lambda piece: threads.add(threading.get_ident()), range(9), parallel.ENOUGH - 1)
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("bad", [0, 7])
def test_what_a_piece_raises_is_raised_and_the_next_share_works(bad: int) -> None:
    def work(piece: int) -> None:
        time.sleep(0.005)
        if piece == bad:
            raise ZeroDivisionError(f"piece {piece}")

    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match=f"piece {bad}"):
            parallel.share(work, range(8), parallel.ENOUGH)
    test_every_piece_is_done_once_and_by_several_threads()


def test_an_interrupted_share_ends_when_no_piece_is_under_way() -> None:
    """Pieces write to the caller's arrays, and the caller continues after the interrupt."""
    caller, other = threading.get_ident(), threading.Event()
    begun: list[int] = []
    ended: list[int] = []

    def work(piece: int) -> None:
        begun.append(piece)
        if threading.get_ident() == caller:
            assert other.wait(30)
            raise KeyboardInterrupt
        other.set()
        time.sleep(0.05)
        ended.append(piece)

    with pytest.raises(KeyboardInterrupt):
        parallel.share(work, range(1000), parallel.ENOUGH)
    assert len(begun) == len(ended) + 1 < 1000
    test_every_piece_is_done_once_and_by_several_threads()


def test_a_share_within_a_share_does_its_pieces_in_turn() -> None:
    done: list[tuple[int, int]] = []

    def outer(i: int) -> None:
        here = threading.get_ident()

        def inner(j: int) -> None:
            assert threading.get_ident() == here
            done.append((i, j))

        parallel.share(inner, range(4), parallel.ENOUGH)

    parallel.share(outer, range(4), parallel.ENOUGH)
    assert sorted(done) == [(i, j) for i in range(4) for j in range(4)]


def test_threads_of_the_user_share_side_by_side() -> None:
    results: dict[int, list[int]] = {}

    def program(number: int) -> None:
        done: list[int] = []
        for _ in range(50):
            parallel.share(done.append, range(6), parallel.ENOUGH)
        results[number] = done

    threads = [threading.Thread(target=program, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [sorted(results[number]) == sorted([*range(6)] * 50) for number in range(4)] == [True] * 4


def test_another_thread_shares_after_the_first_has() -> None:
    test_every_piece_is_done_once_and_by_several_threads()
    errors: list[BaseException] = []

    def program() -> None:
        try:
            test_every_piece_is_done_once_and_by_several_threads()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=program)
    thread.start()
    thread.join(30)
    assert not errors


def test_numpy_is_quiet_in_the_helpers_too() -> None:
    with np.errstate(all="raise"):  # of the caller's context; kernels run in their own
        x = torch.full((3 * parallel.ENOUGH,), 200.0)
        assert torch.isinf(F.silu(x) * x.exp()).all()


SLOW_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(torch, name) for name in "exp log sin tanh acos sigmoid erf erfc lgamma".split()},
    **{name: getattr(torch, name) for name in "pow atan2 fmod remainder floor_divide logaddexp nextafter".split()},
    **{name: getattr(F, name) for name in "gelu silu elu softplus logsigmoid mish".split()},
}


@pytest.mark.parametrize("sizes", [(1, 1, 128), (1, 128), (1, 64, 1), (64, 1), (1, 1, 1), (32, 1, 1)], ids=str)
def test_an_operand_that_is_broadcast_is_shared_with_the_same_bits(sizes: tuple[int, ...]) -> None:
    x, row = torch.rand(32, 64, 128), torch.rand(sizes)
    assert x.numel() >= parallel.ENOUGH
    torch.set_num_threads(1)
    alone = [(x * row).numpy(), torch.atan2(x, row).numpy(), x.clone().sub_(row).numpy()]
    torch.set_num_threads(2)
    shared = [(x * row).numpy(), torch.atan2(x, row).numpy(), x.clone().sub_(row).numpy()]
    for one, other in zip(alone, shared):
        np.testing.assert_array_equal(one, other)


PARTS: dict[str, Callable[[Any], Any]] = {
    "repeated number": lambda x: x[9:10, :1, :1].expand(x.shape),
    "column": lambda x: x[9, :, :1],
    "columns": lambda x: x[:, :, 5:6],
    "line": lambda x: x[9:10, ::2, 1:2].repeat_interleave(2, 1),
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("function", ["mul_", "sub_", "atan2_", "hypot_"])
def test_an_operand_within_the_target_is_read_before_pieces_are_written(function: str, name: str) -> None:
    x = torch.rand(32, 64, 200) + 0.5
    expected = getattr(x.clone(), function)(PARTS[name](x).clone())
    torch.set_num_threads(2)
    np.testing.assert_array_equal(getattr(x, function)(PARTS[name](x)).numpy(), expected.numpy())


@pytest.mark.filterwarnings("error")
def test_extremes_are_shared_without_a_warning() -> None:
    x, y = torch.randn(parallel.ENOUGH), torch.randn(parallel.ENOUGH)
    torch.set_num_threads(2)
    np.testing.assert_array_equal(torch.maximum(x, y).numpy(), np.maximum(x.numpy(), y.numpy()))
    np.testing.assert_array_equal(x.clamp(y, y + 1).numpy(), np.clip(x.numpy(), y.numpy(), y.numpy() + 1))


@pytest.mark.parametrize("name", SLOW_FUNCTIONS)
def test_slow_functions_of_fewer_numbers_are_shared_with_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 800 if name in "atan2 fmod remainder floor_divide logaddexp".split() else 300  # composed: less work in more calls
    function, x, y = SLOW_FUNCTIONS[name], torch.rand(rows, 301).mul_(0.8), torch.rand(rows, 301).add_(0.1)
    operands = (x, y) if rows == 800 or name in ("pow", "nextafter") else (x,)
    assert x.numel() < parallel.ENOUGH
    torch.set_num_threads(1)
    alone = function(*operands).numpy()
    torch.set_num_threads(3)
    shared, share = [], parallel._ThreadPool.share
    monkeypatch.setattr(parallel._ThreadPool, "share", lambda *args: shared.append(args) or share(*args))
    np.testing.assert_array_equal(function(*operands).numpy(), alone)
    assert len(shared) == 1


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    test_every_piece_is_done_once_and_by_several_threads()
    process = multiprocessing.get_context("fork").Process(target=test_every_piece_is_done_once_and_by_several_threads)
    process.start()
    process.join(30)
    assert process.exitcode == 0


@pytest.mark.parametrize("bad", [0, -1, True, 2.0, "2", None])
def test_the_number_of_threads_is_a_positive_int(bad: Any) -> None:
    with pytest.raises(RuntimeError, match="set_num_threads expects a"):
        torch.set_num_threads(bad)
    assert torch.get_num_threads() == 3


def test_blas_is_kept_to_one_thread_whatever_runs() -> None:
    functions = blas.functions()
    if functions is None:
        pytest.skip("NumPy here has no OpenBLAS that can be reached")
    a = torch.ones(512, 512)
    for threads in (3, 1, 2):
        torch.set_num_threads(threads)
        parallel.share(lambda piece: None, range(3), parallel.ENOUGH)
        a @ a
        assert functions.get_threads() == 1


def test_products_are_left_to_a_blas_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own threads would process each of our pieces concurrently."""
    monkeypatch.setattr(parallel, "_blas_is_single", False)
    calls = []
    inner = parallel._ThreadPool.share
    monkeypatch.setattr(parallel._ThreadPool, "share", lambda *args: calls.append(args) or inner(*args))
    parallel.share(lambda piece: None, range(3), parallel.ENOUGH)
    assert len(calls) == 1
    a = torch.ones(512, 512)
    a @ a
    assert len(calls) == 1


def programs() -> dict[str, Any]:
    x4, x2, tall = torch.randn(3, 4, 9, 8), torch.randn(23, 17), torch.randn(700, 17)
    w, labels = torch.randn(6, 4, 3, 3), torch.randint(17, (23,))
    wide, wide_weight = torch.randn(2, 48, 29, 15), torch.randn(50, 48, 3, 3) / 20
    heads = torch.randn(2, 3, 7, 5)
    hidden, each = torch.tensor([[True] * 7] * 6 + [[False] * 7]), torch.randn(2, 3, 7, 7)
    return {
        "softmax": (lambda x: F.softmax(x, 1), x2),
        "log_softmax": (lambda x: F.log_softmax(x, 0), x2),
        "cross_entropy": (lambda x: F.cross_entropy(x, labels), x2),
        "softmax of channels": (lambda x: F.softmax(x, 1), x4),
        "log_softmax of channels": (lambda x: F.log_softmax(x, 1), x4),
        "logsumexp of channels": (lambda x: torch.logsumexp(x, 1), x4),
        "cross_entropy of channels": (lambda x: F.cross_entropy(x, labels[0].expand(3, 9, 8) % 4), x4),
        "transposed copy": (lambda x: x.transpose(1, 3).contiguous(), x4),
        "gelu": (F.gelu, x2),
        "silu": (F.silu, x2),
        "relu": (F.relu, x2),
        "layer_norm": (lambda x: F.layer_norm(x, (17,), torch.arange(17).to(x.dtype), torch.ones(17, dtype=x.dtype)), x2),
        "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), x4),
        "group_norm": (lambda x: F.group_norm(x, 2), x4),
        "max_pool": (lambda x: F.max_pool2d(x, 3, 2, 1), x4),
        "avg_pool": (lambda x: F.avg_pool2d(x, 3, 2, 1), x4),
        "adaptive_avg_pool": (lambda x: F.adaptive_avg_pool2d(x, (5, 3)), x4),
        "conv": (lambda x, w: F.conv2d(x, w, stride=2, padding=1), x4, w),
        "conv dilated": (lambda x, w: F.conv2d(x, w, dilation=2, padding=1), x4, w),
        "conv 1x1": (F.conv2d, x4, w[:, :, :1, :1]),
        "conv depthwise": (lambda x, w: F.conv2d(x, w, padding=1, groups=4), x4, w[:4, :1]),
        "conv transposed": (lambda x, w: F.conv_transpose2d(x, w, stride=2), x4, w[:4, :3]),
        "conv winograd": (lambda x, w: F.conv2d(x, w, padding=1), wide, wide_weight),
        "attention": (lambda q, k: F.scaled_dot_product_attention(q, k, k, is_causal=True), heads, heads.flip(2)),
        "attention with a mask": (lambda q, k: F.scaled_dot_product_attention(q, k, k, attn_mask=hidden), heads, heads.flip(2)),
        "attention with a mask for each": (lambda q, k: F.scaled_dot_product_attention(q, k, k, each), heads, heads.flip(2)),
        "sum of rows": (lambda x: x.sum(1), x2),
        "sum of columns": (lambda x: x.sum(0), tall),
        "amax": (lambda x: x.amax(1), x2),
        "cumsum": (lambda x: x.cumsum(1), tall),
        "matmul": (torch.matmul, x2, x2.t()),
        "matmul wide": (torch.matmul, x2.t()[:3], x2),
        "bmm": (torch.matmul, heads, heads.transpose(-1, -2)),
        "bmm of one": (torch.matmul, heads[:1, :1], heads[0, 0].t()),
        "bmm broadcast": (torch.matmul, heads[:, :1], heads.transpose(-1, -2)),
    }


@pytest.mark.parametrize("name", programs())
def test_shared_kernels_give_the_same_numbers(name: str, tiny_pieces: None) -> None:
    """In float64, so that the order of sums hardly matters; and bitwise equal twice with the same threads."""
    function, *inputs = programs()[name]
    results = []
    for threads in (1, 3, 3):
        torch.set_num_threads(threads)
        arguments = [x.detach().double().requires_grad_() for x in inputs]
        out = function(*arguments)
        cotangent = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).reshape(out.shape)
        results.append([out.detach(), *torch.autograd.grad(out, arguments, cotangent)])
    for alone, shared, again in zip(*results):
        np.testing.assert_allclose(shared.numpy(), alone.numpy(), rtol=1e-12, atol=1e-12)
        assert torch.equal(shared, again)


def test_pieces_of_a_kernel_are_shared(tiny_pieces: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above sees nothing if no kernel is shared."""
    calls = []
    inner = parallel._ThreadPool.share
    monkeypatch.setattr(parallel._ThreadPool, "share", lambda *args: calls.append(len(args[2])) or inner(*args))
    for name, (function, *inputs) in programs().items():
        calls.clear()
        out = function(*[x.requires_grad_() for x in inputs])
        out.backward(torch.ones(out.shape))
        assert max(calls, default=0) > 1, name


@pytest.mark.parametrize("optimizer", ["Adam", "Adamax", "Adagrad", "RMSprop", "Rprop", "Muon"])
def test_a_shared_step_is_the_step(optimizer: str, tiny_pieces: None) -> None:
    steps = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        parameters = [torch.nn.Parameter(torch.randn(n, 170)) for n in (100, 120, 300, 1)]
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        stepper = getattr(torch.optim, optimizer)(parameters, lr=0.01)
        stepper.step()
        stepper.step()
        assert list(stepper.state_dict()["state"]) == [0, 1, 2, 3]
        steps.append(parameters)
    for alone, shared in zip(*steps):
        np.testing.assert_allclose(shared.detach().numpy(), alone.detach().numpy(), rtol=1e-6, atol=1e-7)


def test_parameters_that_share_memory_are_updated_in_turn(tiny_pieces: None) -> None:
    steps = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        values = torch.ones(300, 100)
        parameters = [torch.nn.Parameter(values.clone()), torch.nn.Parameter(values)]
        parameters.append(torch.nn.Parameter(values))
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        torch.optim.SGD(parameters, lr=0.125).step()
        steps.append([p.detach() for p in parameters])
    assert (steps[1][1] == 0.75).all()
    for alone, shared in zip(*steps):
        assert torch.equal(alone, shared)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blas_adds_scaled_vectors_in_one_pass(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if blas.functions() is None:
        pytest.skip("NumPy here has no OpenBLAS that can be reached")
    monkeypatch.setattr(blas._State, "single", True)
    x, y = (np.random.default_rng(seed).standard_normal((7, 50)).astype(dtype) for seed in (0, 1))
    for a, b in ((0.3, 1), (1, 0.9), (-2.5, 0.1)):
        expected, target = a * x + b * y, y.copy()
        assert blas.add_scaled(a, x, b, target)
        np.testing.assert_allclose(target, expected, rtol=0, atol=4 * np.finfo(dtype).eps)


def test_blas_leaves_alone_what_it_would_not_do_as_numpy_does(monkeypatch: pytest.MonkeyPatch) -> None:
    if blas.functions() is None:
        pytest.skip("NumPy here has no OpenBLAS that can be reached")
    monkeypatch.setattr(blas._State, "single", True)
    x, y = np.ones((4, 6), np.float32), np.zeros((4, 6), np.float32)
    fixed = y.copy()
    fixed.flags.writeable = False
    refused = [
        (0, x, 1, y),  # 0 * NaN
        (1, x, 0, y),
        (1, x.astype(np.float64), 1, y),
        (1, x.T, 1, y),
        (1, x[:, ::2], 1, y[:, ::2]),
        (1, x[:1], 1, y),
        (1, x[:0], 1, y[:0]),
        (1, x, 1, fixed),
        (1, x.astype(np.float16), 1, y.astype(np.float16)),
        (1, x.astype(np.complex64), 1, y.astype(np.complex64)),
    ]
    assert blas.add_scaled(1, x, 1, y.copy())
    assert not any([blas.add_scaled(*arguments) for arguments in refused])
    monkeypatch.setattr(blas._State, "single", False)  # its other threads would have to be woken
    assert not blas.add_scaled(1, x, 1, y)
    assert not y.any()
