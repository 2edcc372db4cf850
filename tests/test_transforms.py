"""Derivatives of functions against formulas, and that transforms leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.autograd import forward_ad
from mini_dl.autograd.mode import at_work, mode
from mini_dl.autograd.primitive import linear_in, op, view
from mini_dl.func import grad, hessian, jacfwd, jacrev, jvp, vjp


def close(a: torch.Tensor, b: object) -> bool:
    return bool(np.allclose(a.numpy(), np.asarray(b), rtol=1e-5))


def test_derivatives_of_a_power_of_every_order() -> None:
    x, factor = torch.tensor(1.5, dtype=torch.float64), 1.0
    backwards = forwards = lambda x: x**6
    for n in range(6, 0, -1):
        factor *= n
        backwards = grad(backwards)
        forwards = (lambda f: lambda x: jvp(f, (x,), (torch.ones_like(x),))[1])(forwards)
        assert close(backwards(x), factor * 1.5 ** (n - 1))
        assert close(forwards(x), factor * 1.5 ** (n - 1))


def test_a_process_that_uses_no_transform_does_not_look_for_any() -> None:
    code = (
        "import mini_dl as torch\n"
        "from mini_dl.autograd.recording import Text\n"
        "a = torch.ones(2, requires_grad=True)\n"
        "(a + a).exp().sum().backward()\n"
        "names = torch.add.__wrapped__.__code__.co_names if hasattr(torch.add, '__wrapped__') else ()\n"
        "plain = torch.Tensor.exp.__code__.co_names\n"
        "assert not Text.asks and 'at_work' not in plain, plain\n"
        "torch.func.grad(torch.sin)(torch.tensor(0.0))\n"
        "assert Text.asks and 'at_work' in torch.Tensor.exp.__code__.co_names\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_cotangent_that_does_not_fit_is_named() -> None:
    x = torch.zeros(3)
    _, back = vjp(lambda x: (x, 2 * x), x)
    with pytest.raises(RuntimeError, match=r"grad_output\[1\] has a shape of"):
        back((x, torch.zeros(2)))
    with pytest.raises(RuntimeError, match=r"grad_output\[1\] has a dtype of torch.complex64"):
        back((x, x.to(torch.complex64)))


def test_an_error_inside_leaves_no_level_open() -> None:
    def fails(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            raise KeyError("inside")

    x = torch.ones(2)
    for call in (lambda: grad(fails)(x), lambda: jvp(fails, (x,), (x,)), lambda: hessian(fails)(x), lambda: vjp(fails, x)):
        with pytest.raises(KeyError):
            call()
        assert mode.stack == () and mode.enabled and mode.forward
    with pytest.raises(KeyError), forward_ad.dual_level():
        fails(forward_ad.make_dual(x, x))
    assert forward_ad.unpack_dual(x).tangent is None and not at_work.anywhere


def test_a_tensor_that_leaves_its_level_is_what_it_stood_for() -> None:
    kept = []
    grad(lambda x: (kept.append(x * 2), x.sum())[1])(torch.ones(3))
    assert close((kept[0] + 1).detach(), [3, 3, 3]) and close(grad(lambda y: (kept[0] * y).sum())(torch.ones(3)), [2, 2, 2])


def test_levels_of_different_threads_do_not_meet() -> None:
    found, barrier = {}, threading.Barrier(2)

    def work(n: int) -> None:
        def f(x: torch.Tensor) -> torch.Tensor:
            barrier.wait()
            y = (x**n).sum()
            barrier.wait()
            return y

        found[n] = grad(lambda x: grad(f)(x).sum())(torch.tensor([2.0]))

    threads = [threading.Thread(target=work, args=(n,)) for n in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert close(found[2], [2]) and close(found[3], [12]) and not at_work.anywhere


def test_recorded_tensors_keep_their_history_beneath_a_level() -> None:
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    g = grad(lambda x: (w * x * x).sum())(torch.tensor([3.0, 4.0]))
    g.sum().backward()
    assert close(w.grad, [6, 8])


def test_what_is_linear_applies_itself() -> None:
    calls = []

    @linear_in("input")
    @op(input=lambda grad: calls.append("formula") or grad * 3)
    def thrice(input: np.ndarray) -> np.ndarray:
        calls.append("forward")
        return input * 3

    assert close(jvp(thrice, (torch.ones(2),), (torch.tensor([1.0, 5.0]),))[1], [3, 15])
    assert calls == ["forward", "forward"]


def test_the_transpose_of_the_transpose_serves_any_primitive() -> None:
    def gradient(grad: torch.Tensor, input: torch.Tensor) -> torch.Tensor:
        return torch.stack([grad[0] * input[1], grad[0] * input[0] + grad[1] * input[1].cos()])

    @op(input=gradient)
    def mixed(input: np.ndarray) -> np.ndarray:
        return np.stack([input[0] * input[1], np.sin(input[1])])

    x, t = torch.tensor([2.0, 0.5]), torch.tensor([1.0, 10.0])
    expected = [0.5 * 1 + 2 * 10, np.cos(0.5) * 10]
    assert close(jvp(mixed, (x,), (t,))[1], expected) and close(jacfwd(mixed)(x) @ t, expected)
    assert close(jacfwd(mixed)(x), jacrev(mixed)(x)) and close(
        jvp(lambda x: jvp(mixed, (x,), (t,))[1], (x,), (t,))[1][1], -np.sin(0.5) * 100
    )


def test_a_view_of_a_tangent_shares_its_memory() -> None:
    @view(input=lambda grad: grad.flip(0))
    def turned(input: np.ndarray) -> np.ndarray:
        return input[::-1]

    with forward_ad.dual_level():
        x = forward_ad.make_dual(torch.ones(3), torch.tensor([1.0, 2.0, 3.0]))
        y = turned(x)
        y.mul_(torch.tensor([1.0, 1.0, 10.0]))
        assert close(forward_ad.unpack_dual(y).tangent, [3, 2, 10]) and close(forward_ad.unpack_dual(x).tangent, [10, 2, 3])


def test_an_argument_that_is_not_there_cannot_be_linear() -> None:
    with pytest.raises(TypeError, match="no argument"):

        @linear_in("other")
        @op(input=lambda grad: grad)
        def same(input: np.ndarray) -> np.ndarray:
            return input
