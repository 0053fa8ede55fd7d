"""The table of emitters: how a call of a corenn op is written as ONNX nodes.

An emitter is a function of the ``Emitter`` and the call (``Use``s of its operands, attributes, results); it adds nodes
and returns the name of the result, or a tuple of names.  A call whose op has no emitter, or whose emitter's ``when``
declines it, is written as the calls it is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Emits(NamedTuple):
    """An emitter, and the condition on the call (a ``corenn.compiler.program.Call``) and opset."""

    function: Callable[..., Any]
    when: Callable[[Any, int], bool] | None


#: Emitters by the name of the op.
EMITTERS: dict[str, Emits] = {}


def emits(*names: str, when: Callable[[Any, int], bool] | None = None) -> Callable[[F], F]:
    """Declare the emitter of ops."""

    def declare(function: F) -> F:
        for name in names:
            if name in EMITTERS:
                raise TypeError(f"op {name} has two emitters")
            EMITTERS[name] = Emits(function, when)
        return function

    return declare


def served(call: Any, opset: int) -> bool:
    """Whether a call has an emitter that takes it."""
    found = EMITTERS.get(call.plan.op.name)
    return found is not None and (found.when is None or found.when(call, opset))


__all__ = ["EMITTERS", "Emits", "emits", "served"]
