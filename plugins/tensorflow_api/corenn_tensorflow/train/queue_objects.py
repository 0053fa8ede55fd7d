"""Queues of TensorFlow 1: ``FIFOQueue``, ``RandomShuffleQueue``, ``PaddingFIFOQueue``, ``PriorityQueue``.

Elements lie on the host, apart for each session.  A queue that a ``QueueRunner`` fills is filled by whoever dequeues:
when elements are wanted, the runner's operations run in the same session and thread.  So a pipeline needs no threads,
gives the same order every time, and cannot block.  Queues that a program's own threads fill do wait.
"""

from __future__ import annotations

import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from corenn import dtypes as core_dtypes
from corenn.graph.kinds import HostCallKind
from corenn.random import fresh_seed
from corenn_tensorflow import errors, mode
from corenn_tensorflow.framework import as_dtype, convert_to_tensor
from corenn_tensorflow.session import running_session
from corenn_tensorflow.shapes import extents_of

_POLL = 0.002  # seconds between looks at a queue that others fill


class _Content:
    """What a queue holds in one session."""

    def __init__(self) -> None:
        self.items: list[tuple[Any, ...]] = []
        self.closed = False
        self.pulls: list[Any] = []  #: operations that enqueue
        self.turn = 0
        self.condition = threading.Condition()


class QueueBase:
    """Base of queues; an element is a tuple of arrays of the queue's ``dtypes``."""

    _type = "FIFOQueueV2"

    def __init__(self, dtypes: Any, shapes: Any, names: Any, capacity: int | None, name: str) -> None:
        if mode.executing_eagerly():
            raise RuntimeError(
                "Queues are not supported when eager execution is enabled. Instead, please use tf.data to "
                "get data into "
                "your model."
            )
        given = list(dtypes) if isinstance(dtypes, (list, tuple)) else [dtypes]
        self._dtypes = [as_dtype(d) for d in given]
        self._shapes = [None] * len(given) if shapes is None else [extents_of(s) for s in _as_list(shapes, len(given))]
        self._names = None if names is None else list(names) if isinstance(names, (list, tuple)) else [names]
        self._capacity = capacity if capacity is not None and capacity > 0 else None
        self._graph = mode.default_graph()
        self._name = self._graph.unique_name(name)
        self._contents: weakref.WeakKeyDictionary[Any, _Content] = weakref.WeakKeyDictionary()

    # ---- what it is

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def dtypes(self) -> list[Any]:
        """The dtypes of an element's parts."""
        return self._dtypes

    @property
    def shapes(self) -> list[Any]:
        """What is known of the shapes of an element's parts."""
        from corenn_tensorflow.shapes import TensorShape

        return [TensorShape.of(s) for s in self._shapes]

    @property
    def names(self) -> list[str] | None:
        """The names of an element's parts."""
        return self._names

    # ---- operations

    def enqueue(self, vals: Any, name: str | None = None) -> Any:
        """An operation that adds one element."""
        return self._operation(
            self._enqueue_one, self._parts(vals), [], name or f"{self._name}_enqueue", "QueueEnqueueV2"
        )

    def enqueue_many(self, vals: Any, name: str | None = None) -> Any:
        """An operation that adds one element for each row."""
        return self._operation(
            self._enqueue_rows, self._parts(vals), [], name or f"{self._name}_EnqueueMany", "QueueEnqueueManyV2"
        )

    def dequeue(self, name: str | None = None) -> Any:
        """One element."""
        known = list(zip(self._shapes, self._dtypes, strict=True))
        made = self._operation(self._dequeue_one, [], known, name or f"{self._name}_Dequeue", "QueueDequeueV2")
        return self._returned(made)

    def dequeue_many(self, n: Any, name: str | None = None) -> Any:
        """``n`` elements, stacked; OutOfRangeError where the queue is closed with fewer."""
        return self._several(n, name or f"{self._name}_DequeueMany", "QueueDequeueManyV2", False)

    def dequeue_up_to(self, n: Any, name: str | None = None) -> Any:
        """``n`` elements, stacked, or as many as there are in a closed queue."""
        return self._several(n, name or f"{self._name}_DequeueUpTo", "QueueDequeueUpToV2", True)

    def _several(self, n: Any, name: str, type_name: str, fewer: bool) -> Any:
        static = n if isinstance(n, (int, np.integer)) else None
        first = None if fewer or static is None else int(static)
        known = [(None if s is None else (first, *s), d) for s, d in zip(self._shapes, self._dtypes, strict=True)]

        def take(count: Any) -> list[Any]:
            return self._stacked(self._take(int(count), fewer))

        return self._returned(self._operation(take, [self._graph.convert(n)], known, name, type_name))

    def close(self, cancel_pending_enqueues: bool = False, name: str | None = None) -> Any:
        """An operation after which nothing can be added."""

        def shut() -> list[Any]:
            self._here().closed = True
            return []

        return self._operation(shut, [], [], name or f"{self._name}_Close", "QueueCloseV2")

    def size(self, name: str | None = None) -> Any:
        """How many elements it holds."""

        def count() -> list[Any]:
            return [np.array(len(self._here().items), np.int32)]

        known = [((), core_dtypes.int32)]
        return self._operation(count, [], known, name or f"{self._name}_Size", "QueueSizeV2").outputs[0]

    def is_closed(self, name: str | None = None) -> Any:
        """Whether it is closed."""

        def closed() -> list[Any]:
            return [np.array(self._here().closed)]

        known = [((), core_dtypes.bool_)]
        return self._operation(closed, [], known, name or f"{self._name}_Is_Closed", "QueueIsClosedV2").outputs[0]

    def _operation(
        self, function: Callable[..., list[Any]], inputs: Sequence[Any], known: list[Any], name: str, type_name: str
    ) -> Any:
        with self._graph.as_default():
            kind = HostCallKind(function, False, type_name)
            return self._graph.add(kind, list(inputs), known, name=name.rpartition("/")[2] or name)

    def _parts(self, vals: Any) -> list[Any]:
        if isinstance(vals, dict):
            if self._names is None:
                raise ValueError("Queue must have names to enqueue a dictionary")
            given = [vals[n] for n in self._names]
        else:
            given = (
                list(vals) if isinstance(vals, (list, tuple)) and (len(self._dtypes) > 1 or len(vals) == 1) else [vals]
            )
        if len(given) != len(self._dtypes):
            raise ValueError(f"Queue {self._name!r} has {len(self._dtypes)} components, but {len(given)} were given")
        with self._graph.as_default():
            return [convert_to_tensor(v, d) for v, d in zip(given, self._dtypes, strict=True)]

    def _returned(self, operation: Any) -> Any:
        if self._names is not None:
            return dict(zip(self._names, operation.outputs, strict=True))
        return operation.outputs[0] if len(operation.outputs) == 1 else list(operation.outputs)

    # ---- what happens when they run

    def _here(self) -> _Content:
        session = running_session()
        found = self._contents.get(session)
        if found is None:
            found = self._contents[session] = _Content()
        return found

    def start(self, session: Any, operation: Any) -> None:
        """Let ``operation`` fill the queue in a session."""
        content = self._contents.setdefault(session, _Content())
        content.pulls.append(operation)

    def _enqueue_one(self, *arrays: Any) -> list[Any]:
        self._put([tuple(np.copy(a) for a in arrays)])
        return []

    def _enqueue_rows(self, *arrays: Any) -> list[Any]:
        rows = [_rows(a) for a in arrays]
        self._put(list(zip(*rows, strict=True)))
        return []

    def _put(self, items: list[tuple[Any, ...]]) -> None:
        content, session = self._here(), running_session()
        for item in items:
            while self._capacity is not None and not content.pulls and len(content.items) >= self._capacity:
                if content.closed or session._closed:
                    raise errors.CancelledError(None, None, f"Enqueue operation was cancelled: '{self._name}'")
                _wait(session)
            if content.closed:
                raise errors.CancelledError(None, None, f"{type(self).__name__} '_0_{self._name}' is closed.")
            content.items.append(item)

    def _dequeue_one(self) -> list[Any]:
        return list(self._take(1, False)[0])

    def _spare(self, content: _Content) -> int:
        """How many elements must stay while the queue is open."""
        return 0

    def _pick(self, content: _Content) -> tuple[Any, ...]:
        return content.items.pop(0)

    def _take(self, count: int, fewer: bool) -> list[tuple[Any, ...]]:
        content, session = self._here(), running_session()
        while True:
            spare = 0 if content.closed else self._spare(content)
            if len(content.items) - spare >= count:
                return [self._pick(content) for _ in range(count)]
            if content.closed:
                if fewer and content.items:
                    return [self._pick(content) for _ in range(len(content.items))]
                raise errors.OutOfRangeError(
                    None, None,
                    f"{type(self).__name__} '_0_{self._name}' is closed and has insufficient elements "
                    f"(requested {count}, current size {len(content.items)})",
                )  # fmt: skip
            if content.pulls:
                self._pull(content, session)
            else:
                if session._closed:
                    raise errors.CancelledError(None, None, "Dequeue operation was cancelled")
                self._warn_when_idle(content)
                _wait(session)

    def _pull(self, content: _Content, session: Any) -> None:
        content.turn = (content.turn + 1) % len(content.pulls)
        operation = content.pulls[content.turn]
        try:
            session.run(operation)
        except errors.OutOfRangeError:
            if len(content.pulls) == 1:
                content.closed = True
            else:
                del content.pulls[content.turn]

    def _warn_when_idle(self, content: _Content) -> None:
        if not self._filled_by_runner:
            return
        raise errors.FailedPreconditionError(
            None, None, f"the queue '{self._name}' is empty, and nothing fills it in this session",
            hint="tf.train.start_queue_runners(sess=sess) before the first run",
        )  # fmt: skip

    _filled_by_runner = False

    def _stacked(self, items: list[tuple[Any, ...]]) -> list[Any]:
        return [_stack([item[i] for item in items], d, s) for i, (d, s) in
                enumerate(zip(self._dtypes, self._shapes, strict=True))]  # fmt: skip


def _stack(values: list[Any], dtype: Any, shape: Any) -> np.ndarray[Any, Any]:
    if dtype is core_dtypes.string:
        inner = np.shape(values[0]) if values else ()
        found = np.empty((len(values), *inner), object)
        for i, value in enumerate(values):
            found[i] = value[()] if isinstance(value, np.ndarray) and not value.ndim else value
        return found
    if not values:
        return np.empty((0, *[n or 0 for n in shape or ()]), dtype.numpy)
    return np.stack(values)


def _rows(array: Any) -> list[Any]:
    return [array[i] if array.ndim > 1 else np.array(array[i], array.dtype) for i in range(len(array))]


def _as_list(shapes: Any, count: int) -> list[Any]:
    """One shape for each part; a single shape stands for one part."""
    if count == 1 and not (
        isinstance(shapes, list) and len(shapes) == 1 and not isinstance(shapes[0], (int, type(None)))
    ):
        return [shapes]
    return list(shapes)


def _wait(session: Any) -> None:
    """Let other threads run, also those that wait for the session."""
    condition = threading.Condition(session._lock)
    try:
        condition.wait(_POLL)
    except RuntimeError:  # the session is not locked by this thread
        time.sleep(_POLL)


class FIFOQueue(QueueBase):
    """First in, first out."""

    def __init__(
        self, capacity: int, dtypes: Any, shapes: Any = None, names: Any = None, shared_name: str | None = None,
        name: str = "fifo_queue",
    ) -> None:  # fmt: skip
        super().__init__(dtypes, shapes, names, capacity, name)


def shuffler(graph_seed: int | None, seed: int | None) -> random.Random:
    """What decides an order: by the seeds of the graph and the queue, or where there are none by a fresh one."""
    if graph_seed is None and seed is None:
        return random.Random(fresh_seed("queue"))
    return random.Random(f"{graph_seed} {seed}")


class RandomShuffleQueue(QueueBase):
    """Elements come out in random order; ``min_after_dequeue`` stay while the queue is open."""

    def __init__(
        self, capacity: int, min_after_dequeue: int, dtypes: Any, shapes: Any = None, names: Any = None,
        seed: int | None = None, shared_name: str | None = None, name: str = "random_shuffle_queue",
    ) -> None:  # fmt: skip
        super().__init__(dtypes, shapes, names, capacity, name)
        self._min_after_dequeue = min_after_dequeue
        self._random = shuffler(self._graph.seed, seed)

    def _spare(self, content: _Content) -> int:
        return self._min_after_dequeue

    def _pick(self, content: _Content) -> tuple[Any, ...]:
        at = self._random.randrange(len(content.items))
        content.items[at], content.items[-1] = content.items[-1], content.items[at]
        return content.items.pop()


class PaddingFIFOQueue(QueueBase):
    """First in, first out; parts whose extents differ are padded with zeros to the longest of a batch."""

    def __init__(
        self, capacity: int, dtypes: Any, shapes: Any, names: Any = None, shared_name: str | None = None,
        name: str = "padding_fifo_queue",
    ) -> None:  # fmt: skip
        super().__init__(dtypes, shapes, names, capacity, name)

    def _stacked(self, items: list[tuple[Any, ...]]) -> list[Any]:
        found = []
        for i, dtype in enumerate(self._dtypes):
            values = [item[i] for item in items]
            longest = [max(v.shape[axis] for v in values) for axis in range(np.ndim(values[0]))]
            text = dtype is core_dtypes.string
            batch = (
                np.full((len(values), *longest), b"", object)
                if text
                else np.zeros((len(values), *longest), dtype.numpy)
            )
            for row, value in zip(batch, values, strict=True):
                row[tuple(slice(n) for n in value.shape)] = value
            found.append(batch)
        return found


class PriorityQueue(QueueBase):
    """The element whose first part, an int64, is smallest comes out first."""

    def __init__(
        self, capacity: int, types: Any, shapes: Any = None, names: Any = None, shared_name: str | None = None,
        name: str = "priority_queue",
    ) -> None:  # fmt: skip
        given = list(types) if isinstance(types, (list, tuple)) else [types]
        every = None if shapes is None else [(), *_as_list(shapes, len(given))]
        super().__init__(["int64", *given], every, names, capacity, name)

    def _pick(self, content: _Content) -> tuple[Any, ...]:
        at = min(range(len(content.items)), key=lambda i: int(content.items[i][0]))
        return content.items.pop(at)


__all__ = ["FIFOQueue", "PaddingFIFOQueue", "PriorityQueue", "QueueBase", "RandomShuffleQueue"]
