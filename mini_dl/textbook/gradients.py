"""Derivatives by finite differences, and gradient descent with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, overload

import numpy as np

from mini_dl.textbook.tensors import Array


def numerical_diff(f: Callable[[float], float], x: float, h: float = 1e-4) -> float:
    """The slope of a function of one number, by the central difference.

    f'(x) ~ (f(x + h) - f(x - h)) / (2 h)

    The error of the formula is f'''(x) h^2 / 6. The one-sided difference (f(x + h) - f(x)) / h
    is off by f''(x) h / 2, much more. A smaller h makes the formula better and the rounding
    worse: f(x + h) and f(x - h) then agree in almost all digits, and the difference keeps only the
    remaining ones.

    >>> round(numerical_diff(lambda x: 0.01 * x**2 + 0.1 * x, 5.0), 9)
    0.2
    """
    return (f(x + h) - f(x - h)) / (2 * h)


def numerical_gradient(f: Callable[[Array], float], x: Array, h: float = 1e-4) -> Array:
    """The partial derivatives of a function of an array, each by a central difference.

    (grad f)_i ~ (f(x + h e_i) - f(x - h e_i)) / (2 h)

    One number of `x` at a time is changed in place, so `f` may also read `x` where it is
    stored, such as in a network. It is restored, even if `f` raises. This takes two calls of `f`
    per number; backpropagation gives all of them in the time of a few.

    Shapes: x of any shape -> the same.
    Errors: ValueError unless `x` has a floating type: an integer cannot move by h.

    >>> numerical_gradient(lambda x: float(np.sum(x**2)), np.array([3.0, 4.0])).round(6)
    array([6., 8.])
    """
    if not np.issubdtype(x.dtype, np.floating):
        raise ValueError(f"numbers of a floating type are needed, not {x.dtype}")
    grad = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        value = x[index]
        try:
            x[index] = value + h
            above = f(x)
            x[index] = value - h
            below = f(x)
        finally:
            x[index] = value
        grad[index] = (above - below) / (2 * h)
    return grad


@overload
def gradient_descent(
    f: Callable[[Array], float], init_x: Array, lr: float = ..., step_num: int = ..., return_path: Literal[False] = ...
) -> Array: ...
@overload
def gradient_descent(
    f: Callable[[Array], float], init_x: Array, lr: float = ..., step_num: int = ..., *, return_path: Literal[True]
) -> tuple[Array, Array]: ...
def gradient_descent(
    f: Callable[[Array], float], init_x: Array, lr: float = 0.01, step_num: int = 100, return_path: bool = False
) -> Array | tuple[Array, Array]:
    """The point reached by `step_num` steps against the numerical gradient.

    x <- x - lr * grad f(x)

    Too large a rate `lr` diverges, too small a one hardly moves. With `return_path`, also all
    points on the path, including the first and the last. `init_x` is unchanged.

    Shapes: init_x of any shape -> the same; the path (step_num + 1, *shape).
    Errors: ValueError unless `init_x` has a floating type.

    >>> def f(x):
    ...     return x[0] ** 2 + x[1] ** 2
    >>> bool(np.abs(gradient_descent(f, np.array([-3.0, 4.0]), lr=0.1)).max() < 1e-9)
    True
    >>> point, path = gradient_descent(f, np.array([-3.0, 4.0]), lr=0.1, step_num=2, return_path=True)
    >>> path.round(6)
    array([[-3.  ,  4.  ],
           [-2.4 ,  3.2 ],
           [-1.92,  2.56]])
    """
    x = init_x.copy()
    path = [x.copy()]
    for _ in range(step_num):
        x -= lr * numerical_gradient(f, x)
        path.append(x.copy())
    return (x, np.array(path)) if return_path else x
