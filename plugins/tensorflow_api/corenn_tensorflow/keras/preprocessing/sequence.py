"""``keras.preprocessing.sequence``."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np

from corenn_tensorflow.keras.utils import Sequence
from corenn_tensorflow.missing import guard


def pad_sequences(
    sequences: Any, maxlen: int | None = None, dtype: Any = "int32", padding: str = "pre", truncating: str = "pre",
    value: Any = 0.0,
) -> Any:  # fmt: skip
    """Sequences of one length, filled up and cut at the beginning or end."""
    for name, given in (("padding", padding), ("truncating", truncating)):
        if given not in ("pre", "post"):
            raise ValueError(f'{name.capitalize()} type "{given}" not understood')
    if not hasattr(sequences, "__len__"):
        raise ValueError("`sequences` must be iterable.")
    for one in sequences:
        if not hasattr(one, "__len__"):
            raise ValueError(f"`sequences` must be a list of iterables. Found non-iterable: {one}")
    longest = max((len(s) for s in sequences), default=0) if maxlen is None else maxlen
    sample = next((np.asarray(s).shape[1:] for s in sequences if len(s)), ())
    text = isinstance(value, str) and np.dtype(dtype) != object
    if text and np.dtype(dtype).kind not in "US":
        raise ValueError(f"`dtype` {dtype} is not compatible with `value`'s type: {type(value)}")
    out = np.full((len(sequences), longest, *sample), value, dtype=dtype)
    for row, one in zip(out, sequences, strict=True):
        if not len(one):
            continue
        cut = np.asarray(one[-longest:] if truncating == "pre" else one[:longest], dtype=dtype)
        if not longest:
            continue
        if cut.shape[1:] != sample:
            raise ValueError(f"Shape of sample {cut.shape[1:]} of sequence is different from expected shape {sample}")
        if padding == "post":
            row[: len(cut)] = cut
        else:
            row[longest - len(cut) :] = cut
    return out


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> Any:
    """Probabilities of keeping words by rank, frequent ones seldom (Zipf's law; Mikolov et al. 2013)."""
    gamma = 0.577
    rank = np.arange(size)
    rank[0] = 1
    inverse = rank * (np.log(rank) + gamma) + 0.5 - 1.0 / (12.0 * rank)
    scaled = sampling_factor * inverse
    return np.minimum(1.0, scaled / np.sqrt(scaled))


def skipgrams(
    sequence: Any, vocabulary_size: int, window_size: int = 4, negative_samples: float = 1.0, shuffle: bool = True,
    categorical: bool = False, sampling_table: Any = None, seed: int | None = None,
) -> Any:  # fmt: skip
    """Pairs of words and whether they stand near one another."""
    couples: list[Any] = []
    labels: list[Any] = []
    for i, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        for j in range(max(0, i - window_size), min(len(sequence), i + window_size + 1)):
            other = sequence[j]
            if j != i and other:
                couples.append([word, other])
                labels.append([0, 1] if categorical else 1)
    if negative_samples > 0:
        words = [c[0] for c in couples]
        random.shuffle(words)
        count = int(len(labels) * negative_samples)
        couples += [[words[i % len(words)], random.randint(1, vocabulary_size - 1)] for i in range(count)]
        labels += [[1, 0] if categorical else 0] * count
    if shuffle:
        chosen = random.randint(0, int(1e7)) if seed is None else seed
        random.Random(chosen).shuffle(couples)
        random.Random(chosen).shuffle(labels)
    return couples, labels


class TimeseriesGenerator(Sequence):
    """Batches of windows of a series and what comes after them."""

    def __init__(
        self, data: Any, targets: Any, length: int, sampling_rate: int = 1, stride: int = 1, start_index: int = 0,
        end_index: int | None = None, shuffle: bool = False, reverse: bool = False, batch_size: int = 128,
    ) -> None:  # fmt: skip
        if len(data) != len(targets):
            raise ValueError(
                "Data and targets have to be of same length. "
                f"Data length is {len(data)} while target length is {len(targets)}"
            )
        self.data, self.targets, self.length, self.sampling_rate, self.stride = (
            data,
            targets,
            length,
            sampling_rate,
            stride,
        )
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse, self.batch_size = shuffle, reverse, batch_size
        if self.start_index > self.end_index:
            raise ValueError(
                f"`start_index+length={self.start_index} > end_index={self.end_index}` is disallowed, as no "
                "part of the sequence would be left to be used as current step."
            )

    def __len__(self) -> int:
        return math.ceil((self.end_index - self.start_index + 1) / (self.batch_size * self.stride))

    def __getitem__(self, index: int) -> Any:
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            rows = np.arange(first, min(first + self.batch_size * self.stride, self.end_index + 1), self.stride)
        samples = np.array([self.data[row - self.length : row : self.sampling_rate] for row in rows])
        targets = np.array([self.targets[row] for row in rows])
        return (samples[:, ::-1, ...], targets) if self.reverse else (samples, targets)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            "data": json.dumps(np.asarray(self.data).tolist()),
            "targets": json.dumps(np.asarray(self.targets).tolist()),
            "length": self.length,
            "sampling_rate": self.sampling_rate,
            "stride": self.stride,
            "start_index": self.start_index,
            "end_index": self.end_index,
            "shuffle": self.shuffle,
            "reverse": self.reverse,
            "batch_size": self.batch_size,
        }


def timeseries_dataset_from_array(
    data: Any, targets: Any, sequence_length: int, sequence_stride: int = 1, sampling_rate: int = 1,
    batch_size: int | None = 128, shuffle: bool = False, seed: int | None = None, start_index: int | None = None,
    end_index: int | None = None,
) -> Any:  # fmt: skip
    """A ``tf.data.Dataset`` of batches of windows of ``data``, with ``targets[i]`` for the window that starts at i."""
    import corenn_tensorflow as tf
    from corenn_tensorflow.data import Dataset

    for name, value in (("sequence_length", sequence_length), ("sampling_rate", sampling_rate),
                        ("sequence_stride", sequence_stride)):  # fmt: skip
        if value <= 0:
            raise ValueError(f"`{name}` must be higher than 0. Received: {name}={value}")
    rows = np.asarray(data)
    first, last = start_index or 0, len(rows) if end_index is None else end_index
    rows, marks = rows[first:last], None if targets is None else np.asarray(targets)[first:last]
    span = (sequence_length - 1) * sampling_rate + 1
    count = len(rows) - span + 1 if marks is None else min(len(rows) - span + 1, len(marks))
    starts = np.arange(0, max(count, 0), sequence_stride)
    if shuffle:
        seed = np.random.randint(1_000_000) if seed is None else seed
        np.random.RandomState(seed).shuffle(starts)
    places = np.arange(sequence_length) * sampling_rate
    found = Dataset.from_tensor_slices(starts)
    size = batch_size or 1
    if shuffle:
        found = found.shuffle(size * 8, seed=seed)

    def windows(chosen: Any) -> Any:
        return tf.gather(rows, tf.expand_dims(chosen, -1) + places if batch_size is not None else chosen + places)

    def both(chosen: Any) -> Any:
        return windows(chosen) if marks is None else (windows(chosen), tf.gather(marks, chosen))

    return (found if batch_size is None else found.batch(batch_size)).map(both)


__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams", "timeseries_dataset_from_array"]
__getattr__ = guard(__name__)
