"""A program that trains: a line that is wrong ends with ``# error``, and what is revealed ends with ``# is <type>``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typing_extensions import reveal_type

import mini_dl as torch
import mini_dl.nn.functional as F
from mini_dl import Tensor, nn, optim
from mini_dl.distributions import Categorical, Normal, kl_divergence
from mini_dl.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, StepLR
from mini_dl.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, random_split

# ------------------------------------------------------------------------------------------------ a network


class Net(nn.Module):
    scale: Tensor

    def __init__(self, width: int = 16, drop: float = 0.1) -> None:
        super().__init__()
        self.first = nn.Linear(8, width)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(drop)
        self.heads = nn.ModuleList([nn.Linear(width, 3), nn.Linear(width, 3)])
        self.bias = nn.Parameter(torch.zeros(3))
        self.register_buffer("scale", torch.ones(1))

    def forward(self, input: Tensor, twice: bool = False) -> Tensor:
        hidden = self.drop(F.relu(self.norm(self.first(input))))
        outputs = [head(hidden) for head in self.heads]
        result = torch.stack(outputs).mean(0) + self.bias * self.scale
        return result * 2 if twice else result


class Pair(nn.Module):
    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        return left + right, left - right


class Holder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.ZeroPad2d(1), nn.Identity()])

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.parts)

    def forward(self, input: Tensor, *, scale: float = 1.0) -> dict[str, Tensor]:
        return {"scaled": self.parts[0](input) * scale}


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor) -> Tensor:
        ctx.save_for_backward(input)
        return input**3

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (input,) = ctx.saved_tensors
        return grad * 3 * input**2


net = Net()
pair = Pair()
holder = Holder()
scaled = holder(torch.ones(1, 1, 2, 2), scale=2.0)["scaled"]
cubed = Cube.apply(torch.ones(2))
one_of_several: nn.Module = [net, pair, holder][0]
anything = one_of_several(torch.ones(2))
sequence = nn.Sequential(nn.Conv2d(1, 4, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
lstm = nn.LSTM(8, 16, num_layers=2, batch_first=True)
attention = nn.MultiheadAttention(embed_dim=8, num_heads=2)
layer = nn.Linear(3, 2, bias=False, dtype=torch.float64, device="cpu")
image = torch.randn(2, 1, 8, 8)
batch = torch.randn(4, 8)
scores = net(batch)
scores = net(batch, twice=True)
features = sequence(image)
output, (hidden, cell) = lstm(torch.randn(4, 5, 8))
attended, weights = attention(batch, batch, batch)
total, difference = pair(batch, batch)
net.train().eval().to(torch.float32)
count = sum(parameter.numel() for parameter in net.parameters())
named = {name: parameter.shape for name, parameter in net.named_parameters()}
net.load_state_dict(net.state_dict())
net.apply(lambda module: None)
nn.init.xavier_uniform_(net.first.weight)
nn.utils.clip_grad_norm_(net.parameters(), max_norm=1.0)
children = list(net.children())
first_layer = sequence[0]
net.requires_grad_(True)

nn.Liner(3, 2)  # error
nn.Linear("3", 2)  # error
nn.Linear(3)  # error
nn.Linear(3, 2, biass=True)  # error
nn.Conv2d(1, 4, "three")  # error
nn.Dropout("half")  # error
net(batch, thrice=True)  # error
pair(batch)  # error
net.train(mode="yes")  # error
nn.Sequential(1, 2)  # error
net.load_state_dict(3)  # error
nn.init.xavier_uniform_("weight")  # error

reveal_type(net(batch))  # is Tensor
reveal_type(pair(batch, batch))  # is tuple[Tensor, Tensor]
reveal_type(holder(batch))  # is dict[str, Tensor]
reveal_type(lstm(batch))  # is tuple[Tensor, tuple[Tensor, Tensor]]
reveal_type(holder.parts[0])  # is Module
reveal_type(nn.Linear(3, 2)(batch))  # is Tensor
reveal_type(nn.ReLU()(batch))  # is Tensor
reveal_type(nn.BatchNorm2d(1)(image))  # is Tensor
reveal_type(nn.Linear(3, 2).weight)  # is Parameter
reveal_type(nn.CrossEntropyLoss()(scores, scores))  # is Tensor
reveal_type(net.first)  # is Linear
reveal_type(net.train())  # is Net
reveal_type(net.parameters())  # is Iterator[Parameter]
reveal_type(net.scale)  # is Tensor

# ------------------------------------------------------------------------------------------------ losses and functions

target = torch.tensor([0, 1, 2, 0])
loss = F.cross_entropy(scores, target)
loss = F.mse_loss(scores, scores, reduction="sum")
loss = nn.CrossEntropyLoss(label_smoothing=0.1)(scores, target)
loss = nn.CrossEntropyLoss(torch.ones(3), ignore_index=-1)(scores, target)
loss = nn.CrossEntropyLoss(weight=torch.ones(3), reduction="none")(scores, target).mean()
loss = nn.MultiMarginLoss(1, 1.0, torch.ones(3))(scores, target)
loss = nn.BCEWithLogitsLoss(pos_weight=torch.ones(3))(scores, scores)
loss = F.nll_loss(F.log_softmax(scores, dim=1), target)
pooled = F.max_pool2d(image, 2)
pooled, where = F.max_pool2d(image, 2, return_indices=True)
padded = F.pad(image, (1, 1, 1, 1), mode="reflect")
bigger = F.interpolate(image, scale_factor=2.0, mode="bilinear")
convolved = F.conv2d(image, torch.randn(2, 1, 3, 3), padding=1)
dropped = F.dropout(batch, p=0.5, training=True)
hot = F.one_hot(target, num_classes=3)
loss.backward()
value: float = loss.item()

F.cross_entropy(scores)  # error
F.sofmax(scores, dim=1)  # error
F.relu("x")  # error
F.mse_loss(scores, scores, reduce_to="sum")  # error
F.conv2d(image)  # error

reveal_type(F.cross_entropy(scores, target))  # is Tensor
reveal_type(F.max_pool2d(image, 2))  # is Tensor
reveal_type(F.max_pool2d(image, 2, return_indices=True))  # is tuple[Tensor, Tensor]
reveal_type(F.softmax(scores, dim=1))  # is Tensor

# ------------------------------------------------------------------------------------------------ data


class Squares(Dataset[tuple[Tensor, int]]):
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.tensor([float(index)]), index**2

    def __len__(self) -> int:
        return 10


class Stream(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        yield from range(3)


squares = Squares()
rows = TensorDataset(torch.randn(10, 8), torch.zeros(10, dtype=torch.long))
loader = DataLoader(rows, batch_size=4, shuffle=True)
other = DataLoader(squares, batch_size=2, num_workers=0, drop_last=True)
streamed = DataLoader(Stream(), batch_size=2)
train, test = random_split(squares, [8, 2], generator=torch.Generator().manual_seed(0))
some = Subset(squares, [0, 1])
for inputs, labels in loader:
    scores = net(inputs)
    loss = F.cross_entropy(scores, labels)
point, square = squares[0]
size = len(loader)
longer = squares + squares
pairs: list[tuple[Tensor, int]] = [(torch.ones(2), 1)]
from_list = DataLoader(pairs, batch_size=2, collate_fn=lambda batch: batch)
parts = random_split(pairs, [1, 0])

DataLoader(rows, batch_size="4")  # error
DataLoader(3)  # error
DataLoader(rows, shufle=True)  # error
random_split(squares, "8")  # error
TensorDataset([1, 2])  # error
wrong: str = squares[0]  # error

reveal_type(loader)  # is DataLoader[tuple[Tensor, ...]]
reveal_type(other)  # is DataLoader[tuple[Tensor, int]]
reveal_type(some)  # is Subset[tuple[Tensor, int]]
reveal_type(some[0])  # is tuple[Tensor, int]
reveal_type(train)  # is Subset[tuple[Tensor, int]]
reveal_type(squares[0])  # is tuple[Tensor, int]
reveal_type(rows[0])  # is tuple[Tensor, ...]
reveal_type(next(iter(loader)))  # is Any

# ------------------------------------------------------------------------------------------------ optimizers

optimizer = optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=1e-4)
other_optimizer = optim.SGD([{"params": net.first.parameters(), "lr": 0.1}], lr=0.01, momentum=0.9, nesterov=True)
named_optimizer = optim.AdamW(net.named_parameters(), lr=1e-3)
scheduler = StepLR(optimizer, step_size=10, gamma=0.5)
cosine = CosineAnnealingLR(optimizer, T_max=10)
cycle = OneCycleLR(optimizer, max_lr=0.1, total_steps=10)
optimizer.zero_grad()
optimizer.step()
scheduler.step()
rate: float = optimizer.param_groups[0]["lr"]
averaged = optim.swa_utils.AveragedModel(net)


def closure() -> Tensor:
    optimizer.zero_grad()
    result = F.mse_loss(net(batch), torch.zeros(4, 3))
    result.backward()
    return result


optim.LBFGS(net.parameters()).step(closure)
torch.save(net.state_dict(), Path("net.pt"))

optim.Adan(net.parameters())  # error
optim.Adam(net.parameters(), learning_rate=0.1)  # error
optim.SGD(net.parameters(), lr="fast")  # error
optim.SGD(net, lr=0.1)  # error
StepLR(optimizer)  # error
StepLR(net, step_size=1)  # error
optimizer.stepp()  # error
optim.SGD(lr=0.1)  # error

reveal_type(optimizer)  # is Adam
reveal_type(scheduler.get_last_lr())  # is list[float | Tensor]
reveal_type(optimizer.zero_grad())  # is None
reveal_type(optimizer.state_dict())  # is dict[str, Any]

# ------------------------------------------------------------------------------------------------ distributions

normal = Normal(torch.zeros(3), 1.0)
categorical = Categorical(logits=scores)
sample = normal.rsample((2,))
log_prob = categorical.log_prob(torch.tensor([0, 1, 2, 0]))
divergence = kl_divergence(normal, Normal(0.0, 2.0))

Normal("zero", 1.0)  # error
normal.log_probs(sample)  # error

reveal_type(normal)  # is Normal
reveal_type(normal.sample())  # is Tensor
reveal_type(normal.mean)  # is Tensor
reveal_type(divergence)  # is Tensor
