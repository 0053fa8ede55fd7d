"""``CheckpointStore``: the same store in a directory and behind fsspec; resuming, keeping N, and stores that fail."""

from __future__ import annotations

import builtins
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import corenn
from corenn import layers as L
from corenn.checkpoint import CheckpointManager, CheckpointWarning
from corenn.configurable import deserialize, serialize
from corenn.errors import AttributeValueError, CheckpointError, MissingExtraError
from corenn.training import BackupAndRestore, CheckpointStore, Sequential
from corenn.training.callbacks.monitor import CallbackWarning
from corenn.training.callbacks.remote import StoreError, local_path

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)


def model() -> Sequential:
    corenn.random.seed(0)
    made = Sequential([corenn.layers.Input((3,)), L.Dense(2), L.Dropout(0.3), L.Dense(1)])
    made.compile("adam", "mse", ["mae"])
    return made


def fit(store: Any, epochs: int = 4, net: Sequential | None = None, **options: Any) -> Any:
    net = net or model()
    return net, net.fit(X, Y, batch_size=5, epochs=epochs, verbose=0, callbacks=[store], **options).history


@pytest.fixture(params=["path", "file", "memory", "fsspec's files"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place for checkpoints of each kind."""
    if request.param in ("path", "file"):
        yield str(tmp_path / "run") if request.param == "path" else (tmp_path / "run").as_uri()
        return
    fsspec = pytest.importorskip("fsspec")
    if request.param == "memory":
        yield "memory://bucket/run"
        fsspec.filesystem("memory").store.clear()
    else:
        yield f"local://{tmp_path / 'run'}"


def names(url: str) -> list[str]:
    return CheckpointStore(url)._store.names()


def test_a_run_goes_on_from_its_store_bit_for_bit(url: str) -> None:
    whole, history = fit(CheckpointStore(url + "-whole"))
    store = CheckpointStore(url, save_freq=3)
    fit(store, most_steps=10)  # in the third epoch
    assert store.last_saved is not None and store.last_saved.endswith("step-00000010.safetensors")
    again = CheckpointStore(url)
    resumed, found = fit(again)
    assert again.restored_step == 10
    assert found == history
    for a, b in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert names(url) == [f"step-{n:08d}.safetensors" for n in (3, 4, 6, 8, 9, 10, 12, 16)]


def test_it_keeps_so_many(url: str) -> None:
    fit(CheckpointStore(url, keep=2))
    assert names(url) == ["step-00000012.safetensors", "step-00000016.safetensors"]
    untouched, _ = fit(CheckpointStore(url, keep=2, restore=False), epochs=1)
    assert untouched.optimizer.iterations == 4
    assert names(url) == ["step-00000016.safetensors", "step-00000004.safetensors"]  # in the order they were saved
    _, history = fit(CheckpointStore(url, keep=2), epochs=2)
    assert len(history["loss"]) == 2


def test_weights_are_fetched_without_training(url: str) -> None:
    trained, _ = fit(CheckpointStore(url))
    other = model()
    assert CheckpointStore(url).load_weights(other) == 16
    np.testing.assert_array_equal(other.predict(X), trained.predict(X))
    with pytest.raises(CheckpointError, match="has no checkpoints"):
        CheckpointStore(url + "-empty").load_weights(other)


def test_stores_are_directories_of_checkpoints(url: str, tmp_path: Path) -> None:
    """A store copied to a directory is one that the manager of local checkpoints reads."""
    fit(CheckpointStore(url, keep=3))
    copy = tmp_path / "copy"
    copy.mkdir()
    place = local_path(url)
    if place is not None:
        files = {p.name: p.read_bytes() for p in place.iterdir()}
    else:
        fs, path = importlib.import_module("fsspec").core.url_to_fs(url)
        files = {Path(f).name: fs.cat_file(f) for f in fs.ls(path, detail=False)}
    assert set(files) == {"checkpoint.json", *names(url)}  # nothing half-written is left
    for name, content in files.items():
        (copy / name).write_bytes(content)
    manager = CheckpointManager(copy)
    assert manager.load().metadata["step"] == 16
    assert json.loads(files["checkpoint.json"])["latest"] == "step-00000016.safetensors"
    resumed, _ = fit(BackupAndRestore(str(copy)), epochs=5)
    assert resumed.optimizer.iterations == 20


def test_a_damaged_checkpoint_is_passed_over() -> None:
    fsspec = pytest.importorskip("fsspec")
    fs = fsspec.filesystem("memory")
    fit(CheckpointStore("memory://damaged"))
    for name in ("step-00000016.safetensors", "checkpoint.json"):
        content = fs.cat_file(f"/damaged/{name}")
        fs.pipe_file(f"/damaged/{name}", content[: len(content) // 2])
    store = CheckpointStore("memory://damaged")
    with pytest.warns(CheckpointWarning) as said:
        fit(store)
    assert store.restored_step == 12
    assert any("step-00000016" in str(w.message) for w in said)
    assert any("going by the steps" in str(w.message) for w in said)
    for name in names("memory://damaged"):
        fs.pipe_file(f"/damaged/{name}", b"nothing")
    with pytest.warns(CheckpointWarning), pytest.raises(CheckpointError, match="all 4 checkpoints are damaged"):
        fit(CheckpointStore("memory://damaged"))
    fs.store.clear()


# ---------------------------------------------------------------- stores that fail


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The store in memory, which refuses writes (and is nowhere, with ``gone``) while ``state["down"]``."""
    fsspec = pytest.importorskip("fsspec")
    kind = fsspec.get_filesystem_class("memory")
    state = {"down": False, "gone": False}
    put, ls = kind.put_file, kind.ls

    def put_file(self: Any, local: str, remote: str, **options: Any) -> Any:
        if state["down"] and remote.endswith(".part") and "step" in remote:
            with open(local, "rb") as file:
                self.pipe_file(remote, file.read(100))  # the connection breaks half-way
            raise ConnectionError("connection reset by peer")
        return put(self, local, remote, **options)

    def listed(self: Any, *args: Any, **options: Any) -> Any:
        if state["gone"]:
            raise TimeoutError("no route to host")
        return ls(self, *args, **options)

    monkeypatch.setattr(kind, "put_file", put_file)
    monkeypatch.setattr(kind, "ls", listed)
    yield state
    fsspec.filesystem("memory").store.clear()


def test_an_unreachable_store_ends_training(failing: Any) -> None:
    failing["down"] = True
    with pytest.raises(StoreError) as caught:
        fit(CheckpointStore("memory://down"))
    text = str(caught.value)
    for part in ("memory://down", "cannot store a checkpoint", "connection reset by peer", "on_error='warn'"):
        assert part in text
    assert isinstance(caught.value.__cause__, ConnectionError)
    fs = importlib.import_module("fsspec").filesystem("memory")
    assert fs.find("/down") == []  # half a checkpoint is none
    failing["gone"] = True
    with pytest.raises(StoreError, match="no route to host"):
        fit(CheckpointStore("memory://down"))


def test_or_training_goes_on(failing: Any) -> None:
    whole, _ = fit(CheckpointStore("memory://other"))
    failing["down"] = True
    store = CheckpointStore("memory://down", on_error="warn")
    with pytest.warns(CallbackWarning, match=r"goes on without the checkpoint of step \d+") as said:
        net, _ = fit(store)
    assert len(said) == store.failures == 4
    assert store.last_saved is None
    np.testing.assert_array_equal(net.get_weights()[0], whole.get_weights()[0])
    failing["down"] = False
    store = CheckpointStore("memory://down", on_error="warn")
    fit(store)
    assert (store.failures, names("memory://down")[-1]) == (0, "step-00000016.safetensors")
    failing["gone"] = True
    with pytest.warns(CallbackWarning) as said:
        fit(CheckpointStore("memory://down", on_error="warn"), epochs=1)
    for warning, text in zip(said, ("starts from the beginning", "goes on without the checkpoint"), strict=True):
        assert text in str(warning.message)


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be"):
        fit(CheckpointStore(str(tmp_path / "file" / "run")))
    with pytest.warns(CallbackWarning, match="cannot be"):
        fit(CheckpointStore(str(tmp_path / "file" / "run"), on_error="warn"), epochs=1)


def test_a_checkpoint_of_another_model_is_an_error_whatever_on_error_says(url: str) -> None:
    fit(CheckpointStore(url))
    other = Sequential([corenn.layers.Input((3,)), L.Dense(5)])
    other.compile("adam", "mse")
    with pytest.raises(CheckpointError, match="weights do not fit"):
        fit(CheckpointStore(url, on_error="warn"), net=other)


def test_without_fsspec(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = importlib.import_module

    def without(name: str, *args: Any) -> Any:
        if name == "fsspec":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'corenn\[remote\]'"):
        CheckpointStore("s3://bucket/run")
    blocked = builtins.__import__

    def no_fsspec(name: str, *args: Any, **options: Any) -> Any:
        assert not name.startswith("fsspec")
        return blocked(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", no_fsspec)
    fit(CheckpointStore(str(tmp_path)), epochs=1)
    assert len(names(str(tmp_path))) == 1


def test_schemes_and_secrets() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(StoreError, match="install the package of the URL's scheme"):
        fit(CheckpointStore("nosuchscheme://place"))
    with pytest.raises(StoreError) as caught:
        fit(CheckpointStore("nosuchscheme://me:secret@place/run"))
    assert "secret" not in str(caught.value)
    store = CheckpointStore("memory://x", keep=3, on_error="warn", storage_options={"token": "secret"})
    assert "secret" not in repr(store) + json.dumps(serialize(store))
    again = deserialize(serialize(store))
    assert (again.url, again.keep, again.on_error) == ("memory://x", 3, "warn")


@pytest.mark.parametrize(
    ("options", "text"),
    [({"keep": 0}, "positive int"), ({"save_freq": 0}, "save_freq"), ({"on_error": "ignore"}, "'raise' or 'warn'")],
)
def test_settings_without_sense(options: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(AttributeValueError, match=text):
        CheckpointStore(str(tmp_path), **options)


@pytest.mark.parametrize(
    ("given", "path"),
    [("runs/1", "runs/1"), ("file:///a%20b", "/a b"), ("s3://a/b", None), ("simplecache::s3://a/b", None)],
)
def test_what_is_local(given: str, path: str | None) -> None:
    assert local_path(given) == (None if path is None else Path(path))
