"""Arguments under the names, and of the types, that torch's parser accepts: NumPy's names, numbers in tensors, several as one."""

from __future__ import annotations

import ast
import inspect
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as real

from mini_dl._surface import NAMESPACES
from mini_dl.tensor import Tensor
from parity_tests import adapter, bridge, compare
from parity_tests.twin import either, outcome, raised, twin
from parity_tests.wrong_calls import raised as error_of

PARSED = types.BuiltinFunctionType | types.MethodDescriptorType
OTHERS = {"dim": ("axis",), "keepdim": ("keepdims",), "input": ("x", "a", "x1"), "other": ("x2",)}


def renamed_calls() -> list[Any]:
    """(name, torch's function, ours, args, kwargs) of each call of torch's table with one argument given under another name."""
    found = []
    for entry in adapter.entries():
        if (
            entry.out_of_scope
            or entry.name.startswith("__r")
            or not entry.resolves()
            or not isinstance(entry.ours, types.FunctionType)
        ):
            continue
        dtype = next((d for d in ("float32", "complex64", "int64", "bool") if d in entry.dtypes), None)
        sample = next(iter(entry.samples(dtype)), None) if dtype else None
        if sample is None:
            continue
        try:
            names = list(inspect.signature(entry.ours).parameters)
        except ValueError:
            continue
        for i, name in enumerate(names):
            for other in OTHERS.get(name, ()):
                args, kwargs = sample.all_args, dict(sample.kwargs)
                if name in kwargs:
                    kwargs[other] = kwargs.pop(name)
                elif i < len(args) and all(n in OTHERS or n in kwargs for n in names[i : len(args)]):
                    kwargs.update({n: args[j] for j, n in enumerate(names[: len(args)]) if j > i})
                    kwargs[other] = args[i]
                    args = args[:i]
                else:
                    continue
                found.append((f"{entry!r}: {other}", entry.theirs, entry.ours, args, kwargs))
    return found


OUT_IN_TORCH = {"argsort", "threshold"}
"""Functions that have ``out=`` in torch alone."""
OUT_BY_KEYWORD = {"split_copy", "split_with_sizes_copy", "unbind_copy"}
"""Functions whose signature, that of the view, does not show it."""


def test_functions_write_into_out_where_torch_has_it() -> None:
    declared = ast.parse(Path(real.__path__[0], "_C", "_VariableFunctions.pyi").read_text())
    functions = [one for one in declared.body if isinstance(one, ast.FunctionDef) and one.name in NAMESPACES["torch"]]
    theirs = {one.name for one in functions if any(argument.arg == "out" for argument in one.args.kwonlyargs)}
    ours = {
        one.name
        for one in functions
        if (signature := signature_of(NAMESPACES["torch"][one.name])) and "out" in signature.parameters
    }
    assert ours - theirs == set()
    assert theirs - ours == OUT_IN_TORCH | OUT_BY_KEYWORD
    assert len(ours) > 250


def signature_of(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except ValueError:
        return None


def test_every_function_takes_the_names_that_torch_takes() -> None:
    refused, taken = [], 0
    for name, theirs, ours, args, kwargs in renamed_calls():
        if error_of(theirs, *bridge.copy((args, kwargs))) is None:
            taken += 1
            if (error := error_of(ours, *bridge.to_mini((args, kwargs)))) is not None:
                refused.append(f"{name}: {error!r:.160}")
    assert not refused, "\n".join(refused)
    assert taken > 600, taken


def methods_with(name: str) -> list[str]:
    found = []
    for method in sorted(vars(Tensor)):
        theirs, ours = getattr(real.Tensor, method, None), getattr(Tensor, method)
        if isinstance(theirs, PARSED) and isinstance(ours, types.FunctionType) and not method.startswith("_"):
            parameters = inspect.signature(ours).parameters
            if list(parameters)[1:2] == [name] and all(p.default is not p.empty for p in list(parameters.values())[2:]):
                found.append(method)
    return found


@pytest.mark.parametrize("method", methods_with("dim"))
def test_a_method_takes_axis_for_dim(method: str) -> None:
    values = np.random.default_rng(0).standard_normal((2, 3)).astype("float32")
    theirs = outcome(lambda: getattr(real.from_numpy(values.copy()), method)(axis=1))
    ours = outcome(lambda: getattr(bridge.wrap(values.copy()), method)(axis=1))
    assert compare.same(ours, theirs) is None


@pytest.mark.parametrize("method", methods_with("other"))
def test_a_method_takes_x2_for_other(method: str) -> None:
    values = np.random.default_rng(0).standard_normal((3, 3)).astype("float32")
    theirs = outcome(lambda: getattr(real.from_numpy(values.copy()), method)(x2=real.ones(3, 3)))
    ours = outcome(lambda: getattr(bridge.wrap(values.copy()), method)(x2=bridge.mini_dl.ones(3, 3)))
    assert compare.same(ours, theirs) is None


def test_all_published_functions_have_a_parser_where_torch_has_one() -> None:
    """``torch.f(nonsense=1)`` is a TypeError everywhere."""
    for where in ("torch", "special", "linalg", "fft", "nn.functional"):
        for name, function in NAMESPACES[where].items():
            if isinstance(function, types.FunctionType):
                assert raised(lambda function=function: function(nonsense=1)) == "TypeError", f"{where}.{name}"


@twin
def test_dims_and_sizes_are_given_as_several_or_as_one(torch, rng):
    x = rng(2, 3, 4)
    found = [x.permute(2, 0, 1), x.permute((2, 0, 1)), x.permute(dims=(2, 0, 1)), x.sum((0, 1)), x.sum([0, 1]), x.sum(dim=(0,))]
    found += [x.flip(0, 1), x.flip((0, 1)), x.flip(dims=[0]), x.repeat(2, 1, 1), x.repeat((1, 1, 2)), x.tile(2), x.tile((2, 1))]
    found += [x.reshape(6, 4), x.reshape((6, 4)), x.reshape(shape=(6, 4)), x.view(6, 4), x.view(size=(6, 4)), x.view(-1)]
    found += [x.expand(2, 3, 4), x.expand(size=(2, 3, 4)), x[:, :, :1].expand(-1, -1, 5), x.broadcast_to(1, 2, 3, 4)]
    found += [torch.permute(x, (2, 0, 1)), torch.permute(input=x, dims=(2, 0, 1)), torch.reshape(x, (6, 4))]
    found += [torch.zeros(2, 3), torch.zeros((2, 3)), torch.zeros(size=(2, 3)), torch.zeros(torch.Size([2])), torch.zeros([2, 3])]
    return found


@twin
def test_numbers_come_in_tensors_and_from_numpy(torch, rng):
    x = rng(3, 4)
    one = torch.tensor(1)
    found = [x.sum(one), x.chunk(torch.tensor(2), one), x.softmax(np.int64(1)), torch.zeros(torch.tensor(2), 3)]
    found += [torch.addmm(rng(3, 3), x, x.t(), beta=torch.tensor(0.5), alpha=np.float32(2)), x.narrow(0, 0, one)]
    found += [x.narrow(1, one, 2), x.roll(one), x.diag(one), x.clamp(np.float64(0), torch.tensor(1.0))]
    return found


@twin
def test_types_are_given_as_python_types(torch, rng):
    x = rng(3, 4)
    found = [x.sum(dtype=float), torch.zeros(2, dtype=int), torch.ones(2, dtype=bool), x.cumsum(0, dtype=complex)]
    found += [
        torch.zeros(2, dtype=None),
        x.sum(dtype=None),
        x.view(torch.int32),
        torch.zeros(2, device="cpu", layout=torch.strided),
    ]
    found += [torch.zeros(2, pin_memory=False, requires_grad=True), torch.zeros(2, out=None), torch.sum(x, 0, out=None)]
    return found


CALLS = {
    "given twice": lambda t, x: t.sum(x, 1, axis=0),
    "given under both names": lambda t, x: t.sum(x, dim=1, axis=0),
    "two names of the input": lambda t, x: t.sum(x=x, a=x),
    "a method's self": lambda t, x: x.sum(input=x),
    "a function in Python": lambda t, x: t.nn.functional.softmax(x, axis=1),
    "norm": lambda t, x: t.norm(x, axis=1),
    "split": lambda t, x: t.split(x, 1, axis=1),
    "stack": lambda t, x: t.stack([x] * 3, axis=1),
    "cat": lambda t, x: t.cat([x] * 3, axis=1),
    "max": lambda t, x: t.max(x, axis=1, keepdims=True),
    "max of two": lambda t, x: t.max(x, x2=x),
    "maximum": lambda t, x: t.maximum(x1=x, x2=x),
    "std": lambda t, x: t.std(x, axis=1, keepdims=True),
    "linalg.norm": lambda t, x: t.linalg.norm(x, axis=1, keepdims=True),
    "fft": lambda t, x: t.fft.fft(x, axis=0),
    "a tuple of axes": lambda t, x: t.amax(x, axis=(0, 1)),
    "squeeze": lambda t, x: t.squeeze(x, axis=0),
    "unsqueeze": lambda t, x: x.unsqueeze(axis=0),
    "cumsum": lambda t, x: x.cumsum(axis=0),
    "argmax": lambda t, x: x.argmax(axis=1, keepdims=True),
    "sort": lambda t, x: x.sort(axis=0),
    "flip": lambda t, x: t.flip(x, axis=(0,)),
    "transpose": lambda t, x: t.transpose(x=x, dim0=0, dim1=1),
    "in place": lambda t, x: x.add_(x2=x),
    "out": lambda t, x: t.sum(x, axis=1, out=t.empty(2)),
    "matmul": lambda t, x: t.matmul(x1=x, x2=x.t()),
}


@pytest.mark.parametrize("name", CALLS)
@either
def test_other_names(torch, rng, name):
    return CALLS[name](torch, rng(2, 3))


MATRIX = {"linalg.solve_triangular": {"B": 2, "upper": True}, "linalg.lstsq": {"b": 2}, "linalg.tensorsolve": {"other": 2}}
MATRIX |= {"linalg.matrix_power": {"n": 2}}
NAMES = ("input", "x", "a")
OF_A_MATRIX = (
    "cholesky cholesky_ex cond det diagonal eig eigh eigvals eigvalsh inv inv_ex ldl_factor ldl_factor_ex lu lu_factor "
    "lu_factor_ex matrix_exp matrix_norm matrix_rank norm pinv qr slogdet svd svdvals tensorinv vector_norm"
)
OWN_NAME = "det diagonal inv inv_ex lu lu_factor lu_factor_ex qr slogdet solve solve_ex svd svdvals".split()


@pytest.mark.parametrize("name", sorted([*MATRIX, *[f"linalg.{name}" for name in OF_A_MATRIX.split()]]))
@twin
def test_the_matrix_of_a_function_has_other_names(torch, rng, name):
    """torch's pages call it A, its parser mostly `input`."""
    function = getattr(torch.linalg, name.removeprefix("linalg."))
    given = {key: torch.eye(2) if key in ("B", "b", "other") else value for key, value in MATRIX.get(name, {}).items()}
    shape = (2, 2, 2, 2) if name == "linalg.tensorinv" else (2, 2)
    matrix = torch.eye(4).reshape(shape) if len(shape) == 4 else torch.eye(2)
    results = []
    for other in NAMES:
        found = raised(lambda o=other: function(**{o: matrix}, **given))
        results.append(found if name.removeprefix("linalg.") not in OWN_NAME else found == "nothing")
    return results
