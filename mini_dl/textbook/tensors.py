"""Operations on tensors, one number at a time: what NumPy and similar libraries do in one call."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


# ------------------------------------------------------------------------------------------------ products


def vector_dot(x: Array, y: Array) -> float:
    """The dot product of two vectors: multiply elementwise and sum.

    x . y = sum_i x_i y_i

    Shapes: (n,), (n,) -> a number.
    Errors: ValueError unless both are vectors of one length.
    NumPy: `x @ y`.

    >>> vector_dot(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
    32.0
    """
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"two vectors of one length are needed, not shapes {x.shape} and {y.shape}")
    total = 0.0
    for i in range(len(x)):
        total += float(x[i] * y[i])
    return total


def matrix_vector_dot(x: Array, y: Array) -> Array:
    """A matrix times a vector: the dot product of each row with the vector.

    z_i = sum_j x_ij y_j

    Shapes: (m, n), (n,) -> (m,).
    Errors: ValueError unless the rows are as long as the vector.
    NumPy: `x @ y`.

    >>> matrix_vector_dot(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([10.0, 1.0]))
    array([12., 34., 56.])
    """
    if x.ndim != 2 or y.ndim != 1 or x.shape[1] != y.shape[0]:
        raise ValueError(f"a matrix and a vector as long as its rows are needed, not shapes {x.shape} and {y.shape}")
    z = np.zeros(x.shape[0])
    for i in range(x.shape[0]):
        z[i] = vector_dot(x[i, :], y)
    return z


def matrix_product(x: Array, y: Array) -> Array:
    """The product of two matrices: the dot product of each row of the first with each column of the second.

    z_ij = sum_k x_ik y_kj

    Shapes: (m, n), (n, p) -> (m, p).
    Errors: ValueError unless the first has as many columns as the second has rows.
    NumPy: `x @ y`.

    >>> matrix_product(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]]))
    array([[19., 22.],
           [43., 50.]])
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[0]:
        raise ValueError(f"the columns of the first must be as many as the rows of the second, not {x.shape} and {y.shape}")
    z = np.zeros((x.shape[0], y.shape[1]))
    for i in range(x.shape[0]):
        for j in range(y.shape[1]):
            z[i, j] = vector_dot(x[i, :], y[:, j])
    return z


def tensor_dot(x: Array, y: Array) -> Array:
    """A tensor of any number of dimensions times a vector or a matrix: the last dimension of the first is summed.

    Shapes: (a, b, c, d), (d,) -> (a, b, c) and (a, b, c, d), (d, e) -> (a, b, c, e).
    Errors: ValueError if `x` has no dimension, `y` is not a vector or matrix, or the two d differ.
    NumPy: `x @ y`.

    >>> tensor_dot(np.ones((2, 3, 4, 5)), np.ones(5)).shape
    (2, 3, 4)
    >>> tensor_dot(np.ones((2, 3, 4, 5)), np.ones((5, 6))).shape
    (2, 3, 4, 6)
    """
    if x.ndim < 1 or y.ndim not in (1, 2) or x.shape[-1] != y.shape[0]:
        raise ValueError(f"the last dimension of the first must be the first of a vector or matrix, not {x.shape} and {y.shape}")
    z = np.zeros(x.shape[:-1] + y.shape[1:])
    for index in np.ndindex(*x.shape[:-1]):  # every index of x except the last dimension
        row = x[index]
        z[index] = vector_dot(row, y) if y.ndim == 1 else matrix_vector_dot(y.T, row)
    return z


# ------------------------------------------------------------------------------------------------ elementwise


def elementwise_relu(x: Array) -> Array:
    """The rectifier of every number: numbers below 0 become 0.

    z_i = max(x_i, 0)

    Shapes: any -> the same. The argument is unchanged.
    NumPy: `np.maximum(x, 0)`.

    >>> elementwise_relu(np.array([[-1.0, 2.0], [3.0, -4.0]]))
    array([[0., 2.],
           [3., 0.]])
    """
    z = x.copy()
    for index in np.ndindex(*x.shape):
        if x[index] < 0:
            z[index] = 0
    return z


def elementwise_add(x: Array, y: Array) -> Array:
    """The sum of two tensors, number by number.

    z_i = x_i + y_i

    Shapes: any, the same -> the same.
    Errors: ValueError unless the shapes are equal.
    NumPy: `x + y`.

    >>> elementwise_add(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]))
    array([[11., 22.]])
    """
    if x.shape != y.shape:
        raise ValueError(f"two tensors of one shape are needed, not {x.shape} and {y.shape}")
    z = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        z[index] = x[index] + y[index]
    return z


def add_row(x: Array, row: Array) -> Array:
    """A vector added to every row of a matrix: the smallest case of broadcasting, and how a bias is added to a batch.

    z_ij = x_ij + y_j

    Shapes: (m, n), (n,) -> (m, n).
    Errors: ValueError unless the rows are as long as the vector.
    NumPy: `x + row`.

    >>> add_row(np.zeros((2, 3)), np.array([1.0, 2.0, 3.0]))
    array([[1., 2., 3.],
           [1., 2., 3.]])
    """
    if x.ndim != 2 or row.ndim != 1 or x.shape[1] != row.shape[0]:
        raise ValueError(f"a matrix and a vector as long as its rows are needed, not shapes {x.shape} and {row.shape}")
    z = np.zeros(x.shape)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            z[i, j] = x[i, j] + row[j]
    return z


# ------------------------------------------------------------------------------------------------ shapes


def reshape(x: Array, shape: tuple[int, ...]) -> Array:
    """The same numbers in the same row-major order, in another shape.

    Shapes: any -> `shape`.
    Errors: ValueError unless the sizes match.
    NumPy: `x.reshape(shape)`, which avoids a copy if possible; this is a copy.

    >>> reshape(np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]), (2, 3))
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """
    if math.prod(shape) != x.size:
        raise ValueError(f"{x.size} numbers of shape {x.shape} do not fill the shape {shape}")
    z = np.zeros(shape, x.dtype)
    for source, target in zip(np.ndindex(*x.shape), np.ndindex(*shape)):  # both count in row-major order
        z[target] = x[source]
    return z


def transpose(x: Array) -> Array:
    """A matrix with its rows as columns.

    z_ji = x_ij

    Shapes: (m, n) -> (n, m).
    Errors: ValueError unless it is a matrix.
    NumPy: `x.T`, which copies nothing; this is a copy.

    >>> transpose(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    array([[1., 4.],
           [2., 5.],
           [3., 6.]])
    """
    if x.ndim != 2:
        raise ValueError(f"a matrix is needed, not the shape {x.shape}")
    z = np.zeros((x.shape[1], x.shape[0]), x.dtype)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            z[j, i] = x[i, j]
    return z


# ------------------------------------------------------------------------------------------------ points in the plane


def affine(points: Array, matrix: Array, offset: Array) -> Array:
    """An affine map of points in the plane: a linear map, then a shift.

    p -> A p + b

    A dense layer without activation is the same thing in more dimensions; without an activation
    between them, two affine maps combine into one: A2 (A1 p + b1) + b2 = (A2 A1) p + (A2 b1 + b2).

    Shapes: points (N, 2), matrix (2, 2), offset (2,) -> (N, 2).
    Errors: ValueError for other shapes.

    >>> affine(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, -1.0], [1.0, 0.0]]), np.array([5.0, 5.0]))
    array([[5., 6.],
           [4., 5.]])
    """
    if points.ndim != 2 or points.shape[1] != 2 or matrix.shape != (2, 2) or offset.shape != (2,):
        raise ValueError(f"shapes (N, 2), (2, 2) and (2,) are needed, not {points.shape}, {matrix.shape} and {offset.shape}")
    return points @ matrix.T + offset  # points are rows, so A p becomes p A^T


def translate(points: Array, offset: Array) -> Array:
    """Points moved by a vector.

    p -> p + b

    Shapes: points (N, 2), offset (2,) -> (N, 2).
    Errors: ValueError for other shapes.

    >>> translate(np.array([[1.0, 2.0]]), np.array([10.0, 20.0]))
    array([[11., 22.]])
    """
    return affine(points, np.eye(2), offset)


def rotate(points: Array, angle: float) -> Array:
    """Points rotated about the origin, counterclockwise by an angle in radians.

    p -> [[cos a, -sin a], [sin a, cos a]] p

    Shapes: points (N, 2) -> (N, 2).
    Errors: ValueError for other shapes.

    >>> rotate(np.array([[1.0, 0.0]]), np.pi / 2).round(12)
    array([[0., 1.]])
    """
    cos, sin = math.cos(angle), math.sin(angle)
    return affine(points, np.array([[cos, -sin], [sin, cos]]), np.zeros(2))


def scale(points: Array, factors: Array) -> Array:
    """Points stretched along the axes, by one factor for each axis.

    p -> [[s_x, 0], [0, s_y]] p

    Shapes: points (N, 2), factors (2,) -> (N, 2).
    Errors: ValueError for other shapes.

    >>> scale(np.array([[1.0, 1.0]]), np.array([2.0, -0.5]))
    array([[ 2. , -0.5]])
    """
    if factors.shape != (2,):
        raise ValueError(f"two factors are needed, not the shape {factors.shape}")
    return affine(points, np.diag(factors), np.zeros(2))
