"""No check is idle: each one runs for every entry for which torch has what it compares. One that always ends in an error of
torch, or that is never applicable, would pass whatever mini_dl does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from parity_tests import adapter, ops, optimizers
from parity_tests.judging import SKIP, NotApplicable, TorchRaised

REASONS = {
    "not differentiable": "grad gradgrad",
    "not differentiable, or a sample that is not tried": "forward_ad fwgrad_bwgrad",
    "no second order in torch": "gradgrad",
    "the gradient does not depend on the inputs": "gradgrad",
    "nothing to differentiate": "gradgrad",
    "no forward mode in torch": "forward_ad",
    "no forward mode over reverse mode in torch": "fwgrad_bwgrad",
    "no in-place variant for this sample": "inplace",
    "no out=": "out",
    "uninitialized memory": "out",
    "no other spelling": "method",
    "reads the memory behind its input": "noncontiguous",
}
"""What may keep a check from running, and which."""
REFUSED_BY_TORCH = {
    ("equal", "out"): "no tensors come back",
    ("histogramdd", "out"): "no tensors come back",
    ("nn.functional.ctc_loss", "gradgrad"): "derivative for aten::_ctc_loss_backward is not implemented",
    ("view_as_complex", "noncontiguous"): "Tensor must have a last dimension with stride 1",
    ("native_group_norm", "noncontiguous"): "Expected X.is_contiguous(memory_format) to be true",
}
SAMPLES = 3


def why_idle(entry: adapter.Entry) -> dict[str, str]:
    """The checks that never run on the first samples in any type, with the last reason."""
    reasons: dict[str, str] = {}
    done: set[str] = set()
    for dtype in ("float64", "int64", "complex128"):
        differentiable = dtype in entry.gradient_dtypes
        for sample in islice(entry.samples(dtype, differentiable) if dtype in entry.dtypes else (), SAMPLES):
            for check, run in ops.checks_of(entry, sample, differentiable, True).items():
                if check in done:
                    continue
                try:
                    run()
                except (NotApplicable, TorchRaised) as error:
                    reasons[check] = str(error)
                except Exception:  # mini_dl's, which the sweep judges
                    done.add(check)
                else:
                    done.add(check)
    return {check: reason for check, reason in reasons.items() if check not in done}


def unexplained() -> Iterator[str]:
    for entry in adapter.entries():
        if entry.out_of_scope or not entry.resolves():
            continue
        for check, reason in why_idle(entry).items():
            if check == "inplace" and entry.inplace():
                reason = f"none of {[name for name, _, _ in entry.inplace()]}"
            known = REFUSED_BY_TORCH.get((repr(entry), check))
            if not (check in REASONS.get(reason, "").split() or (known and known in reason)):
                yield f"{entry!r}, {check}: {reason}"


def test_each_check_runs_wherever_torch_has_what_it_compares() -> None:
    assert not list(unexplained())


def test_each_wrong_call_of_an_optimizer_is_compared() -> None:
    idle = []
    for entry in adapter.optimizer_entries():
        wrong = list(entry.error_samples())
        found = [outcome for outcome in optimizers.run_optimizer(entry, "float32") if outcome.check != "trajectory"]
        idle += [(repr(entry), wrong[outcome.number].pattern) for outcome in found if outcome.status == SKIP]
    assert set(idle) == {("optim.SparseAdam", "SparseAdam requires dense parameter tensors")}  # the bridge carries dense ones
