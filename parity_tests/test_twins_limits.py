"""Where a function changes its way: both sides of a limit, and the limit itself."""

from __future__ import annotations

import importlib

import pytest

from parity_tests.twin import message, outcome, twin


@twin
@pytest.mark.parametrize("rate", [9.5, 10.0, 10.5, 11.0])
@pytest.mark.parametrize("n", [3, 300])
def test_poisson_numbers_of_rates_near_ten(torch, rng, rate, n):
    return torch.poisson(torch.full((n,), rate)), torch.rand(2)


@twin
@pytest.mark.parametrize("shapes", [((2, 1), (1, 3)), ((2, 1), (4, 3)), ((2, 4), (1, 3)), ((2, 4), (3, 3))])
def test_a_size_of_one_is_contracted_with_any_other(torch, rng, shapes):
    a, b = (rng(*shape, grad=True) for shape in shapes)

    def contract():
        out = torch.tensordot(a, b, ([1], [0]))
        return out, torch.autograd.grad(out.sum(), (a, b))

    return outcome(contract)


@twin
@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.1, 1.0, 1.5])
def test_leaky_relu_of_any_slope(torch, rng, slope):
    x = rng.tensor([-2.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0], "float64", grad=True)
    out = torch.nn.functional.leaky_relu(x, slope)
    return out, torch.autograd.grad(out.sum(), x)


@twin
@pytest.mark.parametrize("order", [1, 2, 3, 20, 169, 170])
def test_polygamma_of_high_orders(torch, rng, order):
    return torch.special.polygamma(order, rng.tensor([1.0, 2.5, 30.0, 100.0], "float64"))


@twin
@pytest.mark.parametrize("number", [59000, 60500.0, 65000, 65800, 66500.0, 70000, -65800.0])
def test_numbers_near_the_largest_half(torch, rng, number):
    x = torch.tensor([-3000.0, 3000.0, 0.5], dtype=torch.float16)
    return outcome(lambda: x.clone().add_(number)), outcome(lambda: x.clone().mul_(number)), outcome(lambda: x + number)


@twin
@pytest.mark.parametrize("exponent", [0j, 1j, 0.5 + 0j, 0.5 - 1j])
def test_the_gradient_of_a_complex_power_of_zero(torch, rng, exponent):
    base = torch.tensor([0j, 1 + 1j], dtype=torch.complex128)
    power = torch.tensor(exponent, dtype=torch.complex128, requires_grad=True)
    return torch.autograd.grad((base**power)[0].real, power), torch.autograd.grad((base**power)[1].abs(), power)


@twin
@pytest.mark.parametrize("atol", [None, 0.0, 1e-3, 0.5, 2.0])
@pytest.mark.parametrize("largest", [1.0, 1e15])
def test_a_given_tolerance_stands_alone(torch, rng, atol, largest):
    A = torch.diag(torch.tensor([largest, 1.0, 0.01], dtype=torch.float64))
    return torch.linalg.matrix_rank(A, atol=atol), torch.linalg.pinv(A, atol=atol)


@twin
@pytest.mark.parametrize("name", ["hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window"])
@pytest.mark.parametrize("length", [0, 1, 2, 3])
@pytest.mark.parametrize("periodic", [True, False])
def test_short_windows(torch, rng, name, length, periodic):
    return getattr(torch, name)(length, periodic=periodic)


@twin
def test_a_plateau_has_rates_before_its_first_step(torch, rng):
    optimizer = torch.optim.SGD([{"params": rng(2, grad=True)}, {"params": rng(2, grad=True), "lr": 0.1}], lr=0.3)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, min_lr=[0.01, 0.02], patience=0)
    before = schedule.get_last_lr(), schedule.state_dict()
    schedule.step(1.0)
    optimizer.add_param_group({"params": rng(2, grad=True)})
    return before, outcome(lambda: [schedule.step(2.0), schedule.get_last_lr()])


@twin
@pytest.mark.parametrize("index", [-6, -5, -1, 0, 4])
def test_an_index_of_joined_data_sets(torch, rng, index):
    data = torch.utils.data.ConcatDataset([[1, 2], [3, 4, 5]])
    return outcome(lambda: data[index])


@twin
def test_the_node_of_an_interpolation_with_everything_by_position(torch, rng):
    found = []
    for smooth in (False, True):
        out = torch.nn.functional.interpolate(rng(1, 1, 4, 4, grad=True), (3, 3), None, "bilinear", None, None, smooth)
        found.append((out, out.grad_fn.name()))
    return found


@twin
@pytest.mark.parametrize("size", [4, 5, 6, 7, 8])
def test_the_sizes_that_a_transposed_convolution_may_be_asked_for(torch, rng, size):
    layer = torch.nn.ConvTranspose1d(1, 1, 3, stride=2)
    return outcome(lambda: layer(rng(1, 1, 2), output_size=[size]).shape)


@twin
@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4])
def test_the_least_size_that_has_a_gradient(torch, rng, edge_order, size):
    x = rng(size)
    return outcome(lambda: torch.gradient(x, edge_order=edge_order)), message(lambda: torch.gradient(x, edge_order=edge_order))


@twin
@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "bfloat16"])
def test_a_recurrent_network_takes_inputs_of_its_own_type(torch, rng, kind):
    x = rng(3, 2, 4).to(getattr(torch, kind))
    found = [outcome(lambda name=name: getattr(torch.nn, name)(4, 2)(x)[0].dtype) for name in ("RNN", "GRU", "LSTM")]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return found, outcome(lambda: torch.nn.LSTM(4, 2)(x)[0].shape)


@twin
def test_sizes_of_blocks_that_stand_for_no_blocks(torch, rng):
    from_torch = importlib.import_module(f"{torch.__name__}.nn.attention.flex_attention")
    return from_torch._DEFAULT_SPARSE_BLOCK_SIZE, from_torch._LARGE_SPARSE_BLOCK_SIZE
