"""Variables of graphs whose value lies in an eager variable: all sessions share it with eager code."""

from __future__ import annotations

import numpy as np

from corenn import Variable
from corenn.graph import Graph, GraphVariable, Session, gradients
from corenn.graph.state import variable


class Held(GraphVariable):
    """A graph variable with its storage elsewhere."""

    __slots__ = ("storage",)

    storage: Variable


def test_sessions_read_and_write_the_eager_variable() -> None:
    graph, weight = Graph(), Variable([1.0, 2.0], name="w")
    twin = variable(graph, np.zeros(2, np.float32), name="w", cls=Held)
    twin.storage = weight  # type: ignore[attr-defined]  # its own slot
    with graph.as_default():
        doubled, added = twin * 2.0, twin.assign_add([1.0, 1.0])
        (slope,) = gradients(doubled, twin)
    first, second = Session(graph), Session(graph)
    assert first.initialized(twin)
    assert first.run(doubled).tolist() == [2.0, 4.0]
    weight.assign([5.0, 6.0])
    assert second.run(doubled).tolist() == [10.0, 12.0]
    first.run(added)
    assert weight.numpy().tolist() == [6.0, 7.0]
    assert first.run(slope).tolist() == [2.0, 2.0]
    second.run(twin.initializer)
    assert weight.numpy().tolist() == [0.0, 0.0]
