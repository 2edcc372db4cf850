"""Hints in error messages: the intended name, the valid arguments, the place in the model."""

from __future__ import annotations

import gc
import io
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mini_dl as torch
import mini_dl.nn.functional as F
from mini_dl import nn, optim, overrides
from mini_dl._guidance import nearest
from mini_dl.nn.modules.locating import put_note
from mini_dl.utils.data import DataLoader, TensorDataset

# ------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("where", "name", "meant"),
    [
        (torch, "zeross", "zeros"),
        (torch, "matmull", "matmul"),
        (torch, "tensr", "tensor"),
        (nn, "Liner", "Linear"),
        (nn, "conv2d", "Conv2d"),
        (nn, "Batchnorm2d", "BatchNorm2d"),
        (optim, "Adan", "Adam"),
        (optim, "sgd_", "sgd"),
        (F, "sofmax", "softmax"),
        (F, "cross_entrpy", "cross_entropy"),
        (torch.linalg, "nrom", "norm"),
        (torch.utils.data, "Dataloader", "DataLoader"),
        (optim.lr_scheduler, "StepLr", "StepLR"),
        (torch.distributions, "Normall", "Normal"),
        (nn.Linear(3, 2), "wieght", "weight"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_one_that_was_meant(where: Any, name: str, meant: str) -> None:
    with pytest.raises(AttributeError) as error:
        getattr(where, name)
    assert type(error.value) is AttributeError
    assert str(error.value).endswith(f"has no attribute '{name}'. Did you mean: '{meant}'?")
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


def test_a_name_like_no_other_is_answered_without_a_guess() -> None:
    with pytest.raises(AttributeError, match=r"^module 'mini_dl' has no attribute 'qqqqqqq'$"):
        torch.qqqqqqq  # noqa: B018


@pytest.mark.parametrize(
    ("expression", "meant"), [("torch.ones(2).summ()", "sum"), ("torch.zeross(2)", "zeros"), ("torch.nn.Liner(2)", "Linear")]
)
def test_the_terminal_shows_the_suggestion_once(expression: str, meant: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import mini_dl as torch\n{expression}"], capture_output=True, text=True)
    assert done.stderr.rstrip().endswith(f"Did you mean: '{meant}'?")
    assert done.stderr.count("Did you mean") == 1


def test_asking_whether_a_name_is_there_compares_no_names() -> None:
    compared: list[str] = []

    class Watched(nn.Module):
        def __dir__(self) -> list[str]:
            compared.append("dir")
            return []

    assert not hasattr(Watched(), "nothing") and getattr(Watched(), "nothing", 3) == 3
    assert compared == []


@pytest.mark.parametrize(
    ("name", "names", "meant"),
    [
        ("learning_rate", ["params", "lr", "momentum"], "lr"),
        ("dimension", ["input", "dim", "dtype"], "dim"),
        ("LINEAR", ["Linear"], "Linear"),
        ("x", ["input", "dim"], None),
        ("SDG", ["SGD", "Adam", "ASGD"], "SGD"),
        ("ftt", ["fft", "ifft", "hfft"], "fft"),
        ("he_normal_", ["normal_", "kaiming_normal_"], "kaiming_normal_"),
        ("axes", ["input", "dim", "keepdim"], "dim"),
        ("Gaussian", ["Normal", "Gamma"], "Normal"),
        ("BatchNorm", ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d"], "BatchNorm1d"),
        ("sum", ["sum"], None),
    ],
)
def test_the_nearest_name_is_alike_in_letters_beginning_or_initials(name: str, names: list[str], meant: str | None) -> None:
    assert nearest(name, names) == meant


# ------------------------------------------------------------------------------------------------ what is absent


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda: torch.distributed.split_group(None), "torch.distributed.split_group"),
        (lambda: torch.fx.symbolic_trace(nn.Linear(1, 1)), "torch.fx.symbolic_trace"),
        (lambda: torch.quantize_per_tensor(torch.ones(1), 0.1, 0, torch.qint8), "torch.quantize_per_tensor"),
        (lambda: nn.quantized.Linear(1, 1), "torch.nn.quantized.Linear"),
    ],
)
def test_what_is_absent_says_so_and_why_and_where_to_read(use: Callable[[], Any], name: str) -> None:
    with pytest.raises(NotImplementedError) as error:
        use()
    assert str(error.value).startswith(f"mini_dl has no {name} (") and str(error.value).endswith("; see docs/coverage.md)")


# ------------------------------------------------------------------------------------------------ keywords

DATA = TensorDataset(torch.ones(2))


@pytest.mark.parametrize(
    ("call", "wrong", "meant", "listed"),
    [
        (lambda: torch.softmax(torch.ones(2), dimension=0), "dimension", "dim", "softmax(input: Tensor, dim: int"),
        (lambda: F.softmax(torch.ones(2), dimm=0), "dimm", "dim", "softmax(input: Tensor, dim: int | None = None"),
        (lambda: torch.ones(2).sum(keep_dim=True), "keep_dim", "keepdim", "sum(self, dim"),
        (lambda: torch.zeros(2, dtpe=torch.float64), "dtpe", "dtype", "zeros(*size: int | Sequence[int]"),
        (lambda: torch.linalg.norm(torch.ones(2), order=1), "order", "ord", "linalg_norm(A: Tensor"),
        (lambda: nn.Linear(3, 2, biass=True), "biass", "bias", "Linear(in_features: int, out_features: int"),
        (lambda: nn.MaxPool2d(2, strides=2), "strides", "stride", "MaxPool2d(kernel_size: int | Sequence[int]"),
        (lambda: nn.LSTM(2, 3, num_layer=2), "num_layer", "num_layers", "RNNBase(mode: str"),
        (lambda: optim.SGD([torch.ones(1)], learning_rate=0.1), "learning_rate", "lr", "SGD(params"),
        (lambda: DataLoader(DATA, shufle=True), "shufle", "shuffle", "DataLoader(dataset"),
        (lambda: torch.distributions.Normal(0.0, std=1.0), "std", "scale", "Normal(loc: Tensor | float"),
        (lambda: nn.Conv2d(1, 2, kernel=3), "kernel", "kernel_size", "Conv2d(in_channels: int"),
        (lambda: nn.init.normal_(torch.ones(1), sd=1.0), "sd", "std", "normal_(tensor: Tensor"),
        (
            lambda: nn.init.kaiming_normal_(torch.ones(1, 1), nonlinear="relu"),
            "nonlinear",
            "nonlinearity",
            "kaiming_normal_(tensor",
        ),
        (lambda: nn.utils.clip_grad_norm_([], max_nrom=1.0), "max_nrom", "max_norm", "clip_grad_norm_(parameters"),
        (lambda: torch.distributions.Normal(0.0, scales=1.0), "scales", "scale", "Normal(loc: Tensor | float"),
    ],
)
def test_a_mistyped_keyword_is_answered_with_the_near_one_and_the_signature(
    call: Callable[[], Any], wrong: str, meant: str, listed: str
) -> None:
    with pytest.raises(TypeError) as error:
        call()
    first, _, signature = str(error.value).partition("\n")
    assert first.endswith(f"got an unexpected keyword argument '{wrong}'. Did you mean: '{meant}'?")
    assert signature.strip().startswith(listed)


def test_a_mistyped_keyword_is_answered_alike_after_subclasses_were_declared() -> None:
    overrides.watch()
    test_a_mistyped_keyword_is_answered_with_the_near_one_and_the_signature(
        lambda: torch.softmax(torch.ones(2), dimension=0), "dimension", "dim", "softmax(input: Tensor, dim: int"
    )


@pytest.mark.parametrize(
    "make, name", [(lambda: nn.Conv2d(1, 2, kernel=3), "Conv2d"), (lambda: torch.distributions.Normal(0.0, std=1.0), "Normal")]
)
def test_a_refused_keyword_names_the_class_that_was_called_not_its_base(make: Callable[[], Any], name: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name}\.__init__\(\) got"):
        make()


def test_an_error_inside_that_speaks_of_a_keyword_is_left_as_it_is() -> None:
    class Loud(nn.Linear):
        def __init__(self) -> None:
            raise TypeError("mine() got an unexpected keyword argument 'bias'")

    with pytest.raises(TypeError, match=r"^mine\(\) got an unexpected keyword argument 'bias'$"):
        Loud()


# ------------------------------------------------------------------------------------------------ places in a model


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(4, 2))
        self.deep = nn.ModuleList([nn.ModuleDict({"conv": nn.Conv2d(3, 4, 3)})])

    def forward(self, input: Any) -> Any:
        return self.net(input) if input.ndim == 2 else self.deep[0]["conv"](input)


def said(error: BaseException) -> str:
    """The message with its notes."""
    return "\n".join([str(error), *getattr(error, "__notes__", [])])


LINEAR = "Linear(in_features=4, out_features=2, bias=True)"


def test_a_shape_that_does_not_fit_names_the_module_and_what_it_expects() -> None:
    with pytest.raises(RuntimeError) as error:
        Net()(torch.ones(4, 3))
    assert type(error.value) is RuntimeError
    lines = said(error.value).split("\n")
    assert lines == [
        "mat1 and mat2 shapes cannot be multiplied (4x5 and 4x2)",
        f"in net.2 ({LINEAR}): expected 4 features, got 5",
    ]


def test_the_path_goes_through_what_only_holds_modules() -> None:
    with pytest.raises(RuntimeError) as error:
        Net()(torch.ones(1, 1, 8, 8))
    assert "\nin deep.0.conv (Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))): expected 3 channels, got 1" in said(error.value)


def test_a_path_that_begins_with_a_number_begins_with_the_class_that_holds_it() -> None:
    with pytest.raises(RuntimeError) as error:
        nn.Sequential(nn.Linear(4, 2))(torch.ones(1, 3))
    assert said(error.value).endswith(f"\nin Sequential.0 ({LINEAR}): expected 4 features, got 3")


def test_hooks_do_not_hide_the_place() -> None:
    net = Net()
    net.net.register_forward_hook(lambda *_: None)
    with pytest.raises(RuntimeError) as error:
        net(torch.ones(4, 3))
    assert said(error.value).count("in net.2 (") == 1


@pytest.mark.parametrize(
    ("module", "inputs", "expected"),
    [
        (nn.BatchNorm1d(4), [torch.ones(2, 3)], "expected 4 channels, got 3"),
        (nn.BatchNorm2d(4), [torch.ones(2, 3, 5, 5)], "expected 4 channels, got 3"),
        (nn.GroupNorm(2, 4), [torch.ones(2, 3, 5)], "expected 4 channels, got 3"),
        (nn.LayerNorm((4, 5)), [torch.ones(2, 4, 4)], "expected trailing sizes (4, 5), got (4, 4)"),
        (nn.Embedding(3, 2), [torch.tensor([1, 7])], "expected indices from 0 to 2, got 7"),
        (nn.Embedding(3, 2), [torch.tensor([-1])], "expected indices from 0 to 2, got -1"),
        (nn.LSTM(4, 2), [torch.ones(2, 2, 3)], "expected 4 features, got 3"),
        (nn.GRUCell(4, 2), [torch.ones(2, 3)], "expected 4 features, got 3"),
        (nn.MultiheadAttention(4, 2), [torch.ones(2, 2, 3)] * 3, "expected 4 features, got 3"),
        (nn.Conv1d(4, 2, 3), [torch.ones(2, 3, 9)], "expected 4 channels, got 3"),
        (nn.ConvTranspose2d(4, 2, 3), [torch.ones(2, 3, 9, 9)], "expected 4 channels, got 3"),
        (nn.Conv2d(4, 2, 3), [torch.ones(9, 9)], "expected 3 or 4 dimensions with 4 channels, got 2: (9, 9)"),
        (nn.Linear(3, 2), [torch.ones(1, 3, dtype=torch.float64)], "expected torch.float32 as its weight, got torch.float64"),
        (nn.MSELoss(), [torch.ones(2), torch.ones(3)], "called with (2,) float32, (3,) float32"),
    ],
)
def test_each_kind_of_module_says_what_it_expects(module: nn.Module, inputs: list[Any], expected: str) -> None:
    with pytest.raises((RuntimeError, IndexError, ValueError, AssertionError)) as error:
        module(*inputs)
    assert said(error.value).endswith(f": {expected}")


def test_errors_of_other_kinds_and_calls_that_work_get_no_note() -> None:
    class Wrong(nn.Module):
        def forward(self, input: Any) -> Any:
            raise KeyError("mine")

    with pytest.raises(KeyError) as error:
        nn.Sequential(Wrong())(torch.ones(1))
    assert said(error.value) == "'mine'"
    assert nn.Linear(3, 2)(torch.ones(1, 3)).shape == (1, 2)


def test_a_module_that_cannot_be_asked_leaves_the_error_as_it_is() -> None:
    class Silent(nn.Linear):
        def extra_repr(self) -> str:
            raise ValueError("not now")

    with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied") as error:
        Silent(4, 2)(torch.ones(1, 3))
    assert "not now" not in said(error.value)


def test_an_error_with_a_place_is_pickled_and_keeps_no_module_alive() -> None:
    net = Net()
    try:
        net(torch.ones(4, 3))
    except RuntimeError as caught:
        error: Any = caught.with_traceback(None)
    again = pickle.loads(pickle.dumps(error))
    assert "cannot be multiplied" in str(again)
    seen = weakref.ref(net)
    del net
    gc.collect()
    assert seen() is None


def test_without_notes_the_place_ends_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    error = RuntimeError("shapes differ")
    where = {"path": "", "shown": "Linear()", "said": "expected 4 features, got 3", "note": None}
    put_note(error, where, "Linear")
    where["path"] = "0"
    put_note(error, where, "Sequential")
    assert str(error) == "shapes differ\nin Sequential.0 (Linear()): expected 4 features, got 3"


# ------------------------------------------------------------------------------------------------ files


def test_a_pickled_model_and_a_plain_pickle_say_what_to_do() -> None:
    plain = io.BytesIO(pickle.dumps({"a": 1}, protocol=0).replace(b"a", b"\x95"))
    with pytest.raises(pickle.UnpicklingError, match="weights_only=False"):
        torch.load(plain)
    whole = io.BytesIO()
    torch.save(Net(), whole)
    whole.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="add_safe_globals") as error:
        torch.load(whole)
    assert "state_dict()" in str(error.value)


def test_a_file_of_another_kind_names_the_functions_that_read_it(tmp_path: Path) -> None:
    torch.serialization.save_npz({"a": torch.ones(2)}, tmp_path / "x.npz")
    with pytest.raises(Exception, match="load_npz"):
        torch.load(tmp_path / "x.npz")
    with pytest.raises(pickle.UnpicklingError, match="load_safetensors"):
        torch.load(io.BytesIO(b"neither this nor that"))
