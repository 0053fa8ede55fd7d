"""Pictures of a run, as PNG files: learning curves, the confusion matrix, sample predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corenn.errors import MissingExtraError

try:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
except ImportError:
    raise MissingExtraError("plots", "matplotlib", "plots") from None


class Plots:
    """Writes pictures into ``directory``, which is made if need be."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def save(self, figure: Figure, name: str) -> Path:
        """Write a figure as ``name``.png."""
        path = self.directory / f"{name}.png"
        FigureCanvasAgg(figure).print_png(str(path))
        return path

    def learning_curves(self, history: Mapping[str, Sequence[float]]) -> Path:
        """One panel a figure, training and validation together, by epoch."""
        names = [n for n in history if not n.startswith("val_") and n != "learning_rate"]
        figure = Figure(figsize=(5 * max(1, len(names)), 3.6), layout="constrained")
        for axes, name in zip(np.atleast_1d(figure.subplots(1, max(1, len(names)))), names, strict=False):
            epochs = np.arange(1, len(history[name]) + 1)
            style = {"marker": "o", "markersize": 3} if len(epochs) < 40 else {}
            axes.plot(epochs, history[name], label="training", **style)
            held = history.get(f"val_{name}")
            if held is not None:
                axes.plot(epochs[: len(held)], held, label="validation", **style)
                axes.legend(frameon=False)
            axes.set(xlabel="epoch", title=name.replace("_", " "))
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
            axes.xaxis.get_major_locator().set_params(integer=True)
        return self.save(figure, "learning_curves")

    def confusion_matrix(self, truth: Any, predicted: Any, classes: Sequence[str]) -> Path:
        """How often each class (rows) was taken for each (columns); off-diagonal counts stand out."""
        count = len(classes)
        matrix = np.zeros((count, count), int)
        np.add.at(matrix, (np.asarray(truth), np.asarray(predicted)), 1)
        size = max(4.0, 0.45 * count + 1.5)
        figure = Figure(figsize=(size, size), layout="constrained")
        axes = figure.subplots()
        shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row in range(count):
            for column in range(count):
                if matrix[row, column]:
                    colour = "white" if shares[row, column] > 0.5 else "crimson" if row != column else "black"
                    axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour, fontsize=8)
        axes.set_xticks(range(count), classes, rotation=0 if max(map(len, classes)) < 3 else 60)
        axes.set_yticks(range(count), classes)
        axes.set(xlabel="predicted", ylabel="true", title=f"{int(matrix.trace())} of {int(matrix.sum())} right")
        return self.save(figure, "confusion_matrix")

    def predictions(self, images: Any, truth: Any, probabilities: Any, classes: Sequence[str], most: int = 24) -> Path:
        """Sample images with their predictions: the mistakes first, then the least certain."""
        images, truth, p = np.asarray(images), np.asarray(truth), np.asarray(probabilities)
        predicted, certainty = p.argmax(-1), p.max(-1)
        order = np.lexsort((certainty, predicted == truth))[:most]
        columns = 8
        lines = -(-len(order) // columns)
        figure = Figure(figsize=(columns * 1.25, lines * 1.55), layout="constrained")
        for axes, i in zip(figure.subplots(lines, columns, squeeze=False).flat, order, strict=False):
            image = images[i].squeeze(-1) if images[i].shape[-1] == 1 else images[i]
            axes.imshow(image, cmap="gray_r" if image.ndim == 2 else None)
            right = predicted[i] == truth[i]
            text = classes[predicted[i]] if right else f"{classes[predicted[i]]}, is {classes[truth[i]]}"
            axes.set_title(f"{text}\n{certainty[i]:.0%}", fontsize=8, color="black" if right else "crimson")
        for axes in figure.axes:
            axes.set_axis_off()
        return self.save(figure, "sample_predictions")
