"""The state that autograd keeps on tensors: flags, histories, views, versions, kept gradients, hooks."""

from __future__ import annotations

import pytest

from parity_tests.twin import raised, twin


def flags(*tensors):
    return [(t.requires_grad, t.is_leaf, t.grad_fn is None, t._is_view(), t._version, t.retains_grad) for t in tensors]


def leaf_result_and_row(rng):
    x = rng(2, 3, grad=True)
    y = x * 1
    return x, y, y[0]


# ------------------------------------------------------------------------------------------------ kept gradients


@twin
def test_a_kept_gradient_is_that_of_the_value_after_a_write(torch, rng):
    x = rng(3, grad=True)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    y.retain_grad()
    y.add_(x)
    (y * y).sum().backward()
    return y.grad, x.grad, flags(y)


@twin
def test_hooks_stay_with_the_value_they_were_registered_for(torch, rng):
    seen = []
    x = rng(2, 3, grad=True)
    y = x * 2
    y.register_hook(lambda g: seen.append(("before", g.clone())))
    y.mul_(3)
    y.register_hook(lambda g: seen.append(("after", g.clone())))
    y.t_()
    y.register_hook(lambda g: seen.append(("before the transposition", g.clone())))
    (y * torch.arange(6.0).view(3, 2)).sum().backward()
    return seen, x.grad


@twin
@pytest.mark.parametrize("written", ["base", "view", "other view"])
@pytest.mark.parametrize("used", ["base", "view"])
def test_a_view_keeps_its_gradient_over_writes(torch, rng, written, used):
    x = rng(2, 3, grad=True)
    y = x * 2
    v, other = y[0], y[:, 1]
    v.retain_grad()
    {"base": y, "view": v, "other view": other}[written].mul_(3)
    touched = v.grad_fn.name()
    (y if used == "base" else v).sin().sum().backward()
    return v.grad, x.grad, touched, flags(v, y)


@twin
def test_inputs_of_backward_keep_their_gradient_once(torch, rng):
    x = rng(2, grad=True)
    y = x * 1
    y.retain_grad()
    z = y * 3
    z.sum().backward(inputs=[y, z], retain_graph=True)
    first = y.grad.clone(), z.grad.clone(), x.grad
    z.sum().backward(retain_graph=True)
    torch.autograd.grad(z.sum(), y)
    return first, y.grad, z.grad, x.grad, flags(y, z)


@twin
def test_a_tensor_asked_for_sees_its_gradient_after_its_hooks_only_where_it_is_last(torch, rng):
    x = rng(2, grad=True)
    y = x * 1
    y.register_hook(lambda g: g * 10)
    alone = torch.autograd.grad(y.sum(), y, retain_graph=True)
    return alone, torch.autograd.grad(y.sum(), [y, x])


@twin
def test_hooks_of_a_single_root_run_where_nothing_asked_for_lies_behind_it(torch, rng):
    seen = []
    x, other = rng(2, grad=True), rng(2, grad=True)
    x.register_hook(lambda g: seen.append(("leaf", g.clone())))
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: seen.append(("made", g.clone())))
    for root in (x, y):
        torch.autograd.grad(root, other, torch.ones(2), retain_graph=True, allow_unused=True)
    return seen, y.grad, x.grad


@twin
def test_a_result_that_was_written_through_a_view_is_found_stale(torch, rng):
    x = rng(3, grad=True)
    y = x * 1
    y[:2].tanh_()
    before = torch.autograd.grad(y.sum(), x, retain_graph=True)
    with torch.no_grad():
        y.mul_(2)
    return before, raised(lambda: y.sum().backward())


@twin
def test_backward_to_a_tensor_runs_the_operation_that_made_it(torch, rng):
    x = rng(2, grad=True)
    y = x * x
    (y * 2).sum().backward(inputs=[y])
    return raised(lambda: y.sum().backward())


# ------------------------------------------------------------------------------------------------ leaves


@twin
def test_a_leaf_that_was_frozen_takes_no_gradient_from_an_older_graph(torch, rng):
    x, w = rng(3, grad=True), rng(3, grad=True)
    y = x * w
    x.requires_grad_(False)
    y.sum().backward()
    return x.grad, w.grad


@twin
def test_a_leaf_that_has_a_history_by_now_takes_none_either(torch, rng):
    a, x = rng(3, grad=True), rng(3)
    x.requires_grad_()
    y = x * 1
    x.detach_()
    x.add_(a)
    return raised(lambda: y.sum().backward())


@twin
def test_an_integer_tensor_never_requires_grad(torch, rng):
    found = []
    for write in (
        lambda t, v: t.copy_(v),
        lambda t, v: t.__setitem__(slice(None), v),
        lambda t, v: t[1:].copy_(v[1:]),
        lambda t, v: t.view(3, 1).copy_(v.view(3, 1)),
    ):
        t = torch.zeros(3, dtype=torch.int64)
        write(t, torch.ones(3, requires_grad=True))
        found.append((t, t.requires_grad))
    return found


@twin
def test_a_gradient_with_a_graph_has_memory_of_its_own(torch, rng):
    x, g = rng(3, grad=True), torch.ones(3)
    x.backward(g, create_graph=True)
    x.grad.data.zero_()
    return g, x.grad


@twin
def test_what_is_saved_follows_data(torch, rng):
    a, w = rng(3, grad=True), rng(3, grad=True)
    y = a * w
    w.data = torch.full((3,), 5.0)
    y.sum().backward()
    return a.grad, w.grad, flags(w)


@twin
def test_gradients_count_the_sums_made_in_place(torch, rng):
    found = []
    for f in (
        lambda x: x * x,
        lambda x: x + x,
        lambda x: x * x * x * x,
        lambda x: x * x + x + x * 2,
        lambda x: x.sum() * x.sum(),
    ):
        x = rng(3, grad=True)
        (g,) = torch.autograd.grad(f(x).sum(), x, retain_graph=True)
        f(x).sum().backward()
        found.append((g._version, x.grad._version))
    return found


# ------------------------------------------------------------------------------------------------ views


RESHAPES = {
    "t_": lambda t: t.t_(),
    "transpose_": lambda t: t.transpose_(0, 1),
    "unsqueeze_": lambda t: t.unsqueeze_(0),
    "squeeze_": lambda t: t.squeeze_(-1),
    "as_strided_": lambda t: t.as_strided_((2,), (1,)),
    "swapdims_": lambda t: t.swapdims_(0, 1),
}


@twin
@pytest.mark.parametrize("name", RESHAPES)
@pytest.mark.parametrize("kind", ["leaf", "made", "view", "plain"])
@pytest.mark.parametrize("recording", [True, False])
def test_a_shape_changed_in_place(torch, rng, name, kind, recording):
    leaf = rng(3, 1, grad=kind != "plain")
    base = leaf if kind in ("leaf", "plain") else leaf * 2
    t = base[:, :] if kind == "view" else base
    with torch.set_grad_enabled(recording):
        error = raised(lambda: RESHAPES[name](t))
    found = error, tuple(t.shape), flags(t, base)
    if not t.requires_grad or t.is_leaf:
        return found
    # where the shape changed without recording, the operation that made the tensor gets a gradient that does not match
    return found, raised(lambda: (t * t).sum().backward()), leaf.grad


@twin
def test_a_view_of_what_was_transposed_in_place(torch, rng):
    x, y, v = leaf_result_and_row(rng)
    y.t_()
    y.mul_(2)
    w = y[0]
    w.mul_(3)
    (v.sum() + (w * w).sum() + y.sum()).backward()
    return x.grad, flags(v, w, y), v.grad_fn.name(), y.grad_fn.name()


@twin
@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_a_view_made_without_recording(torch, rng, mode):
    x = rng(2, 3, grad=True)
    y = x * 1
    with getattr(torch, mode)():
        of_leaf, of_made = x[0], y[0]
    found = flags(of_leaf, of_made)
    of_leaf.register_hook(print)
    z = (of_leaf * 2).sum() + (of_made * of_made).sum()
    z.backward()
    errors = raised(lambda: of_leaf.mul_(2)), raised(lambda: of_made.mul_(2)), raised(lambda: of_made[:1].zero_())
    y.mul_(2)
    return found, x.grad, errors, raised(lambda: of_made.grad_fn), raised(lambda: of_made * 2), of_made.requires_grad


@twin
def test_a_view_made_without_recording_can_be_a_leaf_of_its_own(torch, rng):
    x = rng(2, 3, grad=True)
    with torch.no_grad():
        v = x[0]
    w = v.requires_grad_() * 1
    x.detach_()
    x.mul_(rng(1, grad=True))
    errors = raised(lambda: v.is_leaf), raised(lambda: v.add_(1)), raised(lambda: w.sum().backward()), raised(lambda: v * 2)
    return errors, v.requires_grad


@twin
def test_views_see_that_their_base_requires_grad(torch, rng):
    base = rng(2, 3)
    v = base[0]
    base.requires_grad_()
    before = flags(v)
    w = v * 2
    w.sum().backward()
    error = raised(lambda: v.mul_(2))
    base.requires_grad_(False)
    return before, base.grad, v.grad, error, flags(v)


@twin
def test_a_view_that_is_a_leaf_of_its_own(torch, rng):
    a, base = rng(2, 3, grad=True), rng(2, 3)
    v = base.view(-1)
    v.requires_grad_()
    error = raised(lambda: v.add_(1))
    y = v * 3
    base.mul_(a)
    z = v * 2
    return error, raised(lambda: y.sum().backward()), flags(v), raised(lambda: z.sum().backward()), a.grad, v.grad


@twin
def test_a_part_that_one_call_made_shows_what_its_base_became(torch, rng):
    base = rng(2, 3)
    part = base.unbind()[0]
    base.requires_grad_()
    return flags(part), raised(lambda: part.mul_(2)), (part * 2).grad_fn.next_functions[0][0]


@twin
def test_parts_that_one_call_made(torch, rng):
    found = []
    for split in (lambda t: t.split(1), lambda t: t.unbind(), lambda t: t.chunk(2, 1)):
        x = rng(2, 4, grad=True)
        y = x * 1
        part = split(y)[0]
        error = raised(lambda part=part: part.mul_(2))
        with torch.no_grad():
            part.mul_(2)
        found.append((error, y, part.requires_grad, raised(lambda part=part: part.grad_fn), part.grad))
        plain = rng(2, 4)
        split(plain)[0].mul_(2)
        found.append((plain, raised(lambda plain=plain, split=split: split(plain)[0].mul_(rng(1, grad=True)))))
    return found


@twin
def test_a_write_through_a_view_of_a_view(torch, rng):
    x, w = rng(3, 4, grad=True), rng(2, grad=True)
    y = x * 1
    v = y.t()[1:3]
    u = v[:, 1]
    u.mul_(w)
    v.diagonal().sin_()
    (y * y).sum().backward(retain_graph=True)
    return x.grad, w.grad, flags(y, v, u), v.grad_fn.name(), y.grad_fn.name(), raised(lambda: y.sum().backward())


@twin
def test_writes_through_views_differentiate_twice(torch, rng):
    x, w = rng(3, 4, dtype="float64", grad=True), rng(2, dtype="float64", grad=True)
    y = x * x
    part = y.as_strided((2,), (5,), 1).mul_(w)
    y.unfold(0, 2, 1)[1, 2].sin_()
    names = part.grad_fn.name(), y.grad_fn.name()
    gx, gw = torch.autograd.grad((y * y * y).sum(), [x, w], create_graph=True)
    return names, gx, gw, torch.autograd.grad((gx * gx).sum() + gw.sum(), [x, w])


@twin
def test_views_of_complex_tensors_are_written(torch, rng):
    x = rng(3, dtype="complex128", grad=True)
    y = x * x
    torch.view_as_real(y)[:, 0].mul_(3)
    y.imag.sin_()
    z = torch.view_as_real(x * 2)
    torch.view_as_complex(z)[1:].mul_(1j)
    (y.abs().sum() + (z * z).sum()).backward()
    return x.grad, y, z, y.grad_fn.name()


@twin
def test_views_that_show_a_place_twice(torch, rng):
    x = rng(3, dtype="float64", grad=True)
    y = x * 1
    wide, windows = y.expand(2, 3), y.unfold(0, 2, 1)
    y.mul_(2)
    (wide * rng(2, 3, dtype="float64")).sum().backward(retain_graph=True)
    (windows * rng(2, 2, dtype="float64")).sum().backward()
    return (
        x.grad,
        raised(lambda: wide.add_(1)),
        raised(lambda: y.broadcast_to(3).mul_(2)),
        raised(lambda: y[:1].expand(1).mul_(2)),
    )


@twin
def test_a_view_that_was_given_the_memory_of_another(torch, rng):
    x = rng(2, 3, grad=True)
    y = x.clone()
    v = y[:, :]
    v.data = rng(2, 3)
    y.tanh_()
    (v * 2).sum().backward()
    return v, y, x.grad


@twin
def test_products_are_not_views(torch, rng):
    found = []
    for a, b in (
        ((2, 4, 3), (3,)),
        ((3,), (2, 3, 4)),
        ((3,), (3, 4)),
        ((2, 3), (3,)),
        ((2, 1, 3), (3, 4)),
        ((2, 1, 3), (2, 3, 4)),
    ):
        x = rng(*a, grad=True)
        y = x @ rng(*b)
        (y * y).sum().backward()
        found.append((y._is_view(), y.detach_(), x.grad))
    return found


@twin
def test_a_base_that_requires_no_gradient_any_more(torch, rng):
    x, base, v = leaf_result_and_row(rng)
    base.detach_()
    before = flags(v, base)
    base.mul_(2)
    (v * v).sum().backward()
    return before, flags(v, base), x.grad


# ------------------------------------------------------------------------------------------------ detach_, set_, resize_


@twin
def test_detach_in_place(torch, rng):
    x = rng(2, 3, grad=True)
    y = x * 1
    y.retain_grad()
    z = y.abs()
    y.detach_()
    errors = raised(lambda: torch.ones(3)[0].detach_()), raised(lambda: z.sum().backward())
    found = flags(y)
    y.requires_grad_()
    y.sum().backward()
    x.detach_()
    return errors, found, y.grad, flags(x)


@twin
def test_set_in_place(torch, rng):
    found = []
    x = rng(2, 3, grad=True)
    found.append(raised(lambda: x.set_(torch.ones(2))))
    y = x * 2
    y.set_(torch.ones(4))
    found.append((y, flags(y), raised(lambda: y.sum().backward())))
    y = torch.ones(2)
    y.set_(x)
    found.append((flags(y), raised(lambda: y.sum().backward())))
    y = x * 2
    v = y[0]
    v.set_(torch.ones(2))
    found.append((flags(v, y), v.grad_fn.name(), y.grad_fn.name()))
    a, b = torch.ones(2), torch.ones(3)
    a.set_(b)
    b.mul_(3)
    found.append((a, flags(a, b)))
    with torch.no_grad():
        x.set_(b)
    return found, flags(x), x


@twin
def test_resize_in_place(torch, rng):
    x = rng(2, 3)
    v = x.permute(0, 1)
    x.resize_(5)
    found = [(flags(x, v), x, v)]
    w = x[1:]
    w.resize_(2, 2)
    found.append((flags(w), w, raised(lambda: rng(2, grad=True)[:1].resize_(2))))
    return found


@twin
def test_inference_mode_and_the_state(torch, rng):
    x = rng(2, 3, grad=True)
    y = x * 1
    with torch.inference_mode():
        y.detach_()
        view, copy = y[0], y.clone()
        inner = copy[0]
        x.t_()
    return (
        flags(x, y, view), copy.is_inference(), inner.is_inference(), inner._is_view(), view.is_inference(),
        copy[0]._is_view(), raised(lambda: copy.add_(1)), raised(lambda: copy.t_()), raised(lambda: copy.view(-1)._version),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------ reading and writing by index


@twin
def test_out_that_takes_another_shape_keeps_its_memory(torch, rng):
    base = rng(2, 3)
    part = base[0]
    torch.add(torch.ones(2, 1), 1, out=part)
    x = rng(1, 3)
    return base, part, raised(lambda: torch.add(x, torch.ones(2, 3), out=x)), x


@twin
def test_what_an_index_chooses_is_compact(torch, rng):
    x = rng(2, 3, 4)
    return [
        (y, y.stride(), y.is_contiguous())
        for y in (
            x[:, [0, 1]], x[..., [0, 0]], x[:, [[0, 1], [1, 1]]], x[:, [0, 1], [1, 1]], x[:, None, [0, 1], 1:],
            x[[0, 1], :, [0, 1]],
        )
    ], x[:, [0, 1]].view(-1)  # fmt: skip


@twin
@pytest.mark.parametrize("name", ["index_add_", "index_copy_"])
def test_writes_by_index_check_in_this_order(torch, rng, name):
    found = []
    sources = (torch.ones(2, 2), torch.ones(3), torch.tensor(1.0), torch.ones(2, 3, 2), torch.ones(2, 3), torch.ones(2, 2).long())
    for target in (torch.ones(2, 2), torch.ones(2), torch.tensor(1.0), torch.ones(2, 2).long()):
        for source in sources:
            for dim in (0, 1, -1):
                for index in ([0], [0, 1], [0, 1, 2], [5]):
                    t = target.clone()
                    error = raised(lambda t=t, d=dim, i=index, s=source: getattr(t, name)(d, torch.tensor(i), s))
                    found.append((error, t if error == "nothing" else None))
    return found


@twin
@pytest.mark.parametrize("name", ["index_add", "index_copy"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_the_gradient_of_what_an_index_distributes_is_a_view(torch, rng, name, shape):
    x, source = rng(*shape, grad=True), rng(*shape, grad=True)
    index = torch.arange(shape[-1] if shape else 1)
    found = torch.autograd.grad(getattr(x * 1, name)(-1, index, source).sum(), [x, source])
    return [(g, g._is_view(), g._version) for g in found]


@twin
def test_gradients_that_are_handed_on_or_made_anew(torch, rng):
    x, y = rng(grad=True), rng(1, grad=True)
    (expanded,) = torch.autograd.grad(((v := x.expand(())) * v).sum(), x)  # torch sums what comes to a single value
    (summed,) = torch.autograd.grad(((w := y.cumsum(0)) * w).sum(), y)  # and hands on what comes to a running sum of one
    return [(g, g._version, g.detach()._version, g._is_view()) for g in (expanded, summed)]


@twin
def test_a_graph_knows_the_shape_of_a_leaf_before_out_changed_it(torch, rng):
    x, seen = rng(3, grad=True), []
    y = x * 2
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.clone()) or setattr(leaf, "grad", None))
    with torch.no_grad():
        torch.mul(torch.ones(()), torch.ones(()), out=x)
    y.backward(torch.tensor([1.0, 2.0, 3.0]))
    return seen, x.detach()


@pytest.mark.parametrize("name", ["mul", "exp", "copy", "zero", "lerp", "addcmul"])
@twin
def test_a_list_with_a_tensor_that_may_not_be_written_is_not_written_at_all(torch, rng, name):
    x, leaf, other = rng(2), rng(2, grad=True), [rng(2), rng(2)]
    arguments = {"mul": (2.0,), "copy": (other,), "lerp": (other, 0.5), "addcmul": (other, other, 0.5)}
    found = raised(lambda: getattr(torch, f"_foreach_{name}_")([x, leaf], *arguments.get(name, ())))
    return found, x, x._version, leaf


@twin
def test_zeros_for_an_unused_input_require_grad_if_the_gradients_have_a_graph(torch, rng):
    x, y = rng(2, grad=True), rng(2, grad=True)
    found = []
    for create in (False, True):
        grads = torch.autograd.grad((x * x).sum(), [x, y], create_graph=create, materialize_grads=True)
        found.append([(one, one.requires_grad, one.is_leaf) for one in grads])
    return found


@twin
def test_a_value_for_some_elements_may_be_one_of_the_written_tensor(torch, rng):
    x = rng(3, 2)
    x.index_fill_(0, torch.tensor([0]), x[1, 1])
    x.masked_fill_(x > 0, x[2, 0])
    y = torch.arange(3)
    return x, raised(lambda: y.index_fill_(0, y[:1], 5)), raised(lambda: y.masked_fill_(y[1:].expand(2) > 0, y[0]))


@pytest.mark.parametrize("name", ["zeros", "arange", "randperm"])
@twin
def test_what_a_factory_writes_into_requires_grad_only_if_asked(torch, rng, name):
    found = []
    for asked in (False, True):
        x = rng(3, grad=True)
        with torch.no_grad():
            getattr(torch, name)(3, out=x, dtype=x.dtype, requires_grad=asked)
        found.append((x.requires_grad, x.is_leaf, x._version))
    return found


@twin
def test_nodes_of_copies_sums_and_writes_have_their_own_names(torch, rng):
    x = rng(2, 3, grad=True)
    made = [
        x.t().reshape(-1), x.t().flatten(), x.reshape(-1), x.sum(), x.sum((0, 1)), x.sum((0, 1), dtype=torch.float64),
        *[getattr(x * 1, name)() for name in ("asinh_", "acosh_", "atanh_", "sinh_")],
        *[getattr(torch.nn.functional, name)(x * 1, inplace=True) for name in ("elu", "leaky_relu", "selu", "relu")],
        torch.nn.functional.threshold_(x * 1, 0.1, 0.2), torch.kron(x, x), x.unsafe_split_with_sizes([1, 1])[0],
    ]  # fmt: skip
    return [one.grad_fn.name() for one in made]


@pytest.mark.parametrize("name", ["deg2rad", "rad2deg"])
@twin
def test_complex_angles_are_refused(torch, rng, name):
    return raised(lambda: getattr(torch, name)(rng(2, dtype="complex64")))
