"""Networks: ResNet against a reference under torch, and every network of mini_dl.models as one program for both libraries."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch as real

import mini_dl
from mini_dl import models
from parity_tests.networks import models_of
from parity_tests.twin import raised, twin

# ------------------------------------------------------------------------------------------------ the reference

DEPTHS = {
    "resnet18": (1, (2, 2, 2, 2)),
    "resnet34": (1, (3, 4, 6, 3)),
    "resnet50": (4, (3, 4, 6, 3)),
    "resnet101": (4, (3, 4, 23, 3)),
    "resnet152": (4, (3, 8, 36, 3)),
}
"""Table 1 of the paper: channels of the output per channel of the block, and blocks per stage."""


class ReferenceBlock(real.nn.Module):
    """Convolutions, each normalized, added to a shortcut. A shape is (inputs, outputs, kernel, stride, dilation, groups)."""

    def __init__(self, shapes, shortcut):
        super().__init__()
        self.number, self.downsample = len(shapes), None
        for i, (inputs, outputs, kernel, stride, dilation, groups) in enumerate(shapes, 1):
            padding = dilation * (kernel - 1) // 2
            convolution = real.nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
            self.add_module(f"conv{i}", convolution)
            self.add_module(f"bn{i}", real.nn.BatchNorm2d(outputs))
        if shortcut is not None:
            inputs, outputs, stride = shortcut
            self.downsample = real.nn.Sequential(
                real.nn.Conv2d(inputs, outputs, 1, stride, bias=False), real.nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        out = x
        for i in range(1, self.number + 1):
            out = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(out))
            if i < self.number:
                out = out.relu()
        return (out + (x if self.downsample is None else self.downsample(x))).relu()


class Reference(real.nn.Module):
    """ResNet as a list of shapes, written for this comparison; shares no code with `mini_dl.models`."""

    def __init__(
        self,
        name,
        num_classes=1000,
        zero_init_residual=False,
        groups=1,
        width_per_group=64,
        replace_stride_with_dilation=(False, False, False),
    ):
        super().__init__()
        expansion, depths = DEPTHS[name]
        self.conv1 = real.nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = real.nn.BatchNorm2d(64)
        inputs, dilation = 64, 1
        for stage, depth in enumerate(depths):
            planes, stage_blocks, halve = 64 * 2**stage, [], stage > 0
            outputs, width = planes * expansion, planes * width_per_group // 64 * groups
            for position in range(depth):
                stride = 2 if halve and position == 0 and not replace_stride_with_dilation[stage - 1] else 1
                if expansion == 1:
                    shapes = [(inputs, planes, 3, stride, 1, 1), (planes, planes, 3, 1, 1, 1)]
                else:
                    middle = (width, width, 3, stride, dilation, groups)
                    shapes = [(inputs, width, 1, 1, 1, 1), middle, (width, outputs, 1, 1, 1, 1)]
                shortcut = (inputs, outputs, stride) if position == 0 and (halve or inputs != outputs) else None
                stage_blocks.append(ReferenceBlock(shapes, shortcut))
                inputs = outputs
                if halve and position == 0 and replace_stride_with_dilation[stage - 1]:
                    dilation *= 2  # from the second block of a dilated stage on
            self.add_module(f"layer{stage + 1}", real.nn.Sequential(*stage_blocks))
        self.fc = real.nn.Linear(inputs, num_classes)
        for module in self.modules():
            if isinstance(module, real.nn.Conv2d):  # deviation sqrt(2 / fan out)
                outputs, _, height, width = module.weight.shape
                real.nn.init.normal_(module.weight, 0, (2 / (outputs * height * width)) ** 0.5)
        if zero_init_residual:
            for name, module in self.named_modules():
                if name.endswith("bn2" if expansion == 1 else "bn3"):
                    real.nn.init.zeros_(module.weight)

    def forward(self, x):
        x = real.nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


# ------------------------------------------------------------------------------------------------ comparison with the reference


@contextlib.contextmanager
def default_dtype(name, *libraries):
    for library in libraries:
        library.set_default_dtype(getattr(library, name))
    try:
        yield
    finally:
        for library in libraries:
            library.set_default_dtype(library.float32)


def pair(name, dtype="float64", **options):
    """The network of mini_dl and the reference, each made from seed 0."""
    with default_dtype(dtype, mini_dl, real):
        mini_dl.manual_seed(0)
        ours = getattr(models, name)(**options)
        real.manual_seed(0)
        return ours, Reference(name, **options)


def arrays(state):
    return {name: value.detach().numpy() for name, value in state.items()}


def assert_near(ours, theirs, bound=1e-9):
    """The same names in the same order; each array within `bound` times the largest value of torch's."""
    assert list(ours) == list(theirs)
    for name, wanted in theirs.items():
        found = ours[name]
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), name
        if wanted.size:
            difference = np.abs(found.astype(np.float64) - wanted).max()
            assert difference <= bound * np.abs(wanted).max(), f"{name}: greatest difference {difference}"


def step_of(torch, model):
    """Forward, backward, one step of SGD: their results by name, in NumPy."""
    numbers = np.random.default_rng(0)
    images, labels = torch.from_numpy(numbers.standard_normal((2, 3, 64, 64))), torch.tensor([3, 1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    out = model(images)
    loss = torch.nn.functional.cross_entropy(out, labels)
    loss.backward()
    gradients = {f"gradient of {name}": p.grad for name, p in model.named_parameters()}
    optimizer.step()
    with torch.no_grad():
        evaluated = model.eval()(images)
    return arrays({"output": out, "loss": loss, **gradients, **model.state_dict(), "output after the step": evaluated})


OPTIONS = {
    "resnet18": [{}, {"num_classes": 7, "zero_init_residual": True}],
    "resnet50": [
        {},
        {"num_classes": 7, "zero_init_residual": True, "replace_stride_with_dilation": (False, True, True)},
        {"num_classes": 7, "groups": 32, "width_per_group": 4},
    ],
}
CASES = [pytest.param(name, options, id="-".join([name, *options])) for name in OPTIONS for options in OPTIONS[name]]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_resnet_starts_computes_and_learns_as_the_reference(name, options):
    ours, theirs = pair(name, **options)
    assert_near(arrays(ours.state_dict()), arrays(theirs.state_dict()), 1e-15)
    assert_near(step_of(mini_dl, ours), step_of(real, theirs))


@pytest.mark.parametrize("name", OPTIONS)
def test_from_one_seed_float32_parameters_are_equal_but_for_the_last_place(name):
    """Uniform numbers and constants bit for bit; normal numbers, of NumPy's logarithms and cosines, within two roundings."""
    ours, theirs = (arrays(model.state_dict()) for model in pair(name, "float32"))
    assert_near(ours, theirs, 2 * np.finfo(np.float32).eps)
    drawn_normal = {key for key, value in theirs.items() if value.ndim == 4}
    assert all(np.array_equal(ours[key], wanted) for key, wanted in theirs.items() if key not in drawn_normal)


@pytest.mark.parametrize("name", DEPTHS)
def test_a_resnet_has_the_parameters_of_the_reference_in_its_order(name):
    ours = getattr(models, name)()
    with real.device("meta"):
        theirs = Reference(name)
    assert [(key, tuple(p.shape)) for key, p in ours.named_parameters()] == [
        (key, tuple(p.shape)) for key, p in theirs.named_parameters()
    ]
    assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize("name", OPTIONS)
def test_states_travel_through_files_both_ways(name, tmp_path):
    ours, theirs = pair(name, "float32")
    mini_dl.manual_seed(1)
    real.manual_seed(2)
    mine, reference = getattr(models, name)(), Reference(name)
    images = np.random.default_rng(0).standard_normal((1, 3, 64, 64))

    mini_dl.save(mine.state_dict(), tmp_path / "mini_dl.pt")
    theirs.load_state_dict(real.load(tmp_path / "mini_dl.pt"))
    real.save(reference.state_dict(), tmp_path / "torch.pt")
    ours.load_state_dict(mini_dl.load(tmp_path / "torch.pt"))

    for a, b in ((mine, theirs), (ours, reference)):
        assert all(np.array_equal(x, y) for x, y in zip(arrays(a.state_dict()).values(), arrays(b.state_dict()).values()))
        with mini_dl.no_grad(), real.no_grad():
            found, wanted = (
                a.double().eval()(mini_dl.from_numpy(images)),
                b.double().eval()(real.from_numpy(images)),
            )
        assert_near({"output": found.numpy()}, {"output": wanted.numpy()})


# ------------------------------------------------------------------------------------------------ one program

NETWORKS = {
    "ResNet": lambda models: models.ResNet(models.Bottleneck, [1, 2, 1, 1], num_classes=5, groups=4, width_per_group=4),
    "TwoLayerNet": lambda models: models.TwoLayerNet(768, 20, 5, "sigmoid"),
    "MultiLayerNet": lambda models: models.MultiLayerNet(768, [30, 20], 5, "tanh", "xavier", batch_norm=True, dropout=0.3),
    "SimpleConvNet": lambda models: models.SimpleConvNet((3, 16, 16), 6, 3, hidden_size=20, output_size=5, weight_init="he"),
    "LeNet": lambda models: models.LeNet(5, in_channels=3, side=16),
    "cifar 8": lambda models: models.cifar_resnet(1),
    "cifar 14, projections": lambda models: models.cifar_resnet(2, shortcut="B"),
    "cifar 14, plain": lambda models: models.cifar_resnet(2, residual=False),
}


@pytest.mark.parametrize("name", NETWORKS)
@twin
def test_a_network_as_one_program(torch, rng, name):
    with default_dtype("float64", torch):
        model = NETWORKS[name](models_of(torch))
        start = {key: value.clone() for key, value in model.state_dict().items()}
        print(model)
        x, y = rng(4, 3, 16, 16, dtype="float64"), rng(4, dtype="int64") % 5
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        losses = []
        for _ in range(2):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss)
        return start, losses, [p.grad for p in model.parameters()], dict(model.state_dict()), model.eval()(x)


@twin
def test_networks_refuse_what_they_cannot_be(torch, rng):
    models = models_of(torch)
    return [
        raised(lambda: models.resnet18(weights="DEFAULT")),
        raised(lambda: models.resnet18(groups=2)),
        raised(lambda: models.resnet34(replace_stride_with_dilation=[False, True, True])),
        raised(lambda: models.resnet50(replace_stride_with_dilation=[True])),
        raised(lambda: models.cifar_resnet(2, shortcut="C")),
        raised(lambda: models.MultiLayerNet(2, [2], 2, activation="step")),
        raised(lambda: models.LeNet(side=8)),
    ]
