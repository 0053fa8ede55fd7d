"""The pictures of ``dqn-mountain-car``: training by episode, greedy attempts, the policy and the values of actions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corenn_tasks.pictures import COLOURS, GREY, new_figure

Array = npt.NDArray[Any]
Extent = tuple[float, float, float, float]
#: Push left, coast, push right.
ACTION_COLOURS = (COLOURS[0], "#d7dbe0", COLOURS[1])
_WINDOW = 20  # episodes of a moving mean
_SHOWN = 5  # paths drawn over the policy


def training(plots: Any, rewards: Sequence[float], tops: Sequence[float], flag: float) -> Path:
    """The reward and the highest position of each episode of training, with moving means."""
    figure, (earned, reached) = new_figure(2, width=5.4, height=3.8)
    for axes, values, name in ((earned, rewards, "reward"), (reached, tops, "highest position")):
        episodes = np.arange(1, len(values) + 1)
        axes.plot(episodes, values, "o", color=GREY, markersize=2.5, alpha=0.6, label="an episode")
        if len(values) > _WINDOW:
            mean = np.convolve(values, np.full(_WINDOW, 1 / _WINDOW), "valid")
            axes.plot(episodes[_WINDOW - 1 :], mean, color=COLOURS[0], linewidth=1.8, label=f"mean of {_WINDOW}")
        axes.set(xlabel="episode", ylabel=name)
    reached.axhline(flag, color=COLOURS[1], linestyle="--", linewidth=1, label="flag")
    for axes in (earned, reached):
        axes.legend(frameon=False, fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    saved: Path = plots.save(figure, "training")
    return saved


def greedy(plots: Any, positions: Array, flag: float) -> Path:
    """Position by step of attempts [n, steps] without random actions: those that arrive in blue, the others in red."""
    figure, (axes,) = new_figure(width=7.0, height=4.0)
    arrived = np.nanmax(positions, axis=1) >= flag - 1e-6
    for hit, colour, name in ((True, COLOURS[0], "reaches the flag"), (False, COLOURS[1], "does not")):
        for number, path in enumerate(positions[arrived == hit]):
            label = f"{name}: {int((arrived == hit).sum())}" if number == 0 else None
            axes.plot(path, color=colour, alpha=0.35, linewidth=1, label=label)
    axes.axhline(flag, color="black", linestyle="--", linewidth=1)
    axes.text(0, flag, "flag ", ha="left", va="bottom", fontsize=9)
    axes.set(xlabel="step", ylabel="position", title=f"{len(positions)} greedy episodes")
    legend = axes.legend(frameon=False, loc="lower right")
    for handle in legend.legend_handles:
        handle.set_alpha(1)
    saved: Path = plots.save(figure, "greedy_episodes")
    return saved


def policy_image(maps: Array) -> Array:
    """The action valued highest as colours, uint8[velocity, position, 3], the largest velocity in the first row."""
    colours = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in ACTION_COLOURS], np.uint8)
    image: Array = colours[maps.argmax(-1)][::-1]
    return image


def policy(plots: Any, maps: Array, extent: Extent, actions: Sequence[str], paths: Array) -> Path:
    """Which action is valued highest in each state, and some greedy attempts [n, steps, 2] through it."""
    from matplotlib.patches import Patch

    figure, (axes,) = new_figure(width=6.8, height=4.6)
    axes.imshow(policy_image(maps), extent=extent, aspect="auto", interpolation="nearest", alpha=0.75)
    shown = paths[:_SHOWN]
    for path in shown:
        axes.plot(*path.T, color="black", linewidth=1, alpha=0.8)
        axes.plot(*path[0], "o", color="white", markeredgecolor="black", markersize=5)
    handles: list[Any] = [
        Patch(facecolor=colour, alpha=0.75, label=name) for colour, name in zip(ACTION_COLOURS, actions, strict=True)
    ]
    axes.legend(handles=handles, loc="lower center", ncols=len(handles), bbox_to_anchor=(0.5, 1.0), frameon=False)
    axes.set(xlabel="position", ylabel="velocity", xlim=extent[:2], ylim=extent[2:])
    axes.set_title(f"the greedy policy, and {len(shown)} episodes that follow it", pad=26, fontsize=11)
    axes.grid(False)
    saved: Path = plots.save(figure, "policy")
    return saved


def values(plots: Any, maps: Array, extent: Extent, actions: Sequence[str]) -> Path:
    """Q(state, action) of each action, and by how much pushing right beats pushing left, over position and velocity."""
    figure, panels = new_figure(2, 2, width=4.8, height=3.5)
    better = maps[..., 2] - maps[..., 0]
    most = float(np.abs(better).max()) or 1.0
    drawn = None
    for axes, name, picture in zip(panels, actions, np.moveaxis(maps, -1, 0), strict=False):
        drawn = axes.imshow(picture[::-1], extent=extent, aspect="auto", cmap="viridis",
                            vmin=float(maps.min()), vmax=float(maps.max()))  # fmt: skip
        axes.set_title(f"Q of '{name}'")
    figure.colorbar(drawn, ax=panels[:3:2], location="left", shrink=0.7, label="discounted reward to come")
    # Q of the three looks much alike, as one step changes little: what decides is the difference.
    difference = panels[3].imshow(better[::-1], extent=extent, aspect="auto", cmap="RdBu_r", vmin=-most, vmax=most)
    panels[3].set_title(f"'{actions[2]}' less '{actions[0]}'")
    figure.colorbar(difference, ax=panels[3], location="right")
    for axes in panels:
        axes.grid(False)
        axes.set(xlabel="position", ylabel="velocity")
    saved: Path = plots.save(figure, "q_values")
    return saved


__all__ = ["greedy", "policy", "policy_image", "training", "values"]
