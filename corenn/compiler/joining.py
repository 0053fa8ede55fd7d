"""Running a ``Joined`` instruction: operands are laid end to end, and results are views of the joined ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from corenn.compiler.program import Joined


class JoinedCall:
    """``call(operands of the first, operands of the second, ...)`` gives the results of the first, the second, ...

    Variables and their slots come back as the views that the call before gave: their joined vectors are kept, and
    need not be put together again.
    """

    def __init__(self, instruction: Joined) -> None:
        plan, calls = instruction.plan, instruction.calls
        xp = plan.device.backend.xp
        self._run, self._concat = plan.run, xp.concat
        # The method is quicker than the namespace's function, which alone the standard promises.
        self._reshape: Callable[..., Any] = _by_method if hasattr(xp.empty(0), "reshape") else xp.reshape
        own = calls[0].outputs[0].spec
        self._shared = [s is None or s.spec.shape != own.shape for s in calls[0].inputs]
        self._shapes = [c.outputs[0].spec.static for c in calls]
        ends, start = [], 0
        for shape in self._shapes:
            ends.append((start, start + math.prod(shape)))
            start = ends[-1][1]
        self._parts = [(slice(*ends), shape) for ends, shape in zip(ends, self._shapes, strict=True)]
        self._single = plan.op.results is None
        #: Joined results by their first view: all views, and the vector.
        self._kept: dict[int, tuple[tuple[Any, ...], Any]] = {}

    def __call__(self, *operands: tuple[Any, ...]) -> tuple[Any, ...]:
        """The results of each call, one call's after the other's."""
        kept = self._kept
        given = []
        for place, shared in enumerate(self._shared):
            first = operands[0][place]
            if shared:
                given.append(first)
                continue
            known = kept.get(id(first))
            if known is not None and all(o[place] is v for o, v in zip(operands, known[0], strict=True)):
                given.append(known[1])
            else:
                given.append(self._concat([self._reshape(o[place], (-1,)) for o in operands]))
        found = self._run(*given)
        reshape = self._reshape
        vectors = (found,) if self._single else found
        columns = [tuple([reshape(vector[part], shape) for part, shape in self._parts]) for vector in vectors]
        self._kept = {id(c[0]): (c, v) for c, v in zip(columns, vectors, strict=True)}
        return tuple([view for row in zip(*columns, strict=True) for view in row])


def _by_method(array: Any, shape: tuple[int, ...]) -> Any:
    return array.reshape(shape)


__all__ = ["JoinedCall"]
