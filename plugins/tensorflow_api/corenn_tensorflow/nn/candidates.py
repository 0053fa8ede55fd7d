"""Candidate sampling: the samplers, ``nce_loss`` and ``sampled_softmax_loss``.

Samplers draw on the host: their work depends on what was drawn before (a class is taken once), and they are small
beside what the classes that are *not* drawn save.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from corenn.dtypes import float32, int32, int64
from corenn.errors import UsageError
from corenn.graph.kinds import HostCallKind
from corenn.ops.contraction import matmul
from corenn.ops.creation import asarray
from corenn.ops.creation import tensor as make
from corenn.ops.elementwise import add, cast, multiply, stop_gradient, subtract
from corenn.ops.logic import equal
from corenn.ops.random import default_generator
from corenn.ops.random import key as key_of
from corenn.ops.reduction import any as any_over
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import concatenate, reshape
from corenn.ops.softmax import sigmoid_cross_entropy, softmax_cross_entropy
from corenn.ops.transcendental import log
from corenn.tensor import Tensor
from corenn_tensorflow.mode import by_generation, graph_for, scope
from corenn_tensorflow.nn.embedding import lookup
from corenn_tensorflow.operands import extents, filled_like, like, tensor
from corenn_tensorflow.writing import writable

Array = np.ndarray[Any, Any]


class Candidates(NamedTuple):
    """What a sampler returns: classes int64 [num_sampled], and how often the true ones [batch, num_true] and the
    sampled ones are expected among so many draws."""

    sampled_candidates: Tensor
    true_expected_count: Tensor
    sampled_expected_count: Tensor


class _Distribution:
    """Classes 0 to ``count - 1`` with probabilities; ``draw(generator, n)`` and ``probability(classes)``."""

    #: Whether what it draws depends on the batches before.
    learned = False
    kind = "uniform"

    def __init__(self, count: int) -> None:
        self.count = count

    def described(self) -> dict[str, Any]:
        """What ``_sampled`` makes it from again."""
        return {"kind": self.kind, "count": self.count, "weights": None}

    def draw(self, generator: np.random.Generator, n: int) -> Array:
        """``n`` classes."""
        return generator.integers(0, self.count, n)

    def probability(self, classes: Array) -> Array:
        """The chance of each in one draw."""
        return np.full(classes.shape, 1.0 / self.count)

    def learn(self, true_classes: Array) -> None:
        """What the batch tells of the distribution."""


class _LogUniform(_Distribution):
    """``log((class + 2) / (class + 1)) / log(count + 1)``: Zipf's law, classes in order of frequency."""

    kind = "log_uniform"

    def draw(self, generator: np.random.Generator, n: int) -> Array:
        found = np.exp(generator.random(n) * np.log(self.count + 1)).astype(np.int64) - 1
        return np.minimum(found, self.count - 1)

    def probability(self, classes: Array) -> Array:
        return np.log((classes + 2.0) / (classes + 1.0)) / np.log(self.count + 1)


class _Unigram(_Distribution):
    """Given weights; ``learned`` ones count the true classes seen."""

    def __init__(self, weights: Array, learned: bool = False) -> None:
        super().__init__(len(weights))
        self.weights, self.learned = np.array(weights, np.float64), learned
        self._cumulative: Array | None = None

    def described(self) -> dict[str, Any]:
        return {**super().described(), "kind": "unigram", "weights": self.weights}

    def _sums(self) -> Array:
        if self._cumulative is None:
            self._cumulative = np.cumsum(self.weights)
        return self._cumulative

    def draw(self, generator: np.random.Generator, n: int) -> Array:
        sums = self._sums()
        found = np.searchsorted(sums, generator.random(n) * sums[-1], side="right")
        return np.minimum(found, self.count - 1).astype(np.int64)

    def probability(self, classes: Array) -> Array:
        return self.weights[classes] / self._sums()[-1]

    def learn(self, true_classes: Array) -> None:
        if self.learned:
            np.add.at(self.weights, true_classes.ravel(), 1.0)
            self._cumulative = None


def _draws(distribution: _Distribution, generator: np.random.Generator, wanted: int, unique: bool) -> tuple[Array, int]:
    """The classes, and how many draws it took."""
    if not unique:
        return distribution.draw(generator, wanted), wanted
    chosen: dict[int, None] = {}
    tries = 0
    while len(chosen) < wanted:
        for found in distribution.draw(generator, 2 * wanted).tolist():
            tries += 1
            chosen.setdefault(found)
            if len(chosen) == wanted:
                break
    return np.fromiter(chosen, np.int64, wanted), tries


def _expected(probability: Array, wanted: int, tries: int) -> Array:
    """How often a class occurs: ``p n``, or the chance to be among the distinct ones after ``tries`` draws."""
    if tries == wanted:
        return (probability * wanted).astype(np.float32)
    return (-np.expm1(tries * np.log1p(-probability))).astype(np.float32)


def _sampled_learning(
    classes: Array, words: Array, *, distribution: _Distribution, wanted: int, unique: bool
) -> list[Array]:
    """What ``Candidates`` has, drawn with the random key ``words``."""
    number, stream, offset = (int(w) for w in words)
    generator = np.random.Generator(np.random.Philox(key=[number, stream], counter=offset << 64))
    found, tries = _draws(distribution, generator, wanted, unique)
    results = [
        found, _expected(distribution.probability(classes), wanted, tries),
        _expected(distribution.probability(found), wanted, tries),
    ]  # fmt: skip
    distribution.learn(classes)
    return results


@writable("nn.sample_candidates")
def _sampled(
    classes: Array, words: Array, *, kind: str, count: int, weights: Array | None, wanted: int, unique: bool
) -> list[Array]:
    distribution = _KINDS[kind](count) if weights is None else _Unigram(weights)
    return _sampled_learning(classes, words, distribution=distribution, wanted=wanted, unique=unique)


_KINDS = {"uniform": _Distribution, "log_uniform": _LogUniform}


def _sampler(
    type_name: str, distribution: _Distribution, true_classes: Any, num_sampled: int, unique: bool, seed: int | None,
    name: str | None,
) -> Candidates:  # fmt: skip
    wanted = int(num_sampled)
    if unique and wanted > distribution.count:
        raise UsageError(
            type_name, f"Sampler's range is too small: {wanted} distinct classes of {distribution.count}",
            hint="num_sampled must be at most range_max, or unique=False",
        )  # fmt: skip

    if distribution.learned:  # what it learned is in the process: such a graph cannot be written to a file
        sample = functools.partial(_sampled_learning, distribution=distribution, wanted=wanted, unique=unique)
    else:
        sample = functools.partial(_sampled, **distribution.described(), wanted=wanted, unique=unique)
    graph = graph_for(true_classes)
    if graph is None:
        words = key_of(seed) if seed is not None else default_generator().next_key()
        return Candidates(*[make(a) for a in sample(asarray(true_classes).numpy().astype(np.int64), words.numpy())])
    with graph.as_default():
        given = cast(graph.convert(true_classes), dtype=int64)
        kind = HostCallKind(sample, pure=not distribution.learned, type_name=type_name)
        results = [((wanted,), int64), (extents(given), float32), ((wanted,), float32)]
        return Candidates(*graph.add(kind, [given, graph.random_key(seed)], results, name=name).outputs)


def log_uniform_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None = None,
    name: str | None = None,
) -> Candidates:  # fmt: skip
    """Classes by Zipf's law: ``P(class) = log((class + 2) / (class + 1)) / log(range_max + 1)``."""
    return _sampler(
        "LogUniformCandidateSampler", _LogUniform(int(range_max)), true_classes, num_sampled, unique, seed, name
    )


def uniform_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None = None,
    name: str | None = None,
) -> Candidates:  # fmt: skip
    """Classes that are all equally likely."""
    return _sampler(
        "UniformCandidateSampler", _Distribution(int(range_max)), true_classes, num_sampled, unique, seed, name
    )


def learned_unigram_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None = None,
    name: str | None = None,
) -> Candidates:  # fmt: skip
    """Classes by how often they have been true so far; each begins with a count of 1."""
    learned = _Unigram(np.ones(int(range_max)), learned=True)
    return _sampler("LearnedUnigramCandidateSampler", learned, true_classes, num_sampled, unique, seed, name)


def fixed_unigram_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, vocab_file: str = "",
    distortion: float = 1.0, num_reserved_ids: int = 0, num_shards: int = 1, shard: int = 0,
    unigrams: Sequence[float] = (), seed: int | None = None, name: str | None = None,
) -> Candidates:  # fmt: skip
    """Classes by given frequencies (``unigrams``, or the last column of a CSV file) to the power ``distortion``."""
    listed = list(unigrams)
    if vocab_file:
        with open(vocab_file, newline="", encoding="utf-8") as file:
            listed = [float(row[-1]) for row in csv.reader(file) if row]
    weights = np.concatenate([np.zeros(num_reserved_ids), np.asarray(listed, np.float64) ** distortion])
    if len(weights) != range_max:
        raise UsageError("fixed_unigram_candidate_sampler", f"{len(weights)} frequencies for {range_max} classes",
                         hint="range_max must be num_reserved_ids and one for each unigram")  # fmt: skip
    if num_shards > 1:
        weights = np.where(np.arange(len(weights)) % num_shards == shard, weights, 0.0)
    return _sampler("FixedUnigramCandidateSampler", _Unigram(weights), true_classes, num_sampled, unique, seed, name)


def all_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, seed: int | None = None, name: str | None = None
) -> Candidates:
    """Every class, once: for trying what sampling approximates."""
    with scope(name, "AllCandidateSampler", true_classes):
        given = tensor(true_classes)
        every = tensor(np.arange(int(num_sampled)), "int64", given)
        return Candidates(every, filled_like(given, 1.0, "float32"), filled_like(every, 1.0, "float32"))


@writable("nn.compute_accidental_hits")
def _hits(classes: Array, sampled: Array) -> list[Array]:
    lowest = float(np.finfo(np.float32).min)
    rows, places = np.nonzero((classes[:, :, None] == sampled[None, None, :]).any(axis=1))
    return [rows.astype(np.int32), places.astype(np.int64), np.full(len(rows), lowest, np.float32)]


def compute_accidental_hits(
    true_classes: Any, sampled_candidates: Any, num_true: int, seed: int | None = None, name: str | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Where sampled classes are true ones: rows of the batch, places among candidates, and weights of -FLOAT_MAX."""
    graph = graph_for(true_classes, sampled_candidates)
    if graph is None:
        return tuple(make(a) for a in _hits(asarray(true_classes).numpy(), asarray(sampled_candidates).numpy()))  # type: ignore[return-value]
    with graph.as_default():
        operands = [graph.convert(true_classes), graph.convert(sampled_candidates)]
        kind = HostCallKind(_hits, pure=True, type_name="ComputeAccidentalHits")
        results = [((None,), int32), ((None,), int64), ((None,), float32)]
        return graph.add(kind, operands, results, name=name).outputs  # type: ignore[return-value]


# ---------------------------------------------------------------- losses


def _sampled_logits(
    weights: Any, biases: Any, labels: Any, inputs: Any, num_sampled: int, num_classes: int, num_true: int,
    sampled_values: Any, subtract_log_q: bool, remove_accidental_hits: bool, strategy: str, seed: int | None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Scores of the true and the sampled classes side by side [batch, num_true + num_sampled], and their labels."""
    features = tensor(inputs, None, labels)
    classes = cast(tensor(labels, None, features), dtype=int64)
    if (extents(classes) or (None, None))[-1] != num_true or len(extents(classes) or (0, 0)) == 1:
        classes = reshape(classes, shape=(-1, num_true))
    if sampled_values is None:
        sampled_values = log_uniform_candidate_sampler(classes, num_true, num_sampled, True, num_classes, seed)
    sampled, true_count, sampled_count = (stop_gradient(like(v, tensor(v))) for v in sampled_values)
    sampled = cast(sampled, dtype=int64)
    width = (extents(features) or (None,))[-1]
    flat = reshape(classes, shape=(-1,))
    true_rows = reshape(lookup(weights, flat, strategy, None, None), shape=(-1, num_true, width))
    true_bias = reshape(lookup(biases, flat, strategy, None, None), shape=(-1, num_true))
    spread = reshape(features, shape=(-1, 1, width))
    true_logits = add(sum_over(multiply(spread, true_rows), axis=2), true_bias)
    sampled_rows = lookup(weights, sampled, strategy, None, None)
    sampled_bias = lookup(biases, sampled, strategy, None, None)
    sampled_logits = add(matmul(features, sampled_rows, transpose_b=True), sampled_bias)
    if remove_accidental_hits:
        same = equal(reshape(classes, shape=(-1, num_true, 1)), reshape(sampled, shape=(1, 1, -1)))
        hits = cast(any_over(same, axis=1), dtype=sampled_logits.dtype)
        sampled_logits = add(sampled_logits, multiply(hits, float(np.finfo(np.float32).min)))
    if subtract_log_q:
        true_logits = subtract(true_logits, log(like(true_count, true_logits)))
        sampled_logits = subtract(sampled_logits, log(like(sampled_count, sampled_logits)))
    targets = concatenate(filled_like(true_logits, 1.0 / num_true), filled_like(sampled_logits, 0.0), axis=1)
    return concatenate(true_logits, sampled_logits, axis=1), targets


def _nce_v1(
    weights: Any, biases: Any, labels: Any, inputs: Any, num_sampled: Any, num_classes: int, num_true: int = 1,
    sampled_values: Any = None, remove_accidental_hits: bool = False, partition_strategy: str = "mod",
    name: str = "nce_loss",
) -> Tensor:  # fmt: skip
    """Noise-contrastive estimation (Gutmann & Hyvarinen 2010): one loss for each example.

    ``weights`` [classes, dim], ``biases`` [classes], ``labels`` int64 [batch, num_true], ``inputs`` [batch, dim].
    """
    labels, inputs = _in_order(labels, inputs)
    with scope(name, "nce_loss", weights, biases, labels, inputs):
        logits, targets = _sampled_logits(
            weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, True,
            remove_accidental_hits, partition_strategy, None,
        )  # fmt: skip
        return sum_over(sigmoid_cross_entropy(targets, logits), axis=1)


def _in_order(labels: Any, inputs: Any) -> tuple[Any, Any]:
    """Labels and inputs: 0.x took the inputs first, which shows in their dtypes."""
    kinds = [getattr(getattr(v, "dtype", None), "is_floating", None) for v in (labels, inputs)]
    return (inputs, labels) if kinds == [True, False] else (labels, inputs)


def _nce_v2(
    weights: Any, biases: Any, labels: Any, inputs: Any, num_sampled: Any, num_classes: int, num_true: int = 1,
    sampled_values: Any = None, remove_accidental_hits: bool = False, name: str = "nce_loss",
) -> Tensor:  # fmt: skip
    """Noise-contrastive estimation, see generation 1; tables in parts hold consecutive rows."""
    return _nce_v1(
        weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, remove_accidental_hits,
        "div", name,
    )  # fmt: skip


def _softmax_v1(
    weights: Any, biases: Any, labels: Any, inputs: Any, num_sampled: Any, num_classes: int, num_true: int = 1,
    sampled_values: Any = None, remove_accidental_hits: bool = True, partition_strategy: str = "mod",
    name: str = "sampled_softmax_loss", seed: int | None = None,
) -> Tensor:  # fmt: skip
    """The softmax over true and some sampled classes (Jean et al. 2014): one loss for each example; for training."""
    labels, inputs = _in_order(labels, inputs)
    with scope(name, "sampled_softmax_loss", weights, biases, labels, inputs):
        logits, targets = _sampled_logits(
            weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, True,
            remove_accidental_hits, partition_strategy, seed,
        )  # fmt: skip
        return softmax_cross_entropy(stop_gradient(targets), logits)


def _softmax_v2(
    weights: Any, biases: Any, labels: Any, inputs: Any, num_sampled: Any, num_classes: int, num_true: int = 1,
    sampled_values: Any = None, remove_accidental_hits: bool = True, seed: int | None = None,
    name: str = "sampled_softmax_loss",
) -> Tensor:  # fmt: skip
    """The softmax over the true and some sampled classes, see generation 1; tables in parts hold consecutive rows."""
    return _softmax_v1(
        weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, remove_accidental_hits,
        "div", name, seed,
    )  # fmt: skip


nce_loss = by_generation(_nce_v1, _nce_v2)
sampled_softmax_loss = by_generation(_softmax_v1, _softmax_v2)

__all__ = [
    "Candidates", "all_candidate_sampler", "compute_accidental_hits", "fixed_unigram_candidate_sampler",
    "learned_unigram_candidate_sampler", "log_uniform_candidate_sampler", "nce_loss", "sampled_softmax_loss",
    "uniform_candidate_sampler",
]  # fmt: skip
