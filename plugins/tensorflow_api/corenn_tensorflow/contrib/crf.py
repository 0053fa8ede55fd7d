"""``tf.contrib.crf``: linear-chain conditional random fields.

Lafferty, McCallum, Pereira 2001, "Conditional Random Fields"; decoding by Viterbi 1967.  Tag scores are [batch, time,
tags], transitions [tags, tags] (from, to); positions from ``sequence_lengths`` on do not count.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import corenn
from corenn_tensorflow import missing, mode
from corenn_tensorflow.framework import convert_to_tensor, static_shape
from corenn_tensorflow.functions.arrays import shape
from corenn_tensorflow.functions.creating import sequence_mask
from corenn_tensorflow.functions.gathering import gather
from corenn_tensorflow.functions.loops import scan
from corenn_tensorflow.functions.text import on_host
from corenn_tensorflow.scopes import get_variable
from corenn_tensorflow.writing import writable


def _mask(lengths: Any, inputs: Any) -> Any:
    return sequence_mask(lengths, shape(inputs)[1], dtype=inputs.dtype)


def crf_unary_score(tag_indices: Any, sequence_lengths: Any, inputs: Any) -> Any:
    """The sum of the scores of the tags given, [batch]."""
    scores, tags = convert_to_tensor(inputs), convert_to_tensor(tag_indices)
    with mode.scope(None, "crf_unary_score", scores, tags, sequence_lengths):
        places = corenn.expand_dims(corenn.cast(tags, dtype="int64"), axis=-1)
        chosen = corenn.squeeze(corenn.take_along_axis(scores, places, axis=-1), axis=-1)
        return corenn.sum(chosen * _mask(sequence_lengths, scores), axis=1)


def crf_binary_score(tag_indices: Any, sequence_lengths: Any, transition_params: Any) -> Any:
    """The sum of the scores of the transitions between the tags given, [batch]."""
    tags, moves = corenn.cast(convert_to_tensor(tag_indices), dtype="int64"), convert_to_tensor(transition_params)
    with mode.scope(None, "crf_binary_score", tags, moves, sequence_lengths):
        count = (static_shape(moves) or [None])[0] or shape(moves, out_type="int64")[0]
        flat = tags[:, :-1] * count + tags[:, 1:]
        scores = gather(corenn.reshape(moves, shape=(-1,)), flat)
        mask = sequence_mask(sequence_lengths, shape(tags)[1], dtype=moves.dtype)
        return corenn.sum(scores * mask[:, 1:], axis=1)


def crf_sequence_score(inputs: Any, tag_indices: Any, sequence_lengths: Any, transition_params: Any) -> Any:
    """The scores of the tag sequences, not normalised, [batch]."""
    unary = crf_unary_score(tag_indices, sequence_lengths, inputs)
    return unary + crf_binary_score(tag_indices, sequence_lengths, transition_params)


def crf_log_norm(inputs: Any, sequence_lengths: Any, transition_params: Any) -> Any:
    """The logarithm of the sum of exp(score) over all tag sequences, [batch]: the forward algorithm."""
    scores, moves = convert_to_tensor(inputs), convert_to_tensor(transition_params)
    lengths = convert_to_tensor(sequence_lengths)
    with mode.scope(None, "crf_log_norm", scores, moves, lengths):
        steps = corenn.transpose(scores, axes=(1, 0, 2))
        within = corenn.transpose(_mask(lengths, scores), axes=(1, 0))
        first = steps[0]
        if (static_shape(scores) or [None, None])[1] == 1:
            found = first
        else:
            ended = scan(
                functools.partial(_forward, moves), (steps[1:], corenn.expand_dims(within[1:], axis=-1)), first
            )
            found = corenn.concatenate(corenn.expand_dims(first, axis=0), ended, axis=0)[-1]
        norm = corenn.logsumexp(found, axis=1)
        return norm * corenn.cast(corenn.greater(lengths, 0), dtype=norm.dtype)


def _forward(moves: Any, alphas: Any, row: Any) -> Any:
    scores, counts = row
    new = scores + corenn.logsumexp(corenn.expand_dims(alphas, axis=2) + corenn.expand_dims(moves, axis=0), axis=1)
    return alphas + counts * (new - alphas)


def crf_log_likelihood(
    inputs: Any, tag_indices: Any, sequence_lengths: Any, transition_params: Any = None
) -> tuple[Any, Any]:
    """The log-likelihood of the tag sequences, [batch], and the transitions: by default, a variable."""
    scores = convert_to_tensor(inputs)
    if transition_params is None:
        tags = (static_shape(scores) or [None])[-1]
        transition_params = get_variable("transitions", [tags, tags])
    score = crf_sequence_score(scores, tag_indices, sequence_lengths, transition_params)
    return score - crf_log_norm(scores, sequence_lengths, transition_params), transition_params


def viterbi_decode(score: Any, transition_params: Any) -> tuple[list[int], Any]:
    """The best tag sequence of scores [time, tags] on the host, and its score."""
    scores, moves = np.asarray(score), np.asarray(transition_params)
    best, back = scores[0], []
    for row in scores[1:]:
        ways = best[:, None] + moves
        back.append(ways.argmax(axis=0))
        best = row + ways.max(axis=0)
    path = [int(best.argmax())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    return path[::-1], best.max()


@writable("crf.best_tags")
def _best_tags(scores: Any, moves: Any, lengths: Any) -> Any:
    tags = np.zeros(scores.shape[:2], np.int32)
    for i, n in enumerate(np.maximum(lengths, 0)):
        if n:
            tags[i, :n] = viterbi_decode(scores[i, :n], moves)[0]
    return tags


@writable("crf.best_scores")
def _best_scores(scores: Any, moves: Any, lengths: Any) -> Any:
    return np.array([
        viterbi_decode(s[:n], moves)[1] if n else 0.0 for s, n in zip(scores, np.maximum(lengths, 0), strict=True)
    ], scores.dtype)  # fmt: skip


def crf_decode(potentials: Any, transition_params: Any, sequence_length: Any) -> tuple[Any, Any]:
    """The best tag sequences, int32 [batch, time] with zeros behind their ends, and their scores [batch]."""
    scores, moves = convert_to_tensor(potentials), convert_to_tensor(transition_params)
    lengths = convert_to_tensor(sequence_length)
    known = static_shape(scores) or [None, None, None]
    inputs = [scores, moves, lengths]
    tags = on_host("CrfDecode", "crf_decode", _best_tags, inputs, "int32", tuple(known[:2]))
    best = on_host("CrfDecodeScore", "crf_decode_score", _best_scores, inputs, scores.dtype, (known[0],))
    return tags, best


__getattr__ = missing.guard(__name__)

__all__ = [
    "crf_binary_score", "crf_decode", "crf_log_likelihood", "crf_log_norm", "crf_sequence_score", "crf_unary_score",
    "viterbi_decode",
]  # fmt: skip
