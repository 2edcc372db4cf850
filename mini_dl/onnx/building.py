"""ONNX nodes from the calls of a recorded program, one after the other; `operators` has the translations."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mini_dl._dtypes import Array, NumpyType
from mini_dl.onnx.errors import UnsupportedOperatorError
from mini_dl.onnx.recording import Call, Value
from mini_dl.onnx.sizes import Assignment, Size, Trace, Varying, settled

BOOL, INT, FLOAT = np.dtype(np.bool_), np.dtype(np.int64), np.dtype(np.float32)
OF_TYPE = {
    **dict.fromkeys("Equal Less LessOrEqual Greater GreaterOrEqual Not And Or Xor IsNaN IsInf".split(), BOOL),
    **dict.fromkeys("Shape ArgMax ArgMin NonZero".split(), INT),
}
"""The types of results that differ from the type of the first operand."""


def library() -> Any:
    """The package onnx. ModuleNotFoundError, with install instructions, if it is missing."""
    try:
        return importlib.import_module("onnx")
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        message = "torch.onnx.export needs the package onnx, which is not installed: pip install 'mini-dl[onnx]' (or onnx)"
        raise ModuleNotFoundError(message, name="onnx") from None


@dataclass(frozen=True)
class Term:
    """A tensor of the graph: its name and type, and its shape if known."""

    name: str
    dtype: NumpyType
    shape: tuple[Any, ...] = ()

    @property
    def ndim(self) -> int:
        return len(self.shape)


class Builder:
    """The nodes and initializers of one graph. ``builder.Add(x, y)`` makes a node and returns its result."""

    def __init__(self, traces: Sequence[Trace], runs: Sequence[Assignment], opset: int, dims: dict[str, tuple[str, int]]) -> None:
        self.onnx = library()
        self.traces, self.runs, self.opset, self.dims = traces, runs, opset, dims
        self.nodes: list[Any] = []
        self.initializers: dict[str, Array] = {}
        self.terms: dict[int, Term] = {}
        self.constants: dict[Any, Term] = {}
        self.sizes: dict[Size, Term] = {}
        self.used: dict[str, int] = {}
        self.call: Call

    def __getattr__(self, operator: str) -> Callable[..., Any]:
        if operator[0].isupper():
            return functools.partial(self.node, operator)
        raise AttributeError(operator)

    # ------------------------------------------------------------------------------------------------ the current call

    @property
    def out(self) -> Value:
        """The first result of the current call."""
        return self.call.outputs[0]

    @property
    def dtype(self) -> NumpyType:
        return self.out.dtype

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.out.shape

    def unsupported(self, why: str = "") -> UnsupportedOperatorError:
        """The error for the current call."""
        name = f"{self.call.spoken} ({why})" if why else self.call.spoken
        return UnsupportedOperatorError(name, self.opset, where=self.call.where)

    # ------------------------------------------------------------------------------------------------ names, nodes

    def unique(self, base: str) -> str:
        count = self.used.get(base, 0)
        self.used[base] = count + 1
        return base if not count else self.unique(f"{base}_{count}")

    def node(self, operator: str, *inputs: object, outputs: int = 1, dtype: NumpyType | None = None, **attributes: object) -> Any:
        """A node. Numbers among its `inputs` become constants of the type of the first tensor, lists of sizes vectors of
        integers.
        """
        like = next((one.dtype for one in inputs if isinstance(one, Term)), FLOAT)
        given = [None if one is None else self.term(one, like) for one in inputs]
        where = "/" + self.call.scope.replace(".", "/") + "/" if self.call.scope else "/"
        name = self.unique(where + operator)
        names = [self.unique(f"{name}_output_{i}") for i in range(outputs)]
        attributes = {key: value for key, value in attributes.items() if value is not None}
        listed = ["" if one is None else one.name for one in given]
        while listed and not listed[-1]:
            listed.pop()
        self.nodes.append(self.onnx.helper.make_node(operator, listed, names, name=name, **attributes))
        kind = dtype or OF_TYPE.get(operator) or (given[1].dtype if operator == "Where" and given[1] else like)
        made = tuple([Term(name, kind) for name in names])
        return made if outputs > 1 else made[0]

    def term(self, what: object, like: NumpyType = INT) -> Term:
        """The tensor for a term, a value, a number, an array, or a list of sizes."""
        if isinstance(what, Term):
            return what
        if isinstance(what, Value):
            return self.terms[what.number] if what.number in self.terms else self.constant(what)
        if isinstance(what, (list, tuple)):
            return self.ints(what)
        if isinstance(what, Size):
            return self.Squeeze(self.size(what), [0])
        array = np.asarray(what)
        return self.array(array if isinstance(what, (np.ndarray, np.generic)) else array.astype(like))

    def array(self, array: Array, name: str = "") -> Term:
        """An initializer."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if name or key not in self.constants:
            term = Term(self.unique(name or "constant"), array.dtype, array.shape)
            self.initializers[term.name] = np.ascontiguousarray(array).reshape(array.shape)
            if name:
                return term
            self.constants[key] = term
        return self.constants[key]

    def constant(self, value: Value) -> Term:
        """A parameter, or anything else that the program uses but does not compute."""
        if value.call is not None:
            raise self.unsupported(f"result {value.output + 1} of {value.call.spoken}")
        who = f"{self.call.spoken}, called by {self.call.where}," if self.call.name else "The result"
        found = settled([trace.values[value.number] for trace in self.traces], self.runs, who)
        if isinstance(found, Varying):
            made = self.varying(found, value)
        elif isinstance(found, list):
            whole = self.ints(found)
            made = self.cast(self.Reshape(whole, list(value.array.shape)), value.dtype)
        else:
            made = self.array(found, value.name)
        self.terms[value.number] = Term(made.name, value.dtype, value.shape)
        return self.terms[value.number]

    def varying(self, recipe: Varying, value: Value) -> Term:
        number = value.dtype.type
        if recipe.kind == "range":
            start, step = recipe.values
            count = self.cast(self.term(value.shape[0]), value.dtype)
            steps = self.Range(number(0), count, number(1))
            return self.Add(self.Mul(steps, number(step)), number(start))
        if recipe.kind == "full":
            return self.Expand(number(recipe.values[0]), value.shape)
        ones = self.Expand(np.float32(1), value.shape)
        past = self.cast(self.Trilu(ones, upper=0), BOOL)
        return self.Where(past, number(recipe.values[0]), number(recipe.values[1]))

    # ------------------------------------------------------------------------------------------------ sizes

    def size(self, size: int | Size) -> Term:
        """A size as a vector of one integer."""
        if isinstance(size, int):
            return self.array(np.array([size], np.int64))
        if size not in self.sizes:
            total: Term | None = None
            for names, factor in size.terms:
                product: Any = None if factor != 1 or not names else self.dim(names[0])
                rest = names if product is None else names[1:]
                product = self.array(np.array([factor], np.int64)) if product is None else product
                for name in rest:
                    product = self.Mul(product, self.dim(name))
                total = product if total is None else self.Add(total, product)
            assert total is not None
            self.sizes[size] = total
        return self.sizes[size]

    def dim(self, name: str) -> Term:
        only = Size((((name,), 1),))
        if only not in self.sizes:
            source, axis = self.dims[name]
            self.sizes[only] = self.Shape(Term(source, FLOAT), start=axis, end=axis + 1)
        return self.sizes[only]

    def ints(self, sizes: Sequence[Any]) -> Term:
        """Sizes as a vector of integers."""
        if all([isinstance(n, (int, np.integer)) for n in sizes]):
            return self.array(np.array([int(n) for n in sizes], np.int64))
        return self.Concat(*[self.size(n) for n in sizes], axis=0)

    def fixed(self, sizes: Sequence[Any], what: str) -> list[int]:
        """Sizes that must be numbers in ONNX."""
        if not all([isinstance(n, (int, np.integer)) for n in sizes]):
            raise self.unsupported(f"its {what} depends on {', '.join([str(n) for n in sizes if isinstance(n, Size)])}")
        return [int(n) for n in sizes]

    # ------------------------------------------------------------------------------------------------ common steps

    def type_of(self, dtype: NumpyType) -> int:
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def cast(self, x: object, dtype: NumpyType) -> Term:
        """`x` in another type."""
        if not isinstance(x, (Term, Value)):
            return self.term(x if isinstance(x, Size) else np.asarray(x, dtype), dtype)
        x = self.term(x)
        return x if x.dtype == dtype else self.Cast(x, to=self.type_of(dtype), dtype=np.dtype(dtype))

    def reshape(self, x: object, shape: Sequence[Any], before: Sequence[Any] = ()) -> Term:
        """`x` in another shape; an unknown size that is kept is written as 0, one to be inferred as -1."""
        shape = list(shape)
        if any([isinstance(n, Size) for n in shape]) and not any([n == 0 for n in shape if not isinstance(n, Size)]):
            for i, n in enumerate(shape):
                if isinstance(n, Size) and i < len(before) and before[i] == n:
                    shape[i] = 0
            left = [i for i, n in enumerate(shape) if isinstance(n, Size)]
            if left:
                shape[left[0]] = -1
        elif 0 in shape:
            return self.Reshape(x, shape, allowzero=1)
        return self.Reshape(x, shape)

    def swapped(self, x: Term) -> Term:
        """The last two dimensions transposed."""
        return self.transposed(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))

    def transposed(self, x: Term, order: Sequence[int]) -> Term:
        made = self.Transpose(x, perm=[int(d) for d in order])
        return Term(made.name, x.dtype, tuple([x.shape[d] for d in order]))

    def count(self, shape: Sequence[Any]) -> int:
        """The number of elements of dimensions whose sizes are known."""
        return math.prod(self.fixed(shape, "number of elements"))
