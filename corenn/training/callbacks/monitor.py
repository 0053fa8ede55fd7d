"""Watching one figure: which way is better, and whether it has improved."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from corenn.errors import AttributeValueError, UsageError, nearest

#: Figures of which more is better; everything else that ``mode="auto"`` knows is a loss or an error.
_RISING = (
    "acc",
    "auc",
    "precision",
    "recall",
    "f1",
    "iou",
    "r2",
    "top_k",
    "cosine",
    "true_positives",
    "true_negatives",
)
_FALLING = ("loss", "error", "mse", "mae", "rmse", "crossentropy", "hinge", "kl", "perplexity", "false_", "poisson")


class CallbackWarning(UserWarning):
    """A callback could not do its work at one moment, and says why."""


class Monitor:
    """Tells whether ``logs[name]`` is better, by more than ``min_delta``, than the best so far (``None`` at first).

    ``mode``: "min", "max", or "auto": by what the metric says of itself, else by the figure's name; UsageError when
    that does not tell.
    """

    def __init__(self, where: str, name: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise AttributeValueError(where, f"mode {mode!r} is not one", hint="'auto', 'min' or 'max'")
        self.where, self.name, self.mode, self.min_delta = where, name, mode, abs(min_delta)
        self._rising: bool | None = None if mode == "auto" else mode == "max"
        self.best: float | None = None
        self._warned = False

    @property
    def rising(self) -> bool:
        """Whether more is better."""
        if self._rising is None:
            self.follow(())
        return bool(self._rising)

    def follow(self, metrics: Iterable[Any]) -> None:
        """With ``mode="auto"``, go by the metric of that name if one says which way is better, else by the name."""
        plain = self.name.removeprefix("val_")
        for metric in metrics if self.mode == "auto" else ():
            if metric.name == plain and metric.better is not None:
                self._rising = metric.better == "max"
        if self._rising is None:
            self._rising = self._guess()

    def _guess(self) -> bool:
        plain = self.name.removeprefix("val_")
        if any(part in plain for part in _FALLING):
            return False
        if any(part in plain for part in _RISING):
            return True
        raise UsageError(self.where, f"cannot tell whether more or less of {self.name!r} is better",
                         hint="give mode='max' or mode='min'")  # fmt: skip

    def read(self, logs: Mapping[str, float]) -> float | None:
        """The figure, or ``None`` with one warning when the logs lack it."""
        if self.name in logs:
            return float(logs[self.name])
        if not self._warned:
            self._warned = True
            hint = nearest(self.name, logs)
            warnings.warn(f"{self.where}: the logs have no {self.name!r}; {hint}", CallbackWarning, stacklevel=2)
        return None

    def better(self, value: float, than: float) -> bool:
        """Whether ``value`` is strictly better than ``than`` by more than ``min_delta``; NaN never is."""
        return value - self.min_delta > than if self.rising else value + self.min_delta < than

    def improved(self, value: float) -> bool:
        """Whether ``value`` is better than the best so far (or the first), which it then becomes; NaN never is."""
        if math.isnan(value) or (self.best is not None and not self.better(value, self.best)):
            return False
        self.best = value
        return True
