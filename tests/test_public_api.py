"""The public names: they exist, say what they do, and are all there is."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from corenn.ops import families
from corenn.ops.table import TABLE

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = [
    "corenn", "corenn.activations", "corenn.autodiff", "corenn.backend", "corenn.checkpoint", "corenn.constraints",
    "corenn.data", "corenn.image", "corenn.initializers", "corenn.layers", "corenn.linalg", "corenn.losses",
    "corenn.metrics", "corenn.nn", "corenn.optimizers", "corenn.plugin", "corenn.random", "corenn.regularizers",
    "corenn.schedules", "corenn.summary", "corenn.testing", "corenn.training", "corenn.training.callbacks",
]  # fmt: skip
NAMES = [(module, name) for module in PUBLIC for name in importlib.import_module(module).__all__]
SOURCES = sorted(
    path
    for folder in ("corenn", "backends", "plugins", "cli", "examples", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if not {"build", ".venv"} & set(path.parts)
)
#: Families whose results have the shape that broadcasting gives: there is nothing to say about shapes.
ELEMENTWISE = (families.unary, families.predicate, families.binary, families.comparison)
SAYS_SHAPES = re.compile(
    r"\[|shape|ax[ie]s|extent|dtype|element|0-d|broadcast|scalar|vector|matri|batch|channel|int\d|float|bool",
    re.IGNORECASE,
)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[f"{m}.{n}" for m, n in NAMES])
def test_a_public_name_is_there_and_says_what_it_is(module, name):
    thing = getattr(importlib.import_module(module), name)
    if isinstance(thing, types.ModuleType):
        assert thing.__name__.startswith("corenn."), f"{module} leaks the module {thing.__name__}"
    if not (inspect.ismodule(thing) or inspect.isclass(thing) or inspect.isroutine(thing)):
        return  # a constant, a dtype, a type alias
    text = (thing.__dict__.get("__doc__") if inspect.isclass(thing) else thing.__doc__) or ""
    first = text.strip().split("\n\n")[0]
    assert first.endswith((".", ":", "::", ")")), f"no sentence: {first!r}"
    assert len(first) >= 12 and re.sub(r"\W|_", "", first).lower() != name.replace("_", "").lower()
    assert not re.search(r"\bTODO\b|\bFIXME\b", text)


@pytest.mark.parametrize("name", [n for n in sorted(TABLE) if TABLE[n].namespace != "_"])
def test_an_op_speaks_of_shapes_or_dtypes_unless_it_is_elementwise(name):
    op = TABLE[name]
    if op.family not in ELEMENTWISE:
        assert SAYS_SHAPES.search(op.declaration.__doc__ or ""), op.declaration.__doc__


def test_public_ops_are_exported_where_their_namespace_says():
    """Under their own names; the draws of ``corenn.random`` wrap ops that take a key, called ``random_<name>``."""
    for name, op in TABLE.items():
        if op.namespace != "_":
            home = importlib.import_module(f"corenn.{op.namespace}" if op.namespace else "corenn")
            assert name.removeprefix("random_") in home.__all__, name


def natural(name):
    """The order of ``__all__``: CONSTANTS, Classes, then the rest, numbers by their value (int8 before int16)."""
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    return kind, [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", name)]


@pytest.mark.parametrize("module", PUBLIC)
def test_all_is_sorted_and_without_repetition(module):
    listed = list(importlib.import_module(module).__all__)
    assert len(set(listed)) == len(listed)
    if module == "corenn":  # the others are checked by ruff (RUF022); this one is what people read
        assert listed == sorted(listed, key=natural)


@pytest.mark.parametrize("module", PUBLIC)
def test_a_star_import_brings_the_public_names_only(module):
    """In a process of its own: no NumPy, no helper, no module of Python's leaks."""
    code = (
        f"from {module} import *; import types; "
        "print(sorted(n for n, v in list(globals().items()) if not n.startswith('__') and n != 'types'))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    listed = importlib.import_module(module).__all__
    assert ast.literal_eval(found.stdout) == sorted(n for n in listed if not n.startswith("__"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_is(path):
    text = path.read_text(encoding="utf-8")
    if "tests" in path.parts or not text.strip():
        return
    assert len(ast.get_docstring(ast.parse(text)) or "") >= 12
