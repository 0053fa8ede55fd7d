"""The pages of the reference, made from the docstrings of the public modules.

mkdocs calls the hooks at the end of this file; ``python docs/make_reference.py FOLDER`` writes the pages to a folder.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

from corenn.ops.table import TABLE

#: Public modules that are no attribute of ``corenn``.
FURTHER = (
    "corenn.autodiff", "corenn.errors", "corenn.training.callbacks", "corenn.training.run", "corenn.training.task",
    "corenn_datasets.splits", "corenn_models.weights",
)  # fmt: skip
#: Names that a module without ``__all__`` shows.
WITHOUT_ALL = {"corenn.training.run": ("Interrupted", "Run"), "corenn.training.task": ("Settings", "Task")}
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_SIGNATURE_WIDTH = 88
#: Code between double backticks, and emphasis between single asterisks; both may go on in the next line.
_SPANS = re.compile(r"(``.+?``|(?<![\w*\[])\*\w[^*`\[\]]*[\w.]\*(?![\w*]))", re.DOTALL)
#: Names with a role of Sphinx before them.
_ROLES = re.compile(r":\w+:`~?([^`]+)`")
_SIGNS = re.compile(r"([*_\[\]<>])")


def modules() -> list[str]:
    """The modules with a page, in the order of the site: ``corenn``, the modules among its names, and so on below."""
    found = ["corenn", *FURTHER]
    for name in found:  # grows on the way
        module = importlib.import_module(name)
        inside = [n for n in getattr(module, "__all__", ()) if isinstance(getattr(module, n), types.ModuleType)]
        found += [f"{name}.{n}" for n in inside if f"{name}.{n}" not in found]
    return ["corenn", *sorted(found[1:])]


def names_of(name: str) -> list[str]:
    """The public names of a module that are no modules themselves."""
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None) or WITHOUT_ALL.get(name) or own_names(module)
    return [n for n in listed if not n.startswith("__") and not isinstance(getattr(module, n), types.ModuleType)]


def own_names(module: types.ModuleType) -> list[str]:
    """The classes and functions that a module without ``__all__`` defines."""
    return [
        n for n, v in vars(module).items() if not n.startswith("_") and getattr(v, "__module__", "") == module.__name__
    ]


# ---------------------------------------------------------------- docstrings


def as_markdown(docstring: str) -> str:
    """A docstring as Markdown: literal blocks become code blocks, double backticks single ones, the rest stays text."""
    out: list[str] = []
    running: list[str] = []
    lines = inspect.cleandoc(docstring).splitlines()
    while lines:
        line = lines.pop(0)
        if line.rstrip().endswith("::"):
            running.append(line.rstrip()[:-1] if line.strip() != "::" else "")
            block = []
            while lines and (not lines[0].strip() or lines[0].startswith(" ")):
                block.append(lines.pop(0))
            code = textwrap.dedent("\n".join(block)).strip("\n")
            out += [prose("\n".join(running)), f"```text\n{code}\n```"]
            running = []
            continue
        if line.startswith("- ") and running and running[-1] and not running[-1].startswith(("- ", "  ")):
            running.append("")  # Markdown wants an empty line before a list
        running.append(line)
    out.append(prose("\n".join(running)))
    return "\n\n".join(part.strip() for part in out if part.strip())


def prose(text: str) -> str:
    """Running text: code and emphasis stay what they are, other signs of Markdown show as they are written."""
    shown = []
    for part in _SPANS.split(_ROLES.sub(r"``\1``", text)):
        if part.startswith("``") and part.endswith("``") and len(part) > 4:
            shown.append(f"`{part[2:-2]}`")
        elif _SPANS.fullmatch(part):
            shown.append(part)
        else:
            shown.append(_SIGNS.sub(r"\\\1", part))
    return "".join(shown)


def docstring_of(thing: Any) -> str:
    """The docstring of a class (its own, not one inherited) or of anything else."""
    text = thing.__dict__.get("__doc__") if inspect.isclass(thing) else thing.__doc__
    return as_markdown(text) if text else ""


def signature_of(name: str, thing: Any) -> str:
    """How it is called, one argument a line where one line is too long."""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return name
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values() if p.name != "self"]
    plain = [p for p in plain if not (p.kind is p.VAR_KEYWORD and p.name == "unknown")]
    text = _ADDRESS.sub("", str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty)))
    whole = f"{name}{text}"
    if len(whole) <= _SIGNATURE_WIDTH:
        return whole
    return "\n".join(textwrap.wrap(whole, _SIGNATURE_WIDTH, subsequent_indent="    ", break_long_words=False))


# ---------------------------------------------------------------- entries


def entry(module: str, name: str) -> str:
    """One public name: a heading, how it is called, what it says, and the methods of a class."""
    thing = getattr(importlib.import_module(module), name)
    parts = [f"## {name} {{#{name}}}"]
    if inspect.isclass(thing):
        parts += [fenced(f"class {signature_of(name, thing)}"), bases(thing), docstring_of(thing), *members(thing)]
    elif callable(thing) and getattr(thing, "__doc__", None):
        parts += [fenced(signature_of(name, thing)), docstring_of(thing), about_op(thing)]
    else:
        parts.append(fenced(f"{name} = {_ADDRESS.sub('', repr(thing))}"))
    return "\n\n".join(part for part in parts if part)


def fenced(code: str) -> str:
    """Code that is shown and not run."""
    return f"```text\n{code}\n```"


def bases(thing: type) -> str:
    """The nearest public class that it derives from."""
    public = {getattr(importlib.import_module(m), n) for m in modules() for n in _class_names(m)}
    found = next((base.__name__ for base in thing.__mro__[1:] if base in public), None)
    return f"Derived from `{found}`." if found else ""


@functools.cache
def _class_names(module: str) -> list[str]:
    return [n for n in names_of(module) if inspect.isclass(getattr(importlib.import_module(module), n))]


def about_op(thing: Any) -> str:
    """A line about an op of the table: whether it is made of other ops, where its gradient comes from."""
    op = getattr(thing, "op", None)
    if op is None or op.name not in TABLE:
        return ""
    facts = ["made of other ops"] if op.decomposition is not None else []
    facts += ["with gradient rules of its own"] if op.differentiable else []
    facts += [] if facts else ["without a gradient"]
    return f"Op `{op.name}`, {' and '.join(facts)}."


def members(thing: type) -> list[str]:
    """The methods and properties that a class adds to those of its bases, each with its docstring."""
    found = []
    for name, value in vars(thing).items():
        if any(hasattr(base, name) for base in thing.__bases__):
            continue
        inner = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if name.startswith("_") or not (inspect.isfunction(inner) or isinstance(inner, property)) or not inner.__doc__:
            continue
        title = name if isinstance(inner, property) else signature_of(name, getattr(thing, name))
        found.append(f"`#!python {' '.join(title.split())}`\n\n{as_markdown(inner.__doc__)}")
    return ["**Methods and properties**", *found] if found else []


def page(module: str) -> str:
    """The page of one module."""
    names = names_of(module)
    text = as_markdown(importlib.import_module(module).__doc__ or "")
    listed = " · ".join(f"[{n}](#{n})" for n in names)
    return "\n\n".join([f"# {module}", text, listed, *(entry(module, name) for name in names)]) + "\n"


def pages() -> dict[str, str]:
    """All pages of the reference by their paths below ``docs``."""
    made = {f"reference/{module}.md": page(module) for module in modules()}
    rows = []
    for module in modules():
        first = prose(" ".join((importlib.import_module(module).__doc__ or "").strip().split("\n\n")[0].split()))
        rows.append(f"| [`{module}`]({module}.md) | {len(names_of(module))} | {first.removesuffix('::')} |")
    head = ["# Reference\n\nEvery public name, from the docstrings of the source.\n"]
    head += ["| module | names | |", "| --- | --- | --- |"]
    return {"reference/index.md": "\n".join([*head, *rows]) + "\n", **made}


# ---------------------------------------------------------------- hooks of mkdocs


def on_config(config: Any) -> Any:
    """Add the pages to the navigation, below the entry ``Reference``."""
    section = next(item for item in config.nav if "Reference" in item)
    section["Reference"] = ["reference/index.md", *({module: f"reference/{module}.md"} for module in modules())]
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
