"""``BasicDecoder`` and ``dynamic_decode``."""

from __future__ import annotations

from typing import Any, NamedTuple

from corenn import tree
from corenn.ops.creation import full, zeros
from corenn.ops.elementwise import add, cast, where
from corenn.ops.logic import less, logical_and, logical_not, logical_or
from corenn.ops.reduction import all as all_of
from corenn.ops.shaping import reshape, transpose
from corenn.tensor import Tensor
from corenn_tensorflow.contrib.seq2seq.helpers import TrainingHelper
from corenn_tensorflow.functions.flow import while_loop
from corenn_tensorflow.functions.loops import TensorArray
from corenn_tensorflow.mode import default_graph
from corenn_tensorflow.nn.recurrent import run_sequence
from corenn_tensorflow.nn.sequences import is_known, masked
from corenn_tensorflow.operands import extents, like, tensor
from corenn_tensorflow.scopes import get_variable_scope, variable_scope


class BasicDecoderOutput(NamedTuple):
    """What a decoder gives at each step."""

    rnn_output: Any
    sample_id: Any


class Decoder:
    """Base: ``initialize()``, and ``step(time, inputs, state)`` to (outputs, state, next inputs, finished)."""


class BasicDecoder(Decoder):
    """A cell that reads what ``helper`` says, its outputs passed through ``output_layer``."""

    def __init__(self, cell: Any, helper: Any, initial_state: Any, output_layer: Any = None) -> None:
        self.cell, self.helper, self.initial_state, self.output_layer = cell, helper, initial_state, output_layer

    @property
    def batch_size(self) -> Any:
        """The number of examples."""
        return self.helper.batch_size

    def layer(self, outputs: Any) -> Any:
        """Outputs passed through the layer."""
        return outputs if self.output_layer is None else self.output_layer(outputs)

    def initialize(self, name: str | None = None) -> tuple[Any, Any, Any]:
        """Which examples are over, the first inputs, the first state."""
        return (*self.helper.initialize(), self.initial_state)

    def step(self, time: Any, inputs: Any, state: Any, name: str | None = None) -> tuple[Any, Any, Any, Any]:
        """One step."""
        outputs, state = self.cell(inputs, state)
        outputs = self.layer(outputs)
        ids = self.helper.sample(time=time, outputs=outputs, state=state)
        finished, following, state = self.helper.next_inputs(time=time, outputs=outputs, state=state, sample_ids=ids)
        return BasicDecoderOutput(outputs, ids), state, following, finished


def dynamic_decode(
    decoder: Any, output_time_major: bool = False, impute_finished: bool = False, maximum_iterations: Any = None,
    parallel_iterations: int = 32, swap_memory: bool = False, scope: Any = None, **other: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """``(outputs, final state, lengths)`` of a decoder that runs until all examples are finished.

    ``impute_finished``: finished examples keep their state and give zeros.  A ``BasicDecoder`` that reads given
    sequences runs over all of their steps at once.
    """
    graph = default_graph()
    with graph.as_default(), variable_scope(scope or "decoder"):
        given = isinstance(decoder, BasicDecoder) and type(decoder.helper) is TrainingHelper
        if (
            given
            and maximum_iterations is None
            and isinstance(decoder.helper.inputs, Tensor)
            and is_known(decoder.cell)
        ):
            outputs, state, lengths = _whole(graph, decoder, impute_finished)
        else:
            outputs, state, lengths = _stepwise(decoder, impute_finished, maximum_iterations)
        if hasattr(decoder, "finalize"):
            outputs, state = decoder.finalize(tree.tree_map(_swapped, outputs), state, lengths)
            outputs = tree.tree_map(_swapped, outputs)
        if output_time_major:
            outputs = tree.tree_map(_swapped, outputs)
        return outputs, state, lengths


def _swapped(x: Tensor) -> Tensor:
    """Steps and examples exchanged."""
    return transpose(x, axes=(1, 0, *range(2, len(extents(x) or (0, 0)))))


def _whole(graph: Any, decoder: Any, impute: bool) -> tuple[Any, Any, Any]:
    helper = decoder.helper
    lengths = helper.sequence_length if impute else None
    outputs, state = run_sequence(graph, decoder.cell, helper.batch_major, lengths, decoder.initial_state)
    outputs = decoder.layer(outputs)
    outputs = outputs if lengths is None else masked(outputs, lengths)
    return BasicDecoderOutput(outputs, helper.sample(None, outputs, None)), state, helper.sequence_length


def _stepwise(decoder: Any, impute: bool, most: Any) -> tuple[Any, Any, Any]:
    finished, first, start = decoder.initialize()
    start = tree.tree_map(tensor, start)
    most = None if most is None else cast(tensor(most), dtype="int32")
    made: list[bool] = []

    def step(time: Any, inputs: Any, state: Any) -> Any:
        with variable_scope(get_variable_scope(), reuse=True if made else None, auxiliary_name_scope=False):
            found = decoder.step(time, inputs, state)
        made.append(True)
        return found

    sample, *_ = step(zeros((), dtype="int32"), first, start)  # for structure and dtypes; it is not run
    arrays = [
        TensorArray(leaf.dtype, size=0, dynamic_size=True, element_shape=extents(leaf)) for leaf in tree.leaves(sample)
    ]
    lengths = where(finished, 0, full((), 0, "int32"))
    own = getattr(decoder, "tracks_own_finished", False)

    def body(time: Any, inputs: Any, state: Any, over: Any, counts: Any, outputs: Any) -> Any:
        emitted, after, following, done = step(time, inputs, state)
        done = done if own else logical_or(over, done)
        counts = where(over, counts, add(time, 1))
        leaves = tree.leaves(emitted)
        if impute:
            leaves = [_still(over, like(0, leaf), leaf) for leaf in leaves]
            pairs = zip(tree.leaves(state), tree.leaves(after), strict=True)
            after = tree.rebuild(state, iter([_still(over, a, b) for a, b in pairs]))
        written = [array.write(time, leaf) for array, leaf in zip(outputs, leaves, strict=True)]
        after = tree.rebuild(state, iter(tree.leaves(after)))
        return add(time, 1), tree.rebuild(inputs, iter(tree.leaves(following))), after, done, counts, written

    def going(time: Any, inputs: Any, state: Any, over: Any, *rest: Any) -> Any:
        more = logical_not(all_of(over))
        return more if most is None else logical_and(more, less(time, most))

    _, _, state, _, lengths, arrays = while_loop(
        going, body, (zeros((), dtype="int32"), first, start, finished, lengths, arrays), name="while"
    )
    stacked = []
    for array, leaf in zip(arrays, tree.leaves(sample), strict=True):
        (rows,) = array.__corenn_parts__()
        rows.set_shape((None, *(extents(leaf) or ())))
        found = array.stack()
        stacked.append(_swapped(found))
    return tree.rebuild(sample, iter(stacked)), state, lengths


def _still(over: Tensor, old: Any, new: Tensor) -> Tensor:
    shape = extents(new)
    if not shape:
        return new
    return where(reshape(over, shape=(-1, *[1] * (len(shape) - 1))), old, new)


__all__ = ["BasicDecoder", "BasicDecoderOutput", "Decoder", "dynamic_decode"]
