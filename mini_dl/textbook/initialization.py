"""Initial weights: how large random numbers must be for signals and gradients to pass through many layers.

Every function takes the shape of one weight and a Generator. A matrix is (inputs, outputs), as in
`Affine`; filters are
(F, C, FH, FW), as in `Convolution`. `n` is the number of inputs of one unit: rows of the matrix, C
FH FW of a filter.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from mini_dl.textbook.activations import relu
from mini_dl.textbook.tensors import Array

# ------------------------------------------------------------------------------------------------ given scale


def gaussian(shape: tuple[int, ...], rng: np.random.Generator, std: float = 0.01) -> Array:
    """Normal numbers of a given standard deviation.

    W ~ N(0, std^2)

    Shapes: any.
    torch: `nn.init.normal_(tensor, 0, std)`.

    >>> gaussian((2, 3), np.random.default_rng(0), std=0.1).round(3)
    array([[ 0.013, -0.013,  0.064],
           [ 0.01 , -0.054,  0.036]])
    """
    return std * rng.standard_normal(shape)


def uniform(shape: tuple[int, ...], rng: np.random.Generator, scale: float = 0.01) -> Array:
    """Numbers spread evenly on both sides of 0.

    W ~ U(-scale, scale), whose standard deviation is scale / sqrt(3)

    Shapes: any.
    torch: `nn.init.uniform_(tensor, -scale, scale)`.

    >>> uniform((4,), np.random.default_rng(0), scale=1.0).round(3)
    array([ 0.274, -0.46 , -0.918, -0.967])
    """
    return rng.uniform(-scale, scale, shape)


def alexnet(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """AlexNet's rule: small normal numbers, the same for every layer.

    W ~ N(0, 0.01^2)

    In a deep net of wide layers the signal shrinks by about 0.01 sqrt(n) per layer, and with it
    the gradient; eight layers could still learn. The biases were 1 in the second, fourth and fifth
    convolution and in the hidden dense layers, and 0 elsewhere.

    Shapes: any.
    Source: Krizhevsky, Sutskever and Hinton 2012, section 5.

    >>> alexnet((2,), np.random.default_rng(0)).round(5)
    array([ 0.00126, -0.00132])
    """
    return gaussian(shape, rng, std=0.01)


# ------------------------------------------------------------------------------------------------ scale by the number of inputs


def fan(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many inputs one unit has, and how many units one input reaches.

    A matrix (D, M): (D, M). Filters (F, C, FH, FW): (C FH FW, F FH FW).

    Errors: ValueError for other shapes.

    >>> fan((784, 50)), fan((30, 1, 5, 5))
    ((784, 50), (25, 750))
    """
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) == 4:
        filters, channels, height, width = shape
        return channels * height * width, filters * height * width
    raise ValueError(f"a matrix (D, M) or filters (F, C, FH, FW) are needed, not {shape}")


def xavier(shape: tuple[int, ...], rng: np.random.Generator, both_ways: bool = False) -> Array:
    """Xavier's rule for sigmoid, tanh and linear units: the variance of a sum of n inputs is that of one.

    W ~ N(0, 1 / n), or with `both_ways` N(0, 2 / (n + m))

    m is the number of units that one input reaches. The first preserves the variance of the signal
    in the forward pass; that of the gradient in the backward pass would need 1 / m, and the second is
    the compromise. torch's `nn.init.xavier_normal_` is the second; for n = m they are the same.

    Shapes and errors: as for `fan`.
    Source: Glorot and Bengio 2010, equations 10 to 12; the notes and Caffe take the first.

    >>> float(xavier((400, 100), np.random.default_rng(0)).std().round(3))
    0.05
    """
    n, m = fan(shape)
    return gaussian(shape, rng, std=math.sqrt(2 / (n + m) if both_ways else 1 / n))


def he(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """He's rule for rectifiers: twice Xavier's variance, because half of the inputs are 0. ResNet uses it.

    W ~ N(0, 2 / n)

    Shapes and errors: as for `fan`.
    torch: `nn.init.kaiming_normal_(tensor, nonlinearity="relu")`.
    Source: He et al. 2015, "Delving deep into rectifiers", equation 10.

    >>> float(he((200, 500), np.random.default_rng(0)).std().round(3))
    0.1
    """
    return gaussian(shape, rng, std=math.sqrt(2 / fan(shape)[0]))


def random_walk(shape: tuple[int, ...], rng: np.random.Generator, activation: str = "relu") -> Array:
    """The scale at which the logarithm of the gradient's length, a random walk over the layers, drifts neither up nor down.

    W ~ N(0, g^2 / n)
    g = exp(1 / (2 n)) for "linear", g = sqrt(2) exp(1.2 / (max(n, 6) - 2.4)) for "relu"

    He's and the linear rule preserve the mean of the squared length. The mean of its logarithm,
    which matters in a deep net, still falls by about 1 / n per linear layer; g compensates for that.
    The paper has layers of equal width n. torch has no such rule; `mini_dl.nn.init.random_walk_`
    applies this one to a module.

    Shapes: as for `fan`.
    Errors: ValueError for another activation.
    Source: Sussillo and Abbott 2014, "Random walk initialization for training very deep
        feedforward networks".

    >>> float(random_walk((100, 1000), np.random.default_rng(0), "relu").std().round(3))
    0.143
    """
    n = fan(shape)[0]
    if activation == "linear":
        g = math.exp(1 / (2 * n))
    elif activation == "relu":
        g = math.sqrt(2) * math.exp(1.2 / (max(n, 6) - 2.4))
    else:
        raise ValueError(f'the activation must be "linear" or "relu", not {activation!r}')
    return gaussian(shape, rng, std=g / math.sqrt(n))


# ------------------------------------------------------------------------------------------------ structure


def orthogonal(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> Array:
    """A random orthogonal matrix: it rotates the signal and preserves its length, in one layer or in a hundred.

    W = gain Q, where A = Q R with A ~ N(0, 1), and R's diagonal is positive

    Then W^T W = gain^2 I, or W W^T if that is the smaller. A wide matrix is factored as its
    transpose.
    Filters are treated as a matrix (F, C FH FW).

    Errors: ValueError unless there are two dimensions or more.
    torch: `nn.init.orthogonal_`.
    Source: Saxe, McClelland and Ganguli 2014, "Exact solutions to the nonlinear dynamics of
        learning".

    >>> W = orthogonal((3, 5), np.random.default_rng(0))
    >>> (W @ W.T).round(12) + 0.0
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    if len(shape) < 2:
        raise ValueError(f"two dimensions or more are needed, not {shape}")
    rows, columns = shape[0], math.prod(shape[1:])
    drawn = rng.standard_normal((rows, columns))
    q, r = np.linalg.qr(drawn if rows >= columns else drawn.T)
    q = q * np.sign(np.diagonal(r))  # without this, the signs are not distributed uniformly
    return gain * (q if rows >= columns else q.T).reshape(shape)


def sparse(shape: tuple[int, ...], rng: np.random.Generator, connections: int = 15, std: float = 1.0) -> Array:
    """Each unit is connected to a few random inputs, regardless of their number; the other weights are 0.

    W_ij ~ N(0, std^2) for `connections` random i in every column j, else 0

    The sum a unit sees does not grow with n, and units start out different. torch's
    `nn.init.sparse_(tensor, sparsity, std)` sets a fraction of zeros per column; for a tensor
    (inputs, outputs) it is this rule with sparsity = 1 - connections / n. The columns of
    `nn.Linear`'s weight are its inputs, so there it limits the number of units that an input reaches.

    Shapes: (D, M).
    Errors: ValueError for other shapes, or if there are fewer inputs than connections.
    Source: Martens 2010, section 5; Sutskever et al. 2013, section 3.

    >>> (sparse((100, 6), np.random.default_rng(0)) != 0).sum(axis=0)
    array([15, 15, 15, 15, 15, 15])
    """
    if len(shape) != 2 or not 0 <= connections <= shape[0]:
        raise ValueError(f"a matrix with at least {connections} inputs is needed, not {shape}")
    inputs, outputs = shape
    W = gaussian(shape, rng, std)
    for unit in range(outputs):
        W[rng.permutation(inputs)[: inputs - connections], unit] = 0
    return W


def lsuv(
    sizes: Sequence[int],
    x: Array,
    rng: np.random.Generator,
    activation: Callable[[Array], Array] = relu,
    tolerance: float = 0.1,
    max_trials: int = 10,
) -> list[Array]:
    """Layer-sequential unit variance: orthogonal weights, then each layer scaled until its output on a batch has variance 1.

    W <- W / sqrt(var(h W)) while |var(h W) - 1| >= tolerance, at most `max_trials` times; h is
        the output of the previous layers for x

    It measures what the other rules compute, so it fits every activation. torch has no such
    rule; `mini_dl.nn.init.lsuv_` is this one for any module.

    Shapes: sizes (D, M1, ..., K), x (N, D) -> weights (D, M1), (M1, M2), ...
    Errors: ValueError if x does not have D columns or an output does not vary.
    Source: Mishkin and Matas 2016, "All you need is a good init", algorithm 1.

    >>> rng = np.random.default_rng(0)
    >>> x = 5 * rng.standard_normal((200, 20))
    >>> W1, W2 = lsuv([20, 30, 10], x, rng)
    >>> round(float(np.var(x @ W1)), 3), round(float(np.var(relu(x @ W1) @ W2)), 3)
    (1.0, 1.0)
    """
    if x.ndim != 2 or x.shape[1] != sizes[0]:
        raise ValueError(f"examples of {sizes[0]} numbers are needed, not the shape {x.shape}")
    weights, h = [], x
    for layer, shape in enumerate(itertools.pairwise(sizes)):
        W = orthogonal(shape, rng)
        for _ in range(max_trials):
            variance = np.var(h @ W)
            if not 0 < variance < math.inf:
                raise ValueError(f"the output of layer {layer} has the variance {variance}")
            if abs(variance - 1) < tolerance:
                break
            W /= np.sqrt(variance)
        weights.append(W)
        h = activation(h @ W)
    return weights
