"""What can be said about plugins after loading: which there are, and what is wrong with those that did not load."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from corenn.errors import CorennError

#: Where a plugin comes from that was registered by ``registry.register`` and not by an entry point.
THIS_PROCESS = "(this process)"


@dataclass(frozen=True)
class PluginInfo:
    """A plugin that was found.

    ``name`` is its entry point's, ``distribution`` and ``version`` those of the package that declares it (or
    ``"(this process)"`` and ``""``).  ``builtin``: shipped with corenn.  ``status``: ``"loaded"``, ``"failed"`` (see
    the problems), or ``"off"`` (left out by ``CORENN_PLUGINS``).
    """

    name: str
    distribution: str
    version: str = ""
    builtin: bool = False
    status: Literal["loaded", "failed", "off"] = "loaded"


ProblemKind = Literal["installation", "setting", "entry point", "import", "hook", "record", "contract", "duplicate"]


@dataclass(frozen=True)
class PluginProblem:
    """Something wrong with one plugin, which did not keep the others from loading.

    ``plugin`` and ``distribution`` say whose problem it is (``plugin`` is empty where it concerns a whole distribution
    or an environment variable), ``kind`` of which sort.  ``what`` is one line; ``detail``
    is longer and may be empty (the traceback of an exception); ``hint`` is a fix where one is known.
    """

    plugin: str
    distribution: str
    kind: ProblemKind
    what: str
    detail: str = ""
    hint: str = ""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.origin}: {self.what}{hint}"

    @property
    def origin(self) -> str:
        """Whose problem it is, for a message."""
        return origin(self.plugin, self.distribution)


def origin(plugin: str, distribution: str) -> str:
    """How messages name a plugin, or what else the problem is with when ``plugin`` is empty."""
    return f"plugin {plugin!r} of {distribution}" if plugin else distribution


class PluginRefusedError(Exception):
    """Internal: a plugin that cannot be loaded at all; carries the problem to report."""

    def __init__(self, problem: PluginProblem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def raised(info: PluginInfo, kind: ProblemKind, doing: str, error: BaseException) -> PluginProblem:
    """The problem for an exception that a plugin raised: its first line as ``what``, its traceback as ``detail``."""
    import traceback

    message = str(error).strip().split("\n")[0]
    what = f"{doing}: {type(error).__name__}" + (f": {message}" if message else "")
    text = "".join(traceback.format_exception(type(error), error, _inside_plugin(error.__traceback__)))
    hint = (error.hint or "") if isinstance(error, CorennError) else ""
    # the error itself names the module; the name of the package to install is for the plugin's author to know
    if isinstance(error, ModuleNotFoundError) and info.distribution != THIS_PROCESS:
        hint = f"install what it needs, or: pip install --force-reinstall {info.distribution}"
    return PluginProblem(info.name, info.distribution, kind, what, text.rstrip(), hint)


_MACHINERY = ("importlib", "_frozen_importlib", "_frozen_importlib_external", "pluggy")


def _inside_plugin(trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback from the plugin's first frame on, without the loader's and the import system's."""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if not module.startswith("corenn.plugin.") and module.split(".")[0] not in _MACHINERY:
            break
        trace = trace.tb_next
    return trace


def as_operands(problems: Iterable[PluginProblem], limit: int = 8) -> dict[str, str]:
    """Problems in the form an error message lists them, at most ``limit``, each under a label of its own."""
    shown: dict[str, str] = {}
    problems = list(problems)
    for problem in problems[:limit]:
        label = base = problem.origin
        count = 1
        while label in shown:
            count += 1
            label = f"{base} [{count}]"
        shown[label] = problem.what + (f" ({problem.hint})" if problem.hint else "")
    if len(problems) > limit:
        shown["..."] = f"{len(problems) - limit} more plugin problems: corenn info"
    return shown
