"""``tf.contrib.eager``: gradients of functions, iterators, metrics and savers of eager programs of generation 1."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

import corenn_tensorflow as tf
from corenn.autodiff.tape import GradientTape
from corenn.variable import Variable as EagerVariable
from corenn_tensorflow import mode
from corenn_tensorflow.data.iterators import EagerIterator
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.keras import metrics as keras_metrics
from corenn_tensorflow.missing import guard
from corenn_tensorflow.train.tracking import Checkpoint
from corenn_tensorflow.variables import Variable

ResourceVariable = Variable


def executing_eagerly() -> bool:
    """Whether ops run at once."""
    return mode.executing_eagerly()


in_eager_mode = executing_eagerly


def enable_eager_execution(*args: Any, **options: Any) -> None:
    """``tf.enable_eager_execution``."""
    mode.set_eager(True)


def num_gpus() -> int:
    """The number of GPUs that are used."""
    return len(tf.config.list_physical_devices("GPU"))


def list_devices() -> list[str]:
    """The names of the devices."""
    return [d.name for d in tf.config.list_physical_devices()]


def run(main: Any = None, argv: Any = None) -> None:
    """Eager execution, then ``main(argv)``."""
    enable_eager_execution()
    tf.app.run(main, argv)


def run_test_in_graph_and_eager_modes(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function."""
    return function


# ---- gradients


def _chosen(function: Callable[..., Any], args: tuple[Any, ...], params: Any) -> list[int]:
    """The places of the arguments to differentiate by: all, or those given by number or name."""
    if params is None:
        return list(range(len(args)))
    names = list(inspect.signature(function).parameters)
    found = [names.index(p) if isinstance(p, str) else int(p) for p in params]
    if len(set(found)) < len(found):
        raise ValueError("parameters to differentiate by must be unique")
    return found


def value_and_gradients_function(f: Callable[..., Any], params: Any = None) -> Callable[..., Any]:
    """A function that returns ``f``'s value and its gradients by its arguments (or those in ``params``)."""

    def call(*args: Any, **options: Any) -> Any:
        downstream = options.pop("dy", None)
        given = [convert_to_tensor(a) if not isinstance(a, EagerVariable) else a for a in args]
        places = _chosen(f, args, params)
        with GradientTape() as tape:
            watched = [given[i] for i in places]
            for tensor in watched:
                tape.watch(tensor)
            value = f(*given, **options)
            if value is None:
                raise ValueError(
                    "Cannot differentiate a function that returns None; did you forget to return a value from "
                    f"{f.__name__}?"
                )
            target = convert_to_tensor(value)
        return value, tape.gradient(target, watched, None if downstream is None else convert_to_tensor(downstream))

    return call


def gradients_function(f: Callable[..., Any], params: Any = None) -> Callable[..., Any]:
    """A function that returns the gradients of ``f`` by its arguments (or those in ``params``)."""
    both = value_and_gradients_function(f, params)

    def call(*args: Any, **options: Any) -> Any:
        return both(*args, **options)[1]

    return call


def implicit_value_and_gradients(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns ``f``'s value and ``(gradient, variable)`` for each trainable variable it reads."""

    def call(*args: Any, **options: Any) -> Any:
        with GradientTape() as tape:
            value = f(*args, **options)
            if value is None:
                raise ValueError(
                    "Cannot differentiate a function that returns None; did you forget to return a value from "
                    f"{f.__name__}?"
                )
            target = convert_to_tensor(value)
        variables = list(tape.watched_variables())
        if not variables:
            raise ValueError("No trainable variables were accessed while the function was being computed.")
        return value, list(zip(tape.gradient(target, variables), variables, strict=True))

    return call


def implicit_gradients(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns ``(gradient, variable)`` for each trainable variable that ``f`` reads."""
    both = implicit_value_and_gradients(f)

    def call(*args: Any, **options: Any) -> Any:
        return both(*args, **options)[1]

    return call


def make_vjp(f: Callable[..., Any], params: Any = None, persistent: bool = True) -> Callable[..., Any]:
    """A function that returns ``f``'s value and a function of the gradient that arrives."""

    def call(*args: Any) -> Any:
        given = [convert_to_tensor(a) for a in args]
        places = _chosen(f, args, params)
        with GradientTape(persistent=persistent) as tape:
            watched = [given[i] for i in places]
            for tensor in watched:
                tape.watch(tensor)
            value = convert_to_tensor(f(*given))
        return value, lambda dy=None: tape.gradient(value, watched, dy)

    return call


def defun(func: Any = None, input_signature: Any = None, **options: Any) -> Any:
    """``tf.function``."""
    if func is None:
        return lambda function: defun(function, input_signature)
    return tf.function(func, input_signature=input_signature)


function = defun


def py_func(func: Callable[..., Any], inp: Any, Tout: Any) -> Any:  # TensorFlow's name
    """``tf.py_function``."""
    return tf.py_function(func, inp, Tout)


# ---- reading and saving


class Iterator(EagerIterator):
    """The elements of a dataset: ``for x, y in tfe.Iterator(dataset)``, or ``next()``."""

    def next(self) -> Any:
        """The next element; StopIteration at the end."""
        return next(self)


class Saver:
    """Writes eager variables to TensorFlow checkpoints, and reads them back."""

    def __init__(self, var_list: Any) -> None:
        self._variables = var_list

    def _named(self) -> dict[str, Any]:
        if isinstance(self._variables, dict):
            return dict(self._variables)
        return {v.name.removesuffix(":0"): v for v in self._variables}

    def save(self, file_prefix: str, global_step: Any = None) -> str:
        """Write; returns the prefix of the files."""
        from corenn.checkpoint.tensor_bundle import write_bundle

        prefix = (
            file_prefix
            if global_step is None
            else f"{file_prefix}-{int(np.asarray(convert_to_tensor(global_step)._host()))}"
        )
        write_bundle(prefix, {name: np.asarray(v._host()) for name, v in self._named().items()})
        return prefix

    def restore(self, file_prefix: str) -> None:
        """Read."""
        from corenn.checkpoint.tensor_bundle import BundleReader

        with BundleReader(file_prefix) as reader:
            for name, variable in self._named().items():
                variable.assign(reader.read(name))


class EagerVariableStore:
    """Variables by name, for functions that ask for them with ``tf.get_variable``."""

    def __init__(self, store: Any = None) -> None:
        self._found: dict[str, Any] = {}

    def as_default(self) -> Any:
        """A block in which variables asked for are kept."""
        return tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE)


class _Metric:
    """Base of the metrics of this module, whose call takes a batch."""

    def result(self) -> Any:
        """The figure so far."""
        return self._metric.result()  # type: ignore[attr-defined]

    def init_variables(self) -> None:
        """Start again."""
        self._metric.reset_states()  # type: ignore[attr-defined]


class Mean(_Metric):
    """The mean of values."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self._metric, self.name = keras_metrics.Mean(name=name or "mean"), name

    def __call__(self, values: Any, weights: Any = None) -> Any:
        """Take values into account."""
        self._metric.update_state(values, sample_weight=weights)
        return values


class Accuracy(_Metric):
    """The fraction of predictions that are the labels: ``accuracy(labels, predictions)``."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self._metric, self.name = keras_metrics.Mean(name=name or "accuracy"), name

    def __call__(self, labels: Any, predictions: Any, weights: Any = None) -> Any:
        """Take a batch into account."""
        matches = tf.cast(tf.equal(tf.cast(labels, "int64"), tf.cast(predictions, "int64")), "float32")
        self._metric.update_state(matches, sample_weight=weights)
        return labels, predictions


class BinaryAccuracy(_Metric):
    """The fraction of probabilities on the right side of a half."""

    def __init__(self, threshold: float = 0.5, name: str | None = None, dtype: Any = None) -> None:
        self._metric = keras_metrics.BinaryAccuracy(name=name or "binary_accuracy", threshold=threshold)

    def __call__(self, labels: Any, predictions: Any, weights: Any = None) -> Any:
        """Take a batch into account."""
        self._metric.update_state(labels, predictions, sample_weight=weights)
        return labels, predictions


class _Metrics:
    """``tfe.metrics``."""

    Mean, Accuracy, BinaryAccuracy, Metric = Mean, Accuracy, BinaryAccuracy, keras_metrics.Metric
    CategoricalAccuracy = keras_metrics.CategoricalAccuracy
    SparseAccuracy = keras_metrics.SparseCategoricalAccuracy


metrics = _Metrics()


def async_wait() -> None:
    """Nothing: ops are done when they return."""


async_clear_error = async_wait


def save_network_checkpoint(*args: Any, **options: Any) -> None:
    """NotImplementedError: ``tfe.Network`` was replaced by ``tf.keras.Model`` in TensorFlow 1.8."""
    raise NotImplementedError("tfe.Network was replaced by tf.keras.Model: use model.save_weights(path)")


__all__ = [
    "Checkpoint", "EagerVariableStore", "Iterator", "ResourceVariable", "Saver", "Variable", "defun",
    "enable_eager_execution",
    "executing_eagerly", "function", "gradients_function", "implicit_gradients", "implicit_value_and_gradients",
    "in_eager_mode", "list_devices", "make_vjp", "metrics", "num_gpus", "py_func", "run",
    "run_test_in_graph_and_eager_modes", "save_network_checkpoint", "value_and_gradients_function",
]  # fmt: skip
__getattr__ = guard(__name__)
