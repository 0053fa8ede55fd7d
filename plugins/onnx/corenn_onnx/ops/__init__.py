"""The ops of ONNX, one file for each family; importing this fills ``corenn_onnx.table.TABLE``."""

from corenn_onnx.ops import (
    activations,
    casting,
    control,
    elementwise,
    generators,
    images,
    indexing,
    learning,
    linear,
    losses,
    normalization,
    recurrent,
    reduction,
    resizing,
    sequences,
    shaping,
    signals,
    text,
    windows,
)

__all__ = [
    "activations", "casting", "control", "elementwise", "generators", "images", "indexing", "learning", "linear",
    "losses", "normalization", "recurrent", "reduction", "resizing", "sequences", "shaping", "signals", "text",
    "windows",
]  # fmt: skip
