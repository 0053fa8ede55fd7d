"""Cases: what the conformance kit is made of.  Each has an id, a level, and a function that says what is wrong.

Levels: 0 arrays, 1 ops, 2 gradients, 3 sources, 4 random bits, 5 a training run, 6 graphs, 7 programs.  An id begins
with the level and, for 1 to 3, the op: ``L1/matmul/2/float32`` is sample 2 of matmul in float32.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from corenn.backend.contract import Backend
from corenn.errors import UnofferedDTypeError
from corenn.testing.trial import NotHere

Check = Callable[[], "str | None"]
Status = Literal["passed", "failed", "skipped", "xfailed", "xpassed"]

LEVELS = {
    0: "arrays: transfers, dtypes, devices, the namespace",
    1: "ops: every sample of every op against its reference, by dtype",
    2: "gradients: first and second order",
    3: "sources: the backend's kernels, the shared kernels and the decompositions against each other",
    4: "random bits",
    5: "a training run",
    6: "graphs: every op in a session against running it now, control flow, training",
    7: "programs: training steps after every pass and as the backend compiles them; what they leave alone",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One check on one backend.

    ``check`` returns ``None`` or what is wrong, and raises NotHere where it does not apply.
    """

    id: str
    check: Check

    @property
    def level(self) -> int:
        """The level, from the id."""
        return int(self.id[1])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case; ``message`` is what is wrong, or why it was skipped, or why it was expected to fail."""

    id: str
    status: Status
    message: str = ""


def conformance_cases(backend: Backend, levels: tuple[int, ...] | None = None) -> Iterator[Case]:
    """All cases of a backend, in the order of the levels; nothing runs yet."""
    from corenn.testing import arrays, graphs, operations, programs, randomness, training

    makers: dict[int, Callable[[Backend], Iterator[Case]]] = {
        0: arrays.cases,
        1: operations.value_cases,
        2: operations.gradient_cases,
        3: operations.source_cases,
        4: randomness.cases,
        5: training.cases,
        6: graphs.cases,
        7: programs.cases,
    }
    for level in sorted(makers if levels is None else levels):
        yield from makers[level](backend)


def run_case(case: Case) -> Outcome:
    """Run one case; whatever it raises becomes part of the outcome."""
    try:
        problem = case.check()
    except (NotHere, UnofferedDTypeError) as reason:
        return Outcome(case.id, "skipped", str(reason).split("\n", 1)[0])
    except Exception as error:
        return Outcome(case.id, "failed", _raised(error))
    return Outcome(case.id, "passed") if problem is None else Outcome(case.id, "failed", problem)


def _raised(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = "".join(f"\n  {frame.name} at {frame.filename}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__}: {error}{where}"
