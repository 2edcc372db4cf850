"""vmap under both libraries: per-sample gradients, ensembles, draws by value, writes, indices, errors word by word."""

from __future__ import annotations

import functools
import warnings

import pytest

from parity_tests.twin import message, outcome, twin


def answer(action):
    """The result of `action`, or the exception and its message; without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return action()
        except Exception as error:
            return type(error).__name__, str(error)


# ------------------------------------------------------------------------------------------------ networks


def convolutional(torch):
    return torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1),
        torch.nn.GroupNorm(2, 4),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 3, 3, stride=2, groups=1),
        torch.nn.Flatten(),
        torch.nn.LayerNorm(3),
        torch.nn.Linear(3, 5),
    )


@twin
def test_per_sample_gradients_of_a_convolutional_network(torch, rng):
    net = convolutional(torch)
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def loss(parameters, x, y):
        return torch.nn.functional.cross_entropy(torch.func.functional_call(net, parameters, (x[None],)), y[None])

    x, y = rng(6, 2, 8, 8), torch.tensor([0, 1, 2, 3, 4, 0])
    together = torch.func.vmap(torch.func.grad_and_value(loss), in_dims=(None, 0, 0))(parameters, x, y)
    alone = [torch.func.grad(loss)(parameters, one, label) for one, label in zip(x, y)]
    return (
        together,
        alone,
        [bool(torch.allclose(together[0][k], torch.stack([a[k] for a in alone]), atol=1e-5)) for k in parameters],
    )


@twin
@pytest.mark.parametrize("in_dims", [(0, 0, None), (0, 0, 0)])
def test_an_ensemble_of_ten_networks(torch, rng, in_dims):
    models = [torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)) for _ in range(10)]
    parameters, buffers = torch.func.stack_module_state(models)
    x = rng(5, 4) if in_dims[2] is None else rng(10, 5, 4)

    def call(parameters, buffers, x):
        return torch.func.functional_call(models[0], (parameters, buffers), (x,))

    out = torch.vmap(call, in_dims)(parameters, buffers, x)
    out.square().sum().backward()
    return out, {name: p.grad for name, p in parameters.items()}


@twin
def test_an_ensemble_of_convolutional_networks_is_trained_at_once(torch, rng):
    models = [convolutional(torch) for _ in range(3)]
    parameters, buffers = torch.func.stack_module_state(models)
    x, y = rng(4, 2, 8, 8), torch.tensor([0, 1, 2, 3])

    def loss(parameters, buffers):
        return torch.nn.functional.cross_entropy(torch.func.functional_call(models[0], (parameters, buffers), (x,)), y)

    grads = torch.vmap(torch.func.grad(loss))({k: p.detach() for k, p in parameters.items()}, buffers)
    return grads, torch.vmap(loss)(parameters, buffers)


@twin
def test_batch_norm_needs_statistics_of_its_own(torch, rng):
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
    x = rng(4, 2, 2, 6, 6)
    before = message(lambda: torch.vmap(net)(x))
    torch.func.replace_all_batch_norm_modules_(net)
    norm = net[1]
    return before, torch.vmap(net)(x), norm.running_mean, norm.running_var, norm.num_batches_tracked, norm.track_running_stats


@twin
def test_attending_networks(torch, rng):
    found = []
    for net, shape in (
        (torch.nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0), (2, 5, 2, 4)),
        (torch.nn.MultiheadAttention(4, 2), (2, 5, 2, 4)),
    ):
        x = rng(*shape)
        call = (lambda x, net=net: net(x, x, x)) if isinstance(net, torch.nn.MultiheadAttention) else net
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(torch.vmap(call)(x))
    return found


@twin
def test_the_hessian_of_each_sample(torch, rng):
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    energy = lambda x: net(x).sum()
    x = rng(5, 3)
    return (
        answer(lambda: torch.vmap(torch.func.hessian(energy))(x)),
        answer(lambda: torch.vmap(torch.func.jacfwd(torch.func.grad(energy)))(x)),
    )


# ------------------------------------------------------------------------------------------------ dimensions


@twin
def test_dimensions_of_inputs_and_outputs(torch, rng):
    x, y = rng(3, 4), rng(4)
    return [
        answer(action)
        for action in (
            lambda: torch.vmap(torch.mul, in_dims=(0, None))(x, y),
            lambda: torch.vmap(torch.dot, in_dims=(1, -1))(x, x),
            lambda: torch.vmap(lambda a: (a, a.sum()), out_dims=(1, 0))(x),
            lambda: torch.vmap(lambda a: a, out_dims=-1)(x),
            lambda: torch.vmap(lambda a: y)(x),
            lambda: torch.vmap(lambda a: (a, 5), out_dims=(0, None))(x),
            lambda: torch.vmap(lambda d: {"o": [d["a"] + d["b"][0]]}, in_dims=({"a": 0, "b": [None]},))({"a": x, "b": [y]}),
            lambda: torch.vmap(lambda a, b=None: a * b.sum())(x, b=x),
            lambda: torch.vmap(torch.vmap(lambda a, b: a * b, in_dims=(0, None)), in_dims=(None, 0))(y, x),
            lambda: torch.vmap(torch.vmap(torch.vmap(torch.sin)))(rng(2, 3, 4)),
            lambda: torch.vmap(lambda a: a.sin() @ a)(torch.zeros(0, 4)),
            lambda: torch.vmap(lambda a: (a, {"s": a.sum()}), chunk_size=2)(x),
            lambda: torch.vmap(lambda a: a, chunk_size=2, out_dims=1)(x),
            lambda: torch.vmap(lambda a: sum(a) * len(a))(x),
            lambda: torch.vmap(lambda a: a.sum() * 0 + a.stride(0) + 10 * a.is_contiguous(), in_dims=1)(x),
            lambda: torch.func.vmap is torch.vmap,
        )
    ]


@twin
def test_dimensions_that_do_not_fit(torch, rng):
    x, y = rng(3, 4), rng(4)
    one = lambda a: a
    return [
        message(action)
        for action in (
            lambda: torch.vmap(one, in_dims=[0])(x),
            lambda: torch.vmap(one, in_dims=(0.5,))(x),
            lambda: torch.vmap(one, in_dims=(0, 0))(x),
            lambda: torch.vmap(one, in_dims=2)(x),
            lambda: torch.vmap(one, in_dims=-3)(x),
            lambda: torch.vmap(lambda a, b: a)(x, 3),
            lambda: torch.vmap(lambda: 1)(),
            lambda: torch.vmap(one, in_dims=None)(x),
            lambda: torch.vmap(one, in_dims=(None,))(x),
            lambda: torch.vmap(lambda a, b: a)(x, y),
            lambda: torch.vmap(one, out_dims="a")(x),
            lambda: torch.vmap(lambda a: (a, a), out_dims=(0, 0, 0))(x),
            lambda: torch.vmap(one, out_dims=(0, 0))(x),
            lambda: torch.vmap(one, out_dims=3)(x),
            lambda: torch.vmap(one, out_dims=None)(x),
            lambda: torch.vmap(lambda a: (a, 3))(x),
            lambda: torch.vmap(lambda a: None)(x),
            lambda: torch.vmap(one, randomness="any")(x),
            lambda: torch.vmap(one, chunk_size=0)(x),
            lambda: torch.vmap(functools.partial(torch.add, alpha=2), in_dims=3)(x),
        )
    ]


# ------------------------------------------------------------------------------------------------ values, writes, indices


@twin
def test_values_that_may_not_be_read(torch, rng):
    x = rng(3, 4)
    seen = []

    def escaping(a):
        seen.append(a)
        return a

    return [
        message(lambda call=call: torch.vmap(call)(x))
        for call in (
            lambda a: a.sum().item(),
            lambda a: float(a.sum()),
            lambda a: int(a.sum()),
            lambda a: [1, 2][a.sum().long()],
            lambda a: a if a.sum() > 0 else -a,
            lambda a: a.tolist(),
            lambda a: a.numpy(),
            lambda a: a.data_ptr(),
            lambda a: a.data,
            lambda a: a.nonzero(),
            lambda a: a[a > 0],
            lambda a: a.clone().__setitem__(a > 0, 0.0),
            lambda a: a.unique(),
            lambda a: torch.equal(a, a),
            lambda a: torch.allclose(a, a),
            lambda a: torch.add(a, a, out=torch.empty(4)),
            lambda a: a.requires_grad_(),
            lambda a: a.sum().backward(),
        )
    ]


@twin
def test_writes(torch, rng):
    x, y = rng(3, 4), rng(4)

    def items(a):
        z = a.clone()
        z[1] = a[0]
        z[2:] = 7
        z[torch.tensor([0])] = a[3]
        return z

    def like(a):
        z = torch.zeros_like(a)
        z[1] = a[0]
        z.add_(y)
        return z

    def through_a_view(a):
        c = a.clone()
        c.view(2, 2)[0].mul_(2)
        return c

    def first_of_zeros(a):
        z = torch.zeros(4)
        z[0] = a[0]
        return z

    return [
        answer(lambda call=call: torch.vmap(call)(x))
        for call in (
            items,
            like,
            through_a_view,
            first_of_zeros,
            lambda a: torch.zeros(4).mul_(a),
            lambda a: torch.zeros(4).copy_(a),
            lambda a: a.new_zeros(2, 4).add_(a),
            lambda a: a.new_full((2, 4), 3.0).mul_(a),
            lambda a: torch.full_like(a, 3.0).mul_(a),
            lambda a: a.clone().fill_(a[0]),
            lambda a: a.clone().masked_fill_(a > 0, 1.0),
            lambda a: a.clone().relu_(),
            lambda a: a.clone().sort()[0].zero_().add_(1),
            lambda a: a.clone().unsqueeze_(0),
        )
    ]


@twin
def test_writes_reach_the_batch(torch, rng):
    x = rng(3, 4)
    torch.vmap(lambda a: a[1:].mul_(2))(x)
    torch.vmap(lambda a: a.add_(1), in_dims=1, out_dims=1)(x)
    return x


@twin
def test_indices(torch, rng):
    x, y = rng(3, 4), rng(4)
    i, pairs = torch.tensor([0, 3, 1]), torch.tensor([[0, 1], [1, 1], [1, 0]])
    cube = rng(2, 3, 2)

    def put(a, i):
        a = a.clone()
        a[i] = y[0]
        return a

    return [
        answer(action)
        for action in (
            lambda: torch.vmap(lambda a, i: a[i])(x, i),
            lambda: torch.vmap(lambda i: y[i])(i),
            lambda: torch.vmap(lambda a, i: a.view(2, 2)[:, i])(x, pairs),
            lambda: torch.vmap(lambda a, i: a.view(2, 2)[i])(x, pairs),
            lambda: torch.vmap(lambda a, i: a.view(2, 2)[i, None])(x, pairs),
            lambda: torch.vmap(lambda i, j: cube[i, :, j])(pairs[:, 0], pairs[:, 1]),
            lambda: torch.vmap(lambda i, j: cube[i, :, j])(pairs, pairs.flip(1)),
            lambda: torch.vmap(lambda a: a[[0, 1], :, [1, 0]], in_dims=1)(rng(2, 3, 4, 2)),
            lambda: torch.vmap(lambda a: a[torch.tensor([True, False, True, False])])(x),
            lambda: torch.vmap(put)(x, i),
            lambda: torch.vmap(lambda a, i: a.index_put((i,), y[:1], accumulate=True))(x, i[:, None]),
            lambda: torch.vmap(lambda a, i: a.index_select(0, i))(x, pairs),
            lambda: torch.vmap(lambda a, i: a.index_add(0, i, y[:2]))(x, pairs),
            lambda: torch.vmap(lambda a, i: a.gather(0, i))(x, pairs),
            lambda: torch.vmap(lambda a, i: torch.take_along_dim(a, i, 0))(x, pairs),
            lambda: torch.vmap(lambda i: torch.nn.functional.embedding(i, cube[:, :, 0]))(pairs),
            lambda: torch.vmap(lambda w, i: torch.nn.functional.embedding(i, w), in_dims=(1, 0))(cube, pairs[:, :1].repeat(1, 1)),
            lambda: torch.vmap(lambda i: torch.nn.functional.one_hot(i, 4))(i),
        )
    ]


@twin
def test_types_are_those_of_single_elements(torch, rng):
    numbers = torch.tensor([1.5, 2.5, 3.5])
    return [
        torch.vmap(lambda a: a * torch.tensor([1, 2]))(numbers),
        torch.vmap(lambda a: a * torch.tensor([1, 2], dtype=torch.float32))(numbers.double()),
        torch.vmap(lambda a: torch.tensor([1, 2]) / a)(torch.tensor([1, 2, 3])),
        torch.vmap(lambda a: torch.where(a > 2, a, 0))(numbers),
        torch.vmap(lambda a: (a > 2) + torch.tensor([1.0], dtype=torch.float16))(numbers),
    ]


@twin
def test_tensors_within_print_what_they_stand_for(torch, rng):
    x = rng(3, 2)
    seen = []
    torch.vmap(lambda a: (seen.append(str(a)), seen.append(str(a.sum())), a)[2])(x)
    torch.vmap(torch.vmap(lambda a: (seen.append(str(a)), a)[1]))(x)
    torch.vmap(torch.func.grad(lambda a: (seen.append(str(a)), a.sum())[1]))(x)
    return seen


# ------------------------------------------------------------------------------------------------ draws

DRAWS = {
    "rand": lambda t, a: a + t.rand(4),
    "randn": lambda t, a: t.randn(5, 5),
    "randint": lambda t, a: t.randint(0, 10, (3,)),
    "randperm": lambda t, a: t.randperm(5),
    "rand_like": lambda t, a: t.rand_like(a),
    "randn_like": lambda t, a: t.randn_like(a),
    "randint_like": lambda t, a: t.randint_like(a, 5),
    "normal of a size": lambda t, a: t.normal(0.0, 1.0, (3,)),
    "normal around tensors": lambda t, a: t.normal(a, 1.0),
    "normal of two tensors": lambda t, a: t.normal(a, a.abs()),
    "bernoulli": lambda t, a: t.bernoulli(a.abs().clamp(max=1)),
    "bernoulli of a number": lambda t, a: t.bernoulli(a, 0.5),
    "bernoulli_": lambda t, a: t.zeros_like(a).bernoulli_(0.5),
    "bernoulli_ of a tensor": lambda t, a: t.zeros_like(a).bernoulli_(t.tensor([0.1, 0.5, 0.7, 0.9])),
    "bernoulli_ of a batch": lambda t, a: t.zeros_like(a).bernoulli_(a.abs().clamp(max=1)),
    "normal_": lambda t, a: t.zeros_like(a).normal_(),
    "normal_ in one": lambda t, a: t.zeros(4).normal_(),
    "uniform_": lambda t, a: t.empty_like(a).uniform_(),
    "exponential_": lambda t, a: t.empty_like(a).exponential_(),
    "random_": lambda t, a: t.empty_like(a).random_(0, 7),
    "cauchy_": lambda t, a: t.empty_like(a).cauchy_(),
    "geometric_": lambda t, a: t.empty_like(a).geometric_(0.3),
    "log_normal_": lambda t, a: t.empty_like(a).log_normal_(),
    "dropout": lambda t, a: t.nn.functional.dropout(a),
    "dropout of the same": lambda t, a: a + t.nn.functional.dropout(t.ones(4)),
    "dropout in place": lambda t, a: t.nn.functional.dropout(a.clone(), inplace=True),
    "dropout2d": lambda t, a: t.nn.functional.dropout2d(a.reshape(1, 2, 2, 1)),
    "alpha_dropout": lambda t, a: t.nn.functional.alpha_dropout(a, training=True),
    "feature_alpha_dropout": lambda t, a: t.nn.functional.feature_alpha_dropout(a.reshape(1, 2, 2), training=True),
    "multinomial": lambda t, a: t.multinomial(a.abs(), 2),
    "multinomial with replacement": lambda t, a: t.multinomial(a.abs(), 5, True),
    "multinomial of the same": lambda t, a: t.multinomial(t.ones(4), 2),
    "multinomial of rows": lambda t, a: t.multinomial(a.abs().reshape(2, 2), 1),
    "poisson": lambda t, a: t.poisson(a.abs() * 3),
    "binomial": lambda t, a: t.binomial(t.full_like(a, 5.0), a.abs().clamp(max=1)),
    "rrelu": lambda t, a: t.nn.functional.rrelu(a, training=True),
    "gumbel_softmax": lambda t, a: t.nn.functional.gumbel_softmax(a),
}


@twin
@pytest.mark.parametrize("randomness", ["different", "same", "error"])
@pytest.mark.parametrize("draw", DRAWS)
def test_draws(torch, rng, draw, randomness):
    x = rng(3, 4)
    return answer(lambda: torch.vmap(lambda a: DRAWS[draw](torch, a), randomness=randomness)(x)), torch.rand(1)


@twin
@pytest.mark.parametrize("outer", ["different", "same"])
@pytest.mark.parametrize("inner", ["different", "same"])
def test_draws_in_nested_batches(torch, rng, outer, inner):
    x = rng(3, 2)
    both = {"randomness": outer}, {"randomness": inner}
    return (
        torch.vmap(torch.vmap(lambda a: a + torch.randn(2), **both[1]), **both[0])(x),
        answer(lambda: torch.vmap(torch.vmap(lambda a: torch.nn.functional.dropout(a), **both[1]), **both[0])(x)),
        torch.vmap(lambda a: torch.randn_like(a), in_dims=1, **both[0])(x),
        torch.vmap(lambda a: torch.empty_like(a).normal_(), in_dims=1, **both[0])(x),
        torch.vmap(lambda a: torch.nn.functional.dropout(a), in_dims=1, **both[0])(x),
        torch.vmap(lambda a: a + torch.randn(2), chunk_size=2, **both[0])(x),
    )


# ------------------------------------------------------------------------------------------------ with derivatives


@twin
def test_derivatives_and_batches_in_any_order(torch, rng):
    x, y = rng(3, 4), rng(4)
    t = torch

    def written(a):
        c = a.clone()
        c[1:].mul_(2)
        return (c * c).sum()

    def written_through_a_view(a):
        c = a * 1
        c.view(2, 2)[0].mul_(a[0])
        return (c * c).sum()

    def backward():
        p = y.clone().requires_grad_()
        t.vmap(lambda a: (a * p).exp().sum())(x).sum().backward()
        return p.grad

    return [
        answer(action)
        for action in (
            lambda: t.vmap(t.func.grad(lambda a: (a * a * y).sum()))(x),
            lambda: t.func.grad(lambda a: t.vmap(lambda b: (b * y).sin())(a).sum())(x),
            lambda: t.vmap(t.func.hessian(lambda a: (a.sin() * y).prod()))(x),
            lambda: t.func.jacfwd(t.func.jacrev(lambda a: t.vmap(lambda b: b.sin() * y)(a).sum(0)))(x),
            lambda: t.vmap(lambda a: t.func.jvp(lambda b: b.sin().cumsum(0), (a,), (y,)))(x),
            lambda: t.func.jvp(lambda b: t.vmap(lambda r: r.softmax(0))(b), (x,), (x.cos(),)),
            lambda: t.vmap(t.func.vjp(lambda a: a.sin() * a.sum(), y)[1])(t.eye(4)),
            backward,
            lambda: t.vmap(t.func.grad(written))(x),
            lambda: t.vmap(t.func.grad(written_through_a_view))(x),
            lambda: t.func.grad(lambda a: t.vmap(written)(a).sum())(x),
            lambda: t.vmap(lambda a: a * 2)(x.clone().requires_grad_()).requires_grad,
            lambda: t.vmap(t.func.grad(lambda a: a.cumprod(0).sum()))(x),
            lambda: t.func.jacrev(lambda a: a.sin() @ x.T, chunk_size=2)(y),
        )
    ]


def cube(torch, generate=False, rule=None):
    class Cube(torch.autograd.Function):
        generate_vmap_rule = generate

        @staticmethod
        def forward(x, w):
            return x**3 * w, x.sum()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)
            ctx.size = inputs[0].shape

        @staticmethod
        def backward(ctx, g, gs):
            x, w = ctx.saved_tensors
            return g * 3 * x**2 * w + gs.expand(ctx.size), g * x**3

        @staticmethod
        def jvp(ctx, tx, tw):
            x, w = ctx.saved_tensors
            return 3 * x**2 * w * tx + x**3 * tw, tx.sum()

    if rule is not None:
        Cube.vmap = staticmethod(rule)
    return Cube.apply


def own_rule(info, in_dims, x, w):
    x = x.expand(info.batch_size, *x.shape) if in_dims[0] is None else x.movedim(in_dims[0], 0)
    w = w if in_dims[1] is None else w.movedim(in_dims[1], 0)
    return (x**3 * w, x.sum(-1)), (0, 0)


FUNCTIONS = {
    "generated": {"generate": True},
    "its own": {"rule": own_rule},
    "both": {"generate": True, "rule": own_rule},
    "none": {},
    "three returns": {"rule": lambda info, in_dims, x, w: (x, x, x)},
}


@twin
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_custom_functions(torch, rng, kind):
    f, t = cube(torch, **FUNCTIONS[kind]), torch
    x, y = rng(3, 4), rng(4)

    def backward():
        p, q = x.clone().requires_grad_(), y.clone().requires_grad_()
        out, total = t.vmap(f, in_dims=(0, None))(p, q)
        (out.sin().sum() + (total**2).sum()).backward()
        return p.grad, q.grad

    return [
        answer(action)
        for action in (
            lambda: t.vmap(f, in_dims=(0, None))(x, y),
            lambda: t.vmap(f)(x, x.cos()),
            lambda: t.vmap(f, in_dims=(None, 0))(y, x.cos()),
            lambda: t.vmap(t.vmap(f, in_dims=(0, None)), in_dims=(0, None))(x.reshape(3, 2, 2), y[:2]),
            backward,
            lambda: t.vmap(t.func.grad(lambda a, b: f(a, b)[0].sum(), argnums=(0, 1)), in_dims=(0, None))(x, y),
            lambda: t.func.grad(lambda a, b: t.vmap(f, in_dims=(0, None))(a, b)[0].sin().sum(), argnums=(0, 1))(x, y),
            lambda: t.func.jvp(lambda a, b: t.vmap(f, in_dims=(0, None))(a, b), (x, y), (x.cos(), y.sin())),
        )
    ]


@twin
def test_one_by_one_where_there_is_no_rule(torch, rng):
    x = rng(3, 5)
    found = []
    for call in (lambda a: torch.histc(a, 3), lambda a: torch.bincount((a > 0).long(), minlength=2)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found.append(outcome(lambda call=call: torch.vmap(call)(x)))
        found.append([str(w.message).partition(" (Triggered")[0] for w in caught][:1])
    return found
