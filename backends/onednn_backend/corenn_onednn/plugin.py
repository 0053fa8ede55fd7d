"""What this distribution registers with corenn, and whether it can be used here: a look for a file."""

from __future__ import annotations

from corenn.plugin import BackendRecord, hookimpl
from corenn_onednn.dnnl.library import INSTALL, unavailable


@hookimpl
def corenn_backends() -> list[BackendRecord]:
    """The compiled CPU backend."""
    return [
        BackendRecord(
            name="onednn",
            factory="corenn_onednn.backend:OneDnnBackend",
            description="fast CPU backend: oneDNN primitives and generated loops",
            probe=unavailable,
            install_hint=INSTALL,
            priority=50,
        )
    ]
