"""torch's names of the nodes of the graph, if they do not follow from the name of the recorded primitive.

A function that is one operation in torch, and several primitives here, gives the last node of its result torch's name: see
`recorded`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from mini_dl._dtypes import INEXACT, Function
from mini_dl._importing import wraps
from mini_dl.autograd.graph import Node, edge_of
from mini_dl.autograd.mode import mode
from mini_dl.tensor import LEAF, LEAF_VIEW, Edge, Tensor, without_base

Naming = str | Callable[..., str]
"""A name, or a function that returns it for the arguments of the call."""


def title(name: str, number: int | str = 0) -> str:
    """``AvgPool2DBackward0`` for ``avg_pool2d``: torch's rule."""
    return f"{name.title().replace('_', '')}Backward{number}"


def numbered(name: str, argument: str, position: int = 1) -> Callable[..., str]:
    """The name with a 1 if an argument is a tensor, and a 0 if it is a number."""

    def name_of(*args: object, **kwargs: object) -> str:
        value = args[position] if len(args) > position else kwargs.get(argument)
        return f"{name}Backward{int(isinstance(value, Tensor))}"

    return name_of


def with_dims(name: str, of_all: int, of_some: int) -> Callable[..., str]:
    """The name of a function that reduces everything, or along one dimension."""

    def name_of(input: Tensor, dim: object = None, keepdim: bool = False, *, other: object = None) -> str:
        if isinstance(dim, Tensor) or other is not None:
            return f"{name}imumBackward0"
        return f"{name}Backward{of_all if dim is None else of_some}"

    return name_of


def pooled(name: str, flat: str = "SqueezeBackward1") -> dict[str, Naming]:
    """The names of a function of one, two and three dimensions: torch computes the first by the second."""
    return {f"{name}1d": flat, f"{name}2d": title(f"{name}2d"), f"{name}3d": title(f"{name}3d")}


def _pad(input: Tensor, pad: Any, mode: str = "constant", value: object = None) -> str:
    kinds = {"reflect": "ReflectionPad", "replicate": "ReplicationPad"}
    if mode in kinds:
        return f"{kinds[mode]}{len(pad) // 2}DBackward0"
    return "ConstantPadNdBackward0" if mode == "constant" else "torch::autograd::CopySlices"


def _interpolate(input: Tensor, *args: Any, **kwargs: Any) -> str:
    mode, n = args[2] if len(args) > 2 else kwargs.get("mode", "nearest"), input._array.ndim - 2
    if mode == "area":
        return "SqueezeBackward1" if n == 1 else f"AdaptiveAvgPool{n}DBackward0"
    smooth = "Aa" if (args[5] if len(args) > 5 else kwargs.get("antialias")) else ""
    return f"Upsample{mode.title().replace('-', '')}{n}D{smooth}Backward0"


def _upsampled(mode: str) -> Callable[..., str]:
    return lambda input, *args, **kwargs: _interpolate(input, mode=mode)


def _grid_sampler(input: Tensor, *args: object, **kwargs: object) -> str:
    return f"GridSampler{input._array.ndim - 2}DBackward0"


def _by_class(input: Tensor, target: Tensor, *args: object, **kwargs: object) -> str:
    """Losses of classes: those of images have their own kernel."""
    if target._array.dtype.kind not in "iu":
        reduction = args[4] if len(args) > 4 else kwargs.get("reduction", "mean")
        return "DivBackward1" if reduction == "mean" else "NegBackward0"
    return "NllLoss2DBackward0" if input._array.ndim > 2 else "NllLossBackward0"


def _entropy(
    input: Tensor, target: Tensor, weight: object = None, size_average: object = None, ignore_index: int = -100,
    reduce: object = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> str:  # fmt: skip
    smoothed = label_smoothing and target._array.dtype.kind in "iu"
    return "AddBackward0" if smoothed else _by_class(input, target, reduction=reduction)


def _transformed_in_frames(input: Tensor, *args: object, **kwargs: object) -> str:
    if (args[8] if len(args) > 8 else kwargs.get("return_complex")) is False:
        return "ViewAsRealBackward0"
    return "SqueezeBackward4" if input._array.ndim == 1 else "TransposeBackward1"


def _trapezoids(evenly: str, number: int) -> Callable[..., str]:
    def name_of(y: Tensor, x: object = None, *args: object, **kwargs: object) -> str:
        return f"{evenly}Backward{number}" if x is None else "DivBackward1"

    return name_of


def _sorted(input: Tensor, *args: object, stable: object = None, **kwargs: object) -> str:
    return "SortBackward0" if stable is None else "SortBackward1"


def _gathered(input: Tensor, dim: object, index: object, src: object = None, *args: object, **kwargs: object) -> str:
    return "ScatterBackward0" if isinstance(src, Tensor) else "ScatterBackward1"


def _diagonal(input: Tensor, diagonal: int = 0) -> str:
    return "DiagEmbedBackward0" if input._array.ndim == 1 else "DiagonalBackward0_copy"


def _attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: object = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: object = None, enable_gqa: bool = False,
) -> str:  # fmt: skip
    """A matrix product, or torch's fused kernel, which takes batches of heads without dropout."""
    fused = query._array.ndim == 4 and attn_mask is None and not dropout_p and not enable_gqa
    return "ScaledDotProductFlashAttentionForCpuBackward0" if fused else "UnsafeViewBackward0"


def _rounded(input: Tensor, *, decimals: int = 0) -> str:
    return f"RoundBackward{int(decimals != 0)}"


def _reduced(name: str, at: int) -> Callable[..., str]:
    """Losses that torch reduces by a separate operation; `at` is the position of ``reduction``."""
    by = {"mean": "MeanBackward0", "sum": "SumBackward0"}
    return lambda *args, **kwargs: by.get(args[at] if len(args) > at else kwargs.get("reduction", "mean"), name)


def _convolved(n: int) -> Callable[..., str]:
    return lambda input, *args, **kwargs: "SqueezeBackward1" if input._array.ndim == n + 1 else "ConvolutionBackward0"


def _averaged(name: str) -> Callable[..., str]:
    """Averages of everything are means."""

    def name_of(input: Tensor, output_size: object) -> str:
        sizes = output_size if isinstance(output_size, (tuple, list)) else [output_size]
        return "MeanBackward1" if all([size == 1 for size in sizes]) else name

    return name_of


def _drawn(mean: object, std: object = 1.0, *args: object, **kwargs: object) -> str:
    return f"NormalBackward{3 if isinstance(mean, Tensor) and isinstance(std, Tensor) else 1 if isinstance(mean, Tensor) else 2}"


def _transformed(real: str) -> Callable[..., str]:
    """One-dimensional transforms, which have a different kernel for real numbers."""
    return lambda input, *args, **kwargs: real if input._array.dtype.kind != "c" else "FftC2CBackward0"


def _squeezed(input: Tensor, dim: object = None) -> str:
    return "SqueezeBackward0" if dim is None else f"SqueezeBackward{2 if isinstance(dim, (tuple, list)) else 1}"


def copied(name: str) -> str:
    return f"{title(name)}_copy"


ALONE = {
    "torch": "addbmm addcdiv addcmul addmm addmv addr baddbmm block_diag cdist cholesky_inverse cummax cummin diag_embed "
    "diagonal_scatter as_strided_scatter dist kthvalue ldexp mode mv mvlgamma narrow_copy ormqr polar renorm roll rot90 rsub "
    "select_scatter slice_scatter topk trace triangular_solve vdot native_batch_norm native_group_norm native_layer_norm",
    "nn.functional": "binary_cross_entropy binary_cross_entropy_with_logits celu channel_shuffle embedding_bag glu huber_loss "
    "mse_loss multi_margin_loss multilabel_margin_loss pdist pixel_shuffle pixel_unshuffle smooth_l1_loss soft_margin_loss",
    "linalg": "cross householder_product lstsq lu_solve matrix_exp qr solve_triangular",
}
"""Functions, by place, that are one operation in torch: their nodes have their names."""

NAMES: dict[str, Naming] = {
    **{name: title(name) for place in ("torch", "nn.functional") for name in ALONE[place].split()},
    **{name: title(f"linalg_{name}") for name in ALONE["linalg"].split()},
    **{f"{name}_copy": copied(name) for name in "alias as_strided diagonal expand permute t transpose unfold view".split()},
    "select_copy": copied("select"), "split_with_sizes_copy": copied("split_with_sizes"), "unbind_copy": copied("unbind"),
    "unsqueeze_copy": copied("unsqueeze"),
    "squeeze_copy": lambda *args, **kwargs: _squeezed(*args, **kwargs) + "_copy",
    "aminmax": "AminmaxBackward0",
    "group_norm": "NativeGroupNormBackward0", "instance_norm": "ViewBackward0", "rms_norm": "MulBackward0",
    "clamp_max": numbered("ClampMax", "max"), "clamp_min": numbered("ClampMin", "min"),
    "cosine_similarity": "SumBackward1",
    "cross": "LinalgCrossBackward0",
    "nll_loss": _by_class, "cross_entropy": _entropy, "ctc_loss": _reduced("CtcLossBackward0", 5),
    "diag": _diagonal, "diagflat": "DiagEmbedBackward0",
    "grid_sample": _grid_sampler, "grid_sampler": _grid_sampler,
    "index_fill": numbered("IndexFill", "value", 3), "masked_fill": numbered("MaskedFill", "value", 2),
    "interpolate": _interpolate, "upsample": _interpolate,
    "upsample_nearest": _upsampled("nearest"), "upsample_bilinear": _upsampled("bilinear"),
    "lerp": numbered("Lerp", "weight", 2),
    "linalg.lu": "LinalgLuBackward0", "lu_unpack": "LuUnpackBackward0",
    "lu": "LinalgLuFactorExBackward0", "lu_factor": "LinalgLuFactorExBackward0", "lu_factor_ex": "LinalgLuFactorExBackward0",
    "lu_solve": "LinalgLuSolveBackward0",
    "max": with_dims("Max", 1, 0), "min": with_dims("Min", 1, 0),
    "median": with_dims("Median", 0, 1), "nanmedian": with_dims("Nanmedian", 0, 1),
    "msort": "SortBackward0", "sort": _sorted,
    "normal": _drawn, "bernoulli": "BernoulliBackward0",
    "outer": "MulBackward0",
    "pad": _pad,
    "pairwise_distance": "NormBackward1",
    "qr": "LinalgQrBackward0",
    "round": _rounded,
    "rrelu": "RreluWithNoiseBackward0",
    "scaled_dot_product_attention": _attention,
    "scatter": _gathered,
    "solve": "LinalgSolveExBackward0", "solve_ex": "LinalgSolveExBackward0",
    "triangular_solve": "TriangularSolveBackward0",
    "unsafe_chunk": "UnsafeSplitBackward0", "unsafe_split": "UnsafeSplitBackward0",
    "unsafe_split_with_sizes": "UnsafeSplitWithSizesBackward0", "kron": "UnsafeViewBackward0",
    "unfold": "Im2ColBackward0", "fold": "Col2ImBackward0",
    **pooled("adaptive_avg_pool"), **pooled("adaptive_max_pool"), **pooled("avg_pool"), **pooled("max_unpool"),
    **pooled("fractional_max_pool"),
    "adaptive_avg_pool2d": _averaged("AdaptiveAvgPool2DBackward0"),
    "adaptive_avg_pool3d": _averaged("AdaptiveAvgPool3DBackward0"),
    "max_pool1d": "SqueezeBackward1", "max_pool2d": "MaxPool2DWithIndicesBackward0",
    "max_pool3d": "MaxPool3DWithIndicesBackward0",
    **{f"conv_transpose{n}d": _convolved(n) for n in (1, 2, 3)},
    "fft.fft": _transformed("FftR2CBackward0"), "fft.ifft": _transformed("ConjBackward0"),
    "trapezoid": _trapezoids("Mul", 1), "trapz": _trapezoids("Mul", 1), "cumulative_trapezoid": _trapezoids("Cumsum", 0),
    "fill": numbered("Fill", "value"), "logdet": "WhereBackward0",
    "stft": _transformed_in_frames,
    "quantile": "SqueezeBackward4", "nanquantile": "SqueezeBackward4", "combinations": "StackBackward0",
    "sum_to_size": "SumBackward1", "torch.cholesky": "CholeskyBackward0",
}  # fmt: skip
"""Functions whose name does not follow from their own, or depends on their arguments."""


# ------------------------------------------------------------------------------------------------ primitives


def by_number_of_results(name: str) -> Callable[[Node], str]:
    """Reductions: 0 if everything is reduced to one number."""
    return lambda node: f"{name}Backward{int(node.shape_ != ())}"


def by_ndim(low: str, high: str, vector: str = "") -> Callable[[Node], str]:
    """Products: torch folds the leading dimensions of more than two into one, and unfolds the result."""
    return lambda node: vector if vector and len(node.shape_) == 1 else low if len(node.shape_) <= 2 else high


def by_batch(node: Node) -> str:
    return "BmmBackward0" if len(node.shape_) == 3 else "UnsafeViewBackward0"


def by_other(name: str) -> Callable[[Node], str]:
    """1 if the second operand is a tensor that requires grad, or that is saved."""

    def name_of(node: Node) -> str:
        other = (node.saved_ or {}).get("other", ())
        found = int(node.edges_[-1] is not None or len(other) in (2, 4))
        return f"{name}Backward{found}"

    return name_of


PRIMITIVES: dict[str, str | Callable[[Node], str]] = {
    "_affine": by_ndim("AddmmBackward0", "ViewBackward0", "ViewBackward0"),
    "_batched": by_batch,
    "_cast": "ToCopyBackward0",
    "_channel_norm": "NativeBatchNormBackward0", "_scaled": "NativeBatchNormBackward0", "_row_norm": "NativeLayerNormBackward0",
    "_cross_entropy": "NllLossBackward0",
    "_conjugate": "ConjBackward0",
    "_floor_div": "DivBackward2", "_trunc_div": "DivBackward2",
    "_gelu_tanh": "GeluBackward0", "_lu_square": "LinalgLuBackward0",
    "_mean": by_number_of_results("Mean"), "_prod": by_number_of_results("Prod"), "_sum": by_number_of_results("Sum"),
    "_pow": "PowBackward1", "_pow_number": "PowBackward0",
    "_copied": "torch::autograd::CopyBackwards", "_fill": lambda node: f"FillBackward{1 + int(node.edges_[-1] is None)}",
    "floor_divide": "torch::autograd::NotImplemented",
    "_rows": by_ndim("MmBackward0", "UnsafeViewBackward0", "MvBackward0"),
    "_squeeze1": "SqueezeBackward1", "_squeeze2": "SqueezeBackward2",
    "_square": "PowBackward0", "square": "PowBackward0",
    "_vector_norm": "LinalgVectorNormBackward0", "ndtr": "MulBackward1",
    "complex_to_complex": "FftC2CBackward0", "complex_to_real": "FftC2RBackward0", "real_to_complex": "FftR2CBackward0",
    "_clamp_to": "ClampBackward1", "fmod": by_other("Fmod"), "remainder": by_other("Remainder"),
    "_imag": "SelectBackward0", "_real": "SelectBackward0",
    **{f"_{name}": title(f"linalg_{name}") for name in "det eig eigh pinv qr slogdet svd".split()},
    **{f"_{name}": title(f"linalg_{name}_ex") for name in "cholesky inv solve".split()},
    "_triangular": "LinalgSolveTriangularBackward0",
    **{name: title(f"special_{name}") for name in "entr erfcx i0e i1 i1e log_ndtr ndtri xlog1py".split()},
}  # fmt: skip
"""Names, or functions that return them for the node."""


IN_PLACE = {
    **{name: title(name, 1) for name in "acosh asinh atanh celu elu leaky_relu threshold".split()},
    "rrelu": "RreluWithNoiseBackward1", "selu": "EluBackward1",
}  # fmt: skip
"""The names of functions for which torch has a formula of its own in place."""

REFLECTED = {"_pow": "PowBackward2", "_sub": "RsubBackward1", "remainder": "RemainderBackward1"}
"""Primitives whose nodes have a different name if the first operand is a number."""

ORDER: dict[str, tuple[int, ...]] = {"_affine": (2, 0, 1)}
"""The order of the edges that nodes show, if it is not that of the arguments."""


def name_of_primitive(name: str) -> str | Callable[[Node], str]:
    """The name of the nodes of a primitive."""
    return PRIMITIVES.get(name) or title(name)


# ------------------------------------------------------------------------------------------------ compositions

_named: dict[tuple[Any, str], Any] = {}
"""Primitives under another name, by the primitive and that name."""


def rename(result: Any, name: str) -> None:
    """Rename the node that a call has just created."""
    edge = result._edge
    if edge is None:
        return
    node = edge[0] if edge.__class__ is tuple else edge
    if isinstance(node, Node):
        node.op_ = under(node.op_, name)


def under(primitive: Any, name: str) -> Any:
    """`primitive`, with nodes of this name."""
    found = _named.get((primitive, name))
    if found is None:
        found = _named[primitive, name] = copy.copy(primitive)
        found.grad_name = name
    return found


VIEWS = ("SqueezeBackward1", "ViewBackward")
"""How the names of functions begin whose results are views of what torch computes first."""

PLACES = ("torch", "nn.functional", "linalg", "fft")


def recorded(function: Function, place: str, name: str) -> Function:
    """`function`, published in `place` as `name`, with its nodes named as torch names them."""
    naming = NAMES.get(f"{place}.{name}", NAMES.get(name)) if place in PLACES else None
    if naming is None:
        return function
    if hasattr(function, "op"):
        if isinstance(naming, str):
            function.op.grad_name = naming
        return function

    @wraps(function)
    def call(*args: object, **kwargs: object) -> Any:
        result = function(*args, **kwargs)
        if mode.enabled:
            show(result, naming, args, kwargs)
        if result.__class__ is not Tensor or result._base is not None:
            _release(result, naming, args, kwargs)
        return result

    return call


def _release(result: object, naming: Naming, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    """Let views of what the function computed be tensors of their own, unless torch's results are views too."""
    results = result if isinstance(result, tuple) else (result,)
    views = [one for one in results if isinstance(one, Tensor) and one._base is not None]
    if not views or (naming if isinstance(naming, str) else naming(*args, **kwargs)).startswith(VIEWS):
        return
    given = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
    inputs = [value if value._base is None else value._base for value in given]
    for one in views:
        if not any([one._base is input for input in inputs]):
            without_base(one)


def as_one(result: Tensor, name: str, *arguments: Tensor | None) -> Tensor:
    """`result`, whose node is that of a function of these arguments."""
    if mode.enabled:
        show(result, name, arguments, {})
    return result


def show(result: object, naming: Naming, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    """Give the node of a result, or of each, if the call created one, the name of the function and the edges of its arguments."""
    if result.__class__ is not Tensor:
        if isinstance(result, tuple):
            for one in result:
                show(one, naming, args, kwargs)
            return
        if not isinstance(result, Tensor):
            return
    edge = result._edge
    if edge is None or edge is LEAF or edge is LEAF_VIEW or (args and any([result is value for value in args])):
        return
    node = edge[0] if edge.__class__ is tuple else edge
    node.op_ = under(node.op_, naming if naming.__class__ is str else naming(*args, **kwargs))  # type: ignore[operator]
    inputs: list[Edge | None] = []
    node.inputs_ = inputs
    for value in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(value, Tensor):
            edge = value._edge
            if edge is LEAF:
                inputs.append(value)
            elif edge is not None or value._array.dtype.kind in INEXACT:
                inputs.append(edge if value._base is None else edge_of(value))
        elif value.__class__ is list or value.__class__ is tuple:
            inputs += [edge_of(one) for one in value if isinstance(one, Tensor)]
