"""Text in graphs: ops that only move elements, against NumPy on arrays of objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn.graph import Graph, Session, export_graph, import_graph
from corenn.graph.building import placeholder

TEXT = np.array([[b"a", b"b", b"c"], [b"d", b"e", b"f"]], object)
ROWS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "index": (lambda t: t[1, :2], lambda a: a[1, :2]),
    "new axis": (lambda t: t[:, None], lambda a: a[:, None]),
    "reshape": (lambda t: corenn.reshape(t, shape=(-1,)), lambda a: a.reshape(-1)),
    "transpose": (lambda t: corenn.transpose(t, axes=(1, 0)), lambda a: a.T),
    "stack": (lambda t: corenn.stack(t, t), lambda a: np.stack([a, a])),
    "concatenate": (lambda t: corenn.concatenate(t, t, axis=1), lambda a: np.concatenate([a, a], 1)),
    "tile": (lambda t: corenn.tile(t, repetitions=(1, 2)), lambda a: np.tile(a, (1, 2))),
    "flip": (lambda t: corenn.flip(t, axis=(0,)), lambda a: a[::-1]),
    "gather": (lambda t: corenn.gather(t, corenn.tensor([1, 0, 1]), axis=0), lambda a: a[[1, 0, 1]]),
}


@pytest.mark.parametrize("row", ROWS)
def test_ops_that_move_text(row: str) -> None:
    build, expected = ROWS[row]
    with Graph().as_default() as graph:
        text = placeholder("string", [None, 3], name="text")
        made = build(text)
        assert made.dtype is corenn.dtypes.string
    with Session(graph) as session:
        np.testing.assert_array_equal(session.run(made, {text: TEXT}), expected(TEXT))
    again = import_graph(export_graph(graph))
    with Session(again.graph) as session:
        found = session.run(again.tensor(made.name), {again.tensor("text:0"): TEXT})
        np.testing.assert_array_equal(found, expected(TEXT))


def test_padding_and_parts() -> None:
    with Graph().as_default() as graph:
        text = placeholder("string", [2, 3], name="text")
        padded = corenn.pad(text, widths=((0, 0), (1, 0)), value="x")
        parts = corenn.unstack(text, axis=0)
        assert padded.shape == (2, 4) and len(parts) == 2
    with Session(graph) as session:
        wide, second = session.run([padded, parts[1]], {text: TEXT})
    assert wide[:, 0].tolist() == ["x", "x"] and second.tolist() == [b"d", b"e", b"f"]


@pytest.mark.parametrize("replayed", [False, True])
def test_rows_of_text_are_mapped_to_and_from(replayed):
    with G.Graph().as_default() as graph:
        x, words = G.placeholder("float32", (None, 2)), G.placeholder("string", (None,))
        said = G.map_fn(
            lambda r: G.py_function(lambda a: np.array(str(a.tolist()), object), [r], "string", shapes=()), x
        )
        counted = G.map_fn(
            lambda w: G.py_function(lambda a: np.float32(len(a.item())), [w], "float32", shapes=()), words
        )
    session, observer = G.Session(graph), (lambda *_: None) if replayed else None
    found = session.run(said, {x: np.ones((2, 2), "float32")}, trace=observer)
    assert found.tolist() == ["[1.0, 1.0]"] * 2
    np.testing.assert_array_equal(session.run(counted, {words: ["a", "bbb"]}, trace=observer), [1.0, 3.0])
