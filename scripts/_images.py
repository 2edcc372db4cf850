"""Images of handwritten digits as arrays, for training and for testing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from _report import fail


def images_of(options: Any) -> dict[str, Any]:
    """The images that the options of a script ask for; if they cannot be read, the script says why and ends."""
    try:
        return read(options.data, options.root, options.dtype)
    except (OSError, ValueError, RuntimeError) as error:
        raise SystemExit(fail(str(error))) from None


def read(data: str, root: Path | None, dtype: str) -> dict[str, Any]:
    """Images as (N, 1, H, W) in 0..1 and labels. Every fifth of the digits (of MNIST's 10,000 test images) is for testing."""
    from mini_dl import datasets

    images = datasets.Digits(train=None) if data == "digits" else datasets.MNIST(root, train=False)
    pixels, labels = np.asarray(images.data), np.asarray(images.targets)
    pixels = (pixels[:, None] / float(pixels.max())).astype(dtype)
    tests = np.arange(len(labels)) % 5 == 4
    parts = {}
    for part, chosen in (("train", ~tests), ("test", tests)):
        parts[f"{part}_images"], parts[f"{part}_labels"] = pixels[chosen], labels[chosen].astype(np.int64)
    return parts
