"""Small hooks: final values, feeds, timelines, waiting (basic_session_run_hooks.py of TensorFlow 1.15)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

from corenn.graph.operations import Operation
from corenn_tensorflow.train.hooks import (
    SecondOrStepTimer,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
    _required_step,
)


class GlobalStepWaiterHook(SessionRunHook):
    """Waits until the global step is reached, which other workers count: with one process it never is by waiting."""

    def __init__(self, wait_until_step: int) -> None:
        self._wait_until_step = wait_until_step

    def begin(self) -> None:
        """Find the step."""
        self._global_step_tensor = _required_step("_GlobalStepWaiterHook")

    def before_run(self, run_context: SessionRunContext) -> None:
        """RuntimeError where it would have to wait."""
        if self._wait_until_step > 0 and int(run_context.session.run(self._global_step_tensor)) < self._wait_until_step:
            raise RuntimeError(
                f"GlobalStepWaiterHook waits for step {self._wait_until_step}, which only another process could reach; "
                "corenn runs in one: drop the hook"
            )


class FinalOpsHook(SessionRunHook):
    """Evaluates tensors at the end; ``final_ops_values`` has what they gave."""

    def __init__(self, final_ops: Any, final_ops_feed_dict: Any = None) -> None:
        self._final_ops, self._final_ops_feed_dict = final_ops, final_ops_feed_dict
        self._final_ops_values: Any = None

    @property
    def final_ops_values(self) -> Any:
        """What they gave."""
        return self._final_ops_values

    def end(self, session: Any) -> None:
        """Evaluate them."""
        if self._final_ops is not None:
            self._final_ops_values = session.run(self._final_ops, feed_dict=self._final_ops_feed_dict)


class FeedFnHook(SessionRunHook):
    """Feeds what a function returns in every run."""

    def __init__(self, feed_fn: Callable[[], Any]) -> None:
        self.feed_fn = feed_fn

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Call the function."""
        return SessionRunArgs(fetches=None, feed_dict=self.feed_fn())


class ProfilerHook(SessionRunHook):
    """Writes how long runs took, every so many steps, as ``timeline-<step>.json`` in Chrome's trace format."""

    def __init__(
        self, save_steps: int | None = None, save_secs: float | None = None, output_dir: Any = "",
        show_dataflow: bool = True, show_memory: bool = False,
    ) -> None:  # fmt: skip
        self._timer = SecondOrStepTimer(every_secs=save_secs, every_steps=save_steps)
        self._output_dir = os.fspath(output_dir)

    def begin(self) -> None:
        """Find the step."""
        self._global_step_tensor = _required_step("ProfilerHook")

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Note the time."""
        self._begun = time.time()
        return SessionRunArgs(self._global_step_tensor)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Write the file where it is time."""
        step = int(run_values.results)
        if not self._timer.should_trigger_for_step(step):
            return
        self._timer.update_last_triggered_step(step)
        asked = run_context.original_args.fetches
        name = asked.name if isinstance(asked, Operation) else "Session.run"
        event = {"name": name, "ph": "X", "ts": self._begun * 1e6, "dur": (time.time() - self._begun) * 1e6, "pid": 0,
                 "tid": 0}  # fmt: skip
        os.makedirs(self._output_dir or ".", exist_ok=True)
        with open(os.path.join(self._output_dir, f"timeline-{step}.json"), "w", encoding="utf-8") as file:
            json.dump({"traceEvents": [event]}, file)


__all__ = ["FeedFnHook", "FinalOpsHook", "GlobalStepWaiterHook", "ProfilerHook"]
