"""Hooks, the engine, grad mode and autograd.Function, under both libraries."""

from __future__ import annotations

import copy

from parity_tests.twin import function_of, outcome, raised, twin


@twin
def test_tensor_hooks_see_and_change_the_gradient(torch, rng):
    seen = []
    x = rng(3, grad=True)
    y = x * 2
    handles = [y.register_hook(lambda g: seen.append(("first", g.clone()))), y.register_hook(lambda g: g * 3)]
    y.register_hook(lambda g: seen.append(("third", g.clone())))
    x.register_hook(lambda g: g + 1)
    (y * y).sum().backward()
    handles[1].remove()
    first = x.grad.clone()
    x.grad = None
    y = x * 2
    (y * y).sum().backward()
    return seen, first, x.grad


@twin
def test_hooks_that_return_the_wrong_thing(torch, rng):
    found = []
    for wrong in (lambda g: 3, lambda g: g[:1], lambda g: g.double(), lambda g: g.tolist()):
        x = rng(3, grad=True)
        y = x * 2
        y.register_hook(wrong)
        found.append(raised(lambda y=y: y.sum().backward()))
    x = rng(3)
    return found, raised(lambda: x.register_hook(lambda g: g))


@twin
def test_post_accumulate_hooks_run_after_the_gradient_is_there(torch, rng):
    seen = []
    x = rng(3, grad=True)
    handle = x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    (x * x).sum().backward()
    (x * 3).sum().backward()
    handle.remove()
    x.sum().backward()
    return seen, x.grad, raised(lambda: (x * 1).register_post_accumulate_grad_hook(print))


@twin
def test_node_hooks(torch, rng):
    seen = []
    x = rng(3, grad=True)
    y = x.exp()
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append(("after", inputs[0].clone(), outputs[0].clone())))
    y.grad_fn.register_prehook(lambda outputs: seen.append(("before", outputs[0].clone())))
    (y * 2).sum().backward()
    return seen, x.grad, y.grad_fn.name()


@twin
def test_nodes_of_the_graph(torch, rng):
    x, w = rng(2, 3, grad=True), rng(3, grad=True)
    results = [
        x + w,
        x * w,
        x - 1,
        x / 2,
        -x,
        x**2,
        x.exp(),
        x.log(),
        x.sum(),
        x.mean(),
        x.t(),
        x @ w,
        x.relu(),
        x.tanh(),
        x.sigmoid(),
        x.view(6),
        x[0],
        x[:, 1],
        x.softmax(0),
        x.log_softmax(1),
        x.clone(),
        x.unsqueeze(0),
        x.squeeze(),
        x.abs(),
        x.sqrt(),
        x.sin(),
        x.cos(),
        x.permute(1, 0),
        x.transpose(0, 1),
        x.expand(2, 2, 3),
        x.cumsum(0),
        torch.cat([x, x]),
        torch.stack([x, x]),
        x.max(),
        x.max(0)[0],
        x.prod(),
        x.clamp(0, 1),
        x.gather(0, torch.zeros(1, 3).long()),
        x.reshape(3, 2),
        x.flatten(),
        x.var(),
        x.std(),
        x.norm(),
        x.pow(3),
        x.triu(),
        x.flip(0),
        x.repeat(2, 1),
        x.roll(1),
    ]
    names = [r.grad_fn.name() for r in results]
    y = (x * 2).exp()
    chain, node = [], y.grad_fn
    while node is not None:
        chain.append((node.name(), len(node.next_functions)))
        node = node.next_functions[0][0] if node.next_functions else None
    return names, chain


@twin
def test_backward_twice_needs_retain_graph(torch, rng):
    x = rng(3, grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    third = raised(lambda: y.backward())
    z = (x + 1).sum()
    z.backward()
    return third, x.grad, raised(lambda: z.backward())


@twin
def test_backward_needs_a_gradient_unless_scalar(torch, rng):
    x = rng(3, grad=True)
    y = x * 2
    tries = [
        lambda: y.backward(),
        lambda: y.backward(rng(2)),
        lambda: y.backward(rng(3, dtype="int64"), retain_graph=True),
        lambda: y.backward(rng(3, dtype="float64"), retain_graph=True),
        lambda: rng(3).backward(),
        lambda: rng(3).sum().backward(),
        lambda: torch.autograd.grad(y, x),
        lambda: torch.autograd.grad(y.sum(), rng(3)),
        lambda: torch.autograd.grad(y.sum(), rng(3, grad=True)),
        lambda: torch.autograd.backward([y, y], [rng(3)]),
        lambda: torch.autograd.grad((y * 1j).sum(), x),
    ]
    return [raised(t) for t in tries]


@twin
def test_grad_with_inputs_unused_and_materialized(torch, rng):
    x, w, u = rng(3, grad=True), rng(3, grad=True), rng(2, grad=True)
    y = (x * w).sum()
    return (
        torch.autograd.grad(y, (x, w), retain_graph=True),
        torch.autograd.grad(y, (x, u), retain_graph=True, allow_unused=True),
        torch.autograd.grad(y, (x, u), retain_graph=True, materialize_grads=True),
        torch.autograd.grad(y, y, retain_graph=True),
        raised(lambda: torch.autograd.grad(y, u, retain_graph=True, materialize_grads=True, allow_unused=False)),
        torch.autograd.grad([y, w.sum()], [w], [torch.tensor(2.0), torch.tensor(3.0)]),
        x.grad is None,
    )


@twin
def test_backward_to_chosen_inputs(torch, rng):
    x, w = rng(3, grad=True), rng(3, grad=True)
    y = x * w
    z = y.exp()
    z.sum().backward(inputs=[x], retain_graph=True)
    first = x.grad.clone(), w.grad
    z.sum().backward(inputs=[y], retain_graph=True)
    return first, y.grad, raised(lambda: z.sum().backward(inputs=[])), w.grad


@twin
def test_create_graph_gives_a_gradient_with_history(torch, rng):
    x = rng(3, grad=True)
    (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad((g**2).sum(), x, create_graph=True)
    (k,) = torch.autograd.grad(h.sum(), x)
    (plain,) = torch.autograd.grad((x**3).sum(), x)
    return g, h, k, g.requires_grad, plain.requires_grad, plain.grad_fn


@twin
def test_gradients_accumulate(torch, rng):
    x = rng(3, grad=True)
    for _ in range(3):
        (x * x).sum().backward()
    same = x.grad
    x.sum().backward()
    kept = x.grad is same
    (x**2).sum().backward(create_graph=True)
    return x.grad, kept, x.grad.requires_grad


@twin
def test_a_tensor_used_many_times(torch, rng):
    x = rng(4, grad=True)
    y = x
    for i in range(6):
        y = y * x + y.sin() - x[i % 4]
    return torch.autograd.grad((y * rng(4)).sum(), x)


@twin
def test_retain_grad_of_an_inner_tensor(torch, rng):
    x = rng(3, grad=True)
    y = x * 2
    y.retain_grad()
    z = y.exp()
    z.sum().backward()
    return y.grad, y.retains_grad, z.retains_grad, raised(lambda: rng(3).retain_grad()), x.retains_grad


@twin
def test_reading_the_gradient_of_an_inner_tensor_warns(torch, rng):
    y = rng(3, grad=True) * 2
    return y.grad


@twin
def test_grad_mode_nests_and_restores(torch, rng):
    x = rng(2, grad=True)
    seen = []

    def note():
        seen.append((torch.is_grad_enabled(), (x * 2).requires_grad))

    note()
    with torch.no_grad():
        note()
        with torch.enable_grad():
            note()
            with torch.set_grad_enabled(False):
                note()
            note()
        note()
    note()
    try:
        with torch.no_grad():
            raise KeyError
    except KeyError:
        note()
    torch.set_grad_enabled(False)
    note()
    torch.set_grad_enabled(True)
    note()
    return seen


@twin
def test_grad_mode_decorates_functions_and_generators(torch, rng):
    x = rng(2, grad=True)

    @torch.no_grad()
    def without(a):
        """What it does."""
        return a * 2

    @torch.enable_grad()
    def within(a):
        return a * 2

    @torch.no_grad()
    def count():
        got = yield torch.is_grad_enabled()
        while got:
            got = yield (torch.is_grad_enabled(), got)

    generator = count()
    steps = [next(generator), torch.is_grad_enabled(), generator.send(5), torch.is_grad_enabled()]
    with torch.no_grad():
        inside = within(x).requires_grad

    @torch.no_grad
    def bare(a):
        return a * 3

    return without(x).requires_grad, inside, steps, without.__name__, without.__doc__, bare(x).requires_grad


@twin
def test_inference_mode(torch, rng):
    x = rng(3, grad=True)
    with torch.inference_mode():
        y = x * 2
        v = x[:2]
        inner = torch.is_inference_mode_enabled(), torch.is_grad_enabled(), y.is_inference()
    return (
        inner,
        y.requires_grad,
        y.is_inference(),
        x.is_inference(),
        torch.is_inference_mode_enabled(),
        v.is_inference(),
        raised(lambda: y.requires_grad_()),
        raised(lambda: (y * x).sum().backward()),
        raised(lambda: y.add_(1)),
        (y + 1).is_inference(),
        y.clone().is_inference(),
        raised(lambda: y._version),
    )


@twin
def test_requires_grad_of_results(torch, rng):
    x, c = rng(3, grad=True), rng(3)
    i = rng(3, dtype="int64")
    found = [
        t.requires_grad
        for t in (x + c, c + 1, x.detach(), x.argmax(), x > 0, x.long(), x.max(0)[0], x.sort()[1], x.clone(), x.data)
    ]
    tries = [
        lambda: i.requires_grad_(),
        lambda: setattr(x + 1, "requires_grad", False),
        lambda: setattr(x + 1, "requires_grad", True),
        lambda: torch.tensor([1, 2], requires_grad=True),
        lambda: x.numpy(),
        lambda: torch.ones(2, requires_grad=True).is_leaf,
    ]
    return found, [raised(t) for t in tries], x.is_leaf, (x + 1).is_leaf, c.is_leaf, x.detach().is_leaf


@twin
def test_assigning_gradients(torch, rng):
    x = rng(3, grad=True)
    x.grad = torch.ones(3)
    (x * 2).sum().backward()
    tries = [
        lambda: setattr(x, "grad", torch.ones(2)),
        lambda: setattr(x, "grad", torch.ones(3).double()),
        lambda: setattr(x, "grad", 3),
        lambda: setattr(x, "grad", x),
    ]
    return x.grad, [raised(t) for t in tries]


@twin
def test_a_function_with_its_own_backward(torch, rng):
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            ctx.save_for_backward(x)
            ctx.scale = scale
            return scale * x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * ctx.scale * 3 * x**2, None

    x = rng(3, grad=True)
    y = Cube.apply(x, 2.0)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    return (
        y,
        g,
        torch.autograd.grad(g.sum(), x),
        y.grad_fn.name(),
        y.requires_grad,
        Cube.apply(x.detach(), 1.0).requires_grad,
    )


@twin
def test_function_flags(torch, rng):
    seen = []

    class Two(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.mark_non_differentiable(index := a.argmax())
            ctx.set_materialize_grads(False)
            return a * 1, b * 2, index

        @staticmethod
        def backward(ctx, g, h, n):
            seen.append((g is None, h is None, n is None, ctx.needs_input_grad))
            return g, (None if h is None else h * 2)

    a, b = rng(3, grad=True), rng(3)
    x, y, n = Two.apply(a, b)
    x.sum().backward()
    return a.grad, seen, x.requires_grad, y.requires_grad, n.requires_grad


@twin
def test_function_that_writes_in_place(torch, rng):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            x.mul_(2)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    a = rng(3, grad=True)
    x = a * 1
    y = Double.apply(x)
    y.sum().backward()
    return a.grad, y is x, x._version, raised(lambda: Double.apply(rng(3, grad=True)))


@twin
def test_function_mistakes(torch, rng):
    def make(back, forward=lambda ctx, x: x * 2):
        return function_of(torch, "F", forward=forward, backward=back)

    x = rng(3, grad=True)
    once = make(lambda ctx, g: g)
    tries = [
        lambda: make(lambda ctx, g: (g, g)).apply(x).sum().backward(),
        lambda: make(lambda ctx, g: g[:1].repeat(5)).apply(x).sum().backward(),
        lambda: make(lambda ctx, g: 3).apply(x).sum().backward(),
        lambda: make(lambda ctx, g: None).apply(x).sum().backward(),
        lambda: once.apply(x).sum().backward(),
    ]

    class NoBackward(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    return [raised(t) for t in tries], raised(lambda: NoBackward.apply(x).sum().backward()), x.grad


@twin
def test_function_with_setup_context(torch, rng):
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(x, k):
            return x * k

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.k = inputs[1]

        @staticmethod
        def backward(ctx, g):
            return g * ctx.k, None

    x = rng(3, grad=True)
    Scale.apply(x, 3.0).sum().backward()
    return x.grad


@twin
def test_functional_derivatives(torch, rng):
    f = lambda x: (x**3).sum() + x.prod()
    vector = lambda x: x.sin() * x.sum()
    x, v = rng(3), rng(3)
    F = torch.autograd.functional
    return (
        F.jacobian(vector, x),
        F.hessian(f, x),
        F.vjp(vector, x, v),
        F.jvp(vector, x, v),
        F.vhp(f, x, v),
        F.hvp(f, x, v),
        F.jacobian(lambda a, b: a * b.sum(), (x, v)),
        F.jacobian(vector, x, create_graph=True).requires_grad,
    )


@twin
def test_gradcheck(torch, rng):
    x, y = rng(3, dtype="float64", grad=True), rng(3, dtype="float64", grad=True)

    Wrong = type("Wrong", (torch.autograd.Function,), {
        "forward": staticmethod(lambda ctx, x: x * 2), "backward": staticmethod(lambda ctx, g: g * 3)
    })  # fmt: skip

    return (
        torch.autograd.gradcheck(lambda a, b: a.sin() * b, (x, y)),
        torch.autograd.gradgradcheck(lambda a, b: a.sin() * b, (x, y)),
        raised(lambda: torch.autograd.gradcheck(Wrong.apply, (x,))),
        torch.autograd.gradcheck(Wrong.apply, (x,), raise_exception=False),
    )


@twin
def test_saved_tensor_hooks(torch, rng):
    seen = []

    def pack(t):
        seen.append(("pack", t.shape))
        return t * 1

    def unpack(t):
        seen.append(("unpack", t.shape))
        return t

    x = rng(3, grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = x.exp()
    y.sum().backward()
    return len(seen), x.grad


@twin
def test_a_deep_graph_does_not_recurse(torch, rng):
    x = rng(1, grad=True)
    y = x
    for _ in range(3000):
        y = y * 1.0001
    y.sum().backward()
    return x.grad


@twin
def test_in_place_chains_and_the_engine(torch, rng):
    x, w = rng(3, 3, grad=True), rng(3, grad=True)
    y = x.clone()
    y.mul_(w).add_(1).sin_()
    y[0].mul_(2)
    y.t()[1].add_(w)
    z = (y * rng(3, 3)).sum()
    first = torch.autograd.grad(z, (x, w), create_graph=True)
    return first, outcome(lambda: torch.autograd.grad((first[0] * first[0]).sum(), (x, w), allow_unused=True))


@twin
def test_deep_copies(torch, rng):
    x = rng(3, 4, grad=True)
    (x * 2).sum().backward()
    x.mark = [1]
    base = rng(4, 3)
    views = [base, base[1], base.t()[::2], base.expand(2, 4, 3), rng(0, 3), rng(2, dtype="int64").detach()]
    y, copies = copy.deepcopy(x), copy.deepcopy(views)
    copies[0][1] = 7
    strides = [t.stride() for t in copies if t.numel()]
    twice = copy.deepcopy([x, x])
    return y, y.grad, y.requires_grad, y.mark, copies, strides, views, twice[0] is twice[1], raised(lambda: copy.deepcopy(x * 2))


@twin
def test_what_a_function_returns_as_it_came_may_not_be_written(torch, rng):
    class Same(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, n):
            return x, n

        @staticmethod
        def backward(ctx, grad, _):
            return grad * 3, None

    x = rng(3, grad=True)
    y, n = Same.apply(x * 1, torch.arange(3))
    n += 1
    free, _ = Same.apply(rng(3), n)
    free += 1
    y.sum().backward()
    return y._is_view(), raised(lambda: y.add_(1)), raised(lambda: y[0].mul_(2)), x.grad, n


@twin
def test_which_arguments_of_a_convolution_may_be_written_before_the_way_back(torch, rng):
    found = []
    for grads in ((True, False), (False, True), (True, True)):
        for written in (0, 1):
            x, w = (rng(*shape, grad=grad) for shape, grad in zip(((1, 2, 5, 5), (2, 2, 3, 3)), grads))
            arguments = [x * 1, w * 1]
            out = torch.nn.functional.conv2d(*arguments).sum()
            with torch.no_grad():
                arguments[written].add_(1)
            found.append(raised(out.backward) is None)
    return found
