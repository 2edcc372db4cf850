"""Products, recurrent layers and attention shared by threads give the results of one thread; helpers work after any wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
import mini_dl.nn.functional as F
from mini_dl.kernels import blas, parallel, recurrent


@pytest.fixture(autouse=True)
def three_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    monkeypatch.setattr(recurrent, "ENOUGH", 1)
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def with_threads(count: int, program: Any) -> list[np.ndarray]:
    torch.set_num_threads(count)
    torch.manual_seed(0)
    return [tensor.detach().numpy() for tensor in program()]


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("pause", [0, 0.005])
def test_helpers_come_however_long_they_waited(pause: float, lost: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """While they watch, when they sleep, and when they do not watch since other work has their core."""
    monkeypatch.setattr(parallel._CoreWatch, "core", lambda self: self.begin() or lost)
    for _ in range(5):
        came = set[int]()
        barrier = parallel.threading.Barrier(3, timeout=30)

        def meet(piece: int, barrier: Any = barrier, came: set[int] = came) -> None:
            barrier.wait()
            came.add(parallel.threading.get_ident())

        parallel.share(meet, range(3), parallel.ENOUGH)
        assert len(came) == 3
        time.sleep(pause)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("samples", [1, 2, 7])
def test_the_samples_of_a_recurrent_layer_are_shared(kind: str, samples: int) -> None:
    def program() -> list[Any]:
        layer = getattr(torch.nn, kind)(5, 96, bidirectional=True, dtype=torch.float64)
        x = torch.randn(11, samples, 5, dtype=torch.float64, requires_grad=True)
        out, state = layer(x)
        (out.sin().sum() + sum([each.cos().sum() for each in (state if kind == "LSTM" else [state])])).backward()
        return [out, x.grad, *[p.grad for p in layer.parameters()]]

    for one, several in zip(with_threads(1, program), with_threads(3, program), strict=True):
        np.testing.assert_allclose(several, one, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_backward_gives_the_same_bits_however_many_steps_it_prepares(
    kind: str, in_place: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blas, "reads_in_place", lambda: in_place)
    monkeypatch.setattr(recurrent, "FAST", 1 << 12)

    def program() -> list[Any]:
        layer, x = getattr(torch.nn, kind)(5, 96, bidirectional=True), torch.randn(11, 4, 5, requires_grad=True)
        layer(x)[0].sin().sum().backward()
        return [x.grad, *[p.grad for p in layer.parameters()]]

    whole = with_threads(2, program)
    for together in (1, 3 * 4 * 2 * 96):
        monkeypatch.setattr(recurrent, "TOGETHER", together)
        for one, other in zip(whole, with_threads(2, program), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rows", [1, 3, 16, 40])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_matrix_in_blocks_gives_the_product(rows: int, in_place: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "reads_in_place", lambda: in_place)
    generator = np.random.default_rng(0)
    left, right = generator.standard_normal((rows, 200)), generator.standard_normal((200, 800))
    blocks = recurrent._in_blocks(right, rows)
    assert len(blocks) == 1 if not in_place else rows < 16 or len(blocks) > 1
    out = np.empty((rows, 800))
    np.matmul(left, blocks, recurrent._columns(out, blocks.shape[2]))
    np.testing.assert_allclose(out, left @ right)


@pytest.mark.parametrize("length, source", [(127, 127), (128, 128), (200, 200), (150, 70), (150, 300)])
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_causal_attention_is_attention_with_the_mask_written_out(length: int, source: int, name: str) -> None:
    dtype = getattr(torch, name)
    found = []
    for mask in (None, torch.ones(length, source).tril() > 0):
        torch.manual_seed(0)
        q, k, v = (torch.randn(2, 3, n, 8, dtype=dtype, requires_grad=True) for n in (length, source, source))
        out = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None)
        out.square().sum().backward()
        found.append([each.detach().numpy() for each in (out, q.grad, k.grad, v.grad)])
    for one, other in zip(*found):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-5 if name == "float32" else 1e-12)


def test_gradients_of_causal_attention_over_a_batch_of_them() -> None:
    q, k, v = (torch.randn(2, 130, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    out, grads = F.scaled_dot_product_attention(q, k, v, is_causal=True), torch.randn(3, 2, 130, 4, dtype=torch.float64)
    batched = torch.vmap(lambda g: torch.autograd.grad(out, (q, k, v), g, retain_graph=True))(grads)
    apart = [torch.autograd.grad(out, (q, k, v), grads[i], retain_graph=True) for i in range(3)]
    for i, one in enumerate(batched):
        np.testing.assert_allclose(one.numpy(), np.stack([each[i].numpy() for each in apart]), atol=1e-12)


@pytest.mark.parametrize("value", [0.0, -0.0, -1.5, float("-inf"), float("nan")])
@pytest.mark.parametrize("name", ["float32", "float64", "int32", "complex64"])
def test_a_mask_that_repeats_fills_as_one_written_out(value: float, name: str) -> None:
    generator = np.random.default_rng(0)
    x, mask = (generator.standard_normal((8, 3, 4)) * 9).astype(name), generator.random((3, 4)) > 0.5
    number = 3 if name == "int32" else value
    found = torch.from_numpy(x).masked_fill(torch.from_numpy(mask), number).numpy()
    whole = torch.from_numpy(x).masked_fill(torch.from_numpy(np.broadcast_to(mask, x.shape).copy()), number).numpy()
    assert found.dtype == x.dtype and found.tobytes() == whole.tobytes()
    np.testing.assert_array_equal(found, np.where(mask, np.asarray(number, x.dtype), x))


def test_the_bias_is_added_to_shared_products() -> None:
    for name, shape in (("float32", (300, 200)), ("float64", (4, 80, 200)), ("float16", (3, 200)), ("int64", (300, 200))):
        x, w, b = (torch.from_numpy(np.random.default_rng(i).integers(-3, 4, s).astype(name)) for i, s in
                   enumerate((shape, (120, 200), (120,))))  # fmt: skip
        np.testing.assert_array_equal(F.linear(x, w, b).numpy(), (x @ w.T + b).numpy())
