"""Stages with threads: parallel map and prefetch.

A cursor here reads ahead of its consumer, so with each element it keeps the state its source had just after; its own
position is that of the last element delivered.  Threads run in copies of the context of the thread that made the
iterator, so the current device and interpreter hold in them too.
"""

# ruff: noqa: D102  (the methods of nodes, accesses and cursors are documented once, in protocol.py)

from __future__ import annotations

import contextvars
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeAlias

from corenn.data.protocol import Access, Cursor, Node, PassingNode, State, Unsavable, snapshot, unwrap
from corenn.data.structure import Element
from corenn.data.transforms import Map

Delivered: TypeAlias = tuple[Element, "State | Unsavable"]

_JOIN_SECONDS = 5.0  # how long close() waits for user code that is still running


class ParallelMap(Map):
    """A function of each element, in several threads."""

    def __init__(self, source: Node, function: Callable[..., Any], threads: int, deterministic: bool) -> None:
        super().__init__(source, function)
        self.threads, self.deterministic = threads, deterministic

    def access(self, epoch: int) -> Access | None:
        return None  # the threads need an order of reading

    def sequential(self, epoch: int) -> Cursor:
        return ParallelMapCursor(self, self.source.cursor(epoch))


class ParallelMapCursor(Cursor):
    """Keeps two calls per thread under way; the source is read in the consumer's thread."""

    def __init__(self, node: ParallelMap, source: Cursor) -> None:
        self.node, self.source = node, source
        self.context = contextvars.copy_context()
        self.pool: ThreadPoolExecutor | None = None
        self.pending: deque[tuple[Future[Element], State | Unsavable]] = deque()
        self.delivered = snapshot(source)
        self.ended = False

    def next(self) -> Element:
        if self.pool is None:
            self.pool = ThreadPoolExecutor(self.node.threads, thread_name_prefix="corenn-map")
            weakref.finalize(self, self.pool.shutdown, wait=False, cancel_futures=True)
        while not self.ended and len(self.pending) < 2 * self.node.threads:
            try:
                element = self.source.next()
            except StopIteration:
                self.ended = True
                break
            future = self.pool.submit(self.context.copy().run, self.node.apply, element)
            self.pending.append((future, snapshot(self.source)))
        if not self.pending:
            raise StopIteration
        future, self.delivered = self._take()
        return future.result()

    def _take(self) -> tuple[Future[Element], State | Unsavable]:
        if self.node.deterministic:
            return self.pending.popleft()
        wait([future for future, _ in self.pending], return_when=FIRST_COMPLETED)
        first = next(i for i, (future, _) in enumerate(self.pending) if future.done())
        self.pending.rotate(-first)
        taken = self.pending.popleft()
        self.pending.rotate(first)
        return taken

    def save(self) -> State:
        if not self.node.deterministic:
            raise self.node.error(
                Unsavable,
                "the position cannot be saved: with deterministic=False the elements come in another order each time",
                hint="use map(..., deterministic=True), the default, to resume",
            )
        return {"source": unwrap(self.delivered)}

    def restore(self, state: State) -> None:
        self.source.restore(state["source"])
        self.delivered = snapshot(self.source)

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)
        self.pending.clear()
        self.ended = True
        self.source.close()


class Prefetch(PassingNode):
    """Reads up to ``count`` elements ahead in a thread."""

    name = "prefetch"

    def __init__(self, source: Node, count: int) -> None:
        super().__init__(source)
        self.count = count

    def sequential(self, epoch: int) -> Cursor:
        return PrefetchCursor(self.source.cursor(epoch), self.count)


class Channel:
    """A bounded queue between two threads that either side can end."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.items: deque[Delivered] = deque()
        self.changed = threading.Condition()
        self.closed = False  # by the consumer: nobody wants more
        self.ended = False  # by the producer: there is no more
        self.failure: BaseException | None = None
        self.cleanup_failure: BaseException | None = None

    def put(self, item: Delivered) -> bool:
        """Wait for room and add an item; False when the consumer has closed."""
        with self.changed:
            self.items.append(item)
            self.changed.notify_all()
            # Waiting after adding: one element more is computed only when there will be room for it.
            self.changed.wait_for(lambda: self.closed or len(self.items) < self.capacity)
            return not self.closed

    def end(self, failure: BaseException | None) -> None:
        """No more items will come, because of an error or because there are none."""
        with self.changed:
            self.failure, self.ended = failure, True
            self.changed.notify_all()

    def get(self) -> Delivered:
        """Wait for an item; at the end StopIteration, or the error of the producer, once."""
        with self.changed:
            self.changed.wait_for(lambda: self.items or self.ended or self.closed)
            if self.items:
                item = self.items.popleft()
                self.changed.notify_all()
                return item
            failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        raise StopIteration

    def close(self) -> None:
        """Nobody wants more items."""
        with self.changed:
            self.closed = True
            self.items.clear()
            self.changed.notify_all()


def _produce(source: Cursor, channel: Channel) -> None:
    """The body of the thread.  It holds no reference to the consumer, whose disappearance closes the channel."""
    failure: BaseException | None = None
    try:
        while not channel.closed:
            if not channel.put((source.next(), snapshot(source))):
                break
    except StopIteration:
        pass
    except BaseException as error:
        failure = error
    channel.end(failure)
    try:
        source.close()
    except BaseException as error:
        channel.cleanup_failure = error


class PrefetchCursor(Cursor):
    """Owns the thread, which starts with the first element and ends with the last, with close() or with this cursor."""

    def __init__(self, source: Cursor, count: int) -> None:
        self.source = source
        self.channel = Channel(count)
        self.thread: threading.Thread | None = None
        self.delivered = snapshot(source)

    def next(self) -> Element:
        if self.thread is None:
            context = contextvars.copy_context()
            self.thread = threading.Thread(
                target=context.run, args=(_produce, self.source, self.channel), name="corenn-prefetch", daemon=True
            )
            weakref.finalize(self, self.channel.close)
            self.thread.start()
        element, self.delivered = self.channel.get()
        return element

    def save(self) -> State:
        return {"source": unwrap(self.delivered)}

    def restore(self, state: State) -> None:
        self.source.restore(state["source"])
        self.delivered = snapshot(self.source)

    def close(self) -> None:
        self.channel.close()
        if self.thread is None:
            self.source.close()
        elif self.thread is not threading.current_thread():
            self.thread.join(_JOIN_SECONDS)
            failure, self.channel.cleanup_failure = self.channel.cleanup_failure, None
            if failure is not None:
                raise failure
