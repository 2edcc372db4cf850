"""Activation functions: the output of a unit from the sum of its inputs."""

from __future__ import annotations

import numpy as np

from mini_dl.textbook.tensors import Array


def step(x: Array) -> Array:
    """The step of the perceptron: 1 above 0, else 0.

    h(x) = 1 if x > 0, else 0

    Its slope is 0 wherever it has one, so nothing can be learned through it.

    Shapes: any -> the same.
    torch: `torch.heaviside(x, torch.tensor(0.0))`.
    Source: Rosenblatt 1958.

    >>> step(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return np.where(x > 0, 1.0, 0.0)


def sigmoid(x: Array) -> Array:
    """The logistic function, a smooth step from 0 to 1.

    h(x) = 1 / (1 + exp(-x)) = exp(x) / (1 + exp(x))

    The first form overflows far below 0 and the second far above; this computes the first
    where x > 0, else the second.

    Shapes: any -> the same.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def relu(x: Array) -> Array:
    """The rectified linear unit: x above 0, else 0.

    h(x) = max(0, x)

    Shapes: any -> the same.
    torch: `F.relu`.
    Source: Nair and Hinton 2010.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return np.maximum(0, x)


def identity(x: Array) -> Array:
    """The input unchanged: the activation of an output layer that predicts any number (regression).

    >>> identity(np.array([-1.0, 2.0]))
    array([-1.,  2.])
    """
    return x


def softmax(x: Array) -> Array:
    """Scores turned into probabilities: positive, and 1 in sum, for one example or for each row of a batch.

    y_k = exp(x_k) / sum_i exp(x_i) = exp(x_k - c) / sum_i exp(x_i - c)

    The second form holds for every c. With c the largest score, no exponential is above 1 and
    none overflows.

    Shapes: (K,) -> (K,), (N, K) -> (N, K); with more dimensions, the sum is over the last.

    >>> softmax(np.array([0.3, 2.9, 4.0])).round(4)
    array([0.0182, 0.2452, 0.7366])
    >>> softmax(np.array([[1010.0, 1010.0], [0.0, -1000.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    powers = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return powers / np.sum(powers, axis=-1, keepdims=True)
