"""torch's results, stored in a file, checked without torch.

The pack is written by

    python -m parity_tests.golden write tests/golden/core OPS --limit 2

with the operations listed here.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACK = Path(__file__).with_name("golden") / "core"
OPS = """
    add mul div pow exp log tanh sigmoid erf clamp sum mean var amax cumsum topk matmul addmm bmm cat gather
    index_select reshape transpose softmax log_softmax logsumexp linalg.inv linalg.solve linalg.qr linalg.det fft.fft
    nn.functional.relu nn.functional.gelu nn.functional.silu nn.functional.linear nn.functional.conv1d nn.functional.max_pool1d
    nn.functional.layer_norm nn.functional.group_norm nn.functional.cross_entropy nn.functional.mse_loss
    nn.functional.dropout special.bessel_j1 special.zeta rand_like
""".split()

pytestmark = pytest.mark.skipif(not (ROOT / "parity_tests").is_dir(), reason="the checker is not here")


@pytest.fixture(scope="module")
def golden() -> Any:
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module("parity_tests.golden")
    finally:
        sys.path.remove(str(ROOT))


def test_results_and_gradients_are_those_that_torch_computed(golden: Any) -> None:
    cases, arrays, _ = golden.read(PACK)
    said: list[str] = []
    counts = golden.judged(cases, arrays, golden.targets.found("mini_dl"), said.append)
    assert said == []
    assert counts == {"pass": len(cases)}
    assert {case.op.split(":")[0] for case in cases} == {*OPS}
    assert sum(case.gradients is not None for case in cases) > 50


def test_the_checker_needs_no_torch() -> None:
    code = "import sys, parity_tests.golden as golden; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
