"""Inference mode: tensors and views created in it, and their later uses, under both libraries."""

from __future__ import annotations

import pytest

from parity_tests.twin import outcome, raised, twin

WRITES = {"add_": lambda t: t.add_(2), "transpose_": lambda t: t.transpose_(0, 1), "zero_": lambda t: t.zero_()}
LOOKS = {
    "view": lambda t: t.view(-1),
    "select": lambda t: t[0],
    "transpose": lambda t: t.transpose(0, 1),
    "view_as": lambda t: t.view_as(t),
    "detach": lambda t: t.detach(),
}


def described(torch, tensor):
    return (
        torch.is_inference(tensor),
        tensor.is_inference(),
        tensor.requires_grad,
        tensor._is_view(),
        raised(lambda: tensor._version),
    )


@twin
def test_the_mode_nests_and_decorates(torch, rng):
    seen = [torch.is_inference_mode_enabled()]

    @torch.inference_mode()
    def square(x):
        seen.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        return x * x

    with torch.inference_mode():
        seen.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        with torch.inference_mode(False):
            seen.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
            seen.append(described(torch, rng(2)))
        with torch.inference_mode(mode=False), torch.no_grad():
            seen.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        with torch.enable_grad():
            seen.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        seen.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
    seen.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
    return seen, [described(torch, square(rng(2, 3, grad=grad))) for grad in (True, False)]


@twin
@pytest.mark.parametrize("grad", [True, False])
def test_what_is_made_within_is_an_inference_tensor(torch, rng, grad):
    with torch.inference_mode():
        made = torch.ones(1, 2, 3, requires_grad=grad)
        results = [made, made * made, made.sum(), torch.ones(2).requires_grad_(grad), torch.cat([made, made]), made.clone()]
        results += [look(made) for look in LOOKS.values()]
        for write in WRITES.values():
            results.append(write(torch.ones(2, 3, requires_grad=grad)))
        found = [(described(torch, r), r.is_leaf) for r in results]
    return found, [(described(torch, r), r.is_leaf) for r in results]


@twin
def test_an_inference_tensor_outside(torch, rng):
    with torch.inference_mode():
        made = torch.ones(2, 3)
    looks = [look for name, look in LOOKS.items() if name != "detach"]  # which starts to count versions there
    results = [made * made, made + 1, made.clone(), *[look(made) for look in looks]]
    return (
        [(described(torch, r), r.is_leaf) for r in results],
        [raised(lambda write=write: write(made)) for write in WRITES.values()],
        [raised(lambda look=look: look(made).add_(1)) for look in looks],
        raised(lambda: made.requires_grad_()),
        raised(lambda: made.copy_(torch.ones(2, 3))),
    )


@twin
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("write", WRITES)
def test_an_ordinary_tensor_written_within(torch, rng, grad, write):
    write = WRITES[write]
    a = rng(1, 2, 3, grad=grad).clone()
    found = []
    with torch.inference_mode():
        for _ in range(2):
            write(a)
            found.append((described(torch, a), a._version))
        looked = a.view(-1)
        found.append((described(torch, looked), looked.is_leaf))
    write(a)
    found.append((described(torch, a), a._version, a.view(-1).requires_grad))
    return found, a


@twin
def test_a_write_within_is_noticed_by_a_graph_from_outside(torch, rng):
    a = rng(1, 2, 3, grad=True).clone()
    out = a * a
    with torch.inference_mode():
        a.add_(2)
    return torch.is_inference(a), raised(lambda: out.backward(torch.ones_like(out)))


@twin
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("look", LOOKS)
def test_a_view_of_an_ordinary_tensor_made_within(torch, rng, grad, look):
    look = LOOKS[look]
    a = rng(2, 3, grad=grad).clone()
    with torch.inference_mode():
        out = look(a)
        found = [(described(torch, out), out.is_leaf)]
        again = out.view(-1) if out.is_contiguous() else out[:1]
        found.append((described(torch, again), again.is_leaf))
        again.add_(2)
        found.append((described(torch, again), a._version, again._version))
    b = rng(2, 3, grad=grad).clone()
    with torch.inference_mode():
        out = look(b)
    double = out * out
    found.append((described(torch, double), double.is_leaf))
    found.append(raised(lambda: out.add_(2)))
    found.append(outcome(lambda: out[:1].requires_grad))
    return found, b


@twin
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("look", LOOKS)
def test_a_write_to_a_view_made_within_or_to_its_base(torch, rng, grad, write, look):
    found = []
    for direct in (True, False):
        a = rng(2, 3, grad=grad).clone()
        with torch.inference_mode():
            out = LOOKS[look](a)
        found.append(raised(lambda out=out, a=a, direct=direct: WRITES[write](out if direct else a)))
        found.append(raised(lambda out=out: out.grad_fn))
        found.append(a.requires_grad)
    return found


@twin
@pytest.mark.parametrize("grad", [True, False])
def test_inference_tensors_beside_ordinary_ones(torch, rng, grad):
    s = rng(1, 2, 3, grad=grad)
    with torch.inference_mode():
        c, plain = torch.ones(1, 2, 3, requires_grad=grad), torch.ones(1, 2, 3)
    out = c.add(s)
    found = [described(torch, out), described(torch, plain.view_as(s)), described(torch, s.view_as(plain))]
    if grad:
        out.backward(torch.ones_like(out))
    a = s.clone()
    tries = [
        lambda: c * s,
        lambda: torch.stack([s, c]),
        lambda: torch.cat([s, c]),
        lambda: a.mul_(plain),
        lambda: torch.mul(s, s, out=plain),
        lambda: a.add_(plain),
        lambda: torch.where(plain > 0, s, c),
        lambda: a.copy_(plain),
    ]
    return found, c.grad, [raised(t) for t in tries]


@twin
def test_inference_tensors_and_the_methods_of_history(torch, rng):
    with torch.inference_mode():
        x = torch.ones(3)
    tries = [
        lambda: setattr(x, "requires_grad", True),
        lambda: x.requires_grad_(),
        lambda: x.detach_(),
        lambda: x.retain_grad(),
        lambda: torch.autograd.grad(x.sum(), x),
        lambda: x.register_hook(print),
        lambda: torch.nn.Parameter(x),
        lambda: x.set_(torch.ones(3)),
        lambda: x.resize_(2),
        lambda: x.__setitem__(0, 5),
        lambda: x.numpy().fill(3),
    ]
    return [raised(t) for t in tries]


@twin
def test_modules_in_inference_mode(torch, rng):
    layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU())
    with torch.inference_mode():
        out = layer(rng(5, 3))
        inner = torch.nn.Linear(3, 2)
    after = layer(rng(5, 3))
    after.sum().backward()
    return (
        described(torch, out),
        described(torch, after)[:3],
        layer[1].num_batches_tracked,
        described(torch, inner.weight)[:3],
        raised(lambda: inner(rng(1, 3)).sum().backward()),
        raised(lambda: inner(rng(1, 3, grad=True)).sum().backward()),
    )


@twin
def test_parts_that_may_be_modified_are_ordinary_views_in_inference_mode(torch, rng):
    found = []
    for grad in (True, False):
        x = rng(2, grad=grad)
        with torch.inference_mode():
            parts = [x.unsafe_chunk(2)[0], x.unsafe_split(1)[0], x.unsafe_split_with_sizes([1, 1])[1], x.chunk(2)[0]]
        found += [(one.requires_grad, one.is_inference(), one._is_view(), one.is_leaf, one._version) for one in parts]
        x.detach().mul_(2)
        found += [(outcome(lambda one=one: one.is_leaf), one._version) for one in parts]
        found += [raised(lambda one=one: one.mul_(2)) for one in parts]
    return found


@twin
def test_a_tensor_is_one_of_inference_while_its_data_are(torch, rng):
    found = []
    for grad in (True, False):
        x, ordinary = rng(2, grad=grad), rng(2) * 1
        with torch.inference_mode():
            made, inside = rng(2) * 1, rng(2) * 1
        x.data = made
        found += [x.is_inference(), x.requires_grad, raised(lambda x=x: x.resize_(3)), x.shape]
        x.data = ordinary
        found += [x.is_inference(), raised(lambda x=x: x.resize_(3)), x.shape]
        inside.data = ordinary
        found.append(inside.is_inference())
    return found
