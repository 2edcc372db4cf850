"""The kernels that threads share, in pieces of a few elements, on torch's own samples.

The samples are small, and with one thread, as in the rest of the suite, nothing is shared: here everything is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import mini_dl
from mini_dl.kernels import parallel
from parity_tests import adapter
from parity_tests.ops import run_entry
from parity_tests.settling import settle
from tests.pieces import cut_into_pieces

NAMES = """
    nn.functional.conv1d nn.functional.conv2d nn.functional.conv3d nn.functional.conv_transpose1d
    nn.functional.conv_transpose2d nn.functional.max_pool1d nn.functional.max_pool2d nn.functional.max_pool3d
    nn.functional.avg_pool1d nn.functional.avg_pool2d nn.functional.adaptive_avg_pool2d nn.functional.layer_norm
    nn.functional.rms_norm nn.functional.group_norm nn.functional.instance_norm nn.functional.batch_norm softmax log_softmax
    nn.functional.cross_entropy nn.functional.gelu nn.functional.silu nn.functional.relu
    nn.functional.scaled_dot_product_attention matmul bmm addmm nn.functional.linear amax amin argmax argmin
    max:reduction_with_dim min:reduction_with_dim logsumexp sigmoid nn.functional.pad:constant nn.functional.pad:reflect
    nn.functional.pad:replicate nn.functional.pad:circular nn.functional.interpolate:nearest nn.functional.interpolate:linear
    nn.functional.interpolate:bilinear nn.functional.interpolate:bicubic nn.functional.interpolate:trilinear
    nn.functional.huber_loss nn.functional.smooth_l1_loss nn.functional.binary_cross_entropy_with_logits
    nn.functional.hardswish nn.functional.hardtanh nn.functional.hardsigmoid nn.functional.hardshrink nn.functional.softshrink
    nn.functional.threshold nn.functional.prelu cat stack gather index_add index_select repeat_interleave
""".split()


@pytest.fixture
def tiny_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Make three threads share everything; returns the number of pieces of each shared kernel."""
    before, shared = mini_dl.get_num_threads(), list[int]()
    cut_into_pieces(monkeypatch, 4)
    inner = parallel._ThreadPool.share
    monkeypatch.setattr(parallel._ThreadPool, "share", lambda *args: shared.append(len(args[2])) or inner(*args))
    mini_dl.set_num_threads(3)
    yield shared
    mini_dl.set_num_threads(before)


@pytest.mark.parametrize("entry", [entry for entry in adapter.entries() if repr(entry) in NAMES], ids=repr)
def test_an_op_in_shared_pieces(entry: adapter.Entry, tiny_pieces: list[int], counted: Any) -> None:
    checks = ("forward", "grad", "gradgrad")
    settle(counted, "shared", repr(entry), "float64", list(run_entry(entry, "float64", checks, limit=60)))
    assert max(tiny_pieces, default=0) > 1


def test_the_names_are_entries() -> None:
    assert {*NAMES} <= {repr(entry) for entry in adapter.entries()}
