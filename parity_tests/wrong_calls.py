"""Wrong calls, made from correct ones: each argument gets a different type, shape, range or dtype; too few, too many, unknown.

    python -m parity_tests.wrong_calls [PATTERN ...] [--kind ops methods modules forwards optimizers] [-v]

Correct calls come from torch's tables. What counts is the kind of exception that each library raises, and that nothing was
written if ours raises.
"""

from __future__ import annotations

import argparse
import fnmatch
import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from parity_tests import adapter, bridge
from parity_tests.bridge import Missing, NotApplicable
from parity_tests.judging import same_exception

SAMPLES = 2  # correct calls taken from each op
CRASHES = frozenset(
    ["native_batch_norm: argument 3 no element", "native_batch_norm: argument 4 no element", "lu_unpack: argument 1 no element"]
)
"""Calls that end torch's process."""
ENDLESS = ("normal:number_mean", "nn.functional.local_response_norm", "nn.functional.interpolate", "mvlgamma")
"""Functions that take huge numbers literally in one library or the other."""
FAR = 1000  # no dimension
STACKS = ("nn.Transformer", "nn.TransformerEncoder", "nn.TransformerDecoder", "nn.RNN", "nn.GRU", "nn.LSTM")
"""Modules that would silently copy their layers that many times."""


@dataclass
class Call:
    """One call under both libraries. `made` gives the two functions, new ones where they have a state."""

    name: str
    wrong: str
    made: Callable[[], tuple[Any, Any]]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.name}: {self.wrong}"


@dataclass
class Difference:
    call: Call
    theirs: BaseException | None
    ours: BaseException | None
    written: bool = False

    @property
    def accident(self) -> str | None:
        """Why torch's answer is not worth reproducing (see docs/decisions.md), or None."""
        if self.theirs is None:
            return self.accepted()
        theirs, ours, name, wrong = type(self.theirs), type(self.ours), self.call.name, self.call.wrong
        said = str(self.theirs)
        if theirs is AttributeError and ours is TypeError:
            return "torch's Python stumbles over what is not a tensor"
        if "2**70" in wrong:
            return "an int beyond 64 bits"
        if theirs is IndexError and ours in (RuntimeError, ValueError, AssertionError) and "argument" in wrong:
            return "torch reads a size of a tensor that has too few dimensions before it checks them"
        if "ntensor >= 3 INTERNAL ASSERT" in said or said.startswith("setStorage: sizes") or "SmallVector unable" in said:
            return "torch fails inside"
        if said.startswith("Boolean value of Tensor") and ours is TypeError:
            return "torch's Python compares a tensor of several elements before its type is looked at"
        if said.startswith("unsupported operand type(s) for +") and ours is ValueError:
            return "torch's Python makes its message from what is not a str"
        if self.of_unpooling():
            return "torch's Python computes with sizes that are not ints, or too few"
        if wrong == "ns_coefficients str":
            return "torch counts the letters of a text"
        if name.startswith("__r"):
            return "reflected operators called by hand give NotImplemented"
        if name.startswith("nn.functional.multi_head") and said.startswith("not enough values to unpack"):
            return "torch's Python takes a tensor apart before it checks its dimensions"
        if name.startswith("nn.functional.linear_cross_entropy:chunked"):
            return "torch computes in chunks, whose operations refuse what does not fit"
        if name.startswith("masked.") and wrong.endswith(" bool") and theirs is IndexError:
            return "torch's Python takes a bool for a dimension"
        method = name.removeprefix("Tensor.")
        if method in ("mean", "sum", "median", "nanmedian") and wrong == "without dim" and self.ours is None:
            return "`keepdim` needs no `dim`"
        if wrong == "dim bool" and self.ours is None:
            return "a bool in the place of `dim` is `unbiased`, by whatever name"
        if name.startswith("nn.functional.group_norm") and "argument 1 float" in wrong:
            return "torch's Python computes with a number of groups that is not an int"
        if "inge" in name and "int64 tensor" in wrong:
            return "the hinge embedding loss of integers is computed in floating point"
        if (name in ("squeeze", "count_nonzero") and wrong.startswith("nine")) or name == "Tensor.repeat_interleave":
            return "a function and a method are one here"
        if theirs is AssertionError and said.startswith("only bool and floating types of"):
            return "of several mistakes torch reports another"
        if name == "unflatten" and wrong.endswith("None"):
            return "torch's method and its function refuse None differently"
        if name.startswith("round") and "int64" in wrong:
            return "rounding integers to 0 decimals changes nothing, whether 0 is given or not"
        if name.startswith("__getitem__") and wrong.startswith("argument 0"):
            return "a special method called by hand on what is not a tensor"
        if name == "nn.functional.gaussian_nll_loss" and "argument 1" in wrong:
            return "torch's Python stumbles over what is not a tensor"
        return None

    def of_unpooling(self) -> bool:
        about = ("must be tuple of ints", "must either", "padding must be an int")
        return self.call.name.startswith("nn.functional.max_unpool") and any(words in str(self.ours) for words in about)

    def accepted(self) -> str | None:
        """The same for a call that torch accepts."""
        ours, name, wrong, answer = type(self.ours), self.call.name, self.call.wrong, str(self.ours)
        if name.removeprefix("Tensor.").startswith("__r"):
            return "reflected operators called by hand give NotImplemented"
        if self.of_unpooling():
            return "torch's Python computes with sizes that are not ints, or too few"
        if name == "optim.SGD" and (wrong == "lr nan" or wrong == "dampening tensor of two"):
            return "torch's SGD does not look at this option"
        if wrong.endswith(" bool") and ours is TypeError:
            return "a function that torch wrote in Python counts with a bool"
        if answer.startswith("Dimension out of range"):
            return "torch does not look at a dimension where there is nothing to do"
        if name.startswith("native_batch_norm") and "should contain" in answer:
            return "torch reads beyond the memory of a parameter"
        if "bias type" in answer:
            return "torch adds a bias of another type in some convolutions"
        if name.startswith("masked.") and ours is TypeError and "'dim'" in answer:
            return "torch takes the first of several dimensions"
        if name.startswith("grid_sampler") and "expected a mode from 0" in answer:
            return "torch samples nothing in a mode that does not exist"
        if "kernel_size must be greater than 0" in answer and "fractional" in name:
            return "torch pools windows without elements"
        if name.startswith("linalg.solve_triangular") and ("same dtype" in answer or "not implemented" in answer):
            return "torch converts one operand"
        if name.startswith("linalg.lstsq"):
            return "torch broadcasts one matrix over another's batch without saying so"
        if name.startswith("lu_unpack"):
            return "torch reads beyond the memory of the pivots"
        if wrong.endswith((" float", "weight float")) and "loss" in name.lower() and ours is TypeError:
            return "torch's Python computes with a number for a target"
        if name.startswith("nn.functional.embedding_bag"):
            return "torch takes bools for indices, and offsets that decrease"
        if name.startswith("nn.functional.linear_cross_entropy:chunked"):
            return "torch computes in chunks, which use only a part of the weight"
        if name.startswith("broadcast_shapes") and wrong.endswith("None"):
            return "torch passes over None among the shapes"
        if "batch_norm" in name and "non-broadcastable output" in answer:
            return "torch reads the memory of a weight of any shape"
        if "cholesky" in name and wrong.endswith("no element"):
            return "torch takes an empty vector for a matrix"
        if "oft" in name and "argin" in name and wrong.endswith("complex tensor"):
            return "torch computes the soft margin loss of complex numbers"
        if name == "Tensor.addbmm_":
            return "torch gives the tensor another shape in place"
        if name in ("to", "Tensor.to") and wrong.endswith(" int"):
            return "torch takes the number of a device that is not there if a type follows"
        if wrong == "nine arguments more" and name.removeprefix("Tensor.") in ("hsplit", "vsplit", "dsplit"):
            return "torch takes the indices of hsplit and its kin one by one"
        return None

    def __repr__(self) -> str:
        def shown(error: BaseException | None) -> str:
            return (
                "nothing"
                if error is None
                else f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:150]
            )

        if self.written:
            return f"{self.call!r}\n    an argument was written before {shown(self.ours)}"
        return f"{self.call!r}\n    torch   {shown(self.theirs)}\n    mini_dl {shown(self.ours)}"


# ------------------------------------------------------------------------------------------------ wrong calls from right ones


def replacements(value: Any) -> Iterator[tuple[str, Any]]:
    """Values that might be passed instead of `value` by mistake."""
    if isinstance(value, torch.Tensor):
        plain = value.detach()
        yield from [("None", None), ("str", "a"), ("float", 1.5), ("list", [1.0, 2.0]), ("object", object)]
        yield "bool tensor", plain.to(torch.bool)
        yield "int64 tensor", plain.nan_to_num().real.to(torch.int64)
        yield "complex tensor", plain.to(torch.complex64)
        yield "float64 tensor", plain.real.to(torch.float64)
        yield "one dimension more", plain.unsqueeze(0)
        yield "no dimension", torch.ones((), dtype=plain.dtype)
        yield "7 elements", torch.ones(7, dtype=plain.dtype)
        yield "no element", torch.ones(0, dtype=plain.dtype)
        if plain.ndim:
            yield "one index less", plain.select(0, 0) if plain.shape[0] else plain
            yield "last dimension longer", torch.cat([plain, plain], -1)
    elif isinstance(value, bool):
        yield from [("str", "a"), ("None", None), ("int", 2), ("float", 1.5), ("list", [True])]
    elif isinstance(value, int):
        yield from [("str", "a"), ("None", None), ("float", 1.5), ("far", FAR), ("far below", -FAR), ("2**70", 2**70)]
        yield from [
            ("list", [value]),
            ("list of str", ["a"]),
            ("float tensor", torch.tensor(1.5)),
            ("bool", True),
            ("complex", 1j),
        ]
        yield from [("negative", -1), ("zero", 0)]
    elif isinstance(value, float):
        yield from [("str", "a"), ("None", None), ("complex", 1j), ("list", [1.0]), ("negative", -1.5), ("nan", float("nan"))]
        yield "tensor of two", torch.ones(2)
    elif isinstance(value, str):
        yield from [("other str", "nonsense"), ("int", 3), ("None", None)]
    elif isinstance(value, (list, tuple)):
        yield from [("str", "a"), ("float", 1.5), ("None", None), ("empty", type(value)()), ("object", object)]
        if value and isinstance(value[0], int):
            yield from [("of float", [1.5] * len(value)), ("of str", ["a"] * len(value)), ("far", [FAR] * len(value))]
            yield from [
                ("longer", [*value, *value, value[0]]),
                ("negative", [-3] * len(value)),
                ("far below", [-FAR] * len(value)),
            ]
        elif value:
            yield from [("of None", [None] * len(value)), ("of str", ["a"] * len(value)), ("shorter", type(value)(value[:-1]))]
    elif isinstance(value, torch.dtype):
        yield from [("str", "float32"), ("int", 3), ("complex", torch.complex64), ("bool", torch.bool)]
    elif value is None:
        yield from [("str for None", "a"), ("object for None", object)]


def mistakes(name: str, made: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Call]:
    """All wrong calls that are made from the correct one."""
    for i, value in enumerate(args):
        for wrong, other in replacements(value):
            yield Call(name, f"argument {i} {wrong}", made, (*args[:i], other, *args[i + 1 :]), kwargs)
    for key, value in kwargs.items():
        for wrong, other in replacements(value):
            yield Call(name, f"{key} {wrong}", made, args, {**kwargs, key: other})
        yield Call(name, f"without {key}", made, args, {k: v for k, v in kwargs.items() if k != key})
    if args:
        yield Call(name, "one argument less", made, args[:-1], kwargs)
        yield Call(name, "no argument", made, (), kwargs)
        yield Call(name, "first given twice", made, args, {**kwargs, "input": args[0]})
    yield Call(name, "unknown keyword", made, args, {**kwargs, "nonsense": 1})
    yield Call(name, "an object more", made, (*args, object), kwargs)
    yield Call(name, "nine arguments more", made, (*args, *[1] * 9), kwargs)


def unlike(samples: Iterator[Any], key: Callable[[Any], Any]) -> list[Any]:
    """The first samples that differ in the kinds of their arguments."""
    found: dict[Any, Any] = {}
    for sample in itertools.islice(samples, 40):
        found.setdefault(key(sample), sample)
        if len(found) == SAMPLES:
            break
    return list(found.values())


def kinds(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return tuple(type(a).__name__ for a in args), tuple((k, type(v).__name__) for k, v in kwargs.items())


# ------------------------------------------------------------------------------------------------ right calls


def takes_part(entry: Any, pattern: str = "*") -> bool:
    """Whether wrong calls of an entry are made: its arguments are dense, so that other values can be put into them."""
    is_dense = not entry.out_of_scope and not entry.name.startswith("sparse.")
    return bool(fnmatch.fnmatch(entry.name, pattern) and is_dense and entry.resolves())


def typical_dtype(entry: Any) -> str | None:
    """The type of the calls of an entry that are made into wrong ones."""
    return next((d for d in ("float32", "complex64", "int64", "bool", *entry.dtypes) if d in entry.dtypes), None)


def of_ops(pattern: str = "*") -> Iterator[Call]:
    for entry in adapter.entries():
        if not takes_part(entry, pattern):
            continue
        dtype = typical_dtype(entry)
        if dtype is None:
            continue
        for sample in unlike(entry.samples(dtype), lambda s: kinds(s.all_args, s.kwargs)):
            pair = entry.theirs, entry.ours
            yield from mistakes(repr(entry), lambda pair=pair: pair, sample.all_args, sample.kwargs)


def of_methods(pattern: str = "*") -> Iterator[Call]:
    """Methods and in-place methods, if torch's table has them; operators are among the ops."""
    for entry in adapter.entries():
        if entry.variant or not takes_part(entry, pattern):
            continue
        dtype = typical_dtype(entry)
        names = [getattr(f, "__name__", "") for f in (entry.info.get_method(), entry.info.get_inplace()) if f is not None]
        for name in names:
            if dtype is None or not hasattr(torch.Tensor, name) or not hasattr(bridge.Tensor, name):
                continue
            for sample in unlike(entry.samples(dtype), lambda s: kinds(s.all_args, s.kwargs)):
                if not isinstance(sample.input, torch.Tensor):
                    continue

                def on_copy(method: str = name) -> tuple[Any, Any]:
                    def run(input: Any, *args: Any, **kwargs: Any) -> Any:
                        return getattr(input, method)(*args, **kwargs)

                    return run, run

                yield from mistakes("Tensor." + name, on_copy, sample.all_args, sample.kwargs)


def of_constructors(pattern: str = "*") -> Iterator[Call]:
    for entry in adapter.module_entries():
        if fnmatch.fnmatch(entry.name, pattern) and entry.resolves():
            for sample in unlike(entry.samples("float32", True), lambda s: kinds(s.args, s.kwargs)):
                pair = entry.theirs, entry.ours
                calls = mistakes(entry.name, lambda pair=pair: pair, sample.args, sample.kwargs)
                yield from (c for c in calls if not (entry.name in STACKS and c.wrong.endswith(("far", "2**70"))))


def of_forwards(pattern: str = "*") -> Iterator[Call]:
    for entry in adapter.module_entries():
        if fnmatch.fnmatch(entry.name, pattern) and entry.resolves():
            for sample in unlike(entry.samples("float32", True), lambda s: kinds(s.inputs, s.keywords)):

                def made(entry: Any = entry, sample: Any = sample) -> tuple[Any, Any]:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        ours = entry.ours(*bridge.to_mini(sample.args), **bridge.to_mini(sample.kwargs))
                        return entry.theirs(*sample.args, **sample.kwargs), ours

                yield from mistakes(entry.name + ".forward", made, sample.inputs, sample.keywords)


def of_optimizers(pattern: str = "*") -> Iterator[Call]:
    """Constructors, each followed by a step."""
    for entry in adapter.optimizer_entries():
        if not fnmatch.fnmatch(entry.name, pattern) or not entry.resolves() or entry.sparse:
            continue
        for options in entry.settings():

            def made(entry: Any = entry) -> tuple[Any, Any]:
                def run(cls: Any) -> Any:
                    def step(params: Any, *args: Any, **kwargs: Any) -> None:
                        optimizer = cls(params, *args, **kwargs)
                        for param in params:
                            param.grad = param.detach().clone()
                        optimizer.step(*[lambda: (params[0] ** 2).sum()] * entry.needs_closure)

                    return step

                return run(entry.theirs), run(entry.ours)

            yield from mistakes(entry.name, made, ([torch.ones(3, 2, requires_grad=True)],), options)


KINDS: dict[str, Callable[[str], Iterator[Call]]] = {
    "ops": of_ops,
    "methods": of_methods,
    "constructors": of_constructors,
    "forwards": of_forwards,
    "optimizers": of_optimizers,
}

# ------------------------------------------------------------------------------------------------ both libraries


def raised(function: Callable[..., Any], args: Any, kwargs: Any) -> BaseException | None:
    bridge.seed(1234)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(*args, **kwargs)
        except Exception as error:
            return error
    return None


def difference(call: Call) -> Difference | None:
    """How the libraries differ on `call`. Raises NotApplicable if torch accepts it."""
    arguments = call.args, call.kwargs
    args, kwargs = bridge.to_mini(arguments)
    their_args, their_kwargs = bridge.copy(arguments)
    theirs_function, ours_function = call.made()
    theirs = raised(theirs_function, their_args, their_kwargs)
    before = [(tensor, tensor._array, tensor._array.copy()) for tensor in bridge.tensors((args, kwargs))]
    ours = raised(ours_function, args, kwargs)
    if theirs is None:
        if ours is None:
            raise NotApplicable("a right call")
        return Difference(call, theirs, ours)
    if ours is None or not same_exception(ours, type(theirs)):
        return Difference(call, theirs, ours)
    if any(t._array is not a or not np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") for t, a, b in before):
        return Difference(call, theirs, ours, written=True)
    return None


def runs(call: Call) -> bool:
    """Whether the call returns quickly in both libraries."""
    return repr(call) not in CRASHES and not (call.name.startswith(ENDLESS) and ("far" in call.wrong or "2**70" in call.wrong))


def compared(calls: Iterator[Call]) -> tuple[int, int, list[Difference]]:
    """The number of calls, the number that torch rejects, and the differences."""
    number = refused = 0
    found = []
    for call in filter(runs, calls):
        try:
            if (why := difference(call)) is not None:
                found.append(why)
                refused += why.theirs is not None
            else:
                refused += 1
            number += 1
        except NotApplicable as reason:  # noqa: PERF203
            number += str(reason) == "a right call"
        except Missing:
            continue
    return number, refused, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["*"])
    parser.add_argument("--kind", nargs="*", default=list(KINDS))
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    for kind in options.kind:
        for pattern in options.patterns:
            number, refused, found = compared(KINDS[kind](pattern))
            if options.v:
                for one in found:
                    print(one)
            shape: Counter[Any] = Counter((type(d.theirs).__name__, type(d.ours).__name__, d.written) for d in found)
            wanting = [one for one in found if one.accident is None]
            print(f"{len(wanting)} differences that are not accidents of torch")
            print(
                f"{kind} {pattern}: {number} calls, {refused} refused by torch, {len(found)} differences {dict(shape)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
