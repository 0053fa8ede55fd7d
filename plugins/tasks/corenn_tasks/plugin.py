"""What this distribution registers with corenn."""

from __future__ import annotations

from corenn.plugin import TaskRecord, hookimpl


@hookimpl
def corenn_tasks() -> list[TaskRecord]:
    """The tasks of this package."""
    return [
        TaskRecord(
            "digits",
            "corenn_tasks.digits:Digits",
            "classify images of handwritten digits with a small convolutional network",
            default_dataset="digits",
        )
    ]
