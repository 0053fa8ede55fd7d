"""``tf.contrib.seq2seq``: decoders step by step, and the loss of sequences."""

from __future__ import annotations

from typing import Any

from corenn import tree
from corenn.ops.arranging import repeat
from corenn.ops.elementwise import add, divide, multiply
from corenn.ops.reduction import sum as sum_over
from corenn_tensorflow import missing
from corenn_tensorflow.contrib.seq2seq.attention import (
    AttentionMechanism,
    AttentionWrapper,
    AttentionWrapperState,
    BahdanauAttention,
    LuongAttention,
)
from corenn_tensorflow.contrib.seq2seq.beam_search import (
    BeamSearchDecoder,
    BeamSearchDecoderOutput,
    BeamSearchDecoderState,
    FinalBeamSearchDecoderOutput,
    gather_tree,
)
from corenn_tensorflow.contrib.seq2seq.decoders import BasicDecoder, BasicDecoderOutput, Decoder, dynamic_decode
from corenn_tensorflow.contrib.seq2seq.helpers import (
    GreedyEmbeddingHelper,
    Helper,
    SampleEmbeddingHelper,
    TrainingHelper,
)
from corenn_tensorflow.contrib.seq2seq.scheduled import (
    CustomHelper,
    InferenceHelper,
    ScheduledEmbeddingTrainingHelper,
    ScheduledOutputTrainingHelper,
)
from corenn_tensorflow.mode import scope
from corenn_tensorflow.nn.entropy import sparse_entropy
from corenn_tensorflow.operands import extents, like, tensor


def sequence_loss(
    logits: Any, targets: Any, weights: Any, average_across_timesteps: bool = True, average_across_batch: bool = True,
    sum_over_timesteps: bool = False, sum_over_batch: bool = False, softmax_loss_function: Any = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The weighted cross entropy of ``logits`` [batch, time, classes] and class numbers [batch, time].

    Averaged (weighted) over what is asked for: over all, over the steps, over the batch, or not at all.
    """
    if len(extents(tensor(logits)) or (0, 0, 0)) != 3:
        raise ValueError("Logits must be a [batch_size x sequence_length x logits] tensor")
    with scope(name, "sequence_loss", logits, targets, weights):
        if softmax_loss_function is None:
            losses = sparse_entropy(targets, logits, None)
        else:
            losses = softmax_loss_function(labels=targets, logits=logits)
        heavy = like(weights, losses)
        losses = multiply(losses, heavy)
        axes = []
        if average_across_timesteps or sum_over_timesteps:
            axes.append(1)
        if average_across_batch or sum_over_batch:
            axes.append(0)
        if not axes:
            return losses
        total = sum_over(losses, axis=tuple(axes))
        if sum_over_timesteps or sum_over_batch:
            return total
        return divide(total, add(sum_over(heavy, axis=tuple(axes)), 1e-12))


def tile_batch(t: Any, multiplier: int, name: str | None = None) -> Any:
    """Each example of a batch ``multiplier`` times."""
    return tree.tree_map(lambda x: repeat(tensor(x), repeats=int(multiplier), axis=0), t)


__getattr__ = missing.guard(__name__)

__all__ = [
    "AttentionMechanism", "AttentionWrapper", "AttentionWrapperState", "BahdanauAttention", "BasicDecoder",
    "BasicDecoderOutput", "BeamSearchDecoder", "BeamSearchDecoderOutput", "BeamSearchDecoderState", "CustomHelper",
    "Decoder", "FinalBeamSearchDecoderOutput", "GreedyEmbeddingHelper", "Helper", "InferenceHelper", "LuongAttention",
    "SampleEmbeddingHelper", "ScheduledEmbeddingTrainingHelper", "ScheduledOutputTrainingHelper", "TrainingHelper",
    "dynamic_decode", "gather_tree", "sequence_loss", "tile_batch",
]  # fmt: skip
