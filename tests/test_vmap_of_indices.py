"""`vmap` over expressions with indices gives what a loop gives, whichever of the tensors have a batch."""

import itertools

import numpy as np
import pytest

import mini_dl as torch
from mini_dl.func import grad, vmap

B = 3
NUMBERS = np.random.default_rng(0)
A = torch.tensor(NUMBERS.normal(size=(B, 4, 5, 6)))
FIRST, OTHER = (torch.tensor(NUMBERS.integers(0, 4, size=(B, 2))) for _ in range(2))
K = torch.tensor(NUMBERS.integers(0, 4, size=(B, 3, 2)))
V = torch.tensor(NUMBERS.normal(size=(B, 2)))

CHOSEN = {
    "first": lambda a, i, j, k: a[i],
    "second": lambda a, i, j, k: a[:, i],
    "last": lambda a, i, j, k: a[..., i],
    "two": lambda a, i, j, k: a[i, j],
    "second and third": lambda a, i, j, k: a[:, i, j],
    "first and last": lambda a, i, j, k: a[i, :, j],
    "of a matrix": lambda a, i, j, k: a[k],
    "of a matrix and a vector": lambda a, i, j, k: a[:, k, i],
    "of a vector and a matrix": lambda a, i, j, k: a[i, :, k],
    "with a new dimension": lambda a, i, j, k: a[i, None, :, j],
    "with a number": lambda a, i, j, k: a[1, :, i],
    "of single numbers": lambda a, i, j, k: a[:, i[0], j[1]],
    "with a slice": lambda a, i, j, k: a[1:, i, ::2],
}


def written(a, *args):
    """A copy of `a` that has a batch if any argument has one."""
    return a + sum(arg.sum() for arg in args) * 0


def put(target, index, values):
    target[index] = values
    return target


ALL = slice(None)
PUT = {
    "first": lambda a, i, j, k, v: put(written(a, i, j, k, v), i, v.sum()),
    "two": lambda a, i, j, k, v: put(written(a, i, j, k, v), (i, j), v.sum() * a[0, 0]),
    "two, added": lambda a, i, j, k, v: a.index_put((i, j), v[:, None] * a[0, 0], True),
    "second": lambda a, i, j, k, v: put(written(a, i, j, k, v), (ALL, i), v.sum()),
    "second and third": lambda a, i, j, k, v: put(written(a, i, j, k, v), (ALL, i, j), v.sum() * a[0, 0, 0]),
    "first and last": lambda a, i, j, k, v: put(written(a, i, j, k, v), (i, ALL, j), v.sum() * a[0, :, 0]),
    "of a matrix": lambda a, i, j, k, v: put(written(a, i, j, k, v), (ALL, k, i), v.sum()),
    "one number": lambda a, i, j, k, v: put(written(a, i, j, k, v), (ALL, i[0], j[1]), v[0] * a[0, 0, 0]),
}


def checked_for_all_batches(f, tensors):
    """Compare `vmap` of `f` with a loop, for every choice of the tensors that have a batch."""
    for has in itertools.product((True, False), repeat=len(tensors)):
        if any(has):
            given = [t if batched else t[0] for t, batched in zip(tensors, has)]
            found = vmap(f, tuple(0 if batched else None for batched in has))(*given)
            wanted = [f(*[t[n] if batched else t for t, batched in zip(given, has)]) for n in range(B)]
            np.testing.assert_allclose(found.numpy(), torch.stack(wanted).numpy(), rtol=1e-13, err_msg=str(has))


@pytest.mark.parametrize("name", CHOSEN)
def test_what_indices_choose(name):
    checked_for_all_batches(CHOSEN[name], (A, FIRST, OTHER, K))


@pytest.mark.parametrize("name", CHOSEN)
def test_gradients_of_what_indices_choose(name):
    checked_for_all_batches(lambda *args: grad(lambda a: (CHOSEN[name](a, *args[1:]) ** 2).sum())(args[0]), (A, FIRST, OTHER, K))


@pytest.mark.parametrize("name", PUT)
def test_what_is_put_at_indices(name):
    checked_for_all_batches(PUT[name], (A, FIRST, OTHER, K, V))


@pytest.mark.parametrize("name", PUT)
def test_gradients_of_what_is_put_at_indices(name):
    f = lambda a, i, j, k, v: grad(lambda v: (PUT[name](a, i, j, k, v) ** 2).sum())(v)
    checked_for_all_batches(f, (A, FIRST, OTHER, K, V))
