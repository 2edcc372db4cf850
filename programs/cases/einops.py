"""einops: rearrangements, reductions, packed shapes, and layers."""

import torch
from einops import asnumpy, einsum, pack, parse_shape, rearrange, reduce, repeat, unpack
from einops.layers.torch import EinMix, Rearrange, Reduce

from programs.case import function, images, model, numbers


@function
def rearranged():
    x = torch.randn(2, 3, 8, 6, requires_grad=True)
    y = rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p=2, q=3)
    (y * y).sum().backward()
    return y, x.grad, parse_shape(x, "b c h w"), asnumpy(y.detach())


@function
def reduced():
    x = torch.randn(2, 3, 8, 6)
    kinds = ("mean", "sum", "max", "min", "prod")
    return [reduce(x, "b c (h 2) (w 2) -> b c h w", kind) for kind in kinds], repeat(x, "b c h w -> (b r) c h w", r=2)


@function
def packed():
    xs = [torch.randn(3, 5), torch.randn(3, 4, 5), torch.randn(3, 2, 2, 5)]
    together, shapes = pack(xs, "b * d")
    return together, shapes, unpack(together, shapes, "b * d")


@function
def products():
    return einsum(torch.randn(2, 3, 4), torch.randn(2, 4, 5), "b i j, b j k -> b i k")


model(
    "patches",
    lambda: torch.nn.Sequential(
        Rearrange("b c (h p) (w q) -> b (h w) (p q c)", p=8, q=8),
        torch.nn.Linear(192, 32),
        EinMix("b t c -> b t d", weight_shape="c d", bias_shape="d", c=32, d=16),
        Reduce("b t d -> b d", "mean"),
    ),
    images(32),
)
model("mixed", lambda: EinMix("b c -> b (h d)", weight_shape="h c d", c=6, h=2, d=3), numbers(4, 6))
