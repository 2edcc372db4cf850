"""Check the programs of this folder with mypy and pyright against the marks on their lines.

python typing_tests/check.py                   # both checkers; ends with 1 if a line is not as it is marked
python typing_tests/check.py --library torch   # what torch's own types find in the same programs, as counts

A line that ends with ``# error`` must be refused, any other must not be; ``# is Tensor`` says what ``reveal_type`` must reveal.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATHS = [] if importlib.util.find_spec("mini_dl") else [str(HERE.parent)]
"""Where the package is found that is not installed."""
PROGRAMS = ["tensors.py", "training.py"]
ALLOWED_ANY = 3
"""Of the revealed types, so many may be Any."""


@dataclass
class Found:
    """What a checker says of one program: the lines it refuses, and what it reveals, by line."""

    errors: dict[int, str] = field(default_factory=dict)
    revealed: dict[int, str] = field(default_factory=dict)


@dataclass
class Marks:
    """What the lines of a program are marked with."""

    errors: set[int]
    revealed: dict[int, str]
    statements: int


def marks_of(text: str) -> Marks:
    """The marks of a program."""
    lines = list(enumerate(text.splitlines(), 1))
    errors = {number for number, line in lines if line.endswith("# error")}
    revealed = {
        number: line.partition("# is ")[2].strip() for number, line in lines if "# is " in line and "reveal_type(" in line
    }
    statements = [line for number, line in lines if re.match(r" *[a-z(@]", line) and number not in errors | revealed.keys()]
    return Marks(errors, revealed, len(statements))


def plain(kind: str) -> str:
    """A revealed type without the modules of its names, and with unions in one order."""
    kind = (
        re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", kind).replace("*", "").replace("tuple[Tensor, fallback=sort]", "sort")
    )
    kind = re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", kind).replace("*", "")
    kind = re.sub(r"tuple\[.*, fallback=(\w+)\]", r"\1", kind)
    parts = {part.strip() for part in re.split(r" \| (?![^\[]*\])", kind)}
    return " | ".join(sorted(parts - {"bool"} if "int" in parts else parts))  # mypy leaves out what is an int


def mypy(folder: Path, python: str) -> dict[str, Found]:
    """What mypy, strict, says of the programs in `folder`."""
    options = ["--strict", "--no-incremental", "--no-error-summary", "--hide-error-context", "--python-executable", python]
    options += ["--config-file", "", "--disable-error-code", "no-redef", "--disable-error-code", "no-untyped-call"]
    command = [sys.executable, "-m", "mypy", *options, *PROGRAMS]
    paths = {**os.environ, "MYPYPATH": os.pathsep.join(PATHS)}
    said = subprocess.run(command, cwd=folder, env=paths, capture_output=True, text=True).stdout
    found = {name: Found() for name in PROGRAMS}
    for line in said.splitlines():
        match = re.match(r"(\w+\.py):(\d+): (error|note): (.*)", line)
        if match is None or match[1] not in found:
            continue
        if revealed := re.match(r'Revealed type is "(.*)"', match[4]):
            found[match[1]].revealed[int(match[2])] = revealed[1]
        elif match[3] == "error":
            found[match[1]].errors[int(match[2])] = match[4]
    return found


def pyright(folder: Path, python: str) -> dict[str, Found]:
    """What pyright, in its standard mode, says of them."""
    settings = {
        "include": PROGRAMS,
        "typeCheckingMode": "standard",
        "reportRedeclaration": False,
        "reportUnusedExpression": False,
        "extraPaths": PATHS,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", python, "-p", str(folder)]
    said = json.loads(subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout)
    found = {name: Found() for name in PROGRAMS}
    for one in said["generalDiagnostics"]:
        here, line = found[Path(one["file"]).name], one["range"]["start"]["line"] + 1
        if revealed := re.match(r'Type of ".*" is "(.*)"', one["message"], re.DOTALL):
            here.revealed[line] = revealed[1]
        elif one["severity"] == "error":
            here.errors[line] = one["message"].splitlines()[0]
    return found


CHECKERS: dict[str, Callable[[Path, str], dict[str, Found]]] = {"mypy": mypy, "pyright": pyright}


def copied(library: str, folder: Path) -> None:
    """Put the programs into `folder`, as programs of `library`."""
    for name in PROGRAMS:
        text = (HERE / name).read_text(encoding="utf-8")
        if library != "mini_dl":
            text = text.replace("import mini_dl as torch", f"import {library}").replace("mini_dl", library)
        (folder / name).write_text(text, encoding="utf-8")


def differences(name: str, marks: Marks, found: Found) -> Iterator[str]:
    """What a checker says of a program other than its marks do."""
    for line, message in sorted(found.errors.items()):
        if line not in marks.errors:
            yield f"{name}:{line}: false error: {message}"
    for line in sorted(marks.errors - found.errors.keys()):
        yield f"{name}:{line}: not found to be wrong"
    for line, kind in marks.revealed.items():
        shown = found.revealed.get(line, "nothing")
        if plain(shown) != plain(kind):
            yield f"{name}:{line}: is {plain(shown)}, marked {kind}"


def counts(marks: dict[str, Marks], found: dict[str, Found]) -> dict[str, int]:
    """How many lines are refused wrongly and rightly, and how many revealed types are Any."""
    kinds = [kind for name in marks for kind in found[name].revealed.values()]
    return {
        "false errors": sum(len(found[name].errors.keys() - marks[name].errors) for name in marks),
        "true errors found": sum(len(found[name].errors.keys() & marks[name].errors) for name in marks),
        "of": sum(len(marks[name].errors) for name in marks),
        "Any": sum(plain(kind) in ("Any", "Unknown") for kind in kinds),
        "revealed": len(kinds),
        "correct statements": sum(marks[name].statements for name in marks),
    }


def main() -> int:
    made = argparse.ArgumentParser(description="Check the typed programs.")
    made.add_argument("--library", default="mini_dl", choices=["mini_dl", "torch"])
    made.add_argument("--python", default=sys.executable, help="the interpreter whose packages the programs see")
    options = made.parse_args()
    ended = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copied(options.library, folder)
        marks = {name: marks_of((HERE / name).read_text(encoding="utf-8")) for name in PROGRAMS}
        for checker, check in CHECKERS.items():
            if checker == "pyright" and importlib.util.find_spec("basedpyright") is None:
                print("pyright is not here: pip install basedpyright")
                ended = 1
                continue
            found = check(folder, options.python)
            told = counts(marks, found)
            said = [line for name in PROGRAMS for line in differences(name, marks[name], found[name])]
            print(f"{checker} of {options.library}:", ", ".join(f"{value} {name}" for name, value in told.items()))
            print("".join(f"  {line}\n" for line in said), end="")
            if said or told["Any"] > ALLOWED_ANY:
                ended = 1
    return ended if options.library == "mini_dl" else 0


if __name__ == "__main__":
    sys.exit(main())
