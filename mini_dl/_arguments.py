"""The checks of torch's argument parser before a function runs: aliases, types, and numbers given as tensors.

The annotations of a function define what it accepts. At its first call, a prologue is generated that checks only the
classes of the arguments; only arguments that do not match take the slow path, through `Parser.resolve`. Slow checks, of
the numbers in a list, are made only after a call has failed (`Parser.explain`).

The functions of a public module also check whether an argument overrides them (see `overrides`), and take
``out=``: all of this is in one generated source (`PublicParser`).
"""

from __future__ import annotations

import inspect
import operator
import sys
import types
from collections.abc import Callable
from typing import Any, SupportsIndex

import numpy as np

from mini_dl import overrides
from mini_dl._checks import type_name, warn_once
from mini_dl._device import memory_format
from mini_dl._dtypes import PYTHON_TYPES, Function, dtype, number_as
from mini_dl._families import with_preface
from mini_dl._guidance import mistyped
from mini_dl._importing import innermost, wraps
from mini_dl._signatures import OF_NUMPY, show, signature_behind
from mini_dl.kernels.mersenne import Generator
from mini_dl.tensor import Tensor, is_of_torch

OTHER_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}
"""NumPy's names, which torch's parser accepts too."""

ONLY_A = frozenset("det diagonal inv inv_ex lu lu_factor lu_factor_ex qr slogdet solve solve_ex svd svdvals".split())
"""Functions of ``linalg`` whose matrix torch's parser, too, calls A; that of the others is `input` to it, despite its pages."""

INT_LISTS = frozenset("kernel_size stride padding dilation output_padding output_size dim dims shifts normalized_shape s".split())
"""Parameters that are an int or several ints in every function unless specified otherwise."""

SEVERAL_MEANINGS = frozenset("max min var std var_mean std_mean tensordot".split())
"""Functions whose `dim` or `dims` may be something else: the other tensor, whether to use Bessel's correction, two lists."""

NEVER_NONE = frozenset(
    "max.dim min.dim prod.dim squeeze.dim squeeze_copy.dim median.dim nanmedian.dim trapezoid.x cumulative_trapezoid.x "
    "scatter.reduce repeat_interleave.repeats".split()
)
"""Arguments that may be omitted but may not be None: torch has an overload without them."""

HANDED_ON = frozenset("Tensor int ints bool float Number".split())
ANY_OBJECT = frozenset(
    "inplace return_indices size_average reduce recompute_scale_factor add_zero_attn use_separate_proj_weight center "
    "get_infos _stacklevel multi_margin_loss.p multi_head_attention_forward.embed_dim_to_check "
    "multi_head_attention_forward.dropout_p multi_head_attention_forward.num_heads multi_head_attention_forward.training "
    "multi_head_attention_forward.q_proj_weight multi_head_attention_forward.k_proj_weight "
    "multi_head_attention_forward.v_proj_weight "
    "interpolate.align_corners gaussian_nll_loss.full triplet_margin_with_distance_loss.swap "
    "sum.keepdim prod.keepdim amax.keepdim amin.keepdim argmax.keepdim argmin.keepdim mean.keepdim norm.keepdim std.keepdim "
    "var.keepdim".split()
)
"""The kinds checked for a function that torch implements in Python: those that it passes on, except arguments used only for their
truth value."""


READ_FIRST = frozenset(
    "_functional_log_softmax _functional_softmax "
    "adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d binary_cross_entropy "
    "binary_cross_entropy_with_logits dropout2d dropout3d embedding_bag fractional_max_pool2d fractional_max_pool3d "
    "gaussian_nll_loss glu group_norm gumbel_softmax huber_loss instance_norm interpolate l1_loss linear_cross_entropy "
    "local_response_norm log_softmax margin_ranking_loss max_unpool1d max_unpool2d max_unpool3d mse_loss "
    "multi_head_attention_forward normalize smooth_l1_loss softmax softsign tanhshrink triplet_margin_with_distance_loss "
    "upsample_bilinear upsample_nearest".split()
)
"""Functions whose Python in torch reads an attribute of a tensor before anything else: an AttributeError for non-tensors."""

SIZE_FIRST = frozenset(
    "adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d binary_cross_entropy "
    "binary_cross_entropy_with_logits embedding_bag gaussian_nll_loss huber_loss instance_norm l1_loss max_unpool1d "
    "max_unpool2d max_unpool3d mse_loss smooth_l1_loss".split()
)
"""Those for which this attribute is `size`, which NumPy's arrays and numbers have: a TypeError for them."""

SCALARS = frozenset(
    "celu.alpha dist.p elu.alpha hardshrink.lambd histc.max histc.min normalize.p renorm.maxnorm renorm.p rrelu.lower "
    "rrelu.upper softplus.beta softplus.threshold softshrink.lambd".split()
)
"""Arguments that torch's parser accepts as any number, and converts to a float."""

INDICES = frozenset(
    "minlength num_samples groups storage_offset topk.k kthvalue.k narrow.length narrow_copy.length narrow_copy.start "
    "tril.diagonal triu.diagonal select.index select_copy.index select_scatter.index fft.n ifft.n rfft.n irfft.n hfft.n ihfft.n "
    "vander.N".split()
)
"""Ints that torch reads as symbolic ones, from anything that Python can use as an index."""

HANDED_OVER = frozenset(
    "weight bias out_proj_weight out_proj_bias running_mean running_var indices var log_target pos_weight "
    "gaussian_nll_loss.target".split()
)
"""Tensors that these functions pass on without a check."""


NUMBER_FIRST = {
    "add": ("alpha",), "sub": ("alpha",), "subtract": ("alpha",), "addcmul": ("value",), "addcdiv": ("value",),
    "addmm": ("beta", "alpha"), "addmv": ("beta", "alpha"), "addr": ("beta", "alpha"), "addbmm": ("beta", "alpha"),
    "baddbmm": ("beta", "alpha"),
}  # fmt: skip
"""Functions with deprecated overloads that take numbers between their tensors, ``x.add(2, y)`` or ``addmm(0.5, x, 2, a, b)``,
with the current names of the numbers."""


SPREAD = frozenset(["squeeze", "count_nonzero"])
"""Functions whose `dim` may be several ints, one by one."""


def _overrides(kind: type) -> bool:
    """Whether objects of a class that is not a tensor's may answer calls: their arguments are not checked."""
    return hasattr(kind, "__torch_function__") and not issubclass(kind, Tensor) and not is_of_torch(kind)


def was_to_be_a_tensor(parameter: inspect.Parameter, value: object) -> bool:
    return "Tensor" in str(parameter.annotation) and not isinstance(value, Tensor)


def refused_by_numpy(error: Exception) -> bool:
    """Whether `error` is NumPy's for shapes that do not broadcast or a type that cannot be cast."""
    if type(error) is ValueError:
        return "broadcast" in str(error)
    return "UFuncTypeError" in [kind.__name__ for kind in type(error).__mro__]


class Absent:
    """The sentinel for an omitted argument."""


ABSENT = Absent()
"""A required one."""
LEFT_OUT = Absent()
"""One of `NEVER_NONE`, whose default is None."""


class Parser:
    """Calls `function` with its arguments as torch's parser would pass them. TypeError if they do not match."""

    call: Any
    writing: Function | None = None
    """`call` with the keyword ``out=``."""

    def __init__(self, function: Function, strict: bool) -> None:
        self.function, self.strict = function, strict

    def first(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        """The first call, which installs the generated code of this function in `call`."""
        self.write()
        return self.made_of_tensors(self.call(*args, **kwargs))

    def made_of_tensors(self, result: object) -> Any:
        """The result of the first call. TypeError for an array: the published function is not a primitive."""
        if isinstance(result, np.ndarray) and self.function.__name__ not in OF_NUMPY:
            raise TypeError(
                f"{self.function.__name__}: it returned an array; a composition returns tensors; a function of arrays becomes "
                "a primitive by a decorator (`op`, `unary`, `binary`, `view`) below the one that publishes"
            )
        return result

    def write(self) -> None:
        """Generate the code of `call`."""
        self.parameters = parameters = list(signature_behind(self.function).parameters.values())
        if self.strict and self.function.__name__ in {*NUMBER_FIRST, *SPREAD}:
            at = len([p for p in parameters if p.kind is not p.KEYWORD_ONLY])
            parameters.insert(at, inspect.Parameter("more", inspect.Parameter.VAR_POSITIONAL))
        self.names = {parameter.name for parameter in parameters}
        kinds = [kind_of(p) for p in parameters]
        if not self.strict:
            kinds = ["" if kind not in HANDED_ON or self.is_among(ANY_OBJECT, p) else kind for p, kind in zip(parameters, kinds)]
        if is_general(self.function):
            kinds = ["Tensor" if kind == "Array" else kind for kind in kinds]
        if self.function.__name__ in SEVERAL_MEANINGS:
            kinds = ["" if kind == "ints" else kind for kind in kinds]
        self.kinds = kinds
        text, names = self.text(), dict[str, Any]()
        exec(compile(text, f"<arguments of {self.function.__name__}>", "exec"), globals(), names)
        defaults = [
            (p.name, self.default_of(p), p.kind is p.KEYWORD_ONLY) for p in self.parameters if p.kind is not p.VAR_POSITIONAL
        ]
        self.call.__defaults__ = tuple([value for _, value, keyword in defaults if not keyword])
        self.call.__kwdefaults__ = {name: value for name, value, keyword in defaults if keyword}
        self.call.__code__ = names["make"](self.function, self).__code__

    def is_among(self, names: frozenset[str], parameter: inspect.Parameter) -> bool:
        """Whether `names` has the parameter, for all functions or as ``function.parameter``."""
        return parameter.name in names or f"{self.function.__name__}.{parameter.name}" in names

    def default_of(self, parameter: inspect.Parameter) -> Any:
        """The default of an omitted argument in the generated call."""
        if self.strict and self.is_among(NEVER_NONE, parameter):
            return LEFT_OUT
        return ABSENT if parameter.default is parameter.empty else parameter.default

    def text(self) -> str:
        return text_of(self.parameters, self.kinds, self.strict, self.never_none())

    def never_none(self) -> list[str]:
        return [p.name for p in self.parameters if self.strict and self.is_among(NEVER_NONE, p)]

    def refuse_none(self, name: str, values: tuple[object, ...], named: dict[str, object]) -> Any:
        """Called when an argument that may be omitted is None."""
        raise TypeError(f"{self.function.__name__}(): argument '{name}' may be left out, but it must not be None")

    def resolve(self, values: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Make the call with corrected names and values."""
        given = {p.name: value for p, value in zip(self.parameters, values) if value is not ABSENT}
        if (more := given.pop("more", ())) and self.function.__name__ in SPREAD:
            given["dim"] = (given["dim"], *more)
        elif more:
            self.take_numbers_first(given, more)
        kinds = dict(zip([p.name for p in self.parameters], self.kinds))
        if any([_overrides(type(value)) for value in given.values()]):
            return self.function(**given, **named)
        for other in list(named) if self.strict else ():
            meant = self.meant_by(other)
            default = next((p.default for p in self.parameters if p.name == meant), None)
            if meant in self.names and given.get(meant, default) is default:
                given[meant] = named.pop(other)
        for position, parameter in enumerate(self.parameters, 1):
            if named and not self.strict:
                break  # Python refuses a name that it does not know before anything else
            name = parameter.name
            if name in given and given[name] is not parameter.default:
                given[name] = self.fitted(given[name], kinds[name], parameter, position)
        positional = [p.name for p in self.parameters if p.kind is not p.KEYWORD_ONLY]
        first = [name for name in positional if name in given]
        args = [given.pop(name) for name in first] if first == positional[: len(first)] else []
        try:
            return self.function(*args, **given, **named)
        except Exception as error:
            if named and type(error) is TypeError:
                mistyped(error, self.call, named)
            self.explain(values, error)
            raise

    def meant_by(self, other: str) -> str:
        """The parameter that torch's parser also knows as `other`."""
        meant, name = OTHER_NAMES.get(other, other), self.function.__name__.lstrip("_").removeprefix("linalg_")
        if meant == "input" and (name == "vector_norm" or (self.parameters[0].name == "A" and name not in ONLY_A)):
            return self.parameters[0].name
        return "B" if (name, meant) in (("lstsq", "b"), ("tensorsolve", "other")) else meant

    def take_numbers_first(self, given: dict[str, object], more: tuple[object, ...]) -> None:
        """Map the arguments of a call in the deprecated order, with numbers between its tensors, to their current names."""
        name, numbers = self.function.__name__, NUMBER_FIRST[self.function.__name__]
        names = [p.name for p in self.parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        values = [*[given[one] for one in names], *more]
        tensors = [value for value in values if isinstance(value, Tensor)]
        others = [value for value in values if not isinstance(value, Tensor)]
        last = values[1 - len(names) :]
        if len(tensors) != len(names) or not 0 < len(others) <= len(numbers) or not all([isinstance(v, Tensor) for v in last]):
            raise TypeError(f"{name}() takes {len(names)} positional arguments but {len(values)} were given")
        listed = ", ".join([f"Number {number}" for number in numbers])
        warn_once(
            f"This overload of {name} is deprecated:\n\t{name}({', '.join([type_name(v) for v in values])})\n"
            f"Consider using one of the following signatures instead:\n\t{name}({', '.join(names)}, *, {listed})",
            kind="overloads",
        )
        given.update(zip(names, tensors))
        given.update(zip(numbers, others))

    def explain(self, values: tuple[object, ...], error: Exception) -> None:
        """Called when the function has failed: raise the error for an argument that was bound to make it fail, and torch's where
        NumPy refused shapes or types."""
        for position, (parameter, kind, value) in enumerate(zip(self.parameters, self.kinds, values), 1):
            if kind == "ints" and value.__class__ in (tuple, list):
                self.fitted(value, kind, parameter, position)
            elif kind == "int" and value.__class__ is int and not -(2**63) <= value < 2**63:
                raise ValueError("Overflow when unpacking long long") from None
            elif isinstance(error, AttributeError) and error.name and value is error.obj and was_to_be_a_tensor(parameter, value):
                raise TypeError(f"{self.named(parameter, position)} must be Tensor, not {type_name(value)}") from None
        if isinstance(error, MemoryError) and type(error) is not MemoryError:  # NumPy could not allocate an array
            raise RuntimeError(f"{self.function.__name__}(): not enough memory: {error}") from None
        if refused_by_numpy(error):
            raise RuntimeError(f"{self.function.__name__}(): {error}") from None

    def fitted(self, value: object, kind: str, parameter: inspect.Parameter, position: int) -> Any:
        """`value` as an argument of this kind."""
        if kind not in FIT or (value is None and optional(parameter)):
            return value
        fits, called = FIT[kind]
        if isinstance(value, complex) and f"{self.function.__name__}.{parameter.name}" in SCALARS:
            raise RuntimeError("value cannot be converted to type double without overflow") from None
        if value.__class__ is str and parameter.name == "padding" and "transpose" not in self.function.__name__:
            return value  # "same" and "valid"; others are refused with their own message
        found = fits(value)
        if found is NotImplemented and kind == "int" and self.is_among(INDICES, parameter):
            found = as_index(value)
        if found is NotImplemented:
            if (
                kind == "Tensor"
                and not self.strict
                and self.function.__name__ in READ_FIRST
                and not self.is_among(HANDED_OVER, parameter)
                and not (hasattr(value, "size") and self.function.__name__ in SIZE_FIRST)
            ):
                text = f"{type(value).__name__!r} object has no attribute 'size': '{parameter.name}' must be Tensor"
                raise AttributeError(text) from None
            raise TypeError(f"{self.named(parameter, position)} must be {called}, not {type_name(value)}") from None
        return found

    def named(self, parameter: inspect.Parameter, position: int) -> str:
        at = "" if parameter.kind is parameter.KEYWORD_ONLY else f" (position {position})"
        return f"{self.function.__name__}(): argument '{parameter.name}'{at}"


def is_general(function: object) -> bool:
    """Whether `function` is a primitive that does not check its arguments itself: an array in its forward is a tensor in
    the call."""
    primitive = getattr(function, "op", None)
    return primitive is not None and primitive.call is function and not (primitive.unary or hasattr(primitive, "promote"))


def parsed(function: Function, strict: bool = True) -> Function:
    """`function` with torch's checks of arguments and, if `strict`, their aliases."""
    if getattr(function, "spread", False):
        return loosely_parsed(function)
    if innermost(function).__code__.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        return function
    parser = Parser(function, strict)

    call: Any = wraps(function)(placeholder(function, parser))
    call.parser, parser.call = parser, call
    return call


def parser_of(function: object) -> Parser | None:
    """The parser whose call, or call with ``out=``, is `function`."""
    parser: Parser | None = getattr(function, "parser", None)  # or the parser of a wrapped function
    return parser if parser is not None and (function is parser.call or function is parser.writing) else None


def placeholder(function: Function, parser: Parser) -> Any:
    """A function whose code is generated at its first call. That code has the same free variables."""

    def call(*args: object, **kwargs: object) -> Any:
        function  # noqa: B018
        return parser.first(args, kwargs)

    return call


def loosely_parsed(function: Function) -> Function:
    """The same for a function whose arguments are checked elsewhere. The sizes that a method also accepts one by one
    (`spread_out`) must be one sequence."""
    code = innermost(function).__code__
    input, *_, last = names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    in_one = getattr(function, "spread", False)
    others = [other for other, meant in OTHER_NAMES.items() if meant == input]

    @wraps(function)
    def call(*args: object, **kwargs: object) -> Any:
        for other in others if kwargs else ():
            if other in kwargs and input not in kwargs and not args:
                kwargs[input] = kwargs.pop(other)
        if in_one and len(args) > len(names):
            raise TypeError(f"{function.__name__}() takes {len(names)} positional arguments but {len(args)} were given")
        if in_one and len(args) == len(names) and not isinstance(args[-1], (tuple, list)):
            at = f"{function.__name__}(): argument '{last}' (position {len(names)})"
            raise TypeError(f"{at} must be tuple of ints, not {type_name(args[-1])}")
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            mistyped(error, call, kwargs)
            raise
        except AttributeError:
            if args and input in ("input", "self") and not isinstance(args[0], Tensor):
                text = f"{function.__name__}(): argument '{input}' (position 1) must be Tensor, not {type_name(args[0])}"
                raise TypeError(text) from None
            raise

    return call


def text_of(
    parameters: list[inspect.Parameter], kinds: list[str], strict: bool, never_none: list[str], asks: bool = False,
    writes: bool = False,
) -> str:  # fmt: skip
    """The source of a call, here one that `asks` whether an argument overrides the function, and `writes` to ``out``::

    def call(input, dim, keepdim, *, dtype, out, **named_otherwise):
        if named_otherwise or not isinstance(input, Tensor) or dim.__class__ is not int or ... or out is not None:
            return parser.resolve((input, dim, keepdim, dtype, out), named_otherwise)
        try:
            return function(input, dim, keepdim, dtype=dtype)
        except Exception as error:
            if parser.is_answered((input, dim, keepdim, dtype, out)):
                return parser.again((input, dim, keepdim, dtype, out), named_otherwise)
            parser.explain((input, dim, keepdim, dtype, out), error)
            raise
    """
    listed, handed, starred = [], [], False
    for parameter in parameters:
        keyword = parameter.kind is parameter.KEYWORD_ONLY
        if parameter.kind is parameter.VAR_POSITIONAL:
            listed.append(f"*{parameter.name}")
            starred = True
            continue
        if keyword and not starred:
            listed.append("*")
            starred = True
        listed.append(f"{parameter.name}=None")
        handed.append(f"{parameter.name}={parameter.name}" if keyword else parameter.name)
    doubts = [doubt for p, kind in zip(parameters, kinds) if (doubt := doubt_about(p, kind))]
    named = "{}"
    if strict or len(parameters) > 2:  # the others are quick ones, which leave an unknown name to Python
        listed, doubts, named = [*listed, "**named_otherwise"], ["named_otherwise", *doubts], "named_otherwise"
    if writes:
        handed.remove("out=out")
        doubts.append("out is not None")
    values = "".join([f"{p.name}, " for p in parameters])
    asked = f"   if parser.is_answered(({values})): return parser.again(({values}), {named})\n" if asks else ""
    left_out = [
        f"  if {name} is LEFT_OUT: {name} = None\n"
        f"  elif {name} is None: return parser.refuse_none({name!r}, ({values}), {named})\n"
        for name in never_none
    ]
    return (
        f"def make(function, parser):\n def call({', '.join(listed)}):\n{''.join(left_out)}"
        f"  if {' or '.join(doubts) or 'False'}: return parser.resolve(({values}), {named})\n"
        f"  try: return function({', '.join(handed)})\n"
        f"  except Exception as error:\n{asked}   parser.explain(({values}), error)\n   raise\n return call"
    )


QUICK = {
    "Tensor": "not isinstance({0}, Tensor)",
    "Tensor | Number": (
        "{0}.__class__ is not Tensor and {0}.__class__ is not float and {0}.__class__ is not int and not isinstance({0}, Tensor)"
    ),
    "Tensor | float": "{0}.__class__ is not float and {0}.__class__ is not int and not isinstance({0}, Tensor)",
    "bool": "{0} is not True and {0} is not False",
    "int": "{0}.__class__ is not int",
    "float": "{0}.__class__ is not float and {0}.__class__ is not int",
    "Number": "{0}.__class__ is not int and {0}.__class__ is not float",
    "ints": "{0}.__class__ is not int and {0}.__class__ is not tuple and {0}.__class__ is not list",
    "str": "{0}.__class__ is not str",
    "dtype": "{0}.__class__ is not DTYPE",
    "Generator": "{0}.__class__ is not Generator",
    "MemoryFormat": "{0} is not None and {0}.__class__ is not MEMORY_FORMAT",
}
"""By annotation: the condition under which the value of a parameter needs the slow path."""
DTYPE, MEMORY_FORMAT = dtype, memory_format  # under names that no parameter has


def doubt_about(parameter: inspect.Parameter, kind: str) -> str | None:
    """The condition under which the value of `parameter` takes the slow path, or None if it never does."""
    name = parameter.name
    if parameter.kind is parameter.VAR_POSITIONAL:
        return name
    if kind not in QUICK:
        return f"{name} is ABSENT" if parameter.default is parameter.empty else None
    condition = QUICK[kind].format(name)
    return f"({name} is not None and {condition})" if optional(parameter) else f"({condition})"


def kind_of(parameter: inspect.Parameter) -> str:
    """The annotation without modules and without the part that makes it optional; "ints" for `INT_LISTS`."""
    annotation = str(parameter.annotation)
    if parameter.name in INT_LISTS and (annotation in ("Any", "object", "Sequence[int]") or annotation.startswith("Ints")):
        return "ints"
    return annotation.replace(" | None", "").replace("builtins.", "").replace("DType", "dtype")


def optional(parameter: inspect.Parameter) -> bool:
    if parameter.name == "requires_grad":
        return True
    return "None" in str(parameter.annotation) or parameter.default is None or parameter.default == ()


# ------------------------------------------------------------------------------------------------ matching


def single(value: object, kinds: str) -> Any:
    """The number in a 0-d tensor that requires no grad and whose type is one of `kinds`; NotImplemented otherwise."""
    if isinstance(value, Tensor) and not value._array.ndim and value._array.dtype.kind in kinds and not value.requires_grad:
        return value._array[()].item()
    return NotImplemented


def as_tensor(value: object) -> Any:
    return value if isinstance(value, Tensor) else NotImplemented


def as_operand(value: object) -> Any:
    return value if isinstance(value, (Tensor, bool, int, float, complex, np.number, np.bool_)) else NotImplemented


def as_tensor_or_float(value: object) -> Any:
    return value if isinstance(value, (Tensor, complex)) else as_float(value)  # complex numbers are rejected later


def as_bool(value: object) -> Any:
    return value if isinstance(value, bool) else NotImplemented


def as_int(value: object) -> Any:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, SupportsIndex) and not isinstance(value, (bool, np.bool_, np.ndarray, Tensor)):
        return operator.index(value)
    return single(value, "iu")


def as_index(value: object) -> Any:
    """An int, also in a tensor of one element or in an array without dimensions."""
    if isinstance(value, Tensor) and value._array.size == 1 and value._array.dtype.kind in "iu":
        return int(value._array.item())
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and not value.ndim:
        return int(value)
    return as_int(value)


def as_ints(value: object) -> Any:
    """An int, also in a tensor of one integer or bool; or a sequence of ints (None is unchanged)."""
    if isinstance(value, Tensor) and value._array.size == 1 and value._array.dtype.kind in "iub":
        return int(value._array.item())
    if not isinstance(value, (tuple, list)):
        return as_int(value)
    return NotImplemented if any([one is not None and as_int(one) is NotImplemented for one in value]) else value


def as_float(value: object) -> Any:
    if isinstance(value, (int, float, np.floating, np.integer)):
        return value
    if isinstance(value, np.bool_):
        return float(value)
    number = single(value, "biufVc")
    return number_as(number, np.dtype(np.float64)).item() if isinstance(number, complex) else number


def as_number(value: object) -> Any:
    return value if isinstance(value, (int, float, complex, np.number, np.bool_)) else single(value, "biufVc")


def as_str(value: object) -> Any:
    return value if isinstance(value, str) else NotImplemented


def as_dtype(value: object) -> Any:
    if isinstance(value, dtype):
        return value
    return PYTHON_TYPES.get(value, NotImplemented) if isinstance(value, type) else NotImplemented


def as_generator(value: object) -> Any:
    return value if isinstance(value, Generator) else NotImplemented


def as_memory_format(value: object) -> object:
    return value if isinstance(value, memory_format) else NotImplemented


FIT: dict[str, tuple[Callable[[Any], Any], str]] = {
    "Tensor": (as_tensor, "Tensor"),
    "Tensor | Number": (as_operand, "Tensor"),
    "Tensor | float": (as_tensor_or_float, "Tensor or float"),
    "bool": (as_bool, "bool"),
    "int": (as_int, "int"),
    "float": (as_float, "float"),
    "Number": (as_number, "Number"),
    "ints": (as_ints, "tuple of ints"),
    "str": (as_str, "str"),
    "dtype": (as_dtype, "torch.dtype"),
    "Generator": (as_generator, "torch.Generator"),
    "MemoryFormat": (as_memory_format, "torch.memory_format"),
}
"""By annotation: the converted argument (NotImplemented if it does not match), and the name of the type in messages."""


# ------------------------------------------------------------------------------------------------ functions of a public module


class PublicParser(Parser):
    """The parser of a public function, whose arguments may override it; `whole` is the function without that check."""

    def __init__(self, whole: Function, parser: Parser) -> None:
        super().__init__(parser.function, parser.strict)
        self.whole, self.writes = whole, whole is parser.writing

    def first(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        if overrides.overriding((*args, *kwargs.values())):
            overrides.watch()
        if not overrides.watching:
            self.write()
            overrides.when_watching.append(self.ask_first)
        if overrides.watching:
            self.ask_first()
        return self.made_of_tensors(self.call(*args, **kwargs))

    def text(self) -> str:
        self.writes = self.writes and "out" not in self.names  # otherwise the function writes by itself
        if self.writes:
            self.parameters.append(inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None))
            self.kinds.append("")
        return text_of(self.parameters, self.kinds, self.strict, self.never_none(), asks=True, writes=self.writes)

    def ask_first(self) -> None:
        """Give `call` the code that checks its arguments for overrides first."""
        self.call.__code__ = asking_call(self.function, self).__code__
        self.call.__defaults__ = self.call.__kwdefaults__ = None

    def resolve(self, values: tuple[object, ...], named: dict[str, object]) -> Any:
        try:
            if self.writes and values[-1] is not None:
                args, kwargs = self.as_given(values, named)
                return self.whole(*args, **kwargs)
            return super().resolve(values[: len(values) - self.writes], dict(named))
        except Exception:
            if self.is_answered((*values, *named.values())):
                return self.again(values, named)
            raise

    def refuse_none(self, name: str, values: tuple[object, ...], named: dict[str, object]) -> Any:
        if self.is_answered((*values, *named.values())):
            return self.again(values, named)
        return super().refuse_none(name, values, named)

    def is_answered(self, values: tuple[object, ...]) -> bool:
        """Whether one of `values` overrides the function: overrides are checked only after a failure."""
        return bool(overrides.overriding(values))

    def again(self, values: tuple[object, ...], named: dict[str, object]) -> Any:
        """Repeat a call with checks for overrides."""
        overrides.watch()
        args, kwargs = self.as_given(values, named)
        return self.call(*args, **kwargs)

    def as_given(self, values: tuple[Any, ...], named: dict[str, object]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of a call: by position up to the first default, the others by name."""
        args: list[Any] = []
        kwargs, in_order = dict(named), True
        for parameter, value in zip(self.parameters, values):
            required = parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY
            in_order = in_order and required and value is not ABSENT
            if value is LEFT_OUT:
                continue
            if parameter.kind is parameter.VAR_POSITIONAL:
                args.extend(value)
            elif in_order:
                args.append(value)
            elif value is not ABSENT and value is not parameter.default:
                kwargs[parameter.name] = value
        return args, kwargs


def asking_call(function: Function, parser: PublicParser) -> Any:
    """A call that checks its arguments for overrides first."""

    def call(*args: object, **kwargs: object) -> Any:
        function  # noqa: B018 - as in `placeholder`
        try:
            return overrides.asked(parser.call, parser.whole, args, kwargs)
        except TypeError as error:
            mistyped(error, parser.call, kwargs)
            raise

    return call


def asking(names: dict[str, Any], module: str, prefix: str = "") -> dict[str, Any]:
    """The public `names` of a module, with functions that ask their arguments after a failure or, once `overrides.watching`,
    before the call; they ask under their names with `prefix`. Factories ask modes, once there is one."""

    def let_factories_ask() -> None:
        for name in overrides.FACTORIES & names.keys():
            if vars(sys.modules[module]).get(name) is names[name]:
                setattr(sys.modules[module], name, overrides.asking_modes(names[name], module, name))

    overrides.when_in_a_mode.append(let_factories_ask)
    asked = {}
    for name, value in names.items():
        if name in overrides.FACTORIES:
            show(value)
            value = overrides.asking_modes(value, module, name) if overrides.had_modes else value
        elif type(value) is types.FunctionType:
            value = _asking_function(value, module, name, prefix)
        asked[name] = value
    return asked


def _asking_function(whole: Any, module: str, name: str, prefix: str) -> Function:
    behind = parser_of(whole)
    if behind is not None:
        parser = PublicParser(whole, behind)
        call = parser.call = wraps(whole)(placeholder(parser.function, parser))
    else:
        call = overrides.asking_function(whole)
    if whole.__name__ not in (name, prefix + name) and whole.__name__[0] != "_" and name[-1] != "_":
        call.__doc__ = with_preface(f"Another name of `{whole.__name__}`.", whole.__doc__)
    call.__module__, call.__qualname__, call.__name__ = module, name, prefix + name  # the first two tell pickle where to find it
    show(call)
    return call
