"""Type aliases of the experiments. The objects belong to either library, so no type is more precise than its name."""

from __future__ import annotations

from typing import Any

Torch = Any
"""mini_dl or PyTorch: an experiment takes it as `torch`."""
Part = Torch
"""A tensor, a module or an optimizer of that library; or an array."""
Axes = Torch
Figure = Torch
Results = dict[str, Part]
"""Results by name; or by library, `{"mini_dl": ..., "torch": ...}`, one of them or both."""
