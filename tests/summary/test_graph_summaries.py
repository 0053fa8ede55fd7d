"""Summaries as operations of a graph, and graphs in event files, read back by our reader and by TensorBoard's."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn import summary
from corenn.errors import AttributeValueError, CorennError, DTypeError, GraphError, ShapeError, UsageError
from corenn.summary import EventWriter, FileWriter, SummaryWarning, graph_ops, read_events
from corenn.summary._graph_nodes import nodes_of


@pytest.fixture
def graph():
    made = G.Graph()
    with made.as_default():
        yield made


@pytest.fixture
def records(graph, tmp_path):
    """A function that runs a summary, writes it, and reads the file: (step, kind, tag, value) of each value."""

    def run(tensor, feeds=None, step=3):
        with G.Session(graph) as session, EventWriter(tmp_path) as writer:
            writer.add_summary(session.run(tensor, feeds), step)
        return [(r.step, r.kind, r.tag, r.value) for r in read_events(writer.path) if r.kind != "version"]

    return run


# ---------------------------------------------------------------- names and tags

#: Scopes around, name, family; what operation and tag are called the first and the second time (TensorFlow 1.15's
#: ``summary_op_util.summary_scope``).
NAMES = [
    ((), "loss", None, ("loss", "loss"), ("loss_1", "loss_1")),
    (("train",), "loss", None, ("train/loss", "train/loss"), ("train/loss_1", "train/loss_1")),
    ((), "a b:c%ü", None, ("a_b_c__", "a_b_c__"), ("a_b_c___1", "a_b_c___1")),
    ((), "/x/y", None, ("x/y", "x/y"), ("x/y_1", "x/y_1")),
    ((), "loss", "fam", ("fam/loss", "fam/fam/loss"), ("fam/loss_1", "fam/fam/loss_1")),
    (("a", "b"), "l", "f g", ("a/b/f_g/l", "f_g/a/b/f_g/l"), ("a/b/f_g/l_1", "f_g/a/b/f_g/l_1")),
]


@pytest.mark.parametrize(("scopes", "name", "family", "first", "second"), NAMES)
def test_names_and_tags(graph, records, scopes, name, family, first, second):
    made = []
    for _ in range(2):
        prefix = "/".join(scopes) + "/" if scopes else None
        with graph.name_scope(prefix):
            made.append(graph_ops.scalar(name, G.constant(1.0), family=family))
    assert [m.operation.name for m in made] == [first[0], second[0]]
    assert [tag for _, _, tag, _ in records(graph_ops.merge_all())] == [first[1], second[1]]


def test_names_that_are_none(graph):
    for name in ("", "/", None, 3):
        with pytest.raises(AttributeValueError, match="the name must be a string"):
            graph_ops.scalar(name, G.constant(1.0))
    with pytest.raises(GraphError, match="not a valid scope name"):
        graph_ops.scalar("_hidden", G.constant(1.0))


# ---------------------------------------------------------------- each kind


def test_scalar(graph, records):
    x = G.placeholder("float32", [None])
    for value in (corenn.mean(x), 2, G.constant(True), np.float64(0.5), G.variable(1.0).initial_value):
        graph_ops.scalar("x", value)
    found = records(graph_ops.merge_all(), {x: [1, 4]})
    assert found == [(3, "scalar", f"x{'_' * (i > 0)}{i or ''}", v) for i, v in enumerate([2.5, 2.0, 1.0, 0.5, 1.0])]


def test_a_summary_is_bytes_and_its_operation_a_summary(graph):
    made = graph_ops.scalar("x", 1.0, description="about")
    assert made.operation.type == "ScalarSummary" and made.dtype.name == "string" and made.extents == ()
    with G.Session(graph) as session:
        assert isinstance(session.run(made), bytes)


def test_histogram(graph, records):
    data = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    ((_, kind, tag, table),) = records(graph_ops.histogram("h", data, buckets=12))
    counts, edges = np.histogram(data.astype(np.float64), 12)
    assert (kind, tag) == ("histogram", "h") and np.array_equal(table[:, 2], counts)
    np.testing.assert_allclose(table[:, 0], edges[:-1], rtol=1e-6)


def test_values_that_are_not_finite(graph, records):
    x = G.placeholder("float32", [None])
    graph_ops.scalar("s", corenn.sum(x))
    graph_ops.histogram("h", x)
    with pytest.warns(SummaryWarning, match="not finite"):
        (_, _, _, number), (_, _, _, table) = records(graph_ops.merge_all(), {x: [np.nan, 1.0]})
    assert np.isnan(number) and table[:, 2].sum() == 1


@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_image(graph, records, channels, most):
    pillow = pytest.importorskip("PIL.Image")
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 9, channels), np.uint8)
    found = records(graph_ops.image("pictures", images, max_outputs=most))
    tags = ["pictures/image"] if most == 1 else [f"pictures/image/{i}" for i in range(most)]
    assert [tag for _, _, tag, _ in found] == tags
    for (_, _, _, (png,)), image in zip(found, images, strict=False):
        assert np.array_equal(np.asarray(pillow.open(io.BytesIO(png))).reshape(image.shape), image)


#: Floats of one image, and the bytes drawn: all at least 0, so that the largest is 255; with a negative one, 0 is 128
#: and the farthest from it 127 away; nothing to see; red for what is not finite.
PIXELS = [
    ([0.0, 1.0, 2.0, 4.0], [0, 63, 127, 255]),
    ([-1.0, 0.0, 0.5, 1.0], [1, 128, 191, 255]),
    ([-4.0, 0.0, 0.0, 2.0], [1, 128, 128, 191]),
    ([0.0, 0.0, 1e-9, 0.0], [0, 0, 0, 0]),
    ([0.0, np.nan, np.inf, 1.0], [0, 255, 255, 255]),
    ([0.1, 0.3, 0.7, 1e30], [0, 0, 0, 255]),
]


@pytest.mark.parametrize(("floats", "drawn"), PIXELS)
def test_images_of_floats_are_scaled(floats, drawn):
    image = np.array(floats, np.float32).reshape(2, 2, 1)
    assert graph_ops.scaled_pixels(image).reshape(-1).tolist() == drawn
    red = graph_ops.scaled_pixels(np.repeat(image, 3, axis=2))[~np.isfinite(image[..., 0])]
    assert (red == [255, 0, 0]).all()


def test_each_image_is_scaled_by_itself(graph, records):
    pillow = pytest.importorskip("PIL.Image")
    x = G.placeholder("float32", [None, 1, 1, 1])
    found = records(graph_ops.image("im", x), {x: np.float32([1, 100]).reshape(2, 1, 1, 1)})
    assert [np.asarray(pillow.open(io.BytesIO(v[0]))).item() for *_, v in found] == [255, 255]


def test_text(graph, records):
    graph_ops.text("one", G.constant("**ü**"))
    graph_ops.text("table", G.constant([["a", "b"]]))
    assert [v for *_, v in records(graph_ops.merge_all())] == ["**ü**", [["a", "b"]]]


REFUSED = {
    "a vector as scalar": (lambda: graph_ops.scalar("x", G.constant([1.0, 2.0])), ShapeError, "single number"),
    "text as scalar": (lambda: graph_ops.scalar("x", G.constant("a")), DTypeError, "real numbers"),
    "complex": (lambda: graph_ops.histogram("x", G.constant(1j)), DTypeError, "real numbers"),
    "no buckets": (lambda: graph_ops.histogram("x", 1.0, buckets=0), AttributeValueError, "buckets"),
    "rank of images": (lambda: graph_ops.image("x", np.zeros((2, 3, 3), np.uint8)), ShapeError, "x\\[None\\]"),
    "channels": (lambda: graph_ops.image("x", np.zeros((2, 3, 3, 2), np.uint8)), ShapeError, "1, 3 or 4"),
    "images of integers": (
        lambda: graph_ops.image("x", np.zeros((1, 3, 3, 1), np.int32)),
        DTypeError,
        "uint8 or floating",
    ),
    "no images": (
        lambda: graph_ops.image("x", np.zeros((1, 3, 3, 1)), max_outputs=0),
        AttributeValueError,
        "max_outputs",
    ),
    "numbers as text": (lambda: graph_ops.text("x", G.constant(1.0)), DTypeError, "strings"),
    "merging values": (lambda: graph_ops.merge([G.constant(1.0)]), DTypeError, "takes summaries"),
    "merging nothing": (lambda: graph_ops.merge([]), AttributeValueError, "at least one"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_while_the_graph_is_built(graph, case):
    build, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        build()


def test_a_shape_known_late(graph):
    x = G.placeholder("float32")
    made = graph_ops.scalar("x", x)
    with G.Session(graph) as session:
        assert session.run(made, {x: 2.0})
        with pytest.raises(ShapeError, match="single number"):
            session.run(made, {x: [2.0, 3.0]})


# ---------------------------------------------------------------- merging


def test_merge_all(graph, records):
    assert graph_ops.merge_all() is None
    a, b = graph_ops.scalar("a", 1.0), graph_ops.scalar("b", 2.0, collections=["mine"])
    with graph.name_scope("deep"):
        c = graph_ops.scalar("c", 3.0)
    assert graph.get_collection("summaries") == [a, c] and graph.get_collection("mine") == [b]
    merged = graph_ops.merge_all()
    assert merged.name == "Merge/MergeSummary:0" and graph.get_collection("summaries") == [a, c]
    assert [tag for _, _, tag, _ in records(merged)] == ["a", "deep/c"]
    assert [tag for _, _, tag, _ in records(graph_ops.merge_all(scope="deep"))] == ["deep/c"]
    assert [tag for _, _, tag, _ in records(graph_ops.merge([merged, b], collections=["all"], name="m"))] == [
        "a", "deep/c", "b",
    ]  # fmt: skip
    assert len(graph.get_collection("all")) == 1 and graph_ops.merge_all("nothing") is None
    with pytest.raises(UsageError, match="no regular expression"):
        graph_ops.merge_all(scope="(")


def test_summaries_under_their_first_names():
    assert summary.scalar_summary is graph_ops.scalar and summary.merge_all is graph_ops.merge_all
    code = "import sys, corenn.summary; print([m for m in sys.modules if m.startswith('corenn.graph')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert found.stdout.strip() == "[]"  # writing events does not cost the graphs
    with pytest.raises(AttributeError):
        summary.nothing


# ---------------------------------------------------------------- the writer


class Message:
    """As protobuf's: what can say its bytes."""

    def __init__(self, data):
        self.data = data

    def SerializeToString(self):
        return self.data


def test_what_a_writer_takes(graph, tmp_path):
    made = graph_ops.scalar("x", 1.0)
    with G.Session(graph) as session, FileWriter(tmp_path) as writer:
        data = session.run(made)
        for given in (data, bytearray(data), np.array(data, object), np.array([data], object), Message(data)):
            writer.add_summary(given, 4)
        writer.add_summary(data)
        for bad in (None, "text", 1.0, np.zeros(2)):
            with pytest.raises(AttributeValueError, match="bytes of a summary"):
                writer.add_summary(bad, 1)
        with pytest.raises(CorennError, match="no step"):
            EventWriter.add_summary(writer, data)
        assert writer.get_logdir() == str(tmp_path)
    assert [(r.step, r.value) for r in read_events(tmp_path) if r.kind == "scalar"] == [(4, 1.0)] * 5 + [(0, 1.0)]


# ---------------------------------------------------------------- the graph


def example():
    """A graph with everything the page shows."""
    x = G.placeholder("float32", [None, 4], name="x")
    with G.name_scope("layer"), G.get_default_graph().device("/gpu:0"):
        w = G.variable(np.zeros((4, 300), np.float32), name="w")
        first, second = corenn.split(corenn.matmul(x, w), 2, axis=1)
    with G.control_dependencies([first]):
        G.no_op(name="after")
    p = G.placeholder("float32", [], name="p")
    G.cond(p > 0, lambda: corenn.mean(second) * 2, lambda: p, name="choice")
    G.while_loop(lambda i: i < 10.0, lambda i: i + corenn.sum(x), p, name="loop")
    G.map_fn(lambda row: row * 2, x, name="each")
    return {n.name: n for n in nodes_of(G.get_default_graph())}


def test_nodes(graph):
    nodes = example()
    assert nodes["layer/MatMul"].inputs == ["x", "layer/w/read"] and nodes["layer/MatMul"].device == "/gpu:0"
    assert nodes["layer/MatMul"].attrs["_output_shapes"] == [(None, 300)]
    assert nodes["layer/w"].op == "VariableV2" and nodes["layer/w/Assign"].inputs[0] == "layer/w"
    assert nodes["after"].inputs == ["^layer/Split"] and nodes["x"].attrs["shape"] == (None, 4)
    assert nodes["x"].attrs["made_at"].startswith("test_graph_summaries.py:")
    # A branch's parameter takes what it captured; what a branch gives flows into the operation.
    assert nodes["choice/true/Mean"].inputs == ["choice/true/Mean/Split_in"]
    assert nodes["choice/true/Mean/Split_in"].inputs == ["layer/Split:1"] and nodes["choice/false/p_in"].inputs == ["p"]
    assert nodes["choice"].inputs == ["Greater", "choice/true/Mul", "choice/false/p_in"]
    assert nodes["loop"].inputs == ["p", "loop/condition/Less", "loop/body/Add"]
    assert nodes["loop/body/arg"].inputs == nodes["loop/condition/arg"].inputs == ["p"]
    assert nodes["each"].inputs == ["x", "each/body/Mul"] and nodes["each/body/arg"].inputs == ["x"]


def test_no_weights_are_written(graph, tmp_path):
    example()
    G.constant(np.arange(100_000.0))
    with FileWriter(tmp_path, graph) as writer:
        writer.add_graph(graph, 5)
    (first, second) = [r for r in read_events(tmp_path) if r.kind == "graph"]
    assert (first.step, second.step) == (0, 5) and len(first.value) == len(nodes_of(graph))
    assert writer.path.stat().st_size < 30_000


def test_tensorboard_reads_the_graph_and_the_summaries(graph, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing import plugin_event_multiplexer
    from tensorboard.compat.proto import graph_pb2
    from tensorboard.util import tensor_util

    nodes = example()
    graph_ops.scalar("loss", 1.5, family="f")
    graph_ops.histogram("h", G.constant([1.0, 2.0]))
    graph_ops.image("im", np.zeros((2, 3, 4, 1), np.uint8))
    graph_ops.text("t", G.constant("hello"), description="about")
    with G.Session(graph) as session, FileWriter(tmp_path / "run", graph) as writer:
        merged = session.run(graph_ops.merge_all())
        for step in range(3):
            writer.add_summary(merged, step)
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    tags = {"scalars": ["f/f/loss"], "histograms": ["h"], "images": ["im/image/0", "im/image/1"], "text": ["t"]}
    for plugin, expected in tags.items():
        assert sorted(multiplexer.PluginRunToTagToContent(plugin)["run"]) == expected
    assert [e.step for e in multiplexer.Tensors("run", "f/f/loss")] == [0, 1, 2]
    assert tensor_util.make_ndarray(multiplexer.Tensors("run", "f/f/loss")[0].tensor_proto) == 1.5
    width, height, png = tensor_util.make_ndarray(multiplexer.Tensors("run", "im/image/0")[0].tensor_proto).tolist()
    assert (width, height) == (b"4", b"3") and png.startswith(b"\x89PNG")
    found = {n.name: n for n in graph_pb2.GraphDef.FromString(multiplexer.SerializedGraph("run")).node}
    assert nodes.keys() <= found.keys() and "f/loss" in found
    matmul = found["layer/MatMul"]
    assert list(matmul.input) == ["x", "layer/w/read"] and matmul.device == "/gpu:0"
    assert [d.size for d in matmul.attr["_output_shapes"].list.shape[0].dim] == [-1, 300]
    assert matmul.attr["dtype"].type == 1 and found["f/loss"].attr["dtype"].type == 7
