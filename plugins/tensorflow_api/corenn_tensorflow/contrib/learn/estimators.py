"""``tf.contrib.learn``'s estimators: those of ``tf.estimator``, fitted to arrays with ``fit``, in its conventions.

Losses are means over a batch.  Features that are one array have the name ``""``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from corenn.errors import UsageError
from corenn_tensorflow.contrib.layers.feature_columns import real_valued_column
from corenn_tensorflow.estimator import canned, inputs
from corenn_tensorflow.estimator import core as estimator_core
from corenn_tensorflow.estimator.specs import EstimatorSpec
from corenn_tensorflow.estimator.specs import ModeKeys as EstimatorModeKeys

_MEAN = "weighted_mean"


class ModeKeys:
    """What a model function is called for."""

    TRAIN, EVAL, INFER = "train", "eval", "infer"


class ModelFnOps(NamedTuple):
    """What a model function of ``Estimator`` returns."""

    mode: Any
    predictions: Any = None
    loss: Any = None
    train_op: Any = None
    eval_metric_ops: Any = None
    output_alternatives: Any = None
    training_chief_hooks: Any = None
    training_hooks: Any = None
    scaffold: Any = None


class MetricSpec:
    """A metric, and which predictions, labels and weights it is given (by their keys, where there are several)."""

    def __init__(
        self, metric_fn: Callable[..., Any], prediction_key: Any = None, label_key: Any = None, weight_key: Any = None
    ) -> None:
        self.metric_fn, self.prediction_key = metric_fn, prediction_key
        self.label_key, self.weight_key = label_key, weight_key

    def create_metric_ops(self, inputs: Any, labels: Any, predictions: Any) -> Any:
        """The metric's value and update."""
        chosen = _one_of(predictions, self.prediction_key, "prediction_key")
        truth = _one_of(labels, self.label_key, "label_key")
        weights = {} if self.weight_key is None else {"weights": inputs[self.weight_key]}
        names = list(inspect.signature(self.metric_fn).parameters)
        by_name = {"predictions": chosen, "labels": truth}
        if {"predictions", "labels"} <= set(names):
            return self.metric_fn(**by_name, **weights)
        return self.metric_fn(chosen, truth, **weights)


def _one_of(given: Any, key: Any, name: str) -> Any:
    if isinstance(given, Mapping):
        if key is None and len(given) == 1:
            return next(iter(given.values()))
        if key not in given:
            raise ValueError(f"MetricSpec needs {name}: one of {sorted(map(str, given))}, got {key!r}")
        return given[key]
    return given


def _arrays(x: Any) -> Any:
    if isinstance(x, Mapping):
        return {k: np.asarray(v) for k, v in x.items()}
    return {"": np.asarray(x)}


def _count(arrays: Mapping[str, Any]) -> int:
    return len(next(iter(arrays.values())))


def _input(
    x: Any, y: Any, input_fn: Any, batch_size: int | None, epochs: int | None, shuffle: bool
) -> Callable[[], Any]:
    """An input function over arrays, or the one given, whose features are a dictionary."""
    if (x is None) == (input_fn is None):
        raise ValueError("Either x or input_fn must be provided, and not both.")
    if x is not None:
        arrays = _arrays(x)
        return inputs.numpy_input_fn(  # type: ignore[no-any-return]
            arrays, None if y is None else np.asarray(y), batch_size or _count(arrays), epochs, shuffle
        )
    if y is not None or batch_size is not None:
        raise ValueError("If input_fn is provided, y and batch_size must be None.")
    return named(input_fn)


def named(input_fn: Callable[..., Any]) -> Callable[[], Any]:
    """The input function, with features that are one tensor as a dictionary."""

    def call() -> Any:
        found = estimator_core._from_dataset(input_fn())
        if isinstance(found, (tuple, list)) and len(found) == 2:
            features, labels = found
            return (features if isinstance(features, Mapping) else {"": features}), labels
        return found if isinstance(found, Mapping) else {"": found}

    return call


class Trainable:
    """``fit``, ``evaluate`` and ``predict`` as ``tf.contrib.learn`` has them, over ``tf.estimator``'s."""

    #: The prediction that ``predict`` gives where no ``outputs`` are named.
    _answer: str | None = None

    def fit(
        self, x: Any = None, y: Any = None, input_fn: Any = None, steps: int | None = None,
        batch_size: int | None = None, monitors: Sequence[Any] | None = None, max_steps: int | None = None,
    ) -> Any:  # fmt: skip
        """Train on arrays (all at once without ``batch_size``), again and again, or on an input function."""
        if steps is not None and max_steps is not None:
            raise ValueError("Can not provide both steps and max_steps.")
        if x is not None and steps is None and max_steps is None:
            raise UsageError("fit", "arrays never come to an end", hint="fit(x, y, steps=1000)")
        source = _input(x, y, input_fn, batch_size, None, True)
        estimator_core.Estimator.train(
            self, source, hooks=list(monitors or ()), steps=steps, max_steps=max_steps  # type: ignore[arg-type]
        )  # fmt: skip
        return self

    def partial_fit(
        self, x: Any = None, y: Any = None, input_fn: Any = None, steps: int = 1, batch_size: int | None = None,
        monitors: Any = None,
    ) -> Any:  # fmt: skip
        """Train for so many further steps."""
        return self.fit(x, y, input_fn, steps, batch_size, monitors)

    def evaluate(
        self, x: Any = None, y: Any = None, input_fn: Any = None, feed_fn: Any = None, batch_size: int | None = None,
        steps: int | None = None, metrics: Mapping[Any, Any] | None = None, name: str | None = None,
        checkpoint_path: Any = None, hooks: Any = None, log_progress: bool = True,
    ) -> dict[str, Any]:  # fmt: skip
        """The metrics over arrays, once, or over ``steps`` batches of an input function; ``metrics`` are added."""
        if feed_fn is not None:
            raise UsageError("evaluate", "takes no feed_fn", hint="return the values from input_fn")
        if callable(x) and input_fn is None:  # as tf.estimator's
            x, input_fn = None, x
        source = _input(x, y, input_fn, batch_size, 1, False)
        self._more = metrics
        try:
            return estimator_core.Estimator.evaluate(
                self, source, steps=steps, hooks=hooks, checkpoint_path=checkpoint_path, name=name  # type: ignore[arg-type]
            )  # fmt: skip
        finally:
            self._more = None

    _more: Mapping[Any, Any] | None = None

    def _call_model_fn(self, features: Any, labels: Any, mode_key: str) -> EstimatorSpec:
        spec = super()._call_model_fn(features, labels, mode_key)  # type: ignore[misc]
        if mode_key != EstimatorModeKeys.EVAL or not self._more:
            return spec  # type: ignore[no-any-return]
        found = dict(spec.eval_metric_ops)
        for key, metric in self._more.items():
            if isinstance(metric, MetricSpec):
                found[key] = metric.create_metric_ops(features, labels, spec.predictions)
                continue
            label, wanted = key if isinstance(key, tuple) else (key, self._answer)
            found[label] = metric(_one_of(spec.predictions, wanted, "a prediction's name"), labels)
        return spec._replace(eval_metric_ops=found)  # type: ignore[no-any-return]

    def predict(
        self, x: Any = None, input_fn: Any = None, batch_size: int | None = None, outputs: Any = None,
        as_iterable: bool = True, iterate_batches: bool = False, hooks: Any = None, checkpoint_path: Any = None,
    ) -> Any:  # fmt: skip
        """The predictions: one after another, or (without ``as_iterable``) as an array.

        ``outputs``: names, for dictionaries; else the class or the number of each example.
        """
        if callable(x) and input_fn is None:
            x, input_fn = None, x
        keys = None if outputs is None else list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        return self._predicted(x, input_fn, batch_size, keys, as_iterable, iterate_batches, checkpoint_path)

    def _predicted(
        self, x: Any, input_fn: Any, batch_size: int | None, keys: Any, as_iterable: bool, whole: bool = False,
        checkpoint_path: Any = None,
    ) -> Any:  # fmt: skip
        source = _input(x, None, input_fn, batch_size, 1, False)
        found = estimator_core.Estimator.predict(
            self, source, predict_keys=keys or ([self._answer] if self._answer else None),  # type: ignore[arg-type]
            yield_single_examples=not whole, checkpoint_path=checkpoint_path,
        )  # fmt: skip
        if keys is None and self._answer is not None:
            found = _answers(found, self._answer, whole)
        if as_iterable:
            return found
        listed = list(found)
        if listed and isinstance(listed[0], Mapping):
            return {k: np.array([row[k] for row in listed]) for k in listed[0]}
        return np.array(listed)


def _answers(found: Iterator[Any], key: str, whole: bool) -> Iterator[Any]:
    for row in found:
        value = np.asarray(row[key])
        width = 2 if whole else 1
        yield value[..., 0] if value.ndim == width and value.shape[-1] == 1 else value


class _Classifier(Trainable):
    _answer = "class_ids"

    def predict_classes(
        self, x: Any = None, input_fn: Any = None, batch_size: int | None = None, as_iterable: bool = True
    ) -> Any:
        """The class of each example."""
        return self._predicted(x, input_fn, batch_size, None, as_iterable)

    def predict_proba(
        self, x: Any = None, input_fn: Any = None, batch_size: int | None = None, as_iterable: bool = True
    ) -> Any:
        """The probabilities of the classes."""
        found = self._predicted(x, input_fn, batch_size, ["probabilities"], True)
        rows = (row["probabilities"] for row in found)
        return rows if as_iterable else np.array(list(rows))


class _Regressor(Trainable):
    _answer = "predictions"

    def predict_scores(
        self, x: Any = None, input_fn: Any = None, batch_size: int | None = None, as_iterable: bool = True
    ) -> Any:
        """The number of each example."""
        return self._predicted(x, input_fn, batch_size, None, as_iterable)


def _checked(where: str, **unused: Any) -> None:
    """UsageError for what is not offered, by name."""
    for name, value in unused.items():
        if value is not None and value is not False:
            raise UsageError(where, f"{name} is not offered", hint=f"leave {name} out, or write a model_fn")


class LinearClassifier(_Classifier, canned.LinearClassifier):
    """A linear model of classes."""

    def __init__(
        self, feature_columns: Any, model_dir: Any = None, n_classes: int = 2, weight_column_name: str | None = None,
        optimizer: Any = None, gradient_clip_norm: Any = None, enable_centered_bias: bool = False,
        _joint_weight: bool = False, config: Any = None, feature_engineering_fn: Any = None, label_keys: Any = None,
    ) -> None:  # fmt: skip
        _checked(
            "LinearClassifier", gradient_clip_norm=gradient_clip_norm, feature_engineering_fn=feature_engineering_fn
        )
        canned.LinearClassifier.__init__(
            self, feature_columns, model_dir, n_classes, weight_column_name, label_keys, optimizer or "Ftrl", config,
            loss_reduction=_MEAN,
        )  # fmt: skip


class LinearRegressor(_Regressor, canned.LinearRegressor):
    """A linear model of numbers."""

    def __init__(
        self, feature_columns: Any, model_dir: Any = None, weight_column_name: str | None = None, optimizer: Any = None,
        gradient_clip_norm: Any = None, enable_centered_bias: bool = False, label_dimension: int = 1,
        _joint_weights: bool = False, config: Any = None, feature_engineering_fn: Any = None,
    ) -> None:  # fmt: skip
        _checked(
            "LinearRegressor", gradient_clip_norm=gradient_clip_norm, feature_engineering_fn=feature_engineering_fn
        )
        canned.LinearRegressor.__init__(
            self, feature_columns, model_dir, label_dimension, weight_column_name, optimizer or "Ftrl", config,
            loss_reduction=_MEAN,
        )  # fmt: skip


class DNNClassifier(_Classifier, canned.DNNClassifier):
    """A network of dense layers, of classes."""

    def __init__(
        self, hidden_units: Sequence[int], feature_columns: Any, model_dir: Any = None, n_classes: int = 2,
        weight_column_name: str | None = None, optimizer: Any = None, activation_fn: Any = canned._relu,
        dropout: float | None = None, gradient_clip_norm: Any = None, enable_centered_bias: bool = False,
        config: Any = None, feature_engineering_fn: Any = None, embedding_lr_multipliers: Any = None,
        input_layer_min_slice_size: Any = None, label_keys: Any = None,
    ) -> None:  # fmt: skip
        _checked(
            "DNNClassifier", gradient_clip_norm=gradient_clip_norm, feature_engineering_fn=feature_engineering_fn,
            embedding_lr_multipliers=embedding_lr_multipliers,
        )  # fmt: skip
        canned.DNNClassifier.__init__(
            self, hidden_units, feature_columns, model_dir, n_classes, weight_column_name, label_keys,
            optimizer or "Adagrad", activation_fn, dropout, None, config, loss_reduction=_MEAN,
        )  # fmt: skip


class DNNRegressor(_Regressor, canned.DNNRegressor):
    """A network of dense layers, of numbers."""

    def __init__(
        self, hidden_units: Sequence[int], feature_columns: Any, model_dir: Any = None,
        weight_column_name: str | None = None, optimizer: Any = None, activation_fn: Any = canned._relu,
        dropout: float | None = None, gradient_clip_norm: Any = None, enable_centered_bias: bool = False,
        config: Any = None, feature_engineering_fn: Any = None, label_dimension: int = 1,
        embedding_lr_multipliers: Any = None, input_layer_min_slice_size: Any = None,
    ) -> None:  # fmt: skip
        _checked(
            "DNNRegressor", gradient_clip_norm=gradient_clip_norm, feature_engineering_fn=feature_engineering_fn,
            embedding_lr_multipliers=embedding_lr_multipliers,
        )  # fmt: skip
        canned.DNNRegressor.__init__(
            self, hidden_units, feature_columns, model_dir, label_dimension, weight_column_name, optimizer or "Adagrad",
            activation_fn, dropout, None, config, loss_reduction=_MEAN,
        )  # fmt: skip


class DNNLinearCombinedClassifier(_Classifier, canned.DNNLinearCombinedClassifier):
    """A linear model and a network whose logits are added, of classes."""

    def __init__(
        self, model_dir: Any = None, n_classes: int = 2, weight_column_name: str | None = None,
        linear_feature_columns: Any = None, linear_optimizer: Any = None, _joint_linear_weights: bool = False,
        dnn_feature_columns: Any = None, dnn_optimizer: Any = None, dnn_hidden_units: Any = None,
        dnn_activation_fn: Any = canned._relu, dnn_dropout: float | None = None, gradient_clip_norm: Any = None,
        enable_centered_bias: bool = False, config: Any = None, feature_engineering_fn: Any = None,
        embedding_lr_multipliers: Any = None, input_layer_min_slice_size: Any = None, label_keys: Any = None,
        fix_global_step_increment_bug: bool = True,
    ) -> None:  # fmt: skip
        _checked(
            "DNNLinearCombinedClassifier", gradient_clip_norm=gradient_clip_norm,
            feature_engineering_fn=feature_engineering_fn, embedding_lr_multipliers=embedding_lr_multipliers,
        )  # fmt: skip
        canned.DNNLinearCombinedClassifier.__init__(
            self, model_dir, linear_feature_columns, linear_optimizer or "Ftrl", dnn_feature_columns,
            dnn_optimizer or "Adagrad", dnn_hidden_units, dnn_activation_fn, dnn_dropout, n_classes, weight_column_name,
            label_keys, None, config, loss_reduction=_MEAN,
        )  # fmt: skip


class DNNLinearCombinedRegressor(_Regressor, canned.DNNLinearCombinedRegressor):
    """A linear model and a network whose logits are added, of numbers."""

    def __init__(
        self, model_dir: Any = None, weight_column_name: str | None = None, linear_feature_columns: Any = None,
        linear_optimizer: Any = None, _joint_linear_weights: bool = False, dnn_feature_columns: Any = None,
        dnn_optimizer: Any = None, dnn_hidden_units: Any = None, dnn_activation_fn: Any = canned._relu,
        dnn_dropout: float | None = None, gradient_clip_norm: Any = None, enable_centered_bias: bool = False,
        label_dimension: int = 1, config: Any = None, feature_engineering_fn: Any = None,
        embedding_lr_multipliers: Any = None, input_layer_min_slice_size: Any = None,
        fix_global_step_increment_bug: bool = True,
    ) -> None:  # fmt: skip
        _checked(
            "DNNLinearCombinedRegressor", gradient_clip_norm=gradient_clip_norm,
            feature_engineering_fn=feature_engineering_fn, embedding_lr_multipliers=embedding_lr_multipliers,
        )  # fmt: skip
        canned.DNNLinearCombinedRegressor.__init__(
            self, model_dir, linear_feature_columns, linear_optimizer or "Ftrl", dnn_feature_columns,
            dnn_optimizer or "Adagrad", dnn_hidden_units, dnn_activation_fn, dnn_dropout, label_dimension,
            weight_column_name, None, config, loss_reduction=_MEAN,
        )  # fmt: skip


class Estimator(Trainable, estimator_core.Estimator):
    """A model function ``model_fn(features, labels, mode, params)``: ``ModelFnOps``, or (predictions, loss, train_op).

    Features that are one array reach it as one tensor.
    """

    def __init__(
        self, model_fn: Callable[..., Any], model_dir: Any = None, config: Any = None, params: Any = None,
        feature_engineering_fn: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        names = inspect.signature(model_fn).parameters
        places = list(names)

        def wrapped(features: Any, labels: Any, mode: str, params: Any = None, config: Any = None) -> EstimatorSpec:
            given = features[""] if isinstance(features, Mapping) and set(features) == {""} else features
            if feature_engineering_fn is not None:
                given, labels = feature_engineering_fn(given, labels)
            said = ModeKeys.INFER if mode == EstimatorModeKeys.PREDICT else mode
            options = {k: v for k, v in (("mode", said), ("params", params), ("config", config)) if k in places}
            return _spec(mode, model_fn(given, labels, **options))

        estimator_core.Estimator.__init__(self, wrapped, model_dir, config, {} if params is None else params)


def _spec(mode_key: str, found: Any) -> EstimatorSpec:
    if isinstance(found, EstimatorSpec):
        return found
    if not isinstance(found, ModelFnOps):
        if not isinstance(found, tuple) or len(found) != 3:
            raise ValueError(
                "Unrecognized value returned by model_fn: give ModelFnOps or (predictions, loss, train_op)"
            )
        predictions, loss, step = found
        found = ModelFnOps(mode_key, predictions, loss, step)
    infers = mode_key == EstimatorModeKeys.PREDICT
    return EstimatorSpec(
        mode_key, predictions=found.predictions, loss=None if infers else found.loss,
        train_op=found.train_op if mode_key == EstimatorModeKeys.TRAIN else None,
        eval_metric_ops=None if infers else found.eval_metric_ops, scaffold=found.scaffold,
        training_hooks=found.training_hooks, training_chief_hooks=found.training_chief_hooks,
    )  # fmt: skip


class SKCompat:
    """An estimator with the manners of scikit-learn: ``fit(x, y)``, ``predict(x)`` as arrays, ``score(x, y)``."""

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator

    def fit(self, x: Any, y: Any, batch_size: int = 128, steps: int | None = None, max_steps: int | None = None,
            monitors: Any = None) -> SKCompat:  # fmt: skip
        """Train."""
        self._estimator.fit(
            x, y, batch_size=batch_size, steps=steps, max_steps=max_steps, monitors=monitors
        )  # fmt: skip
        return self

    def score(self, x: Any, y: Any, batch_size: int = 128, steps: int | None = None, metrics: Any = None,
              name: str | None = None) -> dict[str, Any]:  # fmt: skip
        """The metrics."""
        found: dict[str, Any] = self._estimator.evaluate(
            x, y, batch_size=batch_size, steps=steps, metrics=metrics, name=name or "score"
        )
        return found

    def predict(self, x: Any, batch_size: int = 128, outputs: Any = None) -> Any:
        """The predictions: a dictionary of arrays, or an array where the model gives one."""
        answer, self._estimator._answer = self._estimator._answer, None
        try:
            return self._estimator.predict(x, batch_size=batch_size, outputs=outputs, as_iterable=False)
        finally:
            self._estimator._answer = answer

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """What it wraps."""
        return {"estimator": self._estimator}


def infer_real_valued_columns_from_input(x: Any) -> list[Any]:
    """A column of numbers for an array, or for each of a dictionary of arrays; float32 inside."""
    arrays = _arrays(x)
    found = []
    for key, array in sorted(arrays.items()):
        if array.dtype.kind not in "fiub":
            raise ValueError(f"on non-numeric features {key!r} of dtype {array.dtype}: give the columns by hand")
        found.append(real_valued_column(key, int(np.prod(array.shape[1:], dtype=int))))
    return found


def infer_real_valued_columns_from_input_fn(input_fn: Callable[..., Any]) -> list[Any]:
    """A column of numbers for each of the features that an input function gives."""
    from corenn_tensorflow.framework import TFGraph, static_shape

    with TFGraph().as_default():
        found = named(input_fn)()
        features = found[0] if isinstance(found, tuple) else found
        return [
            real_valued_column(key, int(np.prod([n or 1 for n in (static_shape(value) or [])[1:]], dtype=int)))
            for key, value in sorted(features.items())
        ]


__all__ = [
    "DNNClassifier", "DNNLinearCombinedClassifier", "DNNLinearCombinedRegressor", "DNNRegressor", "Estimator",
    "LinearClassifier", "LinearRegressor", "MetricSpec", "ModeKeys", "ModelFnOps", "SKCompat",
    "infer_real_valued_columns_from_input", "infer_real_valued_columns_from_input_fn",
]  # fmt: skip
