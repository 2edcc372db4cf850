"""Writes in place within functions that are transformed give the derivatives of the same function without writes."""

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.func import grad, hessian, jacfwd, jacrev, jvp, vmap

X = [1.0, 2.0, 3.0]
T = [1.0, 0.5, -2.0]


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def joined(*parts):
    return torch.cat([part.reshape(-1) for part in parts])


def multiplied(x):
    y = x.clone()
    return y.mul_(x)


def copied(x):
    y = x.clone()
    y.copy_(x**3)
    return y


def copied_to_zeros(x):
    return torch.zeros_like(x).copy_(x**3)


def part_of_zeros(x):
    y = torch.zeros_like(x)
    y[1:] = x[1:] ** 3
    return y


def views_of_zeros(x):
    y = torch.zeros_like(x)
    y[1:].mul_(x[1:]).add_(x[:-1])
    return y


def one_element(x):
    y = x * 2
    y[0] = x[1] ** 2 * x[0]
    return y


def filled(x):
    y = x * 2
    y[0].fill_(3.0)
    return y * x


def older_view(x):
    y = x * 2
    z = y.view(-1)
    y[0] *= x[0]
    z *= 2
    return y * x


def of_new_ones(x):
    return x.new_ones(3).mul_(x) * x


def transposed(x):
    y = (x[:, None] * x).t()
    y[0] *= x[2]
    y.t()[1] += x
    return y[:, 1]


FUNCTIONS = {
    multiplied: lambda x: x * x,
    copied: lambda x: x**3,
    copied_to_zeros: lambda x: x**3,
    part_of_zeros: lambda x: joined(x[0] * 0, x[1:] ** 3),
    views_of_zeros: lambda x: joined(x[0] * 0, x[:-1]),
    one_element: lambda x: joined(x[1] ** 2 * x[0], x[1:] * 2),
    filled: lambda x: joined(x[0] * 3, x[1:] * x[1:] * 2),
    older_view: lambda x: joined(x[0] ** 3 * 4, x[1:] * x[1:] * 4),
    of_new_ones: lambda x: x * x,
    transposed: lambda x: joined(x[0] * x[1] * x[2] + x[0], x[1] * x[1] + x[1], x[1] * x[2] + x[2]),
}
"""The same without writes."""

TRANSFORMS = {
    "jvp over jvp": lambda f, x, t: jvp(lambda x: jvp(f, (x,), (t,))[1], (x,), (x.sin(),))[1],
    "grad over jvp": lambda f, x, t: grad(lambda x: jvp(f, (x,), (t,))[1].sum())(x),
    "jvp over grad": lambda f, x, t: jvp(grad(lambda x: f(x).sum()), (x,), (t,))[1],
    "vmap over jvp": lambda f, x, t: vmap(lambda x, t: jvp(f, (x,), (t,))[1])(torch.stack([x, t]), torch.stack([t, x])),
    "vmap over jvp with one tangent": lambda f, x, t: vmap(lambda x: jvp(f, (x,), (t,))[1])(torch.stack([x, t])),
    "vmap over jvp at one place": lambda f, x, t: vmap(lambda t: jvp(f, (x,), (t,))[1])(torch.stack([x, t])),
    "jvp over vmap": lambda f, x, t: jvp(vmap(f), (torch.stack([x, t]),), (torch.stack([t, x]),))[1],
    "jacfwd over jacfwd": lambda f, x, t: jacfwd(jacfwd(f))(x),
    "jacrev over jacfwd": lambda f, x, t: jacrev(jacfwd(f))(x),
    "jacfwd over jacrev": lambda f, x, t: jacfwd(jacrev(f))(x),
    "hessian": lambda f, x, t: hessian(lambda x: (f(x) * t).sum())(x),
    "vmap over jacfwd": lambda f, x, t: vmap(jacfwd(f))(torch.stack([x, t])),
}
AROUND = {
    "": lambda f, s: f(s),
    "within jacrev": lambda f, s: jacrev(f)(s),
    "within jvp": lambda f, s: jvp(f, (s,), (s * 2,))[1],
    "within vmap": lambda f, s: vmap(f)(torch.stack([s, s * 2])),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_writes_within_transforms_change_no_derivative(name, around):
    x, t, s = double(X), double(T), double(1.5)
    for writing, plain in FUNCTIONS.items():
        # the tangent `t` has neither the batch nor the history that `x` has
        found, wanted = [AROUND[around](lambda s, f=f: TRANSFORMS[name](f, x * s, t), s) for f in (writing, plain)]
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-12, atol=1e-12, err_msg=writing.__name__)


def test_a_tensor_made_within_a_transform_may_be_written_to_whatever_it_is_made_from():
    x, t = double(X), double(T)

    def f(s):
        return jvp(lambda x: (s * 2).mul_(x), (x,), (t,))[1]

    np.testing.assert_allclose(vmap(f)(torch.stack([x, t])).numpy(), (torch.stack([x, t]) * 2 * t).numpy())
    np.testing.assert_allclose(jvp(f, (x,), (t,))[1].numpy(), (t * 2 * t).numpy())
