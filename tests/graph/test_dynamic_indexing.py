"""Indexing whose bounds are values of the graph: what is known of the result, and the result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import corenn
from corenn import graph as cg


@pytest.mark.parametrize(
    ("take", "extents", "expected"),
    [
        (lambda x, k: x[k : k + 2], (None, 4), slice(1, 3)),
        (lambda x, k: x[:k], (None, 4), slice(0, 1)),
        (lambda x, k: x[k], (4,), 1),
        (lambda x, k: x[k : k + 2, k : k + 1], (None, None), (slice(1, 3), slice(1, 2))),
        (lambda x, k: x[k, 1 : k + 2], (None,), (1, slice(1, 3))),
        (lambda x, k: x[k:, None], (None, 1, 4), (slice(1, None), None)),
    ],
)
def test_bounds_that_only_the_run_knows(take: Any, extents: Any, expected: Any) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    graph = cg.Graph()
    with graph.as_default():
        k = cg.placeholder("int32", ())
        taken = take(cg.constant(values), k)
        assert taken.shape == extents
        np.testing.assert_array_equal(cg.Session().run(taken, {k: 1}), values[expected])


def test_an_element_of_a_known_shape_is_known() -> None:
    graph = cg.Graph()
    with graph.as_default():
        x = cg.placeholder("float32", (2, None, 3))
        shape = cg.shape(x)
        assert corenn.reshape(x, shape=[shape[0], -1]).shape == (2, None)
        assert corenn.zeros([shape[2], shape[0] + 1]).shape == (3, 3)
        assert corenn.zeros([shape[1], 1]).shape == (None, 1)


def test_bounds_of_a_slice_of_what_has_its_value() -> None:
    table = corenn.tensor(np.arange(12, dtype=np.float32).reshape(3, 4))

    @corenn.function
    def rows(x: Any) -> Any:
        return table[: cg.shape(x)[0], 1:]

    assert rows(corenn.zeros((2, 5))).numpy().tolist() == [[1, 2, 3], [5, 6, 7]]
    graph = cg.Graph()
    with graph.as_default():
        n = cg.placeholder("int32", ())
        taken = table[n:]
    assert taken.shape == (None, 4)
    with cg.Session(graph=graph) as session:
        assert session.run(taken, {n: 2}).tolist() == [[8, 9, 10, 11]]
