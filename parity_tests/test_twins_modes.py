"""Modes: `TorchFunctionMode` overrides every public function, including factories and properties."""

import pytest

from parity_tests.twin import raised, twin


def mode_of(torch, answer):
    import importlib

    overrides = importlib.import_module(f"{torch.__name__}.overrides")
    return type("Mode", (overrides.TorchFunctionMode,), {"__torch_function__": answer})()


def logging_to(log, tag=""):
    def answer(self, func, types, args=(), kwargs=None):
        log.append((tag, func.__name__, len(args)))
        return func(*args, **(kwargs or {}))

    return answer


CALLS = {
    "factories": lambda torch, x: [
        torch.ones(2),
        torch.zeros(2, dtype=torch.float64),
        torch.tensor([1.0]),
        torch.arange(3),
        torch.empty(0),
    ],
    "methods": lambda torch, x: [x.sum(), x.relu(), x.T, x.requires_grad, x.shape, x[0], x.clone().mul_(2)],
    "operators": lambda torch, x: [x + 1, 1 - x, -x, x @ x.T, x == x],
    "functions": lambda torch, x: [torch.cat([x, x]), torch.nn.functional.linear(x, x), torch.linalg.norm(x)],
    "modules": lambda torch, x: [torch.nn.ReLU()(x), torch.nn.Flatten()(x)],
    "init": lambda torch, x: [torch.nn.init.constant_(x.clone(), 2.0), torch.nn.init.constant_(x, val=1.0)],
}


@pytest.mark.parametrize("name", CALLS)
@twin
def test_a_mode_is_told_what_is_called(torch, rng, name):
    log, x = [], rng(2, 3)
    with mode_of(torch, logging_to(log)):
        found = CALLS[name](torch, x)
    return log, found


@twin
def test_modes_within_each_other(torch, rng):
    log, x = [], rng(2, 3)
    with mode_of(torch, logging_to(log, "outer")), mode_of(torch, logging_to(log, "inner")):
        y = x * 2
    return log, y, x + 1


@twin
def test_another_answer(torch, rng):
    def answer(self, func, types, args=(), kwargs=None):
        return 7 if func is torch.add else func(*args, **(kwargs or {}))

    with mode_of(torch, answer):
        return torch.add(rng(2), 1), torch.sub(rng(2), 1)


@twin
def test_a_mode_goes_before_a_subclass(torch, rng):
    log = []

    class Sub(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            log.append(("class", func.__name__, [kind.__name__ for kind in types]))
            return super().__torch_function__(func, types, args, kwargs)

    x = rng(2).as_subclass(Sub)
    log.clear()
    with mode_of(torch, logging_to(log, "mode")):
        torch.add(x, 1)
    return log


@twin
def test_no_answer(torch, rng):
    def refuse(self, func, types, args=(), kwargs=None):
        return NotImplemented

    def ones():
        with mode_of(torch, refuse):
            torch.ones(1)

    return raised(ones), torch.ones(1)
