"""Views and writing in place, under both libraries."""

from __future__ import annotations

import pytest

from parity_tests.twin import either, outcome, raised, twin

VIEWS = {
    "select": lambda x: x.select(0, 1),
    "narrow": lambda x: x.narrow(1, 0, 2),
    "slice": lambda x: x[:, 1:],
    "step": lambda x: x[::2],
    "row": lambda x: x[1],
    "element": lambda x: x[1, 2],
    "transpose": lambda x: x.transpose(0, 1),
    "t": lambda x: x.t(),
    "T": lambda x: x.T,
    "permute": lambda x: x.permute(1, 0),
    "view": lambda x: x.view(-1),
    "view_as": lambda x: x.view(2, 6),
    "reshape": lambda x: x.reshape(4, 3),
    "flatten": lambda x: x.flatten(),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "squeeze": lambda x: x.unsqueeze(0).squeeze(0),
    "diagonal": lambda x: x.diagonal(),
    "expand": lambda x: x.unsqueeze(0).expand(2, 3, 4),
    "unfold": lambda x: x.unfold(1, 2, 2),
    "movedim": lambda x: x.movedim(0, 1),
    "detach": lambda x: x.detach(),
    "ellipsis": lambda x: x[..., None],
    "view of view": lambda x: x[1:].t()[2],
    "chunk": lambda x: x.chunk(2, 1)[1],
    "split": lambda x: x.split(2)[0],
    "unbind": lambda x: x.unbind(1)[2],
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "unflatten": lambda x: x.unflatten(1, (2, 2)),
}
VIEW_NAMES = pytest.mark.parametrize("view", list(VIEWS))


@VIEW_NAMES
@either
def test_a_view_sees_what_is_written_to_its_base(torch, rng, view):
    x = rng(3, 4)
    y = VIEWS[view](x)
    x.mul_(2)
    x[1] = 7
    return y, x._version, y._version, y.is_contiguous(), y._is_view(), y._base is x


@VIEW_NAMES
@either
def test_the_base_sees_what_is_written_to_a_view(torch, rng, view):
    x = rng(3, 4)
    y = VIEWS[view](x)
    return raised(lambda: y.add_(1)), raised(lambda: y.zero_()), x, y, x._version


@VIEW_NAMES
@either
def test_gradient_through_a_write_to_the_base_after_the_view(torch, rng, view):
    a, w, g = rng(3, 4, grad=True), rng(3, 4, grad=True), rng(3, 4)
    x = a * 1
    y = VIEWS[view](x)
    x.mul_(w)
    out = (y * y).sum() + (x * g).sum()
    return *torch.autograd.grad(out, (a, w)), y.requires_grad, y.grad_fn is not None


@VIEW_NAMES
@either
def test_gradient_through_a_write_to_the_view(torch, rng, view):
    a, g = rng(3, 4, grad=True), rng(3, 4)
    x = a * 1
    y = VIEWS[view](x)

    def write():
        y.mul_(y.detach().clone().cos())

    message = raised(write)
    out = (x * x * g).sum()
    return message, torch.autograd.grad(out, (a,)), x


@VIEW_NAMES
@either
def test_a_view_of_a_leaf_cannot_be_written_in_place(torch, rng, view):
    leaf = rng(3, 4, grad=True)
    y = VIEWS[view](leaf)
    return raised(lambda: y.mul_(2)), leaf._version


@VIEW_NAMES
@either
def test_second_order_through_a_view(torch, rng, view):
    x = rng(3, 4, grad=True)
    y = VIEWS[view](x) ** 3
    (g,) = torch.autograd.grad((y * y.detach().cos()).sum(), x, create_graph=True)
    return g, torch.autograd.grad((g * rng(3, 4)).sum(), x)


@twin
def test_a_leaf_that_requires_grad_cannot_be_written_in_place(torch, rng):
    x = rng(3, grad=True)
    tries = [lambda: x.add_(1), lambda: x.__setitem__(0, 1), lambda: x.zero_(), lambda: x.copy_(rng(3))]
    found = [raised(t) for t in tries]
    with torch.no_grad():
        x.add_(1)
        x[0] = 5
    return found, x, x._version


@twin
def test_a_saved_tensor_that_was_changed_is_noticed(torch, rng):
    found = []
    programs = {
        "exp": lambda y: y.exp(),
        "mul": lambda y: y * y,
        "sigmoid": lambda y: y.sigmoid(),
        "add": lambda y: y + 1,
        "matmul": lambda y: y @ y.t(),
        "softmax": lambda y: y.softmax(0),
        "tanh": lambda y: y.tanh(),
        "relu": lambda y: y.relu(),
        "max": lambda y: y.max(0)[0],
    }
    for name, program in programs.items():
        for change in ("input", "result"):
            x = rng(3, 3, grad=True)
            y = x * 1
            z = program(y)
            (y if change == "input" else z).add_(1)
            found.append((name, change, raised(lambda z=z: z.sum().backward())))
    return found


@twin
def test_versions_count_writes(torch, rng):
    x = rng(4)
    seen = [x._version]
    x.add_(1)
    seen.append(x._version)
    x[0] = 1
    seen.append(x._version)
    y = x.view(2, 2)
    y.mul_(2)
    seen += [x._version, y._version]
    x.data.add_(1)
    seen.append(x._version)
    x.detach().add_(1)
    seen.append(x._version)
    with torch.no_grad():
        x.zero_()
    return [*seen, x._version]


@twin
def test_in_place_operations_return_the_tensor_itself(torch, rng):
    x = rng(3, 3)
    names = "neg_ abs_ exp_ sqrt_ sin_ tanh_ sigmoid_ relu_ zero_ t_ floor_ round_ square_ reciprocal_ detach_ squeeze_".split()
    return [(name, outcome(lambda name=name: getattr(x, name)() is x)) for name in names], x


@twin
def test_augmented_assignment(torch, rng):
    x, y = rng(2, 3), rng(3)
    before = id(x)
    x += y
    x -= 1
    x *= 2
    x /= y
    n = rng(4, dtype="int64")
    n //= 2
    n %= 3
    n |= 1
    n &= 5
    n ^= 2
    n <<= 1
    return x, id(x) == before, n, raised(lambda: n.__itruediv__(2)), raised(lambda: n.add_(1.5))


@twin
def test_overlapping_memory_cannot_be_written(torch, rng):
    x = rng(1, 3)
    y = x.expand(4, 3)
    return raised(lambda: y.add_(1)), raised(lambda: y.__setitem__(0, 1)), raised(lambda: y.copy_(rng(4, 3))), x


@twin
def test_in_place_keeps_the_type_and_the_shape(torch, rng):
    i, f = rng(3, dtype="int64"), rng(3)
    tries = [
        lambda: i.add_(f),
        lambda: i.mul_(1.5),
        lambda: f.add_(i),
        lambda: f.add_(rng(2, 3)),
        lambda: f.mul_(rng(3, dtype="float64")),
        lambda: f.add_(1j),
        lambda: rng(3, dtype="bool").add_(1),
    ]
    return [raised(t) for t in tries], i, f


@twin
def test_writing_where_a_graph_passes(torch, rng):
    a, b = rng(3, 3, grad=True), rng(3, grad=True)
    x = torch.zeros(3, 3)
    x[0] = b
    x[1, 1:] = a[0, :2]
    x[:, 2] += b * 2
    x.diagonal().mul_(3)
    out = (x * x.detach().sin()).sum()
    return x.requires_grad, x.is_leaf, torch.autograd.grad(out, (a, b)), x


@twin
def test_copy_and_fill_carry_gradients(torch, rng):
    a, b, v = rng(2, 3, grad=True), rng(3, grad=True), rng(1, grad=True)
    x = a * 2
    x.copy_(b)
    y = a.clone()
    y.fill_(v.sum())
    z = a * 1
    z.zero_()
    out = (x * x).sum() + (y * a).sum() + z.sum()
    return torch.autograd.grad(out, (a, b, v), allow_unused=True)


@twin
def test_data_and_detach_share_memory(torch, rng):
    x = rng(3, grad=True)
    x.data.mul_(0)
    d = x.detach()
    d.add_(2)
    return x, d.requires_grad, d._version, x._version, x.data.requires_grad, x.is_leaf


@twin
def test_view_shapes_that_do_not_fit(torch, rng):
    x = rng(3, 4)
    tries = [
        lambda: x.view(5),
        lambda: x.t().view(12),
        lambda: x.view(-1, -1),
        lambda: x.view(-2, 6),
        lambda: x.view(0, -1),
        lambda: x.reshape(7, -1),
        lambda: x.expand(2, 4),
        lambda: x.expand(4),
        lambda: x.transpose(0, 2),
        lambda: x.permute(0),
        lambda: x.permute(0, 0),
        lambda: x.squeeze(5),
        lambda: x.unsqueeze(4),
        lambda: x.select(0, 3),
        lambda: x.narrow(0, 2, 2),
        lambda: x.unflatten(1, (3, 2)),
        lambda: x.as_strided((9, 9), (9, 1)),
    ]
    return [raised(t) for t in tries]


@twin
def test_strides_and_contiguity(torch, rng):
    x = rng(2, 3, 4)
    views = [x, x.t() if x.ndim < 3 else x.transpose(0, 2), x[:, 1], x[..., ::2], x.permute(2, 0, 1), x.reshape(6, 4), x[1:, :0]]
    views += [
        x.unsqueeze(1),
        x[None, :, None],
        x.expand(2, 3, 4),
        x[:1].expand(5, 3, 4),
        x.contiguous(),
        x.transpose(0, 1).contiguous(),
    ]
    return [(v.shape, v.stride(), v.is_contiguous(), v.storage_offset(), v.numel()) for v in views]


@either
def test_detached_views_in_a_chain_of_writes(torch, rng):
    x = rng(6, grad=True)
    y = x.clone()
    a, b = y[:3], y[3:]
    a.mul_(b)
    b.add_(a)
    y.mul_(2)
    c = a.exp()
    b.sub_(c)
    return torch.autograd.grad((y * rng(6)).sum() + (a * b).sum(), x), a, b, y._version, a._version


@twin
def test_a_view_made_without_recording(torch, rng):
    x = rng(4, grad=True)
    y = x * 1
    with torch.no_grad():
        v = y[:2]
    first = raised(lambda: v.mul_(2))
    w = y.unbind(0)
    return first, raised(lambda: w[0].add_(1)), v.requires_grad


@twin
def test_nothing_may_be_viewed_as_another_type(torch, rng):
    x = rng(0, 3, dtype="float64")
    found = [x[x > 0], x.masked_select(x > 0), rng(3, dtype="float64")[[]], torch.zeros(2, 0).sum(0).double()]
    return [(one.view(torch.int32).shape, one.view(torch.int32).dtype, raised(lambda one=one: one.view(2))) for one in found]


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
@twin
def test_a_copy_that_changes_nothing_keeps_the_order_in_memory(torch, rng, dtype):
    x = rng(2, 3, dtype=dtype).t()
    made = [lambda: x**1, lambda: x.pow(1), lambda: x.floor(), lambda: x.ceil(), lambda: x.sign(), lambda: torch.fill(x, 1)]
    return [outcome(lambda one=one: one().stride()) for one in made]


@twin
@pytest.mark.parametrize("start", [(4,), (0, 3), (2, 0)])
@pytest.mark.parametrize(
    "where", [((0,), (1,), 3), ((2, 0, 3), (1, 5, 1), 100), ((0, 2), (2, 1), 9), ((0,), (1,), None)], ids=str
)
def test_what_has_no_elements_may_start_anywhere(torch, rng, start, where):
    x = rng(*start, grad=True)
    out = x.as_strided(*where)
    out.sum().backward()
    moved = torch.zeros(0).set_(x.detach().untyped_storage(), 9, *where[:2])
    return out, x.grad, x.detach().clone().as_strided_(*where), moved, torch.as_strided_copy(x, *where)


@twin
@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 2), (1, 1), (2, 3)], ids=str)
def test_pairs_of_numbers_as_complex_numbers(torch, rng, shape):
    x = torch.view_as_complex(rng(*shape, 2) if 0 not in shape else torch.zeros(*shape, 2)).requires_grad_()
    (torch.view_as_real(x.exp()) * torch.ones(*shape, 2)).sum().backward()
    one = torch.view_as_complex(rng(2, 1).movedim(0, -1))  # a dimension of size 1 may have any stride
    return x, x.grad, one, raised(lambda: torch.view_as_complex(rng(2, 3).movedim(0, -1)))
