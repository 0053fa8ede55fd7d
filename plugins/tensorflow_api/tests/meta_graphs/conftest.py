"""Graphs that are written to files, read into a fresh graph, restored and run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corenn import tree

GENERATOR = np.random.default_rng(3)
#: What the placeholders of the expressions are called and fed.
FED = {
    "x": GENERATOR.normal(size=(3, 4)).astype(np.float32),
    "y": GENERATOR.normal(size=(3, 4)).astype(np.float32),
    "p": GENERATOR.uniform(0.1, 0.9, size=(3, 4)).astype(np.float32),
    "v": GENERATOR.uniform(0.1, 0.9, size=(4,)).astype(np.float32),
    "m": (GENERATOR.normal(size=(4, 4)) + 4 * np.eye(4)).astype(np.float32),
    "img": GENERATOR.uniform(size=(2, 8, 8, 3)).astype(np.float32),
    "vol": GENERATOR.uniform(size=(2, 4, 4, 4, 3)).astype(np.float32),
    "seq": GENERATOR.normal(size=(3, 5, 4)).astype(np.float32),
    "ids": np.array([2, 0, 1], np.int32),
    "long": np.array([2, 0, 1], np.int64),
    "table": np.array([[3, 1], [0, 2], [1, 1]], np.int32),
    "on": np.array([True, False, True]),
    "hot": np.eye(4, dtype=np.float32)[[2, 0, 1]],
    "s": np.array([b"one two", b"Three", b"four 5"], object),
    "n": np.array(0.5, np.float32),
}
OPEN = ("x", "y", "p", "img", "seq", "hot")  # of a batch whose size is not known while the graph is built


class MetaGraphs:
    """The placeholders that the tests of a graph use, and how a graph is compared with what was written of it."""

    def __init__(self, tf: Any, folder: Path) -> None:
        self.tf, self.prefix = tf, str(folder / "model")
        self.feeds = {f"{name}:0": value for name, value in FED.items()}

    def placeholders(self) -> dict[str, Any]:
        """The tensors of the expressions."""
        made = {}
        for name, value in FED.items():
            shape: list[int | None] = list(value.shape)
            if name in OPEN:
                shape[0] = None
            dtype = self.tf.string if value.dtype == object else value.dtype
            made[name] = self.tf.placeholder(dtype, shape, name=name)
        return made

    def check(self, names: Sequence[str]) -> Any:
        """Save, import, restore: the imported graph gives what the first one gives in a session that begins alike."""
        assert names, "nothing is compared"
        tf, prefix = self.tf, self.prefix
        saved = bool(tf.global_variables())
        if saved:
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                tf.train.Saver().save(session, prefix)
        tf.train.export_meta_graph(prefix + ".meta")
        expected = self._results(tf.train.Saver() if saved else None, names)
        tf.reset_default_graph()
        saver = tf.train.import_meta_graph(prefix + ".meta")
        found = self._results(saver if saved else None, names)
        for a, b in zip(tree.leaves(expected), tree.leaves(found), strict=True):
            np.testing.assert_array_equal(a, b)
        return expected

    def _results(self, saver: Any, names: Sequence[str]) -> list[Any]:
        """The values, of a run or two, in a session where only what checkpoints do not hold is initialized anew."""
        with self.tf.Session() as session:
            session.run([v.initializer for v in self.tf.local_variables()])
            if saver is not None:
                saver.restore(session, self.prefix)
            wanted = [session.graph.as_graph_element(n) for n in names]
            return [session.run(wanted, self.feeds) for _ in range(2)]


@pytest.fixture
def meta(tf1: Any, tmp_path: Path) -> MetaGraphs:
    """Placeholders, feeds and the comparison, for the default graph."""
    return MetaGraphs(tf1, tmp_path)
