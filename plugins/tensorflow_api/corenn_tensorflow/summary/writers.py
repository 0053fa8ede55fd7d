"""Writers of event files for both generations."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

from corenn.graph.graph import Graph
from corenn.summary.records import read_records
from corenn.summary.writer import EventWriter
from corenn_tensorflow.records.summaries import Event, SessionLog, Summary


class FileWriter(EventWriter):
    """Writes summaries, graphs and session logs of one run into an event file in ``logdir``.

    Also ``tf.train.SummaryWriter`` of versions before 0.12, whose second argument may be a ``GraphDef``.
    """

    def __init__(
        self, logdir: Any, graph: Any = None, max_queue: int = 10, flush_secs: float = 120, graph_def: Any = None,
        filename_suffix: str | None = None, session: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(logdir, flush_secs=flush_secs, max_queue=max_queue, filename_suffix=filename_suffix or "")
        for given in (graph, graph_def):
            if given is not None:
                self.add_graph(given)

    def add_summary(self, summary: Any, global_step: Any = None) -> None:
        """Write a summary: what a session gives for a summary operation, or a ``tf.Summary``."""
        message = summary.SerializeToString() if isinstance(summary, Summary) else _bytes(summary)
        event = Event(wall_time=time.time(), summary=Summary.FromString(message))
        if global_step is not None:
            event.step = int(global_step)
        self.add_event(event)

    def add_event(self, event: Any) -> None:
        """Write an ``Event``; a closed writer warns and writes nothing."""
        if self.closed:
            warnings.warn(
                "Attempting to use a closed FileWriter. The operation will be a noop unless the FileWriter is "
                "explicitly reopened.", stacklevel=3,
            )  # fmt: skip
            return
        super().add_event(event if isinstance(event, bytes) else event.SerializeToString())

    def add_graph(self, graph: Any, global_step: Any = None, graph_def: Any = None) -> None:
        """Write a graph for TensorBoard's graph tab."""
        given = graph if graph is not None else graph_def
        if isinstance(given, Graph):
            super().add_graph(given, global_step)
        elif hasattr(given, "node"):
            from corenn.summary._graph import GraphNode

            self.graph([GraphNode(n.name, n.op, list(n.input), device=n.device or "") for n in given.node])
        else:
            raise TypeError(f"The passed graph must be an instance of `Graph` or `GraphDef`, not {type(given)}")

    def add_meta_graph(self, meta_graph_def: Any, global_step: Any = None) -> None:
        """Write the graph of a ``MetaGraphDef`` for the graph tab."""
        self.add_graph(meta_graph_def.graph_def, global_step)

    def add_session_log(self, session_log: SessionLog, global_step: Any = None) -> None:
        """Write start, checkpoint or stop of a session."""
        event = Event(wall_time=time.time(), session_log=session_log)
        if global_step is not None:
            event.step = int(global_step)
        self.add_event(event)

    def add_run_metadata(self, run_metadata: Any, tag: str, global_step: Any = None) -> None:
        """Write the statistics of a run."""
        if tag in self.__dict__.setdefault("_tags", set()):
            raise ValueError("The provided tag was already used for this event type")
        self._tags.add(tag)
        data = run_metadata.SerializeToString()
        event = Event(wall_time=time.time(), tagged_run_metadata={"tag": tag, "run_metadata": data})
        if global_step is not None:
            event.step = int(global_step)
        self.add_event(event)

    def get_logdir(self) -> str:
        """The directory of the run."""
        return os.fspath(self.logdir)


def _bytes(summary: Any) -> bytes:
    if isinstance(summary, bytes):
        return summary
    item = getattr(summary, "item", None)
    found = item() if item is not None else summary
    if not isinstance(found, bytes):
        if hasattr(summary, "SerializeToString"):
            return bytes(summary.SerializeToString())
        raise TypeError(f"add_summary takes a summary (bytes or tf.Summary), not {type(summary).__name__}")
    return found


class FileWriterCache:
    """One writer for each directory, shared by hooks."""

    _cache: dict[str, FileWriter] = {}  # noqa: RUF012  # shared on purpose
    _lock = threading.RLock()

    @staticmethod
    def get(logdir: Any) -> FileWriter:
        """The writer of a directory, made if there is none."""
        key = os.fspath(logdir)
        with FileWriterCache._lock:
            found = FileWriterCache._cache.get(key)
            if found is None or found.closed or not os.path.isdir(key):  # a script may have removed it
                found = FileWriterCache._cache[key] = FileWriter(key)
            return found

    @staticmethod
    def clear() -> None:
        """Close all."""
        with FileWriterCache._lock:
            for writer in FileWriterCache._cache.values():
                writer.close()
            FileWriterCache._cache.clear()


def summary_iterator(path: Any) -> Iterator[Event]:
    """The events of an event file."""
    for _, data in read_records(os.fspath(path)):
        yield Event.FromString(data)


__all__ = ["FileWriter", "FileWriterCache", "summary_iterator"]
