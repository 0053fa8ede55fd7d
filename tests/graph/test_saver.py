"""``Saver``: what is saved comes back, by any name, from either format; the last few are kept."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn.checkpoint import CheckpointWarning, load_file, tensor_bundle
from corenn.errors import AttributeValueError, CheckpointError, DTypeError, GraphError, UsageError
from corenn.graph.saver import find_checkpoint, graph_path, latest_checkpoint, list_variables

FORMATS = ("safetensors", "tensorflow")
ENDINGS = {"safetensors": [".safetensors"], "tensorflow": [".data-00000-of-00001", ".index"]}


@pytest.fixture
def session():
    """Of a graph with variables of several dtypes, initialised."""
    graph = G.Graph()
    with graph.as_default():
        G.variable(np.arange(6, dtype=np.float32).reshape(2, 3), name="w")
        G.variable(np.int64(5), name="step", trainable=False)
        with G.name_scope("deep/er"):
            G.variable([True, False], name="flags", trainable=False)
        G.variable(np.zeros(2), name="local", collections=["local_variables"], trainable=False)
        init = G.global_variables_initializer()
        with G.Session(graph) as made:
            made.run(init)
            yield made


def variable(session, name):
    return session.graph.get_operation_by_name(name).outputs[0]


def fresh(session):
    """Another session of the graph, with nothing initialised."""
    return G.Session(session.graph)


@pytest.mark.parametrize("form", FORMATS)
def test_saved_and_restored(session, tmp_path, form):
    saver = G.Saver(format=form)
    path = saver.save(session, tmp_path / "new" / "model", global_step=variable(session, "step"))
    assert path == str(tmp_path / "new" / "model-5")
    pointer = {"safetensors": "saver.json", "tensorflow": "checkpoint"}[form]
    assert sorted(os.listdir(tmp_path / "new")) == sorted([pointer, *["model-5" + e for e in ENDINGS[form]]])
    for given in (path, tmp_path / "new", path + ENDINGS[form][-1]):
        other = fresh(session)
        saver.restore(other, given)
        names = ["w:0", "step:0", "deep/er/flags:0"]
        for a, b in zip(session.run(names), other.run(names), strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), strict=True)
        assert not other.initialized(variable(session, "local"))
    assert list_variables(path) == [("deep/er/flags", (2,), "bool"), ("step", (), "int64"), ("w", (2, 3), "float32")]
    assert latest_checkpoint(tmp_path / "new") == path


def test_the_files_are_what_others_read(session, tmp_path):
    """A safetensors file, and TensorFlow's bundle with its text file: read by the modules that know these formats."""
    native, foreign = (G.Saver(format=f).save(session, tmp_path / f / "model") for f in FORMATS)
    assert load_file(native + ".safetensors")[0]["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    with tensor_bundle.BundleReader(foreign) as reader:
        assert reader.names() == ["deep/er/flags", "step", "w"] and reader.read("step") == 5
    assert tensor_bundle.latest(tmp_path / "tensorflow") == foreign
    assert json.loads((tmp_path / "safetensors" / "saver.json").read_text())["checkpoints"] == ["model"]


def test_restores_what_tensorflow_wrote(session, tmp_path):
    tensor_bundle.write_bundle(tmp_path / "old.ckpt-7", {"weights": np.full((2, 3), 2.0, np.float32), "other": [1, 2]})
    w = variable(session, "w")
    G.Saver({"weights": w}).restore(session, tmp_path / "old.ckpt-7")
    assert session.run(w).tolist() == [[2, 2, 2], [2, 2, 2]]


#: Restores what it finds with tf.train.Saver, and saves ten times that.
WITH_TENSORFLOW = """
import sys
import tensorflow as tf
tf1 = tf.compat.v1
tf1.disable_eager_execution()
w, step = tf1.get_variable("w", [2, 3]), tf1.get_variable("step", [], tf.int64)
flags = tf1.get_variable("deep/er/flags", [2], tf.bool, initializer=tf1.zeros_initializer())
state = tf.train.get_checkpoint_state(sys.argv[1])
assert [p[-4:] for p in state.all_model_checkpoint_paths] == ["/m-2", "/m-3"], state
with tf1.Session() as session:
    saver = tf1.train.Saver()
    saver.restore(session, tf.train.latest_checkpoint(sys.argv[1]))
    assert session.run([step, flags[0]]) == [5, True]
    session.run(w.assign(w * 10))
    saver.save(session, sys.argv[1] + "/theirs/m", global_step=7)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_to_tensorflow_and_back(session, tmp_path):
    saver = G.Saver(format="tensorflow", max_to_keep=2)
    for step in (1, 2, 3):
        saver.save(session, tmp_path / "m", step)
    subprocess.run([sys.executable, "-c", WITH_TENSORFLOW, str(tmp_path)], check=True)
    saver.restore(session, tmp_path / "theirs")
    assert session.run("w:0").tolist() == [[0, 10, 20], [30, 40, 50]]
    assert latest_checkpoint(tmp_path / "theirs") == str(tmp_path / "theirs" / "m-7")


@pytest.mark.parametrize("form", FORMATS)
def test_strings(tmp_path, form):
    graph = G.Graph()
    with graph.as_default(), G.Session(graph) as session:
        text = G.variable(np.array([b"a", b"\xff"], object), name="text", trainable=False)
        session.run(text.initializer)
        if form == "safetensors":
            with pytest.raises(DTypeError, match="format='tensorflow'"):
                G.Saver().save(session, tmp_path / "m")
        else:
            G.Saver(format=form).save(session, tmp_path / "m")
            other = G.Session(graph)
            G.Saver().restore(other, tmp_path / "m")
            assert other.run(text).tolist() == [b"a", b"\xff"]


# ---------------------------------------------------------------- parts, other names, what does not fit


def test_a_part_and_under_other_names(session, tmp_path):
    w, step = variable(session, "w"), variable(session, "step")
    path = G.Saver({"kernel": w, "count": step}).save(session, tmp_path / "m")
    assert [name for name, *_ in list_variables(path)] == ["count", "kernel"]
    other = fresh(session)
    G.Saver().restore(other, path, {"kernel": w})
    assert other.run(w).tolist() == session.run(w).tolist() and not other.initialized(step)
    whole = G.Saver().save(session, tmp_path / "whole")
    last = fresh(session)
    G.Saver([step]).restore(last, whole)
    assert last.run(step) == 5 and not last.initialized(w)


@pytest.mark.parametrize("form", FORMATS)
def test_everything_that_does_not_fit_is_listed_and_nothing_is_restored(session, tmp_path, form):
    other = G.Graph()
    with other.as_default():
        G.variable(np.zeros((3, 2), np.float32), name="w")
        G.variable(np.zeros(()), name="step")
        G.variable(1.0, name="stop")
        good = G.variable([False, False], name="deep/er/flags", trainable=False)
    path = G.Saver(format=form).save(session, tmp_path / "m")
    target = G.Session(other)
    with pytest.raises(CheckpointError) as caught:
        G.Saver().restore(target, path)
    message = str(caught.value)
    for part in (
        "of 4 variables, 1 are not in it, 1 have another shape, 1 have another dtype",
        "[2, 3] in the checkpoint and [3, 2]",
        "is int64 in the checkpoint and float64 in the graph", "did you mean 'step'", "restore(session, path",
    ):  # fmt: skip
        assert part in message
    assert not target.initialized(good)
    G.Saver(reshape=True).restore(target, path, [other.get_operation_by_name("w").outputs[0]])
    assert target.run("w:0").tolist() == [[0, 1], [2, 3], [4, 5]]


def test_a_variable_of_unknown_shape_takes_any(tmp_path):
    graph = G.Graph()
    with graph.as_default(), G.Session(graph) as session:
        v = G.variable(G.placeholder("float32"), validate_shape=False, name="v")
        session.run(v.initializer, {v.initial_value: np.ones((2, 2))})
        path = G.Saver().save(session, tmp_path / "m")
        session.load(v, np.zeros(3))
        G.Saver().restore(session, path)
        assert session.run(v).shape == (2, 2)


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda s, d: G.Saver(format="pickle"), AttributeValueError, "safetensors, tensorflow"),
        (lambda s, d: G.Saver(max_to_keep=-1), AttributeValueError, "max_to_keep"),
        (lambda s, d: G.Saver([1]), UsageError, "not a variable"),
        (lambda s, d: G.Saver({"": variable(s, "w")}), UsageError, "not a name"),
        (lambda s, d: G.Saver().save(s, f"{d}/"), UsageError, "is a directory"),
        (lambda s, d: G.Saver().save(G.Session(G.Graph()), d / "m"), UsageError, "no variables"),
        (lambda s, d: G.Saver().save(s, d / "m", global_step=variable(s, "w")), UsageError, "one integer"),
        (lambda s, d: G.Saver().save(fresh(s), d / "m"), G.UninitializedError, "uninitialized value"),
        (lambda s, d: G.Saver().restore(s, d), CheckpointError, "no checkpoints"),
        (lambda s, d: G.Saver().restore(s, d / "nothing"), CheckpointError, "does not exist"),
        (lambda s, d: (d / "saver.json").write_text("{") and latest_checkpoint(d), CheckpointError, "damaged"),
        (lambda s, d: (d / "f").touch() or G.Saver().save(s, d / "f" / "m"), CheckpointError, "cannot be made"),
    ],
)  # fmt: skip
def test_mistakes(session, tmp_path, action, error, message):
    with pytest.raises(error, match=message):
        action(session, tmp_path)


def test_a_misspelt_prefix_names_the_nearest(session, tmp_path):
    G.Saver().save(session, tmp_path / "model", 10)
    with pytest.raises(CheckpointError, match=r"did you mean .*model-10'"):
        find_checkpoint(tmp_path / "model-1")


def test_a_damaged_file(session, tmp_path):
    path = G.Saver().save(session, tmp_path / "m")
    data = bytearray((tmp_path / "m.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "m.safetensors").write_bytes(data)
    before = session.run("w:0")
    with pytest.raises(CheckpointError, match="checksum"):
        G.Saver().restore(session, path)
    assert np.array_equal(session.run("w:0"), before)


# ---------------------------------------------------------------- keeping


@pytest.mark.parametrize("form", FORMATS)
def test_the_last_few_are_kept(session, tmp_path, form):
    saver = G.Saver(max_to_keep=2, format=form, pad_step=True)
    for step in (1, 2, 3, 4, 3):
        saver.save(session, tmp_path / "m", step, meta_graph=True)
    assert [os.path.basename(p) for p in saver.last_checkpoints] == ["m-00000004", "m-00000003"]
    left = {name.partition(".")[0] for name in os.listdir(tmp_path)} - {"saver", "checkpoint"}
    assert left == {"m-00000004", "m-00000003"} and latest_checkpoint(tmp_path) == str(tmp_path / "m-00000003")


@pytest.mark.parametrize("keep", [None, 0])
def test_all_are_kept(session, tmp_path, keep):
    saver = G.Saver(max_to_keep=keep)
    for step in range(7):
        saver.save(session, tmp_path / "m", step)
    assert len(saver.last_checkpoints) == 7 == sum(n.endswith(".safetensors") for n in os.listdir(tmp_path))


def test_one_of_every_few_hours_stays(session, tmp_path):
    now = [0.0]
    saver = G.Saver(max_to_keep=1, keep_every_n_hours=2, clock=lambda: now[0])
    for hour in range(9):
        now[0] = hour * 3600.0
        saver.save(session, tmp_path / "m", hour)
    kept = sorted(n for n in os.listdir(tmp_path) if n.startswith("m-"))
    assert kept == [f"m-{h}.safetensors" for h in (3, 5, 7, 8)]


def test_another_process_takes_over(session, tmp_path):
    first = G.Saver()
    for step in range(3):
        first.save(session, tmp_path / "m", step)
    second = G.Saver(max_to_keep=2)
    second.recover_last_checkpoints([*first.last_checkpoints, tmp_path / "gone-9"])
    second.save(session, tmp_path / "m", 3)
    assert sorted(n for n in os.listdir(tmp_path) if n.startswith("m-")) == ["m-2.safetensors", "m-3.safetensors"]


def test_the_newest_is_gone(session, tmp_path):
    saver = G.Saver()
    for step in range(2):
        saver.save(session, tmp_path / "m", step)
    (tmp_path / "m-1.safetensors").unlink()
    with pytest.warns(CheckpointWarning, match="does not exist"):
        assert latest_checkpoint(tmp_path) == str(tmp_path / "m-0")
    (tmp_path / "m-0.safetensors").unlink()
    with pytest.warns(CheckpointWarning, match="does not exist"):
        assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "nowhere") is None


def test_a_directory_can_be_moved(session, tmp_path):
    for form in FORMATS:
        G.Saver(format=form, relative=True).save(session, tmp_path / form / "m", 1)
        os.rename(tmp_path / form, tmp_path / f"{form} moved")
        assert latest_checkpoint(tmp_path / f"{form} moved") == str(tmp_path / f"{form} moved" / "m-1")


def test_of_two_pointers_the_one_written_last_counts(session, tmp_path):
    for when, form in enumerate((*FORMATS, "safetensors"), start=1):
        path = G.Saver(format=form).save(session, tmp_path / form)
        pointer = tmp_path / {"safetensors": "saver.json", "tensorflow": "checkpoint"}[form]
        os.utime(pointer, ns=(0, when * 10**9))
        assert latest_checkpoint(tmp_path) == path


def test_a_prefix_that_is_a_directory_too(session, tmp_path):
    (tmp_path / "m").mkdir()
    path = G.Saver().save(session, tmp_path / "m")
    assert find_checkpoint(path) == (path, "safetensors")


def test_no_pointer_when_none_is_wanted(session, tmp_path):
    G.Saver().save(session, tmp_path / "m", write_state=False)
    assert os.listdir(tmp_path) == ["m.safetensors"]


# ---------------------------------------------------------------- with the graph


@pytest.mark.parametrize("form", FORMATS)
def test_with_the_graph(session, tmp_path, form):
    path = G.Saver(format=form).save(session, tmp_path / "m", 1, meta_graph=True)
    assert graph_path(path) == path + {"safetensors": ".graph.json", "tensorflow": ".meta"}[form]
    found = G.import_graph(graph_path(path), name_scope="again")
    with G.Session(found.graph) as other:
        assert list(found.global_variables) == ["w", "step", "deep/er/flags"]
        G.Saver(found.global_variables).restore(other, path)
        assert other.run("again/w:0").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert graph_path(tmp_path / "other") is None


def test_a_graph_that_cannot_be_written_costs_nothing(session, tmp_path):
    saver = G.Saver()
    saver.save(session, tmp_path / "m", 1, meta_graph=True)
    with session.graph.as_default():
        G.py_function(lambda: 1.0, [], "float32")
    with pytest.raises(GraphError):
        saver.save(session, tmp_path / "m", 2, meta_graph=True)
    assert latest_checkpoint(tmp_path) == str(tmp_path / "m-1") and "m-2" not in " ".join(os.listdir(tmp_path))
    assert saver.save(session, tmp_path / "m", 2)


def test_saving_while_another_thread_trains(tmp_path):
    """What is saved is one moment: two variables that are updated together are equal in every checkpoint."""
    graph = G.Graph()
    with graph.as_default(), G.Session(graph) as session:
        a, b = G.variable(0, name="a"), G.variable(0, name="b")
        update = G.group(a.assign_add(1), b.assign_add(1))
        session.run([a.initializer, b.initializer])
        done = threading.Event()

        def train():
            while not done.is_set():
                session.run(update)

        thread = threading.Thread(target=train)
        thread.start()
        try:
            saver = G.Saver(max_to_keep=None)
            paths = [saver.save(session, tmp_path / "m", i) for i in range(20)]
        finally:
            done.set()
            thread.join()
    for path in paths:
        values = load_file(path + ".safetensors")[0]
        assert values["a"] == values["b"]


#: Saves again and again; what a checkpoint holds follows from its step, so that a mixture of two would be seen.
KILLED = """
import sys
import numpy as np
from corenn import graph as G
with G.Graph().as_default(), G.Session() as session:
    step = G.variable(0, name="step", trainable=False)
    w = G.variable(np.zeros(50_000), name="w")
    saver = G.Saver(max_to_keep=3, format=sys.argv[2])
    for number in range(int(sys.argv[3]) + 1, 10_000):
        session.load(step, number)
        session.load(w, np.full(50_000, number))
        saver.save(session, sys.argv[1] + "/m", step, meta_graph=True)
        print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("form", FORMATS)
def test_killed_at_any_moment(tmp_path, form):
    """What the pointer names is whole, and at most one save behind what was reported; strays go with the next save."""
    randomness, step = random.Random(3), 0
    for _ in range(4):
        command = [sys.executable, "-c", KILLED, str(tmp_path), form, str(step)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            said = int(process.stdout.readline())
            time.sleep(randomness.uniform(0, 0.1))
            process.kill()
            said = int((process.stdout.read().split() or [said])[-1])
        path = latest_checkpoint(tmp_path)
        found = G.import_graph(graph_path(path))
        with G.Session(found.graph) as session:
            G.Saver(found.global_variables).restore(session, path)
            step, w = session.run(["step:0", "w:0"])
        assert said <= step <= said + 1 and (w == step).all()
    with G.Session(found.graph) as session:
        saver = G.Saver(found.global_variables, format=form)
        saver.restore(session, path)
        saver.save(session, tmp_path / "m", 99_999)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


def test_a_finalized_graph_is_saved_and_restored(session, tmp_path):
    session.graph.finalize()
    path = G.Saver().save(session, tmp_path / "m")
    session.load(variable(session, "step"), 9)
    G.Saver().restore(session, path)
    assert session.run("step:0") == 5


def test_optimizer_slots_like_variables_come_along(tmp_path):
    """Momentum kept in variables: the run that was restored makes the same steps as the one that went on."""
    graph = G.Graph()
    with graph.as_default():
        w, m = G.variable([1.0, 2.0], name="w"), G.variable([0.0, 0.0], name="m", trainable=False)
        (g,) = G.gradients(corenn.sum(w * w * w), [w])
        with G.control_dependencies([m.assign(0.9 * m + g)]):
            step = w.assign_sub(0.01 * m.read_value())
        init = G.global_variables_initializer()
    with G.Session(graph) as session:
        session.run(init)
        for _ in range(3):
            session.run(step)
        path = G.Saver().save(session, tmp_path / "m")
        on = [session.run(step).tolist() for _ in range(3)]
    with G.Session(graph) as session:
        G.Saver().restore(session, path)
        assert [session.run(step).tolist() for _ in range(3)] == on
