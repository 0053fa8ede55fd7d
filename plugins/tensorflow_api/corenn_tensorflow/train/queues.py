"""Input pipelines of TensorFlow 1: producers, batching, queue runners (tensorflow/python/training/input.py of 1.15).

See ``queue_objects`` for how they run here.  New programs use ``tf.data``.
"""

from __future__ import annotations

import glob
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import corenn
from corenn import dtypes as core_dtypes
from corenn.graph.kinds import HostCallKind
from corenn.graph.session import get_default_session
from corenn.graph.tensors import GraphTensor
from corenn_tensorflow import errors, mode
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.functions.creating import range as tensor_range
from corenn_tensorflow.session import running_session
from corenn_tensorflow.train.queue_objects import FIFOQueue, PaddingFIFOQueue, QueueBase, RandomShuffleQueue, shuffler

COLLECTION = "queue_runners"


class QueueRunner:
    """Says which operations fill a queue."""

    def __init__(
        self, queue: Any = None, enqueue_ops: Sequence[Any] | None = None, close_op: Any = None, cancel_op: Any = None,
        queue_closed_exception_types: Any = None, queue_runner_def: Any = None, import_scope: str | None = None,
    ) -> None:  # fmt: skip
        if queue is None or not enqueue_ops:
            raise ValueError("Must provide queue and enqueue_ops.")
        self.queue, self.enqueue_ops, self.close_op, self.cancel_op = queue, list(enqueue_ops), close_op, cancel_op
        self._started: weakref.WeakSet[Any] = weakref.WeakSet()
        queue._filled_by_runner = True

    @property
    def name(self) -> str:
        """The queue's name."""
        return str(self.queue.name)

    @property
    def exceptions_raised(self) -> list[BaseException]:
        """Nothing: errors are raised where an element is wanted."""
        return []

    def create_threads(self, sess: Any, coord: Any = None, daemon: bool = False, start: bool = False) -> list[Any]:
        """Let the queue be filled in a session; there are no threads, so the list is empty."""
        if sess not in self._started:
            self._started.add(sess)
            seen: list[Any] = []
            for operation in self.enqueue_ops:
                if operation not in seen:
                    seen.append(operation)
                    self.queue.start(sess, operation)
        return []


def add_queue_runner(qr: QueueRunner, collection: str = COLLECTION) -> None:
    """List a queue runner, for ``start_queue_runners``."""
    mode.default_graph().add_to_collection(collection, qr)


def start_queue_runners(
    sess: Any = None, coord: Any = None, daemon: bool = True, start: bool = True, collection: str = COLLECTION
) -> list[Any]:
    """Let all queues be filled in a session; gives the threads, of which there are none."""
    session = sess if sess is not None else get_default_session()
    if session is None:
        raise ValueError("Cannot start queue runners: No default session is registered. Use `with "
                         "sess.as_default()` or "
                         "pass an explicit session to tf.start_queue_runners(sess=sess)")  # fmt: skip
    from corenn_tensorflow.train.saver import core_session

    inner = core_session(session)
    for runner in inner.graph.get_collection(collection):
        if hasattr(runner, "create_threads"):
            runner.create_threads(inner, coord, daemon, start)
    return []


# ---------------------------------------------------------------- producers


def _host(
    function: Callable[..., list[Any]], inputs: Sequence[Any], known: list[Any], name: str, type_name: str
) -> Any:
    graph = mode.default_graph()
    given = [graph.convert(i) for i in inputs]
    return graph.add(HostCallKind(function, False, type_name), given, known, name=name).outputs


def input_producer(
    input_tensor: Any, element_shape: Any = None, num_epochs: int | None = None, shuffle: bool = True,
    seed: int | None = None, capacity: int = 32, shared_name: str | None = None, summary_name: str | None = None,
    name: str | None = None, cancel_op: Any = None,
) -> QueueBase:  # fmt: skip
    """A queue of the rows of a tensor, again and again, or ``num_epochs`` times; ``shuffle`` each time."""
    if num_epochs is not None and num_epochs < 1:
        raise ValueError(f"num_epochs must be > 0 not {num_epochs}.")
    graph = mode.default_graph()
    with graph.as_default(), graph.name_scope(name or "input_producer"):
        given = convert_to_tensor(input_tensor, name="input")
        extents = given.extents
        shape = None if extents is None else extents[1:]
        queue = FIFOQueue(capacity, [given.dtype], [shape] if shape is not None else None)
        order = shuffler(graph.seed, seed)
        epochs: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

        def epoch(rows: Any) -> list[Any]:
            session = running_session()
            done = epochs.get(session, 0)
            if num_epochs is not None and done >= num_epochs:
                raise errors.OutOfRangeError(None, None, f"Reached limit of {num_epochs}")
            epochs[session] = done + 1
            places = list(range(len(rows)))
            if shuffle:
                order.shuffle(places)
            return [rows[places]]

        (rows,) = _host(
            epoch, [given], [(extents, given.dtype)], "RandomShuffle" if shuffle else "limit_epochs", "Epoch"
        )
        add_queue_runner(QueueRunner(queue, [queue.enqueue_many([rows])]))
        return queue


def string_input_producer(
    string_tensor: Any, num_epochs: int | None = None, shuffle: bool = True, seed: int | None = None,
    capacity: int = 32, shared_name: str | None = None, name: str | None = None, cancel_op: Any = None,
) -> QueueBase:  # fmt: skip
    """A queue of strings, such as names of files."""
    if not isinstance(string_tensor, GraphTensor) and not len(string_tensor):
        raise ValueError("string_input_producer requires a non-null input tensor")
    given = string_tensor
    if not isinstance(given, GraphTensor):
        given = [s.decode() if isinstance(s, bytes) else str(s) for s in given]
    return input_producer(given, (), num_epochs, shuffle, seed, capacity, shared_name, name=name or "input_producer")


def range_input_producer(
    limit: Any, num_epochs: int | None = None, shuffle: bool = True, seed: int | None = None, capacity: int = 32,
    shared_name: str | None = None, name: str | None = None,
) -> QueueBase:  # fmt: skip
    """A queue of the integers from 0 to ``limit - 1``."""
    if isinstance(limit, GraphTensor):
        numbers: Any = tensor_range(limit, dtype=core_dtypes.int32)
    else:
        numbers = np.arange(int(limit), dtype=np.int32)
    return input_producer(numbers, (), num_epochs, shuffle, seed, capacity, shared_name, name=name or "input_producer")


def slice_input_producer(
    tensor_list: Sequence[Any], num_epochs: int | None = None, shuffle: bool = True, seed: int | None = None,
    capacity: int = 32, shared_name: str | None = None, name: str | None = None,
) -> list[Any]:  # fmt: skip
    """One row of each tensor: the same row of all, another at each run."""
    if not tensor_list:
        raise ValueError("Expected at least one tensor in slice_input_producer().")
    graph = mode.default_graph()
    with graph.as_default(), graph.name_scope(name or "input_producer"):
        given = [convert_to_tensor(t) for t in tensor_list]
        extents = given[0].extents
        if not extents or extents[0] is None:
            raise ValueError("slice_input_producer needs tensors whose first extent is known")
        queue = range_input_producer(extents[0], num_epochs, shuffle, seed, capacity, shared_name)
        index = queue.dequeue()
        return [_row(t, index) for t in given]


def _row(tensor: Any, index: Any) -> Any:
    if tensor.dtype is core_dtypes.string:
        extents = tensor.extents
        known = [(None if extents is None else extents[1:], tensor.dtype)]
        return _host(
            lambda rows, i: [np.asarray(rows[int(i)], dtype=object)], [tensor, index], known, "Gather", "GatherV2"
        )[0]
    return corenn.gather(tensor, index, axis=0)


def limit_epochs(tensor: Any, num_epochs: int | None = None, name: str | None = None) -> Any:
    """``tensor``, ``num_epochs`` times; then OutOfRangeError."""
    if num_epochs is None:
        return tensor
    if num_epochs <= 0:
        raise ValueError(f"num_epochs must be > 0 not {num_epochs}.")
    given = convert_to_tensor(tensor)
    counts: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def passed(value: Any) -> list[Any]:
        session = running_session()
        counts[session] = counts.get(session, 0) + 1
        if counts[session] > num_epochs:
            raise errors.OutOfRangeError(None, None, f"Reached limit of {num_epochs}")
        return [value]

    return _host(passed, [given], [(given.extents, given.dtype)], name or "limit_epochs", "CountUpTo")[0]


def match_filenames_once(pattern: Any, name: str | None = None) -> Any:
    """The names of files that match, found now."""
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    found = sorted(path for p in patterns for path in glob.glob(p))
    return mode.default_graph().constant(np.array(found, dtype=object), name=name or "matching_filenames")


# ---------------------------------------------------------------- batches


def _listed(tensors: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The tensors, and how to give results back in their structure."""
    if isinstance(tensors, dict):
        names = sorted(tensors)
        return [convert_to_tensor(tensors[n]) for n in names], lambda found: dict(zip(names, found, strict=True))
    if isinstance(tensors, (list, tuple)):
        if not tensors:
            raise ValueError("Must provide at least one tensor")
        return [convert_to_tensor(t) for t in tensors], lambda found: found[0] if len(found) == 1 else found
    return [convert_to_tensor(tensors)], lambda found: found[0]


def _batched(
    name: str, lists: Sequence[Any], batch_size: Any, make: Callable[..., QueueBase], enqueue_many: bool, shapes: Any,
    fewer: bool, given_name: str | None, keep_input: Any = True,
) -> Any:  # fmt: skip
    graph = mode.default_graph()
    values = [v for given in lists for v in (given.values() if isinstance(given, dict) else given)]
    if mode.executing_eagerly() and not any(isinstance(v, GraphTensor) for v in values):
        raise ValueError("Input pipelines based on Queues are not supported when eager execution is "
                         "enabled. Please use "
                         "tf.data to ingest data into your model instead.")  # fmt: skip
    with graph.as_default(), graph.name_scope(given_name or name):
        parts, back = zip(*[_listed(t) for t in lists], strict=True)
        first = parts[0]
        known = shapes
        if known is None:
            known = [None if t.extents is None else t.extents[1:] if enqueue_many else t.extents for t in first]
        for tensor, shape in zip(first, known, strict=True):
            if shape is None:
                raise ValueError(
                    f"All shapes must be fully defined: the shape of {tensor.name} is unknown; set_shape() it"
                )
        queue = make([t.dtype for t in first], [tuple(s) for s in known])
        ops = []
        for given in parts:
            many = enqueue_many
            if keep_input is not True:
                kept = graph.convert(keep_input)
                given = [_kept(t, kept, many) for t in given]
                many = True
            ops.append((queue.enqueue_many if many else queue.enqueue)(list(given)))
        add_queue_runner(QueueRunner(queue, ops))
        found = (queue.dequeue_up_to if fewer else queue.dequeue_many)(batch_size)
        return back[0](found if isinstance(found, list) else [found])


def _kept(tensor: Any, keep: Any, many: bool) -> Any:
    """The rows of a tensor that are kept: all or none of one element, or those where ``keep`` holds."""

    def rows(value: Any, holds: Any) -> list[Any]:
        if many:
            return [value[np.broadcast_to(holds, (len(value),))]]
        return [value[None] if bool(holds) else value[None][:0]]

    extents = tensor.extents
    inner = None if extents is None else (None, *(extents[1:] if many else extents))
    return _host(rows, [tensor, keep], [(inner, tensor.dtype)], "Kept", "BooleanMask")[0]


def batch(
    tensors: Any, batch_size: Any, num_threads: int = 1, capacity: int = 32, enqueue_many: bool = False,
    shapes: Any = None, dynamic_pad: bool = False, allow_smaller_final_batch: bool = False,
    shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Batches of ``tensors`` (a list or dict), which are computed anew for each element."""
    return maybe_batch(
        tensors, True, batch_size, num_threads, capacity, enqueue_many, shapes, dynamic_pad,
        allow_smaller_final_batch, shared_name, name,
    )  # fmt: skip


def maybe_batch(
    tensors: Any, keep_input: Any, batch_size: Any, num_threads: int = 1, capacity: int = 32,
    enqueue_many: bool = False, shapes: Any = None, dynamic_pad: bool = False, allow_smaller_final_batch: bool = False,
    shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """As ``batch``, of elements where ``keep_input`` holds."""
    return _batched(
        "batch", [tensors], batch_size, _fifo(capacity, dynamic_pad), enqueue_many, shapes, allow_smaller_final_batch,
        name, keep_input,
    )  # fmt: skip


def batch_join(
    tensors_list: Sequence[Any], batch_size: Any, capacity: int = 32, enqueue_many: bool = False, shapes: Any = None,
    dynamic_pad: bool = False, allow_smaller_final_batch: bool = False, shared_name: str | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """As ``batch``, of elements from several sources in turn."""
    return _batched(
        "batch_join", tensors_list, batch_size, _fifo(capacity, dynamic_pad), enqueue_many, shapes,
        allow_smaller_final_batch, name,
    )  # fmt: skip


def _fifo(capacity: int, padded: bool) -> Callable[..., QueueBase]:
    return lambda dtypes, shapes: (PaddingFIFOQueue if padded else FIFOQueue)(capacity, dtypes, shapes)


def shuffle_batch(
    tensors: Any, batch_size: Any, capacity: int, min_after_dequeue: int, num_threads: int = 1,
    seed: int | None = None, enqueue_many: bool = False, shapes: Any = None, allow_smaller_final_batch: bool = False,
    shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Batches of ``tensors`` in random order; ``min_after_dequeue`` elements are kept to choose from."""
    return maybe_shuffle_batch(
        tensors, batch_size, capacity, min_after_dequeue, True, num_threads, seed, enqueue_many, shapes,
        allow_smaller_final_batch, shared_name, name,
    )  # fmt: skip


def maybe_shuffle_batch(
    tensors: Any, batch_size: Any, capacity: int, min_after_dequeue: int, keep_input: Any, num_threads: int = 1,
    seed: int | None = None, enqueue_many: bool = False, shapes: Any = None, allow_smaller_final_batch: bool = False,
    shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """As ``shuffle_batch``, of elements where ``keep_input`` holds."""
    return _batched(
        "shuffle_batch", [tensors], batch_size, _shuffled(capacity, min_after_dequeue, seed), enqueue_many, shapes,
        allow_smaller_final_batch, name, keep_input,
    )  # fmt: skip


def shuffle_batch_join(
    tensors_list: Sequence[Any], batch_size: Any, capacity: int, min_after_dequeue: int, seed: int | None = None,
    enqueue_many: bool = False, shapes: Any = None, allow_smaller_final_batch: bool = False,
    shared_name: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """As ``shuffle_batch``, of elements from several sources in turn."""
    return _batched(
        "shuffle_batch_join", tensors_list, batch_size, _shuffled(capacity, min_after_dequeue, seed), enqueue_many,
        shapes, allow_smaller_final_batch, name,
    )  # fmt: skip


def _shuffled(capacity: int, least: int, seed: int | None) -> Callable[..., QueueBase]:
    if capacity <= least:
        raise ValueError(f"capacity {capacity} must be bigger than min_after_dequeue {least}.")
    return lambda dtypes, shapes: RandomShuffleQueue(capacity, least, dtypes, shapes, seed=seed)


__all__ = [
    "QueueRunner", "add_queue_runner", "batch", "batch_join", "input_producer", "limit_epochs", "match_filenames_once",
    "maybe_batch", "maybe_shuffle_batch", "range_input_producer", "shuffle_batch", "shuffle_batch_join",
    "slice_input_producer", "start_queue_runners", "string_input_producer",
]  # fmt: skip
