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

from mini_dl._listing import list_names
from mini_dl.textbook.activations import identity as identity
from mini_dl.textbook.activations import relu as relu
from mini_dl.textbook.activations import sigmoid as sigmoid
from mini_dl.textbook.activations import softmax as softmax
from mini_dl.textbook.activations import step as step
from mini_dl.textbook.gradients import (
    gradient_descent as gradient_descent,
)
from mini_dl.textbook.gradients import (
    numerical_diff as numerical_diff,
)
from mini_dl.textbook.gradients import (
    numerical_gradient as numerical_gradient,
)
from mini_dl.textbook.initialization import (
    alexnet as alexnet,
)
from mini_dl.textbook.initialization import (
    fan as fan,
)
from mini_dl.textbook.initialization import (
    gaussian as gaussian,
)
from mini_dl.textbook.initialization import (
    he as he,
)
from mini_dl.textbook.initialization import (
    lsuv as lsuv,
)
from mini_dl.textbook.initialization import (
    orthogonal as orthogonal,
)
from mini_dl.textbook.initialization import (
    random_walk as random_walk,
)
from mini_dl.textbook.initialization import (
    sparse as sparse,
)
from mini_dl.textbook.initialization import (
    uniform as uniform,
)
from mini_dl.textbook.initialization import (
    xavier as xavier,
)
from mini_dl.textbook.layers import (
    Add as Add,
)
from mini_dl.textbook.layers import (
    Affine as Affine,
)
from mini_dl.textbook.layers import (
    BatchNormalization as BatchNormalization,
)
from mini_dl.textbook.layers import (
    Convolution as Convolution,
)
from mini_dl.textbook.layers import (
    Dropout as Dropout,
)
from mini_dl.textbook.layers import (
    Multiply as Multiply,
)
from mini_dl.textbook.layers import (
    Pooling as Pooling,
)
from mini_dl.textbook.layers import (
    ReLU as ReLU,
)
from mini_dl.textbook.layers import (
    Sigmoid as Sigmoid,
)
from mini_dl.textbook.layers import (
    SoftmaxWithLoss as SoftmaxWithLoss,
)
from mini_dl.textbook.layers import (
    col2im as col2im,
)
from mini_dl.textbook.layers import (
    convolution as convolution,
)
from mini_dl.textbook.layers import (
    im2col as im2col,
)
from mini_dl.textbook.layers import (
    max_pooling as max_pooling,
)
from mini_dl.textbook.layers import (
    window_places as window_places,
)
from mini_dl.textbook.losses import (
    as_batch as as_batch,
)
from mini_dl.textbook.losses import (
    binary_cross_entropy as binary_cross_entropy,
)
from mini_dl.textbook.losses import (
    cross_entropy_error as cross_entropy_error,
)
from mini_dl.textbook.losses import (
    mean_squared_error as mean_squared_error,
)
from mini_dl.textbook.losses import (
    negative_log_likelihood as negative_log_likelihood,
)
from mini_dl.textbook.losses import (
    sum_squares_error as sum_squares_error,
)
from mini_dl.textbook.networks import (
    MultiLayerNet as MultiLayerNet,
)
from mini_dl.textbook.networks import (
    Network as Network,
)
from mini_dl.textbook.networks import (
    SimpleConvNet as SimpleConvNet,
)
from mini_dl.textbook.networks import (
    SimpleNet as SimpleNet,
)
from mini_dl.textbook.networks import (
    TwoLayerNet as TwoLayerNet,
)
from mini_dl.textbook.networks import (
    initial_weight as initial_weight,
)
from mini_dl.textbook.optimizers import (
    SGD as SGD,
)
from mini_dl.textbook.optimizers import (
    AdaGrad as AdaGrad,
)
from mini_dl.textbook.optimizers import (
    Adam as Adam,
)
from mini_dl.textbook.optimizers import (
    Momentum as Momentum,
)
from mini_dl.textbook.optimizers import (
    Nesterov as Nesterov,
)
from mini_dl.textbook.optimizers import (
    RMSProp as RMSProp,
)
from mini_dl.textbook.preprocessing import (
    from_one_hot as from_one_hot,
)
from mini_dl.textbook.preprocessing import (
    min_max_scale as min_max_scale,
)
from mini_dl.textbook.preprocessing import (
    mini_batch as mini_batch,
)
from mini_dl.textbook.preprocessing import (
    mini_batches as mini_batches,
)
from mini_dl.textbook.preprocessing import (
    one_hot as one_hot,
)
from mini_dl.textbook.preprocessing import (
    standardize as standardize,
)
from mini_dl.textbook.tensors import (
    add_row as add_row,
)
from mini_dl.textbook.tensors import (
    affine as affine,
)
from mini_dl.textbook.tensors import (
    elementwise_add as elementwise_add,
)
from mini_dl.textbook.tensors import (
    elementwise_relu as elementwise_relu,
)
from mini_dl.textbook.tensors import (
    matrix_product as matrix_product,
)
from mini_dl.textbook.tensors import (
    matrix_vector_dot as matrix_vector_dot,
)
from mini_dl.textbook.tensors import (
    reshape as reshape,
)
from mini_dl.textbook.tensors import (
    rotate as rotate,
)
from mini_dl.textbook.tensors import (
    scale as scale,
)
from mini_dl.textbook.tensors import (
    tensor_dot as tensor_dot,
)
from mini_dl.textbook.tensors import (
    translate as translate,
)
from mini_dl.textbook.tensors import (
    transpose as transpose,
)
from mini_dl.textbook.tensors import (
    vector_dot as vector_dot,
)

list_names(globals())
