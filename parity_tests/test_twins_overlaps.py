"""Operands that overlap with the written memory, in place and by ``out=``: rejected calls, and the results of the others."""

from __future__ import annotations

import pytest

from parity_tests.twin import outcome, raised, twin

LAYOUTS = {
    "shifted": lambda x: (x[1:], x[:-1]),
    "itself": lambda x: (x, x),
    "another view of it": lambda x: (x, x.view(-1)),
    "a detached one": lambda x: (x, x.detach()),
    "its data": lambda x: (x, x.data),
    "transposed": lambda x: (x[:4].view(2, 2), x[:4].view(2, 2).t()),
    "a row of a matrix of one row": lambda x: (x.view(1, -1), x.view(1, -1)[0]),
    "a matrix of one row": lambda x: (x, x[None]),
    "every second": lambda x: (x[0:6:2], x[1:7:2]),
    "one element": lambda x: (x, x[:1]),
    "nothing": lambda x: (x[:0], x[:0]),
    "apart": lambda x: (x[:4], x[4:]),
}
OF_ONE_SHAPE = ["shifted", "itself", "another view of it", "a detached one", "its data", "transposed", "every second", "apart"]
IN_PLACE = (
    "add_ sub_ mul_ div_ remainder_ pow_ copy_ eq_ lt_ logical_and_ atan2_ copysign_ hypot_ xlogy_ heaviside_ nextafter_ fmod_ "
    "floor_divide_ clamp_min_ __iadd__ __imul__ ldexp_"
).split()
OF_THREE = ["addcmul_", "addcdiv_", "lerp_", "clamp_"]
BY_INDEX = {
    "index_add_": lambda torch, x, y: x.index_add_(0, torch.arange(x.shape[0]), y),
    "index_copy_": lambda torch, x, y: x.index_copy_(0, torch.arange(x.shape[0]), y),
    "index_put_": lambda torch, x, y: x.index_put_((torch.arange(x.shape[0]),), y),
    "put_": lambda torch, x, y: x.put_(torch.arange(x.numel()), y),
    "scatter_": lambda torch, x, y: x.scatter_(0, torch.zeros(x.shape, dtype=torch.long), y),
    "scatter_add_": lambda torch, x, y: x.scatter_add_(0, torch.zeros(x.shape, dtype=torch.long), y),
    "x[...] = y": lambda torch, x, y: x.__setitem__(..., y),
    "x[None] = y": lambda torch, x, y: x.__setitem__(None, y),
    "x[index] = y": lambda torch, x, y: x.__setitem__(torch.arange(x.shape[0]), y),
    "x[:] += y": lambda torch, x, y: x[:].add_(y),
}
OUT = (
    "add mul div maximum pow eq logical_or sin exp neg abs round cumsum cumprod addcmul where lerp clamp matmul mm amax mean "
    "topk cat gather take index_select bmm tril"
).split()
OPERANDS = {
    "cumsum": lambda torch, y: (y, 0),
    "cumprod": lambda torch, y: (y, 0),
    "addcmul": lambda torch, y: (y, y, y),
    "where": lambda torch, y: (y > 0, y, y),
    "lerp": lambda torch, y: (y, y, 0.5),
    "clamp": lambda torch, y: (y, 0, 1),
    "cat": lambda torch, y: ([y[:1], y[1:]],),
    "gather": lambda torch, y: (y, 0, torch.zeros_like(y, dtype=torch.long)),
    "take": lambda torch, y: (y, torch.arange(y.numel())),
    "index_select": lambda torch, y: (y, 0, torch.arange(y.shape[0])),
    "amax": lambda torch, y: (y, 0),
    "mean": lambda torch, y: (y, 0),
    "topk": lambda torch, y: (y, 1),
    "bmm": lambda torch, y: (y[None], y[None]),
}
BINARY = "add mul div maximum pow eq logical_or matmul mm".split()


def operands(torch, name, y):
    return OPERANDS[name](torch, y) if name in OPERANDS else (y, y) if name in BINARY else (y,)


def seen(rng, layout, write):
    """Whether a call is rejected, and the contents of memory afterward."""
    memory = rng(8).abs()
    x, y = LAYOUTS[layout](memory)
    return raised(lambda: write(x, y)), memory


@twin
@pytest.mark.parametrize("layout", LAYOUTS)
def test_in_place(torch, rng, layout):
    return [
        *[seen(rng, layout, lambda x, y, name=name: getattr(x, name)(y)) for name in IN_PLACE],
        *[seen(rng, layout, lambda x, y, name=name: getattr(x, name)(y, y)) for name in OF_THREE],
    ]


@twin
@pytest.mark.parametrize("layout", LAYOUTS)
def test_in_place_under_recording(torch, rng, layout):
    shown = []
    for name in ("add_", "mul_", "copy_", "atan2_"):
        leaf = rng(8, grad=True)
        x, y = LAYOUTS[layout](leaf * 1)
        refused = raised(lambda x=x, y=y, name=name: getattr(x, name)(y))
        if refused is None:
            (x * x).sum().backward()
        shown.append((refused, x, leaf.grad))
    return shown


@twin
@pytest.mark.parametrize("name", BY_INDEX)
def test_by_index(torch, rng, name):
    return [seen(rng, layout, lambda x, y: BY_INDEX[name](torch, x, y)) for layout in OF_ONE_SHAPE]


@twin
@pytest.mark.parametrize("layout", ["shifted", "itself", "another view of it", "transposed", "every second", "apart"])
def test_out(torch, rng, layout):
    shown = []  # not what is written: of what it asks nothing about, torch reads what it has written
    for name in OUT:
        write = lambda x, y, name=name: getattr(torch, name)(*operands(torch, name, y), out=x)
        shown.append((name, seen(rng, layout, write)[0]))
    return shown


SEVERAL = {"sort": (), "max": (0,), "min": (0,), "kthvalue": (1,), "mode": (0,), "median": (0,), "nanmedian": (0,)}


@twin
@pytest.mark.parametrize("name", SEVERAL)
def test_of_several_results_none_is_written_over_a_part_of_the_operand(torch, rng, name):
    def written(places):
        x = torch.arange(6.0)
        indices = torch.zeros(3 if name == "sort" else (), dtype=torch.int64)
        return outcome(lambda: (getattr(torch, name)(x[:3], *SEVERAL[name], out=(places(x), indices)), x))

    whole = name == "sort"
    return [
        written(places)
        for places in (
            lambda x: x[1:4] if whole else x[1],
            lambda x: x[:3] if whole else x[0],
            lambda x: torch.zeros(3 if whole else ()),
        )
    ]
