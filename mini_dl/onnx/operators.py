"""The translations of the primitives to ONNX: one line if there is an operator for it, or a formula of operators.

A translation takes the builder and the primitive's arguments by position: tensors as values, the rest unchanged. Families that
need more than a line are in `families`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mini_dl._dtypes import FLOATING
from mini_dl.onnx import families as f, layers
from mini_dl.onnx.building import BOOL, FLOAT, INT, Builder, Term

Translation = Callable[..., Any]


def same(operator: str, **attributes: object) -> Translation:
    """An operator on operands of the type of the result."""
    return lambda g, *operands: g.node(operator, *[g.cast(x, g.dtype) for x in operands], **attributes)


def compared(operator: str, negated: bool = False) -> Translation:
    """A comparison, in the promoted type of the operands."""

    def compare(g: Builder, a: Any, b: Any) -> Term:
        arrays = [np.empty(0, x.dtype) if hasattr(x, "dtype") else x for x in (a, b)]
        kind = np.result_type(*arrays)
        kind = np.dtype(np.int32) if kind == BOOL and operator != "Equal" else kind
        found = g.node(operator, g.cast(a, kind), g.cast(b, kind))
        return g.Not(found) if negated else found

    return compare


def truth(operator: str, bits: str = "") -> Translation:
    """Logical operators; bitwise for integers, if there are `bits`."""

    def decide(g: Builder, *operands: object) -> Term:
        if bits and g.dtype != BOOL:
            return g.node(bits, *[g.cast(x, g.dtype) for x in operands])
        return g.node(operator, *[g.cast(x, BOOL) for x in operands])

    return decide


def reduced(operator: str) -> Translation:
    """A reduction over `dims`, all if it is None."""

    def reduce(g: Builder, x: object, dims: object, keepdim: bool, *_: object) -> Term:
        return f.reduced(g, operator, g.cast(x, g.dtype), dims, keepdim)

    return reduce


def formula(function: Callable[..., Any]) -> Translation:
    """A formula of operators on operands of the type of the result."""
    return lambda g, *operands: function(g, *[g.cast(x, g.dtype) for x in operands])


def same_value(g: Builder, x: object, *_: object) -> Term:
    return g.cast(x, g.dtype)


def is_infinite(g: Builder, x: Any, **which: int) -> Term:
    kind = x.dtype if x.dtype.kind in FLOATING else FLOAT
    return g.IsInf(g.cast(g.cast(x, kind), FLOAT), **which)


def truncated(g: Builder, x: Term) -> Term:
    return g.Mul(g.Sign(x), g.Floor(g.Abs(x))) if x.dtype.kind in FLOATING else x


def chosen(g: Builder, condition: object, yes: object, no: object) -> Term:
    return g.Where(g.cast(condition, BOOL), g.cast(yes, g.dtype), g.cast(no, g.dtype))


def between(g: Builder, x: object, low: object, high: object) -> Term:
    x = g.cast(x, g.dtype)
    x = x if low is None else g.Max(x, g.cast(low, g.dtype))
    return x if high is None else g.Min(x, g.cast(high, g.dtype))


def threshold(g: Builder, x: object, limit: float, value: float) -> Term:
    return g.Where(g.LessOrEqual(g.cast(x, g.dtype), limit), g.cast(value, g.dtype), g.cast(x, g.dtype))


def elu(g: Builder, x: object, alpha: float, scale: float, input_scale: float) -> Term:
    if (scale, input_scale) == (1, 1):
        return g.Elu(x, alpha=float(alpha))
    if input_scale == 1:
        return g.Selu(x, alpha=float(alpha), gamma=float(scale))
    term = g.term(x)
    low = g.Mul(g.Sub(g.Exp(g.Mul(g.Min(term, 0), input_scale)), 1), alpha * scale)
    return g.Add(g.Mul(g.Max(term, 0), scale), low)


def softplus(g: Builder, x: object, beta: float, limit: float) -> Term:
    x = g.term(x)
    if beta == 1:
        return g.Where(g.Greater(x, limit), x, g.Softplus(x))
    scaled = g.Mul(x, beta)
    return g.Where(g.Greater(scaled, limit), x, g.Div(g.Softplus(scaled), beta))


def silu(g: Builder, x: object, memo: object) -> Term:
    x = g.term(x)
    return g.Mul(x, g.Sigmoid(x))


def gelu(g: Builder, x: object, memo: object) -> Term:
    x = g.term(x)
    if g.opset >= 20:
        return g.Gelu(x)
    return g.Mul(g.Mul(x, 0.5), g.Add(g.Erf(g.Div(x, math.sqrt(2))), 1))


def gelu_tanh(g: Builder, x: object) -> Term:
    x = g.term(x)
    if g.opset >= 20:
        return g.Gelu(x, approximate="tanh")
    inner = g.Mul(g.Add(x, g.Mul(g.Mul(g.Mul(x, x), x), 0.044715)), math.sqrt(2 / math.pi))
    return g.Mul(g.Mul(x, 0.5), g.Add(g.Tanh(inner), 1))


def floor_division(g: Builder, a: object, b: object) -> Term:
    a, b = g.cast(a, g.dtype), g.cast(b, g.dtype)
    if g.dtype.kind in FLOATING:
        return g.Floor(g.Div(a, b))
    return g.Div(g.Sub(a, g.Mod(a, b)), b)  # the remainder has the sign of the divisor


def remainder(g: Builder, a: object, b: object) -> Term:
    a, b = g.cast(a, g.dtype), g.cast(b, g.dtype)
    return g.Mod(a, b) if g.dtype.kind not in FLOATING else g.Sub(a, g.Mul(g.Floor(g.Div(a, b)), b))


def divided_to_zero(g: Builder, a: object, b: object) -> Term:
    return truncated(g, g.Div(g.cast(a, g.dtype), g.cast(b, g.dtype)))


def log_add(g: Builder, a: Term, b: Term) -> Term:
    apart = g.Where(g.Equal(a, b), g.cast(0, g.dtype), g.Abs(g.Sub(a, b)))  # also if both are infinite
    return g.Add(g.Max(a, b), g.Log(g.Add(g.Exp(g.Neg(apart)), 1)))


def log_add2(g: Builder, a: Term, b: Term) -> Term:
    return g.Div(log_add(g, g.Mul(a, math.log(2)), g.Mul(b, math.log(2))), math.log(2))


def angle_to(g: Builder, y: Term, x: Term) -> Term:
    zero = g.cast(0, g.dtype)
    half = g.Where(g.Less(y, zero), g.cast(-math.pi, g.dtype), g.cast(math.pi, g.dtype))
    ahead = g.Atan(g.Div(y, x))
    behind = g.Where(g.Less(x, zero), g.Add(ahead, half), g.Mul(g.Sign(y), math.pi / 2))
    return g.Where(g.Greater(x, zero), ahead, behind)


def huber(g: Builder, x: Term, delta: float) -> Term:
    away = g.Abs(x)
    return g.Where(g.Less(away, delta), g.Mul(g.Mul(x, x), 0.5), g.Mul(g.Sub(away, 0.5 * delta), delta))


def binary_cross_entropy(g: Builder, x: Term, target: Term) -> Term:
    one, floor = g.cast(1, g.dtype), g.cast(-100, g.dtype)
    yes, no = g.Max(g.Log(x), floor), g.Max(g.Log(g.Sub(one, x)), floor)
    return g.Neg(g.Add(g.Mul(target, yes), g.Mul(g.Sub(one, target), no)))


def total(g: Builder, x: Term, dims: object, keepdim: bool, mean: bool) -> Term:
    return f.reduced(g, "ReduceMean" if mean else "ReduceSum", x, dims, keepdim)


def over_rows(operator: str) -> Translation:
    """An operator along a dimension, which a scalar does not have."""

    def run(g: Builder, x: Any, dim: int, *memo: object) -> Term:
        return g.node(operator, x, axis=dim) if x.shape else g.Squeeze(g.node(operator, g.Unsqueeze(x, [0]), axis=0), [0])

    return run


def logit(g: Builder, x: object, eps: float | None) -> Term:
    x = g.cast(x, g.dtype)
    x = x if eps is None else g.Min(g.Max(x, eps), 1 - eps)
    return g.Log(g.Div(x, g.Sub(g.term(1.0, g.dtype), x)))


def rounded(g: Builder, x: object, decimals: int) -> Term:
    x = g.term(x)
    if x.dtype.kind not in FLOATING:
        return x
    scale = 10.0**decimals
    return g.Round(x) if not decimals else g.Div(g.Round(g.Mul(x, scale)), scale)


def without_nan(g: Builder, x: object, nan: float | None, above: float | None, below: float | None) -> Term:
    x, limits = g.term(x), np.finfo(g.dtype)
    found = g.Where(g.IsNaN(x), g.cast(nan or 0.0, g.dtype), x)
    found = g.Where(is_infinite(g, x, detect_negative=0), g.cast(limits.max if above is None else above, g.dtype), found)
    return g.Where(is_infinite(g, x, detect_positive=0), g.cast(limits.min if below is None else below, g.dtype), found)


def scaled(factor: float) -> Translation:
    return formula(lambda g, x: g.Mul(x, factor))


def log_to(base: float) -> Translation:
    return formula(lambda g, x: g.Div(g.Log(x), math.log(base)))


def hypotenuse(g: Builder, a: Term, b: Term) -> Term:
    return g.Sqrt(g.Add(g.Mul(a, a), g.Mul(b, b)))


def power(g: Builder, x: object, exponent: object) -> Term:
    x = g.cast(x, g.dtype)
    return g.Mul(x, x) if type(exponent) in (int, float) and exponent == 2 else g.Pow(x, g.cast(exponent, g.dtype))


def sinc(g: Builder, x: Term) -> Term:
    angle = g.Mul(x, math.pi)
    return g.Where(g.Equal(x, 0), g.cast(1, x.dtype), g.Div(g.Sin(angle), angle))


UNARY = (
    "abs:Abs neg:Neg exp:Exp log:Log sqrt:Sqrt reciprocal:Reciprocal sin:Sin cos:Cos tan:Tan asin:Asin acos:Acos atan:Atan "
    "sinh:Sinh cosh:Cosh tanh:Tanh asinh:Asinh acosh:Acosh atanh:Atanh erf:Erf sigmoid:Sigmoid sign:Sign _sgn:Sign floor:Floor "
    "ceil:Ceil _relu:Relu _mish:Mish _hardswish:HardSwish"
)
BINARY = "_add:Add _sub:Sub mul:Mul _div:Div maximum:Max minimum:Min fmax:Max fmin:Min _pow:Pow"
TESTS = "eq:Equal lt:Less le:LessOrEqual gt:Greater ge:GreaterOrEqual"
LOOKS = "slice select unsqueeze"
COPIES = "_alias _copy _conjugate _real detach_copy tied tied_to_empty tied_without_gradient _cast _constant_in"

TABLE: dict[str, Translation] = {
    **{name: same(operator) for name, operator in [pair.split(":") for pair in (UNARY + " " + BINARY).split()]},
    **{name: compared(operator) for name, operator in [pair.split(":") for pair in TESTS.split()]},
    **dict.fromkeys(LOOKS.split(), f.part),
    **dict.fromkeys(COPIES.split(), same_value),
    # ------------------------------------------------------------------------------------------------ pointwise
    "square": formula(lambda g, x: g.Mul(x, x)),
    "rsqrt": formula(lambda g, x: g.Reciprocal(g.Sqrt(x))),
    "exp2": formula(lambda g, x: g.Pow(g.cast(2, x.dtype), x)),
    "expm1": formula(lambda g, x: g.Sub(g.Exp(x), 1)),
    "log2": log_to(2),
    "log10": log_to(10),
    "log1p": formula(lambda g, x: g.Log(g.Add(x, 1))),
    "erfc": formula(lambda g, x: g.Sub(g.cast(1, x.dtype), g.Erf(x))),
    "ndtr": formula(lambda g, x: g.Mul(g.Add(g.Erf(g.Div(x, math.sqrt(2))), 1), 0.5)),
    "trunc": formula(truncated),
    "frac": formula(lambda g, x: g.Sub(x, truncated(g, x))),
    "sinc": formula(sinc),
    "deg2rad": scaled(math.pi / 180),
    "rad2deg": scaled(180 / math.pi),
    "logaddexp": formula(log_add),
    "logaddexp2": formula(log_add2),
    "atan2": formula(angle_to),
    "_heaviside": formula(lambda g, x, y: g.Where(g.Equal(x, 0), y, g.cast(g.Greater(x, 0), g.dtype))),
    "hypot": formula(hypotenuse),
    "xlogy": formula(lambda g, x, y: g.Where(g.Equal(x, 0), g.cast(0, x.dtype), g.Mul(x, g.Log(y)))),
    "xlog1py": formula(lambda g, x, y: g.Where(g.Equal(x, 0), g.cast(0, x.dtype), g.Mul(x, g.Log(g.Add(y, 1))))),
    "_round": rounded,
    "_logit": logit,
    "_floor_div": floor_division,
    "floor_divide": floor_division,
    "_trunc_div": divided_to_zero,
    "remainder": remainder,
    "fmod": same("Mod", fmod=1),
    "_pow_number": power,
    "_ldexp": formula(lambda g, x, e: g.Mul(x, g.Pow(g.cast(2, x.dtype), e))),
    "_lerp": formula(lambda g, a, b, w: g.Add(a, g.Mul(w, g.Sub(b, a)))),
    "_nan_to_num": without_nan,
    "_clamp": between,
    "_clamp_to": between,
    "_hardtanh": between,
    "_where": chosen,
    "_masked_fill": lambda g, x, mask, value: chosen(g, mask, value, x),
    "masked": lambda g, x, mask: chosen(g, mask, x, 0),
    "ne": compared("Equal", negated=True),
    "logical_not": truth("Not"),
    "logical_and": truth("And"),
    "logical_or": truth("Or"),
    "logical_xor": truth("Xor"),
    "bitwise_not": truth("Not", "BitwiseNot"),
    "bitwise_and": truth("And", "BitwiseAnd"),
    "bitwise_or": truth("Or", "BitwiseOr"),
    "bitwise_xor": truth("Xor", "BitwiseXor"),
    "isnan": lambda g, x: g.IsNaN(x),
    "isinf": is_infinite,
    "isposinf": lambda g, x: is_infinite(g, x, detect_negative=0),
    "isneginf": lambda g, x: is_infinite(g, x, detect_positive=0),
    "isfinite": lambda g, x: g.Not(g.Or(g.IsNaN(x), is_infinite(g, x))),
    # ------------------------------------------------------------------------------------------------ activations
    "_threshold": threshold,
    "_leaky_relu": lambda g, x, slope: g.LeakyRelu(x, alpha=float(slope)),
    "_prelu": formula(lambda g, x, w: g.PRelu(x, w)),
    "hardshrink": lambda g, x, limit=0.5: g.Shrink(x, lambd=float(limit), bias=0.0),
    "_softshrink": lambda g, x, limit: g.Shrink(x, lambd=float(limit), bias=float(limit)),
    "_hardsigmoid": lambda g, x: g.HardSigmoid(x, alpha=1 / 6, beta=0.5),
    "_elu": elu,
    "_softplus": softplus,
    "logsigmoid": formula(lambda g, x: g.Neg(g.Softplus(g.Neg(x)))),
    "_silu": silu,
    "_gelu": gelu,
    "_gelu_tanh": gelu_tanh,
    "_softmax": over_rows("Softmax"),
    "_log_softmax": over_rows("LogSoftmax"),
    "_huber": lambda g, x, delta: huber(g, g.cast(x, g.dtype), delta),
    "_reduced_squares": lambda g, x, dims, keepdim, mean: total(g, g.Mul(x, x), dims, keepdim, mean),
    "_reduced_huber": lambda g, x, dims, keepdim, mean, delta: total(g, huber(g, g.cast(x, g.dtype), delta), dims, keepdim, mean),
    "_bce": formula(binary_cross_entropy),
    "_bce_of_logits": formula(lambda g, x, t: g.Add(g.Mul(g.Sub(g.cast(1, x.dtype), t), x), g.Softplus(g.Neg(x)))),
    # ------------------------------------------------------------------------------------------------ reductions
    "_sum": reduced("ReduceSum"),
    "_nansum": lambda g, x, *how: reduced("ReduceSum")(g, g.Where(g.IsNaN(x), g.cast(0, x.dtype), x), *how),
    "_mean": reduced("ReduceMean"),
    "_near_mean": reduced("ReduceMean"),
    "_amax": reduced("ReduceMax"),
    "_amin": reduced("ReduceMin"),
    "_amin_and_amax": lambda g, x, *how: (reduced("ReduceMin")(g, x, *how), reduced("ReduceMax")(g, x, *how)),
    "_prod": reduced("ReduceProd"),
    "_logsumexp": reduced("ReduceLogSumExp"),
    "_var": f.variance,
    "_std": lambda g, *how: g.Sqrt(f.variance(g, *how)),
    "_var_mean": lambda g, x, dims, keepdim, n: (f.variance(g, x, dims, keepdim, n), reduced("ReduceMean")(g, x, dims, keepdim)),
    "_std_mean": lambda g, x, dims, keepdim, n: (
        g.Sqrt(f.variance(g, x, dims, keepdim, n)),
        reduced("ReduceMean")(g, x, dims, keepdim),
    ),
    "_all": lambda g, x, dims, keepdim: g.cast(f.reduced(g, "ReduceMin", f.as_truth(g, x), dims, keepdim), BOOL),
    "_any": lambda g, x, dims, keepdim: g.cast(f.reduced(g, "ReduceMax", f.as_truth(g, x), dims, keepdim), BOOL),
    "_count_nonzero": lambda g, x, dims: f.reduced(g, "ReduceSum", g.cast(f.as_truth(g, x), INT), dims, False),
    "_vector_norm": f.vector_norm,
    "_argmax": lambda g, x, dim, keepdim: f.extreme(g, "ArgMax", x, dim, keepdim),
    "_argmin": lambda g, x, dim, keepdim: f.extreme(g, "ArgMin", x, dim, keepdim),
    "_cumsum": f.sums_so_far,
    "order": lambda g, x, dim, descending: f.largest(g, x, g.shape[dim], dim, descending)[1],
    "_top": lambda g, x, k, dim, largest: f.largest(g, x, k, dim, largest)[1],
    # ------------------------------------------------------------------------------------------------ shapes
    "_view": lambda g, x, shape: g.reshape(x, shape, x.shape),
    "unsafe_view": lambda g, x, shape: g.reshape(x, shape, x.shape),
    "_expand": lambda g, x, shape: g.Expand(x, shape),
    "_permute": lambda g, x, dims: g.Transpose(x, perm=list(dims)) if dims else g.term(x),
    "_transpose": f.exchanged,
    "_t": lambda g, x: g.Transpose(x) if len(x.shape) == 2 else g.term(x),
    "_squeeze": lambda g, x, dims: f.squeezed(g, x, dims),
    "_squeeze1": lambda g, x, dims: f.squeezed(g, x, dims),
    "_unsqueeze": lambda g, x, dim: g.Unsqueeze(x, [dim]),
    "_select": lambda g, x, dim, index: g.Gather(x, g.Squeeze(g.size(index), [0]), axis=dim),
    "parts._unfold": f.windows,
    "_diagonal": f.diagonal,
    "_cat": f.joined,
    "_stack": lambda g, tensors, dim: g.Concat(*[g.Unsqueeze(g.cast(x, g.dtype), [dim]) for x in tensors], axis=dim),
    "_repeat": f.repeated,
    "_roll": f.rolled,
    "_flip": f.flipped,
    "ranges.tril": lambda g, x, diagonal: f.triangle(g, x, diagonal, 0),
    "ranges.triu": lambda g, x, diagonal: f.triangle(g, x, diagonal, 1),
    "_copied": lambda g, x, src: g.Expand(g.cast(src, g.dtype), x.shape) if src.shape != x.shape else g.cast(src, g.dtype),
    "_fill": lambda g, x, value: g.Expand(g.cast(value, g.dtype), x.shape),
    "zero": lambda g, x: g.Expand(g.cast(0, g.dtype), x.shape),
    "_pad_constant": f.filled,
    "_pad_by_position": f.padded,
    "_pad_circular": lambda g, x, pads: f.padded(g, x, pads, "circular"),
    "written_into": f.written_into,
    "replaced": lambda g, x, src, look, args: f.written_into(g, x, src, f.as_call(look, x, args)),
    # ------------------------------------------------------------------------------------------------ products
    "_rows": lambda g, x, w, flip: g.MatMul(x, g.Transpose(w, perm=[1, 0]) if flip else w),
    "_batched": lambda g, a, b, flip, flop: g.MatMul(f.maybe_swapped(g, a, flip), f.maybe_swapped(g, b, flop)),
    "_dot": lambda g, a, b: g.MatMul(a, b),
    "_paired": lambda g, a, b: g.MatMul(g.Transpose(f.as_rows(g, a), perm=[1, 0]), f.as_rows(g, b)),
    "_affine": f.affine,
    "_weighted_sum": f.weighted_sum,
    "_sum_of_rows": lambda g, x: f.reduced(g, "ReduceSum", f.as_rows(g, x), (0,), False),
    "_attention": f.attention,
    # ------------------------------------------------------------------------------------------------ layers
    "conv": layers.convolution,
    "conv_input": layers.transposed_convolution,
    "_maxima": lambda g, x, windows, memo: layers.max_pool(g, x, windows)[0],
    "places_of_maxima": lambda g, x, windows: layers.max_pool(g, x, windows, places=True)[1],
    "_means": layers.mean_pool,
    "_unpool": layers.unpooled,
    "_resample": layers.resampled,
    "folding._unfold": layers.columns,
    "_fold": layers.columns_back,
    "batch_norm": layers.batch_norm,
    "_row_norm": layers.row_norm,
    "_channel_norm": layers.channel_norm,
    "_scaled": lambda g, x, scale, shift: g.Add(g.Mul(x, scale), shift),
    "evaluated": lambda g, x, weight, bias, mean, variance, eps: layers.batch_norm(g, x, eps, weight, bias, mean, variance),
    "_lstm_steps": layers.lstm,
    "_gru_steps": layers.gru,
    # ------------------------------------------------------------------------------------------------ indices
    "_embedding": lambda g, table, index, *_: g.Gather(table, index, axis=0),
    "_embedding_sparse": lambda g, table, index, *_: g.Gather(table, index, axis=0),
    "_rows_at": lambda g, table, index: g.Gather(table, index, axis=0),
    "_rows_summed": f.rows_summed,
    "_gather": lambda g, x, dim, index: f.picked(g, x, dim, index),
    "_index_select": lambda g, x, dim, index: g.Gather(x, f.flat(g, index), axis=dim) if x.shape else g.term(x),
    "_take": lambda g, x, index: g.Gather(f.flat(g, x), index, axis=0),
    "_pick": lambda g, x, index: g.Squeeze(g.GatherElements(x, g.Unsqueeze(index, [1]), axis=1), [1]),
    "_values_at": f.values_at,
    "_index": f.at_indices,
    "_index_put": f.put_at_indices,
    "_scatter": lambda g, x, dim, index, src: f.scattered(g, x, dim, index, src, "none"),
    "_scatter_add": lambda g, x, dim, index, src: f.scattered(g, x, dim, index, src, "add"),
    "_scatter_reduce": f.scattered_and_reduced,
    "_index_add": lambda g, x, dim, index, source: f.scattered_rows(g, x, dim, index, source, "add"),
    "_index_copy": lambda g, x, dim, index, source: f.scattered_rows(g, x, dim, index, source, "none"),
    "_index_fill": lambda g, x, dim, index, value: f.scattered_rows(g, x, dim, index, value, "none"),
    "kernels.take": lambda g, x, index: g.Gather(x, index, axis=0),
    "kernels.one_hot": lambda g, x, classes: g.OneHot(x, np.int64(classes), np.array([0, 1]), dtype=INT),
    # ------------------------------------------------------------------------------------------------ masks
    "kernels.shown": lambda g, mask, dtype: g.Where(g.cast(mask, BOOL), g.cast(0, dtype), g.cast(-np.inf, dtype)),
    "kernels.hidden": lambda g, mask, dtype: g.Where(g.cast(mask, BOOL), g.cast(-np.inf, dtype), g.cast(0, dtype)),
    "kernels.for_heads": f.for_heads,
}
"""Translations by the name of the primitive, or by its file and name if two have the same name."""
