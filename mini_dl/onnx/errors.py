"""The exporter's exceptions and warnings, under torch's names."""

from __future__ import annotations

__all__ = ["OnnxExporterError", "OnnxExporterWarning", "UnsupportedOperatorError"]


class OnnxExporterWarning(UserWarning):
    """A warning of the exporter."""


class OnnxExporterError(RuntimeError):
    """A model that cannot be exported."""


class UnsupportedOperatorError(OnnxExporterError):
    """An operation without an ONNX form; `where` is the module that called it."""

    def __init__(self, name: str, version: int, supported_version: int | None = None, where: str = "") -> None:
        place = f" (called by {where})" if where else ""
        later = "" if supported_version is None else f". Support for this operator was added in version {supported_version}"
        super().__init__(f"Exporting the operator '{name}' to ONNX opset version {version} is not supported{place}{later}")
