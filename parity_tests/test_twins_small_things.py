"""Deprecation warnings, shared memory, the copy that is not differentiated, the layout of results, under both libraries."""

from __future__ import annotations

import copy

import pytest

from parity_tests.twin import raised, twin

DEPRECATED = {
    "chain_matmul": lambda torch, a: torch.chain_matmul(a, a),
    "frobenius_norm": lambda torch, a: torch.frobenius_norm(a, (0, 1)),
    "nuclear_norm": lambda torch, a: torch.nuclear_norm(a),
    "nuclear_norm of dims": lambda torch, a: torch.nuclear_norm(a, (0, 1)),
    "norm": lambda torch, a: torch.norm(a),
    "cholesky": lambda torch, a: torch.cholesky(a @ a.t() + torch.eye(3)),
    "qr": lambda torch, a: torch.qr(a)[1].abs(),
    "lu": lambda torch, a: torch.lu(a)[0],
    "lu, a method": lambda torch, a: a.lu()[0],
    "lu_solve": lambda torch, a: torch.lu_solve(a, *torch.linalg.lu_factor(a)),
    "triangular_solve": lambda torch, a: torch.triangular_solve(a, a)[0],
    "cross": lambda torch, a: torch.cross(a, a + 1),
    "linalg's": lambda torch, a: torch.linalg.lu_factor(a)[0],
}


@twin
@pytest.mark.parametrize("name", DEPRECATED)
def test_the_deprecated_warn(torch, rng, name):
    return DEPRECATED[name](torch, rng(3, 3))


@twin
def test_memory_is_shared_once_it_was_asked_for(torch, rng):
    x, other = rng(4), rng(4)
    shown = [x.is_shared()]
    x[1:].share_memory_()
    shown += [t.is_shared() for t in (x, x[0], x.view(2, 2), x.detach(), x.clone(), x + 1, copy.copy(x), copy.deepcopy(x), other)]
    layer = torch.nn.Linear(2, 2)
    shown += [layer.weight.is_shared(), layer.share_memory() is layer, layer.weight.is_shared(), layer.bias.is_shared()]
    return [*shown, x.untyped_storage().is_shared(), torch.empty(0).share_memory_().is_shared()]


@twin
def test_detach_copy_is_recorded_and_refuses_its_gradient(torch, rng):
    x = rng(3, grad=True)
    y = torch.detach_copy(x)
    return y, y.requires_grad, torch.detach_copy(rng(3)).requires_grad, raised(y.sum().backward), x.grad


FROM_TRANSPOSED = {
    "cat": lambda torch, x: torch.cat([x, x], 1),
    "cat with an empty one": lambda torch, x: torch.cat([x, torch.zeros(0), x]),
    "cat of types": lambda torch, x: torch.cat([x, x.long()]),
    "stack": lambda torch, x: torch.stack([x, x], 1),
    "hstack": lambda torch, x: torch.hstack([x, x]),
    "dstack": lambda torch, x: torch.dstack([x, x]),
    "cumsum": lambda torch, x: x.cumsum(0),
    "cumprod": lambda torch, x: x.cumprod(1),
    "cummax": lambda torch, x: x.cummax(0)[1],
    "logcumsumexp": lambda torch, x: x.logcumsumexp(0),
    "masked_fill": lambda torch, x: x.masked_fill(x > 0, 1),
    "masked_scatter": lambda torch, x: x.masked_scatter(x > 0, x),
    "roll": lambda torch, x: x.roll(1, 0),
    "flip": lambda torch, x: x.flip(0),
    "rot90": lambda torch, x: torch.rot90(x, 4),
    "tile": lambda torch, x: x.tile(1, 2),
    "repeat": lambda torch, x: x.repeat(2, 1),
    "renorm": lambda torch, x: x.renorm(2, 0, 1.0),
    "transpose_copy": lambda torch, x: torch.transpose_copy(x, 0, 1),
    "permute_copy": lambda torch, x: torch.permute_copy(x, (0, 1)),
    "unsqueeze_copy": lambda torch, x: torch.unsqueeze_copy(x, 0),
    "narrow_copy": lambda torch, x: torch.narrow_copy(x, 0, 0, 2),
    "sin": lambda torch, x: x.sin(),
    "where": lambda torch, x: torch.where(x > 0, x, x + 1),
    "images": lambda torch, x: torch.cat([x.expand(2, 3, 4, 3).to(memory_format=torch.channels_last)] * 2, 1),
}


@twin
@pytest.mark.parametrize("name", FROM_TRANSPOSED)
def test_results_lie_in_memory_as_torchs(torch, rng, name):
    out = FROM_TRANSPOSED[name](torch, rng(3, 4).t())
    return out, out.stride(), raised(lambda: out.view(-1))


@twin
@pytest.mark.parametrize("kind", ["hook", "kept gradient", "hook of the node", "hook of a view between"])
def test_hooks_of_a_view_stay_with_what_was_before_a_write(torch, rng, kind):
    x, log = rng(2, 3, grad=True), []
    base = x.clone()
    between = base.t()
    view = between[0]
    if kind == "hook":
        view.register_hook(log.append)
    elif kind == "kept gradient":
        view.retain_grad()
    elif kind == "hook of the node":
        view.grad_fn.register_hook(lambda *grads: log.append(grads))
    else:
        between.register_hook(log.append)
    view.mul_(3)
    (base * base).sum().backward()
    return x.grad, len(log), view.grad if kind == "kept gradient" else None


@twin
def test_a_sum_of_views_that_may_no_longer_be_recorded(torch, rng):
    base = rng(3, 2, grad=True).clone()
    with torch.no_grad():
        view = base.view(6)
    part = view[1:]
    base.mul_(2)
    with torch.no_grad():
        total = part + part
    return total, raised(lambda: part + part)
