"""Losses and metrics of a compiled model, matched to its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from corenn import losses as losses_module
from corenn import metrics as metrics_module
from corenn.errors import UsageError, nearest
from corenn.ops.elementwise import add, multiply
from corenn.tensor import Tensor


def _named(outputs: Any) -> dict[str, Any]:
    """Outputs by name: one output is '', lists count, dicts keep their keys."""
    if isinstance(outputs, Mapping):
        return dict(outputs)
    if isinstance(outputs, (list, tuple)):
        return {str(i): o for i, o in enumerate(outputs)}
    return {"": outputs}


def _spread(given: Any, keys: list[str], what: str) -> dict[str, Any]:
    """A setting for each output: one for all, a list in order, or a dict by name."""
    if isinstance(given, Mapping):
        unknown = [k for k in given if k not in keys]
        if unknown:
            raise UsageError("compile", f"{what} names the output {unknown[0]!r}", hint=nearest(str(unknown[0]), keys))
        return {k: given.get(k) for k in keys}
    if keys == [""]:
        return {"": given}
    if isinstance(given, (list, tuple)):
        if len(given) != len(keys):
            raise UsageError("compile", f"{len(given)} {what} for {len(keys)} outputs")
        return dict(zip(keys, given, strict=True))
    return dict.fromkeys(keys, given)


class Objectives:
    """What ``compile`` was given; bound to the outputs at the first step, when their structure is known."""

    def __init__(self, loss: Any, metrics: Any, weighted_metrics: Any, loss_weights: Any) -> None:
        self._given = (loss, metrics, weighted_metrics, loss_weights)
        self.tracker = metrics_module.Mean(name="loss")
        self._losses: dict[str, Any] | None = None
        self._weights: dict[str, Any] = {}
        self._metrics: list[tuple[str, metrics_module.Metric, bool]] = []
        # Settings are looked up now, so that a misspelt name fails where it was written.
        if isinstance(loss, str):
            losses_module.get(loss)
        for name in (*(metrics or ()), *(weighted_metrics or ())) if not isinstance(metrics, Mapping) else ():
            if isinstance(name, str) and name not in ("accuracy", "acc", "crossentropy", "ce"):
                metrics_module.get(name)

    def all(self) -> Iterator[metrics_module.Metric]:
        """The loss tracker and every metric."""
        yield self.tracker
        for _, metric, _ in self._metrics:
            yield metric

    def _bind(self, y: Any, y_pred: Any) -> dict[str, Any]:
        loss, metrics, weighted, weights = self._given
        predicted, wanted = _named(y_pred), _named(y)
        keys = list(predicted)
        self._losses = {k: None if v is None else losses_module.get(v) for k, v in _spread(loss, keys, "losses").items()}
        self._weights = _spread(weights, keys, "loss_weights")
        for group, takes_weight in ((metrics, False), (weighted, True)):
            many = group if keys == [""] or isinstance(group, Mapping) else _per_output(group, keys)
            for key, chosen in _spread(many, keys, "metrics").items():
                for one in chosen if isinstance(chosen, (list, tuple)) else [chosen] if chosen is not None else []:
                    metric = metrics_module.get(one, loss=self._losses[key], y_true=wanted.get(key), y_pred=predicted[key])
                    if key:
                        metric.name = f"{key}_{metric.name}"
                    self._metrics.append((key, metric, takes_weight))
        return self._losses

    def loss(self, y: Any, y_pred: Any, sample_weight: Any) -> Tensor | None:
        """The weighted sum of the outputs' losses; ``None`` if no loss is compiled."""
        bound = self._losses if self._losses is not None else self._bind(y, y_pred)
        predicted, wanted, weights = _named(y_pred), _named(y), _named(sample_weight)
        total: Tensor | None = None
        for key, function in bound.items():
            if function is None:
                continue
            if wanted.get(key) is None:
                raise UsageError("fit", "the loss needs targets, and y is missing", hint="fit(x, y), or yield (x, y)")
            value = function(wanted[key], predicted[key], sample_weight=weights.get(key, weights.get("")))
            if self._weights.get(key) is not None:
                value = multiply(value, float(self._weights[key]))
            total = value if total is None else add(total, value)
        return total

    def update(self, y: Any, y_pred: Any, sample_weight: Any, loss: Tensor) -> None:
        """Add one batch to the metrics."""
        predicted, wanted, weights = _named(y_pred), _named(y), _named(sample_weight)
        first = next(iter(predicted.values()))
        self.tracker.update_state(loss, sample_weight=float(first.shape[0]) if first.ndim else None)
        for key, metric, takes_weight in self._metrics:
            if takes_weight:
                metric.update_state(wanted[key], predicted[key], sample_weight=weights.get(key, weights.get("")))
            else:
                metric.update_state(wanted[key], predicted[key])


def _per_output(group: Any, keys: list[str]) -> Any:
    """Metrics for several outputs: a flat list goes to each of them."""
    if group is None or (isinstance(group, (list, tuple)) and any(isinstance(g, (list, tuple)) for g in group)):
        return group
    return {k: group for k in keys}
