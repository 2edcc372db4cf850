"""Choices within functions that torch's samples make only one way: each other way, for all functions of the kind."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import mini_dl
from parity_tests.bridge import array
from parity_tests.twin import message, outcome, raised, twin

# ------------------------------------------------------------------------------------------------ tensors from nothing

FACTORIES = {
    "zeros": (2, 3), "ones": (2, 3), "empty": (0, 3), "full": ((2, 3), 1.5), "eye": (2, 3), "arange": (1, 7, 2),
    "linspace": (0, 1, 4), "logspace": (0, 1, 4),
    "rand": (2, 3), "randn": (2, 3), "randint": (0, 9, (4,)), "randperm": (5,), "hann_window": (5,),
    "hamming_window": (5,), "blackman_window": (5,), "bartlett_window": (5,), "kaiser_window": (5,), "tril_indices": (3, 3),
    "triu_indices": (3, 3),
}  # fmt: skip
KEYWORDS = {
    "strided": lambda t: {"layout": t.strided}, "cpu": lambda t: {"device": "cpu"},
    "meta": lambda t: {"device": "meta"}, "grad": lambda t: {"dtype": t.float64, "requires_grad": True},
    "no grad": lambda t: {"requires_grad": False}, "unpinned": lambda t: {"pin_memory": False},
    "layout": lambda t: {"layout": "x"}, "a number for grad": lambda t: {"requires_grad": 1.5},
    "int64": lambda t: {"dtype": t.int64}, "half": lambda t: {"dtype": t.float16},
    "complex": lambda t: {"dtype": t.complex64}, "int32": lambda t: {"dtype": t.int32}, "bool": lambda t: {"dtype": t.bool},
}  # fmt: skip


@twin
@pytest.mark.parametrize("keyword", KEYWORDS)
def test_factories_take_the_keywords_of_all(torch, rng, keyword):
    def made(name):
        torch.manual_seed(3)
        out = getattr(torch, name)(*FACTORIES[name], **KEYWORDS[keyword](torch))
        return [tuple(out.shape), str(out.dtype), out.requires_grad, out.is_meta, None if out.is_meta else out.detach()]

    return {name: outcome(lambda name=name: made(name)) for name in FACTORIES}


@twin
@pytest.mark.parametrize("keyword", [k for k in KEYWORDS if k not in ("a number for grad", "layout")])
def test_factories_like_a_tensor_take_the_keywords_of_all(torch, rng, keyword):
    x, given = rng(2, 3), KEYWORDS[keyword](torch)

    def made(call):
        torch.manual_seed(3)
        out = call()
        return [tuple(out.shape), str(out.dtype), out.requires_grad, out.is_meta, None if out.is_meta else out.detach()]

    calls = {name: lambda name=name: getattr(torch, f"{name}_like")(x, **given) for name in ("zeros", "ones", "rand", "randn")}
    calls |= {name: lambda name=name: getattr(x, f"new_{name}")((2, 2), **given) for name in ("zeros", "ones")}
    calls |= {"full_like": lambda: torch.full_like(x, 3, **given), "new_full": lambda: x.new_full((2,), 3, **given)}
    return {name: outcome(lambda call=call: made(call)) for name, call in calls.items()}


def drawn_between(module, dtype, low, high):
    module.manual_seed(1)
    try:
        return array(module.zeros(40, dtype=getattr(module, dtype)).random_(low, high)).tolist()
    except RuntimeError as error:
        return type(error).__name__


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.filterwarnings("ignore:.*out of bounds.*")
def test_random_integers_between_bounds_that_a_float_cannot_represent(dtype):
    digits = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}[dtype]
    for shift in (0, 1, 3):
        if digits + shift > (15 if dtype == "float16" else 62):
            continue
        for low in range(2 ** (digits + shift) - 3, 2 ** (digits + shift) + 6):
            for width in (3, 2 ** (shift + 1) + 1, 40):
                found = [
                    drawn_between(m, dtype, *ends)
                    for m in (torch, mini_dl)
                    for ends in ((low, low + width), (-low - width, -low))
                ]
                assert found[:2] == found[2:], (low, width)


# ------------------------------------------------------------------------------------------------ schedules


@twin
def test_a_loaded_plateau_goes_by_the_mode_that_was_loaded(torch, rng):
    optimizer = torch.optim.SGD([rng(2, grad=True)], lr=0.1)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min", patience=0)
    state = schedule.state_dict()
    schedule.load_state_dict({**state, "mode": "max"})
    return schedule.mode_worse, message(lambda: schedule.load_state_dict({**state, "mode": "best"}))


# ------------------------------------------------------------------------------------------------ matrices


@twin
@pytest.mark.parametrize("hermitian", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_factors_of_symmetric_matrices_with_small_pivots(torch, rng, hermitian, dtype):
    numbers = np.random.default_rng(5)
    found = []
    for n in (1, 2, 3, 4, 5, 7):
        for kind in range(8):
            A = numbers.normal(size=(n, n)) + (1j * numbers.normal(size=(n, n)) if dtype == "complex128" else 0)
            A = A + (A.conj() if hermitian else A).T
            if kind % 2:
                A[range(n), range(n)] *= 1e-3  # pivots of two rows
            if kind % 4 > 1:
                A[:, : n // 2] *= 1e-2
                A[: n // 2] *= 1e-2
            if kind > 5 and n > 2:
                A[1:, 0] = A[0, 1:] = 0
            x = torch.tensor(A)
            LD, pivots = torch.linalg.ldl_factor(x, hermitian=hermitian)
            b = torch.tensor(numbers.normal(size=(n, 2)).astype(A.dtype))
            solved = x @ torch.linalg.ldl_solve(LD, pivots, b, hermitian=hermitian) - b
            found += [pivots, LD.tril(), bool(solved.abs().max() < 1e-8)]
    return found


@twin
def test_products_of_chains_of_any_length_with_vectors_at_the_ends(torch, rng):
    A, B, C, v, w = rng(3, 4), rng(4, 2), rng(2, 5), rng(4), rng(5)
    dot = torch.linalg.multi_dot
    chains = ([A, B], [A, B, C], [rng(3), A, B], [A, v], [A, B, C, w], [v, B, C, w], [v, v], [A, B, C, rng(5, 2), rng(2, 6)])
    wrong = (
        [A],
        [],
        [A, C],
        [A, B, w],
        [rng(2, 2, 2), A],
        [A, rng(2, 2, 2)],
        [A, v, B],
        [A, rng(1, 4, 4), B],
        [w, A],
        [A, B.double()],
    )
    return [dot(chain) for chain in chains], [message(lambda chain=chain: dot(chain)) for chain in wrong]


@twin
@pytest.mark.parametrize("pow", [1, 2, 3])
def test_norms_of_slices_along_each_dimension(torch, rng, pow):
    norm = torch.norm_except_dim
    return [norm(x, pow, dim) for x in (rng(3), rng(2, 3), rng(2, 3, 4)) for dim in range(-1, x.ndim)], raised(
        lambda: norm(rng(), pow)
    )


# ------------------------------------------------------------------------------------------------ the order of equal elements


@twin
@pytest.mark.parametrize("n", [15, 40, 300])
def test_the_first_of_many_nans_is_the_median(torch, rng, n):
    x = rng(n, 7)
    x[torch.arange(n) % 3 == 1] = float("nan")
    x[:, 0] = float("nan")
    return x.median(0), x.t().median(1), x.nanmedian(0).values, x[:, 1:].nanmedian(0)


@twin
@pytest.mark.parametrize("name", ["sort", "argsort", "topk", "unique"])
@pytest.mark.parametrize("n", [15, 40, 300])
def test_equal_elements_keep_their_order(torch, rng, name, n):
    x = torch.tensor((np.arange(n) * 7 % 5).astype("float32"))
    lists = {
        "sort": lambda: [x.sort(stable=True), x.sort(stable=True, descending=True), x.to(torch.uint8).sort(stable=True)],
        "argsort": lambda: [x.argsort(stable=True), x.bool().argsort(stable=True, descending=True)],
        "topk": lambda: [x.topk(n // 2).values, x.topk(3, largest=False).values],
        "unique": lambda: [x.unique(return_inverse=True, return_counts=True), x.unique_consecutive(return_inverse=True)],
    }
    return lists[name]()


@twin
def test_packed_sequences_of_equal_lengths_keep_their_order(torch, rng):
    rnn, lengths = torch.nn.utils.rnn, torch.tensor([1, 4, 3, 4, 1, 3])
    packed = rnn.pack_padded_sequence(rng(6, 5, 2), lengths, batch_first=True, enforce_sorted=False)

    def refused(given, sure):
        return message(lambda: rnn.pack_padded_sequence(rng(2, 5, 2), given, batch_first=True, enforce_sorted=sure))

    lists = ([3, 2, 2, 1], [1, 2], [2, 0], [2, -1], [3], [])
    return packed, [refused(given, sure) for given in lists for sure in (True, False)]


def test_many_sequences_of_equal_lengths_keep_their_order():
    lengths = mini_dl.tensor([1 + i * 7 % 4 for i in range(60)])
    packed = mini_dl.nn.utils.rnn.pack_padded_sequence(mini_dl.zeros(60, 5, 2), lengths, True, enforce_sorted=False)
    assert packed.sorted_indices.tolist() == sorted(range(60), key=lambda i: -int(lengths[i]))


PAIRS = [
    ((1, 3), (4, 3, 2)), ((2, 3), (4, 3, 1)), ((2, 3), (4, 3, 2)), ((1, 2, 3), (4, 3, 1)), ((4, 2, 3), (1, 3, 1)),
    ((4, 1, 3), (3, 2)), ((5, 4, 1, 3), (4, 3, 1)), ((1, 1, 3), (4, 3, 2)), ((3,), (4, 3, 2)), ((4, 2, 3), (3,)),
]  # fmt: skip


@twin
@pytest.mark.parametrize("wanted", [(True, False), (False, True), (True, True), (False, False)])
def test_products_are_views_where_those_of_torch_are(torch, rng, wanted):
    found = []
    for shapes in PAIRS:
        out = torch.matmul(*[rng(*shape).requires_grad_(grad) for shape, grad in zip(shapes, wanted)])
        found.append((tuple(out.shape), out._is_view()))
    return found


# ------------------------------------------------------------------------------------------------ optimizers


@twin
@pytest.mark.parametrize("tolerance", [1e-9, 1e-2, 0.3])
@pytest.mark.parametrize("lr", [0.01, 1.0, 30.0])
def test_searches_along_a_line_end_when_the_interval_is_small(torch, rng, tolerance, lr):
    found = []
    for curve in (lambda x: ((x - 3) ** 4).sum(), lambda x: (x.cosh() - x).sum(), lambda x: (x**2 / (1 + x**2)).sum()):
        x = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
        search = {"line_search_fn": "strong_wolfe", "tolerance_change": tolerance}
        optimizer = torch.optim.LBFGS([x], lr=lr, max_iter=6, **search)

        def closure(curve=curve, x=x, optimizer=optimizer):
            optimizer.zero_grad()
            loss = curve(x)
            loss.backward()
            return loss

        optimizer.step(closure)
        state = optimizer.state[x]
        found += [x.detach().clone(), state["func_evals"], state["n_iter"]]
    return found


# ------------------------------------------------------------------------------------------------ parts


@twin
def test_lengths_of_segments_add_up_unless_that_is_not_checked(torch, rng):
    x, reduce = rng(5), torch.segment_reduce
    lists = ([2, 3], [1, 2], [3, 3], [-1, 6], [5], [0, 5, 0])
    checked = [message(lambda given=given: reduce(x, "sum", lengths=torch.tensor(given, dtype=torch.int64))) for given in lists]
    return checked, reduce(x, "max", lengths=torch.tensor([2, 3]), unsafe=True), reduce(x, "mean", lengths=torch.tensor([0, 5]))


# ------------------------------------------------------------------------------------------------ losses

LOSSES = {
    "binary_cross_entropy": (("input", "target", "weight"), {}),
    "binary_cross_entropy_with_logits": (("input", "target", "weight", "pos_weight"), {}),
    "mse_loss": (("input", "target", "weight"), {}),
    "l1_loss": (("input", "target"), {}),
    "smooth_l1_loss": (("input", "target"), {}),
    "huber_loss": (("input", "target", "weight"), {}),
    "kl_div": (("input", "target"), {"reduction": "batchmean"}),
    "poisson_nll_loss": (("input", "target"), {}),
    "gaussian_nll_loss": (("input", "target", "var"), {}),
    "hinge_embedding_loss": (("input", "target"), {}),
    "soft_margin_loss": (("input", "target"), {}),
    "multilabel_soft_margin_loss": (("input", "target", "weight"), {}),
    "margin_ranking_loss": (("input1", "input2", "target"), {}),
    "cross_entropy": (("input", "target", "weight"), {}),
}


@twin
@pytest.mark.parametrize("name", LOSSES)
def test_each_argument_of_a_loss_that_requires_grad_gets_one_or_is_refused(torch, rng, name):
    arguments, options = LOSSES[name]
    loss, found = getattr(torch.nn.functional, name), {}
    for wanted in arguments:
        shapes = {argument: (4,) if (name, argument) == ("cross_entropy", "weight") else (3, 4) for argument in arguments}
        given = {argument: rng(*shape).sigmoid().detach() for argument, shape in shapes.items()}
        given[wanted].requires_grad_()
        found[wanted] = message(lambda given=given: loss(**given, **options).backward()), given[wanted].grad
    return found


# ------------------------------------------------------------------------------------------------ classes


@twin
def test_tensors_are_of_subclasses_only(torch, rng):
    kinds = (int, object, 3, None, "Tensor", torch.nn.Module, torch.Tensor, torch.nn.Parameter)
    made = [raised(lambda kind=kind: rng(2).as_subclass(kind)) for kind in kinds]
    return made, [raised(lambda kind=kind: torch.Tensor._make_subclass(kind, rng(2))) for kind in kinds]


@twin
def test_hooks_that_take_the_module_keep_their_names(torch, rng):
    def load_gently(*args):
        "Nothing."

    layer = torch.nn.Linear(2, 2)
    layer._register_load_state_dict_pre_hook(load_gently, with_module=True)
    (kept,) = layer._load_state_dict_pre_hooks.values()
    return kept.__name__, kept.__doc__, kept.__wrapped__ is load_gently


@twin
@pytest.mark.parametrize(
    "name", ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "ASGD", "Rprop"]
)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_state_has_the_type_of_the_parameter(torch, rng, name, dtype):
    p = torch.nn.Parameter(torch.ones(3, dtype=getattr(torch, dtype)))
    options = {"SGD": {"momentum": 0.9}, "RMSprop": {"momentum": 0.9, "centered": True}, "Adam": {"amsgrad": True}}.get(name, {})
    optimizer = getattr(torch.optim, name)([p], lr=0.1, **options)
    found = []
    for _ in range(3):
        p.grad = torch.full_like(p, 0.5)
        optimizer.step()
        state = {key: value for key, value in sorted(optimizer.state[p].items()) if isinstance(value, torch.Tensor)}
        found.append({key: (str(value.dtype), tuple(value.shape)) for key, value in state.items()})
    return found


# ------------------------------------------------------------------------------------------------ derivatives

CURVES = {
    "input": lambda t, x: (x**3).sum(),
    "result": lambda t, x: (x.exp() + x.tanh()).sum(),
    "both": lambda t, x: (x.sin() * x.exp()).sum(),
    "a list": lambda t, x: t.cat([x * x, x.sigmoid()]).prod(),
    "matrices": lambda t, x: (x[:, None] * x @ x).softmax(0)[0],
}


@twin
@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("pack", ["kept", "copied"])
def test_what_hooks_have_packed_has_its_tangent(torch, rng, name, pack):
    ad = torch.autograd.forward_ad
    packs = {"kept": lambda x: x, "copied": lambda x: x.detach().clone()}
    with warnings.catch_warnings(), ad.dual_level():
        warnings.simplefilter("ignore")  # torch's compiler
        x = ad.make_dual(rng(3, grad=True), rng(3))
        with torch.autograd.graph.saved_tensors_hooks(packs[pack], lambda x: x):
            y = CURVES[name](torch, x)
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        return ad.unpack_dual(y).tangent, g.detach(), ad.unpack_dual(g).tangent


# ------------------------------------------------------------------------------------------------ guidance


def test_a_wrong_keyword_is_guessed_with_subclasses_too():
    class Own(mini_dl.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return super().__torch_function__(func, types, args, kwargs or {})

    own = mini_dl.ones(2).as_subclass(Own)
    for x in (mini_dl.ones(2), own):
        with pytest.raises(TypeError, match="Did you mean: 'alpha'"):
            mini_dl.add(x, x, alpa=2)


WARNED = {
    "imaginary parts": lambda t, x: (x + 1j).to(t.float32),
    "imaginary parts copied": lambda t, x: t.zeros(2, 3).copy_(x + 1j),
    "a tensor of a tensor": lambda t, x: t.tensor(x),
    "another shape": lambda t, x: t.nn.functional.mse_loss(x, x[:1]),
    "another shape of a result": lambda t, x: t.add(x, x, out=t.zeros(1)),
    "upsample": lambda t, x: t.nn.functional.upsample(x[None], 2),
    "too few observations": lambda t, x: t.cov(x[:, :1]),
    "one degree of freedom": lambda t, x: x[:, :1].var(1),
    "meshgrid": lambda t, x: t.meshgrid(x[0], x[0]),
    "bytes as an index": lambda t, x: x[t.tensor([1, 0], dtype=t.uint8)],
    "softmax without a dimension": lambda t, x: t.nn.functional.softmax(x),
    "cross without a dimension": lambda t, x: t.cross(x, x),
    "the size of an average": lambda t, x: t.nn.functional.l1_loss(x, x, size_average=True),
    "dropout of a dimension": lambda t, x: t.nn.functional.dropout2d(x),
    "numbers before tensors": lambda t, x: t.add(x, 2, x),
    "the transposed of three dimensions": lambda t, x: x[None].T,
}


@pytest.mark.parametrize("name", WARNED)
def test_a_warning_points_to_the_line_of_the_caller(name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        WARNED[name](mini_dl, mini_dl.arange(6.0).reshape(2, 3))
    assert caught and {one.filename for one in caught} == {__file__}
