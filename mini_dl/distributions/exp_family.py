"""Exponential families: entropy and divergence from the log normalizer."""

from __future__ import annotations

from typing import Any

from mini_dl.autograd.backwards import grad
from mini_dl.distributions.distribution import Distribution, missing
from mini_dl.tensor import Tensor

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Densities ``exp(t(x) @ theta - F(theta) + k(x))``.

    `_natural_params` is theta, `_log_normalizer` F, and `_mean_carrier_measure` the mean of k; the gradient of F gives
    entropy and divergence.

    Shapes: theta of the shape of the batch.
    Raises: NotImplementedError for methods that a subclass does not define.
    Source: Nielsen and Nock, Entropies and cross-entropies of exponential families, 2010.

    >>> normal = torch.distributions.Normal(0.0, 1.0)
    >>> isinstance(normal, torch.distributions.ExponentialFamily), torch.distributions.ExponentialFamily.entropy(normal)
    (True, tensor(1.4189, grad_fn=<SubBackward0>))
    """

    _natural_params: Any = missing("_natural_params")
    _mean_carrier_measure: Any = missing("_mean_carrier_measure")

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """``F(theta) - <theta, F'(theta)> - E k``"""
        result = -self._mean_carrier_measure
        parameters = [p.detach().requires_grad_() for p in self._natural_params]
        normalizer = self._log_normalizer(*parameters)
        slopes = grad(normalizer.sum(), parameters, create_graph=True)
        result = result + normalizer
        for parameter, slope in zip(parameters, slopes):
            result = result - (parameter * slope).reshape(self._batch_shape + (-1,)).sum(-1)
        return result
