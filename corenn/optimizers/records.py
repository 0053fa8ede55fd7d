"""What an optimizer keeps for each variable, and how its settings name variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from corenn.errors import AttributeValueError, ShapeError
from corenn.graph.state import GraphVariable
from corenn.ops.creation import tensor
from corenn.tensor import Tensor
from corenn.variable import Variable


@runtime_checkable
class HasWeights(Protocol):
    """A layer: what holds variables, and knows the layers inside it."""

    name: str

    @property
    def weights(self) -> list[Variable]:
        """Its variables."""

    def walk(self) -> Iterable[Any]:
        """Itself and the layers inside."""


#: How a setting names variables: a pattern (``re.search`` in their names), a variable, or a layer with all inside it.
Matcher = str | Variable | HasWeights


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


class StepCount(int):
    """``optimizer.iterations`` as it is while a function is traced: ``now()`` is the number when the trace runs.

    As a number it is the one of the moment of tracing; what is called in every run (a summary) asks ``now``.
    """

    _ask: Callable[[], int]

    @classmethod
    def of(cls, ask: Callable[[], int]) -> StepCount:
        """The number that ``ask`` gives, in every run anew."""
        made = cls(ask())
        made._ask = ask
        return made

    def now(self) -> int:
        """The present number."""
        return self._ask()


def held(value: Tensor, name: str) -> Variable:
    """A variable of the optimizer's own."""
    return Variable(value, name=name, trainable=False)


def check_matcher(where: str, key: Any) -> None:
    """AttributeValueError unless ``key`` can name variables."""
    if isinstance(key, str):
        try:
            re.compile(key)
        except re.error as error:
            raise AttributeValueError(where, f"the pattern {key!r} is no regular expression: {error}") from None
    elif not isinstance(key, (Variable, GraphVariable, HasWeights)):
        what = f"{key!r} does not name variables"
        raise AttributeValueError(where, what, hint="a pattern of their names ('^head/'), a variable, or a layer")


def matches(key: Matcher, variable: Variable) -> bool:
    """Whether a setting for some variables is for this one."""
    if isinstance(key, str):
        return re.search(key, variable.name) is not None
    if isinstance(key, (Variable, GraphVariable)):
        return key is variable
    return any(v is variable for v in key.weights)


def pattern(key: Matcher) -> str:
    """A matcher as a pattern, for configurations.  The variables of a layer are called ``<layer>/<variable>``."""
    if isinstance(key, str):
        return key
    if isinstance(key, (Variable, GraphVariable)):
        return f"^{re.escape(key.name)}$"
    return f"^({'|'.join(re.escape(layer.name) for layer in key.walk())})/"


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


__all__ = ["HasWeights", "Matcher", "Record", "StepCount", "check_matcher", "fitting", "held", "matches", "pattern"]
