"""Limits of the kernels lowered, so that small arrays are cut into pieces and shared among threads."""

from __future__ import annotations

import functools

import pytest

from mini_dl.kernels import (
    bands,
    blocks,
    convolution,
    copying,
    indexing,
    lines,
    normalization,
    parallel,
    planes,
    products,
    recurrent,
    resampling,
    softmax,
    strips,
    sums,
    winograd,
)  # fmt: skip
from mini_dl.ops import joining


def cut_into_pieces(monkeypatch: pytest.MonkeyPatch, elements: int) -> None:
    """Share everything, in pieces of so many `elements`."""
    for module in (parallel, sums):
        monkeypatch.setattr(module, "ENOUGH", 1)
    for module in (blocks, normalization):
        for name in ("BLOCK", "LONGEST", "LONGEST_RUN"):
            monkeypatch.setattr(module, name, elements)
    for module in (sums, softmax, copying, indexing):
        monkeypatch.setattr(module, "BLOCK", elements)
    monkeypatch.setattr(softmax, "LONGEST", elements)
    for name in ("LARGE", "_LARGE"):
        monkeypatch.setattr(copying, name, 1)
    for name in ("FEW", "WIDE", "_LONG_RUN"):
        monkeypatch.setattr(sums, name, 1)
    monkeypatch.setattr(products, "LARGE", 1)
    monkeypatch.setattr(recurrent, "ENOUGH", 1)
    monkeypatch.setattr(recurrent, "TOGETHER", elements)
    monkeypatch.setattr(normalization, "_FEW", 16)
    for module, name in ((indexing, "_MANY"), (indexing, "LARGE"), (joining, "LARGE")):
        monkeypatch.setattr(module, name, 1)
    monkeypatch.setattr(resampling, "ENOUGH", 1)
    monkeypatch.setattr(resampling, "RUN", 2)
    monkeypatch.setattr(convolution, "COLUMNS_IN_CACHE", 64)
    monkeypatch.setattr(winograd, "TRANSFORMED_IN_CACHE", 1)
    monkeypatch.setattr(winograd, "FEW_TILES", 1)
    monkeypatch.setattr(lines, "SEEN_IN_CACHE", 1)
    monkeypatch.setattr(lines, "COLUMNS", 1)
    monkeypatch.setattr(lines, "ENOUGH", 1)
    monkeypatch.setattr(strips, "COPIED", 64)
    monkeypatch.setattr(strips, "WIDE", 4)
    monkeypatch.setattr(strips, "LARGE", 16)
    monkeypatch.setattr(bands, "IN_CACHE", 1)
    for name in ("COMPUTED", "LARGE"):
        monkeypatch.setattr(planes, name, 16)
    prepared = ((lines, "lines_of"), (strips, "strips_of"), (bands, "bands_of"), (planes, "planes_of"))
    for cached, name in ((convolution, "_columns_of"), *prepared):
        monkeypatch.setattr(cached, name, functools.lru_cache(getattr(cached, name).__wrapped__))
