"""``Model``: a layer that can be compiled, trained, evaluated and asked for predictions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from corenn import metrics as metrics_module
from corenn import optimizers, tree
from corenn.autodiff.tape import GradientTape
from corenn.configurable import Registry
from corenn.data import Dataset
from corenn.dtypes import float64
from corenn.errors import CheckpointError, UsageError, nearest
from corenn.layers import naming
from corenn.layers.base import Layer, holds_added_losses
from corenn.layers.phase import structure_version
from corenn.ops.creation import tensor
from corenn.ops.elementwise import add
from corenn.tensor import Tensor
from corenn.training import feeding
from corenn.training.callbacks.base import Callback, CallbackList
from corenn.training.feeding import as_tensors
from corenn.training.loop import Loop
from corenn.training.objectives import Objectives
from corenn.training.steps import Steps
from corenn.training.summary import model_summary
from corenn.variable import Variable

Metric = metrics_module.Metric


class Collected:
    """What a step needs of a model's layers, gathered once for each structure the model has."""

    def __init__(self, model: Model) -> None:
        self.version = structure_version()
        self.layers = list(model.walk())
        self.trainable = model.trainable_weights
        trained = {id(v) for v in self.trainable}
        self.penalties = [(v, f) for layer in self.layers for v, f in layer._regularized if id(v) in trained]
        found: list[tuple[str, Metric]] = []
        for layer in self.layers:
            for key, value in layer.__dict__.items():
                naming.collect(key, value, Metric, found)
        self.metrics = list({id(m): m for _, m in found}.values())
        self.optimizer: Any = None  # the one that has slots for the trainable variables
        self.double = any(layer.dtype is float64 for layer in self.layers)

    def same_as(self, other: Collected) -> bool:
        """Whether steps made for one serve the other: the same layers, equally frozen, the same weights and metrics."""
        return self._identities() == other._identities()

    def _identities(self) -> tuple[Any, ...]:
        return (
            [(id(layer), layer._trainable, *map(id, layer._own_weights)) for layer in self.layers],
            [id(v) for v in self.trainable], [(id(v), id(f)) for v, f in self.penalties], [id(m) for m in self.metrics],
            self.double,
        )  # fmt: skip


class Model(Layer):
    """Layers plus training.  Subclass it with ``call``, or make a functional one: ``Model(inputs, outputs)``.

    ``compile`` chooses optimizer, loss and metrics; ``fit``, ``evaluate`` and ``predict`` take arrays, a
    ``corenn.data.Dataset`` of batches, or a generator of batches ``(x, y)`` or ``(x, y, sample_weight)``.
    """

    casts_inputs = False
    optimizer: Any = None
    step_seconds: float = 0.0
    run_eagerly: bool = False
    _objectives: Objectives
    _traced: Steps
    _collected: Collected | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Model:
        """``Model(inputs, outputs)`` is a functional model."""
        if cls is Model and (args or "inputs" in kwargs):
            from corenn.training.functional import Functional

            return object.__new__(Functional)
        return object.__new__(cls)

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
    ) -> None:
        """Choose how to train.

        ``optimizer``: a name or an optimizer.  ``loss``: a name, loss or function ``(y_true, y_pred)``; for models of
        several outputs a list or dict of them (``loss_weights`` alike).  ``metrics``: names, metrics or functions; for
        several outputs a list of lists or a dict.  ``weighted_metrics`` are given the sample weights, ``metrics`` not.
        Steps are traced by ``corenn.function`` and run as programs; ``run_eagerly=True`` runs them op by op, so that
        Python inside layers, losses and metrics (prints, counters, a debugger) sees every batch.
        """
        chosen = optimizers.get(optimizer)
        if chosen is None:
            raise UsageError("compile", "there is no optimizer", hint="compile(optimizer='adam', ...)")
        self._objectives = Objectives(loss, metrics, weighted_metrics, loss_weights)
        self.optimizer = chosen
        self.run_eagerly = bool(run_eagerly)
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
        """The loss tracker, the compiled metrics, and those held by layers."""
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
        for metric in self.metrics:
            value: Any = metric.result()
            if isinstance(value, dict):
                found.update({k: float(v) for k, v in value.items()})
            elif np.ndim(value) == 0:
                found[metric.name] = float(value)
        return found

    # ---- one step

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The scalar to minimise: the compiled loss and everything the layers add.  Override for your own."""
        value = self._require_compiled("compute_loss").loss(y, y_pred, sample_weight)
        for extra in self.losses:
            value = extra if value is None else add(value, extra)
        if value is None:
            raise UsageError("fit", "there is no loss", hint="compile(loss=...), or add_loss in a layer")
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

    @contextlib.contextmanager
    def _placed(self) -> Iterator[None]:
        """Where the weights are is where the model runs."""
        first = next(iter(self.weights), None)
        with contextlib.nullcontext() if first is None else first.device:
            yield

    # ---- whole data

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_freq: int = 1,
        most_steps: int | None = None,
    ) -> Any:
        """Train; returns a ``History`` whose ``history`` maps each figure to its values by epoch.

        ``x``, ``y``, ``sample_weight``: arrays with one first extent (several as tuples, lists or dicts; shuffled anew
        each epoch with a seed from the default generator), or ``x`` a Dataset or generator of batches.
        ``batch_size``: for arrays, 32 by default.  ``verbose``: "auto", 0 (silent), 1 (bar), 2 (a line an epoch).
        ``validation_split``: the last part of the arrays is held out; ``validation_data``: arrays (x, y) or (x, y,
        sample_weight), or a Dataset; looked at every ``validation_freq`` epochs, ``validation_steps`` batches of it.
        ``class_weight``: by class, on top of sample weights.  ``steps_per_epoch``: an epoch ends after so many steps,
        and the next goes on in the data.  ``most_steps`` ends training after so many steps in all.
        """
        self._require_compiled("fit")
        held = validation_data
        if validation_split:
            if held is not None:
                raise UsageError("fit", "give validation_split or validation_data, not both")
            (x, y, sample_weight), held = feeding.split(x, y, sample_weight, validation_split)
        as_arrays = y is not None
        if class_weight is not None and as_arrays:
            by_class = feeding.class_weights(y, class_weight)
            sample_weight = by_class if sample_weight is None else by_class * np.asarray(sample_weight)
        dataset = feeding.as_batches(x, y, sample_weight, batch_size=batch_size, shuffle=shuffle)
        if class_weight is not None and not as_arrays:
            dataset = feeding.with_class_weights(dataset, class_weight)
        loop = Loop(self, dataset, epochs=epochs, initial_epoch=initial_epoch, steps_per_epoch=steps_per_epoch,
                    most_steps=most_steps)  # fmt: skip
        validate = self._validator(held, batch_size, validation_steps, validation_freq)
        with self._placed():
            return self._run(loop, callbacks, verbose, validate)

    def _run(self, loop: Loop, callbacks: Iterable[Callback] | None, verbose: Any, validate: Any) -> Any:
        from corenn.training.callbacks import History, Progress

        given = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
        history = next((c for c in given if isinstance(c, History)), None) or History()
        extra: list[Callback] = [] if history in given else [history]
        if verbose not in (0, False) and not any(isinstance(c, Progress) for c in given):
            extra.append(Progress(verbose))
        loop.run(CallbackList([*given, *extra], self, loop), validate)
        return history

    def _validator(
        self, data: Any, batch_size: int | None, steps: int | None, every: int
    ) -> Callable[[int], dict[str, float]] | None:
        if data is None:
            return None
        if every < 1:
            raise UsageError("fit", f"validation_freq must be at least 1, not {every}")
        where = "fit, validation_data"
        if not isinstance(data, (Dataset, tuple, list, dict)) and feeding.is_arrays(data):
            raise UsageError(where, "it is a single array", hint="validation_data=(x, y)")
        if isinstance(data, (tuple, list)) and feeding.is_arrays(tuple(p for p in data if p is not None)):
            if not 2 <= len(data) <= 3:
                raise UsageError(where, f"there are {len(data)} parts", hint="(x, y) or (x, y, sample_weight)")
            dataset = feeding.as_batches(*data, batch_size=batch_size, where=where)
        else:
            dataset = feeding.as_batches(data, where=where)

        def validate(epoch: int) -> dict[str, float]:
            if (epoch + 1) % every:
                return {}
            found = self._evaluate(dataset, steps, CallbackList([], self), epoch)
            return {f"val_{k}": v for k, v in found.items()}

        return validate

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        *,
        batch_size: int | None = None,
        verbose: Any = 0,
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Iterable[Callback] | None = None,
    ) -> dict[str, float]:
        """Loss and metrics on data (as for ``fit``), by name.  Metrics running in a ``fit`` are not disturbed.

        ``verbose`` not 0 prints them.  ``steps``: at most so many batches.
        """
        self._require_compiled("evaluate")
        dataset = feeding.as_batches(x, y, sample_weight, batch_size=batch_size, where="evaluate")
        with self._placed():
            found = self._evaluate(dataset, steps, CallbackList(callbacks or (), self))
        if verbose not in (0, False, "auto"):
            print("  ".join(f"{name} {value:.4f}" for name, value in found.items()))
        return found

    def _evaluate(
        self, dataset: Dataset, steps: int | None, callbacks: CallbackList, epoch: int | None = None
    ) -> dict[str, float]:
        running = {id(m): m.get_state() for m in self.metrics}
        self.reset_metrics()
        callbacks.call("on_test_begin")
        try:
            count = 0
            with dataset.iterator(epoch) as batches:
                while steps is None or count < steps:
                    batch = next(batches, None)
                    if batch is None:
                        break
                    self.test_step(batch)
                    callbacks.call("on_test_batch_end", count, {})
                    count += 1
            if not count:
                raise UsageError("evaluate", "the data gave no batches", hint="a generator can be read once")
            found = self.metric_results()
        finally:
            for metric in self.metrics:
                metric.reset_state()
                if running.get(id(metric)):
                    metric.set_state(running[id(metric)])
        callbacks.call("on_test_end", found)
        return found

    def predict(self, x: Any, *, batch_size: int | None = None, steps: int | None = None, verbose: Any = 0) -> Any:
        """Outputs for data (arrays, a Dataset or generator of batches), as NumPy arrays in the output's structure.

        Of batches ``(x, y)`` only ``x`` is read.
        """
        dataset = feeding.as_batches(x, batch_size=batch_size, where="predict")
        parts: list[list[np.ndarray[Any, Any]]] = []
        structure: Any = None
        with self._placed(), dataset.iterator() as batches:
            while steps is None or len(parts) < steps:
                batch = next(batches, None)
                if batch is None:
                    break
                structure = self(self._tensors((feeding.unpack(batch)[0],))[0], training=False)
                parts.append([t.numpy() for t in tree.leaves(structure)])
        if not parts:
            raise UsageError("predict", "the data gave no batches", hint="a generator can be read once")
        joined = (np.concatenate(column) for column in zip(*parts, strict=True))
        return tree.rebuild(structure, joined)

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None) -> dict[str, float]:
        """One step on one batch; returns its loss and the metrics so far since ``reset_metrics``."""
        self._require_compiled("train_on_batch")
        with self._placed():
            loss = self.train_step(_batch("train_on_batch", x, y, sample_weight))
            return {**self.metric_results(), "loss": float(loss)}

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None) -> dict[str, float]:
        """Loss of one batch and the metrics so far, nothing trained."""
        self._require_compiled("test_on_batch")
        with self._placed():
            loss = self.test_step(_batch("test_on_batch", x, y, sample_weight))
            return {**self.metric_results(), "loss": float(loss)}

    def predict_on_batch(self, x: Any) -> Any:
        """Outputs for one batch as NumPy arrays."""
        with self._placed():
            out = self(self._tensors((feeding.host(x, "predict_on_batch"),))[0], training=False)
        return tree.tree_map(lambda t: t.numpy(), out)

    # ---- state

    def state_dict(self) -> dict[str, Any]:
        """Weights by name, the optimizer's state and the running metrics, for a checkpoint."""
        state: dict[str, Any] = {"weights": self._weights_by_name()}
        if self.compiled:
            state["optimizer"] = self.optimizer.get_state()
            state["metrics"] = self._objectives.get_state()
        state["layer_metrics"] = [m.get_state() for m in self._parts().metrics]
        return state

    def _weights_by_name(self) -> dict[str, np.ndarray[Any, Any]]:
        return {n: v.numpy() for n, v in zip(self.weight_names(), self.weights, strict=True)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back a ``state_dict``; CheckpointError names the weights that do not fit, and changes nothing then."""
        self.load_weights_dict(state["weights"])
        if self.compiled and state.get("optimizer") is not None:
            if state["optimizer"].get("slots"):
                self._build_optimizer(self._parts())
            self.optimizer.set_state(state["optimizer"])
            self._objectives.set_state(state["metrics"])
        for metric, values in zip(self._parts().metrics, state.get("layer_metrics") or [], strict=False):
            metric.set_state(values)

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

    # ---- looking

    def summary(self, print_fn: Any = print, line_length: int | None = None) -> None:
        """Print the layers with output shapes and numbers of parameters."""
        print_fn(model_summary(self, line_length))

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside."""
        return self.sublayers()

    def get_layer(self, name: str) -> Layer:
        """The layer of that name, at any depth; UsageError with the nearest names."""
        found = {layer.name: layer for layer in self.walk()}
        if name not in found:
            raise UsageError(self.name, f"there is no layer {name!r}", hint=nearest(name, found))
        return found[name]


def _batch(where: str, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    parts = (("x", x), ("y", y), ("sample_weight", sample_weight))
    return tuple(None if p is None else feeding.host(p, where, n) for n, p in parts)  # type: ignore[return-value]  # three


_REGISTRY: Registry[Model] = Registry("model", Model)
register = _REGISTRY.register

__all__ = ["Model", "as_tensors", "register"]
