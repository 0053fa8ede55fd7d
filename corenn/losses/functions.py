"""Loss functions: of labels and predictions, one value per sample.

Each takes ``(y_true, y_pred)`` and returns shape ``y_pred.shape[:-1]``: the mean (or the sum, for distributions) over
the last axis.  Formulas are those of Keras 3 unless said otherwise.

Shapes: ``y_true`` and ``y_pred`` must be equal in shape; nothing is broadcast.  The one liberty is a last axis of
extent 1 that one of them lacks: ``(N,)`` beside ``(N, 1)`` is read as ``(N, 1)``.  Predictions of 16 bits are computed
with in float32; labels take the dtype of the predictions.
"""

from __future__ import annotations

import math

from corenn import dtypes
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops.activations import sigmoid, softplus
from corenn.ops.creation import tensor
from corenn.ops.elementwise import abs as absolute
from corenn.ops.elementwise import clip, maximum, minimum, power, square, squared_difference
from corenn.ops.elementwise import where as choose
from corenn.ops.gathering import take_along_axis
from corenn.ops.logic import equal, less, logical_or, not_equal
from corenn.ops.reduction import all as all_over
from corenn.ops.reduction import max as max_over
from corenn.ops.reduction import mean
from corenn.ops.reduction import min as min_over
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import expand_dims, reshape, squeeze
from corenn.ops.softmax import sigmoid_cross_entropy, softmax, softmax_cross_entropy, sparse_softmax_cross_entropy
from corenn.ops.table import TensorLike
from corenn.ops.transcendental import log, log1p, rsqrt
from corenn.tensor import Tensor

#: Probabilities are kept this far from 0 and 1 before logarithms.
EPSILON = 1e-7


# ---------------------------------------------------------------- labels and predictions that fit


def predictions(y_pred: TensorLike) -> Tensor:
    """``y_pred`` as a floating tensor of at least 32 bits."""
    made = y_pred if isinstance(y_pred, Tensor) else tensor(y_pred)
    return made.cast(dtypes.float32) if not made.dtype.is_inexact or made.dtype.itemsize < 4 else made


def beside(value: TensorLike, other: Tensor) -> Tensor:
    """Labels or weights as a tensor on the device of ``other``."""
    return value if isinstance(value, Tensor) else tensor(value, device=other.device)


def matched(where: str, y_true: TensorLike, y_pred: TensorLike) -> tuple[Tensor, Tensor]:
    """Labels and predictions of one shape and dtype (see the module); ShapeError, with advice, if they do not fit."""
    p = predictions(y_pred)
    y = beside(y_true, p)
    if y.shape != p.shape:
        if y.size != p.size or (y.shape != (*p.shape, 1) and p.shape != (*y.shape, 1)):
            raise _mismatch(where, y, p)
        y = reshape(y, shape=p.shape)
    return (y if y.dtype is p.dtype else y.cast(p.dtype)), p


def _mismatch(where: str, y: Tensor, p: Tensor) -> ShapeError:
    hint = None
    if y.shape[:1] != p.shape[:1]:
        hint = "the first axis is the batch: it must be the same in both"
    elif y.ndim == p.ndim - 1 or (y.ndim == p.ndim and y.shape[-1:] == (1,)):
        classes = p.shape[-1]
        hint = f"for labels that are class numbers use a sparse loss, or corenn.one_hot(y_true, depth={classes})"
    elif y.ndim == p.ndim:
        hint = f"give the model's last layer {y.shape[-1]} units, or labels with {p.shape[-1]}"
    return ShapeError(where, "y_true and y_pred differ in shape", {"y_true": y.spec, "y_pred": p.spec}, hint=hint)


def class_labels(where: str, y_true: TensorLike, y_pred: Tensor) -> Tensor:
    """Integer class numbers of shape ``y_pred.shape[:-1]``; a last axis of extent 1 is dropped."""
    y = beside(y_true, y_pred)
    wanted = y_pred.shape[:-1]
    if y.shape != wanted:
        if y.shape != (*wanted, 1):
            hint = None
            if y.shape == y_pred.shape:
                hint = "the labels look one-hot: use a categorical loss, or corenn.argmax(y_true, axis=-1)"
            shown = {"y_true": f"{y.spec}   one class number each", "y_pred": f"{y_pred.spec}   classes last"}
            raise ShapeError(where, "y_true and y_pred do not fit", shown, hint=hint)
        y = reshape(y, shape=wanted)
    if y.dtype.is_integer:
        return y
    if not y.dtype.is_floating and y.dtype is not dtypes.bool_:
        raise DTypeError(where, "class numbers must be integers", {"y_true": y.spec})
    return y.cast(dtypes.int32)


# ---------------------------------------------------------------- regression


def mean_squared_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """``mean((y_pred - y_true) ** 2)`` over the last axis."""
    y, p = matched("mean_squared_error", y_true, y_pred)
    return mean(squared_difference(p, y), axis=-1)


def mean_absolute_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """``mean(|y_pred - y_true|)`` over the last axis."""
    y, p = matched("mean_absolute_error", y_true, y_pred)
    return mean(absolute(p - y), axis=-1)


def mean_absolute_percentage_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """``100 * mean(|y_pred - y_true| / max(|y_true|, 1e-7))`` over the last axis."""
    y, p = matched("mean_absolute_percentage_error", y_true, y_pred)
    return mean(absolute(p - y) / maximum(absolute(y), EPSILON), axis=-1) * 100.0


def mean_squared_logarithmic_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """``mean((log(1 + y_pred) - log(1 + y_true)) ** 2)`` over the last axis; both are taken as at least 1e-7."""
    y, p = matched("mean_squared_logarithmic_error", y_true, y_pred)
    return mean(squared_difference(log1p(maximum(p, EPSILON)), log1p(maximum(y, EPSILON))), axis=-1)


def huber(y_true: TensorLike, y_pred: TensorLike, delta: float = 1.0) -> Tensor:
    """Mean over the last axis of ``e**2 / 2`` where ``|e| <= delta``, else of ``delta * (|e| - delta / 2)``."""
    y, p = matched("huber", y_true, y_pred)
    size = absolute(p - y)
    inner = minimum(size, delta)  # e**2 / 2 inside, and outside delta * (|e| - delta / 2), without a branch
    return mean(inner * (size - inner * 0.5), axis=-1)


def log_cosh(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """``mean(log(cosh(y_pred - y_true)))`` over the last axis, in a form that does not overflow."""
    y, p = matched("log_cosh", y_true, y_pred)
    error = p - y
    return mean(error + softplus(error * -2.0) - math.log(2.0), axis=-1)


def poisson(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """``mean(y_pred - y_true * log(y_pred + 1e-7))`` over the last axis: Poisson likelihood but for a constant."""
    y, p = matched("poisson", y_true, y_pred)
    return mean(p - y * log(p + EPSILON), axis=-1)


def cosine_similarity(y_true: TensorLike, y_pred: TensorLike, axis: int = -1) -> Tensor:
    """Minus the cosine of the angle between the vectors along ``axis``: -1 where they point the same way."""
    y, p = matched("cosine_similarity", y_true, y_pred)
    return -sum_over(_unit(y, axis) * _unit(p, axis), axis=axis)


def _unit(x: Tensor, axis: int) -> Tensor:
    return x * rsqrt(maximum(sum_over(square(x), axis=axis, keepdims=True), 1e-12))


# ---------------------------------------------------------------- margins


def _signs(y: Tensor) -> Tensor:
    """Labels in {0, 1} as -1 and 1; others (already -1 and 1) as they are."""
    binary = all_over(logical_or(equal(y, 0.0), equal(y, 1.0)))
    return choose(binary, y * 2.0 - 1.0, y)


def hinge(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """``mean(max(1 - y_true * y_pred, 0))`` over the last axis, labels -1 and 1 (0 and 1 are converted)."""
    y, p = matched("hinge", y_true, y_pred)
    return mean(maximum(1.0 - _signs(y) * p, 0.0), axis=-1)


def squared_hinge(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """``mean(max(1 - y_true * y_pred, 0) ** 2)`` over the last axis, labels -1 and 1 (0 and 1 are converted)."""
    y, p = matched("squared_hinge", y_true, y_pred)
    return mean(square(maximum(1.0 - _signs(y) * p, 0.0)), axis=-1)


def categorical_hinge(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """``max(1 + max((1 - y_true) * y_pred) - sum(y_true * y_pred), 0)`` over the last axis, labels one-hot."""
    y, p = matched("categorical_hinge", y_true, y_pred)
    wrong = max_over((1.0 - y) * p, axis=-1)
    return maximum(1.0 + wrong - sum_over(y * p, axis=-1), 0.0)


# ---------------------------------------------------------------- probabilities


def kl_divergence(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """``sum(y_true * log(y_true / y_pred))`` over the last axis, both clipped to [1e-7, 1]."""
    y, p = (clip(x, min=EPSILON, max=1.0) for x in matched("kl_divergence", y_true, y_pred))
    return sum_over(y * log(y / p), axis=-1)


def _smoothed(where: str, y: Tensor, smoothing: float, classes: int) -> Tensor:
    if not 0 <= smoothing <= 1:
        raise AttributeValueError(where, "label_smoothing must lie in [0, 1]", {"label_smoothing": smoothing})
    return y * (1.0 - smoothing) + smoothing / classes if smoothing else y


def _binary_terms(y: Tensor, p: Tensor, from_logits: bool) -> Tensor:
    if from_logits:
        return sigmoid_cross_entropy(y, p)
    q = clip(p, min=EPSILON, max=1.0 - EPSILON)
    return -(y * log(q) + (1.0 - y) * log(1.0 - q))


def binary_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, from_logits: bool = False, label_smoothing: float = 0.0
) -> Tensor:
    """``-mean(y log p + (1 - y) log(1 - p))`` over the last axis.

    ``y_pred``: probabilities, clipped to [1e-7, 1 - 1e-7], or with ``from_logits`` the arguments of a sigmoid (more
    exact).  ``label_smoothing`` s moves labels to ``y * (1 - s) + s / 2``.
    """
    y, p = matched("binary_crossentropy", y_true, y_pred)
    y = _smoothed("binary_crossentropy", y, label_smoothing, 2)
    return mean(_binary_terms(y, p, from_logits), axis=-1)


def binary_focal_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Binary cross-entropy with each term times ``(1 - p_t) ** gamma``, p_t the probability of the right class.

    ``apply_class_balancing`` also weighs positives by ``alpha`` and negatives by ``1 - alpha`` (Lin et al. 2017,
    arXiv:1708.02002).  Mean over the last axis.
    """
    y, p = matched("binary_focal_crossentropy", y_true, y_pred)
    y = _smoothed("binary_focal_crossentropy", y, label_smoothing, 2)
    q = sigmoid(p) if from_logits else p
    right = y * q + (1.0 - y) * (1.0 - q)
    terms = power(1.0 - right, gamma) * _binary_terms(y, p, from_logits)
    if apply_class_balancing:
        terms = terms * (y * alpha + (1.0 - y) * (1.0 - alpha))
    return mean(terms, axis=-1)


def _normalized(p: Tensor) -> Tensor:
    """Probabilities that sum to 1 over the last axis, kept from 0 and 1."""
    return clip(p / sum_over(p, axis=-1, keepdims=True), min=EPSILON, max=1.0 - EPSILON)


def categorical_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, from_logits: bool = False, label_smoothing: float = 0.0
) -> Tensor:
    """``-sum(y * log p)`` over the last axis, labels one-hot or any distribution.

    ``y_pred``: probabilities (divided by their sum, then clipped to [1e-7, 1 - 1e-7]), or with ``from_logits`` the
    arguments of a softmax (more exact).  ``label_smoothing`` s moves labels to ``y * (1 - s) + s / classes``.
    """
    y, p = matched("categorical_crossentropy", y_true, y_pred)
    y = _smoothed("categorical_crossentropy", y, label_smoothing, p.shape[-1] if p.shape else 1)
    if from_logits:
        return softmax_cross_entropy(y, p)
    return -sum_over(y * log(_normalized(p)), axis=-1)


def categorical_focal_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
) -> Tensor:
    """``-sum(alpha * (1 - p) ** gamma * y * log p)`` over the last axis, labels one-hot (Lin et al. 2017)."""
    y, p = matched("categorical_focal_crossentropy", y_true, y_pred)
    y = _smoothed("categorical_focal_crossentropy", y, label_smoothing, p.shape[-1] if p.shape else 1)
    q = _normalized(softmax(p) if from_logits else p)
    return -sum_over(power(1.0 - q, gamma) * y * log(q), axis=-1) * alpha


def _of_class(where: str, values: Tensor, labels: Tensor) -> Tensor:
    """The value of each sample's class; ShapeError for a label that is no class."""
    classes = values.shape[-1]
    places = choose(less(labels, 0), classes, labels)  # a negative position would count from the end
    try:
        return squeeze(take_along_axis(values, expand_dims(places, axis=-1), axis=-1), axis=-1)
    except ShapeError:
        low, high = int(min_over(labels)), int(max_over(labels))
        shown = {"y_true": f"{labels.spec}   labels {low} to {high}", "y_pred": f"{values.spec}   classes last"}
        hint = f"number the classes from 0 to {classes - 1}" if low < 0 else f"give the last layer {high + 1} units"
        raise ShapeError(where, f"there is a label that is none of the {classes} classes", shown, hint=hint) from None


def sparse_categorical_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, from_logits: bool = False, ignore_class: int | None = None
) -> Tensor:
    """``-log p[y]`` for class numbers ``y_true`` (shape ``y_pred.shape[:-1]``, or with a last axis of 1).

    ``y_pred``: probabilities or, with ``from_logits``, the arguments of a softmax, as in ``categorical_crossentropy``.
    Samples labelled ``ignore_class`` (which may be no class, as 255 or -1) give 0.
    """
    p = predictions(y_pred)
    y = class_labels("sparse_categorical_crossentropy", y_true, p)
    valid = None
    if ignore_class is not None:
        valid = not_equal(y, ignore_class)
        y = choose(valid, y, 0)
    if from_logits:
        values = sparse_softmax_cross_entropy(y, p)
    else:
        own = _of_class("sparse_categorical_crossentropy", p / sum_over(p, axis=-1, keepdims=True), y)
        values = -log(clip(own, min=EPSILON, max=1.0 - EPSILON))
    return values if valid is None else choose(valid, values, 0.0)


__all__ = [
    "EPSILON",
    "beside",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "class_labels",
    "cosine_similarity",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "matched",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "predictions",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]
