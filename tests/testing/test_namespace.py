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
            if isinstance(node, ast.Attribute):
                text = ast.unparse(node)
                if text.startswith("xp."):
                    found.add(text.removeprefix("xp."))
    return found - {"linalg"} - CONSTANTS - set(BY_NAME)


def test_the_lists_are_complete_and_sorted():
    names = used()
    assert set(FUNCTIONS) == {n for n in names if "." not in n}
    assert {f"linalg.{n}" for n in LINALG} == {n for n in names if "." in n}
    assert list(FUNCTIONS) == sorted(FUNCTIONS)
    assert list(LINALG) == sorted(LINALG)
