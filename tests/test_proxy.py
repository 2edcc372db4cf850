"""``import torch`` gives mini_dl while the proxy is on, and leaves nothing behind afterwards."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import pickle
import pkgutil
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest

import mini_dl
import mini_dl.compat
from mini_dl.compat.homes import HOMES, MOVED, OURS
from mini_dl.torch_version import TorchVersion, key_of


@pytest.fixture
def torch() -> Iterator[Any]:
    with mini_dl.compat.torch_proxy() as module:
        yield module


def torch_names() -> list[str]:
    return [name for name in sys.modules if name == "torch" or name.startswith("torch.")]


# ------------------------------------------------------------------------------------------------ importing


def test_importing_mini_dl_gives_nobody_the_name_torch() -> None:
    code = "import sys, mini_dl, mini_dl.compat; print([name for name in sys.modules if name.split('.')[0] == 'torch'])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout == "[]\n" and not found.stderr


def test_the_modules_are_those_of_mini_dl(torch: Any) -> None:
    import torch as first
    import torch.nn.functional as F
    import torch.nn.modules.activation as activation
    from torch import nn, optim
    from torch.utils.data import DataLoader

    assert first is torch and first is not mini_dl and sys.modules["torch"] is first
    assert nn is mini_dl.nn and optim is mini_dl.optim and F is mini_dl.nn.functional
    assert activation is sys.modules["mini_dl.nn.modules.activation"] is sys.modules["torch.nn.modules.activation"]
    assert DataLoader is mini_dl.utils.data.DataLoader
    assert torch.Tensor is mini_dl.Tensor and torch.float32 is mini_dl.float32
    assert importlib.import_module("torch.nn.init") is mini_dl.nn.init


def test_a_module_of_torch_that_has_another_place_here(torch: Any) -> None:
    import torch.functional
    import torch.nn.modules.channelshuffle
    import torch.optim.adamw
    import torch.utils.data._utils.collate
    from torch.autograd.grad_mode import no_grad

    assert torch.optim.adamw.AdamW is torch.optim.AdamW
    assert torch.functional.einsum is mini_dl.einsum and no_grad is mini_dl.no_grad
    assert torch.utils.data._utils.collate.default_collate is torch.utils.data.default_collate
    assert torch.nn.modules.channelshuffle.ChannelShuffle is torch.nn.ChannelShuffle


@pytest.mark.parametrize("home", HOMES)
def test_every_other_place_can_be_imported_and_holds_its_names(torch: Any, home: str) -> None:
    module = importlib.import_module(f"torch.{home}")
    assert [name for name in getattr(module, "__all__", []) if not hasattr(module, name)] == []


def test_what_is_moved_exists() -> None:
    for source, name in MOVED:
        assert hasattr(importlib.import_module(f"mini_dl.{source}"), name), (source, name)


@pytest.mark.parametrize("name", [name for name in sorted(OURS) if name not in ("ops", "__main__")])
def test_parts_of_mini_dl_that_torch_does_not_have_are_not_found(torch: Any, name: str) -> None:
    assert importlib.util.find_spec(f"torch.{name}") is None
    assert not isinstance(getattr(torch, name, None), types.ModuleType) and not isinstance(
        vars(torch).get(name), types.ModuleType
    )
    with pytest.raises(ModuleNotFoundError, match=f"No module named 'torch.{name}'"):
        importlib.import_module(f"torch.{name}")


def test_a_module_that_does_not_exist_is_missed_as_in_any_package(torch: Any) -> None:
    assert importlib.util.find_spec("torch.nonsense") is None
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'torch\.nonsense'"):
        importlib.import_module("torch.nonsense")
    with pytest.raises(AttributeError, match=r"module 'torch' has no attribute 'nonsense'"):
        torch.nonsense  # noqa: B018
    with pytest.raises(ImportError, match=r"cannot import name 'nonsense' from 'torch"):
        exec("from torch import nonsense", {})


def test_the_import_system_sees_a_package(torch: Any) -> None:
    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.name == "torch" and spec.submodule_search_locations and torch.__spec__.name == "torch"
    assert torch.__file__ == mini_dl.__file__ and torch.__package__ == "torch"
    assert importlib.reload(torch) is torch
    listed = {info.name: info.ispkg for info in pkgutil.iter_modules(torch.__path__, "torch.")}
    assert listed["torch.nn"] and "torch.random" in listed and "torch.kernels" not in listed
    spec = importlib.util.find_spec("torch.nn.modules.linear")
    assert spec is not None and spec.origin == inspect.getfile(mini_dl.nn.Linear)
    assert mini_dl.nn.__spec__.name == "mini_dl.nn"


def test_the_metadata_of_the_package(torch: Any) -> None:
    assert importlib.metadata.version("torch") == torch.__version__
    assert importlib.metadata.metadata("torch")["Name"] == "torch"
    assert "torch" in [found.metadata["Name"] for found in importlib.metadata.distributions()]


def test_star_imports_leave_pythons_names_of_types_alone(torch: Any) -> None:
    names: dict[str, Any] = {}
    exec("from torch import *", names)
    assert names["tensor"] is torch.tensor and "float" not in names and "nn" not in names


# ------------------------------------------------------------------------------------------------ versions


def test_the_version_is_torchs_with_a_part_that_names_this_library(torch: Any) -> None:
    version = torch.__version__
    assert version == torch.version.__version__ == f"2.13.0+mini_dl.{mini_dl.__version__}" != mini_dl.__version__
    assert isinstance(version, str) and isinstance(version, torch.torch_version.TorchVersion)
    assert version >= "2.0" and version > (1, 8) and version < (2, 14) and not version < "2.9.1"
    assert torch.version.cuda is None and torch.version.debug is False
    assert [int(part) for part in version.split("+")[0].split(".")] == [2, 13, 0]


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("1.9", "1.10"), ("1.0.dev3", "1.0a1"), ("1.0a1", "1.0b0"), ("1.0b2", "1.0rc1"), ("1.0rc1", "1.0"), ("1.0", "1.0+cpu"),
        ("1.0+cpu", "1.0.post1"), ("1.0.post1", "1.0.1"), ("9.9", "1!0.1"), ("1.0+a", "1.0+1"), ("1.0+1", "1.0+1.1"),
    ],
)  # fmt: skip
def test_versions_are_ordered_as_pep_440_orders_them(smaller: str, larger: str) -> None:
    assert TorchVersion(smaller) < larger and TorchVersion(larger) > smaller and TorchVersion(smaller) != larger
    assert TorchVersion(smaller) <= larger and not TorchVersion(smaller) >= larger


def test_equal_versions_and_texts_that_are_not_versions() -> None:
    assert TorchVersion("1.0") == "1.0.0" == TorchVersion("v1") and TorchVersion("1.0") == (1, 0)
    assert key_of("parrot") is None and TorchVersion("parrot") > "norwegian" and TorchVersion("1.0") != "parrot"

    class Other:  # an object of the library packaging
        def __str__(self) -> str:
            return "1.1"

    assert TorchVersion("1.0") < Other()


# ------------------------------------------------------------------------------------------------ names of classes


def test_classes_and_functions_say_that_they_come_from_torch(torch: Any) -> None:
    kinds = [torch.nn.Linear, torch.Tensor, torch.nn.MultiheadAttention, torch.optim.AdamW, torch.no_grad, torch.nn.Parameter]
    assert [f"{kind.__module__}.{kind.__name__}" for kind in kinds] == [
        "torch.nn.modules.linear.Linear", "torch.Tensor", "torch.nn.modules.activation.MultiheadAttention",
        "torch.optim.adamw.AdamW", "torch.autograd.grad_mode.no_grad", "torch.nn.parameter.Parameter",
    ]  # fmt: skip
    assert repr(type(torch.ones(1))) == "<class 'torch.Tensor'>"
    assert torch.nn.functional.relu.__module__ == "torch.nn.functional" and torch.einsum.__module__ == "torch.functional"


def test_what_is_pickled_has_torchs_names_and_comes_back(torch: Any) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    text = pickle.dumps(model, 0)
    assert b"torch.nn.modules.linear" in text and b"mini_dl.nn" not in text
    again = pickle.loads(text)
    assert type(again[0]) is torch.nn.Linear and torch.equal(again[0].weight, model[0].weight)
    for value in (torch.nn.functional.relu, torch.relu, torch.optim.AdamW, torch.no_grad):
        assert pickle.loads(pickle.dumps(value)) is value


def test_source_and_annotations_are_found_under_the_names_of_torch(torch: Any) -> None:
    assert inspect.getsource(torch.nn.Linear).startswith("class Linear(")
    assert inspect.getsource(torch.optim.AdamW).startswith("class AdamW(")

    class Net(torch.nn.Linear):  # type: ignore[misc, name-defined]
        pass

    assert typing.get_type_hints(Net)["training"] is bool
    assert typing.get_type_hints(torch.optim.AdamW) and typing.get_type_hints(torch.nn.ChannelShuffle)


def test_a_part_that_is_imported_later_gets_its_names_too() -> None:
    code = (
        "import sys, mini_dl.compat\n"
        "with mini_dl.compat.torch_proxy() as torch:\n"
        "    assert 'mini_dl.storage' not in sys.modules\n"
        "    import torch.storage\n"
        "    import mini_dl.nn.grad\n"
        "    assert sys.modules['torch.storage'] is sys.modules['mini_dl.storage']\n"
        "    assert sys.modules['torch.nn.grad'].conv2d_input.__module__ == 'torch.nn.grad'\n"
        "import mini_dl.nn.grad\n"
        "assert mini_dl.nn.grad.conv2d_input.__module__ == 'mini_dl.nn.grad'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------------------------ writing through it


def test_what_is_set_on_torch_reaches_mini_dl_and_is_undone() -> None:
    load, linear, relu = mini_dl.load, mini_dl.nn.Linear, mini_dl.nn.functional.relu
    with mini_dl.compat.torch_proxy() as torch:
        torch.load = torch.nn.Linear = torch.nn.functional.relu = torch.new_name = print
        assert mini_dl.load is print and mini_dl.nn.Linear is print and mini_dl.new_name is print  # type: ignore[attr-defined]
        del torch.new_name
        assert not hasattr(mini_dl, "new_name")
        torch.new_name = 1
        torch.nn.functional.relu = relu
    assert (mini_dl.load, mini_dl.nn.Linear, mini_dl.nn.functional.relu) == (load, linear, relu)
    assert not hasattr(mini_dl, "new_name")


def test_what_is_set_on_mini_dl_is_seen_in_torch(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mini_dl, "load", print)
    assert torch.load is print


def test_settings_outlive_the_proxy() -> None:
    try:
        with mini_dl.compat.torch_proxy() as torch:
            torch.set_default_dtype(torch.float64)
        assert mini_dl.get_default_dtype() is mini_dl.float64
    finally:
        mini_dl.set_default_dtype(mini_dl.float32)


# ------------------------------------------------------------------------------------------------ on and off


def snapshot() -> Any:
    parts = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "mini_dl"}
    names = {name: {key: id(value) for key, value in vars(module).items()} for name, module in parts.items()}
    labels = [
        (name, key, value.__module__)
        for name, module in parts.items()
        for key, value in vars(module).items()
        if isinstance(value, (type, types.FunctionType))
    ]
    return list(sys.meta_path), names, labels, type(mini_dl), torch_names()


def test_turning_it_off_leaves_everything_as_it_was() -> None:
    with mini_dl.compat.torch_proxy():  # parts that are imported when it is first on stay imported
        import torch.optim.adamw
    before = snapshot()
    with mini_dl.compat.torch_proxy():
        import torch.functional
        import torch.nn.modules.linear
        import torch.optim.adamw  # noqa: F401
    assert snapshot() == before
    if not has_torch():
        with pytest.raises(ModuleNotFoundError, match="No module named 'torch'"):
            importlib.util.find_spec("torch.nn")


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def test_enabling_twice_is_enabling_once() -> None:
    first = mini_dl.compat.enable_torch_proxy()
    try:
        with mini_dl.compat.torch_proxy(), mini_dl.compat.enable_torch_proxy():
            pass
        assert mini_dl.compat.is_torch_proxy_enabled() and "torch" in sys.modules
    finally:
        mini_dl.compat.disable_torch_proxy()
    assert not mini_dl.compat.is_torch_proxy_enabled() and torch_names() == []
    mini_dl.compat.disable_torch_proxy()
    with first:
        assert not torch_names() or mini_dl.compat.is_torch_proxy_enabled()
    assert torch_names() == []


def test_the_result_of_enabling_is_a_context_manager() -> None:
    with mini_dl.compat.enable_torch_proxy() as torch:
        assert sys.modules["torch"] is torch
    assert torch_names() == []


def test_torch_itself_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    other = types.ModuleType("torch")
    other.__file__ = "/somewhere/torch/__init__.py"
    monkeypatch.setitem(sys.modules, "torch", other)
    with pytest.raises(ImportError, match=r"torch itself has already been imported \(/somewhere/torch/__init__.py\)"):
        mini_dl.compat.enable_torch_proxy()
    assert sys.modules["torch"] is other and not mini_dl.compat.is_torch_proxy_enabled()


def test_a_torch_that_is_blocked_is_blocked_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with mini_dl.compat.torch_proxy() as torch:
        assert sys.modules["torch"] is torch
    assert sys.modules["torch"] is None
