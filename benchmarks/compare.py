"""Compare training steps of corenn with those of other frameworks: in turn, several rounds, each in its own process.

    python benchmarks/compare.py --peers-file peers.py [WORKLOAD ...] [--peer torch] [--backend numpy] [--rounds 3]
        [--threads N] [--python jax=VENV/bin/python] [--markdown FILE] [--json FILE]

``--peers-file`` is the script that measures the peers (``peer.py`` beside this file runs it, with the interpreter that
``--python PEER=PATH`` names, else with this one).  A peer that is not installed is reported as such.  The table has the
median over all rounds of each round's median.  The floor is what ``corenn bench`` counts (flops, bytes) at the speed
that this machine shows (``corenn explain``), or that ``--gflops`` and ``--gbytes`` state; that *of the moment* is at
the speed that matrix products show right after the steps, by the median too: for a machine that is not alone.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PEERS = ("torch", "torch_compile", "jax", "tf", "tf_xla")
THREAD_VARIABLES = (
    "CORENN_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip

Result = dict[str, Any]


# ---------------------------------------------------------------- measuring


class Contest:
    """Who takes part, and how they are started."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen = chosen
        self.interpreters = dict(item.split("=", 1) for item in chosen.python)
        self.backends = chosen.backend or ["auto"]
        self.gone: dict[str, str] = {}  # peers that cannot be imported, and why

    def names(self) -> list[str]:
        """Those who take part, corenn first."""
        peers = [] if self.chosen.peers_file is None else (self.chosen.peer or list(PEERS))
        return [*(f"corenn:{b}" for b in self.backends), *peers]

    def measure(self, who: str, workload: str) -> Result:
        """One process, one workload."""
        if who in self.gone:
            return {"peer": who, "workload": workload, "missing": self.gone[who]}
        limits = ["--threads", str(self.chosen.threads), "--seconds", str(self.chosen.seconds)]
        limits += ["--steps", str(self.chosen.steps)]
        if who.startswith("corenn:"):
            command = [*CORENN, "bench", workload, "--backend", who.partition(":")[2], "--json", *limits]
        else:
            python = self.interpreters.get(who, sys.executable)
            command = [python, str(HERE / "peer.py"), str(self.chosen.peers_file), who, workload, *limits]
        found = last_json(command, self.chosen.threads)
        if "ModuleNotFoundError" in found.get("missing", ""):
            self.gone[who] = found["missing"]
        return {"peer": who, "workload": workload, **found}

    def rounds(self, workloads: Sequence[str]) -> Iterator[Result]:
        """Everything in turn: in each round another one goes first."""
        names = self.names()
        for number in range(self.chosen.rounds):
            start = number % len(names)
            for workload in workloads:
                for who in names[start:] + names[:start]:
                    yield {**self.measure(who, workload), "round": number}


#: What a table of steps shows: the time of one, the ratios of such times, and that to the floor of the moment.
TYPICAL, QUIETEST = ("step_us", "ratios", "to_floor_now"), ("best_us", "best_ratios", "best_to_floor_now")
CORENN = [sys.executable, "-m", "corenn_cli.main"]


def last_json(command: list[str], threads: int) -> Result:
    """The last line of JSON that a command prints; a failure as ``missing``."""
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    except OSError as error:
        return {"missing": f"{command[0]}: {error.strerror}"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if lines:
        found: Result = json.loads(lines[-1])
        if "failed" in found:
            found["missing"] = found.pop("failed")
        return found
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return {"missing": said[-1][:200] if said else f"ended with status {done.returncode}"}


def machine(chosen: argparse.Namespace, backend: str) -> tuple[float, float]:
    """GFLOP/s and GB/s: as stated, else measured."""
    if chosen.gflops and chosen.gbytes:
        return chosen.gflops, chosen.gbytes
    found = last_json([*CORENN, "explain", "dqn", "--json", "--backend", backend], chosen.threads)
    if "missing" in found:
        raise SystemExit(f"the machine's speed could not be measured: {found['missing']}")
    return chosen.gflops or found["flops_a_second"] / 1e9, chosen.gbytes or found["bytes_a_second"] / 1e9


# ---------------------------------------------------------------- summing up


def summary(results: Iterable[Result], gflops: float, gbytes: float) -> dict[str, dict[str, Result]]:
    """By workload and peer: medians over the rounds, ratios of corenn to the peers, and floors (microseconds)."""
    gathered: dict[str, dict[str, list[Result]]] = {}
    for result in results:
        gathered.setdefault(result["workload"], {}).setdefault(result["peer"], []).append(result)
    table: dict[str, dict[str, Result]] = {}
    for workload, by_peer in gathered.items():
        row = table[workload] = {peer: one(rounds, gflops, gbytes) for peer, rounds in by_peer.items()}
        peers = {p: r for p, r in row.items() if not is_ours(p) and "step_us" in r}
        for peer, figures in row.items():
            if is_ours(peer) and "step_us" in figures:
                for time_, ratios, _ in (TYPICAL, QUIETEST):
                    figures[ratios] = {p: figures[time_] / r[time_] for p, r in peers.items()}
    return table


def one(rounds: list[Result], gflops: float, gbytes: float) -> Result:
    """The rounds of one peer on one workload."""
    timed = [r for r in rounds if "step_us" in r]
    if not timed:
        return {"missing": rounds[-1].get("missing", "not measured")}
    found: Result = {key: statistics.median(r[key] for r in timed) for key in ("step_us", "p90_us")}
    found["best_us"] = min(r["step_us"] for r in timed)
    found |= {"min_us": min(r["min_us"] for r in timed), "rounds": len(timed), "first_s": timed[0]["compile_s"]}
    found["again_s"] = statistics.median(r["compile_s"] for r in timed[1:]) if timed[1:] else None
    peaks = [r["peak_mb"] for r in timed if r.get("peak_mb") is not None]
    found["peak_mb"] = statistics.median(peaks) if peaks else None
    if "flops" in timed[0]:
        found["floor_us"] = max(timed[0]["flops"] / gflops / 1e3, timed[0]["bytes"] / gbytes / 1e3)
        found["to_floor"] = found["step_us"] / found["floor_us"]
        now = [_to_floor_now(r, gbytes) for r in timed]
        found["to_floor_now"] = statistics.median(now)
        found["best_to_floor_now"] = now[min(range(len(timed)), key=lambda i: timed[i]["step_us"])]
    return found


def _to_floor_now(timed: Result, gbytes: float) -> float:
    """A round's step over the floor at the speed of matrix products right after it."""
    return timed["step_us"] / 1e6 / max(timed["flops"] / timed["flops_a_second"], timed["bytes"] / gbytes / 1e9)


def is_ours(peer: str) -> bool:
    """Whether it is corenn, on whichever backend."""
    return peer.startswith("corenn")


def markdown(table: dict[str, dict[str, Result]], conditions: dict[str, Any]) -> str:
    """The head, a table of steps and one of first steps and memory."""
    names = list(dict.fromkeys(p for row in table.values() for p in row))
    ours, peers = [n for n in names if is_ours(n)], [n for n in names if not is_ours(n)]
    lines = [f"- {key}: {value}" for key, value in conditions.items() if value is not None]
    lines += [
        "",
        "Milliseconds a step (medians of the rounds); behind a peer, corenn's time as a fraction of the peer's.",
        "",
    ]
    lines += _steps(table, ours, peers, TYPICAL)
    if any(figures.get("rounds", 0) > 1 for row in table.values() for figures in row.values()):
        lines += ["", "The same of the quietest round of each, for machines that are not alone.", ""]
        lines += _steps(table, ours, peers, QUIETEST)
    lines += ["", "Seconds to the first finished step (first round, median of the others), and peak memory in MB.", ""]
    lines += _header(["workload", *names])
    for workload, row in table.items():
        lines.append(f"| {' | '.join([workload, *(_first(row.get(n, {})) for n in names)])} |")
    lines += ["", *_missing(table)]
    return "\n".join(lines).rstrip() + "\n"


def _steps(
    table: dict[str, dict[str, Result]], ours: list[str], peers: list[str], which: tuple[str, str, str]
) -> list[str]:
    """The table of steps: floor, corenn, peers with ratios."""
    time_, ratios_of, now = which
    title = ["workload", "floor"]
    for name in ours:
        title += [name, "to the floor", "of the moment"]
    lines = _header([*title, *(f"{p} {'/'.join(['ms', *_ratio_titles(ours)])}" for p in peers)])
    for workload, row in table.items():
        floor = next((row[o]["floor_us"] for o in ours if "floor_us" in row.get(o, {})), None)
        cells = [workload, "" if floor is None else _ms(floor)]
        for name in ours:
            figures = row.get(name, {})
            if time_ not in figures:
                cells += ["failed", "", ""]
            elif floor is None:
                cells += [_ms(figures[time_]), "", ""]
            else:
                cells += [_ms(figures[time_]), f"{figures[time_] / floor:.2f}", f"{figures[now]:.2f}"]
        for peer in peers:
            ratios = [row[o][ratios_of][peer] for o in ours if peer in row.get(o, {}).get(ratios_of, {})]
            shown = [f"**{_ratio(r)}**" if r <= 1 else _ratio(r) for r in ratios]
            cells.append(" / ".join([_ms(row[peer][time_]), *shown]) if time_ in row.get(peer, {}) else "-")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _header(titles: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(titles)} |", f"|---|{'---:|' * (len(titles) - 1)}"]


def _ratio_titles(ours: Sequence[str]) -> list[str]:
    return ["ratio"] if len(ours) == 1 else [f"ratio of {name.removeprefix('corenn-')}" for name in ours]


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"


def _ms(microseconds: float) -> str:
    value = microseconds / 1e3
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"


def _first(figures: Result) -> str:
    if "step_us" not in figures:
        return "-"
    seconds = [f"{s:.2f}" for s in (figures["first_s"], figures["again_s"]) if s is not None]
    return ", ".join(seconds) + ("" if figures["peak_mb"] is None else f"; {figures['peak_mb']:.0f}")


def _missing(table: dict[str, dict[str, Result]]) -> list[str]:
    """A line for each reason why something was not measured."""
    reasons: dict[str, list[str]] = {}
    for workload, row in table.items():
        for peer, figures in row.items():
            if "missing" in figures:
                reasons.setdefault(f"{peer}: {figures['missing']}", []).append(workload)
    return [f"- not measured: {reason} ({', '.join(where)})" for reason, where in reasons.items()]


def conditions(chosen: argparse.Namespace, results: Sequence[Result], gflops: float, gbytes: float) -> dict[str, Any]:
    """What a reader must know to compare."""
    versions = [f"{name} {_installed(name)}" for name in ("corenn", "numpy")]
    versions += dict.fromkeys(r["version"] for r in results if r.get("version"))
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else None
    return {
        "date": time.strftime("%Y-%m-%d"), "processor": _processor(), "processors": os.cpu_count(),
        "threads": chosen.threads, "speed": f"{gflops:.0f} GFLOP/s in matrix products, {gbytes:.0f} GB/s",
        "system": f"{platform.system()} {platform.machine()}", "Python": platform.python_version(),
        "versions": ", ".join(versions), "rounds": chosen.rounds,
        "load at the end": load,
    }  # fmt: skip


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "without a version"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


# ---------------------------------------------------------------- the command


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="names from corenn bench --list (all)")
    parser.add_argument("--peers-file", type=Path, help="the script that measures the peers; without it, corenn alone")
    parser.add_argument("--peer", action="append", help=f"only this one; may repeat ({', '.join(PEERS)})")
    parser.add_argument("--backend", action="append", help="of corenn; may repeat (auto)")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help="interpreter of a peer")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (3)")
    parser.add_argument("--threads", type=int, default=_processors(), help="of all who take part (all processors)")
    parser.add_argument("--seconds", type=float, default=20.0, help="about how long one measurement times steps (20)")
    parser.add_argument("--steps", type=int, default=300, help="at most so many timed steps (300)")
    parser.add_argument("--gflops", type=float, help="the machine's GFLOP/s; measured if not given")
    parser.add_argument("--gbytes", type=float, help="the machine's GB/s; measured if not given")
    parser.add_argument("--markdown", type=Path, help="write the table there as well")
    parser.add_argument("--json", type=Path, help="write conditions, all measurements and the table there")
    chosen = parser.parse_args(given)
    wrong = [item for item in chosen.python if "=" not in item]
    if wrong:
        parser.error(f"--python {wrong[0]}: PEER=PATH is wanted")
    if chosen.peers_file is not None and not chosen.peers_file.is_file():
        parser.error(f"--peers-file: there is no file {chosen.peers_file}")
    if chosen.rounds < 1 or chosen.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    return chosen


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def listed() -> list[str]:
    """The workloads that corenn has."""
    done = subprocess.run([*CORENN, "bench", "--list", "--json"], capture_output=True, text=True, check=True)
    return [row["name"] for row in json.loads(done.stdout)]


def main(given: Sequence[str] | None = None) -> None:
    """Measure; after each measurement write what there is."""
    chosen = arguments(given)
    if hasattr(os, "sched_setaffinity"):  # some peers use every processor they see, whatever they are told
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.threads])
    contest, known = Contest(chosen), listed()
    for name in chosen.workloads:
        if name not in known:
            raise SystemExit(f"there is no workload {name!r}; there are {', '.join(known)}")
    results: list[Result] = []
    speed, measured, text = (0.0, 0.0), -1, ""
    for result in contest.rounds(chosen.workloads or known):
        if result["round"] != measured:  # once a round: what else the machine does makes it seem slower than it is
            measured, now = result["round"], machine(chosen, contest.backends[0])
            speed = max(speed[0], now[0]), max(speed[1], now[1])
        results.append(result)
        shown = f"{_ms(result['step_us'])} ms" if "step_us" in result else result["missing"]
        place = f"round {result['round'] + 1}: {result['workload']}, {result['peer']}"
        print(f"{place}: {shown}", file=sys.stderr, flush=True)
        text = write(chosen, results, speed)
    print(text, end="")


def write(chosen: argparse.Namespace, results: Sequence[Result], speed: tuple[float, float]) -> str:
    """What there is so far, into the files; the table."""
    head, table = conditions(chosen, results, *speed), summary(results, *speed)
    text = markdown(table, head)
    if chosen.json is not None:
        document = {"conditions": head, "results": results, "table": table}
        chosen.json.write_text(json.dumps(document) + "\n", encoding="utf-8")
    if chosen.markdown is not None:
        chosen.markdown.write_text(text, encoding="utf-8")
    return text


if __name__ == "__main__":
    main()
