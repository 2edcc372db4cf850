"""``torch._foreach_*``: an operation on each tensor of a list."""

from __future__ import annotations

import pytest

from mini_dl.ops.foreach import BINARY, TERNARY, UNARY
from parity_tests.twin import message, outcome, twin


def lists(rng):
    return [rng(2, 3).abs() + 0.5, rng(4).abs() + 0.5], [rng(2, 3).abs() + 0.5, rng(4).abs() + 0.5]


@twin
def test_of_one_list(torch, rng):
    found = []
    for name in [*UNARY, "clone", "norm", "max"]:
        a, _ = lists(rng)
        a = [x * 0.3 + 1 if name != "asin" and name != "acos" else x * 0.1 for x in a]
        found.append((name, getattr(torch, f"_foreach_{name}")(a)))
        if name in UNARY:
            found.append((getattr(torch, f"_foreach_{name}_")(a), a))
    return found, torch._foreach_norm(a, 1), torch._foreach_norm(a, ord=float("inf")), torch._foreach_zero_(a), a


@twin
@pytest.mark.parametrize("name", BINARY)
def test_of_two(torch, rng, name):
    found = []
    call, in_place = getattr(torch, f"_foreach_{name}"), getattr(torch, f"_foreach_{name}_")
    for other in (lambda b: b, lambda b: 1.5, lambda b: [1.5, 2.0], lambda b: 2):
        a, b = lists(rng)
        found.append(call(a, other(b)))
        found.append((in_place(a, other(b)), a))
    a, b = lists(rng)
    if name in ("add", "sub"):
        found += [call(a, b, alpha=0.3), in_place(a, b, alpha=-0.3), a]
    if name in ("add", "mul", "div"):
        found.append(call(a, torch.tensor(2.0)))
    if name == "pow":
        found.append(call(2.0, a))
    return found


@twin
@pytest.mark.parametrize("name", TERNARY)
def test_of_three(torch, rng, name):
    found = []
    call, in_place = getattr(torch, f"_foreach_{name}"), getattr(torch, f"_foreach_{name}_")
    a, b = lists(rng)
    c, _ = lists(rng)
    if name == "lerp":
        return call(a, b, 0.3), call(a, b, weight=0.3), call(a, b, c), in_place(a, b, 0.3), a, in_place(a, b, [0.1, 0.2]), a
    found += [call(a, b, c, value) for value in (2, 0.5, [0.5, 2.0], torch.tensor([0.5, 2.0]))]
    found += [call(a, b, c), call(a, b, c, value=0.1), call(a, b, c, scalars=[0.1, 0.2]), in_place(a, b, c, value=-0.1), a]
    return found


@twin
def test_copies_products_and_mistakes(torch, rng):
    a, b = lists(rng)
    return (
        torch._foreach_copy_(a, b), a, torch._foreach_mm([rng(2, 3)], [rng(3, 2)]), outcome(lambda: torch._foreach_add([], 1)),
        message(lambda: torch._foreach_add(a, a[:1]))[0], message(lambda: torch._foreach_add(a[0], 1))[0],
    )  # fmt: skip


@twin
def test_they_are_recorded(torch, rng):
    a, b = [rng(2, 3, grad=True), rng(4, grad=True)], [rng(2, 3, grad=True), rng(4, grad=True)]
    total = sum([x.sum() for x in torch._foreach_mul(torch._foreach_add(a, b, alpha=2), torch._foreach_sigmoid(a))])
    total.backward()
    return [x.grad for x in (*a, *b)]
