"""Write docs/coverage.md: which public names of torch exist here, and why the others do not.

python scripts/write_coverage.py
python scripts/write_coverage.py --check     # exits with 1 if the file is out of date
python scripts/write_coverage.py --names     # rewrites the list of torch's names; needs torch
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
import warnings
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

from _report import BAD_CALL, brought_up_to_date

import mini_dl
from mini_dl.files.replacing import rewrite
from mini_dl.standins import kind_of
from mini_dl.standins.tables import HERE, NOT_HERE, PASSES, section

ROOT = Path(__file__).resolve().parent.parent
PAGE, NAMES = ROOT / "docs" / "coverage.md", ROOT / "scripts" / "torch_names.txt"

PLACES = {  # which names count
    "nn": "modules",
    "nn.functional": "functions",
    "nn.init": "listed",
    "nn.utils": "listed",
    "nn.utils.rnn": "listed",
    "nn.utils.parametrize": "listed",
    "nn.utils.parametrizations": "listed",
    "nn.utils.prune": "own",
    "nn.utils.stateless": "listed",
    "func": "listed",
    "optim": "listed",
    "optim.lr_scheduler": "listed",
    "optim.swa_utils": "listed",
    "Tensor": "members",
    "torch": "functions",
    "linalg": "functions",
    "special": "listed",
    "fft": "functions",
}
EXTRA = set("Any Callable Optional Union overload".split())  # what torch imports for its own annotations
HELPERS = set(
    "Optional assert_int_or_pair boolean_dispatch handle_torch_function has_torch_function has_torch_function_unary "
    "has_torch_function_variadic".split()
)  # imported into nn.functional for its own use

SPARSE, QUANTIZED = "sparse tensors", "quantized tensors"
DEVICES = "another device or a library for it"
MEMBERS = [  # why members of Tensor are absent; the reasons of all other names are in the tables of mini_dl/standins
    (SPARSE, r"(to_)?sparse.*|.*_sparse_.*|.*(ccol|crow|col|row)_indices.*|(is_)?coalesced?|dense_dim|to_dense|smm|sspaddmm"),
    (SPARSE, r"indices|values|slice_inverse|to_padded_tensor"),
    (QUANTIZED, r".*quantize.*|q_.*|qscheme|int_repr"),
    (DEVICES, r"to_mkldnn|cuda|xpu|ipu|mtia|is_(ipu|maia|mtia|vulkan|xla|distributed)|record_stream|pin_memory"),
    ("a type that NumPy does not have", r"bfloat16|chalf"),
    ("deprecated; torch itself only raises or forwards", r"eig|symeig|lstsq|solve|resize|resize_as|volatile|reinforce"),
    ("internals of torch", r".*storage.*|name|index|const_data_ptr|module_load|map2_|grad_dtype|dim_order|as_subclass"),
]
LATER = "not yet"
APART = (
    "torch.backends.python_native", "torch.testing._internal", "torch.utils.benchmark.examples", "torch.test",
    "torch.utils.tensorboard", "torch.distributed.elastic.rendezvous.etcd", "torch.utils.data.datapipes.gen_pyi",
)  # fmt: skip
"""Modules that are skipped: they need packages that may be missing, or belong to torch's own tests."""
FOLDED = 30  # more absent names than that, for one reason in one module, are counted, not listed


# ------------------------------------------------------------------------------------------------ names


def place(library: ModuleType, path: str) -> Any:
    """The module or class at a dotted path of a library, or None."""
    here: Any = library
    for part in path.split(".") if path != "torch" else ():
        here = getattr(here, part, None)
    return here


def names_at(where: Any, kind: str) -> list[str]:
    """The public names of a namespace of torch's that count."""
    if kind == "listed":
        return sorted(where.__all__)
    public = [name for name in dir(where) if not name.startswith("_") and name not in HELPERS]
    if kind == "members":
        return public
    values = {name: getattr(where, name) for name in public}
    if kind == "modules":
        base = where.Module
        return [name for name, value in values.items() if isinstance(value, type) and issubclass(value, base)]
    if kind == "own":
        return [name for name, value in values.items() if getattr(value, "__module__", None) == where.__name__]
    return [name for name, value in values.items() if inspect.isroutine(value) or type(value).__name__ == "BuiltinFunction"]


def public_modules(package: ModuleType) -> dict[str, ModuleType]:
    """The importable modules below a package whose paths have no underscore."""
    found = {}
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        name = info.name
        if "._" in name or name.startswith(APART):
            continue
        try:
            found[name] = importlib.import_module(name)
        except Exception:  # it needs a package that is not installed, or a device
            continue
        if info.ispkg:
            found |= public_modules(found[name])
    return found


def own_names(module: ModuleType) -> list[str]:
    """What ``__all__`` lists, or the public functions and classes that a module without it defines."""
    if "__all__" in vars(module):
        return sorted({str(name) for name in vars(module)["__all__"]})
    values = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return sorted([name for name, value in values.items() if getattr(value, "__module__", None) == module.__name__])


def names_of(torch: ModuleType) -> dict[str, list[str]]:
    """All public names of the installed torch that count, by place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        modules = public_modules(torch)
        found = {path: names_at(place(torch, path), kind) for path, kind in PLACES.items()}
        found["torch"] = sorted({*found["torch"], *torch.__all__} - EXTRA)
        others = {name.partition(".")[2]: module for name, module in sorted(modules.items())}
        return found | {path: own_names(module) for path, module in others.items() if path not in PLACES}


def read_names(text: str) -> tuple[str, dict[str, list[str]]]:
    """The version of torch and the names by place, from the file."""
    version, *sections = re.split(r"^\[(.*)\]$", text, flags=re.MULTILINE)
    found = re.search(r"torch (\d+\.\d+\.\d+)", version)
    if found is None:
        raise ValueError(f"{NAMES.name} does not say of which torch the names are")
    return found.group(1), {path: names.split() for path, names in zip(sections[::2], sections[1::2])}


def write_names(version: str, names: dict[str, list[str]]) -> str:
    sections = [f"[{path}]\n{textwrap.fill(' '.join(listed), 130)}\n" for path, listed in names.items()]
    return "\n".join([f"# The public names of torch {version}. Written by scripts/write_coverage.py --names.\n", *sections])


# ------------------------------------------------------------------------------------------------ the page


def answer(path: str, name: str) -> tuple[str, str]:
    """ "here", "passes through" or "not here", and the reason for the last."""
    if path == "Tensor":
        if hasattr(mini_dl.Tensor, name):
            return HERE, ""
        return NOT_HERE, next((why for why, pattern in MEMBERS if re.fullmatch(pattern, name)), LATER)
    kind = kind_of(path, name)
    found = section(path)
    row = found.rows.get(name) if found is not None and kind == NOT_HERE else None
    if row is not None:
        return kind, row.reason
    below = section(name if path == "torch" else f"{path}.{name}") if kind == NOT_HERE else None
    return kind, below.reason if below is not None else ""


def table_of(names: dict[str, list[str]], answers: dict[str, dict[str, tuple[str, str]]]) -> list[str]:
    """The number of names of each kind, by part of torch."""
    areas: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path in names:
        area = path if path in PLACES else path.partition(".")[0]
        areas["torch" if area == "torch" else f"torch.{area}"] += answers[path].values()
    lines = ["| part | here | passes through | not here | of |", "|---|--:|--:|--:|--:|"]
    whole = [0, 0, 0, 0]
    for area, found in areas.items():
        counts = [sum([kind == one for kind, _ in found]) for one in (HERE, PASSES, NOT_HERE)] + [len(found)]
        whole = [a + b for a, b in zip(whole, counts)]
        lines.append(f"| `{area}` | {' | '.join(map(str, counts))} |")
    return [*lines, f"| all | {' | '.join(map(str, whole))} |", ""]


def listed(names: list[str]) -> str:
    return " ".join(f"`{name}`" for name in names) if len(names) <= FOLDED else f"{len(names)} names"


def shown(path: str) -> str:
    return "torch" if path == "torch" else f"torch.{path}"


def page(version: str, names: dict[str, list[str]]) -> str:
    answers = {path: {name: answer(path, name) for name in given} for path, given in names.items()}
    lines = [
        "# Coverage",
        "",
        f"Every public name of torch {version} has an answer: what `__all__` lists in its public modules (or, without such "
        "a list,",
        "what the module defines), the classes of `torch.nn`, the functions of `torch` and `torch.nn.functional`, all members of",
        "`torch.Tensor`. Counted by `scripts/write_coverage.py`. It is one of",
        "",
        "- *here*: it computes what torch computes; `parity_tests/` compares the two;",
        "- *passes through*: it answers as torch does on a CPU without the device, compiler or library that it is for, or does",
        "  nothing because there is nothing to do (`torch.cuda.is_available()` is False, `torch.compile(f)` computes what "
        "`f` does);",
        "- *not here*: it can be imported, and its use raises a `NotImplementedError` that says why.",
        "",
        *table_of(names, answers),
        "## What passes through",
        "",
        "| place | names |",
        "|---|---|",
    ]
    for path, found in answers.items():
        passing = [name for name, (kind, _) in found.items() if kind == PASSES]
        if passing:
            lines.append(f"| `{shown(path)}` | {' '.join(f'`{name}`' for name in passing)} |")
    lines += ["", "## What is not here", ""]
    groups: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for path, found in answers.items():
        for name, (kind, why) in found.items():
            if kind == NOT_HERE:
                groups[why].setdefault(path, []).append(name)
    for why in sorted(groups, key=lambda why: (why != LATER, why)):
        count = sum(map(len, groups[why].values()))
        lines += [f"### {why[0].upper()}{why[1:]} ({count})", "", "| place | names |", "|---|---|"]
        lines += [f"| `{shown(path)}` | {listed(given)} |" for path, given in groups[why].items()]
        lines.append("")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(description="Write docs/coverage.md.")
    made.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is out of date")
    made.add_argument("--names", action="store_true", help="rewrite the list of torch's names; needs torch")
    options = made.parse_args(arguments)
    if options.names:
        try:
            torch = importlib.import_module("torch")
        except ImportError:
            print("torch is not installed")
            return BAD_CALL
        rewrite(NAMES, write_names(torch.__version__.partition("+")[0], names_of(torch)))
    text = page(*read_names(NAMES.read_text(encoding="utf-8")))
    return brought_up_to_date(PAGE, text, options.check, "python scripts/write_coverage.py")


if __name__ == "__main__":
    sys.exit(main())
