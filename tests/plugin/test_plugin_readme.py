"""The README's plugin, built from its own code blocks, works as it says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import corenn.plugin
from corenn.plugin import PluginRegistry
from corenn.plugin.records import RECORD_TYPES

if TYPE_CHECKING:
    from .conftest import Site

README = (Path(corenn.plugin.__file__).parent / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_loads(site: Site, registry: PluginRegistry) -> None:
    (name, module), *rest = tomllib.loads(block("toml"))["project"]["entry-points"]["corenn"].items()
    assert not rest
    site.builtin()
    site.module(module.split(".")[0] + ".__init__", "")
    site.module(module, block("python"))
    site.distribution("corenn-mine", {name: module})
    assert registry.problems() == ()
    assert registry.get("backend", "mine").unavailable_reason() == "minelib is not installed"
    assert registry.datasets()["ores"].offline


def test_the_table_of_hooks_is_complete() -> None:
    rows = re.findall(r"^\| `(corenn_\w+)` \| `(\w+)` \|", README, re.MULTILINE)
    assert rows == [(f"corenn_{kind}s", record_type.__name__) for kind, record_type in RECORD_TYPES.items()]
