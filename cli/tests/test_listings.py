"""What is installed: tables, JSON, and how much is imported for them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

KEYS = {"name", "description", "distribution", "status", "reason", "install"}


@pytest.mark.parametrize(
    ("command", "more", "names"),
    [
        ("tasks", {"default_dataset"}, {"digits"}),
        ("datasets", {"offline", "size", "licence"}, {"digits", "mnist", "fashion_mnist"}),
        ("models", set(), {"cnn", "mlp", "linear"}),
        ("backends", {"auto"}, {"numpy", "cuda"}),
    ],
)
def test_listings_say_the_same_as_tables_and_as_json(here, command, more, names):
    listed = here(command, "--json")
    assert (listed.status, listed.err) == (0, "")
    rows = json.loads(listed.out)
    assert names <= {row["name"] for row in rows}
    table = here(command)
    assert (table.status, table.err) == (0, "")
    for row in rows:
        assert set(row) == KEYS | more
        line = next(line for line in table.out.splitlines() if line.startswith(f"{row['name']} "))
        assert row["description"] in line
        assert (row["status"] == "available") == (row["reason"] == "")
        assert row["reason"] in table.out and row["install"] in table.out


def test_one_backend_is_automatic(here):
    rows = json.loads(here("backends", "--json").out)
    (chosen,) = [row["name"] for row in rows if row["auto"]]
    assert next(row for row in rows if row["name"] == chosen)["status"] == "available"


def test_the_settings_of_a_task_are_listed(here):
    rows = {row["setting"]: row for row in json.loads(here("tasks", "digits", "--json").out)}
    assert {"epochs", "steps", "batch_size", "checkpoint_every", "model", "learning_rate"} <= set(rows)
    assert rows["epochs"]["type"] == "int"
    assert rows["dropout"] == {"setting": "dropout", "type": "float | None", "default": None}
    assert "learning_rate" in here("tasks", "digits").out


def test_info_names_versions_devices_and_plugins(here, monkeypatch):
    monkeypatch.setenv("CORENN_MIRRORS", "http://localhost")
    found = json.loads(here("info", "--json").out)
    assert set(found) == {"python", "platform", "processors", "executable", "packages", "backends", "plugins",
                          "commands", "problems", "environment"}  # fmt: skip
    assert {"corenn", "numpy"} <= set(found["packages"])
    assert found["backends"]["numpy"][0].startswith("NumPy")
    assert {"numpy", "cupy", "datasets", "models", "tasks"} <= set(found["plugins"])
    assert found["environment"]["CORENN_MIRRORS"] == "http://localhost"
    for form in ((), ("--markdown",)):
        text = here("info", *form)
        assert text.status == 0
        assert all(part in text.out for part in ("numpy", "problems", "CORENN_MIRRORS"))
    assert "### backends" in text.out


@pytest.mark.parametrize(("given", "found"), [(None, "1"), ("2", "2")])
def test_blas_has_one_thread_unless_the_user_says_otherwise(process, monkeypatch, given, found):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    if given is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)
    assert json.loads(process("info", "--json").out)["environment"]["OPENBLAS_NUM_THREADS"] == found


def test_info_shows_a_backend_that_breaks_and_a_plugin_that_is_wrong(here):
    from corenn.plugin import BackendRecord, hookimpl, registry

    class Plugin:
        @hookimpl
        def corenn_backends(self):
            return [BackendRecord("broken-test", "corenn_nowhere:Backend", "breaks")]

    registry.register(Plugin(), "broken-test")
    try:
        found = here("info")
    finally:
        registry.unregister("broken-test")
    assert found.status == 0
    assert "broken-test: does not load" in found.out and "corenn_nowhere" in found.out


def test_ops_are_listed_and_described(here):
    names = {row["name"] for row in json.loads(here("ops", "--json").out)}
    assert {"add", "matmul", "softmax"} <= names
    assert json.loads(here("ops", "matmul", "--json").out)["name"] == "matmul"
    assert "matmul(" in here("ops", "matmul").out
    wrong = here("ops", "matmull")
    assert wrong.status == 2 and "did you mean 'matmul'" in wrong.err


@pytest.mark.parametrize("args", [["--help"], ["run", "--help"], []])
def test_help_imports_neither_numpy_nor_corenn(home, args):
    code = "import sys\nfrom corenn_cli.app import run_app\nrun_app(sys.argv[1:])\n" \
           "print('IMPORTED', sorted({'numpy', 'corenn'} & set(sys.modules)))"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
    assert "Usage: corenn" in done.stdout + done.stderr
    assert "IMPORTED []" in done.stdout


def test_help_names_every_option_and_command(here):
    text = here("--help").out
    for command in ("run", "tasks", "datasets", "models", "backends", "info", "ops", "conformance"):
        assert f"\n  {command} " in text
    text = here("run", "--help").out
    for option in ("--backend", "--dataset", "--data-dir", "--epochs", "--steps", "--batch-size", "--seed", "--set",
                   "--out", "--resume", "--quiet", "--json", "CORENN_BACKEND"):  # fmt: skip
        assert option in text


@pytest.mark.parametrize("variable", ["bash_source", "complete_bash"])
def test_shell_completion_works(home, process, monkeypatch, variable):
    kind = {"bash_source": "source_bash", "complete_bash": "complete_bash"}[variable]
    monkeypatch.setenv("_CORENN_COMPLETE", kind)
    monkeypatch.setenv("COMP_WORDS", "corenn ba")
    monkeypatch.setenv("COMP_CWORD", "1")
    found = process()
    assert found.status == 0
    assert ("complete" if kind == "source_bash" else "backends") in found.out


def test_a_closed_pipe_is_no_error(home):
    """Whether the reader leaves before the first write or after the last, which only the end would flush."""
    for what, reader in (("ops --json", "head -c 10"), ("--help", "true")):
        command = f"set -o pipefail; {sys.executable} -m corenn_cli.main {what} | {reader}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert done.stderr == ""
