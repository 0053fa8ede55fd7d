"""Lists of what is installed: rows as JSON, or as aligned columns."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable, Mapping
from typing import Any

from corenn.errors import PluginError, UsageError
from corenn.plugin import Record, registry

Rows = list[dict[str, Any]]

_ONLY_JSON = ("distribution", "status", "reason", "install")  # columns that the table has no room for


def records(kind: str, *columns: str) -> Rows:
    """One row for each record of a kind: name, ``columns``, description, and whether it can be used here."""
    listings: dict[str, Callable[[], Mapping[str, Record]]] = {
        "task": registry.tasks,
        "dataset": registry.datasets,
        "model": registry.models,
    }
    rows = []
    for record in listings[kind]().values():
        reason = record.unavailable_reason()
        row = {c: getattr(record, c) for c in ("name", *columns, "description", "distribution")}
        rows.append({**row, "status": _status(reason), "reason": reason or "", "install": _install(record, reason)})
    return rows


def backend_rows() -> Rows:
    """One row for each backend; the one that ``auto`` means is marked."""
    from corenn.backend import best_available

    chosen = best_available()
    rows = []
    for record in registry.backends().values():
        reason = record.unavailable_reason()
        row = {"name": record.name, "status": _status(reason), "auto": record.name == chosen}
        row |= {"description": record.description, "distribution": record.distribution}
        rows.append({**row, "reason": reason or "", "install": _install(record, reason)})
    return rows


def settings(task: str) -> Rows:
    """The settings of a task with their types and defaults."""
    try:
        made = registry.get("task", task).load().Settings()
    except PluginError as error:
        raise UsageError("tasks", error.what, error.operands, hint=error.hint) from None
    hints = typing.get_type_hints(type(made))
    rows = []
    for field in dataclasses.fields(made):
        kind = hints[field.name]
        text = kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
        rows.append({"setting": field.name, "type": text.replace("typing.", ""), "default": getattr(made, field.name)})
    return rows


def _status(reason: str | None) -> str:
    return "available" if reason is None else "unavailable"


def _install(record: Record, reason: str | None) -> str:
    return "" if reason is None else str(record.install_hint)


def show(rows: Rows, as_json: bool) -> None:
    """Print rows; the table is followed by a line for each thing that cannot be used here."""
    if as_json:
        print(json.dumps(rows, indent=2, default=str))
        return
    if not rows:
        print("none")
        return
    hidden = _ONLY_JSON if "auto" not in rows[0] else tuple(c for c in _ONLY_JSON if c != "status")
    columns = [c for c in rows[0] if c not in hidden]
    text = [[_cell(row[c]) for c in columns] for row in rows]
    titles = [c.replace("_", " ").upper() for c in columns]
    widths = [max(map(len, column)) for column in zip(titles, *text, strict=True)]
    for line in [titles, *text]:
        print("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        if row.get("reason"):
            print(f"\n{row['name']} cannot be used here: {row['reason']}")
            if row.get("install"):
                print(f"  {row['install']}")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
