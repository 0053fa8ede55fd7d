"""The event writer: one run's summaries in a file that TensorBoard reads."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from corenn.errors import AttributeValueError, UsageError
from corenn.summary import _current, _values
from corenn.summary import _messages as msg
from corenn.summary._graph import GraphNode, encode_graph
from corenn.summary._graph_nodes import nodes_of
from corenn.summary._png import encode_png
from corenn.summary.records import RecordFile

if TYPE_CHECKING:
    from corenn.graph.graph import Graph


class EventWriter:
    """Writes summaries of one run into a new event file in the directory ``logdir``, which is made if missing.

    ``flush_secs`` and ``max_queue``: records are handed to the operating system when more than ``max_queue`` wait or
    ``flush_secs`` seconds have passed; 0 for ``max_queue`` writes each at once.  ``filename_suffix`` ends the file's
    name.  Methods may be called from any thread.  A writer that is dropped, or open when the program ends, is flushed.
    As a context manager it closes at the end of the block; a session begun with :meth:`hparams` is then recorded as
    ended, with ``"failure"`` if an exception passes through and ``"success"`` otherwise.

    ``step`` may be left out when a default step is set (see :func:`corenn.summary.set_step`).  Values are Python
    numbers, NumPy arrays, or anything with ``__array__``.  Raises OSError when the directory or file cannot be
    written, UsageError once it is closed, and for unsuitable values what each method says.
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str],
        *,
        flush_secs: float = 120,
        max_queue: int = 10,
        filename_suffix: str = "",
    ) -> None:
        self._settings = (Path(logdir), filename_suffix, flush_secs, max_queue)
        self._session_started = self._session_open = False
        self._open()

    def _open(self) -> None:
        self._file = RecordFile(*self._settings)
        self._finalizer = weakref.finalize(self, self._file.close)
        self._file.write(msg.event(time.time(), 0, msg.file_version()))
        self._file.flush()  # a reader that finds the file at once knows what it is

    @property
    def logdir(self) -> Path:
        """The directory of the run."""
        return self._settings[0]

    @property
    def path(self) -> Path:
        """The event file being written."""
        return self._file.path

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    def scalar(self, tag: str, value: object, step: object = None, *, description: str | None = None) -> None:
        """One real number, kept as float32; NaN and infinities are written as they are.

        Raises ShapeError unless ``value`` has rank 0, DTypeError if it is not a real number.
        """
        tag = _values.check_tag("summary.scalar", tag)
        number = _values.scalar_value("summary.scalar", tag, value)
        self._write("summary.scalar", msg.scalar(tag, number, description), step)

    def histogram(
        self, tag: str, values: object, step: object = None, *, buckets: int = 30, description: str | None = None
    ) -> None:
        """The distribution of ``values`` (any shape, real) in ``buckets`` equal-width buckets, counted in float64.

        Values that are not finite are left out with a SummaryWarning.  Raises DTypeError if they are not real.
        """
        tag = _values.check_tag("summary.histogram", tag)
        table = _values.histogram_table("summary.histogram", tag, values, buckets)
        self._write("summary.histogram", msg.histogram(tag, table, description), step)

    def image(
        self, tag: str, images: object, step: object = None, *, max_outputs: int = 3, description: str | None = None
    ) -> None:
        """The first ``max_outputs`` of ``images``: ``[n, height, width, channels]``, gray (1), RGB (3) or RGBA (4).

        uint8, bool, or floating in [0, 1]: floats outside are clipped and NaN is drawn black.  Raises ShapeError for
        another rank or number of channels, DTypeError for another dtype.
        """
        where = "summary.image"
        tag = _values.check_tag(where, tag)
        if not isinstance(max_outputs, int) or max_outputs < 1:
            raise AttributeValueError(where, "max_outputs must be a positive int", {"max_outputs": repr(max_outputs)})
        batch = _values.image_batch(where, tag, images, max_outputs)
        pngs = [encode_png(pixels) for pixels in batch]
        self._write(where, msg.images(tag, batch.shape[2], batch.shape[1], pngs, description), step)

    def text(self, tag: str, text: object, step: object = None, *, description: str | None = None) -> None:
        """Markdown: one string, or an array of strings of rank 1 or 2, which TensorBoard shows as a table.

        Raises DTypeError for anything but strings, ShapeError for more than two axes.
        """
        tag = _values.check_tag("summary.text", tag)
        dims, texts = _values.text_array("summary.text", tag, text)
        self._write("summary.text", msg.text(tag, dims, texts, description), step)

    def graph(self, nodes: Iterable[GraphNode]) -> None:
        """The graph of the run, for TensorBoard's graph tab, which shows the last one written.

        Raises GraphError for a repeated name or an input that no node provides.
        """
        self._file.write(msg.event(time.time(), 0, msg.graph_def(encode_graph(nodes))))

    def add_graph(self, graph: Graph, step: object = None) -> None:
        """A graph of ``corenn.graph`` for the graph tab: its operations in their scopes, with shapes and devices.

        Weights are not written.  ``step`` is where in the file's time the graph stands (default 0).
        """
        number = 0 if step is None else _values.check_step("add_graph", step)
        self._file.write(msg.event(time.time(), number, msg.graph_def(encode_graph(nodes_of(graph)))))

    def hparams(self, values: Mapping[str, object], *, group: str = "") -> None:
        """The hyperparameters of this run: bool, int, float or str by name; ``None`` is written as ``"None"``.

        Runs of one ``group`` are shown as repetitions of one trial.  Call it once per run: TensorBoard keeps the
        first, so a second call raises UsageError.  Raises AttributeValueError for values of another type.
        """
        if self._session_started:
            raise UsageError("summary.hparams", "the hyperparameters of this run are already written", hint="call once")
        plain = {_values.check_tag("summary.hparams", name): _hparam(name, value) for name, value in values.items()}
        self._write("summary.hparams", msg.hparams_start(plain, group, time.time()), 0)
        self._session_started = self._session_open = True

    def hparams_end(self, status: str = "success") -> None:
        """Record how the run begun with :meth:`hparams` ended: ``"success"``, ``"failure"`` or ``"unknown"``."""
        if status not in msg.STATUS:
            operands = {"status": repr(status)}
            raise AttributeValueError("summary.hparams_end", f"status must be one of {sorted(msg.STATUS)}", operands)
        self._write("summary.hparams_end", msg.hparams_end(status, time.time()), 0)
        self._session_open = False

    def add_summary(self, summary: Any, step: object = None) -> None:
        """Write an encoded ``Summary``: bytes, as a session gives for a summary operation, or a protobuf message.

        Raises AttributeValueError for anything else.
        """
        number = _values.check_step("add_summary", _current.step_or_default("add_summary", step))
        self._file.write(msg.event(time.time(), number, msg.encoded_summary(_values.summary_bytes(summary))))

    def add_event(self, event: bytes) -> None:
        """Write an encoded ``Event`` message made elsewhere, with its own time and step."""
        self._file.write(event)

    def _write(self, where: str, value: bytes, step: object) -> None:
        number = _values.check_step(where, _current.step_or_default(where, step))
        self._file.write(msg.event(time.time(), number, msg.summary(value)))

    def flush(self) -> None:
        """Hand every summary written so far to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """End an open hparams session with success, flush and close.  Closing twice is harmless."""
        if not self.closed:
            if self._session_open:
                self.hparams_end("success")
            self._file.close()
            self._finalizer.detach()

    def reopen(self) -> None:
        """After :meth:`close`, go on in a new event file of the same run.  Does nothing while the writer is open."""
        if self.closed:
            self._open()

    def as_default(self, step: object = None) -> AbstractContextManager[EventWriter]:
        """``with writer.as_default():`` makes it the writer of ``corenn.summary.scalar(...)`` and its kin.

        ``step`` (an int, or a variable read at each write) becomes the default step in the block.  Per thread.
        """
        return _current.use(self, step)

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self._session_open and not self.closed:
            self.hparams_end("failure")
        self.close()

    def __repr__(self) -> str:
        return f"EventWriter({os.fspath(self.path)!r}{', closed' if self.closed else ''})"


class FileWriter(EventWriter):
    """The writer as TensorFlow 1 programs know it: ``FileWriter(logdir, session.graph)``.

    As :class:`EventWriter`, with a ``graph`` to begin with, and summaries that need no step.
    """

    def __init__(
        self, logdir: str | os.PathLike[str], graph: Graph | None = None, max_queue: int = 10, flush_secs: float = 120,
        filename_suffix: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(logdir, flush_secs=flush_secs, max_queue=max_queue, filename_suffix=filename_suffix or "")
        if graph is not None:
            self.add_graph(graph)

    def add_summary(self, summary: Any, global_step: object = None) -> None:
        """Write an encoded ``Summary``; without a step it is 0, or the default step where one is set."""
        super().add_summary(summary, 0 if global_step is None and _current.get_step() is None else global_step)

    def get_logdir(self) -> str:
        """The directory of the run."""
        return os.fspath(self.logdir)


def _hparam(name: str, value: object) -> bool | float | str:
    if value is None:
        return "None"
    if isinstance(value, np.generic) or hasattr(value, "__array__"):
        array = np.asarray(value)
        value = array.item() if array.ndim == 0 else value
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return str(value)
    what = f"the value of {name!r} must be a bool, int, float or str"
    raise AttributeValueError("summary.hparams", what, {name: type(value).__name__}, hint=f"use str({name})")
