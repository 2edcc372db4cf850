"""Subclasses of Tensor, and classes with ``__torch_function__``, under both libraries."""

from __future__ import annotations

import operator
import warnings
from typing import ClassVar

import pytest

from parity_tests.twin import canonical, either, twin

OPERATORS = (
    "add sub mul truediv floordiv mod pow matmul eq ne lt le gt ge and_ or_ xor lshift rshift iadd isub imul ipow imod".split()
)
EXPRESSIONS = """
    -x +x abs(x) ~x.bool() x[0] x[None] x.shape x.T x.dtype len(x) list(x) x.requires_grad x.grad x.data x.detach() x.tolist()
    repr(x) float(x[0]) x.max(0) x.split(1) torch.stack([x,x]) torch.stack([torch.ones(2),x]) torch.sum(x) torch.sum(input=x)
    x.is_leaf x.ndim x.grad_fn torch.relu(x) torch.nn.functional.relu(x) torch.nn.Linear(2,1)(x) torch.nn.Flatten()(x[None])
    torch.nn.Sequential(torch.nn.Linear(2,2),torch.nn.ReLU(),torch.nn.LayerNorm(2),torch.nn.Softmax(-1))(x) x.numpy()
    torch.nn.Conv1d(1,1,1)(x.reshape(1,1,2)) torch.nn.BatchNorm1d(2)(x.expand(3,2)) torch.nn.MSELoss()(x,torch.ones(2))
    x.new_zeros(2) torch.zeros_like(x) x.to(torch.float64) x.float() x.clone() x.add_(0) x.add(x,alpha=2) torch.tensor(x)
    torch.as_tensor(x) torch.is_tensor(x) torch.equal(x,x) torch.ones(2).add_(x) x.as_subclass(torch.Tensor)
    x.__array__() torch.einsum('i,i->',x,x) torch.linalg.norm(x) torch.fft.fft(x) torch.where(x>1,x,0.) x.stride()
    (x*1).requires_grad_() torch.special.expit(x) torch.add(x,1,out=torch.empty(2)) torch.broadcast_tensors(x,torch.ones(1))
    torch.nn.functional.layer_norm(x,(2,)) torch.full_like(x,1.) x.unbind() x.chunk(2) torch.cat([x,x]) x.view(1,2) x.expand(2,2)
    torch.nn.functional.cross_entropy(x[None],torch.tensor([1])) x.mean() x.sort() x.topk(1) x[0].item() x.argmax()
    x.masked_fill(x>1,0) x.index_select(0,torch.tensor([0])) x.dot(x) x@x x.numel() x.copy_(torch.ones(2)) x.half()
    torch.nn.Parameter(x) x*torch.nn.Parameter(torch.ones(2)) torch.nn.Parameter(torch.ones(2))*x torch.ones(2)-x 2-x x/2 2/x
""".split()


def plain(torch):
    class Plain(torch.Tensor):
        pass

    return Plain


def logging(torch):
    class Logging(torch.Tensor):
        names: ClassVar[list[str]] = []

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            cls.names.append(func.__name__)
            return super().__torch_function__(func, types, args, kwargs or {})

    return Logging


def kinds(result):
    """The names of the classes in a result."""
    if isinstance(result, (tuple, list)):
        return type(result).__name__, [kinds(one) for one in result]
    return type(result).__name__.replace("builtin_function_or_method", "method")


def kinds_or_error(action):
    try:
        return kinds(action())
    except Exception as error:
        return canonical(error)


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("make", [plain, logging])
@twin
def test_what_class_a_result_has(torch, rng, make, expression):
    x = make(torch)([1.0, 2.0])
    return kinds_or_error(lambda: eval(expression, {"torch": torch, "x": x}))


@pytest.mark.parametrize("symbol", OPERATORS)
@twin
def test_what_class_operators_give_and_whom_they_ask(torch, rng, symbol):
    kind, found = logging(torch), []
    operands = [kind([4.0, 8.0]), torch.tensor([4, 8]).as_subclass(kind), 2, torch.ones(2), torch.nn.Parameter(torch.ones(2))]
    for a in operands[: 2 if symbol[0] == "i" else None]:
        for b in operands:
            if type(a) is kind or (type(b) is kind and not isinstance(a, torch.nn.Parameter)):
                kind.names.clear()
                result = kinds_or_error(lambda: getattr(operator, symbol)(a.clone() if symbol[0] == "i" else a, b))  # noqa: B023
                names = [] if symbol.strip("_") in ("and", "or", "xor", "matmul") else list(kind.names)
                found.append((result, names))
    return found


@twin
def test_a_subclass_answers_before_its_base_and_a_stranger_not_at_all(torch, rng):
    one = plain(torch)

    class Two(one):
        pass

    x, y, z = one([1.0]), Two([1.0]), logging(torch)([1.0])
    return [kinds_or_error(action) for action in (lambda: x + y, lambda: y + x, lambda: torch.cat([x, y]), lambda: x + z)]


@twin
def test_gradients_flow_through_a_subclass(torch, rng):
    kind = plain(torch)
    x = kind([1.0, 2.0]).requires_grad_()
    y = (x * x).sum()
    name = y.grad_fn.name()
    y.backward()
    return kinds(y), name, x.is_leaf, x.grad.detach(), y.requires_grad


@twin
def test_as_subclass_looks_into_the_same_memory(torch, rng):
    kind, x = plain(torch), torch.ones(2)
    y = x.as_subclass(kind)
    y.add_(1)
    made = torch.Tensor._make_subclass(kind, x, True)
    back = y.as_subclass(torch.Tensor)
    return x, kinds(y), y._is_view(), kinds(made), made.is_leaf, made.requires_grad, kinds(back), x._version


@either
def test_as_subclass_of_no_tensor(torch, rng):
    return torch.ones(2).as_subclass(int)


@twin
def test_classes_that_decline(torch, rng):
    class Disabled(torch.Tensor):
        __torch_function__ = torch._C._disabled_torch_function_impl

    class Within(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))

    class OfParameter(torch.nn.Parameter):
        pass

    a, b, c = Disabled([1.0]), Within([1.0]), OfParameter(torch.ones(1))
    return kinds([a * 2, torch.stack([a]), b * 2, torch.cat([b, b]), c, c * 2, torch.relu(c)])


@twin
def test_a_parameter_of_a_subclass_belongs_to_its_module(torch, rng):
    kind = plain(torch)
    module = torch.nn.Linear(2, 1)
    module.weight = torch.nn.Parameter(kind([[1.0, 2.0]]))
    out = module(torch.ones(1, 2))
    out.sum().backward()
    listed = [(name, kinds(p), p.is_leaf) for name, p in module.named_parameters()]
    return kinds(out), listed, isinstance(module.weight, torch.nn.Parameter), module.weight.grad.tolist()


class Stranger:
    """Overrides functions like a tensor, and reports the calls."""

    handled: ClassVar[dict] = {}

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func in cls.handled:
            return cls.handled[func]
        return func.__name__.removesuffix("__").rpartition("_")[2], cls in types, len(args)


CALLS = {
    "add": lambda torch, s: torch.add(s, 1),
    "add last": lambda torch, s: torch.add(torch.ones(1), s),
    "mean": lambda torch, s: torch.mean(s),
    "relu": lambda torch, s: torch.nn.functional.relu(s),
    "stack": lambda torch, s: torch.stack([s, s]),
    "cat": lambda torch, s: torch.cat([torch.ones(1), s]),
    "where": lambda torch, s: torch.where(s, 1, 2),
    "zeros_like": lambda torch, s: torch.zeros_like(s),
    "norm": lambda torch, s: torch.linalg.norm(s),
    "fft": lambda torch, s: torch.fft.fft(s),
    "module": lambda torch, s: torch.nn.Linear(1, 1)(s),
    "operator": lambda torch, s: torch.ones(1) - s,
    "reflected": lambda torch, s: s - torch.ones(1),
    "matmul": lambda torch, s: torch.ones(1) @ s,
    "comparison": lambda torch, s: s < torch.ones(1),
    "is_tensor": lambda torch, s: torch.is_tensor(s),
    "tensor": lambda torch, s: torch.tensor(s),
}


@pytest.mark.parametrize("name", list(CALLS))
@twin
def test_a_class_that_is_no_tensor_answers(torch, rng, name):
    try:
        return CALLS[name](torch, Stranger())
    except Exception as error:
        return canonical(error)


@twin
def test_functions_are_known_by_themselves(torch, rng):
    functions = [torch.add, torch.mean, torch.nn.functional.gelu, torch.linalg.det, torch.special.i0]

    class Knowing(Stranger):
        handled: ClassVar[dict] = {function: f"the {i}th" for i, function in enumerate(functions)}

    return [function(Knowing()) for function in functions[1:]], torch.add(1, Knowing())


@either
def test_nobody_answers(torch, rng):
    class Silent:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return NotImplemented

    return torch.add(Silent(), 1)


@twin
def test_the_tools_of_overrides(torch, rng):
    from importlib import import_module

    overrides = import_module(f"{torch.__name__}.overrides")
    s, x, t = Stranger(), plain(torch)([1.0]), torch.ones(1)

    @overrides.wrap_torch_function(lambda first, second: (first, second))
    def own(first, second):
        return "computed"

    return (
        [overrides.has_torch_function((value,)) for value in (s, x, t, torch.nn.Parameter(t), 1)],
        [overrides.is_tensor_like(value) for value in (s, x, t, 1)],
        own(t, 1),
        own(t, s),
    )


@pytest.mark.parametrize("call", ["sin", "negative", "cumsum", "sqrt"])
@twin
def test_functions_of_numpy_keep_the_class(torch, rng, call):
    import numpy as np

    class Kept(torch.Tensor):
        pass

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's method has the parameters of NumPy 1
        found = getattr(np, call)(rng(3).abs().as_subclass(Kept))
        return type(found).__name__, found.as_subclass(torch.Tensor), type(np.add(found, 1)).__name__
