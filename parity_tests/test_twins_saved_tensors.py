"""Hooks on saved tensors, hooks of leaves' nodes, gradient edges and hooks of several tensors, under both libraries."""

from __future__ import annotations

import pytest

from parity_tests.twin import message, mistake, raised, twin

KEEPING = {
    "a product": lambda torch, x, y: x * y,
    "a square": lambda torch, x, y: x * x,
    "a power": lambda torch, x, y: x**3,
    "a result": lambda torch, x, y: x.exp(),
    "written in place": lambda torch, x, y: (x * 1).sigmoid_(),
    "a result of two": lambda torch, x, y: (x * y).tanh() * y.sin(),
    "a matrix product": lambda torch, x, y: x @ y.t(),
    "a choice": lambda torch, x, y: x[:, [0, 0]] * y[:, :2],
    "a softmax": lambda torch, x, y: x.softmax(0) * y,
    "a reduction": lambda torch, x, y: (x * y).prod(0),
}


@twin
@pytest.mark.parametrize("name", KEEPING)
def test_what_is_packed_is_what_comes_back(torch, rng, name):
    x, y = rng(3, 4, grad=True), rng(3, 4, grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().numpy().copy(), torch.tensor):
        out = KEEPING[name](torch, x, y)
    out.sum().backward()
    return x.grad, y.grad


@twin
@pytest.mark.parametrize("name", KEEPING)
def test_what_unpack_returns_is_what_the_formulas_see(torch, rng, name):
    x, y = rng(3, 4, grad=True), rng(3, 4, grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t * 2 if t.is_floating_point() else t):
        out = KEEPING[name](torch, x, y) if name in ("a product", "a square", "a result", "a matrix product") else x * y
    out.sum().backward()
    return x.grad, y.grad


@twin
def test_second_derivatives_pass_through_packed_tensors(torch, rng):
    x = rng(4, grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = (x**3 * x.exp()).sum()
    (first,) = torch.autograd.grad(y, x, create_graph=True)
    first.sum().backward()
    return first, x.grad


@twin
def test_the_history_of_what_comes_back(torch, rng):
    x = rng(3, grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = x * x
        z = y * y
        w = z.exp()
    leaf, inner, result = y.grad_fn._saved_self, z.grad_fn._saved_self, w.grad_fn._saved_result
    shown = [(t.is_leaf, t.requires_grad, t.grad_fn is n) for t, n in ((leaf, None), (inner, y.grad_fn), (result, w.grad_fn))]
    return shown, leaf is x, inner is y, leaf, inner, result


@twin
def test_hooks_see_recorded_tensors_without_recording(torch, rng):
    seen = []

    def pack(t):
        seen.append((t.is_leaf, t.requires_grad, torch.is_grad_enabled(), t.detach().clone()))
        return t.detach()

    x = rng(3, grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = x * x.detach()
        z = y.exp()
    z.sum().backward()
    return seen, x.grad


@twin
@pytest.mark.parametrize("order", [1, 2])
def test_gradients_are_those_of_what_is_unpacked(torch, rng, order):
    x, w = rng(3, 4, dtype="float64", grad=True), rng(4, 2, dtype="float64", grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().numpy().copy(), lambda a: torch.from_numpy(a) * 2):
        y = (x.exp() @ w).tanh().prod(1)
    gradients = torch.autograd.grad(y.sum(), (x, w), create_graph=order == 2)
    if order == 1:
        return gradients
    return gradients, torch.autograd.grad(sum([(g * g).sum() for g in gradients]), (x, w))


@twin
def test_the_innermost_pair_counts_and_only_in_its_block(torch, rng):
    x, seen = rng(3, grad=True), []

    def named(name, value):
        def pack(t):
            seen.append(f"pack {name}")
            return value

        def unpack(number):
            seen.append(f"unpack {name}")
            return torch.full((3,), number)

        return torch.autograd.graph.saved_tensors_hooks(pack, unpack)

    with named("outer", 7.0):
        a = x.sin()
        with named("inner", 5.0):
            b = x.cos()
        c = x.sinh()
    d = x.cosh()
    packed = list(seen)
    return packed, [torch.autograd.grad(one.sum(), x) for one in (a, b, c, d)], seen


def cube(torch):
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x**3
            ctx.save_for_backward(x, None, y)
            return y

        @staticmethod
        def backward(ctx, grad):
            x, _, y = ctx.saved_tensors
            return grad * 3 * x * x + 0 * y

    return Cube


@twin
def test_layers_and_functions(torch, rng):
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU(), torch.nn.MaxPool2d(2))
    x = rng(2, 2, 6, 6, grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
        y = torch.nn.functional.cross_entropy(cube(torch).apply(net(x)).flatten(1), torch.tensor([0, 1]))
    y.backward()
    return x.grad, [p.grad for p in net.parameters()]


@twin
def test_what_a_function_saves_is_packed_too(torch, rng):
    counted = []
    x = rng(3, grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: counted.append(t.shape) or t.detach(), lambda t: t):
        y = cube(torch).apply(x)
    raw = y.grad_fn._raw_saved_tensors
    refusals = [message(lambda s=s: s.register_hooks(lambda t: t, lambda t: t)) for s in raw]
    y.sum().backward()
    return len(counted), x.grad, refusals, raised(lambda: y.grad_fn._raw_saved_tensors)


@twin
def test_a_saved_tensor_takes_hooks_of_its_own(torch, rng):
    found = []
    for leaf in (True, False):
        for pack, unpack in ((lambda t: 2 * t, lambda t: t / 2), (lambda t: 2 * t, lambda t: t)):
            x = rng(3, grad=True)
            a = x if leaf else x + 1
            y = a * a
            y.grad_fn._raw_saved_self.register_hooks(pack, unpack)
            found.append((y.grad_fn._saved_self, y.grad_fn._saved_self.grad_fn is a.grad_fn))
            y.sum().backward()
            found.append(x.grad)
        x = rng(3, grad=True)
        y = x.exp()
        y.grad_fn._raw_saved_result.register_hooks(lambda t: t, lambda t: t)
        found.append((y.grad_fn._saved_result, y.grad_fn._saved_result.grad_fn is y.grad_fn))
    return found


MISUSES = {
    "twice": lambda s: [s.register_hooks(lambda t: t, lambda t: t) for _ in range(2)],
    "a pack of two arguments": lambda s: s.register_hooks(lambda t, u: t, lambda t: t),
    "a pack that writes": lambda s: s.register_hooks(lambda t: t.mul_(2), lambda t: t),
    "a number as pack": lambda s: s.register_hooks(1, lambda t: t),
    "one hook": lambda s: s.register_hooks(lambda t: t),
    "a pack that raises": lambda s: s.register_hooks(lambda t: 1 // 0, lambda t: t),
}


@twin
@pytest.mark.parametrize("name", MISUSES)
def test_misuse_of_the_hooks_of_a_saved_tensor(torch, rng, name):
    y = rng(3, grad=True) ** 2
    return raised(lambda: MISUSES[name](y.grad_fn._raw_saved_self))


@twin
def test_an_unpack_that_returns_no_tensor(torch, rng):
    x = rng(3, grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: 1):
        y = x * x
    return message(lambda: y.grad_fn._saved_self), message(lambda: y.sum().backward())


@twin
def test_a_pack_may_not_write(torch, rng):
    x = rng(3, grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.zero_(), lambda t: t):
        return raised(lambda: rng(3) * x)


@mistake
def test_a_tensor_that_was_saved_may_not_be_modified_once_the_block_has_ended(torch, rng):
    x, b = rng(3, grad=True), rng(3) * 1.0
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach(), lambda t: t):
        pass
    y = (x * b).sum()
    b.add_(1)
    y.backward()


@twin
def test_saved_tensors_after_the_graph_was_freed(torch, rng):
    x = rng(3, grad=True)
    y = x * x
    y.sum().backward()
    raw = y.grad_fn._raw_saved_self
    return raised(lambda: raw.register_hooks(lambda t: t, lambda t: t)), raised(lambda: y.grad_fn._saved_self)


@twin
def test_only_tensors_have_raw_saved_values(torch, rng):
    y = torch.cat([rng(3, grad=True), rng(3)])
    return y.grad_fn._saved_dim, raised(lambda: y.grad_fn._raw_saved_dim), "_raw_saved_dim" in dir(y.grad_fn)


@twin
def test_hooks_may_be_forbidden(torch, rng):
    graph, found = torch.autograd.graph, []

    def forbid_and_set():
        with graph.disable_saved_tensors_hooks("not here"), graph.saved_tensors_hooks(lambda t: t, lambda t: t):
            pass

    def set_and_forbid():
        with graph.saved_tensors_hooks(lambda t: t, lambda t: t), graph.disable_saved_tensors_hooks("not now"):
            pass

    def nested():
        with graph.disable_saved_tensors_hooks("outer"):
            with graph.disable_saved_tensors_hooks("inner"):
                found.append(message(lambda: graph.save_on_cpu().__enter__()))
            graph.save_on_cpu().__enter__()

    with graph.save_on_cpu():
        found.append((rng(2, grad=True) ** 2).grad_fn._saved_self)
    return [message(f) for f in (forbid_and_set, set_and_forbid, nested)], found


@twin
@pytest.mark.parametrize("pinned", [False, True])
def test_saving_on_the_cpu(torch, rng, pinned):
    x, y = rng(3, grad=True), rng(3, grad=True)
    with torch.autograd.graph.save_on_cpu(pin_memory=pinned):
        z = (x * y).exp() * y
    z.sum().backward()
    return x.grad, y.grad


@twin
def test_writes_to_saved_tensors_may_be_allowed(torch, rng):
    x = rng(2, 3, grad=True)
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        a = x.clone()
        out = (a**2).sum()
        a.sin_()
        b = a.exp()
        a[0].mul_(2)
        (out + b.sum() + a.sum()).backward()
    return x.grad


@twin
def test_ready_made_hooks_one_after_the_other(torch, rng):
    graph, x = torch.autograd.graph, rng(3, grad=True)
    with graph.save_on_cpu():
        a = (x * x).exp().sum()
    with graph.allow_mutation_on_saved_tensors():
        b = rng(3) * 1.0
        c = (b * x).sum()
        b.add_(1)
        (a + c).backward()
    return x.grad


@twin
def test_backward_after_writes_were_allowed(torch, rng):
    x = rng(3, grad=True)

    def nested():
        with torch.autograd.graph.allow_mutation_on_saved_tensors(), torch.autograd.graph.allow_mutation_on_saved_tensors():
            pass

    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        a = x.clone()
        y = (a * a).sum()
        a.zero_()
    return message(y.backward), message(nested), message(nested)


# ------------------------------------------------------------------------------------------------ nodes of leaves


@twin
def test_the_node_of_a_leaf_takes_hooks(torch, rng):
    x, log = rng(3, grad=True), []
    y = x * 2
    node = y.grad_fn.next_functions[0][0]
    node.register_hook(lambda inputs, outputs: log.append(("after", inputs, outputs)))
    node.register_prehook(lambda outputs: log.append(("before", outputs)) or (outputs[0] * 10,))
    x.register_hook(lambda g: log.append(("tensor", g)))
    x.register_post_accumulate_grad_hook(lambda p: log.append(("accumulated", p.grad.clone())))
    y.sum().backward()
    z = x * 3
    again = torch.autograd.grad(z.sum(), x)
    return log, x.grad, again, node is z.grad_fn.next_functions[0][0], node.variable is x, node.name(), node.next_functions


@twin
def test_hooks_of_a_leafs_node_can_be_removed(torch, rng):
    x, log = rng(3, grad=True), []
    node = x.expand_as(x).grad_fn.next_functions[0][0]
    handles = [node.register_hook(lambda *a: log.append(1)), node.register_prehook(lambda *a: log.append(2))]
    (x * 2).sum().backward()
    for handle in handles:
        handle.remove()
    (x * 2).sum().backward()
    return log, isinstance(node, torch.autograd.graph.Node)


@twin
def test_what_nodes_say_of_their_gradients(torch, rng):
    x = rng(2, 3, grad=True)
    y = torch.var_mean(x.double(), 0)[0]
    older, newer = x * 2, x * 3
    nodes = y.grad_fn, older.grad_fn, older.grad_fn.next_functions[0][0]
    shown = [[(tuple(m.shape), str(m.dtype), str(m.device)) for m in n._input_metadata] for n in nodes]
    return shown, older.grad_fn._sequence_nr() < newer.grad_fn._sequence_nr(), nodes[2]._sequence_nr()


# ------------------------------------------------------------------------------------------------ edges


@twin
def test_gradient_edges_stand_for_tensors(torch, rng):
    graph, x = torch.autograd.graph, rng(3, grad=True)
    y = x * 2
    z = (y * y).sum()
    parts = torch.std_mean(y, 0)
    edges = [graph.get_gradient_edge(t) for t in (x, y, z, parts[1])]
    (by_edge,) = torch.autograd.grad(z, edges[1], retain_graph=True)
    (from_edge,) = torch.autograd.grad(edges[2], x, retain_graph=True)
    (of_second,) = torch.autograd.grad(edges[3], x, retain_graph=True)
    torch.autograd.backward(edges[2], inputs=[edges[0]], retain_graph=True)
    torch.autograd.backward(edges[1], torch.ones(3), retain_graph=True)
    names = [(e.node.name(), e.output_nr, e.ownership_token) for e in edges]
    refusals = [message(lambda: torch.autograd.grad(edges[1], x)), message(lambda: graph.get_gradient_edge(torch.ones(2)))]
    mixed = torch.autograd.grad((z, edges[2]), (x, edges[1]), retain_graph=True)
    return by_edge, from_edge, of_second, x.grad, names, refusals, mixed, edges[0].node is graph.get_gradient_edge(x).node


@twin
def test_versions_can_be_counted_by_hand(torch, rng):
    graph, a, b = torch.autograd.graph, rng(2), rng(2, grad=True)
    y = b.exp() * a
    graph.increment_version(a)
    graph.increment_version([a, b, b, y, y])
    with torch.inference_mode():
        frozen = rng(2).clone()
    graph.increment_version(frozen)
    return a._version, b._version, y._version, raised(y.sum().backward), raised(lambda: graph.increment_version([1]))


# ------------------------------------------------------------------------------------------------ several tensors


@twin
@pytest.mark.parametrize("mode", ["all", "any"])
def test_a_hook_of_several_tensors(torch, rng, mode):
    calls = []
    a, b = rng(2, grad=True), rng(2, grad=True)
    c, d = a * b, a * b

    def hook(found):
        calls.append(found if mode == "any" else [None if g is None else g.clone() for g in found])

    handle = torch.autograd.graph.register_multi_grad_hook((c, d), hook, mode=mode)
    torch.autograd.graph.register_multi_grad_hook((a, b, c, d), lambda g: calls.append(mode == "any" or len(g)), mode=mode)
    c.sum().backward(retain_graph=True)
    c.sum().backward(inputs=(a,), retain_graph=True)
    (c + d).sum().backward(retain_graph=True)
    handle.remove()
    (c + d).sum().backward()
    return calls if mode == "all" else len(calls)


@twin
def test_misuse_of_a_hook_of_several_tensors(torch, rng):
    register, a = torch.autograd.graph.register_multi_grad_hook, rng(2, grad=True)
    return raised(lambda: register((a,), print, mode="both")), raised(lambda: register((a, rng(2)), print))


@twin
@pytest.mark.parametrize("shape", [(3, 2), (3,), ()])
@pytest.mark.parametrize("name", ["index_add", "index_copy"])
def test_a_source_is_kept_although_only_its_shape_is_read(torch, rng, name, shape):
    x, source = rng(*shape, grad=True), rng(*shape, grad=True) * 1
    out = getattr(x, name)(0, torch.tensor([2, 0, 1] if shape else [0]), source)
    with torch.no_grad():
        source.mul_(2)
    return message(lambda: out.sum().backward())
