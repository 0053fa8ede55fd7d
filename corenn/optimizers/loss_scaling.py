"""Loss scaling: small gradients of float16 are kept from vanishing by differentiating a multiple of the loss.

A gradient below 6e-8 is 0 in float16.  The loss is multiplied by a *scale* before it is differentiated, and the
gradients, in float32, are divided by it again (Micikevicius et al. 2018, "Mixed precision training", arXiv:1710.03740).
A scale that is too large shows as gradients that are not finite: the update is then left out and the scale halved.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from corenn.configurable import Configurable, Registry
from corenn.errors import AttributeValueError
from corenn.ops.elementwise import cast
from corenn.ops.logic import isfinite, logical_and
from corenn.ops.reduction import all as all_over
from corenn.tensor import Tensor

#: The scale is doubled as long as it stays finite beside a float32 loss, and halved down to 1.
_MOST, _LEAST = 2.0**120, 1.0


class DynamicLossScale(Configurable):
    """A scale that finds its own value: ``Adam(loss_scale_factor="dynamic")``, or an object of this class.

    It begins at ``initial_scale``, is halved whenever a gradient is not finite (that update is left out and not
    counted), and doubled after ``growth_steps`` updates in a row with finite ones.
    """

    def __init__(self, initial_scale: float = 2.0**15, growth_steps: int = 2000) -> None:
        if not _LEAST <= initial_scale <= _MOST:
            shown = {"initial_scale": initial_scale}
            raise AttributeValueError("DynamicLossScale", "initial_scale must lie between 1 and 2**120", shown)
        if not isinstance(growth_steps, int) or growth_steps < 1:
            shown = {"growth_steps": growth_steps}
            raise AttributeValueError("DynamicLossScale", "growth_steps must be a positive int", shown)
        self.initial_scale, self.growth_steps = float(initial_scale), growth_steps


class Scaling:
    """The present scale of an optimizer: ``value``, and ``good``, the updates in a row with finite gradients."""

    def __init__(self, settings: DynamicLossScale) -> None:
        self.settings = settings
        self.value, self.good = settings.initial_scale, 0

    def note(self, finite: bool) -> None:
        """Adapt to what became of a step."""
        if not finite:
            self.value, self.good = max(self.value / 2, _LEAST), 0
            return
        self.good += 1
        if self.good >= self.settings.growth_steps:
            self.value, self.good = min(self.value * 2, _MOST), 0

    def state(self) -> dict[str, Any]:
        """Value and count, for a checkpoint."""
        return {"value": self.value, "good": self.good}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.value, self.good = float(state["value"]), int(state["good"])


def parse(where: str, given: Any) -> float | DynamicLossScale | None:
    """A ``loss_scale_factor`` as it is kept; AttributeValueError for what is none."""
    if given is None or isinstance(given, DynamicLossScale):
        return given
    if given == "dynamic":
        return DynamicLossScale()
    if isinstance(given, str) or not given > 0:
        what = "loss_scale_factor must be a positive number or 'dynamic'"
        raise AttributeValueError(where, what, {"loss_scale_factor": repr(given)})
    return float(given)


def all_finite(gradients: Sequence[Tensor]) -> Tensor:
    """Whether no element of any gradient is infinite or NaN, a 0-d bool."""
    return functools.reduce(logical_and, [all_over(isfinite(g)) for g in gradients])


def unscaled(gradient: Tensor, inverse: Tensor) -> Tensor:
    """The gradient times a 0-d tensor, in its own dtype."""
    found = gradient * inverse
    return found if found.dtype is gradient.dtype else cast(found, dtype=gradient.dtype)


_REGISTRY: Registry[DynamicLossScale] = Registry("loss_scale", DynamicLossScale)
_REGISTRY.register("dynamic")(DynamicLossScale)

__all__ = ["DynamicLossScale", "Scaling", "all_finite", "parse", "unscaled"]
