"""Names for what the experiments hand about. It is of either library, so no type is more precise than its name."""

from __future__ import annotations

from typing import Any

Torch = Any
"""mini_dl or PyTorch: an experiment is a program over the name `torch`."""
Part = Torch
"""A tensor, a module or an optimizer of that library; or an array."""
Axes = Torch
Figure = Torch
Results = dict[str, Part]
"""By their names; or by that of the library, `{"mini_dl": ..., "torch": ...}`, one of them or both."""
