"""Initial values of parameters, drawn in torch's order so that a seed gives torch's numbers."""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np

from mini_dl import overrides
from mini_dl._families import complete_docstrings, with_preface
from mini_dl._guidance import naming_keywords
from mini_dl.autograd.mode import no_grad
from mini_dl.ops.random import randperm
from mini_dl.tensor import Tensor, wrap, written

if TYPE_CHECKING:
    from mini_dl._dtypes import Array
    from mini_dl.kernels.mersenne import Generator
    from mini_dl.nn._types import Args, Kwargs
    from mini_dl.nn.modules.module import Module

_LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid")


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that preserves the variance of signals before `nonlinearity`: 1 for "linear", convolutions and "sigmoid",
    ``5 / 3`` for "tanh", ``sqrt(2)`` for "relu", ``sqrt(2 / (1 + param ** 2))`` for "leaky_relu" (`param`, its slope, is 0.01),
    ``3 / 4`` for "selu".

    Shapes: no tensors.
    Raises: ValueError for an unknown name, or a `param` that is not a number.
    Source: He et al., Delving deep into rectifiers, 2015, section 2.2.

    >>> torch.nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        elif isinstance(param, bool) or not isinstance(param, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + param**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


# ------------------------------------------------------------------------------------------------ without fans

_P = ParamSpec("_P")
_M = TypeVar("_M", bound="Module")


def _with_overrides(function: Callable[_P, Tensor]) -> Callable[_P, Tensor]:
    """`function`, which a mode or the class of its tensor may override; they get its arguments by name."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> Tensor:
        if not overrides.watching:
            return function(*args, **kwargs)
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # which says what is wrong
        given.apply_defaults()
        if not overrides.has_torch_function((given.arguments["tensor"],)):
            return function(*args, **kwargs)
        found: Tensor = overrides.handle_torch_function(call, (given.arguments["tensor"],), **given.arguments)
        return found

    return call


@_with_overrides
@naming_keywords
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """``tensor = u`` with draws `u` from U(a, b), in place.

    Shapes: (*) -> the same tensor.
    Raises: RuntimeError if ``a > b``; NotImplementedError for integers.

    >>> _ = torch.manual_seed(0)
    >>> torch.nn.init.uniform_(torch.empty(3), -1.0, 1.0)
    tensor([-0.0075,  0.5364, -0.8230])
    """
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


@_with_overrides
@naming_keywords
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """``tensor = mean + std * z`` with standard normal draws `z`, in place.

    Shapes: (*) -> the same tensor.
    Raises: RuntimeError for a negative `std`; NotImplementedError for integers.

    >>> _ = torch.manual_seed(0)
    >>> torch.nn.init.normal_(torch.empty(3), std=0.1)
    tensor([ 0.1541, -0.0293, -0.2179])
    """
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


@naming_keywords
def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Generator | None = None
) -> Tensor:
    """``tensor = mean + std * z`` with standard normal draws `z`, those outside [a, b] drawn again, in place.

    Shapes: (*) -> the same tensor.
    Raises: RuntimeError if ``a > b``.

    >>> _ = torch.manual_seed(0)
    >>> torch.nn.init.trunc_normal_(torch.empty(3), a=-1.0, b=1.0)
    tensor([ 0.5684, -0.2934, -0.7193])
    """

    def cdf(x: float) -> float:
        return (1.0 + math.erf((x - mean) / std / math.sqrt(2.0))) / 2.0

    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be incorrect.",
            stacklevel=2,
        )
    with no_grad():
        draw = _redraw_outside if cdf(b) - cdf(a) > 0.3 else _reject_from_uniform
        return draw(tensor, mean, std, a, b, generator)


def _redraw_outside(tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Generator | None) -> Tensor:
    """Normal draws; values outside are redrawn, all elements at once."""
    low, high = tensor._array.dtype.type(a), tensor._array.dtype.type(b)
    array = tensor.normal_(mean, std, generator=generator)._array
    while (outside := (array < low) | (array > high)).any():
        again = wrap(np.empty_like(array)).normal_(mean, std, generator=generator)
        np.copyto(array, again._array, where=outside)
    return tensor


def _reject_from_uniform(tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Generator | None) -> Tensor:
    """Uniform candidates, each accepted with probability density / maximal density in [a, b]."""
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    array = tensor._array
    candidates, thresholds = wrap(np.empty_like(array)), wrap(np.empty_like(array))
    pending = np.ones(array.shape, bool)
    while True:
        candidates.uniform_(a, b, generator=generator)
        np.copyto(array, candidates._array, where=pending)
        candidates.sub_(mean).div_(std).pow_(2).mul_(-0.5).sub_(peak)
        thresholds.uniform_(generator=generator).log_()
        pending &= thresholds._array > candidates._array
        if not pending.any():
            written(tensor)
            return tensor


@_with_overrides
@naming_keywords
def constant_(tensor: Tensor, val: float) -> Tensor:
    """``tensor = val``, in place.

    Family: initialization

    >>> torch.nn.init.constant_(torch.empty(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    with no_grad():
        return tensor.fill_(val)


@naming_keywords
def ones_(tensor: Tensor) -> Tensor:
    """``tensor = 1``, in place.

    Family: initialization

    >>> torch.nn.init.ones_(torch.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


@naming_keywords
def zeros_(tensor: Tensor) -> Tensor:
    """``tensor = 0``, in place.

    Family: initialization

    >>> torch.nn.init.zeros_(torch.empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


@naming_keywords
def eye_(tensor: Tensor) -> Tensor:
    """``tensor[i, j] = 1 if i == j else 0``, in place: the identity of a linear map.

    Shapes: (m, n) -> the same tensor.
    Raises: ValueError unless it has two dimensions.

    >>> torch.nn.init.eye_(torch.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _fill_array(tensor, np.eye(*tensor.shape))


@naming_keywords
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """``tensor[o, c] = 1 if o == c else 0`` at the middle of the kernel, else 0, in place: the identity of a convolution, in each
    group.

    Shapes: (O, C, *kernel) of 3 to 5 dimensions -> the same tensor.
    Raises: ValueError for other numbers of dimensions, and unless `groups` divides O.

    >>> weight = torch.nn.init.dirac_(torch.empty(2, 2, 3))
    >>> torch.nn.functional.conv1d(torch.ones(1, 2, 4), weight, padding=1)
    tensor([[[1., 1., 1., 1.],
             [1., 1., 1., 1.]]])
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    outputs, inputs, *kernel = tensor.shape
    if outputs % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    values = np.zeros(tensor.shape)
    center = tuple([n // 2 for n in kernel])
    for group in range(groups):
        for i in range(min(outputs // groups, inputs)):
            channel = (group * (outputs // groups) + i, i)
            values[channel + center] = 1
    return _fill_array(tensor, values)


def _fill_array(tensor: Tensor, values: Array) -> Tensor:
    np.copyto(tensor._array, values, casting="unsafe")
    written(tensor)
    return tensor


# ------------------------------------------------------------------------------------------------ by fan


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs feed an output and how many outputs an input feeds, for a weight (out, in, *kernel)."""
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    outputs, inputs, *kernel = tensor.shape
    field = math.prod(kernel)
    return inputs * field, outputs * field


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    mode, valid = mode.lower(), ["fan_in", "fan_out"]
    if mode not in valid:
        raise ValueError(f"Mode {mode} not supported, please use one of {valid}")
    return _calculate_fan_in_and_fan_out(tensor)[valid.index(mode)]


def _xavier_std(tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))


@naming_keywords
def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """``tensor = u`` with draws `u` from U(-a, a), ``a = gain * sqrt(6 / (fan_in + fan_out))``, in place.

    The fans are the numbers of inputs and outputs that one element of the output, or input, sees.

    Shapes: (fan_out, fan_in), or (O, C, *kernel) -> the same tensor.
    Raises: ValueError for fewer than two dimensions.
    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010, section 4.2.

    >>> _ = torch.manual_seed(0)
    >>> torch.nn.init.xavier_uniform_(torch.empty(2, 2))
    tensor([[-0.0092,  0.6570],
            [-1.0080, -0.9013]])
    """
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


@naming_keywords
def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """``tensor = std * z`` with standard normal draws `z`, ``std = gain * sqrt(2 / (fan_in + fan_out))``, in place.

    Shapes: (fan_out, fan_in), or (O, C, *kernel) -> the same tensor.
    Raises: ValueError for fewer than two dimensions.
    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010, section 4.2.

    >>> _ = torch.manual_seed(0)
    >>> torch.nn.init.xavier_normal_(torch.empty(2, 2))
    tensor([[ 1.0896, -0.2075],
            [-1.5406,  0.4019]])
    """
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _without_elements(tensor: Tensor) -> bool:
    """Whether there is nothing to draw; warns if so."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


@_with_overrides
@naming_keywords
def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> Tensor:
    """``tensor = u`` with draws `u` from U(-b, b), ``b = gain * sqrt(3 / fan)``, in place.

    `mode` selects the fan; the gain is that of `nonlinearity`, with `a` as the slope of "leaky_relu".

    Shapes: (fan_out, fan_in), or (O, C, *kernel) -> the same tensor.
    Raises: ValueError for fewer than two dimensions, an unknown `mode` or an unknown `nonlinearity`.
    Source: He et al., Delving deep into rectifiers, 2015, section 2.2.

    >>> _ = torch.manual_seed(0)
    >>> torch.nn.init.kaiming_uniform_(torch.empty(1, 3), nonlinearity="relu")
    tensor([[-0.0106,  0.7586, -1.1640]])
    """
    if _without_elements(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


@naming_keywords
def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> Tensor:
    """``tensor = std * z`` with standard normal draws `z`, ``std = gain / sqrt(fan)``, in place.

    `mode` selects the fan; the gain is that of `nonlinearity`, with `a` as the slope of "leaky_relu".

    Shapes: (fan_out, fan_in), or (O, C, *kernel) -> the same tensor.
    Raises: ValueError for fewer than two dimensions, an unknown `mode` or an unknown `nonlinearity`.
    Source: He et al., Delving deep into rectifiers, 2015, section 2.2.

    >>> _ = torch.manual_seed(0)
    >>> torch.nn.init.kaiming_normal_(torch.empty(1, 3), nonlinearity="relu")
    tensor([[ 1.2582, -0.2396, -1.7790]])
    """
    if _without_elements(tensor):
        return tensor
    return normal_(tensor, 0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


@naming_keywords
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """``tensor @ tensor.T = gain ** 2 * I`` for a wide matrix, ``tensor.T @ tensor`` for a tall one, in place.

    The Q factor of normal draws, with the diagonal of R made positive, times `gain`.

    Shapes: (m, *), viewed as a matrix of m rows -> the same tensor.
    Raises: ValueError for fewer than two dimensions.
    Source: Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks,
    2014.

    >>> w = torch.nn.init.orthogonal_(torch.empty(2, 5))
    >>> bool((w @ w.T).allclose(torch.eye(2), atol=1e-6))
    True
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    array = tensor._array
    if array.size == 0 or tensor.is_meta:
        return tensor
    rows, columns = array.shape[0], array.size // array.shape[0]
    drawn = normal_(wrap(np.empty((rows, columns), array.dtype)), 0, 1, generator)._array
    q, r = np.linalg.qr(drawn.T if rows < columns else drawn)
    q *= np.sign(np.diagonal(r))
    _fill_array(tensor, (q.T if rows < columns else q).reshape(array.shape))
    with no_grad():
        return tensor.mul_(gain)


@naming_keywords
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """``tensor = std * z`` with standard normal draws `z`, and a fraction `sparsity` of each column 0, in place.

    Shapes: (m, n) -> the same tensor.
    Raises: ValueError unless it has two dimensions.
    Source: Martens, Deep learning via Hessian-free optimization, 2010.

    >>> torch.nn.init.sparse_(torch.empty(10, 3), sparsity=0.4).eq(0).sum(0)
    tensor([4, 4, 4])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    normal_(tensor, 0, std, generator)
    for column in range(columns):
        tensor._array[randperm(rows)._array[:zeros], column] = 0
    return tensor


# ------------------------------------------------------------------------------------------------ whole modules


@naming_keywords
def random_walk_(module: _M, nonlinearity: str = "relu", generator: Generator | None = None) -> _M:
    """``W = g / sqrt(n) * z`` with standard normal draws `z` and n the fan in, so that the log of a gradient's length drifts
    neither up nor down: ``g = exp(1 / (2 * n))`` for "linear", ``g = sqrt(2) * exp(1.2 / (max(n, 6) - 2.4))`` for "relu".

    Not in torch. Every dense and convolutional layer below `module` is drawn, in the order of `module.modules()`; biases and
    other parameters are unchanged. Returns `module`.

    Shapes: no tensors but the weights.
    Raises: ValueError for another `nonlinearity`.
    Source: Sussillo and Abbott, Random walk initialization for training very deep feedforward networks, 2014.

    >>> model = torch.nn.init.random_walk_(torch.nn.Sequential(torch.nn.Linear(100, 1000), torch.nn.ReLU()))
    >>> round(model[0].weight.std().item(), 2)
    0.14
    """
    if nonlinearity not in ("linear", "relu"):
        raise ValueError(f'nonlinearity must be "linear" or "relu", not {nonlinearity!r}')
    for _, layer in _weighted_layers(module):
        n = _calculate_correct_fan(layer.weight, "fan_in")
        gain = math.exp(1 / (2 * n)) if nonlinearity == "linear" else math.sqrt(2) * math.exp(1.2 / (max(n, 6) - 2.4))
        normal_(layer.weight, 0.0, gain / math.sqrt(n), generator)
    return module


@naming_keywords
def lsuv_(module: _M, input: Tensor | Args, tol: float = 0.1, max_trials: int = 10, generator: Generator | None = None) -> _M:
    """``W = W / sqrt(var(output))`` while ``abs(var(output) - 1) >= tol``, at most `max_trials` times, layer by layer in forward
    order, after orthogonal draws: each output on `input` has variance 1.

    Not in torch. Every dense and convolutional layer takes part. One that is called again, or shares its weight, is scaled at
    its first call; one that is never called keeps its orthogonal weight. Biases and other parameters are unchanged. The module
    runs once on `input` (a tuple is passed as several arguments), in evaluation mode and without gradients; afterwards each
    submodule is in its former mode again. Returns `module`.

    Shapes: `input` is what `module` takes.
    Raises: ValueError, naming the layer, if an output does not vary or is not finite.
    Source: Mishkin and Matas, All you need is a good init, 2016, algorithm 1.

    >>> model = torch.nn.Sequential(torch.nn.Linear(20, 50), torch.nn.Tanh(), torch.nn.Linear(50, 10))
    >>> batch = 3 * torch.randn(200, 20)
    >>> bool(abs(torch.nn.init.lsuv_(model, batch)(batch).var() - 1) < 0.1)
    True
    """
    layers = _weighted_layers(module)
    names = {layer: name for name, layer in layers}
    modes = [(part, part.training) for part in module.modules()]
    scaled: set[int] = set()

    def scale(layer: Module, args: Args, kwargs: Kwargs, output: Tensor) -> Tensor:
        if id(layer.weight) in scaled:
            return output
        scaled.add(id(layer.weight))
        for _ in range(max_trials):
            variance = float(np.var(output._array, dtype=np.float64))
            if not 0 < variance < math.inf:
                raise ValueError(f"the output of layer {names[layer]!r} has the variance {variance}")
            if abs(variance - 1) < tol:
                break
            layer.weight.mul_(1 / math.sqrt(variance))
            output = layer.forward(*args, **kwargs)
        return output

    for _, layer in layers:
        orthogonal_(layer.weight, generator=generator)
    hooks = [layer.register_forward_hook(scale, with_kwargs=True) for _, layer in layers]
    try:
        with no_grad():
            module.eval()(*input if isinstance(input, tuple) else (input,))
    finally:
        for hook in hooks:
            hook.remove()
        for part, training in modes:
            part.training = training
    return module


def _weighted_layers(module: Module) -> list[tuple[str, Module]]:
    """The dense and convolutional layers with their names: modules with inputs, or channels, and their own weight."""
    return [
        (name, layer)
        for name, layer in module.named_modules()
        if (hasattr(layer, "in_features") or hasattr(layer, "in_channels")) and layer._parameters.get("weight") is not None
    ]


# ------------------------------------------------------------------------------------------------ old names


complete_docstrings(globals())


def _deprecated(function: Callable[_P, Tensor]) -> Callable[_P, Tensor]:
    name = function.__name__[:-1]

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> Tensor:
        warnings.warn(f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = with_preface(f"The old name of `{name}_`, with a warning.", function.__doc__)
    return call


uniform, normal, constant = _deprecated(uniform_), _deprecated(normal_), _deprecated(constant_)
eye, dirac, orthogonal, sparse = _deprecated(eye_), _deprecated(dirac_), _deprecated(orthogonal_), _deprecated(sparse_)
xavier_uniform, xavier_normal = _deprecated(xavier_uniform_), _deprecated(xavier_normal_)
kaiming_uniform, kaiming_normal = _deprecated(kaiming_uniform_), _deprecated(kaiming_normal_)
