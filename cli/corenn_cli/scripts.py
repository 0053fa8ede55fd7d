"""``corenn run SCRIPT.py``: what is a script, and which options go with one."""

from __future__ import annotations

import os
import sys
from typing import Any

from corenn.errors import UsageError
from corenn.plugin import registry

_SUFFIXES = (".py", ".ipynb")


class ScriptExit(SystemExit):
    """A script has ended: its status 2 is not that of a wrong command line."""


def is_script(name: str) -> bool:
    """Whether ``corenn run NAME`` means a file: by its suffix, or because it is one and no task is called so."""
    return name.endswith(_SUFFIXES) or (os.path.isfile(name) and name not in registry.tasks())


def run_program(
    path: str,
    arguments: list[str],
    backend: str | None,
    tf: str | None,
    over_tensorflow: bool,
    seed: int | None,
    only_tasks: dict[str, Any],
) -> int:
    """Run a script with the TensorFlow API of corenn; its exit status.

    Raises UsageError for an option that only tasks have.
    """
    given = [option for option, value in only_tasks.items() if value is not None and value is not False and value != []]
    if given:
        raise UsageError(
            "corenn run",
            f"{given[0]} is an option of tasks, and {path} is a script",
            hint=f"options of the script itself come after --, as in: corenn run {path} -- {given[0]} ...",
        )
    if tf not in (None, "auto", "1", "2"):
        raise UsageError("--tf", f"{tf!r} is not a generation of TensorFlow", hint="auto, 1 or 2")
    from corenn_tensorflow.running import run_script

    if sys.excepthook.__module__.startswith("typer"):  # Typer's hook is for commands; the script has Python's own
        sys.excepthook = sys.__excepthook__
    return run_script(path, arguments, backend=backend, generation=tf or "auto", over_real=over_tensorflow, seed=seed)


def refuse_script_options(arguments: list[str] | None, options: dict[str, Any]) -> None:
    """UsageError for arguments or options that only scripts have."""
    if arguments:
        raise UsageError(
            "corenn run", f"unexpected extra argument {arguments[0]!r}", hint="only scripts take arguments"
        )
    given = [option for option, value in options.items() if value]
    if given:
        raise UsageError(
            "corenn run", f"{given[0]} is an option of scripts", hint=f"corenn run SCRIPT.py {given[0]} ..."
        )


def after_the_script(arguments: list[str]) -> str:
    """A line to print when a command line that names a script was wrong; else nothing."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    script = next((a for a in before if a.endswith(_SUFFIXES)), None)
    if script is None:
        return ""
    return f"Options of the script itself come after --, as in: corenn run {script} -- --steps 10\n"
