"""vmap is a loop in one call: each function of a batch equals the loop over its elements, within any transform."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import mini_dl as torch
from mini_dl._abstract import AbstractArray
from mini_dl.autograd.batching import ELEMENTWISE, LOOP, RULES
from mini_dl.autograd.forwards import known as known_primitives

F = torch.nn.functional


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def draw(rng, *shape, kind="float64"):
    return torch.from_numpy(np.asarray(rng.standard_normal(shape), kind))


def looped(function, in_dims, *args):
    """The results of a loop, stacked."""
    size = next(a.shape[d] for a, d in zip(args, in_dims) if d is not None)
    results = [function(*[a if d is None else a.select(d, i) for a, d in zip(args, in_dims)]) for i in range(size)]
    if isinstance(results[0], tuple):
        return tuple([torch.stack(parts) for parts in zip(*results)])
    return torch.stack(results)


def same(found, expected):
    if isinstance(expected, tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            same(one, other)
        return
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), 1e-9, 1e-9)


def equals_the_loop(function, in_dims, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(torch.vmap(function, in_dims)(*args), looped(function, in_dims, *args))


# ------------------------------------------------------------------------------------------------ one call of each family

B, N, C = 3, 4, 5
ONE = {
    "elementwise": lambda x: x.sin() * 2 + x.square(),
    "elementwise, other ranks": lambda x: x * torch.arange(3.0).reshape(3, 1, 1),
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "where": lambda x: torch.where(x > 0, x, -1.0),
    "activations": lambda x: F.gelu(x) + F.silu(x) + F.elu(x) + F.leaky_relu(x) + F.softplus(x) + F.hardswish(x),
    "softmax": lambda x: x.softmax(0) + x.log_softmax(-1),
    "sum": lambda x: (x.sum(), x.sum(0), x.sum((0, 1)), x.mean(1, keepdim=True)),
    "extremes": lambda x: (x.amax(0), x.max(1)[1], x.argmin(), x.argmax(0, keepdim=True)),
    "spread": lambda x: (x.var(0), x.std(), x.logsumexp(1), x.norm()),
    "truth": lambda x: ((x > 0).any(), (x > 0).all(1), (x > 0).count_nonzero(0)),
    "shape": lambda x: (x.reshape(-1), x.t(), x.unsqueeze(1), x[None].squeeze(0), x.movedim(0, 1), x.flatten()),
    "expand": lambda x: (x[:, :1].expand(-1, 7), x.expand(2, *x.shape), x.repeat(2, 1, 3)),
    "parts": lambda x: (x[1], x[:, 1:3], x[..., -1], x[::2], x.diagonal(), x.unfold(1, 2, 1), *x.unbind(0), *x.split(2, 1)),
    "joined": lambda x: (torch.cat([x, x * 2], 1), torch.stack([x, x], 1), x.roll(1, 0), x.flip(1)),
    "cumulative": lambda x: (x.cumsum(0), x.cumprod(1), x.logcumsumexp(0), x.cummax(1)[0], x.diff()),
    "sorted": lambda x: (*x.sort(1), *x.topk(2, 0), *x.kthvalue(2, 1), *x.median(0), x.median(), x.argsort(0)),
    "triangles": lambda x: (x.tril(), x.triu(1)),
    "padded": lambda x: (F.pad(x, (1, 2)), F.pad(x[None], (1, 1), "reflect"), F.pad(x[None], (1, 1), "circular")),
    "pooled": lambda x: (F.max_pool1d(x, 2), F.avg_pool1d(x, 2), F.adaptive_avg_pool1d(x, 2), F.adaptive_max_pool1d(x, 2)),
    "places of maxima": lambda x: F.max_pool1d(x[None], 2, return_indices=True),
    "resampled": lambda x: F.interpolate(x[None], 7, mode="linear"),
    "transformed": lambda x: (torch.fft.fft(x, dim=0).abs(), torch.fft.irfft(torch.fft.rfft(x))),
    "indexed": lambda x: (x[[0, 2]], x[:, [0, 2]], x[[0, 1], [1, 2]], x[[0, 1], None, [1, 2]]),
    "gathered": lambda x: (
        x.gather(1, torch.tensor([[0, 1], [2, 0]])),
        x.index_select(0, torch.tensor([1, 1])),
        x.take(torch.tensor([3])),
    ),
    "scattered": lambda x: x.scatter_add(0, torch.zeros(2, 5, dtype=torch.int64), x[:2]),
    "filled": lambda x: (x.masked_fill(x > 0, 9.0), x.index_fill(0, torch.tensor([1]), 2.0), torch.zeros_like(x), x.new_ones(2)),
    "decomposed": lambda x: (torch.linalg.svdvals(x), torch.linalg.inv(x[:, :4] + 4 * torch.eye(4)), torch.linalg.det(x[:, :4])),
    "normalized": lambda x: (
        F.layer_norm(x, (C,)),
        F.group_norm(x[None], 2),
        F.batch_norm(x, None, None, training=True),
        F.normalize(x),
    ),
    "types": lambda x: (x.float().double(), x.long(), x.bool()),
    "memory": lambda x: (x.as_strided((2, 2), (1, 2)), x.contiguous(), x.clone()),
    "embedded": lambda x: F.embedding(x.abs().long().clamp(max=2), torch.arange(6.0).reshape(3, 2)),
    "losses": lambda x: (
        F.mse_loss(x, x * 2),
        F.cross_entropy(x, torch.tensor([0, 1, 2, 3])),
        F.huber_loss(x, x * 3, reduction="none"),
    ),
    "losses of labels": lambda x: F.cross_entropy(x, x.argmin(1), reduction="none", label_smoothing=0.1),
    "attention": lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None], is_causal=True),
    "einsum": lambda x: torch.einsum("ij,kj->ik", x, x),
    "distances": lambda x: torch.cdist(x, x),
}


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("name", ONE)
def test_a_function_of_one_tensor_equals_the_loop(rng, name, dim):
    x = draw(rng, B, N, C).movedim(0, dim)
    equals_the_loop(ONE[name], (dim,), x)


def both(*shapes):
    return shapes


W = (6, 5)
TWO = {
    "add": (lambda a, b: a + b, (4, 5), (5,)),
    "compare": (lambda a, b: a < b, (4, 1), (5,)),
    "pow": (lambda a, b: a.abs() ** b, (4, 5), (1,)),
    "number with tensor": (lambda a, b: a * b, (), (4, 5)),
    "vectors": (lambda a, b: (a @ b, torch.outer(a, b)), (5,), (5,)),
    "matrix and vector": (lambda a, b: a @ b, (4, 5), (5,)),
    "vector and matrix": (lambda a, b: a @ b, (4,), (4, 5)),
    "matrices": (lambda a, b: a @ b, (4, 5), (5, 6)),
    "stacks of matrices": (lambda a, b: a @ b, (2, 4, 5), (5, 6)),
    "stacks of both": (lambda a, b: a @ b, (2, 4, 5), (7, 1, 5, 6)),
    "linear": (F.linear, (4, 5), (6, 5)),
    "addmm": (lambda a, b: torch.addmm(a[0], a, b, beta=2, alpha=3), (4, 4), (4, 4)),
    "conv1d": (F.conv1d, (2, 4, 7), (6, 4, 3)),
    "conv2d": (lambda a, b: F.conv2d(a, b, padding=1, stride=2), (2, 4, 5, 5), (6, 4, 3, 3)),
    "conv2d in groups": (lambda a, b: F.conv2d(a, b, groups=2), (2, 4, 5, 5), (6, 2, 3, 3)),
    "conv2d, depthwise": (lambda a, b: F.conv2d(a, b, groups=4), (2, 4, 5, 5), (4, 1, 3, 3)),
    "conv_transpose2d": (lambda a, b: F.conv_transpose2d(a, b, stride=2), (2, 4, 3, 3), (4, 3, 3, 3)),
    "solve": (torch.linalg.solve, (4, 4), (4, 2)),
    "cat": (lambda a, b: torch.cat([a, b], 1), (4, 5), (4, 2)),
    "where": (lambda a, b: torch.where(a > 0, a, b), (4, 5), (5,)),
    "masked_fill": (lambda a, b: a.masked_fill(b > 0, 1.0), (4, 5), (5,)),
    "fill by a tensor": (lambda a, b: a.masked_fill(a > 0, b), (4, 5), ()),
    "put": (lambda a, b: a.index_put((torch.tensor([0, 2]),), b), (4, 5), (5,)),
    "layer_norm": (lambda a, b: F.layer_norm(a, (5,), b), (4, 5), (5,)),
    "batch_norm": (lambda a, b: F.batch_norm(a, None, None, b, training=True), (4, 5), (5,)),
    "prelu": (F.prelu, (2, 5, 3), (5,)),
    "lerp": (lambda a, b: torch.lerp(a, b, 0.3), (4, 5), (5,)),
    "copy": (lambda a, b: a.clone().copy_(b), (4, 5), (5,)),
    "cross_entropy of shares": (lambda a, b: F.cross_entropy(a, b.softmax(-1)), (4, 5), (4, 5)),
    "kl_div": (lambda a, b: F.kl_div(a.log_softmax(-1), b.softmax(-1), reduction="batchmean"), (4, 5), (4, 5)),
}


@pytest.mark.parametrize("in_dims", [(0, 0), (0, None), (None, 0), (-1, 0)])
@pytest.mark.parametrize("name", TWO)
def test_a_function_of_two_tensors_equals_the_loop(rng, name, in_dims):
    function, *shapes = TWO[name]
    args = []
    for dim, shape in zip(in_dims, shapes):
        whole = draw(rng, *shape) if dim is None else draw(rng, B, *shape).movedim(0, dim)
        args.append(whole)
    if name in ("copy", "put") and in_dims == (None, 0):
        args[0] = args[0].expand(B, *args[0].shape)
        in_dims = (0, 0)
    if name == "solve":
        args[0] = args[0] + (5 * torch.eye(4) if in_dims[0] in (None, 0) else 5 * torch.eye(4).unsqueeze(-1))
    equals_the_loop(function, in_dims, *args)


@pytest.mark.parametrize("in_dims", [(0, 0), (0, None), (None, 0)])
@pytest.mark.parametrize("name", [name for name in TWO if name not in ("compare", "copy")])
def test_the_gradient_of_a_batch_is_a_batch_of_gradients(rng, name, in_dims):
    function, *shapes = TWO[name]
    args = [draw(rng, *shape) if dim is None else draw(rng, B, *shape) for dim, shape in zip(in_dims, shapes)]
    if name == "solve":
        args[0] = args[0] + 5 * torch.eye(4)

    def total(a, b):
        found = function(a, b)
        return sum([one.sin().sum() for one in (found if isinstance(found, tuple) else (found,))])

    equals_the_loop(torch.func.grad(total, argnums=(0, 1)), in_dims, *args)
    whole = torch.func.grad(lambda a, b: torch.vmap(total, in_dims)(a, b).sum(), argnums=(0, 1))(*args)
    alone = torch.func.grad(lambda a, b: looped(total, in_dims, a, b).sum(), argnums=(0, 1))(*args)
    same(whole, alone)


@pytest.mark.parametrize(
    "name", ["softmax", "sum", "cumulative", "indexed", "normalized", "losses", "pooled", "attention", "parts"]
)
def test_derivatives_forwards_of_a_batch(rng, name):
    x, t = draw(rng, B, N, C), draw(rng, B, N, C)

    def first(x):
        found = ONE[name](x)
        return found[0] if isinstance(found, tuple) else found

    found = torch.vmap(lambda x, t: torch.func.jvp(first, (x,), (t,)))(x, t)
    same(found, looped(lambda x, t: torch.func.jvp(first, (x,), (t,)), (0, 0), x, t))
    same(torch.func.jvp(torch.vmap(first), (x,), (t,)), found)


# ------------------------------------------------------------------------------------------------ indices of each element


@pytest.mark.parametrize("in_dims", [(0, 0), (None, 0)])
def test_each_element_has_indices_of_its_own(rng, in_dims):
    x = draw(rng, N, C, 3) if in_dims[0] is None else draw(rng, B, N, C, 3)
    index = torch.from_numpy(rng.integers(0, 3, (B, 2)))
    calls = (
        lambda x, i: x[i],
        lambda x, i: x[:, i],
        lambda x, i: x[i, :, i],
        lambda x, i: x[1, i],
        lambda x, i: x[i[0]],
        lambda x, i: x.index_select(1, i),
        lambda x, i: x.index_add(1, i, x[:, :2]),
        lambda x, i: x.index_fill(0, i, 1.0),
        lambda x, i: x.index_copy(0, i[:1], x[:1]),
        lambda x, i: x.index_put((i, i), x[0, 0], accumulate=True),
        lambda x, i: x.gather(0, i.reshape(1, 2, 1)),
        lambda x, i: x.take(i),
        lambda x, i: F.embedding(i, x[:, 0]),
        lambda x, i: F.one_hot(i, 4),
        lambda x, i: F.nll_loss(x[:2, :, 0], i),
    )
    for call in calls:
        equals_the_loop(call, in_dims, x, index)


def test_the_loss_of_labels_leaves_ignored_ones_out(rng):
    x, labels = draw(rng, B, N, C), torch.tensor([[0, -100, 2, 1], [4, 4, -100, -100], [1, 2, 3, 0]])
    weight = draw(rng, C).abs()
    for options in (
        {},
        {"weight": weight},
        {"reduction": "sum"},
        {"reduction": "none"},
        {"label_smoothing": 0.2, "weight": weight},
    ):
        call = lambda x, y, options=options: F.cross_entropy(x, y, **options)
        equals_the_loop(call, (0, 0), x, labels)
        equals_the_loop(torch.func.grad(lambda x, y, call=call: call(x, y).sum()), (0, 0), x, labels)


# ------------------------------------------------------------------------------------------------ nesting, chunks, networks


def test_batches_nest(rng):
    x, y = draw(rng, 2, 3, 4), draw(rng, 5, 4)
    found = torch.vmap(torch.vmap(torch.vmap(torch.mul), in_dims=(0, None)), in_dims=(0, None))(x, y[0])
    same(found, x * y[0])
    pairs = torch.vmap(torch.vmap(torch.dot, in_dims=(0, None)), in_dims=(None, 0))(x[0], y)
    same(pairs, y @ x[0].T)


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 7])
def test_chunks_give_the_same(rng, chunk_size):
    x = draw(rng, 5, 4)
    whole = torch.vmap(lambda a: {"s": a.sum(), "t": (a * 2,)}, out_dims=0)(x)
    parts = torch.vmap(lambda a: {"s": a.sum(), "t": (a * 2,)}, out_dims=0, chunk_size=chunk_size)(x)
    same(parts["s"], whole["s"])
    same(parts["t"], whole["t"])


@pytest.mark.parametrize("chunk_size", [None, 1, 2])
def test_rows_of_a_jacobian_in_chunks(rng, chunk_size):
    x, w = draw(rng, 4), draw(rng, 5, 4)
    same(torch.func.jacrev(lambda x: (w @ x).sin(), chunk_size=chunk_size)(x), (w @ x).cos()[:, None] * w)


def test_the_gradient_of_each_sample_keeps_a_product_of_the_batch_one_product(rng):
    """The forward of a linear layer is one product of the batch: the rule does not split the weight."""
    from mini_dl.ops.matmul import _batched, _rows

    seen, plain, stacks = [], RULES[_rows.op], RULES[_batched.op]
    RULES[_rows.op] = lambda call: (seen.append("rows"), plain(call))[1]
    RULES[_batched.op] = lambda call: (seen.append("batched"), stacks(call))[1]
    try:
        torch.vmap(lambda x, w: F.linear(x, w), in_dims=(0, None))(draw(rng, B, 5), draw(rng, 6, 5))
    finally:
        RULES[_rows.op], RULES[_batched.op] = plain, stacks
    assert seen == ["rows"]


@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_recurrent_networks(rng, kind):
    net = kind(3, 4).double()
    x = draw(rng, B, 5, 2, 3)
    same(torch.vmap(lambda x: net(x)[0])(x), torch.stack([net(one)[0] for one in x]))
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def total(parameters, x):
        return torch.func.functional_call(net, parameters, (x,))[0].sin().sum()

    grads = torch.vmap(torch.func.grad(total), in_dims=(None, 0))(parameters, x)
    for name in parameters:
        same(grads[name], torch.stack([torch.func.grad(total)(parameters, one)[name] for one in x]))


def test_statistics_of_batch_norm_are_kept_for_each_network(rng):
    nets = [torch.nn.BatchNorm1d(3).double() for _ in range(2)]
    parameters, buffers = torch.func.stack_module_state(nets)
    x = draw(rng, 2, 5, 3)

    def call(parameters, buffers, x):
        out = torch.func.functional_call(nets[0], (parameters, buffers), (x,))
        return out, buffers["running_mean"] * 1

    out, means = torch.vmap(call)(parameters, buffers, x)
    for i, net in enumerate(nets):
        same(out[i], net(x[i]))
        same(means[i], net.running_mean)


# ------------------------------------------------------------------------------------------------ what is refused


def test_the_array_within_refuses_to_be_read(rng):
    seen = []
    torch.vmap(lambda a: (seen.append(a._array), a)[1])(draw(rng, B, 2, 3))
    (array,) = seen
    assert isinstance(array, AbstractArray) and array.shape == (2, 3) and array.flags.c_contiguous and len(array) == 2
    for read in (
        lambda: np.asarray(array),
        lambda: np.sin(array),
        lambda: array + 1,
        lambda: 1 - array,
        lambda: array == 0,
        lambda: array[0],
        lambda: array.sum(),
        lambda: array.copy(),
        lambda: np.sum(array),
        lambda: np.concatenate([array, array]),
        lambda: bool(array),
        lambda: list(array),
        lambda: array.tolist(),
    ):
        with pytest.raises(RuntimeError):
            read()


def test_what_a_batch_may_not_be_written_into_stays_as_it_was(rng):
    x, target = draw(rng, B, 4), torch.zeros(4, dtype=torch.float64)
    for write in (
        lambda a: target.add_(a),
        lambda a: target.copy_(a),
        lambda a: target.__setitem__(slice(None), a),
        lambda a: target.masked_fill_(a > 0, 1.0),
        lambda a: target.fill_(a[0]),
        lambda a: target.index_put_((torch.tensor([0]),), a[:1]),
    ):
        with pytest.raises(RuntimeError, match="vmap: inplace arithmetic"):
            torch.vmap(write)(x)
        assert not target.any()


def test_the_level_is_left_whatever_happens(rng):
    from mini_dl.autograd.mode import at_work, mode

    with pytest.raises(ZeroDivisionError):
        torch.vmap(lambda a: 1 / 0)(draw(rng, B))
    with pytest.raises(RuntimeError):
        torch.vmap(torch.vmap(lambda a: a.item()))(draw(rng, B, 2))
    assert mode.stack == () and not at_work.anywhere


def test_threads_have_batches_of_their_own(rng):
    x = draw(rng, B, 4)
    found, inside, over = {}, threading.Event(), threading.Event()

    def other():
        inside.wait()
        found["other"] = (x * 2).sum(), torch.rand(2).shape
        over.set()

    thread = threading.Thread(target=other)
    thread.start()

    def call(a):
        inside.set()
        over.wait()
        return a * 2

    same(torch.vmap(call)(x), x * 2)
    thread.join()
    assert float(found["other"][0]) == pytest.approx(float((x * 2).sum()))


# ------------------------------------------------------------------------------------------------ the loop, and the rules


def test_the_loop_warns_once_for_each_call_and_gives_the_same(rng):
    x = draw(rng, B, 9)
    with pytest.warns(UserWarning, match="performance drop .* aten::histc") as caught:
        found = torch.vmap(lambda a: torch.histc(a, 4))(x)
    assert len(caught) == 1 and caught[0].filename == __file__
    same(found, torch.stack([torch.histc(a, 4) for a in x]))


def test_what_goes_one_by_one_is_differentiated(rng):
    x, grid = draw(rng, B, 1, 2, 4, 4), draw(rng, B, 1, 3, 3, 2).tanh()

    def total(x, grid):
        return F.grid_sample(x, grid, align_corners=False).sin().sum()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = torch.vmap(torch.func.grad(total, argnums=(0, 1)))(x, grid)
        whole = torch.func.grad(lambda x, g: torch.vmap(total)(x, g).sum(), argnums=(0, 1))(x, grid)
        forwards = torch.vmap(lambda x, g, t: torch.func.jvp(lambda x: total(x, g), (x,), (t,)))(x, grid, x.cos())
    alone = looped(torch.func.grad(total, argnums=(0, 1)), (0, 0), x, grid)
    same(found, alone)
    same(whole, alone)
    same(forwards[1], (alone[0] * x.cos()).sum((1, 2, 3, 4)))


WITHOUT = frozenset(
    "compared replaced_by _slope_of_gamma _gamma_numbers _dirichlet_points _dirichlet_grad _moved _embedding_sparse "
    "row_norm_backward channel_norm_backward evaluated _attention_backward _unique2 _unique_consecutive _unique_dim "
    "cross_entropy_slope".split()
)
"""Primitives that run element by element, or are never called on a batch: those of gradients are for where no transform runs."""


def test_every_primitive_is_of_a_family():
    known = [p for p in known_primitives() if p.forward.__module__.startswith("mini_dl.")]  # others belong to tests
    left = {p.name for p in known if p not in RULES and not p.unary and not hasattr(p, "promote")}
    assert left <= WITHOUT
    assert {ELEMENTWISE, LOOP} <= RULES.keys()


def test_batched_gradients_are_computed_in_one_run(rng):
    x = draw(rng, 4).requires_grad_()
    y = x.sin() * x.sum()
    (found,) = torch.autograd.grad(y, x, torch.eye(4, dtype=torch.float64), is_grads_batched=True)
    rows = [torch.autograd.grad(x.sin() * x.sum(), x, row)[0] for row in torch.eye(4, dtype=torch.float64)]
    same(found, torch.stack(rows))


def test_gradcheck_compares_batches(rng):
    x = draw(rng, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: x.sin() * x.sum(), (x,), check_batched_grad=True)

    class Wrong(torch.autograd.Function):
        generate_vmap_rule = False

        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, grad):
            return grad * 2 if grad.is_contiguous() and grad._level is None else grad * 3

    with pytest.raises(torch.autograd.gradcheck.__globals__["GradcheckError"]):
        torch.autograd.gradcheck(Wrong.apply, (x,), check_batched_grad=True)


def test_a_tensor_that_escaped_is_refused(rng):
    seen = []
    torch.vmap(lambda a: (seen.append(a), a)[1])(draw(rng, B, 4))
    (escaped,) = seen
    for use in (
        lambda: escaped + 1,
        lambda: 2.5 - escaped,
        lambda: escaped * escaped,
        lambda: escaped.sin(),
        lambda: escaped.sum(),
    ):
        with pytest.raises(RuntimeError, match="vmap"):
            use()
    with pytest.raises(RuntimeError, match="escaped from inside"):
        torch.vmap(lambda a: a + escaped)(draw(rng, B, 4))


def test_a_function_whose_first_call_was_refused_can_be_mapped() -> None:
    """In a new process: the code of a call is written at its first call, and again when the first transform starts."""
    program = """if True:
        import mini_dl as torch
        try:
            torch.special.xlog1py(torch.ones(2), torch.ones(3))
        except RuntimeError:
            print(torch.vmap(torch.special.xlog1py)(torch.ones(3), torch.zeros(3)).tolist())
    """
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert ran.stdout == "[0.0, 0.0, 0.0]\n", ran.stderr


def test_batched_gradients_are_checked_of_functions_that_use_some_arguments_only() -> None:
    x, y = (torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x, y: (x.sin(), (x * x).sum(), y**3), (x, y), check_batched_grad=True)
