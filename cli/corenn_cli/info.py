"""``corenn info``: what a bug report needs."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Any

from corenn.backend import get_backend
from corenn.plugin import BackendRecord, registry

_PACKAGES = (
    "corenn", "numpy", "pluggy", "typer", "safetensors", "ml_dtypes", "matplotlib", "cupy-cuda12x", "cupy-cuda13x",
)  # fmt: skip


def gather() -> dict[str, Any]:
    """Versions, backends with their devices, plugins and their problems, and the environment variables in force."""
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "executable": sys.executable,
        "packages": packages,
        "backends": {record.name: _devices(record) for record in registry.backends().values()},
        "plugins": {p.name: f"{p.distribution} {p.version}".strip() for p in registry.plugins()},
        "commands": {c.name: c.description for c in registry.commands().values()},
        "problems": [{"plugin": p.plugin, "distribution": p.distribution, "what": p.what} for p in registry.problems()],
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith(("CORENN_", "OPENBLAS_"))},
    }


def _devices(record: BackendRecord) -> list[str]:
    """A line for each device, or why there are none; a backend that breaks here must not keep the rest from us."""
    reason = record.unavailable_reason()
    if reason is not None:
        return [f"unavailable: {reason}"]
    try:
        loaded = get_backend(record.name)
        return [loaded.describe_device(i) for i in range(loaded.device_count())]
    except Exception as error:
        return [f"does not load: {type(error).__name__}: {error}"]


def as_text(found: dict[str, Any], markdown: bool) -> str:
    """The facts as text, or as Markdown for an issue."""
    lines = []
    for title, value in found.items():
        if not isinstance(value, (dict, list)):
            lines.append(f"- {title}: {value}" if markdown else f"{title}: {value}")
            continue
        lines += ["", f"### {title}", ""] if markdown else [f"{title}:"]
        lines += [f"{'- ' if markdown else '  '}{item}" for item in _items(value) or ["none"]]
    return "\n".join(lines)


def _items(value: dict[str, Any] | list[dict[str, str]]) -> list[str]:
    if isinstance(value, list):
        return [f"{item['plugin'] or item['distribution']}: {item['what']}" for item in value]
    return [f"{name}: {one}" for name, item in value.items() for one in (item if isinstance(item, list) else [item])]
