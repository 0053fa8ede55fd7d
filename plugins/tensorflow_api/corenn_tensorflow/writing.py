"""Functions that operations of the facade call, by names that files of graphs hold.

A graph that calls them can be written (``tf.train.Saver().save`` writes a ``.meta`` file, ``export_meta_graph``) and
read by another process: see ``corenn.graph.kind_registry``.  Such a function is a module's own; what it needs beside
tensors comes through ``functools.partial``, as plain values, dtypes or other such functions.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from corenn.graph.kind_registry import register_function

#: Modules with such functions that are imported only when a program uses them.
_LATE = (
    "audio", "contrib.crf", "contrib.seq2seq.attention", "contrib.seq2seq.beam_search", "estimator.heads",
    "functions.more_text", "image", "io", "keras.ctc", "keras.engine.graph_files", "keras.engine.weights",
    "keras.layers.lookups", "keras.layers.vectorizing", "keras.losses", "keras.metrics", "metrics.ranking",
    "nn.convolutions", "sets", "variable_slices",
)  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


def writable(name: str) -> Callable[[F], F]:
    """A decorator: files of graphs call the function ``corenn_tensorflow.<name>``, which must stay its name."""

    def register(function: F) -> F:
        register_function(f"corenn_tensorflow.{name}", function)
        return function

    return register


def gather() -> None:
    """Import every module with such functions, so that any graph of the facade can be read."""
    for module in _LATE:
        importlib.import_module(f"{__package__}.{module}")


__all__ = ["gather", "writable"]
