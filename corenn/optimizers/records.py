"""What an optimizer keeps for each variable, and how its settings name variables."""

from __future__ import annotations

import re
from typing import Any

from corenn.errors import ShapeError
from corenn.ops.creation import tensor
from corenn.tensor import Tensor
from corenn.variable import Variable

Matcher = str | Variable


class Record:
    """What an optimizer keeps for one variable."""

    __slots__ = ("accumulated", "average", "decays", "factor", "name", "slots", "variable")

    def __init__(self, variable: Variable, name: str, slots: tuple[Variable, ...], factor: float, decays: bool) -> None:
        self.variable, self.name, self.slots, self.factor, self.decays = variable, name, slots, factor, decays
        self.average: Variable | None = None
        self.accumulated: Variable | None = None

    def held(self) -> list[Variable]:
        """The optimizer's variables for this one."""
        return [v for v in (*self.slots, self.average, self.accumulated) if v is not None]


def held(value: Tensor, name: str) -> Variable:
    """A variable of the optimizer's own."""
    return Variable(value, name=name, trainable=False)


def matches(key: Matcher, variable: Variable) -> bool:
    """Whether a setting for some variables is for this one."""
    return key is variable if isinstance(key, Variable) else re.search(key, variable.name) is not None


def pattern(key: Matcher) -> str:
    """A matcher as a pattern, for configurations."""
    return f"^{re.escape(key.name)}$" if isinstance(key, Variable) else key


def fitting(given: Any, variable: Variable) -> Tensor:
    """The gradient in its variable's dtype; ShapeError if its shape is another."""
    like = isinstance(given, Tensor)
    gradient: Tensor = given if like else tensor(given, dtype=variable.dtype, device=variable.device)
    if gradient.spec is variable.spec:
        return gradient
    if gradient.shape != variable.shape:
        shown = {"variable": variable.spec, "gradient": gradient.spec}
        raise ShapeError("apply_gradients", f"the gradient of {variable.name!r} has another shape", shown)
    return gradient if gradient.dtype is variable.dtype else gradient.cast(variable.dtype)


__all__ = ["Matcher", "Record", "fitting", "held", "matches", "pattern"]
