"""Arguments at the ends of their ranges: the last class and the one after it, sizes of 0, what only another device accepts."""

from __future__ import annotations

import importlib
import warnings

import pytest

from parity_tests.twin import message, outcome, raised, twin

CLASSES = 3
BY_CLASS = {
    "ctc_loss": lambda t, c, r: t.nn.functional.ctc_loss(
        r(4, 2, CLASSES).log_softmax(2), t.ones(2, 2, dtype=t.int64), (4, 4), (2, 1), blank=c
    ),
    "nll_loss": lambda t, c, r: t.nn.functional.nll_loss(r(2, CLASSES), t.tensor([0, c])),
    "cross_entropy": lambda t, c, r: t.nn.functional.cross_entropy(r(2, CLASSES), t.tensor([0, c])),
    "cross_entropy, ignored": lambda t, c, r: t.nn.functional.cross_entropy(r(2, CLASSES), t.tensor([0, c]), ignore_index=c),
    "multi_margin_loss": lambda t, c, r: t.nn.functional.multi_margin_loss(r(2, CLASSES), t.tensor([0, c])),
    "multilabel_margin_loss": lambda t, c, r: t.nn.functional.multilabel_margin_loss(r(CLASSES), t.tensor([c, -1, 0])),
    "linear_cross_entropy": lambda t, c, r: t.nn.functional.linear_cross_entropy(r(2, 4), r(CLASSES, 4), t.tensor([0, c])),
    "one_hot": lambda t, c, r: t.nn.functional.one_hot(t.tensor([0, c]), CLASSES),
    "embedding": lambda t, c, r: t.nn.functional.embedding(t.tensor([0, c]), r(CLASSES, 2)),
    "embedding, padding": lambda t, c, r: t.nn.functional.embedding(t.tensor([0, 1]), r(CLASSES, 2), padding_idx=c),
    "embedding_bag": lambda t, c, r: t.nn.functional.embedding_bag(t.tensor([[0, c]]), r(CLASSES, 2)),
    "embedding_bag, padding": lambda t, c, r: t.nn.functional.embedding_bag(t.tensor([[0, 1]]), r(CLASSES, 2), padding_idx=c),
    "Embedding": lambda t, c, r: t.nn.Embedding(CLASSES, 2, padding_idx=c).padding_idx,
    "bincount": lambda t, c, r: t.bincount(t.tensor([0, c]), minlength=CLASSES),
}


@twin
@pytest.mark.parametrize("number", [-CLASSES - 1, -CLASSES, -1, 0, CLASSES - 1, CLASSES])
@pytest.mark.parametrize("name", BY_CLASS)
def test_classes_up_to_the_last_and_beyond(torch, rng, name, number):
    return outcome(lambda: BY_CLASS[name](torch, number, rng))


ALONG = {
    "select": lambda t, x, i: x.select(0, i),
    "narrow": lambda t, x, i: x.narrow(0, i, 1),
    "narrow of nothing": lambda t, x, i: x.narrow(0, i, 0),
    "index": lambda t, x, i: x[i],
    "index by a tensor": lambda t, x, i: x[t.tensor([i])],
    "take": lambda t, x, i: x.take(t.tensor([i])),
    "gather": lambda t, x, i: x.gather(0, t.tensor([[i]])),
    "scatter": lambda t, x, i: x.scatter(0, t.tensor([[i]]), 1.0),
    "index_select": lambda t, x, i: x.index_select(0, t.tensor([i])),
    "index_fill": lambda t, x, i: x.index_fill(0, t.tensor([i]), 1.0),
    "index_add": lambda t, x, i: x.index_add(0, t.tensor([i]), x[:1]),
    "index_copy": lambda t, x, i: x.index_copy(0, t.tensor([i]), x[:1]),
    "select_scatter": lambda t, x, i: x.select_scatter(x[0], 0, i),
    "put_": lambda t, x, i: x.put_(t.tensor([i]), t.tensor([1.0])),
    "unbind": lambda t, x, i: x.unbind(0)[i],
    "kthvalue": lambda t, x, i: x.kthvalue(i, 0),
    "topk": lambda t, x, i: x.topk(i, 0)[0],
    "split": lambda t, x, i: x.split(i),
    "chunk": lambda t, x, i: x.chunk(i),
    "unfold": lambda t, x, i: x.unfold(0, i, 1),
    "unfold by steps": lambda t, x, i: x.unfold(0, 1, i),
    "roll": lambda t, x, i: x.roll(i, 0),
    "squeeze": lambda t, x, i: x.squeeze(i),
    "unsqueeze": lambda t, x, i: x.unsqueeze(i),
    "diagonal": lambda t, x, i: x.diagonal(i),
    "sum": lambda t, x, i: x.sum(i),
    "rot90": lambda t, x, i: x.rot90(i),
    "vander": lambda t, x, i: t.vander(x[:, 0], i),
    "multinomial": lambda t, x, i: t.multinomial(t.eye(4)[0], i, replacement=True),
}


@twin
@pytest.mark.parametrize("number", [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ALONG)
def test_places_up_to_the_last_and_beyond(torch, rng, name, number):
    return outcome(lambda: ALONG[name](torch, rng(4, 2), number))


SIZED = {
    "max_pool": lambda t, n, x, s: getattr(t.nn, f"MaxPool{n}d")(**s)(x),
    "avg_pool": lambda t, n, x, s: getattr(t.nn, f"AvgPool{n}d")(**s)(x),
    "lp_pool": lambda t, n, x, s: getattr(t.nn, f"LPPool{n}d")(2, **s)(x),
    "conv": lambda t, n, x, s: getattr(t.nn, f"Conv{n}d")(2, 2, **s)(x).shape,
    "conv_transpose": lambda t, n, x, s: getattr(t.nn, f"ConvTranspose{n}d")(2, 2, **s)(x).shape,
    "unfold": lambda t, n, x, s: t.nn.Unfold(**s)(x),
    "fold": lambda t, n, x, s: t.nn.Fold((4,) * n, **s)(t.ones(1, 8, 4)).shape,
    "adaptive_max_pool": lambda t, n, x, s: getattr(t.nn, f"AdaptiveMaxPool{n}d")(s["kernel_size"])(x),
    "adaptive_avg_pool": lambda t, n, x, s: getattr(t.nn, f"AdaptiveAvgPool{n}d")(s["kernel_size"])(x),
}
SETTINGS = [
    {"kernel_size": 0}, {"kernel_size": -1}, {"kernel_size": 1}, {"kernel_size": 4}, {"kernel_size": 5},
    {"kernel_size": 2, "stride": 0}, {"kernel_size": 2, "stride": -1}, {"kernel_size": 2, "stride": 5},
    {"kernel_size": 2, "padding": -1}, {"kernel_size": 2, "padding": 1}, {"kernel_size": 2, "padding": 2},
    {"kernel_size": 2, "dilation": 0}, {"kernel_size": 2, "dilation": -1}, {"kernel_size": 2, "dilation": 3},
    {"kernel_size": 2, "dilation": 4}, {"kernel_size": 1, "stride": 2, "dilation": 3, "output_padding": 2},
    {"kernel_size": 1, "stride": 2, "dilation": 3, "output_padding": 3}, {"kernel_size": 2, "output_padding": 1},
]  # fmt: skip


@twin
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: " ".join(f"{k}={v}" for k, v in setting.items()))
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("name", SIZED)
def test_sizes_of_windows_down_to_zero_and_up_to_the_image(torch, rng, name, n, setting):
    x = rng(1, 2, *(4,) * n)
    return outcome(lambda: SIZED[name](torch, n, x, setting))


@twin
@pytest.mark.parametrize("size", [0, -1, 1, 4, 5, (1, 0, 1), (1, 1, -1)])
def test_windows_of_fractional_pooling(torch, rng, size):
    samples = torch.full((1, 2, 3), 0.5)
    found = [outcome(lambda n=n: str(getattr(torch.nn, f"FractionalMaxPool{n}d")(size, output_size=1))) for n in (2, 3)]
    x = rng(1, 2, 4, 4, 4)
    found.append(outcome(lambda: torch.nn.FractionalMaxPool3d(size, output_size=1, _random_samples=samples)(x)))
    return found


@twin
@pytest.mark.parametrize("driver", ["gesvd", "gesvdj", "gesvda", "nothing", None])
@pytest.mark.parametrize("name", ["svd", "svdvals", "lstsq"])
def test_drivers_of_linear_algebra(torch, rng, name, driver):
    A = rng(3, 3)
    arguments = (A, A[:, :1]) if name == "lstsq" else (A,)
    found = outcome(lambda: getattr(torch.linalg, name)(*arguments, driver=driver))
    return found if name == "svdvals" or isinstance(found, str) else found[0].shape


def views_that_may_not_be_written(torch, rng):
    """name -> a view, made so that a write to it cannot be recorded, and the base."""

    class Same(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view(-1)

        @staticmethod
        def backward(ctx, grad):
            return grad.view(2, 3)

    found = {}
    for leaf in (False, True):
        made = []
        for _ in range(5):
            x = rng(2, 3, grad=leaf)
            made.append(x if leaf else (rng(2, 3, grad=True) * 2))
        no_grad, inference, several, custom, nested = made
        with torch.no_grad():
            found["no_grad", leaf] = no_grad.view(-1), no_grad
            within = nested.view(-1)
        found["of a view in no_grad", leaf] = within[:3], nested
        with torch.inference_mode():
            found["inference", leaf] = inference.view(-1), inference
        found["several", leaf] = several.unbind(0)[1], several
        found["custom", leaf] = Same.apply(custom), custom
    return found


@twin
def test_why_a_view_may_not_be_written(torch, rng):
    written = {}
    for name, (view, _) in views_that_may_not_be_written(torch, rng).items():
        written[name] = message(lambda view=view: view.mul_(2))
    for name, (view, base) in views_that_may_not_be_written(torch, rng).items():
        written["base", name] = message(lambda view=view, base=base: (base.mul_(2), view.sum()))
    return written


@twin
@pytest.mark.parametrize("copy", [None, True, False])
@pytest.mark.parametrize("dtype", [None, "float32", "float64"])
@pytest.mark.parametrize("kind", ["tensor", "array", "list", "number", "scalar", "bytes"])
def test_asarray_shares_or_copies(torch, rng, kind, dtype, copy):
    x = rng(4)
    given = {"tensor": x, "array": x.numpy(), "list": x.tolist(), "number": 1.5, "scalar": x.numpy()[0], "bytes": bytearray(8)}
    if kind == "scalar" and copy and dtype == "float64":
        copy = None  # torch says that it cannot share it, which is not asked
    dtype = dtype and getattr(torch, dtype)

    def made():
        found = torch.asarray(given[kind], dtype=dtype, copy=copy)
        if kind in ("tensor", "array"):
            x.fill_(7)
        return found, found.dtype

    return outcome(made)


@twin
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "LBFGS", "Rprop", "ASGD", "SparseAdam", "Adafactor"])
def test_an_optimizer_has_the_plain_attributes_of_torchs(torch, rng, name):
    made = vars(getattr(torch.optim, name)([rng(2, grad=True)], lr=0.1))
    return {key: value for key, value in made.items() if isinstance(value, (bool, str))}


@twin
@pytest.mark.parametrize("value", ["cpu", "cpu:0", "cpu:1", "cpu:-1", "cpu:x", "nowhere", "", 0, 1.5, True, None, object, []])
@pytest.mark.parametrize("index", [(), (0,), (1,), (-1,), ("a",), (1.5,)])
def test_what_names_a_device(torch, rng, value, index):
    return outcome(lambda: str(torch.device(value, *index)))


@twin
@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode", "backward", "", None])
@pytest.mark.parametrize("flags", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("vectorize", [False, True])
def test_strategies_of_jacobians(torch, rng, strategy, flags, vectorize):
    create, strict = flags
    setting = {"create_graph": create, "strict": strict, "vectorize": vectorize}
    x, y = rng(3), rng(3)
    functional = torch.autograd.functional
    warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of what it uses in forward mode
    found = [outcome(lambda: functional.jacobian(torch.sin, x, strategy=strategy, **setting))]
    found.append(outcome(lambda: functional.jacobian(lambda a, b: a * 2, (x, y), strategy=strategy, **setting)))
    found.append(outcome(lambda: functional.jacobian(lambda a: y, x, strategy=strategy, **setting)))
    found.append(outcome(lambda: functional.hessian(lambda a: a.sin().sum(), x, outer_jacobian_strategy=strategy, **setting)))
    found.append(outcome(lambda: functional.hessian(lambda a, b: (a * a).sum(), (x, y), strict=strict)))
    return found


WRITING = {
    "add": (lambda t, x, out: t.add(x, x, out=out), 1),
    "cat": (lambda t, x, out: t.cat([x, x], out=out), 1),
    "zeros": (lambda t, x, out: t.zeros(2, 2, out=out), 1),
    "where": (lambda t, x, out: t.where(x > 0, x, x, out=out), 1),
    "matmul": (lambda t, x, out: t.matmul(x, x, out=out), 1),
    "sum": (lambda t, x, out: t.sum(x, 0, out=out), 1),
    "max": (lambda t, x, out: t.max(x, 0, out=out), 2),
    "sort": (lambda t, x, out: t.sort(x, out=out), 2),
    "topk": (lambda t, x, out: t.topk(x, 1, out=out), 2),
    "frexp": (lambda t, x, out: t.frexp(x, out=out), 2),
    "aminmax": (lambda t, x, out: t.aminmax(x, dim=0, out=out), 2),
    "eigh": (lambda t, x, out: t.linalg.eigh(x @ x.T, out=out), 2),
    "slogdet": (lambda t, x, out: t.linalg.slogdet(x, out=out), 2),
    "qr": (lambda t, x, out: t.linalg.qr(x, out=out), 2),
    "svd": (lambda t, x, out: t.linalg.svd(x, out=out), 3),
    "lu": (lambda t, x, out: t.linalg.lu(x, out=out), 3),
}
TARGETS = {
    "a str": lambda t, one: "a",
    "a list": lambda t, one: [one()],
    "a tuple": lambda t, one: (one(),),
    "two": lambda t, one: (one(), one()),
    "two in a list": lambda t, one: [one(), one()],
    "three": lambda t, one: (one(), one(), one()),
    "a tensor and a number": lambda t, one: (one(), 1),
    "nothing": lambda t, one: (),
    "an array": lambda t, one: one().numpy(),
    "a tensor": lambda t, one: one(),
}


@twin
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", WRITING)
def test_what_is_given_to_write_into(torch, rng, name, target):
    call, _ = WRITING[name]
    x = rng(2, 2)
    return raised(lambda: call(torch, x, TARGETS[target](torch, lambda: torch.empty(0))))


@twin
@pytest.mark.parametrize("dim", [None, -3, -1, 0, 1, 2, 3])
@pytest.mark.parametrize("shape", [(), (0,), (0, 2), (2, 0), (0, 0), (2, 0, 3), (2, 1, 3)])
@pytest.mark.parametrize("name", ["unique", "unique_consecutive"])
def test_distinct_slices_of_nothing(torch, rng, name, shape, dim):
    x = rng(*shape)
    return outcome(lambda: getattr(torch, name)(x, return_inverse=True, return_counts=True, dim=dim))


@twin
@pytest.mark.parametrize("training", [True, False])
def test_which_layers_of_a_transformer_compute_the_weights(torch, rng, training):
    model = torch.nn.Transformer(8, 2, 1, 1, 16, dropout=0.0).train(training)
    seen = []
    for module in model.modules():
        if isinstance(module, torch.nn.MultiheadAttention):
            module.register_forward_hook(lambda module, args, output: seen.append(output[1] is None))
    model(rng(3, 1, 8), rng(2, 1, 8))
    return seen


@twin
@pytest.mark.parametrize("shape", [(), (1,), (2, 0)])
@pytest.mark.parametrize("number", [6e4, 66000, 1e6, -1e39, 1e300, 2**70, float("inf")])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_numbers_beyond_the_largest_that_fill(torch, rng, shape, number, dtype):
    x = torch.zeros(shape, dtype=getattr(torch, dtype))
    found = [outcome(lambda: torch.fill(x, number)), outcome(lambda: x.clone().fill_(number))]
    found += [outcome(lambda: torch.full_like(x, number)), outcome(lambda: torch.full(shape, number, dtype=x.dtype))]
    return found + [outcome(lambda: x.masked_fill(x == 0, number)), outcome(lambda: torch.fill(x, torch.tensor(float(number))))]


@twin
def test_functions_for_the_samples_of_a_batch_get_the_map_of_them(torch, rng):
    path = "utils.data._utils.collate" if hasattr(torch.utils.data, "_utils") else "utils.data.collate"
    collate = importlib.import_module(f"{torch.__name__}.{path}").collate

    class Base:
        pass

    class Derived(Base):
        pass

    def counted(batch, *, collate_fn_map=None):
        return len(batch), sorted(kind.__name__ for kind in collate_fn_map or {})

    table = {Base: counted, int: lambda batch, *, collate_fn_map=None: sum(batch)}
    return collate([Derived(), Derived()], collate_fn_map=table), collate([(Base(), 1), (Base(), 2)], collate_fn_map=table)


@twin
@pytest.mark.parametrize("dtype", ["int64", "bool", "uint8", "float16", "float64", "complex64"])
@pytest.mark.parametrize("train", [True, False, None])
@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_types_of_dropped_out_elements(torch, rng, dtype, train, p):
    x = torch.ones(3, dtype=getattr(torch, dtype))
    found = outcome(lambda: torch.native_dropout(x, p, train))
    others = [outcome(lambda: torch.dropout(x, p, bool(train))), outcome(lambda: torch.alpha_dropout(x, p, bool(train)))]
    return [[part.dtype for part in found] if isinstance(found, tuple) else found, *others]


@twin
@pytest.mark.parametrize("a", [0.1, 1.0, 5.0, 7.0, 30.0, 200.0])
def test_slopes_of_dirichlet_points_in_every_case(torch, rng, a):
    b = rng.tensor([0.1, 1.0, 5.0, 7.0, 30.0, 200.0], "float64")[:, None]
    x = rng.tensor([1e-4, 0.01, 0.1, 0.3, 0.49, 0.5, 0.51, 0.7, 0.9, 0.99, 0.9999], "float64")
    x, b = torch.broadcast_tensors(x, b)
    return torch._dirichlet_grad(x.contiguous(), torch.full_like(x, a), a + b)
