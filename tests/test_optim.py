"""Optimizers and schedules: tests that do not need torch."""

from __future__ import annotations

import inspect
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import optim
from mini_dl.kernels.orthogonal import bfloat16
from mini_dl.kernels.steps import BLOCK
from mini_dl.tensor import wrap

ALGORITHMS = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (optim.Adam, {"lr": 0.1, "weight_decay": 0.01}),
    (optim.Adam, {"lr": 0.1, "amsgrad": True}),
    (optim.AdamW, {"lr": 0.1}),
    (optim.Adamax, {"lr": 0.1}),
    (optim.NAdam, {"lr": 0.1}),
    (optim.RAdam, {"lr": 0.1}),
    (optim.Adagrad, {"lr": 0.5}),
    (optim.Adadelta, {"lr": 1.0, "rho": 0.5, "eps": 1e-2}),
    (optim.RMSprop, {"lr": 0.02, "centered": True, "momentum": 0.5}),
    (optim.Rprop, {"lr": 0.1}),
    (optim.ASGD, {"lr": 0.1}),
]


def run(algorithm: Any, options: dict[str, Any], start: np.ndarray, grads: list[np.ndarray]) -> Any:
    param = wrap(start.copy("K")).requires_grad_()
    optimizer = algorithm([param], **options)
    for grad in grads:
        param.grad = wrap(grad)
        optimizer.step()
    return param, optimizer


@pytest.mark.parametrize(("algorithm", "options"), ALGORITHMS)
def test_pieces_layouts_and_ranks_give_one_answer(algorithm: Any, options: dict[str, Any]) -> None:
    numbers = np.random.default_rng(0)
    n = 2 * BLOCK + 6
    start, grads = numbers.standard_normal(n), [numbers.standard_normal(n) for _ in range(3)]
    expected = run(algorithm, options, start, grads)[0].numpy(force=True)
    for shape in ((2, n // 2), (n // 2, 2)):
        whole, _ = run(algorithm, options, start.reshape(shape), [g.reshape(shape) for g in grads])
        assert np.array_equal(whole.numpy(force=True).reshape(-1), expected)
        turned = start.reshape(shape).copy(order="F")
        turned_grads, _ = run(algorithm, options, turned, [g.reshape(shape) for g in grads])
        assert np.allclose(turned_grads.numpy(force=True).reshape(-1), expected, rtol=1e-12, atol=1e-12)
    for i in (0, BLOCK, n - 1):  # one element alone
        one, _ = run(algorithm, options, np.array(start[i]), [np.array(g[i]) for g in grads])
        assert one.item() == pytest.approx(expected[i], rel=1e-12)


@pytest.mark.parametrize(("algorithm", "options"), ALGORITHMS)
def test_every_algorithm_finds_the_bottom_of_a_bowl(algorithm: Any, options: dict[str, Any]) -> None:
    param = torch.tensor([3.0, -2.0], dtype=torch.float64, requires_grad=True)
    optimizer = algorithm([param], **options)
    for _ in range(300):
        optimizer.zero_grad()
        ((param - 1) ** 2).sum().backward()
        optimizer.step()
    assert np.allclose(param.numpy(force=True), 1, atol=0.05)


@pytest.mark.parametrize(("algorithm", "options"), ALGORITHMS)
def test_a_step_needs_little_memory_besides_its_state(algorithm: Any, options: dict[str, Any]) -> None:
    shape = (1 << 11, 1 << 10)  # 8 MB
    param = torch.zeros(shape, requires_grad=True)
    param.grad = torch.ones(shape)
    optimizer = algorithm([param], **options)
    optimizer.step()  # makes the state
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        optimizer.step()
        assert tracemalloc.get_traced_memory()[1] - before < 4 << 20
    finally:
        tracemalloc.stop()


def test_the_gradient_is_left_alone() -> None:
    for algorithm, options in ALGORITHMS:
        grad = np.arange(4.0)
        for maximize in (False, True):
            param, _ = run(algorithm, {**options, "maximize": maximize}, np.ones(4), [grad])
            assert np.array_equal(param.grad.numpy(), np.arange(4.0))


def test_a_step_is_seen_by_a_backward_that_needs_the_old_value() -> None:
    param = torch.ones(2, requires_grad=True)
    loss = (param * param).sum()
    param.grad = torch.ones(2)
    optim.SGD([param], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_parameters_without_a_gradient_stay_and_have_no_state() -> None:
    params = [torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)]
    optimizer = optim.Adam(params)
    params[0].grad = torch.ones(2)
    optimizer.step()
    assert params[1].tolist() == [1, 1]
    assert list(optimizer.state_dict()["state"]) == [0]


def test_a_flag_that_cannot_be_served_is_refused_before_anything_is_written() -> None:
    param = torch.ones(2, requires_grad=True)
    param.grad = torch.ones(2)
    optimizer = optim.Adam([param], capturable=True)
    with pytest.raises(AssertionError):
        optimizer.step()
    assert param.tolist() == [1, 1]


@pytest.fixture
def float64_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("float64_by_default")  # for the step count, with which Adam computes in its own type
@pytest.mark.parametrize(("cls", "options"), ALGORITHMS)
def test_a_recorded_step_gives_the_numbers_of_a_plain_one(cls: Any, options: dict[str, Any]) -> None:
    numbers = np.random.default_rng(0)
    start, grads = numbers.standard_normal((4, 3)), numbers.standard_normal((5, 4, 3))
    plain, recorded = wrap(start.copy()).requires_grad_(), wrap(start.copy()).requires_grad_().clone()
    optimizers = [cls([plain], **options), cls([recorded], differentiable=True, **options)]
    for grad in grads:
        plain.grad, recorded.grad = wrap(grad), wrap(grad)
        for optimizer in optimizers:
            optimizer.step()
    assert np.allclose(recorded.detach().numpy(), plain.detach().numpy(), rtol=1e-12, atol=1e-14)
    assert list(optimizers[1].state.get(recorded, [])) == list(optimizers[0].state.get(plain, []))


@pytest.mark.usefixtures("float64_by_default")
@pytest.mark.parametrize(("cls", "options"), ALGORITHMS)
def test_recorded_steps_have_the_gradients_of_both_orders(cls: Any, options: dict[str, Any]) -> None:
    numbers = np.random.default_rng(0)

    def draw() -> torch.Tensor:
        return wrap(numbers.uniform(0.5, 1.5, 3) * numbers.choice([-1, 1], 3)).requires_grad_()

    def after_two_steps(rate: torch.Tensor, start: torch.Tensor, *grads: torch.Tensor) -> torch.Tensor:
        param = start.clone()
        optimizer = cls([param], differentiable=True, **{**options, "lr": rate})
        if options.get("nesterov"):  # torch takes the first gradient of all without its history
            optimizer.state[param]["momentum_buffer"] = torch.ones(3)
        for grad in grads:
            param.grad = grad
            optimizer.step()
        return param

    follows_rate = cls is not optim.ASGD  # whose rate is a number, as in torch
    inputs = (torch.tensor(options["lr"], requires_grad=follows_rate), draw(), draw(), draw())
    assert torch.autograd.gradcheck(after_two_steps, inputs)
    assert torch.autograd.gradgradcheck(after_two_steps, inputs)


def test_the_average_of_asgd_has_gradients_while_it_forms() -> None:
    def average(start: torch.Tensor, grad: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        param = start.clone()
        optimizer = optim.ASGD([param], lr=0.1, lambd=0.1, t0=1, differentiable=True)
        counts = {"step": torch.tensor(3.0), "eta": torch.tensor(0.1), "mu": torch.tensor(0.5)}
        optimizer.state[param].update(ax=mean.clone(), **counts)
        for _ in range(2):
            param.grad = grad
            optimizer.step()
        return optimizer.state[param]["ax"]

    inputs = [torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(average, inputs)


def test_an_update_that_cannot_be_recorded_is_refused() -> None:
    class Exponentiated(optim.Optimizer):
        def update(self, param: Any, grad: Any, state: Any, group: Any) -> None:
            param *= np.exp(-grad)

    param = torch.ones(2, requires_grad=True).clone()
    param.grad = torch.ones(2)
    with pytest.raises(TypeError, match=r"np.exp in an update cannot be recorded"):
        Exponentiated([param], {"differentiable": True}).step()
    assert param.tolist() == [1, 1]


def test_a_recorded_step_counts_once_in_the_version_of_the_parameter() -> None:
    param = torch.ones(2, requires_grad=True).clone()
    optimizer = optim.Adam([param], differentiable=True)
    for count in range(3):
        assert param._version == count
        param.grad = torch.ones(2)
        optimizer.step()


def test_the_mean_of_a_cosine_schedule() -> None:
    optimizer = optim.SGD([torch.ones(1, requires_grad=True)], lr=1.0)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([(1 + np.cos(np.pi * i / 10)) / 2 for i in range(10)])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_muon_steps_along_a_nearly_orthogonal_matrix() -> None:
    numbers = np.random.default_rng(0)
    for shape in ((6, 4), (4, 6)):
        param = torch.zeros(shape, requires_grad=True)
        param.grad = wrap(numbers.standard_normal(shape).astype(np.float32))
        optim.Muon([param], lr=1.0, adjust_lr_fn="match_rms_adamw").step()
        values = np.linalg.svd(param.numpy(force=True), compute_uv=False) / (0.2 * 6**0.5)
        assert values.min() > 0.5 and values.max() < 1.3


def test_muon_rounds_to_bfloat16_ties_to_even() -> None:
    one = np.float32(2.0**-7)  # the last of its eight bits at 1
    exact = np.array([1, 1 + one, -1 - one, 1 + one / 2, 1 + 3 * one / 2, 1 + one / 2 + 2.0**-20, 1e-40, 0, np.inf, -np.inf])
    expected = [1, 1 + one, -1 - one, 1, 1 + 2 * one, 1 + one]
    found = bfloat16(exact.astype(np.float32))
    assert found[:6].tolist() == expected and found[7:].tolist() == [0, np.inf, -np.inf]
    assert np.isnan(bfloat16(np.array([np.nan], np.float32))).all()


def test_rprop_lengthens_its_step_while_the_sign_stays_and_shortens_it_when_it_turns() -> None:
    param, moves = torch.zeros(1, dtype=torch.float64, requires_grad=True), []
    optimizer = optim.Rprop([param], lr=0.1, etas=(0.5, 1.2))
    for grad in (1.0, 3.0, 0.1, -2.0, -2.0, -2.0):
        param.grad, before = torch.tensor([grad], dtype=torch.float64), param.item()
        optimizer.step()
        moves.append(param.item() - before)
    assert moves == pytest.approx([-0.1, -0.12, -0.144, 0, 0.072, 0.0864])


def test_an_option_follows_its_own_schedule() -> None:
    optimizer = optim.Adam([torch.ones(1, requires_grad=True)], lr=0.1)
    schedules = optim.lr_scheduler
    growing = schedules.LambdaOption(optimizer, "betas", lambda epoch: (min(0.99, 0.5 + 0.1 * epoch), 0.999))
    together = schedules.ChainedScheduler([schedules.ExponentialLR(optimizer, 0.5), growing])
    seen = []
    for _ in range(3):
        seen.append((optimizer.param_groups[0]["betas"][0], optimizer.param_groups[0]["lr"]))
        optimizer.step()
        together.step()
    assert seen == [(0.5, 0.1), (0.6, 0.05), (0.7, 0.025)]
    other = schedules.LambdaOption(optimizer, "betas", lambda epoch: (0.1 * epoch, 0.999))
    other.load_state_dict(growing.state_dict())
    other.step()
    assert optimizer.param_groups[0]["betas"][0] == pytest.approx(0.4)
    with pytest.raises(KeyError, match="Adam has no option 'momentum'"):
        schedules.LambdaOption(optimizer, "momentum", abs)


PLAIN = {"LRScheduler", "LambdaOption", "Optimizer"}
"""Base classes, and those that are not torch's, whose docstrings have another form."""


def documented(where: Any, base: type) -> dict[str, str]:
    found = {name: value for name, value in vars(where).items() if isinstance(value, type) and issubclass(value, base)}
    return {name: inspect.cleandoc(value.__doc__ or "") for name, value in found.items() if name[0] != "_" and name not in PLAIN}


def test_docstrings_have_a_sentence_a_formula_the_state_errors_a_source_and_an_example() -> None:
    optimizers = documented(optim, optim.Optimizer)
    schedules = {
        **documented(optim.lr_scheduler, optim.lr_scheduler.LRScheduler),
        **documented(optim.swa_utils, optim.lr_scheduler.LRScheduler),
    }
    assert (len(optimizers), len(schedules)) == (15, 16)
    lacking = []
    for name, doc in {**optimizers, **schedules}.items():
        first, _, rest = doc.partition("\n\n")
        parts = ["``", "Raises: ", "\n>>> ", *["State", "Source: "] * (name in optimizers)]
        lacking += [f"{name}: {part.strip()}" for part in parts if part not in rest]
        lacking += [f"{name}: a first sentence on a line of its own"] * (not first.endswith(".") or "\n" in first)
    assert not lacking, lacking


# ------------------------------------------------------------------------------------------------ mistakes of who adds one


class Unlike(optim.Optimizer):
    """An update defined by a test."""

    def __init__(self, update: Any, **options: Any) -> None:
        super().__init__([torch.nn.Parameter(torch.ones(4))], options)
        self.param_groups[0]["params"][0].grad = torch.ones(4)
        if update is not None:
            self.update = update


def test_an_optimizer_without_an_algorithm_is_told_so() -> None:
    with pytest.raises(NotImplementedError, match="Unlike has no `update`"):
        Unlike(None).step()


def test_buffers_are_counted_for_small_arrays_too() -> None:
    def update(param: Any, grad: Any, state: Any, group: Any) -> None:
        for _ in state.blocks(4, param, grad):
            pass

    with pytest.raises(TypeError, match="an update may have 3 buffers, not 4"):
        Unlike(update).step()


def test_buffers_are_arrays_at_every_size() -> None:
    def update(param: Any, grad: Any, state: Any, group: Any) -> None:
        for p, g, t in state.blocks(1, param, grad):
            np.multiply(g, 0.5, out=t)  # not t = ...
            np.subtract(p, t, out=p)

    optimizer = Unlike(update)
    for size in (0, 1, 10, 20_000, 300_000):
        param = torch.nn.Parameter(torch.ones(size))
        param.grad = torch.ones(size)
        optimizer.add_param_group({"params": [param]})
    optimizer.step()
    assert all([(param == 0.5).all() for group in optimizer.param_groups for param in group["params"]])


def test_what_cannot_be_recorded_says_where_to_add_it() -> None:
    def update(param: Any, grad: Any, state: Any, group: Any) -> None:
        np.exp(grad, out=param)

    with pytest.raises(
        TypeError, match=r"np\.exp in an update cannot be recorded.*add it to _OPERATIONS in mini_dl/optim/_recorded"
    ):
        Unlike(update, differentiable=True).step()
