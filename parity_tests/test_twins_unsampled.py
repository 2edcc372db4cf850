"""Ways through the code that no sample of torch's tables takes: wrong windows, sizes by default, several steps in a row."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from parity_tests.twin import function_of, message, outcome, raised, twin

# ------------------------------------------------------------------------------------------------ autograd


@twin
def test_nodes_of_tensors_that_were_written_through_views(torch, rng):
    def names(node):
        return node.name(), type(node).__name__

    base = rng(3, 2, grad=True) * 1
    base[0] = 2.0
    row = base[1]
    row.mul_(3)
    flat = base.view(6)
    flat[2:4].exp_()
    return names(base.grad_fn), names(row.grad_fn), names(flat.grad_fn), names(base.grad_fn.next_functions[0][0])


@twin
@pytest.mark.parametrize("where", ["leaf", "inside"])
def test_gradients_of_several_backward_passes_are_added_up(torch, rng, where):
    x = rng(3, grad=True)
    y = x * 2
    y.retain_grad()
    kept = []
    for power in (2, 3):
        (y**power).sum().backward(retain_graph=True)
        kept.append((y if where == "inside" else x).grad.clone())
    return kept


@twin
@pytest.mark.parametrize("name", ["save_for_backward", "mark_dirty", "mark_non_differentiable", "set_materialize_grads"])
@pytest.mark.parametrize("first", [True, False])
def test_a_function_says_which_of_its_tensors_is_none(torch, rng, name, first):
    def forward(ctx, x):
        getattr(ctx, name)(*((3, x) if first else (x, "a")))
        return x * 2

    return message(lambda: function_of(torch, forward=forward, backward=lambda ctx, grad: grad).apply(rng(2, grad=True)))[0]


@twin
@pytest.mark.parametrize("name", ["vjp", "vhp", "hvp", "jvp"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2,)])
def test_the_vector_of_a_derivative_may_be_omitted_for_one_element(torch, rng, name, shape):
    return outcome(lambda: getattr(torch.autograd.functional, name)(lambda x: (x**3).sum(), rng(*shape)))


KEPT = "exp_ sigmoid_ tanh_ sqrt_ rsqrt_ reciprocal_ relu_ expm1_ exp2_ tan_ pow_ div_ mul_ sin_ lgamma_".split()


@twin
@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("again", [False, True])
def test_writes_to_a_result_in_place_whose_gradient_needs_it(torch, rng, name, again):
    x = rng(3, grad=True)
    y = x.abs() + 1
    getattr(y, name)(*{"pow_": (3,), "div_": (x,), "mul_": (x,)}.get(name, ()))
    if again:
        y.add_(1)
    return outcome(lambda: torch.autograd.grad(y.sum(), x))


VIEWS = {
    "unsqueezed": lambda x: x[0].unsqueeze(0), "by None": lambda x: x[0][None], "viewed": lambda x: x.view(3)[None],
    "squeezed": lambda x: x.squeeze(0).unsqueeze(0), "itself": lambda x: x[:], "a part": lambda x: x[:, :2],
    "of its memory": lambda x: x.as_strided((1, 3), (3, 1)),
}  # fmt: skip


@twin
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("write", ["mul_", "add_", "copy_"])
def test_operands_that_are_views_of_the_same_row(torch, rng, view, write):
    x = rng(1, 3)
    other = VIEWS[view](x)
    return raised(lambda: getattr(x[:, : other.shape[1]], write)(other)), x, raised(lambda: torch.mul(x[:, 1:], 2, out=x[:, :2]))


@twin
@pytest.mark.parametrize("dim", [None, 0, 1])
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("shape", [(4, 2, 3), (4, 3), (4,)])
def test_places_of_extremes_in_batches(torch, rng, dim, keepdim, shape):
    x, keepdim = rng(*shape), keepdim and not (dim is None and len(shape) > 2)  # torch then keeps only one dimension
    return [outcome(lambda f=f: torch.vmap(lambda row: f(row, dim, keepdim))(x)) for f in (torch.argmax, torch.argmin)]


# ------------------------------------------------------------------------------------------------ modules


@twin
def test_a_functional_call_leaves_nothing_of_what_the_module_registers_meanwhile(torch, rng):
    class Growing(torch.nn.Module):
        def forward(self, x):
            held = self.extra
            del self.extra
            if x.ndim > 1:
                self.extra = torch.nn.Parameter(held * 2)
            else:
                self.register_buffer("extra", held * 3)
            return x * self.extra

    module, given = Growing(), {"extra": rng(2)}
    found = []
    for x in (rng(2, 2), rng(2)):
        out = outcome(lambda x=x: torch.func.functional_call(module, given, (x,)))
        found.append((out, hasattr(module, "extra"), sorted(module.state_dict()), given["extra"]))
    return found


@twin
@pytest.mark.parametrize("absent", ["running_mean", "running_var"])
def test_layers_are_fused_only_with_both_running_statistics(torch, rng, absent):
    utils = torch.nn.utils
    plane, line = torch.nn.BatchNorm2d(2).eval(), torch.nn.BatchNorm1d(2).eval()
    setattr(plane, absent, None)
    setattr(line, absent, None)
    return (
        raised(lambda: utils.fuse_conv_bn_eval(torch.nn.Conv2d(1, 2, 1).eval(), plane)),
        raised(lambda: utils.fuse_linear_bn_eval(torch.nn.Linear(1, 2).eval(), line)),
    )


LAYERS = {
    "Linear": (2, 3), "Bilinear": (2, 2, 3), "Conv1d": (1, 2, 3), "Conv2d": (1, 2, 3), "ConvTranspose2d": (1, 2, 3),
    "LayerNorm": (3,), "GroupNorm": (1, 3), "BatchNorm1d": (3,), "RMSNorm": (3,), "Embedding": (4, 3), "EmbeddingBag": (4, 3),
    "PReLU": (2,), "LSTM": (2, 3), "GRUCell": (2, 3), "MultiheadAttention": (4, 2), "TransformerEncoderLayer": (4, 2, 8),
    "InstanceNorm1d": (3, 1e-5, 0.1, True, True),
}  # fmt: skip


@twin
@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_made_where_and_of_what_type_is_said(torch, rng, name):
    make = getattr(torch.nn, name)
    there, double = make(*LAYERS[name], device="meta"), make(*LAYERS[name], dtype=torch.float64)
    return [
        {key: (str(value.device), str(value.dtype), tuple(value.shape)) for key, value in module.state_dict().items()}
        for module in (there, double)
    ]


# ------------------------------------------------------------------------------------------------ optimizers


@twin
@pytest.mark.parametrize("name", ["SGD", "Adagrad", "SparseAdam"])
def test_several_steps_with_sparse_gradients(torch, rng, name):
    options = {"SGD": {"lr": 0.1, "momentum": 0.9}, "Adagrad": {"lr": 0.1, "lr_decay": 0.1}, "SparseAdam": {"lr": 0.1}}[name]
    table = torch.nn.Embedding(4, 2, sparse=True)
    table.weight.data.copy_(rng(4, 2))
    optimizer, found = getattr(torch.optim, name)(table.parameters(), **options), []
    for rows in ([0, 1, 1], [1, 3], [0, 3]):
        optimizer.zero_grad()
        (table(torch.tensor(rows)) ** 2).sum().backward()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that torch does not check its own sparse tensors
            optimizer.step()
        found.append((table.weight.detach().clone(), sorted(optimizer.state[table.weight])))
    return found


def cliff(torch, x):
    return 10 * torch.sigmoid(-20 * x) + torch.exp(12 * (x - 0.6)) - 0.5 * x


def slope(torch, x):
    return 10 * torch.sigmoid(-20 * x) + 3 * torch.nn.functional.softplus(10 * (x - 0.2)) - x


def steps(torch, x):
    return torch.sigmoid(20 * (x - 1)) + torch.sigmoid(-20 * (x + 1)) + 0.01 * x * x - 0.3 * torch.exp(-50 * (x - 0.3) ** 2)


@twin
@pytest.mark.parametrize("ground", [cliff, slope, steps])
@pytest.mark.parametrize("lr", [0.3, 0.6, 1.5, 2.5])
def test_line_searches_on_uneven_ground(torch, rng, ground, lr):
    found = []
    for start in range(8):
        x = torch.tensor([start * 0.1 - 0.9, start * 0.07 - 0.6], dtype=torch.float64, requires_grad=True)
        far = torch.tensor([start * 0.47 - 2, 1.5 - start * 0.31], dtype=torch.float64, requires_grad=True)
        for point in (x, far):
            optimizer = torch.optim.LBFGS([point], lr=lr, max_iter=6, line_search_fn="strong_wolfe")

            def loss(point=point, optimizer=optimizer):
                optimizer.zero_grad()
                out = ground(torch, point).sum()
                out.backward()
                return out

            optimizer.step(loss)
            found.append((point.detach(), optimizer.state[point]["func_evals"]))
    return found


# ------------------------------------------------------------------------------------------------ functions


POOLS = {f"{kind}_pool{n}d": (kind, n) for kind in ("max", "avg", "lp") for n in (1, 2, 3)}
WINDOWS = {
    "kernel of zero": {"kernel_size": 0, "stride": 1}, "negative kernel": {"kernel_size": -1},
    "stride of zero": {"kernel_size": 2, "stride": 0},
    "negative stride": {"kernel_size": 2, "stride": -1}, "stride for more dimensions": {"kernel_size": 2, "stride": (1, 2, 1, 2)},
    "kernel for more dimensions": {"kernel_size": (1, 2, 1, 2)}, "no kernel": {"kernel_size": ()},
    "stride of one in a list": {"kernel_size": 2, "stride": [1]}, "no stride": {"kernel_size": 2, "stride": ()},
    "negative padding": {"kernel_size": 2, "padding": -1}, "more padding than kernel": {"kernel_size": 2, "padding": 2},
    "padding for more dimensions": {"kernel_size": 3, "padding": (1, 1, 1, 1)},
    "dilation of zero": {"kernel_size": 2, "dilation": 0},
    "dilation for more dimensions": {"kernel_size": 2, "dilation": (1,) * 4},
    "larger than the input": {"kernel_size": 9}, "as large as the input": {"kernel_size": 4, "stride": 3, "ceil_mode": True},
}  # fmt: skip


@twin
@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("windows", WINDOWS)
def test_windows_of_pooling(torch, rng, name, windows):
    kind, n = POOLS[name]
    options = {**({"norm_type": 2.0} if kind == "lp" else {}), **WINDOWS[windows]}
    pool, x = getattr(torch.nn.functional, name), rng(2, 2, *[4] * n)
    found, said = outcome(lambda: pool(x, **options)), message(lambda: pool(x, **options))
    if windows == "kernel of zero":
        return found, said[1][:36]
    return found, said if name == "max_pool1d" else None


@twin
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 1}, {"stride": 3}, {"padding": 1}, {"stride": 1, "padding": 1}])
def test_sizes_of_unpooling_by_default(torch, rng, n, options):
    F = torch.nn.functional
    pool, unpool = getattr(F, f"max_pool{n}d"), getattr(F, f"max_unpool{n}d")
    x = rng(1, 2, *[7] * n)
    out, places = pool(x, 3, **options, return_indices=True)
    return outcome(lambda: unpool(out, places, 3, **options))


@twin
@pytest.mark.parametrize("side", ["left", "right", "up", None])
@pytest.mark.parametrize("right", [False, True])
def test_the_side_on_which_equal_elements_are_found(torch, rng, side, right):
    edges, x = torch.tensor([1.0, 2.0, 2.0, 3.0]), torch.tensor([0.0, 2.0, 3.0, 4.0])
    call = lambda: torch.searchsorted(edges, x, right=right, side=side)
    return outcome(call), message(call)


@twin
@pytest.mark.parametrize("name", ["bitwise_left_shift_", "bitwise_right_shift_", "__ilshift__", "__irshift__"])
@pytest.mark.parametrize("other", [1, 1.5, True, 2**40, "int64", "float32", "bool", "int16"])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "float32"])
def test_shifts_in_place_keep_the_type(torch, rng, name, other, dtype):
    x = rng(3, dtype=dtype)
    found = outcome(lambda: getattr(x, name)(rng(3, dtype=other) if isinstance(other, str) else other))
    return found, x, raised(lambda: getattr(x, name)("a")), raised(lambda: getattr(x, name)([1]))


@twin
@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64", "float64"])
@pytest.mark.parametrize(
    "name", ["multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss", "cross_entropy",
    "triplet_margin_loss", "cosine_embedding_loss", "margin_ranking_loss"],
)  # fmt: skip
def test_losses_of_other_types(torch, rng, name, dtype):
    x, loss = rng(2, 3, dtype=dtype), getattr(torch.nn.functional, name)
    labels = {"multilabel_margin_loss": torch.tensor([[0, 1, -1], [2, -1, -1]])}.get(name, torch.tensor([0, 2]))
    signs = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]])
    others = {
        "triplet_margin_loss": (x, x),
        "cosine_embedding_loss": (x, signs[:, 0]), "margin_ranking_loss": (x, signs), "multilabel_soft_margin_loss": (signs,),
    }.get(name, (labels,))  # fmt: skip
    return outcome(lambda: loss(x, *others))


@twin
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("other", ["float32", "float64", "int64"])
def test_a_soft_margin_has_the_type_of_the_input(torch, rng, dtype, other):
    x, signs = rng(4, dtype=dtype), torch.tensor([1, -1, -1, 1], dtype=getattr(torch, other))
    return torch.nn.functional.soft_margin_loss(x, signs, reduction="none").dtype


@twin
@pytest.mark.parametrize("reduction", [0, 1, 2, None])
def test_reductions_by_their_numbers(torch, rng, reduction):
    x, y = rng(2, 3), rng(2, 3)
    a, b, signs = rng(3), rng(3), torch.tensor([1.0, -1.0, 1.0])
    calls = {
        "kl_div": lambda **r: torch.kl_div(x, y, **r),
        "poisson_nll_loss": lambda **r: torch.poisson_nll_loss(x, y, True, False, 1e-8, r.get("reduction", 1)),
        "margin_ranking_loss": lambda **r: torch.margin_ranking_loss(a, b, signs, **r),
        "hinge_embedding_loss": lambda **r: torch.hinge_embedding_loss(a, signs, **r),
        "cosine_embedding_loss": lambda **r: torch.cosine_embedding_loss(x, y, signs[:2], **r),
        "triplet_margin_loss": lambda **r: torch.triplet_margin_loss(x, y, y * 2, **r),
    }
    given = {} if reduction is None else {"reduction": reduction}
    return {name: outcome(lambda call=call: call(**given)) for name, call in calls.items()}


@twin
@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("randomness", ["same", "different"])
def test_rows_are_drawn_from_in_batches_of_batches(torch, rng, dims, replacement, randomness):
    weights = torch.eye(4)[torch.tensor([[[0, 3], [1, 2]], [[2, 2], [3, 0]]])]  # so there is only one thing to draw
    draw = lambda row: torch.multinomial(row, 3 if replacement else 1, replacement)
    for _ in range(dims):
        draw = torch.vmap(draw, randomness=randomness)
    return outcome(lambda: draw(weights if dims == 2 else weights[0])), outcome(lambda: draw(weights[0]))


@twin
@pytest.mark.parametrize("hermitian", [False, True])
@pytest.mark.parametrize("name", ["pinv", "matrix_rank"])
@pytest.mark.parametrize("shape", [(2, 3), (3,), (), (3, 3)])
@pytest.mark.parametrize("dtype", ["float32", "int64", "complex64", "bool", "float16"])
def test_matrices_of_decompositions(torch, rng, name, hermitian, shape, dtype):
    A = rng(*shape, dtype=dtype)
    return raised(lambda: getattr(torch.linalg, name)(A, hermitian=hermitian))


@twin
@pytest.mark.parametrize("correction", [0, 1, 2, 3])
@pytest.mark.parametrize("weights", ["", "f", "a", "fa"])
def test_covariances_of_weighted_observations(torch, rng, weights, correction):
    given = {
        "fweights": torch.tensor([1, 2, 1, 3]) if "f" in weights else None,
        "aweights": torch.tensor([0.5, 1.0, 2.0, 0.25]) if "a" in weights else None,
    }
    return torch.cov(rng(2, 4), correction=correction, **given)


@twin
@pytest.mark.parametrize("number", [125, 126, 127, 128, 200, 2**31, 2**62, 2**63 - 1, -126, -127, -(2**63), 2**63, 2**64 - 1])
def test_types_of_whole_numbers(torch, rng, number):
    made = lambda: torch.tensor(number)
    return (
        outcome(lambda: torch.result_type(number, torch.tensor(1, dtype=torch.int8))),
        outcome(lambda: torch.result_type(number, 1.0)),
        outcome(made),
        outcome(lambda: torch.full((1,), number)),
        outcome(lambda: torch.tensor([True]) * number),
        outcome(lambda: torch.tensor([number, 1.5])),
    )


TYPES = "uint8 int8 int16 int32 int64 uint16 uint32 uint64 bool".split()


@twin
@pytest.mark.parametrize("dtype", TYPES)
def test_numbers_that_a_type_does_not_hold(torch, rng, dtype):
    numbers = (-1, 127, 128, -128, -129, 255, 256, -255, -256, 2**15, 2**16, 2**31, 2**32, 2**63, 2**64, 1e3, 300.5, 1e10, 1e20)
    target = getattr(torch, dtype)
    if dtype == "uint64":
        numbers = numbers[:-4]  # torch refuses even floats that are whole
    return {str(number): outcome(lambda n=number: torch.tensor([n], dtype=target)) for number in numbers}


@twin
@pytest.mark.parametrize("largest", [None, 0, 3, 5])
@pytest.mark.parametrize("size", [-1, 0, 3, 4])
def test_sizes_are_checked(torch, rng, size, largest):
    given = {} if largest is None else {"max": largest}
    return message(lambda: torch._check_is_size(size, **given)), message(
        lambda: torch._check_is_size(size, lambda: f"a size is not {size}", **given)
    )


@twin
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 0, 3), (2, 3, 0), (2, 0), (0, 3), (1, 2, 0, 3), (0, 2, 3, 3), (2, 2, 3, 0)])
@pytest.mark.parametrize("sides", [(1, 1), (1, 1, 1, 1), (0, 0)])
def test_padding_of_what_has_no_elements(torch, rng, mode, shape, sides):
    return outcome(lambda: torch.nn.functional.pad(rng(*shape), sides, mode))


@twin
@pytest.mark.parametrize("name", ["max", "min", "maximum", "amax"])
@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "complex64"])
def test_types_into_which_extremes_are_written(torch, rng, name, dtype):
    call, out = getattr(torch, name), torch.zeros(0, dtype=getattr(torch, dtype))
    x, y = rng(3), rng(3)
    return outcome(lambda: call(x, y, out=out) if name != "amax" else call(x, 0, out=out)), out


@twin
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,), (2, 0, 3)])
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("name", ["index_fill", "index_select", "index_add"])
@pytest.mark.parametrize("index", [[], [0], [-1], [3]])
def test_indices_into_dimensions_without_elements(torch, rng, name, shape, dim, index):
    x, places = rng(*shape), torch.tensor(index, dtype=torch.int64)
    sizes = [len(index) if d == dim else n for d, n in enumerate(shape)]
    more = {"index_fill": (1.0,), "index_select": ()}.get(name, (rng(*sizes),))
    found = outcome(lambda: getattr(x, name)(dim, places, *more))
    return "refused" if isinstance(found, str) else found


FILLS = {
    "random_": [(), (7,), (2, 9)], "bernoulli_": [(), (0.3,)], "geometric_": [(0.3,)], "uniform_": [(), (1, 2)],
    "normal_": [(), (1, 2)], "exponential_": [(), (2,)], "cauchy_": [()], "log_normal_": [()],
}  # fmt: skip


@twin
@pytest.mark.parametrize("name", FILLS)
@pytest.mark.parametrize("dtype", "float16 bfloat16 float64 complex64 bool uint8 int8 int64 uint16 uint64".split())
def test_types_that_are_filled_at_random(torch, rng, name, dtype):
    x = torch.zeros(5, dtype=getattr(torch, dtype))
    return [outcome(lambda args=args: getattr(x, name)(*args).clone()) for args in FILLS[name]]


@twin
@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.parametrize("size", [(500, 10, 10), (1000, 70), (40, 50, 50)])
def test_norms_of_each_of_a_few_images(torch, rng, images, size):
    x, F = rng(images, *size, grad=True), torch.nn.functional
    out = F.instance_norm(x), F.group_norm(x, 1), F.group_norm(x, 2), F.batch_norm(x, None, None, training=True)
    return [one.detach() for one in out], torch.autograd.grad(sum((one**3).sum() for one in out), x)


OUT = {
    "atan2": lambda t, x, out: t.atan2(x, x, out=out), "exp": lambda t, x, out: t.exp(x, out=out),
    "sum": lambda t, x, out: t.sum(x, 0, out=out), "cat": lambda t, x, out: t.cat([x, x], out=out),
    "mm": lambda t, x, out: t.mm(x, x, out=out), "max": lambda t, x, out: t.max(x, 0, out=out),
    "sort": lambda t, x, out: t.sort(x, out=out), "eye": lambda t, x, out: t.eye(2, out=out),
    "arange": lambda t, x, out: t.arange(3, out=out), "inv": lambda t, x, out: t.linalg.inv(x, out=out),
    "fft": lambda t, x, out: t.fft.fft(x, out=out), "i0": lambda t, x, out: t.special.i0(x, out=out),
    "multinomial": lambda t, x, out: t.multinomial(x.abs(), 2, out=out), "normal": lambda t, x, out: t.normal(x, 1.0, out=out),
    "aminmax": lambda t, x, out: t.aminmax(x, dim=0, out=out), "topk": lambda t, x, out: t.topk(x, 1, out=out),
}  # fmt: skip


@twin
@pytest.mark.parametrize("name", OUT)
def test_results_are_written_only_into_tensors(torch, rng, name):
    x = rng(3, 3)
    given = (3, "a", [x], (x,), [x, 3], (x, None), np.ones(3), object(), [torch.empty(0) for _ in range(3)], ())
    return [raised(lambda out=out: OUT[name](torch, x, out)) for out in given]


@twin
@pytest.mark.parametrize("count", [20, 55, 1000, 10**6])
@pytest.mark.parametrize("chance", [0.02, 0.3, 0.5, 0.9])
def test_numbers_of_successes(torch, rng, count, chance):
    counts = torch.full((400,), float(count), dtype=torch.float64)
    return torch.binomial(counts, torch.full((400,), chance, dtype=torch.float64))


@twin
@pytest.mark.parametrize("decay", [0.0, 0.5, None])
def test_averages_of_whole_numbers(torch, rng, decay):
    make = torch.optim.swa_utils.get_ema_multi_avg_fn
    average = make() if decay is None else make(decay)
    averages, found = [torch.tensor([10, -7, 3]), torch.tensor([1.0, 2.0]), torch.tensor([1 + 2j])], []
    for step in range(3):
        currents = [torch.tensor([step * 5, 2, 100]), rng(2), torch.tensor([step * 1j])]
        average(averages, currents, step)
        found.append([tensor.clone() for tensor in averages])
    return found


# ------------------------------------------------------------------------------------------------ printing


@twin
@pytest.mark.parametrize("value", [0.0, 1.0, float("nan"), float("inf"), -1.5])
@pytest.mark.parametrize("shape", [(100,), (3, 40), (2, 2, 30)])
def test_rows_are_broken_into_lines(torch, rng, value, shape):
    return str(torch.full(shape, value)), str(torch.full(shape, int(value == 1))), str(torch.full(shape, value == 1))
