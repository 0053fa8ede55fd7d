"""Every kind of operation written and read again, and damage to a file that holds them all."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn import nn
from corenn.errors import CheckpointError, GraphError
from corenn.summary import graph_ops as summaries


@pytest.fixture
def graph():
    made = G.Graph()
    with made.as_default():
        yield made


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
def test_what_a_graph_gives_it_gives_after_a_round_trip(graph, build, again):
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


def test_written_twice_it_is_the_same(graph, classifier):
    for build in ROUND_TRIPS:
        with graph.name_scope(build.__name__):
            build()
    classifier()
    first = G.export_graph(graph)
    assert G.export_graph(G.import_graph(first).graph) == first


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


# ---------------------------------------------------------------- damage


def everything(classifier) -> dict:
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
def whole(classifier):
    return everything(classifier)


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
