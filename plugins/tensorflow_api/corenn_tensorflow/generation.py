"""Which TensorFlow a script was written for, read off its source: the rule behind ``corenn run --tf auto``.

Only names that lead to TensorFlow or Keras count: the imports say which they are (``import tensorflow as tf``), and
``tf.placeholder`` becomes ``placeholder``.  Names in modules beside the script, which it imports, count as well.

1. A *graph* name (``placeholder``, ``Session``, ``get_variable``, ...) or a call that turns eager execution on
   (``enable_eager_execution``, which TensorFlow 2 does not have): generation 1.
2. A name that TensorFlow 2 renamed or removed (``contrib``, ``layers.dense``, ``train.AdamOptimizer``, ...):
   generation 1, unless the script also has a name of eager code (``GradientTape``, ``function``,
   ``keras.optimizers``), as texts from the months between the two do.
3. Anything else, also a script without TensorFlow: generation 2.

The names are in ``data/generation_signs.txt``.
Names below ``compat.v1`` say nothing: both have them; a script that wants a graph from TensorFlow 2 calls
``compat.v1.disable_eager_execution``.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

_ROOTS = ("tensorflow", "keras")


class _Signs(NamedTuple):
    """``data/generation_signs.txt``."""

    graph: frozenset[str]
    enabling: frozenset[str]
    removed: frozenset[str]
    removed_below: frozenset[str]
    eager_below: frozenset[str]


@functools.cache
def signs() -> _Signs:
    """The names the rule goes by, read once."""
    found: dict[str, set[str]] = {}
    text = resources.files(__package__).joinpath("data", "generation_signs.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words and words[0].startswith("["):
            section = found.setdefault(words[0].strip("[]"), set())
        elif words:
            section |= set(words)
    return _Signs(**{name: frozenset(names) for name, names in found.items()})


def _is_removed(name: str) -> bool:
    optimizer = name.startswith("train.") and name.endswith("Optimizer")
    return name in signs().removed or optimizer or _below(name, signs().removed_below)


def _below(name: str, prefixes: Iterable[str]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The generation, 1 or 2, and the names that decided."""

    generation: int
    because: tuple[str, ...]


def generation_of(source: str, folder: Path | None = None) -> Verdict:
    """Which generation ``source`` was written for, by the rule above; ``folder``: where the script's modules lie.

    Source that does not parse belongs to generation 2: running it says what is wrong.
    """
    names = sorted(set(_all_names(source, folder, set())))
    enabling = tuple(n for n in names if n in signs().enabling)
    graph = tuple(n for n in names if n in signs().graph)
    if graph or enabling:
        return Verdict(1, graph + enabling)
    removed = tuple(n for n in names if _is_removed(n))
    eager = tuple(n for n in names if _below(n, signs().eager_below))
    return Verdict(1, removed) if removed and not eager else Verdict(2, eager)


def _all_names(source: str, folder: Path | None, seen: set[Path]) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    yield from tensorflow_names(tree)
    for path in _beside(tree, folder) if folder is not None else ():
        if path not in seen:
            seen.add(path)
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            yield from _all_names(text, folder, seen)


def _beside(tree: ast.AST, folder: Path) -> Iterator[Path]:
    """The files below ``folder`` that a script there imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            modules = [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]
        else:
            continue
        for module in filter(None, modules):
            stem = folder.joinpath(*module.split("."))
            yield from (p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file())


def tensorflow_names(tree: ast.AST) -> Iterator[str]:
    """Every name of TensorFlow in a program, without ``tensorflow.`` in front, as often as it stands there."""
    bound: dict[str, str] = {}  # a name of the program: what of TensorFlow it is
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in _ROOTS:
                    local = alias.asname or alias.name.partition(".")[0]
                    bound[local] = alias.name if alias.asname else local
                    yield _short(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in _ROOTS:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                bound[alias.asname or alias.name] = full
                yield _short(full)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            parts = [node.attr]
            inner: ast.expr = node.value
            while isinstance(inner, ast.Attribute):
                parts.append(inner.attr)
                inner = inner.value
            if isinstance(inner, ast.Name) and inner.id in bound:
                yield _short(".".join([bound[inner.id], *reversed(parts)]))


def _short(full: str) -> str:
    """A full name as the tables have it; ``keras`` stays, and below ``compat.v1`` nothing is left to recognise."""
    return full.removeprefix("tensorflow.")
