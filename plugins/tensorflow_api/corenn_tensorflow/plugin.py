"""What this distribution registers with corenn."""

from __future__ import annotations

from corenn.plugin import CommandRecord, hookimpl


@hookimpl
def corenn_commands() -> list[CommandRecord]:
    """The commands of this package; running scripts is part of ``corenn run``."""
    return [
        CommandRecord(
            "tf-coverage",
            "corenn_tensorflow.coverage:tf_coverage",
            "names of the TensorFlow 1.15 and 2.x API that corenn has, and those it does not have",
        )
    ]
