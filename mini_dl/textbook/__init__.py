"""The plain definitions of deep learning, on bare NumPy arrays, written to be read.

Each function and class says one thing in as few lines as it takes: in loops where the loop is the
definition, in whole arrays where that is how one writes the formula. Nothing here is fast, and
nothing here builds a graph. The other half of `mini_dl` does the same work quickly and with
gradients of its own; the tests hold the two, and torch, against each other.

Arrays are `numpy.ndarray`. Rows are examples: a batch is (N, D), images are (N, C, H, W). An affine
layer computes x W + b, so its weight has the shape (inputs, outputs), the transpose of torch's.
Random numbers come from a `numpy.random.Generator` that the caller gives. Shapes and values that do
not fit raise ValueError.

``import mini_dl`` does not import this; ``from mini_dl import textbook`` does.
"""

from mini_dl.textbook.activations import identity, relu, sigmoid, softmax, step
from mini_dl.textbook.gradients import gradient_descent, numerical_diff, numerical_gradient
from mini_dl.textbook.initialization import alexnet, fan, gaussian, he, lsuv, orthogonal, random_walk, sparse, uniform, xavier
from mini_dl.textbook.layers import (
    Add,
    Affine,
    BatchNormalization,
    Convolution,
    Dropout,
    Multiply,
    Pooling,
    ReLU,
    Sigmoid,
    SoftmaxWithLoss,
    col2im,
    convolution,
    im2col,
    max_pooling,
    window_places,
)
from mini_dl.textbook.losses import (
    as_batch,
    binary_cross_entropy,
    cross_entropy_error,
    mean_squared_error,
    negative_log_likelihood,
    sum_squares_error,
)
from mini_dl.textbook.networks import MultiLayerNet, Network, SimpleConvNet, SimpleNet, TwoLayerNet, initial_weight
from mini_dl.textbook.optimizers import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSProp
from mini_dl.textbook.preprocessing import from_one_hot, min_max_scale, mini_batch, mini_batches, one_hot, standardize
from mini_dl.textbook.tensors import (
    add_row,
    affine,
    elementwise_add,
    elementwise_relu,
    matrix_product,
    matrix_vector_dot,
    reshape,
    rotate,
    scale,
    tensor_dot,
    translate,
    transpose,
    vector_dot,
)

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "Add",
    "Affine",
    "BatchNormalization",
    "Convolution",
    "Dropout",
    "Momentum",
    "MultiLayerNet",
    "Multiply",
    "Nesterov",
    "Network",
    "Pooling",
    "RMSProp",
    "ReLU",
    "Sigmoid",
    "SimpleConvNet",
    "SimpleNet",
    "SoftmaxWithLoss",
    "TwoLayerNet",
    "add_row",
    "affine",
    "alexnet",
    "as_batch",
    "binary_cross_entropy",
    "col2im",
    "convolution",
    "cross_entropy_error",
    "elementwise_add",
    "elementwise_relu",
    "fan",
    "from_one_hot",
    "gaussian",
    "gradient_descent",
    "he",
    "identity",
    "im2col",
    "initial_weight",
    "lsuv",
    "matrix_product",
    "matrix_vector_dot",
    "max_pooling",
    "mean_squared_error",
    "min_max_scale",
    "mini_batch",
    "mini_batches",
    "negative_log_likelihood",
    "numerical_diff",
    "numerical_gradient",
    "one_hot",
    "orthogonal",
    "random_walk",
    "relu",
    "reshape",
    "rotate",
    "scale",
    "sigmoid",
    "softmax",
    "sparse",
    "standardize",
    "step",
    "sum_squares_error",
    "tensor_dot",
    "translate",
    "transpose",
    "uniform",
    "vector_dot",
    "window_places",
    "xavier",
]
