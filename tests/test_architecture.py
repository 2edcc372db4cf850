"""What the package promises about itself: what it imports and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

import mini_dl as torch
from mini_dl._surface import NAMESPACES


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
