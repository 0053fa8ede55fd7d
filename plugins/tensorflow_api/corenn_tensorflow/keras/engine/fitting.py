"""Training, evaluating and predicting on whole data, on batches and from generators: a part of ``Model``."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from corenn import tree
from corenn.tensor import Tensor
from corenn.training import feeding as core_feeding
from corenn.training import model as core
from corenn_tensorflow.keras import world
from corenn_tensorflow.keras.engine import feeding
from corenn_tensorflow.keras.engine.bridge import Bridge


class Fitting:
    """What a compiled model does with data."""

    _step_results: dict[str, Any] | None = None

    def _tensors(self, batch: Any) -> tuple[Any, Any, Any]:
        x, y, weight = core_feeding.unpack(batch)
        double = self._parts().double
        return (
            core_feeding.as_tensors(feeding.text(feeding.with_axis(x)), double),
            core_feeding.as_tensors(feeding.text(feeding.with_axis(y)), double),
            core_feeding.as_tensors(weight, double),
        )

    def train_on_tensors(self, x: Any, y: Any, weight: Any) -> Any:
        """One step on tensors."""
        self._note_outputs(x)
        return super().train_on_tensors(x, y, weight)

    def _note_outputs(self, x: Any) -> None:
        pass

    # ---- steps of one's own

    def make_train_function(self, force: bool = False) -> Any:
        """The training step."""
        return self.train_step

    def _own_steps(self) -> dict[str, Any]:
        """Steps that a subclass defines, in the form the loop calls."""
        found: dict[str, Any] = {}
        for name in ("train_step", "test_step"):
            owner = next(c for c in type(self).__mro__ if name in c.__dict__)
            if not owner.__module__.startswith(("corenn.", "corenn_tensorflow.")):
                found[name] = self._adapted(getattr(type(self), name))
        return found

    def _adapted(self, step: Any) -> Any:
        def run(batch: Any) -> Any:
            x, y, weight = self._tensors(batch)
            data = x if y is None else (x, y) if weight is None else (x, y, weight)
            logs = step(self, data)
            self._step_results = {k: v for k, v in logs.items()} if isinstance(logs, dict) else {"loss": logs}
            return self._step_results.get("loss", next(iter(self._step_results.values()), 0.0))

        return run

    def metric_results(self) -> dict[str, float]:
        """Present values by name; of a step of one's own, what it returned."""
        if self._step_results is not None:
            return {k: float(np.mean(_number(v))) for k, v in self._step_results.items()}
        with world.eagerly():
            return core.Model.metric_results(self)

    # ---- whole data

    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: Any = 1,
        callbacks: Any = None, validation_split: float = 0.0, validation_data: Any = None, shuffle: Any = True,
        class_weight: Any = None, sample_weight: Any = None, initial_epoch: int = 0, steps_per_epoch: int | None = None,
        validation_steps: int | None = None, validation_batch_size: int | None = None, validation_freq: int = 1,
        max_queue_size: int = 10, workers: int = 1, use_multiprocessing: bool = False, nb_epoch: int | None = None,
        **legacy: Any,
    ) -> Any:  # fmt: skip
        """Train; returns a ``History``.  Arguments as in Keras, those of Keras 1 (``nb_epoch``) among them."""
        self._require_compiled("fit")
        epochs = epochs if nb_epoch is None else nb_epoch
        if legacy.pop("show_accuracy", None) is not None or legacy:
            raise TypeError(f"fit() got unexpected arguments {sorted(legacy)}") if legacy else None
        with world.eagerly():
            x, y, sample_weight = feeding.prepared(x, y, sample_weight, batch_size, bool(shuffle))
            if validation_data is not None:
                validation_data = self._validation(validation_data, validation_batch_size or batch_size)
            arrays = y is not None or core_feeding.is_arrays(x)
            bridge = Bridge(self, callbacks, {
                "epochs": int(epochs), "batch_size": batch_size or 32, "verbose": verbose, "do_validation":
                validation_data is not None or bool(validation_split), "samples": _count(x),
                "steps": steps_per_epoch, "metrics": self.metrics_names,
            })  # fmt: skip
            own = self._own_steps()
            self.__dict__.update(own)
            self._step_results, self.stop_training = None, False
            try:
                with self._as_compiled():
                    core.Model.fit(
                        self, x, y, batch_size=batch_size if arrays else None, epochs=int(epochs), verbose=verbose,
                        callbacks=[*bridge.core, bridge], validation_split=validation_split or 0.0,
                        validation_data=validation_data, shuffle=bool(shuffle), class_weight=class_weight,
                        sample_weight=sample_weight, initial_epoch=initial_epoch,
                        steps_per_epoch=None if steps_per_epoch is None else int(steps_per_epoch),
                        validation_steps=None if validation_steps is None else int(validation_steps),
                        validation_freq=validation_freq if isinstance(validation_freq, int) else 1,
                    )  # fmt: skip
            finally:
                for name in own:
                    self.__dict__.pop(name, None)
                self._step_results = None
        self.history = bridge.history
        return bridge.history

    def _validation(self, data: Any, batch_size: int | None) -> Any:
        own = getattr(data, "core_batches", None)
        if own is not None:
            return own()
        if isinstance(data, (tuple, list)):
            if feeding.world_graph(data):
                return feeding.prepared(*(*data, None)[:3])[0]
            found = tuple(feeding.columns(part) for part in data)
            return feeding.prepared(*(*found, None)[:3], batch_size)[0] if feeding.is_text(found[0]) else found
        if feeding.is_sequence(data):
            return feeding.prepared(data, None, None)[0]
        return data

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: Any = 1, sample_weight: Any = None,
        steps: int | None = None, callbacks: Any = None, max_queue_size: int = 10, workers: int = 1,
        use_multiprocessing: bool = False, return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """The loss, or a list of the loss and the metrics."""
        self._require_compiled("evaluate")
        with world.eagerly():
            x, y, sample_weight = feeding.prepared(x, y, sample_weight, batch_size)
            arrays = y is not None or core_feeding.is_arrays(x)
            bridge = Bridge(self, callbacks, {})
            own = self._own_steps()
            self.__dict__.update(own)
            self._step_results = None
            try:
                found = core.Model.evaluate(
                    self, x, y, batch_size=batch_size if arrays else None, sample_weight=sample_weight,
                    steps=None if steps is None else int(steps), callbacks=[*bridge.core, bridge],
                )  # fmt: skip
            finally:
                for name in own:
                    self.__dict__.pop(name, None)
                self._step_results = None
        if verbose not in (0, False):
            print(" - ".join(f"{name}: {value:.4f}" for name, value in found.items()))
        return found if return_dict else _listed(found)

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: Any = 0, steps: int | None = None, callbacks: Any = None,
        max_queue_size: int = 10, workers: int = 1, use_multiprocessing: bool = False,
    ) -> Any:  # fmt: skip
        """Outputs for data, as NumPy arrays."""
        with world.eagerly():
            x, _, _ = feeding.prepared(x, None, None, batch_size)
            arrays = core_feeding.is_arrays(x)
            found = core.Model.predict(
                self, x, batch_size=batch_size if arrays else None, steps=None if steps is None else int(steps)
            )
        return list(found) if isinstance(found, tuple) else found

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, reset_metrics: bool = True,
        return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """One step on one batch; its loss, or a list of loss and metrics."""
        return self._on_batch(self.train_step, x, y, sample_weight, class_weight, reset_metrics, return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, reset_metrics: bool = True, return_dict: bool = False
    ) -> Any:
        """The loss of one batch, or a list of loss and metrics."""
        return self._on_batch(self.test_step, x, y, sample_weight, None, reset_metrics, return_dict)

    def _on_batch(self, step: Any, x: Any, y: Any, weight: Any, class_weight: Any, reset: bool, as_dict: bool) -> Any:
        self._require_compiled("train_on_batch")
        with world.eagerly(), self._placed(), self._as_compiled():
            x, y, weight = feeding.columns(x), feeding.columns(y), feeding.columns(weight)
            if class_weight is not None:
                by_class = core_feeding.class_weights(y, class_weight)
                weight = by_class if weight is None else by_class * np.asarray(weight)
            if reset:
                self.reset_metrics()
            own = self._own_steps().get(step.__name__)
            loss = (own or step)((x, y, weight))
            found = self.metric_results()
            if own is None:
                found = {**found, "loss": float(loss)} if reset or not found else found
            self._step_results = None
        return found if as_dict else _listed(found)

    def predict_on_batch(self, x: Any) -> Any:
        """Outputs for one batch, as NumPy arrays."""
        with world.eagerly():
            found = core.Model.predict_on_batch(self, feeding.with_axis(feeding.columns(x)))
        return list(found) if isinstance(found, tuple) else found

    # ---- generators, as Keras 1 and 2 had them

    def fit_generator(
        self, generator: Any, steps_per_epoch: int | None = None, epochs: int = 1, verbose: Any = 1,
        callbacks: Any = None, validation_data: Any = None, validation_steps: int | None = None,
        validation_freq: int = 1, class_weight: Any = None, max_queue_size: int = 10, workers: int = 1,
        use_multiprocessing: bool = False, shuffle: bool = True, initial_epoch: int = 0,
        samples_per_epoch: int | None = None, nb_epoch: int | None = None, nb_val_samples: int | None = None,
        **legacy: Any,
    ) -> Any:  # fmt: skip
        """``fit`` on a generator of batches."""
        if steps_per_epoch is None and samples_per_epoch is not None:
            generator, steps_per_epoch = _steps_of(generator, samples_per_epoch)
        if validation_steps is None and nb_val_samples is not None:
            validation_data, validation_steps = _steps_of(validation_data, nb_val_samples)
        if validation_data is not None and feeding.is_sequence(validation_data) and validation_steps is None:
            validation_steps = len(validation_data)
        return self.fit(
            generator, epochs=nb_epoch or epochs, steps_per_epoch=steps_per_epoch, verbose=verbose, callbacks=callbacks,
            validation_data=validation_data, validation_steps=validation_steps, validation_freq=validation_freq,
            class_weight=class_weight, initial_epoch=initial_epoch,
        )  # fmt: skip

    def evaluate_generator(
        self, generator: Any, steps: int | None = None, callbacks: Any = None, max_queue_size: int = 10,
        workers: int = 1, use_multiprocessing: bool = False, verbose: Any = 0, val_samples: int | None = None,
    ) -> Any:  # fmt: skip
        """``evaluate`` on a generator of batches."""
        if steps is None and val_samples is not None:
            generator, steps = _steps_of(generator, val_samples)
        return self.evaluate(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    def predict_generator(
        self, generator: Any, steps: int | None = None, callbacks: Any = None, max_queue_size: int = 10,
        workers: int = 1, use_multiprocessing: bool = False, verbose: Any = 0, val_samples: int | None = None,
    ) -> Any:  # fmt: skip
        """``predict`` on a generator of batches."""
        if steps is None and val_samples is not None:
            generator, steps = _steps_of(generator, val_samples)
        return self.predict(generator, steps=steps, verbose=verbose)


def _steps_of(batches: Any, samples: int) -> tuple[Any, int]:
    """The batches, and how many hold so many samples: Keras 1 counted samples.  The first one says how large they are.

    Data that are not batches that come one by one (arrays) go through, for as many steps as there are samples.
    """
    size = getattr(batches, "batch_size", None)
    if size is None and hasattr(batches, "__next__"):
        first = next(batches)
        batches = itertools.chain([first], batches)
        leaves = tree.leaves(first[0] if isinstance(first, tuple) else first)
        size = len(leaves[0]) if leaves and np.ndim(leaves[0]) else None
    return batches, max(1, -(-samples // (size or 1)))


class CompiledMetrics:
    """The compiled metrics as one object, for a ``train_step`` of one's own."""

    def __init__(self, objectives: Any) -> None:
        self._objectives = objectives

    def update_state(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch to the compiled metrics."""
        for _, metric, takes_weight in self._objectives._metrics:
            if takes_weight:
                metric.update_state(y, y_pred, sample_weight=sample_weight)
            else:
                metric.update_state(y, y_pred)


def _number(value: Any) -> Any:
    return np.asarray(value._host()) if isinstance(value, Tensor) else value


def _listed(found: dict[str, float]) -> Any:
    values = list(found.values())
    return values[0] if len(values) == 1 else values


def _count(x: Any) -> int | None:
    leaves = tree.leaves(x) if core_feeding.is_arrays(x) else []
    return len(leaves[0]) if leaves and np.ndim(leaves[0]) else None


__all__ = ["CompiledMetrics", "Fitting"]
