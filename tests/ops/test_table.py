"""Every op of the table, on every sample, against its reference, its gradients and its errors."""

from __future__ import annotations

import pytest

import corenn  # noqa: F401  fills the table
from corenn.device import device
from corenn.testing import checks

NUMPY = device("numpy")
OFFERED = NUMPY.backend.offered
OPS = checks.all_ops()
FORWARD = [(op, n, s, d) for op in OPS for n, s, d in checks.cases(op, OFFERED)]
GRADIENTS = [(op, n, s) for op in OPS for n, s in enumerate(op.sample_list) if checks.has_gradient(op, s)]
ERRORS = [(op, n, s) for op in OPS for n, s in enumerate(op.error_list)]


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_declaration(op):
    assert checks.check_declaration(op) is None


@pytest.mark.parametrize(("op", "number", "sample", "dtype"), FORWARD, ids=[f"{o.name}-{n}-{d}" for o, n, _, d in FORWARD])
def test_forward(op, number, sample, dtype):
    assert checks.check_forward(op, sample, dtype, NUMPY) is None


@pytest.mark.parametrize(("op", "number", "sample"), GRADIENTS, ids=[f"{o.name}-{n}" for o, n, _ in GRADIENTS])
def test_gradient(op, number, sample):
    assert checks.check_gradient(op, sample, NUMPY) is None


@pytest.mark.parametrize(("op", "number", "sample"), ERRORS, ids=[f"{o.name}-{n}" for o, n, _ in ERRORS])
def test_error(op, number, sample):
    assert checks.check_error(op, sample, NUMPY) is None
