"""Where a function changes its way: both sides of a limit, and the limit itself."""

from __future__ import annotations

import importlib

import pytest

from parity_tests.twin import function_of, message, outcome, twin


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


def functional(torch):
    return torch.nn.functional


REFUSED = {
    "ranks of a target": lambda m, r: functional(m).cosine_embedding_loss(r(2, 3), r(2, 3), m.ones(2, 1)),
    "ranks of a target of one pair": lambda m, r: functional(m).cosine_embedding_loss(r(2, 3), r(2, 3), m.ones(())),
    "the size of a variance": lambda m, r: functional(m).gaussian_nll_loss(r(2, 3), r(2, 3), m.ones(2, 2)),
    "the shape of a mask": lambda m, r: m.nn.MultiheadAttention(4, 2)(*[r(3, 2, 4)] * 3, attn_mask=m.zeros(3, 4)),
    "the rank of a query": lambda m, r: m.nn.MultiheadAttention(4, 2)(r(1, 3, 2, 4), r(3, 2, 4), r(3, 2, 4)),
    "a comparison with a text": lambda m, r: m.isclose(r(2), "2"),
    "equality with a number": lambda m, r: m.equal(r(2), 2),
    "a window of complex numbers": lambda m, r: m.hann_window(3, dtype=m.complex64),
    "rows of another matrix": lambda m, r: m.ormqr(r(3, 2), r(2), r(4, 2)),
    "no chunks": lambda m, r: m.chunk(r(3), 0),
    "fewer than no chunks": lambda m, r: m.chunk(r(3), -1),
    "chunks of a number": lambda m, r: m.unsafe_chunk(m.tensor(1.0), 1),
    "a transposed convolution with mirrors": lambda m, r: m.nn.ConvTranspose1d(1, 1, 2, padding_mode="reflect"),
    "out of another type": lambda m, r: m.linalg.cholesky_ex(m.eye(2), out=(m.empty(2, 2, dtype=m.int32), m.empty(()))),
    "out of a larger type": lambda m, r: m.max(r(2, 2), 0, out=(m.empty(2, dtype=m.float64), m.empty(2, dtype=m.int64))),
    "an argument that is not there": lambda m, r: m.func.grad(lambda a: a.sum(), argnums=1)(r(2)),
    "an argument before the first": lambda m, r: m.func.grad(lambda a: a.sum(), argnums=-2)(r(2)),
    "numbers of tries that are integers": lambda m, r: m.binomial(m.tensor([3]), m.tensor([0.5])),
    "a factor that is no function": lambda m, r: m.optim.lr_scheduler.MultiplicativeLR(m.optim.SGD([r(1, grad=True)], 0.1), 2),
    "a place beyond the end": lambda m, r: m.nn.Sequential(m.nn.ReLU()).insert(2, m.nn.ReLU()),
    "a place before the start": lambda m, r: m.nn.Sequential(m.nn.ReLU()).insert(-2, m.nn.ReLU()),
    "a bias of another size": lambda m, r: m.conv_tbc(r(4, 2, 3), r(2, 3, 5), r(4)),
    "a module that is no list": lambda m, r: m.nn.ModuleList().extend(m.nn.ReLU()),
    "a number that is no list": lambda m, r: m.nn.ModuleList().extend(3),
    "the sign of a complex number": lambda m, r: m.relu(m.tensor([1j])),
    "no steps": lambda m, r: m.nn.utils.spectral_norm(m.nn.Linear(2, 2), n_power_iterations=0),
    "more sizes than dimensions": lambda m, r: m.fft.fftn(r(3), s=(2, 2)),
    "a layer without sizes": lambda m, r: m.nn.utils.weight_norm(m.nn.LazyLinear(2)),
    "the largest of complex numbers": lambda m, r: m.argmax(m.tensor([1j])),
    "less than no repeats": lambda m, r: r(2).repeat(-1),
    "a vector that is a list": lambda m, r: m.mv(1.0, r(1)),
    "a type of its own": lambda m, r: m.tensor([{}]),
    "fusion while one trains": lambda m, r: m.nn.utils.fuse_conv_bn_eval(m.nn.Conv1d(1, 1, 1).eval(), m.nn.BatchNorm1d(1)),
    "shapes between which nothing lies": lambda m, r: m.lerp(r(2), r(3), 0.5),
    "a weight of another shape": lambda m, r: m.lerp(r(2), r(2), r(3)),
    "a source of another rank": lambda m, r: r(2, 2).index_copy(0, m.tensor([0]), r(2)),
    "a quantile of another type": lambda m, r: m.quantile(r(3), m.tensor([0.5], dtype=m.float64)),
}


@twin
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_in_the_same_words(torch, rng, name):
    return message(lambda: REFUSED[name](torch, rng))


@twin
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_number_of_gradients_that_a_function_returns(torch, rng, count):
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, grad):
            return (grad, grad, None)[:count] if count < 3 else (grad, grad, grad)

    return outcome(lambda: Twice.apply(rng(2, grad=True), rng(2, grad=True)).sum().backward())


@twin
@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (4, 4, 2), (1, 2, 2), (1, 4, 2), (4, 1, 1, 2)])
@pytest.mark.parametrize("name", ["pixel_shuffle", "pixel_unshuffle", "channel_shuffle"])
def test_what_is_shuffled_has_memory_of_its_own(torch, rng, name, shape, factor):
    x = rng(*shape)

    def shuffle():
        out = getattr(torch.nn.functional, name)(x, factor)
        out.zero_()
        return out, out._base is None

    return outcome(shuffle), x


@twin
def test_a_gradient_that_does_not_depend_on_what_comes_back(torch, rng):
    Constant = function_of(torch, forward=lambda ctx, a: a * 1, backward=lambda ctx, grad: torch.ones_like(grad))
    x = rng(2, dtype="float64", grad=True)
    return message(lambda: torch.autograd.gradcheck(Constant.apply, x))[0]


@twin
@pytest.mark.parametrize("base", [1, -1, 2, 0])
@pytest.mark.parametrize("kind", ["int64", "int8"])
def test_integers_to_negative_powers(torch, rng, base, kind):
    exponents = torch.tensor([-3, -2, -1, 0, 1, 2], dtype=getattr(torch, kind))
    return outcome(lambda: torch.tensor(base, dtype=exponents.dtype) ** exponents)


@twin
@pytest.mark.parametrize("make", ["linspace", "logspace"])
@pytest.mark.parametrize("ends", [(1, 0), (0, 1), (1, 1), (0, 0)])
def test_ends_of_a_range_have_no_dimensions(torch, rng, make, ends):
    start, end = (torch.ones((1,) * n) for n in ends)
    return outcome(lambda: getattr(torch, make)(start, end, 3))


@twin
def test_sizes_and_powers_of_zero(torch, rng):
    F, x = torch.nn.functional, torch.arange(3)
    return (
        torch.vander(x, 0), message(lambda: torch.vander(x, -1)), torch.linalg.matrix_power(torch.zeros(2, 2), 0),
        message(lambda: torch.tensor(1.0).stride(0)), message(lambda: F.adaptive_avg_pool1d(torch.ones(1, 2, 4), -1)),
        F.unfold(torch.ones(2, 3, 3), 2).shape, message(lambda: F.unfold(torch.ones(3, 3), 2)),
    )  # fmt: skip


@twin
@pytest.mark.parametrize("T_mult", [1, 2, 3])
def test_warm_restarts_at_any_epoch(torch, rng, T_mult):
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], 1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2, T_mult)
    rates = []
    for epoch in [0, 1, 2, 3, 5, 7, 8, 13, 14, 25, 26, 40, 81, 100]:
        schedule.step(epoch)
        rates.append((schedule.get_last_lr()[0], float(schedule.T_cur), schedule.T_i))
    return rates
