"""Losses of examples made one number, and what labels are without repetitions."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import corenn
from corenn.ops.elementwise import cast, divide, multiply
from corenn_tensorflow.functions.hosting import on_host_many
from corenn_tensorflow.operands import extents, like, tensor
from corenn_tensorflow.writing import writable


def compute_average_loss(
    per_example_loss: Any, sample_weight: Any = None, global_batch_size: Any = None,
    max_loss_value_for_mean: Any = None,
) -> Any:  # fmt: skip
    """The (weighted) sum of losses, divided by ``global_batch_size``, which is the number of examples by default."""
    losses = tensor(per_example_loss)
    if (extents(losses) or (1,)) == ():
        raise ValueError("Input of compute_average_loss must have rank > 0")
    if not losses.dtype.is_floating:
        losses = cast(losses, dtype="float32")
    if sample_weight is not None:
        losses = multiply(losses, like(sample_weight, losses))
    count = global_batch_size
    if count is None:
        found = extents(losses)
        count = found[0] if found and found[0] is not None else corenn.graph.shape(losses)[0]
    return divide(corenn.sum(losses), cast(tensor(count, None, losses), dtype=losses.dtype))


def scale_regularization_loss(regularization_loss: Any) -> Any:
    """The sum of the penalties, divided by the number of replicas: one."""
    return corenn.sum(tensor(regularization_loss))


@writable("nn.collapsed")
def _collapsed(labels: Any, lengths: Any) -> Any:
    found, sizes = np.zeros_like(labels), np.zeros(len(labels), np.int32)
    for i, (row, n) in enumerate(zip(labels, lengths, strict=True)):
        given = row[: int(n)]
        kept = given[np.append(True, given[1:] != given[:-1])] if len(given) else given
        found[i, : len(kept)], sizes[i] = kept, len(kept)
    return found[:, : max(int(sizes.max(initial=0)), 0)], sizes


def collapse_repeated(labels: Any, seq_length: Any, name: str | None = None) -> tuple[Any, Any]:
    """Each row of labels [batch, most] without repetitions, and the lengths that are left."""
    given = tensor(labels)
    batch = (extents(given) or (None,))[0]
    results = [((batch, None), given.dtype), ((batch,), "int32")]
    inputs = [given, tensor(seq_length, None, given)]
    return on_host_many("CollapseRepeated", name, functools.partial(_collapsed), inputs, results)  # type: ignore[return-value]


__all__ = ["collapse_repeated", "compute_average_loss", "scale_regularization_loss"]
