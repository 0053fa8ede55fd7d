"""``tensorflow.python.client.timeline``: the statistics of a run as a trace for chrome://tracing."""

from __future__ import annotations

import json
from typing import Any

from corenn_tensorflow import missing
from corenn_tensorflow.records.stats import StepStats


class Timeline:
    """The times of a run: ``Timeline(run_metadata.step_stats)``."""

    def __init__(self, step_stats: StepStats, graph: Any = None) -> None:
        self._step_stats = step_stats

    def generate_chrome_trace_format(
        self, show_dataflow: bool = True, show_memory: bool = False, op_time: str = "schedule"
    ) -> str:
        """JSON with an event for each operation, in Chrome's trace format: a row of them for each device."""
        events: list[dict[str, Any]] = []
        for place, device in enumerate(self._step_stats.dev_stats):
            events.append(
                {"name": "process_name", "ph": "M", "pid": place, "args": {"name": f"{device.device} Compute"}}
            )
            for node in device.node_stats:
                label, _, call = node.timeline_label.partition(" = ")
                kind, _, given = call.partition("(")
                inputs = {f"input{i}": name for i, name in enumerate(given.rstrip(")").split(", ")) if name}
                events.append({
                    "ph": "X", "cat": "Op", "name": kind or label, "pid": place, "tid": node.thread_id,
                    "ts": node.all_start_micros, "dur": node.all_end_rel_micros,
                    "args": {"name": node.node_name, "op": kind, **inputs},
                })  # fmt: skip
        return json.dumps({"traceEvents": events}, indent=4)


__getattr__ = missing.guard(__name__)

__all__ = ["Timeline"]
