"""gradcheck and gradgradcheck detect wrong gradients, under both libraries."""

from __future__ import annotations

import importlib
import warnings

from parity_tests.twin import raised, twin

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    importlib.import_module("torch._decomp.decompositions_for_jvp")  # as torch does when forward mode is first used, and warns


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


@twin
def test_a_wrong_jvp_is_found(torch, rng):
    def made(jvp, back=lambda ctx, g: g * 2):
        members = {"forward": staticmethod(lambda ctx, x: x * 2), "backward": staticmethod(back), "jvp": staticmethod(jvp)}
        return type("F", (torch.autograd.Function,), members).apply

    x, check = rng(3, dtype="float64", grad=True), torch.autograd.gradcheck
    good, bad = made(lambda ctx, t: t * 2), made(lambda ctx, t: t * 3)
    ways = [{}, {"check_forward_ad": True}, {"check_forward_ad": True, "fast_mode": True}]
    ways += [{"check_forward_ad": True, "check_backward_ad": False}]
    return [[raised(lambda f=f, way=way: check(f, (x,), **way)) for way in ways] for f in (good, bad)]


@twin
def test_forward_mode_and_batches_are_checked(torch, rng):
    x, z = rng(3, dtype="float64", grad=True), rng(3, dtype="complex128", grad=True)
    every = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    second = {"check_fwd_over_rev": True, "check_batched_grad": True}
    f, g = lambda x: (x.softmax(0), (x**3).sum()), lambda z: z * z.abs() + z.conj()
    steps = lambda x: x.detach() * x
    check, twice = torch.autograd.gradcheck, torch.autograd.gradgradcheck
    return (
        [check(f, (x,), fast_mode=fast, **every) for fast in (False, True)],
        [check(g, (z,), fast_mode=fast, check_forward_ad=True, check_batched_grad=True) for fast in (False, True)],
        [twice(one, (v,), fast_mode=fast, **second) for one, v in ((f, x), (g, z)) for fast in (False, True)],
        raised(lambda: check(steps, (x,), check_forward_ad=True)),
        raised(lambda: check(steps, (x,), check_forward_ad=True, check_backward_ad=False)),
        raised(lambda: check(lambda x: x * x.sum().item(), (x,), check_batched_forward_grad=True, check_forward_ad=True)),
    )
