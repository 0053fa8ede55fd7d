"""``tf.lookup`` and ``tf.contrib.lookup``: tables from keys to values, on the host.

In a graph a table is filled by its initializer, which ``tf.tables_initializer()`` runs; each session has its own.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.graph.kinds import HostCallKind
from corenn.graph.tensors import GraphTensor
from corenn_tensorflow import errors, missing, mode
from corenn_tensorflow.converting import eager_constant
from corenn_tensorflow.feature_column.columns import bucket_of
from corenn_tensorflow.framework import as_dtype, convert_to_tensor
from corenn_tensorflow.session import running_session
from corenn_tensorflow.sparse import SparseTensor

#: The collection of the operations that fill tables.
COLLECTION = "table_initializer"


class TextFileIndex:
    """What a key or a value is in a file of text: the number of the line, the line, or a column."""

    WHOLE_LINE, LINE_NUMBER = -2, -1


class KeyValueTensorInitializer:
    """The pairs of two tensors."""

    def __init__(
        self, keys: Any, values: Any, key_dtype: Any = None, value_dtype: Any = None, name: str | None = None
    ) -> None:
        self.inputs = [
            k if isinstance(k, GraphTensor) else convert_to_tensor(k, None if d is None else as_dtype(d))
            for k, d in ((keys, key_dtype), (values, value_dtype))
        ]
        self.key_dtype, self.value_dtype = (t.dtype for t in self.inputs)

    def pairs(self, keys: Any, values: Any) -> list[tuple[Any, Any]]:
        """Key and value of each row."""
        return [(_key(k), v) for k, v in zip(np.asarray(keys).reshape(-1), np.asarray(values).reshape(-1), strict=True)]


class TextFileInitializer:
    """The lines of a file: ``key_index`` and ``value_index`` say what of each line."""

    def __init__(
        self, filename: Any, key_dtype: Any, key_index: int, value_dtype: Any, value_index: int,
        vocab_size: int | None = None, delimiter: str = "\t", name: str | None = None,
    ) -> None:  # fmt: skip
        self.inputs = [filename if isinstance(filename, GraphTensor) else convert_to_tensor(os.fspath(filename))]
        self.key_dtype, self.value_dtype = as_dtype(key_dtype), as_dtype(value_dtype)
        self._places, self._size, self._delimiter = (key_index, value_index), vocab_size, delimiter

    def pairs(self, filename: Any) -> list[tuple[Any, Any]]:
        """Key and value of each line."""
        path = np.asarray(filename, object).item()
        found: list[tuple[Any, Any]] = []
        try:
            with open(path, "rb") as file:
                for number, line in enumerate(file.read().splitlines()):
                    if self._size is not None and number >= self._size:
                        break
                    key, value = (self._part(line, number, p, d) for p, d in
                                  zip(self._places, (self.key_dtype, self.value_dtype), strict=True))  # fmt: skip
                    found.append((_key(key), value))
        except FileNotFoundError:
            raise errors.NotFoundError(None, None, f"{_text(path)}; No such file or directory") from None
        if self._size is not None and len(found) < self._size:
            raise errors.InvalidArgumentError(
                None, None, f"Invalid vocab_size in {_text(path)}: expected {self._size} but got {len(found)}"
            )
        return found

    def _part(self, line: bytes, number: int, place: int, dtype: Any) -> Any:
        if place == TextFileIndex.LINE_NUMBER:
            return number
        text = line if place == TextFileIndex.WHOLE_LINE else line.split(self._delimiter.encode())[place]
        return text if dtype is dtypes.string else float(text) if dtype.is_floating else int(text)


def TextFileStringTableInitializer(
    filename: Any, key_column_index: int = -1, value_column_index: int = -2, vocab_size: int | None = None,
    delimiter: str = "\t", name: str = "text_file_string_table_init",
) -> TextFileInitializer:  # fmt: skip
    """From numbers of lines to lines."""
    return TextFileInitializer(filename, "int64", key_column_index, "string", value_column_index, vocab_size, delimiter)


def TextFileIdTableInitializer(
    filename: Any, key_column_index: int = -2, value_column_index: int = -1, vocab_size: int | None = None,
    delimiter: str = "\t", name: str = "text_file_id_table_init", key_dtype: Any = "string",
) -> TextFileInitializer:  # fmt: skip
    """From lines to their numbers."""
    return TextFileInitializer(
        filename, key_dtype, key_column_index, "int64", value_column_index, vocab_size, delimiter
    )


def _key(value: Any) -> Any:
    found = value.item() if isinstance(value, np.generic) else value
    return found.encode() if isinstance(found, str) else found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class _Table:
    """Keys and values, for each session; outside sessions, one set."""

    def __init__(self, key_dtype: Any, value_dtype: Any, default: Any, name: str) -> None:
        self.key_dtype, self.value_dtype, self._default, self.name = (
            as_dtype(key_dtype),
            as_dtype(value_dtype),
            default,
            name,
        )
        self._by_session: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()
        self._now: dict[Any, Any] | None = None

    def _held(self) -> dict[Any, Any] | None:
        session = running_session()
        return self._now if session is None else self._by_session.get(session)

    def _hold(self, pairs: dict[Any, Any]) -> None:
        session = running_session()
        if session is None:
            self._now = pairs
        else:
            self._by_session[session] = pairs

    def _table(self) -> dict[Any, Any]:
        held = self._held()
        if held is None:
            raise errors.FailedPreconditionError(None, None, "Table not initialized.")
        return held

    def _found(self, keys: Any) -> Any:
        table, default = self._table(), self._default
        default = np.asarray(default.numpy() if hasattr(default, "numpy") else default, object)
        given = np.asarray(keys)
        shape = given.shape + default.shape
        text = self.value_dtype is dtypes.string
        made = np.empty(shape, object if text else self.value_dtype.numpy)
        for place in np.ndindex(given.shape):
            made[place] = table.get(_key(given[place]), self._missing(_key(given[place]), default))
        if text:
            made = np.vectorize(lambda v: v.encode() if isinstance(v, str) else v, otypes=[object])(made)
        return made

    def _missing(self, key: Any, default: Any) -> Any:
        return default if default.ndim else default.item()

    def lookup(self, keys: Any, name: str | None = None) -> Any:
        """The values of keys; of those that are not there, the default."""
        if isinstance(keys, SparseTensor):
            return SparseTensor(keys.indices, self.lookup(keys.values, name), keys.dense_shape)
        given = convert_to_tensor(keys, None if hasattr(keys, "dtype") else self.key_dtype)
        if (given.dtype is dtypes.string) != (self.key_dtype is dtypes.string):
            raise TypeError(f"Signature mismatch. Keys must be dtype {self.key_dtype}, got {given.dtype}.")
        inner = np.shape(getattr(self._default, "numpy", lambda: self._default)())
        known = (
            (None if given.extents is None else (*given.extents, *inner)) if isinstance(given, GraphTensor) else None
        )
        return _called("hash_table_Lookup", name, lambda k: [self._found(k)], [given], [(known, self.value_dtype)])

    def __getitem__(self, keys: Any) -> Any:
        return self.lookup(keys)

    def size(self, name: str | None = None) -> Any:
        """The number of pairs."""
        return _called("hash_table_Size", name, lambda: [np.int64(self._count())], [], [((), dtypes.int64)])

    def _count(self) -> int:
        return len(self._table())


def _called(
    name: str, given_name: str | None, function: Callable[..., list[Any]], inputs: list[Any], known: list[Any]
) -> Any:
    """The results of a Python function: operations of a graph, or now."""
    graph = mode.graph_for(inputs)
    if graph is None:
        arrays = [np.asarray(i.data if i.dtype is dtypes.string else i.numpy()) for i in inputs]
        results = [eager_constant(np.asarray(v, object if d is dtypes.string else d.numpy), d)
                   for v, (_, d) in zip(function(*arrays), known, strict=True)]  # fmt: skip
    else:
        kind = HostCallKind(function, False, "LookupTableFindV2")
        made = graph.add(kind, [graph.convert(i) for i in inputs], known, name=given_name or name)
        results = list(made.outputs)
        if not known:
            return made
    return results[0] if len(results) == 1 else tuple(results) if results else None


class StaticHashTable(_Table):
    """A table that its initializer fills."""

    def __init__(self, initializer: Any, default_value: Any, shared_name: Any = None, name: str | None = None) -> None:
        super().__init__(initializer.key_dtype, initializer.value_dtype, default_value, name or "hash_table")
        self._source = initializer

        def fill(*inputs: Any) -> list[Any]:
            self._hold(dict(initializer.pairs(*inputs)))
            return []

        self._init = _called("key_value_init", None, fill, list(initializer.inputs), [])
        if self._init is not None:
            self._init.graph.add_to_collection(COLLECTION, self._init)

    @property
    def init(self) -> Any:
        """The operation that fills it."""
        return self._init

    initializer = init

    @property
    def default_value(self) -> Any:
        """The value of keys that are not there."""
        return self._default


HashTable = StaticHashTable


class StaticVocabularyTable(StaticHashTable):
    """A table to numbers, which gives keys that are not there one of ``num_oov_buckets`` numbers behind."""

    def __init__(
        self, initializer: Any, num_oov_buckets: int, lookup_key_dtype: Any = None, name: str | None = None
    ) -> None:
        super().__init__(initializer, -1, name=name)
        self._buckets = int(num_oov_buckets)

    def _missing(self, key: Any, default: Any) -> Any:
        if self._buckets <= 0:
            return super()._missing(key, default)
        return len(self._table()) + (bucket_of(key, self._buckets) if self._buckets > 1 else 0)

    def _count(self) -> int:
        return len(self._table()) + self._buckets


class IdTableWithHashBuckets(StaticVocabularyTable):
    """The name of ``StaticVocabularyTable`` in TensorFlow 1, over a table."""

    def __init__(
        self, table: Any, num_oov_buckets: int, hasher_spec: Any = None, name: str | None = None, key_dtype: Any = None
    ) -> None:
        super().__init__(table._source, num_oov_buckets, name=name)


class MutableHashTable(_Table):
    """A table that a program changes."""

    def __init__(
        self, key_dtype: Any, value_dtype: Any, default_value: Any, empty_key: Any = None, deleted_key: Any = None,
        initial_num_buckets: Any = None, shared_name: Any = None, name: str = "MutableHashTable",
        checkpoint: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(key_dtype, value_dtype, default_value, name)

    def _table(self) -> dict[Any, Any]:
        if self._held() is None:
            self._hold({})
        return super()._table()

    def insert(self, keys: Any, values: Any, name: str | None = None) -> Any:
        """Put pairs in."""
        given = [convert_to_tensor(k, None if hasattr(k, "dtype") else d)
                 for k, d in ((keys, self.key_dtype), (values, self.value_dtype))]  # fmt: skip

        def put(k: Any, v: Any) -> list[Any]:
            flat = np.asarray(v).reshape(np.size(k), *np.shape(v)[np.ndim(k) :])
            self._table().update(zip([_key(i) for i in np.asarray(k).reshape(-1)], flat, strict=True))
            return []

        return _called("MutableHashTable_Insert", name, put, given, [])

    def remove(self, keys: Any, name: str | None = None) -> Any:
        """Take keys out."""
        given = convert_to_tensor(keys, None if hasattr(keys, "dtype") else self.key_dtype)

        def take(k: Any) -> list[Any]:
            for key in np.asarray(k).reshape(-1):
                self._table().pop(_key(key), None)
            return []

        return _called("MutableHashTable_Remove", name, take, [given], [])

    def export(self, name: str | None = None) -> Any:
        """All keys, and all values."""
        inner = np.shape(self._default)

        def listed() -> list[Any]:
            table = self._table()
            keys = np.empty(len(table), object)
            keys[:] = list(table)
            values = np.array(list(table.values())) if table else np.zeros((0, *inner))
            return [keys if self.key_dtype is dtypes.string else keys.astype(self.key_dtype.numpy), values]

        return _called("MutableHashTable_Export", name, listed, [],
                       [((None,), self.key_dtype), ((None, *inner), self.value_dtype)])  # fmt: skip


DenseHashTable = MutableDenseHashTable = MutableHashTable


# ---------------------------------------------------------------- tables of vocabularies


def _indexed(source: Any, num_oov_buckets: int, default_value: int, name: str | None) -> Any:
    if num_oov_buckets > 0:
        return StaticVocabularyTable(source, num_oov_buckets, name=name)
    return StaticHashTable(source, default_value, name=name)


def index_table_from_tensor(
    vocabulary_list: Any = None, num_oov_buckets: int = 0, default_value: int = -1, hasher_spec: Any = None,
    dtype: Any = "string", name: str | None = None, mapping: Any = None,
) -> Any:  # fmt: skip
    """From the rows of a tensor to their numbers."""
    keys = convert_to_tensor(mapping if vocabulary_list is None else vocabulary_list)
    count = (keys.extents if isinstance(keys, GraphTensor) else keys.spec.shape)[0]
    if count is None:
        raise ValueError("vocabulary_list must have a known number of elements.")
    return _indexed(KeyValueTensorInitializer(keys, np.arange(count)), num_oov_buckets, default_value, name)


def index_table_from_file(
    vocabulary_file: Any = None, num_oov_buckets: int = 0, vocab_size: int | None = None, default_value: int = -1,
    hasher_spec: Any = None, key_dtype: Any = "string", name: str | None = None, key_column_index: int = -2,
    value_column_index: int = -1, delimiter: str = "\t",
) -> Any:  # fmt: skip
    """From the lines of a file to their numbers."""
    if vocabulary_file is None or (isinstance(vocabulary_file, str) and not vocabulary_file):
        raise ValueError("vocabulary_file must be specified and must not be empty.")
    source = TextFileInitializer(
        vocabulary_file, key_dtype, key_column_index, "int64", value_column_index, vocab_size, delimiter
    )
    return _indexed(source, num_oov_buckets, default_value, name)


def index_to_string_table_from_tensor(
    vocabulary_list: Any = None, default_value: str = "UNK", name: str | None = None, mapping: Any = None
) -> Any:
    """From numbers to the rows of a tensor."""
    values = convert_to_tensor(mapping if vocabulary_list is None else vocabulary_list)
    count = (values.extents if isinstance(values, GraphTensor) else values.spec.shape)[0]
    return StaticHashTable(KeyValueTensorInitializer(np.arange(count), values), default_value, name=name)


def index_to_string_table_from_file(
    vocabulary_file: Any, vocab_size: int | None = None, default_value: str = "UNK", name: str | None = None,
    key_column_index: int = -1, value_column_index: int = -2, delimiter: str = "\t",
) -> Any:  # fmt: skip
    """From numbers to the lines of a file."""
    source = TextFileInitializer(
        vocabulary_file, "int64", key_column_index, "string", value_column_index, vocab_size, delimiter
    )
    return StaticHashTable(source, default_value, name=name)


def string_to_index(tensor: Any, mapping: Any, default_value: int = -1, name: str | None = None) -> Any:
    """The numbers of strings among the rows of ``mapping``."""
    return index_table_from_tensor(mapping, default_value=default_value).lookup(tensor, name)


def index_to_string(tensor: Any, mapping: Any, default_value: str = "UNK", name: str | None = None) -> Any:
    """The rows of ``mapping`` by number."""
    return index_to_string_table_from_tensor(mapping, default_value).lookup(tensor, name)


__getattr__ = missing.guard(__name__)

__all__ = [
    "DenseHashTable", "HashTable", "IdTableWithHashBuckets", "KeyValueTensorInitializer", "MutableDenseHashTable",
    "MutableHashTable", "StaticHashTable", "StaticVocabularyTable", "TextFileIdTableInitializer", "TextFileIndex",
    "TextFileInitializer", "TextFileStringTableInitializer", "index_table_from_file", "index_table_from_tensor",
    "index_to_string", "index_to_string_table_from_file", "index_to_string_table_from_tensor", "string_to_index",
]  # fmt: skip
