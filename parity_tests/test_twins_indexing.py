"""Reading and writing by index, under both libraries."""

from __future__ import annotations

import pytest

from parity_tests.twin import either, message, outcome, raised, twin

INDICES = {
    "0": lambda t: 0,
    "-1": lambda t: -1,
    "None": lambda t: None,
    "...": lambda t: ...,
    "slice": lambda t: slice(None),
    "1:": lambda t: slice(1, None),
    "::2": lambda t: slice(None, None, 2),
    ":0": lambda t: slice(0, 0),
    "-2:": lambda t: slice(-2, None),
    "beyond": lambda t: slice(1, 99),
    "True": lambda t: True,
    "False": lambda t: False,
    "list": lambda t: [0, 2],
    "empty list": lambda t: [],
    "nested list": lambda t: [[0, 1], [2, 0]],
    "long": lambda t: t.tensor([2, 0, 2]),
    "negative long": lambda t: t.tensor([-1, 0]),
    "matrix": lambda t: t.tensor([[0, 1], [2, 2]]),
    "0-d": lambda t: t.tensor(1),
    "uint8": lambda t: t.tensor([1, 0, 1], dtype=t.uint8),
    "int32": lambda t: t.tensor([1, 2]).int(),
    "row mask": lambda t: t.tensor([True, False, True]),
    "mask": lambda t: t.arange(12).reshape(3, 4) % 3 == 0,
    "empty mask": lambda t: t.zeros(3, dtype=t.bool),
    "0-d mask": lambda t: t.tensor(True),
    "no index": lambda t: (),
    "int int": lambda t: (1, 2),
    "int slice": lambda t: (1, slice(1, 3)),
    "slice int": lambda t: (slice(None), 2),
    "None first": lambda t: (None, 1),
    "... int": lambda t: (..., 1),
    "int ... int": lambda t: (0, ..., 1),
    "... None": lambda t: (..., None),
    "long long": lambda t: (t.tensor([0, 1]), t.tensor([3, 2])),
    "broadcast": lambda t: (t.tensor([[0], [2]]), t.tensor([1, 3])),
    "slice long": lambda t: (slice(None), t.tensor([3, 0])),
    "long slice": lambda t: (t.tensor([2, 0]), slice(1, 3)),
    "int long": lambda t: (1, t.tensor([0, 3])),
    "long int": lambda t: (t.tensor([0, 2]), 1),
    "list list": lambda t: ([0, 1], [2, 3]),
    "long None long": lambda t: (t.tensor([0, 1]), None, t.tensor([1, 2])),
    "mask int": lambda t: (t.tensor([True, False, True]), 1),
    "mask slice": lambda t: (t.tensor([True, False, True]), slice(0, 2)),
    "slice mask": lambda t: (slice(None), t.tensor([True, False, True, True])),
    "None long": lambda t: (None, t.tensor([1])),
    "True int": lambda t: (True, 1),
    "tuple in list": lambda t: [0, 1],
    "repeated": lambda t: t.tensor([1, 1, 1, 0]),
    "too many": lambda t: (0, 0, 0),
    "beyond int": lambda t: 3,
    "beyond long": lambda t: t.tensor([3]),
    "wrong mask": lambda t: t.tensor([True, False]),
    "float": lambda t: 1.5,
    "float tensor": lambda t: t.tensor([1.0]),
    "string": lambda t: "a",
    "two dots": lambda t: (..., ...),
    "step 0": lambda t: slice(None, None, 0),
    "step -1": lambda t: slice(None, None, -1),
    "mismatch": lambda t: (t.tensor([0, 1]), t.tensor([0, 1, 2])),
    "-4": lambda t: -4,
    "slice of tensors": lambda t: slice(t.tensor(0), t.tensor(2)),
}
NAMES = pytest.mark.parametrize("name", list(INDICES))


@NAMES
@either
def test_reading(torch, rng, name):
    x, index = rng(3, 4, grad=True), INDICES[name](torch)
    y = x[index]
    z = y * y.detach().cos()
    g = outcome(lambda: torch.autograd.grad((z * z).sum(), x, create_graph=True)[0])
    second = outcome(lambda: torch.autograd.grad((g * g).sum(), x)) if not isinstance(g, str) else g
    return y, g, second, y._is_view() if y.numel() else None


@NAMES
@either
def test_reading_a_transposed_tensor_of_three_dimensions(torch, rng, name):
    x = rng(2, 4, 3).permute(2, 1, 0)
    y = x[INDICES[name](torch)]
    return y, y.shape


@NAMES
@either
def test_writing_a_number(torch, rng, name):
    a = rng(3, 4, grad=True)
    x = a * 1
    x[INDICES[name](torch)] = 7
    return x, x._version, torch.autograd.grad((x * x).sum(), a)


@NAMES
@either
def test_writing_a_tensor(torch, rng, name):
    if name == "repeated":
        return None
    a, b = rng(3, 4, grad=True), rng(1, grad=True)
    x = a * 1
    index = INDICES[name](torch)
    x[index] = b * 2
    y = rng(3, 4, dtype="float64")
    y[index] = rng(1)
    i = rng(3, 4, dtype="int64")
    return x, torch.autograd.grad((x * x).sum(), (a, b), allow_unused=True), y, raised(lambda: i.__setitem__(index, 2.7)), i


@NAMES
@either
def test_writing_a_value_of_the_right_shape(torch, rng, name):
    if name == "repeated":
        return None
    x = rng(3, 4)
    index = INDICES[name](torch)
    shape = x[index].shape
    x[index] = rng(*shape)
    wrong = raised(lambda: x.__setitem__(index, rng(7, 5)))
    return x, wrong


SELECTIONS = {
    "list of nothing": ((2, 3), lambda t: ([],)),
    "beyond": ((2, 0), lambda t: (t.tensor([5]),)),
    "from nothing": ((0, 3), lambda t: (t.tensor([0, 1]),)),
    "beside nothing": ((2, 0, 3), lambda t: (..., t.tensor([0, 1]))),
    "nothing between": ((2, 2, 3), lambda t: (..., t.tensor([1, 1]), slice(1, 0), slice(None), None)),
    "an index without elements": ((3, 2), lambda t: (t.zeros(2, 0, dtype=t.int64), t.tensor([0]))),
    "which do not meet": ((3, 2), lambda t: (t.tensor([0, 1, 2]), t.tensor([0, 1]))),
}


@pytest.mark.parametrize("name", list(SELECTIONS))
@twin
def test_writing_values_that_do_not_fit_where_nothing_is_selected(torch, rng, name):
    shape, index = SELECTIONS[name]
    results = []
    for values in ((), (1,), (3,), (2, 3), (0, 3), (1, 0), (2, 0, 3), (3, 0, 0, 2), (2, 2, 0, 3, 1), (2, 1, 1, 3)):
        x = rng(*shape)
        results += [message(lambda x=x, values=values: x.__setitem__(index(torch), rng(*values))), x]
    return results


@NAMES
@either
def test_augmented_writing(torch, rng, name):
    a = rng(3, 4, grad=True)
    x = a * 1
    x[INDICES[name](torch)] *= 3
    return x, torch.autograd.grad((x * x).sum(), a)


@twin
def test_indexing_a_scalar(torch, rng):
    x = rng(1).sum()
    return (
        x[None],
        x[...],
        x[()],
        x[True],
        x[False],
        raised(lambda: x[0]),
        raised(lambda: x[:]),
        raised(lambda: x[None, 0, 0]),
        x[None, None].shape,
    )


@twin
def test_iterating(torch, rng):
    x = rng(3, 2, grad=True)
    rows = list(x)
    a, b, c = x
    return (
        rows,
        a.requires_grad,
        torch.autograd.grad((a * b * c).sum(), x),
        [r.shape for r in reversed(x)] if hasattr(x, "__reversed__") else None,
    )


@twin
def test_scatter_and_gather_with_repeats(torch, rng):
    x, v = rng(3, 4, grad=True), rng(3, 4, grad=True)
    index = torch.tensor([[0, 1, 1, 0], [2, 2, 2, 2], [0, 0, 1, 1]])
    results = [
        x.gather(1, index),
        x.gather(0, index),
        x.scatter(0, torch.tensor([[0, 1, 2, 0]]), v[:1]),
        x.scatter_add(1, index, v),
        x.index_add(0, torch.tensor([0, 0, 2]), v),
        x.index_select(1, torch.tensor([1, 1, 0])),
        x.take(index),
        x.index_put((torch.tensor([0, 0]), torch.tensor([1, 1])), v[0, :2], accumulate=True),
        x.masked_fill(x > 0, 2.0),
        x.masked_select(x > 0),
        x.scatter_reduce(1, index, v, "sum"),
        x.index_copy(0, torch.tensor([2, 0]), v[:2]),
        x.index_fill(1, torch.tensor([1]), 3.0),
        torch.where(x > 0, x, v),
        x.masked_scatter(x > 0, v),
        torch.take_along_dim(x, index, 1),
    ]
    found = []
    for r in results:
        g = rng(*r.shape)
        found.append(torch.autograd.grad((r * r * g).sum(), (x, v), allow_unused=True))
    return results, found


@twin
def test_ties(torch, rng):
    x = torch.tensor([[1.0, 2.0, 1.0, 2.0, 1.0], [3.0, 3.0, 3.0, 0.0, 0.0]])
    y = x.to(torch.int64)
    return (
        [t.sort(stable=True, descending=d) for t in (x, y) for d in (False, True)],
        [torch.argsort(t, dim=1, stable=True, descending=d) for t in (x, y) for d in (False, True)],
        [t.sort(1, True) for t in (x, y)],
        [t.max(1) for t in (x, y)],
        [t.min(1) for t in (x, y)],
        [t.argmax(1) for t in (x, y)],
        [t.cummax(1) for t in (x, y)],
        [t.unique(return_inverse=True, return_counts=True) for t in (x, y)],
    )
