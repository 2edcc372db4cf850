"""Batching rules of primitives, by family: elementwise, along dimensions, on the last dimensions; else a loop.

The batch dimension of physical tensors comes first (see `autograd.batching`). The rules of products, of indices and of whole
batches of images are in `batching_products`, `batching_indexing` and `batching_layers`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from mini_dl import _dtypes
from mini_dl._device import contiguous_format, preserve_format
from mini_dl.autograd import forward_ad, memory as memory_gradients
from mini_dl.autograd.batching import ELEMENTWISE, LOOP, RULES, Call, Rule, rule_for
from mini_dl.autograd.elements import setting, warn_of_loop
from mini_dl.ops import (
    activation,
    choice,
    cholesky,
    comparison,
    complex_numbers,
    conversion,
    copies,
    determinants,
    eigenvalues,
    fft,
    filling,
    gathering,
    joining,
    loss,
    lu,
    matmul,
    matrices,
    memory,
    normalization,
    operands,
    padding,
    parts,
    piecewise_linear,
    pooling,
    pooling_to_size,
    powers,
    qr,
    ranges,
    reduction,
    resampling,
    rounding,
    scans,
    singular_values,
    solving,
    sorting,
    special,
    vector_norms,
    views,
)  # fmt: skip
from mini_dl.ops.joining import cat, stack
from mini_dl.tensor import Tensor

# ------------------------------------------------------------------------------------------------ fallback


setting.stack, setting.cat = stack, cat


def loop_with_warning(call: Call) -> Any:
    """`loop`, after a warning that it is slow."""
    warn_of_loop(call.primitive.name)
    return loop(call)


def loop(call: Call) -> Any:
    """One call for each element, and their results stacked."""
    if not call.size:
        raise RuntimeError(
            f"vmap: {call.primitive.name} has no batching rule, and a loop over a batch of size 0 cannot determine the shape of "
            f"its result"
        )
    results = [call.run(*[element(a, has, i) for a, has in zip(call.args, call.batched)]) for i in range(call.size)]
    if isinstance(results[0], tuple):
        return tuple([stack(parts) for parts in zip(*results)])
    return stack(results)


def element(value: Any, batched: Any, i: int) -> Any:
    """An argument of the call for element `i`."""
    if type(batched) is list:
        return [element(one, has, i) for one, has in zip(value, batched)]
    return value.select(0, i) if batched else value


RULES[LOOP] = loop_with_warning

# ------------------------------------------------------------------------------------------------ elementwise


def ranked(tensor: Any, batched: object, rank: int) -> Any:
    """A physical tensor whose elements have at least `rank` dimensions: sizes of 1 are inserted after the batch."""
    if batched is not True:
        return tensor
    shape = tensor._array.shape
    missing = rank + 1 - len(shape)
    return tensor if missing <= 0 else tensor.reshape(shape[0], *(1,) * missing, *shape[1:])


def rank_of(call: Call) -> int:
    """The largest rank of an element of any tensor."""
    return max([call.ndim(i) for i, value in enumerate(call.args) if isinstance(value, Tensor)])


def elementwise(call: Call) -> Any:
    """The batch is one more leading dimension, followed by sizes of 1 where ranks differ. Also for primitives that
    broadcast or ignore leading dimensions."""
    rank = rank_of(call)
    args = [ranked(value, has, rank) for value, has in zip(call.args, call.batched)]
    if hasattr(call.primitive, "promote"):
        args = of_one_type(call, args)
    return call.run(*args)


def of_one_type(call: Call, args: list[Any]) -> list[Any]:
    """The operands of a binary primitive promoted as single elements would be: 0-d tensors have lower priority."""
    a, b = args
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)) or a._array.dtype == b._array.dtype:
        return args
    tokens = [np.ones((1,) * call.ndim(i), value._array.dtype) for i, value in enumerate(args)]
    wanted = [token.dtype for token in call.primitive.promote(*tokens)]
    return [value if value._array.dtype == kind else value.to(_dtypes.of_numpy(kind)) for value, kind in zip(args, wanted)]


RULES[ELEMENTWISE] = elementwise


def like_first(call: Call) -> Any:
    """As `elementwise`, where the result has the shape of the first argument."""
    first = call.front(0)
    rank = max(rank_of(call), first._array.ndim - 1)
    rest = [ranked(value, has, rank) for value, has in zip(call.args[1:], call.batched[1:])]
    return call.run(ranked(first, True, rank), *rest)


def all_alike(call: Call) -> Any:
    """All tensors get a leading batch: for primitives on tensors of one shape, or with equal leading dimensions."""
    return call.run(*[call.front(i) for i in range(len(call.args))])


# ------------------------------------------------------------------------------------------------ along dimensions


def _shifted_dims(call: Call, dims: Any) -> Any:
    return tuple(range(1, call.ndim(0) + 1)) if dims is None else tuple([d + 1 for d in dims])


MOVED: dict[str, Callable[[Call, Any], Any]] = {
    "dim": lambda call, dim: dim + 1,
    "dim0": lambda call, dim: dim + 1,
    "dim1": lambda call, dim: dim + 1,
    "dim2": lambda call, dim: dim + 1,
    "dims": _shifted_dims,
    "shape": lambda call, shape: (call.size, *shape),
    "index": lambda call, index: (slice(None), *index) if isinstance(index, tuple) else index,
    "indices": lambda call, indices: [(slice(None), *index) for index in indices],
}
"""An argument for an element translated to the batch: dimensions are one higher, shapes start with the batch,
and an index of a view includes all of it."""


def moved(call: Call, params: tuple[str, ...], args: list[object]) -> list[Any]:
    return [
        MOVED[name](call, value) if name in MOVED and not isinstance(value, Tensor) else value
        for name, value in zip(params, args)
    ]


def along(call: Call) -> Any:
    """All tensors get a leading batch, and dimension numbers are shifted by it."""
    params = call.primitive.params
    args = [call.front(i) for i in range(len(params))]
    if "dim" in params and isinstance(call.args[0], Tensor) and not call.ndim(0):
        ranks = [call.ndim(i) for i, value in enumerate(call.args) if isinstance(value, Tensor)]
        return loop(call) if any(ranks) else _along_scalar(call, args)
    return call.run(*moved(call, params, args))


def _along_scalar(call: Call, args: list[object]) -> Any:
    """`along` the one dimension that a 0-d element is treated as having."""
    args = [value.unsqueeze(1) if isinstance(value, Tensor) and value._array.ndim == 1 else value for value in args]
    found = call.run(*moved(call, call.primitive.params, args))
    several = found if isinstance(found, tuple) else (found,)
    if any([one._array.size != call.size for one in several]):
        return loop(call)
    shaped = tuple([one.reshape(call.size) for one in several])
    return shaped if isinstance(found, tuple) else shaped[0]


def _of_all(call: Call) -> Any:
    """`argmax` and `argmin`, which flatten the element if no `dim` is given."""
    (input, dim, keepdim), n = call.args, call.ndim(0)
    if dim is not None:
        return along(call)
    found = call.run(input.reshape(call.size, -1), 1, False)
    return found.reshape(call.size, *(1,) * n) if keepdim else found


# ------------------------------------------------------------------------------------------------ views


def _unsqueezed(call: Call) -> Any:
    return call.run(call.args[0], call.args[1] + 1)


def _permuted(call: Call) -> Any:
    input, dims = call.args
    return call.run(input, (0, *[d + 1 for d in dims]))


def _copied_in_order(call: Call) -> Any:
    """A copy, with channels last in memory if requested."""
    input, order = call.args
    if order in (None, preserve_format, contiguous_format):
        return call.run(input, order)
    call.run(input.select(0, 0) if call.size else input, order)  # which checks the number of dimensions
    return call.run(input.movedim(2, -1), contiguous_format).movedim(-1, 2)


def _expanded(call: Call) -> Any:
    input, shape = call.args
    return call.run(ranked(input, True, len(shape)), (call.size, *shape))


def _tiled(call: Call) -> Any:
    input, repeats = call.args
    return (
        call.run(ranked(input, True, len(repeats)), (1,) * (1 + call.ndim(0) - len(repeats)) + tuple(repeats))
        if repeats
        else (call.run(input, (1,) * input._array.ndim))
    )


def _transposed(call: Call) -> Any:
    return call.args[0].transpose(1, 2) if call.ndim(0) == 2 else views.alias(call.args[0])


def _windows(call: Call) -> Any:
    if call.ndim(0):
        return along(call)
    return call.run(call.args[0].unsqueeze(1), 1, *call.args[2:]).reshape(call.size, call.of("size"))


def _placed(call: Call) -> Any:
    """The adjoint of a view, and a view replaced: the view's arguments are shifted as in its own call."""
    look, args = call.of("look"), call.of("args")
    if look is memory._as_strided:
        return loop(call)
    inner = moved(call, look.op.params[1:], list(args))
    changed = {
        "look": look,
        "args": tuple(inner),
        "shape": (call.size, *call.of("shape")) if "shape" in call.primitive.index else 0,
    }
    names = call.primitive.params
    return call.run(*[changed.get(name, call.front(i)) for i, name in enumerate(names)])


def _joined(call: Call) -> Any:
    """`cat`, which skips empty vectors among tensors of any shape."""
    tensors, dim = call.args
    (batched,) = [has for has in call.batched if type(has) is list]
    shapes = [t._array.shape[1:] if has else t._array.shape for t, has in zip(tensors, batched)]
    fronts = call.front(0)
    kept = [t for t, shape in zip(fronts, shapes) if shape != (0,)] or fronts
    return call.run(kept, dim + 1)


# ------------------------------------------------------------------------------------------------ the table

FAMILIES: list[tuple[Rule, dict[ModuleType, str]]] = [
    (
        elementwise,
        {
            operands: "masked",
            piecewise_linear: "_threshold _hardtanh _leaky_relu _prelu_slope _prelu hardshrink _softshrink _hardsigmoid "
            "_hardswish",
            activation: "_elu _softplus logsigmoid _silu _mish _gelu_tanh _gelu",
            normalization: "_scaled",
            choice: "_clamp _clamp_to _where _nan_to_num _lerp",
            rounding: "_sgn _frexp _round",
            powers: "_pow_number _ldexp _logit",
            special: "_polygamma",
            views: "_view_type _alias",
            memory_gradients: "_whole",
            forward_ad: "_view",
            comparison: "_isclose",
            complex_numbers: "_real _imag _view_as_real _view_as_complex _complex",
            conversion: "_cast",
            copies: "detach_copy",
            loss: "_limited _huber _bce_slope _bce",
            matmul: "_batched _weighted_sum",
            resampling: "_resample _spread_back _scaled_to_edges",
            padding: "_pad_constant _pad_by_position _pad_circular",
            pooling: "_largest _maxima _means _spread_means",
            ranges: "_tril _triu",
            solving: "_inv _solve _triangular",
            cholesky: "_cholesky _cholesky_solve",
            determinants: "_det _cofactors _slogdet",
            eigenvalues: "_eigh _eig",
            qr: "_qr _qr_whole",
            singular_values: "_svd _singular_values _pinv",
            lu: "_lu_square",
        },
    ),
    (
        like_first,
        {
            filling: "_copied zero",
            matrices: "tied tied_to_empty tied_without_gradient",
            resampling: "_constant_in",
            qr: "_blocked",
        },
    ),
    (
        all_alike,
        {
            loss: "_bce_of_logits_slope _bce_of_logits",
            piecewise_linear: "_leaky_slope _hardswish_backward _within _beyond",
            activation: "_elu_backward _softplus_backward _logsigmoid_backward _silu_backward _mish_backward _gelu_tanh_backward "
            "_gelu_backward",
            pooling: "_to_maxima _at_maxima _values_at _places",
            pooling_to_size: "_unpool",
        },
    ),
    (
        along,
        {
            activation: "softmax_backward _softmax log_softmax_backward _log_softmax",
            views: "_view unsafe_view _transpose _squeeze _squeeze1 _squeeze2",
            parts: "_select _slice _pick _new_axes _unbind_parts _split_parts _split_with_sizes_parts _put_together _diagonal",
            joining: "_stack _roll _flip",
            fft: "complex_to_complex real_to_complex complex_to_real",
            gathering: "_gather _scatter_add _scatter _scatter_reduce",
            padding: "_fold_back",
            pooling: "_put_at",
            reduction: "_sum _nansum _mean _near_mean _var _std _var_mean _std_mean shares _amax _amin _amin_and_amax _all _any "
            "_count_nonzero _logsumexp _hash",
            vector_norms: "_vector_norm",
            loss: "_reduced_squares _reduced_huber",
            scans: "_cumsum shift recurrence _cumprod _prod _running _logcumsumexp",
            sorting: "order _top _kth _middle _most_frequent",
        },
    ),
    (_of_all, {reduction: "_argmax _argmin"}),
    (_unsqueezed, {views: "_unsqueeze"}),
    (_permuted, {views: "_permute"}),
    (_copied_in_order, {conversion: "_copy"}),
    (_expanded, {views: "_expand", reduction: "_repeated"}),
    (_tiled, {joining: "_repeat"}),
    (_transposed, {views: "_t"}),
    (_windows, {parts: "_unfold"}),
    (_placed, {views: "place", copies: "replaced"}),
    (_joined, {joining: "_cat"}),
]
"""The primitives of each family. Those declared `unary` and `binary` are elementwise."""

for _rule, _members in FAMILIES:
    for _module, _names in _members.items():
        rule_for(*[getattr(_module, name) for name in _names.split()])(_rule)
