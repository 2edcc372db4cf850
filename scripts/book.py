"""Run experiments of the learning notes under mini_dl and under torch, draw their figures, write one page.

    python -m scripts.book --all --quick

Exits with 1 if the libraries disagree in an experiment, with 2 on an invalid call.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

for library in ("OMP", "OPENBLAS"):  # read when NumPy and torch are imported; small matrices are fastest on one thread
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

from mini_dl.experiments import _frame as frame  # noqa: E402
from mini_dl.files.replacing import rewrite  # noqa: E402
from scripts._report import AGREE, DISAGREE, fail, libraries, progress, versions, write_page  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    unknown = [name for name in options.names if name not in frame.EXPERIMENTS]
    if unknown:
        return fail(f"unknown experiment: {', '.join(unknown)}. There are:\n{listing()}")
    if options.list or not (options.names or options.all):
        print(f"{listing()}\n\nRun some by name, or all with --all; --quick for less of each.")
        return AGREE
    ours, theirs = libraries()
    if theirs is None and options.library == "torch":
        return fail("torch is not installed; --library mini_dl runs without it")
    missing = [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]
    if missing:
        return fail(f"the figures and the page need {' and '.join(missing)}: install mini_dl with its extra `viz`")
    try:
        frame.images(ours)
    except (OSError, ValueError) as error:
        return fail(str(error))
    if theirs is None and options.library == "both":
        print("torch is not installed: running under mini_dl alone.")
    sides = {"mini_dl": ours, "torch": theirs}
    chosen = {name: side for name, side in sides.items() if side is not None and options.library in ("both", name)}
    names = [name for name in frame.EXPERIMENTS if options.all or name in options.names]
    print(f"{'quick, ' if options.quick else ''}images: {frame.source()}; {versions(chosen.get('torch'))}\n")
    return run(names, chosen, options.quick, options.output)


def run(names: list[str], sides: dict[str, ModuleType], quick: bool, folder: Path) -> int:
    """Each experiment under each library, one after the other; PNGs and the page into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    sections, bad = [], []
    began = time.perf_counter()
    bar = progress(names)
    say = getattr(bar, "write", print)
    for name in bar:
        start = time.perf_counter()
        module = frame.experiment(name)
        results = {library: module.run(torch, quick=quick) for library, torch in sides.items()}
        image = png(module.draw(results))
        rewrite(folder / f"{name}.png", image)
        good, apart = frame.agreement(results, module.TOLERANCE)
        if not good:
            bad.append(f"{name}: {apart}")
        lines = [*module.report(results), apart]
        say(f"{name}: {frame.title(module)} ({time.perf_counter() - start:.1f} s)")
        say("\n".join(f"    {line}" for line in lines) + "\n")
        sections.append(section(name, module, lines, image))
    seconds = time.perf_counter() - began
    page = folder / "index.html"
    verdicts = [(False, text) for text in bad] or [(True, f"{len(names)} experiments under {' and '.join(sides)}")]
    footer = f"{versions(sides.get('torch'))}; {seconds:.0f} s"
    write_page(page, "The learning notes in experiments", sections, verdicts, footer, contents=True)
    print("".join(f"FAIL  {text}\n" for text in bad), end="")
    print(f"wrote {page} and {len(names)} figures in {seconds:.0f} s")
    return DISAGREE if bad else AGREE


def section(name: str, module: ModuleType, lines: list[str], image: bytes) -> dict[str, Any]:
    """One experiment's section of the page."""
    return {
        "id": name,
        "title": frame.title(module),
        "paragraphs": frame.paragraphs(module),
        "image": f"data:image/png;base64,{base64.b64encode(image).decode()}",
        "caption": f"{frame.title(module)} (mini_dl/experiments/{name}.py)",
        "lines": lines,
    }


def png(figure: Any) -> bytes:
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=120)
    return written.getvalue()


def listing() -> str:
    width = max(map(len, frame.EXPERIMENTS))
    return "\n".join(f"  {name:{width}}  {frame.title(frame.experiment(name))}" for name in frame.EXPERIMENTS)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m scripts.book",
        description="Run experiments of the learning notes under mini_dl and under torch, from one seed; draw their figures.",
        epilog=f"experiments:\n{listing()}\n\nReal MNIST is used where the environment variable MINI_DL_DATA names the folder\n"
        "of its files, else the digits that come with mini_dl.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("names", nargs="*", metavar="NAME", help="experiments to run")
    made.add_argument("--all", action="store_true", help="run all of them")
    made.add_argument("--list", action="store_true", help="list the experiments and exit")
    made.add_argument("--quick", action="store_true", help="fewer images and steps")
    made.add_argument("--library", choices=("both", "mini_dl", "torch"), default="both", help="default: both")
    made.add_argument(
        "--output", type=Path, default=Path("report/book"), metavar="DIR", help="folder of index.html and figures (report/book)"
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
