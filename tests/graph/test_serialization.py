"""Graphs written to files and read again: what runs before runs after, and damage is reported."""

from __future__ import annotations

import base64
import copy
import functools
import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn import nn
from corenn.constraints import MaxNorm, NonNeg
from corenn.errors import CheckpointError, GraphError, UsageError
from corenn.graph.encoding import ValueReader, ValueWriter
from corenn.graph.exporting import tensors_path
from corenn.graph.kind_registry import _functions
from corenn.graph.kinds import HostCallKind
from corenn.summary import graph_ops as summaries


@pytest.fixture
def graph():
    made = G.Graph()
    with made.as_default():
        yield made


def again(graph: G.Graph, **options) -> G.ImportedGraph:
    """The graph after a trip through JSON text."""
    return G.import_graph(json.loads(json.dumps(G.export_graph(graph), allow_nan=False)), **options)


def classifier() -> dict:
    """A small network with everything a training program has, in the default graph."""
    graph = G.get_default_graph()
    graph.seed = 11
    x, y = G.placeholder("float32", [None, 4], name="x"), G.placeholder("int32", [None], name="y")
    rate = G.placeholder_with_default(np.float32(0.1), name="learning_rate")
    step = G.variable(0, trainable=False, name="global_step")
    with G.variable_scope("hidden"):
        w = G.get_variable("w", [4, 5], constraint=MaxNorm(1.5))
        b = G.get_variable("b", [5], initializer="zeros")
    with G.variable_scope("out"):
        v = G.get_variable("w", [5, 3], constraint=NonNeg())
    logits = corenn.matmul(nn.relu(corenn.matmul(x, w) + b), v)
    loss = corenn.mean(nn.sparse_softmax_cross_entropy(y, logits))
    with G.name_scope("train"):
        updates = [var.assign_sub(rate * g) for var, g in zip((w, b, v), G.gradients(loss, [w, b, v]), strict=True)]
        train = G.group(*updates, step.assign_add(1), name="step")
    init = G.global_variables_initializer()
    graph.add_to_collection("train_op", train)
    return {"x": x, "y": y, "loss": loss, "train": train, "init": init, "logits": logits}


BATCH = {
    "x:0": np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32),
    "y:0": np.array([0, 1, 2, 0, 1, 2], np.int32),
}


# ---------------------------------------------------------------- round trips: one row for every kind of operation


def op_call():
    x = G.placeholder("float32", [2, None], name="x")
    return [corenn.sum(x, axis=1, keepdims=True) @ corenn.ones([1, 2])], {"x:0": np.ones((2, 3))}


def several_results():
    x = G.placeholder("float32", [4, 6], name="x")
    return [*corenn.split(x, 3, axis=1), *corenn.top_k(x, k=2)], {"x:0": np.arange(24).reshape(4, 6)}


def constants():
    values = [
        True, -3, 2.5, np.float64(np.pi), [1 + 2j], np.arange(6, dtype=">i2").reshape(2, 3).T, np.zeros((0, 3)),
        np.array([np.nan, np.inf, -0.0], np.float16), "text", [["a", "ü"], ["", "b"]], b"\xff\x00", np.uint64(2**63),
    ]  # fmt: skip
    return [G.constant(v) for v in values] + [G.identity(corenn.tensor([1.0, 2.0]))], {}


def bfloat16():
    pytest.importorskip("ml_dtypes")
    return [corenn.cast(G.constant([1.5, -2.0], dtype="bfloat16"), dtype="float32")], {}


def places():
    x = G.placeholder_with_default(np.float32([1, 2]), shape=[None], name="x")
    with G.control_dependencies([x]):
        return [G.shape(x), G.identity(x), G.shape(x, dtype="int64")], {}


def deferred_attributes():
    x, n = G.placeholder("float32", [None, 6], name="x"), G.placeholder("int32", [], name="n")
    return [corenn.reshape(x, shape=[G.shape(x)[0] * 2, 3]), corenn.reshape(x, shape=[n, -1])], {
        "x:0": np.arange(12).reshape(2, 6), "n:0": 4,
    }  # fmt: skip


def slices_by_value():
    x, n = G.placeholder("float32", [None, 6], name="x"), G.placeholder("int32", [], name="n")
    free = G.placeholder("float32", name="free")
    return [x[n:, 1:n], x[::2, None, ..., -1], free[..., n], free[[1, 0]]], {
        "x:0": np.arange(24).reshape(4, 6), "n:0": 2, "free:0": np.arange(12).reshape(3, 4),
    }  # fmt: skip


def branches():
    p, x = G.placeholder("bool", [], name="p"), G.placeholder("float32", [3], name="x")
    inner = G.cond(p, lambda: G.cond(corenn.sum(x) > 0, lambda: x * 2, lambda: x - 1), lambda: corenn.zeros([3]))
    return [inner, *G.gradients(inner, [x])], {"p:0": True, "x:0": np.float32([1, 2, -5])}


def loops():
    x = G.placeholder("float32", [3], name="x")
    i, total = G.while_loop(lambda i, t: i < 4, lambda i, t: (i + 1, t * x), [0, x], maximum_iterations=9)
    (grown,) = G.while_loop(
        lambda a: corenn.sum(a) < 40, lambda a: corenn.concatenate(a, x), [x], shape_invariants=[(None,)]
    )
    return [i, total, *G.gradients(total, [x]), grown], {"x:0": np.float32([1, 2, 3])}


def scans():
    x = G.placeholder("float32", [None, 3], name="x")
    parts = [
        G.scan(lambda a, e: a * 0.5 + e, x, corenn.zeros([3])), G.map_fn(lambda e: (e, e * e), x)[1],
        G.fold(lambda a, e: a - e, x, reverse=True),
    ]  # fmt: skip
    return [*parts, *G.gradients(parts[0], [x])], {"x:0": np.arange(12).reshape(4, 3)}


def second_order():
    x = G.placeholder("float32", [3], name="x")
    (first,) = G.gradients(corenn.sum(corenn.exp(x) * x), [x])
    return [first, *G.gradients(first, [x])], {"x:0": np.float32([0, 1, 2])}


def random_numbers():
    G.get_default_graph().seed = 5
    return [corenn.random.normal([3]), corenn.random.uniform([2], seed=3)], {}


def summary_operations():
    x = G.placeholder("float32", [1, 2, 2, 1], name="x")
    with G.name_scope("here"):
        summaries.scalar("loss", corenn.mean(x), family="all")
        summaries.histogram("h", x, buckets=3)
    summaries.image("im", x)
    summaries.text("t", G.constant(["a"]), description="about")
    return [summaries.merge_all()], {"x:0": np.arange(4).reshape(1, 2, 2, 1)}


def grouped():
    x = G.placeholder("float32", [2], name="x")
    return [G.tuple_([x, x + 1], [G.group(x)])[1], corenn.concatenate(x, x, x)], {"x:0": [1, 2]}


def optional_operands():
    x = G.placeholder("float32", [2, 5, 5, 3], name="x")
    return [nn.conv(x, G.constant(np.ones((3, 3, 3, 2), np.float32)), padding="same")], {"x:0": np.ones((2, 5, 5, 3))}


def likes():
    x, free = G.placeholder("float32", [None, 2], name="x"), G.placeholder("float32", name="free")
    made = [corenn.ones_like(x), corenn.zeros_like(free)]
    return [*made, *G.gradients(x * x, [x])], {"x:0": np.ones((3, 2)), "free:0": np.ones((1, 2))}


ROUND_TRIPS = [
    likes, op_call, several_results, constants, bfloat16, places, deferred_attributes, slices_by_value, branches, loops,
    scans, second_order, random_numbers, summary_operations, grouped, optional_operands,
]  # fmt: skip


@pytest.mark.parametrize("build", ROUND_TRIPS, ids=lambda f: f.__name__)
def test_what_a_graph_gives_it_gives_after_a_round_trip(graph, build):
    fetches, feeds = build()
    found = again(graph)
    with G.Session(graph) as before, G.Session(found.graph) as after:
        names = [f.name for f in fetches]
        for _ in range(2):
            for a, b in zip(before.run(names, feeds), after.run(names, feeds), strict=True):
                np.testing.assert_array_equal(np.asarray(a), np.asarray(b), strict=True)
    for a, b in zip(graph.get_operations(), found.graph.get_operations(), strict=True):
        assert (a.name, a.type, a.device, a.where) == (b.name, b.type, b.device, b.where)
        assert [c.name for c in a.control_inputs] == [c.name for c in b.control_inputs]
        assert [(o.extents, o.dtype) for o in a.outputs] == [(o.extents, o.dtype) for o in b.outputs]


def test_written_twice_it_is_the_same(graph):
    for build in ROUND_TRIPS:
        with graph.name_scope(build.__name__):
            build()
    classifier()
    first = G.export_graph(graph)
    assert G.export_graph(G.import_graph(first).graph) == first


# ---------------------------------------------------------------- training goes on


def test_training_continues_where_it_stopped(graph, tmp_path):
    """Find the train operation in a collection, restore the values, feed another learning rate, go on."""
    parts = classifier()
    saver = G.Saver()
    with G.Session(graph) as session:
        session.run(parts["init"])
        for _ in range(3):
            session.run(parts["train"], BATCH)
        saver.save(session, tmp_path / "model", 3, meta_graph=True)
        slow = {**BATCH, "learning_rate:0": 0.01}
        expected = []
        for _ in range(3):
            session.run(parts["train"], slow)
            expected.append(session.run(parts["loss"], BATCH))
    found = G.import_graph(tmp_path / "model-3.graph.json")
    with G.Session(found.graph) as session:
        G.Saver(found.collections["variables"]).restore(session, tmp_path / "model-3")
        (train,) = found.graph.get_collection("train_op")
        losses = []
        for _ in range(3):
            session.run(train, slow)
            losses.append(session.run(parts["loss"].name, BATCH))
        assert losses == expected and session.run("global_step:0") == 6


def test_a_constant_can_be_fed_another_value(graph):
    rate = G.constant(0.5, name="rate")
    G.identity(rate * 4.0, name="product")
    found = again(graph)
    with G.Session(found.graph) as session:
        assert session.run("product:0") == 2.0
        assert session.run("product:0", {found.tensor("rate"): 2.0}) == 8.0


def test_variables_come_back_whole(graph):
    classifier()
    found = again(graph)
    assert found.graph.seed == 11 and list(found.variables) == ["global_step", "hidden/w", "hidden/b", "out/w"]
    w, step = found.variables["hidden/w"], found.variables["global_step"]
    assert w.trainable and not step.trainable and w.dtype is corenn.float32 and w.extents == (4, 5)
    assert repr(w.constraint) == repr(MaxNorm(1.5)) and isinstance(found.variables["out/w"].constraint, NonNeg)
    assert w.initializer.name == "hidden/w/Assign" and w.value().name == "hidden/w/read:0"
    with found.graph.as_default():
        assert G.trainable_variables() == [found.variables[n] for n in ("hidden/w", "hidden/b", "out/w")]
        with G.variable_scope("hidden", reuse=True):
            assert G.get_variable("w", [4, 5]) is w
        with pytest.raises(ValueError, match="already exists"), G.variable_scope("hidden"):
            G.get_variable("w", [4, 5])
        more = G.get_variable("more", [2])
        assert corenn.matmul(found.tensor("x"), w).operation.name == "MatMul_2"
    assert more.operation.name == "more"


def test_a_read_after_an_assignment_stays_after_it(graph):
    v = G.variable(1.0, name="v")
    with G.control_dependencies([v.assign_add(5.0)]):
        after = G.identity(v.read_value(), name="after")
    known, init = v.is_initialized(), v.initializer
    found = again(graph)
    with G.Session(found.graph) as session:
        assert not session.run(known.name)
        session.run(init.name)
        assert session.run([after.name, known.name]) == [6.0, True] and session.run("v:0") == 6.0


def test_a_branch_that_writes_a_variable(graph):
    v, p = G.variable(1.0, name="v"), G.placeholder("bool", [], name="p")
    chosen = G.cond(p, lambda: v.assign_add(1.0), lambda: v.assign(7.0))
    found = again(graph)
    with G.Session(found.graph) as session:
        session.run("v/Assign")
        assert session.run(chosen.name, {"p:0": True}) == 2.0 and session.run("v:0") == 2.0
        assert session.run(chosen.name, {"p:0": False}) == 7.0


def test_collections(graph):
    a, v = G.constant(1.0, name="a"), G.variable(2.0, name="v")
    op = G.no_op(name="op")
    items = [a, v, op, "text", 3, 2.5, None, [a, {"k": (op, 1)}], corenn.float16, (1, 2)]
    for item in items:
        graph.add_to_collection("all", item)
    inside = []
    G.cond(a > 0, lambda: inside.append(a * 3) or G.add_to_collection("inside", inside[0]) or inside[0], lambda: a)
    found = again(graph)
    tensor = found.tensor("a")
    expected = [tensor, found.variables["v"], found.operation("op"), *items[3:7],
                [tensor, {"k": (found.operation("op"), 1)}], *items[8:]]  # fmt: skip
    assert found.graph.get_collection("all") == expected == found.collections["all"]
    (branch,) = found.graph.get_collection("inside")
    assert branch.name == inside[0].name and branch.graph.outer is found.graph


def test_collections_name_tensors_in_branches_of_branches(graph):
    p = G.placeholder("bool", [])
    x = G.placeholder("float32", [])

    def collected(value):
        G.add_to_collection("inside", value)
        return value

    G.cond(p, lambda: G.cond(p, lambda: collected(x * 2), lambda: collected(x * 3)), lambda: collected(x * 4))
    found = again(graph)
    for before, after in zip(graph.get_collection("inside"), found.graph.get_collection("inside"), strict=True):
        a, b = ([o.name for o in t.graph.get_operations()] for t in (before, after))
        assert a == b and after.operation.inputs[1].operation.attrs == before.operation.inputs[1].operation.attrs
    depths = [t.graph.outer.outer is found.graph for t in found.graph.get_collection("inside")[:2]]
    assert depths == [True, True]


def test_scopes_that_are_taken_stay_taken(graph):
    classifier()
    found = again(graph)
    with found.graph.name_scope("train") as scope:
        assert scope == "train_1/"


def test_a_traced_function(tmp_path):
    """Its parameters become placeholders: whoever runs the graph feeds them."""
    scale = corenn.tensor([2.0, 3.0])

    @corenn.function
    def scaled_sum(x):
        return corenn.sum(G.cond(corenn.sum(x) > 0, lambda: x * scale, lambda: x))

    concrete = scaled_sum.get_concrete_function(corenn.ones([2]))
    G.export_graph(concrete.graph, tmp_path / "f.json")
    found = G.import_graph(tmp_path / "f.json")
    with G.Session(found.graph) as session:
        feeds = {found.tensor(concrete.inputs[0].name): np.float32([1, 1])}
        assert session.run(concrete.outputs[0].name, feeds) == 5.0


# ---------------------------------------------------------------- files


def test_large_constants_go_beside(graph, tmp_path):
    large, small = np.arange(9000, dtype=np.float32), np.arange(4)
    total = corenn.sum(G.constant(large) + G.constant(large)) + corenn.sum(G.constant(small.astype(np.float32)))
    file = tmp_path / "model.json"
    G.export_graph(graph, file)
    assert file.stat().st_size < 8000 and tensors_path(file).stat().st_size < 2 * large.nbytes  # one, though used twice
    with G.Session(G.import_graph(file).graph) as session:
        assert session.run(total.name) == 2 * large.sum() + 6
    G.export_graph(graph, tmp_path / "whole.json", large=None)
    assert not tensors_path(tmp_path / "whole.json").exists()
    assert G.import_graph(tmp_path / "whole.json").graph.get_operations()


def test_a_tensor_beside_of_another_shape_is_noticed(graph, tmp_path):
    G.constant(np.arange(9000.0), name="c")
    description = G.export_graph(graph, tmp_path / "model.json")
    description["operations"][0]["attrs"]["value"]["$array"]["shape"] = [90, 100]
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match=r"is not float64\[90, 100\]"):
        G.import_graph(tmp_path / "model.json")


@pytest.mark.parametrize("dtype", [">i4", "<i4", ">f8", ">c8", "?", "u1"])
def test_arrays_are_little_endian_whatever_they_were(dtype):
    array = np.array([[0, 1], [1, 0]], dtype).T
    record = ValueWriter().array(array)
    assert base64.b64decode(record["data"]) == array.astype(array.dtype.newbyteorder("<")).tobytes()
    found = ValueReader("file", {}).array(record)
    assert np.array_equal(found, array) and found.dtype == array.dtype.newbyteorder("=") and not found.flags.writeable


def test_tensors_of_another_graph_are_noticed(graph, tmp_path):
    G.constant(np.arange(9000.0))
    G.export_graph(graph, tmp_path / "model.json")
    other = G.Graph()
    with other.as_default():
        G.constant(np.arange(9000.0) + 1)
    G.export_graph(other, tmp_path / "other.json")
    os.replace(tmp_path / "other.safetensors", tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="is not in the file of tensors beside it"):
        G.import_graph(tmp_path / "model.json")


def test_a_failed_write_leaves_the_old_file(graph, tmp_path):
    G.constant(1.0)
    G.export_graph(graph, tmp_path / "model.json")
    before = (tmp_path / "model.json").read_bytes()
    G.py_function(lambda: 1.0, [], "float32")
    with pytest.raises(GraphError):
        G.export_graph(graph, tmp_path / "model.json")
    assert (tmp_path / "model.json").read_bytes() == before and len(os.listdir(tmp_path)) == 1
    with pytest.raises(CheckpointError, match="cannot be written"):
        G.export_graph(G.Graph(), tmp_path / "missing" / "model.json")


def test_another_process_reads_it(graph, tmp_path):
    fetches, _ = summary_operations()
    file = tmp_path / "model.json"
    G.export_graph(graph, file)
    code = (
        "import sys, numpy as np\nfrom corenn.graph import Session, import_graph\n"
        f"found = import_graph({str(file)!r})\nwith Session(found.graph) as s:\n"
        f"    sys.stdout.buffer.write(s.run({fetches[0].name!r}, {{'x:0': np.arange(4).reshape(1, 2, 2, 1)}}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd="/").stdout
    with G.Session(graph) as session:
        assert out == session.run(fetches[0], {"x:0": np.arange(4).reshape(1, 2, 2, 1)})


# ---------------------------------------------------------------- into a graph that has something


def test_beside_another_in_a_scope(graph):
    parts = classifier()
    description = G.export_graph(graph)
    images = G.placeholder("float32", [6, 4], name="images")
    found = G.import_graph(description, graph=graph, name_scope="copy", input_map={"x": images})
    assert found.scope == "copy/" and found.operation("hidden/w").name == "copy/hidden/w"
    assert G.import_graph(description, graph=graph, name_scope="copy").scope == "copy_1/"
    logits = found.tensor(parts["logits"].name)
    with G.Session(graph) as session:
        session.run([parts["init"], found.operation("init")])
        for name in ("hidden/w", "hidden/b", "out/w"):
            session.load(found.variables[name], session.run(f"{name}:0"))
        a, b = session.run([parts["logits"], logits], {parts["x"]: BATCH["x:0"], images: BATCH["x:0"]})
        np.testing.assert_array_equal(a, b)
    with graph.as_default(), G.variable_scope("copy/hidden", reuse=True):
        assert G.get_variable("w") is found.variables["hidden/w"]


def test_names_that_are_taken(graph):
    classifier()
    description = G.export_graph(graph)
    with pytest.raises(GraphError, match="operations of the same names") as caught:
        G.import_graph(description, graph=graph)
    assert "name_scope=" in str(caught.value)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"z": "int"}, "another dtype"), ({"nothing": "x"}, "not in the file"), ({"z:7": "x"}, "not in the file"),
        ({"z": "op"}, "gives 'z' an operation"), ({"z": "wide"}, "should be"),
    ],
)  # fmt: skip
def test_input_maps_that_do_not_fit(graph, mapping, message):
    z = G.placeholder("float32", [2, 3], name="z")
    corenn.matmul(z, corenn.ones([3, 4]))
    description = G.export_graph(graph)
    target = G.Graph()
    with target.as_default():
        given = {
            "int": G.placeholder("int32", [2, 3]), "x": G.placeholder("float32", [2, 3]), "op": G.no_op(),
            "wide": G.placeholder("float32", [5, 3]),
        }  # fmt: skip
    before = [o.name for o in target.get_operations()]
    with pytest.raises((GraphError, CheckpointError), match=message):
        G.import_graph(description, graph=target, input_map={k: given[v] for k, v in mapping.items()})
    assert [o.name for o in target.get_operations()] == before


def test_a_failed_import_leaves_the_graph_as_it_was(graph):
    classifier()
    description = G.export_graph(graph)
    description["operations"][-1]["kind"] = "nothing"
    target = G.Graph()
    with target.as_default():
        G.get_variable("mine", [2])
    before = G.export_graph(target)
    with pytest.raises(CheckpointError):
        G.import_graph(description, graph=target)
    assert G.export_graph(target) == before
    with target.as_default():
        assert G.placeholder("float32", name="x").operation.name == "x"


def test_devices_and_a_class_for_variables(graph):
    class Own(G.GraphVariable):
        __slots__ = ()

    with graph.device("/gpu:0"):
        G.variable(1.0, name="v")
    description = G.export_graph(graph)
    assert G.import_graph(description).operation("v").device == "/gpu:0"
    found = G.import_graph(description, clear_devices=True, variable_class=Own)
    assert found.operation("v").device == "" and type(found.variables["v"]) is Own


def test_names_that_are_not_there(graph):
    G.constant(1.0, name="one")
    found = again(graph)
    with pytest.raises(KeyError, match="did you mean 'one'"):
        found.operation("on")
    with pytest.raises(KeyError, match="has 1 outputs"):
        found.tensor("one:3")


# ---------------------------------------------------------------- Python functions


def scaled(x, factor=2.0):
    return x * factor


@pytest.fixture
def registered():
    G.register_function("tests.scaled", scaled)
    yield
    del _functions["tests.scaled"]


def test_registered_functions(graph, registered):
    x = G.placeholder("float32", [None], name="x")
    (doubled,) = graph.call(scaled, x, type_name="Scaled")
    (tripled,) = graph.call(functools.partial(scaled, factor=3.0), x, type_name="Scaled")
    host = G.py_function(functools.partial(scaled, factor=5.0), [x], "float32", shapes=[None])
    slope = G.gradients(tripled, [x])[0]
    description = G.export_graph(graph)
    names = [doubled.name, tripled.name, host.name, slope.name]
    with G.Session(G.import_graph(description).graph) as session:
        found = session.run(names, {"x:0": np.float32([1, 2])})
    assert [f.tolist() for f in found] == [[2, 4], [3, 6], [5, 10], [3, 3]]
    text = json.dumps(description).replace("tests.scaled", "tests.unknown")
    with pytest.raises(GraphError, match=r"not registered here: 'tests\.unknown'"):
        G.import_graph(json.loads(text))


def applied(x, function, times=1):
    for _ in range(times):
        x = function(x)
    return x


def test_functions_given_to_functions(graph, registered):
    G.register_function("tests.applied", applied)
    try:
        x = G.placeholder("float32", [None], name="x")
        inner = functools.partial(applied, function=functools.partial(scaled, factor=3.0), times=2)
        (made,) = graph.call(functools.partial(applied, function=inner), x, type_name="Applied")
        (plain,) = graph.call(functools.partial(applied, function=scaled), x, type_name="Applied")
        description = json.loads(json.dumps(G.export_graph(graph)))
        with G.Session(G.import_graph(description).graph) as session:
            found = session.run([made.name, plain.name], {"x:0": np.float32([1, 2])})
        assert [f.tolist() for f in found] == [[9, 18], [2, 4]]
        graph.call(functools.partial(applied, function=lambda v: v), x, type_name="Own")
        with pytest.raises(GraphError, match=r"Python function .*<lambda>"):
            G.export_graph(graph)
        deep = {"function": "tests.scaled"}
        for _ in range(30):
            deep = {"function": "tests.applied", "args": [], "kwargs": {"function": {"$function": deep}}}
        call = next(o for o in description["operations"] if o["type"] == "Applied")
        call["config"] = {**call["config"], **deep}
        with pytest.raises(GraphError, match="more than 20 deep"):
            G.import_graph(description)
    finally:
        del _functions["tests.applied"]


def test_kinds_of_packages_that_are_not_imported(graph):
    G.no_op(name="op")
    description = G.export_graph(graph)
    description["operations"][0]["kind"] = "other_package.attention"
    with pytest.raises(GraphError, match="import other_package, which registers it"):
        G.import_graph(description)


def test_registering_wrong(registered):
    for name, function in [("plain", scaled), ("tests.scaled", print), ("a b.c", scaled)]:
        with pytest.raises(UsageError):
            G.register_function(name, function)
    with pytest.raises(UsageError):
        G.register_kind("host_call", HostCallKind, lambda *a: {}, lambda *a: HostCallKind(print))


UNWRITABLE = {
    "py_function": (lambda: G.py_function(lambda: 1.0, [], "float32"), "runs the Python function", "register_function"),
    "composite": (
        lambda: G.get_default_graph().call(lambda x: x, G.constant(1.0), type_name="Own"), "type Own",
        "register_function",
    ),
    "eager variable": (
        lambda: corenn.Variable(1.0) * G.constant(2.0), "variable that lives outside", "make the variable in the graph",
    ),
    "generator": (
        lambda: G.get_default_graph().random_key(generator=corenn.random.Generator(3)), "outside the graph", "seed",
    ),
    "constraint": (lambda: G.variable(1.0, constraint=lambda v: v), "lambda", "register"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNWRITABLE)
def test_what_cannot_be_written_names_the_operation_the_line_and_the_fix(graph, case):
    build, what, hint = UNWRITABLE[case]
    build()
    with pytest.raises(GraphError) as caught:
        G.export_graph(graph)
    message = str(caught.value)
    assert "operation '" in message and what in message and hint in message and "test_serialization.py:" in message


def test_collections_that_cannot_be_written(graph):
    graph.add_to_collection("things", object())
    graph.add_to_collection("things", 1)
    with pytest.raises(GraphError, match=r"the collection 'things' holds a builtins\.object"):
        G.export_graph(graph)
    with pytest.warns(G.GraphExportWarning, match="left out"):
        description = G.export_graph(graph, strict=False)
    assert G.import_graph(description).collections == {"things": [1]}


def test_the_graph_of_a_branch_is_no_graph_to_write(graph):
    inner = []
    G.cond(
        G.placeholder("bool", []), lambda: inner.append(G.get_default_graph()) or G.constant(1), lambda: G.constant(2)
    )
    with pytest.raises(GraphError, match="branch or loop"):
        G.export_graph(inner[0])


# ---------------------------------------------------------------- damage


def everything() -> dict:
    """The description of a graph with every kind of operation."""
    graph = G.Graph()
    with graph.as_default():
        for build in ROUND_TRIPS:
            if build is not bfloat16:
                with graph.name_scope(build.__name__):
                    build()
        classifier()
        graph.add_to_collection("mixed", [graph.get_operations()[0], {"a": (1, 2.5)}])
    return G.export_graph(graph)


def operation(description: dict, kind: str) -> dict:
    return next(o for o in description["operations"] if o["kind"] == kind)


def set_at(kind: str, *path, value):
    def damage(description):
        target = operation(description, kind)
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return damage


DAMAGE = {
    "format": (lambda d: d.update(format="other"), "is not a graph"),
    "newer version": (lambda d: d.update(version=99), "version 99"),
    "no operations": (lambda d: d.pop("operations"), "not a list"),
    "unknown op": (set_at("op", "config", "op", value="frobnicate"), "no op 'frobnicate'"),
    "unknown kind": (set_at("op", "kind", value="opp"), "no kind 'opp'.*did you mean 'op'"),
    "unknown attribute": (set_at("op", "attrs", "nonsense", value=1), "no attribute 'nonsense'"),
    "cycle": (lambda d: operation(d, "op").update(inputs=[operation(d, "op")["name"] + ":0"]), "not come before it"),
    "later operation": (lambda d: d["operations"].reverse(), "does not come before it"),
    "twice": (lambda d: d["operations"].append(d["operations"][0]), "two of that name"),
    "bad shape": (set_at("op", "outputs", 0, 0, value=[7, 7, 7]), "output 0 should be"),
    "negative shape": (set_at("placeholder", "outputs", 0, 0, value=[-1]), "not a shape"),
    "bad dtype": (set_at("placeholder", "outputs", 0, 1, value="float33"), "no element type 'float33'"),
    "constant's bytes": (set_at("const", "attrs", "value", "$array", "data", value="AAAA"), "bytes, which do not fit"),
    "base64": (set_at("const", "attrs", "value", "$array", "data", value="%%%"), "base64"),
    "code": (set_at("const", "attrs", "value", value={"$python": "import os"}), "no value of the form"),
    "too few outputs": (set_at("op", "outputs", value=[]), "outputs"),
    "control": (set_at("op", "controls", value=["nobody"]), "nobody"),
    "gradient of nothing": (set_at("gradient", "config", "forward", value="nobody"), "nobody"),
    "gradient's places": (set_at("gradient", "config", "needed", value=[99]), "does not have the inputs"),
    "variable's read": (set_at("variable", "config", "read", value="x"), "does not read it"),
    "variable's constraint": (
        set_at("variable", "config", "constraint", value={"configured": {"class_name": "Nobody"}}), "Nobody",
    ),
    "another configurable": (
        set_at("variable", "config", "constraint", value={"configured": {
            "kind": "callback", "class_name": "CSVLogger", "config": {"filename": "x"}}}), "constraint",
    ),
    "assigned variable": (set_at("assign", "config", "variable", value="x"), "not a variable"),
    "branches": (lambda d: operation(d, "cond")["config"]["subgraphs"].pop(), "2 subgraphs"),
    "captures": (lambda d: operation(d, "cond")["config"]["subgraphs"][0]["captures"].clear(), "those it is passed"),
    "two conditions": (
        lambda d: operation(d, "while")["config"]["subgraphs"][0].update(
            outputs=operation(d, "while")["config"]["subgraphs"][0]["outputs"] * 2
        ),
        "does not give one value",
    ),
    "a boolean's bytes": (
        set_at("const", "attrs", "value", "$array", value={"dtype": "bool", "shape": [1], "data": "Ag=="}),
        "other than 0 and 1",
    ),
    "summary": (set_at("summary", "config", "options", value={}), "summary"),
    "collection": (lambda d: d["collections"]["train_op"].append({"operation": "nobody"}), "nobody"),
    "tensors outside": (lambda d: d.update(tensors="../secrets.safetensors"), "no name of a file beside it"),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    return everything()


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named(whole, tmp_path, case):
    damage, message = DAMAGE[case]
    description = copy.deepcopy(whole)
    damage(description)
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match=message) as caught:
        G.import_graph(tmp_path / "model.json")
    assert caught.value.where.endswith("model.json")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b"PK\x03\x04"])
def test_files_that_are_no_graphs(tmp_path, text):
    (tmp_path / "model.json").write_bytes(text)
    for name in ("model.json", "missing.json", ""):
        with pytest.raises(CheckpointError):
            G.import_graph(tmp_path / name)


JUNK = (
    None, True, -1, 0, 3, 2**70, 1.5, "", "x", "x:0", [], {}, [None], [3, 4], {"$tuple": []}, {"$deferred": [0, None]},
    {"$dtype": "int32"}, {"$array": {"dtype": "float32", "shape": [2**40], "data": ""}}, "0:0", ["x:0"],
)  # fmt: skip


def places_in(value, path=()):
    """Every place in nested JSON."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places_in(item, (*path, key))


def mutate(description, paths, rng):
    """One random change: a value replaced, removed, swapped with another, a number or a letter changed."""
    for _ in range(rng.choice((1, 1, 1, 3))):
        path = rng.choice(paths)
        try:
            target = description
            for key in path[:-1]:
                target = target[key]
            how, value = rng.random(), target[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
        if how < 0.25:
            del target[path[-1]]
        elif how < 0.4 and isinstance(value, (int, float)) and not isinstance(value, bool):
            target[path[-1]] = value + rng.choice((-1, 1, 7))
        elif how < 0.6 and isinstance(value, str) and value:
            at = rng.randrange(len(value))
            target[path[-1]] = value[:at] + rng.choice("aA0_/:=") + value[at + 1 :]
        elif how < 0.75 and isinstance(value, list) and value:
            rng.shuffle(value)
        else:
            target[path[-1]] = copy.deepcopy(rng.choice(JUNK))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.filterwarnings("ignore")  # rules of shapes may overflow on the numbers they are given
def test_fuzz_nothing_but_the_two_errors(whole, seed):
    """Whatever is changed in a file, it loads or is refused with CheckpointError or GraphError."""
    rng = random.Random(seed)
    paths = [p for p in places_in(whole) if p]
    refused = 0
    for _ in range(30):
        description = copy.deepcopy(whole)
        mutate(description, paths, rng)
        try:
            found = G.import_graph(description)
        except (CheckpointError, GraphError):
            refused += 1
        else:
            assert found.graph.get_operations() is not None
    assert refused > 5


def test_fuzz_bytes(whole, tmp_path):
    rng = random.Random(1)
    text = json.dumps(whole).encode()
    file = tmp_path / "model.json"
    for _ in range(40):
        data = bytearray(text)
        if rng.random() < 0.5:
            del data[rng.randrange(len(data)) :]
        else:
            data[rng.randrange(len(data))] = rng.randrange(256)
        file.write_bytes(data)
        try:
            G.import_graph(file)
        except (CheckpointError, GraphError):
            continue
