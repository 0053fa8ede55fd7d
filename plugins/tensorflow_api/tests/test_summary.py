"""``tf.summary`` of both generations, read back from the event files."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from corenn.summary.reader import read_events


def records(folder):
    return [(r.kind, r.tag, r.step) for r in read_events(folder) if r.kind != "version"]


def test_summaries_of_a_graph(tf1, tmp_path):
    x = tf1.placeholder(tf1.float32, [None, 4, 4, 1])
    with tf1.name_scope("part"):
        tf1.summary.scalar("average", tf1.reduce_mean(x))
    tf1.summary.histogram("values", x)
    tf1.summary.image("pixels", x, max_outputs=1)
    alone = tf1.summary.text("note", tf1.constant("hello"), collections=[])
    merged = tf1.summary.merge_all()
    with tf1.Session() as session, tf1.summary.FileWriter(str(tmp_path), session.graph) as writer:
        for step in (3, 5):
            writer.add_summary(session.run(merged, {x: np.ones((2, 4, 4, 1))}), step)
        writer.add_summary(session.run(alone))
        assert writer.get_logdir() == str(tmp_path)
    assert records(tmp_path) == [
        ("graph", "", 0),
        *[(kind, tag, step) for step in (3, 5) for kind, tag in
          (("scalar", "part/average"), ("histogram", "values"), ("image", "pixels/image"))],
        ("text", "note", 0),
    ]  # fmt: skip


def test_nothing_to_merge(tf1):
    assert tf1.summary.merge_all() is None


def test_by_hand(tf1, tmp_path):
    with tf1.summary.FileWriter(str(tmp_path)) as writer:
        writer.add_summary(tf1.Summary(value=[tf1.Summary.Value(tag="a", simple_value=0.5)]), 7)
        made = tf1.Summary()
        made.value.add(tag="b", simple_value=1.5)
        writer.add_summary(made.SerializeToString(), 8)
        with pytest.raises(TypeError, match="add_summary takes a summary"):
            writer.add_summary(0.5, 1)
    (path,) = tmp_path.iterdir()
    events = list(tf1.train.summary_iterator(str(path)))
    assert events[0].file_version == "brain.Event:2"
    found = [(e.step, v.tag, v.simple_value) for e in events for v in e.summary.value]
    assert found == [(7, "a", 0.5), (8, "b", 1.5)]


def test_names_of_before_version_1(tf1, tmp_path):
    x = tf1.placeholder(tf1.float32, [2])
    tf1.scalar_summary("one", tf1.reduce_sum(x))
    tf1.histogram_summary("all", x)
    merged = tf1.merge_all_summaries()
    with tf1.Session() as session:
        writer = tf1.train.SummaryWriter(str(tmp_path), session.graph)
        writer.add_summary(session.run(merged, {x: [1.0, 2.0]}), 1)
        writer.close()
    assert records(tmp_path) == [("graph", "", 0), ("scalar", "one", 1), ("histogram", "all", 1)]


def test_sound(tf1):
    times = np.linspace(0, 1, 800, dtype=np.float32)
    with tf1.Session() as session:
        data = session.run(tf1.summary.audio("tone", np.sin(times)[None, :, None], 800.0, max_outputs=1))
    (value,) = tf1.Summary.FromString(data).value
    assert value.tag == "tone/audio" and value.audio.length_frames == 800
    with wave.open(io.BytesIO(value.audio.encoded_audio_string)) as file:
        samples = np.frombuffer(file.readframes(800), "<i2") / 32767
    np.testing.assert_allclose(samples, np.sin(times), atol=1e-4)


def test_tensors_in_summaries(tf1):
    with tf1.Session() as session:
        data = session.run(tf1.summary.tensor_summary("t", tf1.constant([[1, 2], [3, 4]])))
    (value,) = tf1.Summary.FromString(data).value
    assert tf1.make_ndarray(value.tensor).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("value", [3.5, [1, 2], ["a", "b"], np.ones((2, 0)), [True, False]])
def test_tensor_protos(tf1, value):
    found = tf1.make_ndarray(tf1.make_tensor_proto(value))
    given = [v.encode() for v in value] if isinstance(value, list) and isinstance(value[0], str) else value
    assert np.array_equal(found, np.asarray(given, found.dtype)) and found.shape == np.shape(value)


def test_writing_at_once(tf2, tmp_path):
    writer = tf2.summary.create_file_writer(str(tmp_path))
    with writer.as_default():
        with tf2.name_scope("part"):
            tf2.summary.scalar("loss", tf2.constant(0.5), step=1)
        tf2.summary.histogram("h", [1.0, 2.0], step=2)
        tf2.summary.image("i", np.zeros((1, 2, 2, 3), np.float32), step=3)
        tf2.summary.text("t", "hello", step=tf2.constant(4, tf2.int64))
        with tf2.summary.record_if(False):
            tf2.summary.scalar("never", 1.0, step=5)
        tf2.summary.experimental.set_step(6)
        tf2.summary.scalar("by default", 2.0)
        tf2.summary.experimental.set_step(None)
        with pytest.raises(ValueError, match="No step set"):
            tf2.summary.scalar("loss", 1.0)
    assert tf2.summary.scalar("nowhere", 1.0, step=1) is not None  # without a writer nothing is written
    writer.close()
    assert records(tmp_path) == [
        ("scalar", "part/loss", 1), ("histogram", "h", 2), ("image", "i", 3), ("text", "t", 4),
        ("scalar", "by default", 6),
    ]  # fmt: skip


def test_writing_from_a_function(tf2, tmp_path):
    writer = tf2.summary.create_file_writer(str(tmp_path))

    @tf2.function
    def step(x, number):
        tf2.summary.scalar("x", x, step=number)
        return x * 2.0

    with writer.as_default():
        for i in range(3):
            step(tf2.constant(float(i)), tf2.constant(i, tf2.int64))
    writer.close()
    values = [(r.step, r.value) for r in read_events(tmp_path) if r.kind == "scalar"]
    assert values == [(0, 0.0), (1, 1.0), (2, 2.0)]


def test_a_writer_of_nothing(tf2):
    with tf2.summary.create_noop_writer().as_default():
        assert not bool(np.asarray(tf2.summary.scalar("a", 1.0, step=0)))


def test_summaries_of_a_graph_need_one(tf2):
    from corenn_tensorflow.summary import graph_mode

    with pytest.raises(RuntimeError, match="not compatible with eager execution"):
        graph_mode.scalar("a", 1.0)
