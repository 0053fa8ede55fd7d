"""Decoders of connectionist temporal classification, and the edit distance; all on the host."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from corenn.ops.elementwise import cast
from corenn_tensorflow import errors
from corenn_tensorflow.functions.hosting import on_host_many
from corenn_tensorflow.mode import by_generation, scope
from corenn_tensorflow.operands import extents, tensor
from corenn_tensorflow.sparse import SparseTensor
from corenn_tensorflow.writing import writable

_SPARSE = [((None, 2), "int64"), ((None,), "int64"), ((2,), "int64")]


def _sparse_arrays(rows: list[list[int]]) -> list[Any]:
    places = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    most = max((len(row) for row in rows), default=0)
    return [
        np.array(places, np.int64).reshape(-1, 2), np.array([v for row in rows for v in row], np.int64),
        np.array([len(rows), most], np.int64),
    ]  # fmt: skip


def _checked(logits: Any, lengths: Any) -> None:
    steps, batch, _ = logits.shape
    if len(lengths) != batch:
        raise errors.InvalidArgumentError(None, None, f"len(sequence_length) != batch_size: {len(lengths)}, {batch}")
    if len(lengths) and lengths.max() > steps:
        raise errors.InvalidArgumentError(None, None, f"sequence_length must be at most {steps}, got {lengths.max()}")


@writable("nn.ctc_greedy")
def _greedy(logits: Any, lengths: Any, *, merge: bool, blank: int) -> Any:
    _checked(logits, lengths)
    steps, batch, classes = logits.shape
    best = logits.argmax(-1)
    counted = np.arange(steps)[:, None] < lengths[None, :]
    score = -np.where(counted, np.take_along_axis(logits, best[..., None], -1)[..., 0], 0).sum(0)
    rows = []
    for i in range(batch):
        path = best[: lengths[i], i]
        if merge and len(path):
            path = path[np.concatenate([[True], path[1:] != path[:-1]])]
        rows.append([int(c) for c in path if c != blank % classes])
    return [*_sparse_arrays(rows), score[:, None]]


def ctc_greedy_decoder(
    inputs: Any, sequence_length: Any, merge_repeated: bool = True, blank_index: int | None = None,
    name: str | None = None,
) -> tuple[list[SparseTensor], Any]:  # fmt: skip
    """The best class of each step, without repetitions (``merge_repeated``) and blanks (the last class by default).

    ``inputs`` [time, batch, classes].  Returns a list of one sparse matrix, and minus the sums of the logits chosen
    [batch, 1].
    """
    with scope(name, "CTCGreedyDecoder", inputs, sequence_length):
        scores = tensor(inputs, None, sequence_length)
        batch = (extents(scores) or (None, None))[1]
        function = functools.partial(_greedy, merge=merge_repeated, blank=-1 if blank_index is None else blank_index)
        lengths = cast(tensor(sequence_length, None, scores), dtype="int32")
        results = [*_SPARSE, ((batch, 1), scores.dtype)]
        *found, score = on_host_many("CTCGreedyDecoder", None, function, [scores, lengths], results)
        return [SparseTensor(*found)], score


class _Prefixes:
    """Prefixes of label sequences as a tree: a number for each, its last label and its parent."""

    def __init__(self) -> None:
        self.parent, self.label = [-1], [-1]
        self._children: dict[tuple[int, int], int] = {}

    def child(self, parent: int, label: int) -> int:
        found = self._children.get((parent, label))
        if found is None:
            found = self._children[parent, label] = len(self.parent)
            self.parent.append(parent)
            self.label.append(label)
        return found

    def sequence(self, prefix: int) -> list[int]:
        found = []
        while prefix > 0:
            found.append(self.label[prefix])
            prefix = self.parent[prefix]
        return found[::-1]


def _beams(scores: Any, width: int, paths: int) -> list[tuple[list[int], float]]:
    """The best label sequences of log probabilities [time, classes], blank last, with the log of their probability.

    Prefix beam search (Graves 2012, section 7.5): each prefix has the probability of ending in a blank and that of
    ending in its last label.
    """
    known = _Prefixes()
    blank = scores.shape[1] - 1
    beams = [0]
    ends_blank, ends_label = np.zeros(1), np.full(1, -np.inf)
    for row in scores:
        total = np.logaddexp(ends_blank, ends_label)
        last = np.array([known.label[p] for p in beams])
        repeated = np.where(last >= 0, ends_label + row[last], -np.inf)
        grown = total[:, None] + row[None, :blank]
        inside = np.nonzero(last >= 0)[0]
        grown[inside, last[inside]] = ends_blank[inside] + row[last[inside]]
        place = {p: i for i, p in enumerate(beams)}
        for i in inside:  # a prefix that is also another's continuation
            above = place.get(known.parent[beams[i]])
            if above is not None:
                repeated[i] = np.logaddexp(repeated[i], grown[above, last[i]])
                grown[above, last[i]] = -np.inf
        stays = total + row[blank]
        candidates = np.concatenate([np.logaddexp(stays, repeated), grown.reshape(-1)])
        possible = int(np.isfinite(candidates).sum())
        order = np.argsort(-candidates, kind="stable")[: min(width, max(possible, 1))]
        chosen = []
        for k in order:
            if k < len(beams):
                chosen.append((beams[k], stays[k], repeated[k]))
            else:
                above, label = divmod(int(k) - len(beams), blank)
                chosen.append((known.child(beams[above], label), -np.inf, grown[above, label]))
        beams = [c[0] for c in chosen]
        ends_blank, ends_label = np.array([c[1] for c in chosen]), np.array([c[2] for c in chosen])
    total = np.logaddexp(ends_blank, ends_label)
    order = np.argsort(-total, kind="stable")[:paths]
    if len(order) < paths:
        raise errors.InvalidArgumentError(
            None, None, f"ctc_beam_search_decoder: {paths} paths were asked for, only {len(order)} are possible"
        )
    return [(known.sequence(beams[k]), float(total[k])) for k in order]


@writable("nn.ctc_beam_search")
def _beam_search(logits: Any, lengths: Any, *, width: int, paths: int, merge: bool) -> Any:
    _checked(logits, lengths)
    wide = logits.astype(np.float64)
    scores = wide - wide.max(-1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(-1, keepdims=True))
    rows: list[list[list[int]]] = [[] for _ in range(paths)]
    found = np.zeros((logits.shape[1], paths), logits.dtype)
    for i in range(logits.shape[1]):
        for k, (labels, score) in enumerate(_beams(scores[: lengths[i], i], width, paths)):
            if merge:
                labels = [c for j, c in enumerate(labels) if j == 0 or c != labels[j - 1]]
            rows[k].append(labels)
            found[i, k] = score
    sparse = [_sparse_arrays(r) for r in rows]
    return [*[array for arrays in sparse for array in arrays], found]


def _searched(
    inputs: Any, sequence_length: Any, beam_width: int, top_paths: int, merge: bool, name: str | None
) -> tuple[list[SparseTensor], Any]:
    if top_paths > beam_width:
        raise ValueError(f"top_paths ({top_paths}) must be at most beam_width ({beam_width})")
    with scope(name, "CTCBeamSearchDecoder", inputs, sequence_length):
        scores = tensor(inputs, None, sequence_length)
        batch = (extents(scores) or (None, None))[1]
        lengths = cast(tensor(sequence_length, None, scores), dtype="int32")
        function = functools.partial(_beam_search, width=int(beam_width), paths=int(top_paths), merge=merge)
        results = [*_SPARSE * top_paths, ((batch, top_paths), scores.dtype)]
        *found, score = on_host_many("CTCBeamSearchDecoder", None, function, [scores, lengths], results)
        return [SparseTensor(*found[3 * k : 3 * k + 3]) for k in range(top_paths)], score


def _search_v1(
    inputs: Any, sequence_length: Any, beam_width: int = 100, top_paths: int = 1, merge_repeated: bool = True,
    name: str | None = None,
) -> tuple[list[SparseTensor], Any]:  # fmt: skip
    """The ``top_paths`` best label sequences by beam search, best first, and the logs of their probabilities.

    ``inputs`` [time, batch, classes], the last of which is the blank.  ``merge_repeated`` (the default of generation
    1) also leaves one of labels that are equal and next to one another in the result: "hello" comes out as "helo".
    """
    return _searched(inputs, sequence_length, beam_width, top_paths, merge_repeated, name)


def _search_v2(
    inputs: Any, sequence_length: Any, beam_width: int = 100, top_paths: int = 1, name: str | None = None
) -> tuple[list[SparseTensor], Any]:
    """The ``top_paths`` best label sequences by beam search, best first, and the logs of their probabilities.

    ``inputs`` [time, batch, classes], the last of which is the blank.
    """
    return _searched(inputs, sequence_length, beam_width, top_paths, False, name)


ctc_beam_search_decoder = by_generation(_search_v1, _search_v2)
ctc_beam_search_decoder_v2 = _search_v2


def levenshtein(first: list[Any], second: list[Any]) -> int:
    """How many insertions, deletions and replacements turn one sequence into the other."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first):
        ahead, row[0] = row[0], i + 1
        for j, b in enumerate(second):
            ahead, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, ahead + (a != b))
    return row[-1]


def _grouped(indices: Any, values: Any) -> dict[tuple[int, ...], list[Any]]:
    found: dict[tuple[int, ...], list[Any]] = {}
    for place, value in zip(indices, values, strict=True):
        found.setdefault(tuple(int(n) for n in place[:-1]), []).append(value)
    return found


@writable("edit_distance")
def _distances(*arrays: Any, normalize: bool) -> Any:
    (indices, values, shape), (true_indices, true_values, true_shape) = arrays[:3], arrays[3:]
    if len(shape) != len(true_shape):
        raise errors.InvalidArgumentError(
            None, None, f"edit_distance: hypothesis and truth have {len(shape)} and {len(true_shape)} axes"
        )
    found = np.zeros(tuple(int(max(a, b)) for a, b in zip(shape[:-1], true_shape[:-1], strict=True)), np.float32)
    said, meant = _grouped(indices, values), _grouped(true_indices, true_values)
    for place in {*said, *meant}:
        truth = meant.get(place, [])
        count = levenshtein(said.get(place, []), truth)
        found[place] = count if not normalize else count / len(truth) if truth else np.inf if count else 0
    return [found]


def edit_distance(hypothesis: Any, truth: Any, normalize: bool = True, name: str = "edit_distance") -> Any:
    """The Levenshtein distance of each pair of sequences (the last axis of two sparse tensors), float32.

    ``normalize``: divided by the length of the truth; infinite where only the truth is empty.
    """
    for given, what in ((hypothesis, "Hypothesis"), (truth, "Truth")):
        if not isinstance(given, SparseTensor) and not isinstance(given, tuple):
            raise TypeError(f"{what} must be a SparseTensor.")
    pair = [s if isinstance(s, SparseTensor) else SparseTensor(*s) for s in (hypothesis, truth)]
    known = pair[1].shape.extents
    inputs = [part for s in pair for part in (s.indices, s.values, s.dense_shape)]
    function = functools.partial(_distances, normalize=bool(normalize))
    (found,) = on_host_many("EditDistance", name, function, inputs, [(known[:-1] if known else None, "float32")])
    return found


__all__ = ["ctc_beam_search_decoder", "ctc_beam_search_decoder_v2", "ctc_greedy_decoder"]
