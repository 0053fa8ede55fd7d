"""``tf.data``: elements and their order, iterators of graphs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def values(dataset: Any) -> list[Any]:
    """All elements as lists."""
    return [np.asarray(e).tolist() for e in dataset.as_numpy_iterator()]


PIPELINES: list[tuple[str, Callable[[Any], Any], list[Any]]] = [
    ("range", lambda d: d.range(3), [0, 1, 2]),
    ("map", lambda d: d.range(3).map(lambda x: x * 2), [0, 2, 4]),
    ("batch", lambda d: d.range(5).batch(2), [[0, 1], [2, 3], [4]]),
    ("drop", lambda d: d.range(5).batch(2, drop_remainder=True), [[0, 1], [2, 3]]),
    ("repeat", lambda d: d.range(2).repeat(2), [0, 1, 0, 1]),
    ("take and skip", lambda d: d.range(9).skip(2).take(3), [2, 3, 4]),
    ("filter", lambda d: d.range(6).filter(lambda x: x % 2 == 0), [0, 2, 4]),
    ("flat_map", lambda d: d.range(3).flat_map(lambda x: d.from_tensors(x).repeat(2)), [0, 0, 1, 1, 2, 2]),
    (
        "interleave",
        lambda d: d.range(1, 4).interleave(lambda x: d.from_tensors(x).repeat(3), cycle_length=2, block_length=2),
        [1, 1, 2, 2, 1, 2, 3, 3, 3],
    ),
    ("concatenate", lambda d: d.range(2).concatenate(d.range(5, 7)), [0, 1, 5, 6]),
    (
        "window",
        lambda d: d.range(5).window(3, 1, drop_remainder=True).flat_map(lambda w: w.batch(3)),
        [[0, 1, 2], [1, 2, 3], [2, 3, 4]],
    ),
    ("unbatch", lambda d: d.range(4).batch(2).unbatch(), [0, 1, 2, 3]),
    (
        "padded",
        lambda d: d.range(1, 3).flat_map(lambda x: d.from_tensors(x)).map(lambda x: x).padded_batch(2),
        [[1, 2]],
    ),
    ("shard", lambda d: d.range(6).shard(2, 1), [1, 3, 5]),
    ("cache", lambda d: d.range(2).cache().repeat(2), [0, 1, 0, 1]),
    ("generator", lambda d: d.from_generator(lambda: iter([1, 2]), "int32"), [1, 2]),
    ("text", lambda d: d.from_tensor_slices(["a", "b"]), [b"a", b"b"]),
]


@pytest.mark.parametrize(("build", "expected"), [p[1:] for p in PIPELINES], ids=[p[0] for p in PIPELINES])
def test_elements(tf2: Any, build: Callable[[Any], Any], expected: list[Any]) -> None:
    assert values(build(tf2.data.Dataset)) == expected


@pytest.mark.parametrize("buffer", [3, 10, 100])
def test_shuffle_keeps_every_element_and_repeats_by_seed(tf2: Any, buffer: int) -> None:
    def run() -> list[int]:
        return values(tf2.data.Dataset.range(50).shuffle(buffer, seed=7))

    assert sorted(run()) == list(range(50))
    assert run() == run() != list(range(50))
    assert all(v < i + buffer for i, v in enumerate(run()))


def test_passes_are_shuffled_anew_unless_told_not_to(tf2: Any) -> None:
    data = tf2.data.Dataset.range(20)
    again, same = data.shuffle(20, seed=1), data.shuffle(20, seed=1, reshuffle_each_iteration=False)
    assert values(again) != values(again)
    assert values(same) == values(same)


def test_structures_and_specs(tf2: Any) -> None:
    data = tf2.data.Dataset.from_tensor_slices({"x": np.zeros((4, 3), np.float32), "y": np.arange(4)}).batch(2)
    assert data.element_spec["x"] == tf2.data.TensorSpec([None, 3], "float32")
    assert [e["y"].numpy().tolist() for e in data] == [[0, 1], [2, 3]]


def test_files_of_lines_and_columns(tf2: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n,x\n1,2.5\n3,\n")
    assert values(tf2.data.TextLineDataset(str(path)).skip(1)) == [b"1,2.5", b"3,"]
    rows = tf2.data.experimental.CsvDataset(str(path), ["int32", 9.0], header=True)
    assert [(int(a), float(b)) for a, b in rows] == [(1, 2.5), (3, 9.0)]


def drained(session: Any, tensor: Any, error: type[Exception]) -> list[Any]:
    """Values until the data ends."""
    found = []
    with pytest.raises(error, match="End of sequence"):
        while True:
            found.append(np.asarray(session.run(tensor)).tolist())
    return found


def test_one_shot_iterators(tf1: Any) -> None:
    element = tf1.data.Dataset.range(4).map(lambda x: x + 1).batch(2).make_one_shot_iterator().get_next()
    assert element.shape.as_list() == [None]
    with tf1.Session() as session:
        assert drained(session, element, tf1.errors.OutOfRangeError) == [[1, 2], [3, 4]]


def test_initializable_iterators_take_fed_arrays(tf1: Any) -> None:
    given = tf1.placeholder(tf1.float32, [None, 2])
    iterator = tf1.data.Dataset.from_tensor_slices(given).make_initializable_iterator()
    element = iterator.get_next()
    with tf1.Session() as session:
        with pytest.raises(tf1.errors.FailedPreconditionError):
            session.run(element)
        for rows in ([[1, 2]], [[3, 4], [5, 6]]):
            session.run(iterator.initializer, {given: rows})
            assert drained(session, element, tf1.errors.OutOfRangeError) == rows


def test_iterators_of_a_structure_and_by_handle(tf1: Any) -> None:
    data = tf1.data.Dataset
    first, second = data.range(2), data.range(5, 7)
    shared = tf1.data.Iterator.from_structure(first.output_types, first.output_shapes)
    element = shared.get_next()
    handle = tf1.placeholder(tf1.string, [])
    fed = tf1.data.Iterator.from_string_handle(handle, first.output_types, first.output_shapes).get_next()
    other = second.make_one_shot_iterator()
    with tf1.Session() as session:
        for dataset, expected in ((first, [0, 1]), (second, [5, 6])):
            session.run(shared.make_initializer(dataset))
            assert drained(session, element, tf1.errors.OutOfRangeError) == expected
        assert session.run(fed, {handle: session.run(other.string_handle())}) == 5
