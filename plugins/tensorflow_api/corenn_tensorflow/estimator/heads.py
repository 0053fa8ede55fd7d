"""Heads of canned estimators: loss, predictions and metrics of one kind of label.

Source of keys and formulas: tensorflow_estimator/python/estimator/canned/{head,metric_keys,prediction_keys}.py of 1.15.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn_tensorflow import summary
from corenn_tensorflow.estimator.core import mean_metric
from corenn_tensorflow.estimator.specs import EstimatorSpec, ModeKeys
from corenn_tensorflow.feature_column.columns import as_column, extents_of, host
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.train.global_step import get_global_step
from corenn_tensorflow.writing import writable

SUM = "weighted_sum"
_MEANS = ("weighted_mean", "sum_over_batch_size", "weighted_sum_by_nonzero_weights", "weighted_sum_over_batch_size")


class Head:
    """Base of heads; ``width`` logits for each example."""

    width: int

    def __init__(self, weight_column: Any = None, loss_reduction: str = SUM, loss_fn: Any = None) -> None:
        self.weight_column, self.reduction, self.loss_fn = weight_column, loss_reduction, loss_fn

    def labels(self, given: Any) -> Any:
        """Labels as ``[batch, n]``."""
        tensor = convert_to_tensor(given)
        extents = extents_of(tensor)
        if extents is not None and len(extents) == 1:
            if tensor.dtype is dtypes.string:
                return host(as_column, [tensor], ((extents[0], 1), tensor.dtype), "ExpandDims")
            return corenn.expand_dims(tensor, axis=-1)
        return tensor

    def losses(self, labels: Any, logits: Any) -> Any:
        """The loss of each example, ``[batch, 1]`` (or ``[batch, n]``)."""
        raise NotImplementedError

    def predictions(self, logits: Any) -> dict[str, Any]:
        """By name."""
        raise NotImplementedError

    def metrics(self, labels: Any, predictions: Mapping[str, Any], weights: Any) -> dict[str, Any]:
        """Pairs of value and update, beside ``average_loss``."""
        return {}

    def _weights(self, features: Mapping[str, Any]) -> Any:
        if self.weight_column is None:
            return None
        key = self.weight_column if isinstance(self.weight_column, str) else self.weight_column.name
        if key not in features:
            raise ValueError(f"weights column {key!r} missing from features. Available: {sorted(features)}")
        weights = corenn.cast(convert_to_tensor(features[key]), dtype="float32")
        return corenn.reshape(weights, shape=(-1, 1))

    def spec(
        self, features: Mapping[str, Any], mode_key: str, logits: Any, labels: Any, train_op_fn: Callable[[Any], Any]
    ) -> EstimatorSpec:
        """What the model function returns."""
        predictions = self.predictions(logits)
        if mode_key == ModeKeys.PREDICT:
            return EstimatorSpec(mode_key, predictions=predictions, export_outputs={"serving_default": predictions})
        if labels is None:
            raise ValueError("You must provide a labels Tensor. Given: None. Suggested troubleshooting "
                             "steps: Check that your "
                             "data contain your label feature. Check that your input_fn properly parses and "
                             "returns labels.")  # fmt: skip
        given = self.labels(labels)
        each, weights = self.losses(given, logits), self._weights(features)
        weighted = each if weights is None else each * weights
        total = corenn.sum(weighted)
        count = corenn.sum(weights) if weights is not None else corenn.sum(corenn.ones_like(each))
        loss = total / count if self.reduction in _MEANS else total
        if mode_key == ModeKeys.EVAL:
            average = mean_metric(total / count, "average_loss", count)
            found = {"average_loss": average, **self.metrics(given, predictions, weights)}
            return EstimatorSpec(mode_key, predictions=predictions, loss=loss, eval_metric_ops=found)
        summary.graph_mode.scalar("loss", loss)
        summary.graph_mode.scalar("average_loss", total / count)
        return EstimatorSpec(mode_key, predictions=predictions, loss=loss, train_op=train_op_fn(loss))


@writable("estimator.class_ids")
def _class_ids(array: Any, *, count: int, known: list[Any] | None) -> Any:
    flat = np.asarray(array).reshape(-1).tolist()
    if known is not None:
        flat = [v.encode() if isinstance(v, str) else v for v in flat]
        bad = sorted({v for v in flat if v not in known})
        flat = [known.index(v) for v in flat] if not bad else flat
    else:
        bad = sorted({v for v in flat if not 0 <= v < count})
    if bad:
        from corenn_tensorflow import errors

        raise errors.InvalidArgumentError(
            None, None, f"Labels must be <= n_classes - 1 and in the vocabulary: {bad[:5]}"
        )
    return np.array(flat, np.int64).reshape(np.shape(array))


@writable("estimator.class_names")
def _class_names(array: Any, *, known: list[Any] | None) -> Any:
    found = np.empty(array.shape, object)
    for place, value in np.ndenumerate(array):
        found[place] = known[int(value)] if known is not None else str(int(value)).encode()
    return found


class _Classes(Head):
    """What heads of classes share: the names of classes."""

    def __init__(self, count: int, vocabulary: Sequence[Any] | None, *args: Any) -> None:
        super().__init__(*args)
        self.count = count
        self.vocabulary = None if vocabulary is None else [v.encode() if isinstance(v, str) else v for v in vocabulary]
        if self.vocabulary is not None and len(self.vocabulary) != count:
            raise ValueError(f"label_vocabulary has {len(self.vocabulary)} entries for {count} classes")

    def ids(self, labels: Any) -> Any:
        """Labels as ints below ``count``; InvalidArgumentError for others."""
        look_up = functools.partial(_class_ids, count=self.count, known=self.vocabulary)
        return host(look_up, [labels], (extents_of(labels), dtypes.int64), "assert_range")

    def names(self, ids: Any) -> Any:
        """The classes of ids, as strings."""
        name = functools.partial(_class_names, known=self.vocabulary)
        return host(name, [ids], (extents_of(ids), dtypes.string), "AsString")


class BinaryHead(_Classes):
    """Two classes: one logit."""

    width = 1

    def labels(self, given: Any) -> Any:
        """0 or 1."""
        return corenn.cast(self.ids(super().labels(given)), dtype="float32")

    def losses(self, labels: Any, logits: Any) -> Any:
        """Cross entropy of the sigmoid."""
        if self.loss_fn is not None:
            return self.loss_fn(labels, logits)
        softened = corenn.log1p(corenn.exp(-corenn.abs(logits)))
        return corenn.maximum(logits, 0.0) - logits * labels + softened

    def predictions(self, logits: Any) -> dict[str, Any]:
        """Probabilities and class."""
        logistic = corenn.nn.sigmoid(logits)
        ids = corenn.cast(logits > 0, dtype="int64")
        return {
            "logits": logits, "logistic": logistic,
            "probabilities": corenn.concatenate([1 - logistic, logistic], axis=1),
            "class_ids": ids, "classes": self.names(ids),
        }  # fmt: skip

    def metrics(self, labels: Any, predictions: Mapping[str, Any], weights: Any) -> dict[str, Any]:
        """Accuracy, its baseline, areas under curves, precision, recall, means."""
        from corenn_tensorflow import metrics

        ids, logistic = predictions["class_ids"], predictions["logistic"]
        true = corenn.cast(labels, dtype="int64")
        mean = metrics.mean(labels, weights=weights)
        value, update = mean
        return {
            "accuracy": metrics.accuracy(labels=true, predictions=ids, weights=weights),
            "precision": metrics.precision(labels=true, predictions=ids, weights=weights),
            "recall": metrics.recall(labels=true, predictions=ids, weights=weights),
            "prediction/mean": metrics.mean(logistic, weights=weights), "label/mean": mean,
            "accuracy_baseline": (corenn.maximum(value, 1 - value), corenn.maximum(update, 1 - update)),
            "auc": metrics.auc(labels=labels, predictions=logistic, weights=weights),
            "auc_precision_recall": metrics.auc(labels=labels, predictions=logistic, weights=weights, curve="PR"),
        }  # fmt: skip


class MultiClassHead(_Classes):
    """More classes: a logit for each."""

    @property
    def width(self) -> int:  # type: ignore[override]
        """As many as classes."""
        return self.count

    def labels(self, given: Any) -> Any:
        """Ids."""
        return self.ids(super().labels(given))

    def losses(self, labels: Any, logits: Any) -> Any:
        """Cross entropy of the softmax."""
        if self.loss_fn is not None:
            return self.loss_fn(labels, logits)
        flat = corenn.reshape(labels, shape=(-1,))
        return corenn.expand_dims(corenn.nn.sparse_softmax_cross_entropy(flat, logits), axis=-1)

    def predictions(self, logits: Any) -> dict[str, Any]:
        """Probabilities and class."""
        ids = corenn.expand_dims(corenn.argmax(logits, axis=-1), axis=-1)
        return {
            "logits": logits, "probabilities": corenn.nn.softmax(logits), "class_ids": corenn.cast(ids, dtype="int64"),
            "classes": self.names(ids),
        }  # fmt: skip

    def metrics(self, labels: Any, predictions: Mapping[str, Any], weights: Any) -> dict[str, Any]:
        """Accuracy."""
        from corenn_tensorflow import metrics

        return {"accuracy": metrics.accuracy(labels=labels, predictions=predictions["class_ids"], weights=weights)}


class RegressionHead(Head):
    """Numbers: squared errors."""

    def __init__(self, dimension: int, *args: Any) -> None:
        super().__init__(*args)
        self.width = dimension

    def labels(self, given: Any) -> Any:
        """Floats."""
        return corenn.cast(super().labels(given), dtype="float32")

    def losses(self, labels: Any, logits: Any) -> Any:
        """Squared errors."""
        if self.loss_fn is not None:
            return self.loss_fn(labels, logits)
        return corenn.square(labels - logits)

    def predictions(self, logits: Any) -> dict[str, Any]:
        """The numbers."""
        return {"predictions": logits}

    def metrics(self, labels: Any, predictions: Mapping[str, Any], weights: Any) -> dict[str, Any]:
        """Means."""
        from corenn_tensorflow import metrics

        return {
            "prediction/mean": metrics.mean(predictions["predictions"], weights=weights),
            "label/mean": metrics.mean(labels, weights=weights),
        }


def classification_head(count: int, vocabulary: Any, weight_column: Any, reduction: str, loss_fn: Any = None) -> Head:
    """The head for so many classes."""
    if count < 2:
        raise ValueError(f"n_classes must be > 1 for classification: {count}.")
    kind = BinaryHead if count == 2 else MultiClassHead
    return kind(count, vocabulary, weight_column, reduction, loss_fn)


def train_op(optimizer: Any, loss: Any, var_list: Any = None, count: bool = True) -> Any:
    """One step of an optimizer."""
    step = get_global_step() if count else None
    return optimizer.minimize(loss, global_step=step, var_list=var_list)


__all__ = ["BinaryHead", "Head", "MultiClassHead", "RegressionHead", "classification_head", "train_op"]
