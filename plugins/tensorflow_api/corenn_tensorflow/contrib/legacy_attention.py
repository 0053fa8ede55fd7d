"""Decoders of ``tf.contrib.legacy_seq2seq`` that attend to the states of the encoder (Vinyals et al. 2014)."""

from __future__ import annotations

import copy
from typing import Any

import corenn
from corenn import tree
from corenn_tensorflow import initializers
from corenn_tensorflow.functions.flow import cond
from corenn_tensorflow.layer_base import channels
from corenn_tensorflow.mode import default_graph
from corenn_tensorflow.nn.activations import bias_add, tanh
from corenn_tensorflow.nn.embedding import lookup
from corenn_tensorflow.nn.recurrent import static_rnn
from corenn_tensorflow.operands import dynamic_shape, extents, tensor
from corenn_tensorflow.scopes import get_variable, get_variable_scope, variable_scope


def _linear(parts: list[Any], size: int) -> Any:
    given = corenn.concatenate(*parts, axis=1) if len(parts) > 1 else parts[0]
    kernel = get_variable("kernel", [channels("attention_decoder", given.get_shape()), size])
    return bias_add(corenn.matmul(given, kernel), get_variable("bias", [size], initializer=initializers.Zeros()))


class _Attention:
    """What a state sees of the encoder's states [batch, length, size], for each head."""

    def __init__(self, states: Any, heads: int) -> None:
        self.size = channels("attention_decoder", states.get_shape())
        self.states, self.features, self.v = states, [], []
        for head in range(heads):
            k = get_variable(f"AttnW_{head}", [1, 1, self.size, self.size])
            self.features.append(corenn.matmul(states, corenn.reshape(k, shape=(self.size, self.size))))
            self.v.append(get_variable(f"AttnV_{head}", [self.size]))

    def __call__(self, query: Any) -> list[Any]:
        found = []
        leaves = list(tree.leaves(query))
        for head, (features, v) in enumerate(zip(self.features, self.v, strict=True)):
            with variable_scope(f"Attention_{head}"):
                wanted = corenn.expand_dims(_linear(leaves, self.size), axis=1)
                scores = corenn.sum(v * tanh(features + wanted), axis=2)
                weights = corenn.expand_dims(corenn.nn.softmax(scores, axis=-1), axis=-1)
                found.append(corenn.sum(weights * self.states, axis=1))
        return found


def attention_decoder(
    decoder_inputs: Any, initial_state: Any, attention_states: Any, cell: Any, output_size: int | None = None,
    num_heads: int = 1, loop_function: Any = None, dtype: Any = None, scope: Any = None,
    initial_state_attention: bool = False,
) -> tuple[list[Any], Any]:  # fmt: skip
    """A cell over a list of inputs [batch, size] that attends to ``attention_states`` [batch, length, size].

    With ``loop_function(output, i)``, over what that makes of the outputs.  The first step attends to nothing, unless
    ``initial_state_attention``.
    """
    if not decoder_inputs:
        raise ValueError("Must provide at least 1 input to attention decoder.")
    if num_heads < 1:
        raise ValueError("With less than 1 heads, use a non-attention decoder.")
    with default_graph().as_default(), variable_scope(scope or "attention_decoder"):
        size = int(output_size if output_size is not None else cell.output_size)
        attend = _Attention(tensor(attention_states), num_heads)
        state, outputs, last = initial_state, [], None
        batch = dynamic_shape(tensor(decoder_inputs[0]))[0]
        seen = [corenn.zeros((batch, attend.size), dtype=attend.states.dtype) for _ in range(num_heads)]
        if initial_state_attention:
            seen = attend(initial_state)
        for i, given in enumerate(decoder_inputs):
            if i > 0:
                get_variable_scope().reuse_variables()
            if loop_function is not None and last is not None:
                with variable_scope("loop_function", reuse=True):
                    given = loop_function(last, i)
            mixed = _linear([given, *seen], int((extents(tensor(given)) or (0,))[-1] or 0))
            output, state = cell(mixed, state)
            with variable_scope(get_variable_scope(), reuse=True if i == 0 and initial_state_attention else None):
                seen = attend(state)
            with variable_scope("AttnOutputProjection"):
                output = _linear([output, *seen], size)
            if loop_function is not None:
                last = output
            outputs.append(output)
        return outputs, state


def embedding_attention_decoder(
    decoder_inputs: Any, initial_state: Any, attention_states: Any, cell: Any, num_symbols: int, embedding_size: int,
    num_heads: int = 1, output_size: int | None = None, output_projection: Any = None, feed_previous: bool = False,
    update_embedding_for_previous: bool = True, dtype: Any = None, scope: Any = None,
    initial_state_attention: bool = False,
) -> tuple[list[Any], Any]:  # fmt: skip
    """``attention_decoder`` of embedded symbols; with ``feed_previous`` all but the first are its own best ones."""
    from corenn_tensorflow.contrib.legacy_seq2seq import _extract_argmax_and_embed

    with variable_scope(scope or "embedding_attention_decoder"):
        embedding = get_variable("embedding", [num_symbols, embedding_size])
        loop = None
        if feed_previous:
            loop = _extract_argmax_and_embed(embedding, output_projection, update_embedding_for_previous)
        embedded = [lookup(embedding, i, "mod", None, None) for i in decoder_inputs]
        return attention_decoder(
            embedded, initial_state, attention_states, cell, output_size, num_heads, loop,
            initial_state_attention=initial_state_attention,
        )  # fmt: skip


def embedding_attention_seq2seq(
    encoder_inputs: Any, decoder_inputs: Any, cell: Any, num_encoder_symbols: int, num_decoder_symbols: int,
    embedding_size: int, num_heads: int = 1, output_projection: Any = None, feed_previous: Any = False,
    dtype: Any = None, scope: Any = None, initial_state_attention: bool = False,
) -> tuple[list[Any], Any]:  # fmt: skip
    """A cell encodes embedded symbols; another decodes to embedded symbols and attends to all the encoder gave.

    ``feed_previous`` may be a tensor: then each run decides.
    """
    from corenn_tensorflow.contrib.rnn import EmbeddingWrapper, OutputProjectionWrapper

    with variable_scope(scope or "embedding_attention_seq2seq"):
        encoder = EmbeddingWrapper(copy.deepcopy(cell), num_encoder_symbols, embedding_size)
        given, state = static_rnn(encoder, encoder_inputs, dtype=dtype or "float32")
        states = corenn.stack(*given, axis=1)
        size = None
        if output_projection is None:
            cell, size = OutputProjectionWrapper(cell, num_decoder_symbols), num_decoder_symbols

        def decode(fed: bool, reuse: Any = None) -> tuple[list[Any], Any]:
            with variable_scope(get_variable_scope(), reuse=reuse):
                return embedding_attention_decoder(
                    decoder_inputs, state, states, cell, num_decoder_symbols, embedding_size, num_heads, size,
                    output_projection, fed, initial_state_attention=initial_state_attention,
                )  # fmt: skip

        if isinstance(feed_previous, bool):
            return decode(feed_previous)
        found: tuple[list[Any], Any] = cond(feed_previous, lambda: decode(True), lambda: decode(False, reuse=True))
        return found


__all__ = ["attention_decoder", "embedding_attention_decoder", "embedding_attention_seq2seq"]
