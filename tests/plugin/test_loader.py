"""One bad plugin beside a good one: what is reported, and that the good one and the built-in one work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from corenn.plugin import PluginRegistry

if TYPE_CHECKING:
    from .conftest import Site

GOOD = "BackendRecord('fine', 'a:b')"

REFUSED = {
    "missing module": ("import module_that_is_missing", "import", "No module named 'module_that_is_missing'"),
    "syntax": ("def (", "import", "SyntaxError"),
    "exit": ("raise SystemExit(3)", "import", "SystemExit: 3"),
    "any error": ("1 / 0", "import", "ZeroDivisionError"),
    "extra": (
        "from corenn.errors import MissingExtraError\nraise MissingExtraError('bad', 'minelib', 'mine')",
        "import",
        "pip install 'corenn[mine]'",
    ),
    "misspelt": ("@hookimpl\ndef corenn_backend(): return []", "hook", "'corenn_backend' is not a hook"),
    "misspelt, other prefix": ("@hookimpl\ndef coren_backends(): return []", "hook", "did you mean 'corenn_backends'"),
    "misspelt specname": ("@hookimpl(specname='corenn_taks')\ndef f(): return []", "hook", "'corenn_tasks'"),
    "misspelt, unmarked": ("def corenn_backend(): return []", "hook", "did you mean 'corenn_backends'"),
    "unmarked": ("def corenn_backends(): return []", "hook", "@corenn.plugin.hookimpl"),
    "unmarked beside a good one": (
        f"@hookimpl\ndef corenn_backends(): return [{GOOD}]\ndef corenn_tasks(): return []",
        "hook",
        "'corenn_tasks' is not marked",
    ),
    "another project's marker": (
        "import pluggy\n@pluggy.HookimplMarker('coren')\ndef corenn_backends(): return []",
        "hook",
        "is not marked",
    ),
    "no hook": ("x = 1", "hook", "implements no hook"),
    "arguments": ("@hookimpl\ndef corenn_backends(config): return []", "hook", "hooks take no arguments"),
    "raises": ("@hookimpl\ndef corenn_backends(): raise RuntimeError('boom')", "hook", "RuntimeError: boom"),
    "exits": ("@hookimpl\ndef corenn_backends(): raise SystemExit", "hook", "SystemExit"),
    "raises in a generator": (
        f"@hookimpl\ndef corenn_backends():\n    yield {GOOD}\n    1 / 0",
        "hook",
        "ZeroDivision",
    ),
    "raises beside a good one": (
        f"@hookimpl\ndef corenn_backends(): return [{GOOD}]\n@hookimpl\ndef corenn_tasks(): raise KeyError('k')",
        "hook",
        "corenn_tasks failed: KeyError: 'k'",
    ),
    "forgot to return": ("@hookimpl\ndef corenn_backends(): []", "hook", "corenn_backends returned None"),
    "one record": (f"@hookimpl\ndef corenn_backends(): return {GOOD}", "hook", "return a list of BackendRecord"),
    "no list": ("@hookimpl\ndef corenn_backends(): return 3", "hook", "TypeError"),
    "bad record": (
        "@hookimpl\ndef corenn_backends(): return [BackendRecord('x', 'y')]",
        "hook",
        "'y' is not of the form",
    ),
    "asks the registry": (
        "@hookimpl\ndef corenn_backends():\n    return probe.backends().values()",
        "hook",
        "must not use the registry",
    ),
}

LEFT_OUT = {
    "wrong record": ("[TaskRecord('t', 'a:b')]", "record", "TaskRecord 't' where a BackendRecord belongs"),
    "no record": ("['numpy']", "record", "returned 'numpy' where"),
    "base record": ("[Record('r', 'a:b')]", "record", "Record 'r' where"),
    "long": ("['x' * 500]", "record", "an object of type str"),
    "future": ("[BackendRecord('new', 'a:b', contract=99)]", "contract", "pip install --upgrade corenn)"),
    "past": ("[BackendRecord('old', 'a:b', contract=0)]", "contract", "pip install --upgrade bad)"),
}


@pytest.fixture
def with_good_ones(site: Site, monkeypatch: pytest.MonkeyPatch, registry: PluginRegistry) -> Site:
    site.builtin()
    site.plugin("good", site.backends("good"))
    monkeypatch.setattr("builtins.probe", registry, raising=False)  # for the plugin that asks
    return site


@pytest.mark.parametrize(("source", "kind", "said"), REFUSED.values(), ids=REFUSED)
def test_a_bad_plugin_is_refused_whole(
    with_good_ones: Site, registry: PluginRegistry, source: str, kind: str, said: str
) -> None:
    with_good_ones.plugin("bad", source)
    assert list(registry.backends()) == ["good", "numpy"]
    (problem,) = registry.problems()
    assert (problem.plugin, problem.distribution, problem.kind) == ("bad", "bad", kind)
    assert said in str(problem)
    assert "\n" not in str(problem)
    statuses = {info.name: info.status for info in registry.plugins()}
    assert statuses == {"numpy": "loaded", "good": "loaded", "bad": "failed"}


@pytest.mark.parametrize(("bad", "kind", "said"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_bad_record_is_left_out(
    with_good_ones: Site, registry: PluginRegistry, bad: str, kind: str, said: str
) -> None:
    with_good_ones.plugin("bad", f"@hookimpl\ndef corenn_backends(): return [{GOOD}, *{bad}]")
    assert list(registry.backends()) == ["fine", "good", "numpy"]
    (problem,) = registry.problems()
    assert (problem.plugin, problem.distribution, problem.kind) == ("bad", "bad", kind)
    assert said in str(problem)


def test_the_detail_is_a_traceback_that_starts_in_the_plugin(with_good_ones: Site, registry: PluginRegistry) -> None:
    with_good_ones.plugin("bad", "def helper():\n    raise ValueError('deep')\nhelper()")
    (problem,) = registry.problems()
    frames = [line for line in problem.detail.splitlines() if line.startswith("  File")]
    assert len(frames) == 2
    assert all("bad_plugin.py" in frame for frame in frames)
    assert problem.detail.endswith("ValueError: deep")


def test_a_missing_attribute_of_an_entry_point(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    site.module("thing", "x = None")
    site.distribution("bad", {"absent": "thing:nothing", "none": "thing:x"})
    assert [problem.kind for problem in registry.problems()] == ["import", "hook"]


@pytest.mark.parametrize(
    "source",
    [
        "@hookimpl\ndef corenn_backends(): return (r for r in [BackendRecord('fine', 'a:b')])",
        "@hookimpl\ndef corenn_backends():\n    yield BackendRecord('fine', 'a:b')",
        "@hookimpl(specname='corenn_backends')\ndef offer(): return {BackendRecord('fine', 'a:b')}",
        "@hookimpl\ndef corenn_backends(): return [BackendRecord('fine', 'a:b')]\n"
        "@hookimpl(optionalhook=True)\ndef corenn_later(): raise RuntimeError('never called')",
        "class Mine(BackendRecord): pass\n@hookimpl\ndef corenn_backends(): return [Mine('fine', 'a:b')]",
        "from textwrap import dedent as corenn_dedent\n"
        "@hookimpl\ndef corenn_backends(): return [BackendRecord('fine', 'a:b')]",
    ],
    ids=["iterator", "generator", "specname", "optional hook", "subclass", "imported helper"],
)
def test_unusual_but_right(site: Site, registry: PluginRegistry, source: str) -> None:
    site.builtin()
    site.plugin("mine", source)
    assert list(registry.backends()) == ["fine", "numpy"]
    assert registry.problems() == ()


def test_an_object_as_plugin(site: Site, registry: PluginRegistry) -> None:
    site.builtin()
    site.module(
        "objects",
        """
        class Plugin:
            @hookimpl
            def corenn_datasets(self):
                return [DatasetRecord("ores", "a:b")]

        plugin = Plugin()
        """,
    )
    site.distribution("mine", {"mine": "objects:plugin"})
    assert registry.datasets()["ores"].distribution == "mine"
    assert registry.problems() == ()


def test_all_kinds(site: Site, registry: PluginRegistry) -> None:
    hooks = [
        ("corenn_backends", "BackendRecord"),
        ("corenn_datasets", "DatasetRecord"),
        ("corenn_models", "ModelRecord"),
        ("corenn_tasks", "TaskRecord"),
        ("corenn_callbacks", "CallbackRecord"),
        ("corenn_summary_writers", "SummaryWriterRecord"),
        ("corenn_commands", "CommandRecord"),
    ]
    site.builtin(
        "\n".join(f"@hookimpl\ndef {hook}(): return [{record}(n, 'a:b') for n in 'zay']" for hook, record in hooks)
    )
    for hook, record in hooks:
        listed = getattr(registry, hook.removeprefix("corenn_"))()
        assert list(listed) == ["a", "y", "z"]
        assert {type(r).__name__ for r in listed.values()} == {record}
        kind = hook.removeprefix("corenn_").removesuffix("s")
        assert registry.get(kind, "a") is listed["a"]
    assert registry.problems() == ()
