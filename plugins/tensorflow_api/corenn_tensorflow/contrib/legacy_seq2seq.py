"""``tf.contrib.legacy_seq2seq``: sequence to sequence over lists of steps, and losses of sequences."""

from __future__ import annotations

import copy
from typing import Any

from corenn.ops.elementwise import add, cast, divide, multiply, stop_gradient
from corenn.ops.reduction import argmax
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import reshape
from corenn_tensorflow import missing
from corenn_tensorflow.contrib.legacy_attention import (
    attention_decoder,
    embedding_attention_decoder,
    embedding_attention_seq2seq,
)
from corenn_tensorflow.mode import default_graph, scope
from corenn_tensorflow.nn.activations import xw_plus_b
from corenn_tensorflow.nn.embedding import lookup
from corenn_tensorflow.nn.entropy import sparse_entropy
from corenn_tensorflow.nn.recurrent import static_rnn
from corenn_tensorflow.operands import dynamic_shape, tensor
from corenn_tensorflow.scopes import get_variable, get_variable_scope, variable_scope


def _total(parts: list[Any]) -> Any:
    found = parts[0]
    for part in parts[1:]:
        found = add(found, part)
    return found


def sequence_loss_by_example(
    logits: Any, targets: Any, weights: Any, average_across_timesteps: bool = True,
    softmax_loss_function: Any = None, name: str | None = None,
) -> Any:  # fmt: skip
    """The weighted cross entropy of each sequence of a batch, of lists with an element for each step."""
    if len(targets) != len(logits) or len(weights) != len(logits):
        raise ValueError(
            f"Lengths of logits, weights, and targets must be the same {len(logits)}, {len(weights)}, {len(targets)}."
        )
    with scope(name, "sequence_loss_by_example", *logits, *targets, *weights):
        found = []
        for score, target, weight in zip(logits, targets, weights, strict=True):
            if softmax_loss_function is None:
                loss = sparse_entropy(reshape(tensor(target), shape=(-1,)), score, None)
            else:
                loss = softmax_loss_function(labels=target, logits=score)
            found.append(multiply(loss, tensor(weight)))
        total = _total(found)
        if average_across_timesteps:
            total = divide(total, add(_total([tensor(w) for w in weights]), 1e-12))
        return total


def sequence_loss(
    logits: Any, targets: Any, weights: Any, average_across_timesteps: bool = True, average_across_batch: bool = True,
    softmax_loss_function: Any = None, name: str | None = None,
) -> Any:  # fmt: skip
    """``sequence_loss_by_example`` summed over the batch, or its mean."""
    with scope(name, "sequence_loss", *logits, *targets, *weights):
        by_example = sequence_loss_by_example(logits, targets, weights, average_across_timesteps, softmax_loss_function)
        cost = sum_over(by_example)
        if average_across_batch:
            return divide(cost, cast(tensor(dynamic_shape(tensor(targets[0]))[0], None, cost), dtype=cost.dtype))
        return cost


def rnn_decoder(
    decoder_inputs: Any, initial_state: Any, cell: Any, loop_function: Any = None, scope: Any = None
) -> tuple[list[Any], Any]:
    """A cell over a list of inputs; with ``loop_function(output, i)``, over what that makes of the outputs."""
    with default_graph().as_default(), variable_scope(scope or "rnn_decoder"):
        state, outputs, last = initial_state, [], None
        for i, given in enumerate(decoder_inputs):
            if loop_function is not None and last is not None:
                with variable_scope("loop_function", reuse=True):
                    given = loop_function(last, i)
            if i > 0:
                get_variable_scope().reuse_variables()
            output, state = cell(given, state)
            outputs.append(output)
            if loop_function is not None:
                last = output
        return outputs, state


def basic_rnn_seq2seq(
    encoder_inputs: Any, decoder_inputs: Any, cell: Any, dtype: Any = "float32", scope: Any = None
) -> tuple[list[Any], Any]:
    """One cell encodes a list of inputs, a copy decodes from its last state."""
    with variable_scope(scope or "basic_rnn_seq2seq"):
        _, state = static_rnn(copy.deepcopy(cell), encoder_inputs, dtype=dtype)
        return rnn_decoder(decoder_inputs, state, cell)


def tied_rnn_seq2seq(
    encoder_inputs: Any, decoder_inputs: Any, cell: Any, loop_function: Any = None, dtype: Any = "float32",
    scope: Any = None,
) -> tuple[list[Any], Any]:  # fmt: skip
    """The same cell encodes and decodes."""
    with variable_scope("combined_tied_rnn_seq2seq"):
        name = scope or "tied_rnn_seq2seq"
        _, state = static_rnn(cell, encoder_inputs, dtype=dtype, scope=name)
        get_variable_scope().reuse_variables()
        return rnn_decoder(decoder_inputs, state, cell, loop_function, scope=name)


def _extract_argmax_and_embed(embedding: Any, output_projection: Any = None, update_embedding: bool = True) -> Any:
    def loop_function(last: Any, _: int) -> Any:
        if output_projection is not None:
            last = xw_plus_b(last, output_projection[0], output_projection[1])
        found = lookup(embedding, argmax(last, axis=1), "mod", None, None)
        return found if update_embedding else stop_gradient(found)

    return loop_function


def embedding_rnn_decoder(
    decoder_inputs: Any, initial_state: Any, cell: Any, num_symbols: int, embedding_size: int,
    output_projection: Any = None, feed_previous: bool = False, update_embedding_for_previous: bool = True,
    scope: Any = None,
) -> tuple[list[Any], Any]:  # fmt: skip
    """``rnn_decoder`` of embedded symbols; with ``feed_previous`` all but the first are its own best ones."""
    with variable_scope(scope or "embedding_rnn_decoder"):
        embedding = get_variable("embedding", [num_symbols, embedding_size])
        loop = None
        if feed_previous:
            loop = _extract_argmax_and_embed(embedding, output_projection, update_embedding_for_previous)
        embedded = [lookup(embedding, i, "mod", None, None) for i in decoder_inputs]
        return rnn_decoder(embedded, initial_state, cell, loop)


def embedding_rnn_seq2seq(
    encoder_inputs: Any, decoder_inputs: Any, cell: Any, num_encoder_symbols: int, num_decoder_symbols: int,
    embedding_size: int, output_projection: Any = None, feed_previous: bool = False, dtype: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any]:  # fmt: skip
    """A cell encodes embedded symbols, another decodes to embedded symbols."""
    from corenn_tensorflow.contrib.rnn import EmbeddingWrapper, OutputProjectionWrapper

    with variable_scope(scope or "embedding_rnn_seq2seq"):
        encoder = EmbeddingWrapper(copy.deepcopy(cell), num_encoder_symbols, embedding_size)
        _, state = static_rnn(encoder, encoder_inputs, dtype=dtype or "float32")
        if output_projection is None:
            cell = OutputProjectionWrapper(cell, num_decoder_symbols)
        return embedding_rnn_decoder(
            decoder_inputs, state, cell, num_decoder_symbols, embedding_size, output_projection, bool(feed_previous)
        )


def model_with_buckets(
    encoder_inputs: Any, decoder_inputs: Any, targets: Any, weights: Any, buckets: Any, seq2seq: Any,
    softmax_loss_function: Any = None, per_example_loss: bool = False, name: str | None = None,
) -> tuple[list[Any], list[Any]]:  # fmt: skip
    """Outputs and losses of ``seq2seq`` for each bucket (length of the source, length of the target)."""
    outputs, losses = [], []
    compute = sequence_loss_by_example if per_example_loss else sequence_loss
    with scope(name, "model_with_buckets", *encoder_inputs):
        for i, (source, target) in enumerate(buckets):
            with variable_scope(get_variable_scope(), reuse=True if i > 0 else None):
                found, _ = seq2seq(encoder_inputs[:source], decoder_inputs[:target])
                outputs.append(found)
                losses.append(
                    compute(found, targets[:target], weights[:target], softmax_loss_function=softmax_loss_function)
                )
    return outputs, losses


__getattr__ = missing.guard(__name__)

__all__ = [
    "attention_decoder", "basic_rnn_seq2seq", "embedding_attention_decoder", "embedding_attention_seq2seq",
    "embedding_rnn_decoder", "embedding_rnn_seq2seq", "model_with_buckets", "rnn_decoder", "sequence_loss",
    "sequence_loss_by_example", "tied_rnn_seq2seq",
]  # fmt: skip
