"""The plain definitions hold the results that are known of them, and refuse what does not fit."""

from __future__ import annotations

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
