"""Layers that turn categories into numbers: look-ups of strings and ints, intervals, hashes, one-hot encodings."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from corenn.errors import UsageError
from corenn_tensorflow import errors
from corenn_tensorflow.framework import convert_to_tensor, static_shape
from corenn_tensorflow.functions.hashing import fingerprint64, siphash
from corenn_tensorflow.functions.text import on_host
from corenn_tensorflow.keras.engine.base_layer import Layer
from corenn_tensorflow.writing import writable

MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
_OLD_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}


def mode_of(where: str, given: str, modes: tuple[str, ...] = MODES) -> str:
    """An output mode by its present name; ValueError for others."""
    found = _OLD_MODES.get(given, given)
    if found not in modes:
        raise ValueError(f"{where}: output_mode must be one of {', '.join(modes)}, got {given!r}")
    return found


def batches_of(data: Any) -> Iterable[Any]:
    """Arrays of a data set, a list, an array or a tensor; of pairs, the inputs."""
    if hasattr(data, "numpy") or isinstance(data, np.ndarray):
        yield np.asarray(data.numpy() if hasattr(data, "numpy") else data)
    elif isinstance(data, (list, tuple)):
        yield np.asarray(convert_to_tensor(data).numpy())
    else:
        for batch in data:
            first = batch[0] if isinstance(batch, tuple) else batch
            yield np.asarray(first.numpy() if hasattr(first, "numpy") else first)


class OnHost(Layer):
    """Base: layers that compute on the host, of tensors of any dtype."""

    casts_inputs = False
    first_dtype = "string"

    def __call__(self, inputs: Any, *args: Any, **options: Any) -> Any:
        """Call it; lists and arrays, of text too, are taken."""
        if not hasattr(inputs, "dtype") or isinstance(inputs, np.ndarray):
            inputs = convert_to_tensor(inputs)
        return super().__call__(inputs, *args, **options)

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn from data: an array, a list, or a data set (of batches)."""
        self.reset_state()
        for number, batch in enumerate(batches_of(data)):
            if steps is not None and number >= steps:
                break
            self.update_state(batch)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forget."""

    def update_state(self, data: Any) -> None:
        """Learn from a batch."""
        raise UsageError(self.name, "has nothing to learn: adapt() is not needed")

    def finalize_state(self) -> None:
        """Use what was learnt."""


def bytes_of(value: Any) -> Any:
    """Text as bytes, numbers as Python's."""
    if isinstance(value, str):
        return value.encode()
    return value.item() if isinstance(value, np.generic) else value


def readable(value: Any) -> Any:
    """Bytes as text."""
    return value.decode() if isinstance(value, bytes) else value


@writable("keras.encoded")
def encode(ids: Any, *, depth: int, mode: str, weights: Any = None) -> Any:
    """Ids below ``depth`` [..., n] as rows [..., depth]: one hot, several hot, counts, or counts times weights.

    Ids of -1 do not count.
    """
    one = mode == "one_hot"
    rows = ids.reshape(-1, 1) if one else ids.reshape(1, -1) if ids.ndim < 2 else ids.reshape(-1, ids.shape[-1])
    found = np.zeros((len(rows), depth), np.float32)
    place, column = np.nonzero(rows >= 0)
    np.add.at(found, (place, rows[place, column]), 1)
    if mode in ("one_hot", "multi_hot"):
        found = np.minimum(found, 1)
    if mode == "tf_idf":
        found = found * np.asarray(weights, np.float32)
    if one and not (ids.ndim and ids.shape[-1] == 1):
        return found.reshape(*ids.shape, depth)
    return found.reshape(*ids.shape[:-1], depth)


def encoded_shape(shape: Any, depth: int, mode: str) -> Any:
    """What is known of the shape of ``encode``."""
    if shape is None:
        return None
    return (*(shape if mode == "one_hot" and not (shape and shape[-1] == 1) else shape[:-1]), depth)


def encoded(ids: Any, depth: int, mode: str, weights: Any = None) -> Any:
    """``encode`` as an operation."""
    shape = static_shape(ids)
    function = functools.partial(encode, depth=depth, mode=mode, weights=weights)
    known = encoded_shape(None if shape is None else tuple(shape), depth, mode)
    return on_host("Encode", None, function, [ids], "float32", known)


@writable("keras.lookup")
def numbers_of(values: Any, *, table: Mapping[Any, int], oov: int, first: int) -> Any:
    """The number of each value; others go to one of ``oov`` numbers from ``first`` on."""
    out = np.empty(values.shape, np.int64)
    for place, value in np.ndenumerate(values):
        key = bytes_of(value)
        number = table.get(key)
        if number is None:
            if not oov:
                raise errors.InvalidArgumentError(
                    None, None, f"found the value {key!r}, which is not in the vocabulary, with num_oov_indices=0"
                )
            number = first + (hashed(key, oov) if oov > 1 else 0)
        out[place] = number
    return out


def hashed(value: Any, bins: int, salt: Any = None) -> int:
    """A number below ``bins``, as TensorFlow's: FarmHash's fingerprint, or SipHash with a salt (a number, or two)."""
    text = value if isinstance(value, bytes) else str(value).encode()
    if salt is None:
        return fingerprint64(text) % bins
    key = (salt, salt) if isinstance(salt, int) else tuple(salt)
    return siphash(text, key) % bins


@writable("keras.lookup_back")
def _back(ids: Any, *, words: Any, unknown: Any) -> Any:
    found = [words[i] if 0 <= i < len(words) else unknown for i in ids.reshape(-1).tolist()]
    return np.array(found, object if isinstance(unknown, bytes) else np.int64).reshape(ids.shape)


class Lookup(OnHost):
    """A vocabulary: the mask token, the places of what is not known, then the tokens."""

    text = True

    def __init__(
        self, max_tokens: int | None, num_oov_indices: int, mask_token: Any, oov_token: Any, vocabulary: Any,
        invert: bool, output_mode: str, idf_weights: Any, pad_to_max_tokens: bool, options: dict[str, Any],
    ) -> None:  # fmt: skip
        for ignored in ("sparse", "encoding", "vocabulary_dtype"):
            options.pop(ignored, None)
        super().__init__(**options)
        if max_tokens is not None and max_tokens <= 1:
            raise ValueError(f"If set, `max_tokens` must be greater than 1. Received: max_tokens={max_tokens}")
        self.max_tokens, self.num_oov_indices, self.invert = max_tokens, int(num_oov_indices), invert
        self.mask_token, self.oov_token = bytes_of(mask_token), bytes_of(oov_token)
        self.output_mode = mode_of(type(self).__name__, output_mode)
        self.pad_to_max_tokens = bool(pad_to_max_tokens)
        self._words: list[Any] = []
        self._weights: list[float] = []
        self.reset_state()
        if vocabulary is not None:
            if isinstance(vocabulary, str):
                with open(vocabulary, encoding="utf-8") as file:
                    vocabulary = file.read().splitlines()
            self.set_vocabulary(vocabulary, idf_weights)

    # ---- the vocabulary

    def _special(self) -> list[Any]:
        masks = [self.mask_token] if self.mask_token is not None and self.output_mode == "int" else []
        return [*masks, *[self.oov_token] * self.num_oov_indices]

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Tokens in their order; the special ones may stand before them."""
        given = vocabulary.numpy() if hasattr(vocabulary, "numpy") else vocabulary
        listed = [bytes_of(v) for v in np.asarray(given, object).reshape(-1)]
        if not self.text:
            listed = [int(v) for v in listed]
        special = self._special()
        if listed[: len(special)] == special:
            listed = listed[len(special) :]
        if len(set(listed)) != len(listed):
            twice = sorted({v for v, n in Counter(listed).items() if n > 1}, key=str)
            raise ValueError(f"The passed vocabulary has at least one repeated term: {twice[:5]}")
        if self.max_tokens is not None and len(listed) + len(special) > self.max_tokens:
            raise ValueError(
                f"Attempted to set a vocabulary larger than the maximum vocab size: {len(listed) + len(special)} > "
                f"{self.max_tokens}"
            )
        self._words = listed
        if idf_weights is not None:
            self._weigh([float(w) for w in idf_weights])
        elif self.output_mode == "tf_idf" and not self._weights:
            raise ValueError("`idf_weights` must be set if output_mode is 'tf_idf'.")

    def _weigh(self, own: list[float]) -> None:
        """Weights of the tokens; what is not known has their mean."""
        self._weights = [float(np.mean(own))] * self.num_oov_indices + own

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens by number: text, or ints."""
        return [readable(v) for v in ([*self._special(), *self._words] if include_special_tokens else self._words)]

    def vocabulary_size(self) -> int:
        """How many numbers there are."""
        return len(self._special()) + len(self._words)

    vocab_size = vocabulary_size

    def reset_state(self) -> None:
        """Forget what was counted."""
        self._counts, self._documents, self._rows = Counter[Any](), Counter[Any](), 0

    def update_state(self, data: Any) -> None:
        """Count tokens."""
        array = np.asarray(data)
        rows = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
        self.count([[bytes_of(v) for v in row] for row in rows])

    def count(self, rows: list[list[Any]]) -> None:
        """Count the tokens of rows, each a document."""
        for row in rows:
            self._counts.update(row)
            self._documents.update(set(row))
        self._rows += len(rows)

    def finalize_state(self) -> None:
        """The most frequent tokens, ties from the end of the alphabet."""
        special = {self.mask_token, self.oov_token, b""}
        counted = {k: v for k, v in self._counts.items() if k not in special}
        ordered = sorted(counted, key=lambda k: (counted[k], k), reverse=True)
        if self.max_tokens is not None:
            ordered = ordered[: self.max_tokens - len(self._special())]
        self._words = ordered
        if self.output_mode == "tf_idf":
            self._weigh([float(np.log(1 + self._rows / (1 + self._documents[k]))) for k in ordered])

    # ---- calling

    def depth(self) -> tuple[int, list[float] | None]:
        """The width of encoded rows, and the weights of their columns."""
        wide = self.pad_to_max_tokens and self.max_tokens is not None
        count = int(self.max_tokens or 0) if wide else self.vocabulary_size()
        if self.output_mode != "tf_idf":
            return count, None
        return count, [*self._weights, *[0.0] * (count - len(self._weights))]

    def numbers(self) -> Any:
        """The function of arrays that looks values up; UsageError without a vocabulary."""
        if not self._words:
            raise UsageError(self.name, "has no vocabulary yet", hint="pass vocabulary=, or call adapt(data)")
        start = len(self._special())
        table = {v: start + i for i, v in enumerate(self._words)}
        if self.mask_token is not None:
            table[self.mask_token] = 0 if self.output_mode == "int" else -1
        return functools.partial(numbers_of, table=table, oov=self.num_oov_indices, first=start - self.num_oov_indices)

    def call(self, inputs: Any) -> Any:
        """Numbers of tokens, or tokens of numbers (``invert``)."""
        shape = static_shape(inputs)
        known = None if shape is None else tuple(shape)
        if self.invert:
            words = [*self._special(), *self._words]
            function: Any = functools.partial(_back, words=words, unknown=self.oov_token)
            return on_host("LookupBack", None, function, [inputs], "string" if self.text else "int64", known)
        ids = on_host("Lookup", None, self.numbers(), [inputs], "int64", known)
        if self.output_mode == "int":
            return ids
        width, weights = self.depth()
        return encoded(ids, width, self.output_mode, weights)

    def get_config(self) -> dict[str, Any]:
        """The arguments, with the vocabulary."""
        return {
            **super().get_config(), "max_tokens": self.max_tokens, "num_oov_indices": self.num_oov_indices,
            "mask_token": readable(self.mask_token), "oov_token": readable(self.oov_token), "invert": self.invert,
            "output_mode": self.output_mode, "pad_to_max_tokens": self.pad_to_max_tokens,
            "idf_weights": self._weights[self.num_oov_indices :] or None,
            "vocabulary": [readable(w) for w in self._words] or None,
        }  # fmt: skip


class StringLookup(Lookup):
    """Numbers of strings; ``adapt`` finds the vocabulary."""

    def __init__(
        self, max_tokens: int | None = None, num_oov_indices: int = 1, mask_token: str | None = None,
        oov_token: str = "[UNK]", vocabulary: Any = None, idf_weights: Any = None, invert: bool = False,
        output_mode: str = "int", pad_to_max_tokens: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, invert, output_mode,
                         idf_weights, pad_to_max_tokens, options)  # fmt: skip


class IntegerLookup(Lookup):
    """Numbers of ints; ``adapt`` finds the vocabulary."""

    text, first_dtype = False, "int64"

    def __init__(
        self, max_tokens: int | None = None, num_oov_indices: int = 1, mask_token: int | None = None,
        oov_token: int = -1, vocabulary: Any = None, idf_weights: Any = None, invert: bool = False,
        output_mode: str = "int", pad_to_max_tokens: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        old = {"max_values": max_tokens, "mask_value": mask_token, "oov_value": oov_token}
        most, mask, unknown = (options.pop(name, value) for name, value in old.items())
        super().__init__(most, num_oov_indices, mask, unknown, vocabulary, invert, output_mode, idf_weights,
                         pad_to_max_tokens, options)  # fmt: skip


class CategoryEncoding(OnHost):
    """Numbers below ``num_tokens`` as rows: "one_hot", "multi_hot" or "count"."""

    first_dtype = "int64"

    def __init__(self, num_tokens: int | None = None, output_mode: str = "multi_hot", **options: Any) -> None:
        num_tokens = options.pop("max_tokens", num_tokens)
        options.pop("sparse", None)
        super().__init__(**options)
        if num_tokens is None:
            raise ValueError("num_tokens must be set to use this layer.")
        if num_tokens < 1:
            raise ValueError(f"`num_tokens` must be >= 1. Received: num_tokens={num_tokens}.")
        self.num_tokens = int(num_tokens)
        self.output_mode = mode_of("CategoryEncoding", output_mode, ("one_hot", "multi_hot", "count"))

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        """Encode; ``count_weights``, of the shape of the numbers, are added up in place of ones."""
        shape = static_shape(inputs)
        function = functools.partial(_within, depth=self.num_tokens, mode=self.output_mode)
        given = [inputs] if count_weights is None else [inputs, count_weights]
        known = encoded_shape(None if shape is None else tuple(shape), self.num_tokens, self.output_mode)
        return on_host("CategoryEncoding", None, function, given, "float32", known)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "num_tokens": self.num_tokens, "output_mode": self.output_mode}


@writable("keras.encoded_within")
def _within(ids: Any, *weights: Any, depth: int, mode: str) -> Any:
    whole = np.asarray(ids).astype(np.int64)
    if whole.size and (whole.min() < 0 or whole.max() >= depth):
        raise errors.InvalidArgumentError(
            None, None, f"Input values must be in the range 0 <= values < num_tokens with num_tokens={depth}, got "
            f"{whole.min()} to {whole.max()}",
        )  # fmt: skip
    if not weights:
        return encode(whole, depth=depth, mode=mode)
    rows = whole.reshape(-1, whole.shape[-1])
    found = np.zeros((len(rows), depth), np.float32)
    wide = np.broadcast_to(weights[0], whole.shape).reshape(rows.shape)
    np.add.at(found, (np.arange(len(rows))[:, None], rows), wide)
    return found.reshape(*whole.shape[:-1], depth)


class Discretization(OnHost):
    """The number of the interval between ``bin_boundaries`` that each value lies in; ``adapt`` finds ``num_bins``."""

    first_dtype = "float32"

    def __init__(
        self, bin_boundaries: Any = None, num_bins: int | None = None, epsilon: float = 0.01, output_mode: str = "int",
        **options: Any,
    ) -> None:  # fmt: skip
        bin_boundaries = options.pop("bins", bin_boundaries)
        options.pop("sparse", None)
        super().__init__(**options)
        if isinstance(bin_boundaries, int):
            bin_boundaries, num_bins = None, bin_boundaries
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError("Discretization takes either bin_boundaries or num_bins.")
        self.bin_boundaries = None if bin_boundaries is None else [float(b) for b in bin_boundaries]
        self.num_bins, self.epsilon = num_bins, epsilon
        self.output_mode = mode_of("Discretization", output_mode, ("int", "one_hot", "multi_hot", "count"))
        self._seen: list[Any] = []

    def reset_state(self) -> None:
        """Forget."""
        if self.num_bins is None:
            raise ValueError("Cannot adapt a Discretization layer that was given bin_boundaries.")
        self._seen = []

    def update_state(self, data: Any) -> None:
        """Keep the values."""
        self._seen.append(np.asarray(data, np.float64).reshape(-1))

    def finalize_state(self) -> None:
        """Boundaries with equally many values between them."""
        parts = np.linspace(0, 1, int(self.num_bins or 1) + 1)[1:-1]
        self.bin_boundaries = np.quantile(np.concatenate(self._seen), parts).tolist()
        self._seen = []

    def call(self, inputs: Any) -> Any:
        """Numbers of intervals."""
        if self.bin_boundaries is None:
            raise UsageError(self.name, "does not know its boundaries yet", hint="call adapt(data) first")
        shape = static_shape(inputs)
        function = functools.partial(_interval, boundaries=self.bin_boundaries)
        ids = on_host("Bucketize", None, function, [inputs], "int64", None if shape is None else tuple(shape))
        return ids if self.output_mode == "int" else encoded(ids, len(self.bin_boundaries) + 1, self.output_mode)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        known = self.bin_boundaries is not None
        return {
            **super().get_config(), "bin_boundaries": self.bin_boundaries,
            "num_bins": None if known else self.num_bins, "output_mode": self.output_mode,
        }  # fmt: skip


@writable("keras.interval")
def _interval(values: Any, *, boundaries: Any) -> Any:
    return np.searchsorted(np.asarray(boundaries, np.float64), values, side="right")


class Hashing(OnHost):
    """A number below ``num_bins`` for each string or int, by a hash."""

    def __init__(
        self, num_bins: int, mask_value: Any = None, salt: Any = None, output_mode: str = "int", **options: Any
    ) -> None:
        options.pop("sparse", None)
        super().__init__(**options)
        if num_bins is None or num_bins <= 0:
            raise ValueError(f"The `num_bins` for `Hashing` cannot be `None` or non-positive values: {num_bins}")
        self.num_bins, self.mask_value, self.salt = int(num_bins), mask_value, salt
        self.output_mode = mode_of("Hashing", output_mode, ("int", "one_hot", "multi_hot", "count"))

    def call(self, inputs: Any) -> Any:
        """Hash."""
        shape = static_shape(inputs)
        function = functools.partial(_hashes, bins=self.num_bins, mask=bytes_of(self.mask_value), salt=self.salt)
        ids = on_host("Hash", None, function, [inputs], "int64", None if shape is None else tuple(shape))
        return ids if self.output_mode == "int" else encoded(ids, self.num_bins, self.output_mode)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            **super().get_config(), "num_bins": self.num_bins, "mask_value": self.mask_value, "salt": self.salt,
            "output_mode": self.output_mode,
        }  # fmt: skip


@writable("keras.hashes")
def _hashes(values: Any, *, bins: int, mask: Any, salt: Any) -> Any:
    out = np.empty(values.shape, np.int64)
    for place, value in np.ndenumerate(values):
        key = bytes_of(value)
        if mask is None:
            out[place] = hashed(key, bins, salt)
        else:  # 0 is the mask's
            out[place] = 0 if key == mask else 1 + hashed(key, bins - 1, salt)
    return out


__all__ = ["CategoryEncoding", "Discretization", "Hashing", "IntegerLookup", "StringLookup"]
