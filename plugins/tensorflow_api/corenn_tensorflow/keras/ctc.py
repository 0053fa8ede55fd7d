"""``keras.backend``'s functions for connectionist temporal classification: classes last, the last class the blank."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from corenn.ops.elementwise import add, cast
from corenn.ops.shaping import reshape, transpose
from corenn.ops.transcendental import log
from corenn_tensorflow import mode
from corenn_tensorflow.functions.hosting import on_host_many
from corenn_tensorflow.nn import ctc
from corenn_tensorflow.nn.ctc_decoding import _beam_search, _greedy
from corenn_tensorflow.operands import extents, tensor
from corenn_tensorflow.sparse import SparseTensor
from corenn_tensorflow.writing import writable


def _scores(y_pred: Any) -> Any:
    from corenn_tensorflow.keras import backend

    given = tensor(y_pred)
    return transpose(log(add(given, backend.epsilon())), axes=(1, 0, 2))


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """The loss of each example, [batch, 1].

    ``y_true`` [batch, most labels], ``y_pred`` [batch, time, classes] probabilities; the lengths are [batch, 1].
    """
    with mode.scope(None, "ctc_batch_cost", y_true, y_pred, input_length, label_length):
        lengths, sizes = (
            cast(reshape(tensor(n, None, y_pred), shape=(-1,)), dtype="int32") for n in (input_length, label_length)
        )
        labels = cast(tensor(y_true, None, y_pred), dtype="int32")
        return reshape(ctc.losses(_scores(y_pred), labels, sizes, lengths, -1), shape=(-1, 1))


@writable("keras.ctc_decoded")
def _decoded(scores: Any, lengths: Any, *, greedy: bool, width: int, paths: int) -> Any:
    steps, batch, _ = scores.shape
    if greedy:
        *sparse, score = _greedy(scores, lengths, merge=True, blank=-1)
    else:
        *sparse, score = _beam_search(scores, lengths, width=width, paths=paths, merge=True)
    found = []
    for k in range(0, len(sparse), 3):
        dense = np.full((batch, steps), -1, np.int64)
        dense[tuple(sparse[k].T)] = sparse[k + 1]
        found.append(dense)
    return [*found, score]


def ctc_decode(
    y_pred: Any, input_length: Any, greedy: bool = True, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[Any], Any]:
    """The best labels of each example, int64 [batch, time] filled up with -1, and their scores.

    ``greedy``: one matrix, and minus the sum of the logs chosen; else the ``top_paths`` best by beam search, best
    first, without repeated labels, and the logs of their probabilities.  ``y_pred``: probabilities [batch, time,
    classes].
    """
    with mode.scope(None, "ctc_decode", y_pred, input_length):
        scores = _scores(y_pred)
        steps, batch, _ = extents(scores) or (None, None, None)
        lengths = cast(reshape(tensor(input_length, None, scores), shape=(-1,)), dtype="int32")
        count = 1 if greedy else int(top_paths)
        function = functools.partial(_decoded, greedy=bool(greedy), width=int(beam_width), paths=count)
        results = [*[((batch, steps), "int64")] * count, ((batch, count), scores.dtype)]
        *found, score = on_host_many("CTCDecode", None, function, [scores, lengths], results)
        return list(found), score


@writable("keras.ctc_sparse")
def _sparse(labels: Any, lengths: Any) -> Any:
    places = [(i, j) for i, n in enumerate(lengths.reshape(-1)) for j in range(int(n))]
    indices = np.array(places, np.int64).reshape(-1, 2)
    return [indices, labels[tuple(indices.T)], np.array(labels.shape, np.int64)]


def ctc_label_dense_to_sparse(labels: Any, label_lengths: Any) -> SparseTensor:
    """The first ``label_lengths`` [batch] labels of each row of a matrix, as a sparse matrix of its shape."""
    given = tensor(labels, None, label_lengths)
    results = [((None, 2), "int64"), ((None,), given.dtype), ((2,), "int64")]
    return SparseTensor(*on_host_many("CTCSparse", None, _sparse, [given, label_lengths], results))


__all__ = ["ctc_batch_cost", "ctc_decode", "ctc_label_dense_to_sparse"]
