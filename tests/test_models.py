"""Networks: sizes, names, and that they learn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import models, nn
from mini_dl.nn import functional as F


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in model.named_parameters()}


def losses_of(model: nn.Module, images: torch.Tensor, lr: float, steps: int = 6) -> list[float]:
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    labels = torch.arange(len(images)) % 3
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_importing_the_library_does_not_import_the_networks() -> None:
    code = "import sys, mini_dl; print('mini_dl.models' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# ------------------------------------------------------------------------------------------------ affine layers


def test_hidden_layers_are_affine_normalization_activation_dropout() -> None:
    model = models.MultiLayerNet(4, [6, 5], 3, activation="sigmoid", batch_norm=True, dropout=0.2)
    kinds = [type(module) for module in model]
    hidden = [nn.Linear, nn.BatchNorm1d, nn.Sigmoid, nn.Dropout]
    assert kinds == [nn.Flatten, *hidden, *hidden, nn.Linear]
    assert [shape for shape in shapes(model).values() if len(shape) == 2] == [(6, 4), (5, 6), (3, 5)]
    assert [type(module) for module in models.MultiLayerNet(4, [5], 3, activation=nn.GELU)][2] is nn.GELU


@pytest.mark.parametrize(("rule", "deviation"), [("he", 0.1), ("xavier", 0.5**0.5 * 0.1), (0.01, 0.01)])
def test_weights_have_the_deviation_of_the_rule_and_biases_are_zero(rule: str | float, deviation: float) -> None:
    torch.manual_seed(0)
    model = models.MultiLayerNet(200, [200], 200, weight_init=rule)
    for layer in (model.affine1, model.affine2):
        assert layer.weight.std().item() == pytest.approx(deviation, rel=0.02)
        assert not layer.bias.any()


def test_weights_can_be_filled_by_a_function() -> None:
    weight = models.TwoLayerNet(8, 5, 3, weight_init=nn.init.orthogonal_).affine1.weight
    np.testing.assert_allclose((weight @ weight.T).detach().numpy(), np.eye(5), atol=1e-6)


def test_the_simple_net_is_a_matrix_of_two_by_three() -> None:
    model = models.SimpleNet()
    assert shapes(model) == {"affine1.weight": (3, 2)}
    x = torch.tensor([[0.6, 0.9]])
    assert torch.equal(model(x), x @ model.affine1.weight.T)


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.TwoLayerNet(64, 20, 3, weight_init="he"),
        lambda: models.MultiLayerNet(64, [20, 20], 3, activation="tanh", weight_init="xavier", batch_norm=True),
        lambda: models.SimpleConvNet((1, 8, 8), 8, 3, hidden_size=20, output_size=3, weight_init="he"),
        lambda: models.ConvNet((1, 8, 8), [(4, 3, 1, 1), (8, 3, 1, 1)], [16], 3),
    ],
)
def test_a_small_network_learns(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    losses = losses_of(make(), torch.randn(6, 1, 8, 8), 0.1, 15)
    assert losses[-1] < losses[0] / 4


def test_names_that_are_no_rule_or_activation_are_refused() -> None:
    with pytest.raises(ValueError, match="got 'best'"):
        models.TwoLayerNet(2, 2, 2, weight_init="best")
    with pytest.raises(ValueError, match="got 'step'"):
        models.MultiLayerNet(2, [2], 2, activation="step")


# ------------------------------------------------------------------------------------------------ convolutions


def test_one_convolution_and_two_affine_layers() -> None:
    model = models.SimpleConvNet((3, 12, 10), filters=4, kernel_size=3, padding=1, hidden_size=7, output_size=5)
    kinds = [nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Flatten, nn.Linear, nn.ReLU, nn.Linear]
    assert [type(module) for module in model] == kinds
    assert model.affine1.in_features == 4 * 6 * 5
    assert model(torch.zeros(2, 3, 12, 10)).shape == (2, 5)


@pytest.mark.parametrize("side", [12, 28, 33])
def test_lenet_takes_images_of_its_side(side: int) -> None:
    assert models.LeNet(in_channels=2, side=side)(torch.zeros(1, 2, side, side)).shape == (1, 10)


def test_images_too_small_for_the_filters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 8, 8\) after pooling 2"):
        models.LeNet(side=8)


# ------------------------------------------------------------------------------------------------ ResNet


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
    ],
)
def test_a_resnet_has_as_many_parameters_as_published(name: str, parameters: int) -> None:
    assert count(getattr(models, name)()) == parameters


def test_options_change_a_resnet_as_they_say() -> None:
    with torch.no_grad():
        resnext = models.resnet50(groups=32, width_per_group=4)
        assert count(resnext) == 25_028_904  # ResNeXt-50, 32x4d
        assert resnext.layer1[0].conv2.weight.shape == (128, 4, 3, 3)
        assert count(models.resnet18(num_classes=10)) == 11_181_642
        grouped = models.resnet18(norm_layer=lambda channels: nn.GroupNorm(8, channels))
        assert not any(isinstance(module, nn.BatchNorm2d) for module in grouped.modules())


def test_a_dilated_stage_keeps_height_and_width() -> None:
    x = torch.zeros(1, 1024, 6, 6)
    with torch.no_grad():
        for dilate, side in ((False, 3), (True, 6)):
            model = models.ResNet(models.Bottleneck, [1, 1, 1, 2], replace_stride_with_dilation=[False, False, dilate])
            assert model.layer4(x).shape == (1, 2048, side, side)
    assert [block.conv2.dilation for block in model.layer4] == [(1, 1), (2, 2)]


def test_blocks_whose_last_normalization_is_zero_start_as_the_identity() -> None:
    model = models.ResNet(models.BasicBlock, [2, 1, 1, 1], zero_init_residual=True)
    x = torch.rand(2, 64, 4, 4)
    assert torch.equal(model.layer1(x), x)


def test_options_that_make_no_network_are_refused() -> None:
    with pytest.raises(ValueError, match="downloads no weights, got weights='DEFAULT'"):
        models.resnet18(weights="DEFAULT")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="groups=2"):
        models.resnet18(groups=2)
    with pytest.raises(NotImplementedError, match="Dilation"):
        models.resnet18(replace_stride_with_dilation=[False, False, True])
    with pytest.raises(ValueError, match="3-element"):
        models.resnet50(replace_stride_with_dilation=[True])
    with pytest.raises(NotImplementedError, match="residual"):
        models.resnet.Block().residual(torch.ones(1))


def test_a_checkpoint_from_before_batches_were_counted_loads() -> None:
    model, other = models.resnet18(num_classes=3), models.resnet18(num_classes=3)
    state = {name: value for name, value in model.state_dict().items() if "num_batches_tracked" not in name}
    other.load_state_dict(state)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters()))


def test_a_resnet_learns() -> None:
    torch.manual_seed(0)
    losses = losses_of(models.ResNet(models.BasicBlock, [1, 1, 1, 1], num_classes=3), torch.randn(6, 3, 32, 32), 0.01)
    assert losses[-1] < losses[0] / 4


# ------------------------------------------------------------------------------------------------ 6n + 2 layers


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("resnet20", 269_722), ("resnet32", 464_154), ("resnet44", 658_586), ("resnet56", 853_018), ("resnet110", 1_727_962)],
)
def test_the_networks_of_6n_and_2_layers_have_as_many_parameters_as_published(name: str, parameters: int) -> None:
    model = getattr(models, name)()
    assert count(model) == parameters
    weighted = [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert len(weighted) == int(name.removeprefix("resnet"))


def test_projections_add_two_convolutions_and_their_normalizations() -> None:
    more = shapes(models.resnet20(shortcut="B")).items() - shapes(models.resnet20()).items()
    assert {name for name, shape in more if len(shape) == 4} == {"layer2.0.downsample.0.weight", "layer3.0.downsample.0.weight"}
    assert sum(int(np.prod(shape)) for _, shape in more) == 16 * 32 + 32 * 64 + 2 * 32 + 2 * 64


def test_the_plain_twin_has_the_same_parameters_and_no_shortcuts() -> None:
    torch.manual_seed(0)
    residual = models.cifar_resnet(2)
    torch.manual_seed(0)
    plain = models.cifar_resnet(2, residual=False)
    a, b = residual.state_dict(), plain.state_dict()
    assert list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)
    for name in ("layer1", "layer2"):  # without the layers' contribution, the shortcut remains, and without that nothing
        x = torch.rand(1, 16, 4, 4)
        for model, something in ((residual, True), (plain, False)):
            block = getattr(model, name)[0]
            nn.init.zeros_(block.bn2.weight)
            assert bool(block(x).any()) is something


def test_a_padded_shortcut_takes_every_second_pixel_and_adds_zeros() -> None:
    x = torch.randn(2, 16, 5, 5)
    out = models.PaddedShortcut(16, 2)(x)
    assert torch.equal(out[:, :16], x[:, :, ::2, ::2]) and not out[:, 16:].any()


@pytest.mark.parametrize("options", [{}, {"shortcut": "B"}, {"residual": False}])
def test_small_images_are_learned(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    model = models.CifarResNet(1, in_channels=1, num_classes=3, **options)  # type: ignore[arg-type]
    losses = losses_of(model, torch.randn(6, 1, 8, 8), 0.05)
    assert losses[-1] < losses[0] / 2


def test_normalizations_can_be_left_out() -> None:
    model = models.cifar_resnet(1, norm_layer=nn.Identity)
    assert [name for name in shapes(model) if "bn" in name] == []
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 10)


def test_a_network_of_no_blocks_or_another_shortcut_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        models.cifar_resnet(0)
    with pytest.raises(ValueError, match="'A' or 'B', got 'C'"):
        models.cifar_resnet(1, shortcut="C")
