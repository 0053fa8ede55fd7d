"""Plugins: backends, data sets, models, tasks, callbacks, summary writers and commands, found by entry point.

``registry`` is where the rest of corenn looks things up; a plugin writes hooks marked ``hookimpl`` that return records.
Importing this package reads no metadata and loads no plugin: that happens at the first look-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from corenn.plugin.registration import PluginRegistry, registry

if TYPE_CHECKING:
    from corenn.plugin.hookspecs import hookimpl
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

if not TYPE_CHECKING:
    # pluggy and the dataclasses cost more than the rest of corenn's import may; plugins and the first look-up pay.
    _HOME = {"hookimpl": "hookspecs", "PluginInfo": "problems", "PluginProblem": "problems"}

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(f"corenn.plugin.{_HOME.get(name, 'records')}"), name)
        globals()[name] = value
        return value
