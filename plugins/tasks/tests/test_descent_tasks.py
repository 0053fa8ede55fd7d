"""``multiply`` and ``gradient-descent``: against the numbers themselves and the formulas of the optimizers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from corenn import summary
from corenn.training.run import Run


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Run, "figures", lambda self: self.raise_if_stopped())


def run(name, **changes):
    return Run.start(name, backend="numpy", seed=0, quiet=True, changes=changes, out="one").execute()["metrics"]


@pytest.mark.parametrize(("x", "y"), [(2, 3), (-1.5, 4), (0, 7), (1e15, -1e15)])
def test_multiply(x, y):
    found = run("multiply", x=x, y=y)
    assert found["product"] == pytest.approx(x * y) and found["difference"] == 0
    assert (found["gradient_x"], found["gradient_y"]) == (pytest.approx(y), pytest.approx(x))


def test_the_graph_of_the_product_is_written():
    run("multiply")
    events = [e for path in Path("one/events").glob("*tfevents*") for e in summary.read_events(path)]
    (nodes,) = [event.value for event in events if event.kind == "graph"]
    assert {node.name: node.op for node in nodes}.items() >= {("x", "Placeholder"), ("y", "Placeholder")}
    assert [list(node.inputs) for node in nodes if node.op == "Mul"] == [["x", "y"]]


def adam(x, rate, steps, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """x squared by Adam (Kingma & Ba 2014, Algorithm 1 with epsilon outside the correction, as in Keras)."""
    m = v = 0.0
    for t in range(1, steps + 1):
        g = 2 * x
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g * g
        x -= rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)
        yield x


def test_gradient_descent_by_hand_by_gradients_and_by_an_optimizer_is_one():
    """Default size, 200 steps: three paths the same to the bit, at the minimum to 1e-18; Adam passes it by 0.0396, as
    its formula says, and is back within 0.001."""
    found = run("gradient-descent")
    assert found["difference"] == 0
    assert found["x_hand"] == found["x_gradients"] == found["x_sgd"] == pytest.approx(5 * 0.8**200, rel=1e-4)
    path = np.array(list(adam(5.0, 0.1, 200)))
    assert found["overshoot"] == pytest.approx(-path.min(), rel=1e-3) == pytest.approx(0.0396, abs=1e-4)
    assert found["x_adam"] == pytest.approx(path[-1], abs=1e-5) and abs(found["x_adam"]) < 1e-3
    records = [json.loads(line) for line in Path("one/metrics.jsonl").read_text().splitlines()]
    np.testing.assert_allclose([r["x_adam"] for r in records], path, atol=1e-4)
    np.testing.assert_allclose([r["x_hand"] for r in records], 5 * 0.8 ** np.arange(1, 201), rtol=1e-4)


def test_at_the_hundredth_step_adam_is_beyond_the_minimum():
    """The document's run ends there."""
    found = run("gradient-descent", steps=100)
    assert found["x_adam"] == pytest.approx(list(adam(5.0, 0.1, 100))[-1], abs=1e-5)
    assert found["x_adam"] < -0.03 and found["x_hand"] == pytest.approx(5 * 0.8**100, rel=1e-4)


@pytest.mark.parametrize(("start", "optimizer"), [(-5.0, "adam"), (3.0, "rmsprop"), (3.0, "nadam")])
def test_from_the_other_side_and_with_other_optimizers(start, optimizer):
    found = run("gradient-descent", start=start, optimizer=optimizer, steps=300)
    assert found[f"x_{optimizer}"] * start < start * start and abs(found[f"x_{optimizer}"]) < 0.2
    assert found["overshoot"] >= 0
    if optimizer == "adam":
        assert found["overshoot"] == pytest.approx(0.0396, abs=1e-4)
