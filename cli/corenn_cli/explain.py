"""``corenn explain``: what becomes of the training step of a workload or task."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from corenn.compiler.cost import cost_of
from corenn.compiler.explain import explain, figures
from corenn.compiler.machine import Machine, calibrate
from corenn.compiler.watching import watching
from corenn.device import Device, device
from corenn.errors import UsageError, nearest
from corenn.plugin import registry

#: The first step of a model runs eagerly, the second is traced.
_STEPS = 2


def explain_step(
    name: str, backend: str | None, settings: list[str], gflops: float | None, gbytes: float | None, *,
    instructions: bool, source: bool, as_json: bool,
) -> str:  # fmt: skip
    """The text, or the line of JSON, that the command prints.

    Raises UsageError for a name that is neither a workload nor a task, and for a task that compiles nothing.
    """
    from corenn_tasks.workloads import WORKLOADS

    tasks = registry.tasks()
    if name not in WORKLOADS and name not in tasks:
        hint = nearest(name, [*WORKLOADS, *tasks])
        raise UsageError("explain", f"there is no workload and no task {name!r}", hint=hint)
    if settings and name in WORKLOADS:
        raise UsageError("explain", f"--set is an option of tasks, and {name!r} is a workload")
    place = device(backend or os.environ.get("CORENN_BACKEND") or "auto")
    with watching() as seen:
        if name in WORKLOADS:
            _run_workload(name, place)
        else:
            _run_task(name, place, settings)
    if not seen:
        raise UsageError("explain", f"{name!r} runs op by op: there is no program to explain")
    # The step of training writes more variables than that of a test, which may have larger batches.
    lowered, executable = max(seen, key=lambda pair: (len(pair[1].program.writes), cost_of(pair[1].program).flops))
    machine = _machine(place, gflops, gbytes)
    if as_json:
        return json.dumps({"name": name, "backend": place.backend.name, **figures(lowered, executable, machine)})
    return explain(lowered, executable, machine, instructions=instructions, source=source)


def _run_workload(name: str, place: Device) -> None:
    from corenn_tasks.workloads import Prepared, get

    with place:
        prepared = Prepared(get(name))
        prepared.function.get_concrete_function(*prepared.arguments).program(*prepared.arguments)


def _run_task(name: str, place: Device, settings: list[str]) -> None:
    """Run a task for two steps, in a directory that is then removed."""
    from corenn.training.run import Run
    from corenn.training.task import parse_assignments

    changes: dict[str, Any] = {**parse_assignments(settings), "steps": _STEPS}
    with tempfile.TemporaryDirectory() as folder:
        Run.start(name, backend=place.name, changes=changes, out=str(Path(folder, "run")), quiet=True).execute()


def _machine(place: Device, gflops: float | None, gbytes: float | None) -> Machine:
    """As given; what is not given is measured."""
    measured = calibrate(place) if gflops is None or gbytes is None else Machine(0.0, 0.0)
    return Machine(
        measured.flops if gflops is None else gflops * 1e9, measured.bytes if gbytes is None else gbytes * 1e9
    )
