"""Arguments, shapes and sizes that torch's own samples do not have, and what is made of them."""

from __future__ import annotations

import pickle
import warnings

import pytest

from parity_tests.twin import message, outcome, raised, twin

# ------------------------------------------------------------------------------------------------ refusals


@twin
def test_sizes_in_lists_are_whole_numbers(torch, rng):
    x = rng(2, 3)
    calls = (lambda: x.permute([0, "a"]), lambda: x.reshape(["a"]), lambda: torch.flip(x, [0, 1.5]), lambda: x.sum([0, "b"]))
    more = (lambda: torch.zeros([2, 1.5]), lambda: x.view([2, None]), lambda: x.expand(["a", 3]), lambda: torch.zeros([10**30]))
    return [raised(call) for call in calls + more]


@twin
@pytest.mark.parametrize("eps", [0.0, -1.0, 1e-5])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_of_any_eps(torch, rng, eps, training):
    mean, var = torch.zeros(3), torch.ones(3)
    call = torch.nn.functional.batch_norm
    return message(lambda: call(rng(2, 3), mean, var, training=training, eps=eps))


@twin
@pytest.mark.parametrize("groups", [0, -1, 2, 5])
def test_numbers_of_groups(torch, rng, groups):
    return message(lambda: torch.nn.functional.group_norm(rng(2, 4, 3), groups))


@twin
@pytest.mark.parametrize("name", ["max", "min"])
def test_complex_numbers_have_no_order(torch, rng, name):
    x = rng(2, 3, dtype="complex64")
    return (
        raised(lambda: getattr(torch, name)(x, 0)),
        raised(lambda: getattr(torch, name)(x)),
        raised(lambda: torch.special.log_ndtr(x)),
    )


@twin
def test_copies_of_views_are_of_tensors(torch, rng):
    return raised(lambda: torch.view_copy(3, (1,))), torch.view_copy(rng(2, 3), (3, 2))


@twin
@pytest.mark.parametrize("name", ["index_select", "index_add", "index_copy", "index_reduce"])
@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 3, 2)])
@pytest.mark.parametrize("place", [3, -1, -4])
def test_places_that_a_dimension_lacks(torch, rng, name, shape, place):
    dim = len(shape) // 2
    x, index = rng(*shape), torch.tensor([place])
    source = x.narrow(dim, 0, 1)
    arguments = {"index_select": (), "index_reduce": (source, "amax")}.get(name, (source,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of some that are new in torch
        return raised(lambda: getattr(x, name)(dim, index, *arguments)) != "nothing"


@twin
def test_padding_to_less_than_the_longest(torch, rng):
    packed = torch.nn.utils.rnn.pack_sequence([rng(3, 2), rng(1, 2)])
    pad = torch.nn.utils.rnn.pad_packed_sequence
    return message(lambda: pad(packed, total_length=2)), pad(packed, total_length=3), pad(packed, total_length=5)


@twin
def test_a_batch_sampler_stands_alone(torch, rng):
    data = torch.utils.data
    rows = data.TensorDataset(rng(4, 2))
    sampler = data.SequentialSampler(rows)
    batches = data.BatchSampler(sampler, 2, False)
    options = ({}, {"batch_size": 2}, {"shuffle": True}, {"sampler": sampler}, {"drop_last": True})
    return [raised(lambda more=more: data.DataLoader(rows, batch_sampler=batches, **more)) for more in options]


@twin
@pytest.mark.parametrize("size", [-1, 0, 3, 4, 5, 6])
@pytest.mark.parametrize("n", [2, 3])
def test_the_most_windows_of_fractional_pooling(torch, rng, size, n):
    pool = getattr(torch.nn.functional, f"fractional_max_pool{n}d")
    samples = torch.full((1, 1, n), 0.4)
    return outcome(lambda: pool(rng(1, 1, *[6] * n), 2, output_size=size, _random_samples=samples))


@twin
@pytest.mark.parametrize("size", [0, (0, 2), (2, 0), 1, (1, 2), (3, 2)])
def test_adaptive_pooling_to_nothing(torch, rng, size):
    F = torch.nn.functional
    x = rng(2, 6, 6)
    first = size if isinstance(size, int) else size[0]
    calls = (
        lambda: F.adaptive_max_pool2d(x, size),
        lambda: F.adaptive_max_pool1d(x, first),
        lambda: F.adaptive_avg_pool2d(x, size),
    )
    return [outcome(call) for call in calls]


@twin
@pytest.mark.parametrize("sizes", [(4, 1), (1, 4), (1, 1), (4, 0), (3, 5)])
@pytest.mark.parametrize("mode", ["nearest", "linear", "nearest-exact", "area"])
def test_resizing_from_and_to_one(torch, rng, sizes, mode):
    return outcome(lambda: torch.nn.functional.interpolate(rng(1, 2, sizes[0]), size=sizes[1], mode=mode))


@twin
def test_an_incomplete_gamma_function_has_one_derivative(torch, rng):
    a, x = rng(3, dtype="float64").abs().requires_grad_(), rng(3, dtype="float64").abs().requires_grad_()
    calls = torch.special.gammainc, torch.special.gammaincc, torch.igamma, torch.igammac
    first = [raised(lambda call=call: torch.autograd.grad(call(a, x).sum(), a)) for call in calls]
    return first, [torch.autograd.grad(call(a.detach(), x).sum(), x) for call in calls]


@twin
@pytest.mark.parametrize("bias", [(2,), (1,), (), (1, 2), (3, 2)])
@pytest.mark.parametrize("shape", [(3,), (1, 3), (3, 3), (2, 3, 3)])
def test_biases_of_other_shapes(torch, rng, bias, shape):
    x, weight, b = rng(*shape), rng(2, 3), rng(*bias)
    return outcome(lambda: torch.nn.functional.linear(x, weight, b))


@twin
def test_results_in_the_place_of_an_operand_of_another_shape(torch, rng):
    def fill(call):
        x = rng(2, 3)
        return outcome(lambda: call(x))

    calls = (
        lambda x: torch.add(x, rng(4, 2, 3), out=x),
        lambda x: torch.cumsum(x, 0, out=x),
        lambda x: torch.mul(x, x[0], out=x),
    )
    return [fill(call) for call in calls]


# ------------------------------------------------------------------------------------------------ settings


@twin
@pytest.mark.parametrize("name", ["flash", "mem_efficient", "math", "cudnn"])
def test_kernels_that_are_allowed(torch, rng, name):
    cuda = torch.backends.cuda
    change, state = getattr(cuda, f"enable_{name}_sdp"), getattr(cuda, f"{name}_sdp_enabled")
    change(False)
    off = state()
    change(True)
    return off, state()


@twin
@pytest.mark.parametrize("name", ["mkldnn", "cudnn"])
def test_flags_of_a_library_within_a_context(torch, rng, name):
    module = getattr(torch.backends, name)

    def seen():
        return [getattr(module, flag, None) for flag in ("enabled", "deterministic", "benchmark")]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there is no such device
        with module.flags():
            default = seen()
        with module.flags(enabled=True, deterministic=True):
            return default, seen()


@twin
def test_options_of_the_compiler(torch, rng):
    config = torch._inductor.config
    names = ("threads", "simdlen", "weight_prepack", "enable_kernel_profile", "vec_isa_ok")
    return [getattr(config.cpp, name, None) for name in names[:4]]


@twin
def test_numbers_of_kernels(torch, rng):
    kinds = torch.nn.attention.SDPBackend
    names = ("ERROR", "MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "OVERRIDEABLE")
    return [int(getattr(kinds, name)) if hasattr(kinds, name) else None for name in names[:5]]


@twin
def test_numbers_of_devices(torch, rng):
    number = torch._utils._get_device_index
    calls = (
        lambda: number(torch.device("cuda:1")),
        lambda: number("cpu", allow_cpu=True),
        lambda: number("cpu"),
        lambda: number(2),
    )
    more = (lambda: number(torch.device("cuda")), lambda: number("cuda:0"), lambda: number(None, optional=True, allow_cpu=True))
    return [outcome(call) for call in calls + more[:2]]


@twin
def test_one_of_two_functions_by_a_flag(torch, rng):
    def yes(x, flag=True):
        """Text."""
        return x, flag

    def no(x, flag=True):
        return -x, flag

    made = torch._jit_internal.boolean_dispatch("flag", 1, True, yes, no, "m", "f")
    return [made(1), made(1, False), made(1, flag=False), made.__doc__, made.__name__, made.__module__]


@twin
def test_the_old_name_of_clipping(torch, rng):
    x = rng(3, 2, grad=True)
    x.square().sum().backward()
    return torch.nn.utils.clip_grad_norm([x], 0.5), x.grad


@twin
@pytest.mark.parametrize("eps", [(None, 1e-3), (1e-2, 1e-3), (None, 0.5), (1e-30, 1e-30)])
def test_adafactor_with_limits(torch, rng, eps):
    params = [rng(3, 2, grad=True), rng(4, grad=True)]
    optimizer = torch.optim.Adafactor(params, lr=0.1, eps=eps)
    for _ in range(3):
        optimizer.zero_grad()
        sum(param.pow(4).sum() for param in params).backward()
        optimizer.step()
    return params


@twin
@pytest.mark.parametrize("milestones", [[2, 5], [1, 2], [3, 4]])
def test_schedules_one_after_another(torch, rng, milestones):
    rates = torch.optim.lr_scheduler
    optimizer = torch.optim.SGD([rng(2, grad=True)], lr=1.0)
    parts = [rates.ConstantLR(optimizer, 0.1, 10), rates.ExponentialLR(optimizer, 0.5), rates.StepLR(optimizer, 2)]
    schedule, seen = rates.SequentialLR(optimizer, parts, milestones), []
    for _ in range(9):
        optimizer.step()
        schedule.step()
        seen.append(schedule.get_last_lr())
    return seen


@twin
@pytest.mark.parametrize("start", [(-1.2, 1.0), (3.0, -2.0), (0.0, 0.0), (-2.0, 8.0), (20.0, -30.0)])
@pytest.mark.parametrize("lr", [1.0, 0.01, 5.0])
def test_a_line_search_in_a_narrow_valley(torch, rng, start, lr):
    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([x], lr=lr, max_iter=12, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        value.backward()
        return value

    return [(optimizer.step(loss).detach(), x.detach().clone()) for _ in range(2)]


# ------------------------------------------------------------------------------------------------ derivatives


@twin
def test_gradients_with_a_graph_are_added_up(torch, rng):
    x = rng(3, dtype="float64", grad=True)
    x.pow(3).sum().backward(create_graph=True)
    first = x.grad
    x.pow(3).sum().backward(create_graph=True)
    return x.grad, x.grad.requires_grad, torch.autograd.grad(x.grad.sum(), x), first


@twin
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (2, 5, 3, 3)])
@pytest.mark.parametrize("parts", ["values", "vectors", "both"])
def test_gradients_of_several_eigendecompositions(torch, rng, shape, parts):
    A = rng(*shape, dtype="float64", grad=True)
    L, V = torch.linalg.eig(A)
    loss = (L.abs().square().sum() if parts != "vectors" else 0) + (V.abs().pow(3).sum() if parts != "values" else 0)
    return torch.autograd.grad(loss, A)


@twin
@pytest.mark.parametrize("how", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4, 1)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_node_of_a_cross_entropy(torch, rng, how, shape, smoothing):
    x = rng(*shape, grad=True)
    target = rng(*shape[:1], *shape[2:], dtype="int64") % 3 if len(shape) > 1 else torch.tensor(1)
    loss = torch.nn.functional.cross_entropy(x, target, reduction=how, label_smoothing=smoothing)
    return loss, smoothing or loss.grad_fn.name(), torch.autograd.grad(loss.sum(), x)


@twin
@pytest.mark.parametrize("length", [2, 3, 5])
@pytest.mark.parametrize("lead", [(), (2,), (2, 3), (2, 1, 3)])
def test_attention_with_any_number_of_leading_dimensions(torch, rng, length, lead):
    q, k, v = rng(*lead, 4, 2, grad=True), rng(*lead, length, 2, grad=True), rng(*lead, length, 3, grad=True)
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    return out, torch.autograd.grad(out.square().sum(), (q, k, v))


@twin
def test_tensors_are_written_to_after_their_level_of_forward_mode(torch, rng):
    forward_ad, x, v = torch.autograd.forward_ad, rng(3), rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch compiles at the first call
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, v)
            view, tangent = dual[:2], forward_ad.unpack_dual(dual.square()).tangent
    view.add_(1)
    dual.mul_(2)
    return x, dual, view, tangent


# ------------------------------------------------------------------------------------------------ batches


DIMS = (0, 0, 0), (0, None, None), (None, 0, None), (None, None, 0), (1, 0, 0), (0, 0, None), (None, 0, 0)
"""Which of three arguments have a batch, and where."""


@twin
@pytest.mark.parametrize(
    "index",
    [
        lambda x, i, j: x[i], lambda x, i, j: x[:, i], lambda x, i, j: x[i, :, j], lambda x, i, j: x[:, i, j],
        lambda x, i, j: x[:, i, :, j],
        lambda x, i, j: x[None, i, 0, j], lambda x, i, j: x[..., i], lambda x, i, j: x[j, None, i], lambda x, i, j: x[:, :, i, j],
        lambda x, i, j: x[:, i[:, None], j],
    ],
)  # fmt: skip
@pytest.mark.parametrize("dims", DIMS)
def test_elements_with_indices_of_their_own(torch, rng, index, dims):
    x = rng(3, 3, 3, 3, 3)[: 3 if dims[0] is not None else 1]
    x = x if dims[0] is not None else x[0]
    i, j = (rng(*((3, 2) if dim is not None else (2,)), dtype="int64") % 3 for dim in dims[1:])
    return torch.func.vmap(index, in_dims=dims)(x, i, j)


@twin
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_elements_choose_rows_of_their_own(torch, rng, dim):
    x, index, source = rng(2, 3, 3), rng(2, 2, dtype="int64") % 3, rng(2, 2, 2)
    vmap = torch.func.vmap
    chosen = vmap(lambda x, i: torch.index_select(x, dim, i))(x, index)
    filled = vmap(lambda x, i: torch.index_fill(x, dim, i, 2.0))(x, index)
    added = vmap(lambda x, i: torch.index_add(x, dim, i, x.narrow(dim, 0, 2)))(x, index)
    return chosen, filled, added, vmap(lambda s: s.permute(1, 0))(source), vmap(lambda x: x.permute(1, 0), in_dims=1)(source)


@twin
@pytest.mark.parametrize("dims", [(0, 0, 0), (0, None, None), (None, 0, 0), (0, 0, None), (None, None, 0)])
@pytest.mark.parametrize("name", ["linear", "group_norm", "instance_norm", "batch_norm", "layer_norm"])
def test_derivatives_of_layers_in_batches(torch, rng, dims, name):
    F = torch.nn.functional
    calls = {
        "linear": lambda x, w, b: F.linear(x.transpose(1, 2), w[:, None] * b, b),
        "group_norm": lambda x, w, b: F.group_norm(x, 2, w, b),
        "instance_norm": lambda x, w, b: F.instance_norm(x, weight=w, bias=b),
        "batch_norm": lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        "layer_norm": lambda x, w, b: F.layer_norm(x.transpose(1, 2), (4,), w, b),
    }
    x, w, b = (rng(*((2, *shape) if dim == 0 else shape), dtype="float64") for dim, shape in zip(dims, [(3, 4, 5), (4,), (4,)]))
    gradients = torch.func.grad(lambda *given: calls[name](*given).pow(3).sum(), argnums=(0, 1, 2))
    second = torch.func.grad(lambda *given: sum(g.pow(2).sum() for g in gradients(*given)), argnums=(0, 1, 2))
    return torch.func.vmap(gradients, in_dims=dims)(x, w, b), torch.func.vmap(second, in_dims=dims)(x, w, b)


@twin
@pytest.mark.parametrize("out_dims", [None, 0, 1, (0,), (None,)])
def test_results_without_a_batch(torch, rng, out_dims):
    x, y = rng(2, 3), rng(3)
    batched = outcome(lambda: torch.func.vmap(lambda x: x * 2, out_dims=out_dims)(x))
    return batched, out_dims == 1 or outcome(lambda: torch.func.vmap(lambda x: y * 2, out_dims=out_dims)(x))


# ------------------------------------------------------------------------------------------------ draws, value by value


@twin
@pytest.mark.parametrize("dtype", "uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 bool".split())
@pytest.mark.parametrize("ends", [(), (5,), (-3, 100), (0, 1)])
def test_random_integers_of_every_type(torch, rng, dtype, ends):
    return outcome(lambda: torch.zeros(40, dtype=getattr(torch, dtype)).random_(*ends)), torch.rand(1)


# ------------------------------------------------------------------------------------------------ sums of many numbers


@twin
@pytest.mark.parametrize("dims", [0, 1, 2, 3, (0, 1), (0, 2), (1, 3), (1, 2), (0, 1, 2), (0, 3), (1, 2, 3), None])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2), (0, 2, 1, 3)])
def test_sums_over_some_of_many_dimensions(torch, rng, dims, order):
    x = rng(13, 7, 11, 33, dtype="float64").permute(order)
    return x.sum(dims), x.mean(dims)


@twin
@pytest.mark.parametrize("shape", [(3, 30000), (30000, 3), (20, 2048), (2, 9000), (300, 100)])
@pytest.mark.parametrize("dtype", ["float64", "complex128", "int32"])
def test_sums_of_many_numbers_and_of_copies(torch, rng, shape, dtype):
    x, row = rng(*shape, dtype=dtype), rng(shape[0], 1, dtype=dtype).expand(shape)
    return [(y.sum(), y.sum(0), y.sum(1)) for y in (x, row, row.t())]


@twin
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(7, 9), (37, 29), (3, 80)])
@pytest.mark.parametrize("antialias", [False, True])
def test_pictures_in_bytes_are_resized(torch, rng, mode, size, antialias):
    x = (rng(1, 3, 40, 40).mul(60).add(128)).clamp(0, 255).to(torch.uint8)
    return torch.nn.functional.interpolate(x, size=size, mode=mode, antialias=antialias)


# ------------------------------------------------------------------------------------------------ what is kept


@twin
def test_pickles_of_nothing(torch, rng):
    x = rng(4, 3)
    views = (
        x[4:],
        x[:, 3:],
        torch.zeros(0),
        torch.zeros(2, 0),
        x[2:2, 1:],
        torch.zeros(0, 3).t(),
        torch.zeros(0, 3)[:, 2:],
        torch.zeros(3, 0)[2:],
    )
    return [pickle.loads(pickle.dumps(view)) for view in views]


@twin
def test_changes_of_type_and_their_warnings(torch, rng):
    z, x = rng(3, dtype="complex64"), rng(3)
    return z.to(torch.bool), z.to(torch.complex128), x.to(torch.int32), x.to(torch.bool), x.to(torch.complex64)


@twin
@pytest.mark.parametrize("target", ["float32", "int64", "float16"])
def test_a_lost_imaginary_part_is_warned_of(torch, rng, target):
    return rng(3, dtype="complex64").to(getattr(torch, target))


@twin
@pytest.mark.parametrize("name", ["arange", "range"])
@pytest.mark.parametrize("bounds", [(5,), (0, 10**30), (-(10**30), 5), (0, 1, 10**30), (3, 3), (1, 4)])
def test_bounds_of_ranges(torch, rng, name, bounds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return outcome(lambda: getattr(torch, name)(*bounds))


@twin
@pytest.mark.parametrize("index", [-1, -4, -5, 4])
def test_index_fill_counts_from_the_end(torch, rng, index):
    x = rng(4, 3, grad=True)

    def run():
        out = x.index_fill(0, torch.tensor([index, 0]), 9.0)
        out.sum().backward()
        return out

    return message(run), outcome(lambda: x.detach().index_fill(0, torch.tensor([index]), 9.0)), x.grad
