"""What a forward keeps for its gradient gives the gradient that is found without it, and goes where saved tensors go."""

from __future__ import annotations

from typing import Any

import pytest

import mini_dl as torch
from mini_dl.nn import functional as F

LABELS = torch.arange(6) % 4
OPS: dict[str, Any] = {
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "log_softmax of columns": lambda x: F.log_softmax(x, 0),
    "log_softmax far from 0": lambda x: F.log_softmax(x * 1000, 1),
    "cross_entropy": lambda x: F.cross_entropy(x, LABELS, reduction="none"),
    "layer_norm": lambda x: F.layer_norm(x, (4,), x[0], x[1]),
    "attention": lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None], is_causal=True),
    "gelu": F.gelu,
    "silu": F.silu,
    "rms_norm": lambda x: F.rms_norm(x, (4,), x[0]),
}


@pytest.fixture(params=OPS)
def case(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    x = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    function = OPS[request.param]
    return function, x, torch.randn(function(x).shape, dtype=torch.float64)


def test_the_gradient_is_that_without_a_memo(case: Any) -> None:
    function, x, cotangent = case
    function(x).backward(cotangent)
    torch.testing.assert_close(x.grad, torch.func.vjp(function, x.detach())[1](cotangent)[0])
    y = function(x)
    (batch,) = torch.autograd.grad(y, x, torch.stack([cotangent, 2 * cotangent]), is_grads_batched=True, retain_graph=True)
    torch.testing.assert_close(batch, torch.stack([x.grad, 2 * x.grad]))
    (again,) = torch.autograd.grad(y, x, cotangent, create_graph=True)
    torch.testing.assert_close(again, x.grad)
    assert torch.autograd.gradgradcheck(function, (x,))


def test_a_memo_goes_through_the_hooks_of_saved_tensors(case: Any) -> None:
    function, x, cotangent = case
    function(x).backward(cotangent)
    kept: list[Any] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.clone()) or len(kept) - 1, lambda i: kept[i]):
        y = function(x)
    (found,) = torch.autograd.grad(y, x, cotangent)
    assert torch.equal(found, x.grad)
    checkpointed = torch.utils.checkpoint.checkpoint(function, x, use_reentrant=False)
    assert torch.equal(torch.autograd.grad(checkpointed, x, cotangent)[0], x.grad)


def test_a_result_that_was_written_has_no_gradient() -> None:
    y = F.log_softmax(torch.randn(6, 4, requires_grad=True), 1)
    y.detach().add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_meta_tensor_keeps_nothing() -> None:
    x = torch.ones(6, 4, device="meta", requires_grad=True)
    y = F.log_softmax(x, 1)
    assert y.grad_fn._saved_memo == []
    y.backward(torch.ones(6, 4, device="meta"))
    assert x.grad.device.type == "meta" and x.grad.shape == (6, 4)
