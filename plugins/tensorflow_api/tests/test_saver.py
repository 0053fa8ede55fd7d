"""Savers, checkpoints, graphs in files, TF2 checkpoints of objects, saved models."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

#: A Python that has TensorFlow itself, where the machine has one.
TENSORFLOW = os.environ.get("CORENN_TENSORFLOW_PYTHON", "")


def model(tf):
    w = tf.get_variable("net/w", initializer=np.arange(6, dtype=np.float32).reshape(2, 3))
    step = tf.train.get_or_create_global_step()
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    loss = tf.reduce_mean(tf.square(tf.matmul(x, w)), name="loss")
    train = tf.train.AdamOptimizer(0.1).minimize(loss, global_step=step)
    return w, step, x, train


def test_save_and_restore(tf1, tmp_path):
    w, step, x, train = model(tf1)
    saver = tf1.train.Saver(max_to_keep=2)
    prefix = str(tmp_path / "model")
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        for _ in range(4):
            session.run(train, {x: np.ones((1, 2))})
            path = saver.save(session, prefix, global_step=step)
        kept = session.run(w)
    assert path == prefix + "-4"
    assert saver.last_checkpoints == [prefix + "-3", prefix + "-4"]
    assert sorted(p.name for p in tmp_path.glob("*.index")) == ["model-3.index", "model-4.index"]
    assert tf1.train.latest_checkpoint(str(tmp_path)) == path
    state = tf1.train.get_checkpoint_state(str(tmp_path))
    assert list(state.all_model_checkpoint_paths) == saver.last_checkpoints
    with tf1.Session() as session:
        saver.restore(session, path)  # without initialising
        np.testing.assert_array_equal(session.run(w), kept)
        assert session.run(step) == 4
    assert dict(tf1.train.list_variables(path))["net/w/Adam"] == [2, 3]


@pytest.mark.parametrize("how", ["version", "suffix"])
def test_safetensors(tf1, tmp_path, how):
    from safetensors.numpy import load_file

    v = tf1.Variable([1.0, 2.0], name="v")
    saver = tf1.train.Saver(write_version="safetensors") if how == "version" else tf1.train.Saver()
    name = "model" if how == "version" else "model.safetensors"
    with tf1.Session() as session:
        session.run(v.initializer)
        path = saver.save(session, str(tmp_path / name))
        session.run(v.assign([0.0, 0.0]))
        saver.restore(session, path)
        assert session.run(v).tolist() == [1.0, 2.0]
        saver.restore(session, str(tmp_path / "model.safetensors"))
    assert load_file(tmp_path / "model.safetensors")["v"].tolist() == [1.0, 2.0]
    assert tf1.train.latest_checkpoint(str(tmp_path)) == path
    assert tf1.train.load_variable(path, "v").tolist() == [1.0, 2.0]


def test_other_names(tf1, tmp_path):
    a, b = tf1.Variable(1.0, name="a"), tf1.Variable(2.0, name="b")
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        path = tf1.train.Saver({"old": a}).save(session, str(tmp_path / "m"), write_meta_graph=False)
        tf1.train.Saver({"old": b}).restore(session, path)
        assert session.run(b) == 1.0
    reader = tf1.train.NewCheckpointReader(path)
    assert reader.get_variable_to_shape_map() == {"old": []} and reader.has_tensor("old")
    assert reader.debug_string() == b"old (DT_FLOAT) []"


def test_graph_from_a_meta_file_trains_on(tf1, tmp_path):
    w, _, x, train = model(tf1)
    tf1.add_to_collection("inputs", x)
    batch = {x: np.ones((4, 2), np.float32)}
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run(train, batch)
        path = tf1.train.Saver().save(session, str(tmp_path / "m"))
        session.run(train, batch)
        expected = session.run(w)
    tf1.reset_default_graph()
    saver = tf1.train.import_meta_graph(path + ".meta")
    graph = tf1.get_default_graph()
    with tf1.Session() as session:
        saver.restore(session, path)
        (found,) = graph.get_collection("inputs")
        session.run(graph.get_operation_by_name("Adam"), {found: np.ones((4, 2), np.float32)})
        np.testing.assert_array_equal(session.run("net/w:0"), expected)
    assert [v.op.name for v in tf1.trainable_variables()] == ["net/w"]
    assert tf1.train.get_global_step() is not None


def test_a_graph_that_cannot_be_written_costs_no_checkpoint(tf1, tmp_path):
    v = tf1.Variable(1.0)
    tf1.py_func(lambda a: a, [v], tf1.float32)
    with tf1.Session() as session:
        session.run(v.initializer)
        path = tf1.train.Saver().save(session, str(tmp_path / "m"))
        tf1.train.Saver().restore(session, path)
    tf1.reset_default_graph()
    with pytest.raises(RuntimeError, match="holds no graph"):
        tf1.train.import_meta_graph(path + ".meta")


def test_tensorflows_own_meta_file_is_named(tf1, tmp_path):
    (tmp_path / "m.meta").write_bytes(b"\n\x10\x12\x0e")
    with pytest.raises(ValueError, match=r"TensorFlow's own \.meta file"):
        tf1.train.import_meta_graph(str(tmp_path / "m.meta"))


def _missing_key(tf, folder):
    v = tf.Variable(1.0, name="v")
    with tf.Session() as session:
        session.run(v.initializer)
        path = tf.train.Saver().save(session, str(folder / "m"), write_meta_graph=False)
        tf.train.Saver({"other": v}).restore(session, path)


def _other_shape(tf, folder):
    v, w = tf.Variable([1.0, 2.0], name="v"), tf.Variable([1.0], name="w")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver([v]).save(session, str(folder / "m"), write_meta_graph=False)
        tf.train.Saver({"v": w}).restore(session, path)


def _no_directory(tf, folder):
    v = tf.Variable(1.0)
    with tf.Session() as session:
        session.run(v.initializer)
        tf.train.Saver().save(session, str(folder / "no" / "below" / "m"))


def _no_checkpoint(tf, folder):
    tf.Variable(1.0)
    with tf.Session() as session:
        tf.train.Saver().restore(session, str(folder / "m"))


def _nothing_to_save(tf, folder):
    tf.train.Saver()


def _restoring_none(tf, folder):
    tf.Variable(1.0)
    with tf.Session() as session:
        tf.train.Saver().restore(session, None)


def _two_of_a_name(tf, folder):
    tf.train.Saver({"a": tf.constant(1.0)})


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (_missing_key, "NotFoundError", "Key other not found in checkpoint"),
        (_other_shape, "InvalidArgumentError", r"lhs shape= \[1\] rhs shape= \[2\]"),
        (_no_directory, ValueError, "Parent directory of .* doesn't exist, can't save"),
        (_no_checkpoint, ValueError, "The passed save_path is not a valid checkpoint"),
        (_nothing_to_save, ValueError, "No variables to save"),
        (_restoring_none, ValueError, "Can't load save_path when it is None"),
        (_two_of_a_name, TypeError, "Variable to save is not a Variable"),
    ],
)
def test_errors(tf1, tmp_path, call, error, text):
    expected = getattr(tf1.errors, error) if isinstance(error, str) else error
    with pytest.raises(expected, match=text):
        call(tf1, tmp_path)


def test_finding_nothing(tf1, tmp_path):
    assert tf1.train.latest_checkpoint(str(tmp_path)) is None
    assert tf1.train.get_checkpoint_state(str(tmp_path)) is None
    assert not tf1.train.checkpoint_exists(str(tmp_path / "m"))
    with pytest.raises(tf1.errors.NotFoundError, match="Failed to find any matching files"):
        tf1.train.NewCheckpointReader(str(tmp_path / "m"))


def test_init_from_checkpoint(tf1, tmp_path):
    with tf1.variable_scope("old"):
        tf1.get_variable("a", initializer=1.0)
        tf1.get_variable("b", initializer=2.0)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        path = tf1.train.Saver().save(session, str(tmp_path / "m"), write_meta_graph=False)
    tf1.reset_default_graph()
    with tf1.variable_scope("new"):
        a, b = tf1.get_variable("a", shape=[]), tf1.get_variable("b", shape=[])
    tf1.train.init_from_checkpoint(path, {"old/": "new/"})
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        assert session.run([a, b]) == [1.0, 2.0]


# ---------------------------------------------------------------- objects


def test_checkpoint_of_objects(tf2, tmp_path):
    a, b, c = tf2.Variable([1.0, 2.0]), tf2.Variable(3), tf2.Variable(4.0)
    checkpoint = tf2.train.Checkpoint(a=a, held={"b": b, "list": [c]})
    manager = tf2.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=2, checkpoint_name="c")
    for value in range(4):
        a.assign([float(value)] * 2)
        manager.save()
    assert [Path(p).name for p in manager.checkpoints] == ["c-3", "c-4"]
    a.assign([9.0, 9.0])
    b.assign(0)
    status = checkpoint.restore(manager.latest_checkpoint)
    status.assert_consumed()
    assert a.numpy().tolist() == [3.0, 3.0] and int(b.numpy()) == 3 and int(checkpoint.save_counter.numpy()) == 4
    other = tf2.train.Checkpoint(a=tf2.Variable([0.0, 0.0]), more=tf2.Variable(1.0))
    with pytest.raises(AssertionError, match="without an object"):
        other.restore(manager.latest_checkpoint).assert_consumed()
    with pytest.raises(AssertionError, match="No checkpoint values"):
        other.restore(manager.latest_checkpoint).assert_existing_objects_matched()
    assert tf2.train.Checkpoint(a=a).restore(None).assert_consumed() is not None


def test_layers_are_restored_when_they_are_built(tf2, tmp_path):
    import corenn

    x = corenn.ones((1, 3))
    first = corenn.layers.Dense(2)
    first(x)
    path = tf2.train.Checkpoint(layer=first).save(str(tmp_path / "c"))
    second = corenn.layers.Dense(2)
    tf2.train.Checkpoint(layer=second).restore(path)
    np.testing.assert_array_equal(second(x).numpy(), first(x).numpy())


@pytest.mark.skipif(not TENSORFLOW, reason="CORENN_TENSORFLOW_PYTHON names no Python with TensorFlow")
def test_tensorflow_reads_both(tf2, tmp_path):
    tf2.train.Checkpoint(v=tf2.Variable([1.0, 2.0])).write(str(tmp_path / "objects"))
    tf2.train.Saver([tf2.Variable([5], name="w")]).save(None, str(tmp_path / "names"))
    code = (
        "import sys, tensorflow as tf; v = tf.Variable([0., 0.]); "
        "tf.train.Checkpoint(v=v).read(sys.argv[1]).assert_consumed(); "
        "print(v.numpy().tolist(), tf.train.load_variable(sys.argv[2], 'w').tolist())"
    )
    command = [TENSORFLOW, "-c", code, str(tmp_path / "objects"), str(tmp_path / "names")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1.0, 2.0] [5]"


# ---------------------------------------------------------------- saved models


def test_saved_model(tf1, tmp_path):
    x = tf1.placeholder(tf1.float32, [None, 2], name="x")
    y = tf1.matmul(x, tf1.Variable([[1.0], [2.0]]), name="y")
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        tf1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x}, {"y": y})
    tf1.reset_default_graph()
    with tf1.Session() as session:
        loaded = tf1.saved_model.loader.load(session, [tf1.saved_model.tag_constants.SERVING], str(tmp_path / "m"))
        signature = loaded.signature_def["serving_default"]
        assert signature.method_name == "tensorflow/serving/predict"
        assert [d.size for d in signature.inputs["x"].tensor_shape.dim] == [-1, 2]
        assert session.run(signature.outputs["y"].name, {signature.inputs["x"].name: [[1.0, 1.0]]}).tolist() == [[3.0]]
        with pytest.raises(RuntimeError, match="could not be found in SavedModel"):
            tf1.saved_model.loader.load(session, ["other"], str(tmp_path / "m"))
    with pytest.raises(AssertionError, match="isn't empty"):
        tf1.saved_model.builder.SavedModelBuilder(str(tmp_path / "m"))
