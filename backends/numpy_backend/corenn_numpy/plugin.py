"""What this distribution registers with corenn."""

from __future__ import annotations

from corenn.plugin import hookimpl
from corenn.plugin.records import BackendRecord


@hookimpl
def corenn_backends() -> list[BackendRecord]:
    """The NumPy backend."""
    return [
        BackendRecord(
            name="numpy",
            factory="corenn_numpy.backend:NumpyBackend",
            description="reference CPU backend, always installed",
            priority=0,
        )
    ]
