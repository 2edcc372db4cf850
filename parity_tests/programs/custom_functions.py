"""Functions with custom gradients, checked by finite differences, and saved tensors that are stored elsewhere."""
import math

import torch
from torch.autograd import Function, gradcheck, gradgradcheck


class LegendrePolynomial3(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return 0.5 * (5 * input ** 3 - 3 * input)

    @staticmethod
    def backward(ctx, grad_output):
        input, = ctx.saved_tensors
        return grad_output * 1.5 * (5 * input ** 2 - 1)


class GradReverse(Function):
    @staticmethod
    def forward(ctx, x, alpha):
        ctx.alpha = alpha
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.neg() * ctx.alpha, None


def fit():
    x = torch.linspace(-math.pi, math.pi, 200)
    y = torch.sin(x)
    a, b, c, d = (torch.full((), value, requires_grad=True) for value in (0.0, -1.0, 0.0, 0.3))
    for t in range(100):
        y_pred = a + b * LegendrePolynomial3.apply(c + d * x)
        loss = (y_pred - y).pow(2).sum()
        loss.backward()
        if t % 20 == 19:
            print(t, round(loss.item(), 4))
        with torch.no_grad():
            for p in (a, b, c, d):
                p -= 5e-6 * p.grad
                p.grad = None
    print(f'Result: y = {a.item():.4f} + {b.item():.4f} * P3({c.item():.4f} + {d.item():.4f} x)')


def check():
    input = torch.randn(4, dtype=torch.double, requires_grad=True)
    print(gradcheck(LegendrePolynomial3.apply, (input,)), gradgradcheck(LegendrePolynomial3.apply, (input,)))
    print('next number', round(torch.rand(1).item(), 4))


def keep_elsewhere():
    w = torch.randn(3, 3, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.numpy().copy(), torch.from_numpy):
        loss = (w * w).exp().sum() + GradReverse.apply(w, 0.5).sum()
    loss.backward()
    print('gradient', round(w.grad.sum().item(), 4))


if __name__ == '__main__':
    torch.manual_seed(0)
    fit()
    check()
    keep_elsewhere()
