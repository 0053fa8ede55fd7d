"""``tf.logging`` and ``tf.gfile``."""

from __future__ import annotations

import logging as python_logging

import pytest
from corenn_tensorflow import gfile, logging

from corenn.errors import UsageError


@pytest.fixture
def logger(monkeypatch):
    """The logger as in a new process; call it to take away pytest's own handlers, which come after the fixtures."""
    found = python_logging.getLogger("tensorflow")
    state = found.handlers[:], found.level, found.propagate
    found.handlers[:], found.propagate = [], True
    found.setLevel(python_logging.NOTSET)
    monkeypatch.setattr(logging, "_counts", type(logging._counts)())
    yield lambda: monkeypatch.setattr(python_logging.getLogger(), "handlers", [])
    found.handlers[:], found.propagate = state[0], state[2]
    found.setLevel(state[1])


def test_warnings_and_worse_are_shown(logger, capsys):
    logger()
    for level in ("debug", "info", "warn", "warning", "error", "fatal"):
        getattr(logging, level)("%s %d", level, 3)
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.splitlines() == [
        "WARNING:tensorflow:warn 3", "WARNING:tensorflow:warning 3", "ERROR:tensorflow:error 3",
        "CRITICAL:tensorflow:fatal 3",
    ]  # fmt: skip


@pytest.mark.parametrize(("level", "shown"), [("DEBUG", 3), ("INFO", 2), ("WARN", 1), ("ERROR", 0)])
def test_verbosity(logger, capsys, level, shown):
    logger()
    logging.set_verbosity(getattr(logging, level))
    assert logging.get_verbosity() == getattr(logging, level)
    for name in ("DEBUG", "INFO", "WARN"):
        logging.log(getattr(logging, name), "x")
    assert len(capsys.readouterr().err.splitlines()) == shown


def test_counting_is_by_line(logger, capsys):
    logger()
    for i in range(7):
        logging.log_every_n(logging.ERROR, "every %d", 3, i)
        logging.log_first_n(logging.ERROR, "first %d", 2, i)
        logging.log_if(logging.ERROR, "if %d", i == 5, i)
    said = [line.removeprefix("ERROR:tensorflow:") for line in capsys.readouterr().err.splitlines()]
    assert sorted(said) == ["every 0", "every 3", "every 6", "first 0", "first 1", "if 5"]


def test_a_program_with_its_own_logging_keeps_it(logger, capsys):
    logger()
    seen: list[str] = []
    handler = python_logging.Handler()
    handler.emit = lambda record: seen.append(f"{record.filename} {record.getMessage()}")
    python_logging.getLogger().handlers.append(handler)
    logging.error("x")
    assert seen == ["test_logging_and_gfile.py x"] and capsys.readouterr().err == ""


def test_reading_and_writing(tmp_path):
    path = str(tmp_path / "a.txt")
    with gfile.GFile(path, "w") as f:
        f.write("eins\nzwei\ngrün\n")
        assert f.size() == 16
    with gfile.Open(path) as f:
        assert f.readline() == "eins\n" and f.tell() == 5
        assert list(f) == ["zwei\n", "grün\n"]
        f.seek(0)
        assert f.read(4) == "eins"
        f.seek(position=5)
        assert f.readlines() == ["zwei\n", "grün\n"]
    with gfile.FastGFile(path, "ab") as f:
        f.write(b"drei")
    assert gfile.GFile(path, "rb").read() == b"eins\nzwei\ngr\xc3\xbcn\ndrei"
    assert gfile.GFile(f"file://{path}").size() == 20
    gfile.GFile(str(tmp_path / "empty"), "w").close()
    assert gfile.exists(tmp_path / "empty")
    assert (path, "r") == (gfile.GFile(path).name, gfile.GFile(path).mode)


def test_line_ends_are_not_changed(tmp_path):
    with gfile.GFile(tmp_path / "a", "w") as f:
        f.write("a\r\nb")
    assert (tmp_path / "a").read_bytes() == b"a\r\nb" and gfile.GFile(tmp_path / "a").read() == "a\r\nb"


@pytest.mark.parametrize("style", ["old", "new"])
def test_folders_in_both_spellings(tmp_path, style):
    old = style == "old"
    pick = lambda a, b: getattr(gfile, a if old else b)
    base = str(tmp_path / "base")
    pick("MakeDirs", "makedirs")(f"{base}/x/y")
    pick("MakeDirs", "makedirs")(f"{base}/x/y")
    pick("MkDir", "mkdir")(f"{base}/z")
    with gfile.GFile(f"{base}/x/one.txt", "w") as f:
        f.write("1")
    pick("Copy", "copy")(f"{base}/x/one.txt", f"{base}/x/two.txt")
    pick("Rename", "rename")(f"{base}/x/two.txt", f"{base}/z/three.txt")
    assert pick("Exists", "exists")(f"{base}/z/three.txt") and not pick("Exists", "exists")(f"{base}/x/two.txt")
    assert pick("IsDirectory", "isdir")(f"{base}/x") and not pick("IsDirectory", "isdir")(f"{base}/x/one.txt")
    assert pick("ListDirectory", "listdir")(base) == ["x", "z"]
    assert pick("Glob", "glob")(f"{base}/*/*.txt") == [f"{base}/x/one.txt", f"{base}/z/three.txt"]
    assert pick("Glob", "glob")([f"{base}/z/*", f"{base}/no*"]) == [f"{base}/z/three.txt"]
    assert list(pick("Walk", "walk")(base)) == [
        (base, ["x", "z"], []),
        (f"{base}/x", ["y"], ["one.txt"]),
        (f"{base}/x/y", [], []),
        (f"{base}/z", [], ["three.txt"]),
    ]
    assert next(pick("Walk", "walk")(base, False))[0] == f"{base}/x/y"
    found = pick("Stat", "stat")(f"{base}/x/one.txt")
    assert (found.length, found.is_directory) == (1, False) and found.mtime_nsec > 10**18
    pick("Remove", "remove")(f"{base}/x/one.txt")
    pick("DeleteRecursively", "rmtree")(base)
    assert not gfile.exists(base)


@pytest.mark.parametrize(
    ("call", "error", "name"),
    [
        (lambda p: gfile.copy(p / "a", p / "b"), FileExistsError, "AlreadyExistsError"),
        (lambda p: gfile.rename(p / "a", p / "b"), FileExistsError, "AlreadyExistsError"),
        (lambda p: gfile.mkdir(p), FileExistsError, "AlreadyExistsError"),
        (lambda p: gfile.remove(p / "no"), FileNotFoundError, "NotFoundError"),
        (lambda p: gfile.DeleteRecursively(p / "no"), FileNotFoundError, "NotFoundError"),
        (lambda p: gfile.listdir(p / "no"), FileNotFoundError, "NotFoundError"),
        (lambda p: gfile.Stat(p / "no"), FileNotFoundError, "NotFoundError"),
        (lambda p: gfile.GFile(p / "no").read(), FileNotFoundError, "NotFoundError"),
        (lambda p: gfile.GFile(p / "no").size(), FileNotFoundError, "NotFoundError"),
        (lambda p: gfile.GFile(p).read(), IsADirectoryError, "FailedPreconditionError"),
        (lambda p: gfile.listdir(p / "a"), NotADirectoryError, "FailedPreconditionError"),
    ],
)
def test_what_the_system_refuses_is_an_error_of_both(tmp_path, call, error, name):
    from corenn_tensorflow import errors

    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(error) as caught:
        call(tmp_path)
    assert isinstance(caught.value, getattr(errors, name)) and type(caught.value).__name__ == name
    assert str(tmp_path) in str(caught.value) and caught.value.filename is not None and caught.value.errno > 0
    assert (tmp_path / "b").read_text() == "b"


@pytest.mark.parametrize(
    "call",
    [
        lambda p: gfile.GFile(p / "a", "x"),
        lambda p: gfile.exists("gs://bucket/file"),
        lambda p: gfile.GFile("hdfs://host/file"),
        lambda p: gfile.GFile(p / "a", "w").seek(),
    ],
)
def test_wrong_arguments(tmp_path, call):
    with pytest.raises(UsageError):
        call(tmp_path)


def test_overwriting(tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(name)
    gfile.copy(tmp_path / "a", tmp_path / "b", overwrite=True)
    gfile.Rename(tmp_path / "b", tmp_path / "c", True)
    assert (tmp_path / "c").read_text() == "a" and gfile.listdir(tmp_path) == ["a", "c"]
