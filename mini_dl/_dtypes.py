"""Data types and torch's promotion rules.

A :class:`dtype` represents a NumPy ``np.dtype``; the arrays themselves have NumPy's. Promotion is torch's:
category first (bool < integer < floating point < complex), then arrays with dimensions > 0-d arrays > Python numbers.
"""

from __future__ import annotations

import builtins
import importlib.util
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._layout import Array as Array, converted

NumpyType = np.dtype[Any]
Function = Callable[..., Any]
Number = builtins.bool | builtins.int | builtins.float | builtins.complex
Shape = tuple[builtins.int, ...]
Index = tuple[types.EllipsisType | slice, ...]
Ints = builtins.int | Sequence[builtins.int]
"""An int for all dimensions, or one for each: `_arguments.kind_of` recognizes it by name."""

FLOATING = "fV"
"""The NumPy kinds of floating point types. "V" is that of bfloat16, which NumPy lacks: the package ml_dtypes adds it."""
INEXACT = "fVc"
"""The NumPy kinds of floating point and complex types: those that can have a gradient."""
NARROW = "E"
"""The NumPy letter of bfloat16."""
HALVES = "eE"
"""The NumPy letters of float16 and bfloat16, which are computed in float32."""
CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2, "c": 3}


class dtype:
    """The type of the elements of a tensor, by its name.

    >>> torch.float32, torch.float32.itemsize, torch.int64.is_floating_point
    (torch.float32, 4, False)
    """

    __slots__ = ("name", "numpy")
    name: str
    numpy: np.dtype[Any]

    def __init__(self, name: str) -> None:
        self.name = name
        if name != "bfloat16":  # which is looked up on first use
            self.numpy = np.dtype(name)

    def __getattr__(self, name: str) -> Any:
        if name == "numpy":
            return load_bfloat16()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return dtype_named, (self.name,)

    @property
    def is_floating_point(self) -> builtins.bool:
        return self is bfloat16 or self.numpy.kind == "f"

    @property
    def is_complex(self) -> builtins.bool:
        return self is not bfloat16 and self.numpy.kind == "c"

    @property
    def is_signed(self) -> builtins.bool:
        return self is bfloat16 or self.numpy.kind in "ifc"

    @property
    def itemsize(self) -> builtins.int:
        return 2 if self is bfloat16 else self.numpy.itemsize

    def to_real(self) -> dtype:
        """The type of the real part: float32 for complex64."""
        return of_numpy(_REAL[self.numpy.char]) if self.is_complex else self

    def to_complex(self) -> dtype:
        """The complex type whose parts have this type."""
        if self.is_complex:
            return self
        if not self.is_floating_point:
            raise RuntimeError(f"Unknown Complex ScalarType for {scalar_name(self.numpy)}")
        return complex128 if self is float64 else complex64


TypeLike = dtype | type | None
"""An element type in calls: also Python's bool, int and float, and None for the default."""

uint8, uint16, uint32, uint64 = dtype("uint8"), dtype("uint16"), dtype("uint32"), dtype("uint64")
int8, int16, int32, int64 = dtype("int8"), dtype("int16"), dtype("int32"), dtype("int64")
float16, float32, float64, bfloat16 = dtype("float16"), dtype("float32"), dtype("float64"), dtype("bfloat16")
complex64, complex128 = dtype("complex64"), dtype("complex128")
bool = dtype("bool")
short, int, long = int16, int32, int64
half, float, double = float16, float32, float64
cfloat, cdouble = complex64, complex128

ALL = (
    uint8, uint16, uint32, uint64, int8, int16, int32, int64,
    float16, float32, float64, bfloat16, complex64, complex128, bool,
)  # fmt: skip
INDEX_TYPES = (int64.numpy, int32.numpy)
"""The index type of most operations. Types are compared, not their letters: ``l`` is int64 here and int32 there."""
NAMES = {
    **{d.name: d for d in ALL},
    "short": short, "int": int, "long": long, "half": half, "float": float, "double": double,
    "cfloat": cfloat, "cdouble": cdouble,
}  # fmt: skip
PYTHON_TYPES = {builtins.bool: bool, builtins.int: int64, builtins.float: float64, builtins.complex: complex128}
_REAL: dict[str, np.dtype[Any]] = {"F": np.dtype("float32"), "D": np.dtype("float64")}
_OF_CHAR: dict[str, dtype] = {
    np.dtype(code).char: d for d in ALL if d is not bfloat16 for code in "?bBhHiIlLqQefdFD" if np.dtype(code) == d.numpy
}


def dtype_named(name: str) -> dtype:
    return NAMES[name]


def of_numpy(numpy_dtype: np.dtype[Any]) -> dtype:
    """The :class:`dtype` of a NumPy dtype. TypeError for one that torch does not have."""
    try:
        return _OF_CHAR[numpy_dtype.char]
    except KeyError:
        raise no_tensor_of(numpy_dtype) from None


def no_tensor_of(numpy_dtype: np.dtype[Any]) -> TypeError:
    """The error for an array of a type that tensors do not support."""
    kind = numpy_dtype.type
    name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    supported = (
        "float64, float32, float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool"
    )
    return TypeError(f"can't convert np.ndarray of type {name}. The only supported types are: {supported}.")


when_bfloat16: list[Callable[[], None]] = []
"""Called on the first use of bfloat16."""


INSTALL_BFLOAT16 = "torch.bfloat16 needs the package ml_dtypes: pip install 'mini_dl[bfloat16]'"


def load_bfloat16() -> np.dtype[Any]:
    """The NumPy dtype of bfloat16, which the package ml_dtypes adds to NumPy. ImportError if it is not installed."""
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError(INSTALL_BFLOAT16) from error
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    if _OF_CHAR.setdefault(found.char, bfloat16) is not bfloat16 or found.char not in HALVES or found.kind not in FLOATING:
        raise ImportError(f"torch.bfloat16 needs another version of ml_dtypes than {ml_dtypes.__version__}")
    bfloat16.numpy = found
    for call in when_bfloat16:
        call()
    return found


def buffer_of(array: Array) -> Array:
    """`array` as a buffer: Python's buffers do not support bfloat16."""
    return array.view(np.uint16) if array.dtype.char in NARROW else array


def has_bfloat16() -> builtins.bool:
    """Whether the package for bfloat16 is installed; without it, files of that type are read as float32."""
    return importlib.util.find_spec("ml_dtypes") is not None


def from_bfloat16(halves: Array) -> Array:
    """The float32 values of which these bfloat16 values, given as uint16, are the upper halves."""
    return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)


# ------------------------------------------------------------------------------------------------ default dtype

_default = float32
_default_numpy = float32.numpy


def get_default_dtype() -> dtype:
    """The type that Python floats become.

    Raises: TypeError for an argument.

    >>> torch.get_default_dtype()
    torch.float32
    """
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the type that Python floats become to `d`.

    Raises: TypeError unless it is a floating point type.

    >>> torch.set_default_dtype(torch.float64)
    >>> torch.tensor(0.5).dtype
    torch.float64
    >>> torch.set_default_dtype(torch.float32)
    """
    global _default, _default_numpy
    if not isinstance(d, dtype):
        raise TypeError("invalid dtype object: only floating-point types are supported as the default type")
    if not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    _default, _default_numpy = d, d.numpy


def default_numpy() -> np.dtype[Any]:
    return _default_numpy


def floating(array: Array) -> Array:
    """`array` itself if it is floating point or complex, else a copy in the default dtype."""
    return array if array.dtype.kind in INEXACT else converted(array, _default_numpy)


# ------------------------------------------------------------------------------------------------ promotion

_SINGLE = np.dtype(np.float32)
_BAREBONES = frozenset("HILQ")  # uint16, uint32 and uint64 are excluded from torch's integer promotion


def promote_numpy(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    """The smallest type of the higher category that holds both, like ``torch.promote_types``."""
    if a == b:
        return a
    category_a, category_b = CATEGORY[a.kind], CATEGORY[b.kind]
    if (a.char in _BAREBONES or b.char in _BAREBONES) and category_a != 2 != category_b:
        raise RuntimeError(
            "Promotion for uint16, uint32, uint64 types is not supported, "
            f"attempted to promote {scalar_name(a)} and {scalar_name(b)}"
        )
    if category_a < category_b:
        a, b = b, a
    if category_a != category_b and (a.kind != "c" or b.kind not in FLOATING):
        return a
    return _SINGLE if a.char in HALVES and b.char in HALVES else np.promote_types(a, b)


def given_type(value: object, argument: str) -> dtype:
    """The dtype for `value`, a dtype or a Python type. TypeError, naming the argument, for anything else."""
    found = PYTHON_TYPES.get(value) if isinstance(value, type) else value
    if not isinstance(found, dtype):
        raise TypeError(f"{argument} must be torch.dtype, not {type(value).__name__}")
    return found


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The type of the sum of two tensors with dimensions.

    Raises: TypeError unless both are dtypes.

    >>> torch.promote_types(torch.int64, torch.float16), torch.promote_types(torch.uint8, torch.int8)
    (torch.float16, torch.int16)
    """
    type1 = given_type(type1, "promote_types(): argument 'type1' (position 1)")
    type2 = given_type(type2, "promote_types(): argument 'type2' (position 2)")
    return of_numpy(promote_numpy(type1.numpy, type2.numpy))


def dtype_of_number(number: object) -> np.dtype[Any]:
    """The type of a Python number as a tensor: bool, int64 (uint64 if only that holds it), the default dtype, complex."""
    if isinstance(number, (builtins.bool, np.bool_)):
        return bool.numpy
    if isinstance(number, (builtins.int, np.integer)):
        return int64.numpy if -(2**63) <= number < 2**63 else wide(builtins.int(number))
    if isinstance(number, (builtins.float, np.floating)):
        return _default_numpy
    if isinstance(number, (builtins.complex, np.complexfloating)):
        return _default.to_complex().numpy
    raise TypeError(f"expected a number, got {type(number).__name__}")


def wide(number: builtins.int) -> np.dtype[Any]:
    """uint64, for a `number` that int64 cannot hold. OverflowError if uint64 cannot either."""
    if number < 0:
        raise OverflowError(f"can't convert negative int to unsigned: {number} is below -2**63")
    if number >= 2**64:
        raise OverflowError(f"int too big to convert: it has {number.bit_length()} bits")
    return uint64.numpy


_NUMBERS = frozenset((builtins.bool, builtins.int, builtins.float, builtins.complex))


def is_number(value: object) -> builtins.bool:
    return type(value) in _NUMBERS or isinstance(
        value, (builtins.bool, builtins.int, builtins.float, builtins.complex, np.number, np.bool_)
    )


def result_numpy(*operands: object) -> np.dtype[Any]:
    """The type of an operation over arrays and Python numbers: dimensioned > 0-d > numbers, category first."""
    best: list[np.dtype[Any] | None] = [None, None, None]  # dimensioned, 0-d, number
    for operand in operands:
        if isinstance(operand, np.ndarray) or is_abstract(operand):
            rank, found = (0 if operand.ndim else 1), operand.dtype
        else:
            rank, found = 2, dtype_of_number(operand)
        current = best[rank]
        best[rank] = found if current is None else promote_numpy(current, found)
    result: np.dtype[Any] | None = None
    for found_at in best:
        if found_at is None:
            continue
        if result is None:
            result = found_at
        elif result.kind in FLOATING and found_at.kind == "c":  # keep the precision of the higher rank
            result = np.dtype("complex128" if result.char == "d" else "complex64")
        elif CATEGORY[found_at.kind] > CATEGORY[result.kind]:
            result = promote_numpy(result, found_at) if result.kind == "b" else found_at
    assert result is not None, "an operation has at least one operand"
    return result


def promote(a: Any, b: object) -> tuple[Any, Any]:
    """Both operands in the type of the result. A Python number is unchanged if NumPy then agrees with torch."""
    if type(b) is not np.ndarray or type(a) is not np.ndarray:
        array, number = (b, a) if isinstance(b, np.ndarray) else (a, b)
        if array.dtype.kind in FLOATING and type(number) in (builtins.float, builtins.int):
            if array.dtype.char not in NARROW:
                return a, b
            rounded: Any = as_type(number, array.dtype).astype(_SINGLE).item()  # the computation, in float32, would not round it
            return (a, rounded) if array is a else (rounded, b)
    target = result_numpy(a, b)
    return as_type(a, target), as_type(b, target)


class Exact(np.ndarray[Any, Any]):
    """A number, or 0-d array, that is combined with float16 without being rounded to it: ufuncs compute with it in float32,
    and round once."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: object, **kwargs: object) -> Any:
        plain = [one.view(np.ndarray) if isinstance(one, Exact) else one for one in inputs]
        result = getattr(ufunc, method)(*plain, **kwargs)
        return result.astype(np.float16) if result.dtype == _SINGLE else result


def exact(number: object) -> Array:
    if isinstance(number, builtins.int) and not -(2**63) <= number < 2**63:
        wide(number)
    with np.errstate(over="ignore"):
        return np.asarray(number, _SINGLE).view(Exact)


def exactly(promotion: Callable[..., tuple[object, object]], also_first: builtins.bool) -> Callable[..., tuple[Any, Any]]:
    """`promotion`, except that a number or 0-d array by which float16 or bfloat16 is multiplied or divided is unchanged.
    A number may be the first operand if `also_first`."""

    def promoted(a: object, b: object) -> tuple[Any, Any]:
        for array, other, may in ((a, b, True), (b, a, also_first)):
            if may and type(array) is np.ndarray and array.dtype.char in HALVES and _keeps(array, other, array is a):
                kept: Any = exact(other) if array.dtype.char not in NARROW else exact(other).item()
                return (array, kept) if array is a else (kept, array)
        return promotion(a, b)

    return promoted


def _keeps(array: Array, other: object, last: builtins.bool) -> builtins.bool:
    """Whether the result of `array`, of a half type, and `other` has that type, although `other` need not."""
    if isinstance(other, np.ndarray):
        return last and array.ndim > other.ndim == 0 and other.dtype.kind in "biuf"
    return type(other) in (builtins.float, builtins.int)


def as_type(operand: object, target: np.dtype[Any]) -> Array:
    """An array or a number as an array of type `target`; integers wrap around."""
    if isinstance(operand, builtins.int) and target.kind in "iu" and not _fits(operand, target):
        return np.asarray(operand & 0xFFFFFFFFFFFFFFFF, np.uint64).astype(target)
    if isinstance(operand, builtins.float) and target.char in "fdFD" and -6e4 < operand < 6e4:  # no type is too small
        return np.asarray(operand).astype(target)
    return converted(operand if isinstance(operand, np.ndarray) else np.asarray(operand), target, False)


def number_as(number: Any, target: np.dtype[Any]) -> Array:
    """A number in type `target`. RuntimeError if it is out of range, or has an imaginary part and the type is real.

    Infinity and NaN fit any floating point type, negative ints wrap around in unsigned ones, and bool accepts everything.
    """
    if isinstance(number, (builtins.complex, np.complexfloating)) and target.kind not in "cb":
        if number.imag:
            raise _overflow(number, target)
        number = number.real
    if isinstance(number, (builtins.int, np.integer)) and not isinstance(number, builtins.bool):
        dtype_of_number(number)
    if target.kind in "iu" and not isinstance(number, builtins.bool):
        limits = np.iinfo(target)
        wraps = target.kind == "u" and isinstance(number, (builtins.int, np.integer))
        if number != number or not (-limits.max if wraps else limits.min) <= number <= limits.max:
            raise _overflow(number, target)
    elif target.char in "eEfF" and not isinstance(number, builtins.bool):
        greatest = limits_of(target).max
        for part in (number.real, number.imag):
            if greatest < np.absolute(builtins.float(part)) < np.inf:
                raise _overflow(number, target)
    return as_type(number, target)


def number_cast(number: object, target: np.dtype[Any]) -> Array:
    """As `number_as`, but a number beyond float16 and bfloat16 becomes infinite: for functions in which torch first creates a
    tensor from it.
    """
    if target.char not in HALVES or isinstance(number, builtins.bool):
        return number_as(number, target)
    with np.errstate(over="ignore"):
        return number_as(number, float64.numpy).astype(_SINGLE).astype(target)


def _overflow(number: object, target: np.dtype[Any]) -> RuntimeError:
    return RuntimeError(f"value cannot be converted to type {c_name(target, 'source')} without overflow: {number}")


def _fits(number: builtins.int, target: np.dtype[Any]) -> builtins.bool:
    return -(2**63) <= number < 2**63 if target.kind == "i" else 0 <= number < 2**64


def can_cast(from_: dtype, to: dtype) -> builtins.bool:
    """Whether a result of type `from_` may be written into a tensor of type `to`: never to a lower category.

    Raises: TypeError unless both are dtypes.

    >>> torch.can_cast(torch.float64, torch.float32), torch.can_cast(torch.float32, torch.int64)
    (True, False)
    """
    from_, to = (
        given_type(from_, "can_cast(): argument 'from_' (position 1)"),
        given_type(to, "can_cast(): argument 'to' (position 2)"),
    )
    return castable(from_.numpy, to.numpy)


def among(numpy_dtype: np.dtype[Any], kinds: str) -> builtins.bool:
    """Whether a type is of one of NumPy's `kinds`; bfloat16 is of kind "f" here."""
    return numpy_dtype.kind in kinds or (numpy_dtype.kind == "V" and "f" in kinds)


def castable(source: np.dtype[Any], target: np.dtype[Any]) -> builtins.bool:
    return CATEGORY[source.kind] <= CATEGORY[target.kind]


# ------------------------------------------------------------------------------------------------ names and limits

_SCALAR_NAMES = {
    "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int", "int64": "Long", "float16": "Half",
    "float32": "Float", "float64": "Double", "complex64": "ComplexFloat", "complex128": "ComplexDouble", "bool": "Bool",
    "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64", "bfloat16": "BFloat16",
}  # fmt: skip


def scalar_name(numpy_dtype: np.dtype[Any]) -> str:
    """The name of a type in torch's error messages: ``Float`` for float32."""
    return _SCALAR_NAMES[numpy_dtype.name]


def scalar_name_of(name: str) -> str:
    """The same for the name of a type."""
    return _SCALAR_NAMES[name]


_C_NAMES = {
    "float16": "c10::Half", "float32": "float", "float64": "double", "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>", "bool": "bool", "int8": "signed char", "int16": "short int", "int32": "int",
    "int64": "long int", "uint8": "unsigned char", "uint16": "short unsigned int", "uint32": "unsigned int",
    "uint64": "long unsigned int", "bfloat16": "c10::BFloat16",
}  # fmt: skip


def c_name(numpy_dtype: np.dtype[Any], style: str = "compiler") -> str:
    """The name of a type in C++, and in many of torch's messages: int64 is ``long int`` in the `style` of the "compiler",
    ``int64_t`` in that of the "source", which calls the others the same."""
    if style == "source" and numpy_dtype.kind in "iu" and numpy_dtype != np.int32:
        return f"{numpy_dtype.name}_t"
    return _C_NAMES[numpy_dtype.name]


def tensor_name(numpy_dtype: np.dtype[Any]) -> str:
    """The legacy name of the type of a tensor, which some of torch's messages use: ``torch.FloatTensor``."""
    name = scalar_name(numpy_dtype)
    return f"CPU{name}Type" if numpy_dtype.kind in "bcV" else f"torch.{name}Tensor"


class _Limits:
    """The limits of bfloat16, as ``np.finfo`` gives them for NumPy's types."""

    bits, precision, nmant = 16, 2, 7
    eps, smallest_normal, max = 2.0**-7, 2.0**-126, (2.0 - 2.0**-7) * 2.0**127
    min = -max


def limits_of(numpy_dtype: np.dtype[Any]) -> Any:
    """``np.finfo``, also of bfloat16."""
    return _Limits if numpy_dtype.char in NARROW else np.finfo(numpy_dtype)


class finfo:
    """The limits of a floating point type: `max`, `min`, `eps`, `tiny`, `bits`, and others.

    Raises: TypeError unless it is a floating point type.

    >>> torch.finfo(torch.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: dtype | None = None) -> None:
        known = getattr(type, "limits", None)  # for a type without NumPy support
        if known is not None:
            vars(self).update(known)
            return
        type = _default if type is None else given_type(type, "finfo(): argument 'type' (position 1)")
        if not (type.is_floating_point or type.is_complex):
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{type!r}'")
        info = _Limits if type is bfloat16 else np.finfo(type.to_real().numpy)
        self.dtype = type.to_real().name
        self.bits = info.bits
        self.eps, self.max, self.min = builtins.float(info.eps), builtins.float(info.max), builtins.float(info.min)
        self.tiny = self.smallest_normal = builtins.float(info.smallest_normal)
        self.resolution = 10.0**-info.precision

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """The limits of an integer type: `max`, `min`, `bits`.

    Raises: TypeError unless it is an integer type.

    >>> torch.iinfo(torch.int8).max
    127
    """

    def __init__(self, type: dtype) -> None:
        type = given_type(type, "iinfo(): argument 'type' (position 1)")
        if type.is_floating_point or type.is_complex:
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type!r}'")
        if type is bool:
            raise TypeError("torch.bool is not supported by torch.iinfo")
        info = np.iinfo(type.numpy)
        self.dtype, self.bits, self.max, self.min = type.name, info.bits, builtins.int(info.max), builtins.int(info.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
