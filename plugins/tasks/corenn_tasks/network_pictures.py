"""Pictures of what a network has learnt: weights and feature maps as images, distributions, answers while it reads.

Each writes one file through ``Plots`` (``run.figures()``), which is there only with matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corenn_tasks.pictures import COLOURS, SCALE, new_figure, short

Array = npt.NDArray[Any]
_GAP = 0.1  # between tiles, as a part of their width
_CAPTION = 0.24  # room above a tile with a caption, likewise
_BINS = 60
_FAINT = 0.16  # how much a band covers what is behind it
_SPIKE = 4  # a bar so many times as tall as the next is cut off


def tiles(
    plots: Any, name: str, images: Array, *, captions: Sequence[str] = (), columns: int = 8, signed: bool = False,
    title: str = "", size: float = 0.9,
) -> Path:  # fmt: skip
    """Images [n, h, w] side by side; ``signed``: around zero, blue above and red below, with a bar of the scale.

    ``size``: the width of one, in inches.
    """
    from matplotlib.figure import Figure

    count = len(images)
    columns = min(columns, count)
    lines = -(-count // columns)
    room = _CAPTION if captions else _GAP
    figure = Figure(
        figsize=(size * columns * (1 + _GAP) + (0.9 if signed else 0.2), size * lines * (1 + room) + 0.5),
        layout="constrained",
    )
    axes = figure.subplots()
    axes.set_axis_off()
    most = max(float(np.abs(images).max()), 1e-12)
    shown: dict[str, Any] = {"cmap": "RdBu", "vmin": -most, "vmax": most} if signed else {"cmap": "gray_r"}
    drawn = None
    for number, picture in enumerate(images):
        x, y = number % columns * (1 + _GAP), -(number // columns) * (1 + room)
        drawn = axes.imshow(picture, extent=(x, x + 1, y, y + 1), **shown)
        axes.plot([x, x + 1, x + 1, x, x], [y, y, y + 1, y + 1, y], color="0.85", linewidth=0.6)
        if captions:
            axes.text(x + 0.5, y + 1.03, captions[number], ha="center", va="bottom", fontsize=8)
    axes.set_xlim(-0.02, columns * (1 + _GAP) - _GAP + 0.02)
    axes.set_ylim(-(lines - 1) * (1 + room) - 0.02, 1 + (room if captions else 0.02))
    if signed:
        figure.colorbar(drawn, ax=axes, shrink=0.8, pad=0.02)
    if title:
        axes.set_title(title, fontsize=10)
    saved: Path = plots.save(figure, name)
    return saved


def tile_rows(plots: Any, name: str, rows: Mapping[str, Array], *, title: str = "", size: float = 0.9) -> Path:
    """Rows of images [n, h, w] (of a size of their own in each row), with the name of the row beside it."""
    from matplotlib.figure import Figure

    columns = max(map(len, rows.values()))
    figure = Figure(figsize=(size * (columns * (1 + _GAP) + 1.2), size * len(rows) * (1 + _GAP) + 0.4),
                    layout="constrained")  # fmt: skip
    axes = figure.subplots()
    axes.set_axis_off()
    for line, (label, images) in enumerate(rows.items()):
        y = -line * (1 + _GAP)
        axes.text(-0.15, y + 0.5, label, ha="right", va="center", fontsize=9)
        for number, picture in enumerate(images):
            x = number * (1 + _GAP)
            axes.imshow(picture, cmap="gray_r", extent=(x, x + 1, y, y + 1))
            axes.plot([x, x + 1, x + 1, x, x], [y, y, y + 1, y + 1, y], color="0.85", linewidth=0.6)
    axes.set_xlim(-1.4, columns * (1 + _GAP))
    axes.set_ylim(-(len(rows) - 1) * (1 + _GAP) - 0.02, 1.02)
    if title:
        axes.set_title(title, fontsize=10)
    saved: Path = plots.save(figure, name)
    return saved


def distributions(
    plots: Any, name: str, panels: Mapping[str, Mapping[str, Any]], *, columns: int = 3, xlabel: str = "value",
) -> Path:  # fmt: skip
    """How values are distributed: a panel for each title, in it a line for each label; areas are 1."""
    columns = min(columns, len(panels))
    figure, axes_list = new_figure(columns, -(-len(panels) // columns), width=3.9, height=2.9)
    for axes, (title, groups) in zip(axes_list, panels.items(), strict=False):
        draw_distributions(axes, groups)
        axes.set(title=title, xlabel=xlabel)
    for axes in axes_list[len(panels) :]:
        axes.set_axis_off()
    figure.legend(*axes_list[0].get_legend_handles_labels(), loc="outside upper center", frameon=False, ncols=3)
    saved: Path = plots.save(figure, name)
    return saved


def draw_distributions(axes: Any, groups: Mapping[str, Any]) -> None:
    """Outlined histograms over the range of all groups, without the outermost 0.1 % on either side."""
    values = {label: np.asarray(v, np.float64).ravel() for label, v in groups.items()}
    low = min(float(np.quantile(v, 0.001)) for v in values.values())
    high = max(float(np.quantile(v, 0.999)) for v in values.values())
    if not high > low:
        low, high = low - 0.5, high + 0.5
    bins = int(np.clip(np.sqrt(min(v.size for v in values.values())), 8, _BINS))
    edges = np.linspace(low, high, bins + 1)
    for (label, value), colour in zip(values.items(), COLOURS, strict=False):
        shares = np.histogram(value, edges)[0] / len(value)
        heights = shares / (edges[1] - edges[0])
        axes.stairs(heights, edges, color=colour, label=label, linewidth=1.3, fill=False)
        axes.stairs(heights, edges, color=colour, alpha=0.12, fill=True)
        if len(values) == 1 and shares.max() > _SPIKE * np.sort(shares)[-2]:  # as the zeros of rectified units
            axes.set_ylim(0, 2 * np.sort(heights)[-2])
            axes.annotate(f"{shares.max():.0%} in one bar", (0.12, 0.85), xycoords="axes fraction", fontsize=8)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def bands(plots: Any, name: str, panels: Mapping[str, Array], shares: Sequence[float]) -> Path:
    """How distributions change: a panel for each [epochs, quantiles], a band between the first quantile and the last,
    the second and the last but one, and so on.

    ``shares``: how many of the values lie below each quantile; rising, 0.5 in the middle.
    """
    from matplotlib.patches import Patch

    figure, axes_list = new_figure(len(panels), width=4.8, height=3.8)
    middle = len(shares) // 2
    for axes, (title, values) in zip(axes_list, panels.items(), strict=True):
        x = np.arange(1, len(values) + 1)
        for pair in range(middle):
            axes.fill_between(x, values[:, pair], values[:, -1 - pair], color=COLOURS[0], alpha=_FAINT, linewidth=0)
        (median,) = axes.plot(x, values[:, middle], color=COLOURS[0], linewidth=1.5, label="median")
        axes.set(title=title, xlabel="epoch")
    # Bands lie on each other, so the inner ones are darker.
    drawn = [
        Patch(color=COLOURS[0], linewidth=0, alpha=1 - (1 - _FAINT) ** (pair + 1),
              label=f"{shares[-1 - pair] - shares[pair]:.0%} of the values")
        for pair in range(middle)
    ]  # fmt: skip
    figure.legend(handles=[*drawn, median], loc="outside lower center", frameon=False, ncols=middle + 1, fontsize=9)
    saved: Path = plots.save(figure, name)
    return saved


def reading(
    plots: Any, name: str, images: Array, probabilities: Array, truth: Sequence[int], classes: Sequence[str]
) -> Path:
    """Answers while images [n, h, w] are read from the top: probabilities [n, h, classes] after each row."""
    figure, panels = new_figure(len(images), 2, width=1.9, height=2.3)
    for number, (picture, answers) in enumerate(zip(images, probabilities, strict=True)):
        above, below = panels[number], panels[len(images) + number]
        height, width = picture.shape
        above.imshow(picture, cmap="gray_r", aspect="auto", extent=(0, width, height, 0))
        below.imshow(answers, cmap="Blues", vmin=0, vmax=1, aspect="auto", extent=(-0.5, len(classes) - 0.5, height, 0))
        found = int(answers[-1].argmax())
        right = found == truth[number]
        above.set_title(f"{classes[found]}" if right else f"{classes[found]}, is {classes[truth[number]]}",
                        color=COLOURS[0] if right else COLOURS[1], fontsize=10)  # fmt: skip
        above.set_xticks([])
        below.set_xticks(range(len(classes)), classes if max(map(len, classes)) < 3 else [str(i) for i in
                         range(len(classes))], fontsize=7)  # fmt: skip
        for axes in (above, below):
            axes.grid(False)
            axes.set_yticks([0, height // 2, height])
            if number:
                axes.set_yticklabels([])
        if not number:
            above.set_ylabel("row")
            below.set_ylabel("rows read")
        below.set_xlabel("class")
    figure.suptitle("the answer while the image is read, from top to bottom", fontsize=10)
    saved: Path = plots.save(figure, name)
    return saved


def comparison(
    plots: Any, name: str, histories: Mapping[str, Mapping[str, Any]], figures: Mapping[str, str], *,
    beside: bool = True,
) -> Path:  # fmt: skip
    """Several trainings in one picture, by epoch: a panel for each figure, a line for each training.

    ``histories``: by the training's name; ``figures``: what they are called, and their names in the histories.
    ``beside``: figures of held-out data (``val_...``) stand beside those of the training data, thin and dotted.
    """
    figure, axes_list = new_figure(len(figures), width=5.4, height=4.2)
    for axes, (title, key) in zip(axes_list, figures.items(), strict=True):
        dotted = key.removeprefix("val_") if beside and key.startswith("val_") else None
        for (label, history), colour in zip(histories.items(), COLOURS, strict=False):
            values = np.asarray(history[key], np.float64)
            epochs = np.arange(1, len(values) + 1)
            marker = {"marker": "o", "markersize": 3} if len(epochs) < 15 else {}
            axes.plot(epochs, values, color=colour, linewidth=1.8, label=f"{label}: {short(values[-1])}", **marker)
            if dotted:
                axes.plot(epochs, history[dotted], color=colour, linewidth=1.0, linestyle=":")
        axes.set(title=title, xlabel="epoch")
        legend = "test at the end (dotted: training)" if dotted else "at the end"
        axes.legend(frameon=False, title=legend, alignment="left", fontsize=9, title_fontsize=9)
        axes.xaxis.get_major_locator().set_params(integer=True)
        shown = [history[k] for history in histories.values() for k in (key, dotted) if k]
        every = np.concatenate([np.asarray(values, np.float64) for values in shown])
        # Losses may fall by powers of ten; accuracies only seem to when they begin low.
        if key.endswith("loss") and np.isfinite(every).all() and every.min() > 0 and every.max() > SCALE * every.min():
            axes.set_yscale("log")
    saved: Path = plots.save(figure, name)
    return saved


__all__ = ["bands", "comparison", "distributions", "draw_distributions", "reading", "tile_rows", "tiles"]
