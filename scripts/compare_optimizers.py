"""The classic pictures of six optimizers, by mini_dl and by torch in one plot: paths over a bowl, training curves.

The bowl is f(x, y) = x^2 / 20 + y^2; the curves are those of a small network on the digits, or on MNIST. Prints the largest
difference of each; exits with 1 if one is too large, with 2 on an invalid call.

    python scripts/compare_optimizers.py
    python scripts/compare_optimizers.py --data mnist --root DIR --dtype float32
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from _report import AGREE, DISAGREE, image_parser, images_of, libraries, progress, table, versions, write_json, write_page
from compare_training import divergence

from mini_dl.experiments import optimizers
from mini_dl.experiments._frame import Images, difference, first, pick
from mini_dl.files.replacing import replaced

TOLERANCE = {"float32": 1e-4, "float64": 1e-9}  # positions on the bowl; losses, relative


def courses(torch: Any, data: dict[str, Any], options: Any) -> dict[str, Any]:
    """The path and losses of each optimizer under one library."""
    images = Images(options.data, **{key: torch.from_numpy(array) for key, array in data.items()})
    return {
        name: {
            "path": optimizers.descend(torch, name, options.dtype, options.steps),
            **optimizers.learn(torch, name, images, options.seed, options.epochs, options.batch_size),
        }
        for name in progress(optimizers.OPTIMIZERS, desc=torch.__name__)
    }


def path_difference(results: dict[str, Any], name: str) -> float:
    return difference(pick(results, name, "path")) or 0.0


def loss_difference(results: dict[str, Any], name: str) -> float:
    ours, *theirs = pick(results, name, "losses").values()
    return max([max(divergence(ours, losses)) for losses in theirs], default=0.0)


def draw(results: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The figure as PNG; the section of the page that shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = optimizers.draw(results)
    with replaced(folder / "optimizers.png") as file:
        figure.savefig(file, format="png", dpi=120)
    caption = (
        "Both libraries from the same start, the curves overlaid. Above the paths over the bowl, whose minimum is the cross."
    )
    return {"title": "Paths over f(x, y) = x²/20 + y², and training", "image": "optimizers.png", "caption": caption}


def verdicts(results: dict[str, Any], allowed: float) -> list[tuple[bool, str]]:
    """The requirements, and whether they are met."""
    found = []
    if len(results) > 1:
        path = max(path_difference(results, name) for name in optimizers.OPTIMIZERS)
        loss = max(loss_difference(results, name) for name in optimizers.OPTIMIZERS)
        found = [
            (path <= allowed, f"paths over the bowl differ by at most {path:.1e}, allowed {allowed:.0e}"),
            (loss <= allowed, f"losses differ by at most {loss:.1e} relative, allowed {allowed:.0e}"),
        ]
    learned = all(course["losses"][-1] < course["losses"][0] / 2 for course in first(results).values())
    return [*found, (learned, "every optimizer at least halves the loss" if learned else "an optimizer does not learn")]


def row(results: dict[str, Any], name: str) -> list[str]:
    course = first(results)[name]
    x, y = course["path"][-1]
    return [
        name,
        f"({x:.3f}, {y:.3f})",
        f"{path_difference(results, name):.1e}",
        f"{course['losses'][-1]:.4f}",
        f"{loss_difference(results, name):.1e}",
        " | ".join(f"{accuracies[-1]:.2%}" for accuracies in pick(results, name, "test").values()),
    ]


LEGEND = {
    "end of the path": "where the last step on the bowl ends",
    "path diff, loss diff": "the largest difference of the two libraries, relative above 1",
    "accuracy": "on the test images, after training",
}
HEADER = ["optimizer", "end of the path", "path diff", "last loss", "loss diff", "accuracy"]


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    ours, theirs = libraries()
    data = images_of(options)
    sides = {"mini_dl": ours} if theirs is None else {"mini_dl": ours, "torch": theirs}
    print(f"{options.data}, {options.dtype}, seed {options.seed}; {versions(theirs)}\n")
    results = {library: courses(torch, data, options) for library, torch in sides.items()}
    rows = [row(results, name) for name in optimizers.OPTIMIZERS]
    print(table(HEADER, rows), end="\n\n")
    found = verdicts(results, TOLERANCE[options.dtype])
    for good, text in found:
        print(f"{'ok  ' if good else 'FAIL'}  {text}")
    if not options.no_report:
        sections = [{"title": "Differences", "header": HEADER, "rows": rows, "legend": LEGEND}, draw(results, options.report)]
        page = options.report / "optimizers.html"
        write_page(page, "Optimizers of mini_dl and torch", sections, found, versions(theirs))
        print(f"\nwrote {page}")
    numbers = {
        name: {
            "path": {library: path.tolist() for library, path in pick(results, name, "path").items()},
            "losses": pick(results, name, "losses"),
            "accuracy": {library: accuracies[-1] for library, accuracies in pick(results, name, "test").items()},
            "path difference": path_difference(results, name),
            "loss difference": loss_difference(results, name),
        }
        for name in optimizers.OPTIMIZERS
    }
    write_json(options.json, {"optimizers": numbers, "verdicts": [{"good": good, "text": text} for good, text in found]})
    return AGREE if all(good for good, _ in found) else DISAGREE


def parsed(arguments: list[str] | None) -> Any:
    made = image_parser("Draw the paths and training curves of six optimizers under mini_dl and torch.", "float64")
    made.add_argument("--steps", type=int, default=30, help="steps on the bowl")
    made.add_argument("--epochs", type=int, default=4, help="passes over the images")
    made.add_argument("--batch-size", type=int, default=64, help="images per step")
    options = made.parse_args(arguments)
    if min(options.steps, options.epochs, options.batch_size) < 1:
        made.error("--steps, --epochs and --batch-size must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
