"""``tf.feature_column``: how raw features become the inputs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corenn_tensorflow import missing
from corenn_tensorflow.feature_column import columns as _columns
from corenn_tensorflow.feature_column import layers as _layers
from corenn_tensorflow.feature_column.layers import input_layer, linear_model, make_parse_example_spec


def numeric_column(
    key: str, shape: Any = (1,), default_value: Any = None, dtype: Any = "float32", normalizer_fn: Any = None
) -> Any:
    """Numbers."""
    return _columns.NumericColumn(key, shape, default_value, dtype, normalizer_fn)


def bucketized_column(source_column: Any, boundaries: Sequence[float]) -> Any:
    """Which interval a number lies in."""
    return _columns.BucketizedColumn(source_column, boundaries)


def categorical_column_with_vocabulary_list(
    key: str, vocabulary_list: Sequence[Any], dtype: Any = None, default_value: int = -1, num_oov_buckets: int = 0
) -> Any:
    """Values of a list."""
    return _columns.VocabularyColumn(key, vocabulary_list, dtype, default_value, num_oov_buckets)


def categorical_column_with_vocabulary_file(
    key: str, vocabulary_file: Any, vocabulary_size: int | None = None, num_oov_buckets: int = 0,
    default_value: int | None = None, dtype: Any = "string",
) -> Any:  # fmt: skip
    """Values that a file lists, one in a line."""
    with open(vocabulary_file, encoding="utf-8") as file:
        words = file.read().splitlines()
    if vocabulary_size is not None:
        if len(words) < vocabulary_size:
            raise ValueError(
                f"Size of vocabulary_file {vocabulary_file} is less than vocabulary_size {vocabulary_size}"
            )
        words = words[:vocabulary_size]
    return _columns.VocabularyColumn(key, words, dtype, -1 if default_value is None else default_value, num_oov_buckets)


def categorical_column_with_identity(key: str, num_buckets: int, default_value: int | None = None) -> Any:
    """Ids that are given."""
    return _columns.IdentityColumn(key, num_buckets, default_value)


def categorical_column_with_hash_bucket(key: str, hash_bucket_size: int, dtype: Any = "string") -> Any:
    """Ids by a hash of the value."""
    return _columns.HashedColumn(key, hash_bucket_size, dtype)


def crossed_column(keys: Sequence[Any], hash_bucket_size: int, hash_key: int | None = None) -> Any:
    """Ids by a hash of combinations of values."""
    return _columns.CrossedColumn(keys, hash_bucket_size, hash_key)


def weighted_categorical_column(categorical_column: Any, weight_feature_key: str, dtype: Any = "float32") -> Any:
    """Values with weights."""
    return _columns.WeightedColumn(categorical_column, weight_feature_key, dtype)


def indicator_column(categorical_column: Any) -> Any:
    """How often each value occurs."""
    return _layers.IndicatorColumn(categorical_column)


def embedding_column(
    categorical_column: Any, dimension: int, combiner: str = "mean", initializer: Any = None,
    ckpt_to_load_from: Any = None, tensor_name_in_ckpt: Any = None, max_norm: float | None = None,
    trainable: bool = True, use_safe_embedding_lookup: bool = True,
) -> Any:  # fmt: skip
    """A trained vector for each value."""
    if (ckpt_to_load_from is None) != (tensor_name_in_ckpt is None):
        raise ValueError("Must specify both `ckpt_to_load_from` and `tensor_name_in_ckpt` or none of them.")
    if ckpt_to_load_from is not None:
        from corenn_tensorflow.train.checkpoints import load_variable

        value = load_variable(ckpt_to_load_from, tensor_name_in_ckpt)
        initializer = lambda shape, dtype=None, **unused: value
    return _layers.EmbeddingColumn(categorical_column, dimension, combiner, initializer, max_norm, trainable)


def shared_embedding_columns(
    categorical_columns: Sequence[Any], dimension: int, combiner: str = "mean", initializer: Any = None,
    shared_embedding_collection_name: str | None = None, ckpt_to_load_from: Any = None, tensor_name_in_ckpt: Any = None,
    max_norm: float | None = None, trainable: bool = True, use_safe_embedding_lookup: bool = True,
) -> list[Any]:  # fmt: skip
    """Trained vectors that several columns share."""
    return list(_layers.shared_embeddings(categorical_columns, dimension, combiner, initializer, max_norm, trainable,
                                          shared_embedding_collection_name))  # fmt: skip


shared_embeddings = shared_embedding_columns

__getattr__ = missing.guard(__name__)

__all__ = [
    "bucketized_column", "categorical_column_with_hash_bucket", "categorical_column_with_identity",
    "categorical_column_with_vocabulary_file", "categorical_column_with_vocabulary_list", "crossed_column",
    "embedding_column", "indicator_column", "input_layer", "linear_model", "make_parse_example_spec", "numeric_column",
    "shared_embedding_columns", "shared_embeddings", "weighted_categorical_column",
]  # fmt: skip
