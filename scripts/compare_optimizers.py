"""The classic pictures of six optimizers by mini_dl and by torch, one over the other: paths over a bowl, training curves.

The bowl is f(x, y) = x^2 / 20 + y^2; the curves are those of a small network on the digits, or on MNIST. Prints the largest
difference of each; ends with 1 if one is too large, with 2 on a wrong call.

    python scripts/compare_optimizers.py
    python scripts/compare_optimizers.py --data mnist --root DIR --dtype float32
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _images import read
from _report import AGREE, DISAGREE, fail, libraries, parser, progress, table, versions, write_json, write_page
from compare_training import divergence, network

# name: class, options on the bowl, options in training
OPTIMIZERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 0.95}, {"lr": 0.5}),
    "momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}, {"lr": 0.05, "momentum": 0.9}),
    "Nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "AdaGrad": ("Adagrad", {"lr": 1.5}, {"lr": 0.05}),
    "RMSProp": ("RMSprop", {"lr": 0.3, "alpha": 0.9}, {"lr": 0.002}),
    "Adam": ("Adam", {"lr": 0.3}, {"lr": 0.005}),
}
START = (-7.0, 2.0)
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}  # places on the bowl; losses, relative


def bowl(x: Any, y: Any) -> Any:
    return x**2 / 20 + y**2


@dataclass
class Course:
    """What one optimizer did under each library; mini_dl comes first."""

    paths: dict[str, Any] = field(default_factory=dict)  # (steps + 1, 2)
    losses: dict[str, list[float]] = field(default_factory=dict)
    accuracies: dict[str, float] = field(default_factory=dict)

    @property
    def path_difference(self) -> float:
        ours, *theirs = self.paths.values()
        return max([float(np.abs(ours - path).max()) for path in theirs], default=0.0)

    @property
    def loss_difference(self) -> float:
        ours, *theirs = self.losses.values()
        return max([max(divergence(ours, losses)) for losses in theirs], default=0.0)


def descend(torch: Any, name: str, steps: int, dtype: str) -> Any:
    """The places on the bowl, START first."""
    kind, options, _ = OPTIMIZERS[name]
    place = torch.tensor(START, dtype=getattr(torch, dtype), requires_grad=True)
    optimizer = getattr(torch.optim, kind)([place], **options)
    path = [START]
    for _ in range(steps):
        optimizer.zero_grad()
        bowl(place[0], place[1]).backward()
        optimizer.step()
        path.append(tuple(place.tolist()))
    return np.array(path)


def train(torch: Any, name: str, data: dict[str, Any], options: Any) -> tuple[list[float], float]:
    """The loss of each step, and the accuracy on the test images afterwards."""
    kind, _, settings = OPTIMIZERS[name]
    torch.set_default_dtype(getattr(torch, options.dtype))
    torch.manual_seed(options.seed)
    model = network(torch, "mlp", data["train_images"].shape[-1])
    optimizer = getattr(torch.optim, kind)(model.parameters(), **settings)
    tensors = {key: torch.from_numpy(value) for key, value in data.items()}
    images = torch.utils.data.TensorDataset(tensors["train_images"], tensors["train_labels"])
    batches = torch.utils.data.DataLoader(images, batch_size=options.batch_size, shuffle=True)
    losses = []
    for _ in range(options.epochs):
        for inputs, labels in batches:
            loss = torch.nn.functional.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        right = model(tensors["test_images"]).argmax(1) == tensors["test_labels"]
    return losses, float(right.numpy().mean())


STYLES = [{"color": "#c2410c", "lw": 3.0}, {"color": "#1d4ed8", "lw": 1.2, "ls": "--"}]  # mini_dl below, torch over it


def draw(courses: dict[str, Course], folder: Path) -> list[dict[str, Any]]:
    """PNG plots; the sections of the page that show them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)

    def panels(values: Any, name: str, title: str, caption: str) -> dict[str, Any]:
        figure, grid = pyplot.subplots(2, 3, figsize=(10, 6), sharex=True, sharey=True)
        for axes, (optimizer, course) in zip(grid.flat, courses.items()):
            values(axes, course)
            axes.set_title(optimizer, fontsize=11)
        grid[0, 0].legend(frameon=False, fontsize=9)
        figure.tight_layout()
        figure.savefig(folder / name, dpi=120)
        pyplot.close(figure)
        return {"title": title, "image": name, "caption": caption}

    x, y = np.meshgrid(np.linspace(-8, 8, 161), np.linspace(-3.2, 3.2, 129))

    def on_the_bowl(axes: Any, course: Course) -> None:
        axes.contour(x, y, bowl(x, y), levels=np.arange(1, 11) ** 2 / 12, colors="#c7ccd1", linewidths=0.7)
        for (library, path), style in zip(course.paths.items(), STYLES):
            axes.plot(path[:, 0], path[:, 1], marker="o", ms=3 if style is STYLES[0] else 0, label=library, **style)
        axes.plot(0, 0, "+", color="#1c1f23", ms=9)

    def in_training(axes: Any, course: Course) -> None:
        for (library, losses), style in zip(course.losses.items(), STYLES):
            axes.semilogy(range(1, len(losses) + 1), losses, label=library, **style)
        axes.set(xlabel="step", ylabel="cross entropy")
        axes.label_outer()

    caption = "Both libraries from the same start; the curves overlaid."
    return [
        panels(on_the_bowl, "optimizers_bowl.png", "Paths over f(x, y) = x²/20 + y²", f"{caption} The cross is the minimum."),
        panels(in_training, "optimizers_training.png", "Training", f"{caption} Loss of each step."),
    ]


def verdicts(courses: dict[str, Course], allowed: float, alone: bool) -> list[tuple[bool, str]]:
    """What was promised, and whether it held."""
    found = []
    if not alone:
        path = max(course.path_difference for course in courses.values())
        loss = max(course.loss_difference for course in courses.values())
        found = [
            (path <= allowed, f"paths over the bowl differ by at most {path:.1e}, allowed {allowed:.0e}"),
            (loss <= allowed, f"losses differ by at most {loss:.1e} relative, allowed {allowed:.0e}"),
        ]
    learned = all(course.losses["mini_dl"][-1] < course.losses["mini_dl"][0] / 2 for course in courses.values())
    return [*found, (learned, "every optimizer at least halves the loss" if learned else "an optimizer does not learn")]


def rows_of(courses: dict[str, Course]) -> Iterable[list[str]]:
    for name, course in courses.items():
        end = course.paths["mini_dl"][-1]
        yield [
            name,
            f"({end[0]:.3f}, {end[1]:.3f})",
            f"{course.path_difference:.1e}",
            f"{course.losses['mini_dl'][-1]:.4f}",
            f"{course.loss_difference:.1e}",
            " | ".join(f"{accuracy:.2%}" for accuracy in course.accuracies.values()),
        ]


HEADER = ["optimizer", "end of the path", "path diff", "last loss", "loss diff", "accuracy"]


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    ours, theirs = libraries()
    try:
        data = read(options.data, options.root, options.dtype)
    except (OSError, ValueError, RuntimeError) as error:
        return fail(str(error))
    sides = {"mini_dl": ours} if theirs is None else {"mini_dl": ours, "torch": theirs}
    print(f"{options.data}, {options.dtype}, seed {options.seed}; {versions(theirs)}\n")
    courses: dict[str, Course] = {}
    for name in progress(OPTIMIZERS, desc="optimizers"):
        course = courses[name] = Course()
        for library, torch in sides.items():
            course.paths[library] = descend(torch, name, options.steps, options.dtype)
            course.losses[library], course.accuracies[library] = train(torch, name, data, options)
    rows = list(rows_of(courses))
    print(table(HEADER, rows), end="\n\n")
    found = verdicts(courses, TOLERANCE[options.dtype], theirs is None)
    for good, text in found:
        print(f"{'ok  ' if good else 'FAIL'}  {text}")
    if not options.no_report:
        sections = [{"title": "Differences", "header": HEADER, "rows": rows}, *draw(courses, options.report)]
        page = options.report / "optimizers.html"
        write_page(page, "Optimizers of mini_dl and torch", sections, found, versions(theirs))
        print(f"\nwrote {page}")
    numbers = {
        name: {
            "path": {library: path.tolist() for library, path in course.paths.items()},
            "losses": course.losses,
            "accuracy": course.accuracies,
            "path difference": course.path_difference,
            "loss difference": course.loss_difference,
        }
        for name, course in courses.items()
    }
    write_json(options.json, {"optimizers": numbers, "verdicts": [{"good": good, "text": text} for good, text in found]})
    return AGREE if all(good for good, _ in found) else DISAGREE


def parsed(arguments: list[str] | None) -> Any:
    made = parser("Draw the paths and training curves of six optimizers under mini_dl and torch.")
    made.add_argument("--data", choices=("digits", "mnist"), default="digits", help="digits are shipped with mini_dl")
    made.add_argument("--root", type=Path, help="folder of the MNIST files; default: the environment variable MINI_DL_DATA")
    made.add_argument("--dtype", choices=("float32", "float64"), default="float64", help="type of all numbers")
    made.add_argument("--steps", type=int, default=30, help="steps on the bowl")
    made.add_argument("--epochs", type=int, default=4, help="passes over the images")
    made.add_argument("--batch-size", type=int, default=64, help="images per step")
    made.add_argument("--report", type=Path, default=Path("report"), help="folder for optimizers.html and the plots")
    made.add_argument("--no-report", action="store_true", help="numbers only")
    options = made.parse_args(arguments)
    if min(options.steps, options.epochs, options.batch_size) < 1:
        made.error("--steps, --epochs and --batch-size must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
