"""The registry: plugins by kind and name, discovered at the first question and kept until ``refresh()``."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Literal, cast, overload

from corenn.errors import PluginError, nearest

if TYPE_CHECKING:
    from corenn.plugin.loader import Discovery, Offer
    from corenn.plugin.merging import Catalogue
    from corenn.plugin.problems import PluginInfo, PluginProblem
    from corenn.plugin.records import (
        BackendRecord,
        CallbackRecord,
        CommandRecord,
        DatasetRecord,
        ModelRecord,
        Record,
        SummaryWriterRecord,
        TaskRecord,
    )

# Imports of the loader and the records stand in the functions: importing the registry must cost next to nothing.

STRICT_VARIABLE = "CORENN_STRICT_PLUGINS"


class PluginRegistry:
    """What all plugins offer.  Safe to use from several threads; the first question loads the plugins, once.

    Environment: ``CORENN_PLUGINS=off`` loads none but the built-in plugins, ``CORENN_PLUGINS=a,b`` those and the
    plugins or distributions named; with ``CORENN_STRICT_PLUGINS=1`` any plugin problem raises PluginError instead of
    being kept in ``problems()``.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._loading = False
        self._discovery: Discovery | None = None
        self._in_process: dict[str, tuple[object, Offer]] = {}
        self._catalogue: Catalogue | None = None

    # ---- listing

    def backends(self) -> dict[str, BackendRecord]:
        """Backends by name, sorted."""
        return cast("dict[str, BackendRecord]", self._records("backend"))

    def datasets(self) -> dict[str, DatasetRecord]:
        """Data sets by name, sorted."""
        return cast("dict[str, DatasetRecord]", self._records("dataset"))

    def models(self) -> dict[str, ModelRecord]:
        """Models by name, sorted."""
        return cast("dict[str, ModelRecord]", self._records("model"))

    def tasks(self) -> dict[str, TaskRecord]:
        """Tasks by name, sorted."""
        return cast("dict[str, TaskRecord]", self._records("task"))

    def callbacks(self) -> dict[str, CallbackRecord]:
        """Callbacks by name, sorted."""
        return cast("dict[str, CallbackRecord]", self._records("callback"))

    def summary_writers(self) -> dict[str, SummaryWriterRecord]:
        """Summary writers by name, sorted."""
        return cast("dict[str, SummaryWriterRecord]", self._records("summary_writer"))

    def commands(self) -> dict[str, CommandRecord]:
        """Commands by name, sorted."""
        return cast("dict[str, CommandRecord]", self._records("command"))

    def problems(self) -> tuple[PluginProblem, ...]:
        """What is wrong with plugins; empty when all is well."""
        return self._current().problems

    def plugins(self) -> tuple[PluginInfo, ...]:
        """Every plugin found, loaded or not: built-in ones first, those of this process last."""
        return self._current().plugins

    def _records(self, kind: str) -> dict[str, Record]:
        return dict(self._current().records[kind])

    # ---- looking up

    @overload
    def get(self, kind: Literal["backend"], name: str) -> BackendRecord: ...
    @overload
    def get(self, kind: Literal["dataset"], name: str) -> DatasetRecord: ...
    @overload
    def get(self, kind: Literal["model"], name: str) -> ModelRecord: ...
    @overload
    def get(self, kind: Literal["task"], name: str) -> TaskRecord: ...
    @overload
    def get(self, kind: Literal["callback"], name: str) -> CallbackRecord: ...
    @overload
    def get(self, kind: Literal["summary_writer"], name: str) -> SummaryWriterRecord: ...
    @overload
    def get(self, kind: Literal["command"], name: str) -> CommandRecord: ...
    @overload
    def get(self, kind: str, name: str) -> Record: ...

    def get(self, kind: str, name: str) -> Record:
        """The record of that kind and name or alias (``get("backend", "numpy")``).

        Raises PluginError with the nearest names, those available, and what kept plugins from loading.
        """
        catalogue = self._current()
        records = catalogue.records.get(kind)
        if records is None:
            raise PluginError(
                "plugins", f"{kind!r} is not a kind of record", hint=nearest(str(kind), catalogue.records)
            )
        found = records.get(catalogue.aliases[kind].get(name, name))
        if found is None:
            raise _missing(kind, name, catalogue)
        return found

    # ---- loading

    def _current(self) -> Catalogue:
        found = self._catalogue
        if found is not None:
            return found
        with self._lock:
            if self._catalogue is None:
                catalogue = self._merge(self._in_process)
                if _strict() and catalogue.problems:
                    raise _strict_error(catalogue.problems)
                self._catalogue = catalogue
            return self._catalogue

    def _merge(self, in_process: dict[str, tuple[object, Offer]]) -> Catalogue:
        if self._loading:
            what = "the plugin registry was asked for something while plugins are being loaded"
            raise PluginError("plugins", what, hint="a plugin must not use the registry on import or in its hooks")
        from corenn.plugin.loader import discover
        from corenn.plugin.merging import merge

        if self._discovery is None:
            self._loading = True
            try:
                self._discovery = discover()
            finally:
                self._loading = False
        discovery = self._discovery
        return merge([*discovery.offers, *(offer for _, offer in in_process.values())], discovery.problems)

    def refresh(self) -> None:
        """Forget what was found, so that the next question looks again (after an install, or a changed environment).

        Modules that are already imported are not imported anew.  Plugins given to ``register`` stay.
        """
        import importlib

        with self._lock:
            importlib.invalidate_caches()
            self._discovery = self._catalogue = None

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin for this process: a module or object with hooks, for tests and notebooks.

        Registering under a name again replaces what was registered under it.  Raises PluginError, and changes
        nothing, when anything is wrong with the plugin or one of its names is taken.
        """
        from corenn.plugin.loader import Candidate, load_plugin
        from corenn.plugin.problems import THIS_PROCESS, PluginInfo, as_operands

        with self._lock:
            if any(info.name == name and info.distribution != THIS_PROCESS for info in self._current().plugins):
                raise PluginError("plugins", f"a plugin {name!r} is installed already", hint="choose another name")
            info = PluginInfo(name, THIS_PROCESS)
            offer = load_plugin(Candidate(info, lambda: plugin))
            plugins = {**self._in_process, name: (plugin, offer)}
            catalogue = self._merge(plugins)
            problems = [p for p in catalogue.problems if (p.plugin, p.distribution) == (name, THIS_PROCESS)]
            if problems:
                raise PluginError(
                    f"plugin {name!r}", problems[0].what, as_operands(problems[1:]), hint=problems[0].hint
                )
            self._in_process, self._catalogue = plugins, catalogue

    def unregister(self, name: str) -> None:
        """Remove a plugin that was given to ``register``; PluginError if there is none of that name."""
        with self._lock:
            if name not in self._in_process:
                raise PluginError("plugins", f"no plugin {name!r} was registered", hint=nearest(name, self._in_process))
            self._in_process = {key: value for key, value in self._in_process.items() if key != name}
            self._catalogue = None


def _strict() -> bool:
    value = os.environ.get(STRICT_VARIABLE, "").strip().lower()
    if value in ("", "0", "off", "false", "no"):
        return False
    if value in ("1", "on", "true", "yes"):
        return True
    raise PluginError("plugins", f"{STRICT_VARIABLE} is {value!r}", hint="set it to 1 or 0")


def _strict_error(problems: tuple[PluginProblem, ...]) -> PluginError:
    from corenn.plugin.problems import as_operands

    what = f"{len(problems)} plugin problem{'s' * (len(problems) != 1)}, and {STRICT_VARIABLE} is set"
    return PluginError(
        "plugins", what, as_operands(problems), hint=f"mend or uninstall them, or unset {STRICT_VARIABLE}"
    )


def _missing(kind: str, name: str, catalogue: Catalogue) -> PluginError:
    """The error for a name that no record has: why, if that is known, and what there is instead."""
    from corenn.plugin.loader import FILTER_VARIABLE
    from corenn.plugin.problems import as_operands

    records = catalogue.records[kind]
    operands = {"installed": ", ".join(records) or "none"}
    refused = catalogue.refused.get((kind, name))
    operands |= as_operands(problem for problem in catalogue.problems if problem is not refused)
    off = sorted({info.name for info in catalogue.plugins if info.status == "off"})
    if off:
        operands[FILTER_VARIABLE] = f"{os.environ.get(FILTER_VARIABLE, '')} (leaves out: {', '.join(off)})"
    if refused is not None:
        return PluginError(kind, refused.what, operands, hint=refused.hint or None)
    not_installed = next((problem.hint for problem in catalogue.problems if problem.kind == "installation"), None)
    close = nearest(name, [*records, *catalogue.aliases[kind]])
    hint = not_installed or (close if close.startswith("did you mean") else "corenn info shows plugins and problems")
    return PluginError(kind, f"no {kind} is called {name!r}", operands, hint=hint)


#: The registry of this process.
registry = PluginRegistry()
