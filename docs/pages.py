"""What the pages share: an experiment of `scripts/book`, run under both libraries and drawn; a comparison that must hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib import pyplot

import mini_dl
from scripts.book import _frame as frame

pyplot.switch_backend("module://matplotlib_inline.backend_inline")


def show(name: str) -> Any:
    """Prints what the experiment reports and how far the libraries lie apart; returns its figure. AssertionError if too far."""
    module = frame.experiment(name)
    results = {library.__name__: module.run(library, quick=True) for library in (mini_dl, torch)}
    agree, apart = frame.agreement(results, module.TOLERANCE)
    assert agree, apart
    print(*module.report(results), apart, sep="\n")
    return module.draw(results)


def same(library: Any, **pairs: tuple[Any, Any]) -> None:
    """Of each pair the library's tensor and what is expected of it: says that they are equal, or raises AssertionError."""
    for name, (tensor, expected) in pairs.items():
        np.testing.assert_allclose(tensor.detach().numpy(), expected, rtol=1e-9, atol=1e-12, err_msg=name)
    print(f"{library.__name__}: the same {', '.join(pairs)}")
