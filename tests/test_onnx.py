"""Models are exported to ONNX, and onnx's reference evaluator computes the same from the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_cases import CASES, Case, Of

import mini_dl as torch
from mini_dl import nn
from mini_dl.onnx import errors, export


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_exported_model_computes_the_same(case: Case) -> None:
    model = case.prepared()
    program = case.exported(model)
    if case.reference:
        evaluator = ReferenceEvaluator(program.model_proto)
        case.check(model, lambda inputs: evaluator.run(None, inputs))


def run(program: Any, *inputs: torch.Tensor) -> list[np.ndarray[Any, Any]]:
    names = [one.name for one in program.model_proto.graph.input]
    return ReferenceEvaluator(program.model_proto).run(None, {name: x.numpy() for name, x in zip(names, inputs)})


class Elementwise(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = (x + x) * 2
        y.sub_(x)
        return y.neg_()


def test_kernels_that_threads_share_are_recorded_too() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        x = torch.ones(1 << 20)
        program = export(Elementwise(), (x,), dynamo=True)
    finally:
        torch.set_num_threads(before)
    assert [node.op_type for node in program.model_proto.graph.node] == ["Add", "Mul", "Sub", "Neg"]
    assert (run(program, 2 * x)[0] == -6).all()


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor, scale: float = 1.0, shift: torch.Tensor | None = None) -> dict[str, Any]:
        y = self.second(self.first(x).relu_()) * scale
        return {"y": y if shift is None else y + shift, "rest": (x, None)}


# ------------------------------------------------------------------------------------------------ what stands in the file


def test_the_graph_has_the_names_of_the_model() -> None:
    graph = export(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), torch.ones(2, 3, 5, 5)).model_proto.graph
    assert [one.name for one in graph.input] == ["input"] and [one.name for one in graph.output] == ["output"]
    wanted = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]
    assert [one.name for one in graph.initializer] == wanted
    assert [(node.op_type, node.name) for node in graph.node] == [
        ("Conv", "/0/Conv"), ("BatchNormalization", "/1/BatchNormalization"), ("Relu", "/2/Relu"),
    ]  # fmt: skip


def test_a_shared_weight_is_there_once_and_results_in_structures_have_names() -> None:
    x = torch.randn(2, 4)
    program = export(Two(), (x,), kwargs={"scale": 2.0, "shift": torch.ones(4)}, verify=True)
    graph = program.model_proto.graph
    assert [one.name for one in graph.input] == ["x", "shift"]
    assert [one.name for one in graph.output] == ["output_y", "output_rest_0"]
    assert sum(one.name.endswith("weight") for one in graph.initializer) == 1
    assert np.array_equal(run(program, x, torch.ones(4))[1], x.numpy())


def test_a_lstm_is_an_operator_of_its_weights() -> None:
    graph = export(nn.LSTM(4, 5), torch.randn(3, 2, 4)).model_proto.graph
    names = [node.op_type for node in graph.node]
    assert names.count("LSTM") == 1 and "MatMul" not in names
    assert {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"} <= {one.name for one in graph.initializer}


def test_the_weights_may_be_inputs() -> None:
    model, x = nn.Linear(4, 3), torch.randn(2, 4)
    graph = export(model, x, keep_initializers_as_inputs=True).model_proto.graph
    assert {one.name for one in graph.input} == {"input", "weight", "bias"} and len(graph.initializer) == 2
    program = export(model, x, export_params=False)
    assert not program.model_proto.graph.initializer
    found = program(x, model.weight, model.bias)[0]
    assert torch.allclose(found, model(x))


# ------------------------------------------------------------------------------------------------ sizes


@pytest.mark.parametrize(
    "options",
    [
        {"dynamic_shapes": {"ids": {0: "batch", 1: "length"}}},
        {"dynamic_shapes": ({0: "batch", 1: "length"},)},
        {"dynamic_shapes": [("batch", "length")]},
        {"dynamic_shapes": {"ids": {0: torch.export.Dim.DYNAMIC, -1: torch.export.Dim.AUTO}}},
        {"dynamic_axes": {"ids": [0, 1]}},
        {"dynamic_axes": {"ids": {0: "batch", 1: "length"}, "scores": {0: "batch"}}, "output_names": ["scores"]},
    ],
    ids=str,
)
def test_two_sizes_may_change(options: Any) -> None:
    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places, self.lstm = nn.Embedding(7, 8), nn.Embedding(20, 8), nn.LSTM(8, 8, batch_first=True)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            n, length = ids.shape
            x = self.tokens(ids) + self.places(torch.arange(length))
            heads = x.view(n, length, 2, 4).transpose(1, 2)
            y = torch.nn.functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True)
            return self.lstm(y.transpose(1, 2).reshape(n * length, 8).view(n, length, 8))[0]

    model = Causal().eval()
    if "dynamic_axes" in options:
        options["input_names"] = ["ids"]
    program = export(model, torch.randint(0, 7, (1, 3)), **options)
    for shape in ((1, 3), (4, 6), (2, 1)):
        ids = torch.randint(0, 7, shape)
        with torch.no_grad():
            np.testing.assert_allclose(run(program, ids)[0], model(ids).numpy(), rtol=1e-4, atol=1e-5)


def test_the_shape_of_a_result_is_said_by_the_sizes() -> None:
    program = export(Of(lambda x: x.reshape(-1, 2)), torch.ones(3, 4), input_names=["x"], dynamic_axes={"x": {0: "n"}})
    (output,) = program.model_proto.graph.output
    assert [dim.dim_param or dim.dim_value for dim in output.type.tensor_type.shape.dim] == ["2*n", 2]


def test_a_size_that_is_not_named_is_fixed() -> None:
    program = export(nn.Flatten(), torch.ones(3, 4, 2))
    shape = program.model_proto.graph.input[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [3, 4, 2]


# ------------------------------------------------------------------------------------------------ refusals


class Core(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svdvals(x)


def test_what_has_no_form_is_named_with_the_module_that_called_it() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), Core()))
    with pytest.raises(
        errors.UnsupportedOperatorError, match=r"'aten::singular_values' to ONNX opset version 20 .*module '1\.1'"
    ):
        export(model, torch.ones(3, 4))
    with pytest.raises(RuntimeError, match="the model itself"):
        export(Of(torch.fft.rfft), torch.ones(3, 4))


def test_a_result_that_its_translation_does_not_give_is_named() -> None:
    function = lambda x: torch.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)[1]
    with pytest.raises(errors.UnsupportedOperatorError, match=r"result 2 of aten::channel_norm"):
        export(Of(function), torch.randn(3, 4))


def test_what_is_computed_and_not_used_needs_no_form() -> None:
    program = export(Of(lambda x: (torch.linalg.svdvals(x), x * 2)[1]), torch.ones(3, 4))
    assert [node.op_type for node in program.model_proto.graph.node] == ["Mul"]


@pytest.mark.parametrize(
    "function, reason",
    [
        (lambda x: x * float(x.sum()), "other|not the same|differs"),
        (lambda x: x + torch.from_numpy(x.numpy() * 2), "outside the recorded operations"),
        (lambda x: x + torch.rand(4), "random"),
        (lambda x: torch.nn.functional.dropout(x, 0.5), "not supported|random"),
        (lambda x: x.exp() if x.flatten()[0] > x.flatten()[1] else x.sin(), "depends on the values"),
        (lambda x: x[x > 0], "differs between runs|not the same|values"),
        (lambda x: (x * 2).zero_() + x, "not recorded|differs"),
    ],
    ids="item numpy random dropout condition mask fill".split(),
)
def test_what_depends_on_values_is_refused(function: Any, reason: str) -> None:
    x = torch.tensor([[1.0, -2.0, 3.0, -4.0], [5.0, -6.0, 7.0, 0.5]])
    if function(x).shape == x.shape and torch.equal(function(x), x):
        return
    with pytest.raises(errors.OnnxExporterError, match=reason):
        export(Of(function), x)


def test_a_loop_over_a_dynamic_size_is_refused() -> None:
    model = nn.RNN(4, 5)
    export(model, torch.ones(3, 2, 4))
    with pytest.raises(errors.OnnxExporterError, match="What the model itself computes depends on the values or sizes"):
        export(model, torch.ones(3, 2, 4), dynamic_shapes={"input": {0: "length"}})


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mini-dl\[onnx\]'"):
        export(nn.ReLU(), torch.ones(3))


def test_wrong_arguments_are_named() -> None:
    model, x = nn.Linear(4, 3), torch.ones(2, 4)
    with pytest.raises(TypeError, match="Module, not function"):
        export(lambda x: x, x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="opset version: 9; opset_version may be 18 to"):
        export(model, x, opset_version=9)
    with pytest.raises(errors.OnnxExporterError, match="'y', which is neither"):
        export(model, x, dynamic_axes={"y": {0: "batch"}})
    with pytest.raises(errors.OnnxExporterError, match=r"x has no dimension 5: its shape is \[2, 4\]"):
        export(model, x, input_names=["x"], dynamic_axes={"x": {5: "n"}})
    with pytest.raises(errors.OnnxExporterError, match="do not fit the forward of Linear"):
        export(model, (x, x))
    with pytest.raises(ValueError, match="input_names has 2 names for 1"):
        export(model, x, input_names=["a", "b"])


# ------------------------------------------------------------------------------------------------ around it


def test_nothing_is_different_after_an_export() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout())
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    forward = torch.exp.__wrapped__ if hasattr(torch.exp, "__wrapped__") else None
    export(model, torch.ones(3, 4))
    export(model, torch.ones(3, 4), training=torch.onnx.TrainingMode.EVAL)
    assert torch.equal(torch.rand(3), expected)
    assert [one.training for one in model.modules()] == [True, True, False, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert (torch.exp.__wrapped__ if forward else None) is forward
    assert not torch.onnx.is_in_onnx_export()


def test_the_mode_of_training_is_kept_if_asked_for() -> None:
    model, x = nn.BatchNorm1d(4), torch.randn(5, 4)
    program = export(model, x, training=torch.onnx.TrainingMode.PRESERVE)
    expected = nn.functional.batch_norm(x, None, None, training=True)
    np.testing.assert_allclose(run(program, x)[0], expected.numpy(), rtol=1e-4, atol=1e-5)
    assert torch.equal(model.running_mean, torch.zeros(4))


def test_a_file_is_written_and_read_again(tmp_path: Path) -> None:
    model, x = nn.Linear(4, 3), torch.randn(2, 4)
    assert torch.onnx.export(model, (x,), tmp_path / "model.onnx", dynamo=False, opset_version=18) is None
    proto = onnx.load(tmp_path / "model.onnx")
    assert proto.opset_import[0].version == 18 and proto.producer_name == "mini_dl"
    found = ReferenceEvaluator(proto).run(None, {"input": x.numpy()})[0]
    np.testing.assert_allclose(found, model(x).detach().numpy(), rtol=1e-5)
    program = torch.onnx.export(model, (x,))
    program.save(str(tmp_path / "again.onnx"))
    assert (tmp_path / "again.onnx").stat().st_size > 0 and repr(program) == "<ONNXProgram of 1 nodes: input -> output>"


@pytest.mark.parametrize("opset", [18, 19, 20, 21])
def test_older_and_newer_opsets_are_written(opset: int) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.LayerNorm(4), nn.GELU("tanh"), nn.Softmax(1)).eval()
    x = torch.randn(2, 4)
    program = export(model, x, opset_version=opset)
    np.testing.assert_allclose(run(program, x)[0], model(x).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_verification_compares_the_results() -> None:
    class Forgetful(nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            Forgetful.calls += 1
            return x * (1.0 if Forgetful.calls < 3 else 2.0)

    with pytest.raises(errors.OnnxExporterError, match="differs from that of the exported model"):
        export(Forgetful(), torch.ones(3), verify=True)


def test_a_number_less_a_tensor_is_exported_by_the_first_call_of_a_process() -> None:
    program = "import io, mini_dl as t; M = type('M', (t.nn.Module,), {'forward': lambda self, x: 1.5 - x})\n"
    program += "t.onnx.export(M(), t.ones(2, 4), io.BytesIO())"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
