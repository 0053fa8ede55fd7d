"""``corenn bench``: time the workloads, each in a process of its own.

A workload is measured by the same command, run as a child: thread pools never meet, the first step pays for all that a
first step pays for, and peak memory is that of one workload.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from corenn.errors import UsageError
from corenn_cli import threads as thread_settings

#: Steps that are run, and not timed, after the first.
WARM_UP = 4
LEAST = 5

#: Columns of the table: title, width, and the cell of a result.
_COLUMNS: tuple[tuple[str, int, Callable[[dict[str, Any]], str]], ...] = (
    ("WORKLOAD", 16, lambda r: str(r["workload"])),
    ("MEDIAN", 10, lambda r: duration(r["step_us"])),
    ("MINIMUM", 10, lambda r: duration(r["min_us"])),
    ("P90", 10, lambda r: duration(r["p90_us"])),
    ("STEPS", 6, lambda r: str(r["steps"])),
    ("FIRST STEP", 11, lambda r: duration(r["compile_s"] * 1e6)),
    ("PEAK", 9, lambda r: "" if r["peak_mb"] is None else f"{r['peak_mb']:.0f} MB"),
)


def bench(
    names: Sequence[str], backend: str | None, threads: int | None, seconds: float, most: int, as_json: bool,
) -> int:  # fmt: skip
    """Measure each workload in a child process; print a line each.  1 when one of them failed, else 0."""
    from corenn_tasks.workloads import WORKLOADS, get

    chosen = [get(name).name for name in names] or list(WORKLOADS)
    on = _backend(backend)
    count = threads or thread_settings.available()
    if not as_json:
        print(f"corenn on {on}, {count} thread{'s' if count > 1 else ''}; a step is forward, loss, gradients, update")
        print("".join(title.ljust(width) for title, width, _ in _COLUMNS).rstrip(), flush=True)
    failed = 0
    for name in chosen:
        result = _in_child(name, on, count, seconds, most)
        failed += "failed" in result
        print(json.dumps(result) if as_json else _row(result), flush=True)
    return 1 if failed else 0


def measure_here(name: str, backend: str | None, threads: int | None, seconds: float, most: int) -> dict[str, Any]:
    """Measure one workload in this process, which was started with the thread settings; what ``--json`` prints."""
    from corenn_tasks.workloads import Prepared, get

    from corenn.compiler.cost import cost_of
    from corenn.compiler.machine import typical_flops
    from corenn.device import device

    with device(_backend(backend)) as place:
        prepared = Prepared(get(name))
        compiled = timed(prepared.step)
        result: dict[str, Any] = {
            "peer": f"corenn-{place.backend.name}", "workload": name, "threads": threads or thread_settings.available(),
            **measure(prepared.step, seconds, most), "compile_s": compiled, "peak_mb": peak_megabytes(),
        }  # fmt: skip
        trace = prepared.function.get_concrete_function(*prepared.arguments)
        cost = cost_of(trace.program(*prepared.arguments))
        speed = typical_flops(place)
    return {**result, "flops": cost.flops, "bytes": cost.least_bytes, "flops_a_second": speed}


def timed(step: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def measure(step: Callable[[], object], seconds: float, most: int) -> dict[str, Any]:
    """Median, minimum and 90th percentile, in microseconds, of at most ``most`` steps in about ``seconds``."""
    for _ in range(WARM_UP):
        step()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < most and (len(times) < LEAST or time.perf_counter() - start < seconds):
        times.append(timed(step) * 1e6)
    times.sort()
    half, last = len(times) // 2, len(times) - 1
    median = times[half] if len(times) % 2 else (times[half - 1] + times[half]) / 2
    return {"step_us": median, "min_us": times[0], "p90_us": times[int(0.9 * last)], "steps": len(times)}


def peak_megabytes() -> float | None:
    """The most memory this process has had resident; ``None`` where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:  # rusage has the parent's peak in it, on Linux
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def duration(microseconds: float) -> str:
    """Three figures and a unit."""
    value, unit = microseconds, "us"
    for larger in ("ms", "s"):
        if value >= 999.5:
            value, unit = value / 1e3, larger
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f} {unit}"


def list_workloads(as_json: bool) -> None:
    """Print what there is to measure."""
    from corenn_tasks.workloads import WORKLOADS

    from corenn_cli.listing import show

    show(
        [
            {"name": w.name, "batch": w.batch, "optimizer": w.optimizer or "none", "description": w.about}
            for w in WORKLOADS.values()
        ],
        as_json,
    )


def _backend(name: str | None) -> str:
    """The name of the device that is meant; BackendError if it is not there, or cannot be used here."""
    from corenn.device import device

    return device(name or os.environ.get("CORENN_BACKEND") or "auto").name


def _in_child(name: str, backend: str, threads: int, seconds: float, most: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "corenn_cli.main", "bench", name, "--here", "--json", "--backend", backend]
    command += ["--threads", str(threads), "--seconds", str(seconds), "--steps", str(most)]
    environment = {**os.environ, **thread_settings.settings(threads)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode == 0 and lines:
        found: dict[str, Any] = json.loads(lines[-1])
        return found
    print(done.stderr, end="", file=sys.stderr)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    why = said[-1].strip() if said else f"ended with status {done.returncode}"
    peer = f"corenn-{backend.partition(':')[0]}"
    return {"peer": peer, "workload": name, "threads": threads, "failed": why}


def _row(result: dict[str, Any]) -> str:
    if "failed" in result:
        return f"{result['workload']:<16}failed: {result['failed']}"
    return "".join(cell(result).ljust(width) for _, width, cell in _COLUMNS).rstrip()


def check_child(names: Sequence[str]) -> str:
    """The one workload of ``--here``; UsageError unless there is exactly one."""
    if len(names) != 1:
        raise UsageError("bench", f"--here measures one workload, not {len(names)}", hint="leave --here out")
    return names[0]
