"""The steps of a model as traced functions.

The first step of all runs eagerly: it makes what comes to exist by use (weights, slots of the optimizer, state of
metrics).  The steps after it run a trace, which computes the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from corenn.compiler.program import UnknownValueError
from corenn.errors import GraphError
from corenn.graph.function import Function
from corenn.tensor import Tensor

if TYPE_CHECKING:
    from corenn.training.trainable import Trainable


class TracingWarning(UserWarning):
    """A model's steps cannot be traced and run op by op, which is slower."""


class Steps:
    """Training and test steps of one compiled model."""

    def __init__(self, model: Trainable) -> None:
        self._model = model
        #: Each function after what it was made for: the model's parts, and the settings of the optimizer.
        self._functions: dict[str, tuple[Any, Function | None]] = {}
        self._eager = False

    def train(self, x: Any, y: Any, weight: Any) -> Tensor:
        """One step of training."""
        model = self._model
        if not model.optimizer.traceable:
            return model.train_on_tensors(x, y, weight)
        return self._run("train", model.train_on_tensors, x, y, weight)

    def test(self, x: Any, y: Any, weight: Any) -> Tensor:
        """Loss and metrics of one batch."""
        return self._run("test", self._model.test_on_tensors, x, y, weight)

    def _run(self, what: str, step: Callable[..., Tensor], x: Any, y: Any, weight: Any) -> Tensor:
        model = self._model
        if model.run_eagerly or self._eager:
            return step(x, y, weight)
        made_for, function = self._functions.get(what, (None, None))
        parts = model._parts()
        if function is None or made_for != (parts, self._settings()):
            function = Function(step, name=f"{model.name}.{what}_step")
            # What has been trained has all it needs: a run that goes on from a checkpoint computes as if it had not
            # been interrupted.
            result = step(x, y, weight) if not model.optimizer.iterations else None
            # Looked at after the step, which may build layers.  A loss scale may have left the first update out: then
            # the next step is like the first.
            if what != "train" or model.optimizer.iterations or result is None:
                self._functions[what] = ((model._parts(), self._settings()), function)
            if result is not None:
                return result
        try:
            traced: Tensor = function(x, y, weight)
        except (GraphError, UnknownValueError) as reason:
            if getattr(reason, "graph_operation", None) is not None:
                raise
            self._eager = True
            warnings.warn(
                f"the {what} step of {model.name!r} cannot be traced and runs op by op ({reason.where}: {reason.what})"
                "; compile(..., run_eagerly=True) if that is meant",
                TracingWarning, stacklevel=2,
            )  # fmt: skip
            return step(x, y, weight)
        finally:
            for layer in parts.layers:
                layer._added_losses.clear()
        return traced

    def _settings(self) -> int:
        """A number that grows with changes of the optimizer that a trace holds fixed."""
        version: int = getattr(self._model.optimizer, "settings_version", 0)
        return version


__all__ = ["Steps", "TracingWarning"]
