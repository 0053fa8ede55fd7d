"""The pages of the reference, made from the docstrings of the public modules.

mkdocs calls the hooks at the end of this file; ``python docs/make_reference.py FOLDER`` writes the pages to a folder.
What a page says of one name is made by ``reference_entries.py`` beside this file.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import sys
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
from corenn_cli.app import app

from corenn.plugin import registry

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # mkdocs runs hooks from wherever it likes

from reference_entries import Entries, cell, first_sentence, markdown_of, module_text, prose  # noqa: E402

#: Public modules of the core that are no attribute of ``corenn``.
CORE = (
    "corenn.autodiff", "corenn.errors", "corenn.training.callbacks", "corenn.training.plots",
    "corenn.training.report", "corenn.training.run", "corenn.training.run_loop", "corenn.training.task",
)  # fmt: skip
#: The other sections of the reference: a title, what it is for, and its modules.
SECTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "For backends": (
        "What the author of a backend meets beside `corenn.backend` and `corenn.testing`.",
        ("corenn.compiler.program", "corenn.philox", "corenn_numpy.backend", "corenn_onednn.backend"),
    ),
    "Data sets": (
        "Loaders of the data sets, which `corenn datasets` lists.",
        (
            "corenn_datasets.splits", "corenn_datasets.digits", "corenn_datasets.mnist", "corenn_datasets.cifar10",
            "corenn_datasets.cifar100", "corenn_datasets.cats_vs_dogs", "corenn_datasets.housing",
            "corenn_datasets.text", "corenn_datasets.synthetic", "corenn_datasets.stand_in",
            "corenn_datasets.download",
        ),
    ),
    "Models": (
        "Networks that `corenn models` lists, and weights of other libraries.",
        (
            "corenn_models.classifiers", "corenn_models.plain", "corenn_models.residual", "corenn_models.mobile",
            "corenn_models.autoencoders", "corenn_models.adversarial", "corenn_models.sequences",
            "corenn_models.preprocessing", "corenn_models.weights",
        ),
    ),
    "ONNX": ("Models to and from ONNX files; they need the extra `onnx`.", ("corenn_onnx", "corenn_onnx.backend")),
}  # fmt: skip
#: Names that a module without ``__all__`` shows, where those it defines are not what is meant.
WITHOUT_ALL = {"corenn.training.run": ("Interrupted", "Run"), "corenn.training.task": ("Settings", "Task")}

entries = Entries(CORE, [name for _, names in SECTIONS.values() for name in names], WITHOUT_ALL)


def modules() -> list[str]:
    """The modules with a page of their names."""
    return entries.modules


# ---------------------------------------------------------------- pages of modules


def page(module: str) -> str:
    """The page of one module: what it says of itself, a table of its names, and an entry for each."""
    names = entries.names_of(module)
    parts = [f"# {module}", module_text(module, entries)]
    parts += [entries.table(module, title, found) for title, found in entries.grouped(module) if found]
    parts += [entries.entry(module, name) for name in names]
    return "\n\n".join(parts) + "\n"


# ---------------------------------------------------------------- pages of other kinds


def tasks_page() -> str:
    """The tasks with their settings, as ``corenn tasks NAME`` shows them."""
    own = {n: r for n, r in sorted(registry.tasks().items()) if str(r.factory).startswith("corenn_tasks.")}
    parts = [
        "# corenn_tasks",
        "What `corenn run NAME` runs. `--set SETTING=VALUE` changes a setting; the types are those of the "
        "[`Settings`](corenn.training.task.md#Settings) of each task. To write one of your own: "
        "[Write a task](../how-to/task.md).",
    ]
    for name, record in own.items():
        task = record.load()
        made, hints = task.Settings(), typing.get_type_hints(task.Settings)
        rows = ["| setting | type | default |", "| --- | --- | --- |"]
        for field in dataclasses.fields(made):
            kind = hints[field.name]
            shown = kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
            value = getattr(made, field.name)
            rows.append(f"| `{field.name}` | `{shown.replace('typing.', '')}` | `{value!r}` |")
        picture = f"[Tutorial](../tutorials/{name}.md)"
        if (HERE / "tutorials" / f"{name}.md").is_file():
            title = f"## {name} {{#{name}}}"
            about = markdown_of(made.__doc__ or "")
            parts += [
                title,
                f"{prose(record.description[:1].upper() + record.description[1:])}. {picture}.",
                about,
                "\n".join(rows),
            ]
    return "\n\n".join(parts) + "\n"


def command_page() -> str:
    """Every command with its arguments and options, and the environment variables."""
    parts = ["# Command line", "`corenn COMMAND --help` shows the same. Every listing takes `--json`."]
    for words, command in _commands(typer.main.get_command(app), ("corenn",)):
        title, anchor = " ".join(words), "-".join(words[1:])
        about = re.sub(r"\s*\n(?!\n)\s*", " ", (command.help or "").replace("\n\n", "\0")).replace("\0", "\n\n")
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and "--help" not in p.opts]
        usage = " ".join([title, *("[OPTIONS]" for _ in options[:1]), *(_value(p) for p in arguments)])
        rows = [(_value(p), p.help or "") for p in arguments]
        for p in options:
            names = "`, `".join([*p.opts, *p.secondary_opts]) + ("" if p.is_flag else f" {_value(p)}")
            default = "" if p.is_flag or p.default is None or "Default" in p.help else f" Default: ``{p.default}``."
            rows.append((names, f"{p.help}{default}"))
        table = "\n".join(["| argument, option | meaning |", "| --- | --- |", *(_row(*row) for row in rows)])
        parts += [f"## {title} {{#{anchor}}}", markdown_of(about), f"```text\n{usage}\n```", table if rows else ""]
    text = (HERE.parent / "cli" / "README.md").read_text(encoding="utf-8")
    environment = text[text.index("## Environment") : text.index("## A command of your own")].strip()
    return "\n\n".join(part for part in [*parts, environment] if part) + "\n"


def _commands(command: Any, words: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], Any]]:
    """All commands below one, with the words that call them."""
    inside = getattr(command, "commands", None)
    if inside is None:
        yield words, command
        return
    names = {name: found for name, found in inside.items() if not found.hidden}
    if len(words) == 1:  # those of plugins, which are looked for by name
        names |= {name: of_plugin(record) for name, record in sorted(registry.commands().items())}
    for name, found in names.items():
        yield from _commands(found, (*words, name))


def of_plugin(record: Any) -> Any:
    """The command that a record names: a function, or an application with commands of its own."""
    made = record.load()
    if not isinstance(made, typer.Typer):
        application = typer.Typer(add_completion=False)
        application.command()(made)
        made = application
    return typer.main.get_command(made)


def _value(parameter: Any) -> str:
    """What stands for the value of an argument or option."""
    return str(parameter.metavar or parameter.opts[-1].lstrip("-").replace("-", "_").upper())


def _row(names: str, meaning: str) -> str:
    return f"| `{names}` | {cell(' '.join(meaning.split()))} |"


def tensorflow_page() -> str:
    """An overview of the TensorFlow facade: how it is used, and how much of each namespace is there."""
    coverage = importlib.import_module("corenn_tensorflow.coverage")
    found = coverage.coverage()
    counted = {version: coverage.namespaces(names) for version, names in found.items()}
    rows = [f"| namespace | {' | '.join(f'TensorFlow {version}' for version in counted)} |"]
    rows.append("| --- |" + " ---: |" * len(counted))
    for space in sorted({space for counts in counted.values() for space in counts if "." not in space}):
        cells = []
        for counts in counted.values():
            inside = [c for name, c in counts.items() if name == space or name.startswith(f"{space}.")]
            have, total = sum(c[0] for c in inside), sum(c[1] for c in inside)
            cells.append(f"{have} of {total}" if total else "")
        rows.append(f"| `{'tf' if space == '(top)' else f'tf.{space}'}` | {' | '.join(cells)} |")
    return "\n\n".join([
        "# corenn_tensorflow",
        "The API of TensorFlow 1.15 and 2.x over corenn. `corenn run SCRIPT.py` puts it behind `import tensorflow`; "
        "`import corenn_tensorflow as tf` gives it to a program of your own. "
        "[Run TensorFlow scripts](../how-to/tensorflow-scripts.md) shows both.",
        "Each name has TensorFlow's meaning, so TensorFlow's own documents describe them. A name that is not there "
        "raises an error that says what serves instead. `corenn tf-coverage tf.nn` lists the names below one.",
        "## What is there {#coverage}", "\n".join(rows),
        "## corenn_tensorflow.importing {#importing}",
        *(entries.described("corenn_tensorflow.importing", name) for name in ("install", "uninstall")),
    ]) + "\n"  # fmt: skip


# ---------------------------------------------------------------- all of them


def sections() -> dict[str, list[str]]:
    """The titles of the reference's sections, and the pages of each."""
    core = [m for m in modules() if all(m not in found for _, found in SECTIONS.values())]
    made = {"The core": core, **{title: list(found) for title, (_, found) in SECTIONS.items()}}
    return {**made, "Tasks and TensorFlow": ["corenn_tasks", "corenn_tensorflow"]}


def index_page() -> str:
    """What there is, in one table for each section."""
    parts = [
        "# Reference",
        "Every public name, from the docstrings of the source. Names that begin with an underscore, and modules that "
        "are not listed here, are private: they change without notice.",
        "- [Command line](command-line.md): every command and option, and environment variables\n"
        "- [Tasks](corenn_tasks.md): the settings of each task\n"
        "- [TensorFlow](corenn_tensorflow.md): how much of its API is there",
    ]
    about = {title: text for title, (text, _) in SECTIONS.items()}
    for title, found in sections().items():
        listed = [module for module in found if module in modules()]
        rows = ["| module | |", "| --- | --- |"]
        for module in listed:
            text = first_sentence(importlib.import_module(module).__doc__ or "")
            rows.append(f"| [`{module}`]({module}.md) | {cell(text)} |")
        if listed:
            parts += [f"## {title}", about.get(title, ""), "\n".join(rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


def pages() -> dict[str, str]:
    """All pages of the reference by their paths below ``docs``."""
    made = {"index": index_page(), "command-line": command_page(), "corenn_tasks": tasks_page()}
    made["corenn_tensorflow"] = tensorflow_page()
    made |= {module: page(module) for module in modules()}
    return {f"reference/{name}.md": text for name, text in made.items()}


# ---------------------------------------------------------------- hooks of mkdocs


def on_config(config: Any) -> Any:
    """Add the pages to the navigation, below the entry ``Reference``."""
    section = next(item for item in config.nav if "Reference" in item)
    listed: list[Any] = ["reference/index.md", {"Command line": "reference/command-line.md"}]
    for title, found in sections().items():
        listed.append({title: [{name: f"reference/{name}.md"} for name in found]})
    section["Reference"] = listed
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages themselves."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


if __name__ == "__main__":
    for where, text in pages().items():
        target = Path(sys.argv[1]) / where
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
