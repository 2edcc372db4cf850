"""The mistakes of someone who adds a module, an optimizer, a schedule, a kernel or a test are refused or found.

Those of an operation are in `test_refusals.py`, names that are missing in listings in `test_architecture.py`.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_optim import ALGORITHMS

import mini_dl as torch
from mini_dl._families import with_family
from mini_dl.nn.modules.configured import Configured
from mini_dl.optim.optimizer import Optimizer
from mini_dl.optim.updates import chosen

ROOT = Path(__file__).parent.parent
FLAGS = set("foreach maximize capturable differentiable fused".split())

# ------------------------------------------------------------------------------------------------ modules


def configured(name: str, default: Any) -> type:
    return type("Layer", (Configured,), {"__module__": "mini_dl.layers", "__annotations__": {name: "Any"}, name: default})


@pytest.mark.parametrize("default", [[], {}, set()])
def test_modules_do_not_share_a_default_that_changes(default: Any) -> None:
    with pytest.raises(TypeError, match=r"Layer\.sizes: all modules would share this (list|dict|set); use a tuple"):
        configured("sizes", default)
    assert configured("sizes", ()).__name__ == "Layer"


@pytest.mark.parametrize("name", ["half", "type", "forward", "train", "buffers", "register_buffer"])
def test_a_field_does_not_hide_what_every_module_has(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Layer\.{name}: every module has something of this name"):
        configured(name, 1)


# ------------------------------------------------------------------------------------------------ optimizers, schedules


class Plain(Optimizer):
    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, chosen(locals(), "lr"))


def stepped(cls: type[Optimizer]) -> Any:
    w = torch.ones(3, requires_grad=True)
    w.grad = torch.ones(3)
    cls([w]).step()
    return w


def test_an_update_writes_and_does_not_return() -> None:
    class Returning(Plain):
        def update(self, param: Any, grad: Any, state: Any, group: Any) -> Any:
            return param - group.lr * grad

    class Writing(Plain):
        def update(self, param: Any, grad: Any, state: Any, group: Any) -> None:
            param -= group.lr * grad

    with pytest.raises(TypeError, match=r"Returning\.update must write into `param`; what it returns is lost"):
        stepped(Returning)
    assert torch.allclose(stepped(Writing), torch.full((3,), 0.9))


@pytest.mark.parametrize(("algorithm", "options"), ALGORITHMS)
def test_a_step_changes_the_parameter_and_leaves_the_gradient(algorithm: Any, options: dict[str, Any]) -> None:
    for size in (3, 20_000):
        for maximize in (False, True):
            w = torch.ones(size, requires_grad=True)
            grad = w.grad = torch.linspace(0.5, 1, size)
            optimizer = algorithm([w], **options, maximize=maximize)
            for _ in range(3):
                optimizer.step()
            assert grad.equal(torch.linspace(0.5, 1, size))
            assert ((w < 1) != maximize).all()


def sources(cls: type) -> str:
    """The text of a class and of its bases, without constructors."""
    parts = [inspect.getsource(one) for one in cls.__mro__[:-1] if one is not Optimizer]
    return re.sub(r"def __init__\(.*?\n(?=    def )", "", "\n".join(parts), flags=re.DOTALL)


def unread(cls: type) -> list[str]:
    """The options that no step of an optimizer looks at."""
    options = set(inspect.signature(cls).parameters) - {"params"} - FLAGS
    text = sources(cls)
    return sorted([name for name in options if not re.search(rf"group(\.{name}\b|\[\"{name}\"\])", text)])


def test_every_option_of_an_optimizer_is_read() -> None:
    optimizers = [
        v for v in vars(torch.optim).values() if isinstance(v, type) and issubclass(v, Optimizer) and v is not Optimizer
    ]
    assert {cls.__name__: missing for cls in optimizers if (missing := unread(cls))} == {}
    assert unread(Plain) == ["lr"]


@pytest.mark.parametrize("rates", [[], [0.1], [0.1, 0.2, 0.3]])
def test_a_schedule_has_one_rate_for_each_group(rates: list[float]) -> None:
    class Schedule(torch.optim.lr_scheduler.LRScheduler):
        def get_lr(self) -> Any:
            return rates

    optimizer = torch.optim.SGD([{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)]}])
    with pytest.raises(ValueError, match="zip"):
        Schedule(optimizer)


# ------------------------------------------------------------------------------------------------ kernels, docstrings


def test_random_numbers_come_from_torchs_generator() -> None:
    """NumPy's know nothing of `manual_seed`; only the generator itself and what compares derivatives use them."""
    found = []
    for folder in ("autograd", "distributions", "kernels", "nn", "ops", "optim"):
        for path in (ROOT / "mini_dl" / folder).rglob("*.py"):
            found += [
                f"{path.name}: {line.strip()}"
                for line in path.read_text(encoding="utf-8").splitlines()
                if "np.random" in line and path.name not in ("mersenne.py", "gradcheck.py")
            ]
    assert found == [], "draw by `mini_dl.kernels.distributions`"


@pytest.mark.parametrize("family", ["elementwize", "F.elu", "torch.eluu", "nowhere.elu"])
def test_a_docstring_names_a_family_that_there_is(family: str) -> None:
    with pytest.raises(TypeError, match=rf"a docstring names the family '{family}', which is neither .* nor a function"):
        with_family(f"Text.\n\nFamily: {family}\n", functions={"torch": {"elu": np.exp}})


# ------------------------------------------------------------------------------------------------ tests


def tests_of(node: ast.Module | ast.ClassDef) -> list[str]:
    functions = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")]
    return [one.name for one in functions if one.returns is None or ast.unparse(one.returns) == "None"]  # others give something


def uncollected(name: str, text: str) -> list[str]:
    """Tests in a file that pytest does not run, because of the name of the file or of a class."""
    tree = ast.parse(text)
    lost = [] if name.startswith("test_") else tests_of(tree)
    classes = [one for one in tree.body if isinstance(one, ast.ClassDef)]
    return lost + [test for one in classes if not one.name.startswith("Test") for test in tests_of(one)]


def test_every_test_is_run() -> None:
    lost = {}
    for folder in ("tests", "parity_tests", "tests_distributed"):
        for path in (ROOT / folder).rglob("*.py"):
            if names := uncollected(path.name, path.read_text(encoding="utf-8")):
                lost[path.name] = names
    assert lost == {}, "a file of tests is called test_*.py, a class of tests Test*"


def test_a_test_that_is_not_run_is_found() -> None:
    text = "def test_one(): ...\nclass Things:\n    def test_two(self): ...\n"
    assert uncollected("things_test.py", text) == ["test_one", "test_two"]
    assert uncollected("test_things.py", text) == ["test_two"]
