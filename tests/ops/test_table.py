"""Every op of the table: what it declares; on NumPy its values, errors and gradients (levels 1 and 2 of the kit)."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import corenn.ops
from corenn.ops import operators
from corenn.testing import BackendConformance, all_ops
from corenn.testing.checks import check_declaration


@pytest.mark.parametrize("op", all_ops(), ids=lambda op: op.name)
def test_declaration(op):
    assert check_declaration(op) is None


def test_importing_the_package_declares_every_op():
    """In a process of its own: no module of the package has ops that ``import corenn.ops`` would not declare."""
    modules = [f"corenn.ops.{module.name}" for module in pkgutil.iter_modules(corenn.ops.__path__)]
    code = (
        "import importlib, corenn.ops; from corenn.ops.table import TABLE; before = set(TABLE); "
        f"[importlib.import_module(name) for name in {modules}]; print(sorted(set(TABLE) - before))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert found.stdout.strip() == "[]"


def test_operators_of_tensors_read_what_is_there_and_no_more():
    """``operators`` names what ``corenn.tensor`` calls, by attribute or for an operator of ndarray."""
    tensor = sys.modules["corenn.tensor"]  # corenn.tensor is the function
    called = set(re.findall(r"\b_ops\.(\w+)", Path(tensor.__file__).read_text(encoding="utf-8")))
    assert called | set(tensor._UFUNC_OPERATORS.values()) == set(operators.__all__)
    assert tensor._ops is operators


class TestOnNumpy(BackendConformance):
    """The other levels run with the NumPy backend's own tests."""

    backend = "numpy"
    levels = (1, 2)
