"""Graphs written to files and read again: what runs before runs after, and damage is reported."""

from __future__ import annotations

import base64
import functools
import json
import os

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn.constraints import MaxNorm, NonNeg
from corenn.errors import CheckpointError, GraphError, UsageError
from corenn.graph.encoding import ValueReader, ValueWriter
from corenn.graph.exporting import tensors_path
from corenn.graph.kind_registry import _functions
from corenn.graph.kinds import HostCallKind


@pytest.fixture
def graph():
    made = G.Graph()
    with made.as_default():
        yield made


BATCH = {
    "x:0": np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32),
    "y:0": np.array([0, 1, 2, 0, 1, 2], np.int32),
}


# ---------------------------------------------------------------- training goes on


def test_training_continues_where_it_stopped(graph, tmp_path, classifier):
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


def test_a_constant_can_be_fed_another_value(graph, again):
    rate = G.constant(0.5, name="rate")
    G.identity(rate * 4.0, name="product")
    found = again(graph)
    with G.Session(found.graph) as session:
        assert session.run("product:0") == 2.0
        assert session.run("product:0", {found.tensor("rate"): 2.0}) == 8.0


def test_variables_come_back_whole(graph, again, classifier):
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


def test_a_read_after_an_assignment_stays_after_it(graph, again):
    v = G.variable(1.0, name="v")
    with G.control_dependencies([v.assign_add(5.0)]):
        after = G.identity(v.read_value(), name="after")
    known, init = v.is_initialized(), v.initializer
    found = again(graph)
    with G.Session(found.graph) as session:
        assert not session.run(known.name)
        session.run(init.name)
        assert session.run([after.name, known.name]) == [6.0, True] and session.run("v:0") == 6.0


def test_a_branch_that_writes_a_variable(graph, again):
    v, p = G.variable(1.0, name="v"), G.placeholder("bool", [], name="p")
    chosen = G.cond(p, lambda: v.assign_add(1.0), lambda: v.assign(7.0))
    found = again(graph)
    with G.Session(found.graph) as session:
        session.run("v/Assign")
        assert session.run(chosen.name, {"p:0": True}) == 2.0 and session.run("v:0") == 2.0
        assert session.run(chosen.name, {"p:0": False}) == 7.0


def test_collections(graph, again):
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


def test_collections_name_tensors_in_branches_of_branches(graph, again):
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


def test_scopes_that_are_taken_stay_taken(graph, again, classifier):
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


# ---------------------------------------------------------------- into a graph that has something


def test_beside_another_in_a_scope(graph, classifier):
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


def test_names_that_are_taken(graph, classifier):
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


def test_a_failed_import_leaves_the_graph_as_it_was(graph, classifier):
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


def test_names_that_are_not_there(graph, again):
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


class _OwnKind(HostCallKind):
    """A kind of one's own."""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((None, _OwnKind, print, print), "no name"),
        (("tests.own", int, print, print), "not a class of kinds"),
        (("tests.own", _OwnKind(print), print, print), "not a class of kinds"),
        (("tests.own", _OwnKind, None, print), "'write' is a NoneType"),
        (("tests.own", _OwnKind, print, "read"), "'read' is a str"),
        (("tests.own", _OwnKind, print, print, 1), "'made' is a int"),
    ],
)
def test_kinds_that_cannot_be_registered(arguments, text):
    with pytest.raises(UsageError, match=text):
        G.register_kind(*arguments)


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
