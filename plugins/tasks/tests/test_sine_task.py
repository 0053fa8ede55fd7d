"""``sine``: its samples, its stages, and how well each stage learns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from corenn_tasks.sine import STAGES, SineSettings, network, rates, samples

import corenn
from corenn import philox
from corenn.random import Generator
from corenn.training.run import Run


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Run, "figures", lambda self: self.raise_if_stopped())


def settings(**changes):
    made = SineSettings()
    made.change(changes)
    return made


def run(seed=0, **changes):
    made = Run.start("sine", backend="numpy", seed=seed, quiet=True, changes=changes, out=f"run{seed}")
    return made.execute()["metrics"]


def test_stages_are_those_of_the_document():
    found = {name: (s.data, s.batch_norm, s.steps, s.batch_size) for name, s in settings(stage="all").stages().items()}
    assert found == {"fed": ("fed", False, 5000, 256), "device": ("device", False, 5000, 256),
                     "batch-norm": ("device", True, 2000, 8192), "schedule": ("device", True, 1000, 8192)}  # fmt: skip
    rate = rates(STAGES["schedule"])
    # piecewise_constant: the value changes after the boundary
    assert [rate(n) for n in (0, 200, 201, 500, 501, 999)] == [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    assert rates(STAGES["fed"])(3000) == 0.001


def test_settings_replace_what_a_stage_has():
    (stage,) = (
        settings(stage="schedule", data="fed", batch_norm="no", rates="0.5", steps=7, batch_size=9).stages().values()
    )
    assert (stage.data, stage.batch_norm, stage.rates, stage.boundaries) == ("fed", False, (0.5,), ())
    assert (stage.steps, stage.batch_size) == (7, 9)
    (stage,) = settings(stage="fed", rates="0.1,0.2", boundaries="3").stages().values()
    assert (stage.rates, stage.boundaries, stage.steps) == ((0.1, 0.2), (3,), 5000)


def test_parameters_of_the_network():
    assert sum(v.size for v in network((64, 64), False).trainable_weights) == 2 * 64 + 65 * 64 + 65
    # Without biases, with two numbers for each of the 1 + 64 + 64 + 1 features that are normalised.
    assert sum(v.size for v in network((64, 64), True).trainable_weights) == 64 + 64 * 64 + 64 + 2 * 130
    assert network((64, 64), True).predict(np.zeros((3, 1), np.float32)).shape == (3, 1)


def test_samples_drawn_on_the_host_are_those_drawn_on_the_device():
    chosen, (stage,) = settings(stage="fed", low=-1, high=3.5), settings(stage="fed").stages().values()
    seed = philox.derive(5, "samples")
    draws = Generator(seed)
    for step in range(3):
        device = corenn.random.uniform((256, 1), -1.0, 3.5, generator=draws).numpy()
        host = samples(seed, step, chosen, stage)
        np.testing.assert_array_equal(host, device)
        assert host.min() >= -1 and host.max() < 3.5 and host.dtype == np.float32


def test_fed_and_drawn_samples_train_the_same_network():
    found = run(stage="all", steps=5, batch_size=32, log_every=1)
    for figure in ("loss", "grid_mse", "grid_error"):
        assert found[f"fed_{figure}"] == found[f"device_{figure}"]
        assert found[f"schedule_{figure}"] != found[f"batch-norm_{figure}"]
    records = [json.loads(line) for line in Path("run0/metrics.jsonl").read_text().splitlines()]
    assert [r["part"] for r in records] == [name for name in STAGES for _ in range(5)]


def test_the_figures_are_those_of_the_network():
    """One step at a learning rate of (almost) nothing: the figures of the network as it was initialised."""
    found = run(stage="fed", steps=1, rates="1e-30", batch_size=4096)
    corenn.random.seed(philox.derive(0, "weights"))
    model = network((64, 64), False)
    x = np.linspace(0, 10, 500)
    error = model.predict(x[:, None].astype(np.float32))[:, 0] - np.sin(x)
    assert found["grid_mse"] == pytest.approx(np.mean(error**2), rel=1e-4)
    assert found["grid_error"] == pytest.approx(np.abs(error).max(), rel=1e-4)
    assert found["loss"] == pytest.approx(found["grid_mse"], rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_a_short_schedule_learns_the_sine(seed):
    """300 steps of 1024 samples with the rates of the last stage: at most 0.3 off on the grid, 0.003 in the mean
    square."""
    found = run(seed, stage="schedule", steps=300, batch_size=1024, boundaries="100,200")
    assert found["grid_error"] < 0.3
    assert found["grid_mse"] < 0.003


@pytest.mark.slow
def test_the_last_stage_learns_the_sine():
    """Default size: at most 0.1 off on the grid, 0.001 in the mean square."""
    found = run(1)
    assert found["grid_error"] < 0.1
    assert found["grid_mse"] < 0.001
