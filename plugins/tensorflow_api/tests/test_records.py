"""Examples, TFRecord files, parsing, readers and queues."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest


def example(tf, i):
    feature = {
        "x": tf.train.Feature(float_list=tf.train.FloatList(value=[i, 2 * i])),
        "y": tf.train.Feature(int64_list=tf.train.Int64List(value=[i])),
        "name": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"n%d" % i])),
        "some": tf.train.Feature(int64_list=tf.train.Int64List(value=range(i % 3))),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


@pytest.fixture
def records(tf1, tmp_path):
    path = str(tmp_path / "a.tfrecords")
    with tf1.python_io.TFRecordWriter(path) as writer:
        for i in range(10):
            writer.write(example(tf1, i).SerializeToString())
    return path


def test_messages(tf1):
    made = example(tf1, 4)
    again = tf1.train.Example.FromString(made.SerializeToString())
    assert again == made and again.features.feature["y"].int64_list.value == [4]
    assert again.features.feature["y"].WhichOneof("kind") == "int64_list"
    assert "features {" in str(made) and again.ByteSize() == len(made.SerializeToString())
    built = tf1.train.Example()
    built.features.feature["a"].float_list.value.extend([0.5, -1.0])
    built.features.feature["b"].bytes_list.value.append(b"q")
    copy = tf1.train.Example()
    copy.CopyFrom(built)
    assert copy == built and copy is not built


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [("BytesList", ["text"], "expected one of: bytes"), ("Int64List", [0.5], "expected one of: int")],
)
def test_wrong_types(tf1, kind, value, text):
    with pytest.raises(TypeError, match=text):
        getattr(tf1.train, kind)(value=value)


def test_bytes_of_an_example(tf1):
    """Against the wire format, by hand: features{feature{key "a" value{int64_list{value: [1, 300]}}}}."""
    feature = tf1.train.Feature(int64_list=tf1.train.Int64List(value=[1, 300]))
    made = tf1.train.Example(features=tf1.train.Features(feature={"a": feature}))
    values = b"\x01\xac\x02"
    inner = b"\x1a" + bytes([len(values) + 2]) + b"\x0a" + bytes([len(values)]) + values
    entry = b"\x0a\x01a\x12" + bytes([len(inner)]) + inner
    features = b"\x0a" + bytes([len(entry)]) + entry
    assert made.SerializeToString() == b"\x0a" + bytes([len(features)]) + features


@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
def test_files(tf1, tmp_path, compression):
    path = str(tmp_path / "r")
    options = tf1.python_io.TFRecordOptions(compression or None)
    with tf1.python_io.TFRecordWriter(path, options) as writer:
        for data in (b"one", b"", b"three" * 1000):
            writer.write(data)
    assert list(tf1.python_io.tf_record_iterator(path, options)) == [b"one", b"", b"three" * 1000]


def test_damage_is_found(tf1, records):
    data = bytearray(Path(records).read_bytes())
    data[20] ^= 1
    Path(records).write_bytes(bytes(data))
    with pytest.raises(tf1.errors.DataLossError, match="corrupted record at 0"):
        list(tf1.python_io.tf_record_iterator(records))
    with pytest.raises(tf1.errors.NotFoundError):
        list(tf1.python_io.tf_record_iterator(records + "x"))


SPEC = {"x": ([2], "float32"), "y": ([], "int64"), "name": ([], "string")}


def spec(tf):
    return {k: tf.FixedLenFeature(shape, dtype) for k, (shape, dtype) in SPEC.items()}


def test_parse_in_a_graph(tf1):
    data = tf1.placeholder(tf1.string, [])
    found = tf1.parse_single_example(data, {**spec(tf1), "some": tf1.VarLenFeature(tf1.int64)})
    assert found["x"].get_shape().as_list() == [2]
    with tf1.Session() as session:
        values = session.run([found["x"], found["y"], found["name"]], {data: example(tf1, 5).SerializeToString()})
        dense = session.run(found["some"].values, {data: example(tf1, 5).SerializeToString()})
    assert values[0].tolist() == [5.0, 10.0] and values[1] == 5 and values[2] == b"n5" and dense.tolist() == [0, 1]


def test_parse_batches_at_once(tf2):
    batch = [example(tf2, i).SerializeToString() for i in (1, 2)]
    found = tf2.io.parse_example(
        tf2.constant(batch), {**spec(tf2), "z": tf2.io.FixedLenFeature([1], "float32", default_value=7.0)}
    )
    assert found["x"].numpy().tolist() == [[1.0, 2.0], [2.0, 4.0]] and found["z"].numpy().tolist() == [[7.0], [7.0]]
    ragged = tf2.io.parse_example(tf2.constant(batch), {"some": tf2.io.VarLenFeature("int64")})["some"]
    assert ragged.indices.numpy().tolist() == [[0, 0], [1, 0], [1, 1]] and ragged.values.numpy().tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        (("missing", [], "int64"), "required but could not be found"),
        (("x", [], "int64"), "Data types don't match"),
        (("x", [3], "float32"), "do not fit shape"),
    ],
)
def test_parsing_errors(tf2, feature, text):
    name, shape, dtype = feature
    with pytest.raises(tf2.errors.InvalidArgumentError, match=text):
        tf2.io.parse_single_example(
            tf2.constant(example(tf2, 1).SerializeToString()), {name: tf2.io.FixedLenFeature(shape, dtype)}
        )


def test_pipeline_of_queues(tf1, records):
    names = tf1.train.string_input_producer([records], num_epochs=2)
    _, data = tf1.TFRecordReader().read(names)
    found = tf1.parse_single_example(data, spec(tf1))
    x, y = tf1.train.shuffle_batch([found["x"], found["y"]], 4, capacity=30, min_after_dequeue=5, seed=1)
    assert x.get_shape().as_list() == [4, 2]
    seen = []
    with tf1.Session() as session:
        session.run([tf1.global_variables_initializer(), tf1.local_variables_initializer()])
        coord = tf1.train.Coordinator()
        threads = tf1.train.start_queue_runners(sess=session, coord=coord)
        with pytest.raises(tf1.errors.OutOfRangeError, match="insufficient elements"):
            while not coord.should_stop():
                values, labels = session.run([x, y])
                np.testing.assert_array_equal(values[:, 1], 2.0 * labels)
                seen += labels.tolist()
        coord.request_stop()
        coord.join(threads)
    assert len(seen) == 20 and sorted(seen) == sorted([*range(10), *range(10)]) and seen[:10] != list(range(10))


def test_batches_in_order(tf1, tmp_path):
    (tmp_path / "a.csv").write_text("h\n1\n2\n3\n")
    names = tf1.train.string_input_producer([str(tmp_path / "a.csv")], num_epochs=1, shuffle=False)
    key, line = tf1.TextLineReader(skip_header_lines=1).read(names)
    batch = tf1.train.batch({"line": line, "key": key}, 2, allow_smaller_final_batch=True)
    with tf1.Session() as session:
        tf1.train.start_queue_runners(session)
        assert session.run(batch["line"]).tolist() == [b"1", b"2"]
        assert session.run(batch["line"]).tolist() == [b"3"]


def test_slices(tf1):
    a, b = tf1.train.slice_input_producer(
        [np.arange(3), np.array([b"x", b"y", b"z"], object)], num_epochs=1, shuffle=False
    )
    with tf1.Session() as session:
        tf1.train.start_queue_runners(session)
        assert [tuple(session.run([a, b])) for _ in range(3)] == [(0, b"x"), (1, b"y"), (2, b"z")]
        with pytest.raises(tf1.errors.OutOfRangeError):
            session.run([a, b])


def test_runners_that_were_not_started_are_named(tf1):
    value = tf1.train.batch([tf1.constant(1.0)], 2)
    with tf1.Session() as session, pytest.raises(tf1.errors.FailedPreconditionError, match="start_queue_runners"):
        session.run(value)


def test_own_threads_fill_a_queue(tf1):
    queue = tf1.FIFOQueue(3, [tf1.float32], shapes=[[2]])
    given = tf1.placeholder(tf1.float32, [2])
    enqueue, batch = queue.enqueue([given]), queue.dequeue_many(2)
    total = tf1.Variable(0.0)
    add = total.assign_add(tf1.reduce_sum(batch))
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())

        def load():
            for i in range(8):
                session.run(enqueue, {given: [i, 1]})

        thread = threading.Thread(target=load, daemon=True)
        thread.start()
        assert [float(session.run(add)) for _ in range(4)] == [3.0, 10.0, 21.0, 36.0]
        thread.join()
        assert session.run(queue.size()) == 0
        session.run(queue.close())
        with pytest.raises(tf1.errors.OutOfRangeError):
            session.run(batch)


def test_queues_need_a_graph(tf2):
    with pytest.raises(RuntimeError, match=r"please use tf\.data"):
        tf2.compat.v1.FIFOQueue(1, "float32")


def test_csv(tf1):
    lines = tf1.placeholder(tf1.string, [None])
    a, b, c = tf1.decode_csv(lines, [[0.5], [0], [""]])
    with tf1.Session() as session:
        found = session.run([a, b, c], {lines: ["1.5,2,x", ',3,"y, z"']})
        assert [f.tolist() for f in found] == [[1.5, 0.5], [2, 3], [b"x", b"y, z"]]
        with pytest.raises(tf1.errors.InvalidArgumentError, match="Expect 3 fields but have 2 in record 0"):
            session.run(a, {lines: ["1,2"]})


@pytest.mark.parametrize(("value", "dtype"), [([[1.0, 2.0]], "float32"), (["a", "b"], "string"), (7, "int32")])
def test_tensors_as_strings(tf2, value, dtype):
    given = tf2.constant(value)
    found = tf2.io.parse_tensor(tf2.io.serialize_tensor(given), dtype)
    assert found.dtype == given.dtype and found.numpy().tolist() == given.numpy().tolist()
    with pytest.raises(tf2.errors.InvalidArgumentError, match="Type mismatch"):
        tf2.io.parse_tensor(tf2.io.serialize_tensor(given), "float64")


def test_files_as_strings(tf2, tmp_path):
    path = str(tmp_path / "new" / "a.txt")
    tf2.io.write_file(path, "text")
    assert tf2.io.read_file(path).numpy() == b"text"
    assert tf2.io.matching_files(str(tmp_path / "new" / "*")).numpy().tolist() == [path.encode()]
    with pytest.raises(tf2.errors.NotFoundError, match="No such file"):
        tf2.io.read_file(path + "x")
