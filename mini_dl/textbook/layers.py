"""Layers that know their own derivative: `forward` keeps what `backward` needs, and no graph is recorded.

`backward` takes the gradient of the loss with respect to the output (`dout`), and returns the
gradient with respect to the input. Gradients of parameters are kept on the layer: `dW` and `db`,
`dgamma` and `dbeta`. A layer refers to the arrays of its parameters and never replaces them, so
that an optimizer changes them in place.
"""

from __future__ import annotations

import numpy as np

from mini_dl.textbook.activations import sigmoid, softmax
from mini_dl.textbook.losses import as_batch, negative_log_likelihood
from mini_dl.textbook.tensors import Array

# ------------------------------------------------------------------------------------------------ nodes of a graph


class Add:
    """The sum of two inputs, as a node of a computational graph.

    forward: z = x + y
    backward: dL/dx = dL/dz, dL/dy = dL/dz

    What arrives from above is passed on, to both.

    Shapes: any, the same.

    >>> node = Add()
    >>> node.forward(200.0, 450.0), node.backward(1.1)
    (650.0, (1.1, 1.1))
    """

    def forward(self, x: float | Array, y: float | Array) -> float | Array:
        return x + y

    def backward(self, dout: float | Array) -> tuple[float | Array, float | Array]:
        return dout, dout


class Multiply:
    """The product of two inputs, as a node of a computational graph.

    forward: z = x y
    backward: dL/dx = dL/dz y, dL/dy = dL/dz x

    What arrives from above is multiplied by the other input.

    Two apples at 100 and three oranges at 150, with ten per cent of tax; what is one more of
    each worth?

    Shapes: any, the same.

    >>> apples, oranges, fruit, tax = Multiply(), Multiply(), Add(), Multiply()
    >>> price = tax.forward(fruit.forward(apples.forward(100.0, 2.0), oranges.forward(150.0, 3.0)), 1.1)
    >>> dfruit, dtax = tax.backward(1.0)
    >>> dapples, doranges = fruit.backward(dfruit)
    >>> dapple, dapple_count = apples.backward(dapples)
    >>> dorange, dorange_count = oranges.backward(doranges)
    >>> [round(value, 6) for value in (price, dapple, dapple_count, dorange, dorange_count, dtax)]
    [715.0, 2.2, 110.0, 3.3, 165.0, 650.0]
    """

    def forward(self, x: float | Array, y: float | Array) -> float | Array:
        self.x, self.y = x, y
        return x * y

    def backward(self, dout: float | Array) -> tuple[float | Array, float | Array]:
        return dout * self.y, dout * self.x


# ------------------------------------------------------------------------------------------------ activations


class ReLU:
    """The rectifier: a switch that lets the gradient through where the input was above 0.

    forward: y = max(0, x)
    backward: dL/dx = dL/dy where x > 0, else 0

    Shapes: any -> the same.
    torch: `F.relu`.

    >>> layer = ReLU()
    >>> layer.forward(np.array([[1.0, -0.5], [-2.0, 3.0]]))
    array([[1., 0.],
           [0., 3.]])
    >>> layer.backward(np.full((2, 2), 5.0))
    array([[5., 0.],
           [0., 5.]])
    """

    def forward(self, x: Array) -> Array:
        self.off = x <= 0
        return np.where(self.off, 0.0, x)

    def backward(self, dout: Array) -> Array:
        return np.where(self.off, 0.0, dout)


class Sigmoid:
    """The logistic function, whose slope can be told from its value.

    forward: y = 1 / (1 + exp(-x))
    backward: dL/dx = dL/dy y (1 - y)

    The slope is at most 1/4, so the gradient shrinks in each layer it passes.

    Shapes: any -> the same.
    torch: `F.sigmoid`.

    >>> layer = Sigmoid()
    >>> layer.forward(np.array([0.0, 100.0]))
    array([0.5, 1. ])
    >>> layer.backward(np.array([1.0, 1.0]))
    array([0.25, 0.  ])
    """

    def forward(self, x: Array) -> Array:
        self.y = sigmoid(x)
        return self.y

    def backward(self, dout: Array) -> Array:
        return dout * self.y * (1 - self.y)


# ------------------------------------------------------------------------------------------------ layers with parameters


class Affine:
    """A dense layer: each output is a weighted sum of all inputs, plus a bias.

    forward: Y = X W + b
    backward: dL/dX = dL/dY W^T, dL/dW = X^T dL/dY, dL/db = sum over the batch of dL/dY

    Shapes: x (N, D) or (N, *) with D numbers in each example, W (D, M), b (M,) -> (N, M).
    Errors: ValueError if an example has not D numbers.
    torch: `F.linear(x, W.T, b)`; `nn.Linear` keeps W^T, (M, D).

    >>> layer = Affine(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([0.5, 0.0, -0.5]))
    >>> layer.forward(np.array([[1.0, 1.0]]))
    array([[5.5, 7. , 8.5]])
    >>> layer.backward(np.array([[1.0, 0.0, 1.0]]))
    array([[ 4., 10.]])
    """

    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b = W, b

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        self.x = x.reshape(len(x), -1)
        if self.x.shape[1] != len(self.W):
            raise ValueError(f"the weight {self.W.shape} needs {len(self.W)} numbers per example, not the shape {x.shape}")
        return self.x @ self.W + self.b

    def backward(self, dout: Array) -> Array:
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return (dout @ self.W.T).reshape(self.shape)


class BatchNormalization:
    """Every feature with mean 0 and variance 1 over the batch, then scaled and shifted by what is learned.

    forward: n = (x - mean) / sqrt(var + eps), y = gamma n + beta
    backward: with g = gamma dL/dy, dL/dx = (g - mean(g) - n mean(g n)) / sqrt(var + eps); the
        means run over the batch

    When `forward` is told that it does not train, running averages stand in for the statistics
    of the batch: average <- momentum average + (1 - momentum) statistic.

    Where it differs from torch: `momentum` is the weight of the past, and torch's that of the
    present (0.9 here is 0.1 there); the running variance averages the variance with the divisor
    N, torch's that with N - 1.

    Shapes: (N, D), one mean per feature, or (N, C, H, W), one per channel; gamma and beta (D,)
        or (C,).
    Errors: ValueError when training on one value per feature: it has no variance.
    Source: Ioffe and Szegedy 2015, algorithm 1 and section 3.2.

    >>> layer = BatchNormalization(np.ones(2), np.zeros(2))
    >>> layer.forward(np.array([[1.0, 100.0], [3.0, 300.0]])).round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> layer.running_mean
    array([ 0.2, 20. ])
    """

    def __init__(self, gamma: Array, beta: Array, momentum: float = 0.9, eps: float = 1e-5) -> None:
        self.gamma, self.beta, self.momentum, self.eps = gamma, beta, momentum, eps
        self.running_mean, self.running_var = np.zeros_like(gamma), np.ones_like(gamma)

    def forward(self, x: Array, train: bool = True) -> Array:
        rows = self._rows(x)
        if train and len(rows) < 2:
            raise ValueError(f"one value per feature has no variance: shape {x.shape}")
        self.train, self.shape = train, x.shape
        mean, var = (rows.mean(axis=0), rows.var(axis=0)) if train else (self.running_mean, self.running_var)
        if train:
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        self.std = np.sqrt(var + self.eps)
        self.normal = (rows - mean) / self.std
        return self._like_input(self.gamma * self.normal + self.beta)

    def backward(self, dout: Array) -> Array:
        rows = self._rows(dout)
        self.dgamma = (rows * self.normal).sum(axis=0)
        self.dbeta = rows.sum(axis=0)
        g = self.gamma * rows
        if self.train:  # else mean and variance are constants
            g = g - g.mean(axis=0) - self.normal * (g * self.normal).mean(axis=0)
        return self._like_input(g / self.std)

    def _rows(self, x: Array) -> Array:
        """(N, D) as it is, (N, C, H, W) as (N H W, C): all that shares a mean in one column."""
        return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])

    def _like_input(self, rows: Array) -> Array:
        n, features, *places = self.shape
        return np.moveaxis(rows.reshape(n, *places, features), -1, 1)


class Dropout:
    """Units switched off at random while training; afterwards all are on, each as strong as it was on average.

    forward, training: y = x m, each m 0 with probability `ratio`, else 1
    forward, not training: y = (1 - ratio) x
    backward: dL/dx = dL/dy m

    Where it differs from torch: torch divides by 1 - ratio while training and changes nothing
    afterwards, so that its outputs and gradients are 1 / (1 - ratio) times these, always.

    Shapes: any -> the same.
    Errors: ValueError unless 0 <= ratio < 1.
    Source: Srivastava et al. 2014, section 4.

    >>> layer = Dropout(0.5, np.random.default_rng(0))
    >>> layer.forward(np.ones(6))
    array([1., 0., 0., 0., 1., 1.])
    >>> layer.forward(np.ones(6), train=False)
    array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    """

    def __init__(self, ratio: float, rng: np.random.Generator) -> None:
        if not 0 <= ratio < 1:
            raise ValueError(f"the ratio must lie in [0, 1), not {ratio}")
        self.ratio, self.rng = ratio, rng

    def forward(self, x: Array, train: bool = True) -> Array:
        if train:
            self.mask = (self.rng.random(x.shape) >= self.ratio).astype(x.dtype)
        else:
            self.mask = np.full_like(x, 1 - self.ratio)
        return x * self.mask

    def backward(self, dout: Array) -> Array:
        return dout * self.mask


# ------------------------------------------------------------------------------------------------ images


def convolution(x: Array, W: Array, b: Array, stride: int = 1, pad: int = 0) -> Array:
    """The convolution of images, as it is defined: at each place, a filter times what lies under it, summed.

    y[n, f, i, j] = b[f] + sum over c, u, v of x[n, c, i s + u - p, j s + v - p] W[f, c, u, v]

    Outside the image there are zeros. (With the filter not mirrored this is a
    cross-correlation; the name has stayed.)

    Shapes: x (N, C, H, W), W (F, C, FH, FW), b (F,) -> (N, F, OH, OW) with OH = (H + 2 pad -
        FH) // stride + 1.
    Errors: ValueError if the channels differ or the filter is larger than the padded image.
    torch: `F.conv2d(x, W, b, stride, pad)`.

    >>> image = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> convolution(image, np.ones((1, 1, 3, 3)), np.zeros(1))
    array([[[[45., 54.],
             [81., 90.]]]])
    """
    _check_channels(x, W)
    n, channels = x.shape[:2]
    filters, _, filter_h, filter_w = W.shape
    out_h, out_w = window_places(x.shape[2], filter_h, stride, pad), window_places(x.shape[3], filter_w, stride, pad)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    y = np.zeros((n, filters, out_h, out_w))
    for i in range(n):
        for f in range(filters):
            for top in range(out_h):
                for left in range(out_w):
                    total = b[f]
                    for c in range(channels):
                        for u in range(filter_h):
                            for v in range(filter_w):
                                total += padded[i, c, top * stride + u, left * stride + v] * W[f, c, u, v]
                    y[i, f, top, left] = total
    return y


def max_pooling(x: Array, pool_h: int, pool_w: int, stride: int, pad: int = 0) -> Array:
    """The largest number in each window of an image, channel by channel.

    y[n, c, i, j] = max over u, v of x[n, c, i s + u - p, j s + v - p]

    Outside the image there is minus infinity, so that padding never wins.

    Shapes: (N, C, H, W) -> (N, C, OH, OW) with OH = (H + 2 pad - pool_h) // stride + 1.
    Errors: ValueError if the window is larger than the padded image or not larger than the
        padding.
    torch: `F.max_pool2d`, which allows padding of half the window only.

    >>> max_pooling(np.arange(16.0).reshape(1, 1, 4, 4), 2, 2, stride=2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    _check_window(pool_h, pool_w, pad)
    out_h, out_w = window_places(x.shape[2], pool_h, stride, pad), window_places(x.shape[3], pool_w, stride, pad)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=-np.inf)
    y = np.zeros((*x.shape[:2], out_h, out_w))
    for i in range(out_h):
        for j in range(out_w):
            window = padded[:, :, i * stride : i * stride + pool_h, j * stride : j * stride + pool_w]
            y[:, :, i, j] = window.max(axis=(2, 3))
    return y


def window_places(size: int, window: int, stride: int, pad: int) -> int:
    """How many places a window has along one side of a padded image.

    (size + 2 pad - window) // stride + 1

    Errors: ValueError if there is none, or if stride or padding are no counts.

    >>> window_places(28, 5, stride=2, pad=3)
    15
    """
    if stride < 1 or pad < 0:
        raise ValueError(f"the stride must be at least 1 and the padding at least 0, not {stride} and {pad}")
    if size + 2 * pad < window:
        raise ValueError(f"a window of {window} does not fit into {size} + 2 * {pad}")
    return (size + 2 * pad - window) // stride + 1


def im2col(x: Array, window_h: int, window_w: int, stride: int = 1, pad: int = 0, fill: float = 0.0) -> Array:
    """What lies under the window at each of its places, as one row for each place.

    Numbers under several windows appear several times; a convolution is then a product of two
    matrices. `fill` is what lies outside.

    Shapes: (N, C, H, W) -> (N OH OW, C window_h window_w).
    torch: `F.unfold`, which puts the places last.

    >>> im2col(np.arange(9.0).reshape(1, 1, 3, 3), 2, 2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    n, channels, height, width = x.shape
    out_h, out_w = window_places(height, window_h, stride, pad), window_places(width, window_w, stride, pad)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=fill)
    col = np.zeros((n, channels, window_h, window_w, out_h, out_w), x.dtype)
    for u in range(window_h):
        for v in range(window_w):  # the number at (u, v) of every window at once
            col[:, :, u, v] = padded[:, :, u : u + stride * out_h : stride, v : v + stride * out_w : stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(n * out_h * out_w, -1)


def col2im(col: Array, shape: tuple[int, ...], window_h: int, window_w: int, stride: int = 1, pad: int = 0) -> Array:
    """The way back from `im2col`: each number is added where it came from.

    Numbers that several windows saw are added up, so this is the transpose of `im2col` and not
    its inverse: the gradient's way back.

    Shapes: (N OH OW, C window_h window_w) -> `shape`, which is (N, C, H, W).
    torch: `F.fold`.

    >>> image = np.ones((1, 1, 3, 3))
    >>> col2im(im2col(image, 2, 2), image.shape, 2, 2)
    array([[[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]]])
    """
    n, channels, height, width = shape
    out_h, out_w = window_places(height, window_h, stride, pad), window_places(width, window_w, stride, pad)
    col = col.reshape(n, out_h, out_w, channels, window_h, window_w).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, channels, height + 2 * pad, width + 2 * pad), col.dtype)
    for u in range(window_h):
        for v in range(window_w):
            padded[:, :, u : u + stride * out_h : stride, v : v + stride * out_w : stride] += col[:, :, u, v]
    return padded[:, :, pad : pad + height, pad : pad + width]


class Convolution:
    """A convolutional layer, as a product of two matrices.

    forward: Y = im2col(x) W^T + b, with a row for each place and a column for each filter
    backward: as in `Affine`, then col2im

    Shapes and errors: as for `convolution`, which is the definition.
    torch: `F.conv2d(x, W, b, stride, pad)`.

    >>> layer = Convolution(np.ones((1, 1, 3, 3)), np.zeros(1), stride=1, pad=1)
    >>> layer.forward(np.ones((1, 1, 3, 3)))
    array([[[[4., 6., 4.],
             [6., 9., 6.],
             [4., 6., 4.]]]])
    """

    def __init__(self, W: Array, b: Array, stride: int = 1, pad: int = 0) -> None:
        self.W, self.b, self.stride, self.pad = W, b, stride, pad

    def forward(self, x: Array) -> Array:
        _check_channels(x, self.W)
        filters, _, filter_h, filter_w = self.W.shape
        out_h = window_places(x.shape[2], filter_h, self.stride, self.pad)
        out_w = window_places(x.shape[3], filter_w, self.stride, self.pad)
        self.shape = x.shape
        self.col = im2col(x, filter_h, filter_w, self.stride, self.pad)
        y = self.col @ self.W.reshape(filters, -1).T + self.b
        return y.reshape(len(x), out_h, out_w, filters).transpose(0, 3, 1, 2)

    def backward(self, dout: Array) -> Array:
        filters, _, filter_h, filter_w = self.W.shape
        rows = dout.transpose(0, 2, 3, 1).reshape(-1, filters)
        self.dW = (rows.T @ self.col).reshape(self.W.shape)
        self.db = rows.sum(axis=0)
        dcol = rows @ self.W.reshape(filters, -1)
        return col2im(dcol, self.shape, filter_h, filter_w, self.stride, self.pad)


class Pooling:
    """Max pooling: only the largest number of each window goes on, and only to it the gradient comes back.

    forward: the largest number of each row of im2col
    backward: dL/dy at its place in the row, 0 elsewhere, then col2im

    Of equal numbers the first in reading order counts, as in torch.

    Shapes and errors: as for `max_pooling`, which is the definition.
    torch: `F.max_pool2d`.

    >>> layer = Pooling(2, 2, stride=2)
    >>> layer.forward(np.array([[[[1.0, 3.0], [2.0, 0.0]]]]))
    array([[[[3.]]]])
    >>> layer.backward(np.array([[[[5.0]]]]))
    array([[[[0., 5.],
             [0., 0.]]]])
    """

    def __init__(self, pool_h: int, pool_w: int, stride: int = 2, pad: int = 0) -> None:
        _check_window(pool_h, pool_w, pad)
        self.pool_h, self.pool_w, self.stride, self.pad = pool_h, pool_w, stride, pad

    def forward(self, x: Array) -> Array:
        n, channels, height, width = x.shape
        out_h = window_places(height, self.pool_h, self.stride, self.pad)
        out_w = window_places(width, self.pool_w, self.stride, self.pad)
        col = im2col(x, self.pool_h, self.pool_w, self.stride, self.pad, fill=-np.inf)
        col = col.reshape(-1, self.pool_h * self.pool_w)  # a row for each place and channel
        self.shape, self.winner = x.shape, col.argmax(axis=1)
        return col.max(axis=1).reshape(n, out_h, out_w, channels).transpose(0, 3, 1, 2)

    def backward(self, dout: Array) -> Array:
        dout = dout.transpose(0, 2, 3, 1).reshape(-1)
        dcol = np.zeros((len(dout), self.pool_h * self.pool_w), dout.dtype)
        dcol[np.arange(len(dout)), self.winner] = dout
        return col2im(dcol, self.shape, self.pool_h, self.pool_w, self.stride, self.pad)


def _check_channels(x: Array, W: Array) -> None:
    if x.ndim != 4 or W.ndim != 4 or x.shape[1] != W.shape[1]:
        raise ValueError(f"images (N, C, H, W) and filters (F, C, FH, FW) are needed, not {x.shape} and {W.shape}")


def _check_window(pool_h: int, pool_w: int, pad: int) -> None:
    if pad >= min(pool_h, pool_w):
        raise ValueError(f"with a padding of {pad}, windows of {pool_h} x {pool_w} would see no number of the image")


# ------------------------------------------------------------------------------------------------ the last layer


class SoftmaxWithLoss:
    """Softmax and cross entropy in one, because their derivatives cancel to a difference.

    forward: L = 1/N sum_n -log softmax(x_n)[t_n]
    backward: dL/dx = (softmax(x) - one_hot(t)) / N

    The loss is `negative_log_likelihood`, without the 1e-7 of `cross_entropy_error`: backward
    is its derivative to the last digit.

    Shapes: scores (N, K), target labels (N,) or one-hot (N, K) -> a number; backward (N, K). A
        single example (K,) works too.
    Errors: ValueError if the shapes do not match.
    torch: `F.cross_entropy`.

    >>> layer = SoftmaxWithLoss()
    >>> round(layer.forward(np.array([[0.3, 2.9, 4.0]]), np.array([2])), 4)
    0.3057
    >>> layer.backward().round(4)
    array([[ 0.0182,  0.2452, -0.2634]])
    """

    def forward(self, x: Array, target: int | Array) -> float:
        self.shape = x.shape
        self.scores, self.labels = as_batch(x, target)
        return negative_log_likelihood(self.scores, self.labels)

    def backward(self, dout: float = 1.0) -> Array:
        dx = softmax(self.scores)
        dx[np.arange(len(dx)), self.labels] -= 1
        return dout * (dx / len(dx)).reshape(self.shape)
