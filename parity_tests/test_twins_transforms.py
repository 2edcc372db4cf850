"""Derivatives of functions under both libraries: ``func``, forward mode, and programs written with them."""

from __future__ import annotations

import importlib
import itertools
import warnings

import pytest

from parity_tests.twin import function_of, message, outcome, raised, twin

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    importlib.import_module("torch._decomp.decompositions_for_jvp")  # as torch does when forward mode is first used, and warns

# ------------------------------------------------------------------------------------------------ programs


def network(torch, rng, *sizes, dtype="float64"):
    """Parameters of an MLP, and the function that runs it."""
    params = {}
    for i, (n, m) in enumerate(itertools.pairwise(sizes)):
        params[f"w{i}"], params[f"b{i}"] = rng(n, m, dtype=dtype) * 0.5, rng(m, dtype=dtype) * 0.1

    def run(params, x):
        for i in range(len(sizes) - 1):
            x = x @ params[f"w{i}"] + params[f"b{i}"]
            x = x.tanh() if i < len(sizes) - 2 else x
        return x

    return params, run


@twin
def test_hessian_vector_products_three_ways(torch, rng):
    func = torch.func
    params, run = network(torch, rng, 3, 5, 1)
    x, v = rng(3, dtype="float64"), rng(3, dtype="float64")

    def f(x):
        return run(params, x).sum()

    forward_over_reverse = func.jvp(func.grad(f), (x,), (v,))[1]
    reverse_over_forward = func.grad(lambda x: func.jvp(f, (x,), (v,))[1])(x)
    reverse_over_reverse = func.vjp(func.grad(f), x)[1](v)[0]
    return forward_over_reverse, reverse_over_forward, reverse_over_reverse, func.hessian(f)(x) @ v


@twin
def test_the_jacobian_and_the_hessian_of_a_network_both_ways(torch, rng):
    func = torch.func
    params, run = network(torch, rng, 3, 4, 2)
    x = rng(3, dtype="float64")
    jacobians = [make(run, argnums=which)(params, x) for make in (func.jacrev, func.jacfwd) for which in (0, 1, (0, 1))]

    def loss(params, x):
        return run(params, x).square().mean()

    outer, inner = (func.jacrev, func.jacfwd), (func.jacrev, func.jacfwd)
    return (
        jacobians,
        [make(take(loss, argnums=1), argnums=1)(params, x) for make in outer for take in inner],
        func.hessian(loss)(params, x),
    )


@twin
def test_a_jacobian_in_chunks(torch, rng):
    x = rng(4, 3)
    f = lambda x: {"a": x.softmax(1), "b": (x.sum(0), x.exp().mean())}
    return [torch.func.jacrev(f, chunk_size=n)(x) for n in (None, 1, 2, 5, 100)], torch.func.jacfwd(f)(x)


@twin
def test_a_physics_informed_loss_with_fourth_derivatives(torch, rng):
    """The beam equation u'''' = q: the loss, and its gradient with respect to the parameters."""
    func = torch.func
    params, run = network(torch, rng, 1, 6, 6, 1)
    points = torch.linspace(0, 1, 5, dtype=torch.float64)

    def u(params, x):
        return run(params, x.reshape(1)).squeeze()

    def derivative(f):
        return func.grad(f, argnums=1)

    fourth = derivative(derivative(derivative(derivative(u))))

    def along(f):
        return lambda params, x: func.jvp(lambda x: f(params, x), (x,), (torch.ones_like(x),))[1]

    def loss(params, fourth=fourth):
        residual = torch.stack([fourth(params, x) for x in points]) - 1
        ends = u(params, points[0]) ** 2 + derivative(u)(params, points[-1]) ** 2
        return (residual**2).mean() + ends

    forwards = along(along(along(along(u))))
    mixed = along(derivative(along(derivative(u))))
    return func.grad_and_value(loss)(params), [f(params, points[2]) for f in (fourth, forwards, mixed)]


@twin
def test_maml_with_an_inner_loop(torch, rng):
    func = torch.func
    params, run = network(torch, rng, 1, 8, 1)
    tasks = [(rng(6, 1, dtype="float64"), rng(6, 1, dtype="float64"), rng(6, 1, dtype="float64")) for _ in range(3)]

    def loss(params, x, y):
        return (run(params, x) - y).square().mean()

    def adapted(params, x, y):
        for _ in range(3):
            grads = func.grad(loss)(params, x, y)
            params = {name: params[name] - 0.1 * grads[name] for name in params}
        return params

    def outer(params):
        return sum(loss(adapted(params, x, y), x, z) for x, y, z in tasks)

    for _ in range(2):
        grads, value = func.grad_and_value(outer)(params)
        params = {name: params[name] - 0.05 * grads[name] for name in params}
    return value, params


@twin
def test_derivatives_of_a_module_by_functional_call(torch, rng):
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.GELU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(8, 3)
    )
    params = {name: p.detach() for name, p in net.named_parameters()}
    directions = {name: rng(*p.shape) for name, p in params.items()}
    x, y = rng(4, 1, 6, 6), torch.tensor([0, 2, 1, 1])

    def loss(params):
        return torch.nn.functional.cross_entropy(torch.func.functional_call(net, params, (x,)), y)

    return torch.func.jvp(loss, (params,), (directions,)), torch.func.grad(loss)(params)


# ------------------------------------------------------------------------------------------------ func


@twin
def test_auxiliary_results_and_trees(torch, rng):
    func, x, y = torch.func, rng(3), rng(3)
    f = lambda x, y: ((x["a"] * y).sum(), {"twice": x["a"] * 2})
    tree = {"a": x}
    out, back, aux = func.vjp(lambda x: (x.sin(), x * 2), x, has_aux=True)
    return (
        func.grad(f, has_aux=True)(tree, y), func.grad_and_value(f, argnums=(0, 1), has_aux=True)(tree, y), out, back(y), aux,
        func.jvp(lambda x: (x.sin(), x * 2), (x,), (y,), has_aux=True), func.jacrev(lambda x: (x.sin(), x * 2), has_aux=True)(x),
        func.jacfwd(lambda x: (x.sin(), x * 2), has_aux=True)(x), func.grad(f, argnums=-1, has_aux=True)(tree, y)[0],
    )  # fmt: skip


@twin
def test_what_does_not_depend_on_the_input_has_a_derivative_of_zeros(torch, rng):
    func, x = torch.func, rng(3)
    return (
        func.grad(lambda x: torch.ones(()))(x), func.grad(lambda x: x.detach().sum())(x), func.jacrev(lambda x: torch.ones(2))(x),
        func.jvp(lambda x: torch.ones(2), (x,), (x,)), func.jacfwd(lambda x: x.detach())(x),
        func.vjp(lambda x: x.floor(), x)[1](x),
        func.grad(lambda x: func.grad(lambda y: (x * y).sum().detach() + y.sum())(x).sum())(x),
    )  # fmt: skip


@twin
def test_no_grad_inside_is_obeyed_and_outside_is_not(torch, rng):
    func, x = torch.func, rng(3)

    def f(x):
        with torch.no_grad():
            c = x**2
        return (x - c).sum()

    with torch.no_grad():
        outside = func.grad(lambda x: (x**3).sum())(x), func.grad(lambda x: func.grad(f)(x).sum())(x)
        inner = func.jvp(f, (x,), (x,))
    w = rng(3, grad=True)
    kept = func.grad(lambda x: (x * w).sum() * x.sum())(x)
    with torch.no_grad():
        lost = func.grad(lambda x: (x * w).sum() * x.sum())(x)
    return func.grad(f)(x), outside, inner, kept.requires_grad, lost.requires_grad, torch.autograd.grad(kept.sum(), w)


@twin
def test_a_transform_within_a_recorded_program(torch, rng):
    w = rng(3, 3, grad=True)
    x, v = rng(3), rng(3)
    f = lambda x: (w @ x).tanh().sum()
    first = torch.func.grad(f)(x)
    along = torch.func.jvp(torch.func.grad(f), (x,), (v,))[1]
    (first.sum() + along.square().sum()).backward()
    return first, along, w.grad


@twin
def test_writes_in_place_within_a_function(torch, rng):
    func, x, t = torch.func, rng(4), rng(4)

    def f(x):
        y = torch.zeros(2, 4)
        y[0] = x
        y[1, 1:3] = x[2:] * x[:2]
        z = y.clone()
        z.mul_(x)
        z[:, 0].add_(x[3])
        z[1].copy_(z[0].clone())
        z.view(-1)[2:4] *= 3
        return z

    total = lambda x: (f(x) ** 2).sum()
    return (
        func.jvp(f, (x,), (t,)),
        func.grad(total)(x),
        func.jvp(func.grad(total), (x,), (t,)),
        func.jacrev(f)(x),
        func.grad(lambda x: func.grad(total)(x).sum())(x),
    )


@twin
def test_vjp_may_be_called_again_and_after_the_fact(torch, rng):
    func, x = torch.func, rng(3)
    out, back = func.vjp(lambda x: x.exp() * x, x)
    second = func.jacrev(lambda c: back(c)[0])(out)
    return back(x), back(out), second, func.vjp(back, out)[1]((x,))


@twin
def test_linearize(torch, rng):
    x, y, t = rng(3), rng(3), rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's compiler
        out, along = torch.func.linearize(lambda x, y: {"a": x.sin() * y, "b": y.sum()}, x, y)
    return out, along(t, t * 2), along(y, x), raised(lambda: along(t)), raised(lambda: along(t, t[:2]))


@twin
def test_tensors_of_levels_as_text(torch, rng):
    x = torch.ones(2)
    torch.func.grad(lambda a: (print(a), torch.func.grad(lambda b: (print(b * a), (b * a).sum())[1])(a).sum())[1])(x)
    torch.func.jvp(lambda a: (print(a), a * 2)[1], (x,), (x,))
    with torch.autograd.forward_ad.dual_level():
        print(torch.autograd.forward_ad.make_dual(x, x))
    seen = []
    torch.func.grad(lambda a: (seen.append(a), a.sum())[1])(x)
    return torch.func.debug_unwrap(seen[0]), torch.func.debug_unwrap(x) is x


FAULTS = {
    "not a scalar": lambda t, x: t.func.grad(lambda x: x * 2)(x),
    "not a tensor": lambda t, x: t.func.grad(lambda x: 3)(x),
    "a number": lambda t, x: t.func.grad(lambda x: x.sum())(3),
    "a pair": lambda t, x: t.func.grad(lambda x: (x.sum(), 2))(x),
    "argnums too large": lambda t, x: t.func.grad(lambda x: x.sum(), argnums=1)(x),
    "argnums twice": lambda t, x: t.func.grad(lambda x: x.sum(), argnums=(0, 0))(x),
    "argnums none": lambda t, x: t.func.grad(lambda x: x.sum(), argnums=())(x),
    "argnums text": lambda t, x: t.func.grad(lambda x: x.sum(), argnums="a")(x),
    "no aux": lambda t, x: t.func.grad(lambda x: x.sum(), has_aux=True)(x),
    "backward": lambda t, x: t.func.grad(lambda x: (x.sum().backward(), x.sum())[1])(x),
    "requires_grad_": lambda t, x: t.func.grad(lambda x: x.requires_grad_().sum())(x),
    "retain_grad": lambda t, x: t.func.grad(lambda x: (x.retain_grad(), x.sum())[1])(x),
    "leaf in place": lambda t, x: t.func.grad(lambda x: x.add_(1).sum())(x),
    "integers": lambda t, x: t.func.grad(lambda x: x.sum())(x.long()),
    "primals a tensor": lambda t, x: t.func.jvp(lambda x: x, x, x),
    "tangents of another shape": lambda t, x: t.func.jvp(lambda x: x, (x,), (x[:2],)),
    "nothing": lambda t, x: t.func.jvp(lambda x: x, (), ()),
    "output a number": lambda t, x: t.func.jvp(lambda x: 2, (x,), (x,)),
    "output none": lambda t, x: t.func.vjp(lambda x: None, x),
    "strict": lambda t, x: t.func.jvp(lambda x: t.ones(2), (x,), (x,), strict=True),
    "integer outputs": lambda t, x: t.func.vjp(lambda x: x.long(), x),
    "cotangents of another tree": lambda t, x: t.func.vjp(lambda x: (x, x), x)[1](x),
    "chunk of nothing": lambda t, x: t.func.jacrev(lambda x: x, chunk_size=0),
    "complex in": lambda t, x: t.func.jacrev(lambda x: x)(x + 0j),
    "complex out": lambda t, x: t.func.jacfwd(lambda x: x + 0j)(x),
    "functionalize": lambda t, x: t.func.functionalize(lambda x: x, remove="all"),
    "dual outside": lambda t, x: t.autograd.forward_ad.make_dual(x, x),
    "exit outside": lambda t, x: t.autograd.forward_ad.exit_dual_level(),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_mistakes_are_refused_in_torchs_words(fault):
    @twin
    def body(torch, rng):
        return message(lambda: FAULTS[fault](torch, rng(3)))

    body()


@twin
def test_writing_into_a_captured_tensor_is_refused(torch, rng):
    x, y = rng(3), rng(3)
    fresh = torch.func.grad(lambda x: (torch.zeros(3).add_(x) ** 2).sum())(x)
    base = torch.func.grad(lambda x: (x.new_zeros(2, 3)[0].copy_(x) ** 2).sum())(x)
    return fresh, base, raised(lambda: torch.func.grad(lambda x: y.add_(x).sum())(x))


# ------------------------------------------------------------------------------------------------ forward mode


@twin
def test_tangents_of_views_and_of_what_is_written(torch, rng):
    ad = torch.autograd.forward_ad
    tangent = lambda x: ad.unpack_dual(x).tangent
    with ad.dual_level():
        t = rng(2, 3)
        x = ad.make_dual(rng(2, 3), t)
        row, column = x[0], x[:, 1]
        row.mul_(2)
        column.copy_(torch.ones(2))
        x[1, 2] = 7
        made = [tangent(one).clone() for one in (x, row, column)] + [t.clone()]
        base = torch.zeros(2, 2)
        first, second = base[0], base[1]
        first.copy_(ad.make_dual(torch.ones(2), torch.ones(2) * 3))
        later = [tangent(one) for one in (base, first, second)]
        flat = base.view(-1)
        flat[3] = ad.make_dual(torch.tensor(1.0), torch.tensor(5.0))
        return made, later, tangent(base), tangent(second), tangent(base.detach()), tangent(base.data), base


@twin
def test_the_end_of_a_level_takes_tangents_away(torch, rng):
    ad = torch.autograd.forward_ad
    with ad.dual_level():
        x = ad.make_dual(rng(3), rng(3))
        y = x * 2
        inside = ad.unpack_dual(y)
    y.mul_(2)
    again = ad.enter_dual_level()
    fresh = ad.unpack_dual(y)
    ad.exit_dual_level(level=again)
    return inside, ad.unpack_dual(y), fresh, y, again


@twin
def test_forward_mode_over_reverse_mode_and_the_other_way_round(torch, rng):
    ad = torch.autograd.forward_ad
    x, t = rng(3, dtype="float64", grad=True), rng(3, dtype="float64")
    with ad.dual_level():
        y = (ad.make_dual(x, t).exp() * x).sum()
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        over = ad.unpack_dual(g).tangent
        under = ad.unpack_dual(y).tangent
    (second,) = torch.autograd.grad(under, x)
    return over, under, second


@twin
def test_forward_mode_may_be_turned_off(torch, rng):
    ad = torch.autograd.forward_ad
    with ad.dual_level():
        x = ad.make_dual(rng(3), rng(3))
        with ad._set_fwd_grad_enabled(False):
            off = ad.unpack_dual(x * 2), ad._is_fwd_grad_enabled()
        with torch.no_grad():
            on = ad.unpack_dual(x * 2)
        return off, on, ad.unpack_dual(x.floor()), ad.unpack_dual(x > 0).tangent, ad.unpack_dual(torch.ones(2)).tangent


@twin
def test_mistakes_in_forward_mode(torch, rng):
    ad, x = torch.autograd.forward_ad, rng(3)
    with ad.dual_level():
        d = ad.make_dual(x, x)
        return [
            message(lambda: ad.make_dual(x, x[:2])), message(lambda: ad.make_dual(d, x)), message(lambda: ad.enter_dual_level()),
            message(lambda: ad.make_dual(x.long(), x)), message(lambda: ad.make_dual(x, x.long())),
            outcome(lambda: ad.exit_dual_level(level=3)), outcome(lambda: torch.add(d, d, out=torch.empty(3))),
            ad.unpack_dual(ad.make_dual(x, x.double())),
        ]  # fmt: skip


def custom(torch, jvp, forward=None, dirty=False):
    class Times(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y=None, n=2):
            ctx.save_for_forward(x)
            if dirty:
                ctx.mark_dirty(x)
            return x * n if forward is None else forward(x)

        @staticmethod
        def backward(ctx, g):
            return g * 2, None, None

    Times.jvp = staticmethod(jvp)
    return Times.apply


@twin
def test_the_jvp_of_a_custom_function(torch, rng):
    ad = torch.autograd.forward_ad
    tangent = lambda one: ad.unpack_dual(one).tangent
    seen = []
    with ad.dual_level():
        x = ad.make_dual(rng(3), rng(3))
        run = custom(torch, lambda ctx, a, b, c: (seen.append((a, b, c, *ctx.saved_tensors)), a * 2)[1])
        results = [tangent(run(x, None, 3)), tangent(run(x, x.detach(), 3))]
        results.append(tangent(custom(torch, lambda ctx, a, b, c: a.mul_(2), lambda x: x.mul_(2), True)(x.clone(), None, 3)))
        results.append(tangent(custom(torch, lambda ctx, a, b, c: a.view(3, 1), lambda x: x.view(3, 1))(x, None, 3)))
        faults = [
            message(lambda: custom(torch, lambda ctx, *a: (a[0], a[0]))(x, None, 3)),
            message(lambda: custom(torch, lambda ctx, *a: torch.ones(2))(x, None, 3)),
            message(lambda: custom(torch, lambda ctx, *a: 3)(x, None, 3)),
            message(lambda: custom(torch, lambda ctx, *a: a[0] * 2, lambda x: x.view(3, 1))(x, None, 3)),
            message(lambda: custom(torch, lambda ctx, *a: a[0] * 2, lambda x: x.mul_(2), True)(x.clone(), None, 3)),
        ]
    return results, faults, [tensors[0] for tensors in seen], [len(tensors) for tensors in seen]


@twin
def test_a_custom_function_with_setup_context_under_transforms(torch, rng):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(x, scale):
            return x * x * scale, x.sum()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.scale = inputs[1]
            ctx.save_for_backward(inputs[0])
            ctx.save_for_forward(inputs[0])

        @staticmethod
        def backward(ctx, g, s):
            return g * 2 * ctx.saved_tensors[0] * ctx.scale + s, None

        @staticmethod
        def jvp(ctx, t, _):
            return t * 2 * ctx.saved_tensors[0] * ctx.scale, t.sum()

    Old = function_of(torch, forward=lambda ctx, x: x * 2, backward=lambda ctx, g: g * 2)
    func, x, t = torch.func, rng(3), rng(3)
    f = lambda x: Square.apply(x, 3.0)[0].sum() * Square.apply(x, 2.0)[1]
    return (
        func.grad(f)(x), func.grad(lambda x: func.grad(f)(x).sum())(x), func.jvp(lambda x: Square.apply(x, 3.0), (x,), (t,)),
        func.jvp(func.grad(f), (x,), (t,)), func.jacrev(func.grad(f), chunk_size=1)(x),
        message(lambda: func.grad(lambda x: Old.apply(x).sum())(x)), message(lambda: func.jvp(Old.apply, (x,), (t,))),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------ autograd.functional


@twin
def test_jacobians_and_hessians_by_every_strategy(torch, rng):
    functional = torch.autograd.functional
    x, y = rng(2, 3), rng(3)
    f = lambda x, y: ((x * y).exp().sum(1), y.sum())
    g = lambda x, y: (x * y).sin().sum() * y.sum()
    ways = [("reverse-mode", False), ("reverse-mode", True), ("forward-mode", True)]
    found = [functional.jacobian(f, (x, y), strategy=way, vectorize=together) for way, together in ways]
    found += [functional.jacobian(lambda x: x.sin(), y, strategy=way, vectorize=together) for way, together in ways]
    second = [functional.hessian(g, (x, y), outer_jacobian_strategy=way, vectorize=together) for way, together in ways]
    faults = [
        message(lambda: functional.jacobian(f, (x, y), strategy="forward-mode")),
        message(lambda: functional.jacobian(f, (x, y), strategy="forward-mode", vectorize=True, strict=True)),
        message(lambda: functional.jacobian(f, (x, y), strategy="forward-mode", vectorize=True, create_graph=True)),
        message(lambda: functional.jacobian(f, (x, y), vectorize=True, strict=True)),
        raised(lambda: functional.hessian(g, (x, y), outer_jacobian_strategy="sideways")),
    ]
    return found, [[[b.detach() for b in row] for row in one] for one in second], faults


@twin
def test_gradients_of_a_batch(torch, rng):
    x = rng(3, grad=True)
    y, z = x**2, x.sum()
    batch, unused = rng(4, 3), rng(2, grad=True)
    return (
        torch.autograd.grad(y, x, batch, is_grads_batched=True, retain_graph=True),
        torch.autograd.grad((y, z), (x, unused), (batch, rng(4)), is_grads_batched=True, retain_graph=True, allow_unused=True),
        torch.autograd.grad(y, x, batch, is_grads_batched=True, create_graph=True)[0].requires_grad,
        raised(lambda: torch.autograd.grad(y, x, rng(4, 2), is_grads_batched=True)),
    )


@twin
def test_tensors_with_tangents(torch, rng):
    forward_ad = torch.autograd.forward_ad
    with forward_ad.dual_level():
        x = forward_ad.make_dual(rng(2), torch.ones(2))
        print(x, x.sum(), x[0] * 2, sep="\n")
