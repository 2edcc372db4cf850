"""What is copied from a tensor whose dimensions are repeated, as after `expand`, lies in memory as torch's does."""

from __future__ import annotations

import pytest

from parity_tests.twin import twin

SHAPES = [
    ((3,), (2, 3)),
    ((3, 1), (3, 2)),
    ((2, 3), (4, 2, 3)),
    ((4, 1, 3), (4, 2, 3)),
    ((4, 2, 1), (4, 2, 3)),
    ((), (2, 3)),
    ((3,), (1, 3)),
    ((2, 1, 1, 3), (2, 4, 5, 3)),
]
COPIES = {
    "clone": lambda t, x: x.clone(),
    "double": lambda t, x: x.double(),
    "bool": lambda t, x: x.bool(),
    "half": lambda t, x: x.half(),
    "int": lambda t, x: x.int(),
    "to with a copy": lambda t, x: x.to(x.dtype, copy=True),
    "contiguous": lambda t, x: x.contiguous(),
    "zeros_like": lambda t, x: t.zeros_like(x),
    "full_like": lambda t, x: t.full_like(x, 2),
    "rand_like": lambda t, x: t.rand_like(x.double()),
}
COMPUTED = {
    "add": lambda t, x: x + 1.5,
    "div": lambda t, x: x / 2,
    "exp": lambda t, x: x.exp(),
    "pow": lambda t, x: x**1,
    "round": lambda t, x: x.round(),
    "pow of another type": lambda t, x: x**1.5,
    "flip": lambda t, x: x.flip(0),
    "rot90": lambda t, x: t.rot90(x) if x.ndim > 1 else x,
    "fill": lambda t, x: t.fill(x, 2),
    "nan_to_num": lambda t, x: x.nan_to_num(),
    "add another type": lambda t, x: x + t.ones(3 if x.shape[-1] == 3 else 1, dtype=t.float64),
}


def order(x):
    return [step for size, step in zip(x.shape, x.stride()) if size > 1], x.is_contiguous(), str(x.dtype)


@twin
@pytest.mark.parametrize("dtype", ["float32", "int64", "bfloat16"])
@pytest.mark.parametrize("name", [*COPIES, *COMPUTED])
def test_copies_of_repeated_tensors_have_their_order(torch, rng, name, dtype):
    found = []
    for base, shape in SHAPES:
        x = torch.ones(base, dtype=getattr(torch, dtype)).expand(shape)
        found.append(order({**COPIES, **COMPUTED}[name](torch, x)))
        if name in COPIES:
            found.append(order(COPIES[name](torch, x.transpose(0, -1))))
    return found


@twin
def test_a_copy_of_repeated_rows_can_be_viewed_as_one(torch, rng):
    rows = torch.arange(3).expand(2, 3).clone()
    return rows.view(-1), rows.view(3, 2), rows.double().view(6)
