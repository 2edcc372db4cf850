"""One definition, every spelling: ``torch.f``, ``Tensor.f``, ``Tensor.f_``, ``out=``, ``nn.functional.f``, ``special.f`` ...

A decorator above the function declares where it appears; nothing else lists it.
"""

from __future__ import annotations

import inspect
import types
import warnings
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._arguments import parsed, parser_of
from mini_dl._checks import level_of_user, type_name
from mini_dl._dtypes import Function, c_name, castable, scalar_name
from mini_dl._families import with_family
from mini_dl._importing import wraps
from mini_dl._layout import converted
from mini_dl._meta import is_meta_array
from mini_dl._signatures import LateSignature, named_results, show, signature_behind
from mini_dl.autograd.former import given_array
from mini_dl.autograd.graph import needs_grad
from mini_dl.autograd.inplace import (
    any_needs_grad,
    check_cast,
    check_memory,
    check_operand_types,
    count_write,
    inplace as in_place,
)
from mini_dl.autograd.mode import at_work, mode
from mini_dl.autograd.node_names import recorded
from mini_dl.autograd.overlaps import ACCUMULATING, NO_OVERLAP, UNCHECKED, check_operands
from mini_dl.autograd.places import resized
from mini_dl.autograd.primitive import refuse_bare
from mini_dl.tensor import Tensor


class Names(dict[str, Any]):
    """The public names of one place. TypeError if a name is defined a second time: the later would hide the earlier."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def __setitem__(self, name: str, value: object) -> None:
        if name in self:
            raise published_twice(self.where, name, self[name], value)
        super().__setitem__(name, value)


NAMESPACES: dict[str, Names] = {}

FUNCTIONS_IN_PLACE = frozenset(
    "abs_ acos_ acosh_ addmv_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ asin_ asinh_ atan_ atanh_ ceil_ celu_ clamp_ "
    "clamp_max_ clamp_min_ clip_ conj_physical_ cos_ cosh_ deg2rad_ erf_ erfc_ exp2_ exp_ expm1_ fix_ floor_ frac_ gcd_ i0_ "
    "index_put_ lcm_ ldexp_ log10_ log1p_ log2_ log_ logit_ nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ relu_ round_ rsqrt_ "
    "selu_ sigmoid_ sin_ sinc_ sinh_ sqrt_ square_ tan_ tanh_ threshold_ trunc_ xlogy_".split()
)
"""The in-place methods that torch also offers as functions."""

OWN = frozenset(["manual_seed", "set_rng_state"])
"""Functions whose Python code in torch converts arguments, and rejects others with its own messages."""

WRITTEN_IN_PYTHON = frozenset(
    "set_printoptions split broadcast_tensors broadcast_shapes get_default_device atleast_1d atleast_2d atleast_3d block_diag "
    "meshgrid cartesian_prod chain_matmul tensordot is_tensor cdist manual_seed seed initial_seed get_rng_state set_rng_state "
    "einsum unravel_index from_dlpack norm lu svd_lowrank pca_lowrank unique unique_consecutive stft save load backward "
    "register_hook register_post_accumulate_grad_hook unflatten share_memory_ is_shared".split()
)
"""The functions and methods of torch that bypass its argument parser: they accept no aliases."""
PARSED_FUNCTIONAL = frozenset(
    "hardshrink softshrink softplus logsigmoid gelu relu_ selu_ celu_ linear bilinear scaled_dot_product_attention conv1d conv2d "
    "conv3d conv_transpose1d conv_transpose2d conv_transpose3d conv_tbc pairwise_distance cosine_similarity pdist rrelu_ one_hot "
    "pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle avg_pool1d avg_pool2d avg_pool3d prelu "
    "adaptive_avg_pool1d".split()
)
"""The functions of ``nn.functional`` that use it."""


def has_parser(where: str, name: str) -> bool:
    """Whether torch's parser checks the arguments of the function of this name there."""
    if where in ("torch", "Tensor"):
        return name not in WRITTEN_IN_PYTHON and not name.startswith("__")
    return name in PARSED_FUNCTIONAL if where == "nn.functional" else where in ("special", "linalg", "fft")


def namespace(name: str) -> dict[str, Any]:
    """The public names of ``torch`` or of one of its parts: ``special``, ``linalg``, ``fft``, ``nn.functional``."""
    if name not in NAMESPACES:
        NAMESPACES[name] = Names(name)
    return NAMESPACES[name]


PLACES = ("torch", "Tensor", "nn.functional", "special", "linalg", "fft", "random", "masked", "utils.dlpack")


def publish(where: str, name: str, value: object) -> None:
    """Give `value` the public name there. TypeError if the name is taken, or if there is no such place."""
    if where not in PLACES:
        raise TypeError(f"{name} cannot be published in {where!r}; the places are {', '.join(PLACES)}")
    if where != "Tensor":
        namespace(where)[name] = value
    elif name in vars(Tensor):
        raise published_twice(where, name, vars(Tensor)[name], value)
    else:
        setattr(Tensor, name, value)


def show_methods() -> None:
    """Make names that are public when published, mainly the methods of Tensor, show their public signatures."""
    for value in vars(Tensor).values():
        if type(value) is types.FunctionType:
            show(value, method=True)
    for value in namespace("random").values():
        if type(value) is types.FunctionType:
            show(value)


def published_twice(where: str, name: str, first: object, second: object) -> TypeError:
    return TypeError(
        f"{where}.{name} is published twice: {written_at(first)} and {written_at(second)}; remove one, or give it another name"
    )


def written_at(value: object) -> str:
    """Where the function behind a public name is defined."""
    code = getattr(inspect.unwrap(value), "__code__", None) if callable(value) else None
    return repr(value) if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def public(*places: str, inplace: bool = False, out: bool | Function = False, operators: str = "") -> Callable[[Function], Any]:
    """Publish a function in `places`: "torch", "Tensor", "nn.functional", "special", "linalg", "fft"; "special:expit" sets a
    different name there.

    `inplace` adds ``Tensor.f_`` (and ``torch.f_`` if torch has it). `out` adds the keyword ``out=`` (not on Tensor): a function
    ``check(result, out, args)`` raises if it is unsuitable.
    `operators` are special methods that are this function.
    """
    refuse_bare("method", (*places, operators))

    def decorate(function: Function) -> Function:
        versions: dict[tuple[bool, bool], tuple[Function, Function]] = {}
        function.__doc__ = with_family(function.__doc__, family_of(function), NAMESPACES)
        function = recorded(function, *spelled(places[0], function))
        for place in places:
            where, name = spelled(place, function)
            native = has_parser(where, name)
            alone = where == "Tensor" and getattr(function, "spread", False)  # its first argument is always a tensor
            if (native, alone) not in versions:
                looked_at = not alone and where in ("torch", "Tensor", "masked") and not name.startswith("__") and name not in OWN
                exact = parsed(function, native) if (native and not alone) or looked_at or where == "nn.functional" else function
                writing = with_out(exact, out, where) if out else exact
                if out and (parser := parser_of(exact)):
                    parser.writing = writing
                versions[native, alone] = exact, writing
            plain, writing = versions[native, alone]
            publish(where, name, (function if is_unary(function) else plain) if where == "Tensor" else writing)
            if inplace and (where == "Tensor" or (where == "torch" and name + "_" in FUNCTIONS_IN_PLACE)):
                publish(where, name + "_", in_place(plain, name + "_"))
        for operator in operators.split():
            publish("Tensor", operator, function)
        function.published = True  # type: ignore[attr-defined]  # `primitive.refuse_order` asks
        return function

    return decorate


def named(function: Function, name: str, doc: str | None) -> Function:
    """`function`, one of a family that is written once, with its own name and docstring."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def family_of(function: Function) -> str:
    """The family whose shapes and errors the docstring shows (`_families`): that of the declaration."""
    primitive = getattr(function, "op", None)
    if primitive is None:
        return ""
    return (
        "elementwise" if primitive.unary else "binary" if hasattr(primitive, "operators") else "view" if primitive.looks else ""
    )


def is_unary(function: Function) -> bool:
    """Whether `function` is a primitive that takes one tensor and checks it itself: as a method it needs no parser."""
    primitive = getattr(function, "op", None)
    return primitive is not None and primitive.unary and primitive.call is function


def spelled(place: str, function: Function) -> tuple[str, str]:
    where, _, name = place.partition(":")
    return where, name or function.__name__


def method(
    *others: str, alias: str = "", inplace: bool = False, out: bool | Function = False, operators: str = ""
) -> Callable[[Function], Any]:
    """Publish as ``torch.f`` and ``Tensor.f``, both also under the name `alias`, and in the `others` of the places."""
    again = (f"torch:{alias}", f"Tensor:{alias}") if alias else ()
    return public("torch", "Tensor", *others, *again, inplace=inplace, out=out, operators=operators)


def function(*, out: bool | Function = False) -> Callable[[Function], Any]:
    """Publish as ``torch.f``."""
    return public("torch", out=out)


def tensor_method(operators: str = "") -> Callable[[Function], Any]:
    """Publish as ``Tensor.f``."""
    return public("Tensor", operators=operators)


# ------------------------------------------------------------------------------------------------ out=


def with_out(function: Function, check: bool | Function = True, where: str = "torch") -> Function:
    """`function` with a keyword ``out``: a tensor, or a tuple of tensors if there are several results."""

    apart, differentiable = function.__name__ in NO_OVERLAP, function.__name__ not in WITHOUT_GRADIENT
    typed, casts = function.__name__ in TYPED_BY_OUT, function.__name__ in CASTING
    looked_at = apart or (where not in ("fft", "linalg") and function.__name__ not in UNCHECKED)

    @wraps(function)
    def call(*args: object, out: Any = None, **kwargs: object) -> Any:
        if out is None:
            return function(*args, **kwargs)
        if (
            mode.enabled
            and differentiable
            and (any_needs_grad(args) or any_needs_grad(kwargs.values()) or any_needs_grad(_tuple(out)))
        ):
            raise RuntimeError(
                f"{function.__name__}(): functions with out=... arguments don't support automatic differentiation, "
                "but one of the arguments requires grad."
            )
        if at_work.anywhere and at_work.has_tangents((*args, *kwargs.values(), out)):
            raise NotImplementedError(
                f"Trying to use forward AD with {function.__name__}_out that does not support it because it is an out= function"
            )
        if typed and isinstance(out, Tensor) and kwargs.get("dtype") is None:
            kwargs["dtype"] = out.dtype
        looks = looked_at and not at_work.anywhere
        asked = [one for one in _tuple(out) if isinstance(one, Tensor) and not one._sparse] if looks else []
        try:
            result = function(*args, **kwargs)
        except NotImplementedError:  # of the type, which torch checks after the memory
            for one in asked:
                check_target(one, args, apart)
                check_operand_types(function, one, (*args, *kwargs.values()))
            raise
        for one in asked if isinstance(result, tuple) == isinstance(out, (tuple, list)) else ():  # else `check_out` refuses
            check_target(one, _compared(function.__name__, (*args, *kwargs.values()), one), apart)
        check_out(function.__name__, result, out)
        read = [value for value in args if isinstance(value, Tensor)]
        if len(read) > 1 and any([out is value for value in read]) and out._array.shape != result._array.shape:
            raise RuntimeError(f"output with shape {list(out.shape)} doesn't match the broadcast shape {list(result.shape)}")
        if callable(check):
            check(result, out, (*args, *kwargs.values()))
        if is_abstract(result):
            raise RuntimeError(
                f"Batching rule not implemented for aten::{function.__name__}.out; the fallback path doesn't work on out= or "
                "view ops."
            )
        return store(result, out, casts, warns=not casts)

    call.__signature__ = LateSignature(lambda: _with_keyword(function))  # type: ignore[attr-defined]
    return call


def _with_keyword(function: object) -> inspect.Signature:
    """The signature of `function` in its source, with ``out``."""
    while not hasattr(function, "__signature__") and hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    signature = signature_behind(function)
    keyword = inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None)
    parameters = list(signature.parameters.values())
    at = len(parameters) - (bool(parameters) and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD)
    return signature.replace(parameters=[*parameters[:at], keyword, *parameters[at:]])


def _compared(name: str, values: tuple[object, ...], out: Tensor) -> tuple[object, ...]:
    """The operands that may not overlap with `out`."""
    if name in ACCUMULATING and out is values[0]:
        return values[1:]
    return () if name in ("aminmax", "max", "min") and len(values) == 1 else values  # over everything: nothing is read any more


WITHOUT_GRADIENT = frozenset(
    "all any argmax argmin bucketize eq equal ge greater greater_equal gt hash_tensor histc isin isneginf isposinf le less "
    "less_equal logical_and logical_not logical_or logical_xor lt ne nonzero not_equal searchsorted signbit".split()
)
"""Functions whose results never require grad: their operands may, also with ``out``."""
OWN_TYPE = frozenset(
    "_linalg_cholesky _linalg_cross _linalg_slogdet _lu_solve abs addbmm addmm addmv alias_copy aminmax argmax argmin "
    "as_strided_copy avg_pool2d avg_pool3d baddbmm bitwise_not bmm bucketize ceil cholesky_ex conj_physical cross cummax "
    "cummin det diag diagonal_copy diff dot eigh eigvalsh expand_copy floor frac frexp gelu hardshrink hash_tensor histc "
    "histogram index_add index_copy index_reduce index_select inner inv inv_ex isin isneginf isposinf kthvalue ldl_factor "
    "ldl_factor_ex ldl_solve linalg_qr linalg_svd linear log_softmax logcumsumexp logsigmoid lu lu_factor lu_factor_ex "
    "lu_solve lu_unpack masked_select matmul matrix_norm matrix_power median mm mode msort multi_dot mv nan_to_num "
    "nanmedian nanquantile narrow_copy native_batch_norm neg nonzero norm ormqr permute_copy polar qr quantile renorm round "
    "scatter scatter_add scatter_reduce searchsorted sgn sign signbit slice_scatter slogdet softmax softplus softshrink "
    "solve solve_ex solve_triangular sort split_with_sizes_copy squeeze_copy svd svdvals t_copy take take_along_dim "
    "tensordot topk transpose_copy triangular_solve tril triu trunc unbind_copy unfold_copy unsqueeze_copy vdot vecdot "
    "vector_norm view_copy".split()
)
"""Functions that write only into tensors of the type of their result."""
CASTING = frozenset(["bernoulli", "split_copy"])
"""Functions that write into tensors of any type, and resize them without a warning."""
TYPED_BY_OUT = frozenset(["cumprod", "cumsum", "prod", "sum"])
"""Functions that compute in the type of `out` unless they are given another, which `out` must have."""
REAL = frozenset("hfft hfft2 hfftn irfft irfft2 irfftn".split())
"""Functions that do not write into complex numbers."""
JOINING = frozenset("cat column_stack dstack hstack stack vstack".split())
"""Functions whose TypeError says that a type cannot be cast."""


def check_out(name: str, result: Any, out: Any) -> None:
    """TypeError unless `out` is a tensor, or several if there are several results; RuntimeError for rejected types."""
    several = isinstance(result, tuple)
    if several != isinstance(out, (tuple, list)) or not all([isinstance(one, Tensor) for one in _tuple(out)]):
        wanted = "tuple of Tensors" if several else "Tensor"
        raise TypeError(f"{name}(): argument 'out' must be {wanted}, not {type_name(out)}")
    if several:
        check_number(result, out)
    if name in JOINING and not castable(result._array.dtype, out._array.dtype):
        raise TypeError(f"torch.{name}(): input types can't be cast to the desired output type {scalar_name(out._array.dtype)}")
    if name in REAL and out._array.dtype.kind == "c":
        raise RuntimeError(f"{name} expects a floating point output tensor, but got {scalar_name(out._array.dtype)}")
    if name in OWN_TYPE or name in TYPED_BY_OUT:
        check_types(result, out)


def check_types(result: Any, out: Any) -> None:
    for one, target in zip(_tuple(result), _tuple(out)):
        if one._array.dtype != target._array.dtype:
            want, given = c_name(one._array.dtype), c_name(target._array.dtype)
            raise RuntimeError(f"Expected out tensor to have dtype {want}, but got {given} instead")


def check_number(result: Sequence[object], out: Sequence[object]) -> None:
    if len(out) != len(result):
        raise TypeError(f"expected tuple of {len(result)} elements for out but got {len(out)}")


def store(result: Any, out: object, casts: bool = False, warns: bool = True) -> Any:
    """Write `result` into `out`, which takes its shape, and return `out`. RuntimeError if the type cannot be cast, unless it
    `casts` to any; it `warns` if elements are lost."""
    if isinstance(result, tuple):
        outs = _tuple(out)
        check_number(result, outs)
        for one, target in zip(result, outs):
            store(one, target, casts, warns)
        return type(result)(*outs) if hasattr(result, "_fields") else tuple(outs)
    if not isinstance(out, Tensor):
        raise TypeError(f"argument 'out' must be Tensor, not {type(out).__name__}")
    source, target = result._array, out._array
    if is_meta_array(target) and not is_meta_array(source):
        raise RuntimeError("Attempting to copy from device cpu to device meta, but cross-device copies are not allowed!")
    if not casts:
        check_cast(source.dtype, target.dtype)
    if source.shape == target.shape:
        check_memory(target)
    else:
        if target.size and warns:
            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(target.shape)}, which does not match "
                f"the required output shape {list(source.shape)}. This behavior is deprecated, and in a future PyTorch release "
                "outputs will not be resized unless they have zero elements.",
                stacklevel=level_of_user(),
            )
        given_array(out, resized(target, source.shape))
    np.copyto(out._array, source if source.dtype == out._array.dtype else converted(source, out._array.dtype), casting="unsafe")
    count_write(out)
    return out


def check_target(out: Tensor, values: tuple[object, ...], apart: bool) -> None:
    """RuntimeError if elements of `out` share memory, or if it overlaps with `values`."""
    check_memory(out._array)
    check_operands(out, values, apart)


def _tuple(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


# ------------------------------------------------------------------------------------------------ named results


class NamedTensors(tuple[Tensor, ...]):
    """The return type of a function with several named results, for annotations."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Tensor: ...


def return_type(name: str, fields: str) -> Callable[..., NamedTensors]:
    """A named tuple that prints as torch's: ``torch.return_types.max(values=..., indices=...)``."""
    names = tuple(fields.split())

    def __repr__(self: Any) -> str:
        lines = ",\n".join(f"{field}={value!r}" for field, value in zip(self._fields, self))
        return f"torch.return_types.{name}(\n{lines})"

    def __reduce__(self: Any) -> Any:
        return _named_result, (name, tuple(self))

    def __new__(cls: Any, *values: Any) -> Any:
        if len(values) == 1:
            (values,) = values  # a sequence, as torch's classes take it
        if len(values) != len(names):
            raise TypeError(f"{name}() takes a {len(names)}-sequence ({len(values)}-sequence given)")
        return tuple.__new__(cls, values)

    members = {
        "__new__": __new__,
        "__repr__": __repr__,
        "__reduce__": __reduce__,
        "__slots__": (),
        "__module__": "torch.return_types",
        "_fields": names,
        "__match_args__": names,
        **{field: property(itemgetter(number)) for number, field in enumerate(names)},
    }
    made = type(name, (tuple,), members)  # in a quarter of the time of a `namedtuple`, which compiles its code
    namespace("return_types")[name] = named_results[name] = made
    return made


def _named_result(name: str, values: tuple[object, ...]) -> Any:
    return namespace("return_types")[name](*values)


def requires_grad(tensor: Tensor) -> bool:
    """Whether gradients flow to `tensor`, or a function transform is active on it."""
    return needs_grad(tensor) or (bool(at_work.anywhere) and at_work.involves((tensor,)))
