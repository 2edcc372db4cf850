"""One question asked of every member of a family: what is not a tensor, a size, a step, a kind of result that it takes."""

from __future__ import annotations

import inspect
import itertools
import warnings

import numpy as np
import pytest

from parity_tests.twin import outcome, twin

AT_AN_INDEX = {
    "gather": lambda x, index, source: (x, 0, index),
    "index_select": lambda x, index, source: (x, 0, index),
    "index_fill": lambda x, index, source: (x, 0, index, 2.0),
    "index_add": lambda x, index, source: (x, 0, index, source),
    "index_copy": lambda x, index, source: (x, 0, index, source),
    "index_reduce": lambda x, index, source: (x, 0, index, source, "prod"),
    "scatter": lambda x, index, source: (x, 0, index, source),
    "scatter_add": lambda x, index, source: (x, 0, index, source),
    "scatter_reduce": lambda x, index, source: (x, 0, index, source, "sum"),
    "take": lambda x, index, source: (x, index),
    "take_along_dim": lambda x, index, source: (x, index, 0),
    "masked_select": lambda x, index, source: (x, index),
    "masked_fill": lambda x, index, source: (x, index, 2.0),
    "masked_scatter": lambda x, index, source: (x, index, source),
    "index_put": lambda x, index, source: (x, index, source),
}
NOT_TENSORS = {"a list": [0, 1], "a number": 0, "None": None, "a string": "a", "an array": np.array([0, 1]), "a slice": slice(1)}


@twin
@pytest.mark.parametrize("name", AT_AN_INDEX)
@pytest.mark.parametrize("given", NOT_TENSORS)
def test_what_stands_for_an_index_must_be_a_tensor(torch, rng, name, given):
    function, arguments = getattr(torch, name), AT_AN_INDEX[name]

    def in_place(*args):
        return getattr(torch.Tensor, name + "_", torch.Tensor.clone)(*args)

    return (
        outcome(lambda: in_place(*arguments(rng(3), NOT_TENSORS[given], rng(2)))),
        outcome(lambda: function(*arguments(rng(3), NOT_TENSORS[given], rng(2)))),
        outcome(lambda: function(*arguments(rng(3), torch.tensor([0, 1]), NOT_TENSORS[given]))),
        outcome(lambda: function(*arguments(NOT_TENSORS[given], torch.tensor([0, 1]), rng(2)))),
    )


@twin
@pytest.mark.parametrize("n", [1, 2, 3])
def test_sizes_that_unpooling_takes(torch, rng, n):
    x, places = rng(1, 1, *[2] * n), torch.zeros(1, 1, *[2] * n, dtype=torch.int64)
    sizes = [[4] * count for count in range(n + 4)] + [[1, 1, *[size] * n] for size in (1, 2, 3, 5, 6)]
    unpool, layer = getattr(torch.nn.functional, f"max_unpool{n}d"), getattr(torch.nn, f"MaxUnpool{n}d")(2)
    of_function = [outcome(lambda size=size: unpool(x, places, 2, output_size=size)) for size in sizes]
    return of_function, [outcome(lambda size=size: layer(x, places, size)) for size in sizes]


LABELS = [[1, -100, 2], [1, -101, 2], [1, -99, 2], [1, -1, 2], [1, 3, 2], [-100, -100, -100]]


@twin
@pytest.mark.parametrize("labels", LABELS)
def test_the_label_that_is_ignored_if_none_is_named(torch, rng, labels):
    nn, x, target = torch.nn, rng(3, 3), torch.tensor(labels)
    losses = [nn.functional.nll_loss, nn.functional.cross_entropy, nn.NLLLoss(), nn.CrossEntropyLoss()]
    return [outcome(lambda loss=loss: loss(x, target)) for loss in losses]


@twin
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ignored", [-100, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_ignored_labels_under_a_map(torch, rng, reduction, ignored, weighted):
    x, target, weight = rng(2, 4, 3), torch.tensor([0, ignored, 2, 1]), torch.tensor([1.0, 2, 3]) if weighted else None

    def loss(x):
        return torch.nn.functional.cross_entropy(x, target, weight, ignore_index=ignored, reduction=reduction)

    return torch.func.vmap(loss)(x), torch.func.vmap(torch.func.grad(lambda x: loss(x).sum()))(x)


STEPS = {
    "slice_copy": lambda torch, x, step: torch.slice_copy(x, 0, 0, 4, step),
    "slice_scatter": lambda torch, x, step: torch.slice_scatter(x, torch.zeros(4), 0, 0, 4, step),
    "an index": lambda torch, x, step: x[0:4:step],
    "a write at an index": lambda torch, x, step: x.__setitem__(slice(0, 4, step), 1.0),
    "arange": lambda torch, x, step: torch.arange(0, 4, step),
    "unfold": lambda torch, x, step: x.unfold(0, 2, step),
    "unfold_copy": lambda torch, x, step: torch.unfold_copy(x, 0, 2, step),
}


@twin
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("step", [-1, 0, 1, 2])
def test_steps_that_are_taken(torch, rng, name, step):
    return outcome(lambda: STEPS[name](torch, rng(4), step))


LEADING = [
    ((2, 3), (2,)), ((2, 3), (3,)), ((2,), (3, 2)), ((3, 1), (2,)), ((2,), (3,)), ((2, 2), (2,)), ((2, 3), ()), ((0,), (1,)),
    ((0,), (2,)), ((1, 2), (2, 1)),
]  # fmt: skip


@twin
@pytest.mark.parametrize("leading", LEADING)
def test_batches_that_a_product_joins(torch, rng, leading):
    (first, second), x = leading, rng(4, 5)
    products = [torch.matmul, lambda a, b: a @ b, torch.linalg.matmul, lambda a, b: torch.einsum("...ij,...jk->...ik", a, b)]
    return [outcome(lambda product=product: product(rng(*first, 4, 5), rng(*second, 5, 6))) for product in products], x


@twin
@pytest.mark.parametrize("number", [1e19, 2.0**63, 2.0**64 - 2048, 2.0**62, 3.7, -1.0, -2.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_numbers_as_integers_without_a_sign(torch, rng, number, dtype):
    x = torch.full((3,), number, dtype=getattr(torch, dtype))
    return x.to(torch.uint64), x.to(torch.int64) if abs(number) < 2.0**63 else None


@twin
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("boolean", [False, True])
@pytest.mark.parametrize("compact", [False, True])
def test_masks_that_attention_takes_beside_a_causal_one(torch, rng, grad, boolean, compact):
    def attended(dims, of_mask, dropout=0.0):
        q, k, v = (rng(1, 1, 4, 6).reshape((1, 1, 4, 6)[4 - dims :]) for _ in range(3))
        if not compact:
            q = q.transpose(-1, -2).contiguous().transpose(-1, -2)
        mask = rng(1, 1, 4, 4).reshape((1, 1, 4, 4)[4 - of_mask :])
        mask = mask > 0 if boolean else mask.requires_grad_(grad)
        mask[..., 0] = True if boolean or not grad else mask[..., 0]
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=True)

    ranks = [(dims, of_mask) for dims, of_mask in itertools.product((2, 3, 4), repeat=2) if of_mask <= dims]
    return [outcome(lambda at=at: attended(*at)) for at in ranks], outcome(lambda: attended(4, 2, 0.5))


RESULTS = {
    "a tensor": lambda x: x * 2, "a dict": lambda x: {"a": x * 2}, "a list": lambda x: [x * 2], "None": lambda x: None,
    "a number": lambda x: 3, "a tuple": lambda x: (x * 2,), "two": lambda x: (x * 2, x + 1), "a mixed one": lambda x: (x * 2, 3),
    "an empty tuple": lambda x: (), "a nested tuple": lambda x: ((x * 2,),), "its input": lambda x: x,
}  # fmt: skip


@twin
@pytest.mark.parametrize("kind", RESULTS)
@pytest.mark.parametrize("hook", ["register_full_backward_hook", "register_full_backward_pre_hook", "register_backward_hook"])
def test_results_of_a_module_that_its_backward_hooks_see(torch, rng, kind, hook):
    module, seen = torch.nn.Module(), []
    module.forward = RESULTS[kind]
    getattr(module, hook)(lambda module, *grads: seen.append(grads))

    def call():
        made = module(rng(2, grad=True) * 1)
        if kind in ("a tensor", "its input"):
            made.sum().backward()
        return made

    return outcome(call), seen


@twin
@pytest.mark.parametrize("kind", ["the module", "forward", "another method", "a function named forward", "no name"])
def test_what_can_be_traced(torch, rng, kind):
    class Net(torch.nn.Module):
        def forward(self, x):
            return x + 1

        def other(self, x):
            return x * 2

    def forward(x):
        return x * 3

    net = Net()
    given = {
        "the module": net, "forward": net.forward, "another method": net.other, "a function named forward": forward,
        "no name": lambda x: x - 1,
    }[kind]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = outcome(lambda: torch.jit.trace(given, torch.ones(2)))
    return (isinstance(made, torch.nn.Module), made(torch.ones(3))) if callable(made) else made


OPTIMIZERS = (
    "SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "Adafactor", "RMSprop", "Rprop", "ASGD", "LBFGS",
    "SparseAdam", "Muon",
)  # fmt: skip
VALUES = [-1.0, -0.1, 0.0, 0.5, 1.0, 1.1, 2.0]


@twin
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_bounds_of_the_options_of_optimizers(torch, rng, name):
    kind, param = getattr(torch.optim, name), rng(2, 3, grad=True)
    found = {}
    for option, declared in inspect.signature(kind).parameters.items():
        usual = (1e-3,) if option == "lr" else declared.default if isinstance(declared.default, tuple) else (declared.default,)
        for i, value in itertools.product([i for i, one in enumerate(usual) if isinstance(one, float)], VALUES):
            given = (*usual[:i], value, *usual[i + 1 :])
            options = {option: given if isinstance(declared.default, tuple) else value}
            found[str(options)] = outcome(lambda options=options: kind([param], **options) and "taken")
    return found


WRITERS = {
    "complex": lambda torch, x, out: torch.complex(x, x, out=out(2, 2)),
    "polar": lambda torch, x, out: torch.polar(x, x, out=out(2, 2)),
    "split_copy": lambda torch, x, out: torch.split_copy(x, 1, out=[out(1, 2), out(1, 2)]),
    "split_with_sizes_copy": lambda torch, x, out: torch.split_with_sizes_copy(x, [1, 1], out=[out(1, 2), out(1, 2)]),
    "unbind_copy": lambda torch, x, out: torch.unbind_copy(x, out=[out(2), out(2)]),
    "normalize": lambda torch, x, out: torch.nn.functional.normalize(x, out=out(2, 2)),
    "exp": lambda torch, x, out: torch.exp(x, out=out(2, 2)),
    "linspace": lambda torch, x, out: torch.linspace(0, 1, 2, out=out(2)),
    "arange": lambda torch, x, out: torch.arange(0.0, 2.0, out=out(2)),
    "full": lambda torch, x, out: torch.full((2,), 1.5, out=out(2)),
    "eye": lambda torch, x, out: torch.eye(2, out=out(2, 2)),
    "rand": lambda torch, x, out: torch.rand(2, out=out(2)),
    "randperm": lambda torch, x, out: torch.randperm(2, out=out(2)),
}


@twin
@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "float64", "complex64", "complex128"])
def test_types_of_out_that_are_written(torch, rng, name, dtype):
    outs = []

    def out(*shape):
        outs.append(torch.zeros(shape, dtype=getattr(torch, dtype)))
        return outs[-1]

    return outcome(lambda: WRITERS[name](torch, rng(2, 2), out)), outs
