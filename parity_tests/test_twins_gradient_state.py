"""The state of gradients themselves (views, versions, memory), nodes of several parts, and leaves that changed under a graph."""

from __future__ import annotations

import pytest

from parity_tests.twin import outcome, raised, twin


def state(*tensors):
    return [(t._is_view(), t._version, t.requires_grad) for t in tensors]


# ------------------------------------------------------------------------------------------------ gradients as tensors


def through_part(write):
    def written(torch, y):
        write(y)
        return y

    return written


def added_to_part(y, index, value):
    y[index] += value


WRITTEN = {
    "row set to a number": through_part(lambda y: y.__setitem__(0, 0.5)),
    "new axis set to a number": through_part(lambda y: y.__setitem__((..., slice(None), None), 0.5)),
    "choice of a part": through_part(lambda y: y.__setitem__((slice(0, 1), [0, 2]), 0.5)),
    "everything, in place": through_part(lambda y: added_to_part(y, ..., 2)),
    "row, in place": through_part(lambda y: added_to_part(y, 0, 2)),
    "transposed": through_part(lambda y: y.t().mul_(2)),
    "zeros": through_part(lambda y: y[0].zero_()),
    "nothing": through_part(lambda y: y[:0].add_(1)),
    "a view of nothing after a write": lambda torch, y: written_unrecorded(torch, y[:0]),
    "a view of a view": through_part(lambda y: y[0][1:].sin_()),
}


def written_unrecorded(torch, view):
    with torch.no_grad():
        view.add_(1)
    return view


@twin
@pytest.mark.parametrize("name", WRITTEN)
def test_a_gradient_through_a_write_into_a_part_is_a_copy_that_was_written(torch, rng, name):
    x = rng(2, 3, dtype="float64", grad=True)
    (g,) = torch.autograd.grad((WRITTEN[name](torch, x.clone()) * 2).sum(), x)
    return g, state(g, g[0])


MADE = {
    "as_strided": lambda torch, x: x.as_strided((2,), (1,)),
    "new axis": lambda torch, x: x[None],
    "new axis of a part": lambda torch, x: x[None, 1:],
    "part of a new axis": lambda torch, x: x[1:, None],
    "row with a new axis": lambda torch, x: x[:, None, 0],
    "new axis at the end": lambda torch, x: x[..., None],
    "everything": lambda torch, x: x[...],
    "slices of everything": lambda torch, x: x[0:5, :],
    "slice of everything": lambda torch, x: x[0:5],
    "choice": lambda torch, x: x[[0, 0]],
    "mask": lambda torch, x: x[x > 0],
    "mean": lambda torch, x: x.mean(),
    "mean of rows": lambda torch, x: x.mean(1),
    "mean of rows, kept": lambda torch, x: x.mean(1, keepdim=True),
    "maximum": lambda torch, x: x.maximum(x.detach() + 1),
    "maximum with itself": lambda torch, x: x.maximum(x),
    "stack": lambda torch, x: torch.stack([x, x]),
    "expand": lambda torch, x: x.expand(2, *x.shape),
    "unbind": lambda torch, x: x.unbind(1)[0],
    "split": lambda torch, x: x.split(2, 1)[1],
    "transpose": lambda torch, x: x.transpose(0, -1),
    "written through a view": lambda torch, x: (lambda y: (y[0].mul_(2), y)[1])(x * 1),
    "view after a write": lambda torch, x: (lambda y, v: (y.mul_(2), v)[1])(*(lambda y: (y, y[0]))(x * 1)),
}


@twin
@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("name", MADE)
def test_a_gradient_is_a_view_and_counts_writes_where_torchs_is(torch, rng, name, create):
    x = rng(2, 3, dtype="float64", grad=True)
    (g,) = torch.autograd.grad((MADE[name](torch, x) * 2).sum(), x, create_graph=create)
    return g, state(g), raised(lambda: g.detach().add_(1))


@twin
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 3)])
def test_gradients_of_small_and_empty_tensors_count_their_sums(torch, rng, shape):
    found = []
    for make in (lambda x: x * x, lambda x: x.expand(2, *shape), lambda x: x.transpose(-1, -1), lambda x: x.view(-1)):
        x = rng(*shape, dtype="float64", grad=True)
        (g,) = torch.autograd.grad(make(x).sum(), x)
        found.append((g, state(g)))
    return found


@twin
def test_the_gradient_of_a_mean_can_be_written(torch, rng):
    x, y = rng(2, 3, grad=True), rng(2, 3, grad=True)
    (g,) = torch.autograd.grad(x.mean(), x)
    g[0].mul_(3)
    (h,) = torch.autograd.grad(torch.stack([x, y]).sin().sum(), [y], create_graph=True)
    h[h.detach() > 0] = 0.5
    return g, h


@twin
def test_what_a_leaf_stores_counts_the_write_by_which_it_was_copied(torch, rng):
    found = []
    for run in (
        lambda x: x.backward(torch.ones(2, 3)),
        lambda x: (x * x).sum().backward(inputs=[x]),
        lambda x: (x * x).sum().backward(),
        lambda x: (x * x).sum().backward(create_graph=True),
        lambda x: x.sum().backward(),
        lambda x: x.view(-1).sin().sum().backward(),
        lambda x: x.t().sin().sum().backward(),
        lambda x: (x.sum().backward(), x.sum().backward()),
    ):
        x = rng(2, 3, grad=True)
        run(x)
        found.append((x.grad, x.grad._version, x.grad.requires_grad))
    return found


@twin
def test_gradients_of_intermediate_values_are_not_shared_with_sums(torch, rng):
    x = rng(3, grad=True)
    y = x * 2
    z = y - y
    found = torch.autograd.grad(z.sum() + (y * y).sum(), [y, x])
    return found, state(*found)


# ------------------------------------------------------------------------------------------------ results


@twin
def test_products_with_a_vector_or_one_matrix(torch, rng):
    found = []
    for a, b in (((3,), (3, 2)), ((2, 3), (3,)), ((1, 3), (2, 3, 2)), ((2, 3), (2, 3, 1)), ((1, 2, 3), (2, 3, 1)), ((3,), (3,))):
        for grad in (False, True):
            y = rng(*a, grad=grad) @ rng(*b)
            found.append((y, y._version, y._is_view()))
    return found


@twin
def test_how_an_index_is_recorded(torch, rng):
    x, row = rng(3, 2, grad=True), rng(3, 2, grad=True)
    indices = (
        slice(None), (slice(None),), slice(0, 3), (slice(0, 9),), (slice(-3, None),), (slice(None, None, 1), slice(0, 2)),
        (None, slice(0, 3)), (slice(0, 9), 0), Ellipsis,
    )  # fmt: skip
    names = [(x[i].grad_fn.name(), x[i].grad_fn.next_functions[0][0].name()) for i in indices]
    for i in (slice(None, None, 1), slice(0, 3), slice(-3, None)):
        y = torch.zeros(3, 2)
        y[i] = row
        names.append(y.grad_fn.name())
    return names


@twin
def test_filling_rows_of_nothing(torch, rng):
    found = []
    for shape in ((0,), (0, 3), (3, 0), ()):
        for dim in (0, 1, -1):
            for rows in ([], [0], [5]):
                index = torch.tensor(rows, dtype=torch.int64)
                found.append(outcome(lambda s=shape, d=dim, i=index: torch.zeros(s).index_fill_(d, i, 0.5)))
    return found


@twin
def test_shapes_and_memory_are_looked_at_before_the_type(torch, rng):
    a = torch.ones(2, 2, dtype=torch.int64)
    return [
        raised(lambda v=v, e=e: v.lerp_(e, 0.3))
        for v, e in ((a, a.expand(2, 2, 2)), (a, a), (a[0].expand(2, 2), a), (a, a.new_ones(3)))
    ]


@twin
def test_what_does_not_fit_is_found_before_what_is_out_of_range(torch, rng):
    x = torch.zeros(3, 2)
    index = torch.tensor([2, 2])
    found = [
        raised(lambda: x.__setitem__((..., None, index), torch.ones(2, 1, 3))),
        raised(lambda: x.__setitem__((..., index), torch.ones(5))),
        raised(lambda: x.__setitem__((..., index), torch.ones(2))),
        raised(lambda: x.index_copy_(0, torch.tensor([]), torch.ones(2, 1, 3))),
        raised(lambda: x.index_copy_(0, torch.tensor([]), torch.ones(2, 3))),
    ]
    return found, x


REDUCED = {
    "sum": lambda t: t.sum(-1),
    "sum, kept": lambda t: t.sum(1, keepdim=True),
    "mean": lambda t: t.mean(0),
    "amax": lambda t: t.amax(-1),
    "prod": lambda t: t.prod(1),
    "all": lambda t: t.all(1),
    "var": lambda t: t.var(-1),
    "norm": lambda t: t.norm(dim=1),
    "logsumexp": lambda t: t.logsumexp(1),
}


@twin
@pytest.mark.parametrize("name", REDUCED)
def test_what_is_reduced_is_compact(torch, rng, name):
    x = rng(2, 3, 4)
    found = [REDUCED[name](x.permute(order)) for order in ((0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0), (0, 2, 1), (1, 2, 0))]
    return [(t, t.stride(), t.flatten()._is_view()) for t in found]


# ------------------------------------------------------------------------------------------------ parts that one call made


PARTS = {
    "unbind": lambda t: t.unbind(),
    "split": lambda t: t.split(1),
    "chunk": lambda t: t.chunk(3),
    "split_with_sizes": lambda t: t.split([1, 2]),
}


@twin
@pytest.mark.parametrize("name", PARTS)
def test_parts_share_a_node(torch, rng, name):
    x = rng(3, 2, grad=True)
    y = x * 1
    parts = PARTS[name](y)
    seen = []
    parts[0].register_hook(lambda g: seen.append(g is None))
    parts[1].retain_grad()
    (parts[1] * parts[1]).sum().backward(retain_graph=True)
    node = parts[0].grad_fn
    again = torch.autograd.grad(parts[0].sum(), [parts[1]], allow_unused=True, retain_graph=True)
    numbers = [part.output_nr for part in parts], node is parts[1].grad_fn, node.name()
    return seen, parts[1].grad, x.grad, again, numbers


@twin
@pytest.mark.parametrize("name", PARTS)
def test_parts_differentiate_twice(torch, rng, name):
    x = rng(3, 2, dtype="float64", grad=True)
    parts = PARTS[name](x * x)
    (g,) = torch.autograd.grad((parts[1] ** 2).sum() + parts[-1].sin().sum(), x, create_graph=True)
    return g, torch.autograd.grad((g * g).sum(), x)


@twin
def test_parts_of_special_tensors(torch, rng):
    x = torch.zeros(0, 2, requires_grad=True)
    one = rng(1, 2, grad=True)
    single = one.unbind()[0]
    (single * 2).sum().backward()
    half = torch.ones(2, 2, dtype=torch.float16, requires_grad=True)
    half.split(1)[0].sum().backward()
    meta = torch.ones(2, 3, device="meta").unbind(1)
    pieces = torch.arange(4.0, requires_grad=True) * 1
    left, right = pieces.unsafe_split(2)
    left.mul_(3)
    (left.sum() + right.sum() * 5).backward()
    return x.unbind(), x.split(1), one.grad, single.grad_fn.name(), half.grad, [(m.shape, m.is_meta) for m in meta], left


# ------------------------------------------------------------------------------------------------ leaves that changed


CHANGES = {
    "t_": lambda torch, x: x.t_(),
    "unsqueeze_": lambda torch, x: x.unsqueeze_(0),
    "as_strided_": lambda torch, x: x.as_strided_((2,), (1,)),
    "data": lambda torch, x: setattr(x, "data", torch.zeros(2)),
    "larger data": lambda torch, x: setattr(x, "data", torch.zeros(2, 2, 3)),
    "other type": lambda torch, x: setattr(x, "data", torch.zeros(2, 3, dtype=torch.float64)),
    "set_": lambda torch, x: x.set_(torch.zeros(1, 2, 3)),
}


@twin
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("name", CHANGES)
def test_a_graph_goes_on_with_the_shape_that_a_leaf_had(torch, rng, name, held):
    x = rng(2, 3, grad=True)
    if held:
        (x * 3).sum().backward()
    y = (x * 2).cos()
    with torch.no_grad():
        CHANGES[name](torch, x)
    error = raised(lambda: y.sum().backward(retain_graph=True))
    return error, x.shape, x.dtype, None if x.grad is None else (x.grad.shape, x.grad.dtype, x.grad)


@twin
def test_a_graph_made_after_a_leaf_changed_knows_the_new_shape(torch, rng):
    x = rng(2, 3, grad=True)
    (x * 2).sum().backward()
    x.grad = None
    x.data = torch.ones(4)
    (x * x).sum().backward()
    first = x.grad.clone()
    x.grad = None
    x.data = torch.ones(2, 2)
    x.sin().sum().backward()
    return first, x.grad


# ------------------------------------------------------------------------------------------------ inference tensors


WRITES = {
    "add_": lambda t: t.add_(1),
    "copy_": lambda t: t.copy_(t + 1),
    "fill_": lambda t: t.fill_(5),
    "part": lambda t: t.__setitem__(0, 7),
    "chosen": lambda t: t.__setitem__([0], 7),
    "sin_": lambda t: t.sin_(),
    "cumsum_": lambda t: t.cumsum_(0),
    "t_": lambda t: t.t_(),
    "resize_": lambda t: t.resize_(6),
    "squeeze_": lambda t: t.squeeze_(5),
}


@twin
@pytest.mark.parametrize("name", WRITES)
def test_a_write_to_an_inference_tensor_is_refused_after_it_was_done(torch, rng, name):
    with torch.inference_mode():
        t = rng(2, 3)
    return raised(lambda: WRITES[name](t)), t


@twin
def test_what_detach_makes_of_an_inference_tensor_counts_writes(torch, rng):
    with torch.inference_mode():
        t = rng(2, 3)
        inner = t.detach()
    d, data = t.detach(), t.data
    d.add_(1)
    data.t_()
    found = d._version, data._version, d.is_inference(), t, data.shape, d.detach()._version
    plain = torch.ones(2, 3)
    plain.data = t
    errors = [raised(lambda v=v: v.add_(1)) for v in (inner, d[0], plain)]
    return found, errors, raised(lambda: inner._version), plain._version, plain.is_inference()


@twin
def test_nothing_is_recorded_in_inference_mode(torch, rng):
    x = rng(2, grad=True)
    y = (x * x).sum()
    with torch.inference_mode():
        with torch.enable_grad():
            inner = x * 2
            said = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        with torch.set_grad_enabled(True):
            other = x * 2
        y.backward(create_graph=True)
        said += (torch.is_grad_enabled(),)
    after = x * 2
    return (
        said,
        [(t.requires_grad, t.is_inference()) for t in (inner, other, after)],
        x.grad.requires_grad,
        torch.is_grad_enabled(),
    )


@twin
def test_a_leaf_of_another_type_is_not_found_in_an_older_graph(torch, rng):
    x = rng(2, grad=True)
    y = x.sigmoid()
    x.data = torch.ones(2, 2, dtype=torch.float64)
    y.sum().backward(inputs=[x], retain_graph=True)
    first = x.grad
    found = torch.autograd.grad(y.sum(), x, allow_unused=True, retain_graph=True)
    x.detach_()
    x.data = torch.ones(5)
    y.sum().backward()
    return first, found, x.grad


# ------------------------------------------------------------------------------------------------ results that changed


@twin
@pytest.mark.parametrize("use", ["backward", "product", "view", "sum"])
@pytest.mark.parametrize("change", ["squeeze_", "unsqueeze_", "data", "fewer", "as_strided_"])
def test_a_gradient_in_the_new_shape_of_a_result_does_not_reach_its_node(torch, rng, change, use):
    x = rng(1, 3, 2, dtype="float64", grad=True)
    y = x.clone()
    with torch.no_grad():
        if change == "data":
            y.data = torch.ones(1, 1, 2, dtype=torch.float64)
        elif change == "fewer":
            y.data = torch.ones(2, dtype=torch.float64)
        elif change == "as_strided_":
            y.as_strided_((2,), (1,))
        else:
            getattr(y, change)(0)
    if use == "backward":
        return raised(lambda: y.backward(torch.ones(y.shape, dtype=torch.float64))), x.grad, y.shape
    z = {"product": y * 2, "view": y[0], "sum": y.sum(0)}[use]
    return raised(lambda: z.sum().backward()), x.grad, y.shape


@twin
def test_the_first_gradient_is_laid_out_as_its_leaf(torch, rng):
    w, found = rng(3, 4), []
    for leaf in (rng(4, 3).t(), rng(2, 3, 4).permute(1, 0, 2)[:, 0], rng(6, 4)[::2]):
        p = leaf.detach().requires_grad_()
        for loss in (
            lambda p: (p * w).sum(),
            lambda p: (p @ w.t()).sum(),
            lambda p: torch.nn.functional.linear(w, p).pow(2).sum(),
        ):
            p.grad = None
            loss(p).backward()
            found.append((p.grad.stride(), p.grad))
        p.grad = None
        p.backward(w)
        found.append((p.grad.stride(), p.grad))
    return found
