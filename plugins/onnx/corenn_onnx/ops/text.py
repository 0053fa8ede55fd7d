"""Text: ops on arrays of strings, which are on the host."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn_onnx.table import onnx_op
from corenn_onnx.values import as_text

Host = np.ndarray[Any, Any]


@onnx_op("StringNormalizer", host=("x",))
def string_normalizer(
    x: Host, *, case_change_action: str = "NONE", is_case_sensitive: int = 0, locale: str = "", stopwords: Any = ()
) -> Any:
    """Words without those to be left out, in upper or lower case."""
    changes: dict[str, Callable[[str], str]] = {"UPPER": str.upper, "LOWER": str.lower, "NONE": str}
    change = changes[case_change_action]
    compare = str if is_case_sensitive else str.casefold
    left_out = {compare(word) for word in stopwords}
    words = [change(w) for w in x.reshape(-1) if compare(w) not in left_out]
    found = as_text(np.array(words or [""], object))
    return found.reshape(1, -1) if x.ndim == 2 else found


@onnx_op("StringConcat", host=("x", "y"))
def string_concat(x: Host, y: Host) -> Any:
    """Texts joined, broadcast."""
    return as_text(np.asarray(x, object) + np.asarray(y, object))


@onnx_op("StringSplit", host=("x",))
def string_split(x: Host, *, delimiter: str = "", maxsplit: int | None = None) -> Any:
    """The parts of each text along a new last axis, filled up with empty ones; and how many there are."""
    most = -1 if maxsplit is None else maxsplit
    parts = [text.split(delimiter or None, most) for text in x.reshape(-1)]
    longest = max((len(p) for p in parts), default=0)
    table = np.array([[*p, *[""] * (longest - len(p))] for p in parts], object)
    counts = np.array([len(p) for p in parts], np.int64).reshape(x.shape)
    return as_text(table.reshape(*x.shape, longest)), counts


@onnx_op("RegexFullMatch", host=("x",))
def regex_full_match(x: Host, *, pattern: str) -> Any:
    """Whether a pattern matches the whole of each text."""
    matches = re.compile(pattern).fullmatch
    return np.array([matches(t) is not None for t in x.reshape(-1)], bool).reshape(x.shape)


@onnx_op("TfIdfVectorizer", host=("x",))
def tf_idf_vectorizer(
    x: Host, *, max_gram_length: int, max_skip_count: int, min_gram_length: int, mode: str, ngram_counts: Any,
    ngram_indexes: Any, pool_int64s: Any = None, pool_strings: Any = None, weights: Any = None,
) -> Any:  # fmt: skip
    """How often each n-gram of a pool occurs in a row, with up to so many elements skipped in between."""
    pool = list(pool_strings if pool_strings is not None else pool_int64s or ())
    places: dict[tuple[Any, ...], int] = {}
    for size, first in enumerate(ngram_counts, 1):
        last = ngram_counts[size] if size < len(ngram_counts) else len(pool)
        for start in range(first, last, size):
            places[tuple(pool[start : start + size])] = len(places)
    count = max(ngram_indexes) + 1
    rows = x.reshape(1, -1) if x.ndim < 2 else x
    found = np.zeros((len(rows), count), np.float32)
    for row, line in enumerate(rows.tolist()):
        for size in range(min_gram_length, max_gram_length + 1):
            for step in range(1, (max_skip_count if size > 1 else 0) + 2):
                for start in range(len(line) - (size - 1) * step):
                    place = places.get(tuple(line[start : start + size * step : step]))
                    if place is not None:
                        found[row, ngram_indexes[place]] += 1
    scale = np.ones(count, np.float32)
    if weights is not None:
        scale[list(ngram_indexes)] = weights
    if mode == "IDF":
        found = (found > 0) * scale
    elif mode == "TFIDF":
        found = found * scale
    return found.astype(np.float32).reshape(count) if x.ndim < 2 else found.astype(np.float32)
