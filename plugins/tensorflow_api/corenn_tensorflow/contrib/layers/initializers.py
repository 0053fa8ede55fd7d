"""``xavier_initializer``, ``variance_scaling_initializer``: initial values for numbers of inputs and outputs."""

from __future__ import annotations

import math
from typing import Any

from corenn.dtypes import as_dtype
from corenn.errors import AttributeValueError
from corenn.ops.random import truncated_normal, uniform
from corenn_tensorflow.initializers import Initializer


class _VarianceScaling(Initializer):
    """Variance ``factor / n``, n the number of inputs, of outputs, or their mean."""

    def __init__(self, factor: float, mode: str, uniform: bool, seed: int | None, dtype: Any) -> None:
        self.dtype = as_dtype(dtype)
        if not self.dtype.is_floating:
            raise AttributeValueError(
                "variance_scaling_initializer",
                "Cannot create initializer for non-floating point type.",
                {"dtype": self.dtype},
            )
        if mode not in ("FAN_IN", "FAN_OUT", "FAN_AVG"):
            raise AttributeValueError("variance_scaling_initializer", f"Unknown mode {mode} [FAN_IN, FAN_OUT, FAN_AVG]")
        self.factor, self.mode, self.uniform, self.seed = float(factor), mode, uniform, seed

    def _make(self, shape: tuple[int, ...], dtype: Any) -> Any:
        # Unlike tf.variance_scaling_initializer: 1.3 in place of the variance that truncation leaves, and vectors
        # count by their only extent.
        fan_in = float(shape[-2]) if len(shape) > 1 else float(shape[-1]) if shape else 1.0
        fan_out = float(shape[-1]) if shape else 1.0
        window = math.prod(shape[:-2])
        fan_in, fan_out = fan_in * window, fan_out * window
        n = {"FAN_IN": fan_in, "FAN_OUT": fan_out, "FAN_AVG": (fan_in + fan_out) / 2.0}[self.mode]
        if self.uniform:
            limit = math.sqrt(3.0 * self.factor / n)
            return uniform(shape, -limit, limit, dtype, seed=self.seed)
        return truncated_normal(shape, 0.0, math.sqrt(1.3 * self.factor / n), dtype, seed=self.seed)


def variance_scaling_initializer(
    factor: float = 2.0, mode: str = "FAN_IN", uniform: bool = False, seed: int | None = None, dtype: Any = "float32"
) -> Initializer:
    """Normal numbers (truncated) of variance ``1.3 factor / n``, or uniform ones of variance ``factor / n``."""
    return _VarianceScaling(factor, mode, uniform, seed, dtype)


def xavier_initializer(uniform: bool = True, seed: int | None = None, dtype: Any = "float32") -> Initializer:
    """Variance 1 over the mean number of inputs and outputs (Glorot & Bengio 2010)."""
    return _VarianceScaling(1.0, "FAN_AVG", uniform, seed, dtype)


xavier_initializer_conv2d = xavier_initializer

__all__ = ["variance_scaling_initializer", "xavier_initializer", "xavier_initializer_conv2d"]
