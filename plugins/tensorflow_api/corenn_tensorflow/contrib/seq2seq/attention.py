"""Attention to a memory [batch, time, depth]: ``LuongAttention``, ``BahdanauAttention``, and the cell around a cell."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from corenn import tree
from corenn.ops.contraction import matmul
from corenn.ops.creation import arange, full, zeros
from corenn.ops.elementwise import add, multiply, where
from corenn.ops.logic import less
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import concatenate, expand_dims, reshape
from corenn.ops.softmax import softmax
from corenn.ops.transcendental import rsqrt
from corenn.tensor import Tensor
from corenn_tensorflow import initializers
from corenn_tensorflow.layers.core import Dense
from corenn_tensorflow.mode import scope
from corenn_tensorflow.nn.activations import tanh
from corenn_tensorflow.nn.cells import RNNCell
from corenn_tensorflow.nn.sequences import masked
from corenn_tensorflow.operands import composite, dynamic_shape, extents, tensor
from corenn_tensorflow.scopes import get_variable, variable_scope
from corenn_tensorflow.writing import writable


class AttentionMechanism:
    """Base: ``keys`` made of the memory, and ``score(query)``, which says how well each key fits."""

    def __init__(
        self, num_units: int, memory: Any, memory_sequence_length: Any, probability_fn: Any, name: str
    ) -> None:
        self._name, self._probability = name, probability_fn or softmax
        self.lengths = None if memory_sequence_length is None else tensor(memory_sequence_length, None, memory)
        given = tensor(memory)
        self.values = given if self.lengths is None else masked(given, self.lengths)
        self.memory_layer = Dense(num_units, use_bias=False, name="memory_layer")
        self.keys = self.memory_layer(self.values)

    @property
    def alignments_size(self) -> Any:
        """The number of steps of the memory."""
        return dynamic_shape(self.values)[1]

    def score(self, query: Tensor) -> Tensor:
        """A number for each step, [batch, time]."""
        raise NotImplementedError(f"{type(self).__name__} does not define score()")

    def __call__(self, query: Tensor) -> Tensor:
        """How much is attended to each step, [batch, time]."""
        with variable_scope(self._name):
            found = self.score(query)
        if self.lengths is not None:
            found = composite("MaskedScore", None, _past_lengths, found, self.lengths)
        return self._probability(found)  # type: ignore[no-any-return]


@writable("seq2seq.past_lengths")
def _past_lengths(scores: Tensor, lengths: Tensor) -> Tensor:
    steps = reshape(arange(scores.spec.static[1], dtype=lengths.dtype), shape=(1, -1))
    return where(less(steps, reshape(lengths, shape=(-1, 1))), scores, float(np.finfo(np.float32).min))


class LuongAttention(AttentionMechanism):
    """``query . key`` (Luong, Pham & Manning 2015); with ``scale`` times a variable ``attention_g``."""

    def __init__(
        self, num_units: int, memory: Any, memory_sequence_length: Any = None, scale: bool = False,
        probability_fn: Any = None, score_mask_value: Any = None, dtype: Any = None, name: str = "LuongAttention",
    ) -> None:  # fmt: skip
        super().__init__(num_units, memory, memory_sequence_length, probability_fn, "luong_attention")
        self._scale = scale

    def score(self, query: Tensor) -> Tensor:
        """Products with the keys."""
        found = matmul(self.keys, expand_dims(query, axis=-1))[..., 0]
        if not self._scale:
            return found
        return multiply(found, get_variable("attention_g", (), initializer=initializers.Ones()))


class BahdanauAttention(AttentionMechanism):
    """``v . tanh(key + query)`` (Bahdanau, Cho & Bengio 2014); ``normalize``: v by length and direction, and a bias."""

    def __init__(
        self, num_units: int, memory: Any, memory_sequence_length: Any = None, normalize: bool = False,
        probability_fn: Any = None, score_mask_value: Any = None, dtype: Any = None, name: str = "BahdanauAttention",
    ) -> None:  # fmt: skip
        super().__init__(num_units, memory, memory_sequence_length, probability_fn, "bahdanau_attention")
        self._units, self.query_layer = int(num_units), Dense(num_units, use_bias=False, name="query_layer")
        self._normalize = bool(normalize)

    def score(self, query: Tensor) -> Tensor:
        """A small network of key and query."""
        wanted = expand_dims(self.query_layer(query), axis=1)
        v = get_variable("attention_v", (self._units,))
        both = add(self.keys, wanted)
        if self._normalize:  # Salimans & Kingma 2016: the direction of v, and its length apart
            start = initializers.Constant((1.0 / self._units) ** 0.5)
            g = get_variable("attention_g", (), initializer=start)
            both = add(both, get_variable("attention_b", (self._units,), initializer=initializers.Zeros()))
            v = multiply(multiply(g, v), rsqrt(sum_over(multiply(v, v))))
        return sum_over(multiply(v, tanh(both)), axis=2)


class AttentionWrapperState(NamedTuple):
    """The state of an ``AttentionWrapper``."""

    cell_state: Any
    attention: Any
    time: Any
    alignments: Any
    alignment_history: Any
    attention_state: Any

    def clone(self, **changed: Any) -> AttentionWrapperState:
        """The state with parts replaced."""
        return self._replace(**changed)


class AttentionWrapper(RNNCell):
    """A cell that reads its input and what it attended to, and attends by its output.

    With ``attention_layer_size`` what is given is ``[output, context]`` times a matrix, else the context.
    """

    def __init__(
        self, cell: Any, attention_mechanism: Any, attention_layer_size: int | None = None,
        alignment_history: bool = False, cell_input_fn: Any = None, output_attention: bool = True,
        initial_cell_state: Any = None, name: str | None = None, attention_layer: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(name=name)
        if isinstance(attention_mechanism, (list, tuple)) or alignment_history:
            raise NotImplementedError("AttentionWrapper takes one mechanism and keeps no history of alignments")
        self._cell, self._mechanism, self._output_attention = cell, attention_mechanism, output_attention
        self._input_fn, self._initial = cell_input_fn, initial_cell_state
        self._layer = attention_layer
        if attention_layer is None and attention_layer_size is not None:
            self._layer = Dense(attention_layer_size, use_bias=False, name="attention_layer")
        depth = (extents(attention_mechanism.values) or (None,))[-1]
        self._size = int(attention_layer_size or depth or 0)

    @property
    def output_size(self) -> Any:
        """The size of the attention, or that of the cell."""
        return self._size if self._output_attention else self._cell.output_size

    @property
    def state_size(self) -> AttentionWrapperState:
        """The sizes of the parts."""
        steps = self._mechanism.alignments_size
        return AttentionWrapperState(self._cell.state_size, self._size, (), steps, (), steps)

    def zero_state(self, batch_size: Any, dtype: Any = "float32") -> AttentionWrapperState:
        """The state before the first step."""
        with scope(None, "AttentionWrapperZeroState", batch_size, self._mechanism.values):
            own = self._initial if self._initial is not None else self._cell.zero_state(batch_size, dtype)
            none = full((batch_size, self._mechanism.alignments_size), 0, dtype)
            attention = full((batch_size, self._size), 0, dtype)
            return AttentionWrapperState(own, attention, zeros((), dtype="int32"), none, (), none)

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        given = concatenate(inputs, state.attention, axis=-1)
        if self._input_fn is not None:
            given = self._input_fn(inputs, state.attention)
        output, own = self._cell(given, state.cell_state)
        alignments = self._mechanism(output)
        context = sum_over(multiply(expand_dims(alignments, axis=-1), self._mechanism.values), axis=1)
        attention = context if self._layer is None else self._layer(concatenate(output, context, axis=1))
        own = tree.rebuild(state.cell_state, iter(tree.leaves(own)))
        new = AttentionWrapperState(own, attention, add(state.time, 1), alignments, (), alignments)
        return (attention if self._output_attention else output), new


__all__ = [
    "AttentionMechanism", "AttentionWrapper", "AttentionWrapperState", "BahdanauAttention", "LuongAttention",
]  # fmt: skip
