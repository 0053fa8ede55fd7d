"""``keras.metrics``: corenn's metrics with Keras's methods and argument orders."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import argmax
from corenn import metrics as core
from corenn.dtypes import float32, float64
from corenn.graph.graph import building
from corenn.graph.tensors import GraphTensor
from corenn.layers.naming import snake_case
from corenn.metrics.base import MeanMetricWrapper as _CoreWrapper
from corenn.ops.creation import tensor
from corenn.ops.dispatch import _interpreter
from corenn.ops.elementwise import cast
from corenn.ops.logic import equal, greater
from corenn.ops.reduction import mean as _mean
from corenn.tensor import Tensor
from corenn.variable import Variable
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.keras import _lookup, initializers, losses
from corenn_tensorflow.missing import guard
from corenn_tensorflow.writing import writable


def came_from(value: Any, metrics: list[Any]) -> bool:
    """Whether a tensor is what calling one of the metrics gave last."""
    return any(m.__dict__.get("_last_given") is value for m in metrics)


class Calling:
    """Metrics remember what their last call gave."""

    def __call__(self: Any, *args: Any, **options: Any) -> Any:
        found = super().__call__(*args, **options)  # type: ignore[misc]  # the core's
        self.__dict__["_last_given"] = found
        return found


class Metric(Calling, core.Metric):
    """Base of metrics: ``add_weight``, ``update_state``, ``result``, ``reset_states``."""

    def __init__(self, name: str | None = None, dtype: Any = None, **options: Any) -> None:
        super().__init__(name or snake_case(type(self).__name__), **options)
        self._dtype = dtype

    @property
    def dtype(self) -> Any:
        """The dtype of the figure."""
        return self.__dict__.get("_dtype") or float32

    def add_weight(
        self, name: str, shape: Any = (), aggregation: Any = None, synchronization: Any = None,
        initializer: Any = None, dtype: Any = None,
    ) -> Variable:  # fmt: skip
        """A variable of the state, set to its initial value by ``reset_states``."""
        start = initializers.get(initializer if initializer is not None else "zeros")
        value = start(tuple(shape or ()), dtype=dtype or float32)
        made = Variable(value, name=f"{self.name}/{name}:0", trainable=False)
        self._state[name] = made
        self.__dict__.setdefault("_starts", {})[name] = np.array(made._host())
        return made

    def _own(self) -> bool:
        return bool(self.__dict__.get("_starts"))

    def reset_state(self) -> None:
        """Forget all batches."""
        if type(self).reset_states not in (Metric.reset_states, Both.reset_states):
            self.reset_states()
            return
        self._reset()

    def _reset(self) -> None:
        if not self._own():
            super().reset_state()
            return
        for name, start in self._starts.items():
            self._state[name].assign(start)

    def reset_states(self) -> None:
        """Forget all batches."""
        self._reset()

    @property
    def weights(self) -> list[Any]:
        """The variables of the state."""
        return list(self._state.values())

    trainable_weights: Any = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"

    def get_config(self) -> dict[str, Any]:
        """Name and dtype."""
        return {"name": self.name, "dtype": getattr(self.dtype, "name", self.dtype)}

    @classmethod
    def from_config(cls, config: Any) -> Any:
        """A metric from its configuration."""
        return cls(**config)


class Both(Calling):
    """What the core's metrics get: Keras's names of methods, float32 results."""

    def __repr__(self: Any) -> str:
        return f"<{type(self).__name__} name={self.name}>"

    def add(self: Any, key: str, value: Any) -> None:
        """Add to the state; while a function is traced its variables are made outside, for what runs later."""
        if key not in self._state and building() is not None:
            token = _interpreter.set(None)
            try:
                kind = float64 if value.dtype.is_floating else value.dtype
                shape = value.extents if isinstance(value, GraphTensor) else value.spec.shape
                start = np.zeros(tuple(int(n) for n in shape), kind.numpy)
                self._state[key] = self._variable(key, tensor(start))
            finally:
                _interpreter.reset(token)
        super().add(key, value)  # type: ignore[misc]  # the core's

    def state(self: Any, key: str) -> Any:
        """The state's ``key``, floats as float32; operators of graphs do not promote."""
        found = super().state(key)  # type: ignore[misc]  # the core's
        return cast(found, dtype=float32) if found.dtype.is_floating and found.dtype is not float32 else found

    def reset_states(self: Any) -> None:
        """Forget all batches."""
        self._reset()

    @property
    def weights(self: Any) -> list[Any]:
        """The variables of the state."""
        return list(self._state.values())

    @property
    def dtype(self: Any) -> Any:
        """The dtype of the figure."""
        return float32

    def result(self: Any) -> Any:
        """The figure so far, float32."""
        found = super().result()  # type: ignore[misc]  # the core's
        return cast(found, dtype=float32) if isinstance(found, Tensor) and found.dtype.is_floating else found

    def get_config(self: Any) -> dict[str, Any]:
        """The arguments."""
        return {**{n: getattr(self, n) for n in self._order if hasattr(self, n)}, "name": self.name}

    @classmethod
    def from_config(cls, config: Any) -> Any:
        """A metric from its configuration."""
        return cls(**{k: v for k, v in config.items() if k != "dtype"})


def _class(name: str, base: type, *order: str, **renamed: str) -> Any:
    """A class with Keras's order of arguments over the core's metric; ``renamed``: Keras's name to the core's."""

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        given = {**dict(zip((*order, "name", "dtype"), args, strict=False)), **options}
        if "name" not in order and len(args) and not order and args[0] is not None and not isinstance(args[0], str):
            raise TypeError(f"{name}: the first argument is the name")
        given.pop("dtype", None)
        given["name"] = given.get("name") or snake_case(name)
        base.__init__(self, **{renamed.get(k, k): v for k, v in given.items()})

    space = {"__init__": __init__, "_order": order, "__doc__": base.__doc__, "__module__": __name__}
    return type(name, (Both, base, Metric), space)


def _plain(names: list[str]) -> None:
    for name in names:
        globals()[name] = _class(name, getattr(core, name))


_ONLY_NAME = [
    "Accuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy", "CategoricalHinge", "Hinge", "KLDivergence",
    "LogCoshError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError",
    "MeanSquaredLogarithmicError", "Poisson", "RootMeanSquaredError", "SquaredHinge", "Mean", "Sum",
]  # fmt: skip
_plain(_ONLY_NAME)
BinaryAccuracy = _class("BinaryAccuracy", core.BinaryAccuracy, "name", "dtype", "threshold")
TopKCategoricalAccuracy = _class("TopKCategoricalAccuracy", core.TopKCategoricalAccuracy, "k")
SparseTopKCategoricalAccuracy = _class("SparseTopKCategoricalAccuracy", core.SparseTopKCategoricalAccuracy, "k")
CosineSimilarity = CosineProximity = _class("CosineSimilarity", core.CosineSimilarity, "name", "dtype", "axis")
_ENTROPY = ("name", "dtype", "from_logits", "label_smoothing")
BinaryCrossentropy = _class("BinaryCrossentropy", core.BinaryCrossentropy, *_ENTROPY)
CategoricalCrossentropy = _class("CategoricalCrossentropy", core.CategoricalCrossentropy, *_ENTROPY)
SparseCategoricalCrossentropy = _class("SparseCategoricalCrossentropy", core.SparseCategoricalCrossentropy, *_ENTROPY)
Precision = _class("Precision", core.Precision, "thresholds", "top_k", "class_id")
Recall = _class("Recall", core.Recall, "thresholds", "top_k", "class_id")
TruePositives = _class("TruePositives", core.TruePositives, "thresholds")
TrueNegatives = _class("TrueNegatives", core.TrueNegatives, "thresholds")
FalsePositives = _class("FalsePositives", core.FalsePositives, "thresholds")
FalseNegatives = _class("FalseNegatives", core.FalseNegatives, "thresholds")
AUC = _class("AUC", core.AUC, "num_thresholds", "curve", "summation_method", "name", "dtype", "thresholds",
             "multi_label", "label_weights")  # fmt: skip
MeanIoU = _class("MeanIoU", core.MeanIoU, "num_classes")


class MeanMetricWrapper(_CoreWrapper, Metric):
    """The mean of a function of ``(y_true, y_pred)``."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **options: Any) -> None:
        def call(y_true: Any, y_pred: Any) -> Any:
            found = losses.with_labels(fn, y_true, y_pred, options)
            return convert_to_tensor(found)

        super().__init__(call, name=name or getattr(fn, "__name__", "metric"))
        self.fn = fn


class MeanTensor(Metric):
    """The elementwise mean of values."""

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add a tensor."""
        given = convert_to_tensor(values)
        weight = 1.0 if sample_weight is None else convert_to_tensor(sample_weight)
        self.add("total", given * weight)
        self.add("count", given * 0.0 + weight)

    def result(self) -> Any:
        """The mean."""
        return cast(self.state("total") / self.state("count"), dtype=float32)


_FRACTIONS: dict[str, Callable[..., Any]] = {}


@writable("keras.fraction")
def _fraction_of(y_true: Any, y_pred: Any, *, metric: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return cast(_FRACTIONS[metric](y_true, y_pred, *args, **options), dtype=float32)


def _fractions(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    _FRACTIONS[name] = function

    def metric(y_true: Any, y_pred: Any, *args: Any, **options: Any) -> Any:
        call = functools.partial(_fraction_of, metric=name, args=args, options=options)
        return losses._run(name, call, convert_to_tensor(y_true), convert_to_tensor(y_pred))

    metric.__name__ = metric.__qualname__ = name
    metric.__doc__ = f"{name.replace('_', ' ').capitalize()}: one value per sample."
    return metric


def _binary(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    return _mean(cast(equal(cast(greater(y_pred, threshold), dtype=y_pred.dtype), cast(y_true, dtype=y_pred.dtype)),
                      dtype=float32), axis=-1)  # fmt: skip


binary_accuracy = _fractions("binary_accuracy", _binary)
categorical_accuracy = _fractions(
    "categorical_accuracy", lambda t, p: cast(equal(argmax(t, axis=-1), argmax(p, axis=-1)), dtype=float32)
)
sparse_categorical_accuracy = _fractions("sparse_categorical_accuracy", core.sparse_categorical_accuracy)
top_k_categorical_accuracy = _fractions("top_k_categorical_accuracy", core.top_k_categorical_accuracy)
sparse_top_k_categorical_accuracy = _fractions(
    "sparse_top_k_categorical_accuracy", core.sparse_top_k_categorical_accuracy
)
for _name in ("mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "hinge",
              "mean_squared_logarithmic_error", "squared_hinge", "categorical_hinge", "kl_divergence", "poisson",
              "cosine_similarity", "cosine_proximity", "binary_crossentropy", "categorical_crossentropy",
              "sparse_categorical_crossentropy", "mse", "MSE", "mae", "MAE", "mape", "MAPE", "msle", "MSLE", "kld",
              "KLD", "kullback_leibler_divergence", "cosine", "logcosh"):  # fmt: skip
    globals()[_name] = getattr(losses, _name)

_NAMES: dict[str, Any] = {
    n: v for n, v in list(globals().items())
    if not n.startswith("_") and ((isinstance(v, type) and issubclass(v, core.Metric)) or callable(v))
    and getattr(v, "__module__", "").startswith("corenn_tensorflow.keras") and n not in ("Both", "Metric")
}  # fmt: skip


def get(identifier: Any) -> Any:
    """The metric object for a name, dictionary, class, function or object."""
    if isinstance(identifier, core.Metric):
        return identifier
    name = identifier if isinstance(identifier, str) else None
    if isinstance(identifier, (str, dict)):
        try:
            identifier = _lookup.made("metric", identifier, _NAMES)
        except ValueError:
            identifier = core.get(identifier)
    if isinstance(identifier, type):
        identifier = identifier()
    if isinstance(identifier, core.Metric):
        if name is not None:
            identifier.name = name
        return identifier
    if callable(identifier):
        return MeanMetricWrapper(identifier, name=name or getattr(identifier, "name", None))
    raise ValueError(f"Could not interpret metric function identifier: {identifier}")


serialize = _lookup.serialized


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The metric that ``serialize`` wrote."""
    with _lookup.custom_object_scope(custom_objects or {}):
        return _lookup.made("metric", config, _NAMES)


__all__ = [*_NAMES, "Metric", "deserialize", "get", "serialize"]
__getattr__ = guard(__name__)
