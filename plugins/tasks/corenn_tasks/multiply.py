"""``multiply``: two numbers and their product, the smallest program there is, in the three ways a program can run."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

import corenn
from corenn import graph
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn_tasks import pictures
from corenn_tasks.stepwise import StepSettings, refuse_data

_LARGEST = 1e18  # the product of two such numbers is a float32


@dataclasses.dataclass
class MultiplySettings(StepSettings):
    """``x`` and ``y``: what to multiply."""

    unused: ClassVar[tuple[str, ...]] = ("epochs", "batch_size", "log_every", "checkpoint_every", "histograms")
    needs_steps: ClassVar[bool] = False

    steps: int = 0
    x: float = 2.0
    y: float = 3.0

    def check(self) -> None:
        """Numbers whose product float32 holds."""
        super().check()
        for name in ("x", "y"):
            self.require(name, abs(getattr(self, name)) <= _LARGEST, f"at most {_LARGEST:g} in size")


class Multiply(Task):
    """The product at once, by a traced function, and by a graph with placeholders in a session; and its gradient."""

    Settings: ClassVar[type[Settings]] = MultiplySettings
    summary: ClassVar[str] = "multiply two numbers: at once, traced, and in a graph that a session runs"

    def run(self, run: Run) -> dict[str, float]:
        """Multiply, compare, differentiate, draw."""
        refuse_data(run)
        chosen: Any = run.settings
        x, y = corenn.tensor(chosen.x), corenn.tensor(chosen.y)
        products = {"eager": float(x * y), "traced": float(corenn.function(corenn.multiply)(x, y))}
        described = graph.Graph()
        with described.as_default():
            places = [graph.placeholder("float32", (), name=name) for name in ("x", "y")]
            product = corenn.multiply(*places)
        run.writer.add_graph(described)
        with graph.Session(graph=described) as session:
            products["session"] = float(session.run(product, dict(zip(places, (chosen.x, chosen.y), strict=True))))
        dx, dy = (float(g) for g in corenn.grad(corenn.multiply, argnums=(0, 1))(x, y))
        run.say(f"{chosen.x:g} * {chosen.y:g} = {products['session'] + 0.0:g}")
        self.draw(run, chosen.x, chosen.y, (dx, dy), products["eager"])
        difference = max(products.values()) - min(products.values())
        return {"product": products["eager"], "difference": difference, "gradient_x": dx, "gradient_y": dy}

    def draw(self, run: Run, x: float, y: float, gradient: tuple[float, float], product: float) -> None:
        """The surface x y as lines of equal height, the point, and the direction in which the product grows."""
        plots = run.figures()
        if plots is None:
            return
        figure, (axes,) = pictures.new_figure(width=5.6, height=4.8)
        reach = 1.6 * max(abs(x), abs(y), 1e-6)
        places = pictures.grid(-reach, reach, 161)
        heights = np.multiply.outer(places, places)
        drawn = axes.contourf(places, places, heights, levels=21, cmap="RdBu_r")
        axes.contour(places, places, heights, levels=[product], colors="black", linewidths=1)
        length = max(float(np.hypot(*gradient)), 1e-12)
        step = [0.35 * reach * part / length for part in gradient]
        axes.annotate(
            "", xy=(x + step[0], y + step[1]), xytext=(x, y), arrowprops={"arrowstyle": "->", "linewidth": 1.6}
        )
        axes.plot([x], [y], "ko", markersize=5)
        axes.annotate(f"{x:g} * {y:g} = {product + 0.0:g}", (x, y), (0, -16), textcoords="offset points",
                      ha="center", bbox=pictures.GROUND)  # fmt: skip
        figure.colorbar(drawn, label="x y")
        axes.grid(False)
        axes.set(xlabel="x", ylabel="y", title="x y; the black line has the same product, the arrow is its gradient",
                 xlim=(-reach, reach), ylim=(-reach, reach))  # fmt: skip
        axes.title.set_fontsize(9)
        plots.save(figure, "product")


__all__ = ["Multiply", "MultiplySettings"]
