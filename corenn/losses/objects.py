"""Losses as objects: a function of labels and predictions with its settings, sample weights and a reduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, overload

from corenn.configurable import Configurable, Registry
from corenn.errors import AttributeValueError, ShapeError, UsageError
from corenn.losses import functions as fn
from corenn.ops.elementwise import where
from corenn.ops.logic import equal, not_equal
from corenn.ops.reduction import mean
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import broadcast_to, expand_dims, reshape
from corenn.ops.table import TensorLike
from corenn.tensor import Tensor

Reduction = Literal["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"]
_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


class Loss(Configurable):
    """Base of losses: ``loss(y_true, y_pred, sample_weight=None)`` is a scalar tensor, or one value per sample.

    A subclass defines ``call(y_true, y_pred)``, which gives one value per sample.  ``reduction``:

    - ``"sum_over_batch_size"`` (or ``"mean"``): the weighted values' sum divided by their *number*;
    - ``"mean_with_sample_weight"``: divided by the sum of the weights instead;
    - ``"sum"``: the sum; ``"none"`` (or None): the weighted values themselves.

    ``sample_weight``: broadcast to the values from the left, so ``(N,)`` weighs whole samples of any rank.
    """

    #: Whether the values are means over the last axis, so that ``(N,)`` predictions mean N samples of one number.
    elementwise: ClassVar[bool] = False

    def __init__(
        self, reduction: Reduction | None = "sum_over_batch_size", name: str | None = None, **unknown: Any
    ) -> None:
        if unknown:
            self.refuse_arguments(unknown)
        reduction = "none" if reduction is None else reduction
        if reduction not in _REDUCTIONS:
            what = f"reduction {reduction!r} is not one of {', '.join(_REDUCTIONS)}"
            raise AttributeValueError(type(self).__name__, what)
        self.reduction = reduction
        self.name = name if name is not None else self._default_name()

    def _default_name(self) -> str:
        return _registry.name_of(type(self)) or type(self).__name__.lower()

    def _argument(self, name: str) -> Any:
        value = super()._argument(name)
        return None if name == "name" and value == self._default_name() else value

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        """One value per sample."""
        raise NotImplementedError(f"{type(self).__name__} does not define call()")

    def mask(self, y_true: TensorLike, y_pred: Tensor) -> Tensor | None:
        """Which samples count (bools of the values' shape), or ``None`` for all."""
        return None

    def __call__(self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None) -> Tensor:
        """The reduced loss of a batch."""
        p = fn.predictions(y_pred)
        if self.elementwise and p.ndim == 1:
            p = expand_dims(p, axis=-1)
        values = self.call(y_true, p)
        if not isinstance(values, Tensor):
            raise UsageError(self.name, "the loss must be a tensor", {"returned": type(values).__name__},
                             hint="use corenn ops to the end, and return the result")  # fmt: skip
        return reduced(values, sample_weight, self.reduction, self.mask(y_true, p))


def aligned_weight(weight: TensorLike, values: Tensor) -> Tensor:
    """Sample weights in the dtype of ``values`` and in a shape that broadcasts to theirs, axis 0 to axis 0.

    ShapeError where they do not fit.
    """
    w = fn.beside(weight, values)
    if w.dtype is not values.dtype:
        w = w.cast(values.dtype)
    if w.ndim == values.ndim + 1 and w.shape[-1] == 1:
        w = reshape(w, shape=w.shape[:-1])
    elif 0 < w.ndim < values.ndim:
        w = reshape(w, shape=w.shape + (1,) * (values.ndim - w.ndim))
    if w.ndim > values.ndim or any(n not in (1, m) for n, m in zip(w.shape, values.shape, strict=False) if w.ndim):
        shown = {"sample_weight": w.spec, "values": values.spec}
        raise ShapeError("sample_weight", "does not fit the values of the samples", shown, hint="one weight per sample")
    return w


def reduced(
    values: Tensor, weight: TensorLike | None = None, reduction: str = "mean", mask: Tensor | None = None
) -> Tensor:
    """Values of samples weighted, masked and reduced (see ``Loss``).

    With a mask the means are over the samples that count; over none they are 0.
    """
    average = reduction in ("sum_over_batch_size", "mean")
    if weight is None and mask is None:
        if average or reduction == "mean_with_sample_weight":
            return mean(values) if values.ndim else values
        return sum_over(values) if reduction == "sum" and values.ndim else values
    w = None if weight is None else aligned_weight(weight, values)
    if mask is not None:
        kept = mask.cast(values.dtype)
        if average:
            kept = kept * (float(kept.size) / (sum_over(kept) + fn.EPSILON))
        w = kept if w is None else w * kept
    assert w is not None  # one of the two was given
    weighted = values * w
    if reduction == "none":
        return weighted
    total = sum_over(weighted)
    if average:
        return total / float(max(1, values.size))
    if reduction == "mean_with_sample_weight":
        weights = sum_over(broadcast_to(w, shape=values.shape))
        return total / where(equal(weights, 0.0), 1.0, weights)
    return total


class FunctionLoss(Loss):
    """A loss from a function ``(y_true, y_pred)`` that returns one value per sample, or a scalar."""

    def __init__(
        self,
        function: Callable[..., Tensor],
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name or getattr(function, "__name__", None))
        self.function = function

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        """``function(y_true, y_pred)``."""
        return self.function(y_true, y_pred)


_registry: Registry[Loss] = Registry("loss", Loss, FunctionLoss)
_registry.register()(FunctionLoss)
register = _registry.register


@overload
def get(spec: None) -> None: ...
@overload
def get(spec: Loss | Callable[..., Tensor] | str | dict[str, Any] | type[Loss]) -> Loss: ...
def get(spec: Any) -> Any:
    """The loss for None, a name (``"mse"``, ``"sparse_categorical_crossentropy"``), a class, an instance, a dictionary,
    or a function ``(y_true, y_pred)``.  UsageError for an unknown name."""
    return _registry.get(spec)


class _Elementwise(Loss):
    """A loss that is a mean over the last axis, of a function without settings."""

    elementwise = True
    _function: ClassVar[staticmethod[[TensorLike, TensorLike], Tensor]]

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        """One value per sample."""
        return type(self)._function(y_true, y_pred)


@register("mean_squared_error", "mse")
class MeanSquaredError(_Elementwise):
    """Mean of squared errors; see ``losses.mean_squared_error``."""

    _function = staticmethod(fn.mean_squared_error)


@register("mean_absolute_error", "mae")
class MeanAbsoluteError(_Elementwise):
    """Mean of absolute errors; see ``losses.mean_absolute_error``."""

    _function = staticmethod(fn.mean_absolute_error)


@register("mean_absolute_percentage_error", "mape")
class MeanAbsolutePercentageError(_Elementwise):
    """Mean of errors in percent of the labels; see ``losses.mean_absolute_percentage_error``."""

    _function = staticmethod(fn.mean_absolute_percentage_error)


@register("mean_squared_logarithmic_error", "msle")
class MeanSquaredLogarithmicError(_Elementwise):
    """Mean of squared errors of logarithms; see ``losses.mean_squared_logarithmic_error``."""

    _function = staticmethod(fn.mean_squared_logarithmic_error)


@register("log_cosh", "logcosh")
class LogCosh(_Elementwise):
    """Mean of log(cosh(error)); see ``losses.log_cosh``."""

    _function = staticmethod(fn.log_cosh)


@register("poisson")
class Poisson(_Elementwise):
    """Poisson likelihood; see ``losses.poisson``."""

    _function = staticmethod(fn.poisson)


@register("hinge")
class Hinge(_Elementwise):
    """Hinge loss of labels -1 and 1; see ``losses.hinge``."""

    _function = staticmethod(fn.hinge)


@register("squared_hinge")
class SquaredHinge(_Elementwise):
    """Squared hinge loss of labels -1 and 1; see ``losses.squared_hinge``."""

    _function = staticmethod(fn.squared_hinge)


@register("categorical_hinge")
class CategoricalHinge(Loss):
    """Hinge loss of one-hot labels; see ``losses.categorical_hinge``."""

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        """One value per sample."""
        return fn.categorical_hinge(y_true, y_pred)


@register("kl_divergence", "kld", "kullback_leibler_divergence")
class KLDivergence(Loss):
    """Divergence of the labels' distribution from the predicted one; see ``losses.kl_divergence``."""

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        """One value per sample."""
        return fn.kl_divergence(y_true, y_pred)


@register("huber", "huber_loss")
class Huber(Loss):
    """Quadratic to ``delta``, linear beyond; see ``losses.huber``."""

    elementwise = True

    def __init__(self, delta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not delta > 0:
            raise AttributeValueError("Huber", "delta must be positive", {"delta": delta})
        self.delta = float(delta)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        """One value per sample."""
        return fn.huber(y_true, y_pred, self.delta)


@register("cosine_similarity")
class CosineSimilarity(Loss):
    """Minus the cosine along ``axis``; see ``losses.cosine_similarity``."""

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        """One value per sample."""
        return fn.cosine_similarity(y_true, y_pred, self.axis)


@register("binary_crossentropy", "bce")
class BinaryCrossentropy(Loss):
    """Cross-entropy of labels 0 and 1; see ``losses.binary_crossentropy``."""

    elementwise = True

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.from_logits, self.label_smoothing = bool(from_logits), float(label_smoothing)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        """One value per sample."""
        return fn.binary_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing)


@register("binary_focal_crossentropy")
class BinaryFocalCrossentropy(Loss):
    """Focal cross-entropy of labels 0 and 1; see ``losses.binary_focal_crossentropy``."""

    elementwise = True

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.apply_class_balancing, self.from_logits = bool(apply_class_balancing), bool(from_logits)
        self.alpha, self.gamma, self.label_smoothing = float(alpha), float(gamma), float(label_smoothing)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        """One value per sample."""
        return fn.binary_focal_crossentropy(
            y_true, y_pred, self.apply_class_balancing, self.alpha, self.gamma, self.from_logits, self.label_smoothing
        )


@register("categorical_crossentropy", "cce")
class CategoricalCrossentropy(Loss):
    """Cross-entropy of one-hot labels; see ``losses.categorical_crossentropy``."""

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.from_logits, self.label_smoothing = bool(from_logits), float(label_smoothing)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        """One value per sample."""
        return fn.categorical_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing)


@register("categorical_focal_crossentropy")
class CategoricalFocalCrossentropy(Loss):
    """Focal cross-entropy of one-hot labels; see ``losses.categorical_focal_crossentropy``."""

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha, self.gamma = float(alpha), float(gamma)
        self.from_logits, self.label_smoothing = bool(from_logits), float(label_smoothing)

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        """One value per sample."""
        return fn.categorical_focal_crossentropy(
            y_true, y_pred, self.alpha, self.gamma, self.from_logits, self.label_smoothing
        )


@register("sparse_categorical_crossentropy", "scce")
class SparseCategoricalCrossentropy(Loss):
    """Cross-entropy of class numbers; see ``losses.sparse_categorical_crossentropy``.

    Samples labelled ``ignore_class`` do not count in the mean.
    """

    def __init__(self, from_logits: bool = False, ignore_class: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.from_logits, self.ignore_class = bool(from_logits), ignore_class

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        """One value per sample."""
        return fn.sparse_categorical_crossentropy(y_true, y_pred, self.from_logits, self.ignore_class)

    def mask(self, y_true: TensorLike, y_pred: Tensor) -> Tensor | None:
        """Samples that are not labelled ``ignore_class``."""
        if self.ignore_class is None:
            return None
        return not_equal(fn.class_labels(self.name, y_true, y_pred), self.ignore_class)


__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "Reduction",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "aligned_weight",
    "get",
    "reduced",
    "register",
]
