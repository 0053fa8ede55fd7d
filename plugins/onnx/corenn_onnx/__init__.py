"""ONNX for corenn: ``load`` a model and call it, ``export`` one, run the ONNX test suite (``corenn_onnx.backend``).

Nothing is imported before it is used: the plugin's hook must answer without ``onnx``.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from corenn.advice import missing_name
from corenn.errors import MissingExtraError

if TYPE_CHECKING:
    from corenn_onnx.errors import OnnxExportError, OnnxModelError, UnsupportedOnnxError
    from corenn_onnx.exporting import export
    from corenn_onnx.model import ImportedModel, load

_PLACES = {
    "ImportedModel": "model", "OnnxExportError": "errors", "OnnxModelError": "errors", "UnsupportedOnnxError": "errors",
    "export": "exporting", "load": "model",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise missing_name("corenn_onnx", name, __all__)
    if place != "errors" and importlib.util.find_spec("onnx") is None:
        raise MissingExtraError(f"corenn_onnx.{name}", "onnx", "onnx")
    return getattr(importlib.import_module(f"corenn_onnx.{place}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = ["ImportedModel", "OnnxExportError", "OnnxModelError", "UnsupportedOnnxError", "export", "load"]
