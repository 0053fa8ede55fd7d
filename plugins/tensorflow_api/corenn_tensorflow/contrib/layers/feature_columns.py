"""``tf.contrib.layers``'s feature columns: those of ``tf.feature_column`` by their older names and arguments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from corenn_tensorflow import feature_column
from corenn_tensorflow.feature_column.columns import NumericColumn
from corenn_tensorflow.framework import as_dtype


def real_valued_column(
    column_name: str, dimension: int | None = 1, default_value: Any = None, dtype: Any = "float32",
    normalizer: Any = None,
) -> NumericColumn:  # fmt: skip
    """Numbers; the name ``""`` stands for features that are one array."""
    if dimension is None:
        raise TypeError("dimension must be an integer: real_valued_var_len_column is for lists of any length")
    made = NumericColumn(column_name, (dimension,), default_value, dtype, normalizer)
    made.name = column_name or "features"
    return made


def sparse_column_with_keys(
    column_name: str, keys: Sequence[Any], default_value: int = -1, combiner: str = "sum", dtype: Any = "string"
) -> Any:
    """Values of a list."""
    return feature_column.categorical_column_with_vocabulary_list(column_name, keys, as_dtype(dtype), default_value)


def sparse_column_with_hash_bucket(
    column_name: str, hash_bucket_size: int, combiner: str = "sum", dtype: Any = "string", hash_keys: Any = None
) -> Any:
    """Ids by a hash of the value."""
    return feature_column.categorical_column_with_hash_bucket(column_name, hash_bucket_size, as_dtype(dtype))


def sparse_column_with_integerized_feature(
    column_name: str, bucket_size: int, combiner: str = "sum", dtype: Any = "int64"
) -> Any:
    """Ids that are given."""
    return feature_column.categorical_column_with_identity(column_name, bucket_size)


def sparse_column_with_vocabulary_file(
    column_name: str, vocabulary_file: Any, num_oov_buckets: int = 0, vocab_size: int | None = None,
    default_value: int = -1, combiner: str = "sum", dtype: Any = "string",
) -> Any:  # fmt: skip
    """Values that a file lists."""
    return feature_column.categorical_column_with_vocabulary_file(
        column_name, vocabulary_file, vocab_size, num_oov_buckets, default_value, as_dtype(dtype)
    )


def weighted_sparse_column(sparse_id_column: Any, weight_column_name: str, dtype: Any = "float32") -> Any:
    """Ids with factors."""
    return feature_column.weighted_categorical_column(sparse_id_column, weight_column_name, as_dtype(dtype))


def one_hot_column(sparse_id_column: Any) -> Any:
    """How often each id occurs."""
    return feature_column.indicator_column(sparse_id_column)


def embedding_column(
    sparse_id_column: Any, dimension: int, combiner: str = "mean", initializer: Any = None,
    ckpt_to_load_from: Any = None, tensor_name_in_ckpt: Any = None, max_norm: float | None = None,
    trainable: bool = True,
) -> Any:  # fmt: skip
    """A trained vector for each id."""
    return feature_column.embedding_column(
        sparse_id_column, dimension, combiner, initializer, ckpt_to_load_from, tensor_name_in_ckpt, max_norm, trainable
    )


def bucketized_column(source_column: Any, boundaries: Sequence[float]) -> Any:
    """Which interval a number lies in."""
    return feature_column.bucketized_column(source_column, sorted(boundaries))


def crossed_column(
    columns: Iterable[Any], hash_bucket_size: int, combiner: str = "sum", ckpt_to_load_from: Any = None,
    tensor_name_in_ckpt: Any = None, hash_key: int | None = None,
) -> Any:  # fmt: skip
    """Ids by a hash of combinations of columns."""
    return feature_column.crossed_column(sorted(columns, key=lambda c: c.name), hash_bucket_size, hash_key)


def create_feature_spec_for_parsing(feature_columns: Iterable[Any]) -> dict[str, Any]:
    """What ``tf.parse_example`` needs."""
    return feature_column.make_parse_example_spec(feature_columns)


def input_from_feature_columns(
    columns_to_tensors: Any, feature_columns: Any, weight_collections: Any = None, trainable: bool = True,
    scope: Any = None, cols_to_outs: Any = None,
) -> Any:  # fmt: skip
    """The columns side by side."""
    return feature_column.input_layer(columns_to_tensors, feature_columns, weight_collections, trainable)


def weighted_sum_from_feature_columns(
    columns_to_tensors: Any, feature_columns: Any, num_outputs: int, weight_collections: Any = None,
    trainable: bool = True, scope: Any = None,
) -> Any:  # fmt: skip
    """A linear function of the columns, the variables of each, and the bias."""
    variables: dict[Any, Any] = {}
    found = feature_column.linear_model(
        columns_to_tensors, feature_columns, num_outputs, weight_collections=weight_collections, trainable=trainable,
        cols_to_vars=variables,
    )  # fmt: skip
    (bias,) = variables.pop("bias")
    return found, variables, bias


__all__ = [
    "bucketized_column", "create_feature_spec_for_parsing", "crossed_column", "embedding_column",
    "input_from_feature_columns", "one_hot_column", "real_valued_column", "sparse_column_with_hash_bucket",
    "sparse_column_with_integerized_feature", "sparse_column_with_keys", "sparse_column_with_vocabulary_file",
    "weighted_sparse_column", "weighted_sum_from_feature_columns",
]  # fmt: skip
