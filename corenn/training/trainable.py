"""``Trainable``: what a model is compiled with, its steps on one batch, and its state.

``Model`` adds what is done with whole data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from corenn import metrics as metrics_module
from corenn import optimizers
from corenn.autodiff.tape import GradientTape
from corenn.errors import CheckpointError, ShapeError, UsageError
from corenn.layers.base import Layer, as_number, holds_added_losses
from corenn.layers.generators import get_generator_state, set_generator_state
from corenn.layers.naming import numbered
from corenn.layers.phase import structure_version
from corenn.ops.creation import tensor
from corenn.ops.elementwise import add
from corenn.tensor import Tensor
from corenn.training import feeding
from corenn.training.collecting import Collected
from corenn.training.feeding import as_tensors
from corenn.training.objectives import Objectives
from corenn.training.steps import Steps
from corenn.variable import Variable

Metric = metrics_module.Metric


class Trainable(Layer):
    """A layer with an optimizer, a loss and metrics; see ``corenn.training.Model``."""

    casts_inputs = False
    optimizer: Any = None
    run_eagerly: bool = False
    _auto_scale_loss: bool = False
    _objectives: Objectives
    _traced: Steps
    _collected: Collected | None = None

    # ---- compiling

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Any = None,
        *,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose how to train.

        ``optimizer``: a name or an optimizer.  ``loss``: a name, loss or function ``(y_true, y_pred)``; for models of
        several outputs a list or dict of them (``loss_weights`` alike).  ``metrics``: names, metrics or functions; for
        several outputs a list of lists or a dict.  ``weighted_metrics`` are given the sample weights, ``metrics`` not.
        Steps are traced by ``corenn.function`` and run as programs; ``run_eagerly=True`` runs them op by op, so that
        Python inside layers, losses and metrics (prints, counters, a debugger) sees every batch.
        ``auto_scale_loss``: where layers compute in float16 under a mixed policy, and the optimizer does not scale the
        loss, it is told to (``loss_scale_factor="dynamic"``).
        """
        chosen = optimizers.get(optimizer)
        if chosen is None:
            raise UsageError("compile", "there is no optimizer", hint="compile(optimizer='adam', ...)")
        self._objectives = Objectives(loss, metrics, weighted_metrics, loss_weights)
        self.optimizer = chosen
        self.run_eagerly, self._auto_scale_loss = bool(run_eagerly), bool(auto_scale_loss)
        self._traced = Steps(self)

    @property
    def compiled(self) -> bool:
        """Whether ``compile`` has been called."""
        return self.optimizer is not None

    def _require_compiled(self, what: str) -> Objectives:
        if not self.compiled:
            raise UsageError(what, "the model is not compiled", hint="model.compile(optimizer='adam', loss='mse')")
        return self._objectives

    def _parts(self) -> Collected:
        found = self._collected
        if found is None or found.version != structure_version():
            now = Collected(self)
            if found is not None and found.same_as(now):
                found.version = now.version  # something changed elsewhere, or here and back again
                return found
            found = now
            object.__setattr__(self, "_collected", found)
        return found

    @property
    def metrics(self) -> list[Metric]:
        """The loss tracker, the compiled metrics, and those of layers (held, or reported with ``add_metric``)."""
        compiled = list(self._objectives.all()) if self.compiled else []
        return compiled + [m for m in self._parts().metrics if not any(m is c for c in compiled)]

    def known_metrics(self) -> list[Metric]:
        """The metrics there are before the first batch: those that were given as objects are among them."""
        return [*self.metrics, *(self._objectives.given() if self.compiled else ())]

    @property
    def losses(self) -> list[Tensor]:
        """Penalties on trained variables (computed now), and what ``add_loss`` gathered in the last call."""
        parts = self._parts()
        found = [penalty(variable) for variable, penalty in parts.penalties]
        found += [as_number(function()) for function in parts.functions]
        if holds_added_losses():
            for layer in parts.layers:
                found += layer._added_losses
        return found

    def reset_metrics(self) -> None:
        """Start all metrics again."""
        if self.compiled:
            self._objectives.reset_state()
        for metric in self._parts().metrics:
            metric.reset_state()

    def metric_results(self) -> dict[str, float]:
        """Present values of all metrics by name; those that are not numbers (a confusion matrix) are left out."""
        found: dict[str, float] = {}
        metrics = self.metrics
        names = [metric.name for metric in metrics]
        if len(set(names)) < len(names):
            names = numbered(names)  # two layers report something of one name
        for name, metric in zip(names, metrics, strict=True):
            value: Any = metric.result()
            if isinstance(value, dict):
                found.update({k: float(v) for k, v in value.items()})
            elif np.ndim(value) == 0:
                found[name] = float(value)
        return found

    # ---- one step

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The scalar to minimise: the compiled loss and everything the layers add.  Override for your own."""
        value = self._require_compiled("compute_loss").loss(y, y_pred, sample_weight)
        for extra in self.losses:
            value = extra if value is None else add(value, extra)
        if value is None:
            raise UsageError("fit", "there is no loss", hint="compile(loss=...), or add_loss in a layer")
        if value.ndim:
            hint = "corenn.mean(...) of what add_loss is given; compile a loss that is reduced"
            raise ShapeError("fit", "the loss must be one number", {"loss": value.spec}, hint=hint)
        return value

    def train_step(self, batch: Any) -> Tensor:
        """One step on one batch of host arrays: forward, gradients, update, metrics.  Returns the loss (a scalar).

        Override it for a step of your own, which then runs eagerly (or trace it yourself with ``corenn.function``).
        """
        return self._traced.train(*self._tensors(batch))

    def train_on_tensors(self, x: Any, y: Any, weight: Any) -> Tensor:
        """The step itself, on tensors: what is traced."""
        optimizer = self.optimizer
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, weight)
            if self._auto_scale_loss:
                self._choose_scaling()
            target = loss if optimizer.loss_scale_factor is None else optimizer.scale_loss(loss)
        parts = self._parts()
        if parts.optimizer is not optimizer:
            self._build_optimizer(parts)
        variables = parts.trainable
        if not variables:
            hint = "add layers with weights, or thaw those there are: layer.trainable = True"
            raise UsageError("fit", "the model has nothing to train", hint=hint)
        gradients = tape.gradient(target, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._objectives.update(y, y_pred, weight, loss)
        return loss

    def _choose_scaling(self) -> None:
        """Let the optimizer scale the loss, if gradients pass through float16 and it does not."""
        if self._parts().half and self.optimizer.loss_scale_factor is None:
            self.optimizer.loss_scale_factor = "dynamic"

    def test_step(self, batch: Any) -> Tensor:
        """Loss and metrics of one batch, nothing trained."""
        return self._traced.test(*self._tensors(batch))

    def test_on_tensors(self, x: Any, y: Any, weight: Any) -> Tensor:
        """The step itself, on tensors: what is traced."""
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, weight)
        self._objectives.update(y, y_pred, weight, loss)
        return loss

    def _tensors(self, batch: Any) -> tuple[Any, Any, Any]:
        """Inputs, targets and weights of a batch on the current device; doubles stay so for layers that are double."""
        x, y, weight = feeding.unpack(batch)
        double = self._parts().double
        return as_tensors(x, double), as_tensors(y, double), as_tensors(weight, double)

    def _build_optimizer(self, parts: Collected) -> None:
        """Let the optimizer name what it keeps after the weights' names here, which do not depend on the process."""
        names = {id(v): n for v, n in zip(self.weights, self.weight_names(), strict=True)}
        self.optimizer.build(parts.trainable, [names[id(v)] for v in parts.trainable])
        parts.optimizer = self.optimizer

    # ---- state

    def state_dict(self) -> dict[str, Any]:
        """Weights by name, the optimizer's state, running metrics and layers' generators, for a checkpoint."""
        state: dict[str, Any] = {"weights": self._weights_by_name()}
        if self.compiled:
            state["optimizer"] = self.optimizer.get_state()
            state["metrics"] = self._objectives.get_state()
        state["layer_metrics"] = [m.get_state() for m in self._held_metrics()]
        state["generators"] = get_generator_state(self)
        state["added_metrics"] = {
            path: {name: {"aggregation": _aggregation(m), "state": m.get_state()} for name, m in found.items()}
            for path, found in self._added().items()
        }
        return state

    def _added(self) -> dict[str, dict[str, Any]]:
        """What ``add_metric`` has made, by the paths of layers."""
        return {path: dict(layer._added_metrics) for path, layer in self._walk_paths() if layer._added_metrics}

    def _held_metrics(self) -> list[Metric]:
        """The metrics that layers hold in attributes of their own."""
        added = {id(m) for found in self._added().values() for m in found.values()}
        return [m for m in self._parts().metrics if id(m) not in added]

    def _weights_by_name(self) -> dict[str, np.ndarray[Any, Any]]:
        return {n: v.numpy() for n, v in zip(self.weight_names(), self.weights, strict=True)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back a ``state_dict``; CheckpointError names the weights that do not fit, and changes nothing then."""
        self.load_weights_dict(state["weights"])
        if self.compiled and state.get("optimizer") is not None:
            if self._auto_scale_loss:
                self._choose_scaling()
            if state["optimizer"].get("slots"):
                self._build_optimizer(self._parts())
            self.optimizer.set_state(state["optimizer"])
            self._objectives.set_state(state["metrics"])
        for metric, values in zip(self._held_metrics(), state.get("layer_metrics") or [], strict=False):
            metric.set_state(values)
        set_generator_state(self, state.get("generators") or {})
        saved = state.get("added_metrics") or {}
        for path, layer in list(self._walk_paths()) if saved else []:
            for name, one in saved.get(path, {}).items():
                layer._metric(name, one["aggregation"]).set_state(one["state"])

    def load_weights_dict(self, weights: Mapping[str, Any]) -> None:
        """Assign weights by name (see ``weight_names``), all or none; CheckpointError says what does not fit."""
        names = self.weight_names()
        if not names and weights:
            hint = "call it on one batch first, then load"
            raise CheckpointError(self.name, "the model has no weights yet", hint=hint)
        problems = [f"{n} is missing" for n in names if n not in weights]
        problems += [f"{n} is not in the model" for n in weights if n not in names]
        pairs: list[tuple[Variable, Tensor]] = []
        for name, variable in zip(names, self.weights, strict=True):
            if name in weights:
                value = np.asarray(weights[name])
                if value.shape != variable.shape:
                    problems.append(f"{name} has shape {value.shape}, the model's {variable.shape}")
                else:
                    pairs.append((variable, tensor(value, dtype=variable.dtype, device=variable.device)))
        if problems:
            shown = {f"{i}": p for i, p in enumerate(problems[:8], 1)}
            raise CheckpointError(self.name, f"{len(problems)} weights do not fit", shown,
                                  hint="was the model made with the same settings?")  # fmt: skip
        for variable, made in pairs:
            variable.assign(made)

    def save_weights(self, path: Any) -> None:
        """Write all weights to a safetensors file by name, atomically."""
        from corenn.checkpoint import save_file

        save_file(path, self._weights_by_name(), {"weights_of": type(self).__name__})

    def load_weights(self, path: Any) -> None:
        """Read all weights from a safetensors file by name; CheckpointError says what does not fit."""
        from corenn.checkpoint import load_file

        self.load_weights_dict(load_file(path)[0])


def _aggregation(metric: Metric) -> str:
    return "sum" if isinstance(metric, metrics_module.Sum) else "mean"


__all__ = ["Trainable"]
