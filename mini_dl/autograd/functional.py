"""Derivatives of functions: products with the Jacobian and the Hessian, and the matrices themselves.

A product J v is computed without forward mode: u -> u^T J is linear in u, so its own gradient along v is J v (the double-backward
trick). Whole matrices are computed row by row, with `vectorize` all rows together; by forward mode, column by column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_dl._dtypes import INEXACT, Array, Function
from mini_dl._families import complete_docstrings
from mini_dl.autograd import backwards, forward_ad
from mini_dl.autograd.graph import edge_of
from mini_dl.autograd.mode import enable_grad
from mini_dl.autograd.rows import basis_of, rows_of
from mini_dl.autograd.tangents import tangent_or_zeros
from mini_dl.tensor import LEAF, Tensor, alias, inference, wrap

Tensors = Tensor | Sequence[Tensor]


def vjp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensors, Tensors]:
    """The outputs, and the product of a vector with the Jacobian: ``out[j] = sum(v[i] * J[i, j], i)`` with
    ``J[i, j] = diff(func(x)[i], x[j])``

    `v` may be omitted for a scalar.

    Family: functional
    Shapes: `inputs` (*in), `v` (*out) -> (*out), (*in).

    >>> torch.autograd.functional.vjp(torch.square, torch.tensor([1.0, 2.0]), torch.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        given, args = _prepared(inputs, "inputs", "vjp", create_graph)
        outs, several = _outputs(func(*args), "vjp", strict)
        vectors = _vectors(v, outs, several, "vjp")
        grads = _grads(outs, args, vectors, create_graph, strict)
    return _packed(outs, several, create_graph), _packed(grads, given, create_graph)


def jvp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensors, Tensors]:
    """The outputs, and the product of the Jacobian with a vector: ``out[i] = sum(J[i, j] * v[j], j)`` with
    ``J[i, j] = diff(func(x)[i], x[j])``

    Family: functional
    Shapes: `inputs` (*in), `v` (*in) -> (*out), (*out).

    >>> torch.autograd.functional.jvp(torch.square, torch.tensor([1.0, 2.0]), torch.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        given, args = _prepared(inputs, "inputs", "jvp", create_graph)
        vectors = _vectors(v, args, given, "jvp", "input")
        outs, several = _outputs(func(*args), "jvp", strict)
        u = [_leaf(np.zeros_like(o._array)) for o in outs]
        back = _grads(outs, args, u, True, strict)
        products = _grads(back, u, vectors, create_graph, strict)
    return _packed(outs, several, create_graph), _packed(products, several, create_graph)


def jacobian(
    func: Function, inputs: Tensors, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Jacobian, a tensor, or tuples of them if there are several inputs or outputs:
    ``out[i, j] = diff(func(x)[i], x[j])``

    With `vectorize` the rows are computed together; the `strategy` "forward-mode" computes columns instead, and needs it.

    Family: functional
    Shapes: `inputs` (*in) -> (*out, *in).
    Raises: RuntimeError if `strict` is combined with either; NotImplementedError for forward mode with `create_graph`.

    >>> torch.autograd.functional.jacobian(lambda x: x * x, torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise AssertionError(
            f'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs than '
            f'inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode". Got: {strategy}'
        )
    if strategy == "forward-mode":
        return _by_columns(func, inputs, create_graph, strict, vectorize)
    with enable_grad():
        given, args = _prepared(inputs, "inputs", "jacobian", create_graph)
        outs, several = _outputs(func(*args), "jacobian", strict)
        if vectorize and strict:
            raise RuntimeError(
                "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. Please "
                "either set `strict=False` or `vectorize=False`."
            )
        blocks = _rows_together(outs, args, create_graph) if vectorize else []
        for out in [] if vectorize else outs:
            rows: list[Sequence[Tensor]] = []
            if out._array.size:
                backwards.check_real(out)
            for index in np.ndindex(out._array.shape):
                cotangent = np.zeros_like(out._array)
                cotangent[index] = 1
                rows.append(_grads([out], args, [wrap(cotangent)], create_graph, strict, keep=True))
            blocks.append(tuple([_stacked([row[i] for row in rows], out, x) for i, x in enumerate(args)]))
    if not create_graph:
        blocks = [tuple([b.detach() for b in block]) for block in blocks]
    unpacked = [block if given else block[0] for block in blocks]
    return tuple(unpacked) if several else unpacked[0]


def _rows_together(outs: list[Tensor], args: list[Tensor], create_graph: bool) -> list[tuple[Tensor, ...]]:
    """The blocks of the Jacobian, one tuple for each output, from all rows at once."""

    def rows(*cotangents: Tensor) -> list[Tensor]:
        return _grads(outs, args, cotangents, create_graph, False, keep=True)

    ends = np.cumsum([0, *[out._array.size for out in outs]]).tolist()
    found = rows_of(rows, basis_of(outs))
    return [
        tuple([part[low:high].reshape((*out.shape, *x.shape)) for part, x in zip(found, args)])
        for out, low, high in zip(outs, ends, ends[1:])
    ]


def _by_columns(func: Function, inputs: Tensors, create_graph: bool, strict: bool, vectorize: bool) -> Any:
    """The Jacobian by forward mode: one column for each element of the inputs."""
    if create_graph:
        raise NotImplementedError(
            'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are not supported together '
            '(yet). Please either set `create_graph=False` or `strategy="reverse-mode"`.'
        )
    if strict:
        raise RuntimeError(
            'torch.autograd.functional.jacobian: `strict=True` and `strategy="forward-mode"` are not supported together (yet). '
            'Please either set `strict=False` or `strategy="reverse-mode"`.'
        )
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for `vectorize=True`."
        )
    given, args = _prepared(inputs, "inputs", "jacobian", False)
    seen: list[Any] = []

    def column(*tangents: Tensor) -> list[Tensor]:
        with forward_ad.dual_level():
            duals = [forward_ad.make_dual(x.detach(), t) for x, t in zip(args, tangents)]
            outs, several = _outputs(func(*duals), "jacobian", False)
            seen[:] = outs, several
            found = [forward_ad.unpack_dual(out).tangent for out in outs]
        return [tangent_or_zeros(out, t) for out, t in zip(outs, found)]

    found = rows_of(column, basis_of(args))
    outs, several = seen
    ends = np.cumsum([0, *[x._array.size for x in args]]).tolist()
    blocks = []
    for part, out in zip(found, outs):
        shapes = [(*out.shape, *x.shape) for x in args]
        columns = [part[low:high].movedim(0, -1).reshape(shape) for shape, low, high in zip(shapes, ends, ends[1:])]
        blocks.append(columns)
    result: Any = blocks if given else tuple([columns[0] for columns in blocks])  # lists, as torch returns
    return result if several else result[0]


def hessian(
    func: Function, inputs: Tensors, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The second derivatives of a scalar function: ``out[i, j] = diff(diff(func(x), x[i]), x[j])``; a tuple of tuples for
    several inputs.

    The gradient is computed by reverse mode, its Jacobian by the `outer_jacobian_strategy`, which may be "forward-mode".

    Family: functional
    Shapes: `inputs` (*in) -> (*in, *in).

    >>> torch.autograd.functional.hessian(lambda x: x[0] ** 2 * x[1], torch.tensor([1.0, 2.0]))
    tensor([[4., 2.],
            [2., 0.]])
    """
    if outer_jacobian_strategy not in ("reverse-mode", "forward-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def gradient(*args: Tensor) -> Tensors:
        if outer_jacobian_strategy == "forward-mode":
            for x in args:
                x.requires_grad = True
        out = _scalar(func(*args), "hessian")
        grads = _grads([out], list(args), [None], True, strict)
        return tuple(grads) if isinstance(inputs, (tuple, list)) else grads[0]

    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def vhp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensors, Tensors]:
    """The value of a scalar function, and the product with its Hessian: ``out[j] = sum(v[i] * H[i, j], i)``

    Family: functional
    Shapes: `inputs` (*in), `v` (*in) -> (), (*in).

    >>> torch.autograd.functional.vhp(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with enable_grad():
        given, args, vectors, out, first = _first_order(func, inputs, v, "vhp", create_graph, strict)
        products = _grads(first, args, vectors, create_graph, strict)
    return _packed([out], False, create_graph), _packed(products, given, create_graph)


def hvp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensors, Tensors]:
    """The value of a scalar function, and the product of its Hessian, which is symmetric: ``out[i] = sum(H[i, j] * v[j], j)``

    Family: functional
    Shapes: `inputs` (*in), `v` (*in) -> (), (*in).

    >>> torch.autograd.functional.hvp(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with enable_grad():
        given, args, vectors, out, first = _first_order(func, inputs, v, "hvp", create_graph, strict)
        u = [_leaf(np.zeros_like(x._array)) for x in args]
        second = _grads(first, args, u, True, strict)
        products = _grads(second, u, vectors, create_graph, strict)
    return _packed([out], False, create_graph), _packed(products, given, create_graph)


# ------------------------------------------------------------------------------------------------ helpers


def _first_order(
    func: Function, inputs: Tensors, v: Tensors | None, name: str, create_graph: bool, strict: bool
) -> tuple[bool, list[Tensor], list[Tensor], Tensor, list[Tensor]]:
    """The preparation of a product with the Hessian of a scalar function: whether a sequence was given, the inputs, the vectors,
    the value, and its gradients."""
    given, args = _prepared(inputs, "inputs", name, create_graph)
    vectors = _vectors(v, args, given, name, "input")
    out = _scalar(func(*args), name)
    return given, args, vectors, out, _grads([out], args, [None], True, strict)


def _prepared(inputs: Tensors, what: str, name: str, create_graph: bool) -> tuple[bool, list[Tensor]]:
    """Whether a sequence was given, and the inputs as tensors that require grad."""
    several = isinstance(inputs, (tuple, list))
    args: list[Tensor] = []
    for i, x in enumerate(inputs if several else (inputs,)):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors "
                f"but the value at index {i} has type {type(x)}."
            )
        if not create_graph and x._array.dtype.kind not in INEXACT:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if x._inference and not inference.here:
            raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
        args.append(x.view_as(x) if create_graph and edge_of(x) is not None else alias(x, LEAF))
    return several, args


def _outputs(result: Any, name: str, strict: bool) -> tuple[list[Tensor], bool]:
    several = isinstance(result, (tuple, list))
    outs = list(result) if several else [result]
    for i, out in enumerate(outs):
        if not isinstance(out, Tensor):
            raise TypeError(
                f"The outputs of the user-provided function given to {name} must be either a Tensor or a tuple of Tensors "
                f"but the value at index {i} has type {type(out)}."
            )
        if strict and edge_of(out) is None:
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients. The outputs must be computed in a "
                "differentiable manner from the input when running in strict mode."
            )
    return outs, several


def _scalar(result: Tensors, name: str) -> Tensor:
    outs, several = _outputs(result, name, False)
    if several:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if outs[0]._array.size != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")
    return outs[0].reshape(())


def _vectors(v: Any, like: Sequence[Tensor], several: bool, name: str, what: str = "output") -> list[Tensor]:
    if v is None:
        if len(like) != 1 or like[0]._array.size != 1:
            who = "user-provided function returns" if what == "output" else "input to the user-provided function is"
            raise RuntimeError(f"The vector v can only be None if the {who} a single Tensor with a single element.")
        return [wrap(np.ones_like(like[0]._array))]
    vectors = list(v) if isinstance(v, (tuple, list)) else [v]
    if len(vectors) != len(like):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(vectors)}.")
    for i, (vector, x) in enumerate(zip(vectors, like)):
        if vector._array.shape != x._array.shape:
            raise RuntimeError(f"Entry {i} in v has invalid size: should be {x.shape} but got {vector.shape}.")
    return vectors


def _grads(
    outs: Sequence[Tensor],
    args: Sequence[Tensor],
    vectors: Sequence[Tensor | None],
    create_graph: bool,
    strict: bool,
    keep: bool = False,
) -> list[Tensor]:
    """The gradients of `outs` weighted by `vectors`, zeros if none flow (RuntimeError if `strict`)."""
    pairs = [(o, v) for o, v in zip(outs, vectors) if edge_of(o) is not None]
    found: Sequence[Tensor | None] = [None] * len(args)
    if pairs:
        found = backwards.grad(
            [o for o, _ in pairs], list(args), [v for _, v in pairs], create_graph or keep, create_graph, allow_unused=True
        )
    grads = []
    for i, (g, x) in enumerate(zip(found, args)):
        if g is None and strict:
            raise RuntimeError(
                f"The output of the user-provided function is independent of input {i}. This is not allowed in strict mode."
            )
        grads.append(wrap(np.zeros_like(x._array)) if g is None else g)
    return grads


def _stacked(rows: list[Tensor], out: Tensor, x: Tensor) -> Tensor:
    """The rows of a Jacobian, one per element of `out`, as a tensor of shape (*out, *x)."""
    shape = (*out._array.shape, *x._array.shape)
    if not rows:
        return wrap(np.zeros(shape, x._array.dtype))
    stacked = wrap(np.zeros((len(rows), *x._array.shape), x._array.dtype))
    if any([edge_of(row) is not None for row in rows]):
        for i, row in enumerate(rows):
            stacked[i] = row
        return stacked.reshape(shape)
    return wrap(np.stack([row._array for row in rows]).reshape(shape))


def _leaf(array: Array) -> Tensor:
    tensor = wrap(array)
    tensor._edge = LEAF
    return tensor


def _packed(tensors: Sequence[Tensor], several: bool, create_graph: bool) -> Tensors:
    kept = tuple(tensors) if create_graph else tuple([t.detach() for t in tensors])
    return kept if several else kept[0]


complete_docstrings(globals())
