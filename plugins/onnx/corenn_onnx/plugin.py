"""What this distribution registers with corenn."""

from __future__ import annotations

import importlib.util

from corenn.plugin import CommandRecord, hookimpl


def _why_not() -> str | None:
    return None if importlib.util.find_spec("onnx") else "onnx is not installed"


@hookimpl
def corenn_commands() -> list[CommandRecord]:
    """The commands of this package."""
    return [
        CommandRecord(
            "onnx",
            "corenn_onnx.command:app",
            "ONNX files: look into one, run one, write one",
            probe=_why_not,
            install_hint="pip install 'corenn[onnx]'",
        )
    ]
