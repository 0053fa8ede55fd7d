"""What training writes: to files, to the terminal, to a notebook."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corenn import layers as L
from corenn import optimizers
from corenn.training import (
    CSVLogger,
    JSONLinesLogger,
    LambdaCallback,
    LearningRateScheduler,
    Progress,
    Sequential,
    StopOnRequest,
    TensorBoard,
)
from corenn.training.callbacks import progress

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


def fit(*callbacks: Any, epochs: int = 3, **options: Any) -> Any:
    model = Sequential([L.Input((3,)), L.Dense(1, name="out")])
    model.compile(optimizers.SGD(0.1), "mse", ["mae"])
    given = {"validation_data": (X, X[:, :1]), "verbose": 0, **options}
    return model.fit(X, X[:, :1], batch_size=4, epochs=epochs, callbacks=callbacks, **given)


def scripted(**figures: list[float]) -> LambdaCallback:
    def put(epoch: int, logs: Any) -> None:
        logs.clear()
        logs.update({k: v[epoch] for k, v in figures.items() if v[epoch] is not None})

    return LambdaCallback(on_epoch_end=put)


def rows(path: Path, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(path.read_text().splitlines(), delimiter=separator))


# ---------------------------------------------------------------- CSV


def test_csv_has_a_sorted_header_and_a_row_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "log.csv"
    history = fit(CSVLogger(str(path))).history
    found = rows(path)
    assert found[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [row[0] for row in found[1:]] == ["0", "1", "2"]
    assert [float(row[1]) for row in found[1:]] == history["loss"]


def test_csv_fills_in_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    fit(scripted(b=[1.0, 2.0], a=[0.5, None]), CSVLogger(str(path), separator=";"), epochs=2)
    assert rows(path, ";") == [["epoch", "a", "b"], ["0", "0.5", "1.0"], ["1", "NA", "2.0"]]


def test_csv_starts_anew_or_appends(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    for append, epochs in ((False, ["0", "1"]), (True, ["0", "1", "0", "1"]), (False, ["0", "1"])):
        fit(CSVLogger(str(path), append=append), epochs=2)
        assert [row[0] for row in rows(path)] == ["epoch", *epochs]


# ---------------------------------------------------------------- JSON lines


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    history = fit(JSONLinesLogger(str(path), every=2), epochs=2).history
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(r["kind"], r["epoch"], r["step"]) for r in records] == [
        ("step", 0, 2), ("epoch", 0, 3), ("step", 1, 4), ("step", 1, 6), ("epoch", 1, 6)
    ]  # fmt: skip
    assert [r["val_mae"] for r in records if r["kind"] == "epoch"] == history["val_mae"]
    assert all(r["seconds"] >= 0 for r in records)


def test_json_lines_are_json_even_if_figures_are_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    fit(scripted(loss=[math.nan], other=[math.inf]), JSONLinesLogger(str(path)), epochs=1)
    (record,) = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert record["loss"] is None
    assert record["other"] is None


# ---------------------------------------------------------------- TensorBoard


def scalars(where: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard's own loader finds."""
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = loader.EventAccumulator(str(where), size_guidance={"tensors": 0, "scalars": 0, "histograms": 0})
    events.Reload()
    tags = events.Tags()
    found = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]}
    for tag in tags["tensors"]:
        found[tag] = [(e.step, float(e.tensor_proto.float_val[0]) if e.tensor_proto.float_val else math.nan)
                      for e in events.Tensors(tag)]  # fmt: skip
    return found


def test_tensorboard_files(tmp_path: Path) -> None:
    board = TensorBoard(str(tmp_path), histogram_freq=2, write_steps_per_second=True, update_freq=2)
    history = fit(board, LearningRateScheduler(lambda epoch, rate: rate * 0.5)).history
    train, held = scalars(tmp_path / "train"), scalars(tmp_path / "validation")
    assert {"epoch_loss", "epoch_mae", "batch_loss", "batch_mae", "batch_steps_per_second"} <= set(train)
    assert set(held) == {"epoch_loss", "epoch_mae"}
    assert [step for step, _ in train["batch_loss"]] == [2, 4, 6, 8]
    assert [step for step, _ in train["epoch_loss"]] == [0, 1, 2]
    assert [v for _, v in held["epoch_loss"]] == pytest.approx(history["val_loss"], rel=1e-6)
    assert [step for step, _ in train["out/kernel/histogram"]] == [0, 2]


def test_tensorboard_writes_nothing_by_batch_unless_asked(tmp_path: Path) -> None:
    fit(TensorBoard(str(tmp_path)), epochs=1)
    assert not any(tag.startswith("batch_") for tag in scalars(tmp_path / "train"))


# ---------------------------------------------------------------- progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redraw after every step, on a terminal that is one."""
    monkeypatch.setattr(progress, "_THROTTLE", 0.0)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")


def test_a_line_an_epoch_where_there_is_no_terminal(unhurried: None) -> None:
    out = io.StringIO()
    fit(Progress(stream=out), epochs=2)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2  3/3  ")
    for part in ("loss ", "mae ", "val_loss ", "val_mae ", "ms/step"):
        assert part in lines[1]
    assert "\r" not in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_a_bar_on_a_terminal(unhurried: None) -> None:
    out = Terminal()
    fit(Progress(stream=out), epochs=1)
    drawn = out.getvalue().split("\r\x1b[2K")[1:]
    assert len(drawn) == 4  # after each step, and at the end
    assert [d.count("━") for d in drawn] == [8, 16, 24, 0]  # the last line needs the room for its figures
    assert "val_loss" not in drawn[0]
    assert "val_loss" in drawn[-1]
    assert drawn[-1].endswith("\n")


def test_redrawing_is_throttled(monkeypatch: pytest.MonkeyPatch, unhurried: None) -> None:
    monkeypatch.setattr(progress, "_THROTTLE", 3600.0)
    out = Terminal()
    fit(Progress(stream=out), epochs=1)
    assert out.getvalue().count("\r") == 2


def test_a_bar_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, unhurried: None) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    fit(Progress(stream=out), epochs=1)
    assert all(len(part.rstrip("\n")) < 40 for part in out.getvalue().split("\r\x1b[2K"))


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_no_bar_where_nobody_sees_it_move(name: str, value: str, monkeypatch: Any, unhurried: None) -> None:
    monkeypatch.setenv(name, value)
    out = Terminal()
    fit(Progress(stream=out), epochs=1)
    assert "\r" not in out.getvalue()


def test_choosing_bar_or_lines(unhurried: None) -> None:
    pipe, terminal = io.StringIO(), Terminal()
    fit(Progress(1, stream=pipe), epochs=1)
    fit(Progress(2, stream=terminal), epochs=1)
    assert "\r" in pipe.getvalue()
    assert "\r" not in terminal.getvalue()


def test_terminals_without_the_characters(unhurried: None) -> None:
    raw = io.BytesIO()

    class Narrow(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    out = Narrow(raw, encoding="ascii")
    fit(Progress(stream=out), epochs=1)
    out.flush()
    assert raw.getvalue().count(b"=" * 24) == 1


@pytest.mark.parametrize(("verbose", "lines"), [("auto", 2), (2, 2), (0, 0), (False, 0)])
def test_verbose(verbose: Any, lines: int, capsys: Any) -> None:
    fit(epochs=2, verbose=verbose)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == lines


def test_the_reason_for_stopping_is_shown() -> None:
    stop, out = StopOnRequest(), io.StringIO()
    stop.request("SIGTERM: finishing")
    fit(stop, Progress(2, stream=out))
    assert out.getvalue() == "stopped: SIGTERM: finishing\n"


def test_a_notebook_gets_one_display_that_is_updated(monkeypatch: pytest.MonkeyPatch, unhurried: None) -> None:
    shown: list[list[str]] = []

    class Handle:
        def __init__(self, data: Any) -> None:
            self.texts = [data["text/plain"]]
            shown.append(self.texts)

        def update(self, data: Any, raw: bool) -> None:
            assert raw
            self.texts.append(data["text/plain"])

    shell = type("ZMQInteractiveShell", (), {})()
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    display = types.ModuleType("IPython.display")
    display.display = lambda data, raw, display_id: Handle(data)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    fit(epochs=30, verbose="auto")
    assert [len(texts) for texts in shown] == [4 * 30]
    (texts,) = shown
    assert [text.count("\n") for text in texts[:9]] == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    assert [line.split()[1] for line in texts[-1].splitlines()] == [f"{n}/30" for n in range(10, 31)]
    assert "val_loss" in texts[-1].splitlines()[0] and "\x1b" not in "".join(texts) and "\r" not in "".join(texts)
