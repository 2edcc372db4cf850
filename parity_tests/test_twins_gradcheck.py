"""gradcheck and gradgradcheck find what they are meant to find, under both libraries."""

from __future__ import annotations

import pytest

import mini_dl
from parity_tests.twin import raised, twin


def function(torch, back, forward=lambda ctx, x: x * 2, materialize=True):
    def run(ctx, *args):
        ctx.set_materialize_grads(materialize)
        return forward(ctx, *args)

    members = {"forward": staticmethod(run), "backward": staticmethod(back)}
    return type("F", (torch.autograd.Function,), members).apply


@twin
def test_a_backward_that_cannot_do_without_gradients_is_found(torch, rng):
    def two(ctx, x):
        return x * 2, x * 3

    x = rng(3, dtype="float64", grad=True)
    check = torch.autograd.gradcheck
    good = function(torch, lambda ctx, g: None if g is None else g * 2, materialize=False)
    bad = function(torch, lambda ctx, g: g * 2, materialize=False)
    odd = function(torch, lambda ctx, g: torch.ones(3, dtype=torch.float64) if g is None else g * 2, materialize=False)
    one = function(torch, lambda ctx, g, h: g * 2 + (0 if h is None else h * 3), two, materialize=False)
    plain = function(torch, lambda ctx, g, h: g * 2 + h * 3, two)
    tries = [good, bad, odd, one, plain]
    return (
        [raised(lambda f=f: check(f, (x,))) for f in tries],
        [raised(lambda f=f: check(f, (x,), check_undefined_grad=False)) for f in tries],
        [raised(lambda f=f: check(f, (x,), raise_exception=False)) for f in tries],
        check(odd, (x,), raise_exception=False),
    )


@twin
def test_a_gradient_that_does_not_depend_on_the_incoming_one_is_found(torch, rng):
    x = rng(1, dtype="float64", grad=True)
    f = function(torch, lambda ctx, g: torch.full_like(g, 2.0))
    return raised(lambda: torch.autograd.gradcheck(f, (x,), check_undefined_grad=False))


@twin
def test_tolerances_and_runs_that_differ(torch, rng):
    x = rng(3, dtype="float64", grad=True)
    check, calls = torch.autograd.gradcheck, []

    def unsteady(ctx, g):
        calls.append(1)
        return g * (2 + len(calls) * 1e-9)

    near = function(torch, lambda ctx, g: g * 2.001)
    return (
        raised(lambda: check(near, (x,))),
        raised(lambda: check(near, (x,), atol=1e-2)),
        raised(lambda: check(near, (x,), atol=0, rtol=1e-2)),
        raised(lambda: check(function(torch, unsteady), (x,))),
        raised(lambda: check(function(torch, unsteady), (x,), nondet_tol=1e-6)),
        raised(lambda: check(lambda a: a.sin(), (x,), fast_mode=True)),
        raised(lambda: check(near, (x,), fast_mode=True)),
        raised(lambda: check(lambda a: a.sin(), (x,), masked=True)),
        raised(lambda: check(lambda a: a.sin(), (x,), eps=1e-4)),
        raised(lambda: check(lambda a, b: a * b, (x, rng(1, dtype="float64", grad=True).expand(3)))),
        raised(lambda: check(lambda a: a.sin(), (rng(3, dtype="float64"),))),
    )


@twin
def test_options_that_contradict_each_other(torch, rng):
    x = rng(3, dtype="float64", grad=True)
    f = lambda a: a.sin()
    first, second = torch.autograd.gradcheck, torch.autograd.gradgradcheck
    return (
        raised(lambda: first(f, (x,), check_backward_ad=False)),
        raised(lambda: first(f, (x,), check_backward_ad=False, check_forward_ad=True, check_batched_grad=True)),
        raised(lambda: first(f, (x,), check_batched_forward_grad=True)),
        raised(lambda: second(f, (x,), check_rev_over_rev=False)),
        raised(lambda: second(f, (x,), gen_non_contig_grad_outputs=True)),
        raised(lambda: second(lambda a: a.sin() * a.sum(), (x,), rng(3, dtype="float64", grad=True))),
        raised(lambda: second(f, (x,), fast_mode=True)),
    )


@pytest.mark.parametrize("option", ["check_forward_ad", "check_batched_grad"])
def test_a_check_that_is_not_done_does_not_pass(option):
    x = mini_dl.ones(2, dtype=mini_dl.float64, requires_grad=True)
    with pytest.raises(NotImplementedError, match=option):
        mini_dl.autograd.gradcheck(mini_dl.sin, (x,), **{option: True})
    option = {"check_forward_ad": "check_fwd_over_rev"}.get(option, option)
    with pytest.raises(NotImplementedError):
        mini_dl.autograd.gradgradcheck(mini_dl.sin, (x,), **{option: True})
