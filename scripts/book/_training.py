"""The network and the loop that many experiments train with, over the name `torch`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripts.book._frame import Images

INITIALISATIONS: dict[str, Callable[[Any, Any], Any]] = {  # of torch.nn.init and a weight
    "std 1": lambda init, weight: init.normal_(weight, std=1.0),
    "std 0.01": lambda init, weight: init.normal_(weight, std=0.01),
    "Xavier": lambda init, weight: init.xavier_normal_(weight),
    "He": lambda init, weight: init.kaiming_normal_(weight, nonlinearity="relu"),
}


def perceptron(torch: Any, sizes: list[int], activation: str = "ReLU") -> Any:
    """Linear layers of the sizes, input first, with the activation between them; images are flattened."""
    nn = torch.nn
    layers = [nn.Flatten()]
    for i in range(1, len(sizes)):
        layers.append(nn.Linear(sizes[i - 1], sizes[i]))
        if i < len(sizes) - 1:
            layers.append(getattr(nn, activation)())
    return nn.Sequential(*layers)


def accuracy(torch: Any, model: Any, images: Any, labels: Any) -> float:
    """The share of images whose largest output is that of their label, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        right = model(images).argmax(1) == labels
    model.train()
    return float(right.double().mean())


def train(torch: Any, model: Any, optimizer: Any, data: Images, epochs: int, batch_size: int) -> dict[str, list[float]]:
    """By cross entropy over shuffled batches: the losses of all steps; both accuracies at the start and after each epoch."""
    course: dict[str, list[float]] = {"losses": [], "train": [], "test": []}

    def measure() -> None:
        course["train"].append(accuracy(torch, model, data.train_images, data.train_labels))
        course["test"].append(accuracy(torch, model, data.test_images, data.test_labels))

    measure()
    for _ in range(epochs):
        for chosen in torch.randperm(len(data.train_labels)).split(batch_size):
            outputs = model(data.train_images[chosen])
            loss = torch.nn.functional.cross_entropy(outputs, data.train_labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            course["losses"].append(loss.item())
        measure()
    return course
