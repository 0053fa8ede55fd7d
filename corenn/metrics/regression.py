"""Metrics that are means of losses, and those of regression."""

from __future__ import annotations

from typing import ClassVar, Literal

from corenn.errors import AttributeValueError
from corenn.losses import functions as fn
from corenn.losses.objects import aligned_weight
from corenn.metrics.base import MeanOverSamples, Metric, ratio, register, widened
from corenn.ops.creation import ones_like
from corenn.ops.elementwise import squared_difference, where
from corenn.ops.logic import equal, not_equal
from corenn.ops.reduction import mean
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import broadcast_to, reshape
from corenn.ops.softmax import softmax
from corenn.ops.table import TensorLike
from corenn.ops.transcendental import sqrt, xlogy
from corenn.tensor import Tensor


class _MeanOfLoss(MeanOverSamples):
    """The mean of a loss function without settings."""

    better = "min"
    _function: ClassVar[staticmethod[[TensorLike, TensorLike], Tensor]]

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """The loss per sample."""
        return type(self)._function(y_true, y_pred)


class _ElementwiseLoss(_MeanOfLoss):
    elementwise = True


@register("mean_squared_error", "mse")
class MeanSquaredError(_ElementwiseLoss):
    """The mean of squared errors."""

    _function = staticmethod(fn.mean_squared_error)


@register("root_mean_squared_error", "rmse")
class RootMeanSquaredError(MeanSquaredError):
    """The root of the mean of squared errors."""

    def result(self) -> Tensor:
        """The root, 0-d."""
        return sqrt(super().result())


@register("mean_absolute_error", "mae")
class MeanAbsoluteError(_ElementwiseLoss):
    """The mean of absolute errors."""

    _function = staticmethod(fn.mean_absolute_error)


@register("mean_absolute_percentage_error", "mape")
class MeanAbsolutePercentageError(_ElementwiseLoss):
    """The mean of errors in percent of the labels."""

    _function = staticmethod(fn.mean_absolute_percentage_error)


@register("mean_squared_logarithmic_error", "msle")
class MeanSquaredLogarithmicError(_ElementwiseLoss):
    """The mean of squared errors of logarithms."""

    _function = staticmethod(fn.mean_squared_logarithmic_error)


@register("log_cosh_error", "log_cosh")
class LogCoshError(_ElementwiseLoss):
    """The mean of log(cosh(error))."""

    _function = staticmethod(fn.log_cosh)


@register("poisson")
class Poisson(_ElementwiseLoss):
    """The mean of the Poisson loss."""

    _function = staticmethod(fn.poisson)


@register("hinge")
class Hinge(_ElementwiseLoss):
    """The mean of the hinge loss of labels -1 and 1 (or 0 and 1)."""

    _function = staticmethod(fn.hinge)


@register("squared_hinge")
class SquaredHinge(_ElementwiseLoss):
    """The mean of the squared hinge loss of labels -1 and 1 (or 0 and 1)."""

    _function = staticmethod(fn.squared_hinge)


@register("categorical_hinge")
class CategoricalHinge(_MeanOfLoss):
    """The mean of the hinge loss of one-hot labels."""

    _function = staticmethod(fn.categorical_hinge)


@register("kl_divergence", "kld", "kullback_leibler_divergence")
class KLDivergence(_MeanOfLoss):
    """The mean divergence of the labels' distributions from the predicted ones."""

    _function = staticmethod(fn.kl_divergence)


@register("cosine_similarity", "cosine")
class CosineSimilarity(MeanOverSamples):
    """The mean cosine of the angle between labels and predictions along ``axis``: 1 where they point the same way."""

    better = "max"

    def __init__(self, axis: int = -1, name: str | None = None) -> None:
        super().__init__(name)
        self.axis = axis

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """The cosine per sample."""
        return -fn.cosine_similarity(y_true, y_pred, self.axis)


@register("entropy")
class Entropy(MeanOverSamples):
    """The mean entropy, in nats, of predicted distributions over the last axis; labels are not looked at.

    0 for certain predictions, ``log(classes)`` for uniform ones.  ``from_logits``: predictions are arguments of a
    softmax; else they are divided by their sum.
    """

    def __init__(self, from_logits: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.from_logits = bool(from_logits)

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """The entropy per sample."""
        p = softmax(y_pred) if self.from_logits else y_pred / sum_over(y_pred, axis=-1, keepdims=True)
        return -sum_over(xlogy(p, p), axis=-1)


class _Crossentropy(MeanOverSamples):
    better = "min"


@register("binary_crossentropy", "bce")
class BinaryCrossentropy(_Crossentropy):
    """The mean cross-entropy of labels 0 and 1; see ``losses.binary_crossentropy``."""

    elementwise = True

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, name: str | None = None) -> None:
        super().__init__(name)
        self.from_logits, self.label_smoothing = bool(from_logits), float(label_smoothing)

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """The loss per sample."""
        return fn.binary_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing)


@register("categorical_crossentropy", "cce")
class CategoricalCrossentropy(_Crossentropy):
    """The mean cross-entropy of one-hot labels; see ``losses.categorical_crossentropy``."""

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, name: str | None = None) -> None:
        super().__init__(name)
        self.from_logits, self.label_smoothing = bool(from_logits), float(label_smoothing)

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """The loss per sample."""
        return fn.categorical_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing)


@register("sparse_categorical_crossentropy", "scce")
class SparseCategoricalCrossentropy(_Crossentropy):
    """The mean cross-entropy of class numbers, over samples not labelled ``ignore_class``."""

    def __init__(self, from_logits: bool = False, ignore_class: int | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self.from_logits, self.ignore_class = bool(from_logits), ignore_class

    def accumulate(self, y_true: TensorLike, y_pred: Tensor, weight: TensorLike | None) -> None:
        """Take the samples' losses into account."""
        if self.ignore_class is not None:
            counts = not_equal(fn.class_labels(self.name, y_true, y_pred), self.ignore_class).cast(y_pred.dtype)
            weight = counts if weight is None else aligned_weight(weight, counts) * counts
        super().accumulate(y_true, y_pred, weight)

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """The loss per sample."""
        return fn.sparse_categorical_crossentropy(y_true, y_pred, self.from_logits, self.ignore_class)


Aggregation = Literal["uniform_average", "variance_weighted_average"]


@register("r2_score", "r2")
class R2Score(Metric):
    """The coefficient of determination: 1 minus the squared errors over the squared deviations from the labels' mean.

    1 is perfect, 0 no better than the mean.  ``class_aggregation`` of several outputs (last axis): ``uniform_average``,
    ``variance_weighted_average``, or None for one figure each.  0 for an output whose labels do not vary.
    ``num_regressors``: above 0, the figure is adjusted for that many regressors.
    """

    better = "max"

    def __init__(
        self,
        class_aggregation: Aggregation | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if class_aggregation not in (None, "uniform_average", "variance_weighted_average"):
            hint = "None, 'uniform_average' or 'variance_weighted_average'"
            raise AttributeValueError("R2Score", f"there is no class_aggregation {class_aggregation!r}", hint=hint)
        if num_regressors < 0:
            raise AttributeValueError("R2Score", "num_regressors must be at least 0", {"given": num_regressors})
        self.class_aggregation, self.num_regressors = class_aggregation, int(num_regressors)

    def accumulate(self, y_true: TensorLike, y_pred: Tensor, weight: TensorLike | None) -> None:
        """Take a batch into account, [samples] or [..., outputs]."""
        if y_pred.ndim < 2:
            y_pred = reshape(y_pred, shape=(-1, 1))
        y, p = fn.matched(self.name, y_true, y_pred)
        y, p = widened(y), widened(p)  # squares of labels far from 0 cancel
        samples = ones_like(y)
        w = samples if weight is None else broadcast_to(aligned_weight(weight, y), shape=y.shape)
        axes = tuple(range(y.ndim - 1))
        for key, values in (
            ("sum", y * w),
            ("squares", y * y * w),
            ("errors", squared_difference(y, p) * w),
            ("weight", w),
            ("samples", samples),
        ):
            self.add(key, sum_over(values, axis=axes))

    def result(self) -> Tensor:
        """One figure, or one per output; 0 before the first batch."""
        total, squares, errors, weight = (self.state(key) for key in ("sum", "squares", "errors", "weight"))
        spread = squares - ratio(total * total, weight)
        scores = where(equal(spread, 0), 0.0, 1.0 - ratio(errors, spread))
        if self.num_regressors:
            n = self.state("samples")
            scores = 1.0 - ratio((1.0 - scores) * (n - 1.0), n - (self.num_regressors + 1.0))
        if self.class_aggregation == "uniform_average" and scores.ndim:
            return mean(scores)
        if self.class_aggregation == "variance_weighted_average":
            return ratio(sum_over(scores * spread), sum_over(spread))
        return scores


__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Entropy",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "R2Score",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
]
