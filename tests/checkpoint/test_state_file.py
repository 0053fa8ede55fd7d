import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corenn.checkpoint import CheckpointWarning
from corenn.checkpoint.tensor_bundle import (
    CheckpointState,
    latest,
    read_checkpoint_state,
    write_bundle,
    write_checkpoint_state,
)
from corenn.errors import AttributeValueError, CheckpointError

# Text with characters that a path may not hold is left out: the zero byte, and what the file system cannot encode.
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1).filter(
    lambda name: name.strip(".") == name
)


@settings(deadline=None)
@given(
    saved=st.lists(names, min_size=1, max_size=4, unique=True),
    times=st.none() | st.floats(),
    relative=st.booleans(),
    preserved=st.none() | st.floats(allow_nan=False),
)
def test_round_trip(tmp_path_factory, saved, times, relative, preserved):
    folder = tmp_path_factory.getbasetemp()
    paths = [str(folder / name) for name in saved]
    stamps = [] if times is None else [times + i for i in range(len(saved))]
    write_checkpoint_state(
        folder, paths[-1], paths, timestamps=stamps, last_preserved=preserved, relative=relative, filename="state"
    )
    state = read_checkpoint_state(folder, "state")
    assert state.latest == paths[-1] and state.all == tuple(paths) and state.last_preserved == preserved
    assert repr(state.timestamps) == repr(tuple(stamps))  # NaN as well
    text = (folder / "state").read_bytes()
    assert text.isascii() and (str(folder).encode() in text) == (not relative)


REAL = b"""model_checkpoint_path: "/models/m\\"x-2"
all_model_checkpoint_paths: "m \xc3\xa9-1"
all_model_checkpoint_paths: "/models/m\\"x-2"
all_model_checkpoint_timestamps: 1699999999.25
all_model_checkpoint_timestamps: 1.7e+09
last_preserved_timestamp: 1699999000.5
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (REAL, CheckpointState('/models/m"x-2', ("D/m é-1", '/models/m"x-2'), (1699999999.25, 1.7e9), 1699999000.5)),
        (b'model_checkpoint_path: "a-1"', CheckpointState("D/a-1", ("D/a-1",))),
        (b"", None),
        (b"# nothing yet\n", None),
        (b'model_checkpoint_path: ""', None),
        (b'all_model_checkpoint_paths: "a"', None),
        (b'model_checkpoint_path:"b";all_model_checkpoint_paths:"a",', CheckpointState("D/b", ("D/a", "D/b"))),
        (b"model_checkpoint_path : 'it''s'  # one\n \"-1\"", CheckpointState("D/its-1", ("D/its-1",))),
        (
            b'all_model_checkpoint_paths: ["a", "b"] model_checkpoint_path: "x" model_checkpoint_path: "b"',
            CheckpointState("D/b", ("D/a", "D/b")),
        ),
        (rb'model_checkpoint_path: "\303\251\x41\u00e9\U0001F600\t\\\?\7"', CheckpointState("D/éAé😀\t\\?\a", None)),
        (b'model_checkpoint_path: "a" all_model_checkpoint_timestamps: [inf, -1]', CheckpointState("D/a", None)),
    ],
)
def test_text_format(tmp_path, text, expected):
    (tmp_path / "checkpoint").write_bytes(text)
    state = read_checkpoint_state(tmp_path)
    if expected is None:
        assert state is None and latest(tmp_path) is None
        return

    def place(name: str) -> str:
        return name.replace("D", str(tmp_path), 1) if name.startswith("D") else name

    assert state.latest == place(expected.latest)
    if expected.all is not None:
        assert state.all == tuple(map(place, expected.all))
        assert (state.timestamps, state.last_preserved) == (expected.timestamps, expected.last_preserved)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"latest": 3}', "unexpected"),
        (b"\x89PNG\r\n", "unexpected"),
        (b'model_checkpoint_path: "a', "unexpected"),
        (b"model_checkpoint_path", "was expected"),
        (b"model_checkpoint_path:", "a value is missing"),
        (b'model_checkpoint_path: ["a"', "a value is missing"),
        (b"model_checkpoint_path: 3", "not a value"),
        (b'last_preserved_timestamp: "a"', "not a value"),
        (b"last_preserved_timestamp: soon", "soon"),
        (b"step: 3", "no field 'step'"),
        (b'model_checkpoint_path: , "a"', "a value is missing"),
        (b'model_checkpoint_path: "a",, ', "was expected"),
        (rb'model_checkpoint_path: "\q"', "no escape"),
        (rb'model_checkpoint_path: "\UFFFFFFFF"', "not a TensorFlow checkpoint state"),
        (rb'model_checkpoint_path: "\ud800"', "not a TensorFlow checkpoint state"),
    ],
)
def test_malformed(tmp_path, text, words):
    (tmp_path / "checkpoint").write_bytes(text)
    for read in (read_checkpoint_state, latest):
        with pytest.raises(CheckpointError, match=words) as caught:
            read(tmp_path)
        assert caught.value.where == str(tmp_path / "checkpoint") and caught.value.hint


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_any_content_is_a_state_or_a_checkpoint_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any_state"
    begin = data.draw(st.integers(0, len(REAL)))
    end = data.draw(st.integers(begin, len(REAL)))
    path.write_bytes(REAL[:begin] + data.draw(st.binary(max_size=20)) + REAL[end:])
    try:
        state = read_checkpoint_state(path.parent, path.name)
    except CheckpointError:
        return
    assert state is None or (isinstance(state.latest, str) and state.all[-1] == state.latest)


@pytest.mark.parametrize(
    ("directory", "given_path", "relative", "stored"),
    [
        ("runs", "runs/m-1", False, "m-1"),
        ("runs", "runs/m-1", True, "m-1"),
        ("", "m-1", False, "m-1"),
        ("runs", "ABS/runs/m-1", False, "ABS/runs/m-1"),
        ("runs", "ABS/runs/m-1", True, "m-1"),
        ("ABS/runs", "runs/m-1", False, "m-1"),
        ("runs", "other/m-1", False, "../other/m-1"),
    ],
)
def test_paths_in_the_file(tmp_path, monkeypatch, directory, given_path, relative, stored):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    directory, given_path, stored = (text.replace("ABS", str(tmp_path)) for text in (directory, given_path, stored))
    write_checkpoint_state(directory, Path(given_path), relative=relative)
    expected = f'model_checkpoint_path: "{stored}"\nall_model_checkpoint_paths: "{stored}"\n'
    assert Path(directory, "checkpoint").read_text() == expected
    assert os.path.abspath(read_checkpoint_state(directory).latest) == os.path.abspath(given_path)


def test_latest(tmp_path):
    assert latest(tmp_path) is None and read_checkpoint_state(tmp_path) is None
    write_checkpoint_state(tmp_path, tmp_path / "m-2", [tmp_path / "m-1"], filename="mine")
    with pytest.warns(CheckpointWarning, match="m-2, which does not exist"):
        assert latest(tmp_path, "mine") is None
    write_bundle(tmp_path / "m-2", {"x": 1.0})
    assert latest(tmp_path, "mine") == str(tmp_path / "m-2") and latest(tmp_path) is None


def test_wrong_arguments_and_places(tmp_path):
    with pytest.raises(AttributeValueError, match="timestamp for each"):
        write_checkpoint_state(tmp_path, "b", ["a"], timestamps=[1.0])
    with pytest.raises(AttributeValueError, match="empty"):
        write_checkpoint_state(tmp_path, "b", ["", "b"])
    with pytest.raises(CheckpointError, match="No such file or directory"):
        write_checkpoint_state(tmp_path / "no", "b")
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(CheckpointError, match="cannot be read"):
        latest(tmp_path)
