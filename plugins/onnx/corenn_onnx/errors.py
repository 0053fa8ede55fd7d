"""What can be wrong with an ONNX model, or with exporting one."""

from __future__ import annotations

import os

from corenn.errors import CorennError, hide_frames_of

hide_frames_of(os.path.dirname(os.path.abspath(__file__)))  # an error is about the line that called this package


class OnnxModelError(CorennError, ValueError):
    """A file or message that is no valid ONNX model, or values that do not fit it."""


class UnsupportedOnnxError(CorennError, NotImplementedError):
    """An op, opset, attribute or element type of ONNX that is not supported; names the node and what is missing."""


class OnnxExportError(CorennError, NotImplementedError):
    """A model, op or dtype that cannot be written as ONNX; names the op."""


__all__ = ["OnnxExportError", "OnnxModelError", "UnsupportedOnnxError"]
