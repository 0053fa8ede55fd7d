"""What is written is what TensorBoard's own code reads."""

import io
import math

import numpy as np
import pytest

from corenn.summary import EventWriter, GraphNode

pytest.importorskip("tensorboard")

from tensorboard.backend.event_processing import event_accumulator, event_file_loader, plugin_event_multiplexer
from tensorboard.compat.proto import graph_pb2, summary_pb2
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.util import tensor_util


def values(writer: EventWriter) -> list:
    """(step, Summary.Value) of the file, brought by TensorBoard into its current form."""
    writer.flush()
    events = list(event_file_loader.EventFileLoader(str(writer.path)).Load())
    assert events[0].file_version == "brain.Event:2"
    return [(event.step, value) for event in events[1:] for value in event.summary.value]


def array(value: summary_pb2.Summary.Value) -> np.ndarray:
    return tensor_util.make_ndarray(value.tensor)


def plugin(value: summary_pb2.Summary.Value) -> str:
    return value.metadata.plugin_data.plugin_name


@pytest.fixture
def writer(tmp_path):
    with EventWriter(tmp_path) as writer:
        yield writer


@pytest.mark.parametrize(
    "number", [0, 0.0, -1.5, 3, math.inf, -math.inf, math.nan, np.float32(2.5), np.array(7, np.int8), True, 2**70]
)
def test_scalar(writer, number):
    writer.scalar("train/loss", number, 41, description="about *it*")
    writer.scalar("train/loss", number, 2**40)
    (step, first), (later, second) = values(writer)
    assert (step, later) == (41, 2**40)
    assert first.tag == second.tag == "train/loss" and plugin(first) == scalar_metadata.PLUGIN_NAME
    assert first.metadata.summary_description == "about *it*"
    for value in (first, second):
        assert array(value).shape == () and array(value).dtype == np.float32
        assert np.array_equal(array(value), np.float32(number), equal_nan=True)


def test_scalar_beyond_float32(writer):
    for number in (1e300, -1e300, 10**400, -(10**400)):
        writer.scalar("x", number, 0)
    assert [array(value).item() for _, value in values(writer)] == [math.inf, -math.inf] * 2


def test_negative_step(writer):
    writer.scalar("x", 1.0, -3)
    assert values(writer)[0][0] == -3


def test_histogram(writer):
    data = np.random.default_rng(0).normal(size=(20, 50))
    writer.histogram("weights", data, 7, description="d")
    ((step, value),) = values(writer)
    assert step == 7 and plugin(value) == histogram_metadata.PLUGIN_NAME and value.metadata.summary_description == "d"
    table = array(value)
    counts, edges = np.histogram(data, 30)
    assert table.shape == (30, 3) and table.dtype == np.float64
    assert np.allclose(table[:, 0], edges[:-1]) and np.allclose(table[:, 1], edges[1:])
    assert np.array_equal(table[:, 2], counts)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_image(writer, channels):
    pillow = pytest.importorskip("PIL.Image")
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 9, channels), np.uint8)
    writer.image("pictures", images, 1, max_outputs=2)
    writer.image("pictures", images / 255.0, 2, max_outputs=9)
    (_, first), (_, second) = values(writer)
    assert plugin(first) == image_metadata.PLUGIN_NAME
    assert [len(array(value)) for value in (first, second)] == [4, 7]
    for value in (first, second):
        width, height, *pngs = array(value).tolist()
        assert (width, height) == (b"9", b"6")
        for png, image in zip(pngs, images, strict=False):
            assert np.array_equal(np.asarray(pillow.open(io.BytesIO(png))).reshape(image.shape), image)


@pytest.mark.parametrize(
    ("text", "shape"), [("**bold** é", ()), (["a", "b"], (2,)), (np.array([["a", "b", "c"]]), (1, 3)), ("", ())]
)
def test_text(writer, text, shape):
    writer.text("notes", text, 3)
    ((step, value),) = values(writer)
    assert step == 3 and plugin(value) == text_metadata.PLUGIN_NAME and array(value).shape == shape
    decoded = np.vectorize(lambda item: item.decode(), otypes=[object])(array(value).astype(object))
    assert np.array_equal(decoded, np.array(text, object))


NODES = [
    GraphNode(
        "layer/W", "Const", attrs={"dtype": np.float32, "value": np.zeros((1000, 1000)), "_output_shapes": [(4, 2)]}
    ),
    GraphNode("x", "Placeholder", attrs={"dtype": np.dtype("f4"), "shape": (None, 4), "_output_shapes": [(None, 4)]}),
    GraphNode(
        "layer/mul", "MatMul", ["x", "layer/W"], {"transpose_a": False, "_output_shapes": [(None, 2), None]}, "cpu:0"
    ),
    GraphNode(
        "out", "Split", ["layer/mul:1", "^x"], {"axis": -1, "strides": [1, 2], "name": "s", "rate": 0.5, "b": b"\xff"}
    ),
]


def test_graph(writer):
    writer.graph(NODES)
    writer.flush()
    events = list(event_file_loader.EventFileLoader(str(writer.path)).Load())
    graph = graph_pb2.GraphDef.FromString(events[1].graph_def)
    assert [(n.name, n.op, list(n.input), n.device) for n in graph.node] == [
        (node.name, node.op, list(node.inputs), node.device) for node in NODES
    ]
    weights, x, product, out = (node.attr for node in graph.node)
    assert weights["dtype"].type == x["dtype"].type == 1
    assert weights["value"].s == b"float64[1000, 1000]" and graph.ByteSize() < 1000
    assert [dim.size for dim in weights["_output_shapes"].list.shape[0].dim] == [4, 2]
    assert [dim.size for dim in x["shape"].shape.dim] == [-1, 4]
    assert [shape.unknown_rank for shape in product["_output_shapes"].list.shape] == [False, True]
    assert product["transpose_a"].WhichOneof("value") == "b" and product["transpose_a"].b is False
    assert out["axis"].i == -1 and list(out["strides"].list.i) == [1, 2] and out["name"].s == b"s"
    assert out["rate"].f == 0.5 and out["b"].s == b"\xff"


def hparams_of(writer: EventWriter) -> tuple:
    found = {value.tag: value for _, value in values(writer)}
    assert all(array(value).shape == (0,) for value in found.values())
    content = {tag: value.metadata.plugin_data.content for tag, value in found.items()}
    start = hparams_metadata.parse_session_start_info_plugin_data(content[hparams_metadata.SESSION_START_INFO_TAG])
    end = content.get(hparams_metadata.SESSION_END_INFO_TAG)
    return start, end and hparams_metadata.parse_session_end_info_plugin_data(end)


def test_hparams(writer):
    writer.hparams(
        {"lr": 0.1, "layers": np.int64(3), "bn": True, "act": "relu", "clip": None, "bad": math.nan, "big": 10**400},
        group="g",
    )
    start, end = hparams_of(writer)
    assert end is None and start.group_name == "g" and start.start_time_secs > 1.7e9
    read = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    assert read == {
        "lr": 0.1, "layers": 3.0, "bn": True, "act": "relu", "clip": "None", "bad": "nan", "big": str(10**400),
    }  # fmt: skip
    writer.close()
    _, end = hparams_of(writer)
    assert end.status == api_pb2.STATUS_SUCCESS and end.end_time_secs >= start.start_time_secs


def test_hparams_of_a_run_that_fails(tmp_path):
    with pytest.raises(KeyError), EventWriter(tmp_path) as writer:
        writer.hparams({"lr": 1})
        raise KeyError
    assert hparams_of(writer)[1].status == api_pb2.STATUS_FAILURE


def test_the_whole_run_directory(tmp_path):
    """Through the reader behind TensorBoard's pages: runs, tags by plugin, the graph, and a second file."""
    with EventWriter(tmp_path / "run", filename_suffix=".v2") as writer:
        writer.graph(NODES)
        for step in range(5):
            writer.scalar("loss", 1 / (1 + step), step)
            writer.histogram("w", np.arange(10) * step, step)
        writer.text("notes", "hello", 0)
        writer.image("img", np.zeros((1, 2, 2, 1)), 0)
        writer.hparams({"lr": 0.1})
        writer.close()
        writer.reopen()
        writer.scalar("loss", 0.0, 5)
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    assert list(multiplexer.Runs()) == ["run"]
    assert [event.step for event in multiplexer.Tensors("run", "loss")] == list(range(6))
    assert len(graph_pb2.GraphDef.FromString(multiplexer.SerializedGraph("run")).node) == len(NODES)
    for name, tags in [("scalars", {"loss"}), ("histograms", {"w"}), ("images", {"img"}), ("text", {"notes"})]:
        assert multiplexer.PluginRunToTagToContent(name)["run"].keys() == tags
    assert len(multiplexer.PluginRunToTagToContent("hparams")["run"]) == 2


def test_scripts_that_read_scalars_with_the_event_accumulator(writer):
    for step in range(3):
        writer.scalar("loss", step / 2, step)
    writer.flush()
    accumulator = event_accumulator.EventAccumulator(str(writer.logdir)).Reload()
    assert [(event.step, event.value) for event in accumulator.Scalars("loss")] == [(0, 0.0), (1, 0.5), (2, 1.0)]
