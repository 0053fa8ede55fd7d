"""What layers know of the call they run in, and of how their ``call`` wants to be called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

#: Whether the layer call that is running is one of training; ``None`` outside all layers.
_phase: ContextVar[bool | None] = ContextVar("corenn_phase", default=None)
#: Whether losses and metrics that layers add count, as they do not in predictions.
_figures: ContextVar[bool] = ContextVar("corenn_figures", default=True)
_version = 0


def structure_changed() -> None:
    """Say that some layer has got or lost a layer, weight or metric: what models have collected is out of date."""
    global _version
    _version += 1


def structure_version() -> int:
    """A number that grows with every change to any layer's structure."""
    return _version


def figures_count() -> bool:
    """Whether losses and metrics that layers add are to be kept."""
    return _figures.get()


@contextmanager
def no_figures() -> Iterator[None]:
    """In the block layers add no losses and metrics."""
    token = _figures.set(False)
    try:
        yield
    finally:
        _figures.reset(token)


class CallSignature:
    """The parameters of a ``call``: ``inputs`` (positional, without training and mask), and which options it names.

    ``leading`` counts the inputs that stand before the first of training and mask: only these can be given by place.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        parameters = list(inspect.signature(function).parameters.values())[1:]
        many = any(p.kind is p.VAR_KEYWORD for p in parameters)
        known = {p.name for p in parameters}
        self.takes_training = many or "training" in known
        self.takes_mask = "mask" in known
        placed = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self.inputs = tuple(name for name in placed if name not in ("training", "mask"))
        self.leading = next((i for i, name in enumerate(placed) if name in ("training", "mask")), len(placed))
        self.needs_mask = any(p.name == "mask" and p.default is p.empty for p in parameters)

    def arrange(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Inputs that were given by name, moved to their places."""
        left = dict(options)
        for name in self.inputs[len(inputs) :]:
            if name not in left:
                break
            inputs = (*inputs, left.pop(name))
        return inputs, left

    def invoke(self, call: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Call it; inputs that stand behind training or mask are given by name."""
        if len(inputs) > self.leading < len(self.inputs):
            named = zip(self.inputs[self.leading :], inputs[self.leading :], strict=False)
            return call(*inputs[: self.leading], **dict(named), **options)
        return call(*inputs, **options)


@functools.lru_cache(1024)
def call_signature(function: Callable[..., Any]) -> CallSignature:
    """The signature of a class's ``call``."""
    return CallSignature(function)


__all__ = [
    "CallSignature", "call_signature", "figures_count", "no_figures", "structure_changed", "structure_version",
]  # fmt: skip
