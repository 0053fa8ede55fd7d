from __future__ import annotations

import importlib.metadata
import threading
import types
from typing import TYPE_CHECKING

import pytest

from corenn.errors import PluginError
from corenn.plugin import BackendRecord, DatasetRecord, PluginRegistry, hookimpl

if TYPE_CHECKING:
    from .conftest import Site


class Offering:
    """A plugin made in this process."""

    def __init__(self, *names: str) -> None:
        self.names = names

    @hookimpl
    def corenn_datasets(self) -> list[DatasetRecord]:
        return [DatasetRecord(name, "pathlib:Path") for name in self.names]


# ---- looking up


def test_a_look_up_that_fails_helps(site: Site, registry: PluginRegistry) -> None:
    site.builtin(site.backends("numpy", "cupy"))
    site.plugin("broken", "import minelib_that_is_missing")
    with pytest.raises(PluginError) as caught:
        registry.get("backend", "numppy")
    error = caught.value
    assert error.what == "no backend is called 'numppy'"
    assert error.operands["installed"] == "cupy, numpy"
    assert "minelib_that_is_missing" in error.operands["plugin 'broken' of broken"]
    assert "pip install" in error.operands["plugin 'broken' of broken"]
    assert error.hint is not None
    assert error.hint.startswith("did you mean 'numpy'")


def test_a_look_up_far_from_everything(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    with pytest.raises(PluginError, match="corenn info"):
        registry.get("backend", "zzzzzz")
    with pytest.raises(PluginError) as caught:
        registry.get("task", "digits")
    assert caught.value.operands == {"installed": "none"}


def test_an_alias_is_among_the_nearest_names(site: Site, registry: PluginRegistry) -> None:
    site.builtin(site.backends("cupy", arguments="aliases=('cuda',)"))
    with pytest.raises(PluginError, match="did you mean 'cuda'"):
        registry.get("backend", "cudaa")


def test_an_unknown_kind(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    with pytest.raises(PluginError, match="did you mean 'backend'"):
        registry.get("backends", "numpy")


def test_many_problems_are_counted_not_listed(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    site.plugin("many", f"@hookimpl\ndef corenn_backends(): return {list(range(20))}")
    with pytest.raises(PluginError) as caught:
        registry.get("backend", "numppy")
    assert len(registry.problems()) == 20
    assert caught.value.operands["..."].startswith("12 more")
    assert len(caught.value.operands) == 10


def test_changing_a_listing_changes_nothing(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    registry.backends().clear()
    assert list(registry.backends()) == ["numpy"]


# ---- not installed


def test_a_source_tree_that_is_not_installed(site: Site, registry: PluginRegistry) -> None:
    site.plugin("acme", site.backends("fast"))
    assert list(registry.backends()) == ["fast"]
    (problem,) = registry.problems()
    assert (problem.kind, problem.distribution) == ("installation", "corenn")
    with pytest.raises(PluginError) as caught:
        registry.get("backend", "numpy")
    assert "corenn is not installed" in str(caught.value)
    assert "pip install" in (caught.value.hint or "")


def test_metadata_that_cannot_be_read(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    site.plugin("good", site.backends("good"))
    site.distribution("damaged", {})
    next(site.path().glob("damaged*/entry_points.txt")).write_bytes(b"[corenn]\n\xff = x\n")
    assert list(registry.backends()) == ["good", "numpy"]
    (problem,) = registry.problems()
    assert (problem.kind, problem.distribution) == ("entry point", "damaged")
    assert str(problem).startswith("damaged: its entry points could not be read: UnicodeDecodeError")


def test_an_entry_point_without_a_distribution(registry: PluginRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint("orphan", "no_such_module_here", "corenn")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: [point])
    assert "plugin 'orphan' of an unknown distribution" in str(registry.problems()[1])


# ---- the environment


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("", ["a1", "b1", "b2", "numpy"]),
        ("off", ["numpy"]),
        (" OFF ", ["numpy"]),
        ("plug-a", ["a1", "numpy"]),
        ("plug-a, plug-b", ["a1", "b1", "numpy"]),
        ("dist.b", ["b1", "b2", "numpy"]),
        ("numpy", ["numpy"]),
    ],
)
def test_corenn_plugins_limits_the_others(
    site: Site, registry: PluginRegistry, monkeypatch: pytest.MonkeyPatch, setting: str, expected: list[str]
) -> None:
    site.builtin()
    site.plugin("dist-a", site.backends("a1"), name="plug-a")
    site.module("more", site.backends("b2"))
    site.module("dist_b_plugin", site.backends("b1"))
    site.distribution("dist-b", {"plug-b": "dist_b_plugin", "plug-more": "more"})
    monkeypatch.setenv("CORENN_PLUGINS", setting)
    assert list(registry.backends()) == expected
    assert registry.problems() == ()
    off = [info.name for info in registry.plugins() if info.status == "off"]
    assert len(off) == 4 - len(expected)
    if off:
        with pytest.raises(PluginError) as caught:
            registry.get("backend", "zz")
        assert all(name in caught.value.operands["CORENN_PLUGINS"] for name in off)


def test_a_plugin_that_is_off_is_not_imported(
    site: Site, registry: PluginRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.builtin()
    site.plugin("acme", "raise RuntimeError('imported')")
    monkeypatch.setenv("CORENN_PLUGINS", "off")
    assert registry.problems() == ()


def test_corenn_plugins_names_a_plugin_that_is_not_there(
    site: Site, registry: PluginRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.builtin()
    site.plugin("mining", site.backends("mine"))
    monkeypatch.setenv("CORENN_PLUGINS", "minning")
    (problem,) = registry.problems()
    assert str(problem).startswith("CORENN_PLUGINS: no plugin or distribution 'minning'")
    assert problem.kind == "setting"
    assert "did you mean 'mining'" in problem.hint


@pytest.mark.parametrize("setting", ["1", "true", "ON"])
def test_strict_raises_every_time(
    site: Site, registry: PluginRegistry, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    site.builtin()
    site.plugin("broken", "1 / 0")
    monkeypatch.setenv("CORENN_STRICT_PLUGINS", setting)
    for ask in (registry.backends, registry.problems, registry.plugins, registry.backends):
        with pytest.raises(PluginError, match="ZeroDivisionError") as caught:
            ask()
        assert caught.value.what.startswith("1 plugin problem,")
    monkeypatch.setenv("CORENN_STRICT_PLUGINS", "0")
    assert list(registry.backends()) == ["numpy"]


def test_strict_is_content_when_all_is_well(
    site: Site, registry: PluginRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.builtin()
    monkeypatch.setenv("CORENN_STRICT_PLUGINS", "1")
    assert list(registry.backends()) == ["numpy"]


def test_strict_that_is_neither_on_nor_off(
    site: Site, registry: PluginRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.builtin()
    monkeypatch.setenv("CORENN_STRICT_PLUGINS", "perhaps")
    with pytest.raises(PluginError, match="set it to 1 or 0"):
        registry.backends()


# ---- when it looks


def test_discovery_waits_for_the_first_question_and_is_kept(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    assert site.scans == 0
    for _ in range(3):
        registry.backends()
        registry.problems()
        registry.get("backend", "numpy")
    assert site.scans == 1


def test_refresh_finds_what_was_installed_since(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    assert list(registry.backends()) == ["numpy"]
    site.plugin("acme", site.backends("fast"))
    assert list(registry.backends()) == ["numpy"]
    registry.refresh()
    assert list(registry.backends()) == ["fast", "numpy"]


def test_refresh_tries_a_failed_plugin_again(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    site.plugin("acme", "import minelib_to_come\n" + site.backends("fast"))
    assert len(registry.problems()) == 1
    site.module("minelib_to_come", "")
    registry.refresh()
    assert registry.problems() == ()
    assert "fast" in registry.backends()


def test_threads_share_one_discovery(site: Site, registry: PluginRegistry) -> None:
    site.builtin("import time\ntime.sleep(0.05)\n" + site.backends("numpy"))
    start = threading.Barrier(8)
    seen: list[BackendRecord] = []

    def ask() -> None:
        start.wait()
        seen.append(registry.get("backend", "numpy"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert all(record is seen[0] for record in seen)
    assert site.scans == 1


# ---- plugins of this process


def test_register_and_unregister(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    registry.register(Offering("ores"), "mine")
    assert registry.get("dataset", "ores").distribution == "(this process)"
    assert [info.name for info in registry.plugins()] == ["numpy", "mine"]
    registry.refresh()
    assert "ores" in registry.datasets()
    registry.unregister("mine")
    assert registry.datasets() == {}
    with pytest.raises(PluginError, match="no plugin 'mine'"):
        registry.unregister("mine")


def test_register_a_module(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    module = types.ModuleType("notebook")
    module.corenn_datasets = hookimpl(lambda: [DatasetRecord("ores", "pathlib:Path")])  # type: ignore[attr-defined]
    registry.register(module, "mine")
    assert "ores" in registry.datasets()


def test_registering_again_replaces(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    registry.register(Offering("ores"), "mine")
    registry.register(Offering("ores", "gems"), "mine")
    assert list(registry.datasets()) == ["gems", "ores"]


def test_registering_does_not_scan_again(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    registry.register(Offering("ores"), "mine")
    registry.register(Offering("gems"), "other")
    assert len(registry.datasets()) == 2
    assert site.scans == 1


@pytest.mark.parametrize(
    ("plugin", "name", "message"),
    [
        (Offering("gems", "ores"), "other", "'ores' is offered by"),
        (Offering("digits"), "other", "reserved"),
        (Offering("gems"), "numpy", "installed already"),
        (object(), "other", "implements no hook"),
        (Offering("no name"), "other", "is not a name"),
    ],
    ids=["taken", "reserved", "plugin name", "no plugin", "bad record"],
)
def test_a_bad_plugin_is_not_registered(
    site: Site, registry: PluginRegistry, plugin: object, name: str, message: str
) -> None:
    site.builtin()
    registry.register(Offering("ores"), "mine")
    with pytest.raises(PluginError, match=message):
        registry.register(plugin, name)
    assert list(registry.datasets()) == ["ores"]
    assert registry.problems() == ()
    assert len(registry.plugins()) == 2
