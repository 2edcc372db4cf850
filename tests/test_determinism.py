"""Results depend only on the number of threads: not on what ran before or concurrently, nor on memory addresses.

Each training runs several times in its own process, since only the first one there has no history.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = '''
import sys, threading
import numpy as np
import mini_dl as torch

nn, F = torch.nn, torch.nn.functional


class Last(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(192, 256), nn.Linear(256, 10)

    def forward(self, x):
        return self.head(self.lstm(x)[0][-1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.TransformerEncoderLayer(128, 4, 1024, 0.1, "gelu", batch_first=True), nn.Linear(128, 10)

    def forward(self, x):
        return self.head(self.layer(x).mean(1))


MODELS = {
    "mlp": (lambda: nn.Sequential(
        nn.Linear(300, 1600), nn.LayerNorm(1600), nn.GELU(), nn.Linear(1600, 1600), nn.LayerNorm(1600), nn.GELU(),
        nn.Linear(1600, 10),
    ), (170, 300), 170),
    "cnn": (lambda: nn.Sequential(
        nn.Conv2d(3, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(), nn.Conv2d(48, 64, 3, padding=1), nn.MaxPool2d(2),
        nn.Conv2d(64, 32, 5, stride=2), nn.Flatten(), nn.Linear(32 * 4 * 4, 600), nn.Dropout(0.2), nn.Linear(600, 10),
    ), (24, 3, 22, 22), 24),
    "lstm": (Last, (12, 40, 192), 40),
    "transformer": (Encoder, (24, 48, 128), 24),
}
OPTIMIZERS = {
    "Adam": lambda parameters: torch.optim.Adam(parameters, 1e-3),
    "SGD": lambda parameters: torch.optim.SGD(parameters, 0.05, momentum=0.9, weight_decay=1e-4),
}


def elsewhere(tensor, offset):
    """The same numbers, `offset` elements away from the start of a line of the cache."""
    raw = np.empty(tensor.nbytes + 256, np.uint8)
    start = -raw.ctypes.data % 64 + offset * tensor.itemsize
    array = raw[start : start + tensor.nbytes].view(tensor.numpy().dtype).reshape(tensor.shape)
    array[...] = tensor.numpy()
    return torch.from_numpy(array)


def train(offset=None):
    make, shape, count = MODELS[sys.argv[1]]
    torch.manual_seed(0)
    model = make()
    x, labels = torch.randn(shape), torch.randint(10, (count,))
    if offset is not None:
        x = elsewhere(x, offset)
        for number, parameter in enumerate(model.parameters()):
            parameter.data = elsewhere(parameter.data, offset + number)
    optimizer = OPTIMIZERS[sys.argv[2]](model.parameters())
    for _ in range(4):
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
    return b"".join([p.detach().numpy().tobytes() for p in model.parameters()])


def other_work():
    torch.randn(1000, 900) @ torch.randn(900, 700)
    F.softmax(torch.randn(1500, 700), 1)
    F.conv2d(torch.randn(4, 16, 40, 40), torch.randn(48, 16, 3, 3))
    a = torch.randn(512, 512)
    for _ in range(210):
        a @ a
    np.ones((700, 700)) @ np.ones((700, 700))


torch.set_num_threads(3)
first = train()
runs = {"a second time": train()}
other_work()
runs["after other work"] = train()
torch.set_num_threads(1)
train()
torch.set_num_threads(3)
runs["after another number of threads"] = train()
stop = threading.Event()


def beside():
    while not stop.is_set():
        F.softmax(torch.ones(1500, 700), 1)
        torch.ones(600, 500) @ torch.ones(500, 600)


thread = threading.Thread(target=beside)
thread.start()
try:
    runs["beside another thread"] = train()
finally:
    stop.set()
    thread.join()
found = []
worker = threading.Thread(target=lambda: found.append(train()))
worker.start()
worker.join()
runs["in another thread"] = found[0]
for offset in (1, 7):
    runs[f"{offset} elements further"] = train(offset)
print(*[name for name, run in runs.items() if run != first], sep=", ")
'''


@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
@pytest.mark.parametrize("model", ["mlp", "cnn", "lstm", "transformer"])
def test_a_training_gives_the_same_bits_whatever_ran_before_or_beside(model: str, optimizer: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, model, optimizer],
        capture_output=True, text=True, timeout=300, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == ""
