"""Programs around the operations: comparing results, trees, custom operators, flex attention, compilers."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest

from parity_tests.twin import message, raised, twin


def part(torch: Any, path: str) -> Any:
    """A module of either library."""
    return importlib.import_module(f"{torch.__name__}.{path}")


# ------------------------------------------------------------------------------------------------ torch.testing

PAIRS: dict[str, Any] = {
    "tensors": lambda t: (t([1.0, 2.0]), t([1.0, 3.0])),
    "equal": lambda t: (t([1.0, 2.0]), t([1.0, 2.0])),
    "zero dimensions": lambda t: (t(1.0), t(2.0)),
    "integers": lambda t: (t([1, 2]), t([1, 5])),
    "dtypes": lambda t: (t([1, 2]), t([1.0, 5.0])),
    "shapes": lambda t: (t([1.0, 2.0]), t([[1.0, 2.0]])),
    "numbers": lambda t: (1.0, 1.1),
    "kinds of numbers": lambda t: (1, 1.0),
    "bools": lambda t: (True, False),
    "None": lambda t: (None, 1),
    "text": lambda t: ("a", "a"),
    "lengths": lambda t: ([1, 2], [1, 2, 3]),
    "list and tuple": lambda t: ([1, 2], (1, 3)),
    "keys": lambda t: ({"a": 1}, {"b": 1}),
    "nested": lambda t: ([[t([1.0])], {"x": [t([3.0])]}], [[t([1.0])], {"x": [t([4.0])]}]),
    "NaN": lambda t: (t([math.nan]), t([math.nan])),
    "one NaN": lambda t: (math.nan, math.nan),
    "infinities": lambda t: (t([math.inf, 1.0]), t([math.inf, math.inf])),
    "arrays": lambda t: (np.array([1.0, 2.0]), np.array([1.0, 3.0])),
    "complex": lambda t: (t([1 + 1j]), t([1 + 2j])),
    "bool tensors": lambda t: (t([True, False]), t([True, True])),
    "matrices": lambda t: (t([[1.0, 2.0], [3.0, 4.0]]), t([[1.0, 2.0], [3.0, 0.0]])),
    "halves": lambda t: (t([1.0]).half(), t([1.1]).half()),
    "empty": lambda t: (t([]), t([])),
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"rtol": 0, "atol": 0},
    {"rtol": 1, "atol": 1},
    {"rtol": 1},
    {"check_dtype": False},
    {"equal_nan": True},
    {"msg": "m"},
    {"msg": lambda found: f"<{found}>"},
    {"allow_subclasses": False},
]


@pytest.mark.parametrize("pair", PAIRS)
@twin
def test_what_assert_close_says(torch, rng, pair):
    ours, theirs = PAIRS[pair](torch.tensor)
    return [message(lambda options=options: torch.testing.assert_close(ours, theirs, **options)) for options in OPTIONS]


@pytest.mark.parametrize("name", ["float32", "float64", "complex64", "int64", "int8", "uint8", "bool"])
@twin
def test_tensors_to_test_with(torch, rng, name):
    dtype = getattr(torch, name)
    make = torch.testing.make_tensor
    whole = [
        make((2, 3), dtype=dtype, device="cpu", **options) for options in ({}, {"noncontiguous": True}, {"exclude_zero": True})
    ]
    wrong = [
        {"low": 5, "high": 2},
        {"low": math.nan},
        {"requires_grad": True},
        {"noncontiguous": True, "memory_format": torch.contiguous_format},
    ]
    return (
        whole,
        [x.stride() for x in whole],
        [raised(lambda options=options: make(2, dtype=dtype, device="cpu", **options)) for options in wrong],
    )


# ------------------------------------------------------------------------------------------------ trees and references


@twin
def test_trees_are_taken_apart_and_put_together(torch, rng):
    from collections import OrderedDict, defaultdict, deque, namedtuple

    pytree = part(torch, "utils._pytree")
    Point = namedtuple("Point", "a b")
    tree = {
        "a": [1, (2, 3)],
        "b": Point(4, OrderedDict(x=5)),
        "c": defaultdict(list, {1: 6}),
        "d": deque([7], maxlen=3),
        "e": None,
    }
    leaves, spec = pytree.tree_flatten(tree)
    plus = pytree.tree_map_only(int, lambda x: x + 1, tree)
    paths = [(pytree.keystr(path), leaf) for path, leaf in pytree.tree_leaves_with_path(tree)]
    wrong = [
        lambda: pytree.tree_unflatten([1], spec),
        lambda: pytree.tree_map(max, [1, 2], [1]),
        lambda: pytree.tree_map(max, [1, 2], (1, 2)),
        lambda: pytree.register_pytree_node(list, None, None),
    ]
    return (
        leaves,
        spec.num_leaves,
        spec.num_nodes,
        pytree.tree_unflatten(leaves, spec) == tree,
        repr(plus),
        paths,
        pytree.tree_leaves(tree, is_leaf=lambda x: isinstance(x, tuple)),
        pytree.tree_all(lambda x: x is None or x > 0, tree),
        pytree.arg_tree_leaves(1, [2], k=3),
        pytree.tree_map(lambda x, y: x * y, {"a": [1, 2]}, {"a": [3, 4]}),
        list(map(raised, wrong)),
    )


@twin
def test_tensors_are_keys_by_identity_and_are_not_kept_alive(torch, rng):
    names = part(torch, "utils.weak").WeakTensorKeyDictionary()
    x, y = torch.ones(2), torch.ones(2)
    names[x], names[y] = "x", "y"
    before = len(names), names[x], names[y], torch.ones(2) in names, list(names.values())
    del x
    return before, len(names), [name for _, name in names.items()]


@twin
def test_a_handle_removes_the_hook_with_its_number(torch, rng):
    from collections import OrderedDict

    hooks = part(torch, "utils.hooks")
    entries, more = OrderedDict(), OrderedDict()
    with hooks.RemovableHandle(entries, extra_dict=more) as handle:
        entries[handle.id] = more[handle.id] = print
        inside = len(entries), len(more)
    return inside, len(entries), len(more), isinstance(torch.nn.Linear(1, 1).register_forward_hook(print), hooks.RemovableHandle)


# ------------------------------------------------------------------------------------------------ operators


@twin
def test_an_operator_of_the_program_with_its_derivative(torch, rng):
    library = part(torch, "library")
    Tensor = torch.Tensor

    def cube(x: Tensor, scale: float = 1.0) -> Tensor:
        return x**3 * scale

    cube.__annotations__ = {"x": Tensor, "scale": float, "return": Tensor}
    operator = library.custom_op(f"twins_{torch.__name__}::cube", cube, mutates_args=())
    x = rng(3, grad=True)
    without = message(lambda: operator(x).sum().backward())[0]

    def setup(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.scale = inputs[1]

    def backward(ctx, grad):
        return grad * 3 * ctx.saved_tensors[0] ** 2 * ctx.scale, None

    operator.register_autograd(backward, setup_context=setup)
    space = getattr(torch.ops, f"twins_{torch.__name__}")
    operator(x, 2.0).sum().backward()
    wrong = [
        raised(lambda: operator("x")),
        raised(lambda: operator()),
        raised(lambda: space.square),
        raised(lambda: space.cube.other),
    ]
    return without, space.cube(x.detach()), space.cube.default(x.detach(), 3.0), x.grad, wrong, hasattr(space, "cube")


@twin
def test_operators_of_a_library(torch, rng):
    library = part(torch, "library")
    name = f"library_{torch.__name__}"
    made = library.Library(name, "DEF")
    made.define("scaled(Tensor x, float s=2.0, *, int? n=None) -> Tensor")
    made.impl("scaled", lambda x, s=2.0, n=None: x * s, "CompositeImplicitAutograd")
    library.define(f"{name}::tenfold", "(Tensor x) -> Tensor")
    library.impl(f"{name}::tenfold", "cpu", lambda x: x * 10)
    library.register_autograd(f"{name}::tenfold", lambda ctx, grad: grad * 10)
    space = getattr(torch.ops, name)
    x, y = rng(2, grad=True), rng(2, grad=True)
    space.scaled(x, s=3.0).sum().backward()
    space.tenfold(y).sum().backward()
    wrong = [
        lambda: made.define("scaled(Tensor x) -> Tensor"),
        lambda: library.Library(name, "DEF"),
        lambda: library.Library("x", "FOO"),
    ]
    return space.scaled(x.detach()), x.grad, y.grad, list(map(raised, wrong))


@twin
def test_torchs_own_operators_by_their_name(torch, rng):
    x, y, aten = rng(2, 3), rng(2, 3), torch.ops.aten
    return (
        aten.add.Tensor(x, y),
        aten.sum.dim_IntList(x, [1]),
        aten.mm(x, y.t()),
        aten.view.default(x, [3, 2]),
        aten.clone.default(x),
        aten.relu_.default(x.clone()),
        str(aten.add.Tensor),
        str(aten.add),
        raised(lambda: aten.no_such_operator),
    )


# ------------------------------------------------------------------------------------------------ attention

SCORES: dict[str, Any] = {
    "none": lambda torch, bias: None,
    "bias by distance": lambda torch, bias: lambda score, b, h, q, kv: score + bias[h, q - kv + 16],
    "causal": lambda torch, bias: lambda score, b, h, q, kv: torch.where(q >= kv, score, -float("inf")),
    "head and batch": lambda torch, bias: lambda score, b, h, q, kv: score * (h + 1) + b,
    "soft cap": lambda torch, bias: lambda score, b, h, q, kv: 2 * torch.tanh(score / 2),
}
MASKS: dict[str, Any] = {
    "all": None,
    "causal": lambda b, h, q, kv: q >= kv,
    "window": lambda b, h, q, kv: (q - kv).abs() < 3,
    "nothing": lambda b, h, q, kv: kv > 100,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("score", SCORES)
@twin
def test_attention_with_scores_changed_by_a_function(torch, rng, score, mask):
    import warnings

    flex = part(torch, "nn.attention.flex_attention")
    q, k, v, bias = rng(2, 4, 6, 8), rng(2, 4, 10, 8), rng(2, 4, 10, 8), rng(4, 32)
    made = None if MASKS[mask] is None else flex.create_block_mask(MASKS[mask], None, None, 6, 10, device="cpu", BLOCK_SIZE=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out, aux = flex.flex_attention(q, k, v, SCORES[score](torch, bias), made, return_aux=flex.AuxRequest(lse=True))
    return out, aux.lse


@twin
def test_masks_of_blocks(torch, rng):
    flex = part(torch, "nn.attention.flex_attention")
    mask = flex.create_block_mask(MASKS["causal"], 2, 4, 300, 260, device="cpu")
    names = "kv_num_blocks kv_indices full_kv_num_blocks full_kv_indices q_num_blocks q_indices full_q_num_blocks full_q_indices"
    both = [flex.create_mask(join(MASKS["causal"], MASKS["window"]), 1, 1, 5, 5) for join in (flex.and_masks, flex.or_masks)]
    return (
        [getattr(mask, name) for name in names.split()],
        mask.to_dense(),
        mask.sparsity(),
        mask.shape,
        repr(mask),
        both,
        mask[0].shape,
        mask[0, 1].kv_num_blocks,
        mask._adjust(128, 200).kv_indices.shape,
    )


@twin
def test_wrong_calls_of_attention_with_functions(torch, rng):
    flex = part(torch, "nn.attention.flex_attention")
    q, k = rng(2, 4, 6, 8), rng(2, 4, 10, 8)
    mask = flex.create_block_mask(MASKS["causal"], 1, 1, 12, 10, device="cpu", BLOCK_SIZE=4)
    wrong = [
        lambda: flex.flex_attention(q, k[:, :2], k[:, :2]),
        lambda: flex.flex_attention(q, k, k, block_mask=mask),
        lambda: flex.flex_attention(q[0], k[0], k[0]),
        lambda: flex.flex_attention(q, k, k, block_mask=mask[0]),
        lambda: flex.create_block_mask(lambda s, b, h, q, kv: s, 1, 1, 4, 4, device="cpu"),
    ]
    return list(map(raised, wrong))


@pytest.mark.parametrize("shape", [(6, 10), (6, 6)])
@twin
def test_causal_masks_by_name(torch, rng, shape):
    bias, F = part(torch, "nn.attention.bias"), torch.nn.functional
    q, k, v = rng(2, 4, shape[0], 8), rng(2, 4, shape[1], 8), rng(2, 4, shape[1], 8)
    found = []
    for make in (bias.causal_upper_left, bias.causal_lower_right):
        mask = make(*shape)
        found += [F.scaled_dot_product_attention(q, k, v, attn_mask=mask), int(mask.variant), repr(mask)]
    return (
        found,
        raised(lambda: F.scaled_dot_product_attention(q, k, v, mask, is_causal=True)),
        raised(lambda: bias.causal_upper_left(3)),
    )


@twin
def test_kernels_of_attention_are_chosen_and_put_back(torch, rng):
    attention = part(torch, "nn.attention")
    q, cuda = rng(1, 2, 3, 4), torch.backends.cuda
    with attention.sdpa_kernel([attention.SDPBackend.MATH]):
        inside = torch.nn.functional.scaled_dot_product_attention(q, q, q), cuda.flash_sdp_enabled(), cuda.math_sdp_enabled()
    with cuda.sdp_kernel(enable_math=False):
        within = cuda.math_sdp_enabled()

    def wrong():
        with attention.sdpa_kernel(3):
            pass

    return inside, within, cuda.flash_sdp_enabled(), message(wrong)


# ------------------------------------------------------------------------------------------------ settings and conditions


@twin
def test_conditions_and_numbers_of_programs_for_the_compiler(torch, rng):
    x = rng(3)
    conditions = [
        lambda: torch._assert(False, "why"),
        lambda: torch._assert(True, "why"),
        lambda: torch._assert(x.sum() > 1e9, "sum"),
        lambda: torch._check(False),
        lambda: torch._check(False, lambda: "x"),
        lambda: torch._check(3),
        lambda: torch._check(True),
        lambda: torch._check_index(False, lambda: "i"),
        lambda: torch._check_value(False),
        lambda: torch._check_type(False),
        lambda: torch._check_tensor_all(x > 1e9),
        lambda: torch._check_tensor_all(True),
        lambda: torch._check_with(KeyError, False),
        lambda: torch.sym_constrain_range(3, min=4),
        lambda: torch.sym_constrain_range(3, min=1),
    ]
    numbers = [
        torch.sym_int(2.5),
        torch.sym_float(2),
        torch.sym_not(True),
        torch.sym_max(1, 2.0),
        torch.sym_min(1, 2.0),
        torch.sym_ite(True, 1, 2),
        torch.sym_sqrt(4),
        torch.sym_sum([1, 2]),
    ]
    return list(map(message, conditions)), numbers, [type(number).__name__ for number in numbers]


@twin
def test_settings_are_remembered(torch, rng):
    found = [
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_deterministic_debug_mode(),
    ]
    torch.use_deterministic_algorithms(True, warn_only=True)
    found += [torch.get_deterministic_debug_mode(), torch.is_deterministic_algorithms_warn_only_enabled()]
    torch.set_deterministic_debug_mode(0)
    torch.set_float32_matmul_precision("high")
    found += [torch.backends.cuda.matmul.allow_tf32, torch.get_float32_matmul_precision()]
    torch.set_float32_matmul_precision("highest")
    wrong = [
        lambda: torch.use_deterministic_algorithms(1),
        lambda: torch.set_deterministic_debug_mode("foo"),
        lambda: torch.set_deterministic_debug_mode(3),
        lambda: torch.set_deterministic_debug_mode(1.5),
        lambda: torch.set_float32_matmul_precision(1),
        lambda: torch.set_flush_denormal(1),
        lambda: torch.set_num_interop_threads(0),
        lambda: torch.get_device_module("meta"),
        lambda: torch.get_device_module(3),
    ]
    return found, list(map(message, wrong)), torch.get_device_module("cuda") is torch.cuda, torch.get_device_module() is torch.cpu


@pytest.mark.parametrize(
    "name", ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "complex32"]
)
@twin
def test_what_is_known_of_types_that_numpy_lacks(torch, rng, name):
    dtype = getattr(torch, name)
    facts = [dtype.itemsize, dtype.is_floating_point, dtype.is_complex, dtype.is_signed, repr(dtype)]
    return (
        facts,
        repr(torch.finfo(dtype)),
        [getattr(torch.finfo(dtype), of) for of in "eps max min tiny smallest_normal resolution bits dtype".split()],
    )


# ------------------------------------------------------------------------------------------------ compilers


@twin
def test_training_a_compiled_network(torch, rng):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    compiled = torch.compile(net, backend="eager")
    optimizer = torch.optim.SGD(compiled.parameters(), lr=0.1)
    x, y = rng(6, 4), rng(6, 2)
    for _ in range(3):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(compiled(x), y)
        loss.backward()
        optimizer.step()
    compiled.eval()
    return list(compiled.state_dict()), loss, dict(net.state_dict()), net.training, [name for name, _ in compiled.named_modules()]


@twin
def test_functions_of_arrays_become_functions_of_tensors(torch, rng):
    pair = torch.compiler.wrap_numpy(lambda a, *, b: (np.sin(a), [a * b]))
    return pair(rng(3), b=rng(3)), raised(lambda: pair(rng(3, grad=True), b=rng(3)))


@twin
def test_what_compilers_refuse(torch, rng):
    wrong = [
        lambda: torch.compile(len, mode="foo"),
        lambda: torch.compile(len, mode="default", options={}),
        lambda: torch.compile(3),
        lambda: torch.jit.ignore(3),
        lambda: torch.jit.script(torch.nn.Linear),
        lambda: torch.jit.freeze(torch.nn.Linear(1, 1)),
        lambda: torch.jit.isinstance([1], list),
    ]
    inside = [
        torch.jit.isinstance(value, kind)
        for value in ([1], ["a"], {"a": 1}, (1, "a"), None)
        for kind in (list[int], dict[str, int], tuple[int, str], int | None)
    ]
    return list(map(raised, wrong)), inside


# ------------------------------------------------------------------------------------------------ checkpoints


@twin
def test_reentrant_checkpoints(torch, rng):
    checkpoint = part(torch, "utils.checkpoint")
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(8, 8), torch.nn.Tanh()
    )
    x = rng(3, 4, grad=True)
    y = checkpoint.checkpoint(net, x, use_reentrant=True)
    a, b = checkpoint.checkpoint(lambda a, b: (a.sin() * b, a + b), y, y * 2, use_reentrant=True)
    (a.sum() + b.pow(2).sum()).backward()
    z = rng(3, 4, grad=True)
    checkpoint.checkpoint_sequential(net, 2, z, use_reentrant=True).sum().backward()
    wrong = [
        lambda: checkpoint.checkpoint(net, x, use_reentrant=True, foo=3),
        lambda: checkpoint.checkpoint_sequential(net, 2, x, foo=3),
        lambda: checkpoint.checkpoint(net, x, use_reentrant=True, debug=True),
        lambda: checkpoint.detach_variable([x]),
    ]
    return y, x.grad, z.grad, [p.grad for p in net.parameters()], torch.rand(2), list(map(message, wrong))
