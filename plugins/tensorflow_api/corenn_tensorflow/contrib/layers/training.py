"""``optimize_loss``, embeddings of sequences, and summaries of what layers give."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from corenn.errors import UsageError
from corenn.ops.elementwise import add, identity, multiply
from corenn.ops.random import normal
from corenn.ops.reduction import mean
from corenn_tensorflow.contrib.framework.variables import model_variable
from corenn_tensorflow.framework import GraphKeys
from corenn_tensorflow.mode import default_graph
from corenn_tensorflow.nn.embedding import lookup
from corenn_tensorflow.operands import dynamic_shape, extents, tensor
from corenn_tensorflow.scopes import get_variable, variable_scope

#: What ``optimize_loss`` can summarise.
OPTIMIZER_SUMMARIES = [
    "learning_rate", "loss", "gradients", "gradient_norm", "global_gradient_norm",
]  # fmt: skip

#: Names of optimizers that ``optimize_loss`` takes, and their names in ``tf.train``.
OPTIMIZER_CLS_NAMES = {
    "Adagrad": "AdagradOptimizer", "Adam": "AdamOptimizer", "Ftrl": "FtrlOptimizer",
    "Momentum": "MomentumOptimizer", "RMSProp": "RMSPropOptimizer", "SGD": "GradientDescentOptimizer",
}  # fmt: skip


def _optimizer(optimizer: Any, rate: Any) -> Any:
    from corenn_tensorflow import train

    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZER_CLS_NAMES:
            known = ", ".join(OPTIMIZER_CLS_NAMES)
            raise ValueError(f"Optimizer name should be one of [{known}], you provided {optimizer}.")
        if rate is None:
            raise ValueError("Learning rate is None, but should be specified if optimizer is a name.")
        more = {"momentum": 0.9} if optimizer == "Momentum" else {}
        return getattr(train, OPTIMIZER_CLS_NAMES[optimizer])(learning_rate=rate, **more)
    if isinstance(optimizer, type):
        return optimizer(learning_rate=rate)
    if hasattr(optimizer, "apply_gradients"):
        return optimizer
    return optimizer(rate) if rate is not None else optimizer()


def optimize_loss(
    loss: Any, global_step: Any, learning_rate: Any, optimizer: Any, gradient_noise_scale: float | None = None,
    gradient_multipliers: dict[Any, float] | None = None, clip_gradients: Any = None,
    learning_rate_decay_fn: Callable[[Any, Any], Any] | None = None, update_ops: Any = None, variables: Any = None,
    name: str | None = None, summaries: Any = None, colocate_gradients_with_ops: bool = False,
    increment_global_step: bool = True,
) -> Any:  # fmt: skip
    """An operation that takes a step of an optimizer (given by name, class, object or function) and gives the loss.

    ``summaries``: which of ``OPTIMIZER_SUMMARIES`` to add; by default loss, learning rate and the gradients' norm.
    """
    from corenn_tensorflow import summary, train
    from corenn_tensorflow.functions.differentiating import clip_by_global_norm, global_norm

    chosen = ("loss", "learning_rate", "global_gradient_norm") if summaries is None else tuple(summaries)
    for wanted in chosen:
        if wanted not in OPTIMIZER_SUMMARIES:
            raise ValueError(f"Summaries should be one of [{', '.join(OPTIMIZER_SUMMARIES)}], you provided {wanted}.")

    graph = default_graph()
    with variable_scope(name, "OptimizeLoss", [loss, global_step]):
        step = train.get_global_step() if global_step is None else global_step
        pending = set(graph.get_collection(GraphKeys.UPDATE_OPS) if update_ops is None else update_ops)
        if pending:
            with graph.control_dependencies(list(pending)):
                loss = identity(loss)
        rate = learning_rate
        if rate is not None and not hasattr(rate, "dtype"):
            rate = get_variable("learning_rate", [], trainable=False, initializer=_constant(float(rate)))
        if learning_rate_decay_fn is not None:
            if step is None:
                raise ValueError("global_step is required for learning_rate_decay_fn.")
            rate = learning_rate_decay_fn(rate, step)
        if rate is not None and "learning_rate" in chosen:
            summary.scalar("learning_rate", rate)
        found = _optimizer(optimizer, rate)
        pairs = [(g, v) for g, v in found.compute_gradients(loss, variables) if g is not None]
        if gradient_noise_scale is not None:
            pairs = [
                (add(g, multiply(normal(dynamic_shape(g), dtype=g.dtype), float(gradient_noise_scale))), v)
                for g, v in pairs
            ]
        if gradient_multipliers:
            pairs = [
                (multiply(g, gradient_multipliers.get(v, gradient_multipliers.get(v.op.name, 1.0))), v)
                for g, v in pairs
            ]
        if {"global_gradient_norm", "gradient_norm"} & {*chosen}:
            summary.scalar("global_norm/gradient_norm", global_norm([g for g, _ in pairs]))
        if isinstance(clip_gradients, (int, float)):
            clipped, _ = clip_by_global_norm([g for g, _ in pairs], clip_gradients)
            pairs = list(zip(clipped, [v for _, v in pairs], strict=True))
        elif callable(clip_gradients):
            pairs = clip_gradients(pairs)
        elif clip_gradients is not None:
            raise ValueError(f"Unknown type {type(clip_gradients)} for clip_gradients")
        if "loss" in chosen:
            summary.scalar("loss", loss)
        for g, v in pairs:
            label, values = v.name.replace(":", "_"), getattr(g, "values", g)
            if "gradients" in chosen:
                summary.histogram(f"gradients/{label}", values)
            if "gradient_norm" in chosen:
                summary.scalar(f"gradient_norm/{label}", global_norm([g]))
        if clip_gradients is not None and {"global_gradient_norm", "gradient_norm"} & {*chosen}:
            summary.scalar("global_norm/clipped_gradient_norm", global_norm([g for g, _ in pairs]))
        update = found.apply_gradients(pairs, global_step=step if increment_global_step else None, name="train")
        with graph.control_dependencies([update]):
            return identity(loss)


def _constant(value: float) -> Any:
    from corenn_tensorflow.initializers import Constant

    return Constant(value)


def embed_sequence(
    ids: Any, vocab_size: int | None = None, embed_dim: int | None = None, unique: bool = False,
    initializer: Any = None, regularizer: Any = None, trainable: bool = True, scope: Any = None, reuse: Any = None,
) -> Any:  # fmt: skip
    """The rows of a variable ``embeddings`` [vocab_size, embed_dim] that the ids name."""
    if not (reuse or (vocab_size and embed_dim)):
        raise ValueError("Must specify vocab size and embedding dimension when not reusing. Got vocab_size="
                         f"{vocab_size} and embed_dim={embed_dim}")  # fmt: skip
    with variable_scope(scope, "EmbedSequence", [ids], reuse=reuse):
        shape = [vocab_size, embed_dim] if vocab_size and embed_dim else None
        table = model_variable(
            "embeddings", shape=shape, initializer=initializer, regularizer=regularizer, trainable=trainable
        )
        return lookup(table, ids, "mod", None, None)


def summarize_tensor(tensor_: Any, tag: str | None = None) -> Any:
    """A scalar or histogram summary of a tensor."""
    from corenn_tensorflow import summary

    found = tensor(tensor_)
    name = tag or found.op.name
    return summary.scalar(name, found) if extents(found) == () else summary.histogram(name, found)


def summarize_activation(op: Any) -> Any:
    """A histogram of what a layer gives, and for ReLU the share of zeros."""
    from corenn_tensorflow import summary
    from corenn_tensorflow.nn.activations import zero_fraction

    if op.op.type in ("Relu", "Softplus", "Relu6"):
        summary.scalar(f"{op.op.name}/zeros", zero_fraction(op))
    return summary.histogram(f"{op.op.name}/activation", op)


def summarize_tensors(tensors: Any, summarizer: Callable[[Any], Any] = summarize_tensor) -> list[Any]:
    """A summary of each."""
    return [summarizer(t) for t in tensors]


def summarize_collection(
    collection: str, name_filter: str | None = None, summarizer: Callable[[Any], Any] = summarize_tensor
) -> list[Any]:
    """A summary of each element of a collection."""
    found = default_graph().get_collection(collection)
    return summarize_tensors([t for t in found if name_filter is None or re.match(name_filter, t.op.name)], summarizer)


def summarize_variables(
    name_filter: str | None = None, summarizer: Callable[[Any], Any] = summarize_tensor
) -> list[Any]:
    """A summary of each global variable."""
    return summarize_collection(GraphKeys.GLOBAL_VARIABLES, name_filter, summarizer)


summarize_weights = summarize_biases = summarize_variables


def summarize_activations(
    name_filter: str | None = None, summarizer: Callable[[Any], Any] = summarize_activation
) -> list[Any]:
    """A summary of each of the collected activations."""
    return summarize_collection(GraphKeys.ACTIVATIONS, name_filter, summarizer)


def bow_encoder(
    ids: Any, vocab_size: int, embed_dim: int, sparse_lookup: bool = True, initializer: Any = None,
    regularizer: Any = None, trainable: bool = True, scope: Any = None, reuse: Any = None,
) -> Any:  # fmt: skip
    """The mean of the embeddings of the ids of each example."""
    if len(extents(tensor(ids)) or ()) != 2:
        raise UsageError("bow_encoder", "takes ids [batch, length]", {"ids": extents(tensor(ids))})
    embedded = embed_sequence(ids, vocab_size, embed_dim, False, initializer, regularizer, trainable, scope, reuse)
    return mean(embedded, axis=1)


__all__ = [
    "OPTIMIZER_CLS_NAMES", "OPTIMIZER_SUMMARIES", "bow_encoder", "embed_sequence", "optimize_loss",
    "summarize_activation", "summarize_activations", "summarize_biases", "summarize_collection", "summarize_tensor",
    "summarize_tensors", "summarize_variables", "summarize_weights",
]  # fmt: skip
