"""The cells and wrappers that only contrib had, and stacks of cells in both directions."""

from __future__ import annotations

from typing import Any

from corenn.ops.contraction import matmul
from corenn.ops.elementwise import add, multiply
from corenn.ops.normalization import layer_norm
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import concatenate, expand_dims, parts, reshape, transpose
from corenn.ops.softmax import softmax
from corenn_tensorflow import initializers
from corenn_tensorflow.layer_base import activation_of, channels
from corenn_tensorflow.nn.activations import bias_add, dropped, sigmoid, tanh
from corenn_tensorflow.nn.cell_wrappers import Around
from corenn_tensorflow.nn.cells import GRUCell, LSTMCell, LSTMStateTuple, RNNCell
from corenn_tensorflow.nn.embedding import lookup
from corenn_tensorflow.nn.recurrent import bidirectional_dynamic_rnn, static_bidirectional_rnn
from corenn_tensorflow.operands import extents, known, tensor
from corenn_tensorflow.scopes import get_variable, variable_scope


class LSTMBlockCell(LSTMCell):
    """``LSTMCell``; there is one kernel for both here."""

    same_step_as = LSTMCell

    def __init__(
        self, num_units: Any, forget_bias: float = 1.0, cell_clip: float | None = None, use_peephole: bool = False,
        dtype: Any = None, reuse: Any = None, name: str = "lstm_cell",
    ) -> None:  # fmt: skip
        clipped = cell_clip if cell_clip is not None and cell_clip > 0 else None
        super().__init__(num_units, use_peephole, clipped, forget_bias=forget_bias, reuse=reuse, name=name, dtype=dtype)


class GRUBlockCell(GRUCell):
    """``GRUCell``; there is one kernel for both here."""

    same_step_as = GRUCell

    def __init__(self, num_units: Any = None, cell_size: Any = None, reuse: Any = None, name: str = "gru_cell") -> None:
        super().__init__(num_units if num_units is not None else cell_size, reuse=reuse, name=name)


GRUBlockCellV2 = GRUBlockCell


class LayerNormBasicLSTMCell(RNNCell):
    """An LSTM whose gates and new memory are normalised (Ba, Kiros & Hinton 2016), with dropout of the candidate."""

    def __init__(
        self, num_units: int, forget_bias: float = 1.0, input_size: Any = None, activation: Any = tanh,
        layer_norm: bool = True, norm_gain: float = 1.0, norm_shift: float = 0.0, dropout_keep_prob: Any = 1.0,
        dropout_prob_seed: int | None = None, reuse: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(_reuse=reuse)
        self._num_units, self._forget_bias = int(num_units), float(forget_bias)
        self._activation, self._layer_norm = activation_of(activation), layer_norm
        self._gain, self._shift = float(norm_gain), float(norm_shift)
        self._keep_prob, self._seed = dropout_keep_prob, dropout_prob_seed

    @property
    def state_size(self) -> LSTMStateTuple:
        """Both sizes."""
        return LSTMStateTuple(self._num_units, self._num_units)

    @property
    def output_size(self) -> int:
        """The number of units."""
        return self._num_units

    def _norm(self, x: Any, scope: str) -> Any:
        shape = [self._num_units]
        with variable_scope(scope):
            gamma = get_variable("gamma", shape, initializer=initializers.Constant(self._gain))
            beta = get_variable("beta", shape, initializer=initializers.Constant(self._shift))
        return layer_norm(x, gamma, beta, axis=-1, epsilon=1e-12)

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        c, h = state
        given = concatenate(inputs, h, axis=1)
        kernel = get_variable("kernel", [channels(self.name, given.get_shape()), 4 * self._num_units])
        mixed = matmul(given, kernel)
        if not self._layer_norm:
            mixed = bias_add(mixed, get_variable("bias", [4 * self._num_units], initializer=initializers.Zeros()))
        i, j, f, o = parts(mixed, sizes=4, axis=1)
        if self._layer_norm:
            i, j, f, o = (self._norm(g, n) for g, n in ((i, "input"), (j, "transform"), (f, "forget"), (o, "output")))
        assert self._activation is not None  # tanh unless given
        candidate = self._activation(j)
        keep = known(self._keep_prob)
        if keep != 1.0:
            rate = 1.0 - keep if keep is not None else 1.0 - tensor(self._keep_prob)
            candidate = dropped(candidate, rate, None, self._seed)
        c = add(multiply(c, sigmoid(add(f, self._forget_bias))), multiply(sigmoid(i), candidate))
        shown = self._norm(c, "state") if self._layer_norm else c
        h = multiply(self._activation(shown), sigmoid(o))
        return h, LSTMStateTuple(c, h)


def _projected(x: Any, size: int) -> Any:
    kernel = get_variable("kernel", [channels("projection", tensor(x).get_shape()), size])
    return bias_add(matmul(x, kernel), get_variable("bias", [size], initializer=initializers.Zeros()))


class OutputProjectionWrapper(Around):
    """The cell's output times a matrix."""

    def __init__(self, cell: Any, output_size: int, activation: Any = None, reuse: Any = None) -> None:
        super().__init__(cell, reuse)
        self._size, self._activation = int(output_size), activation_of(activation)

    @property
    def output_size(self) -> int:
        """The size of the projection."""
        return self._size

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        output, new = self._cell(inputs, state)
        found = _projected(output, self._size)
        return found if self._activation is None else self._activation(found), new


class InputProjectionWrapper(Around):
    """The input times a matrix goes into the cell."""

    def __init__(
        self, cell: Any, num_proj: int, activation: Any = None, input_size: Any = None, reuse: Any = None
    ) -> None:
        super().__init__(cell, reuse)
        self._size, self._activation = int(num_proj), activation_of(activation)

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        found = _projected(inputs, self._size)
        return self._cell(found if self._activation is None else self._activation(found), state)


class EmbeddingWrapper(Around):
    """The embeddings of class numbers go into the cell."""

    def __init__(
        self, cell: Any, embedding_classes: int, embedding_size: int, initializer: Any = None, reuse: Any = None
    ) -> None:
        super().__init__(cell, reuse)
        self._classes, self._size, self._initializer = int(embedding_classes), int(embedding_size), initializer

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        chosen = self._initializer if self._initializer is not None else initializers.RandomUniform(-(3**0.5), 3**0.5)
        table = get_variable("embedding", [self._classes, self._size], initializer=chosen)
        return self._cell(lookup(table, reshape(inputs, shape=(-1,)), "mod", None, None), state)


class AttentionCellWrapper(Around):
    """A cell that attends to its last ``attn_length`` outputs (Bahdanau, Cho & Bengio 2014, over its own past)."""

    def __init__(
        self, cell: Any, attn_length: int, attn_size: int | None = None, attn_vec_size: int | None = None,
        input_size: int | None = None, state_is_tuple: bool = True, reuse: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(cell, reuse)
        if attn_length <= 0:
            raise ValueError(f"attn_length should be greater than zero, got {attn_length}")
        self._length, self._attn_size = int(attn_length), int(attn_size or cell.output_size)
        self._vec_size, self._input_size = int(attn_vec_size or self._attn_size), input_size
        if not state_is_tuple:
            raise ValueError("AttentionCellWrapper takes and gives tuples of states: state_is_tuple=True")

    @property
    def state_size(self) -> Any:
        """The cell's, the attention's, and the outputs remembered."""
        return self._cell.state_size, self._attn_size, self._attn_size * self._length

    @property
    def output_size(self) -> int:
        """The size of the attention."""
        return self._attn_size

    def zero_state(self, batch_size: Any, dtype: Any = "float32") -> Any:
        """Zeros."""
        return RNNCell.zero_state(self, batch_size, dtype)

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        own, attention, past = state
        size = self._input_size or (extents(inputs) or (None,))[-1]
        with variable_scope("input_projection"):
            given = _projected(concatenate(inputs, attention, axis=1), int(size or 0))
        output, new = self._cell(given, own)
        remembered = reshape(past, shape=(-1, self._length, self._attn_size))
        query = concatenate(*(new if isinstance(new, tuple) else (new,)), axis=1)
        attended, remembered = self._attention(query, remembered)
        with variable_scope("attn_output_projection"):
            output = _projected(concatenate(output, attended, axis=1), self._attn_size)
        remembered = concatenate(remembered, expand_dims(output, axis=1), axis=1)
        return output, (new, attended, reshape(remembered, shape=(-1, self._attn_size * self._length)))

    def _attention(self, query: Any, past: Any) -> tuple[Any, Any]:
        with variable_scope("attention"):
            k = get_variable("attn_w", [1, 1, self._attn_size, self._vec_size])
            v = get_variable("attn_v", [self._vec_size])
            features = matmul(past, reshape(k, shape=(self._attn_size, self._vec_size)))
            wanted = expand_dims(_projected(query, self._vec_size), axis=1)
            weights = softmax(sum_over(multiply(v, tanh(add(features, wanted))), axis=2))
            found = sum_over(multiply(expand_dims(weights, axis=-1), past), axis=1)
            return found, past[:, 1:]


class CompiledWrapper(Around):
    """The cell itself: sessions compile whole runs."""

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        return self._cell(inputs, state)


def transpose_batch_time(x: Any) -> Any:
    """[batch, time, ...] as [time, batch, ...]."""
    given = tensor(x)
    return transpose(given, axes=(1, 0, *range(2, len(extents(given) or (0, 0)))))


def stack_bidirectional_dynamic_rnn(
    cells_fw: Any, cells_bw: Any, inputs: Any, initial_states_fw: Any = None, initial_states_bw: Any = None,
    dtype: Any = None, sequence_length: Any = None, parallel_iterations: Any = None, time_major: bool = False,
    scope: Any = None, swap_memory: bool = False,
) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:  # fmt: skip
    """Bidirectional layers on top of one another, each fed both outputs of the one below."""
    outputs, forward, backward = inputs, [], []
    with variable_scope(scope or "stack_bidirectional_rnn"):
        for i, (fw, bw) in enumerate(zip(cells_fw, cells_bw, strict=True)):
            with variable_scope(f"cell_{i}"):
                both, (state_fw, state_bw) = bidirectional_dynamic_rnn(
                    fw, bw, outputs, sequence_length, initial_states_fw and initial_states_fw[i],
                    initial_states_bw and initial_states_bw[i], dtype, time_major=time_major,
                )  # fmt: skip
                outputs = concatenate(*both, axis=2)
            forward.append(state_fw)
            backward.append(state_bw)
    return outputs, tuple(forward), tuple(backward)


def stack_bidirectional_rnn(
    cells_fw: Any, cells_bw: Any, inputs: Any, initial_states_fw: Any = None, initial_states_bw: Any = None,
    dtype: Any = None, sequence_length: Any = None, scope: Any = None,
) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:  # fmt: skip
    """Bidirectional layers on top of one another, over a list of steps."""
    outputs, forward, backward = inputs, [], []
    with variable_scope(scope or "stack_bidirectional_rnn"):
        for i, (fw, bw) in enumerate(zip(cells_fw, cells_bw, strict=True)):
            with variable_scope(f"cell_{i}"):
                outputs, state_fw, state_bw = static_bidirectional_rnn(
                    fw, bw, outputs, initial_states_fw and initial_states_fw[i],
                    initial_states_bw and initial_states_bw[i], dtype, sequence_length,
                )  # fmt: skip
            forward.append(state_fw)
            backward.append(state_bw)
    return outputs, tuple(forward), tuple(backward)


__all__ = [
    "AttentionCellWrapper", "CompiledWrapper", "EmbeddingWrapper", "GRUBlockCell", "GRUBlockCellV2",
    "InputProjectionWrapper", "LSTMBlockCell", "LayerNormBasicLSTMCell", "OutputProjectionWrapper",
    "stack_bidirectional_dynamic_rnn", "stack_bidirectional_rnn", "transpose_batch_time",
]  # fmt: skip
