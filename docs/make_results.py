"""Pages of measured results, one for each file of ``benchmarks/results``: hooks of mkdocs.

The files are written beside the scripts that measure, and are shown as they are, below ``Benchmarks``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"


def pages() -> dict[str, str]:
    """Texts by their paths below ``docs``, the newest first."""
    return {
        f"benchmarks/{path.stem}.md": path.read_text(encoding="utf-8") for path in sorted(RESULTS.glob("*.md"))[::-1]
    }


def _title(stem: str) -> str:
    """``2026-11-22-cpu`` as a title: the date, and what was measured."""
    return f"{stem[:10]}, {stem[11:]}".removesuffix(", ")


def on_config(config: Any) -> Any:
    """Add the pages to the navigation, below the entry ``Benchmarks``."""
    section = next(item for item in config.nav if "Benchmarks" in item)
    section["Benchmarks"] = ["benchmarks/index.md", *({_title(Path(page).stem): page} for page in pages())]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages themselves."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files
