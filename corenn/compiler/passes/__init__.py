"""Passes: pure functions from program to program, one file each."""

from corenn.compiler.passes.common_subexpressions import eliminate_common_subexpressions
from corenn.compiler.passes.dead_state import eliminate_dead_state
from corenn.compiler.passes.fold import fold
from corenn.compiler.passes.join_updates import join_updates
from corenn.compiler.passes.prune import prune
from corenn.compiler.passes.rematerialize import rematerialize
from corenn.compiler.passes.simplify import simplify
from corenn.compiler.program import Program
from corenn.compiler.verify import verified

__all__ = [
    "eliminate_common_subexpressions", "eliminate_dead_state", "fold", "join_updates", "optimize", "prune",
    "rematerialize", "simplify",
]  # fmt: skip


def optimize(program: Program) -> Program:
    """What every program goes through before it runs."""
    verified(program, "lowering")
    for one in (prune, fold, simplify, eliminate_common_subexpressions, eliminate_dead_state, prune):
        program = verified(one(program), one.__name__)
    return program
