"""The small tasks of the documents: what all of them must do.  Each one's figures are checked in a file of its own."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corenn import summary
from corenn.errors import UsageError
from corenn.plugin import registry
from corenn.testing import register_doubles
from corenn.testing.runs import last_tensors, logged_figures, other_backends
from corenn.training.run import Interrupted, Run
from corenn.training.run_loop import RunLoop

register_doubles()
pytestmark = pytest.mark.usefixtures("place")

# A few steps of each; what a run writes at these sizes is what it writes at any.
SHORT: dict[str, dict[str, Any]] = {
    "multiply": {},
    "gradient-descent": {"steps": 30},
    "linear-regression": {"epochs": 30},
    "multivariate-regression": {"epochs": 30},
    "hospital-visits": {"steps": 60, "log_every": 7},
    "polynomial": {"steps": 60, "log_every": 7},
    "information": {"steps": 30},
    "sine": {"stage": "all", "steps": 8, "batch_size": 64, "log_every": 2},
}
PICTURES = {
    "multiply": {"product"},
    "gradient-descent": {"paths"},
    "linear-regression": {"line", "path", "loss"},
    "multivariate-regression": {"weights", "fit"},
    "hospital-visits": {"visits", "loss", "path"},
    "polynomial": {"curve", "training"},
    "information": {"information", "divergence", "learning"},
    "sine": {"fit", "loss"},
}
LOOPING = [name for name in SHORT if name != "multiply"]
OTHERS = other_backends()


def start(name, out="one", backend="numpy", seed=3, **changes):
    return Run.start(name, backend=backend, seed=seed, out=out, quiet=True, changes={**SHORT[name], **changes})


@pytest.mark.parametrize("name", SHORT)
def test_a_run_leaves_figures_pictures_and_events(name):
    result = start(name).execute()
    assert json.loads(Path("one/result.json").read_text()) == result
    assert all(np.isfinite(value) for value in result["metrics"].values())
    assert result["steps"] == (len(last_tensors("one")) * SHORT[name].get("steps", SHORT[name].get("epochs", 0)))
    pictures = {path.stem: path.read_bytes() for path in Path("one/plots").iterdir()}
    assert pictures.keys() == PICTURES[name]
    assert all(data.startswith(b"\x89PNG") and len(data) > 5000 for data in pictures.values())
    events = [e for path in Path("one/events").rglob("*tfevents*") for e in summary.read_events(path)]
    tags = {event.tag for event in events if event.tag}
    assert result["metrics"].keys() <= tags
    if name in LOOPING:
        figures = {key for line in logged_figures("one") for key in line} - {"kind", "step", "part"}
        assert figures and figures <= tags
    assert name == "gradient-descent" or any(event.kind == "graph" for event in events)


@pytest.mark.parametrize("name", LOOPING)
def test_the_seed_decides_the_run(name, undrawn):
    first, again = (start(name, out).execute()["metrics"] for out in ("one", "two"))
    assert (
        first == again and last_tensors("one") == last_tensors("two") and logged_figures("one") == logged_figures("two")
    )
    other = start(name, "three", seed=4).execute()["metrics"]
    assert (first == other) == (name == "gradient-descent")  # which has nothing random


@pytest.mark.parametrize("name", LOOPING)
@pytest.mark.parametrize("end", ["signal", "crash"])
def test_an_interrupted_run_is_resumed_to_the_same_bits(name, end, undrawn, monkeypatch):
    whole = start(name, "whole", checkpoint_every=4).execute()
    seen = []

    def log(self, step, **figures):
        keep(self, step, **figures)
        seen.append(step)
        if len(seen) == len(logged_figures("whole")) * 2 // 3:
            if end == "crash":
                raise RuntimeError("the machine went away")
            os.kill(os.getpid(), signal.SIGTERM)

    keep = RunLoop.log
    monkeypatch.setattr(RunLoop, "log", log)
    with pytest.raises(Interrupted if end == "signal" else RuntimeError):
        start(name, "parts", checkpoint_every=4).execute()
    before = len(seen)
    monkeypatch.setattr(RunLoop, "log", keep)
    assert before < len(logged_figures("whole"))
    result = Run.resume("parts", quiet=True).execute()
    assert result["metrics"] == whole["metrics"] and result["steps"] == whole["steps"]
    assert last_tensors("parts") == last_tensors("whole")
    assert logged_figures("parts") == logged_figures("whole")


def test_multiply_that_was_stopped_runs_again(monkeypatch):
    def say(self, text):
        os.kill(os.getpid(), signal.SIGTERM)

    keep = Run.say
    monkeypatch.setattr(Run, "say", say)
    with pytest.raises(Interrupted):
        start("multiply").execute()
    monkeypatch.setattr(Run, "say", keep)
    assert Run.resume("one", quiet=True).execute()["metrics"]["product"] == 6


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("name", SHORT)
def test_other_backends_give_the_same_figures(name, backend, undrawn):
    # The rates of the last stage of the sine enlarge the rounding of the first steps.
    slower = {"rates": "0.001"} if name == "sine" else {}
    wanted = start(name, "one", **slower).execute()["metrics"]
    found = start(name, "two", backend, **slower).execute()
    assert found["backend"] == backend
    assert found["metrics"].keys() == wanted.keys()
    for figure, value in wanted.items():
        assert found["metrics"][figure] == pytest.approx(value, rel=1e-3, abs=1e-5), figure


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("option", [{"dataset": "digits"}, {"data_dir": "here"}])
def test_data_that_would_not_be_read_is_refused(name, option):
    run = Run.start(name, backend="numpy", out="one", quiet=True, changes=SHORT[name], **option)
    with pytest.raises(UsageError, match=f"{name} makes its data itself"):
        run.execute()


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("multiply", {"log_every": 3}, "log_every changes nothing"),
        ("multiply", {"x": "1e30"}, "x must be at most"),
        ("gradient-descent", {"epochs": 3}, "epochs changes nothing here"),
        ("gradient-descent", {"histograms": 1}, "histograms changes nothing"),
        ("gradient-descent", {"start": 0}, "start must be away from the minimum, not 0.0"),
        ("gradient-descent", {"learning_rate": 1}, "learning_rate must be between 0 and 1"),
        ("gradient-descent", {"optimizer": "sgd"}, "optimizer must be another"),
        ("gradient-descent", {"optimizer": "adan"}, "no optimizer 'adan'"),
        ("gradient-descent", {"steps": 0}, "steps must be at least 1"),
        ("gradient-descent", {"log_every": 0}, "log_every must be at least 1"),
        ("linear-regression", {"batch_size": 7}, "batch_size changes nothing"),
        ("linear-regression", {"examples": 2}, "examples must be at least 3"),
        ("linear-regression", {"noise": -1}, "noise must be at least 0"),
        ("multivariate-regression", {"examples": 5}, "more than the 5 inputs"),
        ("multivariate-regression", {"learning_rate": 2}, "learning_rate must be between 0 and 1.6"),
        ("multivariate-regression", {"inputs": 0}, "inputs must be at least 1"),
        ("hospital-visits", {"batch_size": 900}, "batch_size must be at most 800"),
        ("hospital-visits", {"examples": 9}, "examples must be at least 30"),
        ("polynomial", {"spacing": 0}, "spacing must be between"),
        ("information", {"p": "0.5,0.4"}, "p must be two or more probabilities that add up to 1"),
        ("information", {"q": "0.5,0.5"}, "q must be 4 positive probabilities"),
        ("information", {"p": "0.5,0.5", "q": "0,1"}, "q must be 2 positive"),
        ("information", {"coin": 1}, "coin must be between 0 and 1"),
        ("information", {"unit": "hartleys"}, "unit takes bits or nats"),
        ("sine", {"stage": "third"}, "stage takes"),
        ("sine", {"low": 10}, "high must be above low=10"),
        ("sine", {"units": "64,0"}, "units must be"),
        ("sine", {"rates": "0.1,0.01"}, "rates must be 3 for the boundaries"),
        ("sine", {"boundaries": "500,200"}, "boundaries must be rising"),
        ("sine", {"rates": "0.1,0,0.1"}, "rates must be positive"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(name, changes, said):
    with pytest.raises(UsageError, match=said):
        registry.get("task", name).load()().Settings().change(changes)
