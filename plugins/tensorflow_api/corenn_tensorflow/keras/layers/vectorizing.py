"""``TextVectorization``: texts as rows of word numbers, or as bags of words."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn_tensorflow import mode
from corenn_tensorflow.framework import eager_constant, static_shape
from corenn_tensorflow.functions.text import on_host
from corenn_tensorflow.keras.layers.lookups import Lookup, bytes_of, encode
from corenn_tensorflow.writing import writable

_PUNCTUATION = re.compile(rb"[!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']")
_STANDARDS = ("lower_and_strip_punctuation", "lower", "strip_punctuation")


@writable("keras.words_of_text")
def words_of(text: Any, *, standardize: Any, split: Any, ngrams: Any) -> list[bytes]:
    """The words of a text (and groups of them)."""
    value = bytes_of(text)
    if standardize in ("lower_and_strip_punctuation", "lower"):
        value = value.decode().lower().encode()
    if standardize in ("lower_and_strip_punctuation", "strip_punctuation"):
        value = _PUNCTUATION.sub(b"", value)
    words = [value]
    if split == "whitespace":
        words = value.split()
    elif split == "character":
        words = [c.encode() for c in value.decode()]
    return grouped(words, ngrams)


def grouped(words: list[bytes], ngrams: Any) -> list[bytes]:
    """Words in a row joined, for every number of words asked for."""
    if not ngrams:
        return words
    sizes = range(1, ngrams + 1) if isinstance(ngrams, int) else ngrams
    return [b" ".join(words[i : i + n]) for n in sizes for i in range(len(words) - n + 1)]


def _texts(array: Any) -> list[Any]:
    flat = np.asarray(array, object)
    if flat.ndim > 1 and not (flat.ndim == 2 and flat.shape[1] == 1):
        raise ValueError(f"TextVectorization takes texts [batch] or [batch, 1], got {flat.shape}")
    return list(flat.reshape(-1))


@writable("keras.text_rows")
def _rows(array: Any, *, words: Callable[[Any], list[bytes]], numbers: Callable[[Any], Any], length: Any) -> Any:
    """Numbers of the words of texts, filled up with 0."""
    listed = [numbers(np.array(words(t), object)) for t in _texts(array)]
    most = length if length is not None else max((len(r) for r in listed), default=0)
    found = np.zeros((len(listed), most), np.int64)
    for row, ids in zip(found, listed, strict=True):
        row[: len(ids)] = ids[:most]
    return found if np.ndim(array) else found[0]


@writable("keras.text_bags")
def _bags(
    array: Any, *, words: Callable[[Any], list[bytes]], numbers: Callable[[Any], Any], depth: int, mode: str,
    weights: Any,
) -> Any:  # fmt: skip
    """Rows of how often each word occurs in texts."""
    listed = [numbers(np.array(words(t), object)) for t in _texts(array)]
    found = np.stack([encode(ids, depth=depth, mode=mode, weights=weights) for ids in listed])
    return found if np.ndim(array) else found[0]


class TextVectorization(Lookup):
    """Texts [batch] (or [batch, 1]) as word numbers, 0 where a text is over and 1 for unknown words; or bags of words.

    ``standardize`` and ``split`` may be functions of a tensor of texts, as in TensorFlow; those of ``split`` give rows
    or a ragged tensor.  ``adapt`` finds the ``max_tokens`` most frequent words.
    """

    def __init__(
        self, max_tokens: int | None = None, standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace", ngrams: Any = None, output_mode: str = "int",
        output_sequence_length: int | None = None, pad_to_max_tokens: bool | None = None, vocabulary: Any = None,
        idf_weights: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        options.pop("ragged", None)
        if not callable(standardize) and standardize not in (None, *_STANDARDS):
            raise ValueError(f"standardize must be None, a function or one of {', '.join(_STANDARDS)}: {standardize!r}")
        if not callable(split) and split not in (None, "whitespace", "character"):
            raise ValueError(f"split must be None, a function, 'whitespace' or 'character': {split!r}")
        if output_mode != "int" and output_sequence_length is not None:
            raise ValueError("`output_sequence_length` must not be set if `output_mode` is not 'int'.")
        self.standardize, self.split, self.ngrams = standardize, split, ngrams
        self.output_sequence_length = output_sequence_length
        super().__init__(max_tokens, 1, "", "[UNK]", vocabulary, False, output_mode, idf_weights,
                         bool(pad_to_max_tokens), options)  # fmt: skip

    def _words_of(self) -> Callable[[Any], list[bytes]]:
        if callable(self.standardize) or callable(self.split):
            return self._by_functions
        return functools.partial(words_of, standardize=self.standardize, split=self.split, ngrams=self.ngrams)

    def _by_functions(self, text: Any) -> list[bytes]:
        with mode.eagerly():
            given = eager_constant(np.array([bytes_of(text)], object))
            if callable(self.standardize):
                given = self.standardize(given)
                own = None
            else:
                own = self.standardize
            if not callable(self.split):
                plain = given.numpy().reshape(-1)[0]
                return words_of(plain, standardize=own, split=self.split, ngrams=self.ngrams)
            if own is not None:
                plain = b"".join(words_of(given.numpy()[0], standardize=own, split=None, ngrams=None))
                given = eager_constant(np.array([plain], object))
            parts = self.split(given)
            flat = getattr(parts, "flat_values", None)
            flat = getattr(parts, "values", parts) if flat is None else flat
            return grouped([bytes_of(w) for w in np.asarray(flat.numpy()).reshape(-1)], self.ngrams)

    def update_state(self, data: Any) -> None:
        """Count words."""
        words = self._words_of()
        self.count([words(text) for text in _texts(data)])

    def call(self, inputs: Any) -> Any:
        """Numbers of words, or bags."""
        shape = static_shape(inputs)
        batch = () if shape == [] else (shape[0] if shape else None,)
        given: dict[str, Any] = {"words": self._words_of(), "numbers": self.numbers()}
        if self.output_mode == "int":
            length = self.output_sequence_length
            function: Any = functools.partial(_rows, length=length, **given)
            return on_host("TextVectorization", None, function, [inputs], "int64", (*batch, length))
        depth, weights = self.depth()
        function = functools.partial(_bags, depth=depth, mode=self.output_mode, weights=weights, **given)
        return on_host("TextVectorization", None, function, [inputs], "float32", (*batch, depth))

    def get_config(self) -> dict[str, Any]:
        """The arguments, with the vocabulary."""
        config = super().get_config()
        for name in ("num_oov_indices", "mask_token", "oov_token", "invert"):
            del config[name]
        return {
            **config, "standardize": getattr(self.standardize, "__name__", self.standardize),
            "split": getattr(self.split, "__name__", self.split), "ngrams": self.ngrams,
            "output_sequence_length": self.output_sequence_length,
        }  # fmt: skip


__all__ = ["TextVectorization"]
