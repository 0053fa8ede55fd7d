"""The hooks a plugin may implement.  All take no arguments and return an iterable of records of their kind.

A plugin imports ``hookimpl`` from ``corenn.plugin`` and marks functions of these names with it.  Hooks are called once
per process (again after ``registry.refresh()``), never while training.  Arguments added later will not break plugins,
because an implementation may take any subset of a hook's arguments by name.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from corenn.plugin.records import (
    BackendRecord,
    CallbackRecord,
    CommandRecord,
    DatasetRecord,
    ModelRecord,
    SummaryWriterRecord,
    TaskRecord,
)

PROJECT = "corenn"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def corenn_backends() -> Iterable[BackendRecord]:
    """Return the backends on offer, available here or not: a record's ``probe`` says which, without importing one."""
    return ()


@hookspec
def corenn_datasets() -> Iterable[DatasetRecord]:
    """Return the data sets on offer."""
    return ()


@hookspec
def corenn_models() -> Iterable[ModelRecord]:
    """Return the models on offer."""
    return ()


@hookspec
def corenn_tasks() -> Iterable[TaskRecord]:
    """Return the tasks that ``corenn run`` can run."""
    return ()


@hookspec
def corenn_callbacks() -> Iterable[CallbackRecord]:
    """Return the training callbacks on offer."""
    return ()


@hookspec
def corenn_summary_writers() -> Iterable[SummaryWriterRecord]:
    """Return the summary writers on offer."""
    return ()


@hookspec
def corenn_commands() -> Iterable[CommandRecord]:
    """Return further subcommands of the ``corenn`` command line."""
    return ()
