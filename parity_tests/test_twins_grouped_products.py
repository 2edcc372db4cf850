"""Products of matrices in groups of different lengths."""

import pytest

from parity_tests.twin import outcome, twin

SHAPES = {
    "rows": ((12, 8), (3, 8, 4)),
    "columns": ((3, 5, 8), (8, 12)),
    "inner": ((4, 12), (12, 8)),
    "equal": ((3, 5, 8), (3, 8, 4)),
}


@twin
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("ends", [(4, 8, 12), (0, 8, 12), (8, 8, 12)])
def test_grouped_products_and_their_gradients(torch, rng, name, ends):
    a, b = (rng(*shape, grad=True) for shape in SHAPES[name])
    offs = None if name == "equal" else torch.tensor(ends, dtype=torch.int32)
    out = torch.nn.functional.grouped_mm(a, b, offs=offs)
    return out, torch.autograd.grad(out, (a, b), rng(*out.shape))


@twin
def test_what_grouped_products_refuse(torch, rng):
    product, offs = torch.nn.functional.grouped_mm, torch.tensor([2, 7], dtype=torch.int32)
    a, b = rng(8, 8), rng(2, 8, 4)
    calls = (
        lambda: product(a[0], b, offs=offs),
        lambda: product(a, b),
        lambda: product(b.mT, b, offs=offs),
        lambda: product(rng(3, 4, 8), b),
        lambda: product(a, rng(2, 4, 4), offs=offs),
        lambda: product(a, b, offs=offs.long()),
        lambda: product(a, b, offs=offs[None]),
        lambda: product(a, b, offs=offs[:1]),
        lambda: product(a.double(), b.double(), offs=offs),
        lambda: product(a, b, offs=offs, out_dtype=torch.float16),
        lambda: product(a, b, offs=offs, bias=rng(2, 4)),
    )
    return [outcome(call) for call in calls]
