"""Measure one peer on one workload with the script of the peers, in this process; print a line of JSON.

    python peer.py PEERS_FILE PEER WORKLOAD --threads N --seconds S --steps M

``compare.py`` starts it, with the interpreter that has the peer; it needs nothing of corenn.  The script times steps as
it does by itself; added are the time of the first step, the most memory resident, and the versions.  A peer that
cannot be measured is reported as ``missing``, with the reason.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from typing import Any

LIBRARIES = {"torch": "torch", "torch_compile": "torch", "jax": "jax", "tf": "tensorflow", "tf_xla": "tensorflow"}


def load(path: str) -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("peers", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measured(peers: Any, peer: str, workload: str, threads: int, seconds: float, steps: int) -> dict[str, Any]:
    """What the script reports, and more."""
    theirs = peers.measure

    def measure(step: Callable[[], object]) -> dict[str, Any]:
        start = time.perf_counter()
        step()
        first = time.perf_counter() - start
        return {**theirs(step, budget_s=seconds, most=steps), "compile_s": first, "peak_mb": peak_megabytes()}

    peers.measure = measure
    result: dict[str, Any] = peers.run(peer, workload, threads)
    return result


def peak_megabytes() -> float | None:
    """The most memory this process has had resident; ``None`` where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def version(peer: str) -> str | None:
    """Name and version of the library that a peer is, once it is loaded."""
    name = LIBRARIES.get(peer, peer)
    number = getattr(sys.modules.get(name), "__version__", None)
    return None if number is None else f"{name} {number}"


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("peers_file")
    parser.add_argument("peer")
    parser.add_argument("workload")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--steps", type=int, default=300)
    chosen = parser.parse_args()
    peers = load(chosen.peers_file)
    try:
        found = measured(peers, chosen.peer, chosen.workload, chosen.threads, chosen.seconds, chosen.steps)
    except Exception as error:  # whatever a library raises must not end the comparison
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        found = {"peer": chosen.peer, "workload": chosen.workload, "threads": chosen.threads}
        found["missing"] = f"{type(error).__name__}: {reason}"
    print(json.dumps({**found, "version": version(chosen.peer)}), flush=True)


if __name__ == "__main__":
    main()
