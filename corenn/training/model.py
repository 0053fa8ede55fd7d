"""``Model``: a layer that can be compiled, trained, evaluated and asked for predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from corenn import losses, metrics, optimizers, random, tree
from corenn.autodiff.tape import GradientTape
from corenn.data import Dataset
from corenn.errors import CheckpointError, UsageError
from corenn.layers.base import Layer
from corenn.ops.creation import asarray, tensor
from corenn.ops.elementwise import add
from corenn.tensor import Tensor
from corenn.training import feeding
from corenn.training.callbacks.base import Callback, CallbackList
from corenn.training.loop import Loop
from corenn.training.objectives import Objectives
from corenn.training.summary import model_summary
from corenn.variable import Variable


class Model(Layer):
    """Layers plus training.  Subclass it with ``call``, or make a functional one: ``Model(inputs, outputs)``.

    ``compile`` chooses optimizer, loss and metrics; ``fit``, ``evaluate`` and ``predict`` take arrays, a
    ``corenn.data.Dataset`` of batches, or a generator of batches ``(x, y)`` or ``(x, y, sample_weight)``.
    """

    optimizer: Any = None
    step_seconds: float = 0.0

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
    ) -> None:
        """Choose how to train.

        ``optimizer``: a name or an optimizer.  ``loss``: a name, loss or function ``(y_true, y_pred)``; for models of
        several outputs a list or dict of them (``loss_weights`` alike).  ``metrics``: names, metrics or functions; for
        several outputs a list of lists or a dict.  ``weighted_metrics`` are given the sample weights, ``metrics`` not.
        """
        self.optimizer = optimizers.get(optimizer)
        self._objectives = Objectives(loss, metrics, weighted_metrics, loss_weights)

    @property
    def compiled(self) -> bool:
        """Whether ``compile`` has been called."""
        return self.optimizer is not None

    def _require_compiled(self, what: str) -> Objectives:
        if not self.compiled:
            raise UsageError(what, "the model is not compiled", hint="model.compile(optimizer='adam', loss='mse')")
        return self._objectives

    @property
    def metrics(self) -> list[metrics.Metric]:
        """The loss tracker, the compiled metrics, and those held by layers."""
        found = list(self._objectives.all()) if self.compiled else []
        for layer in self.walk():
            found += [v for v in layer.__dict__.values() if isinstance(v, metrics.Metric) and v not in found]
        return found

    def reset_metrics(self) -> None:
        """Start all metrics again."""
        for metric in self.metrics:
            metric.reset_state()

    def metric_results(self) -> dict[str, float]:
        """Present values of all metrics by name."""
        found: dict[str, float] = {}
        for metric in self.metrics:
            value = metric.result()
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
        """One step on one batch of host arrays: forward, gradients, update, metrics.  Returns the loss (a scalar)."""
        x, y, weight = feeding.unpack(batch)
        x, y, weight = as_tensors(x), as_tensors(y), as_tensors(weight)
        self.clear_losses()
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, weight)
        variables = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self._objectives.update(y, y_pred, weight, loss)
        return loss

    def test_step(self, batch: Any) -> Tensor:
        """Loss and metrics of one batch, nothing trained."""
        x, y, weight = feeding.unpack(batch)
        x, y, weight = as_tensors(x), as_tensors(y), as_tensors(weight)
        self.clear_losses()
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, weight)
        self._objectives.update(y, y_pred, weight, loss)
        return loss

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

        ``x``, ``y``, ``sample_weight``: arrays with one first extent (shuffled anew each epoch from the default
        generator's seed), or ``x`` a Dataset or generator of batches.  ``verbose``: "auto", 0 (silent), 1 (bar), 2 (a
        line an epoch).  ``most_steps`` ends training after so many steps in all.
        """
        self._require_compiled("fit")
        held = validation_data
        if validation_split:
            (x, y, sample_weight), held = feeding.split(x, y, sample_weight, validation_split)
        if class_weight is not None:
            if y is None:
                raise UsageError("fit", "class_weight needs y as an array", hint="yield sample weights from the dataset")
            by_class = feeding.class_weights(y, class_weight)
            sample_weight = by_class if sample_weight is None else by_class * np.asarray(sample_weight)
        seed = random.default_generator().split(1)[0].seed
        dataset = feeding.as_batches(x, y, sample_weight, batch_size=batch_size, shuffle=shuffle, seed=seed)
        loop = Loop(self, dataset, epochs=epochs, initial_epoch=initial_epoch, steps_per_epoch=steps_per_epoch,
                    most_steps=most_steps)  # fmt: skip
        return self._run(loop, callbacks, verbose, self._validator(held, batch_size, validation_steps, validation_freq))

    def _run(self, loop: Loop, callbacks: Iterable[Callback] | None, verbose: Any, validate: Any) -> Any:
        from corenn.training.callbacks import History, Progress

        given = list(callbacks or ())
        history = next((c for c in given if isinstance(c, History)), None) or History()
        extra: list[Callback] = [] if history in given else [history]
        if verbose not in (0, False) and not any(isinstance(c, Progress) for c in given):
            extra.append(Progress(verbose))
        listed = CallbackList([*given, *extra], self, loop)
        loop.run(listed, validate)
        return history

    def _validator(self, data: Any, batch_size: int | None, steps: int | None, every: int) -> Any:
        if data is None:
            return None
        if isinstance(data, (tuple, list)) and not isinstance(data, Dataset):
            dataset = feeding.as_batches(*data, batch_size=batch_size)
        else:
            dataset = feeding.as_batches(data)

        def validate(epoch: int) -> dict[str, float]:
            if (epoch + 1) % every:
                return {}
            return {f"val_{k}": v for k, v in self._evaluate(dataset, steps, CallbackList([], self)).items()}

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
        """Loss and metrics on data (as for ``fit``), by name.  Metrics running in a ``fit`` are not disturbed."""
        self._require_compiled("evaluate")
        dataset = feeding.as_batches(x, y, sample_weight, batch_size=batch_size)
        return self._evaluate(dataset, steps, CallbackList(callbacks or (), self))

    def _evaluate(self, dataset: Dataset, steps: int | None, callbacks: CallbackList) -> dict[str, float]:
        running = [(m, m.get_state()) for m in self.metrics]
        self.reset_metrics()
        callbacks.call("on_test_begin")
        try:
            for i, batch in enumerate(dataset):
                if steps is not None and i >= steps:
                    break
                self.test_step(batch)
                callbacks.call("on_test_batch_end", i, {})
            found = self.metric_results()
        finally:
            for metric, state in running:
                metric.set_state(state)
        callbacks.call("on_test_end", found)
        return found

    def predict(self, x: Any, *, batch_size: int | None = None, steps: int | None = None, verbose: Any = 0) -> Any:
        """Outputs for data (arrays, a Dataset or generator of batches), as NumPy arrays in the output's structure."""
        dataset = feeding.as_batches(x, batch_size=batch_size)
        parts: list[list[np.ndarray[Any, Any]]] = []
        structure: Any = None
        for i, batch in enumerate(dataset):
            if steps is not None and i >= steps:
                break
            structure = self(as_tensors(feeding.unpack(batch)[0]), training=False)
            parts.append([t.numpy() for t in tree.leaves(structure)])
        if not parts:
            raise UsageError("predict", "the data gave no batches")
        joined = (np.concatenate(column) for column in zip(*parts, strict=True))
        return tree.rebuild(structure, joined)

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None) -> dict[str, float]:
        """One step on one batch; returns its loss and the metrics so far since ``reset_metrics``."""
        self._require_compiled("train_on_batch")
        loss = self.train_step((feeding.host(x), None if y is None else feeding.host(y), sample_weight))
        return {**self.metric_results(), "loss": float(loss)}

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None) -> dict[str, float]:
        """Loss and metrics of one batch."""
        self._require_compiled("test_on_batch")
        loss = self.test_step((feeding.host(x), None if y is None else feeding.host(y), sample_weight))
        return {**self.metric_results(), "loss": float(loss)}

    def predict_on_batch(self, x: Any) -> Any:
        """Outputs for one batch as NumPy arrays."""
        return tree.tree_map(lambda t: t.numpy(), self(as_tensors(feeding.host(x)), training=False))

    # ---- state

    def state_dict(self) -> dict[str, Any]:
        """Weights by name, the optimizer's state and the running metrics, for a checkpoint."""
        weights = {n: v.numpy() for n, v in zip(self.weight_names(), self.weights, strict=True)}
        state: dict[str, Any] = {"weights": weights}
        if self.compiled:
            state["optimizer"] = self.optimizer.get_state()
            state["metrics"] = [m.get_state() for m in self.metrics]
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back a ``state_dict``; CheckpointError names the weights that do not fit, and changes nothing then."""
        self.load_weights_dict(state["weights"])
        if self.compiled and state.get("optimizer") is not None:
            self.optimizer.build(self.trainable_weights)
            self.optimizer.set_state(state["optimizer"])
            saved = state.get("metrics") or []
            for metric, values in zip(self.metrics, saved, strict=False):
                metric.set_state(values)

    def load_weights_dict(self, weights: Mapping[str, Any]) -> None:
        """Assign weights by name, all or none."""
        names = self.weight_names()
        if not names and weights:
            raise CheckpointError(self.name, "the model has no weights yet", hint="call it on one batch first, then load")
        problems = [f"{n} is missing" for n in names if n not in weights]
        problems += [f"{n} is not in the model" for n in weights if n not in names]
        pairs: list[tuple[Variable, np.ndarray[Any, Any]]] = []
        for name, variable in zip(names, self.weights, strict=True):
            if name in weights:
                value = np.asarray(weights[name])
                if value.shape != variable.shape:
                    problems.append(f"{name} has shape {value.shape}, the model's {variable.shape}")
                pairs.append((variable, value))
        if problems:
            shown = {f"{i}": p for i, p in enumerate(problems[:8])}
            raise CheckpointError(self.name, f"{len(problems)} weights do not fit", shown,
                                  hint="was the model made with the same settings?")  # fmt: skip
        for variable, value in pairs:
            variable.assign(tensor(value, dtype=variable.dtype, device=variable.device))

    def save_weights(self, path: Any) -> None:
        """Write all weights to a safetensors file, atomically."""
        from corenn.checkpoint import save_file

        weights = {n: v.numpy() for n, v in zip(self.weight_names(), self.weights, strict=True)}
        save_file(path, weights, {"corenn_format": "weights"})

    def load_weights(self, path: Any) -> None:
        """Read all weights from a safetensors file by name; CheckpointError says what does not fit."""
        from corenn.checkpoint import load_file

        tensors, _ = load_file(path)
        self.load_weights_dict(tensors)

    # ---- looking

    def summary(self, print_fn: Any = print, line_length: int | None = None) -> None:
        """Print the layers with output shapes and numbers of parameters."""
        print_fn(model_summary(self, line_length))

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside."""
        return self.sublayers()

    def get_layer(self, name: str) -> Layer:
        """The layer of that name, at any depth."""
        from corenn.errors import nearest

        found = {layer.name: layer for layer in self.walk()}
        if name not in found:
            raise UsageError(self.name, f"there is no layer {name!r}", hint=nearest(name, found))
        return found[name]


def as_tensors(structure: Any) -> Any:
    """A batch of host arrays as tensors on the current device: doubles become float32, the default precision."""
    if structure is None:
        return None
    return tree.tree_map(_to_tensor, structure)


def _to_tensor(value: Any) -> Any:
    if value is None or isinstance(value, Tensor):
        return value
    array = np.asarray(value)
    return asarray(array.astype(np.float32) if array.dtype == np.float64 else array)


__all__ = ["Model", "as_tensors"]
