"""Preprocessing of data: scaling, encoding of labels, selection of mini-batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mini_dl.textbook.tensors import Array

# ------------------------------------------------------------------------------------------------ scaling


def standardize(x: Array, reference: Array | None = None) -> Array:
    """Every feature with mean 0 and standard deviation 1.

    z = (x - mean) / std, over the rows of `reference`

    `reference` is the training data, which also determines the scale of test data; by default `x` itself.
    A constant feature is shifted to 0 and not divided.

    Shapes: (N, D) -> (N, D), reference (M, D).
    Errors: ValueError for other shapes or no rows.
    torch: `(x - x.mean(0)) / x.std(0, correction=0)`, which gives NaN there.

    >>> standardize(np.array([[1.0, 10.0, 7.0], [3.0, 30.0, 7.0]]))
    array([[-1., -1.,  0.],
           [ 1.,  1.,  0.]])
    """
    rows = _reference_rows(x, reference)
    std = rows.std(axis=0)
    return (x - rows.mean(axis=0)) / np.where(std == 0, 1, std)


def min_max_scale(x: Array, reference: Array | None = None) -> Array:
    """Every feature scaled from 0, its minimum, to 1, its maximum.

    z = (x - min) / (max - min), over the rows of `reference`

    `reference` is the training data, which also determines the scale of test data; by default `x` itself.
    A constant feature is shifted to 0 and not divided.

    Shapes: (N, D) -> (N, D), reference (M, D).
    Errors: ValueError for other shapes or no rows.
    torch: `(x - x.amin(0)) / (x.amax(0) - x.amin(0))`, which gives NaN there.

    >>> min_max_scale(np.array([[0.0, 10.0], [5.0, 20.0], [10.0, 50.0]]))
    array([[0.  , 0.  ],
           [0.5 , 0.25],
           [1.  , 1.  ]])
    """
    rows = _reference_rows(x, reference)
    low, high = rows.min(axis=0), rows.max(axis=0)
    return (x - low) / np.where(high == low, 1, high - low)


def _reference_rows(x: Array, reference: Array | None) -> Array:
    rows = x if reference is None else reference
    if x.ndim != 2 or rows.ndim != 2 or x.shape[1] != rows.shape[1] or len(rows) == 0:
        raise ValueError(f"rows of one length are needed, not the shapes {x.shape} and {rows.shape}")
    return rows


# ------------------------------------------------------------------------------------------------ labels


def one_hot(labels: Array, classes: int) -> Array:
    """Labels as rows of zeros with a single 1, at the position of the class.

    z_nk = 1 if k = label_n, else 0

    Shapes: (N,) -> (N, classes).
    Errors: ValueError unless the labels are whole numbers from 0 to classes - 1.
    torch: `F.one_hot(labels, classes)`, in integers.

    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"a vector of whole numbers is needed, not {labels.dtype} of shape {labels.shape}")
    if np.any((labels < 0) | (labels >= classes)):
        raise ValueError(f"labels must lie in 0 ... {classes - 1}, not {labels}")
    rows = np.zeros((len(labels), classes))
    for row, label in zip(rows, labels):
        row[label] = 1
    return rows


def from_one_hot(rows: Array) -> Array:
    """The inverse of `one_hot`: the position of the 1 in each row.

    Shapes: (N, K) -> (N,).
    Errors: ValueError unless each row has a single 1 and otherwise zeros.
    torch: `rows.argmax(1)`.

    >>> from_one_hot(np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    array([2, 0])
    """
    if rows.ndim != 2 or not np.all((rows == 0) | (rows == 1)) or not np.all(rows.sum(axis=1) == 1):
        raise ValueError(f"rows with a single 1 are needed, not\n{rows}")
    return rows.argmax(axis=1)


# ------------------------------------------------------------------------------------------------ mini-batches


def mini_batch(x: Array, target: Array, batch_size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Examples drawn at random with their targets: the mean over them estimates the mean over all.

    Drawn with replacement, as in the notes: some examples may occur twice, others never.

    Shapes: x (N, *), target (N, *) -> (batch_size, *) both.
    Errors: ValueError if the lengths differ or there is nothing to draw from.
    torch: `RandomSampler(data, replacement=True, num_samples=batch_size)`.

    >>> x, target = mini_batch(np.arange(5.0), np.arange(5), 3, np.random.default_rng(0))
    >>> x, target
    (array([4., 3., 2.]), array([4, 3, 2]))
    """
    _check_one_length(x, target)
    chosen = rng.choice(len(x), batch_size)
    return x[chosen], target[chosen]


def mini_batches(x: Array, target: Array, batch_size: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """One epoch: every example once, in random order, in batches; the last one may be smaller.

    Shapes: x (N, *), target (N, *) -> batches of (batch_size, *) both.
    Errors: ValueError if the lengths differ, there are no examples, or a batch would be empty.
    torch: `DataLoader(data, batch_size, shuffle=True)`.

    >>> [len(x) for x, target in mini_batches(np.zeros((10, 2)), np.zeros(10), 4, np.random.default_rng(0))]
    [4, 4, 2]
    """
    _check_one_length(x, target)
    if batch_size < 1:
        raise ValueError(f"a batch needs at least one example, not {batch_size}")
    order = rng.permutation(len(x))
    for start in range(0, len(x), batch_size):
        chosen = order[start : start + batch_size]
        yield x[chosen], target[chosen]


def _check_one_length(x: Array, target: Array) -> None:
    if len(x) != len(target) or len(x) == 0:
        raise ValueError(f"as many examples as targets are needed, and at least one, not {len(x)} and {len(target)}")
