"""Pickling and copying, under both libraries: the results, and what they share with the original."""

from __future__ import annotations

import collections
import copy
import pickle
import warnings

import pytest

from mini_dl.tensor import INTERNAL
from parity_tests.bridge import mini_dl
from parity_tests.twin import either, outcome, twin

WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
        for protocol in range(6)
    },
}
each_way = pytest.mark.parametrize("way", list(WAYS))


def attributes(tensor):
    """The user's attributes in the ``__dict__`` of a tensor, as names and strings."""
    internal = INTERNAL if isinstance(tensor, mini_dl.Tensor) else ()
    return sorted((name, repr(value)) for name, value in vars(tensor).items() if name not in internal)


def seen(tensor):
    """Everything observable about a tensor."""
    grad = tensor.grad if tensor.is_leaf else None
    return (
        type(tensor).__name__,
        tensor.detach(),
        tensor.dtype.itemsize,
        tensor.stride(),
        tensor.requires_grad,
        tensor.is_leaf,
        tensor._version,
        tensor.is_inference(),
        tensor._is_view(),
        grad,
        attributes(tensor),
    )


def leaf(torch):
    return torch.tensor([1.0, 2.0], requires_grad=True)


def with_gradient(torch):
    x = leaf(torch)
    (x * x).sum().backward()
    return x


def with_attributes(tensor):
    tensor.tag, tensor.numbers = "q", [1, 2]
    return tensor


def hooked(tensor):
    tensor.register_hook(print)
    return tensor


def parameter(torch, **attributes):
    made = torch.nn.Parameter(torch.ones(2))
    made.grad = torch.ones(2)
    vars(made).update(attributes)
    return made


def written(tensor):
    return tensor.add_(1).mul_(2)


def in_inference_mode(torch):
    with torch.inference_mode():
        return torch.ones(2)


TENSORS = {
    "plain": lambda torch, x: x,
    "row": lambda torch, x: x[1],
    "column": lambda torch, x: x[:, 1],
    "slice": lambda torch, x: x[:, 1:],
    "step": lambda torch, x: x[:, ::2],
    "transpose": lambda torch, x: x.T,
    "unsqueeze": lambda torch, x: x.unsqueeze(1),
    "split": lambda torch, x: x.split(1)[1],
    "chunk": lambda torch, x: x.chunk(3, 1)[2],
    "unbind": lambda torch, x: x.unbind(1)[1],
    "expand": lambda torch, x: torch.ones(3).expand(2, 3),
    "diagonal": lambda torch, x: x.diagonal(),
    "as_strided": lambda torch, x: x.as_strided((2, 2), (1, 2), 1),
    "element": lambda torch, x: x[0, 1],
    "empty": lambda torch, x: torch.empty(0, 3),
    "nothing of it": lambda torch, x: x[2:],
    "channels last": lambda torch, x: torch.ones(1, 2, 3, 4).to(memory_format=torch.channels_last),
    "leaf": lambda torch, x: leaf(torch),
    "non-leaf": lambda torch, x: leaf(torch) * 2,
    "view of a non-leaf": lambda torch, x: (leaf(torch) * 2)[0],
    "view of a leaf": lambda torch, x: leaf(torch)[:1],
    "with a gradient": lambda torch, x: with_gradient(torch),
    "with attributes": lambda torch, x: with_attributes(x),
    "non-leaf with attributes": lambda torch, x: with_attributes(leaf(torch) * 3),
    "written": lambda torch, x: written(x),
    "of inference": lambda torch, x: in_inference_mode(torch),
    "real part": lambda torch, x: torch.tensor([1 + 2j, 3j]).real,
    "imaginary part": lambda torch, x: torch.tensor([1 + 2j, 3j]).imag,
    "parameter": lambda torch, x: parameter(torch),
    "parameter with attributes": lambda torch, x: parameter(torch, tag="q"),
    "parameter that is frozen": lambda torch, x: torch.nn.Parameter(x, requires_grad=False),
    "parameter over a view": lambda torch, x: torch.nn.Parameter(x[1]),
    "parameter over a written tensor": lambda torch, x: torch.nn.Parameter(written(x)),
    "slice of a parameter": lambda torch, x: parameter(torch)[:1],
    "buffer": lambda torch, x: torch.nn.Buffer(x),
    "buffer that is not saved": lambda torch, x: torch.nn.Buffer(x, persistent=False),
    **{
        name: lambda torch, x, name=name: (x > 2).to(getattr(torch, name))
        for name in "bool uint8 int8 int16 int32 int64 float16 float64 complex64 complex128".split()
    },
}


@each_way
@pytest.mark.parametrize("name", list(TENSORS))
@twin
def test_a_tensor_comes_back(torch, rng, name, way):
    tensor = TENSORS[name](torch, torch.arange(6.0).reshape(2, 3))
    return outcome(lambda: seen(WAYS[way](tensor)))


@each_way
@pytest.mark.parametrize("name", list(TENSORS))
@twin
def test_what_is_written_to_the_copy(torch, rng, name, way):
    tensor = TENSORS[name](torch, torch.arange(6.0).reshape(2, 3))
    before = tensor.detach().clone()
    came = outcome(lambda: WAYS[way](tensor))
    if isinstance(came, str) or name == "expand":
        return came
    came.detach().fill_(1)
    return tensor.detach(), before, came.detach()


@each_way
@twin
def test_a_hook_stays_behind_with_a_warning(torch, rng, way):
    x = hooked(leaf(torch))
    y = WAYS[way](x)
    (y * 2).sum().backward()
    return y.grad


@each_way
@twin
def test_a_leaf_that_comes_back_trains(torch, rng, way):
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    net, weight = WAYS[way]((net, leaf(torch)))
    optimizer = torch.optim.SGD([*net.parameters(), weight], lr=0.1)
    net(weight[None]).sum().backward()
    optimizer.step()
    return weight, list(net.parameters())


@each_way
@twin
def test_one_memory_in_two_tensors(torch, rng, way):
    x = torch.arange(4.0)
    a, b, c = WAYS[way]((x, x[1:3], x))
    a[1] = 9
    return a is c, b, x, a._version, b._version


@twin
def test_a_deep_copy_copies_one_memory_once(torch, rng):
    x = rng(2, 3)
    copies = copy.deepcopy({"x": x, "rows": [x[0], x[1]], "t": x.T})
    copies["x"].zero_()
    return copies, x


METHODS = {
    "max": (0,),
    "min": (1,),
    "sort": (),
    "topk": (2,),
    "kthvalue": (1,),
    "median": (0,),
    "mode": (),
    "cummax": (0,),
    "aminmax": (),
    "frexp": (),
}
"""Methods with several results, and their arguments."""
RESULTS = {
    **{name: lambda torch, x, name=name: getattr(x, name)(*METHODS[name]) for name in METHODS},
    "slogdet": lambda torch, x: torch.linalg.slogdet(x[:, :2]),
    "svd": lambda torch, x: torch.linalg.svd(torch.eye(2)),
    "qr": lambda torch, x: torch.linalg.qr(torch.eye(2)),
    "packed": lambda torch, x: torch.nn.utils.rnn.pack_sequence([x[0], x[1][:2]]),
    "packed, to be sorted": lambda torch, x: torch.nn.utils.rnn.pack_padded_sequence(
        x[:, :, None], torch.tensor([2, 3]), batch_first=True, enforce_sorted=False
    ),
    "size": lambda torch, x: x.shape,
    "tuple": lambda torch, x: (x, [x[0]], {"a": x[1]}),
}


@each_way
@pytest.mark.parametrize("name", list(RESULTS))
@twin
def test_a_result_comes_back(torch, rng, name, way):
    result = WAYS[way](RESULTS[name](torch, rng(2, 3)))
    return type(result).__name__, tuple(result)


@each_way
@twin
def test_types_devices_and_layouts_come_back(torch, rng, way):
    things = [torch.float32, torch.bool, torch.strided, torch.device("cpu"), torch.Size([1, 2]), torch.Tensor, torch.nn.Linear]
    came = [WAYS[way](thing) for thing in things]
    return [a is b or (a == b and type(a) is type(b)) for a, b in zip(came, things)], came[0] is torch.float32


@each_way
@twin
def test_a_generator_comes_back_where_it_was(torch, rng, way):
    generator = torch.Generator().manual_seed(3)
    torch.randn(3, generator=generator)
    other = WAYS[way](generator)
    return other.initial_seed(), torch.randn(5, generator=other), torch.randn(5, generator=generator)


def modules(torch):
    nn = torch.nn
    made = {
        "linear": nn.Linear(2, 3),
        "named": nn.Sequential(collections.OrderedDict(a=nn.Linear(2, 2), b=nn.ReLU())),
        "batch norm": nn.BatchNorm2d(2),
        "lstm": nn.LSTM(2, 3, 2, bidirectional=True),
        "attention": nn.MultiheadAttention(4, 2),
        "encoder layer": nn.TransformerEncoderLayer(4, 2, 8),
        "embedding": nn.Embedding(2, 2, padding_idx=0),
        "loss": nn.CrossEntropyLoss(weight=torch.ones(2)),
        "in evaluation": nn.Dropout().eval(),
        "lazy": nn.LazyLinear(3),
        "parameter list": nn.ParameterList([torch.ones(1), nn.Parameter(torch.ones(2))]),
        "parameter dict": nn.ParameterDict({"a": torch.ones(1), "b": nn.Parameter(torch.ones(1))}),
        "module dict": nn.ModuleDict({"a": nn.Linear(1, 1)}),
        "weight norm": nn.utils.weight_norm(nn.Linear(2, 2)),
        "averaged": torch.optim.swa_utils.AveragedModel(nn.Linear(1, 1)),
    }
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    hooks = nn.Linear(1, 1)
    hooks.register_forward_hook(print)
    hooks.register_full_backward_hook(print)
    hooks.register_buffer("unsaved", torch.ones(1), persistent=False)
    hooks.note = "kept"
    hooks.bias.requires_grad_(False)
    return {**made, "tied": tied, "with hooks": hooks}


@each_way
@pytest.mark.parametrize("name", list(modules(mini_dl)))
@either
def test_a_module_comes_back(torch, rng, name, way):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = modules(torch)[name]
    came = WAYS[way](module)
    lazy = name == "lazy"
    parameters = [] if lazy else [(key, p.requires_grad, p) for key, p in came.named_parameters()]
    hooks = len(came._forward_hooks), len(came._backward_hooks), getattr(came, "note", None)
    return type(came).__name__, repr(came), came.training, parameters, [] if lazy else list(came.buffers()), hooks


OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9},
    **{name: {} for name in ("Adam", "AdamW", "RMSprop", "Adagrad", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD")},
}


@each_way
@pytest.mark.parametrize("name", list(OPTIMIZERS))
@twin
def test_an_optimizer_comes_back_with_its_parameters(torch, rng, name, way):
    net = torch.nn.Linear(2, 2)
    optimizer = getattr(torch.optim, name)(net.parameters(), **OPTIMIZERS[name])
    x = rng(3, 2)
    for _ in range(2):
        optimizer.zero_grad()
        net(x).sum().backward()
        optimizer.step()
    net, optimizer = WAYS[way]((net, optimizer))
    optimizer.zero_grad()
    (net(x) ** 2).sum().backward()
    optimizer.step()
    return list(net.parameters()), [group["lr"] for group in optimizer.param_groups]


SCHEDULES = {
    "StepLR": lambda module, optimizer: module.StepLR(optimizer, 2),
    "CosineAnnealingLR": lambda module, optimizer: module.CosineAnnealingLR(optimizer, 3),
    "OneCycleLR": lambda module, optimizer: module.OneCycleLR(optimizer, 0.1, 10),
    "CyclicLR": lambda module, optimizer: module.CyclicLR(optimizer, 0.1, 0.2),
    "ReduceLROnPlateau": lambda module, optimizer: module.ReduceLROnPlateau(optimizer, patience=0),
    "SequentialLR": lambda module, optimizer: module.SequentialLR(
        optimizer, [module.ConstantLR(optimizer), module.ExponentialLR(optimizer, 0.9)], [2]
    ),
}


@each_way
@pytest.mark.parametrize("name", list(SCHEDULES))
@twin
def test_a_schedule_goes_on(torch, rng, name, way):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1, momentum=0.9)
    schedule = SCHEDULES[name](torch.optim.lr_scheduler, optimizer)
    arguments = (1.0,) if name == "ReduceLROnPlateau" else ()
    schedule.step(*arguments)
    schedule = WAYS[way](schedule)
    rates = []
    for _ in range(4):
        schedule.optimizer.step()
        schedule.step(*arguments)
        rates.append(schedule.optimizer.param_groups[0]["lr"])
    return rates


@each_way
@twin
def test_data_comes_back(torch, rng, way):
    data = torch.utils.data
    dataset = data.TensorDataset(torch.arange(4.0), torch.arange(4))
    generator = torch.Generator().manual_seed(0)
    loader = data.DataLoader(dataset, batch_size=2, shuffle=True, generator=generator)
    subset, both, sampler, loader = WAYS[way](
        (data.Subset(dataset, [1]), dataset + dataset, data.RandomSampler(dataset, generator=generator), loader)
    )
    return list(subset), len(both), list(sampler), list(loader)


@twin
def test_a_module_without_copyable_weights_refuses_a_deep_copy(torch, rng):
    x = leaf(torch) * 2
    return outcome(lambda: copy.deepcopy(x)), outcome(lambda: copy.deepcopy([x.detach(), x]))


@either
def test_functions_and_methods_pickle(torch, rng):
    things = [
        torch.add,
        torch.relu,
        torch.nn.functional.relu,
        torch.linalg.norm,
        torch.special.expit,
        torch.fft.fft,
        torch.no_grad,
    ]
    return [pickle.loads(pickle.dumps(thing)) is thing for thing in things]
