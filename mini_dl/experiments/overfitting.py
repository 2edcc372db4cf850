"""Overfitting, weight decay and dropout.

300 images are too few for a network of seven layers with 100 units. It learns them by heart: all of them right, their loss near
zero. The loss on images it has not seen falls at first and then rises, since the network grows ever surer of its mistakes.

Weight decay pulls every weight toward zero: the loss on unseen images falls further and stays lower. Dropout leaves out a random
part of each layer at every step (Srivastava et al. 2014): to learn by heart takes several times as long, and the loss on unseen
images falls further before it rises. The accuracy on them moves little: what is held back is the certainty.
"""

from __future__ import annotations

from mini_dl.experiments._frame import COLORS, first, images, legend, overlay, panels, pick
from mini_dl.experiments._training import INITIALIZATIONS, epoch, initialized, perceptron
from mini_dl.experiments._types import Figure, Part, Results, Torch

TOLERANCE = 1e-6
SETTINGS: dict[str, dict[str, float]] = {
    "neither": {"decay": 0.0, "dropout": 0.0},
    "weight decay 0.02": {"decay": 0.02, "dropout": 0.0},
    "dropout 0.2": {"decay": 0.0, "dropout": 0.2},
}
PARTS = ("train", "test")
COUNT, EPOCHS = 300, 100


def run(torch: Torch, quick: bool = False) -> Results:
    """In float64, by setting and part of the images: loss and accuracy at the start and after each epoch; all test images
    unless quick."""
    data = images(torch, quick, "float64")
    train = data.train_images[:COUNT], data.train_labels[:COUNT]
    test = data.test_images, data.test_labels
    found: Results = {}
    for name, setting in SETTINGS.items():
        torch.manual_seed(0)
        model = perceptron(torch, [data.pixels, *[100] * 6, 10], dropout=setting["dropout"]).double()
        initialized(torch, model, INITIALIZATIONS["He"])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=setting["decay"])
        measured = [[evaluation(torch, model, *part) for part in (train, test)]]
        for _ in range(EPOCHS):
            epoch(torch, model, optimizer, *train, 100)
            measured.append([evaluation(torch, model, *part) for part in (train, test)])
        found[name] = {
            part: {"loss": [at[i][0] for at in measured], "accuracy": [at[i][1] for at in measured]}
            for i, part in enumerate(PARTS)
        }
    return found


def evaluation(torch: Torch, model: Part, images: Part, labels: Part) -> tuple[float, float]:
    """Cross entropy and accuracy, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        outputs = model(images)
        loss = torch.nn.functional.cross_entropy(outputs, labels)
    model.train()
    return loss.item(), (outputs.argmax(1) == labels).double().mean().item()


def draw(results: Results) -> Figure:
    figure, grid = panels(2, len(SETTINGS), size=(12, 7), sharex=True, sharey="row")
    for line, value, top in zip(grid, ("loss", "accuracy"), (2.6, 1.02)):
        for axes, name in zip(line, SETTINGS):
            for part, color in zip(PARTS, COLORS):
                overlay(axes, pick(results, name, part, value), f"{part} images", color, start=0)
            axes.set(ylim=(0, top))
        line[0].set(ylabel={"loss": "cross entropy"}.get(value, value))
    for i, name in enumerate(SETTINGS):
        grid[0, i].set(title=name)
        grid[1, i].set(xlabel="epoch")
    legend(grid[0, 0], results, loc="upper right")
    return figure


def report(results: Results) -> list[str]:
    lines = []
    for name, parts in first(results).items():
        ends = [f"{part} {parts[part]['loss'][-1]:.3f} and {parts[part]['accuracy'][-1]:.1%}" for part in PARTS]
        lowest = min(range(len(parts["test"]["loss"])), key=parts["test"]["loss"].__getitem__)
        lines.append(
            f"{name}: last loss and accuracy, {', '.join(ends)}; "
            f"the test loss was lowest, {parts['test']['loss'][lowest]:.3f}, after epoch {lowest}"
        )
    return lines
