"""The network and the training loop of many experiments, given either library as `torch`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from mini_dl.experiments._frame import Images
from mini_dl.experiments._types import Part, Torch

INITIALIZATIONS: dict[str, Callable[[Part, Part], Part]] = {  # of torch.nn.init and a weight
    "std 1": lambda init, weight: init.normal_(weight, std=1.0),
    "std 0.01": lambda init, weight: init.normal_(weight, std=0.01),
    "Xavier": lambda init, weight: init.xavier_normal_(weight),
    "He": lambda init, weight: init.kaiming_normal_(weight, nonlinearity="relu"),
}


def perceptron(torch: Torch, sizes: list[int], activation: str = "ReLU", batch_norm: bool = False, dropout: float = 0.0) -> Part:
    """Linear layers of the sizes, input first; between them batch norm if requested, the activation, dropout. Flattens images."""
    nn = torch.nn
    layers = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes[:-1]):
        layers.append(nn.Linear(inputs, outputs))
        if batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(getattr(nn, activation)())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def initialized(torch: Torch, model: Part, draw: Callable[[Part, Part], Part]) -> Part:
    """The model with the weights of its linear layers reinitialized, by one of INITIALIZATIONS or similar; their biases are 0."""
    for layer in model:
        if isinstance(layer, torch.nn.Linear):
            draw(torch.nn.init, layer.weight)
            torch.nn.init.zeros_(layer.bias)
    return model


def accuracy(torch: Torch, model: Part, images: Part, labels: Part) -> float:
    """The fraction of images whose largest output is that of their label, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        right = model(images).argmax(1) == labels
    model.train()
    return float(right.double().mean())


def epoch(torch: Torch, model: Part, optimizer: Part, images: Part, labels: Part, batch_size: int) -> list[float]:
    """One pass over the shuffled images, minimizing the cross entropy; the losses of all steps."""
    losses = []
    for chosen in torch.randperm(len(labels)).split(batch_size):
        loss = torch.nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def train(torch: Torch, model: Part, optimizer: Part, data: Images, epochs: int, batch_size: int) -> dict[str, list[float]]:
    """The losses of all steps; both accuracies at the start and after each epoch."""
    course: dict[str, list[float]] = {"losses": [], "train": [], "test": []}

    def measure() -> None:
        course["train"].append(accuracy(torch, model, data.train_images, data.train_labels))
        course["test"].append(accuracy(torch, model, data.test_images, data.test_labels))

    measure()
    for _ in range(epochs):
        course["losses"] += epoch(torch, model, optimizer, data.train_images, data.train_labels, batch_size)
        measure()
    return course
