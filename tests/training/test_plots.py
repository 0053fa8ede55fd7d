"""Pictures of a run: they are written, hold what they should, and take odd input."""

from __future__ import annotations

import numpy as np
import pytest

plots = pytest.importorskip("corenn.training.plots", reason="matplotlib is not installed")
image = pytest.importorskip("matplotlib.image")


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """A ``Plots`` whose figures are kept, so that a test can look at what is in them."""
    figures = {}
    save = plots.Plots.save

    def keep(self, figure, name, *notes):
        figures[name] = figure
        return save(self, figure, name, *notes)

    monkeypatch.setattr(plots.Plots, "save", keep)
    return plots.Plots(tmp_path / "deep" / "plots"), figures


@pytest.mark.parametrize(
    ("history", "panels", "scales"),
    [
        ({"loss": [2.0, 0.1], "accuracy": [0.5, 0.9], "val_loss": [2.0, 0.2], "val_accuracy": [0.4, 0.8]}, 2,
         ["log", "linear"]),
        ({"accuracy": [0.05, 0.9], "loss": [2.0, 0.1]}, 2, ["linear", "log"]),
        ({"loss": [2.0]}, 1, ["linear"]),
        ({"loss": [2.0, float("nan")]}, 1, ["linear"]),
        ({"loss": [1.0, 0.0]}, 1, ["linear"]),
        ({"loss": [2.0, 1.0], "learning_rate": [1e-3, 1e-4]}, 1, ["linear"]),
        ({"loss": list(range(50, 0, -1)), "val_loss": [3.0, 2.0]}, 1, ["log"]),
        ({}, 1, ["linear"]),
    ],
)  # fmt: skip
def test_learning_curves(drawn, history, panels, scales):
    made, figures = drawn
    path = made.learning_curves(history, held="test")
    axes = figures["learning_curves"].axes
    assert [a.get_yscale() for a in axes] == scales
    assert len(axes) == panels
    for axis, name in zip(
        axes, (n for n in history if not n.startswith("val_") and n != "learning_rate"), strict=False
    ):
        lines = {line.get_label().split()[0]: line.get_ydata() for line in axis.lines}
        np.testing.assert_array_equal(lines["training"], history[name])
        np.testing.assert_array_equal(lines.get("test", []), history.get(f"val_{name}", []))
    assert image.imread(path).ndim == 3


@pytest.mark.parametrize("classes", [("a", "b", "c"), ("T-shirt/top", "trouser", "ankle boot")])
def test_confusion_matrix_counts_true_classes_by_row(drawn, classes):
    made, figures = drawn
    path = made.confusion_matrix([0, 0, 0, 1, 2, 2], [0, 0, 1, 1, 0, 0], classes)
    (axes,) = figures["confusion_matrix"].axes
    counts = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in axes.texts}
    assert counts == {(0, 0): "2", (0, 1): "1", (1, 1): "1", (2, 0): "2"}
    assert axes.get_title() == "3 of 6 right"
    assert image.imread(path).ndim == 3


@pytest.mark.parametrize("channels", [1, 3])
def test_mistakes_come_first_among_the_samples(drawn, channels):
    made, figures = drawn
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    path = made.predictions(np.zeros((4, 5, 5, channels)), [0, 0, 0, 1], probabilities, ("no", "yes"))
    (axes,) = figures["sample_predictions"].axes
    assert [t.get_text() for t in axes.texts] == ["no, is yes\n70%", "yes, is no\n80%", "no\n60%", "no\n90%"]
    assert axes.get_title().startswith("2 mistakes in 4")
    assert image.imread(path).ndim == 3


@pytest.mark.parametrize(
    ("wrong", "title"), [(0, "no mistakes in 9"), (1, "1 mistake in 9"), (9, "9 mistakes in 9; some of them")]
)
def test_the_title_counts_the_mistakes(drawn, wrong, title):
    made, figures = drawn
    truth = [1] * wrong + [0] * (9 - wrong)
    made.predictions(np.zeros((9, 2, 2, 1)), truth, np.tile([0.8, 0.2], (9, 1)), ("0", "1"), most=5)
    assert figures["sample_predictions"].axes[0].get_title().startswith(title)
