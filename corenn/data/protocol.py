"""What a transformation is made of: a node, and one or both of two ways to read it.

*Random access* (``Access``): the elements of one epoch by position.  A pipeline that has it all the way down needs no
iterator state but a position, restores in constant time and gathers whole batches by index.  *Sequential* reading
(``Cursor``): for sources whose length is unknown and for stages with threads; its state holds the state of its source.
"""

# ruff: noqa: D102  (the methods of nodes, accesses and cursors are documented once, in protocol.py)

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import numpy as np

from corenn.data.structure import ArraySpec, Element, Index, Mismatch, as_element, join, map_leaves, stack
from corenn.errors import CorennError, DataError, UsageError, user_site

State: TypeAlias = dict[str, Any]  # JSON-able

INFINITE: Final = -1  # cardinality of a dataset that never ends
UNKNOWN: Final = -2  # cardinality of a dataset whose length shows only when it is read


class Unsavable(DataError):
    """The position of this iterator cannot be restored, for the reason given."""


class Access(ABC):
    """The elements of one epoch by position, ``0 <= i < size``; ``size`` is ``None`` if they never end."""

    size: int | None

    @abstractmethod
    def get(self, i: int) -> Element:
        """Element ``i``."""

    def gather(self, index: Index) -> Element:
        """The elements at these positions, stacked; raises ``Mismatch`` where they do not fit together."""
        return stack([self.get(int(i)) for i in index])


class Cursor(ABC):
    """Reads the elements of one epoch in order.  ``restore`` is called on a new cursor only."""

    @abstractmethod
    def next(self) -> Element:
        """The next element; ``StopIteration`` at the end and ever after."""

    @abstractmethod
    def save(self) -> State:
        """The position, so that a new cursor restored to it gives the element that :meth:`next` would give now."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Move this new cursor to a saved position."""

    def close(self) -> None:
        """End threads and release files; may be called twice."""
        return None


class IndexCursor(Cursor):
    """Reads random access in order; its state is the position."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._position = 0

    def next(self) -> Element:
        if self._position == self._access.size:
            raise StopIteration
        element = self._access.get(self._position)
        self._position += 1
        return element

    def save(self) -> State:
        return {"i": self._position}

    def restore(self, state: State) -> None:
        self._position = state["i"]


class Node(ABC):
    """One transformation (or source) in a pipeline; immutable but for caches, so pipelines may share nodes."""

    name: str  # the method of Dataset that made it

    def __init__(self, *inputs: Node) -> None:
        self.inputs = inputs
        self.site = user_site()
        self._spec: Any = None

    def access(self, epoch: int) -> Access | None:
        """Random access to the elements of an epoch, or ``None``; which of the two may not depend on the epoch."""
        return None

    def sequential(self, epoch: int) -> Cursor:
        """A cursor for when there is no random access."""
        raise NotImplementedError(f"{type(self).__name__} has random access")

    def cursor(self, epoch: int) -> Cursor:
        """A new cursor at the first element of an epoch."""
        access = self.access(epoch)
        return self.sequential(epoch) if access is None else IndexCursor(access)

    @abstractmethod
    def cardinality(self) -> int:
        """The number of elements of an epoch, ``INFINITE`` or ``UNKNOWN``."""

    def spec(self) -> Any:
        """The structure of elements with an ``ArraySpec`` for each leaf; by default, that of one sample."""
        if self._spec is None:
            self._spec = map_leaves(lambda leaf: ArraySpec(leaf.shape, leaf.dtype), self.sample())
        return self._spec

    def sample(self) -> Element:
        """Some element like those of this node, as cheaply as possible."""
        cursor = self.cursor(0)
        try:
            return cursor.next()
        except StopIteration:
            hint = "from_generator takes a signature for this case" if self.name == "from_generator" else None
            raise self.error(DataError, "there is no element to tell the element_spec from", hint=hint) from None
        finally:
            cursor.close()

    def parameters(self) -> str:
        """What distinguishes two such nodes, for :meth:`signature`."""
        return ""

    def signature(self) -> str:
        """The pipeline as text, last transformation first; positions restore only into an equal one."""
        own = f"{self.name}({self.parameters()})"
        inputs = [node.signature() for node in self.inputs]
        return own if not inputs else f"{own} <- {inputs[0] if len(inputs) == 1 else '[' + '; '.join(inputs) + ']'}"

    def walk(self) -> Iterator[Node]:
        """This node and all before it."""
        yield self
        for node in self.inputs:
            yield from node.walk()

    def error(
        self,
        kind: type[CorennError],
        what: str,
        operands: Mapping[str, object] | None = None,
        *,
        hint: str | None = None,
    ) -> CorennError:
        """An error of this transformation, placed at the line that built it (it may surface in another thread)."""
        return kind(f"Dataset.{self.name}", what, operands, hint=hint, site=self.site)

    def call(self, function: Callable[..., Any], element: Element) -> Any:
        """Call the user's function, a tuple's components as separate arguments; errors keep their type, and a note."""
        try:
            return function(*element) if isinstance(element, tuple) else function(element)
        except Exception as error:
            error.add_note(f"in the function given to Dataset.{self.name} at {self.site}")
            raise

    def call_for_element(self, function: Callable[..., Any], element: Element) -> Element:
        """The same for a function that returns an element."""
        result = self.call(function, element)
        try:
            return as_element(result)
        except Mismatch as mismatch:
            raise mismatch.error(
                f"Dataset.{self.name}",
                self.site,
                "return arrays or numbers, in tuples or dicts; return the element itself if nothing is to change",
            ) from None


class PassingNode(Node):
    """A node that hands on the elements of one ``source``, as many of them unless it says otherwise."""

    def __init__(self, source: Node) -> None:
        super().__init__(source)
        self.source = source

    def cardinality(self) -> int:
        return self.source.cardinality()

    def spec(self) -> Any:
        return self.source.spec()

    def sample(self) -> Element:
        return self.source.sample()


def snapshot(cursor: Cursor) -> State | Unsavable:
    """The state of a cursor, or the reason why there is none, to be raised if anyone asks."""
    try:
        return cursor.save()
    except Unsavable as reason:
        return reason


def unwrap(state: State | Unsavable) -> State:
    """The state of a snapshot."""
    if isinstance(state, Unsavable):
        raise state
    return state


def shifted(index: Index, by: int) -> Index:
    """The positions, each moved by the same number."""
    return range(index.start + by, index.stop + by) if isinstance(index, range) else index + by


def positions(index: Index) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The positions as an array."""
    return np.arange(index.start, index.stop) if isinstance(index, range) else index


def gather_parts(
    index: Index, locate: Callable[[Any], tuple[Any, Any]], fetch: Callable[[int, Index], Element]
) -> Element:
    """Gather over several parts laid end to end.

    ``locate`` maps positions (an array, or one number) to parts and positions within them; ``fetch(part, index)``
    gathers within one part.
    """
    if isinstance(index, range) and index:
        first, start = locate(index[0])
        last, stop = locate(index[-1])
        if first == last:
            return fetch(int(first), range(int(start), int(stop) + 1))
    parts, local = locate(positions(index))
    if not parts.size:
        return fetch(0, local)
    order = np.argsort(parts, kind="stable")
    cuts = np.flatnonzero(np.diff(parts[order])) + 1
    joined = join([fetch(int(parts[group[0]]), local[group]) for group in np.split(order, cuts)])
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    return map_leaves(lambda leaf: leaf[back], joined)


def positive(where: str, name: str, value: int, least: int = 1) -> int:
    """``value`` if it is an integer of at least ``least``; ``UsageError`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise UsageError(where, f"{name} must be an integer of at least {least}", {name: repr(value)})
    return int(value)
