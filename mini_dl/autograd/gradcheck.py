"""Comparing gradients with finite differences: a check that needs no other library.

For each input x and output y the Jacobian J = dy/dx is computed twice: numerically, by (f(x + eps e_j) - f(x - eps e_j)) / (2
eps), and analytically, row by row from the recorded graph.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from mini_dl._dtypes import INEXACT, Array, Function
from mini_dl.autograd import backwards, forward_ad
from mini_dl.autograd.graph import Node, edge_of
from mini_dl.autograd.rows import rows_of
from mini_dl.autograd.tangents import tangent_or_zeros, zeros_like
from mini_dl.tensor import Tensor, alias, wrap


class GradcheckError(RuntimeError):
    """Raised by `gradcheck` and `gradgradcheck` if the two Jacobians differ."""


def gradcheck(
    func: Function, inputs: object, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True, check_grad_dtypes: bool = False,
    check_batched_grad: bool = False, check_batched_forward_grad: bool = False, check_forward_ad: bool = False,
    check_backward_ad: bool = True, fast_mode: bool = False, masked: bool | None = None,
) -> bool:  # fmt: skip
    """Whether gradients equal central differences:
    ``abs(J[i, j] - (func(x + eps)[i] - func(x - eps)[i]) / (2 * eps)) <= atol + rtol * abs(J[i, j])``

    Every input that requires grad, of double precision, is perturbed by `eps`, element by element; with `fast_mode` along one
    random direction. `nondet_tol` bounds the difference between two runs. With `check_undefined_grad`, outputs without
    a gradient must act like outputs with a gradient of zeros. `masked` applies only to sparse tensors. `check_forward_ad`
    compares the derivatives of forward mode as well; `check_batched_grad` and `check_batched_forward_grad` compare batched
    products for two random vectors with separate ones.

    Shapes: `inputs` of any shapes -> a bool.
    Raises: GradcheckError if the Jacobians differ, unless `raise_exception` is False; ValueError if no input requires grad.

    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradcheck(torch.exp, (x,))
    True
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    given = _as_tuple(inputs)
    try:
        if check_backward_ad:
            _check(func, given, eps, atol, rtol, nondet_tol, check_undefined_grad, check_grad_dtypes, fast_mode)
        if check_batched_grad:
            _check_batched(func, given)
        if check_forward_ad:
            _check_forwards(func, given, eps, atol, rtol, check_undefined_grad, check_grad_dtypes, fast_mode)
        if check_batched_forward_grad:
            _check_batched_forwards(func, given)
        return True
    except GradcheckError:
        if raise_exception:
            raise
        return False


def gradgradcheck(
    func: Function, inputs: object, grad_outputs: object = None, *, eps: float = 1e-6, atol: float = 1e-5,
    rtol: float = 1e-3, gen_non_contig_grad_outputs: bool = False, raise_exception: bool = True, nondet_tol: float = 0.0,
    check_undefined_grad: bool = True, check_grad_dtypes: bool = False, check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False, check_rev_over_rev: bool = True, fast_mode: bool = False, masked: bool = False,
) -> bool:  # fmt: skip
    """`gradcheck` for the gradient of `func`, as a function of its inputs and of `grad_outputs`, random if None:
    ``func(x, v) = v @ J(x)``

    With `gen_non_contig_grad_outputs`, the random ones are not contiguous. `check_fwd_over_rev` and `check_rev_over_rev` are
    the `check_forward_ad` and `check_backward_ad` of this check.

    Shapes: `inputs` of any shapes, `grad_outputs` those of the outputs -> a bool.
    Raises: GradcheckError if the second derivatives differ, unless `raise_exception` is False.

    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradgradcheck(torch.exp, (x,))
    True
    """
    inputs = _as_tuple(inputs)
    if grad_outputs is None:
        outs = _differentiable_outputs(func(*inputs))
        make = _noncontiguous_leaf if gen_non_contig_grad_outputs else _leaf
        grad_outputs = tuple([make(_drawn_like(out._array)) for out in outs])
    else:
        grad_outputs = _as_tuple(grad_outputs)
    count = len(grad_outputs)

    def gradients(*args: Any) -> tuple[Any, ...]:
        values, cotangents = args[:-count], args[-count:]
        for given, value in zip(inputs, values):
            if isinstance(given, Tensor) and edge_of(given) is not None and edge_of(value) is None:
                value.requires_grad = True
        outs = _differentiable_outputs(func(*values))
        wanted = [v for v in values if isinstance(v, Tensor) and edge_of(v) is not None]
        found = backwards.grad(outs, wanted, cotangents, create_graph=True, allow_unused=True)
        return tuple([g for g in found if g is not None])

    return gradcheck(
        gradients,
        (*inputs, *grad_outputs),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
        masked=masked,
    )


def _check(
    func: Function,
    inputs: tuple[object, ...],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_undefined: bool,
    check_dtypes: bool,
    fast: bool,
) -> bool:
    wanted = _wanted(inputs)
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True."
        )
    for i, t in wanted:
        if t._array.dtype not in (np.float64, np.complex128):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex. This check will likely "
                "fail if all the inputs are not of double precision floating point or complex. ",
                stacklevel=3,
            )
        if any([step <= 0 and n > 1 for step, n in zip(t._array.strides, t._array.shape)]):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping to be "
                "able to compute the numerical gradients correctly. You should call .contiguous on the input before passing it "
                "to gradcheck."
            )
    outs = _differentiable_outputs(func(*inputs))
    if not outs:
        for i, t in wanted:
            for j, jacobian in enumerate(_numerical(func, inputs, t, eps)):
                if np.any(jacobian != 0):
                    raise GradcheckError(f"Numerical gradient for function expected to be zero (input {i}, output {j})")
        return True
    rng = np.random.default_rng(0)
    for i, t in wanted:
        numerical = _numerical(func, inputs, t, eps, _random_like(rng, t._array) if fast else None)
        for j, out in enumerate(outs):
            analytical = _analytical(out, t, check_dtypes, i, j)
            again = _analytical(_differentiable_outputs(func(*inputs))[j], t, check_dtypes, i, j)
            if np.abs(analytical - again).max(initial=0) > nondet_tol:
                raise GradcheckError(
                    f"Backward is not reentrant: gradients of output {j} with respect to input {i} differ by run"
                )
            _compare(numerical[j], analytical, i, j, atol, rtol, numerical.direction)
    _check_linear(outs, [t for _, t in wanted])
    if check_undefined:
        _check_undefined(func, inputs, [t for _, t in wanted])
    return True


def _wanted(inputs: tuple[object, ...]) -> list[tuple[int, Tensor]]:
    """The inputs that require grad, with their positions."""
    return [(i, t) for i, t in enumerate(inputs) if isinstance(t, Tensor) and edge_of(t) is not None]


def _products(func: Function, inputs: tuple[object, ...], tangents: dict[int, Tensor]) -> list[Any]:
    """The tangents of the outputs, None if there is none, for these tangents of inputs."""
    with forward_ad.dual_level():
        given: list[Any] = [t.detach() if isinstance(t, Tensor) else t for t in inputs]
        for i, tangent in tangents.items():
            given[i] = forward_ad.make_dual(given[i], tangent)
        outs = [o for o in _tensors(func(*given)) if o._array.dtype.kind in INEXACT]
        return [tangent_or_zeros(o, forward_ad.unpack_dual(o).tangent) for o in outs]


def _check_forwards(
    func: Function, inputs: tuple[object, ...], eps: float, atol: float, rtol: float, undefined: bool, dtypes: bool, fast: bool
) -> None:
    """The Jacobians of forward mode, one row for each element of an input; in fast mode, along one random direction."""
    rng = np.random.default_rng(0)
    wanted = _wanted(inputs)
    for i, t in wanted:
        direction = _random_like(rng, t._array) if fast else None
        numerical = _numerical(func, inputs, t, eps, direction)
        rows = []
        for tangent in [direction] if fast else list(_units(t._array)):
            products = _products(func, inputs, {i: wrap(tangent)})
            for product, out in zip(products, [o for o in _tensors(func(*inputs)) if o._array.dtype.kind in INEXACT]):
                if dtypes and product._array.dtype != out._array.dtype:
                    raise GradcheckError(f"Forward AD gradient has dtype mismatch: {product.dtype} for {out.dtype}")
            rows.append([product._array.reshape(-1) for product in products])
        for j, expected in enumerate(numerical):
            found = np.array([row[j] for row in rows]).reshape(expected.shape)
            if not np.allclose(found, expected, rtol, atol, equal_nan=True):
                raise GradcheckError(
                    f"Jacobian computed with forward mode mismatch for output {j} with respect to input {i},\n"
                    f"numerical:{expected}\nanalytical:{found}\n"
                )
    if undefined:
        tangents = {i: wrap(_random_like(rng, t._array)) for i, t in wanted}
        for i, t in wanted:
            others = {k: tangent for k, tangent in tangents.items() if k != i}
            zeros, nothing = _products(func, inputs, {**others, i: zeros_like(t)}), _products(func, inputs, others)
            for j, (one, other) in enumerate(zip(zeros, nothing)):
                if not np.allclose(one._array, other._array, equal_nan=True):
                    raise GradcheckError(f"Mismatch in tangent values for output with index: {j} when input: {i} has none")


def _units(array: Array) -> Iterator[Array]:
    """The directions of the elements, with complex ones in both parts, in the order of `_numerical`."""
    for index in np.ndindex(array.shape):
        for unit in (1, 1j) if array.dtype.kind == "c" else (1,):
            tangent = np.zeros_like(array)
            tangent[index] = unit
            yield tangent


def _check_batched(func: Function, inputs: tuple[object, ...]) -> None:
    """Batched gradients for two random vectors must equal separate ones."""
    rng, targets = np.random.default_rng(1), [t for _, t in _wanted(inputs)]
    for out in _differentiable_outputs(func(*inputs)):

        def products(cotangent: Tensor, out: Tensor = out) -> list[Tensor]:
            found = backwards.grad(out, targets, cotangent, retain_graph=True, allow_unused=True)
            return [tangent_or_zeros(t, g) for t, g in zip(targets, found)]

        _compare_batched(products, out._array, rng, "batched gradients")


def _check_batched_forwards(func: Function, inputs: tuple[object, ...]) -> None:
    rng = np.random.default_rng(1)
    for i, t in _wanted(inputs):

        def products(tangent: Tensor, i: int = i) -> list[Tensor]:
            return _products(func, inputs, {i: tangent})

        _compare_batched(products, t._array, rng, "batched forward gradients")


def _compare_batched(products: Any, like: Array, rng: np.random.Generator, what: str) -> None:
    vectors = [wrap(_random_like(rng, like)) for _ in range(2)]
    expected = [products(vector) for vector in vectors]
    try:
        together = rows_of(products, [wrap(np.stack([vector._array for vector in vectors]))])
    except RuntimeError as error:
        raise GradcheckError(f"While computing {what}, got: {error}") from error
    for k, found in enumerate(together):
        one_by_one = np.stack([row[k]._array for row in expected])
        if not np.allclose(found._array, one_by_one, rtol=1e-5, atol=1e-8, equal_nan=True):
            raise GradcheckError(f"For input or output {k}, {what} differ from those one by one:\n{found._array}\n{one_by_one}")


class _Jacobians(list[Array]):
    """One Jacobian per output, (inputs, outputs); in fast mode (1, outputs), along `direction`."""

    direction: Array | None = None


def _numerical(func: Function, inputs: tuple[object, ...], wanted: Tensor, eps: float, direction: Any = None) -> _Jacobians:
    array = wanted._array
    steps: list[tuple[Any, Any]] = []
    if direction is not None:
        steps = [(slice(None), direction)]
    else:
        steps = [(index, unit) for index in np.ndindex(array.shape) for unit in ((1, 1j) if array.dtype.kind == "c" else (1,))]
    rows: list[list[Array]] = []
    for index, unit in steps:
        where = ... if direction is not None else index
        before = array[where].copy() if direction is not None else array[where]
        array[where] = before + eps * unit
        plus = [o._array.copy() for o in _tensors(func(*inputs)) if o._array.dtype.kind in INEXACT]
        array[where] = before - eps * unit
        minus = [o._array.copy() for o in _tensors(func(*inputs)) if o._array.dtype.kind in INEXACT]
        array[where] = before
        rows.append([((p - m) / (2 * eps)).reshape(-1) for p, m in zip(plus, minus)])
    outputs = len(rows[0]) if rows else len(_differentiable_outputs(func(*inputs)))
    jacobians = _Jacobians([np.array([row[j] for row in rows]) for j in range(outputs)])
    jacobians.direction = direction
    return jacobians


def _analytical(out: Tensor, wanted: Tensor, check_dtypes: bool, i: int, j: int) -> Array:
    """The Jacobian as `_numerical` lays it out: a column per output, rows for the real and imaginary part of complex inputs."""
    columns = []
    complex_in, complex_out = wanted._array.dtype.kind == "c", out._array.dtype.kind == "c"
    for index in np.ndindex(out._array.shape):
        found = []
        for unit in (1, 1j) if complex_out else (1,):
            cotangent = np.zeros_like(out._array)
            cotangent[index] = unit
            (g,) = backwards.grad(out, wanted, wrap(cotangent), retain_graph=True, allow_unused=True)
            if g is not None and check_dtypes and g._array.dtype != wanted._array.dtype:
                raise GradcheckError(f"Gradient of input {i} has dtype {g.dtype} instead of {wanted.dtype}")
            if g is not None and g._array.shape != wanted._array.shape:
                raise GradcheckError(f"Gradient of input {i} has shape {g.shape} instead of {wanted.shape}")
            flat = np.zeros(wanted._array.size, wanted._array.dtype) if g is None else g._array.reshape(-1)
            found.append(np.stack([flat.real, flat.imag], 1).reshape(-1) if complex_in else flat)
        columns.append(found[0] + 1j * found[1] if complex_out else found[0])
    inputs = wanted._array.size * (2 if complex_in else 1)
    return np.array(columns).T.reshape(inputs, -1) if columns else np.zeros((inputs, 0))


def _compare(numerical: Array, analytical: Array, i: int, j: int, atol: float, rtol: float, direction: Array | None) -> None:
    if direction is not None:
        parts = np.stack([direction.real, direction.imag], -1) if direction.dtype.kind == "c" else direction
        analytical = parts.reshape(1, -1) @ analytical
    if not np.allclose(analytical, numerical, rtol, atol, equal_nan=True):
        raise GradcheckError(
            f"Jacobian mismatch for output {j} with respect to input {i},\nnumerical:{numerical}\nanalytical:{analytical}\n"
        )


def _check_linear(outs: list[Tensor], wanted: list[Tensor]) -> None:
    """A gradient of zeros must result in zeros."""
    zeros = [wrap(np.zeros_like(o._array)) for o in outs]
    for g in backwards.grad(outs, wanted, zeros, retain_graph=True, allow_unused=True):
        if g is not None and np.any(g._array != 0):
            raise GradcheckError("backward not multiplied by grad_output")


class _Undefined:
    """The op of a node that sends no gradient."""

    name, grad_name, runs_without = "undefined", "UndefinedGrad", False
    asked: frozenset[str] = frozenset()

    def backward(self, node: Node, grad: Tensor) -> tuple[None]:
        return (None,)


_UNDEFINED = _Undefined()


def _without_gradient(out: Tensor) -> Tensor:
    """`out`, which gets no gradient."""
    made = alias(out)
    made._edge = Node(_UNDEFINED, (edge_of(out),), {}, out._array)
    return made


def _check_undefined(func: Function, inputs: tuple[object, ...], wanted: list[Tensor]) -> None:
    """Outputs without a gradient, all together and each in turn, must act like outputs with a gradient of zeros."""
    count = len(_differentiable_outputs(func(*inputs)))
    for missing in [range(count), *[(k,) for k in range(count) if count > 1]]:
        outs = [_without_gradient(o) if k in missing else o for k, o in enumerate(_differentiable_outputs(func(*inputs)))]
        zeros = [wrap(np.zeros_like(o._array)) for o in outs]
        try:
            grads = backwards.grad(outs, wanted, zeros, allow_unused=True)
        except RuntimeError as error:
            raise _mishandled(f"Expected backward function to handle undefined output grads, but it raised: {error}") from error
        if any([g is not None and np.any(g._array != 0) for g in grads]):
            raise _mishandled("Expected all input grads to be undefined or zero when all output grads are undefined or zero")


def _mishandled(what: str) -> GradcheckError:
    warnings.warn("Outputs without gradients are tried too, unless check_undefined_grad is False.", stacklevel=5)
    return GradcheckError(what)


def _random_like(rng: np.random.Generator, array: Array) -> Array:
    values = rng.standard_normal(array.shape)
    return (values + 1j * rng.standard_normal(array.shape) if array.dtype.kind == "c" else values).astype(array.dtype)


def _drawn_like(array: Array) -> Array:
    """Numbers between -1 and 1 from the generator of the program, as torch draws them."""
    drawn: Any = wrap(np.empty((*array.shape, 2) if array.dtype.kind == "c" else array.shape, array.real.dtype))
    values: Array = drawn.uniform_(-1, 1)._array
    return values.view(array.dtype).reshape(array.shape) if array.dtype.kind == "c" else values


def _leaf(array: Array) -> Tensor:
    tensor = wrap(array)
    tensor.requires_grad = True
    return tensor


def _noncontiguous_leaf(array: Array) -> Tensor:
    """A leaf whose elements are not contiguous."""
    return _leaf(np.repeat(array[..., None], 2, -1)[..., 0])


def _tensors(result: object) -> list[Tensor]:
    return [r for r in _as_tuple(result) if isinstance(r, Tensor)]


def _differentiable_outputs(result: object) -> list[Tensor]:
    return [r for r in _tensors(result) if edge_of(r) is not None]


def _as_tuple(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
