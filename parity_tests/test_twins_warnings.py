"""Which calls warn, and which of these warnings come once in a process, as torch's without `set_warn_always` do."""

from __future__ import annotations

import contextlib
import inspect
import subprocess
import sys
import warnings
from typing import Any

import pytest

from parity_tests.twin import outcome, twin

CALLS = """
float(x) complex(x) int(x) '%f'%x format(x,'.2f') math.sqrt(x) math.floor(x) x.item() x.tolist() bool(x) torch.tensor([x])
torch.asarray(x) (x*2).backward(create_graph=True) torch.ones(2,3,4).T torch.tensor(1.).T torch.tensor(1.).H torch.tensor(1.).mT
torch.tensor(1.).mH torch.tensor(1.).adjoint() torch.meshgrid(one) torch.cross(three,three) torch.cross(one,one)
torch.linalg.cross(three,three) torch.add(one,2,one) torch.addmm(2,eye,eye,eye) torch.stft(eight,4,return_complex=True)
torch.stft(eight,4,window=four,return_complex=False) torch.istft(torch.stft(eight,4,window=four,return_complex=True),4)
torch.istft(torch.stft(eight,4,window=four,return_complex=True),4,window=four,length=20) torch.cholesky(eye) torch.qr(eye)
torch.lu(eye) torch.lu_solve(eye,*torch.lu(eye)) torch.triangular_solve(eye,eye) torch.chain_matmul(eye,eye)
torch.frobenius_norm(eye,(0,1)) torch.nuclear_norm(eye) torch.range(0,2) torch.tensor(one) torch.add(one,1,out=torch.ones(2))
torch.ones(1,dtype=torch.complex64).float() torch.ones(1).copy_(torch.ones(1,dtype=torch.complex64)) torch.where(u8,one,one)
one.where(u8,one) one[u8] torch.frombuffer(b'1234',dtype=torch.uint8) torch.set_default_tensor_type(torch.FloatTensor)
F.grid_sample(image,grid) F.grid_sample(image,grid,align_corners=False) F.grid_sample(image,grid,'unknown')
F.affine_grid(theta,(1,1,2,2)) F.affine_grid(theta,(1,1,1,1),False) F.affine_grid(theta,(1,1,1,1),True)
F.affine_grid(theta,(1,1,2)) torch.std(one) torch.histogram(torch.zeros(0),3,density=True) torch.softmax(one,0) F.softmax(one)
torch.histogramdd(torch.zeros(0,1),[3],density=True) F.mse_loss(one,three) F.mse_loss(three,torch.ones(2)) (x*2).grad
F.dropout2d(eye) torch.nn.LSTM(1,1,dropout=.5)
"""


def calls_of(torch: Any) -> dict[str, Any]:
    import math

    names = {
        "torch": torch, "F": torch.nn.functional, "math": math, "one": torch.ones(1), "three": torch.ones(3),
        "four": torch.ones(4), "eight": torch.ones(8), "eye": torch.eye(2), "u8": torch.ones(1, dtype=torch.uint8),
        "image": torch.ones(1, 1, 2, 2), "grid": torch.ones(1, 1, 1, 2), "theta": torch.ones(1, 2, 3),
    }  # fmt: skip
    return {call: lambda call=call: eval(call, {**names, "x": torch.ones(1, requires_grad=True)}) for call in CALLS.split()}


@pytest.mark.parametrize("call", CALLS.split())
@twin
def test_a_call_warns(torch, rng, call):
    done = outcome(calls_of(torch)[call])
    return done if isinstance(done, str) else "done"


def counts(torch: Any) -> list[tuple[str, int, int]]:
    """The calls, and how many warnings the first and the second time give."""
    found = []
    for name, call in calls_of(torch).items():
        numbers = []
        for _ in range(2):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                with contextlib.suppress(Exception):
                    call()
            numbers.append(len(caught))
        found.append((name, *numbers))
    return found


@pytest.mark.parametrize("again", [False, True])
def test_which_warnings_come_once(again: bool) -> None:
    """In a process of its own for each library: what came before counts."""
    said = []
    for library in ("torch", "mini_dl"):
        lines = [
            "from typing import Any; import contextlib, warnings",
            f"import {library} as torch",
            f"torch.set_warn_always({again})",
            f"CALLS = {CALLS!r}",
            *map(inspect.getsource, (calls_of, counts)),
            "for line in counts(torch): print(*line)",
        ]
        run = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
        said.append(run.stdout.splitlines())
    assert said[1] == said[0]
