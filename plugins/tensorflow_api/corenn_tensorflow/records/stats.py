"""Statistics of runs: when each operation began and ended.

Field numbers: tensorflow/core/framework/step_stats.proto and tensorflow/core/protobuf/config.proto.
"""

from __future__ import annotations

import time
from typing import Any

from corenn.graph.operations import Operation
from corenn_tensorflow.records.wire import Field, Message


class NodeExecStats(Message):
    """One operation: its name and times, in microseconds; ``timeline_label`` says what it computes from what."""

    FIELDS = (
        Field("node_name", 1, "string"), Field("all_start_micros", 2, "int"), Field("op_start_rel_micros", 3, "int"),
        Field("op_end_rel_micros", 4, "int"), Field("all_end_rel_micros", 5, "int"),
        Field("timeline_label", 8, "string"), Field("thread_id", 10, "int"),
    )  # fmt: skip


class DeviceStepStats(Message):
    """The operations that ran on one device."""

    FIELDS = (Field("device", 1, "string"), Field("node_stats", 2, NodeExecStats, repeated=True))


class StepStats(Message):
    """The operations of one run."""

    FIELDS = (Field("dev_stats", 1, DeviceStepStats, repeated=True),)


class RunMetadata(Message):
    """What a run reports of itself: filled by ``Session.run`` where ``options`` ask for a trace."""

    FIELDS = (Field("step_stats", 1, StepStats), Field("partition_graphs", 3, "bytes", repeated=True))


class Recorder:
    """Watches a run that goes operation by operation; an operation takes the time since the one before it."""

    def __init__(self, metadata: RunMetadata, device: str) -> None:
        metadata.Clear()
        self.device = metadata.step_stats.dev_stats.add(device=device)
        self.last = time.perf_counter()
        self.wall = time.time() - self.last

    def __call__(self, operation: Operation, inputs: list[Any], results: list[Any]) -> None:
        """Note one operation."""
        begun, now = self.last, time.perf_counter()
        length = max(int((now - begun) * 1e6), 1)
        given = ", ".join(t.operation.name for t in operation.inputs)
        self.device.node_stats.add(
            node_name=operation.name, all_start_micros=int((self.wall + begun) * 1e6), op_start_rel_micros=0,
            op_end_rel_micros=length, all_end_rel_micros=length,
            timeline_label=f"{operation.name} = {operation.type}({given})",
        )  # fmt: skip
        self.last = time.perf_counter()


__all__ = ["DeviceStepStats", "NodeExecStats", "Recorder", "RunMetadata", "StepStats"]
