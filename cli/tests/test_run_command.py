"""``corenn run``: what it prints and leaves, and how it adapts to the data."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from corenn_cli.app import closing_lines

SHORT = ("--set", "model=mlp", "--epochs", "1", "--steps", "3", "--seed", "1")
KEYS = ["task", "backend", "seed", "steps", "seconds", "metrics", "out"]


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_progress_goes_to_stderr_and_the_result_to_stdout(process, home, quiet, as_json):
    found = process("run", "digits", *SHORT, "--out", "one", *quiet, *as_json)
    assert found.status == 0
    (line,) = found.out.splitlines()
    if as_json:
        result = json.loads(line)
        assert list(result) == KEYS
        assert (result["task"], result["seed"], result["steps"], result["out"]) == ("digits", 1, 3, "one")
        assert 0 <= result["metrics"]["test_accuracy"] <= 1
        assert json.loads((home / "one/result.json").read_text()) == result
    else:
        assert re.fullmatch(r"test_accuracy 0\.\d{4}  test_loss \d\.\d{4}  \(3 steps, [\d.]+ s\)  one", line)
    if quiet:
        assert found.err == ""
    else:
        # Lines, not a bar: stderr is no terminal.
        lines = found.err.splitlines()
        assert lines[0].startswith("digits: 1437 training and 360 test images on ")
        assert lines[1].startswith("epoch 1/1  3/45  ") and "\r" not in found.err and "\x1b" not in found.err


def test_many_figures_stand_below_one_another():
    figures = {f"{'long_' * n}name": n / 8 for n in range(5)}
    *lines, last = closing_lines({"metrics": figures, "steps": 3, "seconds": 1.25, "out": "runs/one"})
    assert [line.split() for line in lines] == [[name, f"{value:.4f}"] for name, value in figures.items()]
    assert len({len(line) for line in lines}) == 1
    assert last == "(3 steps, 1.2 s)  runs/one"


def test_a_run_leaves_everything_in_its_directory(process, home):
    found = process(
        "run", *SHORT, "--batch-size", "64", "--set", "augment=0", "--set", "model_options.hidden=8,4", "--json"
    )
    result = json.loads(found.out)
    out = home / result["out"]
    assert re.fullmatch(r"runs/digits-\d{8}-\d{6}", result["out"])
    config = json.loads((out / "config.json").read_text())
    assert config["settings"] | {"batch_size": 64, "augment": 0.0, "steps": 3, "epochs": 1} == config["settings"]
    assert config["settings"]["model_options"] == {"hidden": [8, 4]}
    assert (config["task"], config["dataset"], config["seed"], config["data_dir"]) == ("digits", "digits", 1, None)
    assert set(config["versions"]) == {"python", "numpy", "corenn"}
    assert config["command"].endswith("--set model_options.hidden=8,4 --json")
    (line,) = (out / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["val_accuracy"] == pytest.approx(result["metrics"]["test_accuracy"])
    plots = {p.name: p.read_bytes()[:8] for p in (out / "plots").iterdir()}
    assert plots == dict.fromkeys(
        ("learning_curves.png", "confusion_matrix.png", "sample_predictions.png"), b"\x89PNG\r\n\x1a\n"
    )
    assert list((out / "checkpoints").glob("step-00000003.safetensors"))
    assert {p.name for p in (out / "events").iterdir() if p.is_dir()} == {"train", "validation"}


def test_tensorboard_reads_the_run(here, home):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    here("run", *SHORT, "--out", "one", "--quiet")
    read = accumulator.EventAccumulator(str(home / "one/events"), size_guidance={"images": 0, "tensors": 0})
    read.Reload()
    tags = read.Tags()
    assert {"test_accuracy", "test_loss"} <= set(tags["tensors"]) | set(tags["scalars"])
    assert "mistakes" in set(tags["images"]) | set(tags["tensors"])
    nodes = {node.name: list(node.input) for node in read.Graph().node}
    assert nodes["input"] == [] and ["input"] in nodes.values()
    assert any("hparams" in tag for tag in [*tags["tensors"], *read.summary_metadata])


def test_the_seed_makes_a_run_repeatable(here):
    results = [json.loads(here("run", *SHORT, "--out", f"run{i}", "--json", "--quiet").out) for i in range(2)]
    assert results[0]["metrics"] == results[1]["metrics"]


def write_images(directory: Path, size: int, train: int, test: int) -> None:
    """Tiny IDX files in the layout of MNIST: a bright square whose place tells the class."""
    idx = pytest.importorskip("corenn_datasets.idx")
    directory.mkdir()
    for part, count in (("train", train), ("t10k", test)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.zeros((count, size, size), np.uint8)
        for image, label in zip(images, labels, strict=True):
            row, column = divmod(int(label), 4)
            image[row * 7 : row * 7 + 6, column * 7 : column * 7 + 6] = 255
        idx.write_idx(directory / f"{part}-images-idx3-ubyte", images)
        idx.write_idx(directory / f"{part}-labels-idx1-ubyte.gz", labels)


@pytest.mark.parametrize(("dataset", "last"), [("mnist", "9"), ("fashion_mnist", "ankle boot")])
def test_the_task_adapts_to_images_of_another_size_and_other_classes(here, home, monkeypatch, dataset, last):
    write_images(home / "images", 28, 120, 30)
    drawn = {}
    from corenn.training import plots

    monkeypatch.setattr(
        plots.Plots, "confusion_matrix", lambda self, truth, guess, classes: drawn.update(classes=classes)
    )
    easy = ("model_options.filters=4,8", "model_options.dense=0", "augment=0", "learning_rate=0.02")
    options = ["--epochs", "8", "--seed", "0", *(part for setting in easy for part in ("--set", setting))]
    found = here("run", "--dataset", dataset, "--data-dir", "images", "--out", "one", "--json", *options)
    assert found.status == 0, found.err
    assert found.err.startswith(f"{dataset}: 120 training and 30 test images")
    assert json.loads(found.out)["metrics"]["test_accuracy"] > 0.9
    assert drawn["classes"][-1] == last
    assert json.loads((home / "one/config.json").read_text())["data_dir"] == str(home / "images")


def test_without_matplotlib_a_run_says_so_once_and_succeeds(process, home):
    code = "import sys; sys.modules['matplotlib'] = None; from corenn_cli.main import main; main()"
    for quiet in ((), ("--quiet",)):
        out = f"one{len(quiet)}"
        found = process("run", *SHORT, "--out", out, "--json", *quiet, command=[sys.executable, "-c", code])
        assert found.status == 0
        assert list(json.loads(found.out)) == KEYS
        assert found.err.count("pip install 'corenn[plots]'") == 1
        assert not (home / out / "plots").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
@pytest.mark.parametrize(("width", "term"), [(100, "xterm"), (40, "xterm"), (100, "dumb")])
def test_on_a_terminal_there_is_a_bar_that_is_redrawn(home, monkeypatch, width, term):
    import fcntl
    import pty
    import struct
    import subprocess
    import termios

    monkeypatch.setenv("TERM", term)
    for name in ("CI", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    slow = ("--set", "model=mlp", "--batch-size", "1", "--epochs", "2")  # slow enough to draw often
    command = [sys.executable, "-m", "corenn_cli.main", "run", *slow, "--out", "one"]
    environment = dict(os.environ)  # explicitly: readline may have put COLUMNS where Python does not see it
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=home, env=environment)
    os.close(slave)
    shown = b""
    try:
        while chunk := _read(master):
            shown += chunk
        assert process.wait(1200) == 0
    finally:
        process.kill()
        os.close(master)
    text = shown.decode()
    assert "Traceback" not in text
    lines = text.replace("\r\n", "\n").splitlines()
    ended = [line.rpartition("\x1b[2K")[2] for line in text.replace("\r\n", "\n").split("\n")]
    assert sum(line.startswith("epoch 1/2  1437/1437") for line in ended) == 1
    assert sum(line.startswith("epoch 2/2  1437/1437") for line in ended) == 1
    assert ended[-2].startswith("test_accuracy")
    if term == "dumb":
        assert "\x1b" not in text and "━" not in text and lines
    else:
        drawn = [line for line in re.split(r"[\r\n]", text) if line.startswith("\x1b[2Kepoch")]
        assert len(drawn) > 2, "the bar was not redrawn"
        assert any("━" in line and "─" in line for line in drawn)
        assert [line for line in drawn if len(line.removeprefix("\x1b[2K")) >= width] == []


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # Linux answers EIO when the other side is closed
        return b""
