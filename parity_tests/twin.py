"""Twin programs: one body run once under torch and once under mini_dl; its results, output, warnings and exceptions are compared.

    @twin
    def test_a_view_follows_its_base(torch, rng):
        x = rng(2, 3)
        y = x[0]
        x.add_(1)
        return y, y._version

There are no expected values, so nothing has to be kept up to date.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import re
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch as real

from parity_tests import bridge, compare
from parity_tests.judging import same_exception

for library in (real, bridge.mini_dl):
    library.set_warn_always(True)  # otherwise some warnings come once in a process, and the order of the tests would matter


class Draws:
    """Tensors of one library with random values, the same under both."""

    def __init__(self, library: Any, seed: int = 0) -> None:
        self.library, self.numbers = library, np.random.default_rng(seed)

    def tensor(self, values: Any, dtype: str | None = None, grad: bool = False) -> Any:
        array = np.array(values, dtype)
        made = real.from_numpy(array) if self.library is real else bridge.wrap(array)
        return made.requires_grad_() if grad else made

    def __call__(self, *shape: int, dtype: str = "float32", grad: bool = False) -> Any:
        if dtype == "bool":
            return self.tensor(self.numbers.integers(0, 2, shape), dtype)
        if np.dtype(dtype).kind in "iu":
            return self.tensor(self.numbers.integers(0, 9, shape), dtype)
        values = self.numbers.standard_normal(shape)
        if np.dtype(dtype).kind == "c":
            values = values + 1j * self.numbers.standard_normal(shape)
        return self.tensor(values, dtype, grad)


@dataclass
class Trace:
    """The effects of one run of a body."""

    result: Any = None
    error: BaseException | None = None
    printed: str = ""
    warned: list[tuple[str, str]] = field(default_factory=list)


def run(body: Callable[..., Any], library: Any, **arguments: Any) -> Trace:
    trace, out = Trace(), io.StringIO()
    library.manual_seed(0)
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(out):
        warnings.simplefilter("always")
        try:
            trace.result = body(library, Draws(library), **arguments)
        except Exception as error:
            trace.error = error
    trace.printed, trace.warned = (
        out.getvalue(),
        [(w.category.__name__, str(w.message)[:300]) for w in caught if "ComplexHalf" not in str(w.message)],
    )
    return trace


def difference(ours: Trace, theirs: Trace) -> str | None:
    if theirs.error is not None:
        if ours.error is None:
            return f"no error where torch raises {type(theirs.error).__name__}: {theirs.error}"
        if not same_exception(ours.error, type(theirs.error)):
            raises = f"raises {type(ours.error).__name__}: {ours.error}"
            return f"{raises}\nwhere torch raises {type(theirs.error).__name__}: {theirs.error}"
    elif ours.error is not None:
        return f"raises {type(ours.error).__name__}: {ours.error}"
    if ours.printed != theirs.printed:
        return f"prints\n{ours.printed}\nwhere torch prints\n{theirs.printed}"
    if {category for category, _ in ours.warned} != {category for category, _ in theirs.warned}:
        return f"warns {sorted(set(ours.warned))} where torch warns {sorted(set(theirs.warned))}"
    return compare.same(ours.result, theirs.result, where="result")


def is_silent(source: str) -> bool:
    """Whether a program can neither return nor assert anything."""
    return re.search(r"\breturn\b|\bassert\b", source) is None


def check(body: Callable[..., Any], raises: bool | None = False, **arguments: Any) -> None:
    """Fail unless `body` does the same under both libraries, and raises under torch as `raises` says (None: either way)."""
    theirs = run(body, real, **arguments)
    if raises is not None and raises != (theirs.error is not None):
        pytest.fail(f"under torch the program itself {'does not raise' if raises else f'raises {theirs.error!r}'}", pytrace=False)
    if theirs.error is None and theirs.result is None and not theirs.printed and is_silent(inspect.getsource(body)):
        pytest.fail("the program returns nothing by which the libraries could be compared; return what it makes", pytrace=False)
    ours = run(body, bridge.mini_dl, **arguments)
    if why := difference(ours, theirs):
        source = textwrap.indent(inspect.getsource(body), "    ")
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        again = f"# from {body.__module__} import {body.__name__}; {body.__name__}({given})"
        pytest.fail(f"{why}\n{again}\n{source}", pytrace=False)


def twin(body: Callable[..., Any], raises: bool | None = False) -> Callable[..., None]:
    """A test that runs `body(torch, rng, ...)` under both libraries; further parameters are pytest's."""
    parameters = list(inspect.signature(body).parameters.values())[2:]

    @functools.wraps(body)
    def test(**arguments: Any) -> None:
        check(body, raises, **arguments)

    test.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    del test.__wrapped__  # type: ignore[attr-defined]
    test.body = body  # type: ignore[attr-defined]
    return test


mistake = functools.partial(twin, raises=True)  # the program raises under torch
either = functools.partial(twin, raises=None)  # for some parameters it raises


def function_of(torch: Any, name: str = "Custom", **methods: Callable[..., Any]) -> Any:
    """A custom function, a class with these static methods: ``forward(ctx, x)``, ``backward(ctx, grad)``."""
    return type(name, (torch.autograd.Function,), {name: staticmethod(method) for name, method in methods.items()})


def raised(action: Callable[[], Any]) -> str:
    """The name of the exception that `action` raises, or "nothing", so one program can show several."""
    try:
        action()
    except Exception as error:
        return canonical(error)
    return "nothing"


def outcome(action: Callable[[], Any]) -> Any:
    """The result of `action`, or the name of the exception it raises."""
    try:
        return action()
    except Exception as error:
        return canonical(error)


def canonical(error: BaseException) -> str:
    return type(error).__name__


def message(action: Callable[[], Any]) -> Any:
    """The name and message of the exception that `action` raises, or "nothing"."""
    try:
        action()
    except Exception as error:
        return type(error).__name__, str(error)
    return "nothing"
