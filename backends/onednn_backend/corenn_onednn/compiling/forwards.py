"""What forward instructions leave for their gradients beside the results of their ops: workspaces, tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corenn.compiler.program import Call, Program


class Forwards:
    """The forward instructions made so far, for their gradients, by what both know them by.

    ``wanted``: those that have a gradient in the program; ``made``: what each of them leaves; ``read``: all symbols
    that something in the program reads.
    """

    def __init__(self, program: Program) -> None:
        calls = [i for i in program.instructions if isinstance(i, Call)]
        self.wanted = {_KEYS[c.name](c) for c in calls if c.name in _KEYS}
        self.made: dict[Any, Any] = {}
        self.read = {s for i in program.instructions for s in i.inputs} | set(program.block.results)


def pool_key(call: Call) -> Any:
    """What a pooling and its gradient have in common: the operand and the windows."""
    return call.inputs[0], tuple(sorted(call.plan.attrs.items()))


#: Op of a gradient to what its forward is known by: for recurrent networks, the symbol of their outputs.
_KEYS: dict[str, Callable[[Call], Any]] = {
    "max_pool_grad": pool_key,
    "recurrent_weight_grad": lambda call: call.inputs[3],
}

__all__ = ["Forwards", "pool_key"]
