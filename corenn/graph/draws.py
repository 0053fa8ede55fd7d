"""Keys of random operations in one run of a graph, drawn once although gradients run branches and loops again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corenn.graph.operations import Operation
    from corenn.tensor import Tensor


class Draws:
    """What each random operation has drawn in this run, in order.

    The gradient of a branch or loop runs it again, and must meet the numbers of the first time: a dropout's mask.  So
    the n-th draw of an operation gives the n-th key, also when an outer operation is run ``again`` and counting starts
    from where it started then.
    """

    __slots__ = ("_keys", "_places", "_starts")

    def __init__(self) -> None:
        self._keys: dict[int, list[Tensor]] = {}
        self._places: dict[int, int] = {}
        self._starts: dict[int, dict[int, int]] = {}

    def place(self, operation: Operation) -> int:
        """The number, from 0, of the next draw of a random operation, which is thereby made."""
        place = self._places.get(id(operation), 0)
        self._places[id(operation)] = place + 1
        return place

    def next(self, operation: Operation, draw: Callable[[], Tensor]) -> Tensor:
        """The next key of a random operation; ``draw`` makes one that nobody has drawn yet."""
        place, keys = self.place(operation), self._keys.setdefault(id(operation), [])
        if place == len(keys):
            keys.append(draw())
        return keys[place]

    def start(self, operation: Operation) -> None:
        """Note that an operation with random operations inside begins to run."""
        self._starts[id(operation)] = dict(self._places)

    @contextmanager
    def again(self, operation: Operation) -> Iterator[None]:
        """Run the operation again: its draws are those of the last time it ran, if it did."""
        after = self._places
        self._places = dict(self._starts.setdefault(id(operation), dict(after)))
        try:
            yield
        finally:
            self._places = after


__all__ = ["Draws"]
