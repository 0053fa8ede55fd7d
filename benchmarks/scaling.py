"""How a training step of corenn grows with batch, width, depth and threads.

    python benchmarks/scaling.py [--axis NAME ...] [--backend NAME ...] [--threads N] [--rounds N] [--json FILE]

The network is ``depth`` dense layers of ``width`` units with ReLU on ``width`` inputs, ten classes, and Adam; one
number changes at a time.  Every point is measured in a process of its own, all points in turn, round after round; the
table has medians over the rounds, the speed reached (flops counted from the program), and how far the growth is from
being proportional to the work: 1.00 where twice the work takes twice the time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compare import last_json

BASE = {"batch": 128, "width": 256, "depth": 3}
AXES: dict[str, tuple[int, ...]] = {
    "batch": (1, 8, 32, 128, 512, 2048),
    "width": (16, 64, 256, 1024, 2048),
    "depth": (1, 3, 10, 30, 100),
    "threads": (),  # 1, 2, 4 ... as many as there are
}
#: What threads are worth is seen on a step that has work for them.
LARGE = {"batch": 512, "width": 1024, "depth": 3}

Point = dict[str, Any]


def points(axes: Sequence[str], threads: int) -> list[Point]:
    """What to measure: one number changed at a time."""
    found: list[Point] = []
    for axis in axes:
        if axis == "threads":
            counts = [n for n in (1, 2, 4, 8, 16, 32, 64, 128) if n < threads]
            found += [{"axis": axis, **LARGE, "threads": n} for n in [*counts, threads]]
        else:
            found += [{"axis": axis, **BASE, "threads": threads, axis: value} for value in AXES[axis]]
    return found


def measure_here(point: Point, backend: str, seconds: float) -> dict[str, Any]:
    """One point, in this process."""
    from corenn_cli.bench import measure, timed
    from corenn_tasks.workloads import Prepared, Workload, mlp

    from corenn.compiler.cost import cost_of
    from corenn.device import device

    network = mlp(*[point["width"]] * point["depth"], 10)
    workload = Workload("scaling", "", point["batch"], (point["width"],), 10, network, "xent", "adam")
    with device(backend):
        prepared = Prepared(workload)
        first = timed(prepared.step)
        result = measure(prepared.step, seconds, 300)
        trace = prepared.function.get_concrete_function(*prepared.arguments)
        flops = cost_of(trace.program(*prepared.arguments)).flops
    return {**result, "compile_s": first, "flops": flops}


def table(results: Sequence[dict[str, Any]]) -> str:
    """A Markdown table, medians over the rounds."""
    gathered: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for result in results:
        gathered.setdefault((result["backend"], result["axis"], result[result["axis"]]), []).append(result)
    titles = ("backend", "axis", "value", "ms a step", "GFLOP/s", "growth to work", "first step, s")
    lines = [f"| {' | '.join(titles)} |", f"|---|---|{'---:|' * 5}"]
    before: tuple[str, str, float, float] | None = None
    for (backend, axis, value), rounds in gathered.items():
        step = statistics.median(r["step_us"] for r in rounds)
        flops, first = rounds[0]["flops"], statistics.median(r["compile_s"] for r in rounds)
        work = flops / value if axis == "threads" else flops
        growth = ""
        if before is not None and before[:2] == (backend, axis):
            growth = f"{step / before[2] / (work / before[3]):.2f}"
        cells = backend, axis, str(value), f"{step / 1e3:.3f}", f"{flops / step / 1e3:.1f}", growth, f"{first:.2f}"
        lines.append(f"| {' | '.join(cells)} |")
        before = backend, axis, step, work
    return "\n".join(lines)


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print the table, and write the JSON."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--axis", action="append", choices=AXES, help="only this one; may repeat")
    parser.add_argument("--backend", action="append", help="may repeat (auto)")
    parser.add_argument("--threads", type=int, default=processors, help="at most so many (all processors)")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (3)")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long a measurement times steps (2)")
    parser.add_argument("--json", type=Path, help="write all measurements there")
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    chosen = parser.parse_args(given)
    backends = chosen.backend or ["auto"]
    if chosen.point is not None:
        print(json.dumps(measure_here(chosen.point, backends[0], chosen.seconds)))
        return
    results: list[dict[str, Any]] = []
    for _ in range(chosen.rounds):
        for backend in backends:
            for point in points(chosen.axis or list(AXES), chosen.threads):
                command = [sys.executable, __file__, "--backend", backend, "--seconds", str(chosen.seconds)]
                found = last_json([*command, "--point", json.dumps(point)], point["threads"])
                if "missing" in found:
                    raise SystemExit(f"{backend}, {point['axis']} {point[point['axis']]}: {found['missing']}")
                results.append({**point, "backend": backend, **found})
    print(table(results))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(results) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
