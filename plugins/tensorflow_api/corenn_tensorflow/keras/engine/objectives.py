"""Losses and metrics of a compiled model, matched to outputs by the names Keras gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from corenn import metrics as core_metrics
from corenn.ops.elementwise import add, multiply
from corenn.tensor import Tensor
from corenn.training import objectives as core
from corenn_tensorflow import mode
from corenn_tensorflow.keras import losses, metrics


class Objectives(core.Objectives):
    """What ``compile`` was given.  Several outputs are matched by name, and each has a figure ``<name>_loss``."""

    def __init__(self, names: Any, loss: Any, metric: Any, weighted: Any, weights: Any) -> None:
        self._names = names
        self._given = (loss, metric, weighted, weights)
        self._arrange()

    def _arrange(self) -> None:
        """Losses and metrics for the outputs as they are known."""
        loss, metric, weighted, weights = self._given
        names = self._names
        self._single = len(names()) < 2
        if self._single:
            loss, metric, weighted, weights = (_only(v) for v in (loss, metric, weighted, weights))
        loss = _mapped(loss, losses.get)

        def made(given: Any) -> Any:
            return _metric_of(given, loss)

        if self._single:
            metric, weighted = _mapped(metric, made), _mapped(weighted, made)
        else:
            metric, weighted = _for_each(names(), metric, made), _for_each(names(), weighted, made)
        core.Objectives.__init__(self, loss, metric, weighted, weights)
        self.parts: dict[str, Any] = {}
        self._part_values: dict[str, Tensor] = {}

    def all(self) -> Iterator[Any]:
        """The loss, the losses of the outputs, the metrics."""
        yield self.tracker
        yield from self.parts.values()
        for _, metric, _ in self._metrics:
            yield metric

    def _by_name(self, value: Any) -> Any:
        names = self._names()
        if isinstance(value, (list, tuple)):
            if len(value) == 1 and self._single:
                return value[0]
            return dict(zip(names, value, strict=True)) if len(value) == len(names) else value
        if isinstance(value, Mapping) and self._single and len(value) == 1:
            return next(iter(value.values()))
        return value

    def loss(self, y: Any, y_pred: Any, sample_weight: Any) -> Tensor | None:
        """The weighted sum of the outputs' losses; ``None`` if no loss is compiled or there are no targets."""
        if isinstance(y_pred, (list, tuple)) and len(y_pred) > 1 and not self._names():
            found = [f"output_{i}" for i in range(1, len(y_pred) + 1)]  # of a subclass, which are known by now
            self._names = lambda: found
            self._arrange()
        y, y_pred, sample_weight = self._by_name(y), self._by_name(y_pred), self._by_name(sample_weight)
        y = self._for_only_loss(y, y_pred)
        if not isinstance(y_pred, Mapping):
            self._single = True
            return super().loss(y, y_pred, sample_weight) if y is not None else self._without_targets(y_pred)
        wanted, weights = core._named(y), core._named(sample_weight)
        bound = self._losses if self._losses is not None else self._bind(list(y_pred))
        total: Tensor | None = None
        self._part_values = {}
        for key, function in bound.items():
            if function is None or wanted.get(key) is None:
                continue
            value = function(wanted[key], y_pred[key], sample_weight=weights.get(key, weights.get("")))
            self._part_values[key] = value
            if self._weights.get(key) is not None:
                value = multiply(value, float(self._weights[key]))
            total = value if total is None else add(total, value)
        return total

    def _for_only_loss(self, y: Any, y_pred: Any) -> Any:
        """Targets of several outputs of which one has a loss, by its name."""
        if y is None or isinstance(y, (Mapping, list, tuple)) or not isinstance(y_pred, Mapping):
            return y
        bound = self._losses if self._losses is not None else self._bind(list(y_pred))
        named = [key for key, function in bound.items() if function is not None]
        return {named[0]: y} if len(named) == 1 else y

    def _without_targets(self, y_pred: Any) -> None:
        if self._losses is None:
            self._bind([""])

    def update(self, y: Any, y_pred: Any, sample_weight: Any, loss: Tensor) -> None:
        """Add one batch to the metrics."""
        y, y_pred, sample_weight = self._by_name(y), self._by_name(y_pred), self._by_name(sample_weight)
        y = self._for_only_loss(y, y_pred)
        if y is None and not isinstance(y_pred, Mapping):
            self.tracker.update_state(loss, sample_weight=float(y_pred.shape[0]))
            return
        for key, value in self._part_values.items():
            if len(self._part_values) > 1 or len(self._names()) > 1:
                found = self.parts.setdefault(f"{key}_loss", metrics.Mean(name=f"{key}_loss"))
                found.update_state(value, sample_weight=float(y_pred[key].shape[0]))
        self._part_values = {}
        super().update(y, y_pred, sample_weight, loss)


def _only(value: Any) -> Any:
    """A dictionary with one entry for the only output, as the entry."""
    if isinstance(value, Mapping) and "class_name" not in value and len(value) == 1:
        return next(iter(value.values()))
    return value


def _mapped(value: Any, function: Any) -> Any:
    if isinstance(value, Mapping) and "class_name" not in value:
        return {k: _mapped(v, function) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mapped(v, function) for v in value]
    return None if value is None else function(value)


def _for_each(names: list[str], given: Any, made: Any) -> Any:
    """Metrics for each output, of its own objects."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {n: _mapped(_listed(given.get(n)), made) for n in names}
    if isinstance(given, (list, tuple)) and any(isinstance(g, (list, tuple)) for g in given):
        return {n: _mapped(_listed(g), made) for n, g in zip(names, given, strict=True)}
    return {n: _mapped(_listed(given), made) for n in names}


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [] if given is None else [given]


def _metric_of(value: Any, loss: Any) -> Any:
    """A metric object; what "accuracy" means is a matter of shapes, and in generation 1 of the loss first."""
    if not (isinstance(value, str) and value.lower() in ("accuracy", "acc", "crossentropy", "ce")):
        return metrics.get(value)
    known = losses.meaning(loss) if loss is not None and not isinstance(loss, (list, Mapping)) else None
    if value.lower() in ("crossentropy", "ce"):
        found = {"BinaryCrossentropy": metrics.BinaryCrossentropy,
                 "SparseCategoricalCrossentropy": metrics.SparseCategoricalCrossentropy}.get(
            type(known).__name__, metrics.CategoricalCrossentropy)  # fmt: skip
        return found(name=value, from_logits=bool(getattr(known, "from_logits", False)))
    if mode.generation() == 1 and type(known).__name__ == "BinaryCrossentropy":
        return metrics.BinaryAccuracy(name=value)
    if type(known).__name__ == "SparseCategoricalCrossentropy":
        return metrics.SparseCategoricalAccuracy(name=value)
    return core_metrics.AutoAccuracy(name=value)


__all__ = ["Objectives"]
