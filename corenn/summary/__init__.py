"""Event files that TensorBoard reads, written without TensorBoard or TensorFlow.

::

    writer = corenn.summary.create_file_writer("runs/1")
    with writer.as_default(step=0):
        corenn.summary.scalar("loss", 0.5)

The format is TensorFlow's: protobuf ``Event`` messages in checksummed records.  Its few messages are encoded here by
hand, so that logging needs nothing beyond NumPy and the standard library, costs little to import, and cannot clash
with a program's own protobuf.  Sources: TensorFlow's ``event.proto``, ``summary.proto``, ``graph.proto`` and
TensorBoard's plugins.

Functions here write with the current writer (``with writer.as_default():``) and return True; without one they do
nothing and return False, so that library code may be instrumented whether or not anyone listens.
:func:`record_if` says when to write.  In a traced function (``corenn.function``) they write in each of its runs; their
step is then a variable, a function, or ``optimizer.iterations``, which is asked anew.  The same methods on the writer
itself, :class:`EventWriter`, always write.  :func:`read_events` reads files back.

In graphs (``corenn.graph``) summaries are operations: :func:`scalar_summary` and its kin, the functions of
``corenn.summary.graph_ops``; :func:`merge_all` makes one of them all, and a :class:`FileWriter` takes what it gives.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from corenn.ops.dispatch import current
from corenn.summary._current import current_writer, get_step, record_if, set_step, should_record
from corenn.summary._graph import GraphNode
from corenn.summary._values import SummaryWarning
from corenn.summary.reader import EventRecord, read_events
from corenn.summary.writer import EventWriter, FileWriter
from corenn.tensor import Tensor

if TYPE_CHECKING:
    from corenn.summary import graph_ops
    from corenn.summary.graph_ops import histogram as histogram_summary
    from corenn.summary.graph_ops import image as image_summary
    from corenn.summary.graph_ops import merge, merge_all
    from corenn.summary.graph_ops import scalar as scalar_summary
    from corenn.summary.graph_ops import text as text_summary

__all__ = [
    "EventRecord",
    "EventWriter",
    "FileWriter",
    "GraphNode",
    "SummaryWarning",
    "create_file_writer",
    "current_writer",
    "flush",
    "get_step",
    "graph",
    "graph_ops",
    "histogram",
    "histogram_summary",
    "hparams",
    "image",
    "image_summary",
    "merge",
    "merge_all",
    "read_events",
    "record_if",
    "scalar",
    "scalar_summary",
    "set_step",
    "should_record",
    "text",
    "text_summary",
]

#: Names that need ``corenn.graph``, imported when they are asked for: writing events does not cost it.
_IN_GRAPHS = {
    "histogram_summary": "histogram",
    "image_summary": "image",
    "merge": "merge",
    "merge_all": "merge_all",
    "scalar_summary": "scalar",
    "text_summary": "text",
}


def __getattr__(name: str) -> Any:
    if name == "graph_ops" or name in _IN_GRAPHS:
        module = importlib.import_module("corenn.summary.graph_ops")
        found = module if name == "graph_ops" else getattr(module, _IN_GRAPHS[name])
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def create_file_writer(
    logdir: str | os.PathLike[str], *, flush_secs: float = 120, max_queue: int = 10, filename_suffix: str = ""
) -> EventWriter:
    """A writer of a new event file in ``logdir``; see :class:`EventWriter` for the settings and errors."""
    return EventWriter(logdir, flush_secs=flush_secs, max_queue=max_queue, filename_suffix=filename_suffix)


def scalar(name: str, data: object, step: object = None, *, description: str | None = None) -> bool:
    """One real number of rank 0, with the current writer; errors as :meth:`EventWriter.scalar`."""
    return _record(lambda w, value, at: w.scalar(name, value, at, description=description), data, step)


def histogram(
    name: str, data: object, step: object = None, *, buckets: int = 30, description: str | None = None
) -> bool:
    """The distribution of a real array, with the current writer; shapes and errors as :meth:`EventWriter.histogram`."""
    return _record(
        lambda w, value, at: w.histogram(name, value, at, buckets=buckets, description=description), data, step
    )


def image(
    name: str, data: object, step: object = None, *, max_outputs: int = 3, description: str | None = None
) -> bool:
    """Images ``[n, height, width, channels]``, with the current writer; errors as :meth:`EventWriter.image`."""
    return _record(
        lambda w, value, at: w.image(name, value, at, max_outputs=max_outputs, description=description), data, step
    )


def text(name: str, data: object, step: object = None, *, description: str | None = None) -> bool:
    """Markdown, one string or a table of them, with the current writer; errors as :meth:`EventWriter.text`."""
    return _record(lambda w, value, at: w.text(name, value, at, description=description), data, step)


def graph(nodes: Iterable[GraphNode]) -> bool:
    """The graph of the run, with the current writer; errors as :meth:`EventWriter.graph`."""
    return _with_writer(lambda writer: writer.graph(nodes))


def hparams(values: Mapping[str, object], *, group: str = "") -> bool:
    """The hyperparameters of the run, with the current writer; errors as :meth:`EventWriter.hparams`."""
    return _with_writer(lambda writer: writer.hparams(values, group=group))


def flush() -> bool:
    """Hand what the current writer was given to the operating system; OSError when the disk refuses."""
    return _with_writer(lambda writer: writer.flush())


def _record(write: Callable[[EventWriter, Any, Any], object], data: object, step: object) -> bool:
    """Write with the current writer, if there is one and ``record_if`` allows it; whether it has been written.

    While a function is traced: in each of its runs, with the writer of that time.
    """
    if hasattr(current(), "host_value"):
        from corenn.summary._traced import record

        record(lambda value, at: _record(write, value, at), data, step)
        return True
    writer = current_writer()
    if writer is None or not should_record() or (isinstance(data, Tensor) and data.data is None):
        return False  # the last: a layer is only looked at for its shapes
    write(writer, data, step)
    return True


def _with_writer(write: Callable[[EventWriter], object]) -> bool:
    """Write with the current writer, if there is one; whether there is."""
    writer = current_writer()
    if writer is not None:
        write(writer)
    return writer is not None
