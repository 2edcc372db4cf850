"""nn.utils under both libraries: parametrizations, spectral norm, pruning, fusion, functional calls."""

from __future__ import annotations

import copy
import functools
import pickle

import pytest
import torch.nn.utils.prune  # noqa: F401  (torch does not import it by itself)

from parity_tests.twin import message, raised, twin


def trained(torch, rng, module, *shape, steps=2):
    """The state and behavior of `module` after some steps of SGD."""
    optimizer, outputs = torch.optim.SGD(module.parameters(), lr=0.1), []
    for _ in range(steps):
        out = module(rng(*shape, dtype=str(next(module.parameters()).dtype).removeprefix("torch.")))
        (out * rng(*out.shape)).sum().backward()
        outputs.append((out, {name: p.grad for name, p in module.named_parameters()}))
        optimizer.step()
        optimizer.zero_grad()
    return repr(module), outputs, module.state_dict()


def members(module):
    kinds = ("named_parameters", "named_buffers", "named_modules", "named_children")
    return [[name for name, _ in getattr(module, kind)()] for kind in kinds]


# ------------------------------------------------------------------------------------------------ parametrize


def parts(torch):
    nn = torch.nn

    class Symmetric(nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

        def right_inverse(self, x):
            return x.triu()

    class Exp(nn.Module):
        calls = 0

        def forward(self, x):
            Exp.calls += 1
            return x.exp()

        def right_inverse(self, x):
            return x.log()

    class Half(nn.Module):
        def forward(self, x):
            return x * 0.5

    class Outer(nn.Module):
        def forward(self, a, b):
            return a.unsqueeze(-1) @ b.unsqueeze(-2)

        def right_inverse(self, x):
            return x[:, 0].clone(), x[0].clone()

    return Symmetric, Exp, Half, Outer


@twin
def test_a_parametrized_weight_is_trained(torch, rng):
    P = torch.nn.utils.parametrize
    Symmetric, _, Half, _ = parts(torch)
    m = P.register_parametrization(torch.nn.Linear(3, 3), "weight", Symmetric())
    before = m.weight, m.parametrizations.weight.original, type(m).__name__, members(m)
    P.register_parametrization(m, "weight", Half())
    P.register_parametrization(m, "bias", Half())
    flags = P.is_parametrized(m), P.is_parametrized(m, "weight"), P.is_parametrized(m, "nothing")
    result = trained(torch, rng, m, 2, 3)
    return before, flags, result, members(m), P.type_before_parametrizations(m).__name__


@twin
def test_assigning_asks_the_inverse(torch, rng):
    P = torch.nn.utils.parametrize
    Symmetric, Exp, Half, Outer = parts(torch)
    m = torch.nn.Linear(3, 3)
    original = m.weight
    P.register_parametrization(m, "weight", Symmetric())
    m.weight = rng(3, 3)
    first = m.weight, m.parametrizations.weight.original, m.parametrizations.weight.original is original
    m = P.register_parametrization(torch.nn.Linear(3, 3), "weight", Outer(), unsafe=True)
    m.weight = rng(3, 3)
    second = m.weight, m.state_dict(), m.parametrizations.weight.is_tensor, m.parametrizations.weight.ntensors
    m.bias.data.abs_()
    P.register_parametrization(m, "bias", Exp())
    m.bias = rng(3).abs()
    n = P.register_parametrization(torch.nn.Linear(3, 3), "weight", Half())
    return first, second, m.bias, message(lambda: setattr(n, "weight", rng(3, 3)))[0]


@twin
def test_removing_parametrizations(torch, rng):
    P = torch.nn.utils.parametrize
    Symmetric, _, Half, Outer = parts(torch)
    results = []
    for leave in (True, False):
        m = torch.nn.Linear(3, 3)
        weight = m.weight
        P.register_parametrization(m, "weight", Symmetric())
        P.register_parametrization(m, "weight", Half())
        P.register_parametrization(m, "bias", Half())
        P.remove_parametrizations(m, "weight", leave_parametrized=leave)
        results += [repr(m), members(m), m.weight, m.weight is weight]
        P.remove_parametrizations(m, "bias", leave_parametrized=leave)
        results += [repr(m), members(m), m.bias, m.bias.requires_grad, trained(torch, rng, m, 2, 3)]
    m = P.register_parametrization(torch.nn.Linear(3, 3), "weight", Outer())
    bad = message(lambda: P.remove_parametrizations(m, "weight", leave_parametrized=False))
    P.remove_parametrizations(m, "weight")
    return results, bad, repr(m), members(m), m.weight


@twin
def test_within_cached_a_tensor_is_computed_once(torch, rng):
    P = torch.nn.utils.parametrize
    _, Exp, _, _ = parts(torch)
    m = P.register_parametrization(torch.nn.Linear(3, 3), "weight", Exp(), unsafe=True)
    calls = [Exp.calls]
    with P.cached():
        out = m(m(rng(2, 3)))
        calls.append(Exp.calls)
        with P.cached():
            same = m.weight is m.weight
    m(rng(2, 3))
    calls.append(Exp.calls)
    (out * rng(2, 3)).sum().backward()
    return calls, same, out, m.parametrizations.weight.original.grad


@twin
def test_copies_of_parametrized_modules(torch, rng):
    P = torch.nn.utils.parametrize
    Symmetric = parts(torch)[0]
    m = torch.nn.Sequential(P.register_parametrization(torch.nn.Linear(3, 3), "weight", Symmetric()), torch.nn.Tanh())
    n = copy.deepcopy(m)
    n[0].weight = rng(3, 3)
    to = torch.nn.Linear(3, 3)
    P.transfer_parametrizations_and_params(m[0], to)
    bare = P.transfer_parametrizations_and_params(m[0], torch.nn.Identity(), "weight")
    shared = to.parametrizations.weight.original is m[0].parametrizations.weight.original
    unchanged = P.transfer_parametrizations_and_params(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1))
    return m[0].weight, n[0].weight, repr(n), message(lambda: pickle.dumps(m))[0], to.weight, shared, repr(bare), repr(unchanged)


@twin
def test_state_of_a_parametrized_module(torch, rng):
    P = torch.nn.utils.parametrize
    Symmetric, _, Half, _ = parts(torch)

    def make():
        m = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
        P.register_parametrization(m[0], "weight", Symmetric())
        P.register_parametrization(m[1], "running_mean", Half())
        return m

    a, b = make(), make()
    b.load_state_dict(a.state_dict())
    b.eval()
    double = make().double()
    flags = [part.training for part in b.modules()]
    return (
        list(a.state_dict()),
        b.state_dict(),
        flags,
        double[0].weight,
        b(rng(2, 3)),
        a(rng(2, 3)),
        message(lambda: a.load_state_dict({})),
    )


@twin
def test_what_a_parametrization_may_not_do(torch, rng):
    P, nn = torch.nn.utils.parametrize, torch.nn

    def part(forward, inverse=None):
        class Part(nn.Module):
            def forward(self, *args):
                return forward(*args)

        if inverse is not None:
            Part.right_inverse = lambda self, x: inverse(x)
        return Part()

    def unsupported(x):
        raise NotImplementedError

    outcomes = []
    for forward, inverse in (
        (lambda x: x[0], None),
        (lambda x: x.double(), None),
        (lambda x: 3, None),
        (lambda x: x, lambda x: x.double()),
        (lambda x: x, lambda x: 3),
        (lambda x: x, lambda x: (x, 3)),
        (lambda x: x, lambda x: x[0]),
        (lambda x: x, unsupported),
        (lambda x, y: x + y, lambda x: (x, x * 0)),
        (lambda x, y: x + y, lambda x: [x, x[0]]),
    ):
        for before in (None, lambda x: x * 2):
            for unsafe in (False, True):
                m = nn.Linear(3, 3)
                if before is not None:
                    P.register_parametrization(m, "weight", part(before))
                register = functools.partial(P.register_parametrization, m, "weight", part(forward, inverse), unsafe=unsafe)
                outcomes.append(raised(register))
                outcomes.append(members(m))
    linear = nn.Linear(3, 3)
    outcomes.append(message(lambda: P.register_parametrization(linear, "nothing", nn.Identity())))
    outcomes.append(message(lambda: P.remove_parametrizations(linear, "weight")))
    outcomes.append(message(lambda: P.ParametrizationList([], linear.weight)))
    return outcomes


@twin
def test_parametrized_recurrent_weights(torch, rng):
    P = torch.nn.utils.parametrize
    _, _, Half, _ = parts(torch)
    m = torch.nn.LSTMCell(3, 3)
    P.register_parametrization(m, "weight_hh", Half())
    torch.nn.utils.parametrizations.orthogonal(m, "weight_ih")
    with P.cached():
        h, c = m(rng(2, 3))
        h, c = m(rng(2, 3), (h, c))
    (h * rng(2, 3)).sum().backward()
    return h, c, {name: p.grad for name, p in m.named_parameters()}


# ------------------------------------------------------------------------------------------------ parametrizations


@pytest.mark.parametrize("trivial", (True, False))
@pytest.mark.parametrize("kind", (None, "matrix_exp", "cayley", "householder"))
@pytest.mark.parametrize("shape", ((4, 4), (5, 3), (3, 5)))
@twin
def test_orthogonal(torch, rng, shape, kind, trivial):
    m = torch.nn.Linear(*shape)
    m.double()
    m.weight.data = rng(*m.weight.shape, dtype="float64")
    torch.nn.utils.parametrizations.orthogonal(m, orthogonal_map=kind, use_trivialization=trivial)
    if shape[0] == shape[1] or not trivial:  # else random columns complete the base
        first = m.weight, m.state_dict()
    else:
        first = m.weight, list(m.state_dict())
    assigned = message(lambda: setattr(m, "weight", rng(*m.weight.shape, dtype="float64")))
    return first, trained(torch, rng, m, 2, shape[0]), assigned if assigned == "nothing" else assigned[0], m.weight


@twin
def test_orthogonal_of_batches_and_bad_tensors(torch, rng):
    orthogonal, results = torch.nn.utils.parametrizations.orthogonal, []
    for shape in ((2, 3, 3), (2, 4, 3), (2, 3, 4)):
        m = torch.nn.Module()
        m.weight = torch.nn.Parameter(rng(*shape, dtype="float64"))
        orthogonal(m)
        w = m.weight
        results += [w, torch.autograd.grad((w * rng(*shape, dtype="float64")).sum(), list(m.parameters()))]
    m = torch.nn.Module()
    m.weight = torch.nn.Parameter(rng(3, 3, dtype="complex128"))
    bad = message(lambda: orthogonal(m, orthogonal_map="householder"))
    orthogonal(m)
    results += [m.weight, bad]
    linear = torch.nn.Linear(3, 2)
    results += [message(lambda: orthogonal(linear, "bias")), message(lambda: orthogonal(linear, "nothing"))]
    results += [message(lambda: orthogonal(linear, orthogonal_map="qr"))]
    orthogonal(linear)
    results += [message(lambda: setattr(linear, "weight", rng(3, 3)))]
    return results


@pytest.mark.parametrize("dim", (0, 1, -1, None))
@twin
def test_the_new_weight_norm(torch, rng, dim):
    weight_norm = torch.nn.utils.parametrizations.weight_norm
    m = weight_norm(torch.nn.Conv2d(2, 3, 3), dim=dim)
    first = m.weight, members(m)
    result = trained(torch, rng, m, 2, 2, 4, 4)
    old = {name.replace("parametrizations.weight.original0", "weight_g"): value for name, value in m.state_dict().items()}
    old = {name.replace("parametrizations.weight.original1", "weight_v"): value for name, value in old.items()}
    n = weight_norm(torch.nn.Conv2d(2, 3, 3), dim=dim)
    loaded = str(n.load_state_dict(old))
    m.weight = rng(3, 2, 3, 3)
    second = m.weight, m.state_dict()
    torch.nn.utils.parametrize.remove_parametrizations(m, "weight")
    return first, result, loaded, n.weight, second, repr(m), members(m), m.weight


def layers(torch):
    nn = torch.nn
    return {
        "linear": (lambda: nn.Linear(4, 3), (2, 4)),
        "conv": (lambda: nn.Conv1d(2, 3, 2), (2, 2, 5)),
        "transposed": (lambda: nn.ConvTranspose2d(2, 3, 2), (2, 2, 3, 3)),
    }


OPTIONS = ({}, {"n_power_iterations": 3}, {"dim": 1}, {"eps": 1e-3})


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", ("linear", "conv", "transposed"))
@twin
def test_the_new_spectral_norm(torch, rng, kind, options):
    make, shape = layers(torch)[kind]
    m = torch.nn.utils.parametrizations.spectral_norm(make().double(), **options)  # the steps amplify rounding
    start = m.state_dict(), members(m)
    result = trained(torch, rng, m, *shape)
    m.eval()
    out = m(rng(*shape, dtype="float64"))
    m.weight = rng(*m.weight.shape, dtype="float64")
    second = m.weight, m.state_dict()
    torch.nn.utils.parametrize.remove_parametrizations(m, "weight")
    return start, result, out, second, repr(m), m.weight


@twin
def test_spectral_norm_of_vectors_and_mistakes(torch, rng):
    spectral_norm, nn = torch.nn.utils.parametrizations.spectral_norm, torch.nn
    m = spectral_norm(nn.Linear(3, 2), "bias")
    bad = [lambda: spectral_norm(nn.Linear(3, 2), n_power_iterations=0), lambda: spectral_norm(nn.Linear(3, 2), dim=2)]
    bad += [lambda: spectral_norm(nn.Linear(3, 2), "nothing"), lambda: spectral_norm(nn.Identity())]
    return repr(m), m.bias, m.state_dict(), [message(one) for one in bad]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", ("linear", "conv", "transposed"))
@twin
def test_the_old_spectral_norm(torch, rng, kind, options):
    utils = torch.nn.utils
    make, shape = layers(torch)[kind]
    m = utils.spectral_norm(make(), **options)
    start = m.state_dict(), members(m), type(m.weight) is torch.nn.Parameter
    result = trained(torch, rng, m, *shape)
    state = m.state_dict()
    n = utils.spectral_norm(make(), **options)
    loaded = str(n.load_state_dict(state)), n.eval()(rng(*shape)), state._metadata
    utils.remove_spectral_norm(m)
    hooks = [len(hooks) for hooks in (m._forward_pre_hooks, m._state_dict_hooks)]  # torch forgets one that loads
    return start, result, loaded, repr(m), members(m), m.weight, hooks


@twin
def test_a_state_from_before_the_right_vector_was_saved(torch, rng):
    m = torch.nn.utils.spectral_norm(torch.nn.Linear(2, 5).double())
    state = m.state_dict()
    without = {name: state[name] for name in ("bias", "weight_orig", "weight_u", "weight_v")}
    pretended = str(m.load_state_dict(without))
    old = {**without, "weight": state["weight_orig"] / 2}
    del old["weight_v"]
    m.load_state_dict(old)
    return pretended, m.state_dict(), raised(lambda: m.load_state_dict({"bias": state["bias"]}))


@twin
def test_mistakes_with_the_old_spectral_norm(torch, rng):
    utils, nn = torch.nn.utils, torch.nn
    m = utils.spectral_norm(nn.Linear(3, 2))
    bad = [
        lambda: utils.spectral_norm(m),
        lambda: utils.spectral_norm(nn.Linear(3, 2), n_power_iterations=0),
        lambda: utils.spectral_norm(nn.Linear(3, 2, bias=False), "bias"),
        lambda: utils.spectral_norm(nn.LazyLinear(2)),
        lambda: utils.remove_spectral_norm(nn.Linear(3, 2)),
        lambda: utils.remove_spectral_norm(m, "bias"),
    ]
    return [message(one) for one in bad]


# ------------------------------------------------------------------------------------------------ prune


def pruned(torch, rng, prune):
    m = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.Flatten(), torch.nn.Linear(16, 3))
    prune(m)
    return trained(torch, rng, m, 2, 2, 4, 4), members(m), [type(h).__name__ for h in m[0]._forward_pre_hooks.values()]


PRUNINGS = {
    "identity": lambda p, m, rng: p.identity(m, "weight"),
    "random": lambda p, m, rng: p.random_unstructured(m, "weight", 0.3),
    "random 5": lambda p, m, rng: p.random_unstructured(m, "weight", 5),
    "l1": lambda p, m, rng: p.l1_unstructured(m, "weight", 0.5),
    "l1 bias": lambda p, m, rng: p.l1_unstructured(m, "bias", 2),
    "l1 scores": lambda p, m, rng: p.l1_unstructured(m, "weight", 7, importance_scores=rng(*m.weight.shape)),
    "random structured": lambda p, m, rng: p.random_structured(m, "weight", 0.5, 0),
    "random structured 1": lambda p, m, rng: p.random_structured(m, "weight", 1, -3),
    "l2 structured": lambda p, m, rng: p.ln_structured(m, "weight", 2, 2, 0),
    "l1 structured": lambda p, m, rng: p.ln_structured(m, "weight", 0.5, 1, -3),
    "linf structured": lambda p, m, rng: p.ln_structured(m, "weight", 1, float("inf"), 2),
    "structured scores": lambda p, m, rng: p.ln_structured(m, "weight", 1, 2, 1, importance_scores=rng(*m.weight.shape)),
    "custom": lambda p, m, rng: p.custom_from_mask(m, "weight", rng(*m.weight.shape, dtype="bool")),
    "none": lambda p, m, rng: p.ln_structured(m, "weight", 0, 2, 0),
}


@pytest.mark.parametrize("first", PRUNINGS)
@twin
def test_pruning(torch, rng, first):
    prune = torch.nn.utils.prune
    return pruned(torch, rng, lambda m: PRUNINGS[first](prune, m[0], rng))


@pytest.mark.parametrize("second", PRUNINGS)
@pytest.mark.parametrize("first", ("l1", "l2 structured", "custom"))
@twin
def test_pruning_again(torch, rng, first, second):
    prune = torch.nn.utils.prune

    def both(m):
        PRUNINGS[first](prune, m[0], rng)
        PRUNINGS[second](prune, m[0], rng)

    return pruned(torch, rng, both)


@twin
def test_global_pruning_and_its_removal(torch, rng):
    prune = torch.nn.utils.prune
    m = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    pairs = [(m[0], "weight"), (m[2], "weight"), (m[2], "bias")]
    before = prune.is_pruned(m)
    prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=8)
    first = m.state_dict()
    prune.global_unstructured(pairs, prune.RandomUnstructured, {(m[0], "weight"): rng(3, 4)}, amount=0.25)
    result = trained(torch, rng, m, 2, 4)
    flags = before, prune.is_pruned(m), len(next(iter(m[0]._forward_pre_hooks.values())))
    copied = raised(lambda: copy.deepcopy(m))
    for module, name in pairs:
        prune.remove(module, name)
    return first, result, flags, members(m), m.state_dict(), prune.is_pruned(m), copied, m(rng(2, 4))


@twin
def test_pruning_of_a_tensor(torch, rng):
    prune = torch.nn.utils.prune
    t, scores = rng(3, 4), rng(3, 4)
    methods = [prune.L1Unstructured(4), prune.LnStructured(1, n=2), prune.RandomStructured(0.5, dim=0), prune.Identity()]
    results = [method.prune(t) for method in methods]
    results += [method.prune(t, importance_scores=scores) for method in methods]
    return results, prune.L1Unstructured(2).prune(t, default_mask=(t > 0).float())


@twin
def test_mistakes_in_pruning(torch, rng):
    prune, nn = torch.nn.utils.prune, torch.nn
    m = nn.Linear(4, 3)

    class Odd(prune.BasePruningMethod):
        PRUNING_TYPE = "odd"

        def compute_mask(self, t, default_mask):
            return default_mask

    class NoDim(Odd):
        PRUNING_TYPE = "structured"

    def twice(kind):
        n = nn.Linear(4, 3)
        prune.identity(n, "weight")
        kind.apply(n, "weight")

    bad = [
        lambda: prune.l1_unstructured(m, "weight", "a"),
        lambda: prune.l1_unstructured(m, "weight", 1.5),
        lambda: prune.l1_unstructured(m, "weight", -0.5),
        lambda: prune.l1_unstructured(m, "weight", -1),
        lambda: prune.l1_unstructured(m, "weight", 13),
        lambda: prune.l1_unstructured(m, "nothing", 1),
        lambda: prune.l1_unstructured(m, "weight", 1, importance_scores=rng(2)),
        lambda: prune.ln_structured(m, "bias", 1, 2, 0),
        lambda: prune.ln_structured(m, "weight", 1, 2, 2),
        lambda: prune.ln_structured(m, "weight", 4, 2, 0),
        lambda: prune.random_structured(m, "bias", 1, 0),
        lambda: prune.custom_from_mask(m, "weight", rng(2)),
        lambda: prune.remove(m, "weight"),
        lambda: prune.global_unstructured(3, prune.L1Unstructured, amount=1),
        lambda: prune.global_unstructured([(m, "weight")], prune.L1Unstructured, [], amount=1),
        lambda: prune.global_unstructured([(m, "weight")], prune.LnStructured, amount=1, n=2),
        lambda: prune.BasePruningMethod(),
        lambda: prune.L1Unstructured(2).prune(rng(3), importance_scores=rng(2)),
        lambda: twice(Odd),
        lambda: twice(NoDim),
        lambda: prune.PruningContainer().add_pruning_method(3),
    ]
    return [message(one)[0] for one in bad], members(m), repr(m)


# ------------------------------------------------------------------------------------------------ fusion and the rest


@pytest.mark.parametrize("affine", (True, False))
@pytest.mark.parametrize("bias", (True, False))
@pytest.mark.parametrize("kind", ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d", "Linear"))
@twin
def test_fusing_batch_norm_into_the_layer_before(torch, rng, kind, bias, affine):
    utils, nn = torch.nn.utils, torch.nn
    n = int(kind[-2]) if kind != "Linear" else 0
    layer = getattr(nn, kind)(3, 4, *([2] if n else []), bias=bias)
    norm = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[n](4, affine=affine)
    norm(layer(rng(5, 3, *[4] * n)))
    layer.eval(), norm.eval()
    if n:
        fused = utils.fuse_conv_bn_eval(layer, norm, transpose="Transpose" in kind)
    elif not affine:
        return message(lambda: utils.fuse_linear_bn_eval(layer, norm))[0]
    else:
        fused = utils.fuse_linear_bn_eval(layer, norm)
    return repr(fused), fused.state_dict(), fused(rng(2, 3, *[4] * n)), [p.requires_grad for p in fused.parameters()]


@twin
def test_what_cannot_be_fused(torch, rng):
    utils, nn = torch.nn.utils, torch.nn
    bad = [
        lambda: utils.fuse_conv_bn_eval(nn.Conv1d(1, 2, 1), nn.BatchNorm1d(2)),
        lambda: utils.fuse_linear_bn_eval(nn.Linear(1, 2), nn.BatchNorm1d(2)),
        lambda: utils.fuse_linear_bn_eval(nn.Linear(1, 2).eval(), nn.BatchNorm1d(3).eval()),
        lambda: utils.fuse_conv_bn_eval(nn.Conv1d(1, 2, 1).eval(), nn.BatchNorm1d(2, track_running_stats=False).eval()),
    ]
    one = utils.fuse_linear_bn_eval(nn.Linear(1, 2).eval(), nn.BatchNorm1d(1).eval())
    return [message(action) for action in bad], one.state_dict()


@twin
def test_skip_init_draws_nothing(torch, rng):
    utils, nn = torch.nn.utils, torch.nn
    m = utils.skip_init(nn.Linear, 3, 2, bias=False)
    bad = [lambda: utils.skip_init(nn.ReLU), lambda: utils.skip_init(int), lambda: utils.skip_init(nn.Linear, 3)]
    return repr(m), list(m.state_dict()), torch.rand(2), [message(one)[0] for one in bad]


@twin
def test_memory_formats_of_weights(torch, rng):
    utils, nn = torch.nn.utils, torch.nn
    m = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Conv3d(2, 3, 2), nn.ConvTranspose2d(2, 3, 2))
    utils.convert_conv2d_weight_memory_format(m, torch.channels_last)
    utils.convert_conv3d_weight_memory_format(m, torch.channels_last_3d)
    return [(layer.weight, layer.weight.stride()) for layer in m]


# ------------------------------------------------------------------------------------------------ functional_call


def tied(torch):
    nn = torch.nn

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3, bias=False)
            self.b = nn.Linear(3, 3)
            self.b.weight = self.a.weight
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x, *, scale=1.0):
            self.count = self.count + 1
            return self.b(self.a(x)) * scale + self.count

    return Tied()


@twin
def test_a_module_called_with_other_tensors(torch, rng):
    call, m = torch.func.functional_call, tied(torch)
    w = rng(3, 3, grad=True)
    given = {"a.weight": w, "count": torch.tensor(10.0)}
    out = call(m, given, rng(2, 3), {"scale": 2.0})
    (out * rng(2, 3)).sum().backward()
    untied = call(m, {"a.weight": w}, (rng(2, 3),), tie_weights=False)
    two = call(m, ({"a.weight": w}, {"count": torch.tensor(5.0)}), rng(2, 3))
    strict = call(m, {"a.weight": w, "b.bias": rng(3), "count": torch.tensor(0.0)}, rng(2, 3), strict=True)
    return out, w.grad, m.a.weight.grad, given["count"], m.count, untied, two, strict, m.state_dict(), m.b.weight is m.a.weight


@twin
def test_mistakes_in_functional_calls(torch, rng):
    call, m, x = torch.func.functional_call, tied(torch), rng(2, 3)
    bad = [
        lambda: call(m, {"a.weight": rng(3, 3), "b.weight": rng(3, 3)}, x),
        lambda: call(m, {"a.weight": rng(3, 3)}, x, strict=True),
        lambda: call(m, {"a.weight": rng(3, 3), "more": rng(1)}, x, strict=True),
        lambda: call(m, {"nothing.weight": rng(3, 3)}, x),
        lambda: call(m, {"forward.weight": rng(3, 3)}, x),
        lambda: call(m, {"training": rng(3, 3)}, x),
        lambda: call(m, {"a.weight": 3}, x),
        lambda: call(m, {"": rng(1)}, x),
        lambda: call(m, {"a.weight": rng(2, 2)}, x),
        lambda: call(m, ({"a.weight": rng(3, 3)}, {"a.weight": rng(3, 3)}), x),
        lambda: call(m, ({"a.weight": rng(3, 3)}, 3), x),
        lambda: call(m, 3, x),
    ]
    return (
        [message(one)[0] for one in bad],
        list(m.state_dict()),
        m.state_dict(),
        sorted(vars(m).keys() - {"_compiled_call_impl"}),
    )


@twin
def test_functional_call_and_parametrizations(torch, rng):
    call, P = torch.func.functional_call, torch.nn.utils.parametrize
    Symmetric, _, _, _ = parts(torch)
    m = P.register_parametrization(torch.nn.Linear(3, 3), "weight", Symmetric())
    x, w = rng(2, 3), rng(3, 3)
    through = call(m, {"parametrizations.weight.original": w}, x)
    old = torch.nn.utils.stateless.functional_call(m, {"bias": rng(3)}, x)
    return through, old, m(x), m.state_dict()


@twin
def test_states_of_several_modules_stacked(torch, rng):
    stack, nn = torch.func.stack_module_state, torch.nn
    params, buffers = stack([nn.BatchNorm1d(3) for _ in range(2)])
    frozen = nn.Linear(1, 1).requires_grad_(False)
    bad = [
        lambda: stack([]),
        lambda: stack([nn.Linear(1, 1), nn.Linear(1, 1).eval()]),
        lambda: stack([nn.Linear(1, 1), nn.Identity()]),
        lambda: stack([nn.Linear(1, 1), frozen]),
    ]
    return params, buffers, [p.is_leaf for p in params.values()], [message(one) for one in bad]


@twin
def test_what_is_not_a_packed_sequence_a_permutation_or_a_kind_of_device_is_refused_alike(torch, rng):
    from_rnn = torch.nn.utils.rnn
    bad = [
        lambda: from_rnn.PackedSequence(rng(2)),
        lambda: from_rnn.PackedSequence([rng(2)]),
        lambda: from_rnn.invert_permutation(3),
        lambda: from_rnn.unpad_sequence(rng(2, 1), torch.tensor([1, 1])),
        lambda: from_rnn.unpad_sequence(rng(2, 3), torch.tensor([1, 1])),
        lambda: torch.amp.is_autocast_available(3),
        lambda: torch.is_autocast_enabled(3),
    ]
    return [raised(one) for one in bad]
