"""A few lines of source that reproduce a failure."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from parity_tests.adapter import Entry, Sample

VARIED = 1000
"""The number of the first call that is made from torch's samples, which have smaller ones."""


def literal(value: Any) -> str:
    """Source text that recreates a torch value."""
    if isinstance(value, torch.Tensor):
        plain = value.detach()
        if plain.numel() > 8 or plain.layout is not torch.strided:
            raise ValueError
        grad = ", requires_grad=True" if value.requires_grad else ""
        data = str(plain.tolist()).replace("nan", "float('nan')").replace("inf", "float('inf')")
        text = f"torch.tensor({data}, dtype={plain.dtype}{grad})"
        if not plain.numel():
            text = f"torch.empty({tuple(plain.shape)}, dtype={plain.dtype}{grad})"
        if not plain.is_contiguous():
            text += f"  # strides {plain.stride()}"
            raise ValueError
        return text
    if type(value) in (list, tuple):
        inner = ", ".join(literal(item) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    if isinstance(value, (torch.Size,)):
        return str(tuple(value))
    if isinstance(value, torch.device):
        return repr(str(value))
    if isinstance(value, float) and not np.isfinite(value):
        return f"float('{value}')"
    if value is None or isinstance(value, (bool, int, float, complex, str, slice, torch.dtype, type(...))):
        return repr(value)
    raise ValueError


def command(entry: Entry, dtype: str, check: str, number: int) -> str:
    """How one case is run again."""
    chosen = "--reference" if check.startswith("reference") else f"--check {check} --sample {number}"
    return f"# python -m parity_tests.sweep '{entry}' --dtype {dtype} {chosen}"


def script(entry: Entry, dtype: str, check: str, number: int, sample: Sample) -> str:
    """A few lines that show the two answers."""
    again = command(entry, dtype, check, number)
    try:
        inputs = ", ".join([literal(v) for v in sample.all_args] + [f"{k}={literal(v)}" for k, v in sample.kwargs.items()])
        name = entry.name
        if name.startswith("__") or not hasattr(torch, name.split(".")[0]):
            name = "Tensor." + name
        variants = {"inplace": f"torch.Tensor.{name.split('.')[-1]}_", "out": f"torch.{name}"}
        function = variants.get(check, f"torch.{name}")
        return f"{again}\nimport torch as real, mini_dl\nfor torch in (real, mini_dl):\n    print({function}({inputs}))"
    except Exception:
        if check.startswith("reference") or number >= VARIED:
            return again
        method = "error_samples()" if check == "error" else f"samples({dtype!r}, {dtype in entry.gradient_dtypes})"
        pick = "error.sample" if check == "error" else "sample"
        first = pick.split(".")[0]
        return (
            f"{again}\nfrom parity_tests import adapter, bridge\n"
            f"entry = next(e for e in adapter.entries() if repr(e) == {repr(entry)!r})\n"
            f"{first} = list(entry.{method})[{number}]\n"
            f"print(entry.theirs(*{pick}.all_args, **{pick}.kwargs))\n"
            f"print(entry.ours(*bridge.to_mini({pick}.all_args), **bridge.to_mini({pick}.kwargs)))"
        )
