"""What a report reads of a run, and what it says of directories that are none."""

from __future__ import annotations

import math

import pytest

from corenn.errors import CheckpointError, UsageError
from corenn.training.report import read_run, read_runs


def test_a_run_that_has_ended(make_run):
    lines = make_run.epochs(3, loss=lambda n: 1 / (n + 1), val_loss=lambda n: None if n == 1 else 0.5)
    matrix = make_run.matrix(["a", "ä"], [[3, 1], [0, 4]])
    plots = {"confusion_matrix.png": matrix, "curves.png": make_run.png(Title="nothing")}
    run = read_run(make_run("one", lines, {"accuracy": 0.5}, plots))
    assert run.figures == {"accuracy": 0.5}
    assert [(c.part, c.name, c.by, c.x) for c in run.curves] == [
        (None, "loss", "epoch", [1, 2, 3]), (None, "val_loss", "epoch", [1, 2, 3])
    ]  # fmt: skip
    assert run.curves[0].y == [1.0, 0.5, 1 / 3]
    assert math.isnan(run.curves[1].y[1])
    assert list(run.pictures) == ["curves"]  # the matrix is drawn from its numbers
    assert [(m.name, m.classes, m.counts) for m in run.matrices] == [("confusion_matrix", ["a", "ä"], [[3, 1], [0, 4]])]
    assert run.problems == []


def test_parts_and_steps_are_kept_apart(make_run):
    lines = [
        *make_run.epochs(1, part="head", loss=lambda n: 1.0), *make_run.epochs(2, part="all", loss=lambda n: 2.0),
        {"kind": "step", "part": "all", "step": 5, "seconds": 1, "loss": 3.0}, {"kind": "step", "step": 7, "loss": 4},
    ]  # fmt: skip
    run = read_run(make_run("one", lines))
    assert {(c.part, c.by): (c.x, c.y) for c in run.curves} == {
        ("head", "epoch"): ([1], [1.0]), ("all", "epoch"): ([1, 2], [2.0, 2.0]),
        ("all", "step"): ([5], [3.0]), (None, "step"): ([7], [4.0]),
    }  # fmt: skip
    assert run.figures == {}


def test_what_is_damaged_is_named_and_left_out(make_run):
    out = make_run("one", [{"kind": "epoch", "epoch": 0, "loss": 1.0}, {"kind": "step"}, 3], {}, {
        "broken.png": b"no picture", "good.png": make_run.png(), "matrix.png": make_run.matrix(["a"], [[1, 2]]),
        "cut.png": make_run.png()[:30],
    })  # fmt: skip
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "epoch", "epo')
    (out / "result.json").write_text("{")
    run = read_run(out)
    assert list(run.pictures) == ["cut", "good", "matrix"]
    assert run.matrices == []
    assert run.result is None
    assert [c.x for c in run.curves] == [[1]]
    assert run.problems == [
        "result.json is damaged", "3 lines of metrics.jsonl cannot be read",
        "plots/broken.png is no PNG file",
    ]  # fmt: skip


def test_a_run_that_has_only_begun(make_run):
    out = make_run("one")
    (out / "metrics.jsonl").unlink()
    (out / "plots").rmdir()
    run = read_run(out)
    assert (run.curves, run.pictures, run.matrices, run.problems) == ([], {}, [], [])


@pytest.mark.parametrize(
    ("what", "message", "hint"),
    [
        ("gone", "there is no directory", "corenn run ends"),
        ("empty", "holds no run", "config.json"),
        ("parent", "holds no run", "it holds the runs a, b, c ..."),
        ("file", "holds no run", "config.json"),
        ("damaged", "is damaged", ""),
    ],
)
def test_a_directory_that_is_no_run(make_run, tmp_path, what, message, hint):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name in "abcd":
        make_run(f"parent/{name}")
    (make_run("damaged") / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=message) as caught:
        read_run(tmp_path / what)
    assert "report" in str(caught.value) and "--resume" not in str(caught.value)
    assert hint in (caught.value.hint or "")


def test_labels_tell_runs_apart_and_each_is_read_once(make_run, tmp_path, monkeypatch):
    for name in ("x/one", "y/one", "y/two"):
        make_run(name)
    monkeypatch.chdir(tmp_path)
    runs = read_runs(["x/one", "y/one/", "y/../y/one", "y/two"])
    assert [run.label for run in runs] == ["x/one", "y/one", "two"]
    with pytest.raises(UsageError, match="no run to report on"):
        read_runs([])
