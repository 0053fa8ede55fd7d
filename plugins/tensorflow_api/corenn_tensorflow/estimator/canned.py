"""Canned estimators: linear models, networks of dense layers, both together, and baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import corenn
from corenn.graph import state
from corenn_tensorflow import mode, train
from corenn_tensorflow.estimator import heads
from corenn_tensorflow.estimator.core import Estimator
from corenn_tensorflow.estimator.heads import SUM, Head
from corenn_tensorflow.estimator.specs import ModeKeys
from corenn_tensorflow.feature_column import input_layer, linear_model
from corenn_tensorflow.scopes import get_variable, variable_scope
from corenn_tensorflow.train.optimizer import Optimizer

_OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {
    "Adagrad": lambda rate: train.AdagradOptimizer(rate), "Adam": lambda rate: train.AdamOptimizer(rate),
    "Ftrl": lambda rate: train.FtrlOptimizer(rate), "RMSProp": lambda rate: train.RMSPropOptimizer(rate),
    "SGD": lambda rate: train.GradientDescentOptimizer(rate),
}  # fmt: skip


def _optimizer(given: Any, rate: float) -> Any:
    """An optimizer from a name, an optimizer, or a function."""
    if isinstance(given, str):
        if given not in _OPTIMIZERS:
            raise ValueError(f"Unsupported optimizer name: {given}. Supported names are: {tuple(sorted(_OPTIMIZERS))}")
        return _OPTIMIZERS[given](rate)
    if callable(given) and not hasattr(given, "apply_gradients"):
        return given()
    return given


def _features(features: Any) -> Mapping[str, Any]:
    if not isinstance(features, Mapping):
        raise ValueError(f"features should be a dictionary of `Tensor`s. Given type: {type(features)}")
    return features


def _linear_logits(features: Mapping[str, Any], columns: Any, units: int, combiner: str) -> Any:
    with variable_scope("linear"):
        return linear_model(features, columns, units=units, sparse_combiner=combiner)


def _deep_logits(
    features: Mapping[str, Any], columns: Any, hidden: Sequence[int], units: int, activation: Any,
    dropout: float | None, batch_norm: bool, mode_key: str,
) -> Any:  # fmt: skip
    from corenn_tensorflow import layers

    with variable_scope("dnn"):
        with variable_scope("input_from_feature_columns"):
            net = input_layer(features, columns)
        for number, size in enumerate(hidden):
            net = layers.dense(net, size, activation=activation, name=f"hiddenlayer_{number}")
            if dropout is not None and mode_key == ModeKeys.TRAIN:
                net = layers.dropout(net, rate=dropout, training=True)
            if batch_norm:
                net = layers.batch_normalization(
                    net, momentum=0.999, training=mode_key == ModeKeys.TRAIN, name=f"batchnorm_{number}"
                )
        return layers.dense(net, units, activation=None, name="logits")


def _relu(x: Any) -> Any:
    return corenn.nn.relu(x)


def _after_updates(loss: Any, step: Callable[[], Any]) -> Any:
    """A train operation that waits for the updates of batch normalisation."""
    graph = mode.default_graph()
    with graph.control_dependencies(graph.get_collection("update_ops")):
        return step()


class _Canned(Estimator):
    """An estimator of a head and a function that gives logits."""

    def _start(self, head: Head, logits: Callable[[Any, str], Any], step: Callable[[Any], Any], model_dir: Any,
               config: Any, warm_start_from: Any) -> None:  # fmt: skip
        def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
            given = _features(features)
            return head.spec(given, mode, logits(given, mode), labels, step)

        Estimator.__init__(self, model_fn, model_dir, config, None, warm_start_from)


def _listed(columns: Any) -> list[Any]:
    return list(columns) if isinstance(columns, (list, tuple, set)) else [columns]


# ---------------------------------------------------------------- linear


class _Linear(_Canned):
    def _linear(self, head: Head, columns: Any, optimizer: Any, combiner: str, *rest: Any) -> None:
        listed = _listed(columns)
        rate = min(0.2, 1.0 / math.sqrt(len(listed))) if listed else 0.2
        self._start(
            head, lambda features, mode_key: _linear_logits(features, listed, head.width, combiner),
            lambda loss: heads.train_op(_optimizer(optimizer, rate), loss), *rest,
        )  # fmt: skip


class LinearClassifier(_Linear):
    """A linear model of classes."""

    def __init__(
        self, feature_columns: Any, model_dir: Any = None, n_classes: int = 2, weight_column: Any = None,
        label_vocabulary: Any = None, optimizer: Any = "Ftrl", config: Any = None, partitioner: Any = None,
        warm_start_from: Any = None, loss_reduction: str = SUM, sparse_combiner: str = "sum",
    ) -> None:  # fmt: skip
        head = heads.classification_head(n_classes, label_vocabulary, weight_column, loss_reduction)
        self._linear(head, feature_columns, optimizer, sparse_combiner, model_dir, config, warm_start_from)


class LinearRegressor(_Linear):
    """A linear model of numbers."""

    def __init__(
        self, feature_columns: Any, model_dir: Any = None, label_dimension: int = 1, weight_column: Any = None,
        optimizer: Any = "Ftrl", config: Any = None, partitioner: Any = None, warm_start_from: Any = None,
        loss_reduction: str = SUM, sparse_combiner: str = "sum",
    ) -> None:  # fmt: skip
        head = heads.RegressionHead(label_dimension, weight_column, loss_reduction)
        self._linear(head, feature_columns, optimizer, sparse_combiner, model_dir, config, warm_start_from)


# ---------------------------------------------------------------- networks


class _Deep(_Canned):
    def _deep(
        self, head: Head, hidden: Sequence[int], columns: Any, optimizer: Any, activation: Any, dropout: float | None,
        batch_norm: bool, *rest: Any,
    ) -> None:  # fmt: skip
        listed = _listed(columns)

        def logits(features: Any, mode_key: str) -> Any:
            return _deep_logits(features, listed, hidden, head.width, activation, dropout, batch_norm, mode_key)

        def step(loss: Any) -> Any:
            return _after_updates(loss, lambda: heads.train_op(_optimizer(optimizer, 0.05), loss))

        self._start(head, logits, step, *rest)


class DNNClassifier(_Deep):
    """A network of dense layers, of classes."""

    def __init__(
        self, hidden_units: Sequence[int], feature_columns: Any, model_dir: Any = None, n_classes: int = 2,
        weight_column: Any = None, label_vocabulary: Any = None, optimizer: Any = "Adagrad", activation_fn: Any = _relu,
        dropout: float | None = None, input_layer_partitioner: Any = None, config: Any = None,
        warm_start_from: Any = None, loss_reduction: str = SUM, batch_norm: bool = False,
    ) -> None:  # fmt: skip
        head = heads.classification_head(n_classes, label_vocabulary, weight_column, loss_reduction)
        self._deep(head, hidden_units, feature_columns, optimizer, activation_fn, dropout, batch_norm, model_dir,
                   config, warm_start_from)  # fmt: skip


class DNNRegressor(_Deep):
    """A network of dense layers, of numbers."""

    def __init__(
        self, hidden_units: Sequence[int], feature_columns: Any, model_dir: Any = None, label_dimension: int = 1,
        weight_column: Any = None, optimizer: Any = "Adagrad", activation_fn: Any = _relu,
        dropout: float | None = None, input_layer_partitioner: Any = None, config: Any = None,
        warm_start_from: Any = None, loss_reduction: str = SUM, batch_norm: bool = False,
    ) -> None:  # fmt: skip
        head = heads.RegressionHead(label_dimension, weight_column, loss_reduction)
        self._deep(head, hidden_units, feature_columns, optimizer, activation_fn, dropout, batch_norm, model_dir,
                   config, warm_start_from)  # fmt: skip


class _Combined(_Canned):
    def _combined(
        self, head: Head, linear_columns: Any, linear_optimizer: Any, deep_columns: Any, deep_optimizer: Any,
        hidden: Sequence[int] | None, activation: Any, dropout: float | None, batch_norm: bool, combiner: str,
        *rest: Any,
    ) -> None:  # fmt: skip
        wide, deep = _listed(linear_columns or []), _listed(deep_columns or [])
        if not wide and not deep:
            raise ValueError("Either linear_feature_columns or dnn_feature_columns must be defined.")
        if deep and not hidden:
            raise ValueError("dnn_hidden_units must be defined when dnn_feature_columns is specified.")

        def logits(features: Any, mode_key: str) -> Any:
            total: Any = None
            if deep:
                total = _deep_logits(
                    features, deep, hidden or (), head.width, activation, dropout, batch_norm, mode_key
                )
            if wide:
                part = _linear_logits(features, wide, head.width, combiner)
                total = part if total is None else total + part
            return total

        def step(loss: Any) -> Any:
            graph = mode.default_graph()

            def both() -> Any:
                ops = []
                if deep:
                    ops.append(heads.train_op(
                        _optimizer(deep_optimizer, 0.05), loss, graph.get_collection(state.TRAINABLE, "dnn"), False
                    ))  # fmt: skip
                if wide:
                    rate = min(0.005, 1.0 / math.sqrt(len(wide)))
                    ops.append(heads.train_op(
                        _optimizer(linear_optimizer, rate), loss, graph.get_collection(state.TRAINABLE, "linear"), False
                    ))  # fmt: skip
                with graph.control_dependencies(ops):
                    return train.get_global_step().assign_add(1).operation

            return _after_updates(loss, both)

        self._start(head, logits, step, *rest)


class DNNLinearCombinedClassifier(_Combined):
    """A linear model and a network whose logits are added, of classes."""

    def __init__(
        self, model_dir: Any = None, linear_feature_columns: Any = None, linear_optimizer: Any = "Ftrl",
        dnn_feature_columns: Any = None, dnn_optimizer: Any = "Adagrad", dnn_hidden_units: Any = None,
        dnn_activation_fn: Any = _relu, dnn_dropout: float | None = None, n_classes: int = 2, weight_column: Any = None,
        label_vocabulary: Any = None, input_layer_partitioner: Any = None, config: Any = None,
        warm_start_from: Any = None, loss_reduction: str = SUM, batch_norm: bool = False,
        linear_sparse_combiner: str = "sum",
    ) -> None:  # fmt: skip
        head = heads.classification_head(n_classes, label_vocabulary, weight_column, loss_reduction)
        self._combined(
            head, linear_feature_columns, linear_optimizer, dnn_feature_columns, dnn_optimizer, dnn_hidden_units,
            dnn_activation_fn, dnn_dropout, batch_norm, linear_sparse_combiner, model_dir, config, warm_start_from,
        )  # fmt: skip


class DNNLinearCombinedRegressor(_Combined):
    """A linear model and a network whose logits are added, of numbers."""

    def __init__(
        self, model_dir: Any = None, linear_feature_columns: Any = None, linear_optimizer: Any = "Ftrl",
        dnn_feature_columns: Any = None, dnn_optimizer: Any = "Adagrad", dnn_hidden_units: Any = None,
        dnn_activation_fn: Any = _relu, dnn_dropout: float | None = None, label_dimension: int = 1,
        weight_column: Any = None, input_layer_partitioner: Any = None, config: Any = None, warm_start_from: Any = None,
        loss_reduction: str = SUM, batch_norm: bool = False, linear_sparse_combiner: str = "sum",
    ) -> None:  # fmt: skip
        head = heads.RegressionHead(label_dimension, weight_column, loss_reduction)
        self._combined(
            head, linear_feature_columns, linear_optimizer, dnn_feature_columns, dnn_optimizer, dnn_hidden_units,
            dnn_activation_fn, dnn_dropout, batch_norm, linear_sparse_combiner, model_dir, config, warm_start_from,
        )  # fmt: skip


# ---------------------------------------------------------------- baselines


class _Baseline(_Canned):
    def _baseline(self, head: Head, optimizer: Any, *rest: Any) -> None:
        def logits(features: Mapping[str, Any], mode_key: str) -> Any:
            with variable_scope("baseline"):
                bias = get_variable("bias", shape=(head.width,), initializer=_zeros)
            first = features[sorted(features)[0]]
            given = first.values if hasattr(first, "dense_shape") else first
            shape = corenn.graph.shape(given) if hasattr(given, "extents") else np.shape(given)
            return corenn.broadcast_to(corenn.expand_dims(bias, axis=0), shape=(shape[0], head.width))

        self._start(head, logits, lambda loss: heads.train_op(_optimizer(optimizer, 0.3), loss), *rest)


def _zeros(shape: Any, dtype: Any = None, **unused: Any) -> Any:
    return corenn.zeros(tuple(shape), dtype=dtype or "float32")


class BaselineClassifier(_Baseline):
    """The frequencies of classes, whatever the features."""

    def __init__(
        self, model_dir: Any = None, n_classes: int = 2, weight_column: Any = None, label_vocabulary: Any = None,
        optimizer: Any = "Ftrl", config: Any = None, loss_reduction: str = SUM,
    ) -> None:  # fmt: skip
        head = heads.classification_head(n_classes, label_vocabulary, weight_column, loss_reduction)
        self._baseline(head, optimizer, model_dir, config, None)


class BaselineRegressor(_Baseline):
    """The mean of the labels, whatever the features."""

    def __init__(
        self, model_dir: Any = None, label_dimension: int = 1, weight_column: Any = None, optimizer: Any = "Ftrl",
        config: Any = None, loss_reduction: str = SUM,
    ) -> None:  # fmt: skip
        head = heads.RegressionHead(label_dimension, weight_column, loss_reduction)
        self._baseline(head, optimizer, model_dir, config, None)


def classifier_parse_example_spec(
    feature_columns: Iterable[Any], label_key: str, label_dtype: Any = "int64", label_default: Any = None,
    weight_column: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """What ``tf.parse_example`` needs for a classifier."""
    return _parse_spec(feature_columns, label_key, label_dtype, label_default, 1, weight_column)


def regressor_parse_example_spec(
    feature_columns: Iterable[Any], label_key: str, label_dtype: Any = "float32", label_default: Any = None,
    label_dimension: int = 1, weight_column: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """What ``tf.parse_example`` needs for a regressor."""
    return _parse_spec(feature_columns, label_key, label_dtype, label_default, label_dimension, weight_column)


def _parse_spec(columns: Iterable[Any], key: str, dtype: Any, default: Any, width: int, weight: Any) -> dict[str, Any]:
    from corenn_tensorflow.feature_column import make_parse_example_spec
    from corenn_tensorflow.records.parsing import FixedLenFeature

    found = make_parse_example_spec(columns)
    if key in found:
        raise ValueError(f"label should not be used as feature. label_key: {key}, features: {sorted(found)}")
    found[key] = FixedLenFeature((width,), dtype, default)
    if weight is not None:
        found[weight if isinstance(weight, str) else weight.name] = FixedLenFeature((1,), "float32", None)
    return found


__all__ = [
    "BaselineClassifier", "BaselineRegressor", "DNNClassifier", "DNNLinearCombinedClassifier",
    "DNNLinearCombinedRegressor", "DNNRegressor", "LinearClassifier", "LinearRegressor",
    "classifier_parse_example_spec", "regressor_parse_example_spec",
]  # fmt: skip
