"""What is said: names of nodes, messages and warnings; and defaults that are left out."""

from __future__ import annotations

import importlib
import warnings

import pytest

from parity_tests.twin import message, outcome, raised, twin


@twin
@pytest.mark.parametrize("shape", [(1, 2, 4), (1, 2, 4, 4), (1, 2, 4, 4, 4)])
@pytest.mark.parametrize("mode", ["area", "nearest", "linear", "bilinear", "bicubic", "trilinear", "nearest-exact"])
def test_nodes_of_resizing(torch, rng, shape, mode):
    return outcome(lambda: torch.nn.functional.interpolate(rng(*shape, grad=True), scale_factor=2, mode=mode).grad_fn.name())


@twin
@pytest.mark.parametrize("dropout", [0.0, 0, 0.5, 1.0, 1, 1.1, -0.1, True])
def test_shares_that_a_recurrent_layer_drops(torch, rng, dropout):
    return message(lambda: torch.nn.LSTM(2, 3, 2, dropout=dropout)), raised(lambda: torch.nn.GRU(2, 3, 2, dropout=dropout))


@twin
@pytest.mark.parametrize("p", [-0.1, 0.0, 1.0, 1.1])
@pytest.mark.parametrize("name", "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout".split())
def test_shares_that_are_dropped(torch, rng, p, name):
    x = rng(1, 2, 3, 3, 3) if name == "dropout3d" else rng(1, 2, 3) if name == "dropout1d" else rng(1, 2, 3, 3)
    call = getattr(torch.nn.functional, name)
    return (
        message(lambda: call(x, p)),
        message(lambda: call(x, p, training=False)),
        message(lambda: call(x, p, True, inplace=True)),
    )


@twin
def test_the_type_of_a_tensor_by_its_old_name(torch, rng):
    x = rng(2)
    return x.type(), x.type("torch.DoubleTensor"), x.type(torch.int32), raised(lambda: x.type("Nothing")), x.double().type()


@twin
@pytest.mark.parametrize("count", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("offset", [0, 1, 3, 4])
def test_numbers_in_a_buffer(torch, rng, count, offset):
    return raised(lambda: torch.frombuffer(bytearray(range(10)), dtype=torch.int32, count=count, offset=offset))


@twin
def test_memory_that_has_a_gradient_is_not_exported(torch, rng):
    return (
        message(lambda: rng(2, grad=True).__dlpack__()),
        raised(lambda: rng(2).__dlpack__()),
    )


@twin
def test_kernels_of_other_numbers_of_dimensions(torch, rng):
    F, x = torch.nn.functional, rng(1, 2, 6, 6)
    calls = (
        lambda: F.max_pool2d(x, (1, 2, 3)), lambda: F.avg_pool2d(x, (1, 2, 3)), lambda: F.max_pool2d(x, 2, stride=(1, 2, 3)),
        lambda: F.max_pool2d(x, 2, padding=(1, 1, 1)), lambda: F.avg_pool2d(x, 2, padding=(1, 0, 0)),
        lambda: F.max_pool1d(x[0], (1, 2)),
        lambda: F.max_pool3d(x, (1, 2)), lambda: F.max_pool2d(x, 2, dilation=(1, 1, 1)), lambda: F.lp_pool2d(x, 2, (1, 2, 3)),
    )  # fmt: skip
    return [raised(call) for call in calls]


@twin
@pytest.mark.parametrize("value", [1, [1], [0], [1, 1], (1, 1, 1)])
@pytest.mark.parametrize("name", ["kernel_size", "stride", "padding", "output_size"])
def test_sizes_of_unpooling(torch, rng, value, name):
    F = torch.nn.functional
    out, places = F.max_pool2d(rng(1, 2, 6, 6), 2, return_indices=True)
    options = {"kernel_size": 2, name: value}
    found = outcome(lambda: F.max_unpool2d(out, places, **options))
    return "refused" if isinstance(found, str) else found


@twin
def test_correlations_of_complex_numbers(torch, rng):
    x = rng(4, 5, dtype="complex128")
    return torch.corrcoef(x), torch.corrcoef(torch.cat([x, -2 * x])), torch.corrcoef(rng(4, 5)), torch.corrcoef(x[0])


@twin
def test_tables_that_are_scaled(torch, rng):
    weight, index = rng(4, 3).mul(3), torch.tensor([0, 2, 2])
    return torch.nn.functional.embedding(index, weight, max_norm=1.0), weight


@twin
@pytest.mark.parametrize("dims", [(0, 0), (0, None), (None, 0), (1, 0), (0, 1)])
def test_tables_of_their_own(torch, rng, dims):
    tables, index = rng(3, 3, 2), rng(3, 3, dtype="int64") % 3
    if dims[0] != 1:
        tables = rng(*((3,) if dims[0] == 0 else ()), 7, 2)

    def chosen(table, index):
        return torch.nn.functional.embedding(index, table)

    return torch.func.vmap(chosen, in_dims=dims)(tables, index if dims[1] is not None else index[0])


@twin
@pytest.mark.parametrize("n", [1, 2, 3])
def test_gradients_of_convolutions_by_hand(torch, rng, n):
    x, weight = rng(2, 4, *[5] * n, dtype="float64"), rng(4, 4, *[3] * n, dtype="float64")
    conv = getattr(torch.nn.functional, f"conv{n}d")
    out = conv(x, weight)
    to_input = getattr(torch.nn.grad, f"conv{n}d_input")(x.shape, weight, out)
    return to_input, getattr(torch.nn.grad, f"conv{n}d_weight")(x, weight.shape, out)


@twin
@pytest.mark.parametrize("a", [0.0, 0.5, 1.0, 5.0, 50.0, 170.0])
@pytest.mark.parametrize("distance", [-0.5, 0.0, 0.25, 0.5, 0.99, 1.0, 1.5, float("inf")])
def test_incomplete_gamma_functions_near_their_middle(torch, rng, a, distance):
    at, x = torch.tensor([a], dtype=torch.float64), torch.tensor([a + distance], dtype=torch.float64)
    return torch.special.gammainc(at, x), torch.special.gammaincc(at, x)


@twin
@pytest.mark.parametrize(
    "choose",
    [
        lambda x, i: x[:, i], lambda x, i: x[i], lambda x, i: x[:, :, i], lambda x, i: x[i, :, i], lambda x, i: x[:, i, i],
        lambda x, i: x[i[:0]], lambda x, i: x[:, i[:0]], lambda x, i: x[:, i + 5], lambda x, i: x[i[:0], :, i[:0]],
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (2, 2, 0), (0, 0, 2)])
def test_indices_of_what_has_no_elements(torch, rng, choose, shape):
    return outcome(lambda: choose(torch.zeros(shape), torch.tensor([0, 1])))


@twin
def test_any_and_all_of_a_dimension(torch, rng):
    x = rng(2, 3, dtype="bool")
    return torch.any(x), torch.any(x, 0), torch.any(x, 1, True), torch.all(x), torch.all(x, 0), torch.all(x, (0, 1)), x.any(0)


@twin
def test_gradients_of_functions_without_a_derivative_are_checked(torch, rng):
    def whole(x):
        return x.detach().round().to(torch.int64)

    def hidden(x):
        return x.detach() * 2

    check, x = torch.autograd.gradcheck, rng(3, dtype="float64", grad=True)
    return [outcome(lambda f=f: check(f, (x,), raise_exception=False)) for f in (whole, hidden)], raised(
        lambda: check(hidden, (x,))
    )


@twin
def test_checks_of_forward_mode_in_batches(torch, rng):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            return x * x

        backward = staticmethod(lambda ctx, grad: 2 * ctx.saved_tensors[0] * grad)

        @staticmethod
        def jvp(ctx, tangent):
            return 2 * ctx.saved_tensors[0] * float(tangent.sum()) / max(float(tangent.sum()), 1e-9) * tangent

    x = rng(1, dtype="float64").abs().requires_grad_()
    check = torch.autograd.gradcheck
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch compiles at the first call
        plain = raised(lambda: check(Square.apply, (x,), check_forward_ad=True, check_backward_ad=False))
        return plain, raised(lambda: check(Square.apply, (x,), check_forward_ad=True, check_batched_forward_grad=True))


@twin
def test_what_a_policy_of_checkpoints_sees(torch, rng):
    from_torch, seen = torch.utils.checkpoint, []

    def policy(ctx, op, *args, **kwargs):
        seen.append((str(op), [type(arg).__name__ for arg in args]))
        return from_torch.CheckpointPolicy.PREFER_RECOMPUTE

    def run(x, y):
        return torch.cat([x, y.sin()]).square()

    x, y = rng(2, grad=True), rng(2, grad=True)
    made = from_torch.create_selective_checkpoint_contexts
    out = from_torch.checkpoint(run, x, y, use_reentrant=False, context_fn=lambda: made(policy))
    return torch.autograd.grad(out.sum(), (x, y)), [kinds[0] for name, kinds in seen if "cat" in name]


@twin
@pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh", "sqrt"])
def test_tangents_of_results_that_are_packed(torch, rng, name):
    forward_ad, x = torch.autograd.forward_ad, rng(3, dtype="float64").abs().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch compiles at the first call
        with forward_ad.dual_level(), torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
            y = getattr(torch, name)(forward_ad.make_dual(x, rng(3, dtype="float64")))
            (grad,) = torch.autograd.grad(y.sum(), x, create_graph=True)
            return grad, forward_ad.unpack_dual(grad).tangent


@twin
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular", "constant"])
@pytest.mark.parametrize("sides", [(-2, -2), (-1, -3), (-2, -1), (-3, 0), (-5, 1), (4, 0), (0, 3), (5, 0)])
def test_padding_that_takes_away(torch, rng, mode, sides):
    return message(lambda: torch.nn.functional.pad(rng(1, 2, 4), sides, mode=mode))


@twin
@pytest.mark.parametrize("shape", [(3, 3), (2, 3), (2, 3, 2)])
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("name", ["lu", "lu_factor", "cholesky", "eig", "eigh", "svd", "qr"])
def test_factors_with_and_without_a_history(torch, rng, shape, grad, name):
    A = rng(*shape, dtype="float64", grad=grad)

    def seen():
        found = getattr(torch.linalg, name)(A)
        return [one.requires_grad for one in (found if isinstance(found, tuple) else [found])]

    with torch.no_grad():
        inside = outcome(seen)
    return inside, outcome(seen)


@twin
@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, float("inf")])
def test_norms_of_several_matrices(torch, rng, ord):
    x = rng(2, 3, 4, dtype="float64")
    return torch.linalg.matrix_norm(x, ord), torch.linalg.matrix_norm(x, ord, keepdim=True)


@twin
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("shape", [(40,), (3, 40), (2, 3, 40), (2, 40, 3)])
def test_a_few_of_many(torch, rng, k, largest, shape):
    return torch.topk(rng(*shape), k, shape.index(40), largest)


@twin
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("other", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("shapes", [((2,), ()), ((2,), (1,)), ((1,), ()), ((), ()), ((), (2,))])
def test_types_of_halves_with_others(torch, rng, dtype, other, shapes):
    a, b = rng(*shapes[0]).to(getattr(torch, dtype)), rng(*shapes[1], dtype=other)
    return [outcome(lambda f=f: f(a, b)) for f in (torch.add, torch.mul, torch.sub, torch.true_divide, torch.maximum)]


@twin
def test_a_layer_with_groups_of_classes(torch, rng):
    layer = torch.nn.AdaptiveLogSoftmaxWithLoss(4, 10, [2, 5])
    return [(name, tuple(param.shape)) for name, param in layer.named_parameters()], layer.head.bias is None


@twin
@pytest.mark.parametrize(
    "schema", ["f(Tensor x) -> Tensor", "f(Tensor x, 3) -> Tensor", "f(Tensor) -> Tensor", "f(Tensor x, *, int) -> Tensor"]
)
def test_schemas_that_cannot_be_read(torch, rng, schema):
    library = torch.library.Library("seldom_said", "FRAGMENT")
    return raised(lambda: library.define(schema)) != "nothing"


@twin
@pytest.mark.parametrize("number", [1.0, 1 + 0j, 1 + 1j])
@pytest.mark.parametrize("wrapped", [False, True])
def test_real_arguments_that_are_complex(torch, rng, number, wrapped):
    F, x = torch.nn.functional, rng(3)
    given = torch.tensor(number) if wrapped else number
    return outcome(lambda: x.nan_to_num(given)), outcome(lambda: F.pad(x, (1, 1), value=given))


@twin
@pytest.mark.parametrize("stride", [1, 2, (1, 2)])
@pytest.mark.parametrize("padding", [0, 1, (2, 0)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 3), (3, 1), (2, 5)])
@pytest.mark.parametrize("times", [1, 2])
def test_convolutions_of_each_channel(torch, rng, stride, padding, dilation, kernel, times):
    x, weight = rng(2, 3, 12, 21, dtype="float64", grad=True), rng(3 * times, 1, *kernel, dtype="float64", grad=True)
    out = torch.nn.functional.conv2d(x, weight, None, stride, padding, dilation, 3)
    return out, torch.autograd.grad(out.square().sum(), (x, weight))


@twin
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "trilinear", "nearest-exact"])
@pytest.mark.parametrize("size", [(9, 30), (40, 7), (70, 70), (300, 7), (7, 300)])
def test_gradients_of_larger_pictures(torch, rng, mode, size):
    x = rng(2, 3, 20, 31, dtype="float64", grad=True) if mode != "trilinear" else rng(1, 2, 5, 20, 31, dtype="float64", grad=True)
    out = torch.nn.functional.interpolate(x, size if mode != "trilinear" else (4, *size), mode=mode)
    return out, torch.autograd.grad(out.square().sum(), x)


@twin
@pytest.mark.parametrize("length", [2, 31, 32, 33])
def test_lists_of_indices_of_any_length(torch, rng, length):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lists are deprecated as indices
        return outcome(lambda: rng(4, 4)[[[0, 1]] * length])


@twin
@pytest.mark.parametrize("aligned", [None, False, True])
@pytest.mark.parametrize("length", [4, 5, 8])
def test_spectra_of_short_windows(torch, rng, aligned, length):
    window, call = torch.hann_window(length), torch.stft
    options = {"win_length": length, "window": window, "center": False, "return_complex": True, "align_to_window": aligned}
    return outcome(lambda: call(rng(40), 8, 2, **options))


@twin
def test_parts_of_a_mask_in_blocks(torch, rng):
    from_torch = importlib.import_module(f"{torch.__name__}.nn.attention.flex_attention")
    mask = from_torch.create_block_mask(lambda b, h, q, k: q >= k, 2, 3, 64, 64, device="cpu", BLOCK_SIZE=16)
    return [mask[index].to_dense() for index in (0, -1, (1, -2), (slice(None), -1), slice(0, 1))]


@twin
def test_a_scripted_module_without_parts_is_true(torch, rng):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting is deprecated
        return bool(torch.jit.script(torch.nn.Sequential())), bool(torch.jit.script(torch.nn.ReLU()))


@twin
def test_operations_as_methods_of_a_module(torch, rng):
    made, x = torch.ao.nn.quantized.FloatFunctional(), rng(2)
    return (
        made.add(x, 1),
        made.mul_scalar(x, 2),
        made.cat([x, x]),
        raised(lambda: made(x)),
        [name for name, _ in made.named_children()],
    )


@twin
def test_a_function_that_is_differentiated_once(torch, rng):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, grad):
            return grad * 2

    class Drop(torch.autograd.Function):  # the gradient of x
        forward = staticmethod(lambda ctx, x, y: x + y)
        backward = staticmethod(lambda ctx, grad: (None, grad))

    x, y = rng(2, grad=True), rng(2, grad=True)
    (first,) = torch.autograd.grad((Double.apply(x) * y).sum(), x, create_graph=True)
    name, dropped = first.grad_fn.name(), message(lambda: Drop.apply(first, y).sum().backward())
    calls = (lambda: torch.autograd.grad(first.sum(), y), lambda: torch.autograd.grad(first.sum(), x, allow_unused=True))
    return first, name, dropped, [raised(call) for call in calls], raised(lambda: first.sum().backward()), y.grad


@twin
def test_values_of_tensors_that_have_none(torch, rng):
    x = torch.ones(2, device="meta")
    calls = (lambda: x.cpu(), lambda: x.to("cpu"), lambda: x.tolist(), lambda: x.numpy(), lambda: x.item(), lambda: x.to(x))
    return [raised(call) for call in calls], message(lambda: x.cpu())


@twin
@pytest.mark.parametrize("equation", ["ii", "ii->i", "iij->j", "ijj->i", "iji->j", "jiij", "iii", "ijij->ji", "kiik->k"])
@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (3, 3, 2, 3), (2, 3, 3, 2), (2, 3, 2, 3)])
def test_sums_along_diagonals(torch, rng, equation, sizes):
    x = rng(*sizes[: len(equation.partition("->")[0])])
    return outcome(lambda: torch.einsum(equation, x))


@twin
@pytest.mark.parametrize("dtype", ["int64", "float32", "float16", "bool", "complex64"])
@pytest.mark.parametrize("number", [1, True, 1.5, -2.7, 1 + 2j, 3 + 0j])
def test_numbers_are_copied_into_tensors(torch, rng, dtype, number):
    return outcome(lambda: torch.zeros(2, dtype=getattr(torch, dtype)).copy_(number))


@twin
@pytest.mark.parametrize("size", [(2, 2), (3, 2), (2, 3), (1, 4), (5, 5)])
@pytest.mark.parametrize("batch", [(), (1,), (3,)])
def test_folding_to_few_windows(torch, rng, size, batch):
    F = torch.nn.functional
    number = max(0, size[0] - 1) * max(0, size[1] - 1)
    found = outcome(lambda: F.fold(rng(*batch, 8, number), size, 2))
    return found, outcome(lambda: F.fold(rng(*batch, 8, number + 1), size, 2))


@twin
def test_hooks_are_not_pickled_with_a_tensor(torch, rng):
    import pickle

    x = rng(2, grad=True)
    x.register_hook(lambda grad: grad)
    return pickle.loads(pickle.dumps(x))


@twin
def test_parts_of_whole_numbers(torch, rng):
    return message(lambda: torch.frexp(torch.tensor([1, 2]))), torch.frexp(rng(3))


@twin
@pytest.mark.parametrize("phase", [0.0, 0.5, 1.0, 2.0])
def test_sums_of_endless_exponentials(torch, rng, phase):
    return torch.logcumsumexp(torch.tensor([complex(float("inf"), phase)] * 2, dtype=torch.complex128), 0)


@twin
@pytest.mark.parametrize("shape", [(3,), (1, 3), (4, 2)])
def test_results_larger_than_the_operand_in_whose_place_they_are(torch, rng, shape):
    x = rng(*shape).clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is resized, which is deprecated
        return torch.diag(x if len(shape) == 1 else x[0].clone(), out=x), x


@twin
def test_a_loss_of_several_margins_of_targets_in_any_shape(torch, rng):
    loss = torch.nn.functional.multi_margin_loss
    x, target = rng(3, 4, grad=True), torch.tensor([1, 0, 3])
    calls = (
        lambda: loss(x, target),
        lambda: loss(x[0], target[0]),
        lambda: loss(x[0], target[:1]),
        lambda: loss(x, target[:, None]),
    )
    return [outcome(call) for call in calls], raised(lambda: loss(x, target + 1)), torch.autograd.grad(loss(x, target), x)


@twin
@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
def test_the_reduction_that_old_names_mean(torch, rng, size_average, reduce):
    return importlib.import_module(f"{torch.__name__}.nn._reduction").legacy_get_string(size_average, reduce)


@twin
@pytest.mark.parametrize("dims", [(0, 0), (0, None), (None, 0)])
def test_second_derivatives_of_tables_of_their_own(torch, rng, dims):
    func, index = torch.func, torch.tensor([0, 4, 4])
    table, along = rng(*((3,) if dims[0] == 0 else ()), 7, 2), rng(*((3,) if dims[1] == 0 else ()), 7, 2)

    def first(table):
        return func.grad(lambda table: torch.nn.functional.embedding(index, table).pow(3).sum())(table)

    def second(table, along):
        return func.grad(lambda table: (first(table) * along).sum())(table)

    return func.vmap(second, in_dims=dims)(table, along)


@twin
@pytest.mark.parametrize("dims", [(0, 0), (0, None), (None, 0)])
@pytest.mark.parametrize("affine", [False, True])
def test_second_derivatives_of_norms_in_batches(torch, rng, dims, affine):
    func, F = torch.func, torch.nn.functional
    x, w = (
        rng(*((3,) if dims[0] == 0 else ()), 2, 4, 5, dtype="float64"),
        rng(*((3,) if dims[1] == 0 else ()), 4, dtype="float64"),
    )

    def loss(x, w):
        weight, bias = (w, w * 2) if affine else (None, None)
        return (F.group_norm(x, 2, weight, bias) * w[:, None]).pow(3).sum() + (
            F.instance_norm(x, weight=weight) * w[:, None]
        ).sin().sum()

    first = func.grad(loss, argnums=(0, 1))
    second = func.grad(lambda x, w: sum(g.pow(2).sum() for g in first(x, w)), argnums=(0, 1))
    return func.vmap(first, in_dims=dims)(x, w), func.vmap(second, in_dims=dims)(x, w)


@twin
@pytest.mark.parametrize("name", ["group_norm", "instance_norm", "batch_norm", "layer_norm", "conv1d", "linear"])
def test_several_cotangents_of_a_layer_at_once(torch, rng, name):
    F = torch.nn.functional
    x, w, b = (rng(*shape, dtype="float64", grad=True) for shape in ((2, 4, 4), (4,), (4,)))
    calls = {
        "group_norm": lambda: F.group_norm(x, 2, w, b),
        "instance_norm": lambda: F.instance_norm(x, weight=w, bias=b),
        "batch_norm": lambda: F.batch_norm(x, None, None, w, b, training=True),
        "layer_norm": lambda: F.layer_norm(x, (4,), w, b),
        "conv1d": lambda: F.conv1d(x, w[:, None, None] * b[:, None], b),
        "linear": lambda: F.linear(x, w[:, None] * b, b),
    }
    out = calls[name]()
    return torch.autograd.grad(out, (x, w, b), rng(3, *out.shape, dtype="float64"), is_grads_batched=True)


@twin
def test_arguments_of_an_inverse_spectrum(torch, rng):
    x, window = torch.stft(rng(32), 8, window=torch.ones(8), return_complex=True), torch.ones(8)
    calls = (lambda: x.istft("a", window=window), lambda: x.istft(8, hop_length="b", window=window), lambda: x.istft(8, window=3))
    return [raised(call) for call in calls], x.istft(8, window=window), raised(lambda: x.istft())
