"""Every pair of types and kinds of operand (with dimensions, 0-d, Python number) in every function of two or three operands, with
the extremes of each type among the values: the result, its type, or the type of the exception is torch's.

`python -m parity_tests.test_number_pairs [function ...]` runs the whole grid and lists differences; the tests run a part of it.
"""

from __future__ import annotations

import operator
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch as real

from mini_dl import _dtypes
from parity_tests import bridge
from parity_tests.judging import same_exception

DTYPES = "bool uint8 int8 int16 int32 int64 float16 float32 float64 complex64 complex128".split()


def values_of(dtype: str) -> list[Any]:
    """Six values of a type, including its extremes."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return [True, False, True, True, False, False]
    if kind in "iu":
        limits = np.iinfo(dtype)
        return [limits.min, limits.max, 1, 3, 0 if kind == "u" else -1, 7]
    if kind == "f":
        return [-2.5, 0.75, 3.0, -0.0, float(np.finfo(dtype).max), np.nan if dtype != "float16" else 7.0]
    return [-2.5 + 1j, 0.75, 3.0 - 2j, 1j, 1 + 1j, -1.0]


NUMBERS: dict[str, Any] = {
    **{str(n): n for n in (True, False, 0, 1, 2, 3, -1, -2, 127, 128, 200, 255, 256, -129)},
    "2**31": 2**31, "-2**31-1": -(2**31) - 1, "2**63-1": 2**63 - 1, "-2**63": -(2**63), "2**63": 2**63, "2**64-1": 2**64 - 1,
    "2**64": 2**64, "-2**63-1": -(2**63) - 1, "10**400": 10**400,
    **{text: float(text) for text in "0.5 -0.5 2.0 -0.0 1e10 1e39 inf -inf nan".split()},
    "1j": 1j, "2+0j": 2 + 0j,
}  # fmt: skip
FEW_NUMBERS = "True 2 -1 200 2**31 2**63 0.5 -0.5 1e39 1j".split()

OPERATORS: dict[str, Callable[..., Any]] = {
    name: getattr(operator, name)
    for name in "add sub mul truediv floordiv mod pow eq ne lt le gt ge and_ or_ xor lshift rshift "
    "iadd isub imul itruediv ifloordiv imod ipow iand ior ixor ilshift irshift".split()
}
FUNCTIONS = (
    "add sub rsub mul div true_divide floor_divide remainder fmod pow float_power atan2 eq ne lt le gt ge maximum minimum fmax "
    "fmin copysign bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift logical_and logical_or logical_xor "
    "hypot nextafter heaviside xlogy logaddexp logaddexp2 gcd lcm isclose ldexp special.xlog1py special.zeta"
).split()
METHODS = (
    "add_ sub_ mul_ div_ true_divide_ floor_divide_ remainder_ fmod_ pow_ float_power_ atan2_ eq_ ne_ lt_ le_ gt_ ge_ copysign_ "
    "bitwise_and_ bitwise_or_ bitwise_xor_ bitwise_left_shift_ bitwise_right_shift_ logical_and_ logical_or_ logical_xor_ hypot_ "
    "nextafter_ heaviside_ xlogy_ gcd_ lcm_ ldexp_ "
    "clamp_min_ clamp_max_ copy_ __ilshift__ __irshift__ fill_ masked_fill_ masked_fill"
).split()


def named(torch: Any, name: str) -> Any:
    for part in name.split("."):
        torch = getattr(torch, part)
    return torch


def forms() -> dict[str, Callable[..., Any]]:
    """Name -> the operation on the operands a and b in a library: ``form(torch, a, b)``."""
    found: dict[str, Callable[..., Any]] = {}
    for name, function in OPERATORS.items():
        found["operator." + name] = lambda torch, a, b, f=function: f(a, b)
    for name in FUNCTIONS:
        found[name] = lambda torch, a, b, n=name: named(torch, n)(a, b)
    for name in METHODS:
        if name.startswith("masked_fill"):
            found["Tensor." + name] = lambda torch, a, b, n=name: getattr(a, n)(torch.ones_like(a, dtype=torch.bool), b)
        else:
            found["Tensor." + name] = lambda torch, a, b, n=name: getattr(a, n)(b)
    found.update({
        "div floor": lambda torch, a, b: torch.div(a, b, rounding_mode="floor"),
        "div trunc": lambda torch, a, b: torch.div(a, b, rounding_mode="trunc"),
        "add alpha": lambda torch, a, b: torch.add(a, a, alpha=b),
        "sub alpha": lambda torch, a, b: torch.sub(a, a, alpha=b),
        "add two": lambda torch, a, b: torch.add(a, b, alpha=2),
        "clamp min": lambda torch, a, b: torch.clamp(a, min=b),
        "clamp max": lambda torch, a, b: torch.clamp(a, max=b),
        "clamp both": lambda torch, a, b: torch.clamp(a, b, 5 if not isinstance(b, torch.Tensor) else b),
        "clamp_ min": lambda torch, a, b: a.clamp_(min=b),
        "where": lambda torch, a, b: torch.where(mask(torch, a, b), a, b),
        "Tensor.where": lambda torch, a, b: a.where(mask(torch, a, b), b),
        "lerp": lambda torch, a, b: torch.lerp(a, a, b),
        "lerp end": lambda torch, a, b: torch.lerp(a, b, 0.25),
        "lerp weight": lambda torch, a, b: torch.lerp(a.float(), a.float() + 1, b),
        "addcmul": lambda torch, a, b: torch.addcmul(a, a, b),
        "addcmul value": lambda torch, a, b: torch.addcmul(a, a, a, value=b),
        "addcmul_": lambda torch, a, b: a.addcmul_(b, b),
        "addcdiv": lambda torch, a, b: torch.addcdiv(a, a, b),
        "addcdiv value": lambda torch, a, b: torch.addcdiv(a, a, a, value=b),
        "full_like": lambda torch, a, b: torch.full_like(a, b),
        "new_full": lambda torch, a, b: a.new_full((2,), b),
        "full dtype": lambda torch, a, b: torch.full((2,), b, dtype=a.dtype),
        "tensor dtype": lambda torch, a, b: b.to(a.dtype) if isinstance(b, torch.Tensor) else torch.tensor([b, b], dtype=a.dtype),
        "setitem": lambda torch, a, b: a.__setitem__(..., b) or a,
        "index_fill": lambda torch, a, b: a.reshape(-1).index_fill(0, torch.tensor([0]), b),
        "masked_scatter": lambda torch, a, b: a.masked_scatter(torch.ones_like(a, dtype=torch.bool), b),
        "result_type": lambda torch, a, b: torch.result_type(a, b),
        "threshold": lambda torch, a, b: torch.threshold(a, 0, b),
        "hardtanh": lambda torch, a, b: torch.nn.functional.hardtanh(a, -1, b),
        "leaky_relu": lambda torch, a, b: torch.nn.functional.leaky_relu(a, b),
        "nan_to_num": lambda torch, a, b: torch.nan_to_num(a, b),
        "pad": lambda torch, a, b: torch.nn.functional.pad(a, (1, 1) if a.ndim else (), value=b),
        "scatter value": lambda torch, a, b: a.reshape(-1).scatter(0, torch.tensor([0]), b),
        "full": lambda torch, a, b: torch.full((2,), b),
    })  # fmt: skip
    for name in "add mul div floor_divide remainder fmod pow float_power atan2 eq lt maximum bitwise_and clamp_min".split():
        for out in "uint8 int32 float32 float64 complex64 bool".split():
            found[f"{name} out={out}"] = lambda torch, a, b, n=name, d=out: written(torch, n, a, b, d)
    return found


def mask(torch: Any, a: Any, b: Any) -> Any:
    shape = next((v.shape for v in (a, b) if isinstance(v, torch.Tensor) and v.ndim), ())
    return torch.ones(shape, dtype=torch.bool)


def written(torch: Any, name: str, a: Any, b: Any, dtype: str) -> Any:
    out = torch.zeros(next((v.shape for v in (a, b) if isinstance(v, torch.Tensor) and v.ndim), ()), dtype=getattr(torch, dtype))
    return getattr(torch, name)(a, b, out=out)


def tensors(rank: str, dtype: str, other: bool, few: bool) -> list[tuple[str, Any]]:
    """Arrays of one kind. With dimensions: one, whose elements meet each element of the other operand; 0-d: one per value."""
    values = values_of(dtype)
    if rank == "number":
        return []
    if rank == "0-d":
        return [(f"{dtype} 0-d {v}", np.array(v, dtype)) for v in (values[1:5:2] if few else values)]
    array = np.array(values, dtype)
    grid = np.repeat(array, len(values)) if other else np.tile(array, len(values))
    return [(f"{dtype} n-d", grid)]


def pairs(few: bool = False) -> Iterator[tuple[str, Any, Any]]:
    """(name, a, b), arrays or numbers."""
    numbers = [("number " + name, NUMBERS[name]) for name in (FEW_NUMBERS if few else NUMBERS)]
    for left in ("n-d", "0-d", "number"):
        for right in ("n-d", "0-d", "number"):
            if left == right == "number":
                continue
            for a_type in DTYPES if left != "number" else [""]:
                for b_type in DTYPES if right != "number" else [""]:
                    for a_name, a in tensors(left, a_type, False, few) if left != "number" else numbers:
                        for b_name, b in tensors(right, b_type, True, few) if right != "number" else numbers:
                            yield f"{a_name}, {b_name}", a, b


def run(form: Callable[..., Any], torch: Any, a: Any, b: Any) -> Any:
    wrap = (lambda v: real.from_numpy(v.copy())) if torch is real else (lambda v: bridge.wrap(v.copy()))
    a, b = (wrap(v) if isinstance(v, np.ndarray) else v for v in (a, b))
    try:
        return form(torch, a, b)
    except Exception as error:
        return error


LOOSE = {"e": 2e-3, "f": 3e-6, "d": 1e-11, "F": 3e-6, "D": 1e-11}


def difference(ours: Any, theirs: Any, loose: bool = False) -> str | None:
    if isinstance(theirs, Exception):
        if "ComplexHalf" in str(theirs):  # NumPy has no such type, and torch few functions of it
            return None
        if isinstance(ours, Exception) and same_exception(ours, type(theirs)):
            return None
        return f"{ours!r} for {type(theirs).__name__}: {str(theirs)[:150]}"
    if isinstance(ours, Exception):
        return f"{type(ours).__name__}: {ours} for {theirs!r}"
    if not isinstance(theirs, real.Tensor):
        return None if str(ours) == str(theirs) else f"{ours!r} for {theirs!r}"
    if theirs.dtype is real.complex32:  # which NumPy lacks
        return None if ours._array.dtype.char == "F" else f"{ours._array.dtype} for complex32"
    x, y = ours._array, theirs.resolve_conj().numpy()
    if x.shape != y.shape or x.dtype != y.dtype:
        return f"{x.dtype} {x.shape} for {y.dtype} {y.shape}"
    if x.tobytes() == y.tobytes():
        return None
    with np.errstate(all="ignore"):
        near = (x == y) | ((x != x) & (y != y))
        if y.dtype.kind in "fc":
            finite = np.isfinite(y) & np.isfinite(x)
            tolerance = LOOSE["f" if loose and y.dtype.char in "dD" else y.dtype.char]
            near |= finite & (np.abs(x - y) <= tolerance * np.abs(y) + np.finfo(y.dtype).tiny)
        if y.dtype.kind == "c":
            near |= ~np.isfinite(y) & ~np.isfinite(x)
    if near.all():
        return None
    at = np.flatnonzero(~near.reshape(-1))
    return f"{len(at)} values: {x.reshape(-1)[at[0]]!r} for {y.reshape(-1)[at[0]]!r} at {at[0]}"


NUMBER_LAST = "nan_to_num,hardtanh,leaky_relu,threshold,pad,full_like,new_full,full dtype,full".split(",")


def not_compared(form: str, a: Any, b: Any) -> str | None:
    """Why torch has no answer to compare with: its process would crash, or its result is accidental (see docs/decisions.md)."""
    kinds = [v.dtype.kind if isinstance(v, np.ndarray) else _dtypes.dtype_of_number(v).kind for v in (a, b) if not too_big(v)]
    values, others = (v.reshape(-1).tolist() if isinstance(v, np.ndarray) else [v] for v in (a, b))
    if form == "div trunc" and any(type(v) is int and v and v % 2**31 == 0 for v in values):
        return "the least integer divided by -1 is a trap of the processor"
    if form.split(".")[-1].strip("_") in ("gcd", "lcm") and any(type(v) is int and v < -1 for v in values + others):
        return "the least integer has no absolute value"
    is_modulo = form.split()[0].split(".")[-1].strip("_") in ("fmod", "remainder", "imod", "mod")
    if is_modulo and "f" in kinds and any(isinstance(v, float) and abs(v) > 1e30 for v in values):
        return "torch gives NaN for quotients beyond the digits of the type"
    if "pow" in form and "c" in kinds and any(type(v) in (int, float) and not abs(v) < 1e30 for v in values + others):
        return "complex powers of and by what overflows"
    number_is_wrong = form.endswith("alpha") or "remainder out" in form or "bitwise_and out" in form
    if number_is_wrong and not isinstance(a, np.ndarray):
        return "a wrong call"
    if "zeta" in form and any(type(v) in (int, float) and (v > 100 or v < 0) for v in values + others):
        return "NaN in torch, which leaves the range of its own formula, and the poles"
    if "ldexp" in form and any(type(v) is int and abs(v) > 2**30 for v in others):
        return "the exponent wraps around in 32 bits"
    if form in ("add two", "add alpha", "sub alpha") and any(type(v) is float and abs(v) > 60000 for v in values + others):
        return "a product out of range, which is fused with the sum"
    if form in ("sub alpha", "clamp both") and too_wide(b):
        return "two numbers of which one needs 64 bits without a sign"
    if form == "clamp both" and set(kinds) == {"b"}:
        return "refused or not, depending on the number of bounds"
    if form == "pad" and any(type(v) is int and abs(v) > 2**62 for v in others):
        return "as a float it is out of range by one"
    if form == "scatter value" and isinstance(b, np.ndarray):
        return "no number"
    if form == "tensor dtype" and isinstance(b, np.ndarray) and b.dtype.kind == "f":
        return "NaN and what is out of range as an integer is undefined"
    if form in NUMBER_LAST and isinstance(b, np.ndarray) and b.ndim:
        return "a wrong call"
    if form == "hardtanh" and not isinstance(a, np.ndarray):
        return "a wrong call: torch's Python compares the bounds before the input is looked at"
    if any(isinstance(v, np.ndarray) and v.dtype.char == "e" for v in (a, b)):
        if form == "div trunc":
            return "rounded twice or once, depending on the number of dimensions"
        if "c" in kinds:
            return "half precision has no complex numbers in NumPy"
        if any(type(v) in (int, float) and abs(v) > 65504 for v in values + others):
            return "a number beyond float16 is infinite before it is used"
    return None


def too_wide(value: Any) -> bool:
    return isinstance(value, int) and value >= 2**63


def too_big(value: Any) -> bool:
    return isinstance(value, int) and not -(2**63) <= value < 2**64


def differences(names: list[str] | None = None, few: bool = False) -> tuple[int, list[tuple[str, str, str]]]:
    count, found = 0, []
    known = forms()
    for name in names or known:
        form = known[name]
        for pair, a, b in pairs(few):
            if not_compared(name, a, b):
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs, ours = run(form, real, a, b), run(form, bridge.mini_dl, a, b)
            count += 1
            if why := difference(ours, theirs, "out=" in name or "ldexp" in name):  # computed in float32, then written in float64
                found.append((name, pair, why))
    return count, found


SOME = "bool uint8 int8 int64 float16 float64 complex64".split()


@pytest.mark.parametrize("part", range(4))
def test_all_pairs_of_operands_give_what_they_give_in_torch(part, monkeypatch):
    monkeypatch.setitem(globals(), "DTYPES", SOME)
    names = list(forms())[part::4]
    count, found = differences(names, few=True)
    assert count > 10_000
    assert not found, "\n".join(f"{name} | {pair} | {' '.join(why.split())[:200]}" for name, pair, why in found[:40])


HUGE = [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400, 1e39, float("inf"), float("nan")]
MADE: dict[str, Callable[..., Any]] = {
    "tensor": lambda torch, value, dtype: torch.tensor([value], dtype=dtype),
    "tensor with a float": lambda torch, value, dtype: torch.tensor([value, 1.5]),
    "tensor of no type": lambda torch, value, dtype: torch.tensor(value),
    "full": lambda torch, value, dtype: torch.full((2,), value, dtype=dtype),
    "full of no type": lambda torch, value, dtype: torch.full((2,), value),
    "fill_": lambda torch, value, dtype: torch.zeros(2, dtype=dtype).fill_(value),
    "masked_fill": lambda torch, value, dtype: torch.zeros(2, dtype=dtype).masked_fill(torch.tensor([True, False]), value),
}


def out_of_range(how: str, dtype: str) -> Callable[..., Any]:
    return lambda torch, a, b: MADE[how](torch, a, getattr(torch, dtype))


@pytest.mark.parametrize("how", MADE)
def test_numbers_out_of_range_are_refused_as_in_torch(how):
    wrong = []
    for dtype in DTYPES:
        for value in [*HUGE, -256, -255, 256, 70000, 1j]:
            theirs, ours = (run(out_of_range(how, dtype), library, value, 0) for library in (real, bridge.mini_dl))
            if why := difference(ours, theirs):
                wrong.append(f"{dtype} {value}: {why}"[:200])
    assert not wrong, "\n".join(wrong)


if __name__ == "__main__":
    pairs_seen, kinds = 0, Counter()
    few = "--few" in sys.argv
    for one in [name for name in sys.argv[1:] if name != "--few"] or forms():
        number, different = differences([one], few)
        pairs_seen, kinds[one] = pairs_seen + number, len(different)
        for name, pair, why in different:
            print(f"{name} | {pair} | {' '.join(why.split())[:300]}", flush=True)
    print([item for item in kinds.most_common() if item[1]])
    print(f"{pairs_seen} pairs, {sum(kinds.values())} differ")
