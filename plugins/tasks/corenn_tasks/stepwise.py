"""What the small tasks share: settings of loops of steps, a traced step, data from a seed.

These tasks train a handful of variables in a loop of their own (``run.loop``), as the documents they come from do, and
make their data from the seed of the run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

import corenn
from corenn import philox
from corenn.errors import UsageError
from corenn.optimizers import Optimizer
from corenn.tensor import Tensor
from corenn.training.run import Run
from corenn.training.run_loop import RunLoop
from corenn.training.task import Settings
from corenn.variable import Variable

Array = npt.NDArray[Any]
#: Steps between checkpoints where ``checkpoint_every`` is 0; what is lost when a run is killed.
SAVE_EVERY = 500


@dataclasses.dataclass
class StepSettings(Settings):
    """Settings of a task that counts steps.

    ``steps``: how many.  ``log_every``: figures are written after the first step and after every so many.  What a task
    names in ``unused`` cannot be set, for it would change nothing.
    """

    unused: ClassVar[tuple[str, ...]] = ("epochs", "batch_size", "histograms")
    needs_steps: ClassVar[bool] = True  # whether 0 is too few

    epochs: int = 1
    batch_size: int = 1
    steps: int = 100
    log_every: int = 1

    def check(self) -> None:
        """Numbers that make sense."""
        super().check()
        fields = dataclasses.fields(self)
        for field in fields:
            if field.name in self.unused and getattr(self, field.name) != field.default:
                used = ", ".join(f.name for f in fields if f.name not in self.unused)
                raise UsageError("settings", f"{field.name} changes nothing here", hint=f"what does: {used}")
        self.require("log_every", self.log_every >= 1, "at least 1")
        self.require("steps", self.steps >= 1 or not self.needs_steps, "at least 1")

    def require(self, name: str, holds: bool, what: str) -> None:
        """UsageError that says what a setting must be, unless it ``holds``."""
        if not holds:
            raise UsageError("settings", f"{name} must be {what}, not {getattr(self, name)}")

    @property
    def total(self) -> int:
        """Steps in all: an epoch is one step where all examples are taken at once."""
        return self.steps if "epochs" in self.unused else min(self.epochs, self.steps or self.epochs)

    def logs(self, step: int) -> bool:
        """Whether figures are written after so many steps."""
        return step % self.log_every == 0 or step == 1


def traced_step(loss: Callable[..., Tensor], variables: Sequence[Variable], optimizer: Optimizer) -> Any:
    """``step(*batch)``: one update of ``variables`` along the gradient of ``loss(*batch)``; returns that loss.

    It is traced from the first step on, so a resumed run computes what an uninterrupted one does.
    """
    optimizer.build(variables)

    @corenn.function
    def step(*batch: Tensor) -> Tensor:
        with corenn.GradientTape() as tape:
            value = loss(*batch)
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value

    return step


def logged(loop: RunLoop) -> dict[str, Array]:
    """What a loop has logged, from the first step of the run on: ``step`` and each figure, NaN where not finite."""
    names = [name for name in (loop.records[-1] if loop.records else ()) if name not in ("kind", "part")]
    return {name: np.array([record.get(name) for record in loop.records], np.float64) for name in names}


def write_graph(loop: RunLoop, traced: Any) -> None:
    """The graph of a traced function that has run, for TensorBoard's graph tab."""
    loop.writer.add_graph(next(iter(traced.traces.values())).graph)


def refuse_data(run: Run) -> None:
    """UsageError for ``--dataset`` and ``--data-dir``, which a task that makes its own data would ignore."""
    for option in ("dataset", "data_dir"):
        if run.config[option] is not None:
            flag = f"--{option.replace('_', '-')}"
            raise UsageError(flag, f"{run.config['task']} makes its data itself", hint=f"leave {flag} out")


def normal(seed: int, purpose: str, *shape: int) -> Array:
    """Normal numbers float64[shape] for a named purpose, the same on every machine."""
    return philox.normal(philox.derive(seed, purpose), 0, 0, int(np.prod(shape)), np.float64).reshape(shape)


def uniform(seed: int, purpose: str, *shape: int) -> Array:
    """Uniform numbers of [0, 1), float64[shape], for a named purpose."""
    return philox.uniform(philox.derive(seed, purpose), 0, 0, int(np.prod(shape)), np.float64).reshape(shape)


def least_squares(design: Array, targets: Array) -> Array:
    """The coefficients that minimise ``|design @ c - targets|**2``, in float64; ``design``: [examples, features]."""
    found: Array = np.linalg.lstsq(np.asarray(design, np.float64), np.asarray(targets, np.float64), rcond=None)[0]
    return found


def mean_squared(design: Array, coefficients: Array, targets: Array) -> float:
    """The mean squared error of a linear model, in float64."""
    return float(np.mean((np.asarray(design, np.float64) @ coefficients - targets) ** 2))


__all__ = ["SAVE_EVERY", "Array", "StepSettings", "least_squares", "logged", "mean_squared", "normal", "refuse_data",
           "traced_step", "uniform", "write_graph"]  # fmt: skip
