"""Names that several plugins want: never decided by the order of the path."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from corenn.errors import PluginError
from corenn.plugin import PluginRegistry

if TYPE_CHECKING:
    from .conftest import Site


def test_two_strangers_of_one_name_cancel_out(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    site.plugin("acme-one", site.backends("fast", "one"))
    site.plugin("acme-two", site.backends("fast", "two"))
    assert list(registry.backends()) == ["numpy", "one", "two"]
    assert {(p.distribution, p.kind) for p in registry.problems()} == {
        ("acme-one", "duplicate"),
        ("acme-two", "duplicate"),
    }
    with pytest.raises(PluginError) as caught:
        registry.get("backend", "fast")
    assert "acme-one" in caught.value.what
    assert "acme-two" in caught.value.what
    assert "CORENN_PLUGINS" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["numpy", "made-up", "alias-of-made-up", "cuda", "digits"])
def test_built_in_names_cannot_be_taken(site: Site, registry: PluginRegistry, name: str) -> None:
    """``numpy`` and ``made-up`` because a built-in has them, ``cuda`` is reserved, ``digits`` is no backend."""
    arguments = "aliases=('alias-of-made-up',)"
    site.builtin(site.backends("numpy") + "def _other(): pass\n")
    site.module("second", site.backends("made-up", arguments=arguments))
    site.distribution("Corenn", {"second": "second"}, folder="elsewhere")  # same distribution, other spelling
    site.plugin("acme", site.backends(name, "other"))
    if name == "digits":
        assert registry.get("backend", name).distribution == "acme"
        return
    assert registry.get("backend", "other").distribution == "acme"
    (problem,) = registry.problems()
    assert (problem.distribution, problem.kind) == ("acme", "duplicate")
    if name == "cuda":
        with pytest.raises(PluginError, match="reserved"):
            registry.get("backend", name)
    else:
        assert registry.get("backend", name).distribution.lower() == "corenn"


def test_a_reserved_name_stays_free_when_the_built_in_is_broken(site: Site, registry: PluginRegistry) -> None:
    site.builtin("raise RuntimeError('broken')")
    site.plugin("acme", site.backends("numpy"))
    assert registry.backends() == {}
    with pytest.raises(PluginError) as caught:
        registry.get("backend", "numpy")
    assert "reserved" in str(caught.value)
    assert "RuntimeError: broken" in str(caught.value)


def test_one_plugin_that_repeats_itself(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    site.plugin("acme", site.backends("fast", "fast"))
    assert list(registry.backends()) == ["numpy"]
    assert all("offered twice by plugin 'acme'" in problem.what for problem in registry.problems())


def test_the_same_name_in_two_kinds_is_no_clash(site: Site, registry: PluginRegistry) -> None:
    site.builtin(
        """
        @hookimpl
        def corenn_tasks(): return [TaskRecord("x", "a:b")]
        @hookimpl
        def corenn_datasets(): return [DatasetRecord("x", "a:b")]
        """
    )
    assert registry.problems() == ()
    assert registry.get("task", "x") != registry.get("dataset", "x")


def test_an_alias_finds_its_record_and_is_not_listed(site: Site, registry: PluginRegistry) -> None:
    site.builtin(site.backends("cupy", arguments="aliases=('cuda', 'gpu')"))
    assert list(registry.backends()) == ["cupy"]
    assert registry.get("backend", "gpu") is registry.get("backend", "cuda") is registry.backends()["cupy"]


def test_an_alias_yields(site: Site, registry: PluginRegistry) -> None:
    site.builtin(site.backends("numpy", arguments="aliases=('np',)"))
    site.plugin("one", site.backends("one", arguments="aliases=('np', 'two', 'shared', 'own')"))
    site.plugin("two", site.backends("two", arguments="aliases=('shared',)"))
    assert registry.get("backend", "np").name == "numpy"
    assert registry.get("backend", "two").distribution == "two"
    assert registry.get("backend", "own").name == "one"
    assert registry.backends()["one"].aliases == ("own",)
    assert registry.backends()["two"].aliases == ()
    with pytest.raises(PluginError, match="offered by"):
        registry.get("backend", "shared")
    assert len(registry.problems()) == 4


def test_a_refused_record_does_not_hold_its_alias(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    site.plugin("refused", site.backends("numpy", arguments="aliases=('quick',)"))
    site.plugin("two", site.backends("two", arguments="aliases=('quick',)"))
    assert registry.get("backend", "quick").name == "two"
    assert [problem.distribution for problem in registry.problems()] == ["refused"]


def test_a_name_in_dispute_is_no_ones_alias(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    for number in ("one", "two"):
        site.plugin(number, site.backends("fast"))
    site.plugin("three", site.backends("three", arguments="aliases=('fast',)"))
    assert list(registry.backends()) == ["numpy", "three"]
    with pytest.raises(PluginError):
        registry.get("backend", "fast")


@pytest.mark.parametrize("order", list(permutations(["corenn", "acme", "beta"])))
def test_entry_points_of_one_name(site: Site, registry: PluginRegistry, order: tuple[str, ...]) -> None:
    """Whichever folder comes first on the path, the built-in plugin keeps its name and strangers cancel out."""
    for distribution in order:
        site.path(distribution)
    for distribution in order:
        site.module(f"{distribution}_part", site.backends(f"from-{distribution}"))
        site.distribution(distribution, {"numpy": f"{distribution}_part"}, folder=distribution)
    for distribution in ("acme", "beta"):
        site.distribution(f"{distribution}-extra", {"extra": f"{distribution}_part"}, folder=distribution)
    assert list(registry.backends()) == ["from-corenn"]
    assert [(p.plugin, p.distribution, p.kind) for p in registry.problems()] == [
        ("extra", "acme-extra", "duplicate"),
        ("extra", "beta-extra", "duplicate"),
        ("numpy", "acme", "duplicate"),
        ("numpy", "beta", "duplicate"),
    ]
    text = str(registry.problems()[0])
    assert "beta-extra" in text
    assert "CORENN_PLUGINS=acme-extra" in text
    assert "built in" in str(registry.problems()[2])


def test_naming_a_distribution_settles_a_clash(
    site: Site, registry: PluginRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.builtin()
    for distribution in ("acme-one", "acme-two"):
        site.plugin(distribution, site.backends("fast"), name="fast")
    assert len(registry.problems()) == 2
    monkeypatch.setenv("CORENN_PLUGINS", "acme_two")
    registry.refresh()
    assert registry.problems() == ()
    assert registry.get("backend", "fast").distribution == "acme-two"
