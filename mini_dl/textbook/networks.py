"""Networks put together from the layers, from six weights to a small convolutional one.

All offer the same: `predict`, `loss`, `accuracy`, `numerical_gradient`, `gradient`, and their
parameters in the dictionary `params`. Initial weights come from a seed or a Generator, biases begin
at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from mini_dl.textbook import gradients
from mini_dl.textbook.activations import softmax
from mini_dl.textbook.initialization import gaussian, he, xavier
from mini_dl.textbook.layers import (
    Affine,
    BatchNormalization,
    Convolution,
    Dropout,
    Pooling,
    ReLU,
    Sigmoid,
    SoftmaxWithLoss,
    window_places,
)
from mini_dl.textbook.losses import as_batch, negative_log_likelihood
from mini_dl.textbook.tensors import Array

Seed: TypeAlias = int | np.random.Generator


class Network:
    """What the networks have in common. A network puts its parameters and its layers, by name and in order, into dictionaries.

    `x` is a batch, `target` labels (N,) or one-hot rows (N, K). Scores are what `predict`
    returns: softmax makes probabilities of them, and is part of the loss.
    """

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self.layers: dict[str, Any] = {}
        self.last = SoftmaxWithLoss()

    def predict(self, x: Array, train: bool = False) -> Array:
        """The scores (N, K). `train` is for the layers that behave differently while training."""
        for layer in self.layers.values():
            x = layer.forward(x, train) if isinstance(layer, (Dropout, BatchNormalization)) else layer.forward(x)
        return x

    def loss(self, x: Array, target: Array, train: bool = False) -> float:
        """The mean cross entropy of the batch."""
        return self.last.forward(self.predict(x, train), target)

    def accuracy(self, x: Array, target: Array) -> float:
        """The share of examples whose largest score is that of the true class."""
        scores, labels = as_batch(self.predict(x), target)
        return float(np.mean(scores.argmax(axis=1) == labels))

    def numerical_gradient(self, x: Array, target: Array) -> dict[str, Array]:
        """The gradient of the training loss by differences, two losses per parameter: slow, and hard to get wrong."""
        return {
            name: gradients.numerical_gradient(lambda _: self.loss(x, target, train=True), param)
            for name, param in self.params.items()
        }

    def gradient(self, x: Array, target: Array) -> dict[str, Array]:
        """The gradient of the training loss by backpropagation: once forward, once back through the layers in reverse."""
        self.loss(x, target, train=True)
        dout = self.last.backward()
        for layer in reversed(self.layers.values()):
            dout = layer.backward(dout)
        return self.collect_gradients()

    def collect_gradients(self) -> dict[str, Array]:
        """What the layers kept on the way back, by the names of the parameters."""
        raise NotImplementedError


class SimpleNet(Network):
    """The smallest network: one matrix of weights, 2 x 3 unless told otherwise, and softmax.

    scores = x W; dL/dW = x^T (softmax(x W) - one_hot(t)) / N

    Shapes: x (N, 2), or (2,) for a single example.

    >>> net = SimpleNet()
    >>> net.params["W"] = np.array([[0.47355232, 0.9977393, 0.84668094], [0.85557411, 0.03563661, 0.69422093]])
    >>> x, target = np.array([0.6, 0.9]), np.array([0, 0, 1])
    >>> round(net.loss(x, target), 6)
    0.928069
    >>> net.gradient(x, target)["W"].round(4)
    array([[ 0.2192,  0.1436, -0.3628],
           [ 0.3289,  0.2153, -0.5442]])
    """

    def __init__(self, input_size: int = 2, output_size: int = 3, seed: Seed = 0) -> None:
        super().__init__()
        self.params["W"] = gaussian((input_size, output_size), np.random.default_rng(seed), std=1.0)

    def predict(self, x: Array, train: bool = False) -> Array:
        return x @ self.params["W"]

    def loss(self, x: Array, target: Array, train: bool = False) -> float:
        return negative_log_likelihood(self.predict(x), target)

    def gradient(self, x: Array, target: Array) -> dict[str, Array]:
        scores, labels = as_batch(self.predict(x), target)
        error = softmax(scores)
        error[np.arange(len(error)), labels] -= 1
        return {"W": np.atleast_2d(x).T @ error / len(error)}


class TwoLayerNet(Network):
    """Affine, ReLU, affine, softmax: the network that first reads the digits.

    scores = max(0, x W1 + b1) W2 + b2, weights from N(0, weight_init_std^2)

    Shapes: x (N, input_size) -> scores (N, output_size).

    >>> net = TwoLayerNet(input_size=4, hidden_size=5, output_size=3)
    >>> x, target = np.random.default_rng(1).standard_normal((6, 4)), np.array([0, 1, 2, 0, 1, 2])
    >>> exact, approximate = net.gradient(x, target), net.numerical_gradient(x, target)
    >>> bool(max(np.abs(exact[name] - approximate[name]).max() for name in net.params) < 1e-9)
    True
    """

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, weight_init_std: float = 0.01, seed: Seed = 0
    ) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.params["W1"] = gaussian((input_size, hidden_size), rng, weight_init_std)
        self.params["b1"] = np.zeros(hidden_size)
        self.params["W2"] = gaussian((hidden_size, output_size), rng, weight_init_std)
        self.params["b2"] = np.zeros(output_size)

        self.layers["Affine1"] = Affine(self.params["W1"], self.params["b1"])
        self.layers["ReLU1"] = ReLU()
        self.layers["Affine2"] = Affine(self.params["W2"], self.params["b2"])

    def collect_gradients(self) -> dict[str, Array]:
        first, second = self.layers["Affine1"], self.layers["Affine2"]
        return {"W1": first.dW, "b1": first.db, "W2": second.dW, "b2": second.db}


class MultiLayerNet(Network):
    """Any number of hidden layers: affine, batch normalization if wanted, activation, dropout if wanted; then affine and softmax.

    loss = cross entropy + 1/2 weight_decay_lambda sum over the layers of |W|^2

    `activation` is "relu" or "sigmoid". `weight_init_std` is a number, or "relu" or "he" for
    He's rule, "sigmoid" or "xavier" for Xavier's, from the number of inputs of each layer. With
    batch normalization the parameters gamma1, beta1, ... join W1, b1, ...

    Shapes: x (N, input_size) -> scores (N, output_size).
    Errors: ValueError for other names of activations and rules.

    >>> net = MultiLayerNet(4, [5, 5], 3, weight_decay_lambda=0.1, use_dropout=True, use_batchnorm=True)
    >>> list(net.layers)[:5]
    ['Affine1', 'BatchNorm1', 'Activation1', 'Dropout1', 'Affine2']
    >>> net.predict(np.ones((2, 4))).shape
    (2, 3)
    """

    def __init__(
        self, input_size: int, hidden_sizes: Sequence[int], output_size: int, activation: str = "relu",
        weight_init_std: float | str = "relu", weight_decay_lambda: float = 0.0, use_dropout: bool = False,
        dropout_ratio: float = 0.5, use_batchnorm: bool = False, seed: Seed = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        activations = {"relu": ReLU, "sigmoid": Sigmoid}
        if activation not in activations:
            raise ValueError(f"the activation must be one of {list(activations)}, not {activation!r}")
        self.weight_decay_lambda = weight_decay_lambda
        self.rng = np.random.default_rng(seed)

        sizes = [input_size, *hidden_sizes, output_size]
        self.depth = len(sizes) - 1
        for i in range(1, self.depth + 1):
            W = self.params[f"W{i}"] = initial_weight((sizes[i - 1], sizes[i]), weight_init_std, self.rng)
            b = self.params[f"b{i}"] = np.zeros(sizes[i])
            self.layers[f"Affine{i}"] = Affine(W, b)
            if i == self.depth:
                break
            if use_batchnorm:
                gamma, beta = self.params[f"gamma{i}"], self.params[f"beta{i}"] = np.ones(sizes[i]), np.zeros(sizes[i])
                self.layers[f"BatchNorm{i}"] = BatchNormalization(gamma, beta)
            self.layers[f"Activation{i}"] = activations[activation]()
            if use_dropout:
                self.layers[f"Dropout{i}"] = Dropout(dropout_ratio, self.rng)

    def loss(self, x: Array, target: Array, train: bool = False) -> float:
        """The mean cross entropy of the batch, plus the weight decay."""
        squares = sum([float(np.sum(self.params[f"W{i}"] ** 2)) for i in range(1, self.depth + 1)])
        return super().loss(x, target, train) + 0.5 * self.weight_decay_lambda * squares

    def numerical_gradient(self, x: Array, target: Array) -> dict[str, Array]:
        """As for every network. All losses see one dropout mask, the one that `gradient` draws next; running averages stay."""
        state = self.rng.bit_generator.state
        norms = [layer for layer in self.layers.values() if isinstance(layer, BatchNormalization)]
        averages = [(norm.running_mean, norm.running_var) for norm in norms]

        def loss(_: Array) -> float:
            self.rng.bit_generator.state = state
            return self.loss(x, target, train=True)

        found = {name: gradients.numerical_gradient(loss, param) for name, param in self.params.items()}
        self.rng.bit_generator.state = state
        for norm, average in zip(norms, averages):
            norm.running_mean, norm.running_var = average
        return found

    def collect_gradients(self) -> dict[str, Array]:
        found = {}
        for i in range(1, self.depth + 1):
            affine = self.layers[f"Affine{i}"]
            found[f"W{i}"] = affine.dW + self.weight_decay_lambda * affine.W
            found[f"b{i}"] = affine.db
            if norm := self.layers.get(f"BatchNorm{i}"):
                found[f"gamma{i}"], found[f"beta{i}"] = norm.dgamma, norm.dbeta
        return found


def initial_weight(shape: tuple[int, int], std: float | str, rng: np.random.Generator) -> Array:
    """A weight by a rule's name, "relu" or "he", "sigmoid" or "xavier", or of a given standard deviation.

    Errors: ValueError for another name.

    >>> float(initial_weight((200, 500), "he", np.random.default_rng(0)).std().round(3))
    0.1
    """
    if not isinstance(std, str):
        return gaussian(shape, rng, std)
    if std in ("relu", "he"):
        return he(shape, rng)
    if std in ("sigmoid", "xavier"):
        return xavier(shape, rng)
    raise ValueError(f'the rule must be "relu", "he", "sigmoid" or "xavier", not {std!r}')


class SimpleConvNet(Network):
    """Convolution, ReLU, 2 x 2 max pooling, affine, ReLU, affine, softmax: a small network that sees images as images.

    Weights from N(0, weight_init_std^2); W1 are the filters.

    Shapes: x (N, *input_shape) -> scores (N, output_size).
    Errors: ValueError if the filter or the pooling does not fit into the image.

    >>> net = SimpleConvNet(input_shape=(1, 28, 28), filters=30, filter_size=5, hidden_size=100, output_size=10)
    >>> {name: param.shape for name, param in net.params.items() if name.startswith("W")}
    {'W1': (30, 1, 5, 5), 'W2': (4320, 100), 'W3': (100, 10)}
    """

    def __init__(
        self, input_shape: tuple[int, int, int] = (1, 28, 28), filters: int = 30, filter_size: int = 5, stride: int = 1,
        pad: int = 0, hidden_size: int = 100, output_size: int = 10, weight_init_std: float = 0.01, seed: Seed = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        rng = np.random.default_rng(seed)
        channels, height, width = input_shape
        flat = filters
        for side in (height, width):
            flat *= window_places(window_places(side, filter_size, stride, pad), 2, stride=2, pad=0)

        W1 = self.params["W1"] = gaussian((filters, channels, filter_size, filter_size), rng, weight_init_std)
        b1 = self.params["b1"] = np.zeros(filters)
        W2 = self.params["W2"] = gaussian((flat, hidden_size), rng, weight_init_std)
        b2 = self.params["b2"] = np.zeros(hidden_size)
        W3 = self.params["W3"] = gaussian((hidden_size, output_size), rng, weight_init_std)
        b3 = self.params["b3"] = np.zeros(output_size)

        self.layers["Conv1"] = Convolution(W1, b1, stride, pad)
        self.layers["ReLU1"] = ReLU()
        self.layers["Pool1"] = Pooling(2, 2, stride=2)
        self.layers["Affine1"] = Affine(W2, b2)
        self.layers["ReLU2"] = ReLU()
        self.layers["Affine2"] = Affine(W3, b3)

    def collect_gradients(self) -> dict[str, Array]:
        convolution, first, second = self.layers["Conv1"], self.layers["Affine1"], self.layers["Affine2"]
        found = {"W1": convolution.dW, "b1": convolution.db, "W2": first.dW, "b2": first.db}
        return {**found, "W3": second.dW, "b3": second.db}
