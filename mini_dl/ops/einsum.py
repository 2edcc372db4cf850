"""Einstein summation: operands are contracted two at a time, each pair by one product of stacked matrices."""

from __future__ import annotations

import math
from typing import Any

from mini_dl._checks import type_name
from mini_dl._surface import function
from mini_dl.ops.matmul import bmm, mm
from mini_dl.tensor import Tensor

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
Labels = list[Any]  # for each dimension: a letter, or a negative number for those covered by an ellipsis, -1 for the last


@function()
def einsum(*args: object) -> Tensor:
    """The sum of products that an equation describes: for "ij,jk->ik", ``out[i, k] = sum(a[i, j] * b[j, k], j)``

    Equal letters share an index, letters not in the output are summed over, "..." stands for dimensions that broadcast. Also
    ``einsum(tensor, [0, 1], tensor, [1, 2], [0, 2])``.

    Shapes: one letter for each dimension of each operand -> the sizes of the letters of the output.
    Raises: RuntimeError if the equation does not match the operands.

    >>> a, b = torch.tensor([[1, 2], [3, 4]]), torch.tensor([[5, 6], [7, 8]])
    >>> torch.einsum("ij,jk->ik", a, b)
    tensor([[19, 22],
            [43, 50]])
    >>> torch.einsum("ii", a)
    tensor(5)
    """
    terms, output, operands = _parsed(args)
    covered = max([t.ndim - len(term) + 1 if Ellipsis in term else 0 for t, term in zip(operands, terms)])
    sizes: dict[Any, int] = {}
    ready: list[tuple[Tensor, Labels]] = []
    for number, (operand, term) in enumerate(zip(operands, terms)):
        tensor, labels = _diagonals(operand, _labels(operand, term, number), number)
        for label, size in zip(labels, tensor.shape):
            seen = sizes.setdefault(label, size)
            if seen != size and 1 not in (seen, size):
                raise RuntimeError(_size_mismatch(label, number, size, seen, covered))
            sizes[label] = max(seen, size) if seen != 1 else size
        ready.append((tensor, labels))
    ellipsis = list(range(-covered, 0))
    if output is None:
        letters = [c for term in terms for c in term if c is not Ellipsis]
        wanted: Labels = ellipsis + sorted([c for c in set(letters) if letters.count(c) == 1])
    else:
        wanted = [label for c in output for label in (ellipsis if c is Ellipsis else [c])]
        for label in wanted:
            if label not in sizes:
                raise RuntimeError(f"einsum(): output subscript {label} does not appear in the equation for any input operand")
            if wanted.count(label) > 1:
                raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
    result, labels = ready[0]
    for i, (other, others) in enumerate(ready[1:], 1):
        needed = {*wanted, *[label for _, later in ready[i + 1 :] for label in later]}
        result, labels = _contracted(result, labels, other, others, needed)
    result, labels = _summed(result, labels, [c for c in labels if c not in wanted])
    return result if labels == wanted and result is not operands[0] else result.permute([labels.index(c) for c in wanted])


def _size_mismatch(label: object, number: int, size: int, seen: int, covered: int) -> str:
    if isinstance(label, int):
        return (
            f"einsum(): dimension {covered + label} covered by ellipsis in operand {number} has size {size} which does not "
            f"broadcast with previously seen ellipsis with size {seen} for the respective dimension"
        )
    return (
        f"einsum(): subscript {label} has size {size} for operand {number} which does not broadcast "
        f"with previously seen size {seen}"
    )


# ------------------------------------------------------------------------------------------------ parsing the equation


def _parsed(args: tuple[object, ...]) -> tuple[list[Labels], Labels | None, list[Tensor]]:
    """The subscripts of each operand, those of the output if given, and the operands."""
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its subscripts list"
        )
    if isinstance(args[1], (list, tuple)) and not args[1] and len(args) == 2:
        raise ValueError("einsum(): must specify at least one operand")
    if not isinstance(args[0], (str, Tensor)):
        raise TypeError(f"einsum(): argument 'equation' (position 1) must be str, not {type_name(args[0])}")
    if isinstance(args[0], str):
        operands = list(args[1][0:] if len(args) == 2 and isinstance(args[1], (list, tuple)) else args[1:])
        terms, output = _from_text(args[0], len(operands))
    else:
        operands, lists = list(args[: len(args) - len(args) % 2 : 2]), list(args[1::2])
        terms = [_from_numbers(numbers) for numbers in lists]
        output = _from_numbers(args[-1]) if len(args) % 2 else None
    for i, operand in enumerate(operands):
        if not isinstance(operand, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 1, but got {type_name(operand)}")
    return terms, output, operands


def _from_numbers(numbers: Any) -> Labels:
    for n in numbers:
        if n is not Ellipsis and not 0 <= n < len(LETTERS):
            raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")
    return [n if n is Ellipsis else LETTERS[n] for n in numbers]


def _from_text(equation: str, count: int) -> tuple[list[Labels], Labels | None]:
    left, arrow, right = equation.partition("->")
    terms: list[Labels] = []
    at = 0
    for number, text in enumerate(left.split(",")):
        terms.append(_term(text, at, f"operand {number}"))
        at += len(text) + 1
    if len(terms) != count:
        raise RuntimeError(
            f"einsum(): {'more' if count > len(terms) else 'fewer'} operands were provided than specified in the equation"
        )
    return terms, _term(right, len(left) + 2, "output") if arrow else None


def _term(text: str, offset: int, owner: str) -> Labels:
    labels: Labels = []
    i = 0
    while i < len(text):
        char = text[i]
        if char == ".":
            if Ellipsis in labels:
                raise RuntimeError(f"einsum(): found '.' for {owner} for which an ellipsis was already found")
            if text[i : i + 3] != "...":
                raise RuntimeError(f"einsum(): found '.' for {owner} that is not part of any ellipsis")
            labels.append(Ellipsis)
            i += 3
            continue
        if char in LETTERS:
            labels.append(char)
        elif char != " ":
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {offset + i} in the equation string, subscripts must be in [a-zA-Z]"
            )
        i += 1
    return labels


# ------------------------------------------------------------------------------------------------ contracting


def _labels(operand: Tensor, term: Labels, number: int) -> Labels:
    """A label for each dimension of the operand."""
    letters = len([c for c in term if c is not Ellipsis])
    if Ellipsis not in term:
        if letters != operand.ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({letters}) does not match the number of dimensions "
                f"({operand.ndim}) for operand {number} and no ellipsis was given"
            )
        return list(term)
    if letters > operand.ndim:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({letters}) is more than the number of dimensions "
            f"({operand.ndim}) for operand {number}"
        )
    at = term.index(Ellipsis)
    return [*term[:at], *range(letters - operand.ndim, 0), *term[at + 1 :]]


def _diagonals(tensor: Tensor, labels: Labels, number: int) -> tuple[Tensor, Labels]:
    """The diagonal of each pair of dimensions with the same label."""
    for label in [c for i, c in enumerate(labels) if c in labels[:i]]:
        first = labels.index(label)
        second = labels.index(label, first + 1)
        n, m = tensor.shape[first], tensor.shape[second]
        if n != m:
            raise RuntimeError(
                f"einsum(): subscript {label} is repeated for operand {number} but the sizes don't match, {m} != {n}"
            )
        tensor = tensor.diagonal(0, first, second)
        labels = [c for i, c in enumerate(labels) if i not in (first, second)] + [label]
    return tensor, labels


def _summed(tensor: Tensor, labels: Labels, over: Labels) -> tuple[Tensor, Labels]:
    if not over:
        return tensor, labels
    return tensor.sum([labels.index(c) for c in over]), [c for c in labels if c not in over]


def _contracted(x: Tensor, lx: Labels, y: Tensor, ly: Labels, needed: set[Any]) -> tuple[Tensor, Labels]:
    """The product of two operands, summed over the labels that are not needed later."""
    size_x, size_y = dict(zip(lx, x.shape)), dict(zip(ly, y.shape))

    def alone(labels: Labels, mine: dict[Any, int], theirs: dict[Any, int]) -> Labels:
        """Dimensions that can be summed before the product: the other operand lacks them or is constant along them."""
        return [c for c in labels if c not in needed and (c not in theirs or (theirs[c] == 1 != mine[c]))]

    def dropped(tensor: Tensor, labels: Labels, theirs: dict[Any, int], mine: dict[Any, int]) -> tuple[Tensor, Labels]:
        """Without the dimensions of size 1 that correspond to a larger summed one."""
        gone = [c for c in labels if c not in needed and c in theirs and mine[c] == 1 != theirs[c]]
        return _summed(tensor, labels, gone)

    sums_x, sums_y = alone(lx, size_x, size_y), alone(ly, size_y, size_x)
    x, lx = dropped(*_summed(x, lx, sums_x), size_y, size_x)
    y, ly = dropped(*_summed(y, ly, sums_y), size_x, size_y)
    both = [c for c in lx if c in ly]
    batch, inner = [c for c in both if c in needed], [c for c in both if c not in needed]
    only_x, only_y = [c for c in lx if c not in both], [c for c in ly if c not in both]
    size_x, size_y = dict(zip(lx, x.shape)), dict(zip(ly, y.shape))
    labels = batch + only_x + only_y
    if not inner:
        left = x.permute([lx.index(c) for c in batch + only_x])
        right = y.permute([ly.index(c) for c in batch + only_y])
        spread = [*left.shape, *[1] * len(only_y)]
        middle = [*right.shape[: len(batch)], *[1] * len(only_x), *right.shape[len(batch) :]]
        return left.reshape(spread) * right.reshape(middle), labels
    common = [size_y[c] if size_x[c] == 1 else size_x[c] for c in batch]
    rows, columns, depth = (
        math.prod([size[c] for c in cs]) for size, cs in ((size_x, only_x), (size_y, only_y), (size_x, inner))
    )
    left = x.permute([lx.index(c) for c in batch + only_x + inner]).expand(*common, *[size_x[c] for c in only_x + inner])
    right = y.permute([ly.index(c) for c in batch + inner + only_y]).expand(*common, *[size_y[c] for c in inner + only_y])
    shape = [*common, *[size_x[c] for c in only_x], *[size_y[c] for c in only_y]]
    if not batch and x._array.dtype == y._array.dtype:  # else `bmm` raises torch's error
        return mm(left.reshape(rows, depth), right.reshape(depth, columns)).reshape(shape), labels
    n = math.prod(common)
    return bmm(left.reshape(n, rows, depth), right.reshape(n, depth, columns)).reshape(shape), labels
