"""The plain definitions of deep learning, on plain NumPy arrays, written to be read.

Each function and class defines one thing in as few lines as possible: in loops if the loop
is the definition, in whole arrays if the formula is written that way. Nothing here is
fast, and nothing here builds a graph. The rest of `mini_dl` does the same work quickly
and with automatic gradients; the tests compare the two, and torch.

Arrays are `numpy.ndarray`. Rows are examples: a batch is (N, D), images are (N, C, H, W). An affine
layer computes x W + b, so its weight has the shape (inputs, outputs), the transpose of torch's.
Random numbers come from a `numpy.random.Generator` that the caller passes. Invalid shapes and
values raise ValueError.

``import mini_dl`` does not import this; ``from mini_dl import textbook`` does.
"""

from mini_dl._listing import list_names
from mini_dl.textbook.activations import identity as identity, relu as relu, sigmoid as sigmoid, softmax as softmax, step as step
from mini_dl.textbook.gradients import (
    gradient_descent as gradient_descent,
    numerical_diff as numerical_diff,
    numerical_gradient as numerical_gradient,
)
from mini_dl.textbook.initialization import (
    alexnet as alexnet,
    fan as fan,
    gaussian as gaussian,
    he as he,
    lsuv as lsuv,
    orthogonal as orthogonal,
    random_walk as random_walk,
    sparse as sparse,
    uniform as uniform,
    xavier as xavier,
)
from mini_dl.textbook.layers import (
    Add as Add,
    Affine as Affine,
    BatchNormalization as BatchNormalization,
    Convolution as Convolution,
    Dropout as Dropout,
    Multiply as Multiply,
    Pooling as Pooling,
    ReLU as ReLU,
    Sigmoid as Sigmoid,
    SoftmaxWithLoss as SoftmaxWithLoss,
    col2im as col2im,
    convolution as convolution,
    im2col as im2col,
    max_pooling as max_pooling,
    window_places as window_places,
)
from mini_dl.textbook.losses import (
    as_batch as as_batch,
    binary_cross_entropy as binary_cross_entropy,
    cross_entropy_error as cross_entropy_error,
    mean_squared_error as mean_squared_error,
    negative_log_likelihood as negative_log_likelihood,
    sum_squares_error as sum_squares_error,
)
from mini_dl.textbook.networks import (
    MultiLayerNet as MultiLayerNet,
    Network as Network,
    SimpleConvNet as SimpleConvNet,
    SimpleNet as SimpleNet,
    TwoLayerNet as TwoLayerNet,
    initial_weight as initial_weight,
)
from mini_dl.textbook.optimizers import (
    SGD as SGD,
    AdaGrad as AdaGrad,
    Adam as Adam,
    DeltaBarDelta as DeltaBarDelta,
    Momentum as Momentum,
    Nesterov as Nesterov,
    RMSProp as RMSProp,
    Rprop as Rprop,
    growing_momentum as growing_momentum,
)
from mini_dl.textbook.preprocessing import (
    from_one_hot as from_one_hot,
    min_max_scale as min_max_scale,
    mini_batch as mini_batch,
    mini_batches as mini_batches,
    one_hot as one_hot,
    standardize as standardize,
)
from mini_dl.textbook.tensors import (
    add_row as add_row,
    affine as affine,
    elementwise_add as elementwise_add,
    elementwise_relu as elementwise_relu,
    matrix_product as matrix_product,
    matrix_vector_dot as matrix_vector_dot,
    reshape as reshape,
    rotate as rotate,
    scale as scale,
    tensor_dot as tensor_dot,
    translate as translate,
    transpose as transpose,
    vector_dot as vector_dot,
)

list_names(globals())
