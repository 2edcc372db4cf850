"""Tensors among NumPy's arrays and scalars and Python's sequences, under both libraries: operators, functions, conversions."""

from __future__ import annotations

import array
import collections
import decimal
import io
import math
import operator
import warnings

import numpy as np
import pytest

from parity_tests.twin import canonical, either, outcome

BINARY = "add sub mul truediv floordiv mod pow matmul eq lt le gt ge and_ or_ xor lshift rshift".split()
IN_PLACE = "iadd isub imul itruediv ifloordiv imod ipow iand ior ixor".split()

TENSORS = {
    "floats": lambda torch: torch.tensor([1.0, 2.0]),
    "doubles": lambda torch: torch.tensor([1.5, 2.5], dtype=torch.float64),
    "integers": lambda torch: torch.tensor([1, 2]),
    "booleans": lambda torch: torch.tensor([True, False]),
    "a float": lambda torch: torch.tensor(2.0),
    "an integer": lambda torch: torch.tensor(3),
    "with grad": lambda torch: torch.tensor([1.0, 2.0], requires_grad=True),
    "a column": lambda torch: torch.ones(2, 2)[:, 0],
}
FOREIGN = {
    "float64 array": lambda: np.array([1.5, 2.5]),
    "float32 array": lambda: np.array([1.5, 2.5], "float32"),
    "int64 array": lambda: np.array([1, 2]),
    "int32 array": lambda: np.array([1, 2], "int32"),
    "bool array": lambda: np.array([True, True]),
    "0-d array": lambda: np.array(2.0),
    "object array": lambda: np.array([1, "a"], object),
    "matrix": lambda: np.ones((2, 2)),
    "longer array": lambda: np.ones(3),
    "float64": lambda: np.float64(2),
    "float32": lambda: np.float32(2),
    "int64": lambda: np.int64(2),
    "uint8": lambda: np.uint8(2),
    "list": lambda: [1, 2],
    "tuple": lambda: (1, 2),
    "None": lambda: None,
    "text": lambda: "a",
    "object": object,
}


def raised_or(action):
    """The result of `action`, or the name of its exception; for NumPy's TypeErrors, that of their base."""
    try:
        return action()
    except TypeError:
        return "TypeError"
    except Exception as error:
        return canonical(error)


@pytest.mark.parametrize("foreign", list(FOREIGN))
@pytest.mark.parametrize("name", list(TENSORS))
@either
def test_operators_between_tensors_and_what_is_not(torch, rng, name, foreign):
    found = []
    for symbol in BINARY:
        function = getattr(operator, symbol)
        for swapped in (False, True):
            operands = TENSORS[name](torch), FOREIGN[foreign]()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.append(raised_or(lambda: function(*(operands[::-1] if swapped else operands))))  # noqa: B023
    return [type(one).__name__ for one in found], found


@pytest.mark.parametrize("foreign", [name for name in FOREIGN if name not in ("object array", "text", "float64", "float32")])
@pytest.mark.parametrize("name", ["floats", "integers"])
@either
def test_operators_that_write(torch, rng, name, foreign):
    found = []
    for symbol in IN_PLACE:
        for swapped in (False, True):
            operands = TENSORS[name](torch), FOREIGN[foreign]()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                function = getattr(operator, symbol)
                found.append(raised_or(lambda: function(*(operands[::-1] if swapped else operands))))  # noqa: B023
    return [type(one).__name__ for one in found], found


UNARY = (
    "sin cos exp sqrt absolute negative square sign floor isnan isfinite logical_not invert tanh reciprocal signbit rint".split()
)


@pytest.mark.parametrize("name", [name for name in TENSORS if name != "booleans"])
@either
def test_universal_functions(torch, rng, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [raised_or(lambda: getattr(np, f)(TENSORS[name](torch))) for f in UNARY]  # noqa: B023
        for f in "add subtract multiply divide power maximum less equal logical_and hypot arctan2 floor_divide".split():
            for other in (2, 2.0, np.float32(2), np.array([1.0, 2.0]), TENSORS["floats"](torch)):
                found.append(raised_or(lambda: getattr(np, f)(TENSORS[name](torch), other)))  # noqa: B023
                found.append(raised_or(lambda: getattr(np, f)(other, TENSORS[name](torch))))  # noqa: B023
    return [type(one).__name__ for one in found], found


FUNCTIONS = """
    np.sum(T) np.sum(T,axis=0) np.mean(T) np.std(T) np.prod(T) np.max(T) np.max(T,axis=1) np.argmax(T) np.argmin(T,axis=0)
    np.any(T) np.all(T) np.cumsum(T) np.cumsum(T,axis=0) np.cumprod(T) np.clip(T,1,2) np.clip(T,None,2) np.round(T,1)
    np.around(T) np.transpose(T) np.swapaxes(T,0,1) np.moveaxis(T,0,1) np.reshape(T,-1) np.ravel(T) np.squeeze(T[None])
    np.expand_dims(T,0) np.sort(T) np.argsort(T) np.unique(T) np.concatenate([T,T]) np.stack([T,T]) np.vstack([T,T])
    np.where(T>2,T,0) np.nonzero(T) np.dot(T,T) np.matmul(T,T) np.inner(T,T) np.outer(T,T) np.tensordot(T,T)
    np.einsum('ij,jk->ik',T,T) np.linalg.norm(T) np.linalg.inv(T) np.trace(T) np.diag(T) np.diagonal(T) np.triu(T) np.flip(T)
    np.roll(T,1) np.repeat(T,2) np.tile(T,2) np.pad(T,1) np.take(T,[0,1]) np.copy(T) np.array(T) np.array(T,dtype='int32')
    np.array([T,T]) np.array([torch.tensor(1.),torch.tensor(2.)]) np.asarray(T) np.asarray(T,dtype=np.float64)
    np.ascontiguousarray(T) np.atleast_2d(T) np.shape(T) np.ndim(T) np.isscalar(T) np.zeros_like(T) np.full_like(T,2)
    np.broadcast_to(T,(2,2,2)) np.allclose(T,T) np.array_equal(T,T) np.isclose(T,T) np.median(T) np.percentile(T,50)
    np.average(T) np.diff(T) np.isin(T,[1.]) np.count_nonzero(T) np.real(T) np.nan_to_num(T) np.fft.fft(T) np.kron(T,T)
    np.split(T,2) np.nansum(T) np.logaddexp(T,T) np.add.reduce(T) np.add.accumulate(T) np.multiply.outer(T,T)
    np.from_dlpack(T) np.fromiter(torch.tensor([1.,2.]),float) np.float64(torch.tensor(2.)) np.int64(torch.tensor(2))
    np.bool_(torch.tensor(True)) np.ones(torch.tensor(3)) np.arange(torch.tensor(3)) np.zeros(torch.Size([2,1]))
    np.array([1,2])[torch.tensor([0,1])] np.array([1,2])[torch.tensor(1)] np.array([1,2])[torch.tensor([True,False])]
    np.sin(G) np.mean(G) np.stack([G,G]) np.array([G,G]) np.asarray(G) np.ones(2)*G G*np.ones(2) np.float64(2)*G
    np.from_dlpack(G) torch.from_dlpack(G) G.numpy() G.numpy(force=True) G.__array__() T.__array__(np.float64)
    T.__array_wrap__(np.ones(2)) T.__array_wrap__(np.array([True])) np.save(io.BytesIO(),T)
    T[np.int64(0)] T[np.array([0,1])] T[np.array([True,False])] torch.full((2,),np.float64(3)) torch.arange(np.int64(3))
    torch.add(T,np.float64(2)) torch.add(T,np.ones(2)) torch.add(np.ones(2),T) torch.stack([np.ones(2)]) torch.sin(np.ones(2))
    torch.Tensor(np.int64(2)).shape torch.zeros(np.array([2,2])) T.fill_(np.float64(2)) T.copy_(np.ones(2))
    range(torch.tensor(3)) [1,2,3][torch.tensor(1)] [1,2,3][torch.tensor(1.)] 'ab'*torch.tensor(2) hex(torch.tensor(10))
    abs(T) divmod(torch.tensor(5),2) math.floor(torch.tensor(2.5)) math.trunc(torch.tensor(2.5)) math.sqrt(torch.tensor(4.))
    complex(torch.tensor(1.)) int(torch.tensor([2.7])) float(T) int(T) bool(T) bool(torch.tensor([])) len(T)
    operator.index(torch.tensor(2)) operator.index(torch.tensor([2])) operator.index(torch.tensor(2.)) len(torch.tensor(1))
    list(T) list(torch.tensor(1)) 1.in(T) torch.tensor(1.)in(T) [1.]in(T) 'a'in(T) None(in)T T==None T!=None {T:1}[T]
    format(torch.tensor(2.5),'.2f') format(T,'') format(T,'.2f') '%d'%torch.tensor(3) format(G[0],'.1f') sum(T) min(T)
    sorted(torch.tensor([2.,1.])) tuple(torch.tensor([1,2])) torch.Size([1])+(2,) T[0]+torch.Size([1,2])
""".split()


@pytest.mark.parametrize("expression", FUNCTIONS)
@either
def test_functions_of_numpy_and_python(torch, rng, expression):
    names = {"torch": torch, "np": np, "io": io, "math": math, "operator": operator}
    names["T"], names["G"] = torch.tensor([[3.0, 1.0], [2.0, 4.0]]), torch.tensor([1.0, 2.0], requires_grad=True)
    code = expression.replace(".in(T)", ". in T").replace(")in(T)", ") in T").replace("]in(T)", "] in T")
    code = code.replace("'in(T)", "' in T").replace("None(in)T", "None in T")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = raised_or(lambda: eval(code, names))
    return type(found).__name__, found


class Sequence:
    def __len__(self):
        return 2

    def __getitem__(self, index):
        if index > 1:
            raise IndexError
        return index + 1


class Floating:
    def __float__(self):
        return 1.5


class Index:
    def __index__(self):
        return 2


DATA = {
    "rows": lambda torch: [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])],
    "0-d floats": lambda torch: [torch.tensor(1.0), torch.tensor(2.0)],
    "0-d integers": lambda torch: [torch.tensor(1), torch.tensor(2)],
    "0-d and number": lambda torch: [torch.tensor(1), 2.5],
    "one element each": lambda torch: [torch.tensor([1.0]), torch.tensor([[2.0]])],
    "list and row": lambda torch: [[1, 2], torch.tensor([3, 4])],
    "list and float row": lambda torch: [[1, 2], torch.tensor([3.5, 4.0])],
    "row and list": lambda torch: [torch.tensor([1, 2]), [3, 4]],
    "arrays": lambda torch: [np.array([1.0, 2.0]), np.array([3.0, 4.0])],
    "array and list": lambda torch: [np.array([1, 2]), [3, 4]],
    "arrays of other lengths": lambda torch: [np.array([1, 2]), np.array([3])],
    "0-d arrays": lambda torch: [np.array(1.0), np.array(2.0)],
    "float32 scalars": lambda torch: [np.float32(1), np.float32(2)],
    "float64 scalar and int": lambda torch: [np.float64(1), 2],
    "int32 scalars": lambda torch: [np.int32(1), np.int32(2)],
    "bool scalars": lambda torch: [np.bool_(1), False],
    "a float32": lambda torch: np.float32(2),
    "a float64": lambda torch: np.float64(2),
    "a bool": lambda torch: np.True_,
    "a 0-d array": lambda torch: np.array(2.0),
    "an array": lambda torch: np.array([[1, 2]]).T,
    "big-endian": lambda torch: np.array([1, 2], ">i4"),
    "backwards": lambda torch: np.ones(2)[::-1],
    "array of text": lambda torch: np.array(["a"]),
    "range": lambda torch: [range(2), range(2)],
    "nothing": lambda torch: [],
    "nothing twice": lambda torch: [[], []],
    "ragged": lambda torch: [[1], []],
    "number and list": lambda torch: [1, [2]],
    "list and number": lambda torch: [[1], 2],
    "text": lambda torch: [1, "a"],
    "a text": lambda torch: "abc",
    "bytes": lambda torch: b"abc",
    "None": lambda torch: [None],
    "dict": lambda torch: {1: 2},
    "set": lambda torch: {1, 2},
    "object": lambda torch: object(),
    "complex": lambda torch: [1, 2j],
    "large": lambda torch: [2**62, 1],
    "too large": lambda torch: [2**64],
    "size": lambda torch: torch.Size([1, 2]),
    "deque": lambda torch: collections.deque([1, 2]),
    "decimal": lambda torch: [decimal.Decimal(1)],
    "sequence": lambda torch: Sequence(),
    "floating": lambda torch: [Floating()],
    "index": lambda torch: [Index()],
    "int8": lambda torch: [torch.tensor(1, dtype=torch.int8)],
    "0-d complex": lambda torch: [torch.tensor(1j)],
    "empty rows": lambda torch: [torch.ones(0), torch.ones(0)],
}


@pytest.mark.parametrize("function", ["tensor", "as_tensor", "asarray"])
@pytest.mark.parametrize("name", list(DATA))
@either
def test_data_of_all_kinds(torch, rng, name, function):
    make = getattr(torch, function)
    types = [None, torch.float64, torch.int32, torch.bool]
    if function == "asarray" and name == "bytes":  # memory that may not be written: torch warns, and reads it as float32
        types = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [raised_or(lambda: make(DATA[name](torch), dtype=dtype)) for dtype in types]  # noqa: B023


@either
def test_asarray_of_a_buffer(torch, rng):
    return torch.asarray(array.array("f", [1, 2])), torch.asarray(bytearray(8)), torch.asarray(np.float32(2))


@pytest.mark.parametrize("dtype", [None, "float64"])
@pytest.mark.parametrize("copy", [None, True, False])
@pytest.mark.parametrize("requires_grad", [None, True, False])
@pytest.mark.parametrize("kind", ["plain", "leaf", "non-leaf"])
@either
def test_asarray_keeps_the_graph(torch, rng, kind, requires_grad, copy, dtype):
    x = rng(2, grad=kind != "plain")
    y = x * 2 if kind == "non-leaf" else x
    keywords = {} if requires_grad is None else {"requires_grad": requires_grad}
    made = outcome(lambda: torch.asarray(y, dtype=dtype and getattr(torch, dtype), copy=copy, **keywords))
    if isinstance(made, str):
        return made
    return made, made is y, made.is_leaf, y.requires_grad, made.grad_fn is None


@either
def test_an_element_cannot_be_deleted(torch, rng):
    x = rng(3)
    del x[0]
