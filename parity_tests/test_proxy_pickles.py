"""Pickles of a program under the proxy have torch's names, and can be exchanged with torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WRITING = """
import pickle, sys, torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.BatchNorm2d(2), torch.nn.ReLU(),
                            torch.nn.Flatten(), torch.nn.Linear(32, 4), torch.nn.LayerNorm(4), torch.nn.Dropout(0.1))
classes = [torch.optim.AdamW, torch.optim.lr_scheduler.StepLR, torch.nn.functional.relu, torch.no_grad, torch.nn.Parameter]
with open("classes.pkl", "wb") as file:
    pickle.dump(classes, file)
torch.save(model[:6], "model.pt")
x = torch.linspace(0, 1, 32).reshape(2, 1, 4, 4)
print([round(value, 5) for value in model[:6].eval()(x).flatten().tolist()])
"""
READING = """
import pickle, torch
with open("classes.pkl", "rb") as file:
    classes = pickle.load(file)
assert classes[:4] == [torch.optim.AdamW, torch.optim.lr_scheduler.StepLR, torch.nn.functional.relu, torch.no_grad]
model = torch.load("model.pt", weights_only=False)
x = torch.linspace(0, 1, 32).reshape(2, 1, 4, 4)
print([round(value, 5) for value in model.eval()(x).flatten().tolist()])
"""
OURS, TORCH = ["-m", "mini_dl"], []


def run(how: list[str], code: str, where: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *how, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=where, env=environment, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(("writer", "reader"), [(OURS, OURS), (OURS, TORCH), (TORCH, OURS)])
def test_classes_and_whole_models(writer: list[str], reader: list[str], tmp_path: Path) -> None:
    written = run(writer, WRITING, tmp_path)
    assert run(reader, READING, tmp_path) == written
