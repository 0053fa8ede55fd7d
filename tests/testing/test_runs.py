"""What runs are compared by: it sees a different seed and another step, and not the time."""

from __future__ import annotations

import json

import pytest

from corenn.testing import register_doubles
from corenn.testing.runs import last_tensors, logged_figures, other_backends
from corenn.training.run import Run

register_doubles()
SHORT = {"model": "mlp", "epochs": 2, "steps": 3, "augment": 0}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Run, "figures", lambda self: None)  # no pictures

    def made(out, seed=1, **changes):
        Run.start("digits", backend="numpy", seed=seed, out=out, quiet=True, changes={**SHORT, **changes}).execute()
        return logged_figures(out), last_tensors(out)

    return made


def test_runs_of_one_seed_are_the_same_and_others_are_not(run):
    first = run("one")
    assert first == run("two")
    assert first[0] and all("seconds" not in line for line in first[0])
    ((part, tensors),) = first[1]
    assert part == "checkpoints" and len(tensors) > 4
    for figures, last in (run("three", seed=2), run("four", steps=4)):
        assert figures != first[0] and last != first[1]


def test_only_the_time_is_left_out(tmp_path):
    lines = [{"step": 1, "loss": 0.5, "seconds": 1.0}, {"step": 2, "part": "a", "loss": 0.25, "seconds": 2.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert logged_figures(tmp_path) == [{"step": 1, "loss": 0.5}, {"step": 2, "part": "a", "loss": 0.25}]
    assert last_tensors(tmp_path) == []


def test_the_doubles_are_among_the_other_backends():
    assert other_backends()[:2] == ["strict", "simulated:1"]
    assert "numpy" not in other_backends()
