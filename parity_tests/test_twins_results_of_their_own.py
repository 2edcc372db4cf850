"""Which results are views, which share a version, which have a history: what later writes and `detach_` depend on."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import warnings

import pytest

from parity_tests import adapter, bridge
from parity_tests.judging import call
from parity_tests.twin import either, mistake, outcome, raised, twin

VIEWED_IN_TORCH = frozenset(
    "fft.ifft fft.ihfft fft.ihfft2 fft.ihfftn inner linalg.cond linalg.multi_dot nn.functional.adaptive_avg_pool1d "
    "nn.functional.adaptive_max_pool1d nn.functional.avg_pool1d nn.functional.instance_norm nn.functional.interpolate "
    "nn.functional.linear nn.functional.linear_cross_entropy nn.functional.max_pool1d nn.functional.max_unpool1d nonzero "
    "repeat_interleave stft".split()
)
"""Functions whose results are views of temporaries in torch, or here (`stft`, some samples): see docs/decisions.md."""


def places(found, given):
    """For each result, whether it is a view, and of which argument."""
    return [
        (t._is_view(), [i for i, x in enumerate(given) if x is t][:1], [i for i, x in enumerate(given) if x is t._base])
        for t in bridge.tensors(found)
        if not t.is_sparse
    ]


@pytest.mark.parametrize("part", range(4))
def test_results_are_views_exactly_where_torchs_are(part):
    wrong = []
    for entry in adapter.dense_entries("float64")[part::4]:
        if entry.name in VIEWED_IN_TORCH:
            continue
        for number, sample in enumerate(entry.samples("float64", "float64" in entry.gradient_dtypes)):
            if number == 2:
                break
            arguments = sample.all_args, sample.kwargs
            theirs, ours = bridge.copy(arguments), bridge.to_mini(arguments)
            try:
                expected = call(entry.theirs, *theirs[0], **theirs[1])
                found = call(entry.ours, *ours[0], **ours[1])
            except Exception:  # the sweep's
                continue
            expected, found = places(expected, bridge.tensors(theirs)), places(found, bridge.tensors(ours))
            if expected != found:
                wrong.append((str(entry), number, found, expected))
    assert not wrong, wrong[:5]


@twin
@pytest.mark.parametrize("recording", [True, False])
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "batch_norm", "max", "median", "flip", "kron", "quantile"])
def test_results_can_be_detached_and_written(torch, rng, name, recording):
    x = rng(2, 3, 4, grad=True)
    F = torch.nn.functional
    functions = {
        "layer_norm": lambda: F.layer_norm(x, (4,)),
        "rms_norm": lambda: F.rms_norm(x, (4,)),
        "batch_norm": lambda: F.batch_norm(x, None, None, training=True),
        "max": lambda: x.max(1).values,
        "median": lambda: x.median(1).values,
        "flip": lambda: x.flip(0),
        "kron": lambda: torch.kron(x[0], x[1]),
        "quantile": lambda: x.quantile(0.5, 0),
    }
    with torch.set_grad_enabled(recording):
        y = functions[name]()
        seen = y._is_view(), y._base is None, y.requires_grad
    if recording:
        y.mul_(2)
        seen += (y.grad_fn.name(), torch.autograd.grad(y.sum(), x, retain_graph=True))
    return seen, y.detach_() is y, y.requires_grad_().is_leaf


@twin
def test_unsafe_parts_are_not_views(torch, rng):
    x = rng(4, 3, grad=True)
    y = x * 1
    a, b = y.unsafe_split(2)
    a.mul_(2)
    with torch.no_grad():
        (c,) = x.unsafe_chunk(1)
        c.mul_(1)
    (a.sum() + 3 * y.sum()).backward()
    return [(t._is_view(), t._base is None, t._version) for t in (a, b, c)], y._version, x._version, y.grad_fn.name(), x.grad


@twin
@pytest.mark.parametrize("dtype", ["int32", "float32", "complex64", "int16"])
def test_the_bytes_as_another_type_have_a_version_and_no_history(torch, rng, dtype):
    x = rng(2, 4, grad=True)
    y, plain = x * 1, rng(2, 4)
    found = []
    for base in (x, y, y[0], plain, plain[1]):
        v = base.view(getattr(torch, dtype))
        found.append((v._is_view(), v.requires_grad, v.is_leaf, v._version, v[..., :1]._base is v))
    v = plain.view(getattr(torch, dtype))
    plain.add_(1)
    found.append((v._version, plain._version))
    v.mul_(2)
    found.append((v._version, plain._version, v.detach_() is v))
    with torch.inference_mode():
        inner = torch.ones(2)
        found += [inner.view(torch.int32).is_inference(), plain.view(torch.int32).is_inference()]
    return found, inner.view(torch.int32).is_inference(), inner.view(torch.int32)._version


@twin
def test_scalars_transposed_are_themselves_or_conjugated(torch, rng):
    x, z = rng(grad=True), rng(dtype="complex64")
    names = ["T", "mT", "mH", "H"]
    return (
        [getattr(x, name) is x for name in names],
        [getattr(z, name) is z for name in names],
        [getattr(z, name).resolve_conj() for name in names],
        torch.adjoint(x) is x,
    )


# ------------------------------------------------------------------------------------------------ writes without gradients


@either
@pytest.mark.parametrize("kind", ["leaf", "result", "view", "plain"])
@pytest.mark.parametrize("name", ["eq_", "ne_", "lt_", "ge_", "greater_", "not_equal_"])
def test_comparisons_in_place_have_gradients_of_zero(torch, rng, kind, name):
    x, y = rng(2, 3, grad=True), rng(2, 3, grad=True)
    result = x * 1
    target = {"leaf": x, "result": result, "view": result[0], "plain": rng(2, 3)}[kind]
    getattr(target, name)(y[0] if kind == "view" else y)
    seen = target.requires_grad, target.is_leaf, target._version, target.grad_fn is None
    if target.requires_grad:
        target.sum().backward()
    return target, seen, x.grad, y.grad


@twin
@pytest.mark.parametrize("kind", ["leaf", "result", "plain"])
@pytest.mark.parametrize("name", ["logical_and_", "logical_or_", "logical_xor_", "logical_not_"])
def test_logical_functions_in_place_leave_the_history_alone(torch, rng, kind, name):
    x, y = rng(3, grad=True), rng(3, grad=True)
    target = {"leaf": x, "result": x * 2, "plain": rng(3)}[kind]
    getattr(target, name)(*([] if name == "logical_not_" else [y]))
    seen = target, target.requires_grad, target.is_leaf, target._version
    if target.requires_grad:
        target.sum().backward()
    return seen, x.grad, y.grad


@twin
def test_a_python_function_of_each_element_is_not_counted_as_a_write(torch, rng):
    x, y = rng(3), rng(3)
    x.apply_(lambda value: value + 1)
    x.map_(y, lambda a, b: a * b)
    leaf = rng(3, grad=True)
    return x, x._version, raised(lambda: leaf.apply_(abs)), raised(lambda: x.map_(leaf, max))


@twin
@pytest.mark.parametrize("shape", [(2,), (1, 3), (2, 3)])
def test_a_mask_filled_with_one_of_its_own_values(torch, rng, shape):
    x = rng(*shape)
    x[x > -9] = x.view(-1)[:1]
    y = rng(*shape)
    y[True] = y.view(-1)[0]
    return x, y, raised(lambda: x.__setitem__(x > -9, x))


@either
@pytest.mark.parametrize(
    "name", ["as_strided_", "squeeze_", "squeeze_ 1", "squeeze_ (1,)", "swapdims_", "swapaxes_", "transpose_"]
)
def test_the_nodes_of_changes_of_shape_have_torchs_names(torch, rng, name):
    y = rng(2, 1, 3, grad=True) * 1
    {
        "as_strided_": lambda: y.as_strided_((2,), (1,)),
        "squeeze_": lambda: y.squeeze_(),
        "squeeze_ 1": lambda: y.squeeze_(1),
        "squeeze_ (1,)": lambda: y.squeeze_((1,)),
        "swapdims_": lambda: y.swapdims_(0, 1),
        "swapaxes_": lambda: y.swapaxes_(0, 1),
        "transpose_": lambda: y.transpose_(0, 1),
    }[name]()
    return y.grad_fn.name(), y


# ------------------------------------------------------------------------------------------------ out=


@twin
@pytest.mark.parametrize("name", ["eq", "lt", "isin", "logical_and", "argmax", "all", "signbit", "searchsorted", "bucketize"])
def test_results_without_gradients_are_stored_though_operands_require_grad(torch, rng, name):
    x = rng(2, 3, grad=True)
    functions = {
        "argmax": lambda out: torch.argmax(x, 1, out=out),
        "all": lambda out: torch.all(x, 1, out=out),
        "signbit": lambda out: torch.signbit(x, out=out),
        "searchsorted": lambda out: torch.searchsorted(x.detach().sort(1).values, x, out=out),
        "bucketize": lambda out: torch.bucketize(x, torch.tensor([0.0, 1.0]), out=out),
    }
    counts = name in ("argmax", "searchsorted", "bucketize")
    out = torch.empty(0, dtype=torch.int64 if counts else torch.bool)
    functions.get(name, lambda out: getattr(torch, name)(x, x.detach(), out=out))(out)
    return out, out.requires_grad, out.is_leaf, out._version


def indices(torch):
    return torch.empty(0, dtype=torch.int64)


OVERLAPS = {
    "topk of a part": lambda torch, q: torch.topk(q, 1, 0, out=(q[:1], indices(torch))),
    "topk of all": lambda torch, q: torch.topk(q, 3, 0, out=(q, indices(torch))),
    "max of a part": lambda torch, q: torch.max(q, 0, out=(q[0], indices(torch))),
    "max over everything": lambda torch, q: torch.max(q, out=q[0, 0]),
    "max itself": lambda torch, q: torch.max(q[:1], 0, True, out=(q[:1], indices(torch))),
    "mode itself": lambda torch, q: torch.mode(q[:1], 0, True, out=(q[:1], indices(torch))),
    "index_add itself": lambda torch, q: torch.index_add(q, 0, torch.tensor([0, 1, 2]), q.clone(), out=q),
    "index_add of a source": lambda torch, q: torch.index_add(q.clone(), 0, torch.tensor([0, 1, 2]), q, out=q),
    "index_copy itself": lambda torch, q: torch.index_copy(q, 0, torch.tensor([0, 1, 2]), q.clone(), out=q),
    "scatter itself": lambda torch, q: torch.scatter(q, 0, torch.zeros(3, 3, dtype=torch.int64), q.clone(), out=q),
    "scatter of a source": lambda torch, q: torch.scatter(q.clone(), 0, torch.zeros(3, 3, dtype=torch.int64), q, out=q),
    "narrow_copy": lambda torch, q: torch.narrow_copy(q, 0, 0, 1, out=q[:1]),
}


@twin
@pytest.mark.parametrize("name", OVERLAPS)
def test_overlaps_are_refused_where_torch_refuses_them(torch, rng, name):
    q = torch.arange(9.0).reshape(3, 3)
    refused = raised(lambda: OVERLAPS[name](torch, q))
    return refused, q if name.endswith("itself") else None


# ------------------------------------------------------------------------------------------------ numbers


CONVERSIONS = ["float", "complex", "int", "bool", "item", "tolist", "format", "list", "floor", "detached"]


@twin
@pytest.mark.parametrize("how", CONVERSIONS)
def test_a_tensor_that_requires_grad_becomes_a_number_with_torchs_warning(torch, rng, how):
    x = torch.tensor(2.5, requires_grad=True)
    return {
        "float": lambda: float(x * 2),
        "complex": lambda: complex(x),
        "int": lambda: int(x),
        "bool": lambda: bool(x),
        "item": lambda: x.item(),
        "tolist": lambda: x.tolist(),
        "format": lambda: f"{x:.2f}",
        "list": lambda: torch.tensor([x, x]),
        "floor": lambda: math.floor(x),
        "detached": lambda: float(x.detach()),
    }[how]()


@twin
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("name", ["full", "arange", "new_full", "scalar_tensor", "fill_diagonal_", "leaky_relu"])
def test_a_tensor_that_requires_grad_is_not_a_number(torch, rng, name, grad):
    t = torch.tensor(2.0, requires_grad=grad)
    return outcome({
        "full": lambda: torch.full((2,), t),
        "arange": lambda: torch.arange(t),
        "new_full": lambda: torch.ones(2).new_full((2,), t),
        "scalar_tensor": lambda: torch.scalar_tensor(t),
        "fill_diagonal_": lambda: torch.ones(2, 2).fill_diagonal_(t),
        "leaky_relu": lambda: torch.nn.functional.leaky_relu(torch.ones(2), t),
    }[name])  # fmt: skip


# ------------------------------------------------------------------------------------------------ modes, functional


@twin
@pytest.mark.parametrize(
    "modes", [("inference_mode",), ("inference_mode", "enable_grad"), ("no_grad",), ("inference_mode", "no_grad")]
)
def test_inference_mode_turns_tangents_off(torch, rng, modes):
    x, t = rng(3), rng(3)
    forward = torch.autograd.forward_ad
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # torch's first tangent compiles something
        for mode in modes:
            stack.enter_context(getattr(torch, mode)())
        with forward.dual_level():
            d = forward.make_dual(x, t)
            found = forward.unpack_dual(d).tangent, forward.unpack_dual(d * 2).tangent
            with torch.inference_mode(False):
                found += (forward.unpack_dual(forward.make_dual(x, t) * 2).tangent,)
    with forward.dual_level():
        return *found, forward.unpack_dual(forward.make_dual(x, t).sin()).tangent


@either
@pytest.mark.parametrize("name", ["jacobian", "hessian", "vjp", "jvp", "hvp", "vhp"])
@pytest.mark.parametrize("dtype", ["int64", "complex64", "float32"])
def test_functional_derivatives_refuse_what_torch_refuses(torch, rng, name, dtype):
    function = getattr(torch.autograd.functional, name)
    x = rng(2, dtype=dtype)
    scalar = name in ("hessian", "hvp", "vhp")
    return function(
        (lambda t: (t * t).sum()) if scalar else (lambda t: t * 2), *([x] if name in ("jacobian", "hessian") else [x, x])
    )


@twin
def test_saving_warns_of_hooks_only_if_there_are_some(torch, rng):
    x, y = rng(3, grad=True), rng(3, grad=True)
    torch.autograd.grad((x * 2).sum(), x, retain_graph=True)
    torch.autograd.graph.get_gradient_edge(x)
    x.register_post_accumulate_grad_hook(lambda leaf: None)
    y.register_hook(lambda g: None).remove()
    torch.save([x, y], io.BytesIO())
    return x


@twin
def test_a_gradient_that_a_hook_made_to_require_grad_is_kept_without_history(torch, rng):
    x, y = rng(3, grad=True), rng(3, grad=True)
    x.register_hook(lambda g: g.clone().requires_grad_())
    y.register_hook(lambda g: g * y)
    found = []
    for _ in range(2):
        (x * 2 + y.sin()).sum().backward()
        found.append((x.grad.requires_grad, x.grad.is_leaf, y.grad.requires_grad, x.grad.clone(), y.grad.clone()))
    return found


@twin
def test_memory_from_dlpack_has_a_version_of_its_own(torch, rng):
    x = rng(3)
    x.add_(1)
    y = torch.from_dlpack(x)
    y.mul_(2)
    with torch.inference_mode():
        inner = torch.from_dlpack(x)
    return x, x._version, y._version, y._is_view(), inner.is_inference()


@either
@pytest.mark.parametrize("target", [(), (1,), (2,)])
@pytest.mark.parametrize("index", [(), (1,)])
@pytest.mark.parametrize("source", [(), (1,), (3,)])
@pytest.mark.parametrize("name", ["scatter", "scatter_add", "scatter_reduce", "take_along_dim"])
def test_tensors_without_dimensions_are_scattered_as_vectors(torch, rng, name, target, index, source):
    x, at, src = rng(*target, grad=True), torch.zeros(index, dtype=torch.int64), rng(*source, grad=True)
    if name == "take_along_dim":
        y = torch.take_along_dim(x, at, 0)
    else:
        y = getattr(x, name)(0, at, src, *(["sum"] if name == "scatter_reduce" else []))
    if index == source:  # torch's own derivative fails for others
        y.sum().backward()
    return y, x.grad, src.grad


@either
@pytest.mark.parametrize("name", ["grad", "grad_and_value", "vmap of grad", "real outputs"])
def test_gradients_of_complex_results_are_refused(torch, rng, name):
    z = rng(2, dtype="complex64")
    if name == "vmap of grad":
        return torch.vmap(torch.func.grad(lambda t: t * t))(z)
    if name == "real outputs":
        return torch.func.grad(lambda t: (t * t).sum().abs())(z)
    return getattr(torch.func, name)(lambda t: (t * t).sum())(z)


@twin
def test_a_copy_made_in_inference_mode_is_an_inference_tensor(torch, rng):
    x, y = rng(2), rng(2, grad=True)
    with torch.inference_mode():
        return [one.is_inference() for one in copy.deepcopy([x, y])], copy.deepcopy(y).requires_grad


@mistake
def test_abs_stores_only_its_own_type(torch, rng):
    return torch.abs(rng(2), out=torch.empty(2, dtype=torch.float64))
