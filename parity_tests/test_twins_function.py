"""autograd.Function: the results and writes allowed in its backward, and the node it creates, under both libraries."""

from __future__ import annotations

import pytest

from parity_tests.twin import function_of, outcome, raised, twin


def function(torch, forward, back=lambda ctx, g: g * 2, name="F"):
    return function_of(torch, name, forward=forward, backward=back)


GRADIENTS = {
    "as it came": lambda g: g,
    "a sum": lambda g: g.sum(),
    "one row kept": lambda g: g[:1],
    "one row": lambda g: g[0],
    "one column kept": lambda g: g[:, :1],
    "more dimensions": lambda g: g.expand(4, 2, 3),
    "a dimension of one more": lambda g: g[None],
    "turned": lambda g: g.t(),
    "longer": lambda g: g.repeat(2, 1),
    "flat": lambda g: g.reshape(-1),
    "empty": lambda g: g[:0],
    "integers": lambda g: g.long(),
    "bools": lambda g: g > 0,
    "float64": lambda g: g.double(),
    "half": lambda g: g.half(),
    "complex": lambda g: g * 1j,
    "a list": lambda g: [g],
    "a tuple": lambda g: (g,),
    "a number": lambda g: 3,
    "None": lambda g: None,
    "too many": lambda g: (g, g),
    "too many, None": lambda g: (g, None, None),
    "none": lambda g: (),
    "a view of it": lambda g: g.view(3, 2).view(2, 3),
}


@twin
@pytest.mark.parametrize("kind", GRADIENTS)
@pytest.mark.parametrize("leaf", [True, False])
def test_what_backward_may_return(torch, rng, kind, leaf):
    x = rng(2, 3, grad=True)
    y = function(torch, lambda ctx, x: x * 2, lambda ctx, g: GRADIENTS[kind](g)).apply(x if leaf else x * 3)
    return raised(lambda: y.sum().backward()), x.grad


@twin
def test_gradients_by_shape_of_the_input(torch, rng):
    found = []
    for shape in ((), (1,), (3,), (1, 3), (2, 1), (0,), (2, 0)):
        for given in ((), (1,), (3,), (2, 3), (1, 1), (0,), (2, 0), (4, 1, 3)):
            x = rng(*shape, grad=True)
            y = function(torch, lambda ctx, x: x * 2, lambda ctx, g, given=given: torch.ones(given)).apply(x)
            found.append((shape, given, raised(lambda y=y: y.sum().backward()), x.grad))
    return found


@twin
def test_gradients_of_arguments_that_are_no_tensors(torch, rng):
    x, w = rng(3, grad=True), rng(3)
    f = lambda back: function(torch, lambda ctx, x, k, w: x * k + w, back).apply(x, 2, w)
    backs = [
        lambda ctx, g: (g, None, None),
        lambda ctx, g: (g, g, None),
        lambda ctx, g: (g, 3, None),
        lambda ctx, g: (g, None, g),
        lambda ctx, g: (g, None, g[0]),
        lambda ctx, g: (g, None, 3),
        lambda ctx, g: g,
        lambda ctx, g: (None, None, None),
    ]
    return [raised(lambda b=b: f(b).sum().backward()) for b in backs], x.grad, w.grad


@twin
def test_keywords_and_defaults(torch, rng):
    class Apart(torch.autograd.Function):
        @staticmethod
        def forward(x, k=2, *more):
            return x * k

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.inputs = inputs[1:]

        @staticmethod
        def backward(ctx, g):
            return g * ctx.inputs[0], *[None] * len(ctx.inputs)

    class Keyword(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, *, k=2):
            return x * k

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = rng(3, grad=True)
    calls = [
        lambda: Apart.apply(x),
        lambda: Apart.apply(x, 5),
        lambda: Apart.apply(x, k=5),
        lambda: Apart.apply(k=5, x=x),
        lambda: Apart.apply(x, 5, 6),
        lambda: Keyword.apply(x),
        lambda: Keyword.apply(x, k=3),
        lambda: function(torch, lambda ctx, x, k=4: x * k, lambda ctx, g: (g * 4, None)).apply(x, k=3),
        lambda: function(torch, lambda ctx, x, k=4: x * k, lambda ctx, g: g * 4).apply(x=x),
        lambda: Apart.apply(x, j=3),
        lambda: Apart.apply(),
    ]
    return [outcome(lambda c=c: torch.autograd.grad(c().sum(), x)) for c in calls]


@twin
def test_the_node_is_the_context(torch, rng):
    class MyFunction(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.save_for_backward(x, out := x * k, None)
            ctx.k = k
            before = ctx.saved_tensors, ctx.needs_input_grad
            ctx.before = before
            return out, 7

        @staticmethod
        def backward(ctx, g, _):
            return g * ctx.k, None

    x = rng(3, grad=True)
    y, seven = MyFunction.apply(x * 1, 3)
    node = y.grad_fn
    saved = node.saved_tensors
    same = node.saved_tensors[1].grad_fn is node
    result = (
        node.name(),
        type(node).__name__,
        node.k,
        node.before,
        node.needs_input_grad,
        len(saved),
        saved[2],
        saved[1].requires_grad,
        same,
        node is y.grad_fn,
        [(n.name(), k) for n, k in node.next_functions],
        node.metadata,
        y.output_nr,
        seven,
        raised(lambda: node.nothing),
        isinstance(node, torch.autograd.graph.Node),
        MyFunction.__name__,
    )
    node.metadata["a"] = 1
    y.sum().backward()
    return result, node.metadata, raised(lambda: node.saved_tensors), x.grad, node.k, str(node)[:20].split(".")[-1][:3]


@twin
def test_a_backward_that_saved_nothing_runs_twice(torch, rng):
    f = function(torch, lambda ctx, x: x + 2, lambda ctx, g: g * 2)
    x = rng(3, grad=True)
    y = f.apply(x)
    y.backward(torch.ones(3))
    return raised(lambda: y.backward(torch.ones(3))), x.grad, raised(lambda: y.grad_fn.saved_tensors)


@twin
def test_vjp_is_another_name(torch, rng):
    Vjp = function_of(torch, forward=lambda ctx, x: x * 2, vjp=lambda ctx, g: g * 2)

    class Both(Vjp):
        @staticmethod
        def backward(ctx, g):
            return g * 2

    Neither = function_of(torch, forward=lambda ctx, x: x * 2)
    x = rng(3, grad=True)
    Vjp.apply(x).sum().backward()
    y = Both.apply(x)
    return x.grad, raised(lambda: y.sum().backward()), raised(lambda: Neither.apply(x).sum().backward())


@twin
def test_mistakes_in_the_context(torch, rng):
    def marked(method, what):
        def forward(ctx, x):
            getattr(ctx, method)(what)
            return x * 1

        return function(torch, forward)

    x = rng(3, grad=True)
    cases = [(m, w) for m in ("save_for_backward", "mark_dirty", "mark_non_differentiable") for w in (3, None, "a")]
    cases += [("set_materialize_grads", 1), ("save_for_forward", 3), ("save_for_forward", None)]
    cases.remove(("mark_dirty", None))
    cases.remove(("mark_non_differentiable", None))
    return [
        (m, raised(lambda m=m, w=w: marked(m, w).apply(x)), raised(lambda m=m, w=w: marked(m, w).apply(x.detach())))
        for m, w in cases
    ]


# ------------------------------------------------------------------------------------------------ in-place writes


def doubling(torch, seen):
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x

    def back(ctx, g):
        seen.append(g.clone())
        return g * 7

    return function(torch, forward, back)


LOOKS = {
    "slice": lambda t: t[:1],
    "select": lambda t: t[1],
    "unsqueeze": lambda t: t.unsqueeze(0),
    "reshape": lambda t: t.reshape(-1),
    "transpose": lambda t: t.t(),
    "step": lambda t: t[:, ::2],
    "diagonal": lambda t: t.diagonal(),
    "view of a view": lambda t: t.view(-1)[1:4],
    "whole": lambda t: t.view_as(t),
    "itself": lambda t: t,
}


@twin
@pytest.mark.parametrize("look", LOOKS)
def test_a_function_that_writes_a_view(torch, rng, look):
    seen = []
    x = rng(2, 3, grad=True)
    base = x * 3
    other = base[0]
    view = LOOKS[look](base)
    out = doubling(torch, seen).apply(view)
    (base * base).sum().backward()
    return (
        out is view,
        base._version,
        view._version,
        x.grad,
        seen,
        base,
        other.requires_grad,
        base.grad_fn.name() if look == "itself" else None,
    )


@twin
def test_which_tensors_a_function_may_write(torch, rng):
    seen = []
    write = doubling(torch, seen).apply
    leaf, plain = rng(2, 3, grad=True), rng(2, 3)
    base = leaf * 1
    with torch.no_grad():
        looked, alone = base[:1], (leaf * 1)[:1]
    tries = [
        lambda: write(leaf),
        lambda: write(leaf[:1]),
        lambda: write(base.split(1)[0]),
        lambda: write(looked),
        lambda: write(alone) is alone,
        lambda: write(plain) is plain,
        lambda: write(plain[:1]).requires_grad,
        lambda: (base + 0).unbind()[0],
    ]
    results = [outcome(t) for t in tries]
    with torch.no_grad():
        results.append(write(leaf).requires_grad)
    return results, plain, plain._version, leaf._version


@twin
def test_dirty_tensors_must_come_back(torch, rng):
    x = rng(3, grad=True)

    def lost(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x * 1

    def made(ctx, x):
        z = x * 2
        ctx.mark_dirty(z)
        return z

    def both(ctx, a, b):
        a.mul_(2)
        b.mul_(3)
        ctx.mark_dirty(a, b)
        return a, b

    two = function(torch, both, lambda ctx, g, h: (g * 2, h * 3))
    p, q = x * 1, x * 2
    out = two.apply(p, q)
    return (
        raised(lambda: function(torch, lost).apply(x.clone())),
        raised(lambda: function(torch, lost).apply(x.detach().clone())),
        torch.autograd.grad(function(torch, made).apply(x).sum(), x),  # with a warning
        out[0] is p,
        torch.autograd.grad((p + q).sum(), x),
        raised(lambda: two.apply((x * 1)[:1], x * 2)),
        raised(lambda: two.apply(x * 1, (x * 2)[:1])),
    )


@twin
def test_a_view_of_an_ordinary_tensor_that_becomes_part_of_a_graph(torch, rng):
    def forward(ctx, v, w):
        v.mul_(w)
        ctx.mark_dirty(v)
        return v

    base, w = rng(3), rng(2, grad=True)
    view = base[:2]
    out = function(torch, forward, lambda ctx, g: (g * 5, g * 7)).apply(view, w)
    return out is view, base.requires_grad, view.requires_grad, view._version, torch.autograd.grad(base.sum(), w)


# ------------------------------------------------------------------------------------------------ returned values


RETURNS = {
    "the input": lambda ctx, x: x,
    "a view": lambda ctx, x: x[:1],
    "detached": lambda ctx, x: x.detach(),
    "not differentiable": lambda ctx, x: (ctx.mark_non_differentiable(x), x)[1],
    "both": lambda ctx, x: (x, x[1:]),
    "twice": lambda ctx, x: (x, x),
    "twice the same": lambda ctx, x: (y := x * 2, y),
}


@twin
@pytest.mark.parametrize("kind", RETURNS)
@pytest.mark.parametrize("what", ["graph", "plain", "integers", "no_grad"])
def test_inputs_and_views_that_are_returned(torch, rng, kind, what):
    x = rng(3, dtype="int64" if what == "integers" else "float32")
    if what in ("graph", "no_grad"):
        x = x.requires_grad_() * 1
    f = function(torch, RETURNS[kind], lambda ctx, *grads: sum(grads) * 2 if len(grads) == 1 else grads[0] * 3)
    if what == "no_grad":
        with torch.no_grad():
            out = f.apply(x)
    else:
        out = f.apply(x)
    found = []
    for one in out if isinstance(out, tuple) else (out,):
        found.append(outcome(lambda one=one: (one.requires_grad, one.is_leaf, one._is_view(), one is x, one.output_nr)))
        found.append(outcome(lambda one=one: torch.autograd.grad(one.sum(), x, allow_unused=True, retain_graph=True)))
        found.append(raised(lambda one=one: one.add_(1)))
        found.append(raised(lambda: x.add_(1)))
        found.append((one.requires_grad, raised(lambda one=one: one.grad_fn)))
    return found


@twin
def test_an_input_saved_and_returned_with_setup_context(torch, rng):
    class Kept(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])

        @staticmethod
        def backward(ctx, g):
            return g

    class Forward(Kept):
        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(inputs[0])

    return [raised(lambda k=k, x=x: k.apply(x)) for k in (Kept, Forward) for x in (rng(3), rng(3, grad=True))]


@twin
@pytest.mark.parametrize("materialize", [True, False])
def test_outputs_without_gradient(torch, rng, materialize):
    seen = []

    def forward(ctx, x):
        ctx.set_materialize_grads(materialize)
        index = x.argmax()
        fixed = x * 5
        ctx.mark_non_differentiable(fixed)
        return x * 2, 3, index, fixed, None, x * 4

    def back(ctx, *grads):
        seen.append([None if g is None else (g.shape, g.dtype, float(g.sum())) for g in grads])
        return grads[0] * 2

    x = rng(3, grad=True)
    outs = function(torch, forward, back).apply(x)
    outs[0].sum().backward()
    return seen, x.grad, [getattr(o, "requires_grad", o) for o in outs]


@twin
def test_no_gradient_goes_on_as_no_gradient(torch, rng):
    seen = []
    stop = function(torch, lambda ctx, x: x * 2, lambda ctx, g: None)
    note = function(torch, lambda ctx, x: x * 2, lambda ctx, g: (seen.append(g), g)[1])

    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2

    open_ = function(torch, forward, lambda ctx, g: (seen.append(g), g)[1])
    leaves = [rng(3, grad=True) for _ in range(6)]
    a, b, c, d, e, f = leaves
    stop.apply(a * 2).sum().backward()
    stop.apply(note.apply(b) * 3).sum().backward()
    stop.apply(open_.apply(c)).sum().backward()
    y = d * 2
    y.register_hook(lambda g: seen.append(("hook", g)))
    y.retain_grad()
    d.register_hook(lambda g: seen.append(("leaf", g)))
    d.register_post_accumulate_grad_hook(lambda p: seen.append(("after", p.grad)))
    stop.apply(y).sum().backward()
    (stop.apply(e * 2) + e).sum().backward()
    z = f.exp()
    z.grad_fn.register_prehook(lambda g: seen.append(("before", g)))
    z.grad_fn.register_hook(lambda i, o: seen.append(("after", i, o)))
    stop.apply(z).sum().backward()
    return seen, [leaf.grad for leaf in leaves], y.grad, torch.autograd.grad(stop.apply(a).sum(), a, allow_unused=True)


@twin
def test_once_differentiable(torch, rng):
    from importlib import import_module

    once = import_module(f"{torch.__name__}.autograd.function").once_differentiable
    modes = []

    @once
    def back(ctx, g):
        modes.append(torch.is_grad_enabled())
        return g * 2, None

    f = function(torch, lambda ctx, x, k: x * k, back)
    x = rng(3, grad=True)
    plain = torch.autograd.grad(f.apply(x, 2).sum(), x)
    weight = torch.ones(3, requires_grad=True)
    (g,) = torch.autograd.grad(f.apply(x, 2), x, weight, create_graph=True)
    (h,) = torch.autograd.grad(f.apply(x, 2).sum(), x, create_graph=True)
    return plain, g, g.requires_grad, raised(lambda: g.sum().backward()), h.requires_grad, modes


@twin
def test_saved_tensors_notice_writes(torch, rng):
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(x, y)
        return y

    f = function(torch, forward, lambda ctx, g: g * ctx.saved_tensors[1])
    x = rng(3, grad=True)
    found = []
    for written in ("input", "output", "neither"):
        a = x * 1
        y = f.apply(a)
        z = (y * 2).sum()
        with torch.no_grad():
            {"input": a, "output": y, "neither": x.clone()}[written].add_(1)
        found.append((raised(lambda y=y: y.grad_fn.saved_tensors), raised(z.backward)))
    return found


@twin
def test_a_second_derivative_through_saved_tensors(torch, rng):
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(x, y)
        return y * x

    def back(ctx, g):
        x, y = ctx.saved_tensors
        return g * y * (1 + x)

    x = rng(3, grad=True)
    (g,) = torch.autograd.grad(function(torch, forward, back).apply(x).sum(), x, create_graph=True)
    return g, torch.autograd.grad(g.sum(), x, allow_unused=True)


NAMES = (
    "dtype edges gradients hooks inputs mask n op order output saved scale seq several shape size start step target version"
).split()


@twin
def test_attributes_of_any_name_stay_on_the_context(torch, rng):
    x, found = rng(3, grad=True), []
    for name in NAMES:

        def forward(ctx, x, name=name):
            setattr(ctx, name, (name, tuple(x.shape)))
            ctx.save_for_backward(x)
            return x * 2

        def back(ctx, g, name=name):
            (x,) = ctx.saved_tensors
            found.append((getattr(ctx, name), len(ctx.next_functions)))
            return g * 2 * x

        y = function(torch, forward, back).apply(x)
        y.register_hook(lambda g: g * 2)
        found.append((torch.autograd.grad(y.sum(), x), getattr(y.grad_fn, name)))
    return found
