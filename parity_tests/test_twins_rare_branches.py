"""Ways through the code that torch's own samples do not take: refusals, gradients that are not asked for, sizes of one."""

from __future__ import annotations

import warnings

import pytest

from parity_tests.twin import message, outcome, raised, twin

# ------------------------------------------------------------------------------------------------ refusals


@twin
@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "feature_alpha_dropout"])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "int16"])
def test_noise_is_not_put_on_whole_numbers(torch, rng, name, dtype):
    x = rng(3, 4, dtype=dtype)
    return message(lambda: getattr(torch.nn.functional, name)(x, 0.5, True)), x


@twin
def test_kinds_of_recurrent_layers_are_known(torch, rng):
    return message(lambda: torch.nn.RNNBase("BAD", 3, 5))


@twin
def test_a_single_number_has_no_strides(torch, rng):
    x = torch.tensor(1.0)
    return message(lambda: x.stride(0)), raised(lambda: x.stride(-1)), x.stride(), raised(lambda: x.size(0)), x.size()


@twin
def test_both_sides_of_a_least_squares_problem_have_one_type(torch, rng):
    kind, text = message(lambda: torch.linalg.lstsq(rng(3, 2, dtype="float64"), rng(3, 1)))
    return kind, "to have the same dtype" in text


@twin
@pytest.mark.parametrize("name", ["linspace", "logspace"])
def test_ends_of_ranges_that_no_number_holds(torch, rng, name):
    return raised(lambda: getattr(torch, name)(0, 10**400, 3)), raised(lambda: torch.scalar_tensor(10**400))


@twin
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize(
    ("start", "end", "steps", "base"), [(1, -3, 4, 10), (0.3, 3.9, 50, 2), (-4, 0.7, 31, 3.3), (0.1, 5, 1, 10)]
)
def test_powers_of_a_range_are_rounded_once(torch, rng, dtype, start, end, steps, base):
    powers = torch.logspace(start, end, steps, base, dtype=getattr(torch, dtype))
    return [number.hex() for number in powers.double().tolist()]


@twin
def test_a_requirement_of_gradients_is_true_or_false(torch, rng):
    wrong = "no", 2.0, torch.ones(1), [True]
    return [raised(lambda value=value: torch.zeros(2, requires_grad=value)) for value in wrong]


@twin
@pytest.mark.parametrize("shape", [(2, 2, 2), (1, 2, 3, 4)])
def test_blocks_have_two_dimensions(torch, rng, shape):
    return message(lambda: torch.block_diag(rng(2, 2), rng(*shape)))


@twin
@pytest.mark.parametrize("shape", [(), (3,)])
def test_factors_of_what_is_not_a_matrix(torch, rng, shape):
    return message(lambda: torch.linalg.qr(rng(*shape))), raised(lambda: torch.linalg.qr(torch.ones(2, 2, dtype=torch.int64)))


@twin
@pytest.mark.parametrize("tol", [0.5, 0.1 + 0j, [0.1], [0.1 + 0j]])
def test_tolerances_of_a_rank_are_real(torch, rng, tol):
    given = torch.tensor(tol[0]) if isinstance(tol, list) else tol
    return outcome(lambda: torch.linalg.matrix_rank(torch.eye(2), given))


@twin
@pytest.mark.parametrize("name", ["norm", "vector_norm", "matrix_norm"])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("target", ["float64", "complex128", "float16", "int64"])
def test_types_that_a_norm_may_have(torch, rng, name, dtype, target):
    x = rng(2, 2, dtype=dtype)
    return outcome(lambda: getattr(torch.linalg, name)(x, dtype=getattr(torch, target)))


@twin
def test_a_hash_of_nothing(torch, rng):
    x = torch.zeros(0, 3, dtype=torch.int64)
    calls = (lambda: torch.hash_tensor(x), lambda: torch.hash_tensor(x, dim=0), lambda: torch.hash_tensor(x, dim=1))
    more = (lambda: torch.hash_tensor(x, dim=()), lambda: torch.hash_tensor(x + 1, dim=(0, 1)), lambda: torch.hash_tensor(rng(2)))
    return [outcome(call) for call in calls + more]


@twin
@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_shares_of_whole_numbers(torch, rng, dim, name):
    kind, text = message(lambda: getattr(torch, name)(rng(2, 3, dtype="int64"), dim))
    return kind, "lastdim" in text


@twin
def test_what_a_plateau_is_watched_for_is_an_optimizer(torch, rng):
    return message(lambda: torch.optim.lr_scheduler.ReduceLROnPlateau("SGD"))


@twin
def test_where_operands_are_is_said(torch, rng):
    there, here = torch.ones(3, device="meta"), torch.ones(3)
    return message(lambda: here + there), message(lambda: there + here)


@twin
def test_a_view_of_a_leaf_is_not_written_to(torch, rng):
    x = rng(3, grad=True)
    return message(lambda: x[0].add_(1)), message(lambda: x.view(3).zero_()), message(lambda: x.add_(1))


# ------------------------------------------------------------------------------------------------ gradients not asked for


@twin
@pytest.mark.parametrize("mode", ["reduced", "complete", "r"])
@pytest.mark.parametrize("shape", [(3, 2), (2, 2), (2, 3)])
@pytest.mark.parametrize("grad", [False, True])
def test_factors_require_a_gradient_if_the_matrix_does(torch, rng, mode, shape, grad):
    A = rng(*shape, dtype="float64", grad=grad)
    with torch.no_grad():
        inside = [factor.requires_grad for factor in torch.linalg.qr(A, mode=mode)]
    return inside, [factor.requires_grad for factor in torch.linalg.qr(A, mode=mode)]


# ------------------------------------------------------------------------------------------------ tensors without values


@twin
def test_tensors_without_values_are_indexed_by_those_that_have_some(torch, rng):
    x, index = torch.ones(3, 4, device="meta"), torch.tensor([0, 1])
    return x[index].shape, x[index, index].shape, x[:, index].shape, raised(lambda: torch.cat([rng(3), x[0]]))


# ------------------------------------------------------------------------------------------------ sizes of one


@twin
@pytest.mark.parametrize("size", [1, (1, 1), (3, 1), (1, 2), (2, 2)])
def test_fractional_pooling_to_one(torch, rng, size):
    x = rng(2, 6, 5, grad=True)
    samples = torch.full((1, 2, 2), 0.3)
    out, places = torch.nn.functional.fractional_max_pool2d(x, 2, output_size=size, return_indices=True, _random_samples=samples)
    return out, places, torch.autograd.grad(out.sum(), x)


# ------------------------------------------------------------------------------------------------ options


@twin
@pytest.mark.parametrize("norm", [float("-inf"), float("inf"), 1, 2.0, 3])
@pytest.mark.parametrize("name", ["lp_pool1d", "lp_pool2d"])
def test_pooling_by_any_norm(torch, rng, norm, name):
    x = rng(2, 4, 6, grad=True)
    out = getattr(torch.nn.functional, name)(x, norm, 2)
    return out, torch.autograd.grad(out.sum(), x)


@twin
def test_thresholds_in_place(torch, rng):
    x = rng(2, 3)
    out = torch.threshold_(x, 0.1, 20.0)
    return out, x, out is x


@twin
@pytest.mark.parametrize("driver", ["gels", "gelsy", "gelsd", "gelss"])
@pytest.mark.parametrize("shapes", [((3, 2), (3,)), ((2, 3, 2), (2, 3)), ((4, 1), (4,)), ((2, 1, 1), (2, 1)), ((3, 2), (3, 1))])
def test_least_squares_of_vectors(torch, rng, driver, shapes):
    A, B = (rng(*shape, dtype="float64") for shape in shapes)
    found = torch.linalg.lstsq(A, B, driver=driver)
    return found.solution, found.residuals, found.rank


@twin
@pytest.mark.parametrize("windowed", [False, True])
def test_a_spectrum_without_a_window_is_warned_of(torch, rng, windowed):
    window = torch.hann_window(8) if windowed else None
    return torch.stft(rng(32), 8, window=window, return_complex=True)


@twin
@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
def test_reductions_by_their_old_names(torch, rng, size_average, reduce):
    x, y, F = rng(2, 3), rng(2, 3), torch.nn.functional
    losses = F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.soft_margin_loss
    layer = torch.nn.MSELoss(size_average, reduce)
    return [loss(x, y, size_average=size_average, reduce=reduce) for loss in losses], layer.reduction


@twin
@pytest.mark.parametrize("weight_decay", [0, 0.1])
@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_steps_of_descent_with_sparse_gradients(torch, rng, weight_decay, momentum, nesterov, maximize):
    layer = torch.nn.Embedding(4, 2, sparse=True)
    with torch.no_grad():
        layer.weight.copy_(rng(4, 2))

    def steps():
        options = {"weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov, "maximize": maximize}
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, **options)
        for index in (0, 2, 2, 1):
            optimizer.zero_grad()
            layer(torch.tensor([index, 3])).square().sum().backward()
            optimizer.step()
        return layer.weight.detach()

    return outcome(steps)


@twin
def test_an_epoch_that_is_given_to_a_schedule_is_warned_of(torch, rng):
    optimizer = torch.optim.SGD([rng(2, grad=True)], lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    optimizer.step()
    schedule.step(3)
    return schedule.get_last_lr()


@twin
@pytest.mark.parametrize("name", "add sub mul div pow floordiv mod and or xor matmul lshift rshift truediv".split())
def test_operators_with_their_sides_swapped(torch, rng, name):
    dtype = "int64" if name in ("and", "or", "xor", "lshift", "rshift") else "float64"
    a, b = rng(2, 2, dtype=dtype), rng(2, 2, dtype=dtype)
    if dtype == "float64":
        a, b = a.abs().requires_grad_(), b.abs().requires_grad_()

    def swapped():
        out = getattr(a, f"__r{name}__")(b)
        node = out.grad_fn
        inputs = [getattr(one[0], "variable", None) for one in node.next_functions] if node else []
        return out, name in ("sub", "pow", "floordiv", "mod") or [[one is a, one is b] for one in inputs]

    return outcome(swapped)


@twin
def test_names_of_nodes_that_take_sizes_of_one_away(torch, rng):
    x = rng(1, 3, 1, grad=True)
    return [out.grad_fn.name() for out in (x.squeeze(), x.squeeze(0), x.squeeze((0, 2)), x.squeeze(1))], x.squeeze().shape


@twin
def test_hooks_with_flags(torch, rng):
    layer, seen = torch.nn.Linear(2, 2), []
    layer.register_forward_pre_hook(lambda module, args, kwargs: seen.append(sorted(kwargs)), with_kwargs=True)
    layer.register_forward_hook(lambda module, args, kwargs, out: seen.append(sorted(kwargs)), with_kwargs=True)
    layer.register_forward_hook(lambda module, args, out: seen.append("always"), always_call=True)
    layer(input=rng(3, 2))
    return seen, raised(lambda: layer(input=3)), seen


# ------------------------------------------------------------------------------------------------ draws, value by value


@twin
@pytest.mark.parametrize("shape", [0.3, 1.0, 2.5, 40.0])
@pytest.mark.parametrize("count", [1, 3000])
def test_many_gamma_numbers(torch, rng, shape, count):
    return torch._standard_gamma(torch.full((count,), shape, dtype=torch.float64)), torch.rand(1)


# ------------------------------------------------------------------------------------------------ greatest numbers


@twin
@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 1, 4)])
@pytest.mark.parametrize("number", [float("-inf"), float("nan"), 0.5])
def test_the_place_of_a_greatest_number_among_equal_ones(torch, rng, shape, number):
    x = torch.full(shape, number, requires_grad=True)
    out, places = torch.nn.functional.max_pool1d(x, 3, 2, 1, return_indices=True)
    plane, flat = torch.nn.functional.max_pool2d(x, (2, 3), 1, 1, return_indices=True)
    return out, places, plane, flat, torch.autograd.grad(out.sum(), x)


@twin
@pytest.mark.parametrize("number", [float("nan"), 0.5])
def test_second_derivatives_of_pooling_with_numbers_that_are_none(torch, rng, number):
    x, v = rng(1, 2, 6, grad=True), rng(1, 2, 3, grad=True)
    with torch.no_grad():
        x[0, 0, 2] = number
    (first,) = torch.autograd.grad(torch.nn.functional.max_pool1d(x, 2), x, v, create_graph=True)
    return first, torch.autograd.grad((first * rng(1, 2, 6)).sum(), v)


# ------------------------------------------------------------------------------------------------ writing within transforms


def written_whole(torch, x):
    y = torch.zeros(3, dtype=torch.float64)
    view = y[:2]
    y.copy_(x)
    return (view * x[1:]).sum() + (y**2).sum()


def written_in_part(torch, x):
    y = torch.zeros(3, dtype=torch.float64)
    view = y[:2]
    view.copy_(x[:2])
    return (view * x[1:]).sum() + (y**2).sum()


def written_twice(torch, x):
    y = torch.zeros(3, dtype=torch.float64)
    view, other = y[:2], y[1:]
    view.add_(x[:2])
    other.add_(x[1:] ** 2)
    view.mul_(x[1:])
    return (other * x[:2]).sum() + view.sum() + y[0]


@twin
@pytest.mark.parametrize("program", [written_whole, written_in_part, written_twice])
@pytest.mark.parametrize("way", ["grad", "jvp", "jvp of grad", "vmap of grad", "vmap of jvp", "jacrev", "level"])
def test_tensors_are_written_to_within_transforms(torch, rng, program, way):
    func, x, v = torch.func, rng(3, dtype="float64"), rng(3, dtype="float64")

    def f(x):
        return program(torch, x)

    def along(x):
        return func.jvp(f, (x,), (v,))[1]

    rows = torch.stack([x, v])
    calls = {
        "grad": lambda: func.grad(f)(x), "jvp": lambda: func.jvp(f, (x,), (v,)),
        "jvp of grad": lambda: func.jvp(func.grad(f), (x,), (v,)), "vmap of grad": lambda: func.vmap(func.grad(f))(rows),
        "vmap of jvp": lambda: func.vmap(along)(rows), "jacrev": lambda: func.jacrev(f)(x),
        "level": lambda: torch.autograd.functional.jvp(f, x, v),
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch compiles at the first call
        return outcome(calls[way])


@twin
def test_where_results_are_to_be_written_may_be_none(torch, rng):
    x, y = rng(2, 3), rng(2, 3)
    made = torch.add(x, y, alpha=2, out=None), torch.sum(x, dim=0, out=None), torch.sum(x, dim=1, keepdim=True, out=None)
    more = torch.cat((x, y), dim=1, out=None), torch.clamp(x, min=0.0, out=None), torch.linalg.norm(x, dim=1, out=None)
    return made, more, torch.std(x, dim=1, correction=0, out=None), torch.fft.fft(x, dim=0, out=None), torch.argmax(x, dim=1)


@twin
@pytest.mark.parametrize("dtype", ["float16", "float64", "complex64"])
def test_types_that_results_are_written_into(torch, rng, dtype):
    x = rng(2, 3)

    def into(call, *shape):
        out = torch.zeros(shape, dtype=getattr(torch, dtype))
        return outcome(lambda: call(out))

    wide = into(lambda out: torch.mul(x, 2.5, out=out), 2, 3), into(lambda out: torch.exp(x, out=out), 2, 3)
    return wide, into(lambda out: torch.cumsum(x, 0, out=out), 2, 3), into(lambda out: torch.mm(x, x.t(), out=out), 2, 2)


@twin
@pytest.mark.parametrize("other", "view slice detach data alias column part_of_detached primal".split())
@pytest.mark.parametrize("inside", [True, False])
def test_writes_to_what_shares_the_memory_of_a_dual_tensor(torch, rng, other, inside):
    forward_ad = torch.autograd.forward_ad
    x = rng(3)
    others = {
        "view": lambda d: d.view(3), "slice": lambda d: d[1:], "detach": lambda d: d.detach(), "data": lambda d: d.data,
        "alias": lambda d: d.view_as(d), "column": lambda d: d.reshape(3, 1), "part_of_detached": lambda d: d.detach()[1:],
        "primal": lambda d: forward_ad.unpack_dual(d).primal,
    }  # fmt: skip
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones(3, dtype=x.dtype))
        shared = others[other](dual)
        if inside:
            shared.add_(1)
        tangent = forward_ad.unpack_dual(dual).tangent
    if not inside:
        shared.add_(1)
    return x, dual, shared, tangent


@twin
@pytest.mark.parametrize("args", [(4.0,), ("4",), (4, True), (4, [1]), (4, None, None, None, 2)])
def test_arguments_of_the_method_istft(torch, rng, args):
    return raised(lambda: torch.zeros(3, 5, dtype=torch.complex64).istft(*args))
