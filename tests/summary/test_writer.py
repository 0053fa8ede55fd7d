import errno
import gc
import math
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import corenn
from corenn import summary
from corenn.errors import AttributeValueError, CorennError, DTypeError, GraphError, ShapeError, UsageError
from corenn.summary import EventWriter, GraphNode, SummaryWarning, records
from corenn.summary._values import histogram_table


def steps(place) -> list[int]:
    return [event.step for event in summary.read_events(place) if event.kind != "version"]


class Tensor:
    """Anything with ``__array__``."""

    def __init__(self, value):
        self.value = np.asarray(value)

    def __array__(self, dtype=None, copy=None):
        return self.value


# --- the file --------------------------------------------------------------------------------------------------------


def test_name_and_first_record(tmp_path):
    writer = EventWriter(tmp_path / "a" / "b", filename_suffix=".test")
    assert re.fullmatch(rf"events\.out\.tfevents\.\d{{10}}\..+\.{os.getpid()}\.\d+\.test", writer.path.name)
    assert writer.path.parent == writer.logdir == tmp_path / "a" / "b"
    assert [event.kind for event in summary.read_events(writer.path)] == ["version"]  # without a flush
    writer.close()


def test_two_writers_of_one_run_use_two_files(tmp_path):
    with EventWriter(tmp_path) as one, EventWriter(tmp_path) as two:
        one.scalar("x", 1.0, 1)
        two.scalar("x", 2.0, 2)
    assert one.path != two.path and sorted(steps(tmp_path)) == [1, 2]


def test_taken_name_gives_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_numbers", iter([5, 5, 6]))
    monkeypatch.setattr(records.time, "time", lambda: 1e9)
    with EventWriter(tmp_path) as one, EventWriter(tmp_path) as two:
        assert [writer.path.name.split(".")[-1] for writer in (one, two)] == ["5", "6"]


@pytest.mark.parametrize(("queue", "on_disk"), [(0, 5), (1, 4), (2, 3), (4, 5), (10, 0)])
def test_queue(tmp_path, queue, on_disk):
    with EventWriter(tmp_path, max_queue=queue) as writer:
        for step in range(5):
            writer.scalar("x", 0.0, step)
        assert len(steps(tmp_path)) == on_disk
        writer.flush()
        assert steps(tmp_path) == list(range(5))


def test_flushes_by_itself_in_time(tmp_path, monkeypatch):
    flushed = threading.Event()
    with EventWriter(tmp_path, flush_secs=0.01, max_queue=1000) as writer:
        flush = writer._file.flush

        def look():
            flush()
            if steps(tmp_path) == [3]:
                flushed.set()

        monkeypatch.setattr(writer._file, "flush", look)
        writer.scalar("x", 0.0, 3)
        assert flushed.wait(600)


def test_close_and_reopen(tmp_path):
    writer = EventWriter(tmp_path)
    first = writer.path
    writer.scalar("x", 0.0, 1)
    writer.reopen()  # harmless while open
    assert writer.path == first and "closed" not in repr(writer)
    writer.close()
    writer.close()
    assert writer.closed and steps(tmp_path) == [1] and repr(writer).endswith(", closed)")
    for write in (lambda: writer.scalar("x", 0.0, 2), lambda: writer.graph([]), lambda: writer.add_event(b"")):
        with pytest.raises(UsageError, match="reopen"):
            write()
    writer.flush()
    writer.reopen()
    writer.scalar("x", 0.0, 3)
    writer.close()
    assert writer.path != first and sorted(steps(tmp_path)) == [1, 3]


def test_a_dropped_writer_is_flushed(tmp_path):
    EventWriter(tmp_path).scalar("x", 0.0, 9)
    gc.collect()
    assert steps(tmp_path) == [9]


def in_a_process(code: str, directory: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(Path(corenn.__file__).parent.parent)}
    head = "import os, signal, sys\nfrom corenn.summary import EventWriter\n"
    return subprocess.run([sys.executable, "-c", head + code, str(directory)], env=environment, check=False)


def test_an_open_writer_is_flushed_when_the_program_ends(tmp_path):
    assert in_a_process("w = EventWriter(sys.argv[1]); w.scalar('x', 0.0, 8)", tmp_path).returncode == 0
    assert steps(tmp_path) == [8]


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_flushed_records_survive_sigkill(tmp_path):
    code = """
w = EventWriter(sys.argv[1])
w.scalar('x', 0.0, 1)
w.flush()
w.scalar('x', 0.0, 2)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert in_a_process(code, tmp_path).returncode == -9
    assert steps(tmp_path) == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_leaves_the_file_alone(tmp_path):
    code = """
from corenn.errors import UsageError
w = EventWriter(sys.argv[1])
w.scalar('x', 0.0, 1)
if os.fork() == 0:
    w.flush()
    try:
        w.scalar('x', 0.0, 2)
    except UsageError as error:
        assert 'parent process' in str(error)
        sys.exit(0)  # runs the exit handlers, which must not write the parent's pending record again
    os._exit(1)
assert os.wait()[1] == 0
w.scalar('x', 0.0, 3)
"""
    assert in_a_process(code, tmp_path).returncode == 0
    assert steps(tmp_path) == [1, 3]


def test_threads(tmp_path):
    with EventWriter(tmp_path, max_queue=3, flush_secs=0.001) as writer:

        def work(number):
            for step in range(200):
                writer.scalar(f"t{number}", step, step)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = list(summary.read_events(tmp_path))
    for number in range(4):
        assert [event.step for event in events if event.tag == f"t{number}"] == list(range(200))


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    writer = EventWriter(tmp_path, max_queue=100)
    write, room = os.write, [7, 0]

    def short_write(descriptor, data):
        if not room:
            return write(descriptor, data)
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, bytes(data[: room.pop(0)]))

    monkeypatch.setattr(records.os, "write", short_write)
    for step in range(3):
        writer.scalar("x", 0.0, step)
    with pytest.raises(OSError, match="No space left") as caught:
        writer.flush()
    assert caught.value.filename == str(writer.path) and steps(tmp_path) == []
    with pytest.raises(OSError, match="No space left"):
        writer.close()
    assert not writer.closed
    room.clear()
    writer.close()
    assert steps(tmp_path) == [0, 1, 2]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"flush_secs": 0}, "flush_secs"),
        ({"flush_secs": math.nan}, "flush_secs"),
        ({"max_queue": -1}, "max_queue"),
        ({"max_queue": 1.5}, "max_queue"),
        ({"filename_suffix": "/x"}, "filename_suffix"),
    ],
)
def test_settings_are_checked(tmp_path, settings, words):
    with pytest.raises(AttributeValueError, match=words):
        EventWriter(tmp_path, **settings)


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.fixture
def writer(tmp_path):
    with EventWriter(tmp_path) as writer:
        yield writer


ZEROS = np.zeros


@pytest.mark.parametrize(
    ("method", "value", "error", "words"),
    [
        ("scalar", ZEROS(3), ShapeError, r"float64\[3\][\s\S]*mean"),
        ("scalar", [1.0], ShapeError, "rank 0"),
        ("scalar", "0.5", DTypeError, "real numbers"),
        ("scalar", None, DTypeError, "real numbers"),
        ("scalar", 1j, DTypeError, "abs"),
        ("scalar", [[1], [1, 2]], ShapeError, "does not convert"),
        ("histogram", ["a"], DTypeError, "real numbers"),
        ("histogram", ZEROS(2, "f4,i4"), DTypeError, "real numbers"),
        ("image", ZEROS((4, 4)), ShapeError, r"x\[None, :, :, None\]"),
        ("image", ZEROS((4, 4, 3)), ShapeError, r"x\[None\]"),
        ("image", ZEROS((2, 3, 8, 8)), ShapeError, "channels last: x.transpose"),
        ("image", ZEROS((2, 8, 8, 2)), ShapeError, "1 .gray., 3 .RGB. or 4"),
        ("image", ZEROS((2, 0, 8, 3)), ShapeError, "without pixels"),
        ("image", ZEROS((1, 2, 2, 1), np.int64), DTypeError, "astype"),
        ("image", ZEROS((1, 2, 2, 1), np.complex64), DTypeError, "real numbers"),
        ("text", 3, DTypeError, r"str\(\)"),
        ("text", ["a", 3], DTypeError, r"str\(\)"),
        ("text", np.full((1, 1, 1), "a"), ShapeError, "two axes"),
    ],
)
def test_unsuitable_values(writer, method, value, error, words):
    with pytest.raises(error, match=words) as caught:
        getattr(writer, method)("the/tag", value, 0)
    assert "the/tag" in str(caught.value) and isinstance(caught.value, CorennError)
    assert caught.value.site is not None and caught.value.site.startswith("test_writer.py:")


@pytest.mark.parametrize("method", ["scalar", "histogram", "image", "text"])
@pytest.mark.parametrize("tag", ["", None, 3, b"x"])
def test_tags_are_checked(writer, method, tag):
    with pytest.raises(AttributeValueError, match="non-empty string"):
        getattr(writer, method)(tag, "x", 0)


@pytest.mark.parametrize("step", [1.0, "1", True, [1], 2**63, -(2**63) - 1])
def test_steps_are_checked(writer, step):
    with pytest.raises(AttributeValueError, match="one integer"):
        writer.scalar("x", 0.0, step)


@pytest.mark.parametrize(("name", "value"), [("buckets", 0), ("buckets", 2.5)])
def test_buckets_are_checked(writer, name, value):
    with pytest.raises(AttributeValueError, match=name):
        writer.histogram("x", [1.0], 0, **{name: value})


@pytest.mark.parametrize("value", [0, -1, 2.0])
def test_max_outputs_is_checked(writer, value):
    with pytest.raises(AttributeValueError, match="max_outputs"):
        writer.image("x", ZEROS((1, 2, 2, 1)), 0, max_outputs=value)


def test_anything_with_array_is_taken(writer):
    writer.scalar("s", Tensor(np.float32(0.5)), Tensor(np.int64(4)))
    writer.histogram("h", Tensor([1.0, 2.0]), 4, buckets=2)
    writer.image("i", Tensor(ZEROS((1, 2, 3, 1))), 4)
    writer.scalar("b", np.array(1.5, ml_dtypes.bfloat16), 4)
    writer.image("j", ZEROS((1, 2, 3, 1), ml_dtypes.bfloat16), 4)
    writer.hparams({"lr": Tensor(0.5)})
    writer.flush()
    found = {event.tag: event for event in summary.read_events(writer.path)}
    assert found["s"].value == 0.5 and found["s"].step == 4 and found["b"].value == 1.5
    assert found["h"].value.tolist() == [[1, 1.5, 1], [1.5, 2, 1]]
    assert found["_hparams_/session_start_info"].value == {"lr": 0.5}


def test_lone_surrogates_in_text_do_not_stop_a_run(writer):
    writer.text("t\ud800", "a\ud800b", 0)
    writer.flush()
    assert [(e.tag, e.value) for e in summary.read_events(writer.path)][1:] == [("t?", "a?b")]


def test_encoded_messages(writer, tmp_path):
    message = b"\x0a\x08\x0a\x01x\x15\x00\x00\x00\x3f"  # Summary with the value x = 0.5
    writer.add_summary(message, 3)
    writer.flush()
    (_, event) = summary.read_events(writer.path)
    assert (event.kind, event.tag, event.step, event.value) == ("scalar", "x", 3, 0.5)
    (*_, (_, raw)) = records.read_records(writer.path)
    writer.add_event(raw)
    writer.flush()
    assert steps(writer.path) == [3, 3]


# --- histograms ------------------------------------------------------------------------------------------------------


@given(
    values=hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(allow_nan=False, allow_infinity=False)),
    buckets=st.integers(1, 9),
)
def test_histogram_properties(values, buckets):
    table = histogram_table("", "x", values, buckets)
    left, right, count = table.T
    assert table.shape == (buckets, 3) and count.sum() == values.size and np.isfinite(table).all()
    assert left[0] == values.min() and right[-1] == values.max()
    assert (left <= right).all() and np.array_equal(left[1:], right[:-1])


@given(
    values=hnp.arrays(np.float32, st.integers(2, 40), elements=st.integers(-8, 8)), buckets=st.sampled_from([2, 4, 8])
)
def test_histogram_counts_as_numpy_does(values, buckets):
    table = histogram_table("", "x", np.append(values, [-8, 8]), buckets)
    counts, edges = np.histogram(np.append(values, [-8, 8]), buckets)
    assert np.array_equal(table[:, 2], counts) and np.array_equal(table[:, 0], edges[:-1])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], [[0, 0, 0]] * 3),
        ([5.0, 5.0], [[5, 5, 0], [5, 5, 0], [5, 5, 2]]),
        ([True, False, True], [[0, 1 / 3, 1], [1 / 3, 2 / 3, 0], [2 / 3, 1, 2]]),
        (np.arange(4, dtype=np.uint8), [[0, 1, 1], [1, 2, 1], [2, 3, 2]]),
    ],
)
def test_histogram_edge_cases(values, expected):
    assert np.allclose(histogram_table("", "x", values, 3), expected)


def test_values_that_are_not_finite_are_left_out_and_told(writer):
    with pytest.warns(SummaryWarning, match=r"3 of 5 values of 'w' are not finite") as caught:
        writer.histogram("w", [np.nan, 1.0, np.inf, 2.0, -np.inf], 0, buckets=2)
    assert caught[0].filename == __file__
    with pytest.warns(SummaryWarning):
        writer.histogram("none", [np.nan], 0, buckets=1)
    writer.flush()
    first, second = (event.value for event in summary.read_events(writer.path) if event.kind == "histogram")
    assert first[:, 2].tolist() == [1, 1] and second.tolist() == [[0, 0, 0]]


# --- graph and hparams -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([GraphNode("a", "X"), GraphNode("a", "Y")], "two nodes are named 'a'"),
        ([GraphNode("alpha", "X"), GraphNode("b", "Y", ["^alpa"])], r"reads '\^alpa'[\s\S]*did you mean 'alpha'"),
        ([GraphNode("a", "X", ["b:1"])], "reads 'b:1'"),
    ],
)
def test_graphs_are_checked(writer, nodes, words):
    with pytest.raises(GraphError, match=words):
        writer.graph(nodes)


def test_long_attributes_are_shortened(writer):
    attrs = {"s": "é" * 3000, "b": b"x" * 3000, "l": list(range(3000)), "array": Tensor, "empty": []}
    writer.graph([GraphNode("a", "X", (), attrs)])
    writer.flush()
    read = list(summary.read_events(writer.path))[-1].value[0].attrs
    assert read["s"].endswith("é...") and len(read["b"]) == 1000 and read["l"].startswith("[0, 1, 2")
    assert all(
        len(value if isinstance(value, bytes) else value.encode()) <= 1000 for k, value in read.items() if k != "empty"
    )
    assert read["empty"] == []


def test_hparams_are_checked(writer):
    with pytest.raises(AttributeValueError, match=r"'layers' must be[\s\S]*use str\(layers\)"):
        writer.hparams({"layers": [1, 2]})
    with pytest.raises(AttributeValueError, match="'w' must be"):
        writer.hparams({"w": ZEROS(2)})
    writer.hparams({"lr": 0.1})
    with pytest.raises(UsageError, match="already written"):
        writer.hparams({"lr": 0.1})
    with pytest.raises(AttributeValueError, match="status must be one of"):
        writer.hparams_end("ok")
    writer.hparams_end("failure")
    writer.close()
    assert [e.value for e in summary.read_events(writer.path) if e.kind == "hparams_end"] == ["failure"]


# --- the current writer ----------------------------------------------------------------------------------------------


def write_all(step=None) -> list[bool]:
    return [
        summary.scalar("s", 0.5, step),
        summary.histogram("h", [1.0], step),
        summary.image("i", ZEROS((1, 2, 2, 1)), step),
        summary.text("t", "x", step),
        summary.graph([]),
        summary.hparams({"lr": 1}),
        summary.flush(),
    ]


def test_without_a_writer_nothing_happens():
    assert summary.current_writer() is None and write_all() == [False] * 7


def test_with_a_writer(tmp_path):
    writer = summary.create_file_writer(tmp_path, flush_secs=5, max_queue=100, filename_suffix=".s")
    with writer.as_default() as current:
        assert current is writer is summary.current_writer() and writer.path.name.endswith(".s")
        assert write_all(3) == [True] * 7
    assert summary.current_writer() is None
    kinds = ["version", "scalar", "histogram", "image", "text", "graph", "hparams"]
    assert [event.kind for event in summary.read_events(tmp_path)] == kinds
    writer.close()


def test_steps(tmp_path):
    with EventWriter(tmp_path) as writer:
        with pytest.raises(UsageError, match="no default step"), writer.as_default():
            summary.scalar("x", 0.0)
        with writer.as_default(step=1):
            summary.scalar("x", 0.0)
            summary.set_step(2)
            summary.scalar("x", 0.0)
            writer.scalar("x", 0.0)
            with writer.as_default():
                summary.scalar("x", 0.0)
            with writer.as_default(7):
                summary.scalar("x", 0.0)
            summary.scalar("x", 0.0, 3)
            summary.scalar("x", 0.0)
            assert summary.get_step() == 2
        assert summary.get_step() is None
    assert steps(tmp_path) == [1, 2, 2, 2, 7, 3, 2]


def test_a_variable_step_is_read_at_each_write(tmp_path):
    step = np.array(4)
    with EventWriter(tmp_path) as writer, writer.as_default(step=step):
        summary.scalar("x", 0.0)
        step += 1
        summary.scalar("x", 0.0)
    assert steps(tmp_path) == [4, 5]


def test_nested_writers(tmp_path):
    with EventWriter(tmp_path / "a") as one, EventWriter(tmp_path / "b") as two:
        with one.as_default(1):
            with two.as_default():
                summary.scalar("x", 0.0)
            summary.scalar("x", 0.0, 2)
        with pytest.raises(KeyError), one.as_default():
            raise KeyError
        assert summary.current_writer() is None
    assert steps(tmp_path / "a") == [2] and steps(tmp_path / "b") == [1]


def test_the_current_writer_belongs_to_its_thread(tmp_path):
    seen = []
    with EventWriter(tmp_path) as writer, writer.as_default(1):
        thread = threading.Thread(target=lambda: seen.append(summary.scalar("x", 0.0)))
        thread.start()
        thread.join()
    assert seen == [False]
