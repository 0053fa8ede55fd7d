"""The tasks that fit straight lines and polynomials: against closed forms, NumPy's and SciPy's fits, and descent
written out in float64.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from corenn_tasks import hospital_visits, linear_regression, multivariate_regression, polynomial
from corenn_tasks.stepwise import least_squares, normal, uniform

from corenn.training.run import Run

stats = pytest.importorskip("scipy.stats")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Run, "figures", lambda self: self.raise_if_stopped())


def run(name, seed=0, **changes):
    made = Run.start(name, backend="numpy", seed=seed, quiet=True, changes=changes, out=f"{name}-{seed}")
    return made.settings, made.execute()["metrics"]


# ---------------------------------------------------------------- a line


@pytest.mark.parametrize("seed", range(3))
def test_linear_regression_reaches_the_least_squares_line(seed):
    """Default size, 1000 epochs over 500 points: within 0.01 of SciPy's line, the loss within 0.1 %."""
    settings, found = run("linear-regression", seed)
    x, y = linear_regression.data(settings, seed)
    line = stats.linregress(x, y)
    assert found["slope"] == pytest.approx(line.slope, abs=0.01)
    assert found["intercept"] == pytest.approx(line.intercept, abs=0.01)
    residual = float(np.mean((line.slope * x + line.intercept - y) ** 2))
    assert found["least_squares_loss"] == pytest.approx(residual, rel=1e-5)
    assert found["loss"] == pytest.approx(residual, rel=1e-3)
    assert found["distance"] == pytest.approx(abs(found["slope"] - line.slope), rel=1e-2)
    assert abs(found["slope"] - 2) < 0.1 and abs(found["intercept"] - 2) < 0.1


@pytest.mark.parametrize(("epochs", "rate"), [(1, 0.01), (200, 0.01), (60, 0.3)])
def test_every_epoch_is_a_step_of_gradient_descent(epochs, rate):
    """Descent on a quadratic from 0 ends at c - (I - rate H)^k c, with its Hessian H and minimum c."""
    settings, found = run("linear-regression", epochs=epochs, learning_rate=rate)
    x, y = (v.astype(np.float64) for v in linear_regression.data(settings, 0))
    design = np.stack([x, np.ones_like(x)], axis=1)
    best = np.linalg.solve(design.T @ design, design.T @ y)
    left = np.linalg.matrix_power(np.eye(2) - rate * 2 / len(x) * design.T @ design, epochs)
    np.testing.assert_allclose([found["slope"], found["intercept"]], best - left @ best, rtol=1e-4, atol=1e-5)
    if epochs == 200:  # the document's own run: 1.52 and 1.95 of 2 and 2, error 0.2178
        assert found["slope"] == pytest.approx(1.5, abs=0.1) and found["intercept"] == pytest.approx(1.95, abs=0.05)
        assert found["loss"] == pytest.approx(0.21, abs=0.03)


def test_the_surface_that_is_drawn_is_the_loss():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30))
    a, b = rng.normal(size=(2, 4, 5))
    wanted = np.mean((a[..., None] * x + b[..., None] - y) ** 2, axis=-1)
    np.testing.assert_allclose(linear_regression.surface(x, y)(a, b), wanted)


# ---------------------------------------------------------------- several inputs and outputs


@pytest.mark.parametrize("seed", range(3))
def test_multivariate_regression_reaches_least_squares(seed):
    """Default size, 1000 epochs over 100 examples: every one of the 40 weights within 0.001 of least squares."""
    settings, found = run("multivariate-regression", seed)
    x, y, weights = multivariate_regression.data(settings, seed)
    best = np.linalg.solve(x.T.astype(np.float64) @ x, x.T.astype(np.float64) @ y)
    assert found["distance"] < 1e-3
    assert found["loss"] == pytest.approx(np.mean((x @ best - y) ** 2), rel=1e-5)
    assert found["least_squares_loss"] == pytest.approx(np.mean((x @ best - y) ** 2), rel=1e-5)
    assert weights.shape == (5, 8) and 0.75 < found["loss"] < 1.1  # the noise has variance 1


def test_its_steps_are_those_of_gradient_descent():
    settings, found = run("multivariate-regression", epochs=7, learning_rate=0.5, inputs=3, outputs=2, examples=10)
    x, y, _ = multivariate_regression.data(settings, 0)
    w = np.zeros((3, 2))
    for _ in range(7):
        w -= 0.5 * 2 / y.size * x.T.astype(np.float64) @ (x @ w - y)
    assert found["loss"] == pytest.approx(np.mean((x @ w - y) ** 2), rel=1e-5)
    assert found["distance"] == pytest.approx(np.abs(w - np.linalg.lstsq(x, y)[0]).max(), rel=1e-4)


# ---------------------------------------------------------------- hospital visits


@pytest.mark.parametrize("seed", range(3))
def test_hospital_visits_finds_the_formula_behind_the_data(seed):
    """Default size, 5000 steps: 5 visits fewer a degree (to 0.7), 1000 at 0 degrees (to 40), test loss below 14000
    where the noise makes 10000; and what the same descent in float64 finds."""
    settings, found = run("hospital-visits", seed)
    assert abs(found["slope"] + 5) < 0.7 and abs(found["intercept"] - 1000) < 40
    assert 7000 < found["test_loss"] < 14000
    days = hospital_visits.data(settings, seed)
    x, y = (v.astype(np.float64) for v in days.part("training"))
    m = b = 0.0
    for step in range(5000):
        rows = slice(step % 8 * 100, step % 8 * 100 + 100)
        wrong = m * x[rows] + b - y[rows]
        m, b = m - 0.0005 * 2 * np.mean(wrong * x[rows]), b - 0.0005 * 2 * np.mean(wrong)
    slope = m / days.temperatures.std()
    assert found["slope"] == pytest.approx(slope, rel=1e-3)
    assert found["intercept"] == pytest.approx(b - slope * days.temperatures.mean(), rel=1e-3)
    fit = np.polyfit(days.temperatures[:800], days.y[:800], 1)
    np.testing.assert_allclose([found["least_squares_slope"], found["least_squares_intercept"]], fit, rtol=1e-4)
    test = slice(900, None)
    error = found["slope"] * days.temperatures[test] + found["intercept"] - days.y[test]
    assert found["test_loss"] == pytest.approx(np.mean(error**2), rel=1e-3)


def test_the_days_are_divided_and_standardised():
    days = hospital_visits.data(SimpleNamespace(examples=1000, noise=100.0), 7)
    assert [len(days.part(name)[0]) for name in hospital_visits.PARTS] == [800, 100, 100]
    np.testing.assert_array_equal(np.concatenate([days.part(n)[1] for n in hospital_visits.PARTS]), days.y)
    assert abs(days.x.mean()) < 1e-6 and days.x.std() == pytest.approx(1, abs=1e-6)
    assert days.temperatures.mean() == pytest.approx(55, abs=3) and days.temperatures.std() == pytest.approx(20, abs=2)
    # A line over degrees, said over standardised temperatures, and back.
    slope, intercept = -3 * days.temperatures.std(), 7 - 3 * days.temperatures.mean()
    np.testing.assert_allclose(days.in_degrees(slope, intercept), (-3, 7))


# ---------------------------------------------------------------- a cubic


@pytest.mark.parametrize("seed", range(3))
def test_polynomial_reaches_the_least_squares_cubic(seed):
    """Default size, 20000 steps of Adam over 50 points: the curve within 0.05 (root mean square over [0, 5]) of NumPy's
    fit, its loss within 0.2 %."""
    settings, found = run("polynomial", seed)
    x, y = polynomial.data(settings, seed)
    assert len(x) == 50
    best = np.polyfit(x.astype(np.float64), y, 3)
    line = np.linspace(0, 5, 200)
    fitted = [found[name] for name in ("w3", "w2", "w1", "w0")]
    off = float(np.sqrt(np.mean((np.polyval(fitted, line) - np.polyval(best, line)) ** 2)))
    assert found["curve_distance"] == pytest.approx(off, rel=1e-3) and off < 0.05
    least = float(np.mean((np.polyval(best, x) - y) ** 2))
    assert found["least_squares_loss"] == pytest.approx(least, rel=1e-4)
    assert found["loss"] == pytest.approx(least, rel=2e-3)
    np.testing.assert_allclose(fitted, polynomial.TRUE, atol=3.0)
    assert found["cube_slope"] == 27


def test_the_gradient_of_a_cube_elsewhere():
    assert run("polynomial", steps=1, at=-0.5)[1]["cube_slope"] == pytest.approx(0.75)


def test_batches_follow_from_seed_and_step_and_reach_every_point():
    drawn = [polynomial.batch(3, step, 20, 50) for step in range(100)]
    np.testing.assert_array_equal(drawn[7], polynomial.batch(3, 7, 20, 50))
    assert set(np.concatenate(drawn).tolist()) == set(range(50))
    assert not np.array_equal(drawn[7], polynomial.batch(4, 7, 20, 50))


def test_a_cubic_in_writing():
    assert polynomial.shown([0.984, -4, 2.0, -1]) == "0.98 x³ - 4.00 x² + 2.00 x - 1.00"
    assert polynomial.shown([-1, 0, 0, 2]) == "-1.00 x³ + 0.00 x² + 0.00 x + 2.00"


# ---------------------------------------------------------------- what they share


def test_numbers_for_a_purpose():
    many, line = normal(3, "noise", 200, 100), uniform(3, "inputs", 20000)
    assert many.shape == (200, 100) and many.dtype == np.float64
    assert stats.kstest(many.ravel(), "norm").pvalue > 1e-3 and stats.kstest(line, "uniform").pvalue > 1e-3
    np.testing.assert_array_equal(normal(3, "noise", 5), normal(3, "noise", 50)[:5])
    assert not np.array_equal(normal(3, "weights", 5), normal(3, "noise", 5))


def test_least_squares_is_that_of_the_normal_equations():
    rng = np.random.default_rng(0)
    design, targets = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    wanted = np.linalg.inv(design.T @ design) @ design.T @ targets
    np.testing.assert_allclose(least_squares(design, targets), wanted)
