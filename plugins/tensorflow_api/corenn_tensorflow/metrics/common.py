"""What streaming metrics share: local variables that count, a value, and an operation that updates it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from corenn.dtypes import as_dtype, float32
from corenn.errors import UsageError
from corenn.ops.creation import full
from corenn.ops.elementwise import cast, divide, multiply, where
from corenn.ops.logic import equal
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import broadcast_to, reshape, squeeze
from corenn.tensor import Tensor
from corenn_tensorflow.framework import GraphKeys
from corenn_tensorflow.mode import default_graph, executing_eagerly, one
from corenn_tensorflow.operands import dynamic_shape, extents, filled_like, like, tensor
from corenn_tensorflow.scopes import variable_scope
from corenn_tensorflow.variables import make_variable

Pair = tuple[Any, Any]  #: (value, update operation)


def opened(name: str | None, default: str) -> AbstractContextManager[Any]:
    """The scope of a metric; UsageError where there is no graph to count in."""
    if executing_eagerly():
        raise UsageError(
            f"tf.metrics.{default}", "is not supported when eager execution is enabled",
            hint="tf.keras.metrics has objects with update_state() and result()",
        )  # fmt: skip
    return variable_scope(name, default)


def counter(name: str, shape: tuple[int, ...] = (), dtype: Any = float32) -> Any:
    """A local variable of zeros."""
    kind = as_dtype(dtype)
    collections = [GraphKeys.LOCAL_VARIABLES, GraphKeys.METRIC_VARIABLES]
    return make_variable(
        lambda: full(shape, 0, kind), trainable=False, collections=collections, name=name, dtype=kind
    )  # fmt: skip


def finished(value: Any, update: Any, metrics_collections: Any = None, updates_collections: Any = None) -> Pair:
    """Both, put into the collections asked for."""
    graph = default_graph()
    for collections, found in ((metrics_collections, value), (updates_collections, update)):
        for name in [collections] if isinstance(collections, str) else collections or ():
            graph.add_to_collection(name, found)
    return value, update


def ratio(numerator: Any, denominator: Any, name: str | None = None) -> Tensor:
    """``numerator / denominator``, 0 where the denominator is 0."""
    divisor = tensor(denominator)
    nothing = equal(divisor, 0.0)
    quotient = divide(tensor(numerator), where(nothing, 1.0, divisor))
    return one("DivNoNan", name, where, nothing, 0.0, quotient)


def floats(x: Any, beside: Any = None) -> Tensor:
    """``x`` as a float32 tensor."""
    found = tensor(x, None, beside)
    return found if found.dtype is float32 else cast(found, dtype=float32)


def squeezed(labels: Tensor, predictions: Tensor) -> tuple[Tensor, Tensor]:
    """Both with one number of axes: an axis of extent 1 at the end of the longer one is dropped."""
    a, b = extents(labels), extents(predictions)
    if a is None or b is None:
        return labels, predictions
    if len(a) == len(b) + 1 and a[-1] in (1, None):
        return squeeze(labels, axis=-1), predictions
    if len(b) == len(a) + 1 and b[-1] in (1, None):
        return labels, squeeze(predictions, axis=-1)
    return labels, predictions


def together(where_: str, labels: Any, predictions: Any) -> tuple[Tensor, Tensor]:
    """Labels and predictions of one shape, as tensors; UsageError where they differ."""
    given = tensor(labels, None, predictions)
    found = tensor(predictions, None, given)
    given, found = squeezed(given, found)
    a, b = extents(given), extents(found)
    if a is not None and b is not None and (
        len(a) != len(b) or any(m is not None and n is not None and m != n for m, n in zip(a, b, strict=True))
    ):  # fmt: skip
        raise UsageError(f"tf.metrics.{where_}", "labels and predictions have different shapes",
                         {"labels": a, "predictions": b}, hint="tf.argmax(..., 1) makes classes of scores")  # fmt: skip
    return given, found


def spread(weights: Any, values: Tensor) -> Tensor:
    """Weights of the shape of the values."""
    heavy = like(weights, values) if values.dtype is float32 else floats(weights, values)
    a, b = extents(heavy), extents(values)
    if a and b is not None and len(a) == len(b) - 1:
        heavy = reshape(heavy, shape=(-1, 1)) if len(a) == 1 else heavy[..., None]
    elif a and b is not None and len(a) == len(b) + 1 and a[-1] == 1:
        heavy = squeeze(heavy, axis=-1)
    return broadcast_to(heavy, shape=dynamic_shape(values))


def weighed(values: Tensor, weights: Any) -> tuple[Tensor, Tensor]:
    """The sum of the weighted values, and that of the weights (of 1 each, where there are none)."""
    if weights is None:
        return sum_over(values), sum_over(filled_like(values, 1.0, float32))
    heavy = spread(weights, values)
    return sum_over(multiply(values, heavy)), sum_over(heavy)


__all__ = ["Pair", "counter", "finished", "floats", "opened", "ratio", "spread", "squeezed", "together", "weighed"]
