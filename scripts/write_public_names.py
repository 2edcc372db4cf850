"""Write ``mini_dl/standins/public.txt``: the names that `dir` shows of each module, because torch has them there (needs torch).

python scripts/write_public_names.py
python scripts/write_public_names.py --check     # exits with 1 if the file is out of date
"""

from __future__ import annotations

import argparse
import importlib
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _report import brought_up_to_date

import mini_dl
from mini_dl.standins import PUBLIC, modules_with_files

HEAD = """# Written by scripts/write_public_names.py: by module, the names that torch has there too; "*" is __all__.
# dir() shows these.
"""


def is_noise(name: str, value: Any) -> bool:
    """Whether a module of torch has the name only because its file imports it: a module or type of other packages."""
    if name.startswith("_") or name in ("annotations", "torch", "TYPE_CHECKING"):
        return True
    home = value.__name__ if isinstance(value, types.ModuleType) else str(getattr(value, "__module__", "torch"))
    return home.partition(".")[0] not in ("torch", "builtins", "math")


def counterpart(place: str) -> types.ModuleType | None:
    """torch's module of this name, if there is one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("torch" if place == "torch" else f"torch.{place}")
    except Exception:
        return None


def lines() -> Iterator[str]:
    for place in modules_with_files():
        theirs = counterpart(place)
        if theirs is None:
            continue
        try:
            ours = importlib.import_module("mini_dl" if place == "torch" else f"mini_dl.{place}")
        except ImportError:  # it needs a package that is not installed
            continue
        listed = set(getattr(theirs, "__all__", ()))
        found = {name for name in {*dir(theirs), *listed} if not name.startswith("_") and hasattr(ours, name)}
        shown = [name for name in sorted(found) if name in listed or not is_noise(name, getattr(theirs, name))]
        yield f"{place}: {' '.join(shown)}\n"
        if place == "torch":
            yield f"*: {' '.join(name for name in sorted(listed) if hasattr(mini_dl, name))}\n"


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(description="Write the public names of each module.")
    made.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file is out of date")
    options = made.parse_args(arguments)
    return brought_up_to_date(Path(PUBLIC), HEAD + "".join(lines()), options.check, "python scripts/write_public_names.py")


if __name__ == "__main__":
    sys.exit(main())
