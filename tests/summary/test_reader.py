import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corenn.errors import DataError
from corenn.records.checksum import masked_crc
from corenn.summary import EventWriter, GraphNode, read_events
from corenn.summary.records import read_records

NODES = [
    GraphNode("a", "Placeholder", (), {"dtype": np.float32, "shape": (None, 3), "_output_shapes": [(None, 3)]}, "cpu"),
    GraphNode(
        "b", "Foo", ("a", "^a"), {"n": 3, "f": 0.5, "t": True, "s": "x", "l": [1, -2], "m": [1, "x"], "u": [None]}
    ),
    GraphNode(
        "c", "Foo", (), {"shape": None, "_output_shapes": [None, ()], "types": ["f4"], "raw": b"\xff", "fs": [0.5]}
    ),
]


def record(data: bytes) -> bytes:
    length = len(data).to_bytes(8, "little")
    return length + masked_crc(length).to_bytes(4, "little") + data + masked_crc(data).to_bytes(4, "little")


@pytest.fixture
def run(tmp_path):
    """A writer whose file holds one summary of each kind."""
    with EventWriter(tmp_path) as writer:
        writer.scalar("loss", 0.5, 3)
        writer.scalar("bad", math.nan, 3)
        writer.histogram("w", np.arange(4.0), 4, buckets=2)
        writer.image("img", np.zeros((2, 3, 4, 3), np.uint8), 5)
        writer.text("note", "héllo", 6)
        writer.text("table", [["a", "b"], ["c", "d"]], 6)
        writer.graph(NODES)
        writer.hparams({"lr": 0.1, "name": "x", "flag": False, "none": None})
    return writer


def test_every_kind(run):
    found = list(read_events(run.path))
    assert [(event.kind, event.tag, event.step) for event in found] == [
        ("version", "", 0),
        ("scalar", "loss", 3),
        ("scalar", "bad", 3),
        ("histogram", "w", 4),
        ("image", "img", 5),
        ("text", "note", 6),
        ("text", "table", 6),
        ("graph", "", 0),
        ("hparams", "_hparams_/session_start_info", 0),
        ("hparams_end", "_hparams_/session_end_info", 0),
    ]
    version, loss, bad, histogram, image, note, table, graph, hparams, end = (event.value for event in found)
    assert version == "brain.Event:2" and loss == 0.5 and math.isnan(bad)
    assert np.array_equal(histogram, [[0, 1.5, 2], [1.5, 3, 2]])
    assert len(image) == 2 and all(png.startswith(b"\x89PNG") for png in image)
    assert note == "héllo" and table == [["a", "b"], ["c", "d"]]
    assert hparams == {"lr": 0.1, "name": "x", "flag": False, "none": "None"} and end == "success"
    assert [node.name for node in graph] == ["a", "b", "c"]
    assert sorted(event.wall_time for event in found) == [event.wall_time for event in found]


def test_graph_round_trip(run):
    (graph,) = (event.value for event in read_events(run.path) if event.kind == "graph")
    assert [(n.name, n.op, n.inputs, n.device) for n in graph] == [(n.name, n.op, n.inputs, n.device) for n in NODES]
    assert graph[0].attrs == {"dtype": "float32", "shape": (None, 3), "_output_shapes": [(None, 3)]}
    # A list of different types, and whatever else an attribute cannot hold, is kept as its text.
    mixed = {"m": "[1, 'x']", "u": ["None"]}
    assert graph[1].attrs == {**NODES[1].attrs, **mixed}
    assert graph[2].attrs == {"shape": None, "_output_shapes": [None, ()], "types": ["f4"], "raw": b"\xff", "fs": [0.5]}


def test_directory_reads_all_its_event_files(run):
    run.reopen()
    run.scalar("loss", 0.25, 4)
    run.close()
    (run.logdir / "notes.txt").write_text("not an event file")
    assert [event.value for event in read_events(run.logdir) if event.tag == "loss"] == [0.5, 0.25]


def test_truncated_files_end_quietly(run):
    raw = run.path.read_bytes()
    ends = [offset for offset, _ in read_records(run.path)] + [len(raw)]
    for size in range(len(raw)):
        run.path.write_bytes(raw[:size])
        assert len(list(read_records(run.path))) == sum(end <= size for end in ends[1:])
    run.path.write_bytes(raw[: ends[3] + 5])
    assert [event.kind for event in read_events(run.path)] == ["version", "scalar", "scalar"]


def test_corrupt_bytes_are_an_error_with_file_and_offset(run):
    raw = run.path.read_bytes()
    offsets = [offset for offset, _ in read_records(run.path)]
    for at in range(0, len(raw), 3):
        damaged = bytearray(raw)
        damaged[at] ^= 0x10
        run.path.write_bytes(damaged)
        start = max(offset for offset in offsets if offset <= at)
        with pytest.raises(DataError, match=f"record at byte {start} is corrupt") as caught:
            list(read_records(run.path))
        assert caught.value.where == str(run.path) and caught.value.operands == {"offset": start}


def test_records_before_the_damage_are_delivered(run):
    raw = bytearray(run.path.read_bytes())
    offsets = [offset for offset, _ in read_records(run.path)]
    raw[offsets[2] + 15] ^= 1
    run.path.write_bytes(raw)
    events = read_events(run.path)
    assert next(events).kind == "version" and next(events).value == 0.5
    with pytest.raises(DataError, match=f"at byte {offsets[2]}"):
        next(events)


@pytest.mark.parametrize(
    "message",
    [b"\x00", b"\x0b", b"\x09\x00", b"\x80", b"\xff" * 20, b"\x2a\x05\x0a", b"\x08\x01", b"\x2a\x02\x08\x01"],
    ids=["field 0", "wire 3", "short double", "open key", "long varint", "short field", "varint time", "varint value"],
)
def test_well_framed_nonsense(tmp_path, message):
    path = tmp_path / "x.tfevents"
    path.write_bytes(record(b"") + record(message))
    with pytest.raises(DataError, match="at byte 16 is corrupt: its message cannot be decoded"):
        list(read_events(path))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_well_framed_noise_is_data_or_a_data_error(tmp_path_factory, data):
    directory = tmp_path_factory.getbasetemp() / "noise"
    directory.mkdir(exist_ok=True)
    writer = EventWriter(directory)
    writer.graph(NODES)
    writer.text("t", ["a", "b"], 0)
    writer.hparams({"a": 1.0})
    writer.histogram("h", [1, 2], 0, buckets=2)
    writer.close()
    messages = [message for _, message in read_records(writer.path)]
    message = bytearray(data.draw(st.sampled_from(messages)))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    writer.path.write_bytes(record(bytes(message)))
    try:
        assert all(isinstance(event.kind, str) for event in read_events(writer.path))
    except DataError as error:
        assert error.operands == {"offset": 0}
    writer.path.unlink()


def test_missing(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        list(read_events(tmp_path / "none"))
    with pytest.raises(DataError, match="has no event files"):
        list(read_events(tmp_path))


def test_foreign_file(tmp_path):
    (tmp_path / "x.tfevents").write_text("this is a text file, of some length")
    with pytest.raises(DataError, match="at byte 0 is corrupt"):
        list(read_events(tmp_path))


def test_forms_of_other_writers(tmp_path):
    """The first forms of histogram and image, tensors with elements instead of content, unknown plugins."""
    pb = pytest.importorskip("tensorboard.compat.proto.event_pb2")
    event = pb.Event(wall_time=1.5, step=2)
    old = event.summary.value.add(tag="h").histo
    old.min, old.max, old.num = -1.0, 4.0, 5.0
    old.bucket_limit.extend([-1e12, -0.5, 0.0, 2.0, 1.7e308, 1.75e308])
    old.bucket.extend([0.0, 0.0, 1.0, 0.0, 4.0, 0.0])
    event.summary.value.add(tag="e").histo.bucket_limit.append(1.0)
    event.summary.value.add(tag="i").image.encoded_image_string = b"png"
    scalar = event.summary.value.add(tag="s")
    scalar.metadata.plugin_data.plugin_name = "scalars"
    scalar.tensor.dtype = 1
    scalar.tensor.float_val.append(0.5)
    filled = event.summary.value.add(tag="f")
    filled.tensor.dtype = 9
    filled.tensor.tensor_shape.dim.add(size=3)
    filled.tensor.int64_val.append(-7)
    flags = event.summary.value.add(tag="b")
    flags.tensor.dtype = 10
    flags.tensor.tensor_shape.dim.add(size=2)
    flags.tensor.bool_val.extend([True, False])
    event.summary.value.add(tag="u").tensor.dtype = 20
    path = tmp_path / "x.tfevents"
    path.write_bytes(record(event.SerializeToString()))
    found = list(read_events(path))
    assert {(event.wall_time, event.step) for event in found} == {(1.5, 2)}
    assert [(event.kind, event.tag) for event in found] == [
        ("histogram", "h"),
        ("histogram", "e"),
        ("image", "i"),
        ("scalar", "s"),
        ("tensor", "f"),
        ("tensor", "b"),
        ("tensor", "u"),
    ]
    assert np.array_equal(found[0].value, [[-1, 0, 1], [0, 2, 0], [2, 4, 4]])
    empty, image, scalar_value, sevens, booleans, unknown = (event.value for event in found[1:])
    assert empty.shape == (0, 3) and image == [b"png"] and scalar_value == 0.5
    assert sevens.tolist() == [-7] * 3 and booleans.tolist() == [True, False] and unknown is None
