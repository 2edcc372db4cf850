"""``torch.func``: derivatives of functions as functions: ``grad``, ``vjp``, ``jvp``, and functions built on them.

Each runs a function on its own level (see `autograd.transforms`), so they nest with each other and with ``vmap``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._dtypes import INEXACT, Function
from mini_dl.autograd.backwards import check_gradient, check_real
from mini_dl.autograd.engine import run_backward
from mini_dl.autograd.graph import needs_grad
from mini_dl.autograd.rows import basis_of, rows_of
from mini_dl.autograd.saving import here as hooks_here
from mini_dl.autograd.tangents import tangent_of, with_tangent, zeros_like
from mini_dl.autograd.transforms import Lifted, unwrap, wrap_at
from mini_dl.tensor import LEAF, Tensor, wrap
from mini_dl.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_map, tree_unflatten

__all__ = ["debug_unwrap", "functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp"]

ArgNums = int | tuple[int, ...]


# ------------------------------------------------------------------------------------------------ arguments and results


def chosen(args: tuple[object, ...], argnums: ArgNums) -> Any:
    """The arguments with these numbers: one, or a tuple of several. RuntimeError for a number that is out of range or occurs
    twice.
    """
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    for number in argnums if isinstance(argnums, tuple) else (argnums,):
        if not isinstance(number, int):
            raise RuntimeError(f"argnum must be int, got: {type(number)}")
        if not -len(args) <= number < len(args):
            raise RuntimeError(f"Got argnum={number}, but only {len(args)} positional inputs")
    if isinstance(argnums, int):
        return args[argnums]
    wrapped = tuple([number % len(args) for number in argnums])
    if not wrapped:
        raise RuntimeError("argnums must be non-empty")
    if len(set(wrapped)) != len(wrapped):
        raise RuntimeError(f"argnums elements must be unique, got {wrapped}")
    return tuple([args[number] for number in wrapped])


def replaced(args: tuple[object, ...], argnums: ArgNums, by: Any) -> tuple[Any, ...]:
    """The arguments, with those of these numbers replaced."""
    given = list(args)
    for number, one in zip((argnums,) if isinstance(argnums, int) else argnums, (by,) if isinstance(argnums, int) else by):
        given[number] = one
    return tuple(given)


def lifted(level: Lifted, tree: object) -> Any:
    """A tree with its tensors on `level`."""
    return tree_map(lambda x: wrap_at(level, x) if isinstance(x, Tensor) else x, tree)


def differentiable(x: object) -> Tensor:
    """Make a newly lifted tensor require grad."""
    if not isinstance(x, Tensor):
        raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")
    if x._array.dtype.kind not in INEXACT:
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    x._edge = LEAF
    return x


def lowered(level: Lifted, tree: object) -> Any:
    """A tree of tensors, as those of the level below. RuntimeError for anything else in it."""

    def below(x: object) -> Any:
        if isinstance(x, Tensor):
            return unwrap(level, x)
        raise RuntimeError(f"Expected tensors, got unsupported type {type(x)}")

    return tree_map(below, tree)


def with_aux(result: object, has_aux: bool, what: str) -> tuple[Any, Any]:
    """The output of a function, and its auxiliary output."""
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(f"{what}: output of function f should be a tuple: (output, aux) if has_aux is True")
    return result


def check_outputs(leaves: list[object], what: str) -> None:
    """RuntimeError unless there are outputs, and all are tensors."""
    if not leaves or (len(leaves) == 1 and leaves[0] is None):
        raise RuntimeError(f"{what}: Expected f to be a function that has non-empty output (got output = {leaves})")
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(f"{what}: expected f(*primals) to return only tensors, got unsupported type {type(leaf)}")


def refuse_hooks(name: str) -> None:
    if hooks_here.pairs:
        raise RuntimeError(
            f"torch.func.{{grad, vjp, jacrev, hessian}} don't yet support saved tensor hooks. Please open an issue with your use "
            f"case. ({name})"
        )


def pull_back(
    level: Lifted, outs: Sequence[Tensor], cotangents: Sequence[Any], inputs: Sequence[Tensor], keep: bool
) -> list[Tensor]:
    """The gradients of outputs of `level` for its inputs, on the level below; zeros if there are none."""
    pairs = [(o, c) for o, c in zip(outs, cotangents) if o._level is level and needs_grad(o)]
    found: Sequence[Any] = [None] * len(inputs)
    if pairs:
        before, level.quiet = level.quiet, True
        try:
            found = run_backward([o for o, _ in pairs], [c for _, c in pairs], inputs, keep, False, False)
        finally:
            level.quiet = before
    return [zeros_like(x) if g is None else unwrap(level, g) for g, x in zip(found, inputs)]


# ------------------------------------------------------------------------------------------------ reverse mode


def grad(func: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """The function that computes the gradient of `func`, which returns a scalar: ``out[i] = diff(func(x), x[i])``

    It is that in the argument, or the arguments, `argnums`, which may be trees of tensors. With `has_aux`, `func` returns a
    pair, of which only the first is differentiated, and the result is ``(gradient, second)``.

    Shapes: arguments (*in) -> (*in).
    Raises: RuntimeError unless `func` returns a scalar tensor, and for `argnums` out of range.

    >>> torch.func.grad(torch.sin)(torch.tensor(0.0))
    tensor(1.)
    >>> torch.func.grad(torch.func.grad(lambda x: x**3))(torch.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def gradient(*args: object, **kwargs: object) -> Any:
        grads, value = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return gradient


def grad_and_value(func: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """`grad` together with the value: ``out = (grad(func)(x), func(x))``; with `has_aux`, ``(gradient, (value, second))``.

    Shapes: arguments (*in) -> (*in), ().
    Raises: RuntimeError unless `func` returns a scalar tensor, and for `argnums` out of range.

    >>> torch.func.grad_and_value(lambda x: (x * x).sum())(torch.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))
    """
    what = "grad_and_value(f)(*args)"

    @wraps(func)
    def gradient_and_value(*args: object, **kwargs: object) -> Any:
        refuse_hooks("grad")
        with Lifted() as level:
            args, kwargs = lifted(level, args), lifted(level, kwargs)
            asked = chosen(args, argnums)
            inputs, tree = tree_flatten(asked)
            for x in inputs:
                differentiable(x)
            value, aux = with_aux(func(*args, **kwargs), has_aux, what)
            if not isinstance(value, Tensor):
                raise RuntimeError(f"{what}: Expected f(*args) to return a Tensor, got {type(value)}")
            if value._array.ndim:
                raise RuntimeError(
                    f"{what}: Expected f(*args) to return a scalar Tensor, got tensor with {value._array.ndim} dims. Maybe you "
                    "wanted to use the vjp or jacrev APIs instead?"
                )
            check_real(value)
            start = wrap(np.ones((), value._array.dtype))
            grads = tree_unflatten(pull_back(level, [value], [start], inputs, False), tree)
            value = unwrap(level, value)
            return (grads, (value, lowered(level, aux))) if has_aux else (grads, value)

    return gradient_and_value


def vjp(func: Function, *primals: object, has_aux: bool = False) -> Any:
    """The output, and a function of cotangents: ``vjp_fn(v)[j] = sum(v[i] * J[i, j], i)`` with the Jacobian
    ``J[i, j] = diff(func(x)[i], x[j])``

    With `has_aux`, the third is the auxiliary output of `func`.

    Shapes: primals (*in) -> the output (*out), and a function (*out) -> (*in).
    Raises: RuntimeError unless all outputs are floating point tensors.

    >>> output, vjp_fn = torch.func.vjp(torch.square, torch.tensor([1.0, 2.0]))
    >>> vjp_fn(torch.tensor([1.0, 10.0]))
    (tensor([ 2., 40.]),)
    """
    return vjp_in(func, primals, None, has_aux)


def vjp_in(func: Function, primals: tuple[object, ...], argnums: ArgNums | None, has_aux: bool) -> Any:
    """`vjp` for the arguments `argnums`, or for all."""
    refuse_hooks("vjp")
    what = "vjp(f, *primals)"
    with Lifted() as level:
        primals = lifted(level, primals)
        inputs, tree = tree_flatten(primals if argnums is None else chosen(primals, argnums))
        for x in inputs:
            differentiable(x)
        output, aux = with_aux(func(*primals), has_aux, what)
        aux = lowered(level, aux) if has_aux else None
        outs, shape = tree_flatten(output)
        check_outputs(outs, what)
        for out in outs:
            if out._array.dtype.kind not in INEXACT:
                raise RuntimeError(
                    f"vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got Tensor with dtype {out.dtype}"
                )
        result = lowered(level, output)

    def vjp_fn(cotangents: object, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given, their_shape = tree_flatten(cotangents)
        if their_shape != shape:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. "
                f"cotangents: {printed(their_shape)}, primal output: {printed(shape)}"
            )
        for i, (out, cotangent) in enumerate(zip(outs, given)):
            check_gradient(i, out, cotangent)
        with level:
            return tree_unflatten(pull_back(level, outs, given, inputs, retain_graph), tree)

    return (result, vjp_fn, aux) if has_aux else (result, vjp_fn)


def printed(tree: TreeSpec) -> str:
    """A tree as torch prints it in messages: stars in brackets."""
    return str(tree_unflatten([_Star()] * tree.num_leaves, tree))


class _Star:
    def __repr__(self) -> str:
        return "*"


# ------------------------------------------------------------------------------------------------ forward mode

JVP = "jvp(f, primals, tangents)"


def jvp(func: Function, primals: object, tangents: object, *, strict: bool = False, has_aux: bool = False) -> Any:
    """The output, and its derivative in a direction, by forward mode: ``out[i] = sum(J[i, j] * tangents[j], j)``,
    ``J[i, j] = diff(func(x)[i], x[j])``

    `primals` is a tuple, `tangents` another of the same structure. With `has_aux`, the third is the auxiliary output
    of `func`.

    Shapes: primals (*in), tangents (*in) -> (*out), (*out).
    Raises: RuntimeError for other structures or shapes, and with `strict` if an output does not depend on the primals.

    >>> torch.func.jvp(torch.sin, (torch.tensor(0.0),), (torch.tensor(2.0),))
    (tensor(0.), tensor(2.))
    """
    return jvp_in(func, primals, tangents, None, strict, has_aux)


def jvp_in(func: Function, primals: object, tangents: object, argnums: ArgNums | None, strict: bool, has_aux: bool) -> Any:
    """`jvp` for the arguments `argnums`, or for all."""
    if not isinstance(primals, tuple):
        raise RuntimeError(f"{JVP}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals).")
    asked = primals if argnums is None else chosen(primals, argnums)
    flat, tree = tree_flatten(asked)
    directions, their_tree = tree_flatten(tangents)
    if tree != their_tree:
        raise RuntimeError(
            f"{JVP}: Expected primals and tangents to have the same python structure. For example, if primals is a tuple of 3 "
            f"tensors, tangents also must be. Got primals with structure {tree} and tangents with structure {their_tree}"
        )
    for name, leaves in (("primals", flat), ("tangents", directions)):
        if not leaves:
            raise RuntimeError(f"{JVP}: Expected {name} to contain at least one Tensor.")
        for leaf in leaves:
            if not isinstance(leaf, Tensor):
                raise RuntimeError(f"{JVP}: Expected {name} to only contain Tensors, got {type(leaf)}")
    for name, leaves in (("primal", flat), ("tangent", directions)):
        for leaf in leaves:
            if leaf._array.dtype.kind not in INEXACT:
                raise ValueError(f"Expected {name} to be floating point or complex, but got: {leaf.dtype}")
    with Lifted(forward=True) as level:
        duals = tree_unflatten([with_tangent(wrap_at(level, x), t) for x, t in zip(flat, directions)], tree)
        args = duals if argnums is None else replaced(lifted(level, primals), argnums, duals)
        output, aux = with_aux(func(*args), has_aux, JVP)
        outs, shape = tree_flatten(output)
        check_outputs(outs, JVP)
        results = tree_unflatten([unwrap(level, out) for out in outs], shape)
        products = tree_unflatten([product_of(level, out, strict) for out in outs], shape)
        return (results, products, lowered(level, aux)) if has_aux else (results, products)


def product_of(level: Lifted, out: Tensor, strict: bool) -> Tensor:
    """The tangent of an output, zeros if it has none."""
    tangent = tangent_of(out) if out._level is level else None
    if tangent is not None:
        return tangent
    if strict:
        raise RuntimeError(
            "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not allowed with "
            "strict=True."
        )
    return zeros_like(out)


def linearize(func: Function, *primals: object) -> tuple[Any, Function]:
    """The output, and the linear map that is the derivative: ``jvp_fn(t)[i] = sum(J[i, j] * t[j], j)``,
    ``J[i, j] = diff(func(x)[i], x[j])``

    The function is run once: the recorded graph is a linear map, whose transpose is computed at each call.

    Shapes: primals (*in) -> the output (*out), and a function (*in) -> (*out).
    Raises: RuntimeError if the tangents do not have the structure, shapes and dtypes of the primals.

    >>> output, jvp_fn = torch.func.linearize(torch.square, torch.tensor([1.0, 2.0]))
    >>> jvp_fn(torch.tensor([1.0, 10.0]))
    tensor([ 2., 40.])
    """
    output, vjp_fn = vjp_in(func, primals, None, False)
    outs, shape = tree_flatten(output)
    zeros = tree_unflatten([zeros_like(out) for out in outs], shape)
    _, back = vjp_in(vjp_fn, (zeros,), None, False)
    flat, tree = tree_flatten(primals)

    def jvp_fn(*tangents: object) -> Any:
        given, their_tree = tree_flatten(tangents)
        if their_tree != tree:
            raise RuntimeError(f"Expected the tangents {their_tree} to have the same argspec as the primals {tree}")
        for i, (tangent, primal) in enumerate(zip(given, flat)):
            for name in ("shape", "device", "dtype"):
                if getattr(tangent, name) != getattr(primal, name):
                    raise RuntimeError(
                        f"tangent:{i} with {name} {getattr(tangent, name)} in flattened pytree doesn't match the {name} "
                        f"{getattr(primal, name)} of the corresponding primal."
                    )
        return back(tangents)[0]

    return output, jvp_fn


# ------------------------------------------------------------------------------------------------ whole matrices


def refuse_complex(name: str, tree: object, what: str) -> None:
    for i, leaf in enumerate(tree_leaves(tree)):
        if isinstance(leaf, Tensor) and leaf._array.dtype.kind == "c":
            raise RuntimeError(f"{name}: Expected all {what} to be real but received complex tensor at flattened input idx: {i}")


def jacrev(
    func: Function,
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Function:
    """The function that computes the Jacobian of `func`, by reverse mode, row by row: ``out[i, j] = diff(func(x)[i], x[j])``

    The rows are computed together, or `chunk_size` at a time. With `has_aux`, the result is ``(Jacobian, second)``.

    Shapes: arguments (*in) -> (*out, *in), in the structure of the output and, within it, of `argnums`.
    Raises: RuntimeError for complex inputs or outputs; ValueError unless `chunk_size` is positive.

    >>> torch.func.jacrev(torch.sin)(torch.tensor([0.0, 0.0]))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @wraps(func)
    def jacobian(*args: object) -> Any:
        refuse_complex("jacrev", args, "inputs")
        output, vjp_fn, *aux = vjp_in(func, args, argnums, has_aux)
        outs, shape = tree_flatten(output)
        refuse_complex("jacrev", outs, "outputs")
        flat, tree = tree_flatten(chosen(args, argnums))

        def rows(*cotangents: Tensor) -> list[Any]:
            return tree_leaves(vjp_fn(tree_unflatten(cotangents, shape)))

        sizes = [out._array.size for out in outs]
        found = rows_of(rows, basis_of(outs), chunk_size)
        parts = [split_rows(matrix, sizes) for matrix in found]
        blocks = [
            tree_unflatten([part[i].reshape((*out.shape, *x.shape)) for part, x in zip(parts, flat)], tree)
            for i, out in enumerate(outs)
        ]
        result = tree_unflatten(blocks, shape)
        return (result, *aux) if has_aux else result

    return jacobian


def split_rows(matrix: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """The rows of a matrix, in blocks of these sizes."""
    ends = np.cumsum([0, *sizes]).tolist()
    return [matrix[low:high] for low, high in itertools.pairwise(ends)]


def jacfwd(func: Function, argnums: ArgNums = 0, has_aux: bool = False, *, randomness: str = "error") -> Function:
    """The function that computes the Jacobian of `func`, by forward mode, column by column:
    ``out[i, j] = diff(func(x)[i], x[j])``

    `randomness` is the behavior of random functions in the columns, which are computed together: see `vmap`.

    Shapes: arguments (*in) -> (*out, *in), in the structure of the output and, within it, of `argnums`.
    Raises: RuntimeError for complex inputs or outputs.

    >>> torch.func.jacfwd(torch.sin)(torch.tensor([0.0, 0.0]))
    tensor([[1., 0.],
            [0., 1.]])
    """

    @wraps(func)
    def jacobian(*args: object) -> Any:
        refuse_complex("jacfwd", args, "inputs")
        flat, tree = tree_flatten(args if argnums is None else chosen(args, argnums))
        seen: list[Any] = []

        def columns(*directions: Tensor) -> list[Any]:
            given = tree_unflatten(directions, tree)
            result, products, *aux = jvp_in(func, args, given, argnums, False, has_aux)
            refuse_complex("jacfwd", result, "outputs")
            leaves, shape = tree_flatten(products)
            beside, its_shape = tree_flatten(aux[0] if has_aux else ())
            seen[:] = [shape, its_shape, len(leaves)]
            return [*leaves, *beside]

        found = rows_of(columns, basis_of(flat), None, randomness)
        shape, its_shape, count = seen
        sizes = [x._array.size for x in flat]
        blocks = []
        for matrix in found[:count]:
            parts = split_rows(matrix, sizes)
            whole = [part.movedim(0, -1).reshape((*part.shape[1:], *x.shape)) for part, x in zip(parts, flat)]
            blocks.append(tree_unflatten(whole, tree))
        result = tree_unflatten(blocks, shape)
        return (result, tree_unflatten([one[0] for one in found[count:]], its_shape)) if has_aux else result

    return jacobian


def hessian(func: Function, argnums: ArgNums = 0) -> Function:
    """The function that computes the second derivatives, forward mode over reverse mode:
    ``out[i, j] = diff(diff(func(x), x[i]), x[j])``

    Shapes: arguments (*in) -> (*out, *in, *in).
    Raises: RuntimeError for complex inputs or outputs.

    >>> torch.func.hessian(lambda x: x[0] ** 2 * x[1])(torch.tensor([1.0, 2.0]))
    tensor([[4., 2.],
            [2., 0.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


# ------------------------------------------------------------------------------------------------ others


def functionalize(func: Function, *, remove: str = "mutations") -> Function:
    """`func`, whose in-place writes torch would replace for its compilers; here it is unchanged, ``out = func``

    Shapes: those of `func`.
    Raises: RuntimeError unless `remove` is "mutations" or "mutations_and_views".

    >>> torch.func.functionalize(torch.neg)(torch.ones(1))
    tensor([-1.])
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}. Valid options are:\n"
            "     remove='mutations': all inplace and out= operators will be removed from the program, and replaced with their "
            "out-of-place equivalents.\n"
            "     remove='mutations_and_views': In addition to the above, all aliasing operators {view} will be replaced with "
            "their non-aliasing counterparts, {view}_copy.\n"
        )

    @wraps(func)
    def same(*args: object, **kwargs: object) -> Any:
        return func(*args, **kwargs)

    return same


def debug_unwrap(tensor: Tensor, *, recurse: bool = True) -> Tensor:
    """The underlying tensor of a tensor in transforms, outside all of them, or one level below unless `recurse`: ``out[b]``
    for each b.

    Shapes: (*in) -> (*batches, *in).
    Raises: AttributeError unless it is a tensor.

    >>> seen = []
    >>> _ = torch.vmap(lambda x: seen.append(torch.func.debug_unwrap(x)) or x)(torch.tensor([1.0, 2.0]))
    >>> seen
    [tensor([1., 2.])]
    """
    while tensor._value is not None:
        tensor = tensor._value
        if not recurse:
            break
    return tensor


def wraps(func: Any) -> Callable[[Function], Function]:
    """``functools.wraps`` for any callable."""
    return functools.wraps(func) if hasattr(func, "__name__") else lambda made: made
