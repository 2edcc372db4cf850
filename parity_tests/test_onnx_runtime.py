"""onnxruntime computes the same results from exported models as the models: a second reader of the same files."""

from __future__ import annotations

import onnxruntime
import pytest

from tests.onnx_cases import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_onnxruntime_computes_the_same(case: Case) -> None:
    model = case.prepared()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    content = case.exported(model).model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    case.check(model, lambda inputs: session.run(None, inputs))
