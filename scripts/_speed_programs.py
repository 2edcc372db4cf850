"""Whole programs that `compare_speed` times: training steps and inference of networks as they are commonly written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from _speed_cases import Work, case, tensor, without_gradients


def training_step(
    torch: Any, model: Any, *shape: int, optimizer: str = "SGD", loss_of: Callable[[Any, Any], Any] | None = None
) -> Work:
    """Forward, loss (by default the cross entropy of ten classes), backward and a step of the optimizer."""
    options: dict[str, float] = {"momentum": 0.9} if optimizer == "SGD" else {}
    stepping = getattr(torch.optim, optimizer)(model.parameters(), lr=1e-3, **options)
    input, labels = tensor(torch, *shape), torch.from_numpy(np.arange(shape[0]) % 10)

    def work() -> None:
        found = torch.nn.functional.cross_entropy(model(input), labels) if loss_of is None else loss_of(model, input)
        stepping.zero_grad()
        found.backward()
        stepping.step()

    return work


def perceptron(torch: Any, *widths: int) -> Any:
    """Linear layers with ReLU between them."""
    torch.manual_seed(0)
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def lenet(torch: Any) -> Any:
    nn = torch.nn
    torch.manual_seed(0)
    features = [nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)]
    head = [nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
    return nn.Sequential(*features, *head)


def resnet(torch: Any, layers: list[int], bottleneck: bool, classes: int = 1000) -> Any:
    """ResNet of He et al. (2016), with the stride on the 3 x 3 kernel."""
    nn = torch.nn
    torch.manual_seed(0)

    def convolved(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[Any]:
        return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, inputs: int, width: int, stride: int) -> None:
            super().__init__()
            outputs = 4 * width if bottleneck else width
            if bottleneck:
                path = [*convolved(inputs, width, 1), nn.ReLU(), *convolved(width, width, 3, stride), nn.ReLU()]
                self.path = nn.Sequential(*path, *convolved(width, outputs, 1))
            else:
                path = [*convolved(inputs, width, 3, stride), nn.ReLU()]
                self.path = nn.Sequential(*path, *convolved(width, outputs, 3))
            same = stride == 1 and inputs == outputs
            self.shortcut = nn.Identity() if same else nn.Sequential(*convolved(inputs, outputs, 1, stride))

        def forward(self, x: Any) -> Any:
            return torch.relu(self.path(x) + self.shortcut(x))

    blocks, channels = [*convolved(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for stage, count in enumerate(layers):
        for number in range(count):
            width = 64 << stage
            blocks.append(Block(channels, width, 2 if stage and not number else 1))
            channels = 4 * width if bottleneck else width
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def gpt(torch: Any, vocabulary: int, layers: int, heads: int, width: int, block: int) -> Any:
    """minGPT (Karpathy, 2020): attention written out, as there."""
    nn = torch.nn
    torch.manual_seed(0)

    class Attention(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.of_all, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.register_buffer("mask", torch.tril(torch.ones(block, block)).view(1, 1, block, block))

        def forward(self, x: Any) -> Any:
            n, t, c = x.shape
            q, k, v = (part.view(n, t, heads, c // heads).transpose(1, 2) for part in self.of_all(x).split(c, dim=2))
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
            y = nn.functional.softmax(scores, dim=-1) @ v
            return self.out(y.transpose(1, 2).contiguous().view(n, t, c))

    class Layer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.attention = nn.LayerNorm(width), nn.LayerNorm(width), Attention()
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x: Any) -> Any:
            x = x + self.attention(self.first(x))
            return x + self.mlp(self.second(x))

    class Gpt(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(block, width)
            self.blocks, self.norm = nn.Sequential(*[Layer() for _ in range(layers)]), nn.LayerNorm(width)
            self.head = nn.Linear(width, vocabulary, bias=False)

        def forward(self, tokens: Any) -> Any:
            positions = torch.arange(0, tokens.size(1), dtype=torch.long)
            return self.head(self.norm(self.blocks(self.tokens(tokens) + self.positions(positions))))

    return Gpt()


def next_token_step(torch: Any, model: Any, vocabulary: int, *shape: int) -> Work:
    """A step of AdamW on the prediction of the next of random tokens, (N, T)."""
    text = torch.from_numpy(np.random.default_rng(0).integers(0, vocabulary, (shape[0], shape[1] + 1)))

    def loss(model: Any, _: Any) -> Any:
        scores = model(text[:, :-1])
        return torch.nn.functional.cross_entropy(scores.reshape(-1, vocabulary), text[:, 1:].reshape(-1))

    return training_step(torch, model, 1, optimizer="AdamW", loss_of=loss)


# ------------------------------------------------------------------------------------------------ steps and inference


@case("training steps: MLP 784-50-10, batch 100")
def _(torch: Any) -> Work:
    return training_step(torch, perceptron(torch, 784, 50, 10), 100, 784)


@case("training steps: MLP 784-512-512-10, batch 128")
def _(torch: Any) -> Work:
    return training_step(torch, perceptron(torch, 784, 512, 512, 10), 128, 784)


@case("training steps: LeNet, 64 x 1 x 28 x 28")
def _(torch: Any) -> Work:
    return training_step(torch, lenet(torch), 64, 1, 28, 28)


@case("training steps: the CNN of compare_training, 32 x 1 x 28 x 28")
def _(torch: Any) -> Work:
    from compare_training import network

    torch.manual_seed(0)
    return training_step(torch, network(torch, "cnn", 28), 32, 1, 28, 28)


@case("training steps: ResNet-18, 16 x 3 x 64 x 64")
def _(torch: Any) -> Work:
    return training_step(torch, resnet(torch, [2, 2, 2, 2], False), 16, 3, 64, 64)


@case("training steps: char-GPT, 4 layers of 128, 8 x 64")
def _(torch: Any) -> Work:
    return next_token_step(torch, gpt(torch, 65, 4, 4, 128, 64), 65, 8, 64)


@case("inference: MLP 784-512-512-10, batch 1")
def _(torch: Any) -> Work:
    return without_gradients(torch, perceptron(torch, 784, 512, 512, 10).eval(), tensor(torch, 1, 784))


@case("inference: ResNet-18, 1 x 3 x 224 x 224")
def _(torch: Any) -> Work:
    return without_gradients(torch, resnet(torch, [2, 2, 2, 2], False).eval(), tensor(torch, 1, 3, 224, 224))


# ------------------------------------------------------------------------------------------------ whole programs


@case("programs: ResNet-50 inference, 4 x 3 x 96 x 96")
def _(torch: Any) -> Work:
    return without_gradients(torch, resnet(torch, [3, 4, 6, 3], True).eval(), tensor(torch, 4, 3, 96, 96))


@case("programs: minGPT step, 6 layers of 192, 4 x 64")
def _(torch: Any) -> Work:
    return next_token_step(torch, gpt(torch, 256, 6, 6, 192, 64), 256, 4, 64)


@case("programs: DCGAN step, 16 x 3 x 64 x 64")
def _(torch: Any) -> Work:
    """Radford et al. (2016), as torch's example trains it: the discriminator on real and generated images, then the generator."""
    nn = torch.nn
    torch.manual_seed(0)
    made, judged = [nn.ConvTranspose2d(100, 256, 4, 1, 0, bias=False), nn.BatchNorm2d(256), nn.ReLU(True)], []
    for n, m in ((256, 128), (128, 64), (64, 32)):
        made += [nn.ConvTranspose2d(n, m, 4, 2, 1, bias=False), nn.BatchNorm2d(m), nn.ReLU(True)]
    for n, m in ((3, 32), (32, 64), (64, 128), (128, 256)):
        judged += [nn.Conv2d(n, m, 4, 2, 1, bias=False), *([nn.BatchNorm2d(m)] if n > 3 else []), nn.LeakyReLU(0.2)]
    maker = nn.Sequential(*made, nn.ConvTranspose2d(32, 3, 4, 2, 1, bias=False), nn.Tanh())
    critic = nn.Sequential(*judged, nn.Conv2d(256, 1, 4, 1, 0, bias=False), nn.Flatten())
    adam = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (critic, maker)]
    real, noise, ones, zeros = tensor(torch, 16, 3, 64, 64), tensor(torch, 16, 100, 1, 1), torch.ones(16, 1), torch.zeros(16, 1)
    loss = nn.BCEWithLogitsLoss()

    def work() -> None:
        adam[0].zero_grad()
        images = maker(noise)
        (loss(critic(real), ones) + loss(critic(images.detach()), zeros)).backward()
        adam[0].step()
        adam[1].zero_grad()
        loss(critic(images), ones).backward()
        adam[1].step()

    return work


def unet(torch: Any, width: int) -> Any:
    """Ronneberger et al. (2015): three levels, normalized."""
    nn = torch.nn
    torch.manual_seed(0)

    def twice(n: int, m: int) -> Any:
        first, second = (nn.Conv2d(k, m, 3, padding=1, bias=False) for k in (n, m))
        return nn.Sequential(first, nn.BatchNorm2d(m), nn.ReLU(), second, nn.BatchNorm2d(m), nn.ReLU())

    class UNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            widths = [width << level for level in range(4)]
            self.down = nn.ModuleList([twice(n, m) for n, m in zip([1, *widths], widths)])
            self.up = nn.ModuleList([nn.ConvTranspose2d(2 * m, m, 2, 2) for m in widths[-2::-1]])
            self.joined = nn.ModuleList([twice(2 * m, m) for m in widths[-2::-1]])
            self.last = nn.Conv2d(width, 2, 1)

        def forward(self, x: Any) -> Any:
            seen = []
            for level, block in enumerate(self.down):
                x = block(nn.functional.max_pool2d(x, 2) if level else x)
                seen.append(x)
            for up, block, other in zip(self.up, self.joined, seen[-2::-1]):
                x = block(torch.cat([other, up(x)], dim=1))
            return self.last(x)

    return UNet()


@case("programs: U-Net step, 2 x 1 x 128 x 128")
def _(torch: Any) -> Work:
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (2, 128, 128)))
    loss = lambda model, x: torch.nn.functional.cross_entropy(model(x), labels)
    return training_step(torch, unet(torch, 16), 2, 1, 128, 128, optimizer="Adam", loss_of=loss)


@case("programs: LSTM language model step, 2 layers of 200, 20 x 35")
def _(torch: Any) -> Work:
    nn = torch.nn
    torch.manual_seed(0)

    class Model(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.lstm = nn.Embedding(2000, 200), nn.LSTM(200, 200, 2, batch_first=True)
            self.head = nn.Linear(200, 2000)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.lstm(self.tokens(tokens))[0])

    return next_token_step(torch, Model(), 2000, 20, 35)
