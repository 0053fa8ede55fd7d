"""Connectionist temporal classification (Graves et al. 2006): the loss.

The labels of an example, with a blank between any two and at both ends, are the states of a chain; ``alpha[t, s]`` is
the log of the probability of being in state ``s`` after ``t`` steps.  The recursion is written in ops, so that its
gradient is theirs.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from corenn.ops.arranging import pad
from corenn.ops.creation import arange, asarray, full
from corenn.ops.elementwise import add, cast, clip, multiply, negative, where
from corenn.ops.gathering import take_along_axis
from corenn.ops.logic import equal, greater, less, logical_and, not_equal
from corenn.ops.reduction import logsumexp
from corenn.ops.shaping import broadcast_to, concatenate, reshape, stack, transpose, unstack
from corenn.ops.softmax import log_softmax
from corenn.tensor import Tensor
from corenn_tensorflow import errors
from corenn_tensorflow.functions.calling import composite
from corenn_tensorflow.functions.hosting import on_host_many
from corenn_tensorflow.mode import by_generation, scope
from corenn_tensorflow.operands import extents, tensor
from corenn_tensorflow.sparse import SparseTensor
from corenn_tensorflow.writing import writable

#: The log of a probability of nothing; infinities would make gradients that are not numbers.
_NEVER = -1e30


@writable("nn.ctc_losses")
def losses_of(
    logits: Tensor, labels: Tensor, label_lengths: Tensor, lengths: Tensor, *, blank: int, merge: bool = True
) -> Tensor:
    """The negative log likelihood of each example, [batch]; infinite where no path gives the labels.

    ``logits`` [time, batch, classes], of which ``lengths`` [batch] steps count; ``labels`` [batch, most], of which
    ``label_lengths`` [batch] count.  ``merge``: a label that is repeated without a blank between is one label.
    """
    steps, batch, classes = logits.spec.static
    most = labels.spec.static[1]
    count = 2 * most + 1
    blank %= classes
    given = clip(cast(labels, dtype="int64"), min=0, max=classes - 1)
    blanks = full((batch, most), blank, "int64")
    chain = reshape(stack([blanks, given], axis=2), shape=(batch, 2 * most))
    chain = concatenate(chain, full((batch, 1), blank, "int64"), axis=1)  # [batch, states]
    places = broadcast_to(reshape(chain, shape=(1, batch, count)), shape=(steps, batch, count))
    emitted = unstack(take_along_axis(log_softmax(logits, axis=-1), places, axis=2))
    number = reshape(arange(count, dtype="int64"), shape=(1, -1))
    labelled = equal(number % 2, 1)
    before = concatenate(full((batch, min(2, count)), blank, "int64"), chain[:, : max(count - 2, 0)], axis=1)
    skips = logical_and(labelled, not_equal(chain, before)) if merge else labelled
    skip = where(logical_and(skips, greater(number, 1)), 0.0, _NEVER)
    skip = cast(broadcast_to(skip, shape=(batch, count)), dtype=logits.dtype)
    never = full((batch, count), _NEVER, logits.dtype)
    alpha = where(less(number, 2), emitted[0], never)
    running = unstack(less(reshape(arange(steps, dtype="int64"), shape=(-1, 1, 1)),
                           reshape(cast(lengths, dtype="int64"), shape=(1, -1, 1))))  # fmt: skip
    for step in range(1, steps):
        wide = pad(alpha, widths=((0, 0), (2, 0)), value=_NEVER)
        stay = alpha if merge else where(labelled, never, alpha)
        ways = [stay, wide[:, 1:-1], add(wide[:, :-2], skip)]
        alpha = where(running[step], add(logsumexp(stack(ways), axis=0), emitted[step]), alpha)
    last = reshape(multiply(cast(label_lengths, dtype="int64"), 2), shape=(-1, 1))
    end = take_along_axis(alpha, last, axis=1)
    ahead = take_along_axis(alpha, clip(last - 1, min=0), axis=1)
    ahead = where(greater(last, 0), ahead, _NEVER)
    total = logsumexp(concatenate(end, ahead, axis=1), axis=1)
    # An example of no steps gives no labels for certain.
    idle = equal(cast(lengths, dtype="int64"), 0)
    total = where(idle, where(equal(label_lengths, 0), 0.0, _NEVER), total)
    found = negative(total)
    return where(greater(found, -_NEVER / 2), float("inf"), found)


@writable("nn.ctc_dense_labels")
def _dense_labels(
    indices: Any, values: Any, shape: Any, lengths: Any, *, batch: int | None, classes: int | None, collapse: bool,
    longer: bool,
) -> Any:  # fmt: skip
    """Rows of labels and their lengths, of a sparse matrix; InvalidArgumentError for labels that cannot be."""
    count = len(lengths)
    if batch is not None and int(shape[0]) not in (0, batch):
        raise _invalid(f"len(sequence_length) != batch_size.  labels have {int(shape[0])} rows, the logits {batch}")
    if classes is not None and values.size and (values.max() >= classes or values.min() < 0):
        raise _invalid(f"Saw a label outside of the {classes} classes: {int(values.min())} to {int(values.max())}")
    rows: list[list[int]] = [[] for _ in range(count)]
    for (row, _), value in zip(indices, values, strict=True):
        if not (collapse and rows[row] and rows[row][-1] == value):
            rows[row].append(int(value))
    sizes = np.array([len(r) for r in rows], np.int32)
    short = [i for i, n in enumerate(lengths) if n < sizes[i]]
    if short and not longer:
        i = short[0]
        raise _invalid(
            f"Not enough time for target transition sequence (required: {sizes[i]}, available: {int(lengths[i])}) "
            f"in example {i}: pass ignore_longer_outputs_than_inputs=True to have it left out"
        )
    dense = np.zeros((count, max(int(sizes.max(initial=0)), 1)), np.int32)
    for row, listed in enumerate(rows):
        dense[row, : len(listed)] = listed
    return dense, sizes


def _invalid(text: str) -> Exception:
    return errors.InvalidArgumentError(None, None, text)


@writable("nn.ctc_losses_left_out")
def _left_out(found: Tensor, label_lengths: Tensor, lengths: Tensor) -> Tensor:
    """0, without a gradient, for the examples that have more labels than steps."""
    return where(greater(cast(label_lengths, dtype="int64"), cast(lengths, dtype="int64")), 0.0, found)


def losses(
    logits: Tensor, labels: Any, label_lengths: Any, lengths: Any, blank: int, merge: bool = True,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """``losses_of`` as one operation; logits [time, batch, classes]."""
    function = functools.partial(losses_of, blank=int(blank), merge=bool(merge))
    given = [asarray(x) if not isinstance(x, Tensor) else x for x in (logits, labels, label_lengths, lengths)]
    batch = (extents(logits) or (None, None, None))[1]
    # The recursion is as long as the logits: their extents are not tried out.
    return composite("CTCLoss", name, function, *given, results=[((batch,), logits.dtype)])  # type: ignore[no-any-return]


def _time_first(logits: Tensor, time_major: bool) -> Tensor:
    return logits if time_major else transpose(logits, axes=(1, 0, 2))


def _sparse_loss(
    labels: SparseTensor, logits: Tensor, lengths: Any, blank: int, collapse: bool, merge: bool, longer: bool
) -> Tensor:
    _, batch, classes = extents(logits) or (None, None, None)
    counted = cast(tensor(lengths, None, logits), dtype="int32")
    read = functools.partial(_dense_labels, batch=batch, classes=classes, collapse=collapse, longer=longer)
    dense, sizes = on_host_many(
        "CTCLabels", None, read, [labels.indices, labels.values, labels.dense_shape, counted],
        [((batch, None), "int32"), ((batch,), "int32")],
    )  # fmt: skip
    found = losses(logits, dense, sizes, counted, blank, merge)
    return composite("CTCLossLeftOut", None, _left_out, found, sizes, counted) if longer else found  # type: ignore[no-any-return]


def _loss_v1(
    labels: Any, inputs: Any = None, sequence_length: Any = None, preprocess_collapse_repeated: bool = False,
    ctc_merge_repeated: bool = True, ignore_longer_outputs_than_inputs: bool = False, time_major: bool = True,
    logits: Any = None, name: str | None = None,
) -> Any:  # fmt: skip
    """The loss of each example, [batch], of a sparse matrix of labels; the last class is the blank.

    ``inputs`` (or ``logits``): [time, batch, classes], or [batch, time, classes] without ``time_major``.
    InvalidArgumentError for labels outside of the classes, or more of them than steps.
    """
    given = inputs if inputs is not None else logits
    if given is None:
        raise ValueError("ctc_loss needs inputs: ctc_loss(labels, inputs, sequence_length)")
    if not isinstance(labels, SparseTensor):
        if not isinstance(labels, tuple):
            raise TypeError(f"Expected labels (first argument) to be a SparseTensor, got {type(labels).__name__}")
        labels = SparseTensor(*labels)
    with scope(name, "CTCLoss", given, labels.values, sequence_length):
        scores = _time_first(tensor(given, None, labels.values), time_major)
        return _sparse_loss(
            labels, scores, sequence_length, -1, preprocess_collapse_repeated, ctc_merge_repeated,
            ignore_longer_outputs_than_inputs,
        )  # fmt: skip


def _loss_v2(
    labels: Any, logits: Any, label_length: Any, logit_length: Any, logits_time_major: bool = True, unique: Any = None,
    blank_index: int | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """The loss of each example, [batch], of labels [batch, most] of which ``label_length`` count, or a sparse matrix.

    ``blank_index``: 0 by default; it must be given with sparse labels, and may count from the end.
    """
    with scope(name, "ctc_loss", logits, label_length, logit_length):
        scores = _time_first(tensor(logits), logits_time_major)
        if isinstance(labels, SparseTensor):
            if blank_index is None:
                raise ValueError("Argument `blank_index` must be provided when labels is a SparseTensor.")
            return _sparse_loss(labels, scores, logit_length, blank_index, False, True, False)
        return losses(scores, tensor(labels, None, scores), tensor(label_length, None, scores),
                      tensor(logit_length, None, scores), blank_index or 0)  # fmt: skip


ctc_loss = by_generation(_loss_v1, _loss_v2)
ctc_loss_v2 = _loss_v2


def ctc_unique_labels(labels: Any, name: str | None = None) -> tuple[Any, Any]:
    """The labels of each row that differ, and where each label of [batch, most] is among them (of TensorFlow 2)."""
    shape = extents(tensor(labels)) or (None, None)
    return on_host_many("CTCUnique", name, _unique_rows, [labels], [(shape, "int32"), (shape, "int32")])  # type: ignore[return-value]


@writable("nn.ctc_unique_rows")
def _unique_rows(labels: Any) -> Any:
    made, places = np.zeros_like(labels), np.zeros(labels.shape, np.int32)
    for i, row in enumerate(labels):
        found, first, inverse = np.unique(row, return_index=True, return_inverse=True)
        order = np.argsort(first)
        made[i, : len(found)] = found[order]
        places[i] = np.argsort(order)[inverse]
    return made, places


__all__ = ["ctc_loss", "ctc_loss_v2", "ctc_unique_labels"]
