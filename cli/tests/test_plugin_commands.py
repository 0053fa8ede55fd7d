"""Commands that plugins add."""

from __future__ import annotations

import sys
from typing import Annotated

import pytest
import typer

from corenn.errors import DataError
from corenn.plugin import CommandRecord, hookimpl, registry


def greet(name: str, loud: Annotated[bool, typer.Option("--loud")] = False) -> None:
    """A command that is a function."""
    print(f"hello {name}".upper() if loud else f"hello {name}")


def fail() -> None:
    """A command that fails."""
    raise DataError("leaves.csv", "is truncated", hint="download it again")


group = typer.Typer()
group.command("one")(lambda: print("one"))
group.command("two")(lambda: print("two"))


class Plugin:
    @hookimpl
    def corenn_commands(self):
        found = {"greet-test": "greet", "fail-test": "fail", "group-test": "group", "broken-test": "gone"}
        return [CommandRecord(name, f"{__name__}:{attribute}", f"runs {name}") for name, attribute in found.items()]


@pytest.fixture(autouse=True)
def plugin():
    assert __name__ in sys.modules
    registry.register(Plugin(), "commands-test")
    from corenn_cli.app import app

    commands, groups = list(app.registered_commands), list(app.registered_groups)
    yield
    app.registered_commands[:], app.registered_groups[:] = commands, groups
    registry.unregister("commands-test")


@pytest.mark.parametrize(
    ("args", "status", "out", "err"),
    [
        ("greet-test you", 0, "hello you\n", ""),
        ("greet-test you --loud", 0, "HELLO YOU\n", ""),
        ("greet-test", 2, "", "Missing argument"),
        ("group-test two", 0, "two\n", ""),
        ("group-test three", 2, "", "No such command 'three'"),
        ("fail-test", 1, "", "corenn: leaves.csv: is truncated\n  hint: download it again\n"),
        ("broken-test", 2, "", "has no attribute 'gone'"),
        ("great-test", 2, "", "did you mean 'greet-test'"),
    ],
)
def test_a_plugin_adds_commands(here, args, status, out, err):
    found = here(*args.split())
    assert (found.status, found.out) == (status, out)
    assert err.lower() in found.err.lower() and "Traceback" not in found.err


def test_info_lists_them(here):
    assert "greet-test: runs greet-test" in here("info").out
