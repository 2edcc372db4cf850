"""float16 and bfloat16 next to numbers, bit for bit; values out of range; the types of ``out=``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as real

from parity_tests import bridge
from parity_tests.judging import same_exception
from parity_tests.twin import twin

LIBRARIES = (bridge.mini_dl, real)
VALUES = [1.2568, -0.132, 94.0, -5.3557, 0.001049, 137.0, -70.4, 0.0, 3.0, 65504.0, 0.1, -15.92]
NUMBERS = [0.1, 1 / 3, -0.7, 3.14159, 2049, 1e-8, 1e5, 70000, -1e5, 65519.0, 2**31, 1e30, 1e39, float("inf")]
KINDS = ["float16", "bfloat16"]

FORMS: dict[str, Callable[..., Any]] = {
    "times": lambda t, x, n: x * n,
    "times from the left": lambda t, x, n: n * x,
    "times in place": lambda t, x, n: x.mul_(n),
    "by": lambda t, x, n: x / n,
    "by in place": lambda t, x, n: x.div_(n),
    "into": lambda t, x, n: n / x,
    "plus": lambda t, x, n: x + n,
    "minus": lambda t, x, n: n - x,
    "floor": lambda t, x, n: x // n,
    "truncated": lambda t, x, n: t.div(x, n, rounding_mode="trunc"),
    "modulo": lambda t, x, n: x % n,
    "to the power": lambda t, x, n: x**n,
    "compared": lambda t, x, n: (x < n, x == n),
    "times a tensor without dimensions": lambda t, x, n: x * t.tensor(float(n)),
    "a tensor without dimensions times": lambda t, x, n: t.tensor(float(n)) * x,
    "by a tensor without dimensions": lambda t, x, n: x / t.tensor(float(n), dtype=t.float64),
    "leaky": lambda t, x, n: t.nn.functional.leaky_relu(x, n),
    "chosen": lambda t, x, n: t.where(x > 0, x, n),
    "written by an index": lambda t, x, n: x.__setitem__(slice(1, 3), n) or x,
    "filled": lambda t, x, n: x.fill_(n),
    "filled without dimensions": lambda t, x, n: x[0].clone().fill_(n),
    "full": lambda t, x, n: t.full((2,), n, dtype=x.dtype),
    "full without dimensions": lambda t, x, n: t.full((), n, dtype=x.dtype),
    "a scalar": lambda t, x, n: t.scalar_tensor(n, dtype=x.dtype),
    "masked": lambda t, x, n: x.masked_fill(x > 0, n),
    "clamped": lambda t, x, n: x.clamp(max=n),
    "padded": lambda t, x, n: t.nn.functional.pad(x, (1, 1), value=n),
    "threshold": lambda t, x, n: t.nn.functional.threshold(x, 0.5, n),
    "shrunk": lambda t, x, n: t.nn.functional.hardshrink(x, n).shape,
    "sum with a factor": lambda t, x, n: t.add(x, x, alpha=n).shape,  # torch rounds in two ways, by position
    "between": lambda t, x, n: t.lerp(x, x, n).shape,
    "exponential": lambda t, x, n: t.nn.functional.elu(x, abs(n)).shape,
    "in even steps": lambda t, x, n: t.linspace(0, n, 2, dtype=x.dtype).shape,
}


def outcome(torch: Any, call: Callable[[], Any]) -> Any:
    try:
        found = call()
    except Exception as error:
        return error
    parts = found if type(found) is tuple else (found,)
    return [(str(p.dtype).rpartition(".")[2], p.float().tolist()) if isinstance(p, torch.Tensor) else p for p in parts]


def differs(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, Exception):
        return not (isinstance(ours, Exception) and same_exception(ours, type(theirs)))
    return bool(isinstance(ours, Exception) or str(ours) != str(theirs))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORMS)
def test_a_number_meets_a_half_as_in_torch(name, kind):
    wrong = []
    for number in NUMBERS:
        outcomes = []
        for torch in LIBRARIES:
            x = torch.tensor(VALUES * 4).to(getattr(torch, kind))
            outcomes.append(outcome(torch, lambda t=torch, x=x, n=number: FORMS[name](t, x, n)))
        if differs(*outcomes):
            wrong.append(f"{number}: {outcomes[0]!s:.150} for {outcomes[1]!s:.150}")
    assert not wrong, "\n".join(wrong)


def test_a_gradient_through_a_product_of_halves_keeps_the_number():
    for kind in KINDS:
        found = []
        for torch in LIBRARIES:
            x = torch.tensor(VALUES).to(getattr(torch, kind)).requires_grad_()
            (x * 0.1).backward(torch.tensor(VALUES).to(getattr(torch, kind)))
            found.append(x.grad.float().tolist())
        assert found[0] == found[1]


LIMITED: dict[str, Callable[..., Any]] = {
    "threshold": lambda t, x, n: t.nn.functional.threshold(x, n, 5.0),
    "hardshrink": lambda t, x, n: t.nn.functional.hardshrink(x, n),
    "softshrink": lambda t, x, n: t.nn.functional.softshrink(x, n),
    "hardtanh": lambda t, x, n: t.nn.functional.hardtanh(x, -n, n),
    "clamp": lambda t, x, n: x.clamp(-n, n),
    "one limit": lambda t, x, n: x.clamp_min(n),
    "elu": lambda t, x, n: t.nn.functional.elu(x - n, 1.0),
    "hinge": lambda t, x, n: t.nn.functional.hinge_embedding_loss(x, -t.ones_like(x), margin=n, reduction="none"),
    "huber": lambda t, x, n: t.nn.functional.huber_loss(x, t.zeros_like(x), delta=n, reduction="none"),
}


@twin
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LIMITED)
def test_a_half_beside_a_limit_that_its_type_would_round(torch, rng, name, kind):
    found = []
    for limit in (0.1, 0.3, 1 / 3, 0.7, 1.1, 2.3, 3.3):
        nearest = torch.tensor([limit, -limit], dtype=getattr(torch, kind))
        x = torch.cat([nearest * (1 + step * 2.0**-7) for step in (-1, 0, 1)]).requires_grad_()
        y = LIMITED[name](torch, x, limit)
        found.append((y, torch.autograd.grad(y.sum(), x)))
    return found


# ------------------------------------------------------------------------------------------------ out=

OUT: dict[str, Callable[..., Any]] = {
    "a list for one result": lambda t, x: t.amax(x, 0, out=[t.empty(2)]),
    "a tuple for one result": lambda t, x: t.gather(x, 0, t.zeros(2, 2, dtype=t.int64), out=(t.empty(2, 2),)),
    "a str": lambda t, x: t.cummax(x, 0, out="a"),
    "None in a list": lambda t, x: t.kthvalue(x, 1, 0, out=[None]),
    "a tensor for two results": lambda t, x: t.mode(x, 0, out=t.empty(2)),
    "a list for a range": lambda t, x: t.arange(0, 3, out=[t.empty(3)]),
    "a tensor that requires grad for a range": lambda t, x: t.arange(0, 3, out=t.empty(3, requires_grad=True)),
    "a tensor without memory": lambda t, x: t.add(x, x, out=t.empty(2, 2, device="meta")),
    "float64 for a matrix product": lambda t, x: t.mm(x, x, out=t.empty(2, 2, dtype=t.float64)),
    "float64 for addmm": lambda t, x: t.addmm(x, x, x, out=t.empty(2, 2, dtype=t.float64)),
    "float64 for the determinant": lambda t, x: t.linalg.det(x, out=t.empty((), dtype=t.float64)),
    "float64 for chosen rows": lambda t, x: t.index_select(x, 0, t.tensor([0]), out=t.empty(1, 2, dtype=t.float64)),
    "float64 for what a mask chooses": lambda t, x: t.masked_select(x, x > 0, out=t.empty(4, dtype=t.float64)),
    "float64 for a norm": lambda t, x: t.linalg.vector_norm(x, out=t.empty((), dtype=t.float64)),
    "float64 for a maximum": lambda t, x: t.max(x, out=t.empty((), dtype=t.float64)),
    "float64 for the larger one": lambda t, x: t.max(x, x, out=t.empty(2, 2, dtype=t.float64)),
    "int8 for joined floats": lambda t, x: t.cat([x, x], out=t.empty(4, 2, dtype=t.int8)),
    "one too few": lambda t, x: t.aminmax(x, out=(t.empty(()),)),
}


@pytest.mark.parametrize("name", OUT)
def test_out_is_taken_or_refused_as_in_torch(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = (outcome(t, lambda t=t: OUT[name](t, t.tensor([[1.0, 2.0], [3.0, 5.0]]))) for t in LIBRARIES)
    assert not differs(ours, theirs), f"{ours} for {theirs}"


# ------------------------------------------------------------------------------------------------ arguments


def stepped(optimizer: Any, x: Any, **options: Any) -> Any:
    x.grad = x.clone()
    optimizer([x], **options).step()
    return x


CALLS: dict[str, Callable[..., Any]] = {
    "one tensor side by side": lambda t, x: t.hstack([x]),
    "one tensor below nothing": lambda t, x: t.vstack((x,)),
    "one tensor behind nothing": lambda t, x: t.dstack([x]),
    "one column": lambda t, x: t.column_stack([x[0]]),
    "None for a dimension that may be left out": lambda t, x: x.max(None),
    "None for the points of an integral": lambda t, x: t.trapezoid(x, None),
    "points with a dimension more": lambda t, x: t.trapezoid(x, t.ones(1, 2, 2)),
    "several dimensions one by one": lambda t, x: x.reshape(1, 2, 1, 2).squeeze(0, 2),
    "counted over several dimensions": lambda t, x: x.count_nonzero(0, 1),
    "a tensor as the order of a norm": lambda t, x: t.linalg.vector_norm(x, t.tensor(1.0)),
    "a complex order": lambda t, x: t.linalg.vector_norm(x, 1j),
    "a str as a tolerance": lambda t, x: t.linalg.pinv(x, rtol="a"),
    "sizes below zero": lambda t, x: x.as_strided((-1,), (1,)),
    "an offset below zero": lambda t, x: x.as_strided((1,), (1,), -1),
    "pivots out of range": lambda t, x: t.lu_unpack(x, t.tensor([5, 1], dtype=t.int32)),
    "a sum of bools in place": lambda t, x: (x > 0).cumsum_(0),
    "a sum in another type in place": lambda t, x: x.cumsum_(0, dtype=t.float64),
    "a difference with bools and a factor": lambda t, x: t.sub(x, x > 0, alpha=2),
    "one running statistic": lambda t, x: t.nn.functional.batch_norm(x, t.ones(2), None, training=True),
    "running statistics as a row": lambda t, x: t.nn.functional.batch_norm(x, t.ones(1, 2), t.ones(2), training=True),
    "a running variance of ints": lambda t, x: t.nn.functional.instance_norm(
        x[None], t.ones(2), t.ones(2, dtype=t.int64), use_input_stats=True
    ),
    "a running mean of ints": lambda t, x: t.nn.functional.instance_norm(x[None], t.ones(2, dtype=t.int64), t.ones(2)),
    "a bias with a row more": lambda t, x: t.nn.functional.linear(x[0], x, t.ones(1, 2)),
    "no size": lambda t, x: t.rand(),
    "only a step": lambda t, x: t.arange(5, step=1),
    "a bool among the bounds": lambda t, x: t.randint(True, (2,)),
    "a float among the sizes of a pool": lambda t, x: t.nn.functional.adaptive_avg_pool1d(x[None], (1.5,)),
    "a scale that is NaN": lambda t, x: t.nn.functional.interpolate(x[None], scale_factor=float("nan")),
    "lengths of floats": lambda t, x: t.nn.functional.ctc_loss(x[None], t.tensor([[1]]), [1.5], [1]),
    "a mask that is a str": lambda t, x: t.nn.TransformerEncoderLayer(2, 1)(x, src_mask="a"),
    "one state of an LSTM": lambda t, x: t.nn.LSTM(2, 2)(x, (x,)),
    "a normalized shape that is no shape": lambda t, x: t.nn.LayerNorm(1.5),
    "a tensor as padding": lambda t, x: t.nn.ZeroPad1d(t.tensor(1.5)),
    "nothing to sigmoid": lambda t, x: t.nn.Sigmoid()(None),
    "one step size": lambda t, x: stepped(t.optim.Rprop, x, step_sizes=(1.0,)),
    "a decay that is complex": lambda t, x: stepped(t.optim.ASGD, x, lambd=1j),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_argument_is_taken_or_refused_as_in_torch(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = (outcome(t, lambda t=t: CALLS[name](t, t.tensor([[1.0, 2.0], [3.0, 5.0]]))) for t in LIBRARIES)
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception) and same_exception(ours, type(theirs)), f"{ours!r} for {theirs!r}"
    else:
        assert not isinstance(ours, Exception), f"{ours!r} for {theirs}"
        for (kind, mine), (wanted, values) in zip(ours, theirs, strict=True):
            assert kind == wanted
            np.testing.assert_allclose(mine, values, rtol=1e-5)


def test_a_running_statistic_is_not_written_before_another_is_refused():
    torch = bridge.mini_dl
    mean = torch.ones(2)
    with pytest.raises(RuntimeError):
        torch.nn.functional.instance_norm(torch.rand(1, 2, 3), mean, torch.ones(2, dtype=torch.int64))
    assert mean.tolist() == [1.0, 1.0]


NEAR_THE_MIDDLE = [1 + 2**-11 + 2**-40, -3 - 2**-10 - 2**-35, 5 + 2**-9 - 2**-36, 0.1, 1e-8 * (1 + 2**-30), 65519.9999999]
"""Numbers of float64 that are rounded otherwise to float16 if they are rounded to float32 first."""
INTO_HALVES = {
    "to": lambda t, x: x.to(t.float16),
    "half": lambda t, x: x.half(),
    "type": lambda t, x: x.t().type(t.float16),
    "tensor of a list": lambda t, x: t.tensor(x.tolist(), dtype=t.float16),
    "tensor of an array": lambda t, x: t.tensor(x.numpy(), dtype=t.float16),
    "as_tensor": lambda t, x: t.as_tensor(x.numpy(), dtype=t.float16),
    "new_tensor": lambda t, x: x.half().new_tensor(x.tolist()),
    "copy_": lambda t, x: t.zeros(x.shape, dtype=t.float16).copy_(x),
    "recorded copy_": lambda t, x: t.zeros(x.shape, dtype=t.float16).copy_(x.requires_grad_()),
    "set": lambda t, x: t.zeros(x.shape, dtype=t.float16).index_copy(0, t.arange(len(x)), x.half()),
    "fill_": lambda t, x: [t.zeros(2, dtype=t.float16).fill_(number) for number in x[:, 0].tolist()[:-1]],
    "full": lambda t, x: [t.full((2,), number, dtype=t.float16) for number in x[:, 0].tolist()[:-1]],
    "set by a number": lambda t, x: [t.zeros(2, dtype=t.float16).index_fill(0, t.tensor([1]), v) for v in x[:, 0].tolist()[:-1]],
    "out": lambda t, x: t.add(x, 0, out=t.empty(x.shape, dtype=t.float16)),
    "in place": lambda t, x: t.zeros(x.shape, dtype=t.float16).add_(x),
    "a sum of half precision": lambda t, x: x.sum(1, dtype=t.float16),
}


@twin
@pytest.mark.parametrize("name", INTO_HALVES)
def test_float64_becomes_float16_by_way_of_float32(torch, rng, name):
    made = INTO_HALVES[name](torch, rng.tensor([[number] for number in NEAR_THE_MIDDLE], "float64"))
    return [half.detach().view(torch.int16) for half in made]
