"""The names in a sample of torch's modules can be imported from the proxy's modules."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import types
import warnings
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
MODULES = """
autograd autograd.function autograd.graph autograd.profiler backends.cudnn cuda.amp distributions.bernoulli
distributions.utils fft functional fx hub jit.annotations library linalg multiprocessing nn.functional nn.init
nn.modules.activation nn.modules.conv nn.modules.module nn.parallel.scatter_gather nn.utils.rnn optim.adamw
optim.lr_scheduler optim.optimizer overrides profiler serialization sparse special storage testing utils.checkpoint
utils.data.dataloader utils.data.dataset utils.flop_counter
""".split()
PROGRAM = """
import sys
for line in sys.stdin:
    path, *names = line.split()
    for name in names:
        try:
            exec(f"from torch.{path} import {name}", {})
        except Exception as error:
            print(path, name, repr(error))
"""


@pytest.mark.filterwarnings("ignore")
def test_names_of_torchs_modules_can_be_imported_under_the_proxy() -> None:
    lines = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in MODULES:
            module = importlib.import_module(f"torch.{path}")
            values = {name: value for name, value in vars(module).items() if not name.startswith("_")}
            own = [
                name
                for name, value in values.items()
                if not isinstance(value, types.ModuleType) and str(getattr(value, "__module__", "torch")).startswith("torch")
            ]
            lines.append(f"{path} {' '.join(sorted({*own, *getattr(module, '__all__', [])}))}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    words = [sys.executable, "-m", "mini_dl", "-c", PROGRAM]
    done = subprocess.run(words, input="\n".join(lines), capture_output=True, text=True, env=environment, check=False)
    assert (done.stdout, done.returncode) == ("", 0), done.stdout[:2000] + done.stderr[-2000:]
    assert torch.__version__.startswith("2.")
