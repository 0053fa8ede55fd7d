"""Plugins: backends, data sets, models, tasks, callbacks, summary writers and commands, found by entry point.

``registry`` is where the rest of corenn looks things up; a plugin writes a hook marked ``hookimpl`` that returns
records.  Importing this package reads no metadata and loads no plugin: that happens at the first look-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corenn.plugin.problems import PluginInfo, PluginProblem
from corenn.plugin.records import (
    CONTRACT_VERSION,
    OLDEST_CONTRACT,
    BackendRecord,
    CallbackRecord,
    CommandRecord,
    DatasetRecord,
    Kind,
    ModelRecord,
    Record,
    SummaryWriterRecord,
    TaskRecord,
)
from corenn.plugin.registration import PluginRegistry, registry

if TYPE_CHECKING:
    from corenn.plugin.hookspecs import hookimpl

__all__ = [
    "CONTRACT_VERSION",
    "OLDEST_CONTRACT",
    "BackendRecord",
    "CallbackRecord",
    "CommandRecord",
    "DatasetRecord",
    "Kind",
    "ModelRecord",
    "PluginInfo",
    "PluginProblem",
    "PluginRegistry",
    "Record",
    "SummaryWriterRecord",
    "TaskRecord",
    "hookimpl",
    "registry",
]


def __getattr__(name: str) -> Any:
    # hookimpl needs pluggy, which only plugins and the first look-up should pay for.
    if name == "hookimpl":
        from corenn.plugin.hookspecs import hookimpl

        return hookimpl
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
