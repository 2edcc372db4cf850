"""Dropout: random zeros in training, the identity in evaluation."""

from __future__ import annotations

from mini_dl.nn import functional as F
from mini_dl.nn.modules.configured import Configured
from mini_dl.tensor import Tensor


class _Dropout(Configured):
    p: float = 0.5
    inplace: bool = False

    def configured(self) -> None:
        if self.p < 0 or self.p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {self.p}")

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Each element is zero with probability `p`, else divided by 1 - p (Srivastava et al. 2014). ValueError unless 0 <= p <= 1.

    >>> import mini_dl as torch
    >>> dropout = torch.nn.Dropout(0.2)
    >>> bool((dropout(torch.ones(1000)) == 0).any()), dropout.eval()(torch.ones(2))
    (True, tensor([1., 1.]))
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """Whole channels of (N, C, L) are zero with probability `p`.

    >>> import mini_dl as torch
    >>> torch.nn.Dropout1d(0.2)
    Dropout1d(p=0.2, inplace=False)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Whole channels of (N, C, H, W) are zero with probability `p` (Tompson et al. 2014).

    >>> import mini_dl as torch
    >>> rows = torch.nn.Dropout2d(0.5)(torch.ones(2, 3, 4, 4)).reshape(6, 16)
    >>> bool((rows == rows[:, :1]).all())
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """Whole channels of (N, C, D, H, W) are zero with probability `p`.

    >>> import mini_dl as torch
    >>> torch.nn.Dropout3d(0.2).eval()(torch.ones(1, 2, 1, 1, 1)).sum()
    tensor(2.)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout for SELU networks, which keeps mean and variance (Klambauer et al. 2017).

    >>> import mini_dl as torch
    >>> torch.nn.AlphaDropout(0.2).eval()(torch.ones(2))
    tensor([1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels.

    >>> import mini_dl as torch
    >>> torch.nn.FeatureAlphaDropout(0.2)
    FeatureAlphaDropout(p=0.2, inplace=False)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training)


# what torch calls the family
_DropoutNd = _Dropout
