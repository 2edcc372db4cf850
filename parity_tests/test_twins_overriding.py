"""Subclasses and programs that put something of their own in place of a part of a module, an optimizer or a schedule."""

import copy

import pytest

from parity_tests.twin import outcome, twin


@twin
def test_a_sequence_of_modules_in_an_order_of_its_own(torch, rng):
    class Backward(torch.nn.Sequential):
        def __iter__(self):
            return reversed(list(self._modules.values()))

    return Backward(torch.nn.Threshold(0.1, 5.0), torch.nn.Linear(4, 4))(rng(3, 4))


@twin
def test_a_reduction_of_the_learning_rate_of_its_own(torch, rng):
    seen = []

    class Plateau(torch.optim.lr_scheduler.ReduceLROnPlateau):
        def _reduce_lr(self, epoch):
            seen.append(epoch)
            super()._reduce_lr(epoch)

    optimizer = torch.optim.SGD([torch.nn.Parameter(rng(1))], lr=0.5)
    schedule = Plateau(optimizer, patience=0)
    for metric in (1.0, 2.0, 0.5, 0.7):
        schedule.step(metric)
    return seen, optimizer.param_groups[0]["lr"], schedule.get_last_lr()


NETWORKS = {
    "LSTM": lambda nn, **more: nn.LSTM(4, 3, **more),
    "GRU": lambda nn, **more: nn.GRU(4, 3, **more),
    "RNN": lambda nn, **more: nn.RNN(4, 3, **more),
}


@twin
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_given_to_a_recurrent_network_as_a_list(torch, rng, name):
    net, x = NETWORKS[name](torch.nn), rng(5, 2, 4)
    for p in net.parameters():
        p.data = rng(*p.shape)
    found = [net(x)[0]]
    masked = net.weight_hh_l0 * (rng(*net.weight_hh_l0.shape) > 0)
    net._flat_weights = [masked if n == "weight_hh_l0" else getattr(net, n) for n in net._flat_weights_names]
    found.append(net(x)[0])
    found.append(torch.autograd.grad(found[-1].sum(), net.weight_hh_l0)[0])
    net._flat_weights[1] = torch.zeros_like(masked)
    found.append(net(x)[0])
    found.append(copy.deepcopy(net.eval().requires_grad_(False))(x)[0])
    net.weight_hh_l0 = torch.nn.Parameter(masked.detach() * 2)
    found.append(net(x)[0])
    return found, net.double()(x.double())[0], [n for n, _ in net.named_parameters()]


@twin
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("first", [False, True])
def test_checks_of_a_recurrent_network(torch, rng, name, first):
    net, seen = NETWORKS[name](torch.nn, batch_first=first, num_layers=2, bidirectional=True), []
    pair = name == "LSTM"

    class Watching(type(net)):
        def check_forward_args(self, input, hidden, batch_sizes):
            seen.append(("args", tuple(input.shape), batch_sizes))
            super().check_forward_args(input, hidden, batch_sizes)

        def check_hidden_size(self, hx, expected_hidden_size, *msg):
            seen.append(("size", tuple(hx.shape), expected_hidden_size))
            super().check_hidden_size(hx, expected_hidden_size, *msg)

        def permute_hidden(self, hx, permutation):
            seen.append(("order", permutation)) if permutation is not None else None
            return super().permute_hidden(hx, permutation)

    net.__class__ = Watching
    x = rng(3, 2, 4) if first else rng(2, 3, 4)
    packed = torch.nn.utils.rnn.pack_sequence([rng(2, 4), rng(3, 4)], enforce_sorted=False)
    found = [net(packed)[0].data]
    if pair:
        seen.clear()  # torch leaves the checks of a packed input to the kernel
    output, state = net(x)
    found += [output, state, net(x, state)[0], net(x[0] if first else x[:, 0])[0].shape]
    wrong = rng(4, 1, 3)
    calls = (
        lambda: net(x, (wrong, wrong) if pair else wrong),
        lambda: net(x[..., :3]),
        lambda: net(x.double()),
        lambda: net.check_input(x, torch.tensor([2, 1])),
        lambda: net.check_hidden_size(wrong, (4, 2, 3), "wants {}, has {}"),
        lambda: net.get_expected_cell_size(x, None),
    )
    sizes = net.get_expected_hidden_size(x, None), net.get_expected_hidden_size(x[0], torch.tensor([2, 1]))
    return found, [outcome(call) for call in calls], sizes, [repr(entry) for entry in seen]


@twin
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("persistent", [False, True])
def test_readers_of_its_own(torch, rng, workers, persistent):
    made = []

    class Counting(torch.utils.data.DataLoader):
        def _get_iterator(self):
            made.append(self.num_workers)
            return super()._get_iterator()

    loader = Counting(
        torch.utils.data.TensorDataset(torch.arange(3)), 2, num_workers=workers, persistent_workers=persistent and workers > 0
    )
    return [[batch[0] for batch in loader] for _ in range(2)], made


NAMES = """
    n dims parts call shown configured tensors operation keyword_only momentum_of_step _member _forget _check_name _assign_buffer
    _run_registration_hooks _has_own _hooks_of_kind _persistent _register_backward _to_floating _call_with_hooks _own _make _build
    _pads _limits _directions _state _zeros _insert _residual _amounts _spread _normalize
""".split()
DERIVED = {
    "Module": lambda nn: (nn.Identity(), (2, 3)),
    "Linear": lambda nn: (nn.Linear(3, 2), (2, 3)),
    "Conv2d": lambda nn: (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), (1, 2, 4, 4)),
    "ConvTranspose1d": lambda nn: (nn.ConvTranspose1d(2, 2, 3), (1, 2, 4)),
    "BatchNorm1d": lambda nn: (nn.BatchNorm1d(3), (2, 3)),
    "InstanceNorm1d": lambda nn: (nn.InstanceNorm1d(2), (1, 2, 4)),
    "MaxPool2d": lambda nn: (nn.MaxPool2d(2), (1, 2, 4, 4)),
    "AvgPool1d": lambda nn: (nn.AvgPool1d(2), (2, 4)),
    "AdaptiveAvgPool1d": lambda nn: (nn.AdaptiveAvgPool1d(2), (2, 4)),
    "ReflectionPad1d": lambda nn: (nn.ReflectionPad1d(1), (2, 4)),
    "LSTM": lambda nn: (nn.LSTM(3, 2), (2, 3)),
    "GRUCell": lambda nn: (nn.GRUCell(3, 2), (2, 3)),
    "LeakyReLU": lambda nn: (nn.LeakyReLU(), (2, 3)),
    "Sequential": lambda nn: (nn.Sequential(nn.Linear(3, 3)), (2, 3)),
    "TransformerEncoderLayer": lambda nn: (nn.TransformerEncoderLayer(2, 1, 2, 0.0), (3, 2)),
}


@twin
@pytest.mark.parametrize("name", DERIVED)
def test_attributes_of_a_derived_class_may_have_any_name(torch, rng, name):
    found = []
    for own in NAMES:
        layer, shape = DERIVED[name](torch.nn)
        for p in layer.parameters():
            p.data = rng(*p.shape)
        child, x = torch.nn.Linear(1, 1), rng(*shape)
        kind = type("Derived", (type(layer),), {own: lambda self: "a method"})
        layer.__class__ = kind
        found.append(getattr(layer, own)())
        layer.__class__ = kind.__base__
        setattr(layer, own, child if name != "Sequential" else 5)  # a child would be run
        found.append(getattr(layer, own) is child)
        layer.more = torch.nn.Parameter(rng(1))
        layer.register_buffer("number", rng(1))
        out = layer(x)
        found += [out, repr(layer), [key for key, _ in layer.named_parameters()]]
        layer.double().load_state_dict(layer.state_dict())
        layer.register_full_backward_hook(lambda *given: None)
        out = layer.float()(x)
        del layer.more
        found += [layer.get_buffer("number"), copy.deepcopy(layer).training]
    return found
