"""Graph definitions, other processes, and what cannot be written."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from corenn.errors import GraphError

ROOT = Path(__file__).parents[2] / "corenn_tensorflow"


def test_a_graph_definition_is_imported_and_frozen(tf1, meta):
    given = meta.placeholders()
    out = tf1.identity(tf1.nn.softmax(tf1.layers.dense(tf1.clip_by_norm(given["x"], 1.0), 3)), name="out")
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        expected = session.run(out, {"x:0": meta.feeds["x:0"]})
        frozen = tf1.graph_util.convert_variables_to_constants(session, session.graph_def, ["out"])
    tf1.reset_default_graph()
    tf1.import_graph_def(frozen, name="")
    assert not tf1.global_variables()
    with tf1.Session() as session:
        np.testing.assert_array_equal(session.run("out:0", {"x:0": meta.feeds["x:0"]}), expected)


def test_another_process_reads_a_graph(tf1, meta, tmp_path):
    """Functions of modules that a fresh process has not imported yet are found."""
    given = meta.placeholders()
    tf1.image.central_crop(given["img"], 0.5)
    tf1.contrib.seq2seq.LuongAttention(4, given["seq"], given["ids"] + 1)(given["x"])
    tf1.nn.space_to_depth(given["img"], 2)
    tf1.metrics.auc(given["on"], given["v"][:3])
    tf1.io.write_file("name", tf1.strings.reduce_join(given["s"]))
    tf1.train.export_meta_graph(str(tmp_path / "m.meta"))
    source = "import sys, corenn_tensorflow as tf; from corenn_tensorflow import mode; mode.start(1); "
    source += "tf.train.import_meta_graph(sys.argv[1]); print(len(tf.get_default_graph().get_operations()))"
    done = subprocess.run([sys.executable, "-c", source, str(tmp_path / "m.meta")], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.stdout.strip() == str(len(tf1.get_default_graph().get_operations())), done.stderr


def test_late_modules_are_listed():
    """Modules that register functions or kinds are imported with ``tf``, or are listed in ``writing``."""
    from corenn_tensorflow import writing

    found = set()
    for path in ROOT.rglob("*.py"):
        tree_ = ast.parse(path.read_text(encoding="utf-8"))
        calls = {n.func.id for n in ast.walk(tree_) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        if calls & {"writable", "register_kind", "register_function"} and path.name != "writing.py":
            found.add(".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"))
    source = "import sys, corenn_tensorflow as tf; from corenn_tensorflow import writing; tf.Variable; "
    source += "writing.gather(); print(*[m for m in sys.argv[1:] if m not in sys.modules])"
    done = subprocess.run([sys.executable, "-c", source, *sorted(found)], capture_output=True, text=True, check=True)
    assert found and not done.stdout.split(), "add them to writing._LATE"
    assert all(importlib.import_module(f"corenn_tensorflow.{m}") for m in writing._LATE)


def own_layer(tf):
    class Twice(tf.keras.layers.Layer):
        def call(self, inputs):
            return tf.py_func(lambda v: v * 2, [inputs], tf.float32)

    return Twice()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda tf, x: tf.keras.layers.Dense(2, lambda t: t * 2)(x), "Python function"),
        (lambda tf, x: tf.keras.layers.Dense(2, kernel_initializer=lambda s, dtype: tf.ones(s))(x), "cannot be"),
        (lambda tf, x: own_layer(tf)(x), "PyFunc"),
        (lambda tf, x: tf.custom_gradient(lambda v: (v, lambda g: g))(x), "CustomGradient"),
        (lambda tf, x: tf.data.Dataset.range(3).make_one_shot_iterator().get_next(), "Iterator"),
    ],
)
def test_what_stays_unwritable_says_so(tf1, meta, make, message):
    make(tf1, meta.placeholders()["x"])
    with pytest.raises(GraphError, match=message):
        tf1.train.export_meta_graph()


def test_python_of_users_stays_unwritable(tf1, meta, tmp_path):
    w = tf1.get_variable("w", initializer=1.0)
    out = tf1.py_func(lambda v: v + 1, [w], tf1.float32)
    with pytest.raises(GraphError, match=r"(?s)PyFunc.*Python function .*<lambda>"):
        tf1.train.export_meta_graph(str(tmp_path / "m.meta"))
    with tf1.Session() as session:
        session.run(w.initializer)
        prefix = tf1.train.Saver().save(session, meta.prefix)
        assert session.run(out) == 2.0
    tf1.reset_default_graph()
    with pytest.raises(GraphError, match="holds no graph"):
        tf1.train.import_meta_graph(prefix + ".meta")
