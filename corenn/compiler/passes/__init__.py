"""Passes: pure functions from program to program, one file each."""

from corenn.compiler.passes.common_subexpressions import eliminate_common_subexpressions
from corenn.compiler.passes.join_updates import join_updates
from corenn.compiler.passes.prune import prune
from corenn.compiler.passes.simplify import simplify
from corenn.compiler.program import Program

__all__ = ["eliminate_common_subexpressions", "join_updates", "optimize", "prune", "simplify"]


def optimize(program: Program) -> Program:
    """What every program goes through before it runs."""
    return prune(eliminate_common_subexpressions(simplify(prune(program))))
