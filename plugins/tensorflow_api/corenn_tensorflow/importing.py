"""``import tensorflow`` answered by the facade: a finder at the front of ``sys.meta_path``, for this process only.

``install()`` puts it there and ``uninstall()`` takes it away with all it made.  The names it answers are those of
``ROOTS``; which module of the facade stands behind one of TensorFlow's inner modules is written in
``data/modules.txt``.  ``import tensorflow.nn``, ``tf.nn`` and ``corenn_tensorflow.nn`` are one module object; a
module of TensorFlow's insides is a *view*, which has no names of its own and looks them up in the namespaces it
stands for.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import resources
from types import ModuleType
from typing import Any, NamedTuple

from corenn.errors import UsageError, hide_frames_of
from corenn_tensorflow.missing import missing_module, missing_name, public_names

# import_module() of the standard library is not the line that asked.
hide_frames_of(os.path.dirname(importlib.__file__))

_PACKAGE = __name__.rpartition(".")[0]

#: Top-level names the facade answers, and the modules behind them.
ROOTS = {
    "tensorflow": _PACKAGE,
    "tensorflow_core": _PACKAGE,
    "keras": f"{_PACKAGE}.keras",
    "tensorflow_datasets": f"{_PACKAGE}.datasets_shim",
    "gym": f"{_PACKAGE}.gym_shim",
    "six": f"{_PACKAGE}.six_shim",
}

#: A real package of this name goes on answering: it needs no TensorFlow.
_GIVES_WAY = ("gym", "six")

#: Modules at the top of the facade that are its machinery and no namespace of TensorFlow.
_MACHINERY = frozenset(
    {"adopting", "coverage", "datasets_shim", "framework", "generation", "gym_shim", "importing", "input_data",
     "converting", "functions", "missing", "mode", "names", "notebook", "plugin", "records", "running", "scopes",
     "shapes", "six_shim", "variable_classes", "variable_functions"}
)  # fmt: skip


class RealTensorFlowError(UsageError):
    """The facade was to take the place of a package that is really there."""


class _Rules(NamedTuple):
    """``data/modules.txt``: views by exact name, views by prefix, renames by prefix, and every package these imply."""

    exact: dict[str, tuple[str, ...]]
    below: dict[str, tuple[str, ...]]
    renames: dict[str, str]
    packages: frozenset[str]


@functools.cache
def rules() -> _Rules:
    """The table of module names, read once."""
    exact: dict[str, tuple[str, ...]] = {}
    below: dict[str, tuple[str, ...]] = {}
    renames: dict[str, str] = {}
    packages: set[str] = set()
    text = resources.files(_PACKAGE).joinpath("data", "modules.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if not line:
            continue
        name, sign, *places = line.split()
        if sign == "->":
            (renames[name],) = places
        elif name.endswith(".*"):
            name = name.removesuffix(".*")
            below[name] = tuple(places)
            packages.add(name)
        else:
            exact[name] = tuple(places)
        while "." in name:
            name = name.rpartition(".")[0]
            packages.add(name)
    return _Rules(exact, below, renames, frozenset(packages))


class View(ModuleType):
    """A module of TensorFlow's insides: its names are looked up in the facade's modules ``places``, in order."""

    def __init__(self, name: str, places: tuple[str, ...]) -> None:
        super().__init__(name, f"{name}, answered by corenn_tensorflow")
        self.__path__: list[str] = []
        self.__dict__["_places"] = places

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            for module in self._modules():
                try:
                    return getattr(module, name)
                except AttributeError:
                    continue
            raise missing_name(self.__name__, name, self.__dir__())
        if name == "__all__":
            return [n for module in self._modules() for n in public_names(module)]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        own = {name for name in self.__dict__ if not name.startswith("_")}
        return sorted(own.union(*(public_names(module) for module in self._modules())))

    def _modules(self) -> Iterator[ModuleType]:
        for place in self.__dict__["_places"]:
            found = _facade("" if place == "." else place)
            if found is not None:
                yield found


def _facade(path: str) -> ModuleType | None:
    """The facade's module ``path`` (``"contrib.layers"``; ``""``: the facade itself), or ``None`` if there is none."""
    module = importlib.import_module(_PACKAGE)
    for part in path.split(".") if path else ():
        found = _child(module, part)
        if found is None:
            return None
        module = found
    return module


def _child(parent: ModuleType, name: str) -> ModuleType | None:
    """A module that ``parent``, a module of the facade, has under ``name``: as an attribute, or as a file."""
    value = parent.__dict__.get(name)
    if isinstance(value, ModuleType):
        return value
    folders = parent.__spec__.submodule_search_locations if parent.__spec__ is not None else None
    if folders is not None:
        full = f"{parent.__name__}.{name}"
        if importlib.machinery.PathFinder.find_spec(full, list(folders)) is not None:
            return importlib.import_module(full)
    value = getattr(parent, name, None)  # a namespace made on demand
    return value if isinstance(value, ModuleType) else None


def _behind(fullname: str) -> ModuleType | None:
    """The module that answers ``import fullname``, or ``None``.  Its parents have been imported already."""
    table = rules()
    if fullname in ROOTS:
        if fullname in table.renames:
            return importlib.import_module(table.renames[fullname])
        return importlib.import_module(ROOTS[fullname])
    above, _, name = fullname.rpartition(".")
    parent = sys.modules[above]
    if not isinstance(parent, View) and not (parent.__name__ == _PACKAGE and name in _MACHINERY):
        found = _child(parent, name)
        if found is not None:
            return found
    first = _renamed(fullname)
    if first != fullname:  # the same objects under both spellings
        return importlib.import_module(first)
    places = table.exact.get(fullname, () if fullname in table.packages else table.below.get(above, ()))
    # A package of packages has no names of its own, but something must be there below it.
    return View(fullname, places) if any(_exists(place) for place in places or _places_below(fullname)) else None


def _places_below(package: str) -> Iterator[str]:
    """The places that stand behind modules below a package of TensorFlow."""
    table = rules()
    for name, places in (*table.exact.items(), *table.below.items()):
        if f"{name}.".startswith(f"{package}."):
            yield from places
    for name, other in table.renames.items():
        if name.startswith(f"{package}."):
            yield other.partition(".")[2] or "."


def _exists(place: str) -> bool:
    return _facade("" if place == "." else place) is not None


def _renamed(fullname: str) -> str:
    """A name in its first spelling: the longest renamed prefix replaced, until none is left."""
    table = rules().renames
    prefix = fullname
    while prefix:
        if prefix in table:
            return _renamed(table[prefix] + fullname.removeprefix(prefix))
        prefix = prefix.rpartition(".")[0]
    return fullname


class _Loader(importlib.abc.Loader):
    """Puts the facade's own module object under the name that was imported."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def exec_module(self, module: ModuleType) -> None:
        # The import system returns what it finds in sys.modules after this; so the facade's module keeps its own
        # __spec__ and __name__, which create_module would have overwritten.
        if not hasattr(self.module, "__path__"):
            self.module.__path__ = []  # a submodule can be imported from a package only
            _finder.made_packages.append(self.module)
        sys.modules[module.__name__] = self.module


class _Finder(importlib.abc.MetaPathFinder):
    """Answers the names in ``ROOTS`` and all below them: with a module, or with an error that says what is missing."""

    def __init__(self) -> None:
        self.made_packages: list[ModuleType] = []
        self.roots: frozenset[str] = frozenset()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in self.roots:
            return None
        module = _behind(fullname)
        if module is None:
            # Never None: another finder would take the facade's folders for those of a package called tensorflow.
            above = sys.modules.get(fullname.rpartition(".")[0])
            raise missing_module(fullname, public_names(above) if above is not None else ())
        return importlib.machinery.ModuleSpec(fullname, _Loader(module), origin=_PACKAGE, is_package=True)


class _Inner(importlib.abc.MetaPathFinder):
    """Answers ``corenn_tensorflow.x`` where no file does, as ``tensorflow.x``.

    ``from tensorflow.keras.layers import core`` asks the module for its name, which is the facade's, and then imports
    ``corenn_tensorflow.keras.layers.core``.  At the end of ``sys.meta_path``, so only for what is not there.
    """

    def __init__(self) -> None:
        self.asking: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        inside, name = fullname.removeprefix(f"{_PACKAGE}."), fullname.rpartition(".")[2]
        if inside == fullname or name.startswith("_") or fullname in self.asking:
            return None
        self.asking.add(fullname)
        try:
            for shim in ("tensorflow_datasets", "gym", "six"):
                module_name = ROOTS[shim].rpartition(".")[2]
                if inside.startswith(f"{module_name}."):
                    module = importlib.import_module(shim + inside.removeprefix(module_name))
                    break
            else:
                module = importlib.import_module(f"tensorflow.{inside}")
        finally:
            self.asking.discard(fullname)
        return importlib.machinery.ModuleSpec(fullname, _Loader(module), origin=_PACKAGE, is_package=True)


_finder, _inner = _Finder(), _Inner()


def installed() -> bool:
    """Whether the facade answers imports in this process."""
    return _finder in sys.meta_path


def real_package(name: str) -> str | None:
    """Where a package called ``name`` would come from without the facade, or ``None``; nothing is imported.

    A folder of that name without ``__init__.py`` is no package: people keep scripts in folders called ``tensorflow``.
    """
    loaded = sys.modules.get(name)
    if loaded is not None and not _ours(loaded):
        return getattr(loaded, "__file__", None) or "a module that is already imported"
    for finder in sys.meta_path:
        if finder is _finder or not hasattr(finder, "find_spec"):
            continue
        try:
            spec = finder.find_spec(name, None)
        except ImportError:
            continue
        if spec is not None:
            namespace = spec.origin is None and spec.submodule_search_locations is not None
            return None if namespace else spec.origin or "an import hook"
    return None


def _ours(module: ModuleType) -> bool:
    return isinstance(module, View) or module.__name__.partition(".")[0] == _PACKAGE


def install(*, over_real: bool = False) -> None:
    """Let the facade answer for ``ROOTS`` in this process.

    A real ``gym`` or ``six`` goes on answering for itself.  Raises ``RealTensorFlowError`` when one of the others is
    really there, unless ``over_real``; in any case when it has been imported already: its objects and ours would meet.
    """
    if installed():
        return
    present = {name: where for name in ROOTS if (where := real_package(name)) is not None}
    imported = sorted(name for name in present if name in sys.modules and name not in _GIVES_WAY)
    if imported:
        raise RealTensorFlowError(
            "corenn_tensorflow",
            f"the real {imported[0]} has been imported already",
            {name: present[name] for name in imported},
            hint="install the facade before anything imports it",
        )
    refused = {name: where for name, where in present.items() if name not in _GIVES_WAY}
    if refused and not over_real:
        raise RealTensorFlowError(
            "corenn_tensorflow",
            f"the real {next(iter(refused))} is installed, and the facade does not take its place unasked",
            refused,
            hint="corenn run --facade-over-tensorflow SCRIPT.py, or install(over_real=True); "
            "with the real one: python SCRIPT.py",
        )
    gives_way = {name for name in present if name in _GIVES_WAY}
    _finder.roots = frozenset(ROOTS) - gives_way
    sys.meta_path.insert(0, _finder)
    sys.meta_path.append(_inner)


def uninstall() -> None:
    """Stop answering, and forget the modules under the names that were answered; the facade itself stays."""
    if not installed():
        return
    sys.meta_path.remove(_finder)
    sys.meta_path.remove(_inner)
    answered = {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in _finder.roots or (isinstance(module, View) and name.startswith(_PACKAGE))
    }
    for name, module in answered.items():
        above, _, last = name.rpartition(".")
        parent = sys.modules.get(above)
        if isinstance(module, View) and parent is not None and not isinstance(parent, View):
            parent.__dict__.pop(last, None)  # the import system has put it there
    for name in answered:
        del sys.modules[name]
    for module in _finder.made_packages:
        del module.__path__
    _finder.made_packages.clear()
