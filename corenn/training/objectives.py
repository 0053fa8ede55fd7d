"""Losses and metrics of a compiled model, matched to its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from corenn import losses as losses_module
from corenn import metrics as metrics_module
from corenn.dtypes import float32
from corenn.errors import CheckpointError, ShapeError, UsageError, nearest
from corenn.layers.naming import numbered
from corenn.ops.elementwise import add, multiply
from corenn.tensor import Tensor


def _named(outputs: Any) -> dict[str, Any]:
    """Outputs by name: one output is '', lists count, dicts keep their keys."""
    if isinstance(outputs, Mapping):
        return dict(outputs)
    if isinstance(outputs, (list, tuple)):
        return {str(i): o for i, o in enumerate(outputs)}
    return {"": outputs}


def _predictions(outputs: Any) -> dict[str, Any]:
    """Outputs by name; those of 16 bits in float32, in which losses and metrics are computed."""
    found = _named(outputs)
    for name, value in found.items():
        if isinstance(value, Tensor) and value.dtype.is_floating and value.dtype.itemsize < 4:
            found[name] = value.cast(float32)
    return found


def _spread(given: Any, keys: list[str], what: str) -> dict[str, Any]:
    """A setting for each output: one for all, a list in order, or a dict by name."""
    if isinstance(given, Mapping) and "class_name" not in given:
        unknown = [k for k in given if k not in keys]
        if unknown:
            raise UsageError("compile", f"{what} name the output {unknown[0]!r}", hint=nearest(str(unknown[0]), keys))
        return {k: given.get(k) for k in keys}
    if keys == [""]:
        return {"": given}
    if isinstance(given, (list, tuple)):
        if len(given) != len(keys):
            raise UsageError("compile", f"{len(given)} {what} for {len(keys)} outputs")
        return dict(zip(keys, given, strict=True))
    return dict.fromkeys(keys, given)


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [] if given is None else [given]


class Objectives:
    """What ``compile`` was given; bound to the outputs at the first step, when their structure is known."""

    def __init__(self, loss: Any, metrics: Any, weighted_metrics: Any, loss_weights: Any) -> None:
        self._given = (loss, metrics, weighted_metrics, loss_weights)
        self.tracker = metrics_module.Mean(name="loss")
        self._losses: dict[str, Any] | None = None
        self._weights: dict[str, Any] = {}
        self._metrics: list[tuple[str, metrics_module.Metric, bool]] = []
        _check_names(loss, losses_module.get)
        for group in (metrics, weighted_metrics):
            _check_names(group, metrics_module.get, ("accuracy", "acc", "crossentropy", "ce"))

    def all(self) -> Iterator[metrics_module.Metric]:
        """The loss tracker and every metric."""
        yield self.tracker
        for _, metric, _ in self._metrics:
            yield metric

    def given(self) -> list[metrics_module.Metric]:
        """The metrics that were given as objects."""
        groups: list[Any] = list(self._given[1:3])
        found: list[metrics_module.Metric] = []
        while groups:
            group = groups.pop()
            if isinstance(group, metrics_module.Metric):
                found.append(group)
            elif isinstance(group, (list, tuple, Mapping)):
                groups += group.values() if isinstance(group, Mapping) else group
        return found

    # ---- matching

    def _bind(self, keys: list[str]) -> dict[str, Any]:
        loss, metrics, weighted, weights = self._given
        bound = {k: losses_module.get(v) for k, v in _spread(loss, keys, "losses").items()}
        self._weights = _spread(weights, keys, "loss_weights")
        found: list[tuple[str, metrics_module.Metric, bool]] = []
        for group, takes_weight in ((metrics, False), (weighted, True)):
            for key, chosen in _spread(_per_output(group, keys), keys, "metrics").items():
                found += [(key, _metric(one, key, bound[key]), takes_weight) for one in _listed(chosen)]
        if len({id(metric) for _, metric, _ in found}) < len(found):
            raise UsageError("compile", "one metric object cannot serve several outputs at once",
                             hint="give its name or class, so that each output gets its own")  # fmt: skip
        names = numbered(metric.name for _, metric, _ in found)
        for (_, metric, _), name in zip(found, names, strict=True):
            metric.name = name
        self._metrics, self._losses = found, bound
        return bound

    def _targets(self, y: Any, keys: list[str]) -> dict[str, Any]:
        """Targets by output; UsageError when their structure is another."""
        wanted = _named(y)
        if y is not None and keys != list(wanted) and set(keys) != set(wanted):
            shown = {"outputs": ", ".join(k or "one" for k in keys), "y": ", ".join(k or "one array" for k in wanted)}
            raise UsageError("fit", "y does not have the structure of the model's outputs", shown)
        return wanted

    # ---- a batch

    def loss(self, y: Any, y_pred: Any, sample_weight: Any) -> Tensor | None:
        """The weighted sum of the outputs' losses; ``None`` if no loss is compiled."""
        predicted, weights = _predictions(y_pred), _named(sample_weight)
        bound = self._losses if self._losses is not None else self._bind(list(predicted))
        wanted = self._targets(y, list(predicted))
        total: Tensor | None = None
        for key, function in bound.items():
            if function is None:
                continue
            if wanted.get(key) is None:
                raise UsageError("fit", "the loss needs targets, and y is missing", hint="fit(x, y), or yield (x, y)")
            try:
                value = function(wanted[key], predicted[key], sample_weight=weights.get(key, weights.get("")))
            except ShapeError as error:
                _check_labels(wanted[key], predicted[key], error)
                raise
            if self._weights.get(key) is not None:
                value = multiply(value, float(self._weights[key]))
            total = value if total is None else add(total, value)
        return total

    def update(self, y: Any, y_pred: Any, sample_weight: Any, loss: Tensor) -> None:
        """Add one batch to the metrics."""
        predicted, wanted, weights = _predictions(y_pred), _named(y), _named(sample_weight)
        first = next(iter(predicted.values()))
        count = float(first.shape[0]) if isinstance(first, Tensor) and first.ndim else None
        self.tracker.update_state(loss, sample_weight=count)
        for key, metric, takes_weight in self._metrics:
            if wanted.get(key) is None:
                what = f"the metric {metric.name!r} needs targets, and y is missing"
                raise UsageError("fit", what, hint="fit(x, y), or yield (x, y)")
            if takes_weight:
                metric.update_state(wanted[key], predicted[key], sample_weight=weights.get(key, weights.get("")))
            else:
                metric.update_state(wanted[key], predicted[key])

    # ---- state

    def get_state(self) -> dict[str, Any]:
        """States of the loss tracker and the metrics, and the names of the outputs they are matched to."""
        outputs = None if self._losses is None else list(self._losses)
        return {"outputs": outputs, "metrics": [m.get_state() for m in self.all()]}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take them back; CheckpointError when there are others now."""
        if self._losses is None and state["outputs"] is not None:
            self._bind(list(state["outputs"]))
        metrics = list(self.all())
        if len(metrics) != len(state["metrics"]):
            shown = {"checkpoint": len(state["metrics"]), "now": ", ".join(m.name for m in metrics)}
            raise CheckpointError("compile", "the checkpoint was made with other metrics", shown)
        for metric, saved in zip(metrics, state["metrics"], strict=True):
            metric.set_state(saved)

    def reset_state(self) -> None:
        """Start all again."""
        for metric in self.all():
            metric.reset_state()


def _metric(given: Any, key: str, loss: Any) -> metrics_module.Metric:
    metric: metrics_module.Metric = metrics_module.get(given, loss=loss)
    if isinstance(given, str):
        metric.name = given  # "mae" is what the user will look for
    if key and not metric.name.startswith(f"{key}_"):
        metric.name = f"{key}_{metric.name}"
    return metric


def _check_labels(y: Tensor, y_pred: Tensor, error: ShapeError) -> None:
    """After an error: ShapeError that names a class number outside the model's classes, if that is what was wrong."""
    if y.dtype.is_integer and y.size and y_pred.ndim:
        least, most, classes = int(y.numpy().min()), int(y.numpy().max()), y_pred.shape[-1]
        if least < 0 or most >= classes:
            what = f"there is a class number {most if most >= classes else least}, and the model has {classes} classes"
            hint = f"number the classes from 0 to {classes - 1}, or give the last layer more units"
            raise ShapeError("fit", what, {"y": y.spec, "output": y_pred.spec}, hint=hint) from error


def _check_names(given: Any, get: Any, later: tuple[str, ...] = ()) -> None:
    """Look names up now, so that a misspelt one fails where it was written."""
    if isinstance(given, Mapping):
        given = [] if "class_name" in given else [*given.values()]
    for one in _listed(given):
        if isinstance(one, (list, tuple, Mapping)):
            _check_names(one, get, later)
        elif isinstance(one, str) and one.lower() not in later:
            get(one)


def _per_output(group: Any, keys: list[str]) -> Any:
    """Metrics for several outputs: a flat list goes to each of them."""
    if keys == [""] or group is None or isinstance(group, Mapping):
        return group
    if isinstance(group, (list, tuple)) and any(isinstance(g, (list, tuple)) or g is None for g in group):
        return group
    return dict.fromkeys(keys, group)


__all__ = ["Objectives"]
