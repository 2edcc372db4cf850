"""Calls that change nothing (a kernel of one element, a shift of 0, one tensor to join) still return their own memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CALLS = """
F.unfold(x, 1)
F.fold(x.flatten(2), (2, 2), 1)
F.pixel_shuffle(x, 1)
F.pixel_unshuffle(x, 1)
F.channel_shuffle(x, 1)
F.pad(x, (0, 0))
F.pad(x, (0, 0, 0, 0), "circular")
F.interpolate(x, scale_factor=1)
F.interpolate(x, scale_factor=1, mode="bilinear")
F.adaptive_avg_pool2d(x, (2, 2))
F.adaptive_max_pool2d(x, (2, 2))
F.max_pool2d(x, 1)
F.avg_pool2d(x, 1)
F.conv2d(x, torch.eye(4).reshape(4, 4, 1, 1))
F.threshold(x, -9, 0)
F.hardtanh(x, -9, 99)
F.relu(x)
x.roll(0)
x.rot90(0)
x.flip(0)
x.tile(1)
x.repeat(1, 1, 1, 1)
x.repeat_interleave(1, 0)
x.cumsum(0)
x.sum(0)
x.amax(0)
x.prod(0)
x.logsumexp(0)
x.sort(0).values
x.topk(1, 0).values
x.tril(9)
x.clamp(-99, 99)
x.round()
x.pow(1)
x.int().abs()
x.int().floor()
x.diff(n=0)
x.lerp(x, 0.0)
x.masked_fill(x < 0, 1)
x.index_add(0, torch.arange(0), x[:0])
x.renorm(2, 0, 999.0)
torch.cat([x])
torch.cat([x, x[:0]])
torch.stack([x])
torch.where(x > 0, x, x)
torch.matrix_power(x[0, 0], 1)
torch.linalg.inv(torch.eye(2))
"""
PROGRAM = """
import numpy as np
import mini_dl as torch

F = torch.nn.functional
for line in CALLS.strip().splitlines():
    x = torch.arange(16.0).reshape(1, 4, 2, 2) + 1
    result = eval(line)
    assert not np.shares_memory(result._array, x._array), line
"""


def test_results_of_the_first_calls_are_their_own() -> None:
    """In a new process: the first call of an operation is checked, and must not fail."""
    ran = subprocess.run(
        [sys.executable, "-c", f"CALLS = {CALLS!r}\n{PROGRAM}"],
        capture_output=True, text=True, timeout=150, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
