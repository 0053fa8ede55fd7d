"""``DenseFeatures``: feature columns as the first layer of a Keras model."""

from __future__ import annotations

from typing import Any

import corenn
from corenn_tensorflow.feature_column.columns import DenseColumn
from corenn_tensorflow.feature_column.layers import EmbeddingColumn, _columns, _truncated, combined
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.keras.engine.base_layer import Layer


class DenseFeatures(Layer):
    """The columns of a dict of features side by side, by name: ``[batch, sum of widths]``; embeddings are trained."""

    casts_inputs = False

    def __init__(self, feature_columns: Any, trainable: bool = True, name: str | None = None, **options: Any) -> None:
        super().__init__(trainable=trainable, name=name, **options)
        self.columns: Any = tuple(_columns(feature_columns))
        for column in self.columns:
            if not isinstance(column, DenseColumn):
                raise ValueError(
                    "Items of feature_columns must be a _DenseColumn. You can wrap a categorical column with an "
                    f"embedding_column or indicator_column. Given: {column.name}"
                )
        self.tables: dict[str, Any] = {}

    def build(self, input_shape: Any) -> None:
        """Make the tables of the embeddings."""
        for column in self.columns:
            if isinstance(column, EmbeddingColumn):
                self.tables[column.name] = self.add_weight(
                    f"{column.name}/embedding_weights", (column.column.num_buckets, column.width),
                    initializer=column.initializer or _truncated(column.width**-0.5), trainable=column.trainable,
                )  # fmt: skip
        self.built = True

    def call(self, features: Any, training: Any = None) -> Any:
        """Compute the columns."""
        given = {k: v if hasattr(v, "dense_shape") else convert_to_tensor(v) for k, v in features.items()}
        parts = []
        for column in self.columns:
            if not isinstance(column, EmbeddingColumn):
                parts.append(column.dense(given))
                continue
            rows = self.tables[column.name]
            if column.max_norm is not None:
                norms = corenn.sqrt(corenn.sum(corenn.square(rows), axis=1, keepdims=True))
                rows = rows * corenn.minimum(1.0, column.max_norm / corenn.maximum(norms, 1e-12))
            inner = column.column
            parts.append(combined(rows, inner.ids(given), inner.weights(given), column.combiner))
        return corenn.concatenate([corenn.cast(p, dtype="float32") for p in parts], axis=1)


__all__ = ["DenseFeatures"]
