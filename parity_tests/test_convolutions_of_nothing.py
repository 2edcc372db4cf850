"""Gradients of convolutions of empty tensors: which are None, in first and second order."""

from __future__ import annotations

import itertools

import pytest

from parity_tests.twin import twin

WANTED = [flags for flags in itertools.product([False, True], repeat=3) if any(flags)]


@twin
@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("wanted", WANTED)
def test_second_order_gradients_of_convolutions_with_and_without_elements(torch, rng, wanted, transposed, batch):
    F = torch.nn.functional
    shapes = [(batch, 1, 3, 3), (1, 1, 2, 2), (1,)]
    tensors = [rng(*shape, dtype="float64", grad=grad) for shape, grad in zip(shapes, wanted)]
    out = (F.conv_transpose2d if transposed else F.conv2d)(*tensors)
    asked = [t for t in tensors if t.requires_grad]
    start = rng(*out.shape, dtype="float64", grad=True)
    first = torch.autograd.grad(out, asked, start, create_graph=True)
    second = [
        torch.autograd.grad(g, [*asked, start], torch.ones_like(g), allow_unused=True, retain_graph=True)
        for g in first
        if g.requires_grad
    ]
    return first, second


@twin
@pytest.mark.parametrize("transposed", [False, True])
def test_a_gradient_penalty_over_an_empty_batch_leaves_weights_as_torch_does(torch, rng, transposed):
    kind = torch.nn.ConvTranspose2d if transposed else torch.nn.Conv2d
    torch.manual_seed(0)
    layers = torch.nn.Sequential(kind(2, 2, 2), torch.nn.ReLU(), kind(2, 2, 2))
    x = rng(0, 2, 5, 5, grad=True)
    (g,) = torch.autograd.grad(layers(x).sum(), x, create_graph=True)
    g.pow(2).sum().backward()
    return g.shape, [p.grad for p in layers.parameters()], x.grad


@twin
@pytest.mark.parametrize("groups", [1, 4])
def test_the_gradient_from_one_output_position_is_contiguous(torch, rng, groups):
    x = torch.ones(3, 4, 9, requires_grad=True)
    y = torch.nn.functional.conv1d(x, torch.ones(4, 4 // groups, 9), groups=groups)
    return torch.autograd.grad(y.sum(), x)[0].stride()
