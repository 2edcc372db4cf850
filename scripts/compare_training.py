"""Train the same network under mini_dl and under torch, from one seed. No weights are copied.

Both libraries draw the same initial parameters, the same batches and the same dropout masks, so the losses agree step by step.
Exits with 1 if they do not, with 2 on an invalid call.

    python scripts/compare_training.py
    python scripts/compare_training.py --data mnist --root DIR --model cnn --optimizer adam --dtype float64
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from _report import AGREE, DISAGREE, image_parser, images_of, libraries, progress, table, versions, write_json, write_page

from mini_dl.files.replacing import replaced

LOSS_TOLERANCE = {"float32": 1e-4, "float64": 1e-9}  # relative, at every step
PARAMETER_TOLERANCE = 1e-6  # before the first step
ACCURACY_GAP = 0.005
ACCURACY_FLOOR = 0.97  # of the cnn, after three epochs or more


def network(torch: Any, model: str, side: int) -> Any:
    """One definition for both libraries; images are (N, 1, side, side).

    Smooth on purpose. At a kink (ReLU, the maximum of a window) a difference in the last bit can select another
    branch, after which two correct libraries diverge in float32.
    """
    nn = torch.nn
    if model == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(side * side, 128), nn.SiLU(), nn.Dropout(0.1), nn.Linear(128, 10))
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),  # batch norm has its own
        nn.BatchNorm2d(16),
        nn.SiLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.SiLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(32 * (side // 4) ** 2, 10),
    )


def optimizer(torch: Any, name: str, parameters: Any, lr: float | None) -> Any:
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=0.05 if lr is None else lr, momentum=0.9)
    made = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return made(parameters, lr=0.008 if lr is None else lr)


@dataclass
class Run:
    """One library's side of the comparison."""

    name: str
    torch: Any
    model: Any
    optimizer: Any
    batches: Any
    test: tuple[Any, Any]
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def step(self, images: Any, labels: Any) -> None:
        loss = self.torch.nn.functional.cross_entropy(self.model(images), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def predictions(self) -> Any:
        self.model.eval()
        with self.torch.no_grad():
            found = self.model(self.test[0]).argmax(1)
        self.model.train()
        return found.numpy()

    def parameters(self) -> list[Any]:
        return [p.detach().numpy() for p in self.model.parameters()]


def start(name: str, torch: Any, data: dict[str, Any], options: Any) -> Run:
    """Seed the library and build the network, the optimizer and the batches, in this order."""
    torch.set_default_dtype(getattr(torch, options.dtype))
    torch.manual_seed(options.seed)
    model = network(torch, options.model, data["train_images"].shape[-1])
    tensors = {key: torch.from_numpy(value) for key, value in data.items()}
    train = torch.utils.data.TensorDataset(tensors["train_images"], tensors["train_labels"])
    batches = torch.utils.data.DataLoader(train, batch_size=options.batch_size, shuffle=True)
    test = tensors["test_images"], tensors["test_labels"]
    return Run(name, torch, model, optimizer(torch, options.optimizer, model.parameters(), options.lr), batches, test)


def difference(first: list[Any], second: list[Any]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(first, second))


def divergence(ours: list[float], theirs: list[float]) -> list[float]:
    """Per step, the relative difference of the losses."""
    return [abs(a - b) / abs(b) for a, b in zip(ours, theirs)]


def train(runs: list[Run], epochs: int) -> tuple[list[dict[str, Any]], bool]:
    """Step by step in turn; a row per epoch, and whether all batches were identical."""
    rows, identical = [], True
    for epoch in range(1, epochs + 1):
        spent = [0.0] * len(runs)
        first = len(runs[0].losses)
        steps = zip(*[run.batches for run in runs])
        for batches in progress(steps, total=len(runs[0].batches), desc=f"epoch {epoch}"):
            arrays = [(images.numpy(), labels.numpy()) for images, labels in batches]
            identical = identical and all(np.array_equal(a[i], arrays[0][i]) for a in arrays for i in (0, 1))
            for i, (run, batch) in enumerate(zip(runs, batches)):
                began = time.perf_counter()
                run.step(*batch)
                spent[i] += time.perf_counter() - began
        row: dict[str, Any] = {"epoch": epoch}
        for run, seconds in zip(runs, spent):
            run.seconds.append(seconds)
            run.accuracies.append(float((run.predictions() == run.test[1].numpy()).mean()))
            row[run.name] = {
                "loss": float(np.mean(run.losses[first:])),
                "accuracy": run.accuracies[-1],
                "seconds": seconds,
            }
        if len(runs) == 2:
            row["loss difference"] = max(divergence(runs[0].losses[first:], runs[1].losses[first:]))
            row["parameter difference"] = difference(runs[0].parameters(), runs[1].parameters())
        rows.append(row)
    return rows, identical


HEADERS = {
    1: ["epoch", "loss", "test accuracy", "seconds"],
    2: ["epoch", "loss mini_dl", "loss torch", "accuracy mini_dl", "accuracy torch", "loss diff", "parameter diff"],
}


LEGEND = {
    "loss": "mean of the losses of the epoch's steps",
    "accuracy": "fraction of the test images whose digit is recognized",
    "loss diff": "the largest relative difference of the two libraries' losses at one step",
    "parameter diff": "the largest difference of a parameter after the epoch",
}


def cells(row: dict[str, Any], names: list[str]) -> list[str]:
    if len(names) == 1:
        own = row[names[0]]
        return [str(row["epoch"]), f"{own['loss']:.6f}", f"{own['accuracy']:.2%}", f"{own['seconds']:.2f}"]
    return [
        str(row["epoch"]),
        *[f"{row[name]['loss']:.6f}" for name in names],
        *[f"{row[name]['accuracy']:.2%}" for name in names],
        f"{row['loss difference']:.1e}",
        f"{row['parameter difference']:.1e}",
    ]


def verdicts(runs: list[Run], initial: float | None, identical: bool, options: Any) -> list[tuple[bool, str]]:
    """The requirements, and whether they are met."""
    best, known = runs[0].accuracies[-1], options.model == "cnn" and options.epochs >= 3
    expected = f", expected above {ACCURACY_FLOOR:.0%}" if known else ""
    found = [(best > ACCURACY_FLOOR or not known, f"test accuracy of mini_dl {best:.2%}{expected}")]
    if len(runs) == 1 or initial is None:
        return found
    allowed = LOSS_TOLERANCE[options.dtype]
    worst = max(divergence(runs[0].losses, runs[1].losses))
    gap = abs(runs[0].accuracies[-1] - runs[1].accuracies[-1])
    return [
        (initial <= PARAMETER_TOLERANCE, f"initial parameters differ by at most {initial:.1e}; no weights were copied"),
        (identical, "the batches are identical" if identical else "the batches differ"),
        (worst <= allowed, f"losses of all {len(runs[0].losses)} steps within {worst:.1e} relative, allowed {allowed:.0e}"),
        (gap <= ACCURACY_GAP, f"final test accuracies {gap:.2%} apart, allowed {ACCURACY_GAP:.1%}"),
        *found,
    ]


def draw(runs: list[Run], folder: Path, data: dict[str, Any]) -> list[dict[str, Any]]:
    """PNG plots; the sections of the page that show them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    sections = []

    def save(figure: Any, name: str, title: str, caption: str) -> None:
        figure.tight_layout()
        with replaced(folder / name) as file:
            figure.savefig(file, format="png", dpi=120)
        pyplot.close(figure)
        sections.append({"title": title, "image": name, "caption": caption})

    figure, axes = pyplot.subplots(figsize=(8, 4))
    styles = [{"color": "#c2410c", "lw": 2.6}, {"color": "#1d4ed8", "lw": 1.1, "ls": "--"}]
    for run, style in zip(runs, styles):
        axes.plot(range(1, len(run.losses) + 1), run.losses, label=run.name, **style)
    axes.set(xlabel="step", ylabel="cross entropy", yscale="log")
    axes.legend(frameon=False)
    save(figure, "losses.png", "Loss per step", "Training loss of each step, the curves overlaid.")
    if len(runs) == 2:
        figure, axes = pyplot.subplots(figsize=(8, 3.2))
        apart = np.array(divergence(runs[0].losses, runs[1].losses))
        steps, differ = np.arange(1, len(apart) + 1), apart > 0
        axes.semilogy(steps[differ], apart[differ], "o", ms=3, color="#0f766e")
        axes.set(xlabel="step", ylabel="relative difference", xlim=(0, len(apart) + 1))
        axes.set_title(f"{np.sum(~differ)} of {len(apart)} losses are equal to the last bit, the others differ by", fontsize=10)
        save(figure, "divergence.png", "Divergence", "How far the losses diverge: only rounding, amplified by training.")
    figure, grid = pyplot.subplots(3, 8, figsize=(8, 3.8))
    guesses = [run.predictions() for run in runs]
    wrong = np.flatnonzero(guesses[0] != data["test_labels"])[:8]
    shown = np.concatenate([wrong, np.setdiff1d(np.arange(64), wrong)])[: grid.size]
    for axes, i in zip(grid.flat, shown):
        axes.imshow(data["test_images"][i, 0], cmap="gray_r")
        right = guesses[0][i] == data["test_labels"][i]
        said = " | ".join(str(g[i]) for g in guesses)
        axes.set_title(f"{said}  ({data['test_labels'][i]})", fontsize=9, color="#1c1f23" if right else "#b3261e")
        axes.axis("off")
    who = " | ".join(run.name for run in runs)
    save(figure, "predictions.png", "Predictions", f"Test images, mistakes first in red; the guesses of {who} (the digit).")
    return sections


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    ours, theirs = libraries()
    data = images_of(options)
    if theirs is None:
        print("torch is not installed: training with mini_dl alone.")
    sides: list[tuple[str, ModuleType]] = [("mini_dl", ours)] + ([] if theirs is None else [("torch", theirs)])
    runs = [start(name, library, data, options) for name, library in sides]
    print(f"{options.model} on {options.data}, {options.optimizer}, {options.dtype}, seed {options.seed}; {versions(theirs)}")
    count = sum(p.size for p in runs[0].parameters())
    print(f"{len(data['train_labels'])} images to train, {len(data['test_labels'])} to test; {count} parameters\n")
    initial = difference(runs[0].parameters(), runs[1].parameters()) if len(runs) == 2 else None
    rows, identical = train(runs, options.epochs)
    names = [run.name for run in runs]
    lines = [cells(row, names) for row in rows]
    print(table(HEADERS[len(runs)], lines), end="\n\n")
    found = verdicts(runs, initial, identical, options)
    for good, text in found:
        print(f"{'ok  ' if good else 'FAIL'}  {text}")
    if not options.no_report:
        sections = [
            {"title": "Epochs", "header": HEADERS[len(runs)], "rows": lines, "legend": LEGEND},
            *draw(runs, options.report, data),
        ]
        title = f"mini_dl and torch: {options.model} on {options.data}"
        write_page(options.report / "training.html", title, sections, found, versions(theirs))
        print(f"\nwrote {options.report / 'training.html'}")
    numbers = {
        "options": {key: str(value) for key, value in vars(options).items()},
        "initial parameter difference": initial,
        "identical batches": identical,
        "epochs": rows,
        "losses": {run.name: run.losses for run in runs},
        "verdicts": [{"good": good, "text": text} for good, text in found],
    }
    write_json(options.json, numbers)
    return AGREE if all(good for good, _ in found) else DISAGREE


def parsed(arguments: list[str] | None) -> Any:
    made = image_parser("Train one network under mini_dl and under torch, from one seed, and compare step by step.", "float32")
    made.add_argument("--model", choices=("cnn", "mlp"), default="cnn", help="network")
    made.add_argument("--optimizer", choices=("adam", "adamw", "sgd"), default="adam", help="optimizer")
    made.add_argument("--lr", type=float, help="learning rate; default: 0.008 for Adam, 0.05 for SGD")
    made.add_argument("--epochs", type=int, default=3, help="passes over the data")
    made.add_argument("--batch-size", type=int, default=32, help="images per step")
    options = made.parse_args(arguments)
    if options.epochs < 1 or options.batch_size < 2:
        made.error("--epochs must be at least 1 and --batch-size at least 2")
    return options


if __name__ == "__main__":
    sys.exit(main())
