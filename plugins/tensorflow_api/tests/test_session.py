"""``tf.Session``: what runs give, take and raise."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest


def test_structures_of_fetches(tf1: Any) -> None:
    a, b = tf1.constant(1.0, name="a"), tf1.constant([1, 2])
    pair = namedtuple("pair", ["x", "y"])
    with tf1.Session() as session:
        assert session.run(a) == 1.0 and isinstance(session.run(a), np.float32)
        assert session.run([]) == [] and session.run(tf1.no_op()) is None and session.run("a:0") == 1.0
        found = session.run({"p": pair(a, [b]), "q": (a, a), "r": OrderedDict(z=a)})
    assert isinstance(found["p"], pair) and found["p"].y[0].tolist() == [1, 2] and found["q"] == (1.0, 1.0)
    assert list(found["r"]) == ["z"]


def test_feeding(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 2], name="x")
    y = x * 2.0
    with tf1.Session() as session:
        assert session.run(y, {x: [[1, 2]]}).tolist() == [[2.0, 4.0]]
        assert session.run(y, feed_dict={"x:0": np.zeros((0, 2))}).shape == (0, 2)
        assert session.run([x, y], {y: [[7.0, 7.0]], x: [[0.0, 1.0]]})[1].tolist() == [[7.0, 7.0]]
        assert y.eval({x: [[1.0, 1.0]]}).tolist() == [[2.0, 2.0]]
        call = session.make_callable(y, [x])
        assert call([[3.0, 4.0]]).tolist() == [[6.0, 8.0]]


ERRORS: list[tuple[str, Any, str, str]] = [
    ("unfed", lambda tf, s, x: s.run(x * 2), "InvalidArgumentError",
     r"You must feed a value for placeholder tensor 'x' with dtype float and shape \[\?,2\]\n\t \[\[node x "),
    ("shape", lambda tf, s, x: s.run(x, {x: [1.0, 2.0]}), "ValueError",
     r"^Cannot feed value of shape \(2,\) for Tensor 'x:0', which has shape '\(\?, 2\)'"),
    ("none", lambda tf, s, x: s.run(None), "TypeError", "Fetch argument None has invalid type <class 'NoneType'>"),
    ("elsewhere", lambda tf, s, x: s.run(_elsewhere(tf)), "ValueError",
     "cannot be interpreted as a Tensor.*is not an element of this graph"),
    ("missing", lambda tf, s, x: s.run("nothing:0"), "ValueError", "The operation, 'nothing', does not exist"),
    ("key", lambda tf, s, x: s.run(x, {"y:0": 1}), "TypeError", "Cannot interpret feed_dict key as Tensor"),
    ("tensor", lambda tf, s, x: s.run(x, {x: tf.zeros([1, 2])}), "TypeError", "value of a feed cannot be a tf.Tensor"),
    ("variable", lambda tf, s, x: s.run(tf.Variable(1.0, name="w")), "FailedPreconditionError",
     "Attempting to use uninitialized value w"),
    ("assertion", lambda tf, s, x: s.run(tf.Assert(tf.constant(False), [tf.constant([1, 2])])), "InvalidArgumentError",
     r"assertion failed: \[1 2\]"),
    ("numerics", lambda tf, s, x: s.run(tf.check_numerics(x / 0.0, "bad"), {x: [[1.0, 0.0]]}), "InvalidArgumentError",
     "bad : Tensor had Inf and NaN values"),
    ("operation", lambda tf, s, x: s.run(tf.matmul(x, tf.placeholder_with_default(np.ones((3, 1), "f"), None)),
                                         {x: [[1.0, 2.0]]}), "InvalidArgumentError", r"\[\[node MatMul "),
    ("default", lambda tf, s, x: tf.placeholder_with_default([1.0, 2.0], [3]), "ValueError", "another shape"),
    ("session", lambda tf, s, x: tf.constant(1).eval(), "ValueError", "No default session is registered"),
]  # fmt: skip


def _elsewhere(tf: Any) -> Any:
    with tf.Graph().as_default():
        return tf.constant(1)


@pytest.mark.parametrize(("call", "kind", "text"), [e[1:] for e in ERRORS], ids=[e[0] for e in ERRORS])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_errors(tf1: Any, call: Any, kind: str, text: str) -> None:
    expected = {"TypeError": TypeError, "ValueError": ValueError}.get(kind) or getattr(tf1.errors, kind)
    x = tf1.placeholder(tf1.float32, [None, 2], name="x")
    with pytest.raises(expected, match=text):
        call(tf1, tf1.Session(), x)


def test_errors_of_runs_name_their_operation(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, name="x")
    with pytest.raises(tf1.errors.OpError) as caught:
        tf1.Session().run(x)
    error = caught.value
    assert error.op is x.op and error.node_def.name == "x" and error.error_code == tf1.errors.INVALID_ARGUMENT
    assert error.message.startswith("You must feed a value")


def test_closed_and_empty_sessions(tf1: Any) -> None:
    with pytest.raises(RuntimeError, match="The Session graph is empty"):
        tf1.Session().run([])
    one = tf1.constant(1)
    session = tf1.Session()
    session.close()
    with pytest.raises(RuntimeError, match="Attempted to use a closed Session"):
        session.run(one)


def test_interactive_session(tf1: Any) -> None:
    session = tf1.InteractiveSession(config=tf1.ConfigProto(allow_soft_placement=True))
    assert tf1.constant(2).eval() == 2 and tf1.get_default_session() is session
    session.close()
    assert tf1.get_default_session() is not session


def test_settings_can_be_set_and_read(tf1: Any) -> None:
    config = tf1.ConfigProto(log_device_placement=True, gpu_options=tf1.GPUOptions(per_process_gpu_memory_fraction=0.5))
    config.gpu_options.allow_growth = True
    config.graph_options.optimizer_options.global_jit_level = tf1.OptimizerOptions.ON_1
    assert config.log_device_placement and config.gpu_options.per_process_gpu_memory_fraction == 0.5
    with tf1.Session(config=config) as session:
        options = tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE)
        assert session.run(tf1.constant(1), options=options, run_metadata=tf1.RunMetadata()) == 1


def test_sparse_tensors_are_fed_and_fetched(tf1: Any) -> None:
    sparse = tf1.sparse_placeholder(tf1.float32, [2, 3])
    dense = tf1.sparse_tensor_to_dense(sparse)
    value = tf1.SparseTensorValue([[0, 1]], [3.0], [2, 3])
    with tf1.Session() as session:
        assert session.run(dense, {sparse: value}).tolist() == [[0.0, 3.0, 0.0], [0.0, 0.0, 0.0]]
        assert session.run(sparse, {sparse: value}).values.tolist() == [3.0]


def test_text_is_bytes(tf1: Any) -> None:
    given = tf1.placeholder(tf1.string, [None])
    with tf1.Session() as session:
        assert session.run(tf1.constant("hi")) == b"hi"
        assert session.run(given, {given: ["a", b"b"]}).tolist() == [b"a", b"b"]
