"""The error for a name the facade does not have: what it was, whether TensorFlow has it, and what serves instead.

A namespace of the facade ends in::

    __getattr__ = missing.guard(__name__)
"""

from __future__ import annotations

import difflib
import functools
import os
import sys
from collections.abc import Callable, Iterable
from importlib import resources
from typing import Any

from corenn import advice
from corenn.errors import CorennError, hide_frames_of

# An error about a name points at the script's line, not at a line in here.
hide_frames_of(os.path.dirname(__file__))

_PACKAGE = __name__.rpartition(".")[0]

#: The lists of public names, by the version they belong to.
API_LISTS = {"1.15": "api_1_15.txt", "2.x": "api_2.txt"}

_NOTHING = "no corenn call serves"

_SHIMS = {f"{_PACKAGE}.datasets_shim": "tensorflow_datasets", f"{_PACKAGE}.gym_shim": "gym",
          f"{_PACKAGE}.six_shim": "six"}  # fmt: skip


class MissingNameError(CorennError, AttributeError):
    """A name of TensorFlow, or none of it, that the facade does not have; an ``AttributeError`` to ``hasattr``."""


class MissingModuleError(CorennError, ModuleNotFoundError):
    """A module that the facade does not have; an ``ImportError`` to ``try: import ...``.

    ``name`` stays ``None``: Python hides the message of an error that carries the name it was asked to import.
    """


class MissingPackageError(CorennError, ImportError):
    """Something that needs a package which is not installed and belongs to no extra of corenn."""


def public_name(module: str) -> str:
    """How users write a module of the facade: ``tf.nn`` for ``corenn_tensorflow.nn`` and for ``tensorflow.nn``."""
    for shim, public in _SHIMS.items():
        if module == shim or module.startswith(shim + "."):
            return public + module.removeprefix(shim)
    for root in (_PACKAGE, "tensorflow"):
        if module == root or module.startswith(root + "."):
            return "tf" + module.removeprefix(root)
    return f"tf.{module}" if module.partition(".")[0] == "keras" else module


@functools.cache
def api_names(version: str) -> frozenset[str] | None:
    """The public names of TensorFlow ``version`` (``"1.15"`` or ``"2.x"``), as ``nn.relu``; ``None`` without the list.

    The lists are plain text, a name a line, with or without ``tf.`` in front; ``#`` begins a comment.
    """
    path = resources.files(_PACKAGE).joinpath("data", API_LISTS[version])
    if not path.is_file():
        return None
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return frozenset(line.removeprefix("tensorflow.").removeprefix("tf.") for line in lines if line)


def versions_with(name: str) -> list[str] | None:
    """The versions of TensorFlow that have ``tf.`` + ``name``, itself or something below it; ``None`` without lists."""
    lists = {version: names for version in API_LISTS if (names := api_names(version)) is not None}
    if not lists:
        return None
    return [version for version, names in lists.items() if name in names or name in _packages(version)]


@functools.cache
def _packages(version: str) -> frozenset[str]:
    """Every proper prefix of a name: the namespaces."""
    found: set[str] = set()
    for name in api_names(version) or ():
        while "." in name:
            name = name.rpartition(".")[0]
            found.add(name)
    return frozenset(found)


@functools.cache
def _table() -> dict[str, tuple[str, str]]:
    """``data/instead.txt``: name (or ``prefix.*``) to (``"="`` or ``"-"``, text)."""
    found = {}
    text = resources.files(_PACKAGE).joinpath("data", "instead.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, sign, rest = line.split(maxsplit=2)
            found[name] = (sign, rest)
    return found


def instead_of(name: str) -> str:
    """What serves in place of a full name such as ``tf.contrib.learn.DNNClassifier``, as text for the error."""
    table = _table()
    candidates = [name]
    prefix = name
    while prefix:
        candidates.append(f"{prefix}.*")
        prefix = prefix.rpartition(".")[0]
    for candidate in candidates:
        if candidate in table:
            sign, text = table[candidate]
            return text if sign == "=" else f"{_NOTHING}: {text}"
    last = name.rpartition(".")[2]
    place = advice.find(last) if not last.startswith("_") else None
    return place or _NOTHING


def _standing(name: str) -> str:
    """The sentence after the name: who has it."""
    if name.startswith("tf.contrib.") or name == "tf.contrib":
        return "is not in corenn; TensorFlow 2 removed contrib"
    if not name.startswith("tf."):
        return "is not in corenn"
    versions = versions_with(name.removeprefix("tf."))
    if versions is None:
        return "is not in corenn"
    if not versions:
        return "is in neither corenn nor TensorFlow 1.15 or 2.x"
    return f"is in TensorFlow {' and '.join(versions)} but not in corenn"


def _parts(name: str, known: Iterable[str]) -> tuple[str, dict[str, object], str | None]:
    head, _, last = name.rpartition(".")
    what = _standing(name)
    operands: dict[str, object] = {}
    instead = instead_of(name)
    if instead != _NOTHING or not what.startswith("is in neither"):  # nothing serves for what is only misspelt
        operands["instead"] = instead
    close = difflib.get_close_matches(last, sorted(set(known)), n=3, cutoff=0.6)
    spelt = " or ".join(repr(f"{head}.{other}" if head else other) for other in close)
    return what, operands, f"did you mean {spelt}?" if close else None


def missing_name(module: str, name: str, known: Iterable[str] = ()) -> MissingNameError:
    """The error for ``module.name``; ``module`` as imported or as users write it, ``known``: the names it has."""
    full = f"{public_name(module)}.{name}"
    what, operands, hint = _parts(full, known)
    return MissingNameError(full, what, operands, hint=hint)


def missing_module(module: str, known: Iterable[str] = ()) -> MissingModuleError:
    """The error for ``import module``; ``known``: what the package it would be in has."""
    full = public_name(module)
    what, operands, hint = _parts(full, known)
    return MissingModuleError(full, what, operands, hint=hint)


def public_names(module: Any) -> list[str]:
    """The names of a module that belong to its API: ``__all__``, or what has no underscore and is not imported."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(listed)
    return sorted(name for name in dir(module) if not name.startswith("_") and name != "annotations")


def guard(module: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a namespace: raises ``MissingNameError`` for every name that is not there.

    Names with two underscores in front are Python's own questions (``__path__``, ``__wrapped__``) and get the plain
    ``AttributeError`` they expect.
    """

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise missing_name(module, name, public_names(sys.modules[module]))

    return __getattr__
