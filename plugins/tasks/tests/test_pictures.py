"""The pictures that tasks share: they hold what they should, and take odd input."""

from __future__ import annotations

import numpy as np
import pytest
from corenn_tasks import network_pictures, pictures

plots = pytest.importorskip("corenn.training.plots", reason="matplotlib is not installed")
image = pytest.importorskip("matplotlib.image")
STEPS = np.arange(1, 40)


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """A ``Plots`` whose figures are kept, so that a test can look at what is in them."""
    figures = {}
    save = plots.Plots.save

    def keep(self, figure, name):
        figures[name] = figure
        path = save(self, figure, name)
        assert image.imread(path).std() > 0.01  # not blank
        return path

    monkeypatch.setattr(plots.Plots, "save", keep)
    return plots.Plots(tmp_path), figures


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (1.0 / STEPS, "log"),
        (1 + 1.0 / STEPS, "linear"),
        (np.where(STEPS == 7, np.nan, 1.0 / STEPS), "linear"),
        (1.0 / STEPS - 0.5, "linear"),
        (np.zeros(len(STEPS)), "linear"),
    ],
)
def test_curves_choose_their_scale(drawn, values, scale):
    made, figures = drawn
    pictures.curves(made, "loss", STEPS, {"training": values}, ylabel="loss")
    (axes,) = figures["loss"].axes
    assert axes.get_yscale() == scale
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), values)


def test_levels_are_lines_with_their_value(drawn):
    made, figures = drawn
    pictures.curves(made, "loss", STEPS, {"training": 20.0 / STEPS}, levels={"noise": 12345.678, "floor": 0.5})
    texts = [text.get_text() for text in figures["loss"].axes[0].get_legend().get_texts()]
    assert texts == ["training", "noise 12346", "floor 0.5"]


def test_a_fit_shows_samples_earlier_states_and_lines(drawn):
    made, figures = drawn
    x = np.linspace(0, 1, 5)
    earlier = {"after 1": (x, 0 * x), "after 2": (x, x)}
    pictures.fit(made, "fit", (x, x + 1), {"last": (x, 2 * x), "true": (x, 3 * x)}, fading=earlier)
    (axes,) = figures["fit"].axes
    assert [line.get_label() for line in axes.lines] == ["after 1", "after 2", "last", "true"]
    assert axes.lines[0].get_alpha() < axes.lines[1].get_alpha() < 1
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), np.stack([x, x + 1], 1))


@pytest.mark.parametrize(
    ("path", "corner"),
    [
        (([0.0, 1, 2, 3], [0.0, 2, 2.8, 3]), "lower right"),
        (([0.0, -2, -3], [0.0, 2.8, 3]), "lower left"),
        (([3.0, 3], [3.0, 3]), None),  # from where it ends: nothing moved
    ],
)
def test_a_path_over_a_bowl_leaves_room_for_its_legend(drawn, path, corner):
    made, figures = drawn
    end = path[0][-1], path[1][-1]
    loss = lambda a, b: (a - end[0]) ** 2 + 4 * (b - end[1]) ** 2 + 0.25
    pictures.contour_path(made, "path", loss, {"descent": path}, target=end, target_label="best", xlabel="a",
                          ylabel="b")  # fmt: skip
    (axes,) = figures["path"].axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.transpose(path))
    if corner is not None:
        centre = axes.get_legend().get_window_extent().get_points().mean(0)
        right, upper = centre > axes.get_window_extent().get_points().mean(0)
        assert f"{'upper' if upper else 'lower'} {'right' if right else 'left'}" == corner


def test_matrices_share_their_colours(drawn):
    made, figures = drawn
    pictures.matrices(made, "weights", {"small": np.eye(2), "large": np.full((2, 2), -3.0)}, xlabel="to", ylabel="from")
    first, second, _ = figures["weights"].axes
    assert first.images[0].get_clim() == second.images[0].get_clim() == (-3.0, 3.0)
    assert sorted(t.get_text() for t in first.texts) == ["0.00", "0.00", "1.00", "1.00"]


def test_trainings_are_compared_with_losses_alone_on_logarithmic_axes(drawn):
    made, figures = drawn
    down, up = 10.0 ** -np.arange(5), np.linspace(0.05, 1, 5)
    histories = {name: {"loss": down, "val_loss": 2 * down, "accuracy": up, "val_accuracy": up} for name in "ab"}
    network_pictures.comparison(made, "both", histories, {"loss": "val_loss", "accuracy": "val_accuracy"})
    loss, accuracy = figures["both"].axes
    assert (loss.get_yscale(), accuracy.get_yscale()) == ("log", "linear")
    assert [line.get_linestyle() for line in loss.lines] == ["-", ":", "-", ":"]
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), 2 * down)
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["a: 0.0002", "b: 0.0002"]
    network_pictures.comparison(made, "one", histories, {"loss": "loss"}, beside=False)
    assert [len(axes.lines) for axes in figures["one"].axes] == [2]


def test_bands_say_how_many_of_the_values_they_hold(drawn):
    made, figures = drawn
    values = np.arange(15.0).reshape(3, 5)
    network_pictures.bands(made, "bands", {"inputs": values}, (0.0, 0.25, 0.5, 0.75, 1.0))
    (axes,) = figures["bands"].axes
    (legend,) = figures["bands"].legends
    assert [text.get_text() for text in legend.get_texts()] == ["100% of the values", "50% of the values", "median"]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), values[:, 2])


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.1235"), (9999.6, "10000"), (10000, "10000"), (123456, "123456"), (1e9, "1e+09")]
)
def test_short_figures(value, text):
    assert pictures.short(value) == text
