"""Gradients clipped to a norm or to a value, and norms of many tensors as one, under both libraries."""

from __future__ import annotations

import pytest

from parity_tests.twin import message, twin

NORMS = [0, 0.5, 1, 2, 2.0, 3, float("inf"), -float("inf"), -1, -2.0]


def with_gradients(rng, dtype="float32"):
    params = [rng(3, dtype=dtype, grad=True), rng(2, 2, dtype=dtype, grad=True), rng(dtype=dtype, grad=True), rng(4, grad=True)]
    for p in params[:3]:
        p.grad = rng(*p.shape, dtype=dtype) * 5
    return params


@pytest.mark.parametrize(
    ("norm", "dtype"),
    [(norm, dtype) for dtype in ("float32", "float64", "complex64") for norm in NORMS if norm or dtype != "complex64"],
)  # counting complex elements, torch warns that it drops their imaginary parts
@twin
def test_every_norm(torch, rng, norm, dtype):
    utils = torch.nn.utils
    params = with_gradients(rng, dtype)
    grads = [p.grad for p in params if p.grad is not None]
    total = utils.get_total_norm(grads, norm)
    found = [total, utils.clip_grad_norm_(params, 2.0, norm), [p.grad.clone() for p in params[:3]]]
    utils.clip_grads_with_norm_(params, 0.5, total, foreach=False)
    return found, params, [p.grad is g for p, g in zip(params, grads)]


@pytest.mark.parametrize("value", [0.5, 0.0, 100])
@twin
def test_values(torch, rng, value):
    params = with_gradients(rng)
    torch.nn.utils.clip_grad_value_(params, value)
    torch.nn.utils.clip_grad_value_(params[0], value / 2, foreach=False)
    return [p.grad for p in params]


@twin
def test_nothing_to_clip_and_norms_that_are_not_finite(torch, rng):
    utils = torch.nn.utils
    params = with_gradients(rng)
    params[0].grad[1] = float("inf")
    return [
        utils.clip_grad_norm_([], 1.0),
        utils.clip_grad_norm_(params[3], 1.0),
        utils.clip_grad_norm_(params[1], 1e6),
        utils.get_total_norm([]),
        utils.get_total_norm(params[1].grad, 3),
        message(lambda: utils.get_total_norm([p.grad for p in params[:3]], error_if_nonfinite=True)),
        message(lambda: utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)),
        utils.clip_grad_norm_(params, 1.0),
        [p.grad for p in params],
        message(lambda: utils.clip_grad_norm_(params[1], 1.0, "other")),
    ]


@twin
def test_types_side_by_side(torch, rng):
    single, double = rng(3, grad=True), rng(2, dtype="float64", grad=True)
    single.grad, double.grad = rng(3) * 9, rng(2, dtype="float64") * 9
    return torch.nn.utils.clip_grad_norm_([single, double], 1.5), single.grad, double.grad
