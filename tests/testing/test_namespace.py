"""The list of what kernels need of ``xp`` is what the kernels of the op table use: no more, no less."""

from __future__ import annotations

import ast
from pathlib import Path

import corenn
from corenn.dtypes import BY_NAME
from corenn.ops.table import TABLE
from corenn.testing.namespace import FUNCTIONS, LINALG

OPS = Path(corenn.__file__).parent / "ops"
CONSTANTS = {"pi", "e", "inf", "nan", "newaxis"}


def used() -> set[str]:
    """Names taken from ``xp`` (dotted, as in ``linalg.qr``) in the sources of the ops, and kernels given by name."""
    found = {op.kernel_function for op in TABLE.values() if isinstance(op.kernel_function, str)}
    for path in OPS.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("xp", "xp.linalg"):
                found.add(ast.unparse(node).removeprefix("xp."))
    return found - {"linalg"} - CONSTANTS - set(BY_NAME)


def test_the_lists_are_what_the_kernels_use():
    names = used()
    listed = {*FUNCTIONS, *(f"linalg.{n}" for n in LINALG)}
    assert names - listed == set(), "a kernel uses these: add them to corenn/testing/namespace.py"
    assert listed - names == set(), "no kernel uses these any more: remove them from corenn/testing/namespace.py"
    assert list(FUNCTIONS) == sorted(FUNCTIONS)
    assert list(LINALG) == sorted(LINALG)
