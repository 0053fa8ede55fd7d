"""``BeamSearchDecoder``: the best of several hypotheses, and ``gather_tree``, which reads them off."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from corenn import tree
from corenn.errors import UsageError
from corenn.ops.creation import arange, full
from corenn.ops.elementwise import add, cast, divide, floor_divide, multiply, power, remainder, where
from corenn.ops.gathering import gather, take_along_axis
from corenn.ops.logic import equal, logical_not, logical_or
from corenn.ops.reduction import max as greatest
from corenn.ops.shaping import broadcast_to, expand_dims, reshape
from corenn.ops.softmax import log_softmax
from corenn.ops.sorting import top_k
from corenn.tensor import Tensor
from corenn_tensorflow.contrib.seq2seq.decoders import Decoder
from corenn_tensorflow.functions.text import on_host
from corenn_tensorflow.nn.embedding import lookup
from corenn_tensorflow.operands import composite, dynamic_shape, extents, tensor
from corenn_tensorflow.writing import writable


class BeamSearchDecoderState(NamedTuple):
    """The state of the cell, and of each hypothesis [batch, beam]: log probability, whether it is over, length."""

    cell_state: Any
    log_probs: Any
    finished: Any
    lengths: Any
    accumulated_attention_probs: Any = ()


class BeamSearchDecoderOutput(NamedTuple):
    """Of each step: scores, words and the hypotheses they continue, [batch, beam]."""

    scores: Any
    predicted_ids: Any
    parent_ids: Any


class FinalBeamSearchDecoderOutput(NamedTuple):
    """The hypotheses, best first: ``predicted_ids`` [batch, time, beam]; and what the steps gave."""

    predicted_ids: Any
    beam_search_decoder_output: Any


@writable("seq2seq.gather_tree")
def _read_off(words: Any, parents: Any, lengths: Any, end: Any) -> Any:
    steps, batch, width = words.shape
    found = np.full_like(words, end)
    rows = np.arange(width)
    for b in range(batch):
        beam = rows
        for t in range(min(steps, int(lengths[b])) - 1, -1, -1):
            found[t, b] = words[t, b, beam]
            beam = parents[t, b, beam]
        over = np.cumsum(found[:, b] == end, axis=0) > 0
        found[:, b] = np.where(over, end, found[:, b])
    return found


def gather_tree(
    step_ids: Any, parent_ids: Any, max_sequence_lengths: Any, end_token: Any, name: str | None = None
) -> Tensor:
    """The words of each hypothesis, of the words of each step and the numbers of the hypotheses they continue.

    ``step_ids``, ``parent_ids`` [time, batch, beam]; ``max_sequence_lengths`` [batch].  ``end_token`` follows a
    hypothesis' end.
    """
    words = tensor(step_ids)
    inputs = [words, tensor(parent_ids, None, words), tensor(max_sequence_lengths, None, words),
              tensor(end_token, None, words)]  # fmt: skip
    return on_host("GatherTree", name, _read_off, inputs, words.dtype, extents(words))  # type: ignore[no-any-return]


@writable("seq2seq.merged_beams")
def _merged(x: Tensor) -> Tensor:
    shape = x.spec.static
    return reshape(x, shape=(shape[0] * shape[1], *shape[2:]))


@writable("seq2seq.split_beams")
def _split(x: Tensor, *, width: int) -> Tensor:
    shape = x.spec.static
    return reshape(x, shape=(shape[0] // width, width, *shape[1:]))


@writable("seq2seq.chosen_beams")
def _chosen(x: Tensor, beams: Tensor) -> Tensor:
    batch, width = x.spec.static[:2]
    places = add(multiply(reshape(arange(batch, dtype=beams.dtype), shape=(-1, 1)), width), beams)
    rows = gather(_merged(x), reshape(places, shape=(-1,)), axis=0)
    return reshape(rows, shape=(*beams.spec.static, *x.spec.static[2:]))


@writable("seq2seq.beam_step")
def _advanced(
    logits: Tensor, totals: Tensor, finished: Tensor, lengths: Tensor, end: Tensor, *, penalty: float
) -> tuple[Tensor, ...]:
    """Scores, words, parents, log probabilities, ends and lengths of the next hypotheses, [batch, beam] each."""
    batch, width, words = logits.spec.static
    ending = equal(arange(words, dtype="int32"), cast(end, dtype="int32"))
    over = expand_dims(finished, axis=-1)
    # A hypothesis that is over goes on with its end, for certain.
    steps = where(over, where(ending, 0.0, float("-inf")), log_softmax(logits, axis=-1))
    probabilities = add(expand_dims(totals, axis=-1), steps)
    growth = multiply(cast(logical_not(over), dtype="int64"), cast(logical_not(ending), dtype="int64"))
    scores = probabilities
    if penalty:
        sizes = cast(add(expand_dims(lengths, axis=-1), growth), dtype=logits.dtype)
        scores = divide(probabilities, power(divide(add(sizes, 5.0), 6.0), penalty))
    best, places = top_k(reshape(scores, shape=(batch, width * words)), k=width)
    places = cast(places, dtype="int32")
    parents, chosen = floor_divide(places, words), remainder(places, words)
    rows = cast(parents, dtype="int64")
    kept = take_along_axis(reshape(probabilities, shape=(batch, width * words)), cast(places, dtype="int64"), axis=1)
    was_over = take_along_axis(finished, rows, axis=1)
    grown = add(take_along_axis(lengths, rows, axis=1), cast(logical_not(was_over), dtype="int64"))
    now_over = logical_or(was_over, equal(chosen, cast(end, dtype="int32")))
    return best, chosen, parents, kept, now_over, grown


class BeamSearchDecoder(Decoder):
    """Keeps the ``beam_width`` best hypotheses of each example at every step.

    ``embedding``: a table, or a function of ids.  ``start_tokens`` [batch], ``end_token`` a number.
    ``initial_state``: of ``batch * beam_width`` rows (``tile_batch``).  Scores are log probabilities, divided by
    ``((5 + length) / 6) ** length_penalty_weight`` (Wu et al. 2016).
    """

    #: A hypothesis' place may be taken by one that is not over.
    tracks_own_finished = True

    def __init__(
        self, cell: Any, embedding: Any, start_tokens: Any, end_token: Any, initial_state: Any, beam_width: int,
        output_layer: Any = None, length_penalty_weight: float = 0.0, coverage_penalty_weight: float = 0.0,
        reorder_tensor_arrays: bool = True,
    ) -> None:  # fmt: skip
        if coverage_penalty_weight:
            raise UsageError(
                "BeamSearchDecoder", "does not keep what was attended to, which coverage_penalty_weight needs",
                hint="leave coverage_penalty_weight out; length_penalty_weight is offered",
            )  # fmt: skip
        self._cell, self._layer, self._width = cell, output_layer, int(beam_width)
        self._embed = (
            embedding
            if callable(embedding) and not isinstance(embedding, Tensor)
            else lambda ids: lookup(embedding, ids, "mod", None, None)
        )
        self._start = cast(tensor(start_tokens), dtype="int32")
        if len(extents(self._start) or (0,)) != 1:
            raise ValueError("start_tokens must be a vector")
        self._end = tensor(end_token, "int32", self._start)
        self._initial = tree.tree_map(self._split, initial_state)
        self._penalty = float(length_penalty_weight)

    @property
    def batch_size(self) -> Any:
        """The number of examples."""
        return dynamic_shape(self._start)[0]

    @property
    def output_size(self) -> BeamSearchDecoderOutput:
        """The shapes of an example's outputs."""
        return BeamSearchDecoderOutput((self._width,), (self._width,), (self._width,))

    @property
    def output_dtype(self) -> BeamSearchDecoderOutput:
        """The dtypes of the outputs."""
        return BeamSearchDecoderOutput("float32", "int32", "int32")

    def _split(self, x: Any) -> Any:
        given = tensor(x)
        if extents(given) == ():
            return given  # the number of steps, and its like
        return composite("Reshape", None, functools.partial(_split, width=self._width), given)

    @staticmethod
    def _merge(x: Any) -> Any:
        known = extents(x)
        return x if known is not None and len(known) < 2 else composite("Reshape", None, _merged, x)

    def initialize(self, name: str | None = None) -> tuple[Any, Any, BeamSearchDecoderState]:
        """Nothing is over; all examples have one hypothesis."""
        shape = (self.batch_size, self._width)
        finished = full(shape, False, "bool")
        kind = next((leaf.dtype for leaf in tree.leaves(self._initial) if leaf.dtype.is_floating), "float32")
        first = full(shape, 0, kind)
        only_first = equal(arange(self._width, dtype="int32"), 0)
        first = where(only_first, first, float("-inf"))
        words = broadcast_to(expand_dims(self._start, axis=1), shape=shape)
        state = BeamSearchDecoderState(self._initial, first, finished, full(shape, 0, "int64"))
        return finished, self._embed(words), state

    def step(self, time: Any, inputs: Any, state: Any, name: str | None = None) -> tuple[Any, Any, Any, Any]:
        """One word more of the best hypotheses."""
        given = tree.tree_map(self._merge, inputs)
        outputs, after = self._cell(given, tree.tree_map(self._merge, state.cell_state))
        if self._layer is not None:
            outputs = self._layer(outputs)
        advance = functools.partial(_advanced, penalty=self._penalty)
        scores, words, parents, totals, finished, lengths = composite(
            "BeamSearchStep", None, advance, self._split(outputs), state.log_probs, state.finished, state.lengths,
            self._end,
        )  # fmt: skip
        kept = [self._kept(x, parents) for x in tree.leaves(after)]
        cells = tree.rebuild(state.cell_state, iter(kept))
        following = BeamSearchDecoderState(cells, totals, finished, lengths)
        return BeamSearchDecoderOutput(scores, words, parents), following, self._embed(words), finished

    def _kept(self, x: Any, parents: Any) -> Any:
        given = tensor(x)
        if extents(given) == ():
            return given
        return composite("GatherBeams", None, _chosen, self._split(given), parents)

    def finalize(self, outputs: Any, final_state: Any, sequence_lengths: Any) -> tuple[Any, Any]:
        """The hypotheses from the words of all steps [time, batch, beam]."""
        longest = cast(greatest(final_state.lengths, axis=1), dtype="int32")
        words = gather_tree(outputs.predicted_ids, outputs.parent_ids, longest, self._end)
        return FinalBeamSearchDecoderOutput(words, outputs), final_state


__all__ = [
    "BeamSearchDecoder", "BeamSearchDecoderOutput", "BeamSearchDecoderState", "FinalBeamSearchDecoderOutput",
    "gather_tree",
]  # fmt: skip
