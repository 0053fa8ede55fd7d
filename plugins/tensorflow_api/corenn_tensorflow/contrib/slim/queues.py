"""``slim.queues``: queue runners for the length of a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from corenn_tensorflow import missing
from corenn_tensorflow.train.coordinator import Coordinator
from corenn_tensorflow.train.queues import start_queue_runners


@contextlib.contextmanager
def QueueRunners(session: Any) -> Iterator[None]:
    """Queues are filled within the block."""
    coordinator = Coordinator()
    threads = start_queue_runners(session, coordinator)
    try:
        yield
    finally:
        coordinator.request_stop()
        coordinator.join(threads)


NestedQueueRunnerError = ValueError

__getattr__ = missing.guard(__name__)

__all__ = ["NestedQueueRunnerError", "QueueRunners"]
