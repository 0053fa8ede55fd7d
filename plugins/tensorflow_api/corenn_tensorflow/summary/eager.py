"""Summaries of generation 2: written at once by the current writer, also from inside a ``tf.function``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

import corenn.summary as core
from corenn.graph import py_function
from corenn.graph.tensors import GraphTensor
from corenn.summary import _current
from corenn.summary.writer import EventWriter
from corenn.tensor import Tensor
from corenn_tensorflow import logging, mode
from corenn_tensorflow.records.summaries import Summary, SummaryAudio
from corenn_tensorflow.summary.sound import wave

_condition: ContextVar[Any] = ContextVar("corenn_tensorflow_record_if", default=True)


class SummaryWriter:
    """A writer of one run; ``with writer.as_default():`` makes it the current one."""

    def __init__(self, writer: EventWriter | None) -> None:
        self._writer = writer

    @contextmanager
    def as_default(self, step: Any = None) -> Iterator[SummaryWriter]:
        """Make it the current writer in the block, and ``step`` the default step."""
        if self._writer is None:
            token = _current._writer.set(None)
            try:
                yield self
            finally:
                _current._writer.reset(token)
            return
        with self._writer.as_default(step):
            yield self
        self._writer.flush()

    def set_as_default(self, step: Any = None) -> None:
        """Make it the current writer from here on."""
        _current._writer.set(self._writer)
        if step is not None:
            core.set_step(step)

    def init(self) -> None:
        """Nothing: it is open."""

    def flush(self) -> None:
        """Hand everything written to the operating system."""
        if self._writer is not None and not self._writer.closed:
            self._writer.flush()

    def close(self) -> None:
        """Flush and close."""
        if self._writer is not None:
            self._writer.close()


def create_file_writer(
    logdir: Any, max_queue: Any = None, flush_millis: Any = None, filename_suffix: str | None = None,
    name: str | None = None, experimental_trackable: bool = False, experimental_mesh: Any = None,
) -> SummaryWriter:  # fmt: skip
    """A writer of a new event file in ``logdir``."""
    return SummaryWriter(
        core.create_file_writer(
            logdir, max_queue=10 if max_queue is None else int(max_queue),
            flush_secs=120 if flush_millis is None else float(flush_millis) / 1000,
            filename_suffix=".v2" if filename_suffix is None else filename_suffix,
        )
    )  # fmt: skip


def create_noop_writer() -> SummaryWriter:
    """A writer that writes nothing."""
    return SummaryWriter(None)


def flush(writer: SummaryWriter | None = None, name: str | None = None) -> None:
    """Flush ``writer``, or the current one."""
    if writer is not None:
        writer.flush()
    else:
        core.flush()


@contextmanager
def record_if(condition: Any) -> Iterator[None]:
    """Write summaries in the block only where ``condition`` (a bool, tensor or function) holds."""
    token = _condition.set(condition)
    try:
        yield
    finally:
        _condition.reset(token)


def should_record_summaries() -> Any:
    """Whether summaries are written now: there is a writer, and the condition of ``record_if`` holds."""
    if core.current_writer() is None:
        return False
    condition = _condition.get()
    return condition() if callable(condition) and not isinstance(condition, Tensor) else condition


def _prefixed(name: str) -> str:
    """The tag: the name in the scopes around it."""
    graph = mode.graph_for()
    if graph is not None:
        return graph.scope + name
    from corenn_tensorflow.variable_classes import _scopes

    return "".join(f"{s}/" for s in _scopes) + name


def _record(write: Callable[..., Any], name: str, data: Any, step: Any) -> Any:
    """Call ``write(writer, tag, array, step)`` now, or when the graph under construction runs."""
    writer = core.current_writer()
    if writer is None:
        return _truth(False, data)
    tag = _prefixed(name)
    step = core.get_step() if step is None else step
    if step is None:
        raise ValueError("No step set. Please specify one either through the `step` argument or through "
                         "tf.summary.experimental.set_step()")  # fmt: skip
    condition = should_record_summaries()
    graph = mode.graph_for(data, step, condition)
    if graph is None:
        if not bool(np.asarray(condition)):
            return _truth(False, data)
        write(writer, tag, _host(data), int(np.asarray(step)))
        return _truth(True, data)

    def later(array: Any, at: Any, holds: Any) -> list[Any]:
        if bool(holds):
            write(writer, tag, array, int(at))
        return [np.asarray(bool(holds))]

    with graph.as_default():
        given = [_operand(graph, data), graph.convert(_operand(graph, step)), graph.convert(condition)]
        return py_function(later, given, "bool", shapes=())


def _operand(graph: Any, value: Any) -> Any:
    return graph.convert(value)


def _host(data: Any) -> Any:
    return data.numpy() if isinstance(data, Tensor) else data


def _truth(value: bool, data: Any) -> Any:
    import corenn

    graph = mode.graph_for(data)
    return corenn.tensor(value) if graph is None else graph.convert(value)


def scalar(name: str, data: Any, step: Any = None, description: str | None = None) -> Any:
    """Write one number."""
    return _record(lambda w, tag, x, at: w.scalar(tag, x, at, description=description), name, data, step)


def histogram(
    name: str, data: Any, step: Any = None, buckets: int | None = None, description: str | None = None
) -> Any:
    """Write the distribution of a tensor."""
    count = 30 if buckets is None else int(buckets)
    return _record(
        lambda w, tag, x, at: w.histogram(tag, x, at, buckets=count, description=description), name, data, step
    )


def image(name: str, data: Any, step: Any = None, max_outputs: int = 3, description: str | None = None) -> Any:
    """Write images ``[n, height, width, channels]``: floats in [0, 1], or uint8."""

    def write(writer: EventWriter, tag: str, x: Any, at: int) -> None:
        array = np.asarray(x)
        if array.dtype.kind in "iu" and array.dtype != np.uint8:
            array = np.clip(array, 0, 255).astype(np.uint8)
        writer.image(tag, array, at, max_outputs=int(max_outputs), description=description)

    return _record(write, name, data, step)


def text(name: str, data: Any, step: Any = None, description: str | None = None) -> Any:
    """Write Markdown."""

    def write(writer: EventWriter, tag: str, x: Any, at: int) -> None:
        array = np.asarray(x, dtype=object)
        plain = np.array(
            [t.decode("utf-8", "replace") if isinstance(t, bytes) else t for t in array.reshape(-1)], object
        )
        found = plain.reshape(array.shape)
        writer.text(tag, found if array.ndim else found[()], at, description=description)

    return _record(write, name, data, step)


def audio(
    name: str, data: Any, sample_rate: int, step: Any = None, max_outputs: int = 3, encoding: str | None = None,
    description: str | None = None,
) -> Any:  # fmt: skip
    """Write sounds ``[n, frames, channels]`` of floats in [-1, 1], as WAV."""

    def write(writer: EventWriter, tag: str, x: Any, at: int) -> None:
        summary = Summary()
        for i, one in enumerate(np.asarray(x)[:max_outputs]):
            made = SummaryAudio(
                sample_rate=float(sample_rate), num_channels=one.shape[1], length_frames=one.shape[0],
                content_type="audio/wav", encoded_audio_string=wave(one, float(sample_rate)),
            )  # fmt: skip
            summary.value.add(tag=tag if max_outputs == 1 else f"{tag}/{i}", audio=made)
        writer.add_summary(summary.SerializeToString(), at)

    return _record(write, name, data, step)


def write(tag: str, tensor: Any, step: Any = None, metadata: Any = None, name: str | None = None) -> Any:
    """Write a tensor with metadata of a plugin's own."""

    def put(writer: EventWriter, label: str, x: Any, at: int) -> None:
        from corenn_tensorflow.records.arrays import make_tensor_proto

        summary = Summary()
        value = summary.value.add(tag=tag, tensor=make_tensor_proto(np.asarray(x)))
        if metadata is not None:
            value.metadata.MergeFromString(metadata if isinstance(metadata, bytes) else metadata.SerializeToString())
        writer.add_summary(summary.SerializeToString(), at)

    return _record(put, tag, tensor, step)


def write_raw_pb(tensor: Any, step: Any = None, name: str | None = None) -> Any:
    """Write encoded ``Summary`` messages."""

    def put(writer: EventWriter, tag: str, x: Any, at: int) -> None:
        for item in np.asarray(x, dtype=object).reshape(-1):
            writer.add_summary(item, at)

    return _record(put, name or "raw", tensor, step)


def graph(graph_data: Any) -> bool:
    """Write a graph for the graph tab."""
    writer = core.current_writer()
    if writer is None:
        return False
    if hasattr(graph_data, "get_operations"):
        writer.add_graph(graph_data)
    else:
        from corenn.summary._graph import GraphNode

        writer.graph([GraphNode(n.name, n.op, list(n.input), device=n.device or "") for n in graph_data.node])
    return True


_traced: list[str] = []


def trace_on(graph: bool = True, profiler: bool = False, profiler_outdir: str | None = None) -> None:
    """Begin a trace, which ``trace_export`` writes."""
    _traced[:] = ["graph"] if graph else []


def trace_off() -> None:
    """End the trace."""
    _traced.clear()


def trace_export(name: str, step: Any = None, profiler_outdir: str | None = None) -> None:
    """End the trace.

    Functions are not traced for TensorBoard here: ``tf.summary.graph(f.get_concrete_function(...).graph)`` writes the
    graph of one, as a warning says.
    """
    if not _traced:
        raise ValueError("Must enable trace before export through tf.summary.trace_on.")
    logging.warning(
        "tf.summary.trace_export(%r): no trace is kept; tf.summary.graph(function.get_concrete_function(...).graph) "
        "writes the graph of a tf.function", name,
    )  # fmt: skip
    _traced.clear()


def import_event(tensor: Any, name: str | None = None) -> bool:
    """Write an encoded ``Event`` with the current writer."""
    writer = core.current_writer()
    if writer is not None:
        writer.add_event(_host(tensor) if not isinstance(tensor, GraphTensor) else tensor)
    return writer is not None


__all__ = [
    "SummaryWriter", "audio", "create_file_writer", "create_noop_writer", "flush", "graph", "histogram", "image",
    "import_event", "record_if", "scalar", "should_record_summaries", "text", "trace_export", "trace_off", "trace_on",
    "write", "write_raw_pb",
]  # fmt: skip
