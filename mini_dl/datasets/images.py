"""The base class of image data sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.tensor import Tensor, wrap
from mini_dl.utils.data import Dataset

Transform = Callable[[Any], Any]


class Images(Dataset[tuple[Any, Any]]):
    """Labeled images of one channel. Sample `i` is (float tensor ``(1, height, width)`` from 0 to 1, int).

    `transform` is applied to the image, `target_transform` to the label. ``data`` holds the pixels as stored, uint8
    ``(N, height, width)``; ``targets`` the labels, int64 ``(N,)``.
    """

    white: int = 255
    """The pixel value that becomes 1."""

    data: Tensor
    targets: Tensor

    def __init__(
        self, images: Array, labels: Array, transform: Transform | None = None, target_transform: Transform | None = None
    ) -> None:
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise ValueError(
                f"expected images (N, height, width) and N labels, got the shapes {list(images.shape)} and {list(labels.shape)}"
            )
        self.data, self.targets = wrap(images), wrap(labels.astype(np.int64))
        self.transform, self.target_transform = transform, target_transform

    def tensors(self) -> tuple[Tensor, Tensor]:
        """All images ``(N, 1, height, width)`` from 0 to 1, and all labels ``(N,)``, without the transforms."""
        return self._scaled(self.data._array[:, None]), self.targets

    def _scaled(self, pixels: Array) -> Tensor:
        return wrap(pixels.astype(np.float32) / np.float32(self.white))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image: Any = self._scaled(self.data._array[index][None])
        label: Any = int(self.targets._array[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} images of {' x '.join(map(str, self.data.shape[1:]))})"
