"""The plain definitions give their known results, and reject invalid arguments."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from mini_dl import textbook as tb


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape)


def x0_squared_plus_x1_squared(x: Any) -> float:
    return x[0] ** 2 + x[1] ** 2


# ------------------------------------------------------------------------------------------------ tensors


@pytest.mark.parametrize(
    "product, left, right",
    [
        (tb.vector_dot, (4,), (4,)),
        (tb.matrix_vector_dot, (3, 4), (4,)),
        (tb.matrix_product, (3, 4), (4, 2)),
        (tb.tensor_dot, (2, 3, 4, 5), (5,)),
        (tb.tensor_dot, (2, 3, 4, 5), (5, 6)),
        (tb.tensor_dot, (5,), (5,)),
        (tb.matrix_product, (0, 4), (4, 2)),
        (tb.matrix_product, (3, 0), (0, 2)),
    ],
)
def test_a_product_in_loops_is_numpys(product: Any, left: Any, right: Any) -> None:
    x, y = normal(*left), normal(*right, seed=1)
    np.testing.assert_allclose(product(x, y), x @ y, rtol=1e-12, atol=1e-12)
    assert np.shape(product(x, y)) == np.shape(x @ y)


@pytest.mark.parametrize(
    "operation, left, right",
    [
        (tb.vector_dot, (3,), (4,)),
        (tb.vector_dot, (2, 2), (2, 2)),
        (tb.matrix_vector_dot, (3, 4), (3,)),
        (tb.matrix_vector_dot, (4,), (4,)),
        (tb.matrix_product, (3, 4), (3, 4)),
        (tb.matrix_product, (3, 4), (4,)),
        (tb.tensor_dot, (2, 3, 4), (3,)),
        (tb.tensor_dot, (), (1,)),
        (tb.tensor_dot, (2, 3), (3, 1, 1)),
        (tb.elementwise_add, (2, 3), (3,)),
        (tb.add_row, (2, 3), (2,)),
        (tb.add_row, (2, 3), (1, 3)),
        (tb.translate, (3, 3), (2,)),
        (tb.translate, (2,), (2,)),
        (tb.scale, (3, 2), (3,)),
    ],
)
def test_shapes_that_do_not_fit_are_refused_and_named(operation: Any, left: Any, right: Any) -> None:
    with pytest.raises(ValueError) as caught:
        operation(normal(*left), normal(*right))
    assert str(right) in str(caught.value)


def test_elementwise_operations_are_numpys_and_leave_their_arguments() -> None:
    x, y = normal(2, 3, 4), normal(2, 3, 4, seed=1)
    before = x.copy()
    np.testing.assert_array_equal(tb.elementwise_relu(x), np.maximum(x, 0))
    np.testing.assert_array_equal(tb.elementwise_add(x, y), x + y)
    np.testing.assert_array_equal(tb.add_row(x[0], y[0, 0]), x[0] + y[0, 0])
    np.testing.assert_array_equal(x, before)


def test_reshape_keeps_the_reading_order_and_transpose_swaps_rows_and_columns() -> None:
    x = normal(3, 4)
    for shape in ((12,), (2, 6), (2, 3, 2), (12, 1)):
        np.testing.assert_array_equal(tb.reshape(x, shape), x.reshape(shape))
    np.testing.assert_array_equal(tb.reshape(x.T, (2, 6)), x.T.reshape(2, 6))
    np.testing.assert_array_equal(tb.transpose(x), x.T)
    with pytest.raises(ValueError, match=r"12 numbers of shape \(3, 4\)"):
        tb.reshape(x, (5, 2))
    with pytest.raises(ValueError, match=r"\(12,\)"):
        tb.transpose(x.reshape(12))


def test_two_affine_maps_are_one() -> None:
    points, a, b = normal(5, 2), normal(2, 2, seed=1), normal(2, seed=2)
    c, d = normal(2, 2, seed=3), normal(2, seed=4)
    np.testing.assert_allclose(tb.affine(tb.affine(points, a, b), c, d), tb.affine(points, c @ a, c @ b + d), atol=1e-12)


def test_a_rotation_keeps_lengths_and_four_quarter_turns_are_none() -> None:
    points = normal(5, 2)
    np.testing.assert_allclose(np.hypot(*tb.rotate(points, 0.7).T), np.hypot(*points.T))
    turned = points
    for _ in range(4):
        turned = tb.rotate(turned, math.pi / 2)
    np.testing.assert_allclose(turned, points, atol=1e-15)
    np.testing.assert_allclose(tb.rotate(np.array([[1.0, 0.0]]), math.pi / 6), [[math.sqrt(3) / 2, 0.5]])


def test_translation_and_scaling_act_on_each_axis() -> None:
    points = normal(5, 2)
    np.testing.assert_array_equal(tb.translate(points, np.array([1.0, -2.0])), points + [1, -2])
    np.testing.assert_array_equal(tb.scale(points, np.array([3.0, 0.5])), points * [3, 0.5])


# ------------------------------------------------------------------------------------------------ gradients


def test_the_slope_of_the_parabola_of_the_notes() -> None:
    def f(x: float) -> float:
        return 0.01 * x**2 + 0.1 * x

    assert tb.numerical_diff(f, 5.0) == pytest.approx(0.2, abs=1e-10)
    assert tb.numerical_diff(f, 10.0) == pytest.approx(0.3, abs=1e-10)


def test_the_error_of_the_central_difference_is_a_sixth_of_the_third_derivative() -> None:
    for h in (0.1, 0.01):
        error = tb.numerical_diff(lambda x: x**3, 2.0, h) - 12
        assert error == pytest.approx(6 * h**2 / 6, rel=1e-6)


def test_the_step_of_a_difference_is_a_ten_thousandth() -> None:
    assert tb.numerical_diff(lambda x: x**3, 0.0) == pytest.approx(1e-8, rel=1e-9)
    assert tb.numerical_gradient(lambda x: float(x[0] ** 3), np.zeros(1))[0] == pytest.approx(1e-8, rel=1e-9)


@pytest.mark.parametrize("point, gradient", [((3.0, 4.0), (6.0, 8.0)), ((0.0, 2.0), (0.0, 4.0)), ((3.0, 0.0), (6.0, 0.0))])
def test_the_gradient_of_the_bowl(point: Any, gradient: Any) -> None:
    np.testing.assert_allclose(tb.numerical_gradient(x0_squared_plus_x1_squared, np.array(point)), gradient, atol=1e-9)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 1, 3), (2, 2, 2, 2), (0, 3)])
def test_the_numerical_gradient_takes_any_shape_and_leaves_the_point(shape: tuple[int, ...]) -> None:
    x = np.asarray(normal(*shape))
    before = x.copy()
    weights = np.asarray(normal(*shape, seed=1))
    gradient = tb.numerical_gradient(lambda x: float(np.sum(weights * x**2)), x)
    np.testing.assert_allclose(gradient, 2 * weights * x, atol=1e-8)
    assert gradient.shape == shape
    np.testing.assert_array_equal(x, before)


def test_the_numerical_gradient_of_a_view_moves_the_numbers_it_looks_at() -> None:
    base = normal(3, 4)
    gradient = tb.numerical_gradient(lambda _: float(np.sum(base**2)), base.T[1:])
    np.testing.assert_allclose(gradient, 2 * base.T[1:], atol=1e-8)


def test_a_point_is_put_back_when_the_function_raises() -> None:
    x = np.array([1.0, 2.0])

    def f(x: Any) -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tb.numerical_gradient(f, x)
    np.testing.assert_array_equal(x, [1, 2])


def test_integers_have_no_numerical_gradient() -> None:
    with pytest.raises(ValueError, match="int64"):
        tb.numerical_gradient(x0_squared_plus_x1_squared, np.array([3, 4]))


START = np.array([-3.0, 4.0])


def test_a_learning_rate_of_a_tenth_reaches_the_origin() -> None:
    point = tb.gradient_descent(x0_squared_plus_x1_squared, START, lr=0.1, step_num=100)
    assert np.abs(point).max() < 1e-9
    np.testing.assert_allclose(point, [-6.11e-10, 8.15e-10], rtol=1e-3)


def test_a_learning_rate_of_ten_diverges() -> None:
    point = tb.gradient_descent(x0_squared_plus_x1_squared, START, lr=10.0, step_num=100)
    np.testing.assert_allclose(point, [-2.59e13, -1.29e12], rtol=5e-3)


def test_a_tiny_learning_rate_stays_where_it_began() -> None:
    point = tb.gradient_descent(x0_squared_plus_x1_squared, START, lr=1e-10, step_num=100)
    np.testing.assert_allclose(point, [-2.99999994, 3.99999992], rtol=0, atol=5e-9)
    assert np.abs(point - START).min() > 1e-8


def test_the_path_begins_at_the_start_and_ends_at_the_point() -> None:
    point, path = tb.gradient_descent(x0_squared_plus_x1_squared, START, lr=0.1, step_num=20, return_path=True)
    assert path.shape == (21, 2)
    np.testing.assert_array_equal(path[0], [-3, 4])
    np.testing.assert_array_equal(path[-1], point)
    np.testing.assert_allclose(path[1:], path[:-1] * 0.8, atol=1e-9)
    np.testing.assert_array_equal(START, [-3, 4])


def test_the_defaults_of_the_descent_are_a_hundred_steps_of_a_hundredth() -> None:
    point = tb.gradient_descent(x0_squared_plus_x1_squared, START)
    np.testing.assert_allclose(point, START * 0.98**100, atol=1e-9)


# ------------------------------------------------------------------------------------------------ activations


def test_activations_at_known_points() -> None:
    x = np.array([-1.0, 1.0, 2.0])
    np.testing.assert_allclose(tb.sigmoid(x), [0.26894142, 0.73105858, 0.88079708], atol=5e-9)
    np.testing.assert_array_equal(tb.step(x), [0, 1, 1])
    np.testing.assert_array_equal(tb.relu(x), [0, 1, 2])
    np.testing.assert_array_equal(tb.identity(x), x)
    np.testing.assert_allclose(tb.softmax(np.array([0.3, 2.9, 4.0])), [0.01821127, 0.24519181, 0.73659691], atol=5e-9)


@pytest.mark.filterwarnings("error")
def test_no_activation_overflows() -> None:
    far = np.array([-1e308, -1000.0, 0.0, 1000.0, 1e308])
    np.testing.assert_array_equal(tb.sigmoid(far), [0, 0, 0.5, 1, 1])
    np.testing.assert_array_equal(tb.softmax(far / 2), [0, 0, 0, 0, 1])
    np.testing.assert_allclose(tb.softmax(np.array([1010.0, 1000.0, 990.0])), [9.99954600e-01, 4.53978686e-05, 2.06106005e-09])
    assert tb.sigmoid(np.array(-40.0)) == pytest.approx(math.exp(-40), rel=1e-12)


def test_softmax_of_a_batch_is_that_of_its_rows() -> None:
    x = 3 * normal(4, 5)
    batch = tb.softmax(x)
    np.testing.assert_allclose(batch, [tb.softmax(row) for row in x], rtol=1e-15)
    np.testing.assert_allclose(batch.sum(axis=1), 1)
    np.testing.assert_allclose(tb.softmax(x + 100), batch, rtol=1e-12)


# ------------------------------------------------------------------------------------------------ losses

TARGET = np.eye(10)[2]
RIGHT = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
WRONG = np.array([0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0])


def test_the_losses_of_a_right_and_a_wrong_answer() -> None:
    assert tb.sum_squares_error(RIGHT, TARGET) == pytest.approx(0.0975)
    assert tb.sum_squares_error(WRONG, TARGET) == pytest.approx(0.5975)
    assert tb.mean_squared_error(WRONG, TARGET) == pytest.approx(0.1195)
    assert tb.cross_entropy_error(RIGHT, TARGET) == pytest.approx(0.510825457099338, abs=1e-14)
    assert tb.cross_entropy_error(WRONG, TARGET) == pytest.approx(2.302584092994546, abs=1e-14)


@pytest.mark.parametrize("output, target, bits", [(0.98, 1, 0.0291), (0.0001, 1, 13.2877), (0.02, 0, 0.0291), (0.5, 0, 1.0)])
def test_the_surprise_of_a_logistic_unit_in_bits(output: float, target: int, bits: float) -> None:
    assert tb.binary_cross_entropy(output, target) == pytest.approx(bits, abs=5e-5)
    assert tb.binary_cross_entropy(output, target, base=math.e) == pytest.approx(bits * math.log(2), abs=5e-5)


@pytest.mark.filterwarnings("error")
def test_certainty_costs_nothing_when_right_and_everything_when_wrong() -> None:
    assert tb.binary_cross_entropy(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0
    assert tb.binary_cross_entropy(1e-20, 0, base=math.e) == pytest.approx(1e-20, abs=0)
    assert tb.binary_cross_entropy(0.0, 1) == tb.binary_cross_entropy(1.0, 0) == math.inf
    assert tb.cross_entropy_error(np.array([1.0, 0.0]), 1) == pytest.approx(-math.log(1e-7))


def test_labels_and_one_hot_rows_single_or_in_a_batch_give_one_loss() -> None:
    output, labels = tb.softmax(normal(4, 3)), np.array([2, 0, 0, 1])
    by_hand = np.mean([-math.log(row[label] + 1e-7) for row, label in zip(output, labels)])
    assert tb.cross_entropy_error(output, labels) == pytest.approx(by_hand)
    assert tb.cross_entropy_error(output, np.eye(3)[labels]) == pytest.approx(by_hand)
    singles = [tb.cross_entropy_error(row, int(label)) for row, label in zip(output, labels)]
    assert np.mean(singles) == pytest.approx(by_hand)
    assert tb.cross_entropy_error(output[0], np.eye(3)[2]) == singles[0]


def test_the_likelihood_of_softmax_is_cross_entropy_without_the_guard() -> None:
    scores, labels = 3 * normal(4, 3), np.array([2, 0, 0, 1])
    picked = tb.softmax(scores)[np.arange(4), labels]
    assert tb.negative_log_likelihood(scores, labels) == pytest.approx(-np.log(picked).mean(), rel=1e-14)
    guarded = tb.cross_entropy_error(tb.softmax(scores), labels)
    assert tb.negative_log_likelihood(scores, labels) - guarded == pytest.approx(np.log1p(1e-7 / picked).mean(), rel=1e-6)
    assert tb.negative_log_likelihood(np.array([0.0, -1e5]), 1) == 1e5


@pytest.mark.parametrize("loss", [tb.cross_entropy_error, tb.negative_log_likelihood])
@pytest.mark.parametrize(
    "output, target, named",
    [
        (np.full((2, 3), 0.3), np.array([0, 1, 2]), r"\(2, 3\).*\(3,\)"),
        (np.full((2, 3), 0.3), np.array([0, 3]), "0 ... 2"),
        (np.full(3, 0.3), -1, "-1"),
        (np.full((1, 2, 3), 0.3), np.array([[0, 1]]), r"\(1, 2, 3\)"),
    ],
)
def test_targets_that_do_not_fit_are_refused(loss: Any, output: Any, target: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        loss(output, target)


def test_losses_refuse_other_shapes_and_what_is_no_probability() -> None:
    for loss in (tb.sum_squares_error, tb.mean_squared_error, tb.binary_cross_entropy):
        with pytest.raises(ValueError, match=r"\(3,\) and \(1,\)"):
            loss(np.full(3, 0.5), np.ones(1))
    with pytest.raises(ValueError, match=r"output must lie in \[0, 1\]"):
        tb.binary_cross_entropy(1.1, 1)
    with pytest.raises(ValueError, match=r"target must lie in \[0, 1\]"):
        tb.binary_cross_entropy(0.5, -1)


# ------------------------------------------------------------------------------------------------ layers


def check_backward(layer: Any, x: Any, *parameters: str, **options: Any) -> None:
    """`backward` gives the derivative of the randomly weighted outputs with respect to the input and the named parameters."""
    weights = normal(*layer.forward(x, **options).shape, seed=7)
    dx = layer.backward(weights)
    found = {name: getattr(layer, "d" + name) for name in parameters}

    def weighted(_: Any) -> float:
        return float(np.sum(weights * layer.forward(x, **options)))

    np.testing.assert_allclose(dx, tb.numerical_gradient(weighted, x), atol=1e-7)
    for name in parameters:
        np.testing.assert_allclose(found[name], tb.numerical_gradient(weighted, getattr(layer, name)), atol=1e-7)


def test_apples_and_oranges() -> None:
    apples, oranges, fruit, tax = tb.Multiply(), tb.Multiply(), tb.Add(), tb.Multiply()
    price = tax.forward(fruit.forward(apples.forward(100.0, 2.0), oranges.forward(150.0, 3.0)), 1.1)
    dfruit, dtax = tax.backward(1.0)
    dapples, doranges = fruit.backward(dfruit)
    assert price == pytest.approx(715)
    assert apples.backward(dapples) == pytest.approx((2.2, 110))
    assert oranges.backward(doranges) == pytest.approx((3.3, 165))
    assert dtax == pytest.approx(650)


@pytest.mark.parametrize("layer", [tb.ReLU(), tb.Sigmoid()], ids=["ReLU", "Sigmoid"])
def test_the_slope_of_an_activation_is_its_numerical_one(layer: Any) -> None:
    check_backward(layer, normal(2, 3, 4))


def test_relu_passes_no_gradient_at_zero() -> None:
    layer = tb.ReLU()
    layer.forward(np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(layer.backward(np.ones(3)), [0, 0, 1])


@pytest.mark.parametrize("shape", [(5, 6), (5, 2, 3), (5, 1, 2, 3)])
def test_affine_goes_back_to_any_shape_of_input(shape: tuple[int, ...]) -> None:
    check_backward(tb.Affine(normal(6, 4, seed=1), normal(4, seed=2)), normal(*shape), "W", "b")


def test_layers_with_weights_refuse_inputs_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"needs 6 numbers per example, not the shape \(2, 5\)"):
        tb.Affine(normal(6, 4), np.zeros(4)).forward(normal(2, 5))
    for convolve in (tb.Convolution(normal(2, 3, 2, 2), np.zeros(2)).forward, lambda x: tb.convolution(x, normal(2, 3, 2, 2), x)):
        with pytest.raises(ValueError, match=r"\(1, 4, 5, 5\) and \(2, 3, 2, 2\)"):
            convolve(normal(1, 4, 5, 5))


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 2, 2)])
@pytest.mark.parametrize("train", [True, False])
def test_batch_normalization_goes_back_through_its_statistics(shape: tuple[int, ...], train: bool) -> None:
    layer = tb.BatchNormalization(1 + normal(3, seed=1), normal(3, seed=2), momentum=1.0)  # 1.0: the averages stay constant
    check_backward(layer, 2 + 3 * normal(*shape), "gamma", "beta", train=train)


def test_batch_normalization_normalizes_and_keeps_running_averages() -> None:
    layer = tb.BatchNormalization(np.ones(3), np.zeros(3), momentum=0.9, eps=0.0)
    x = 5 + 2 * normal(8, 3)
    y = layer.forward(x)
    np.testing.assert_allclose([y.mean(axis=0), y.var(axis=0)], [np.zeros(3), np.ones(3)], atol=1e-14)
    np.testing.assert_allclose(layer.running_mean, 0.1 * x.mean(axis=0))
    np.testing.assert_allclose(layer.running_var, 0.9 + 0.1 * x.var(axis=0))
    mean, var = layer.running_mean, layer.running_var
    np.testing.assert_allclose(layer.forward(x, train=False), (x - mean) / np.sqrt(var))
    assert layer.running_mean is mean


def test_one_example_has_no_variance() -> None:
    layer = tb.BatchNormalization(np.ones(3), np.zeros(3))
    with pytest.raises(ValueError, match=r"\(1, 3\)"):
        layer.forward(normal(1, 3))
    assert layer.forward(normal(1, 3), train=False).shape == (1, 3)


def test_dropout_switches_off_the_given_share_and_keeps_the_mean() -> None:
    layer, x = tb.Dropout(0.3, np.random.default_rng(0)), np.ones((200, 200))
    y = layer.forward(x)
    assert set(np.unique(y)) == {0.0, 1.0}
    assert y.mean() == pytest.approx(0.7, abs=0.01)
    np.testing.assert_array_equal(layer.backward(2 * x), 2 * y)
    np.testing.assert_allclose(layer.forward(x, train=False), 0.7)
    np.testing.assert_array_equal(tb.Dropout(0.0, np.random.default_rng(0)).forward(x), x)
    with pytest.raises(ValueError, match=r"1\.0"):
        tb.Dropout(1.0, np.random.default_rng(0))


GEOMETRIES = [(3, 3, 1, 0), (3, 2, 2, 1), (2, 2, 3, 0), (1, 4, 1, 2), (5, 5, 2, 3), (5, 6, 1, 0)]


@pytest.mark.parametrize("height, width, stride, pad", GEOMETRIES)
def test_convolution_by_columns_is_the_one_in_loops(height: int, width: int, stride: int, pad: int) -> None:
    x, W, b = normal(2, 3, 5, 6), normal(4, 3, height, width, seed=1), normal(4, seed=2)
    layer = tb.Convolution(W, b, stride, pad)
    np.testing.assert_allclose(layer.forward(x), tb.convolution(x, W, b, stride, pad), atol=1e-12)


@pytest.mark.parametrize("height, width, stride, pad", GEOMETRIES[:4])
def test_convolution_goes_back(height: int, width: int, stride: int, pad: int) -> None:
    check_backward(tb.Convolution(normal(2, 2, height, width), normal(2, seed=1), stride, pad), normal(2, 2, 4, 5), "W", "b")


@pytest.mark.parametrize("height, width, stride, pad", [(2, 2, 2, 0), (3, 2, 1, 1), (3, 3, 2, 2), (2, 3, 4, 0)])
def test_pooling_is_the_one_in_loops_and_goes_back(height: int, width: int, stride: int, pad: int) -> None:
    x = normal(2, 3, 5, 4) - 5  # all negative: padding must not be chosen
    layer = tb.Pooling(height, width, stride, pad)
    np.testing.assert_array_equal(layer.forward(x), tb.max_pooling(x, height, width, stride, pad))
    check_backward(layer, x)


@pytest.mark.parametrize("height, width, stride, pad", GEOMETRIES)
def test_col2im_is_the_transpose_of_im2col(height: int, width: int, stride: int, pad: int) -> None:
    x = normal(2, 3, 5, 6)
    col = tb.im2col(x, height, width, stride, pad)
    weights = normal(*col.shape, seed=1)
    back = tb.col2im(weights, x.shape, height, width, stride, pad)
    assert np.sum(col * weights) == pytest.approx(np.sum(x * back))


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda: tb.window_places(4, 5, 1, 0), "window of 5 does not fit into 4"),
        (lambda: tb.window_places(4, 2, 0, 0), "not 0 and 0"),
        (lambda: tb.window_places(4, 2, 1, -1), "not 1 and -1"),
        (lambda: tb.Pooling(2, 2, pad=2), "padding of 2"),
        (lambda: tb.max_pooling(np.zeros((1, 1, 4, 4)), 2, 3, 1, pad=2), "padding of 2"),
    ],
)
def test_windows_that_do_not_fit_are_refused(call: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        call()


@pytest.mark.parametrize("target", [np.array([2, 0, 1, 1]), np.eye(3)[[2, 0, 1, 1]]], ids=["labels", "one-hot"])
def test_softmax_with_loss_goes_back_by_a_difference(target: Any) -> None:
    layer, x = tb.SoftmaxWithLoss(), normal(4, 3)
    layer.forward(x, target)
    dx = layer.backward()
    np.testing.assert_allclose(dx, (tb.softmax(x) - np.eye(3)[[2, 0, 1, 1]]) / 4, atol=1e-15)
    np.testing.assert_allclose(dx, tb.numerical_gradient(lambda x: layer.forward(x, target), x), atol=1e-9)
    np.testing.assert_allclose(layer.backward(3.0), 3 * dx)


# ------------------------------------------------------------------------------------------------ networks


def check_gradient(net: Any, x: Any, target: Any, tolerance: float = 1e-7) -> None:
    numerical, exact = net.numerical_gradient(x, target), net.gradient(x, target)
    assert list(numerical) == list(net.params)
    assert set(exact) == set(net.params)
    for name in net.params:
        np.testing.assert_allclose(exact[name], numerical[name], atol=tolerance, err_msg=name)


def test_the_simple_net_of_the_notes() -> None:
    net = tb.SimpleNet()
    assert net.params["W"].shape == (2, 3)
    net.params["W"] = np.array([[0.47355232, 0.9977393, 0.84668094], [0.85557411, 0.03563661, 0.69422093]])
    x, target = np.array([0.6, 0.9]), np.array([0, 0, 1])
    np.testing.assert_allclose(net.predict(x), [1.05414809, 0.63071653, 1.1328074], atol=5e-9)
    assert net.loss(x, target) == pytest.approx(0.92806853663411326, abs=2e-7)  # there with 1e-7 in the logarithm
    known = [[0.21924763, 0.14356247, -0.36281009], [0.32887144, 0.2153437, -0.54421514]]
    np.testing.assert_allclose(net.gradient(x, target)["W"], known, atol=1e-6)
    check_gradient(net, x, target, 1e-9)
    check_gradient(net, normal(5, 2), np.array([0, 2, 1, 1, 0]), 1e-9)
    assert net.accuracy(x, target) == 1


def test_the_two_layer_net_backpropagates_its_numerical_gradient() -> None:
    net = tb.TwoLayerNet(input_size=6, hidden_size=5, output_size=3, weight_init_std=0.5, seed=1)
    assert {name: param.shape for name, param in net.params.items()} == {"W1": (6, 5), "b1": (5,), "W2": (5, 3), "b2": (3,)}
    check_gradient(net, normal(4, 6), np.array([0, 2, 1, 1]))


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("dropout", [False, True])
def test_the_multi_layer_net_backpropagates_its_numerical_gradient(activation: str, batchnorm: bool, dropout: bool) -> None:
    net = tb.MultiLayerNet(
        4, [5, 4], 3, activation, 0.8, 0.1, use_dropout=dropout, dropout_ratio=0.3, use_batchnorm=batchnorm, seed=2
    )
    check_gradient(net, normal(6, 4), np.array([0, 2, 1, 1, 0, 2]), 1e-6)


def test_the_simple_conv_net_backpropagates_its_numerical_gradient() -> None:
    net = tb.SimpleConvNet((2, 6, 6), filters=2, filter_size=3, pad=1, hidden_size=4, output_size=3, weight_init_std=0.5)
    assert net.params["W2"].shape == (2 * 3 * 3, 4)
    check_gradient(net, normal(2, 2, 6, 6), np.array([0, 2]), 1e-6)


def test_a_numerical_gradient_leaves_the_running_averages() -> None:
    net = tb.MultiLayerNet(4, [5], 3, use_batchnorm=True)
    norm = net.layers["BatchNorm1"]
    mean, var = norm.running_mean, norm.running_var
    net.numerical_gradient(normal(6, 4), np.array([0, 2, 1, 1, 0, 2]))
    assert norm.running_mean is mean and norm.running_var is var
    net.gradient(normal(6, 4), np.array([0, 2, 1, 1, 0, 2]))
    assert np.abs(norm.running_mean - mean).min() > 0


def test_weight_decay_adds_half_of_the_squares() -> None:
    x, target = normal(4, 6), np.array([0, 2, 1, 1])
    plain, decayed = (tb.MultiLayerNet(6, [5], 3, weight_decay_lambda=factor, seed=3) for factor in (0.0, 0.2))
    squares = sum(np.sum(plain.params[name] ** 2) for name in ("W1", "W2"))
    assert decayed.loss(x, target) - plain.loss(x, target) == pytest.approx(0.1 * squares)
    with_decay, without = decayed.gradient(x, target), plain.gradient(x, target)
    np.testing.assert_allclose(with_decay["W2"] - without["W2"], 0.2 * plain.params["W2"], atol=1e-15)
    np.testing.assert_array_equal(with_decay["b2"], without["b2"])


@pytest.mark.parametrize(
    "rule, std", [("relu", math.sqrt(2 / 400)), ("he", math.sqrt(2 / 400)), ("sigmoid", 0.05), ("xavier", 0.05), (0.3, 0.3)]
)
def test_a_rule_or_a_number_scales_the_first_weights(rule: Any, std: float) -> None:
    net = tb.MultiLayerNet(400, [300], 3, weight_init_std=rule)
    assert net.params["W1"].std() == pytest.approx(std, rel=0.01)
    assert not net.params["b1"].any()


def test_names_that_are_no_rule_and_no_activation_are_refused() -> None:
    with pytest.raises(ValueError, match="'tanh'"):
        tb.MultiLayerNet(4, [5], 3, activation="tanh")
    with pytest.raises(ValueError, match="'lecun'"):
        tb.MultiLayerNet(4, [5], 3, weight_init_std="lecun")


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: tb.SimpleNet(seed=seed),
        lambda seed: tb.TwoLayerNet(4, 5, 3, seed=seed),
        lambda seed: tb.MultiLayerNet(4, [5], 3, seed=seed),
        lambda seed: tb.SimpleConvNet((1, 6, 6), 2, 3, hidden_size=4, seed=seed),
    ],
)
def test_a_network_is_drawn_from_its_seed_alone(make: Any) -> None:
    np.random.seed(3)
    before = np.random.get_state()[1].tolist()
    first, second, other = make(5), make(np.random.default_rng(5)), make(6)
    for name in first.params:
        np.testing.assert_array_equal(first.params[name], second.params[name])
    weight = next(iter(first.params))
    assert not np.array_equal(first.params[weight], other.params[weight])
    assert np.random.get_state()[1].tolist() == before


def test_accuracy_counts_the_right_answers() -> None:
    net = tb.SimpleNet(3, 3)
    net.params["W"] = np.eye(3)
    x = np.array([[3.0, 1, 2], [0, 1, 0], [1, 2, 3], [9, 1, 1]])
    assert net.accuracy(x, np.array([0, 1, 2, 1])) == 0.75
    assert net.accuracy(x, np.eye(3)[[0, 0, 2, 0]]) == 0.75


def test_a_dropout_net_predicts_without_chance() -> None:
    net, x = tb.MultiLayerNet(4, [50], 3, use_dropout=True), normal(5, 4)
    np.testing.assert_array_equal(net.predict(x), net.predict(x))
    assert not np.array_equal(net.predict(x, train=True), net.predict(x, train=True))


# ------------------------------------------------------------------------------------------------ optimizers

OPTIMIZERS = [tb.SGD, tb.Momentum, tb.Nesterov, tb.AdaGrad, tb.RMSProp, tb.Adam, tb.Rprop, tb.DeltaBarDelta]


@pytest.mark.parametrize(
    "make, lr", list(zip(OPTIMIZERS, [0.95, 0.1, 0.1, 1.5, 0.1, 0.3, 0.1, 0.3])), ids=lambda x: getattr(x, "__name__", x)
)
def test_an_optimizer_reaches_the_bottom_of_the_long_bowl_of_the_notes(make: Any, lr: float) -> None:
    optimizer, params = make(lr=lr), {"x": np.array([-7.0, 2.0])}

    def f(x: Any) -> float:
        return float(x[0] ** 2 / 20 + x[1] ** 2)

    start = f(params["x"])
    for _ in range(300):
        optimizer.update(params, {"x": params["x"] * [0.1, 2]})
    assert f(params["x"]) < 1e-3 * start


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_an_optimizer_changes_the_arrays_of_the_network_in_place(make: Any) -> None:
    net = tb.TwoLayerNet(4, 5, 3, seed=1)
    arrays = dict(net.params)
    x, target = normal(6, 4), np.array([0, 2, 1, 1, 0, 2])
    before = {name: array.copy() for name, array in arrays.items()}
    gradient = net.gradient(x, target)
    kept = {name: array.copy() for name, array in gradient.items()}
    make().update(net.params, gradient)
    for name in net.params:
        assert net.params[name] is arrays[name]
        assert not np.array_equal(arrays[name], before[name])
        np.testing.assert_array_equal(gradient[name], kept[name])


def test_a_rate_grows_by_addition_while_the_gradient_keeps_its_sign_and_shrinks_by_a_factor_when_it_turns() -> None:
    optimizer, params = tb.DeltaBarDelta(lr=0.1, kappa=0.02, phi=0.25, theta=0.5), {"w": np.zeros(2)}
    rates = []
    for g in ([1.0, 1.0], [2.0, -2.0], [3.0, 3.0], [-9.0, 0.0]):
        optimizer.update(params, {"w": np.array(g)})
        rates.append(optimizer.rate["w"].tolist())
    np.testing.assert_allclose(rates, [[0.1, 0.1], [0.12, 0.025], [0.14, 0.00625], [0.035, 0.00625]])
    np.testing.assert_allclose(params["w"], [-0.1 - 0.24 - 0.42 + 0.315, -0.1 + 0.05 - 0.01875])


def test_momentum_grows_evenly_and_a_single_epoch_has_the_first() -> None:
    grown = [tb.growing_momentum(epoch, 11) for epoch in range(11)]
    np.testing.assert_allclose(np.diff(grown), 0.049)
    assert (grown[0], round(grown[-1], 12), tb.growing_momentum(0, 1)) == (0.5, 0.99, 0.5)


def test_the_first_step_of_the_adaptive_ones_is_the_rate_whatever_the_gradient() -> None:
    for make, factor in ((tb.AdaGrad, 1.0), (tb.RMSProp, 10.0), (tb.Adam, 1.0)):
        params = {"w": np.zeros(3)}
        make(lr=0.1).update(params, {"w": np.array([1e3, -1.0, 1e-2])})
        np.testing.assert_allclose(params["w"], 0.1 * factor * np.array([-1, 1, -1]), rtol=1e-3)


def test_adam_goes_by_the_rate_as_long_as_the_gradient_stays() -> None:
    optimizer, params = tb.Adam(lr=0.1), {"w": np.zeros(2)}
    for t in range(1, 30):
        optimizer.update(params, {"w": np.array([-50.0, 3.0])})
        np.testing.assert_allclose(params["w"], [0.1 * t, -0.1 * t], rtol=1e-5)


@pytest.mark.parametrize(
    "make, g, full", [(tb.AdaGrad, 1e-7, 1.0), (tb.RMSProp, 1e-6, 10.0), (tb.Adam, 1e-7 / math.sqrt(1e-3), 1.0)]
)
def test_a_ten_millionth_beside_the_root_halves_the_step_where_the_root_is_as_small(make: Any, g: float, full: float) -> None:
    params = {"w": np.zeros(1)}
    make(lr=1.0).update(params, {"w": np.array([g])})
    assert params["w"][0] == pytest.approx(-full / 2, rel=1e-6)


def test_nesterov_runs_over_the_points_where_the_paper_takes_its_gradient() -> None:
    lr, momentum, curvature = 0.1, 0.9, np.array([0.1, 2.0])
    optimizer, params = tb.Nesterov(lr, momentum), {"x": np.array([-7.0, 2.0])}
    theta, v = params["x"].copy(), np.zeros(2)
    for _ in range(20):
        ahead = theta + momentum * v
        np.testing.assert_allclose(params["x"], ahead, atol=1e-12)
        v = momentum * v - lr * curvature * ahead
        theta = theta + v
        optimizer.update(params, {"x": curvature * params["x"]})


def test_a_small_net_learns_the_exclusive_or_by_every_optimizer() -> None:
    x, target = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    for make, lr in zip(OPTIMIZERS, [0.5, 0.1, 0.1, 0.3, 0.02, 0.05]):
        net, optimizer = tb.TwoLayerNet(2, 16, 2, weight_init_std=1.0, seed=0), make(lr=lr)
        for _ in range(400):
            optimizer.update(net.params, net.gradient(x, target))
        assert net.accuracy(x, target) == 1, make.__name__
        assert net.loss(x, target) < 0.05, make.__name__


# ------------------------------------------------------------------------------------------------ preprocessing


def test_standardized_features_have_mean_zero_and_deviation_one() -> None:
    x = normal(50, 3) * [1, 10, 100] + [0, 5, -7]
    z = tb.standardize(x)
    np.testing.assert_allclose([z.mean(axis=0), z.std(axis=0)], [np.zeros(3), np.ones(3)], atol=1e-14)


def test_min_max_scaling_runs_from_zero_to_one() -> None:
    z = tb.min_max_scale(normal(50, 3) * [1, 10, 100])
    np.testing.assert_array_equal([z.min(axis=0), z.max(axis=0)], [np.zeros(3), np.ones(3)])


@pytest.mark.parametrize("scale", [tb.standardize, tb.min_max_scale])
def test_test_data_are_scaled_by_the_training_data(scale: Any) -> None:
    train = normal(50, 3)
    np.testing.assert_allclose(scale(train[:7], reference=train), scale(train)[:7])
    assert not np.allclose(scale(train[:7]), scale(train)[:7])
    np.testing.assert_array_equal(scale(np.full((4, 2), 3.0)), np.zeros((4, 2)))
    for x, reference in ((train, train[:, :2]), (train[0], None), (train[:0], None)):
        with pytest.raises(ValueError, match=r"not the shapes \("):
            scale(x, reference)


def test_one_hot_and_back() -> None:
    labels = np.array([2, 0, 1, 2])
    np.testing.assert_array_equal(tb.one_hot(labels, 3), np.eye(3)[labels])
    np.testing.assert_array_equal(tb.from_one_hot(tb.one_hot(labels, 5)), labels)
    for wrong in (np.array([0, 3]), np.array([-1]), np.array([0.0]), np.array([[0]])):
        with pytest.raises(ValueError):
            tb.one_hot(wrong, 3)
    for wrong in (np.array([[1.0, 1.0]]), np.array([[0.0, 0.0]]), np.array([[2.0, -1.0]]), np.array([1.0, 0.0])):
        with pytest.raises(ValueError, match="single 1"):
            tb.from_one_hot(wrong)


def test_a_mini_batch_keeps_examples_and_targets_together() -> None:
    x, target = np.arange(100.0).reshape(100, 1), np.arange(100)
    some, wanted = tb.mini_batch(x, target, 1000, np.random.default_rng(0))
    np.testing.assert_array_equal(some[:, 0], wanted)
    counts = np.bincount(wanted, minlength=100)
    assert len(wanted) == 1000 and counts.min() >= 1 and counts.max() < 30  # with replacement, all equal
    with pytest.raises(ValueError, match="not 100 and 99"):
        tb.mini_batch(x, target[:99], 10, np.random.default_rng(0))


def test_an_epoch_brings_every_example_once_in_a_new_order() -> None:
    x, target = np.arange(10.0).reshape(10, 1), np.arange(10)
    rng = np.random.default_rng(0)
    first, second = (list(tb.mini_batches(x, target, 4, rng)) for _ in range(2))
    assert [len(t) for _, t in first] == [4, 4, 2]
    orders = [np.concatenate([t for _, t in epoch]) for epoch in (first, second)]
    np.testing.assert_array_equal(np.sort(orders, axis=1), [range(10), range(10)])
    assert not np.array_equal(*orders)
    for some, wanted in first:
        np.testing.assert_array_equal(some[:, 0], wanted)
    for size, targets in ((0, target), (4, target[:9])):
        with pytest.raises(ValueError):
            list(tb.mini_batches(x, targets, size, rng))


# ------------------------------------------------------------------------------------------------ initial weights


@pytest.mark.parametrize(
    "draw, shape, std",
    [
        (lambda s, r: tb.gaussian(s, r, 0.3), (300, 400), 0.3),
        (lambda s, r: tb.uniform(s, r, 0.3), (300, 400), 0.3 / math.sqrt(3)),
        (tb.alexnet, (300, 400), 0.01),
        (tb.xavier, (300, 400), 1 / math.sqrt(300)),
        (lambda s, r: tb.xavier(s, r, both_ways=True), (300, 400), math.sqrt(2 / 700)),
        (tb.he, (300, 400), math.sqrt(2 / 300)),
        (tb.he, (100, 20, 5, 5), math.sqrt(2 / 500)),
        (tb.xavier, (100, 20, 5, 5), math.sqrt(1 / 500)),
        (lambda s, r: tb.random_walk(s, r, "linear"), (20, 5000), math.exp(1 / 40) / math.sqrt(20)),
        (tb.random_walk, (20, 5000), math.sqrt(2 / 20) * math.exp(1.2 / 17.6)),
        (tb.random_walk, (6, 9000), math.sqrt(2 / 6) * math.exp(1.2 / 3.6)),
        (tb.random_walk, (3, 20000), math.sqrt(2 / 3) * math.exp(1.2 / 3.6)),  # narrower ones are treated as width 6
        (lambda s, r: tb.orthogonal(s, r, 2.0), (300, 400), 2 / math.sqrt(400)),
        (lambda s, r: tb.sparse(s, r, 30), (300, 400), math.sqrt(0.1)),
    ],
)
def test_initial_weights_have_mean_zero_and_the_deviation_of_their_rule(draw: Any, shape: Any, std: float) -> None:
    W = draw(shape, np.random.default_rng(0))
    assert W.shape == shape
    assert abs(W.mean()) < 0.02 * std
    assert W.std() == pytest.approx(std, rel=0.015)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5), (6, 2, 3, 3), (40, 2, 3, 3)])
def test_an_orthogonal_weight_keeps_lengths(shape: tuple[int, ...]) -> None:
    W = tb.orthogonal(shape, np.random.default_rng(0), gain=2.0)
    matrix = W.reshape(shape[0], -1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_the_signs_of_an_orthogonal_weight_are_spread_evenly() -> None:
    rng = np.random.default_rng(0)
    corners = np.array([tb.orthogonal((3, 3), rng) for _ in range(2000)])
    assert np.abs(corners.mean(axis=0)).max() < 0.05
    assert np.linalg.det(corners).mean() == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_the_random_walk_drifts_neither_up_nor_down(activation: str) -> None:
    """The mean log of a gradient's length over 60 layers of width 20; with He's or the linear rule it falls."""
    width, depth, runs = 20, 60, 150
    gains = {"linear": (lambda s, r: tb.xavier(s, r)), "relu": tb.he}

    def drift(draw: Any) -> float:
        rng, logs = np.random.default_rng(0), []
        for _ in range(runs):
            delta = rng.standard_normal(width)
            start = np.sum(delta**2)
            for _ in range(depth):
                on = rng.random(width) < 0.5 if activation == "relu" else np.ones(width)
                delta = (draw((width, width), rng) @ delta) * on
            logs.append(math.log(np.sum(delta**2) / start))
        return float(np.mean(logs)) / depth

    assert abs(drift(lambda s, r: tb.random_walk(s, r, activation))) < 0.03
    assert drift(gains[activation]) < -0.04
    with pytest.raises(ValueError, match="'tanh'"):
        tb.random_walk((2, 2), np.random.default_rng(0), "tanh")


def test_a_sparse_unit_listens_to_fifteen_inputs_whatever_their_number() -> None:
    for inputs in (15, 100, 1000):
        W = tb.sparse((inputs, 20), np.random.default_rng(0))
        np.testing.assert_array_equal((W != 0).sum(axis=0), np.full(20, 15))
    assert (W != 0).any(axis=1).sum() > 200  # each unit has its own
    for shape in ((14, 3), (20, 3, 3)):
        with pytest.raises(ValueError, match="at least 15 inputs"):
            tb.sparse(shape, np.random.default_rng(0))


@pytest.mark.parametrize("activation", [tb.relu, np.tanh, tb.sigmoid, tb.identity])
def test_lsuv_gives_every_layer_an_output_of_variance_one(activation: Any) -> None:
    rng = np.random.default_rng(0)
    x = 3 * rng.standard_normal((100, 20)) + 1
    sizes = [20, 50, 30, 30, 30, 30, 30, 10]
    h = x
    weights = tb.lsuv(sizes, x, rng, activation, tolerance=0.01)
    assert [W.shape for W in weights] == list(itertools.pairwise(sizes))
    for W in weights:
        assert np.var(h @ W) == pytest.approx(1, abs=0.01)
        gram = W @ W.T if W.shape[0] <= W.shape[1] else W.T @ W
        np.testing.assert_allclose(gram, gram[0, 0] * np.eye(len(gram)), atol=1e-12)  # orthogonal up to scale
        h = activation(h @ W)


def test_lsuv_stops_when_near_enough_or_after_the_given_number_of_trials() -> None:
    x = 7 * normal(50, 5)
    for options in ({"tolerance": 1000.0}, {"max_trials": 0}):
        (W,) = tb.lsuv([5, 5], x, np.random.default_rng(0), **options)
        np.testing.assert_allclose(W @ W.T, np.eye(5), atol=1e-12)


def test_lsuv_refuses_what_it_cannot_scale() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"20 numbers are needed, not the shape \(5, 3\)"):
        tb.lsuv([20, 5], normal(5, 3), rng)
    with pytest.raises(ValueError, match=r"layer 0 has the variance 0\.0"):
        tb.lsuv([3, 5], np.zeros((5, 3)), rng)
    with pytest.raises(ValueError, match=r"not \(2, 3, 4\)"):
        tb.fan((2, 3, 4))
    with pytest.raises(ValueError, match=r"not \(3,\)"):
        tb.orthogonal((3,), rng)


def test_the_path_of_every_public_name_leads_to_the_textbook() -> None:
    for name in tb.__all__:
        assert getattr(tb, name).__module__.startswith("mini_dl.textbook.")
        assert getattr(tb, name).__doc__
