"""Every op of the table: what it declares; on NumPy its values, errors and gradients (levels 1 and 2 of the kit)."""

from __future__ import annotations

import pytest

import corenn  # noqa: F401  fills the table
from corenn.testing import BackendConformance, all_ops
from corenn.testing.checks import check_declaration


@pytest.mark.parametrize("op", all_ops(), ids=lambda op: op.name)
def test_declaration(op):
    assert check_declaration(op) is None


class TestOnNumpy(BackendConformance):
    """The other levels run with the NumPy backend's own tests."""

    backend = "numpy"
    levels = (1, 2)
