"""Wrong usage: exit status 2, the nearest names, no traceback, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("rnu", ["no command 'rnu'", "did you mean 'run'"]),
        ("run dgits", ["no task is called 'dgits'", "did you mean 'digits'"]),
        ("run --backend nunpy", ["no backend is called 'nunpy'", "'numpy'"]),
        ("run --backend numpy:7", ["has no device 7"]),
        ("run --backend numpy:x", ["not a device", "backend:index"]),
        ("run --dataset digts", ["no dataset is called 'digts'", "did you mean 'digits'"]),
        ("run --dataset blobs", ["not one of labelled images", "mnist"]),
        ("run --data-dir .", ["takes no data directory"]),
        ("run --set epoch=3", ["no setting 'epoch'", "did you mean 'epochs'"]),
        ("run --set epochs", ["key=value"]),
        ("run --set epochs=0", ["epochs must be at least 1, not 0"]),
        ("run --set epochs=-1", ["epochs must be at least 1, not -1"]),
        ("run --set epochs=x", ["epochs takes a whole number, not 'x'"]),
        ("run --set batch_size=0", ["batch_size must be at least 1"]),
        ("run --set learning_rate=0", ["learning_rate must be positive"]),
        ("run --set learning_rate=nan", ["learning_rate takes a finite number"]),
        ("run --set dropout=1", ["dropout must lie in [0, 1)"]),
        ("run --set augment=-1", ["augment not negative"]),
        ("run --set model=cn", ["no model is called 'cn'", "'cnn'"]),
        ("run --set optimizer=adma", ["no optimizer 'adma'", "'adam'"]),
        ("run --set model_options.denes=3", ["takes no 'denes'", "'dense'"]),
        ("run --set model=linear --set model_options.dense=3", ["model 'linear'", "takes no 'dense'"]),
        ("run --set model.dense=3", ["no setting 'model.dense'"]),
        ("run --epochs 0", ["--epochs"]),
        ("run --epochs -1", ["--epochs"]),
        ("run --epochs x", ["--epochs"]),
        ("run --steps 0", ["--steps"]),
        ("run --batch-size 0", ["--batch-size"]),
        ("run --seed -1", ["--seed"]),
        ("run --seed 18446744073709551616", ["--seed"]),
        ("run --epoch 3", ["No such option: --epoch"]),
        ("run digits mnist", ["unexpected extra argument"]),
        ("run digits -- mnist", ["unexpected extra argument", "only scripts take arguments"]),
        ("run train.py", ["train.py: there is no such file"]),
        ("run train.ipynb", ["train.ipynb: there is no such file"]),
        ("run train.py --epochs 3", ["--epochs is an option of tasks", "run train.py -- --epochs"]),
        ("run train.py --lr 3", ["No such option", "come after --"]),
        ("run digits --tf 1", ["--tf is an option of scripts"]),
        ("run --threads 0", ["--threads"]),
        ("run --out file/run", ["cannot write to file", "another directory"]),
        ("tasks dgits", ["no task is called 'dgits'"]),
        ("backends --jsno", ["No such option"]),
        ("conformance", ["--backend"]),
        ("conformance --backend nunpy", ["no backend is called 'nunpy'"]),
        ("conformance --backend numpy --level L9", ["'L9' is not a level", "5:"]),
        ("conformance --backend numpy --pattern nothing/*", ["no case matches 'nothing/*'"]),
    ],
)
def test_wrong_usage_is_status_2_with_the_fix(here, home, args, said):
    Path("file").write_text("")
    found = here(*args.split())
    assert found.status == 2
    assert found.out == ""
    assert "Traceback" not in found.err
    for part in said:
        assert part in " ".join(found.err.split())
    assert sorted(p.name for p in home.iterdir()) == ["file"]


@pytest.mark.parametrize("args", ["run dgits", "run --backend nunpy", "run --set epochs=x", "run --nothing", "nothing"])
def test_the_process_says_the_same(process, args):
    found = process(*args.split())
    assert (found.status, found.out) == (2, "")
    assert found.err and "Traceback" not in found.err


def test_a_backend_that_is_not_available_says_why(here, home):
    from corenn.plugin import registry

    record = registry.get("backend", "cuda")
    reason = record.unavailable_reason()
    if reason is None:
        pytest.skip("cuda is available here")
    for command in ("run", "conformance"):
        found = here(command, "--backend", "cuda")
        assert found.status == 2
        assert reason in found.err and record.install_hint in found.err
    assert list(home.iterdir()) == []


def test_the_environment_names_the_default_backend(here, monkeypatch):
    monkeypatch.setenv("CORENN_BACKEND", "nunpy")
    assert "no backend is called 'nunpy'" in here("run").err


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "does not exist"), (b"<html>", "web page"), (b"\0\0\x08\x03\0\0", "truncated")],
)
def test_data_that_cannot_be_read_is_status_1_with_the_file_and_the_fix(here, home, content, said):
    directory = home / "files"
    if content is not None:
        directory.mkdir()
        for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
            (directory / f"{part}-ubyte").write_bytes(content)
    found = here("run", "--dataset", "mnist", "--data-dir", "files", "--out", "run")
    assert (found.status, found.out) == (1, "")
    assert str(directory) in found.err and said in found.err and "hint:" in found.err
    assert "Traceback" not in found.err
    assert not Path("run").exists()


def test_a_full_disk_is_status_1_without_a_traceback(here, monkeypatch):
    def fail(path, value):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("corenn.training.run.write_json", fail)
    found = here("run", "--out", "run")
    assert found.status == 1
    assert "No space left on device: run/config.json" in found.err and "Traceback" not in found.err


def test_a_bug_keeps_its_traceback(here, monkeypatch):
    monkeypatch.setattr("corenn_cli.listing.show", lambda *args: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        here("tasks")
