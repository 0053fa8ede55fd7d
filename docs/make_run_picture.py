"""Compose the picture of the README and of the first page: ``python docs/make_run_picture.py runs/first``.

``runs/first`` is the directory of a finished ``corenn run --out runs/first``.  Above, the run in a terminal and its
learning curves; below, its confusion matrix and its mistakes.  Needs the extras ``plots`` and ``datasets``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from PIL import Image

SIZE = (13.0, 8.2)  # inches, at 120 pixels each
SHOWN = (1, 2, 3, 4, 5, 10, 20)  # epochs shown besides the last
BACKGROUND, TEXT, FAINT = "#1d2430", "#d7dde8", "#7f8c9b"


def terminal(run: Path) -> list[tuple[str, str]]:
    """Lines of the terminal and their colours, from what the run has written down."""
    config, result = (json.loads((run / f"{name}.json").read_text()) for name in ("config", "result"))
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    lines = [("$ corenn run --out runs/first", "white")]
    last = len(epochs)
    for number, line in enumerate(epochs, 1):
        if number in SHOWN or number == last:
            figures = "  ".join(f"{name} {line[name]:.4f}" for name in ("loss", "accuracy", "val_accuracy"))
            lines.append((f"epoch {number}/{config['settings']['epochs']}  {figures}", TEXT))
        elif number - 1 in SHOWN:
            lines.append(("...", FAINT))
    figures = "  ".join(f"{k} {v:.4f}" for k, v in result["metrics"].items())
    took = f"({result['steps']} steps, {result['seconds']:.1f} s)  runs/first"
    return [*lines, (figures, "white"), (took, "white"), ("$ ", "white")]


def main(run: Path, out: Path) -> None:
    """Write the picture."""
    figure = Figure(figsize=SIZE, dpi=120, facecolor="white")
    shell = figure.add_axes((0.012, 0.545, 0.44, 0.44), facecolor=BACKGROUND)
    shell.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
    shell.spines[:].set_visible(False)
    lines = terminal(run)
    for number, (text, colour) in enumerate(lines):
        height = 0.95 - number * 0.91 / len(lines)
        shell.text(0.025, height, text, color=colour, family="monospace", fontsize=9.2, va="top")
    for name, place in (
        ("learning_curves", (0.465, 0.53, 0.53, 0.46)),
        ("confusion_matrix", (0.0, 0.005, 0.33, 0.515)),
        ("sample_predictions", (0.335, 0.005, 0.66, 0.515)),
    ):
        axes = figure.add_axes(place)
        axes.imshow(imread(run / "plots" / f"{name}.png"), interpolation="lanczos")
        axes.set_axis_off()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    out.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "images" / "run.png")
