"""Pictures the tasks share: curves by step, a function beside samples, a path down a loss, matrices side by side.

Each writes one file through ``Plots`` (``run.figures()``), which is there only with matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
GREY = "#7f8c9b"
#: Blue, red, green, orange, purple: told apart in print and by most people who do not see red and green.
COLOURS = ("#1f4e79", "#c0392b", "#2a8a68", "#d98219", "#7b52a1")
#: Values that differ by more than this factor are drawn on a logarithmic axis.
SCALE = 10


def new_figure(columns: int = 1, rows: int = 1, width: float = 5.2, height: float = 3.8) -> tuple[Any, Any]:
    """A figure and its axes, a flat list; the size is that of one panel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    panels = list(np.atleast_1d(figure.subplots(rows, columns)).flat)
    for axes in panels:
        tidy(axes)
    return figure, panels


#: A ground for text over lines.
GROUND = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}


def tidy(axes: Any) -> None:
    """The look of all line plots: a faint grid, no box."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def short(value: float) -> str:
    """A figure for a label, in four digits; exponents only for very large and very small ones."""
    return f"{value:.0f}" if 9999.5 <= abs(value) < 1e7 else f"{value:.4g}"


def polynomial(coefficients: Sequence[float], powers: Sequence[str]) -> str:
    """A sum of powers in writing: ``0.92 x² - 3.47 x + 1.00`` for the powers ``x²``, ``x`` and nothing."""
    terms = [f"{'-' if c < 0 else '+'} {abs(c):.2f} {p}".rstrip() for c, p in zip(coefficients, powers, strict=True)]
    text = " ".join(terms)
    return text.removeprefix("+ ") if text.startswith("+") else "-" + text.removeprefix("- ")


def draw_curves(
    axes: Any, steps: Any, curves: Mapping[str, Any], *, levels: Mapping[str, float] | None = None,
    xlabel: str = "step", ylabel: str = "", title: str = "",
) -> None:  # fmt: skip
    """Figures by step, with values to reach as broken lines; on a logarithmic axis where they range widely."""
    curves = {name: np.asarray(values, np.float64) for name, values in curves.items()}
    for (name, values), colour in zip(curves.items(), COLOURS, strict=False):
        marker = {"marker": "o", "markersize": 3} if len(values) < 15 else {}
        axes.plot(steps, values, color=colour, label=name, linewidth=1.4, **marker)
    for (name, level), colour in zip((levels or {}).items(), (GREY, "black"), strict=False):
        axes.axhline(level, color=colour, linestyle="--", linewidth=1, label=f"{name} {short(level)}")
    every = np.concatenate([*curves.values(), np.asarray(list((levels or {}).values()))])
    if every.size and np.isfinite(every).all() and every.min() > 0 and every.max() > SCALE * every.min():
        axes.set_yscale("log")
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.legend(frameon=False)


def curves(plots: Any, name: str, steps: Any, values: Mapping[str, Any], **options: Any) -> Path:
    """One panel of ``draw_curves``."""
    figure, (axes,) = new_figure()
    draw_curves(axes, steps, values, **options)
    saved: Path = plots.save(figure, name)
    return saved


def draw_fit(
    axes: Any, samples: tuple[Any, Any] | None, lines: Mapping[str, tuple[Any, Any]], *,
    fading: Mapping[str, tuple[Any, Any]] | None = None, label: str = "samples", xlabel: str = "x", ylabel: str = "y",
    title: str = "", above: bool = False,
) -> None:  # fmt: skip
    """Samples (x, y) as points and functions as lines; those in ``fading`` are earlier states, the first faintest.

    ``above``: the points are drawn over the lines, for samples without noise.
    """
    if samples is not None:
        size = 9 if len(samples[0]) > 200 else 18
        axes.scatter(*samples, s=size, color=GREY, alpha=0.9 if above else 0.6, linewidths=0, label=label,
                     zorder=3 if above else 1)  # fmt: skip
    earlier = fading or {}
    for number, (name, line) in enumerate(earlier.items(), 1):
        share = number / (len(earlier) + 1)
        axes.plot(*line, color=COLOURS[1], alpha=0.15 + 0.55 * share, linewidth=1.2, label=name)
    styles = ("-", "--", ":")
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[(1, 0, 2)[number % 3]]
        axes.plot(*line, color=colour, linestyle=styles[number % 3], linewidth=1.8, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    legend = axes.legend(frameon=False, fontsize=9)
    for handle in legend.legend_handles:
        handle.set_alpha(max(0.3, handle.get_alpha() or 1.0))


def fit(
    plots: Any, name: str, samples: tuple[Any, Any] | None, lines: Mapping[str, tuple[Any, Any]], **options: Any
) -> Path:
    """One panel of ``draw_fit``."""
    figure, (axes,) = new_figure(width=6.4, height=4.4)
    draw_fit(axes, samples, lines, **options)
    saved: Path = plots.save(figure, name)
    return saved


def contour_path(
    plots: Any, name: str, loss: Callable[[Array, Array], Array], paths: Mapping[str, tuple[Any, Any]], *,
    target: tuple[float, float], target_label: str, xlabel: str, ylabel: str, title: str = "", every: int = 1,
) -> Path:  # fmt: skip
    """The lines of equal loss over two parameters, and the paths training took to ``target``.

    ``loss`` takes two arrays [n, m] and gives one; ``every``: how many steps lie between the dots of a path.
    """
    figure, (axes,) = new_figure(width=6.0, height=4.8)
    points = [np.asarray(path, np.float64) for path in paths.values()]
    all_points = np.concatenate([*points, np.reshape(target, (2, 1))], axis=1)
    low, high = all_points.min(1), all_points.max(1)
    room = 0.18 * np.maximum(high - low, 1e-6)
    a, b = (np.linspace(low[i] - room[i], high[i] + room[i], 121) for i in (0, 1))
    grid = np.meshgrid(a, b)
    heights = loss(*grid)
    floor = float(loss(*(np.reshape(t, (1, 1)) for t in target))[0, 0])
    # The lines are spaced as those of a bowl: evenly in the distance from its bottom.
    levels = floor + (heights.max() - floor) * np.linspace(0, 1, 14)[1:] ** 2
    axes.contourf(*grid, heights, levels=[floor, *levels], cmap="Blues", alpha=0.6)
    lines = axes.contour(*grid, heights, levels=levels, colors=COLOURS[0], linewidths=0.7, alpha=0.6)
    axes.clabel(lines, levels=levels[2::4], fontsize=7, fmt=short)
    for (label, _), path, colour in zip(paths.items(), points, COLOURS[1:], strict=False):
        axes.plot(*path, color=colour, linewidth=1.2)
        axes.plot(*path[:, ::every], "o", color=colour, markersize=3, label=label)
    axes.plot(*[[t] for t in target], "*", color="black", markersize=11, label=target_label, linestyle="none")
    axes.grid(False)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.legend(loc=_free_corner((all_points - low[:, None]) / np.maximum(high - low, 1e-12)[:, None]), fontsize=9)
    saved: Path = plots.save(figure, name)
    return saved


def _free_corner(points: Array) -> str:
    """The corner of a picture, for its legend, that lies farthest from ``points`` [2, n] in [0, 1]."""
    corners = {"upper left": (0, 1), "upper right": (1, 1), "lower left": (0, 0), "lower right": (1, 0)}
    room = {name: np.abs(points - np.reshape(at, (2, 1))).max(0).min() for name, at in corners.items()}
    return max(room, key=lambda name: room[name])


def matrices(plots: Any, name: str, shown: Mapping[str, Any], *, xlabel: str = "", ylabel: str = "") -> Path:
    """Matrices of one shape as heat maps with one scale of colours."""
    figure, panels = new_figure(len(shown), width=3.6, height=2.9)
    most = max(float(np.abs(m).max()) for m in shown.values())
    drawn = None
    for axes, (title, matrix) in zip(panels, shown.items(), strict=True):
        drawn = axes.imshow(matrix, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
        for place, value in np.ndenumerate(np.asarray(matrix)):
            dark = abs(value) > 0.6 * most
            text = f"{value:.2f}"
            axes.text(place[1], place[0], text, ha="center", va="center", fontsize=7, color="w" if dark else "k")
        rows, columns = np.shape(matrix)
        axes.set_xticks(range(columns))
        axes.set_yticks(range(rows))
        axes.grid(False)
        axes.set(title=title, xlabel=xlabel, ylabel=ylabel if axes is panels[0] else "")
    figure.colorbar(drawn, ax=panels, shrink=0.85)
    saved: Path = plots.save(figure, name)
    return saved


def grid(low: float, high: float, count: int = 200) -> Array:
    """Equidistant places for drawing a function."""
    return np.linspace(low, high, count)


def thinned(steps: Array, most: int = 60) -> int:
    """How many steps to lie between the dots of a path so that there are about ``most``."""
    return max(1, len(steps) // most)


__all__ = ["COLOURS", "GREY", "GROUND", "SCALE", "contour_path", "curves", "draw_curves", "draw_fit", "fit", "grid",
           "matrices", "new_figure", "polynomial", "short", "thinned", "tidy"]  # fmt: skip
