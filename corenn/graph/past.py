"""What one run of a graph has done so far: values of variables, and draws, so that parts of it can be run again.

The gradient of a branch or loop runs it again.  It must then meet what it met the first time, the same values and the
same random numbers (a dropout's mask), and must have no effects: nothing is written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corenn.graph.operations import Operation
    from corenn.graph.tensors import GraphTensor
    from corenn.tensor import Tensor


class Draws:
    """What each random operation has drawn in this run, in order.

    The n-th draw of an operation gives the n-th key, also when an outer operation is run ``again`` and counting starts
    from where it started then.  Calls of Python with effects keep their results here in the same way.
    """

    __slots__ = ("_drawn", "_places", "_starts")

    def __init__(self) -> None:
        self._drawn: dict[int, list[Any]] = {}
        self._places: dict[int, int] = {}
        self._starts: dict[int, dict[int, int]] = {}

    def place(self, operation: Operation) -> int:
        """The number, from 0, of the next draw of a random operation, which is thereby made."""
        place = self._places.get(id(operation), 0)
        self._places[id(operation)] = place + 1
        return place

    def next(self, operation: Operation, draw: Callable[[], Any]) -> Any:
        """What an operation draws next; ``draw`` makes what nobody has drawn yet."""
        place, drawn = self.place(operation), self._drawn.setdefault(id(operation), [])
        if place == len(drawn):
            drawn.append(draw())
        return drawn[place]

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


class Past:
    """The part of a run (see ``corenn.graph.operations.Run``) that remembers.

    ``values``: what variables hold in this run, as far as it has read or written them, by the variable's identity;
    ``written``: the variables it has written.
    """

    def __init__(self) -> None:
        self.values: dict[int, Tensor] = {}
        self.written: dict[int, Any] = {}
        self.draws = Draws()
        self.rerunning = False
        self._before: dict[int, tuple[dict[int, Tensor], dict[int, Any]]] = {}

    def start(self, operation: Operation) -> None:
        """Note that an operation with branches or loops begins to run."""
        self.draws.start(operation)
        self._before[id(operation)] = (dict(self.values), dict(self.written))

    @contextmanager
    def again(self, operation: Operation) -> Iterator[None]:
        """Run the operation again, as it ran: from the values it met, with its draws; what it writes is forgotten."""
        after = self.values, self.written, self.rerunning
        values, written = self._before.get(id(operation), after[:2])
        self.values, self.written, self.rerunning = dict(values), dict(written), True
        try:
            with self.draws.again(operation):
                yield
        finally:
            self.values, self.written, self.rerunning = after

    def assume(self, tensors: Iterable[GraphTensor], values: Iterable[Tensor]) -> None:
        """Inside ``again``: a variable whose value is one of an operation's inputs reads as what is given for it.

        So a tape that watches the inputs sees what is read inside.
        """
        for tensor, value in zip(tensors, values, strict=True):
            cell = _variable_of(tensor)
            if cell is not None and id(cell) not in self.written:
                self.values[id(cell)] = value


def _variable_of(tensor: GraphTensor) -> Any:
    """The variable whose value a tensor is, seen through the parameters of branches and loops."""
    while True:
        cell = getattr(tensor.operation.kind, "cell", None)
        if cell is not None:
            return cell if tensor.operation.kind.reads else None
        captures = getattr(tensor.graph, "captures", {}).values()
        outside = next((outside for outside, inside in captures if inside is tensor), None)
        if outside is None:
            return None
        tensor = outside


__all__ = ["Draws", "Past"]
