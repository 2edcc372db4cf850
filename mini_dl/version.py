"""The version of torch whose behavior is implemented; its local part names this library."""

from __future__ import annotations

import mini_dl

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "rocm", "xpu"]

__version__ = f"2.13.0+mini_dl.{mini_dl.__version__}"
debug = False
cuda: str | None = None
git_version = "Unknown"
hip: str | None = None
rocm: str | None = None
xpu: str | None = None
