"""``tf.contrib.learn.preprocessing``: texts as rows of word numbers (preprocessing/text.py of 1.15)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from corenn.errors import CheckpointError
from corenn_tensorflow import missing

_WORDS = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z][a-z]+(?=[A-Z])|[\'\w\-]+", re.UNICODE)


def tokenizer(iterator: Iterable[str]) -> Iterator[list[str]]:
    """The words of each text."""
    for value in iterator:
        yield _WORDS.findall(value)


class CategoricalVocabulary:
    """Numbers of words, in the order they were met; 0 is for words that are not known."""

    def __init__(self, unknown_token: str = "<UNK>", support_reverse: bool = True) -> None:
        self._unknown, self._mapping, self._counts = unknown_token, {unknown_token: 0}, Counter[str]()
        self._words, self._frozen = [unknown_token], False

    def __len__(self) -> int:
        return len(self._mapping)

    def freeze(self, freeze: bool = True) -> None:
        """Whether new words are 0 from now on."""
        self._frozen = freeze

    def get(self, category: str) -> int:
        """The number of a word, which is added unless the vocabulary is frozen."""
        found = self._mapping.get(category)
        if found is None:
            if self._frozen:
                return 0
            found = self._mapping[category] = len(self._words)
            self._words.append(category)
        return found

    def add(self, category: str, count: int = 1) -> None:
        """Count a word."""
        if self.get(category) > 0:
            self._counts[category] += count

    def trim(self, min_frequency: int, max_frequency: int = -1) -> None:
        """Keep words by how often they were counted, the most frequent first."""
        ordered = sorted(sorted(self._counts.items()), key=lambda item: item[1], reverse=True)
        kept = [w for w, n in ordered if n > min_frequency and (max_frequency <= 0 or n < max_frequency)]
        self._words = [self._unknown, *kept]
        self._mapping = {w: i for i, w in enumerate(self._words)}
        self._counts = Counter({w: self._counts[w] for w in kept})

    def reverse(self, class_id: int) -> str:
        """The word of a number."""
        return self._words[class_id]


class VocabularyProcessor:
    """Texts as rows of ``max_document_length`` word numbers, cut off or filled up with 0."""

    def __init__(
        self, max_document_length: int, min_frequency: int = 0, vocabulary: CategoricalVocabulary | None = None,
        tokenizer_fn: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        self.max_document_length, self.min_frequency = max_document_length, min_frequency
        self.vocabulary_ = vocabulary if vocabulary is not None else CategoricalVocabulary()
        self._tokenizer = tokenizer_fn or tokenizer

    def fit(self, raw_documents: Iterable[str], unused_y: Any = None) -> VocabularyProcessor:
        """Learn the words of texts, and no more afterwards."""
        for tokens in self._tokenizer(raw_documents):
            for token in tokens:
                self.vocabulary_.add(token)
        if self.min_frequency > 0:
            self.vocabulary_.trim(self.min_frequency)
        self.vocabulary_.freeze()
        return self

    def fit_transform(self, raw_documents: Iterable[str], unused_y: Any = None) -> Iterator[Any]:
        """``fit``, and the rows."""
        documents = list(raw_documents)
        self.fit(documents)
        return self.transform(documents)

    def transform(self, raw_documents: Iterable[str]) -> Iterator[Any]:
        """The rows of texts, int64 [max_document_length] each."""
        for tokens in self._tokenizer(raw_documents):
            row = np.zeros(self.max_document_length, np.int64)
            for i, token in zip(range(self.max_document_length), tokens, strict=False):
                row[i] = self.vocabulary_.get(token)
            yield row

    def reverse(self, documents: Iterable[Any]) -> Iterator[str]:
        """The texts of rows, words parted by spaces."""
        for row in documents:
            yield " ".join(self.vocabulary_.reverse(int(n)) for n in row)

    def save(self, filename: Any) -> None:
        """Write words and settings to a file (JSON)."""
        state = {
            "format": "corenn.vocabulary", "max_document_length": int(self.max_document_length),
            "min_frequency": self.min_frequency, "words": self.vocabulary_._words,
        }  # fmt: skip
        with open(filename, "w", encoding="utf-8") as file:
            json.dump(state, file)

    @classmethod
    def restore(cls, filename: Any) -> VocabularyProcessor:
        """What ``save`` wrote; CheckpointError for anything else."""
        with open(filename, "rb") as file:
            content = file.read()
        try:
            state = json.loads(content)
            words, length, least = state["words"], int(state["max_document_length"]), int(state["min_frequency"])
        except (ValueError, KeyError, TypeError):
            raise CheckpointError(
                str(filename), "is not a vocabulary that save() wrote (TensorFlow's are pickles, which are not loaded)",
                hint="fit the processor again on the texts",
            ) from None  # fmt: skip
        vocabulary = CategoricalVocabulary(words[0])
        for word in words[1:]:
            vocabulary.get(word)
        vocabulary.freeze()
        return cls(length, least, vocabulary)


__getattr__ = missing.guard(__name__)

__all__ = ["CategoricalVocabulary", "VocabularyProcessor", "tokenizer"]
