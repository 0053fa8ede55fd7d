"""Runs of several trainings and of hand-written loops: what they write, and that they resume to the same bits."""

from __future__ import annotations

import dataclasses
import json
import os
import random as python_random
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import corenn
from corenn import layers, optimizers, random, summary
from corenn.checkpoint import CheckpointManager
from corenn.data import Dataset
from corenn.errors import AttributeValueError, CheckpointError, UsageError
from corenn.plugin import TaskRecord, hookimpl, registry
from corenn.testing import register_doubles
from corenn.testing.runs import logged_figures
from corenn.training import Callback, EarlyStopping, LambdaCallback, Sequential
from corenn.training.run import Interrupted, Run
from corenn.training.run_view import RunView
from corenn.training.task import Settings, Task

X = np.linspace(-1, 1, 40, dtype=np.float32).reshape(10, 4)
Y = (X.sum(-1, keepdims=True) > 0).astype(np.float32)


@dataclasses.dataclass
class ManySettings(Settings):
    epochs: int = 3
    batch_size: int = 2
    rounds: int = 12
    kill: str = ""  # the moment at which the process kills itself


class Many(Task):
    """Two heads on one body, trained one after the other, and a loop by hand after them: everything has state."""

    Settings: ClassVar[type[Settings]] = ManySettings
    at: ClassVar[dict[str, Any]] = {}
    ended: ClassVar[dict[str, Any]] = {}

    def run(self, run):
        def happen(moment):
            if run.settings.kill == moment and not run.resumed:
                os.kill(os.getpid(), signal.SIGKILL)
            self.at.get(moment, lambda: None)()

        body = layers.Dense(5, activation="tanh")
        data = Dataset.from_tensor_slices((X, Y)).shuffle().batch(run.settings.batch_size)
        figures, histories = {}, {}
        for name in ("plain", "wide"):
            happen(f"before {name}")
            head = [layers.Dropout(0.2), layers.Dense(1)] if name == "plain" else [layers.Dense(7), layers.Dense(1)]
            model = Sequential([layers.Input((4,)), body, *head])
            model.compile("adam", loss="mse")
            history = run.fit(model, data, part=name, callbacks=[watching(name, happen)], validation_data=(X, Y))
            assert history.loop.total_steps == (run.settings.steps or 5 * run.settings.epochs)
            histories[name] = history.history
            figures[f"{name}_loss"] = history.history["loss"][-1]
        happen("between")
        figures |= by_hand(run, happen)
        happen("after")
        self.ended.update(histories=histories, drawn=random.uniform([3]).numpy().tolist())
        return figures


def watching(name, happen):
    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: happen(f"{name} {watch.loop.total_steps}"))
    return watch


def by_hand(run, happen):
    """A linear fit by a tape, with noise from three generators, an optimizer, and lists that grow."""
    w = corenn.Variable(np.zeros((4, 1), np.float32), name="w")
    optimizer = optimizers.Adam(0.05)
    noise, luck, own = np.random.default_rng(run.seed), python_random.Random(run.seed), random.Generator(3)
    mean, recent, counts = np.zeros(1), deque(maxlen=4), {"large": 0}
    loop = run.loop(
        "by-hand", w=w, optimizer=optimizer, noise=noise, luck=luck, own=own, mean=mean, recent=recent, counts=counts
    )
    for step in loop.steps(run.settings.rounds):
        happen(f"loop {step}")
        x = X + noise.normal(size=X.shape).astype(np.float32) + luck.random()
        x = x + random.normal([10, 4]).numpy() * 0.1 + random.normal([10, 4], generator=own).numpy()
        with corenn.GradientTape() as tape:
            loss = corenn.mean(corenn.square(corenn.matmul(x.astype(np.float32), w) - Y))
        optimizer.apply_gradients([(tape.gradient(loss, w), w)])
        mean += float(loss)
        recent.append(float(loss))
        counts["large"] += float(loss) > 1
        loop.log(step + 1, loss=loss, mean=mean[0])
        happen(f"logged {step}")
        if len(loop.records) == 100:
            loop.stop()
    steps, losses = loop.curve("loss")
    assert steps == list(range(1, loop.done + 1)) and list(recent) == losses[-4:]
    return {"hand_loss": losses[-1], "mean": mean[0], "large": counts["large"], "w": float(w.numpy().sum())}


class Plugin:
    @hookimpl
    def corenn_tasks(self):
        return [TaskRecord("many-test", f"{__name__}:Many", "several trainings")]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CORENN_BACKEND", raising=False)
    monkeypatch.setattr(Many, "at", {})
    monkeypatch.setattr(Many, "ended", {})
    registry.register(Plugin(), "parts-test")
    yield tmp_path
    registry.unregister("parts-test")


def start(out="one", **changes):
    return Run.start("many-test", out=out, seed=5, quiet=True, changes=changes)


def resume(out="one", **changes):
    return Run.resume(out, quiet=True, changes=changes)


def stop(signum=signal.SIGTERM):
    os.kill(os.getpid(), signum)


def crash():
    raise RuntimeError("a crash")


PARTS = ("plain", "wide", "by-hand")


def assert_same(one, other):
    """Figures, lines and the last state of every part, bit for bit."""
    results = [json.loads((Path(out) / "result.json").read_text()) for out in (one, other)]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert results[0]["steps"] == results[1]["steps"]
    for part in PARTS:
        assert [r for r in logged_figures(one) if r["part"] == part] == [
            r for r in logged_figures(other) if r["part"] == part
        ]
        states = [CheckpointManager(Path(out) / "checkpoints" / part).load() for out in (one, other)]
        assert states[0].tensors.keys() == states[1].tensors.keys()
        for name, value in states[0].tensors.items():
            assert value.tobytes() == states[1].tensors[name].tobytes(), (part, name)
        if part == "by-hand":
            assert states[0].metadata == states[1].metadata


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody stopped, how it ended, and the same in steps that end within an epoch."""
    registry.register(Plugin(), "parts-test-whole")
    place = tmp_path_factory.mktemp("whole")
    found = {}
    for name, changes in (("all", {}), ("short", {"steps": 8})):
        Many.ended.clear()
        start(place / name, **changes).execute()
        found[name] = place / name, dict(Many.ended)
    Many.ended.clear()
    registry.unregister("parts-test-whole")
    return found


# ---- what is written


def test_each_part_has_checkpoints_events_and_lines(whole):
    out, _ = whole["all"]
    result = json.loads((out / "result.json").read_text())
    assert result["steps"] == 15 + 15 + 12
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == sorted(PARTS)
    found = logged_figures(out)
    assert [(r["part"], r["kind"], r["step"]) for r in found] == [
        *(("plain", "epoch", n) for n in (5, 10, 15)), *(("wide", "epoch", n) for n in (5, 10, 15)),
        *(("by-hand", "step", n) for n in range(1, 13)),
    ]  # fmt: skip
    assert found[2]["loss"] == result["metrics"]["plain_loss"]
    assert "epoch" not in found[-1]
    for part in ("plain/train", "plain/validation", "wide/train", "wide/validation", "by-hand"):
        events = [e for file in (out / "events" / part).iterdir() for e in summary.read_events(file)]
        wanted = "loss" if part == "by-hand" else "epoch_loss"
        assert sum(e.tag == wanted for e in events) == (12 if part == "by-hand" else 3), part


def test_steps_end_each_part(whole):
    out, ended = whole["short"]
    assert json.loads((out / "result.json").read_text())["steps"] == 24
    assert [r["step"] for r in logged_figures(out)] == [5, 8, 5, 8, *range(1, 9)]
    assert [len(h["loss"]) for h in ended["histories"].values()] == [2, 2]


# ---- resuming

MOMENTS = [
    "before plain", "plain 1", "plain 5", "plain 7", "plain 15", "before wide", "wide 1", "wide 8", "wide 15",
    "between", "loop 0", "loop 4", "logged 4", "logged 5", "loop 11", "logged 11", "after",
]  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("event", "raised", "often"), [(stop, Interrupted, 0), (crash, RuntimeError, 3)])
def test_a_run_stopped_at_any_moment_goes_on_to_the_same_end(monkeypatch, whole, moment, event, raised, often):
    """A signal ends it after the step and saves; a crash leaves the checkpoints there are."""
    monkeypatch.setattr(Many, "at", {moment: event})
    with pytest.raises(raised):
        start(checkpoint_every=often).execute()
    monkeypatch.setattr(Many, "at", {})
    if Path("one").exists():  # a crash before anything was kept leaves nothing
        resume().execute()
    else:
        start(checkpoint_every=often).execute()
    assert_same(whole["all"][0], "one")
    assert logged_figures(whole["all"][0]) == logged_figures("one")
    assert Many.ended == whole["all"][1]


@pytest.mark.parametrize("moment", ["plain 8", "wide 3", "wide 8", "loop 3", "after"])
def test_a_run_cut_short_by_steps_is_resumed_with_all_its_figures(monkeypatch, whole, moment):
    monkeypatch.setattr(Many, "at", {moment: crash})
    with pytest.raises(RuntimeError):
        start(steps=8).execute()
    monkeypatch.setattr(Many, "at", {})
    resume().execute()
    assert_same(whole["short"][0], "one")
    assert Many.ended == whole["short"][1]


def test_parts_that_had_ended_are_not_trained_again(monkeypatch, whole):
    monkeypatch.setattr(Many, "at", {"wide 8": stop})
    with pytest.raises(Interrupted):
        start().execute()
    trained = []
    watched = {f"{part} {step}": (lambda p=part: trained.append(p)) for part in ("plain", "wide") for step in range(16)}
    monkeypatch.setattr(Many, "at", watched)
    resume().execute()
    assert trained == ["wide"] * 7


def test_stopped_again_and_again(monkeypatch, whole):
    run = start()
    for moment in ("plain 2", "plain 13", "wide 5", "loop 2", "loop 9"):
        monkeypatch.setattr(Many, "at", {moment: stop})
        with pytest.raises(Interrupted):
            run.execute()
        run = resume()
    monkeypatch.setattr(Many, "at", {})
    run.execute()
    assert_same(whole["all"][0], "one")


def test_more_steps_prolong_a_loop(whole):
    start(steps=8).execute()
    resume(steps=0).execute()
    assert [r["step"] for r in logged_figures("one") if r["part"] == "by-hand"] == list(range(1, 13))
    assert json.loads(Path("one/result.json").read_text())["steps"] == 42


SCRIPT = """
import sys
sys.path.insert(0, {here!r})
import test_run_parts as T
from corenn.plugin import registry
registry.register(T.Plugin(), "parts-test")
(T.resume("one") if "resume" in sys.argv else T.start("one", kill=sys.argv[1], checkpoint_every=3)).execute()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("moment", ["plain 7", "wide 1", "wide 14", "loop 2", "logged 8", "after"])
def test_a_killed_process_continues_to_the_same_end(whole, moment):
    Path("script.py").write_text(SCRIPT.format(here=str(Path(__file__).parent)))
    assert subprocess.run([sys.executable, "script.py", moment], check=False).returncode == -signal.SIGKILL
    assert not Path("one/result.json").exists()
    subprocess.run([sys.executable, "script.py", "resume"], check=True)
    assert_same(whole["all"][0], "one")


def test_on_another_device(monkeypatch):
    register_doubles()
    ends = []
    for out, moments in (("whole", {}), ("parts", {"wide 8": stop}), ("loop", {"loop 5": stop})):
        monkeypatch.setattr(Many, "at", moments)
        run = Run.start("many-test", out=out, seed=5, backend="simulated:1", quiet=True)
        if moments:
            with pytest.raises(Interrupted):
                run.execute()
            monkeypatch.setattr(Many, "at", {})
            run = resume(out)
        ends.append(run.execute())
    assert {run["backend"] for run in ends} == {"simulated:1"}
    assert_same("whole", "parts")
    assert_same("whole", "loop")


# ---- callbacks of a part


class Count(Callback):
    """Counts steps, and adds the count to the figures."""

    def reset(self):
        self.steps = 0

    def on_train_batch_end(self, batch, logs):
        self.steps += 1

    def on_epoch_end(self, epoch, logs):
        logs["counted"] = self.steps

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("after", [True, False, "watched"])
def test_the_state_of_callbacks_does_not_depend_on_what_is_shown(monkeypatch, before, after):
    def task(run):
        def happen(moment):
            if moment == "a 3" and not run.resumed:
                stop()

        run.fit(*fitted(), part="a", callbacks=[Count(), watching("a", happen)], batch_size=5)

    monkeypatch.setattr(Many, "run", lambda self, run: task(run) or {})
    with pytest.raises(Interrupted):
        Run.start("many-test", out="one", seed=5, quiet=before).execute()
    run = Run.resume("one", quiet=after is True)
    run.view = RunView() if after == "watched" else None
    run.execute()
    assert [line["counted"] for line in logged_figures("one")] == [2, 4, 6]


def test_a_part_that_stopped_early_is_restored_with_its_best_weights(monkeypatch):
    seen = []

    def task(run):
        random.seed(3)
        model = Sequential([layers.Input((4,)), layers.Dense(1)])
        model.compile(optimizers.SGD(0.5), loss="mse")
        rule = EarlyStopping("loss", patience=2, min_delta=0.02, restore_best_weights=True)
        history = run.fit(model, X, Y, part="a", callbacks=[rule], epochs=30, batch_size=2)
        assert 3 < len(history.epoch) < 30 and rule.best_epoch == len(history.epoch) - 3
        seen.append((model.get_weights()[0].tobytes(), history.history))
        if not run.resumed:
            crash()

    with pytest.raises(RuntimeError):
        of_task(monkeypatch, task)
    resume().execute()
    assert seen[0] == seen[1]


def test_histograms_of_the_weights_if_wished(monkeypatch):
    for out, every, count in (("none", 0, 0), ("each", 1, 4), ("second", 2, 2)):
        monkeypatch.setattr(Many, "run", lambda self, run: run.fit(*fitted(), part="a", batch_size=5) and {})
        start(out, epochs=4, histograms=every).execute()
        events = [e for file in Path(out, "events/a/train").iterdir() for e in summary.read_events(file)]
        assert sum(e.tag == "dense/kernel/histogram" for e in events) == count


# ---- what is refused, and what loops can do


def of_task(monkeypatch, function, **changes):
    """Run ``function(run)`` as the task."""
    monkeypatch.setattr(Many, "run", lambda self, run: function(run) or {})
    return start(**changes).execute()


def fitted():
    model = Sequential([layers.Dense(1)])
    model.compile("sgd", loss="mse")
    return model, X, Y


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda run: [run.fit(*fitted(), part="a"), run.fit(*fitted(), part="A")], "has a part 'A' already"),
        (lambda run: [run.fit(*fitted(), part="a"), run.loop("a")], "has a part 'a' already"),
        (lambda run: [run.fit(*fitted()), run.loop()], "trains once without a part"),
        (lambda run: run.fit(*fitted(), part="../a"), "cannot name a part"),
        (lambda run: run.fit(*fitted(), part=""), "cannot name a part"),
        (lambda run: run.loop(best=3.0), r"best=3.0 cannot be restored in place"),
        (lambda run: run.loop(pair=(np.zeros(2), 3)), r"pair\[1\] cannot change"),
        (lambda run: run.loop(things=[np.zeros(2), object()]), r"things\[1\] has no state"),
        (lambda run: run.loop(table={1: 2.0}), "keys that are no strings"),
        (lambda run: run.loop().log(0, step=3), "no figure can be called 'step'"),
    ],
)
def test_what_cannot_be(monkeypatch, function, what):
    with pytest.raises(UsageError, match=what):
        of_task(monkeypatch, function, epochs=1)


def test_a_number_of_steps_is_one(monkeypatch):
    with pytest.raises(AttributeValueError, match="int >= 0"):
        of_task(monkeypatch, lambda run: list(run.loop().steps(-1)))


def test_a_loop_without_a_part_writes_where_a_fit_would(monkeypatch):
    def task(run):
        counts = {"n": 0}
        loop = run.loop(counts=counts)
        for step in loop.steps(4):
            counts["n"] += step
            loop.log(step, n=counts["n"], bad=float("nan"))
        assert loop.writer is run.writer
        return counts

    assert of_task(monkeypatch, task)["metrics"] == {"n": 6.0}
    assert logged_figures("one")[-1] == {"kind": "step", "step": 3, "n": 6.0, "bad": None}
    assert CheckpointManager("one/checkpoints").load().metadata["step"] == 4


def test_stop_ends_a_loop_for_good(monkeypatch):
    seen = []

    def task(run):
        loop = run.loop()
        for step in loop.steps(10):
            seen.append(step)
            if step == 3:
                loop.stop()
        if not run.resumed:
            crash()

    with pytest.raises(RuntimeError):
        of_task(monkeypatch, task)
    assert resume().execute()["steps"] == 4
    assert seen == [0, 1, 2, 3]


def test_loops_save_as_often_as_they_are_told(monkeypatch):
    saved = []

    def task(run):
        loop = run.loop()
        saved.extend(len(list(Path("one/checkpoints").glob("step-*"))) for _ in loop.steps(10, save_every=4))

    of_task(monkeypatch, task)
    assert saved == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert CheckpointManager("one/checkpoints").load().metadata["step"] == 10


def test_draws_between_making_a_loop_and_its_steps_change_nothing(monkeypatch):
    ends = []

    def task(run):
        loop = run.loop()
        random.uniform([2])
        for _ in loop.steps(4):
            random.uniform([1])
        random.uniform([1])
        for _ in loop.steps(6):
            random.uniform([1])
        ends.append(random.uniform([2]).numpy().tobytes())
        if not run.resumed:
            crash()

    with pytest.raises(RuntimeError):
        of_task(monkeypatch, task, checkpoint_every=5)
    for newest in (6, 5):  # resumed when all steps were made, and when one was left
        resume().execute()
        Path("one/result.json").unlink()
        Path(f"one/checkpoints/step-0000000{newest}.safetensors").unlink()
    assert len(ends) == 3 and len(set(ends)) == 1


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ({"a": [1.0]}, {"b": [1.0]}, "other things are tracked now"),
        ({"a": np.zeros(2)}, {"a": np.zeros(3)}, "saved state of a does not fit"),
        ({"a": [np.zeros(2)]}, {"a": [np.zeros(2), np.zeros(2)]}, "saved state of a does not fit"),
        ({"a": {"b": np.zeros(2)}}, {"a": {"c": np.zeros(2)}}, "saved state of a does not fit"),
        ({"a": layers.Dense(1)}, {"a": layers.Dense(2, name="x")}, "does not fit|other weights"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(monkeypatch, before, after, what):
    for tracked in (before, after):
        for value in tracked.values():
            if isinstance(value, layers.Dense):
                value(np.zeros((1, 3), np.float32))

    def task(run):
        for _ in run.loop(**(after if run.resumed else before)).steps(1):
            pass
        if not run.resumed:
            crash()

    with pytest.raises(RuntimeError):
        of_task(monkeypatch, task)
    with pytest.raises(CheckpointError, match=what):
        resume().execute()


def test_a_part_of_a_fit_is_no_part_of_a_loop(monkeypatch):
    with pytest.raises(RuntimeError):
        of_task(monkeypatch, lambda run: [run.fit(*fitted(), part="a"), crash()], epochs=1)
    monkeypatch.setattr(Many, "run", lambda self, run: run.loop("a"))
    with pytest.raises(CheckpointError, match=r"not one of run\.loop"):
        resume().execute()


def test_everything_with_a_state_can_be_tracked(monkeypatch):
    """Each is changed in the steps; what a resumed run finds is what was there."""
    x = np.ones((2, 3), np.float32)

    def make():
        model = Sequential([layers.Dense(2), layers.BatchNormalization()])
        model(x)
        dense = layers.Dense(2)
        dense(x)
        return {
            "model": model, "layer": dense, "pair": (corenn.Variable([1.0]), np.arange(3)),
            "old": np.random.RandomState(3), "new": np.random.Generator(np.random.MT19937(3)),
            "metric": corenn.metrics.Mean(), "names": [], "mixed": {"a": corenn.Variable(2.0), "b": 1, "c": "x"},
        }  # fmt: skip

    def change(t):
        t["model"].set_weights([w + 1 for w in t["model"].get_weights()])
        t["layer"].weights[0].assign(t["layer"].weights[0] * 2)
        t["pair"][0].assign([7.0])
        t["pair"][1][1] = 9
        t["old"].rand()
        t["new"].random()
        t["metric"].update_state(4.0)
        t["names"].append("a")
        t["mixed"]["a"].assign(5.0)
        t["mixed"]["b"], t["mixed"]["c"] = 2.5, None

    def look(t):
        return repr([
            [w.tolist() for w in t["model"].get_weights()], t["layer"].weights[0].numpy().tolist(),
            t["pair"][0].numpy().tolist(), t["pair"][1].tolist(), t["old"].rand(), t["new"].random(),
            float(t["metric"].result()), t["names"], t["mixed"]["a"].numpy().item(), t["mixed"]["b"], t["mixed"]["c"],
        ])  # fmt: skip

    seen = []

    def task(run):
        random.seed(1)
        tracked = make()
        loop = run.loop(**tracked)
        assert loop.resumed == run.resumed
        for _ in loop.steps(2):
            change(tracked)
        seen.append(look(tracked))
        if not run.resumed:
            crash()

    with pytest.raises(RuntimeError):
        of_task(monkeypatch, task)
    resume().execute()
    assert seen[0] == seen[1]
    assert "7.0" in seen[0] and "None" in seen[0]


class Told(RunView):
    """Keeps what a run tells it."""

    def __init__(self):
        self.told = []

    def part_begins(self, part, position):
        self.told.append(("begins", part, position.done, position.total))

    def row(self, part, position, figures):
        self.told.append(("row", part, position.done, dict(figures)))

    def part_ends(self, part, position, reason):
        self.told.append(("ends", part, position.done, reason))


def test_a_view_is_told_of_the_rows_of_an_interrupted_process(monkeypatch):
    def task(run):
        loop = run.loop("hand")
        for step in loop.steps(4):
            loop.log(step, x=step)
            if step == 1 and not run.resumed:
                stop()

    monkeypatch.setattr(Many, "run", lambda self, run: task(run) or {})
    run = start()
    run.view = first = Told()
    with pytest.raises(Interrupted):
        run.execute()
    rows = [("row", "hand", step + 1, {"x": float(step)}) for step in range(4)]
    assert first.told == [("begins", "hand", 0, 4), *rows[:2], ("ends", "hand", 2, "")]
    run = resume()
    run.view = second = Told()
    run.execute()
    earlier = [("row", "hand", step, {"x": float(step)}) for step in range(2)]
    assert second.told == [("begins", "hand", 2, 4), *earlier, *rows[2:], ("ends", "hand", 4, None)]


def test_loops_show_how_they_go(monkeypatch, capfd):
    def task(run):
        run.quiet = False
        loop = run.loop("hand")
        for step in loop.steps(20):
            loop.log(step, loss=0.5)

    of_task(monkeypatch, task)
    shown = capfd.readouterr().err.splitlines()
    assert len(shown) == 10
    assert shown[0].startswith("hand  step  2/20  ") and shown[-1].startswith("hand  step  20/20  ")
    assert all("loss 0.5000" in line and "\x1b" not in line for line in shown)
