"""What the package promises about itself: what it imports and what it leaves alone."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from typing import Any

import numpy as np
from test_optim import ALGORITHMS

import mini_dl as torch
from mini_dl._surface import NAMESPACES

APART = {"Configured", "LazyModuleMixin", "NonDynamicallyQuantizableLinear"}
"""The modules that are bases of others, or that torch does not list either."""
UNLIKE_OTHERS = {"Adafactor", "LBFGS", "Muon", "Optimizer", "SparseAdam"}
"""The optimizers that the common tests of `ALGORITHMS` do not fit."""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_it_imports_numpy_and_the_standard_library_only() -> None:
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import mini_dl\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(names - set(sys.stdlib_module_names)))"
    )
    found = [name for name in eval(run(code)) if "cython" not in name]  # what numpy.random was compiled with
    assert found == ["mini_dl", "numpy"]


def test_numpys_error_settings_buffer_and_random_state_stay_as_they_were() -> None:
    np.random.seed(3)
    before = np.geterr(), np.getbufsize(), np.random.get_state()[1].tolist()
    torch.manual_seed(0)
    x = torch.randn(100)
    (x / 0).exp().sum()
    assert (np.geterr(), np.getbufsize(), np.random.get_state()[1].tolist()) == before


def test_every_public_name_can_be_reached_from_the_package() -> None:
    missing = [name for name in NAMESPACES["torch"] if not hasattr(torch, name)]
    assert missing == []


# ------------------------------------------------------------------------------------------------ listings


def declared(package: str, base: type) -> dict[str, str]:
    """Public subclasses of `base` by name, with the file that declares them, of all files of a package."""
    folder = importlib.import_module(package)
    found = {}
    for file in [info.name for info in pkgutil.iter_modules(folder.__path__)]:
        module = importlib.import_module(f"{package}.{file}")
        for name, value in vars(module).items():
            if name[0] != "_" and isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__:
                found[name] = f"{package.replace('.', '/')}/{file}.py"
    return found


def unlisted(found: dict[str, str], where: Any) -> dict[str, str]:
    """Those of them that are not in `where`, or not in its ``__all__``."""
    return {
        name: file for name, file in found.items() if not hasattr(where, name) or name not in getattr(where, "__all__", [name])
    }


def test_every_module_is_listed() -> None:
    found = declared("mini_dl.nn.modules", torch.nn.Module)
    assert unlisted(found, torch.nn.modules).keys() == APART
    assert unlisted(found, torch.nn).keys() == APART


def test_every_optimizer_is_listed_and_tested() -> None:
    found = declared("mini_dl.optim", torch.optim.Optimizer)
    assert unlisted(found, torch.optim) == {}
    assert set(found) - {cls.__name__ for cls, _ in ALGORITHMS} == UNLIKE_OTHERS


def test_every_scheduler_is_listed() -> None:
    found = declared("mini_dl.optim", torch.optim.lr_scheduler.LRScheduler)
    assert unlisted(found, torch.optim.lr_scheduler) == {"SWALR": "mini_dl/optim/swa_utils.py"}
    assert "SWALR" in torch.optim.swa_utils.__all__


def test_a_class_that_is_not_listed_is_found() -> None:
    class Forgotten(torch.nn.Module):
        pass

    Forgotten.__module__ = "mini_dl.nn.modules.linear"
    file = importlib.import_module("mini_dl.nn.modules.linear")
    file.Forgotten = Forgotten  # type: ignore[attr-defined]
    try:
        assert unlisted(declared("mini_dl.nn.modules", torch.nn.Module), torch.nn)["Forgotten"] == "mini_dl/nn/modules/linear.py"
    finally:
        del file.Forgotten  # type: ignore[attr-defined]
