"""Modules, their hooks and state, initializers and nn.utils, under both libraries, including messages."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections import OrderedDict

import pytest

from parity_tests.twin import either, message, outcome, raised, twin


def network(torch):
    nn = torch.nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(3, 4)
            self.register_buffer("scale", torch.full((4,), 2.0))
            self.register_buffer("scratch", torch.zeros(2), persistent=False)
            self.rest = nn.Sequential(OrderedDict([("act", nn.Tanh()), ("out", nn.Linear(4, 2, bias=False))]))
            self.shift = nn.Parameter(torch.zeros(1))

        def forward(self, input):
            return self.rest(self.first(input) * self.scale) + self.shift

    return Network()


# ------------------------------------------------------------------------------------------------ registration


@twin
def test_names_members_and_repr(torch, rng):
    m = network(torch)
    m.again = m.first
    members = [
        [name for name, _ in getattr(m, kind)()]
        for kind in ("named_parameters", "named_buffers", "named_modules", "named_children")
    ]
    doubled = [name for name, _ in m.named_parameters(remove_duplicate=False)]
    return repr(m), members, doubled, list(m.state_dict()), [n for n, _ in m.named_parameters("top", recurse=False)]


@twin
def test_what_may_be_assigned(torch, rng):
    m, nn = network(torch), torch.nn
    bad = [
        lambda: setattr(m, "shift", 3),
        lambda: setattr(m, "shift", torch.zeros(1)),
        lambda: setattr(m, "first", torch.zeros(1)),
        lambda: setattr(m, "scale", "text"),
        lambda: m.missing,
        lambda: delattr(m, "missing"),
        lambda: m.register_parameter("a.b", None),
        lambda: m.register_parameter("", None),
        lambda: m.register_parameter(3, None),
        lambda: m.register_parameter("training", None),
        lambda: m.register_parameter("p", torch.zeros(1)),
        lambda: m.register_buffer("training", None),
        lambda: m.register_buffer("b", 3),
        lambda: m.register_buffer("a.b", None),
        lambda: m.add_module("x", 3),
        lambda: m.add_module(3, nn.Identity()),
        lambda: m.add_module("a.b", nn.Identity()),
        lambda: m.add_module("training", nn.Identity()),
        lambda: m.get_submodule("rest.nothing"),
        lambda: m.get_submodule("rest.out.weight"),
        lambda: m.get_parameter("rest.out.nothing"),
        lambda: m.get_parameter("scale"),
        lambda: m.get_buffer("shift"),
        lambda: m.set_submodule("", nn.Identity()),
        lambda: m.set_submodule("new", nn.Identity(), strict=True),
        lambda: m.train("yes"),
        lambda: m.to(torch.int64),
        lambda: nn.Module()(1),
        lambda: nn.Module(3),
        lambda: nn.Module(a=3),
    ]
    return [message(one) for one in bad]


@twin
def test_assigning_moves_a_name_between_the_kinds(torch, rng):
    m = network(torch)
    m.shift = None
    first = [n for n, _ in m.named_parameters()], m.shift
    m.scale = torch.nn.Parameter(torch.ones(4))
    second = [n for n, _ in m.named_parameters()], [n for n, _ in m.named_buffers()]
    m.plain = 3
    m.plain = torch.nn.Identity()
    m.buffer = torch.nn.Buffer(torch.ones(1), persistent=False)
    del m.first
    return first, second, list(m.state_dict()), [n for n, _ in m.named_modules()], "plain" in dir(m), hasattr(m, "first")


@twin
def test_members_before_init(torch, rng):
    class Early(torch.nn.Module):
        def __init__(self, what):
            self.member = what

    things = (torch.nn.Parameter(torch.zeros(1)), torch.nn.Identity(), torch.nn.Buffer(torch.zeros(1)), 3)
    return [message(lambda thing=thing: Early(thing)) for thing in things]


# ------------------------------------------------------------------------------------------------ containers


@twin
def test_sequential_is_a_list(torch, rng):
    nn = torch.nn
    s = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    s.append(nn.Tanh()).insert(1, nn.Identity())
    s.extend([nn.ReLU(inplace=True)])
    del s[2]
    popped = s.pop(0)
    s[0] = nn.ELU(0.5)
    more = s + nn.Sequential(nn.GELU())
    more *= 2
    errors = [message(lambda: s[9]), raised(lambda: s + 3), raised(lambda: s * 0), raised(lambda: s * "a")]
    errors += [raised(lambda: s.insert(9, nn.ReLU())), message(lambda: nn.Sequential(3))]
    return repr(s), repr(popped), repr(s[1:]), repr(more), len(more), repr(s[-1]), errors


@twin
def test_lists_and_dictionaries_of_modules(torch, rng):
    nn = torch.nn
    layers = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Linear(2, 2), nn.Linear(2, 2), nn.Tanh()])
    layers.insert(1, nn.Sequential(nn.ReLU()))
    layers += [nn.Identity()]
    del layers[-1]
    named = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(1, 1)})
    named.update([("c", nn.Tanh())])
    named.pop("a")
    errors = [
        message(lambda: layers[9]),
        message(lambda: layers.extend(3)),
        message(lambda: named["z"]),
        message(lambda: named.update(3)),
        message(lambda: named.update([3])),
        message(lambda: named.update([("a",)])),
        raised(lambda: layers(1)),
    ]
    return repr(layers), repr(layers[1:3]), repr(layers + [nn.GELU()]), repr(named), list(named), "b" in named, errors


@twin
def test_lists_and_dictionaries_of_parameters(torch, rng):
    nn = torch.nn
    values = nn.ParameterList([torch.ones(2), "text", rng(2, 3)])
    values.append(torch.zeros(1))
    values[0] = torch.ones(4)
    named = nn.ParameterDict({"b": torch.ones(1, 2), "a": torch.zeros(3)})
    named["c"] = 3
    both = named | nn.ParameterDict({"d": torch.ones(1)})
    errors = [message(lambda: named[3]), message(lambda: values(1)), message(lambda: named(1)), message(lambda: values[9])]
    popped = named.popitem()
    listed = [n for n, _ in values.named_parameters()], list(named), list(both), list(both.state_dict())
    return repr(values), repr(values[1:]), repr(both), listed, popped, errors, named.get("z", 5), named.setdefault("y", 6)


# ------------------------------------------------------------------------------------------------ state


@twin
def test_state_dict_and_what_does_not_fit(torch, rng):
    m = network(torch)
    state = m.state_dict()
    errors = [
        message(lambda: m.load_state_dict({})),
        message(lambda: m.load_state_dict([1])),
        message(lambda: m.load_state_dict({**state, "a.b": 1, "c": 2, "first.x": 3})),
        message(lambda: m.load_state_dict({**state, "shift": torch.ones(3), "rest.out.weight": torch.ones(2)})),
        message(lambda: m.load_state_dict({**state, "shift": "text"})),
        message(lambda: m.load_state_dict({**state, "shift": torch.ones(3)}, strict=False)),
    ]
    loose = m.load_state_dict({"shift": torch.ones(1), "c": 2}, strict=False)
    whole = m.load_state_dict({**state, "scale": torch.zeros(4)})
    shared = state["shift"].data_ptr() == m.shift.data_ptr()
    metadata = {key: dict(value) for key, value in state._metadata.items()}
    kept = m.state_dict(prefix="p.", keep_vars=True)
    flags = [value.requires_grad for value in kept.values()]
    return errors, repr(loose), repr(whole), m.scale, shared, metadata, list(kept), flags


@twin
def test_assign_takes_the_tensors_over(torch, rng):
    m = network(torch)
    m.first.weight.requires_grad_(False)
    state = {name: torch.ones_like(value).double() for name, value in m.state_dict().items()}
    m.load_state_dict(state, assign=True)
    return [(n, p.dtype, p.requires_grad, type(p).__name__) for n, p in m.named_parameters()], m.scale.dtype


@twin
def test_hooks_of_the_state(torch, rng):
    m, log = network(torch), []
    m.register_state_dict_pre_hook(lambda module, prefix, keep: log.append(("before", prefix, keep)))
    m.first.register_state_dict_post_hook(lambda module, state, prefix, meta: log.append(("after", prefix, list(state), meta)))
    m._register_state_dict_hook(lambda module, state, prefix, meta: OrderedDict(state, extra=1))
    state = m.state_dict()
    m.first.register_load_state_dict_pre_hook(lambda module, state, prefix, *rest: log.append(("load", prefix, rest[1:])))
    handle = m.register_load_state_dict_post_hook(lambda module, keys: keys.unexpected_keys.clear())
    forgiven = m.load_state_dict(state)
    handle.remove()
    strict = raised(lambda: m.load_state_dict(state))
    m.register_load_state_dict_post_hook(lambda module, keys: 3)
    return list(state), log, repr(forgiven), strict, raised(lambda: m.load_state_dict(m.state_dict()))


@twin
def test_extra_state(torch, rng):
    class Counter(torch.nn.Linear):
        count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    m = torch.nn.Sequential(Counter(1, 1))
    m[0].count = 5
    state = m.state_dict()
    other = torch.nn.Sequential(Counter(1, 1))
    other.load_state_dict(state)
    plain = torch.nn.Sequential(torch.nn.Linear(1, 1))
    missing = {k: v for k, v in state.items() if "extra" not in k}
    return list(state), other[0].count, message(lambda: plain.load_state_dict(state)), message(lambda: m.load_state_dict(missing))


# ------------------------------------------------------------------------------------------------ call hooks


@twin
def test_forward_hooks_in_order(torch, rng):
    m, log = torch.nn.Linear(2, 2), []
    m.register_forward_pre_hook(lambda module, args: log.append("pre 1"))
    m.register_forward_pre_hook(lambda module, args: (args[0] * 2,), prepend=True)
    m.register_forward_pre_hook(lambda module, args, kwargs: (args, kwargs), with_kwargs=True)
    m.register_forward_hook(lambda module, args, out: log.append(("out", out.shape)))
    handle = m.register_forward_hook(lambda module, args, kwargs, out: out + 1, with_kwargs=True, prepend=True)
    x = rng(3, 2)
    first = m(x)
    handle.remove()
    second = m(x)
    m.register_forward_pre_hook(lambda module, args, kwargs: 3, with_kwargs=True)
    return first - second, log, message(lambda: m(x))[0]


@twin
def test_hooks_that_are_always_called(torch, rng):
    class Broken(torch.nn.Module):
        def forward(self, input):
            raise ValueError("broken")

    m, log = Broken(), []
    m.register_forward_hook(lambda *args: log.append("not called"))
    m.register_forward_hook(lambda module, args, out: log.append(("called", out)), always_call=True)

    def silenced(module, args, out):
        raise RuntimeError("in the hook")

    m.register_forward_hook(silenced, always_call=True)
    return message(lambda: m(1)), log


@twin
def test_full_backward_hooks(torch, rng):
    m, log = network(torch), []

    def seen(kind):
        return lambda module, grads, outs=(): log.append((kind, type(module).__name__, list(grads), list(outs)))

    for module in m.modules():
        module.register_full_backward_hook(seen("after"))
        module.register_full_backward_pre_hook(seen("before"))
    x = rng(5, 3, grad=True)
    (m(x) * rng(5, 2)).sum().backward()
    return log, x.grad, [p.grad for p in m.parameters()]


@twin
def test_backward_hooks_change_gradients(torch, rng):
    m = torch.nn.Linear(3, 2)
    m.register_full_backward_pre_hook(lambda module, outs: (outs[0] * 2,))
    m.register_full_backward_hook(lambda module, ins, outs: (ins[0] * 3,))
    x = rng(4, 3, grad=True)
    (m(x) * rng(4, 2)).sum().backward()
    bad = torch.nn.Linear(3, 2)
    bad.register_full_backward_hook(lambda module, ins, outs: (ins[0], ins[0]))
    worse = torch.nn.Linear(3, 2)
    worse.register_full_backward_pre_hook(lambda module, outs: (outs[0], outs[0]))
    both = torch.nn.Linear(3, 2)
    both.register_full_backward_hook(lambda *args: None)
    return (
        x.grad,
        m.weight.grad,
        message(lambda: bad(x).sum().backward()),
        message(lambda: worse(x).sum().backward()),
        message(lambda: both.register_backward_hook(lambda *args: None)),
    )


@twin
def test_backward_hooks_where_no_input_needs_a_gradient(torch, rng):
    m, log = torch.nn.Linear(3, 2), []
    m.register_full_backward_hook(lambda module, ins, outs: log.append((ins, outs)))
    (m(rng(4, 3)) * rng(4, 2)).sum().backward()
    with torch.no_grad():
        m(rng(4, 3, grad=True))
    return log, m.weight.grad


@twin
def test_backward_hooks_of_several_inputs_and_outputs(torch, rng):
    class Pair(torch.nn.Module):
        def forward(self, a, number, b):
            return a * b * number, "text", a + 1

    m, log = Pair(), []
    m.register_full_backward_hook(lambda module, ins, outs: log.append((ins, outs)))
    a, b = rng(3, grad=True), rng(3, grad=True)
    first, _, second = m(a, 2, b)
    (first * rng(3)).sum().backward()
    first, _, second = m(a, 2, b.detach())
    (second * rng(3)).sum().backward()
    return log, a.grad, b.grad


@twin
def test_hooks_of_all_modules(torch, rng):
    hooks, log = torch.nn.modules.module, []
    handles = [
        hooks.register_module_forward_pre_hook(lambda module, args: log.append(("pre", type(module).__name__))),
        hooks.register_module_forward_hook(lambda module, args, out: log.append(("out", type(module).__name__))),
        hooks.register_module_full_backward_hook(lambda module, ins, outs: log.append(("back", type(module).__name__))),
        hooks.register_module_parameter_registration_hook(lambda module, name, p: log.append(("parameter", name))),
        hooks.register_module_buffer_registration_hook(lambda module, name, b: log.append(("buffer", name))),
        hooks.register_module_module_registration_hook(lambda module, name, m: log.append(("module", name))),
    ]
    try:
        m = network(torch)
        m(rng(2, 3, grad=True)).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    m(rng(2, 3)).sum()
    return log


@twin
def test_copies_have_hooks_and_tensors_of_their_own(torch, rng):
    m, x = network(torch), rng(2, 3)
    m.first.register_forward_hook(lambda module, args, out: out * 2)
    other = copy.deepcopy(m)
    with torch.no_grad():
        other.first.weight.zero_()
        other.first.bias.zero_()
    plain = network(torch)
    loaded = pickle.loads(pickle.dumps(torch.nn.Sequential(plain.first, plain.rest)))
    return m(x), other(x), loaded(x), plain.rest(plain.first(x)), repr(loaded)


# ------------------------------------------------------------------------------------------------ all of it


@twin
def test_casting_and_modes(torch, rng):
    m = network(torch)
    m(rng(2, 3)).sum().backward()
    weight = m.first.weight
    m.double()
    same = m.first.weight is weight, weight.dtype, weight.grad.dtype, m.scale.dtype
    m.to(torch.float32).eval()
    modes = [module.training for module in m.modules()]
    m.requires_grad_(False)
    flags = [p.requires_grad for p in m.parameters()]
    m.zero_grad(set_to_none=False)
    zeros = m.first.weight.grad
    m.zero_grad()
    seen = []
    m.apply(lambda module: seen.append(type(module).__name__))
    return same, modes, flags, zeros, m.first.weight.grad, seen, m.half().scale.dtype


@twin
def test_lazy_modules_take_their_sizes_from_the_input(torch, rng):
    nn = torch.nn
    m = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    before = (
        repr(m),
        [type(p).__name__ for p in m.parameters()],
        raised(lambda: m[0].weight + 1),
        raised(lambda: m[0].weight.shape),
    )
    other = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    copied = copy.deepcopy(other[0])
    out = m(rng(2, 3, 5, 5))
    other.load_state_dict(m.state_dict())
    return before, repr(m), out, [p.shape for p in other.parameters()], repr(copied), other(rng(2, 3, 5, 5))


@twin
def test_shared_parameters_appear_once(torch, rng):
    nn = torch.nn
    m = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    m[1].weight = m[0].weight
    m(rng(2, 3)).sum().backward()
    return len(list(m.parameters())), list(m.state_dict()), m[0].weight.grad


# ------------------------------------------------------------------------------------------------ init and utils


INITIALIZERS = {
    "uniform_": ((3, 4), {"a": -1, "b": 2}),
    "normal_": ((5, 7), {"mean": 1, "std": 2}),
    "trunc_normal_": ((5, 7), {"a": -1, "b": 0.5}),
    "constant_": ((3,), {"val": 0.5}),
    "ones_": ((3,), {}),
    "zeros_": ((3,), {}),
    "eye_": ((3, 4), {}),
    "dirac_": ((4, 2, 3, 3), {"groups": 2}),
    "xavier_uniform_": ((4, 3, 2), {"gain": 2}),
    "xavier_normal_": ((4, 3), {}),
    "kaiming_uniform_": ((4, 3), {"a": 0.2, "mode": "fan_out"}),
    "kaiming_normal_": ((4, 3, 5), {"nonlinearity": "relu"}),
    "orthogonal_": ((3, 2, 3), {"gain": 2}),
    "sparse_": ((6, 4), {"sparsity": 0.4}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", INITIALIZERS)
@twin
def test_initializers_draw_the_same_values(torch, rng, name, dtype):
    shape, arguments = INITIALIZERS[name]
    w = rng(*shape, dtype=dtype, grad=True)
    found = getattr(torch.nn.init, name)(w, **arguments)
    return w, found is w, w.requires_grad, w._version > 0


@twin
def test_what_initializers_refuse(torch, rng):
    init, w = torch.nn.init, rng(3)
    calls = [
        lambda: init.eye_(w),
        lambda: init.dirac_(w),
        lambda: init.dirac_(rng(3, 1, 1), 2),
        lambda: init.sparse_(w, 0.1),
        lambda: init.orthogonal_(w),
        lambda: init.xavier_uniform_(w),
        lambda: init.kaiming_normal_(rng(2, 2), mode="fan"),
        lambda: init.calculate_gain("gelu"),
        lambda: init.calculate_gain("leaky_relu", True),
    ]
    gains = [init.calculate_gain(name) for name in ("linear", "conv3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu")]
    return [message(one) for one in calls], gains, init.kaiming_uniform_(rng(0, 3)), init.trunc_normal_(rng(3), 9)


@twin
def test_clipping_gradients(torch, rng):
    utils, found = torch.nn.utils, []
    params = [rng(3, grad=True), rng(2, 2, grad=True), rng(1, grad=True)]

    def gradients():
        for p in params[:2]:
            p.grad = rng(*p.shape) * 5
        return params

    for norm in (1, 2, 3.5, float("inf")):
        found += [utils.clip_grad_norm_(gradients(), 2.0, norm), [p.grad for p in params]]
    utils.clip_grad_value_(gradients(), 1.5)
    found.append([p.grad for p in params])
    utils.clip_grad_norm_((p for p in ()), 1.0)
    params[0].grad.fill_(float("nan"))
    return found, message(lambda: utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True))


@twin
def test_parameters_as_one_vector(torch, rng):
    utils = torch.nn.utils
    m = network(torch)
    vector = utils.parameters_to_vector(m.parameters())
    utils.vector_to_parameters(torch.arange(float(len(vector))), m.parameters())
    return vector, [p for p in m.parameters()], outcome(lambda: utils.vector_to_parameters([1], m.parameters()))


# ------------------------------------------------------------------------------------------------ recurrent networks


RECURRENT = [
    ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
    ("GRU", {"bidirectional": True, "batch_first": True}),
    ("LSTM", {"num_layers": 2, "bidirectional": True, "proj_size": 2, "dropout": 0.5}),
    ("LSTM", {"bias": False}),
]


@pytest.mark.parametrize(("name", "options"), RECURRENT)
@twin
def test_recurrent_networks_of_packed_sequences(torch, rng, name, options):
    m = getattr(torch.nn, name)(3, 4, **options)
    utils = torch.nn.utils.rnn
    sequences = [rng(n, 3, grad=True) for n in (2, 5, 1, 4)]
    packed = utils.pack_sequence(sequences, enforce_sorted=False)
    output, state = m(packed)
    padded, lengths = utils.pad_packed_sequence(output, batch_first=True, padding_value=7.0, total_length=6)
    again, _ = m(packed, state)
    (padded * rng(*padded.shape)).sum().backward()
    grads = [s.grad for s in sequences], [p.grad for p in m.parameters()]
    return repr(m), padded, lengths, state, again.data, tuple(packed), grads, [s.shape for s in utils.unpack_sequence(output)]


@pytest.mark.parametrize("batch_first", [False, True])
@twin
def test_padded_sequences_are_new_and_need_nothing_for_their_gradient(torch, rng, batch_first):
    utils = torch.nn.utils.rnn
    x = rng(4, 3, 2, grad=True)
    packed = utils.pack_padded_sequence(x * 1, [4, 2, 1])
    padded, lengths = utils.pad_packed_sequence(packed, batch_first, total_length=5)
    padded.sin().sum().backward(retain_graph=True)
    with torch.no_grad():
        packed.data.mul_(2)
    padded.sum().backward()
    return padded, padded._is_view(), lengths, x.grad


@twin
def test_what_recurrent_networks_refuse(torch, rng):
    nn, utils = torch.nn, torch.nn.utils.rnn
    m = nn.LSTM(3, 4)
    calls = [
        lambda: nn.LSTM(3, 4, proj_size=4),
        lambda: nn.GRU(3, 4, proj_size=2),
        lambda: nn.RNN(3, 4, nonlinearity="gelu"),
        lambda: nn.LSTM(0, 4),
        lambda: nn.LSTM(3, 4.0),
        lambda: nn.LSTM(3, 4, bias=1),
        lambda: nn.LSTM(3, 4, dropout=2),
        lambda: m(rng(3)),
        lambda: m(rng(2, 2, 5)),
        lambda: m(rng(2, 2, 3).double()),
        lambda: m(rng(2, 2, 3), (rng(1, 2, 4), rng(1, 2, 3))),
        lambda: m(rng(2, 2, 3), (rng(2, 4), rng(2, 4))),
        lambda: nn.GRUCell(3, 4)(rng(2, 2, 3)),
        lambda: nn.RNNCell(3, 4)(rng(2, 3), rng(2, 2, 4)),
        lambda: utils.pack_padded_sequence(rng(4, 2, 3), [1, 3]),
        lambda: utils.pack_padded_sequence(rng(4, 2, 3), [3, 0]),
        lambda: utils.pack_padded_sequence(rng(4, 2, 3), [3]),
    ]
    return [message(one) for one in calls], raised(lambda: nn.LSTMCell(3, 4)(rng(2, 5))), nn.LSTM(3, 4, dropout=0.5)(rng(2, 3))


@twin
def test_padding_of_sequences(torch, rng):
    utils = torch.nn.utils.rnn
    sequences = [rng(n, 2) for n in (3, 1, 2)]
    padded = [utils.pad_sequence(sequences, first, 5.0, side) for first in (False, True) for side in ("left", "right")]
    return padded, utils.unpad_sequence(padded[3], torch.tensor([3, 1, 2]), batch_first=True)


@twin
def test_adaptive_softmax(torch, rng):
    m = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10, 15], div_value=2.0, head_bias=True)
    x, classes = rng(12, 8, grad=True), torch.tensor([0, 4, 5, 9, 10, 14, 15, 19, 3, 7, 12, 17])
    output, loss = m(x, classes)
    loss.backward()
    calls = [
        lambda: torch.nn.AdaptiveLogSoftmaxWithLoss(8, 20, []),
        lambda: torch.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 5]),
        lambda: m(x, classes + 5),
        lambda: m(x, classes[:3]),
        lambda: m(x[0], classes),
        lambda: m(x, classes[0]),
        lambda: m(x, classes.reshape(3, 4)),
    ]
    one = m(x[0], classes[0])
    return (
        output,
        loss,
        x.grad,
        [p.grad for p in m.parameters()],
        m.log_prob(x),
        m.predict(x),
        one[0],
        [message(c) for c in calls],
    )


@twin
def test_padding_in_a_transformer_that_is_evaluated(torch, rng):
    nn = torch.nn
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2).eval()
    padding = torch.tensor([[False, False, True], [False, True, True]])
    x = rng(2, 3, 8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its nested tensors
        without = encoder(x, src_key_padding_mask=padding)
    causal = nn.Transformer.generate_square_subsequent_mask(3)
    return without, encoder(x, src_key_padding_mask=padding), encoder(x, causal), encoder(x, causal, is_causal=True), causal


@pytest.mark.parametrize("dim", [0, 1, None])
@twin
def test_weight_norm_and_back(torch, rng, dim):
    utils, x = torch.nn.utils, rng(2, 3, grad=True)
    m = utils.weight_norm(torch.nn.Linear(3, 4), dim=dim)
    names = list(m.state_dict())
    y = m(x)
    (y * rng(2, 4)).sum().backward()
    grads = [p.grad for p in m.parameters()]
    twice = message(lambda: utils.weight_norm(m))
    utils.remove_weight_norm(m)
    return names, y, grads, twice, m(x), list(m.state_dict()), message(lambda: utils.remove_weight_norm(m))


@twin
def test_what_a_full_backward_hook_passes_on_may_not_be_written(torch, rng):
    nn = torch.nn

    class Double(nn.Module):
        def forward(self, x):
            return x * 2

    class Writes(nn.Module):
        def forward(self, x):
            x += 1
            return x * 2

    def hooked(module):
        module.register_full_backward_hook(lambda *args: None)
        return module

    x = rng(3, 2, grad=True)
    y, z, h = hooked(Double())(x * 1), hooked(Double())(x * 1), x * 1
    after = hooked(Double())(h)
    outcomes = [
        message(lambda: y.add_(1)),
        message(lambda: y[0].add_(1)),
        message(lambda: y.detach().add_(1)),
        message(lambda: hooked(Writes())(x * 1)),
        message(lambda: hooked(Writes())(torch.ones(3))),
        message(lambda: nn.Sequential(hooked(Double()), nn.ReLU(inplace=True))(x)),
        message(lambda: nn.Sequential(Double(), hooked(nn.ReLU(inplace=True)))(x)),
        message(lambda: nn.Sequential(hooked(Double()), nn.ReLU())(x)),
    ]
    with torch.no_grad():
        z.add_(1)
    outcomes += [message(lambda: z * 2)]
    h.add_(1)
    after.sum().backward()
    return y._is_view(), outcomes, x.grad, message(lambda: after * 2)


WITHOUT_OPTIONS = "GELU ELU Sigmoid ReLU Softplus Hardswish SiLU LeakyReLU LogSigmoid Dropout"
WRITTEN = {
    **dict.fromkeys(WITHOUT_OPTIONS.split(), ()),
    "LayerNorm": ([6, 6],),
    "RMSNorm": (6,),
    "BatchNorm2d": (4,),
    "InstanceNorm2d": (4,),
    "GroupNorm": (2, 4),
    "Linear": (6, 3),
    "Conv2d": (4, 2, 3),
    "ConvTranspose2d": (4, 2, 3),
    "MaxPool2d": (2,),
    "AvgPool2d": (2,),
    "LPPool2d": (2, 2),
    "AdaptiveAvgPool2d": (2,),
    "AdaptiveMaxPool2d": (2,),
    "FractionalMaxPool2d": (2, 2),
    "Upsample": (None, 2),
    "Softmax": (1,),
}


@pytest.mark.parametrize("name", WRITTEN)
@either
def test_what_a_layer_returns_may_be_written_where_torch_does_not_need_it(torch, rng, name):
    x = rng(2, 4, 6, 6, dtype="float64", grad=True)
    layer = torch.nn.Sequential(getattr(torch.nn, name)(*WRITTEN[name]), torch.nn.ReLU(inplace=True)).double()
    out = layer(x * 1)
    (out * rng(*out.shape, dtype="float64")).sum().backward()
    return out, x.grad, [p.grad for p in layer.parameters()]


@twin
def test_the_options_of_linear_cross_entropy(torch, rng):
    Options, nn = torch.nn.LinearCrossEntropyOptions, torch.nn
    bad = [
        {"acc_policy": "fast"},
        {"chunking_method": "rows"},
        {"chunking_method": "aspect_ratio:0"},
        {"chunking_method": "aspect_ratio:"},
        {"batch_chunk_size": 0},
        {"batch_chunk_size": 2.0},
        {"acc_dtype": torch.int64},
    ]
    refused = [message(lambda given=given: Options(**given))[0] for given in bad]
    frozen = raised(lambda: setattr(Options(), "acc_policy", "compact"))
    x, target, results = rng(4, 3, grad=True), rng(4, dtype="int64") % 5, []
    for options in (Options(), Options(chunking_method="aspect_ratio:2"), Options(batch_chunk_size=3), Options(True, None, None)):
        for reduction in ("mean", "sum", "none"):
            loss = nn.LinearCrossEntropyLoss(3, 5, reduction=reduction, options=options)
            out = loss(x, target)
            results.append((out, torch.autograd.grad((out * rng(*out.shape)).sum(), [x, *loss.parameters()])))
    smoothed = nn.LinearCrossEntropyLoss(3, 5, label_smoothing=0.1, options=Options())(x, target)
    return refused, frozen, str(Options()), Options() == Options(), results, smoothed


@twin
def test_a_wide_convolution_and_its_gradients(torch, rng):
    x, weight, bias = (
        rng(2, 50, 21, 20, dtype="float64", grad=True),
        rng(48, 50, 3, 3, dtype="float64", grad=True),
        rng(48, dtype="float64", grad=True),
    )
    out = torch.nn.functional.conv2d(x, weight, bias, padding=1)
    (out * out).mean().backward()
    return out, x.grad, weight.grad, bias.grad


@twin
def test_annotations_and_attributes_of_a_derived_class_stay_its_own(torch, rng):
    class Scaled(torch.nn.ReLU):
        scale: float
        name: str = "scaled"

        def __init__(self, scale=2.0, **options):
            super().__init__(**options)
            self.scale = scale

        def forward(self, input):
            return super().forward(input) * self.scale

    class Weighted(torch.nn.MSELoss):
        weight: float = 2.0

    scaled, loss = Scaled(3.0, inplace=False), Weighted(reduction="sum")
    x = rng(3)
    return scaled(x), Scaled.name, repr(scaled), loss(x, x + 1), loss.weight, Weighted.weight


class Watching:
    """A mixin that sees each attribute that is found by `__getattr__`."""

    def __getattr__(self, name):
        self.__dict__.setdefault("seen", []).append(name)
        found = super().__getattr__(name)
        return found * 2 if name == "weight" else found


LAYERS = {
    "Linear": (lambda nn: nn.Linear(4, 4), (2, 4)),
    "Conv1d": (lambda nn: nn.Conv1d(4, 4, 1), (2, 4, 3)),
    "BatchNorm1d": (lambda nn: nn.BatchNorm1d(4), (2, 4)),
    "LayerNorm": (lambda nn: nn.LayerNorm(4), (2, 4)),
    "Embedding": (lambda nn: nn.Embedding(4, 4), None),
    "PReLU": (lambda nn: nn.PReLU(4), (2, 4)),
    "GroupNorm": (lambda nn: nn.GroupNorm(2, 4), (2, 4)),
}


@twin
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("how", ["a mixin", "a property", "an attribute"])
def test_weights_that_are_found_in_another_way_than_usual(torch, rng, name, how):
    make, shape = LAYERS[name]
    layer, x = make(torch.nn), torch.tensor([1, 3]) if shape is None else rng(*shape)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(1.0, layer.weight.numel() + 1).reshape(layer.weight.shape) / 7)
    kind = type(layer)
    if how == "a mixin":
        layer.__class__ = type("Watched", (Watching, kind), {})
    elif how == "a property":
        layer.__class__ = type("Scaled", (kind,), {"weight": property(lambda self: self._parameters["weight"] * 3)})
    else:
        layer.__dict__["weight"] = layer.weight.detach() * 4
    before = len(layer.__dict__.get("seen", ()))
    out = layer(x)
    return out, [n for n in layer.__dict__.get("seen", ())[before:] if n in ("weight", "bias")]
