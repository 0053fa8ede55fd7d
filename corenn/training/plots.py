"""Pictures of a run, as PNG files: learning curves, the confusion matrix, sample predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corenn.errors import MissingExtraError
from corenn.training.run_directory import MATRIX_NOTE

try:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
except ImportError:
    raise MissingExtraError("plots", "matplotlib", "plots") from None

RIGHT, WRONG = "#1f4e79", "#c0392b"
_GAP = 0.12  # between sample images, as a part of their width
_CAPTION = 0.42  # room for the text above a sample image, as a part of its width
_SHORT = 5  # letters in the names of classes that have room beside each other
_SCALE = 10  # a figure whose largest and smallest value differ by more is drawn on a logarithmic axis


class Plots:
    """Writes pictures into ``directory``, which is made if need be."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def save(self, figure: Figure, name: str, notes: Mapping[str, str] | None = None) -> Path:
        """Write a figure as ``name``.png, with ``notes`` (ASCII, by keyword) as text inside the file."""
        path = self.directory / f"{name}.png"
        FigureCanvasAgg(figure).print_figure(str(path), dpi=120, metadata=dict(notes or {}))
        return path

    def learning_curves(self, history: Mapping[str, Sequence[float]], held: str = "validation") -> Path:
        """One panel a figure, training and held-out data (called ``held``) together, by epoch."""
        names = [n for n in history if not n.startswith("val_") and n != "learning_rate"] or list(history)
        figure = Figure(figsize=(4.6 * max(1, len(names)), 3.4), layout="constrained")
        for axes, name in zip(np.atleast_1d(figure.subplots(1, max(1, len(names)))), names, strict=False):
            curves = {"training": history[name], held: history.get(f"val_{name}", ())}
            for (label, values), colour in zip(curves.items(), ("#7f8c9b", RIGHT), strict=True):
                if len(values):
                    epochs = np.arange(1, len(values) + 1)
                    marker = {"marker": "o", "markersize": 3} if len(epochs) < 15 else {}
                    axes.plot(epochs, values, color=colour, label=f"{label} {_figure(values[-1])}", **marker)
            every = np.concatenate([np.asarray(v, float) for v in curves.values() if len(v)])
            falls = history[name][0] > history[name][-1]  # an accuracy may begin as low as a loss ends
            if falls and np.isfinite(every).all() and every.min() > 0 and every.max() > _SCALE * every.min():
                axes.set_yscale("log")
            axes.set(xlabel="epoch", title=name.replace("_", " "))
            axes.legend(frameon=False, title="at the end", alignment="left")
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
            axes.xaxis.get_major_locator().set_params(integer=True)
        return self.save(figure, "learning_curves")

    def confusion_matrix(self, truth: Any, predicted: Any, classes: Sequence[str]) -> Path:
        """How often each class (rows) was taken for each (columns): right in blue, wrong in red."""
        count = len(classes)
        matrix = np.zeros((count, count), int)
        np.add.at(matrix, (np.asarray(truth), np.asarray(predicted)), 1)
        shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
        right = np.eye(count, dtype=bool)
        size = max(3.6, 0.42 * count + 1.2)
        figure = Figure(figsize=(size, size), layout="constrained")
        axes = figure.subplots()
        for shown, colours, most in ((right, "Blues", 1.0), (~right, "Reds", 0.5)):
            axes.imshow(np.ma.masked_where(~shown | (matrix == 0), shares), cmap=colours, vmin=0, vmax=most)
        for row, column in zip(*np.nonzero(matrix), strict=True):
            dark = shares[row, column] > (0.55 if row == column else 0.3)
            text = str(matrix[row, column])
            axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black", fontsize=8)
        lying = max(map(len, classes), default=0) < 3
        axes.set_xticks(range(count), classes, rotation=0 if lying else 45, ha="center" if lying else "right")
        axes.set_yticks(range(count), classes)
        axes.set_xticks(np.arange(count - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(count - 1) + 0.5, minor=True)
        axes.grid(which="minor", color="0.92")
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_color("0.85")
        axes.set(xlabel="predicted", ylabel="true", title=f"{int(matrix.trace())} of {int(matrix.sum())} right")
        counted = {"classes": [str(c) for c in classes], "counts": matrix.tolist()}
        return self.save(figure, "confusion_matrix", {MATRIX_NOTE: json.dumps(counted)})

    def predictions(self, images: Any, truth: Any, probabilities: Any, classes: Sequence[str], most: int = 24) -> Path:
        """Sample images [n, h, w, c] with their predictions: the mistakes first, then the least certain."""
        images, truth, p = np.asarray(images), np.asarray(truth), np.asarray(probabilities)
        predicted, certainty = p.argmax(-1), p.max(-1)
        order = np.lexsort((certainty, predicted == truth))[:most]
        columns = min(8, max(1, len(order)))
        lines = max(1, -(-len(order) // columns))
        wrong = int((predicted != truth).sum())
        # Two names beside each other would run into the next caption, unless they are short.
        between = ", is " if max(map(len, classes), default=0) <= _SHORT else "\nis "
        above = _CAPTION * (1.0 if between[0] == "," else 1.5)
        # All in one set of axes: a set for each image takes matplotlib a second to lay out.
        figure = Figure(figsize=(1.15 * columns, (1 + _GAP + above) * 1.02 * lines + 0.4), layout="constrained")
        axes = figure.subplots()
        axes.set_axis_off()
        for place, i in enumerate(order):
            x, y = place % columns * (1 + _GAP), -(place // columns) * (1 + _GAP + above)
            axes.imshow(_picture(images[i]), cmap="gray_r", extent=(x, x + 1, y, y + 1), vmin=0, vmax=1)
            right = predicted[i] == truth[i]
            text = classes[predicted[i]] if right else f"{classes[predicted[i]]}{between}{classes[truth[i]]}"
            colour = RIGHT if right else WRONG
            axes.text(
                x + 0.5, y + 1.04, f"{text}\n{certainty[i]:.0%}", ha="center", va="bottom", fontsize=8, color=colour
            )
        axes.set_xlim(-_GAP, columns * (1 + _GAP))
        axes.set_ylim(-(lines - 1) * (1 + _GAP + above) - _GAP, 1 + above)
        mistakes = f"{wrong or 'no'} mistake{'s' * (wrong != 1)} in {len(truth)}"
        axes.set_title(f"{mistakes}; " + ("some of them" if wrong > most else "the least certain follow"), fontsize=10)
        return self.save(figure, "sample_predictions")


def _picture(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[h, w] for gray images, [h, w, 3] for colour."""
    return image[..., 0] if image.shape[-1] == 1 else image


def _figure(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 else f"{value:.2e}"
