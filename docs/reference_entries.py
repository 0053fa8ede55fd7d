"""What the reference says of one public name: how it is called, its docstring, its members, with links to others."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import functools
import importlib
import inspect
import re
import textwrap
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from corenn.ops.table import TABLE

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_WIDTH = 84
_LONGEST_VALUE = 300
#: Code between double backticks, and emphasis between single asterisks; both may go on in the next line.
_SPANS = re.compile(r"(``.+?``|`[^`\n]+`|(?<![\w*\[])\*\w[^*`\[\]]*[\w.]\*(?![\w*]))", re.DOTALL)
#: Names with a role of Sphinx before them.
_ROLES = re.compile(r":\w+:`~?([^`]+)`")
_SIGNS = re.compile(r"([*_\[\]>])")
_BUILTINS = frozenset(vars(builtins))


# ---------------------------------------------------------------- docstrings


def markdown_of(docstring: str, link: Any = None) -> str:
    """A docstring as Markdown: literal blocks become code blocks, double backticks single ones, the rest stays text.

    ``link(code)`` gives the address that a piece of inline code leads to, or ``None``.
    """
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
            out += [prose("\n".join(running), link), fenced(textwrap.dedent("\n".join(block)).strip("\n"))]
            running = []
            continue
        if line.startswith("- ") and running and running[-1] and not running[-1].startswith(("- ", "  ")):
            running.append("")  # Markdown wants an empty line before a list
        running.append(line)
    out.append(prose("\n".join(running), link))
    return "\n\n".join(part.strip() for part in out if part.strip())


def prose(text: str, link: Any = None) -> str:
    """Running text: code and emphasis stay what they are, other signs of Markdown show as they are written."""
    shown = []
    for part in _SPANS.split(_ROLES.sub(r"``\1``", text)):
        code = part.strip("`") if len(part) > 2 and part[0] == part[-1] == "`" else ""
        if code:
            address = link(code) if link else None
            shown.append(f"[`{code}`]({address})" if address else f"`{code}`")
        elif _SPANS.fullmatch(part):
            shown.append(part)
        else:
            shown.append(_SIGNS.sub(r"\\\1", part).replace("<", "&lt;"))
    return "".join(shown)


def cell(text: str) -> str:
    """Running text for a table, where a bar outside code would end the cell."""
    return re.sub(r"(`[^`]*`)|\|", lambda found: found[1] or "&#124;", prose(text))


def first_sentence(docstring: str) -> str:
    """The first sentence of a docstring, in one line."""
    whole = " ".join(inspect.cleandoc(docstring).split("\n\n")[0].split())
    found = re.match(r".*?\.(?= [A-Z`]|$)(?<!e\.g\.)", whole)
    return (found[0] if found else whole).removesuffix("::").rstrip(":")


def fenced(code: str, language: str = "") -> str:
    """Code that is shown and not run, in colours where it is Python."""
    if not language:
        try:
            compile(code, "docstring", "exec")
            language = "python"
        except SyntaxError:
            language = "text"
    return f"```{language}\n{code}\n```"


def docstring_of(thing: Any) -> str:
    """The docstring of a class (its own, not one inherited or made by ``dataclass``) or of anything else."""
    text = (thing.__dict__.get("__doc__") if inspect.isclass(thing) else getattr(thing, "__doc__", None)) or ""
    return "" if inspect.isclass(thing) and text.startswith(f"{thing.__name__}(") else text


def module_text(module: str, entries: Entries) -> str:
    """What a module says of itself."""
    return markdown_of(importlib.import_module(module).__doc__ or "", functools.partial(entries.address, module, None))


# ---------------------------------------------------------------- signatures


def signature_of(name: str, thing: Any, prefix: str = "") -> str:
    """How it is called, with types and defaults; one argument a line where one line is too long."""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return f"{prefix}{name}"
    chosen = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    chosen = [p for p in chosen if not (p.kind is p.VAR_KEYWORD and p.name == "unknown")]
    arguments, star = [], False
    for index, p in enumerate(chosen):
        if p.kind is p.KEYWORD_ONLY and not star:
            arguments.append("*")
        star = star or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        arguments.append(_argument(p))
        if p.kind is p.POSITIONAL_ONLY and (index + 1 == len(chosen) or chosen[index + 1].kind is not p.kind):
            arguments.append("/")
    result = _type(signature.return_annotation) if not inspect.isclass(thing) else ""
    ending = f" -> {result}" if result else ""
    whole = f"{prefix}{name}({', '.join(arguments)}){ending}"
    if len(whole) <= _WIDTH:
        return whole
    return "\n".join([f"{prefix}{name}(", *(f"    {argument}," for argument in arguments), f"){ending}"])


def _argument(p: inspect.Parameter) -> str:
    stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
    kind = _type(p.annotation)
    text = f"{stars}{p.name}{f': {kind}' if kind else ''}"
    if p.default is p.empty:
        return text
    return f"{text}{' = ' if kind else '='}{_value(p.default)}"


def _type(annotation: Any) -> str:
    """A type as it is written in the source, without the names of modules."""
    if annotation is inspect.Parameter.empty:
        return ""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"\b(?:typing|collections\.abc|np|npt|numpy(?:\.typing)?|corenn(?:\.\w+)*|types)\.(?=\w)", "", text)
    return text.replace("NoneType", "None").strip("'\"")


def _value(value: Any) -> str:
    if inspect.isroutine(value) or inspect.isclass(value):
        return str(value.__name__)
    text = _ADDRESS.sub("", repr(value))
    return "..." if text.startswith("<") else text


# ---------------------------------------------------------------- entries


class Entries:
    """The public names of the modules of the reference."""

    def __init__(self, core: Iterable[str], further: Iterable[str], shown: Mapping[str, Sequence[str]]) -> None:
        self._shown = shown
        found = ["corenn", *core]
        for name in found:  # grows on the way
            module = importlib.import_module(name)
            inside = [n for n in getattr(module, "__all__", ()) if isinstance(getattr(module, n), types.ModuleType)]
            found += [f"{name}.{n}" for n in inside if f"{name}.{n}" not in found]
        #: The modules with a page: ``corenn``, the modules among its names and so on below, and further ones.
        self.modules = ["corenn", *sorted(found[1:]), *further]

    @functools.cache  # noqa: B019  # there is one of these
    def names_of(self, name: str) -> list[str]:
        """The public names of a module that are no modules themselves."""
        module = importlib.import_module(name)
        listed = getattr(module, "__all__", None) or self._shown.get(name) or _own_names(module)
        found = [n for n in listed if not n.startswith("__") and not isinstance(getattr(module, n), types.ModuleType)]
        return sorted(found, key=lambda n: (n.casefold(), n))

    def grouped(self, module: str) -> list[tuple[str, list[str]]]:
        """Titles, and the names of each kind."""
        home, names = importlib.import_module(module), self.names_of(module)
        things = {n: getattr(home, n) for n in names}
        classes = [n for n in names if inspect.isclass(things[n])]
        functions = [n for n in names if n not in classes and _is_function(things[n])]
        rest = [n for n in names if n not in classes and n not in functions]
        return [("Classes", classes), ("Functions", functions), ("Values", rest)]

    def table(self, module: str, title: str, names: list[str]) -> str:
        """Names of one kind, with the first sentence of each."""
        home = importlib.import_module(module)
        if title == "Values":
            return f"**Values**: {', '.join(f'[`{n}`](#{n})' for n in names)}"
        rows = [f"| {title.lower()} | |", "| --- | --- |"]
        for name in names:
            text = cell(first_sentence(docstring_of(getattr(home, name))))
            rows.append(f"| [`{name}`](#{name}) | {text} |")
        return "\n".join(rows)

    def entry(self, module: str, name: str) -> str:
        """One public name: a heading, how it is called, what it says, and the members of a class."""
        return f"## {name} {{#{name}}}\n\n{self.described(module, name)}"

    def described(self, module: str, name: str) -> str:
        """The same without the heading."""
        thing = getattr(importlib.import_module(module), name)
        if inspect.isclass(thing):
            base = next((b for b in thing.__mro__[1:] if b in self._classes), None)
            call = f"class {name}" if base and _same_call(thing, base) else signature_of(name, thing, "class ")
            parts = [fenced(call, "python"), self._derived(module, base) if base else ""]
            parts += [self._text(module, thing), *self._members(module, thing)]
        elif _is_function(thing):
            parts = [fenced(signature_of(name, thing), "python"), self._text(module, thing), about_op(thing)]
        else:
            value = _ADDRESS.sub("", repr(thing))
            parts = [fenced(textwrap.shorten(f"{name} = {value}", _LONGEST_VALUE, placeholder=" ..."), "python")]
        return "\n\n".join(part for part in parts if part)

    def _text(self, module: str, thing: Any) -> str:
        own = () if inspect.isclass(thing) else tuple(_parameters(thing))
        return markdown_of(docstring_of(thing), functools.partial(self.address, module, own))

    def _derived(self, module: str, base: type) -> str:
        """A line about the nearest public class that a class derives from."""
        home, name = self._classes[base]
        return f"Derived from [`{name}`]({'' if home == module else f'{home}.md'}#{name})."

    def _members(self, module: str, thing: type) -> list[str]:
        """The attributes, methods and properties that a class adds to those of its bases, each with what it says."""
        found = _attributes(thing)
        for name, value in vars(thing).items():
            if any(hasattr(base, name) for base in thing.__bases__ if base is not object):
                continue
            inner = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            inner = inner.func if isinstance(inner, functools.cached_property) else inner
            called = name == "__call__" and inspect.isfunction(inner)
            if name.startswith("_") and not called:
                continue
            if not (inspect.isfunction(inner) or isinstance(inner, property)) or not inner.__doc__:
                continue
            text = markdown_of(inner.__doc__, functools.partial(self.address, module, tuple(_parameters(inner))))
            found.append((name, _call_of(thing, name, value, inner), text))
        if not found:
            return []
        parts = ['<div class="members" markdown>']
        for name, call, text in found:
            parts += [f'<a id="{thing.__name__}.{name}"></a>', fenced(call, "python"), text]
        return [*parts, "</div>"]

    # ------------------------------------------------------------ links

    @functools.cached_property
    def _classes(self) -> dict[type, tuple[str, str]]:
        """Public classes, and where each is described first."""
        found: dict[type, tuple[str, str]] = {}
        for module in self.modules:
            for name in self.names_of(module):
                thing = getattr(importlib.import_module(module), name)
                if inspect.isclass(thing):
                    found.setdefault(thing, (module, name))
        return found

    @functools.cached_property
    def _homes(self) -> dict[str, list[str]]:
        """The modules that have a name."""
        found: dict[str, list[str]] = {}
        for module in self.modules:
            for name in self.names_of(module):
                found.setdefault(name, []).append(module)
        return found

    def address(self, module: str, parameters: Sequence[str] | None, code: str) -> str | None:
        """Where inline code in a text of a module leads: a name of the reference, or ``None``.

        ``parameters``: those of the function that the text is about; ``None`` for the text about the module itself.
        A lower-case word is an argument more often than a function: it leads somewhere with a bracket after it or a
        module before it, or within its module where it cannot be an argument.
        """
        match = re.fullmatch(r"([A-Za-z_][\w.]*)(\(.*\))?", code, re.DOTALL)
        if match is None or match[1] in (parameters or ()) or match[1] in _BUILTINS:
            return None
        path = match[1]
        if path in self.modules:
            return f"{path}.md"
        before, _, name = path.rpartition(".")
        if not before:
            homes = self._homes.get(name, [])
            here = module in homes and (parameters is None or "_" in name)
            if not (here or name[:1].isupper() or match[2] in ("()", "(...)")):
                return None
            home = module if module in homes else homes[0] if len(homes) == 1 or "corenn" in homes[:1] else None
        else:
            homes = [m for m in (before, f"corenn.{before}") if m in self.modules]
            home = next((m for m in homes if name in self.names_of(m)), None)
        if home is None:
            return None
        return f"#{name}" if home == module else f"{home}.md#{name}"


def _own_names(module: types.ModuleType) -> list[str]:
    """The classes and functions that a module without ``__all__`` defines."""
    return [
        n for n, v in vars(module).items() if not n.startswith("_") and getattr(v, "__module__", "") == module.__name__
    ]


def _is_function(thing: Any) -> bool:
    return callable(thing) and not inspect.isclass(thing) and bool(getattr(thing, "__doc__", None))


def _parameters(thing: Any) -> list[str]:
    try:
        return list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return []


def _same_call(thing: type, base: type) -> bool:
    """Whether a class is made with the arguments of another, which are shown there."""
    try:
        return inspect.signature(thing) == inspect.signature(base)
    except (TypeError, ValueError):
        return False


def _call_of(thing: type, name: str, value: Any, inner: Any) -> str:
    """How a member is called, or the name and type of a property."""
    if isinstance(inner, property):
        kind = _type(inspect.signature(inner.fget).return_annotation) if inner.fget else ""
        return f"{name}: {kind}" if kind else name
    if isinstance(value, functools.cached_property):
        kind = _type(inspect.signature(inner).return_annotation)
        return f"{name}: {kind}" if kind else name
    mark = "@classmethod\n" if isinstance(value, classmethod) else ""
    return signature_of(thing.__name__.lower() if name == "__call__" else name, getattr(thing, name), mark)


def _attributes(thing: type) -> list[tuple[str, str, str]]:
    """Attributes with a ``#:`` comment above them, in classes whose call does not show them: name, code, text."""
    if dataclasses.is_dataclass(thing):
        return []
    lines, classes = _source(thing.__module__)
    found = []
    for node in classes[thing.__qualname__].body if thing.__qualname__ in classes else ():
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id[0] != "_":
            comments: list[str] = []
            for line in reversed(lines[: node.lineno - 1]):
                if not line.strip().startswith("#:"):
                    break
                comments.insert(0, line.strip()[2:].strip())
            if comments:
                found.append((node.target.id, ast.unparse(node), prose(" ".join(comments))))
    return found


@functools.cache
def _source(module: str) -> tuple[list[str], dict[str, ast.ClassDef]]:
    """The lines of a module, and its classes by name."""
    try:
        text = inspect.getsource(importlib.import_module(module))
    except (OSError, TypeError):
        return [], {}
    return text.splitlines(), {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}


def about_op(thing: Any) -> str:
    """A line about an op of the table: whether it is made of other ops, where its gradient comes from."""
    op = getattr(thing, "op", None)
    if op is None or op.name not in TABLE:
        return ""
    facts = ["made of other ops"] if op.decomposition is not None else []
    facts += ["with gradient rules of its own"] if op.differentiable else []
    facts += [] if facts else ["without a gradient"]
    return f"*Op `{op.name}`, {' and '.join(facts)}.*"
