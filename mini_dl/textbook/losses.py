"""Losses: one number that says how wrong the output is, and that falls when the output gets a little better."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_dl.textbook.tensors import Array

# ------------------------------------------------------------------------------------------------ squares


def sum_squares_error(output: Array, target: Array) -> float:
    """Half the sum of the squared errors, over all numbers given.

    E = 1/2 sum_k (y_k - t_k)^2

    The half makes the derivative y_k - t_k.

    Shapes: any, the same -> a number.
    Errors: ValueError unless the shapes are equal.
    torch: `0.5 * F.mse_loss(output, target, reduction="sum")`.

    >>> target = np.array([0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    >>> output = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
    >>> round(sum_squares_error(output, target), 4)
    0.0975
    """
    _check_equal_shapes(output, target)
    return float(0.5 * np.sum((output - target) ** 2))


def mean_squared_error(output: Array, target: Array) -> float:
    """The mean of the squared errors, over all numbers given.

    E = 1/n sum_k (y_k - t_k)^2

    Shapes: any, the same -> a number.
    Errors: ValueError unless the shapes are equal.
    torch: `F.mse_loss(output, target)`.

    >>> mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    2.0
    """
    _check_equal_shapes(output, target)
    return float(np.mean((output - target) ** 2))


# ------------------------------------------------------------------------------------------------ likelihoods


def binary_cross_entropy(output: float | Array, target: float | Array, base: float = 2.0) -> float:
    """The surprise of a logistic unit that says `output` where the answer is `target`, in bits; the mean if there are several.

    E = -(t log o + (1 - t) log(1 - o))

    `output` is a probability, in [0, 1]; `target` is 1 or 0, or a probability too. A term of
    weight 0 counts 0, and log 0 is minus infinity. torch's `F.binary_cross_entropy` counts in
    nats (`base=math.e` here) and stops log at -100, so that it is 100 where this is infinite.

    Shapes: any, the same -> a number.
    Errors: ValueError unless the shapes are equal and all numbers lie in [0, 1].

    >>> round(binary_cross_entropy(0.98, 1), 4), round(binary_cross_entropy(0.0001, 1), 4)
    (0.0291, 13.2877)
    """
    o, t = np.asarray(output, float), np.asarray(target, float)
    _check_equal_shapes(o, t)
    for name, values in (("output", o), ("target", t)):
        if np.any((values < 0) | (values > 1)):
            raise ValueError(f"{name} must lie in [0, 1], not {values}")
    with np.errstate(divide="ignore"):  # log 0
        log_o = np.log(o, out=np.zeros_like(o), where=t != 0)
        log_not_o = np.log1p(-o, out=np.zeros_like(o), where=t != 1)
    return float(np.mean(-(t * log_o + (1 - t) * log_not_o)) / math.log(base))


def cross_entropy_error(output: Array, target: int | Array) -> float:
    """The mean of -log of the probability that each example gives to its true class.

    E = -1/N sum_n log(y_n,t_n + 1e-7)

    The 1e-7 keeps log 0 away: a probability of 0 costs 16.1 and not infinity. torch adds
    nothing: `F.nll_loss(output.log(), labels)` is larger by log(1 + 1e-7 / y): 1e-7 at y = 1,
    1e-4 at y = 0.001, infinite at y = 0.

    Shapes: output (K,) with a label or one-hot (K,); or output (N, K) with labels (N,) or
        one-hot (N, K) -> a number.
    Errors: ValueError if the shapes are others or a label is not a class.

    >>> output = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
    >>> round(cross_entropy_error(output, 2), 4), round(cross_entropy_error(output, 7), 4)
    (0.5108, 2.3026)
    >>> round(cross_entropy_error(output, 3), 4)
    16.1181
    """
    batch, labels = as_batch(output, target)
    picked = batch[np.arange(len(batch)), labels]  # the probability of each true class
    return float(-np.sum(np.log(picked + 1e-7)) / len(batch))


def negative_log_likelihood(scores: Array, target: int | Array) -> float:
    """The mean of -log softmax(scores) of the true class, without ever taking the log of a small number.

    E = 1/N sum_n (log sum_k exp(x_nk) - x_n,t_n)

    The same as `cross_entropy_error(softmax(scores), target)` but for the guard, which it does
    not need: the largest score is taken out of the sum, so the sum is at least 1.

    Shapes and errors: as for `cross_entropy_error`.
    torch: `F.cross_entropy(scores, labels)`.

    >>> round(negative_log_likelihood(np.array([0.3, 2.9, 4.0]), 2), 4)
    0.3057
    >>> negative_log_likelihood(np.array([[0.0, -1000.0], [5.0, 5.0]]), np.array([1, 0])) == (1000 + math.log(2)) / 2
    True
    """
    batch, labels = as_batch(scores, target)
    largest = np.max(batch, axis=1)
    log_sum = largest + np.log(np.sum(np.exp(batch - largest[:, np.newaxis]), axis=1))
    return float(np.mean(log_sum - batch[np.arange(len(batch)), labels]))


# ------------------------------------------------------------------------------------------------ shapes


def as_batch(output: Array, target: int | Array) -> tuple[Array, NDArray[Any]]:
    """Outputs as (N, K) and targets as labels (N,), from one example or a batch, from labels or one-hot rows.

    Errors: ValueError if the shapes do not match or a label is not a class.

    >>> as_batch(np.array([0.2, 0.8]), np.array([0, 1]))
    (array([[0.2, 0.8]]), array([1]))
    """
    labels = np.asarray(target)
    if output.ndim not in (1, 2) or labels.shape not in (output.shape, output.shape[:-1]):
        raise ValueError(f"neither labels nor one-hot rows fit: output {output.shape}, target {labels.shape}")
    if labels.ndim == output.ndim:
        labels = labels.argmax(axis=-1)
    batch, labels = np.atleast_2d(output), np.atleast_1d(labels)
    if np.any((labels < 0) | (labels >= batch.shape[1])):
        raise ValueError(f"labels must lie in 0 ... {batch.shape[1] - 1}, not {labels}")
    return batch, labels


def _check_equal_shapes(output: Array, target: Array) -> None:
    if output.shape != target.shape:
        raise ValueError(f"output and target must have one shape, not {output.shape} and {target.shape}")
