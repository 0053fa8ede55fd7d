"""Exponential moving averages of variables, kept by their optimizer (Polyak & Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from corenn.errors import UsageError
from corenn.ops.elementwise import where
from corenn.optimizers.records import Record, held
from corenn.tensor import Tensor

if TYPE_CHECKING:
    from corenn.optimizers.base import Optimizer


def average(optimizer: Optimizer, records: Sequence[Record], finite: Tensor | None = None) -> None:
    """Bring the averages of what was updated up to date; where ``finite`` is False they stay as they are."""
    every = optimizer.ema_overwrite_frequency
    for record in records:
        if record.average is None:
            record.average = held(record.variable.value(), f"{record.name}/average")
        else:
            step = (record.variable - record.average) * (1.0 - optimizer.ema_momentum)
            new = record.average + step
            record.average.assign(new if finite is None else where(finite, new, record.average))
        if every is not None and optimizer.iterations % every == 0:
            record.variable.assign(record.average.value())


def swap(optimizer: Optimizer) -> None:
    """Exchange the values of the variables and their averages; UsageError where there are none."""
    if not optimizer.use_ema:
        hint = f"{type(optimizer).__name__}(..., use_ema=True)"
        raise UsageError(optimizer.name, "keeps no averages", hint=hint)
    for record in optimizer._records.values():
        if record.average is not None:
            value, mean = record.variable.value(), record.average.value()
            record.variable.assign(mean)
            record.average.assign(value)
    optimizer._swapped = not optimizer._swapped


__all__ = ["average", "swap"]
