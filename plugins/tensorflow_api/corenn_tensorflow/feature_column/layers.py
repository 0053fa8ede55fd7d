"""Columns that turn ids into numbers, and the layers that put columns together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import corenn
from corenn_tensorflow import mode
from corenn_tensorflow.feature_column.columns import CategoricalColumn, DenseColumn, FeatureColumn
from corenn_tensorflow.scopes import get_variable, variable_scope


class IndicatorColumn(DenseColumn):
    """How often each id occurs in an example."""

    def __init__(self, column: CategoricalColumn) -> None:
        self.column, self.name, self.width = column, f"{column.name}_indicator", column.num_buckets

    def keys(self) -> list[str]:
        """The inner column's."""
        return self.column.keys()

    def parse_spec(self) -> dict[str, Any]:
        """The inner column's."""
        return self.column.parse_spec()

    def dense(self, features: Mapping[str, Any], trainable: bool = True) -> Any:
        """Counts, or sums of weights."""
        hot = corenn.one_hot(self.column.ids(features), depth=self.width, dtype="float32")
        weights = self.column.weights(features)
        if weights is not None:
            hot = hot * corenn.expand_dims(weights, axis=-1)
        return corenn.sum(hot, axis=1)


class EmbeddingColumn(DenseColumn):
    """A vector of trained numbers for each id, combined over the ids of an example."""

    def __init__(
        self, column: CategoricalColumn, dimension: int, combiner: str, initializer: Any, max_norm: float | None,
        trainable: bool, shared: list[Any] | None = None, shared_name: str | None = None,
    ) -> None:  # fmt: skip
        if dimension is None or dimension < 1:
            raise ValueError(f"Invalid dimension {dimension}.")
        if combiner not in ("mean", "sum", "sqrtn"):
            raise ValueError(f"combiner must be mean, sum or sqrtn, not {combiner!r}")
        if initializer is not None and not callable(initializer):
            raise ValueError(f"initializer must be callable if specified. Embedding of column_name: {column.name}")
        self.column, self.width, self.combiner, self.max_norm = column, dimension, combiner, max_norm
        self.initializer, self.trainable, self._shared = initializer, trainable, shared
        self._shared_name = shared_name
        self.name = f"{column.name}_{'shared_' if shared is not None else ''}embedding"

    def keys(self) -> list[str]:
        """The inner column's."""
        return self.column.keys()

    def parse_spec(self) -> dict[str, Any]:
        """The inner column's."""
        return self.column.parse_spec()

    def dense(self, features: Mapping[str, Any], trainable: bool = True) -> Any:
        """The combination of the vectors; zeros where there is no id."""
        initializer = self.initializer or _truncated(1 / np.sqrt(self.width))
        shape = (self.column.num_buckets, self.width)
        scope = variable_scope(self._shared_name, reuse=_auto()) if self._shared_name else _nothing()
        with scope:
            table = get_variable("embedding_weights", shape=shape, initializer=initializer,
                                 trainable=self.trainable and trainable)  # fmt: skip
        rows = corenn.asarray(table) if mode.executing_eagerly() else table
        if self.max_norm is not None:
            norms = corenn.sqrt(corenn.sum(corenn.square(rows), axis=1, keepdims=True))
            rows = rows * corenn.minimum(1.0, self.max_norm / corenn.maximum(norms, 1e-12))
        return combined(rows, self.column.ids(features), self.column.weights(features), self.combiner)


def combined(table: Any, ids: Any, weights: Any, combiner: str) -> Any:
    """The rows of ``table`` that ids ``[batch, n]`` name, added, averaged, or divided by the root of their number."""
    present = corenn.cast(ids >= 0, dtype="float32")
    factor = present if weights is None else present * weights
    rows = corenn.gather(table, corenn.maximum(ids, corenn.zeros_like(ids)), axis=0)
    total = corenn.sum(rows * corenn.expand_dims(factor, axis=-1), axis=1)
    if combiner == "sum":
        return total
    size = corenn.sum(factor if combiner == "mean" else corenn.square(factor), axis=1, keepdims=True)
    size = size if combiner == "mean" else corenn.sqrt(size)
    return total / corenn.where(size > 0, size, corenn.ones_like(size))


def _truncated(stddev: float) -> Any:
    from corenn.initializers import TruncatedNormal

    return TruncatedNormal(stddev=float(stddev))


def _auto() -> Any:
    from corenn.graph.scopes import AUTO_REUSE

    return AUTO_REUSE


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()


def _columns(feature_columns: Any) -> list[FeatureColumn]:
    listed = [feature_columns] if isinstance(feature_columns, FeatureColumn) else list(feature_columns)
    if not listed:
        raise ValueError("feature_columns must not be empty.")
    names = [c.name for c in listed]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"Duplicate feature column name found for columns: {name}. This usually means that these "
                             "columns refer to same base feature.")  # fmt: skip
    return sorted(listed, key=lambda c: c.name)


def input_layer(
    features: Mapping[str, Any], feature_columns: Any, weight_collections: Any = None, trainable: bool = True,
    cols_to_vars: Any = None, cols_to_output_tensors: Any = None,
) -> Any:  # fmt: skip
    """The columns side by side, by name: ``[batch, sum of widths]``."""
    columns = _columns(feature_columns)
    for column in columns:
        if not isinstance(column, DenseColumn):
            raise ValueError(
                "Items of feature_columns must be a _DenseColumn. You can wrap a categorical column with an "
                f"embedding_column or indicator_column. Given: {column.name}"
            )
    parts = []
    with variable_scope(None, default_name="input_layer", values=list(features.values())):
        for column in columns:
            with variable_scope(None, default_name=column.name.replace(" ", "_")) as scope:
                part = column.dense(features, trainable)  # type: ignore[attr-defined]  # checked above
            if cols_to_vars is not None:
                cols_to_vars[column] = scope.global_variables()
            if cols_to_output_tensors is not None:
                cols_to_output_tensors[column] = part
            parts.append(part)
        return corenn.concatenate(parts, axis=1)


def linear_model(
    features: Mapping[str, Any], feature_columns: Any, units: int = 1, sparse_combiner: str = "sum",
    weight_collections: Any = None, trainable: bool = True, cols_to_vars: Any = None,
) -> Any:  # fmt: skip
    """A linear function of the columns: ``[batch, units]``; weights and bias begin at zero."""
    columns = _columns(feature_columns)
    with variable_scope(None, default_name="linear_model", values=list(features.values())):
        total: Any = None
        for column in columns:
            with variable_scope(None, default_name=column.name.replace(" ", "_")) as scope:
                part = _weighted(column, features, units, sparse_combiner, trainable)
            if cols_to_vars is not None:
                cols_to_vars[column] = scope.global_variables()
            total = part if total is None else total + part
        bias = get_variable("bias_weights", shape=(units,), initializer=_zeros(), trainable=trainable)
        if cols_to_vars is not None:
            cols_to_vars["bias"] = [bias]
        return total + bias


def _weighted(column: Any, features: Mapping[str, Any], units: int, combiner: str, trainable: bool) -> Any:
    if isinstance(column, CategoricalColumn):
        weights = get_variable("weights", shape=(column.num_buckets, units), initializer=_zeros(), trainable=trainable)
        return combined(weights, column.ids(features), column.weights(features), combiner)
    value = column.dense(features, trainable)
    weights = get_variable("weights", shape=(column.width, units), initializer=_zeros(), trainable=trainable)
    return corenn.matmul(value, weights)


def _zeros() -> Any:
    from corenn.initializers import Zeros

    return Zeros()


def make_parse_example_spec(feature_columns: Iterable[FeatureColumn]) -> dict[str, Any]:
    """What ``tf.parse_example`` needs to give the raw features of columns."""
    found: dict[str, Any] = {}
    for column in feature_columns:
        for key, value in column.parse_spec().items():
            if found.get(key, value) != value:
                raise ValueError(
                    f"feature_columns contain different parse_spec for key {key}. Given {value} and {found[key]}"
                )
            found[key] = value
    return found


def shared_embeddings(columns: Sequence[CategoricalColumn], dimension: int, combiner: str, initializer: Any,
                      max_norm: float | None, trainable: bool, name: str | None) -> list[EmbeddingColumn]:  # fmt: skip
    """Embedding columns that share one table."""
    label = name or "_".join(sorted(c.name for c in columns)) + "_shared_embedding"
    group: list[Any] = []
    made = [EmbeddingColumn(c, dimension, combiner, initializer, max_norm, trainable, group, label) for c in columns]
    group.extend(made)
    return made


__all__ = [
    "EmbeddingColumn", "IndicatorColumn", "combined", "input_layer", "linear_model", "make_parse_example_spec",
    "shared_embeddings",
]  # fmt: skip
