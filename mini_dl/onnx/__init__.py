"""Models as ONNX files, for any runtime that reads them. Needs the package onnx: ``pip install 'mini-dl[onnx]'``.

The primitives of one run are recorded and translated; no code is read. So loops are unrolled and conditions resolved, and
control flow that depends on input values is an error. Parameters keep their ``state_dict`` names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mini_dl.nn import Module
from mini_dl.onnx import errors
from mini_dl.onnx.errors import OnnxExporterError, UnsupportedOperatorError as UnsupportedOperatorError
from mini_dl.onnx.exporting import ONNXProgram, TrainingMode as TrainingMode, exported, is_in_onnx_export

__all__ = ["ONNXProgram", "OnnxExporterError", "errors", "export", "is_in_onnx_export"]


def export(
    model: Module,
    args: object = (),
    f: str | os.PathLike[str] | Any = None,
    *,
    kwargs: dict[str, Any] | None = None,
    verbose: bool | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,
    dynamo: bool = True,
    external_data: bool = True,
    dynamic_shapes: object = None,
    custom_translation_table: dict[Any, Any] | None = None,
    report: bool = False,
    optimize: bool = True,
    verify: bool = False,
    profile: bool = False,
    dump_exported_program: bool = False,
    artifacts_dir: str | os.PathLike[str] = ".",
    export_params: bool = True,
    keep_initializers_as_inputs: bool = False,
    dynamic_axes: Mapping[str, Any] | None = None,
    training: object = TrainingMode.EVAL,
    operator_export_type: object = None,
    do_constant_folding: bool = True,
    custom_opsets: Mapping[str, int] | None = None,
    export_modules_as_functions: object = False,
    autograd_inlining: bool = True,
) -> ONNXProgram | None:
    """Trace `model` on the example inputs `args` and `kwargs`, write it to the ONNX file `f`, and return it as a program
    (None if `dynamo` is false, as in torch).

    Tensors among the arguments become inputs; everything else is constant. `dynamic_shapes` (``{"x": {0: "batch"}}``, or one
    entry per argument) or `dynamic_axes` name the dynamic dimensions. The model is exported in evaluation mode, unless `training`
    says otherwise. `verify` compares the file with the model by onnx's reference evaluator. If `export_params` is false, the
    parameters are inputs. torch's other options are accepted and ignored.

    UnsupportedOperatorError, with the operation and the module that called it, if there is no ONNX form;
    OnnxExporterError if the operations depend on the values of the inputs, or a size is not a sum of products of dynamic ones.
    ModuleNotFoundError without the package onnx.

    >>> import mini_dl as torch
    >>> torch.onnx.export(torch.nn.Linear(3, 2), (torch.ones(1, 3),), dynamic_shapes={"input": {0: "batch"}})
    <ONNXProgram of 1 nodes: input -> output>
    """
    if not isinstance(model, Module):
        raise TypeError(f"export() takes an nn.Module, not {type(model).__name__}")
    if custom_translation_table or custom_opsets:
        raise NotImplementedError("torch.onnx.export: translations and opsets of one's own are not here. See docs/coverage.md.")
    args = args if isinstance(args, tuple) else (args,)
    kwargs = dict(kwargs or {})
    if args and isinstance(args[-1], dict) and not kwargs and not dynamo:
        args, kwargs = args[:-1], args[-1]
    program = exported(
        model, args, kwargs, input_names, output_names, opset_version, dynamic_shapes, dynamic_axes, training,
        keep_initializers_as_inputs or not export_params, export_params, verify,
    )  # fmt: skip
    if verbose:
        print(program.model_proto)
    if f is not None:
        program.save(f)
    return program if dynamo else None
