"""Utilities around the operations: checkpoints, hub, user-defined operators, futures, timers, weak dictionaries."""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import mini_dl as torch
from mini_dl.library import Library, custom_op, infer_schema
from mini_dl.utils import checkpoint, weak
from mini_dl.utils.benchmark import Measurement, TaskSpec, Timer, select_unit

# ------------------------------------------------------------------------------------------------ checkpoints


def test_a_reentrant_checkpoint_keeps_its_inputs_alone_and_draws_the_same_numbers() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Dropout(0.5), torch.nn.Tanh())
    x = torch.randn(4, 3)

    def gradients(call: Any) -> list[Any]:
        net.zero_grad()
        leaf = x.clone().requires_grad_()
        torch.manual_seed(1)
        call(leaf).pow(2).sum().backward()
        return [leaf.grad, net[0].weight.grad, torch.rand(1)]

    plain = gradients(net)
    again = gradients(lambda leaf: checkpoint.checkpoint(net, leaf, use_reentrant=True))
    assert all(torch.equal(a, b) for a, b in zip(plain, again))


def test_a_checkpoint_that_does_not_say_which_kind_warns() -> None:
    x = torch.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
        checkpoint.checkpoint(lambda z: z.exp(), x)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        checkpoint.checkpoint(lambda z: z.exp(), x.detach(), use_reentrant=True)
    with pytest.raises(ValueError, match="Unexpected keyword arguments: extra"):
        checkpoint.checkpoint(lambda z: z, x, use_reentrant=True, extra=1)


# ------------------------------------------------------------------------------------------------ hub


def test_models_of_a_folder_are_loaded_by_their_hubconf(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("WIDTH = 3\n")
    (tmp_path / "hubconf.py").write_text(
        "dependencies = ['numpy']\n"
        "from helper import WIDTH\n"
        "import mini_dl\n"
        "def small(bias=True):\n    'A layer.'\n    return mini_dl.nn.Linear(2, WIDTH, bias=bias)\n"
    )
    layer = torch.hub.load(str(tmp_path), "small", source="local", bias=False)
    assert layer.weight.shape == (3, 2) and layer.bias is None
    assert "small" in torch.hub.list(str(tmp_path), source="local")
    assert torch.hub.help(str(tmp_path), "small", source="local") == "A layer."
    with pytest.raises(RuntimeError, match="Cannot find callable big in hubconf"):
        torch.hub.load(str(tmp_path), "big", source="local")
    with pytest.raises(NotImplementedError, match="runs code from the network"):
        torch.hub.load("pytorch/vision", "resnet18")
    with pytest.raises(ValueError, match='Unknown source: "ftp"'):
        torch.hub.load(str(tmp_path), "small", source="ftp")
    (tmp_path / "hubconf.py").write_text("dependencies = ['no_such_package']\n")
    with pytest.raises(RuntimeError, match="Missing dependencies: no_such_package"):
        torch.hub.load(str(tmp_path), "small", source="local")


def test_weights_are_downloaded_once_and_their_hash_is_checked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "weights.pt")
    digest = hashlib.sha256((tmp_path / "weights.pt").read_bytes()).hexdigest()
    (tmp_path / "weights.pt").rename(tmp_path / f"weights-{digest[:8]}.pt")
    url = (tmp_path / f"weights-{digest[:8]}.pt").as_uri()
    for _ in range(2):
        state = torch.hub.load_state_dict_from_url(url, model_dir=str(tmp_path / "kept"), check_hash=True)
        assert torch.equal(state["w"], torch.ones(2))
    assert capfd.readouterr().err.count("Downloading") == 1
    with pytest.raises(RuntimeError, match='invalid hash value \\(expected "00000000"'):
        torch.hub.download_url_to_file(url, str(tmp_path / "other.pt"), hash_prefix="00000000")
    assert [path.name for path in tmp_path.iterdir() if "other" in path.name] == []
    torch.hub.set_dir(tmp_path)
    try:
        assert torch.hub.get_dir() == str(tmp_path)
    finally:
        torch.hub._folder = None
    from mini_dl.utils.model_zoo import load_url

    assert load_url is torch.hub.load_state_dict_from_url


# ------------------------------------------------------------------------------------------------ operators


def test_an_operator_without_a_derivative_refuses_backward_by_name() -> None:
    @custom_op("around::twice", mutates_args=())
    def twice(x: torch.Tensor, n: int = 2) -> torch.Tensor:
        return x * n

    x = torch.ones(2, requires_grad=True)
    assert torch.equal(torch.ops.around.twice(x.detach(), 3), torch.full((2,), 3.0))
    with pytest.raises(RuntimeError, match=r"around\.twice\.default but no autograd formula was registered"):
        twice(x).sum().backward()
    assert str(torch.ops.around.twice.default) == "around.twice.default"
    assert repr(twice) == "<CustomOpDef(around::twice)>"


def test_an_operator_that_writes_and_one_that_returns_its_argument() -> None:
    @custom_op("around::increase", mutates_args={"x"})
    def increase(x: torch.Tensor) -> None:
        x.add_(1)

    @custom_op("around::same", mutates_args=())
    def same(x: torch.Tensor) -> torch.Tensor:
        return x

    x = torch.zeros(2)
    before = x._version
    assert increase(x) is None
    assert torch.equal(x, torch.ones(2)) and x._version > before
    with pytest.raises(RuntimeError, match="must not also be an input"):
        same(x)


def test_gradients_reach_lists_of_tensors() -> None:
    @custom_op("around::total", mutates_args=())
    def total(xs: list[torch.Tensor], scale: float) -> torch.Tensor:
        return sum(xs[1:], xs[0].clone()) * scale

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.count, ctx.scale = len(inputs[0]), inputs[1]

    total.register_autograd(lambda ctx, grad: ([grad * ctx.scale] * ctx.count, None), setup_context=setup)
    xs = [torch.ones(2, requires_grad=True) for _ in range(3)]
    total(xs, 2.0).sum().backward()
    assert [x.grad.tolist() for x in xs] == [[2.0, 2.0]] * 3


def test_schemas_are_inferred_from_annotations() -> None:
    def function(
        x: torch.Tensor, y: torch.Tensor | None, n: int, s: float = 1.0, t: str = "a", *, k: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]: ...

    schema = '(Tensor(a0!) x, Tensor? y, SymInt n, float s=1.0, str t="a", *, Tensor[] k) -> (Tensor, Tensor)'
    function.__annotations__ |= {
        "x": torch.Tensor,
        "y": torch.Tensor | None,
        "k": list[torch.Tensor],
        "n": int,
        "s": float,
        "t": str,
    }
    function.__annotations__["return"] = tuple[torch.Tensor, torch.Tensor]
    assert infer_schema(function, mutates_args={"x"}) == schema
    with pytest.raises(ValueError, match="must have a type annotation"):
        infer_schema(lambda x: x, mutates_args=())


def test_a_namespace_of_operators_goes_before_our_file_of_the_same_name() -> None:
    from mini_dl.ops import loss as file

    assert torch.ops.loss is file
    library = Library("loss", "FRAGMENT")
    library.define("nothing(Tensor x) -> Tensor")
    library.impl("nothing", lambda x: x * 0, "CPU")
    try:
        assert torch.equal(torch.ops.loss.nothing(torch.ones(2)), torch.zeros(2))
    finally:
        from mini_dl import _operators

        del _operators.NAMESPACES["loss"], _operators.OPERATORS["loss::nothing"]
    with pytest.raises(OSError, match="no operators in compiled libraries"):
        torch.ops.load_library("x.so")


# ------------------------------------------------------------------------------------------------ futures, references, times


def test_futures_are_completed_once_and_call_back() -> None:
    future: Any = torch.futures.Future()
    later = future.then(lambda done: done.value() + 1)
    seen: list[Any] = []
    future.add_done_callback(lambda done: seen.append(done.value()))
    assert not future.done()
    with pytest.raises(RuntimeError, match="not yet completed"):
        future.value()
    threading.Thread(target=future.set_result, args=(1,)).start()
    assert (future.wait(), later.wait(), seen) == (1, 2, [1])
    with pytest.raises(RuntimeError, match="only be marked completed once"):
        future.set_result(2)
    failed: Any = torch.futures.Future()
    failed.set_exception(KeyError("x"))
    with pytest.raises(KeyError):
        failed.wait()
    assert torch.futures.wait_all([future, later]) == [1, 2]
    assert torch.futures.collect_all([]).wait() == []


def test_dictionaries_of_tensors_forget_them() -> None:
    names = weak.WeakTensorKeyDictionary()
    x, y = torch.ones(2), torch.ones(2)
    names[x], names[y] = 1, 2
    assert names.copy() == names and dict(zip(map(id, names), names.values())) == {id(x): 1, id(y): 2}
    del x
    gc.collect()
    assert list(names.values()) == [2]
    del names[y]
    assert len(names) == 0 and y not in names
    reference = weak.TensorWeakRef(y)
    assert reference() is y
    del y
    assert reference() is None


def test_a_timer_runs_the_statement_as_often_as_it_says() -> None:
    runs: list[int] = []
    timed = Timer("run()", setup="import math", globals={"run": lambda: runs.append(1)}, label="runs", num_threads=1).timeit(50)
    assert len(runs) == 50 + 2
    assert (timed.number_per_run, len(timed.times), timed.title) == (50, 1, "runs")
    found = Timer("x + 1", globals={"x": torch.ones(1)}).blocked_autorange(min_run_time=0.001)
    assert sum(found.raw_times) >= 0.001 and found.median > 0
    assert torch.equal(eval(compile("torch.ones(1)", "", "eval"), {"torch": torch}), torch.ones(1))
    with pytest.raises(NotImplementedError, match=r"C\+\+"):
        Timer("int x;", language="cpp")


def test_measurements_are_summed_up() -> None:
    spec = TaskSpec("f(x)", "pass", sub_label="small", num_threads=2)
    found = Measurement(10, [1e-5, 1.1e-5, 1.2e-5, 3e-5], spec)
    assert found.median == pytest.approx(1.15e-6) and found.mean == pytest.approx(1.575e-6)
    assert found.iqr == pytest.approx(0.575e-6) and found.stmt == "f(x)"
    lines = repr(found).splitlines()
    assert lines[1:5] == [
        "f(x): small",
        "  Median: 1.15 us",
        "  IQR:    0.57 us (1.08 to 1.65)",
        "  4 measurements, 10 runs per measurement, 2 threads",
    ]
    assert "Interquartile range is 50.0%" in lines[5] and found.has_warnings
    assert [select_unit(t)[0] for t in (5e-9, 5e-6, 5e-3, 5.0)] == ["ns", "us", "ms", "s"]
    assert len(Measurement.merge([found, found])[0].times) == 8


def test_the_environment_is_described() -> None:
    out = subprocess.run([sys.executable, "-m", "mini_dl.utils.collect_env"], capture_output=True, text=True, check=True).stdout
    assert "PyTorch version: mini_dl" in out and "Is CUDA available: False" in out and "numpy==" in out
