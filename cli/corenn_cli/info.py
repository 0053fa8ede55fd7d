"""``corenn info``: what a bug report needs."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Any

_PACKAGES = ("corenn", "numpy", "pluggy", "typer", "safetensors", "ml_dtypes", "matplotlib", "cupy-cuda12x", "cupy-cuda13x")


def gather() -> dict[str, Any]:
    """Versions, backends with their devices, plugins and their problems, and the environment variables in force."""
    from corenn.backend import get_backend
    from corenn.plugin import registry

    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    backends = {}
    for record in registry.backends().values():
        reason = record.unavailable_reason()
        if reason is None:
            loaded = get_backend(record.name)
            backends[record.name] = [loaded.describe_device(i) for i in range(loaded.device_count())]
        else:
            backends[record.name] = [f"unavailable: {reason}"]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "executable": sys.executable,
        "packages": packages,
        "backends": backends,
        "plugins": {p.name: f"{p.distribution} {p.version}".strip() for p in registry.plugins()},
        "problems": [{"plugin": p.plugin, "distribution": p.distribution, "what": p.what} for p in registry.problems()],
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith("CORENN_")},
    }


def show(found: dict[str, Any], markdown: bool) -> str:
    """The facts as text, or as Markdown for an issue."""
    lines = []
    for title, value in found.items():
        if isinstance(value, dict):
            lines.append(f"### {title}" if markdown else f"{title}:")
            for name, item in value.items():
                items = item if isinstance(item, list) else [item]
                lines += [f"- {name}: {i}" if markdown else f"  {name}: {i}" for i in items]
            if not value:
                lines.append("- none" if markdown else "  none")
        elif isinstance(value, list):
            lines.append(f"### {title}" if markdown else f"{title}:")
            for item in value:
                text = f"{item['plugin'] or item['distribution']}: {item['what']}"
                lines.append(f"- {text}" if markdown else f"  {text}")
            if not value:
                lines.append("- none" if markdown else "  none")
        else:
            lines.append(f"- {title}: {value}" if markdown else f"{title}: {value}")
    return "\n".join(lines)
