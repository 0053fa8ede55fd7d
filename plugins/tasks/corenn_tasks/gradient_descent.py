"""``gradient-descent``: the minimum of x squared, found by hand, by gradients, by an optimizer, and by one that
overshoots it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

import corenn
from corenn.optimizers import SGD
from corenn.optimizers import get as get_optimizer
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn.variable import Variable
from corenn_tasks import pictures
from corenn_tasks.stepwise import StepSettings, logged, refuse_data

#: Three ways to write the same descent.
SAME = ("hand", "gradients", "sgd")


@dataclasses.dataclass
class GradientDescentSettings(StepSettings):
    """``start``: the first x.  ``learning_rate``: of all of them.  ``optimizer``: the one that is compared.

    The descent x - rate * 2x comes nearer with every step for rates below 1.
    """

    steps: int = 200
    start: float = 5.0
    learning_rate: float = 0.1
    optimizer: str = "adam"

    def check(self) -> None:
        """A start away from the minimum, a rate that leads there, an optimizer that is none of the three."""
        super().check()
        plain = isinstance(get_optimizer(self.optimizer), SGD)
        self.require("start", self.start != 0, "away from the minimum")
        self.require("learning_rate", 0 < self.learning_rate < 1, "between 0 and 1")
        self.require("optimizer", not plain, "another than plain gradient descent, which is drawn in any case")


class GradientDescent(Task):
    """Descends x squared in four ways side by side, and draws the paths."""

    Settings: ClassVar[type[Settings]] = GradientDescentSettings
    summary: ClassVar[str] = "minimise x squared by hand, by gradients, by an optimizer, and see Adam overshoot"

    def run(self, run: Run) -> dict[str, float]:
        """Descend, compare, draw."""
        refuse_data(run)
        chosen: Any = run.settings
        rate = chosen.learning_rate
        hand, gradients, sgd, compared = (Variable(chosen.start, name=n) for n in (*SAME, chosen.optimizer))
        descent, other = SGD(rate), get_optimizer(chosen.optimizer)
        other.learning_rate = rate
        descent.build([sgd])
        other.build([compared])
        slope = corenn.grad(corenn.square)
        loop = run.loop(hand=hand, gradients=gradients, sgd=sgd, compared=compared, descent=descent, other=other)
        for step in loop.steps(chosen.total):
            hand.assign(hand - rate * (2.0 * hand))
            gradients.assign(gradients - rate * slope(gradients))
            descent.minimize(lambda: corenn.square(sgd), [sgd])
            other.minimize(lambda: corenn.square(compared), [compared])
            if chosen.logs(step + 1):
                loop.log(step + 1, **{f"x_{v.name}": v for v in (hand, gradients, sgd, compared)})
        figures = logged(loop)
        paths = {name: np.array([chosen.start, *figures[f"x_{name}"]]) for name in (*SAME, chosen.optimizer)}
        overshoot = max(0.0, float(-(paths[chosen.optimizer] * np.sign(chosen.start)).min()))
        ends = {f"x_{name}": float(path[-1]) for name, path in paths.items()}
        run.say(f"{chosen.optimizer} passes the minimum by {overshoot:.3g} and ends at "
                f"{ends[f'x_{chosen.optimizer}']:.3g}; plain descent ends at {ends['x_hand']:.3g}")  # fmt: skip
        self.draw(run, paths, chosen.optimizer)
        difference = max(float(np.abs(paths[name] - paths["hand"]).max()) for name in SAME)
        return {**ends, "difference": difference, "overshoot": overshoot}

    def draw(self, run: Run, paths: dict[str, Any], compared: str) -> None:
        """The parabola with the points of two paths, and all paths by step."""
        plots = run.figures()
        if plots is None:
            return
        figure, (valley, time, close) = pictures.new_figure(3, width=4.8, height=4.2)
        colours = {**dict(zip(SAME, pictures.COLOURS[2:], strict=False)), "hand": pictures.COLOURS[0]}
        colours[compared] = pictures.COLOURS[1]
        ends = min(path.min() for path in paths.values()), max(path.max() for path in paths.values())
        reach = float(np.abs(ends).max())
        line = pictures.grid(ends[0] - 0.15 * reach, ends[1] + 0.15 * reach)
        valley.plot(line, line**2, color=pictures.GREY, linewidth=1)
        for name, below in (("hand", False), (compared, True)):
            label = "gradient descent" if name == "hand" else compared
            # The points of one path lie a little below the parabola, so that both can be seen.
            lowered = paths[name] ** 2 - (0.045 * reach**2 if below else 0)
            valley.plot(paths[name], lowered, "o", color=colours[name], markersize=4, alpha=0.7, label=label)
        valley.set(xlabel="x", ylabel="x²", title="one point a step")
        valley.legend(frameon=False, loc="upper center")
        widths = {"hand": 6.0, "gradients": 3.2, "sgd": 1.2, compared: 1.8}
        labels = {"hand": "by hand", "gradients": "by gradients", "sgd": "by the optimizer SGD", compared: compared}
        for name, path in paths.items():
            alpha = 0.35 if name == "hand" else 1.0
            for axes in (time, close):
                axes.plot(path, color=colours[name], linewidth=widths[name], alpha=alpha, label=labels[name])
        for axes in (time, close):
            axes.axhline(0, color="black", linewidth=0.8)
        away = paths[compared] * np.sign(paths[compared][0])
        lowest = int(away.argmin())
        depth = float(-away[lowest])
        title = "close to the minimum"
        if depth > 0:
            close.plot([lowest], [paths[compared][lowest]], "o", color=colours[compared])
            title = f"{compared} overshoots by {depth:.3g} at step {lowest}"
        reach = 2.5 * depth if depth > 0 else 0.02 * float(np.abs(paths[compared][0]))
        close.set(xlabel="step", title=title, ylim=(-reach, reach))
        time.set(xlabel="step", ylabel="x", title="x by step")
        time.legend(frameon=False)
        plots.save(figure, "paths")


__all__ = ["GradientDescent", "GradientDescentSettings"]
