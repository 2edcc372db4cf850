"""Lengths of zero, exponents beyond the range, types that may be mixed, values that only a user can write."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from parity_tests.twin import outcome, twin


@twin
@pytest.mark.parametrize("inputs", [[0, 4], [4, 4], [0, 0], [1, 4]])
@pytest.mark.parametrize("targets", [[0, 2], [2, 0], [0, 0], [1, 1]])
@pytest.mark.parametrize("zero_infinity", [False, True])
def test_lengths_of_zero_in_ctc(torch, rng, inputs, targets, zero_infinity):
    x, labels = rng(4, 2, 3, grad=True), torch.tensor([[1, 2], [2, 2]])

    def loss(reduction):
        lengths = torch.tensor(inputs), torch.tensor(targets)
        return torch.nn.functional.ctc_loss(x.log_softmax(-1), labels, *lengths, 0, reduction, zero_infinity)

    found = [loss(reduction) for reduction in ("none", "mean", "sum")]
    return found, torch.autograd.grad(found[-1], x)[0].isnan().any() or torch.autograd.grad(loss("sum"), x)


EXPONENTS = {
    "int64": [-2000, -1075, -1074, -150, -149, -100, -41, -25, -1, 0, 15, 41, 100, 127, 128, 1023, 1024, 2**31 - 1, -(2**31)],
    "int32": [-(2**31), -1075, -41, 41, 1024, 2**31 - 1],
    "int16": [-(2**15), -1075, -41, 41, 1024, 2**15 - 1],
    "uint8": [0, 41, 255],
}


@twin
@pytest.mark.parametrize("kind", EXPONENTS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_exponents_of_any_size(torch, rng, kind, dtype):
    exponents = torch.tensor(EXPONENTS[kind], dtype=getattr(torch, kind))
    mantissas = torch.full(exponents.shape, 1.5, dtype=getattr(torch, dtype))
    out = torch.ldexp(mantissas, exponents)
    return out, out.double().log2()  # also of the smallest


FILLS = {
    "kaiming_uniform_": (), "kaiming_normal_": (), "xavier_uniform_": (), "xavier_normal_": (), "orthogonal_": (),
    "sparse_": (0.5,), "dirac_": (), "trunc_normal_": (), "normal_": (), "uniform_": (), "eye_": (), "zeros_": (),
}  # fmt: skip


@twin
@pytest.mark.parametrize("name", FILLS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (0, 3, 2), (3, 3, 0), (0,)])
def test_initial_values_of_nothing(torch, rng, name, shape):
    made = outcome(lambda: getattr(torch.nn.init, name)(torch.empty(shape), *FILLS[name]))
    return made, torch.rand(2)


@twin
@pytest.mark.parametrize("padding", [None, 0, 1, -1])
@pytest.mark.parametrize("by_frequency", [False, True])
def test_padding_in_tables_under_a_map(torch, rng, padding, by_frequency):
    indices = torch.tensor([0, 1, 1, 2])

    def size(weight):
        rows = torch.nn.functional.embedding(indices, weight, padding_idx=padding, scale_grad_by_freq=by_frequency)
        return rows.square().sum()

    tables = rng(2, 3, 2, grad=True)
    sizes = torch.func.vmap(size)(tables)
    return sizes, torch.func.vmap(torch.func.grad(size))(tables.detach()), torch.autograd.grad(sizes.sum(), tables)


NORMS = {
    "layer": lambda F, x, w, b: F.layer_norm(x.transpose(1, 2), (4,), w, b),
    "group": lambda F, x, w, b: F.group_norm(x, 2, w, b),
    "batch": lambda F, x, w, b: F.batch_norm(x, None, None, w, b, True),
}


@twin
@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_types_of_parameters_that_norms_take(torch, rng, name, dtype):
    x, ones = rng(2, 4, 3).to(getattr(torch, dtype)), torch.ones(4)
    kinds = [None, torch.float16, torch.float32, torch.float64]
    typed = [[None if kind is None else ones.to(kind) for kind in pair] for pair in itertools.product(kinds, repeat=2)]
    return [outcome(lambda pair=pair: NORMS[name](torch.nn.functional, x, *pair).dtype) for pair in typed]


@twin
@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (2, 4)])
def test_signs_that_a_user_wrote_into_an_orthogonal_weight(torch, rng, shape):
    layer = torch.nn.Linear(*shape[::-1], bias=False)
    torch.nn.utils.parametrizations.orthogonal(layer, orthogonal_map="householder")
    raw = layer.parametrizations.weight.original
    found = []
    for value in (1.0, -1.0, 0.5, 0.0, 2.7, -3.2):
        with torch.no_grad():
            raw.copy_(rng(*raw.shape))
            raw.diagonal().fill_(value)
        raw.grad = None
        layer.weight.square().sum().backward()
        found.append((layer.weight.detach().clone(), raw.grad))
    return found


JOINED = {
    "cat": lambda torch, a, b: torch.cat([a, b]),
    "stack": lambda torch, a, b: torch.stack([a, b]),
    "cat with a constant": lambda torch, a, b: torch.cat([a, torch.ones(2), b]),
    "cat of one twice": lambda torch, a, b: torch.cat([a, b, a]),
    "cat, then more": lambda torch, a, b: torch.cat([a.exp(), b * 2]) * 1,
}
ANSWERS = {
    "nothing": lambda grads: None,
    "doubled": lambda grads: tuple(g if g is None else g * 2 for g in grads),
    "the first left out": lambda grads: (None, *grads[1:]),
    "in reverse": lambda grads: grads[::-1],
    "too few": lambda grads: grads[1:],
}


@twin
@pytest.mark.parametrize("name", JOINED)
@pytest.mark.parametrize("answer", ANSWERS)
def test_hooks_after_a_node_with_a_list_of_inputs(torch, rng, name, answer):
    a, b, seen = rng(2, grad=True), rng(2, grad=True), []
    y = JOINED[name](torch, a, b)
    node = y.grad_fn if "more" not in name else y.grad_fn.next_functions[0][0]

    def hook(inputs, outputs):
        seen.append((inputs, outputs))
        return ANSWERS[answer](inputs)

    node.register_hook(hook)
    return outcome((y * y).sum().backward), a.grad, b.grad, seen


DRAWS = {
    "normal_": (), "uniform_": (), "bernoulli_": (0.5,), "random_": (), "exponential_": (), "cauchy_": (), "geometric_": (0.5,),
    "log_normal_": (),
}  # fmt: skip
TARGETS = {
    "a part of several": lambda torch, x: x.split(2)[1],
    "a row of several": lambda torch, x: x.reshape(2, 2).unbind()[0],
    "a view": lambda torch, x: x[1:],
    "itself": lambda torch, x: x,
    "a result": lambda torch, x: x * 1,
    "a detached part": lambda torch, x: x.detach()[:2],
    "a part made without recording": lambda torch, x: torch.no_grad()(lambda: x[:2])(),
}


@twin
@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("target", TARGETS)
def test_where_random_numbers_may_be_written(torch, rng, name, target):
    found = []
    for grad, enabled in itertools.product([False, True], repeat=2):
        x = torch.zeros(4, requires_grad=grad)
        at = TARGETS[target](torch, x)
        with torch.set_grad_enabled(enabled):
            found.append((outcome(lambda at=at: getattr(at, name)(*DRAWS[name]).requires_grad), x.detach()))
    return found


@twin
@pytest.mark.parametrize("limit", [1, 8, 16, 24, 1000])
def test_tensors_in_lists_of_one_type_and_size(torch, rng, limit):
    tensors = [rng(2), rng(1, dtype="float64"), rng(3), rng(0), rng(2, dtype="int64"), rng(2), rng(4, dtype="float64")]
    return list(torch._utils._take_tensors(tensors, limit))


OF_MATRICES = (
    "linalg.matrix_rank", "linalg.svdvals", "linalg.svd", "linalg.eigvals", "linalg.eig",
    "linalg.qr", "linalg.det", "linalg.slogdet", "linalg.inv", "linalg.pinv", "linalg.cholesky", "linalg.cond",
    "linalg.matrix_exp", "linalg.norm", "linalg.matrix_norm", "linalg.vector_norm", "logdet", "pinverse",
    "linalg.cross",
)  # fmt: skip


@twin
@pytest.mark.parametrize("name", OF_MATRICES)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float64", "complex128"])
def test_types_of_matrices_also_of_empty_ones(torch, rng, name, dtype):
    function = torch
    for part in name.split("."):
        function = getattr(function, part)
    matrices = [torch.ones(shape, dtype=getattr(torch, dtype)) for shape in ((3, 3), (0, 0), (2, 0, 0), (0, 3, 3), (3,), ())]

    def types(x):
        found = function(x, x) if name == "linalg.cross" else function(x)
        return [(str(part.dtype), part.shape) for part in (found if isinstance(found, tuple) else (found,))]

    return [outcome(lambda x=x: types(x)) for x in matrices]


@twin
@pytest.mark.parametrize("dtype", ["int32", "int16", "int64", "uint8", "float32"])
@pytest.mark.parametrize("where", ["itself", "a part", "detached"])
def test_the_version_of_memory_that_is_seen_as_another_type(torch, rng, dtype, where):
    x = rng(2, 4)
    source = {"itself": x, "a part": x[:1], "detached": x.detach()}[where]
    seen = source.view(getattr(torch, dtype))
    before = seen._version, x._version
    seen.zero_()
    between = seen._version, x._version
    x.add_(1)
    return before, between, seen._version, x._version, x, outcome(lambda: seen._base is None)


@twin
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "bool", "complex64"])
@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_weights_of_any_type_between_two_tensors(torch, rng, dtype, shape):
    weight = torch.ones(shape, dtype=getattr(torch, dtype))
    pairs = [(rng(3), rng(3)), (rng(3, dtype="float64"), rng(3, dtype="float64")), (rng(3), rng(3, dtype="float64"))]
    return [outcome(lambda pair=pair: torch.lerp(*pair, weight)) for pair in pairs]


@twin
@pytest.mark.parametrize("name", ["T", "mT", "H", "mH", "adjoint"])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_transposes_of_any_rank(torch, rng, name, dtype, shape):
    x = rng(*shape, dtype=dtype)
    return outcome(lambda: x.adjoint() if name == "adjoint" else getattr(x, name))


MIXED = {
    "a number of NumPy and a number": lambda torch: [np.float32(1.5), 2],
    "a bool of NumPy and an integer": lambda torch: [np.bool_(True), 2],
    "a tensor and a number": lambda torch: [torch.tensor(2.5), 1],
    "a tensor in a list": lambda torch: [[torch.tensor(2)], [1.5]],
    "tensors of two types": lambda torch: [torch.tensor(2), torch.tensor(1.5, dtype=torch.float64)],
    "an array in a list": lambda torch: [[np.int32(1), 2], [np.float64(2.5), True]],
    "a complex number of NumPy": lambda torch: (np.complex64(1j), 2.0),
    "a tensor of one element": lambda torch: [torch.tensor([2]), 1.5],
}


@twin
@pytest.mark.parametrize("name", MIXED)
def test_types_of_what_is_made_of_mixed_numbers(torch, rng, name):
    return outcome(lambda: torch.tensor(MIXED[name](torch))), outcome(lambda: torch.as_tensor(MIXED[name](torch)))


OF_COMPLEX = """
    abs acos acosh angle asin asinh atan atanh conj_physical cos cosh exp expm1 log log10 log1p log2 neg reciprocal rsqrt sgn
    sigmoid sin sinh sqrt tan tanh
""".split()
COMPLEX_PARTS = (0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 1e-8, -1e8, 1e-20, np.pi / 2, 50.0, -100.0, np.inf, -np.inf, np.nan)


@twin
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", OF_COMPLEX)
def test_functions_of_complex_numbers_at_zero_at_infinity_and_near_one(torch, rng, name, dtype):
    parts = [(x, y) for x, y in itertools.product(COMPLEX_PARTS, COMPLEX_PARTS) if name != "log1p" or np.isfinite(x + y)]
    z = torch.tensor([complex(x, y) for x, y in parts], dtype=getattr(torch, dtype))
    return getattr(torch, name)(z)


@twin
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [4, 300])
def test_where_a_probability_is_one_the_slope_is_zero(torch, rng, dtype, rows):
    F, found = torch.nn.functional, []
    alone = rng(rows, 1).to(getattr(torch, dtype)) * 3
    certain = torch.cat([alone + 60, rng(rows, 2).to(alone.dtype)], 1)
    for x in (alone, certain, alone[..., None].expand(rows, 1, 40), certain[..., None].expand(rows, 3, 40).contiguous()):
        labels = torch.zeros(x.shape[:1] + x.shape[2:], dtype=torch.long)
        weight = (
            torch.cat([rng(rows, 1), torch.zeros(rows, x.shape[1] - 1)], 1)
            .to(x.dtype)
            .reshape(*x.shape[:2], *(1,) * (x.ndim - 2))
        )
        for loss in (
            lambda x, labels=labels: F.cross_entropy(x, labels, reduction="none").mul(1.7).sum(),
            lambda x, labels=labels: F.nll_loss(x.log_softmax(1), labels),
            lambda x, weight=weight: (x.log_softmax(1) * weight).sum(),
            lambda x, weight=weight: (x.softmax(1) * weight).sum(),
        ):
            leaf = x.detach().clone().requires_grad_()
            loss(leaf).backward()
            found.append(int((leaf.grad[:, 0] != 0).sum()))
    return found
