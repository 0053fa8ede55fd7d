"""``Model``: a layer that can be compiled, trained, evaluated and asked for predictions.

What it is compiled with, its steps and its state are in ``corenn.training.trainable``; here is what it does with whole
data.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from corenn import tree
from corenn.configurable import Registry
from corenn.data import Dataset
from corenn.errors import UsageError, nearest
from corenn.layers.base import Layer
from corenn.layers.phase import no_figures
from corenn.training import feeding
from corenn.training.callbacks.base import Callback, CallbackList
from corenn.training.loop import Loop
from corenn.training.summary import model_html, model_summary
from corenn.training.trainable import Trainable


class Model(Trainable):
    """Layers plus training.  Subclass it with ``call``, or make a functional one: ``Model(inputs, outputs)``.

    ``compile`` chooses optimizer, loss and metrics; ``fit``, ``evaluate`` and ``predict`` take arrays, a
    ``corenn.data.Dataset`` of batches, or a generator of batches ``(x, y)`` or ``(x, y, sample_weight)``.
    """

    step_seconds: float = 0.0

    def __new__(cls, *args: Any, **kwargs: Any) -> Model:
        """``Model(inputs, outputs)`` is a functional model."""
        if cls is Model and (args or "inputs" in kwargs):
            from corenn.training.functional import Functional

            return object.__new__(Functional)
        return object.__new__(cls)

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
        with self._placed(), no_figures(), dataset.iterator() as batches:
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
        with self._placed(), no_figures():
            out = self(self._tensors((feeding.host(x, "predict_on_batch"),))[0], training=False)
        return tree.tree_map(lambda t: t.numpy(), out)

    # ---- looking

    def _repr_html_(self) -> str:
        return model_html(self)

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

__all__ = ["Model", "register"]
