"""``tf.GraphDef``, ``import_graph_def``, ``graph_util`` and ``freeze_graph``: graphs as data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from corenn.errors import CheckpointError

X = np.random.default_rng(3).normal(size=(5, 4)).astype(np.float32)


def small(tf: Any) -> tuple[Any, Any]:
    """A layer with a variable, and a training operation that no file can hold."""
    x = tf.placeholder(tf.float32, [None, 4], name="x")
    w = tf.get_variable("w", [4, 3])
    y = tf.nn.softmax(tf.matmul(x, w), name="y")
    tf.py_func(lambda v: v, [y], tf.float32, name="unwritable")
    return x, y


def test_what_is_frozen_needs_no_variables(tf1: Any, tmp_path: Any) -> None:
    x, y = small(tf1)
    with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        wanted = sess.run(y, {x: X})
        frozen = tf1.graph_util.convert_variables_to_constants(sess, sess.graph.as_graph_def(), ["y"])
    assert {n.op for n in frozen.node}.isdisjoint({"VariableV2", "Assign", "PyFunc"})
    file = tmp_path / "frozen.pb"
    file.write_bytes(frozen.SerializeToString())
    with tf1.Graph().as_default() as graph:
        read = tf1.GraphDef()
        read.ParseFromString(file.read_bytes())
        again, operation = tf1.import_graph_def(read, {"x:0": tf1.constant(X)}, ["y:0", "y"], name="part")
        assert again.name == "part/y:0" and operation.name == "part/y" and not graph.get_collection("variables")
        with tf1.Session() as sess:
            np.testing.assert_array_equal(sess.run(again), wanted)


def test_variables_read_in_loops_and_branches_are_frozen_there(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [2, 3, 4], name="x")
    out, _ = tf1.nn.dynamic_rnn(tf1.nn.rnn_cell.BasicLSTMCell(3), x, dtype=tf1.float32)
    w = tf1.Variable(2.0, name="w")
    y = tf1.cond(tf1.reduce_sum(x) > 0, lambda: out * w.read_value(), lambda: out - w.read_value(), name="choice")
    tf1.identity(y, name="y")
    feed = np.abs(X.reshape(5, 2, 2)[:3].reshape(1, 3, 4)).repeat(2, 0)
    with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        wanted = sess.run(y, {x: feed})
        frozen = tf1.graph_util.convert_variables_to_constants(sess, tf1.get_default_graph().as_graph_def(), ["y"])
    with tf1.Graph().as_default(), tf1.Session() as sess:
        a, b = tf1.import_graph_def(frozen, return_elements=["x:0", "y:0"], name="")
        np.testing.assert_array_equal(sess.run(b, {a: feed}), wanted)


def test_a_graph_in_text_and_a_checkpoint_are_frozen(tf1: Any, tmp_path: Any) -> None:
    from corenn_tensorflow.graph_util import freeze_graph

    x, y = small(tf1)
    part = tf1.graph_util.extract_sub_graph(tf1.get_default_graph().as_graph_def(), ["y"])
    with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        wanted = sess.run(y, {x: X})
        path = tf1.train.Saver().save(sess, str(tmp_path / "model"), write_meta_graph=False)
    tf1.train.write_graph(part, str(tmp_path), "graph.pbtxt", as_text=True)
    target = tmp_path / "frozen.pb"
    freeze_graph(str(tmp_path / "graph.pbtxt"), "", False, path, "y", None, None, str(target), True)
    with tf1.Graph().as_default(), tf1.Session() as sess:
        (again,) = tf1.import_graph_def(tf1.GraphDef.FromString(target.read_bytes()), return_elements=["y:0"])
        np.testing.assert_array_equal(sess.run(again, {"import/x:0": X}), wanted)


def test_refusals(tf1: Any) -> None:
    small(tf1)
    definition = tf1.get_default_graph().as_graph_def()
    with pytest.raises(AssertionError, match="nope is not in graph"):
        tf1.graph_util.extract_sub_graph(definition, ["nope"])
    part = tf1.graph_util.extract_sub_graph(definition, ["x"])
    with pytest.raises(ValueError, match="Requested return_element 'q' not found in graph_def"):
        tf1.import_graph_def(part, return_elements=["q"])
    with pytest.raises(ValueError, match=r"Attempted to map inputs that were not found in graph_def: \[q\]"):
        tf1.import_graph_def(part, input_map={"q": tf1.constant(1.0)})
    with pytest.raises(CheckpointError, match=r"does not read TensorFlow's own \.pb files"):
        tf1.GraphDef().ParseFromString(b"\n\x0b\n\x01x")
