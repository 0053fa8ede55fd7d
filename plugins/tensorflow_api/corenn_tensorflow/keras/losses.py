"""``keras.losses``: functions of ``(y_true, y_pred)`` with one value per sample, and classes that reduce them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from corenn import losses as core
from corenn.dtypes import int32
from corenn.errors import DTypeError, UsageError
from corenn.graph.tensors import GraphTensor
from corenn.losses import Loss as _CoreLoss
from corenn.losses.objects import reduced
from corenn.ops.elementwise import cast
from corenn.ops.shaping import moveaxis, reshape
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.errors import InvalidArgumentError
from corenn_tensorflow.framework import convert_to_tensor, is_symbolic
from corenn_tensorflow.keras import _lookup
from corenn_tensorflow.missing import guard
from corenn_tensorflow.writing import writable


class Reduction:
    """How the values of samples become one."""

    AUTO, NONE, SUM, SUM_OVER_BATCH_SIZE = "auto", "none", "sum", "sum_over_batch_size"


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both as tensors, the labels in the predictions' dtype."""
    p = convert_to_tensor(y_pred)
    t = convert_to_tensor(y_true, None if isinstance(y_true, Tensor) else p.dtype)
    return (t if t.dtype is p.dtype else cast(t, dtype=p.dtype)), p


def _run(name: str, function: Callable[..., Any], y_true: Any, y_pred: Any, **options: Any) -> Any:
    """Call a loss of the core; in a graph as one operation, for it looks at shapes."""
    graph = mode.graph_for((y_true, y_pred))
    if graph is None or not is_symbolic(y_true, y_pred) or _known(y_true, y_pred):
        return function(y_true, y_pred, **options)
    own = function is _sparse or getattr(core, name, None) is function
    call = functools.partial(_loss_of, loss=name, **options) if own else functools.partial(function, **options)
    return graph.call(call, y_true, y_pred, type_name=name)[0]


@writable("keras.loss")
def _loss_of(y_true: Tensor, y_pred: Tensor, *, loss: str, **options: Any) -> Tensor:
    function = _sparse if loss == "sparse_categorical_crossentropy" else getattr(core, loss)
    return function(y_true, y_pred, **options)  # type: ignore[no-any-return]


@writable("keras.reduced")
def _reduced(values: Tensor, *weights: Tensor, reduction: str) -> Tensor:
    return reduced(values, weights[0] if weights else None, reduction)


def _known(*tensors: Any) -> bool:
    return all(t.extents is not None and None not in t.extents for t in tensors if hasattr(t, "extents"))


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    def loss(y_true: Any, y_pred: Any) -> Any:
        return _run(function.__name__, function, *_pair(y_true, y_pred))

    loss.__name__ = loss.__qualname__ = function.__name__
    loss.__doc__ = function.__doc__
    return loss


mean_squared_error = _plain(core.mean_squared_error)
mean_absolute_error = _plain(core.mean_absolute_error)
mean_absolute_percentage_error = _plain(core.mean_absolute_percentage_error)
mean_squared_logarithmic_error = _plain(core.mean_squared_logarithmic_error)
hinge, squared_hinge, categorical_hinge = map(_plain, (core.hinge, core.squared_hinge, core.categorical_hinge))
kl_divergence, poisson, log_cosh = map(_plain, (core.kl_divergence, core.poisson, core.log_cosh))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle over ``axis``."""
    return _run("cosine_similarity", core.cosine_similarity, *_pair(y_true, y_pred), axis=axis)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Quadratic up to ``delta``, linear beyond."""
    return _run("huber", core.huber, *_pair(y_true, y_pred), delta=delta)


def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0) -> Any:
    """Mean over the last axis of the cross-entropy of probabilities (or logits)."""
    return _run("binary_crossentropy", core.binary_crossentropy, *_pair(y_true, y_pred), from_logits=bool(from_logits),
                label_smoothing=float(label_smoothing))  # fmt: skip


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0, axis: int = -1
) -> Any:
    """Cross-entropy of one-hot labels."""
    t, p = _pair(y_true, y_pred)
    if axis not in (-1, len(p.shape) - 1):
        t, p = moveaxis(t, source=axis, destination=-1), moveaxis(p, source=axis, destination=-1)
    return _run("categorical_crossentropy", core.categorical_crossentropy, t, p, from_logits=bool(from_logits),
                label_smoothing=float(label_smoothing))  # fmt: skip


def _sparse(y_true: Any, y_pred: Any, from_logits: bool) -> Any:
    shape = y_true.spec.shape
    if len(shape) == len(y_pred.spec.shape) and shape[-1] == 1:
        y_true = reshape(y_true, shape=tuple(shape[:-1]))
    return core.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits)


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy of class numbers, [...] or [..., 1]."""
    p, t = convert_to_tensor(y_pred), convert_to_tensor(y_true)
    if not t.dtype.is_integer:
        t = cast(t, dtype=int32)
    if axis not in (-1, len(p.shape) - 1):
        p = moveaxis(p, source=axis, destination=-1)
    return _run("sparse_categorical_crossentropy", _sparse, t, p, from_logits=bool(from_logits))


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence = kl_divergence
logcosh = log_cosh
cosine = cosine_proximity = cosine_similarity
huber_loss = huber
bce = BCE = binary_crossentropy


class Loss(_CoreLoss):
    """Base of losses: ``call(y_true, y_pred)`` gives one value per sample, ``reduction`` makes them one."""

    def __init__(self, reduction: Any = "auto", name: str | None = None, **unknown: Any) -> None:
        super().__init__(_reduction(reduction), name or type(self).__name__.lower(), **unknown)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The reduced loss of a batch."""
        p = y_pred if isinstance(y_pred, (dict, list, tuple)) else convert_to_tensor(y_pred)
        values = self.call(convert_to_tensor(y_true) if not isinstance(y_true, (dict, list, tuple)) else y_true, p)
        values = convert_to_tensor(values)
        graph = mode.graph_for((values, sample_weight))
        if graph is not None and not _known(values):
            return graph.call(functools.partial(_reduced, reduction=self.reduction), values,
                              *([] if sample_weight is None else [sample_weight]), type_name="Reduced")[0]  # fmt: skip
        return reduced(values, sample_weight, self.reduction)

    def get_config(self) -> dict[str, Any]:
        """Reduction and name."""
        return {"reduction": self.reduction, "name": self.name}

    @classmethod
    def from_config(cls, config: Any) -> Any:
        """A loss from its configuration."""
        return cls(**config)


def with_labels(fn: Callable[..., Any], y_true: Any, y_pred: Any, options: Mapping[str, Any]) -> Any:
    """``fn(y_true, y_pred, **options)`` of a user, for integer labels as old Keras or as new Keras gave them.

    Since 2.2, functions get integer labels as they are, and may index with them; before, they got numbers of the
    predictions' dtype, and may calculate with them.  A function that cannot take the former was written for the latter.
    """
    plain = isinstance(y_true, Tensor) and isinstance(y_pred, Tensor)
    if not plain or y_true.dtype.is_floating or not y_pred.dtype.is_floating:
        found = fn(y_true, y_pred, **options)
    else:
        try:
            found = fn(y_true, y_pred, **options)
        except (DTypeError, InvalidArgumentError, TypeError):
            found = fn(cast(y_true, dtype=y_pred.dtype), y_pred, **options)
    if isinstance(found, GraphTensor) and plain and not isinstance(y_pred, GraphTensor):
        raise UsageError(
            getattr(fn, "__name__", "loss"), "computes with a symbolic tensor, which has no value in training",
            {"tensor": found.name}, hint="model.add_loss(tensor) takes losses of symbolic inputs; compile without loss",
        )  # fmt: skip
    return found


def _reduction(given: Any) -> Any:
    name = getattr(given, "value", given)
    return "sum_over_batch_size" if name in ("auto", "weighted_mean", "mean") else name


class LossFunctionWrapper(Loss):
    """A function of ``(y_true, y_pred, **options)`` as a loss."""

    def __init__(
        self, fn: Callable[..., Any], reduction: Any = "auto", name: str | None = None, **options: Any
    ) -> None:
        super().__init__(reduction, name or getattr(fn, "__name__", "loss"))
        self.fn, self.options = fn, options
        #: What the core looks at to choose metrics.
        self.from_logits = bool(options.get("from_logits", False))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Call it."""
        if (
            getattr(self.fn, "__module__", None) != __name__
            and isinstance(y_true, Tensor)
            and isinstance(y_pred, Tensor)
        ):
            floats = y_true.dtype.is_floating and y_pred.dtype.is_floating
            if y_true.dtype is not y_pred.dtype and (floats or mode.generation() == 1):
                y_true = cast(y_true, dtype=y_pred.dtype)
        return with_labels(self.fn, y_true, y_pred, self.options)

    def get_config(self) -> dict[str, Any]:
        """The function's options, too."""
        return {**self.options, **super().get_config()}


def _class(name: str, function: Callable[..., Any], default_name: str, **defaults: Any) -> type[LossFunctionWrapper]:
    names = list(defaults)

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        order = [*names, "reduction", "name"]
        if len(args) > len(order):
            raise TypeError(f"{name} takes {len(order)} arguments, got {len(args)}")
        given = {**dict(zip(order, args, strict=False)), **options}
        unknown = [k for k in given if k not in (*order, "axis")]
        if unknown:
            raise TypeError(f"{name} got an unexpected argument {unknown[0]!r}")
        reduction, label = given.pop("reduction", "auto"), given.pop("name", None)
        LossFunctionWrapper.__init__(self, function, reduction, label or default_name, **{**defaults, **given})

    text = (function.__doc__ or name).partition("\n")[0]
    return type(name, (LossFunctionWrapper,), {"__init__": __init__, "__doc__": text, "__module__": __name__})


MeanSquaredError = _class("MeanSquaredError", mean_squared_error, "mean_squared_error")
MeanAbsoluteError = _class("MeanAbsoluteError", mean_absolute_error, "mean_absolute_error")
MeanAbsolutePercentageError = _class(
    "MeanAbsolutePercentageError", mean_absolute_percentage_error, "mean_absolute_percentage_error"
)
MeanSquaredLogarithmicError = _class(
    "MeanSquaredLogarithmicError", mean_squared_logarithmic_error, "mean_squared_logarithmic_error"
)
Hinge = _class("Hinge", hinge, "hinge")
SquaredHinge = _class("SquaredHinge", squared_hinge, "squared_hinge")
CategoricalHinge = _class("CategoricalHinge", categorical_hinge, "categorical_hinge")
KLDivergence = _class("KLDivergence", kl_divergence, "kl_divergence")
Poisson = _class("Poisson", poisson, "poisson")
LogCosh = _class("LogCosh", log_cosh, "log_cosh")
CosineSimilarity = _class("CosineSimilarity", cosine_similarity, "cosine_similarity", axis=-1)
Huber = _class("Huber", huber, "huber_loss", delta=1.0)
BinaryCrossentropy = _class(
    "BinaryCrossentropy", binary_crossentropy, "binary_crossentropy", from_logits=False, label_smoothing=0
)
CategoricalCrossentropy = _class(
    "CategoricalCrossentropy",
    categorical_crossentropy,
    "categorical_crossentropy",
    from_logits=False,
    label_smoothing=0,
)
SparseCategoricalCrossentropy = _class(
    "SparseCategoricalCrossentropy", sparse_categorical_crossentropy, "sparse_categorical_crossentropy",
    from_logits=False,
)  # fmt: skip

_CLASSES = [
    MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, Hinge, SquaredHinge,
    CategoricalHinge, KLDivergence, Poisson, LogCosh, CosineSimilarity, Huber, BinaryCrossentropy,
    CategoricalCrossentropy, SparseCategoricalCrossentropy,
]  # fmt: skip
_FUNCTIONS = [
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error",
    "hinge", "squared_hinge", "categorical_hinge", "kl_divergence", "poisson", "log_cosh", "logcosh",
    "cosine_similarity", "cosine_proximity", "cosine", "huber", "huber_loss", "binary_crossentropy", "bce",
    "categorical_crossentropy", "sparse_categorical_crossentropy", "mse", "MSE", "mae", "MAE", "mape", "MAPE", "msle",
    "MSLE", "kld", "KLD", "kullback_leibler_divergence",
]  # fmt: skip
_NAMES: dict[str, Any] = {**{n: globals()[n] for n in _FUNCTIONS}, **{c.__name__: c for c in _CLASSES}}
#: The core's loss of the same meaning, so that metrics called "accuracy" know what is meant.
_MEANS = {
    "binary_crossentropy": core.BinaryCrossentropy,
    "sparse_categorical_crossentropy": core.SparseCategoricalCrossentropy,
    "categorical_crossentropy": core.CategoricalCrossentropy,
}


def meaning(loss: Any) -> Any:
    """The core's loss that a loss stands for, or ``None``."""
    function = getattr(loss, "fn", loss)
    made = _MEANS.get(getattr(function, "__name__", ""))
    if made is None or getattr(function, "__module__", None) != __name__:
        return None
    return made(from_logits=bool(getattr(loss, "from_logits", False)))


def get(identifier: Any) -> Any:
    """The loss object for a name, dictionary, class, function or object; ``None`` for ``None``."""
    if identifier is None or isinstance(identifier, _CoreLoss):
        return identifier
    if isinstance(identifier, (str, dict)):
        identifier = _lookup.made("loss function", identifier, _NAMES)
    if isinstance(identifier, type):
        identifier = identifier()
    if isinstance(identifier, _CoreLoss):
        return identifier
    if callable(identifier):
        return LossFunctionWrapper(identifier)
    raise ValueError(f"Could not interpret loss function identifier: {identifier}")


def public_get(identifier: Any) -> Any:
    """The function for a name, or what was given."""
    if isinstance(identifier, (str, dict)):
        return _lookup.made("loss function", identifier, _NAMES)
    return identifier


serialize = _lookup.serialized


def deserialize(name: Any, custom_objects: Any = None) -> Any:
    """The loss that ``serialize`` named."""
    with _lookup.custom_object_scope(custom_objects or {}):
        return _lookup.made("loss function", name, _NAMES)


__all__ = [*[c.__name__ for c in _CLASSES], *_FUNCTIONS, "Loss", "Reduction", "deserialize", "get", "serialize"]
__getattr__ = guard(__name__)
