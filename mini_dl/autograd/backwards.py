"""The user functions for the backward pass: `backward` and `grad`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mini_dl._checks import type_name, warn_once
from mini_dl.autograd.engine import run_backward
from mini_dl.autograd.formal import aim_of
from mini_dl.autograd.graph import GradientEdge, aim, edge_of, grad_fn_and_number, is_end, keep_grad, needs_grad
from mini_dl.autograd.mode import mode
from mini_dl.autograd.rows import rows_of
from mini_dl.tensor import LEAF, Tensor, is_of_torch, wrap


def _starting_gradients(outputs: Sequence[Tensor], gradients: Sequence[Any]) -> list[Tensor]:
    if len(outputs) != len(gradients):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(gradients)} gradients")
    started: list[Tensor] = []
    for i, (out, grad) in enumerate(zip(outputs, gradients)):
        if isinstance(out, GradientEdge):
            out = wrap(np.broadcast_to(np.empty((), aim_of(aim(out))[1]), aim_of(aim(out))[0]))  # what the gradient must match
        elif not isinstance(out, Tensor):
            raise TypeError(f"element {i} of tensors is {type_name(out)}, not a Tensor")
        elif grad_fn_and_number(edge_of(out))[0] is None:
            raise RuntimeError(f"element {i} of tensors does not require grad and does not have a grad_fn")
        if grad is None:
            if out._array.size != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            check_real(out)
            grad = wrap(np.ones_like(out._array))  # on meta if `out` is
        else:
            check_gradient(i, out, grad)
        started.append(grad)
    return started


def check_real(out: Tensor) -> None:
    """RuntimeError for a complex result, from which no gradient starts by itself."""
    if out._array.dtype.kind == "c":
        raise RuntimeError(f"grad can be implicitly created only for real scalar outputs but got {out.dtype}")


def check_gradient(i: int, out: Tensor, grad: object) -> None:
    """RuntimeError if `grad` does not match output number `i`; TypeError unless it is a tensor."""
    if not isinstance(grad, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(grad).__name__}")
    if grad.shape != out.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {grad.shape} and output[{i}] has a shape of {out.shape}."
        )
    if grad.dtype.is_complex != out.dtype.is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
            f"grad_output[{i}] has a dtype of {grad.dtype} and output[{i}] has a dtype of {out.dtype}."
        )


def _as_tuple(value: Any) -> tuple[Any, ...]:
    """The tensors of any iterable, or the given tensor."""
    single = isinstance(value, (Tensor, GradientEdge)) or not isinstance(value, Iterable) or is_of_torch(type(value))
    return (value,) if single else tuple(value)


def backward(
    tensors: object,
    grad_tensors: object = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: object = None,
) -> None:
    """The gradients of tensors added to ``.grad`` of each leaf: ``x.grad += sum(grad_tensors[k] * diff(tensors[k], x), k)``

    With `inputs`, to those tensors only. `retain_graph` keeps the graph for another backward.

    Shapes: each of `grad_tensors` has the shape of its tensor, and may be None for one element.
    Raises: RuntimeError if a tensor needs no gradient, if one of several elements comes without its gradient, or if the graph
    was freed.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> torch.autograd.backward([x**2, 5 * x])
    >>> x.grad
    tensor(11.)
    """
    if mode.stack:
        raise RuntimeError(
            "backward() called inside a functorch transform. This is not supported, please use functorch.grad or functorch.vjp "
            "instead or call backward() outside of functorch transforms."
        )
    for flag in (retain_graph, create_graph):
        if flag is not None and not hasattr(type(flag), "__index__"):
            raise TypeError(f"'{type(flag).__name__}' object cannot be interpreted as an integer")
    outputs = _as_tuple(tensors)
    gradients = (None,) * len(outputs) if grad_tensors is None else _as_tuple(grad_tensors)
    targets = None if inputs is None else _as_tuple(inputs)
    if targets is not None and len(targets) == 0:
        raise RuntimeError("`inputs` argument to `backward` cannot be empty.")
    started = _starting_gradients(outputs, gradients)
    if create_graph:
        warn_once(
            "Using backward() with create_graph=True will create a reference cycle between the parameter and its gradient "
            "which can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid this.",
        )
    for target in targets or ():
        if isinstance(target, GradientEdge):
            continue
        if not needs_grad(target):
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if not is_end(target) and not target._retains:
            keep_grad(target, edge_of(target))
    keep = create_graph if retain_graph is None else retain_graph
    run_backward(outputs, started, targets, keep, create_graph, True)


def batched_grads(
    outs: Sequence[Tensor], targets: Sequence[object], gradients: Sequence[Any], create_graph: bool, allow_unused: bool
) -> tuple[Any, ...]:
    """`grad` for a batch of gradients, along their first dimension."""
    if all([one is None for one in gradients]):
        _starting_gradients(outs, gradients)
        raise ValueError("is_grads_batched=True needs `grad_outputs` with a batch dimension, but got None for all outputs")
    for i, (out, one) in enumerate(zip(outs, gradients)):
        if isinstance(out, Tensor) and isinstance(one, Tensor) and one._array.shape[1:] != out._array.shape:
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch dimension. The "
                "sizes of the remaining dimensions are expected to match the shape of corresponding output, but a mismatch was "
                "detected: "
                f"grad_output[{i}] has a shape of {one.shape} and output[{i}] has a shape of {out.shape}. If you only want some "
                "tensors in `grad_output` to be considered batched, consider using vmap."
            )

    def one_row(*rows: Tensor) -> list[Tensor | None]:
        given = iter(rows)
        starts = [None if g is None else next(given) for g in gradients]
        return list(grad(outs, targets, starts, True, create_graph, allow_unused=allow_unused))

    return tuple(rows_of(one_row, [g for g in gradients if g is not None]))


def grad(
    outputs: object, inputs: object, grad_outputs: object = None, retain_graph: bool | None = None, create_graph: bool = False,
    only_inputs: bool = True, allow_unused: bool | None = None, is_grads_batched: bool = False, materialize_grads: bool = False,
) -> tuple[Tensor, ...]:  # fmt: skip
    """The gradients of outputs with respect to `inputs`: ``out[j] = sum(grad_outputs[k] * diff(outputs[k], inputs[j]), k)``

    ``.grad`` is unchanged. `only_inputs` is accepted without effect.

    Shapes: each gradient has the shape of its input; each of `grad_outputs` that of its output.
    Raises: RuntimeError if one of `inputs` was not used and `allow_unused` is not set, and as `backward`.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
    >>> torch.autograd.grad(dx, x)
    (tensor(18.),)
    """
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for other parts of "
            "the graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    allow_unused = materialize_grads if allow_unused is None else allow_unused
    if isinstance(inputs, dict):
        by_name = grad(
            outputs, tuple(inputs.values()), grad_outputs, retain_graph, create_graph, True, allow_unused, is_grads_batched,
            materialize_grads,
        )  # fmt: skip
        return dict(zip(inputs, by_name))  # type: ignore[return-value]
    outs, targets = _as_tuple(outputs), _as_tuple(inputs)
    gradients = (None,) * len(outs) if grad_outputs is None else _as_tuple(grad_outputs)
    if not targets:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    if is_grads_batched:
        return batched_grads(outs, targets, gradients, create_graph, allow_unused)
    keep = create_graph if retain_graph is None else retain_graph
    started = _starting_gradients(outs, gradients)
    for target in targets:
        if isinstance(target, GradientEdge):
            continue
        if not isinstance(target, Tensor):
            raise TypeError(f"inputs must be Tensors, not {type_name(target)}")
        if not needs_grad(target):
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    found: list[Any] = run_backward(outs, started, targets, keep, create_graph, False)
    for g in found:
        if g is None and not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
    if materialize_grads:
        found = [_zeros(t, create_graph) if g is None else g for t, g in zip(targets, found)]
    return tuple(found)


def _zeros(target: Tensor | GradientEdge, grad: bool) -> Tensor:
    """The gradient of a tensor that was not used, which requires grad like the others if these have a graph."""
    zeros = wrap(np.zeros(*aim_of(aim(target))))
    if grad:
        zeros._edge = LEAF
    return zeros
