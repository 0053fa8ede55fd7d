"""A pretend site-packages: real distribution metadata and modules in a temporary folder, and nothing else installed."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from corenn.plugin import PluginRegistry


class Site:
    """Folders that hold the only distributions a registry sees; each test's modules are forgotten afterwards."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.monkeypatch = root, monkeypatch
        self.paths: list[Path] = []
        self.modules: set[str] = set()
        self.scans = 0
        self._every_distribution = importlib.metadata.distributions
        monkeypatch.setattr(importlib.metadata, "distributions", self._distributions)
        monkeypatch.setattr(importlib.metadata, "entry_points", self._entry_points)
        for variable in ("CORENN_PLUGINS", "CORENN_STRICT_PLUGINS"):
            monkeypatch.delenv(variable, raising=False)

    def _entry_points(self, *, group: str) -> importlib.metadata.EntryPoints:
        self.scans += 1
        by_name = {distribution.name: distribution for distribution in self._distributions()}
        points = (point for distribution in by_name.values() for point in distribution.entry_points)
        return importlib.metadata.EntryPoints(points).select(group=group)

    def _distributions(self) -> Iterable[importlib.metadata.Distribution]:
        return self._every_distribution(path=[str(path) for path in self.paths])

    def path(self, name: str = "site") -> Path:
        folder = self.root / name
        if folder not in self.paths:
            folder.mkdir()
            self.paths.append(folder)
            self.monkeypatch.syspath_prepend(str(folder))
        return folder

    def distribution(self, name: str, entry_points: Mapping[str, str], *, folder: str = "site") -> None:
        """Write the metadata of a distribution with these entry points."""
        info = self.path(folder) / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = "".join(f"{key} = {value}\n" for key, value in entry_points.items())
        (info / "entry_points.txt").write_text(f"[corenn]\n{lines}")

    def module(self, name: str, source: str) -> None:
        """Write a module that plugins may be in; it is importable under ``name``."""
        file = self.path().joinpath(*name.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_HEADER + textwrap.dedent(source))
        self.modules.add(name.split(".")[0])
        importlib.invalidate_caches()

    def plugin(self, distribution: str, source: str, *, name: str | None = None) -> None:
        """A distribution with one plugin: ``source`` is its module, ``name`` its entry point's name."""
        module = distribution.replace("-", "_") + "_plugin"
        self.module(module, source)
        self.distribution(distribution, {name or distribution: module})

    def builtin(self, source: str = "", name: str = "numpy") -> None:
        """The distribution corenn itself, with one plugin (by default a backend ``numpy``)."""
        self.plugin("corenn", source or self.backends("numpy"), name=name)

    @staticmethod
    def backends(*names: str, arguments: str = "") -> str:
        """Source of a plugin that offers backends of these names."""
        records = ", ".join(f"BackendRecord({name!r}, 'nowhere:Nothing', {arguments})" for name in names)
        return f"@hookimpl\ndef corenn_backends():\n    return [{records}]\n"

    def forget(self) -> None:
        for name in [name for name in sys.modules if name.split(".")[0] in self.modules]:
            del sys.modules[name]


_HEADER = "from corenn.plugin import *\nfrom corenn.plugin import hookimpl\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path, monkeypatch)
    yield made
    made.forget()


@pytest.fixture
def registry(site: Site) -> PluginRegistry:
    """A registry of its own that sees only ``site``."""
    return PluginRegistry()
