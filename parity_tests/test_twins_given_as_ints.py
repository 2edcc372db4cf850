"""What torch takes for an int, several ints, a bool or a number, under both libraries; and numbers beyond float16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parity_tests.twin import outcome, raised, twin

OF_ONE: dict[str, Callable[..., Any]] = {
    "sum": lambda torch, one: torch.ones(1, 4).sum(one),
    "roll": lambda torch, one: torch.arange(4).roll(one),
    "max_pool1d": lambda torch, one: torch.nn.functional.max_pool1d(torch.ones(1, 1, 4), one),
    "conv2d": lambda torch, one: torch.nn.functional.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 2, 2), stride=one),
    "conv2d, dilation": lambda torch, one: torch.nn.functional.conv1d(torch.ones(1, 1, 4), torch.ones(1, 1, 2), dilation=one),
    "adaptive_avg_pool1d": lambda torch, one: torch.nn.functional.adaptive_avg_pool1d(torch.ones(1, 1, 4), one),
    "interpolate": lambda torch, one: torch.nn.functional.interpolate(torch.ones(1, 1, 4), one),
    "fftshift": lambda torch, one: torch.fft.fftshift(torch.ones(2, 4), one),
    "linalg.norm": lambda torch, one: torch.linalg.norm(torch.ones(2, 2), dim=one),
    "narrow": lambda torch, one: torch.narrow(torch.arange(4), 0, 1, one),
    "select": lambda torch, one: torch.arange(4).select(0, one),
    "topk": lambda torch, one: torch.topk(torch.arange(4), one),
    "triu": lambda torch, one: torch.triu(torch.ones(3, 3), one),
    "bincount": lambda torch, one: torch.bincount(torch.tensor([0]), minlength=one),
    "multinomial": lambda torch, one: torch.multinomial(torch.ones(4), one).shape,
    "fft": lambda torch, one: torch.fft.fft(torch.ones(4), one),
    "zeros": lambda torch, one: torch.zeros(one),
    "flip": lambda torch, one: torch.flip(torch.ones(2, 3), one),
    "cumsum": lambda torch, one: torch.cumsum(torch.ones(2, 3), one),
    "window": lambda torch, one: torch.hann_window(one),
    "Tensor": lambda torch, one: torch.Tensor(one),
    "FloatTensor": lambda torch, one: torch.FloatTensor(one),
}


@twin
@pytest.mark.parametrize("call", OF_ONE)
def test_a_tensor_of_one_integer_may_stand_for_an_int(torch, rng, call):
    given = (torch.tensor([1]), torch.tensor(1), torch.tensor([1, 1]), torch.tensor(1.0))
    return [outcome(lambda one=one: OF_ONE[call](torch, one)) for one in given]


SEVERAL: dict[str, Callable[..., Any]] = {
    "conv2d, padding": lambda torch, n: torch.nn.functional.conv2d(
        torch.ones(1, 1, 4, 4), torch.ones(1, 1, 2, 2), padding=(n, n)
    ),
    "conv2d, stride": lambda torch, n: torch.nn.functional.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 2, 2), stride=(n, n)),
    "conv_transpose1d": lambda torch, n: torch.nn.functional.conv_transpose1d(
        torch.ones(1, 1, 4), torch.ones(1, 1, 2), padding=[n], output_padding=[0]
    ),
    "max_pool2d": lambda torch, n: torch.nn.functional.max_pool2d(torch.ones(1, 1, 4, 4), (n, n)),
    "AvgPool1d": lambda torch, n: torch.nn.AvgPool1d((n,))(torch.ones(1, 1, 4)),
    "unfold": lambda torch, n: torch.nn.functional.unfold(torch.ones(1, 1, 4, 4), (n, n)),
    "layer_norm": lambda torch, n: torch.nn.functional.layer_norm(torch.ones(2, 1), (n,)),
    "pad": lambda torch, n: torch.nn.functional.pad(torch.ones(4), (n, n)),
    "unflatten": lambda torch, n: torch.unflatten(torch.ones(4), 0, (n, 4)),
    "fft2": lambda torch, n: torch.fft.fft2(torch.ones(4, 4), (n, n)),
    "unravel_index": lambda torch, n: torch.unravel_index(torch.tensor([0]), (n, n)),
}


@twin
@pytest.mark.parametrize("call", SEVERAL)
def test_a_sequence_of_ints_has_only_ints_also_after_a_call_with_equal_ones(torch, rng, call):
    before = outcome(lambda: SEVERAL[call](torch, 1))
    return before, [outcome(lambda n=n: SEVERAL[call](torch, n)) for n in (1.0, None, "1", True)]


SUMS = "sum prod amax amin argmax argmin mean median logsumexp std var".split()


@twin
@pytest.mark.parametrize("name", SUMS)
def test_masked_functions_look_whether_keepdim_is_true(torch, rng, name):
    x, masked = rng(2, 3), getattr(torch.masked, name)
    kinds = (1, 0, None, "a", 2.0, [], {}, torch.tensor(1), torch.float32)
    return [outcome(lambda keep=keep: masked(x, dim=1, keepdim=keep).shape) for keep in kinds], raised(
        lambda: masked(x, dim=1, keepdim=torch.ones(2))
    )


@twin
@pytest.mark.parametrize("name", ["softmax", "l1_loss", "adaptive_avg_pool2d", "max_unpool2d", "glu", "interpolate"])
def test_an_unknown_name_is_refused_before_what_is_not_a_tensor(torch, rng, name):
    function = getattr(torch.nn.functional, name)
    values = (np.float64(1), np.int64(1), np.True_, np.ones(2), 1, None, [1])
    more = {"softmax": (0,), "l1_loss": (rng(2),), "adaptive_avg_pool2d": (1,), "max_unpool2d": (rng(2), 2)}.get(name, ())
    return [raised(lambda v=v: function(v, *more, nonsense=1)) for v in values], [
        raised(lambda v=v: function(v, *more)) for v in values[:3]
    ]


@twin
def test_numbers_for_steps_shapes_and_dims(torch, rng):
    y = rng(4)
    steps = (torch.tensor(2), torch.tensor(0.5), torch.tensor([1.0]), True, "a", 1j)
    positions = torch.tensor([4, 5])
    return (
        [outcome(lambda s=s: torch.trapezoid(y, dx=s)) for s in steps],
        [outcome(lambda s=s: torch.cumulative_trapezoid(y, dx=s)) for s in steps],
        [outcome(lambda s=s: torch.unravel_index(positions, s)) for s in ((2, 3), (2, 0), range(2, 4), 6, "ab", (2, 3.0))],
        [outcome(lambda a=a, b=b: torch.movedim(rng(2, 3), a, b)) for a, b in ((0, [1]), ([0], 1), (0, 1), ([0], [1]))],
        [outcome(lambda n=n: torch.linspace(0, 1, n)) for n in (torch.tensor(3), 3, True, 3.0)],
        raised(lambda: torch.nn.functional.interpolate(rng(1, 1, 4), scale_factor=torch.tensor(2.0))),
        raised(lambda: torch.nn.functional.binary_cross_entropy_with_logits(y, y, pos_weight=[1])),
    )


@twin
def test_a_tensor_of_a_tensor_is_a_view_of_any_type(torch, rng):
    x, n = rng(2, grad=True), torch.tensor([1, 2])
    y, m = torch.Tensor(x), torch.Tensor(n)
    m[0] = 5
    return y, y.requires_grad, y._is_view(), n, m.dtype


BEYOND = (-2, 3, 0.3333, 1e5, 70000, 1e-8)


@twin
@pytest.mark.parametrize("number", BEYOND)
def test_numbers_beyond_float16_are_not_rounded_first(torch, rng, number):
    x = torch.tensor([0.1, -1.5, 3.14159, 100.25, 2049.0, 6e-5], dtype=torch.float16)
    column, row = x[:, None] / 50, x[None, :1]
    return (
        torch.addmm(column, column, row, beta=number),
        torch.baddbmm(column[None], column[None], row[None], beta=number),
        outcome(lambda: torch.renorm(x[:, None], 2, 0, number)),
        torch.pow(x, -2),
    )


@twin
def test_columns_of_a_kernel_of_one_element_are_a_copy(torch, rng):
    x, y = rng(1, 2, 2, 2), rng(1, 2, 4, grad=True)
    columns = torch.nn.functional.unfold(x, 1)
    columns.add_(1)
    torch.nn.functional.fold(y, (2, 2), 1).square().sum().backward()
    return x, columns, y.grad


@twin
def test_an_argument_that_must_be_named_may_stand_beside_out(torch, rng):
    a, b = torch.eye(2) + 1, rng(2, 1)
    return torch.linalg.solve_triangular(a, b, upper=True, out=torch.zeros(2, 1))
