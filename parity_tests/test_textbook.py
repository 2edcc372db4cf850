"""The plain definitions of `mini_dl.textbook` against mini_dl's fast operations and torch's: three implementations of each.

Where a definition differs from torch on purpose, the difference is the one that its docstring states. Random draws are compared
by value: a stand-in for NumPy's Generator passes the numbers of torch's stream to the textbook. The examples are derandomized.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings, strategies as st

from mini_dl import textbook as tb
from parity_tests import bridge

mini_dl = bridge.mini_dl
LIBRARIES = (mini_dl, torch)
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # inf - inf


def examples(n: int) -> Any:
    return settings(max_examples=n, derandomize=True, deadline=None, database=None, phases=(Phase.explicit, Phase.generate))


seeds, sizes = st.integers(0, 2**16), st.integers(1, 5)
SPECIALS = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 1e-310, 1e-8, 36.0, 710.0, -710.0, -746.0, 1e150, -1e150]
LAYOUTS = ("plain", "columns first", "reversed", "every other")


def arranged(array: Any, layout: str) -> Any:
    """The same numbers in another layout of memory."""
    if layout == "columns first":
        return np.array(array, order="F")
    if layout == "reversed":
        return np.flip(np.flip(array).copy())
    if layout == "every other":
        return np.stack([array, array], axis=-1)[..., 0]
    return array


@st.composite
def arrays(draw: Any, *shape: int, special: bool = False) -> Any:
    """Normal numbers, also in rows of very different scale, or special ones; in several layouts of memory."""
    rng = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from(["normal", "scales", "special"][: 3 if special else 2]))
    array = rng.choice(SPECIALS, shape) if kind == "special" else rng.standard_normal(shape)
    if kind == "scales":
        array = array * 10.0 ** rng.integers(-3, 4, shape[:1] + (1,) * (len(shape) - 1))
    return np.asarray(arranged(np.asarray(array), draw(st.sampled_from(LAYOUTS))))


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape)


def tensor(library: Any, array: Any, grad: bool = False) -> Any:
    copied = np.array(array)  # contiguous, and not shared
    made = torch.from_numpy(copied) if library is torch else bridge.wrap(copied)
    return made.requires_grad_() if grad else made


def array_of(value: Any) -> Any:
    return np.asarray(value.detach().numpy() if hasattr(value, "detach") else value)


def equal(ours: Any, theirs: Any, rtol: float = 1e-10, atol: float = 1e-12, about: str = "") -> None:
    """The same shape and values; NaN equals NaN, inf by sign."""
    ours, theirs = array_of(ours), array_of(theirs)
    assert ours.shape == theirs.shape, f"{ours.shape} instead of {theirs.shape} {about}"
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol, err_msg=about)


def check(ours: Any, fast: Callable[..., Any], *given: Any, rtol: float = 1e-10, atol: float = 1e-12) -> None:
    """Fail unless `fast(library, *tensors)` equals the textbook's result, under both libraries."""
    for library in LIBRARIES:
        equal(ours, fast(library, *[tensor(library, array) for array in given]), rtol, atol, library.__name__)


class TorchStream:
    """In place of a NumPy Generator: the numbers that torch's stream gives, a matrix drawn as its transpose if asked for."""

    def __init__(self, seed: int, transposed: bool = False) -> None:
        self.generator, self.transposed = torch.Generator().manual_seed(seed), transposed

    def drawn(self, draw: Callable[..., Any], shape: Any) -> Any:
        shape = tuple(shape)
        made = draw(shape[::-1] if self.transposed else shape, dtype=torch.float64, generator=self.generator).numpy()
        return made.T if self.transposed else made

    def standard_normal(self, shape: Any) -> Any:
        return self.drawn(torch.randn, shape)

    def uniform(self, low: float, high: float, shape: Any) -> Any:
        return low + (high - low) * self.drawn(torch.rand, shape)

    def random(self, shape: Any) -> Any:
        return 1 - self.drawn(torch.rand, shape)  # torch keeps what is below, the textbook what is above

    def permutation(self, n: int) -> Any:
        return torch.randperm(n, generator=self.generator).numpy()

    def choice(self, n: int, size: int) -> Any:
        return torch.randint(n, (size,), generator=self.generator).numpy()


# ------------------------------------------------------------------------------------------------ tensors

PRODUCTS = {  # definition, shapes by (a, b, c, d), fast version
    "vector_dot": (tb.vector_dot, lambda a, b, c, d: ((a,), (a,)), lambda lib, x, y: lib.dot(x, y)),
    "matrix_vector_dot": (tb.matrix_vector_dot, lambda a, b, c, d: ((a, b), (b,)), lambda lib, x, y: lib.mv(x, y)),
    "matrix_product": (tb.matrix_product, lambda a, b, c, d: ((a, b), (b, c)), lambda lib, x, y: lib.mm(x, y)),
    "tensor_dot, vector": (tb.tensor_dot, lambda a, b, c, d: ((a, b, c, d), (d,)), lambda lib, x, y: lib.matmul(x, y)),
    "tensor_dot, matrix": (tb.tensor_dot, lambda a, b, c, d: ((a, b, c), (c, d)), lambda lib, x, y: lib.matmul(x, y)),
}


@pytest.mark.parametrize("name", list(PRODUCTS))
@given(data=st.data(), dims=st.tuples(*[st.integers(0, 4)] * 4))
@examples(40)
def test_products_in_loops(name: str, data: Any, dims: Any) -> None:
    definition, shapes, fast = PRODUCTS[name]
    left, right = shapes(*dims)
    x, y = data.draw(arrays(*left, special=True)), data.draw(arrays(*right, special=True))
    with np.errstate(all="ignore"):
        terms = np.asarray(np.abs(x) @ np.abs(y))
        largest = terms[np.isfinite(terms)].max(initial=0)
        check(definition(x, y), fast, x, y, rtol=1e-13, atol=1e-14 * largest)


@given(data=st.data(), shape=st.lists(st.integers(0, 4), max_size=4))
@examples(60)
def test_element_by_element(data: Any, shape: Any) -> None:
    x, y = data.draw(arrays(*shape, special=True)), data.draw(arrays(*shape, special=True))
    check(tb.elementwise_relu(x), lambda lib, x: lib.relu(x), x, rtol=0, atol=0)
    check(tb.elementwise_add(x, y), lambda lib, x, y: lib.add(x, y), x, y, rtol=0, atol=0)


@given(data=st.data(), rows=st.integers(0, 4), columns=st.integers(0, 4))
@examples(40)
def test_rows_and_shapes(data: Any, rows: int, columns: int) -> None:
    x, row = data.draw(arrays(rows, columns, special=True)), data.draw(arrays(columns, special=True))
    check(tb.add_row(x, row), lambda lib, x, row: x + row, x, row, rtol=0, atol=0)
    check(tb.transpose(x), lambda lib, x: x.t(), x, rtol=0, atol=0)
    for shape in ((columns, rows), (rows * columns,), (1, columns, 1, rows)):
        check(tb.reshape(x, shape), lambda lib, x, shape=shape: lib.reshape(x, shape), x, rtol=0, atol=0)


@given(data=st.data(), n=st.integers(0, 5), angle=st.floats(-10, 10))
@examples(40)
def test_maps_of_the_plane(data: Any, n: int, angle: float) -> None:
    points, matrix, offset = data.draw(arrays(n, 2)), data.draw(arrays(2, 2)), data.draw(arrays(2))
    check(
        tb.affine(points, matrix, offset), lambda lib, *args: lib.nn.functional.linear(*args), points, matrix, offset, atol=1e-9
    )
    check(tb.translate(points, offset), lambda lib, points, offset: points + offset, points, offset)
    check(tb.scale(points, offset), lambda lib, points, factors: points * factors, points, offset)

    def turned(lib: Any, points: Any) -> Any:
        x, y = points[:, 0], points[:, 1]
        cos, sin = math.cos(angle), math.sin(angle)
        return lib.stack([cos * x - sin * y, sin * x + cos * y], 1)

    check(tb.rotate(points, angle), turned, points, atol=1e-9)


# ------------------------------------------------------------------------------------------------ gradients

FUNCTIONS: dict[str, Callable[..., Any]] = {  # over either library, or NumPy
    "bowl": lambda lib, x, w: (w * x**2).sum(),
    "waves": lambda lib, x, w: (lib.sin(w * x) * lib.exp(-0.1 * x**2)).sum(),
    "logistic": lambda lib, x, w: lib.log(1 + lib.exp(w * x)).sum(),
    "product": lambda lib, x, w: lib.tanh((w * x).sum()),
}


@pytest.mark.parametrize("name", list(FUNCTIONS))
@given(shape=st.lists(st.integers(0, 3), max_size=4), seed=seeds)
@examples(20)
def test_the_numerical_gradient_is_the_one_of_autograd(name: str, shape: Any, seed: int) -> None:
    f, x, w = FUNCTIONS[name], np.asarray(normal(*shape, seed=seed)), np.asarray(normal(*shape, seed=seed + 1))
    ours = tb.numerical_gradient(lambda x: float(f(np, x, w)), x)
    for library in LIBRARIES:
        leaf = tensor(library, x, grad=True)
        f(library, leaf, tensor(library, w)).backward()
        equal(ours, leaf.grad, rtol=1e-6, atol=1e-6, about=library.__name__)


@given(x=st.floats(-3, 3), w=st.floats(-2, 2))
@examples(40)
def test_the_slope_of_a_function_of_one_number(x: float, w: float) -> None:
    for f in FUNCTIONS.values():
        ours = tb.numerical_diff(lambda x, f=f: float(f(np, np.array(x), np.array(w))), x)
        for library in LIBRARIES:
            leaf = tensor(library, np.array(x), grad=True)
            f(library, leaf, tensor(library, np.array(w))).backward()
            equal(ours, leaf.grad, rtol=1e-6, atol=1e-6)


@given(lr=st.sampled_from([1e-10, 0.01, 0.1, 0.4]), steps=st.integers(0, 20), seed=seeds, name=st.sampled_from(["bowl", "waves"]))
@examples(40)
def test_gradient_descent_takes_the_steps_of_sgd(lr: float, steps: int, seed: int, name: str) -> None:
    f, x, w = FUNCTIONS[name], normal(3, seed=seed), 0.5 + np.abs(normal(3, seed=seed + 1)) / 4
    point, path = tb.gradient_descent(lambda x: float(f(np, x, w)), x, lr, steps, return_path=True)
    for library in LIBRARIES:
        leaf = tensor(library, x, grad=True)
        optimizer, weights, seen = library.optim.SGD([leaf], lr=lr), tensor(library, w), [array_of(leaf).copy()]
        for _ in range(steps):
            optimizer.zero_grad()
            f(library, leaf, weights).backward()
            optimizer.step()
            seen.append(array_of(leaf).copy())
        equal(point, leaf, atol=1e-6)
        equal(path, np.array(seen), atol=1e-6)


# ------------------------------------------------------------------------------------------------ activations


@given(data=st.data(), shape=st.lists(st.integers(0, 4), max_size=3))
@examples(80)
def test_activations(data: Any, shape: Any) -> None:
    x = data.draw(arrays(*shape, special=True))
    check(tb.sigmoid(x), lambda lib, x: lib.sigmoid(x), x, rtol=1e-12, atol=1e-300)
    check(tb.relu(x), lambda lib, x: lib.relu(x), x, rtol=0, atol=0)
    check(tb.identity(x), lambda lib, x: lib.nn.Identity()(x), x, rtol=0, atol=0)
    check(tb.step(x), lambda lib, x: lib.heaviside(x, lib.zeros((), dtype=lib.float64)), x, rtol=0, atol=0)


@given(data=st.data(), shape=st.lists(sizes, min_size=1, max_size=3))
@examples(80)
def test_softmax(data: Any, shape: Any) -> None:
    x = data.draw(arrays(*shape, special=True))
    check(tb.softmax(x), lambda lib, x: lib.softmax(x, -1), x, rtol=1e-12, atol=1e-300)
    check(tb.softmax(x * 300), lambda lib, x: lib.softmax(x * 300, -1), x, rtol=1e-10, atol=1e-300)


# ------------------------------------------------------------------------------------------------ losses


@given(data=st.data(), shape=st.lists(sizes, max_size=3))
@examples(40)
def test_squared_errors(data: Any, shape: Any) -> None:
    y, t = data.draw(arrays(*shape)), data.draw(arrays(*shape))
    check(tb.sum_squares_error(y, t), lambda lib, y, t: 0.5 * lib.nn.functional.mse_loss(y, t, reduction="sum"), y, t)
    check(tb.mean_squared_error(y, t), lambda lib, y, t: lib.nn.functional.mse_loss(y, t), y, t)


@given(shape=st.lists(sizes, max_size=2), seed=seeds, soft=st.booleans(), near=st.sampled_from([0.5, 1e-3, 1e-16, 1e-42]))
@examples(60)
def test_binary_cross_entropy_in_nats(shape: Any, seed: int, soft: bool, near: float) -> None:
    rng = np.random.default_rng(seed)
    o = near + (1 - 2 * near) * rng.random(shape)
    o = np.where(rng.random(shape) < 0.3, near, o)
    o = np.where(rng.random(shape) < 0.2, min(1 - near, 1 - 2**-53), o)
    t = rng.random(shape) if soft else np.round(rng.random(shape))
    check(tb.binary_cross_entropy(o, t, base=math.e), lambda lib, o, t: lib.nn.functional.binary_cross_entropy(o, t), o, t)
    assert tb.binary_cross_entropy(o, t) * math.log(2) == pytest.approx(tb.binary_cross_entropy(o, t, base=math.e))


@pytest.mark.parametrize(
    "o, t, theirs", [(0.0, 1.0, 100.0), (1.0, 0.0, 100.0), (0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1e-60, 1.0, 100.0)]
)
def test_torch_stops_at_a_hundred_nats_where_the_surprise_goes_on(o: float, t: float, theirs: float) -> None:
    for library in LIBRARIES:
        found = library.nn.functional.binary_cross_entropy(tensor(library, np.array(o)), tensor(library, np.array(t)))
        assert found.item() == theirs
    wanted = theirs if theirs == 0 else math.inf if o in (0, 1) else -math.log(o)
    assert tb.binary_cross_entropy(o, t, base=math.e) == pytest.approx(wanted)


@st.composite
def classified(draw: Any) -> Any:
    """Scores, labels, and the targets in one of the forms the textbook takes: labels or one-hot, a batch or one example."""
    n, k = draw(sizes), draw(st.integers(2, 5))
    scores = draw(arrays(n, k)) * draw(st.sampled_from([1.0, 1.0, 50.0]))
    labels = np.random.default_rng(draw(seeds)).integers(0, k, n)
    form = draw(st.sampled_from(["labels", "one-hot", "single label", "single one-hot"]))
    if form.startswith("single"):
        scores, labels = scores[:1], labels[:1]
        return scores, labels, scores[0], int(labels[0]) if form == "single label" else np.eye(k)[labels[0]]
    return scores, labels, scores, labels if form == "labels" else np.eye(k)[labels]


@given(case=classified())
@examples(80)
def test_cross_entropy_is_torchs_but_for_its_guard(case: Any) -> None:
    scores, labels, given_scores, target = case
    given_probabilities, probabilities = tb.softmax(given_scores), tb.softmax(scores)
    ours, picked = tb.cross_entropy_error(given_probabilities, target), probabilities[np.arange(len(labels)), labels]

    def guarded(lib: Any, y: Any, t: Any) -> Any:
        return lib.nn.functional.nll_loss((y + 1e-7).log(), t)

    check(ours, guarded, probabilities, labels)
    with np.errstate(divide="ignore"):
        difference = np.log1p(1e-7 / picked).mean()  # as the docstring says; infinite where a probability is 0
    check(ours + difference, lambda lib, y, t: lib.nn.functional.nll_loss(y.log(), t), probabilities, labels)


@given(case=classified())
@examples(80)
def test_the_likelihood_of_scores_is_torchs_cross_entropy(case: Any) -> None:
    scores, labels, given_scores, target = case
    ours = tb.negative_log_likelihood(given_scores, target)
    check(ours, lambda lib, x, t: lib.nn.functional.cross_entropy(x, t), scores, labels)


@pytest.mark.parametrize("far", [math.inf, 1e300, 746.0])
def test_scores_that_are_far_apart_or_infinite(far: float) -> None:
    x, t = np.array([[0.0, -far, 1.0], [far, 0.0, 0.0], [-far, -far, 0.0]]), np.array([1, 0, 2])
    for rows in (slice(0, 1), slice(1, 2), slice(2, 3)):
        given_x, given_t = x[rows], t[rows]
        ours = tb.negative_log_likelihood(given_x, given_t)
        check(ours, lambda lib, x, t: lib.nn.functional.cross_entropy(x, t), given_x, given_t)


LOSSES = {
    "sum_squares_error": (tb.sum_squares_error, lambda F, y, t: 0.5 * F.mse_loss(y, t, reduction="sum")),
    "mean_squared_error": (tb.mean_squared_error, lambda F, y, t: F.mse_loss(y, t)),
    "binary_cross_entropy": (
        lambda y, t: tb.binary_cross_entropy(y, t, math.e),
        lambda F, y, t: F.binary_cross_entropy(y, t),
    ),
    "cross_entropy_error": (tb.cross_entropy_error, lambda F, y, t: F.nll_loss((y + 1e-7).log(), t.argmax(1))),
    "negative_log_likelihood": (tb.negative_log_likelihood, lambda F, y, t: F.cross_entropy(y, t.argmax(1))),
}


@pytest.mark.parametrize("name", list(LOSSES))
@given(n=sizes, k=st.integers(2, 5), seed=seeds)
@examples(15)
def test_the_slope_of_a_loss_is_the_one_of_autograd(name: str, n: int, k: int, seed: int) -> None:
    loss, fast = LOSSES[name]
    y = 0.05 + 0.9 * np.random.default_rng(seed).random((n, k))
    t = np.eye(k)[np.random.default_rng(seed).integers(0, k, n)]
    ours = tb.numerical_gradient(lambda y: loss(y, t), y)
    for library in LIBRARIES:
        leaf = tensor(library, y, grad=True)
        fast(library.nn.functional, leaf, tensor(library, t)).backward()
        equal(ours, leaf.grad, rtol=1e-5, atol=1e-6, about=library.__name__)


# ------------------------------------------------------------------------------------------------ layers


def check_layer(
    layer: Any, x: Any, fast: Callable[..., Any], *names: str, factor: float = 1.0, rtol: float = 1e-9, atol: float = 1e-9
) -> None:
    """Output and gradients, by a random cotangent, of the textbook's layer and of ``fast(library, x, *parameters)``, which are
    `factor` times as large.
    """
    y = layer.forward(x)
    dout = normal(*y.shape, seed=9)
    dx = layer.backward(dout)
    for library in LIBRARIES:
        leaf, *parameters = [tensor(library, array, grad=True) for array in (x, *[getattr(layer, name) for name in names])]
        answer = fast(library, leaf, *parameters)
        equal(factor * y, answer, rtol, atol, f"{library.__name__} output")
        answer.backward(tensor(library, dout))
        equal(factor * dx, leaf.grad, rtol, atol, f"{library.__name__} dx")
        for name, parameter in zip(names, parameters):
            equal(factor * getattr(layer, "d" + name), parameter.grad, rtol, atol, f"{library.__name__} d{name}")


@given(data=st.data(), shape=st.lists(sizes, max_size=3), name=st.sampled_from(["Add", "Multiply"]))
@examples(30)
def test_the_nodes_of_a_graph(data: Any, shape: Any, name: str) -> None:
    node, x, y = getattr(tb, name)(), data.draw(arrays(*shape)), data.draw(arrays(*shape))
    z, dout = np.asarray(node.forward(x, y)), np.asarray(normal(*shape, seed=9))
    dx, dy = node.backward(dout)
    for library in LIBRARIES:
        a, b = tensor(library, x, grad=True), tensor(library, y, grad=True)
        answer = a + b if name == "Add" else a * b
        answer.backward(tensor(library, dout))
        for ours, theirs in ((z, answer), (dx, a.grad), (dy, b.grad)):
            equal(ours, theirs)


@given(data=st.data(), shape=st.lists(sizes, max_size=3))
@examples(40)
def test_activations_as_layers(data: Any, shape: Any) -> None:
    x = data.draw(arrays(*shape, special=True))
    check_layer(tb.ReLU(), np.where(np.abs(x) < 0.3, 0.0, x), lambda lib, x: lib.relu(x))  # with zeros
    check_layer(tb.Sigmoid(), x * 10, lambda lib, x: lib.sigmoid(x))


@given(data=st.data(), n=sizes, m=sizes, shape=st.lists(sizes, min_size=1, max_size=3))
@examples(40)
def test_affine(data: Any, n: int, m: int, shape: Any) -> None:
    inputs = math.prod(shape)
    layer = tb.Affine(data.draw(arrays(inputs, m)), data.draw(arrays(m)))
    x = data.draw(arrays(n, *shape))

    def fast(lib: Any, x: Any, W: Any, b: Any) -> Any:
        return lib.nn.functional.linear(x.flatten(1), W.t(), b)

    check_layer(layer, x, fast, "W", "b", atol=1e-6)


@given(data=st.data(), n=st.integers(2, 5), features=sizes, image=st.booleans(), momentum=st.sampled_from([0.0, 0.5, 0.9]))
@examples(40)
def test_batch_normalization(data: Any, n: int, features: int, image: bool, momentum: float) -> None:
    shape = (n, features, 2, 3) if image else (n, features)
    x, gamma, beta = data.draw(arrays(*shape)), data.draw(arrays(features)), data.draw(arrays(features))
    count = x.size // features  # numbers with one mean
    layer = tb.BatchNormalization(gamma, beta, momentum)
    means, variances = ({library: make(features, dtype=library.float64) for library in LIBRARIES} for make in MAKERS)

    def fast(lib: Any, x: Any, gamma: Any, beta: Any) -> Any:
        F = lib.nn.functional
        return F.batch_norm(x, means[lib], variances[lib], gamma, beta, True, 1 - momentum, 1e-5)

    check_layer(layer, x, fast, "gamma", "beta", rtol=1e-6, atol=1e-6)
    for library in LIBRARIES:
        equal(layer.running_mean, means[library], rtol=1e-9, atol=1e-9)
        theirs = array_of(variances[library])  # of the variance with the divisor N - 1, as the docstring says
        equal(layer.running_var - momentum, (count - 1) / count * (theirs - momentum), rtol=1e-9, atol=1e-9)

    def evaluated(lib: Any, x: Any, gamma: Any, beta: Any, mean: Any, var: Any) -> Any:
        return lib.nn.functional.batch_norm(x, mean, var, gamma, beta, False, 0.0, 1e-5)

    ours = layer.forward(x, train=False)
    check(ours, evaluated, x, gamma, beta, layer.running_mean, layer.running_var, rtol=1e-9, atol=1e-9)
    dout = normal(*shape, seed=9)
    dx = layer.backward(dout)
    for library in LIBRARIES:
        leaf = tensor(library, x, grad=True)
        fixed = [tensor(library, array) for array in (gamma, beta, layer.running_mean, layer.running_var)]
        evaluated(library, leaf, *fixed).backward(tensor(library, dout))
        equal(dx, leaf.grad, rtol=1e-9, atol=1e-9)


MAKERS = (lambda n, dtype: _of(dtype).zeros(n, dtype=dtype), lambda n, dtype: _of(dtype).ones(n, dtype=dtype))


def _of(dtype: Any) -> Any:
    return torch if isinstance(dtype, torch.dtype) else mini_dl


@given(shape=st.lists(sizes, min_size=1, max_size=3), ratio=st.floats(0, 0.95), seed=seeds)
@examples(40)
def test_dropout_is_torchs_without_the_division(shape: Any, ratio: float, seed: int) -> None:
    x = normal(*shape, seed=seed)
    layer = tb.Dropout(ratio, TorchStream(seed))

    def fast(lib: Any, x: Any) -> Any:
        lib.manual_seed(seed)
        return lib.nn.functional.dropout(x, ratio, training=True)

    check_layer(layer, x, fast, factor=1 / (1 - ratio))
    ours = layer.forward(x, train=False) / (1 - ratio)
    check(ours, lambda lib, x: lib.nn.functional.dropout(x, ratio, training=False), x)


@st.composite
def windows(draw: Any) -> Any:
    """Images, and a window with stride and padding that fits into them."""
    n, channels = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    pad, stride = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    window_h, window_w = draw(st.integers(1, min(4, height + 2 * pad))), draw(st.integers(1, min(4, width + 2 * pad)))
    return draw(arrays(n, channels, height, width)), window_h, window_w, stride, pad


@given(case=windows(), filters=st.integers(1, 3), data=st.data())
@examples(60)
def test_convolution_in_loops_and_by_columns(case: Any, filters: int, data: Any) -> None:
    x, height, width, stride, pad = case
    W, b = data.draw(arrays(filters, x.shape[1], height, width)), data.draw(arrays(filters))

    def fast(lib: Any, x: Any, W: Any, b: Any) -> Any:
        return lib.nn.functional.conv2d(x, W, b, stride, pad)

    check(tb.convolution(x, W, b, stride, pad), fast, x, W, b, rtol=1e-9, atol=1e-7)
    check_layer(tb.Convolution(W, b, stride, pad), x, fast, "W", "b", atol=1e-6)


@given(case=windows(), ties=st.booleans())
@examples(60)
def test_max_pooling_in_loops_and_by_columns(case: Any, ties: bool) -> None:
    x, height, width, stride, pad = case
    x = np.round(x) if ties else x
    if pad >= min(height, width):
        x, pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))), 0

    def fast(lib: Any, x: Any) -> Any:  # padded first: torch itself allows half of the window only
        F = lib.nn.functional
        if 2 * pad <= min(height, width):
            return F.max_pool2d(x, (height, width), stride, pad)
        return F.max_pool2d(F.pad(x, (pad, pad, pad, pad), value=-math.inf), (height, width), stride)

    check(tb.max_pooling(x, height, width, stride, pad), fast, x, rtol=0, atol=0)
    check_layer(tb.Pooling(height, width, stride, pad), x, fast, rtol=0, atol=1e-15)


@given(case=windows())
@examples(60)
def test_columns_are_unfolded_images(case: Any) -> None:
    x, height, width, stride, pad = case
    n, channels, *size = x.shape
    col = tb.im2col(x, height, width, stride, pad)

    def unfolded(lib: Any, x: Any) -> Any:  # torch: (N, C kernel, places)
        return lib.nn.functional.unfold(x, (height, width), padding=pad, stride=stride).transpose(1, 2).flatten(0, 1)

    check(col, unfolded, x, rtol=0, atol=0)
    weights = normal(*col.shape, seed=3)

    def folded(lib: Any, col: Any) -> Any:
        blocks = col.reshape(n, -1, channels * height * width).transpose(1, 2)
        return lib.nn.functional.fold(blocks, tuple(size), (height, width), padding=pad, stride=stride)

    check(tb.col2im(weights, x.shape, height, width, stride, pad), folded, weights)


@given(case=classified())
@examples(60)
def test_softmax_with_loss(case: Any) -> None:
    scores, labels, given_scores, target = case
    layer = tb.SoftmaxWithLoss()
    loss = layer.forward(given_scores, target)
    dx = layer.backward(0.7)
    for library in LIBRARIES:
        leaf = tensor(library, scores, grad=True)
        answer = library.nn.functional.cross_entropy(leaf, tensor(library, labels))
        (0.7 * answer).backward()
        equal(loss, answer)
        equal(dx, array_of(leaf.grad).reshape(dx.shape))


# ------------------------------------------------------------------------------------------------ networks


def module_of(library: Any, net: Any) -> Any:
    """The textbook's network as a stack of modules with the same parameters."""
    nn, parts = library.nn, []
    for layer in net.layers.values():
        if isinstance(layer, tb.Affine):
            parts += [nn.Flatten(), nn.Linear(*layer.W.shape)]
        elif isinstance(layer, tb.Convolution):
            filters, channels, *window = layer.W.shape
            parts.append(nn.Conv2d(channels, filters, tuple(window), layer.stride, layer.pad))
        elif isinstance(layer, tb.Pooling):
            parts.append(nn.MaxPool2d((layer.pool_h, layer.pool_w), layer.stride, layer.pad))
        elif isinstance(layer, tb.BatchNormalization):
            parts.append(nn.BatchNorm1d(len(layer.gamma), momentum=1 - layer.momentum))
        else:
            parts.append({tb.ReLU: nn.ReLU, tb.Sigmoid: nn.Sigmoid}[type(layer)]())
    module = nn.Sequential(*parts).double()
    with library.no_grad():
        for (name, param), parameter in zip(net.params.items(), module.parameters()):
            parameter.copy_(tensor(library, like_torchs(name, param)))
    return module


def like_torchs(name: str, array: Any) -> Any:
    """A matrix (inputs, outputs) as (outputs, inputs); anything else unchanged."""
    return array.T if name.startswith("W") and array.ndim == 2 else array


def compare_network(net: Any, x: Any, labels: Any, weight_decay: float = 0.0) -> None:
    """Scores in both modes, accuracy, loss, gradients."""
    scores, accuracy, loss = net.predict(x), net.accuracy(x, labels), net.loss(x, labels, train=True)
    modules = {library: module_of(library, net) for library in LIBRARIES}
    gradient = net.gradient(x, labels)
    for library, module in modules.items():
        assert len(list(module.parameters())) == len(net.params)
        t = tensor(library, labels)
        module.eval()
        answer = module(tensor(library, x))
        equal(scores, answer, atol=1e-9)
        assert accuracy == (answer.argmax(1) == t).double().mean().item()
        module.train()
        error = library.nn.functional.cross_entropy(module(tensor(library, x)), t)
        for name, parameter in zip(net.params, module.parameters()):
            if name.startswith("W"):
                error = error + 0.5 * weight_decay * (parameter**2).sum()
        equal(loss, error, atol=1e-9)
        error.backward()
        for name, parameter in zip(net.params, module.parameters()):
            equal(like_torchs(name, gradient[name]), parameter.grad, rtol=1e-7, atol=1e-9, about=f"{library.__name__} {name}")


def labeled(n: int, classes: int, seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, classes, n)


@given(n=sizes, dims=st.tuples(sizes, sizes, st.integers(2, 5)), std=st.sampled_from([0.01, 1.0]), seed=seeds)
@examples(20)
def test_the_two_layer_net(n: int, dims: Any, std: float, seed: int) -> None:
    compare_network(tb.TwoLayerNet(*dims, weight_init_std=std, seed=seed), normal(n, dims[0]), labeled(n, dims[2], seed))


@given(
    n=st.integers(3, 6),
    hidden=st.lists(sizes, max_size=4),
    activation=st.sampled_from(["relu", "sigmoid"]),
    rule=st.sampled_from(["relu", "sigmoid", 0.5]),
    decay=st.sampled_from([0.0, 0.1]),
    batchnorm=st.booleans(),
    seed=seeds,
)
@examples(40)
def test_the_multi_layer_net(n: int, hidden: Any, activation: str, rule: Any, decay: float, batchnorm: bool, seed: int) -> None:
    net = tb.MultiLayerNet(4, hidden, 3, activation, rule, decay, use_batchnorm=batchnorm, seed=seed)
    compare_network(net, normal(n, 4, seed=seed), labeled(n, 3, seed), decay)


@given(side=st.integers(5, 8), window=st.integers(2, 4), stride=st.integers(1, 2), pad=st.integers(0, 1), seed=seeds)
@examples(20)
def test_the_simple_conv_net(side: int, window: int, stride: int, pad: int, seed: int) -> None:
    if (side + 2 * pad - window) // stride + 1 < 2:
        stride = 1
    net = tb.SimpleConvNet((2, side, side), 3, window, stride, pad, hidden_size=4, output_size=3, weight_init_std=0.5, seed=seed)
    compare_network(net, normal(2, 2, side, side, seed=seed), labeled(2, 3, seed))


@given(n=sizes, seed=seeds)
@examples(20)
def test_the_simple_net(n: int, seed: int) -> None:
    net, x, labels = tb.SimpleNet(seed=seed), normal(n, 2, seed=seed), labeled(n, 3, seed)
    loss, gradient = net.loss(x, labels), net.gradient(x, labels)["W"]
    for library in LIBRARIES:
        W = tensor(library, net.params["W"], grad=True)
        error = library.nn.functional.cross_entropy(tensor(library, x) @ W, tensor(library, labels))
        error.backward()
        equal(loss, error)
        equal(gradient, W.grad)


# ------------------------------------------------------------------------------------------------ optimizers

OPTIMIZERS = {  # the textbook's, and torch's with the settings that its docstring says are equal
    "SGD": (lambda lr: tb.SGD(lr), lambda optim, params, lr: optim.SGD(params, lr)),
    "Momentum": (lambda lr: tb.Momentum(lr, 0.8), lambda optim, params, lr: optim.SGD(params, lr, momentum=0.8)),
    "Nesterov": (lambda lr: tb.Nesterov(lr, 0.8), lambda optim, params, lr: optim.SGD(params, lr, momentum=0.8, nesterov=True)),
    "AdaGrad": (lambda lr: tb.AdaGrad(lr), lambda optim, params, lr: optim.Adagrad(params, lr, eps=1e-7)),
    "RMSProp": (lambda lr: tb.RMSProp(lr, 0.9), lambda optim, params, lr: optim.RMSprop(params, lr, alpha=0.9, eps=1e-7)),
    "Adam": (lambda lr: tb.Adam(lr, 0.8, 0.99), lambda optim, params, lr: optim.Adam(params, lr, betas=(0.8, 0.99))),
    "Rprop": (lambda lr: tb.Rprop(lr), lambda optim, params, lr: optim.Rprop(params, lr)),
}


@pytest.mark.parametrize("name", list(OPTIMIZERS))
@given(steps=st.integers(1, 8), lr=st.sampled_from([1e-3, 0.1, 2.0]), scale=st.sampled_from([1.0, 1e-7, 1e4]), seed=seeds)
@examples(15)
def test_the_steps_of_an_optimizer_are_torchs(name: str, steps: int, lr: float, scale: float, seed: int) -> None:
    """With torch's settings as the docstring gives them; for Adam the eps of each step."""
    ours, theirs = OPTIMIZERS[name]
    params = {"W": normal(3, 2, seed=seed), "b": normal(2, seed=seed + 1)}
    leaves = {library: [tensor(library, param, grad=True) for param in params.values()] for library in LIBRARIES}
    optimizer = ours(lr)
    others = {library: theirs(library.optim, leaves[library], lr) for library in LIBRARIES}
    rng = np.random.default_rng(seed + 2)
    for t in range(1, steps + 1):
        grads = {key: scale * rng.standard_normal(param.shape) for key, param in params.items()}
        optimizer.update(params, grads)
        for library, other in others.items():
            if name == "Adam":
                other.param_groups[0]["eps"] = 1e-7 / math.sqrt(1 - 0.99**t)
            for leaf, key in zip(leaves[library], params):
                leaf.grad = tensor(library, grads[key])
            other.step()
            for leaf, key in zip(leaves[library], params):
                equal(params[key], leaf, rtol=1e-9, atol=1e-9, about=f"{library.__name__} {key} step {t}")


SMALL = 1e-7 / math.sqrt(0.001)  # the root of v is 1e-7 after one step of Adam


def one_step(library: Any, make: Callable[..., Any], g: float) -> float:
    """The step of torch's optimizer from 0 against a gradient."""
    leaf = tensor(library, np.zeros(1), grad=True)
    leaf.grad = tensor(library, np.array([g]))
    make(library.optim, [leaf]).step()
    return leaf.item()


@pytest.mark.parametrize(
    "ours, theirs, g, step, torchs",
    [
        (tb.AdaGrad, lambda optim, params: optim.Adagrad(params, 1.0), 1e-7, -1 / 2, -1 / 1.001),
        (tb.RMSProp, lambda optim, params: optim.RMSprop(params, 1.0), 1e-6, -10 / 2, -10 / 1.1),
        (
            tb.Adam,
            lambda optim, params: optim.Adam(params, 1.0),
            SMALL,
            -1 / 2,
            -1 / (1 + 1e-8 / SMALL),
        ),
    ],
)
def test_what_is_added_to_the_root_differs_by_default(ours: Any, theirs: Any, g: float, step: float, torchs: float) -> None:
    """At gradients where the root itself is 1e-7."""
    params = {"w": np.zeros(1)}
    ours(lr=1.0).update(params, {"w": np.array([g])})
    assert params["w"][0] == pytest.approx(step, rel=1e-6)
    for library in LIBRARIES:
        assert one_step(library, theirs, g) == pytest.approx(torchs, rel=1e-6)


@pytest.mark.parametrize("ours, nesterov", [(tb.Momentum, False), (tb.Nesterov, True)])
def test_past_steps_keep_their_rate_where_torch_gives_them_the_new_one(ours: Any, nesterov: bool) -> None:
    """Two steps at g = 1 and momentum m, at the rates a and b: the velocity of the first counts m a here and m b there."""
    a, b, m = 0.1, 0.01, 0.9
    optimizer, params = ours(a, m), {"w": np.zeros(1)}
    for rate in (a, b):
        optimizer.lr = rate
        optimizer.update(params, {"w": np.ones(1)})
    for library in LIBRARIES:
        leaf = tensor(library, np.zeros(1), grad=True)
        other = library.optim.SGD([leaf], a, momentum=m, nesterov=nesterov)
        for rate in (a, b):
            other.param_groups[0]["lr"] = rate
            leaf.grad = tensor(library, np.ones(1))
            other.step()
        weight = m * m if nesterov else m  # the velocity of the first step in the second
        assert params["w"][0] - leaf.item() == pytest.approx(weight * (b - a), rel=1e-9)


# ------------------------------------------------------------------------------------------------ preprocessing


@given(data=st.data(), n=st.integers(2, 6), features=sizes)
@examples(40)
def test_scaling(data: Any, n: int, features: int) -> None:
    x, test = data.draw(arrays(n, features)), data.draw(arrays(3, features))

    def standardized(lib: Any, x: Any, by: Any) -> Any:
        return (x - by.mean(0)) / by.std(0, correction=0)

    def min_max(lib: Any, x: Any, by: Any) -> Any:
        return (x - by.amin(0)) / (by.amax(0) - by.amin(0))

    for ours, fast in ((tb.standardize, standardized), (tb.min_max_scale, min_max)):
        check(ours(x), fast, x, x, rtol=1e-8, atol=1e-8)
        check(ours(test, reference=x), fast, test, x, rtol=1e-8, atol=1e-8)
        still = np.full((3, 2), 7.0)  # does not vary: 0 here, NaN there
        equal(ours(still), np.zeros((3, 2)))
        for library in LIBRARIES:
            assert np.isnan(array_of(fast(library, *[tensor(library, still)] * 2))).all()


@given(n=st.integers(0, 5), classes=sizes, seed=seeds)
@examples(40)
def test_one_hot_and_back(n: int, classes: int, seed: int) -> None:
    labels = labeled(n, classes, seed)
    rows = tb.one_hot(labels, classes)
    check(rows, lambda lib, t: lib.nn.functional.one_hot(t, classes), labels, rtol=0, atol=0)
    check(tb.from_one_hot(rows), lambda lib, rows: rows.argmax(1), rows, rtol=0, atol=0)


@given(n=st.integers(1, 20), size=sizes, seed=seeds)
@examples(30)
def test_mini_batches_are_those_of_the_samplers(n: int, size: int, seed: int) -> None:
    x = np.arange(n)
    epoch = [list(t) for _, t in tb.mini_batches(x, x, size, TorchStream(seed))]
    once = list(tb.mini_batch(x, x, size, TorchStream(seed))[1])
    for library in LIBRARIES:
        data = library.utils.data

        def sampler(library: Any = library, data: Any = data, **options: Any) -> Any:
            return data.RandomSampler(range(n), generator=library.Generator().manual_seed(seed), **options)

        assert epoch == list(data.BatchSampler(sampler(), size, drop_last=False))
        assert once == list(sampler(replacement=True, num_samples=size))


# ------------------------------------------------------------------------------------------------ initial weights

RULES = {  # of the textbook, of torch, and whether the weight is a matrix, which torch keeps as (outputs, inputs)
    "gaussian": (lambda s, r: tb.gaussian(s, r, 0.3), lambda init, w: init.normal_(w, 0, 0.3), True),
    "uniform": (lambda s, r: tb.uniform(s, r, 0.3), lambda init, w: init.uniform_(w, -0.3, 0.3), True),
    "alexnet": (tb.alexnet, lambda init, w: init.normal_(w, 0, 0.01), True),
    "xavier": (lambda s, r: tb.xavier(s, r, both_ways=True), lambda init, w: init.xavier_normal_(w), True),
    "xavier, filters": (lambda s, r: tb.xavier(s, r, both_ways=True), lambda init, w: init.xavier_normal_(w), False),
    "he": (tb.he, lambda init, w: init.kaiming_normal_(w, nonlinearity="relu"), True),
    "he, filters": (tb.he, lambda init, w: init.kaiming_normal_(w, nonlinearity="relu"), False),
    "orthogonal": (lambda s, r: tb.orthogonal(s, r, 1.5), lambda init, w: init.orthogonal_(w, 1.5), False),
    "orthogonal, filters": (lambda s, r: tb.orthogonal(s, r, 1.5), lambda init, w: init.orthogonal_(w, 1.5), False),
}


@pytest.mark.parametrize("name", list(RULES))
@given(shape=st.tuples(st.integers(1, 9), st.integers(1, 9)), window=st.integers(1, 3), seed=seeds)
@examples(20)
def test_initial_weights_are_torchs_from_one_stream(name: str, shape: Any, window: int, seed: int) -> None:
    rule, theirs, matrix = RULES[name]
    full = (*shape, window, 2) if name.endswith("filters") else shape
    ours = rule(full, TorchStream(seed, transposed=matrix))
    for library in LIBRARIES:
        weight = library.empty(*(full[::-1] if matrix else full), dtype=library.float64)
        library.manual_seed(seed)
        theirs(library.nn.init, weight)
        equal(ours, array_of(weight).T if matrix else weight, rtol=1e-6, atol=1e-7, about=library.__name__)


@given(inputs=st.integers(3, 40), outputs=sizes, connections=st.integers(0, 3), seed=seeds)
@examples(30)
def test_sparse_weights_are_torchs_with_the_share_of_zeros(inputs: int, outputs: int, connections: int, seed: int) -> None:
    ours = tb.sparse((inputs, outputs), TorchStream(seed), connections, 0.5)
    for library in LIBRARIES:
        weight = library.empty(inputs, outputs, dtype=library.float64)
        library.manual_seed(seed)
        library.nn.init.sparse_(weight, (inputs - connections - 0.5) / inputs, 0.5)  # torch rounds the number of zeros up
        equal(ours, weight, rtol=1e-6, atol=1e-7, about=library.__name__)


def test_xaviers_rule_of_the_notes_is_torchs_for_square_weights_only() -> None:
    square, wide = (30, 30), (30, 90)
    for shape, factor in ((square, 1.0), (wide, math.sqrt((30 + 90) / (2 * 30)))):
        ours = tb.xavier(shape, TorchStream(3, transposed=True))
        for library in LIBRARIES:
            weight = library.empty(*shape[::-1], dtype=library.float64)
            library.manual_seed(3)
            equal(ours, factor * array_of(library.nn.init.xavier_normal_(weight)).T, rtol=1e-6, atol=1e-7)


# ------------------------------------------------------------------------------------------------ rules that torch lacks


@pytest.mark.parametrize("nonlinearity", ["linear", "relu"])
@given(inputs=st.integers(1, 30), outputs=sizes, window=st.integers(1, 3), seed=seeds)
@examples(20)
def test_the_random_walk_of_a_module_is_the_textbooks(
    nonlinearity: str, inputs: int, outputs: int, window: int, seed: int
) -> None:
    linear, conv = mini_dl.nn.Linear(inputs, outputs).double(), mini_dl.nn.Conv2d(inputs, outputs, window).double()
    mini_dl.manual_seed(seed)
    mini_dl.nn.init.random_walk_(mini_dl.nn.Sequential(linear, conv), nonlinearity)
    stream = TorchStream(seed, transposed=True)
    equal(tb.random_walk((inputs, outputs), stream, nonlinearity), array_of(linear.weight).T, rtol=1e-6, atol=1e-7)
    stream.transposed = False
    equal(tb.random_walk((outputs, inputs, window, window), stream, nonlinearity), conv.weight, rtol=1e-6, atol=1e-7)
    torch.manual_seed(seed)  # and torch's normal numbers, scaled by hand
    gain = math.exp(1 / (2 * inputs)) if nonlinearity == "linear" else math.sqrt(2) * math.exp(1.2 / (max(inputs, 6) - 2.4))
    theirs = torch.nn.init.normal_(torch.empty(outputs, inputs, dtype=torch.float64), 0, gain / math.sqrt(inputs))
    equal(linear.weight, theirs, rtol=1e-6, atol=1e-7)


@given(
    widths=st.lists(st.integers(2, 12), min_size=2, max_size=6, unique=True),
    name=st.sampled_from(["ReLU", "Tanh", "Sigmoid", "Identity"]),
    tolerance=st.sampled_from([0.1, 1e-6]),
    seed=seeds,
)
@examples(30)
def test_the_unit_variances_of_a_module_are_the_textbooks(widths: Any, name: str, tolerance: float, seed: int) -> None:
    """Not for square weights: there the textbook factors the draws for W, and the module those for its transpose."""
    nn, x = mini_dl.nn, 3 * normal(20, widths[0], seed=seed)
    parts = [nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(widths)]
    model = nn.Sequential(*[part for linear in parts for part in (linear, getattr(nn, name)())]).double()
    mini_dl.manual_seed(seed)
    mini_dl.nn.init.lsuv_(model, tensor(mini_dl, x), tolerance)
    activation = {"ReLU": tb.relu, "Tanh": np.tanh, "Sigmoid": tb.sigmoid, "Identity": tb.identity}[name]
    weights = tb.lsuv(widths, x, TorchStream(seed, transposed=True), activation, tolerance)
    for ours, linear in zip(weights, parts):
        equal(ours, array_of(linear.weight).T, rtol=1e-5, atol=1e-6)
