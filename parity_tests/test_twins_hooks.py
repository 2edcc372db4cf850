"""Hooks of tensors, of leaves and of nodes, and the attributes of nodes, under both libraries."""

from __future__ import annotations

import pytest

from parity_tests.twin import outcome, raised, twin

RETURNED = {
    "nothing": lambda g: None,
    "as it came": lambda g: g,
    "other values": lambda g: g * 3,
    "a number": lambda g: 3,
    "a list": lambda g: g.tolist(),
    "a part": lambda g: g[:1],
    "a sum": lambda g: g.sum(),
    "one more dimension": lambda g: g[None],
    "longer": lambda g: g.repeat(2),
    "float64": lambda g: g.double(),
    "half": lambda g: g.half(),
    "integers": lambda g: g.long(),
    "complex": lambda g: g * 1j,
    "a tuple": lambda g: (g,),
    "a bool": lambda g: False,
}


@twin
@pytest.mark.parametrize("kind", RETURNED)
def test_what_a_hook_of_a_tensor_may_return(torch, rng, kind):
    found = []
    for leaf in (True, False):
        x = rng(3, grad=True)
        y = x * 2
        (x if leaf else y).register_hook(RETURNED[kind])
        found.append((raised(lambda y=y: (y * y).sum().backward()), x.grad))
    return found


@twin
@pytest.mark.parametrize("kind", RETURNED)
def test_what_a_hook_after_accumulation_may_return(torch, rng, kind):
    x = rng(3, grad=True)
    x.register_post_accumulate_grad_hook(lambda p: RETURNED[kind](p.grad))
    return raised(lambda: (x * x).sum().backward()), x.grad


NODES = {
    "one output": lambda torch, x: x.exp(),
    "a number beside it": lambda torch, x: x * 2,
    "two arguments": lambda torch, x: x * x.detach().requires_grad_(),
    "two outputs": lambda torch, x: sum(torch.var_mean(x, 0)),
    "two outputs, one used": lambda torch, x: torch.std_mean(x, 0)[0],
    "two outputs, the other used": lambda torch, x: torch.aminmax(x, dim=0)[1],
    "indices beside it": lambda torch, x: x.max(0)[0],
}
CHANGES = {
    "nothing": lambda g: None,
    "as they came": lambda g: g,
    "other values": lambda g: tuple(None if one is None else one * 3 for one in g),
    "None": lambda g: tuple(None for _ in g),
    "a list": list,
    "the first": lambda g: g[0],
    "a number": lambda g: 3,
    "one more": lambda g: (*g, g[0]),
    "fewer": lambda g: g[1:],
    "numbers": lambda g: tuple(3 for _ in g),
    "smaller": lambda g: tuple(None if one is None else one.reshape(-1)[:0] for one in g),
    "float64": lambda g: tuple(None if one is None else one.double() for one in g),
}


@twin
@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("change", CHANGES)
def test_what_the_hooks_of_a_node_see_and_may_return(torch, rng, node, change):
    found = []
    for before in (True, False):
        x = rng(3, grad=True)
        y = NODES[node](torch, x)
        fn = y.grad_fn
        while fn.name() == "AddBackward0":  # to the node of the two outputs
            fn = fn.next_functions[1][0]
        seen = []
        if before:
            fn.register_prehook(lambda g, seen=seen: (seen.append(g), CHANGES[change](g))[1])
        else:
            fn.register_hook(lambda g, h, seen=seen: (seen.append(h), CHANGES[change](g))[1])
        found.append((raised(lambda y=y: (y * 2).sum().backward()), seen, x.grad))
    return found


@twin
def test_a_node_of_two_outputs_is_one_node(torch, rng):
    x = rng(4, grad=True)
    v, m = torch.var_mean(x)
    s, n = torch.std_mean(x, 0)
    low, high = torch.aminmax(x)
    plain = torch.var_mean(x.detach())
    return (
        v.grad_fn is m.grad_fn,
        [(t.grad_fn.name(), t.output_nr) for t in (v, m, s, n, low, high)],
        plain[0].grad_fn,
        torch.autograd.grad(v * m + s * n + low * high, x),
        torch.autograd.grad(torch.autograd.grad(torch.var_mean(x)[0], x, create_graph=True)[0].sum(), x),
    )


@twin
def test_the_order_of_hooks_and_their_removal(torch, rng):
    seen = []
    x = rng(3, grad=True)
    y = x * 2
    z = y.exp()
    note = lambda what: lambda *args: seen.append(what)
    handles = [
        z.grad_fn.register_prehook(note("prehook 1")),
        z.register_hook(note("tensor 1")),
        z.grad_fn.register_prehook(note("prehook 2")),
        z.register_hook(note("tensor 2")),
        z.grad_fn.register_hook(note("after 1")),
        z.grad_fn.register_hook(note("after 2")),
        y.register_hook(note("inner")),
        x.register_hook(note("leaf")),
        x.register_post_accumulate_grad_hook(note("accumulated")),
    ]
    z.retain_grad()
    z.sum().backward(retain_graph=True)
    for handle in handles[::2]:
        handle.remove()
        handle.remove()
    seen.append("---")
    with z.register_hook(note("for a while")):
        z.sum().backward(retain_graph=True)
    seen.append("---")
    z.sum().backward()
    return seen, z.grad, x.grad


@twin
def test_a_hook_that_removes_itself_or_adds_another(torch, rng):
    seen, handles = [], []
    x = rng(3, grad=True)
    y = x * 2

    def once(g):
        seen.append("once")
        handles[0].remove()
        y.register_hook(lambda g: seen.append("added"))

    handles.append(y.register_hook(once))
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    return seen


@twin
def test_hooks_with_names_and_without(torch, rng):
    class Callable:
        def __call__(self, g):
            return g[:1]

    def named(g):
        return g[:1]

    x = rng(3, grad=True)
    texts = []
    for hook in (named, Callable(), lambda g: g[:1]):
        y = x * 2
        y.register_hook(hook)
        try:
            y.sum().backward()
        except RuntimeError as error:
            texts.append(str(error).split(" has ")[0])
    return texts


@twin
def test_what_nodes_show_of_what_they_saved(torch, rng):
    x, w = rng(2, 3, grad=True), rng(2, 3, grad=True)
    y, z, e = x * w, x.exp(), x * w.detach()
    shown = [
        y.grad_fn._saved_self,
        y.grad_fn._saved_other,
        e.grad_fn._saved_self,
        e.grad_fn._saved_other,
        z.grad_fn._saved_result,
        z.grad_fn._saved_result.grad_fn is z.grad_fn,
        y.grad_fn._saved_self is x,
        x.relu().grad_fn._saved_result,
        x.sin().grad_fn._saved_self,
        x.softmax(1).grad_fn._saved_dim,
        x.pow(3).grad_fn._saved_self,
        x.sum().grad_fn._saved_self_sym_sizes,
        x[1].grad_fn._saved_dim,
        x[1].grad_fn._saved_index,
        (x / 2).grad_fn._saved_other,
        (x / 2).grad_fn._saved_self,
        [name in dir(y.grad_fn) for name in ("_saved_self", "_saved_other", "_saved_result")],
        raised(lambda: y.grad_fn._saved_result),
        raised(lambda: (x + 1).grad_fn._saved_self),
    ]
    z.sum().backward()
    with torch.no_grad():
        stale = x.detach().clone().requires_grad_().exp()
        sine = (x * 1).sin
    late = (x * 1).exp()
    with torch.no_grad():
        late.add_(1)
    return (
        shown,
        raised(lambda: z.grad_fn._saved_result),
        raised(lambda: late.grad_fn._saved_result),
        stale.requires_grad,
        bool(sine),
    )


@twin
def test_names_of_nodes(torch, rng):
    F = torch.nn.functional
    x, w, b = rng(2, 3, grad=True), rng(4, 3, grad=True), rng(4, grad=True)
    image, kernel = rng(1, 2, 5, 5, grad=True), rng(3, 2, 3, 3, grad=True)
    results = [
        x.clone(),
        x @ w.t(),
        F.linear(x, w, b),
        torch.bmm(x[None], w.t()[None]),
        F.conv2d(image, kernel),
        F.conv1d(image[:, :, 0], kernel[:, :, 0]),
        F.pad(x, (1, 1)),
        F.logsigmoid(x),
        F.prelu(x, b[:1]),
        F.leaky_relu(x),
        F.elu(x),
        F.gelu(x),
        F.silu(x),
        F.softplus(x),
        F.embedding(torch.tensor([1, 0]), x),
    ]
    return [r.grad_fn.name() for r in results], [outcome(lambda r=r: repr(r.grad_fn).split(" ")[0]) for r in results]


@twin
def test_a_leaf_that_is_used_twice_is_told_once_while_backward_goes_on(torch, rng):
    twice, once, log = rng(3, grad=True), rng(3, grad=True), []
    twice.register_post_accumulate_grad_hook(lambda p: log.append(("twice", p.grad.clone())))
    once.register_post_accumulate_grad_hook(lambda p: log.append(("once", p.grad.clone())))
    x = rng(3, grad=True)
    first = x * 1
    first.register_hook(lambda g: log.append("first"))
    middle = first * twice
    middle.register_hook(lambda g: log.append("middle"))
    (middle * once * twice).sum().backward()
    x.register_hook(lambda g: torch.autograd.Variable._execution_engine.queue_callback(lambda: log.append("end")))
    (x * 1).sum().backward()
    return log, x.grad, twice.grad
