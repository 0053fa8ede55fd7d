"""``Metric``: a figure gathered over batches; and means, sums and functions as metrics.

The state is a few small tensors on the device of the predictions, added to without waiting for the device; reading
``result()`` as a float is what waits.  Sums are kept in float64 where the backend offers it, so that counts stay exact
beyond 2**24.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from corenn import dtypes
from corenn.configurable import Configurable, Registry
from corenn.device import device as find_device
from corenn.errors import CheckpointError, UsageError
from corenn.losses.functions import beside, predictions
from corenn.losses.objects import Loss, aligned_weight
from corenn.ops.creation import tensor, zeros, zeros_like
from corenn.ops.dispatch import current
from corenn.ops.elementwise import stop_gradient, where
from corenn.ops.logic import equal
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import broadcast_to, expand_dims
from corenn.ops.table import TensorLike
from corenn.tensor import Tensor
from corenn.variable import Variable


class Metric(Configurable):
    """Base of metrics.

    ``update_state(y_true, y_pred, sample_weight=None)`` takes a batch into account, ``result()`` is the figure so far
    (a tensor on the device; ``float(metric.result())`` for a scalar), ``reset_state()`` starts anew.  A subclass
    defines ``accumulate`` and ``result``, and keeps what it needs with ``add``.
    """

    #: Whether larger (``"max"``) or smaller (``"min"``) is better, for callbacks; ``None`` if neither.
    better: ClassVar[Literal["max", "min"] | None] = None

    def __init__(self, name: str | None = None, **unknown: Any) -> None:
        if unknown:
            self.refuse_arguments(unknown)
        self.name = name if name is not None else self._default_name()
        self._state: dict[str, Variable] = {}
        self._emptied: set[str] = set()  # keys nothing was added to since the last reset

    def _default_name(self) -> str:
        return registry.name_of(type(self)) or type(self).__name__.lower()

    def _argument(self, name: str) -> Any:
        value = super()._argument(name)
        return None if name == "name" and value == self._default_name() else value

    # ---- what subclasses write

    def accumulate(self, y_true: TensorLike, y_pred: Tensor, weight: TensorLike | None) -> None:
        """Take a batch into account; nothing here is recorded for gradients."""
        raise NotImplementedError(f"{type(self).__name__} does not define accumulate()")

    def result(self) -> Tensor:
        """The figure so far."""
        raise NotImplementedError(f"{type(self).__name__} does not define result()")

    # ---- what users call

    def update_state(self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None) -> None:
        """Take a batch into account, each sample with its weight (1 without)."""
        self.accumulate(y_true, stop_gradient(predictions(y_pred)), sample_weight)

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """``update_state``, then ``result``."""
        self.update_state(*args, **kwargs)
        return self.result()

    def reset_state(self) -> None:
        """Forget all batches.  The state's variables stay, as zeros, for what has been traced with them."""
        for held in self._state.values():
            held.assign(zeros_like(held))
        self._emptied = set(self._state)

    @property
    def variables(self) -> list[Variable]:
        """The tensors of the state, named ``<metric>/<key>``; none before the first batch."""
        return list(self._state.values())

    def get_state(self) -> dict[str, Any]:
        """The state as NumPy arrays by name, for ``set_state``."""
        return {key: value.numpy() for key, value in self._state.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue where the metric that gave ``state`` stood, on the current device."""
        if not isinstance(state, Mapping):
            raise CheckpointError(self.name, f"a {type(state).__name__} is not a state", hint="get_state gives one")
        for key in self._state.keys() - state.keys():
            del self._state[key]
        for key, value in state.items():
            given, held = tensor(value), self._state.get(key)
            if held is not None and held.spec is given.spec:
                held.assign(given)
            else:
                self._state[key] = self._variable(key, given)

    # ---- the state

    def _variable(self, key: str, value: Tensor) -> Variable:
        return Variable(value, name=f"{self.name}/{key}", trainable=False)

    def add(self, key: str, value: Tensor) -> None:
        """Add ``value`` to the state's ``key``; the first batch makes it."""
        if getattr(current(), "only_infers", False):
            return  # a layer that holds the metric is looked at for its shapes
        wide = widened(value)
        held = self._state.get(key)
        traced = hasattr(current(), "assign_variable")  # a function is: it puts constants where its variables are
        if held is None or (key in self._emptied and held.spec.shape != wide.shape):
            # While a function is traced, zeros that its every run adds to.
            held = self._variable(key, zeros(tuple(wide.shape), wide.dtype) if traced else wide)
            self._state[key] = held
            if not traced:
                return
        if not traced and held.spec.device is not wide.spec.device:
            held.move_to(wide.device)
        held.assign(held + wide)
        self._emptied.discard(key)

    def state(self, key: str) -> Tensor:
        """The state's ``key``; a 0-d zero before the first batch."""
        held = self._state.get(key)
        return zeros(()) if held is None else held.value()


registry: Registry[Metric] = Registry("metric", Metric, lambda function: MeanMetricWrapper(function))
register = registry.register


def ratio(a: Tensor, b: Tensor) -> Tensor:
    """``a / b``, and 0 where ``b`` is 0."""
    empty = equal(b, 0)
    return where(empty, 0.0, a / where(empty, 1.0, b))


def widened(value: Tensor) -> Tensor:
    """``value`` in float64, where the backend offers it."""
    if value.dtype is dtypes.float64 or dtypes.float64 not in find_device(value.device).backend.offered:
        return value
    return value.cast(dtypes.float64)


def weighted_sums(values: Tensor, weight: TensorLike | None) -> tuple[Tensor, Tensor]:
    """The weighted sum of values, and the sum of their weights (the number of values without); 0-d, widened."""
    if weight is None:
        total = widened(sum_over(values) if values.ndim else values)
        return total, tensor(float(values.size), dtype=total.dtype, device=total.device)
    w = aligned_weight(weight, values)
    return sum_over(values * w), sum_over(broadcast_to(w, shape=values.shape))


@register("mean")
class Mean(Metric):
    """The weighted mean of values: ``update_state(values, sample_weight=None)``; 0 before the first."""

    def update_state(self, values: TensorLike, sample_weight: TensorLike | None = None) -> None:  # type: ignore[override]
        """Take values of any shape into account."""
        self._take(stop_gradient(predictions(values)), sample_weight)

    def _take(self, values: Tensor, weight: TensorLike | None) -> None:
        total, count = weighted_sums(values, weight)
        self.add("total", total)
        self.add("count", count)

    def result(self) -> Tensor:
        """The mean so far, 0-d."""
        return ratio(self.state("total"), self.state("count"))


@register("sum")
class Sum(Metric):
    """The weighted sum of values: ``update_state(values, sample_weight=None)``."""

    def update_state(self, values: TensorLike, sample_weight: TensorLike | None = None) -> None:  # type: ignore[override]
        """Take values of any shape into account."""
        self.add("total", weighted_sums(stop_gradient(predictions(values)), sample_weight)[0])

    def result(self) -> Tensor:
        """The sum so far, 0-d."""
        return self.state("total")


class MeanOverSamples(Mean):
    """Base of metrics that are the mean of a value per sample: a subclass defines ``values(y_true, y_pred)``."""

    #: Whether values are means over the last axis, so that ``(N,)`` predictions mean N samples of one number.
    elementwise: ClassVar[bool] = False

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """One value per sample."""
        raise NotImplementedError(f"{type(self).__name__} does not define values()")

    def update_state(  # type: ignore[override]  # labels and predictions, as in Metric
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> None:
        """Take a batch into account, each sample with its weight (1 without)."""
        self.accumulate(y_true, stop_gradient(predictions(y_pred)), sample_weight)

    def accumulate(self, y_true: TensorLike, y_pred: Tensor, weight: TensorLike | None) -> None:
        """Take the samples' values into account."""
        if self.elementwise and y_pred.ndim == 1:
            y_pred = expand_dims(y_pred, axis=-1)
        found = self.values(beside(y_true, y_pred), y_pred)
        if found is None:
            raise UsageError(self.name, "the metric's function returned nothing", hint="return a tensor or a number")
        found = beside(found, y_pred)  # a number or an array will do, as metrics have no gradients
        self._take(found if found.dtype.is_floating else found.cast(dtypes.float32), weight)


class MeanMetricWrapper(MeanOverSamples):
    """The mean of ``function(y_true, y_pred, **options)``, which gives one value per sample (or a scalar).

    A loss object serves as well: its values per sample are averaged, whatever its reduction.
    """

    def __init__(
        self, function: Callable[..., Tensor], name: str | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        own = getattr(function, "name", None) or getattr(function, "__name__", None)
        super().__init__(name or own)
        self.function, self.options = function, dict(options or {})

    def accumulate(self, y_true: TensorLike, y_pred: Tensor, weight: TensorLike | None) -> None:
        """Take the samples' values into account."""
        if isinstance(self.function, Loss):
            if self.function.elementwise and y_pred.ndim == 1:
                y_pred = expand_dims(y_pred, axis=-1)
            mask = self.function.mask(y_true, y_pred)
            if mask is not None:
                counts = mask.cast(y_pred.dtype)
                weight = counts if weight is None else aligned_weight(weight, counts) * counts
        super().accumulate(y_true, y_pred, weight)

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """What the function gives."""
        if isinstance(self.function, Loss):
            return self.function.call(y_true, y_pred)
        return self.function(y_true, y_pred, **self.options)


register()(MeanMetricWrapper)

__all__ = [
    "Mean",
    "MeanMetricWrapper",
    "MeanOverSamples",
    "Metric",
    "Sum",
    "ratio",
    "register",
    "registry",
    "weighted_sums",
    "widened",
]
