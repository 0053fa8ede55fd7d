"""Records: what a plugin says about the things it offers, as data, so that listing them imports none of them.

A record holds a name, a line for a person, and the factory as a string ``"package.module:attribute"`` that is imported
by ``load()`` only when the thing is wanted.
"""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Literal

from corenn.errors import CorennError, PluginError

#: Version of the contract between corenn and its plugins (records, hooks, and what the factories must return).
CONTRACT_VERSION = 1

#: The oldest contract whose plugins this corenn still runs; a record must state one from here to CONTRACT_VERSION.
OLDEST_CONTRACT = 1

Kind = Literal["backend", "dataset", "model", "task", "callback", "summary_writer", "command"]

Probe = Callable[[], "str | None"]


@dataclass(frozen=True)
class Record:
    """One thing a plugin offers.  Use the subclass for its kind.

    ``name`` is what users write: letters, digits, ``_``, ``-`` and ``.``, starting with a letter or digit.  ``factory``
    is ``"package.module:attribute"``, imported by ``load()``.  ``description`` is one line.  By keyword: ``probe``, a
    cheap callable that returns ``None`` when the thing can be used here or the reason why not (it must import nothing
    heavy); ``install_hint``, the command that repairs a failed load; ``aliases``, other names for it; ``contract``,
    the CONTRACT_VERSION the plugin was written for, which a plugin outside corenn should write as a literal number.
    ``distribution`` is filled in by the loader.  Raises PluginError for a value that cannot be right.
    """

    kind: ClassVar[str] = ""

    name: str
    factory: str
    description: str = ""
    _: KW_ONLY
    probe: Probe | None = None
    install_hint: str = ""
    aliases: tuple[str, ...] = ()
    contract: int = CONTRACT_VERSION
    distribution: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise self._invalid(f"name {self.name!r} is not a name", _NAME_HINT)
        if not _is_factory(self.factory):
            raise self._invalid(
                f"factory {self.factory!r} is not of the form 'package.module:attribute'",
                "give the factory as a string, so that listing imports nothing",
            )
        for name in ("description", "install_hint", "distribution"):
            if not isinstance(getattr(self, name), str):
                raise self._invalid(f"{name} must be a string, not {getattr(self, name)!r}")
        if self.probe is not None and not callable(self.probe):
            raise self._invalid(f"probe must be callable, not {self.probe!r}", "it returns None or the reason")
        if not isinstance(self.aliases, tuple) or not all(_is_name(alias) for alias in self.aliases):
            raise self._invalid(f"aliases must be a tuple of names, not {self.aliases!r}", _NAME_HINT)
        if self.name in self.aliases or len(set(self.aliases)) != len(self.aliases):
            raise self._invalid(f"aliases {self.aliases!r} repeat a name")
        if not _is_int(self.contract):
            raise self._invalid(f"contract must be an integer, not {self.contract!r}")

    def _invalid(self, what: str, hint: str | None = None) -> PluginError:
        return PluginError(f"{type(self).__name__} {self.name!r}", what, hint=hint)

    def unavailable_reason(self) -> str | None:
        """Why this cannot be used here, or ``None`` if it can; a probe that raises counts as a reason."""
        if self.probe is None:
            return None
        try:
            reason = self.probe()
        except Exception as error:
            return f"its probe raised {type(error).__name__}: {error}"
        if reason is None or isinstance(reason, str):
            return reason
        return f"its probe returned {reason!r} instead of None or a reason"  # type: ignore[unreachable]  # a plugin may

    def load(self) -> Any:
        """Import the factory's module and return the object it names.

        Raises PluginError, naming distribution, record, factory and install hint, when that fails.  Errors of corenn
        itself (MissingExtraError, BackendError, ...) already say what to do and pass through.
        """
        module_name, _, path = self.factory.partition(":")
        try:
            found: Any = importlib.import_module(module_name)
        except CorennError:
            raise
        except Exception as error:
            raise self._load_error(f"importing {module_name!r} failed: {type(error).__name__}: {error}") from error
        for part in path.split("."):
            try:
                found = getattr(found, part)
            except AttributeError as error:
                raise self._load_error(f"{module_name!r} has no attribute {path!r}") from error
        return found

    def _load_error(self, what: str) -> PluginError:
        operands = {"distribution": self.distribution or "unknown", "factory": self.factory}
        return PluginError(f"{self.kind} {self.name!r}", what, operands, hint=self.install_hint or None)


@dataclass(frozen=True)
class BackendRecord(Record):
    """A backend; the factory is a ``corenn.backend.Backend`` subclass, called without arguments.

    Of the available backends ``"auto"`` means the one of the highest ``priority`` (numpy has 0).
    """

    kind: ClassVar[str] = "backend"
    _: KW_ONLY
    priority: int = 0

    def __post_init__(self) -> None:
        Record.__post_init__(self)
        if "auto" in (self.name, *self.aliases):
            raise self._invalid("'auto' means the best available backend and cannot name one")
        if not _is_int(self.priority):
            raise self._invalid(f"priority must be an integer, not {self.priority!r}")


@dataclass(frozen=True)
class DatasetRecord(Record):
    """A data set.  ``offline``: usable without a network.  ``licence`` and ``size`` are lines for a person to read."""

    kind: ClassVar[str] = "dataset"
    _: KW_ONLY
    offline: bool = False
    licence: str = ""
    size: str = ""


@dataclass(frozen=True)
class ModelRecord(Record):
    """A model that tasks and users can build by name."""

    kind: ClassVar[str] = "model"


@dataclass(frozen=True)
class TaskRecord(Record):
    """A task for ``corenn run``.  ``default_dataset``: name of the data set it takes if the user names none."""

    kind: ClassVar[str] = "task"
    _: KW_ONLY
    default_dataset: str | None = None


@dataclass(frozen=True)
class CallbackRecord(Record):
    """A training callback that can be switched on by name."""

    kind: ClassVar[str] = "callback"


@dataclass(frozen=True)
class SummaryWriterRecord(Record):
    """A destination for summaries (scalars, histograms, images, ...)."""

    kind: ClassVar[str] = "summary_writer"


@dataclass(frozen=True)
class CommandRecord(Record):
    """A subcommand of the ``corenn`` command line."""

    kind: ClassVar[str] = "command"


#: Record type of each kind; the hook for a kind is called ``corenn_<kind>s``.
RECORD_TYPES: Mapping[str, type[Record]] = {
    cls.kind: cls
    for cls in (
        BackendRecord,
        DatasetRecord,
        ModelRecord,
        TaskRecord,
        CallbackRecord,
        SummaryWriterRecord,
        CommandRecord,
    )
}

_NAME_HINT = "use letters, digits, '_', '-' and '.', starting with a letter or digit"


# The three below take ``object``: what a plugin passes need not be what the annotations ask for.
def _is_name(value: object) -> bool:
    return (
        isinstance(value, str)
        and value.isascii()
        and value[:1].isalnum()
        and all(character.isalnum() or character in "_-." for character in value)
    )


def _is_factory(value: object) -> bool:
    if not isinstance(value, str) or value.count(":") != 1:
        return False
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in value.replace(":", ".").split("."))


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
