"""What the pages share: an experiment of `scripts/book`, run under both libraries and drawn."""

from __future__ import annotations

from typing import Any

import torch
from matplotlib import pyplot

import mini_dl
from scripts.book import _frame as frame

pyplot.switch_backend("module://matplotlib_inline.backend_inline")


def show(name: str) -> Any:
    """Prints what the experiment reports and how far the libraries lie apart; returns its figure."""
    module = frame.experiment(name)
    results = {library.__name__: module.run(library, quick=True) for library in (mini_dl, torch)}
    _, apart = frame.agreement(results, module.TOLERANCE)
    print(*module.report(results), apart, sep="\n")
    return module.draw(results)
