"""Runs: their directory, what resuming allows, signals, and what a task is given."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from corenn import layers, summary
from corenn.checkpoint import CheckpointManager
from corenn.data import Dataset
from corenn.errors import BackendError, CheckpointError, DataError, UsageError
from corenn.plugin import DatasetRecord, ModelRecord, TaskRecord, hookimpl, registry
from corenn.training import LambdaCallback, Sequential
from corenn.training.run import Interrupted, Run
from corenn.training.run_directory import RunLock, claim, unfinished
from corenn.training.task import Settings, Task

X = np.linspace(-1, 1, 40, dtype=np.float32).reshape(10, 4)
BARE = {"task": "small-test", "backend": "numpy", "seed": 1, "dataset": None, "data_dir": None, "settings": {}}
Y = (X.sum(-1, keepdims=True) > 0).astype(np.float32)


@dataclasses.dataclass
class SmallSettings(Settings):
    epochs: int = 3
    batch_size: int = 2
    units: int = 3


class Small(Task):
    """Fits a small network in five steps an epoch; ``at`` says what happens when."""

    Settings: ClassVar[type[Settings]] = SmallSettings
    at: ClassVar[dict] = {}

    def happen(self, moment):
        self.at.get(moment, lambda: None)()

    def run(self, run):
        self.happen("before")
        hidden = layers.Dense(run.settings.units, activation="tanh")
        model = Sequential([layers.Input((4,)), hidden, layers.Dropout(0.2), layers.Dense(1)])
        model.compile("adam", loss="mse")
        watch = LambdaCallback(on_train_batch_end=lambda batch, logs: self.happen(watch.loop.total_steps))
        data = Dataset.from_tensor_slices((X, Y)).shuffle(seed=run.seed).batch(run.settings.batch_size)
        history = run.fit(model, data, callbacks=[watch])
        self.happen("after")
        assert history.loop.total_steps == run.steps
        return {"loss": history.history["loss"][-1]}


class Other(Small):
    """Another name."""


def load_points(data_dir=None, *, count=3):
    """A data set that wants no progress."""
    return data_dir, count


def load_from_web(*, progress=None):
    """A data set that reports progress and takes no directory."""
    for received in (0, 500_000, 2_000_000):
        progress("points.gz", received, 2_000_000)
    return "points"


def build(input_shape, classes, width=3):
    """A model of a plugin."""
    return input_shape, classes, width


class Plugin:
    @hookimpl
    def corenn_tasks(self):
        return [TaskRecord(n, f"{__name__}:{c}", n) for n, c in (("small-test", "Small"), ("other-test", "Other"))]

    @hookimpl
    def corenn_datasets(self):
        found = {"points-test": "load_points", "web-test": "load_from_web"}
        return [DatasetRecord(name, f"{__name__}:{attribute}", name) for name, attribute in found.items()]

    @hookimpl
    def corenn_models(self):
        return [ModelRecord("boxes-test", f"{__name__}:build", "boxes")]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CORENN_BACKEND", raising=False)
    monkeypatch.setattr(Small, "at", {})
    registry.register(Plugin(), "runs-test")
    yield tmp_path
    registry.unregister("runs-test")


def start(name="small-test", **options):
    return Run.start(name, **{"seed": 5, "quiet": True, **options})


def resume(which, *names, **options):
    return Run.resume(which, *names, **{"quiet": True, **options})


def stop(signum=signal.SIGTERM):
    os.kill(os.getpid(), signum)


def last_state(out):
    """The tensors of the last checkpoint: weights and optimizer."""
    return CheckpointManager(Path(out) / "checkpoints").load().tensors


def assert_same_state(one, other):
    first, second = last_state(one), last_state(other)
    assert first.keys() == second.keys()
    assert any("weights" in name for name in first)
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name


# ---- a whole run


def test_a_run_leaves_its_settings_figures_checkpoints_and_events():
    run = start(out="one", changes={"epochs": "2"})
    config = json.loads(Path("one/config.json").read_text())
    settings = {"epochs": 2, "steps": 0, "batch_size": 2, "checkpoint_every": 0, "histograms": 0, "units": 3}
    assert config["settings"] == settings
    assert {k: config[k] for k in ("task", "backend", "seed", "dataset", "data_dir")} == {
        "task": "small-test", "backend": run.device.name, "seed": 5, "dataset": None, "data_dir": None,
    }  # fmt: skip
    assert not run.finished
    result = run.execute()
    assert run.finished
    assert set(result) == {"task", "backend", "seed", "steps", "seconds", "metrics", "out"}
    assert (result["task"], result["seed"], result["steps"], result["out"]) == ("small-test", 5, 10, "one")
    assert json.loads(Path("one/result.json").read_text()) == result
    lines = [json.loads(line) for line in Path("one/metrics.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(0, 5), (1, 10)]
    assert lines[-1]["loss"] == result["metrics"]["loss"]
    assert sorted(p.name for p in Path("one/checkpoints").glob("*.safetensors"))[-1] == "step-00000010.safetensors"


def test_the_event_files_hold_the_settings_once_and_the_final_figures():
    result = start(out="one", changes={"epochs": 1}).execute()
    resume("one", changes={"epochs": 2}).execute()
    events = [e for file in sorted(Path("one/events").glob("*tfevents*")) for e in summary.read_events(file)]
    tags = [e.tag for e in events if e.tag]
    assert sum("session_start" in tag for tag in tags) == 1
    assert sum("session_end" in tag for tag in tags) == 2
    finals = {e.step: float(e.value) for e in events if e.tag == "loss"}
    assert set(finals) == {5, 10}
    assert finals[5] == pytest.approx(result["metrics"]["loss"])
    assert any(
        "epoch_loss" in str(e.tag) for file in Path("one/events/train").iterdir() for e in summary.read_events(file)
    )


def test_the_seed_decides_the_run():
    runs = {seed: start(out=f"seed{seed}{again}", seed=seed).execute() for seed in (1, 2) for again in "ab"}
    assert_same_state("seed1a", "seed1b")
    assert runs[1]["metrics"] != runs[2]["metrics"]
    drawn = {Run.start("small-test", out=f"any{i}", quiet=True).seed for i in range(3)}
    assert len(drawn) == 3


def test_steps_end_a_run_early_and_more_steps_continue_it():
    assert start(out="whole", changes={"steps": 12}).execute()["steps"] == 12
    assert start(out="parts", changes={"steps": 4}).execute()["steps"] == 4
    assert resume("parts", changes={"steps": 12}).execute()["steps"] == 12
    assert_same_state("whole", "parts")


# ---- the directory


def test_a_directory_holds_one_run():
    start(out="one").execute()
    with pytest.raises(UsageError, match="holds a run already") as caught:
        start(out="one")
    assert "--resume one" in caught.value.hint


def test_runs_of_one_second_get_directories_of_their_own(monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda form: "20260102-030405")
    found = [claim(None, "small") for _ in range(3)]
    assert [str(path) for path, _ in found] == [f"runs/small-20260102-030405{end}" for end in ("", "-2", "-3")]


def test_a_place_that_cannot_be_written_is_refused():
    Path("file").write_text("")
    with pytest.raises(UsageError, match="cannot write to file") as caught:
        start(out="file/one")
    assert "another directory" in caught.value.hint


def test_nothing_is_left_behind_when_a_run_cannot_begin(monkeypatch):
    for wrong in (
        {"backend": "nunpy"},
        {"dataset": "digts"},
        {"changes": {"units": "x"}},
        {"seed": -1},
        {"seed": 1 << 64},
    ):
        with pytest.raises((UsageError, BackendError)):
            start(out="one", **wrong)
    assert not Path("one").exists()

    def fail():
        raise DataError("data.bin", "is truncated")

    monkeypatch.setattr(Small, "at", {"before": fail})
    with pytest.raises(DataError):
        start(out="one").execute()
    assert not Path("one").exists()
    monkeypatch.setattr(Small, "at", {})
    assert start(out="one").execute()["steps"] == 15


def test_a_run_that_fails_later_keeps_its_directory_and_can_continue(monkeypatch):
    def fail():
        raise RuntimeError("a bug")

    start(out="whole").execute()
    monkeypatch.setattr(Small, "at", {12: fail})
    with pytest.raises(RuntimeError):
        start(out="one").execute()
    assert Path("one/config.json").exists() and not Path("one/result.json").exists()
    monkeypatch.setattr(Small, "at", {})
    resume("one").execute()
    assert_same_state("whole", "one")


def test_a_run_in_use_is_left_to_the_process_that_has_it():
    run = start(out="runs/one")
    with pytest.raises(UsageError, match="in use by another process"):
        resume("runs/one")
    assert resume("auto") is None
    run.execute()
    assert resume("runs/one").finished


def test_the_newest_unfinished_run_of_the_task_is_continued():
    for at, (name, task) in enumerate(
        [("a", "small-test"), ("b", "other-test"), ("c", "small-test"), ("d", "other-test")]
    ):
        run = start(task, out=f"runs/{name}")
        if name == "d":
            run.execute()
        run._lock.release()
        os.utime(f"runs/{name}/config.json", (at, at))
    Path("runs/e").mkdir()
    Path("runs/e/config.json").write_text("{")
    assert [p.name for p in unfinished(Path("runs"), None)] == ["c", "b", "a"]
    for name, expected in (("small-test", "runs/c"), ("other-test", "runs/b"), (None, "runs/c")):
        found = resume("auto", name)
        assert str(found.out) == expected
        found._lock.release()
        os.utime(f"{expected}/config.json", (2, 2) if expected == "runs/c" else (1, 1))
    assert resume("auto", out="runs/none") is None


# ---- resuming


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "holds no run"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"task": "small-test"}', "damaged"),
        (json.dumps({**BARE, "settings": {"gone": 1}}), "no setting 'gone'"),
        (json.dumps({**BARE, "task": "gone-test"}), "no task is called 'gone-test'"),
    ],
)
def test_a_directory_without_a_good_config_cannot_be_resumed(content, what):
    """``content`` stands in config.json; None is a directory without one."""
    Path("one").mkdir()
    if content is not None:
        Path("one/config.json").write_text(content)
    with pytest.raises((CheckpointError, UsageError), match=what):
        resume("one")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"name": "other-test"}, "a run of 'small-test', not of 'other-test'"),
        ({"changes": {"units": "4"}}, "has units=3, and continues with it, not with 4"),
        ({"changes": {"batch_size": 3}}, "has batch_size=2"),
        ({"changes": {"epohcs": 3}}, "no setting 'epohcs'"),
        ({"changes": {"epochs": 0}}, "at least 1"),
        ({"seed": 6}, "has 5, not 6"),
        ({"dataset": "points-test"}, "not 'points-test'"),
        ({"out": "two"}, "continues in one"),
        ({"backend": "nunpy"}, "no backend is called 'nunpy'"),
    ],
)
def test_a_run_keeps_what_decides_its_steps(options, what):
    start(out="one").execute()
    before = Path("one/config.json").read_bytes()
    with pytest.raises((UsageError, BackendError), match=what):
        resume("one", **options)
    assert Path("one/config.json").read_bytes() == before
    assert Path("one/result.json").exists()


def test_the_same_values_may_be_given_again():
    start(out="one", changes={"epochs": 1}).execute()
    found = resume("one", "small-test", seed=5, out=Path("one").absolute(), changes={"units": "3", "epochs": "1"})
    assert found.finished


def test_a_finished_run_gives_its_result_again(monkeypatch):
    result = start(out="one").execute()
    monkeypatch.setattr(Small, "at", {"before": lambda: pytest.fail("it ran again")})
    assert resume("one").execute() == result


def test_more_epochs_prolong_a_finished_run():
    start(out="one", changes={"epochs": 2}).execute()
    run = resume("one", changes={"epochs": 4}, data_dir="moved")
    assert not run.finished
    assert run.execute()["steps"] == 20
    config = json.loads(Path("one/config.json").read_text())
    assert config["settings"]["epochs"] == 4
    assert config["data_dir"] == str(Path("moved").absolute())
    assert len(config["resumed"]) == 1
    steps = [json.loads(line)["step"] for line in Path("one/metrics.jsonl").read_text().splitlines()]
    assert steps == [5, 10, 15, 20]


# ---- signals


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", [1, 5, 8, 15, "after"])
def test_a_signal_finishes_the_step_saves_and_the_resumed_run_is_the_same(monkeypatch, capfd, moment, signum):
    whole = start(out="whole").execute()
    monkeypatch.setattr(Small, "at", {moment: lambda: stop(signum)})
    with pytest.raises(Interrupted) as caught:
        start(out="one").execute()
    assert (caught.value.signum, caught.value.out) == (signum, Path("one"))
    assert not Path("one/result.json").exists()
    assert "finishing this step" in capfd.readouterr().err
    assert signal.getsignal(signum) is not None and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if isinstance(moment, int):
        assert CheckpointManager("one/checkpoints").load().metadata["step"] == moment
    monkeypatch.setattr(Small, "at", {})
    assert resume("one").execute()["metrics"] == whole["metrics"]
    assert_same_state("whole", "one")
    steps = [json.loads(line)["step"] for line in Path("one/metrics.jsonl").read_text().splitlines()]
    assert steps == [5, 10, 15]


def test_a_signal_before_the_first_step_leaves_a_run_to_continue(monkeypatch):
    start(out="whole").execute()
    monkeypatch.setattr(Small, "at", {"before": stop, 1: lambda: pytest.fail("a step was made")})
    with pytest.raises(Interrupted):
        start(out="one").execute()
    monkeypatch.setattr(Small, "at", {})
    assert resume("one").execute()["steps"] == 15
    assert_same_state("whole", "one")


def test_a_second_signal_ends_at_once(monkeypatch):
    def twice():
        stop(signal.SIGINT)
        stop(signal.SIGTERM)

    monkeypatch.setattr(Small, "at", {7: twice})
    run = start(out="one")
    with pytest.raises(KeyboardInterrupt):
        run.execute()
    assert run.signum == signal.SIGTERM
    monkeypatch.setattr(Small, "at", {})
    assert resume("one").execute()["steps"] == 15


def test_signals_are_left_alone_in_other_threads():
    done = []
    thread = threading.Thread(target=lambda: done.append(start(out="one").execute()))
    thread.start()
    thread.join()
    assert done[0]["steps"] == 15


# ---- what a task is given


def test_a_run_fits_once(monkeypatch):
    run = start(out="one")
    monkeypatch.setattr(Small, "run", lambda self, run: [run.fit(*_fitted()) for _ in range(2)])
    with pytest.raises(UsageError, match="once"):
        run.execute()


def _fitted():
    model = Sequential([layers.Dense(1)])
    model.compile("sgd", loss="mse")
    return model, X, Y


def test_the_batch_size_is_used_for_arrays(monkeypatch):
    run = start(out="one", changes={"batch_size": 5, "epochs": 1})
    monkeypatch.setattr(Small, "run", lambda self, run: {"steps": run.fit(*_fitted()).loop.total_steps})
    assert run.execute()["steps"] == 2


def test_data_sets_get_what_they_take(capsys):
    run = start(out="one", dataset="points-test", data_dir="~/there")
    assert run.dataset(count=4) == (str(Path("~/there").expanduser()), 4)
    run = start(out="two", dataset="web-test", quiet=False)
    assert run.dataset() == "points"
    assert capsys.readouterr().err == "points.gz: 2.0 of 2.0 MB\n"
    with pytest.raises(UsageError, match="takes no 'data_dir'"):
        start(out="three", dataset="web-test", data_dir="here").dataset()
    with pytest.raises(UsageError, match="needs a data set"):
        start(out="four").dataset()


def test_models_get_what_they_take():
    run = start(out="one")
    assert run.model("boxes-test", input_shape=(2,), classes=3) == ((2,), 3, 3)
    with pytest.raises(UsageError, match="takes no 'widht'") as caught:
        run.model("boxes-test", input_shape=(2,), classes=3, widht=4)
    assert "'width'" in caught.value.hint
    with pytest.raises(UsageError, match="no model is called 'boxs-test'"):
        run.model("boxs-test")


def test_the_environment_names_the_backend_unless_the_caller_does(monkeypatch):
    monkeypatch.setenv("CORENN_BACKEND", "nunpy")
    with pytest.raises(BackendError, match="nunpy"):
        start(out="one")
    assert start(out="one", backend="auto").device.name


def test_quiet_runs_say_nothing_but_warnings(capsys):
    run = start(out="one")
    run.say("a line")
    run.warn("a warning")
    assert capsys.readouterr().err == "a warning\n"


def test_a_lock_is_let_go_when_its_holder_is_gone(tmp_path):
    lock = RunLock(tmp_path)
    with pytest.raises(UsageError):
        RunLock(tmp_path)
    del lock
    with contextlib.suppress(UsageError):
        RunLock(tmp_path).release()
        return
    pytest.fail("the lock outlived its holder")
