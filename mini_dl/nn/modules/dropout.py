"""Dropout: random zeros in training, the identity in evaluation."""

from __future__ import annotations

from mini_dl.nn import functional as F
from mini_dl.nn.modules.configured import Configured
from mini_dl.tensor import Tensor


class _Dropout(Configured):
    p: float = 0.5
    inplace: bool = False

    def _check_fields(self) -> None:
        if self.p < 0 or self.p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {self.p}")

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """``out = mask * input / (1 - p)`` in training, with a random `mask`, 0 with probability `p` and otherwise 1; else `input`.

    Family: F.dropout

    >>> dropout = torch.nn.Dropout(0.2)
    >>> bool((dropout(torch.ones(1000)) == 0).any()), dropout.eval()(torch.ones(2))
    (True, tensor([1., 1.]))
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """``out[n, c] = mask[n, c] * input[n, c] / (1 - p)`` in training: `dropout` of whole channels.

    Family: F.dropout1d

    >>> torch.nn.Dropout1d(0.2)
    Dropout1d(p=0.2, inplace=False)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """``out[n, c] = mask[n, c] * input[n, c] / (1 - p)`` in training: `dropout` of whole channels.

    Three dimensions are interpreted as (N, C, L), with a warning.

    Family: F.dropout2d

    >>> rows = torch.nn.Dropout2d(0.5)(torch.ones(2, 3, 4, 4)).reshape(6, 16)
    >>> bool((rows == rows[:, :1]).all())
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """``out[n, c] = mask[n, c] * input[n, c] / (1 - p)`` in training: `dropout` of whole channels.

    Family: F.dropout3d

    >>> torch.nn.Dropout3d(0.2).eval()(torch.ones(1, 2, 1, 1, 1)).sum()
    tensor(2.)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """``out = a * (mask * input + (1 - mask) * low) + b`` in training: `mask` is 0 with probability `p`, `low` is the limit of
    `SELU` below 0, and `a` and `b` keep mean 0 and variance 1.

    Family: F.alpha_dropout

    >>> torch.nn.AlphaDropout(0.2).eval()(torch.ones(2))
    tensor([1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_Dropout):
    """``out[n, c] = a * (mask[n, c] * input[n, c] + (1 - mask[n, c]) * low) + b``: `AlphaDropout` of whole channels.

    Shapes: (N, C, *) -> (N, C, *).
    Raises: ValueError unless 0 <= p <= 1; RuntimeError for fewer than two dimensions in training.
    Source: Klambauer et al., Self-normalizing neural networks, 2017.

    >>> torch.nn.FeatureAlphaDropout(0.2)
    FeatureAlphaDropout(p=0.2, inplace=False)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training)


# what torch calls the family
_DropoutNd = _Dropout
