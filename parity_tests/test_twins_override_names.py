"""The names of overridable functions, and other names that old and new programs use."""

from __future__ import annotations

import importlib
from typing import Any

from parity_tests.twin import message, twin

FUNCTIONS = """add cat Tensor.add Tensor.add_ Tensor.__add__ Tensor.__getitem__ Tensor.grad.__get__ Tensor.T.__get__
nn.functional.relu nn.functional.linear linalg.inv fft.fft special.erf matmul Tensor.matmul"""


def found(torch: Any, path: str) -> Any:
    for name in path.split("."):
        torch = getattr(torch, name)
    return torch


@twin
def test_functions_have_names(torch: Any, rng: Any) -> Any:
    overrides = importlib.import_module(f"{torch.__name__}.overrides")
    return {path: overrides.resolve_name(found(torch, path)) for path in FUNCTIONS.split()}, overrides.resolve_name(len)


@twin
def test_a_logging_mode_prints_names(torch: Any, rng: Any) -> Any:
    overrides = importlib.import_module(f"{torch.__name__}.overrides")
    said = []

    class Logging(overrides.TorchFunctionMode):  # type: ignore[name-defined, misc]
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            said.append(overrides.resolve_name(function))
            return function(*args, **(kwargs or {}))

    x = rng(2, 2)
    with Logging():
        torch.nn.functional.softplus(torch.add(x, x)).sum()
    return said[:3]


@twin
def test_functions_in_both_lists(torch: Any, rng: Any) -> Any:
    overrides = importlib.import_module(f"{torch.__name__}.overrides")
    known = overrides.get_overridable_functions()
    testing = overrides.get_testing_overrides()
    ignored = overrides.get_ignored_functions()
    return (
        torch.add in known[torch],
        torch.Tensor.add in known[torch.Tensor],
        torch.nn.functional.relu in known[torch.nn.functional],
        testing[torch.add](rng(1), rng(1)),
        torch.ones in ignored,
        torch.add in ignored,
        torch.Tensor.as_subclass in ignored,
    )


@twin
def test_nothing_is_volatile(torch: Any, rng: Any) -> Any:
    x = torch.autograd.Variable(rng(2), volatile=True)
    before = x.volatile
    x.volatile = True
    return before, x.volatile, x.requires_grad, message(lambda: torch.autograd.Variable(rng(2), True, True))
